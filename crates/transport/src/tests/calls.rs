//! Nodes that get on: calls, channels, gossip, and who may do which.

use std::time::Duration;

use bytes::Bytes;
use model::limits::{CASTS_QUEUED_MAX, FRAME_BYTES_MAX, GOSSIP_BYTES_MAX};
use model::{Tier, Tiers};
use wire::hello::Kind;

use super::fixture::{Event, Mesh, Node, certify};
use crate::{LinkError, Target};

const LONG: Duration = Duration::from_secs(20);

async fn call(from: &Node, to: &Target, kind: Kind, request: Bytes) -> Result<Bytes, LinkError> {
    from.links.call(to, kind, request, LONG).await
}

fn named(name: &str) -> Target {
    Target::Node(name.parse().unwrap())
}

#[tokio::test]
async fn a_call_is_answered_whatever_its_size() {
    let mesh = Mesh::new();
    let (one, _two) = (mesh.node("one"), mesh.node("two"));
    for length in [0, 1, 5000, 1024 * 1024, FRAME_BYTES_MAX] {
        let request = Bytes::from(vec![7; length]);
        let answer = call(&one, &named("two"), Kind::Submit, request.clone()).await.unwrap();
        assert!(answer == request, "{length}");
    }
    let beyond = Bytes::from(vec![7; FRAME_BYTES_MAX + 1]);
    let refused = call(&one, &named("two"), Kind::Submit, beyond).await;
    assert!(matches!(refused, Err(LinkError::TooLong(..))), "{refused:?}");
}

#[tokio::test]
async fn sixty_four_calls_share_one_connection() {
    let mesh = Mesh::new();
    let (one, _two) = (mesh.node("one"), mesh.node("two"));
    let two = named("two");
    let calls = (0..64u8).map(|at| call(&one, &two, Kind::Raft, Bytes::from(vec![at; 512])));
    let answers = futures_util::future::join_all(calls).await;
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), vec![at as u8; 512]);
    }
    let noted = mesh.book.noted.lock().unwrap();
    let names: Vec<&str> = noted.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(names.len(), 2, "each side notes the other once: {names:?}");
}

#[tokio::test]
async fn whoever_answers_at_a_seed_says_who_it_is() {
    let mesh = Mesh::new();
    let (one, two) = (mesh.node("one"), mesh.of_tiers("two", Tiers::only(Tier::Shield)));
    let peer = one.links.identify(&two.seed()).await.unwrap();
    assert_eq!((peer.name.as_str(), peer.region.as_str()), ("two", "eu"));
    assert_eq!(peer.tiers, Tiers::only(Tier::Shield));
    assert_eq!((peer.instance.0, peer.address), (1, two.links.local_addr()));
    let noted = mesh.book.noted.lock().unwrap();
    assert!(noted.iter().any(|peer| peer.address == one.links.local_addr()), "{noted:?}");
}

#[tokio::test]
async fn a_node_may_be_its_own_seed() {
    let mesh = Mesh::new();
    let one = mesh.node("one");
    assert_eq!(one.links.identify(&one.seed()).await.unwrap().name.as_str(), "one");
}

#[tokio::test]
async fn another_node_at_the_address_is_not_the_one_that_was_wanted() {
    let mesh = Mesh::new();
    let (one, two) = (mesh.node("one"), mesh.node("two"));
    mesh.book.write("three", two.links.local_addr());
    let refused = one.links.identify(&named("three")).await;
    assert!(matches!(refused, Err(LinkError::Elsewhere { .. })), "{refused:?}");
    assert!(one.links.identify(&named("two")).await.is_ok(), "the link itself is good");
    let refused = one.links.identify(&named("four")).await;
    assert!(matches!(refused, Err(LinkError::Unknown(_))), "{refused:?}");
}

#[tokio::test]
async fn a_channel_ends_only_when_its_end_is_said() {
    let mesh = Mesh::new();
    let (one, _two) = (mesh.node("one"), mesh.node("two"));
    for kind in [Kind::Follow, Kind::Exchange] {
        let mut channel = one.links.open(&named("two"), kind).await.unwrap();
        let frame = Bytes::from(vec![3; 1024 * 1024]);
        channel.sender.send(frame.clone()).await.unwrap();
        assert!(channel.receiver.next().await.unwrap().unwrap() == frame);
        channel.sender.finish().await.unwrap();
        assert!(channel.receiver.next().await.unwrap().is_none());

        let mut channel = one.links.open(&named("two"), kind).await.unwrap();
        channel.sender.send(Bytes::from_static(b"body")).await.unwrap();
        assert_eq!(channel.receiver.next().await.unwrap().unwrap(), "body");
        channel.sender.send(Bytes::from_static(b"break")).await.unwrap();
        let end = channel.receiver.next().await;
        assert!(matches!(end, Err(LinkError::Broken)), "{end:?}");
    }
}

