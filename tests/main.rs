//! Integration tests: one binary, a file per theme.

mod clients;
mod cluster;
mod conformance;
mod tidy;
