//! A file on its way to being whole: `NAME.sortie-part` beside its target, under a lock, which replaces the target in one
//! rename.
//!
//! One that may be gone on with later has a second file beside it, `NAME.sortie-resume`, that says what it is a part of:
//! see [`Mark`]. Files below a base directory are reached through that directory's handle, which no name and no link leads
//! out of.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::disk::Location;
use super::integrity::{Expected, Hasher};
use super::resume::{Left, Mark, Resumable, Start};
use crate::error::{ErrorKind, Failure};
use crate::files::{self, Links};
use crate::text::Text;

/// What a file is called while it is being written.
pub(crate) const PART_SUFFIX: &str = ".sortie-part";
/// What says how to go on with it.
const MARK_SUFFIX: &str = ".sortie-resume";
/// The most that such a file says.
const MAX_MARK: u64 = 256 << 10;
/// How often a part is looked at again because others renamed it.
const MAX_TRIES: usize = 8;
/// After how many bytes a file that may be gone on with is forced to the disk.
const SYNC_EVERY: u64 = 64 << 20;
/// How much of what was there before is hashed at a time.
const HASH_SLICE: usize = 1 << 20;

/// What went wrong with a file, in words that name it.
pub(super) fn failure(verb: &str, path: &Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::File,
    };
    Failure::new(kind, format!("cannot {verb} '{}': {error}", path.display()))
}

