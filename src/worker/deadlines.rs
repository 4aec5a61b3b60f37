//! When to look at which request next. Times are those of the client's clock, which stops while it is suspended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::slots::RequestId;

/// Appointments, the earliest first. One that has become void stays until its time, or until there are so many that
/// they are weeded out; whoever keeps an appointment checks whether it still means something.
#[derive(Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Duration, RequestId)>>,
}

impl Deadlines {
    /// Appointments kept before weeding is thought of.
    const FEW: usize = 1024;

    pub(super) fn add(&mut self, at: Duration, id: RequestId) {
        self.heap.push(Reverse((at, id)));
    }

    /// The time of the earliest appointment.
    pub(super) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes an appointment that is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(Duration, RequestId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// Drops what `valid` says is void, if there is much more than `live` requests can need.
    pub(super) fn weed(&mut self, live: usize, valid: impl Fn(Duration, RequestId) -> bool) {
        if self.heap.len() > Deadlines::FEW + 2 * live {
            self.heap.retain(|Reverse((at, id))| valid(*at, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn appointments_come_in_order_when_they_are_due() {
        let slots = Slots::new(3);
        let [a, b, c] = [(); 3].map(|()| slots.claim().unwrap());
        let seconds = Duration::from_secs;
        let mut deadlines = Deadlines::default();
        deadlines.add(seconds(3), a);
        deadlines.add(seconds(1), b);
        deadlines.add(seconds(2), c);
        assert_eq!(deadlines.next(), Some(seconds(1)));
        assert_eq!(deadlines.take_due(seconds(0)), None);
        assert_eq!(deadlines.take_due(seconds(2)), Some((seconds(1), b)));
        assert_eq!(deadlines.take_due(seconds(2)), Some((seconds(2), c)));
        assert_eq!(deadlines.take_due(seconds(2)), None);
    }

    #[test]
    fn void_appointments_do_not_pile_up() {
        let slots = Slots::new(1);
        let id = slots.claim().unwrap();
        let mut deadlines = Deadlines::default();
        for second in 0..100_000 {
            deadlines.add(Duration::from_secs(second), id);
            deadlines.weed(1, |at, _| at.as_secs() == second);
        }
        assert!(deadlines.heap.len() <= Deadlines::FEW + 2);
    }
}
