//! How the origin answers for a path: what a test has told it, and what the query of a single
//! request wishes on top of that.

use std::time::Duration;

/// How it answers.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Time before the head.
    pub delay: Duration,
    /// What waits for [`super::Origin::let_go`].
    pub hold: Hold,
    /// Time before each 16 KiB of the body.
    pub pause: Duration,
    /// Bytes of the body; one line if not said.
    pub bytes: Option<usize>,
    /// The `Cache-Control` field; none if empty.
    pub cache_control: String,
    /// Sent as `Age`; and the content is that of so long ago, or it would be a lie.
    pub age: Option<Duration>,
    /// Sent as `Surrogate-Key`, if any.
    pub surrogate_keys: Vec<String>,
    /// Sent as `Cache-Tag`, if any.
    pub cache_tags: Vec<String>,
    /// What the `ETag` promises.
    pub etag: Etag,
    /// What it makes of a `Range`.
    pub ranges: Ranges,
}

/// What an origin makes of a `Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// It sends the whole.
    Ignored,
    /// It sends the part, and says beforehand that it will.
    Served,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            delay: Duration::ZERO,
            hold: Hold::Nothing,
            pause: Duration::ZERO,
            bytes: None,
            cache_control: "max-age=3600".into(),
            age: None,
            surrogate_keys: Vec::new(),
            cache_tags: Vec::new(),
            etag: Etag::Strong,
            ranges: Ranges::Ignored,
        }
    }
}

/// What of an answer waits to be let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It comes as it is made.
    Nothing,
    /// The head, and so everything.
    Head,
    /// What follows the first 16 KiB of the body.
    Body,
}

/// What an entity tag promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etag {
    /// Another for each version: `"VERSION-BYTES"`.
    Strong,
    /// The same, but weak.
    Weak,
    /// Weak, and the same for all versions: the origin finds them equivalent.
    Same,
    /// There is none.
    Without,
}

impl Etag {
    pub(super) fn of(self, version: u64, bytes: usize) -> Option<String> {
        match self {
            Etag::Strong => Some(format!("\"{version}-{bytes}\"")),
            Etag::Weak => Some(format!("W/\"{version}-{bytes}\"")),
            Etag::Same => Some("W/\"same\"".into()),
            Etag::Without => None,
        }
    }
}

/// What the query of a request wishes.
#[derive(Clone, Copy)]
pub(super) struct Wishes<'a>(pub(super) &'a str);

impl Wishes<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| (name == key).then_some(value))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }

    /// What it wishes to be held, until [`super::Origin::release`].
    pub(super) fn hold(&self) -> Hold {
        match self.value("held") {
            Some("head") => Hold::Head,
            Some("body") => Hold::Body,
            Some(_) | None => Hold::Nothing,
        }
    }

    /// The manner that it makes of `manner`.
    pub(super) fn over(&self, manner: Manner) -> Manner {
        let bytes = self.number("bytes").and_then(|bytes| usize::try_from(bytes).ok());
        let max_age = self.number("max-age").map(|seconds| format!("max-age={seconds}"));
        Manner {
            bytes: bytes.or(manner.bytes),
            pause: self.number("pause-ms").map_or(manner.pause, Duration::from_millis),
            cache_control: max_age.unwrap_or(manner.cache_control),
            ranges: match self.value("ranges") {
                Some("served") => Ranges::Served,
                Some(_) | None => manner.ranges,
            },
            ..manner
        }
    }
}
