//! Integration tests: one binary, a file per theme.

mod tidy;
