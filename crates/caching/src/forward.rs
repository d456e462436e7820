//! What a request says about being passed on: `CDN-Loop` (RFC 8586), `Max-Forwards` and `Expect`
//! (RFC 9110 §7.6.2 and §10.1.1).
//!
//! A loop is known by who we are and for which distribution: one distribution may well be the
//! origin of another, and a request passes the mesh once for each. Nobody can take the mark away:
//! `Connection` must not name the field (see `hop`).

use http::header::{EXPECT, HeaderName, HeaderValue, MAX_FORWARDS};
use http::{HeaderMap, Method};
use model::DistributionName;
use model::limits::CDN_LOOPS_MAX;

use crate::field;

/// Names the CDNs that a request has passed (RFC 8586 §2).
pub static CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// The parameter that tells one distribution's passage from another's.
const DISTRIBUTION: &str = "distribution";

/// Who has handled a request: a mesh, for one of its distributions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    id: String,
    distribution: String,
}

impl Passage {
    /// Through the mesh called `mesh`, for `distribution`.
    pub fn new(mesh: &str, distribution: &DistributionName) -> Passage {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
        let id = format!("{}.shoal", mesh.chars().map(plain).collect::<String>());
        Passage { id, distribution: distribution.as_str().to_owned() }
    }

    /// Whether a request with these fields has passed here before, or has passed the mesh more
    /// often than any honest chain of distributions is long.
    pub fn is_repeated_in(&self, request: &HeaderMap) -> bool {
        let ours = || field::all_members(request, &CDN_LOOP).filter(|member| self.is_by_us(member));
        ours().any(|member| self.is_ours(member)) || ours().count() >= CDN_LOOPS_MAX
    }

    /// The member of `CDN-Loop` that tells of this passage, for the request that goes on.
    pub fn field_value(&self) -> HeaderValue {
        let text = format!("{}; {DISTRIBUTION}={}", self.id, self.distribution);
        HeaderValue::try_from(text).expect("labels and punctuation are a value")
    }

    fn is_by_us(&self, member: &[u8]) -> bool {
        let id = member.split(|byte| *byte == b';').next().unwrap_or_default();
        id.trim_ascii().eq_ignore_ascii_case(self.id.as_bytes())
    }

    fn is_ours(&self, member: &[u8]) -> bool {
        let mut parameters = member.split(|byte| *byte == b';').skip(1);
        parameters.any(|parameter| {
            let mut sides = parameter.splitn(2, |byte| *byte == b'=');
            let name = sides.next().unwrap_or_default().trim_ascii();
            let value = sides.next().unwrap_or_default().trim_ascii();
            name.eq_ignore_ascii_case(DISTRIBUTION.as_bytes())
                && value.eq_ignore_ascii_case(self.distribution.as_bytes())
        })
    }
}

/// How far a request may still go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As far as it must.
    Onward,
    /// Not beyond us: we answer as its final recipient.
    Here,
}

/// Reads `Max-Forwards`, and counts this hop in it. It speaks of `OPTIONS` and `TRACE` only; for
/// other methods, or when it is no number, it says nothing (RFC 9110 §7.6.2).
pub fn count_forward(method: &Method, request: &mut HeaderMap) -> Reach {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return Reach::Onward;
    }
    let left = field::only(request, &MAX_FORWARDS).and_then(|value| digits(value.as_bytes()));
    match left {
        None => Reach::Onward,
        Some(0) => Reach::Here,
        Some(left) => {
            request.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Reach::Onward
        }
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        let append =
            |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        value.iter().fold(0, append)
    })
}

/// What a viewer expects before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing, or `100-continue`, which whoever reads the body meets.
    Met,
    /// Something that nobody here knows (RFC 9110 §10.1.1): 417.
    Unknown,
}

