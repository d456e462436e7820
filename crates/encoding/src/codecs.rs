//! Brotli, zstd and gzip behind one trait.
//!
//! Levels are those at which an edge encodes while a viewer waits: what comes out is kept, and so a
//! little more than the fastest. Windows suffice for the largest body that is encoded and are small
//! enough for every decoder.

use std::io::{self, Write};
use std::mem;

use brotli::CompressorWriter;
use bytes::Bytes;
use caching::Coding;
use flate2::Compression;
use flate2::write::GzEncoder;
use serve::Encoder;

/// Of 11; from 5 on brotli looks for matches as far as texts need.
const BROTLI_QUALITY: u32 = 5;
/// As a power of two: 1 MiB of text to look back at.
const BROTLI_WINDOW: u32 = 20;
/// Bytes that brotli works on at a time.
const BROTLI_BUFFER: usize = 16 * 1024;
/// Of 22; as dense as gzip at its best and three times as fast.
const ZSTD_LEVEL: i32 = 6;
/// As a power of two: decoders of content take 8 MiB at most (RFC 9659).
const ZSTD_WINDOW: u32 = 20;
/// Of 9.
const GZIP_LEVEL: u32 = 6;

/// Makes encoders.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codecs;

impl serve::Encoders for Codecs {
    fn begin(&self, coding: Coding) -> io::Result<Box<dyn Encoder>> {
        Ok(match coding {
            Coding::Gzip => {
                Box::new(Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))))
            }
            Coding::Brotli => Box::new(Brotli(CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW)?;
                Box::new(Zstd(encoder))
            }
        })
    }
}

struct Gzip(GzEncoder<Vec<u8>>);
struct Brotli(CompressorWriter<Vec<u8>>);
struct Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>);

impl Encoder for Gzip {
    fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        Ok(mem::take(self.0.get_mut()).into())
    }

    fn flush(&mut self) -> io::Result<Bytes> {
        self.0.flush()?;
        Ok(mem::take(self.0.get_mut()).into())
    }

    fn finish(self: Box<Self>) -> io::Result<Bytes> {
        self.0.finish().map(Bytes::from)
    }
}

impl Encoder for Brotli {
    fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        Ok(mem::take(self.0.get_mut()).into())
    }

    fn flush(&mut self) -> io::Result<Bytes> {
        self.0.flush()?;
        Ok(mem::take(self.0.get_mut()).into())
    }

    fn finish(self: Box<Self>) -> io::Result<Bytes> {
        Ok(self.0.into_inner().into())
    }
}

impl Encoder for Zstd {
    fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        Ok(mem::take(self.0.get_mut()).into())
    }

    fn flush(&mut self) -> io::Result<Bytes> {
        self.0.flush()?;
        Ok(mem::take(self.0.get_mut()).into())
    }

    fn finish(self: Box<Self>) -> io::Result<Bytes> {
        self.0.finish().map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serve::Encoders;

    use super::*;

    fn decode(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut plain),
            Coding::Brotli => brotli::Decompressor::new(encoded, 4_096).read_to_end(&mut plain),
            Coding::Zstd => zstd::stream::read::Decoder::new(encoded)
                .and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        }
        .unwrap();
        plain
    }

    fn text() -> Vec<u8> {
        let words = ["purge ", "cache ", "origin ", "mesh ", "viewer "];
        let word = |at: usize| words[(at * at / 3 + at) % words.len()].bytes();
        (0..40_000).flat_map(word).collect()
    }

    #[test]
    fn any_pieces_decode_to_the_whole() {
        let text = text();
        for coding in Coding::ALL {
            for size in [1_000, 65_536, text.len()] {
                let mut encoder = Codecs.begin(coding).unwrap();
                let mut encoded = Vec::new();
                for piece in text.chunks(size) {
                    encoded.extend_from_slice(&encoder.push(piece).unwrap());
                }
                encoded.extend_from_slice(&encoder.finish().unwrap());
                assert!(encoded.len() * 4 < text.len(), "{coding:?}: {}", encoded.len());
                assert!(decode(coding, &encoded) == text, "{coding:?} {size}");
            }
        }
    }

    #[test]
    fn what_was_flushed_is_out() {
        for coding in Coding::ALL {
            let mut encoder = Codecs.begin(coding).unwrap();
            let mut early = encoder.push(b"the beginning of a page").unwrap().to_vec();
            early.extend_from_slice(&encoder.flush().unwrap());
            assert!(early.len() > 10, "{coding:?}");
            early.extend_from_slice(&encoder.push(b", and its end").unwrap());
            early.extend_from_slice(&encoder.finish().unwrap());
            assert_eq!(decode(coding, &early), b"the beginning of a page, and its end");
        }
    }
}
