//! libcurl: the multi handle driven by socket readiness, pooled easy handles, and the options that curl-rust lacks.
//!
//! Traps that this module keeps from the rest: `Multi` must outlive its easy handles and lose its callbacks before it
//! goes; a panic in a callback poisons the thread, so callbacks guard themselves; every option's result is checked.

#![allow(unsafe_code)]

mod easy;
mod failure;
mod frames;
mod network;
mod poller;
mod probe;
mod proxy;
pub(crate) mod scheduling;
pub(crate) mod signals;
mod sockets;
mod sys;
mod tls;
mod wake;

use std::cell::OnceCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use curl::easy::Handler;
use curl::multi::{Events, Multi, Socket};

pub(crate) use easy::{Active, Connection, Credential, Easy, Hop, Setup};
pub(crate) use failure::{Reached, explain};
pub(crate) use frames::Heard;
use network::Monitor;
pub(crate) use network::{WaysOut, by_local_address, interface_number, network, ways_out};
pub(crate) use probe::{Answer, PROBE_PATIENCE, Probe};
pub(crate) use sockets::{Owner, Sockets};
pub(crate) use wake::Wake;

use crate::error::{ErrorKind, Failure};
use poller::{Poller, Ready};

#[cfg(unix)]
fn raw(place: usize) -> std::os::fd::RawFd {
    i32::try_from(place).unwrap_or(-1)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn borrowed(place: usize) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: used only for a system call on a descriptor that libcurl holds open; a stale one makes that call fail.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(raw(place).max(0)) }
}

#[cfg(windows)]
fn raw(place: usize) -> std::os::windows::io::RawSocket {
    place as u64
}

#[cfg(windows)]
fn borrowed(place: usize) -> std::os::windows::io::BorrowedSocket<'static> {
    // SAFETY: as on Unix.
    unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(raw(place)) }
}

/// What libcurl's callbacks tell, beyond curl-rust's own.
pub(crate) trait Transfer: Handler {
    /// A connection is ready for this transfer, new or used again. Comes once more when libcurl sends the request again
    /// because a used connection turned out to be dead; `false` keeps it from that and ends the transfer.
    fn connected(&mut self) -> bool;
}

/// Which multi handle a transfer runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lane {
    #[default]
    Requests,
    /// Where connections are kept busy for long. libcurl looks for one that is free among all to the same server: beside
    /// 10,000 busy ones that would take a small request twenty times as long.
    Streams,
}

impl Lane {
    const ALL: [Lane; 2] = [Lane::Requests, Lane::Streams];
}

/// How many idle connections to keep for the next streams, which are few.
const IDLE_STREAM_CONNECTIONS: usize = 16;

/// The multi handles and the readiness of their sockets.
pub(crate) struct Net {
    requests: Multi,
    /// Made for the first stream.
    streams: OnceCell<Multi>,
    sockets: Arc<Sockets>,
    ready: Vec<Ready>,
    monitor: Option<Monitor>,
    poller: Arc<Poller>,
    network_changed: bool,
}

impl Net {
    /// `connections`: how many idle connections to keep, beside those of streams.
    pub(crate) fn new(wake: &Wake, connections: usize) -> io::Result<Net> {
        let sockets = Arc::new(Sockets::new(Arc::clone(&wake.poller)));
        let requests = multi(Lane::Requests, &sockets, connections)?;
        let poller = Arc::clone(&wake.poller);
        let monitor = Monitor::open(&poller);
        let (streams, ready, network_changed) = (OnceCell::new(), Vec::new(), false);
        Ok(Net { requests, streams, sockets, ready, monitor, poller, network_changed })
    }

    fn lane(&self, lane: Lane) -> Option<&Multi> {
        match lane {
            Lane::Requests => Some(&self.requests),
            Lane::Streams => self.streams.get(),
        }
    }

    /// Whether the system tells when its network changes.
    pub(crate) fn hears_of_changes(&self) -> bool {
        self.monitor.is_some()
    }

    /// Whether the machine's network has changed since the last call.
    pub(crate) fn take_network_change(&mut self) -> bool {
        std::mem::take(&mut self.network_changed)
    }

    /// The sockets, for the callback that opens one.
    pub(crate) fn sockets(&self) -> &Arc<Sockets> {
        &self.sockets
    }

