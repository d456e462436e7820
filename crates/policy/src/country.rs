//! Countries by address: a table of prefixes, of which the longest that holds an address wins.
//!
//! Prefixes lie in one another or apart, so the table is laid out once into the addresses at which
//! the country changes; a look-up is a binary search among them and allocates nothing. A viewer
//! that comes by IPv4 has an IPv4 address, also where a socket writes it as IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use model::limits::COUNTRIES_LINES_MAX;

use crate::derived::Country;

/// Which country an address is in.
#[derive(Debug, Default)]
pub struct CountryTable {
    v4: Steps<u32>,
    v6: Steps<u128>,
}

/// A line that is none of a table of countries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What may be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is not two words with a comma between them.
    Form,
    /// The prefix is no address with a length.
    Prefix,
    /// The address has bits beyond the length.
    Beyond,
    /// It is a prefix of IPv4 written as IPv6.
    Mapped,
    /// The country is not two capital letters.
    Country,
    /// That line has the same prefix.
    Twice(usize),
    /// There are too many before it.
    TooMany,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match self.flaw {
            Flaw::Form => f.write_str("expected PREFIX,COUNTRY like 192.0.2.0/24,CH"),
            Flaw::Prefix => f.write_str("expected a prefix like 192.0.2.0/24 or 2001:db8::/32"),
            Flaw::Beyond => f.write_str("expected an address without bits beyond its prefix"),
            Flaw::Mapped => f.write_str("expected a prefix of IPv4 in the form of IPv4"),
            Flaw::Country => f.write_str("expected a country of two capital letters like CH"),
            Flaw::Twice(other) => write!(f, "expected each prefix once, line {other} has it too"),
            Flaw::TooMany => write!(f, "expected {COUNTRIES_LINES_MAX} lines at most"),
        }
    }
}

impl std::error::Error for BadLine {}

impl CountryTable {
    /// Reads lines `PREFIX,COUNTRY`; empty ones, and those that begin with `#`, say nothing.
    pub fn parse(text: &[u8]) -> Result<CountryTable, BadLine> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let number = at + 1;
            let bad = |flaw| BadLine { line: number, flaw };
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if number > COUNTRIES_LINES_MAX {
                return Err(bad(Flaw::TooMany));
            }
            let (address, length, country) = entry(line).map_err(bad)?;
            let (prefixes, bits, first) = match address {
                IpAddr::V4(address) => (&mut v4, u32::BITS, u128::from(address.to_bits())),
                IpAddr::V6(address) => (&mut v6, u128::BITS, address.to_bits()),
            };
            let last = first | low_bits(bits - length);
            prefixes.push(Prefix { first, last, country, line: number });
        }
        Ok(CountryTable { v4: Steps::lay(v4)?, v6: Steps::lay(v6)? })
    }

    /// The country of `address`, if the table knows it.
    pub fn of(&self, address: IpAddr) -> Option<Country> {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.at(address.to_bits()),
            IpAddr::V6(address) => self.v6.at(address.to_bits()),
        }
    }
}

fn entry(line: &[u8]) -> Result<(IpAddr, u32, Country), Flaw> {
    let line = std::str::from_utf8(line).map_err(|_| Flaw::Form)?;
    let (prefix, country) = line.split_once(',').ok_or(Flaw::Form)?;
    let (address, length) = prefix.trim().split_once('/').ok_or(Flaw::Prefix)?;
    let address: IpAddr = address.parse().map_err(|_| Flaw::Prefix)?;
    let bits = if address.is_ipv4() { u32::BITS } else { u128::BITS };
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = length.parse().map_err(|_| Flaw::Prefix)?;
    if !is_number || length > bits {
        return Err(Flaw::Prefix);
    }
    let value = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    if value & low_bits(bits - length) != 0 {
        return Err(Flaw::Beyond);
    }
    if is_within_mapped(address, length) {
        return Err(Flaw::Mapped);
    }
    let country = Country::parse(country.trim()).ok_or(Flaw::Country)?;
    Ok((address, length, country))
}

/// RFC 4291 §2.5.5.2: `::ffff:0:0/96`, where no viewer is looked up.
fn is_within_mapped(address: IpAddr, length: u32) -> bool {
    const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => length >= 96 && address.to_bits() >> 32 == MAPPED.to_bits() >> 32,
    }
}

fn low_bits(count: u32) -> u128 {
    u128::MAX.checked_shr(u128::BITS - count).unwrap_or(0)
}

struct Prefix {
    first: u128,
    last: u128,
    country: Country,
    line: usize,
}

