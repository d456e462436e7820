//! The origin: a scripted server behind the mesh. It knows the present version of every page,
//! answers late or in pieces, now and then not at all, and notes whoever asked.
//!
//! The version is read when the request arrives, and the answer may leave seconds later: that is
//! where purges and fetches race. It never lies about what it has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use follow::Replica;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::Origin as Address;
use serve::{BodyError, BodyStream, Chunk, OriginAnswer, OriginError, OriginRequest};

use crate::content::{Edition, Framing, Front, Keeping, VARIANTS, Validator, Variance};
use crate::dice::Dice;
use crate::history::{Fetch, FetchEnd};
use crate::host::WALL_START;
use crate::mutants::Mutant;
use crate::scenario::Scenario;
use crate::setting::Setting;

/// Names the version that an answer is made of.
pub(crate) const X_VERSION: HeaderName = HeaderName::from_static("x-version");
/// Names what an answer is made from.
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Chooses a variant, in requests.
pub(crate) const X_VARIANT: HeaderName = HeaderName::from_static("x-variant");

/// The origin of one run.
pub(crate) struct Origin {
    setting: Arc<Setting>,
    mutant: Option<Mutant>,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    versions: Vec<Version>,
    /// What the cache before each page holds, and since when.
    fronts: Vec<Option<(Version, Duration)>>,
    /// What the last request of a node for a page found, and until when it is answered.
    running: BTreeMap<(usize, usize), (Version, Duration)>,
}

/// A version of a page.
#[derive(Clone, Copy, Debug)]
struct Version {
    number: u64,
    made: Duration,
}

/// How much earlier the mutant has asked.
const EARLY: Duration = Duration::from_secs(1);

impl Version {
    /// What was there a little earlier.
    fn before(self, now: Duration) -> Version {
        match now < self.made + EARLY {
            true => Version { number: self.number.saturating_sub(1).max(1), ..self },
            false => self,
        }
    }

    /// To the minute, as the origin's clock has it.
    fn last_modified(self) -> String {
        let minutes = (WALL_START + self.made).as_secs() / 60;
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes))
    }
}

/// What the cache before the origin holds is used for so long.
const FRONT_LIFE: Duration = Duration::from_secs(6);

