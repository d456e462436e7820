//! A small HTTP/1.1 client for our own commands: one request, one connection, a deadline, the whole
//! body in memory.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes of the largest body that a command reads.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Nothing was sent: nobody listens there, or nobody can be found.
#[derive(Debug)]
pub struct NotConnected;

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not connected")
    }
}

/// An answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A request.
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The `Host` to name.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Fields beside `Host`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: Bytes,
}

impl<'a> Call<'a> {
    /// A GET without anything special.
    pub fn get(host: &'a str, target: &'a str) -> Call<'a> {
        Call { method: Method::GET, host, target, headers: &[], body: Bytes::new() }
    }
}

/// Sends `call` to `address` and reads the whole answer, within `deadline`.
pub async fn send(
    address: SocketAddr,
    call: Call<'_>,
    deadline: Duration,
) -> anyhow::Result<Answer> {
    let exchange = async {
        let stream = TcpStream::connect(address).await.context(NotConnected)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = http::Request::builder()
            .method(call.method)
            .uri(call.target)
            .header("host", call.host)
            .header("connection", "close");
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(call.body))?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        driver.abort();
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    match timeout(deadline, exchange).await {
        Ok(answer) => answer,
        Err(_) => bail!("no answer within {} s", deadline.as_secs()),
    }
}

/// Which node a command talks to, and how it proves that it may.
#[derive(clap::Args)]
pub struct Admin {
    /// The admin address of a node: any will do.
    #[arg(
        long = "admin",
        env = "SHOAL_ADMIN",
        value_name = "URL",
        default_value = "http://127.0.0.1:7480",
        global = true
    )]
    url: String,
    /// A file with the admin token, for nodes that ask for one.
    #[arg(long = "admin-token-file", env = "SHOAL_ADMIN_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<std::path::PathBuf>,
}

impl Admin {
    /// Sends a request to the node's API. Refusals become errors in the node's own words.
    pub async fn call(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
        deadline: Duration,
    ) -> anyhow::Result<Answer> {
        let expected = "expected http://HOST:PORT";
        let uri: Uri = self.url.parse().with_context(|| format!("--admin {:?}", self.url))?;
        let host = match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) => authority.as_str(),
            _ => bail!("--admin {:?}: {expected}", self.url),
        };
        let with_port = if uri.port().is_some() { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = tokio::net::lookup_host(&with_port).await?;
        let address = addresses.next().with_context(|| format!("--admin {host}: unknown host"))?;
        let token = match &self.token_file {
            None => None,
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("--admin-token-file {}", file.display()))?;
                Some(format!("Bearer {}", text.trim()))
            }
        };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(token.as_deref().map(|token| ("authorization", token)));
        let call = Call { method, host, target, headers: &headers, body };
        let answer = send(address, call, deadline).await.with_context(|| {
            format!("no node answers at {} (choose one with --admin or SHOAL_ADMIN)", self.url)
        })?;
        Ok(answer)
    }

    /// The same, with anything but success turned into an error.
    pub async fn expect(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
        deadline: Duration,
    ) -> anyhow::Result<Answer> {
        let answer = self.call(method, target, body, deadline).await?;
        if !answer.status.is_success() {
            bail!("{}", problem(&answer));
        }
        Ok(answer)
    }
}

/// The sentence in a problem document (RFC 9457), or whatever was sent.
pub fn problem(answer: &Answer) -> String {
    let document: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let said = |key: &str| document.as_ref()?.get(key)?.as_str().map(str::to_owned);
    match said("detail").or_else(|| said("title")) {
        Some(sentence) => sentence,
        None => {
            let text = String::from_utf8_lossy(&answer.body);
            format!("{} {}", answer.status.as_u16(), text.trim())
        }
    }
}
