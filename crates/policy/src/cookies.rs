//! Cookies as pairs, selected by name (RFC 6265 §5.4). Names are case-sensitive; what has no `=` is
//! a name without a value. Bytes that are no text are cookies too.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use model::policy::Names;

/// One cookie, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    whole: &'a [u8],
}

/// All cookies of a request, in the order sent.
pub(crate) fn all(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(|whole| {
        let end = whole.iter().position(|byte| *byte == b'=').unwrap_or(whole.len());
        let (name, value) = whole.split_at(end);
        Cookie { name: name.trim_ascii(), value, whole }
    })
}

/// Whether `names` selects `cookie`.
pub(crate) fn is_selected(names: &Names, cookie: &Cookie<'_>) -> bool {
    match (names, std::str::from_utf8(cookie.name)) {
        (Names::All, _) => true,
        (Names::None, _) | (Names::Whitelist(_), Err(_)) => false,
        (Names::AllExcept(_), Err(_)) => true,
        (Names::Whitelist(_) | Names::AllExcept(_), Ok(name)) => names.has(name),
    }
}

/// Leaves only the cookies that one of the two selects.
pub(crate) fn keep(headers: &mut HeaderMap, key: &Names, origin: &Names) {
    if *key == Names::All || *origin == Names::All {
        return;
    }
    let selected = |cookie: &Cookie<'_>| is_selected(key, cookie) || is_selected(origin, cookie);
    let kept: Vec<&[u8]> = all(headers).filter(selected).map(|cookie| cookie.whole).collect();
    let value = HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok();
    match value.filter(|value| !value.is_empty()) {
        Some(value) => drop(headers.insert(COOKIE, value)),
        None => drop(headers.remove(COOKIE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fields, listed};

    #[test]
    fn cookies_are_kept_by_name_from_either_policy() {
        let sent = "cookie:a=1; b=2;c|cookie:A=3; a=4";
        for (key, origin, expect) in [
            (Names::None, Names::None, ""),
            (Names::Whitelist(listed(&["a"])), Names::None, "cookie:a=1; a=4"),
            (Names::Whitelist(listed(&["c"])), Names::Whitelist(listed(&["b"])), "cookie:b=2; c"),
            (Names::None, Names::AllExcept(listed(&["a"])), "cookie:b=2; c; A=3"),
            (
                Names::Whitelist(listed(&["a"])),
                Names::AllExcept(listed(&["a"])),
                "cookie:a=1; b=2; c; A=3; a=4",
            ),
            (Names::All, Names::None, sent),
        ] {
            let mut headers = fields(sent);
            keep(&mut headers, &key, &origin);
            assert_eq!(headers, fields(expect), "{key:?} {origin:?}");
        }
    }
}
