//! Bodies: nothing, bytes at hand, or bytes still coming. None of them is copied on the way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::{iter, mem};

use bytes::Bytes;
use caching::{ByteRange, Multipart};
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
pub enum BodyError {
    /// It broke off, and another hop may have the rest.
    #[error("the body broke off: {0}")]
    Broken(String),
    /// It broke off at the origin, and the node that speaks with it has tried again: whoever is
    /// further down and tried again as well would multiply its questions.
    #[error("the origin broke the body off")]
    GivenUp,
}

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

    /// These bytes of it.
    pub fn slice(self, range: ByteRange) -> Body {
        let bytes = range.bytes();
        match self {
            Body::Empty => Body::Empty,
            Body::Whole { chunks, .. } => {
                Body::Whole { chunks: cut(&chunks, range).collect(), bytes }
            }
            Body::Stream { stream, .. } => {
                let pieces = Pieces::of(stream, vec![(Bytes::new(), range)], Bytes::new());
                Body::Stream { stream: pieces.into_stream(), bytes: Some(bytes) }
            }
        }
    }

    /// Several ranges of it in their frame. Of a body that is still coming these must be in
    /// ascending order.
    pub fn parts(self, frame: Multipart) -> Body {
        let Multipart { parts, end, bytes, .. } = frame;
        match self {
            Body::Empty => Body::Empty,
            Body::Whole { chunks, .. } => {
                let part = |(head, range)| iter::once(head).chain(cut(&chunks, range));
                let chunks = parts.into_iter().flat_map(part).chain([end]).collect();
                Body::Whole { chunks, bytes }
            }
            Body::Stream { stream, .. } => {
                let pieces = Pieces::of(stream, parts, end);
                Body::Stream { stream: pieces.into_stream(), bytes: Some(bytes) }
            }
        }
    }
}

/// What of a body that is here lies in `range`.
fn cut(chunks: &[Bytes], range: ByteRange) -> impl Iterator<Item = Bytes> {
    let mut at = 0;
    chunks.iter().filter_map(move |chunk| {
        let piece = overlap(chunk, at, range);
        at += chunk.len() as u64;
        piece
    })
}

/// What of `chunk`, whose first byte is number `at`, lies in `range`.
fn overlap(chunk: &Bytes, at: u64, range: ByteRange) -> Option<Bytes> {
    let within = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(chunk.len());
    let start = within(range.first.saturating_sub(at));
    let end = within((range.last + 1).saturating_sub(at));
    (start < end).then(|| chunk.slice(start..end))
}

/// Ranges of a stream that goes by once, what stands before each, and what after the last.
struct Pieces {
    stream: BodyStream,
    chunk: Bytes,
    at: u64,
    parts: VecDeque<(Bytes, ByteRange)>,
    range: Option<ByteRange>,
    end: Bytes,
}

impl Pieces {
    fn of(stream: BodyStream, parts: Vec<(Bytes, ByteRange)>, end: Bytes) -> Pieces {
        Pieces { stream, chunk: Bytes::new(), at: 0, parts: parts.into(), range: None, end }
    }

