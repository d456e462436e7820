//! `/v1/status`: the mesh as this node sees it.
//!
//! Hearsay included: liveness and load are gossip's, positions and roster the log's. The answer is
//! never older than this node's own knowledge, and never newer.

use axum::Json;
use axum::extract::State;

use crate::api::Counter;
use crate::api::problems::ReadProblems;
use crate::view::Status;

/// The mesh as this node sees it
#[utoipa::path(
    get,
    path = "/v1/status",
    operation_id = "read_status",
    tag = "mesh",
    responses(
        (status = 200, description = "Who belongs, who lives, how far the log is", body = Status),
        ReadProblems
    )
)]
pub(crate) async fn read(State(desk): State<Counter>) -> Json<Status> {
    Json(desk.status())
}
