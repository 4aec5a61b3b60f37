//! The safe Rust facade: what a Rust engine uses directly, and what the C ABI is made of.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

use crate::body::feed::Room;
use crate::body::threads::Disk;
use crate::budget::Budget;
use crate::cache::{Cache, folder};
use crate::chain::Chain;
use crate::config::Config;
use crate::error::{Reason, Refusal};
use crate::event::{Consumer, Drain, Event, EventKind, Network, TraceLevel, queue};
use crate::lock::Locked;
use crate::mock::{MAX_MOCKS, Mock};
use crate::net::{self, Setup, Wake, scheduling, signals};
use crate::published::Published;
use crate::request::{Priority, Rates, Request, RequestBody, parse_url};
use crate::slots::{RequestId, Slot, Slots};
use crate::worker::cookies::{Cookie, Jar, Sites};
use crate::worker::reachability::{Host, MAX_WATCHES};
use crate::worker::{self, Command, Counters, Parts};

/// How long dropping a client waits for its threads; beyond, they end on their own.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(90);
/// How often it looks whether one of them is held up.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Counts and gauges of a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Requests that wait in the queue.
    pub waiting: u32,
    /// Requests on the network or at the disk.
    pub active: u32,
    /// Requests that have ended and whose last event is not drained.
    pub undrained: u32,
    /// Requests accepted since creation.
    pub submitted: u64,
    /// Requests ended since creation.
    pub ended: u64,
    /// Of those, ended with an error, cancelled ones included.
    pub failed: u64,
    /// Bytes of response bodies received since creation, on the wire.
    pub bytes_received: u64,
    /// Bytes of request bodies sent since creation.
    pub bytes_sent: u64,
    /// Bytes of bodies that events hold now.
    pub buffered_bytes: u64,
    /// Connections made since creation.
    pub connections: u64,
    /// Hops that the cache answered without asking, since creation.
    pub cache_hits: u64,
    /// Hops that the cache answered after the server had said that what is stored holds.
    pub cache_revalidated: u64,
    /// Hops that the cache could have answered, and the network did.
    pub cache_misses: u64,
    /// Bytes that the cache holds now, in memory and on disk.
    pub cache_bytes: u64,
    /// Connections that are open now, idle ones included.
    pub connections_open: u32,
    /// Of those that wait: requests that are paused, or between two attempts.
    pub resting: u32,
    /// Attempts made since creation: requests started, and started again.
    pub attempts: u64,
    /// Bytes of response bodies received in a second, measured twice a second.
    pub receive_bytes_per_second: u64,
    /// Bytes of request bodies sent in a second, likewise.
    pub send_bytes_per_second: u64,
}

/// An HTTP client for game loops. Submit from any thread, [`poll`](Client::poll) once a frame, never wait.
///
/// Dropping it drops what has not ended, without an event, and removes unfinished files. It returns within about 100 ms.
///
/// ```no_run
/// # fn main() -> Result<(), sortie::Refusal> {
/// let client = sortie::Client::new(sortie::Config::default())?;
/// client.submit(sortie::Request::get("https://example.com/")?)?;
/// loop {
///     // ... a frame ...
///     while let Some(event) = client.poll() {
///         if event.kind == sortie::EventKind::Ended {
///             println!("{} {:?}: {} bytes", event.status(), event.failure(), event.body().len());
///             return Ok(());
///         }
///     }
/// }
/// # }
/// ```
pub struct Client {
    config: Arc<Config>,
    slots: Arc<Slots>,
    events: Consumer,
    commands: Sender<Command>,
    disk: Arc<Disk>,
    wake: Arc<Wake>,
    budget: Arc<Budget>,
    counters: Arc<Counters>,
    submitted: AtomicU64,
    watches: AtomicUsize,
    mocks: Mutex<Registered>,
    /// Requests whose bodies the program hands over, and how many there are. The worker does not take this lock.
    outgoing: Mutex<HashMap<RequestId, Outgoing>>,
    streaming: AtomicUsize,
    /// Held by suspend and resume, so that the queue and the worker agree on which came last.
    suspending: Mutex<()>,
    cookies: Arc<Published<Sites>>,
    /// Held by the worker while it reads a lent body; true once those are taken back.
    lending: Arc<Mutex<bool>>,
    /// Disconnected once all threads have ended.
    ended: Receiver<()>,
    worker: Option<JoinHandle<()>>,
}

