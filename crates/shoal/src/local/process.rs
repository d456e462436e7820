//! One node as a process: started from our own program, killed without warning, started again on
//! its own disk.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::local::{Spec, Wires, ports};

/// Looks, a millisecond apart, until a stopped process must have stopped.
const STOP_LOOKS_MAX: usize = 2_000;

/// A node's process, running or not.
pub struct Process {
    /// What it is.
    pub spec: Spec,
    /// Where peers reach it: its relay, if it has one.
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
        wires: Option<&Wires>,
        flags: &[&str],
    ) -> anyhow::Result<Process> {
        let free = || ports::free().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let (listen, http, admin) = (free()?, free()?, free()?);
        let mesh_address = match wires {
            None => listen,
            Some(wires) => {
                let relay = free()?;
                wires.front(&spec.name, listen, relay)?;
                relay
            }
        };
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
            format!("--listen={listen}"),
            format!("--advertise={mesh_address}"),
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

    /// SIGKILL, and at once a new process on the same disk and ports; not ready yet.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.start()
    }

    /// SIGSTOP: returns when no thread of it runs any more. The kernel still takes connections
    /// and datagrams for it. Its clocks go on.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        let id = self.id().context("it does not run")?;
        for _ in 0..STOP_LOOKS_MAX {
            if is_stopped(id) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::bail!("{} does not stop", self.spec.name)
    }

    /// SIGCONT: it goes on where it was stopped.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for the process to end by itself, and says whether it ended well.
    pub async fn ended(&mut self) -> anyhow::Result<bool> {
        match self.child.take() {
            Some(mut child) => Ok(child.wait().await?.success()),
            None => Ok(true),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
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

/// Whether every thread of a process is stopped: the state follows the name, which is in brackets.
fn is_stopped(id: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}
