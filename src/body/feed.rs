//! A request's body that the program hands over piece by piece while it is sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::body::source::{BodyLength, Pull, copy};

/// Pieces are joined up to this.
const MERGED: usize = 16 << 10;

/// How much more of a body may be handed over. The program's threads take of it, the worker gives back what it has sent.
pub(crate) struct Room {
    free: AtomicU64,
    window: u64,
    /// Somebody got less than was asked for.
    wanted: AtomicBool,
    /// The event that tells of room is on its way.
    told: AtomicBool,
}

impl Room {
    pub(crate) fn new(window: u32) -> Room {
        Room {
            free: AtomicU64::new(window.into()),
            window: window.into(),
            wanted: AtomicBool::new(false),
            told: AtomicBool::new(false),
        }
    }

    /// Takes as much as there is of `count` bytes. After less than that, `give` tells when there is room again.
    pub(crate) fn take(&self, count: u64) -> u64 {
        let taken = self.grab(count);
        if taken == count {
            return taken;
        }
        self.wanted.store(true, Ordering::SeqCst);
        // What was given back just before nobody has been told of.
        let taken = taken + self.grab(count - taken);
        if taken == count {
            self.wanted.store(false, Ordering::SeqCst);
        }
        taken
    }

    /// The event that tells of room has been drained.
    pub(crate) fn heard(&self) {
        self.told.store(false, Ordering::SeqCst);
    }

    /// Gives back what was taken and not used.
    pub(crate) fn put_back(&self, count: u64) {
        self.free.fetch_add(count, Ordering::SeqCst);
    }

    fn grab(&self, count: u64) -> u64 {
        let take = |free: u64| Some(free.saturating_sub(count));
        let free = self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        free.unwrap_or(0).min(count)
    }

    /// Gives room back; `true` if somebody waits for it and there is enough to be worth while.
    fn give(&self, count: u64) -> bool {
        let free = self.free.fetch_add(count, Ordering::SeqCst) + count;
        let enough = free >= self.window / 2 && self.wanted.swap(false, Ordering::SeqCst);
        // Who hears of it later hears of this too.
        enough && !self.told.swap(true, Ordering::SeqCst)
    }
}

/// What has been handed over and is not yet sent.
pub(crate) struct Feed {
    room: Arc<Room>,
    chunks: VecDeque<Vec<u8>>,
    /// How much of the first chunk is sent.
    at: usize,
    length: Option<u64>,
    sent: u64,
    finished: bool,
    /// There is room again for somebody who waits.
    news: bool,
}

impl Feed {
    pub(crate) fn new(length: Option<u64>, room: Arc<Room>) -> Feed {
        Feed { room, chunks: VecDeque::new(), at: 0, length, sent: 0, finished: false, news: false }
    }

    pub(crate) fn length(&self) -> BodyLength {
        self.length.map_or(BodyLength::Unknown, BodyLength::Known)
    }

    /// Whether some of it is gone: it cannot be sent again from its start.
    pub(crate) fn is_spent(&self) -> bool {
        self.sent > 0
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        match self.chunks.back_mut() {
            // Many small pieces would take up more than they hold.
            Some(last) if last.len() + bytes.len() <= MERGED => last.extend_from_slice(&bytes),
            _ => self.chunks.push_back(bytes),
        }
    }

    /// Whether there is nothing more to send.
    pub(crate) fn is_at_end(&self) -> bool {
        self.chunks.is_empty() && self.is_whole()
    }

    fn is_whole(&self) -> bool {
        self.finished || self.length.is_some_and(|length| self.sent >= length)
    }

    /// There is no more to come.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether there is room again for somebody who waits; asked again, there is not.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn pull(&mut self, out: &mut [u8]) -> Pull {
        let mut count = 0;
        while let Some(first) = self.chunks.front()
            && let Some(rest) = out.get_mut(count..).filter(|rest| !rest.is_empty())
        {
            let copied = copy(rest, first.get(self.at..).unwrap_or(&[]));
            count += copied;
            self.at += copied;
            if self.at >= first.len() {
                self.chunks.pop_front();
                self.at = 0;
            }
        }
        if count == 0 && !self.is_whole() {
            return Pull::Wait;
        }
        self.sent += count as u64;
        self.news |= self.room.give(count as u64);
        Pull::Bytes(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(window: u32, length: Option<u64>) -> (Arc<Room>, Feed) {
        let room = Arc::new(Room::new(window));
        (Arc::clone(&room), Feed::new(length, room))
    }

    fn pull(feed: &mut Feed, size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; size];
        match feed.pull(&mut out) {
            Pull::Bytes(count) => Some(out[..count].to_vec()),
            Pull::Wait => None,
        }
    }

    #[test]
    fn what_is_handed_over_comes_in_order_and_then_the_end() {
        let (_, mut feed) = feed(100, None);
        assert_eq!(pull(&mut feed, 10), None);
        feed.push(b"hello ".to_vec());
        feed.push(b"world".to_vec());
        assert!(!feed.is_spent());
        assert_eq!(pull(&mut feed, 8), Some(b"hello wo".to_vec()));
        assert!(feed.is_spent());
        assert_eq!(pull(&mut feed, 8), Some(b"rld".to_vec()));
        assert_eq!(pull(&mut feed, 8), None);
        feed.finish();
        assert_eq!(pull(&mut feed, 8), Some(vec![]));
    }

    #[test]
    fn a_known_length_is_an_end() {
        let (_, mut feed) = feed(100, Some(3));
        feed.push(b"abc".to_vec());
        assert_eq!(pull(&mut feed, 8), Some(b"abc".to_vec()));
        assert_eq!(pull(&mut feed, 8), Some(vec![]));
    }

    #[test]
    fn room_is_told_of_once_to_who_waits_and_only_if_there_is_much() {
        let (room, mut feed) = feed(100, None);
        assert_eq!((room.take(60), room.take(60)), (60, 40));
        feed.push(vec![1; 60]);
        feed.push(vec![2; 40]);
        pull(&mut feed, 49);
        assert!(!feed.take_news(), "less than half is free");
        pull(&mut feed, 1);
        assert!(feed.take_news() && !feed.take_news());
        room.take(100);
        pull(&mut feed, 20);
        assert!(!feed.take_news(), "told, and not yet heard");
        room.heard();
        assert_eq!(room.take(100), 20);
        feed.push(vec![3; 70]);
        pull(&mut feed, 50);
        assert!(feed.take_news());
        room.heard();
        pull(&mut feed, 50);
        assert!(!feed.take_news(), "nobody waits");
        assert_eq!(room.take(100), 100);
    }

    #[test]
    fn no_room_is_lost_or_made_between_threads() {
        let (room, mut feed) = feed(1000, None);
        let rounds = if cfg!(miri) { 200 } else { 100_000_u64 };
        let (sender, receiver) = std::sync::mpsc::channel();
        let taker = std::thread::spawn(move || {
            let mut left = rounds;
            while left > 0 {
                let taken = room.take(left.min(700));
                left -= taken;
                if taken == 0 {
                    std::thread::yield_now();
                } else {
                    sender.send(taken).unwrap();
                }
            }
            room
        });
        while let Ok(taken) = receiver.recv() {
            feed.push(vec![0; usize::try_from(taken).unwrap()]);
            while matches!(pull(&mut feed, 300), Some(bytes) if !bytes.is_empty()) {}
        }
        let room = taker.join().unwrap();
        assert_eq!((feed.sent(), room.take(5000)), (rounds, 1000));
    }
}
