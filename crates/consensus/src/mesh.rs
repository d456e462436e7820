//! A mesh in one process for the tests: groups on real directories, messages through tasks.
//!
//! Links can be cut, and a node can be stopped and opened again on its directory. Nothing here
//! opens a socket.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::Instance;
use tempfile::TempDir;
use tokio::time::timeout;
use wire::codec;

use crate::{Group, Machine, Network, Options, Role, Timings, Unreachable};

/// What every wait in a test may take at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A machine that writes down what it is given.
#[derive(Default)]
pub(crate) struct Tape {
    lines: Mutex<Vec<(u64, Bytes)>>,
}

impl Tape {
    /// The commands on it, without blanks.
    pub(crate) fn commands(&self) -> Vec<Bytes> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).filter(|line| !line.is_empty()).collect()
    }
}

impl Machine for Tape {
    fn apply(&self, entries: Vec<(u64, Bytes)>) -> Vec<Bytes> {
        let mut lines = self.lines.lock().unwrap();
        let mut outcomes = Vec::new();
        for (index, command) in entries {
            if lines.last().is_none_or(|(last, _)| *last < index) {
                lines.push((index, command));
            }
            outcomes.push(Bytes::from(format!("line {index}")));
        }
        outcomes
    }

    fn snapshot(&self) -> (u64, Bytes) {
        let lines = self.lines.lock().unwrap();
        (lines.last().map_or(0, |(index, _)| *index), codec::encode(&*lines))
    }

    fn install(&self, _index: u64, snapshot: Bytes) -> Result<(), String> {
        let lines = codec::decode(&snapshot, usize::MAX).map_err(|error| error.to_string())?;
        *self.lines.lock().unwrap() = lines;
        Ok(())
    }

    fn applied(&self) -> u64 {
        self.lines.lock().unwrap().last().map_or(0, |(index, _)| *index)
    }
}

/// The links of a mesh.
#[derive(Clone, Default)]
pub(crate) struct Links {
    inner: Arc<Ends>,
}

#[derive(Default)]
struct Ends {
    groups: RwLock<Vec<(Instance, Group)>>,
    cut: RwLock<BTreeSet<Instance>>,
    sent: Mutex<Vec<Instance>>,
}

/// The end of the links at one node.
struct End {
    me: Instance,
    links: Links,
}

/// A node of the mesh.
pub(crate) struct Node {
    pub(crate) me: Instance,
    pub(crate) home: Arc<TempDir>,
    pub(crate) tape: Arc<Tape>,
    pub(crate) group: Group,
}

impl Links {
    /// Opens a node with a new directory.
    pub(crate) async fn node(&self, number: u64) -> Node {
        self.open(number, Arc::new(tempfile::tempdir().unwrap()), quick()).await
    }

    /// Opens a node on `home`.
    pub(crate) async fn open(&self, number: u64, home: Arc<TempDir>, timings: Timings) -> Node {
        let (me, tape) = (Instance(number), Arc::new(Tape::default()));
        let options = Options { directory: data(&home), me, timings };
        let group = Group::open(options, tape.clone(), self.end(number)).await.unwrap();
        self.inner.groups.write().unwrap().push((me, group.clone()));
        self.inner.cut.write().unwrap().remove(&me);
        Node { me, home, tape, group }
    }

    /// The network as the node sees it.
    pub(crate) fn end(&self, number: u64) -> Arc<dyn Network> {
        Arc::new(End { me: Instance(number), links: self.clone() })
    }

    /// Cuts every link of `node`.
    pub(crate) fn cut(&self, node: Instance) {
        self.inner.cut.write().unwrap().insert(node);
    }

    /// Stops a node and returns its directory, free to be opened again.
    pub(crate) async fn stop(&self, node: Node) -> Arc<TempDir> {
        self.inner.groups.write().unwrap().retain(|(instance, _)| *instance != node.me);
        node.group.shutdown().await;
        node.home
    }

    /// How many messages `node` has sent.
    pub(crate) fn sent_by(&self, node: Instance) -> usize {
        self.inner.sent.lock().unwrap().iter().filter(|sender| **sender == node).count()
    }
}

impl Network for End {
    fn send(
        &self,
        to: Instance,
        message: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unreachable>> {
        let (me, ends) = (self.me, self.links.inner.clone());
        ends.sent.lock().unwrap().push(me);
        let cut = ends.cut.read().unwrap();
        let group = ends.groups.read().unwrap().iter().find(|(one, _)| *one == to).cloned();
        let group = group.filter(|_| !cut.contains(&me) && !cut.contains(&to));
        drop(cut);
        Box::pin(async move {
            let Some((_, group)) = group else { return Err(Unreachable::new(to, "no way there")) };
            let answer = tokio::spawn(async move { group.receive(me, message).await });
            match timeout(deadline, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(panic)) => Err(Unreachable::new(to, panic)),
                Err(late) => Err(Unreachable::new(to, late)),
            }
        })
    }
}

impl Node {
    /// Waits until the node's role is as wished.
    pub(crate) async fn until(&self, what: &str, wish: impl FnMut(&Role) -> bool) -> Role {
        let mut changes = self.group.changes();
        let role = timeout(PATIENCE, changes.wait_for(wish)).await;
        role.unwrap_or_else(|_| panic!("{} never came to {what}", self.me)).unwrap().clone()
    }

    /// Proposes and expects success.
    pub(crate) async fn say(&self, command: impl Into<Bytes>) -> u64 {
        self.group.propose(command.into(), PATIENCE).await.unwrap().0
    }

    /// Waits until the tape holds `count` commands.
    pub(crate) async fn hears(&self, count: usize) -> Vec<Bytes> {
        let heard = async {
            while self.tape.commands().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("{} hears too little", self.me));
        self.tape.commands()
    }
}

/// Timings for one process: quick, yet patient enough for a busy machine.
pub(crate) fn quick() -> Timings {
    Timings {
        heartbeat: Duration::from_millis(60),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(400),
        part: PATIENCE,
        snapshot_every_entries: 5_000,
    }
}

/// Where a node of the mesh keeps its data.
pub(crate) fn data(home: &TempDir) -> std::path::PathBuf {
    let home: &Path = home.path();
    home.join("data")
}

/// Three voters; the first leads.
pub(crate) async fn three(links: &Links) -> [Node; 3] {
    let nodes = [links.node(1).await, links.node(2).await, links.node(3).await];
    nodes[0].group.bootstrap().await.unwrap();
    for node in &nodes[1..] {
        nodes[0].group.add_learner(node.me, PATIENCE).await.unwrap();
        nodes[0].group.promote(node.me, PATIENCE).await.unwrap();
    }
    for node in &nodes {
        node.until("three voters", |role| role.voters.len() == 3 && !role.joint).await;
    }
    nodes
}
