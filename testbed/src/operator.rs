//! The operator: everything that is asked of a node through its admin API.

use std::time::Duration;

use admin::view::{Receipt, Status};
use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::Value;
use shoal::client::{self, Answer, Call};

use crate::scene::{Place, Scene};

/// How long a node may take to say how it is.
const PROBE: Duration = Duration::from_secs(5);
/// How long a command may take, beyond what it asks for itself.
const SLACK: Duration = Duration::from_secs(5);

/// Somebody with the token.
#[derive(Clone)]
pub(crate) struct Operator {
    authorization: String,
}

impl Operator {
    pub(crate) fn of(scene: &Scene) -> anyhow::Result<Operator> {
        Ok(Operator { authorization: format!("Bearer {}", scene.token()?) })
    }

    /// Any request to a node's admin port.
    pub(crate) async fn call(
        &self,
        place: &Place,
        method: Method,
        target: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let headers =
            &[("content-type", "application/json"), ("authorization", &*self.authorization)];
        let body = match method {
            Method::GET => Bytes::new(),
            _ => Bytes::from(serde_json::to_vec(body)?),
        };
        let call = Call { method, host: "localhost", target, headers, body };
        client::send(place.admin, call, patience).await
    }

    pub(crate) async fn status(&self, place: &Place) -> anyhow::Result<Status> {
        let answer = self.call(place, Method::GET, "/v1/status", &(), PROBE).await?;
        ensure!(answer.status.is_success(), "{}", client::problem(&answer));
        serde_json::from_slice(&answer.body).context("the status does not parse")
    }

    /// Creates or replaces a distribution, everywhere.
    pub(crate) async fn publish(
        &self,
        place: &Place,
        name: &str,
        body: &Value,
    ) -> anyhow::Result<()> {
        let target = format!("/v1/distributions/{name}?wait=applied");
        let patience = Duration::from_secs(15);
        let answer = self.call(place, Method::PUT, &target, body, patience).await?;
        ensure!(answer.status.is_success(), "{}", client::problem(&answer));
        Ok(())
    }

    /// A purge; how far it waits and for how long stands in `request`.
    pub(crate) async fn purge(
        &self,
        place: &Place,
        request: &admin::view::InvalidationRequest,
    ) -> anyhow::Result<Receipt> {
        let patience = Duration::from_millis(request.timeout_ms.unwrap_or(30_000)) + SLACK;
        let answer = self.call(place, Method::POST, "/v1/invalidations", request, patience).await?;
        ensure!(answer.status.is_success(), "{}", client::problem(&answer));
        serde_json::from_slice(&answer.body).context("the receipt does not parse")
    }
}

/// Whether viewers may be sent to a node; nobody has to prove anything for that.
pub(crate) async fn is_ready(place: &Place) -> bool {
    let answer = client::send(place.admin, Call::get("localhost", "/readyz"), PROBE).await;
    answer.is_ok_and(|answer| answer.status.is_success())
}
