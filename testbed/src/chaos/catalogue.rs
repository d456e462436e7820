//! What viewers ask for in a chaos run, and which of it each scope of a purge covers.

use admin::view::InvalidationRequest;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::control::{Ask, Control};
use crate::keeper::{DISTRIBUTION, HOSTS};

/// Directories, and pages in each.
const DIRECTORIES: [&str; 2] = ["a", "b"];
const PAGES: usize = 8;
/// Bytes of a page, and of the few large ones.
const SMALL: usize = 600;
const LARGE: usize = 200_000;
/// Tags: each page has one of these, and `all`.
const TAGS: usize = 4;

/// A page of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Page {
    pub(crate) host: usize,
    directory: usize,
    number: usize,
}

/// What a purge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One page on one host.
    Url(Page),
    /// One page on every host.
    Path(Page),
    Directory(usize),
    /// A page number in every directory.
    Pattern(usize),
    Tag(usize),
    Host(usize),
    All,
}

/// Every kind of scope, by name.
pub(crate) const KINDS: [&str; 7] = ["url", "path", "directory", "pattern", "tag", "host", "all"];

impl Page {
    pub(crate) fn host(self) -> &'static str {
        HOSTS[self.host]
    }

    pub(crate) fn path(self) -> String {
        format!("/{}/{}", DIRECTORIES[self.directory], self.number)
    }

    fn tag(self) -> usize {
        self.number % TAGS
    }

    fn bytes(self) -> usize {
        if self.number == 0 { LARGE } else { SMALL }
    }

    /// Any.
    pub(crate) fn draw(dice: &mut StdRng) -> Page {
        Page {
            host: dice.random_range(0..HOSTS.len()),
            directory: dice.random_range(0..DIRECTORIES.len()),
            number: dice.random_range(0..PAGES),
        }
    }
}

/// All pages.
pub(crate) fn pages() -> impl Iterator<Item = Page> {
    (0..HOSTS.len()).flat_map(|host| {
        (0..DIRECTORIES.len()).flat_map(move |directory| {
            (0..PAGES).map(move |number| Page { host, directory, number })
        })
    })
}

/// Tells the origins how long pages are and what tags they have.
pub(crate) async fn arrange(control: &Control) -> anyhow::Result<()> {
    for page in pages().filter(|page| page.host == 0) {
        let keys = vec![format!("tag-{}", page.tag()), "all".to_owned()];
        control.ask::<()>(&Ask::Tag { path: page.path(), keys, bytes: page.bytes() }).await?;
    }
    Ok(())
}

impl Scope {
    /// Any; small ones are more usual.
    pub(crate) fn draw(dice: &mut StdRng) -> Scope {
        let kind = ["url", "url", "path", "path", "directory", "pattern", "tag", "host", "all"];
        Scope::of_kind(kind.choose(dice).copied().unwrap_or("url"), dice)
    }

    /// Any of this kind.
    pub(crate) fn of_kind(kind: &str, dice: &mut StdRng) -> Scope {
        let page = Page::draw(dice);
        match kind {
            "url" => Scope::Url(page),
            "path" => Scope::Path(page),
            "directory" => Scope::Directory(page.directory),
            "pattern" => Scope::Pattern(page.number),
            "tag" => Scope::Tag(page.tag()),
            "host" => Scope::Host(page.host),
            _all => Scope::All,
        }
    }

    pub(crate) fn covers(self, page: Page) -> bool {
        match self {
            Scope::Url(own) => own == page,
            Scope::Path(own) => own.path() == page.path(),
            Scope::Directory(own) => own == page.directory,
            Scope::Pattern(own) => own == page.number,
            Scope::Tag(own) => own == page.tag(),
            Scope::Host(own) => own == page.host,
            Scope::All => true,
        }
    }

    pub(crate) fn pages(self) -> Vec<Page> {
        pages().filter(|page| self.covers(*page)).collect()
    }

    /// The purge as operators write it.
    pub(crate) fn request(self) -> InvalidationRequest {
        let mut request = InvalidationRequest {
            distribution: Some(DISTRIBUTION.into()),
            ..InvalidationRequest::default()
        };
        match self {
            Scope::Url(page) => {
                request.paths.push(format!("http://{}{}", page.host(), page.path()));
            }
            Scope::Path(page) => request.paths.push(page.path()),
            Scope::Directory(own) => request.paths.push(format!("/{}/*", DIRECTORIES[own])),
            Scope::Pattern(number) => request.paths.push(format!("/*/{number}")),
            Scope::Tag(own) => request.tags.push(format!("tag-{own}")),
            Scope::Host(own) => request.hosts.push(HOSTS[own].into()),
            Scope::All => request.all = true,
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_kind_covers_what_it_says() {
        let mut dice = StdRng::seed_from_u64(1);
        let all = pages().count();
        for (kind, covered) in KINDS.into_iter().zip([1, 2, 16, 4, 8, 16, 32]) {
            let scope = Scope::of_kind(kind, &mut dice);
            assert_eq!(scope.pages().len(), covered, "{kind} of {all}");
        }
    }
}
