//! Losses: disks that are gone for good, and a mesh that goes on without them.

use follow::Shelf;

use super::Stage;
use crate::mutants::Mutant;
use crate::parliament::Epoch;

impl Stage {
    /// Kills the process of `node`, and its disks are gone.
    pub(crate) fn lose(&self, node: usize) {
        self.kill(node);
        self.disks[node].wipe();
        self.setting.note(format_args!("{} has lost its disks", self.setting.name(node)));
    }

    /// By force, the mesh goes on with what `survivor` has, which does not run, without all others
    /// that voted.
    pub(crate) fn recover(&self, survivor: usize) {
        let Some(pretence) = &self.pretence else { return };
        let epoch = match self.mutant {
            Some(Mutant::SameEpoch) => Epoch::Same,
            Some(_) | None => Epoch::Next,
        };
        let (at, snapshot) = pretence.recover(survivor, epoch);
        self.disks[survivor].shelf.replace(at, snapshot);
        let name = self.setting.name(survivor);
        self.setting.note(format_args!("the mesh goes on at {at} with what {name} has"));
    }

    /// `node`, which lost its disks, votes again; `sponsor` gives it what it has.
    pub(crate) fn admit(&self, node: usize, sponsor: usize) {
        if let Some(pretence) = &self.pretence {
            pretence.admit(node, sponsor);
            self.setting.note(format_args!("{} votes again", self.setting.name(node)));
        }
    }
}
