use model::Path;

use super::*;

fn at(index: u64) -> LogPosition {
    LogPosition::new(0, index)
}

fn object(given: &str) -> Attributes {
    let (host, path) = given.split_once('/').unwrap();
    Attributes {
        distribution: "shop".parse().unwrap(),
        host: Host::parse(host).unwrap(),
        path: Path::parse(&format!("/{path}")).unwrap(),
    }
}

fn scope(given: &str) -> Scope {
    match given.strip_prefix('#') {
        Some(tag) => Scope::Tag(model::Tag::parse(tag).unwrap()),
        None => Scope::parse(given).unwrap(),
    }
}

fn tags() -> Tags {
    Tags::of(["home", "product-42"].into_iter())
}

fn hard(epochs: &mut Epochs, given: &str, index: u64) {
    epochs.purge(&scope(given), Effect::Hard, at(index));
}

#[test]
fn a_purge_covers_what_its_scope_says_and_nothing_else() {
    for (given, covered, spared) in [
        ("/a", vec!["x/a", "y/a"], vec!["x/a?q", "x/a/", "x/b"]),
        ("https://x/a", vec!["x/a"], vec!["y/a"]),
        ("/d/*", vec!["x/d/", "y/d/e/f?q", "x/d/e"], vec!["x/d", "x/de/f", "x/?/d/"]),
        ("https://x/d/*", vec!["x/d/e"], vec!["y/d/e"]),
        ("/*", vec!["x/", "y/a/b?c"], vec![]),
        ("https://x/*", vec!["x/", "x/a"], vec!["y/"]),
        ("/*.jpg", vec!["x/a.jpg", "y/b/c.jpg"], vec!["x/a.jpg?v"]),
        ("https://x/a*b", vec!["x/ab", "x/a/b"], vec!["y/ab", "x/abc"]),
        ("#home", vec!["x/", "y/any"], vec![]),
        ("#Home", vec![], vec!["x/"]),
        ("#product-4", vec![], vec!["x/"]),
    ] {
        for effect in [Effect::Hard, Effect::Soft] {
            let mut epochs = Epochs::default();
            epochs.purge(&scope(given), effect, at(5));
            let standing = |path: &str, index| epochs.standing(&object(path), &tags(), at(index));
            let expect = match effect {
                Effect::Hard => Standing::Old,
                Effect::Soft => Standing::Softened,
            };
            for path in &covered {
                assert_eq!(standing(path, 4), expect, "{given} must cover {path}");
                assert_eq!(standing(path, 5), Standing::Good, "{path} fetched after {given}");
            }
            for path in &spared {
                assert_eq!(standing(path, 4), Standing::Good, "{given} must not cover {path}");
            }
        }
    }
}

#[test]
fn the_latest_purge_of_a_scope_counts() {
    let mut epochs = Epochs::default();
    hard(&mut epochs, "/a", 3);
    hard(&mut epochs, "/*", 6);
    hard(&mut epochs, "/a", 9);
    let standing = |path, index| epochs.standing(&object(path), &Tags::NONE, at(index));
    assert_eq!(standing("x/a", 8), Standing::Old);
    assert_eq!(standing("x/b", 6), Standing::Good);
    assert_eq!(standing("x/b", 5), Standing::Old);
}

#[test]
fn a_hard_purge_outweighs_a_soft_one_and_a_floor_drops_both() {
    let mut epochs = Epochs::default();
    epochs.purge(&scope("/a"), Effect::Soft, at(3));
    hard(&mut epochs, "#home", 2);
    let standing = |epochs: &Epochs, index| epochs.standing(&object("x/a"), &tags(), at(index));
    assert_eq!(standing(&epochs, 1), Standing::Old);
    assert_eq!(standing(&epochs, 2), Standing::Softened);
    epochs.raise_floor(at(7));
    assert_eq!(standing(&epochs, 6), Standing::Old);
    assert!(epochs.is_empty());
}

#[test]
fn a_full_map_becomes_a_floor_and_forgets_nothing() {
    let mut epochs = Epochs::default();
    for index in 0..=EPOCHS_MAX as u64 {
        let path = Path::parse(&format!("/{index}")).unwrap();
        epochs.purge(&Scope::Url { host: None, path }, Effect::Hard, at(index + 1));
    }
    assert!(epochs.is_empty());
    for path in ["x/0", "x/never-purged"] {
        assert_eq!(epochs.standing(&object(path), &Tags::NONE, at(0)), Standing::Old);
    }
}

#[test]
fn patterns_beyond_the_limit_are_widened_and_forget_nothing() {
    let mut epochs = Epochs::default();
    for index in 0..=GLOBS_MAX as u64 {
        hard(&mut epochs, &format!("/d{index}/*.jpg"), index + 1);
        hard(&mut epochs, &format!("/d{index}/*.jpg"), index + 1);
    }
    assert_eq!(epochs.hard.globs.len(), GLOBS_MAX);
    let standing = |path, index| epochs.standing(&object(path), &Tags::NONE, at(index));
    assert_eq!(standing("x/d0/a.jpg", 0), Standing::Old);
    assert_eq!(standing("x/d0/a.png", 0), Standing::Old, "widened to its directory");
    assert_eq!(standing("x/d0/a.jpg", 1), Standing::Good);
    assert_eq!(standing("x/d1/a.png", 0), Standing::Good);
}
