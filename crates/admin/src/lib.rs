//! The operator's door: JSON API, OpenAPI, metrics.
