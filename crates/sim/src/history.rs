//! The history of a run: what viewers, operators and the origin saw. Checkers read nothing else.
//!
//! It is written by those who stand outside the mesh, or by the pretend world itself; no line of it
//! comes from what a node says of its own promises, except the receipts, which are promises.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use control::{CommandId, State};
use follow::{Receipt, SubmitError};
use model::{DistributionName, Effect, Level, LogPosition, Scope};

/// One request of a viewer.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// The node that was asked.
    pub(crate) node: usize,
    /// When it was sent; it arrives at once.
    pub(crate) at: Duration,
    /// What the node had applied at that moment.
    pub(crate) applied: LogPosition,
    /// The page.
    pub(crate) page: usize,
    /// What came back, if anything did.
    pub(crate) answer: Option<Answer>,
    /// Whether the node died before the answer had come to its end.
    pub(crate) bereft: bool,
}

impl Visit {
    /// Whether the answer has come to its end, good or bad.
    pub(crate) fn is_over(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.ending != Ending::Coming)
    }
}

/// What came back to a viewer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// When its head came.
    pub(crate) at: Duration,
    /// What the node had applied at that moment.
    pub(crate) applied: LogPosition,
    /// Its status.
    pub(crate) status: u16,
    /// The version that the head names.
    pub(crate) version: Option<u64>,
    /// How the body ended.
    pub(crate) ending: Ending,
    /// When the node gave the last piece of a body that comes in pieces.
    pub(crate) last_piece: Option<Duration>,
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not yet.
    Coming,
    /// Cleanly, and every byte is that version's.
    Whole,
    /// Cleanly, and it is not that version's body: what is wrong with it.
    Wrong(String),
    /// It broke off, and said so.
    Broken,
}

/// One request that reached the origin, or failed to.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    /// When it left the node.
    pub(crate) at: Duration,
    /// The node that asked.
    pub(crate) node: usize,
    /// The page.
    pub(crate) page: usize,
    /// The variant that was served.
    pub(crate) variant: usize,
    /// The last purge of the page that the node had applied when it asked.
    pub(crate) epoch: LogPosition,
    /// All that it had applied.
    pub(crate) applied: LogPosition,
    /// The version that the answer is made of, once the origin has looked.
    pub(crate) brings: Option<u64>,
    /// What came of it.
    pub(crate) end: FetchEnd,
}

/// What came of a request to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchEnd {
    /// Not answered yet, or given up by the node.
    Open,
    /// 304: this version is still the current one.
    NotModified(u64),
    /// A whole body of this version.
    Whole(u64),
    /// The origin stumbled at this time: no answer, or a body that broke off.
    Stumbled(Duration),
}

/// One purge, however often its command was sent.
#[derive(Clone, Debug)]
pub(crate) struct Purge {
    /// Its command's id.
    pub(crate) id: CommandId,
    /// Whose content.
    pub(crate) distribution: DistributionName,
    /// What it covers.
    pub(crate) scope: Scope,
    /// Whether it is gone, or stale.
    pub(crate) effect: Effect,
    /// How far its caller wanted it to come.
    pub(crate) level: Level,
    /// When it was first called.
    pub(crate) called: Duration,
    /// The pages it covers, with the version that was current when it was first called.
    pub(crate) covered: BTreeMap<usize, u64>,
    /// What its callers heard, in order.
    pub(crate) heard: Vec<(Duration, Result<Receipt, SubmitError>)>,
}

impl Purge {
    /// When the caller first heard that nobody can serve what it covers.
    pub(crate) fn fenced(&self) -> Option<(Duration, &Receipt)> {
        self.heard.iter().find_map(|(at, heard)| {
            let receipt = heard.as_ref().ok()?;
            (receipt.progressed.level == Level::Fenced).then_some((*at, receipt))
        })
    }
}

/// A command that its caller knows to be in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    /// Which command.
    pub(crate) id: CommandId,
    /// Where it stands.
    pub(crate) position: LogPosition,
}

/// What one node's replica held at a moment.
#[derive(Clone)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Duration,
    /// Whose.
    pub(crate) node: usize,
    /// What.
    pub(crate) state: Arc<State>,
}

/// A group applied another entry than one had before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fork {
    /// When.
    pub(crate) at: Duration,
    /// The node that did.
    pub(crate) node: usize,
    /// Where.
    pub(crate) position: LogPosition,
}

/// The mesh went on with what one voter had, by force.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    /// Where it goes on.
    pub(crate) at: LogPosition,
    /// The survivor's log from the first entry on, agreed or not.
    pub(crate) kept: Vec<Bytes>,
}

/// The copy of one version that claims to be the youngest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// When it was kept.
    pub(crate) at: Duration,
    /// The node that kept it.
    pub(crate) node: usize,
    /// What it claims to reflect.
    pub(crate) as_of: LogPosition,
}

/// Everything that the checkers read.
#[derive(Default)]
pub(crate) struct Records {
    /// Viewers' requests.
    pub(crate) visits: Vec<Visit>,
    /// Requests to the origin.
    pub(crate) fetches: Vec<Fetch>,
    /// Purges.
    pub(crate) purges: Vec<Purge>,
    /// Commands that callers know to be in the log, purges among them.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Replicas, now and then.
    pub(crate) samples: Vec<Sample>,
    /// Every running node's replica at the end, when all faults had been healed for a while.
    pub(crate) last: Vec<Sample>,
    /// The log: what was applied first at each position.
    pub(crate) log: BTreeMap<LogPosition, Bytes>,
    /// When that was.
    pub(crate) committed: BTreeMap<LogPosition, Duration>,
    /// Where it began anew by force, and with what.
    pub(crate) recoveries: Vec<Recovery>,
    /// By page and version: the copy that claims to be the youngest.
    pub(crate) kept: BTreeMap<(usize, u64), Kept>,
    /// When all faults had ended, for good.
    pub(crate) healed: Option<Duration>,
    /// Nodes that held no lease when somebody looked after that, and when.
    pub(crate) without_lease: Vec<(Duration, usize)>,
    /// When viewers were let in.
    pub(crate) opened: Duration,
    /// Where another entry was applied later.
    pub(crate) forks: Vec<Fork>,
    /// Nodes killed.
    pub(crate) kills: usize,
    /// Links cut.
    pub(crate) cuts: usize,
    /// Nodes that stood still.
    pub(crate) halts: usize,
}

impl Records {
    /// A node keeps a copy of a version of a page.
    pub(crate) fn keep(&mut self, page: usize, version: u64, kept: Kept) {
        let youngest = self.kept.entry((page, version)).or_insert(kept);
        if kept.as_of > youngest.as_of {
            *youngest = kept;
        }
    }

    /// A group applies entries, the first of them at `first`.
    pub(crate) fn agree(
        &mut self,
        at: Duration,
        node: usize,
        (first, entries): (LogPosition, &[Bytes]),
    ) {
        for (index, entry) in (first.index()..).zip(entries) {
            let position = LogPosition::new(first.epoch(), index);
            self.committed.entry(position).or_insert(at);
            if *self.log.entry(position).or_insert_with(|| entry.clone()) != *entry {
                self.forks.push(Fork { at, node, position });
            }
        }
    }
}

/// The records, while they are being written.
#[derive(Default)]
pub(crate) struct History(Mutex<Records>);

impl History {
    /// The records.
    pub(crate) fn write(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records, complete.
    pub(crate) fn close(&self) -> Records {
        std::mem::take(&mut *self.write())
    }
}
