//! Purges on real processes: nine nodes on loopback, QUIC, Raft and fsync as they are.
//!
//! Budget: half of all purges are `fenced` within 20 ms, and one node takes 2,000 purges a second
//! and more while its mesh answers viewers. Run it with `cargo bench -p shoal --bench mesh`; it
//! takes about a minute and needs two cores to say anything.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use shoal::client::{self, Call};
use shoal::local::{LocalMesh, Origin, Spec};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

const HOST: &str = "demo.example";
const DEADLINE: Duration = Duration::from_secs(20);
/// Purges one after the other.
const ONE_BY_ONE: usize = 400;
/// Callers at once, and for how long.
const CALLERS: usize = 128;
const CROWD: Duration = Duration::from_secs(10);
/// Viewers meanwhile.
const VIEWERS: usize = 8;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let origin = Origin::start().await?;
    say("starting nine nodes: three regions of two edges and one regional, two of them shields");
    let program = Path::new(env!("CARGO_BIN_EXE_shoal"));
    let mesh = LocalMesh::start(directory.path(), program, &nine(), &[]).await?;
    let through = mesh.nodes.last().context("nine nodes")?;
    put(&origin, through.admin).await?;
    let edges: Vec<SocketAddr> = mesh.edges().iter().map(|edge| edge.http).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;

    one_by_one(through.admin, "committed").await?;
    one_by_one(through.admin, "applied").await?;
    one_by_one(through.admin, "fenced").await?;
    for level in ["committed", "fenced"] {
        crowd(through.admin, &edges, level).await?;
    }
    Ok(())
}

fn say(text: &str) {
    let mut out = anstream::stdout().lock();
    drop(std::io::Write::write_all(&mut out, format!("{text}\n").as_bytes()));
}

fn nine() -> Vec<Spec> {
    let mut specs = vec![
        Spec::new("mid-eu", "eu", "regional,shield"),
        Spec::new("mid-us", "us", "regional,shield"),
        Spec::new("mid-ap", "ap", "regional"),
    ];
    for region in ["eu", "us", "ap"] {
        let edge = |number| Spec::new(&format!("edge-{region}-{number}"), region, "edge");
        specs.extend([1, 2].map(edge));
    }
    specs
}

async fn put(origin: &Origin, admin: SocketAddr) -> Result<()> {
    let body = serde_json::to_vec(&origin.distribution("demo"))?.into();
    let headers = &[("content-type", "application/json")];
    let at = Call::get("localhost", "/v1/distributions/demo");
    let call = Call { method: Method::PUT, headers, body, ..at };
    let answer = client::send(admin, call, DEADLINE).await?;
    ensure!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    Ok(())
}

/// A connection that stays open.
struct Line {
    stream: BufReader<TcpStream>,
    host: &'static str,
}

impl Line {
    async fn open(to: SocketAddr, host: &'static str) -> Result<Line> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Line { stream: BufReader::new(stream), host })
    }

    async fn ask(&mut self, method: &str, target: &str, body: &str) -> Result<u16> {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the connection ended");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse()?;
            } else if let Some(bytes) = line.strip_prefix("content-length:") {
                length = bytes.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(status)
    }
}

fn purge(number: u64, level: &str) -> String {
    format!(
        r#"{{"distribution":"demo","paths":["/p/{number}"],"wait":"{level}","timeout_ms":20000}}"#
    )
}

async fn one_by_one(admin: SocketAddr, level: &str) -> Result<()> {
    let mut line = Line::open(admin, "localhost").await?;
    let mut took = Vec::with_capacity(ONE_BY_ONE);
    for number in 0..ONE_BY_ONE as u64 {
        let began = Instant::now();
        let status = line.ask("POST", "/v1/invalidations", &purge(number, level)).await?;
        ensure!(status == 200, "status {status}");
        took.push(began.elapsed());
    }
    say(&format!("{ONE_BY_ONE} purges one by one, {level:<9} {}", spread(&mut took)));
    Ok(())
}

fn spread(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
    let [p50, p90, p99] =
        [50, 90, 99].map(|p| at(p).copied().unwrap_or_default().as_secs_f64() * 1e3);
    format!("p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms")
}

/// Many callers at one node, and viewers at every edge.
async fn crowd(admin: SocketAddr, edges: &[SocketAddr], level: &'static str) -> Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let over = over.clone();
        callers.spawn(async move {
            let mut line = Line::open(admin, "localhost").await?;
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let began = Instant::now();
                let body = purge(number, level);
                let status = line.ask("POST", "/v1/invalidations", &body).await?;
                ensure!(status == 200, "status {status}");
                took.push(began.elapsed());
            }
            Ok::<_, anyhow::Error>(took)
        });
    }
    let mut viewers = JoinSet::new();
    for number in 0..VIEWERS {
        let (over, edge) = (over.clone(), edges[number % edges.len()]);
        viewers.spawn(async move {
            let mut line = Line::open(edge, HOST).await?;
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let status = line.ask("GET", "/warm?bytes=2000", "").await?;
                ensure!(status == 200, "status {status}");
                took.push(began.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok::<_, anyhow::Error>(took)
        });
    }
    tokio::time::sleep(CROWD).await;
    over.store(true, Ordering::Relaxed);
    let mut purges = gather(callers).await?;
    let mut hits = gather(viewers).await?;
    let rate = purges.len() as f64 / CROWD.as_secs_f64();
    say(&format!(
        "{CALLERS} callers at one node, {level}: {rate:.0} purges/s, {}; \
         {} viewers' hits meanwhile: {}",
        spread(&mut purges),
        hits.len(),
        spread(&mut hits)
    ));
    Ok(())
}

async fn gather(mut tasks: JoinSet<Result<Vec<Duration>>>) -> Result<Vec<Duration>> {
    let mut all = Vec::new();
    while let Some(took) = tasks.join_next().await {
        all.extend(took??);
    }
    Ok(all)
}
