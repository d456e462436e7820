//! Manifests: versions live in the root, and every crate takes the workspace's lints.
//!
//! One place to read what we depend on, one version of each. A crate says only that it needs a
//! library, perhaps with more features. The simulator alone writes the lints out: it defines two
//! functions of libc again, for which `unsafe_code` is denied there and not forbidden.

use toml::{Table, Value};

use super::report::Report;
use super::tree;
use super::workspace::{crates, line_of};

/// The tables of a manifest that hold dependencies.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
/// The crate that may say `#[expect(unsafe_code, reason = …)]`.
const INTERPOSER: &str = "crates/sim/Cargo.toml";

#[test]
fn every_version_stands_in_the_workspace() {
    let mut report = Report::default();
    let root = tree::file("Cargo.toml").expect("the workspace has a manifest");
    unversioned(&root.path, &root.text, &mut report);
    for (path, text) in manifests() {
        own_versions(path, text, &mut report);
    }
    report.finish();
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let mut report = Report::default();
    let root = tree::file("Cargo.toml").expect("the workspace has a manifest");
    for (path, text) in manifests() {
        match path {
            INTERPOSER => copied_lints(path, text, &root.text, &mut report),
            _ => own_lints(path, text, &mut report),
        }
    }
    report.finish();
}

fn manifests() -> impl Iterator<Item = (&'static str, &'static str)> {
    crates().iter().map(|ours| {
        let file = tree::file(&ours.manifest);
        (&*ours.manifest, file.map_or("", |file| &file.text))
    })
}

fn unversioned(path: &str, text: &str, report: &mut Report) {
    let workspace = parsed(text).remove("workspace");
    let listed = workspace.as_ref().and_then(|table| table.get("dependencies")?.as_table());
    for (name, needed) in listed.into_iter().flatten() {
        let found = needed.is_str() || needed.get("version").is_some();
        if !found && needed.get("path").is_none() {
            let what = "needs a version from the registry, or a path if it is ours";
            report.add(path, line_of(text, name), format!("`{name}` {what}"));
        }
    }
}

fn own_versions(path: &str, text: &str, report: &mut Report) {
    let manifest = parsed(text);
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flatten().filter_map(|(_, target)| target.as_table());
    for table in std::iter::once(&manifest).chain(targets) {
        let kinds = KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table());
        for (name, needed) in kinds.flatten() {
            if !is_true(needed.get("workspace")) {
                let what = "brings its own version: write it into [workspace.dependencies], and";
                let what = format!("`{name}` {what} `{name}.workspace = true` here");
                report.add(path, line_of(text, name), what);
            }
        }
    }
}

fn own_lints(path: &str, text: &str, report: &mut Report) {
    let manifest = parsed(text);
    if !is_true(manifest.get("lints").and_then(|lints| lints.get("workspace"))) {
        report.add(path, 1, "lints of its own: write `[lints]` and `workspace = true`");
    }
}

/// The workspace's lints word for word, but for the one.
fn copied_lints(path: &str, text: &str, root: &str, report: &mut Report) {
    let mut workspace = parsed(root).remove("workspace");
    let mut lints = workspace.as_mut().and_then(|table| table.as_table_mut()?.remove("lints"));
    let rust = lints.as_mut().and_then(|lints| lints.get_mut("rust")?.as_table_mut());
    rust.map(|rust| rust.insert("unsafe_code".into(), "deny".into())).unwrap_or_default();
    if parsed(text).remove("lints") != lints {
        let what = "copy the lints of the workspace, with `unsafe_code = \"deny\"`";
        report.add(path, line_of(text, "[lints.rust]"), what);
    }
}

fn parsed(text: &str) -> Table {
    text.parse().expect("cargo has read this manifest already")
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool) == Some(true)
}

#[test]
fn a_version_or_a_lint_of_its_own_is_found() {
    let mut report = Report::default();
    unversioned("root", "[workspace.dependencies]\na = '1'\nb = { git = 'x' }", &mut report);
    let own =
        "[dependencies]\na.workspace = true\nb = '1'\n[target.'cfg(unix)'.dependencies]\nc = '1'";
    own_versions("own", own, &mut report);
    own_lints("own", "[lints.rust]\nunsafe_code = 'warn'", &mut report);
    let root = "[workspace.lints.rust]\nunsafe_code = 'forbid'\nx = 'warn'";
    let copy = "[lints.rust]\nunsafe_code = 'deny'\nx = 'warn'";
    copied_lints("copy", copy, root, &mut report);
    copied_lints("copy", "[lints.rust]\nunsafe_code = 'deny'", root, &mut report);
    report.expect(&["copy:1: copy", "own:1: lints", "own:3: `b`", "own:5: `c`", "root:3: `b`"]);
}
