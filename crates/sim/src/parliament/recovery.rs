//! Forced recovery: the voters but one are gone with their disks, and the mesh goes on with what
//! that one has, in a new mesh epoch. Whoever was lost may be admitted later, as another.

use std::sync::Arc;

use bytes::Bytes;
use model::{Instance, LogPosition};

use super::Parliament;
use super::seat::Seat;

/// In which mesh epoch a mesh goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epoch {
    /// In the next one, as it must.
    Next,
    /// In the same one, as if nothing had been lost.
    Same,
}

impl Parliament {
    /// The mesh goes on with what `survivor` has; no voter runs, and the others have nothing any
    /// more. Says where it goes on, and with what.
    pub(crate) fn recover(&self, survivor: usize, epoch: Epoch) -> (LogPosition, Bytes) {
        let members = &self.setting.scenario.members;
        let others: Vec<usize> = self.others(survivor).collect();
        let lost: Vec<Instance> = others.iter().map(|lost| members[*lost].instance).collect();
        let mut seats = self.lock();
        for other in others {
            seats[other] = Seat::default();
        }
        let survivor = &mut seats[survivor];
        let epoch = match epoch {
            Epoch::Next => survivor.epoch + 1,
            Epoch::Same => survivor.epoch,
        };
        let (recovery, snapshot) = survivor.recover(epoch, &lost);
        let at = recovery.at;
        self.setting.history.write().recoveries.push(recovery);
        (at, snapshot)
    }

    /// `node` votes from now on, beginning with what `sponsor` has in its snapshot.
    pub(crate) fn admit(self: &Arc<Self>, node: usize, sponsor: usize) {
        let mut seats = self.lock();
        let base = seats[sponsor].base();
        let owner = seats[node].admit(base);
        drop(seats);
        if let Some(owner) = owner {
            self.convene(node, owner);
        }
    }
}
