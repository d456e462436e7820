//! The crew: the node processes of one scene, however they are enclosed, and what can be done to
//! each: start, kill, end in good order, freeze, give another clock, fill its disk or slow it down.
//!
//! Every node is the real program with its real flags.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use model::NodeName;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::disk::{self, Pace};
use crate::engine::{Engine, Order};
use crate::plug::Plug;
use crate::scene::{Backend, Place, Scene};
use crate::topology::Mesh;

/// Where Debian puts what changes the speed of clocks.
const CLOCK_LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// How long a node may take to end in good order.
const END: Duration = Duration::from_secs(45);
/// How long a node may take to become ready.
const READY: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The nodes.
pub(crate) struct Crew {
    scene: Scene,
    mesh: Mesh,
    engine: Option<Engine>,
    plug: Option<Plug>,
    members: BTreeMap<NodeName, Member>,
}

struct Member {
    place: Place,
    program: PathBuf,
    clock_rate: Option<f64>,
    disk: Option<Pace>,
    run: Option<Run>,
    frozen: bool,
}

struct Run {
    id: u32,
    /// Of a process that is our own child.
    child: Option<Child>,
}

/// What a node is doing, as far as its process tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    Running,
    Frozen,
    /// We ended it.
    Down,
    /// It ended by itself.
    Died,
}

/// The library that changes the speed of clocks, if it is installed.
pub(crate) fn clock_library() -> Option<&'static str> {
    CLOCK_LIBRARIES.into_iter().find(|path| Path::new(path).exists())
}

impl Crew {
    pub(crate) fn new(
        scene: &Scene,
        mesh: &Mesh,
        program: &Path,
        engine: Option<Engine>,
        plug: Option<Plug>,
    ) -> Crew {
        let member = |place: &Place| Member {
            place: place.clone(),
            program: program.to_owned(),
            clock_rate: None,
            disk: None,
            run: None,
            frozen: false,
        };
        let members = scene.nodes.iter().map(|place| (place.name.clone(), member(place)));
        let (scene, mesh, members) = (scene.clone(), mesh.clone(), members.collect());
        Crew { scene, mesh, engine, plug, members }
    }

