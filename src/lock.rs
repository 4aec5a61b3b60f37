//! Locks on files, which end with the process that took them.
//!
//! A lock belongs to the open file, and a child made by fork() shares that: as long as the child lived, the file would stay
//! locked, although its parent has let go of it or is no more. So a lock is undone before its file is closed, and a forked
//! child closes at once what it has of locked files.

#![allow(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Deref;

/// A file that no other process, and nobody else in this one, has locked.
pub(crate) struct Locked {
    file: File,
    /// Undone before the file is closed.
    #[cfg(unix)]
    listed: forks::Listed,
}

impl Locked {
    /// Locks a file; [`io::ErrorKind::WouldBlock`] if somebody else has. On a file system without locks nothing can be told
    /// of others.
    pub(crate) fn take(file: File) -> io::Result<Locked> {
        #[cfg(unix)]
        // Before it is locked: a child that is forked in between has nothing to hold on to.
        let locked = Locked { listed: forks::Listed::new(&file), file };
        #[cfg(not(unix))]
        let locked = Locked { file };
        match locked.try_lock() {
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(locked),
        }
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.file.unlock();
        // Before it is closed: another file may have its number right after that.
        #[cfg(unix)]
        self.listed.strike_out();
    }
}

/// The list of what a forked child closes. It reads that right after fork(), when it may neither lock nor allocate.
#[cfg(unix)]
mod forks {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::sync::{Once, OnceLock};

    const NONE: i32 = -1;

    /// A place in the list, which grows and never shrinks.
    struct Place {
        descriptor: AtomicI32,
        next: OnceLock<Box<Place>>,
    }

    static FIRST: Place = Place { descriptor: AtomicI32::new(NONE), next: OnceLock::new() };

    /// A descriptor in the list.
    pub(super) struct Listed(&'static Place);

    impl Listed {
        pub(super) fn new(file: &File) -> Listed {
            static HANDLER: Once = Once::new();
            HANDLER.call_once(|| {
                // Without memory for it, children keep locks.
                // SAFETY: the function stays where it is, and does in a child only what may be done there.
                let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
            });
            let descriptor = file.as_raw_fd();
            let mut place = &FIRST;
            let free = |place: &Place| {
                place.descriptor.compare_exchange(NONE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            };
            while !free(place) {
                place = place
                    .next
                    .get_or_init(|| Box::new(Place { descriptor: AtomicI32::new(NONE), next: OnceLock::new() }));
            }
            Listed(place)
        }

        pub(super) fn strike_out(&self) {
            self.0.descriptor.store(NONE, Ordering::Release);
        }
    }

    unsafe extern "C" fn in_child() {
        let mut place = Some(&FIRST);
        while let Some(here) = place {
            let descriptor = here.descriptor.swap(NONE, Ordering::AcqRel);
            if descriptor != NONE {
                // SAFETY: it is open, since it is listed; of all that had it in the parent, only this thread is here.
                unsafe { libc::close(descriptor) };
            }
            place = here.next.get().map(|next| &**next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_locked_once_until_it_is_let_go_of() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::options().create(true).append(true).open(folder.path().join("lock")).unwrap();
        let locked = Locked::take(open()).unwrap();
        assert_eq!(Locked::take(open()).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        // As a forked child has it.
        let shared = locked.try_clone().unwrap();
        assert_eq!(Locked::take(open()).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(locked);
        let again = Locked::take(open()).unwrap();
        drop(shared);
        assert_eq!(Locked::take(open()).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(again);
        let many: Vec<_> = (0..100)
            .map(|number| {
                let file = File::create(folder.path().join(number.to_string())).unwrap();
                Locked::take(file).unwrap()
            })
            .collect();
        drop(many);
        assert!(Locked::take(open()).is_ok());
    }
}
