//! Going on after a body broke off: the next hop is asked for the same response, and what was
//! already sent is skipped.
//!
//! It must be the same response: its strong `ETag` agrees, or all its fields do, and what is still
//! retained is compared byte for byte, so that readers see one version from end to end (rule R3).
//! Without retained bytes only a strong `ETag` will do.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::HeaderName;
use http::header::{AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, VIA};
use model::LogPosition;
use model::object::Head;

use crate::body::{BodyStream, Chunk};
use crate::fill::Writer;
use crate::gate::{Judge, Proof};
use crate::walk::{self, Answered, Route};
use crate::want::Want;
use crate::world::World;

/// How often one body may be picked up again.
pub(crate) const ATTEMPTS_MAX: u32 = 3;

/// What is left of a body.
pub(crate) struct Rest {
    /// The position that the new response reflects.
    pub(crate) as_of: LogPosition,
    /// Since when it is proven.
    pub(crate) proof: Proof,
    /// The bytes after those already written.
    pub(crate) body: BodyStream,
}

impl Rest {
    fn of(head: &Head, body: BodyStream) -> Rest {
        Rest { as_of: head.as_of, proof: Proof::of(head), body }
    }
}

/// The rest of the body that `writer` has the beginning of; `None` if nobody has the same response.
pub(crate) async fn rest(
    world: &World,
    want: &Want,
    writer: &Writer,
    head: &Head,
    route: &mut Route,
) -> Option<Rest> {
    // The head is on its way already, and says what all of the body must reflect.
    let want = &Want { applied: want.applied.max(head.as_of), slice: None, ..want.clone() };
    let answered = match walk::first_answer(world, want, None, route).await {
        Ok(answered) => answered,
        Err(_) => {
            let mut straight = Route::straight(world, want);
            walk::first_answer(world, want, None, &mut straight).await.ok()?
        }
    };
    let same = is_same_response(head, &answered.head);
    // Rule R3: what goes out is known under the first part's tags.
    let known = caching::tags(&want.attributes.host, &head.headers).ok()?;
    let tags = caching::tags(&want.attributes.host, &answered.head.headers).ok()?;
    if !same || known.union(&tags) != known {
        return None;
    }
    if !Judge::new(world, want).is_current(answered.head.as_of, &tags) {
        return None;
    }
    match writer.retained() {
        Some(written) => after(answered, written).await,
        None if has_strong_etag(head) => after_bytes(answered, writer.written_bytes()).await,
        None => None,
    }
}

/// A strong `ETag` names the representation (RFC 9110 §8.8.1); without one every field has to agree
/// but those that tell when and which way a message went.
fn is_same_response(first: &Head, second: &Head) -> bool {
    const OF_THE_MESSAGE: [HeaderName; 3] = [AGE, DATE, VIA];
    const OF_THE_BODY: [HeaderName; 4] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG];
    let (one, two) = (&first.headers, &second.headers);
    let agree = |name: &HeaderName| one.get_all(name).iter().eq(two.get_all(name));
    let told = |name: &&HeaderName| !OF_THE_MESSAGE.contains(name);
    first.status == second.status
        && match has_strong_etag(first) {
            true => OF_THE_BODY.iter().all(agree),
            false => one.keys().chain(two.keys()).filter(told).all(agree),
        }
}

fn has_strong_etag(head: &Head) -> bool {
    head.headers.get(ETAG).is_some_and(|etag| etag.as_bytes().starts_with(b"\""))
}

/// Skips `written` in the new body, as long as it is the same.
async fn after(answered: Answered, written: Vec<Bytes>) -> Option<Rest> {
    let mut body = answered.body;
    let mut left = Bytes::new();
    for expected in written {
        let mut expected = expected.as_ref();
        while !expected.is_empty() {
            if left.is_empty() {
                left = next_data(&mut body).await?;
                continue;
            }
            let length = expected.len().min(left.len());
            let (head, tail) = expected.split_at(length);
            if head != left.split_to(length) {
                return None;
            }
            expected = tail;
        }
    }
    Some(Rest::of(&answered.head, prepend(left, body)))
}

async fn after_bytes(answered: Answered, mut skip: u64) -> Option<Rest> {
    let mut body = answered.body;
    loop {
        let mut chunk = next_data(&mut body).await?;
        let skipped = skip.min(chunk.len() as u64);
        let left = chunk.split_off(usize::try_from(skipped).ok()?);
        skip -= skipped;
        if skip == 0 {
            return Some(Rest::of(&answered.head, prepend(left, body)));
        }
    }
}

async fn next_data(body: &mut BodyStream) -> Option<Bytes> {
    loop {
        match body.next().await? {
            Ok(Chunk::Data(data)) => return Some(data),
            Ok(Chunk::Trailers(_)) => {}
            Err(_) => return None,
        }
    }
}

fn prepend(left: Bytes, body: BodyStream) -> BodyStream {
    if left.is_empty() { body } else { stream::iter([Ok(Chunk::Data(left))]).chain(body).boxed() }
}
