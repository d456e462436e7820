//! HTTP/1: the syntax of both its versions, and the connections of viewers who speak it.
//!
//! What is read is decided by pure functions that know nothing of sockets: where a head ends
//! ([`scan`]), what it says ([`request`], [`response`]), how its body is framed ([`framing`],
//! [`chunked`]), and how a head of ours is written ([`answer`]). Around them is a thin shell: one
//! task per connection ([`connection`]) that runs one exchange after another ([`exchange`]).
//!
//! It is ours and not hyper's because a cache must not be lenient: hyper takes a bare LF for a line
//! end, hides a `Content-Length` beside `Transfer-Encoding`, and has no way to send `103`.

pub(crate) mod answer;
pub(crate) mod chunked;
pub(crate) mod connection;
pub(crate) mod exchange;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod interims;
pub(crate) mod output;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod scan;
pub(crate) mod target;
pub(crate) mod upload;

#[cfg(test)]
mod tests;
