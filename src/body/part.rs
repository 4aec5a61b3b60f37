//! A file on its way to being whole: `NAME.sortie-part` beside its target, under a lock, which replaces the target in one
//! rename.
//!
//! One that may be gone on with later has a second file beside it, `NAME.sortie-resume`, that says what it is a part of:
//! see [`Mark`]. Files below a base directory are reached through that directory's handle, which no name and no link leads
//! out of.
//!
//! Others may write to the folder, and have put there what they like. So a part is made anew, for its owner alone, and what
//! is hashed, written and renamed is the open file: before a name is used, it is looked whether it still leads there. Only a
//! request that goes on with a part uses one that it finds, if nobody else can have written to it. What is not ours is left
//! alone; a part whose name is taken by such a thing gets another.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest, Sha256};

use super::disk::Location;
use super::integrity::{Expected, Hasher};
use super::resume::{self, Left, Mark, Resumable, Start};
use crate::error::{ErrorKind, Failure};
use crate::files::{self, Links};
use crate::lock::Locked;
use crate::text::Text;

/// What a file is called while it is being written.
pub(crate) const PART_SUFFIX: &str = ".sortie-part";
/// What says how to go on with it, and what that is called while it is being written.
const MARK_SUFFIX: &str = ".sortie-resume";
const NEW_MARK_SUFFIX: &str = ".sortie-mark";
/// What stands for a long name in these.
const STAND_IN_SUFFIX: &str = ".sortie-name";
/// The longest name that they begin with, in bytes: some file systems take no more than 143 in all.
const MAX_STEM: usize = 100;
/// How often a part is looked at again because others renamed it.
const MAX_TRIES: usize = 8;
/// After how many bytes a file that may be gone on with is forced to the disk.
const SYNC_EVERY: u64 = 64 << 20;
/// How much of what was there before is hashed at a time.
const HASH_SLICE: usize = 1 << 20;
/// Permissions that let others than the owner write.
#[cfg(unix)]
const OTHERS_WRITE: u32 = 0o022;

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

/// What the files beside a target are called.
struct Names {
    part: PathBuf,
    mark: PathBuf,
    new_mark: PathBuf,
}

impl Names {
    /// The same for each request to one target, in whichever process: a part is found again by its name.
    fn beside(target: &Path) -> Names {
        let bytes = target.as_os_str().as_encoded_bytes();
        let stem = if bytes.len() <= MAX_STEM {
            target.as_os_str().to_owned()
        } else {
            // No target can have such a name, so its files are not another's.
            let hash: String = Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            (hash + STAND_IN_SUFFIX).into()
        };
        let with = |suffix: &str| {
            let mut name = stem.clone();
            name.push(suffix);
            PathBuf::from(name)
        };
        Names { part: with(PART_SUFFIX), mark: with(MARK_SUFFIX), new_mark: with(NEW_MARK_SUFFIX) }
    }

    /// A name that nobody can have taken beforehand.
    fn at_random() -> io::Result<PathBuf> {
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(PathBuf::from(format!("{random:016x}{PART_SUFFIX}")))
    }
}

