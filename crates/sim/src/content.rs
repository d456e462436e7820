//! Content: the pages of the pretend origin, and what each version of each variant consists of.
//!
//! A body is made from page, version and variant alone, so that whoever reads one can say byte for
//! byte whether it is a whole version, and which. No two versions of a page have a common body
//! unless both are empty.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::{Attributes, Host, Path, Tag, Tags};

use crate::dice::Dice;
use crate::scenario::Level;

/// How long the origin lets a page be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Seconds of `max-age`.
    MaxAge(u32),
    /// `no-store`.
    Never,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By `Content-Length`.
    Length,
    /// By the last chunk: nobody knows the length beforehand.
    Chunked,
}

/// Whether a page is one thing for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variance {
    /// It is.
    One,
    /// `Vary: x-variant`.
    ByField,
}

/// What an answer can be recognized by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validator {
    /// A strong `ETag`.
    Tag,
    /// A `Last-Modified`, to the minute: two versions may have the same.
    Date,
    /// Nothing.
    None,
}

/// Whether something stands between the mesh and the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Nothing.
    None,
    /// A cache of the origin's own, which says the age of what it answers with.
    Cache,
}

/// Where versions of a page differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// From the first byte on.
    Throughout,
    /// Only in the second half: the length and the beginning are the same.
    AtTheEnd,
}

/// One URL of the pretend site.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// What purges match.
    pub(crate) attributes: Attributes,
    /// How long it may be kept.
    pub(crate) keeping: Keeping,
    /// How its end is told.
    pub(crate) framing: Framing,
    /// Whether it varies.
    pub(crate) variance: Variance,
    /// What it can be recognized by.
    pub(crate) validator: Validator,
    /// Where its versions differ.
    pub(crate) difference: Difference,
    /// What stands before it.
    pub(crate) front: Front,
    /// Its `Surrogate-Key`.
    pub(crate) tag: Tag,
    /// Between the origin's reading of the request and its answer.
    pub(crate) thinking: Duration,
    /// Bytes of its body, more or less.
    pub(crate) bytes: usize,
    /// Bytes of the pieces in which it is sent.
    pub(crate) piece_bytes: usize,
}

impl Page {
    /// What a copy of it remembers of its tag.
    pub(crate) fn tags(&self) -> Tags {
        Tags::of([self.tag.as_str()].into_iter())
    }
}

/// Variants that viewers ask for.
pub(crate) const VARIANTS: [&str; 3] = ["plain", "dark", "large"];

/// A body: the variant is zero where a page does not vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edition {
    /// The page's number.
    pub(crate) page: usize,
    /// From 1 on.
    pub(crate) version: u64,
    /// An index into [`VARIANTS`].
    pub(crate) variant: usize,
}

/// The pages, and their bodies as far as anybody has looked.
pub(crate) struct Site {
    /// All pages; the first are asked for most.
    pub(crate) pages: Vec<Page>,
    made: Mutex<BTreeMap<Edition, Bytes>>,
}

/// The hosts of the site.
pub(crate) const HOSTS: [&str; 3] = ["shop.example", "www.shop.example", "blog.example"];
/// Whose they are.
pub(crate) const DISTRIBUTIONS: [(&str, &[&str]); 2] =
    [("shop", &["shop.example", "www.shop.example"]), ("blog", &["blog.example"])];
/// How many tags there are.
const TAGS: usize = 4;
/// Its directories.
pub(crate) const DIRECTORIES: [&str; 3] = ["/", "/news/", "/news/old/"];
/// How pages are recognized: most by a tag.
const VALIDATORS: [Validator; 6] = [
    Validator::Tag,
    Validator::Tag,
    Validator::Tag,
    Validator::Tag,
    Validator::Date,
    Validator::None,
];
/// How many pages it has.
const PAGES: usize = 14;

impl Site {
    /// The site that the dice lay out.
    pub(crate) fn draw(level: Level, dice: &mut Dice) -> Site {
        Site {
            pages: (0..PAGES).map(|number| page(level, number, dice)).collect(),
            made: Mutex::default(),
        }
    }