    /// Directories and disks.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(self.scene.state.join("logs"))?;
        for name in self.members.keys() {
            disk::make(&self.scene.home(name)).await?;
        }
        Ok(())
    }

    fn member(&mut self, name: &NodeName) -> anyhow::Result<&mut Member> {
        self.members.get_mut(name).with_context(|| format!("no node is called {name}"))
    }

    /// The flags of a node.
    fn arguments(&self, place: &Place) -> Vec<String> {
        let state = &self.scene.state;
        let first = self.scene.nodes.first().is_some_and(|first| first.name == place.name);
        let mut arguments = vec![
            "node".into(),
            format!("--name={}", place.name),
            format!("--tls-dir={}", state.join("tls").display()),
            format!("--data-dir={}", self.scene.home(&place.name).join("disk").display()),
            format!("--listen={}", place.listen),
            format!("--advertise={}", place.mesh),
            format!("--http={}", place.http),
            format!("--admin-listen={}", place.admin),
            format!("--admin-token-file={}", self.scene.token_file().display()),
            format!("--memory-mib={}", self.mesh.memory_mib.unwrap_or(64)),
        ];
        if let Some(distance) = &self.mesh.raft_distance {
            arguments.push(format!("--raft-distance={distance}"));
        }
        if first {
            arguments.push("--bootstrap".into());
            arguments.push(format!("--lease={}", self.scene.lease().as_secs()));
        }
        let voters = self.scene.nodes.iter().filter(|other| other.tiers != "edge");
        let seeds = voters.chain(self.scene.nodes.first());
        let seeds: std::collections::BTreeSet<_> =
            seeds.filter(|seed| seed.name != place.name).map(|seed| seed.mesh).collect();
        arguments.extend(seeds.iter().map(|seed| format!("--seed={seed}")));
        arguments
    }

    /// Starts a node that does not run.
    pub(crate) async fn start(&mut self, name: &NodeName) -> anyhow::Result<()> {
        let member = self.member(name)?;
        if member.run.is_some() {
            return Ok(());
        }
        let (place, program) = (member.place.clone(), member.program.clone());
        let environment = match member.clock_rate {
            None => Vec::new(),
            Some(rate) => clock(rate)?,
        };
        let arguments = self.arguments(&place);
        let order =
            Order { name, program: &program, arguments: &arguments, environment: &environment };
        let run = match &self.engine {
            None => spawn(&self.scene, order)?,
            Some(engine) => {
                let home = self.scene.home(name);
                drop(std::fs::remove_file(home.join("connected")));
                let id = engine.start(&self.scene, order).await?;
                if let Some(plug) = &self.plug {
                    plug.connect(&place, Some(id)).await?;
                }
                std::fs::write(home.join("connected"), "")?;
                Run { id, child: None }
            }
        };
        std::fs::write(self.scene.home(name).join("pid"), run.id.to_string())?;
        let (id, scene) = (run.id, self.scene.clone());
        let member = self.member(name)?;
        member.run = Some(run);
        match member.disk {
            Some(pace) => disk::set_pace(&scene, name, id, Some(pace)),
            None => Ok(()),
        }
    }

    /// SIGKILL: no goodbye, nothing flushed.
    pub(crate) async fn kill(&mut self, name: &NodeName) -> anyhow::Result<()> {
        let (engine, cell) = (self.engine.clone(), self.scene.cell(name));
        let member = self.member(name)?;
        member.frozen = false;
        let Some(mut run) = member.run.take() else { return Ok(()) };
        match (&mut run.child, engine) {
            (Some(child), _) => child.kill().await?,
            (None, Some(engine)) => engine.remove(&cell).await,
            (None, None) => {}
        }
        Ok(())
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) async fn end(&mut self, name: &NodeName) -> anyhow::Result<()> {
        let (engine, cell) = (self.engine.clone(), self.scene.cell(name));
        let member = self.member(name)?;
        let Some(run) = &mut member.run else { return Ok(()) };
        match (&mut run.child, &engine) {
            (Some(child), _) => {
                signal(run.id, Signal::TERM)?;
                let ended = timeout(END, child.wait()).await;
                ensure!(ended.is_ok(), "{name} does not end within {} s", END.as_secs());
            }
            (None, Some(engine)) => {
                engine.signal(&cell, "SIGTERM").await?;
                let began = Instant::now();
                while is_alive(run.id) {
                    ensure!(began.elapsed() < END, "{name} does not end");
                    sleep(LOOK_EVERY).await;
                }
                engine.remove(&cell).await;
            }
            (None, None) => {}
        }
        member.run = None;
        Ok(())
    }

    /// Nothing of it runs any more until it is thawed.
    pub(crate) async fn freeze(&mut self, name: &NodeName) -> anyhow::Result<()> {
        let (engine, cell) = (self.engine.clone(), self.scene.cell(name));
        let member = self.member(name)?;
        let Some(run) = member.run.as_ref().filter(|_| !member.frozen) else { return Ok(()) };
        match engine {
            Some(engine) => engine.pause(&cell).await?,
            None => signal(run.id, Signal::STOP)?,
        }
        member.frozen = true;
        Ok(())
    }

    pub(crate) async fn thaw(&mut self, name: &NodeName) -> anyhow::Result<()> {
        let (engine, cell) = (self.engine.clone(), self.scene.cell(name));
        let member = self.member(name)?;
        let Some(run) = member.run.as_ref().filter(|_| member.frozen) else { return Ok(()) };
        match engine {
            Some(engine) => engine.unpause(&cell).await?,
            None => signal(run.id, Signal::CONT)?,
        }
        member.frozen = false;
        Ok(())
    }

    /// From its next start on its clocks have another speed; the usual one if none is given.
    pub(crate) fn set_clock(&mut self, name: &NodeName, rate: Option<f64>) -> anyhow::Result<()> {
        self.member(name)?.clock_rate = rate;
        Ok(())
    }

    /// From its next start on it is another build.
    pub(crate) fn set_program(&mut self, name: &NodeName, program: &Path) -> anyhow::Result<()> {
        ensure!(program.exists(), "{} is not there", program.display());
        let copy = self.scene.state.join("bin").join("shoal-upgrade");
        if copy != program {
            // A file that runs cannot be written to, only be replaced.
            drop(std::fs::remove_file(&copy));
            std::fs::copy(program, &copy)?;
        }
        self.member(name)?.program = copy;
        Ok(())
    }

    /// From now on, also after its next start, its disk is so slow; as usual if no pace is given.
    pub(crate) fn set_disk(&mut self, name: &NodeName, pace: Option<Pace>) -> anyhow::Result<()> {
        let scene = self.scene.clone();
        let member = self.member(name)?;
        member.disk = pace;
        match &member.run {
            Some(run) => disk::set_pace(&scene, name, run.id, pace),
            None => Ok(()),
        }
    }

    /// The process of a node on this machine.
    pub(crate) fn id(&self, name: &NodeName) -> Option<u32> {
        self.members.get(name)?.run.as_ref().map(|run| run.id)
    }

    pub(crate) fn condition(&mut self, name: &NodeName) -> Condition {
        let Some(member) = self.members.get_mut(name) else { return Condition::Down };
        let Some(run) = &mut member.run else { return Condition::Down };
        let lives = match &mut run.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_alive(run.id),
        };
        match (lives, member.frozen) {
            (false, _) => Condition::Died,
            (true, true) => Condition::Frozen,
            (true, false) => Condition::Running,
        }
    }

    /// Everything ends, nothing is left.
    pub(crate) async fn dismiss(&mut self) -> anyhow::Result<()> {
        let names: Vec<NodeName> = self.members.keys().cloned().collect();
        for name in &names {
            self.kill(name).await?;
        }
        Ok(())
    }
}

