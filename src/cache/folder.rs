//! The folder that stored responses lie in, a file each. Only the disk's thread comes here, but for the opening.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use flate2::Crc;

use super::MAX_ENTRY;
use super::entry::{self, Entry, MARK};
use crate::body::disk::replace;
use crate::body::part::PART_SUFFIX;
use crate::error::{Reason, Refusal};
use crate::files::{self, Links};
use crate::lock::Locked;

/// What the names of our files end with, after 16 hexadecimal digits.
const SUFFIX: &str = ".sortie-cache";
/// What the names of bodies end with that are written while they come, after 16 hexadecimal digits.
const STAGED_SUFFIX: &str = ".sortie-staged";
/// What is locked while a client has the folder.
const LOCK: &str = "lock.sortie-cache";

/// What was found in a folder.
pub(crate) struct Found {
    /// Held as long as the folder is used.
    pub(crate) lock: Locked,
    /// Keys and sizes, the one used longest ago first.
    pub(crate) files: Vec<(u64, u64)>,
}

/// Where an entry lies.
pub(super) fn path(folder: &Path, key: u64) -> PathBuf {
    folder.join(format!("{key:016x}{SUFFIX}"))
}

/// Where a body is written while it comes.
pub(super) fn staged_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}{STAGED_SUFFIX}"))
}

/// The key that a name of ours tells.
fn key_of(name: &str) -> Option<u64> {
    number_of(name, SUFFIX)
}

fn number_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix).filter(|digits| digits.len() == 16)?;
    let lower = digits.bytes().all(|digit| digit.is_ascii_digit() || matches!(digit, b'a'..=b'f'));
    u64::from_str_radix(digits, 16).ok().filter(|_| lower)
}

/// The key of what lies at a path.
pub(super) fn key_at(path: &Path) -> Option<u64> {
    key_of(path.file_name()?.to_str()?)
}

/// Makes a folder ours and looks at what lies in it. What a killed process has left half written is removed; what is not
/// ours is left alone.
pub(crate) fn open(folder: &Path) -> Result<Found, Refusal> {
    let refuse = |why: &str| Refusal::new(Reason::Path, format!("cache_directory '{}' {why}", folder.display()));
    let cannot =
        |error: io::Error| Refusal::of_file(&format!("cache_directory '{}' cannot be used", folder.display()), &error);
    fs::create_dir_all(folder).map_err(cannot)?;
    let lock = files::open(&folder.join(LOCK), File::options().create(true).append(true), Links::Refuse);
    let lock = lock.map_err(|error| {
        Refusal::of_file(&format!("cache_directory '{}' cannot be used: '{LOCK}' in it", folder.display()), &error)
    })?;
    let lock = Locked::take(lock).map_err(|_| refuse("is used by another client"))?;
    let mut files = Vec::new();
    for file in fs::read_dir(folder).map_err(cannot)?.flatten() {
        let name = file.file_name();
        let Some(name) = name.to_str() else { continue };
        let half_written = name.strip_suffix(PART_SUFFIX).and_then(key_of);
        if half_written.or_else(|| number_of(name, STAGED_SUFFIX)).is_some() {
            let _ = fs::remove_file(file.path());
        } else if let (Some(key), Ok(metadata)) = (key_of(name), file.metadata())
            && has_mark(&file.path())
        {
            files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), key, metadata.len()));
        }
    }
    files.sort_unstable();
    Ok(Found { lock, files: files.into_iter().map(|(_, key, size)| (key, size)).collect() })
}

fn has_mark(path: &Path) -> bool {
    let mut mark = [0; MARK.len()];
    let file = files::open_to_read(path, Links::Refuse);
    file.is_ok_and(|mut file| file.read_exact(&mut mark).is_ok() && mark == *MARK)
}

/// Writes an entry. One whose place something else has taken is not kept; nor is one for which there is no room. Tells whether
/// it is there.
pub(crate) fn keep(path: &Path, entry: &Entry) -> bool {
    if is_foreign(path) {
        return false;
    }
    // Not synced: what a power cut leaves of it the checksum tells.
    let kept = replace(path.to_owned(), &entry.encode(), false).is_ok();
    if !kept {
        // What it was to replace no longer holds.
        let _ = fs::remove_file(path);
    }
    kept
}

/// A body that is written while it comes, and becomes an entry once it is whole.
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    sum: Crc,
}

impl Staged {
    pub(crate) fn create(path: &Path) -> io::Result<Staged> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = files::open(path, &mut options, Links::Refuse)?;
        let mut staged = Staged { file, path: path.to_owned(), sum: Crc::new() };
        match staged.file.write_all(&[0; entry::PREFIX]) {
            Ok(()) => Ok(staged),
            Err(error) => {
                staged.remove();
                Err(error)
            }
        }
    }

    /// Writes more of the body. If that fails, the file is removed.
    pub(crate) fn write(mut self, bytes: &[u8]) -> Option<Staged> {
        if self.file.write_all(bytes).is_err() {
            self.remove();
            return None;
        }
        self.sum.update(bytes);
        Some(self)
    }

    /// Makes it the entry at a path, with the head of this one. Tells whether it is there.
    pub(crate) fn keep(mut self, path: &Path, entry: &Entry) -> bool {
        if is_foreign(path) {
            self.remove();
            return false;
        }
        let lines = entry.lines();
        self.sum.update(&lines);
        let prefix = entry::prefix(&lines, &self.sum);
        let file = &mut self.file;
        let written = file.write_all(&lines).and_then(|()| file.seek(SeekFrom::Start(0)));
        let written = written.and_then(|_| file.write_all(&prefix));
        let Staged { file, path: staged, .. } = self;
        // Not every system renames what is open.
        drop(file);
        let kept = written.and_then(|()| fs::rename(&staged, path)).is_ok();
        if !kept {
            // What it was to replace no longer holds.
            forget(&[staged, path.to_owned()]);
        }
        kept
    }

    pub(crate) fn remove(self) {
        drop(self.file);
        let _ = fs::remove_file(self.path);
    }
}

