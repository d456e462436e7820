//! Bodies: nothing, bytes at hand, or bytes still coming. None of them is copied on the way.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::HeaderMap;

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// Content.
    Data(Bytes),
    /// Trailer fields (RFC 9110 §6.5): nothing comes after them.
    Trailers(HeaderMap),
}

/// Why a body ended before its end. Whoever sends it on must not end it cleanly either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body broke off: {0}")]
pub struct BodyError(pub String);

/// A body that is still coming.
pub type BodyStream = BoxStream<'static, Result<Chunk, BodyError>>;

/// A body.
pub enum Body {
    /// No content.
    Empty,
    /// All of it.
    Whole {
        /// In the chunks in which it came.
        chunks: Arc<[Bytes]>,
        /// Their sum.
        bytes: u64,
    },
    /// Still coming.
    Stream {
        /// The rest.
        stream: BodyStream,
        /// How many bytes will come, where known.
        bytes: Option<u64>,
    },
}

impl Body {
    /// A body of one chunk.
    pub fn from_bytes(content: Bytes) -> Body {
        let bytes = content.len() as u64;
        if bytes == 0 { Body::Empty } else { Body::Whole { chunks: [content].into(), bytes } }
    }

    /// How many bytes it has, where known.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Whole { bytes, .. } => Some(*bytes),
            Body::Stream { bytes, .. } => *bytes,
        }
    }

    /// The body as a stream, whatever it was.
    pub fn into_stream(self) -> BodyStream {
        match self {
            Body::Empty => stream::empty().boxed(),
            Body::Whole { chunks, .. } => {
                let count = chunks.len();
                stream::iter((0..count).map(move |at| Ok(Chunk::Data(chunks[at].clone())))).boxed()
            }
            Body::Stream { stream, .. } => stream,
        }
    }

    /// The bytes `first..=last` of it.
    pub fn slice(self, first: u64, last: u64) -> Body {
        let bytes = last - first + 1;
        match self {
            Body::Empty => Body::Empty,
            Body::Whole { chunks, .. } => {
                let mut window = Window { skip: first, take: bytes };
                let cut = chunks.iter().filter_map(|chunk| window.cut(chunk.clone())).collect();
                Body::Whole { chunks: cut, bytes }
            }
            Body::Stream { stream, .. } => {
                let window = Window { skip: first, take: bytes };
                Body::Stream { stream: slice_stream(stream, window), bytes: Some(bytes) }
            }
        }
    }
}

struct Window {
    skip: u64,
    take: u64,
}

impl Window {
    fn cut(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        let skipped = self.skip.min(chunk.len() as u64);
        self.skip -= skipped;
        let rest = chunk.split_off(usize::try_from(skipped).ok()?);
        let taken = self.take.min(rest.len() as u64);
        self.take -= taken;
        (taken > 0).then(|| rest.slice(..usize::try_from(taken).unwrap_or(rest.len())))
    }
}

fn slice_stream(stream: BodyStream, window: Window) -> BodyStream {
    let state = (stream, window);
    stream::unfold(state, |(mut stream, mut window)| async move {
        while window.take > 0 {
            match stream.next().await {
                None => {
                    let early = BodyError("it was shorter than announced".into());
                    window.take = 0;
                    return Some((Err(early), (stream, window)));
                }
                Some(Ok(Chunk::Data(chunk))) => {
                    if let Some(cut) = window.cut(chunk) {
                        return Some((Ok(Chunk::Data(cut)), (stream, window)));
                    }
                }
                Some(Ok(Chunk::Trailers(_))) => {}
                Some(Err(error)) => {
                    window.take = 0;
                    return Some((Err(error), (stream, window)));
                }
            }
        }
        None
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn whole(parts: &[&'static str]) -> Body {
        let chunks: Arc<[Bytes]> =
            parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        Body::Whole { chunks, bytes }
    }

    fn streamed(parts: &[&'static str]) -> Body {
        let bytes = whole(parts).bytes();
        Body::Stream { stream: whole(parts).into_stream(), bytes }
    }

    fn read(body: Body) -> Result<String, BodyError> {
        let mut stream = body.into_stream();
        let mut text = String::new();
        while let Some(chunk) = stream.next().now_or_never().unwrap() {
            match chunk? {
                Chunk::Data(data) => text.push_str(std::str::from_utf8(&data).unwrap()),
                Chunk::Trailers(_) => {}
            }
        }
        Ok(text)
    }

    #[test]
    fn a_slice_is_the_same_whether_the_body_is_here_or_coming() {
        let parts = ["abc", "", "d", "efgh"];
        for (first, last, expect) in [(0, 7, "abcdefgh"), (0, 0, "a"), (2, 4, "cde"), (7, 7, "h")] {
            assert_eq!(read(whole(&parts).slice(first, last)).unwrap(), expect);
            assert_eq!(read(streamed(&parts).slice(first, last)).unwrap(), expect);
        }
    }

    #[test]
    fn a_stream_that_ends_inside_its_slice_is_broken() {
        let short = Body::Stream { stream: whole(&["abc"]).into_stream(), bytes: Some(9) };
        assert!(read(short.slice(1, 8)).is_err());
    }
}
