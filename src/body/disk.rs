//! The disk's own thread: files are opened, read, written, synced and renamed here and nowhere else, so that neither a
//! frame nor another transfer ever waits for a disk.
//!
//! A download is written to `NAME.sortie-part` beside its target, under a lock, and replaces the target in one rename
//! when it is whole. Files below a base directory are reached through that directory's handle, which no name and no link
//! leads out of.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use crossbeam_channel::Receiver;
use encoding_rs::Encoding;

use super::integrity::{Expected, Hasher};
use super::recoding::{Broken, Recoded};
use crate::error::{ErrorKind, Failure};
use crate::slots::RequestId;
use crate::text::Text;

/// What a file is called while it is being written.
const PART_SUFFIX: &str = ".sortie-part";
/// How often a part is looked at again because others renamed it.
const MAX_TRIES: usize = 8;

/// A request, and which of its attempts: a file of an earlier attempt is not mistaken for the present one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) id: RequestId,
    pub(crate) attempt: u32,
}

/// Where a file is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The base directory, which the path cannot leave.
    pub(crate) base: Option<PathBuf>,
    pub(crate) path: PathBuf,
}

impl Location {
    fn full(&self) -> PathBuf {
        match &self.base {
            Some(base) => base.join(&self.path),
            None => std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone()),
        }
    }
}

/// Something for the disk to do. Operations of one key are carried out in order.
pub(crate) enum Op {
    /// Start writing a file, which has to be this.
    Create(Key, Location, Expected),
    /// Write at its end.
    Write(Key, Vec<u8>),
    /// It is whole: sync it if asked to, and give it its name.
    Commit(Key, bool),
    /// Remove what was written.
    Discard(Key),
    /// Open a file to read; if it is text, in this encoding.
    Open(Key, Location, Option<&'static Encoding>),
    /// Read this many bytes from an offset.
    Read(Key, u64, usize),
    /// Close a file that was read.
    Close(Key),
    /// Free a large body, which would take a frame too long.
    Free(Vec<u8>),
    /// Replace a file, readable by its owner alone.
    Save(PathBuf, Vec<u8>),
    /// The client is closing: see to it.
    Closing,
    /// End the thread.
    Quit,
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
    /// What was written is removed, if there was anything.
    Discarded,
    /// The file is open and has this length.
    Opened(u64),
    /// Bytes from this offset. Fewer than asked for: the file ended there.
    Chunk(u64, Vec<u8>),
    /// A write to the file failed; nothing of it is left.
    WriteFailed(Failure),
    /// A read from the file failed; it is closed.
    ReadFailed(Failure),
}

/// Carries out operations until the last sender is gone or says so.
///
/// Once `closing` says so, every unfinished file is removed, and of what still waits only what is to be saved is carried
/// out.
pub(crate) fn run(operations: &Receiver<Op>, closing: &dyn Fn() -> bool, reply: &dyn Fn(Reply)) {
    let mut disk = Disk::default();
    for operation in operations {
        if matches!(operation, Op::Quit) {
            break;
        }
        if closing() {
            disk.discard_all();
            if !matches!(operation, Op::Save(..)) {
                continue;
            }
        }
        let (key, writing) = operation.subject();
        let outcome = catch_unwind(AssertUnwindSafe(|| disk.carry_out(operation))).unwrap_or_else(|_| {
            let failure = Failure::new(ErrorKind::Internal, "a panic was caught in the disk's thread");
            Some(if writing {
                key.and_then(|key| disk.writers.remove(&key)).into_iter().for_each(Writer::discard);
                Outcome::WriteFailed(failure)
            } else {
                Outcome::ReadFailed(failure)
            })
        });
        if let (Some(key), Some(outcome)) = (key, outcome) {
            reply(Reply { key, outcome });
        }
    }
    disk.discard_all();
}

impl Op {
    /// Whose operation it is, and whether it is about a file being written.
    fn subject(&self) -> (Option<Key>, bool) {
        match self {
            Op::Create(key, _, _) | Op::Write(key, _) | Op::Commit(key, _) | Op::Discard(key) => (Some(*key), true),
            Op::Open(key, _, _) | Op::Read(key, _, _) | Op::Close(key) => (Some(*key), false),
            Op::Free(_) | Op::Save(..) | Op::Closing | Op::Quit => (None, false),
        }
    }
}

#[derive(Default)]
struct Disk {
    writers: HashMap<Key, Writer>,
    readers: HashMap<Key, Reader>,
}

impl Disk {
    fn discard_all(&mut self) {
        for (_, writer) in self.writers.drain() {
            writer.discard();
        }
    }

