//! A request's body on its way in: unframed, counted, hashed, its beginning kept.

use std::io::{self, BufRead, Read};

use crate::message::{BodyLength, bad_request};
use crate::pattern::Fnv;
use crate::record::BODY_KEPT;

/// Longer chunk-size and trailer lines are refused.
const LINE_LIMIT: u64 = 64 * 1024;

enum Left {
    /// Of a body whose length was declared.
    Body(u64),
    /// Of the current chunk, its line end not counted.
    Chunk(u64),
    /// A chunk-size line comes next.
    ChunkSize,
    Nothing,
}

pub(crate) struct Incoming {
    left: Left,
    hash: Fnv,
    length: u64,
    kept: Vec<u8>,
}

impl Incoming {
    pub(crate) fn new(length: BodyLength) -> Self {
        let left = match length {
            BodyLength::Known(0) => Left::Nothing,
            BodyLength::Known(n) => Left::Body(n),
            BodyLength::Chunked => Left::ChunkSize,
        };
        Self { left, hash: Fnv::new(), length: 0, kept: Vec::new() }
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    /// Bytes read so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The hash of the bytes read so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.value()
    }

    /// The bytes read so far, unless they are too many.
    pub(crate) fn kept(&self) -> Option<&[u8]> {
        (self.length == self.kept.len() as u64).then_some(&self.kept)
    }

    /// Reads some of the body; 0 is its end.
    pub(crate) fn read(&mut self, from: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
        if matches!(self.left, Left::ChunkSize) {
            self.left = match chunk_size(from)? {
                0 => {
                    while !line(from)?.is_empty() {}
                    Left::Nothing
                }
                n => Left::Chunk(n),
            };
        }
        let (Left::Body(left) | Left::Chunk(left)) = self.left else { return Ok(0) };
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = from.read(&mut out[..most])?;
        if n == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = &out[..n];
        self.hash.update(read);
        self.length += n as u64;
        let room = BODY_KEPT - self.kept.len();
        self.kept.extend_from_slice(&read[..n.min(room)]);

        let left = left - n as u64;
        self.left = match self.left {
            Left::Body(_) if left > 0 => Left::Body(left),
            Left::Chunk(_) if left > 0 => Left::Chunk(left),
            Left::Chunk(_) => {
                if !line(from)?.is_empty() {
                    return Err(bad_request("chunk is longer than its size".into()));
                }
                Left::ChunkSize
            }
            _ => Left::Nothing,
        };
        Ok(n)
    }
}

fn chunk_size(from: &mut impl BufRead) -> io::Result<u64> {
    let line = line(from)?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| bad_request(format!("bad chunk size: {line:?}")))
}

/// A line without its CRLF.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut bytes)?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None if bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(bad_request("line of a chunked body does not end in CRLF".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::fnv;

    fn read_all(length: BodyLength, mut bytes: &[u8], step: usize) -> io::Result<(Vec<u8>, usize)> {
        let mut incoming = Incoming::new(length);
        let mut body = Vec::new();
        let mut out = vec![0; step];
        loop {
            let n = incoming.read(&mut bytes, &mut out)?;
            if n == 0 {
                assert!(incoming.is_complete());
                assert_eq!((incoming.length(), incoming.hash()), (body.len() as u64, fnv(&body)));
                return Ok((body, bytes.len()));
            }
            body.extend_from_slice(&out[..n]);
        }
    }

    #[test]
    fn known_length_stops_at_its_end() {
        for step in [1, 3, 100] {
            assert_eq!(read_all(BodyLength::Known(5), b"helloNEXT", step).expect("reads"), (b"hello".to_vec(), 4));
        }
    }

    #[test]
    fn chunks_are_joined_and_trailers_skipped() {
        let wire = b"3\r\nabc\r\n0a;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nNEXT";
        for step in [1, 2, 100] {
            assert_eq!(read_all(BodyLength::Chunked, wire, step).expect("reads"), (b"abc0123456789".to_vec(), 4));
        }
    }

    #[test]
    fn bad_framing_is_an_error() {
        for wire in ["zz\r\n", "3\r\nabcd\r\n", "3\nabc", "3\r\nab", ""] {
            assert!(read_all(BodyLength::Chunked, wire.as_bytes(), 10).is_err(), "{wire:?}");
        }
    }
}
