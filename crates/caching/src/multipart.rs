//! Several ranges as one body: `multipart/byteranges` (RFC 9110 §14.6, RFC 2046 §5.1).
//!
//! What lies between the parts is worked out here, with its length, so that the body can be sent
//! piece by piece and announced as a whole. The content itself is never touched.

use bytes::Bytes;
use http::HeaderValue;

use crate::range::{ByteRange, content_range};

/// The frame around some ranges of one representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// What stands before each range: its delimiter and fields.
    pub parts: Vec<(Bytes, ByteRange)>,
    /// What stands after the last.
    pub end: Bytes,
    /// Bytes of all of it, the ranges included.
    pub bytes: u64,
    /// The `Content-Type` of all of it.
    pub content_type: HeaderValue,
}

impl Multipart {
    /// Frames `ranges` of a representation of that type and of `length` bytes. `boundary` is made
    /// of letters and digits that do not occur in the content.
    pub fn new(
        ranges: &[ByteRange],
        content_type: Option<&HeaderValue>,
        length: u64,
        boundary: &str,
    ) -> Multipart {
        let head = |(at, range): (usize, &ByteRange)| {
            let mut head = Vec::new();
            if at > 0 {
                head.extend_from_slice(b"\r\n");
            }
            head.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            if let Some(content_type) = content_type {
                head.extend_from_slice(b"Content-Type: ");
                head.extend_from_slice(content_type.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            head.extend_from_slice(b"Content-Range: ");
            head.extend_from_slice(content_range(*range, length).as_bytes());
            head.extend_from_slice(b"\r\n\r\n");
            (Bytes::from(head), *range)
        };
        let parts: Vec<(Bytes, ByteRange)> = ranges.iter().enumerate().map(head).collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let framed = parts.iter().map(|(head, range)| head.len() as u64 + range.bytes());
        let bytes = framed.sum::<u64>() + end.len() as u64;
        let content_type = format!("multipart/byteranges; boundary={boundary}");
        let content_type = HeaderValue::try_from(content_type).expect("a boundary is plain ASCII");
        Multipart { parts, end, bytes, content_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_that_of_the_rfc() {
        // RFC 9110 §15.3.7.2, its example.
        let ranges = [ByteRange { first: 500, last: 999 }, ByteRange { first: 7000, last: 7999 }];
        let pdf = HeaderValue::from_static("application/pdf");
        let framed = Multipart::new(&ranges, Some(&pdf), 8000, "THIS");
        let [(one, _), (two, _)] = &framed.parts[..] else { panic!("two parts") };
        assert_eq!(
            one.as_ref(),
            b"--THIS\r\nContent-Type: application/pdf\r\nContent-Range: bytes 500-999/8000\r\n\r\n"
        );
        assert_eq!(
            two.as_ref(),
            b"\r\n--THIS\r\nContent-Type: application/pdf\r\n\
              Content-Range: bytes 7000-7999/8000\r\n\r\n"
        );
        assert_eq!(framed.end.as_ref(), b"\r\n--THIS--\r\n");
        assert_eq!(framed.content_type, "multipart/byteranges; boundary=THIS");
        let around = one.len() + two.len() + framed.end.len();
        assert_eq!(framed.bytes, around as u64 + 500 + 1000);
    }

    #[test]
    fn what_has_no_type_claims_none() {
        let ranges = [ByteRange { first: 0, last: 0 }, ByteRange { first: 500, last: 500 }];
        let framed = Multipart::new(&ranges, None, 501, "b");
        assert_eq!(framed.parts[0].0.as_ref(), b"--b\r\nContent-Range: bytes 0-0/501\r\n\r\n");
    }
}
