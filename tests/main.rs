//! Integration tests: one binary, a file per theme.

mod cluster;
mod conformance;
mod tidy;
