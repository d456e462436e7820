//! Forced recoveries, again and again: one voter is left, mostly one that had fallen behind, the
//! others are lost with their disks, and an operator makes the mesh go on with what that one has.
//!
//! Edges run on all the while, on what the lost voters told them.

use std::sync::Arc;
use std::time::Duration;

use control::lease::wait_for;

use super::split;
use crate::dice::Dice;
use crate::operators;
use crate::scenario::VOTERS;
use crate::stage::Stage;

/// In so many of a hundred recoveries the survivor had been cut off for as long as purges need to
/// be fenced without it.
const BEHIND: usize = 75;
/// Who does not vote is cut off with it in so many of a hundred.
const COMPANY: usize = 35;
/// Between two recoveries, at least: until everybody has found everybody.
const SETTLED: Duration = Duration::from_secs(15);

/// One recovery after the other until it is `until`.
pub(super) async fn reign(stage: &Arc<Stage>, dice: &mut Dice, until: Duration) {
    let scenario = &stage.setting.scenario;
    let clock = &stage.setting.clock;
    let alone = wait_for(scenario.lease());
    loop {
        let up = SETTLED + dice.millis(0..=20_000);
        let behind = match dice.chance(BEHIND) {
            true => alone + dice.millis(500..=4_000),
            false => Duration::ZERO,
        };
        let (silence, anew) = (dice.millis(100..=8_000), dice.millis(200..=8_000));
        if stage.setting.now() + up + behind + silence + anew + SETTLED > until {
            return;
        }
        clock.sleep(up).await;
        let voters = stage.ready(0..VOTERS);
        if voters.len() < VOTERS {
            continue;
        }
        let survivor = *dice.pick(&voters);
        let mut stays = |node: usize| match node < VOTERS {
            true => node == survivor,
            false => dice.chance(COMPANY),
        };
        let left: Vec<bool> = (0..scenario.members.len()).map(&mut stays).collect();
        if !behind.is_zero() {
            split(stage, &left, behind);
            clock.sleep(behind).await;
        }
        stage.kill(survivor);
        let lost: Vec<usize> = voters.into_iter().filter(|voter| *voter != survivor).collect();
        lost.iter().for_each(|voter| stage.lose(*voter));
        clock.sleep(silence).await;
        stage.recover(survivor);
        stage.start(survivor).await;
        clock.sleep(anew).await;
        for voter in lost {
            operators::join_anew(stage, voter, survivor).await;
            stage.admit(voter, survivor);
        }
    }
}
