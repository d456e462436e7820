use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

async fn connect<B>(door: &Door) -> http2::SendRequest<B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn prior_knowledge_is_enough_for_http2() {
    let door = open(Limits::default(), |request: Request| async move {
        let (content, ..) = read_all(request.body).await;
        text(format!("{} {} {} {content}", request.method, request.host, request.target))
    });
    let mut viewer = connect(&door).await;
    let request =
        http::Request::post("http://shop:80/a?b").body(Full::<Bytes>::from("abc")).unwrap();
    let answer = viewer.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "21");
    assert!(answer.headers().contains_key("date"));
    let content = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(content, "POST shop:80 /a?b abc");
}

#[tokio::test]
async fn refusals_hold_for_http2_too() {
    let door = open(Limits::default(), |_| async { text("served") });
    let get = |url: &str| http::Request::get(url);
    let long = "x".repeat(8 * 1024);
    let mut many = get("http://a/");
    for at in 0..129 {
        many = many.header(format!("x-{at}"), "1");
    }
    for (request, expect) in [
        (get("http://a/").header("host", "A"), 200),
        (get("http://a/").header("host", "b"), 400),
        (get("http://a/").header("host", "a").header("host", "a"), 400),
        (get(&format!("http://a/{long}")), 414),
        (get("http://a/").header("x", "x".repeat(33 * 1024)), 431),
        (many, 431),
    ] {
        let mut viewer = connect(&door).await;
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = viewer.send_request(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expect);
    }
}

#[tokio::test]
async fn a_broken_body_resets_its_stream_and_no_other() {
    let door = open(Limits::default(), |request: Request| async move {
        match request.target.as_str() {
            "/broken" => ok(Body::Stream { stream: broken_stream(&["abc"]), bytes: None }),
            _ => text("whole"),
        }
    });
    let mut viewer = connect(&door).await;
    let get = |url| http::Request::get(url).body(Empty::<Bytes>::new()).unwrap();
    let broken = viewer.send_request(get("http://a/broken")).await.unwrap();
    assert!(broken.into_body().collect().await.is_err());
    let whole = viewer.send_request(get("http://a/")).await.unwrap();
    assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "whole");
}

#[tokio::test]
async fn head_keeps_the_length_and_trailers_go_out() {
    let door = open(Limits::default(), |request: Request| async move {
        if request.method == Method::HEAD {
            return text("abc");
        }
        let mut parts = chunks(&["a"]);
        let fields = [("x-end".parse().unwrap(), http::HeaderValue::from_static("9"))];
        parts.push(Ok(Chunk::Trailers(fields.into_iter().collect())));
        ok(Body::Stream { stream: stream::iter(parts).boxed(), bytes: None })
    });
    let mut viewer = connect(&door).await;
    let ask = |method| {
        let request = http::Request::builder().method(method).uri("http://a/");
        request.body(Empty::<Bytes>::new()).unwrap()
    };
    let head = viewer.send_request(ask(Method::HEAD)).await.unwrap();
    assert_eq!(head.headers()["content-length"], "3");
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    let whole = viewer.send_request(ask(Method::GET)).await.unwrap();
    let whole = whole.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-end"], "9");
}

#[tokio::test]
async fn interim_responses_overtake_the_answer_over_http2() {
    let door = open(Limits::default(), |request: Request| async move {
        let tell = request.interim.unwrap();
        let field = |name, value| {
            let value = http::HeaderValue::from_static(value);
            (http::HeaderName::from_static(name), value)
        };
        let link = field("link", "</a.css>; rel=preload");
        tell(StatusCode::EARLY_HINTS, [link, field("connection", "x")].into_iter().collect());
        // The second is told while the connection waits, and 101 is nobody's to pass on.
        tokio::task::yield_now().await;
        tell(StatusCode::SWITCHING_PROTOCOLS, HeaderMap::new());
        tell(StatusCode::PROCESSING, HeaderMap::new());
        text("whole")
    });
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (viewer, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://a/").body(()).unwrap();
    let (mut answer, _) = viewer.ready().await.unwrap().send_request(request, true).unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let interim = std::future::poll_fn(|cx| answer.poll_informational(cx));
        let interim = timeout(LONG, interim).await.unwrap().unwrap().unwrap();
        let link = interim.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        told.push((interim.status().as_u16(), link, interim.headers().len()));
    }
    assert_eq!(told, [(103, Some("</a.css>; rel=preload".into()), 1), (102, None, 0)]);
    let mut answer = timeout(LONG, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body_mut().data().await.unwrap().unwrap(), "whole");
}

