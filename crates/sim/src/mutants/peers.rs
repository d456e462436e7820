//! Mutants between nodes: answers edited, bodies ended too well, acknowledgements exaggerated.
//!
//! Each wraps the honest port and changes one thing on its way through. None of them invents a
//! message that the honest port would not have passed on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use follow::{Channel, Disconnected, Replica};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt, future, stream};
use http::header::AGE;
use model::{LogPosition, NodeName, Origin};
use serve::{OriginAnswer, OriginError, OriginRequest, PeerAnswer, PeerError};
use wire::exchange::{Answer, Failure, Question};
use wire::log::{Ask, Down, Fate, Grant, News, Submission, Subscribe, Told, Up};

type Answered = Result<PeerAnswer, PeerError>;

/// Edits what peers answer.
pub(super) struct Meddler {
    /// The honest port.
    pub(super) inner: Arc<dyn serve::Peers>,
    /// What is done to each answer.
    pub(super) meddle: fn(&Replica, Answered) -> Answered,
    /// What the asker has applied.
    pub(super) replica: Arc<Replica>,
}

impl serve::Peers for Meddler {
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        patience: Duration,
        interim: Option<serve::Interim>,
    ) -> BoxFuture<'static, Answered> {
        let (meddle, replica) = (self.meddle, self.replica.clone());
        let answered = self.inner.ask(to, question, patience, interim);
        answered.map(move |answered| meddle(&replica, answered)).boxed()
    }
}

/// The answer is taken to be as fresh as its asker.
pub(super) fn restamp(replica: &Replica, answered: Answered) -> Answered {
    answered.map(|PeerAnswer { mut answer, body }| {
        if let Answer::Response(head) = &mut answer {
            head.as_of = replica.applied();
        }
        PeerAnswer { answer, body }
    })
}

/// A break is taken for the end.
pub(super) fn clean_cut(_: &Replica, answered: Answered) -> Answered {
    answered.map(|PeerAnswer { answer, body }| {
        let body = body.take_while(|chunk| future::ready(chunk.is_ok())).boxed();
        PeerAnswer { answer, body }
    })
}

/// The origin is blamed for a peer that is gone.
pub(super) fn blame_origin(_: &Replica, answered: Answered) -> Answered {
    match answered {
        Err(PeerError::Unreachable(_)) => {
            let body = stream::empty().boxed();
            Ok(PeerAnswer { answer: Answer::Failed(Failure::Unreachable), body })
        }
        answered @ (Ok(_) | Err(PeerError::Broken(_))) => answered,
    }
}

/// Edits a stream between a child and its parent, from the child's side.
pub(super) struct Twister {
    /// The honest port.
    pub(super) inner: Arc<dyn follow::Peers>,
    /// What is done to each stream.
    pub(super) twist: Twist,
}

/// Edits one stream.
pub(super) type Twist = Arc<dyn Fn(Channel) -> Channel + Send + Sync>;

