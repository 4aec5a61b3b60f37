//! Opening files where somebody else may have put something that is none: a pipe that would be waited for, a device that
//! does something when it is opened, a link to elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Whether a symbolic link may lead to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// The program has named the file: its links are its own business.
    Follow,
    /// The file is one of ours, and we make no links.
    Refuse,
}

/// The flags of open() that keep it from waiting, and from following a link where none has any business.
#[cfg(unix)]
pub(crate) fn flags(links: Links) -> i32 {
    libc::O_NONBLOCK | if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 }
}

/// Why anything else is not opened.
pub(crate) fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

/// Opens a regular file and nothing else, without waiting. Options that create one may.
pub(crate) fn open(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    // Before it is opened, since opening alone makes some devices act.
    let metadata = if links == Links::Follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    if metadata.is_ok_and(|metadata| !metadata.is_file()) {
        return Err(not_regular());
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags(links));
    let file = options.open(path)?;
    // Something else may have taken its place meanwhile.
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Opens a regular file to read it.
pub(crate) fn open_to_read(path: &Path, links: Links) -> io::Result<File> {
    open(path, File::options().read(true), links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "x").unwrap();
        assert!(open_to_read(&at("file"), Links::Refuse).is_ok());
        let refused = |name: &str, links| open_to_read(&at(name), links).unwrap_err();
        assert_eq!(refused("none", Links::Follow).kind(), io::ErrorKind::NotFound);
        assert_eq!(refused(".", Links::Follow).kind(), io::ErrorKind::InvalidInput);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("file", at("link")).unwrap();
            std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
            std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
            assert!(open_to_read(&at("link"), Links::Follow).is_ok());
            assert_eq!(refused("link", Links::Refuse).kind(), io::ErrorKind::InvalidInput);
            assert_eq!(refused("socket", Links::Follow).kind(), io::ErrorKind::InvalidInput);
            let made = open(&at("dangling"), File::options().create(true).append(true), Links::Refuse);
            assert!(made.is_err() && !at("nowhere").exists());
        }
        assert!(open(&at("new"), File::options().create(true).append(true), Links::Refuse).is_ok());
    }
}
