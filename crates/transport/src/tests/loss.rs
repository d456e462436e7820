//! Nodes that die, silently or with a farewell, and that come back.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::ConnectionError;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};
use wire::hello::Kind;

use super::fixture::{Mesh, Node, anywhere, certify};
use crate::{LinkError, Target, TransportError};

const LONG: Duration = Duration::from_secs(20);
/// Two seconds, and what a busy machine adds.
const NOTICED: Duration = Duration::from_secs(4);
const TWO: &str = "shoal://m/eu/two?tiers=edge";

fn two() -> Target {
    Target::Node("two".parse().unwrap())
}

async fn call(node: &Node) -> Result<bytes::Bytes, LinkError> {
    node.links.call(&two(), Kind::Submit, "x".into(), LONG).await
}

/// Binds once the port is free again.
async fn come_back(mesh: &Mesh, instance: u64, address: SocketAddr) -> Node {
    loop {
        match mesh.bind(certify(&mesh.authority, TWO), instance, address) {
            Ok(node) => return node,
            Err(TransportError::Listen { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// The node "two" on a runtime of its own.
fn mortal(mesh: &Mesh) -> (Runtime, Node) {
    let theirs = Runtime::new().unwrap();
    let inside = theirs.enter();
    let node = mesh.node("two");
    drop(inside);
    (theirs, node)
}

/// Ends all its tasks without a word.
fn die(theirs: Runtime) {
    // On a thread of its own, since it waits until no task of theirs runs any more.
    std::thread::spawn(move || theirs.shutdown_timeout(LONG)).join().unwrap();
}

#[test]
fn a_peer_that_dies_silently_is_noticed_and_then_fails_fast() {
    let mesh = Mesh::new();
    let (theirs, dying) = mortal(&mesh);
    Runtime::new().unwrap().block_on(async {
        let one = mesh.node("one");
        let mut failures = one.links.failures();
        call(&one).await.unwrap();
        die(theirs);
        let died = Instant::now();
        let lost = call(&one).await;
        let silent = matches!(lost, Err(LinkError::Lost(ConnectionError::TimedOut)));
        assert!(silent, "{lost:?}");
        assert!(died.elapsed() < NOTICED, "{:?}", died.elapsed());
        assert_eq!(failures.recv().await.unwrap().as_str(), "two");

        let unreachable = call(&one).await;
        assert!(matches!(unreachable, Err(LinkError::Unreachable(..))), "{unreachable:?}");
        assert_eq!(failures.recv().await.unwrap().as_str(), "two");
        let fast = call(&one);
        let fast = futures_util::FutureExt::now_or_never(fast);
        assert!(matches!(fast, Some(Err(LinkError::Unreachable(..)))), "{fast:?}");
    });
    std::mem::forget(dying);
}

#[test]
fn who_waits_on_the_bulk_lane_hears_of_a_silent_death_before_the_connection_ends() {
    let mesh = Mesh::new();
    let (theirs, dying) = mortal(&mesh);
    Runtime::new().unwrap().block_on(async {
        let one = mesh.node("one");
        let mut channel = one.links.open(&two(), Kind::Exchange).await.unwrap();
        channel.sender.send("x".into()).await.unwrap();
        assert_eq!(channel.receiver.next().await.unwrap().unwrap(), "x");
        die(theirs);
        let lost = channel.receiver.next().await;
        assert!(matches!(lost, Err(LinkError::Silent(_))), "{lost:?}");
        let mut again = one.links.open(&two(), Kind::Exchange).await.unwrap();
        let at_once = again.receiver.next().await;
        assert!(matches!(at_once, Err(LinkError::Silent(_))), "{at_once:?}");
    });
    std::mem::forget(dying);
}

#[tokio::test]
async fn a_farewell_is_heard_at_once_and_the_peer_is_dialled_anew_when_it_is_back() {
    let mesh = Mesh::new();
    let (one, two) = (mesh.node("one"), mesh.node("two"));
    let mut failures = one.links.failures();
    call(&one).await.unwrap();
    let address = two.links.local_addr();
    two.links.close().await;
    assert_eq!(failures.recv().await.unwrap().as_str(), "two");
    drop(two);

    let _back = come_back(&mesh, 2, address).await;
    let again = async {
        while call(&one).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, again).await.unwrap();
    let peer = one.links.identify(&self::two()).await.unwrap();
    assert_eq!(peer.instance.0, 2);
}

#[tokio::test]
async fn a_peer_that_dialled_us_is_reported_when_it_is_gone() {
    let mesh = Mesh::new();
    let (one, two) = (mesh.node("one"), mesh.node("two"));
    let mut failures = one.links.failures();
    two.links.identify(&one.seed()).await.unwrap();
    drop(two);
    assert_eq!(failures.recv().await.unwrap().as_str(), "two");
}

#[tokio::test]
async fn a_dial_that_fails_is_reported_and_shared() {
    let mesh = Mesh::new();
    let one = mesh.node("one");
    let mut failures = one.links.failures();
    let silent = std::net::UdpSocket::bind(anywhere()).unwrap();
    mesh.book.write("two", silent.local_addr().unwrap());
    let started = Instant::now();
    let outcomes = futures_util::future::join_all((0..64).map(|_| call(&one))).await;
    for outcome in outcomes {
        assert!(matches!(outcome, Err(LinkError::Unreachable(..))), "{outcome:?}");
    }
    assert!(started.elapsed() < NOTICED, "{:?}", started.elapsed());
    assert_eq!(failures.recv().await.unwrap().as_str(), "two");
    assert!(failures.try_recv().is_err(), "64 calls, one dial, one failure");
}

#[tokio::test]
async fn after_its_close_a_node_fails_its_callers() {
    let mesh = Mesh::new();
    let (one, _two) = (mesh.node("one"), mesh.node("two"));
    call(&one).await.unwrap();
    one.links.close().await;
    for _ in 0..2 {
        let closed = call(&one).await;
        assert!(matches!(closed, Err(LinkError::Lost(_) | LinkError::Address(..))), "{closed:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let mesh = Mesh::new();
    let one = mesh.node("one");
    let address = one.links.local_addr();
    let Err(refusal) = mesh.bind(certify(&mesh.authority, TWO), 1, address) else {
        panic!("{address} is taken");
    };
    assert!(matches!(refusal, TransportError::Listen { .. }));
    let text = refusal.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("ss -ulpn"), "{text}");
}
