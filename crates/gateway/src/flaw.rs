//! What is wrong with bytes that claim to be an HTTP/1 message.
//!
//! There is no leniency here: whatever two readers could take in two ways is a flaw, for a request
//! could be smuggled through the gap between them (RFC 9112 §11.2), and so could a response.

/// Why bytes are not one unambiguous HTTP/1 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// RFC 9112 §3 and §4.
    #[error("the start line is not three words with one blank between them")]
    StartLine,
    /// RFC 9112 §2.3: another major or minor version than 1.0 or 1.1.
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    Version,
    /// RFC 9112 §2.2: CRLF, and nothing else.
    #[error("a line does not end in CRLF")]
    LineEnd,
    /// RFC 9112 §5.2.
    #[error("a field is folded over two lines")]
    Folded,
    /// RFC 9110 §5.1 and RFC 9112 §5.1: a token, and the colon right behind it.
    #[error("a field has no valid name")]
    FieldName,
    /// RFC 9110 §5.5.
    #[error("a field has control characters in its value")]
    FieldValue,
    /// The limits of the house.
    #[error("the header fields are too many or too large")]
    LargeHead,
    /// RFC 9112 §6.3: one number, once.
    #[error("Content-Length is not one number, given once")]
    Length,
    /// RFC 9112 §6.3.
    #[error("the message has both Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    /// RFC 9112 §6.1: `chunked` stands last, and once.
    #[error("Transfer-Encoding does not end in one chunked")]
    Coding,
    /// RFC 9112 §6.1: HTTP/1.0 has no transfer codings.
    #[error("an HTTP/1.0 message has a Transfer-Encoding")]
    EarlyCoding,
    /// RFC 9112 §6.1: codings that nobody here undoes.
    #[error("the only transfer coding understood here is chunked")]
    UnknownCoding,
    /// RFC 9112 §7.1.
    #[error("a chunk has no valid size")]
    ChunkSize,
    /// RFC 9112 §7.1.1.
    #[error("the extensions of a chunk are malformed or too many")]
    ChunkExtension,
    /// RFC 9112 §7.1.
    #[error("a chunk is not as long as it says")]
    ChunkEnd,
    /// The other side stopped in the middle.
    #[error("the message ends before its end")]
    Unfinished,
}
