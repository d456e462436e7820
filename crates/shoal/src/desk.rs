//! The operator's desk: what the admin door asks of this node.

use std::sync::Arc;
use std::time::Duration;

use admin::view::{Canary, LogStatus, NodeRole, NodeStatus, Served, ServedByTier, Status};
use admin::{Metrics, Planned, Readiness};
use consensus::Group;
use control::{Command, CommandId, State};
use follow::{Follow, Progressed, Receipt, SubmitError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use membership::Gossip;
use model::{Invalidation, Level, LogPosition, Member};
use serve::{Entry, World};
use storage::Memory;
use wire::gossip::Facts;

use crate::host::Machine;
use crate::node::ground::Ground;
use crate::node::stories::Stories;
use crate::node::succession;
use crate::plan;

/// Everything that operators may ask about.
pub(crate) struct Desk {
    follow: Arc<Follow>,
    gossip: Arc<Gossip>,
    group: Group,
    store: Arc<Memory<Entry>>,
    world: Arc<World>,
    metrics: Arc<Metrics>,
    canary: Arc<crate::canary::Canary>,
    me: Member,
}

impl Desk {
    /// The desk of this node.
    pub(crate) fn of(ground: &Ground, stories: &Stories) -> Desk {
        Desk {
            follow: stories.follow.clone(),
            gossip: stories.gossip.clone(),
            group: ground.group.clone(),
            store: stories.store.clone(),
            world: stories.world.clone(),
            metrics: stories.metrics.clone(),
            canary: stories.canary.clone(),
            me: ground.me.clone(),
        }
    }
}

impl admin::Desk for Desk {
    fn submit(
        &self,
        id: Option<CommandId>,
        command: Command,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Receipt, SubmitError>> {
        let follow = self.follow.clone();
        let id = id.unwrap_or_else(|| CommandId(follow.host.dice()));
        let metrics = self.metrics.clone();
        async move {
            let purges = matches!(command, Command::Invalidate(_));
            let answer = follow::submit(&follow, id, command, level, patience).await;
            if purges {
                metrics.purged(level, &answer);
            }
            answer
        }
        .boxed()
    }

    fn reach(
        &self,
        position: LogPosition,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Option<Progressed>> {
        let follow = self.follow.clone();
        async move { follow::reach(&follow, position, level, patience).await }.boxed()
    }

    fn plan(&self, purge: Invalidation) -> BoxFuture<'static, Vec<Planned>> {
        let follow = self.follow.clone();
        async move { plan::everywhere(&follow, purge).await }.boxed()
    }

    fn status(&self) -> Status {
        let state = Arc::clone(&self.follow.replica.state());
        let peers = self.follow.members.peers();
        let facts = self.gossip.facts();
        let applied = state.applied();
        let head = facts.values().map(|(facts, _)| facts.applied).max().unwrap_or_default();
        let head = head.max(applied).max(self.follow.confirm.head());
        let own_role = self.group.role();
        let nodes: Vec<NodeStatus> = peers
            .iter()
            .filter_map(|peer| {
                let member = state.member(&peer.name)?;
                let mut said = facts.get(&peer.name).map(|(said, _)| said.clone());
                if peer.name == self.me.name {
                    let said = said.get_or_insert_default();
                    said.applied = applied;
                    said.votes = own_role.voter;
                    said.leads = own_role.leads.then_some(own_role.term);
                    said.lease = self.follow.lease_age();
                    let (samples, violations) = self.canary.counts();
                    said.canary = wire::gossip::Canary { samples, violations };
                }
                let said = said.unwrap_or_default();
                Some(describe(member, peer.alive, &said, head.index(), state.lease()))
            })
            .collect();
        let leading = peers.iter().filter(|peer| peer.alive && peer.leads.is_some());
        let leader = leading.max_by_key(|peer| peer.leads).map(|peer| peer.name.to_string());
        let judged = nodes.iter().filter(|node| node.alive).map(|node| node.canary);
        let canary = judged.fold(Canary::default(), |all, one| Canary {
            samples: all.samples + one.samples,
            violations: all.violations + one.violations,
        });
        let alive = nodes.iter().filter(|node| node.alive);
        // Nothing, which is less than anything, if one of them does not say.
        let protocol = alive.map(|node| node.protocol).min().flatten();
        Status {
            protocol,
            canary,
            lease_ms: u64::try_from(state.lease().as_millis()).unwrap_or(u64::MAX),
            mesh: state.mesh().map(str::to_owned),
            node: self.me.name.to_string(),
            ready: self.readiness() == Readiness::Ready,
            leader,
            log: LogStatus {
                epoch: applied.epoch(),
                applied: applied.to_string(),
                head: head.to_string(),
                applied_index: applied.index(),
                head_index: head.index(),
            },
            nodes,
            distributions: state.distributions().count() as u64,
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.follow.replica.state())
    }

    fn readiness(&self) -> Readiness {
        let waiting = |reason: &str| Readiness::Waiting(reason.to_owned());
        let state = self.follow.replica.state();
        if self.follow.replica.is_halted() {
            return waiting(
                "the log has an entry that this version cannot read: upgrade this node",
            );
        }
        if succession::has_ended(&self.group, &self.follow.replica) {
            return waiting(succession::ADVICE);
        }
        if state.member(&self.me.name).is_none_or(|listed| listed.instance != self.me.instance) {
            return waiting("not in the roster yet");
        }
        if !self.follow.is_caught_up() {
            return waiting(match self.group.role().stopped {
                true => "the disk under the log failed: free space on it, then restart this node",
                false => "catching up with the log",
            });
        }
        Readiness::Ready
    }

    fn metrics(&self) -> String {
        let role = self.group.role();
        let applied = self.follow.replica.applied();
        let peers = self.follow.members.peers();
        let readings = admin::Readings {
            store_bytes: self.store.bytes(),
            store_objects: self.store.len() as u64,
            fills_running: self.world.fills.running() as u64,
            applied,
            head: self.follow.confirm.head().max(applied),
            invalidation_entries: self.follow.replica.state().epochs_total() as u64,
            lease_age: self.follow.lease_age(),
            fenced: self.follow.valid_until().is_none_or(|until| until < Machine.now()),
            responses_cut: self.follow.cut(),
            canary_samples: self.canary.counts().0,
            canary_violations: self.canary.counts().1,
            peers_alive: peers.iter().filter(|peer| peer.alive).count() as u64,
            leads: role.leads,
            term: role.term,
        };
        self.metrics.observe(&readings);
        self.metrics.encode()
    }
}

fn describe(member: &Member, alive: bool, said: &Facts, head: u64, lease: Duration) -> NodeStatus {
    let applied = said.applied.index();
    let role = match (said.leads, said.votes) {
        (Some(_), _) if alive => NodeRole::Leader,
        (Some(_), _) | (None, true) => NodeRole::Voter,
        (None, false) => NodeRole::Follower,
    };
    let [edge, regional, shield] = said.served.map(|tier| Served::of(tier.requests, tier.hits));
    NodeStatus {
        name: member.name.to_string(),
        region: member.region.to_string(),
        tiers: member.tiers.into(),
        alive,
        role,
        address: member.address,
        http: said.http,
        admin: said.admin,
        applied,
        lag: head.saturating_sub(applied),
        load: said.load,
        served: ServedByTier { edge, regional, shield },
        lease_age_ms: said.lease.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        fenced: said.lease.is_none_or(|age| age > lease),
        canary: Canary { samples: said.canary.samples, violations: said.canary.violations },
        protocol: said.protocol,
    }
}
