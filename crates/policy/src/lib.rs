//! What a viewer may ask, what tells two objects apart, and what origin and viewer get: a
//! distribution's policies as verdicts, with CloudFront's names and semantics.
//!
//! Values in, values out. Every node that is asked for the same thing under the same configuration
//! finds the same behavior, key and forwarded request, whoever asks it.

pub mod url;
pub mod behavior;
pub mod verdict;
pub mod derived;
pub mod country;
pub mod encoding;
pub mod cookies;
pub mod query;
pub mod key;
pub mod forward;
pub mod cors;
pub mod headers;
pub mod timing;
pub mod error_page;

#[cfg(test)]
mod testing;

pub use behavior::place;
pub use cors::Asked;
pub use country::CountryTable;
pub use derived::{Country, derive};
pub use error_page::{ErrorPage, error_min_ttl, error_page};
pub use forward::{beyond_the_key, forwarded_headers, forwarded_target, withhold_cookies};
pub use headers::{Dressing, dress};
pub use key::{is_by_url_alone, kept_path, key};
pub use timing::{CacheDetail, Timing, is_told, upstream};
pub use url::{asked, resource};
pub use verdict::{Denied, Scheme, admit};