    fn carry_out(&mut self, operation: Op) -> Option<Outcome> {
        match operation {
            Op::Create(key, location, expected) => match Writer::create(&location, expected) {
                Ok(writer) => {
                    self.writers.insert(key, writer);
                    None
                }
                Err(failure) => Some(Outcome::WriteFailed(failure)),
            },
            // A file that could not be created or written has been told of: what else comes for it is dropped.
            Op::Write(key, bytes) => {
                let writer = self.writers.get_mut(&key)?;
                match writer.write(&bytes) {
                    Ok(()) => Some(Outcome::Written(bytes)),
                    Err(error) => {
                        let failure = writer.failure("write", &error);
                        self.writers.remove(&key)?.discard();
                        Some(Outcome::WriteFailed(failure))
                    }
                }
            }
            Op::Commit(key, sync) => Some(match self.writers.remove(&key)?.commit(sync) {
                Ok(path) => Outcome::Committed(path),
                Err(failure) => Outcome::WriteFailed(failure),
            }),
            Op::Discard(key) => {
                if let Some(writer) = self.writers.remove(&key) {
                    writer.discard();
                }
                Some(Outcome::Discarded)
            }
            Op::Open(key, location, encoding) => Some(match Reader::open(&location, encoding) {
                Ok(reader) => {
                    let length = reader.length;
                    self.readers.insert(key, reader);
                    Outcome::Opened(length)
                }
                Err(failure) => Outcome::ReadFailed(failure),
            }),
            Op::Read(key, offset, length) => {
                let reader = self.readers.get_mut(&key)?;
                Some(match reader.read(offset, length) {
                    Ok(bytes) => Outcome::Chunk(offset, bytes),
                    Err(failure) => {
                        self.readers.remove(&key);
                        Outcome::ReadFailed(failure)
                    }
                })
            }
            Op::Close(key) => {
                self.readers.remove(&key);
                None
            }
            Op::Free(bytes) => {
                drop(bytes);
                None
            }
            Op::Save(path, bytes) => {
                // There is nobody to tell; what it holds is saved with the next change.
                let _ = save(&path, &bytes);
                None
            }
            Op::Closing | Op::Quit => None,
        }
    }
}

/// Replaces a file at one stroke, readable by its owner alone.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.to_owned().into_os_string();
    part.push(PART_SUFFIX);
    let part = PathBuf::from(part);
    // What a killed process has left may be readable by others.
    let _ = std::fs::remove_file(&part);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    let saved = file.write_all(bytes).and_then(|()| file.sync_data()).and_then(|()| std::fs::rename(&part, path));
    if saved.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    saved
}

/// What went wrong with a file, in words that name it.
fn failure(verb: &str, path: &Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::File,
    };
    Failure::new(kind, format!("cannot {verb} '{}': {error}", path.display()))
}

/// The directory that holds a file, and the file's name in it.
fn folder(location: &Location, make_missing: bool) -> io::Result<(Dir, PathBuf)> {
    let nameless = || io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name");
    let name = PathBuf::from(location.path.file_name().ok_or_else(nameless)?);
    let parent = location.path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Some(base) = &location.base else {
        return Ok((Dir::open_ambient_dir(parent.unwrap_or(Path::new(".")), ambient_authority())?, name));
    };
    let base = Dir::open_ambient_dir(base, ambient_authority())?;
    let Some(parent) = parent else { return Ok((base, name)) };
    if make_missing {
        base.create_dir_all(parent)?;
    }
    Ok((base.open_dir(parent)?, name))
}

/// A file that is being written.
struct Writer {
    folder: Dir,
    part: PathBuf,
    name: PathBuf,
    full: PathBuf,
    file: File,
    hasher: Option<Hasher>,
}

