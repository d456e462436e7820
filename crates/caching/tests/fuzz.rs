//! Every parser of viewers' and origins' bytes, fed with what nobody would send on purpose.
//!
//! A target takes any bytes and must come back, with what it promises of them asserted inside. Its
//! corpus, `corpus/TARGET.txt`, holds one input a line; these are played as they are, and then
//! changed at random a bounded number of times. `SHOAL_FUZZ_SEED=n SHOAL_FUZZ_CASES=n` plays others
//! or more.

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, SystemTime};

use caching::{
    CacheControl, Condition, Passage, Ranged, RequestDirectives, Rules, Stored, Validity, Vary,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use model::object::Head;
use model::{Attributes, CacheKey, CachePolicy, Host, LogPosition, Moment, Tag};

/// Changed inputs for each target, unless the environment says otherwise: a second in all.
const CASES: u64 = 4_000;
/// Bytes of the longest input.
const BYTES_MAX: usize = 4_096;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 8] = [
    ("directives", fuzz_directives),
    ("storable", fuzz_storable),
    ("conditions", fuzz_conditions),
    ("ranges", fuzz_ranges),
    ("variants", fuzz_variants),
    ("changes", fuzz_changes),
    ("forwarding", fuzz_forwarding),
    ("urls", fuzz_urls),
];

/// `Cache-Control` of both sides, and targeted fields: what one line says, more lines only tighten.
fn fuzz_directives(data: &[u8]) {
    let targets = &CachePolicy::default().cache_control_targets;
    for name in ["cache-control", "cdn-cache-control"] {
        let headers = line(name, data);
        let control = CacheControl::of(&headers, targets);
        let mut twice = headers.clone();
        twice.extend(headers.clone());
        if !control.is_targeted {
            assert_eq!(CacheControl::of(&twice, targets).max_age, control.max_age);
        }
        assert!(control.withheld.len() <= model::limits::WITHHELD_FIELDS_MAX);
    }
    let mut forbidden = line("cache-control", data);
    forbidden.append("cache-control", HeaderValue::from_static("no-store"));
    assert!(CacheControl::of(&forbidden, &[]).no_store, "nothing hides a no-store");
    let asked = RequestDirectives::of(&forbidden);
    assert!(asked.no_store);
}

/// Whole messages: may it be kept, how old is it, is it served?
fn fuzz_storable(data: &[u8]) {
    let (request, mut response) = halves(data);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    caching::strip_hop_by_hop(&mut response);
    assert!(!response.contains_key("connection"));
    caching::ensure_date(&mut response, now);
    let policy = CachePolicy::default();
    let initial = caching::initial_age(&response, now, Duration::from_secs(1));
    for status in [200, 206, 299, 304, 404, 503] {
        let status = StatusCode::from_u16(status).expect("three digits");
        let terms =
            caching::storable(&Method::GET, &request, status, &response, &Rules::of(&policy));
        let Ok(terms) = terms else { continue };
        assert!(terms.lifetime <= policy.max_ttl());
        for seconds in [0, 10, u64::MAX] {
            let age = initial.saturating_add(Duration::from_secs(seconds));
            terms.ttl_at(age);
            let validity = Validity::Sound;
            let stored = Stored { terms: &terms, age, has_validator: true, validity };
            caching::plan(&RequestDirectives::of(&request), Some(stored));
            caching::may_serve_on_error(stored);
        }
    }
    if let Some(kept) = caching::reusable(&response, &policy) {
        assert!(kept.len() < response.len());
        assert_eq!(caching::reusable(&kept, &policy), None, "once is enough");
    }
}

/// Entity tags, dates and lists of them, against each other and through a 304.
fn fuzz_conditions(data: &[u8]) {
    let (request, response) = halves(data);
    let found = caching::evaluate(&Method::GET, &request, StatusCode::OK, &response);
    if found == Condition::NotModified {
        caching::not_modified_fields(&response);
    }
    let validators = caching::Validators::of(&response);
    let mut question = request.clone();
    validators.add_to(&mut question);
    assert!(caching::matches(&response, &response));
    let head = |status: StatusCode, headers: &HeaderMap| Head {
        status,
        headers: headers.clone(),
        as_of: LogPosition::ZERO,
        requested_at: Moment::START,
        received_at: Moment::START,
        initial_age: Duration::ZERO,
        proof_age: Duration::ZERO,
    };
    let stored = head(StatusCode::OK, &response);
    let fresh = caching::freshen(&stored, &head(StatusCode::NOT_MODIFIED, &request));
    let length = http::header::CONTENT_LENGTH;
    assert!(fresh.headers.get_all(&length).iter().eq(response.get_all(&length)));
}

/// `Range` and `If-Range`: no part lies outside the body.
fn fuzz_ranges(data: &[u8]) {
    let mut request = line("range", data);
    let response = line("etag", b"\"a\"");
    for length in [0, 1, 10, u64::MAX] {
        for method in [Method::GET, Method::HEAD] {
            let ranged = caching::resolve(&method, &request, StatusCode::OK, &response, length);
            match ranged {
                Ranged::Whole | Ranged::Unsatisfiable => {}
                Ranged::Part(part) => assert!(part.first <= part.last && part.last < length),
                Ranged::Parts(parts) => {
                    assert!(parts.iter().all(|part| part.first <= part.last && part.last < length));
                }
            }
        }
        request.extend(line("if-range", data));
    }
}

