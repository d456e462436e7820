//! Content: the pages of the pretend origin, and what each version of each variant consists of.
//!
//! A body is made from page, version and variant alone, so that whoever reads one can say byte for
//! byte whether it is a whole version, and which. No two versions of a page have a common body
//! unless both are empty.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::{Attributes, Host, Path};

use crate::dice::Dice;

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
    /// Between the origin's reading of the request and its answer.
    pub(crate) thinking: Duration,
    /// Bytes of its first version; later ones differ a little.
    pub(crate) bytes: usize,
    /// Bytes of the pieces in which it is sent.
    pub(crate) piece_bytes: usize,
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

/// The two hosts of the site.
pub(crate) const HOSTS: [&str; 2] = ["shop.example", "www.shop.example"];
/// Its directories.
pub(crate) const DIRECTORIES: [&str; 3] = ["/", "/news/", "/news/old/"];
/// How many pages it has.
const PAGES: usize = 14;

impl Site {
    /// The site that the dice lay out.
    pub(crate) fn draw(dice: &mut Dice) -> Site {
        Site { pages: (0..PAGES).map(|number| page(number, dice)).collect(), made: Mutex::default() }
    }

    /// The body of `edition`.
    pub(crate) fn body(&self, edition: Edition) -> Bytes {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.pages[edition.page].bytes;
        made.entry(edition).or_insert_with(|| write_body(edition, bytes)).clone()
    }

    /// The variant that a request for `variant` is answered with.
    pub(crate) fn variant_served(&self, page: usize, variant: usize) -> usize {
        match self.pages[page].variance {
            Variance::One => 0,
            Variance::ByField => variant,
        }
    }
}

fn page(number: usize, dice: &mut Dice) -> Page {
    let host = dice.pick(&HOSTS);
    let directory = dice.pick(&DIRECTORIES);
    let attributes = Attributes {
        distribution: "shop".parse().expect("a DNS label"),
        host: Host::parse(host).expect("a host name"),
        path: Path::parse(&format!("{directory}{number}.html")).expect("a path"),
    };
    let max_age = *dice.pick(&[3_600, 3_600, 3_600, 1, 3]);
    let bytes = match dice.below(8) {
        0 => 0,
        1 => dice.within(100_000..=300_000),
        2..=4 => dice.within(10_000..=60_000),
        _ => dice.within(1..=4_000),
    };
    Page {
        attributes,
        keeping: if dice.chance(8) { Keeping::Never } else { Keeping::MaxAge(max_age) },
        framing: if dice.chance(40) { Framing::Chunked } else { Framing::Length },
        variance: if dice.chance(20) { Variance::ByField } else { Variance::One },
        thinking: if dice.chance(35) { dice.millis(1_000..=2_000) } else { dice.millis(1..=30) },
        bytes,
        piece_bytes: (bytes / dice.within(2..=9)).clamp(1, 64 * 1024),
    }
}

/// A title line, then noise that only this edition has.
fn write_body(edition: Edition, bytes: usize) -> Bytes {
    let Edition { page, version, variant } = edition;
    let bytes = if bytes == 0 { 0 } else { bytes + usize::try_from(version % 5).unwrap_or(0) * 37 };
    let title = format!("page {page}, version {version}, {}\n", VARIANTS[variant]);
    let mut noise = Dice::new(page as u64 ^ version << 16 ^ (variant as u64) << 56);
    let mut body = Vec::with_capacity(bytes + 8);
    body.extend_from_slice(title.as_bytes());
    while body.len() < bytes {
        body.extend_from_slice(&noise.roll().to_le_bytes());
    }
    body.truncate(bytes);
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_differ_from_the_first_bytes_on() {
        let mut dice = Dice::new(3);
        let site = Site::draw(&mut dice);
        let page = (0..PAGES).find(|page| site.pages[*page].bytes > 100).unwrap();
        let of = |version, variant| site.body(Edition { page, version, variant });
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0)[..40], of(2, 0)[..40]);
        assert_ne!(of(1, 0)[..40], of(1, 1)[..40]);
    }
}
