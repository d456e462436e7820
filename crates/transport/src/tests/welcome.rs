//! Who is not let in, and that both sides hear why.

use std::sync::Arc;

use model::limits::HELLO_BYTES_MAX;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, Endpoint};
use rustls::RootCertStore;
use rustls::version::TLS13;
use wire::hello::{Answer, Lane, PREFIX_BYTES, Prefix, Reason};
use wire::protocol::{Form, Protocols};

use super::fixture::{
    Mesh, Pair, anywhere, authority, certify, endpoint, pair, pair_of, pair_speaking, speaking, us,
};
use crate::greet::{introduce, receive};
use crate::identity::COMMON_NAME;
use crate::{Credentials, LinkError, Target, tls};

const ONE: &str = "shoal://m/eu/one?tiers=edge";
const TWO: &str = "shoal://m/eu/two?tiers=edge";

/// Says hello from a bare endpoint; what came of it.
async fn knock(endpoint: &Endpoint, at: &Target) -> Result<(), ConnectionError> {
    let Target::Seed(address) = *at else {
        panic!("bare endpoints know no names");
    };
    let connection = endpoint.connect(address, COMMON_NAME).unwrap().await?;
    match introduce(&us(TWO, 1), &connection, Lane::Control).await {
        Ok(_) => Ok(()),
        Err(LinkError::Lost(end)) => Err(end),
        Err(other) => panic!("{other}"),
    }
}

fn without_certificate(trusted: &Credentials) -> Endpoint {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.authorities[0].clone()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"shoal".to_vec()];
    let mut endpoint = Endpoint::client(anywhere()).unwrap();
    let config = QuicClientConfig::try_from(config).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(config)));
    endpoint
}

#[tokio::test]
async fn nobody_enters_without_a_certificate_of_our_authority() {
    let mesh = Mesh::new();
    let mut one = mesh.node("one");
    let ours = certify(&mesh.authority, TWO);
    knock(&endpoint(&ours), &one.seed()).await.unwrap();

    let refused = knock(&without_certificate(&ours), &one.seed()).await;
    assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");

    // Trusts us, but is not of us.
    let mut foreign = certify(&authority(), TWO);
    foreign.authorities = ours.authorities;
    let refused = knock(&endpoint(&foreign), &one.seed()).await;
    assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");
    assert_eq!(one.past(), []);
}

#[tokio::test]
async fn a_node_does_not_talk_to_a_stranger_at_a_peers_address() {
    let mesh = Mesh::new();
    let one = mesh.node("one");
    let stranger = endpoint(&certify(&authority(), TWO));
    let accepting = stranger.clone();
    let accepted = async move { accepting.accept().await.unwrap().await.map(|_| ()) };
    let at = Target::Seed(stranger.local_addr().unwrap());
    let (refused, accepted) = tokio::join!(one.links.identify(&at), accepted);
    assert!(matches!(refused, Err(LinkError::Unreachable(..))), "{refused:?}");
    assert!(accepted.is_err());
}

#[tokio::test]
async fn both_sides_hear_why_they_do_not_belong_together() {
    let authority = authority();
    let elsewhere = "shoal://n/eu/one?tiers=edge";
    let twin = "shoal://m/eu/two?tiers=edge";
    for (certified, claims, expected, text) in [
        (elsewhere, elsewhere, Reason::Mesh, "two belongs to mesh m, one to mesh n"),
        (ONE, elsewhere, Reason::Mesh, "two belongs to mesh m, one asks for n"),
        (
            ONE,
            "shoal://m/eu/three?tiers=edge",
            Reason::Name,
            "one calls itself three, its certificate one",
        ),
        (
            twin,
            twin,
            Reason::Twin,
            "two nodes call themselves two, 0000000000000002 and 0000000000000001: stop one",
        ),
    ] {
        let Pair { dialler, acceptor, .. } = &pair_of(&authority, [certified, TWO]).await;
        let (us_dialling, us_accepting) = (us(claims, 1), us(TWO, 2));
        let (dialled, accepted) = tokio::join!(
            introduce(&us_dialling, dialler, Lane::Bulk),
            receive(&us_accepting, acceptor),
        );
        for outcome in [dialled, accepted] {
            let Err(LinkError::Unwelcome { reason, text: heard, .. }) = outcome else {
                panic!("{claims} is not welcome: {outcome:?}");
            };
            assert_eq!((reason, heard.as_str()), (expected, text));
        }
    }
}

