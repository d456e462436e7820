//! Every limit of the house, with its unit and its reason. A queue, buffer or loop over foreign
//! input names one of these.

use std::time::Duration;

/// Bytes of a node, region or distribution name: one DNS label (RFC 1035 §2.3.4), so that a name
/// can be a host name.
pub const NAME_BYTES_MAX: usize = 63;
/// Bytes of a request target or purge path. nginx, Varnish and CloudFront all accept 8 KiB.
pub const URL_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all header fields of one message, names and values, as CloudFront counts them.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Header fields in one message.
pub const HEADER_FIELDS_MAX: usize = 128;
/// Bytes of a start line beside its target: the longest method, blanks and version, and room.
pub const START_LINE_BYTES: usize = 256;
/// Bytes around the name and value of one field line: colon, line end, and a few blanks.
pub const FIELD_LINE_BYTES: usize = 8;
/// Bytes of the line before a chunk: 16 digits, and extensions that nobody uses.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Bytes of all such lines of one body beyond what their digits need: extensions cost their
/// sender almost nothing (CVE-2023-39326), so they must not cost us more than a head does.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 16 * 1024;

/// Connections of viewers to one node at once, unless it is configured otherwise.
pub const VIEWER_CONNECTIONS_MAX: usize = 10_000;
/// How long a viewer may take for the head of a request.
pub const VIEWER_HEAD: Duration = Duration::from_secs(10);
/// How long a viewer's connection may be idle between requests.
pub const VIEWER_IDLE: Duration = Duration::from_secs(60);
/// How long a body may wait for its viewer until that one must have moved
/// [`PACE_BYTES_PER_SECOND_MIN`] of it.
pub const VIEWER_STALL: Duration = Duration::from_secs(60);
/// What a viewer must take or send of a body while we wait for it, or it holds its place for
/// nothing: half of what Apache asks for.
pub const PACE_BYTES_PER_SECOND_MIN: u64 = 256;
/// How long the responses of a node that stops get to finish.
pub const VIEWER_DRAIN: Duration = Duration::from_secs(30);
/// How long a connection that we close is read on, so that its viewer gets to see the answer
/// before a reset wipes it out (RFC 9112 §9.6).
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes of a request's body, that nobody read, which are skipped to keep a connection.
pub const UNREAD_BODY_BYTES_MAX: u64 = 64 * 1024;
/// Bytes that are read from a viewer beyond the request that is being answered.
pub const READ_AHEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a response that wait to be written in one go; they are shared, not copied.
pub const OUTPUT_BYTES_MAX: usize = 512 * 1024;
/// Pieces that are written in one go.
pub const OUTPUT_PIECES_MAX: usize = 32;
/// Interim responses that wait for their viewer; beyond it they are dropped, they are but hints.
pub const INTERIMS_MAX: usize = 8;
/// Interim responses that one tier passes to the next for one request.
pub const HINTS_MAX: usize = 32;
/// Streams at once on one HTTP/2 connection of a viewer: browsers use about a hundred.
pub const VIEWER_STREAMS_MAX: u32 = 256;
/// Bytes of uploads that a viewer may send ahead of their readers, on one HTTP/2 stream and on all
/// of a connection together.
pub const VIEWER_UPLOAD_WINDOW: u32 = 1024 * 1024;
/// Streams of a viewer that were reset before we had taken them up, and resets of our own that a
/// viewer provoked; beyond either the connection ends (CVE-2023-44487, CVE-2025-8671).
pub const VIEWER_RESETS_MAX: usize = 64;

/// Requests that may change something and whose origin has not answered yet, on one node: they
/// outlive their viewers, so that [`VIEWER_CONNECTIONS_MAX`], as many, does not bound them.
pub const CHANGES_MAX: usize = 10_000;
/// Bytes of a table of countries: [`COUNTRIES_LINES_MAX`] lines of 50, an IPv6 prefix in full.
pub const COUNTRIES_BYTES_MAX: usize = 100_000_000;
/// Lines of a table of countries: tables in use have about a million, and in memory each costs at
/// most 38 bytes.
pub const COUNTRIES_LINES_MAX: usize = 2_000_000;

