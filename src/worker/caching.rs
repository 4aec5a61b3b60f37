//! The worker's part of the cache: hops that it answers, what is asked about, and what is kept.

use std::sync::Arc;

use url::Url;

use super::Worker;
use super::exchange::Flow;
use super::job::{Job, State};
use super::local::{Answer, Local, Peer};
use super::{redirect, shown};
use crate::body::disk::Op;
use crate::body::source::Source;
use crate::cache::entry::{Entry, Lines};
use crate::cache::rules::{self, Asked, Control, Times};
use crate::cache::{Body, Coming, Staged};
use crate::error::{ErrorKind, Failure};
use crate::event::TraceLevel;
use crate::headers::Headers;
use crate::net::Credential;
use crate::request::{CacheMode, Priority};
use crate::slots::RequestId;

/// Fields by which a program asks for parts, or asks about what it has itself.
const ITS_OWN: [&str; 6] =
    ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"];

/// How many stored responses may be asked about in the background at a time.
const MAX_REFRESHING: usize = 8;

/// What a hop keeps of its exchange, to store it once it is whole.
pub(super) struct Recorder {
    /// The request as sent.
    fields: Vec<(String, Vec<u8>)>,
    authorized: bool,
    epoch: u64,
    largest: u64,
    /// Whether the response may be kept, as far as it has come.
    keeps: bool,
    body: Coming,
}

impl Recorder {
    fn wants(&self, status: u16, headers: &Headers) -> bool {
        rules::is_storable(status, headers, self.authorized)
    }

    /// Looks at the response's head, which says that its body has so many bytes.
    pub(super) fn judge(&mut self, status: u16, headers: &Headers, declared: i64) {
        self.keeps = self.wants(status, headers) && u64::try_from(declared).unwrap_or(0) <= self.largest;
    }

    /// Whether the response may be kept, as far as it has come.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Takes bytes of the body, unless it is not kept or there are too many.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let fits = self.body.length() + bytes.len() as u64 <= self.largest;
        self.keeps = self.keeps && fits && self.body.add(bytes);
        if !self.keeps {
            self.body.give_up();
        }
    }
}

/// What the cache says to a hop.
pub(super) enum Looked {
    /// This answers it.
    Answer(Arc<Entry>),
    /// So does this, while its server is asked about it.
    AnswerMeanwhile(Arc<Entry>),
    /// It has to be asked for.
    Ask,
    Fail(Failure),
}

impl Worker {
    /// Asks the disk for what lies there for a hop; `true` if the answer has to be waited for.
    pub(super) fn recall(&mut self, job: &Job) -> bool {
        let wanted = job.may_be_cached() && job.request.cache_mode != CacheMode::Reload;
        let paths = if wanted { self.cache.lies_at(&job.url) } else { Vec::new() };
        let any = !paths.is_empty();
        if any {
            self.outlet.to_disk(Op::Recall(job.key(), paths));
        }
        any
    }

