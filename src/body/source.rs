//! Where the bytes of a request's body come from.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::body::disk::{Key, Op};
use crate::body::feed::Feed;
use crate::error::{ErrorKind, Failure};
use crate::request::SharedBytes;

/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;
/// How many reads are under way or waiting to be sent.
const AHEAD: usize = 2;

/// The body of one attempt at a request.
pub(crate) enum Source {
    None,
    Bytes {
        bytes: SharedBytes,
        at: usize,
    },
    File(FileSource),
    /// What the program hands over meanwhile.
    Stream(Rc<RefCell<Feed>>),
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Known(u64),
    Unknown,
}

impl BodyLength {
    /// As events and libcurl have it: -1 if unknown, or too long to say.
    pub(crate) fn estimate(self) -> i64 {
        match self {
            BodyLength::Known(length) => i64::try_from(length).unwrap_or(-1),
            BodyLength::Unknown => -1,
        }
    }
}

/// What a source has to give.
pub(crate) enum Pull {
    /// This many bytes; 0 at the end.
    Bytes(usize),
    /// Nothing yet: the disk is reading, or the program has not handed over more.
    Wait,
}

impl Source {
    /// The body's length, if there is a body.
    pub(crate) fn length(&self) -> Option<BodyLength> {
        match self {
            Source::None => None,
            Source::Bytes { bytes, .. } => Some(BodyLength::Known((**bytes).as_ref().len() as u64)),
            Source::File(file) => Some(BodyLength::Known(file.length)),
            Source::Stream(feed) => Some(feed.borrow().length()),
        }
    }

    /// Whether all of it has been given.
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Source::None => true,
            Source::Bytes { bytes, at } => *at >= (**bytes).as_ref().len(),
            Source::File(file) => file.chunks.is_empty() && file.next_arrival >= file.length,
            Source::Stream(feed) => feed.borrow().is_at_end(),
        }
    }

    /// Whether it cannot be sent again from its start.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self, Source::Stream(feed) if feed.borrow().is_spent())
    }

    /// Whether there is room again for a program that waits to hand over more.
    pub(crate) fn take_news(&mut self) -> bool {
        matches!(self, Source::Stream(feed) if feed.borrow_mut().take_news())
    }

    /// Fills a buffer. Reads of a file are asked for through `disk`.
    pub(crate) fn pull(&mut self, out: &mut [u8], disk: &mut dyn FnMut(Op)) -> Pull {
        match self {
            Source::None => Pull::Bytes(0),
            Source::Bytes { bytes, at } => {
                let rest = (**bytes).as_ref().get(*at..).unwrap_or(&[]);
                let count = copy(out, rest);
                *at += count;
                Pull::Bytes(count)
            }
            Source::File(file) => file.pull(out, disk),
            Source::Stream(feed) => feed.borrow_mut().pull(out),
        }
    }

    /// Goes to an offset, as libcurl asks when it sends a body again on another connection; `false` if it cannot.
    pub(crate) fn seek(&mut self, offset: u64, disk: &mut dyn FnMut(Op)) -> bool {
        match self {
            Source::None => {}
            Source::Bytes { at, .. } => *at = usize::try_from(offset).unwrap_or(usize::MAX),
            Source::File(file) => file.seek(offset, disk),
            Source::Stream(feed) => return feed.borrow().sent() == offset,
        }
        true
    }
}

