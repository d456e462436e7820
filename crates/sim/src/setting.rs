//! The setting: what everything in the pretend world holds in common.
//!
//! Time, the seed's decisions and the two records of a run, behind one pointer. Only the records
//! are ever written to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::NodeName;

use crate::executor::Clock;
use crate::history::History;
use crate::scenario::Scenario;
use crate::trace::Trace;

/// Time, the seed's decisions, and the two records of a run.
pub(crate) struct Setting {
    /// Time and tasks.
    pub(crate) clock: Clock,
    /// What happens, hashed.
    pub(crate) trace: Arc<Trace>,
    /// What the seed decided.
    pub(crate) scenario: Scenario,
    /// What the checkers read.
    pub(crate) history: History,
}

impl Setting {
    /// The time since the run began.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Notes an event.
    pub(crate) fn note(&self, event: fmt::Arguments<'_>) {
        self.trace.note(self.clock.now(), event);
    }

    /// What `node` is called.
    pub(crate) fn name(&self, node: usize) -> &NodeName {
        &self.scenario.members[node].name
    }
}
