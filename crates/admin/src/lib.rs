//! The operator's door of a node: a JSON API with its OpenAPI document, probes and metrics, over
//! axum.
//!
//! [`Door`] decides who may come in, `api` what can be asked, [`view`] how questions and answers
//! look, [`Problem`] how a refusal does. What is behind the door is the [`Desk`], a port that the
//! program fills. Nothing here decides about purges or distributions: commands go to the log, and
//! the log's word is passed on.

mod door;
mod entrance;
mod auth;
mod token;
mod desk;
pub mod view;
mod problem;
mod api;
mod extract;
mod demand;
mod metrics;
mod error;

#[cfg(test)]
mod testing;

pub use api::openapi;
pub use desk::{Copies, Desk, Planned, Readiness};
pub use door::Door;
pub use error::AdminError;
pub use metrics::{Metrics, Readings};
pub use problem::Problem;
pub use token::Token;