impl Origin {
    /// An origin where every page is at its first version.
    pub(crate) fn new(setting: Arc<Setting>, mutant: Option<Mutant>, dice: Dice) -> Arc<Origin> {
        let pages = setting.scenario.site.pages.len();
        let versions = vec![Version { number: 1, made: Duration::ZERO }; pages];
        let state = State { dice, versions, fronts: vec![None; pages], running: BTreeMap::new() };
        Arc::new(Origin { setting, mutant, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present version of `page`.
    pub(crate) fn version(&self, page: usize) -> u64 {
        self.lock().versions[page].number
    }

    /// `page` changes.
    pub(crate) fn change(&self, page: usize) {
        let made = self.setting.now();
        let version = &mut self.lock().versions[page];
        *version = Version { number: version.number + 1, made };
    }

    /// The version that a request is answered with, and its age in whole seconds if a cache answers
    /// that may be asked for what it has.
    fn read(&self, node: usize, page: usize, headers: &HeaderMap) -> (Version, Option<u64>) {
        let now = self.setting.now();
        let mut state = self.lock();
        let present = match (self.mutant, state.running.get(&(node, page))) {
            (Some(Mutant::JoinAny), Some((version, until))) if now < *until => *version,
            (Some(Mutant::EarlyAnswer), _) => state.versions[page].before(now),
            (Some(_) | None, _) => state.versions[page],
        };
        let until = now + self.setting.scenario.site.pages[page].thinking;
        state.running.insert((node, page), (present, until));
        if self.setting.scenario.site.pages[page].front == Front::None {
            return (present, None);
        }
        let passes_by = headers.get(CACHE_CONTROL).is_some_and(|value| value == "no-cache");
        match state.fronts[page] {
            Some((version, since)) if !passes_by && now < since + FRONT_LIFE => {
                (version, Some((now - since).as_secs()))
            }
            Some(_) | None => {
                state.fronts[page] = Some((present, now));
                (present, Some(0))
            }
        }
    }

    fn page_of(&self, request: &OriginRequest) -> Option<usize> {
        self.setting.scenario.site.pages.iter().position(|page| {
            let attributes = &page.attributes;
            attributes.host == request.host && attributes.path.as_str() == request.target
        })
    }

    fn distance(&self, node: usize) -> Duration {
        let Setting { scenario, .. } = &*self.setting;
        scenario.latency(scenario.region_of(node), 0) + Duration::from_millis(4)
    }

    fn brings(&self, fetch: usize, version: u64) {
        if let Some(fetch) = self.setting.history.write().fetches.get_mut(fetch) {
            fetch.brings = Some(version);
        }
    }

    fn end(&self, fetch: usize, end: FetchEnd) {
        let mut records = self.setting.history.write();
        let Some(fetch) = records.fetches.get_mut(fetch) else { return };
        fetch.end = end;
        let Fetch { page, variant, node, .. } = *fetch;
        let name = self.setting.name(node);
        self.setting.note(format_args!("origin: {name} has page {page}.{variant}: {end:?}"));
    }

    fn begin(&self, fetch: Fetch) -> usize {
        let Fetch { page, variant, node, epoch, applied, .. } = fetch;
        let name = self.setting.name(node);
        self.setting.note(format_args!(
            "origin: {name} wants page {page}.{variant}, at {applied}, purged at {epoch}"
        ));
        let mut records = self.setting.history.write();
        records.fetches.push(fetch);
        records.fetches.len() - 1
    }
}

/// The entity tag of an edition.
pub(crate) fn tag(edition: Edition) -> String {
    let Edition { page, version, variant } = edition;
    format!("\"{page}-{version}-{variant}\"")
}

/// The variant that these fields ask for.
pub(crate) fn variant_of(headers: &HeaderMap) -> usize {
    let asked = headers.get(X_VARIANT).map(HeaderValue::as_bytes);
    VARIANTS.iter().position(|variant| Some(variant.as_bytes()) == asked).unwrap_or(0)
}

/// The way to the origin from one node.
pub(crate) struct Road {
    /// The origin.
    pub(crate) origin: Arc<Origin>,
    /// The node.
    pub(crate) node: usize,
    /// What the node knows of purges.
    pub(crate) replica: Arc<Replica>,
}

impl serve::Origins for Road {
    fn fetch(
        &self,
        _: &Address,
        request: OriginRequest,
    ) -> BoxFuture<'static, Result<OriginAnswer, OriginError>> {
        let (origin, node) = (self.origin.clone(), self.node);
        let Some(page) = origin.page_of(&request) else {
            return async { Ok(not_found()) }.boxed();
        };
        let site = &origin.setting.scenario.site;
        let attributes = &site.pages[page].attributes;
        let variant = site.variant_served(page, variant_of(&request.headers));
        let state = self.replica.state();
        let epoch = state.last_hard_purge(attributes, &site.pages[page].tags());
        let at = origin.setting.now();
        let (applied, end) = (state.applied(), FetchEnd::Open);
        let fetch = Fetch { at, node, page, variant, epoch, applied, brings: None, end };
        let fetch = origin.begin(fetch);
        answer(origin, fetch, (page, variant, node), request.headers).boxed()
    }
}

async fn answer(
    origin: Arc<Origin>,
    fetch: usize,
    (page, variant, node): (usize, usize, usize),
    headers: HeaderMap,
) -> Result<OriginAnswer, OriginError> {
    let way = origin.distance(node);
    origin.setting.clock.sleep(way).await;
    let (refused, cut) = origin.lock().stumbles(&origin.setting.scenario);
    if refused {
        origin.setting.clock.sleep(way).await;
        origin.end(fetch, FetchEnd::Stumbled(origin.setting.now()));
        return Err(OriginError::Unreachable("connection reset".into()));
    }
    let (version, age) = origin.read(node, page, &headers);
    let edition = Edition { page, version: version.number, variant };
    let validator = match origin.setting.scenario.site.pages[page].validator {
        Validator::Tag => Some((ETAG, IF_NONE_MATCH, tag(edition))),
        Validator::Date => Some((LAST_MODIFIED, IF_MODIFIED_SINCE, version.last_modified())),
        Validator::None => None,
    };
    let asks = |(_, asked, value): &(HeaderName, HeaderName, String)| {
        headers.get(asked).is_some_and(|said| said.as_bytes() == value.as_bytes())
    };
    let unchanged = validator.as_ref().is_some_and(asks);
    origin.brings(fetch, edition.version);
    let mut head = head(&origin.setting.scenario, edition);
    if let Some((name, _, value)) = &validator {
        head.insert(name, HeaderValue::from_str(value).expect("printable ASCII"));
    }
    if let Some(age) = age {
        head.insert(AGE, HeaderValue::from(age));
    }
    origin.setting.clock.sleep(origin.setting.scenario.site.pages[page].thinking + way).await;
    if unchanged {
        head.remove(X_VERSION);
        head.remove(CONTENT_LENGTH);
        head.remove(TRANSFER_ENCODING);
        origin.end(fetch, FetchEnd::NotModified(edition.version));
        let body = stream::empty().boxed();
        let status = StatusCode::NOT_MODIFIED;
        return Ok(OriginAnswer { status, headers: head, body_bytes: Some(0), body });
    }
    let bytes = origin.setting.scenario.site.body(edition);
    let body_bytes = head.contains_key(CONTENT_LENGTH).then_some(bytes.len() as u64);
    let sending = Sending { origin, fetch, edition, bytes, sent: 0, cut };
    Ok(OriginAnswer { status: StatusCode::OK, headers: head, body_bytes, body: sending.stream() })
}

fn not_found() -> OriginAnswer {
    let (status, body) = (StatusCode::NOT_FOUND, stream::empty().boxed());
    OriginAnswer { status, headers: HeaderMap::new(), body_bytes: Some(0), body }
}

fn head(scenario: &Scenario, edition: Edition) -> HeaderMap {
    let page = &scenario.site.pages[edition.page];
    let text = |text: &str| HeaderValue::from_str(text).expect("printable ASCII");
    let mut headers = HeaderMap::new();
    headers.insert(X_VERSION, HeaderValue::from(edition.version));
    headers.insert(SURROGATE_KEY, text(page.tag.as_str()));
    let keeping = match page.keeping {
        Keeping::MaxAge(seconds) => format!("max-age={seconds}"),
        Keeping::Never => "no-store".to_owned(),
    };
    headers.insert(CACHE_CONTROL, text(&keeping));
    match page.variance {
        Variance::One => {}
        Variance::ByField => drop(headers.insert(VARY, HeaderValue::from(X_VARIANT))),
    }
    match page.framing {
        Framing::Length => {
            let bytes = scenario.site.body(edition).len();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        Framing::Chunked => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    headers
}

impl State {
    /// Whether this answer is refused, and whether its body breaks off.
    fn stumbles(&mut self, scenario: &Scenario) -> (bool, bool) {
        let stumbles = scenario.stumbles;
        (self.dice.chance(stumbles.refused), self.dice.chance(stumbles.cut))
    }
}

/// A body on its way out.
struct Sending {
    origin: Arc<Origin>,
    fetch: usize,
    edition: Edition,
    bytes: Bytes,
    sent: usize,
    cut: bool,
}

impl Sending {
    fn stream(self) -> BodyStream {
        stream::unfold(Some(self), |sending| async move { sending?.next().await }).boxed()
    }

    /// The next piece, and who sends the one after it.
    async fn next(mut self) -> Option<(Result<Chunk, BodyError>, Option<Sending>)> {
        let piece_bytes = self.origin.setting.scenario.site.pages[self.edition.page].piece_bytes;
        let pause = self.origin.lock().dice.millis(0..=6);
        self.origin.setting.clock.sleep(pause).await;
        if self.cut && self.sent >= self.bytes.len() / 2 {
            self.origin.end(self.fetch, FetchEnd::Stumbled(self.origin.setting.now()));
            return Some((Err(BodyError::Broken("the origin closed the connection".into())), None));
        }
        if self.sent == self.bytes.len() {
            self.origin.end(self.fetch, FetchEnd::Whole(self.edition.version));
            return None;
        }
        let piece = self.bytes.slice(self.sent..self.bytes.len().min(self.sent + piece_bytes));
        self.sent += piece.len();
        Some((Ok(Chunk::Data(piece)), Some(self)))
    }
}
