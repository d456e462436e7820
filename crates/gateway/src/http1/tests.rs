//! Whatever a viewer or an origin sends, in whatever pieces: the same bytes are read the same way,
//! and nothing panics.
//!
//! The fuzzing is plain mutation of a small corpus, a fixed number of times from a fixed seed, so
//! that a failure is the same on every machine; `SHOAL_FUZZ_ROUNDS` asks for more.

use bytes::{Buf, Bytes, BytesMut};
use proptest::prelude::*;

use super::chunked::{Decoder, Found};
use super::framing::Length;
use super::request;
use super::response;
use super::scan::Scan;
use crate::refusal::Refusal;

/// Messages and what is nearly one.
const CORPUS: [&[u8]; 14] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a:80/b?c HTTP/1.1\r\nHost: A\r\nConnection: close, te\r\nTE: trailers\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nMax-Forwards: 0\r\n\r\n",
    b"\r\nHEAD /%2e?a=b HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcdefgh",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
      3\r\nabc\r\n1a;x=\"y\\\"z\"\r\nabcdefghijklmnopqrstuvwxyz\r\n\
      0\r\nX-End: 9\r\n\r\nGET / HTTP/1.1",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
      0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
];

/// All that can be told of a request.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Refused(Refusal),
    Unfinished,
    Request { head: String, content: Vec<u8>, end: String, behind: Vec<u8> },
}

/// Reads a request that comes in `pieces`.
fn read(pieces: &[&[u8]]) -> Read {
    let mut pieces = pieces.iter();
    let (mut input, mut scan) = (BytesMut::new(), Scan::head(request::check_start));
    let head = loop {
        match scan.advance(&input) {
            Ok(Some(range)) => {
                let mut head = input.split_to(range.end);
                head.advance(range.start);
                break request::parse(&head.freeze());
            }
            Ok(None) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => return Read::Unfinished,
            },
            Err(hopeless) => return Read::Refused(hopeless.into()),
        }
    };
    let head = match head {
        Ok(head) => head,
        Err(refusal) => return Read::Refused(refusal),
    };
    let (mut decoder, mut content) = (Decoder::of(head.length), Vec::new());
    let end = loop {
        match decoder.next(&mut input) {
            Ok(Found::Data(data)) => content.extend_from_slice(&data),
            Ok(Found::More) => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break "unfinished".to_owned(),
            },
            Ok(found) => break format!("{found:?}"),
            Err(flaw) => break format!("{flaw:?}"),
        }
    };
    pieces.for_each(|piece| input.extend_from_slice(piece));
    // What lies behind a body in which nobody can find its way is nobody's business.
    let behind = if decoder.is_over() { input.to_vec() } else { Vec::new() };
    Read::Request { head: format!("{head:?}"), content, end, behind }
}

fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn any_split_of_a_stream_is_read_the_same(
        message in prop::sample::select(&CORPUS[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut message = message.to_vec();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        let bytewise: Vec<&[u8]> = message.chunks(1).collect();
        let whole = read(&[&message]);
        prop_assert_eq!(&whole, &read(&split(&message, &cuts)));
        prop_assert_eq!(&whole, &read(&bytewise));
    }

    #[test]
    fn a_body_is_read_as_it_was_written(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut message =
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in &parts {
            message.extend_from_slice(format!("{:X}\r\n", part.len()).as_bytes());
            message.extend_from_slice(part);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\nnext");
        match read(&split(&message, &cuts)) {
            Read::Request { content, end, behind, .. } => {
                prop_assert_eq!((content, end.as_str()), (parts.concat(), "End"));
                prop_assert_eq!(behind, b"next".to_vec());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

/// xorshift64: a fuzzer's dice, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] = b"\r\n\0 \t:;,=\"\\/*#?%@[]0123456789aAfFxX\x7f\x80\xff-+";
        match self.below(4) {
            0 => u8::try_from(self.below(256)).unwrap_or_default(),
            _ => TELLING[self.below(TELLING.len())],
        }
    }

    fn mutate(&mut self, message: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (at, other) = (self.below(message.len()), self.below(message.len()));
            let (low, high) = (at.min(other), at.max(other));
            match self.below(6) {
                0 if !message.is_empty() => message[at] = self.byte(),
                1 => message.insert(at, self.byte()),
                2 if !message.is_empty() => drop(message.remove(at)),
                3 => drop(message.drain(low..high)),
                4 if message.len() < 4096 => {
                    let copy = message[low..high].to_vec();
                    message.splice(at..at, copy);
                }
                _ => {
                    let donor = CORPUS[self.below(CORPUS.len())];
                    let from = self.below(donor.len());
                    message.truncate(at);
                    message.extend_from_slice(&donor[from..]);
                }
            }
        }
    }
}

#[test]
fn nothing_that_is_sent_panics_or_is_read_in_two_ways() {
    let rounds = std::env::var("SHOAL_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let mut dice = Dice(0x5eed_0f5e_a5e1_1001);
    let mut pool: Vec<Vec<u8>> = CORPUS.iter().map(|message| message.to_vec()).collect();
    for round in 0..rounds.unwrap_or(20_000) {
        let at = dice.below(pool.len());
        let mut message = pool[at].clone();
        dice.mutate(&mut message);
        let cut = dice.below(message.len() + 1);
        let whole = read(&[&message]);
        let shown = message.escape_ascii();
        assert_eq!(whole, read(&[&message[..cut], &message[cut..]]), "round {round}: {shown}");
        let mut scan = Scan::head(response::check_start);
        if let Ok(Some(range)) = scan.advance(&message) {
            let head = Bytes::copy_from_slice(&message[range]);
            let _ = response::check(&head);
        }
        let mut body = BytesMut::from(&message[..]);
        let mut decoder = Decoder::of(Length::Chunked);
        while matches!(decoder.next(&mut body), Ok(Found::Data(_))) {}
        // What was read as a request is a better beginning than what was refused.
        if matches!(whole, Read::Request { .. }) && pool.len() < 512 {
            pool.push(message);
        }
    }
}

#[test]
fn a_head_that_is_read_has_neither_bare_line_ends_nor_controls() {
    let mut dice = Dice(0x5eed_0f5e_a5e1_1002);
    for _ in 0..20_000 {
        let mut message = CORPUS[dice.below(6)].to_vec();
        dice.mutate(&mut message);
        let Ok(Some(range)) = Scan::head(|_| Ok(())).advance(&message) else { continue };
        let head = Bytes::copy_from_slice(&message[range]);
        if request::parse(&head).is_ok() {
            let text = String::from_utf8_lossy(&head).replace("\r\n", "");
            let is_control = |c: char| c.is_ascii_control() && c != '\t';
            assert!(!text.contains(is_control), "{}", head.escape_ascii());
        }
    }
}
