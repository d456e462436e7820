//! Running the system's own tools (`ip`, `nsenter`, `mount`, `docker`) and saying what they said
//! when they fail.

use std::ffi::OsStr;
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

/// Runs a tool to its end; its standard output if it ended well.
pub(crate) async fn run<S: AsRef<OsStr>>(tool: &str, arguments: &[S]) -> anyhow::Result<String> {
    let mut command = Command::new(tool);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("{tool} cannot be started"))?;
    if !output.status.success() {
        let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{tool} {}: {}", words.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same, where it does not matter whether there was something to do.
pub(crate) async fn attempt<S: AsRef<OsStr>>(tool: &str, arguments: &[S]) {
    drop(run(tool, arguments).await);
}

/// Whether we may do what only root may.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
