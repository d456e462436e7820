//! A desk that keeps a real log in memory, and a caller that speaks to the router.
//!
//! The desk applies commands through `control::State`, so that tests hear the log's own refusals;
//! the caller opens no socket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use control::{Command, CommandId, Envelope, Fingerprint, State};
use follow::{Progressed, Receipt, SubmitError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderMap, Request, StatusCode};
use model::{Instance, Invalidation, Level, LogPosition, Member, NodeName, Tiers};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::router;
use crate::auth::Access;
use crate::desk::{Copies, Desk, Planned, Readiness};
use crate::view::{Canary, LogStatus, NodeRole, NodeStatus, Served, ServedByTier, Status};

/// A command as it came over the desk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) id: Option<CommandId>,
    pub(crate) command: Command,
    pub(crate) level: Level,
    pub(crate) patience: Duration,
}

pub(crate) struct FakeDesk {
    pub(crate) state: Mutex<State>,
    pub(crate) taken: Mutex<Vec<Taken>>,
    /// What is said instead of the log's word.
    pub(crate) fails_with: Mutex<Option<SubmitError>>,
    pub(crate) readiness: Mutex<Readiness>,
    /// Whether commands are never answered.
    pub(crate) hangs: Mutex<bool>,
    /// The level at which receipts are written, whatever is waited for.
    pub(crate) reaches: Mutex<Level>,
    /// What was asked of the leader.
    pub(crate) asked: Mutex<Vec<(LogPosition, Level, Duration)>>,
    /// Whether no leader can be asked.
    pub(crate) is_alone: Mutex<bool>,
    /// What was planned.
    pub(crate) planned: Mutex<Vec<Invalidation>>,
}

impl FakeDesk {
    /// A formed mesh of `alpha`, which lives, and `beta`, which does not; `shop` and `blog` are
    /// distributions.
    pub(crate) fn new() -> Arc<FakeDesk> {
        let desk = FakeDesk {
            state: Mutex::default(),
            taken: Mutex::default(),
            fails_with: Mutex::default(),
            readiness: Mutex::new(Readiness::Ready),
            hangs: Mutex::default(),
            reaches: Mutex::new(Level::Fenced),
            asked: Mutex::default(),
            is_alone: Mutex::default(),
            planned: Mutex::default(),
        };
        let mesh = "reef".to_owned();
        let founder = member("alpha", 1);
        desk.apply(CommandId(1), Command::Form { mesh, founder, lease_ms: 10_000 }).unwrap();
        let member = member("beta", 2);
        desk.apply(CommandId(2), Command::Join { member, replaces: None }).unwrap();
        for (at, name, alias) in [(3, "shop", "*.shop.example"), (4, "blog", "blog.example")] {
            let distribution = serde_json::from_value(distribution(name, alias)).unwrap();
            desk.apply(CommandId(at), Command::PutDistribution(distribution)).unwrap();
        }
        Arc::new(desk)
    }

    /// The command taken last.
    pub(crate) fn last(&self) -> Taken {
        self.taken.lock().unwrap().last().cloned().expect("a command was taken")
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.taken.lock().unwrap().is_empty()
    }

    fn apply(&self, id: CommandId, command: Command) -> Result<LogPosition, SubmitError> {
        let mut state = self.state.lock().unwrap();
        let next = LogPosition::new(0, state.applied().index() + 1);
        let entry = (Envelope { id, command }, Fingerprint::default());
        let outcome = state.apply(next, &[entry]).pop().expect("one command has one outcome");
        outcome.verdict.map(|()| outcome.position).map_err(SubmitError::Refused)
    }
}

impl Desk for FakeDesk {
    fn submit(
        &self,
        id: Option<CommandId>,
        command: Command,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Receipt, SubmitError>> {
        let taken = Taken { id, command: command.clone(), level, patience };
        let drawn = CommandId(0xfeed + self.taken.lock().unwrap().len() as u128);
        self.taken.lock().unwrap().push(taken);
        if let Some(error) = self.fails_with.lock().unwrap().clone() {
            return async { Err(error) }.boxed();
        }
        if *self.hangs.lock().unwrap() {
            return futures_util::future::pending().boxed();
        }
        let id = id.unwrap_or(drawn);
        let level = level.min(*self.reaches.lock().unwrap());
        let position = self.apply(id, command);
        let receipt =
            position.map(|position| Receipt { id, progressed: progressed(position, level) });
        async { receipt }.boxed()
    }

    fn reach(
        &self,
        position: LogPosition,
        level: Level,
        patience: Duration,
    ) -> BoxFuture<'static, Option<Progressed>> {
        self.asked.lock().unwrap().push((position, level, patience));
        let reached = *self.reaches.lock().unwrap();
        let answer = (!*self.is_alone.lock().unwrap()).then(|| progressed(position, reached));
        async { answer }.boxed()
    }

