//! A door that a test opens when it has seen enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Holds connections until the test opens it. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through, now and from now on.
    pub fn open(&self) {
        self.inner.state.lock().open = true;
        self.inner.changed.notify_all();
    }

    /// Holds those who come from now on.
    pub fn close(&self) {
        self.inner.state.lock().open = false;
    }

    /// How many are held right now.
    pub fn waiting(&self) -> usize {
        self.inner.state.lock().waiting
    }

    /// Waits until at least `count` are held at once; false if that takes longer than `timeout`.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.inner.state.lock();
        while state.waiting < count {
            if self.inner.changed.wait_until(&mut state, deadline).timed_out() {
                return state.waiting >= count;
            }
        }
        true
    }

    /// Waits until the gate is open; false at `timeout`, or when `give_up` (asked every 10 ms) says so.
    pub(crate) fn pass(&self, timeout: Duration, mut give_up: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.inner.state.lock();
        state.waiting += 1;
        self.inner.changed.notify_all();
        while !state.open && Instant::now() < deadline && !give_up() {
            self.inner.changed.wait_for(&mut state, Duration::from_millis(10));
        }
        state.waiting -= 1;
        state.open
    }
}
