//! The door on real loopback sockets: where it opens, how long it answers, how it closes.
//!
//! The rules of who may come in are tested on the router, beside the API.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::testing::FakeDesk;

type Opened = (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>);

async fn opened(desk: Arc<FakeDesk>) -> Opened {
    let door = Door::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let address = door.address();
    let stopped = async { stopped.await.unwrap() };
    (address, stop, tokio::spawn(door.serve(desk, stopped)))
}

async fn ask(stream: &mut TcpStream) -> String {
    let question = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(question).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed too early");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn without_a_token_the_door_opens_on_loopback_only() {
    for reachable in ["0.0.0.0:0", "[::]:0", "10.1.2.3:9000"] {
        let refused = Door::bind(reachable.parse().unwrap(), None).await.unwrap_err().to_string();
        assert!(refused.contains(reachable), "{refused}");
        assert!(refused.contains("loopback only unless admin.token_file is given"), "{refused}");
    }
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let (address, _stop, _door) = opened(FakeDesk::new()).await;
    let refused = Door::bind(address, None).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("admin cannot listen on {address}"));
}

#[tokio::test]
async fn the_door_answers_until_it_is_told_to_close() {
    let (address, stop, door) = opened(FakeDesk::new()).await;
    let mut kept = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200 OK"));
    stop.send(()).unwrap();
    door.await.unwrap();
    assert_eq!(kept.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_does_not_keep_the_door_open() {
    let desk = FakeDesk::new();
    *desk.hangs.lock().unwrap() = true;
    let (address, stop, door) = opened(Arc::clone(&desk)).await;
    let mut caller = TcpStream::connect(address).await.unwrap();
    let question = b"DELETE /v1/nodes/beta HTTP/1.1\r\nHost: localhost\r\n\r\n";
    caller.write_all(question).await.unwrap();
    while desk.is_untouched() {
        tokio::task::yield_now().await;
    }
    let told = tokio::time::Instant::now();
    stop.send(()).unwrap();
    door.await.unwrap();
    let took = told.elapsed();
    assert!(took >= ADMIN_DRAIN && took < ADMIN_DRAIN * 2, "{took:?}");
}