    fn into_stream(self) -> BodyStream {
        let next = |mut pieces: Pieces| async move {
            let piece = pieces.next().await?;
            Some((piece.map(Chunk::Data), pieces))
        };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let Some(range) = self.range else {
                let (head, range) = match self.parts.pop_front() {
                    Some((head, range)) => (head, Some(range)),
                    None => (mem::take(&mut self.end), None),
                };
                self.range = range;
                match (head.is_empty(), range) {
                    (false, _) => return Some(Ok(head)),
                    (true, Some(_)) => continue,
                    (true, None) => return None,
                }
            };
            let reach = self.at + self.chunk.len() as u64;
            if let Some(piece) = overlap(&self.chunk, self.at, range) {
                let left = ByteRange { first: reach, ..range };
                self.range = (reach <= range.last).then_some(left);
                return Some(Ok(piece));
            }
            if let Err(error) = self.advance(reach).await {
                (self.range, self.end) = (None, Bytes::new());
                self.parts.clear();
                return Some(Err(error));
            }
        }
    }

    async fn advance(&mut self, reach: u64) -> Result<(), BodyError> {
        self.at = reach;
        loop {
            match self.stream.next().await {
                Some(Ok(Chunk::Data(chunk))) => {
                    self.chunk = chunk;
                    return Ok(());
                }
                Some(Ok(Chunk::Trailers(_))) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(BodyError::Broken("it was shorter than announced".into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use caching::Ranged;
    use futures_util::FutureExt;
    use http::header::RANGE;
    use http::{HeaderValue, Method, StatusCode};
    use proptest::prelude::*;

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
            let range = ByteRange { first, last };
            assert_eq!(read(whole(&parts).slice(range)).unwrap(), expect);
            assert_eq!(read(streamed(&parts).slice(range)).unwrap(), expect);
        }
    }

    #[test]
    fn a_stream_that_ends_inside_its_slice_is_broken() {
        let short = Body::Stream { stream: whole(&["abc"]).into_stream(), bytes: Some(9) };
        assert!(read(short.slice(ByteRange { first: 1, last: 8 })).is_err());
    }

    fn chunked(content: &[u8], sizes: &[usize]) -> Vec<Bytes> {
        let (mut rest, mut chunks) = (Bytes::copy_from_slice(content), Vec::new());
        for size in sizes.iter().cycle().take(content.len() + 1) {
            chunks.push(rest.split_to((*size).min(rest.len())));
        }
        chunks.push(rest);
        chunks
    }

    proptest! {
        #[test]
        fn any_ranges_of_any_chunking_are_slices_of_the_whole(
            content in proptest::collection::vec(b'a'..=b'z', 1..400),
            sizes in proptest::collection::vec(0usize..40, 1..6),
            specs in proptest::collection::vec((0u64..500, 0u64..200), 1..6),
        ) {
            let length = content.len() as u64;
            let spec = |(first, more): &(u64, u64)| format!("{first}-{}", first + more);
            let specs: Vec<String> = specs.iter().map(spec).collect();
            let asked = HeaderValue::try_from(format!("bytes={}", specs.join(","))).unwrap();
            let request = HeaderMap::from_iter([(RANGE, asked)]);
            let (get, ok, none) = (Method::GET, StatusCode::OK, HeaderMap::new());
            let body = || {
                let chunks: Arc<[Bytes]> = chunked(&content, &sizes).into();
                Body::Whole { chunks, bytes: length }
            };
            let coming = || Body::Stream { stream: body().into_stream(), bytes: Some(length) };
            let text = |range: &ByteRange| {
                let slice = &content[range.first as usize..=range.last as usize];
                String::from_utf8(slice.to_vec()).unwrap()
            };
            match caching::resolve(&get, &request, ok, &none, length) {
                Ranged::Part(range) => {
                    prop_assert_eq!(read(body().slice(range)).unwrap(), text(&range));
                    prop_assert_eq!(read(coming().slice(range)).unwrap(), text(&range));
                }
                Ranged::Parts(mut ranges) => {
                    ranges.sort_unstable();
                    let frame = || Multipart::new(&ranges, None, length, "line");
                    let mut expect = String::new();
                    for (head, range) in frame().parts {
                        expect += std::str::from_utf8(&head).unwrap();
                        expect += &text(&range);
                    }
                    expect += std::str::from_utf8(&frame().end).unwrap();
                    prop_assert_eq!(frame().bytes, expect.len() as u64);
                    prop_assert_eq!(read(body().parts(frame())).unwrap(), expect.clone());
                    prop_assert_eq!(read(coming().parts(frame())).unwrap(), expect);
                }
                Ranged::Whole | Ranged::Unsatisfiable => {}
            }
        }
    }
}