impl Writer {
    fn create(location: &Location, expected: Expected) -> Result<Writer, Failure> {
        let full = location.full();
        Writer::create_part(location, &full, expected).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let message = format!("cannot write '{}': another request is writing to it", full.display());
                Failure::new(ErrorKind::File, message)
            }
            _ => failure("write", &full, &error),
        })
    }

    fn create_part(location: &Location, full: &Path, expected: Expected) -> io::Result<Writer> {
        let (folder, name) = folder(location, true)?;
        if folder.symlink_metadata(&name).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory has that name"));
        }
        let mut part = name.clone().into_os_string();
        part.push(PART_SUFFIX);
        let part = PathBuf::from(part);
        for _ in 0..MAX_TRIES {
            let (file, made) = open_part(&folder, &part)?;
            match usable(&folder, &part, &file) {
                Ok(true) => {
                    let hasher = expected.hasher();
                    return Ok(Writer { folder, part, name, full: full.to_owned(), file, hasher });
                }
                Ok(false) => {}
                Err(error) => {
                    if made {
                        let _ = folder.remove_file(&part);
                    }
                    return Err(error);
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "others keep taking its part"))
    }

    fn failure(&self, verb: &str, error: &io::Error) -> Failure {
        failure(verb, &self.full, error)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.feed(bytes);
        }
        self.file.write_all(bytes)
    }

    fn commit(self, sync: bool) -> Result<Text, Failure> {
        if let Some(Err(failure)) = self.hasher.as_ref().map(Hasher::check) {
            self.discard();
            return Err(failure);
        }
        let named = (if sync { self.file.sync_data() } else { Ok(()) })
            .and_then(|()| self.folder.rename(&self.part, &self.folder, &self.name));
        match named {
            Ok(()) => Ok(Text::from(self.full.to_string_lossy().into_owned())),
            Err(error) => {
                let failure = self.failure("write", &error);
                self.discard();
                Err(failure)
            }
        }
    }

    fn discard(self) {
        // It can only be gone already, with its folder.
        let _ = self.folder.remove_file(&self.part);
    }
}

