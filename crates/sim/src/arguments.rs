//! The arguments of the command line, lowered once into what they mean, and the help that teaches
//! them.
//!
//! An unknown word is refused with what was expected in its place. The environment is never asked.

use std::io::{self, Write};

use sim::{Keep, Level, Mutant, Profile, Size};

const HELP: &str = "\
One seed, one replayable mesh: the real nodes of Shoal in a pretend world, in virtual time.

  sim SEED                  runs one seed and says what happened; fails if a promise was broken
  sim SEED --trace          prints every event as well
  sim --seeds N             runs N seeds and counts
  sim --mutants             breaks one rule at a time and sees whether its checker notices;
                            with --level, only those that are looked for there

  sim --replay N            runs N seeds in two processes each and compares their traces
  sim --tree                measures how long purges take in a tree of 450 nodes, as Markdown, and
                            fails if they take too long; over five seeds, or as many as --seeds says
  sim --bandwidth           measures what meshes of 9 to 450 nodes send to stay a mesh, as Markdown;
                            with --nodes N, only the mesh of so many

  --level L                 l0 or l1 (l1): what is real beside the two stories of every node
  --profile P               calm, ordinary, heavy, correlated or all; or a directed one:
                            comeback, recovery
                            (ordinary for one seed, all for many, unless said otherwise)
  --from A                  the first of many seeds (0)
  --mutant M                breaks this rule on purpose; --mutants lists their names

The same seed takes the same steps everywhere: two runs with one hash went the same way. A failure
is looked into with its seed and --trace, and kept by its seed as a regression test.

What is promised:
  fenced     I1: what a fenced purge covers is served nowhere
  stops      I2: nor is one more byte sent of what was under way
  monotonic  I3: what a node has applied, or is said by a receipt to have, it obeys for ever
  earliest   I4: no copy claims to be younger than the request that brought it
  staleness  I5: a purge holds everywhere a lease after its commit
  waiting    I6: the answer to a purge comes in time
  receipts   I7: what was acknowledged is never lost and happens once
  isolation  I8: one distribution's purges cost another nothing
  one_fetch  in calm weather the origin is asked once for each version of each page
  whole      a body that ends cleanly is one version from end to end
  alive      a viewer at a living edge gets an answer, whoever else dies
  heals      once faults stop, every node holds a lease again within two, and purges are fenced

Faults go on until viewers stop coming; then they stop for good, and every run is watched until
it has healed. The directed profiles are for what chance brings about too seldom. In comeback an
edge dies, purges are fenced without it, and it comes back with its cache, cut off, while viewers
ask it. In recovery (l0 only) a voter falls behind, the others are lost with their disks, and the
mesh goes on by force with what that one has, again and again.

The full runs (cargo test runs a share of them):
  cargo run --release -p sim -- --level l0 --seeds 2000     500 simulated hours
  cargo run --release -p sim -- --level l0 --profile recovery --seeds 200
  cargo run --release -p sim -- --seeds 200
  cargo run --release -p sim -- --mutants
  cargo run --release -p sim -- --replay 50
  cargo run --release -p sim -- --tree
  cargo run --release -p sim -- --bandwidth
";

/// Seeds of the large tree.
const TREE_SEEDS: u64 = 5;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To read the help.
    Help,
    /// One seed.
    One(u64, Keep),
    /// Many seeds.
    Many {
        /// The first.
        from: u64,
        /// How many.
        count: u64,
    },
    /// The figures of a large tree, over so many seeds.
    Tree(u64),
    /// What meshes use of their links.
    Bandwidth(Vec<Size>),
    /// To see that so many seeds give the same trace in two processes.
    Replay(u64),
    /// All mutants, or those of one level.
    Mutants(Option<Level>),
}

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// What is wanted.
    pub(crate) wish: Wish,
    /// In which weather.
    pub(crate) profiles: Vec<Profile>,
    /// With which rule broken.
    pub(crate) mutant: Option<Mutant>,
    /// What is real.
    pub(crate) level: Level,
}

/// A command line that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misread {
    /// A word that is none of ours.
    #[error("\"{0}\" is not known here")]
    Unknown(String),
    /// A flag whose value is missing or is not one.
    #[error("{0} wants {1}")]
    Value(&'static str, String),
    /// Nothing that could be done.
    #[error("give a seed, --seeds N or --mutants")]
    Nothing,
}

#[derive(Default)]
struct Said {
    seed: Option<u64>,
    seeds: Option<u64>,
    replay: Option<u64>,
    from: Option<u64>,
    nodes: Option<u64>,
    profiles: Option<Vec<Profile>>,
    mutant: Option<Mutant>,
    level: Option<Level>,
    flags: Vec<String>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, Misread> {
        let mut said = Said::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seeds" => said.seeds = Some(number("--seeds", words.next())?),
                "--replay" => said.replay = Some(number("--replay", words.next())?),
                "--from" => said.from = Some(number("--from", words.next())?),
                "--nodes" => said.nodes = Some(number("--nodes", words.next())?),
                "--profile" => said.profiles = Some(profiles(words.next())?),
                "--level" => said.level = Some(level(words.next())?),
                "--mutant" => said.mutant = Some(mutant(words.next())?),
                "--trace" | "--tree" | "--bandwidth" | "--mutants" | "--help" | "-h" => {
                    said.flags.push(word);
                }
                _ => said.seed = Some(word.parse().map_err(|_| Misread::Unknown(word))?),
            }
        }
        said.mean()
    }
}

