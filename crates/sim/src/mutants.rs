//! Mutants: meshes with one rule broken, to show that somebody is watching.
//!
//! A mutant is made of ports alone: a peer that edits what it passes on, a store that lies, a log
//! that forgets. The code of the nodes is the real one. Each names the promise whose checker must
//! catch it within [`SEEDS_MAX`] seeds.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use bytes::Bytes;
use follow::{Channel, Disconnected, Replica, Shelf};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt, future};
use model::limits::CAPACITY_MAX;
use model::{CacheKey, LogPosition, Member, NodeName};
use placement::View;
use serve::lookup::Copy;
use serve::{BodyStream, Entry, Mesh, PeerAnswer, PeerError};
use wire::exchange::{Answer, Failure, Question};
use wire::log::{Fate, Submission, Subscribe, Up};

use crate::checker::Promise;
use crate::dice::Dice;
use crate::scenario::Profile;

/// Seeds within which every mutant must be caught.
pub const SEEDS_MAX: u64 = 60;

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// An answer from a peer is taken for as fresh as the asker's own knowledge.
    Restamp,
    /// What the store returns is taken for as fresh as the node's own knowledge.
    StickyStore,
    /// A child claims to have applied more than it has.
    Deaf,
    /// Every node has rings of its own.
    ShuffledRings,
    /// The store keeps nothing.
    ForgetfulStore,
    /// A body that broke off on its way between peers ends cleanly.
    CleanCut,
    /// A peer that cannot be reached is said to have found the origin unreachable.
    BlameOrigin,
    /// A change of leader loses the last entry of the log.
    Amnesia,
    /// The disk keeps every entry twice.
    Stutter,
}

impl Mutant {
    /// All mutants.
    pub const ALL: [Mutant; 9] = [
        Mutant::Restamp,
        Mutant::StickyStore,
        Mutant::Deaf,
        Mutant::ShuffledRings,
        Mutant::ForgetfulStore,
        Mutant::CleanCut,
        Mutant::BlameOrigin,
        Mutant::Amnesia,
        Mutant::Stutter,
    ];

    /// The mutant's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mutant::Restamp => "restamp",
            Mutant::StickyStore => "sticky-store",
            Mutant::Deaf => "deaf",
            Mutant::ShuffledRings => "shuffled-rings",
            Mutant::ForgetfulStore => "forgetful-store",
            Mutant::CleanCut => "clean-cut",
            Mutant::BlameOrigin => "blame-origin",
            Mutant::Amnesia => "amnesia",
            Mutant::Stutter => "stutter",
        }
    }

    /// The promise that it breaks.
    pub const fn breaks(self) -> Promise {
        match self {
            Mutant::Restamp | Mutant::StickyStore | Mutant::Deaf => Promise::NoOld,
            Mutant::ShuffledRings | Mutant::ForgetfulStore => Promise::OneFetch,
            Mutant::CleanCut => Promise::Whole,
            Mutant::BlameOrigin => Promise::Alive,
            Mutant::Amnesia | Mutant::Stutter => Promise::Receipts,
        }
    }

    /// The weather in which it is looked for.
    pub const fn profile(self) -> Profile {
        match self {
            Mutant::ShuffledRings | Mutant::ForgetfulStore => Profile::Calm,
            Mutant::Restamp | Mutant::StickyStore | Mutant::Deaf => Profile::Ordinary,
            Mutant::CleanCut | Mutant::BlameOrigin | Mutant::Amnesia | Mutant::Stutter => {
                Profile::Heavy
            }
        }
    }
}

/// Dresses the ports of one node: as they are, or as the mutant has them.
pub(crate) struct Dress {
    /// The mutant, if this run has one.
    pub(crate) mutant: Option<Mutant>,
    /// The node.
    pub(crate) node: usize,
    /// What it has applied.
    pub(crate) replica: Arc<Replica>,
}

impl Dress {
    /// The other nodes, as requests see them.
    pub(crate) fn serve_peers(&self, inner: Arc<dyn serve::Peers>) -> Arc<dyn serve::Peers> {
        match self.mutant {
            Some(mutant @ (Mutant::Restamp | Mutant::CleanCut | Mutant::BlameOrigin)) => {
                Arc::new(Meddler { inner, mutant, replica: self.replica.clone() })
            }
            _ => inner,
        }
    }

    /// The other nodes, as commands see them.
    pub(crate) fn follow_peers(&self, inner: Arc<dyn follow::Peers>) -> Arc<dyn follow::Peers> {
        match self.mutant {
            Some(Mutant::Deaf) => Arc::new(Boaster(inner)),
            _ => inner,
        }
    }

    /// The cache.
    pub(crate) fn store(&self, inner: Arc<dyn serve::Store>) -> Arc<dyn serve::Store> {
        match self.mutant {
            Some(Mutant::StickyStore) => Arc::new(Sticky { inner, replica: self.replica.clone() }),
            Some(Mutant::ForgetfulStore) => Arc::new(Forgetful),
            _ => inner,
        }
    }

    /// Who belongs and who is alive, as requests see it.
    pub(crate) fn members(&self, inner: Arc<dyn serve::Members>) -> Arc<dyn serve::Members> {
        match self.mutant {
            Some(Mutant::ShuffledRings) => Arc::new(Shuffled { inner, node: self.node }),
            _ => inner,
        }
    }

