//! A case: a promise, the section that makes it, and the exchanges that show whether it is kept.
//!
//! Everything about an exchange is written in its step, and little has to be: a step with an
//! `origin` expects the origin to be asked once and the viewer to get its answer; one without
//! expects that nobody asks the origin, and that the viewer gets what an earlier step brought.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Bytes of a large body that number one place of it.
const PLACE_BYTES: usize = 8;

/// One file of cases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    /// Distributions beside the ordinary one, by name: what differs from the ordinary one.
    #[serde(default)]
    pub(crate) distribution: toml::Table,
    /// The cases.
    #[serde(default)]
    pub(crate) case: Vec<Case>,
}

/// One promise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The promise.
    pub(crate) name: String,
    /// Where it is made.
    pub(crate) section: String,
    /// One of the file's distributions.
    pub(crate) distribution: Option<String>,
    /// What happens, in order.
    pub(crate) steps: Vec<Step>,
}

/// One exchange.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    /// Seconds to wait first.
    pub(crate) wait: f64,

    /// Method and target; `GET /` if not said.
    pub(crate) request: Option<String>,
    /// Field lines of the request.
    pub(crate) send: Vec<String>,
    /// Body of the request.
    pub(crate) body: Option<String>,
    /// All bytes of the request, instead.
    pub(crate) raw: Option<String>,
    /// How many viewers ask at once, if more than one.
    pub(crate) viewers: Option<usize>,

    /// Status and field lines of the origin's answer.
    pub(crate) origin: Vec<String>,
    /// The same for further requests of this step; the last one stands for all that follow.
    pub(crate) origin_next: Vec<Vec<String>>,
    /// The body of the origin's answer, if not one that names the step.
    pub(crate) origin_body: Option<String>,
    /// All bytes of the origin's answer, instead; the connection closes behind them.
    pub(crate) origin_raw: Option<String>,
    /// What the origin does behind those bytes, or instead of answering.
    pub(crate) origin_then: Option<Then>,
    /// Milliseconds before the origin answers.
    pub(crate) origin_delay_ms: u64,
    /// A large body.
    pub(crate) object: Option<Object>,
    /// How often the origin is asked.
    pub(crate) asked: Option<Count>,
    /// What the last request to the origin must look like; see [`crate::conformance::fields`].
    pub(crate) saw: Vec<String>,
    /// The request line that the origin must have got.
    pub(crate) saw_line: Option<String>,
    /// The body that the origin must have got.
    pub(crate) saw_body: Option<String>,

    /// The step whose answer the viewer gets.
    pub(crate) of: Option<usize>,
    /// The status that the viewer gets, if not that of the answer.
    pub(crate) status: Option<Status>,
    /// The statuses of all responses to `raw`, in order.
    pub(crate) statuses: Vec<u16>,
    /// What the response must look like; see [`crate::conformance::fields`].
    pub(crate) gets: Vec<String>,
    /// The body that the viewer gets, if not that of the answer.
    pub(crate) got: Option<String>,
    /// The coding in which the viewer gets the answer's body: it is then only shorter. What it
    /// decodes to, `clients` looks at.
    pub(crate) encoded: Option<String>,
    /// The part of the answer's body that the viewer gets: first and last byte.
    pub(crate) part: Option<[usize; 2]>,
    /// The parts that the viewer gets as `multipart/byteranges`.
    pub(crate) parts: Vec<[usize; 2]>,
    /// Interim responses that come before, each a status and what it must look like.
    pub(crate) interim: Vec<Vec<String>>,
    /// Trailers that come behind the body.
    pub(crate) trailers: Vec<String>,
    /// How the exchange ends.
    pub(crate) ends: Option<End>,
    /// Seconds within which the step may be tried again until it holds.
    pub(crate) within: f64,
}

/// What the origin does behind its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Then {
    /// Closes the connection.
    Close,
    /// Keeps it open and takes the next request.
    Keep,
    /// Keeps it open and says nothing more.
    Stall,
}

/// A large body that tells every place of it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    /// Its length.
    pub(crate) bytes: usize,
    /// Whether the origin answers `Range` with 206.
    #[serde(default)]
    pub(crate) ranges: bool,
    /// Which body it is: another version has other bytes.
    #[serde(default)]
    pub(crate) version: usize,
}

/// A status, or any of several where a standard leaves the choice.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Status {
    /// This one.
    Exactly(u16),
    /// One of these.
    Any(Vec<u16>),
}

impl Status {
    pub(crate) fn includes(&self, status: u16) -> bool {
        match self {
            Status::Exactly(one) => *one == status,
            Status::Any(several) => several.contains(&status),
        }
    }
}

/// How often the origin is asked: exactly, or between two numbers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    /// Exactly so often.
    Exactly(usize),
    /// So often.
    Between([usize; 2]),
}

impl Count {
    pub(crate) fn least(self) -> usize {
        match self {
            Count::Exactly(count) | Count::Between([count, _]) => count,
        }
    }

    pub(crate) fn most(self) -> usize {
        match self {
            Count::Exactly(count) | Count::Between([_, count]) => count,
        }
    }
}

/// How an exchange ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// With a whole message.
    Whole,
    /// With a whole message, and a closed connection behind it.
    Closed,
    /// In the middle of a message.
    Cut,
    /// With a closed connection and no message at all.
    Nothing,
}

impl Step {
    /// Whether the origin is to answer.
    pub(crate) fn has_origin(&self) -> bool {
        !self.origin.is_empty() || self.origin_raw.is_some() || self.origin_then.is_some()
    }

    /// How often the origin is to be asked.
    pub(crate) fn expected_asks(&self) -> Count {
        self.asked.unwrap_or(Count::Exactly(usize::from(self.has_origin())))
    }

    /// The status of the origin's answer.
    pub(crate) fn origin_status(&self) -> Option<u16> {
        self.origin.first().and_then(|line| line.get(..3)?.parse().ok())
    }

    /// Whether the answer brings a body of its own, for this step and later ones.
    pub(crate) fn brings(&self) -> bool {
        self.origin_status().is_some_and(|status| status != 304)
    }
}

impl Object {
    /// Its body from the byte `first` to before the byte `end`: numbers of eight bytes, so that
    /// every place tells where it is.
    pub(crate) fn part(&self, first: usize, end: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(end - first + 2 * PLACE_BYTES);
        for place in first / PLACE_BYTES..end.div_ceil(PLACE_BYTES) {
            let number = (place + self.version * 1_000_000) % 100_000_000;
            let mut digits = [b'0'; PLACE_BYTES];
            let mut left = number;
            for digit in digits.iter_mut().rev() {
                *digit += u8::try_from(left % 10).expect("a digit");
                left /= 10;
            }
            bytes.extend_from_slice(&digits);
        }
        bytes.drain(..first % PLACE_BYTES);
        bytes.truncate(end - first);
        bytes
    }

    /// All of its body.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.part(0, self.bytes)
    }
}

/// Where the cases are: ours, or somebody's own in the directory that this variable names.
pub(crate) fn directory() -> PathBuf {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/cases");
    std::env::var_os("SHOAL_CONFORMANCE_CASES").map_or_else(ours, PathBuf::from)
}

/// The cases of `theme`; none if there is no such file.
///
/// # Panics
/// If it does not parse.
pub(crate) fn read(directory: &Path, theme: &str) -> Cases {
    let path = directory.join(format!("{theme}.toml"));
    let Ok(text) = std::fs::read_to_string(&path) else { return Cases::default() };
    match toml::from_str(&text) {
        Ok(cases) => cases,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
