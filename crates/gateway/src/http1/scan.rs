//! Where a head or a trailer section ends, however its bytes come in.
//!
//! Every byte is looked at once. A line that could not be part of any head within the limits of the
//! house is refused as soon as that is clear, not when the line or the head is complete.

use std::ops::Range;

use model::limits::{
    FIELD_LINE_BYTES, HEADER_BYTES_MAX, HEADER_FIELDS_MAX, START_LINE_BYTES, URL_BYTES_MAX,
};

use crate::flaw::Flaw;

/// Bytes of the longest start line.
const START_MAX: usize = URL_BYTES_MAX + START_LINE_BYTES;
/// Bytes of all field lines of the largest head.
const FIELDS_MAX: usize = HEADER_BYTES_MAX + HEADER_FIELDS_MAX * FIELD_LINE_BYTES;

/// Why there is no head to be had from these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopeless {
    /// The start line is longer than any that is served.
    LongStart,
    /// Anything else.
    Flawed(Flaw),
}

/// A search for the end of a head.
#[derive(Debug)]
pub(crate) struct Scan {
    part: Part,
    /// Bytes looked at.
    seen: usize,
    /// Where the line begins that is not yet complete.
    line: usize,
    /// Where the head begins: one empty line before it is skipped (RFC 9112 §2.2).
    start: usize,
    /// Where the field lines begin.
    fields: usize,
    lines: usize,
    judge: Judge,
}

/// Says at once, when the start line is complete, whether it can be one.
pub(crate) type Judge = fn(&[u8]) -> Result<(), Flaw>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Start,
    Fields,
}

impl Scan {
    /// Looks for a start line and field lines.
    pub(crate) fn head(judge: Judge) -> Scan {
        Scan { part: Part::Start, seen: 0, line: 0, start: 0, fields: 0, lines: 0, judge }
    }

    /// Looks for field lines alone.
    pub(crate) fn trailers() -> Scan {
        Scan { part: Part::Fields, ..Scan::head(|_| Ok(())) }
    }

    /// Where in `input` the head lies, with the empty line that ends it; `None` while it is
    /// incomplete. `input` is what was given before, and more.
    pub(crate) fn advance(&mut self, input: &[u8]) -> Result<Option<Range<usize>>, Hopeless> {
        let flawed = |flaw| Err(Hopeless::Flawed(flaw));
        loop {
            self.check_start(input)?;
            let length = input[self.seen..].iter().position(|byte| *byte == b'\n');
            let end = length.map(|length| self.seen + length);
            self.seen = end.map_or(input.len(), |end| end + 1);
            self.check_size()?;
            let Some(end) = end else { return Ok(None) };
            let Some(line) = input[self.line..end].strip_suffix(b"\r") else {
                return flawed(Flaw::LineEnd);
            };
            match (self.part, line.is_empty()) {
                (Part::Start, true) => self.start = self.seen,
                (Part::Start, false) => {
                    (self.judge)(line).map_err(Hopeless::Flawed)?;
                    self.part = Part::Fields;
                    self.fields = self.seen;
                }
                (Part::Fields, true) => return Ok(Some(self.start..self.seen)),
                (Part::Fields, false) if self.lines == HEADER_FIELDS_MAX => {
                    return flawed(Flaw::LargeHead);
                }
                (Part::Fields, false) => self.lines += 1,
            }
            self.line = self.seen;
        }
    }

    /// Something that speaks no HTTP at all is told so at its first byte.
    fn check_start(&self, input: &[u8]) -> Result<(), Hopeless> {
        match (self.part, input.get(self.start)) {
            (Part::Start, Some(b'\r')) if input.len() > self.start + 1 => {
                let is_empty_line = input[self.start + 1] == b'\n' && self.start == 0;
                if is_empty_line { Ok(()) } else { Err(Hopeless::Flawed(Flaw::StartLine)) }
            }
            (Part::Start, Some(byte)) if !byte.is_ascii_graphic() && *byte != b'\r' => {
                Err(Hopeless::Flawed(Flaw::StartLine))
            }
            (Part::Start | Part::Fields, _) => Ok(()),
        }
    }

    fn check_size(&self) -> Result<(), Hopeless> {
        match self.part {
            Part::Start if self.seen - self.start > START_MAX => Err(Hopeless::LongStart),
            Part::Fields if self.seen - self.fields > FIELDS_MAX => {
                Err(Hopeless::Flawed(Flaw::LargeHead))
            }
            Part::Start | Part::Fields => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::request;

    fn whole(input: &[u8]) -> Result<Option<Range<usize>>, Hopeless> {
        Scan::head(request::check_start).advance(input)
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        for (input, expect) in [
            ("GET / HTTP/1.1\r\n\r\n", Ok(Some(0..18))),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\nbody", Ok(Some(0..24))),
            // RFC 9112 §2.2: one empty line before the request is skipped, two are not.
            ("\r\nGET / HTTP/1.1\r\n\r\n", Ok(Some(2..20))),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Err(Hopeless::Flawed(Flaw::StartLine))),
            ("\nGET / HTTP/1.1\r\n\r\n", Err(Hopeless::Flawed(Flaw::StartLine))),
            ("GET / HTTP/1.1\n", Err(Hopeless::Flawed(Flaw::LineEnd))),
            ("GET / HTTP/1.1\r\nA: b\n", Err(Hopeless::Flawed(Flaw::LineEnd))),
            ("GET / HTTP/1.1\r\nA: b\r\n\n", Err(Hopeless::Flawed(Flaw::LineEnd))),
            ("GET / HTTP/1.1\r\nA: b\r\n\r", Ok(None)),
            ("GET / HTTP/1.1\r\nA: b\r\n", Ok(None)),
            ("GET /\r\n", Err(Hopeless::Flawed(Flaw::StartLine))),
            ("GET / HTTP/3.0\r\n", Err(Hopeless::Flawed(Flaw::Version))),
            ("", Ok(None)),
            ("\r", Ok(None)),
            // The beginning of TLS.
            ("\u{16}\u{3}", Err(Hopeless::Flawed(Flaw::StartLine))),
            (" GET", Err(Hopeless::Flawed(Flaw::StartLine))),
            ("\rG", Err(Hopeless::Flawed(Flaw::StartLine))),
        ] {
            assert_eq!(whole(input.as_bytes()), expect, "{input:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_known_before_it_is_complete() {
        let long = |bytes| "x".repeat(bytes);
        let head = "GET / HTTP/1.1\r\n";
        for (input, expect) in [
            (long(START_MAX), Ok(None)),
            (long(START_MAX + 1), Err(Hopeless::LongStart)),
            (format!("{head}{}", long(FIELDS_MAX)), Ok(None)),
            (format!("{head}{}", long(FIELDS_MAX + 1)), Err(Hopeless::Flawed(Flaw::LargeHead))),
            (format!("{head}{}", "A: b\r\n".repeat(128)), Ok(None)),
            (format!("{head}{}", "A: b\r\n".repeat(129)), Err(Hopeless::Flawed(Flaw::LargeHead))),
        ] {
            assert_eq!(whole(input.as_bytes()), expect, "{} bytes", input.len());
        }
    }
}
