//! What the disk does: files are opened, read, written, synced and renamed here and nowhere else, so that neither a frame nor
//! another transfer ever waits for a disk.
//!
//! [`threads`](super::threads) says who carries it out. Files that are being written are in [`part`](super::part).

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cap_std::fs::OpenOptions;
use encoding_rs::Encoding;

use super::compressing::{Compressed, Compressing};
use super::form::{FormReader, Piece};
#[cfg(feature = "test-hooks")]
use super::hold;
use super::integrity::Expected;
use super::part::{Part, failure, folder as folder_of, no_waiting};
use super::recoding::{Broken, Recoded, Recoding};
use super::resume::{Left, Resumable, Start};
use super::threads::Kind;
use crate::cache::entry::Entry;
use crate::cache::folder::Staged;
use crate::cache::{OnItsWay, Recorded, folder};
use crate::error::{ErrorKind, Failure};
use crate::files::{self, Links};
use crate::slots::RequestId;
use crate::text::Text;

/// A request, and which of its attempts: a file of an earlier attempt is not mistaken for the present one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) id: RequestId,
    pub(crate) attempt: u32,
}

impl Key {
    /// What the client itself saves.
    pub(crate) const CLIENT: Key = Key { id: RequestId::NONE, attempt: 0 };
}

/// Where a file is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The base directory, which the path cannot leave.
    pub(crate) base: Option<PathBuf>,
    pub(crate) path: PathBuf,
}

impl Location {
    /// The base directory, or else the folder of the file.
    fn folder(&self) -> Option<&Path> {
        self.base.as_deref().or_else(|| self.path.parent())
    }

    pub(super) fn full(&self) -> PathBuf {
        match &self.base {
            Some(base) => base.join(&self.path),
            None => self.path.clone(),
        }
    }
}

/// Operations of one strand are carried out in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum StrandId {
    Request(RequestId),
    Cookies,
    Cache,
    /// Bodies that are freed.
    Freeing,
}

