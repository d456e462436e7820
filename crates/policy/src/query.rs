//! Query strings as pairs, selected by name. Nothing is decoded: names and values are compared as
//! they were sent, and what is kept is sent on as it came.

use std::cmp::Ordering;

use model::policy::{Names, QueryOrder};

/// What is left of `query`: what either of the two selects, in the order wanted; nothing if none
/// is.
pub(crate) fn selected(
    query: &str,
    key: &Names,
    origin: &Names,
    order: QueryOrder,
) -> Option<String> {
    let has = |pair: &&str| key.has(name(pair)) || origin.has(name(pair));
    let mut pairs: Vec<&str> = query.split('&').filter(has).collect();
    match order {
        QueryOrder::Kept => {}
        QueryOrder::Normalised => {
            pairs.retain(|pair| !pair.is_empty());
            pairs.sort_by(by_name);
        }
    }
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// Whether all of a query is kept as it came.
pub(crate) fn is_untouched(key: &Names, origin: &Names, order: QueryOrder) -> bool {
    let is_whole = *key == Names::All || *origin == Names::All;
    is_whole && order == QueryOrder::Kept
}

/// A stable sort: the values of one name stay in the order given, which may mean something.
fn by_name(one: &&str, two: &&str) -> Ordering {
    name(one).cmp(name(two))
}

fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::listed;

    #[test]
    fn query_strings_are_kept_by_name_as_they_came() {
        let a = || Names::Whitelist(listed(&["a"]));
        for (query, key, expect) in [
            ("a=1&b=2&a=3", a(), Some("a=1&a=3")),
            ("A=1&aa=2", a(), None),
            ("a", a(), Some("a")),
            ("a=%61&%61=1", a(), Some("a=%61")),
            ("b=2&a=1", Names::AllExcept(listed(&["a"])), Some("b=2")),
            ("b=2&a=1", Names::All, Some("b=2&a=1")),
            ("", Names::All, Some("")),
            ("a=1", Names::None, None),
        ] {
            let found = selected(query, &key, &Names::None, QueryOrder::Kept);
            assert_eq!(found.as_deref(), expect, "{query} {key:?}");
        }
    }

    #[test]
    fn an_allow_list_beats_the_other_policys_block_list() {
        let (key, origin) = (Names::Whitelist(listed(&["a"])), Names::AllExcept(listed(&["a"])));
        let found = selected("b=1&a=2", &key, &origin, QueryOrder::Kept);
        assert_eq!(found.as_deref(), Some("b=1&a=2"));
    }

    #[test]
    fn a_normalised_order_sorts_names_and_keeps_the_order_of_their_values() {
        let of = |query| selected(query, &Names::All, &Names::None, QueryOrder::Normalised);
        assert_eq!(of("b=1&a=2&&a=1").as_deref(), Some("a=2&a=1&b=1"));
        assert_eq!(of("a=2&a=1&b=1").as_deref(), Some("a=2&a=1&b=1"));
        assert_eq!(of(""), None);
    }
}
