//! Batch: commands that reach the leader while one entry is on its way into the log share the next
//! one, and with it a round to a majority and a sync of its disks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use model::limits::{COMMAND_BYTES_MAX, COMMANDS_PER_ENTRY_MAX};
use model::{LogPosition, Moment};
use wire::log::Entry;

use crate::Follow;
use crate::apply::split_outcomes;
use crate::ports::ProposeError;
use crate::signal::Signal;

/// One proposal is given up after this long, so that a deposed leader's silence does not use up the
/// whole deadline.
const PROPOSE: Duration = Duration::from_secs(4);
/// Commands that wait for the next entry; more are turned away.
const QUEUE_MAX: usize = 16 * COMMANDS_PER_ENTRY_MAX;

/// Where a command stands in the log, and what applying it said, encoded.
pub(crate) type Proposed = Result<(LogPosition, Bytes), ProposeError>;

struct Waiting {
    command: Bytes,
    answer: Arc<Mutex<Option<Proposed>>>,
}

/// The commands that wait.
#[derive(Default)]
pub(crate) struct Batch {
    queue: Mutex<VecDeque<Waiting>>,
    changed: Signal,
}

impl Batch {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As many of the oldest as one entry takes.
    fn next(&self) -> Vec<Waiting> {
        let mut queue = self.lock();
        let mut bytes = 0;
        let mut fits = |waiting: &Waiting| {
            bytes += waiting.command.len() + 16;
            bytes <= COMMAND_BYTES_MAX
        };
        let count = queue.iter().take(COMMANDS_PER_ENTRY_MAX).take_while(|w| fits(w)).count();
        let least = count.max(1).min(queue.len());
        queue.drain(..least).collect()
    }
}

/// Puts `command` into the log with whatever else waits; this node must lead.
pub(crate) async fn propose(node: &Follow, command: Bytes, deadline: Moment) -> Proposed {
    let answer = Arc::new(Mutex::default());
    {
        let mut queue = node.batch.lock();
        if queue.len() >= QUEUE_MAX {
            let reason = "too many commands wait for the log: slow down and try again";
            return Err(ProposeError::Refused(reason.into()));
        }
        queue.push_back(Waiting { command, answer: answer.clone() });
    }
    node.batch.changed.notify();
    let answered = || answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    let timeout = node.host.sleep(node.left_until(deadline));
    match select(node.batch.changed.until(answered), timeout).await {
        Either::Left((proposed, _)) => proposed,
        Either::Right(_) => Err(ProposeError::NoQuorum("the deadline passed".into())),
    }
}

/// Proposes what waits, entry after entry, for as long as the node runs.
pub(crate) async fn clerk(node: &Follow) {
    loop {
        let waits = || (!node.batch.lock().is_empty()).then_some(());
        node.batch.changed.until(waits).await;
        let waiting = node.batch.next();
        let entry = Entry(waiting.iter().map(|one| one.command.clone()).collect());
        let proposed = node.group.propose(entry.encode(), PROPOSE).await;
        distribute(waiting, proposed);
        node.batch.changed.notify();
    }
}

fn distribute(waiting: Vec<Waiting>, proposed: Proposed) {
    let unread = |error: String| ProposeError::NoQuorum(error);
    let answers = proposed.and_then(|(position, outcomes)| {
        let outcomes = split_outcomes(&outcomes).map_err(|error| unread(error.to_string()))?;
        match outcomes.len() == waiting.len() {
            true => Ok((position, outcomes)),
            false => Err(unread("the log no longer is applied on this node".into())),
        }
    });
    for (at, one) in waiting.into_iter().enumerate() {
        let answer = match &answers {
            Ok((position, outcomes)) => Ok((*position, outcomes[at].clone())),
            Err(error) => Err(error.clone()),
        };
        *one.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(bytes: usize) -> Waiting {
        Waiting { command: vec![0; bytes].into(), answer: Arc::default() }
    }

    #[test]
    fn an_entry_takes_what_fits_and_one_command_of_any_size() {
        let batch = Batch::default();
        batch.lock().extend((0..COMMANDS_PER_ENTRY_MAX + 3).map(|_| waiting(10)));
        assert_eq!(batch.next().len(), COMMANDS_PER_ENTRY_MAX);
        assert_eq!(batch.next().len(), 3);
        batch.lock().extend([waiting(COMMAND_BYTES_MAX), waiting(10)]);
        assert_eq!(batch.next().len(), 1);
        assert_eq!(batch.next().len(), 1);
        assert!(batch.next().is_empty());
    }

    #[test]
    fn everybody_hears_an_answer_of_its_own_or_the_reason_why_not() {
        let all = [waiting(1), waiting(2)];
        let answers = all.each_ref().map(|one| one.answer.clone());
        distribute(all.into(), Err(ProposeError::NotLeader));
        for answer in answers {
            assert_eq!(answer.lock().unwrap().take(), Some(Err(ProposeError::NotLeader)));
        }
    }
}
