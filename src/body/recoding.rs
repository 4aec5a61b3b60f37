//! Text that is sent in another encoding than the UTF-8 that it is in, a little at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use encoding_rs::Encoding;
use parking_lot::Mutex;

use super::charset::Encoder;
use crate::request::SharedBytes;

/// How much of the file is read at a time.
const PIECE: usize = 64 << 10;

/// What can go wrong.
pub(crate) enum Broken {
    File(io::Error),
    /// The text is not what it has to be, in words.
    Text(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::File(error)
    }
}

/// A text in memory on its way into another encoding.
pub(crate) struct Recoding {
    text: SharedBytes,
    at: usize,
    encoder: Encoder,
    encoded: Vec<u8>,
    /// Locked while the text is read, which the host may have lent; true once it is taken back.
    lending: Arc<Mutex<bool>>,
}

impl Recoding {
    pub(crate) fn start(text: SharedBytes, encoding: &'static Encoding, lending: Arc<Mutex<bool>>) -> Recoding {
        Recoding { text, at: 0, encoder: Encoder::new(encoding), encoded: Vec::new(), lending }
    }

    /// Goes on a little; gives the whole once it is done.
    pub(crate) fn go_on(&mut self) -> Result<Option<Vec<u8>>, String> {
        let taken_back = self.lending.lock();
        if *taken_back {
            return Err("the client is gone".to_owned());
        }
        let text = (*self.text).as_ref();
        let end = self.at.saturating_add(PIECE).min(text.len());
        let last = end == text.len();
        self.encoder.feed(text.get(self.at..end).unwrap_or(&[]), last, &mut self.encoded)?;
        self.at = end;
        Ok(last.then(|| std::mem::take(&mut self.encoded)))
    }
}

/// The file's text in its new encoding, from some offset there on.
pub(crate) struct Recoded {
    encoding: &'static Encoding,
    encoder: Encoder,
    /// Encoded and not yet given out, from `offset` on.
    ready: Vec<u8>,
    offset: u64,
    ended: bool,
}

impl Recoded {
    /// Reads a little of the file, which has to be done until it gives the length in the encoding; tells what cannot be
    /// written in it.
    pub(crate) fn measure(&mut self, file: &mut File) -> Result<Option<u64>, Broken> {
        self.read_piece(file)?;
        self.offset += self.ready.len() as u64;
        self.ready.clear();
        if !self.ended {
            return Ok(None);
        }
        let length = self.offset;
        file.seek(SeekFrom::Start(0))?;
        *self = Recoded::start(self.encoding);
        Ok(Some(length))
    }

    pub(crate) fn start(encoding: &'static Encoding) -> Recoded {
        Recoded { encoding, encoder: Encoder::new(encoding), ready: Vec::new(), offset: 0, ended: false }
    }

    /// Bytes from an offset on, fewer only at the end.
    pub(crate) fn read(&mut self, file: &mut File, offset: u64, length: usize) -> Result<Vec<u8>, Broken> {
        if offset < self.offset {
            file.seek(SeekFrom::Start(0))?;
            *self = Recoded::start(self.encoding);
        }
        loop {
            let passed = usize::try_from(offset - self.offset).unwrap_or(usize::MAX).min(self.ready.len());
            self.ready.drain(..passed);
            self.offset += passed as u64;
            if self.ended || (self.offset == offset && self.ready.len() >= length) {
                break;
            }
            self.read_piece(file)?;
        }
        let rest = self.ready.split_off(length.min(self.ready.len()));
        self.offset += self.ready.len() as u64;
        Ok(std::mem::replace(&mut self.ready, rest))
    }

    fn read_piece(&mut self, file: &mut File) -> Result<(), Broken> {
        let mut piece = Vec::with_capacity(PIECE);
        file.take(PIECE as u64).read_to_end(&mut piece)?;
        self.ended = piece.len() < PIECE;
        self.encoder.feed(&piece, self.ended, &mut self.ready).map_err(Broken::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        file
    }

    fn open(file: &mut File, label: &str) -> Result<(Recoded, u64), String> {
        let mut recoded = Recoded::start(super::super::charset::target(label).unwrap());
        loop {
            match recoded.measure(file) {
                Ok(None) => {}
                Ok(Some(length)) => return Ok((recoded, length)),
                Err(Broken::Text(what)) => return Err(what),
                Err(Broken::File(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_long_text_comes_in_chunks_from_any_offset() {
        let text: String = (0..100_000u32).map(|i| if i % 3 == 0 { '\u{e4}' } else { '.' }).collect();
        let expected: Vec<u8> = text.chars().map(|c| if c == '.' { b'.' } else { 0xE4 }).collect();
        let mut file = file(text.as_bytes());
        let (mut recoded, length) = open(&mut file, "iso-8859-1").unwrap();
        assert_eq!(length, expected.len() as u64);
        let mut read = |offset: usize, length: usize| {
            let chunk = recoded.read(&mut file, offset as u64, length).unwrap_or_else(|_| panic!("readable"));
            assert_eq!(chunk, expected[offset..(offset + length).min(expected.len())], "{length} from {offset}");
        };
        for offset in (0..expected.len()).step_by(30_000) {
            read(offset, 30_000);
        }
        for (offset, length) in [(50_000, 7), (0, 100_000), (99_999, 5), (1, 1), (100_000, 10)] {
            read(offset, length);
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        assert!(open(&mut file("x\u{436}".as_bytes()), "iso-8859-1").err().unwrap().contains("U+0436"));
        let mut late = vec![b'a'; PIECE];
        late.push(0xFF);
        assert!(open(&mut file(&late), "utf-16le").err().unwrap().contains("UTF-8"));
        assert_eq!(open(&mut file(b""), "utf-16le").unwrap().1, 0);
    }
}