    fn plan(&self, purge: Invalidation) -> BoxFuture<'static, Vec<Planned>> {
        self.planned.lock().unwrap().push(purge);
        let copies = Some(Copies { count: 3, bytes: 4096 });
        let alpha = Planned { node: name("alpha"), copies };
        let beta = Planned { node: name("beta"), copies: None };
        async { vec![alpha, beta] }.boxed()
    }

    fn status(&self) -> Status {
        let state = self.state.lock().unwrap();
        let position = state.applied().to_string();
        Status {
            mesh: state.mesh().map(str::to_owned),
            node: "alpha".into(),
            ready: true,
            leader: Some("alpha".into()),
            log: LogStatus {
                applied: position.clone(),
                head: position,
                epoch: 0,
                applied_index: state.applied().index(),
                head_index: state.applied().index(),
            },
            nodes: state.roster().map(node_status).collect(),
            distributions: state.distributions().count() as u64,
            lease_ms: 10_000,
            canary: Canary { samples: 12_345, violations: 0 },
            protocol: Some(3),
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::new(self.state.lock().unwrap().clone())
    }

    fn readiness(&self) -> Readiness {
        self.readiness.lock().unwrap().clone()
    }

    fn metrics(&self) -> String {
        crate::Metrics::new().encode()
    }
}

fn name(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// `alpha` and `gamma` have it; `beta` has not, and its lease runs out where `level` is `fenced`.
fn progressed(position: LogPosition, level: Level) -> Progressed {
    let is_fenced = level == Level::Fenced;
    let [pending, expired] = [!is_fenced, is_fenced].map(|holds| match holds {
        true => vec![name("beta")],
        false => Vec::new(),
    });
    Progressed {
        position,
        level,
        committed: Duration::from_millis(4),
        fenced: is_fenced.then_some(Duration::from_millis(12)),
        applied: [("alpha", 9), ("gamma", 5)]
            .map(|(node, millis)| (name(node), Duration::from_millis(millis)))
            .into(),
        pending,
        expired,
        cut: 2,
    }
}

/// The JSON of a distribution as people write it.
pub(crate) fn distribution(name: &str, alias: &str) -> Value {
    json!({
        "name": name,
        "aliases": [alias],
        "origins": [{ "id": "web", "domain_name": "origin.example" }],
        "default_cache_behavior": { "target_origin_id": "web" }
    })
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }

    pub(crate) fn field(&self, name: &str) -> String {
        let field = self.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        field.unwrap_or_default()
    }

    /// Asserts that this is the problem `code` with `status`, whose detail holds `words`.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str, words: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.field("content-type"), "application/problem+json");
        let problem: crate::Problem = serde_json::from_str(&self.text).expect(&self.text);
        assert_eq!((problem.code(), problem.status), (code, status), "{problem:?}");
        assert!(problem.detail.contains(words), "{problem:?} does not say {words:?}");
    }
}

/// Speaks to a node without a token.
pub(crate) struct Caller(Router);

impl Caller {
    pub(crate) fn of(desk: &Arc<FakeDesk>) -> Caller {
        Caller::under(desk, Access::Loopback)
    }

    pub(crate) fn under(desk: &Arc<FakeDesk>, access: Access) -> Caller {
        Caller(router(Arc::clone(desk) as Arc<dyn Desk>, access))
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.ask("GET", uri, &[], String::new()).await
    }

    pub(crate) async fn delete(&self, uri: &str) -> Answer {
        self.ask("DELETE", uri, &[], String::new()).await
    }

    pub(crate) async fn send(&self, method: &str, uri: &str, body: Value) -> Answer {
        self.ask(method, uri, &[(CONTENT_TYPE, "application/json")], body.to_string()).await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        uri: &str,
        fields: &[(HeaderName, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        if !fields.iter().any(|(name, _)| *name == HOST) {
            request = request.header(HOST, "localhost:9000");
        }
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }
}

fn member(name: &str, instance: u64) -> Member {
    Member {
        name: name.parse().unwrap(),
        instance: Instance(instance),
        region: "eu".parse().unwrap(),
        tiers: Tiers::ALL,
        capacity: 100,
        address: "127.0.0.1:7000".parse().unwrap(),
    }
}

fn node_status(member: &Member) -> NodeStatus {
    let alive = member.name.as_str() == "alpha";
    NodeStatus {
        name: member.name.to_string(),
        region: member.region.to_string(),
        tiers: member.tiers.into(),
        alive,
        role: if alive { NodeRole::Leader } else { NodeRole::Follower },
        address: member.address,
        http: None,
        admin: None,
        applied: 4,
        lag: 0,
        load: 0,
        served: ServedByTier { edge: Served::of(4, 3), ..ServedByTier::default() },
        lease_age_ms: alive.then_some(400),
        fenced: !alive,
        canary: Canary::default(),
        protocol: Some(3),
    }
}
