//! `/v1/distributions`: what the mesh serves. Each is written whole, and may be tried out before.
//!
//! A dry run asks a copy of the facts, through the log's own `apply`, so it can never disagree with
//! what the log would say. Nothing here judges a distribution itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use control::{Command, CommandId, Envelope, Fingerprint, Refusal};
use http::StatusCode;
use model::{Distribution, DistributionName, Level, LogPosition};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::problems::{ReadProblems, WriteProblems};
use crate::api::{self, Counter};
use crate::demand::Demand;
use crate::extract::{Asked, Given, Named};
use crate::problem::{Fault, Problem};
use crate::view::{self, Change, DistributionReceipt, Distributions};

/// How a distribution is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PutQuery {
    /// Only say what writing it would do, as far as this node knows.
    #[serde(default)]
    dry_run: bool,
    /// How far the command must come before it is answered: `applied` unless given.
    #[param(schema_with = view::wait, required = false)]
    wait: Option<Level>,
    /// How long the answer may take: 1 to 120000, 10000 unless given.
    #[param(minimum = 1, maximum = 120_000)]
    timeout_ms: Option<u64>,
    /// Makes repetition harmless: 1 to 64 characters, a new one for every other request.
    idempotency_key: Option<String>,
}

/// How a distribution is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// How far the command must come before it is answered: `applied` unless given.
    #[param(schema_with = view::wait, required = false)]
    wait: Option<Level>,
    /// How long the answer may take: 1 to 120000, 10000 unless given.
    #[param(minimum = 1, maximum = 120_000)]
    timeout_ms: Option<u64>,
    /// Makes repetition harmless: 1 to 64 characters, a new one for every other request.
    idempotency_key: Option<String>,
}

/// Every distribution
#[utoipa::path(
    get,
    path = "/v1/distributions",
    operation_id = "list_distributions",
    tag = "distributions",
    responses((status = 200, description = "By name", body = Distributions), ReadProblems)
)]
pub(crate) async fn list(State(desk): State<Counter>) -> Json<Distributions> {
    Json(Distributions { distributions: desk.state().distributions().cloned().collect() })
}

/// One distribution
#[utoipa::path(
    get,
    path = "/v1/distributions/{name}",
    operation_id = "read_distribution",
    tag = "distributions",
    params(("name" = String, Path, description = "The distribution's name")),
    responses(
        (status = 200, description = "As it was written", body = view::schema::Distribution),
        ReadProblems
    )
)]
pub(crate) async fn read(
    State(desk): State<Counter>,
    Named(name): Named<DistributionName>,
) -> Result<Json<Arc<Distribution>>, Problem> {
    let found = desk.state().distribution(&name).cloned();
    Ok(Json(found.ok_or(Refusal::NoSuchDistribution(name))?))
}

/// Make or replace a distribution
///
/// What is cached for it stays; a change of its lifetimes counts for what is fetched from then on.
#[utoipa::path(
    put,
    path = "/v1/distributions/{name}",
    operation_id = "put_distribution",
    tag = "distributions",
    params(("name" = String, Path, description = "The distribution's name"), PutQuery),
    request_body = view::schema::Distribution,
    responses(
        (status = 200, description = "Replaced, or tried out", body = DistributionReceipt),
        (status = 201, description = "Made", body = DistributionReceipt),
        WriteProblems
    )
)]
pub(crate) async fn put(
    State(desk): State<Counter>,
    Named(name): Named<DistributionName>,
    Asked(query): Asked<PutQuery>,
    Given(distribution): Given<Distribution>,
) -> Result<(StatusCode, Json<DistributionReceipt>), Problem> {
    let PutQuery { dry_run, wait, timeout_ms, idempotency_key } = query;
    let demand = Demand::read(idempotency_key, wait, timeout_ms)?;
    if distribution.name != name {
        let given = &distribution.name;
        let detail = format!("body: name: \"{given}\" given, expected \"{name}\" as in the path");
        return Err(Problem::new(Fault::Malformed, detail));
    }
    let state = desk.state();
    let change = change(&state, &distribution);
    let command = Command::PutDistribution(distribution);
    if dry_run {
        rehearse(&state, command)?;
        return Ok((StatusCode::OK, Json(DistributionReceipt { change, receipt: None })));
    }
    let receipt = Some(api::submit(desk.as_ref(), command, demand).await?);
    let made = change == Change::Created;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(DistributionReceipt { change, receipt })))
}

/// Delete a distribution, and everything cached for it
#[utoipa::path(
    delete,
    path = "/v1/distributions/{name}",
    operation_id = "delete_distribution",
    tag = "distributions",
    params(("name" = String, Path, description = "The distribution's name"), DeleteQuery),
    responses((status = 200, description = "Gone", body = DistributionReceipt), WriteProblems)
)]
pub(crate) async fn delete(
    State(desk): State<Counter>,
    Named(name): Named<DistributionName>,
    Asked(query): Asked<DeleteQuery>,
) -> Result<Json<DistributionReceipt>, Problem> {
    let DeleteQuery { wait, timeout_ms, idempotency_key } = query;
    let demand = Demand::read(idempotency_key, wait, timeout_ms)?;
    let command = Command::DeleteDistribution(name);
    let receipt = Some(api::submit(desk.as_ref(), command, demand).await?);
    Ok(Json(DistributionReceipt { change: Change::Deleted, receipt }))
}

fn change(state: &control::State, distribution: &Distribution) -> Change {
    match state.distribution(&distribution.name) {
        None => Change::Created,
        Some(known) if **known == *distribution => Change::Unchanged,
        Some(_) => Change::Changed,
    }
}

/// Asks a copy of the facts what the log would say.
fn rehearse(state: &control::State, command: Command) -> Result<(), Refusal> {
    let mut copy = state.clone();
    let unused = (0..).map(CommandId).find(|id| state.outcome(id).is_none());
    let id = unused.expect("fewer outcomes are remembered than there are ids");
    let applied = state.applied();
    let next = LogPosition::new(applied.epoch(), applied.index() + 1);
    let outcomes = copy.apply(next, &[(Envelope { id, command }, Fingerprint::default())]);
    outcomes.into_iter().try_for_each(|outcome| outcome.verdict)
}