/// A file that is being written.
pub(super) struct Part {
    folder: Dir,
    /// What it is called now.
    part: PathBuf,
    /// What it is to be called.
    name: PathBuf,
    pub(super) full: PathBuf,
    mark: PathBuf,
    new_mark: PathBuf,
    file: Locked,
    written: u64,
    hash: Option<Hash>,
    /// How it may be gone on with.
    resume: Option<Resume>,
    /// Nobody but its owner may read it, also once it has its name.
    private: bool,
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
        Ok(part)
    }

    /// Opens a file that may be gone on with, and looks at what is there of it.
    pub(super) fn prepare(
        location: &Location,
        expected: Expected,
        wanted: Resumable,
    ) -> Result<(Part, Option<Left>), Failure> {
        let part = Part::open(location, expected, Some(wanted), false)?;
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
        check_target(&folder, &name)?;
        let Names { part, mark, new_mark } = Names::beside(&name);
        let Opened { file, part, made, own_name } = open_part(&folder, part, wanted.is_some())?;
        Ok(Part {
            folder,
            part,
            name,
            full: full.to_owned(),
            mark,
            new_mark,
            file,
            written: 0,
            hash: expected.hasher().map(|hasher| Hash { hasher, upto: 0 }),
            // One under a random name would not be found again.
            resume: wanted.filter(|_| own_name).map(|wanted| Resume { wanted, mark: None }),
            private,
            made,
            begun: false,
            whole: None,
        })
    }

    fn failure(&self, verb: &str, error: &io::Error) -> Failure {
        failure(verb, &self.full, error)
    }

    /// What an earlier request has left that this one may go on with.
    fn left(&self) -> Option<Left> {
        let resume = self.resume.as_ref()?;
        match self.beside() {
            Beside::Ours(Some(mark)) => mark.left(&resume.wanted, self.file.metadata().ok()?.len()),
            Beside::Ours(None) | Beside::Nothing | Beside::Foreign => None,
        }
    }

    /// Looks at what has the mark's name.
    fn beside(&self) -> Beside {
        match self.folder.symlink_metadata(&self.mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Beside::Nothing,
            Ok(found) if found.is_file() => {}
            Ok(_) | Err(_) => return Beside::Foreign,
        }
        let mut options = OpenOptions::new();
        options.read(true);
        no_waiting(&mut options, Links::Refuse);
        let Ok(file) = self.folder.open_with(&self.mark, &options) else { return Beside::Foreign };
        let file = file.into_std();
        let (Ok(found), Ok(own)) = (file.metadata(), self.file.metadata()) else { return Beside::Foreign };
        if !is_made_like(&found, &own) {
            return Beside::Foreign;
        }
        let mut bytes = Vec::new();
        if file.take(resume::MAX_MARK + 1).read_to_end(&mut bytes).is_err() || !resume::is_mark(&bytes) {
            return Beside::Foreign;
        }
        Beside::Ours(Mark::parse(&bytes).filter(|_| !is_open_to_others(&found, &own)))
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
        let begun = self.file.set_len(offset).and_then(|()| (&*self.file).seek(SeekFrom::Start(offset)));
        begun.and_then(|_| self.write_mark()).map_err(|error| self.failure("write", &error))
    }

    /// Writes what says how to go on, or removes it if there is no going on.
    fn write_mark(&mut self) -> io::Result<()> {
        let Some(mark) = self.resume.as_ref().and_then(|resume| resume.mark.as_ref()) else {
            // Another download's would lie about this one.
            return self.remove_mark();
        };
        // In one rename, so that it is never half a one.
        let written = match self.beside() {
            Beside::Foreign => None,
            Beside::Nothing | Beside::Ours(_) => self.open_new_mark()?,
        };
        let Some(mut file) = written else {
            // What has its name is somebody else's: then there is no going on.
            self.resume = None;
            return Ok(());
        };
        let placed =
            file.write_all(&mark.encode()).and_then(|()| self.folder.rename(&self.new_mark, &self.folder, &self.mark));
        if placed.is_err() {
            let _ = self.folder.remove_file(&self.new_mark);
        }
        placed
    }

    /// Makes the file that becomes the mark; `None` if something of somebody else's has its name. Nobody else makes one: this
    /// part's lock is held. Its URL may be signed, so only its owner may read it.
    fn open_new_mark(&self) -> io::Result<Option<File>> {
        match make(&self.folder, &self.new_mark, 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(Some),
        }
        // A killed process has left it, or it is not ours.
        let mut options = OpenOptions::new();
        options.read(true);
        no_waiting(&mut options, Links::Refuse);
        let own = self.file.metadata()?;
        let found = self.folder.open_with(&self.new_mark, &options).and_then(|file| file.into_std().metadata());
        if !found.is_ok_and(|found| is_made_like(&found, &own)) {
            return Ok(None);
        }
        self.folder.remove_file(&self.new_mark)?;
        make(&self.folder, &self.new_mark, 0o600).map(Some)
    }

    fn remove_mark(&self) -> io::Result<()> {
        match self.beside() {
            Beside::Nothing | Beside::Foreign => Ok(()),
            Beside::Ours(_) => self.folder.remove_file(&self.mark),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        (&*self.file).write_all(bytes).map_err(|error| self.failure("write", &error))?;
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
            let mut file = &*self.file;
            file.seek(SeekFrom::Start(hash.upto))?;
            file.read_exact(&mut slice)?;
            file.seek(SeekFrom::Start(self.written))
        };
        read().map_err(|error| failure("read", &self.full, &error))?;
        hash.hasher.feed(&slice);
        hash.upto += length as u64;
        Ok(())
    }

    /// Gives the file its name, if it is what it has to be and somebody still waits for it.
    pub(super) fn commit(mut self, sync: bool, abandoned: &AtomicBool) -> Result<Text, Failure> {
        if let Some(Err(failure)) = self.hash.as_ref().map(|hash| hash.hasher.check()) {
            self.remove();
            return Err(failure);
        }
        match self.take_name(sync, abandoned) {
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

    fn take_name(&self, sync: bool, abandoned: &AtomicBool) -> io::Result<()> {
        let target = check_target(&self.folder, &self.name)?;
        if !self.private {
            self.open_up(target.as_ref());
        }
        if sync {
            self.file.sync_all()?;
        }
        // Forcing it to the disk may have taken longer than anybody waits.
        if abandoned.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        if !still_named(&self.folder, &self.part, &self.file)? {
            return Err(io::Error::other("somebody else has renamed or removed what was written"));
        }
        if self.resume.is_some() {
            // Before the rename: who is killed between the two fetches the file again, and leaves nothing behind.
            let _ = self.remove_mark();
        }
        self.folder.rename(&self.part, &self.folder, &self.name)?;
        // Names can change between two calls: where others may write to the folder, this shows what came of it.
        if still_named(&self.folder, &self.name, &self.file)? {
            return Ok(());
        }
        Err(io::Error::other("somebody else has replaced it at the same moment"))
    }

    /// Gives a file that only its owner could read the permissions that it is to have: those of the file that it replaces, or
    /// those of any new file. What a file system does not take of them is left out.
    #[cfg(unix)]
    fn open_up(&self, target: Option<&cap_std::fs::Metadata>) {
        use cap_std::fs::MetadataExt as _;
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt, fchown};
        const ALL: u32 = 0o777;
        let Ok(own) = self.file.metadata() else { return };
        // Another's file may have been put there for its permissions, unless the folder is that one's as well.
        let folder = self.folder.dir_metadata();
        let counts = |found: &cap_std::fs::Metadata| {
            found.uid() == own.uid() || folder.as_ref().is_ok_and(|folder| folder.uid() == found.uid())
        };
        let mode = match target.filter(|found| found.is_file() && counts(found)) {
            Some(found) => {
                let (owner, group) = (found.uid(), found.gid());
                let same = (owner, group) == (own.uid(), own.gid());
                let kept = same
                    || fchown(&*self.file, Some(owner), Some(group)).is_ok()
                    || group == own.gid()
                    || fchown(&*self.file, None, Some(group)).is_ok();
                let mode = found.mode() & ALL;
                // Another group may do what all may.
                if kept { mode } else { mode & (0o707 | ((mode << 3) & 0o070)) }
            }
            None => match sample(&self.folder, 0o666) {
                Ok(new) => new.mode() & ALL,
                Err(_) => return,
            },
        };
        if own.mode() & ALL != mode {
            let _ = self.file.set_permissions(std::fs::Permissions::from_mode(mode));
        }
    }

    /// Elsewhere a file gets its permissions from its folder.
    #[cfg(not(unix))]
    fn open_up(&self, _: Option<&cap_std::fs::Metadata>) {}

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
        let _ = self.unlink();
        if self.resume.is_some() {
            let _ = self.remove_mark();
        }
    }

    /// Removes its name, if it still has it.
    fn unlink(&self) -> io::Result<()> {
        if still_named(&self.folder, &self.part, &self.file)? {
            self.folder.remove_file(&self.part)?;
        }
        Ok(())
    }
}

