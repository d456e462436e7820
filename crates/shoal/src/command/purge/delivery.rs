//! Delivery: a purge is sent under a key until its receipt is here or the time is up.
//!
//! Sent again under its key it is still one purge, so a connection that breaks costs nothing but
//! time. What is not known is said to be unknown, never to have failed or succeeded (I7).

use std::time::Duration;

use admin::Problem;
use admin::view::{Answer, InvalidationRequest};
use anyhow::bail;
use http::Method;
use tokio::time::{Instant, sleep};

use crate::client::{self, Admin, NotConnected, problem};

/// Beyond what the node waits itself, for its answer to arrive.
const GRACE: Duration = Duration::from_secs(5);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(250);

/// What became of a purge, as far as anybody knows.
pub(super) enum Delivered {
    /// The node's answer.
    Answered(Box<Answer>),
    /// Nobody knows.
    Unknown(Problem),
}

/// Sends `request`, which has a key, and sends it again until `patience` is over.
pub(super) async fn deliver(
    admin: &Admin,
    mut request: InvalidationRequest,
    patience: Duration,
) -> anyhow::Result<Delivered> {
    let deadline = Instant::now() + patience;
    let mut unknown = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        request.timeout_ms = u64::try_from(left.as_millis()).ok();
        let body = serde_json::to_vec(&request)?.into();
        match admin.call(Method::POST, "/v1/invalidations", body, left + GRACE).await {
            Ok(answer) if answer.status.is_success() => {
                let answer = serde_json::from_slice(&answer.body)?;
                return Ok(Delivered::Answered(Box::new(answer)));
            }
            Ok(answer) if answer.status.is_server_error() => {
                unknown = Some(written(&request, &answer));
            }
            Ok(answer) => bail!("{}", problem(&answer)),
            // Nothing was ever sent: there is nothing to be unsure of.
            Err(error) if unknown.is_none() && error.is::<NotConnected>() => return Err(error),
            Err(error) => unknown = Some(lost(&request, &error)),
        }
        if Instant::now() + RETRY >= deadline {
            let unknown = unknown.unwrap_or_else(|| lost(&request, &anyhow::anyhow!("no time")));
            return Ok(Delivered::Unknown(unknown));
        }
        sleep(RETRY).await;
    }
}

/// The node's own word for it, under the key that we sent.
fn written(request: &InvalidationRequest, answer: &client::Answer) -> Problem {
    let parsed = serde_json::from_slice::<Problem>(&answer.body);
    let parsed = parsed.unwrap_or_else(|_| lost(request, &anyhow::anyhow!(problem(answer))));
    Problem { idempotency_key: request.idempotency_key.clone(), ..parsed }
}

fn lost(request: &InvalidationRequest, error: &anyhow::Error) -> Problem {
    Problem {
        kind: "urn:shoal:problem:outcome-unknown".to_owned(),
        title: "The outcome is unknown".to_owned(),
        status: 503,
        detail: format!("{error:#}"),
        idempotency_key: request.idempotency_key.clone(),
    }
}
