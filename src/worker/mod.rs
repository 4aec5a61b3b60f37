//! The worker: one thread that takes commands, starts what may start, runs every transfer, keeps deadlines, and ends each
//! request with exactly one event.

mod admission;
mod caching;
mod challenge;
pub(crate) mod cookies;
mod deadlines;
mod exchange;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod job;
mod local;
mod public_suffix;
mod rates;
pub(crate) mod reachability;
mod redirect;
mod retry;
mod shown;
mod spare;
mod trace;

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use curl::multi::Socket;
use parking_lot::Mutex;

use crate::body::compressing::Compressing;
use crate::body::disk::{Key, Op, Outcome, Reply};
use crate::body::feed::{Feed, Room};
use crate::body::recoding::Recoding;
use crate::body::source::{BodyLength, FileSource, Source};
use crate::body::threads::Disk;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::event::{EventKind, Producer, Response, TraceLevel};
use crate::mock::{Mock, Mocks};
use crate::net::{self, Active, Answer as Probed, Credential, Easy, Hop, Lane, Net, Owner, Reached, Setup, Wake};
use crate::request::{CacheMode, HttpVersion, Priority, Progress, Rates, RequestBody, RequestParts};
use crate::slots::RequestId;
use crate::text::Text;
use admission::{Admission, Protocol, Rank};
use caching::Looked;
use cookies::{Cookie, Jar};
use deadlines::Deadlines;
use exchange::{Exchange, Flow, Notice, Outlet, Sink};
use job::{Job, State};
use local::{Answer, Local, Peer};
use rates::{Lines, Meter};
use reachability::{FIRST_PROBE, Host, Watches, probe_token};
use retry::Backoff;
use trace::Trace;
use url::Url;

/// Commands taken before transfers get their turn again.
const COMMANDS_A_TURN: usize = 4096;
/// How long a connection has to be silent before it carries no more requests after one is cancelled or out of time on it.
const DOUBTFUL_SILENCE: Duration = Duration::from_secs(5);
/// How many connections a host that speaks HTTP/2 may have.
const MAX_HTTP2_CONNECTIONS: u32 = 2;
/// How often a request that servers refuse to process goes back to the queue. libcurl sends it up to five times each.
const MAX_REFUSALS: u32 = 20;
/// How long a request that has failed or was stopped waits for the disk to let go of its file, and one that the cache may answer
/// for that to be read.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// Easy handles kept for reuse; one costs about 10 KiB.
const MAX_POOLED_HANDLES: usize = 256;

/// What other threads ask of the worker.
pub(crate) enum Command {
    /// With the room for its body, if that is streamed.
    Submit(RequestId, Box<RequestParts>, Option<Arc<Room>>),
    WriteBody(RequestId, Vec<u8>),
    FinishBody(RequestId),
    Cancel(RequestId),
    Pause(RequestId, bool),
    SetPriority(RequestId, Priority),
    SetRates(RequestId, Rates),
    SetClientRates(Rates),
    SetTraceLevel(TraceLevel),
    Suspend,
    Resume,
    /// Keep a cookie as if this URL had set it.
    SetCookie(Box<(Cookie, Url)>),
    ClearCookies,
    Watch(RequestId, u64, Box<Host>),
    Unwatch(RequestId),
    ClearCache,
    Mock(u64, Box<Mock>),
    Unmock(u64),
    Disk(Reply),
    /// Free a large body, which would take a frame too long.
    Free(Vec<u8>),
    #[cfg(feature = "test-hooks")]
    Panic {
        /// Not now, but with the next request in hand.
        at_start: bool,
    },
}

/// Counts and gauges that the worker publishes once a turn.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) waiting: AtomicU32,
    pub(crate) active: AtomicU32,
    pub(crate) ended: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU32,
    pub(crate) resting: AtomicU32,
    pub(crate) attempts: AtomicU64,
    /// In bytes a second.
    pub(crate) receive_rate: AtomicU64,
    pub(crate) send_rate: AtomicU64,
    /// What the machine's network is like, as flags.
    pub(crate) network: AtomicU32,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) cache_revalidated: AtomicU64,
    pub(crate) cache_misses: AtomicU64,
    pub(crate) cache_bytes: AtomicU64,
}

/// What the worker is given.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) setup: Setup,
    pub(crate) wake: Arc<Wake>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) events: Producer,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cookies: Jar,
    pub(crate) cache: Cache,
    /// Locked while a lent body is read; true once bodies are taken back.
    pub(crate) lending: Arc<Mutex<bool>>,
}

