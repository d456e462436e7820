//! Tell: what goes up to a parent. Acknowledgements bind: they are the least of what this node and
//! everybody it granted a lease has applied (R12). The rest is for receipts.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use control::lease::wait_for;
use futures_util::SinkExt;
use futures_util::future::{Either, select};
use model::{LogPosition, NodeName};
use wire::log::{News, Up};

use crate::herald::Origin;
use crate::ports::Disconnected;
use crate::spread::BEAT;
use crate::{Follow, upstream};

/// The upward half of a stream.
pub(crate) type Outgoing =
    std::pin::Pin<Box<dyn futures_util::Sink<Bytes, Error = Disconnected> + Send>>;

/// How long a stream is held after its last word: one that is dropped is reset, and what was not
/// acknowledged by then is lost.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Leases are asked for this many times in the length of one.
const ASKS_PER_LEASE: u32 = 10;

/// What one parent has been told.
#[derive(Default)]
struct Told {
    through: LogPosition,
    news: BTreeMap<NodeName, (LogPosition, u64)>,
}

impl Told {
    /// What it has to be told, if there is anything.
    fn missing(&self, node: &Follow) -> Option<Up> {
        let through = node.acknowledged();
        let news =
            node.news().filter(|one| self.news.get(&one.node) != Some(&(one.applied, one.cut)));
        let news: Vec<News> = news.collect();
        (through > self.through || !news.is_empty()).then_some(Up::Acknowledge { through, news })
    }

    fn note(&mut self, up: &Up) {
        if let Up::Acknowledge { through, news } = up {
            self.through = *through;
            self.news.extend(news.iter().map(|one| (one.node.clone(), (one.applied, one.cut))));
        }
    }
}

/// Tells the parent at the other end of `outgoing` everything, until it is gone.
pub(crate) async fn upward(node: &Follow, outgoing: &mut Outgoing) {
    let mut told = Told::default();
    let mut heralded = node.herald.next();
    let mut ask_at = node.host.now();
    loop {
        if let Some(up) = told.missing(node) {
            told.note(&up);
            if outgoing.send(up.encode()).await.is_err() {
                return;
            }
        }
        let now = node.host.now();
        if now >= ask_at && !node.has_retired() {
            ask_at = now.plus(node.replica.state().lease() / ASKS_PER_LEASE);
            let ask = Up::Ask(node.fence.ask(now));
            if outgoing.send(ask.encode()).await.is_err() {
                return;
            }
        }
        let (entry, next) = node.herald.since(heralded, Some(Origin::Below));
        heralded = next;
        // Who has nothing to say does not ask who everybody is.
        let is_edge = || !upstream::is_middle(&node.name, node.group.role(), &node.members.peers());
        if let Some(entry) = entry.filter(|_| is_edge())
            && outgoing.send(Up::Tentative(entry).encode()).await.is_err()
        {
            return;
        }
        if node.has_retired() {
            drop(outgoing.send(Up::Release(node.fence.last_asked()).encode()).await);
            return std::future::pending().await;
        }
        let left = ask_at.since(node.host.now()).min(BEAT);
        wait_for_news(node, &told, heralded, left).await;
    }
}

async fn wait_for_news(node: &Follow, told: &Told, heralded: u64, time: Duration) {
    let news = || {
        let more = node.herald.next() > heralded || node.has_retired();
        (more || told.missing(node).is_some()).then_some(())
    };
    let either = select(node.fence.changed.until(news), node.replica.changed().until(news));
    match select(either, node.host.sleep(time)).await {
        Either::Left(_) | Either::Right(_) => {}
    }
}

/// Acknowledges to a former parent until nobody here or below rests on a lease of it, and then sets
/// it free of what it was asked for until now.
pub(crate) async fn until_left(node: &Follow, parent: NodeName, mut outgoing: Outgoing) {
    let asked = node.fence.last_asked();
    let deadline = node.host.now().plus(wait_for(node.replica.state().lease()));
    let mut told = Told::default();
    let has_left = || node.fence.has_left(&parent, node.acknowledged());
    while !has_left() && node.host.now() < deadline {
        if let Some(up) = told.missing(node) {
            told.note(&up);
            if outgoing.send(up.encode()).await.is_err() {
                return;
            }
        }
        let news = || (told.missing(node).is_some() || has_left()).then_some(());
        let either = select(node.fence.changed.until(news), node.replica.changed().until(news));
        select(either, node.host.sleep(BEAT)).await;
    }
    if has_left() && outgoing.send(Up::Release(asked).encode()).await.is_ok() {
        node.host.sleep(LAST_WORD).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::{FutureExt, sink};

    use super::*;
    use crate::tests::quiet;

    #[test]
    fn the_word_that_sets_a_parent_free_is_not_lost_with_its_stream() {
        let (node, said) = (quiet(), Arc::new(Mutex::new(Vec::new())));
        let outgoing = sink::unfold(said.clone(), |said, frame: Bytes| async move {
            said.lock().unwrap().push(frame);
            Ok::<_, Disconnected>(said)
        });
        let parent = "parent".parse().unwrap();
        let mut leaving = until_left(&node, parent, Box::pin(outgoing)).boxed();
        for _ in 0..3 {
            assert!((&mut leaving).now_or_never().is_none(), "the stream is held");
        }
        assert_eq!(said.lock().unwrap().as_slice(), [Up::Release(0).encode()]);
    }
}
