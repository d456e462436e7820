//! The numbers that end connections and streams before their time.
//!
//! Peers of every protocol know them. They tell a person what happened; programs go by the text
//! of a refusal and by whether an end was said.

use quinn::{ConnectionError, VarInt};

/// A node stops: QUIC's own number when a program ends.
pub(crate) const GOODBYE: VarInt = VarInt::from_u32(0);
/// One of the two nodes refused the other.
pub(crate) const UNWELCOME: VarInt = VarInt::from_u32(1);
/// What came is not what belongs there.
pub(crate) const MALFORMED: VarInt = VarInt::from_u32(2);
/// A stream is given up before its end.
pub(crate) const ABANDONED: VarInt = VarInt::from_u32(3);
/// A stream whose content was not to be had, though its sender did what could be done.
pub(crate) const GIVEN_UP: VarInt = VarInt::from_u32(4);

/// Whether the end of a connection says that the peer is gone.
pub(crate) fn is_loss(end: &ConnectionError) -> bool {
    match end {
        ConnectionError::LocallyClosed => false,
        ConnectionError::ApplicationClosed(close) => close.error_code == GOODBYE,
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::CidsExhausted => true,
    }
}
