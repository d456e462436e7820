//! Field names and values as configuration writes them: checked once, so that adding one to a
//! message cannot fail.

use std::fmt;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::limits::{FIELD_NAME_BYTES_MAX, FIELD_VALUE_BYTES_MAX};
use crate::name::Invalid;

/// A field name, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldName(HeaderName);

impl FieldName {
    /// Parses a field name in any case.
    pub fn parse(given: &str) -> Result<FieldName, Invalid> {
        let refuse = || Invalid::new("field name", given, "a token of at most 256 bytes");
        let fits = given.len() <= FIELD_NAME_BYTES_MAX;
        let name = fits.then(|| HeaderName::from_bytes(given.as_bytes()).ok());
        name.flatten().map(FieldName).ok_or_else(refuse)
    }

    /// The name that messages carry as `name`.
    pub fn of(name: &HeaderName) -> FieldName {
        FieldName(name.clone())
    }

    /// As messages carry it.
    pub fn as_header(&self) -> &HeaderName {
        &self.0
    }

    /// The name as text, in lower case.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for FieldName {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        FieldName::parse(&given)
    }
}

impl From<FieldName> for String {
    fn from(name: FieldName) -> String {
        name.0.as_str().to_owned()
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A field value: visible ASCII, spaces inside it allowed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldValue(HeaderValue);

impl FieldValue {
    /// Parses a field value.
    pub fn parse(given: &str) -> Result<FieldValue, Invalid> {
        let expected = "visible ASCII with spaces inside it at most, up to 1,783 bytes";
        let refuse = || Invalid::new("field value", given, expected);
        let printable = given.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        let fits = given.len() <= FIELD_VALUE_BYTES_MAX && printable && given.trim() == given;
        let value = fits.then(|| HeaderValue::from_str(given).ok());
        value.flatten().map(FieldValue).ok_or_else(refuse)
    }

    /// As messages carry it.
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl TryFrom<String> for FieldValue {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        FieldValue::parse(&given)
    }
}

impl From<FieldValue> for String {
    fn from(value: FieldValue) -> String {
        value.as_str().to_owned()
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_and_lose_their_case() {
        assert_eq!(FieldName::parse("X-Device").unwrap().as_str(), "x-device");
        for bad in ["", "a b", "a:", "ä", &"x".repeat(FIELD_NAME_BYTES_MAX + 1)] {
            assert!(FieldName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(FieldName::parse(&"x".repeat(FIELD_NAME_BYTES_MAX)).is_ok());
    }

    #[test]
    fn values_cannot_break_a_message() {
        assert_eq!(FieldValue::parse("max-age=1, x").unwrap().as_str(), "max-age=1, x");
        for bad in [" a", "a ", "a\r\nb: c", "a\tb", "ä", &"x".repeat(FIELD_VALUE_BYTES_MAX + 1)] {
            assert!(FieldValue::parse(bad).is_err(), "{bad:?}");
        }
        assert!(FieldValue::parse(&"x".repeat(FIELD_VALUE_BYTES_MAX)).is_ok());
        assert!(FieldValue::parse("").is_ok());
    }
}
