//! Content codings: what a body is compressed with, piece by piece.
//!
//! Whether, when and for whom a body is encoded is decided above and below: this knows no HTTP, no
//! cache and no task, and holds no more of a body than its encoder's window.

mod codecs;

pub use codecs::Codecs;
