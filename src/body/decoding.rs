//! Content encodings of responses: gzip, deflate, brotli and zstd, undone as they come.
//!
//! libcurl could do this for some, but takes a stream that is cut short for a whole one, and counts only what comes out.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// What a decoder gives at a time.
const PIECE: usize = 64 << 10;
/// The most codings, one around the other.
const MAX_CODINGS: usize = 5;
/// What a body may grow to before its ratio counts.
const FREE: u64 = 1 << 20;
/// The largest zstd window, 8 MiB, as RFC 9659 has it.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The encodings that are asked for, as Accept-Encoding says them.
pub(crate) const ACCEPTED: &std::ffi::CStr = c"gzip, deflate, br, zstd";

/// Undoes one response's content encoding.
pub(crate) struct Decoder {
    /// The coding that was put on last comes first.
    stages: Vec<Stage>,
    max_ratio: u64,
    received: u64,
}

/// Why a body could not be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The data is not what its encoding says.
    Corrupt,
    /// It grows more than it may.
    Bomb,
    /// Whoever takes the pieces wants no more.
    Stopped,
}

impl Decoder {
    /// The decoder for what Content-Encoding says: `Ok(None)` if there is nothing to undo, `Err` if it is none that was asked
    /// for. A body that becomes more than 1 MiB and `max_ratio` times what has come is a bomb; `u32::MAX` allows any.
    pub(crate) fn for_header(content_encoding: &str, max_ratio: u32) -> Result<Option<Decoder>, ()> {
        let codings = content_encoding.split(',').map(str::trim);
        let codings = codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
        let stages: Vec<Stage> = codings.rev().map(Stage::new).collect::<Option<_>>().ok_or(())?;
        if stages.len() > MAX_CODINGS {
            return Err(());
        }
        let max_ratio = if max_ratio == u32::MAX { u64::MAX } else { max_ratio.into() };
        Ok((!stages.is_empty()).then_some(Decoder { stages, max_ratio, received: 0 }))
    }

    /// Decodes what has come and hands it on in pieces, until `take` gives `false`.
    pub(crate) fn feed(&mut self, data: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Broken> {
        self.received += data.len() as u64;
        let limit = self.received.saturating_mul(self.max_ratio).saturating_add(FREE);
        feed(&mut self.stages, data, limit, take)
    }

    /// Whether what has come is whole. No byte at all is: there was no body.
    pub(crate) fn is_whole(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage.state, State::Empty | State::Whole | State::Past))
    }
}

