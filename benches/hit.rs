//! What a hit in memory costs: the whole request story of an edge, from the parsed request to the
//! response, without sockets.
//!
//! Budget: 2 µs and 30 small allocations (header map, key, `Cache-Status`), no body byte copied. It
//! is a budget for reading beside each other's figures, not a timed test: machines are noisy.
//!
//! `cargo bench -p serve --bench hit`

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use control::{Command, CommandId, Envelope, Fingerprint, State};
use divan::{AllocProfiler, Bencher};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::{
    CacheKey, Distribution, Host as HostName, Instance, LogPosition, Member, Moment, NodeName,
    Origin, Scope, Tiers,
};
use serve::{
    Account, Body, Entry, Fills, Mesh, OriginAnswer, OriginError, OriginRequest, PeerAnswer,
    PeerError, Request, World,
};
use wire::exchange::Question;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

struct Ports {
    entries: Mutex<BTreeMap<CacheKey, Arc<Entry>>>,
    state: ArcSwap<State>,
    mesh: ArcSwap<Mesh>,
}

impl serve::Host for Ports {
    fn now(&self) -> Moment {
        Moment::at(Duration::from_secs(5))
    }
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        assert!(task.now_or_never().is_some(), "the stand-in origin answers at once");
    }
}

impl serve::Store for Ports {
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        self.entries.lock().ok()?.get(key).cloned()
    }
    fn keep(&self, key: CacheKey, entry: Arc<Entry>) {
        if let Ok(mut entries) = self.entries.lock() {
            entries.insert(key, entry);
        }
    }
}

impl serve::Peers for Ports {
    fn ask(
        &self,
        _: &NodeName,
        _: Question,
        _: Duration,
    ) -> BoxFuture<'static, Result<PeerAnswer, PeerError>> {
        async { Err(PeerError::Broken("nobody else is here".into())) }.boxed()
    }
}

impl serve::Origins for Ports {
    fn fetch(
        &self,
        _: &Origin,
        _: OriginRequest,
    ) -> BoxFuture<'static, Result<OriginAnswer, OriginError>> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cache-control", "max-age=3600"),
            ("content-type", "text/css"),
            ("content-length", "16384"),
            ("etag", "\"v1\""),
            ("last-modified", "Mon, 23 Nov 2026 06:00:00 GMT"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let body = Body::from_bytes(Bytes::from(vec![7; 16_384])).into_stream();
        let body_bytes = Some(16_384);
        async move { Ok(OriginAnswer { status: StatusCode::OK, headers, body_bytes, body }) }
            .boxed()
    }
}

impl serve::Members for Ports {
    fn mesh(&self) -> Guard<Arc<Mesh>> {
        self.mesh.load()
    }
    fn doubt(&self, _: &NodeName) {}
}

impl serve::Ledger for Ports {
    fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }
    fn reach(&self, _: LogPosition, _: Duration) -> BoxFuture<'static, bool> {
        async { true }.boxed()
    }
}

impl serve::Journal for Ports {
    fn record(&self, _: &Account) {}
}

fn member() -> Member {
    Member {
        name: "edge-1".parse().expect("a label"),
        instance: Instance(1),
        region: "eu".parse().expect("a label"),
        tiers: Tiers::ALL,
        capacity: 100,
        address: ([127, 0, 0, 1], 7400).into(),
    }
}

fn distribution() -> Distribution {
    let text = serde_json::json!({
        "name": "shop",
        "aliases": ["shop.example"],
        "origins": [{ "id": "web", "domain_name": "127.0.0.1" }],
        "default_cache_behavior": { "target_origin_id": "web" },
    });
    serde_json::from_value(text).expect("a distribution")
}

/// A world that has the object, after `purges` purges of other URLs.
fn world(purges: u64) -> Arc<World> {
    let mut state = State::default();
    let mut say = |index: u64, command: Command| {
        let entry = Envelope { id: CommandId(index.into()), command };
        let outcome = state.apply(LogPosition::new(0, index), &entry, Fingerprint::default());
        assert!(outcome.verdict.is_ok());
    };
    say(1, Command::Form { mesh: "bench".into(), founder: member() });
    say(2, Command::PutDistribution(distribution()));
    for purge in 0..purges {
        let distribution = "shop".parse().expect("a label");
        let scopes = vec![Scope::parse(&format!("/other/{purge}")).expect("a path")];
        say(3 + purge, Command::Invalidate(model::Invalidation { distribution, scopes }));
    }
    let view = placement::View::build(LogPosition::new(0, 1), [member()]);
    let mesh = Mesh { view: Arc::new(view), alive: [true].into() };
    let ports = Arc::new(Ports {
        entries: Mutex::default(),
        state: ArcSwap::from_pointee(state),
        mesh: ArcSwap::from_pointee(mesh),
    });
    let world = Arc::new(World {
        name: member().name,
        region: member().region,
        tiers: Tiers::ALL,
        host: ports.clone(),
        store: ports.clone(),
        peers: ports.clone(),
        origins: ports.clone(),
        members: ports.clone(),
        ledger: ports.clone(),
        journal: ports,
        fills: Fills::new(1 << 20),
    });
    let response = serve::visit(&world, request()).now_or_never().expect("an answer at once");
    assert_eq!(response.headers["x-cache"], "Miss from shoal");
    world
}

fn request() -> Request {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "shop.example"),
        ("accept", "*/*"),
        ("user-agent", "bench/1"),
        ("accept-encoding", "gzip"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Request {
        method: Method::GET,
        host: HostName::parse("shop.example").expect("a host").to_string(),
        target: "/assets/site.css?v=42".into(),
        headers,
        body: Body::Empty,
        viewer: ([127, 0, 0, 1], 50_000).into(),
        interim: None,
    }
}

#[divan::bench(args = [0, 1_000, 100_000])]
fn hit(bencher: Bencher<'_, '_>, purges: u64) {
    let world = world(purges);
    bencher.with_inputs(request).bench_values(|request| {
        let response = serve::visit(&world, request).now_or_never().expect("an answer at once");
        assert_eq!(response.status, StatusCode::OK);
        response
    });
}