    /// Looks a hop up, and sets it and its flow to what has to be asked.
    pub(super) fn look_up(&mut self, job: &mut Job, flow: &mut Flow) -> Looked {
        job.validation.clear();
        job.cached = None;
        let read = std::mem::take(&mut job.recalled);
        let mode = job.request.cache_mode;
        let absent = || {
            let message = format!("nothing is stored for {}", shown::place(&job.url));
            Looked::Fail(Failure::new(ErrorKind::NotCached, message))
        };
        let only = mode == CacheMode::OnlyIfCached;
        if !self.cache.is_on() || !job.may_be_cached() {
            return if only { absent() } else { Looked::Ask };
        }
        let cookies = self.cookies_for(job);
        let hop = job.hop(&self.config, None, cookies.as_deref());
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        if hop.headers.iter().any(|(name, _)| ITS_OWN.iter().any(|own| is(name, own))) {
            return if only { absent() } else { Looked::Ask };
        }
        let credentials = !matches!(hop.credential, Credential::None);
        let authorized = credentials || hop.headers.iter().any(|(name, _)| is(name, "Authorization"));
        let asked = Asked { fields: &hop.headers, authorized, user_agent: self.config.user_agent.as_deref() };
        let (control, now) = (asked.control(), rules::now());
        let outlet = &self.outlet;
        let answers = |entry: &Arc<Entry>| {
            let allowed = !authorized || rules::is_storable(entry.status, entry.headers(), true);
            allowed && entry.answers(job.url.as_str(), hop.compression, &asked)
        };
        let stored = match mode {
            CacheMode::Reload | CacheMode::NoStore => None,
            _ if control.no_store => None,
            _ => self.cache.get(&job.url, &read, now, &answers, &|operation| outlet.to_disk(operation)),
        };
        if let Some(entry) = &stored {
            flow.decompress = hop.compression;
            let taken = match mode {
                CacheMode::Default => entry.is_fresh_for(&control, now),
                CacheMode::OnlyIfCached | CacheMode::Force => true,
                CacheMode::Revalidate => entry.is_immutable() && entry.is_fresh_for(&Control::default(), now),
                _ => false,
            };
            if taken {
                self.cache.hits += 1;
                return Looked::Answer(Arc::clone(entry));
            }
        }
        if only {
            return absent();
        }
        if let Some(entry) = stored.as_ref().filter(|_| mode == CacheMode::Default && !control.only_if_cached)
            && !job.in_background
            && job.timing.redirects == 0
            && entry.is_good_meanwhile(&control, now)
        {
            self.cache.hits += 1;
            return Looked::AnswerMeanwhile(Arc::clone(entry));
        }
        if control.only_if_cached {
            return Looked::Answer(Arc::new(Entry::timeout(job.url.as_str(), now)));
        }
        let stored = stored.filter(|_| job.method == "GET");
        if job.method == "GET" && !control.no_store {
            flow.recorder = Some(Box::new(Recorder {
                fields: hop.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
                authorized,
                epoch: self.cache.epoch(),
                largest: self.cache.largest(),
                keeps: false,
                body: self.cache.record(&self.outlet.disk),
            }));
        }
        drop(hop);
        flow.requested = now;
        if let Some(entry) = stored {
            job.validation = rules::validation(entry.headers());
            flow.validating = !job.validation.is_empty();
            flow.fallback = entry.is_good_for_errors(&control, now);
            job.cached = Some(entry);
        }
        if !flow.validating {
            self.cache.misses += 1;
        }
        Looked::Ask
    }

    /// Asks in the background whether what has just answered a request still holds, unless that is being asked, or as much as
    /// may be. It is a request like others, within all limits, but no event tells of it.
    pub(super) fn refresh(&mut self, job: &Job) {
        let is_live =
            |id: RequestId| self.jobs.get(id.index()).and_then(Option::as_ref).is_some_and(|job| job.id == id);
        self.refreshing.retain(|(id, _)| is_live(*id));
        if self.refreshing.len() >= MAX_REFRESHING || self.refreshing.iter().any(|(_, url)| *url == job.url) {
            return;
        }
        let Some(id) = self.outlet.events.claim() else { return };
        let mut request = job.request.clone();
        request.priority = Priority::Low;
        (request.progress, request.retry) = Default::default();
        (request.response_file, request.stream_window, request.expected) = Default::default();
        job.tell(TraceLevel::Requests, |_| "asks about it in the background".to_owned());
        self.refreshing.push((id, job.url.clone()));
        self.accept_as(id, request, None, true);
    }

    /// Answers a hop by what is stored.
    pub(super) fn answer_stored(&mut self, mut job: Box<Job>, mut flow: Box<Flow>, entry: &Entry) {
        flow.from_cache = true;
        // Asked again, it would say the same.
        flow.backoff = None;
        let local = Local::new(flow, Answer::stored(entry, rules::now()), &self.outlet, self.net.sockets());
        job.state = State::Running(Peer::Local(Box::new(local)));
        self.put(job);
    }

