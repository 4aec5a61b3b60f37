//! Files: how they may be called, and how they are opened where somebody else may have put something that is none (a pipe
//! that would be waited for, a device that does something when it is opened, a link to elsewhere).

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// How the extensions of Sortie's own files begin.
const OWN_EXTENSION: &str = ".sortie-";
/// Names that Windows keeps for devices, with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Whether a name is one of Sortie's own files, also where file systems ignore case or Windows drops the end of a name.
pub(crate) fn is_own(name: &OsStr) -> bool {
    // Capitals, since file systems that ignore case take U+017F for an s as well.
    let name = name.to_string_lossy().to_uppercase();
    let own = OWN_EXTENSION.to_uppercase();
    name.trim_end_matches(['.', ' '])
        .rfind('.')
        .is_some_and(|dot| name.get(dot..).is_some_and(|end| end.starts_with(&own)))
}

/// Why a name between two separators does not name a file everywhere: on Windows it names a device or a stream, or another
/// file.
pub(crate) fn flaw(name: &OsStr) -> Option<String> {
    let name = name.to_string_lossy();
    if let Some(bad) = name.chars().find(|c| c.is_ascii_control() || "<>:\"|?*\\".contains(*c)) {
        let bad = if bad.is_control() { format!("U+{:04X}", u32::from(bad)) } else { format!("'{bad}'") };
        return Some(format!("has {bad}, which no name can have on Windows"));
    }
    if name.ends_with(['.', ' ']) {
        return Some("ends with a dot or a space in one of its parts, which Windows leaves out".to_owned());
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let numbered = port.is_some_and(|number| {
        let mut characters = number.chars();
        let single = characters.next().filter(|_| characters.next().is_none());
        single.is_some_and(|digit| digit.is_ascii_digit() || matches!(digit, '¹' | '²' | '³'))
    });
    let device = numbered || DEVICES.contains(&stem.as_str());
    device.then(|| format!("has '{name}' in it, which is a device on Windows"))
}

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
    fn names_of_ours_are_known_however_they_are_written() {
        for ours in [
            "x.sortie-part",
            "x.y.sortie-resume",
            ".sortie-part",
            "X.SORTIE-Part",
            "x.sortie-part. .",
            "x.\u{17f}ortie-part",
            "x.sortie-later",
        ] {
            assert!(is_own(OsStr::new(ours)), "{ours}");
        }
        for other in ["x", "sortie-part", "x.sortie", "x.sortie-part.bak", "x.sortie-part.y", "x.notsortie-part", ""] {
            assert!(!is_own(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn names_that_are_none_on_windows_are_told() {
        for (bad, named) in [
            ("NUL", "'NUL' in it"),
            ("nul.txt", "device"),
            ("nul .txt", "device"),
            ("Con.a.b", "device"),
            ("aux", "device"),
            ("PRN.log", "device"),
            ("CONIN$", "device"),
            ("conout$.x", "device"),
            ("COM1", "device"),
            ("com0.txt", "device"),
            ("COM\u{b9}", "device"),
            ("lpt\u{b3}.x", "device"),
            ("a.", "dot"),
            ("a ", "space"),
            ("...", "dot"),
            (" ", "space"),
            ("a:b", "':'"),
            ("a\\b", "'\\'"),
            ("a|b", "'|'"),
            ("a?", "'?'"),
            ("*", "'*'"),
            ("<a>", "'<'"),
            ("a\"", "'\"'"),
            ("a\tb", "U+0009"),
            ("a\u{7f}", "U+007F"),
        ] {
            let flaw = flaw(OsStr::new(bad)).unwrap_or_default();
            assert!(flaw.contains(named), "{bad:?}: {flaw}");
        }
        for good in
            ["a", "null", "nul1", "COM", "COM10", "com1x", "console", "x.nul", "LPT", ".a", "a b", "ä", "a..b", "$a"]
        {
            assert_eq!(flaw(OsStr::new(good)), None, "{good}");
        }
    }

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
