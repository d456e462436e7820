//! Bytes between peers, and nothing else: every message that leaves the process is encoded and
//! decoded here.
//!
//! A message is bincode behind a version byte; a stream is a sequence of length-prefixed frames
//! (`transport` moves them). Decoding is bounded and total: foreign bytes give a value or an error,
//! never a panic.

pub mod codec;
pub mod exchange;
pub mod gossip;
pub mod hello;
pub mod protocol;
pub mod log;
