//! What outstanding purges cost: the invalidation map of one distribution.
//!
//! Budget: a purge of a URL takes at most 100 bytes for as long as it is outstanding ("max alloc"
//! of `a_million_purges_of_urls`, divided by a million), and a look-up that finds nothing costs at
//! most 0.5 µs with a million of them and ten tags. A hit looks up only when the log moved on since
//! the copy was checked last.

use std::cell::Cell;

use control::{Epochs, Standing};
use divan::{AllocProfiler, Bencher, black_box};
use model::{Attributes, Effect, Host, LogPosition, Path, Scope, Tag, Tags};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [u64; 3] = [0, 1_000, 1_000_000];
const LOOKUPS: u32 = 1_000;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 3)]
fn a_million_purges_of_urls(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| purged(1_000_000));
}

#[divan::bench(args = SIZES, sample_size = LOOKUPS)]
fn look_up_a_copy_four_directories_down(bencher: Bencher<'_, '_>, size: u64) {
    let (epochs, copies, turn) = (purged(size), copies(), Cell::new(0));
    bencher.bench_local(|| look_up(&epochs, &copies, &turn, &Tags::NONE));
}

#[divan::bench(args = SIZES, sample_size = LOOKUPS)]
fn look_up_a_copy_with_ten_tags(bencher: Bencher<'_, '_>, size: u64) {
    let names: Vec<String> = (0..10).map(|tag| format!("product-{tag}")).collect();
    let tags = Tags::of(names.iter().map(String::as_str));
    let (epochs, copies, turn) = (purged(size), copies(), Cell::new(0));
    bencher.bench_local(|| look_up(&epochs, &copies, &turn, &tags));
}

#[divan::bench(args = SIZES, sample_size = LOOKUPS)]
fn purge_one_more(bencher: Bencher<'_, '_>, size: u64) {
    let mut epochs = purged(size.saturating_sub(500_000));
    let turn = Cell::new(0_u64);
    bencher.bench_local(|| {
        turn.set(turn.get() + 1);
        // Readers hold the version before this one.
        let before = epochs.clone();
        epochs.purge(&url(turn.get() + 2_000_000), Effect::Hard, at(turn.get()));
        black_box(before);
    });
}

fn look_up(epochs: &Epochs, copies: &[Attributes], turn: &Cell<usize>, tags: &Tags) -> Standing {
    turn.set((turn.get() + 1) % copies.len());
    epochs.standing(&copies[turn.get()], tags, at(0))
}

/// As many purges of URLs, and one of a tag that no copy has.
fn purged(count: u64) -> Epochs {
    let mut epochs = Epochs::default();
    if count > 0 {
        let tag = Scope::Tag(Tag::parse("nothing").expect("a tag"));
        epochs.purge(&tag, Effect::Hard, at(1));
    }
    (1..count).for_each(|index| epochs.purge(&url(index), Effect::Hard, at(index)));
    epochs
}

fn url(number: u64) -> Scope {
    let path = Path::parse(&format!("/shop/en/products/{number}.html")).expect("a path");
    Scope::Url { host: None, path }
}

/// Copies that no purge covers.
fn copies() -> Vec<Attributes> {
    let copy = |number: u32| Attributes {
        distribution: "shop".parse().expect("a name"),
        host: Host::parse("shop.example").expect("a host"),
        path: Path::parse(&format!("/a/b/c/d/{number}")).expect("a path"),
    };
    (0..4_096).map(copy).collect()
}

fn at(index: u64) -> LogPosition {
    LogPosition::new(0, index)
}
