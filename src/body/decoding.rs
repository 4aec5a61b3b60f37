//! Content encodings of responses: gzip, deflate, brotli and zstd, undone as they come.
//!
//! libcurl could do this for some, but takes a stream that is cut short for a whole one, and counts only what comes out.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::headers::Headers;

/// What a decoder gives at a time.
const PIECE: usize = 64 << 10;
/// The most codings, one around the other.
pub(crate) const MAX_CODINGS: usize = 5;
/// What a body that no cap bounds may grow to before its ratio counts.
const FREE: u64 = 256 << 20;
/// The largest zstd window, 8 MiB, as RFC 9659 has it.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The encodings that are asked for, as Accept-Encoding says them.
pub(crate) const ACCEPTED: &std::ffi::CStr = c"gzip, deflate, br, zstd";

/// The codings of a response's body, in the order in which they were put on.
fn codings(headers: &Headers) -> Vec<&str> {
    let fields = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Content-Encoding"));
    let codings = fields.flat_map(|(_, value)| value.split(',')).map(str::trim);
    codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).collect()
}

/// Whether a response's body is anything but what it is called by.
pub(crate) fn is_encoded(headers: &Headers) -> bool {
    !codings(headers).is_empty()
}

/// What is to be done about a response's Content-Encoding.
pub(crate) enum Coding {
    None,
    Known(Decoder),
    /// One of them is none that anybody asked for: the body stays as it came.
    Unknown,
    /// So many codings, one around the other, that it is no honest response.
    TooMany(usize),
}

/// Undoes one response's content encoding.
pub(crate) struct Decoder {
    /// The coding that was put on last comes first.
    stages: Vec<Stage>,
    max_ratio: u64,
    free: u64,
    received: u64,
}

