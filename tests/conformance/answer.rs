//! What the scripted origin sends for a step, byte for byte.

use std::time::SystemTime;

use crate::conformance::case::{Object, Step, Then};
use crate::conformance::message::Head;
use crate::conformance::template::{Template, bytes_of};

/// Bytes, and what comes behind them.
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// The body of a step that does not say one: it names the step.
pub(crate) fn body(step: &Step, number: usize, fill: &Template) -> Vec<u8> {
    match (&step.origin_body, step.object) {
        (Some(body), _) => fill.bytes(body),
        (None, Some(object)) => object.body(),
        (None, None) => format!("step {number} of {}\n", fill.host).into_bytes(),
    }
}

/// The answer to a request for a host that plays nothing.
pub(crate) fn unknown(host: &str) -> Answer {
    let text = format!("no case plays at {host:?}\n");
    let head = format!("HTTP/1.1 599 Unknown\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    Answer { bytes: head.into_bytes(), then: Then::Keep }
}

/// The answer to the request with the head `asked`, the `turn`th of its step.
pub(crate) fn make(
    step: &Step,
    number: usize,
    turn: usize,
    fill: &Template,
    asked: &Head,
) -> Answer {
    if let Some(raw) = &step.origin_raw {
        return Answer { bytes: fill.bytes(raw), then: step.origin_then.unwrap_or(Then::Close) };
    }
    let lines = match turn.checked_sub(1) {
        None => &step.origin,
        Some(at) => step.origin_next.get(at).or(step.origin_next.last()).unwrap_or(&step.origin),
    };
    if lines.is_empty() {
        return match step.origin_then {
            Some(then) => Answer { bytes: Vec::new(), then },
            None => unasked(),
        };
    }
    let mut lines: Vec<String> = lines.iter().map(|line| fill.text(line)).collect();
    let part = step.object.filter(|object| object.ranges);
    let part = part.and_then(|object| cut(&object, &mut lines, asked));
    let body = part.unwrap_or_else(|| body(step, number, fill));
    let mut answer = compose(&lines, &body, asked);
    answer.then = step.origin_then.unwrap_or(answer.then);
    answer
}

/// What nobody expects to be asked for.
fn unasked() -> Answer {
    let lines = ["200".to_owned(), "Cache-Control: no-store".to_owned()];
    compose(&lines, b"nobody should have asked\n", &Head::default())
}

fn compose(lines: &[String], body: &[u8], asked: &Head) -> Answer {
    let (status, fields) = lines.split_first().expect("an answer begins with its status");
    let reason = if status.len() == 3 { " Scripted" } else { "" };
    let mut head = format!("HTTP/1.1 {status}{reason}\r\n");
    let mentions = |name: &str| {
        let names = fields.iter().map(|line| line.split(':').next().unwrap_or_default());
        names.map(|known| known.trim_start_matches('!')).any(|k| k.eq_ignore_ascii_case(name))
    };
    for line in fields.iter().filter(|line| !line.starts_with('!')) {
        head.push_str(line);
        head.push_str("\r\n");
    }
    if !mentions("date") {
        head.push_str(&format!("Date: {}\r\n", httpdate::fmt_http_date(now())));
    }
    let is_bare = matches!(&status[..3], "204" | "304");
    let is_chunked =
        fields.iter().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let then = match (mentions("content-length"), is_chunked || is_bare) {
        (_, true) => Then::Keep,
        (true, false) if fields.iter().any(|line| line.starts_with("!Content-Length")) => {
            Then::Close
        }
        (true, false) => Then::Keep,
        (false, false) => {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            Then::Keep
        }
    };
    let mut bytes = bytes_of(&head);
    bytes.extend_from_slice(b"\r\n");
    match (is_bare || asked.method() == "HEAD", is_chunked) {
        (true, _) => {}
        (false, false) => bytes.extend_from_slice(body),
        (false, true) => {
            for half in body.chunks(body.len().div_ceil(2).max(1)) {
                bytes.extend_from_slice(format!("{:x}\r\n", half.len()).as_bytes());
                bytes.extend_from_slice(half);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    Answer { bytes, then }
}

/// Turns a 200 into the 206 or 416 that the request asks for, and says with what body.
fn cut(object: &Object, lines: &mut Vec<String>, asked: &Head) -> Option<Vec<u8>> {
    let etag = lines.iter().find_map(|line| line.strip_prefix("ETag: ")).map(str::to_owned);
    let condition = asked.field("if-range");
    let is_same = condition.is_none_or(|wanted| etag.is_some_and(|etag| etag == wanted));
    let range = asked.field("range").filter(|_| is_same && lines[0].starts_with("200"))?;
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let length = object.bytes;
    let (first, end) = match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => (first, length.min(1_usize.saturating_add(last))),
        (Ok(first), Err(_)) => (first, length),
        (Err(_), Ok(suffix)) => (length.saturating_sub(suffix), length),
        (Err(_), Err(_)) => return None,
    };
    if first >= end {
        lines[0] = "416".into();
        lines.push(format!("Content-Range: bytes */{length}"));
        return Some(Vec::new());
    }
    lines[0] = "206".into();
    lines.push(format!("Content-Range: bytes {first}-{}/{length}", end - 1));
    Some(object.part(first, end))
}

#[expect(clippy::disallowed_methods, reason = "an origin has a clock of its own")]
fn now() -> SystemTime {
    SystemTime::now()
}
