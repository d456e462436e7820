//! Herald: purges spread tentatively, in parallel with their way into the log (rule R24).
//!
//! An edge tells its parent, a node in the middle tells all others there, each tells its children:
//! two hops between any two regions. Losing a word costs time only, so everything here is bounded
//! and drops what does not fit. No acknowledgement counts any of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use control::{Command, CommandId, Envelope, Tentative};
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use model::NodeName;
use model::limits::COMMAND_BYTES_MAX;
use wire::codec;
use wire::log::{Ask, Entry};

use crate::{Follow, upstream};

/// Commands remembered for those who have not been told yet.
const WORDS_MAX: usize = 8_192;
/// Bytes of them.
const WORDS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Commands told at once.
const BATCH_MAX: usize = 256;
/// Bytes told at once, unless one command is larger.
const BATCH_BYTES: usize = 1024 * 1024;
/// Ids remembered, so that no word goes in circles.
const SEEN_MAX: usize = 16_384;
/// How long a node that is told may take to say that it heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// From where a word came, which says who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From this node or one below it: everybody is told.
    Below,
    /// From above or across: only children are told.
    Above,
}

struct Word {
    command: Bytes,
    origin: Origin,
}

#[derive(Default)]
struct Words {
    /// The number of the first word kept.
    first: u64,
    words: VecDeque<Word>,
    bytes: usize,
    seen: BTreeSet<CommandId>,
    order: VecDeque<CommandId>,
}

/// What was heard tentatively, and who is still to be told.
#[derive(Default)]
pub(crate) struct Herald {
    words: Mutex<Words>,
    heard: ArcSwap<Tentative>,
}

impl Herald {
    fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The purges heard of.
    pub(crate) fn heard(&self) -> Guard<Arc<Tentative>> {
        self.heard.load()
    }

    /// The number of the next word.
    pub(crate) fn next(&self) -> u64 {
        let words = self.lock();
        words.first + words.words.len() as u64
    }

    /// What a listener is told that has been told everything before `from`, as an encoded entry if
    /// there is any, and what it has been told everything before then.
    pub(crate) fn since(&self, from: u64, only: Option<Origin>) -> (Option<Bytes>, u64) {
        let words = self.lock();
        let skip = usize::try_from(from.saturating_sub(words.first)).unwrap_or(usize::MAX);
        let mut next = from.max(words.first);
        let (mut commands, mut bytes) = (Vec::new(), 0);
        for word in words.words.iter().skip(skip) {
            let wanted = only.is_none_or(|only| word.origin == only);
            let full = commands.len() >= BATCH_MAX || bytes + word.command.len() > BATCH_BYTES;
            if wanted && full && !commands.is_empty() {
                break;
            }
            next += 1;
            if wanted {
                bytes += word.command.len();
                commands.push(word.command.clone());
            }
        }
        ((!commands.is_empty()).then(|| Entry(commands).encode()), next)
    }
}

impl Words {
    /// Whether `id` was not heard of before.
    fn is_news(&mut self, id: CommandId) -> bool {
        let news = self.seen.insert(id);
        if news {
            self.order.push_back(id);
        }
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        news
    }

    fn push(&mut self, word: Word) {
        self.bytes += word.command.len();
        self.words.push_back(word);
        while self.words.len() > WORDS_MAX || self.bytes > WORDS_BYTES_MAX {
            let Some(oldest) = self.words.pop_front() else { break };
            self.bytes -= oldest.command.len();
            self.first += 1;
        }
    }
}

/// Takes the encoded commands of `entry`, if they are purges that were not heard of before.
pub(crate) fn hear(node: &Follow, entry: &[u8], origin: Origin) {
    let Ok(Entry(commands)) = Entry::decode(entry) else { return };
    for command in commands {
        hear_one(node, command, origin);
    }
}

/// Takes one encoded command.
pub(crate) fn hear_one(node: &Follow, command: Bytes, origin: Origin) {
    let Ok(read) = codec::decode::<Envelope>(&command, COMMAND_BYTES_MAX) else { return };
    let Command::Invalidate(purge) = read.command else { return };
    let mut words = node.herald.lock();
    let known = node.replica.state().outcome(&read.id).is_some();
    if known || !words.is_news(read.id) {
        return;
    }
    let mut heard = Tentative::clone(&node.herald.heard.load());
    heard.note(&purge, node.host.now());
    node.herald.heard.store(Arc::new(heard));
    words.push(Word { command, origin });
    drop(words);
    node.fence.changed.notify();
}

/// Tells the others in the middle, for as long as the node runs: one message at a time to each.
pub(crate) async fn tell_across(node: &Follow) {
    let mut told: BTreeMap<NodeName, u64> = BTreeMap::new();
    let mut busy: BTreeSet<NodeName> = BTreeSet::new();
    let mut telling = FuturesUnordered::new();
    let mut seen = node.herald.next();
    loop {
        let news = || (node.herald.next() > seen).then_some(());
        match select(node.fence.changed.until(news), telling.next()).await {
            Either::Left(_) => {}
            Either::Right((Some(name), _)) => drop(busy.remove(&name)),
            // Nobody is being told: wait for news alone.
            Either::Right((None, waiting)) => waiting.await,
        }
        let peers = node.members.peers();
        let targets = upstream::middle(&node.name, node.group.role(), &peers);
        told.retain(|name, _| targets.contains(name));
        for name in targets.iter().filter(|name| !busy.contains(*name)).cloned().collect::<Vec<_>>()
        {
            let cursor = told.entry(name.clone()).or_insert(seen);
            let (entry, next) = node.herald.since(*cursor, Some(Origin::Below));
            *cursor = next;
            let Some(entry) = entry else { continue };
            busy.insert(name.clone());
            let asked = node.peers.ask(&name, Ask::Tentative(entry), PATIENCE);
            telling.push(asked.map(|_| name));
        }
        seen = node.herald.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(origin: Origin) -> Word {
        Word { command: Bytes::from_static(b"c"), origin }
    }

    fn count(told: Option<Bytes>) -> usize {
        told.map_or(0, |entry| Entry::decode(&entry).unwrap().0.len())
    }

    #[test]
    fn children_are_told_everything_and_others_what_began_here() {
        let herald = Herald::default();
        let start = herald.next();
        herald.lock().push(word(Origin::Below));
        herald.lock().push(word(Origin::Above));
        let (told, next) = herald.since(start, None);
        assert_eq!((count(told), next), (2, 2));
        let (told, next) = herald.since(start, Some(Origin::Below));
        assert_eq!((count(told), next), (1, 2));
        assert_eq!(count(herald.since(next, None).0), 0);
    }

    #[test]
    fn who_is_told_late_misses_what_was_dropped_and_nothing_else() {
        let herald = Herald::default();
        (0..WORDS_MAX + 10).for_each(|_| herald.lock().push(word(Origin::Below)));
        assert_eq!(herald.lock().words.len(), WORDS_MAX);
        let (told, next) = herald.since(0, None);
        assert_eq!((count(told), next), (BATCH_MAX, 10 + BATCH_MAX as u64));
    }

    #[test]
    fn a_word_is_news_once() {
        let mut words = Words::default();
        assert!(words.is_news(CommandId(1)));
        assert!(!words.is_news(CommandId(1)));
        (2..=SEEN_MAX as u128 + 1).for_each(|id| assert!(words.is_news(CommandId(id))));
        assert!(words.is_news(CommandId(1)), "forgotten by then");
    }
}
