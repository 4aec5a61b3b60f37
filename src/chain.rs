//! Lists that change hands between threads whole, without a lock and without a copy.
//!
//! Of the two operations on what threads share, one adds a link and the other takes all of them. Nothing is ever taken out
//! singly, so no link can be given out again while somebody still looks at it, and one compare-and-swap is enough.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// An item with room for what comes after it.
pub(crate) struct Link<T> {
    next: *mut Link<T>,
    pub(crate) item: T,
}

impl<T> Link<T> {
    pub(crate) fn new(item: T) -> Box<Link<T>> {
        Box::new(Link { next: ptr::null_mut(), item })
    }
}

// SAFETY: `next` is null or leads to links that are owned along with this one.
unsafe impl<T: Send> Send for Link<T> {}

/// Links in order, owned by one thread.
pub(crate) struct Chain<T> {
    first: *mut Link<T>,
    /// Of no meaning while there is no first.
    last: *mut Link<T>,
    owns: PhantomData<Box<Link<T>>>,
}

// SAFETY: the links are owned.
unsafe impl<T: Send> Send for Chain<T> {}

impl<T> Chain<T> {
    pub(crate) const fn new() -> Chain<T> {
        Chain { first: ptr::null_mut(), last: ptr::null_mut(), owns: PhantomData }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds a link at the end.
    pub(crate) fn push(&mut self, mut link: Box<Link<T>>) {
        link.next = ptr::null_mut();
        let link = Box::into_raw(link);
        if self.first.is_null() {
            self.first = link;
        } else {
            // SAFETY: `last` is the last link of this chain, which owns it.
            unsafe { (*self.last).next = link };
        }
        self.last = link;
    }

    /// Takes the first link.
    pub(crate) fn pop(&mut self) -> Option<Box<Link<T>>> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: made by Box::into_raw, and owned by this chain, which forgets it here.
        let link = unsafe { Box::from_raw(self.first) };
        self.first = link.next;
        Some(link)
    }

    pub(crate) fn for_each(&mut self, mut act: impl FnMut(&mut T)) {
        let mut link = self.first;
        // SAFETY: each is null or a link of this chain, which nobody else has.
        while let Some(here) = unsafe { link.as_mut() } {
            act(&mut here.item);
            link = here.next;
        }
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// Where any thread leaves links, and one takes them all.
pub(crate) struct Inbox<T> {
    newest: AtomicPtr<Link<T>>,
    owns: PhantomData<Box<Link<T>>>,
}

// SAFETY: a link is reached by the one thread that has just taken it out.
unsafe impl<T: Send> Sync for Inbox<T> {}
// SAFETY: the links are owned.
unsafe impl<T: Send> Send for Inbox<T> {}

impl<T> Inbox<T> {
    pub(crate) const fn new() -> Inbox<T> {
        Inbox { newest: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.load(Ordering::SeqCst).is_null()
    }

    /// Leaves a link, after all that were left before.
    pub(crate) fn push(&self, link: Box<Link<T>>) {
        let link = Box::into_raw(link);
        // SAFETY: just made; one link is its own last.
        unsafe { self.leave(link, link) };
    }

    /// Leaves all links of a chain, whose order is lost.
    pub(crate) fn push_all(&self, chain: Chain<T>) {
        if !chain.is_empty() {
            // SAFETY: the chain has owned them, and is forgotten.
            unsafe { self.leave(chain.first, chain.last) };
            std::mem::forget(chain);
        }
    }

    /// # Safety
    /// `newest` leads to `oldest` by each link's `next`, and the caller gives all of them up.
    unsafe fn leave(&self, newest: *mut Link<T>, oldest: *mut Link<T>) {
        let mut before = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: the links are the caller's until they are in.
            unsafe { (*oldest).next = before };
            match self.newest.compare_exchange_weak(before, newest, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }

    /// Takes all links, in the order in which they were left.
    pub(crate) fn take(&self) -> Chain<T> {
        let mut chain = Chain::new();
        let mut link = self.newest.swap(ptr::null_mut(), Ordering::SeqCst);
        chain.last = link;
        while !link.is_null() {
            // SAFETY: taken out by the swap, so it is ours alone.
            let older = unsafe { std::mem::replace(&mut (*link).next, chain.first) };
            chain.first = link;
            link = older;
        }
        chain
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn items(mut chain: Chain<u32>) -> Vec<u32> {
        std::iter::from_fn(|| chain.pop()).map(|link| link.item).collect()
    }

    #[test]
    fn links_come_in_the_order_in_which_they_were_left() {
        let inbox = Inbox::new();
        assert!(inbox.is_empty() && items(inbox.take()).is_empty());
        (0..4).for_each(|item| inbox.push(Link::new(item)));
        assert!(!inbox.is_empty());
        assert_eq!(items(inbox.take()), [0, 1, 2, 3]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_chain_grows_at_its_end_and_goes_over_whole() {
        let (mut chain, inbox) = (Chain::new(), Inbox::new());
        (1..4).for_each(|item| chain.push(Link::new(item)));
        chain.for_each(|item| *item *= 10);
        assert_eq!(chain.pop().map(|link| link.item), Some(10));
        chain.push(Link::new(40));
        inbox.push(Link::new(1));
        inbox.push_all(chain);
        inbox.push_all(Chain::new());
        let mut all = items(inbox.take());
        all.sort_unstable();
        assert_eq!(all, [1, 20, 30, 40]);
    }

    #[test]
    fn what_nobody_takes_is_dropped() {
        let counted = Arc::new(());
        let (mut chain, inbox) = (Chain::new(), Inbox::new());
        for _ in 0..3 {
            chain.push(Link::new(Arc::clone(&counted)));
            inbox.push(Link::new(Arc::clone(&counted)));
        }
        drop((chain, inbox));
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn nothing_is_lost_or_doubled_between_threads() {
        let inbox = Inbox::new();
        let each: u32 = if cfg!(miri) { 50 } else { 50_000 };
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let inbox = &inbox;
                scope.spawn(move || (0..each).for_each(|item| inbox.push(Link::new(thread * each + item))));
            }
            // What each thread leaves comes in its order.
            let mut next = [0, each, 2 * each];
            let mut seen = 0;
            while seen < 3 * each {
                let mut chain = inbox.take();
                while let Some(link) = chain.pop() {
                    let thread = (link.item / each) as usize;
                    assert_eq!(link.item, next[thread]);
                    next[thread] += 1;
                    seen += 1;
                }
            }
        });
        assert!(inbox.is_empty());
    }
}
