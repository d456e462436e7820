//! The primary cache key: what tells two resources apart before `Vary` does.
//!
//! Distribution, host, canonical path with query; never the method (GET and HEAD share an entry),
//! never the scheme. Purges do not match keys but the attributes themselves.

use model::{Attributes, CacheKey};

/// The key of the resource with these attributes.
pub fn key(attributes: &Attributes) -> CacheKey {
    let Attributes { distribution, host, path } = attributes;
    CacheKey::of(&[
        distribution.as_str().as_bytes(),
        host.as_str().as_bytes(),
        path.as_str().as_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use model::{Host, Path};

    use super::*;

    fn of(distribution: &str, host: &str, path: &str) -> CacheKey {
        key(&Attributes {
            distribution: distribution.parse().unwrap(),
            host: Host::parse(host).unwrap(),
            path: Path::parse(path).unwrap(),
        })
    }

    #[test]
    fn equivalent_urls_share_a_key_and_others_do_not() {
        // RFC 9110 §4.2.3.
        let one = of("shop", "shop.example", "/a?b=c");
        assert_eq!(of("shop", "SHOP.example:443", "/x/../%61?b=c"), one);
        for other in [
            of("blog", "shop.example", "/a?b=c"),
            of("shop", "blog.example", "/a?b=c"),
            of("shop", "shop.example", "/a"),
            of("shop", "shop.example", "/a?b=d"),
        ] {
            assert_ne!(other, one);
        }
    }
}
