//! `shoal recover`: a mesh whose voters are lost goes on with what one disk still knows.
//!
//! It works on the data directory of a node that does not run, asks nobody, and changes nothing
//! without `--yes`. What it writes is one snapshot in a new mesh epoch (`consensus::Remains`), and
//! that outranks everything any node has heard before.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use consensus::Remains;
use control::State;
use follow::Replica;
use model::{Instance, LogPosition, Member};

use crate::mesh::raft::Applied;
use crate::node::directory;
use crate::output;
use crate::shelf::Shelf;

/// Go on without voters that are lost for good, with what one disk knows.
///
/// For a mesh in which a majority of the voters has lost its disks, and for no other: voters that
/// can come back bring everything back. Stop every node that ever voted and keep the others
/// stopped. Run it with --plan on each survivor, choose the one with the highest position, and run
/// it there with --yes. The node then forms the Raft group alone; commands that only the lost
/// voters had are gone; and nothing that any node has cached is served again without asking the
/// origin. See docs/operations.md, "Losing the quorum".
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The data directory of the node, which must not run.
    #[arg(long, env = "SHOAL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Say what the disk knows and what would be done, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { data_dir, plan, yes } = arguments;
    let replica = Arc::new(Replica::default());
    let (instance, remains) = open(&data_dir, &replica).await?;
    let recovery = Recovery::of(instance, &remains, State::clone(&replica.state()))
        .with_context(|| data_dir.display().to_string())?;
    recovery.print(&remains);
    if plan {
        remains.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(yes, "nothing was changed: run it again with --yes to go on like this");
    let (at, state) = recovery.state();
    remains.found(instance, at.packed(), wire::codec::encode(&state)).await?;
    output::line(format!("recovered: the mesh goes on at {at}"));
    output::note(format!(
        "next: start {} as it was configured. Whoever voted before and was not recovered here \
         starts with an empty directory: move its `raft` and `instance` away first",
        recovery.survivor.name
    ));
    Ok(ExitCode::SUCCESS)
}

/// Brings `replica` up to the last entry on the disk, agreed or not.
async fn open(data_dir: &Path, replica: &Arc<Replica>) -> anyhow::Result<(Instance, Remains)> {
    let (place, raft) = (data_dir.display(), data_dir.join("raft"));
    let instance = directory::read(data_dir)?;
    let instance = instance.filter(|_| raft.is_dir()).with_context(|| {
        format!("{place}: expected the data directory of a node, with `instance` and `raft` in it")
    })?;
    let remains = Remains::open(&raft, Arc::new(Applied(replica.clone()))).await?;
    drop(Shelf::open(remains.journal(), replica).await?);
    ensure!(
        !replica.is_halted(),
        "{place}: the log has an entry that this version cannot read: use the newer one"
    );
    Ok((instance, remains))
}

/// What is to be done.
struct Recovery {
    known: State,
    survivor: Member,
    /// Voters that the mesh goes on without, and members of that name.
    lost: Vec<(Instance, Option<Member>)>,
    at: LogPosition,
}

impl Recovery {
    fn of(instance: Instance, remains: &Remains, known: State) -> anyhow::Result<Recovery> {
        let listed = |of: Instance| known.roster().find(|member| member.instance == of).cloned();
        ensure!(known.mesh().is_some(), "this node never belonged to a mesh: nothing to recover");
        let Some(survivor) = listed(instance) else {
            bail!("the log here does not list this node ({instance}): recover another one");
        };
        ensure!(
            survivor.tiers.may_vote(),
            "{} has the tiers {} and may not vote: recover a node with the tier regional or shield",
            survivor.name,
            survivor.tiers
        );
        let others = remains.voters().iter().filter(|voter| **voter != instance);
        let lost: Vec<_> = others.map(|voter| (*voter, listed(*voter))).collect();
        ensure!(
            !lost.is_empty() || remains.voters().is_empty(),
            "{} is the only voter: it needs nobody else, start it",
            survivor.name
        );
        let applied = known.applied();
        let epoch = applied.epoch().checked_add(1);
        let epoch = epoch.context("the mesh was recovered 65,535 times: form it anew")?;
        let at = LogPosition::new(epoch, applied.index() + 1);
        Ok(Recovery { known, survivor, lost, at })
    }

    /// Where the mesh goes on, and with what.
    fn state(&self) -> (LogPosition, State) {
        let mut state = self.known.clone();
        let lost: Vec<Instance> = self.lost.iter().map(|(instance, _)| *instance).collect();
        state.begin_epoch(self.at, &lost);
        (self.at, state)
    }

    fn print(&self, remains: &Remains) {
        let Recovery { known, survivor, at, .. } = self;
        let applied = known.applied();
        let committed = LogPosition::from_packed(remains.committed());
        let doubtful = match remains.voters().is_empty() {
            true => "this node did not vote: it knows what voters told it".to_owned(),
            false => match applied.index().saturating_sub(committed.index()) {
                0 => "all of it known to be agreed".to_owned(),
                more => format!("agreed at least up to {committed}; {more} later ones are kept"),
            },
        };
        let others = self.lost.iter().map(|(instance, member)| match member {
            Some(member) => member.name.to_string(),
            None => format!("instance {instance}"),
        });
        let lost = others.collect::<Vec<_>>().join(", ");
        let mesh = known.mesh().unwrap_or_default();
        let roster = known.roster().count() - self.lost.iter().filter(|(_, m)| m.is_some()).count();
        let rows = [
            ("node", format!("{} (instance {}), mesh {mesh}", survivor.name, survivor.instance)),
            ("knows the log to", format!("{applied}, term {}; {doubtful}", remains.term())),
            ("goes on without", if lost.is_empty() { "whoever votes now".into() } else { lost }),
            ("goes on at", format!("{at}, in mesh epoch {}, voting alone", at.epoch())),
            ("keeps", format!("{roster} nodes, {} distributions", known.distributions().count())),
            (
                "may lose",
                format!(
                    "commands after {applied}, even acknowledged ones: whoever has a later \
                         position in its plan has some of them"
                ),
            ),
            ("forgets", "all cached content of every node, since purges may be lost".into()),
        ];
        for (what, value) in rows {
            output::line(format!("{what:<18}{value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_that_is_no_nodes_is_refused_and_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        for place in [home.path().to_owned(), home.path().join("nowhere")] {
            let arguments = Arguments { data_dir: place.clone(), plan: false, yes: true };
            let error = run(arguments).await.unwrap_err().to_string();
            assert!(error.contains("expected the data directory of a node"), "{error}");
            assert_eq!(place.exists(), place == home.path());
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_node_that_never_belonged_has_nothing_to_recover() {
        let home = tempfile::tempdir().unwrap();
        directory::open(home.path()).unwrap();
        std::fs::create_dir(home.path().join("raft")).unwrap();
        let arguments = Arguments { data_dir: home.path().to_owned(), plan: true, yes: false };
        let error = format!("{:#}", run(arguments).await.unwrap_err());
        assert!(error.contains("never belonged to a mesh"), "{error}");
    }
}
