//! What handlers are given: the body, the query and the name in the path, parsed.
//!
//! A refusal is a problem that names the key and what was expected. Unknown keys are refused by the
//! types themselves; nothing is ever guessed from what was given.

use std::error::Error;
use std::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use model::Invalid;
use model::limits::COMMAND_BYTES_MAX;
use serde::de::DeserializeOwned;

use crate::problem::{Fault, Problem};

/// The JSON body.
pub(crate) struct Given<T>(pub(crate) T);

/// The query.
pub(crate) struct Asked<T>(pub(crate) T);

/// The name at the end of the path.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "expected a body with Content-Type: application/json";
            return Err(Problem::new(Fault::WrongContentType, detail));
        }
        let body = Bytes::from_request(request, state).await.map_err(unread)?;
        // An array would be taken for the values of a struct in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::new(Fault::Malformed, "body: expected a JSON object"));
        }
        let parsed = Json::from_bytes(&body);
        parsed.map(|Json(given)| Given(given)).map_err(|rejection| malformed("body", &rejection))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(rejection) => Err(malformed("query", &rejection)),
        }
    }
}

impl<T: FromStr<Err = Invalid>, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Named(name.parse()?)),
            Err(rejection) => Err(malformed("path", &rejection)),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unread(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the body may have {COMMAND_BYTES_MAX} bytes");
            Problem::new(Fault::TooLarge, detail)
        }
        _ => malformed("body", &rejection),
    }
}

/// The parser's own sentence names the key; axum's words around it say nothing more.
fn malformed(part: &str, rejection: &dyn Error) -> Problem {
    let inner = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
    Problem::new(Fault::Malformed, format!("{part}: {inner}"))
}
