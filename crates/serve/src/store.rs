//! The fetch itself: a task that walks up the tiers, streams what comes into a fill, and keeps it
//! when it may be kept.
//!
//! It belongs to nobody: the request that started it may go away. What it keeps it has checked
//! against the purges applied by then; and since every later look-up checks again, a response that
//! raced a purge is never served from the cache.

use std::sync::Arc;

use bytes::Bytes;
use caching::{Terms, Validators, Vary};
use futures_util::StreamExt;
use http::{HeaderName, StatusCode};
use model::limits::OBJECT_BYTES_MAX;
use model::object::Head;
use model::{CacheKey, LogPosition, Moment, Object, Tags};
use wire::exchange::Failure;

use crate::account::Source;
use crate::body::{BodyError, Chunk};
use crate::collapse::Places;
use crate::fill::{Brings, Fill, Opening, Sharing, Writer};
use crate::gate::{Judge, Proof};
use crate::lookup::{self, Copy, Entry};
use crate::renew::{self, Confirmed};
use crate::resume;
use crate::room::Room;
use crate::slice::Manifest;
use crate::walk::{self, Answered, Route};
use crate::want::{Effort, Want};
use crate::world::World;

mod large;

use large::Arranged;

/// Fetches what `want` names into `lead`'s fill. `stale` is a copy that may only need to be
/// revalidated.
pub(crate) async fn fetch(
    world: Arc<World>,
    want: Want,
    writer: Writer,
    places: Places,
    stale: Option<Arc<Entry>>,
) {
    let fill = writer.fill().clone();
    let want = &slices(&places, &world, want, stale.as_deref());
    let mut fetch = Fetch { world: &world, want, places, fill };
    let mut route = fetch.route();
    let question =
        stale.as_deref().and_then(Entry::copy).and_then(|copy| renew::question(&world, want, copy));
    let validators = question.as_ref().map(|question| &question.validators);
    let mut answered = walk::first_answer(&world, want, validators, &mut route).await;
    if let Ok(answer) = &answered
        && answer.head.status == StatusCode::NOT_MODIFIED
    {
        let renewed =
            match question.map(|question| renew::confirmed(&world, want, question, answer)) {
                Some(Confirmed::Purged) => return writer.overtaken(),
                Some(Confirmed::Good(copy, proof)) => {
                    let as_of = copy.object.head.as_of.min(answer.head.as_of);
                    fetch.renewed(stale.as_deref(), (as_of, copy.born_at, proof), answer)
                }
                Some(Confirmed::GoodAgain(as_of)) => {
                    let born_at = lookup::born_at(&answer.head);
                    fetch.renewed(stale.as_deref(), (as_of, born_at, None), answer)
                }
                Some(Confirmed::Another) | None => None,
            };
        if let Some(renewed) = renewed {
            return fetch.renew(writer, renewed, answer);
        }
        route = fetch.route();
        answered = walk::first_answer(&world, want, None, &mut route).await;
    }
    let arranged = match answered {
        Err(failure) => return writer.fail(failure),
        Ok(answer) if answer.head.status == StatusCode::NOT_MODIFIED => {
            return writer.fail(Failure::Unreachable);
        }
        Ok(answer) => fetch.arranged(answer, route).await,
    };
    match arranged {
        Err(failure) => writer.fail(failure),
        Ok(Arranged::Whole(answer, route)) => fetch.take(writer, route, answer).await,
        Ok(Arranged::Slice(answer, part)) => fetch.take_slice(writer, answer, part).await,
    }
}

/// What to ask for: one slice only of what may be kept, is not kept whole, and did not prove to be
/// indivisible.
fn slices(places: &Places, world: &World, want: Want, stale: Option<&Entry>) -> Want {
    let is_whole = matches!(stale, Some(Entry::Object(_)));
    let is_unsliceable = world.fills.is_unsliceable(&want.key, world.host.now());
    let may_ask = places.own.is_some() && !is_whole && !is_unsliceable;
    Want { slice: want.slice.filter(|_| may_ask), ..want }
}

struct Fetch<'a> {
    world: &'a World,
    want: &'a Want,
    places: Places,
    fill: Arc<Fill>,
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        let Places { own, variant, slice, .. } = self.places;
        for place in [own, variant, slice].into_iter().flatten() {
            self.world.fills.leave(place, &self.fill);
        }
    }
}

