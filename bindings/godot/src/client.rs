//! The client node, and what it shares with its requests while it runs.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use godot::classes::notify::NodeNotification;
use godot::global::Error;
use godot::prelude::*;
use sortie::{
    ClientCertificate, Config, Event, EventKind, Network, Pin, Proxy, RequestId, Resolve, TlsVersion, TraceLevel,
};

use crate::files::{optional_path, system_path};
use crate::limits::{bytes, choice, count, header, int, largest, limit, min_speed, rates};
use crate::mock::SortieMock;
use crate::refused::{Refused, outcome};
use crate::request::SortieRequest;
use crate::response::SortieResponse;

const TLS_VERSIONS: &[TlsVersion] = &[TlsVersion::Tls12, TlsVersion::Tls12, TlsVersion::Tls13];

const TRACE_LEVELS: &[TraceLevel] = &[TraceLevel::Off, TraceLevel::Errors, TraceLevel::Requests, TraceLevel::Details];

/// A client at work.
pub(crate) struct Running {
    /// None once it is shut down, which may be while a signal of it is emitted.
    client: RefCell<Option<sortie::Client>>,
    requests: RefCell<HashMap<u64, Gd<SortieRequest>>>,
    watches: RefCell<HashMap<u64, GString>>,
    /// Taken from the client and not yet told, for want of time in a frame.
    pending: RefCell<VecDeque<Event>>,
    polling: Cell<bool>,
    /// Signals wait: also those of what `pending` has already.
    suspended: Cell<bool>,
}

