//! Structured fields, read strictly (RFC 9651 §4.2): a field that breaks one rule is no field.
//!
//! Only what our fields hold is told apart: integers, strings and booleans. Everything else is
//! parsed just as strictly and then is [`Item::Other`]; parameters are read over. Every reader is
//! total and linear in the value's length.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::HeaderName;

/// A bare item, or a member that is an inner list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An integer (§3.3.1).
    Integer(i64),
    /// A string (§3.3.3), without its quotes and escapes.
    Text(String),
    /// A boolean (§3.3.6).
    Boolean(bool),
    /// Anything else that is well-formed.
    Other,
}

/// The lines of the field called `name` as one value (§4.2); none when there is no line.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name).iter();
    let mut whole = lines.next()?.as_bytes().to_vec();
    for line in lines {
        whole.extend_from_slice(b", ");
        whole.extend_from_slice(line.as_bytes());
    }
    Some(whole)
}

/// Parses a dictionary (§4.2.2); of members with one key the last counts.
pub(crate) fn dictionary(value: &[u8]) -> Option<BTreeMap<String, Item>> {
    let mut found = BTreeMap::new();
    Reader { rest: value }.members(|reader| {
        let key = reader.key()?;
        let item = match reader.take(b'=') {
            true => reader.member()?,
            false => {
                reader.parameters()?;
                Item::Boolean(true)
            }
        };
        found.insert(key, item);
        Some(())
    })?;
    Some(found)
}

/// Parses a list (§4.2.1).
pub(crate) fn list(value: &[u8]) -> Option<Vec<Item>> {
    let mut found = Vec::new();
    Reader { rest: value }.members(|reader| {
        found.push(reader.member()?);
        Some(())
    })?;
    Some(found)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !fits(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Members up to the end of the value, with nothing behind the last one.
    fn members(mut self, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take_while(|byte| byte == b' ');
        while !self.rest.is_empty() {
            read(&mut self)?;
            let blank = |byte| byte == b' ' || byte == b'\t';
            self.take_while(blank);
            if self.rest.is_empty() {
                return Some(());
            }
            if !self.take(b',') {
                return None;
            }
            self.take_while(blank);
            if self.rest.is_empty() {
                return None;
            }
        }
        Some(())
    }

    /// §4.2.1.1.
    fn member(&mut self) -> Option<Item> {
        let item = if self.take(b'(') { self.inner_list()? } else { self.bare_item()? };
        self.parameters()?;
        Some(item)
    }

    /// §4.2.1.2, behind its opening parenthesis.
    fn inner_list(&mut self) -> Option<Item> {
        loop {
            self.take_while(|byte| byte == b' ');
            if self.take(b')') {
                return Some(Item::Other);
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.peek()?, b' ' | b')') {
                return None;
            }
        }
    }

    /// §4.2.3.2.
    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.take_while(|byte| byte == b' ');
            self.key()?;
            if self.take(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    /// §4.2.3.3.
    fn key(&mut self) -> Option<String> {
        if !matches!(self.peek()?, b'a'..=b'z' | b'*') {
            return None;
        }
        let inside = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)
        };
        let key = self.take_while(inside);
        String::from_utf8(key.to_vec()).ok()
    }

    /// §4.2.3.1.
    fn bare_item(&mut self) -> Option<Item> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Item::Text),
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
                self.take_while(is_token);
                Some(Item::Other)
            }
            b':' => self.bytes(),
            b'?' => self.boolean(),
            b'@' => {
                self.next();
                matches!(self.number()?, Item::Integer(_)).then_some(Item::Other)
            }
            b'%' => self.display_string(),
            _ => None,
        }
    }

    /// §4.2.4: at most 15 digits, or 12 before the point and 3 behind it.
    fn number(&mut self) -> Option<Item> {
        let is_negative = self.take(b'-');
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 15 {
            return None;
        }
        if self.take(b'.') {
            let fraction = self.take_while(|byte| byte.is_ascii_digit());
            let fits = digits.len() <= 12 && (1..=3).contains(&fraction.len());
            return fits.then_some(Item::Other);
        }
        let value = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some(Item::Integer(if is_negative { -value } else { value }))
    }

    /// §4.2.5.
    fn string(&mut self) -> Option<String> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\') => text.push(char::from(escaped)),
                    _ => return None,
                },
                printable @ b' '..=b'~' => text.push(char::from(printable)),
                _ => return None,
            }
        }
    }

    /// §4.2.7.
    fn bytes(&mut self) -> Option<Item> {
        self.next();
        self.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        self.take(b':').then_some(Item::Other)
    }

    /// §4.2.8.
    fn boolean(&mut self) -> Option<Item> {
        self.next();
        match self.next()? {
            b'0' => Some(Item::Boolean(false)),
            b'1' => Some(Item::Boolean(true)),
            _ => None,
        }
    }

    /// §4.2.10.
    fn display_string(&mut self) -> Option<Item> {
        self.next();
        if !self.take(b'"') {
            return None;
        }
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return std::str::from_utf8(&text).is_ok().then_some(Item::Other),
                b'%' => text.push(lower_hex(self.next()?)? << 4 | lower_hex(self.next()?)?),
                printable @ b' '..=b'~' => text.push(printable),
                _ => return None,
            }
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
}

