use super::*;

/// Content, trailers, and how it ended; `input` keeps what lies behind the body.
fn read(decoder: &mut Decoder, input: &mut BytesMut) -> (Vec<u8>, Option<HeaderMap>, End) {
    let mut content = Vec::new();
    loop {
        match decoder.next(input) {
            Ok(Found::Data(data)) => content.extend_from_slice(&data),
            Ok(Found::Trailers(trailers)) => return (content, Some(trailers), End::Over),
            Ok(Found::End) => return (content, None, End::Over),
            Ok(Found::More) => return (content, None, End::More),
            Err(flaw) => return (content, None, End::Flawed(flaw)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Over,
    More,
    Flawed(Flaw),
}

fn check(body: &[u8], content: &str, end: End) {
    let mut input = BytesMut::from(body);
    let read = read(&mut Decoder::of(Length::Chunked), &mut input);
    let shown = body.escape_ascii();
    assert_eq!((read.0.as_slice(), read.2), (content.as_bytes(), end), "{shown}");
}

#[test]
fn chunks_are_read_to_the_last() {
    // RFC 9112 §7.1.
    for (body, content) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("003\r\nabc\r\n000\r\n\r\n", "abc"),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("1;a\r\nx\r\n0;b=c\r\n\r\n", "x"),
        ("1 ; a = \"b;\\\"c\" ;d\r\nx\r\n0\r\n\r\n", "x"),
    ] {
        check(body.as_bytes(), content, End::Over);
    }
}

#[test]
fn a_chunk_of_any_other_shape_is_refused() {
    let (size, extension) = (Flaw::ChunkSize, Flaw::ChunkExtension);
    let long = format!("1;{}\r\nx\r\n", "a".repeat(CHUNK_LINE_BYTES_MAX));
    for (body, content, flaw) in [
        ("\r\n", "", size),
        ("x\r\n", "", size),
        ("-1\r\n", "", size),
        ("+1\r\n", "", size),
        (" 1\r\n", "", size),
        ("0x1\r\n", "", extension),
        ("1_0\r\n", "", extension),
        (";a\r\n", "", size),
        ("8000000000000000\r\n", "", size),
        ("ffffffffffffffff\r\n", "", size),
        ("00000000000000001\r\n", "", size),
        ("10000000000000000\r\n", "", size),
        ("1 \r\nx\r\n", "", extension),
        ("1\t\r\nx\r\n", "", extension),
        ("1;\r\nx\r\n", "", extension),
        ("1;a=\r\nx\r\n", "", extension),
        ("1;a=\"\r\nx\r\n", "", extension),
        ("1;a=\"b\"c\r\nx\r\n", "", extension),
        ("1;a\0\r\nx\r\n", "", extension),
        ("1;a\rb\r\nx\r\n", "", extension),
        ("1\r\r\nx\r\n", "", extension),
        ("1 2\r\nx\r\n", "", extension),
        (&long, "", extension),
        ("1\nx\r\n", "", Flaw::LineEnd),
        ("1;a\nx\r\n", "", Flaw::LineEnd),
        ("3\r\nabcd\r\n", "abc", Flaw::ChunkEnd),
        ("3\r\nabc\n0\r\n", "abc", Flaw::ChunkEnd),
        ("3\r\nabc0\r\n", "abc", Flaw::ChunkEnd),
        ("3\r\nabc\r0\r\n", "abc", Flaw::ChunkEnd),
        ("0\r\n\n", "", Flaw::LineEnd),
        ("0\r\nA: b\n\r\n", "", Flaw::LineEnd),
        ("0\r\nA : b\r\n\r\n", "", Flaw::FieldName),
        ("0\r\nA: b\r\n c\r\n\r\n", "", Flaw::Folded),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", "", Flaw::FieldName),
    ] {
        check(body.as_bytes(), content, End::Flawed(flaw));
    }
}

#[test]
fn what_ends_early_is_not_over() {
    for body in ["", "3", "3\r", "3\r\n", "3\r\nabc", "3\r\nabc\r\n0", "0\r\n", "0\r\n\r"] {
        let content = if body.contains("abc") { "abc" } else { "" };
        check(body.as_bytes(), content, End::More);
    }
}

#[test]
fn trailers_follow_the_last_chunk_without_what_decides_about_the_message() {
    // RFC 9110 §6.5.1.
    let mut input =
        BytesMut::from(&b"0\r\nX-End: 9\r\nContent-Length: 3\r\nHost: a\r\n\r\nGET / HTTP/1.1"[..]);
    let (_, trailers, end) = read(&mut Decoder::of(Length::Chunked), &mut input);
    let trailers = trailers.unwrap();
    assert_eq!((trailers.len(), &trailers["x-end"], end), (1, &"9".parse().unwrap(), End::Over));
    assert_eq!(&input[..], b"GET / HTTP/1.1");
}

#[test]
fn extensions_have_a_budget() {
    let line = format!("1;{}\r\nx\r\n", "a".repeat(99));
    let within = line.repeat(CHUNK_EXTENSIONS_BYTES_MAX / 100);
    check(within.as_bytes(), &"x".repeat(CHUNK_EXTENSIONS_BYTES_MAX / 100), End::More);
    let (_, _, end) = read(
        &mut Decoder::of(Length::Chunked),
        &mut BytesMut::from(format!("{within}{line}").as_bytes()),
    );
    assert_eq!(end, End::Flawed(Flaw::ChunkExtension));
}

#[test]
fn a_sized_body_ends_where_it_says() {
    let mut input = BytesMut::from(&b"abcdef"[..]);
    let mut decoder = Decoder::of(Length::Bytes(4));
    assert_eq!(decoder.left(), Some(4));
    assert_eq!(read(&mut decoder, &mut input), (b"abcd".to_vec(), None, End::Over));
    assert_eq!((&input[..], decoder.is_over()), (&b"ef"[..], true));
    assert!(Decoder::of(Length::Unsaid).is_over() && Decoder::of(Length::Bytes(0)).is_over());
}
