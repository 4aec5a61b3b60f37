//! What the host receives, and the two ends of the queue it comes through.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::budget::Body;
use crate::chain::{Chain, Inbox, Link};
use crate::error::ErrorKind;
use crate::headers::Headers;
use crate::slots::{RequestId, Slots};
use crate::text::Text;

/// What kind of event it is. More kinds may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The request has started: with upload progress before connecting, with download progress after the response's
    /// headers, which it carries. A streamed response's always comes, with upload progress as a second one.
    Began,
    /// Bytes have moved. At most one such event is undrained per request; it has the newest numbers.
    Progress,
    /// The next piece of a streamed response's body.
    Data,
    /// The request has ended. Always its last event, exactly one for each accepted submit.
    Ended,
    /// Whether a watched host can be reached: once at the start, and at each change.
    Reachability,
    /// There is room again for a streamed request body.
    Writable,
    /// An attempt has failed, and another follows.
    Retry,
    /// A line of the trace.
    Trace,
}

/// How much the trace tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TraceLevel {
    /// Nothing.
    #[default]
    Off,
    /// What failed, and what nobody would be told of otherwise.
    Errors,
    /// The steps of each request as well.
    Requests,
    /// Headers as well, and why a request rests.
    Details,
}

/// How a host, or the world outside, can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// It can be reached.
    pub reachable: bool,
    /// A connection has to be made first, as by a modem that dials.
    pub connection_required: bool,
    /// That connection is made by the first packet.
    pub connection_on_demand: bool,
    /// The user has to do something for that connection.
    pub interaction_required: bool,
    /// The way there is a cellular network.
    pub cellular: bool,
    /// The way there is a wireless local network.
    pub wifi: bool,
}

impl Network {
    /// As the C ABI has it.
    pub(crate) fn flags(self) -> u32 {
        [
            self.reachable,
            self.connection_required,
            self.connection_on_demand,
            self.interaction_required,
            self.cellular,
            self.wifi,
        ]
        .into_iter()
        .rev()
        .fold(0, |flags, set| flags << 1 | u32::from(set))
    }

    /// What `flags` made.
    pub(crate) fn from_flags(flags: u32) -> Network {
        let bit = |bit: u32| flags >> bit & 1 != 0;
        Network {
            reachable: bit(0),
            connection_required: bit(1),
            connection_on_demand: bit(2),
            interaction_required: bit(3),
            cellular: bit(4),
            wifi: bit(5),
        }
    }
}

/// Something that happened to a request.
#[derive(Debug)]
pub struct Event {
    /// The request, or the watch; [`RequestId::NONE`] if a line of the trace is about neither.
    pub request: RequestId,
    /// The request's user data.
    pub user_data: u64,
    /// What happened.
    pub kind: EventKind,
    /// The URL as requested, credentials left out; of a watch, the host as given; empty in the trace.
    pub url: Text,
    /// Bytes of the body on the wire so far, in the direction of progress (download if none). Never goes back.
    pub transferred: u64,
    /// Bytes of the body on the wire in all, in that direction; -1 if unknown.
    pub estimated: i64,
    /// The response as far as it has come; none in progress events and in a beginning upload's.
    pub response: Option<Box<Response>>,
    /// Of a watch: what was found.
    pub network: Network,
}

impl Event {
    /// The failure that ended the request, or `None` if a whole response came or it has not ended.
    pub fn failure(&self) -> Option<(ErrorKind, &str)> {
        let (kind, message) = self.response.as_ref()?.failure.as_ref()?;
        Some((*kind, message))
    }

    /// The response's HTTP status; 0 while none has come.
    pub fn status(&self) -> u16 {
        self.response.as_ref().map_or(0, |response| response.status)
    }

    /// The response's body in memory; empty if there is none.
    pub fn body(&self) -> &[u8] {
        self.response.as_ref().and_then(|response| response.body.as_ref()).map_or(&[], Body::as_bytes)
    }

    /// The response's first header of this name, whatever the letters' case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.as_ref()?.headers.get(name)
    }
}

/// How a response's body is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKind {
    /// There is no body, or in a request: text for a body in memory, binary for a file.
    #[default]
    Default,
    /// Text.
    Text,
    /// Bytes.
    Binary,
}