    /// The body of `edition`.
    pub(crate) fn body(&self, edition: Edition) -> Bytes {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let page = &self.pages[edition.page];
        made.entry(edition).or_insert_with(|| write_body(edition, page)).clone()
    }

    /// The variant that a request for `variant` is answered with.
    pub(crate) fn variant_served(&self, page: usize, variant: usize) -> usize {
        match self.pages[page].variance {
            Variance::One => 0,
            Variance::ByField => variant,
        }
    }
}

fn page(level: Level, number: usize, dice: &mut Dice) -> Page {
    let host = dice.pick(&HOSTS);
    let directory = dice.pick(&DIRECTORIES);
    let owner = DISTRIBUTIONS.iter().find(|(_, hosts)| hosts.contains(host));
    let distribution = owner.map_or("shop", |(name, _)| *name);
    let attributes = Attributes {
        distribution: distribution.parse().expect("a DNS label"),
        host: Host::parse(host).expect("a host name"),
        path: Path::parse(&format!("{directory}{number}.html")).expect("a path"),
    };
    let max_age = *dice.pick(&[3_600, 3_600, 3_600, 1, 3]);
    let bytes = match dice.below(8) {
        0 => 0,
        1 => dice.within(100_000..=300_000),
        2..=4 if level == Level::L1 => dice.within(10_000..=60_000),
        _ => dice.within(1..=4_000),
    };
    Page {
        attributes,
        keeping: if dice.chance(8) { Keeping::Never } else { Keeping::MaxAge(max_age) },
        framing: if dice.chance(40) { Framing::Chunked } else { Framing::Length },
        variance: if dice.chance(20) { Variance::ByField } else { Variance::One },
        validator: *dice.pick(&VALIDATORS),
        front: if dice.chance(15) { Front::Cache } else { Front::None },
        tag: Tag::parse(&format!("product-{}", number % TAGS)).expect("a tag"),
        difference: if dice.chance(25) { Difference::AtTheEnd } else { Difference::Throughout },
        thinking: if dice.chance(35) { dice.millis(1_000..=2_000) } else { dice.millis(1..=30) },
        bytes,
        piece_bytes: (bytes / dice.within(2..=9)).clamp(1, 64 * 1024),
    }
}

/// A title line and noise that only this edition has; before it, where versions differ only at the
/// end, noise that all have.
fn write_body(edition: Edition, page: &Page) -> Bytes {
    let Edition { page: number, version, variant } = edition;
    if page.bytes == 0 {
        return Bytes::new();
    }
    let (shared, bytes) = match page.difference {
        Difference::AtTheEnd => (page.bytes / 2, page.bytes),
        Difference::Throughout => (0, page.bytes + usize::try_from(version % 5).unwrap_or(0) * 37),
    };
    let mut body = Vec::with_capacity(bytes + 80);
    fill(&mut body, shared, Dice::new(number as u64));
    let title = format!("page {number}, version {version}, {}\n", VARIANTS[variant]);
    body.extend_from_slice(title.as_bytes());
    fill(&mut body, bytes, Dice::new(number as u64 ^ version << 16 ^ (variant as u64) << 56));
    body.truncate(bytes);
    body.into()
}

fn fill(body: &mut Vec<u8>, bytes: usize, mut noise: Dice) {
    while body.len() < bytes {
        body.extend_from_slice(&noise.roll().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_editions_have_a_body_in_common() {
        let site = Site::draw(Level::L1, &mut Dice::new(3));
        for page in (0..PAGES).filter(|page| site.pages[*page].bytes > 200) {
            let of = |version, variant| site.body(Edition { page, version, variant });
            assert_eq!(of(1, 0), of(1, 0));
            assert_ne!(of(1, 0), of(2, 0));
            assert_ne!(of(1, 0), of(1, 1));
            let starts_alike = of(1, 0)[..90] == of(2, 0)[..90];
            assert_eq!(starts_alike, site.pages[page].difference == Difference::AtTheEnd);
        }
    }
}
