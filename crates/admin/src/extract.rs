//! What handlers are given: the body, the query and the name in the path, parsed; a refusal is a problem that names the key.

use std::error::Error;
use std::str::FromStr;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
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
        match Json::from_request(request, state).await {
            Ok(Json(given)) => Ok(Given(given)),
            Err(rejection) => Err(match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    let detail = format!("the body may have {COMMAND_BYTES_MAX} bytes");
                    Problem::new(Fault::TooLarge, detail)
                }
                StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                    let detail = "expected a body with Content-Type: application/json";
                    Problem::new(Fault::WrongContentType, detail)
                }
                _ => malformed("body", &rejection),
            }),
        }
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

/// The parser's own sentence names the key; axum's words around it say nothing more.
fn malformed(part: &str, rejection: &dyn Error) -> Problem {
    let inner = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
    Problem::new(Fault::Malformed, format!("{part}: {inner}"))
}
