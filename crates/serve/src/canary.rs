//! The canary: now and then a hit is shown to the shield owner of its key, which says by its own
//! map and its own copy whether it was right to serve it.
//!
//! It changes nothing about the answer: a violation is for people to hear of.

use std::sync::Arc;

use bytes::Bytes;
use http::header::ETAG;
use model::NodeName;
use wire::exchange::Sample;

use crate::obtained::Obtained;
use crate::walk::Route;
use crate::want::Want;
use crate::world::World;

/// Offers what is about to be served from the cache to the journal, if it wants a sample.
pub(crate) fn offer(world: &Arc<World>, want: &Want, obtained: &Obtained) {
    let Some(entry) = obtained.kept() else { return };
    if !world.journal.wants_sample() {
        return;
    }
    let (Some(copy), Some(owner)) = (entry.copy(), owner(world, want)) else { return };
    let object = &copy.object;
    let etag = object.head.headers.get(ETAG);
    let sample = Sample {
        distribution: object.attributes.distribution.clone(),
        host: object.attributes.host.clone(),
        path: object.attributes.path.clone(),
        tags: object.tags.marks().to_vec(),
        as_of: object.head.as_of,
        applied: obtained.permit().judged_at(),
        etag: etag.map_or(Bytes::new(), |etag| Bytes::copy_from_slice(etag.as_bytes())),
    };
    world.journal.sample(owner, sample);
}

/// The shield owner, if it is another node.
fn owner(world: &World, want: &Want) -> Option<NodeName> {
    Route::plan(world, want).shield()
}
