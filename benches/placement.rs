//! Placement on the path of a request.
//!
//! Budget: a lookup of owners takes at most 1 µs and a walk at most 2 µs, at 500 nodes and without
//! allocation (no allocation figures under a row mean none were made); a view of 500 nodes, with
//! its regional rings and its shield ring, is built in at most 300 ms, off the path of requests.
//! Keys change from call to call, so that the searches do not run on a warm cache line.

use std::cell::Cell;

use divan::{AllocProfiler, Bencher};
use model::{CacheKey, Instance, LogPosition, Member, Region, Tier, Tiers};
use placement::{Seat, View, walk};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [u16; 2] = [20, 500];
const REGIONS: u16 = 5;
/// Lookups timed together: one alone is shorter than the clock can tell.
const LOOKUPS: u32 = 1_000;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES, sample_size = LOOKUPS)]
fn owners_of_a_key(bencher: Bencher<'_, '_>, size: u16) {
    let (view, region, keys) = (view(size), region(0), keys());
    let turn = Cell::new(0);
    bencher.bench_local(|| view.owners(Tier::Shield, &region, next(&keys, &turn)).first().copied());
}

#[divan::bench(args = SIZES, sample_size = LOOKUPS)]
fn regional_owners_of_a_key(bencher: Bencher<'_, '_>, size: u16) {
    let (view, region, keys) = (view(size), region(0), keys());
    let turn = Cell::new(0);
    bencher
        .bench_local(|| view.owners(Tier::Regional, &region, next(&keys, &turn)).first().copied());
}

#[divan::bench(args = SIZES, sample_size = LOOKUPS)]
fn walk_from_an_edge(bencher: Bencher<'_, '_>, size: u16) {
    let (view, region, keys) = (view(size), region(0), keys());
    let me = view.seat_of(&view.members()[0].name);
    let alive = |seat: Seat| !seat.index().is_multiple_of(10);
    let turn = Cell::new(0);
    bencher.bench_local(|| walk(&view, me, &region, Tier::Edge, next(&keys, &turn), alive).count());
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn build_a_view(bencher: Bencher<'_, '_>, size: u16) {
    bencher
        .with_inputs(|| members(size))
        .bench_local_values(|members| View::build(LogPosition::ZERO, members));
}

fn view(size: u16) -> View {
    View::build(LogPosition::ZERO, members(size))
}

fn members(size: u16) -> Vec<Member> {
    let member = |at: u16| Member {
        name: format!("node-{at}").parse().expect("a label"),
        instance: Instance(at.into()),
        region: region(at % REGIONS),
        tiers: Tiers::ALL,
        capacity: 100,
        address: ([10, 0, 0, 1], 7000).into(),
    };
    (0..size).map(member).collect()
}

fn region(number: u16) -> Region {
    format!("region-{number}").parse().expect("a label")
}

fn keys() -> Vec<CacheKey> {
    (0..65_536_u32).map(|number| CacheKey::of(&[&number.to_le_bytes()])).collect()
}

fn next<'a>(keys: &'a [CacheKey], turn: &Cell<usize>) -> &'a CacheKey {
    turn.set((turn.get() + 1) % keys.len());
    &keys[turn.get()]
}
