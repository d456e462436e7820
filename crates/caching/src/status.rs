//! `Cache-Status`: how a cache handled a request, for people and tools (RFC 9211).
//!
//! One member per cache, written as a structured field (RFC 9651). A hit was not forwarded, so what
//! belongs to forwarding is never written beside one.
//! Whatever the names hold, only bytes that a field may carry are written.

use std::fmt::{self, Write};

use http::{HeaderValue, StatusCode};

use crate::plan::Why;

/// What a cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Answered it from what was stored (§2.1).
    Hit,
    /// Sent it further up (§2.2).
    Forwarded(Why),
    /// Answered it itself: neither a hit nor forwarded, as with a request that it refuses.
    Refused,
}

/// One member of the `Cache-Status` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// The cache's name.
    pub cache: &'a str,
    /// What it did.
    pub handling: Handling,
    /// What the next hop answered (§2.3). Like `stored` and `collapsed` it is only written of what
    /// was forwarded.
    pub fwd_status: Option<StatusCode>,
    /// Seconds of freshness left, negative when stale (§2.4).
    pub ttl: Option<i64>,
    /// Whether the answer was kept (§2.5).
    pub stored: bool,
    /// Whether another request's answer was used (§2.6).
    pub collapsed: bool,
    /// Anything else (§2.8).
    pub detail: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// The member as a field value, to be appended after those of the caches further up.
    pub fn field_value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("only printable ASCII is written")
    }

    fn write_forwarding(&self, f: &mut fmt::Formatter<'_>, why: Why) -> fmt::Result {
        write!(f, "; fwd={}", why.as_str())?;
        if let Some(status) = self.fwd_status {
            write!(f, "; fwd-status={}", status.as_u16())?;
        }
        f.write_str(if self.stored { "; stored" } else { "" })?;
        f.write_str(if self.collapsed { "; collapsed" } else { "" })
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_string(f, self.cache)?;
        match self.handling {
            Handling::Hit => f.write_str("; hit")?,
            Handling::Forwarded(why) => self.write_forwarding(f, why)?,
            Handling::Refused => {}
        }
        if let Some(ttl) = self.ttl {
            write!(f, "; ttl={}", ttl.clamp(-INTEGER_MAX, INTEGER_MAX))?;
        }
        if let Some(detail) = self.detail {
            f.write_str("; detail=")?;
            if is_token(detail) { f.write_str(detail) } else { write_string(f, detail) }?;
        }
        Ok(())
    }
}

/// RFC 9651 §3.3.1: integers have at most 15 digits.
const INTEGER_MAX: i64 = 999_999_999_999_999;

/// RFC 9651 §3.3.4.
fn is_token(text: &str) -> bool {
    let ordinary = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && text.bytes().all(ordinary)
}

/// RFC 9651 §3.3.3; what a string cannot hold becomes a question mark.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            ' '..='~' => f.write_char(character)?,
            _ => f.write_char('?')?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HIT: CacheStatus<'_> = CacheStatus {
        cache: "edge-1",
        handling: Handling::Hit,
        fwd_status: None,
        ttl: Some(30),
        stored: false,
        collapsed: false,
        detail: None,
    };

    #[test]
    fn a_member_reads_as_the_standard_writes_it() {
        // RFC 9211 §2 and §3.
        let miss = CacheStatus { handling: Handling::Forwarded(Why::Missing), ttl: None, ..HIT };
        let full = CacheStatus {
            fwd_status: Some(StatusCode::OK),
            stored: true,
            collapsed: true,
            ttl: Some(30),
            detail: Some("shield"),
            ..miss
        };
        for (status, expect) in [
            (HIT, r#""edge-1"; hit; ttl=30"#),
            (CacheStatus { ttl: Some(-412), ..HIT }, r#""edge-1"; hit; ttl=-412"#),
            (miss, r#""edge-1"; fwd=uri-miss"#),
            (
                full,
                "\"edge-1\"; fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=30; \
                 detail=shield",
            ),
            (
                CacheStatus { handling: Handling::Hit, ..full },
                r#""edge-1"; hit; ttl=30; detail=shield"#,
            ),
            (
                CacheStatus { handling: Handling::Refused, ttl: None, ..full },
                r#""edge-1"; detail=shield"#,
            ),
        ] {
            assert_eq!(status.to_string(), expect);
            assert_eq!(status.field_value(), expect);
        }
    }

    #[test]
    fn what_is_no_token_is_quoted_and_escaped() {
        // RFC 9651 §3.3.3 and §3.3.4.
        for (detail, expect) in [
            ("no-store", "no-store"),
            ("a/b:c", "a/b:c"),
            ("", "\"\""),
            ("1st", "\"1st\""),
            ("two words", "\"two words\""),
            ("a;b=c", "\"a;b=c\""),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("caf\u{e9}\r\n", "\"caf???\""),
        ] {
            let text = CacheStatus { detail: Some(detail), ttl: None, ..HIT }.to_string();
            assert_eq!(text, format!("\"edge-1\"; hit; detail={expect}"));
        }
    }

    #[test]
    fn an_integer_stays_within_fifteen_digits() {
        // RFC 9651 §3.3.1.
        for (ttl, expect) in [(i64::MAX, "999999999999999"), (i64::MIN, "-999999999999999")] {
            let text = CacheStatus { ttl: Some(ttl), ..HIT }.to_string();
            assert_eq!(text, format!("\"edge-1\"; hit; ttl={expect}"));
        }
    }

    proptest! {
        #[test]
        fn no_name_or_detail_breaks_the_field(cache in ".*", detail in ".*") {
            let status = CacheStatus { cache: &cache, detail: Some(&detail), ..HIT };
            let text = status.to_string();
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(status.field_value(), text.as_str());
        }
    }
}