/// Something for the disk to do.
pub(crate) enum Op {
    /// Start writing a file, which has to be this.
    Create(Key, Location, Expected),
    /// Look at what is there of a file that may be gone on with.
    Prepare(Key, Location, Expected, Box<Resumable>),
    /// Start writing it from here.
    Begin(Key, Box<Start>),
    /// Write at its end.
    Write(Key, Vec<u8>),
    /// It is whole: sync it if asked to, and give it its name.
    Commit(Key, bool),
    /// Let go of a text that is being encoded, of a body that is being compressed, or of what was written: it stays if it may be gone on with, else it is removed.
    Discard(Key),
    /// Remove what was written in any case.
    Remove(Key),
    /// Open a file to read; if it is text, in this encoding.
    Open(Key, Location, Option<&'static Encoding>),
    /// Write a text in another encoding.
    Encode(Key, Box<Recoding>),
    /// Compress a body in memory.
    Compress(Key, Box<Compressing>),
    /// Open a file as above, to read it compressed by way of a temporary file in this folder.
    OpenCompressed(Key, Location, Option<&'static Encoding>, PathBuf),
    /// Open the files of a form, to be read as one.
    OpenForm(Key, Vec<Piece<Location>>),
    /// Read this many bytes from an offset.
    Read(Key, u64, usize),
    /// Close a file that was read.
    Close(Key),
    /// Read what the cache has stored.
    Recall(Key, Vec<PathBuf>),
    /// Write what the cache stores.
    Keep(PathBuf, Arc<Entry>, OnItsWay),
    /// Write more of a body that the cache is to store, here until it is whole.
    Stage(PathBuf, Recorded),
    /// It is whole: store it at the second path, with the head of this entry.
    KeepStaged(PathBuf, PathBuf, Arc<Entry>),
    /// It is not to be stored: remove it.
    Unstage(PathBuf),
    /// Note that the cache has used this.
    Touch(PathBuf),
    /// Remove what the cache has forgotten.
    Forget(Vec<PathBuf>),
    /// Free a large body, which would take a frame too long.
    Free(Vec<u8>),
    /// Replace a file, readable by its owner alone.
    Save(PathBuf, Vec<u8>),
    /// Let go of all that is open for a strand.
    Abandon,
}

/// What came of an operation.
pub(crate) struct Reply {
    pub(crate) key: Key,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    /// These bytes are written; the buffer comes back.
    Written(Vec<u8>),
    /// The file has its name: this full path.
    Committed(Text),
    /// The file is open, and this is there of it.
    Prepared(Option<Left>),
    /// What was written is let go of, if there was anything.
    Discarded,
    /// The file is open and has this length.
    Opened(u64),
    /// The text in its encoding.
    Encoded(Vec<u8>),
    /// The body in memory, compressed.
    Compressed(Vec<u8>),
    /// Bytes from this offset. Fewer than asked for: the file ended there.
    Chunk(u64, Vec<u8>),
    /// What the cache had stored where, if it is there and whole.
    Recalled(Vec<(PathBuf, Option<Arc<Entry>>)>),
    /// The small file is replaced.
    Saved,
    /// What the cache was to store here is not there.
    NotKept(PathBuf),
    /// A write to the file failed; it is let go of.
    WriteFailed(Failure),
    /// A read from the file failed; it is closed.
    ReadFailed(Failure),
}

impl Op {
    pub(super) fn strand(&self) -> StrandId {
        match self {
            Op::Recall(..) | Op::Keep(..) | Op::Touch(_) | Op::Forget(_) => StrandId::Cache,
            Op::Stage(..) | Op::KeepStaged(..) | Op::Unstage(_) => StrandId::Cache,
            Op::Save(..) => StrandId::Cookies,
            Op::Free(_) => StrandId::Freeing,
            _ => self.subject().0.map_or(StrandId::Freeing, |key| StrandId::Request(key.id)),
        }
    }

    /// What it waits for, in a strand that has work on memory or none.
    pub(super) fn kind(&self, in_memory: bool) -> Kind {
        match self {
            Op::Encode(..) | Op::Compress(..) | Op::Free(_) => Kind::Memory,
            Op::Discard(_) | Op::Close(_) if in_memory => Kind::Memory,
            _ => Kind::Files,
        }
    }

    pub(super) fn begins_in_memory(&self) -> bool {
        matches!(self, Op::Encode(..) | Op::Compress(..))
    }

    /// Whether it is carried out although the client is closing.
    pub(super) fn outlasts_the_client(&self) -> bool {
        matches!(self, Op::Save(..) | Op::Forget(_))
    }

    /// The folder that it is the first to come to, as a number.
    pub(super) fn place(&self) -> Option<u64> {
        let folder = match self {
            Op::Create(_, location, _)
            | Op::Prepare(_, location, ..)
            | Op::Open(_, location, _)
            | Op::OpenCompressed(_, location, ..) => location.folder(),
            Op::OpenForm(_, pieces) => pieces.iter().find_map(Piece::file).and_then(Location::folder),
            Op::Recall(_, paths) => paths.first().and_then(|path| path.parent()),
            Op::Keep(path, ..) | Op::Touch(path) | Op::Save(path, _) => path.parent(),
            Op::Stage(path, _) | Op::KeepStaged(path, ..) | Op::Unstage(path) => path.parent(),
            _ => None,
        }?;
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        Some(hasher.finish())
    }

    /// Whose operation it is, and whether it is about a file being written.
    pub(super) fn subject(&self) -> (Option<Key>, bool) {
        match self {
            Op::Create(key, _, _)
            | Op::Prepare(key, ..)
            | Op::Begin(key, _)
            | Op::Write(key, _)
            | Op::Commit(key, _)
            | Op::Discard(key)
            | Op::Remove(key) => (Some(*key), true),
            Op::Open(key, ..)
            | Op::Encode(key, _)
            | Op::Compress(key, _)
            | Op::OpenCompressed(key, ..)
            | Op::OpenForm(key, _)
            | Op::Read(key, ..)
            | Op::Recall(key, _)
            | Op::Close(key) => (Some(*key), false),
            Op::Keep(..) | Op::KeepStaged(..) => (Some(Key::CLIENT), false),
            Op::Stage(..) | Op::Unstage(_) | Op::Touch(_) | Op::Forget(_) => (None, false),
            Op::Save(..) => (Some(Key::CLIENT), true),
            Op::Free(_) | Op::Abandon => (None, false),
        }
    }
}

/// What is open or under way for a strand.
#[derive(Default)]
pub(super) struct Work {
    writers: HashMap<Key, Part>,
    readers: HashMap<Key, Reader>,
    forms: HashMap<Key, FormReader>,
    texts: HashMap<Key, Recoding>,
    compressing: HashMap<Key, Compressing>,
    /// Bodies that the cache is to store, by where they are; those that could not be written are `None`.
    staged: HashMap<PathBuf, Option<Staged>>,
    /// Whose work takes long, the next to be gone on with first: what is small does not wait for what is large.
    busy: VecDeque<Key>,
    /// There is no time to wait for the disk.
    pub(super) in_haste: bool,
    /// Set once nobody waits for it any more.
    pub(super) abandoned: Arc<AtomicBool>,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        let files = self.writers.is_empty() && self.readers.is_empty() && self.forms.is_empty();
        files && self.staged.is_empty() && self.texts.is_empty() && self.compressing.is_empty()
    }

    pub(super) fn is_writing(&self, key: Key) -> bool {
        self.writers.contains_key(&key)
    }

    /// Whether it reads a body that may be lent.
    pub(super) fn is_in_memory(&self) -> bool {
        !self.texts.is_empty() || self.compressing.values().any(Compressing::is_in_memory)
    }

    /// What goes on a little at a time waits for, if anything does.
    pub(super) fn long_kind(&self) -> Option<Kind> {
        self.busy.iter().find(|key| self.is_busy(**key))?;
        Some(if self.is_in_memory() { Kind::Memory } else { Kind::Files })
    }

    fn let_go(&mut self) {
        for (_, part) in self.writers.drain() {
            part.discard(self.in_haste);
        }
        self.staged.drain().filter_map(|(_, staged)| staged).for_each(Staged::remove);
        self.readers.clear();
        self.forms.clear();
        self.texts.clear();
        self.compressing.clear();
        self.busy.clear();
    }

    pub(super) fn after_panic(&mut self, key: Key, writing: bool) -> Outcome {
        let failure = Failure::new(ErrorKind::Internal, "a panic was caught in the disk's thread");
        if !writing {
            self.readers.remove(&key);
            self.forms.remove(&key);
            self.texts.remove(&key);
            self.compressing.remove(&key);
            return Outcome::ReadFailed(failure);
        }
        self.writers.remove(&key).into_iter().for_each(Part::remove);
        Outcome::WriteFailed(failure)
    }

    /// Who is next to be gone on with. What takes long is done a little at a time between other operations: hashing what was
    /// there before, measuring or writing text in another encoding, compressing.
    pub(super) fn long_work(&mut self) -> Option<Key> {
        while let Some(key) = self.busy.front().copied() {
            if self.is_busy(key) {
                return Some(key);
            }
            self.busy.pop_front();
        }
        None
    }

    fn is_busy(&self, key: Key) -> bool {
        self.writers.get(&key).is_some_and(Part::is_behind)
            || self.readers.get(&key).is_some_and(Reader::is_measuring)
            || self.texts.contains_key(&key)
            || self.compressing.contains_key(&key)
    }

    /// Does a little of it; then it is another's turn.
    pub(super) fn go_on(&mut self, key: Key) -> Option<Outcome> {
        #[cfg(feature = "test-hooks")]
        self.wait_while_open_is_held(key);
        self.busy.pop_front();
        self.busy.push_back(key);
        if let Some(compressing) = self.compressing.get_mut(&key) {
            let outcome = match compressing.go_on() {
                Ok(None) => return None,
                Ok(Some(Compressed::Bytes(bytes))) => Outcome::Compressed(bytes),
                Ok(Some(Compressed::File(reader))) => {
                    let length = reader.length.unwrap_or_default();
                    self.readers.insert(key, reader);
                    Outcome::Opened(length)
                }
                Err(failure) => Outcome::ReadFailed(failure),
            };
            self.compressing.remove(&key);
            return Some(outcome);
        }
        if let Some(text) = self.texts.get_mut(&key) {
            let encoded = match text.go_on() {
                Ok(None) => return None,
                Ok(Some(encoded)) => Outcome::Encoded(encoded),
                Err(what) => Outcome::ReadFailed(Failure::new(ErrorKind::Encode, what)),
            };
            self.texts.remove(&key);
            return Some(encoded);
        }
        if let Some(reader) = self.readers.get_mut(&key) {
            return match reader.measure() {
                Ok(length) => length.map(Outcome::Opened),
                Err(failure) => {
                    self.readers.remove(&key);
                    Some(Outcome::ReadFailed(failure))
                }
            };
        }
        let part = self.writers.get_mut(&key)?;
        match part.catch_up() {
            Ok(()) => {
                let sync = part.whole.filter(|_| !part.is_behind())?;
                self.commit(key, sync)
            }
            Err(failure) => Some(self.give_up(key, failure)),
        }
    }

    fn commit(&mut self, key: Key, sync: bool) -> Option<Outcome> {
        let part = self.writers.get_mut(&key)?;
        if part.is_behind() {
            part.whole = Some(sync);
            return None;
        }
        Some(match self.writers.remove(&key)?.commit(sync, &self.abandoned) {
            Ok(path) => Outcome::Committed(path),
            Err(failure) => Outcome::WriteFailed(failure),
        })
    }

    fn give_up(&mut self, key: Key, failure: Failure) -> Outcome {
        if let Some(part) = self.writers.remove(&key) {
            part.discard(false);
        }
        Outcome::WriteFailed(failure)
    }

    /// For tests: a disk that hangs.
    #[cfg(feature = "test-hooks")]
    fn wait_while_held(&self, operation: &Op) {
        match operation {
            Op::Create(_, location, _)
            | Op::Prepare(_, location, ..)
            | Op::Open(_, location, _)
            | Op::OpenCompressed(_, location, ..) => hold::pass(&location.full()),
            Op::Keep(path, ..) | Op::Touch(path) | Op::Save(path, _) => hold::pass(path),
            Op::Stage(path, _) | Op::KeepStaged(path, ..) | Op::Unstage(path) => hold::pass(path),
            Op::Recall(_, paths) | Op::Forget(paths) => paths.iter().for_each(|path| hold::pass(path)),
            Op::OpenForm(_, pieces) => {
                pieces.iter().filter_map(Piece::file).for_each(|location| hold::pass(&location.full()));
            }
            _ => operation.subject().0.into_iter().for_each(|key| self.wait_while_open_is_held(key)),
        }
    }

    #[cfg(feature = "test-hooks")]
    fn wait_while_open_is_held(&self, key: Key) {
        let written = self.writers.get(&key).map(|part| part.full.as_path());
        let open = written.or_else(|| self.readers.get(&key).map(|reader| reader.full.as_path()));
        open.into_iter().for_each(hold::pass);
    }

    pub(super) fn carry_out(&mut self, operation: Op) -> Option<Outcome> {
        #[cfg(feature = "test-hooks")]
        self.wait_while_held(&operation);
        match operation {
            Op::Create(key, location, expected) => match Part::create(&location, expected) {
                Ok(part) => {
                    self.writers.insert(key, part);
                    None
                }
                Err(failure) => Some(Outcome::WriteFailed(failure)),
            },
            Op::Prepare(key, location, expected, wanted) => Some(match Part::prepare(&location, expected, *wanted) {
                Ok((part, left)) => {
                    self.writers.insert(key, part);
                    Outcome::Prepared(left)
                }
                Err(failure) => Outcome::WriteFailed(failure),
            }),
            // A file that could not be created or written has been told of: what else comes for it is dropped.
            Op::Begin(key, start) => match self.writers.get_mut(&key)?.begin(*start) {
                Ok(()) => {
                    self.busy.push_back(key);
                    None
                }
                Err(failure) => Some(self.give_up(key, failure)),
            },
            Op::Write(key, bytes) => Some(match self.writers.get_mut(&key)?.write(&bytes) {
                Ok(()) => Outcome::Written(bytes),
                Err(failure) => self.give_up(key, failure),
            }),
            Op::Commit(key, sync) => self.commit(key, sync),
            Op::Discard(key) => {
                if let Some(part) = self.writers.remove(&key) {
                    part.discard(false);
                }
                self.texts.remove(&key);
                self.compressing.remove(&key);
                Some(Outcome::Discarded)
            }
            Op::Remove(key) => {
                self.writers.remove(&key).into_iter().for_each(Part::remove);
                Some(Outcome::Discarded)
            }
            Op::Open(key, location, encoding) => match Reader::open(&location, encoding) {
                Ok(reader) => {
                    let length = reader.length;
                    self.readers.insert(key, reader);
                    self.busy.push_back(key);
                    length.map(Outcome::Opened)
                }
                Err(failure) => Some(Outcome::ReadFailed(failure)),
            },
            Op::Encode(key, text) => {
                self.texts.insert(key, *text);
                self.busy.push_back(key);
                None
            }
            Op::Compress(key, compressing) => {
                self.compressing.insert(key, *compressing);
                self.busy.push_back(key);
                None
            }
            Op::OpenCompressed(key, location, encoding, folder) => {
                let plain = Reader::open(&location, encoding);
                match plain.and_then(|plain| Compressing::file(plain, folder)) {
                    Ok(compressing) => {
                        self.compressing.insert(key, compressing);
                        self.busy.push_back(key);
                        None
                    }
                    Err(failure) => Some(Outcome::ReadFailed(failure)),
                }
            }
            Op::OpenForm(key, pieces) => Some(match FormReader::open(pieces) {
                Ok((form, length)) => {
                    self.forms.insert(key, form);
                    Outcome::Opened(length)
                }
                Err(failure) => Outcome::ReadFailed(failure),
            }),
            Op::Read(key, offset, length) => {
                let read = match self.forms.get_mut(&key) {
                    Some(form) => form.read(offset, length),
                    None => self.readers.get_mut(&key)?.read(offset, length),
                };
                Some(match read {
                    Ok(bytes) => Outcome::Chunk(offset, bytes),
                    Err(failure) => {
                        self.readers.remove(&key);
                        self.forms.remove(&key);
                        Outcome::ReadFailed(failure)
                    }
                })
            }
            Op::Close(key) => {
                self.readers.remove(&key);
                self.forms.remove(&key);
                self.compressing.remove(&key);
                None
            }
            Op::Recall(_, paths) => {
                let read = |path: PathBuf| {
                    let entry = folder::recall(&path);
                    (path, entry)
                };
                Some(Outcome::Recalled(paths.into_iter().map(read).collect()))
            }
            Op::Keep(path, entry, _on_its_way) => {
                let kept = folder::keep(&path, &entry);
                (!kept).then_some(Outcome::NotKept(path))
            }
            Op::Stage(path, bytes) => {
                let staged = match self.staged.remove(&path) {
                    Some(staged) => staged,
                    None => Staged::create(&path).ok(),
                };
                let staged = staged.and_then(|staged| staged.write(bytes.bytes()));
                self.staged.insert(path, staged);
                None
            }
            Op::KeepStaged(from, path, entry) => {
                let kept = match self.staged.remove(&from).flatten() {
                    Some(staged) => staged.keep(&path, &entry),
                    None => {
                        folder::forget(std::slice::from_ref(&path));
                        false
                    }
                };
                (!kept).then_some(Outcome::NotKept(path))
            }
            Op::Unstage(path) => {
                self.staged.remove(&path).flatten().into_iter().for_each(Staged::remove);
                None
            }
            Op::Touch(path) => {
                folder::touch(&path);
                None
            }
            Op::Forget(paths) => {
                folder::forget(&paths);
                None
            }
            Op::Free(bytes) => {
                drop(bytes);
                None
            }
            Op::Save(path, bytes) => {
                let saved = save(path, &bytes, !self.in_haste);
                Some(saved.map_or_else(Outcome::WriteFailed, |_| Outcome::Saved))
            }
            Op::Abandon => {
                self.let_go();
                None
            }
        }
    }
}

/// How often, and how long apart, a small file is tried to be saved that another client is saving.
const SAVE_TRIES: u32 = 10;
const SAVE_PAUSE: Duration = Duration::from_millis(5);

/// Replaces a small file in one rename, readable by its owner alone.
fn save(path: PathBuf, bytes: &[u8], sync: bool) -> Result<Text, Failure> {
    let mut tries = 1;
    loop {
        match replace(path.clone(), bytes, sync) {
            Err(_) if tries < SAVE_TRIES => {
                tries += 1;
                std::thread::sleep(SAVE_PAUSE);
            }
            ended => return ended,
        }
    }
}

/// The same for one that no other client has: it is not tried again.
pub(crate) fn replace(path: PathBuf, bytes: &[u8], sync: bool) -> Result<Text, Failure> {
    let mut part = Part::create_private(&Location { base: None, path })?;
    match part.write(bytes) {
        Ok(()) => part.commit(sync, &AtomicBool::new(false)),
        Err(failure) => {
            part.remove();
            Err(failure)
        }
    }
}

/// A file that is being read.
pub(crate) struct Reader {
    file: File,
    pub(super) full: PathBuf,
    /// Once it is known.
    pub(super) length: Option<u64>,
    recoded: Option<Recoded>,
}

impl Reader {
    /// What is in an open file, sent in place of another.
    pub(super) fn of(file: File, full: PathBuf, length: u64) -> Reader {
        Reader { file, full, length: Some(length), recoded: None }
    }

