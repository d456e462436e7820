//! Forced recoveries, again and again: one voter is left, mostly one that had fallen behind, the
//! others are lost with their disks, and an operator makes the mesh go on with what that one has.
//!
//! The others run on all the while, on what the lost voters told them; now and then one of them
//! dies and comes back, stands still, or is cut off from another.

use std::sync::Arc;
use std::time::Duration;

use control::lease::wait_for;

use super::{Strike, cut, halt, kill, longest, split, strikes};
use crate::dice::Dice;
use crate::executor::Owner;
use crate::network::Way;
use crate::operators;
use crate::scenario::VOTERS;
use crate::setting::Setting;
use crate::stage::Stage;

/// In so many of a hundred recoveries the survivor had been cut off for as long as purges need to
/// be fenced without it.
const BEHIND: usize = 75;
/// Who does not vote is cut off with it in so many of a hundred.
const COMPANY: usize = 35;
/// Between two recoveries, at least: until everybody has found everybody.
const SETTLED: Duration = Duration::from_secs(15);

/// How long the parts of one recovery take.
struct Course {
    /// Until it begins.
    up: Duration,
    /// While the survivor falls behind.
    behind: Duration,
    /// While nobody votes.
    silence: Duration,
    /// Until the first of those that were lost joins anew.
    anew: Duration,
}

impl Course {
    fn draw(dice: &mut Dice, lease: Duration) -> Course {
        let up = SETTLED + dice.millis(0..=20_000);
        let behind = match dice.chance(BEHIND) {
            true => wait_for(lease) + dice.millis(500..=4_000),
            false => Duration::ZERO,
        };
        Course { up, behind, silence: dice.millis(100..=8_000), anew: dice.millis(200..=8_000) }
    }

    fn lasts(&self) -> Duration {
        self.up + self.behind + self.silence + self.anew
    }
}

/// One recovery after the other until it is `until`.
pub(super) async fn reign(stage: &Arc<Stage>, dice: &mut Dice, until: Duration) {
    let Setting { clock, scenario, .. } = &*stage.setting;
    let trouble: (_, Strike) = (2_000..=20_000, strike_follower);
    clock.spawn(Owner::WORLD, strikes(stage.clone(), dice.fork(), until, trouble));
    loop {
        let course = Course::draw(dice, scenario.lease());
        if stage.setting.now() + course.lasts() + SETTLED > until {
            return;
        }
        clock.sleep(course.up).await;
        let voters = stage.ready(0..VOTERS);
        if voters.len() == VOTERS {
            recover(stage, dice, &course).await;
        }
    }
}

/// All voters are lost but one; the mesh goes on with what that one has, and the others join anew.
async fn recover(stage: &Arc<Stage>, dice: &mut Dice, course: &Course) {
    let Setting { clock, scenario, .. } = &*stage.setting;
    let survivor = dice.below(VOTERS);
    if !course.behind.is_zero() {
        let stays = |node: usize| match node < VOTERS {
            true => node == survivor,
            false => dice.chance(COMPANY),
        };
        let left: Vec<bool> = (0..scenario.members.len()).map(stays).collect();
        split(stage, &left, course.behind);
        clock.sleep(course.behind).await;
    }
    let lost = || (0..VOTERS).filter(|voter| *voter != survivor);
    stage.kill(survivor);
    lost().for_each(|voter| stage.lose(voter));
    clock.sleep(course.silence).await;
    stage.recover(survivor);
    stage.start(survivor).await;
    clock.sleep(course.anew).await;
    for voter in lost() {
        operators::join_anew(stage, voter, survivor).await;
        stage.admit(voter, survivor);
    }
}

/// What befalls those that do not vote meanwhile.
fn strike_follower(stage: &Arc<Stage>, dice: &mut Dice, left: Duration) {
    let nodes = stage.setting.scenario.members.len();
    let node = dice.within(VOTERS..=nodes - 1);
    match dice.below(4) {
        0 | 1 => kill(stage, dice, node, left),
        2 => halt(stage, dice, node, left),
        _ => {
            let time = dice.millis(200..=longest(stage)).min(left);
            cut(stage, Way { from: node, to: dice.below(nodes) }, time);
        }
    }
}