#[tokio::test]
async fn a_refusal_travels_back_in_words() {
    let mesh = Mesh::new();
    let (one, _two) = (mesh.node("one"), mesh.node("two"));
    let refused = call(&one, &named("two"), Kind::Submit, "refuse".into()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the peer refused: not today");
}

#[tokio::test]
async fn an_edge_that_speaks_raft_is_refused_before_a_byte_is_read() {
    let mesh = Mesh::new();
    let (edge, mut two) = (mesh.of_tiers("edge", Tiers::only(Tier::Edge)), mesh.node("two"));
    let request = Bytes::from(vec![1; FRAME_BYTES_MAX]);
    let refused = call(&edge, &named("two"), Kind::Raft, request).await;
    let Err(LinkError::Refused(reason)) = refused else {
        panic!("a pure edge does not vote: {refused:?}");
    };
    assert_eq!(reason, "edge is certified for edge and may not vote");
    assert_eq!(two.past(), [], "the service was not even asked");
    call(&edge, &named("two"), Kind::Submit, "x".into()).await.unwrap();
    let admitted = Event::Admitted("edge".parse().unwrap(), Kind::Submit);
    assert_eq!(two.past(), [admitted, Event::Called("x".into())]);
}

#[tokio::test]
async fn a_panic_costs_its_own_call_only() {
    let mesh = Mesh::new();
    let (one, _two) = (mesh.node("one"), mesh.node("two"));
    let lost = call(&one, &named("two"), Kind::Submit, "panic".into()).await;
    assert!(matches!(lost, Err(LinkError::Broken)), "{lost:?}");
    call(&one, &named("two"), Kind::Submit, "x".into()).await.unwrap();
    assert_eq!(mesh.book.noted.lock().unwrap().len(), 2, "on the same connection");
}

#[tokio::test]
async fn a_call_that_is_given_up_is_dropped_at_the_other_end() {
    let mesh = Mesh::new();
    let (one, mut two) = (mesh.node("one"), mesh.node("two"));
    let two_named = named("two");
    let hanging = one.links.call(&two_named, Kind::Submit, "hang".into(), LONG);
    tokio::select! {
        answer = hanging => panic!("a hanging call has no answer: {answer:?}"),
        () = async { while two.events.recv().await != Some(Event::Called("hang".into())) {} } => {}
    }
    assert_eq!(two.events.recv().await, Some(Event::Abandoned));
    let short = Duration::from_millis(10);
    let late = one.links.call(&two_named, Kind::Submit, "hang".into(), short).await;
    assert!(matches!(late, Err(LinkError::Deadline)), "{late:?}");
}

#[tokio::test]
async fn gossip_arrives_with_its_sender_up_to_the_limit() {
    let mesh = Mesh::new();
    let (one, mut two) = (mesh.node("one"), mesh.node("two"));
    one.links.cast(two.links.local_addr(), Bytes::from(vec![1; GOSSIP_BYTES_MAX + 1]));
    one.links.cast(two.links.local_addr(), Bytes::from(vec![2; GOSSIP_BYTES_MAX]));
    let name: model::NodeName = "one".parse().unwrap();
    let admitted = Some(Event::Admitted(name.clone(), Kind::Gossip));
    assert_eq!(two.events.recv().await, admitted);
    let message = Bytes::from(vec![2; GOSSIP_BYTES_MAX]);
    assert!(two.events.recv().await == Some(Event::Cast(name, message)));
}

#[tokio::test]
async fn gossip_never_waits_and_is_dropped_when_too_much_does() {
    let mesh = Mesh::new();
    let one = mesh.node("one");
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for at in 0..10 * CASTS_QUEUED_MAX {
        one.links.cast(address, Bytes::from(at.to_string()));
    }
    drop(silent);
    let credentials = certify(&mesh.authority, "shoal://m/eu/two?tiers=edge");
    let mut two = mesh.bind(credentials, 1, address).unwrap();
    let mut heard = Vec::new();
    let mut last_sent = false;
    loop {
        match two.events.recv().await.unwrap() {
            Event::Cast(_, message) if message == "last" => break,
            Event::Cast(_, message) => heard.push(message),
            _ => {}
        }
        if heard.len() >= CASTS_QUEUED_MAX && !last_sent {
            last_sent = true;
            one.links.cast(address, "last".into());
        }
    }
    let first: Vec<Bytes> = (0..heard.len()).map(|at| at.to_string().into()).collect();
    heard.sort_by_key(|message| std::str::from_utf8(message).unwrap().parse::<usize>().unwrap());
    assert_eq!(heard, first, "what was queued first is what arrived");
    assert!(heard.len() <= CASTS_QUEUED_MAX + 1);
}
