//! How many bytes of bodies wait for the host, and the signal that there is room again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts the bytes that events hold. The worker asks [`Budget::has_room`] before it starts or goes on receiving; the
/// host's side gives bytes back as it lets go of events, and wakes the worker if that was waiting for them.
///
/// A stream has a budget of its own, its window, within its client's.
pub(crate) struct Budget {
    held: AtomicU64,
    limit: u64,
    starved: AtomicBool,
    within: Option<Arc<Budget>>,
    common: Arc<Common>,
}

/// What a client's budgets share.
struct Common {
    /// Bytes were given back that somebody was waiting for, and the worker has not seen it yet.
    freed: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
    dispose: Box<dyn Fn(Vec<u8>) + Send + Sync>,
}

/// From this size on, memory goes back to the system when it is freed, which takes milliseconds for a large body: more
/// than a frame has to spare. Such bodies are freed elsewhere.
const LARGE: usize = 128 << 10;

/// About what an event takes beside its body.
const EVENT_BYTES: u64 = 512;

impl Budget {
    /// `wake` wakes the worker; `dispose` frees a large body on another thread.
    pub(crate) fn new(
        limit: u64,
        wake: impl Fn() + Send + Sync + 'static,
        dispose: impl Fn(Vec<u8>) + Send + Sync + 'static,
    ) -> Budget {
        let common = Common { freed: AtomicBool::new(false), wake: Box::new(wake), dispose: Box::new(dispose) };
        Budget::within(limit, None, Arc::new(common))
    }

    fn within(limit: u64, within: Option<Arc<Budget>>, common: Arc<Common>) -> Budget {
        Budget { held: AtomicU64::new(0), limit, starved: AtomicBool::new(false), within, common }
    }

    /// A stream's budget within this one.
    pub(crate) fn window(self: &Arc<Budget>, limit: u64) -> Budget {
        Budget::within(limit, Some(Arc::clone(self)), Arc::clone(&self.common))
    }

    /// Whether bytes that somebody was waiting for were given back, since they were last taken note of.
    pub(crate) fn has_freed(&self) -> bool {
        self.common.freed.load(Ordering::SeqCst)
    }

    /// Takes note of it.
    pub(crate) fn take_freed(&self) -> bool {
        self.has_freed() && self.common.freed.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether more may be received. After `false` the worker is woken when that changes.
    pub(crate) fn has_room(&self) -> bool {
        self.has_own_room() && self.within.as_ref().is_none_or(|within| within.has_own_room())
    }

    fn has_own_room(&self) -> bool {
        if self.held.load(Ordering::SeqCst) <= self.limit {
            return true;
        }
        self.starved.store(true, Ordering::SeqCst);
        // The host may have let go between the two: look again, now that it would see the flag.
        self.held.load(Ordering::SeqCst) <= self.limit
    }

    fn charge(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::SeqCst);
        if let Some(within) = &self.within {
            within.charge(bytes);
        }
    }

    fn give_back(&self, bytes: u64) {
        let left = self.held.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if left <= self.limit && self.starved.load(Ordering::SeqCst) && self.starved.swap(false, Ordering::SeqCst) {
            self.common.freed.store(true, Ordering::SeqCst);
            (self.common.wake)();
        }
        if let Some(within) = &self.within {
            within.give_back(bytes);
        }
    }
}

/// A body in memory, held against its client's budget until it is dropped or taken over.
pub struct Body {
    /// The bytes and one NUL.
    bytes: Vec<u8>,
    charged: u64,
    budget: Arc<Budget>,
}

impl Body {
    /// Charges `bytes`, to which a NUL is added.
    pub(crate) fn new(bytes: Vec<u8>, budget: &Arc<Budget>) -> Body {
        let charged = bytes.len() as u64;
        Body::charged(bytes, charged, budget)
    }

    /// A piece of a stream: charged with what its event takes, too, so that a trickle of bytes does not pile up.
    pub(crate) fn piece(bytes: Vec<u8>, window: &Arc<Budget>) -> Body {
        let charged = bytes.len() as u64 + EVENT_BYTES;
        Body::charged(bytes, charged, window)
    }

    fn charged(mut bytes: Vec<u8>, charged: u64, budget: &Arc<Budget>) -> Body {
        budget.charge(charged);
        bytes.push(0);
        Body { bytes, charged, budget: Arc::clone(budget) }
    }

    /// The body's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or(&[])
    }

    /// How many bytes the body has.
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(1)
    }

    /// How many bytes there is room for.
    pub(crate) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether the body has no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the bytes over, without a copy; they no longer count against the client's budget.
    pub fn into_vec(mut self) -> Vec<u8> {
        self.bytes.pop();
        std::mem::take(&mut self.bytes)
    }

    /// The bytes no longer count against the client's budget.
    pub(crate) fn release(&mut self) {
        let charged = std::mem::take(&mut self.charged);
        if charged > 0 {
            self.budget.give_back(charged);
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.release();
        if self.bytes.capacity() >= LARGE {
            (self.budget.common.dispose)(std::mem::take(&mut self.bytes));
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn budget(limit: u64) -> (Arc<Budget>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        let wake = move || {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        let budget = Budget::new(limit, wake, drop);
        (Arc::new(budget), wakes)
    }

    #[test]
    fn a_starved_worker_is_woken_once_when_there_is_room() {
        let (budget, wakes) = budget(10);
        let (a, b) = (Body::new(vec![1; 8], &budget), Body::new(vec![2; 8], &budget));
        assert!(!budget.has_room());
        drop(a);
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        assert!(budget.has_room());
        drop(b);
        assert_eq!((wakes.load(Ordering::SeqCst), budget.held()), (1, 0));
    }

    #[test]
    fn a_window_has_room_only_within_the_whole() {
        let (whole, wakes) = budget(10_000);
        let window = Arc::new(whole.window(1000));
        let piece = Body::piece(vec![1; 600], &window);
        assert!(whole.has_room() && !window.has_room() && !whole.take_freed());
        assert_eq!((window.held(), whole.held()), (1112, 1112));
        drop(piece);
        assert_eq!((wakes.load(Ordering::SeqCst), window.held(), whole.held()), (1, 0, 0));
        assert!(whole.take_freed() && !whole.take_freed() && window.has_room());
        let other = Body::new(vec![1; 10_001], &whole);
        assert!(!window.has_room());
        drop(other);
        assert!(whole.take_freed() && window.has_room());
    }

    #[test]
    fn large_bodies_are_freed_elsewhere() {
        let (sender, elsewhere) = std::sync::mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let budget = Arc::new(Budget::new(10, || (), move |bytes| sender.lock().unwrap().send(bytes).unwrap()));
        drop(Body::new(vec![1; 100], &budget));
        assert!(elsewhere.try_recv().is_err());
        drop(Body::new(vec![1; LARGE], &budget));
        assert_eq!(elsewhere.try_recv().unwrap().len(), LARGE + 1);
        assert_eq!(Body::new(vec![1; LARGE], &budget).into_vec().len(), LARGE);
        assert!(elsewhere.try_recv().is_err(), "one taken over is its taker's to free");
    }

    #[test]
    fn a_body_taken_over_is_whole_and_no_longer_counts() {
        let (budget, _) = budget(10);
        let body = Body::new(b"abc".to_vec(), &budget);
        assert_eq!((body.as_bytes(), body.len(), budget.held()), (&b"abc"[..], 3, 3));
        assert_eq!(body.into_vec(), b"abc");
        assert_eq!(budget.held(), 0);
    }
}
