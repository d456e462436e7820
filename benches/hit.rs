//! What a hit in memory costs: the whole request story of an edge, from the parsed request to the
//! response, without sockets.
//!
//! Budget: 2 µs and 20 small allocations (header map, key, `Cache-Status`), no body byte copied. It
//! is a budget for reading beside each other's figures, not a timed test: machines are noisy.
//!
//! Purges of other content must not be felt: a hit with a million of them outstanding may cost 5 %
//! more than one with none. Both are timed in one run, turn by turn, each turn hitting every one of
//! a thousand objects once, and their ratio is printed. While the log is at rest a hit looks up no
//! purge, since its copy was checked before; the ratio with a purge of something else before every
//! turn, when each copy has to be looked up, is printed as well, to be read beside it.
//!
//! `cargo bench -p serve --bench hit`

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use control::{Command, CommandId, Envelope, Fingerprint, State, Tentative};
use divan::{AllocProfiler, Bencher};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::{
    CacheKey, Distribution, Effect, Host as HostName, Instance, Invalidation, Level, LogPosition,
    Member, Moment, NodeName, Origin, Scope, Tiers,
};
use serve::{
    Account, Body, Changes, Entry, Fills, Flights, Knowledge, Mesh, NoCountries, OriginAnswer,
    OriginError, OriginRequest, PeerAnswer, PeerError, Request, Response, Scheme, World,
};
use wire::exchange::Question;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const PURGES_MAX: u64 = 1_000_000;
const OBJECTS: u64 = 1_000;

fn main() {
    print_ratios();
    divan::main();
}

struct Ports {
    entries: Mutex<BTreeMap<CacheKey, Arc<Entry>>>,
    state: ArcSwap<State>,
    tentative: ArcSwap<Tentative>,
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

    fn page(&self, _: Option<CacheKey>, _: usize) -> Vec<(CacheKey, Arc<Entry>)> {
        Vec::new()
    }

    fn drop_if(&self, _: &CacheKey, _: &Arc<Entry>) {}
}

impl serve::Peers for Ports {
    fn ask(
        &self,
        _: &NodeName,
        _: Question,
        _: Duration,
        _: Option<serve::Interim>,
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
        let body = Body::from_bytes(Bytes::from_static(&[7; 16_384])).into_stream();
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
    fn knowledge(&self) -> Knowledge {
        let valid_until = Some(Moment::at(Duration::from_secs(15)));
        Knowledge { valid_until, state: self.state.load(), tentative: self.tentative.load() }
    }
    fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }
    fn reach(&self, _: LogPosition, _: Duration) -> BoxFuture<'static, bool> {
        async { true }.boxed()
    }
    fn purge(&self, _: Invalidation, _: Level, _: Duration) -> BoxFuture<'static, serve::Purged> {
        unreachable!("nobody purges here")
    }

    fn confirm(&self, _: Duration) -> BoxFuture<'static, bool> {
        async { true }.boxed()
    }
    fn applied_at(&self, _: Moment) -> LogPosition {
        self.state.load().applied()
    }
}

impl serve::Journal for Ports {
    fn record(&self, _: &Account) {}

    fn wants_sample(&self) -> bool {
        false
    }

    fn sample(&self, _: NodeName, _: wire::exchange::Sample) {}
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

fn say(state: &mut State, command: Command) {
    let index = state.applied().index() + 1;
    let entry = [(Envelope { id: CommandId(index.into()), command }, Fingerprint::default())];
    let outcomes = state.apply(LogPosition::new(0, index), &entry);
    assert!(outcomes.iter().all(|outcome| outcome.verdict.is_ok()));
}

/// A world that fetched all objects, and then heard of `purges` purges of other URLs.
fn world(purges: u64) -> (Arc<World>, Arc<Ports>) {
    let mut state = State::default();
    say(&mut state, Command::Form { mesh: "bench".into(), founder: member(), lease_ms: 10_000 });
    say(&mut state, Command::PutDistribution(distribution()));
    let view = placement::View::build(LogPosition::new(0, 1), [member()]);
    let mesh = Mesh { view: Arc::new(view), alive: [true].into() };
    let ports = Arc::new(Ports {
        entries: Mutex::default(),
        state: ArcSwap::from_pointee(state.clone()),
        tentative: ArcSwap::default(),
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
        journal: ports.clone(),
        fills: Fills::new(1 << 20),
        changes: Changes::default(),
        flights: Flights::default(),
        countries: Arc::new(NoCountries),
        encoders: None,
    });
    for object in 0..OBJECTS {
        assert_eq!(visit(&world, object).headers["x-cache"], "Miss from shoal");
    }
    for purge in 0..purges {
        say(&mut state, purge_of(purge));
    }
    ports.state.store(Arc::new(state));
    assert_eq!(visit(&world, 0).headers["x-cache"], "Hit from shoal");
    (world, ports)
}

/// A purge of something that nobody asks for.
fn purge_of(number: u64) -> Command {
    let distribution = "shop".parse().expect("a label");
    let scopes = vec![Scope::parse(&format!("/other/{number}")).expect("a path")];
    Command::Invalidate(Invalidation { distribution, scopes, effect: Effect::Hard })
}

fn visit(world: &Arc<World>, object: u64) -> Response {
    serve::visit(world, request(object)).now_or_never().expect("an answer at once")
}

/// Times a hit of every object in a world without purges and in one with many, in turn, and
/// compares the middle times: with the log at rest, and with one purge before each turn.
#[expect(clippy::print_stdout, reason = "a bench reports to whoever runs it")]
fn print_ratios() {
    let worlds = [world(0), world(PURGES_MAX)];
    for (log, moves) in [("at rest", false), ("moving", true)] {
        let mut times = [const { Vec::new() }; 2];
        for turn in 0..201 {
            for ((world, ports), times) in worlds.iter().zip(&mut times) {
                if moves {
                    let mut state = State::clone(&ports.state.load());
                    say(&mut state, purge_of(turn % 2));
                    ports.state.store(Arc::new(state));
                }
                times.push(time(world));
            }
        }
        let [without, with] = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!(
            "log {log}: {PURGES_MAX} purges outstanding cost a hit {ratio:.3} of what none do"
        );
        println!("({with:?} and {without:?} for {OBJECTS} hits)");
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures only for itself")]
fn time(world: &Arc<World>) -> Duration {
    let began = Instant::now();
    (0..OBJECTS).for_each(|object| drop(visit(world, object)));
    began.elapsed()
}

fn request(object: u64) -> Request {
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
        scheme: Scheme::Http,
        host: HostName::parse("shop.example").expect("a host").to_string(),
        target: format!("/assets/{object}/site.css?v=42"),
        headers,
        body: Body::Empty,
        viewer: ([127, 0, 0, 1], 50_000).into(),
        interim: None,
    }
}

#[divan::bench(args = [0, 1_000, 100_000, PURGES_MAX], sample_size = 100)]
fn hit(bencher: Bencher<'_, '_>, purges: u64) {
    let (world, _) = world(purges);
    bencher.with_inputs(|| request(0)).bench_values(|request| {
        let response = serve::visit(&world, request).now_or_never().expect("an answer at once");
        assert_eq!(response.status, StatusCode::OK);
        response
    });
}
