//! The canonical URL as a distribution sees it: what a viewer, a purge and the origin mean by it.
//!
//! [`Path::parse`] has settled percent-encoding and dot segments. Here slashes are merged where the
//! distribution wants that, and `/` becomes the default root object. Both are done before behaviors
//! are compared and keys are made, on every node alike.

use model::{Distribution, Path};

/// What was asked for: the name by which purges know it.
pub fn asked(distribution: &Distribution, path: Path) -> Path {
    match distribution.merge_slashes {
        true => path.with_slashes_merged(),
        false => path,
    }
}

/// What answers for it: another path for exactly `/` where there is a default root object, and the
/// same one otherwise.
pub fn resource(distribution: &Distribution, asked: &Path) -> Path {
    match &distribution.default_root_object {
        Some(root) if asked.without_query() == "/" => root.path().with_query(asked.query()),
        Some(_) | None => asked.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::distribution;

    fn shop(merge_slashes: bool, root: Option<&str>) -> Distribution {
        let default_root_object = root.map(|root| root.to_owned().try_into().unwrap());
        Distribution { merge_slashes, default_root_object, ..distribution(Vec::new()) }
    }

    #[test]
    fn only_the_root_itself_has_a_root_object() {
        let shop = shop(false, Some("a/index.html"));
        for (asked, expect) in [
            ("/", "/a/index.html"),
            ("/?b", "/a/index.html?b"),
            ("/x/..", "/a/index.html"),
            ("/dir/", "/dir/"),
            ("//", "//"),
        ] {
            let found = resource(&shop, &Path::parse(asked).unwrap());
            assert_eq!(found.as_str(), expect, "{asked}");
        }
    }

    proptest! {
        #[test]
        fn what_was_resolved_resolves_to_itself(path in "/[a/.%2F]{0,12}", merge in any::<bool>()) {
            let shop = shop(merge, Some("index.html"));
            let one = asked(&shop, Path::parse(&path).unwrap());
            prop_assert_eq!(asked(&shop, one.clone()), one.clone());
            let kept = resource(&shop, &one);
            prop_assert_eq!(resource(&shop, &kept), kept.clone());
            prop_assert_eq!(asked(&shop, kept.clone()), kept);
        }
    }
}
