//! Interim responses (RFC 9110 §15.2, RFC 8297): from the origin to the viewer whose request was
//! sent there, through all tiers, before the answer; never kept, never repeated.

use http::Method;

use super::origin::{Gate, Reply};
use super::viewer::{Ask, fields};
use super::world::Lab;

#[test]
fn a_hint_overtakes_the_answer_through_all_tiers() {
    for method in [Method::GET, Method::POST] {
        let (lab, gate) = (Lab::three_tiers(), Gate::default());
        let reply = Reply::new("cache-control:max-age=60", "page").held_at(&gate);
        lab.origin.on("/a", reply.after_hint("link:</a.css>|connection:x-hop|x-hop:1"));
        let viewer = lab.send("e1", Ask::with_method(method.clone(), "/a"));
        lab.run();
        assert_eq!(viewer.hints(), [fields("link:</a.css>")], "{method}");
        assert!(viewer.waits(), "{method}");
        gate.open();
        lab.run();
        assert_eq!((viewer.body(), viewer.header("link")), ("page".into(), "".into()), "{method}");
    }
}

#[test]
fn a_hint_is_not_kept_with_the_answer() {
    let lab = Lab::three_tiers();
    lab.origin.on("/a", Reply::new("cache-control:max-age=60", "page").after_hint("link:</a>"));
    assert_eq!(lab.get("e1", "/a").hints().len(), 1);
    assert_eq!(lab.get("e1", "/a").hints(), []);
    assert_eq!(lab.origin.count(), 1);
}
