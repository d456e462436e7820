//! The account of one request: what happened to it, said once, when it is answered.

use std::time::Duration;

use caching::Why;
use http::{Method, StatusCode};
use model::{Attributes, DistributionName, Host, Moment, NodeName, Path, Tier};

/// How this node came by the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was looked up: refused before, or never cacheable.
    #[default]
    None,
    /// From the cache, fresh.
    Hit,
    /// From the cache, stale, for the reason that the terms allow.
    Stale,
    /// Asked further on, and the stored copy proved still good.
    Revalidated(Why),
    /// Asked further on.
    Forwarded(Why),
}

/// Where an answer that was not in the cache came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// This node itself.
    #[default]
    Here,
    /// A peer, in the tier in which it was asked.
    Peer(NodeName, Tier),
    /// The origin.
    Origin,
}

/// What happened to one request on one node.
#[derive(Clone, Debug)]
pub struct Account {
    /// When it arrived.
    pub began: Moment,
    /// In which tier this node was asked.
    pub tier: Tier,
    /// The method.
    pub method: Method,
    /// The distribution, once known.
    pub distribution: Option<DistributionName>,
    /// The host, once parsed.
    pub host: Option<Host>,
    /// The canonical path, once parsed.
    pub path: Option<Path>,
    /// How the answer was come by.
    pub verdict: Verdict,
    /// Where it came from.
    pub source: Source,
    /// Whether it waited for a fetch that another request had begun.
    pub collapsed: bool,
    /// Whether the response was kept.
    pub stored: bool,
    /// Why it was not, or why the request was refused.
    pub detail: Option<&'static str>,
    /// The status that was sent.
    pub status: StatusCode,
    /// Bytes of the body, where known.
    pub body_bytes: Option<u64>,
    /// From arrival to the head of the answer.
    pub took: Duration,
}

impl Account {
    /// Opens an account.
    pub(crate) fn open(began: Moment, tier: Tier, method: Method) -> Account {
        Account {
            began,
            tier,
            method,
            distribution: None,
            host: None,
            path: None,
            verdict: Verdict::None,
            source: Source::Here,
            collapsed: false,
            stored: false,
            detail: None,
            status: StatusCode::OK,
            body_bytes: None,
            took: Duration::ZERO,
        }
    }

    /// Notes what was asked for.
    pub(crate) fn note(&mut self, attributes: &Attributes) {
        self.distribution = Some(attributes.distribution.clone());
        self.host = Some(attributes.host.clone());
        self.path = Some(attributes.path.clone());
    }

    /// Closes the account: the head of the answer is ready.
    pub(crate) fn close(&mut self, now: Moment, status: StatusCode, body_bytes: Option<u64>) {
        self.took = now.since(self.began);
        self.status = status;
        self.body_bytes = body_bytes;
    }

    /// Whether this node answered from what it had.
    pub fn is_hit(&self) -> bool {
        match self.verdict {
            Verdict::Hit | Verdict::Stale => true,
            Verdict::None | Verdict::Revalidated(_) | Verdict::Forwarded(_) => false,
        }
    }
}
