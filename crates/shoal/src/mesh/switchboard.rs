//! The switchboard: what peers say, handed to whom it concerns. Until the node is put together it
//! asks them to come back.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use consensus::Group;
use follow::{Follow, Replica};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use membership::Gossip;
use model::Instance;
use serve::World;
use transport::{Channel, PeerIdentity, Refused, Service};
use wire::hello::Kind;

use crate::mesh::{commands, exchange};

/// Whom peers may speak to. Each part is put in as soon as it runs.
pub(crate) struct Switchboard {
    replica: Arc<Replica>,
    group: OnceLock<Group>,
    follow: OnceLock<Arc<Follow>>,
    gossip: OnceLock<Arc<Gossip>>,
    world: OnceLock<Arc<World>>,
}

impl Switchboard {
    /// Nobody is in yet.
    pub(crate) fn new(replica: Arc<Replica>) -> Switchboard {
        Switchboard {
            replica,
            group: OnceLock::new(),
            follow: OnceLock::new(),
            gossip: OnceLock::new(),
            world: OnceLock::new(),
        }
    }

    /// The Raft group takes messages.
    pub(crate) fn connect_group(&self, group: Group) {
        self.group.get_or_init(|| group);
    }

    /// Commands are taken, and children fed.
    pub(crate) fn connect_follow(&self, follow: Arc<Follow>) {
        self.follow.get_or_init(|| follow);
    }

    /// Gossip is heard.
    pub(crate) fn connect_gossip(&self, gossip: Arc<Gossip>) {
        self.gossip.get_or_init(|| gossip);
    }

    /// Questions are answered.
    pub(crate) fn connect_world(&self, world: Arc<World>) {
        self.world.get_or_init(|| world);
    }

    /// The Raft id that a peer may speak as: the roster's word, or its own while there is no roster
    /// here.
    fn listed_instance(&self, from: &PeerIdentity) -> Result<Instance, Refused> {
        let state = self.replica.state();
        match state.member(&from.name) {
            Some(member) if member.instance == from.instance => Ok(from.instance),
            Some(member) => Err(Refused(format!(
                "{} is listed with instance {}, not {}",
                from.name, member.instance, from.instance
            ))),
            None if state.mesh().is_none() => Ok(from.instance),
            None => Err(Refused(format!("{} is not in the roster", from.name))),
        }
    }
}

fn starting() -> Refused {
    Refused("this node is still starting".into())
}

impl Service for Switchboard {
    fn admit(&self, from: &PeerIdentity, kind: Kind) -> Result<(), Refused> {
        match kind {
            Kind::Raft | Kind::Ask => self.listed_instance(from).map(drop),
            Kind::Gossip | Kind::Submit | Kind::Follow | Kind::Exchange => Ok(()),
        }
    }

    fn call(
        &self,
        from: PeerIdentity,
        kind: Kind,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, Refused>> {
        match kind {
            Kind::Raft => match self.group.get().cloned() {
                Some(group) => {
                    async move { Ok(group.receive(from.instance, request).await) }.boxed()
                }
                None => async { Err(starting()) }.boxed(),
            },
            Kind::Submit => match self.follow.get().cloned() {
                Some(follow) => commands::accept(follow, from, request).boxed(),
                None => async { Err(starting()) }.boxed(),
            },
            Kind::Ask => match self.follow.get().cloned() {
                Some(follow) => commands::answer(follow, request).boxed(),
                None => async { Err(starting()) }.boxed(),
            },
            Kind::Gossip | Kind::Follow | Kind::Exchange => {
                async { Err(Refused("that is not a call".into())) }.boxed()
            }
        }
    }

    fn channel(&self, from: PeerIdentity, kind: Kind, channel: Channel) -> BoxFuture<'static, ()> {
        match (kind, self.follow.get().cloned(), self.world.get().cloned()) {
            (Kind::Follow, Some(follow), _) => commands::feed(follow, from, channel).boxed(),
            (Kind::Exchange, _, Some(world)) => exchange::answer(world, channel).boxed(),
            (Kind::Follow | Kind::Exchange, _, _) => async {}.boxed(),
            (Kind::Raft | Kind::Submit | Kind::Gossip | Kind::Ask, _, _) => async {}.boxed(),
        }
    }

    fn cast(&self, from: PeerIdentity, message: Bytes) {
        if let Some(gossip) = self.gossip.get() {
            let listed = self.replica.state().member(&from.name).map(|member| member.address);
            gossip.deliver(listed.unwrap_or(from.address), message);
        }
    }
}
