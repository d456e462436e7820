//! One request as a viewer makes it, and everything that can be said about what came back.
//!
//! A body is compared with what the origin must have sent for the version it names, so what is
//! whole, broken off or wrong is told apart. Readers, viewers and judges stand on it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use model::NodeName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::origin::Origin;

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it came, and it is what the origin sent for the version it names.
    Whole,
    /// It was cut, and whoever reads it can tell; what came is a part of the version it names.
    BrokenOff,
    /// There was no head.
    NoAnswer,
    /// It claims to be whole and right, and is not.
    Wrong(String),
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Before the first byte of the request was written.
    pub sent: Instant,
    /// After the last byte of the answer was read.
    pub finished: Instant,
    /// Who was asked.
    pub node: NodeName,
    /// Without query.
    pub path: String,
    /// The status, if a head came.
    pub status: Option<StatusCode>,
    /// What the body names, if a line of it came.
    pub version: Option<u64>,
    /// Bytes of the body that came.
    pub bytes: usize,
    /// How it ended.
    pub end: End,
}

/// What has come of an answer.
#[derive(Default)]
struct Came {
    sent: Option<Instant>,
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// One request of `target` at `door`, and what becomes of it.
pub async fn look(
    node: &NodeName,
    door: SocketAddr,
    host: &str,
    target: &str,
    patience: Duration,
) -> Sight {
    let began = Instant::now();
    let mut came = Came::default();
    let ended =
        matches!(timeout(patience, exchange(door, host, target, &mut came)).await, Ok(Ok(())));
    let finished = Instant::now();
    let path = target.split('?').next().unwrap_or(target).to_owned();
    let named = Origin::read(&came.body);
    let version = named.map(|(_, version)| version);
    let end = match came.status {
        None => End::NoAnswer,
        Some(status) if !status.is_success() => match ended {
            true => End::Whole,
            false => End::BrokenOff,
        },
        Some(_) => match (fault(&path, &came, ended), ended) {
            (Some(fault), _) => End::Wrong(fault),
            (None, true) => End::Whole,
            (None, false) => End::BrokenOff,
        },
    };
    let sent = came.sent.unwrap_or(began);
    let (node, status, bytes) = (node.clone(), came.status, came.body.len());
    Sight { sent, finished, node, path, status, version, bytes, end }
}

async fn exchange(door: SocketAddr, host: &str, target: &str, came: &mut Came) -> Result<()> {
    let stream = TcpStream::connect(door).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = http::Request::get(target).header(header::HOST, host);
    let request = request.header(header::CONNECTION, "close").body(Empty::<Bytes>::new())?;
    came.sent = Some(Instant::now());
    let (head, mut body) = sender.send_request(request).await?.into_parts();
    (came.status, came.headers) = (Some(head.status), head.headers);
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            came.body.extend_from_slice(bytes);
        }
    }
    Ok(())
}

/// What is wrong with a successful answer, if anything is.
fn fault(path: &str, came: &Came, ended: bool) -> Option<String> {
    let Came { body, headers, .. } = came;
    let Some((named, version)) = Origin::read(body) else {
        return ended.then(|| format!("{} bytes that name no version", body.len()));
    };
    if named != path {
        return Some(format!("the content of {named}"));
    }
    let expected = Origin::body(path, version, body.len());
    if let Some(at) = body.iter().zip(&expected).position(|(came, sent)| came != sent) {
        return Some(format!("not all of it is version {version}: byte {at} of {}", body.len()));
    }
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    let (tagged, bytes) = tag.trim_start_matches("W/").trim_matches('"').split_once('-')?;
    if tagged != version.to_string() {
        return Some(format!("version {version} under the tag {tag}"));
    }
    let short = ended && bytes != body.len().to_string();
    short.then(|| format!("{} of {bytes} bytes, as if they were all", body.len()))
}