/// The mocks that are registered. Only the program's threads look at them here; the worker has its own list.
#[derive(Default)]
struct Registered {
    last: u64,
    ids: HashSet<u64>,
}

/// A body that the program hands over.
struct Outgoing {
    room: Arc<Room>,
    /// How much is still to come, if its length was given.
    left: Option<u64>,
    finished: bool,
}

impl Client {
    /// Creates a client and its first two threads.
    ///
    /// # Errors
    /// The configuration's, as each field says; [`Reason::System`] if the system refuses a thread or a descriptor.
    pub fn new(config: Config) -> Result<Client, Refusal> {
        config.check()?;
        let config = config.with_full_paths()?;
        let setup = Setup::new(&config)?;
        let cookies = Jar::open(config.cookie_file.as_deref())?;
        let (cache, cache_lock) = open_cache(&config)?;
        let wake = Arc::new(Wake::new().map_err(refused_by_system)?);
        let config = Arc::new(config);
        let slots = Arc::new(Slots::new(config.max_requests));
        let (producer, consumer) = queue(Arc::clone(&slots));
        // Bodies outlive their client, and what they hold must not: neither its descriptors nor its queues.
        let to_wake = Arc::downgrade(&wake);
        let counters = Arc::new(Counters::default());
        counters.network.store(net::network(&net::ways_out()).flags(), Ordering::Relaxed);
        let lending = Arc::new(Mutex::new(false));
        let (commands, to_worker) = unbounded();
        let (to_free, to_wake_for_it, disk_replies, disk_wake) =
            (commands.clone(), Weak::clone(&to_wake), commands.clone(), Weak::clone(&to_wake));
        // Once the worker has ended, the command that comes back is freed here.
        let dispose = move |bytes| {
            let _ = to_free.send(Command::Free(bytes));
            wake_worker(&to_wake_for_it);
        };
        let budget = Budget::new(config.max_buffered_bytes, move || wake_worker(&to_wake), dispose);
        let budget = Arc::new(budget);
        let (ending, ended) = bounded(0);
        let watching = Weak::clone(&disk_wake);
        let reply = move |reply| {
            let _ = disk_replies.send(Command::Disk(reply));
            wake_worker(&disk_wake);
        };
        let disk = Disk::start(Box::new(spawn), reply, move || wake_worker(&watching), ending.clone(), cache_lock);
        let disk = disk.map_err(refused_by_system)?;

        let mut client = Client {
            config: Arc::clone(&config),
            slots,
            events: consumer,
            commands,
            disk: Arc::clone(&disk),
            wake: Arc::clone(&wake),
            budget: Arc::clone(&budget),
            counters: Arc::clone(&counters),
            submitted: AtomicU64::new(0),
            watches: AtomicUsize::new(0),
            mocks: Mutex::default(),
            outgoing: Mutex::default(),
            streaming: AtomicUsize::new(0),
            suspending: Mutex::new(()),
            cookies: cookies.published(),
            lending: Arc::clone(&lending),
            ended,
            worker: None,
        };
        let (ready, started) = bounded(1);
        let run = move || {
            let _ending = ending;
            let commands = to_worker;
            let events = producer;
            worker::run(
                Parts { config, setup, wake, commands, disk, events, budget, counters, cookies, cache, lending },
                &ready,
            );
        };
        match spawn("sortie-worker", Box::new(run)) {
            Ok(worker) => client.worker = Some(worker),
            Err(error) => {
                client.disk.quit();
                return Err(refused_by_system(error));
            }
        }
        match started.recv() {
            Ok(Ok(())) => Ok(client),
            Ok(Err(error)) => Err(refused_by_system(error)),
            Err(_) => Err(Refusal::new(Reason::Internal, "the worker failed to start")),
        }
    }

