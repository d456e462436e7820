//! A node's disk: a small file system of its own, so that it can be full, and slow.
//!
//! Where we are root and the machine has loop devices, it is an image in memory behind one. Such a
//! disk is made slow by the kernel's own limits for control groups (`blkio` of version 1, `io` of
//! version 2): they hold back what the node's process reads and writes, so a call that waits for
//! the disk takes as long as the limit says. Without loop devices it is a plain file system in
//! memory, which can be full and not slow; without root it is a directory.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use model::NodeName;
use rustix::fs::{major, minor};
use serde::{Deserialize, Serialize};

use crate::scene::{Backend, Scene};
use crate::tool;

/// How large a disk is.
const BYTES: u64 = 128 * 1024 * 1024;
/// Where control groups are found.
const GROUPS: &str = "/sys/fs/cgroup";

/// How slow a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// So many reads, and so many writes, fit into a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operations: Option<u64>,
    /// So many bytes, each way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
}

/// The two versions of the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The disk of a node, before anything is mounted there.
fn place(home: &Path) -> PathBuf {
    home.join("disk")
}

/// Makes the disk of a node.
pub(crate) async fn make(home: &Path) -> anyhow::Result<()> {
    let disk = place(home);
    std::fs::create_dir_all(&disk)?;
    if !tool::is_root() {
        return Ok(());
    }
    if lacks_loop().is_some() || make_image(home).await.is_err() {
        release(home).await;
        return in_memory(&disk).await;
    }
    Ok(())
}

async fn in_memory(place: &Path) -> anyhow::Result<()> {
    let (size, place) = (format!("size={BYTES}"), place.display().to_string());
    tool::run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &place]).await?;
    Ok(())
}

async fn make_image(home: &Path) -> anyhow::Result<()> {
    let below = home.join("image");
    std::fs::create_dir_all(&below)?;
    in_memory(&below).await?;
    let image = below.join("disk.ext4");
    File::create(&image)?.set_len(BYTES)?;
    let (image, disk) = (image.display().to_string(), place(home).display().to_string());
    tool::run("mkfs.ext4", &["-q", "-m", "0", &image]).await?;
    tool::run("mount", &["-o", "loop,noatime", &image, &disk]).await?;
    Ok(())
}

/// Takes a disk away, whatever it is.
pub(crate) async fn release(home: &Path) {
    for mounted in [place(home), home.join("image")] {
        tool::attempt("umount", &["--lazy", &mounted.display().to_string()]).await;
    }
}

/// Takes the last free byte of a disk.
pub(crate) fn fill(home: &Path) -> anyhow::Result<()> {
    ensure!(tool::is_root(), "a disk of its own, to be filled, a node has only under root");
    let mut file = File::create(place(home).join("ballast"))?;
    for size in [64 * 1024, 4 * 1024, 1] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(())
}

pub(crate) fn free(home: &Path) {
    drop(std::fs::remove_file(place(home).join("ballast")));
}

fn lacks_loop() -> Option<&'static str> {
    let has_tool = ["/sbin", "/usr/sbin"].iter().any(|at| Path::new(at).join("mkfs.ext4").exists());
    match (Path::new("/dev/loop-control").exists(), has_tool) {
        (false, _) => Some("no loop devices"),
        (true, false) => Some("no mkfs.ext4"),
        (true, true) => None,
    }
}

fn version() -> Option<Version> {
    let groups = Path::new(GROUPS);
    if groups.join("blkio/blkio.throttle.write_iops_device").exists() {
        return Some(Version::One);
    }
    let controllers = std::fs::read_to_string(groups.join("cgroup.controllers")).ok()?;
    controllers.split_whitespace().any(|own| own == "io").then_some(Version::Two)
}

/// Why disks cannot be slow here.
pub(crate) fn lacks_pace() -> Option<&'static str> {
    match (tool::is_root(), version()) {
        (false, _) => Some("not root"),
        (true, None) => Some("the kernel has no limits for disks (cgroup `blkio` or `io`)"),
        (true, Some(_)) => lacks_loop(),
    }
}

