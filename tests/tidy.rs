//! The house rules that a machine can check: one test per rule, named after what it promises.
//!
//! Manifests come from `cargo metadata`, sources and documents from git's list of files, so a file
//! counts from the moment it is written. A failure lists every breach of its rule at once, as
//! `path:line: what, and what to do`. Each rule is also shown a breach that it must find. Checking
//! never writes: `cargo fmt` and people do.

mod documents;
mod floors;
mod format;
mod libraries;
mod links;
mod manifests;
mod report;
mod rooms;
mod shape;
mod tree;
mod words;
mod workspace;
