//! Our crates and what each declares to need, from `cargo metadata`.
//!
//! Offline and without resolving: the rules are about what the manifests say, and must hold on a
//! machine that has never downloaded a dependency.

use std::sync::LazyLock;

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};

use super::tree::{self, numbered};

/// One crate of the workspace.
pub(super) struct Crate {
    pub(super) name: String,
    /// The path of its Cargo.toml.
    pub(super) manifest: String,
    pub(super) needs: Vec<Need>,
}

/// One declared dependency.
pub(super) struct Need {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) for_what: For,
}

/// What a dependency is declared for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The crate itself or its build script.
    Use,
    /// Its tests and benches.
    Tests,
}

/// Every crate of the workspace.
pub(super) fn crates() -> &'static [Crate] {
    static CRATES: LazyLock<Vec<Crate>> = LazyLock::new(|| {
        let mut command = MetadataCommand::new();
        command.manifest_path(tree::root().join("Cargo.toml")).no_deps();
        command.other_options(vec!["--offline".to_owned()]);
        let metadata = command.exec().expect("cargo reads our own manifests");
        metadata.packages.iter().map(declared).collect()
    });
    &CRATES
}

/// Whether a crate of the workspace has this name.
pub(super) fn is_ours(name: &str, crates: &[Crate]) -> bool {
    crates.iter().any(|ours| ours.name == name)
}

/// The line of a manifest where a key is set, or its first line.
pub(super) fn line_of(manifest: &str, key: &str) -> usize {
    let sets =
        |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    numbered(manifest).find(|(_, line)| sets(line)).map_or(1, |(number, _)| number)
}

fn declared(package: &Package) -> Crate {
    let path = package.manifest_path.as_std_path();
    let path = path.strip_prefix(tree::root()).expect("our crates live in the repository");
    let manifest = path.to_string_lossy().into_owned();
    let text = tree::file(&manifest).map_or("", |file| &file.text);
    let need = |dependency: &Dependency| Need {
        name: dependency.name.clone(),
        line: line_of(text, &dependency.name),
        for_what: match dependency.kind {
            DependencyKind::Development => For::Tests,
            _ => For::Use,
        },
    };
    let needs = package.dependencies.iter().map(need).collect();
    Crate { name: package.name.to_string(), manifest, needs }
}

/// A crate made up for showing a rule a breach.
pub(super) fn pretend(name: &str, uses: &[&str], tests_with: &[&str]) -> Crate {
    let need = |for_what| move |name: &&str| Need { name: (*name).to_owned(), line: 1, for_what };
    let tests = tests_with.iter().map(need(For::Tests));
    let needs = uses.iter().map(need(For::Use)).chain(tests).collect();
    Crate { name: name.to_owned(), manifest: format!("crates/{name}/Cargo.toml"), needs }
}
