//! Viewers: they come at every edge at random, want the same few pages, and sometimes all at once.
//!
//! A viewer sits next to its edge: its request arrives at once, and what it reads it compares, byte
//! by byte, with the only body that the version can have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use serve::{Body, Chunk, Request, Response, Scheme};

use crate::content::{Edition, VARIANTS, Validator};
use crate::dice::Dice;
use crate::history::{Answer, Ending, Visit};
use crate::origin::{X_VARIANT, X_VERSION, tag};
use crate::stage::{Process, Stage};

/// Edges that a crowd comes to at once, at most.
const CROWD: usize = 6;

/// What one viewer does.
#[derive(Clone, Copy, Debug)]
struct Wish {
    page: usize,
    variant: usize,
    manner: Manner,
    /// Between two pieces of the body.
    pace: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    /// The whole page.
    Plain,
    /// Some bytes of it.
    Part { first: usize, last: usize },
    /// The page, unless it is still this version.
    Unless(u64),
}

/// Viewers come until it is `until`.
pub(crate) async fn come(stage: Arc<Stage>, mut dice: Dice, until: Duration) {
    while stage.setting.now() < until {
        let page = favourite(&stage, &mut dice);
        let edges = stage.ready(stage.setting.scenario.edges());
        match dice.below(8) {
            _ if edges.is_empty() => {}
            0 => crowd(&stage, &mut dice, page),
            _ => {
                let node = *dice.pick(&edges);
                send(&stage, &mut dice, node, page);
            }
        }
        let pause = dice.millis(10..=stage.setting.scenario.pace.viewers_ms);
        stage.setting.clock.sleep(pause).await;
    }
}

/// A page: the first ones more often than the last.
pub(crate) fn favourite(stage: &Stage, dice: &mut Dice) -> usize {
    let pages = stage.setting.scenario.site.pages.len();
    dice.below(pages).min(dice.below(pages)).min(dice.below(pages))
}

/// Everybody wants `page` at every edge, now.
pub(crate) fn crowd(stage: &Arc<Stage>, dice: &mut Dice, page: usize) {
    let mut edges = stage.ready(stage.setting.scenario.edges());
    while edges.len() > CROWD {
        edges.swap_remove(dice.below(edges.len()));
    }
    for node in edges {
        for _ in 0..dice.within(1..=3) {
            send(stage, dice, node, page);
        }
    }
}

/// A viewer who reaches `node` asks it, ready or not, as long as it knows its distributions.
pub(crate) fn knock(stage: &Arc<Stage>, dice: &mut Dice, node: usize) {
    let page = favourite(stage, dice);
    if stage.process(node).is_some_and(|process| process.has_something_to_serve()) {
        send(stage, dice, node, page);
    }
}

/// One viewer asks `node` for `page`.
fn send(stage: &Arc<Stage>, dice: &mut Dice, node: usize, page: usize) {
    let Some(process) = stage.process(node) else { return };
    let about = &stage.setting.scenario.site.pages[page];
    let manner = match dice.below(12) {
        0 if about.bytes > 0 => {
            let first = dice.below(about.bytes);
            Manner::Part { first, last: first + dice.below(about.bytes) }
        }
        1 if about.validator == Validator::Tag => {
            Manner::Unless(stage.origin.version(page).saturating_sub(dice.below(2) as u64))
        }
        _ => Manner::Plain,
    };
    let pace = if dice.chance(20) { dice.millis(0..=40) } else { Duration::ZERO };
    let wish = Wish { page, variant: dice.below(VARIANTS.len()), manner, pace };
    let at = stage.setting.now();
    let applied = process.follow.replica.applied();
    let mut records = stage.setting.history.write();
    let number = records.visits.len();
    records.visits.push(Visit { node, at, applied, page, answer: None, bereft: false });
    drop(records);
    let (stage, owner) = (stage.clone(), process.owner);
    stage.setting.clone().clock.spawn(owner, visit(stage, process, number, wish));
}

async fn visit(stage: Arc<Stage>, process: Process, number: usize, wish: Wish) {
    let response = serve::visit(&process.world, request(&stage, wish)).await;
    let version = version_of(&response.headers);
    let status = response.status.as_u16();
    let (at, ending) = (stage.setting.now(), Ending::Coming);
    let applied = process.follow.replica.applied();
    let name = &process.world.name;
    stage
        .setting
        .note(format_args!("visit {number}: {name} says {status}, {version:?} of {wish:?}"));
    write(&stage, number, |visit| {
        visit.answer = Some(Answer { at, applied, status, version, ending, last_piece: None });
    });
    let (ending, version) = read(&stage, (number, wish), version, response).await;
    stage.setting.note(format_args!("visit {number}: {ending:?}, {version:?}"));
    write(&stage, number, |visit| {
        if let Some(answer) = &mut visit.answer {
            (answer.ending, answer.version) = (ending, version);
        }
    });
}

fn write(stage: &Stage, number: usize, change: impl FnOnce(&mut Visit)) {
    let mut records = stage.setting.history.write();
    records.visits.get_mut(number).map(change).unwrap_or_default();
}

