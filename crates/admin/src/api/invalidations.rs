//! `/v1/invalidations`: cached content is forgotten, in CloudFront's words for what; what would be
//! forgotten; and how far earlier purges have come.
//!
//! One request is one command of one distribution. What is listed is what this node's log knows;
//! how far it has come the leader is asked, and nobody answers in its place.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use control::{Command, Refusal};
use model::limits::{INVALIDATIONS_LISTED_MAX, PURGE_WAIT, SUBMIT};
use model::{Distribution, Level, LogPosition, WhenFenced};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::problems::{ReachProblems, ReadProblems, WriteProblems};
use crate::api::{self, Counter, scopes};
use crate::demand::{Demand, KnownId, patience};
use crate::extract::{Asked, Given, Named};
use crate::problem::{Fault, Problem};
use crate::view::{
    self, Answer, InvalidationRequest, Invalidations, Listed, Plan, Receipt, Summary,
};

/// Invalidations listed unless more are asked for.
const LISTED: usize = 100;

/// How many are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// At most so many: 1 to 1000, 100 unless given.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
}

/// How long to wait for an earlier purge.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReachQuery {
    /// How far it must have come before the answer; without it the answer says how far it is now.
    #[param(schema_with = view::wait_if_given, required = false)]
    wait: Option<Level>,
    /// How long the answer may take: 1 to 120000; unless given 30000 with `wait`, else 10000.
    #[param(minimum = 1, maximum = 120_000)]
    timeout_ms: Option<u64>,
}

/// Forget cached content
///
/// Answered as soon as it has come as far as `wait` asks. When the time runs out first, the
/// receipt says how far it came: what is in the log is never lost and spreads by itself. With
/// `plan` nothing is forgotten: the answer counts what would be.
#[utoipa::path(
    post,
    path = "/v1/invalidations",
    operation_id = "create_invalidation",
    tag = "invalidations",
    request_body = InvalidationRequest,
    responses(
        (status = 200, description = "It is in the log, or was only planned", body = Answer),
        WriteProblems
    )
)]
pub(crate) async fn create(
    State(desk): State<Counter>,
    Given(request): Given<InvalidationRequest>,
) -> Result<Json<Answer>, Problem> {
    let state = desk.state();
    let purge = scopes::read(&state, &request)?;
    let known = state.distribution(&purge.distribution);
    let level = request.wait.unwrap_or_else(|| furthest(known.map(AsRef::as_ref)));
    let demand = Demand::of_purge(request.idempotency_key, level, request.timeout_ms)?;
    let summary = Summary::of(&purge);
    if request.plan {
        known.ok_or(Refusal::NoSuchDistribution(purge.distribution.clone()))?;
        let planned = desk.plan(purge).await;
        return Ok(Json(Answer::Plan(Plan::of(summary, planned))));
    }
    let receipt = api::submit(desk.as_ref(), Command::Invalidate(purge), demand).await?;
    let receipt = Receipt { invalidation: Some(summary), ..receipt };
    Ok(Json(Answer::Receipt(receipt)))
}

/// How far a purge can come.
fn furthest(distribution: Option<&Distribution>) -> Level {
    match distribution.map(|known| known.purging.when_fenced) {
        Some(WhenFenced::StaleOk) => Level::Applied,
        Some(WhenFenced::Revalidate | WhenFenced::Refuse) | None => Level::Fenced,
    }
}

/// The last purges
///
/// Newest first, as this node's log knows them; the log remembers a thousand.
#[utoipa::path(
    get,
    path = "/v1/invalidations",
    operation_id = "list_invalidations",
    tag = "invalidations",
    params(ListQuery),
    responses((status = 200, description = "Newest first", body = Invalidations), ReadProblems)
)]
pub(crate) async fn list(
    State(desk): State<Counter>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Invalidations>, Problem> {
    let limit = query.limit.unwrap_or(LISTED);
    if !(1..=INVALIDATIONS_LISTED_MAX).contains(&limit) {
        let detail = format!("limit: {limit} given, expected 1 to {INVALIDATIONS_LISTED_MAX}");
        return Err(Problem::new(Fault::Malformed, detail));
    }
    let state = desk.state();
    let invalidations = state.invalidations().take(limit).map(Listed::of).collect();
    Ok(Json(Invalidations { invalidations }))
}

/// How far a purge has come
///
/// Its receipt, from any node and at any time after, for as long as the log remembers it. The
/// leader is asked; times count from the commit.
#[utoipa::path(
    get,
    path = "/v1/invalidations/{id}",
    operation_id = "read_invalidation",
    tag = "invalidations",
    params(
        ("id" = String, Path, description = "Its id, or the idempotency key it was sent with"),
        ReachQuery
    ),
    responses((status = 200, description = "How far it is", body = Receipt), ReachProblems)
)]
pub(crate) async fn read(
    State(desk): State<Counter>,
    Named(id): Named<KnownId>,
    Asked(query): Asked<ReachQuery>,
) -> Result<Json<Receipt>, Problem> {
    let KnownId(id) = id;
    let ReachQuery { wait, timeout_ms } = query;
    let patience = patience(timeout_ms, if wait.is_some() { PURGE_WAIT } else { SUBMIT })?;
    let (position, summary) = find(&desk.state(), id)?;
    let level = wait.unwrap_or(Level::Committed);
    let progressed = desk.reach(position, level, patience).await;
    let progressed = progressed.ok_or_else(|| unreached(position, patience))?;
    let wanted = wait.unwrap_or(progressed.level);
    let receipt = Receipt::of(follow::Receipt { id, progressed }, None, wanted);
    Ok(Json(Receipt { invalidation: summary, ..receipt }))
}

/// Where a command stands; what it purged, if that is remembered.
fn find(
    state: &control::State,
    id: control::CommandId,
) -> Result<(LogPosition, Option<Summary>), Problem> {
    if let Some(record) = state.invalidations().find(|record| record.id == id) {
        return Ok((record.position, Some(Summary::of_record(record))));
    }
    let Some(outcome) = state.outcome(&id) else {
        let detail = format!(
            "this node's log has no {id}: it was never committed, was not applied here yet, or \
             was forgotten since"
        );
        return Err(Problem::new(Fault::NoSuchInvalidation, detail));
    };
    outcome.verdict.clone()?;
    Ok((outcome.position, None))
}

fn unreached(position: LogPosition, patience: Duration) -> Problem {
    let detail = format!(
        "it is in the log at {position}, but no leader could be asked within {} ms how far it has \
         spread: ask again",
        patience.as_millis()
    );
    Problem::new(Fault::NoLeader, detail)
}
