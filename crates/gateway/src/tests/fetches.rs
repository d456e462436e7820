//! What we do to an origin: requests on the wire, and connections kept, shared and given up.

use serve::{OriginError, Origins};

use super::*;
use crate::Outbound;

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const THREE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

/// An origin that tells what it was sent, up to `end`.
async fn listening(end: &'static str) -> (Stage, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let stage = stage(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            tell.send(read_until(&mut stream, end).await).unwrap();
            stream.write_all(EMPTY.as_bytes()).await.unwrap();
            std::future::pending().await
        }
    })
    .await;
    (stage, told)
}

fn streamed(parts: &[&'static str], bytes: Option<u64>) -> Body {
    Body::Stream { stream: stream::iter(chunks(parts)).boxed(), bytes }
}

async fn get(outbound: &Outbound, stage: &Stage) -> Result<String, OriginError> {
    let request = to_origin(Method::GET, "/", Body::Empty);
    let came = timeout(LONG, outbound.fetch(&stage.origin, request)).await.unwrap()?;
    let (content, _, error) = read_all(Body::Stream { stream: came.body, bytes: None }).await;
    assert_eq!(error, None);
    Ok(content)
}

#[tokio::test]
async fn a_request_is_written_in_origin_form() {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let (host, chunked) = ("host: shop.example\r\n", "transfer-encoding: chunked\r\n\r\n");
    for (method, target, body, end, expect) in [
        (
            get.clone(),
            "/a?b=%7e",
            Body::Empty,
            "\r\n\r\n",
            format!("GET /a?b=%7e HTTP/1.1\r\n{host}\r\n"),
        ),
        (
            post.clone(),
            "/",
            Body::Empty,
            "\r\n\r\n",
            format!("POST / HTTP/1.1\r\n{host}content-length: 0\r\n\r\n"),
        ),
        (
            post,
            "/",
            Body::from_bytes(Bytes::from_static(b"abc")),
            "abc",
            format!("POST / HTTP/1.1\r\n{host}content-length: 3\r\n\r\nabc"),
        ),
        (
            put.clone(),
            "/",
            streamed(&["a", "bc"], Some(3)),
            "abc",
            format!("PUT / HTTP/1.1\r\n{host}content-length: 3\r\n\r\nabc"),
        ),
        (
            put,
            "/",
            streamed(&["a", "bc"], None),
            "0\r\n\r\n",
            format!("PUT / HTTP/1.1\r\n{host}{chunked}1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        ),
        (
            get,
            "/",
            streamed(&["a"], None),
            "0\r\n\r\n",
            format!("GET / HTTP/1.1\r\n{host}{chunked}1\r\na\r\n0\r\n\r\n"),
        ),
    ] {
        let (stage, mut told) = listening(end).await;
        let mut request = to_origin(method, target, body);
        request.headers.insert("host", "viewer.example".parse().unwrap());
        request.headers.insert("content-length", "77".parse().unwrap());
        Outbound::new().fetch(&stage.origin, request).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), expect);
    }
}

#[tokio::test]
async fn trailers_of_a_request_go_along_where_announced() {
    let (stage, mut told) = listening("x-end: 9\r\n\r\n").await;
    let mut parts = chunks(&["a"]);
    let fields = [("x-end".parse().unwrap(), "9".parse().unwrap())];
    parts.push(Ok(Chunk::Trailers(fields.into_iter().collect())));
    let body = Body::Stream { stream: stream::iter(parts).boxed(), bytes: None };
    let mut request = to_origin(Method::POST, "/", body);
    request.headers.insert("trailer", "x-end".parse().unwrap());
    Outbound::new().fetch(&stage.origin, request).await.unwrap();
    assert!(told.recv().await.unwrap().ends_with("1\r\na\r\n0\r\nx-end: 9\r\n\r\n"));
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_ended_cleanly() {
    let (stage, mut told) = listening("0\r\n\r\n").await;
    let body = Body::Stream { stream: broken_stream(&["abc"]), bytes: None };
    let request = to_origin(Method::POST, "/", body);
    let said = Outbound::new().fetch(&stage.origin, request).await.err().unwrap().to_string();
    assert!(said.contains("127.0.0.1:") && said.contains("on purpose"), "{said}");
    assert!(!told.recv().await.unwrap().ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_slow_upload_is_not_a_slow_origin() {
    let (stage, _told) = listening("0\r\n\r\n").await;
    let slow = stream::iter(chunks(&["a", "b", "c", "d"])).then(|chunk| async move {
        tokio::time::sleep(Duration::from_millis(600)).await;
        chunk
    });
    let body = Body::Stream { stream: slow.boxed(), bytes: None };
    let request = to_origin(Method::POST, "/", body);
    let came = Outbound::new().fetch(&stage.origin, request).await.unwrap();
    assert_eq!(came.status, StatusCode::OK);
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let outbound = Outbound::new();
    let stage = stage(|_, stream| repeat(stream, THREE)).await;
    for _ in 0..5 {
        assert_eq!(get(&outbound, &stage).await.unwrap(), "abc");
    }
    let upload = to_origin(Method::POST, "/", streamed(&["ab", "cd"], Some(4)));
    let came = outbound.fetch(&stage.origin, upload).await.unwrap();
    read_all(Body::Stream { stream: came.body, bytes: None }).await;
    assert_eq!(get(&outbound.clone(), &stage).await.unwrap(), "abc");
    assert_eq!(stage.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_connection_is_kept_without_waiting_for_a_body_that_is_not_there() {
    let outbound = Outbound::new();
    let stage = stage(|_, stream| repeat(stream, "HTTP/1.1 304 Not Modified\r\n\r\n")).await;
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let request = to_origin(method, "/", Body::Empty);
        drop(outbound.fetch(&stage.origin, request).await.unwrap());
    }
    assert_eq!(stage.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_connection_answered_before_the_upload_was_over_is_not_kept() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let stage = stage(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            read_until(&mut stream, "abc").await;
            stream.write_all(EMPTY.as_bytes()).await.unwrap();
            tell.send(read_until(&mut stream, "never").await).unwrap();
        }
    })
    .await;
    let upload = stream::iter(chunks(&["abc"])).chain(stream::pending());
    let body = Body::Stream { stream: upload.boxed(), bytes: None };
    let outbound = Outbound::new();
    outbound.fetch(&stage.origin, to_origin(Method::POST, "/", body)).await.unwrap();
    assert!(!timeout(LONG / 8, told.recv()).await.unwrap().unwrap().contains("0\r\n\r\n"));
}

#[tokio::test]
async fn a_body_dropped_early_closes_its_connection() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let stage = stage(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
            tell.send(stream.read(&mut [0; 9]).await).unwrap();
        }
    })
    .await;
    let outbound = Outbound::new();
    let request = to_origin(Method::GET, "/", Body::Empty);
    let mut came = outbound.fetch(&stage.origin, request).await.unwrap();
    assert!(came.body.next().await.unwrap().is_ok());
    drop(came);
    let end = timeout(LONG, told.recv()).await.unwrap().unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn connections_never_exceed_the_limit() {
    let mut stage = stage(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
        std::future::pending().await
    })
    .await;
    stage.origin.connections_max = 2;
    let outbound = Outbound::new();
    let ask = || outbound.fetch(&stage.origin, to_origin(Method::GET, "/", Body::Empty));
    let first = ask().await.unwrap();
    let _second = ask().await.unwrap();
    assert_eq!(ask().await.err().unwrap(), OriginError::Overloaded);
    let third = ask();
    drop(first);
    assert!(timeout(LONG, third).await.unwrap().is_ok());
    assert_eq!(stage.connections.load(SeqCst), 3);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut stage = stage(move |_, stream| {
        let tell = tell.clone();
        async move {
            repeat(stream, THREE).await;
            tell.send(()).unwrap();
        }
    })
    .await;
    stage.origin.keepalive_timeout_seconds = 1;
    let outbound = Outbound::new();
    get(&outbound, &stage).await.unwrap();
    timeout(LONG, told.recv()).await.unwrap().unwrap();
    get(&outbound, &stage).await.unwrap();
    assert_eq!(stage.connections.load(SeqCst), 2);
}

/// The first connection answers once, and dies on the second request without a word.
async fn forgetful() -> Stage {
    stage(|number, mut stream| async move {
        if number > 0 {
            return repeat(stream, THREE).await;
        }
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(THREE.as_bytes()).await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
    })
    .await
}

#[tokio::test]
async fn a_get_that_meets_a_dead_connection_is_asked_again() {
    let (outbound, stage) = (Outbound::new(), forgetful().await);
    assert_eq!(get(&outbound, &stage).await.unwrap(), "abc");
    assert_eq!(get(&outbound, &stage).await.unwrap(), "abc");
    assert_eq!(stage.connections.load(SeqCst), 2);
}

#[tokio::test]
async fn a_post_that_meets_a_dead_connection_is_not_asked_again() {
    let (outbound, stage) = (Outbound::new(), forgetful().await);
    assert_eq!(get(&outbound, &stage).await.unwrap(), "abc");
    let post = to_origin(Method::POST, "/", Body::Empty);
    let said = outbound.fetch(&stage.origin, post).await.err().unwrap();
    assert!(matches!(said, OriginError::Unreachable(_)), "{said}");
    assert_eq!(stage.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_not_tried_again() {
    let stage = stage(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
    })
    .await;
    assert!(get(&Outbound::new(), &stage).await.is_err());
    assert_eq!(stage.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_closed_connection_is_not_used_again() {
    let outbound = Outbound::new();
    let stage = stage(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
        stream.write_all(closing.as_bytes()).await.unwrap();
    })
    .await;
    for _ in 0..3 {
        assert_eq!(get(&outbound, &stage).await.unwrap(), "abc");
    }
    assert_eq!(stage.connections.load(SeqCst), 3);
}

/// Viewer, listener, pool, origin: bytes pass through as they are.
#[tokio::test]
async fn a_large_body_passes_from_origin_to_viewer() {
    let stage = stage(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n").await.unwrap();
        stream.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
    })
    .await;
    let (outbound, origin) = (Outbound::new(), stage.origin.clone());
    let door = open(Limits::default(), move |request: Request| {
        let asked =
            outbound.fetch(&origin, to_origin(request.method, &request.target, request.body));
        async move {
            let came = asked.await.unwrap();
            ok(Body::Stream { stream: came.body, bytes: came.body_bytes })
        }
    });
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = say(door.address, request).await;
    let (head, content) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 20000000"), "{head}");
    assert_eq!(content.len(), 20_000_000);
}
