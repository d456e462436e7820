//! Confirm: how fresh is what this node knows. Ready means caught up with what its source had when
//! it was first heard.
//!
//! (Leases and fencing take their place here: this is where a node learns the age of its
//! knowledge.)

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::LogPosition;

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    head: LogPosition,
    goal: Option<LogPosition>,
}

/// What is known of the log's head.
#[derive(Debug, Default)]
pub struct Confirm(Mutex<Heard>);

impl Confirm {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source says how far it is.
    pub fn hear(&self, head: LogPosition) {
        let mut heard = self.lock();
        heard.head = heard.head.max(head);
        heard.goal.get_or_insert(head);
    }

    /// The furthest position that any source spoke of.
    pub fn head(&self) -> LogPosition {
        self.lock().head
    }

    /// Whether `applied` is as far as the first source heard was then.
    pub fn is_caught_up(&self, applied: LogPosition) -> bool {
        self.lock().goal.is_some_and(|goal| applied >= goal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_heard_nobody_is_not_caught_up() {
        let confirm = Confirm::default();
        let at = |index| LogPosition::new(0, index);
        assert!(!confirm.is_caught_up(at(9)));
        confirm.hear(at(5));
        assert!(!confirm.is_caught_up(at(4)));
        assert!(confirm.is_caught_up(at(5)));
        confirm.hear(at(9));
        assert!(confirm.is_caught_up(at(5)), "readiness is not lost to traffic");
        assert_eq!(confirm.head(), at(9));
    }
}
