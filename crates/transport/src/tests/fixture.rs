//! A mesh for tests: an authority, a directory, nodes that echo, and bare connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Instance, NodeName, Tiers};
use quinn::{Connection, Endpoint};
use tokio::sync::mpsc;
use wire::hello::Kind;
use wire::protocol::Protocols;

use crate::greet::Ourselves;
use crate::identity::COMMON_NAME;
use crate::{
    Authority, Channel, Credentials, Directory, Identity, Links, Local, PeerIdentity, Refused,
    Service, Target, TransportError, Validity, WallClock, tls,
};

#[expect(clippy::disallowed_methods, reason = "certificates are checked against the real clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn wall() -> WallClock {
    Arc::new(now)
}

pub(crate) fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn identity(text: &str) -> Identity {
    text.parse().unwrap()
}

pub(crate) fn us(text: &str, instance: u64) -> Ourselves {
    speaking(text, instance, Protocols::ALL)
}

pub(crate) fn speaking(text: &str, instance: u64, protocols: Protocols) -> Ourselves {
    let (identity, instance) = (identity(text), Instance(instance));
    Ourselves { identity, instance, protocols, wall: wall() }
}

pub(crate) fn authority() -> Authority {
    Authority::create(&"m".parse().unwrap(), Validity::of_authority(now())).unwrap()
}

pub(crate) fn certify(authority: &Authority, text: &str) -> Credentials {
    authority.certify(identity(text), Validity::of_node(now())).unwrap()
}

/// Two ends of one connection, before any hello.
pub(crate) struct Pair {
    pub(crate) dialler: Connection,
    pub(crate) acceptor: Connection,
    _endpoints: [Endpoint; 2],
}

pub(crate) async fn pair() -> Pair {
    let identities = ["shoal://m/eu/one?tiers=edge", "shoal://m/eu/two?tiers=edge"];
    pair_of(&authority(), identities).await
}

pub(crate) async fn pair_of(authority: &Authority, identities: [&str; 2]) -> Pair {
    let [one, two] = identities.map(|text| endpoint(&certify(authority, text)));
    connected([one, two]).await
}

/// The same, of nodes that speak no more than these.
pub(crate) async fn pair_speaking(protocols: [Protocols; 2]) -> Pair {
    let (authority, [one, two]) = (authority(), protocols);
    let endpoint = |name, protocols| {
        let text = format!("shoal://m/eu/{name}?tiers=edge");
        endpoint_speaking(&certify(&authority, &text), protocols)
    };
    connected([endpoint("one", one), endpoint("two", two)]).await
}

async fn connected([dialler, acceptor]: [Endpoint; 2]) -> Pair {
    let dial = async {
        let address = acceptor.local_addr().unwrap();
        dialler.connect(address, COMMON_NAME).unwrap().await.unwrap()
    };
    let accept = async { acceptor.accept().await.unwrap().await.unwrap() };
    let (near, far) = tokio::join!(dial, accept);
    Pair { dialler: near, acceptor: far, _endpoints: [dialler, acceptor] }
}

/// A bare endpoint that proves itself with `credentials`.
pub(crate) fn endpoint(credentials: &Credentials) -> Endpoint {
    endpoint_speaking(credentials, Protocols::ALL)
}

fn endpoint_speaking(credentials: &Credentials, protocols: Protocols) -> Endpoint {
    let config = tls::accepting(credentials, protocols).unwrap();
    let mut endpoint = Endpoint::server(config, anywhere()).unwrap();
    endpoint.set_default_client_config(tls::dialling(credentials, protocols).unwrap());
    endpoint
}

/// One authority and everybody's addresses.
pub(crate) struct Mesh {
    pub(crate) authority: Authority,
    pub(crate) book: Arc<Book>,
}

#[derive(Default)]
pub(crate) struct Book {
    addresses: Mutex<BTreeMap<NodeName, SocketAddr>>,
    pub(crate) noted: Mutex<Vec<PeerIdentity>>,
}

