//! Request ids: a growing table of slots, each reused with a new generation, read and claimed without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

/// A request's id: its slot in the low 20 bits, that slot's generation in the 33 bits above. Never 0, but for `NONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

const INDEX_BITS: u32 = 20;
const GENERATION_BITS: u32 = 33;
/// The most slots that an id can tell apart.
pub(crate) const MAX_SLOTS: u32 = 1 << INDEX_BITS;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
/// Set in a slot's state while its request is live.
const LIVE: u64 = 1 << 63;
/// The end of the list of free slots.
const NONE: u32 = u32::MAX;

impl RequestId {
    /// No request: what a line of the trace is about that tells of the client. Its number is 0.
    pub const NONE: RequestId = RequestId(0);

    /// The id with this number, or `None` for a number that no id has.
    pub fn from_number(number: u64) -> Option<RequestId> {
        (number != 0 && number >> (INDEX_BITS + GENERATION_BITS) == 0).then_some(RequestId(number))
    }

    /// The id's number, below 2^53; 0 for `NONE` alone.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The slot's place in the table.
    #[allow(clippy::cast_possible_truncation)] // masked to 20 bits
    pub(crate) fn index(self) -> usize {
        (self.0 & u64::from(MAX_SLOTS - 1)) as usize
    }

    fn generation(self) -> u64 {
        self.0 >> INDEX_BITS
    }
}

/// What the host's threads and the worker share about one request.
#[derive(Default)]
pub(crate) struct Slot {
    /// The generation, and LIVE.
    state: AtomicU64,
    next_free: AtomicU32,
    transferred: AtomicU64,
    estimated: AtomicI64,
    /// The most that the host has been told of.
    told: AtomicU64,
    /// A PROGRESS event of this request is in the queue.
    progress_queued: AtomicBool,
    /// It is a watch rather than a request.
    watch: AtomicBool,
}

impl Slot {
    /// Whether it is a watch rather than a request.
    pub(crate) fn is_watch(&self) -> bool {
        self.watch.load(Ordering::Relaxed)
    }

    /// Notes how far the transfer is; `true` if a PROGRESS event has to be queued to tell of it.
    pub(crate) fn note_progress(&self, transferred: u64, estimated: i64) -> bool {
        // Who reads the other way round sees an estimate that is no older than the bytes, and so no less.
        self.estimated.store(estimated, Ordering::Release);
        self.transferred.store(transferred, Ordering::Release);
        !self.progress_queued.swap(true, Ordering::AcqRel)
    }

    /// Takes the newest numbers; the next note queues a new event.
    pub(crate) fn take_progress(&self) -> (u64, i64) {
        self.progress_queued.swap(false, Ordering::AcqRel);
        let transferred = self.transferred.load(Ordering::Acquire);
        (transferred, self.estimated.load(Ordering::Acquire))
    }

    /// Notes what the host is about to be told of: never less than before, which it gives.
    pub(crate) fn raise_told(&self, transferred: u64) -> u64 {
        let told = transferred.max(self.told.load(Ordering::Relaxed));
        self.told.store(told, Ordering::Relaxed);
        told
    }
}

/// The first segment's slots; each further segment is as large as all before it.
const FIRST: u32 = 256;
const SEGMENTS: usize = (MAX_SLOTS / FIRST).ilog2() as usize + 1;

/// Every slot. Segments are made when first needed and live as long as the table, so a slot is found by two look-ups.
pub(crate) struct Slots {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    /// Slots ever used.
    used: AtomicU32,
    /// The head of the list of free slots in the low half; a count of changes above it, against the ABA problem.
    free: AtomicU64,
    limit: u32,
}

impl Slots {
    /// A table that gives out at most `limit` ids at a time.
    pub(crate) fn new(limit: u32) -> Slots {
        Slots {
            segments: [const { OnceLock::new() }; SEGMENTS],
            used: AtomicU32::new(0),
            free: AtomicU64::new(u64::from(NONE)),
            limit: limit.min(MAX_SLOTS),
        }
    }

    /// The segment of a slot and its place in there.
    fn place(index: u32) -> (usize, u32) {
        if index < FIRST {
            return (0, index);
        }
        let segment = (index / FIRST).ilog2();
        (segment as usize + 1, index - (FIRST << segment))
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        let (segment, place) = Slots::place(index);
        self.segments.get(segment)?.get()?.get(place as usize)
    }

    /// The slot of a live request.
    #[allow(clippy::cast_possible_truncation)] // an index has 20 bits
    pub(crate) fn get(&self, id: RequestId) -> Option<&Slot> {
        let slot = self.slot(id.index() as u32)?;
        (slot.state.load(Ordering::Acquire) == id.generation() | LIVE).then_some(slot)
    }

    /// Claims a slot for a request; `None` if as many as allowed are live.
    pub(crate) fn claim(&self) -> Option<RequestId> {
        self.claim_for(false)
    }

    /// The same for a watch.
    pub(crate) fn claim_watch(&self) -> Option<RequestId> {
        self.claim_for(true)
    }

    fn claim_for(&self, watch: bool) -> Option<RequestId> {
        let index = self.pop_free().or_else(|| self.grow())?;
        let slot = self.slot(index)?;
        let generation = match (slot.state.load(Ordering::Relaxed) + 1) & GENERATION_MASK {
            0 => 1,
            next => next,
        };
        slot.transferred.store(0, Ordering::Relaxed);
        slot.estimated.store(0, Ordering::Relaxed);
        slot.told.store(0, Ordering::Relaxed);
        slot.progress_queued.store(false, Ordering::Relaxed);
        slot.watch.store(watch, Ordering::Relaxed);
        slot.state.store(generation | LIVE, Ordering::Release);
        Some(RequestId(generation << INDEX_BITS | u64::from(index)))
    }

