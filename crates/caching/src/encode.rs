//! Compression at the edge: which coding a viewer gets, of which responses, and what the fields of
//! the encoded response are (RFC 9110 §8.4 and §12.5.3).
//!
//! What is worth it follows CloudFront: texts by type, from 1,000 to 10,000,000 bytes, sent plain
//! by the origin and not marked `no-transform`. The encoded content is another representation, so
//! its `ETag` is weak, it has no ranges, and what could have been encoded says `Vary` either way.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderName, RANGE, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use model::limits::{ENCODED_BYTES_MAX, ENCODED_BYTES_MIN};
use model::{CacheKey, CachePolicy, object::Head};

use crate::etag::EntityTag;
use crate::field;
use crate::revalidate::Validators;
use crate::variant::{Vary, vary};

/// A content coding that we know how to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// The best first, of what a viewer likes as much.
    pub const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// The name in `Content-Encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    fn is_enabled(self, policy: &CachePolicy) -> bool {
        match self {
            Coding::Brotli => policy.enable_accept_encoding_brotli,
            Coding::Zstd => policy.enable_accept_encoding_zstd,
            Coding::Gzip => policy.enable_accept_encoding_gzip,
        }
    }
}

/// Why a response is never encoded here, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unencodable {
    /// Neither content nor an error page: 200, 403 and 404 are encoded.
    Status,
    /// It has a coding already.
    Encoded,
    /// `no-transform` (RFC 9111 §5.2.2.6).
    NoTransform,
    /// Its length is not known, too small to be worth it, or too large to be held.
    Length,
    /// Not a text, as far as its type says.
    Type,
}

/// What to do about the coding of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing: it is sent as it is to everybody.
    Never(Unencodable),
    /// Nothing for this viewer; another might get it encoded.
    Plain,
    /// Encode it.
    As(Coding),
}

/// How the response with that head and length goes to the viewer who sent `request` and likes that
/// coding best, if any.
pub fn encoding(
    request: &HeaderMap,
    liked: Option<Coding>,
    head: &Head,
    length: Option<u64>,
) -> Encoding {
    match check(head, length) {
        Err(why) => Encoding::Never(why),
        // A part of what is encoded on the fly could not be told from a part of anything else.
        Ok(()) if request.contains_key(RANGE) => Encoding::Plain,
        Ok(()) => liked.map_or(Encoding::Plain, Encoding::As),
    }
}

fn check(head: &Head, length: Option<u64>) -> Result<(), Unencodable> {
    const WORTH_IT: std::ops::RangeInclusive<u64> = ENCODED_BYTES_MIN..=ENCODED_BYTES_MAX;
    let Head { status, headers, .. } = head;
    let has_content =
        matches!(*status, StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
    if !has_content {
        return Err(Unencodable::Status);
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Unencodable::Encoded);
    }
    let directives = field::all_members(headers, &http::header::CACHE_CONTROL);
    if directives.into_iter().any(|word| word.eq_ignore_ascii_case(b"no-transform")) {
        return Err(Unencodable::NoTransform);
    }
    if !length.is_some_and(|bytes| WORTH_IT.contains(&bytes)) {
        return Err(Unencodable::Length);
    }
    if !is_text(headers) {
        return Err(Unencodable::Type);
    }
    Ok(())
}

/// CloudFront's list, less what only old plug-ins ever read; what the format has compressed itself
/// (`woff2`) was never in it.
const TEXTS: [&str; 41] = [
    "application/dash+xml",
    "application/eot",
    "application/font",
    "application/font-sfnt",
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/opentype",
    "application/otf",
    "application/pdf",
    "application/pkcs7-mime",
    "application/protobuf",
    "application/rss+xml",
    "application/truetype",
    "application/ttf",
    "application/vnd.apple.mpegurl",
    "application/vnd.mapbox-vector-tile",
    "application/vnd.ms-fontobject",
    "application/xhtml+xml",
    "application/xml",
    "application/x-font-opentype",
    "application/x-font-truetype",
    "application/x-font-ttf",
    "application/x-httpd-cgi",
    "application/x-javascript",
    "application/x-mpegurl",
    "application/x-opentype",
    "application/x-otf",
    "application/x-perl",
    "application/x-ttf",
    "font/eot",
    "font/opentype",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
];

