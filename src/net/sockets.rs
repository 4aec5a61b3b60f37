//! Which sockets libcurl wants to hear of, and what the kernel has been told.
//!
//! libcurl takes a socket out of its interest whenever a transfer ends and puts it back when the next one starts. Passing
//! that on would cost two system calls per request, so a removal is only noted, and carried out if the socket then reports
//! something nobody wants. libcurl may close its own descriptors, by which its threads wake it, without notice: when it
//! wants something of one again, the kernel is told anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use curl::multi::{Socket, SocketEvents};

use super::Lane;
use super::poller::{Interest, Poller};

/// What is known of one socket.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// What libcurl waits for, and which of its handles.
    wanted: Interest,
    lane: Lane,
    /// What the kernel was told.
    registered: Option<Interest>,
    /// For whom it was opened by us, so that its closing is noticed.
    owner: Option<Owner>,
    /// It was not opened by us, and since libcurl last wanted something of it, it may have been closed without notice.
    doubtful: bool,
    /// When something last came, by the clock of whoever waits.
    heard: Duration,
    /// Its connection takes no more transfers, so that it no longer counts among its owner's.
    left: bool,
    /// Its connection was ended by us, and waits for libcurl to close it.
    given_up: bool,
}

/// The queue that a connection was opened for.
pub(crate) type Owner = u64;

#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    timers: [Option<Instant>; Lane::ALL.len()],
    /// How many sockets are open for each owner.
    open: HashMap<Owner, u32>,
}

/// The sockets of the multi handles, and their timers.
pub(crate) struct Sockets {
    poller: Arc<Poller>,
    table: Mutex<Table>,
    /// How many sockets are open.
    count: AtomicU32,
    /// How many of them are given up.
    given_up: AtomicU32,
}

/// A descriptor as the place of its entry. Descriptors are small everywhere; one beyond this is not watched, and its
/// transfer ends by its deadline.
const MAX_SOCKET: usize = 1 << 22;

fn place(socket: Socket) -> Option<usize> {
    usize::try_from(socket).ok().filter(|place| *place < MAX_SOCKET)
}

/// Shuts a socket down that libcurl holds open.
fn shut_down(socket: Socket) {
    #[cfg(unix)]
    // SAFETY: it is in the table, so libcurl has not closed it yet, and does so on this thread alone.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket) };
    #[cfg(windows)]
    // SAFETY: as on Unix.
    let socket = unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(socket as u64) };
    // It fails if the other end was faster.
    let _ = socket2::SockRef::from(&socket).shutdown(std::net::Shutdown::Both);
}

impl Table {
    fn one_less(&mut self, owner: Owner) {
        let open = self.open.get(&owner).map_or(0, |open| open.saturating_sub(1));
        if open == 0 {
            self.open.remove(&owner);
        } else {
            self.open.insert(owner, open);
        }
    }

    fn entry(&mut self, place: usize) -> &mut Entry {
        if place >= self.entries.len() {
            self.entries.resize(place + 1, Entry::default());
        }
        #[allow(clippy::indexing_slicing)] // made to fit just above
        &mut self.entries[place]
    }
}

impl Sockets {
    pub(super) fn new(poller: Arc<Poller>) -> Sockets {
        Sockets { poller, table: Mutex::default(), count: AtomicU32::new(0), given_up: AtomicU32::new(0) }
    }

    /// Notes a socket that was opened for libcurl.
    pub(crate) fn opened(&self, socket: Socket, owner: Owner) {
        if let Some(place) = place(socket) {
            let mut table = self.table.lock();
            *table.entry(place) = Entry { owner: Some(owner), ..Entry::default() };
            *table.open.entry(owner).or_default() += 1;
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many sockets are open for an owner whose connections take transfers.
    pub(crate) fn open(&self, owner: Owner) -> u32 {
        self.table.lock().open.get(&owner).copied().unwrap_or(0)
    }

    /// No connection of a multi handle takes any more transfers.
    pub(super) fn leave(&self, lane: Lane) {
        let mut table = self.table.lock();
        let mut left = Vec::new();
        for entry in table.entries.iter_mut().filter(|entry| entry.lane == lane && !entry.left) {
            if let Some(owner) = entry.owner {
                entry.left = true;
                left.push(owner);
            }
        }
        left.into_iter().for_each(|owner| table.one_less(owner));
    }

    /// How many sockets are open in all.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends a connection for good, in both directions; it counts no more among its owner's. libcurl closes it only when it looks at it
    /// again, and keeps one for reuse on which nghttp2 has given up.
    pub(crate) fn give_up(&self, socket: Socket) {
        let Some(place) = place(socket) else { return };
        let mut table = self.table.lock();
        let entry = table.entry(place);
        let Some(owner) = entry.owner.filter(|_| !entry.given_up) else { return };
        entry.given_up = true;
        if !std::mem::replace(&mut entry.left, true) {
            table.one_less(owner);
        }
        self.given_up.fetch_add(1, Ordering::Relaxed);
        drop(table);
        shut_down(socket);
    }

    /// Whether any open socket has been given up.
    pub(crate) fn any_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) > 0
    }

