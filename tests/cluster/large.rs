//! A large object through real processes: pieces fetched in parallel at every door make one file,
//! and each slice of it leaves the origin once.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use shoal::client::{self, Call};
use shoal::local::Origin;

use crate::cluster::stage::{DEADLINE, HOST, Stage, field, get, seven};

const MEBIBYTE: usize = 1024 * 1024;
const FILM: usize = 96 * MEBIBYTE + 77;
/// No multiple of a slice, so that every piece shares slices with its neighbours.
const PIECE: usize = 5 * MEBIBYTE + 13;
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_fetched_in_pieces_at_every_door_is_the_same_file() -> Result<()> {
    let stage = Stage::serving(&seven(), 3).await?;
    let (doors, target) = (stage.doors(), format!("/film?bytes={FILM}&ranges=served"));
    let expected = Origin::body("/film", 0, FILM);
    let first: Vec<usize> = (0..FILM).step_by(PIECE).collect();
    for (batch, pieces) in first.chunks(AT_ONCE).enumerate() {
        let fetched = pieces.iter().enumerate().map(|(at, first)| {
            let (door, last) = (doors[(batch + at) % doors.len()], first + PIECE - 1);
            let target = &target;
            async move {
                let range = format!("bytes={first}-{last}");
                let headers = &[("range", range.as_str())];
                let call = Call { headers, ..Call::get(HOST, target) };
                client::send(door, call, DEADLINE).await
            }
        });
        for (first, answer) in pieces.iter().zip(try_join_all(fetched).await?) {
            ensure!(answer.status == 206, "{} at {first}", answer.status);
            let last = (first + PIECE).min(FILM);
            ensure!(answer.body == expected[*first..last], "other bytes at {first}");
        }
    }
    let mut ranges: BTreeMap<String, usize> = BTreeMap::new();
    for asked in stage.origin.asked("/film") {
        *ranges.entry(asked.range.unwrap_or_default()).or_default() += 1;
    }
    let twice: Vec<_> = ranges.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "slices that left the origin more than once: {twice:?}");
    ensure!(ranges.len() == FILM.div_ceil(MEBIBYTE), "{} slices", ranges.len());

    let whole = get(doors[0], &target).await?;
    ensure!(whole.status == 200 && whole.body == expected, "another file");
    ensure!(field(&whole, "content-length") == FILM.to_string());
    stage.end().await
}
