//! Operators: they form the mesh, change what the origin has, and purge it through any node.
//!
//! An operator whose command has an unknown fate sends it again under the same id, through another
//! node, as the answer tells him to. He writes down what he called, when, and what he heard.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use control::{Command, CommandId, Envelope};
use follow::{Progressed, Receipt, Signal, SubmitError};
use futures_util::future::{Either, join_all, select};
use model::distribution::RequestLimits;
use model::{
    Attributes, CacheBehavior, Distribution, DistributionName, Effect, Glob, Host, Invalidation,
    Level, Member, Origin, Path, Purging, Scope,
};
use wire::codec;
use wire::log::Entry;

use crate::content::{DIRECTORIES, DISTRIBUTIONS, Page};
use crate::dice::Dice;
use crate::executor::Owner;
use crate::history::{Acknowledged, Purge};
use crate::scenario::Scenario;
use crate::stage::Stage;
use crate::viewers;

/// How soon he notices that the node is gone.
const LOOK: Duration = Duration::from_millis(50);
/// How long the first entry of a log may take.
const FOUND: Duration = Duration::from_secs(5);
/// How often he sends one command.
const TRIES: usize = 3;

type Heard = Result<Receipt, SubmitError>;

/// Forms the mesh out of all nodes, and gives it its distribution.
pub(crate) async fn form(stage: &Arc<Stage>) {
    let members = &stage.setting.scenario.members;
    let founder = members[0].clone();
    // A pretend group begins with a mesh that is formed.
    let Some((group, founded)) = stage.process(0).and_then(|process| process.real) else { return };
    group.bootstrap().await.expect("its disk is empty");
    founded.store(true, Ordering::Release);
    let lease_ms = stage.setting.scenario.lease_ms;
    settle(stage, 0, Command::Form { mesh: "sim".into(), founder, lease_ms }).await;
    let joins = members.iter().enumerate().skip(1).map(|(node, member)| {
        settle(stage, node, Command::Join { member: member.clone(), replaces: None })
    });
    join_all(joins).await;
    for distribution in distributions() {
        settle(stage, members.len() - 1, Command::PutDistribution(distribution)).await;
    }
}

/// Starts a node that has lost everything; it joins the mesh through `sponsor`.
pub(crate) async fn join_anew(stage: &Arc<Stage>, node: usize, sponsor: usize) {
    stage.start(node).await;
    if let Some(process) = stage.process(node) {
        process.follow.add_seed(stage.setting.name(sponsor).clone());
    }
    let member = stage.setting.scenario.members[node].clone();
    settle(stage, sponsor, Command::Join { member, replaces: None }).await;
}

/// The log of a mesh that is formed.
pub(crate) fn founding(scenario: &Scenario) -> Vec<Bytes> {
    let founder = scenario.members[0].clone();
    let form = Command::Form { mesh: "sim".into(), founder, lease_ms: scenario.lease_ms };
    let others = scenario.members.iter().skip(1);
    let join = |member: &Member| Command::Join { member: member.clone(), replaces: None };
    let commands = [form].into_iter().chain(others.map(join));
    let commands = commands.chain(distributions().map(Command::PutDistribution));
    let envelopes = (1..)
        .zip(commands)
        .map(|(id, command)| codec::encode(&Envelope { id: CommandId(id), command }));
    vec![Entry(envelopes.collect()).encode()]
}

/// Forms the mesh out of all nodes with one entry of the log, for meshes too large for [`form`].
pub(crate) async fn found(stage: &Stage) {
    let Some((group, founded)) = stage.process(0).and_then(|process| process.real) else { return };
    group.bootstrap().await.expect("its disk is empty");
    founded.store(true, Ordering::Release);
    for entry in founding(&stage.setting.scenario) {
        while group.propose(entry.clone(), FOUND).await.is_err() {
            stage.setting.clock.sleep(LOOK).await;
        }
    }
}

/// Sends a command through `node` until it is in the log.
async fn settle(stage: &Arc<Stage>, node: usize, command: Command) {
    let id = stage.new_id();
    let order = Order { id, command, level: Level::Committed };
    while !matches!(send(stage, node, order.clone()).await, Some(Ok(_))) {
        stage.setting.clock.sleep(Duration::from_millis(100)).await;
    }
}

fn distributions() -> impl Iterator<Item = Distribution> {
    DISTRIBUTIONS.into_iter().map(|(name, hosts)| distribution(name, hosts))
}

fn distribution(name: &str, hosts: &[&str]) -> Distribution {
    Distribution {
        name: name.parse().expect("a DNS label"),
        aliases: hosts.iter().map(|host| Host::parse(host).expect("a host name")).collect(),
        origins: vec![Origin {
            id: "main".into(),
            domain_name: "origin.example".into(),
            http_port: 80,
            connection_timeout_seconds: 10,
            response_timeout_seconds: 30,
            keepalive_timeout_seconds: 5,
            connections_max: 1_024,
        }],
        default_cache_behavior: CacheBehavior::to_origin("main"),
        cache_behaviors: Vec::new(),
        custom_error_responses: Vec::new(),
        default_root_object: None,
        merge_slashes: false,
        limits: RequestLimits::default(),
        purging: Purging::default(),
    }
}