/// Reads `Expect` and takes it away: it is about this hop once it has been met here.
pub fn meet_expectation(request: &mut HeaderMap) -> Expectation {
    let is_known = |member: &[u8]| member.eq_ignore_ascii_case(b"100-continue");
    let is_met = field::all_members(request, &EXPECT).all(is_known);
    if !is_met {
        return Expectation::Unknown;
    }
    request.remove(EXPECT);
    Expectation::Met
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    fn passage(mesh: &str, distribution: &str) -> Passage {
        Passage::new(mesh, &distribution.parse().unwrap())
    }

    #[test]
    fn a_passage_is_a_cdn_id_with_a_parameter() {
        // RFC 8586 §2.
        assert_eq!(passage("prod", "shop").field_value(), "prod.shoal; distribution=shop");
        assert_eq!(passage("my mesh;", "shop").field_value(), "my-mesh-.shoal; distribution=shop");
    }

    #[test]
    fn a_request_that_was_here_before_is_known_again() {
        // RFC 8586 §2.
        let here = passage("prod", "shop");
        for (line, expect) in [
            ("", false),
            ("cdn-loop:", false),
            ("cdn-loop:other.cdn; distribution=shop", false),
            ("cdn-loop:other.cdn, prod.shoal; distribution=shop", true),
            ("cdn-loop:other.cdn|cdn-loop:prod.shoal;distribution=shop", true),
            ("cdn-loop:PROD.Shoal ; a=b ; Distribution = shop", true),
            ("cdn-loop:prod.shoal; distribution=blog", false),
            ("cdn-loop:prod.shoal", false),
            ("cdn-loop:test.shoal; distribution=shop", false),
            ("cdn-loop:x; a=\"prod.shoal; distribution=shop\"", false),
            ("cdn-loop:x; a=\", prod.shoal; distribution=shop\"", false),
        ] {
            assert_eq!(here.is_repeated_in(&fields(line)), expect, "{line}");
        }
        let mut passed = HeaderMap::new();
        passed.append(&CDN_LOOP, here.field_value());
        assert!(here.is_repeated_in(&passed));
        assert!(!passage("prod", "blog").is_repeated_in(&passed));
    }

    #[test]
    fn passing_the_mesh_too_often_is_a_loop_too() {
        let here = passage("prod", "shop");
        let chain = |length: usize| vec!["prod.shoal; distribution=x"; length].join(", ");
        let looped = |length| here.is_repeated_in(&fields(&format!("cdn-loop:{}", chain(length))));
        assert!(!looped(CDN_LOOPS_MAX - 1));
        assert!(looped(CDN_LOOPS_MAX));
    }

    #[test]
    fn max_forwards_counts_down_for_two_methods() {
        // RFC 9110 §7.6.2.
        for (method, given, reach, left) in [
            ("OPTIONS", "0", Reach::Here, "0"),
            ("OPTIONS", "1", Reach::Onward, "0"),
            ("OPTIONS", "010", Reach::Onward, "9"),
            ("TRACE", "0", Reach::Here, "0"),
            ("OPTIONS", "99999999999999999999", Reach::Onward, "18446744073709551614"),
            ("OPTIONS", "-1", Reach::Onward, "-1"),
            ("OPTIONS", "x", Reach::Onward, "x"),
            ("GET", "0", Reach::Onward, "0"),
            ("POST", "5", Reach::Onward, "5"),
        ] {
            let mut request = fields(&format!("max-forwards:{given}"));
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(count_forward(&method, &mut request), reach, "{method} {given}");
            assert_eq!(request.get(MAX_FORWARDS).unwrap(), left, "{method} {given}");
        }
        assert_eq!(count_forward(&Method::OPTIONS, &mut HeaderMap::new()), Reach::Onward);
    }

    #[test]
    fn only_100_continue_can_be_expected() {
        // RFC 9110 §10.1.1.
        for (lines, expect) in [
            ("", Expectation::Met),
            ("expect:100-continue", Expectation::Met),
            ("expect:100-Continue", Expectation::Met),
            ("expect:", Expectation::Met),
            ("expect:200-ok", Expectation::Unknown),
            ("expect:100-continue, x=y", Expectation::Unknown),
            ("expect:100-continue|expect:x", Expectation::Unknown),
        ] {
            let mut request = fields(lines);
            assert_eq!(meet_expectation(&mut request), expect, "{lines}");
            assert_eq!(request.contains_key(EXPECT), expect == Expectation::Unknown, "{lines}");
        }
    }

    proptest! {
        #[test]
        fn any_fields_are_read(value in "[ -~]{0,40}") {
            let mut request = fields(&format!("cdn-loop:{}", value.replace('|', "")));
            request.insert(MAX_FORWARDS, HeaderValue::from_str(&value).unwrap());
            request.insert(EXPECT, HeaderValue::from_str(&value).unwrap());
            passage("prod", "shop").is_repeated_in(&request);
            count_forward(&Method::OPTIONS, &mut request);
            meet_expectation(&mut request);
        }
    }
}
