//! Chaos: nodes die and come back, stand still and go on, links are cut and slow down, leaders
//! fall, regions go down as one. All from the seed.
//!
//! It ends when viewers stop coming: whatever is still broken then is mended, so that what must be
//! true in the end can be seen to be.

mod recovery;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use control::lease::wait_for;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::network::Way;
use crate::scenario::{Profile, REGIONS};
use crate::stage::{Halt, Stage};
use crate::viewers;

/// Breaks things until it is `until`.
pub(crate) async fn reign(stage: Arc<Stage>, mut dice: Dice, until: Duration) {
    let (least, most, strike): (usize, usize, Strike) = match stage.setting.scenario.profile {
        Profile::Calm => return,
        Profile::Comeback => return come_back(&stage, &mut dice, until).await,
        Profile::Recovery => return recovery::reign(&stage, &mut dice, until).await,
        Profile::Ordinary => (800, 3_000, strike),
        Profile::Heavy => (100, 900, strike),
        Profile::Correlated => (2_000, 4_000, strike_region),
    };
    let apart = stage.setting.scenario.pace.faults_apart;
    strikes(stage, dice, until, (least * apart..=most * apart, strike)).await;
}

/// One blow, whose traces are gone when so much time has passed.
type Strike = fn(&Arc<Stage>, &mut Dice, Duration);

/// One blow after the other until it is `until`, so many milliseconds apart.
async fn strikes(
    stage: Arc<Stage>,
    mut dice: Dice,
    until: Duration,
    (pause, strike): (RangeInclusive<usize>, Strike),
) {
    loop {
        let wait = dice.millis(pause.clone());
        stage.setting.clock.sleep(wait).await;
        let left = until.saturating_sub(stage.setting.now());
        if left.is_zero() {
            return;
        }
        strike(&stage, &mut dice, left);
    }
}

/// Again and again an edge dies, is dead until purges are fenced without it, and starts with what
/// it left on its disks, cut off from all others; viewers reach it at once.
async fn come_back(stage: &Arc<Stage>, dice: &mut Dice, until: Duration) {
    let lease = stage.setting.scenario.lease();
    let clock = &stage.setting.clock;
    loop {
        let (up, more) = (dice.millis(1_000..=6_000), dice.millis(500..=3_000));
        let (dead, apart) = (wait_for(lease) + more, lease + more);
        if stage.setting.now() + up + dead + apart > until {
            return;
        }
        clock.sleep(up).await;
        let edges = stage.ready(stage.setting.scenario.edges());
        if edges.len() < 2 {
            continue;
        }
        let node = *dice.pick(&edges);
        stage.kill(node);
        clock.sleep(dead).await;
        let alone: Vec<bool> =
            (0..stage.setting.scenario.members.len()).map(|other| other == node).collect();
        split(stage, &alone, apart);
        stage.start(node).await;
        let together = stage.setting.now() + apart;
        while stage.setting.now() < together {
            viewers::knock(stage, dice, node);
            let pause = dice.millis(20..=400);
            clock.sleep(pause.min(together.saturating_sub(stage.setting.now()))).await;
        }
    }
}

/// Milliseconds that a fault lasts, at most.
fn longest(stage: &Stage) -> usize {
    stage.setting.scenario.pace.fault_ms
}

fn strike(stage: &Arc<Stage>, dice: &mut Dice, left: Duration) {
    let nodes = stage.setting.scenario.members.len();
    match dice.below(12) {
        0..=3 => {
            let node = dice.below(nodes);
            kill(stage, dice, node, left);
        }
        4 | 5 => {
            let node = stage.leader().unwrap_or(0);
            kill(stage, dice, node, left);
        }
        6 => {
            let apart = part(stage, dice);
            let time = dice.millis(500..=longest(stage)).min(left);
            split(stage, &apart, time);
        }
        7 | 8 => {
            let time = dice.millis(200..=longest(stage)).min(left);
            let way = Way { from: dice.below(nodes), to: dice.below(nodes) };
            cut(stage, way, time);
        }
        9 | 10 => {
            let node = dice.below(nodes);
            halt(stage, dice, node, left);
        }
        _ => {
            let time = dice.millis(500..=3_000).min(left);
            let way = Way { from: dice.below(nodes), to: dice.below(nodes) };
            stage.network.slow_down(way, time);
        }
    }
}

/// The same befalls a whole region at once, or any half where there is one region only.
fn strike_region(stage: &Arc<Stage>, dice: &mut Dice, left: Duration) {
    let struck = part(stage, dice);
    let what = dice.below(4);
    for node in (0..struck.len()).filter(|node| struck[*node]) {
        match what {
            0 | 1 => kill(stage, dice, node, left),
            2 => halt(stage, dice, node, left),
            _ => {}
        }
    }
    if what == 3 || dice.chance(30) {
        let time = dice.millis(500..=longest(stage)).min(left);
        split(stage, &struck, time);
    }
}

/// Lets a node stand still for a while.
fn halt(stage: &Arc<Stage>, dice: &mut Dice, node: usize, left: Duration) {
    let time = dice.millis(50..=longest(stage)).min(left);
    let how = if dice.chance(50) { Halt::Stopped } else { Halt::Sleeps };
    if stage.halt(node, how, time) {
        stage.setting.history.write().halts += 1;
    }
}

/// Kills a node, unless it is the last one that serves viewers, and starts it again later.
fn kill(stage: &Arc<Stage>, dice: &mut Dice, node: usize, left: Duration) {
    let down = dice.millis(200..=5_000).min(left);
    let edges = stage.ready(stage.setting.scenario.edges());
    if stage.process(node).is_none() || edges == [node] {
        return;
    }
    stage.kill(node);
    let stage = stage.clone();
    stage.setting.clone().clock.spawn(Owner::WORLD, async move {
        stage.setting.clock.sleep(down).await;
        stage.start(node).await;
    });
}

fn cut(stage: &Stage, way: Way, time: Duration) {
    if way.from != way.to && !time.is_zero() {
        let [from, to] = [way.from, way.to].map(|node| stage.setting.name(node));
        stage.setting.note(format_args!("nothing passes between {from} and {to} for {time:?}"));
        stage.setting.history.write().cuts += 1;
        stage.network.cut(way, time);
    }
}

/// Some of the nodes: a region, or any few.
fn part(stage: &Stage, dice: &mut Dice) -> Vec<bool> {
    let nodes = stage.setting.scenario.members.len();
    let region = dice.chance(50).then(|| dice.below(REGIONS.len()));
    let lots: Vec<bool> = (0..nodes).map(|_| dice.chance(35)).collect();
    let apart = |node: usize| match region {
        Some(region) => stage.setting.scenario.region_of(node) == region,
        None => lots[node],
    };
    (0..nodes).map(apart).collect()
}

/// Cuts some nodes off from all others.
fn split(stage: &Stage, apart: &[bool], time: Duration) {
    for from in (0..apart.len()).filter(|node| apart[*node]) {
        for to in (0..apart.len()).filter(|node| !apart[*node]) {
            cut(stage, Way { from, to }, time);
        }
    }
}
