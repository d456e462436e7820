//! The cache, as the command story acts upon it: what a purge stops, removes, or would remove.

use std::sync::{Arc, OnceLock, Weak};

use model::Invalidation;
use serve::World;
use wire::exchange::{Finding, Sample};

/// The request story's world, once there is one. It holds the command story, and so is held weakly.
#[derive(Default)]
pub(crate) struct Stock(OnceLock<Weak<World>>);

impl Stock {
    /// The world to act upon.
    pub(crate) fn connect(&self, world: &Arc<World>) {
        self.0.get_or_init(|| Arc::downgrade(world));
    }

    fn world(&self) -> Option<Arc<World>> {
        self.0.get()?.upgrade()
    }
}

impl follow::Cache for Stock {
    fn stop_old(&self) -> u64 {
        self.world().map_or(0, |world| serve::stop_old(&world))
    }

    fn plan(&self, purge: &Invalidation) -> (u64, u64) {
        self.world().map_or((0, 0), |world| serve::plan_purge(&world, purge))
    }

    fn judge(&self, sample: &Sample) -> Finding {
        self.world().map_or(Finding::Unknown, |world| serve::judge(&world, sample))
    }
}
