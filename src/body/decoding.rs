//! Content encodings of responses: gzip and deflate, undone as they come.
//!
//! libcurl could do this, but takes a stream that is cut short for a whole one, and counts only what comes out.

use flate2::{Decompress, FlushDecompress, Status};

/// What a decoder gives at a time.
const PIECE: usize = 64 << 10;

/// The encodings that are asked for, as Accept-Encoding says them.
pub(crate) const ACCEPTED: &std::ffi::CStr = c"gzip, deflate";

/// Undoes one response's content encoding.
pub(crate) struct Decoder {
    format: Format,
    stream: Decompress,
    state: State,
    piece: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Gzip,
    Deflate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No byte has come.
    Empty,
    /// One byte of a deflate stream has come: two tell whether it has the zlib wrapper that it should have.
    First(u8),
    Inside,
    /// The stream, or a gzip member, is whole.
    Whole,
}

/// Why a body could not be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The data is not what its encoding says.
    Corrupt,
    /// Whoever takes the pieces wants no more.
    Stopped,
}

impl Decoder {
    /// The decoder for a Content-Encoding: `Ok(None)` if there is nothing to undo, `Err` if it is none that was asked for.
    pub(crate) fn for_header(content_encoding: &str) -> Result<Option<Decoder>, ()> {
        let mut codings = content_encoding.split(',').map(str::trim).filter(|coding| !coding.is_empty());
        let coding = codings.find(|coding| !coding.eq_ignore_ascii_case("identity"));
        let Some(coding) = coding else { return Ok(None) };
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        let format = if is("gzip") || is("x-gzip") {
            Format::Gzip
        } else if is("deflate") {
            Format::Deflate
        } else {
            return Err(());
        };
        if codings.next().is_some() {
            return Err(());
        }
        Ok(Some(Decoder { format, stream: format.stream(true), state: State::Empty, piece: Vec::new() }))
    }

    /// Decodes what has come and hands it on in pieces, until `take` gives `false`.
    pub(crate) fn feed(&mut self, mut data: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Broken> {
        if self.format == Format::Deflate && matches!(self.state, State::Empty | State::First(_)) {
            let (first, second) = match (self.state, data) {
                (State::Empty, [first]) => {
                    self.state = State::First(*first);
                    return Ok(());
                }
                (State::Empty, [first, second, ..]) => (*first, *second),
                (State::First(first), [second, ..]) => (first, *second),
                _ => return Ok(()),
            };
            // The zlib wrapper starts with the method, 8, and a check of two bytes; some servers leave it out.
            let wrapped = first & 0x0F == 8 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
            self.stream = Format::Deflate.stream(wrapped);
            if let State::First(first) = std::mem::replace(&mut self.state, State::Inside) {
                self.inflate(&[first], take)?;
            }
        }
        while !data.is_empty() {
            if self.state == State::Whole {
                // A further gzip member may follow; anything else after the end is ignored, as browsers do.
                if self.format != Format::Gzip || data.first() != Some(&0x1F) {
                    return Ok(());
                }
                self.stream = self.format.stream(true);
            }
            self.state = State::Inside;
            let used = self.inflate(data, take)?;
            data = data.get(used..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Decodes up to the end of the data or of the stream; gives how much of the data that was.
    fn inflate(&mut self, data: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) -> Result<usize, Broken> {
        self.piece.resize(PIECE, 0);
        let mut used = 0;
        loop {
            let (read_before, written_before) = (self.stream.total_in(), self.stream.total_out());
            let rest = data.get(used..).unwrap_or(&[]);
            let status = self.stream.decompress(rest, &mut self.piece, FlushDecompress::None);
            let status = status.map_err(|_| Broken::Corrupt)?;
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
            used += count(self.stream.total_in(), read_before);
            let written = count(self.stream.total_out(), written_before);
            if written > 0 && !take(self.piece.get(..written).unwrap_or(&[])) {
                return Err(Broken::Stopped);
            }
            if status == Status::StreamEnd {
                self.state = State::Whole;
                return Ok(used);
            }
            // A full piece may not have been all there is.
            if used >= data.len() && written < PIECE {
                return Ok(used);
            }
        }
    }

    /// Whether what has come is whole. No byte at all is: there was no body.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.state, State::Empty | State::Whole)
    }
}

impl Format {
    fn stream(self, wrapped: bool) -> Decompress {
        match self {
            Format::Gzip => Decompress::new_gzip(15),
            Format::Deflate => Decompress::new(wrapped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn content() -> Vec<u8> {
        (0..300_000u32).map(|i| (i.wrapping_mul(i) / 77) as u8).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encoding: &str, data: &[u8], at_a_time: usize) -> (Result<(), Broken>, Vec<u8>, bool) {
        let mut decoder = Decoder::for_header(encoding).unwrap().unwrap();
        let mut out = Vec::new();
        let mut take = |piece: &[u8]| {
            out.extend_from_slice(piece);
            true
        };
        let result = data.chunks(at_a_time).try_for_each(|chunk| decoder.feed(chunk, &mut take));
        (result, out, decoder.is_whole())
    }

    #[test]
    fn every_format_comes_whole_however_it_is_cut() {
        let content = content();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&content).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&content).unwrap();
        let encoded =
            [("gzip", gzip(&content)), ("deflate", zlib.finish().unwrap()), ("DEFLATE", raw.finish().unwrap())];
        for (encoding, data) in &encoded {
            for at_a_time in [1, 2, 16 << 10, usize::MAX] {
                let (result, out, whole) = decode(encoding, data, at_a_time);
                assert_eq!((result, whole), (Ok(()), true), "{encoding} {at_a_time}");
                assert!(out == content, "{encoding} {at_a_time}");
            }
            assert!(!decode(encoding, &data[..data.len() - 5], 1000).2, "{encoding} cut short");
        }
    }

    #[test]
    fn gzip_members_follow_each_other_and_rubbish_is_ignored() {
        let mut data = gzip(b"one ");
        data.extend_from_slice(&gzip(b"two"));
        data.extend_from_slice(b"\0\0rubbish");
        for at_a_time in [1, 7, 1000] {
            assert_eq!(decode("x-gzip", &data, at_a_time), (Ok(()), b"one two".to_vec(), true));
        }
    }

    #[test]
    fn broken_streams_are_told_from_short_ones() {
        let mut data = gzip(&content());
        let half = data.len() / 2;
        data[half..half + 200].fill(0xA5);
        assert_eq!(decode("gzip", &data, 4096).0, Err(Broken::Corrupt));
        assert_eq!(decode("gzip", b"no gzip at all", 100).0, Err(Broken::Corrupt));
        assert_eq!(decode("deflate", b"x", 1), (Ok(()), vec![], false));
        assert!(Decoder::for_header("gzip").unwrap().unwrap().is_whole(), "there may be no body");
    }

    #[test]
    fn only_what_was_asked_for_is_undone() {
        assert!(Decoder::for_header("identity").unwrap().is_none());
        assert!(Decoder::for_header("").unwrap().is_none());
        assert!(Decoder::for_header("identity, gzip").unwrap().is_some());
        for other in ["br", "zstd", "gzip, gzip", "compress"] {
            assert!(Decoder::for_header(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_whoever_takes_it() {
        let data = gzip(&vec![0; 50 << 20]);
        let mut taken = 0;
        let mut decoder = Decoder::for_header("gzip").unwrap().unwrap();
        let result = decoder.feed(&data, &mut |piece| {
            taken += piece.len();
            taken < 1 << 20
        });
        assert_eq!(result, Err(Broken::Stopped));
        assert!(taken <= (1 << 20) + PIECE);
    }
}
