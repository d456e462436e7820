use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, StatusCode};
use model::Moment;

use super::*;
use crate::body::Chunk;

fn opening(sharing: Sharing) -> Opening {
    let head = Head {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        as_of: LogPosition::new(0, 3),
        requested_at: Moment::START,
        received_at: Moment::START,
        initial_age: Duration::ZERO,
        proof_age: Duration::ZERO,
    };
    Opening {
        head,
        tags: Tags::NONE,
        effort: Effort::Ordinary,
        body_bytes: None,
        trail: String::new(),
        source: Source::Origin,
        sharing,
        revalidated: false,
        brings: Brings::Whole,
    }
}

fn start(applied: u64) -> (Arc<Fill>, Writer) {
    let started = LogPosition::new(0, applied);
    Fill::start(started, Moment::START, Effort::Ordinary, HeaderMap::new())
}

fn shared() -> Opening {
    opening(Sharing::Variant(CacheKey::of(&[])))
}

fn push(writer: &Writer, text: &'static str) -> Option<Result<(), Abandoned>> {
    writer.push(Bytes::from_static(text.as_bytes())).now_or_never()
}

fn read(reader: &mut Reader) -> Option<Option<Result<Bytes, BodyError>>> {
    let chunk = reader.next().now_or_never()?;
    Some(chunk.map(|chunk| match chunk? {
        Chunk::Data(data) => Ok(data),
        Chunk::Trailers(_) => Err(BodyError::Broken("no trailers here".into())),
    }))
}

#[test]
fn every_reader_gets_the_whole_body_whenever_it_joined() {
    let (fill, writer) = start(0);
    let mut early = fill.join().unwrap();
    writer.open(shared());
    push(&writer, "a").unwrap().unwrap();
    let mut late = fill.join().unwrap();
    push(&writer, "b").unwrap().unwrap();
    for reader in [&mut early, &mut late] {
        assert_eq!(read(reader), Some(Some(Ok(Bytes::from_static(b"a")))));
        assert_eq!(read(reader), Some(Some(Ok(Bytes::from_static(b"b")))));
        assert_eq!(read(reader), None, "waits for more");
    }
    writer.complete();
    assert_eq!(read(&mut early), Some(None));
    assert!(fill.join().is_none(), "what is complete is found in the store");
}

#[test]
fn a_writer_that_vanishes_breaks_the_body_and_never_completes_it() {
    let (fill, writer) = start(0);
    let mut reader = fill.join().unwrap();
    writer.open(shared());
    push(&writer, "a").unwrap().unwrap();
    drop(writer);
    assert!(read(&mut reader).unwrap().unwrap().is_ok());
    assert!(read(&mut reader).unwrap().unwrap().is_err());
}

#[test]
fn a_writer_that_vanishes_before_the_head_fails_everyone() {
    let (fill, writer) = start(0);
    let reader = fill.join().unwrap();
    drop(writer);
    assert_eq!(
        reader.opening().now_or_never().unwrap().err(),
        Some(Absent::Failed(Failure::Unreachable))
    );
}

#[test]
fn without_retention_the_writer_waits_for_the_slowest_reader() {
    let (fill, writer) = start(0);
    let mut fast = fill.join().unwrap();
    let mut slow = fill.join().unwrap();
    writer.open(shared());
    writer.stop_retaining();
    let megabyte = Bytes::from(vec![0; FILL_WINDOW_BYTES as usize]);
    assert_eq!(writer.push(megabyte).now_or_never(), Some(Ok(())));
    assert_eq!(push(&writer, "b"), None, "the window is full");
    assert!(read(&mut fast).is_some());
    assert_eq!(push(&writer, "b"), None, "the slow one has not read");
    assert!(read(&mut slow).is_some());
    assert_eq!(push(&writer, "b"), Some(Ok(())));
    assert!(fill.join().is_none(), "bytes are gone");
    assert!(writer.retained().is_none());
}

#[test]
fn without_retention_a_fill_nobody_reads_is_given_up_and_with_it_goes_on() {
    let (fill, writer) = start(0);
    let reader = fill.join().unwrap();
    writer.open(shared());
    drop(reader);
    assert_eq!(push(&writer, "a"), Some(Ok(())));
    writer.stop_retaining();
    assert_eq!(push(&writer, "b"), Some(Err(Abandoned)));
}

#[test]
fn what_is_not_shared_is_not_joined_and_provenance_moves_with_the_head() {
    let (fill, writer) = start(9);
    assert_eq!(fill.provenance().as_of.index(), 9);
    writer.open(opening(Sharing::Nobody("no-store")));
    assert_eq!(fill.provenance().as_of.index(), 3);
    assert!(fill.join().is_none());
}