/// Waits until a node says that it is ready.
pub(crate) async fn ready(scene: &Scene, place: &Place) -> anyhow::Result<()> {
    let began = Instant::now();
    while !crate::operator::is_ready(place).await {
        let id = std::fs::read_to_string(scene.home(&place.name).join("pid")).ok();
        let lives = id.and_then(|id| id.parse().ok()).is_some_and(is_alive);
        if !lives || began.elapsed() > READY {
            let log = std::fs::read_to_string(scene.log_file(&place.name)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(12)..].join("\n");
            let after = began.elapsed().as_secs();
            bail!("{} is not ready after {after} s:\n{last}", place.name);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn clock(rate: f64) -> anyhow::Result<Vec<(String, String)>> {
    let library = clock_library().context("libfaketime is not installed")?;
    let pair = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        pair("LD_PRELOAD", library.to_owned()),
        pair("FAKETIME", format!("+0 x{rate}")),
        pair("FAKETIME_DONT_RESET", "1".into()),
    ])
}

/// A process of our own, in its namespace if it has one.
fn spawn(scene: &Scene, order: Order<'_>) -> anyhow::Result<Run> {
    let log = scene.log_file(order.name);
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = match scene.backend {
        Backend::Netns => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &scene.cell(order.name)]).arg(order.program);
            command
        }
        Backend::Process | Backend::Docker => Command::new(order.program),
    };
    command.args(order.arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(log.try_clone()?).stderr(log);
    for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHOAL_")) {
        command.env_remove(variable);
    }
    command.envs(order.environment.iter().cloned());
    let child = command.spawn().with_context(|| order.program.display().to_string())?;
    let id = child.id().context("it ended at once")?;
    Ok(Run { id, child: Some(child) })
}

pub(crate) fn signal(id: u32, signal: Signal) -> anyhow::Result<()> {
    let id = Pid::from_raw(i32::try_from(id)?).context("no process")?;
    Ok(rustix::process::kill_process(id, signal)?)
}

pub(crate) fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The state follows the name, which is in brackets; a zombie has ended.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
