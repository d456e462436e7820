//! A seat that goes on alone by force, and one that begins with what another has.

use bytes::Bytes;
use control::State;
use follow::Replica;
use model::{Instance, LogPosition};
use wire::codec;

use super::Seat;
use crate::executor::Owner;
use crate::history::Recovery;

impl Seat {
    /// Goes on in `epoch` with all that it has, agreed or not, and without the members `lost`. Says
    /// what that was, and the snapshot it begins with. In an epoch that is not a later one nothing
    /// is forgotten, which is what must not be.
    pub(in crate::parliament) fn recover(
        &mut self,
        epoch: u16,
        lost: &[Instance],
    ) -> (Recovery, Bytes) {
        let kept: Vec<Bytes> = self.log.iter().map(|(_, entry)| entry.clone()).collect();
        let at = LogPosition::new(epoch, kept.len() as u64 + 1);
        let mut state = self.known(&kept);
        match epoch > self.epoch {
            true => state.begin_epoch(at, lost),
            false => state.skip(at),
        }
        let snapshot = codec::encode(&state);
        let (votes, term) = (true, self.term + 1);
        self.log.push((term, Bytes::new()));
        let (log, kept_as) = (std::mem::take(&mut self.log), (at.index(), snapshot.clone()));
        *self = Seat { votes, epoch, term, log, snapshot: Some(kept_as), ..Seat::default() };
        (Recovery { at, kept }, snapshot)
    }

    /// What the log on this disk comes to.
    fn known(&self, log: &[Bytes]) -> State {
        const OWN: &str = "a disk holds what this build wrote";
        let replica = Replica::default();
        let mut through = 0;
        if let Some((index, snapshot)) = &self.snapshot {
            replica.install(snapshot).expect(OWN);
            through = *index;
        }
        let rest = &log[usize::try_from(through).unwrap_or(usize::MAX)..];
        replica.apply(self.position(through + 1), rest).expect(OWN);
        State::clone(&replica.state())
    }

    /// What another begins with: all that is in the snapshot here.
    pub(in crate::parliament) fn base(&self) -> Seat {
        let through = self.snapshot.as_ref().map_or(0, |(index, _)| *index);
        let (log, snapshot) = (self.slice(0, through).to_vec(), self.snapshot.clone());
        let (votes, epoch, term) = (true, self.epoch, self.term);
        Seat { votes, epoch, term, log, snapshot, ..Seat::default() }
    }

    /// Votes from now on, with that; says which process does so, if one runs.
    pub(in crate::parliament) fn admit(&mut self, base: Seat) -> Option<Owner> {
        *self = Seat { sitting: self.sitting.take(), ..base };
        self.begin();
        self.owner()
    }
}