/// `Vary` and the fields that it selects by: the same request always has the same key.
fn fuzz_variants(data: &[u8]) {
    let (request, response) = halves(data);
    let Vary::Fields(names) = caching::vary(&response) else { return };
    assert!(names.len() <= model::limits::VARY_FIELDS_MAX + 1);
    let primary = CacheKey::of(&[b"fuzz"]);
    let key = caching::variant_key(&primary, &names, &request);
    assert_eq!(key, caching::variant_key(&primary, &names, &request.clone()));
    assert_ne!(key, primary);
}

/// What an answer to a `POST` does away with: nothing of another host. Tags and groups.
fn fuzz_changes(data: &[u8]) {
    let target = attributes();
    let (mut response, rest) = halves(data);
    response.extend(line("location", data));
    response.extend(rest);
    for status in [200, 303, 500] {
        let status = StatusCode::from_u16(status).expect("three digits");
        let scopes = caching::invalidated(&Method::POST, status, &response, &target);
        assert!(scopes.iter().all(|scope| scope.host().is_none_or(|host| *host == target.host)));
        assert!(scopes.len() <= model::limits::SCOPES_MAX);
        assert!(caching::invalidated(&Method::GET, status, &response, &target).is_empty());
    }
    if let Ok(tags) = caching::tags(&target.host, &response) {
        assert!(tags.marks().len() <= model::limits::TAGS_MAX);
    }
    for name in ["cache-groups", "surrogate-key", "cache-tag"] {
        drop(caching::tags(&target.host, &line(name, data)));
    }
}

/// `CDN-Loop`, `Max-Forwards` and `Expect`: a mark of ours beside anything is seen.
fn fuzz_forwarding(data: &[u8]) {
    let ours = Passage::new("prod", &"shop".parse().expect("a name"));
    let mut request = line("cdn-loop", data);
    ours.is_repeated_in(&request);
    request.append(&caching::CDN_LOOP, ours.field_value());
    assert!(ours.is_repeated_in(&request));
    for name in ["max-forwards", "expect", "connection"] {
        request.extend(line(name, data));
    }
    caching::strip_hop_by_hop(&mut request);
    assert!(ours.is_repeated_in(&request), "nobody lists the mark away");
    caching::count_forward(&Method::OPTIONS, &mut request);
    caching::meet_expectation(&mut request);
}

/// Hosts, paths and tags: what is read prints as something that reads as the same.
fn fuzz_urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = model::Path::parse(text) {
        assert_eq!(model::Path::parse(path.as_str()).as_ref(), Ok(&path));
    }
    if let Ok(host) = Host::parse(text) {
        assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(&host));
    }
    if let Ok(tag) = Tag::parse(text) {
        assert_eq!(tag.as_str(), text);
    }
}

fn attributes() -> Attributes {
    Attributes {
        distribution: "shop".parse().expect("a name"),
        host: Host::parse("shop.example").expect("a host"),
        path: model::Path::parse("/a/b?c").expect("a path"),
    }
}

/// One field line; what cannot stand in a value is left out, as a reader of messages would see to.
fn line(name: &'static str, value: &[u8]) -> HeaderMap {
    let fits = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    let value: Vec<u8> = value.iter().copied().filter(fits).collect();
    let value = HeaderValue::from_bytes(&value).expect("only what fits is left");
    HeaderMap::from_iter([(HeaderName::from_static(name), value)])
}

/// Two heads, one before and one after `||`; `|` separates field lines.
fn halves(data: &[u8]) -> (HeaderMap, HeaderMap) {
    let middle = data.windows(2).position(|pair| pair == b"||").unwrap_or(data.len());
    (head(&data[..middle]), head(&data[middle..]))
}

fn head(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'|').take(64) {
        let mut sides = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(sides.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(sides.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// A sequence that is the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("below a usize")
    }
}

/// What parsers stumble over.
const MORSELS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b",",
    b";",
    b"=",
    b"|",
    b"||",
    b":",
    b"*",
    b"-",
    b"W/",
    b"%2e",
    b"..",
    b"//",
    b"no-store",
    b"max-age=",
    b"99999999999999999999",
    b"-1",
    b"0",
    b"\xff",
    b"\t",
    b" ",
    b"?1",
    b"bytes=",
];

/// `input`, changed in a few places.
fn change(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        let end = (at + dice.below(8)).min(input.len());
        match dice.below(7) {
            0 => drop(input.splice(at..end, [])),
            1 => drop(input.splice(at..at, MORSELS[dice.below(MORSELS.len())].iter().copied())),
            2 => drop(input.splice(at..at, [dice.next().to_le_bytes()[0]])),
            3 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            4 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let from = dice.below(other.len() + 1);
                input.splice(end.., other[from..].iter().copied());
            }
            _ => {
                let whole = input.clone();
                input.splice(at..at, whole);
            }
        }
        input.truncate(BYTES_MAX);
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |given| given.parse().expect("a number"))
}

#[test]
fn no_bytes_of_anybody_make_a_parser_panic() {
    let (seed, cases) = (number("SHOAL_FUZZ_SEED", 1), number("SHOAL_FUZZ_CASES", CASES));
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        let corpus = fs::read(corpus.join(format!("{name}.txt"))).expect("every target has one");
        let corpus: Vec<&[u8]> = corpus.split(|byte| *byte == b'\n').collect();
        for input in &corpus {
            play(name, target, input, seed);
        }
        let mut dice = Dice(seed);
        for _ in 0..cases {
            let mut input = corpus[dice.below(corpus.len())].to_vec();
            let other = corpus[dice.below(corpus.len())];
            change(&mut input, other, &mut dice);
            play(name, target, &input, seed);
        }
    }
}

fn play(name: &str, target: fn(&[u8]), input: &[u8], seed: u64) {
    let played = panic::catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(played.is_ok(), "seed {seed}: {name} broke on \"{}\"", input.escape_ascii());
}
