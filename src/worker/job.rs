//! One accepted request on its way through the worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use url::{Position, Url};

use super::admission::{HostId, Protocol, Rank};
use super::challenge::asks_for;
use super::exchange::{Flow, Outlet};
use super::local::Peer;
use super::redirect::{NextHop, header_goes_along};
use super::retry::{self, Backoff};
use super::trace::Trace;
use crate::body::content_type;
use crate::body::disk::{Key, Op, Outcome};
use crate::body::feed::Feed;
use crate::body::resume::{Left, Resumable};
use crate::body::source::BodyLength;
use crate::cache::entry::Entry;
use crate::config::Config;
use crate::error::{ErrorKind, Failure};
use crate::event::{Event, EventKind, Network, Response, Timing, TraceLevel};
use crate::net::{Credential, Hop, Owner};
use crate::request::{CacheMode, Credentials, HttpVersion, RequestBody, RequestParts, with_zone};
use crate::slots::RequestId;
use crate::text::Text;

/// Where a job is.
pub(super) enum State {
    /// In its host's queue.
    Waiting(HostId),
    /// The disk is opening the file to send, or the one to go on with.
    Opening,
    /// Paused before it started.
    Parked,
    /// Its last attempt has failed, and the next comes at this time.
    Resting(Duration),
    /// Its transfer is running.
    Running(Peer),
    /// Its transfer is over, and the disk is finishing its file: keeping it, or after this failure removing it.
    Storing(Box<Flow>, Option<Failure>),
    /// Between two of the above.
    Moving,
}

pub(super) struct Job {
    pub(super) id: RequestId,
    pub(super) request: Box<RequestParts>,
    /// The URL as given, but for credentials.
    pub(super) requested: Text,
    pub(super) state: State,
    pub(super) rank: Rank,
    /// The host at which it holds a place.
    pub(super) place: Option<HostId>,
    /// Whether its hop has gone beyond the cache, and whether that host counts its connection.
    pub(super) tried: bool,
    pub(super) connected: bool,
    /// The present hop.
    pub(super) url: Url,
    /// On which network interface the present hop's host is.
    pub(super) zone: Option<Box<str>>,
    pub(super) method: String,
    pub(super) has_body: bool,
    /// By what the present hop's connections are counted.
    pub(super) owner: Owner,
    /// The Content-Type to send in place of the one given.
    content_type: Option<String>,
    left_origin: bool,
    /// A redirect has made it a GET, without what it sent.
    became_get: bool,
    /// Told apart from earlier attempts by what the disk does for it.
    pub(super) attempt: u32,
    /// BEGAN has been sent, and one with the head of a response.
    pub(super) began: bool,
    pub(super) head_told: bool,
    /// How far progress was told of.
    pub(super) told: u64,
    pub(super) submitted: Duration,
    pub(super) started: Option<Duration>,
    /// When the present attempt was started, and what follows if it fails.
    pub(super) attempt_started: Option<Duration>,
    pub(super) backoff: Option<Backoff>,
    /// When the present hop was started.
    pub(super) hop_started: Duration,
    /// The appointment at which its deadlines are looked at.
    pub(super) appointment: Option<Duration>,
    pub(super) timing: Timing,
    /// Until when the client was suspended while its transfer ran, if nothing has come since.
    pub(super) suspended_until: Option<Duration>,
    /// Its text is in the encoding that it has to be in.
    pub(super) encoded: bool,
    /// No event tells of it: the cache has made it.
    pub(super) in_background: bool,
    /// The Cookie header of its first hop, if the program has said something of cookies since it was submitted.
    pub(super) cookies: Option<Option<Vec<u8>>>,
    /// What is there of the file to go on with, and the Range header that asks for the rest.
    pub(super) left: Option<(Left, String)>,
    /// Nothing of that may be used: an attempt has shown that it does not fit.
    pub(super) afresh: bool,
    /// The host wants it to rest.
    pub(super) paused: bool,
    /// The host has been given some of the response: it cannot be asked for again.
    pub(super) streamed: bool,
    /// What the program hands over of its body.
    pub(super) feed: Option<Rc<RefCell<Feed>>>,
    /// It was made again after its connection had died.
    pub(super) restarted: bool,
    /// A server has said that it had come to the wrong connection.
    pub(super) misdirected: bool,
    /// Its next hop needs a new connection.
    pub(super) fresh: bool,
    /// How often it went back to the queue because a server had refused to process it.
    pub(super) refusals: u32,
    /// What the disk has just read for it.
    pub(super) recalled: Vec<(u64, Arc<Entry>)>,
    /// What is stored and was asked about, and the fields that ask.
    pub(super) cached: Option<Arc<Entry>>,
    pub(super) validation: Vec<(&'static str, Vec<u8>)>,
    /// Its time has run out, and what is stored answers all the same.
    pub(super) overtime: bool,
    /// Until when it waits for the disk before that is taken for hanging.
    pub(super) disk_by: Option<Duration>,
    /// What the disk reads is in the cache, and the network may be asked instead.
    pub(super) may_ask: bool,
    /// The disk hangs: it has left its place to others meanwhile.
    pub(super) aside: bool,
    /// What the disk has said while it had none.
    pub(super) answer: Option<Outcome>,
    /// Its ENDED event has been sent.
    pub(super) ended: bool,
    outlet: Rc<Outlet>,
}

/// A job that a panic takes away on its way from one state to the next still ends.
impl Drop for Job {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.outlet.to_disk(Op::Discard(self.key()));
        self.outlet.to_disk(Op::Close(self.key()));
        self.request.body = RequestBody::None;
        if self.in_background {
            return self.outlet.events.give_up(self.id);
        }
        let message = Text::from("the worker failed while it was at this request");
        let response = Response { failure: Some((ErrorKind::Internal, message)), ..Response::default() };
        self.outlet.events.push(self.event(EventKind::Ended, self.told, -1, Some(response)));
    }
}