/// Where it was found what a response's text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharsetSource {
    /// The charset parameter of the Content-Type header.
    Header,
    /// The byte order mark at the text's start.
    ByteOrderMark,
    /// The XML declaration's encoding.
    XmlDeclaration,
    /// `<meta charset>`.
    MetaCharset,
    /// `<meta http-equiv="Content-Type">`.
    MetaHttpEquiv,
    /// Nowhere: UTF-8 is assumed.
    Default,
}

/// A response, whole or as far as it came.
#[derive(Debug, Default)]
pub struct Response {
    /// The HTTP status; 0 if none came.
    pub status: u16,
    /// The headers of the last hop, in order.
    pub headers: Headers,
    /// The fields that came after its body, in order.
    pub trailers: Option<Box<Headers>>,
    /// The body, unless it went to a file.
    pub body: Option<Body>,
    /// What the body is.
    pub body_kind: BodyKind,
    /// What the body was written in before it was made UTF-8, by its name in the WHATWG Encoding Standard, and where that
    /// was found. `None` for bytes, files, and text that was asked for as it came.
    pub charset: Option<(&'static str, CharsetSource)>,
    /// The cache gave it, not the network.
    pub from_cache: bool,
    /// The cache gave it after the server had said that it still holds.
    pub revalidated: bool,
    /// It is a 401 for which the request's credentials are of no use: not of a kind that the server asks for, or another
    /// origin's.
    pub credentials_unused: bool,
    /// The full path of the file that was written.
    pub file: Option<Text>,
    /// The URL that answered, after redirects; `None` if it is the one requested.
    pub effective_url: Option<Text>,
    /// Of an attempt that failed: how long until the next.
    pub retry_delay: Duration,
    /// Why no whole response came.
    pub failure: Option<(ErrorKind, Text)>,
    /// A line of the trace.
    pub trace: Option<(TraceLevel, Text)>,
    /// Where the time went.
    pub timing: Timing,
    /// The charset's name and the remote address, once C has asked for them.
    pub(crate) charset_text: OnceCell<Text>,
    pub(crate) remote_text: OnceCell<Text>,
}

/// A version of HTTP that a response came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// Where a request's time went, and over what. A step that did not happen took no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// The number of redirects followed in the last attempt.
    pub redirects: u32,
    /// The number of attempts made.
    pub attempts: u32,
    /// From submit to start, in the queue.
    pub queued: Duration,
    /// From the last hop's start to the name resolved.
    pub name_lookup: Duration,
    /// From the last hop's start to the TCP connection made.
    pub connect: Duration,
    /// From the last hop's start to the TLS handshake done.
    pub tls: Duration,
    /// From the last hop's start to the first byte of the response.
    pub first_byte: Duration,
    /// From the first hop's start to the end.
    pub total: Duration,
    /// What the last hop's response came in; `None` if none came from the network.
    pub protocol: Option<Protocol>,
    /// The last hop went over a connection that had been used before.
    pub connection_reused: bool,
    /// The address that the last hop was connected to: the server's, or the proxy's.
    pub remote_address: Option<SocketAddr>,
    /// Bytes of response bodies on the wire, of all hops and attempts.
    pub bytes_received: u64,
    /// Bytes of request bodies sent, of all hops and attempts.
    pub bytes_sent: u64,
}

/// The longest line of the trace, in bytes.
const MAX_LINE: usize = 16 << 10;
/// The most lines of the trace that are undrained.
const MAX_TRACES: u32 = 4096;

/// About what an event takes beside its body, in bytes.
const EVENT_BYTES: usize = 1024;
/// How many bytes of events that were let go of wait for the worker, until it is woken to free them.
const MAX_RETURNED: usize = 256 << 10;

/// What both ends see.
struct Common {
    slots: Arc<Slots>,
    queued: Inbox<Event>,
    /// What was drained and let go of, for the worker to free, and how many bytes that is: freeing takes longer than all
    /// that a drain does beside.
    returned: Inbox<Event>,
    returned_bytes: AtomicUsize,
    /// Some of what was taken out of `queued` is not given out yet.
    left: AtomicBool,
    /// ENDED events that are not given out, and lines of the trace.
    undrained: AtomicU32,
    traces: AtomicU32,
    /// Lines that did not fit.
    left_out: AtomicU64,
    /// Set by the host: nothing is given out.
    suspended: AtomicBool,
    /// Threads inside `wait`.
    waiting: AtomicUsize,
    gate: Mutex<()>,
    arrived: Condvar,
}