    /// Whether this one has been given up.
    pub(crate) fn is_given_up(&self, socket: Socket) -> bool {
        place(socket).is_some_and(|place| self.table.lock().entry(place).given_up)
    }

    /// Forgets a socket that is about to be closed.
    pub(super) fn closing(&self, socket: Socket) {
        let Some(place) = place(socket) else { return };
        let mut table = self.table.lock();
        let entry = std::mem::take(table.entry(place));
        if entry.given_up {
            self.given_up.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(owner) = entry.owner {
            self.count.fetch_sub(1, Ordering::Relaxed);
            if !entry.left {
                table.one_less(owner);
            }
        }
        drop(table);
        if entry.registered.is_some() {
            self.delete(place);
        }
    }

    /// libcurl's wish for one socket.
    pub(super) fn want(&self, lane: Lane, socket: Socket, events: &SocketEvents) {
        let Some(place) = place(socket) else { return };
        let mut table = self.table.lock();
        let entry = table.entry(place);
        if events.remove() {
            if entry.lane != lane {
                // It was closed, and the other handle has its number now.
                return;
            }
            entry.wanted = Interest::default();
            entry.doubtful = entry.owner.is_none();
            return;
        }
        entry.lane = lane;
        let both = events.input_and_output();
        entry.wanted = Interest { read: both || events.input(), write: both || events.output() };
        let doubtful = std::mem::take(&mut entry.doubtful);
        if doubtful || entry.registered != Some(entry.wanted) {
            entry.registered = self.register(place, entry.wanted, entry.registered.is_some());
        }
    }

    /// Tells the kernel; gives what it knows now.
    fn register(&self, place: usize, wanted: Interest, known: bool) -> Option<Interest> {
        let add = || self.poller.watch(place, wanted, false);
        let modify = || self.poller.watch(place, wanted, true);
        // Either can be out of date for a descriptor number that was closed and given out again: then the other holds.
        let told = if known { modify().or_else(|_| add()) } else { add().or_else(|_| modify()) };
        told.is_ok().then_some(wanted)
    }

    fn delete(&self, place: usize) {
        // A descriptor that was closed already is out by itself.
        let _ = self.poller.forget(place);
    }

    /// When something last came on an open socket; `None` for one that is closed.
    pub(super) fn heard(&self, socket: Socket) -> Option<Duration> {
        let mut table = self.table.lock();
        let entry = table.entry(place(socket)?);
        entry.owner.map(|_| entry.heard)
    }

    /// Who wants to hear of a socket that is ready; one of which nobody wants anything is taken out.
    pub(super) fn wanted(&self, place: usize, has_come: bool, now: Duration) -> Option<Lane> {
        let mut table = self.table.lock();
        let entry = table.entry(place);
        if has_come {
            entry.heard = now;
        }
        if !entry.wanted.none() {
            return Some(entry.lane);
        }
        if entry.registered.take().is_some() {
            self.delete(place);
        }
        None
    }

    /// The handle whose connection has a socket, if that is open.
    pub(super) fn lane_of(&self, socket: Socket) -> Option<Lane> {
        let place = place(socket)?;
        let table = self.table.lock();
        table.entries.get(place).filter(|entry| entry.owner.is_some()).map(|entry| entry.lane)
    }

    pub(super) fn set_timer(&self, lane: Lane, after: Option<Duration>) {
        let [requests, streams] = &mut self.table.lock().timers;
        let timer = match lane {
            Lane::Requests => requests,
            Lane::Streams => streams,
        };
        *timer = after.map(|after| Instant::now() + after);
    }

    pub(super) fn timer(&self) -> Option<Instant> {
        self.table.lock().timers.into_iter().flatten().min()
    }

    /// Takes the timer that is due first, so that neither handle keeps the other waiting.
    pub(super) fn take_due_timer(&self, now: Instant) -> Option<Lane> {
        let timers = &mut self.table.lock().timers;
        let due = Lane::ALL.into_iter().zip(timers).filter(|(_, timer)| timer.is_some_and(|due| due <= now));
        let (lane, timer) = due.min_by_key(|(_, timer)| **timer)?;
        *timer = None;
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_has_its_own_timer() -> std::io::Result<()> {
        let sockets = Sockets::new(Arc::new(Poller::new()?));
        assert_eq!(sockets.timer(), None);
        sockets.set_timer(Lane::Streams, Some(Duration::ZERO));
        sockets.set_timer(Lane::Requests, Some(Duration::from_secs(60)));
        let now = Instant::now();
        assert!(sockets.timer().is_some_and(|timer| timer <= now));
        assert_eq!(sockets.take_due_timer(now), Some(Lane::Streams));
        assert_eq!(sockets.take_due_timer(now), None);
        assert!(sockets.timer().is_some_and(|timer| timer > now));
        sockets.set_timer(Lane::Streams, Some(Duration::ZERO));
        sockets.set_timer(Lane::Requests, Some(Duration::ZERO));
        assert_eq!(sockets.take_due_timer(Instant::now()), Some(Lane::Streams), "it was due first");
        sockets.set_timer(Lane::Requests, None);
        assert_eq!(sockets.timer(), None);
        Ok(())
    }
}
