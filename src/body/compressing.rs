//! Request bodies made gzip, a little at a time.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;

use super::disk::Reader;
use super::part::failure;
use crate::error::{ErrorKind, Failure};
use crate::request::SharedBytes;

/// How much is compressed at a time: a few milliseconds' work.
const PIECE: usize = 256 << 10;

/// A body on its way.
pub(crate) enum Compressing {
    Bytes {
        plain: SharedBytes,
        at: usize,
        gzip: GzEncoder<Vec<u8>>,
        /// Locked while the body is read, which the host may have lent; true once it is taken back.
        lending: Arc<Mutex<bool>>,
    },
    /// A file goes by way of a nameless one in this folder: a request's length comes before its body.
    File { plain: Reader, at: u64, gzip: GzEncoder<File>, folder: PathBuf },
}

/// What became of it.
pub(super) enum Compressed {
    Bytes(Vec<u8>),
    File(Reader),
}

impl Compressing {
    pub(crate) fn bytes(plain: SharedBytes, lending: Arc<Mutex<bool>>) -> Compressing {
        Compressing::Bytes { plain, at: 0, gzip: GzEncoder::new(Vec::new(), Compression::default()), lending }
    }

    pub(super) fn file(plain: Reader, folder: PathBuf) -> Result<Compressing, Failure> {
        let file = tempfile::tempfile_in(&folder).map_err(|error| on_its_way(&folder, &error))?;
        Ok(Compressing::File { plain, at: 0, gzip: GzEncoder::new(file, Compression::default()), folder })
    }

    /// Whether it never waits for a file.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self, Compressing::Bytes { .. })
    }

    /// Goes on a little; gives the whole once it is done.
    pub(super) fn go_on(&mut self) -> Result<Option<Compressed>, Failure> {
        match self {
            Compressing::Bytes { plain, at, gzip, lending } => {
                let taken_back = lending.lock();
                if *taken_back {
                    return Err(Failure::new(ErrorKind::Shutdown, "the client is gone"));
                }
                let rest = (**plain).as_ref().get(*at..).unwrap_or(&[]);
                let piece = rest.get(..PIECE).unwrap_or(rest);
                *at += piece.len();
                let last = piece.len() == rest.len();
                // Memory takes all that is written to it.
                let _ = gzip.write_all(piece);
                if !last {
                    return Ok(None);
                }
                let _ = gzip.try_finish();
                Ok(Some(Compressed::Bytes(std::mem::take(gzip.get_mut()))))
            }
            Compressing::File { plain, at, gzip, folder } => {
                let piece = plain.read(*at, PIECE)?;
                *at += piece.len() as u64;
                let last = piece.len() < PIECE;
                let mut write = || {
                    gzip.write_all(&piece)?;
                    if !last {
                        return Ok(None);
                    }
                    gzip.try_finish()?;
                    let file = gzip.get_ref().try_clone()?;
                    let length = file.metadata()?.len();
                    Ok(Some(Compressed::File(Reader::of(file, plain.full.clone(), length))))
                };
                write().map_err(|error| on_its_way(folder, &error))
            }
        }
    }
}

fn on_its_way(folder: &Path, error: &io::Error) -> Failure {
    failure("write a temporary file in", folder, error)
}