/// The worker's end.
#[derive(Clone)]
pub(crate) struct Producer {
    common: Arc<Common>,
}

/// The host's end.
pub(crate) struct Consumer {
    common: Arc<Common>,
    /// What was taken out of the queue and is not given out yet.
    rest: Mutex<Chain<Event>>,
}

/// A drain under way: one thread at a time.
pub(crate) struct Drain<'a> {
    common: &'a Common,
    rest: MutexGuard<'a, Chain<Event>>,
    /// ENDED events given out.
    ended: u32,
}

/// Makes a queue. It has no bound of its own: a request queues at most one event of each kind, but for DATA, which its window
/// bounds, and RETRY, one for each of its attempts; and the slots bound the requests.
pub(crate) fn queue(slots: Arc<Slots>) -> (Producer, Consumer) {
    let common = Arc::new(Common {
        slots,
        queued: Inbox::new(),
        returned: Inbox::new(),
        returned_bytes: AtomicUsize::new(0),
        left: AtomicBool::new(false),
        undrained: AtomicU32::new(0),
        traces: AtomicU32::new(0),
        left_out: AtomicU64::new(0),
        suspended: AtomicBool::new(false),
        waiting: AtomicUsize::new(0),
        gate: Mutex::new(()),
        arrived: Condvar::new(),
    });
    (Producer { common: Arc::clone(&common) }, Consumer { common, rest: Mutex::new(Chain::new()) })
}

impl Producer {
    pub(crate) fn push(&self, event: Event) {
        if event.kind == EventKind::Ended {
            self.common.undrained.fetch_add(1, Ordering::Relaxed);
        }
        self.common.queued.push(Link::new(event));
    }

    /// Tells a thread that waits of what was pushed: once for all events of a turn, since waking it takes longer than
    /// pushing them.
    pub(crate) fn announce(&self) {
        if !self.common.queued.is_empty() {
            self.common.signal();
        }
    }

    /// What the host has let go of.
    pub(crate) fn take_returned(&self) -> Chain<Event> {
        // Whoever has just added to the list may count it only after this: then the count is too high, and never too low.
        if self.common.returned_bytes.load(Ordering::SeqCst) != 0 {
            self.common.returned_bytes.store(0, Ordering::SeqCst);
        }
        self.common.returned.take()
    }

    /// Whether so much was let go of that the worker has been woken for it, or would have been.
    pub(crate) fn has_much_returned(&self) -> bool {
        self.common.returned_bytes.load(Ordering::SeqCst) >= MAX_RETURNED
    }

    /// Notes a transfer's progress, and queues an event unless one is on its way already.
    pub(crate) fn progress(&self, request: RequestId, user_data: u64, url: &Text, transferred: u64, estimated: i64) {
        let Some(slot) = self.common.slots.get(request) else { return };
        if slot.note_progress(transferred, estimated) {
            let url = url.clone();
            let (kind, network) = (EventKind::Progress, Network::default());
            self.push(Event { request, user_data, kind, url, transferred, estimated, response: None, network });
        }
    }

    /// Queues a line of the trace, unless too many are undrained.
    pub(crate) fn trace(&self, request: RequestId, user_data: u64, level: TraceLevel, line: String) {
        let common = &self.common;
        if common.traces.load(Ordering::Relaxed) >= MAX_TRACES {
            common.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = common.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            let line = format!("{left_out} lines were left out: {MAX_TRACES} were not drained");
            self.push_trace(RequestId::NONE, 0, TraceLevel::Errors, line);
        }
        self.push_trace(request, user_data, level, line);
    }