    pub(super) fn open(location: &Location, encoding: Option<&'static Encoding>) -> Result<Reader, Failure> {
        let full = location.full();
        let (file, length) = Reader::open_file(location).map_err(|error| failure("read", &full, &error))?;
        let recoded = encoding.map(Recoded::start);
        Ok(Reader { file, full, length: Some(length).filter(|_| recoded.is_none()), recoded })
    }

    fn is_measuring(&self) -> bool {
        self.length.is_none()
    }

    /// Measures a little more; gives the length once it is known.
    fn measure(&mut self) -> Result<Option<u64>, Failure> {
        let Some(recoded) = &mut self.recoded else { return Ok(self.length) };
        self.length = recoded.measure(&mut self.file).map_err(|broken| explain(broken, &self.full))?;
        Ok(self.length)
    }

    fn open_file(location: &Location) -> io::Result<(File, u64)> {
        let file = match &location.base {
            Some(_) => {
                let (folder, name) = folder_of(location, false)?;
                // Before it is opened, since opening alone makes some devices act.
                if !folder.metadata(&name)?.is_file() {
                    return Err(files::not_regular());
                }
                let mut options = OpenOptions::new();
                options.read(true);
                no_waiting(&mut options, Links::Follow);
                folder.open_with(name, &options)?.into_std()
            }
            // A path of the operating system may be a link to anywhere.
            None => files::open_to_read(&location.path, Links::Follow)?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(files::not_regular());
        }
        Ok((file, metadata.len()))
    }