    /// Submits a request. It starts as soon as the limits let it, or when the client is resumed.
    ///
    /// # Errors
    /// [`Reason::Path`] for a file in a base directory that the client does not have, [`Reason::Argument`] for parts that
    /// do not go together, [`Reason::TooManyRequests`] if as many as allowed are live.
    pub fn submit(&self, request: Request) -> Result<RequestId, Refusal> {
        let request = request.parts;
        request.check()?;
        match &request.body {
            RequestBody::File(file) => self.config.check_file(file)?,
            RequestBody::Form(form) => form.files().try_for_each(|file| self.config.check_file(file))?,
            RequestBody::None | RequestBody::Bytes(_) | RequestBody::Stream(..) => {}
        }
        if let Some(file) = &request.response_file {
            self.config.check_file(file)?;
        }
        let id = self.slots.claim().ok_or_else(|| self.too_many_live())?;
        self.submitted.fetch_add(1, Ordering::Relaxed);
        let room = match request.body {
            RequestBody::Stream(left, window) => {
                let room = Arc::new(Room::new(window));
                let outgoing = Outgoing { room: Arc::clone(&room), left, finished: false };
                self.outgoing.lock().insert(id, outgoing);
                self.streaming.fetch_add(1, Ordering::Release);
                Some(room)
            }
            _ => None,
        };
        self.command(Command::Submit(id, request, room));
        Ok(id)
    }

    /// Hands over the next piece of a streamed body: as much of it as there is room for, which may be nothing. After less
    /// than all, an [`EventKind::Writable`] tells when there is room again. One thread at a time for a request.
    ///
    /// # Errors
    /// [`Reason::Stale`] once the request's last event has been drained; [`Reason::Argument`] if its body is not streamed,
    /// is finished, or would become longer than it was said to be; [`Reason::BodyTooLarge`] if memory cannot hold it.
    pub fn write_body(&self, id: RequestId, bytes: &[u8]) -> Result<usize, Refusal> {
        let room = self.with_body(id, bytes.len(), |body| Arc::clone(&body.room))?;
        let taken = usize::try_from(room.take(bytes.len() as u64)).unwrap_or(0);
        // Not under the lock, which the frame takes to drain.
        let mut piece = Vec::new();
        if piece.try_reserve_exact(taken).is_err() {
            room.put_back(taken as u64);
            let message = format!("no memory for {taken} bytes of body");
            return Err(Refusal::new(Reason::BodyTooLarge, message));
        }
        piece.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
        if taken > 0 {
            self.with_body(id, taken, |body| {
                body.left = body.left.map(|left| left - taken as u64);
                self.command(Command::WriteBody(id, piece));
            })?;
        }
        Ok(taken)
    }

    /// Does something to a body that may have so many bytes more.
    fn with_body<T>(&self, id: RequestId, more: usize, act: impl FnOnce(&mut Outgoing) -> T) -> Result<T, Refusal> {
        let mut streams = self.outgoing.lock();
        let body = streams.get_mut(&id).ok_or_else(|| self.no_stream(id))?;
        let refuse = |what: String| Refusal::new(Reason::Argument, what);
        if body.finished {
            return Err(refuse(format!("the body of request {} is finished", id.number())));
        }
        if let Some(left) = body.left.filter(|left| more as u64 > *left) {
            return Err(refuse(format!("{more} bytes of body, and body_length leaves {left}")));
        }
        Ok(act(body))
    }

    /// Says that a streamed body has come to its end. One whose length was given needs it not.
    ///
    /// # Errors
    /// As [`write_body`](Client::write_body); [`Reason::Argument`] if it is shorter than it was said to be.
    pub fn finish_body(&self, id: RequestId) -> Result<(), Refusal> {
        let mut streams = self.outgoing.lock();
        let body = streams.get_mut(&id).ok_or_else(|| self.no_stream(id))?;
        if let Some(left) = body.left.filter(|left| *left > 0) {
            let message = format!("the body of request {} lacks {left} of the bytes of body_length", id.number());
            return Err(Refusal::new(Reason::Argument, message));
        }
        if !std::mem::replace(&mut body.finished, true) {
            self.command(Command::FinishBody(id));
        }
        Ok(())
    }

    fn no_stream(&self, id: RequestId) -> Refusal {
        match self.slots.get(id).filter(|slot| !slot.is_watch()) {
            Some(_) => Refusal::new(Reason::Argument, format!("the body of request {} is not streamed", id.number())),
            None => Refusal::stale("request", id.number()),
        }
    }

    fn too_many_live(&self) -> Refusal {
        let limit = self.config.max_requests;
        let message = format!("{limit} requests and watches are live, which is the limit (max_requests)");
        Refusal::new(Reason::TooManyRequests, message)
    }

    fn command(&self, command: Command) {
        // The worker lives as long as the client.
        let _ = self.commands.send(command);
        self.wake.wake();
    }

