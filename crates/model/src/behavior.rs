//! Cache behaviors: which requests one covers, where these go, and the policies that hold for them.
//! Names and defaults are CloudFront's, except that a behavior which says nothing passes everything
//! through: every method, field, cookie and query string.

use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::limits::PATTERN_CHARS_MAX;
use crate::name::Invalid;
use crate::policy::{CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy};

/// How requests are handled that one pattern covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheBehavior {
    /// Which paths it covers; the default behavior covers the rest and has none.
    #[serde(default)]
    pub path_pattern: Option<PathPattern>,
    /// The `id` of one of the origins.
    pub target_origin_id: String,
    /// What viewers may ask; 405 for the rest.
    #[serde(default = "Methods::all")]
    pub allowed_methods: Methods,
    /// What may be answered from the cache: GET and HEAD. CloudFront takes OPTIONS too, whose
    /// answers are not cacheable (RFC 9110 §9.3.7).
    #[serde(default = "Methods::reading")]
    pub cached_methods: Methods,
    /// What viewers without TLS get.
    #[serde(default)]
    pub viewer_protocol_policy: ViewerProtocolPolicy,
    /// Whether the edge compresses what the origin sent plain.
    #[serde(default)]
    pub compress: bool,
    /// Lifetimes, and what tells two objects apart.
    #[serde(default)]
    pub cache_policy: CachePolicy,
    /// What the origin gets beside that.
    #[serde(default)]
    pub origin_request_policy: OriginRequestPolicy,
    /// How responses are dressed for viewers.
    #[serde(default)]
    pub response_headers_policy: ResponseHeadersPolicy,
}

impl CacheBehavior {
    /// A behavior that sends everything to that origin and has every default.
    pub fn to_origin(target_origin_id: &str) -> CacheBehavior {
        CacheBehavior {
            path_pattern: None,
            target_origin_id: target_origin_id.to_owned(),
            allowed_methods: Methods::All,
            cached_methods: Methods::Reading,
            viewer_protocol_policy: ViewerProtocolPolicy::default(),
            compress: false,
            cache_policy: CachePolicy::default(),
            origin_request_policy: OriginRequestPolicy::default(),
            response_headers_policy: ResponseHeadersPolicy::default(),
        }
    }
}

/// One of the three sets of methods that a behavior may name, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum Methods {
    /// GET and HEAD.
    Reading,
    /// GET, HEAD and OPTIONS.
    ReadingAndOptions,
    /// These, PUT, POST, PATCH and DELETE: whatever HTTP is used for.
    All,
}

impl Methods {
    fn all() -> Methods {
        Methods::All
    }

    fn reading() -> Methods {
        Methods::Reading
    }

    /// The names, as configuration and `Allow` list them.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Methods::Reading => &["GET", "HEAD"],
            Methods::ReadingAndOptions => &["GET", "HEAD", "OPTIONS"],
            Methods::All => &["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
        }
    }

    /// Whether the set has `method`.
    pub fn has(self, method: &Method) -> bool {
        self.names().contains(&method.as_str())
    }
}

impl TryFrom<Vec<String>> for Methods {
    type Error = Invalid;
    fn try_from(given: Vec<String>) -> Result<Self, Invalid> {
        let expected = "[\"GET\", \"HEAD\"], that and \"OPTIONS\", or that and \"PUT\", \"POST\", \
            \"PATCH\", \"DELETE\"";
        let is = |set: &Methods| {
            let names = set.names();
            let all_known = given.iter().all(|name| names.contains(&name.as_str()));
            all_known && names.iter().all(|name| given.iter().any(|given| given == name))
        };
        let sets = [Methods::Reading, Methods::ReadingAndOptions, Methods::All];
        let refuse = || Invalid::new("set of methods", &given.join(", "), expected);
        sets.into_iter().find(is).ok_or_else(refuse)
    }
}

impl From<Methods> for Vec<String> {
    fn from(methods: Methods) -> Vec<String> {
        methods.names().iter().map(|name| (*name).to_owned()).collect()
    }
}

/// What viewers get who did not come over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewerProtocolPolicy {
    /// The same as everybody.
    #[default]
    AllowAll,
    /// The way to the same URL with `https`.
    RedirectToHttps,
    /// 403.
    HttpsOnly,
}

/// A pattern for paths: `*` stands for any characters, slashes and none included, `?` for exactly
/// one. Case matters; a leading slash may be left out.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// Parses a pattern of CloudFront's characters.
    pub fn parse(given: &str) -> Result<PathPattern, Invalid> {
        let expected = "1 to 255 of A-Z a-z 0-9 _ - . * $ / ~ \" ' @ : + & ?";
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.*$/~\"'@:+&?".contains(&byte);
        let fits = (1..=PATTERN_CHARS_MAX).contains(&given.len()) && given.bytes().all(known);
        let refuse = || Invalid::new("path pattern", given, expected);
        fits.then(|| PathPattern(given.to_owned())).ok_or_else(refuse)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PathPattern {
    type Error = Invalid;
    fn try_from(given: String) -> Result<Self, Invalid> {
        PathPattern::parse(&given)
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> String {
        pattern.0
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_methods_is_one_of_three_in_any_order() {
        let parse = |list: &[&str]| {
            Methods::try_from(list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(parse(&["HEAD", "GET"]), Ok(Methods::Reading));
        assert_eq!(parse(&["GET", "OPTIONS", "HEAD"]), Ok(Methods::ReadingAndOptions));
        assert_eq!(parse(Methods::All.names()), Ok(Methods::All));
        for bad in [&[][..], &["GET"], &["get", "head"], &["GET", "HEAD", "POST"], &["TRACE"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(Methods::All.has(&Method::PATCH) && !Methods::Reading.has(&Method::OPTIONS));
    }

    #[test]
    fn a_pattern_is_made_of_cloudfronts_characters() {
        for good in ["*", "/images/*.jp?g", "a", "~'\"@:+&$", &"x".repeat(PATTERN_CHARS_MAX)] {
            assert_eq!(PathPattern::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "/a b", "/a%20b", "/ä", "/a#", &"x".repeat(PATTERN_CHARS_MAX + 1)] {
            assert!(PathPattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