    /// Starts a transfer; `token` comes back when it has finished.
    pub(crate) fn start<H: Transfer>(&self, easy: Easy<H>, lane: Lane, token: usize) -> Result<Active<H>, Failure> {
        if lane == Lane::Streams && self.streams.get().is_none() {
            // It may work again a little later, as with any other connection that cannot be made.
            let refused = |error: io::Error| Failure::new(ErrorKind::Connect, format!("cannot connect: {error}"));
            let _ = self.streams.set(multi(lane, &self.sockets, IDLE_STREAM_CONNECTIONS).map_err(refused)?);
        }
        let internal = |message: String| Failure::new(ErrorKind::Internal, message);
        let multi = self.lane(lane).ok_or_else(|| internal("there is no multi handle".to_owned()))?;
        easy.start(multi, lane, token).map_err(internal)
    }

    /// Takes a transfer out, finished or not. `None` if libcurl would not give it back.
    pub(crate) fn stop<H: Transfer>(&self, active: Active<H>) -> Option<Easy<H>> {
        let multi = self.lane(active.lane())?;
        active.stop(multi)
    }

    /// Takes a transfer out whose connection has been silent, so that it carries no other: it is closed at once, or, if other
    /// transfers still wait on it, left by whatever starts from now on.
    pub(crate) fn stop_and_leave<H: Transfer>(&self, active: Active<H>) -> Option<Easy<H>> {
        let (lane, socket) = (active.lane(), active.connection().socket());
        active.forbid_reuse(true);
        let easy = self.stop(active)?;
        easy.forbid_reuse(false);
        if socket.is_some_and(|socket| self.sockets.heard(socket).is_some()) {
            self.leave_connections_of(lane);
        }
        Some(easy)
    }

    /// When something last came over a transfer's connection, if it has one.
    pub(crate) fn heard(&self, connection: Connection) -> Option<Duration> {
        self.sockets.heard(connection.socket()?)
    }

    /// Closes every idle connection, and lets nothing that starts from now on use those that are busy.
    pub(crate) fn leave_connections(&self) {
        Lane::ALL.into_iter().for_each(|lane| self.leave_connections_of(lane));
    }

    fn leave_connections_of(&self, lane: Lane) {
        self.sockets.leave(lane);
        self.forget(lane, sys::NETWORK_CHANGED_CLEAR_CONNECTIONS);
    }

    /// Forgets the addresses of all names, and which names have none: libcurl would not ask again for half a minute.
    pub(crate) fn forget_names(&self) {
        Lane::ALL.into_iter().for_each(|lane| self.forget(lane, sys::NETWORK_CHANGED_CLEAR_NAMES));
    }

    fn forget(&self, lane: Lane, what: std::ffi::c_long) {
        if let Some(multi) = self.lane(lane) {
            // SAFETY: the handle is live, and libcurl is not calling back.
            unsafe { sys::multi_long(multi.raw(), sys::MOPT_NETWORK_CHANGED, what) };
        }
    }

    /// Runs libcurl's timer if it is due, which also starts what was just added.
    pub(crate) fn run_timer(&self) {
        // Bounded, since a timer of 0 can follow another; what is left comes in the worker's next turn.
        for _ in 0..8 {
            let Some(lane) = self.sockets.take_due_timer(Instant::now()) else { return };
            if let Some(multi) = self.lane(lane) {
                let _ = multi.timeout();
            }
        }
    }

    /// When libcurl's timer is due.
    pub(crate) fn timer(&self) -> Option<Instant> {
        self.sockets.timer()
    }

    /// Sleeps until a socket is ready, the worker is woken, or the deadline comes; then lets libcurl act. `woken` tells the
    /// time in between, so that what libcurl calls back happens then and not when the sleep began.
    pub(crate) fn wait(
        &mut self,
        wake: &Wake,
        deadline: Option<Instant>,
        woken: impl FnOnce() -> Duration,
    ) -> io::Result<()> {
        match wake.poller.wait(&mut self.ready, deadline) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        wake.set_sleeping(false);
        let now = woken();
        for Ready { place, interest } in self.ready.iter().copied() {
            if let Some(monitor) = self.monitor.as_ref().filter(|monitor| monitor.place() == Some(place)) {
                monitor.drain();
                self.network_changed = true;
                continue;
            }
            if let Some(multi) = self.sockets.wanted(place, interest.read, now).and_then(|lane| self.lane(lane)) {
                let mut events = Events::new();
                events.input(interest.read).output(interest.write);
                #[cfg(unix)]
                let socket = raw(place);
                #[cfg(windows)]
                let socket = raw(place) as _;
                let _ = multi.action(socket, &events);
            }
        }
        Ok(())
    }