    /// What is kept on disk.
    pub(crate) fn shelf(&self, inner: Arc<dyn Shelf>) -> Arc<dyn Shelf> {
        match self.mutant {
            Some(Mutant::Stutter) => Arc::new(Stutterer(inner)),
            _ => inner,
        }
    }
}

/// Edits what peers answer.
struct Meddler {
    inner: Arc<dyn serve::Peers>,
    mutant: Mutant,
    replica: Arc<Replica>,
}

impl serve::Peers for Meddler {
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        patience: Duration,
    ) -> BoxFuture<'static, Result<PeerAnswer, PeerError>> {
        let (mutant, replica) = (self.mutant, self.replica.clone());
        let answer = self.inner.ask(to, question, patience);
        answer.map(move |answer| meddle(mutant, &replica, answer)).boxed()
    }
}

fn meddle(
    mutant: Mutant,
    replica: &Replica,
    answer: Result<PeerAnswer, PeerError>,
) -> Result<PeerAnswer, PeerError> {
    match (mutant, answer) {
        (Mutant::Restamp, Ok(mut answer)) => {
            if let Answer::Response(head) = &mut answer.answer {
                head.as_of = replica.applied();
            }
            Ok(answer)
        }
        (Mutant::CleanCut, Ok(PeerAnswer { answer, body })) => {
            let body = body.take_while(|chunk| future::ready(chunk.is_ok())).boxed();
            Ok(PeerAnswer { answer, body })
        }
        (Mutant::BlameOrigin, Err(PeerError::Unreachable(_))) => {
            let body: BodyStream = futures_util::stream::empty().boxed();
            Ok(PeerAnswer { answer: Answer::Failed(Failure::Unreachable), body })
        }
        (_, answer) => answer,
    }
}

/// Tells its parents that it has applied more than it has.
struct Boaster(Arc<dyn follow::Peers>);

impl follow::Peers for Boaster {
    fn submit(
        &self,
        to: &NodeName,
        submission: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>> {
        self.0.submit(to, submission)
    }

    fn follow(
        &self,
        to: &NodeName,
        subscribe: Subscribe,
    ) -> BoxFuture<'static, Result<Channel, Disconnected>> {
        let boast = |frame: Bytes| {
            let Ok(mut up) = Up::decode(&frame) else { return frame };
            for (_, position) in &mut up.applied {
                *position = LogPosition::new(position.epoch(), position.index() + 2);
            }
            up.encode()
        };
        let channel = self.0.follow(to, subscribe);
        let dress = move |Channel { outgoing, incoming }| {
            let outgoing = outgoing.with(move |frame| future::ready(Ok(boast(frame))));
            Channel { outgoing: Box::pin(outgoing), incoming }
        };
        channel.map(move |channel| channel.map(dress)).boxed()
    }
}

/// Returns what it keeps as if it had been fetched just now.
struct Sticky {
    inner: Arc<dyn serve::Store>,
    replica: Arc<Replica>,
}

impl serve::Store for Sticky {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let entry = self.inner.find(key)?;
        Some(match entry.as_ref() {
            Entry::Varies(_) => entry,
            Entry::Object(copy) => {
                let mut object = copy.object.clone();
                object.head.as_of = self.replica.applied();
                Arc::new(Entry::Object(Copy::new(object, copy.terms)))
            }
        })
    }

    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        self.inner.keep(key, entry);
    }
}

/// Keeps nothing.
struct Forgetful;

impl serve::Store for Forgetful {
    fn find(&self, _: &CacheKey) -> Option<Arc<Entry>> {
        None
    }

    fn keep(&self, _: CacheKey, _: Arc<Entry>) {}
}

/// Has rings that no other node has.
struct Shuffled {
    inner: Arc<dyn serve::Members>,
    node: usize,
}

impl serve::Members for Shuffled {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        let mesh = self.inner.mesh();
        let mut dice = Dice::new(self.node as u64);
        let reweigh = |member: &Member| {
            let capacity = dice.below(CAPACITY_MAX as usize / 10) + 1;
            Member { capacity: u32::try_from(capacity).unwrap_or(1), ..member.clone() }
        };
        let members: Vec<Member> = mesh.view.members().iter().map(reweigh).collect();
        let view = Arc::new(View::build(mesh.view.version(), members));
        Guard::from_inner(Arc::new(Mesh { view, alive: mesh.alive.clone() }))
    }

    fn doubt(&self, node: &NodeName) {
        self.inner.doubt(node);
    }
}

/// Keeps every entry twice.
struct Stutterer(Arc<dyn Shelf>);

impl Shelf for Stutterer {
    fn last(&self) -> LogPosition {
        self.0.last()
    }

    fn entries(&self) -> u64 {
        self.0.entries()
    }

    fn append(&self, first: LogPosition, commands: &[Bytes]) {
        let twice = commands.iter().flat_map(|command| [command.clone(), command.clone()]);
        self.0.append(first, &twice.collect::<Vec<_>>());
    }

    fn replace(&self, position: LogPosition, snapshot: Bytes) {
        self.0.replace(position, snapshot);
    }
}