impl Book {
    pub(crate) fn write(&self, name: &str, address: SocketAddr) {
        self.addresses.lock().unwrap().insert(name.parse().unwrap(), address);
    }
}

impl Directory for Book {
    fn address_of(&self, name: &NodeName) -> Option<SocketAddr> {
        self.addresses.lock().unwrap().get(name).copied()
    }

    fn note(&self, peer: &PeerIdentity, from: SocketAddr) {
        assert_eq!(peer.address, from);
        self.noted.lock().unwrap().push(peer.clone());
    }
}

/// What a node's service went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Admitted(NodeName, Kind),
    Called(Bytes),
    Abandoned,
    Cast(NodeName, Bytes),
}

pub(crate) struct Node {
    pub(crate) links: Links,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
}

impl Node {
    pub(crate) fn seed(&self) -> Target {
        Target::Seed(self.links.local_addr())
    }

    /// Everything so far.
    pub(crate) fn past(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

impl Mesh {
    pub(crate) fn new() -> Mesh {
        Mesh { authority: authority(), book: Arc::default() }
    }

    /// A node of all tiers, in the book.
    pub(crate) fn node(&self, name: &str) -> Node {
        let node = self.of_tiers(name, Tiers::ALL);
        self.book.write(name, node.links.local_addr());
        node
    }

    pub(crate) fn of_tiers(&self, name: &str, tiers: Tiers) -> Node {
        let credentials = certify(&self.authority, &format!("shoal://m/eu/{name}?tiers={tiers}"));
        self.bind(credentials, 1, anywhere()).unwrap()
    }

    pub(crate) fn bind(
        &self,
        credentials: Credentials,
        instance: u64,
        listen: SocketAddr,
    ) -> Result<Node, TransportError> {
        let (tell, events) = mpsc::unbounded_channel();
        let (instance, protocols) = (Instance(instance), Protocols::ALL);
        let local = Local { credentials, instance, protocols, listen, wall: wall() };
        let links = Links::bind(local, Arc::<Book>::clone(&self.book), Arc::new(Echo { tell }))?;
        Ok(Node { links, events })
    }
}

/// Gives back what it gets, except for a few words.
struct Echo {
    tell: mpsc::UnboundedSender<Event>,
}

impl Echo {
    fn tell(&self, event: Event) {
        // Fails only when the test is over.
        let _ = self.tell.send(event);
    }
}

impl Service for Echo {
    fn admit(&self, from: &PeerIdentity, kind: Kind) -> Result<(), Refused> {
        self.tell(Event::Admitted(from.name.clone(), kind));
        Ok(())
    }

    fn call(
        &self,
        _: PeerIdentity,
        _: Kind,
        request: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, Refused>> {
        self.tell(Event::Called(request.clone()));
        let tell = self.tell.clone();
        async move {
            match request.as_ref() {
                b"refuse" => Err(Refused("not today".into())),
                b"panic" => panic!("as the test asked"),
                b"hang" => {
                    let _abandoned = Abandoned(tell);
                    std::future::pending().await
                }
                _ => Ok(request),
            }
        }
        .boxed()
    }

    fn channel(&self, _: PeerIdentity, _: Kind, channel: Channel) -> BoxFuture<'static, ()> {
        async move {
            let Channel { mut sender, mut receiver } = channel;
            while let Ok(frame) = receiver.next().await {
                let Some(frame) = frame else {
                    sender.finish().await.unwrap();
                    return;
                };
                if frame.as_ref() == b"break" || sender.send(frame).await.is_err() {
                    return;
                }
            }
        }
        .boxed()
    }

    fn cast(&self, from: PeerIdentity, message: Bytes) {
        self.tell(Event::Cast(from.name, message));
    }
}

struct Abandoned(mpsc::UnboundedSender<Event>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Abandoned);
    }
}
