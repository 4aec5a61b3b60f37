//! Readiness of descriptors, level-triggered, and a way to end a wait from another thread.
//!
//! On Linux this is epoll itself, one system call for each wait: the `polling` crate, which serves the other systems, makes
//! five (a timer and a notification that it arms anew each time), half of all that a lone small request makes.

use std::time::Instant;

pub(crate) use system::Poller;

/// A descriptor and what it is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(super) place: usize,
    pub(super) interest: Interest,
}

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Interest {
    pub(super) fn none(self) -> bool {
        self == Interest::default()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

    use super::{Instant, Interest, Ready};

    /// What a notification is told by; no descriptor has this place.
    const NOTIFIED: u64 = u64::MAX;
    /// How many descriptors are told of at a time.
    const BATCH: usize = 256;

    /// See the module.
    pub(crate) struct Poller {
        epoll: OwnedFd,
        event: OwnedFd,
    }

    fn checked(result: i32) -> io::Result<i32> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }

    fn owned(descriptor: i32) -> io::Result<OwnedFd> {
        // SAFETY: a descriptor that the system has just given out is nobody else's.
        checked(descriptor).map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Poller> {
            // SAFETY: no pointer is passed.
            let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
            // SAFETY: as above.
            let event = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
            let poller = Poller { epoll, event };
            // Each write is an edge, so the count need not be read to hear of the next.
            poller.control(libc::EPOLL_CTL_ADD, poller.event.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, NOTIFIED)?;
            Ok(poller)
        }

        fn control(&self, operation: i32, descriptor: RawFd, events: i32, token: u64) -> io::Result<()> {
            let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: token };
            // SAFETY: the event is live; a descriptor that is not open makes the call fail.
            checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, descriptor, &raw mut event) }).map(drop)
        }

        /// Ends a wait, or the next one.
        pub(in crate::net) fn notify(&self) -> io::Result<()> {
            loop {
                let one = 1u64.to_ne_bytes();
                // SAFETY: eight live bytes.
                let written = unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
                if written >= 0 {
                    return Ok(());
                }
                let error = io::Error::last_os_error();
                match error.kind() {
                    // The count is full: start it anew.
                    io::ErrorKind::WouldBlock => {
                        let mut count = [0u8; 8];
                        // SAFETY: eight live bytes.
                        unsafe { libc::read(self.event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
                    }
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                }
            }
        }

        /// Watches a descriptor, which `known` says is watched already. The caller takes it out before it is closed.
        pub(in crate::net) fn watch(&self, place: usize, interest: Interest, known: bool) -> io::Result<()> {
            let read = if interest.read { libc::EPOLLIN | libc::EPOLLRDHUP } else { 0 };
            let write = if interest.write { libc::EPOLLOUT } else { 0 };
            let operation = if known { libc::EPOLL_CTL_MOD } else { libc::EPOLL_CTL_ADD };
            self.control(operation, crate::net::raw(place), read | write, place as u64)
        }

        pub(in crate::net) fn forget(&self, place: usize) -> io::Result<()> {
            self.control(libc::EPOLL_CTL_DEL, crate::net::raw(place), 0, 0)
        }

        /// Waits until a descriptor is ready, a notification comes or the deadline, and gives what is ready.
        pub(in crate::net) fn wait(&self, ready: &mut Vec<Ready>, deadline: Option<Instant>) -> io::Result<()> {
            ready.clear();
            // Not earlier than the deadline, to the millisecond.
            let timeout = deadline.map_or(-1, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            });
            // Not filled with zeros, which would cost more than the rest.
            let mut events = [const { MaybeUninit::<libc::epoll_event>::uninit() }; BATCH];
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // a small constant
            let room = BATCH as i32;
            // SAFETY: there is room for as many events.
            let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr().cast(), room, timeout) };
            let count = usize::try_from(checked(count)?).unwrap_or(0);
            for event in events.iter().take(count) {
                // SAFETY: the kernel has written so many.
                let event = unsafe { event.assume_init() };
                let (flags, token) = (event.events.cast_signed(), event.u64);
                if token != NOTIFIED
                    && let Ok(place) = usize::try_from(token)
                {
                    let broken = flags & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
                    let read = broken || flags & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0;
                    let write = broken || flags & libc::EPOLLOUT != 0;
                    ready.push(Ready { place, interest: Interest { read, write } });
                }
            }
            Ok(())
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io;

    use parking_lot::Mutex;
    use polling::{Event, Events, PollMode};

    use super::{Instant, Interest, Ready};

    /// See the module.
    pub(crate) struct Poller {
        poller: polling::Poller,
        events: Mutex<Events>,
    }

    impl Poller {
        pub(crate) fn new() -> io::Result<Poller> {
            Ok(Poller { poller: polling::Poller::new()?, events: Mutex::new(Events::new()) })
        }

        /// Ends a wait, or the next one.
        pub(in crate::net) fn notify(&self) -> io::Result<()> {
            self.poller.notify()
        }

        /// Watches a descriptor, which `known` says is watched already. The caller takes it out before it is closed.
        pub(in crate::net) fn watch(&self, place: usize, interest: Interest, known: bool) -> io::Result<()> {
            let event = Event::new(place, interest.read, interest.write);
            if known {
                return self.poller.modify_with_mode(crate::net::borrowed(place), event, PollMode::Level);
            }
            // SAFETY: the caller takes it out before it is closed.
            unsafe { self.poller.add_with_mode(crate::net::raw(place), event, PollMode::Level) }
        }

        pub(in crate::net) fn forget(&self, place: usize) -> io::Result<()> {
            self.poller.delete(crate::net::borrowed(place))
        }

        /// Waits until a descriptor is ready, a notification comes or the deadline, and gives what is ready.
        pub(in crate::net) fn wait(&self, ready: &mut Vec<Ready>, deadline: Option<Instant>) -> io::Result<()> {
            ready.clear();
            let mut events = self.events.lock();
            events.clear();
            let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.poller.wait(&mut events, timeout)?;
            ready.extend(events.iter().map(|event| Ready {
                place: event.key,
                interest: Interest { read: event.readable, write: event.writable },
            }));
            Ok(())
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    const READ: Interest = Interest { read: true, write: false };

    fn place(stream: &UnixStream) -> usize {
        usize::try_from(stream.as_raw_fd()).unwrap_or(0)
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(1))
    }

    #[test]
    fn a_descriptor_is_told_of_as_long_as_it_is_ready() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let (poller, mut ready) = (Poller::new().unwrap(), Vec::new());
        poller.watch(place(&here), READ, false).unwrap();
        assert!(poller.watch(place(&here), READ, false).is_err(), "watched already");
        poller.wait(&mut ready, soon()).unwrap();
        assert_eq!(ready, []);
        there.write_all(b"x").unwrap();
        for _ in 0..2 {
            poller.wait(&mut ready, None).unwrap();
            assert_eq!(ready, [Ready { place: place(&here), interest: READ }]);
        }
        here.read_exact(&mut [0]).unwrap();
        poller.watch(place(&here), Interest { read: false, write: true }, true).unwrap();
        poller.wait(&mut ready, None).unwrap();
        assert_eq!(ready, [Ready { place: place(&here), interest: Interest { read: false, write: true } }]);
        poller.forget(place(&here)).unwrap();
        poller.wait(&mut ready, soon()).unwrap();
        assert_eq!(ready, []);
    }

    #[test]
    fn each_notification_ends_one_wait_whenever_it_came() {
        let (poller, mut ready) = (Poller::new().unwrap(), Vec::new());
        for _ in 0..3 {
            poller.notify().unwrap();
            poller.wait(&mut ready, None).unwrap();
        }
        let late = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| poller.wait(&mut Vec::new(), Some(late)));
            poller.notify().unwrap();
            waits.join().unwrap().unwrap();
        });
        assert!(Instant::now() < late);
        poller.wait(&mut ready, soon()).unwrap();
        assert_eq!(ready, []);
    }

    #[test]
    fn a_wait_lasts_until_its_deadline() {
        let poller = Poller::new().unwrap();
        let deadline = Instant::now() + Duration::from_micros(1_200);
        poller.wait(&mut Vec::new(), Some(deadline)).unwrap();
        assert!(Instant::now() >= deadline);
    }
}
