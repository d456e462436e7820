//! The nouns every floor speaks: plain data, parsed once into types that cannot be wrong.
//!
//! Nothing here decides, waits or touches the outside world. Reading order is the order of the
//! `mod` lines.

pub mod limits;
pub mod name;
pub mod node;
pub mod url;
pub mod origin;
pub mod field;
pub mod policy;
pub mod behavior;
pub mod error_page;
pub mod purging;
pub mod distribution;
pub mod position;
pub mod tag;
pub mod glob;
pub mod invalidation;
pub mod key;
pub mod moment;
pub mod object;

pub use behavior::CacheBehavior;
pub use distribution::Distribution;
pub use error_page::CustomErrorResponse;
pub use field::{FieldName, FieldValue};
pub use glob::Glob;
pub use invalidation::{Effect, Invalidation, Level, Scope};
pub use key::CacheKey;
pub use moment::Moment;
pub use name::{DistributionName, Invalid, NodeName, Region};
pub use node::{Instance, Member, Tier, Tiers};
pub use object::{Attributes, Object};
pub use origin::Origin;
pub use policy::{CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy};
pub use position::LogPosition;
pub use purging::{Freshness, Purging, UnsafeMethods, WhenFenced};
pub use tag::{Tag, Tags};
pub use url::{Host, Path};
