//! Room: the share of the node's memory for bodies in flight that one fetch has taken.
//!
//! A body that may be kept is retained while it comes; when there is no room left for that it
//! streams through instead. Whatever was taken is given back, however the fetch ends.

use model::limits::OBJECT_BYTES_MAX;

use crate::collapse::Fills;

/// What one fetch has taken.
pub(crate) struct Room<'a> {
    fills: &'a Fills,
    bytes: u64,
    is_wanted: bool,
}

impl<'a> Room<'a> {
    /// Room for a body that may be kept.
    pub(crate) fn wanted(fills: &'a Fills) -> Room<'a> {
        Room { fills, bytes: 0, is_wanted: true }
    }

    /// No room, and none will be taken.
    pub(crate) fn none(fills: &'a Fills) -> Room<'a> {
        Room { fills, bytes: 0, is_wanted: false }
    }

    /// Takes room for `bytes` more. If it was wanted until now and there is none, all of it is
    /// given back, and the body has to stream through from now on: that is what `false` says, once.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        if !self.is_wanted {
            return true;
        }
        let fits = self.bytes + bytes <= OBJECT_BYTES_MAX && self.fills.reserve(bytes);
        match fits {
            true => self.bytes += bytes,
            false => {
                self.fills.release(self.bytes);
                (self.bytes, self.is_wanted) = (0, false);
            }
        }
        fits
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.fills.release(self.bytes);
    }
}