impl Said {
    fn mean(self) -> Result<Arguments, Misread> {
        let has = |flag: &str| self.flags.iter().any(|said| said == flag);
        let keep = if has("--trace") { Keep::Lines } else { Keep::Hash };
        let (wish, usual) = match (self.seed, self.seeds.or(self.replay)) {
            _ if has("--help") || has("-h") => (Wish::Help, vec![]),
            _ if has("--tree") => (Wish::Tree(self.seeds.unwrap_or(TREE_SEEDS)), vec![]),
            _ if has("--bandwidth") => (Wish::Bandwidth(sizes(self.nodes)?), vec![]),
            _ if has("--mutants") => (Wish::Mutants(self.level), vec![]),
            (Some(seed), None) => (Wish::One(seed, keep), vec![Profile::Ordinary]),
            (None, Some(count)) if self.seeds.is_none() => {
                (Wish::Replay(count), vec![Profile::Ordinary, Profile::Heavy])
            }
            (None, Some(count)) => {
                let from = self.from.unwrap_or(0);
                (Wish::Many { from, count }, Profile::ALL.into())
            }
            (Some(_), Some(_)) | (None, None) => return Err(Misread::Nothing),
        };
        let profiles = self.profiles.unwrap_or(usual);
        let level = self.level.unwrap_or(Level::L1);
        if level == Level::L1 && profiles.contains(&Profile::Recovery) {
            return Err(Misread::Value("--profile recovery", "--level l0".into()));
        }
        Ok(Arguments { wish, profiles, mutant: self.mutant, level })
    }
}

fn number(flag: &'static str, word: Option<String>) -> Result<u64, Misread> {
    let parsed = word.and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| Misread::Value(flag, "a number".into()))
}

/// The meshes of so many nodes, or all.
fn sizes(nodes: Option<u64>) -> Result<Vec<Size>, Misread> {
    let wanted = |size: &Size| nodes.is_none_or(|nodes| nodes == size.nodes() as u64);
    let sizes: Vec<Size> = Size::ALL.into_iter().filter(wanted).collect();
    let counts = || Size::ALL.map(|size| size.nodes().to_string()).join(", ");
    match sizes.is_empty() {
        true => Err(Misread::Value("--nodes", format!("one of {}", counts()))),
        false => Ok(sizes),
    }
}

fn profiles(word: Option<String>) -> Result<Vec<Profile>, Misread> {
    let word = word.unwrap_or_default();
    if word == "all" {
        return Ok(Profile::ALL.into());
    }
    let mut profiles = Profile::ALL.into_iter().chain(Profile::DIRECTED);
    let named = profiles.find(|profile| profile.as_str() == word);
    let expected = || {
        let expected = "calm, ordinary, heavy, correlated, comeback, recovery or all";
        Misread::Value("--profile", expected.into())
    };
    named.map(|profile| vec![profile]).ok_or_else(expected)
}

fn level(word: Option<String>) -> Result<Level, Misread> {
    let word = word.unwrap_or_default();
    let named = Level::ALL.into_iter().find(|level| level.as_str() == word);
    named.ok_or_else(|| Misread::Value("--level", "l0 or l1".into()))
}

fn mutant(word: Option<String>) -> Result<Mutant, Misread> {
    let word = word.unwrap_or_default();
    let named = Mutant::ALL.into_iter().find(|mutant| mutant.as_str() == word);
    let names = || Mutant::ALL.map(Mutant::as_str).join(", ");
    named.ok_or_else(|| Misread::Value("--mutant", format!("one of {}", names())))
}

/// Prints the help.
pub(crate) fn help(out: &mut impl Write) -> io::Result<()> {
    out.write_all(HELP.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, Misread> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_means_what_the_help_says() {
        let ordinary = vec![Profile::Ordinary];
        let all = Profile::ALL.to_vec();
        for (line, wish, profiles, mutant) in [
            ("7", Wish::One(7, Keep::Hash), ordinary.clone(), None),
            ("--trace 7", Wish::One(7, Keep::Lines), ordinary, None),
            ("7 --profile all", Wish::One(7, Keep::Hash), all.clone(), None),
            ("--seeds 9 --from 4 --level l0", Wish::Many { from: 4, count: 9 }, all, None),
            (
                "1 --mutant deaf --profile calm",
                Wish::One(1, Keep::Hash),
                vec![Profile::Calm],
                Some(Mutant::Deaf),
            ),
            ("--tree", Wish::Tree(TREE_SEEDS), vec![], None),
            ("--tree --seeds 2", Wish::Tree(2), vec![], None),
            ("--bandwidth --nodes 50", Wish::Bandwidth(vec![Size::ALL[2]]), vec![], None),
            ("--mutants", Wish::Mutants(None), vec![], None),
            ("7 --help", Wish::Help, vec![], None),
        ] {
            let level = if line.contains("l0") { Level::L0 } else { Level::L1 };
            assert_eq!(parse(line), Ok(Arguments { wish, profiles, mutant, level }), "{line}");
        }
    }

    #[test]
    fn a_word_that_is_not_ours_is_refused() {
        for line in [
            "",
            "x",
            "--sead 4",
            "--seeds",
            "--seeds x",
            "7 --profile mild",
            "7 --profile recovery",
            "7 --seeds 3",
            "--bandwidth --nodes 7",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
