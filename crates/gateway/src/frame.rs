//! A piece of a body as hyper hands it over.

use bytes::Bytes;
use http_body::Frame;
use serve::Chunk;

/// A frame is data or trailers; of a kind yet unknown nothing remains.
pub(crate) fn chunk(frame: Frame<Bytes>) -> Chunk {
    match frame.into_data() {
        Ok(data) => Chunk::Data(data),
        Err(frame) => Chunk::Trailers(frame.into_trailers().unwrap_or_default()),
    }
}
