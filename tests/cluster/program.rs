//! The program as people run it: arguments in, an exit code and two streams out.
//!
//! What it prints goes into files, so that a program that does not end can still be heard.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use admin::view::Receipt;
use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

const DEADLINE: Duration = Duration::from_secs(40);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Its standard output, if all went well.
    pub(crate) fn well(self) -> Result<String> {
        ensure!(self.code == 0, "{self:?}");
        Ok(self.out)
    }

    /// A refusal in words, among them all of `words`; and in nothing but words.
    pub(crate) fn refuses(&self, words: &[&str]) -> Result<()> {
        ensure!(self.code == 1 && !self.err.contains("panicked"), "{self:?}");
        let start = self.err.find("error: ").with_context(|| format!("no sentence: {self:?}"))?;
        let sentence = &self.err[start..];
        for word in words {
            ensure!(sentence.contains(word), "no {word:?} in {sentence:?}");
        }
        Ok(())
    }
}

/// Runs the program to its end.
pub(crate) async fn shoal(arguments: &[&str]) -> Result<Said> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoal"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(out.try_clone()?).stderr(err.try_clone()?);
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOAL_")) {
        command.env_remove(variable);
    }
    let mut child = command.spawn()?;
    let ended = tokio::time::timeout(DEADLINE, child.wait()).await;
    let (out, err) = (read(&mut out)?, read(&mut err)?);
    let Ok(status) = ended else {
        bail!("shoal {} does not end. It says:\n{out}{err}", arguments.join(" "));
    };
    let code = status?.code().context("ended by a signal")?;
    Ok(Said { code, out, err })
}

fn read(file: &mut File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Runs it against the node with this admin address.
pub(crate) async fn shoal_at(admin: SocketAddr, arguments: &[&str]) -> Result<Said> {
    let admin = format!("--admin=http://{admin}");
    let arguments: Vec<&str> = arguments.iter().copied().chain([admin.as_str()]).collect();
    shoal(&arguments).await
}

/// `shoal purge` of `path`, and its receipt.
pub(crate) async fn purge(admin: SocketAddr, path: &str, more: &[&str]) -> Result<Receipt> {
    let purge = ["purge", path, "--distribution=demo", "--json", "--timeout=20"];
    let arguments: Vec<&str> = purge.into_iter().chain(more.iter().copied()).collect();
    let said = shoal_at(admin, &arguments).await?;
    let out = said.well()?;
    serde_json::from_str(&out).with_context(|| format!("not a receipt: {out}"))
}
