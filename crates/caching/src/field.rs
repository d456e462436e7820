//! Reading field values: members of comma-separated lists, and dates.
//!
//! Works on bytes, since a field value need not be UTF-8 and a stray byte must not hide a
//! `no-store`. Every reader is total and linear in the value's length: no viewer or origin can make
//! one panic or crawl.

use std::time::SystemTime;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

/// The members of one field line (RFC 9110 §5.6.1), trimmed, empty ones left out. A comma inside
/// a quoted string separates nothing; a quote that never closes is an ordinary character.
pub(crate) fn members(value: &HeaderValue) -> Members<'_> {
    Members { rest: value.as_bytes(), quotes_close: true }
}

/// The members of all field lines called `name`, in order.
pub(crate) fn all_members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(members)
}

/// The date in the only field called `name`. Absent, repeated or malformed: none.
pub(crate) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    only(headers, name).and_then(parse_date)
}

/// The value of the only field called `name`; none when it is absent or repeated.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Parses the three date formats of RFC 9110 §5.6.7.
pub(crate) fn parse_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// See [`members`].
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    /// False once a quote was found that never closes: looking again would make the scan quadratic.
    quotes_close: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (member, after) = self.rest.split_at(self.member_end());
            self.rest = after.get(1..).unwrap_or_default();
            let member = member.trim_ascii();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

impl Members<'_> {
    fn member_end(&mut self) -> usize {
        let mut at = 0;
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b',' => return at,
                b'"' if self.quotes_close => match closing_quote(&self.rest[at + 1..]) {
                    Some(inside) => at += inside + 2,
                    None => self.quotes_close = false,
                },
                _ => at += 1,
            }
        }
        self.rest.len()
    }
}

/// Where the quoted string that `rest` begins inside of ends (RFC 9110 §5.6.4).
fn closing_quote(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::DATE;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{NOON, fields, noon};

    fn check(value: &str, expect: &[&str]) {
        let value = HeaderValue::from_str(value).unwrap();
        let found: Vec<&[u8]> = members(&value).collect();
        let expect: Vec<&[u8]> = expect.iter().map(|member| member.as_bytes()).collect();
        assert_eq!(found, expect, "{value:?}");
    }

    #[test]
    fn members_are_split_at_commas_outside_quotes() {
        // RFC 9110 §5.6.1.2: a recipient ignores a reasonable number of empty members.
        check("", &[]);
        check(" , ,", &[]);
        check("a,b\t, c ,,", &["a", "b", "c"]);
        check(r#"a="x,y", b"#, &[r#"a="x,y""#, "b"]);
        check(r#"a="x\",y", b"#, &[r#"a="x\",y""#, "b"]);
        check(r#"a="x, no-store"#, &[r#"a="x"#, "no-store"]);
        check(r#"a="x\", no-store"#, &[r#"a="x\""#, "no-store"]);
    }

    #[test]
    fn a_repeated_or_malformed_date_is_no_date() {
        // RFC 9110 §5.6.7: three formats, one of them current.
        for good in [NOON, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(date(&fields(&format!("date:{good}")), &DATE), Some(noon()), "{good}");
        }
        for bad in ["", "0", "-1", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +0"]
        {
            assert_eq!(date(&fields(&format!("date:{bad}")), &DATE), None, "{bad}");
        }
        assert_eq!(date(&fields(&format!("date:{NOON}|date:{NOON}")), &DATE), None);
        assert_eq!(date(&HeaderMap::new(), &DATE), None);
    }

    #[test]
    fn a_value_made_of_quotes_is_read_in_linear_time() {
        // 200,000 quotes: a quadratic scan would take minutes.
        for part in ["\\\"", "\\\",", "\"\\", "\"\\,"] {
            let value = HeaderValue::from_str(&part.repeat(200_000)).unwrap();
            assert!(members(&value).count() < 400_000);
        }
    }

    proptest! {
        #[test]
        fn no_member_of_any_value_is_empty(bytes in proptest::collection::vec(0u8.., 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                prop_assert!(members(&value).all(|member| !member.trim_ascii().is_empty()));
                parse_date(&value);
            }
        }

        #[test]
        fn nearly_a_date_never_panics(
            text in "(Sun|Sunday),? [0-9 -]{2,3}(Nov|Feb|Dec)[ 0-9:-]{4,14}( GMT)?",
        ) {
            if let Ok(value) = HeaderValue::from_str(&text) {
                parse_date(&value);
            }
        }
    }
}
