//! Collapsing over the whole mesh: however many ask, wherever they ask, the origin is asked once.
//!
//! The owners of an object are whoever the rings say, so the small objects here are enough for
//! every case: both tiers on one node, on two nodes, in the asker's region or in another.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use shoal::local::Origin;

use crate::cluster::stage::{Stage, field, get, seven};

const MEBIBYTE: usize = 1024 * 1024;
const VIEWERS: usize = 200;
const OBJECTS: usize = 24;
/// The origin takes its time, so that everyone asks while its answer is awaited.
const SLOW: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_viewers_of_a_cold_object_cost_one_origin_request() -> Result<()> {
    let stage = Stage::serving(&seven(), 3).await?;
    let target = format!("/cold?bytes={MEBIBYTE}");
    let doors = stage.doors();
    let viewers = doors.iter().cycle().take(VIEWERS);
    let answers = try_join_all(viewers.map(|door| get(*door, &target))).await?;
    let expected = Origin::body("/cold", 0, MEBIBYTE);
    for answer in &answers {
        ensure!(answer.status.is_success() && answer.body == expected, "another body");
    }
    let requests = stage.origin.requests("/cold");
    ensure!(requests == 1, "{requests} origin requests for one object");
    stage.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_owns_an_object_the_origin_is_asked_once() -> Result<()> {
    let stage = Stage::serving(&seven(), 3).await?;
    let doors = stage.doors();
    stage.origin.delay(SLOW);
    let mut failures = Vec::new();
    for object in 0..OBJECTS {
        let path = format!("/object/{object}");
        let viewers = doors.iter().cycle().take(2 * doors.len());
        let answers = try_join_all(viewers.map(|door| get(*door, &path))).await?;
        let requests = stage.origin.requests(&path);
        if requests != 1 {
            let trails: BTreeSet<&str> =
                answers.iter().map(|answer| field(answer, "cache-status")).collect();
            failures.push(format!("{path}: {requests} origin requests, {trails:#?}"));
        }
    }
    let count = failures.len();
    ensure!(count == 0, "{count} of {OBJECTS} objects:\n{}", failures.join("\n"));
    stage.end().await
}
