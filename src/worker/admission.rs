//! Who may start: priorities, limits in all and per host, and what is known of each host's protocol.
//!
//! libcurl would take every request at once, queue them without regard to priority or deadline, and search all
//! connections to a host for each. So requests wait here, and enter libcurl only within the limits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::request::Priority;
use crate::slots::RequestId;

/// After this long, a waiting request counts as one of the next higher priority that has just come.
const PROMOTION: Duration = Duration::from_secs(10);
/// How many requests a host that speaks HTTP/2 gets at a time.
const MAX_STREAMS: u32 = 100;
/// After how many ended requests a host that could not take more at a time is tried with more.
const STREAMS_RISE: u32 = 32;
/// How many places such a host takes of the limit in all: its connections.
const MAX_STREAM_PLACES: u32 = 2;
/// How many hosts are remembered when nothing is under way to them.
const MAX_IDLE_HOSTS: usize = 1024;

/// The order in which requests start: smaller first. A request's time of submission and its priority make it, so that
/// promotion needs no upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    time: Duration,
    sequence: u64,
}

impl Rank {
    pub(super) fn new(submitted: Duration, priority: Priority, sequence: u64) -> Rank {
        let levels = match priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        };
        Rank { time: submitted + PROMOTION * levels, sequence }
    }

    /// The same request's with another priority.
    pub(super) fn with(self, submitted: Duration, priority: Priority) -> Rank {
        Rank::new(submitted, priority, self.sequence)
    }
}

/// What a host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// It may turn out to speak HTTP/2: the first request goes alone until it has a connection.
    Unknown,
    Http1,
    Http2,
}

/// A host's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostId(usize);

struct Host {
    name: String,
    protocol: Protocol,
    waiting: BTreeMap<Rank, RequestId>,
    active: u32,
    /// Of the active ones, those that have a connection.
    connected: u32,
    /// A request that went alone has ended without a connection: until one gets through, none has to wait for another.
    unreachable: bool,
    /// How many requests it gets at a time if it speaks HTTP/2.
    streams: u32,
    /// Requests ended since `streams` was last changed.
    ended: u32,
    /// Where the host stands among those that could start something.
    listed: Option<(bool, Rank)>,
}

impl Host {
    /// How many requests it may have at a time, as things stand.
    fn capacity(&self, per_host: u32) -> u32 {
        match self.protocol {
            Protocol::Unknown | Protocol::Http2 if self.connected == 0 && !self.unreachable => 1,
            Protocol::Unknown | Protocol::Http1 => per_host,
            Protocol::Http2 if self.connected == 0 => per_host,
            Protocol::Http2 => self.streams,
        }
    }

    /// How many places of the limit in all `active` requests take.
    fn places(&self, active: u32) -> u32 {
        if self.protocol == Protocol::Http2 { active.min(MAX_STREAM_PLACES) } else { active }
    }
}

/// Every host with its waiting requests.
pub(super) struct Admission {
    hosts: Vec<Option<Host>>,
    free: Vec<usize>,
    names: HashMap<String, HostId>,
    /// Hosts that could start something at the cost of a place, by their first request.
    costly: BTreeSet<(Rank, HostId)>,
    /// Hosts that could start something at no such cost.
    cheap: BTreeSet<(Rank, HostId)>,
    /// Places taken.
    used: u32,
    waiting: u32,
    max_active: u32,
    per_host: u32,
    /// How many known hosts are a reason to look for idle ones.
    many_hosts: usize,
}

