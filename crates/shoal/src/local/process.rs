//! One node as a process: started from our own program, killed without warning, started again on
//! its own disk.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::{Child, Command};

use crate::local::{Spec, ports};

/// A node's process, running or not.
pub struct Process {
    /// What it is.
    pub spec: Spec,
    /// Where peers reach it.
    pub mesh_address: SocketAddr,
    /// Where viewers reach it.
    pub http: SocketAddr,
    /// Where operators reach it.
    pub admin: SocketAddr,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Chooses ports; starts nothing yet. Without a seed the node founds the mesh.
    pub(super) fn new(
        directory: &Path,
        program: &Path,
        spec: Spec,
        seed: Option<SocketAddr>,
        flags: &[&str],
    ) -> anyhow::Result<Process> {
        let free = || ports::free().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let (mesh_address, http, admin) = (free()?, free()?, free()?);
        let data_dir = directory.join(spec.name.as_str());
        let origin_of_mesh = match seed {
            Some(seed) => format!("--seed={seed}"),
            None => "--bootstrap".into(),
        };
        let mut arguments = vec![
            "node".into(),
            format!("--name={}", spec.name),
            format!("--tls-dir={}", directory.join("tls").display()),
            format!("--data-dir={}", data_dir.display()),
            format!("--listen={mesh_address}"),
            format!("--http={http}"),
            format!("--admin-listen={admin}"),
            origin_of_mesh,
        ];
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let log = directory.join(format!("{}.log", spec.name));
        let program = program.to_owned();
        Ok(Process { spec, mesh_address, http, admin, program, arguments, log, child: None })
    }

    /// Starts the process; its log is appended to a file.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(log.try_clone()?).stderr(log);
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOAL_")) {
            command.env_remove(variable);
        }
        let child = command.spawn().with_context(|| self.program.display().to_string())?;
        self.child = Some(child);
        Ok(())
    }

    /// Whether it was started and not killed.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// SIGKILL: no goodbye, nothing flushed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Waits for the process to end by itself, and says whether it ended well.
    pub async fn ended(&mut self) -> anyhow::Result<bool> {
        match self.child.take() {
            Some(mut child) => Ok(child.wait().await?.success()),
            None => Ok(true),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let id = self.id().context("it does not run")?;
        let id = rustix::process::Pid::from_raw(i32::try_from(id)?).context("no process")?;
        rustix::process::kill_process(id, signal)?;
        Ok(())
    }

    /// The end of its log, for a message about what went wrong.
    pub fn last_log_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}