fn lower_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(content: &str) -> Item {
        Item::Text(content.into())
    }

    #[test]
    fn a_dictionary_is_read_as_the_standard_says() {
        // RFC 9651 §3.2 and §4.2.2.
        let expect = [
            ("max-age", Item::Integer(60)),
            ("private", Item::Boolean(true)),
            ("x", Item::Other),
            ("no", Item::Boolean(false)),
            ("t", text("a\"\\")),
        ];
        let expect = expect.map(|(key, item)| (key.to_owned(), item)).into();
        let value = br#"  max-age=60;a="b";c , private;d=1,x=(1 "2" tok);e,  no=?0, t="a\"\\"  "#;
        assert_eq!(dictionary(value), Some(expect));
        assert_eq!(dictionary(b""), Some(BTreeMap::new()));
        assert_eq!(dictionary(b"   "), Some(BTreeMap::new()));
        assert_eq!(dictionary(b"a=1, b, a=\"x\""), dictionary(b"a=\"x\", b"));
    }

    #[test]
    fn what_breaks_one_rule_is_no_field() {
        // RFC 9651 §4.2: parsing fails, and the whole field is ignored.
        for bad in [
            "a,",
            "a,,b",
            ",a",
            "a b",
            "A=1",
            "1=a",
            "=1",
            "a=",
            "a =1",
            "a= 1",
            "a=1.",
            "a=.5",
            "a=1.2345",
            "a=-",
            "a=--1",
            "a=1234567890123456",
            "a=1234567890123.1",
            "a=\"x",
            "a=\"\\x\"",
            "a=\"\t\"",
            "a=?2",
            "a=?",
            "a=:a",
            "a=(1",
            "a=(1,2)",
            "a=(1\"2\")",
            "a;",
            "a;=1",
            "a;B",
            "a;b=",
            "a=&&",
            "&&&&&",
            "a=@1.5",
            "a=%x",
            "a=%\"%C3\"",
            "a=%\"%c3\"",
            "\ta",
            "a=1;b=()",
            "a=é",
        ] {
            assert_eq!(dictionary(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_kind_of_item_is_well_formed_in_its_own_way() {
        // RFC 9651 §3.3.
        for (good, expect) in [
            ("0", Item::Integer(0)),
            ("-0", Item::Integer(0)),
            ("042", Item::Integer(42)),
            ("-999999999999999", Item::Integer(-999_999_999_999_999)),
            ("999999999999999", Item::Integer(999_999_999_999_999)),
            ("123456789012.125", Item::Other),
            ("-1.5", Item::Other),
            ("\"\"", text("")),
            ("*a/b:c", Item::Other),
            (":cHJl:", Item::Other),
            ("::", Item::Other),
            ("?1", Item::Boolean(true)),
            ("@1659578233", Item::Other),
            ("%\"f%c3%bc\"", Item::Other),
            ("()", Item::Other),
            ("( a  b;c=1 )", Item::Other),
        ] {
            assert_eq!(list(good.as_bytes()), Some(vec![expect]), "{good}");
        }
        assert_eq!(list(b""), Some(vec![]));
    }

    #[test]
    fn lines_are_one_value() {
        // RFC 9651 §4.2: multiple lines are combined before parsing.
        let name = HeaderName::from_static("x");
        let headers = crate::testing::fields("x:a=1|x:b=2");
        assert_eq!(joined(&headers, &name).as_deref(), Some(&b"a=1, b=2"[..]));
        assert_eq!(joined(&HeaderMap::new(), &name), None);
    }

    fn print(members: &BTreeMap<String, Item>) -> String {
        let print = |(key, item): (&String, &Item)| match item {
            Item::Integer(number) => format!("{key}={number}"),
            Item::Text(text) => {
                format!("{key}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Item::Boolean(true) => key.clone(),
            Item::Boolean(false) => format!("{key}=?0"),
            Item::Other => format!("{key}=(a 1.5 :YQ==:);q=0.5"),
        };
        members.iter().map(print).collect::<Vec<_>>().join(", ")
    }

    fn item() -> impl Strategy<Value = Item> {
        prop_oneof![
            (-999_999_999_999_999i64..=999_999_999_999_999).prop_map(Item::Integer),
            "[ -~]{0,12}".prop_map(Item::Text),
            any::<bool>().prop_map(Item::Boolean),
            Just(Item::Other),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            members in proptest::collection::btree_map("[a-z*][a-z0-9_.*-]{0,9}", item(), 0..8),
        ) {
            let printed = print(&members);
            let read = dictionary(printed.as_bytes()).unwrap();
            prop_assert_eq!(print(&read), printed);
            prop_assert_eq!(read, members);
        }

        #[test]
        fn any_bytes_are_read_to_a_verdict(bytes in proptest::collection::vec(0u8.., 0..80)) {
            dictionary(&bytes);
            list(&bytes);
        }

        #[test]
        fn nearly_a_field_never_panics(value in "[a-c=;,()?01.:@%\"\\\\ -]{0,40}") {
            dictionary(value.as_bytes());
            list(value.as_bytes());
        }
    }
}