    /// Asks a request to stop. It still ends with exactly one event: cancelled, or its real outcome if it had finished.
    ///
    /// # Errors
    /// [`Reason::Stale`] once that event has been drained.
    pub fn cancel(&self, id: RequestId) -> Result<(), Refusal> {
        self.command_for(id, Command::Cancel(id))
    }

    /// Keeps a cookie as if a response from `url` had set it, for what is submitted from now on.
    ///
    /// # Errors
    /// [`Reason::Url`] or [`Reason::Scheme`] for the URL; [`Reason::Argument`] for a cookie that a browser would not keep, or
    /// if the client keeps none.
    pub fn set_cookie(&self, url: &str, cookie: &str) -> Result<(), Refusal> {
        self.check_cookies()?;
        let url = parse_url(url)?;
        let refuse = |why: String| Refusal::new(Reason::Argument, format!("cookie {why}"));
        let cookie = Cookie::parse(cookie.as_bytes(), &url).map_err(refuse)?;
        self.command(Command::SetCookie(Box::new((cookie, url))));
        Ok(())
    }

    /// The Cookie header that a request for `url` would have now, without one of its own; empty if it would have none. Takes
    /// no lock that the worker waits with, and shows what the worker has kept: after a response's last event what that has set,
    /// and what [`Client::set_cookie`] says within a turn of the worker.
    ///
    /// # Errors
    /// [`Reason::Url`] or [`Reason::Scheme`] for the URL; [`Reason::Argument`] for a client that keeps no cookies.
    pub fn cookies(&self, url: &str) -> Result<Vec<u8>, Refusal> {
        self.check_cookies()?;
        Ok(self.cookies.read().header(&parse_url(url)?).unwrap_or_default())
    }

    /// Forgets every cookie, for what is submitted from now on.
    ///
    /// # Errors
    /// [`Reason::Argument`] if the client keeps none.
    pub fn clear_cookies(&self) -> Result<(), Refusal> {
        self.check_cookies()?;
        self.command(Command::ClearCookies);
        Ok(())
    }

    /// Forgets all that the cache has stored, for what is submitted from now on.
    ///
    /// # Errors
    /// [`Reason::Argument`] if the client has none.
    pub fn clear_cache(&self) -> Result<(), Refusal> {
        if self.config.cache_directory.is_none() && self.config.max_memory_cache_bytes == 0 {
            return Err(Refusal::new(Reason::Argument, "this client has no cache"));
        }
        self.command(Command::ClearCache);
        Ok(())
    }

    fn check_cookies(&self) -> Result<(), Refusal> {
        if self.config.cookies {
            return Ok(());
        }
        Err(Refusal::new(Reason::Argument, "cookies are off for this client"))
    }