impl Fetch<'_> {
    fn route(&self) -> Route {
        match (self.places.own, self.want.effort) {
            (None, _) | (_, Effort::Anew) => Route::straight(self.world, self.want),
            (Some(_), Effort::Ordinary | Effort::PastCaches) => Route::plan(self.world, self.want),
        }
    }

    /// What a 304 makes of the stored `entry`: its content under a freshened head (RFC 9111
    /// §4.3.4), proven by that 304 unless an older `proof` is all there is. None if the slices of a
    /// large object cannot be found under that head any more.
    fn renewed(
        &self,
        entry: Option<&Entry>,
        (as_of, born_at, proof): (LogPosition, Moment, Option<Proof>),
        answer: &Answered,
    ) -> Option<Renewed> {
        let entry = entry?;
        let object = &entry.copy()?.object;
        let mut head = Head { as_of, ..caching::freshen(&object.head, &answer.head) };
        proof.into_iter().for_each(|proof| proof.weaken(&mut head, self.world.host.now()));
        let terms = self.terms(&head).ok();
        let is_manifest = matches!(entry, Entry::Manifest(_));
        if is_manifest {
            let etag = |head: &Head| Validators::strong(&head.headers).etag;
            terms.filter(|_| etag(&head).is_some() && etag(&head) == etag(&object.head))?;
        }
        // Rule R3: the union, since the content is the old one and the names are new.
        let tags = self.tags(&head).union(&object.tags);
        let object = Object { head, tags, ..object.clone() };
        Some(Renewed { object, terms, born_at, is_manifest })
    }

    /// A 304: the stored copy, renewed.
    fn renew(&mut self, writer: Writer, renewed: Renewed, answer: &Answered) {
        let Renewed { object, terms, born_at, is_manifest } = renewed;
        let sharing = match &terms {
            Some(_) => self.share(&object.head),
            None => Sharing::Nobody("not-storable-any-more"),
        };
        self.note_cacheability(object.head.status, sharing);
        let mut opening = Opening {
            head: object.head.clone(),
            tags: object.tags.clone(),
            effort: answer.effort,
            body_bytes: Some(object.body_bytes),
            trail: answer.trail.clone(),
            source: answer.source.clone(),
            sharing,
            revalidated: true,
            brings: Brings::Whole,
        };
        let body = object.body.clone();
        if let (Some(terms), Sharing::Variant(key)) = (terms, sharing) {
            let copy = Copy::new(object, terms).born_by(born_at);
            if is_manifest {
                let entry = Arc::new(Entry::Manifest(self.reusable(copy)));
                if let Some(manifest) = Manifest::of(key, &entry) {
                    opening.brings = Brings::Slice(manifest, None);
                }
                self.keep_entry(key, entry);
            } else {
                self.keep(key, copy);
            }
        }
        writer.open(opening);
        writer.append_all(&body);
        writer.complete();
    }

    fn tags(&self, head: &Head) -> Tags {
        caching::tags(&self.want.attributes.host, &head.headers).unwrap_or_default()
    }

    fn terms(&self, head: &Head) -> Result<Terms, caching::Unstorable> {
        self.want.terms(head)
    }

    /// Where the response belongs; signposts and running fills are put right before anyone reads
    /// it.
    fn share(&mut self, head: &Head) -> Sharing {
        let fields = match caching::vary(&head.headers) {
            Vary::None | Vary::Any => return Sharing::Variant(self.want.key),
            Vary::Fields(fields) => fields,
        };
        let key = caching::variant_key(&self.want.key, &fields, &self.want.headers);
        self.keep_signpost(fields);
        let (_, rank, audience) = self.places.looked_at;
        let place = (key, rank, audience);
        if self.places.own.is_some_and(|own| own != place) {
            self.world.fills.also_at(place, &self.fill);
            self.places.variant = Some(place);
        }
        Sharing::Variant(key)
    }

    fn keep_signpost(&self, fields: Vec<HeaderName>) {
        let known = self.world.store.find(&self.want.key);
        let same = match known.as_deref() {
            Some(Entry::Varies(known)) => **known == *fields,
            Some(Entry::Object(_) | Entry::Manifest(_) | Entry::Slice(_) | Entry::Encoded(_))
            | None => false,
        };
        if !same {
            let signpost = Entry::Varies(fields.into_boxed_slice());
            self.world.store.keep(self.want.key, Arc::new(signpost));
        }
    }

    /// A response: streams it into the fill, and keeps it if it may be kept and is still whole in
    /// memory at its end.
    async fn take(&mut self, writer: Writer, route: Route, answer: Answered) {
        let terms = self.terms(&answer.head);
        let sharing = match &terms {
            Ok(_) => self.share(&answer.head),
            Err(reason) => Sharing::Nobody(reason.as_str()),
        };
        self.note_cacheability(answer.head.status, sharing);
        let tags = self.tags(&answer.head);
        let opening = Opening {
            head: answer.head.clone(),
            tags: tags.clone(),
            effort: answer.effort,
            body_bytes: answer.body_bytes,
            trail: answer.trail.clone(),
            source: answer.source.clone(),
            sharing,
            revalidated: false,
            brings: Brings::Whole,
        };
        let expected = answer.body_bytes.unwrap_or(0);
        let is_wanted = terms.is_ok() && expected <= OBJECT_BYTES_MAX;
        let mut room = match is_wanted {
            true => Room::wanted(&self.world.fills),
            false => Room::none(&self.world.fills),
        };
        if !is_wanted {
            writer.stop_retaining();
        }
        writer.open(opening);
        let mut keeping = match (terms, sharing) {
            (Ok(terms), Sharing::Variant(key)) => Some(Keeping { key, terms, tags }),
            (Ok(_) | Err(_), _) => None,
        };
        let pumped = self.pump(&writer, &mut room, &mut keeping, route, answer);
        match pumped.await {
            Ok(()) => writer.complete(),
            Err(Unfinished::GivenUp) => writer.give_up(),
            Err(Unfinished::Broken) => {}
        }
    }

    /// A failing origin is no reason to let everyone at it: only what it says of content counts.
    fn note_cacheability(&self, status: StatusCode, sharing: Sharing) {
        let place = self.places.looked_at;
        match sharing {
            Sharing::Nobody(_) if caching::is_failure(status) => {}
            Sharing::Nobody(_) => {
                self.world.fills.mark_uncacheable(place, self.world.host.now());
            }
            Sharing::Variant(_) => self.world.fills.unmark(place),
        }
    }

    /// Moves the body into the fill, and keeps the object before its last byte is out: whoever has
    /// all of it finds it in the cache.
    async fn pump(
        &self,
        writer: &Writer,
        room: &mut Room<'_>,
        keeping: &mut Option<Keeping>,
        mut route: Route,
        answer: Answered,
    ) -> Result<(), Unfinished> {
        let Answered { mut head, mut body, source, .. } = answer;
        let expected = self.expected_bytes(&head);
        let mut resumes = resume::ATTEMPTS_MAX;
        let unfinished = match source {
            Source::Origin => Unfinished::GivenUp,
            Source::Here | Source::Peer(..) => Unfinished::Broken,
        };
        loop {
            let broken = match body.next().await {
                Some(Ok(Chunk::Data(chunk))) => {
                    if !room.take(chunk.len() as u64) {
                        writer.stop_retaining();
                    }
                    if expected == Some(writer.written_bytes() + chunk.len() as u64) {
                        self.keep_whole(keeping, &head, writer.retained_and(chunk.clone()));
                    }
                    writer.push(chunk).await.map_err(|_| Unfinished::Broken)?;
                    false
                }
                Some(Ok(Chunk::Trailers(_))) => false,
                end @ (None | Some(Err(_))) => {
                    let is_whole = match expected {
                        Some(bytes) => bytes == writer.written_bytes(),
                        None => end.is_none(),
                    };
                    if is_whole {
                        self.keep_whole(keeping, &head, writer.retained());
                        return Ok(());
                    }
                    if matches!(end, Some(Err(BodyError::GivenUp))) {
                        return Err(Unfinished::GivenUp);
                    }
                    true
                }
            };
            if broken {
                resumes = resumes.checked_sub(1).ok_or(unfinished)?;
                let rest = resume::rest(self.world, self.want, writer, &head, &mut route).await;
                let rest = rest.ok_or(unfinished)?;
                // Rule R3: the least of what is known of the parts.
                head.as_of = head.as_of.min(rest.as_of);
                rest.proof.weaken(&mut head, self.world.host.now());
                body = rest.body;
            }
        }
    }

    fn expected_bytes(&self, head: &Head) -> Option<u64> {
        let length = head.headers.get(http::header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    /// Keeps the object if it may be kept and is still whole in memory.
    fn keep_whole(&self, keeping: &mut Option<Keeping>, head: &Head, chunks: Option<Vec<Bytes>>) {
        let (Some(Keeping { key, terms, tags }), Some(chunks)) = (keeping.take(), chunks) else {
            return;
        };
        let head = head.clone();
        let body_bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let attributes = self.want.kept.clone();
        let object = Object { attributes, tags, head, body: chunks.into(), body_bytes };
        self.keep(key, Copy::new(object, terms));
    }

    /// Keeps `copy`, less what of it is not for reuse, unless it was purged meanwhile.
    fn keep(&self, key: CacheKey, copy: Copy) {
        let copy = self.reusable(copy);
        self.keep_entry(key, Arc::new(Entry::Object(copy)));
    }

    fn reusable(&self, mut copy: Copy) -> Copy {
        if let Some(headers) = self.want.reusable(&copy.object.head) {
            copy.object.head.headers = headers;
        }
        copy
    }

    fn keep_entry(&self, key: CacheKey, entry: Arc<Entry>) {
        let Some(Copy { object, born_at, .. }) = entry.copy() else { return };
        let judge = Judge::new(self.world, self.want);
        let is_worse = caching::is_failure(object.head.status)
            && lookup::outlives_failures(self.world, self.want, key);
        if !is_worse && judge.lets_keep(object.head.as_of, &object.tags, *born_at) {
            self.world.store.keep(key, entry);
        }
    }
}

/// What a 304 makes of a copy.
struct Renewed {
    object: Object,
    terms: Option<Terms>,
    born_at: Moment,
    is_manifest: bool,
}

/// Why a body is not whole.
#[derive(Clone, Copy)]
enum Unfinished {
    /// It broke off on its way, or nobody reads it any more.
    Broken,
    /// It broke off at the origin, and again when the origin was asked again.
    GivenUp,
}

/// Where an object is to be kept, and on what terms.
struct Keeping {
    key: CacheKey,
    terms: Terms,
    tags: Tags,
}