/// Holds a node's process back at its disk; nothing is held back any more if `pace` is none.
pub(crate) fn set_pace(
    scene: &Scene,
    name: &NodeName,
    id: u32,
    pace: Option<Pace>,
) -> anyhow::Result<()> {
    let version = version().context("the kernel has no limits for disks")?;
    let device = std::fs::metadata(place(&scene.home(name)))?.dev();
    ensure!(major(device) != 0, "{name}'s disk is in memory, without a device to be slow");
    let device = format!("{}:{}", major(device), minor(device));
    let group = match scene.backend {
        Backend::Docker => group_of(version, id)?,
        Backend::Process | Backend::Netns => own_group(version, &scene.cell(name), id)?,
    };
    for (file, line) in limits(version, &device, pace) {
        let file = group.join(file);
        std::fs::write(&file, line).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// What is to be written to which file of a group.
fn limits(version: Version, device: &str, pace: Option<Pace>) -> Vec<(&'static str, String)> {
    let (operations, bytes) = pace.map_or((None, None), |pace| (pace.operations, pace.bytes));
    match version {
        Version::One => [
            ("blkio.throttle.read_iops_device", operations),
            ("blkio.throttle.write_iops_device", operations),
            ("blkio.throttle.read_bps_device", bytes),
            ("blkio.throttle.write_bps_device", bytes),
        ]
        .map(|(file, limit)| (file, format!("{device} {}", limit.unwrap_or(0))))
        .to_vec(),
        Version::Two => {
            let word = |limit: Option<u64>| limit.map_or_else(|| "max".into(), |l| l.to_string());
            let (operations, bytes) = (word(operations), word(bytes));
            let line =
                format!("{device} riops={operations} wiops={operations} rbps={bytes} wbps={bytes}");
            vec![("io.max", line)]
        }
    }
}

/// The group that an engine has put a process into.
fn group_of(version: Version, id: u32) -> anyhow::Result<PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{id}/cgroup"))?;
    let found = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let fits = match version {
            Version::One => controllers.split(',').any(|own| own == "blkio"),
            Version::Two => controllers.is_empty(),
        };
        fits.then(|| path.trim_start_matches('/').to_owned())
    });
    let path = found.context("the process is in no control group for disks")?;
    Ok(root(version).join(path))
}

fn root(version: Version) -> PathBuf {
    match version {
        Version::One => Path::new(GROUPS).join("blkio"),
        Version::Two => GROUPS.into(),
    }
}

/// A group for this process alone.
fn own_group(version: Version, cell: &str, id: u32) -> anyhow::Result<PathBuf> {
    let group = root(version).join(cell);
    if version == Version::Two {
        let file = root(version).join("cgroup.subtree_control");
        std::fs::write(&file, "+io").with_context(|| file.display().to_string())?;
    }
    std::fs::create_dir_all(&group)?;
    let file = group.join("cgroup.procs");
    std::fs::write(&file, id.to_string()).with_context(|| file.display().to_string())?;
    Ok(group)
}

/// Takes disks and groups of a scene away, whatever is left of them.
pub(crate) async fn sweep(scene: &Scene) {
    if !tool::is_root() {
        return;
    }
    for node in &scene.nodes {
        release(&scene.home(&node.name)).await;
        if let Some(version) = version() {
            drop(std::fs::remove_dir(root(version).join(scene.cell(&node.name))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let pace = Pace { operations: Some(20), bytes: None };
        let one = limits(Version::One, "7:3", Some(pace));
        assert_eq!(one[1], ("blkio.throttle.write_iops_device", "7:3 20".to_owned()));
        assert_eq!(one[3], ("blkio.throttle.write_bps_device", "7:3 0".to_owned()));
        let two = limits(Version::Two, "7:3", Some(pace));
        assert_eq!(two[0].1, "7:3 riops=20 wiops=20 rbps=max wbps=max");
        assert!(limits(Version::One, "7:3", None).iter().all(|(_, line)| line == "7:3 0"));
    }
}
