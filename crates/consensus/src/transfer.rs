//! A snapshot on its way: cut into parts by the leader, put together again by the newcomer.
//!
//! A receiver holds one unfinished snapshot at most, whoever sends it: a part 0 under the same or a
//! higher vote replaces it, and one that stands still is dropped. Space is taken as bytes arrive,
//! never as a sender announces them.

use std::time::Duration;

use bytes::BytesMut;
use model::Instance;
use model::limits::SNAPSHOT_BYTES_MAX;
use tokio::time::Instant;

use crate::raft::{Snapshot, State, Vote};
use crate::rpc::{Part, Refusal};

/// Bytes of one part: well below a frame, so that heartbeats pass in between.
const PART_BYTES: usize = 1024 * 1024;
/// How long an unfinished snapshot waits for its next part.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Cuts a snapshot into parts, at least one.
pub(crate) fn cut(vote: Vote, snapshot: Snapshot, transfer: u64) -> impl Iterator<Item = Part> {
    let State { index, bytes } = *snapshot.snapshot;
    let meta = snapshot.meta;
    (0..bytes.len().max(1)).step_by(PART_BYTES).map(move |offset| Part {
        vote,
        meta: meta.clone(),
        transfer,
        index,
        total_bytes: bytes.len() as u64,
        offset: offset as u64,
        bytes: bytes.slice(offset..bytes.len().min(offset + PART_BYTES)),
    })
}

/// What a part led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// This many bytes are here; another number than the sender's means "start again".
    Held(u64),
    /// That was the last part.
    Whole(Snapshot),
}

/// The one unfinished snapshot of a receiver.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    current: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    from: Instance,
    vote: Vote,
    transfer: u64,
    bytes: BytesMut,
    moved: Instant,
}

impl Assembly {
    /// Takes one part that arrived from `from` at `now`.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        from: Instance,
        part: Part,
    ) -> Result<Progress, Refusal> {
        if part.total_bytes > SNAPSHOT_BYTES_MAX as u64 || part.bytes.len() > PART_BYTES {
            return Err(Refusal::TooLarge);
        }
        let outranked = |current: &Unfinished| part.vote < current.vote;
        if part.offset == 0 && !self.current.as_ref().is_some_and(outranked) {
            let (vote, transfer, bytes) = (part.vote, part.transfer, BytesMut::new());
            self.current = Some(Unfinished { from, vote, transfer, bytes, moved: now });
        }
        let Some(current) = &mut self.current else { return Ok(Progress::Held(0)) };
        let same =
            (current.from, current.transfer, current.vote) == (from, part.transfer, part.vote);
        if !same || part.offset != current.bytes.len() as u64 {
            return Ok(Progress::Held(0));
        }
        current.bytes.extend_from_slice(&part.bytes);
        current.moved = now;
        let held = current.bytes.len() as u64;
        if held < part.total_bytes {
            return Ok(Progress::Held(held));
        }
        let bytes = self.current.take().map(|done| done.bytes.freeze()).unwrap_or_default();
        let state = State { index: part.index, bytes };
        Ok(Progress::Whole(Snapshot { meta: part.meta, snapshot: Box::new(state) }))
    }

    /// Drops a snapshot that stands still.
    pub(crate) fn drop_stale(&mut self, now: Instant) {
        self.current.take_if(|current| now.duration_since(current.moved) > STALE_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::raft::SnapshotMeta;

    const LEADER: Instance = Instance(1);

    fn parts(bytes: usize, transfer: u64) -> Vec<Part> {
        let bytes = Bytes::from((0..bytes).map(|at| at as u8).collect::<Vec<_>>());
        let state = State { index: 9, bytes };
        let snapshot = Snapshot { meta: SnapshotMeta::default(), snapshot: Box::new(state) };
        cut(Vote::new_committed(3, LEADER.0), snapshot, transfer).collect()
    }

    fn held(progress: Result<Progress, Refusal>) -> u64 {
        match progress {
            Ok(Progress::Held(held)) => held,
            other => unreachable!("expected an unfinished snapshot, got {other:?}"),
        }
    }

    #[test]
    fn parts_make_up_the_snapshot_that_was_cut() {
        for bytes in [0, 1, PART_BYTES - 1, PART_BYTES, 3 * PART_BYTES + 5] {
            let (mut assembly, now) = (Assembly::default(), Instant::now());
            let parts = parts(bytes, 1);
            let count = parts.len();
            for (at, part) in parts.into_iter().enumerate() {
                match assembly.add(now, LEADER, part).unwrap() {
                    Progress::Held(held) => assert_eq!(held, ((at + 1) * PART_BYTES) as u64),
                    Progress::Whole(snapshot) => {
                        assert_eq!((at + 1, snapshot.snapshot.bytes.len()), (count, bytes));
                        assert_eq!(snapshot.snapshot.index, 9);
                    }
                }
            }
            assert!(assembly.current.is_none());
        }
    }

    #[test]
    fn a_new_transfer_replaces_the_old_and_late_parts_are_ignored() {
        let (mut assembly, now) = (Assembly::default(), Instant::now());
        let (old, new) = (parts(3 * PART_BYTES, 1), parts(3 * PART_BYTES, 2));
        assert_eq!(held(assembly.add(now, LEADER, old[0].clone())), PART_BYTES as u64);
        assert_eq!(held(assembly.add(now, LEADER, old[2].clone())), 0, "one is missing");
        assert_eq!(held(assembly.add(now, LEADER, new[0].clone())), PART_BYTES as u64);
        assert_eq!(held(assembly.add(now, LEADER, old[1].clone())), 0, "of the old transfer");
        assert_eq!(held(assembly.add(now, Instance(2), new[1].clone())), 0, "of another node");
        let outranked = Part { vote: Vote::new_committed(2, 5), ..old[0].clone() };
        assert_eq!(held(assembly.add(now, Instance(5), outranked)), 0);
        assert_eq!(held(assembly.add(now, LEADER, new[1].clone())), 2 * PART_BYTES as u64);
    }

    #[test]
    fn size_and_patience_are_bounded() {
        let (mut assembly, now) = (Assembly::default(), Instant::now());
        let part = parts(2 * PART_BYTES, 1).remove(0);
        let at_limit = Part { total_bytes: SNAPSHOT_BYTES_MAX as u64, ..part.clone() };
        let beyond = Part { total_bytes: SNAPSHOT_BYTES_MAX as u64 + 1, ..part };
        assert!(matches!(assembly.add(now, LEADER, beyond), Err(Refusal::TooLarge)));
        assert!(assembly.add(now, LEADER, at_limit).is_ok());
        assembly.drop_stale(now + STALE_AFTER);
        assert!(assembly.current.is_some());
        assembly.drop_stale(now + STALE_AFTER + Duration::from_millis(1));
        assert!(assembly.current.is_none());
    }
}