/// Whether something that is not ours has taken the place of an entry.
fn is_foreign(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok() && !has_mark(path)
}

/// The largest file that can be one of ours: a body and its head.
const MAX_FILE: u64 = MAX_ENTRY + (17 << 20);

/// Reads an entry; `None` if it is not there, or not as we could have written it. What bears our mark and is not is removed.
pub(crate) fn recall(path: &Path) -> Option<Arc<Entry>> {
    let mut bytes = Vec::new();
    let file = files::open_to_read(path, Links::Refuse);
    file.and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).ok()?;
    let entry = Some(&bytes).filter(|bytes| bytes.len() as u64 <= MAX_FILE).and_then(|bytes| Entry::decode(bytes));
    if entry.is_none() && bytes.starts_with(MARK) {
        let _ = fs::remove_file(path);
    }
    entry.map(Arc::new)
}

/// Notes that an entry was used, for the next client that opens the folder.
pub(crate) fn touch(path: &Path) {
    let file = files::open(path, File::options().write(true), Links::Refuse);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes entries.
pub(crate) fn forget(paths: &[PathBuf]) {
    for path in paths {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_ours_is_found_in_the_order_of_use() {
        let folder = tempfile::tempdir().unwrap();
        let at = |key| path(folder.path(), key);
        for key in [3, 1, 2] {
            keep(&at(key), &entry("http://x/", b"body"));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(10 - key);
            File::options().write(true).open(at(key)).unwrap().set_modified(time).unwrap();
        }
        touch(&at(3));
        let foreign = ["0000000000000004.sortie-cache", "notes.txt", "5.sortie-cache", "x.sortie-part"];
        foreign.iter().for_each(|name| fs::write(folder.path().join(name), "not ours").unwrap());
        fs::create_dir(at(6)).unwrap();
        fs::write(folder.path().join("0000000000000007.sortie-cache.sortie-part"), "half").unwrap();
        let found = open(folder.path()).unwrap();
        assert_eq!(found.files.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!(found.files[0].1, entry("http://x/", b"body").size());
        assert_eq!(open(folder.path()).err().unwrap().reason, Reason::Path, "locked");
        drop(found);
        assert!(open(folder.path()).is_ok());
        keep(&at(4), &entry("http://x/", b"body"));
        assert_eq!(fs::read(at(4)).unwrap(), b"not ours");
        assert!(foreign.iter().all(|name| folder.path().join(name).exists()));
        assert!(!folder.path().join("0000000000000007.sortie-cache.sortie-part").exists());
    }

    #[test]
    fn what_is_written_while_it_comes_is_found_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (at, staged) = (path(folder.path(), 1), staged_path(folder.path(), 1));
        let whole = entry("http://x/", b"body");
        let begin = || Staged::create(&staged).unwrap().write(b"bo").unwrap();
        assert!(begin().write(b"dy").unwrap().keep(&at, &entry("http://x/", b"")));
        assert_eq!(fs::read(&at).unwrap(), whole.encode());
        assert_eq!(*recall(&at).unwrap(), whole);
        assert!(!staged.exists());
        begin().remove();
        assert!(!staged.exists());
        drop(begin());
        assert!(Staged::create(&staged).is_err(), "what lies there is not gone on with");
        assert_eq!(open(folder.path()).unwrap().files.len(), 1);
        assert!(!staged.exists(), "a killed process has left it");
        fs::write(&at, "foreign").unwrap();
        assert!(!begin().keep(&at, &whole) && !staged.exists());
        assert_eq!(fs::read(&at).unwrap(), b"foreign");
    }

    #[test]
    fn what_is_not_whole_is_not_recalled() {
        let folder = tempfile::tempdir().unwrap();
        let at = path(folder.path(), 1);
        assert_eq!(recall(&at), None);
        keep(&at, &entry("http://x/", b"body"));
        assert_eq!(*recall(&at).unwrap(), entry("http://x/", b"body"));
        let bytes = fs::read(&at).unwrap();
        fs::write(&at, &bytes[..bytes.len() - 1]).unwrap();
        assert!(recall(&at).is_none() && !at.exists());
        // One that cannot be replaced goes all the same.
        keep(&at, &entry("http://x/", b"old"));
        let held = File::create(folder.path().join("0000000000000001.sortie-cache.sortie-part")).unwrap();
        let held = Locked::take(held).unwrap();
        keep(&at, &entry("http://x/", b"new"));
        drop(held);
        assert_eq!(recall(&at), None);
        fs::write(&at, "foreign").unwrap();
        assert!(recall(&at).is_none() && at.exists());
    }
}
