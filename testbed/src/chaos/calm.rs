//! Coming together: how long after the last fault, and after the last command, every node lives,
//! sees all others and a leader, holds a lease and has what it must have of the log.

use std::collections::BTreeSet;
use std::time::Duration;

use admin::view::Status;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::judge::Offence;
use super::run::{Stage, accuse};
use super::settling;

/// How long is looked at most, to say when it came together at last.
const LOOKED: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What nodes must have applied.
#[derive(Clone, Copy)]
enum Level {
    /// Whatever anybody had when all were asked before: commands go on.
    AsBefore(u64),
    /// The same, all of them: the last command has been answered.
    Equal,
}

/// A node, as it sees itself and others.
#[derive(Clone, Debug)]
struct Look {
    name: String,
    ready: bool,
    sees_leader: bool,
    sees_alive: usize,
    fenced: bool,
    applied: u64,
}

/// Waits until everybody is together and keeps up, while commands go on; how long that took from
/// `calm`, the end of the last fault.
pub(super) async fn settle(stage: &Stage, calm: Instant) -> Duration {
    // Nobody has been asked yet, so nobody keeps up.
    come_together(stage, Level::AsBefore(u64::MAX), calm, "the last fault").await
}

/// Waits until everybody has the same; how long that took from the answer to the last command.
pub(super) async fn agree(stage: &Stage) -> Duration {
    come_together(stage, Level::Equal, Instant::now(), "the last command").await
}

async fn come_together(stage: &Stage, level: Level, since: Instant, after: &str) -> Duration {
    let mut level = level;
    loop {
        let looks = look(stage).await;
        let took = since.elapsed();
        let what = match (together(level, &looks), took > settling(&stage.scene)) {
            (Ok(()), false) => return took,
            (Ok(()), true) => Some("together only then".to_owned()),
            (Err(what), _) => (took > LOOKED).then_some(what),
        };
        if let Some(what) = what {
            let (took, allowed) = (took.as_millis(), settling(&stage.scene).as_millis());
            let text = format!("{took} ms after {after}, {allowed} are allowed: {what}");
            accuse(stage, Offence::Unsettled, text);
            return since.elapsed();
        }
        if let Level::AsBefore(before) = &mut level {
            let applied = looks.iter().flatten().map(|look| look.applied);
            *before = applied.max().unwrap_or(u64::MAX);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn look(stage: &Stage) -> Vec<Result<Look, String>> {
    let asked = stage.scene.nodes.iter().map(|place| async {
        let name = place.name.to_string();
        match stage.operator.status(place).await {
            Ok(status) => Ok(Look::of(name, &status)),
            Err(error) => Err(format!("{name}: {error:#}")),
        }
    });
    join_all(asked).await
}

impl Look {
    fn of(name: String, status: &Status) -> Look {
        let own = status.nodes.iter().find(|node| node.name == name);
        Look {
            ready: status.ready,
            sees_leader: status.leader.is_some(),
            sees_alive: status.nodes.iter().filter(|node| node.alive).count(),
            fenced: own.is_none_or(|own| own.fenced),
            applied: status.log.applied_index,
            name,
        }
    }
}

/// Whether they are; if not, what is missing.
fn together(level: Level, looks: &[Result<Look, String>]) -> Result<(), String> {
    let mut applied = BTreeSet::new();
    for look in looks {
        let look = look.as_ref().map_err(String::clone)?;
        let Look { name, ready, sees_leader, sees_alive, fenced, .. } = look;
        if !ready || !sees_leader {
            return Err(format!("{name} is not ready, or sees no leader"));
        }
        if *sees_alive != looks.len() {
            return Err(format!("{name} sees {sees_alive} alive of {}", looks.len()));
        }
        if *fenced {
            return Err(format!("{name} is fenced"));
        }
        applied.insert(look.applied);
    }
    let least = applied.first().copied().unwrap_or(0);
    match level {
        Level::AsBefore(before) if least >= before => Ok(()),
        Level::Equal if applied.len() == 1 => Ok(()),
        Level::AsBefore(_) | Level::Equal => Err(format!("applied differs: {applied:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(name: &str, applied: u64) -> Result<Look, String> {
        let name = name.to_owned();
        Ok(Look { name, ready: true, sees_leader: true, sees_alive: 2, fenced: false, applied })
    }

    #[test]
    fn who_lives_and_keeps_up_is_together() {
        let looks = [good("a", 7), good("b", 8)];
        assert_eq!(together(Level::AsBefore(7), &looks), Ok(()));
        assert!(together(Level::AsBefore(8), &looks).is_err());
        assert!(together(Level::Equal, &looks).is_err());
        assert_eq!(together(Level::Equal, &[good("a", 8), good("b", 8)]), Ok(()));
    }

    #[test]
    fn every_flaw_is_named() {
        let spoil = |change: fn(&mut Look)| {
            let mut look = good("b", 7);
            look.iter_mut().for_each(change);
            together(Level::Equal, &[good("a", 7), look]).unwrap_err()
        };
        assert_eq!(spoil(|look| look.ready = false), "b is not ready, or sees no leader");
        assert_eq!(spoil(|look| look.sees_leader = false), "b is not ready, or sees no leader");
        assert_eq!(spoil(|look| look.sees_alive = 1), "b sees 1 alive of 2");
        assert_eq!(spoil(|look| look.fenced = true), "b is fenced");
        let dead = [good("a", 7), Err("b: refused".to_owned())];
        assert_eq!(together(Level::Equal, &dead), Err("b: refused".to_owned()));
    }
}
