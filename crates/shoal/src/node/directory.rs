//! The data directory: made when missing, writable, and with an identity of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use model::Instance;

const FILE: &str = "instance";

/// Opens `directory` and reads its instance, or draws one where it is new.
pub(crate) fn open(directory: &Path) -> anyhow::Result<Instance> {
    let place = directory.display();
    fs::create_dir_all(directory).with_context(|| format!("data directory {place}"))?;
    match read(directory)? {
        Some(instance) => check_writable(directory).map(|()| instance),
        None => {
            let instance = Instance(rand::random_range(1..u64::MAX));
            write(directory, FILE, &instance.to_string())?;
            Ok(instance)
        }
    }
}

/// The instance of `directory`, unless it is new.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Option<Instance>> {
    let (place, file) = (directory.display(), directory.join(FILE));
    match fs::read_to_string(&file) {
        Ok(text) => match u64::from_str_radix(text.trim(), 16) {
            Ok(number) if number > 0 => Ok(Some(Instance(number))),
            _ => {
                bail!("{}: expected 16 hex digits. Move {place} away and join anew", file.display())
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

fn check_writable(directory: &Path) -> anyhow::Result<()> {
    write(directory, ".writable", "yes\n")?;
    fs::remove_file(directory.join(".writable"))?;
    Ok(())
}

/// On disk before it is used: a node must never run under a name that it forgets.
fn write(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let place = directory.display();
    let (draft, path) = (directory.join(format!("{name}.new")), directory.join(name));
    let written = || -> std::io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(directory)?.sync_all()
    };
    written().with_context(|| {
        format!(
            "data directory {place} cannot be written: \
             free space, change its owner, or choose another --data-dir"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_instance() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("deep/new");
        let instance = open(&new).unwrap();
        assert_eq!(open(&new).unwrap(), instance);
        fs::write(new.join(FILE), "nonsense").unwrap();
        assert!(open(&new).unwrap_err().to_string().contains("Move"));
    }
}
