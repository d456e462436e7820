//! What machines ask: probes, metrics, and the document that describes the rest.
//!
//! Probes answer in plain text, and to everybody: what a load balancer or a service manager can
//! read of them is one word, or what is waited for.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::api::problems::ReadProblems;
use crate::api::{self, Counter};
use crate::desk::Readiness;
use crate::metrics::METRICS_TYPE;

/// Whether the process runs
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "probe_health",
    tag = "probes",
    security(()),
    responses((status = 200, description = "It runs", body = str, content_type = "text/plain"))
)]
pub(crate) async fn health() -> &'static str {
    "ok"
}

/// Whether this node should be sent viewers
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "probe_readiness",
    tag = "probes",
    security(()),
    responses(
        (status = 200, description = "It should", body = str, content_type = "text/plain"),
        (status = 503, description = "What it waits for", body = str, content_type = "text/plain")
    )
)]
pub(crate) async fn readiness(State(desk): State<Counter>) -> (StatusCode, String) {
    match desk.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready".to_owned()),
        Readiness::Waiting(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// This node's metrics in OpenMetrics text
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "read_metrics",
    tag = "probes",
    responses(
        (
            status = 200,
            description = "Counters, gauges and histograms whose names begin with `shoal_`",
            body = str,
            content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        ),
        ReadProblems
    )
)]
pub(crate) async fn metrics(State(desk): State<Counter>) -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS_TYPE)], desk.metrics())
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "read_openapi",
    tag = "probes",
    responses(
        (
            status = 200,
            description = "The OpenAPI document of this API",
            body = Object,
            content_type = "application/json"
        ),
        ReadProblems
    )
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], api::openapi())
}
