//! `/v1/invalidations`: cached content is forgotten, in CloudFront's words for what.
//!
//! One request is one command of one distribution. What could be read as covering less than its
//! writer meant is refused: paths of several distributions, hosts with a star.

use axum::Json;
use axum::extract::State;
use control::{Command, Refusal};
use model::limits::SCOPES_MAX;
use model::{DistributionName, Host, Invalidation, Scope};

use crate::api::problems::WriteProblems;
use crate::api::{self, Counter};
use crate::demand::Demand;
use crate::extract::Given;
use crate::problem::{Fault, Problem};
use crate::view::{InvalidationRequest, Receipt};

/// Forget cached content
///
/// Answered as soon as it has come as far as `wait` asks. When the time runs out first, the
/// receipt says how far it came: what is in the log is never lost and spreads by itself.
#[utoipa::path(
    post,
    path = "/v1/invalidations",
    operation_id = "create_invalidation",
    tag = "invalidations",
    request_body = InvalidationRequest,
    responses((status = 200, description = "It is in the log", body = Receipt), WriteProblems)
)]
pub(crate) async fn create(
    State(desk): State<Counter>,
    Given(request): Given<InvalidationRequest>,
) -> Result<Json<Receipt>, Problem> {
    let InvalidationRequest { distribution, paths, all, wait, timeout_ms, idempotency_key } =
        request;
    let demand = Demand::read(idempotency_key, wait, timeout_ms)?;
    let named = distribution.map(|name| name.parse()).transpose()?;
    let scopes = if all { everything(&paths)? } else { scopes(&paths)? };
    let distribution = whose(&desk.state(), named, &scopes)?;
    let command = Command::Invalidate(Invalidation { distribution, scopes });
    Ok(Json(api::submit(desk.as_ref(), command, demand).await?))
}

fn everything(paths: &[String]) -> Result<Vec<Scope>, Problem> {
    match paths {
        [] => Ok(vec![Scope::All]),
        [..] => Err(malformed("all: true stands in place of paths: give one of the two")),
    }
}

fn scopes(paths: &[String]) -> Result<Vec<Scope>, Problem> {
    if paths.is_empty() || paths.len() > SCOPES_MAX {
        let (given, max) = (paths.len() as u64, SCOPES_MAX as u64);
        return Err(Refusal::Scopes { given, max }.into());
    }
    paths.iter().enumerate().map(|(at, path)| scope(at, path)).collect()
}

fn scope(at: usize, path: &str) -> Result<Scope, Problem> {
    let parsed = Scope::parse(path);
    let scope = parsed.map_err(|invalid| malformed(format!("paths[{at}]: {invalid}")))?;
    if scope.host().is_some_and(|host| host.as_str().contains('*')) {
        let expected = "expected one host, or only the path, which covers every host";
        return Err(malformed(format!(
            "paths[{at}]: \"{scope}\" has a star in its host: {expected}"
        )));
    }
    Ok(scope)
}

/// The distribution that all the scopes belong to: the one named, else the one that answers for the
/// hosts given.
fn whose(
    state: &control::State,
    named: Option<DistributionName>,
    scopes: &[Scope],
) -> Result<DistributionName, Problem> {
    let mut whose = named.clone();
    for (at, scope) in scopes.iter().enumerate() {
        let Some(host) = scope.host() else { continue };
        let holder = state.distribution_for(host).map(|distribution| &distribution.name);
        match (&whose, holder) {
            (Some(whose), Some(holder)) if whose == holder => {}
            (Some(whose), Some(holder)) => {
                let several = format!("belongs to the distribution {holder}, not to {whose}");
                let advice = "send one request for each distribution";
                return Err(malformed(format!("paths[{at}]: \"{scope}\" {several}: {advice}")));
            }
            (None, Some(holder)) => whose = Some(holder.clone()),
            // What a host's content was cached under stays known by name, though the alias is gone.
            (Some(_), None) if named.is_some() => {}
            (Some(_) | None, None) => return Err(homeless(at, host)),
        }
    }
    let expected =
        "distribution: expected a name, or a full URL of one of its hosts among the paths";
    whose.ok_or_else(|| malformed(expected))
}

fn homeless(at: usize, host: &Host) -> Problem {
    let detail = format!("paths[{at}]: no distribution answers for the host {host}");
    Problem::new(Fault::NoSuchDistribution, detail)
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Fault::Malformed, detail)
}
