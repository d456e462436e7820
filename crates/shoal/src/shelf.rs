//! What a node that follows keeps on disk: the command story writes without waiting, a task behind
//! it does the work in order.
//!
//! The journal counts in positions of one word, epoch and all.
//!
//! When the task falls behind, entries are dropped here and the gap shows in [`Shelf::last`]: the
//! story then sends a snapshot.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use consensus::{ConsensusError, Journal};
use follow::Replica;
use model::LogPosition;
use model::position::Watermark;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

/// How long an entry may be in memory only.
const FLUSH: Duration = Duration::from_millis(500);
/// Batches between the story and the disk.
const QUEUE: usize = 256;

enum Work {
    Append(LogPosition, Vec<Bytes>),
    Replace(LogPosition, Bytes),
}

/// The journal of this node, behind a queue.
pub(crate) struct Shelf {
    last: Watermark,
    entries: AtomicU64,
    queue: mpsc::Sender<Work>,
    _writer: AbortOnDropHandle<()>,
}

impl Shelf {
    /// Brings `replica` up to what `journal` keeps, and goes on from there.
    pub(crate) async fn open(journal: Journal, replica: &Replica) -> Result<Shelf, ConsensusError> {
        let kept = journal.load().await?;
        let mut last = LogPosition::ZERO;
        let mut readable = true;
        if let Some((index, snapshot)) = kept.snapshot {
            last = LogPosition::from_packed(index);
            readable &= said(replica.install(&snapshot));
        }
        let entries = kept.entries.len() as u64;
        if let Some((first, _)) = kept.entries.first() {
            let first = LogPosition::from_packed(*first);
            last = LogPosition::new(first.epoch(), first.index() + entries - 1);
            let commands: Vec<Bytes> = kept.entries.into_iter().map(|(_, entry)| entry).collect();
            readable &= said(replica.apply(first, &commands).map(drop));
        }
        if !readable {
            tracing::warn!("the journal does not lead up to the present log: it will be replaced");
        }
        let (queue, work) = mpsc::channel(QUEUE);
        let writer = AbortOnDropHandle::new(tokio::spawn(write(journal, work)));
        let entries = AtomicU64::new(entries);
        Ok(Shelf { last: Watermark::at(last), entries, queue, _writer: writer })
    }
}

fn said(result: Result<(), follow::ApplyError>) -> bool {
    result.inspect_err(|error| tracing::warn!(%error, "part of the journal was not used")).is_ok()
}

impl follow::Shelf for Shelf {
    fn last(&self) -> LogPosition {
        self.last.reached()
    }

    fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    fn append(&self, first: LogPosition, entries: &[Bytes]) {
        let count = entries.len() as u64;
        if self.queue.try_send(Work::Append(first, entries.to_vec())).is_ok() {
            self.entries.fetch_add(count, Ordering::Relaxed);
            self.last.raise(LogPosition::new(first.epoch(), first.index() + count - 1));
        }
    }

    fn replace(&self, position: LogPosition, snapshot: Bytes) {
        if self.queue.try_send(Work::Replace(position, snapshot)).is_ok() {
            self.entries.store(0, Ordering::Relaxed);
            self.last.raise(position);
        }
    }
}

/// Losing the tail costs time only, so it is synced now and then: the log's own disk is the
/// voters'.
async fn write(journal: Journal, mut work: mpsc::Receiver<Work>) {
    let mut flushes = tokio::time::interval(FLUSH);
    flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unsynced = false;
    loop {
        let written = tokio::select! {
            biased;
            _ = flushes.tick(), if unsynced => {
                unsynced = false;
                journal.flush().await
            }
            work = work.recv() => {
                let Some(work) = work else { return };
                unsynced = true;
                keep(&journal, work).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the journal was not written: a restart will catch up instead");
        }
    }
}

async fn keep(journal: &Journal, work: Work) -> Result<(), ConsensusError> {
    match work {
        Work::Append(first, commands) => {
            let entries: Vec<(u64, Bytes)> = (first.packed()..).zip(commands).collect();
            journal.append(&entries)
        }
        Work::Replace(position, snapshot) => journal.replace(position.packed(), snapshot).await,
    }
}
