//! The testbed: a whole mesh on one machine, with oceans between its regions, to be broken on
//! purpose. `testbed --help` tells how.
//!
//! The program has the nodes' program in it: called by the name `shoal`, it is that.

mod chaos;
mod cli;
mod command;
mod control;
mod crew;
mod disk;
mod engine;
mod fault;
mod keeper;
mod load;
mod measure;
mod operator;
mod plug;
mod report;
mod scene;
mod tool;
mod topology;
mod tunnel;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let name = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = name.as_ref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    match name.is_some_and(|name| name.starts_with("shoal")) {
        true => shoal::main(),
        false => cli::main(),
    }
}
