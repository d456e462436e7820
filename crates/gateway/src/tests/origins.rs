//! What an origin may do to us.

use serve::{OriginError, Origins};

use super::*;
use crate::Outbound;

async fn get(
    outbound: &Outbound,
    stage: &Stage,
    target: &str,
) -> Result<serve::OriginAnswer, OriginError> {
    let request = to_origin(Method::GET, target, Body::Empty);
    timeout(LONG, outbound.fetch(&stage.origin, request)).await.unwrap()
}

async fn content(answer: serve::OriginAnswer) -> (String, Option<HeaderMap>, Option<BodyError>) {
    read_all(Body::Stream { stream: answer.body, bytes: answer.body_bytes }).await
}

fn sentence(outcome: Result<serve::OriginAnswer, OriginError>) -> String {
    outcome.err().unwrap().to_string()
}

#[tokio::test]
async fn answers_arrive_as_the_origin_framed_them() {
    for (answer, bytes, expect) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Some(3), "abc"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Some(0), ""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\na\r\n2\r\nbc\r\n0\r\nX-End: 9\r\n\r\n",
            None,
            "abc",
        ),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", None, "abc"),
        ("HTTP/1.0 200 OK\r\n\r\nabc", None, "abc"),
        ("HTTP/1.1 204 No Content\r\n\r\n", Some(0), ""),
    ] {
        let stage = stage(move |_, mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let came = get(&Outbound::new(), &stage, "/").await.unwrap();
        assert_eq!(came.body_bytes, bytes, "{answer}");
        let chunked = came.headers.contains_key("transfer-encoding");
        assert!(!(chunked && came.headers.contains_key("content-length")), "{answer}");
        let (body, trailers, error) = content(came).await;
        assert_eq!((body.as_str(), error), (expect, None), "{answer}");
        assert_eq!(trailers.is_some(), answer.contains("X-End"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_broken() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0;a\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n10000000000000000\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX : y\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let stage = stage(move |_, mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let came = get(&Outbound::new(), &stage, "/").await.unwrap();
        let (body, _, error) = content(came).await;
        let error = error.unwrap().to_string();
        assert_eq!(body, "abc", "{answer}");
        assert!(error.contains("127.0.0.1:"), "{error}");
    }
}

/// What the end of the connection delimits is whole after a clean end only.
#[tokio::test]
async fn a_body_until_the_end_of_the_connection_is_broken_by_a_reset() {
    for version in ["1.0", "1.1"] {
        let stage = stage(move |_, mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            let head = format!("HTTP/{version} 200 OK\r\n\r\nabc");
            stream.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            stream.set_zero_linger().unwrap();
        })
        .await;
        let came = get(&Outbound::new(), &stage, "/").await.unwrap();
        assert_eq!(came.body_bytes, None);
        let (body, _, error) = content(came).await;
        assert_eq!((body.as_str(), error.is_some()), ("abc", true), "{version}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_named() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(129));
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(40 * 1024));
    for (answer, expect) in [
        ("HELLO\r\n\r\n".to_owned(), "not HTTP"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), "coding"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "HTTP/1.0"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na".to_owned(), "once"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\n"
                .to_owned(),
            "both",
        ),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n".to_owned(), "CRLF"),
        ("HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n".to_owned(), "CRLF"),
        ("HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n".to_owned(), "valid name"),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n".to_owned(), "folded"),
        ("HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 0\r\n\r\n".to_owned(), "control"),
        ("HTTP/1.1 103 Early Hints\r\nX: a\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_owned(), "CRLF"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned(), "switched"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
            "not HTTP",
        ),
        ("HTTP/1.1 200 OK\r\nContent".to_owned(), "closed the connection before answering"),
        (String::new(), "closed the connection before answering"),
        (many, "too many or too large"),
        (large, "too many or too large"),
    ] {
        let shown = answer.chars().take(60).collect::<String>();
        let stage = stage(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                read_until(&mut stream, "\r\n\r\n").await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await;
        let said = sentence(get(&Outbound::new(), &stage, "/").await);
        assert!(said.contains("127.0.0.1:") && said.contains(expect), "{shown}: {said}");
    }
}

#[tokio::test]
async fn an_origin_that_is_silent_runs_out_of_time() {
    let silent = stage(|_, stream| async move {
        let _held = stream;
        std::future::pending().await
    })
    .await;
    let said = get(&Outbound::new(), &silent, "/").await.err().unwrap();
    assert!(matches!(&said, OriginError::TimedOut(why) if why.contains("127.0.0.1:")), "{said}");

    let stalled = stage(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
        std::future::pending().await
    })
    .await;
    let came = get(&Outbound::new(), &stalled, "/").await.unwrap();
    let (body, _, error) = content(came).await;
    assert_eq!(body, "abc");
    let error = error.unwrap().to_string();
    assert!(error.contains("sent nothing for 1 s"), "{error}");
}

#[tokio::test]
async fn an_origin_that_refuses_is_unreachable() {
    let mut stage = stage(|_, _| async {}).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    stage.origin.http_port = free;
    let said = sentence(get(&Outbound::new(), &stage, "/").await);
    assert!(said.contains(&format!("127.0.0.1:{free}")) && said.contains("refused"), "{said}");
    stage.origin.domain_name = "no-such-name.invalid".into();
    let said = get(&Outbound::new(), &stage, "/").await.err().unwrap();
    assert!(said.to_string().contains("no-such-name.invalid"), "{said}");
}

/// `localhost` may be `::1` first, where nobody listens.
#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let mut stage = stage(|_, stream| async move {
        repeat(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    stage.origin.domain_name = "localhost".into();
    assert_eq!(get(&Outbound::new(), &stage, "/").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn interim_responses_are_told_and_passed_over() {
    let stage = stage(|_, stream| async move {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        repeat(stream, Box::leak(format!("{hints}{answer}").into_boxed_str())).await;
    })
    .await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut request = to_origin(Method::GET, "/", Body::Empty);
    request.interim = Some(Arc::new(move |status, headers: HeaderMap| {
        tell.send((status, headers["link"].clone())).unwrap();
    }));
    let came = Outbound::new().fetch(&stage.origin, request).await.unwrap();
    assert_eq!(came.status, StatusCode::OK);
    assert_eq!(told.recv().await.unwrap(), (StatusCode::EARLY_HINTS, "</a.css>".parse().unwrap()));
}

#[tokio::test]
async fn a_slow_consumer_slows_the_origin_down() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let stage = stage(move |_, mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[7; 65536]).await.is_ok() {
                counted.fetch_add(65536, SeqCst);
            }
        }
    })
    .await;
    let mut came = get(&Outbound::new(), &stage, "/").await.unwrap();
    let first = came.body.next().await.unwrap().unwrap();
    assert!(matches!(first, Chunk::Data(data) if data.len() <= 64 * 1024));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(sent.load(SeqCst) < 16 << 20, "{}", sent.load(SeqCst));
}
