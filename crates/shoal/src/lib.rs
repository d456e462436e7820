//! The program: wiring, and nothing else. `node` puts a node together from the floors below; `cli`
//! is what people type.
//!
//! It is a library so that the integration tests and the testbed may use what the demo uses:
//! [`local`], a mesh of real processes on one machine, and what people read.

mod cli;
pub mod client;
mod command;
mod config;
mod countries;
mod demo;
mod desk;
mod host;
mod journal;
mod ledger;
pub mod local;
mod mesh;
mod node;
pub mod output;
mod roster;
mod shelf;
mod canary;
mod plan;
mod stock;
pub mod signals;
mod telemetry;

pub use cli::main;
