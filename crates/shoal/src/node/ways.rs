//! The ways that a request may go up are open before it comes: dialled ahead, and again when lost.
//!
//! When an owner dies, who asked it turns to the next one. To shake hands only then would cost
//! three round trips more, most of a second between continents.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use membership::Neighbours;
use model::{Member, NodeName, Tier};
use serve::{Members, Mesh};
use transport::{Links, Target};

/// Between two looks at who is there.
const EVERY: Duration = Duration::from_secs(2);
/// Connections kept open in case; a mesh with more owners than that dials the others when needed.
const WAYS_MAX: usize = 64;

/// Keeps them open.
pub(super) async fn keep(links: Links, neighbours: Arc<Neighbours>, me: Member) {
    loop {
        let open = ways(&neighbours.mesh(), &me).into_iter().map(|name| {
            let links = links.clone();
            // Whoever cannot be reached is doubted, and that is all there is to do about it.
            async move { drop(links.prepare(&Target::Node(name)).await) }
        });
        join_all(open).await;
        tokio::time::sleep(EVERY).await;
    }
}

/// Whom a request at `me` may go to: the regionals of its region and all shields.
fn ways(mesh: &Mesh, me: &Member) -> Vec<NodeName> {
    let asked = |other: &&Member| {
        let is_regional = other.tiers.contains(Tier::Regional) && other.region == me.region;
        other.name != me.name && (is_regional || other.tiers.contains(Tier::Shield))
    };
    let seat = |other: &&Member| mesh.view.seat_of(&other.name);
    let is_alive = |other: &&Member| seat(other).is_some_and(|seat| mesh.is_alive(seat));
    let others = mesh.view.members().iter().filter(asked).filter(is_alive);
    others.map(|other| other.name.clone()).take(WAYS_MAX).collect()
}