/// The addresses at which the country changes, and what it is from there on.
#[derive(Debug, Default)]
struct Steps<A> {
    from: Box<[A]>,
    country: Box<[Option<Country>]>,
}

impl<A: Copy + Ord + TryFrom<u128>> Steps<A> {
    fn lay(mut prefixes: Vec<Prefix>) -> Result<Steps<A>, BadLine> {
        // What holds another comes before it.
        prefixes.sort_by_key(|prefix| (prefix.first, u128::MAX - prefix.last, prefix.line));
        for pair in prefixes.windows(2) {
            if let [one, two] = pair
                && (one.first, one.last) == (two.first, two.last)
            {
                return Err(BadLine { line: two.line, flaw: Flaw::Twice(one.line) });
            }
        }
        let mut steps: Vec<(u128, Option<Country>)> = Vec::new();
        let mut around: Vec<&Prefix> = Vec::new();
        for prefix in &prefixes {
            leave(&mut around, &mut steps, |ended| ended.last < prefix.first);
            step(&mut steps, prefix.first, Some(prefix.country));
            around.push(prefix);
        }
        leave(&mut around, &mut steps, |_| true);
        // Behind the last address there is nothing to look up.
        let within = |(from, country): (u128, _)| Some((A::try_from(from).ok()?, country));
        let (from, country): (Vec<A>, Vec<_>) = steps.into_iter().filter_map(within).unzip();
        Ok(Steps { from: from.into(), country: country.into() })
    }

    fn at(&self, address: A) -> Option<Country> {
        let after = self.from.partition_point(|from| *from <= address);
        *self.country.get(after.checked_sub(1)?)?
    }
}

/// Leaves the innermost prefixes that have ended; what is around them goes on.
fn leave(
    around: &mut Vec<&Prefix>,
    steps: &mut Vec<(u128, Option<Country>)>,
    has_ended: impl Fn(&Prefix) -> bool,
) {
    while let Some(ended) = around.pop_if(|prefix| has_ended(prefix)) {
        if let Some(next) = ended.last.checked_add(1) {
            step(steps, next, around.last().map(|prefix| prefix.country));
        }
    }
}

