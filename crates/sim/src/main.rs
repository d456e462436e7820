//! x
use std::io::Write;
fn main() {
    let arg = |n| std::env::args().nth(n).unwrap_or_default();
    let from: u64 = arg(1).parse().unwrap_or(0);
    let to: u64 = arg(2).parse().unwrap_or(from+1);
    let profile = match arg(3).as_str() { "ordinary" => sim::Profile::Ordinary, "heavy" => sim::Profile::Heavy, _ => sim::Profile::Calm };
    let mutant = sim::Mutant::ALL.into_iter().find(|m| m.as_str() == arg(4));
    let lines = arg(5) == "t";
    let mut out = std::io::stdout();
    let mut sum = std::collections::BTreeMap::new();
    for seed in from..to {
    let report = sim::perform(sim::Setup { seed, profile, mutant, keep: if lines {sim::Keep::Lines} else {sim::Keep::Hash} });
    if lines { for line in &report.lines { writeln!(out, "{line}").unwrap_or_default(); } }
    if !report.is_good() || lines {
    writeln!(out, "{seed}: {:x} {:?} {:?}", report.hash, report.stuck, report.tally).unwrap_or_default(); }
    for v in &report.violations { *sum.entry(v.promise).or_insert(0)+=1; }
    for v in report.violations.iter().take(if lines {99} else {2}) { writeln!(out, "   {v}").unwrap_or_default(); }
    }
    writeln!(out, "{sum:?}").unwrap_or_default();
}
