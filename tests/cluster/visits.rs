//! Visits: HTTP through the whole mesh, as viewers use it.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use shoal::client::{self, Answer, Call};
use shoal::local::Origin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cluster::stage::{DEADLINE, HOST, Stage, cast, field, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_passes_through_the_mesh_unharmed() -> Result<()> {
    let stage = Stage::serving(&cast(&["mid-eu-1", "edge-eu-1"]), 1).await?;
    let door = *stage.doors().first().context("no edge")?;
    bodies_go_up_and_come_back(door).await?;
    heads_ranges_and_conditions(&stage, door).await?;
    what_is_malformed_costs_its_own_connection(door).await?;
    stage.end().await
}

async fn ask(
    door: SocketAddr,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let call = Call { method, host: HOST, target, headers, body: Bytes::new() };
    client::send(door, call, DEADLINE).await
}

/// The origin sends back what is posted.
async fn bodies_go_up_and_come_back(door: SocketAddr) -> Result<()> {
    for bytes in [0, 1, 3 * 1024 * 1024] {
        let body = Bytes::from(Origin::body("/form", 0, bytes));
        let (target, headers) = ("/form?x=1", &[("content-type", "text/plain")]);
        let method = Method::POST;
        let call = Call { method, host: HOST, target, headers, body: body.clone() };
        let answer = client::send(door, call, DEADLINE).await?;
        let back = answer.body.len();
        ensure!(answer.status == StatusCode::OK, "{}", answer.status);
        ensure!(answer.body == body, "{bytes} bytes were posted, {back} or others came back");
    }
    Ok(())
}

async fn heads_ranges_and_conditions(stage: &Stage, door: SocketAddr) -> Result<()> {
    const TARGET: &str = "/film?bytes=200000";
    let body = Origin::body("/film", 0, 200_000);

    let head = ask(door, Method::HEAD, TARGET, &[]).await?;
    ensure!(head.status == StatusCode::OK && head.body.is_empty());
    ensure!(field(&head, "content-length") == "200000", "{:?}", head.headers);

    let whole = get(door, TARGET).await?;
    ensure!(whole.body == body && field(&whole, "etag") == "\"0-200000\"", "{:?}", whole.headers);

    let part = ask(door, Method::GET, TARGET, &[("range", "bytes=70000-140000")]).await?;
    ensure!(part.status == StatusCode::PARTIAL_CONTENT && part.body == body[70_000..=140_000]);
    ensure!(field(&part, "content-range") == "bytes 70000-140000/200000", "{:?}", part.headers);
    ensure!(field(&part, "x-cache") == "Hit from shoal", "{:?}", part.headers);

    let same = ask(door, Method::GET, TARGET, &[("if-none-match", "\"0-200000\"")]).await?;
    ensure!(same.status == StatusCode::NOT_MODIFIED && same.body.is_empty(), "{}", same.status);
    let other = ask(door, Method::GET, TARGET, &[("if-none-match", "\"another\"")]).await?;
    ensure!(other.status == StatusCode::OK && other.body == body, "{}", other.status);

    let requests = stage.origin.requests("/film");
    ensure!(requests == 1, "{requests} origin requests");
    Ok(())
}

async fn what_is_malformed_costs_its_own_connection(door: SocketAddr) -> Result<()> {
    let mut bystander = keep_alive(door).await?;
    for request in [
        "NONSENSE\r\n\r\n",
        "GET /page HTTP/1.1\r\n\r\n",
        "GET /page HTTP/1.1\r\nHost: demo.example\r\nHost: other.example\r\n\r\n",
        "GET /page HTTP/1.1\r\nHost : demo.example\r\n\r\n",
        "GET /pa\x01ge HTTP/1.1\r\nHost: demo.example\r\n\r\n",
        "POST /page HTTP/1.1\r\nHost: demo.example\r\nContent-Length: 3\r\n\
         Content-Length: 4\r\n\r\nabcd",
    ] {
        let answer = raw(door, request).await.with_context(|| format!("{request:?}"))?;
        ensure!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer:?}");
        again(&mut bystander).await.with_context(|| format!("another after {request:?}"))?;
    }
    Ok(())
}

/// Everything that comes back until the other side closes.
async fn raw(door: SocketAddr, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(door).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let closed = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    closed.with_context(|| format!("still open after {answer:?}"))??;
    Ok(answer)
}

pub(super) async fn keep_alive(door: SocketAddr) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(door).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    again(&mut sender).await?;
    Ok(sender)
}

async fn again(sender: &mut SendRequest<Empty<Bytes>>) -> Result<()> {
    let request = http::Request::get("/page").header("host", HOST).body(Empty::new())?;
    let response = timeout(DEADLINE, sender.send_request(request)).await??;
    let body = timeout(DEADLINE, response.into_body().collect()).await??.to_bytes();
    ensure!(body == "/page version 0\n", "{body:?}");
    sender.ready().await?;
    Ok(())
}