/// What has a mark's name.
enum Beside {
    Nothing,
    /// A mark, unless it is damaged or somebody else can have written to it.
    Ours(Option<Mark>),
    Foreign,
}

/// Looks at what a file would replace, and refuses it if that is no file.
fn check_target(folder: &Dir, name: &Path) -> io::Result<Option<cap_std::fs::Metadata>> {
    let found = match folder.symlink_metadata(name) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if found.is_file() || found.is_symlink() {
        return Ok(Some(found));
    }
    if found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory has that name"));
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "a device, a pipe or a socket has that name"))
}

/// A part that is open and locked.
struct Opened {
    file: Locked,
    part: PathBuf,
    made: bool,
    /// It has the name by which it is found again.
    own_name: bool,
}

/// Makes a part, or opens the one that is there to go on with it.
fn open_part(folder: &Dir, part: PathBuf, going_on: bool) -> io::Result<Opened> {
    for _ in 0..MAX_TRIES {
        let made = match make(folder, &part, 0o600) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => return Err(error),
        };
        if let Some(file) = made {
            let file = Locked::take(file)?;
            if still_named(folder, &part, &file)? {
                return Ok(Opened { file, part, made: true, own_name: true });
            }
            continue;
        }
        let Some((file, was_open_to_others)) = open_found(folder, &part)? else {
            let part = Names::at_random()?;
            let file = Locked::take(make(folder, &part, 0o600)?)?;
            return Ok(Opened { file, part, made: true, own_name: false });
        };
        let file = Locked::take(file)?;
        // Whoever held the lock may have renamed the file to its target meanwhile: that one must not be touched.
        if !still_named(folder, &part, &file)? {
            continue;
        }
        if going_on && !was_open_to_others {
            close_to_others(&file);
            return Ok(Opened { file, part, made: false, own_name: true });
        }
        // A killed process has left it. The next try makes a new one, which nobody has open.
        folder.remove_file(&part)?;
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "others keep taking its part"))
}

/// Makes a file that was not there.
fn make(folder: &Dir, name: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    Ok(folder.open_with(name, &options)?.into_std())
}

