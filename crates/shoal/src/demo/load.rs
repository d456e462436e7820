//! Viewers in the background, at every edge, while things die: none of them may see an error.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::{self, Call};
use crate::local::now;

/// What the viewers saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Requests answered or failed.
    pub(super) requests: u64,
    /// What went wrong, if anything.
    pub(super) failures: Vec<String>,
    /// The longest that anyone waited.
    pub(super) slowest: Duration,
}

/// Viewers at work.
pub(super) struct Load {
    viewers: JoinSet<()>,
    stop: CancellationToken,
    seen: Arc<Mutex<Seen>>,
}

const PAUSE: Duration = Duration::from_millis(15);
const DEADLINE: Duration = Duration::from_secs(10);

impl Load {
    /// Two viewers at each of `edges`; every fifth request is for something nobody asked for
    /// before.
    pub(super) fn start(edges: &[SocketAddr], chapter: &str) -> Load {
        let stop = CancellationToken::new();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let mut viewers = JoinSet::new();
        for (number, edge) in edges.iter().chain(edges).copied().enumerate() {
            let name = format!("{chapter}-{number}");
            let visits = visit(edge, name, seen.clone());
            let stop = stop.clone();
            viewers.spawn(async move {
                stop.run_until_cancelled(visits).await;
            });
        }
        Load { viewers, stop, seen }
    }

    /// Sends the viewers home and asks them what they saw.
    pub(super) async fn end(mut self) -> Seen {
        self.stop.cancel();
        while self.viewers.join_next().await.is_some() {}
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn visit(edge: SocketAddr, name: String, seen: Arc<Mutex<Seen>>) {
    for turn in 0u64.. {
        let path = match turn % 5 {
            0 => format!("/load/{name}/{turn}?bytes=20000"),
            warm => format!("/load/warm/{warm}?bytes=20000"),
        };
        let began = now();
        let answer = client::send(edge, Call::get("demo.example", &path), DEADLINE).await;
        let failure = match answer {
            Ok(answer) if answer.status.is_success() && answer.body.len() == 20_000 => None,
            Ok(answer) => Some(format!("{path} at {edge}: status {}", answer.status.as_u16())),
            Err(error) => Some(format!("{path} at {edge}: {error:#}")),
        };
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.requests += 1;
            seen.slowest = seen.slowest.max(began.elapsed());
            seen.failures.extend(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
