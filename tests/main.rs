//! Integration tests: one binary, a file per theme.

mod cluster;
mod tidy;
