//! What a refusal looks like: problem details (RFC 9457), one kind for each thing a caller may do
//! about it.
//!
//! The `type` is for programs, the `title` says what kind of trouble it is, the `detail` what
//! happened this time.

use axum::Json;
use axum::response::{IntoResponse, Response};
use control::Refusal;
use follow::SubmitError;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use model::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of problems.
pub(crate) const PROBLEM_TYPE: &str = "application/problem+json";

const URN: &str = "urn:shoal:problem:";

/// Why a request was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Tells the kinds of problems apart: `urn:shoal:problem:` and a word.
    #[serde(rename = "type")]
    #[schema(examples("urn:shoal:problem:alias-taken"))]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    #[schema(examples(409))]
    pub status: u16,
    /// What happened this time, and what was expected instead.
    pub detail: String,
    /// Present when it is unknown whether a command took effect: send the request again with this
    /// key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl Problem {
    /// The last word of the `type`: `alias-taken`.
    pub fn code(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or(&self.kind)
    }

    pub(crate) fn new(fault: Fault, detail: impl Into<String>) -> Problem {
        let (status, code, title) = fault.terms();
        Problem {
            kind: format!("{URN}{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            idempotency_key: None,
        }
    }
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request cannot be right, whatever the state of the mesh.
    Malformed,
    /// The command cannot enter the log.
    Unacceptable,
    /// No token, or the wrong one.
    Unauthorized,
    /// The `Host` is not ours: a web page may have been pointed here (DNS rebinding).
    ForeignHost,
    /// A web page of another origin wants to change something.
    ForeignOrigin,
    /// No such resource.
    NotFound,
    /// No such distribution.
    NoSuchDistribution,
    /// No such node.
    NoSuchNode,
    /// The resource does not know the method.
    MethodNotAllowed,
    /// Another distribution has the alias.
    AliasTaken,
    /// Another node has the name.
    NameTaken,
    /// The idempotency key was used for another command.
    KeyReused,
    /// The node still lives.
    NodeAlive,
    /// The mesh exists already.
    AlreadyFormed,
    /// There is no mesh yet.
    NotFormed,
    /// The mesh has as many as it may.
    Full,
    /// The body is too long.
    TooLarge,
    /// The body is not declared as JSON.
    WrongContentType,
    /// Nobody knows whether the command took effect.
    OutcomeUnknown,
    /// The log knows of no such purge, here and now.
    NoSuchInvalidation,
    /// Nobody could be asked how far a command has come.
    NoLeader,
}

impl Fault {
    fn terms(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Fault::Malformed => (S::BAD_REQUEST, "malformed", "The request is malformed"),
            Fault::Unacceptable => {
                (S::BAD_REQUEST, "unacceptable", "The command cannot enter the log")
            }
            Fault::Unauthorized => {
                (S::UNAUTHORIZED, "unauthorized", "The request needs the admin token")
            }
            Fault::ForeignHost => (S::FORBIDDEN, "foreign-host", "The request is not for us"),
            Fault::ForeignOrigin => {
                (S::FORBIDDEN, "foreign-origin", "The request comes from another web page")
            }
            Fault::NotFound => (S::NOT_FOUND, "not-found", "There is nothing here"),
            Fault::NoSuchDistribution => {
                (S::NOT_FOUND, "no-such-distribution", "There is no such distribution")
            }
            Fault::NoSuchNode => (S::NOT_FOUND, "no-such-node", "There is no such node"),
            Fault::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here")
            }
            Fault::AliasTaken => (S::CONFLICT, "alias-taken", "The alias is taken"),
            Fault::NameTaken => (S::CONFLICT, "name-taken", "The name is taken"),
            Fault::KeyReused => (S::CONFLICT, "key-reused", "The idempotency key is taken"),
            Fault::NodeAlive => (S::CONFLICT, "node-alive", "The node is alive"),
            Fault::AlreadyFormed => (S::CONFLICT, "already-formed", "The mesh is already formed"),
            Fault::NotFormed => (S::CONFLICT, "not-formed", "The mesh is not formed yet"),
            Fault::Full => (S::CONFLICT, "full", "The mesh has as many as it may"),
            Fault::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Fault::WrongContentType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "wrong-content-type", "The body is not JSON")
            }
            Fault::OutcomeUnknown => {
                (S::SERVICE_UNAVAILABLE, "outcome-unknown", "The outcome is unknown")
            }
            Fault::NoSuchInvalidation => {
                (S::NOT_FOUND, "no-such-invalidation", "There is no such invalidation")
            }
            Fault::NoLeader => (S::SERVICE_UNAVAILABLE, "no-leader", "No leader can be asked"),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Problem {
        Problem::new(Fault::Malformed, invalid.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let fault = match refusal {
            Refusal::AlreadyFormed => Fault::AlreadyFormed,
            Refusal::NotFormed => Fault::NotFormed,
            Refusal::KeyReused => Fault::KeyReused,
            Refusal::NameTaken { .. } => Fault::NameTaken,
            Refusal::NoSuchNode(_) => Fault::NoSuchNode,
            Refusal::RosterFull(_) | Refusal::DistributionsFull(_) => Fault::Full,
            Refusal::NoSuchDistribution(_) => Fault::NoSuchDistribution,
            Refusal::AliasTaken { .. } => Fault::AliasTaken,
            Refusal::Misfit { .. } | Refusal::Scopes { .. } | Refusal::Lease { .. } => {
                Fault::Malformed
            }
        };
        Problem::new(fault, refusal.to_string())
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Problem {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Unacceptable(reason) => Problem::new(Fault::Unacceptable, reason),
            SubmitError::Unknown { id, .. } => {
                let problem = Problem::new(Fault::OutcomeUnknown, error.to_string());
                Problem { idempotency_key: Some(id.to_string()), ..problem }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("every fault's status is one");
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"shoal\""));
        }
        response
    }
}