    /// Watches whether a host can be reached: an event tells it, and then each change. A host is a name or an address, with
    /// or without a port.
    ///
    /// # Errors
    /// [`Reason::Argument`] for what is no host; [`Reason::TooManyRequests`] if 64 are watched, or as many requests as
    /// allowed are live.
    pub fn watch(&self, host: &str, user_data: u64) -> Result<RequestId, Refusal> {
        let host = Host::parse(host)?;
        let more = |watches| (watches < MAX_WATCHES).then_some(watches + 1);
        if self.watches.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            let message = format!("{MAX_WATCHES} hosts are watched, which is the limit");
            return Err(Refusal::new(Reason::TooManyRequests, message));
        }
        let Some(id) = self.slots.claim_watch() else {
            self.watches.fetch_sub(1, Ordering::Relaxed);
            return Err(self.too_many_live());
        };
        self.command(Command::Watch(id, user_data, Box::new(host)));
        Ok(id)
    }

    /// Ends a watch: once this has returned, no event of it comes.
    ///
    /// # Errors
    /// [`Reason::Stale`] if it has ended already.
    pub fn unwatch(&self, watch: RequestId) -> Result<(), Refusal> {
        // The worker frees the slot: until it has heard of this, it may still note something there.
        if self.slots.get(watch).is_some_and(Slot::is_watch) && self.slots.retire(watch) {
            self.watches.fetch_sub(1, Ordering::Relaxed);
            self.command(Command::Unwatch(watch));
            return Ok(());
        }
        Err(Refusal::stale("watch", watch.number()))
    }

    /// Registers an answer made up for tests: from now on the first mock in order of registration that matches a hop answers
    /// it in place of the network. Gives an id, for [`unmock`](Client::unmock).
    ///
    /// # Errors
    /// [`Reason::TooManyRequests`] if 4,096 are registered.
    pub fn mock(&self, mock: Mock) -> Result<u64, Refusal> {
        let mut registered = self.mocks.lock();
        if registered.ids.len() >= MAX_MOCKS {
            let message = format!("{MAX_MOCKS} mocks are registered, which is the limit");
            return Err(Refusal::new(Reason::TooManyRequests, message));
        }
        registered.last += 1;
        let id = registered.last;
        registered.ids.insert(id);
        // Under the lock, so that mocks are in the order of their ids.
        self.command(Command::Mock(id, Box::new(mock)));
        Ok(id)
    }

    /// Takes a mock away, for hops that start from now on.
    ///
    /// # Errors
    /// [`Reason::Stale`] if it is gone already or never was.
    pub fn unmock(&self, id: u64) -> Result<(), Refusal> {
        if self.mocks.lock().ids.remove(&id) {
            self.command(Command::Unmock(id));
            return Ok(());
        }
        Err(Refusal::new(Reason::Stale, format!("mock {id} is gone already or never existed")))
    }

    /// What the machine's network is like: whether there is a way out, and by what. Cheap enough for every frame.
    pub fn network(&self) -> Network {
        Network::from_flags(self.counters.network.load(Ordering::Relaxed))
    }

    /// Lets a request rest: one that waits does not start, one that runs moves no more bytes. Its total time runs on, the time
    /// in which no byte moves does not.
    ///
    /// # Errors
    /// [`Reason::Stale`] once its last event has been drained.
    pub fn pause(&self, id: RequestId) -> Result<(), Refusal> {
        self.command_for(id, Command::Pause(id, true))
    }

    /// Lets a request go on after [`pause`](Client::pause).
    ///
    /// # Errors
    /// As [`pause`](Client::pause).
    pub fn unpause(&self, id: RequestId) -> Result<(), Refusal> {
        self.command_for(id, Command::Pause(id, false))
    }

    /// Gives a request another priority: for one that waits, that of a request submitted with it at the same time.
    ///
    /// # Errors
    /// As [`pause`](Client::pause).
    pub fn set_priority(&self, id: RequestId, priority: Priority) -> Result<(), Refusal> {
        self.command_for(id, Command::SetPriority(id, priority))
    }

    /// Sets how fast a request's bodies may go from now on, whether it waits or runs.
    ///
    /// # Errors
    /// As [`pause`](Client::pause).
    pub fn set_request_rates(&self, id: RequestId, rates: Rates) -> Result<(), Refusal> {
        self.command_for(id, Command::SetRates(id, rates))
    }

    /// Sets how fast the bodies of all requests together may go from now on.
    pub fn set_rates(&self, rates: Rates) {
        self.command(Command::SetClientRates(rates));
    }

    /// Sets how much the trace tells from now on.
    pub fn set_trace_level(&self, level: TraceLevel) {
        self.command(Command::SetTraceLevel(level));
    }

    fn command_for(&self, id: RequestId, command: Command) -> Result<(), Refusal> {
        if self.slots.get(id).is_none_or(Slot::is_watch) {
            return Err(Refusal::stale("request", id.number()));
        }
        self.command(command);
        Ok(())
    }

    /// Takes the next event, if there is one. Never waits. Meant for one thread at a time, in which a request's events come
    /// in order.
    pub fn poll(&self) -> Option<Event> {
        let event = self.events.pop()?;
        self.note_taken(&event);
        Some(event)
    }

    /// Starts to take events; `None` while suspended. Each is to be noted as taken, and given back when it is let go of.
    pub(crate) fn drain(&self) -> Option<Drain<'_>> {
        self.events.drain()
    }

    /// Lets go of events that were drained.
    pub(crate) fn give_back(&self, events: Chain<Event>) {
        if self.events.give_back(events) {
            self.wake.wake();
        }
    }

    #[inline]
    pub(crate) fn note_taken(&self, event: &Event) {
        if self.streaming.load(Ordering::Acquire) > 0 {
            self.note_stream(event);
        }
    }

    fn note_stream(&self, event: &Event) {
        if event.kind == EventKind::Writable {
            if let Some(body) = self.outgoing.lock().get(&event.request) {
                body.room.heard();
            }
        } else if event.kind == EventKind::Ended && self.outgoing.lock().remove(&event.request).is_some() {
            self.streaming.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether nothing has come since the last drain that was through.
    #[inline]
    pub(crate) fn has_nothing_new(&self) -> bool {
        self.events.has_nothing_new()
    }

    /// Sleeps until there is an event, for tools and tests; `false` if none came in time.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.events.wait(timeout)
    }

    /// Gives no event out, starts nothing new, pauses transfers and stops their clocks.
    pub fn suspend(&self) {
        let _order = self.suspending.lock();
        self.events.set_suspended(true);
        self.command(Command::Suspend);
    }

    /// Goes on after [`suspend`](Client::suspend).
    pub fn resume(&self) {
        let _order = self.suspending.lock();
        self.command(Command::Resume);
        self.events.set_suspended(false);
    }

    /// Reads counts and gauges. Cheap enough for every frame.
    pub fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            waiting: counters.waiting.load(Ordering::Relaxed),
            active: counters.active.load(Ordering::Relaxed),
            undrained: self.events.undrained(),
            submitted: self.submitted.load(Ordering::Relaxed),
            ended: counters.ended.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            bytes_received: counters.bytes_received.load(Ordering::Relaxed),
            bytes_sent: counters.bytes_sent.load(Ordering::Relaxed),
            buffered_bytes: self.budget.held(),
            connections: counters.connections.load(Ordering::Relaxed),
            cache_hits: counters.cache_hits.load(Ordering::Relaxed),
            cache_revalidated: counters.cache_revalidated.load(Ordering::Relaxed),
            cache_misses: counters.cache_misses.load(Ordering::Relaxed),
            cache_bytes: counters.cache_bytes.load(Ordering::Relaxed),
            connections_open: counters.connections_open.load(Ordering::Relaxed),
            resting: counters.resting.load(Ordering::Relaxed),
            attempts: counters.attempts.load(Ordering::Relaxed),
            receive_bytes_per_second: counters.receive_rate.load(Ordering::Relaxed),
            send_bytes_per_second: counters.send_rate.load(Ordering::Relaxed),
        }
    }

    /// Makes the worker panic: at its next turn, or when it next has a request in hand.
    #[cfg(feature = "test-hooks")]
    #[doc(hidden)]
    pub fn test_panic(&self, at_start: bool) {
        self.command(Command::Panic { at_start });
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.wake.close();
        // The disk's threads need not wait for the worker to hear of it.
        self.disk.close();
        // Nothing is ever sent: the wait ends when all threads have let go of their ends. Meanwhile nobody else sees to it that
        // a thread of the disk that is held up has another beside it.
        let patience = Instant::now() + SHUTDOWN_PATIENCE;
        let mut all_ended = false;
        while !all_ended && Instant::now() < patience {
            self.disk.watch();
            all_ended = self.ended.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Disconnected);
        }
        if !all_ended {
            // Whoever is still at work must not read what the host may now free.
            *self.lending.lock() = true;
        }
        for thread in self.worker.take().into_iter().chain(self.disk.take_threads()) {
            // One that is held up, by a disk say, is left to end on its own; the library stays loaded for it.
            if all_ended || thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

/// Wakes the worker, as long as there is one.
fn wake_worker(wake: &Weak<Wake>) {
    if let Some(wake) = wake.upgrade() {
        wake.wake();
    }
}

/// Starts a thread of ours.
fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(|| {
        signals::block();
        scheduling::never_preempt();
        body();
    })
}

/// Opens the cache's folder, if it has one, and gives its lock. Reads names and sizes, no bodies.
fn open_cache(config: &Config) -> Result<(Cache, Option<Locked>), Refusal> {
    let memory = config.max_memory_cache_bytes;
    let Some(path) = &config.cache_directory else { return Ok((Cache::new(None, &[], 0, memory).0, None)) };
    let found = folder::open(path)?;
    let (cache, gone) = Cache::new(Some(path.clone()), &found.files, config.max_cache_bytes, memory);
    folder::forget(&gone);
    Ok((cache, Some(found.lock)))
}

fn refused_by_system(error: io::Error) -> Refusal {
    Refusal::new(Reason::System, format!("the system refused a thread or a descriptor: {error}"))
}