/// hyper would take a stream that was reset with `NO_ERROR` for one that ended.
#[tokio::test]
async fn an_upload_that_is_reset_is_broken_and_not_over() {
    let (heard, mut hear) = tokio::sync::mpsc::channel(1);
    let door = open(Limits::default(), move |request: Request| {
        let heard = heard.clone();
        async move {
            heard.send(read_all(request.body).await.2).await.unwrap();
            text("read")
        }
    });
    let stream = TcpStream::connect(door.address).await.unwrap();
    let mut raw = stream;
    // The preface, empty settings, one POST without END_STREAM, three bytes, RST_STREAM NO_ERROR.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // Static table: :method POST, :scheme http, :path /; then :authority a, literal.
    bytes.extend_from_slice(&[0, 0, 6, 1, 4, 0, 0, 0, 1, 0x83, 0x86, 0x84, 0x01, 1, b'a']);
    bytes.extend_from_slice(&[0, 0, 3, 0, 0, 0, 0, 0, 1, b'a', b'b', b'c']);
    raw.write_all(&bytes).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    raw.write_all(&[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
    // Either the read sees the reset, or the whole exchange is dropped; a clean end is neither.
    let outcome = timeout(Duration::from_secs(2), hear.recv()).await;
    assert!(!matches!(outcome, Ok(Some(None))), "{outcome:?}");
}

#[tokio::test]
async fn streams_of_one_connection_run_side_by_side() {
    let gate = Arc::new(tokio::sync::Barrier::new(8));
    let door = open(Limits::default(), move |request: Request| {
        let gate = Arc::clone(&gate);
        async move {
            gate.wait().await;
            text(request.target)
        }
    });
    let viewer = connect(&door).await;
    let asked = (0..8).map(|at| {
        let mut viewer = viewer.clone();
        let request = http::Request::get(format!("http://a/{at}"));
        async move { viewer.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await }
    });
    let answers = timeout(LONG, futures_util::future::join_all(asked)).await.unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == 200));
}

#[tokio::test]
async fn a_slow_viewer_slows_its_stream_down() {
    let taken = Arc::new(AtomicUsize::new(0));
    let produced = Arc::clone(&taken);
    let door = open(Limits::default(), move |_| {
        let stream = endless(&produced);
        async move { ok(Body::Stream { stream, bytes: None }) }
    });
    let mut viewer = connect(&door).await;
    let request = http::Request::get("http://a/").body(Empty::<Bytes>::new()).unwrap();
    let _unread = viewer.send_request(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(taken.load(SeqCst) < 8 << 20, "{}", taken.load(SeqCst));
}

#[tokio::test]
async fn uploads_stream_over_http2() {
    let door = open(Limits::default(), |request: Request| async move {
        let (content, trailers, error) = read_all(request.body).await;
        text(format!("{} {:?} {error:?}", content.len(), trailers.map(|fields| fields.len())))
    });
    let mut viewer = connect(&door).await;
    let part = Bytes::from(vec![b'x'; 100_000]);
    let frames = (0..30).map(move |_| Ok::<_, BodyError>(http_body::Frame::data(part.clone())));
    let body = StreamBody::new(stream::iter(frames));
    let request = http::Request::post("http://a/").body(body).unwrap();
    let answer = viewer.send_request(request).await.unwrap();
    let content = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(content, "3000000 None None");
}
