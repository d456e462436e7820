//! How much of a viewer's body is passed on: a body that says it is longer is refused at once, one
//! that turns out to be longer breaks off, and whoever waits for the answer hears why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;

use crate::body::{Body, BodyError, BodyStream, Chunk};

/// Whether a body turned out to be longer than it may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrun(Arc<AtomicBool>);

impl Overrun {
    /// Whether it has by now.
    pub(crate) fn has_happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// `body`, if it is not known to be longer than `bytes_max`; it breaks off where it is.
pub(crate) fn at_most(body: Body, bytes_max: u64) -> Option<(Body, Overrun)> {
    let overrun = Overrun::default();
    match body.bytes() {
        Some(bytes) if bytes > bytes_max => return None,
        Some(_) => return Some((body, overrun)),
        None => {}
    }
    let stream = bounded(body.into_stream(), bytes_max, overrun.clone());
    Some((Body::Stream { stream, bytes: None }, overrun))
}

fn bounded(stream: BodyStream, bytes_max: u64, overrun: Overrun) -> BodyStream {
    let mut left = bytes_max;
    let check = move |chunk: Result<Chunk, BodyError>| {
        let Ok(Chunk::Data(data)) = &chunk else { return chunk };
        match left.checked_sub(data.len() as u64) {
            Some(rest) => left = rest,
            None => {
                overrun.0.store(true, Ordering::Release);
                return Err(BodyError::Broken("it is longer than is taken here".into()));
            }
        }
        chunk
    };
    stream.map(check).boxed()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;
    use futures_util::stream;

    use super::*;

    fn streamed(pieces: &'static [&'static str]) -> Body {
        let pieces =
            pieces.iter().map(|piece| Ok(Chunk::Data(Bytes::from_static(piece.as_bytes()))));
        Body::Stream { stream: stream::iter(pieces).boxed(), bytes: None }
    }

    fn passes(body: Body, bytes_max: u64) -> (bool, bool) {
        let (body, overrun) = at_most(body, bytes_max).unwrap();
        let chunks = body.into_stream().collect::<Vec<_>>().now_or_never().unwrap();
        (chunks.iter().all(Result::is_ok), overrun.has_happened())
    }

    #[test]
    fn a_body_of_known_length_is_refused_before_it_is_read() {
        let body = || Body::from_bytes(Bytes::from_static(b"abcd"));
        assert!(at_most(body(), 3).is_none());
        assert!(at_most(body(), 4).is_some());
    }

    #[test]
    fn a_body_of_unknown_length_breaks_off_at_the_limit() {
        assert_eq!(passes(streamed(&["ab", "cd"]), 4), (true, false));
        assert_eq!(passes(streamed(&["ab", "cde"]), 4), (false, true));
        assert_eq!(passes(streamed(&[]), 0), (true, false));
    }
}
