//! Metrics as a scraper reads them: names, labels and values in the text.
//!
//! Each count is made through the same calls as the program makes.

use std::time::Duration;

use control::{CommandId, Refusal};
use follow::Progressed;
use http::{Method, StatusCode};
use model::{LogPosition, Moment};
use serve::account;

use super::*;

fn account(tier: Tier, verdict: account::Verdict, source: Source) -> Account {
    Account {
        began: Moment::START,
        tier,
        method: Method::GET,
        distribution: None,
        host: None,
        path: None,
        verdict,
        source,
        collapsed: false,
        stored: false,
        detail: None,
        status: StatusCode::OK,
        body_bytes: Some(1000),
        took: Duration::from_millis(3),
    }
}

/// The value of the series that a line starts with.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let (name, wanted) = series.split_once('{').unwrap_or((series, ""));
    let wanted: Vec<&str> = wanted.trim_end_matches('}').split(',').collect();
    let line = page.lines().find(|line| {
        let labels = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
        labels.is_some_and(|labels| wanted.iter().all(|label| labels.contains(label)))
    });
    let line = line.unwrap_or_else(|| panic!("{series} is not in\n{page}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_request_is_counted_once_under_its_tier_and_verdict() {
    let metrics = Metrics::new();
    let why = caching::Why::Missing;
    for (verdict, source, word) in [
        (account::Verdict::Hit, Source::Here, "hit"),
        (account::Verdict::Stale, Source::Here, "stale"),
        (account::Verdict::Revalidated(why), Source::Origin, "revalidated"),
        (account::Verdict::Forwarded(why), Source::Origin, "miss"),
        (account::Verdict::None, Source::Origin, "pass"),
        (account::Verdict::None, Source::Here, "refused"),
    ] {
        metrics.record(&account(Tier::Regional, verdict, source));
        let page = metrics.encode();
        let labels = format!("{{tier=\"regional\",verdict=\"{word}\"}}");
        assert_eq!(value(&page, &format!("shoal_requests_total{labels}")), 1.0);
        assert_eq!(value(&page, &format!("shoal_response_body_bytes_total{labels}")), 1000.0);
        assert_eq!(value(&page, &format!("shoal_time_to_head_seconds_count{labels}")), 1.0);
        assert_eq!(value(&page, &format!("shoal_time_to_head_seconds_sum{labels}")), 0.003);
        assert_eq!(value(&page, "shoal_requests_total{tier=\"edge\",verdict=\"hit\"}"), 0.0);
    }
    let fetches = value(&metrics.encode(), "shoal_origin_fetches_total{tier=\"regional\"}");
    assert_eq!(fetches, 3.0);
}

#[test]
fn those_who_waited_for_a_fetch_made_none() {
    let metrics = Metrics::new();
    let mut follower =
        account(Tier::Shield, account::Verdict::Forwarded(caching::Why::Missing), Source::Origin);
    follower.collapsed = true;
    follower.body_bytes = None;
    metrics.record(&follower);
    let page = metrics.encode();
    assert_eq!(value(&page, "shoal_origin_fetches_total{tier=\"shield\"}"), 0.0);
    assert_eq!(value(&page, "shoal_requests_total{tier=\"shield\",verdict=\"miss\"}"), 1.0);
}

#[test]
fn buckets_are_cumulative_up_to_infinity() {
    let metrics = Metrics::new();
    for took in [0, 1, 3, 100_000] {
        let mut account = account(Tier::Edge, account::Verdict::Hit, Source::Here);
        account.took = Duration::from_millis(took);
        metrics.record(&account);
    }
    let page = metrics.encode();
    for (bound, count) in
        [("0.0001", 1.0), ("0.001", 2.0), ("0.005", 3.0), ("30.0", 3.0), ("+Inf", 4.0)]
    {
        let labels = format!("{{le=\"{bound}\",tier=\"edge\",verdict=\"hit\"}}");
        assert_eq!(value(&page, &format!("shoal_time_to_head_seconds_bucket{labels}")), count);
    }
}

#[test]
fn a_purge_is_counted_by_what_was_wanted_and_what_came_of_it() {
    let metrics = Metrics::new();
    let id = CommandId(1);
    let reached = |level| {
        let progressed = Progressed {
            position: LogPosition::new(0, 1),
            level,
            committed: Duration::ZERO,
            fenced: (level == Level::Fenced).then_some(Duration::from_millis(9)),
            applied: Vec::new(),
            pending: Vec::new(),
            expired: Vec::new(),
            cut: 0,
        };
        Ok(Receipt { id, progressed })
    };
    for (wanted, answer, word) in [
        (Level::Applied, reached(Level::Applied), "reached"),
        (Level::Applied, reached(Level::Committed), "short"),
        (Level::Committed, reached(Level::Committed), "reached"),
        (Level::Fenced, reached(Level::Fenced), "reached"),
        (Level::Fenced, reached(Level::Applied), "short"),
        (Level::Applied, Err(SubmitError::Refused(Refusal::NotFormed)), "refused"),
        (Level::Committed, Err(SubmitError::Unacceptable("too big".into())), "refused"),
        (Level::Applied, Err(SubmitError::Unknown { id, reason: "silence".into() }), "unknown"),
    ] {
        metrics.purged(wanted, &answer);
        let series = format!("shoal_purges_total{{level=\"{wanted}\",outcome=\"{word}\"}}");
        assert_eq!(value(&metrics.encode(), &series), 1.0, "{series}");
    }
    metrics.purged(Level::Applied, &reached(Level::Fenced));
    let page = metrics.encode();
    assert_eq!(value(&page, "shoal_purge_time_to_fenced_seconds_count"), 1.0, "only if waited for");
    assert_eq!(value(&page, "shoal_purge_time_to_fenced_seconds_sum"), 0.009);
}

#[test]
fn readings_replace_what_was_read_before() {
    let metrics = Metrics::new();
    let readings = Readings {
        store_bytes: 4096,
        store_objects: 2,
        fills_running: 1,
        applied: LogPosition::new(1, 7),
        head: LogPosition::new(1, 9),
        invalidation_entries: 40,
        lease_age: Some(Duration::from_millis(1500)),
        fenced: false,
        responses_cut: 6,
        canary_samples: 100,
        canary_violations: 1,
        peers_alive: 4,
        leads: true,
        term: 3,
    };
    metrics.observe(&Readings { leads: false, lease_age: None, fenced: true, ..readings });
    let page = metrics.encode();
    assert!(value(&page, "shoal_lease_age_seconds").is_nan());
    assert_eq!(value(&page, "shoal_fenced"), 1.0);
    metrics.observe(&readings);
    let page = metrics.encode();
    for (name, expect) in [
        ("shoal_store_bytes", 4096.0),
        ("shoal_store_objects", 2.0),
        ("shoal_fills_running", 1.0),
        ("shoal_log_epoch", 1.0),
        ("shoal_log_applied_index", 7.0),
        ("shoal_log_head_index", 9.0),
        ("shoal_invalidation_entries", 40.0),
        ("shoal_lease_age_seconds", 1.5),
        ("shoal_fenced", 0.0),
        ("shoal_responses_cut_total", 6.0),
        ("shoal_canary_samples_total", 100.0),
        ("shoal_canary_violations_total", 1.0),
        ("shoal_peers_alive", 4.0),
        ("shoal_raft_is_leader", 1.0),
        ("shoal_raft_term", 3.0),
    ] {
        assert_eq!(value(&page, name), expect, "{name}");
    }
}

#[test]
fn every_name_is_ours_and_every_page_ends() {
    let page = Metrics::new().encode();
    let series = page.lines().filter(|line| !line.starts_with('#'));
    assert!(series.clone().count() > 100);
    for line in series {
        assert!(line.starts_with("shoal_"), "{line}");
    }
    assert!(page.ends_with("# EOF\n"));
}