/// Runs until told to shut down. A panic ends every live request with INTERNAL, and the worker starts afresh.
pub(crate) fn run(parts: Parts, ready: &Sender<io::Result<()>>) {
    let disk = Arc::clone(&parts.disk);
    let mut worker = match Worker::new(parts) {
        Ok(worker) => worker,
        Err(error) => {
            disk.quit();
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    while catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
        // A job that this loses too ends by being dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| worker.recover()));
    }
    for job in worker.jobs.iter_mut().flatten() {
        // Nobody is there to hear of its end.
        job.ended = true;
    }
    worker.settle_cookies();
    disk.quit();
}

/// The client's clock: it stops while the client is suspended, and with it every deadline.
struct Clock {
    start: Instant,
    stopped: Duration,
    suspended: Option<Instant>,
}

impl Clock {
    fn now(&self) -> Duration {
        let until = self.suspended.unwrap_or_else(Instant::now);
        until.saturating_duration_since(self.start).saturating_sub(self.stopped)
    }

    fn suspend(&mut self) {
        self.suspended.get_or_insert_with(Instant::now);
    }

    fn resume(&mut self) {
        if let Some(since) = self.suspended.take() {
            self.stopped += since.elapsed();
        }
    }

    /// A time of this clock as the system's; `None` if that cannot tell it.
    fn instant(&self, at: Duration) -> Option<Instant> {
        self.start.checked_add(self.stopped)?.checked_add(at)
    }
}

struct Worker {
    // Handles go before the multi handle, which is in `net`.
    jobs: Vec<Option<Box<Job>>>,
    pool: Vec<Easy<Exchange>>,
    watches: Watches,
    net: Net,
    config: Arc<Config>,
    /// Where files are compressed, on their way.
    scratch: PathBuf,
    setup: Setup,
    wake: Arc<Wake>,
    commands: Receiver<Command>,
    budget: Arc<Budget>,
    counters: Arc<Counters>,
    outlet: Rc<Outlet>,
    admission: Admission,
    deadlines: Deadlines,
    clock: Clock,
    cookies: Jar,
    /// The stored responses that are asked about in the background.
    refreshing: Vec<(RequestId, Url)>,
    cache: Cache,
    mocks: Mocks,
    /// When the machine's network is looked at again.
    network_due: Option<Duration>,
    /// By which addresses packets left the machine when it was last looked at.
    ways_out: net::WaysOut,
    /// When connections have been idle for long enough to be closed, if nothing is under way.
    idle_until: Option<Duration>,
    /// Jobs in the table, and those of them that wait for their next attempt or are paused.
    live: u32,
    resting: u32,
    sequence: u64,
    /// What the disk has said of requests that may start when the client is resumed.
    held: Vec<Reply>,
    /// Requests that paused until events are drained.
    starved: Vec<RequestId>,
    /// Nothing started in this turn because too much waits to be drained.
    full: bool,
    finished: Vec<(usize, curl_sys::CURLcode)>,
    /// Sockets of connections that a transfer has failed on while others may still be there.
    nudges: Vec<Socket>,
    /// Connections made, and attempts.
    connections: u64,
    attempts: u64,
    /// How fast bodies come and go.
    receive_meter: Meter,
    send_meter: Meter,
    #[cfg(feature = "test-hooks")]
    panic_at_start: bool,
}

/// Where nameless temporary files lie. The environment may name a relative folder, and the host may change its working
/// directory later.
fn scratch(config: &Config) -> PathBuf {
    let given = config.temporary_directory.clone();
    given.unwrap_or_else(|| {
        let folder = std::env::temp_dir();
        std::path::absolute(&folder).unwrap_or(folder)
    })
}

impl Worker {
    fn new(parts: Parts) -> io::Result<Worker> {
        let Parts { config, setup, wake, commands, disk, events, budget, counters, cookies, cache, lending } = parts;
        let net = Net::new(&wake, idle_connections(&config))?;
        let outlet = Outlet {
            events,
            disk,
            budget: Arc::clone(&budget),
            now: Cell::new(Duration::ZERO),
            suspended: Cell::new(false),
            lending,
            notices: RefCell::default(),
            whole: RefCell::default(),
            spare: RefCell::default(),
            bytes_received: Cell::new(0),
            bytes_sent: Cell::new(0),
            lines: RefCell::new(Lines::new(config.rates)),
            trace: Trace::new(&config),
        };
        Ok(Worker {
            jobs: Vec::new(),
            pool: Vec::new(),
            watches: Watches::new(config.reachability_interval),
            net,
            admission: Admission::new(config.max_active, config.max_active_per_host),
            scratch: scratch(&config),
            config,
            setup,
            wake,
            commands,
            budget,
            counters,
            outlet: Rc::new(outlet),
            deadlines: Deadlines::default(),
            cookies,
            refreshing: Vec::new(),
            cache,
            mocks: Mocks::default(),
            network_due: Some(Duration::ZERO),
            ways_out: net::ways_out(),
            idle_until: None,
            clock: Clock { start: Instant::now(), stopped: Duration::ZERO, suspended: None },
            live: 0,
            resting: 0,
            sequence: 0,
            held: Vec::new(),
            starved: Vec::new(),
            full: false,
            finished: Vec::new(),
            nudges: Vec::new(),
            connections: 0,
            attempts: 0,
            receive_meter: Meter::default(),
            send_meter: Meter::default(),
            #[cfg(feature = "test-hooks")]
            panic_at_start: false,
        })
    }

    /// One turn after another, until told to shut down.
    fn run(&mut self) {
        self.outlet.now.set(self.clock.now());
        loop {
            // What responses have set counts before what the program says of it.
            self.take_notices();
            if !self.take_commands() {
                return;
            }
            // Each step frees places or makes work for those after it; what the last two free is taken up by another turn.
            self.keep_deadlines();
            self.admit();
            self.feed_starved();
            self.feed_limited();
            self.look_at_network();
            self.close_idle_connections();
            self.net.run_timer();
            let noticed = self.take_notices();
            let finished = self.finish_transfers();
            self.measure();
            self.publish();
            self.outlet.events.announce();
            self.take_returned();
            if noticed || finished || !self.sleep() {
                self.outlet.now.set(self.clock.now());
            }
        }
    }

    fn now(&self) -> Duration {
        self.outlet.now.get()
    }

    fn suspended(&self) -> bool {
        self.outlet.suspended.get()
    }

    /// Sleeps until a socket, a deadline or another thread wants something, and notes the time when it wakes; `false` if
    /// something was wanted already.
    fn sleep(&mut self) -> bool {
        self.wake.set_sleeping(true);
        // Whatever came before that was not announced: look once more.
        let room = !self.suspended()
            && ((self.full && self.budget.has_room()) || (!self.starved.is_empty() && self.budget.has_freed()));
        let returned = self.outlet.events.has_much_returned();
        // A thread that reads the cookies is at it for an instant.
        let published = self.cookies.publish();
        if !self.commands.is_empty() || room || returned || !published || self.wake.is_closing() {
            self.wake.set_sleeping(false);
            return false;
        }
        let ours = [
            self.deadlines.next(),
            self.cookies.save_at(),
            self.watches.next(),
            self.network_due,
            self.idle_until,
            self.outlet.lines.borrow().due(),
            self.receive_meter.due(),
            self.send_meter.due(),
        ];
        let ours = ours.into_iter().flatten().min().filter(|_| !self.suspended());
        let ours = ours.and_then(|at| self.clock.instant(at));
        let deadline = [ours, self.net.timer(), self.outlet.disk.watch()].into_iter().flatten().min();
        let (clock, now) = (&self.clock, &self.outlet.now);
        let woken = || {
            now.set(clock.now());
            now.get()
        };
        if self.net.wait(&self.wake, deadline, woken).is_err() {
            // The kernel is out of something. Go on by time alone rather than spin or stop.
            self.wake.set_sleeping(false);
            std::thread::sleep(Duration::from_millis(10));
            return false;
        }
        true
    }

    /// Measures how fast bodies come and go.
    fn measure(&mut self) {
        let now = self.now();
        let mut received = self.receive_meter.note(self.outlet.bytes_received.get(), now);
        let mut sent = self.send_meter.note(self.outlet.bytes_sent.get(), now);
        if self.suspended() {
            (received, sent) = (0, 0);
        }
        self.counters.receive_rate.store(received, Ordering::Relaxed);
        self.counters.send_rate.store(sent, Ordering::Relaxed);
    }

    fn publish(&mut self) {
        self.cookies.publish();
        let waiting = self.admission.waiting() + self.resting;
        let counters = &self.counters;
        counters.waiting.store(waiting, Ordering::Relaxed);
        counters.active.store(self.live.saturating_sub(waiting), Ordering::Relaxed);
        counters.bytes_received.store(self.outlet.bytes_received.get(), Ordering::Relaxed);
        counters.bytes_sent.store(self.outlet.bytes_sent.get(), Ordering::Relaxed);
        counters.connections.store(self.connections, Ordering::Relaxed);
        counters.connections_open.store(self.net.sockets().count(), Ordering::Relaxed);
        counters.resting.store(self.resting, Ordering::Relaxed);
        counters.attempts.store(self.attempts, Ordering::Relaxed);
        counters.cache_hits.store(self.cache.hits, Ordering::Relaxed);
        counters.cache_revalidated.store(self.cache.revalidated, Ordering::Relaxed);
        counters.cache_misses.store(self.cache.misses, Ordering::Relaxed);
        counters.cache_bytes.store(self.cache.bytes(), Ordering::Relaxed);
    }

    /// Takes what the program has let go of.
    fn take_returned(&mut self) {
        let mut returned = self.outlet.events.take_returned();
        let mut spare = self.outlet.spare.borrow_mut();
        while let Some(link) = returned.pop() {
            spare.keep(link.item);
        }
    }

    // Commands.

    /// Carries out what other threads ask; `false` to shut down.
    fn take_commands(&mut self) -> bool {
        for _ in 0..COMMANDS_A_TURN {
            if self.wake.is_closing() {
                return false;
            }
            match self.commands.try_recv() {
                Ok(Command::Submit(id, request, room)) => self.accept(id, request, room),
                Ok(Command::WriteBody(id, bytes)) => self.feed(id, |feed| feed.push(bytes)),
                Ok(Command::FinishBody(id)) => self.feed(id, Feed::finish),
                Ok(Command::Cancel(id)) => {
                    self.stop(id, Failure::new(ErrorKind::Cancelled, ErrorKind::Cancelled.text()));
                }
                Ok(Command::Pause(id, paused)) => self.pause(id, paused),
                Ok(Command::SetPriority(id, priority)) => self.set_priority(id, priority),
                Ok(Command::SetRates(id, rates)) => self.set_rates(id, rates),
                Ok(Command::SetClientRates(rates)) => self.outlet.lines.borrow_mut().set(rates, self.now()),
                Ok(Command::SetTraceLevel(level)) => self.outlet.trace.set_level(level),
                Ok(Command::Suspend) => self.suspend(),
                Ok(Command::Resume) => self.resume(),
                Ok(Command::SetCookie(set)) => self.set_cookie(*set),
                Ok(Command::ClearCookies) => self.clear_cookies(),
                Ok(Command::Watch(id, user_data, host)) => self.watches.add(id, user_data, *host, self.now()),
                Ok(Command::Unwatch(id)) => {
                    if let Some(probe) = self.watches.remove(id) {
                        self.net.end_probe(probe, None);
                    }
                    self.outlet.events.free(id);
                }
                Ok(Command::ClearCache) => self.clear_cache(),
                Ok(Command::Mock(id, mock)) => self.mocks.add(id, *mock),
                Ok(Command::Unmock(id)) => self.mocks.remove(id),
                Ok(Command::Disk(reply)) => self.take_reply(reply),
                Ok(Command::Free(bytes)) => self.outlet.to_disk(Op::Free(bytes)),
                #[cfg(feature = "test-hooks")]
                Ok(Command::Panic { at_start: false }) => panic!("the worker was asked to panic"),
                #[cfg(feature = "test-hooks")]
                Ok(Command::Panic { at_start: true }) => self.panic_at_start = true,
                // The client keeps a sender until it has shut the worker down.
                Err(_) => break,
            }
        }
        true
    }

    fn accept(&mut self, id: RequestId, request: Box<RequestParts>, room: Option<Arc<Room>>) {
        self.accept_as(id, request, room, false);
    }

    fn accept_as(&mut self, id: RequestId, request: Box<RequestParts>, room: Option<Arc<Room>>, in_background: bool) {
        self.sequence += 1;
        let now = self.now();
        let rank = Rank::new(now, request.priority, self.sequence);
        let mut job = Box::new(Job::new(id, request, rank, now, &self.outlet));
        job.in_background = in_background;
        if let (RequestBody::Stream(length, _), Some(room)) = (&job.request.body, room) {
            job.feed = Some(Rc::new(RefCell::new(Feed::new(*length, room))));
        }
        self.live += 1;
        self.enqueue(job);
    }

    /// Does something to a streamed body, which may then go on.
    fn feed(&mut self, id: RequestId, change: impl FnOnce(&mut Feed)) {
        let (suspended, now) = (self.suspended(), self.now());
        let Some(job) = self.job(id) else { return };
        let Some(feed) = &job.feed else { return };
        change(&mut feed.borrow_mut());
        if let State::Running(peer) = &mut job.state
            && !suspended
            && let Some(flow) = peer.flow_mut().filter(|flow| flow.send_paused && !flow.paused)
        {
            // What the other direction waits for has not changed.
            (flow.send_paused, flow.last_activity) = (false, now);
            flow.measure_from(now);
            let receive_paused = flow.receive_paused;
            peer.pause(receive_paused, false);
        }
    }

    fn pause(&mut self, id: RequestId, paused: bool) {
        let now = self.now();
        let Some(mut job) = self.take(id) else { return };
        job.paused = paused;
        job.tell(TraceLevel::Details, |_| if paused { "paused" } else { "goes on after a pause" }.to_owned());
        match &mut job.state {
            State::Waiting(host) if paused => {
                self.admission.withdraw(*host, job.rank);
                return self.enqueue(job);
            }
            State::Parked if !paused => {
                self.resting -= 1;
                return self.enqueue(job);
            }
            State::Running(peer) => {
                if let Some(flow) = peer.flow_mut() {
                    flow.paused = paused;
                }
                if paused {
                    peer.pause(true, true);
                } else if !self.suspended() {
                    go_on(peer, now);
                }
            }
            _ => {}
        }
        self.put(job);
    }

    fn set_priority(&mut self, id: RequestId, priority: Priority) {
        let Some(mut job) = self.take(id) else { return };
        let rank = job.rank.with(job.submitted, priority);
        if let State::Waiting(host) = job.state {
            self.admission.withdraw(host, job.rank);
            job.rank = rank;
            return self.enqueue(job);
        }
        job.rank = rank;
        self.put(job);
    }

    fn set_rates(&mut self, id: RequestId, rates: Rates) {
        let (suspended, now) = (self.suspended(), self.now());
        let Some(job) = self.job(id) else { return };
        job.request.rates = rates;
        let State::Running(peer) = &mut job.state else { return };
        if let Some(flow) = peer.flow_mut() {
            flow.receive_share.set(rates.receive, now);
            flow.send_share.set(rates.send, now);
        }
        if !suspended && !job.paused {
            go_on(peer, now);
        }
    }

    /// Puts a job into its host's queue, new or for its next hop; one that is paused stays aside.
    fn enqueue(&mut self, mut job: Box<Job>) {
        if job.paused {
            self.resting += 1;
            job.state = State::Parked;
            return self.put(job);
        }
        (job.disk_by, job.may_ask, job.aside) = (None, false, false);
        let (queue, protocol) = job.queue();
        job.owner = owner_of(&queue);
        let host = self.admission.enqueue(&queue, protocol, job.rank, job.id);
        job.state = State::Waiting(host);
        self.put(job);
    }

    /// Puts a job into the table, and makes an appointment for its next deadline.
    fn put(&mut self, mut job: Box<Job>) {
        let (id, index) = (job.id, job.id.index());
        let waits_for_disk = match job.state {
            State::Opening | State::Storing(_, None) => !job.aside,
            State::Storing(_, Some(_)) => true,
            _ => false,
        };
        if waits_for_disk {
            job.disk_by.get_or_insert(self.now().saturating_add(DISK_PATIENCE));
        }
        if let Some(at) = job.next_deadline(&self.config, self.now())
            && job.appointment.is_none_or(|appointment| at < appointment)
        {
            job.appointment = Some(at);
            self.deadlines.add(at, id);
        }
        if index >= self.jobs.len() {
            self.jobs.resize_with(index + 1, || None);
        }
        if let Some(entry) = self.jobs.get_mut(index) {
            *entry = Some(job);
        }
    }

    fn job(&mut self, id: RequestId) -> Option<&mut Job> {
        self.jobs.get_mut(id.index())?.as_deref_mut().filter(|job| job.id == id)
    }

    /// Takes a job out of the table, to end it or to put it back.
    fn take(&mut self, id: RequestId) -> Option<Box<Job>> {
        self.jobs.get_mut(id.index())?.take_if(|job| job.id == id)
    }

    fn suspend(&mut self) {
        self.save_cookies();
        self.end_probes();
        self.clock.suspend();
        self.outlet.suspended.set(true);
        for job in self.jobs.iter_mut().flatten() {
            if let State::Running(active) = &mut job.state {
                active.pause(true, true);
            }
        }
    }

    fn resume(&mut self) {
        if !self.suspended() {
            return;
        }
        self.clock.resume();
        self.outlet.suspended.set(false);
        let now = self.clock.now();
        self.outlet.now.set(now);
        for job in self.jobs.iter_mut().flatten() {
            if let State::Running(active) = &mut job.state {
                job.suspended_until = Some(now);
                go_on(active, now);
            }
        }
        for reply in std::mem::take(&mut self.held) {
            self.take_reply(reply);
        }
        // Meanwhile the machine may have gone elsewhere, and routers have forgotten it.
        self.start_afresh();
        self.network_due = Some(now);
    }

    // Cookies and the network.

    /// What the program said of cookies before it shut the worker down still counts.
    fn settle_cookies(&mut self) {
        self.take_notices();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::SetCookie(set) => self.set_cookie(*set),
                Command::ClearCookies => self.clear_cookies(),
                Command::ClearCache => self.clear_cache(),
                _ => {}
            }
        }
        self.save_changed_cookies(true);
    }

    fn set_cookie(&mut self, (cookie, url): (Cookie, Url)) {
        self.pin_cookies();
        self.cookies.keep(std::iter::once(cookie), &url, self.now());
        self.save_while_suspended();
    }

    fn clear_cookies(&mut self) {
        self.pin_cookies();
        self.cookies.clear(self.now());
        self.save_while_suspended();
    }

    /// What the program says of cookies holds for what it submits from then on: what it has submitted before goes with
    /// those of before.
    fn pin_cookies(&mut self) {
        for job in self.jobs.iter_mut().flatten() {
            let waits = matches!(job.state, State::Waiting(_) | State::Opening) && job.attempt == 0;
            if waits && job.may_have_cookies() && job.cookies.is_none() {
                job.cookies = Some(self.cookies.header(&job.url));
            }
        }
    }

    /// A program in the background may be ended without a word.
    fn save_while_suspended(&mut self) {
        if self.suspended() {
            self.save_cookies();
        }
    }

    fn clear_cache(&mut self) {
        let outlet = &self.outlet;
        self.cache.clear(&|operation| outlet.to_disk(operation));
    }

    fn save_cookies(&mut self) {
        self.save_changed_cookies(false);
    }

    fn save_changed_cookies(&mut self, at_the_end: bool) {
        if let Some((file, bytes)) = self.cookies.take_changes(at_the_end) {
            self.outlet.to_disk(Op::Save(file, bytes));
        }
    }

    /// What has come of what the client itself saves.
    fn take_own_reply(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Saved => self.cookies.saved(),
            Outcome::WriteFailed(failure) if self.cookies.not_saved(self.now()) => {
                let line = format!("cookies could not be saved, which is tried again: {}", failure.message);
                self.outlet.tell(TraceLevel::Errors, (RequestId::NONE, 0), |_| line);
            }
            Outcome::NotKept(path) => self.cache.not_kept(&path),
            _ => {}
        }
    }

    /// Keeps what the response to a job's present hop sets.
    fn keep_cookies(&mut self, job: &Job) {
        let State::Running(active) = &job.state else { return };
        let Some(flow) = active.flow().filter(|_| self.config.cookies && job.may_have_cookies()) else { return };
        let given = flow.headers.iter_bytes().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie"));
        let cookies =
            given.take(cookies::MAX_PER_RESPONSE).filter_map(|(_, value)| Cookie::parse(&value, &job.url).ok());
        self.cookies.keep(cookies, &job.url, self.outlet.now.get());
    }

    fn end_probes(&mut self) {
        for probe in self.watches.take_probes(self.now()) {
            self.net.end_probe(probe, None);
        }
    }

    /// Saves cookies, looks at the network and at watched hosts, each when it is time to.
    fn look_at_network(&mut self) {
        if self.net.take_network_change() {
            // Changes come in bursts. A host that is just being looked at may have been asked before the last.
            self.network_due.get_or_insert(self.now() + reachability::SETTLE);
        }
        if self.suspended() {
            return;
        }
        let now = self.now();
        if self.cookies.save_at().is_some_and(|at| at <= now) {
            self.save_cookies();
        }
        if self.network_due.is_some_and(|due| due <= now) {
            // Where nothing tells of changes, they are looked for.
            let again = self.config.reachability_interval.duration().filter(|_| !self.net.hears_of_changes());
            self.network_due = again.and_then(|interval| now.checked_add(interval));
            let ways_out = net::ways_out();
            if std::mem::replace(&mut self.ways_out, ways_out) != ways_out {
                self.start_afresh();
            }
            self.counters.network.store(net::network(&ways_out).flags(), Ordering::Relaxed);
            for probe in self.watches.network_changed(now) {
                self.net.end_probe(probe, None);
            }
        }
        while let Some((id, name, port)) = self.watches.take_due(now) {
            if self.config.mocks_only {
                self.probe_answered(id, Probed::Nothing);
            } else if let Ok(probe) = self.net.probe(&self.setup, &name, port, probe_token(id)) {
                self.watches.started(id, probe);
            }
        }
    }

    /// The machine may be on another network: connections and addresses of before may lead nowhere.
    fn start_afresh(&self) {
        self.net.leave_connections();
        self.net.forget_names();
    }

    /// Closes connections that nothing will use any more, so that a program at rest keeps none open.
    fn close_idle_connections(&mut self) {
        if self.live > 0 || self.net.sockets().count() == 0 {
            self.idle_until = None;
        } else if let Some(most) = self.config.max_connection_idle.duration() {
            let until = *self.idle_until.get_or_insert(self.now().saturating_add(most));
            if until <= self.now() {
                self.idle_until = None;
                self.net.leave_connections();
            }
        }
    }

    fn probe_ended(&mut self, token: usize, code: curl_sys::CURLcode) {
        let Some((id, probe)) = self.watches.take_probe(token) else { return };
        let answer = self.net.end_probe(probe, Some(code));
        self.probe_answered(id, answer);
    }

    fn probe_answered(&mut self, id: RequestId, answer: Probed) {
        if let Some(news) = self.watches.answered(id, answer, self.now()) {
            self.outlet.events.reachability(news.id, news.user_data, news.host, news.network);
        }
    }

    // Starting.

    /// Starts what may start.
    fn admit(&mut self) {
        self.full = false;
        while !self.suspended() {
            if !self.budget.has_room() {
                self.full = self.admission.waiting() > 0;
                return;
            }
            let Some(id) = self.admission.next() else { return };
            if let Some(job) = self.take(id) {
                self.begin(job);
            }
        }
    }

    /// A job has got its place.
    fn begin(&mut self, mut job: Box<Job>) {
        let now = self.now();
        if let State::Waiting(host) = job.state {
            job.place = Some(host);
        }
        if let Some(outcome) = job.answer.take() {
            let key = job.key();
            job.state = State::Opening;
            self.put(job);
            return self.take_reply(Reply { key, outcome });
        }
        job.started.get_or_insert(now);
        if job.attempt_started.is_none() {
            job.attempt_started = Some(now);
            job.timing.attempts += 1;
            self.attempts += 1;
            job.backoff = Backoff::after(job.timing.attempts, &job.request.retry, job.total_deadline(&self.config));
        }
        if self.recall(&job) {
            job.may_ask = job.request.cache_mode != CacheMode::OnlyIfCached;
            job.state = State::Opening;
            self.put(job);
            return;
        }
        if let (true, Some(file)) = (job.request.resume, &job.request.response_file) {
            let (location, resumable) = (self.config.locate(file), Box::new(job.resumable()));
            self.outlet.to_disk(Op::Prepare(job.key(), location, job.request.expected, resumable));
            job.state = State::Opening;
            self.put(job);
            return;
        }
        self.open_body(job);
    }

    /// Starts a job, once the disk has opened or made what it sends.
    fn open_body(&mut self, mut job: Box<Job>) {
        let config = &self.config;
        let encoding = job.request.text_encoding().filter(|_| !job.encoded);
        let (mut bytes, mut operation) = (None, None);
        match &job.request.body {
            RequestBody::None | RequestBody::Stream(..) => {}
            _ if !job.has_body => {}
            RequestBody::Bytes(text) if let Some(encoding) = encoding => {
                let text = Recoding::start(Arc::clone(text), encoding, Arc::clone(&self.outlet.lending));
                operation = Some(Op::Encode(job.key(), Box::new(text)));
            }
            RequestBody::Bytes(body) if job.request.gzip => {
                let compressing = Compressing::bytes(Arc::clone(body), Arc::clone(&self.outlet.lending));
                operation = Some(Op::Compress(job.key(), Box::new(compressing)));
            }
            RequestBody::Bytes(body) => bytes = Some(body),
            RequestBody::File(file) => {
                let location = config.locate(file);
                operation = Some(if job.request.gzip {
                    Op::OpenCompressed(job.key(), location, encoding, self.scratch.clone())
                } else {
                    Op::Open(job.key(), location, encoding)
                });
            }
            RequestBody::Form(form) => {
                bytes = form.bytes();
                operation = bytes.is_none().then(|| Op::OpenForm(job.key(), form.located(|file| config.locate(file))));
            }
        }
        if let Some(operation) = operation {
            self.outlet.to_disk(operation);
            job.state = State::Opening;
            self.put(job);
            return;
        }
        let source = match (bytes, &job.feed) {
            (Some(bytes), _) => Source::Bytes { bytes: Arc::clone(bytes), at: 0 },
            (None, Some(feed)) if job.has_body => Source::Stream(Rc::clone(feed)),
            (None, _) => Source::None,
        };
        self.start(job, source);
    }

    /// Hands a job to libcurl.
    fn start(&mut self, mut job: Box<Job>, source: Source) {
        #[cfg(feature = "test-hooks")]
        if std::mem::take(&mut self.panic_at_start) {
            panic!("the worker was asked to panic with a request in hand");
        }
        let now = self.now();
        (job.disk_by, job.may_ask) = (None, false);
        job.hop_started = now;
        job.connected = false;
        job.suspended_until = None;
        let length = source.length();
        if job.request.progress == Progress::Upload && !job.began {
            job.began = true;
            let estimated = length.unwrap_or(BodyLength::Known(0)).estimate();
            self.outlet.events.push(job.event(EventKind::Began, 0, estimated, None));
        }
        job.tell(TraceLevel::Requests, |trace| {
            let attempt = job.timing.attempts;
            let attempt = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("{} {}{attempt}", job.method, trace.url(&job.url))
        });
        let mut flow = self.flow_for(&job, source);
        match self.look_up(&mut job, &mut flow) {
            Looked::Answer(entry) => {
                job.tell(TraceLevel::Requests, |_| "answered by the cache".to_owned());
                return self.answer_stored(job, flow, &entry);
            }
            Looked::AnswerMeanwhile(entry) => {
                job.tell(TraceLevel::Requests, |_| "answered by the cache, which is stale".to_owned());
                self.refresh(&job);
                return self.answer_stored(job, flow, &entry);
            }
            Looked::Fail(failure) => {
                self.outlet.to_disk(Op::Close(job.key()));
                return self.fail(job, flow, failure);
            }
            Looked::Ask => job.tried = true,
        }
        if let Some(mock) = self.mocks.answer(&job.method, &job.url) {
            job.tell(TraceLevel::Requests, |_| "answered by a mock".to_owned());
            flow.decompress = job.hop(&self.config, length, None).compression || flow.resumable;
            let answer = Answer::of(&mock, job.origin());
            let local = Local::new(flow, answer, &self.outlet, self.net.sockets()).connect();
            job.state = State::Running(Peer::Local(Box::new(local)));
            return self.put(job);
        }
        if self.config.mocks_only {
            let message =
                format!("no mock answers {} {}, and the client has no network", job.method, shown::place(&job.url));
            self.outlet.to_disk(Op::Close(job.key()));
            return self.fail(job, flow, Failure::new(ErrorKind::Connect, message));
        }
        let interface = job.zone.as_deref().map(net::interface_number);
        if let (Some(None), Some(zone)) = (&interface, &job.zone) {
            let message = format!("{}: this machine has no network interface '{zone}'", job.origin());
            self.outlet.to_disk(Op::Close(job.key()));
            let failure = Failure::new(ErrorKind::Connect, message);
            return self.conclude(job, flow, Some(failure), None);
        }
        match self.run_on_handle(&job, flow, length, interface.flatten().as_deref()) {
            Ok(active) => {
                job.state = State::Running(Peer::Network(active));
                self.put(job);
            }
            Err(failure) => {
                self.outlet.to_disk(Op::Close(job.key()));
                self.let_go(job, failure);
            }
        }
    }

    /// The Cookie header of a job's present hop.
    fn cookies_for(&mut self, job: &Job) -> Option<Vec<u8>> {
        match &job.cookies {
            _ if !job.may_have_cookies() => None,
            Some(pinned) => pinned.clone(),
            None => self.cookies.header(&job.url),
        }
    }

    /// The flow of a job's present hop.
    fn flow_for(&self, job: &Job, source: Source) -> Box<Flow> {
        let mut flow = Box::new(Flow::new(job.id, job.requested.clone(), &job.request, source, self.now()));
        flow.head = self.outlet.spare.borrow_mut().head();
        flow.is_head = job.method == "HEAD";
        flow.idempotent = job.is_idempotent();
        flow.max_body = job.request.max_body_bytes.unwrap_or(self.config.max_body_bytes);
        flow.max_file = job.request.max_file_bytes.unwrap_or(self.config.max_file_bytes);
        flow.max_ratio = self.config.max_decompression_ratio;
        flow.file = job.request.response_file.as_ref().map(|file| (job.key(), self.config.locate(file)));
        flow.resumable = job.request.resume;
        flow.paused = job.paused;
        flow.left = job.left.as_ref().map(|(left, _)| left.clone());
        (flow.began, flow.head_told, flow.told) = (job.began, job.head_told, job.told);
        flow.attempt = job.attempt;
        flow.effective_url = job.effective_url();
        flow.backoff = job.backoff.filter(|_| job.may_be_sent_twice() && !job.body_is_spent());
        flow.owner = job.owner;
        // A new connection has to be had even beside those that are full.
        if job.place.is_some_and(|host| self.admission.shares_connections(host)) && !job.fresh {
            flow.max_connections = MAX_HTTP2_CONNECTIONS;
        }
        flow
    }

    fn run_on_handle(
        &mut self,
        job: &Job,
        mut flow: Box<Flow>,
        body: Option<BodyLength>,
        zone: Option<&str>,
    ) -> Result<Active<Exchange>, Failure> {
        let internal = |message: String| Failure::new(ErrorKind::Internal, message);
        let mut easy = match self.pool.pop() {
            Some(easy) => easy,
            None => {
                let exchange = Exchange::new(Rc::clone(&self.outlet), Arc::clone(self.net.sockets()));
                Easy::new(exchange, &self.setup, &self.net).map_err(internal)?
            }
        };
        let cookies = self.cookies_for(job);
        let hop = Hop { zone, ..job.hop(&self.config, body, cookies.as_deref()) };
        job.tell(TraceLevel::Details, |trace| {
            let credential = match hop.credential {
                Credential::None => None,
                Credential::Basic(name, password) => Some(format!("Basic {name}:{password}")),
                Credential::Bearer(token) => Some(format!("Bearer {token}")),
            };
            let credential = credential.iter().map(|credential| ("Authorization", credential.as_bytes()));
            trace.head(
                "request headers, but for those that are always there:",
                hop.headers.iter().copied().chain(credential),
                &job.url,
            )
        });
        easy.prepare(&hop, &self.setup).map_err(internal)?;
        flow.may_be_misdirected = !job.misdirected;
        flow.prior_knowledge = hop.version == HttpVersion::Http2PriorKnowledge;
        // Who did not ask for compression gets what comes as it is; but a file is not to be compressed unawares.
        flow.decompress = hop.compression || flow.resumable;
        // Of HTTP/2, streams and requests share connections.
        let long = job.request.stream_window.is_some();
        let alone = long && job.place.is_some_and(|host| self.admission.speaks_http1(host));
        let lane = if alone { Lane::Streams } else { Lane::Requests };
        if alone {
            // Its connection is none that others could use.
            flow.owner = !flow.owner;
        }
        easy.handler().flow = Some(flow);
        let mut active = self.net.start(easy, lane, job.id.index())?;
        let connection = active.connection();
        if let Some(flow) = &mut active.handler().flow {
            flow.connection = Some(connection);
        }
        Ok(active)
    }

    // Running.

    /// Lets transfers that paused for want of room receive again.
    fn feed_starved(&mut self) {
        if self.starved.is_empty() || self.suspended() || !self.budget.take_freed() {
            return;
        }
        let now = self.now();
        for id in std::mem::take(&mut self.starved) {
            if let Some(Job { state: State::Running(peer), .. }) = self.job(id) {
                go_on(peer, now);
            }
        }
    }

    /// Lets transfers go on whose turn it is within the limits on bandwidth.
    fn feed_limited(&mut self) {
        let now = self.now();
        if self.suspended() {
            return;
        }
        let next = self.outlet.lines.borrow_mut().next(now);
        for id in next {
            if let Some(Job { state: State::Running(peer), .. }) = self.job(id) {
                go_on(peer, now);
            }
        }
    }

    /// Acts on what callbacks have seen; `true` if there was anything.
    fn take_notices(&mut self) -> bool {
        let notices = std::mem::take(&mut *self.outlet.notices.borrow_mut());
        let any = !notices.is_empty();
        for notice in notices {
            match notice {
                Notice::Starved(id) => self.starved.push(id),
                Notice::Unwanted(key) => {
                    // Putting it back makes the appointment.
                    let Some(job) = self.take(key.id) else { continue };
                    self.put(job);
                }
                Notice::Local(key) => self.feed_locally(key),
                Notice::Answered(key) => {
                    let Some(job) = self.take(key.id) else { continue };
                    if job.attempt == key.attempt {
                        self.transfer_ended(job, Some(curl_sys::CURLE_OK));
                    } else {
                        self.put(job);
                    }
                }
                Notice::Connected(key) => {
                    let Some(mut job) = self.take(key.id) else { continue };
                    if let Some(host) = job.place.filter(|_| !job.connected && job.attempt == key.attempt) {
                        job.connected = true;
                        self.admission.connected(host);
                    }
                    self.put(job);
                }
                Notice::AwaitsDisk(key) => {
                    let Some(mut job) = self.take(key.id) else { continue };
                    if job.attempt == key.attempt && !job.aside && matches!(job.state, State::Running(_)) {
                        job.disk_by = Some(self.now().saturating_add(DISK_PATIENCE));
                    }
                    self.put(job);
                }
                Notice::Cookies(key) => {
                    let Some(job) = self.take(key.id) else { continue };
                    if job.attempt == key.attempt {
                        self.keep_cookies(&job);
                    }
                    self.put(job);
                }
                Notice::Cut { connection, stream } => {
                    let cut = |flow: &mut Flow| flow.cut |= flow.stream == Some(stream);
                    self.flows_on(connection).for_each(cut);
                }
                Notice::Broken { connection, socket, stream } => {
                    for flow in self.flows_on(connection) {
                        flow.malformed |= if stream.is_some() { flow.stream == stream } else { flow.is_in_head() };
                        flow.bystander = !flow.malformed;
                    }
                    if let Some(socket) = socket {
                        // The farewell goes out first.
                        self.net.nudge(socket);
                        self.net.sockets().give_up(socket);
                    }
                }
                Notice::Speaks { id, http2 } => {
                    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                    if let Some(host) = self.job(id).and_then(|job| job.place) {
                        self.admission.learned(host, protocol);
                    }
                }
            }
        }
        any
    }

    /// The transfers that have an HTTP/2 connection.
    fn flows_on(&mut self, connection: i64) -> impl Iterator<Item = &mut Flow> {
        let flows = self.jobs.iter_mut().flatten().filter_map(|job| match &mut job.state {
            State::Running(Peer::Network(active)) => active.handler().flow.as_deref_mut(),
            _ => None,
        });
        flows.filter(move |flow| flow.stream.is_some() && flow.connection_id == connection)
    }

    /// Lets a local answer go on; all that goes on while suspended is resumed later.
    fn feed_locally(&mut self, key: Key) {
        let (suspended, now) = (self.suspended(), self.now());
        let Some(mut job) = self.take(key.id) else { return };
        if let State::Running(Peer::Local(local)) = &mut job.state
            && !suspended
            && job.attempt == key.attempt
            && local.go_on(now)
        {
            // What its callbacks have noticed comes first.
            self.outlet.notice(Notice::Answered(key));
        }
        self.put(job);
    }

    /// Ends the transfers that libcurl has finished; `true` if there was any.
    fn finish_transfers(&mut self) -> bool {
        let mut finished = std::mem::take(&mut self.finished);
        self.net.finished(&mut finished);
        let any = !finished.is_empty();
        for (index, code) in finished.drain(..) {
            if index >= FIRST_PROBE {
                self.probe_ended(index, code);
                continue;
            }
            let id = self.jobs.get(index).and_then(Option::as_ref).map(|job| job.id);
            if let Some(job) = id.and_then(|id| self.take(id)) {
                self.transfer_ended(job, Some(code));
            }
        }
        self.finished = finished;
        for socket in std::mem::take(&mut self.nudges) {
            self.net.nudge(socket);
        }
        any
    }

    /// Whether a transfer that is being stopped has waited for its connection in vain: nothing has come over that, for this or
    /// any other transfer, since something of this one went or came, for long enough to doubt the connection.
    fn was_silent(&self, active: &Active<Exchange>) -> bool {
        let flow = active.handler_ref().flow.as_ref();
        let Some(flow) = flow.filter(|flow| flow.connected && !flow.waits()) else { return false };
        let limit = matches!(&flow.failure, Some(failure) if failure.kind == ErrorKind::Stalled)
            || (flow.status == 0 && matches!(&flow.failure, Some(failure) if failure.kind == ErrorKind::Timeout));
        let silent = self.now().saturating_sub(flow.last_activity);
        (limit || silent >= DOUBTFUL_SILENCE)
            && self.net.heard(active.connection()).is_some_and(|heard| heard <= flow.last_activity)
    }

    /// Takes a job's transfer from libcurl and decides what comes next. `code` is libcurl's, or `None` if the transfer was
    /// stopped, for the reason in its flow.
    fn transfer_ended(&mut self, mut job: Box<Job>, code: Option<curl_sys::CURLcode>) {
        let active = match std::mem::replace(&mut job.state, State::Moving) {
            State::Running(Peer::Network(active)) => {
                self.note_lost_connection(&active, code);
                active
            }
            State::Running(Peer::Local(local)) => return self.answer_ended(job, *local),
            state => {
                job.state = state;
                return self.put(job);
            }
        };
        let stopped = if code.is_none() && self.was_silent(&active) {
            self.net.stop_and_leave(active)
        } else {
            self.net.stop(active)
        };
        let Some(mut easy) = stopped else {
            self.outlet.to_disk(Op::Close(job.key()));
            let failure = Failure::new(ErrorKind::Internal, "libcurl did not give a transfer back");
            return self.let_go(job, failure);
        };
        let Some(mut flow) = easy.handler().flow.take() else { return };
        job.fresh = false;
        let stream = flow.stream.map(|stream| (flow.connection_id, stream));
        let whole = stream.is_some_and(|stream| self.outlet.whole.borrow_mut().remove(&stream));
        // libcurl fails a transfer whose upload ends after the response has.
        let answered = whole && !flow.is_in_head() && !flow.receive_paused;
        let code = code.map(|code| match code {
            curl_sys::CURLE_SEND_ERROR if answered => curl_sys::CURLE_OK,
            code => code,
        });
        let timing = easy.timing();
        (job.timing.name_lookup, job.timing.connect) = (timing.name_lookup, timing.connect);
        (job.timing.tls, job.timing.first_byte) = (timing.tls, timing.first_byte);
        let made = easy.connections();
        self.connections += made;
        if flow.reached() > Reached::Nothing {
            job.timing.protocol = easy.protocol();
            job.timing.connection_reused = made == 0;
            job.timing.remote_address = easy.remote_address();
        }
        if job.suspended_until.is_some_and(|until| flow.last_activity > until) {
            job.suspended_until = None;
        }
        let (failure, redirect) = self.take_outcome(&mut job, &mut flow);
        if (flow.afresh || flow.misdirected) && failure.is_none() {
            job.afresh |= flow.afresh;
            (job.fresh, job.misdirected) = (flow.misdirected, job.misdirected || flow.misdirected);
            self.give_back(easy);
            return self.try_again(job, &mut flow);
        }
        // What becomes of such a response's body does not matter.
        let decided =
            redirect.is_some() || (failure.is_none() && (flow.again.is_some() || flow.instead || flow.answered));
        let failure = match code {
            Some(code) if failure.is_none() && code != curl_sys::CURLE_OK && !decided => {
                if flow.crowded {
                    return self.wait_for_stream(job, easy);
                }
                if flow.stale {
                    self.give_back(easy);
                    job.fresh = true;
                    return self.try_again(job, &mut flow);
                }
                if flow.refused && flow.status == 0 && !job.body_is_spent() && job.refusals < MAX_REFUSALS {
                    job.refusals += 1;
                    self.give_back(easy);
                    return self.try_again(job, &mut flow);
                }
                if matches!(code, curl_sys::CURLE_COULDNT_RESOLVE_HOST | curl_sys::CURLE_COULDNT_RESOLVE_PROXY) {
                    self.net.forget_names();
                }
                Some(self.explain(&job, &mut flow, &mut easy, code))
            }
            Some(_) if flow.status == 407 && easy.used_proxy() => {
                Some(Failure::new(ErrorKind::Proxy, "the proxy asks for a user name and password (407)"))
            }
            _ => failure.or_else(|| flow.incomplete().filter(|_| !decided)),
        };
        let unanswered_on_used_connection = made == 0 && flow.reached() == Reached::Connection;
        self.give_back(easy);
        match (failure, redirect) {
            (Some(failure), _) if job.may_restart(&failure, unanswered_on_used_connection || flow.bystander) => {
                job.restarted = true;
                self.try_again(job, &mut flow);
            }
            (failure, redirect) => self.conclude(job, flow, failure, redirect),
        }
    }

    /// Explains why libcurl ended a transfer with `code`.
    fn explain(&self, job: &Job, flow: &mut Flow, easy: &mut Easy<Exchange>, code: curl_sys::CURLcode) -> Failure {
        let origin = job.origin();
        if flow.refused {
            let message = format!("{origin} refused the request each time without processing it (REFUSED_STREAM)");
            return Failure::new(ErrorKind::Receive, message);
        }
        if flow.malformed {
            return Failure::new(ErrorKind::Protocol, format!("{origin} sent a malformed head of a response"));
        }
        if flow.bystander {
            let message = format!("the connection to {origin} was given up: what came on it broke the protocol");
            return Failure::new(ErrorKind::Protocol, message);
        }
        let mut failure = net::explain(easy, code, origin, flow.reached());
        if let (curl_sys::CURLE_COULDNT_CONNECT, Some(why)) = (code, flow.no_socket.take()) {
            failure.message = format!("{}: {origin}: the system gives no socket: {why}", failure.kind.text());
        }
        failure
    }

    /// Sees to it that the other transfers of an HTTP/2 connection are told, if this one has failed with it.
    fn note_lost_connection(&mut self, active: &Active<Exchange>, code: Option<curl_sys::CURLcode>) {
        const LOST: [curl_sys::CURLcode; 4] = [
            curl_sys::CURLE_HTTP2,
            curl_sys::CURLE_SEND_ERROR,
            curl_sys::CURLE_RECV_ERROR,
            curl_sys::CURLE_PARTIAL_FILE,
        ];
        let shared = active.handler_ref().flow.as_ref().is_some_and(|flow| flow.stream.is_some());
        if shared && code.is_some_and(|code| LOST.contains(&code)) {
            let socket = active.connection().socket().filter(|socket| !self.nudges.contains(socket));
            self.nudges.extend(socket);
        }
    }

    /// A local answer has come to its end, or was stopped for the reason in its flow.
    fn answer_ended(&mut self, mut job: Box<Job>, local: Local) {
        let (Some(mut flow), first_byte) = local.into_flow() else { return };
        job.timing.first_byte = first_byte.unwrap_or_default().saturating_sub(job.hop_started);
        (job.timing.name_lookup, job.timing.connect, job.timing.tls) = Default::default();
        (job.timing.protocol, job.timing.connection_reused, job.timing.remote_address) = Default::default();
        let (failure, redirect) = self.take_outcome(&mut job, &mut flow);
        if flow.afresh && failure.is_none() {
            job.afresh = true;
            return self.try_again(job, &mut flow);
        }
        let decided = redirect.is_some() || flow.again.is_some() || flow.instead;
        let failure = failure.or_else(|| flow.incomplete().filter(|_| !decided));
        self.conclude(job, flow, failure, redirect);
    }

    /// Takes over from the flow of a hop that is over how far it has come, why it failed, and where it leads instead.
    fn take_outcome(&self, job: &mut Job, flow: &mut Flow) -> (Option<Failure>, Option<String>) {
        flow.end_head();
        job.disk_by = None;
        (job.began, job.head_told, job.told) = (flow.began, flow.head_told, flow.told);
        job.streamed = flow.has_streamed();
        job.timing.bytes_received += flow.came;
        job.timing.bytes_sent += flow.went;
        // What it has written is of the file that there is now, to be gone on with.
        job.afresh &= !matches!(flow.sink, Sink::File(_));
        if let Source::File(_) = flow.source {
            self.outlet.to_disk(Op::Close(job.key()));
        }
        let failure = flow.failure.take();
        let redirect = flow.redirect.take().filter(|_| failure.is_none());
        (failure, redirect)
    }

    /// A hop is over: its request fails, is made again, follows a redirect, or has its response.
    fn conclude(&mut self, mut job: Box<Job>, mut flow: Box<Flow>, failure: Option<Failure>, redirect: Option<String>) {
        let instead = match &failure {
            None => flow.instead,
            Some(failure) => flow.fallback && flow.status == 0 && retry::is_worth_another(failure.kind, true),
        };
        if instead {
            job.overtime = failure.is_some_and(|failure| failure.kind == ErrorKind::Timeout);
            return self.answer_instead(job, flow);
        }
        job.tell_response(&flow);
        if flow.from_cache && failure.as_ref().is_some_and(|failure| failure.kind == ErrorKind::Integrity) {
            self.distrust(&job);
            if job.may_ask_instead() {
                return self.try_again(job, &mut flow);
            }
        }
        if flow.lied {
            // The next attempt must not ask for the rest again, or it would get the same.
            job.afresh = true;
            if failure.as_ref().is_some_and(|failure| failure.kind == ErrorKind::Integrity) {
                return self.try_again(job, &mut flow);
            }
        }
        if failure.is_none() {
            self.note_response(&job, &mut flow, redirect.is_some());
        }
        match (failure, redirect, flow.again.take()) {
            (Some(failure), _, _) => match job.wait_after(&failure, self.now()) {
                Some(delay) => self.rest(job, flow, Some(failure), delay),
                None => self.fail(job, flow, failure),
            },
            (None, None, Some(delay)) => self.rest(job, flow, None, delay),
            (None, Some(location), _) => self.redirect(job, flow, &location),
            (None, None, None) => self.store_or_end(job, flow),
        }
    }

    /// Lets a failed attempt be followed by another, from the first hop on.
    fn rest(&mut self, mut job: Box<Job>, mut flow: Box<Flow>, failure: Option<Failure>, delay: Duration) {
        self.discard(&mut flow, &job);
        self.leave_place(&mut job);
        job.tell(TraceLevel::Requests, |_| {
            let why = failure.as_ref().map_or_else(|| flow.status.to_string(), |failure| failure.message.clone());
            format!("attempt {} failed ({why}), another follows in {} ms", job.timing.attempts, delay.as_millis())
        });
        if job.request.retry.events {
            let mut response = exchange::response_of(&mut flow, None);
            response.failure = failure.map(|failure| (failure.kind, Text::from(failure.message)));
            (response.timing, response.retry_delay) = (job.timing, delay);
            self.outlet.events.push(job.event(EventKind::Retry, job.told, -1, Some(response)));
        }
        job.start_over();
        job.state = State::Resting(self.now().saturating_add(delay));
        self.resting += 1;
        self.put(job);
    }

    /// Makes the present hop again from its start.
    fn try_again(&mut self, mut job: Box<Job>, flow: &mut Flow) {
        job.tell(TraceLevel::Details, |_| "starts once more".to_owned());
        self.discard(flow, &job);
        job.attempt += 1;
        self.leave_place(&mut job);
        self.enqueue(job);
    }

    /// Its host's HTTP/2 connections were full: back to the queue, as if it had not started.
    fn wait_for_stream(&mut self, mut job: Box<Job>, easy: Easy<Exchange>) {
        self.give_back(easy);
        self.let_go_of_part(&job);
        job.attempt += 1;
        if let Some(host) = job.place.take() {
            self.admission.crowded(host, job.rank, job.id);
            job.state = State::Waiting(host);
            self.put(job);
        } else {
            self.enqueue(job);
        }
    }

    /// Keeps a handle for the next request.
    fn give_back(&mut self, easy: Easy<Exchange>) {
        if self.pool.len() < MAX_POOLED_HANDLES {
            self.pool.push(easy);
        }
    }

    fn redirect(&mut self, mut job: Box<Job>, flow: Box<Flow>, location: &str) {
        let most = job.request.max_redirects;
        if job.timing.redirects >= most {
            let from = shown::place(&job.url);
            let message = format!("redirect from {from} was not followed: {most} have been, which is the limit");
            return self.fail(job, flow, Failure::new(ErrorKind::Redirects, message));
        }
        let insecure = job.request.insecure_redirects;
        match redirect::next_hop(&job.url, location, flow.status, &job.method, insecure) {
            Ok(next) if !next.becomes_get && job.body_is_spent() => {
                let from = shown::place(&job.url);
                let message =
                    format!("redirect from {from} was not followed: it asks for the body again, which was streamed");
                self.fail(job, flow, Failure::new(ErrorKind::Redirects, message));
            }
            Ok(next) => {
                self.let_go_of_part(&job);
                job.tell(TraceLevel::Requests, |trace| format!("redirected to {}", trace.url(&next.url)));
                job.follow(next);
                self.leave_place(&mut job);
                self.enqueue(job);
            }
            Err(failure) => self.fail(job, flow, failure),
        }
    }

    fn leave_place(&mut self, job: &mut Job) {
        if let Some(host) = job.place.take() {
            if job.tried {
                self.admission.leave(host, job.connected);
            } else {
                self.admission.leave_untried(host);
            }
            (job.tried, job.connected) = (false, false);
        }
    }

    // Ending.

    /// A whole response has come: a file is still to be stored, anything else is the end.
    fn store_or_end(&mut self, mut job: Box<Job>, mut flow: Box<Flow>) {
        let Sink::File(file) = &mut flow.sink else {
            if !job.request.resume {
                return self.end(job, Some(flow), None);
            }
            let key = job.key();
            let gone = matches!(flow.status, 404 | 410);
            self.outlet.to_disk(if gone { Op::Remove(key) } else { Op::Discard(key) });
            job.state = State::Storing(flow, None);
            return self.put(job);
        };
        let rest = std::mem::take(&mut file.buffer);
        if !rest.is_empty() {
            self.outlet.to_disk(Op::Write(file.key, rest));
        }
        self.outlet.to_disk(Op::Commit(file.key, job.request.sync));
        job.state = State::Storing(flow, None);
        self.put(job);
    }

    /// Asks the disk to let go of what a flow has written; `true` if there may be anything.
    fn discard(&mut self, flow: &mut Flow, job: &Job) -> bool {
        if let (Sink::File(file), true) = (&mut flow.sink, job.request.resume) {
            let rest = std::mem::take(&mut file.buffer);
            self.outlet.to_disk(Op::Write(file.key, rest));
        }
        let written = matches!(flow.sink, Sink::File(_)) || job.request.resume;
        if written {
            self.outlet.to_disk(Op::Discard(job.key()));
        }
        written
    }

    /// Ends a request that the disk is at, once it has let go of what it writes, and of a text that may be lent.
    fn let_go(&mut self, mut job: Box<Job>, failure: Failure) {
        self.outlet.to_disk(Op::Discard(job.key()));
        job.disk_by = None;
        let mut flow = Box::new(Flow::new(job.id, job.requested.clone(), &job.request, Source::None, self.now()));
        flow.told = job.told;
        job.state = State::Storing(flow, Some(failure));
        self.put(job);
    }

    /// Asks the disk to let go of a file that may be gone on with, before anything has been written to it.
    fn let_go_of_part(&self, job: &Job) {
        if job.request.resume {
            self.outlet.to_disk(Op::Discard(job.key()));
        }
    }

    /// A request has failed: it ends when what it has written is gone.
    fn fail(&mut self, mut job: Box<Job>, mut flow: Box<Flow>, failure: Failure) {
        if self.discard(&mut flow, &job) {
            job.state = State::Storing(flow, Some(failure));
            self.put(job);
        } else {
            self.end(job, Some(flow), Some(failure));
        }
    }

    /// Stops a request wherever it is. What is under way for it may still come to its end, but nothing follows that.
    fn stop(&mut self, id: RequestId, failure: Failure) {
        let Some(mut job) = self.take(id) else { return };
        match &mut job.state {
            State::Waiting(host) => {
                self.admission.withdraw(*host, job.rank);
                self.stop_between(job, failure);
            }
            State::Resting(_) | State::Parked => {
                self.resting -= 1;
                self.stop_between(job, failure);
            }
            State::Opening => {
                self.outlet.to_disk(Op::Close(job.key()));
                self.let_go(job, failure);
            }
            State::Running(active) => {
                if let Some(flow) = active.flow_mut() {
                    // Of a failure that a callback has just found, another attempt might follow.
                    flow.failure = Some(failure);
                }
                self.transfer_ended(job, None);
            }
            State::Storing(_, reason @ None) => {
                // If the file has its name by then, that is how it ends.
                *reason = Some(failure);
                job.disk_by = None;
                self.outlet.to_disk(Op::Discard(job.key()));
                self.put(job);
            }
            State::Storing(_, Some(_)) | State::Moving => self.put(job),
        }
    }

    /// Stops a request that has no attempt under way. The disk may still be letting go of the last one's file.
    fn stop_between(&mut self, job: Box<Job>, failure: Failure) {
        if job.answer.is_some() {
            self.outlet.to_disk(Op::Close(job.key()));
        }
        if job.answer.is_some() || (job.attempt > 0 && job.request.response_file.is_some()) {
            self.let_go(job, failure);
        } else {
            self.end(job, None, Some(failure));
        }
    }

    /// Ends a request with its one ENDED event.
    fn end(&mut self, mut job: Box<Job>, flow: Option<Box<Flow>>, failure: Option<Failure>) {
        self.end_with_file(&mut job, flow, failure, None);
    }

    fn end_with_file(&mut self, job: &mut Job, flow: Option<Box<Flow>>, failure: Option<Failure>, file: Option<Text>) {
        self.leave_place(job);
        let now = self.now();
        let (transferred, estimated) = flow.as_ref().map_or((job.told, -1), |flow| flow.counts());
        let mut response = match flow {
            Some(_) if job.in_background => Response::default(),
            Some(mut flow) => exchange::response_of(&mut flow, failure.is_none().then_some(&self.budget)),
            None => Response::default(),
        };
        // From here on it ends here, and not by being dropped.
        self.live = self.live.saturating_sub(1);
        response.file = file;
        response.credentials_unused = job.credentials_unused(&response);
        let started = job.started.unwrap_or(now);
        job.timing.queued = started.saturating_sub(job.submitted);
        // The turn's time may be older than what libcurl has measured within it.
        job.timing.total = now.saturating_sub(started).max(job.timing.first_byte);
        response.timing = job.timing;
        if job.in_background {
            job.ended = true;
            self.publish();
            return self.outlet.events.give_up(job.id);
        }
        self.counters.ended.fetch_add(1, Ordering::Relaxed);
        job.tell_end(&response, failure.as_ref());
        if let Some(failure) = failure {
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
            response.failure = Some((failure.kind, Text::from(failure.message)));
        }
        // A lent body is the host's again once it sees the event.
        job.request.body = RequestBody::None;
        job.ended = true;
        // Whoever sees the event also sees it counted.
        self.publish();
        self.outlet.events.push(job.event(EventKind::Ended, transferred, estimated, Some(response)));
    }

    // The disk.

    fn take_reply(&mut self, reply: Reply) {
        let Reply { key, outcome } = reply;
        if key == Key::CLIENT {
            return self.take_own_reply(outcome);
        }
        let (suspended, now) = (self.suspended(), self.now());
        let Some(mut job) = self.take(key.id) else {
            if let Outcome::Written(buffer) = outcome {
                self.outlet.spare.borrow_mut().keep_disk_buffer(buffer);
            }
            return;
        };
        if job.attempt != key.attempt {
            return self.put(job);
        }
        let failed = matches!(outcome, Outcome::ReadFailed(_) | Outcome::WriteFailed(_));
        if job.aside && matches!(job.state, State::Opening) && !failed {
            job.answer = Some(outcome);
            return self.enqueue(job);
        }
        if suspended && matches!(job.state, State::Opening) {
            // It would start; nothing does now.
            self.held.push(Reply { key, outcome });
            return self.put(job);
        }
        match (outcome, &mut job.state) {
            (Outcome::Opened(length), State::Opening) => {
                let outlet = Rc::clone(&self.outlet);
                let source = FileSource::new(key, length, &mut |operation| outlet.to_disk(operation));
                return self.start(job, Source::File(source));
            }
            (Outcome::Encoded(text), State::Opening) => {
                job.request.body = RequestBody::Bytes(Arc::new(text));
                job.encoded = true;
                return self.open_body(job);
            }
            (Outcome::Compressed(bytes), State::Opening) => {
                return self.start(job, Source::Bytes { bytes: Arc::new(bytes), at: 0 });
            }
            (Outcome::Prepared(left), State::Opening) => {
                job.left = left.map(|left| {
                    let range = format!("bytes={}-", left.offset);
                    (left, range)
                });
                return self.start(job, Source::None);
            }
            (Outcome::Recalled(read), State::Opening) => {
                job.recalled = self.cache.recalled(read);
                return self.start(job, Source::None);
            }
            (Outcome::Chunk(offset, bytes), State::Running(active)) => {
                let Some(flow) = active.flow_mut() else { return self.put(job) };
                let Source::File(file) = &mut flow.source else { return self.put(job) };
                flow.awaits_disk = false;
                job.disk_by = None;
                if let Err(failure) = file.arrived(offset, bytes) {
                    flow.failure.get_or_insert(failure);
                    return self.transfer_ended(job, None);
                }
                if flow.send_paused && !suspended {
                    go_on(active, now);
                }
            }
            (Outcome::Written(buffer), State::Running(active)) => {
                let written = buffer.len();
                self.outlet.spare.borrow_mut().keep_disk_buffer(buffer);
                let Some(flow) = active.flow_mut() else { return self.put(job) };
                if let Sink::File(file) = &mut flow.sink {
                    file.in_flight = file.in_flight.saturating_sub(written);
                }
                flow.awaits_disk = false;
                job.disk_by = None;
                if flow.receive_paused && !suspended {
                    go_on(active, now);
                }
            }
            (Outcome::Written(buffer), _) => self.outlet.spare.borrow_mut().keep_disk_buffer(buffer),
            (Outcome::WriteFailed(failure), State::Running(active)) => {
                if let Some(flow) = active.flow_mut() {
                    // The disk has let go of it.
                    flow.sink = Sink::Undecided;
                    flow.failure.get_or_insert(failure);
                }
                return self.transfer_ended(job, None);
            }
            (Outcome::ReadFailed(failure), State::Running(active)) => {
                if let Some(flow) = active.flow_mut() {
                    flow.failure.get_or_insert(failure);
                }
                return self.transfer_ended(job, None);
            }
            (Outcome::ReadFailed(failure) | Outcome::WriteFailed(failure), State::Opening) => {
                return self.end(job, None, Some(failure));
            }
            (Outcome::Committed(path), State::Storing(..)) => return self.stored(job, None, Some(path)),
            (Outcome::WriteFailed(failure), State::Storing(flow, None)) if failure.kind == ErrorKind::Integrity => {
                // What was there may have been another file's.
                let resumed = flow.left.is_some() && !job.afresh;
                let cached = flow.from_cache && job.may_ask_instead();
                self.distrust(&job);
                if !resumed && !cached {
                    return self.stored(job, Some(failure), None);
                }
                job.afresh |= resumed;
                self.leave_place(&mut job);
                job.attempt += 1;
                return self.enqueue(job);
            }
            (Outcome::WriteFailed(failure), State::Storing(..)) => return self.stored(job, Some(failure), None),
            (Outcome::Discarded, State::Storing(..)) => return self.stored(job, None, None),
            _ => {}
        }
        self.put(job);
    }

    /// The disk is done with a job's file: it has its name, or else the request fails, if it is to.
    fn stored(&mut self, mut job: Box<Job>, failure: Option<Failure>, file: Option<Text>) {
        if let State::Storing(flow, reason) = std::mem::replace(&mut job.state, State::Moving) {
            let failure = reason.or(failure).filter(|_| file.is_none());
            self.end_with_file(&mut job, Some(flow), failure, file);
        }
    }

    /// The disk has not answered for long.
    fn go_on_without_the_disk(&mut self, mut job: Box<Job>) {
        job.disk_by = None;
        match job.state {
            State::Storing(_, Some(_)) => return self.end_without_the_disk(job),
            State::Opening if job.may_ask => {
                job.tell(TraceLevel::Requests, |_| "the cache's disk does not answer".to_owned());
                // What the disk still says is of before.
                job.attempt += 1;
                return self.start(job, Source::None);
            }
            // It needs no place until the disk has answered.
            State::Opening => {
                job.aside = true;
                self.leave_place(&mut job);
            }
            // Nor do these, but they hold memory: as many may do so as there are places.
            State::Running(_) | State::Storing(_, None) => {
                let is_aside = |job: &Job| job.aside && matches!(job.state, State::Running(_) | State::Storing(..));
                let others = self.jobs.iter().flatten().filter(|job| is_aside(job)).count();
                if others < self.config.max_active as usize {
                    job.aside = true;
                    self.leave_place(&mut job);
                }
            }
            _ => {}
        }
        self.put(job);
    }

    /// Ends a stopped or failed request although the disk has not let go of its file: it does as soon as it answers.
    fn end_without_the_disk(&mut self, job: Box<Job>) {
        if !self.outlet.disk.abandon(job.id) {
            return self.put(job);
        }
        job.tell(TraceLevel::Errors, |_| "the disk does not answer: its file is let go of later".to_owned());
        self.stored(job, None, None);
    }

    // Deadlines and accidents.

    fn keep_deadlines(&mut self) {
        if self.suspended() {
            return;
        }
        let now = self.now();
        while let Some((at, id)) = self.deadlines.take_due(now) {
            let Some(job) = self.job(id).filter(|job| job.appointment == Some(at)) else { continue };
            job.appointment = None;
            let Some(mut job) = self.take(id) else { continue };
            if matches!(job.state, State::Resting(until) if until <= now) {
                self.resting -= 1;
                self.enqueue(job);
                continue;
            }
            let overdue = job.overdue(&self.config, now).or_else(|| job.too_slow(&self.config, now));
            if overdue.is_none() && job.disk_by.is_some_and(|by| by <= now) {
                self.go_on_without_the_disk(job);
                continue;
            }
            if overdue.is_none() && job.gives_up_body(now) {
                self.transfer_ended(job, None);
                continue;
            }
            if let (None, State::Running(Peer::Local(local))) = (&overdue, &mut job.state)
                && local.take_due(now)
            {
                local.go_on_soon();
            }
            self.put(job);
            if let Some(failure) = overdue {
                self.stop(id, failure);
            }
        }
        let jobs = &self.jobs;
        self.deadlines.weed(self.live as usize, |at, id| {
            let job = jobs.get(id.index()).and_then(Option::as_ref);
            job.is_some_and(|job| job.id == id && job.appointment == Some(at))
        });
    }

    /// Ends every live request with INTERNAL after a panic, and starts afresh.
    fn recover(&mut self) {
        self.outlet.tell(TraceLevel::Errors, (RequestId::NONE, 0), |_| {
            "the worker failed; every request under way ends with INTERNAL, and it starts afresh".to_owned()
        });
        self.outlet.notices.replace(Vec::new());
        self.starved.clear();
        self.resting = 0;
        self.admission = Admission::new(self.config.max_active, self.config.max_active_per_host);
        for mut job in std::mem::take(&mut self.jobs).into_iter().flatten() {
            job.place = None;
            let state = std::mem::replace(&mut job.state, State::Moving);
            if let State::Storing(..) = state {
                // The network is done with it, and the disk is not affected.
                job.state = state;
                self.put(job);
                continue;
            }
            // Whatever state the transfer is in, it must not take the next request down.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
            self.outlet.to_disk(Op::Close(job.key()));
            let failure = Failure::new(ErrorKind::Internal, "the worker failed and was started afresh");
            self.let_go(job, failure);
        }
        // Whoever was on its way between two states when it happened has ended by being dropped.
        let live = u32::try_from(self.jobs.iter().flatten().count()).unwrap_or(u32::MAX);
        let lost = u64::from(self.live.saturating_sub(live));
        self.counters.ended.fetch_add(lost, Ordering::Relaxed);
        self.counters.failed.fetch_add(lost, Ordering::Relaxed);
        self.live = live;
        self.pool.clear();
        // The probes go before the multi handle that runs them.
        drop(self.watches.take_probes(self.now()));
        if let Ok(fresh) = Net::new(&self.wake, idle_connections(&self.config)) {
            self.net = fresh;
        }
    }
}

/// By what the connections of a queue's hops are counted.
fn owner_of(queue: &str) -> Owner {
    let mut hasher = DefaultHasher::new();
    queue.hash(&mut hasher);
    hasher.finish()
}

/// How many idle connections to keep: as many as can be busy at once.
fn idle_connections(config: &Config) -> usize {
    config.max_active as usize + reachability::MAX_WATCHES + 16
}

/// Lets a paused transfer go on, in both directions: one that still has to wait pauses itself again at once.
fn go_on(peer: &mut Peer, now: Duration) {
    if let Some(flow) = peer.flow_mut() {
        flow.receive_paused = false;
        flow.send_paused = false;
        flow.starved = false;
        // Until now it was waiting for us, and neither stalled nor was slow.
        flow.last_activity = now;
        flow.measure_from(now);
    }
    peer.pause(false, false);
}
