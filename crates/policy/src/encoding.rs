//! `Accept-Encoding`, reduced to what a policy enables: three codings make eight answers at most,
//! where viewers have hundreds of spellings.
//!
//! The order is ours, the best first; a coding with `q=0` is not accepted (RFC 9110 §12.5.3).

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};
use model::CachePolicy;

/// What is left of a viewer's `Accept-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The policy enables no coding: the field is an ordinary one.
    AsSent,
    /// The viewer sent none.
    Absent,
    /// Of what the policy enables, these, from the best to the worst; `identity` if none.
    These(&'static str),
}

/// All subsets, by the bits of zstd, br and gzip.
const SUBSETS: [&str; 8] =
    ["identity", "gzip", "br", "br, gzip", "zstd", "zstd, gzip", "zstd, br", "zstd, br, gzip"];

/// What the key and the origin see of the viewer's codings.
pub fn accepted(policy: &CachePolicy, headers: &HeaderMap) -> Accepted {
    if !policy.normalises_accept_encoding() {
        return Accepted::AsSent;
    }
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Accepted::Absent;
    }
    let enabled = [
        ("zstd", policy.enable_accept_encoding_zstd, 4),
        ("br", policy.enable_accept_encoding_brotli, 2),
        ("gzip", policy.enable_accept_encoding_gzip, 1),
    ];
    let taken = enabled.iter().filter(|(name, enabled, _)| *enabled && accepts(headers, name));
    let bits: usize = taken.map(|(.., bit)| bit).sum();
    Accepted::These(SUBSETS[bits])
}

/// Puts the field right in what goes up.
pub fn normalise(policy: &CachePolicy, headers: &mut HeaderMap) {
    match accepted(policy, headers) {
        Accepted::AsSent | Accepted::Absent => {}
        Accepted::These(codings) => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(codings));
        }
    }
}

fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut members = lines.flat_map(|line| line.split(','));
    let named = |name: &str| {
        name.eq_ignore_ascii_case(coding) || coding == "gzip" && name.eq_ignore_ascii_case("x-gzip")
    };
    members.any(|member| {
        let mut parts = member.split(';').map(str::trim);
        parts.next().is_some_and(named) && !parts.any(is_zero)
    })
}

/// Whether a parameter is a weight of zero.
fn is_zero(parameter: &str) -> bool {
    let weight =
        parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, value)| value.trim().parse::<f32>().is_ok_and(|value| value <= 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    #[test]
    fn only_enabled_codings_are_left_in_our_order() {
        let policy = |gzip, brotli, zstd| CachePolicy {
            enable_accept_encoding_gzip: gzip,
            enable_accept_encoding_brotli: brotli,
            enable_accept_encoding_zstd: zstd,
            ..CachePolicy::default()
        };
        for (policy, sent, expect) in [
            (policy(false, false, false), "accept-encoding:gzip", Accepted::AsSent),
            (policy(true, true, true), "", Accepted::Absent),
            (policy(true, true, true), "accept-encoding:gzip, deflate, br, zstd", ALL),
            (policy(true, true, true), "accept-encoding:zstd|accept-encoding:BR, x-gzip", ALL),
            (
                policy(true, true, false),
                "accept-encoding:gzip, br, zstd",
                Accepted::These("br, gzip"),
            ),
            (policy(true, false, false), "accept-encoding:br;q=1, gzip;q=0.5", GZIP),
            (policy(true, true, false), "accept-encoding:br;q=0, gzip", GZIP),
            (policy(true, true, false), "accept-encoding:br; q=0.000, gzip; Q=1", GZIP),
            (policy(true, true, false), "accept-encoding:deflate", Accepted::These("identity")),
            (policy(true, true, false), "accept-encoding:", Accepted::These("identity")),
        ] {
            let mut headers = fields(sent);
            assert_eq!(accepted(&policy, &headers), expect, "{sent}");
            normalise(&policy, &mut headers);
            assert_eq!(accepted(&policy, &headers), expect, "not idempotent: {sent}");
        }
    }

    const ALL: Accepted = Accepted::These("zstd, br, gzip");
    const GZIP: Accepted = Accepted::These("gzip");
}