#[tokio::test]
async fn another_mesh_of_the_same_authority_is_turned_away_by_a_whole_node() {
    let mesh = Mesh::new();
    let one = mesh.node("one");
    let other = certify(&mesh.authority, "shoal://n/eu/two?tiers=edge");
    let mut two = mesh.bind(other, 1, anywhere()).unwrap();
    let refused = one.links.identify(&two.seed()).await;
    let Err(LinkError::Unwelcome { reason: Reason::Mesh, text, .. }) = refused else {
        panic!("meshes do not mix: {refused:?}");
    };
    assert_eq!(text, "two belongs to mesh n, one to mesh m");
    assert_eq!(two.past(), []);
}

#[tokio::test]
async fn the_welcomed_know_each_other() {
    let Pair { dialler, acceptor, .. } = &pair().await;
    let (one, two) = (us(ONE, 1), us(TWO, 2));
    let (dialled, accepted) =
        tokio::join!(introduce(&one, dialler, Lane::Bulk), receive(&two, acceptor));
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!((dialled.peer.name.as_str(), dialled.peer.instance.0), ("two", 2));
    assert_eq!((accepted.peer.name.as_str(), accepted.peer.instance.0), ("one", 1));
    assert_eq!(accepted.lane, Lane::Bulk);
}

#[tokio::test]
async fn another_protocol_is_refused_in_words_that_name_both() {
    let Pair { dialler, acceptor, .. } = &pair().await;
    let newer = async {
        let (mut send, mut receive) = dialler.open_bi().await.unwrap();
        send.write_all(b"SHOAL\x63\x00\x03\x00\x62\x00!").await.unwrap();
        let mut prefix = [0; PREFIX_BYTES];
        receive.read_exact(&mut prefix).await.unwrap();
        let prefix = Prefix::decode(&prefix).unwrap();
        let mut content = vec![0; prefix.body_bytes];
        receive.read_exact(&mut content).await.unwrap();
        dialler.close(0u32.into(), b"");
        let (protocols, body) = Form::Range.read(prefix, &content).unwrap();
        assert_eq!(protocols, Protocols::ALL);
        Answer::decode(Form::Range, body).unwrap()
    };
    let us_accepting = us(TWO, 2);
    let (answer, accepted) = tokio::join!(newer, receive(&us_accepting, acceptor));
    let text = format!("two speaks {}, its peer protocols 98 to 99", Protocols::ALL);
    assert_eq!(answer, Answer::Refused { reason: Reason::Protocol, text: text.clone() });
    let Err(LinkError::Unwelcome { reason: Reason::Protocol, text: heard, .. }) = accepted else {
        panic!("protocols do not mix: {accepted:?}");
    };
    assert_eq!(heard, text);

    let Pair { dialler, acceptor, .. } = &pair().await;
    let newer = async {
        let (mut send, mut receive) = acceptor.accept_bi().await.unwrap();
        send.write_all(b"SHOAL\x63\x00\x03\x00\x62\x00!").await.unwrap();
        let _ = receive.read_to_end(HELLO_BYTES_MAX * 2).await;
    };
    let us_dialling = us(ONE, 1);
    let (dialled, ()) = tokio::join!(introduce(&us_dialling, dialler, Lane::Control), newer);
    let Err(LinkError::Unwelcome { reason: Reason::Protocol, text, .. }) = dialled else {
        panic!("protocols do not mix: {dialled:?}");
    };
    assert_eq!(text, format!("one speaks {}, its peer protocols 98 to 99", Protocols::ALL));
}

#[tokio::test]
async fn two_nodes_speak_the_highest_protocol_that_both_know() {
    let range = |oldest, newest| Protocols::between(oldest, newest).unwrap();
    for (one, two, spoken) in [
        (range(2, 3), range(2, 3), Some(3)),
        (range(2, 2), range(2, 3), Some(2)),
        (range(2, 3), range(2, 2), Some(2)),
        (range(2, 2), range(2, 2), Some(2)),
        (range(2, 3), range(3, 9), Some(3)),
        (range(4, 9), range(2, 3), None),
        (range(2, 3), range(4, 9), None),
        (range(2, 2), range(3, 4), None),
    ] {
        let Pair { dialler, acceptor, .. } = &pair_speaking([one, two]).await;
        let (us_dialling, us_accepting) = (speaking(ONE, 1, one), speaking(TWO, 2, two));
        let (dialled, accepted) = tokio::join!(
            introduce(&us_dialling, dialler, Lane::Control),
            receive(&us_accepting, acceptor),
        );
        for outcome in [dialled, accepted] {
            match (outcome, spoken) {
                (Ok(met), Some(spoken)) => assert_eq!(met.peer.protocol, spoken, "{one}, {two}"),
                (Err(LinkError::Unwelcome { reason: Reason::Protocol, text, .. }), None) => {
                    assert!(text.contains("speaks") && text.contains("its peer"), "{text}");
                }
                (other, _) => panic!("{one} and {two}: {other:?}"),
            }
        }
    }
}

