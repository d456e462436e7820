//! The labels of metrics and the words they take.
//!
//! Few and fixed, so that the number of series is known: never a name, host or URL that somebody
//! else chose.

use follow::{Receipt, SubmitError};
use model::Level;
use prometheus_client::encoding::EncodeLabelSet;
use serve::Account;
use serve::account::{self, Source};

/// How a node came by an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Hit,
    Stale,
    Revalidated,
    Miss,
    /// Never cacheable, handed on to the origin.
    Pass,
    Refused,
}

impl Verdict {
    pub(super) const ALL: [Verdict; 6] = [
        Verdict::Hit,
        Verdict::Stale,
        Verdict::Revalidated,
        Verdict::Miss,
        Verdict::Pass,
        Verdict::Refused,
    ];

    pub(super) fn of(account: &Account) -> Verdict {
        match (account.verdict, &account.source) {
            (account::Verdict::Hit, _) => Verdict::Hit,
            (account::Verdict::Stale, _) => Verdict::Stale,
            (account::Verdict::Revalidated(_), _) => Verdict::Revalidated,
            (account::Verdict::Forwarded(_), _) => Verdict::Miss,
            (account::Verdict::None, Source::Origin) => Verdict::Pass,
            (account::Verdict::None, Source::Here | Source::Peer(..)) => Verdict::Refused,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Verdict::Hit => "hit",
            Verdict::Stale => "stale",
            Verdict::Revalidated => "revalidated",
            Verdict::Miss => "miss",
            Verdict::Pass => "pass",
            Verdict::Refused => "refused",
        }
    }
}

/// What became of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It came as far as was waited for.
    Reached,
    /// It is in the log, and had not come as far when the time ran out.
    Short,
    Refused,
    Unknown,
}

impl Outcome {
    pub(super) const ALL: [Outcome; 4] =
        [Outcome::Reached, Outcome::Short, Outcome::Refused, Outcome::Unknown];

    pub(super) fn of(wanted: Level, answer: &Result<Receipt, SubmitError>) -> Outcome {
        match answer {
            Ok(receipt) if receipt.progressed.level >= wanted => Outcome::Reached,
            Ok(_) => Outcome::Short,
            Err(SubmitError::Refused(_) | SubmitError::Unacceptable(_)) => Outcome::Refused,
            Err(SubmitError::Unknown { .. }) => Outcome::Unknown,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Outcome::Reached => "reached",
            Outcome::Short => "short",
            Outcome::Refused => "refused",
            Outcome::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TierLabels {
    pub(super) tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VerdictLabels {
    pub(super) tier: &'static str,
    pub(super) verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) level: String,
    pub(super) outcome: &'static str,
}
