//! What may happen to a lab from outside: purges, lost leases, voters that answer or do not.
//!
//! Nothing moves by itself: the nodes learn of it when the test says so.
//! The log stays with the lab; these only write to it.

use std::sync::Arc;
use std::time::Duration;

use control::{Command, Tentative};
use model::{CachePolicy, Effect, Invalidation, LogPosition, Purging, Scope, Tag};

use super::super::origin::Gate;
use super::super::ports::Granted;
use super::{DISTRIBUTION, Lab, distribution};

impl Lab {
    /// How many responses purges have cut off so far, everywhere.
    pub(in crate::tests) fn cut(&self) -> u64 {
        *self.cut.borrow()
    }

    /// From now on purges bear on the lab's distribution like that.
    pub(in crate::tests) fn purging(&self, purging: Purging) {
        self.log(Command::PutDistribution(distribution(purging)));
        self.catch_up_all();
    }

    /// From now on the lab's distribution is compressed at the edge, as that policy enables.
    pub(in crate::tests) fn compressing(&self, cache_policy: CachePolicy) {
        let mut compressing = distribution(Purging::default());
        compressing.default_cache_behavior.compress = true;
        compressing.default_cache_behavior.cache_policy = cache_policy;
        self.log(Command::PutDistribution(compressing));
        self.catch_up_all();
    }

    /// The node called `name` has that lease from now on.
    pub(in crate::tests) fn lease(&self, name: &str, granted: Granted) {
        *self.nodes[name].facts.lease.lock().unwrap() = granted;
    }

    /// The lease of the node called `name` is not renewed any more.
    pub(in crate::tests) fn cut_off(&self, name: &str) {
        let now = self.world(name).host.now();
        self.lease(name, Granted::Until(now.plus(Duration::from_secs(10))));
    }

    /// What the voters will say to the node called `name`, once `gate` is open.
    pub(in crate::tests) fn voters(&self, name: &str, answer: bool, gate: &Gate) {
        *self.nodes[name].facts.voters.lock().unwrap() = (answer, gate.clone());
    }

    /// The node called `name` hears of a purge that is not in the log yet.
    pub(in crate::tests) fn hear(&self, name: &str, scope: Scope, effect: Effect) {
        let facts = &self.nodes[name].facts;
        let mut heard = Tentative::clone(&facts.tentative.load());
        let distribution = DISTRIBUTION.parse().unwrap();
        let purge = Invalidation { distribution, scopes: vec![scope], effect };
        heard.note(&purge, self.world(name).host.now());
        facts.tentative.store(Arc::new(heard));
    }

    /// Everybody applies what they have not applied.
    pub(in crate::tests) fn catch_up_all(&self) {
        self.nodes.keys().for_each(|name| self.catch_up(name));
    }

    /// Purges `path`, and everybody knows.
    pub(in crate::tests) fn purge(&self, path: &str) -> LogPosition {
        let position = self.log_purge(path);
        self.catch_up_all();
        position
    }

    /// Purges `path`, and nobody knows yet.
    pub(in crate::tests) fn log_purge(&self, path: &str) -> LogPosition {
        self.log_scope(Scope::parse(path).unwrap(), Effect::Hard)
    }

    /// Purges everything with `tag`, and everybody knows.
    pub(in crate::tests) fn purge_tag(&self, tag: &str) -> LogPosition {
        let position = self.log_scope(Scope::Tag(Tag::parse(tag).unwrap()), Effect::Hard);
        self.catch_up_all();
        position
    }

    /// Makes `path` stale, and everybody knows.
    pub(in crate::tests) fn soften(&self, path: &str) -> LogPosition {
        let position = self.log_scope(Scope::parse(path).unwrap(), Effect::Soft);
        self.catch_up_all();
        position
    }

    /// Purges `scope`, and nobody knows yet.
    pub(in crate::tests) fn log_scope(&self, scope: Scope, effect: Effect) -> LogPosition {
        let scopes = vec![scope];
        let distribution = DISTRIBUTION.parse().unwrap();
        self.log(Command::Invalidate(Invalidation { distribution, scopes, effect }))
    }
}
