//! Programs that people use, through three tiers: curl, wget, and a browser where there is one.
//!
//! What they make of conditions, ranges, encodings and uploads is what matters in the end. A
//! program that is not installed is left out with a word about it; in CI that is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::SemaphorePermit;

use crate::cluster::stage;
use crate::conformance::case::{Object, Step};
use crate::conformance::run::RUNTIME;
use crate::conformance::shapes::{Shape, shapes};
use crate::conformance::template::Template;

mod curl;
mod wget;
mod browser;

/// Three tiers, an origin that plays one host, and a directory for what is downloaded.
struct Scene {
    shape: &'static Shape,
    fill: Template,
    directory: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Scene {
    /// The host `NAME.clients.test`.
    async fn set(name: &str) -> Result<Scene> {
        let _turn = stage::turn().await?;
        let shape = &shapes().await?[1];
        shape.publish("clients", &toml::Table::new()).await?;
        let compressing = "[default_cache_behavior]\ncompress = true\n\
            [default_cache_behavior.cache_policy]\nenable_accept_encoding_gzip = true\n\
            enable_accept_encoding_brotli = true\nenable_accept_encoding_zstd = true\n";
        shape.publish("clients-encoded", &compressing.parse()?).await?;
        let fill = Template { host: format!("{name}.test"), began: now() };
        let directory = tempfile::Builder::new().prefix("shoal-clients-").tempdir()?;
        Ok(Scene { shape, fill, directory, _turn })
    }

    /// From now on the origin does what `step` says, in the words of a case.
    fn play(&self, step: &str) -> Result<()> {
        let step: Step = toml::from_str(step).context("a step of a test")?;
        self.shape.origin.play(&self.fill, 1, &step);
        Ok(())
    }

    /// The same for one target.
    fn play_at(&self, target: &str, step: &str) -> Result<()> {
        let step: Step = toml::from_str(step).context("a step of a test")?;
        self.shape.origin.play_at(&self.fill, target, &step);
        Ok(())
    }

    /// How often the origin was asked since.
    fn asked(&self) -> usize {
        self.shape.origin.asked(&self.fill.host).len()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `http://HOST:PORT/TARGET`, for programs that are told where that is.
    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.fill.host)
    }
}

/// Plays a story with a program; `None` if it is not installed.
fn with(program: &str, story: impl AsyncFnOnce() -> Result<()>) {
    if !is_installed(program) {
        let word = format!("{program} is not installed (apt-get install {program})");
        assert!(std::env::var_os("CI").is_none(), "{word}");
        eprintln!("LEFT OUT: {word}");
        return;
    }
    if let Err(error) = RUNTIME.block_on(story()) {
        panic!("{error:#}");
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Runs a program in a directory.
async fn run(program: &str, arguments: &[&str], directory: &Path) -> Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    // Two GiB through three tiers of a debug build take a minute.
    let output = tokio::time::timeout(5 * stage::PATIENCE, command.output());
    output.await.with_context(|| format!("{program} does not end"))?.context(program.to_owned())
}

/// Whether a file holds just these bytes.
fn holds(path: &Path, expected: &[u8]) -> Result<()> {
    let found = fs::read(path).with_context(|| path.display().to_string())?;
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(one, other)| one != other);
    bail!(
        "{}: {} bytes, not {}, first difference at {at:?}",
        path.display(),
        found.len(),
        expected.len()
    )
}

fn object(bytes: usize) -> Object {
    Object { bytes, ranges: true, version: 0 }
}

#[expect(clippy::disallowed_methods, reason = "a story begins at a time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}