impl follow::Peers for Twister {
    fn submit(
        &self,
        to: &NodeName,
        submission: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>> {
        self.inner.submit(to, submission)
    }

    fn ask(
        &self,
        to: &NodeName,
        ask: Ask,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Told, Disconnected>> {
        self.inner.ask(to, ask, patience)
    }

    fn follow(
        &self,
        to: &NodeName,
        subscribe: Subscribe,
    ) -> BoxFuture<'static, Result<Channel, Disconnected>> {
        let (twist, channel) = (self.twist.clone(), self.inner.follow(to, subscribe));
        channel.map(move |channel| channel.map(|channel| twist(channel))).boxed()
    }
}

fn edit_up(channel: Channel, mut edit: impl FnMut(Up) -> Option<Up> + Send + 'static) -> Channel {
    let Channel { outgoing, incoming } = channel;
    let outgoing = outgoing.with_flat_map(move |frame: Bytes| {
        let edited = match Up::decode(&frame) {
            Ok(up) => edit(up).map(|up| up.encode()),
            Err(_) => Some(frame),
        };
        stream::iter(edited.map(Ok::<Bytes, Disconnected>))
    });
    Channel { outgoing: Box::pin(outgoing), incoming }
}

fn edit_down(
    channel: Channel,
    mut edit: impl FnMut(Down) -> Vec<Down> + Send + 'static,
) -> Channel {
    let Channel { outgoing, incoming } = channel;
    let edited = incoming.flat_map(move |frame| {
        let frames = match frame.as_ref().map(|frame| Down::decode(frame)) {
            Ok(Ok(down)) => edit(down).iter().map(|down| Ok(down.encode())).collect(),
            Ok(Err(_)) | Err(_) => vec![frame],
        };
        stream::iter(frames)
    });
    Channel { outgoing, incoming: edited.boxed() }
}

/// Claims to have applied more than it has.
pub(super) fn boast(_: Arc<Replica>, channel: Channel) -> Channel {
    let further = |at: LogPosition| LogPosition::new(at.epoch(), at.index() + 2);
    edit_up(channel, move |up| match up {
        Up::Acknowledge { through, mut news } => {
            news.iter_mut().for_each(|one| one.applied = further(one.applied));
            Some(Up::Acknowledge { through: further(through), news })
        }
        other @ (Up::Ask(_) | Up::Release(_) | Up::Tentative(_)) => Some(other),
    })
}

/// Speaks for all its children as for itself.
pub(super) fn own_ack(replica: Arc<Replica>, channel: Channel) -> Channel {
    let mut below: BTreeMap<NodeName, u64> = BTreeMap::new();
    edit_up(channel, move |up| match up {
        Up::Acknowledge { news, .. } => {
            below.extend(news.into_iter().map(|one| (one.node, one.cut)));
            let applied = replica.applied();
            let news =
                below.iter().map(|(node, cut)| News { node: node.clone(), applied, cut: *cut });
            Some(Up::Acknowledge { through: applied, news: news.collect() })
        }
        other @ (Up::Ask(_) | Up::Release(_) | Up::Tentative(_)) => Some(other),
    })
}

/// Acknowledges nothing.
pub(super) fn mute(_: Arc<Replica>, channel: Channel) -> Channel {
    edit_up(channel, |up| match up {
        Up::Acknowledge { .. } => None,
        other @ (Up::Ask(_) | Up::Release(_) | Up::Tentative(_)) => Some(other),
    })
}

/// Takes every token for new.
pub(super) fn young_token(_: Arc<Replica>, channel: Channel) -> Channel {
    edit_down(channel, |down| match down {
        Down::Grant(grant) => vec![Down::Grant(Grant { age: Duration::ZERO, ..grant })],
        other @ (Down::Snapshot { .. }
        | Down::Entries { .. }
        | Down::Beat(_)
        | Down::Tentative(_)) => vec![other],
    })
}

/// So many tokens overtake the entries before them: those of one lease and a half.
const OVERTAKING: usize = 15;

/// Takes tokens before the entries that were sent before them, and uses them.
pub(super) fn early_grant(_: Arc<Replica>, channel: Channel) -> Channel {
    let (mut held, mut granted) = (Vec::new(), 0);
    edit_down(channel, move |down| match down {
        Down::Grant(grant) => {
            let none = LogPosition::ZERO;
            let mut all = vec![Down::Grant(Grant { through: none, applied: none, ..grant })];
            granted += 1;
            if granted % OVERTAKING == 0 {
                all.append(&mut held);
            }
            all
        }
        entries @ (Down::Entries { .. } | Down::Snapshot { .. }) => {
            // The first words of a parent are let through: who is new has to catch up.
            if granted < 2 {
                return vec![entries];
            }
            held.push(entries);
            Vec::new()
        }
        other @ (Down::Beat(_) | Down::Tentative(_)) => vec![other],
    })
}

/// Asks for no lease any more once a connection to a parent broke.
pub(super) fn sulk(sulks: Arc<AtomicBool>, channel: Channel) -> Channel {
    let broke = sulks.clone();
    let Channel { outgoing, incoming } = edit_up(channel, move |up| match up {
        Up::Ask(_) if sulks.load(Ordering::Relaxed) => None,
        other @ (Up::Ask(_) | Up::Acknowledge { .. } | Up::Release(_) | Up::Tentative(_)) => {
            Some(other)
        }
    });
    let incoming = incoming.inspect(move |frame| {
        if frame.is_err() {
            broke.store(true, Ordering::Relaxed);
        }
    });
    Channel { outgoing, incoming: incoming.boxed() }
}

/// To a parent: a child whose connection breaks has applied everything, and holds nothing.
pub(crate) fn forget_the_dead(child: NodeName, channel: Channel) -> Channel {
    let Channel { outgoing, incoming } = channel;
    let through = LogPosition::new(0, u64::MAX);
    let news = vec![News { node: child, applied: through, cut: 0 }];
    let last = [Up::Acknowledge { through, news }, Up::Release(u64::MAX)];
    let last = last.map(|up| Ok(up.encode()));
    let alive = incoming.take_while(|frame| future::ready(frame.is_ok()));
    Channel { outgoing, incoming: alive.chain(stream::iter(last)).boxed() }
}

/// Origins whose answers never say how old they are.
pub(super) struct Ageless(pub(super) Arc<dyn serve::Origins>);

impl serve::Origins for Ageless {
    fn fetch(
        &self,
        origin: &Origin,
        request: OriginRequest,
    ) -> BoxFuture<'static, Result<OriginAnswer, OriginError>> {
        let younger = |mut answer: OriginAnswer| {
            answer.headers.remove(AGE);
            answer
        };
        let answered = self.0.fetch(origin, request);
        answered.map(move |answered| answered.map(younger)).boxed()
    }
}