fn step(steps: &mut Vec<(u128, Option<Country>)>, from: u128, country: Option<Country>) {
    // Where several things happen at one address, the last of them holds.
    steps.pop_if(|(place, _)| *place == from);
    let before = steps.last().and_then(|(_, country)| *country);
    if before != country {
        steps.push((from, country));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(lines: &str) -> CountryTable {
        CountryTable::parse(lines.as_bytes()).unwrap()
    }

    fn said(table: &CountryTable, address: &str) -> String {
        let country = table.of(address.parse().unwrap());
        country.map_or("-".into(), |country| country.as_str().to_owned())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = table(
            "# who is where\r\n\n 10.0.0.0/8 , AA \r\n10.1.0.0/16,BB\n10.1.2.0/24,AA\n\
             10.1.2.3/32,CC\n10.2.0.0/16,AA\n255.255.255.0/24,DD\n2001:db8::/32,EE\n\
             2001:db8:1::/48,FF\n2001:db8:1::1/128,GG\nff00::/8,HH",
        );
        for (address, expect) in [
            ("9.255.255.255", "-"),
            ("10.0.0.0", "AA"),
            ("10.1.0.0", "BB"),
            ("10.1.2.2", "AA"),
            ("10.1.2.3", "CC"),
            ("10.1.2.4", "AA"),
            ("10.1.3.0", "BB"),
            ("10.1.255.255", "BB"),
            ("10.2.0.0", "AA"),
            ("10.255.255.255", "AA"),
            ("11.0.0.0", "-"),
            ("255.255.255.255", "DD"),
            ("::ffff:10.1.2.3", "CC"),
            ("::", "-"),
            ("2001:db8::", "EE"),
            ("2001:db8:1::", "FF"),
            ("2001:db8:1::1", "GG"),
            ("2001:db8:1::2", "FF"),
            ("2001:db8:2::", "EE"),
            ("2001:db9::", "-"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "HH"),
        ] {
            assert_eq!(said(&table, address), expect, "{address}");
        }
    }

    #[test]
    fn a_prefix_may_be_everything_and_a_table_nothing() {
        let everything = table("0.0.0.0/0,AA\n::/0,BB\n128.0.0.0/1,CC\n");
        let (low, high, six) = ("0.0.0.0", "255.255.255.255", "::1");
        assert_eq!([low, high, six].map(|it| said(&everything, it)), ["AA", "CC", "BB"]);
        let nothing = table("# nothing\n");
        assert_eq!([low, high, six].map(|it| said(&nothing, it)), ["-"; 3]);
    }

    #[test]
    fn a_bad_line_is_named_with_what_was_expected() {
        for (lines, line, flaw, words) in [
            ("10.0.0.0/8", 1, Flaw::Form, "PREFIX,COUNTRY"),
            ("#\n\n\u{e9}", 3, Flaw::Form, "PREFIX,COUNTRY"),
            ("network,CH", 1, Flaw::Prefix, "192.0.2.0/24"),
            ("10.0.0.0,CH", 1, Flaw::Prefix, "192.0.2.0/24"),
            ("10.0.0.0/33,CH", 1, Flaw::Prefix, "192.0.2.0/24"),
            ("10.0.0.0/+8,CH", 1, Flaw::Prefix, "192.0.2.0/24"),
            ("::/129,CH", 1, Flaw::Prefix, "2001:db8::/32"),
            ("10.0.0.1/8,CH", 1, Flaw::Beyond, "bits beyond"),
            ("2001:db8::1/64,CH", 1, Flaw::Beyond, "bits beyond"),
            ("::ffff:10.0.0.0/104,CH", 1, Flaw::Mapped, "form of IPv4"),
            ("10.0.0.0/8,ch", 1, Flaw::Country, "capital letters"),
            ("10.0.0.0/8,CHE", 1, Flaw::Country, "capital letters"),
            ("10.0.0.0/8,CH,x", 1, Flaw::Country, "capital letters"),
            ("10.0.0.0/8,CH\n::/0,CH\n10.0.0.0/8,DE", 3, Flaw::Twice(1), "line 1"),
        ] {
            let error = CountryTable::parse(lines.as_bytes()).unwrap_err();
            assert_eq!(error, BadLine { line, flaw }, "{lines}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("line {line}: ")) && text.contains(words), "{text}");
        }
        assert_eq!(CountryTable::parse(b"\xff,CH").unwrap_err().flaw, Flaw::Form);
    }

    #[test]
    fn lines_are_counted_up_to_their_limit() {
        let mut text = "#\n".repeat(COUNTRIES_LINES_MAX - 1).into_bytes();
        text.extend_from_slice(b"10.0.0.0/8,CH\n");
        assert_eq!(said(&CountryTable::parse(&text).unwrap(), "10.0.0.0"), "CH");
        text.extend_from_slice(b"11.0.0.0/8,CH\n");
        let error = CountryTable::parse(&text).unwrap_err();
        assert_eq!(error, BadLine { line: COUNTRIES_LINES_MAX + 1, flaw: Flaw::TooMany });
    }

    /// Addresses and lengths in a small corner, so that prefixes lie in one another.
    fn prefixes() -> impl Strategy<Value = Vec<(u8, u32, u8)>> {
        proptest::collection::vec((any::<u8>(), 0u32..=8, 0u8..4), 0..24)
    }

    proptest! {
        #[test]
        fn a_look_up_is_what_looking_at_every_prefix_finds(drawn in prefixes()) {
            let mut corner: Vec<(u8, u32, u8)> = Vec::new();
            for (address, length, country) in drawn {
                let first = address & !(low_bits(8 - length) as u8);
                if !corner.iter().any(|(one, other, _)| (*one, *other) == (first, length)) {
                    corner.push((first, length, country));
                }
            }
            let name = |country: u8| format!("X{}", char::from(b'A' + country));
            let line = |(first, length, country): &(u8, u32, u8)| {
                let name = name(*country);
                let (four, six) = (24 + length, 120 + length);
                format!("255.255.255.{first}/{four},{name}\nffff::{first:x}/{six},{name}\n")
            };
            let table = table(&corner.iter().map(line).collect::<String>());
            for address in 0..=u8::MAX {
                let holds = |(first, length, _): &&(u8, u32, u8)| {
                    address & !(low_bits(8 - length) as u8) == *first
                };
                let longest = corner.iter().filter(holds).max_by_key(|(_, length, _)| *length);
                let expect = longest.map_or("-".into(), |(_, _, country)| name(*country));
                prop_assert_eq!(said(&table, &format!("255.255.255.{address}")), expect.clone());
                prop_assert_eq!(said(&table, &format!("ffff::{address:x}")), expect);
            }
        }

        #[test]
        fn no_table_is_a_surprise(text in "[0-9a-f:./,A-C#\n ]{0,80}") {
            if let Ok(table) = CountryTable::parse(text.as_bytes()) {
                let _ = table.of([10, 0, 0, 1].into());
            }
        }
    }
}
