//! Names that people give: nodes, regions, distributions. One DNS label each, cheap to clone,
//! checked when made.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::NAME_BYTES_MAX;

/// A value that could not be parsed: what was given, and what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not valid: expected {expected}")]
pub struct Invalid {
    /// The noun that was being parsed.
    pub what: &'static str,
    /// The text that was given, shortened.
    pub given: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

impl Invalid {
    /// A refusal of `given`; long texts are cut so that a message stays one line.
    pub fn new(what: &'static str, given: &str, expected: &'static str) -> Self {
        let given = given.chars().take(120).collect();
        Invalid { what, given, expected }
    }
}

const LABEL: &str = "1 to 63 characters of a-z, 0-9 and -, not starting or ending with -";

fn label(what: &'static str, given: &str) -> Result<Arc<str>, Invalid> {
    let ordinary = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = !given.is_empty() && given.len() <= NAME_BYTES_MAX && given.bytes().all(ordinary);
    if fits && !given.starts_with('-') && !given.ends_with('-') {
        Ok(Arc::from(given))
    } else {
        Err(Invalid::new(what, given, LABEL))
    }
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(given: &str) -> Result<Self, Invalid> {
                label($what, given).map($name)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(given: String) -> Result<Self, Invalid> {
                given.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

label!(
    /// What a node is called in certificates, logs and `Via`.
    NodeName, "node name"
);
label!(
    /// A place whose nodes are near each other.
    Region, "region"
);
label!(
    /// What a distribution is called in commands and purges.
    DistributionName, "distribution name"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_dns_label() {
        for good in ["a", "edge-1", "0", &"x".repeat(63)] {
            assert!(good.parse::<NodeName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_names_what_was_given_and_what_was_expected() {
        let refusal = "Bad Name".parse::<Region>().unwrap_err().to_string();
        assert!(refusal.contains("region \"Bad Name\"") && refusal.contains("a-z"), "{refusal}");
    }
}
