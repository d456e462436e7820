//! `PURGE` on the viewer port, as Varnish's and Fastly's users know it: off unless the distribution
//! names a token, which the request must show.
//!
//! `PURGE /path` covers that URL on that host, with `*` where a pattern is meant; a `Surrogate-Key`
//! field names tags instead. `Fastly-Soft-Purge: 1` makes it soft. The answer comes once it is as
//! certain as the distribution can have it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::limits::SCOPES_MAX;
use model::purging::Digest;
use model::{Effect, Invalidation, Level, Path, Scope, Tag, WhenFenced};
use sha2::{Digest as _, Sha256};

use crate::accept::Visit;
use crate::account::Account;
use crate::body::Body;
use crate::message::Response;
use crate::refusal::Refusal;
use crate::respond;
use crate::world::World;

/// The method's name.
pub(crate) const PURGE: &str = "PURGE";

const FASTLY_KEY: HeaderName = HeaderName::from_static("fastly-key");
const SOFT: HeaderName = HeaderName::from_static("fastly-soft-purge");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// How long the answer may take: a little longer than a lease of ten seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purged {
    /// In the log, and as far as this level.
    Reached {
        /// The command's id, in hex.
        id: String,
        /// How far it came.
        level: Level,
    },
    /// It can never be in the log, for this reason.
    Refused(String),
    /// Nobody knows whether it is in the log: send it again.
    Unknown(String),
}

/// Takes a purge from a viewer.
pub(crate) async fn take(
    world: &World,
    visit: Visit,
    account: &mut Account,
) -> Result<Response, Refusal> {
    let wanted = visit.distribution.purging.viewer_token_sha256.ok_or(Refusal::Method)?;
    if !shows(&visit.headers, wanted) {
        return Err(Refusal::Token);
    }
    let purge = read(&visit).map_err(|_| Refusal::Purge)?;
    let level = match visit.distribution.purging.when_fenced {
        WhenFenced::Revalidate | WhenFenced::Refuse => Level::Fenced,
        WhenFenced::StaleOk => Level::Applied,
    };
    let purged = world.ledger.purge(purge, level, PATIENCE).await;
    Ok(answer(world, purged, level, account))
}

/// Whether the request shows the token whose digest is known. The digests are compared, so how far
/// they agree tells nothing of the token.
fn shows(headers: &HeaderMap, wanted: Digest) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let bearer = bearer.map(|(_, token)| token.trim().as_bytes());
    let key = headers.get(&FASTLY_KEY).map(HeaderValue::as_bytes);
    let tokens = [bearer, key].into_iter().flatten();
    tokens.map(Sha256::digest).any(|shown| shown[..] == wanted.0)
}

fn read(visit: &Visit) -> Result<Invalidation, model::Invalid> {
    let keys = visit.headers.get_all(&SURROGATE_KEY).iter();
    let keys = keys.filter_map(|value| value.to_str().ok());
    let tags: Vec<&str> = keys.flat_map(str::split_ascii_whitespace).collect();
    let scopes = match tags.as_slice() {
        [] => vec![scope(visit)?],
        tags => tags
            .iter()
            .take(SCOPES_MAX + 1)
            .map(|tag| Tag::parse(tag).map(Scope::Tag))
            .collect::<Result<_, _>>()?,
    };
    let soft = visit.headers.get(&SOFT).is_some_and(|value| value == "1");
    let effect = if soft { Effect::Soft } else { Effect::Hard };
    Ok(Invalidation { distribution: visit.distribution.name.clone(), scopes, effect })
}

/// The URL asked for, on the host asked for.
fn scope(visit: &Visit) -> Result<Scope, model::Invalid> {
    let host = visit.attributes.host.as_str();
    let path: &Path = &visit.attributes.path;
    Scope::parse(&format!("http://{host}{path}"))
}

fn answer(world: &World, purged: Purged, wanted: Level, account: &mut Account) -> Response {
    let (status, body) = match purged {
        Purged::Reached { id, level } if level >= wanted => (
            StatusCode::OK,
            format!("{{\"status\":\"ok\",\"id\":\"{id}\",\"level\":\"{level}\"}}\n"),
        ),
        Purged::Reached { id, level } => (
            StatusCode::ACCEPTED,
            format!("{{\"status\":\"pending\",\"id\":\"{id}\",\"level\":\"{level}\"}}\n"),
        ),
        Purged::Refused(_) => (StatusCode::BAD_REQUEST, "{\"status\":\"refused\"}\n".to_owned()),
        Purged::Unknown(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"unknown\"}\n".to_owned())
        }
    };
    account.status = status;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    respond::sign(world, &mut headers, account, status);
    Response { status, headers, body: Body::from_bytes(Bytes::from(body)) }
}