/// The directory that holds a file, and the file's name in it.
pub(super) fn folder(location: &Location, make_missing: bool) -> io::Result<(Dir, PathBuf)> {
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
pub(super) struct Part {
    folder: Dir,
    part: PathBuf,
    name: PathBuf,
    pub(super) full: PathBuf,
    mark_file: PathBuf,
    file: File,
    written: u64,
    hash: Option<Hash>,
    /// How it may be gone on with.
    resume: Option<Resume>,
    /// It was not there before.
    made: bool,
    /// What was there before is no more.
    begun: bool,
    /// It is whole, and takes its name once it is hashed; whether it is forced to the disk before.
    pub(super) whole: Option<bool>,
}

/// A hash, and how much of the file is in it.
struct Hash {
    hasher: Hasher,
    upto: u64,
}

struct Resume {
    wanted: Resumable,
    /// What the file beside it says.
    mark: Option<Mark>,
}

impl Part {
    /// Starts a file, which has to be this.
    pub(super) fn create(location: &Location, expected: Expected) -> Result<Part, Failure> {
        let mut part = Part::open(location, expected, None, false)?;
        part.begin(Start::default())?;
        Ok(part)
    }

    /// The same for a file that nobody but its owner may read.
    pub(super) fn create_private(location: &Location) -> Result<Part, Failure> {
        let mut part = Part::open(location, Expected::default(), None, true)?;
        part.begin(Start::default())?;
        // It may have been left by a killed process.
        #[cfg(unix)]
        {
            let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            part.file.set_permissions(owner_only).map_err(|error| part.failure("write", &error))?;
        }
        Ok(part)
    }

    /// Opens a file that may be gone on with, and looks at what is there of it.
    pub(super) fn prepare(
        location: &Location,
        expected: Expected,
        wanted: Resumable,
    ) -> Result<(Part, Option<Left>), Failure> {
        let mut part = Part::open(location, expected, Some(wanted), false)?;
        let left = part.left();
        Ok((part, left))
    }

    fn open(
        location: &Location,
        expected: Expected,
        wanted: Option<Resumable>,
        private: bool,
    ) -> Result<Part, Failure> {
        let full = location.full();
        Part::open_in(location, &full, expected, wanted, private).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let message = format!("cannot write '{}': another request is writing to it", full.display());
                Failure::new(ErrorKind::File, message)
            }
            _ => failure("write", &full, &error),
        })
    }

    fn open_in(
        location: &Location,
        full: &Path,
        expected: Expected,
        wanted: Option<Resumable>,
        private: bool,
    ) -> io::Result<Part> {
        let (folder, name) = folder(location, true)?;
        if folder.symlink_metadata(&name).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory has that name"));
        }
        let beside = |suffix: &str| {
            let mut beside = name.clone().into_os_string();
            beside.push(suffix);
            PathBuf::from(beside)
        };
        let (part, mark_file) = (beside(PART_SUFFIX), beside(MARK_SUFFIX));
        for _ in 0..MAX_TRIES {
            let (file, made) = open_part(&folder, &part, private)?;
            match usable(&folder, &part, &file) {
                Ok(true) => {
                    return Ok(Part {
                        folder,
                        part,
                        name,
                        full: full.to_owned(),
                        mark_file,
                        file,
                        written: 0,
                        hash: expected.hasher().map(|hasher| Hash { hasher, upto: 0 }),
                        resume: wanted.map(|wanted| Resume { wanted, mark: None }),
                        made,
                        begun: false,
                        whole: None,
                    });
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

    /// What an earlier request has left that this one may go on with.
    fn left(&mut self) -> Option<Left> {
        let resume = self.resume.as_mut()?;
        let mut options = OpenOptions::new();
        options.read(true);
        no_waiting(&mut options, Links::Refuse);
        let file = self.folder.open_with(&self.mark_file, &options).ok()?.into_std();
        let mut bytes = Vec::new();
        file.take(MAX_MARK).read_to_end(&mut bytes).ok()?;
        let mark = Mark::parse(&bytes)?;
        mark.left(&resume.wanted, self.file.metadata().ok()?.len())
    }

    /// The response has come: cuts off what is of no use, to write from where it starts.
    pub(super) fn begin(&mut self, start: Start) -> Result<(), Failure> {
        let Start { offset, validator, length } = start;
        self.begun = true;
        self.written = offset;
        if let Some(resume) = &mut self.resume {
            // What was forced to the disk before is not known here, nor does it matter much.
            resume.mark = validator.map(|validator| Mark::new(&resume.wanted, validator, length, 0));
        }
        let begun = self.file.set_len(offset).and_then(|()| self.file.seek(SeekFrom::Start(offset)));
        begun.and_then(|_| self.write_mark()).map_err(|error| self.failure("write", &error))
    }

    /// Writes what says how to go on, or removes it if there is no going on.
    fn write_mark(&mut self) -> io::Result<()> {
        let Some(mark) = self.resume.as_ref().and_then(|resume| resume.mark.as_ref()) else {
            // Another download's would lie about this one.
            return match self.folder.remove_file(&self.mark_file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        no_waiting(&mut options, Links::Refuse);
        // Its URL may be signed.
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.folder.open_with(&self.mark_file, &options)?.into_std().write_all(&mark.encode())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| self.failure("write", &error))?;
        if let Some(hash) = self.hash.as_mut().filter(|hash| hash.upto == self.written) {
            hash.hasher.feed(bytes);
            hash.upto += bytes.len() as u64;
        }
        self.written += bytes.len() as u64;
        let unsynced = self.resume.as_ref().and_then(|resume| Some(self.written - resume.mark.as_ref()?.synced));
        if unsynced.is_some_and(|unsynced| unsynced >= SYNC_EVERY) {
            self.sync().map_err(|error| self.failure("write", &error))?;
        }
        Ok(())
    }

    /// Forces to the disk what may be gone on with after a power cut.
    fn sync(&mut self) -> io::Result<()> {
        let written = self.written;
        let Some(resume) = self.resume.as_mut().filter(|resume| resume.wanted.sync) else { return Ok(()) };
        let Some(mark) = &mut resume.mark else { return Ok(()) };
        self.file.sync_data()?;
        mark.synced = written;
        self.write_mark()
    }

    /// Whether there is something to hash that was there before.
    pub(super) fn is_behind(&self) -> bool {
        self.hash.as_ref().is_some_and(|hash| hash.upto < self.written)
    }

    /// Hashes a little of it.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        let Some(hash) = &mut self.hash else { return Ok(()) };
        let length = usize::try_from(self.written - hash.upto).unwrap_or(HASH_SLICE).min(HASH_SLICE);
        let mut slice = vec![0; length];
        let mut read = || {
            self.file.seek(SeekFrom::Start(hash.upto))?;
            self.file.read_exact(&mut slice)?;
            self.file.seek(SeekFrom::Start(self.written))
        };
        read().map_err(|error| failure("read", &self.full, &error))?;
        hash.hasher.feed(&slice);
        hash.upto += length as u64;
        Ok(())
    }

    /// Gives the file its name, if it is what it has to be.
    pub(super) fn commit(mut self, sync: bool) -> Result<Text, Failure> {
        if let Some(Err(failure)) = self.hash.as_ref().map(|hash| hash.hasher.check()) {
            self.remove();
            return Err(failure);
        }
        let name = || {
            if sync {
                self.file.sync_data()?;
            }
            if self.resume.is_some() {
                // Before the rename: who is killed between the two fetches the file again, and leaves nothing behind.
                let _ = self.folder.remove_file(&self.mark_file);
            }
            self.folder.rename(&self.part, &self.folder, &self.name)
        };
        match name() {
            Ok(()) => Ok(Text::from(self.full.to_string_lossy().into_owned())),
            Err(error) => {
                let failure = self.failure("write", &error);
                // It may have been removed already.
                let _ = self.write_mark();
                self.discard(false);
                Err(failure)
            }
        }
    }

    /// Lets go of it: one that may be gone on with stays, any other is removed. In haste, nothing is forced to the disk.
    pub(super) fn discard(mut self, in_haste: bool) {
        let marked = self.resume.as_ref().is_some_and(|resume| resume.mark.is_some());
        if marked && !in_haste {
            // Should this fail, less of it counts after a power cut.
            let _ = self.sync();
        }
        if (self.begun && !marked) || (self.made && !self.begun) {
            self.remove();
        }
    }

    /// Removes it, whatever it is.
    pub(super) fn remove(self) {
        // They can only be gone already, with their folder.
        let _ = self.folder.remove_file(&self.part);
        if self.resume.is_some() {
            let _ = self.folder.remove_file(&self.mark_file);
        }
    }
}

/// Opens the file to write to: a new one, or one that a killed process has left. Tells whether it is new.
fn open_part(folder: &Dir, part: &Path, private: bool) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    if private {
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    match folder.open_with(part, &options) {
        Ok(file) => return Ok((file.into_std(), true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    no_waiting(&mut options, Links::Refuse);
    Ok((folder.open_with(part, &options)?.into_std(), false))
}

/// Locks a part. `false`: it is no longer what has its name, and another try is due.
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
    still_named(folder, part, file)
}

/// Whether a file is a regular one with a single name: emptying it empties nothing else.
fn is_plain(metadata: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    let single = std::os::unix::fs::MetadataExt::nlink(metadata) <= 1;
    #[cfg(not(unix))]
    let single = true;
    metadata.is_file() && single
}

/// As [`files::open`] does below a base directory.
pub(super) fn no_waiting(options: &mut OpenOptions, links: Links) {
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::custom_flags(options, files::flags(links));
    #[cfg(not(unix))]
    let _ = (options, links);
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
