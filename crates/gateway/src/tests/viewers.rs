use http::HeaderValue;
use http::header::CONTENT_LENGTH;

use super::*;

/// Says what arrived.
async fn echo(request: Request) -> Response {
    let Request { method, host, target, headers, body, viewer, .. } = request;
    assert!(viewer.ip().is_loopback());
    let names = headers.get("x-name").map(|value| value.to_str().unwrap().to_owned());
    let (content, trailers, error) = read_all(body).await;
    let trailer = trailers.and_then(|fields| fields.get("x-end").cloned());
    text(format!("{method} {host} {target} {names:?} {content:?} {trailer:?} {error:?}"))
}

fn content(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, content)| content)
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let door = open(Limits::default(), echo);
    let close = "Connection: close\r\n";
    for (head, expect) in [
        ("GET /a%2F/../b?c=%7e HTTP/1.1\r\nHost: Shop:80\r\nX-Name: 1\r\n", {
            r#"GET Shop:80 /a%2F/../b?c=%7e Some("1") "" None None"#
        }),
        ("GET http://shop/a HTTP/1.1\r\nHost: SHOP\r\n", r#"GET shop /a None "" None None"#),
        ("GET HTTPS://shop?a HTTP/1.1\r\nHost: shop\r\n", r#"GET shop /?a None "" None None"#),
        ("PURGE / HTTP/1.1\r\nHost: shop\r\n", r#"PURGE shop / None "" None None"#),
        ("GET / HTTP/1.0\r\nHost: shop\r\n", r#"GET shop / None "" None None"#),
        ("OPTIONS * HTTP/1.1\r\nHost: shop\r\n", r#"OPTIONS shop * None "" None None"#),
        ("\r\nGET / HTTP/1.1\r\nHost: shop\r\n", r#"GET shop / None "" None None"#),
    ] {
        let answer = say(door.address, &format!("{head}{close}\r\n")).await;
        assert_eq!((status(&answer), content(&answer)), (200, expect), "{head}");
    }
}

#[tokio::test]
async fn request_bodies_arrive_with_their_length_or_trailers() {
    let door = open(Limits::default(), |request| async move {
        let bytes = request.body.bytes();
        let answer = echo(request).await;
        let (content, ..) = read_all(answer.body).await;
        text(format!("{bytes:?} {content}"))
    });
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let sized = say(door.address, &format!("{head}Content-Length: 3\r\n\r\nabc")).await;
    assert_eq!(content(&sized), r#"Some(3) POST a / None "abc" None None"#);
    let none = say(door.address, &format!("{head}Content-Length: 0\r\n\r\n")).await;
    assert_eq!(content(&none), r#"Some(0) POST a / None "" None None"#);
    let chunked = "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX-End: 9\r\n\r\n";
    let chunked = say(door.address, &format!("{head}{chunked}")).await;
    assert_eq!(content(&chunked), r#"None POST a / None "abc" Some("9") None"#);
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_nothing_is_answered_behind_it() {
    let door = open(Limits::default(), |request: Request| async move {
        let (_, _, error) = read_all(request.body).await;
        error.map_or_else(|| text("served"), |error| text(error.to_string()))
    });
    let get = "GET / HTTP/1.1\r\n";
    let host = "GET / HTTP/1.1\r\nHost: a\r\n";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (request, expect) in [
        (format!("{get}\r\n"), 400),
        ("GET http://a/ HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.0\r\n\r\n".into(), 400),
        (format!("{host}Host: a\r\n\r\n"), 400),
        (format!("{get}Host: a b\r\n\r\n"), 400),
        (format!("{get}Host: \u{e9}\r\n\r\n"), 400),
        (format!("{get}Host:\r\n\r\n"), 400),
        ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(), 405),
        ("GET /\r\n\r\n".into(), 400),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".into(), 505),
        ("GET / HTTQ/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("\u{16}\u{3}\u{1}".into(), 400),
        ("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\nHost: a\n\n".into(), 400),
        (format!("{host}X: b\n\r\n"), 400),
        (format!("{host}X: b\rY: c\r\n\r\n"), 400),
        (format!("{host}X : a\r\n\r\n"), 400),
        (format!("{host}X: a\r\n b\r\n\r\n"), 400),
        (format!("{host} X: a\r\n\r\n"), 400),
        (format!("{host}X: a\0b\r\n\r\n"), 400),
        (format!("{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400),
        (format!("{host}Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400),
        (format!("{host}Content-Length: +1\r\n\r\na"), 400),
        (format!("{host}Content-Length: 1, 1\r\n\r\na"), 400),
        (format!("{host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("{host}Transfer-Encoding: gzip\r\n\r\n"), 400),
        (format!("{host}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400),
        (format!("{host}Transfer-Encoding: gzip, chunked\r\n\r\n"), 501),
        (format!("{host}Expect: tea\r\n\r\n"), 417),
        (format!("{chunked}x\r\n\r\n"), 400),
        (format!("{chunked}3\nabc\r\n0\r\n\r\n"), 400),
        (format!("{chunked}3\r\nabcd\r\n0\r\n\r\n"), 400),
        (format!("{chunked}3;a\0\r\nabc\r\n0\r\n\r\n"), 400),
        (format!("{chunked}10000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
        (format!("{chunked}3\r\nabc\r\n0\r\nX : 1\r\n\r\n"), 400),
    ] {
        let answer = say(door.address, &format!("{request}{host}\r\n")).await;
        assert_eq!(status(&answer), expect, "{request:?}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?} {answer}");
    }
}

#[tokio::test]
async fn a_request_that_ends_before_its_end_is_refused() {
    let door = open(Limits::default(), |request: Request| async move {
        read_all(request.body).await;
        text("served")
    });
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for request in [
        "GET".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\n".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc".into(),
        format!("{chunked}3\r\nabc\r\n0\r\n"),
        format!("{chunked}3\r\nabc\r\n0\r\n\r"),
    ] {
        let mut viewer = dial(door.address, &request).await;
        viewer.shutdown().await.unwrap();
        let answer = rest(&mut viewer).await.0;
        assert_eq!(status(&answer), 400, "{request:?}");
    }
}

#[tokio::test]
async fn a_head_is_served_at_its_limits_and_refused_beyond() {
    let door = open(Limits::default(), |_| async { text("served") });
    let long = |bytes| "x".repeat(bytes);
    // Host, Connection and the name X take 21 of the bytes and two of the fields.
    let (bytes, fields) = (32 * 1024 - 21, 128 - 2);
    for (target, more, expect) in [
        (long(8 * 1024 - 1), String::new(), 200),
        (long(8 * 1024), String::new(), 414),
        (String::new(), format!("X: {}\r\n", long(bytes)), 200),
        (String::new(), format!("X: {}\r\n", long(bytes + 1)), 431),
        (long(8 * 1024 - 1), format!("X: {}\r\n", long(bytes)), 200),
        (String::new(), format!("X: {}\r\n", long(64 * 1024)), 431),
        (String::new(), "X: 1\r\n".repeat(fields), 200),
        (String::new(), "X: 1\r\n".repeat(fields + 1), 431),
    ] {
        let head = format!("GET /{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
        let answer = say(door.address, &head).await;
        assert_eq!(status(&answer), expect, "{} {}", target.len(), more.len());
    }
}

#[tokio::test]
async fn known_lengths_are_announced_and_unknown_ones_chunked() {
    let door = open(Limits::default(), |request: Request| async move {
        match request.target.as_str() {
            "/whole" => text("whole"),
            "/sized" => ok(Body::Stream {
                stream: stream::iter(chunks(&["a", "b"])).boxed(),
                bytes: Some(2),
            }),
            "/empty" => ok(Body::Empty),
            _ => {
                ok(Body::Stream { stream: stream::iter(chunks(&["a", "b"])).boxed(), bytes: None })
            }
        }
    });
    for (target, expect, ending) in [
        ("/whole", "content-length: 5", "\r\n\r\nwhole"),
        ("/sized", "content-length: 2", "\r\n\r\nab"),
        ("/empty", "content-length: 0", "\r\n\r\n"),
        ("/streamed", "transfer-encoding: chunked", "1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = say(door.address, &request).await;
        assert!(answer.contains(expect) && answer.ends_with(ending), "{answer}");
        assert_eq!(answer.matches("date: ").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn the_origins_date_stays_and_framing_fields_do_not() {
    let door = open(Limits::default(), |_| async {
        let mut answer = text("ab");
        let old = "Thu, 01 Jan 1970 00:00:00 GMT";
        answer.headers.insert("date", HeaderValue::from_static(old));
        answer.headers.insert("content-length", HeaderValue::from_static("999"));
        answer.headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        answer
    });
    let answer = say(door.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), "{answer}");
    assert!(answer.contains("content-length: 2\r\n") && answer.ends_with("\r\n\r\nab"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
}

#[tokio::test]
async fn head_and_not_modified_have_no_body() {
    let door = open(Limits::default(), |request: Request| async move {
        let mut answer = text("abc");
        match request.target.as_str() {
            "/named" => {
                answer.headers.insert(CONTENT_LENGTH, HeaderValue::from(42));
                answer.body = Body::Empty;
            }
            "/304" => answer.status = StatusCode::NOT_MODIFIED,
            _ => {}
        }
        answer
    });
    for (line, expect) in [
        ("HEAD /", Some("content-length: 3\r\n")),
        ("HEAD /named", Some("content-length: 42\r\n")),
        ("GET /304", None),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = say(door.address, &request).await;
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(answer.contains("content-length"), expect.is_some(), "{answer}");
        assert!(answer.contains(expect.unwrap_or_default()), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_ended_cleanly() {
    let door = open(Limits::default(), |request: Request| async move {
        let bytes = (request.target == "/sized").then_some(99);
        ok(Body::Stream { stream: broken_stream(&["abc"]), bytes })
    });
    let chunked = say(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(chunked.contains("transfer-encoding: chunked"), "{chunked}");
    assert!(chunked.contains("abc") && !chunked.contains("0\r\n\r\n"), "{chunked}");
    let sized = say(door.address, "GET /sized HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(sized.contains("content-length: 99") && sized.ends_with("abc"), "{sized}");
    // To HTTP/1.0 a clean end of the connection would be the end of the body.
    let mut old = dial(door.address, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let (_, end) = rest(&mut old).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_broken() {
    let door = open(Limits::default(), |request: Request| async move {
        let bytes = Some(if request.target == "/short" { 9 } else { 1 });
        ok(Body::Stream { stream: stream::iter(chunks(&["abc"])).boxed(), bytes })
    });
    for target in ["/short", "/long"] {
        let second = "GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n{second}");
        let answer = say(door.address, &request).await;
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    }
}

#[tokio::test]
async fn trailers_go_out_to_who_asks_for_them() {
    let door = open(Limits::default(), |_| async {
        let mut parts = chunks(&["a"]);
        let fields = [("x-end".parse().unwrap(), HeaderValue::from_static("9"))];
        parts.push(Ok(Chunk::Trailers(fields.into_iter().collect())));
        let mut answer = ok(Body::Stream { stream: stream::iter(parts).boxed(), bytes: None });
        answer.headers.insert("trailer", HeaderValue::from_static("x-end"));
        answer
    });
    let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let asked = say(door.address, &format!("{head}TE: trailers\r\n\r\n")).await;
    assert!(asked.ends_with("1\r\na\r\n0\r\nx-end: 9\r\n\r\n"), "{asked}");
    let silent = say(door.address, &format!("{head}\r\n")).await;
    assert!(silent.ends_with("1\r\na\r\n0\r\n\r\n"), "{silent}");
}

#[tokio::test]
async fn continue_is_sent_when_the_body_is_read_and_not_before() {
    let door = open(Limits::default(), |request: Request| async move {
        match request.target.as_str() {
            "/read" => echo(request).await,
            _ => text("unread"),
        }
    });
    let head = "HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut viewer = dial(door.address, &format!("POST /read {head}")).await;
    assert_eq!(read_until(&mut viewer, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    viewer.write_all(b"abc").await.unwrap();
    assert!(read_until(&mut viewer, "None").await.starts_with("HTTP/1.1 200"));
    let unread = say(door.address, &format!("POST /not {head}")).await;
    assert!(unread.starts_with("HTTP/1.1 200") && unread.ends_with("unread"), "{unread}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let door = open(Limits::default(), |request: Request| async move { text(request.target) });
    let one = |target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let last = "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = say(door.address, &format!("{}{}{last}", one("/1"), one("/2"))).await;
    let bodies: Vec<_> = answer.split("HTTP/1.1 200 OK").skip(1).map(content).collect();
    assert_eq!(bodies, ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn an_upgrade_is_ignored() {
    let door = open(Limits::default(), |_| async { text("plain") });
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n\r\n";
    let answer = say(door.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("plain"), "{answer}");
}

#[tokio::test]
async fn a_slow_viewer_slows_the_body_down() {
    let taken = Arc::new(AtomicUsize::new(0));
    let produced = Arc::clone(&taken);
    let door = open(Limits::default(), move |_| {
        let stream = endless(&produced);
        async move { ok(Body::Stream { stream, bytes: None }) }
    });
    let mut viewer = dial(door.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_until(&mut viewer, "\r\n\r\n").await;
    settled(&taken).await;
    // What two kernels buffer, and no more.
    assert!(taken.load(SeqCst) < 16 << 20, "{}", taken.load(SeqCst));
}

#[tokio::test]
async fn a_slow_reader_slows_the_upload_down() {
    let door = open(Limits::default(), |request: Request| async move {
        let _held = request.body;
        std::future::pending().await
    });
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut viewer = dial(door.address, head).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let sending = tokio::spawn(async move {
        while viewer.write_all(chunk.as_bytes()).await.is_ok() {
            counted.fetch_add(chunk.len(), SeqCst);
        }
    });
    settled(&sent).await;
    assert!(sent.load(SeqCst) < 16 << 20, "{}", sent.load(SeqCst));
    sending.abort();
}

/// Waits until `count` has stopped growing.
async fn settled(count: &AtomicUsize) {
    let mut before = usize::MAX;
    while before != count.load(SeqCst) {
        before = count.load(SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
