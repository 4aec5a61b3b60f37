//! Memory that is used again: what the program has let go of, and what the disk has written.

use crate::event::Event;
use crate::headers::Head;

/// How much a buffer for the disk has room for.
const DISK_BUFFER: usize = super::exchange::DISK_CHUNK + super::exchange::MAX_PIECE;

/// How many buffers of a kind are kept.
const MAX_DISK_BUFFERS: usize = 16;
const MAX_BODIES: usize = 64;
const MAX_HEADS: usize = 64;
/// The room of bodies and heads that are kept: a smaller one may have as much, so it must not be large.
const MAX_BODY_ROOM: usize = 16 << 10;
const MAX_HEAD_ROOM: usize = 4 << 10;

/// Buffers for what comes next.
#[derive(Default)]
pub(super) struct Spare {
    disk: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    heads: Vec<Head>,
}

impl Spare {
    /// An empty buffer for the disk.
    pub(super) fn disk_buffer(&mut self) -> Vec<u8> {
        self.disk.pop().unwrap_or_else(|| Vec::with_capacity(DISK_BUFFER))
    }

    /// Keeps one that the disk has written.
    pub(super) fn keep_disk_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.disk.len() < MAX_DISK_BUFFERS && buffer.capacity() >= DISK_BUFFER {
            buffer.clear();
            self.disk.push(buffer);
        }
    }

    /// An empty body with this much room, or with less if memory has no more now: there may be when the bytes come.
    pub(super) fn body(&mut self, room: usize) -> Vec<u8> {
        let mut body = if room <= MAX_BODY_ROOM { self.bodies.pop().unwrap_or_default() } else { Vec::new() };
        let _ = body.try_reserve_exact(room);
        body
    }

    /// A head of nothing yet.
    pub(super) fn head(&mut self) -> Head {
        self.heads.pop().unwrap_or_default()
    }

    /// Keeps what is of use of an event that the program has let go of, and frees the rest.
    pub(super) fn keep(&mut self, event: Event) {
        let Some(response) = event.response else { return };
        if let Some(body) = response.body
            && self.bodies.len() < MAX_BODIES
            && body.room() <= MAX_BODY_ROOM
        {
            let mut body = body.into_vec();
            body.clear();
            self.bodies.push(body);
        }
        let head = Head::from(response.headers);
        if self.heads.len() < MAX_HEADS && (1..=MAX_HEAD_ROOM).contains(&head.room()) {
            self.heads.push(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Body, Budget};
    use crate::event::{EventKind, Network, Response};
    use crate::slots::RequestId;
    use crate::text::Text;
    use std::sync::Arc;

    fn ended(body: Vec<u8>) -> Event {
        let budget = Arc::new(Budget::new(u64::MAX, || {}, drop));
        let mut head = Head::default();
        head.begin(b"HTTP/1.1 200 OK");
        head.add(b"Secret: yes").unwrap();
        let response = Response { headers: head.finish(), body: Some(Body::new(body, &budget)), ..Response::default() };
        Event {
            request: RequestId::NONE,
            user_data: 0,
            kind: EventKind::Ended,
            url: Text::from(""),
            transferred: 0,
            estimated: 0,
            response: Some(Box::new(response)),
            network: Network::default(),
        }
    }

    #[test]
    fn what_was_let_go_of_comes_back_empty() {
        let mut spare = Spare::default();
        spare.keep(ended(vec![1; 5000]));
        let body = spare.body(100);
        assert!(body.is_empty() && body.capacity() >= 5000);
        let mut head = spare.head();
        assert!(head.room() > 0);
        assert!(head.finish().status_line().is_none());
        assert!(spare.body(100).capacity() < 5000, "there was one");
    }

    #[test]
    fn what_is_large_is_not_kept_and_not_too_many_are() {
        let mut spare = Spare::default();
        spare.keep(ended(vec![1; MAX_BODY_ROOM + 1]));
        assert_eq!(spare.body(1).capacity(), 1);
        for _ in 0..2 * MAX_BODIES {
            spare.keep(ended(vec![1; 10]));
        }
        assert_eq!((spare.bodies.len(), spare.heads.len()), (MAX_BODIES, MAX_HEADS));
        for _ in 0..2 * MAX_DISK_BUFFERS {
            spare.keep_disk_buffer(Vec::with_capacity(DISK_BUFFER));
            spare.keep_disk_buffer(Vec::with_capacity(DISK_BUFFER - 1));
        }
        assert_eq!(spare.disk.len(), MAX_DISK_BUFFERS);
        assert!(spare.disk_buffer().capacity() >= DISK_BUFFER);
    }
}
