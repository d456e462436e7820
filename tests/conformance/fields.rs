//! What a case says of the fields of a message, one line each.
//!
//! `Name` is there, `!Name` is not; `Name: value` is the whole value, all lines joined; `Name: ~x`
//! holds `x` and `Name: !~x` does not; `Name: 3..9` is a number from 3 to 9.

use crate::conformance::message::Head;
use crate::conformance::template::Template;

/// What `head` does not keep of what `lines` say.
pub(crate) fn breaches(who: &str, lines: &[String], head: &Head, fill: &Template) -> Vec<String> {
    let breach = |line: &String| {
        let line = fill.text(line);
        let (name, wanted) = match line.split_once(": ") {
            None => (line.trim_end_matches(':'), None),
            Some((name, wanted)) => (name, Some(wanted)),
        };
        let found = head.field(name.trim_start_matches('!'));
        let holds = match (name.strip_prefix('!'), wanted, &found) {
            (Some(_), _, found) => found.is_none(),
            (None, _, None) => wanted.is_some_and(|wanted| wanted.starts_with("!~")),
            (None, None, Some(_)) => true,
            (None, Some(wanted), Some(found)) => fits(wanted, found),
        };
        let found = found.map_or("none".into(), |found| format!("{found:?}"));
        (!holds).then(|| format!("{who} {line:?}, not {found}"))
    };
    lines.iter().filter_map(breach).collect()
}

fn fits(wanted: &str, found: &str) -> bool {
    if let Some(part) = wanted.strip_prefix("!~") {
        return !found.contains(part);
    }
    if let Some(part) = wanted.strip_prefix('~') {
        return found.contains(part);
    }
    let range = wanted.split_once("..").and_then(|(low, high)| {
        let low: u64 = low.parse().ok()?;
        Some(low..=high.parse().ok()?)
    });
    match range {
        Some(range) => found.parse().is_ok_and(|found: u64| range.contains(&found)),
        None => found == wanted,
    }
}