    fn push_trace(&self, request: RequestId, user_data: u64, level: TraceLevel, mut line: String) {
        line.truncate(line.floor_char_boundary(MAX_LINE));
        self.common.traces.fetch_add(1, Ordering::Relaxed);
        let response = Response { trace: Some((level, Text::from(line))), ..Response::default() };
        let (kind, network, url) = (EventKind::Trace, Network::default(), Text::from(""));
        let response = Some(Box::new(response));
        self.push(Event { request, user_data, kind, url, transferred: 0, estimated: 0, response, network });
    }

    /// Frees the slot of a watch that has ended.
    pub(crate) fn free(&self, watch: RequestId) {
        self.common.slots.free(watch);
    }

    /// Claims an id for a request that no event tells of; `None` if as many as allowed are live.
    pub(crate) fn claim(&self) -> Option<RequestId> {
        self.common.slots.claim()
    }

    /// Ends such a request.
    pub(crate) fn give_up(&self, request: RequestId) {
        self.common.slots.release(request);
    }

    /// Notes what a watch has found, and queues an event unless one is on its way already.
    pub(crate) fn reachability(&self, watch: RequestId, user_data: u64, host: Text, network: Network) {
        let Some(slot) = self.common.slots.get(watch) else { return };
        if slot.note_progress(network.flags().into(), 0) {
            let kind = EventKind::Reachability;
            let (request, url, transferred, estimated) = (watch, host, 0, 0);
            self.push(Event { request, user_data, kind, url, transferred, estimated, response: None, network });
        }
    }
}

impl Common {
    fn signal(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // Taking the gate makes sure that a waiting thread either sees the event or is asleep and hears this.
            drop(self.gate.lock());
            self.arrived.notify_all();
        }
    }

    fn has_event(&self) -> bool {
        let any = !self.queued.is_empty() || self.left.load(Ordering::SeqCst);
        any && !self.suspended.load(Ordering::SeqCst)
    }

    /// Does what goes with an event's being taken; `false` if nobody wants to hear of it any more.
    fn complete(&self, event: &mut Event) -> bool {
        match event.kind {
            EventKind::Began | EventKind::Data | EventKind::Writable | EventKind::Retry => {
                self.raise_told(event);
            }
            EventKind::Reachability => {
                let Some(slot) = self.slots.get(event.request) else { return false };
                #[allow(clippy::cast_possible_truncation)] // six bits, as noted
                let flags = slot.take_progress().0 as u32;
                event.network = Network::from_flags(flags);
            }
            EventKind::Progress => {
                if let Some(slot) = self.slots.get(event.request) {
                    (event.transferred, event.estimated) = slot.take_progress();
                    slot.raise_told(event.transferred);
                }
            }
            EventKind::Trace => {
                self.traces.fetch_sub(1, Ordering::Relaxed);
            }
            EventKind::Ended => {
                self.raise_told(event);
                self.slots.release(event.request);
            }
        }
        true
    }

    /// A PROGRESS event before this one may have told of what came after it: numbers never go back.
    fn raise_told(&self, event: &mut Event) {
        let Some(slot) = self.slots.get(event.request) else { return };
        event.transferred = slot.raise_told(event.transferred);
        if event.estimated >= 0 {
            let least = i64::try_from(event.transferred).unwrap_or(i64::MAX);
            event.estimated = event.estimated.max(least);
        }
    }
}

impl Drain<'_> {
    /// Takes the next event. An ENDED event's id is stale from then on.
    pub(crate) fn next(&mut self) -> Option<Box<Link<Event>>> {
        loop {
            if self.rest.is_empty() {
                *self.rest = self.common.queued.take();
            }
            let mut link = self.rest.pop()?;
            self.ended += u32::from(link.item.kind == EventKind::Ended);
            if self.common.complete(&mut link.item) {
                return Some(link);
            }
        }
    }

    /// Whether all that was taken out of the queue has been given out.
    pub(crate) fn is_through(&self) -> bool {
        self.rest.is_empty()
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.common.undrained.fetch_sub(self.ended, Ordering::Relaxed);
        let left = !self.rest.is_empty();
        self.common.left.store(left, Ordering::SeqCst);
        if left {
            // Who has looked meanwhile has seen nothing in the queue.
            self.common.signal();
        }
    }
}

