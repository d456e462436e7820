//! The HTTP caching RFCs as verdicts with reasons.
//!
//! May this response be kept, for how long, may it be served to this viewer, what must the origin
//! be asked, what does the viewer get, what does a change do away with: RFC 9110, 9111, 5861, 8586,
//! 9211, 9213 and 9875 for a shared cache, with the TTL policy of CloudFront on top. Where they
//! part, the RFC wins.
//! Values in, values out: nothing here reads a clock, waits, logs or touches a body.

pub mod directive;
pub mod targeted;
pub mod storable;
pub mod freshness;
pub mod plan;
pub mod variant;
pub mod tags;
pub mod groups;
pub mod invalidate;
pub mod forward;
pub mod revalidate;
pub mod range;
pub mod multipart;
pub mod slice;
pub mod encode;
pub mod status;
pub mod hop;

mod etag;
mod field;
mod sf;
#[cfg(test)]
mod testing;

pub use directive::{CacheControl, RequestDirectives, Seconds};
pub use encode::{
    Coding, Encoding, Unencodable, add_vary, encode_fields, encoded_key, encoding, negotiate,
};
pub use forward::{CDN_LOOP, Expectation, Passage, Reach, count_forward, meet_expectation};
pub use freshness::{ensure_date, initial_age, said_age};
pub use hop::strip_hop_by_hop;
pub use invalidate::{invalidated, is_safe};
pub use multipart::Multipart;
pub use plan::{Plan, Stored, Validity, Why, is_failure, may_serve_on_error, plan};
pub use range::{ByteRange, Ranged, content_range, first_byte, resolve, unsatisfied_range};
pub use revalidate::{
    Condition, Validators, confirms, evaluate, freshen, matches, matches_strongly,
    not_modified_fields,
};
pub use slice::{
    Piece, ask_for_slice, fields_of_whole, is_better_sliced, is_same_version, piece, slice_key,
    slice_of, slice_range, version,
};
pub use status::{CacheStatus, Handling};
pub use storable::{Rules, Terms, Unstorable, reusable, storable, storable_post};
pub use tags::{TAG_FIELDS, tags};
pub use variant::{Vary, variant_key, vary};
