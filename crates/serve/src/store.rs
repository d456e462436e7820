//! The fetch itself: a task that walks up the tiers, streams what comes into a fill, and keeps it
//! when it may be kept.
//!
//! It belongs to nobody: the request that started it may go away. What it keeps it has checked
//! against the purges applied by then; and since every later look-up checks again, a response that
//! raced a purge is never served from the cache.

use std::sync::Arc;

use bytes::Bytes;
use caching::{Terms, Vary};
use futures_util::StreamExt;
use http::{HeaderName, StatusCode};
use model::limits::OBJECT_BYTES_MAX;
use model::object::Head;
use model::{CacheKey, LogPosition, Moment, Object, Tags};
use wire::exchange::Failure;

use crate::body::Chunk;
use crate::collapse::{Fills, Lead, Place};
use crate::fill::{Fill, Opening, Sharing, Writer};
use crate::gate::Judge;
use crate::lookup::{self, Copy, Entry};
use crate::renew::{self, Confirmed};
use crate::resume;
use crate::walk::{self, Answered, Route};
use crate::want::{Effort, Want};
use crate::world::World;

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
    let mut fetch = Fetch { world: &world, want: &want, places, fill };
    let mut route = fetch.route();
    let question = stale
        .as_deref()
        .and_then(Entry::copy)
        .and_then(|copy| renew::question(&world, &want, copy));
    let validators = question.as_ref().map(|question| &question.validators);
    let mut answered = walk::first_answer(&world, &want, validators, &mut route).await;
    if let Ok(answer) = &answered
        && answer.head.status == StatusCode::NOT_MODIFIED
    {
        match question.map(|question| renew::confirmed(&world, &want, question, answer)) {
            Some(Confirmed::Purged) => return writer.overtaken(),
            Some(Confirmed::Good(copy)) => {
                let as_of = copy.object.head.as_of.min(answer.head.as_of);
                return fetch.renew(writer, copy, (as_of, copy.born_at), answer);
            }
            Some(Confirmed::GoodAgain(copy, as_of)) => {
                let born_at = lookup::born_at(&answer.head);
                return fetch.renew(writer, copy, (as_of, born_at), answer);
            }
            Some(Confirmed::Another) | None => {
                route = fetch.route();
                answered = walk::first_answer(&world, &want, None, &mut route).await;
            }
        }
    }
    match answered {
        Err(failure) => fetch.give_up(writer, failure),
        Ok(answer) if answer.head.status == StatusCode::NOT_MODIFIED => {
            fetch.give_up(writer, Failure::Unreachable);
        }
        Ok(answer) => fetch.take(writer, route, answer).await,
    }
}

/// Where others find the fill.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    /// Where it was started; nowhere if the resource is known to be uncacheable.
    pub(crate) own: Option<Place>,
    /// Where requests of this variant look for a fill, and for a mark that there is none to share.
    pub(crate) looked_at: Place,
    /// Where its variant belongs, once known to differ.
    pub(crate) variant: Option<Place>,
}

impl Places {
    /// The places of a fetch that has just been started.
    pub(crate) fn of(lead: &Lead) -> Places {
        Places { own: lead.place, looked_at: lead.looked_at, variant: None }
    }
}