impl Consumer {
    /// Starts to take events; `None` while the queue is suspended.
    pub(crate) fn drain(&self) -> Option<Drain<'_>> {
        if self.common.suspended.load(Ordering::SeqCst) {
            return None;
        }
        Some(Drain { common: &self.common, rest: self.rest.lock(), ended: 0 })
    }

    /// Takes the next event, unless there is none or the queue is suspended.
    pub(crate) fn pop(&self) -> Option<Event> {
        if !self.has_event() {
            return None;
        }
        Some(self.drain()?.next()?.item)
    }

    /// Lets go of what was drained: bodies no longer count, and the worker frees the memory. `true`: it should be woken
    /// to do so, since there is much of it.
    pub(crate) fn give_back(&self, mut events: Chain<Event>) -> bool {
        let mut bytes = 0;
        events.for_each(|event| {
            bytes += EVENT_BYTES;
            if let Some(body) = event.response.as_mut().and_then(|response| response.body.as_mut()) {
                bytes += body.len();
                body.release();
            }
        });
        self.common.returned.push_all(events);
        let before = self.common.returned_bytes.fetch_add(bytes, Ordering::SeqCst);
        before < MAX_RETURNED && before + bytes >= MAX_RETURNED
    }

    /// Whether nothing has come since the last drain that was through.
    #[inline]
    pub(crate) fn has_nothing_new(&self) -> bool {
        self.common.queued.is_empty()
    }

    fn has_event(&self) -> bool {
        self.common.has_event()
    }

    pub(crate) fn undrained(&self) -> u32 {
        self.common.undrained.load(Ordering::Relaxed)
    }

    pub(crate) fn set_suspended(&self, suspended: bool) {
        self.common.suspended.store(suspended, Ordering::SeqCst);
        self.common.signal();
    }

    /// Sleeps until there is an event to pop; `false` if none came in time.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        if self.has_event() {
            return true;
        }
        let deadline = Instant::now().checked_add(timeout);
        let mut gate = self.common.gate.lock();
        self.common.waiting.fetch_add(1, Ordering::SeqCst);
        while !self.has_event() {
            match deadline {
                Some(deadline) if self.common.arrived.wait_until(&mut gate, deadline).timed_out() => break,
                Some(_) => {}
                // Longer than the system's clock can tell.
                None => self.common.arrived.wait(&mut gate),
            }
        }
        self.common.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(gate);
        self.has_event()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(request: RequestId) -> Event {
        let (url, kind) = (Text::from("http://x/"), EventKind::Ended);
        let network = Network::default();
        Event { request, user_data: 7, kind, url, transferred: 3, estimated: 3, response: None, network }
    }

    #[test]
    fn progress_is_coalesced_and_comes_before_the_end() {
        let slots = Arc::new(Slots::new(4));
        let (producer, consumer) = queue(Arc::clone(&slots));
        let id = slots.claim().unwrap();
        let url = Text::from("http://x/");
        for transferred in 1..=3 {
            producer.progress(id, 7, &url, transferred, 3);
        }
        producer.push(ended(id));
        let first = consumer.pop().unwrap();
        assert_eq!((first.kind, first.transferred, first.estimated), (EventKind::Progress, 3, 3));
        assert!(slots.get(id).is_some(), "live until its end is drained");
        assert_eq!(consumer.undrained(), 1);
        assert_eq!(consumer.pop().unwrap().kind, EventKind::Ended);
        assert!(slots.get(id).is_none());
        assert!(consumer.pop().is_none() && consumer.undrained() == 0);
    }

    #[test]
    fn a_watch_has_one_event_with_the_newest_state_and_none_once_it_is_gone() {
        let slots = Arc::new(Slots::new(4));
        let (producer, consumer) = queue(Arc::clone(&slots));
        let watch = slots.claim_watch().unwrap();
        let host = Text::from("example.com");
        let reachable = Network { reachable: true, wifi: true, ..Network::default() };
        producer.reachability(watch, 7, host.clone(), Network::default());
        producer.reachability(watch, 7, host.clone(), reachable);
        let event = consumer.pop().unwrap();
        assert_eq!((event.kind, event.request, event.network), (EventKind::Reachability, watch, reachable));
        assert!(consumer.pop().is_none());
        producer.reachability(watch, 7, host.clone(), Network::default());
        producer.push(ended(slots.claim().unwrap()));
        slots.release(watch);
        producer.reachability(watch, 7, host, reachable);
        assert_eq!(
            consumer.pop().unwrap().kind,
            EventKind::Ended,
            "what a watch that is gone had found is passed over"
        );
        assert!(consumer.pop().is_none());
    }

    #[test]
    fn a_trace_that_nobody_drains_is_cut_and_says_so() {
        let (producer, consumer) = queue(Arc::new(Slots::new(4)));
        for n in 0..MAX_TRACES + 10 {
            producer.trace(RequestId::NONE, 0, TraceLevel::Details, n.to_string());
        }
        let line = |event: Event| event.response.unwrap().trace.unwrap().1.to_string();
        let lines: Vec<String> = std::iter::from_fn(|| consumer.pop()).map(line).collect();
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (MAX_TRACES as usize, "4095"));
        producer.trace(RequestId::NONE, 0, TraceLevel::Details, "on".to_owned());
        assert_eq!(line(consumer.pop().unwrap()), "10 lines were left out: 4096 were not drained");
        assert_eq!(line(consumer.pop().unwrap()), "on");
    }

    #[test]
    fn network_flags_go_both_ways() {
        for flags in 0..64 {
            assert_eq!(Network::from_flags(flags).flags(), flags);
        }
    }

    #[test]
    fn a_suspended_queue_gives_nothing_and_loses_nothing() {
        let slots = Arc::new(Slots::new(4));
        let (producer, consumer) = queue(Arc::clone(&slots));
        consumer.set_suspended(true);
        producer.push(ended(slots.claim().unwrap()));
        assert!(consumer.pop().is_none());
        assert!(!consumer.wait(Duration::ZERO));
        consumer.set_suspended(false);
        assert!(consumer.wait(Duration::ZERO));
        assert!(consumer.pop().is_some());
    }

    #[test]
    fn a_waiting_thread_hears_of_what_another_leaves() {
        let slots = Arc::new(Slots::new(4));
        let (producer, consumer) = queue(Arc::clone(&slots));
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        for _ in 0..rounds {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| consumer.wait(Duration::from_secs(60)));
                (0..2).for_each(|_| producer.push(ended(slots.claim().unwrap())));
                // Takes both out of the queue and gives one.
                assert!(consumer.pop().is_some());
                producer.announce();
                assert!(waiting.join().unwrap());
            });
            assert!(consumer.pop().is_some());
        }
    }

    #[test]
    fn what_is_let_go_of_is_told_once_until_it_is_taken() {
        let slots = Arc::new(Slots::new(1024));
        let (producer, consumer) = queue(Arc::clone(&slots));
        let let_go = |events: usize| {
            let mut chain = Chain::new();
            (0..events).for_each(|_| chain.push(Link::new(ended(RequestId::NONE))));
            consumer.give_back(chain)
        };
        let enough = MAX_RETURNED / EVENT_BYTES;
        assert!(!let_go(enough - 1) && !producer.has_much_returned());
        assert!(let_go(1) && producer.has_much_returned());
        assert!(!let_go(enough), "told already");
        let mut taken = producer.take_returned();
        assert_eq!(std::iter::from_fn(|| taken.pop()).count(), 2 * enough);
        assert!(!producer.has_much_returned() && producer.take_returned().is_empty());
        assert!(let_go(enough));
    }

    #[test]
    fn a_waiting_thread_hears_of_every_event() {
        let slots = Arc::new(Slots::new(8));
        let (producer, consumer) = queue(Arc::clone(&slots));
        let rounds = if cfg!(miri) { 20 } else { 5_000 };
        std::thread::scope(|scope| {
            let (slots, total) = (&slots, rounds);
            scope.spawn(move || {
                let mut sent = 0;
                while sent < total {
                    if let Some(id) = slots.claim() {
                        producer.push(ended(id));
                        producer.announce();
                        sent += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
            let mut seen = 0;
            while seen < rounds {
                assert!(consumer.wait(Duration::from_secs(60)), "event {seen} was not heard of");
                while consumer.pop().is_some() {
                    seen += 1;
                }
            }
        });
        assert!(consumer.pop().is_none());
    }
}