fn is_text(headers: &HeaderMap) -> bool {
    let Some(value) = field::only(headers, &CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    TEXTS.iter().any(|text| essence.trim_ascii().eq_ignore_ascii_case(text.as_bytes()))
}

/// The coding that a viewer likes best of those that the policy enables (RFC 9110 §12.5.3). A
/// viewer who likes the plain content better says so with a weight of `identity`.
pub fn negotiate(request: &HeaderMap, policy: &CachePolicy) -> Option<Coding> {
    let (mut named, mut others, mut plain) = ([None; Coding::ALL.len()], None, None);
    for member in field::all_members(request, &ACCEPT_ENCODING) {
        let Some((name, weight)) = weighted(member) else { continue };
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match Coding::ALL.iter().position(|coding| is(coding.as_str())) {
            Some(at) => named[at] = named[at].or(Some(weight)),
            None if is("x-gzip") => {
                let gzip = named.last_mut()?;
                *gzip = gzip.or(Some(weight));
            }
            None if is("*") => others = others.or(Some(weight)),
            None if is("identity") => plain = plain.or(Some(weight)),
            None => {}
        }
    }
    let weights = named.map(|weight| weight.or(others).unwrap_or(0));
    let offered = Coding::ALL.into_iter().zip(weights);
    let accepted = offered.filter(|(coding, weight)| *weight > 0 && coding.is_enabled(policy));
    // Of several that are liked as much the first: `max_by_key` would give the last.
    let best = accepted.rev().max_by_key(|(_, weight)| *weight);
    best.filter(|(_, weight)| *weight >= plain.unwrap_or(0)).map(|(coding, _)| coding)
}

/// A coding and its weight in thousandths (RFC 9110 §12.4.2); none if that is no weight.
fn weighted(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|byte| *byte == b';').map(|part| part.trim_ascii());
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut weight = 1_000;
    for part in parts {
        let (key, value) = part.split_at(part.iter().position(|byte| *byte == b'=')?);
        if key.trim_ascii().eq_ignore_ascii_case(b"q") {
            weight = thousandths(value[1..].trim_ascii())?;
        }
    }
    Some((name, weight))
}

/// `0`, `1`, or one of them with up to three decimals, at most one in all.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] => (whole, decimals),
        _ => return None,
    };
    let is_plain = decimals.len() <= 3 && decimals.iter().all(u8::is_ascii_digit);
    let digits = decimals.iter().chain([b'0'; 3].iter()).take(3);
    let sum = digits.fold(0, |sum: u16, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        b'0' if is_plain => Some(sum),
        b'1' if is_plain && sum == 0 => Some(1_000),
        _ => None,
    }
}

