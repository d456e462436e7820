//! The origin: a scripted server behind the mesh. It knows the present version of every page,
//! answers late or in pieces, now and then not at all, and notes whoever asked.
//!
//! The version is read when the request arrives, and the answer may leave seconds later: that is
//! where purges and fetches race. It never lies about what it has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use follow::Replica;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, TRANSFER_ENCODING, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::{LogPosition, Origin as Address, Tags};
use serve::{BodyError, BodyStream, Chunk, OriginAnswer, OriginError, OriginRequest};

use crate::content::{Edition, Framing, Keeping, VARIANTS, Validator, Variance};
use crate::dice::Dice;
use crate::history::{Fetch, FetchEnd};
use crate::scenario::Scenario;
use crate::setting::Setting;

/// Names the version that an answer is made of.
pub(crate) const X_VERSION: HeaderName = HeaderName::from_static("x-version");
/// Chooses a variant, in requests.
pub(crate) const X_VARIANT: HeaderName = HeaderName::from_static("x-variant");

/// The origin of one run.
pub(crate) struct Origin {
    setting: Arc<Setting>,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    versions: Vec<u64>,
}

impl Origin {
    /// An origin where every page is at its first version.
    pub(crate) fn new(setting: Arc<Setting>, dice: Dice) -> Arc<Origin> {
        let state = State { dice, versions: vec![1; setting.scenario.site.pages.len()] };
        Arc::new(Origin { setting, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present version of `page`.
    pub(crate) fn version(&self, page: usize) -> u64 {
        self.lock().versions[page]
    }

    /// `page` changes.
    pub(crate) fn change(&self, page: usize) {
        self.lock().versions[page] += 1;
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

    fn end(&self, fetch: usize, end: FetchEnd) {
        let mut records = self.setting.history.write();
        let Some(fetch) = records.fetches.get_mut(fetch) else { return };
        fetch.end = end;
        let Fetch { page, variant, node, .. } = *fetch;
        let name = self.setting.name(node);
        self.setting.note(format_args!("origin: {name} has page {page}.{variant}: {end:?}"));
    }

    fn begin(&self, fetch: Fetch, applied: LogPosition) -> usize {
        let Fetch { page, variant, node, epoch, .. } = fetch;
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
        let epoch = state.last_hard_purge(attributes, &Tags::NONE);
        let at = origin.setting.now();
        let fetch = Fetch { at, node, page, variant, epoch, end: FetchEnd::Open };
        let fetch = origin.begin(fetch, state.applied());
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
    let edition = Edition { page, version: origin.version(page), variant };
    let tag = tag(edition);
    let asked = headers.get(IF_NONE_MATCH).map(HeaderValue::as_bytes);
    let unchanged = asked == Some(tag.as_bytes());
    let mut head = head(&origin.setting.scenario, edition, &tag);
    origin.setting.clock.sleep(origin.setting.scenario.site.pages[page].thinking + way).await;
    if unchanged {
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

fn head(scenario: &Scenario, edition: Edition, tag: &str) -> HeaderMap {
    let page = &scenario.site.pages[edition.page];
    let text = |text: &str| HeaderValue::from_str(text).expect("printable ASCII");
    let mut headers = HeaderMap::new();
    headers.insert(X_VERSION, HeaderValue::from(edition.version));
    match page.validator {
        Validator::Tag => drop(headers.insert(ETAG, text(tag))),
        Validator::None => {}
    }
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
            return Some((Err(BodyError("the origin closed the connection".into())), None));
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
