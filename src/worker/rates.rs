//! Bandwidth: limits of single requests, and one of all together, which they then share fairly.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::request::Rates;
use crate::slots::RequestId;

/// How much time's worth may go at once after a rest.
const BURST: Duration = Duration::from_millis(50);
/// A piece to send is what goes in this part of a second, but not less than so many bytes.
const PIECES_A_SECOND: u64 = 20;
const MIN_PIECE: u64 = 1024;
/// How often the rates that are told of are measured anew.
const SPAN: Duration = Duration::from_millis(500);

/// A rate that is kept to. More may be taken than there is at a time; it is then made up for by a wait.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// Bytes a second; 0 sets no limit.
    rate: u64,
    /// From when on there is something to take.
    ready: Duration,
}

impl Pace {
    fn set(&mut self, rate: u64, now: Duration) {
        if rate == self.rate {
            return;
        }
        // What was taken at another rate is not made up for at this one.
        *self = Pace { rate, ready: self.ready.min(now) };
    }

    fn is_ready(&self, now: Duration) -> bool {
        self.rate == 0 || self.ready <= now
    }

    fn take(&mut self, count: u64, now: Duration) {
        if self.rate != 0 {
            let nanos = u128::from(count) * 1_000_000_000 / u128::from(self.rate);
            let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.ready = self.ready.max(now.saturating_sub(BURST)).saturating_add(wait);
        }
    }

    fn piece(&self) -> u64 {
        if self.rate == 0 { u64::MAX } else { (self.rate / PIECES_A_SECOND).max(MIN_PIECE) }
    }
}

/// What one transfer may take in one direction, and has had.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    pace: Pace,
    had: u64,
}

impl Share {
    pub(super) fn new(rate: u64) -> Share {
        Share { pace: Pace { rate, ready: Duration::ZERO }, had: 0 }
    }

    pub(super) fn set(&mut self, rate: u64, now: Duration) {
        self.pace.set(rate, now);
    }
}

/// One direction of all transfers.
#[derive(Default)]
pub(super) struct Line {
    pace: Pace,
    /// Who waits for a turn, by how much each has had.
    queue: BTreeSet<(u64, RequestId)>,
    /// Who waits for a limit of its own, by when it is over.
    slow: BTreeSet<(Duration, RequestId)>,
    /// How much who had the last turn had had by then. Newcomers start there: they do not catch up on what they missed.
    floor: u64,
}

impl Line {
    /// Whether a transfer has to wait before it takes more; it is then among those that `next` names in their time.
    pub(super) fn must_wait(&mut self, id: RequestId, share: &mut Share, now: Duration) -> bool {
        if !share.pace.is_ready(now) {
            self.slow.insert((share.pace.ready, id));
            return true;
        }
        if self.pace.rate == 0 {
            return false;
        }
        share.had = share.had.max(self.floor);
        let others_first = self.queue.first().is_some_and(|(had, _)| *had < share.had);
        if self.pace.is_ready(now) && !others_first {
            return false;
        }
        self.queue.insert((share.had, id));
        true
    }

    /// How much a transfer should take at a time.
    pub(super) fn piece(&self, share: &Share) -> usize {
        usize::try_from(self.pace.piece().min(share.pace.piece())).unwrap_or(usize::MAX)
    }

    pub(super) fn take(&mut self, share: &mut Share, count: usize, now: Duration) {
        let count = count as u64;
        share.pace.take(count, now);
        if self.pace.rate != 0 {
            self.pace.take(count, now);
            share.had = share.had.saturating_add(count);
        }
    }

    pub(super) fn set(&mut self, rate: u64, now: Duration) {
        self.pace.set(rate, now);
    }

    /// Who may go on now: all whose own wait is over, and one of those who wait for their turn, since it may take only later
    /// in this turn of the worker. It may have ended, or not have waited any more.
    fn next(&mut self, now: Duration, next: &mut Vec<RequestId>) {
        while let Some((_, id)) = self.slow.first().copied().filter(|(at, _)| *at <= now) {
            self.slow.pop_first();
            next.push(id);
        }
        if self.pace.is_ready(now)
            && let Some((had, id)) = self.queue.pop_first()
        {
            self.floor = had;
            next.push(id);
        }
    }

    /// When somebody may go on.
    pub(super) fn due(&self) -> Option<Duration> {
        let turn = self.queue.first().map(|_| self.pace.ready);
        let own = self.slow.first().map(|(at, _)| *at);
        [turn, own].into_iter().flatten().min()
    }
}

/// Both directions of all transfers.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) receive: Line,
    pub(super) send: Line,
}

impl Lines {
    pub(super) fn new(rates: Rates) -> Lines {
        let mut lines = Lines::default();
        lines.set(rates, Duration::ZERO);
        lines
    }

    pub(super) fn set(&mut self, rates: Rates, now: Duration) {
        self.receive.set(rates.receive, now);
        self.send.set(rates.send, now);
    }

    /// Who may go on now.
    pub(super) fn next(&mut self, now: Duration) -> Vec<RequestId> {
        let mut next = Vec::new();
        self.receive.next(now, &mut next);
        self.send.next(now, &mut next);
        next
    }

    pub(super) fn due(&self) -> Option<Duration> {
        [self.receive.due(), self.send.due()].into_iter().flatten().min()
    }
}