/// Says that the coding depends on the viewer, if `Vary` does not say so yet.
pub fn add_vary(headers: &mut HeaderMap) {
    let says_so = match vary(headers) {
        Vary::None => false,
        Vary::Any => true,
        Vary::Fields(fields) => fields.contains(&ACCEPT_ENCODING),
    };
    if !says_so {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Turns the fields of the plain response into those of the encoded one (RFC 9110 §8.8.3.3). The
/// length is for whoever knows it to say.
pub fn encode_fields(headers: &mut HeaderMap, coding: Coding) {
    const OF_THE_PLAIN_BYTES: [HeaderName; 5] = [
        CONTENT_LENGTH,
        ACCEPT_RANGES,
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
    ];
    OF_THE_PLAIN_BYTES.iter().for_each(|name| drop(headers.remove(name)));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    let Some(etag) = EntityTag::of(headers) else {
        headers.remove(ETAG);
        return;
    };
    if etag.is_strong()
        && let Some(strong) = headers.get(ETAG)
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", strong.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}

/// The key under which the encoded content of the object under `key` is kept. A strong `ETag` names
/// it across revalidations; without one it belongs to this very answer of the origin.
pub fn encoded_key(key: &CacheKey, head: &Head, length: u64, coding: Coding) -> CacheKey {
    let (epoch, index) = (head.as_of.epoch().to_le_bytes(), head.as_of.index().to_le_bytes());
    let asked = head.requested_at.since_start().as_nanos().to_le_bytes();
    let etag = Validators::strong(&head.headers).etag;
    let version = match &etag {
        Some(etag) => [b"etag", etag.as_bytes(), b"", b""],
        None => [b"answer", &asked[..], &epoch[..], &index[..]],
    };
    let [kind, one, two, three] = version;
    let coding = coding.as_str().as_bytes();
    let length = length.to_le_bytes();
    CacheKey::of(&[b"encoded", key.as_bytes(), coding, &length, kind, one, two, three])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{LogPosition, Moment};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::fields;

    fn all() -> CachePolicy {
        CachePolicy {
            enable_accept_encoding_gzip: true,
            enable_accept_encoding_brotli: true,
            enable_accept_encoding_zstd: true,
            ..CachePolicy::default()
        }
    }

    fn head(status: u16, lines: &str) -> Head {
        Head {
            status: StatusCode::from_u16(status).unwrap(),
            headers: fields(lines),
            as_of: LogPosition::ZERO,
            requested_at: Moment::START,
            received_at: Moment::START,
            initial_age: Duration::ZERO,
            proof_age: Duration::ZERO,
        }
    }

    fn liked(accept: &str) -> Option<Coding> {
        negotiate(&fields(&format!("accept-encoding:{accept}")), &all())
    }

    #[test]
    fn the_coding_is_the_one_with_the_greatest_weight() {
        // RFC 9110 §12.4.2 and §12.5.3.
        use Coding::{Brotli, Gzip, Zstd};
        for (accept, expect) in [
            ("gzip", Some(Gzip)),
            ("GZIP, deflate", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, br", Some(Brotli)),
            ("gzip;q=1.0, br;q=0.8", Some(Gzip)),
            ("gzip;q=0.5, br;q=0.501", Some(Brotli)),
            ("br ; q=0.3 , zstd;Q=0.4", Some(Zstd)),
            ("br;q=0, gzip", Some(Gzip)),
            ("br;q=0.000", None),
            ("*", Some(Zstd)),
            ("*;q=0.1, gzip;q=0.2", Some(Gzip)),
            ("*, zstd;q=0", Some(Brotli)),
            ("*;q=0, gzip", Some(Gzip)),
            ("*;q=0", None),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("identity;q=0", None),
            ("", None),
            ("deflate, compress", None),
            ("gzip;q=2", None),
            ("gzip;q=1.001", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=", None),
            ("gzip;q", None),
            ("gzip;q=-1, br;q=0.1", Some(Brotli)),
            ("gzip|accept-encoding:br;q=0.1", Some(Gzip)),
        ] {
            assert_eq!(liked(accept), expect, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new(), &all()), None);
    }

    #[test]
    fn only_what_the_policy_enables_is_offered() {
        let policy = CachePolicy { enable_accept_encoding_gzip: true, ..CachePolicy::default() };
        let request = fields("accept-encoding:br, gzip;q=0.1");
        assert_eq!(negotiate(&request, &policy), Some(Coding::Gzip));
        assert_eq!(negotiate(&request, &CachePolicy::default()), None);
    }

    #[test]
    fn what_is_worth_encoding_is_cloudfront_s() {
        use Encoding::{As, Never};
        let good = As(Coding::Gzip);
        let (min, max) = (ENCODED_BYTES_MIN, ENCODED_BYTES_MAX);
        for (status, lines, length, expect) in [
            (200, "content-type:text/html", Some(min), good),
            (200, "content-type:Text/HTML; charset=utf-8", Some(max), good),
            (404, "content-type:application/json", Some(min), good),
            (403, "content-type:image/svg+xml", Some(min), good),
            (500, "content-type:text/html", Some(min), Never(Unencodable::Status)),
            (206, "content-type:text/html", Some(min), Never(Unencodable::Status)),
            (200, "content-type:text/html", Some(min - 1), Never(Unencodable::Length)),
            (200, "content-type:text/html", Some(max + 1), Never(Unencodable::Length)),
            (200, "content-type:text/html", None, Never(Unencodable::Length)),
            (200, "content-type:image/png", Some(min), Never(Unencodable::Type)),
            (200, "content-type:text/htmlx", Some(min), Never(Unencodable::Type)),
            (200, "", Some(min), Never(Unencodable::Type)),
            (
                200,
                "content-type:text/css|content-encoding:gzip",
                Some(min),
                Never(Unencodable::Encoded),
            ),
            (
                200,
                "content-type:text/css|cache-control:max-age=1, No-Transform",
                Some(min),
                Never(Unencodable::NoTransform),
            ),
        ] {
            let found =
                encoding(&HeaderMap::new(), Some(Coding::Gzip), &head(status, lines), length);
            assert_eq!(found, expect, "{status} {lines} {length:?}");
        }
        let css = head(200, "content-type:text/css");
        for (request, liked) in [("", None), ("range:bytes=0-1", Some(Coding::Gzip))] {
            let found = encoding(&fields(request), liked, &css, Some(min));
            assert_eq!(found, Encoding::Plain, "{request}");
        }
    }

    #[test]
    fn the_encoded_response_is_another_representation() {
        // RFC 9110 §8.8.3.3.
        for (plain, expect) in [
            (
                "etag:\"1\"|content-length:5|accept-ranges:bytes|x:y",
                "etag:W/\"1\"|content-encoding:br|x:y",
            ),
            ("etag:W/\"1\"", "etag:W/\"1\"|content-encoding:br"),
            ("etag:1|content-md5:x", "content-encoding:br"),
        ] {
            let mut headers = fields(plain);
            encode_fields(&mut headers, Coding::Brotli);
            assert_eq!(headers, fields(expect), "{plain}");
        }
        for (before, after) in [
            ("", "vary:Accept-Encoding"),
            ("vary:cookie", "vary:cookie|vary:Accept-Encoding"),
            ("vary:accept-encoding", "vary:accept-encoding"),
            ("vary:*", "vary:*"),
        ] {
            let mut headers = fields(before);
            add_vary(&mut headers);
            assert_eq!(headers, fields(after), "{before}");
        }
    }

    #[test]
    fn a_strong_etag_names_the_encoded_content_and_else_the_answer_does() {
        let key = CacheKey::of(&[b"k"]);
        let name = |lines: &str, at: u64| {
            let requested_at = Moment::at(Duration::from_secs(at));
            let head = Head { requested_at, ..head(200, lines) };
            encoded_key(&key, &head, 5, Coding::Gzip)
        };
        assert_eq!(name("etag:\"1\"", 1), name("etag:\"1\"", 2));
        assert_ne!(name("etag:\"1\"", 1), name("etag:\"2\"", 1));
        assert_ne!(name("etag:W/\"1\"", 1), name("etag:W/\"1\"", 2));
        assert_ne!(
            encoded_key(&key, &head(200, "etag:\"1\""), 5, Coding::Gzip),
            encoded_key(&key, &head(200, "etag:\"1\""), 5, Coding::Brotli)
        );
    }

    proptest! {
        #[test]
        fn any_accept_encoding_is_read(text in "[a-z*;=q0-9., ]{0,60}") {
            liked(&text);
        }
    }
}
