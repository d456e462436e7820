//! The body of a message as its bytes come in: so many bytes, or chunks (RFC 9112 §7.1).
//!
//! Values in, values out: it is given what was read so far, takes what it can from the front, and
//! says what that was. Content is split off, never copied.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use model::limits::{CHUNK_BYTES_MAX, CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_LINE_BYTES_MAX};

use crate::flaw::Flaw;
use crate::http1::fields;
use crate::http1::framing::Length;
use crate::http1::scan::{Hopeless, Scan};

/// What a decoder found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Content.
    Data(Bytes),
    /// Fields behind the last chunk: the body is over.
    Trailers(HeaderMap),
    /// The body is over.
    End,
    /// Nothing: it has to see more.
    More,
}

/// Reads one body.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// Bytes of chunk lines beyond their digits.
    extension_bytes: usize,
}

#[derive(Debug)]
enum State {
    /// Content of which the length was announced.
    Sized(u64),
    /// Before the line of a chunk.
    Size,
    /// Inside a chunk.
    Chunk(u64),
    /// Behind a chunk, before its line end.
    ChunkEnd,
    /// Behind the last chunk.
    Trailers(Scan),
    Over,
}

impl Decoder {
    /// Reads a body that is so long; a message that says nothing of it has none.
    pub(crate) fn of(length: Length) -> Decoder {
        let state = match length {
            Length::Unsaid | Length::Bytes(0) => State::Over,
            Length::Bytes(bytes) => State::Sized(bytes),
            Length::Chunked => State::Size,
        };
        Decoder { state, extension_bytes: 0 }
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The bytes that are left, where they are known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self.state {
            State::Over => Some(0),
            State::Sized(left) => Some(left),
            State::Size | State::Chunk(_) | State::ChunkEnd | State::Trailers(_) => None,
        }
    }

    /// The next piece at the front of `input`.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Found, Flaw> {
        loop {
            match &mut self.state {
                State::Over => return Ok(Found::End),
                State::Sized(left) => {
                    let Some(data) = take(left, input) else { return Ok(Found::More) };
                    if *left == 0 {
                        self.state = State::Over;
                    }
                    return Ok(Found::Data(data));
                }
                State::Size => match self.size(input)? {
                    None => return Ok(Found::More),
                    Some(0) => self.state = State::Trailers(Scan::trailers()),
                    Some(bytes) => self.state = State::Chunk(bytes),
                },
                State::Chunk(left) => {
                    let Some(data) = take(left, input) else { return Ok(Found::More) };
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    return Ok(Found::Data(data));
                }
                State::ChunkEnd => match input.as_ref() {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Found::More),
                    _ => return Err(Flaw::ChunkEnd),
                },
                State::Trailers(scan) => {
                    let Some(section) = trailers(scan, input)? else { return Ok(Found::More) };
                    self.state = State::Over;
                    return Ok(section.map_or(Found::End, Found::Trailers));
                }
            }
        }
    }

    /// The size of the chunk that `input` begins with, once its line is complete.
    fn size(&mut self, input: &mut BytesMut) -> Result<Option<u64>, Flaw> {
        let seen = &input[..input.len().min(CHUNK_LINE_BYTES_MAX)];
        check_first(seen)?;
        let Some(length) = seen.iter().position(|byte| *byte == b'\n') else {
            let is_long = input.len() > CHUNK_LINE_BYTES_MAX;
            return if is_long { Err(Flaw::ChunkExtension) } else { Ok(None) };
        };
        let line = seen[..length].strip_suffix(b"\r").ok_or(Flaw::LineEnd)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = hexadecimal(&line[..digits])?;
        extensions(&line[digits..])?;
        self.extension_bytes += line.len() - digits;
        if self.extension_bytes > CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(Flaw::ChunkExtension);
        }
        input.advance(length + 1);
        Ok(Some(size))
    }
}

/// What is there of `left` bytes, at most a piece at once.
fn take(left: &mut u64, input: &mut BytesMut) -> Option<Bytes> {
    let most = usize::try_from(*left).unwrap_or(usize::MAX);
    let bytes = most.min(input.len()).min(CHUNK_BYTES_MAX);
    *left -= bytes as u64;
    (bytes > 0).then(|| input.split_to(bytes).freeze())
}

/// A line that will never be a chunk's is refused at its first byte.
fn check_first(line: &[u8]) -> Result<(), Flaw> {
    match line.first() {
        Some(first) if !first.is_ascii_hexdigit() => Err(Flaw::ChunkSize),
        Some(_) | None => Ok(()),
    }
}

/// Sixteen digits are all that a size can have.
fn hexadecimal(digits: &[u8]) -> Result<u64, Flaw> {
    if digits.is_empty() || digits.len() > 16 {
        return Err(Flaw::ChunkSize);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Flaw::ChunkSize)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| Flaw::ChunkSize)?;
    if size <= i64::MAX.unsigned_abs() { Ok(size) } else { Err(Flaw::ChunkSize) }
}

/// RFC 9112 §7.1.1: `; name [= token or quoted string]`, any number of times; nobody uses them.
fn extensions(mut rest: &[u8]) -> Result<(), Flaw> {
    while !rest.is_empty() {
        rest = blanks(rest).strip_prefix(b";").ok_or(Flaw::ChunkExtension)?;
        rest = token(blanks(rest))?;
        if let Some(value) = blanks(rest).strip_prefix(b"=") {
            let value = blanks(value);
            rest = match value.strip_prefix(b"\"") {
                Some(quoted) => end_of_quoted(quoted)?,
                None => token(value)?,
            };
        }
    }
    Ok(())
}

fn blanks(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[count..]
}

/// What follows the token that `text` must begin with.
fn token(text: &[u8]) -> Result<&[u8], Flaw> {
    let is_of_a_token =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().take_while(|byte| is_of_a_token(byte)).count();
    if length > 0 { Ok(&text[length..]) } else { Err(Flaw::ChunkExtension) }
}

/// What follows the string whose opening quote was taken.
fn end_of_quoted(mut text: &[u8]) -> Result<&[u8], Flaw> {
    loop {
        match text {
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', escaped, rest @ ..] if is_text(*escaped) => text = rest,
            [byte, rest @ ..] if *byte != b'\\' && is_text(*byte) => text = rest,
            _ => return Err(Flaw::ChunkExtension),
        }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The trailer section that `input` begins with, once it is complete: some fields or none.
fn trailers(scan: &mut Scan, input: &mut BytesMut) -> Result<Option<Option<HeaderMap>>, Flaw> {
    let found = scan.advance(input).map_err(|hopeless| match hopeless {
        Hopeless::LongStart => Flaw::LargeHead,
        Hopeless::Flawed(flaw) => flaw,
    })?;
    let Some(range) = found else { return Ok(None) };
    let lines = input.split_to(range.end).freeze();
    let mut trailers = fields::parse(&lines.slice(..lines.len() - b"\r\n".len()))?;
    fields::clean_trailers(&mut trailers);
    Ok(Some((!trailers.is_empty()).then_some(trailers)))
}

#[cfg(test)]
mod tests;