struct Fetch<'a> {
    world: &'a World,
    want: &'a Want,
    places: Places,
    fill: Arc<Fill>,
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        for place in [self.places.own, self.places.variant].into_iter().flatten() {
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

    fn give_up(&self, writer: Writer, failure: Failure) {
        writer.fail(failure);
    }

    /// A 304: the stored body under a freshened head (RFC 9111 §4.3.4).
    fn renew(
        &mut self,
        writer: Writer,
        copy: &Copy,
        (as_of, born_at): (LogPosition, Moment),
        answer: &Answered,
    ) {
        let head = Head { as_of, ..caching::freshen(&copy.object.head, &answer.head) };
        let terms = self.terms(&head).ok();
        // Rule R3: the union, since the content is the old one and the names are new.
        let tags = self.tags(&head).union(&copy.object.tags);
        let object = Object { head: head.clone(), tags: tags.clone(), ..copy.object.clone() };
        let sharing = match &terms {
            Some(_) => self.share(&head),
            None => Sharing::Nobody("not-storable-any-more"),
        };
        self.note_cacheability(head.status, sharing);
        let opening = Opening {
            head,
            tags,
            effort: answer.effort,
            body_bytes: Some(object.body_bytes),
            trail: answer.trail.clone(),
            source: answer.source.clone(),
            sharing,
            revalidated: true,
        };
        let body = object.body.clone();
        if let (Some(terms), Sharing::Variant(key)) = (terms, sharing) {
            self.keep(key, Copy::new(object, terms).born_by(born_at));
        }
        writer.open(opening);
        writer.append_all(&body);
        writer.complete();
    }

    fn tags(&self, head: &Head) -> Tags {
        caching::tags(&self.want.attributes.host, &head.headers).unwrap_or_default()
    }

    fn terms(&self, head: &Head) -> Result<Terms, caching::Unstorable> {
        let behavior = self.want.behavior();
        let asked = policy::beyond_the_key(behavior, &self.want.headers);
        let (method, policy) = (self.want.method(), &behavior.cache_policy);
        caching::storable(&method, &asked, head.status, &head.headers, policy)
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
            Some(Entry::Object(_)) | None => false,
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
        };
        let expected = answer.body_bytes.unwrap_or(0);
        let is_wanted = terms.is_ok() && expected <= OBJECT_BYTES_MAX;
        let mut room = Room { fills: &self.world.fills, bytes: 0, is_wanted };
        if !is_wanted {
            writer.stop_retaining();
        }
        writer.open(opening);
        let mut keeping = match (terms, sharing) {
            (Ok(terms), Sharing::Variant(key)) => Some(Keeping { key, terms, tags }),
            (Ok(_) | Err(_), _) => None,
        };
        let pumped = self.pump(&writer, &mut room, &mut keeping, route, answer);
        if pumped.await.is_some() {
            writer.complete();
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
    /// all of it finds it in the cache. `None` means that the body is not whole.
    async fn pump(
        &self,
        writer: &Writer,
        room: &mut Room<'_>,
        keeping: &mut Option<Keeping>,
        mut route: Route,
        answer: Answered,
    ) -> Option<()> {
        let Answered { mut head, mut body, .. } = answer;
        let expected = self.expected_bytes(&head);
        let mut resumes = resume::ATTEMPTS_MAX;
        loop {
            let broken = match body.next().await {
                Some(Ok(Chunk::Data(chunk))) => {
                    if room.is_wanted && !room.grow(chunk.len() as u64) {
                        writer.stop_retaining();
                        room.give_back();
                    }
                    if expected == Some(writer.written_bytes() + chunk.len() as u64) {
                        self.keep_whole(keeping, &head, writer.retained_and(chunk.clone()));
                    }
                    writer.push(chunk).await.ok()?;
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
                        return Some(());
                    }
                    true
                }
            };
            if broken {
                resumes = resumes.checked_sub(1)?;
                let rest = resume::rest(self.world, self.want, writer, &head, &mut route).await?;
                // Rule R3: the least of what is known of the parts.
                head.as_of = head.as_of.min(rest.as_of);
                let now = self.world.host.now();
                let older = rest.proof.age_at(now).saturating_sub(head.proof_age_at(now));
                head.proof_age = head.proof_age.saturating_add(older);
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
    fn keep(&self, key: CacheKey, mut copy: Copy) {
        if let Some(headers) = self.want.reusable(&copy.object.head) {
            copy.object.head.headers = headers;
        }
        let Object { head, tags, .. } = &copy.object;
        if Judge::new(self.world, self.want).lets_keep(head.as_of, tags, copy.born_at) {
            self.world.store.keep(key, Arc::new(Entry::Object(copy)));
        }
    }
}

/// Where an object is to be kept, and on what terms.
struct Keeping {
    key: CacheKey,
    terms: Terms,
    tags: Tags,
}

/// The share of the node's memory for bodies in flight that one fetch has taken.
struct Room<'a> {
    fills: &'a Fills,
    bytes: u64,
    is_wanted: bool,
}

impl Room<'_> {
    fn give_back(&mut self) {
        self.fills.release(self.bytes);
        self.bytes = 0;
        self.is_wanted = false;
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let fits = self.bytes + bytes <= OBJECT_BYTES_MAX && self.fills.reserve(bytes);
        if fits {
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.fills.release(self.bytes);
    }
}
