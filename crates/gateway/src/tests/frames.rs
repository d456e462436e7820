//! HTTP/2 in raw frames: what floods and smuggles is refused, within the limits of the house.

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:method GET`, `:scheme http`, `:path /` from the static table, `:authority a` as a literal.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PROTOCOL_ERROR: u8 = 1;
const CANCEL: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Data = 0,
    Headers = 1,
    Reset = 3,
    Settings = 4,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind as u8, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A literal field without indexing; both parts shorter than 127 bytes.
fn field(name: &str, value: &str) -> Vec<u8> {
    let part = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], part(name), part(value)].concat()
}

/// What the door says, frame by frame.
struct Seen {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Raw(TcpStream);

impl Raw {
    /// A connection past its preface.
    async fn open(door: &Door) -> Raw {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(&[PREFACE, &frame(Kind::Settings, 0, 0, &[])].concat()).await.unwrap();
        Raw(stream)
    }

    /// Sends what it can: the door may have hung up.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    async fn next(&mut self) -> Option<Seen> {
        let mut head = [0; 9];
        timeout(LONG, self.0.read_exact(&mut head)).await.unwrap().ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        timeout(LONG, self.0.read_exact(&mut payload)).await.unwrap().ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Seen { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of that kind; none if the connection ends before.
    async fn next_of(&mut self, kind: Kind) -> Option<Seen> {
        loop {
            let seen = self.next().await?;
            if seen.kind == kind as u8 {
                return Some(seen);
            }
        }
    }

    /// A request on `stream` gets an answer.
    async fn is_answered(&mut self, stream: u32) {
        assert!(self.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, stream, GET)).await);
        let answer = self.next_of(Kind::Headers).await.unwrap();
        assert_eq!((answer.stream, answer.flags & END_HEADERS), (stream, END_HEADERS));
    }

    /// The code in the next GOAWAY; none if the connection just ends.
    async fn farewell(&mut self) -> Option<u8> {
        self.next_of(Kind::GoAway).await.map(|seen| seen.payload[7])
    }
}

fn served() -> Door {
    open(Limits::default(), |_| async { text("served") })
}

#[tokio::test]
async fn limits_are_announced() {
    let door = served();
    let mut raw = Raw::open(&door).await;
    let settings = raw.next_of(Kind::Settings).await.unwrap();
    let of = |id: u8| {
        let mut pairs = settings.payload.chunks(6);
        pairs
            .find(|pair| pair[1] == id)
            .map(|pair| u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    let (streams, list) = (3, 6);
    assert_eq!(of(streams), Some(256));
    assert_eq!(of(list), Some(8 * 1024 + 32 * 1024 + 1024 + 32 * 128));
}

/// RFC 9113 §8.2 and §8.3: malformed requests are stream errors, and others go on.
#[tokio::test]
async fn what_rfc_9113_calls_malformed_resets_its_stream_and_no_other() {
    let door = served();
    let mut raw = Raw::open(&door).await;
    let mut stream = 1;
    for fields in [
        [GET, &field("connection", "close")].concat(),
        [GET, &field("transfer-encoding", "chunked")].concat(),
        [GET, &field("keep-alive", "1")].concat(),
        [GET, &field("proxy-connection", "keep-alive")].concat(),
        [GET, &field("upgrade", "h2c")].concat(),
        [GET, &field("te", "gzip")].concat(),
        [GET, &field(":path", "/again")].concat(),
        [&field("x", "1"), GET].concat(),
        [GET, &field(":status", "200")].concat(),
    ] {
        assert!(raw.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, stream, &fields)).await);
        let reset = raw.next_of(Kind::Reset).await;
        let reset = reset.unwrap_or_else(|| panic!("{}", fields.escape_ascii()));
        assert_eq!((reset.stream, reset.payload[3]), (stream, PROTOCOL_ERROR));
        stream += 2;
    }
    raw.is_answered(stream).await;
}

/// What cannot even be decoded ends the connection, which is more than RFC 9113 §8.2.1 asks for.
#[tokio::test]
async fn a_field_of_no_valid_shape_is_never_answered() {
    let door = served();
    for (name, value) in
        [("X-Upper", "1"), ("x y", "1"), ("x:y", "1"), ("", "1"), ("x", "a\r\nb: c"), ("x", "a\0")]
    {
        let mut raw = Raw::open(&door).await;
        raw.is_answered(1).await;
        let fields = [GET, &field(name, value)].concat();
        raw.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, 3, &fields)).await;
        while let Some(seen) = raw.next().await {
            assert!(seen.stream != 3 || seen.kind == Kind::Reset as u8, "{name:?}: {value:?}");
            if seen.kind == Kind::Reset as u8 || seen.kind == Kind::GoAway as u8 {
                break;
            }
        }
    }
}

/// CVE-2024-27316: a header block without end.
#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let door = served();
    let mut raw = Raw::open(&door).await;
    raw.is_answered(1).await;
    raw.send(&frame(Kind::Headers, END_STREAM, 3, GET)).await;
    let more = frame(Kind::Continuation, 0, 3, &field("x", &"y".repeat(100)));
    let mut sent = 0;
    while sent < 10_000 && raw.send(&more).await {
        sent += 1;
    }
    assert!(raw.farewell().await.is_none_or(|code| code != 0));
}

/// CVE-2023-44487: requests that are taken back as soon as they are made.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let began = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&began);
    let door = open(Limits::default(), move |_| {
        counted.fetch_add(1, SeqCst);
        async { text("served") }
    });
    let mut raw = Raw::open(&door).await;
    raw.is_answered(1).await;
    let mut flood = Vec::new();
    for at in 1..20_000 {
        let stream = 2 * at + 1;
        flood.extend(frame(Kind::Headers, END_STREAM | END_HEADERS, stream, GET));
        flood.extend(frame(Kind::Reset, 0, stream, &[0, 0, 0, 8]));
    }
    raw.send(&flood).await;
    let enhance_your_calm = 11;
    assert!(raw.farewell().await.is_none_or(|code| code == enhance_your_calm));
    assert!(began.load(SeqCst) < 2_000, "{}", began.load(SeqCst));
}

/// CVE-2025-8671: streams that we have to reset, again and again.
#[tokio::test]
async fn resets_that_a_viewer_provokes_end_the_connection() {
    let door = served();
    let mut raw = Raw::open(&door).await;
    raw.is_answered(1).await;
    let flawed = [GET, &field("connection", "close")].concat();
    let mut flood = Vec::new();
    for at in 1..2_000 {
        flood.extend(frame(Kind::Headers, END_STREAM | END_HEADERS, 2 * at + 1, &flawed));
    }
    raw.send(&flood).await;
    assert!(raw.farewell().await.is_none_or(|code| code != 0));
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let door = open(Limits::default(), |_| std::future::pending());
    let mut raw = Raw::open(&door).await;
    // h2 lets a viewer know of the limit before it holds it to it.
    raw.next_of(Kind::Settings).await.unwrap();
    raw.send(&frame(Kind::Settings, 1, 0, &[])).await;
    for at in 0..=256 {
        raw.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, 2 * at + 1, GET)).await;
    }
    let refused = raw.next_of(Kind::Reset).await.unwrap();
    let refused_stream = 7;
    assert_eq!((refused.stream, refused.payload[3]), (2 * 256 + 1, refused_stream));
}

#[tokio::test]
async fn a_tunnel_is_refused_over_http2_too() {
    let door = served();
    let mut raw = Raw::open(&door).await;
    let fields = [field(":method", "CONNECT"), vec![0x41, 1, b'a']].concat();
    raw.send(&frame(Kind::Headers, END_HEADERS, 1, &fields)).await;
    let answer = raw.next_of(Kind::Headers).await.unwrap();
    // A literal with the static name `:status`, or Huffman-coded 405 in any form: not a 200.
    assert_ne!(answer.payload[0], 0x88, "{}", answer.payload.escape_ascii());
}

#[tokio::test]
async fn a_stream_that_is_held_shut_is_reset_and_no_other() {
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let door = open(limits, |request: Request| async move {
        let body = if request.target == "/" { "whole" } else { "" };
        text(body)
    });
    let mut raw = Raw::open(&door).await;
    let no_window = [0, 4, 0, 0, 0, 0];
    raw.send(&frame(Kind::Settings, 0, 0, &no_window)).await;
    raw.is_answered(1).await;
    raw.is_answered(3).await;
    raw.send(&frame(Kind::WindowUpdate, 0, 3, &[0, 0, 0, 9])).await;
    let whole = raw.next_of(Kind::Data).await.unwrap();
    assert_eq!((whole.stream, whole.flags, &*whole.payload), (3, END_STREAM, &b"whole"[..]));
    let reset = raw.next_of(Kind::Reset).await.unwrap();
    assert_eq!((reset.stream, reset.payload[3]), (1, CANCEL));
    raw.is_answered(5).await;
}

/// RFC 9113 §8.1: an answer that breaks off has no END_STREAM.
#[tokio::test]
async fn a_body_that_breaks_off_ends_in_a_reset() {
    let door = open(Limits::default(), |_| async {
        ok(Body::Stream { stream: broken_stream(&["abc"]), bytes: Some(9) })
    });
    let mut raw = Raw::open(&door).await;
    assert!(raw.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, 1, GET)).await);
    loop {
        let seen = raw.next().await.unwrap();
        if seen.kind == Kind::Reset as u8 {
            assert_eq!(seen.stream, 1);
            break;
        }
        assert!(seen.stream != 1 || seen.flags & END_STREAM == 0, "kind {}", seen.kind);
    }
}

/// RFC 9110 §15.3.5 and §15.4.5: no DATA, not even an empty frame.
#[tokio::test]
async fn an_answer_without_a_body_ends_with_its_head() {
    let door = open(Limits::default(), |request: Request| async move {
        let status = if request.method == Method::GET { 304 } else { 200 };
        Response { status: StatusCode::from_u16(status).unwrap(), ..text("abc") }
    });
    let mut raw = Raw::open(&door).await;
    let head = [&[0x02, 4][..], b"HEAD", &GET[1..]].concat();
    for (stream, fields) in [(1, GET), (3, &head)] {
        assert!(raw.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, stream, fields)).await);
        let answer = raw.next_of(Kind::Headers).await.unwrap();
        assert_eq!((answer.stream, answer.flags), (stream, END_STREAM | END_HEADERS));
    }
}

/// RFC 9113 §6.8: what runs is finished, and GOAWAY says that nothing more is taken up.
#[tokio::test]
async fn a_stopping_node_says_goaway_and_finishes_what_runs() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = Arc::clone(&gate);
    let door = open(Limits::default(), move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            text("finished")
        }
    });
    let mut raw = Raw::open(&door).await;
    assert!(raw.send(&frame(Kind::Headers, END_STREAM | END_HEADERS, 1, GET)).await);
    raw.next_of(Kind::Settings).await.unwrap();
    door.shutdown.cancel();
    assert_eq!(raw.farewell().await, Some(0));
    opened.notify_one();
    let answer = raw.next_of(Kind::Data).await.unwrap();
    assert_eq!((answer.stream, &*answer.payload), (1, &b"finished"[..]));
}
