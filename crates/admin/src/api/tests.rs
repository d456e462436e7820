//! The API as its callers meet it: each route, each refusal, and the document of them.
//!
//! Every test speaks HTTP to the whole router, door rules included, before a desk that keeps a
//! real log.

mod distributions;
mod document;
mod invalidations;
mod mesh;
mod refusals;
