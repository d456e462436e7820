//! What stands under the two stories of a process: a Raft group and gossip, real or pretended.
//!
//! The pretence is one for all nodes of a run, since it is also what the nodes would tell each
//! other; a process has a chair in it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use consensus::Group;
use model::LogPosition;

use crate::dice::Dice;
use crate::executor::Owner;
use crate::hearsay::Board;
use crate::network::{Ground, Network};
use crate::operators;
use crate::parliament::{Chair, Epoch, Parliament};
use crate::raft::Station;
use crate::scenario::VOTERS;
use crate::setting::Setting;

/// What pretends to be a Raft group and gossip.
pub(super) struct Pretence {
    parliament: Arc<Parliament>,
    board: Arc<Board>,
}

/// What stands under the two stories of one process.
pub(super) struct Under {
    /// The Raft group.
    pub(super) group: Arc<dyn follow::Group>,
    /// That group if it is real, and whether this process founded the mesh.
    pub(super) real: Option<(Group, Arc<AtomicBool>)>,
    /// What of it others reach over the network.
    pub(super) ground: Option<Ground>,
    /// Who is there, for requests.
    pub(super) placing: Arc<dyn serve::Members>,
    /// Who is there, for commands.
    pub(super) following: Arc<dyn follow::Members>,
}

impl Pretence {
    /// A mesh that is formed.
    pub(super) fn begin(
        setting: &Arc<Setting>,
        network: &Arc<Network>,
        dice: &mut Dice,
    ) -> Pretence {
        let founding = operators::founding(&setting.scenario);
        let under = (setting.clone(), network.clone());
        let parliament = Parliament::new(under.0, under.1, (VOTERS, &founding), dice.fork());
        let board = Board::new(setting.clone(), network.clone());
        setting.clock.spawn(Owner::WORLD, board.clone().look_around(dice.fork()));
        Pretence { parliament, board }
    }

    /// What stands under a process that starts.
    pub(super) fn open(&self, station: &Station) -> Under {
        let Station { node, owner, replica, .. } = station;
        let chair = Arc::new(Chair { parliament: self.parliament.clone(), node: *node });
        let hearsay = self.board.join(*node, *owner, (chair.clone(), replica.clone()));
        self.parliament.open(*node, *owner, replica);
        Under {
            group: chair,
            real: None,
            ground: None,
            placing: hearsay.clone(),
            following: hearsay,
        }
    }

    /// Nobody errs about anybody any more.
    pub(super) fn settle(&self) {
        self.board.settle();
    }

    /// The voters but `survivor` are lost, and the mesh goes on with what that one has.
    pub(super) fn recover(&self, survivor: usize, epoch: Epoch) -> (LogPosition, Bytes) {
        self.parliament.recover(survivor, epoch)
    }

    /// `node` votes from now on, beginning with what `sponsor` has.
    pub(super) fn admit(&self, node: usize, sponsor: usize) {
        self.parliament.admit(node, sponsor);
    }

    /// The process of `node` is killed.
    pub(super) fn leave(&self, node: usize) {
        self.parliament.leave(node);
        self.board.leave(node);
    }
}