impl Running {
    fn new(config: Config) -> Result<Rc<Running>, Refused> {
        Ok(Rc::new(Running {
            client: RefCell::new(Some(sortie::Client::new(config)?)),
            requests: RefCell::default(),
            watches: RefCell::default(),
            pending: RefCell::default(),
            polling: Cell::new(false),
            suspended: Cell::new(false),
        }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.borrow().is_none()
    }

    /// Does something with the client.
    pub(crate) fn with<T>(
        &self,
        what: impl FnOnce(&sortie::Client) -> Result<T, sortie::Refusal>,
    ) -> Result<T, Refused> {
        match &*self.client.borrow() {
            Some(client) => Ok(what(client)?),
            None => Err(Refused::new(Error::ERR_DOES_NOT_EXIST, "the client is shut down")),
        }
    }

    /// Ends the client, and gives the requests that have not ended.
    fn close(&self) -> Vec<Gd<SortieRequest>> {
        let client = self.client.borrow_mut().take();
        drop(client);
        std::mem::take(&mut *self.requests.borrow_mut()).into_values().collect()
    }

    /// Takes what has happened from the client, once what was taken before is told: until then the library joins what
    /// comes, progress above all, and holds it within its own limits.
    fn collect(&self) {
        if !self.pending.borrow().is_empty() {
            return;
        }
        if let Some(client) = &*self.client.borrow() {
            self.pending.borrow_mut().extend(std::iter::from_fn(|| client.poll()));
        }
    }

    /// Whether no signal may come: suspended, or shut down.
    fn is_silent(&self) -> bool {
        self.suspended.get() || self.is_closed()
    }

    fn request(&self, id: RequestId) -> Option<Gd<SortieRequest>> {
        self.requests.borrow().get(&id.number()).cloned()
    }
}

/// An HTTP client: makes requests on a thread of its own, and tells what came of them once a frame.
///
/// Put one into the scene tree, best as an autoload, so that it lives as long as the game, and give it SortieRequest objects:
///
/// ```gdscript
/// @onready var client: SortieClient = $SortieClient
///
/// func _ready():
///     var response: SortieResponse = await client.fetch("https://example.com/").completed
///     print(response.status, " ", response.text)
/// ```
///
/// Its threads are made when it is first used, with what its properties say then; shutdown(), leaving the scene tree or being
/// freed ends them, and what has not ended completes with SortieResponse.ERROR_SHUTDOWN. In times and sizes, 0 means no limit.
///
/// Its methods are for the main thread. While the scene tree is paused, signals wait, unless its process mode is "Always".
#[derive(GodotClass)]
#[class(init, base = Node)]
pub(crate) struct SortieClient {
    /// The User-Agent header of requests that give none; empty sends none.
    #[export]
    #[init(val = Config::default().user_agent.unwrap_or_default().as_str().into())]
    user_agent: GString,
    /// Headers of every request that does not give the same name itself, each as "Name: value".
    #[export]
    default_headers: PackedStringArray,
    /// Suspend while the system has paused the application, as when a phone's game goes to the background.
    #[export]
    #[init(val = true)]
    suspend_in_background: bool,
    /// How many microseconds of a frame signals may take; what is left waits for the next frame. After each signal the time is
    /// looked at. 0 means as long as they need.
    #[export]
    #[init(val = 4000)]
    frame_budget_usec: i64,

    /// How many requests may be on the network at a time; at most 65535. A host that speaks HTTP/2 takes up at most two of
    /// these places.
    #[export_group(name = "Limits")]
    #[export]
    #[init(val = Config::default().max_active.into())]
    max_active: i64,
    /// How many of them may be to one host. A host that speaks HTTP/2 takes up to 100.
    #[export]
    #[init(val = Config::default().max_active_per_host.into())]
    max_active_per_host: i64,
    /// How many requests may wait, run or have ended untold in all, watches included; at most 1048576.
    #[export]
    #[init(val = Config::default().max_requests.into())]
    max_requests: i64,
    /// How many seconds a request may take from its start to its end, waiting in the queue aside.
    #[export]
    #[init(val = 30.0)]
    timeout: f64,
    /// How many seconds a connection may take to be made.
    #[export]
    #[init(val = 10.0)]
    connect_timeout: f64,
    /// For how many seconds no byte may move.
    #[export]
    #[init(val = 60.0)]
    stall_timeout: f64,
    /// How many seconds a request may wait in the queue.
    #[export]
    queue_timeout: f64,
    /// For how many seconds a connection may be without a packet before its other end is asked for a sign of life, and how
    /// often then.
    #[export]
    #[init(val = 30.0)]
    keep_alive_interval: f64,
    /// How many seconds a connection may be idle and still be used for another request.
    #[export]
    #[init(val = 60.0)]
    max_connection_idle: f64,
    /// How many bytes of bodies have to move in a second, both ways together, on average over each `min_speed_period`, of
    /// requests that do not say. Less ends one with SortieResponse.ERROR_STALLED.
    #[export]
    min_bytes_per_second: i64,
    /// The period in seconds, at least 0.1.
    #[export]
    #[init(val = 30.0)]
    min_speed_period: f64,
    /// The largest response body in memory, in bytes after decompression.
    #[export]
    #[init(val = int(Config::default().max_body_bytes))]
    max_body_bytes: i64,
    /// The largest response body in a file, in bytes after decompression.
    #[export]
    max_file_bytes: i64,
    /// How many times as large as it came a compressed body without a byte cap may become, beyond 256 MiB.
    #[export]
    #[init(val = Config::default().max_decompression_ratio.into())]
    max_decompression_ratio: i64,
    /// While responses that are not told hold more than this many bytes of bodies, no request starts and none receives into
    /// memory.
    #[export]
    #[init(val = int(Config::default().max_buffered_bytes))]
    max_buffered_bytes: i64,

    /// How many bytes of response bodies may come in a second in all, on the wire. May be set at any time.
    #[export]
    #[var(set)]
    max_receive_bytes_per_second: i64,
    /// How many bytes of request bodies may be sent in a second in all. May be set at any time.
    #[export]
    #[var(set)]
    max_send_bytes_per_second: i64,

    /// The lowest TLS version to accept, TLS_*.
    #[export_group(name = "Connections")]
    #[export(enum = (Default, TLS_1_2, TLS_1_3))]
    min_tls_version: i64,
    /// A PEM file with the roots to trust, in place of the system's: a path of `user://`, `res://` or the system.
    #[export]
    ca_file: GString,
    /// Public keys that hosts must show: by host, their SHA-256 hashes as "sha256//BASE64", separated by ';'.
    #[export]
    pins: VarDictionary,
    /// Through which proxy to go: "http://host:port", "https://", "socks4://", "socks4a://", "socks5://" or "socks5h://", with
    /// "user:password@" if need be. Empty means none, or what the environment says.
    #[export]
    proxy: GString,
    /// Hosts to reach without `proxy`, separated by commas.
    #[export]
    no_proxy: GString,
    /// Without `proxy`: whether http_proxy, https_proxy, all_proxy and no_proxy of the environment count.
    #[export]
    #[init(val = true)]
    use_environment_proxy: bool,
    /// How many seconds pass until a watched host is looked at again while the network does not change; 0 means not at all.
    #[export]
    #[init(val = 30.0)]
    reachability_interval: f64,

    /// Whether cookies are kept and sent.
    #[export_group(name = "Cookies and cache")]
    #[export]
    #[init(val = true)]
    cookies: bool,
    /// Where cookies with an end are kept beyond the client's life; for one client at a time. Empty means memory only.
    #[export]
    cookie_file: GString,
    /// A folder of its own for what the HTTP cache keeps beyond the client's life; for one client at a time.
    #[export]
    cache_directory: GString,
    /// How many bytes the cache keeps there.
    #[export]
    #[init(val = int(Config::default().max_cache_bytes))]
    max_cache_bytes: i64,
    /// How many bytes the cache keeps in memory. With neither this nor `cache_directory` there is no cache.
    #[export]
    max_memory_cache_bytes: i64,

    /// What SortieRequest.DIRECTORY_DOCUMENTS stands for.
    #[export_group(name = "Base directories")]
    #[export]
    documents_directory: GString,
    /// What SortieRequest.DIRECTORY_TEMPORARY stands for.
    #[export]
    temporary_directory: GString,
    /// What SortieRequest.DIRECTORY_CACHES stands for.
    #[export]
    caches_directory: GString,
    /// What SortieRequest.DIRECTORY_APPLICATION_SUPPORT stands for.
    #[export]
    application_support_directory: GString,
    /// What SortieRequest.DIRECTORY_RESOURCE stands for; nothing is written there.
    #[export]
    resource_directory: GString,

    /// How much `trace` tells, TRACE_*. May be set at any time.
    #[export_group(name = "Trace")]
    #[export(enum = (Off, Errors, Requests, Details))]
    #[var(set)]
    trace_level: i64,
    /// Whether `trace` shows values that may be secret: credentials, cookies, the values in queries.
    #[export]
    trace_secrets: bool,
    /// Whether `trace` shows bodies at TRACE_DETAILS, the first 256 bytes of each piece.
    #[export]
    trace_bodies: bool,

    /// For tests. Never go to the network: a request that no mock answers ends with SortieResponse.ERROR_CONNECT.
    #[export_group(name = "Tests")]
    #[export]
    mocks_only: bool,

    certificates: Vec<ClientCertificate>,
    resolves: Vec<Resolve>,
    running: Option<Rc<Running>>,
    /// How many calls are ending the client: it does not start again meanwhile.
    endings: u32,
    base: Base<Node>,
}

#[godot_api]
impl INode for SortieClient {
    #[func(gd_self)]
    fn process(mut this: Gd<Self>, _delta: f64) {
        if this.bind().has_something_to_tell() {
            // Not from here: a listener may free this node, and the engine still has it in hand.
            this.call_deferred("poll", &[]);
        }
    }

    #[func(gd_self)]
    fn exit_tree(this: Gd<Self>) {
        Self::shutdown(this);
    }

    fn on_notification(&mut self, what: NodeNotification) {
        if what == NodeNotification::PREDELETE {
            // One outside of the scene tree ends here. For good: what follows in its deletion starts it no more.
            self.endings += 1;
            let this = self.to_gd();
            let _others_may_use_it = self.base_mut();
            Self::shutdown(this);
            return;
        }
        if !self.suspend_in_background {
            return;
        }
        match what {
            NodeNotification::APPLICATION_PAUSED => self.suspend(),
            NodeNotification::APPLICATION_RESUMED => self.resume(),
            _ => {}
        }
    }
}

impl SortieClient {
    fn config(&self) -> Result<Config, Refused> {
        let mut config = Config {
            user_agent: (!self.user_agent.is_empty()).then(|| self.user_agent.to_string()),
            documents_directory: optional_path(&self.documents_directory),
            temporary_directory: optional_path(&self.temporary_directory),
            caches_directory: optional_path(&self.caches_directory),
            application_support_directory: optional_path(&self.application_support_directory),
            resource_directory: optional_path(&self.resource_directory),
            max_active: count("max_active", self.max_active)?,
            max_active_per_host: count("max_active_per_host", self.max_active_per_host)?,
            max_requests: count("max_requests", self.max_requests)?,
            timeout: limit("timeout", self.timeout)?,
            connect_timeout: limit("connect_timeout", self.connect_timeout)?,
            stall_timeout: limit("stall_timeout", self.stall_timeout)?,
            queue_timeout: limit("queue_timeout", self.queue_timeout)?,
            keep_alive_interval: limit("keep_alive_interval", self.keep_alive_interval)?,
            max_connection_idle: limit("max_connection_idle", self.max_connection_idle)?,
            min_speed: min_speed(self.min_bytes_per_second, self.min_speed_period)?,
            min_tls_version: choice("min_tls_version", self.min_tls_version, TLS_VERSIONS)?,
            max_body_bytes: largest("max_body_bytes", self.max_body_bytes)?,
            max_file_bytes: largest("max_file_bytes", self.max_file_bytes)?,
            max_decompression_ratio: match count("max_decompression_ratio", self.max_decompression_ratio)? {
                0 => u32::MAX,
                ratio => ratio,
            },
            max_buffered_bytes: largest("max_buffered_bytes", self.max_buffered_bytes)?,
            ca_file: optional_path(&self.ca_file),
            client_certificates: self.certificates.clone(),
            resolves: self.resolves.clone(),
            proxy: self.proxy(),
            cookies: self.cookies,
            cookie_file: optional_path(&self.cookie_file),
            reachability_interval: limit("reachability_interval", self.reachability_interval)?,
            cache_directory: optional_path(&self.cache_directory),
            max_cache_bytes: bytes("max_cache_bytes", self.max_cache_bytes)?,
            max_memory_cache_bytes: bytes("max_memory_cache_bytes", self.max_memory_cache_bytes)?,
            rates: rates(self.max_receive_bytes_per_second, self.max_send_bytes_per_second)?,
            trace_level: choice("trace_level", self.trace_level, TRACE_LEVELS)?,
            trace_secrets: self.trace_secrets,
            trace_bodies: self.trace_bodies,
            mocks_only: self.mocks_only,
            ..Config::default()
        };
        for line in self.default_headers.as_slice() {
            let line = line.to_string();
            let (name, value) = header(&line)?;
            config.default_header(name, value)?;
        }
        for (host, keys) in self.pins.iter_shared() {
            config.pins.push(Pin { host: host.to_string(), public_keys: keys.to_string() });
        }
        Ok(config)
    }

    fn proxy(&self) -> Proxy {
        if !self.proxy.is_empty() {
            return Proxy::Url { url: self.proxy.to_string(), except: self.no_proxy.to_string() };
        }
        if self.use_environment_proxy { Proxy::Environment } else { Proxy::Direct }
    }

    /// The client at work; made if need be.
    fn started(&mut self) -> Result<Rc<Running>, Refused> {
        if let Some(running) = &self.running {
            return Ok(Rc::clone(running));
        }
        if self.endings > 0 {
            return Err(Refused::new(Error::ERR_UNAVAILABLE, "the client is shutting down"));
        }
        let running = Running::new(self.config()?)?;
        self.running = Some(Rc::clone(&running));
        Ok(running)
    }

    /// Does something with the client if it runs.
    fn if_running<T>(&self, what: impl FnOnce(&sortie::Client) -> T) -> Option<T> {
        self.running.as_ref()?.with(|client| Ok(what(client))).ok()
    }

    /// Tells the client something, which makes it run.
    fn tell(&mut self, what: &str, tell: impl FnOnce(&sortie::Client) -> Result<(), sortie::Refusal>) -> Error {
        let told = self.started().and_then(|running| running.with(tell));
        outcome(what, told)
    }

    /// Tells what one event says. Nothing of ours is borrowed while others listen.
    fn tell_event(this: &Gd<Self>, running: &Running, event: Event) {
        if event.kind == EventKind::Reachability {
            let host = running.watches.borrow().get(&event.request.number()).cloned();
            if let Some(host) = host {
                let reachable = event.network.reachable;
                this.signals().reachability_changed().emit(&host, reachable, network_flags(event.network));
            }
            return;
        }
        if event.kind == EventKind::Trace {
            if let Some((level, line)) = event.response.as_ref().and_then(|response| response.trace.as_ref()) {
                let level = TRACE_LEVELS.iter().position(|known| known == level).unwrap_or(0);
                let line = GString::from(line.as_str());
                this.signals().trace().emit(int(level as u64), int(event.request.number()), &line);
            }
            return;
        }
        let Some(mut request) = running.request(event.request) else { return };
        if matches!(event.kind, EventKind::Began | EventKind::Progress | EventKind::Ended) {
            request.bind_mut().note_progress(int(event.transferred), event.estimated);
        }
        match event.kind {
            EventKind::Began => request.signals().began().emit(&SortieResponse::from_event(event)),
            EventKind::Progress => request.signals().progress().emit(int(event.transferred), event.estimated),
            EventKind::Data => {
                let chunk = PackedByteArray::from(event.body());
                // Its room in the stream's window is free again.
                drop(event);
                request.signals().data().emit(&chunk);
            }
            EventKind::Writable => request.signals().writable().emit(),
            EventKind::Retry => {
                let delay = event.response.as_ref().map_or(0.0, |response| response.retry_delay.as_secs_f64());
                request.signals().retrying().emit(&SortieResponse::from_event(event), delay);
            }
            EventKind::Ended => {
                running.requests.borrow_mut().remove(&event.request.number());
                request.bind_mut().end();
                let response = SortieResponse::from_event(event);
                request.signals().completed().emit(&response);
                if this.is_instance_valid() {
                    this.signals().request_completed().emit(&request, &response);
                }
            }
            _ => {}
        }
    }

    fn has_something_to_tell(&self) -> bool {
        let Some(running) = &self.running else { return false };
        running.collect();
        !running.is_silent() && !running.pending.borrow().is_empty()
    }

    fn deliver(this: Gd<Self>) -> i64 {
        let (running, budget) = {
            let client = this.bind();
            let Some(running) = client.running.clone() else { return 0 };
            (running, u64::try_from(client.frame_budget_usec).ok().filter(|usec| *usec > 0).map(Duration::from_micros))
        };
        if running.polling.replace(true) {
            Refused::new(Error::ERR_BUSY, "it is called by what listens to a signal of the same client")
                .report("SortieClient.poll()");
            return 0;
        }
        // What listeners start now is told by the next poll, so that this one comes to its end.
        running.collect();
        let started = Instant::now();
        let mut told = 0;
        while !running.is_silent() && this.is_instance_valid() {
            let Some(event) = running.pending.borrow_mut().pop_front() else { break };
            Self::tell_event(&this, &running, event);
            told += 1;
            if budget.is_some_and(|budget| started.elapsed() >= budget) {
                break;
            }
        }
        running.polling.set(false);
        told
    }

    fn submit_request(&mut self, request: &mut Gd<SortieRequest>) -> Result<(), Refused> {
        if request.bind().is_running() {
            return Err(Refused::new(Error::ERR_BUSY, "the request runs already"));
        }
        let prepared = request.bind().request()?;
        let running = self.started()?;
        let id = running.with(|client| client.submit(prepared))?;
        request.bind_mut().begin(&running, id);
        running.requests.borrow_mut().insert(id.number(), request.clone());
        Ok(())
    }

    /// Sets how fast all bodies may go, also while it runs.
    fn set_rates(&mut self, receive: i64, send: i64) {
        match rates(receive, send) {
            Ok(rates) => {
                (self.max_receive_bytes_per_second, self.max_send_bytes_per_second) = (receive, send);
                self.if_running(|client| client.set_rates(rates));
            }
            Err(refused) => {
                refused.report("SortieClient");
            }
        }
    }

    /// Submits a request that one line makes; none if it was refused.
    fn submitted(&mut self, what: &str, properties: &[(&str, Variant)]) -> Option<Gd<SortieRequest>> {
        let mut request = SortieRequest::new_gd();
        for (property, value) in properties {
            request.set(*property, value);
        }
        match self.submit_request(&mut request) {
            Ok(()) => Some(request),
            Err(refused) => {
                refused.report(what);
                None
            }
        }
    }
}

fn network_flags(network: Network) -> i64 {
    [
        (network.reachable, SortieClient::NETWORK_REACHABLE),
        (network.connection_required, SortieClient::NETWORK_CONNECTION_REQUIRED),
        (network.connection_on_demand, SortieClient::NETWORK_CONNECTION_ON_DEMAND),
        (network.interaction_required, SortieClient::NETWORK_INTERACTION_REQUIRED),
        (network.cellular, SortieClient::NETWORK_CELLULAR),
        (network.wifi, SortieClient::NETWORK_WIFI),
    ]
    .into_iter()
    .fold(0, |flags, (set, flag)| if set { flags | flag } else { flags })
}

#[godot_api]
impl SortieClient {
    /// A request has ended, after its own SortieRequest.completed.
    #[signal]
    fn request_completed(request: Gd<SortieRequest>, response: Gd<SortieResponse>);

    /// A watched host can be reached, or no longer; `network` has NETWORK_* flags. Once at the start and at each change.
    #[signal]
    fn reachability_changed(host: GString, reachable: bool, network: i64);

    /// A line of the trace, of what the client does: its TRACE_* level, the SortieRequest.get_request_id() that it is about, or
    /// 0, and the text.
    #[signal]
    fn trace(level: i64, request_id: i64, line: GString);

    /// `trace` tells nothing.
    #[constant]
    const TRACE_OFF: i64 = 0;
    /// `trace` tells what failed, and what nobody would be told of otherwise.
    #[constant]
    const TRACE_ERRORS: i64 = 1;
    /// `trace` tells the steps of each request as well.
    #[constant]
    const TRACE_REQUESTS: i64 = 2;
    /// `trace` tells headers as well, and why a request rests.
    #[constant]
    const TRACE_DETAILS: i64 = 3;
    /// The lowest TLS version: the default, 1.2.
    #[constant]
    const TLS_DEFAULT: i64 = 0;
    /// The lowest TLS version: 1.2.
    #[constant]
    const TLS_1_2: i64 = 1;
    /// The lowest TLS version: 1.3.
    #[constant]
    const TLS_1_3: i64 = 2;
    /// There is a way.
    #[constant]
    const NETWORK_REACHABLE: i64 = 1;
    /// A connection has to be made first, as by a modem that dials. No system tells it yet.
    #[constant]
    const NETWORK_CONNECTION_REQUIRED: i64 = 2;
    /// That connection is made by the first packet. No system tells it yet.
    #[constant]
    const NETWORK_CONNECTION_ON_DEMAND: i64 = 4;
    /// The user has to do something for that connection. No system tells it yet.
    #[constant]
    const NETWORK_INTERACTION_REQUIRED: i64 = 8;
    /// The way is a cellular network. Told on Linux.
    #[constant]
    const NETWORK_CELLULAR: i64 = 16;
    /// The way is a wireless local network. Told on Linux.
    #[constant]
    const NETWORK_WIFI: i64 = 32;

    /// Starts a request. OK, or why it was refused, which is also written to the log: then no signal comes. The request is
    /// kept alive until it has ended.
    #[func]
    fn submit(&mut self, mut request: Gd<SortieRequest>) -> Error {
        let submitted = self.submit_request(&mut request);
        outcome("SortieClient.submit()", submitted)
    }

    /// Makes a GET request for a body in memory. Gives null if it was refused.
    #[func]
    fn fetch(&mut self, url: GString) -> Option<Gd<SortieRequest>> {
        self.submitted("SortieClient.fetch()", &[("url", url.to_variant())])
    }

    /// Makes a GET request whose body goes to a file, without a limit on the total time: only a stalled one ends early.
    /// Gives null if it was refused.
    #[func]
    fn download(&mut self, url: GString, file: GString) -> Option<Gd<SortieRequest>> {
        let what = "SortieClient.download()";
        if file.is_empty() {
            Refused::new(Error::ERR_FILE_BAD_PATH, "file name is empty").report(what);
            return None;
        }
        let file = ("download_file", file.to_variant());
        self.submitted(what, &[("url", url.to_variant()), file, ("timeout", 0.0.to_variant())])
    }

    /// Makes a POST request whose body is a file, without a limit on the total time: only a stalled one ends early.
    /// SortieRequest.progress tells of what is sent. Gives null if it was refused.
    #[func]
    fn upload(
        &mut self,
        url: GString,
        file: GString,
        #[opt(default = "")] content_type: GString,
    ) -> Option<Gd<SortieRequest>> {
        let what = "SortieClient.upload()";
        if file.is_empty() {
            Refused::new(Error::ERR_FILE_BAD_PATH, "file name is empty").report(what);
            return None;
        }
        let properties = [
            ("url", url.to_variant()),
            ("body_file", file.to_variant()),
            ("content_type", content_type.to_variant()),
            ("report_progress", SortieRequest::PROGRESS_UPLOAD.to_variant()),
            ("timeout", 0.0.to_variant()),
        ];
        self.submitted(what, &properties)
    }

    /// Makes the client's threads now rather than at its first use. OK, or why its properties were refused, which is also
    /// written to the log.
    #[func]
    fn start(&mut self) -> Error {
        let started = self.started().map(drop);
        outcome("SortieClient.start()", started)
    }

    /// Ends the client's threads, within about 100 ms. What has not ended completes with SortieResponse.ERROR_SHUTDOWN before
    /// this returns, unfinished files are removed. What listens to that can start nothing: ERR_UNAVAILABLE. The next use makes
    /// it anew, with what its properties say then.
    #[func(gd_self)]
    fn shutdown(mut this: Gd<Self>) {
        let running = {
            let mut client = this.bind_mut();
            let Some(running) = client.running.take() else { return };
            client.endings += 1;
            running
        };
        for mut request in running.close() {
            request.bind_mut().end();
            let response = SortieResponse::of_shutdown(request.bind().url());
            request.signals().completed().emit(&response);
            if this.is_instance_valid() {
                this.signals().request_completed().emit(&request, &response);
            }
        }
        if this.is_instance_valid() {
            this.bind_mut().endings -= 1;
        }
    }

    #[func]
    fn set_max_receive_bytes_per_second(&mut self, bytes: i64) {
        self.set_rates(bytes, self.max_send_bytes_per_second);
    }

    #[func]
    fn set_max_send_bytes_per_second(&mut self, bytes: i64) {
        self.set_rates(self.max_receive_bytes_per_second, bytes);
    }

    #[func]
    fn set_trace_level(&mut self, level: i64) {
        match choice("trace_level", level, TRACE_LEVELS) {
            Ok(chosen) => {
                self.trace_level = level;
                self.if_running(|client| client.set_trace_level(chosen));
            }
            Err(refused) => {
                refused.report("SortieClient");
            }
        }
    }

    /// Whether the client has threads.
    #[func]
    fn is_started(&self) -> bool {
        self.running.is_some()
    }

    /// Tells what has happened, and gives how many signals that took. The scene tree does this each frame: call it only for a
    /// client outside of it, as in a tool.
    #[func(gd_self)]
    fn poll(this: Gd<Self>) -> i64 {
        Self::deliver(this)
    }

    /// Suspends the client, as when a game goes to the background: no signal comes, nothing new starts, running transfers
    /// pause and their clocks stop. Requests are still accepted, and held.
    #[func]
    fn suspend(&self) {
        if let Some(running) = &self.running {
            running.suspended.set(true);
        }
        self.if_running(sortie::Client::suspend);
    }

    /// Goes on after suspend().
    #[func]
    fn resume(&self) {
        if let Some(running) = &self.running {
            running.suspended.set(false);
        }
        self.if_running(sortie::Client::resume);
    }

    /// Gives counts and gauges for a HUD, as a Dictionary of ints: `waiting`, `active`, `undrained`, `submitted`, `ended`,
    /// `failed`, `bytes_received`, `bytes_sent`, `buffered_bytes`, `connections`, `cache_hits`, `cache_revalidated`,
    /// `cache_misses`, `cache_bytes`, `connections_open`, `resting`, `attempts`, `receive_bytes_per_second`,
    /// `send_bytes_per_second`. Cheap enough for every frame.
    #[func]
    fn get_stats(&self) -> VarDictionary {
        let stats = self.if_running(sortie::Client::stats).unwrap_or_default();
        vdict! {
            "waiting" => stats.waiting,
            "active" => stats.active,
            "undrained" => stats.undrained,
            "submitted" => int(stats.submitted),
            "ended" => int(stats.ended),
            "failed" => int(stats.failed),
            "bytes_received" => int(stats.bytes_received),
            "bytes_sent" => int(stats.bytes_sent),
            "buffered_bytes" => int(stats.buffered_bytes),
            "connections" => int(stats.connections),
            "cache_hits" => int(stats.cache_hits),
            "cache_revalidated" => int(stats.cache_revalidated),
            "cache_misses" => int(stats.cache_misses),
            "cache_bytes" => int(stats.cache_bytes),
            "connections_open" => stats.connections_open,
            "resting" => stats.resting,
            "attempts" => int(stats.attempts),
            "receive_bytes_per_second" => int(stats.receive_bytes_per_second),
            "send_bytes_per_second" => int(stats.send_bytes_per_second),
        }
    }

    /// Watches whether a host can be reached: `reachability_changed` tells it, and then each change. A host is a name or an
    /// address, alone or with ":port". Gives the watch's number for unwatch(), or 0 if it was refused.
    #[func]
    fn watch(&mut self, host: GString) -> i64 {
        let watch = self.started().and_then(|running| {
            let id = running.with(|client| client.watch(&host.to_string(), 0))?;
            running.watches.borrow_mut().insert(id.number(), host);
            Ok(int(id.number()))
        });
        watch.unwrap_or_else(|refused: Refused| {
            refused.report("SortieClient.watch()");
            0
        })
    }

    /// Ends a watch: no signal of it comes any more. ERR_DOES_NOT_EXIST if it has ended already.
    #[func]
    fn unwatch(&mut self, watch: i64) -> Error {
        let id = u64::try_from(watch).ok().and_then(RequestId::from_number);
        let (Some(running), Some(id)) = (&self.running, id) else { return Error::ERR_DOES_NOT_EXIST };
        running.watches.borrow_mut().remove(&id.number());
        if running.with(|client| client.unwatch(id)).is_ok() { Error::OK } else { Error::ERR_DOES_NOT_EXIST }
    }

    /// Tells what the machine's network is like, by NETWORK_* flags. Cheap enough for every frame.
    #[func]
    fn get_network(&mut self) -> i64 {
        match self.started().and_then(|running| running.with(|client| Ok(client.network()))) {
            Ok(network) => network_flags(network),
            Err(refused) => {
                refused.report("SortieClient.get_network()");
                0
            }
        }
    }

    /// Keeps a cookie as if a response from a URL had set it. It is what a Set-Cookie header says, such as
    /// "session=abc; Path=/; Max-Age=3600".
    #[func]
    fn set_cookie(&mut self, url: GString, cookie: GString) -> Error {
        self.tell("SortieClient.set_cookie()", |client| client.set_cookie(&url.to_string(), &cookie.to_string()))
    }

    /// Tells the cookies that a request for a URL would be sent now, as its Cookie header has them: "a=1; b=2", HttpOnly ones
    /// too. Empty if there are none, or if that was refused. What set_cookie() and clear_cookies() say shows a moment later.
    #[func]
    fn cookies_for(&mut self, url: GString) -> GString {
        let cookies = self.started().and_then(|running| running.with(|client| client.cookies(&url.to_string())));
        match cookies {
            Ok(cookies) => String::from_utf8_lossy(&cookies).as_ref().into(),
            Err(refused) => {
                refused.report("SortieClient.cookies_for()");
                GString::new()
            }
        }
    }

    /// Forgets every cookie, in memory and in the cookie file.
    #[func]
    fn clear_cookies(&mut self) -> Error {
        self.tell("SortieClient.clear_cookies()", sortie::Client::clear_cookies)
    }

    /// Forgets all that the HTTP cache has stored, in memory and on disk.
    #[func]
    fn clear_cache(&mut self) -> Error {
        self.tell("SortieClient.clear_cache()", sortie::Client::clear_cache)
    }

    /// Registers an answer made up for tests: from now on the first mock in order of registration that matches answers in
    /// place of the network. Gives its number for unmock(), or 0 if it was refused.
    #[func]
    fn mock(&mut self, mock: Gd<SortieMock>) -> i64 {
        let registered = mock.bind().mock().and_then(|mock| self.started()?.with(|client| client.mock(mock)));
        match registered {
            Ok(id) => int(id),
            Err(refused) => {
                refused.report("SortieClient.mock()");
                0
            }
        }
    }

    /// Takes a mock away. ERR_DOES_NOT_EXIST if it is gone already.
    #[func]
    fn unmock(&mut self, mock: i64) -> Error {
        let Some(running) = &self.running else { return Error::ERR_DOES_NOT_EXIST };
        let gone = u64::try_from(mock).is_ok_and(|id| running.with(|client| client.unmock(id)).is_ok());
        if gone { Error::OK } else { Error::ERR_DOES_NOT_EXIST }
    }

    /// Uses an address for a host in place of name lookup, from the next start on. Certificates are still checked against
    /// the host's name. A port of 0 means every port, an address_port of 0 the same port.
    #[func]
    fn add_resolve(
        &mut self,
        host: GString,
        address: GString,
        #[opt(default = 0)] port: i64,
        #[opt(default = 0)] address_port: i64,
    ) -> Error {
        let resolve = || {
            let address = address.to_string();
            let address = address.parse().map_err(|_| {
                Refused::argument(format!("address '{}' is no IPv4 or IPv6 address", address.escape_default()))
            })?;
            let port_or_any = |name, port: i64| {
                let known = u16::try_from(port);
                let known = known.map_err(|_| Refused::argument(format!("{name} is {port}, it must be 0 to 65535")))?;
                Ok::<_, Refused>((known != 0).then_some(known))
            };
            Ok(Resolve {
                host: host.to_string(),
                port: port_or_any("port", port)?,
                address,
                address_port: port_or_any("address_port", address_port)?,
            })
        };
        let resolve: Result<Resolve, Refused> = resolve();
        outcome("SortieClient.add_resolve()", resolve.map(|resolve| self.resolves.push(resolve)))
    }

    /// Gives a certificate by which a host may ask the client to identify itself, from the next start on: PEM files. An empty
    /// key_file means that certificate_file holds the key, too.
    #[func]
    fn add_client_certificate(
        &mut self,
        host: GString,
        certificate_file: GString,
        #[opt(default = "")] key_file: GString,
        #[opt(default = "")] key_password: GString,
    ) {
        self.certificates.push(ClientCertificate {
            host: host.to_string(),
            certificate: system_path(&certificate_file),
            key: optional_path(&key_file),
            password: (!key_password.is_empty()).then(|| key_password.to_string()),
        });
    }

    /// Gives the library's version.
    #[func]
    fn get_version() -> GString {
        env!("CARGO_PKG_VERSION").into()
    }
}
