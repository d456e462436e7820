//! How far a purge has come while one waits for it: a line on the terminal, written over and over.
//!
//! It asks beside the request that waits, and never in its place: whatever happens here, the
//! receipt is the other's.

use std::convert::Infallible;
use std::time::Duration;

use admin::view::Receipt;
use bytes::Bytes;
use http::Method;
use tokio::time::{Instant, sleep};

use crate::client::Admin;
use crate::output;

/// A purge that takes no longer shows no progress.
const FIRST: Duration = Duration::from_millis(300);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long the node may take to find the leader.
const PATIENCE_MS: u32 = 1_000;
/// How long its answer is waited for.
const DEADLINE: Duration = Duration::from_secs(2);

/// Runs `waiting` to its end and shows meanwhile how far the purge under `key` has come, if
/// somebody looks.
pub(crate) async fn shown_during<T>(
    admin: &Admin,
    key: &str,
    waiting: impl Future<Output = T>,
) -> T {
    if !output::has_audience() {
        return waiting.await;
    }
    let ended = tokio::select! {
        biased;
        ended = waiting => ended,
        never = show(admin, key) => match never {},
    };
    output::clear_progress();
    ended
}

async fn show(admin: &Admin, key: &str) -> Infallible {
    let began = Instant::now();
    let target = format!("/v1/invalidations/{}?timeout_ms={PATIENCE_MS}", percent_encoded(key));
    sleep(FIRST).await;
    loop {
        let answer = admin.call(Method::GET, &target, Bytes::new(), DEADLINE).await;
        let read = answer.ok().filter(|answer| answer.status.is_success());
        let receipt = read.and_then(|answer| serde_json::from_slice(&answer.body).ok());
        output::progress(line(receipt.as_ref(), began.elapsed()));
        sleep(LOOK).await;
    }
}

/// What is shown.
fn line(receipt: Option<&Receipt>, waited: Duration) -> String {
    let waited = format!("{:.1} s", waited.as_secs_f64());
    let Some(receipt) = receipt else { return format!("on its way into the log  {waited}") };
    let (applied, pending) = (receipt.applied.len(), receipt.pending.len());
    let all = applied + pending;
    match pending {
        0 => format!("applied by all {applied} live nodes, not fenced yet  {waited}"),
        _ => format!("applied by {applied} of {all} live nodes  {waited}"),
    }
}

/// A key as one segment of a path (RFC 3986 §2.1).
pub(crate) fn percent_encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::receipt::tests::receipt;

    #[test]
    fn progress_counts_live_nodes() {
        let waited = Duration::from_millis(3140);
        assert_eq!(line(None, waited), "on its way into the log  3.1 s");
        let mut receipt = receipt();
        let all = line(Some(&receipt), waited);
        assert_eq!(all, "applied by all 2 live nodes, not fenced yet  3.1 s");
        receipt.pending = vec!["edge-3".into()];
        assert_eq!(line(Some(&receipt), waited), "applied by 2 of 3 live nodes  3.1 s");
    }

    #[test]
    fn a_key_is_one_segment_of_a_path() {
        assert_eq!(percent_encoded("deploy-42"), "deploy-42");
        assert_eq!(percent_encoded("a/b ?é%"), "a%2Fb%20%3F%C3%A9%25");
    }
}
