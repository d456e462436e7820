//! One exchange after another on an HTTP/1 connection: what is kept, skipped, hinted and closed.

use http::{HeaderName, HeaderValue};

use super::*;

const ONE: &str = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn interim_responses_reach_viewers_of_http_1_1_before_the_answer() {
    let go = CancellationToken::new();
    let wait = go.clone();
    let door = open(Limits::default(), move |request: Request| {
        let wait = wait.clone();
        async move {
            let interim = request.interim.unwrap();
            let link = (HeaderName::from_static("link"), HeaderValue::from_static("</a.css>"));
            interim(StatusCode::EARLY_HINTS, [link].into_iter().collect());
            wait.cancelled().await;
            tokio::spawn(async move { interim(StatusCode::EARLY_HINTS, HeaderMap::new()) });
            text("page")
        }
    });
    let mut viewer = dial(door.address, ONE).await;
    let hint = read_until(&mut viewer, "\r\n\r\n").await;
    assert_eq!(hint, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
    go.cancel();
    assert!(read_until(&mut viewer, "page").await.starts_with("HTTP/1.1 200 OK\r\n"));
    viewer.write_all(ONE.as_bytes()).await.unwrap();
    let second = read_until(&mut viewer, "page").await;
    assert_eq!(second.matches("103 Early Hints").count(), 1, "{second}");
    let old = say(door.address, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.1 200") && !old.contains("103"), "{old}");
}

#[tokio::test]
async fn http_1_0_is_kept_alive_where_it_asks_and_the_length_is_known() {
    let door = open(Limits::default(), |request: Request| async move {
        match request.target.as_str() {
            "/sized" => text("sized"),
            _ => {
                ok(Body::Stream { stream: stream::iter(chunks(&["a", "b"])).boxed(), bytes: None })
            }
        }
    });
    let kept = "GET /sized HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let unsized_one = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let answer = say(door.address, &format!("{kept}{kept}{unsized_one}{kept}")).await;
    assert_eq!(answer.matches("connection: keep-alive\r\n").count(), 2, "{answer}");
    assert_eq!(answer.matches("content-length: 5\r\n").count(), 2, "{answer}");
    assert!(answer.ends_with("connection: close\r\n\r\nab"), "{answer}");
    assert!(!answer.contains("chunked"), "{answer}");
    let plain = say(door.address, &format!("GET /sized HTTP/1.0\r\nHost: a\r\n\r\n{kept}")).await;
    assert_eq!(plain.matches("HTTP/1.1 200").count(), 1, "{plain}");
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_skipped_where_it_is_small() {
    let door = open(Limits::default(), |request: Request| async move { text(request.target) });
    let last = "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for body in [
        "Content-Length: 8\r\n\r\nGET /0 H",
        "Transfer-Encoding: chunked\r\n\r\n6\r\nGET /0\r\n0\r\n\r\n",
    ] {
        let answer =
            say(door.address, &format!("POST /1 HTTP/1.1\r\nHost: a\r\n{body}{last}")).await;
        assert!(answer.contains("\r\n\r\n/1HTTP/1.1 200") && answer.ends_with("/2"), "{answer}");
    }
}

/// RFC 9112 §9.6: the answer is not wiped out by what the viewer still sends.
#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_seen_whole() {
    let door = open(Limits::default(), |_| async { text("x".repeat(100_000)) });
    let mut viewer =
        dial(door.address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n").await;
    let head = read_until(&mut viewer, "\r\n\r\n").await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    let (mut reading, mut writing) = viewer.into_split();
    let sending = tokio::spawn(async move {
        for _ in 0..9 {
            if writing.write_all(&[7; 1_000_000]).await.is_err() {
                break;
            }
        }
    });
    let mut rest = Vec::new();
    timeout(LONG, reading.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest.len(), 100_000);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_request_behind_a_body_is_the_next_request() {
    let door = open(Limits::default(), |request: Request| async move {
        let (content, _, error) = read_all(request.body).await;
        text(format!("{} {content} {error:?}\n", request.target))
    });
    let close = "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let sized = "PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n";
    let chunked = "PUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = format!("{sized}GET /0 HTTP/1.1\r\nHost: a{chunked}3\r\nabc\r\n0\r\n\r\n{close}");
    let answer = say(door.address, &request).await;
    let bodies: Vec<&str> =
        answer.split("HTTP/1.1 200 OK").filter_map(|part| part.split("\r\n\r\n").nth(1)).collect();
    assert_eq!(bodies.len(), 3, "{answer}");
    assert!(bodies[0].starts_with("/1 GET /0") && bodies[0].ends_with("None\n"), "{answer}");
    assert_eq!(&bodies[1..], ["/2 abc None\n", "/3  None\n"], "{answer}");
}

#[tokio::test]
async fn an_answer_may_end_the_connection() {
    let door = open(Limits::default(), |_| async {
        let mut answer = text("last");
        answer.headers.insert("connection", HeaderValue::from_static("close"));
        answer
    });
    let answer = say(door.address, &format!("{ONE}{ONE}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert_eq!(answer.matches("connection: close\r\n").count(), 1, "{answer}");
}

/// What one viewer sends in odd pieces is read as if it came whole.
#[tokio::test]
async fn requests_may_come_a_byte_at_a_time() {
    let door = open(Limits::default(), |request: Request| async move {
        text(format!("{}\n", read_all(request.body).await.0))
    });
    let mut viewer = TcpStream::connect(door.address).await.unwrap();
    viewer.set_nodelay(true).unwrap();
    let post =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for byte in post.bytes() {
        viewer.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_until(&mut viewer, "abc\n").await.starts_with("HTTP/1.1 200"));
}