/// Tells how fast a count grows.
#[derive(Default)]
pub(super) struct Meter {
    since: Duration,
    from: u64,
    per_second: u64,
    /// The present span has begun.
    running: bool,
}

impl Meter {
    /// Notes the count, and tells its rate in bytes a second.
    pub(super) fn note(&mut self, count: u64, now: Duration) -> u64 {
        if !self.running && count != self.from {
            (self.since, self.running) = (now, true);
        }
        let span = now.saturating_sub(self.since);
        if self.running && span >= SPAN {
            let grown = u128::from(count.saturating_sub(self.from)) * 1_000_000_000 / span.as_nanos().max(1);
            self.per_second = u64::try_from(grown).unwrap_or(u64::MAX);
            self.running = count != self.from;
            (self.since, self.from) = (now, count);
        }
        self.per_second
    }

    /// When the rate is to be measured anew.
    pub(super) fn due(&self) -> Option<Duration> {
        self.running.then(|| self.since.saturating_add(SPAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_pace_is_kept_on_average_whatever_the_pieces() {
        for (rate, piece) in [(1_000_000, 16_384), (10_000, 16_384), (100_000, 100)] {
            let mut pace = Pace { rate, ready: Duration::ZERO };
            let (mut now, mut taken) = (Duration::from_secs(5), 0);
            let end = now + Duration::from_secs(60);
            while now < end {
                while pace.is_ready(now) {
                    pace.take(piece, now);
                    taken += piece;
                }
                now += MS;
            }
            let expected = rate * 60;
            let most = expected + rate / 10 + piece;
            assert!((expected - expected / 50..=most).contains(&taken), "{taken} at {rate}");
        }
    }

    #[test]
    fn a_new_rate_forgets_what_the_old_one_owed() {
        let mut pace = Pace { rate: 1, ready: Duration::ZERO };
        pace.take(16_384, Duration::ZERO);
        assert!(!pace.is_ready(Duration::from_secs(3600)));
        pace.set(1_000_000, MS);
        assert!(pace.is_ready(MS));
        pace.set(0, MS);
        pace.take(u64::MAX, MS);
        assert!(pace.is_ready(MS));
    }

    /// Runs transfers that always have something to take, for so many seconds; gives what each has had.
    fn share_out(line: &mut Line, shares: &mut [(RequestId, Share, usize)], from: Duration, seconds: u64) -> Vec<u64> {
        let mut had = vec![0; shares.len()];
        let mut now = from;
        let mut going: Vec<RequestId> = shares.iter().map(|(id, ..)| *id).collect();
        while now < from + Duration::from_secs(seconds) {
            loop {
                if going.is_empty() {
                    line.next(now, &mut going);
                }
                let Some(id) = going.pop() else { break };
                let Some(at) = shares.iter().position(|(other, ..)| *other == id) else { continue };
                let (id, share, piece) = &mut shares[at];
                while !line.must_wait(*id, share, now) {
                    line.take(share, *piece, now);
                    had[at] += *piece as u64;
                }
            }
            now += MS;
        }
        had
    }

    #[test]
    fn a_line_is_shared_evenly_whatever_the_pieces() {
        let slots = Slots::new(8);
        let mut line = Line::default();
        line.set(1_000_000, Duration::ZERO);
        let pieces = [16_384, 1_000, 16_384, 400];
        let mut shares: Vec<_> =
            pieces.iter().map(|piece| (slots.claim().unwrap(), Share::default(), *piece)).collect();
        let had = share_out(&mut line, &mut shares, Duration::ZERO, 20);
        assert!(had.iter().all(|had| (4_800_000..=5_200_000).contains(had)), "{had:?}");
        // One that comes late gets its part from then on, and no more.
        shares.push((slots.claim().unwrap(), Share::default(), 16_384));
        let had = share_out(&mut line, &mut shares, Duration::from_secs(20), 20);
        assert!(had.iter().all(|had| (3_800_000..=4_200_000).contains(had)), "{had:?}");
    }

    #[test]
    fn what_a_slow_one_leaves_goes_to_the_others() {
        let slots = Slots::new(8);
        let mut line = Line::default();
        line.set(1_000_000, Duration::ZERO);
        let mut shares = vec![
            (slots.claim().unwrap(), Share::new(100_000), 4_096),
            (slots.claim().unwrap(), Share::default(), 16_384),
        ];
        let had = share_out(&mut line, &mut shares, Duration::ZERO, 20);
        assert!((1_900_000..=2_100_000).contains(&had[0]), "{had:?}");
        assert!((17_500_000..=18_200_000).contains(&had[1]), "{had:?}");
    }

    #[test]
    fn a_meter_tells_what_went_by_and_comes_to_rest() {
        let mut meter = Meter::default();
        let start = Duration::from_secs(100);
        assert_eq!((meter.note(0, start), meter.due()), (0, None));
        let mut now = start;
        for step in 1..=1000_u64 {
            now = start + MS * u32::try_from(step).unwrap();
            meter.note(step * 1000, now);
        }
        assert!((900_000..=1_100_000).contains(&meter.note(1_000_000, now)));
        assert!(meter.due().is_some());
        meter.note(1_000_000, now + SPAN);
        assert_eq!((meter.note(1_000_000, now + SPAN * 2), meter.due()), (0, None));
    }
}
