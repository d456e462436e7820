//! Collapsing over the whole mesh: however many ask, wherever they ask, the origin is asked once.
//!
//! The owners of an object are whoever the rings say, so the small objects here are enough for
//! every case: both tiers on one node, on two nodes, in the asker's region or in another.

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use shoal::local::Origin;

use crate::cluster::stage::{Stage, get, seven};

const MEBIBYTE: usize = 1024 * 1024;
const VIEWERS: usize = 200;
const OBJECTS: usize = 24;

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
    let mut twice = Vec::new();
    for object in 0..OBJECTS {
        // The head takes its time, so that everyone asks while it is awaited.
        let path = format!("/object/{object}");
        let target = format!("{path}?bytes=40000&pause-ms=50");
        let viewers = doors.iter().cycle().take(2 * doors.len());
        let answers = try_join_all(viewers.map(|door| get(*door, &target))).await?;
        let expected = Origin::body(&path, 0, 40_000);
        ensure!(answers.iter().all(|answer| answer.body == expected), "another body of {path}");
        if stage.origin.requests(&path) != 1 {
            let trail = answers.iter().map(|a| super::stage::field(a, "cache-status").to_owned());
            twice.push(trail.collect::<Vec<String>>().join("\n  "));
        }
    }
    let twice = (twice.len(), twice.join("\n"));
    ensure!(twice.0 == 0, "{} of {OBJECTS} objects were fetched twice:\n{}", twice.0, twice.1);
    stage.end().await
}
