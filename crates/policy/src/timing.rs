//! `Server-Timing`: what the cache did with a request, for a browser's developer tools and for
//! measurements in the field. CloudFront's metric names, so that its users' tools read them.

use std::time::Duration;

use http::header::PRAGMA;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Tier;
use model::policy::response_headers::{Percent, ServerTiming};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheDetail {
    /// A copy of this tier.
    Hit(Tier),
    /// A copy that the tier above, or the origin, confirmed.
    Refresh,
    /// No copy would do.
    Miss,
}

/// What is told.
#[derive(Clone, Debug)]
pub struct Timing<'a> {
    /// What became of the request.
    pub detail: CacheDetail,
    /// The node that answers.
    pub node: &'a str,
    /// Who was asked by it, if anybody.
    pub upstream: Option<&'static str>,
    /// From the request's arrival to the first byte of the answer.
    pub first_byte: Duration,
}

/// Whether a response says so: by chance, or because its viewer asked.
pub fn is_told(policy: Option<&ServerTiming>, request: &HeaderMap, draw: u64) -> bool {
    let Some(policy) = policy else { return false };
    let asks = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"server-timing");
    let by_chance = draw % u64::from(Percent::MILLIONTHS_MAX);
    by_chance < policy.sampling_rate.millionths().into() || request.get_all(PRAGMA).iter().any(asks)
}

/// The name of a tier among the layers of CloudFront.
const fn layer(tier: Tier) -> &'static str {
    match tier {
        Tier::Edge => "EDGE",
        Tier::Regional => "REC",
        Tier::Shield => "Origin Shield",
    }
}

pub(crate) fn tell(timing: &Timing<'_>, headers: &mut HeaderMap) {
    let Timing { detail, node, upstream, first_byte } = timing;
    let milliseconds = first_byte.as_millis();
    let mut text = match detail {
        CacheDetail::Hit(tier) => {
            format!("cdn-cache-hit, cdn-hit-layer;desc=\"{}\"", layer(*tier))
        }
        CacheDetail::Refresh => "cdn-cache-refresh".to_owned(),
        CacheDetail::Miss => "cdn-cache-miss".to_owned(),
    };
    text.push_str(&format!(", cdn-pop;desc=\"{node}\""));
    if let Some(upstream) = upstream {
        text.push_str(&format!(
            ", cdn-upstream-layer;desc=\"{upstream}\", cdn-upstream-fbl;dur={milliseconds}"
        ));
    }
    text.push_str(&format!(", cdn-downstream-fbl;dur={milliseconds}"));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(SERVER_TIMING, value);
    }
}

/// The name of who was asked, among the layers of CloudFront.
pub const fn upstream(tier: Option<Tier>) -> &'static str {
    match tier {
        Some(tier) => layer(tier),
        None => "Origin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    #[test]
    fn a_share_of_responses_and_whoever_asks_is_told() {
        let policy =
            |percent: f64| ServerTiming { sampling_rate: Percent::try_from(percent).unwrap() };
        let nothing = HeaderMap::new();
        assert!(!is_told(None, &fields("pragma:server-timing"), 0));
        for (percent, draw, expect) in [
            (0.0, 0, false),
            (0.0001, 0, true),
            (0.0001, 1, false),
            (50.0, 499_999, true),
            (50.0, 500_000, false),
            (50.0, 1_499_999, true),
            (100.0, 999_999, true),
        ] {
            assert_eq!(is_told(Some(&policy(percent)), &nothing, draw), expect, "{percent} {draw}");
        }
        assert!(is_told(Some(&policy(0.0)), &fields("pragma:Server-Timing"), 7));
    }

    #[test]
    fn a_hit_names_its_layer_and_a_miss_who_was_asked() {
        let told = |detail, upstream| {
            let first_byte = Duration::from_millis(12);
            let timing = Timing { detail, node: "e1", upstream, first_byte };
            let mut headers = fields("server-timing:db;dur=5");
            tell(&timing, &mut headers);
            let mut lines = headers.get_all(SERVER_TIMING).iter();
            lines.next_back().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(
            told(CacheDetail::Hit(Tier::Edge), None),
            "cdn-cache-hit, cdn-hit-layer;desc=\"EDGE\", cdn-pop;desc=\"e1\", \
             cdn-downstream-fbl;dur=12"
        );
        assert_eq!(
            told(CacheDetail::Miss, Some(upstream(None))),
            "cdn-cache-miss, cdn-pop;desc=\"e1\", cdn-upstream-layer;desc=\"Origin\", \
             cdn-upstream-fbl;dur=12, cdn-downstream-fbl;dur=12"
        );
        assert!(told(CacheDetail::Refresh, Some(upstream(Some(Tier::Shield)))).contains("Shield"));
    }
}
