//! How a message is delimited, at both ends: what hyper hands us of it, and what it leaves to us.
//!
//! hyper undoes `chunked` wherever it stands last and hands on whatever lies below it, so a message
//! coded in any other way has to be recognised here, and is never passed on as if it were plain.

use bytes::Bytes;
use http::HeaderMap;
use http::header::TRANSFER_ENCODING;
use http_body::Frame;
use serve::Chunk;

/// How a message is coded for transfer.
pub(crate) enum Coding {
    /// Not at all.
    None,
    /// As usual.
    Chunked,
    /// In a way that leaves the body in a shape nobody here can read.
    Unknown,
}

/// How the message with these fields is coded.
pub(crate) fn transfer_coding(headers: &HeaderMap) -> Coding {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Coding::None,
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
        (Some(_), _) => Coding::Unknown,
    }
}

/// A frame is data or trailers; of a kind yet unknown nothing remains.
pub(crate) fn chunk(frame: Frame<Bytes>) -> Chunk {
    match frame.into_data() {
        Ok(data) => Chunk::Data(data),
        Err(frame) => Chunk::Trailers(frame.into_trailers().unwrap_or_default()),
    }
}
