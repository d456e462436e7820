//! Beginning a fetch: for a request that waits, or in the background for a copy that was served
//! stale.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::collapse::{self, Company, Lead, Turn};
use crate::fill::Reader;
use crate::lookup::Found;
use crate::store;
use crate::want::Want;
use crate::world::World;

/// Starts the fetch that `lead` stands for, as a task of its own; the caller reads along.
pub(crate) fn begin(world: &Arc<World>, want: &Want, lead: Lead, found: &Found) -> Reader {
    let places = collapse::Places::of(&lead);
    let Lead { writer, reader, .. } = lead;
    let want = Want { effort: found.effort(want), ..want.clone() };
    let task = store::fetch(world.clone(), want, writer, places, found.copy.clone());
    world.host.spawn(task.boxed());
    reader
}

/// Renews a stale copy behind the viewer's back, unless that is under way already (RFC 5861 §3).
pub(crate) fn later(world: &Arc<World>, want: &Want, found: &Found) {
    match collapse::join(world, want, found, Company::Any) {
        Turn::Follow(_) | Turn::LookAgain => {}
        Turn::Lead(lead) => {
            let want = Want { interim: None, ..want.clone() };
            drop(begin(world, &want, lead, found));
        }
    }
}
