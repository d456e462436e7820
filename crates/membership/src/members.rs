//! Members: this node's ear and mouth in gossip.
//!
//! [`Gossip`] is the handle of a task that lives as long as it does. What a node says is set once
//! and spread at the next round; what it hears is one value, replaced every round, which anybody
//! may read or watch. It never waits, and never speaks for another node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use follow::Replica;
use model::limits::{GOSSIP_BYTES_MAX, GOSSIP_QUEUED_MAX};
use model::{Instance, Moment, NodeName};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::debug;
use wire::gossip::Facts;

use crate::beginnings::Beginnings;
use crate::facts::Hearsay;
use crate::life::{Life, keep_alive};
use crate::post::{Letter, Mailbox, Post};

/// Who gossips, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node's name.
    pub name: NodeName,
    /// Its data directory.
    pub instance: Instance,
    /// When it was started, in Unix milliseconds: a later start must have a greater number.
    pub generation: u64,
    /// Where its peers reach it.
    pub address: SocketAddr,
    /// Whom it asks while it knows nobody. The members in the roster need not be among them.
    pub seeds: Vec<SocketAddr>,
    /// Between two rounds, usually [`Gossip::INTERVAL`].
    pub interval: Duration,
}

/// Gossip, as long as it is held.
#[derive(Debug)]
pub struct Gossip {
    name: NodeName,
    inbox: mpsc::Sender<Letter>,
    own: watch::Sender<Facts>,
    heard: watch::Receiver<Arc<Hearsay>>,
    began: Instant,
    task: JoinHandle<()>,
}

impl Gossip {
    /// Between two rounds: a node that was killed is dead to all others within 3 s.
    pub const INTERVAL: Duration = Duration::from_millis(200);

    /// Starts to gossip, about the members that `replica` knows of, at each moment. Needs a tokio
    /// runtime around it.
    pub fn start(options: Options, post: Arc<dyn Post>, replica: Arc<Replica>) -> Gossip {
        let name = options.name.clone();
        let (inbox, letters) = mpsc::channel(GOSSIP_QUEUED_MAX);
        let letters = Arc::new(Mutex::new(letters));
        let mailbox = Mailbox { post, inbox: letters, beginnings: Beginnings::default() };
        let (own, said) = watch::channel(Facts::default());
        let (hear, heard) = watch::channel(Arc::default());
        let (hear, began) = (Arc::new(hear), Instant::now());
        let life = Life { options, mailbox, replica, own: said, heard: hear, began };
        let task = tokio::spawn(keep_alive(life));
        Gossip { name, inbox, own, heard, began, task }
    }

    /// This node's name.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// Takes a message of the authenticated node that advertises `from`. Never waits: what is too
    /// long or too much is dropped.
    pub fn deliver(&self, from: SocketAddr, message: Bytes) {
        let bytes = message.len();
        if bytes > GOSSIP_BYTES_MAX || self.inbox.try_send((from, message)).is_err() {
            debug!(%from, bytes, "gossip dropped: too long or too much");
        }
    }

    /// Says `facts` about this node from the next round on. What changed travels, the rest does
    /// not; still every change costs every node a little, so numbers are best coarse.
    pub fn publish(&self, facts: &Facts) {
        self.own.send_if_modified(|said| {
            let news = said != facts;
            said.clone_from(facts);
            news
        });
    }

    /// What every member heard of says about itself, this node included, and whether gossip says
    /// that it lives.
    pub fn facts(&self) -> BTreeMap<NodeName, (Facts, bool)> {
        let own = (self.name.clone(), (self.said(), true));
        let heard = self.heard();
        let others = heard
            .iter()
            .map(|(name, heard)| (name.clone(), (heard.facts.clone(), heard.sign.live)));
        others.chain([own]).collect()
    }

    /// What this node says.
    pub fn said(&self) -> Facts {
        self.own.borrow().clone()
    }

    /// What was heard of the other members.
    pub fn heard(&self) -> Arc<Hearsay> {
        self.heard.borrow().clone()
    }

    /// What is heard of the other members, from now on; it changes every round.
    pub fn listen(&self) -> watch::Receiver<Arc<Hearsay>> {
        self.heard.clone()
    }

    /// Now, on the clock of [`crate::Sign::beat`].
    pub fn now(&self) -> Moment {
        Moment::at(self.began.elapsed())
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.task.abort();
    }
}
