//! What the server remembers about requests.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::message::Request;
use crate::pattern::fnv;

/// Older requests are forgotten, so that a server that runs for hours does not grow.
const REMEMBERED: usize = 20_000;

/// Bodies up to this size are kept whole.
pub(crate) const BODY_KEPT: usize = 64 * 1024;

/// One request as the server saw it. The body's fields are final once `body_complete` is true.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// As sent.
    pub method: String,
    /// The request target as sent, undecoded.
    pub target: String,
    /// As sent: `HTTP/1.1`.
    pub version: String,
    /// In the order sent, names as spelled.
    pub headers: Vec<(String, String)>,
    /// Body bytes read so far, chunk framing removed.
    pub body_length: u64,
    /// [`fnv`] of those bytes.
    pub body_fnv: u64,
    /// The body, unless it is longer than 64 KiB.
    pub body: Option<Vec<u8>>,
    /// Whether the body was read to its end.
    pub body_complete: bool,
    /// Which connection it came on; ids start at 1.
    pub connection: u64,
    /// When its head had been read.
    pub time: Instant,
}

impl Recorded {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        crate::message::find_header(&self.headers, name)
    }
}

#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Recorded>,
    /// The sequence number of the first entry.
    first: u64,
    total: u64,
}

impl Log {
    /// Adds a request whose head has arrived; the number returned names it in [`Log::body`].
    pub(crate) fn head(&self, request: &Request) -> u64 {
        let mut state = self.state.lock();
        let number = state.first + state.entries.len() as u64;
        state.entries.push_back(Recorded {
            method: request.method.clone(),
            target: request.target.clone(),
            version: request.version.clone(),
            headers: request.headers.clone(),
            body_length: 0,
            body_fnv: fnv(b""),
            body: Some(Vec::new()),
            body_complete: false,
            connection: request.connection,
            time: Instant::now(),
        });
        state.total += 1;
        if state.entries.len() > REMEMBERED {
            state.entries.pop_front();
            state.first += 1;
        }
        self.changed.notify_all();
        number
    }

    pub(crate) fn body(&self, number: u64, length: u64, hash: u64, body: Option<Vec<u8>>, complete: bool) {
        let mut state = self.state.lock();
        let Some(index) = number.checked_sub(state.first) else { return };
        if let Some(entry) = state.entries.get_mut(index as usize) {
            entry.body_length = length;
            entry.body_fnv = hash;
            entry.body = body;
            entry.body_complete = complete;
        }
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.state.lock().entries.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state.lock();
        state.first += state.entries.len() as u64;
        state.entries.clear();
    }

    pub(crate) fn total(&self) -> u64 {
        self.state.lock().total
    }

    pub(crate) fn wait_for(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        while state.entries.len() < count {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return state.entries.len() >= count;
            }
        }
        true
    }
}