impl Admission {
    pub(super) fn new(max_active: u32, per_host: u32) -> Admission {
        Admission {
            hosts: Vec::new(),
            free: Vec::new(),
            names: HashMap::new(),
            costly: BTreeSet::new(),
            cheap: BTreeSet::new(),
            used: 0,
            waiting: 0,
            max_active,
            per_host,
            many_hosts: 2 * MAX_IDLE_HOSTS,
        }
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Puts a request into its host's queue. `protocol` holds for a host not known yet.
    pub(super) fn enqueue(&mut self, name: &str, protocol: Protocol, rank: Rank, id: RequestId) -> HostId {
        let host = self.names.get(name).copied().unwrap_or_else(|| self.add_host(name, protocol));
        self.change(host, |state| {
            state.waiting.insert(rank, id);
        });
        self.waiting += 1;
        host
    }

    /// Takes a waiting request out.
    pub(super) fn withdraw(&mut self, host: HostId, rank: Rank) {
        let mut found = false;
        self.change(host, |state| found = state.waiting.remove(&rank).is_some());
        if found {
            self.waiting -= 1;
        }
    }

    /// Gives the next request that may start, and counts it as active.
    pub(super) fn next(&mut self) -> Option<RequestId> {
        let costly = self.costly.first().filter(|_| self.used < self.max_active);
        let (_, host) = *costly.into_iter().chain(self.cheap.first()).min()?;
        let mut id = None;
        self.change(host, |state| {
            id = state.waiting.pop_first().map(|(_, id)| id);
            state.active += 1;
        });
        self.waiting -= 1;
        id
    }

    /// An active request has a connection.
    pub(super) fn connected(&mut self, host: HostId) {
        self.change(host, |state| {
            state.connected += 1;
            state.unreachable = false;
        });
    }

    /// An active request found no stream free on the host's HTTP/2 connections: it goes back to the queue, and the host gets
    /// no more at a time than it has now.
    pub(super) fn crowded(&mut self, host: HostId, rank: Rank, id: RequestId) {
        self.change(host, |state| {
            state.active = state.active.saturating_sub(1);
            state.streams = state.active.max(1);
            state.ended = 0;
            state.waiting.insert(rank, id);
        });
        self.waiting += 1;
    }

    /// Whether a request is to share connections that its host has. Not while none of the active ones has any: those that
    /// are still open are then being shut down, and the request has to open its own.
    pub(super) fn shares_connections(&self, host: HostId) -> bool {
        self.host(host).is_some_and(|state| state.protocol == Protocol::Http2 && state.connected > 0)
    }

    /// Whether each of a host's transfers has a connection to itself.
    pub(super) fn speaks_http1(&self, host: HostId) -> bool {
        self.host(host).is_some_and(|state| state.protocol == Protocol::Http1)
    }

    /// A response has shown what the host speaks.
    pub(super) fn learned(&mut self, host: HostId, protocol: Protocol) {
        if self.host(host).is_some_and(|state| state.protocol != protocol) {
            self.change(host, |state| state.protocol = protocol);
        }
    }

    /// An active request gives its place back.
    pub(super) fn leave(&mut self, host: HostId, connected: bool) {
        self.change(host, |state| {
            state.active = state.active.saturating_sub(1);
            state.connected = state.connected.saturating_sub(u32::from(connected));
            state.unreachable |= !connected && state.connected == 0;
            state.ended += 1;
            if state.ended >= STREAMS_RISE && state.streams < MAX_STREAMS {
                // What one connection could not take, a second one may.
                state.streams = (state.streams * 2).min(MAX_STREAMS);
                state.ended = 0;
            }
        });
        self.forget_idle_hosts();
    }

    /// An active request gives its place back without having tried to get a connection, which tells nothing of the host.
    pub(super) fn leave_untried(&mut self, host: HostId) {
        self.change(host, |state| state.active = state.active.saturating_sub(1));
        self.forget_idle_hosts();
    }

    fn host(&self, host: HostId) -> Option<&Host> {
        self.hosts.get(host.0)?.as_ref()
    }

    fn add_host(&mut self, name: &str, protocol: Protocol) -> HostId {
        let host = Host {
            name: name.to_owned(),
            protocol,
            waiting: BTreeMap::new(),
            active: 0,
            connected: 0,
            unreachable: false,
            streams: MAX_STREAMS,
            ended: 0,
            listed: None,
        };
        let id = match self.free.pop() {
            Some(free) => HostId(free),
            None => {
                self.hosts.push(None);
                HostId(self.hosts.len() - 1)
            }
        };
        if let Some(place) = self.hosts.get_mut(id.0) {
            *place = Some(host);
        }
        self.names.insert(name.to_owned(), id);
        id
    }

    /// Changes a host, and with it the places taken and its standing among those that could start something.
    fn change(&mut self, id: HostId, change: impl FnOnce(&mut Host)) {
        let Some(host) = self.hosts.get_mut(id.0).and_then(Option::as_mut) else { return };
        let before = host.places(host.active);
        change(host);
        let places = host.places(host.active);
        self.used = self.used + places - before;

        let could_start = host.active < host.capacity(self.per_host);
        let first = host.waiting.first_key_value().filter(|_| could_start).map(|(rank, _)| *rank);
        let listed = first.map(|rank| (host.places(host.active + 1) > places, rank));
        if host.listed == listed {
            return;
        }
        let old = std::mem::replace(&mut host.listed, listed);
        if let Some((cost, rank)) = old {
            if cost { &mut self.costly } else { &mut self.cheap }.remove(&(rank, id));
        }
        if let Some((cost, rank)) = listed {
            if cost { &mut self.costly } else { &mut self.cheap }.insert((rank, id));
        }
    }

    /// Once many hosts are known, forgets those that nothing is under way to.
    fn forget_idle_hosts(&mut self) {
        if self.names.len() <= self.many_hosts {
            return;
        }
        let mut idle_left = MAX_IDLE_HOSTS;
        for (place, slot) in self.hosts.iter_mut().enumerate() {
            let Some(host) = slot else { continue };
            if host.active > 0 || !host.waiting.is_empty() {
                continue;
            }
            if idle_left > 0 {
                idle_left -= 1;
                continue;
            }
            self.names.remove(&host.name);
            *slot = None;
            self.free.push(place);
        }
        // Where most are busy, looking again at each end of a request would find nothing new.
        self.many_hosts = 2 * self.names.len().max(MAX_IDLE_HOSTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    struct Fixture {
        admission: Admission,
        slots: Slots,
        sequence: u64,
    }

    impl Fixture {
        fn new(max_active: u32, per_host: u32) -> Fixture {
            Fixture { admission: Admission::new(max_active, per_host), slots: Slots::new(100_000), sequence: 0 }
        }

        fn add(
            &mut self,
            host: &str,
            protocol: Protocol,
            priority: Priority,
            seconds: u64,
        ) -> (RequestId, HostId, Rank) {
            self.sequence += 1;
            let rank = Rank::new(Duration::from_secs(seconds), priority, self.sequence);
            let id = self.slots.claim().unwrap();
            (id, self.admission.enqueue(host, protocol, rank, id), rank)
        }

        fn all(&mut self) -> Vec<RequestId> {
            std::iter::from_fn(|| self.admission.next()).collect()
        }
    }

    #[test]
    fn priority_comes_first_then_order() {
        let mut f = Fixture::new(64, 64);
        let low = f.add("a", Protocol::Http1, Priority::Low, 0).0;
        let first = f.add("a", Protocol::Http1, Priority::Normal, 0).0;
        let other = f.add("b", Protocol::Http1, Priority::Normal, 0).0;
        let high = f.add("a", Protocol::Http1, Priority::High, 0).0;
        assert_eq!(f.all(), [high, first, other, low]);
        assert_eq!(f.admission.waiting(), 0);
    }

    #[test]
    fn a_long_wait_promotes() {
        let mut f = Fixture::new(64, 64);
        let old_low = f.add("a", Protocol::Http1, Priority::Low, 0).0;
        let normal = f.add("a", Protocol::Http1, Priority::Normal, 9).0;
        let late_normal = f.add("a", Protocol::Http1, Priority::Normal, 11).0;
        let late_high = f.add("a", Protocol::Http1, Priority::High, 21).0;
        assert_eq!(f.all(), [normal, old_low, late_normal, late_high]);
    }

    #[test]
    fn limits_hold_in_all_and_per_host() {
        let mut f = Fixture::new(3, 2);
        let a: Vec<_> = (0..4).map(|_| f.add("a", Protocol::Http1, Priority::Normal, 0)).collect();
        let b: Vec<_> = (0..4).map(|_| f.add("b", Protocol::Http1, Priority::Normal, 0)).collect();
        assert_eq!(f.all(), [a[0].0, a[1].0, b[0].0]);
        f.admission.leave(a[0].1, false);
        assert_eq!(f.all(), [a[2].0]);
        f.admission.leave(a[0].1, false);
        f.admission.leave(b[0].1, false);
        assert_eq!(f.all(), [a[3].0, b[1].0]);
    }

    #[test]
    fn the_first_wave_waits_for_the_first_connection() {
        let mut f = Fixture::new(64, 4);
        let ids: Vec<_> = (0..200).map(|_| f.add("a", Protocol::Unknown, Priority::Normal, 0)).collect();
        let host = ids[0].1;
        assert_eq!(f.all().len(), 1);
        f.admission.connected(host);
        assert_eq!(f.all().len(), 3, "as many as an HTTP/1 host gets");
        f.admission.learned(host, Protocol::Http2);
        assert_eq!(f.all().len(), 96, "as many as an HTTP/2 host gets");
        assert_eq!(f.admission.used, 2);
    }

    #[test]
    fn an_http2_host_without_a_connection_gets_one_at_a_time() {
        let mut f = Fixture::new(64, 16);
        let (_, host, _) = f.add("a", Protocol::Http2, Priority::Normal, 0);
        f.add("a", Protocol::Http2, Priority::Normal, 0);
        assert_eq!(f.all().len(), 1);
        f.admission.leave(host, false);
        assert_eq!(f.all().len(), 1, "the next one tries");
        f.admission.connected(host);
        f.admission.leave(host, true);
        assert_eq!(f.admission.used, 0);
    }

    #[test]
    fn an_unreachable_host_does_not_serialise_its_queue() {
        let mut f = Fixture::new(64, 4);
        let ids: Vec<_> = (0..9).map(|_| f.add("a", Protocol::Unknown, Priority::Normal, 0)).collect();
        let host = ids[0].1;
        assert_eq!(f.all().len(), 1);
        f.admission.leave(host, false);
        assert_eq!(f.all().len(), 4, "none waits for another any more");
        f.admission.connected(host);
        for connected in [true, false, false, false] {
            f.admission.leave(host, connected);
        }
        assert_eq!(f.all().len(), 4);
    }

    #[test]
    fn a_host_with_few_streams_gets_no_more_at_a_time() {
        let mut f = Fixture::new(64, 16);
        let all: Vec<_> = (0..50).map(|_| f.add("a", Protocol::Http2, Priority::Normal, 0)).collect();
        let host = all[0].1;
        assert_eq!(f.all(), [all[0].0]);
        f.admission.connected(host);
        let started = f.all();
        assert_eq!(started.len(), 49);
        for (id, _, rank) in &all[5..] {
            f.admission.crowded(host, *rank, *id);
        }
        assert_eq!((f.all().len(), f.admission.waiting()), (0, 45), "five is what it takes");
        f.admission.leave(host, false);
        assert_eq!(f.all(), [all[5].0], "in the order they had");
        for _ in 0..STREAMS_RISE {
            f.admission.leave(host, false);
            f.all();
        }
        assert!(f.admission.host(host).unwrap().streams > 5, "it is tried with more in time");
    }

    #[test]
    fn a_full_house_still_takes_streams_that_cost_no_place() {
        let mut f = Fixture::new(2, 16);
        let (_, h2, _) = f.add("h2", Protocol::Http2, Priority::Normal, 0);
        assert_eq!(f.all().len(), 1);
        f.admission.connected(h2);
        for _ in 0..5 {
            f.add("h2", Protocol::Http2, Priority::Low, 0);
        }
        let h1 = f.add("h1", Protocol::Http1, Priority::Normal, 0).0;
        assert_eq!(f.admission.next(), Some(h1), "takes the last place");
        assert_eq!(f.all().len(), 0, "a second connection would cost a place");
        let mut f = Fixture::new(2, 16);
        let (_, h2, _) = f.add("h2", Protocol::Http2, Priority::Normal, 0);
        f.all();
        f.admission.connected(h2);
        for _ in 0..5 {
            f.add("h2", Protocol::Http2, Priority::Normal, 0);
        }
        let h1 = f.add("h1", Protocol::Http1, Priority::High, 1).0;
        assert_eq!(f.admission.next(), Some(h1));
        f.admission.leave(HostId(1), false);
        assert_eq!(f.all().len(), 5);
    }

    #[test]
    fn a_withdrawn_request_never_starts() {
        let mut f = Fixture::new(1, 1);
        let (first, host, _) = f.add("a", Protocol::Http1, Priority::Normal, 0);
        let (_, _, rank) = f.add("a", Protocol::Http1, Priority::Normal, 0);
        let last = f.add("a", Protocol::Http1, Priority::Normal, 0).0;
        assert_eq!(f.all(), [first]);
        f.admission.withdraw(host, rank);
        f.admission.withdraw(host, rank);
        f.admission.leave(host, false);
        assert_eq!(f.all(), [last]);
        assert_eq!(f.admission.waiting(), 0);
    }

    #[test]
    fn idle_hosts_are_forgotten_in_time() {
        let mut f = Fixture::new(1, 1);
        for number in 0..5_000 {
            let (_, host, _) = f.add(&format!("h{number}"), Protocol::Http1, Priority::Normal, 0);
            assert!(f.admission.next().is_some());
            f.admission.leave(host, false);
        }
        assert!(f.admission.names.len() <= 2 * MAX_IDLE_HOSTS + 1);
        assert!(f.admission.hosts.len() <= 2 * MAX_IDLE_HOSTS + 1);
    }
}