impl Job {
    pub(super) fn new(
        id: RequestId,
        mut request: Box<RequestParts>,
        rank: Rank,
        submitted: Duration,
        outlet: &Rc<Outlet>,
    ) -> Job {
        let requested = request.requested.take().unwrap_or_else(|| Text::from(request.url.as_str()));
        Job {
            id,
            requested,
            state: State::Moving,
            rank,
            place: None,
            tried: false,
            connected: false,
            url: request.url.clone(),
            zone: request.zone.clone(),
            owner: 0,
            content_type: content_type::with_charset(&request),
            method: request.method_or_default().to_owned(),
            has_body: !matches!(request.body, RequestBody::None),
            left_origin: false,
            became_get: false,
            attempt: 0,
            began: false,
            head_told: false,
            told: 0,
            submitted,
            started: None,
            attempt_started: None,
            backoff: None,
            hop_started: submitted,
            appointment: None,
            timing: Timing::default(),
            suspended_until: None,
            encoded: false,
            in_background: false,
            cookies: None,
            left: None,
            afresh: false,
            paused: false,
            streamed: false,
            feed: None,
            restarted: false,
            refusals: 0,
            fresh: false,
            misdirected: false,
            recalled: Vec::new(),
            cached: None,
            validation: Vec::new(),
            overtime: false,
            disk_by: None,
            may_ask: false,
            aside: false,
            answer: None,
            ended: false,
            outlet: Rc::clone(outlet),
            request,
        }
    }

    /// An event of this request.
    pub(super) fn event(&self, kind: EventKind, transferred: u64, estimated: i64, response: Option<Response>) -> Event {
        Event {
            request: self.id,
            user_data: self.request.user_data,
            kind,
            url: self.requested.clone(),
            transferred,
            estimated,
            response: response.map(Box::new),
            network: Network::default(),
        }
    }

    /// Tells a line of the trace about this request, if its level is wanted.
    #[inline]
    pub(super) fn tell(&self, level: TraceLevel, line: impl FnOnce(&Trace) -> String) {
        if !self.in_background {
            self.outlet.tell(level, (self.id, self.request.user_data), line);
        }
    }