/// What came of a purge that somebody waits for.
pub(crate) struct Answered(Arc<Mutex<Option<Duration>>>);

impl Answered {
    /// When it was said to be fenced, if it was.
    pub(crate) fn at(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A purge for good of what `scope` covers in the distribution of `page`.
pub(crate) fn hard(page: &Page, scope: Scope) -> Invalidation {
    let distribution = page.attributes.distribution.clone();
    Invalidation { distribution, scopes: vec![scope], effect: Effect::Hard }
}

/// Sends a purge through `node` and waits, beside the caller, until it is fenced.
pub(crate) fn purge(
    stage: &Arc<Stage>,
    node: usize,
    id: CommandId,
    purge: Invalidation,
) -> Answered {
    let answered = Arc::new(Mutex::new(None));
    let (stage, written) = (stage.clone(), answered.clone());
    let order = Order { id, command: Command::Invalidate(purge), level: Level::Fenced };
    stage.setting.clone().clock.spawn(Owner::WORLD, async move {
        let heard = send(&stage, node, order).await;
        let level = heard.and_then(Result::ok).map(|receipt| receipt.progressed.level);
        if level == Some(Level::Fenced) {
            let now = stage.setting.now();
            *written.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
    });
    Answered(answered)
}

/// A command as an operator sends it, once or again.
#[derive(Clone)]
struct Order {
    id: CommandId,
    command: Command,
    level: Level,
}

/// Sends `order` through `node`; nothing comes back if the node dies.
async fn send(stage: &Arc<Stage>, node: usize, order: Order) -> Option<Heard> {
    let process = stage.process(node)?;
    let answered = Arc::new((Signal::default(), Mutex::new(None)));
    let (answer, follow) = (answered.clone(), process.follow.clone());
    let patience = stage.setting.scenario.pace.patience;
    stage.setting.clock.spawn(process.owner, async move {
        let Order { id, command, level } = order;
        let heard = follow::submit(&follow, id, command, level, patience).await;
        *answer.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
        answer.0.notify();
    });
    let (signal, heard) = &*answered;
    let heard = signal.until(|| heard.lock().unwrap_or_else(PoisonError::into_inner).take());
    let gone = std::pin::pin!(gone(stage, node, process.owner));
    let heard = match select(heard, gone).await {
        Either::Left((heard, _)) => heard,
        Either::Right(_) => return None,
    };
    if let Ok(Receipt { id, progressed: Progressed { position, .. } }) = &heard {
        let (id, position) = (*id, *position);
        stage.setting.history.write().acknowledged.push(Acknowledged { id, position });
    }
    Some(heard)
}

/// Waits until that process of `node` is no more: its operator's connection is closed.
async fn gone(stage: &Stage, node: usize, owner: Owner) {
    while stage.process(node).is_some_and(|process| process.owner == owner) {
        stage.setting.clock.sleep(LOOK).await;
    }
}

/// Operators change and purge until it is `until`, and see through what they have begun.
pub(crate) async fn work(stage: Arc<Stage>, mut dice: Dice, until: Duration) {
    let mut purges = Vec::new();
    while stage.setting.now() < until {
        let page = viewers::favourite(&stage, &mut dice);
        let about = &stage.setting.scenario.site.pages[page];
        let (owner, scope) = (about.attributes.distribution.clone(), scope(about, &mut dice));
        let effect = if dice.chance(85) { Effect::Hard } else { Effect::Soft };
        let purge = Invalidation { distribution: owner, scopes: vec![scope], effect };
        if dice.chance(50) {
            // Fetches that are under way while the page changes: what this is all about.
            viewers::crowd(&stage, &mut dice, page);
            let head_start = dice.millis(0..=400);
            stage.setting.clock.sleep(head_start).await;
        }
        stage.origin.change(page);
        let others = 0..stage.setting.scenario.site.pages.len();
        others.filter(|_| dice.chance(20)).for_each(|page| stage.origin.change(page));
        if dice.chance(90) {
            let levels = [Level::Committed, Level::Applied, Level::Fenced, Level::Fenced];
            let level = *dice.pick(&levels);
            purges.push(call(&stage, purge, level, (None, dice.fork())));
        }
        let pause = dice.millis(200..=stage.setting.scenario.pace.changes_ms);
        stage.setting.clock.sleep(pause).await;
    }
    for purge in purges {
        purge.0.until(|| purge.1.load(Ordering::Acquire).then_some(())).await;
    }
}

/// Through every node one more purge, all at once; whoever calls one insists on its level.
pub(crate) fn purge_last(stage: &Arc<Stage>, mut dice: Dice) {
    for node in 0..stage.setting.scenario.members.len() {
        let page = viewers::favourite(stage, &mut dice);
        stage.origin.change(page);
        let page = &stage.setting.scenario.site.pages[page];
        let purge = hard(page, scope(page, &mut dice));
        let first = (Some(node), dice.fork());
        call(stage, purge, Level::Fenced, first);
    }
}

/// A scope that covers `page`.
fn scope(page: &Page, dice: &mut Dice) -> Scope {
    let Attributes { host, path, .. } = &page.attributes;
    let only = dice.chance(50).then(|| host.clone());
    let above = |directory: &&str| path.as_str().starts_with(directory);
    let directories: Vec<&str> = DIRECTORIES.into_iter().filter(above).collect();
    let directory = *dice.pick(&directories);
    match dice.below(14) {
        0 => Scope::All,
        1 => Scope::Host(host.clone()),
        2 | 3 => Scope::Prefix { host: only, directory: Path::parse(directory).expect("a path") },
        4 => {
            let pattern = Glob::parse(&format!("{directory}*.html")).expect("a pattern");
            Scope::Glob { host: only, pattern }
        }
        5 | 6 => Scope::Tag(page.tag.clone()),
        _ => Scope::Url { host: only, path: path.clone() },
    }
}

/// Whether `scope` of `distribution` covers `page`, said in other words than the nodes'.
fn covers(distribution: &DistributionName, scope: &Scope, page: &Page) -> bool {
    let path = page.attributes.path.as_str();
    let of_host = scope.host().is_none_or(|host| *host == page.attributes.host);
    page.attributes.distribution == *distribution
        && of_host
        && match scope {
            Scope::Url { path: only, .. } => path == only.as_str(),
            Scope::Prefix { directory, .. } => path.starts_with(directory.as_str()),
            // Every pattern here is of the form "directory*.html", and every page a ".html".
            Scope::Glob { pattern, .. } => {
                let directory = pattern.to_string();
                directory.split_once('*').is_some_and(|(before, _)| path.starts_with(before))
            }
            Scope::Tag(tag) => page.tag == *tag,
            Scope::Host(_) | Scope::All => true,
        }
}

/// Whether a purge has been seen through.
type Done = Arc<(Signal, AtomicBool)>;

/// Writes a purge down and has it seen through, first by the node that is named, if one is.
fn call(
    stage: &Arc<Stage>,
    purge: Invalidation,
    level: Level,
    (first, dice): (Option<usize>, Dice),
) -> Done {
    let Invalidation { distribution, effect, .. } = purge.clone();
    let scope = purge.scopes.first().cloned().unwrap_or(Scope::All);
    let pages = stage.setting.scenario.site.pages.iter().enumerate();
    let pages = pages.filter(|(_, page)| covers(&distribution, &scope, page));
    let covered: BTreeMap<usize, u64> =
        pages.map(|(page, _)| (page, stage.origin.version(page))).collect();
    let (id, called) = (stage.new_id(), stage.setting.now());
    let command = Command::Invalidate(purge);
    stage
        .setting
        .note(format_args!("{effect} purge of {scope} of {distribution} called, until {level}"));
    let mut records = stage.setting.history.write();
    let number = records.purges.len();
    let heard = Vec::new();
    records.purges.push(Purge { id, distribution, scope, effect, level, called, covered, heard });
    drop(records);
    let order = Order { id, command, level };
    let done = Done::default();
    let (told, seen) = (done.clone(), see_through(stage.clone(), number, order, (first, dice)));
    stage.setting.clock.spawn(Owner::WORLD, async move {
        seen.await;
        told.1.store(true, Ordering::Release);
        told.0.notify();
    });
    done
}

async fn see_through(
    stage: Arc<Stage>,
    number: usize,
    order: Order,
    (mut first, mut dice): (Option<usize>, Dice),
) {
    let insists = first.is_some();
    for _ in 0..TRIES {
        let nodes = stage.ready(0..stage.setting.scenario.members.len());
        if nodes.is_empty() {
            stage.setting.clock.sleep(Duration::from_millis(500)).await;
            continue;
        }
        let node = first.take().unwrap_or_else(|| *dice.pick(&nodes));
        let heard = send(&stage, node, order.clone()).await;
        let scope = &stage.setting.history.write().purges[number].scope.clone();
        stage.setting.note(format_args!("purge of {scope} through node {node}: {heard:?}"));
        let Some(heard) = heard else { continue };
        let short = |receipt: &Receipt| receipt.progressed.level < order.level;
        let asks_on = insists && heard.as_ref().is_ok_and(short);
        let done = !matches!(heard, Err(SubmitError::Unknown { .. })) && !asks_on;
        let at = stage.setting.now();
        stage.setting.history.write().purges[number].heard.push((at, heard));
        // Now and then he asks again although he knows: it must change nothing.
        if done && !dice.chance(10) {
            return;
        }
    }
}
