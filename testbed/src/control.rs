//! What commands ask of the keeper: one JSON object a line over a socket in the state directory,
//! one line back.

use std::time::Duration;

use anyhow::{Context, bail};
use model::NodeName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use crate::crew::Condition;
use crate::fault::Fault;
use crate::scene::Scene;

/// Bytes of the longest line.
pub(crate) const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A question, or an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub(crate) enum Ask {
    /// How everybody is: [`Condition`]s and what is active.
    Roll,
    /// Do this to them.
    Inflict { fault: Fault, whom: Vec<String>, last_ms: Option<u64> },
    /// End one fault, or all.
    Heal { id: Option<u64> },
    /// The content of these paths changes; their new versions.
    Raise { paths: Vec<String> },
    /// Answers for this path carry these tags and have so many bytes from now on.
    Tag { path: String, keys: Vec<String>, bytes: usize },
    /// Requests that all origins have had.
    OriginRequests,
    /// What each node's process uses.
    Resources,
    /// Bytes carried between members since the start.
    Traffic,
    /// Everything ends.
    Down,
}

/// How everybody is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Roll {
    pub(crate) conditions: Vec<(NodeName, Condition)>,
    pub(crate) faults: Vec<Active>,
}

/// A fault that lasts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Active {
    pub(crate) id: u64,
    pub(crate) fault: Fault,
    pub(crate) whom: Vec<NodeName>,
}

/// What a node's process uses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) memory_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) sockets: u64,
    pub(crate) threads: u64,
    /// Processor time since its start, in hundredths of a second.
    pub(crate) ticks: u64,
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Well(Value),
    Refused(String),
}

/// A connection to the keeper.
pub(crate) struct Control {
    stream: Mutex<BufReader<UnixStream>>,
}

impl Control {
    pub(crate) async fn open(scene: &Scene) -> anyhow::Result<Control> {
        let socket = scene.state.join("control");
        let stream = UnixStream::connect(&socket).await.with_context(|| {
            format!(
                "the keeper of {} is gone (clean up with `testbed down`)",
                scene.state.display()
            )
        })?;
        Ok(Control { stream: Mutex::new(BufReader::new(stream)) })
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> anyhow::Result<T> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        let mut stream = self.stream.lock().await;
        stream.get_mut().write_all(&line).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        match serde_json::from_str(&answer).context("the keeper hung up")? {
            Answer::Well(value) => Ok(serde_json::from_value(value)?),
            Answer::Refused(why) => bail!(why),
        }
    }

    /// The id of what was inflicted.
    pub(crate) async fn inflict(
        &self,
        fault: Fault,
        whom: Vec<String>,
        last: Option<Duration>,
    ) -> anyhow::Result<u64> {
        let last_ms = last.map(|last| u64::try_from(last.as_millis()).unwrap_or(u64::MAX));
        self.ask(&Ask::Inflict { fault, whom, last_ms }).await
    }

    /// How many faults ended: one that is over already, or that never was, is none.
    pub(crate) async fn heal(&self, id: Option<u64>) -> anyhow::Result<usize> {
        self.ask(&Ask::Heal { id }).await
    }

    pub(crate) async fn raise(&self, paths: Vec<String>) -> anyhow::Result<Vec<u64>> {
        self.ask(&Ask::Raise { paths }).await
    }
}