fn request(stage: &Stage, wish: Wish) -> Request {
    let Wish { page, variant, manner, .. } = wish;
    let attributes = &stage.setting.scenario.site.pages[page].attributes;
    let text = |text: String| HeaderValue::try_from(text).expect("printable ASCII");
    let mut headers = HeaderMap::new();
    headers.insert(X_VARIANT, HeaderValue::from_static(VARIANTS[variant]));
    match manner {
        Manner::Plain => {}
        Manner::Part { first, last } => {
            headers.insert(RANGE, text(format!("bytes={first}-{last}")));
        }
        Manner::Unless(version) => {
            let variant = stage.setting.scenario.site.variant_served(page, variant);
            headers.insert(IF_NONE_MATCH, text(tag(Edition { page, version, variant })));
        }
    }
    Request {
        method: Method::GET,
        scheme: Scheme::Http,
        host: attributes.host.to_string(),
        target: attributes.path.to_string(),
        headers,
        body: Body::Empty,
        viewer: SocketAddr::from(([192, 0, 2, 1], 40_000)),
        interim: None,
    }
}

/// The version that a head names, in a field of its own or in its entity tag.
pub(crate) fn version_of(headers: &HeaderMap) -> Option<u64> {
    let named = headers.get(X_VERSION).and_then(|value| value.to_str().ok()?.parse().ok());
    named.or_else(|| headers.get(ETAG)?.to_str().ok()?.split('-').nth(1)?.parse().ok())
}

/// Reads the body to its end; says how it ended, and which version it was.
async fn read(
    stage: &Stage,
    (number, wish): (usize, Wish),
    named: Option<u64>,
    response: Response,
) -> (Ending, Option<u64>) {
    let Some(named) = named else { return (Ending::Whole, None) };
    let Response { status, headers, body, .. } = response;
    let comes_in_pieces = matches!(body, Body::Stream { .. });
    let (mut body, mut read) = (body.into_stream(), Vec::new());
    let mut end = End::Clean;
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            end = End::Broken;
            break;
        };
        let Chunk::Data(piece) = chunk else { continue };
        read.extend_from_slice(&piece);
        if comes_in_pieces {
            let now = stage.setting.now();
            write(stage, number, |visit| {
                visit.answer.iter_mut().for_each(|answer| answer.last_piece = Some(now));
            });
        }
        stage.setting.clock.sleep(wish.pace).await;
    }
    let got = Got { status: status.as_u16(), headers, read, end };
    let first = got.judge(stage, wish, named);
    let others = others(stage, wish.page).filter(|_| matches!(first, Ending::Wrong(_)));
    let fits = |version: &u64| !matches!(got.judge(stage, wish, *version), Ending::Wrong(_));
    match others.into_iter().flatten().find(fits) {
        Some(version) => (got.judge(stage, wish, version), Some(version)),
        None => (first, Some(named)),
    }
}

/// Versions that a body may be beside the one that its head names, the latest first. A copy that
/// has nothing but a date is confirmed by a 304 about any version of that date, and takes over
/// the fields of that 304, name and all (RFC 9111 §4.3.4); its bytes are still one version's.
fn others(stage: &Stage, page: usize) -> Option<impl Iterator<Item = u64>> {
    let is_dated = stage.setting.scenario.site.pages[page].validator == Validator::Date;
    is_dated.then(|| (1..=stage.origin.version(page)).rev())
}

/// How a body came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Broken,
}

/// A response that has been read.
struct Got {
    status: u16,
    headers: HeaderMap,
    read: Vec<u8>,
    end: End,
}

impl Got {
    /// What is to be said of it if it is taken for `version`.
    fn judge(&self, stage: &Stage, wish: Wish, version: u64) -> Ending {
        let Some(expected) = self.expected(stage, wish, version) else {
            return Ending::Wrong("its Content-Range is not of this version".into());
        };
        let announced = self.headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
        let has_body = matches!(self.status, 200 | 206);
        let length = expected.len().to_string();
        if has_body && announced.is_some_and(|said| said != length.as_bytes()) {
            return Ending::Wrong("its Content-Length is not of this version".into());
        }
        if !expected.starts_with(&self.read) {
            let same = expected.iter().zip(&self.read).take_while(|(one, other)| one == other);
            let at = same.count();
            return Ending::Wrong(format!("from byte {at} on it is not version {version}"));
        }
        match (self.end, expected.len() - self.read.len()) {
            (End::Broken, _) => Ending::Broken,
            (End::Clean, 0) => Ending::Whole,
            (End::Clean, short) => {
                Ending::Wrong(format!("{short} of {} bytes are missing", expected.len()))
            }
        }
    }

    /// What the body has to be.
    fn expected(&self, stage: &Stage, wish: Wish, version: u64) -> Option<Bytes> {
        let site = &stage.setting.scenario.site;
        let variant = site.variant_served(wish.page, wish.variant);
        let body = site.body(Edition { page: wish.page, version, variant });
        match self.status {
            200 => Some(body),
            206 => {
                let range = self.headers.get(CONTENT_RANGE)?.to_str().ok()?;
                let (range, of) = range.strip_prefix("bytes ")?.split_once('/')?;
                let (first, last) = range.split_once('-')?;
                let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
                let fits = of == body.len().to_string() && first <= last && last < body.len();
                fits.then(|| body.slice(first..=last))
            }
            _ => Some(Bytes::new()),
        }
    }
}