fn feed(stages: &mut [Stage], data: &[u8], limit: u64, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Broken> {
    match stages.split_first_mut() {
        Some((stage, inner)) => stage.feed(data, limit, &mut |piece| feed(inner, piece, limit, take)),
        None if take(data) => Ok(()),
        None => Err(Broken::Stopped),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No byte has come.
    Empty,
    /// One byte of a deflate stream has come: two tell whether it has the zlib wrapper that it should have.
    First(u8),
    Inside,
    /// The stream, a gzip member or a zstd frame is whole.
    Whole,
    /// Something else has come after its end: it is ignored, as browsers do.
    Past,
}

/// One coding on its way.
struct Stage {
    format: Format,
    state: State,
    piece: Vec<u8>,
    produced: u64,
}

enum Format {
    Gzip(Decompress),
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(DCtx<'static>),
}

type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Broken>;

impl Stage {
    fn new(coding: &str) -> Option<Stage> {
        let is = |name: &str| coding.eq_ignore_ascii_case(name);
        let format = if is("gzip") || is("x-gzip") {
            Format::Gzip(Decompress::new_gzip(15))
        } else if is("deflate") {
            Format::Deflate(Decompress::new(true))
        } else if is("br") {
            let alloc = StandardAlloc::default;
            // Strict: without the "large window" that no Content-Encoding has.
            Format::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
        } else if is("zstd") {
            let mut stream = DCtx::create();
            stream.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
            Format::Zstd(stream)
        } else {
            return None;
        };
        Some(Stage { format, state: State::Empty, piece: Vec::new(), produced: 0 })
    }

    fn feed(&mut self, mut data: &[u8], limit: u64, take: Take<'_>) -> Result<(), Broken> {
        if let (Format::Deflate(stream), State::Empty | State::First(_)) = (&mut self.format, self.state) {
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
            *stream = Decompress::new(wrapped);
            if let State::First(first) = std::mem::replace(&mut self.state, State::Inside) {
                self.decode(&[first], limit, take)?;
            }
        }
        while let Some(first) = data.first() {
            if self.state == State::Whole && !self.format.begin_next(*first) {
                self.state = State::Past;
            }
            if self.state == State::Past {
                return Ok(());
            }
            self.state = State::Inside;
            let used = self.decode(data, limit, take)?;
            data = data.get(used..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Decodes up to the end of the data or of the stream; gives how much of the data that was.
    fn decode(&mut self, data: &[u8], limit: u64, take: Take<'_>) -> Result<usize, Broken> {
        self.piece.resize(PIECE, 0);
        let mut used = 0;
        loop {
            let step = self.format.step(data.get(used..).unwrap_or(&[]), &mut self.piece)?;
            used += step.used;
            self.produced += step.written as u64;
            if self.produced > limit {
                return Err(Broken::Bomb);
            }
            if step.written > 0 {
                take(self.piece.get(..step.written).unwrap_or(&[]))?;
            }
            if step.ended {
                self.state = State::Whole;
                return Ok(used);
            }
            // A full piece may not have been all there is.
            if used >= data.len() && step.written < PIECE {
                return Ok(used);
            }
            if step.used == 0 && step.written == 0 {
                return Err(Broken::Corrupt);
            }
        }
    }
}

/// How far one call of a decoder got.
struct Step {
    used: usize,
    written: usize,
    ended: bool,
}

impl Format {
    /// Gets ready for the gzip member or zstd frame that may follow on a whole one; `false` if this byte starts none.
    fn begin_next(&mut self, first: u8) -> bool {
        match self {
            Format::Gzip(stream) if first == 0x1F => {
                *stream = Decompress::new_gzip(15);
                true
            }
            // A frame, or one to skip.
            Format::Zstd(_) => first == 0x28 || first & 0xF0 == 0x50,
            _ => false,
        }
    }

    fn step(&mut self, data: &[u8], out: &mut [u8]) -> Result<Step, Broken> {
        match self {
            Format::Gzip(stream) | Format::Deflate(stream) => {
                let (read_before, written_before) = (stream.total_in(), stream.total_out());
                let status = stream.decompress(data, out, FlushDecompress::None).map_err(|_| Broken::Corrupt)?;
                let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
                Ok(Step {
                    used: count(stream.total_in(), read_before),
                    written: count(stream.total_out(), written_before),
                    ended: status == Status::StreamEnd,
                })
            }
            Format::Brotli(stream) => {
                let (mut left, mut room) = (data.len(), out.len());
                let (mut used, mut written, mut total) = (0, 0, 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut used,
                    data,
                    &mut room,
                    &mut written,
                    out,
                    &mut total,
                    stream,
                );
                match result {
                    BrotliResult::ResultFailure => Err(Broken::Corrupt),
                    BrotliResult::ResultSuccess => Ok(Step { used, written, ended: true }),
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                        Ok(Step { used, written, ended: false })
                    }
                }
            }
            Format::Zstd(stream) => {
                let (mut from, mut to) = (InBuffer::around(data), OutBuffer::around(out));
                let hint = stream.decompress_stream(&mut to, &mut from).map_err(|_| Broken::Corrupt)?;
                Ok(Step { used: from.pos(), written: to.pos(), ended: hint == 0 })
            }
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

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(bytes).unwrap();
        out
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
        let length = zstd_safe::compress(&mut out[..], bytes, 3).unwrap();
        out.truncate(length);
        out
    }

    fn decode(encoding: &str, data: &[u8], at_a_time: usize) -> (Result<(), Broken>, Vec<u8>, bool) {
        let mut decoder = Decoder::for_header(encoding, 1000).unwrap().unwrap();
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
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&content).unwrap();
        let encoded = [
            ("gzip", gzip(&content)),
            ("deflate", deflate(&content)),
            ("DEFLATE", raw.finish().unwrap()),
            ("br", brotli(&content)),
            ("zstd", zstd(&content)),
            ("gzip, identity, br", brotli(&gzip(&content))),
            ("zstd,deflate,x-gzip", gzip(&deflate(&zstd(&content)))),
        ];
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
        data.extend_from_slice(b"\0\0rubbish\x1F\x28");
        for at_a_time in [1, 7, 1000] {
            assert_eq!(decode("x-gzip", &data, at_a_time), (Ok(()), b"one two".to_vec(), true));
        }
    }

    #[test]
    fn zstd_frames_follow_each_other_and_rubbish_is_ignored() {
        let mut data = zstd(b"one ");
        data.extend_from_slice(b"\x51\x2A\x4D\x18\x03\0\0\0abc");
        data.extend_from_slice(&zstd(b"two"));
        let frames = data.len();
        data.extend_from_slice(b"\0rubbish\x28");
        for at_a_time in [1, 7, 1000] {
            assert_eq!(decode("zstd", &data, at_a_time), (Ok(()), b"one two".to_vec(), true));
        }
        assert!(!decode("zstd", &data[..frames - 1], 100).2, "the second frame is cut short");
        let mut data = brotli(b"one");
        data.extend_from_slice(&brotli(b"two"));
        for at_a_time in [1, 7, 1000] {
            assert_eq!(decode("br", &data, at_a_time), (Ok(()), b"one".to_vec(), true), "brotli has but one stream");
        }
    }

    #[test]
    fn a_zstd_window_is_at_most_8_mib() {
        let with_window = |log: u32| {
            let mut context = zstd_safe::CCtx::create();
            context.set_parameter(zstd_safe::CParameter::WindowLog(log)).unwrap();
            let (content, mut out) = (content(), vec![0; 1 << 20]);
            let mut to = OutBuffer::around(&mut out[..]);
            // The length is not told beforehand: the frame has the whole window.
            context.compress_stream(&mut to, &mut InBuffer::around(&content)).unwrap();
            assert_eq!(context.end_stream(&mut to).unwrap(), 0);
            let length = to.pos();
            out.truncate(length);
            out
        };
        assert_eq!(decode("zstd", &with_window(23), 1000).0, Ok(()));
        assert_eq!(decode("zstd", &with_window(24), 1000).0, Err(Broken::Corrupt));
    }

    #[test]
    fn broken_streams_are_told_from_short_ones() {
        let mut data = gzip(&content());
        let half = data.len() / 2;
        data[half..half + 200].fill(0xA5);
        assert_eq!(decode("gzip", &data, 4096).0, Err(Broken::Corrupt));
        assert_eq!(decode("gzip", b"no gzip at all", 100).0, Err(Broken::Corrupt));
        assert_eq!(decode("deflate", b"x", 1), (Ok(()), vec![], false));
        for (encoding, mut data) in [("br", brotli(&content())), ("zstd", zstd(&content()))] {
            let half = data.len() / 2;
            data[half..half + 200].fill(0xA5);
            let (result, out, whole) = decode(encoding, &data, 4096);
            assert!(result == Err(Broken::Corrupt) || !whole || out != content(), "{encoding}");
        }
        assert_eq!(decode("zstd", b"no zstd at all", 100).0, Err(Broken::Corrupt));
        assert_eq!(decode("br", &[0xFF; 100], 100).0, Err(Broken::Corrupt));
        // A large window is no brotli that a Content-Encoding may have.
        assert_eq!(decode("br", b"\x11\x1e\0\0\0\0", 100).0, Err(Broken::Corrupt));
        assert!(Decoder::for_header("gzip", 1000).unwrap().unwrap().is_whole(), "there may be no body");
    }

    #[test]
    fn only_what_was_asked_for_is_undone() {
        let decoder = |encoding| Decoder::for_header(encoding, 1000);
        assert!(decoder("identity").unwrap().is_none());
        assert!(decoder("").unwrap().is_none());
        assert!(decoder("identity, gzip").unwrap().is_some());
        assert!(decoder("br,br,br,br,br").unwrap().is_some());
        for other in ["compress", "gzip, compress", "brotli", "br,br,br,br,br,br"] {
            assert!(decoder(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_whoever_takes_it() {
        let data = gzip(&vec![0; 50 << 20]);
        let mut taken = 0;
        let mut decoder = Decoder::for_header("gzip", 1000).unwrap().unwrap();
        let result = decoder.feed(&data, &mut |piece| {
            taken += piece.len();
            taken < 1 << 20
        });
        assert_eq!(result, Err(Broken::Stopped));
        assert!(taken <= (1 << 20) + PIECE);
    }

    #[test]
    fn a_bomb_ends_as_soon_as_it_is_one() {
        let zeros = vec![0; 64 << 20];
        let bombs = [
            ("gzip", gzip(&zeros)),
            ("br", brotli(&zeros)),
            ("zstd", zstd(&zeros)),
            ("gzip, br", brotli(&gzip(&zeros))),
            // What is inside is nothing but frames to skip: only the coding around it grows.
            ("zstd, gzip", gzip(&b"\x51\x2A\x4D\x18\0\0\0\0".repeat(1 << 20))),
        ];
        for (encoding, data) in &bombs {
            for at_a_time in [1, 1000] {
                let mut decoder = Decoder::for_header(encoding, 10).unwrap().unwrap();
                let (mut taken, mut fed) = (0, 0);
                let result = data.chunks(at_a_time).try_for_each(|chunk| {
                    fed += chunk.len();
                    decoder.feed(chunk, &mut |piece| {
                        taken += piece.len();
                        true
                    })
                });
                assert_eq!(result, Err(Broken::Bomb), "{encoding}");
                assert!(taken <= (1 << 20) + fed * 10, "{encoding}: {taken} from {fed}");
            }
            let mut any = Decoder::for_header(encoding, u32::MAX).unwrap().unwrap();
            assert_eq!((any.feed(data, &mut |_| true), any.is_whole()), (Ok(()), true), "{encoding}");
        }
    }
}
