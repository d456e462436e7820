//! A viewer on a raw socket: one connection for each step, bytes out, messages back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::conformance::case::{End, Step};
use crate::conformance::message::{Body, Head, Reader};
use crate::conformance::template::Template;

/// How long one exchange may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long a connection may take to be closed by the node.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// What a viewer got.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Interim responses.
    pub(crate) interim: Vec<Head>,
    /// The last response.
    pub(crate) head: Head,
    /// Its body.
    pub(crate) body: Body,
    /// Statuses of all final responses.
    pub(crate) statuses: Vec<u16>,
    /// How it ended.
    pub(crate) end: End,
}

/// Sends what `step` says through `door` and reads what comes.
pub(crate) async fn visit(door: SocketAddr, step: &Step, fill: &Template) -> Result<Reply> {
    timeout(DEADLINE, exchange(door, step, fill)).await.context("no whole response in time")?
}

async fn exchange(door: SocketAddr, step: &Step, fill: &Template) -> Result<Reply> {
    let stream = TcpStream::connect(door).await?;
    let mut reader = Reader::new(stream);
    let request = bytes(step, fill);
    // A node that refuses may close before it has read everything.
    reader.stream.write_all(&request).await.ok();
    let method = method(step);
    let mut reply = Reply {
        interim: Vec::new(),
        head: Head::default(),
        body: Body::default(),
        statuses: Vec::new(),
        end: End::Nothing,
    };
    while let Some(head) = reader.head().await? {
        let status = head.status().with_context(|| format!("no status in {:?}", head.line))?;
        if (100..200).contains(&status) {
            reply.interim.push(head);
            continue;
        }
        reply.body = reader.response_body(&head, method).await;
        reply.head = head;
        reply.statuses.push(status);
        reply.end = if reply.body.is_whole { End::Whole } else { End::Cut };
        if reply.statuses.len() >= step.statuses.len().max(1) || reply.end == End::Cut {
            break;
        }
    }
    let awaits_close = step.ends == Some(End::Closed) && reply.end == End::Whole;
    if awaits_close && timeout(CLOSED_WITHIN, reader.is_over()).await == Ok(true) {
        reply.end = End::Closed;
    }
    Ok(reply)
}

/// The method of the request.
pub(crate) fn method(step: &Step) -> &str {
    let line = step.raw.as_ref().or(step.request.as_ref());
    line.and_then(|line| line.split(' ').next()).unwrap_or("GET")
}

fn bytes(step: &Step, fill: &Template) -> Vec<u8> {
    if let Some(raw) = &step.raw {
        return fill.bytes(raw);
    }
    let line = fill.text(step.request.as_deref().unwrap_or("GET /"));
    let mut request = format!("{line} HTTP/1.1\r\nHost: {}\r\n", fill.host);
    for field in &step.send {
        request.push_str(&fill.text(field));
        request.push_str("\r\n");
    }
    let body = step.body.as_ref().map(|body| fill.bytes(body));
    if let Some(body) = &body {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut bytes = crate::conformance::template::bytes_of(&request);
    bytes.extend(body.unwrap_or_default());
    bytes
}