    pub(super) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
        if let Some(recoded) = &mut self.recoded {
            return recoded.read(&mut self.file, offset, length).map_err(|broken| explain(broken, &self.full));
        }
        let mut bytes = Vec::with_capacity(length);
        let read = self
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| (&mut self.file).take(length as u64).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(failure("read", &self.full, &error)),
        }
    }
}

/// What went wrong with a text file on its way into another encoding.
fn explain(broken: Broken, path: &Path) -> Failure {
    match broken {
        Broken::File(error) => failure("read", path, &error),
        Broken::Text(what) => Failure::new(ErrorKind::Encode, format!("cannot send '{}': {what}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    fn key() -> Key {
        Key { id: Slots::new(1).claim().unwrap(), attempt: 0 }
    }

    fn location(folder: &tempfile::TempDir, name: &str) -> Location {
        Location { base: Some(folder.path().to_owned()), path: name.into() }
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn outcomes(operations: Vec<Op>) -> Vec<Outcome> {
        let mut work = Work::default();
        operations.into_iter().filter_map(|operation| work.carry_out(operation)).collect()
    }

    #[test]
    fn a_file_takes_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "old").unwrap();
        let (key, target) = (key(), location(&folder, "a"));
        let mut disk = Work::default();
        assert!(disk.carry_out(Op::Create(key, target, Expected::default())).is_none());
        assert!(matches!(disk.carry_out(Op::Write(key, b"new".to_vec())), Some(Outcome::Written(_))));
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"old");
        assert!(matches!(disk.carry_out(Op::Commit(key, true)), Some(Outcome::Committed(_))));
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"new");
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    fn what_is_let_go_of_unfinished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let key = key();
        outcomes(vec![
            Op::Create(key, location(&folder, "x/y/z"), Expected::default()),
            Op::Write(key, vec![0; 10]),
            Op::Abandon,
        ]);
        assert_eq!(names(&folder), ["x"]);
        assert_eq!(std::fs::read_dir(folder.path().join("x/y")).unwrap().count(), 0);
    }

    #[test]
    fn what_nobody_waits_for_gets_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let key = key();
        let mut work = Work::default();
        work.carry_out(Op::Create(key, location(&folder, "a"), Expected::default()));
        work.carry_out(Op::Write(key, vec![0; 10]));
        work.abandoned.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(work.carry_out(Op::Commit(key, true)), Some(Outcome::WriteFailed(_))));
        assert!(names(&folder).is_empty() && work.is_empty());
    }

    #[test]
    fn what_is_small_does_not_wait_for_what_is_large() {
        let folder = tempfile::tempdir().unwrap();
        let (large, small) = (key(), Key { attempt: 1, ..key() });
        let lending = Arc::new(parking_lot::Mutex::new(false));
        let plain = |bytes: usize| Box::new(Compressing::bytes(Arc::new(vec![0; bytes]), Arc::clone(&lending)));
        let resumable = Resumable { url: "http://x/".into(), afresh: false, hashed: true, sync: false };
        let expected = Expected { sha256: Some([0; 32]), length: None };
        let mut disk = Work::default();
        disk.carry_out(Op::Prepare(large, location(&folder, "a"), expected, Box::new(resumable)));
        // What is there before has to be read and hashed: a sparse file.
        disk.carry_out(Op::Begin(large, Box::new(Start { offset: 16 << 20, ..Start::default() })));
        disk.carry_out(Op::Commit(large, false));
        disk.carry_out(Op::Compress(small, plain(1 << 20)));
        let mut ended = Vec::new();
        while let Some(key) = disk.long_work() {
            ended.extend(disk.go_on(key).map(|outcome| (key, matches!(outcome, Outcome::Compressed(_)))));
        }
        assert_eq!(ended, [(small, true), (large, false)]);
        assert!(disk.busy.is_empty() && names(&folder).is_empty());
    }

    #[test]
    fn two_writers_of_one_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Part::create(&location(&folder, "a"), Expected::default()).unwrap();
        let refused = Part::create(&location(&folder, "a"), Expected::default()).err().unwrap();
        assert!(refused.message.contains("another request"), "{refused}");
        first.discard(false);
        Part::create(&location(&folder, "a"), Expected::default())
            .unwrap()
            .commit(false, &AtomicBool::new(false))
            .unwrap();
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    #[cfg(unix)]
    fn what_has_a_part_s_name_and_is_none_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink("other", folder.path().join("a.sortie-part")).unwrap();
        std::fs::hard_link(&other, folder.path().join("b.sortie-part")).unwrap();
        std::fs::create_dir(folder.path().join("c.sortie-part")).unwrap();
        std::os::unix::net::UnixListener::bind(folder.path().join("d.sortie-part")).unwrap();
        let before = names(&folder);
        for name in ["a", "b", "c", "d"] {
            let mut part = Part::create(&location(&folder, name), Expected::default()).unwrap();
            part.write(b"whole").unwrap();
            part.commit(false, &AtomicBool::new(false)).unwrap();
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), b"whole");
            std::fs::remove_file(folder.path().join(name)).unwrap();
            Part::create(&location(&folder, name), Expected::default()).unwrap().discard(false);
        }
        assert_eq!((names(&folder), std::fs::read(&other).unwrap()), (before, b"precious".to_vec()));
        std::fs::write(folder.path().join("e.sortie-part"), "left by a killed process").unwrap();
        Part::create(&location(&folder, "e"), Expected::default())
            .unwrap()
            .commit(false, &AtomicBool::new(false))
            .unwrap();
        assert_eq!(std::fs::read(folder.path().join("e")).unwrap(), b"");
        assert!(!folder.path().join("e.sortie-part").exists());
    }

    #[test]
    #[cfg(unix)]
    fn what_was_put_in_a_part_s_place_is_neither_named_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "old").unwrap();
        let swapped = || {
            let mut part = Part::create(&location(&folder, "a"), Expected::default()).unwrap();
            part.write(b"new").unwrap();
            std::fs::write(at("other"), "not ours").unwrap();
            std::fs::rename(at("other"), at("a.sortie-part")).unwrap();
            part
        };
        let failure = swapped().commit(false, &AtomicBool::new(false)).unwrap_err();
        assert!(failure.kind == ErrorKind::File && failure.message.contains("somebody else"), "{failure}");
        std::fs::remove_file(at("a.sortie-part")).unwrap();
        swapped().discard(false);
        assert_eq!(std::fs::read(at("a.sortie-part")).unwrap(), b"not ours");
        assert_eq!(std::fs::read(at("a")).unwrap(), b"old");
    }

    #[test]
    #[cfg(unix)]
    fn links_out_of_the_base_are_refused() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
        assert_eq!(Part::create(&location(&folder, "out/a"), Expected::default()).err().unwrap().kind, ErrorKind::File);
        assert_eq!(Reader::open(&location(&folder, "out/secret"), None).err().unwrap().kind, ErrorKind::File);
        assert_eq!(Reader::open(&location(&folder, "file"), None).err().unwrap().kind, ErrorKind::File);
        assert_eq!(names(&outside), ["secret"]);
    }

    #[test]
    fn what_is_not_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        assert!(
            Part::create(&location(&folder, "d"), Expected::default()).err().unwrap().message.contains("directory")
        );
        assert!(Reader::open(&location(&folder, "d"), None).err().unwrap().message.contains("not a regular file"));
        assert!(Reader::open(&location(&folder, "none"), None).is_err());
        assert_eq!(names(&folder), ["d"]);
    }

    #[test]
    fn a_file_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "abcdef").unwrap();
        let key = key();
        let replies = outcomes(vec![
            Op::Open(key, location(&folder, "a"), None),
            Op::Read(key, 4, 4),
            Op::Read(key, 0, 3),
            Op::Close(key),
            Op::Read(key, 0, 1),
        ]);
        let [Outcome::Opened(6), Outcome::Chunk(4, end), Outcome::Chunk(0, start)] = &replies[..] else {
            panic!("{} replies", replies.len());
        };
        assert_eq!((&end[..], &start[..]), (&b"ef"[..], &b"abc"[..]));
    }
}
