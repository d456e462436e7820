//! Messages as they come over a socket, read without judging more than their framing.
//!
//! Fields keep their order, their case and their bytes. What HTTP forbids is read all the same: it
//! is the node that must not send it, and a case that must be able to see it.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::conformance::template::text_of;

/// Bytes of the largest head that is read.
const HEAD_BYTES_MAX: usize = 1024 * 1024;

/// Start line and fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// The field's lines joined; `None` if there are none.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let lines = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let lines: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// Status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.line.split(' ').nth(1)?.parse().ok()
    }

    /// Method of a request.
    pub(crate) fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// Target of a request.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    fn is_chunked(&self) -> bool {
        let coding = self.field("transfer-encoding");
        coding.is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.field("content-length")?.parse().ok()
    }
}

/// What came of a body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) is_whole: bool,
}

/// Bytes from a socket, and those read too far.
pub(crate) struct Reader<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(crate) fn new(stream: S) -> Reader<S> {
        Reader { stream, buffer: Vec::new() }
    }

    /// More bytes; false at the end.
    async fn more(&mut self) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
        }
    }

    /// Whether nothing comes any more.
    pub(crate) async fn is_over(&mut self) -> bool {
        self.buffer.is_empty() && !self.more().await
    }

    /// The next head; `None` if the connection ends before its first byte.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return Ok(Some(parse(&head[..at])));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                bail!("a head without an end");
            }
            if !self.more().await {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                bail!("a head that breaks off: {:?}", text_of(&self.buffer));
            }
        }
    }

    /// The body of a request.
    pub(crate) async fn request_body(&mut self, head: &Head) -> Body {
        match (head.is_chunked(), head.length()) {
            (true, _) => self.chunked().await,
            (false, length) => self.exactly(length.unwrap_or(0)).await,
        }
    }

    /// The body of a response to a request with that method.
    pub(crate) async fn response_body(&mut self, head: &Head, method: &str) -> Body {
        let has_none = matches!(head.status(), Some(204 | 304)) || method == "HEAD";
        match (has_none, head.is_chunked(), head.length()) {
            (true, ..) => self.exactly(0).await,
            (false, true, _) => self.chunked().await,
            (false, false, Some(length)) => self.exactly(length).await,
            (false, false, None) => {
                while self.more().await {}
                let bytes = std::mem::take(&mut self.buffer);
                Body { bytes, trailers: Vec::new(), is_whole: true }
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Body {
        while self.buffer.len() < length && self.more().await {}
        let is_whole = self.buffer.len() >= length;
        let bytes = self.buffer.drain(..length.min(self.buffer.len())).collect();
        Body { bytes, trailers: Vec::new(), is_whole }
    }

    async fn chunked(&mut self) -> Body {
        let mut body = Body::default();
        body.is_whole = self.chunks(&mut body).await.is_ok();
        body
    }

    async fn chunks(&mut self, body: &mut Body) -> Result<()> {
        loop {
            let size = self.line().await?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).context("no chunk size")?;
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size).await;
            body.bytes.extend_from_slice(&chunk.bytes);
            if !chunk.is_whole || !self.line().await?.is_empty() {
                bail!("a chunk that breaks off");
            }
        }
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(());
            }
            body.trailers.push(field(&line));
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(text_of(&line[..at]));
            }
            if !self.more().await {
                bail!("a line that breaks off");
            }
        }
    }
}

fn parse(head: &[u8]) -> Head {
    let text = text_of(head);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    Head { line, fields: lines.map(field).collect() }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
