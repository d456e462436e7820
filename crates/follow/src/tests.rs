//! A node on ports where nothing ever happens, for tests of single steps.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use model::{Invalidation, LogPosition, Moment, NodeName};
use wire::exchange::{Finding, Sample};
use wire::log::{Ask, Fate, Submission, Subscribe, Told};

use crate::{
    Cache, Channel, Disconnected, Follow, Group, Host, Members, Peer, Peers, Ports, ProposeError,
    Role, Shelf,
};

/// The time, which does not pass.
pub(crate) const NOW: Duration = Duration::from_secs(100);

/// A node that leads nobody and hears of nobody.
pub(crate) fn quiet() -> Arc<Follow> {
    let ports = Ports {
        host: Arc::new(Quiet),
        group: Arc::new(Quiet),
        peers: Arc::new(Quiet),
        members: Arc::new(Quiet),
        shelf: Arc::new(Quiet),
        cache: Arc::new(Quiet),
    };
    Follow::new("quiet".parse().unwrap(), ports, Arc::default())
}

struct Quiet;

impl Host for Quiet {
    fn now(&self) -> Moment {
        Moment::at(NOW)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        pending().boxed()
    }

    fn dice(&self) -> u128 {
        1
    }
}

impl Group for Quiet {
    fn role(&self) -> Role {
        Role::default()
    }

    fn propose(
        &self,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<(LogPosition, Bytes), ProposeError>> {
        pending().boxed()
    }

    fn confirm(&self, _: Duration) -> BoxFuture<'static, Result<LogPosition, ProposeError>> {
        pending().boxed()
    }
}

impl Peers for Quiet {
    fn submit(
        &self,
        _: &NodeName,
        _: Submission,
    ) -> BoxFuture<'static, Result<Fate, Disconnected>> {
        pending().boxed()
    }

    fn ask(
        &self,
        _: &NodeName,
        _: Ask,
        _: Duration,
    ) -> BoxFuture<'static, Result<Told, Disconnected>> {
        pending().boxed()
    }

    fn follow(
        &self,
        _: &NodeName,
        _: Subscribe,
    ) -> BoxFuture<'static, Result<Channel, Disconnected>> {
        pending().boxed()
    }
}

impl Members for Quiet {
    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }
}

impl Shelf for Quiet {
    fn last(&self) -> LogPosition {
        LogPosition::ZERO
    }

    fn entries(&self) -> u64 {
        0
    }

    fn append(&self, _: LogPosition, _: &[Bytes]) {}

    fn replace(&self, _: LogPosition, _: Bytes) {}
}

impl Cache for Quiet {
    fn stop_old(&self) -> u64 {
        0
    }

    fn plan(&self, _: &Invalidation) -> (u64, u64) {
        (0, 0)
    }

    fn judge(&self, _: &Sample) -> Finding {
        Finding::Unknown
    }
}
