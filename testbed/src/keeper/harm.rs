//! Doing harm and undoing it. What is active is kept in one list; the matrix is drawn from it, and
//! a node starts again only when nothing in the list holds it down.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::StatusCode;
use model::NodeName;
use shoal::local::Origin;

use super::Keeper;
use crate::control::Active;
use crate::crew;
use crate::disk;
use crate::fault::Fault;

impl Keeper {
    /// Does it; ends it by itself after `last`, if it is to last and not for ever.
    pub(super) async fn inflict(
        self: &Arc<Self>,
        fault: Fault,
        whom: Vec<NodeName>,
        last: Option<Duration>,
    ) -> anyhow::Result<u64> {
        self.check(&fault, &whom)?;
        let id = self.next_id();
        for (done, name) in whom.iter().enumerate() {
            let Err(error) = self.harm(&fault, name).await else { continue };
            // Half a fault, which nobody could heal, is none.
            for name in &whom[..=done] {
                drop(self.mend(&fault, name).await);
            }
            return Err(error.context(format!("{} {name}", fault.word())));
        }
        if !fault.lasts() {
            return Ok(id);
        }
        self.active().insert(id, Active { id, fault, whom });
        self.redraw();
        if let Some(last) = last {
            let keeper = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(last).await;
                // What was healed by hand meanwhile is not there any more.
                drop(keeper.heal(Some(id)).await);
            });
        }
        Ok(id)
    }

    /// Whether it can be done to them here.
    fn check(&self, fault: &Fault, whom: &[NodeName]) -> anyhow::Result<()> {
        let word = fault.word();
        let (nodes, origins) = fault.suits();
        for name in whom {
            match self.origins.contains_key(name) {
                true => ensure!(origins, "{name} is an origin: {word} is for nodes"),
                false => ensure!(nodes, "{name} is a node: {word} is for origins"),
            }
        }
        let only_origins = whom.iter().all(|name| self.origins.contains_key(name));
        ensure!(
            !(fault.is_network() && only_origins) || self.scene.is_tunnelled(),
            "{word}: the process backend has no link to origins that could break (kill, \
             origin-error and origin-slow are there)"
        );
        Ok(())
    }

    /// Ends one fault, or all; how many that were.
    pub(super) async fn heal(&self, id: Option<u64>) -> anyhow::Result<usize> {
        let ended: Vec<Active> = {
            let mut active = self.active();
            let ids: Vec<u64> = match id {
                Some(id) => vec![id],
                None => active.keys().copied().collect(),
            };
            ids.iter().filter_map(|id| active.remove(id)).collect()
        };
        self.redraw();
        let count = ended.len();
        for Active { fault, whom, .. } in ended {
            for name in &whom {
                self.mend(&fault, name)
                    .await
                    .with_context(|| format!("{} {name}", fault.word()))?;
            }
        }
        Ok(count)
    }

    fn redraw(&self) {
        let nodes = self.scene.nodes.iter().map(|place| place.name.clone());
        let origins = self.scene.origins.iter().map(|origin| origin.name.clone());
        let members: Vec<NodeName> = nodes.chain(origins).collect();
        let mut matrix = self.usual.clone();
        for Active { fault, whom, .. } in self.active().values() {
            fault.draw(&mut matrix, whom, &members);
        }
        *self.matrix.write().unwrap_or_else(PoisonError::into_inner) = matrix;
    }

    /// Whether something active of this kind holds `name`.
    fn is_held(&self, word: &str, name: &NodeName) -> bool {
        let active = self.active();
        active.values().any(|active| active.fault.word() == word && active.whom.contains(name))
    }

    async fn harm(&self, fault: &Fault, name: &NodeName) -> anyhow::Result<()> {
        let mut crew = self.crew.lock().await;
        match fault {
            Fault::Kill if self.origins.contains_key(name) => {
                self.origin(name)?.close();
                Ok(())
            }
            Fault::Kill => crew.kill(name).await,
            Fault::Pause => crew.freeze(name).await,
            Fault::Restart => {
                crew.kill(name).await?;
                crew.start(name).await
            }
            Fault::Rolling => {
                drop(crew);
                self.roll_over(name).await
            }
            Fault::Upgrade { program } => {
                crew.set_program(name, program)?;
                drop(crew);
                self.roll_over(name).await
            }
            Fault::DiskFull => disk::fill(&self.scene.home(name)),
            Fault::SlowDisk { pace } => {
                if let Some(why) = disk::lacks_pace() {
                    bail!("disks cannot be slow here: {why}");
                }
                crew.set_disk(name, Some(*pace))
            }
            Fault::Clock { rate } => {
                crew.set_clock(name, Some(*rate))?;
                crew.kill(name).await?;
                crew.start(name).await
            }
            Fault::OriginError => {
                self.origin(name)?.ail(Some(StatusCode::SERVICE_UNAVAILABLE));
                Ok(())
            }
            Fault::OriginSlow { delay_ms } => {
                self.origin(name)?.delay(Duration::from_millis(*delay_ms));
                Ok(())
            }
            Fault::Partition | Fault::Isolate { .. } | Fault::Slow { .. } | Fault::Loss { .. } => {
                Ok(())
            }
        }
    }

    async fn mend(&self, fault: &Fault, name: &NodeName) -> anyhow::Result<()> {
        let mut crew = self.crew.lock().await;
        match fault {
            Fault::Kill if self.is_held("kill", name) => Ok(()),
            Fault::Kill if self.origins.contains_key(name) => self.origin(name)?.open(),
            Fault::Kill => crew.start(name).await,
            Fault::Pause if !self.is_held("pause", name) => crew.thaw(name).await,
            Fault::DiskFull if !self.is_held("disk-full", name) => {
                disk::free(&self.scene.home(name));
                // A node that could not write its log may have given up.
                crew.kill(name).await?;
                match self.is_held("kill", name) {
                    true => Ok(()),
                    false => crew.start(name).await,
                }
            }
            Fault::Clock { .. } => {
                crew.set_clock(name, None)?;
                crew.kill(name).await?;
                match self.is_held("kill", name) {
                    true => Ok(()),
                    false => crew.start(name).await,
                }
            }
            Fault::OriginError | Fault::OriginSlow { .. } => {
                if let Some(origin) = self.origins.get(name) {
                    origin.delay(Duration::ZERO);
                    origin.ail(None);
                }
                Ok(())
            }
            Fault::SlowDisk { .. } if !self.is_held("slow-disk", name) => crew.set_disk(name, None),
            Fault::Pause
            | Fault::DiskFull
            | Fault::SlowDisk { .. }
            | Fault::Restart
            | Fault::Rolling
            | Fault::Upgrade { .. }
            | Fault::Partition
            | Fault::Isolate { .. }
            | Fault::Slow { .. }
            | Fault::Loss { .. } => Ok(()),
        }
    }

    fn origin(&self, name: &NodeName) -> anyhow::Result<&Origin> {
        self.origins.get(name).with_context(|| format!("{name} is no origin"))
    }

    /// In good order, out and in again.
    async fn roll_over(&self, name: &NodeName) -> anyhow::Result<()> {
        {
            let mut crew = self.crew.lock().await;
            crew.end(name).await?;
            crew.start(name).await?;
        }
        crew::ready(&self.scene, self.scene.node(name.as_str())?).await
    }
}