    /// Tells the trace what has come of a hop.
    pub(super) fn tell_response(&self, flow: &Flow) {
        if flow.status == 0 {
            return;
        }
        self.tell(TraceLevel::Requests, |trace| {
            let mut line = trace.status_line(flow.headers.status_line().unwrap_or_default());
            if let Some(address) = self.timing.remote_address {
                let reused = if self.timing.connection_reused { "a used" } else { "a new" };
                line += &format!(" from {address} over {reused} connection");
            }
            line + &format!(", first byte after {}, {} bytes of body", milliseconds(self.timing.first_byte), flow.came)
        });
        self.tell(TraceLevel::Details, |trace| trace.head("response headers:", flow.headers.iter_bytes(), &self.url));
    }

    /// Whether the server asks who is there, and the request's credentials were not sent to it or are of a kind that is not
    /// among those it asks for.
    pub(super) fn credentials_unused(&self, response: &Response) -> bool {
        let kind = match &self.request.credentials {
            _ if response.status != 401 => return false,
            Credentials::None => return false,
            Credentials::Basic { .. } => "Basic",
            Credentials::Bearer(_) => "Bearer",
        };
        let asks = response.headers.get("WWW-Authenticate").is_some();
        let unused = self.left_origin || (asks && !asks_for(&response.headers, kind));
        if unused {
            self.tell(TraceLevel::Errors, |trace| {
                let url = trace.url(&self.url);
                let why = if self.left_origin {
                    "they are another origin's".to_owned()
                } else {
                    let digest =
                        if asks_for(&response.headers, "Digest") { ", but Digest, which Sortie cannot do" } else { "" };
                    format!("the server does not ask for {kind} authentication{digest}")
                };
                format!("{url} answers 401, and the request's credentials are of no use: {why}")
            });
        }
        unused
    }

    /// Tells the trace how it ends.
    pub(super) fn tell_end(&self, response: &Response, failure: Option<&Failure>) {
        let line = |outcome: &str, trace: &Trace| {
            let (method, url, total) = (&self.method, trace.url(&self.url), self.timing.total);
            format!("{method} {url} {outcome} after {}", milliseconds(total))
        };
        match failure {
            Some(failure) => {
                self.tell(TraceLevel::Errors, |trace| line("failed", trace) + ": " + &failure.message);
            }
            None => self.tell(TraceLevel::Requests, |trace| line(&format!("ended with {}", response.status), trace)),
        }
    }

    /// What the disk knows the present attempt by.
    pub(super) fn key(&self) -> Key {
        Key { id: self.id, attempt: self.attempt }
    }

    /// Where redirects have led, if there were any.
    pub(super) fn effective_url(&self) -> Option<Text> {
        (self.timing.redirects > 0).then(|| Text::from(&*with_zone(self.url.as_str(), self.zone.as_deref())))
    }

    /// The present hop's scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// The queue that the present hop belongs to, and what its host speaks as far as can be told beforehand. A request
    /// that insists on a version keeps to hosts that are known by that version.
    pub(super) fn queue(&self) -> (String, Protocol) {
        let mut origin = with_zone(self.origin(), self.zone.as_deref());
        if let Some(proxy) = &self.request.proxy {
            // Its connections are no other's, and what is spoken over them need not be.
            origin.to_mut().insert_str(0, &format!("{} ", proxy.to_string_lossy()));
        }
        let origin = &*origin;
        match self.request.http_version {
            HttpVersion::Default if self.url.scheme() == "https" => (origin.to_owned(), Protocol::Unknown),
            HttpVersion::Default => (origin.to_owned(), Protocol::Http1),
            HttpVersion::Http11 => (format!("1.1 {origin}"), Protocol::Http1),
            HttpVersion::Http2PriorKnowledge => (format!("2 {origin}"), Protocol::Http2),
        }
    }

