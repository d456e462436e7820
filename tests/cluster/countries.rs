//! Countries: where a viewer comes from is part of the key, if the policy says so.
//!
//! Viewers come from addresses of the loopback network, which a table in a file puts into
//! countries.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::json;
use shoal::client;
use shoal::local::Spec;
use tokio::net::TcpSocket;

use crate::cluster::stage::{HOST, Stage, command};

const X_CACHE: &str = "x-cache";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_countries_get_two_copies() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("countries.csv");
    std::fs::write(&file, "# loopback\n127.0.0.0/24,CH\n127.0.0.3/32,DE\n")?;
    let config = format!("[http]\ncountries_file = {:?}\n", file.display().to_string());
    let alone = [Spec::new("all-eu-1", "eu", "edge,regional,shield")];
    let stage = Stage::set_with(&alone, 1, &config).await?;
    publish_by_country(&stage).await?;
    let door = *stage.doors().first().context("no edge")?;
    for (last, fetches, cached) in
        [(2, 1, "Miss"), (3, 2, "Miss"), (4, 2, "Hit"), (3, 2, "Hit"), (2, 2, "Hit")]
    {
        let seen = ask(door, Ipv4Addr::new(127, 0, 0, last)).await?;
        ensure!(seen.starts_with(cached), "127.0.0.{last}: {seen}, expected {cached}");
        ensure!(stage.origin.requests("/page") == fetches, "127.0.0.{last}");
    }
    // In no prefix.
    let stranger = ask(door, Ipv4Addr::new(127, 0, 1, 1)).await?;
    ensure!(stranger.starts_with("Miss") && stage.origin.requests("/page") == 3, "{stranger}");
    stage.end().await
}

/// Everything from the origin, each country with a copy of its own.
async fn publish_by_country(stage: &Stage) -> Result<()> {
    let mut body = stage.origin.distribution("demo");
    body["default_cache_behavior"]["cache_policy"] =
        json!({ "headers": { "whitelist": ["CloudFront-Viewer-Country"] } });
    let target = "/v1/distributions/demo?wait=applied";
    let answer = command(stage.anyone()?.admin, Method::PUT, target, &body).await?;
    ensure!(answer.status.is_success(), "{}", client::problem(&answer));
    Ok(())
}

/// What `X-Cache` says to a viewer at `from`.
async fn ask(door: SocketAddr, from: Ipv4Addr) -> Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let (mut sender, connection) = handshake(TokioIo::new(socket.connect(door).await?)).await?;
    tokio::spawn(connection);
    let request = Request::get("/page?max-age=600").header("host", HOST);
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let said = answer.headers().get(X_CACHE).context("no X-Cache")?.to_str()?.to_owned();
    answer.into_body().collect().await?;
    Ok(said)
}