/// Opens the file to write to: a new one, or one that a killed process has left. Tells whether it is new.
fn open_part(folder: &Dir, part: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    match folder.open_with(part, &options) {
        Ok(file) => return Ok((file.into_std(), true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.write(true);
    no_waiting(&mut options, true);
    Ok((folder.open_with(part, &options)?.into_std(), false))
}

/// Locks and empties a part. `false`: it is no longer what has its name, and another try is due.
fn usable(folder: &Dir, part: &Path, file: &File) -> io::Result<bool> {
    if !is_plain(&file.metadata()?) {
        let what = "what has its part's name is not a regular file of its own";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        // A file system without locks: nothing can be told of others there.
        Err(TryLockError::Error(_)) => {}
    }
    // Whoever held the lock may have renamed the file to its target meanwhile: that one must not be touched.
    if !still_named(folder, part, file)? {
        return Ok(false);
    }
    file.set_len(0)?;
    Ok(true)
}

/// Whether a file is a regular one with a single name: emptying it empties nothing else.
fn is_plain(metadata: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    let single = std::os::unix::fs::MetadataExt::nlink(metadata) <= 1;
    #[cfg(not(unix))]
    let single = true;
    metadata.is_file() && single
}

/// Opening must not wait, as it would for the other end of a named pipe; nor, where a link has no business, follow one.
fn no_waiting(options: &mut OpenOptions, no_link: bool) {
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | if no_link { libc::O_NOFOLLOW } else { 0 });
    }
    #[cfg(not(unix))]
    let _ = (options, no_link);
}

/// Whether a name still leads to an open file.
#[cfg(unix)]
fn still_named(folder: &Dir, name: &Path, file: &File) -> io::Result<bool> {
    use cap_std::fs::MetadataExt as _;
    use std::os::unix::fs::MetadataExt as _;
    let open = file.metadata()?;
    match folder.symlink_metadata(name) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a name still leads to an open file: elsewhere an open file cannot be renamed by others.
#[cfg(not(unix))]
fn still_named(_: &Dir, _: &Path, _: &File) -> io::Result<bool> {
    Ok(true)
}

/// A file that is being read.
struct Reader {
    file: File,
    full: PathBuf,
    length: u64,
    recoded: Option<Recoded>,
}

impl Reader {
    fn open(location: &Location, encoding: Option<&'static Encoding>) -> Result<Reader, Failure> {
        let full = location.full();
        let (mut file, length) = Reader::open_file(location).map_err(|error| failure("read", &full, &error))?;
        let Some(encoding) = encoding else { return Ok(Reader { file, full, length, recoded: None }) };
        let (recoded, length) = Recoded::open(&mut file, encoding).map_err(|broken| explain(broken, &full))?;
        Ok(Reader { file, full, length, recoded: Some(recoded) })
    }

    fn open_file(location: &Location) -> io::Result<(File, u64)> {
        let file = match &location.base {
            Some(_) => {
                let (folder, name) = folder(location, false)?;
                let mut options = OpenOptions::new();
                options.read(true);
                no_waiting(&mut options, false);
                folder.open_with(name, &options)?.into_std()
            }
            // A path of the operating system may be a link to anywhere.
            None => {
                let mut options = File::options();
                options.read(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
                options.open(&location.path)?
            }
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok((file, metadata.len()))
    }

    fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
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
    use std::sync::Mutex;

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
        let (sender, receiver) = crossbeam_channel::unbounded();
        operations.into_iter().for_each(|operation| sender.send(operation).unwrap());
        drop(sender);
        let replies = Mutex::new(Vec::new());
        run(&receiver, &|| false, &|reply| replies.lock().unwrap().push(reply.outcome));
        replies.into_inner().unwrap()
    }

    #[test]
    fn a_file_takes_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "old").unwrap();
        let (key, target) = (key(), location(&folder, "a"));
        let mut disk = Disk::default();
        assert!(disk.carry_out(Op::Create(key, target, Expected::default())).is_none());
        assert!(matches!(disk.carry_out(Op::Write(key, b"new".to_vec())), Some(Outcome::Written(_))));
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"old");
        assert!(matches!(disk.carry_out(Op::Commit(key, true)), Some(Outcome::Committed(_))));
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"new");
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    fn the_end_of_the_thread_removes_what_is_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let key = key();
        outcomes(vec![
            Op::Create(key, location(&folder, "x/y/z"), Expected::default()),
            Op::Write(key, vec![0; 10]),
            Op::Quit,
        ]);
        assert_eq!(names(&folder), ["x"]);
        assert_eq!(std::fs::read_dir(folder.path().join("x/y")).unwrap().count(), 0);
    }

    #[test]
    fn two_writers_of_one_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Writer::create(&location(&folder, "a"), Expected::default()).unwrap();
        let refused = Writer::create(&location(&folder, "a"), Expected::default()).err().unwrap();
        assert!(refused.message.contains("another request"), "{refused}");
        first.discard();
        Writer::create(&location(&folder, "a"), Expected::default()).unwrap().commit(false).unwrap();
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    #[cfg(unix)]
    fn a_part_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink("other", folder.path().join("a.sortie-part")).unwrap();
        std::fs::hard_link(&other, folder.path().join("b.sortie-part")).unwrap();
        for name in ["a", "b"] {
            assert_eq!(
                Writer::create(&location(&folder, name), Expected::default()).err().unwrap().kind,
                ErrorKind::File,
                "{name}"
            );
        }
        assert_eq!(std::fs::read(&other).unwrap(), b"precious");
        std::fs::write(folder.path().join("c.sortie-part"), "left by a killed process").unwrap();
        Writer::create(&location(&folder, "c"), Expected::default()).unwrap().commit(false).unwrap();
        assert_eq!(std::fs::read(folder.path().join("c")).unwrap(), b"");
    }

    #[test]
    #[cfg(unix)]
    fn links_out_of_the_base_are_refused() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
        assert_eq!(
            Writer::create(&location(&folder, "out/a"), Expected::default()).err().unwrap().kind,
            ErrorKind::File
        );
        assert_eq!(Reader::open(&location(&folder, "out/secret"), None).err().unwrap().kind, ErrorKind::File);
        assert_eq!(Reader::open(&location(&folder, "file"), None).err().unwrap().kind, ErrorKind::File);
        assert_eq!(names(&outside), ["secret"]);
    }

    #[test]
    fn what_is_not_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        assert!(
            Writer::create(&location(&folder, "d"), Expected::default()).err().unwrap().message.contains("directory")
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