    /// The present hop as it goes over the wire.
    pub(super) fn hop<'a>(
        &'a self,
        config: &'a Config,
        body: Option<BodyLength>,
        cookies: Option<&'a [u8]>,
    ) -> Hop<'a> {
        let redirected = self.timing.redirects > 0;
        let goes_along = |name: &str| !redirected || header_goes_along(name, self.became_get, self.left_origin);
        let own = &self.request.headers;
        let defaults = config.default_headers.iter().filter(|(name, _)| own.position(name, 0).is_none());
        let given = own.iter().chain(defaults).filter(|(name, _)| goes_along(name));
        let mut headers: Vec<_> = given.map(|(name, value)| (name, value.as_bytes())).collect();
        let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        // Caches on the way are to do the same, as those that browsers ask.
        let ask = match self.request.cache_mode {
            CacheMode::Revalidate => Some(&b"max-age=0"[..]),
            CacheMode::Reload => Some(&b"no-cache"[..]),
            _ => None,
        };
        let ask = ask.filter(|_| !has("Cache-Control"));
        // The rest of a file fits only what is there if neither is compressed.
        let compression = !has("Accept-Encoding") && !self.request.resume;
        let identity = self.request.resume && !has("Accept-Encoding");
        if let (RequestBody::Form(form), true) = (&self.request.body, self.has_body) {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Type"));
            headers.push(("Content-Type", form.content_type.as_bytes()));
        } else if self.has_body && !has("Content-Type") {
            let is_bytes = matches!(self.request.body, RequestBody::File(_) | RequestBody::Stream(..));
            let default = content_type::default_for(self.request.body_kind, is_bytes);
            headers.push(("Content-Type", default.as_bytes()));
        }
        if let Some(with_charset) = &self.content_type {
            let given = headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
            given.for_each(|(_, value)| *value = with_charset.as_bytes());
        }
        if self.request.gzip && self.has_body {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Encoding"));
            headers.push(("Content-Encoding", b"gzip"));
        }
        if identity {
            headers.push(("Accept-Encoding", b"identity"));
        }
        if let Some(ask) = ask {
            headers.push(("Cache-Control", ask));
        }
        if let Some((left, range)) = &self.left {
            headers.push(("Range", range.as_bytes()));
            headers.push(("If-Range", &left.validator));
        }
        headers.extend(self.validation.iter().map(|(name, value)| (*name, value.as_slice())));
        // Who sends cookies of their own sees to all of them.
        if let Some(cookies) = cookies.filter(|_| !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Cookie")))
        {
            headers.push(("Cookie", cookies));
        }
        // Without this, servers would not be told that a POST has no body.
        let empty_body = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH").then_some(BodyLength::Known(0));
        let credential = match &self.request.credentials {
            _ if self.left_origin => Credential::None,
            Credentials::None => Credential::None,
            Credentials::Basic { username, password } => Credential::Basic(username, password),
            Credentials::Bearer(token) => Credential::Bearer(token),
        };
        Hop {
            url: &self.url,
            zone: None,
            method: &self.method,
            body: body.or(empty_body),
            headers,
            credential,
            version: self.request.http_version,
            proxy: self.request.proxy.as_deref(),
            compression,
            fresh: self.fresh,
        }
    }

    /// Turns to the next hop.
    pub(super) fn follow(&mut self, next: NextHop) {
        if next.becomes_get {
            self.became_get = true;
            "GET".clone_into(&mut self.method);
            self.has_body = false;
        }
        self.cookies = None;
        self.left_origin |= next.leaves_origin;
        let is_near = match next.url.host() {
            Some(url::Host::Ipv6(address)) => address.is_unicast_link_local(),
            _ => false,
        };
        if !is_near && next.url.host() != self.url.host() {
            // No other host's address is one of that interface.
            self.zone = None;
        }
        self.url = next.url;
        self.timing.redirects += 1;
        self.attempt += 1;
    }

    /// What the disk has to know of a file that may be gone on with.
    pub(super) fn resumable(&self) -> Resumable {
        Resumable {
            url: with_zone(self.request.url.as_str(), self.request.zone.as_deref()).into_owned(),
            afresh: self.afresh,
            hashed: self.request.expected.sha256.is_some(),
            sync: self.request.sync,
        }
    }

    /// Turns back to the first hop, for another attempt.
    pub(super) fn start_over(&mut self) {
        (self.url, self.zone) = (self.request.url.clone(), self.request.zone.clone());
        self.request.method_or_default().clone_into(&mut self.method);
        self.has_body = !matches!(self.request.body, RequestBody::None);
        (self.left_origin, self.became_get) = (false, false);
        self.timing.redirects = 0;
        self.cookies = None;
        self.attempt += 1;
        self.attempt_started = None;
        (self.restarted, self.misdirected, self.refusals) = (false, false, 0);
    }

    /// How long to wait before the attempt that follows this failure; `None` if none does.
    pub(super) fn wait_after(&self, failure: &Failure, now: Duration) -> Option<Duration> {
        let twice = self.may_be_sent_twice();
        // The first hop of what was redirected has reached a server.
        let harmless = twice || self.timing.redirects == 0;
        let again = harmless && !self.streamed && !self.body_is_spent();
        let worth = again && retry::is_worth_another(failure.kind, twice);
        self.backoff.filter(|_| worth)?.wait(now, None)
    }

    /// Whether some of a streamed body has been sent: it cannot be sent again.
    pub(super) fn body_is_spent(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.borrow().is_spent())
    }

    /// Whether another attempt, which begins with the first hop, does no harm even if this one has reached the server.
    pub(super) fn may_be_sent_twice(&self) -> bool {
        self.request.retry.any_method || is_idempotent(self.request.method_or_default())
    }

    /// When the request's total time runs out.
    pub(super) fn total_deadline(&self, config: &Config) -> Option<Duration> {
        self.started?.checked_add(self.request.timeout.or(config.timeout).duration()?)
    }

    /// Whether a failed attempt may be made again: its connection died while it was idle or the client suspended, and asking
    /// twice does no harm.
    pub(super) fn may_restart(&self, failure: &Failure, unanswered_on_used_connection: bool) -> bool {
        let idle = unanswered_on_used_connection || self.suspended_until.is_some();
        let lost =
            matches!(failure.kind, ErrorKind::Connect | ErrorKind::Send | ErrorKind::Receive | ErrorKind::Protocol);
        idle && !self.restarted && !self.streamed && !self.body_is_spent() && lost && self.is_idempotent()
    }

    /// Whether the cache may have to do with the present hop.
    pub(super) fn may_be_cached(&self) -> bool {
        let request = &self.request;
        let plain = matches!(self.method.as_str(), "GET" | "HEAD") && !self.has_body && !request.resume;
        // The same address is another host on another interface.
        plain && request.cache_mode != CacheMode::NoStore && self.zone.is_none()
    }

    /// Whether cookies may go with the present hop, and be kept of it. Not with an address that is another host's on another
    /// interface, since the jar knows hosts alone.
    pub(super) fn may_have_cookies(&self) -> bool {
        self.request.cookies && self.zone.is_none()
    }

    /// Whether the network may be asked for what the cache has answered wrongly.
    pub(super) fn may_ask_instead(&self) -> bool {
        !self.streamed && self.request.cache_mode != CacheMode::OnlyIfCached
    }

    /// Whether sending the present hop twice does no harm.
    pub(super) fn is_idempotent(&self) -> bool {
        is_idempotent(&self.method)
    }

    /// When a deadline may run out next.
    pub(super) fn next_deadline(&self, config: &Config, now: Duration) -> Option<Duration> {
        let deadlines = self.deadlines(config, now).into_iter().flatten().map(|(at, _, _)| at);
        deadlines.chain(self.due()).chain(self.disk_by).chain(self.measured_at(config, now)).min()
    }

    /// When it goes on by itself.
    fn due(&self) -> Option<Duration> {
        match &self.state {
            State::Resting(until) => Some(*until),
            State::Running(Peer::Local(local)) => local.due(),
            State::Running(peer) => peer.flow()?.unwanted_until,
            _ => None,
        }
    }

    /// Whether the time is over that what is left of an unwanted body was given.
    pub(super) fn gives_up_body(&self, now: Duration) -> bool {
        let State::Running(peer) = &self.state else { return false };
        peer.flow().and_then(|flow| flow.unwanted_until).is_some_and(|until| until <= now)
    }

    /// When its speed is looked at next.
    fn measured_at(&self, config: &Config, now: Duration) -> Option<Duration> {
        let (_, period) = self.request.min_speed.or(config.min_speed)?;
        let State::Running(peer) = &self.state else { return None };
        let flow = peer.flow().filter(|flow| flow.connected && !flow.from_cache)?;
        let since = if flow.waits() { now } else { flow.measured_from };
        since.checked_add(period)
    }

    /// Looks at its speed, if it is time to: a failure if that is too low, and the next period otherwise.
    pub(super) fn too_slow(&mut self, config: &Config, now: Duration) -> Option<Failure> {
        let (least, _) = self.request.min_speed.or(config.min_speed)?;
        if self.measured_at(config, now).is_none_or(|at| at > now) {
            return None;
        }
        let State::Running(peer) = &mut self.state else { return None };
        let flow = peer.flow_mut()?;
        let (took, moved) = (now.saturating_sub(flow.measured_from), flow.moved);
        flow.measure_from(now);
        if u128::from(moved) * 1_000_000_000 >= u128::from(least) * took.as_nanos() {
            return None;
        }
        let (kind, took, origin) = (ErrorKind::Stalled, took.as_millis(), self.origin());
        let message =
            format!("the transfer was too slow: {moved} bytes in {took} ms, min_bytes_per_second is {least}: {origin}");
        Some(Failure::new(kind, message))
    }

    /// The deadline that has run out, as a failure.
    pub(super) fn overdue(&self, config: &Config, now: Duration) -> Option<Failure> {
        let overdue = self.deadlines(config, now).into_iter().flatten().find(|(at, _, _)| *at <= now);
        overdue.map(|(_, kind, limit)| {
            let (text, limit, origin) = (kind.text(), limit.as_millis(), self.origin());
            Failure::new(kind, format!("{text}, which is {limit} ms: {origin}"))
        })
    }

    /// Each deadline in force: when, what it means, and its limit.
    fn deadlines(&self, config: &Config, now: Duration) -> [Option<(Duration, ErrorKind, Duration)>; 3] {
        let after = |from: Duration, limit: crate::request::Limit, kind| {
            let limit = limit.duration()?;
            Some((from.checked_add(limit)?, kind, limit))
        };
        let request = &self.request;
        let total = || after(self.started?, request.timeout.or(config.timeout), ErrorKind::Timeout);
        let attempt = || after(self.attempt_started?, request.retry.attempt_timeout, ErrorKind::Timeout);
        match &self.state {
            State::Waiting(_) | State::Parked if self.started.is_none() => {
                let limit = request.queue_timeout.or(config.queue_timeout);
                [after(self.submitted, limit, ErrorKind::QueueTimeout), None, None]
            }
            State::Waiting(_) | State::Parked | State::Opening => [total(), attempt(), None],
            State::Resting(_) => [total(), None, None],
            State::Running(peer) => {
                let flow = peer.flow();
                let step = match flow {
                    Some(flow) if flow.connected || flow.from_cache => {
                        let since = if flow.waits() { now } else { flow.last_activity };
                        after(since, request.stall_timeout.or(config.stall_timeout), ErrorKind::Stalled)
                    }
                    _ => {
                        let limit = request.connect_timeout.or(config.connect_timeout);
                        after(self.hop_started, limit, ErrorKind::ConnectTimeout)
                    }
                };
                if self.overtime && flow.is_some_and(|flow| flow.from_cache) {
                    return [None, None, step];
                }
                [total(), attempt(), step]
            }
            // Its file is hashed, forced to the disk and renamed within its time.
            State::Storing(_, None) if !self.overtime => [total(), None, None],
            State::Storing(..) | State::Moving => [None, None, None],
        }
    }
}

fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