/// It takes the hello for one of its own, and hears why not when the connection ends.
#[tokio::test]
async fn a_program_that_knows_only_protocol_2_hears_that_its_time_is_over() {
    let (new, old) = (Protocols::between(3, 4).unwrap(), Protocols::up_to(2).unwrap());
    let Pair { dialler, acceptor, .. } = &pair_speaking([new, old]).await;
    let (us_dialling, us_accepting) = (speaking(ONE, 1, new), speaking(TWO, 2, old));
    let (dialled, _) = tokio::join!(
        introduce(&us_dialling, dialler, Lane::Control),
        receive(&us_accepting, acceptor),
    );
    let Err(LinkError::Unwelcome { reason: Reason::Protocol, text, .. }) = dialled else {
        panic!("protocols do not mix: {dialled:?}");
    };
    assert_eq!(text, "one speaks protocols 3 to 4, its peer protocol 2");
    let ConnectionError::ApplicationClosed(end) = acceptor.closed().await else {
        panic!("it ended in another way");
    };
    assert_eq!(end.reason, text);
}

/// A program of protocol 2 as it was, byte for byte, at either end.
#[tokio::test]
async fn a_program_that_knows_only_protocol_2_is_spoken_to_as_ever() {
    let old = Protocols::up_to(2).unwrap();
    let body = |name: &str, instance: u8| {
        let length = name.len() as u8;
        let name = [&[length, 0, 0, 0, 0, 0, 0, 0], name.as_bytes()].concat();
        let mesh = [1, 0, 0, 0, 0, 0, 0, 0, b'm'];
        [&[0; 4], &mesh[..], &name, &[instance, 0, 0, 0, 0, 0, 0, 0], &[0; 8]].concat()
    };
    let said = |content: &[u8]| {
        let length = content.len() as u8 + 1;
        [b"SHOAL\x02\x00", &[length, 0, 1][..], content].concat()
    };
    let Pair { dialler, acceptor, .. } = &pair_speaking([old, Protocols::ALL]).await;
    let dials = async {
        let (mut send, mut receive) = dialler.open_bi().await.unwrap();
        send.write_all(&said(&body("one", 1))).await.unwrap();
        let welcome = receive.read_to_end(HELLO_BYTES_MAX * 2).await.unwrap();
        let expected = said(&[&[0; 4], &body("two", 2)[..]].concat());
        // All but the clock.
        assert_eq!(welcome[..welcome.len() - 8], expected[..expected.len() - 8]);
    };
    let us_accepting = us(TWO, 2);
    let ((), accepted) = tokio::join!(dials, receive(&us_accepting, acceptor));
    assert_eq!(accepted.unwrap().peer.protocol, 2);

    let Pair { dialler, acceptor, .. } = &pair_speaking([Protocols::ALL, old]).await;
    let accepts = async {
        let (mut send, mut receive) = acceptor.accept_bi().await.unwrap();
        let expected = said(&body("one", 1));
        let mut hello = vec![0; expected.len()];
        receive.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello[..hello.len() - 8], expected[..expected.len() - 8]);
        let welcome = said(&[&[0; 4], &body("two", 2)[..]].concat());
        send.write_all(&welcome).await.unwrap();
        send.finish().unwrap();
    };
    let us_dialling = us(ONE, 1);
    let (dialled, ()) = tokio::join!(introduce(&us_dialling, dialler, Lane::Control), accepts);
    assert_eq!(dialled.unwrap().peer.protocol, 2);
}

#[tokio::test]
async fn what_is_not_a_hello_ends_the_connection() {
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"SHOAL\x02\x00\x01\x04",
        b"SHOAL\x02\x00\x03\x00new",
    ] {
        let Pair { dialler, acceptor, .. } = &pair().await;
        let (mut send, _receive) = dialler.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        let refused = receive(&us(TWO, 2), acceptor).await;
        assert!(matches!(refused, Err(LinkError::Malformed)), "{refused:?}");
        let end = dialler.closed().await;
        assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end:?}");
    }
}
