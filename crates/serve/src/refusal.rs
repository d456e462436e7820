//! Why a request gets an answer that is ours and not the origin's. Such answers are never cached.

use http::StatusCode;
use policy::Denied;
use wire::exchange::Failure;

/// A request that ends here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The `Host` is no host.
    #[error("the Host field is missing or is not a host name")]
    Host,
    /// The target is no path.
    #[error("the request target is not a path of printable ASCII, or is too long")]
    Target,
    /// More fields, or bytes of fields, than the distribution takes.
    #[error("the request has more or longer fields than this distribution takes")]
    Headers,
    /// A longer body than the behavior takes.
    #[error("the body of the request is longer than is taken here")]
    Body,
    /// What its behavior does not let in.
    #[error("{}", reason(*.0))]
    Denied(Denied),
    /// A method that a cache must not pass on.
    #[error("this method is not served here")]
    Method,
    /// The request has been through this mesh before, for the same distribution (RFC 8586).
    #[error("this request goes round in a circle: it came back from where it was sent")]
    Loop,
    /// The viewer expects something other than `100-continue` (RFC 9110 §10.1.1).
    #[error("nobody here knows what this request expects")]
    Expectation,
    /// This node serves no viewers.
    #[error("this node is not an edge: viewers are served elsewhere")]
    NotAnEdge,
    /// No distribution has the host as an alias.
    #[error("no distribution answers for this host")]
    UnknownHost,
    /// `only-if-cached`, and it is not (RFC 9111 §5.2.1.7).
    #[error("not in the cache, and the request asked for nothing else")]
    OnlyIfCached,
    /// What was fetched was purged, again and again.
    #[error("the content kept changing while it was fetched")]
    Restarted,
    /// The node cannot know whether its copies were purged, and the distribution wants no answer
    /// then (rule R23).
    #[error("this node has lost touch with the mesh and cannot tell what was purged")]
    Fenced,
    /// A `PURGE` without the distribution's token.
    #[error("this purge does not show the token of its distribution")]
    Token,
    /// A `PURGE` of something that no purge can name.
    #[error("this purge names no URL, pattern or tag")]
    Purge,
    /// The origin failed.
    #[error("{}", sentence(*.0))]
    Failed(Failure),
}

fn reason(denied: Denied) -> &'static str {
    match denied {
        Denied::Method(_) => "this method is not allowed here",
        Denied::Redirect(_) => "ask for the same URL with https",
        Denied::HttpsOnly => "only https will do here",
    }
}

fn sentence(failure: Failure) -> &'static str {
    match failure {
        Failure::Unreachable => "the origin cannot be reached, or did not answer in HTTP",
        Failure::TimedOut => "the origin did not answer in time",
        Failure::Misdirected => "the distribution names no origin",
        Failure::Overloaded => "too many requests to the origin at once",
    }
}

impl Refusal {
    /// The status to send.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Refusal::Host | Refusal::Target | Refusal::Purge => StatusCode::BAD_REQUEST,
            Refusal::Token => StatusCode::FORBIDDEN,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Loop => StatusCode::LOOP_DETECTED,
            Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
            Refusal::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Denied(denied) => match denied {
                Denied::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
                Denied::Redirect(status) => *status,
                Denied::HttpsOnly => StatusCode::FORBIDDEN,
            },
            Refusal::NotAnEdge | Refusal::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Refusal::OnlyIfCached => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Restarted | Refusal::Fenced => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Failed(failure) => match failure {
                Failure::Unreachable => StatusCode::BAD_GATEWAY,
                Failure::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                Failure::Misdirected | Failure::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }

    /// One word for the `detail` of `Cache-Status` and for logs.
    pub(crate) fn detail(&self) -> &'static str {
        match self {
            Refusal::Host => "bad-host",
            Refusal::Target => "bad-target",
            Refusal::Method => "method",
            Refusal::Loop => "cdn-loop",
            Refusal::Expectation => "expectation",
            Refusal::Token => "bad-token",
            Refusal::Headers => "large-head",
            Refusal::Body => "large-body",
            Refusal::Denied(denied) => match denied {
                Denied::Method(_) => "method",
                Denied::Redirect(_) => "to-https",
                Denied::HttpsOnly => "https-only",
            },
            Refusal::Purge => "bad-purge",
            Refusal::NotAnEdge => "not-an-edge",
            Refusal::UnknownHost => "unknown-host",
            Refusal::OnlyIfCached => "only-if-cached",
            Refusal::Restarted => "purged-meanwhile",
            Refusal::Fenced => "fenced",
            Refusal::Failed(failure) => match failure {
                Failure::Unreachable => "origin-unreachable",
                Failure::TimedOut => "origin-timed-out",
                Failure::Misdirected => "no-origin",
                Failure::Overloaded => "origin-overloaded",
            },
        }
    }
}
