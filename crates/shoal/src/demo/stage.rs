//! The stage: one line for each step, as it happens; for people or as JSON.

use std::fmt::Display;
use std::future::Future;
use std::time::Instant;

use serde_json::json;

use crate::local::now;
use crate::output::{self, BAD, BOLD, DIM, GOOD, paint};

/// Where the story is told.
pub(super) struct Stage {
    json: bool,
    began: Instant,
}

impl Stage {
    /// The curtain rises.
    pub(super) fn new(json: bool) -> Stage {
        if !json {
            output::line(format!(
                "{} seven nodes, two regions, one origin, on this machine\n",
                paint(BOLD, "shoal demo:")
            ));
        }
        Stage { json, began: now() }
    }

    /// Plays one step. What it promises is said before, what came of it after. `None`: it failed.
    pub(super) async fn step<T: Display>(
        &mut self,
        promise: &str,
        act: impl Future<Output = anyhow::Result<T>>,
    ) -> Option<T> {
        let began = now();
        let outcome = act.await;
        let took = began.elapsed().as_millis();
        let detail = match &outcome {
            Ok(detail) => detail.to_string(),
            Err(error) => format!("{error:#}"),
        };
        match self.json {
            true => self.tell_machine(promise, outcome.is_ok(), &detail, took),
            false => self.tell_people(promise, outcome.is_ok(), &detail, took),
        }
        outcome.ok()
    }

    fn tell_machine(&self, promise: &str, ok: bool, detail: &str, took: u128) {
        output::line(json!({ "step": promise, "ok": ok, "detail": detail, "ms": took }));
    }

    fn tell_people(&self, promise: &str, ok: bool, detail: &str, took: u128) {
        let mark = if ok { paint(GOOD, "✓") } else { paint(BAD, "✗") };
        let at = paint(DIM, format!("{:>6.1} s", self.began.elapsed().as_secs_f64()));
        output::line(format!(
            "{at}  {mark} {} {}",
            paint(BOLD, promise),
            paint(DIM, format!("({took} ms)"))
        ));
        for line in detail.lines() {
            output::line(format!("            {line}"));
        }
    }
}
