//! `/v1/nodes`: a node that is gone for good leaves the roster.
//!
//! The command names the instance behind the name, so that a node which came back meanwhile under
//! that name is not the one removed.

use axum::Json;
use axum::extract::State;
use control::{Command, Refusal};
use model::{Level, NodeName};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::problems::WriteProblems;
use crate::api::{self, Counter};
use crate::demand::Demand;
use crate::extract::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::view::{self, Receipt};

/// How a node is removed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveQuery {
    /// Remove it although it seems alive.
    #[serde(default)]
    force: bool,
    /// How far the command must come before it is answered: `applied` unless given.
    #[param(schema_with = view::wait, required = false)]
    wait: Option<Level>,
    /// How long the answer may take: 1 to 120000, 10000 unless given.
    #[param(minimum = 1, maximum = 120_000)]
    timeout_ms: Option<u64>,
    /// Makes repetition harmless: 1 to 64 characters, a new one for every other request.
    idempotency_key: Option<String>,
}

/// Remove a node from the roster
///
/// Its keys pass to the nodes that remain. A node that seems alive is refused, since it would be
/// cut off from the mesh while viewers still reach it: stop it first.
#[utoipa::path(
    delete,
    path = "/v1/nodes/{name}",
    operation_id = "remove_node",
    tag = "mesh",
    params(("name" = String, Path, description = "The node's name"), RemoveQuery),
    responses(
        (status = 200, description = "It left", body = Receipt),
        WriteProblems
    )
)]
pub(crate) async fn remove(
    State(desk): State<Counter>,
    Named(name): Named<NodeName>,
    Asked(query): Asked<RemoveQuery>,
) -> Result<Json<Receipt>, Problem> {
    let RemoveQuery { force, wait, timeout_ms, idempotency_key } = query;
    let demand = Demand::read(idempotency_key, wait, timeout_ms)?;
    let member = desk.state().member(&name).cloned();
    let member = member.ok_or_else(|| Refusal::NoSuchNode(name.clone()))?;
    let lives = |node: &view::NodeStatus| node.name == name.as_str() && node.alive;
    if !force && desk.status().nodes.iter().any(lives) {
        let detail = format!("{name} is alive: stop it first, or add ?force=true");
        return Err(Problem::new(Fault::NodeAlive, detail));
    }
    let command = Command::Leave { name, instance: member.instance };
    Ok(Json(api::submit(desk.as_ref(), command, demand).await?))
}
