//! Waking the worker, at most once per batch.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::poller::Poller;

/// The worker sleeps on `poller`; other threads wake it after they have left it something to do.
pub(crate) struct Wake {
    pub(super) poller: Arc<Poller>,
    sleeping: AtomicBool,
    closing: AtomicBool,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        Ok(Wake { poller: Arc::new(Poller::new()?), sleeping: AtomicBool::new(false), closing: AtomicBool::new(false) })
    }

    /// Wakes the worker if it sleeps. Of all callers while it sleeps, one makes the system call.
    pub(crate) fn wake(&self) {
        if self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst) {
            // It can fail only for want of memory in the kernel; the worker's next deadline then does it.
            let _ = self.poller.notify();
        }
    }

    /// Tells the worker and the disk's thread to end, whatever else waits for them.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Sets whether the worker sleeps. It must look for work once more between this and going to sleep.
    pub(crate) fn set_sleeping(&self, sleeping: bool) {
        self.sleeping.store(sleeping, Ordering::SeqCst);
    }
}