    /// Ends a live id and frees its slot.
    pub(crate) fn release(&self, id: RequestId) {
        if self.retire(id) {
            self.free(id);
        }
    }

    /// Ends a live id: it is stale from now on. Its slot is not used again before it is freed. `false`: it was stale already.
    #[allow(clippy::cast_possible_truncation)] // an index has 20 bits
    pub(crate) fn retire(&self, id: RequestId) -> bool {
        let Some(slot) = self.slot(id.index() as u32) else { return false };
        let (live, ended) = (id.generation() | LIVE, id.generation());
        // Of threads that end it at the same time, one does.
        slot.state.compare_exchange(live, ended, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Frees the slot of an id, once, after it was retired.
    #[allow(clippy::cast_possible_truncation)] // an index has 20 bits
    pub(crate) fn free(&self, id: RequestId) {
        if let Some(slot) = self.slot(id.index() as u32) {
            self.push_free(slot, id.index() as u32);
        }
    }

    fn grow(&self) -> Option<u32> {
        let index = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < self.limit).then_some(used + 1))
            .ok()?;
        let (segment, _) = Slots::place(index);
        let size = if segment == 0 { FIRST } else { FIRST << (segment - 1) };
        self.segments.get(segment)?.get_or_init(|| (0..size).map(|_| Slot::default()).collect());
        Some(index)
    }

    #[allow(clippy::cast_possible_truncation)] // the low half is the index
    fn pop_free(&self) -> Option<u32> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let index = head as u32;
            if index == NONE {
                return None;
            }
            let next = self.slot(index)?.next_free.load(Ordering::Relaxed);
            let new = ((head >> 32) + 1) << 32 | u64::from(next);
            match self.free.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    #[allow(clippy::cast_possible_truncation)] // the low half is the index
    fn push_free(&self, slot: &Slot, index: u32) {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            slot.next_free.store(head as u32, Ordering::Relaxed);
            let new = ((head >> 32) + 1) << 32 | u64::from(index);
            match self.free.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn progress_never_shows_more_than_its_estimate() {
        let slot = Slot::default();
        let rounds: i64 = if cfg!(miri) { 50 } else { 200_000 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for bytes in 1..=rounds {
                    slot.note_progress(bytes.unsigned_abs(), bytes);
                }
            });
            let mut seen = 0;
            while seen < rounds.unsigned_abs() {
                let (transferred, estimated) = slot.take_progress();
                assert!(transferred >= seen && transferred <= estimated.unsigned_abs(), "{transferred} of {estimated}");
                seen = transferred;
            }
        });
    }

    #[test]
    fn segments_join_without_gap() {
        assert_eq!(Slots::place(0), (0, 0));
        assert_eq!(Slots::place(255), (0, 255));
        assert_eq!(Slots::place(256), (1, 0));
        assert_eq!(Slots::place(511), (1, 255));
        assert_eq!(Slots::place(512), (2, 0));
        assert_eq!(Slots::place(1023), (2, 511));
        assert_eq!(Slots::place(MAX_SLOTS - 1), (SEGMENTS - 1, MAX_SLOTS / 2 - 1));
    }

    #[test]
    fn ids_are_distinct_below_2_to_53_and_limited() {
        let slots = Slots::new(1000);
        let ids: HashSet<u64> = (0..1000).map(|_| slots.claim().unwrap().number()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| *id > 0 && *id < 1 << 53));
        assert!(slots.claim().is_none());
    }

    #[test]
    fn a_reused_slot_has_a_new_id_and_the_old_one_is_stale() {
        let slots = Slots::new(1);
        let old = slots.claim().unwrap();
        slots.release(old);
        let new = slots.claim().unwrap();
        assert_ne!(old, new);
        assert!(slots.get(old).is_none() && slots.get(new).is_some());
        slots.release(old);
        assert!(slots.get(new).is_some(), "a stale release does nothing");
    }

    #[test]
    fn a_retired_slot_is_not_used_again_before_it_is_freed() {
        let slots = Slots::new(1);
        let watch = slots.claim_watch().unwrap();
        assert!(slots.retire(watch) && !slots.retire(watch));
        assert!(slots.get(watch).is_none() && slots.claim().is_none());
        slots.free(watch);
        assert!(!slots.get(slots.claim().unwrap()).unwrap().is_watch());
    }

    #[test]
    fn forged_ids_are_stale() {
        let slots = Slots::new(10);
        let id = slots.claim().unwrap();
        for number in [1, id.number() + 1, id.number() + (1 << INDEX_BITS), (1 << 53) - 1] {
            assert!(RequestId::from_number(number).is_none_or(|forged| slots.get(forged).is_none()), "{number}");
        }
        assert!(RequestId::from_number(0).is_none() && RequestId::from_number(1 << 53).is_none());
    }

    #[test]
    fn progress_is_queued_once_until_it_is_taken() {
        let slots = Slots::new(1);
        let slot = slots.get(slots.claim().unwrap()).unwrap();
        assert!(slot.note_progress(1, 10));
        assert!(!slot.note_progress(2, 10));
        assert_eq!(slot.take_progress(), (2, 10));
        assert!(slot.note_progress(3, 10));
    }

    #[test]
    fn threads_never_share_an_id() {
        let slots = Slots::new(64);
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..rounds {
                        let (a, b) = (slots.claim().unwrap(), slots.claim().unwrap());
                        assert_ne!(a, b);
                        let slot = slots.get(a).unwrap();
                        slot.note_progress(round, a.number() as i64);
                        assert_eq!(slot.take_progress(), (round, a.number() as i64));
                        slots.release(b);
                        slots.release(a);
                    }
                });
            }
        });
        assert!(slots.used.load(Ordering::Relaxed) <= 8, "freed slots are used again");
    }
}