    /// Gives every transfer on a socket a turn. libcurl wakes only those that it knows to have something to do, and does
    /// not know that of the others when one of them has seen the connection end.
    pub(crate) fn nudge(&self, socket: Socket) {
        let Some(multi) = self.sockets.lane_of(socket).and_then(|lane| self.lane(lane)) else { return };
        let mut events = Events::new();
        events.input(true);
        let _ = multi.action(socket, &events);
    }

    /// Gives every transfer that has finished since the last call, with its token and libcurl's code.
    pub(crate) fn finished(&self, finished: &mut Vec<(usize, curl_sys::CURLcode)>) {
        for multi in Lane::ALL.into_iter().filter_map(|lane| self.lane(lane)) {
            take_finished(multi, finished);
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Some(monitor) = self.monitor.take() {
            monitor.close(&self.poller);
        }
        // Cleaning up calls back: by then nothing of ours may be reached but the sockets, which outlive the handle.
        for multi in Lane::ALL.into_iter().filter_map(|lane| self.lane(lane)).map(Multi::raw) {
            // SAFETY: the handle is live, and NULL is a value of both options.
            unsafe {
                curl_sys::curl_multi_setopt(multi, curl_sys::CURLMOPT_SOCKETFUNCTION, std::ptr::null::<u8>());
                curl_sys::curl_multi_setopt(multi, curl_sys::CURLMOPT_TIMERFUNCTION, std::ptr::null::<u8>());
            }
        }
    }
}

/// A bare multi handle. curl-rust panics if libcurl cannot make one, for want of a descriptor or of memory.
fn new_multi() -> io::Result<Multi> {
    let refused = || io::Error::other("libcurl cannot make a multi handle: no descriptor or no memory is left");
    // SAFETY: NULL or a handle of our own, given back at once.
    let could = unsafe {
        let probe = curl_sys::curl_multi_init();
        let could = !probe.is_null();
        curl_sys::curl_multi_cleanup(probe);
        could
    };
    if !could {
        return Err(refused());
    }
    // Another thread may take the last descriptor between the two.
    catch_unwind(Multi::new).map_err(|_| refused())
}

/// A multi handle that tells what it wants of its sockets.
fn multi(lane: Lane, sockets: &Arc<Sockets>, connections: usize) -> io::Result<Multi> {
    let mut multi = new_multi()?;
    let watched = Arc::clone(sockets);
    // curl-rust would keep a panic in these for the thread's every later call.
    let guarded = |body: &mut dyn FnMut()| drop(catch_unwind(AssertUnwindSafe(body)));
    multi
        .socket_function(move |socket, events, _| guarded(&mut || watched.want(lane, socket, &events)))
        .map_err(io::Error::other)?;
    let timed = Arc::clone(sockets);
    multi
        .timer_function(move |after| {
            guarded(&mut || timed.set_timer(lane, after));
            true
        })
        .map_err(io::Error::other)?;
    multi.pipelining(false, true).map_err(io::Error::other)?;
    multi.set_max_connects(connections).map_err(io::Error::other)?;
    // SAFETY: the handle is live.
    unsafe { sys::multi_long(multi.raw(), sys::MOPT_QUICK_EXIT, 1) };
    Ok(multi)
}

fn take_finished(multi: &Multi, finished: &mut Vec<(usize, curl_sys::CURLcode)>) {
    let mut left = 0;
    loop {
        // SAFETY: the handle is live.
        let message = unsafe { curl_sys::curl_multi_info_read(multi.raw(), &raw mut left) };
        // SAFETY: NULL or a message that is valid until the next call.
        let Some(message) = (unsafe { message.as_ref() }) else { return };
        if message.msg != curl_sys::CURLMSG_DONE {
            continue;
        }
        let mut token = 0usize;
        // SAFETY: the message's handle is live, and CURLINFO_PRIVATE writes a pointer's width.
        let code =
            unsafe { curl_sys::curl_easy_getinfo(message.easy_handle, curl_sys::CURLINFO_PRIVATE, &raw mut token) };
        if code == curl_sys::CURLE_OK {
            // A DONE message carries its result as an int in place of the pointer.
            #[allow(clippy::cast_possible_truncation)]
            let result = message.data as usize as curl_sys::CURLcode;
            finished.push((token, result));
        }
    }
}