    /// Answers a hop by what is stored, after it was asked for in vain: it has not changed, or its server is not well.
    pub(super) fn answer_instead(&mut self, mut job: Box<Job>, mut flow: Box<Flow>) {
        let Some(mut entry) = job.cached.take() else {
            let failure = Failure::new(ErrorKind::Internal, "what was stored is gone");
            return self.fail(job, flow, failure);
        };
        let revalidated = flow.instead && flow.status == 304;
        if revalidated {
            let Some(head) = rules::updated(entry.headers(), &flow.headers) else {
                self.distrust(&job);
                return self.try_again(job, &mut flow);
            };
            let times = Times { requested: flow.requested, responded: rules::now() };
            let body = Arc::clone(&entry.body);
            let head = Lines(head);
            entry = Arc::new(Entry { url: entry.url.clone(), times, head, body, ..*entry });
            self.cache.revalidated += 1;
            if let Some(recorder) = flow.recorder.take() {
                self.store(&job.url, &recorder, entry.as_ref(), None);
            }
        }
        job.validation.clear();
        let mut fresh = self.flow_for(&job, Source::None);
        fresh.decompress = entry.compression;
        fresh.revalidated = revalidated;
        self.answer_stored(job, fresh, &entry);
    }

    /// Gives up what is stored for a hop: it is not what it has to be, or no longer.
    pub(super) fn distrust(&mut self, job: &Job) {
        self.cache.invalidate(&job.url, &|operation| self.outlet.to_disk(operation));
    }

    /// Stores a response, unless something speaks against it after all; its body may be in the cache's folder already.
    fn store(&mut self, url: &Url, recorder: &Recorder, entry: &Entry, staged: Option<Staged>) {
        let fields: Vec<_> = recorder.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let user_agent = self.config.user_agent.as_deref();
        let asked = Asked { fields: &fields, authorized: recorder.authorized, user_agent };
        let outlet = &self.outlet;
        let disk = |operation| outlet.to_disk(operation);
        match asked.variant(entry.headers()) {
            // It may have been on its way when something changed, and tell of before.
            _ if self.cache.is_void_since(url, recorder.epoch) => {}
            Some(variant) if recorder.wants(entry.status, entry.headers()) => {
                let (url_text, head, body) = (entry.url.clone(), entry.head.clone(), Arc::clone(&entry.body));
                let entry = Arc::new(Entry { url: url_text, head, body, variant, ..*entry });
                self.cache.store(url, &entry, staged, rules::now(), &disk);
            }
            _ => self.cache.invalidate(url, &disk),
        }
    }

    /// A whole response has come over the network: keeps it, or forgets what it makes void.
    pub(super) fn note_response(&mut self, job: &Job, flow: &mut Flow, redirected: bool) {
        if !self.cache.is_on() || flow.from_cache {
            return;
        }
        if flow.validating {
            self.cache.misses += 1;
        }
        let safe = matches!(job.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if !safe && (200..400).contains(&flow.status) {
            let outlet = &self.outlet;
            let named = ["Location", "Content-Location"].into_iter().filter_map(|name| flow.headers.bytes(name));
            let others = named.filter_map(|other| job.url.join(&redirect::reference(&other)).ok());
            let others = others.filter(|other| other.origin() == job.url.origin());
            for mut url in others.chain([job.url.clone()]) {
                url.set_fragment(None);
                self.cache.invalidate(&url, &|operation| outlet.to_disk(operation));
            }
        }
        let Some(mut recorder) = flow.recorder.take().filter(|_| flow.again.is_none()) else { return };
        if !recorder.keeps {
            // What is stored is of before. It may still do while the server is not well.
            if matches!(flow.status, 200..400 | 404 | 410) {
                self.distrust(job);
            }
            return;
        }
        // A redirect's body need not have come to its end.
        if redirected && u64::try_from(flow.declared) != Ok(recorder.body.length()) {
            return;
        }
        let (body, staged) = match recorder.body.end() {
            Body::Held(bytes) => (bytes, None),
            Body::Staged(staged) => (Vec::new(), Some(staged)),
        };
        let entry = Entry {
            url: job.url.as_str().to_owned(),
            times: Times { requested: flow.requested, responded: rules::now() },
            compression: flow.decompress,
            variant: 0,
            status: flow.status,
            head: Lines(rules::kept(&flow.headers)),
            body: Arc::new(body),
        };
        self.store(&job.url, &recorder, &entry, staged);
    }
}
