//! A value that the worker publishes and the program's threads read, none of them waiting for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// Two places: readers come to the newer one, the publisher writes to the other and then says that it is the newer.
#[derive(Default)]
pub(crate) struct Published<T> {
    places: (RwLock<Arc<T>>, RwLock<Arc<T>>),
    second_is_newer: AtomicBool,
}

impl<T> Published<T> {
    /// Publishes a value; `false` if a reader is still at the older one: then it is tried again later. For one thread.
    pub(crate) fn publish(&self, value: Arc<T>) -> bool {
        let second = !self.second_is_newer.load(Ordering::SeqCst);
        let place = if second { &self.places.1 } else { &self.places.0 };
        let Some(mut place) = place.try_write() else { return false };
        let old = std::mem::replace(&mut *place, value);
        self.second_is_newer.store(second, Ordering::SeqCst);
        drop(place);
        drop(old);
        true
    }

    /// The newest value.
    pub(crate) fn read(&self) -> Arc<T> {
        loop {
            let second = self.second_is_newer.load(Ordering::SeqCst);
            let place = if second { &self.places.1 } else { &self.places.0 };
            // It is locked only if it has become the older one meanwhile, so a publisher that is held up holds up nobody.
            if let Some(value) = place.try_read() {
                return Arc::clone(&value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_never_see_an_older_value_after_a_newer_one() {
        let published = Published::<u64>::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 10_000 {
                        let value = *published.read();
                        assert!(value >= last, "{value} after {last}");
                        last = value;
                    }
                });
            }
            for value in 1..=10_000 {
                while !published.publish(Arc::new(value)) {
                    std::thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn a_reader_at_the_older_value_holds_up_nobody() {
        let published = Published::<u64>::default();
        let reading = published.places.0.read();
        assert!(published.publish(Arc::new(1)), "to the other place");
        assert_eq!(*published.read(), 1);
        assert!(!published.publish(Arc::new(2)) && *published.read() == 1);
        drop(reading);
        assert!(published.publish(Arc::new(2)) && *published.read() == 2);
    }
}
