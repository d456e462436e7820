//! Texts of cases with places to be filled: dates around the moment at which a case began, its
//! host, and strings too long to be written out.
//!
//! `{host}`, `{now}`, `{now-10}` (seconds), `{now+2d}`, `{rfc850 now}`, `{asctime now}` and
//! `{ab*3}`; braces around anything else stay as they are. A character below U+0100 becomes one
//! byte, so that cases can hold bytes that are not UTF-8.

use std::time::{Duration, SystemTime};

/// What the places of one case are filled with.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) host: String,
    pub(crate) began: SystemTime,
}

impl Template {
    /// Fills every place of `pattern`.
    pub(crate) fn text(&self, pattern: &str) -> String {
        let mut filled = String::new();
        let mut rest = pattern;
        while let Some((before, from)) = rest.split_once('{') {
            filled.push_str(before);
            let place = from.split_once('}').and_then(|(what, after)| {
                let value = self.value(what)?;
                Some((value, after))
            });
            match place {
                Some((value, after)) => {
                    filled.push_str(&value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = from;
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    /// The same as bytes.
    pub(crate) fn bytes(&self, pattern: &str) -> Vec<u8> {
        bytes_of(&self.text(pattern))
    }

    fn value(&self, what: &str) -> Option<String> {
        if what == "host" {
            return Some(self.host.clone());
        }
        if let Some((text, times)) = what.rsplit_once('*') {
            return Some(text.repeat(times.parse().ok()?));
        }
        let (form, moment) = what.split_once(' ').unwrap_or(("", what));
        let date = httpdate::fmt_http_date(self.moment(moment)?);
        match form {
            "" => Some(date),
            "rfc850" => Some(rfc850(&date)),
            "asctime" => Some(asctime(&date)),
            _ => None,
        }
    }

    fn moment(&self, what: &str) -> Option<SystemTime> {
        let offset = what.strip_prefix("now")?;
        if offset.is_empty() {
            return Some(self.began);
        }
        let (number, unit) = match offset.strip_suffix('d') {
            Some(days) => (days, 86_400),
            None => (offset, 1),
        };
        let seconds: i64 = number.parse().ok()?;
        let distance = Duration::from_secs(seconds.unsigned_abs() * unit);
        match seconds {
            0.. => self.began.checked_add(distance),
            _ => self.began.checked_sub(distance),
        }
    }
}

/// One byte for a character below U+0100, UTF-8 for others.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The inverse of [`bytes_of`] for bytes.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// `Sunday, 06-Nov-94 08:49:37 GMT` from `Sun, 06 Nov 1994 08:49:37 GMT`.
fn rfc850(date: &str) -> String {
    let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let weekday = weekdays.iter().find(|day| day.starts_with(&date[..3]));
    let weekday = weekday.expect("every date has a weekday");
    format!("{weekday}, {}-{}-{} {}", &date[5..7], &date[8..11], &date[14..16], &date[17..])
}

/// `Sun Nov  6 08:49:37 1994` from the same.
fn asctime(date: &str) -> String {
    let day = date[5..7].trim_start_matches('0');
    format!("{} {} {day:>2} {} {}", &date[..3], &date[8..11], &date[17..25], &date[12..16])
}

#[test]
fn places_are_filled_and_other_braces_stay() {
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let template = Template { host: "a.test".into(), began };
    for (pattern, filled) in [
        ("{host}/{x*3}{\"a\": 1}", "a.test/xxx{\"a\": 1}"),
        ("{now}", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("{now-37}{now+1d}", "Sun, 06 Nov 1994 08:49:00 GMTMon, 07 Nov 1994 08:49:37 GMT"),
        ("{rfc850 now}", "Sunday, 06-Nov-94 08:49:37 GMT"),
        ("{asctime now}", "Sun Nov  6 08:49:37 1994"),
    ] {
        assert_eq!(template.text(pattern), filled);
    }
    assert_eq!(template.bytes("\u{ff}"), [0xff]);
}