/// Opens what has a part's name, if it is ours: a regular file with a single name, made by us as far as can be told. Tells
/// whether others can have opened it to write to it.
fn open_found(folder: &Dir, part: &Path) -> io::Result<Option<(File, bool)>> {
    let is_file = folder.symlink_metadata(part).is_ok_and(|found| found.is_file());
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    no_waiting(&mut options, Links::Refuse);
    let Some(Ok(file)) = is_file.then(|| folder.open_with(part, &options)) else { return Ok(None) };
    let file = file.into_std();
    let (found, own) = (file.metadata()?, sample(folder, 0o600)?);
    Ok(is_made_like(&found, &own).then(|| (file, is_open_to_others(&found, &own))))
}

/// Lets nobody but its owner open a part.
fn close_to_others(part: &File) {
    #[cfg(unix)]
    {
        // Some file systems have the same permissions for all files.
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let _ = part.set_permissions(owner_only);
    }
    #[cfg(not(unix))]
    let _ = part;
}

/// Whether a file is a regular one with a single name whose owner is that of a file of ours.
fn is_made_like(found: &Metadata, own: &Metadata) -> bool {
    #[cfg(unix)]
    let alike = {
        use std::os::unix::fs::MetadataExt;
        found.nlink() <= 1 && found.uid() == own.uid()
    };
    #[cfg(not(unix))]
    let (alike, _) = (true, own);
    alike && found.is_file()
}

/// Whether more may write to a file than to one of ours that is made for its owner alone. On some file systems all files have
/// the same permissions.
fn is_open_to_others(found: &Metadata, own: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        found.mode() & !own.mode() & OTHERS_WRITE != 0
    }
    #[cfg(not(unix))]
    {
        let _ = (found, own);
        false
    }
}

/// What a new file of ours is like in a folder: its owner, and what the process and the folder make of these permissions.
/// Asking for the process's alone would change them for a moment.
fn sample(folder: &Dir, mode: u32) -> io::Result<Metadata> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use cap_std::fs::OpenOptionsExt;
        use std::os::unix::fs::MetadataExt;
        // Without a name, so that nothing is left of it should the process be killed.
        let mut options = OpenOptions::new();
        options.write(true).mode(mode).custom_flags(libc::O_TMPFILE);
        if let Ok(metadata) = folder.open_with(".", &options).and_then(|file| file.into_std().metadata())
            // Some kernels forget the umask here.
            && (mode & 0o077 == 0 || metadata.mode() & 0o777 != mode)
        {
            return Ok(metadata);
        }
    }
    let name = Names::at_random()?;
    let made = make(folder, &name, mode)?;
    let metadata = made.metadata();
    folder.remove_file(&name)?;
    metadata
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_target_fit_and_are_its_own() {
        let names = |target: &str| {
            let Names { part, mark, new_mark } = Names::beside(Path::new(target));
            [part, mark, new_mark].map(|name| name.into_os_string().into_string().unwrap())
        };
        assert_eq!(names("a.b"), ["a.b.sortie-part", "a.b.sortie-resume", "a.b.sortie-mark"]);
        let (short, long) = ("n".repeat(MAX_STEM), "n".repeat(MAX_STEM + 1));
        assert_eq!(names(&short)[0], short.clone() + PART_SUFFIX);
        let [part, mark, _] = names(&long);
        assert!(mark.len() < 64 && part != names(&(long.clone() + "n"))[0]);
        // The target that would have the same names is one that no request can have.
        let stem = part.strip_suffix(PART_SUFFIX).unwrap();
        assert!(files::is_own(stem.as_ref()) && names(stem)[0] == part);
        assert!(names(&long).iter().all(|name| files::is_own(name.as_ref())));
    }

    #[test]
    #[cfg(unix)]
    fn permissions_that_all_files_have_say_nothing_of_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let with = |mode| {
            let file = File::create(folder.path().join("file")).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
            file.metadata().unwrap()
        };
        for (found, own, open) in [
            (0o600, 0o600, false),
            (0o644, 0o600, false),
            (0o620, 0o600, true),
            (0o602, 0o600, true),
            // As where all files have the same.
            (0o777, 0o777, false),
            (0o660, 0o660, false),
            (0o662, 0o660, true),
        ] {
            assert_eq!(is_open_to_others(&with(found), &with(own)), open, "{found:o} beside {own:o}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_sample_leaves_nothing_and_shows_what_a_file_gets() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        for mode in [0o600, 0o666] {
            let sampled = sample(&dir, mode).unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            let real = make(&dir, Path::new("file"), mode).unwrap().metadata().unwrap();
            std::fs::remove_file(folder.path().join("file")).unwrap();
            assert_eq!((sampled.mode(), sampled.uid()), (real.mode(), real.uid()));
        }
    }
}