/// Distributions in one mesh: each costs every node a few KiB.
pub const DISTRIBUTIONS_MAX: usize = 10_000;
/// Alternate domain names of one distribution (CloudFront's quota).
pub const ALIASES_MAX: usize = 100;
/// Origins of one distribution (CloudFront's quota).
pub const ORIGINS_MAX: usize = 100;
/// Cache behaviors of one distribution beside the default one (CloudFront's quota).
pub const BEHAVIORS_MAX: usize = 75;
/// Characters of a path pattern, as in CloudFront.
pub const PATTERN_CHARS_MAX: usize = 255;
/// Fields, cookies or query strings that one list of a policy names: CloudFront's 10, and room.
pub const POLICY_NAMES_MAX: usize = 100;
/// Bytes of the names in one such list together.
pub const POLICY_NAMES_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a field name in a policy (CloudFront's quota).
pub const FIELD_NAME_BYTES_MAX: usize = 256;
/// Bytes of a field value in a policy (CloudFront's quota).
pub const FIELD_VALUE_BYTES_MAX: usize = 1_783;
/// Bytes of a request's body unless a policy wants less: 64 GiB, as in CloudFront.
pub const REQUEST_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// Nodes in one roster: chitchat's digest stops fitting a message near 1,200.
pub const MEMBERS_MAX: usize = 800;
/// Scopes in one invalidation: one log entry stays below 1 MiB with ordinary paths.
pub const SCOPES_MAX: usize = 3_000;
/// Entries of one distribution's invalidation map before its floor is raised and the map starts
/// again.
pub const EPOCHS_MAX: usize = 1_000_000;
/// Entries of all distributions' invalidation maps together: 64 MiB at 16 bytes each.
pub const EPOCHS_TOTAL_MAX: usize = 4_000_000;
/// Patterns with a `*` inside that one distribution keeps apart; beyond it the oldest is widened to
/// its directory, so that a look-up stays flat.
pub const GLOBS_MAX: usize = 64;
/// Stars in one pattern: each may try every place of a path.
pub const GLOB_STARS_MAX: usize = 8;
/// Bytes of a tag, as Fastly and Cloudflare limit them.
pub const TAG_BYTES_MAX: usize = 1_024;
/// Tags of one response: each is a look-up for every purge that it has not been checked against.
pub const TAGS_MAX: usize = 1_000;
/// Invalidations that the log remembers by name, for listing them later.
pub const INVALIDATIONS_LISTED_MAX: usize = 1_000;
/// Commands in one log entry: they share one round to a majority and one sync of its disks.
pub const COMMANDS_PER_ENTRY_MAX: usize = 1_024;
/// How long a node may serve copies without having heard of later purges, unless the mesh was
/// formed with another lease.
pub const LEASE: Duration = Duration::from_secs(10);
/// The shortest lease: every node renews it several times in its length.
pub const LEASE_MIN: Duration = Duration::from_secs(1);
/// The longest lease: a purge waits a little longer than one for a node that went silent.
pub const LEASE_MAX: Duration = Duration::from_secs(60);
/// Granted leases that one node keeps track of, one for every process that it feeds: beyond it
/// nobody new is granted one.
pub const HOLDERS_MAX: usize = 4_096;
/// Outcomes remembered by the log, so that a command sent twice is applied once.
pub const OUTCOMES_MAX: usize = 16_384;

/// Bytes of one encoded command: [`SCOPES_MAX`] long paths, and room.
pub const COMMAND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one encoded snapshot of the replicated state.
pub const SNAPSHOT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Bytes of one frame between peers; snapshots and bodies travel in several.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one gossip message: chitchat's own ceiling is 65,507, plus the envelope.
pub const GOSSIP_BYTES_MAX: usize = 128 * 1024;
/// Bytes of one body chunk on its way between tasks or peers.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the largest object kept in memory; larger ones stream through.
pub const OBJECT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that a streaming fill holds back for its slowest reader once it has stopped retaining the
/// body.
pub const FILL_WINDOW_BYTES: u64 = 1024 * 1024;
/// Readers of one fill: beyond it a request fetches for itself.
pub const FILL_READERS_MAX: usize = 65_536;
/// Ranges in one `Range` field (RFC 9110 §14.2): video players and download tools ask for one or
/// two, PDF readers for a dozen. A field with more is ignored.
pub const RANGES_MAX: usize = 32;
/// Bytes that the head of one part of a `multipart/byteranges` takes, roughly: a smaller gap
/// between two ranges is cheaper to send than to leave out (RFC 9110 §15.3.7.2).
pub const PART_HEAD_BYTES: u64 = 80;
/// Bytes of a slice of a large object: what one fetch brings, and what is evicted together.
pub const SLICE_BYTES: u64 = 1024 * 1024;
/// Bytes from which on a whole response is fetched slice by slice: below, one fetch is quicker than
/// several.
pub const SLICED_BYTES_MIN: u64 = 8 * SLICE_BYTES;
/// Bytes of the largest object that is kept in slices: a million of them.
pub const SLICED_BYTES_MAX: u64 = 1_000_000 * SLICE_BYTES;
/// Slices fetched ahead of a reader that goes on from slice to slice: 8 MiB are in flight then, 80
/// MB/s at 100 ms.
pub const SLICES_AHEAD_MAX: u64 = 8;
/// Slices fetched beyond the end of a range whose reader seems to go through the object.
pub const SLICES_BEYOND: u64 = 2;
/// Times that one slice is asked for again: its fetch broke, was purged, or met another version.
pub const SLICE_ATTEMPTS_MAX: usize = 4;
/// Bytes of the smallest response that is compressed at the edge, as CloudFront does: below, fields
/// weigh more than what is saved.
pub const ENCODED_BYTES_MIN: u64 = 1_000;
/// Bytes of the largest, as CloudFront does.
pub const ENCODED_BYTES_MAX: u64 = 10_000_000;
/// Variants (RFC 9111 §4.1) are separate objects; this bounds the field names one `Vary` may list.
pub const VARY_FIELDS_MAX: usize = 32;
/// Fields that `no-cache` and `private` of one response may name; beyond it they are about all of
/// the response, which is always safe.
pub const WITHHELD_FIELDS_MAX: usize = 32;
/// Times that a request may have passed this mesh already (RFC 8586): a chain of distributions,
/// each the origin of another, is rarely longer than two.
pub const CDN_LOOPS_MAX: usize = 4;

/// Owners remembered for each ring position: the owner and its successors.
pub const OWNERS_MAX: usize = 4;
/// Attempts at one tier before the walk goes up.
pub const TIER_ATTEMPTS_MAX: usize = 2;
/// Times a request starts over because what it waited for was purged meanwhile.
pub const RESTARTS_MAX: usize = 8;
/// Of these, the times for a purge that came after the request: then anything fetched since it came
/// will do.
pub const RESTARTS_STRICT_MAX: usize = 2;

/// How long a peer may take to the first byte of an answer before the next successor is asked,
/// beyond the origin's own time.
pub const PEER_FIRST_BYTE: Duration = Duration::from_secs(35);
/// How long a node that is behind its asker waits to catch up before it says so.
pub const CATCH_UP: Duration = Duration::from_millis(500);
/// How long a resource found uncacheable is fetched without queueing (hit-for-miss).
pub const HIT_FOR_MISS: Duration = Duration::from_secs(10);
/// How long a request of a distribution that has its knowledge confirmed waits for the voters: a
/// few round trips across the world.
pub const CONFIRM: Duration = Duration::from_secs(1);
/// How long a command may take from any node to the log before the caller hears "unknown".
pub const SUBMIT: Duration = Duration::from_secs(10);
/// How long a purge is waited for unless its caller says otherwise: longer than a standard lease
/// takes to run out everywhere.
pub const PURGE_WAIT: Duration = Duration::from_secs(30);
/// How long the answer to a `POST` or the like waits for the log to take the purge that it stands
/// for; then it goes out, and the purge is tried again behind it.
pub const INVALIDATION_WAIT: Duration = Duration::from_secs(2);
/// A wall clock further from a peer's than this is called out: certificates and `Date` arithmetic
/// depend on it.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// Share of keys that one member may ask for, where 100 is ordinary: ten ordinary nodes' worth.
/// A ring's size is its members' shares added up, so this bounds what a roster can cost every node.
pub const CAPACITY_MAX: u32 = 1_000;

/// Bytes of a hello or its answer, behind the prefix: names are short.
pub const HELLO_BYTES_MAX: usize = 1024;
/// Bytes of a refusal's text between peers.
pub const REASON_BYTES_MAX: usize = 1024;
/// Bytes of the URI in a certificate that says whose it is: three names, the tiers, and room.
pub const IDENTITY_BYTES_MAX: usize = 512;
/// Streams that a peer may have open at once on one connection.
pub const STREAMS_MAX: usize = 1024;
/// Streams in one direction that a peer may have open at once: one gossip message each.
pub const CASTS_MAX: usize = 64;
/// Gossip messages that wait for one peer; beyond it they are dropped, gossip repeats itself.
pub const CASTS_QUEUED_MAX: usize = 64;
/// Connections that peers hold to us: two from every member, and as many that are still arriving.
pub const GUESTS_MAX: usize = 4096;
/// Addresses, times two lanes, that we dial: two for every member, and room for those who moved.
pub const LINKS_MAX: usize = 4096;
/// Names that a reader of connection failures may be behind.
pub const FAILURES_QUEUED_MAX: usize = 1024;
/// Bytes in flight on one stream: 4 Gbit/s at 8 ms, 160 Mbit/s at 200 ms.
pub const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Bytes in flight on one connection, in each direction.
pub const LINK_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// How long a peer may take to shake hands and say hello.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often an idle connection shows that it lives.
pub const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// How long a connection may be silent; with [`KEEP_ALIVE`] a dead peer is noticed within 2 s.
pub const SILENCE: Duration = Duration::from_millis(1500);
/// How long a peer that could not be reached is not tried again; doubled each time.
pub const REDIAL_FIRST: Duration = Duration::from_millis(250);
/// The longest time that a peer is not tried again.
pub const REDIAL_MAX: Duration = Duration::from_secs(1);
/// How long a node that stops waits for its farewells to be sent.
pub const FAREWELL: Duration = Duration::from_secs(1);
/// Objects of [`OBJECT_BYTES_MAX`] that a shard of the memory store has room for, where the budget
/// allows: keeping one of them then costs a shard at most a quarter of what it holds.
pub const OBJECTS_PER_SHARD_MIN: u64 = 4;
/// How long a caller of the admin API may ask to be kept waiting for a command.
pub const ADMIN_WAIT_MAX: Duration = Duration::from_secs(120);
/// Connections at once to one node's admin API: operators, probes and scrapers are few.
pub const ADMIN_CONNECTIONS_MAX: usize = 128;
/// How long such a connection may be silent: longer than [`ADMIN_WAIT_MAX`], since a waiting
/// caller says nothing.
pub const ADMIN_SILENCE: Duration = Duration::from_secs(150);
/// How long a node that stops waits for the admin answers that are under way.
pub const ADMIN_DRAIN: Duration = Duration::from_secs(5);
/// Characters of an idempotency key that a caller chose.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 64;
/// Bytes of the shortest admin token: 16 letters and digits drawn at random are 95 bits.
pub const TOKEN_BYTES_MIN: usize = 16;
/// Bytes of the longest admin token: it travels in a header field of every request.
pub const TOKEN_BYTES_MAX: usize = 1024;
/// Gossip messages that wait to be read; beyond it they are dropped, gossip repeats itself.
pub const GOSSIP_QUEUED_MAX: usize = 256;
/// Compressed blocks in one gossip message, which inflate to 64 KiB each at most. Honest ones hold
/// 16 KiB, and what 2,000 nodes say of themselves fits in half as many.
pub const GOSSIP_BLOCKS_MAX: usize = 64;

/// How long a peer may take to take a stream before it counts as silent, on a link without delay.
pub const ADMISSION_MIN: Duration = Duration::from_millis(700);
/// The same in round trips, where these are longer: one lost packet is sent again within it.
pub const ADMISSION_ROUND_TRIPS: u32 = 6;
/// How often a link is listened to while streams of it wait.
pub const PULSE_TICK: Duration = Duration::from_millis(50);
/// How long a link is quiet before its peer is asked for a sign of life.
pub const PULSE_AFTER: Duration = Duration::from_millis(150);
/// How long a link is quiet before those who wait go elsewhere; a round trip comes on top.
pub const PULSE_PATIENCE: Duration = Duration::from_millis(400);
/// Bytes of such signs that a peer keeps, which nobody reads.
pub const PULSE_BYTES_MAX: usize = 64;
/// How long a question waits for a connection to a peer before it goes to the next; the dial goes
/// on.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
