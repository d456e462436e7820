//! What is too large to keep streams through, with a bounded window and an honest count of memory.
//!
//! Such bodies must neither fill the memory of the node nor crowd out those worth keeping.

use bytes::Bytes;
use model::limits::{FILL_WINDOW_BYTES, OBJECT_BYTES_MAX};

use super::origin::{Gate, Reply};
use super::viewer::Ask;
use super::world::Lab;

const FRESH: &str = "cache-control:max-age=60";
const CHUNK_BYTES: u64 = 256 * 1024;
const NODE: [&str; 1] = ["n1 eu edge,regional,shield"];

fn huge() -> (Reply, u64) {
    let chunk = Bytes::from(vec![b'x'; usize::try_from(CHUNK_BYTES).unwrap()]);
    let count = OBJECT_BYTES_MAX / CHUNK_BYTES + 1;
    let reply = (0..count).fold(Reply::new(FRESH, ""), |reply, _| reply.then_bytes(chunk.clone()));
    (reply, count * CHUNK_BYTES)
}

#[test]
fn what_is_announced_too_large_waits_for_its_reader_from_the_start() {
    let lab = Lab::alone();
    let (reply, bytes) = huge();
    lab.origin.on("/a", reply);
    let gate = Gate::default();
    let viewer = lab.ask("n1", Ask::get("/a").reading_after(&gate));
    assert_eq!(viewer.header("content-length"), bytes.to_string());
    let ahead = lab.origin.sent_bytes();
    assert!(ahead <= FILL_WINDOW_BYTES + CHUNK_BYTES, "{ahead} bytes are held back");
    gate.open();
    lab.run();
    assert_eq!((viewer.bytes_so_far(), viewer.end()), (bytes, Some(Ok(()))));
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn what_turns_out_too_large_streams_on_and_is_not_kept() {
    let lab = Lab::three_tiers();
    let (reply, bytes) = huge();
    lab.origin.on("/a", reply.unannounced());
    let viewer = lab.get("e1", "/a");
    assert_eq!((viewer.bytes_so_far(), viewer.end()), (bytes, Some(Ok(()))));
    assert!(!lab.is_stored_anywhere("/a"));
}

#[test]
fn an_object_of_the_largest_size_is_kept() {
    let lab = Lab::alone();
    let chunk = Bytes::from(vec![b'x'; usize::try_from(CHUNK_BYTES).unwrap()]);
    let count = OBJECT_BYTES_MAX / CHUNK_BYTES;
    let reply = (0..count).fold(Reply::new(FRESH, ""), |reply, _| reply.then_bytes(chunk.clone()));
    lab.origin.on("/a", reply);
    assert_eq!(lab.get("n1", "/a").bytes_so_far(), OBJECT_BYTES_MAX);
    assert_eq!(lab.get("n1", "/a").header("x-cache"), "Hit from shoal");
}

#[test]
fn a_body_beyond_the_node_s_room_streams_on_and_is_not_kept() {
    let lab = Lab::with_room(&NODE, 10);
    lab.origin.on("/a", Reply::new(FRESH, "1234").then("5678").then("90ab").then("cdef"));
    assert_eq!(lab.get("n1", "/a").body(), "1234567890abcdef");
    assert!(!lab.is_stored_anywhere("/a"));
    lab.origin.on("/b", Reply::new(FRESH, "12345").then("67890"));
    assert_eq!(lab.get("n1", "/b").body(), "1234567890");
    assert!(lab.is_stored_anywhere("/b"), "the room was given back");
}

#[test]
fn two_bodies_share_the_node_s_room_and_the_first_has_it() {
    let lab = Lab::with_room(&NODE, 10);
    let gate = Gate::default();
    lab.origin.on("/a", Reply::new(FRESH, "123456").then_wait(&gate).then("7890"));
    lab.origin.on("/b", Reply::new(FRESH, "123456"));
    let first = lab.get("n1", "/a");
    assert_eq!(lab.get("n1", "/b").body(), "123456");
    gate.open();
    lab.run();
    assert_eq!(first.body(), "1234567890");
    assert!(lab.is_stored_anywhere("/a") && !lab.is_stored_anywhere("/b"));
}

#[test]
fn what_only_streams_through_takes_no_room_from_what_may_be_kept() {
    let gate = Gate::default();
    for (what, reply) in [
        ("too large", Reply::new(FRESH, "1234").then("5678").then("90ab")),
        ("uncacheable", Reply::new("cache-control:no-store", "1234").then("5678")),
    ] {
        let lab = Lab::with_room(&NODE, 10);
        lab.origin.on("/a", reply.then_wait(&gate).then("cdef"));
        lab.origin.on("/b", Reply::new(FRESH, "12345678"));
        let streaming = lab.get("n1", "/a");
        assert_eq!(streaming.end(), None);
        assert_eq!(lab.get("n1", "/b").body(), "12345678");
        assert!(lab.is_stored_anywhere("/b"), "beside what is {what}");
    }
}

#[test]
fn what_streams_through_and_nobody_reads_any_more_is_given_up() {
    let lab = Lab::alone();
    let (reply, bytes) = huge();
    lab.origin.on("/a", reply);
    let gate = Gate::default();
    let viewer = lab.ask("n1", Ask::get("/a").reading_after(&gate));
    viewer.hang_up();
    gate.open();
    lab.run();
    assert!(lab.origin.sent_bytes() < bytes);
    assert_eq!(lab.world("n1").fills.running(), 0);
}