/// Whether whoever takes the pieces can take another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    More,
    /// Not now.
    Full,
    /// Never.
    Stop,
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
    /// The decoder for a response. A body that becomes more than `max_ratio` times what has come is a bomb, once it is larger
    /// than 256 MiB or a cap that is set later; `u32::MAX` allows any.
    pub(crate) fn of(headers: &Headers, max_ratio: u32) -> Coding {
        let codings = codings(headers);
        if codings.is_empty() {
            return Coding::None;
        }
        // Of an endless list, no more are made than are needed to tell.
        let stages: Option<Vec<Stage>> =
            codings.iter().rev().take(MAX_CODINGS + 1).map(|coding| Stage::new(coding)).collect();
        match stages {
            None => Coding::Unknown,
            Some(_) if codings.len() > MAX_CODINGS => Coding::TooMany(codings.len()),
            Some(stages) => {
                let max_ratio = if max_ratio == u32::MAX { u64::MAX } else { max_ratio.into() };
                Coding::Known(Decoder { stages, max_ratio, free: FREE, received: 0 })
            }
        }
    }

    /// Whoever takes the body takes no more than this, and so needs no other guard below it.
    pub(crate) fn set_cap(&mut self, cap: u64) {
        // It is for its taker to tell of what goes beyond.
        self.free = if cap == u64::MAX { FREE } else { cap.saturating_add(PIECE as u64) };
    }

    /// Takes what has come and hands it on decoded, a piece at a time, as long as there is room. Gives whether that was all;
    /// if not, the rest follows when called again, be it with nothing.
    pub(crate) fn feed(&mut self, data: &[u8], give: &mut dyn FnMut(&[u8]) -> Room) -> Result<bool, Broken> {
        self.received += data.len() as u64;
        if let Some(first) = self.stages.first_mut() {
            first.put(data);
        }
        let limit = self.received.saturating_mul(self.max_ratio).saturating_add(self.free);
        // The innermost first: so each holds no more than a piece that the one around it has made.
        while let Some(at) = self.stages.iter().rposition(Stage::has_work) {
            let (outer, inner) = self.stages.split_at_mut(at + 1);
            let Some(stage) = outer.last_mut() else { break };
            let piece = stage.step(limit)?;
            match inner.first_mut() {
                _ if piece.is_empty() => {}
                Some(next) => next.put(piece),
                None => match give(piece) {
                    Room::More => {}
                    Room::Full => return Ok(!self.stages.iter().any(Stage::has_work)),
                    Room::Stop => return Err(Broken::Stopped),
                },
            }
        }
        Ok(true)
    }

    /// Whether what has come is whole. No byte at all is: there was no body.
    pub(crate) fn is_whole(&self) -> bool {
        self.stages.iter().all(|stage| match stage.state {
            State::Empty => stage.input.is_empty(),
            State::Inside => false,
            State::Whole | State::Past => true,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No byte has come.
    Empty,
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
    /// What has come, and how much of it is decoded.
    input: Vec<u8>,
    used: usize,
    /// There may be more to give without more to take.
    more: bool,
    piece: Vec<u8>,
    produced: u64,
}

enum Format {
    Gzip(Decompress),
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(DCtx<'static>),
}

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
        let (input, piece) = (Vec::new(), Vec::new());
        Some(Stage { format, state: State::Empty, input, used: 0, more: false, piece, produced: 0 })
    }

    fn put(&mut self, data: &[u8]) {
        // Whatever follows on the end is ignored, as browsers do.
        if self.state != State::Past {
            self.input.extend_from_slice(data);
        }
    }

    fn has_work(&self) -> bool {
        // Two bytes tell whether a deflate stream has the zlib wrapper that it should have.
        let is_new = self.state == State::Empty && matches!(self.format, Format::Deflate(_));
        self.more || self.input.len() - self.used >= if is_new { 2 } else { 1 }
    }

    /// Decodes a piece at most, of which not even one byte need come.
    fn step(&mut self, limit: u64) -> Result<&[u8], Broken> {
        let input = self.input.get(self.used..).unwrap_or(&[]);
        if let (Format::Deflate(stream), State::Empty, [first, second, ..]) = (&mut self.format, self.state, input) {
            // The wrapper starts with the method, 8, and a check of two bytes; some servers leave it out.
            let wrapped = first & 0x0F == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31);
            *stream = Decompress::new(wrapped);
        }
        if let (State::Whole, Some(first)) = (self.state, input.first())
            && !self.format.begin_next(*first)
        {
            (self.state, self.input, self.used) = (State::Past, Vec::new(), 0);
            return Ok(&[]);
        }
        self.state = State::Inside;
        self.piece.resize(PIECE, 0);
        let step = self.format.step(input, &mut self.piece)?;
        self.used += step.used;
        if self.used >= self.input.len() {
            self.input.clear();
            self.used = 0;
        } else if step.used == 0 && step.written == 0 && !step.ended {
            return Err(Broken::Corrupt);
        }
        self.produced += step.written as u64;
        if self.produced > limit {
            return Err(Broken::Bomb);
        }
        // A full piece may not have been all there is.
        self.more = step.written == PIECE && !step.ended;
        if step.ended {
            self.state = State::Whole;
        }
        Ok(self.piece.get(..step.written).unwrap_or(&[]))
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

    fn decoder(encoding: &str, max_ratio: u32) -> Decoder {
        match of(encoding, max_ratio) {
            Coding::Known(decoder) => decoder,
            _ => panic!("{encoding} is known"),
        }
    }

    fn of(encoding: &str, max_ratio: u32) -> Coding {
        let mut headers = Headers::new();
        encoding.split('|').for_each(|value| headers.push("content-encoding", value));
        Decoder::of(&headers, max_ratio)
    }

    fn decode(encoding: &str, data: &[u8], at_a_time: usize) -> (Result<(), Broken>, Vec<u8>, bool) {
        let mut decoder = decoder(encoding, 1000);
        let mut out = Vec::new();
        let mut take = |piece: &[u8]| {
            out.extend_from_slice(piece);
            Room::More
        };
        let result = data.chunks(at_a_time).try_for_each(|chunk| decoder.feed(chunk, &mut take).map(|_| ()));
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
        assert!(decoder("gzip", 1000).is_whole(), "there may be no body");
    }

    #[test]
    fn only_what_was_asked_for_is_undone() {
        for none in ["identity", "", " , ,", "identity|IDENTITY, "] {
            assert!(matches!(of(none, 1000), Coding::None), "{none}");
        }
        for known in ["identity, gzip", "br,br,br,br,br", " GZip ,, ", "x-gzip|zstd|Deflate"] {
            assert!(matches!(of(known, 1000), Coding::Known(_)), "{known}");
        }
        for other in
            ["compress", "gzip, compress", "none, gzip", "none", "utf-8", "binary", "brotli", "gzip|aws-chunked"]
        {
            assert!(matches!(of(other, 1000), Coding::Unknown), "{other}");
        }
        assert!(matches!(of("br,br,br,br,br,br", 1000), Coding::TooMany(6)));
        assert!(matches!(of(&"br,".repeat(10_000), 1000), Coding::TooMany(10_000)));
    }

    #[test]
    fn one_piece_at_a_time_is_enough() {
        let content = content();
        for (encoding, data) in [
            ("gzip", gzip(&content)),
            ("deflate", deflate(&content)),
            ("br", brotli(&content)),
            ("zstd", [zstd(&content[..100_000]), zstd(&content[100_000..])].concat()),
            ("deflate, gzip, br", brotli(&gzip(&deflate(&content)))),
        ] {
            for at_a_time in [1000, usize::MAX] {
                let (mut decoder, mut out, mut calls) = (decoder(encoding, 1000), Vec::new(), 0);
                for mut chunk in data.chunks(at_a_time) {
                    let mut given = 0;
                    while !decoder
                        .feed(chunk, &mut |piece| {
                            given += 1;
                            out.extend_from_slice(piece);
                            Room::Full
                        })
                        .unwrap()
                    {
                        (chunk, calls) = (&[], calls + 1);
                        assert_eq!(std::mem::take(&mut given), 1, "{encoding}");
                    }
                }
                assert!(
                    out == content && decoder.is_whole() && (calls > 0 || at_a_time == 1000),
                    "{encoding} {at_a_time}"
                );
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_whoever_takes_it() {
        let data = gzip(&vec![0; 50 << 20]);
        let mut taken = 0;
        let mut decoder = decoder("gzip", 1000);
        let result = decoder.feed(&data, &mut |piece| {
            taken += piece.len();
            if taken < 1 << 20 { Room::More } else { Room::Stop }
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
                let mut decoder = decoder(encoding, 10);
                decoder.set_cap(1 << 20);
                let (mut taken, mut fed) = (0, 0);
                let result = data.chunks(at_a_time).try_for_each(|chunk| {
                    fed += chunk.len();
                    decoder
                        .feed(chunk, &mut |piece| {
                            taken += piece.len();
                            Room::More
                        })
                        .map(|_| ())
                });
                assert_eq!(result, Err(Broken::Bomb), "{encoding}");
                assert!(taken <= (1 << 20) + PIECE + fed * 10, "{encoding}: {taken} from {fed}");
            }
            let mut any = decoder(encoding, u32::MAX);
            any.set_cap(0);
            assert_eq!((any.feed(data, &mut |_| Room::More), any.is_whole()), (Ok(true), true), "{encoding}");
        }
    }
}