pub(super) fn copy(out: &mut [u8], from: &[u8]) -> usize {
    let count = out.len().min(from.len());
    if let (Some(to), Some(from)) = (out.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// A file whose chunks the disk's thread reads ahead.
pub(crate) struct FileSource {
    key: Key,
    length: u64,
    /// Chunks that have come, in order.
    chunks: VecDeque<Vec<u8>>,
    /// How much of the first chunk is sent.
    sent: usize,
    /// From where the next chunk to come starts.
    next_arrival: u64,
    /// From where the next chunk to ask for starts.
    next_read: u64,
}

impl FileSource {
    /// A file that the disk has opened. Its length at that time is what is sent.
    pub(crate) fn new(key: Key, length: u64, disk: &mut dyn FnMut(Op)) -> FileSource {
        let mut file = FileSource { key, length, chunks: VecDeque::new(), sent: 0, next_arrival: 0, next_read: 0 };
        file.read_ahead(disk);
        file
    }

    #[allow(clippy::cast_possible_truncation)] // at most CHUNK
    fn read_ahead(&mut self, disk: &mut dyn FnMut(Op)) {
        while self.next_read < self.length {
            let under_way = (self.next_read - self.next_arrival).div_ceil(CHUNK as u64) as usize;
            if under_way + self.chunks.len() >= AHEAD {
                return;
            }
            let count = (self.length - self.next_read).min(CHUNK as u64);
            disk(Op::Read(self.key, self.next_read, count as usize));
            self.next_read += count;
        }
    }

    fn seek(&mut self, offset: u64, disk: &mut dyn FnMut(Op)) {
        self.chunks.clear();
        self.sent = 0;
        self.next_arrival = offset.min(self.length);
        self.next_read = self.next_arrival;
        self.read_ahead(disk);
    }

    fn pull(&mut self, out: &mut [u8], disk: &mut dyn FnMut(Op)) -> Pull {
        let Some(first) = self.chunks.front() else {
            return if self.next_arrival >= self.length { Pull::Bytes(0) } else { Pull::Wait };
        };
        let count = copy(out, first.get(self.sent..).unwrap_or(&[]));
        self.sent += count;
        if self.sent >= first.len() {
            self.chunks.pop_front();
            self.sent = 0;
            self.read_ahead(disk);
        }
        Pull::Bytes(count)
    }

    /// Takes a chunk that the disk has read. One from before a seek is dropped.
    pub(crate) fn arrived(&mut self, offset: u64, bytes: Vec<u8>) -> Result<(), Failure> {
        if offset != self.next_arrival || self.next_read <= offset {
            return Ok(());
        }
        let expected = (self.length - offset).min(CHUNK as u64);
        if (bytes.len() as u64) < expected {
            let now = offset + bytes.len() as u64;
            let message = format!("the file shrank from {} to {now} bytes while it was being sent", self.length);
            return Err(Failure::new(ErrorKind::File, message));
        }
        self.next_arrival += bytes.len() as u64;
        self.chunks.push_back(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;
    use std::sync::Arc;

    /// A disk that holds `content` and answers reads in the order they were asked for.
    struct FakeDisk {
        content: Vec<u8>,
        reads: VecDeque<(u64, usize)>,
    }

    impl FakeDisk {
        fn ask(&mut self, operation: Op) {
            let Op::Read(_, offset, length) = operation else { panic!("only reads") };
            self.reads.push_back((offset, length));
        }

        fn answer(&mut self, source: &mut Source) -> Result<(), Failure> {
            let Some((offset, length)) = self.reads.pop_front() else { return Ok(()) };
            let start = (offset as usize).min(self.content.len());
            let end = (start + length).min(self.content.len());
            let Source::File(file) = source else { panic!("a file") };
            file.arrived(offset, self.content[start..end].to_vec())
        }
    }

    fn file(length: usize) -> (FakeDisk, Source) {
        let content: Vec<u8> = (0..length).map(|i| (i * 7 + i / 251) as u8).collect();
        let mut disk = FakeDisk { content, reads: VecDeque::new() };
        let key = Key { id: Slots::new(1).claim().unwrap(), attempt: 0 };
        let source = Source::File(FileSource::new(key, length as u64, &mut |op| disk.ask(op)));
        (disk, source)
    }

    fn read_all(disk: &mut FakeDisk, source: &mut Source) -> Vec<u8> {
        let mut all = Vec::new();
        let mut out = vec![0; 60_000];
        loop {
            match source.pull(&mut out, &mut |op| disk.ask(op)) {
                Pull::Bytes(0) => return all,
                Pull::Bytes(count) => all.extend_from_slice(&out[..count]),
                Pull::Wait => disk.answer(source).unwrap(),
            }
            assert!(disk.reads.len() <= AHEAD);
        }
    }

    #[test]
    fn a_file_comes_whole_and_in_order() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 17] {
            let (mut disk, mut source) = file(length);
            assert_eq!(source.length(), Some(BodyLength::Known(length as u64)));
            assert_eq!(read_all(&mut disk, &mut source), disk.content);
        }
    }

    #[test]
    fn a_rewind_drops_what_was_under_way() {
        let (mut disk, mut source) = file(5 * CHUNK);
        disk.answer(&mut source).unwrap();
        let mut out = vec![0; 100];
        source.pull(&mut out, &mut |op| disk.ask(op));
        source.seek(0, &mut |op| disk.ask(op));
        assert_eq!(read_all(&mut disk, &mut source), disk.content);
        source.seek(CHUNK as u64 + 5, &mut |op| disk.ask(op));
        assert_eq!(read_all(&mut disk, &mut source), disk.content[CHUNK + 5..]);
    }

    #[test]
    fn a_file_that_shrank_is_told_of() {
        let (mut disk, mut source) = file(CHUNK);
        disk.content.truncate(10);
        let failure = disk.answer(&mut source).unwrap_err();
        assert!(failure.message.contains("shrank from 262144 to 10 bytes"), "{failure}");
    }

    #[test]
    fn bytes_come_in_pieces_and_again_after_a_seek() {
        let mut source = Source::Bytes { bytes: Arc::new(b"hello".to_vec()), at: 0 };
        let mut out = [0; 3];
        let mut pull = |source: &mut Source| match source.pull(&mut out, &mut |_| ()) {
            Pull::Bytes(count) => out[..count].to_vec(),
            Pull::Wait => panic!("bytes never wait"),
        };
        assert_eq!((pull(&mut source), pull(&mut source), pull(&mut source)), (b"hel".into(), b"lo".into(), vec![]));
        source.seek(4, &mut |_| ());
        assert_eq!(pull(&mut source), b"o");
    }
}
