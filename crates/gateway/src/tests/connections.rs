use tokio::time::Instant;

use super::*;
use crate::GatewayError;

const SHORT: Duration = Duration::from_millis(400);

async fn hold(request: Request) -> Response {
    let _held = request;
    std::future::pending().await
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = Listener::bind(first.local_addr()).unwrap_err();
    assert!(matches!(error, GatewayError::InUse { .. }));
    let sentence = error.to_string();
    assert!(sentence.contains(&first.local_addr().to_string()), "{sentence}");
    assert!(sentence.contains("choose another address"), "{sentence}");
    let elsewhere = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(elsewhere.to_string().starts_with("cannot listen on 192.0.2.1:0"), "{elsewhere}");
}

#[tokio::test]
async fn a_connection_without_a_whole_head_is_cut() {
    let limits = Limits { head: SHORT, ..Limits::default() };
    let door = open(limits, |_| async { text("served") });
    for beginning in ["", "P", "PRI * HTTP/2.0\r", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let begun = Instant::now();
        let answer = say(door.address, beginning).await;
        // RFC 9110 §15.5.9: who has begun is told why it ends.
        assert_eq!(status(&answer), if beginning.is_empty() { 0 } else { 408 }, "{beginning:?}");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 2, "{beginning:?}");
    }
    // A later head has as long, counted from its first byte.
    let mut viewer = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(read_until(&mut viewer, "served").await.starts_with("HTTP/1.1 200"));
    tokio::time::sleep(SHORT * 2).await;
    viewer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    tokio::time::sleep(SHORT / 4).await;
    viewer.write_all(b"Host: a\r\n\r\n").await.unwrap();
    assert!(read_until(&mut viewer, "served").await.starts_with("HTTP/1.1 200"));
    viewer.write_all(b"GET").await.unwrap();
    assert_eq!(status(&rest(&mut viewer).await.0), 408);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_waiting_one_is_not() {
    let limits = Limits { head: SHORT, idle: SHORT, stall: SHORT, ..Limits::default() };
    let door = open(limits, |request: Request| async move {
        if request.target == "/slow" {
            tokio::time::sleep(SHORT * 4).await;
        }
        text("served")
    });
    let mut viewer = dial(door.address, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(read_until(&mut viewer, "served").await.starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    let (more, end) = rest(&mut viewer).await;
    assert_eq!((more.as_str(), end.unwrap()), ("", 0));
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_viewer_that_stops_reading_is_cut() {
    struct Gone(CancellationToken);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let limits = Limits { head: SHORT, stall: SHORT, ..Limits::default() };
    let (taken, gone) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let noticed = gone.clone();
    let door = open(limits, move |_| {
        let gone = Gone(noticed.clone());
        let stream = endless(&taken).inspect(move |_| assert!(!gone.0.is_cancelled())).boxed();
        async move { ok(Body::Stream { stream, bytes: None }) }
    });
    let _viewer = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(LONG, gone.cancelled()).await.unwrap();
}

#[tokio::test]
async fn a_viewer_that_stops_sending_breaks_its_body_and_hears_of_it() {
    let limits = Limits { stall: SHORT, ..Limits::default() };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let door = open(limits, move |request: Request| {
        let tell = tell.clone();
        async move {
            // As a fetch to an origin would, the reader outlives the visit.
            tokio::spawn(async move { tell.send(read_all(request.body).await.2) });
            std::future::pending().await
        }
    });
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\nabc";
    let answer = say(door.address, head).await;
    assert_eq!(status(&answer), 408);
    let error = timeout(LONG, told.recv()).await.unwrap().unwrap().unwrap().to_string();
    assert!(error.contains("too little for too long"), "{error}");
}

/// A byte now and then is no progress (slowloris).
#[tokio::test]
async fn a_viewer_that_trickles_is_cut() {
    let limits = Limits { stall: SHORT, ..Limits::default() };
    let door = open(limits, |request: Request| async move {
        read_all(request.body).await;
        text("read")
    });
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n";
    let viewer = dial(door.address, head).await;
    let (mut reading, mut writing) = viewer.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 8).await;
        }
    });
    let mut answer = String::new();
    timeout(LONG, reading.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(status(&answer), 408);
    trickle.abort();
}

#[tokio::test]
async fn a_viewer_that_leaves_ends_its_visit() {
    let (began, left) = (CancellationToken::new(), CancellationToken::new());
    let (begin, leave) = (began.clone(), left.clone());
    let door = open(Limits::default(), move |request| {
        let guard = leave.clone().drop_guard();
        begin.cancel();
        async move {
            let _guard = guard;
            hold(request).await
        }
    });
    let viewer = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(LONG, began.cancelled()).await.unwrap();
    assert!(!left.is_cancelled());
    drop(viewer);
    timeout(LONG, left.cancelled()).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let door = open(limits, |_| async { text("served") });
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut seated = Vec::new();
    for _ in 0..2 {
        let mut viewer = dial(door.address, request).await;
        read_until(&mut viewer, "served").await;
        seated.push(viewer);
    }
    let mut third = dial(door.address, request).await;
    assert!(timeout(SHORT, third.readable()).await.is_err());
    seated.pop();
    assert!(read_until(&mut third, "served").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn draining_finishes_what_runs_and_accepts_nothing_new() {
    let go = CancellationToken::new();
    let wait = go.clone();
    let door = open(Limits::default(), move |request: Request| {
        let wait = wait.clone();
        async move {
            if request.target == "/idle" {
                return text("served");
            }
            let first = stream::iter(chunks(&["begun "]));
            let second = stream::once(async move {
                wait.cancelled().await;
                Ok(Chunk::Data(Bytes::from_static(b"finished")))
            });
            ok(Body::Stream { stream: first.chain(second).boxed(), bytes: Some(14) })
        }
    });
    let mut idle = dial(door.address, "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_until(&mut idle, "served").await;
    let mut running = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_until(&mut running, "begun ").await;
    door.shutdown.cancel();
    assert_eq!(rest(&mut idle).await.0, "");
    let refused = async {
        while TcpStream::connect(door.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, refused).await.unwrap();
    go.cancel();
    let (more, end) = rest(&mut running).await;
    assert_eq!((more.as_str(), end.unwrap()), ("finished", 8));
    timeout(LONG, door.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn draining_ends_when_its_time_is_over() {
    let limits = Limits { drain: SHORT, ..Limits::default() };
    let door = open(limits, hold);
    let mut viewer = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(SHORT / 3).await;
    door.shutdown.cancel();
    assert_eq!(rest(&mut viewer).await.0, "");
    timeout(LONG, door.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_listener_that_is_dropped_takes_its_connections_along() {
    let door = open(Limits::default(), hold);
    let mut viewer = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(SHORT / 3).await;
    door.serving.abort();
    assert_eq!(rest(&mut viewer).await.0, "");
}
