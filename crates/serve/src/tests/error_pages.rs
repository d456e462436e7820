//! Pages in the place of errors: only viewers see them, and the errors themselves are remembered.

use http::Method;
use model::{CustomErrorResponse, Path, Tier};
use wire::exchange::Answer;

use super::origin::Reply;
use super::viewer::Ask;
use super::world::{Lab, attributes};
use crate::OriginError;

fn page(error_code: u16, path: &str, response_code: u16) -> CustomErrorResponse {
    CustomErrorResponse {
        error_code,
        response_page_path: Some(Path::parse(path).unwrap()),
        response_code: Some(response_code),
        error_caching_min_ttl_seconds: 10,
    }
}

fn dead() -> OriginError {
    OriginError::Unreachable("refused".into())
}

fn with_pages() -> Lab {
    let lab = Lab::three_tiers();
    lab.configure(|shop| {
        shop.custom_error_responses =
            vec![page(404, "/sorry.html", 200), page(502, "/down.html", 503)];
    });
    let html = "cache-control:max-age=60|content-type:text/html|etag:\"p\"";
    lab.origin.on("/sorry.html", Reply::new(html, "sorry"));
    lab.origin.on("/down.html", Reply::new(html, "down"));
    lab.origin.on("/none", Reply::status(404, "cache-control:max-age=30", "none"));
    lab.origin.on("/dead", Reply::failure(dead()));
    lab
}

#[test]
fn a_page_and_its_status_stand_for_an_error_of_the_origin() {
    let lab = with_pages();
    for round in 0..2 {
        let viewer = lab.get("e1", "/none");
        assert_eq!(viewer.answer(), (200, "sorry".into()), "{round}");
        assert_eq!(viewer.header("content-type"), "text/html");
        assert_eq!(viewer.header("content-length"), "5");
    }
    assert_eq!(lab.get("e1", "/dead").answer(), (503, "down".into()));
    assert_eq!(lab.get("e1", "/dead").header("x-cache"), "Error from shoal");
    let head = lab.ask("e1", Ask::head("/none"));
    assert_eq!(
        (head.status(), head.body(), head.header("content-length")),
        (200, "".into(), "5".into())
    );
}

#[test]
fn conditions_and_ranges_were_meant_for_another_response() {
    let lab = with_pages();
    for lines in ["if-none-match:\"p\"", "range:bytes=0-1", "if-match:\"x\""] {
        let viewer = lab.ask("e1", Ask::get("/none").with(lines));
        assert_eq!(viewer.answer(), (200, "sorry".into()), "{lines}");
    }
}

#[test]
fn tiers_above_pass_the_truth_on() {
    let lab = with_pages();
    let Answer::Response(head) = lab.inquire("r1", Tier::Regional, attributes("/none")) else {
        panic!("a response")
    };
    assert_eq!(head.status.as_u16(), 404);
}

#[test]
fn an_error_whose_page_cannot_be_had_is_shown_itself() {
    let lab = with_pages();
    lab.origin.on("/sorry.html", Reply::failure(dead()));
    assert_eq!(lab.get("e1", "/none").answer(), (404, "none".into()));
    lab.origin.on("/sorry.html", Reply::status(500, "", "worse"));
    assert_eq!(lab.get("e1", "/none").answer(), (404, "none".into()));
}

#[test]
fn what_our_own_limits_refuse_has_no_page() {
    let lab = with_pages();
    lab.configure(|shop| {
        shop.custom_error_responses = vec![page(405, "/sorry.html", 200)];
        shop.default_cache_behavior.allowed_methods = model::behavior::Methods::Reading;
    });
    assert_eq!(lab.ask("e1", Ask::with_method(Method::PUT, "/none")).status(), 405);
    assert_eq!(lab.origin.count(), 0);
}

/// A distribution that remembers that its origin is unwell.
fn remembering(error_code: u16) -> Lab {
    let lab = Lab::three_tiers();
    let error = CustomErrorResponse {
        response_page_path: None,
        response_code: None,
        ..page(error_code, "/", 200)
    };
    lab.configure(|shop| shop.custom_error_responses = vec![error]);
    lab
}

#[test]
fn an_error_that_is_named_is_remembered_and_one_that_is_not_is_asked_about() {
    let lab = remembering(503);
    for (target, status) in [("/named", 503), ("/other", 500)] {
        lab.origin.on(target, Reply::status(status, "", "unwell"));
        assert_eq!(lab.get("e1", target).status(), status);
        assert_eq!(lab.get("e1", target).status(), status);
    }
    assert_eq!(lab.origin.count(), 3, "one for the named one, two for the other");
    lab.wait(11);
    lab.origin.on("/named", Reply::new("cache-control:max-age=60", "well"));
    assert_eq!(lab.get("e1", "/named").answer(), (200, "well".into()));
}

#[test]
fn a_purge_forgets_a_remembered_error() {
    let lab = remembering(503);
    lab.origin.on("/a", Reply::status(503, "", "unwell"));
    assert_eq!(lab.get("e1", "/a").status(), 503);
    lab.origin.on("/a", Reply::new("cache-control:max-age=60", "well"));
    lab.purge("/a");
    assert_eq!(lab.get("e1", "/a").answer(), (200, "well".into()));
}

#[test]
fn a_stale_copy_outlives_the_error_and_the_origin_is_let_alone_for_a_while() {
    for failure in [Reply::status(503, "", "unwell"), Reply::failure(dead())] {
        let lab = Lab::three_tiers();
        let quiet = |code| CustomErrorResponse {
            response_page_path: None,
            response_code: None,
            ..page(code, "/", 200)
        };
        lab.configure(|shop| {
            shop.default_cache_behavior.cache_policy.stale_if_error_seconds = 600;
            shop.custom_error_responses = vec![quiet(502), quiet(503)];
        });
        lab.origin.on("/a", Reply::new("cache-control:max-age=10", "good"));
        assert_eq!(lab.get("e1", "/a").body(), "good");
        lab.wait(20);
        lab.origin.on("/a", failure);
        for _ in 0..3 {
            assert_eq!(lab.get("e1", "/a").answer(), (200, "good".into()));
        }
        assert_eq!(lab.origin.count(), 2, "asked once more, and then let alone");
        lab.wait(11);
        assert_eq!(lab.get("e1", "/a").answer(), (200, "good".into()));
        assert_eq!(lab.origin.count(), 3, "asked again after ten seconds");
        lab.wait(11);
        lab.origin.on("/a", Reply::new("cache-control:max-age=10", "new"));
        assert_eq!(lab.get("e1", "/a").answer(), (200, "new".into()));
        lab.purge("/a");
        lab.origin.on("/a", Reply::failure(dead()));
        assert_eq!(lab.get("e1", "/a").status(), 502, "what is purged covers no failure");
    }
}

#[test]
fn a_policys_window_serves_stale_while_it_is_refreshed() {
    let lab = Lab::three_tiers();
    lab.configure(|shop| {
        shop.default_cache_behavior.cache_policy.stale_while_revalidate_seconds = 60;
    });
    lab.origin.on("/a", Reply::new("cache-control:max-age=10", "old"));
    lab.get("e1", "/a").body();
    lab.wait(20);
    lab.origin.on("/a", Reply::new("cache-control:max-age=10", "new"));
    assert_eq!(lab.get("e1", "/a").body(), "old");
    assert_eq!(lab.get("e1", "/a").body(), "new");
}
