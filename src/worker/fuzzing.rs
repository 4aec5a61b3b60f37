//! The worker's part of what the fuzz targets reach; see `crate::fuzzing`.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use url::Url;

use super::cookies::{self, Cookie, Jar};
use super::exchange::{self, Flow, Outlet};
use super::rates::Lines;
use super::redirect::{next_hop, reference};
use super::retry;
use super::trace::Trace;
use crate::body::source::Source;
use crate::body::threads::Disk;
use crate::budget::Budget;
use crate::config::Config;
use crate::error::ErrorKind;
use crate::event::queue;
use crate::headers::Headers;
use crate::request::Request;
use crate::slots::{RequestId, Slots};
use crate::text::Text;

/// A line of a cookie file, read and written anew.
pub fn cookie_line(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    cookies::store(&cookies::load(line, cookies::unix_time())?, &mut text);
    text.strip_suffix(b"\n").map(<[u8]>::to_vec)
}

/// A cookie that a response has set.
pub struct SetCookie {
    /// What goes back to the same URL.
    pub sent: Option<Vec<u8>>,
    /// What goes to another URL.
    pub elsewhere: Option<Vec<u8>>,
    /// Its line in a cookie file.
    pub line: Vec<u8>,
}

/// Takes a Set-Cookie that came from a URL.
pub fn set_cookie(text: &[u8], from: &Url, other: &Url) -> Result<SetCookie, String> {
    let cookie = Cookie::parse(text, from)?;
    let mut line = Vec::new();
    cookies::store(&cookie, &mut line);
    line.pop();
    let mut jar = Jar::default();
    jar.keep(std::iter::once(cookie), from, Duration::ZERO);
    Ok(SetCookie { sent: jar.header(from), elsewhere: jar.header(other), line })
}

/// Where a redirect leads.
pub struct Hop {
    /// The next URL.
    pub url: Url,
    /// The method changes to GET.
    pub becomes_get: bool,
    /// Only safe headers go along.
    pub leaves_origin: bool,
}

/// Finds where a response's Location leads, or why it is not followed.
pub fn redirect(from: &Url, location: &[u8], status: u16, method: &str, allow_insecure: bool) -> Result<Hop, String> {
    let hop = next_hop(from, &reference(location), status, method, allow_insecure);
    let hop = hop.map_err(|failure| failure.message.to_string())?;
    Ok(Hop { url: hop.url, becomes_get: hop.becomes_get, leaves_origin: hop.leaves_origin })
}

/// How long a response asks to wait.
pub fn retry_after(headers: &Headers, now: SystemTime) -> Option<Duration> {
    retry::asked(headers, now)
}

/// A header field as the trace shows it, without secrets.
pub fn trace_field(name: &str, value: &str, base: &Url) -> String {
    Trace::new(&Config::default()).head("", std::iter::once((name, value)), base)
}

/// A URL as the trace shows it, without secrets.
pub fn trace_url(url: &Url) -> String {
    Trace::new(&Config::default()).url(url)
}

/// What libcurl's callbacks have made of a response.
#[derive(Debug)]
pub struct Answered {
    /// Its status; 0 if there is none.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// Its body, if that was whole.
    pub body: Option<Vec<u8>>,
    /// Why the request fails.
    pub failure: Option<(ErrorKind, String)>,
    /// Where it leads instead.
    pub redirect: Option<String>,
    /// Which of the lines was the last to be taken.
    pub lines: usize,
}

thread_local! {
    static SHARED: Option<(Outlet, RequestId)> = shared();
}

/// What all exchanges share, with nobody at its other ends.
fn shared() -> Option<(Outlet, RequestId)> {
    let slots = Arc::new(Slots::new(1));
    let id = slots.claim()?;
    let (events, _) = queue(slots);
    let spawn =
        |name: &str, run: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.to_owned()).spawn(run);
    // Nothing goes there: no response has a file.
    let disk = Disk::start(Box::new(spawn), drop, || (), crossbeam_channel::bounded(0).0, None).ok()?;
    let config = Config::default();
    let outlet = Outlet {
        events,
        disk,
        budget: Arc::new(Budget::new(u64::MAX, || (), drop)),
        now: Cell::new(Duration::ZERO),
        suspended: Cell::new(false),
        lending: Arc::new(Mutex::new(false)),
        notices: RefCell::default(),
        whole: RefCell::default(),
        spare: RefCell::default(),
        bytes_received: Cell::new(0),
        bytes_sent: Cell::new(0),
        lines: RefCell::new(Lines::new(config.rates)),
        trace: Trace::new(&config),
    };
    Some((outlet, id))
}

/// Gives the lines of a head, the pieces of a body and the lines of trailers to the callbacks, as libcurl would, which has
/// undone any chunks.
pub fn response(request: &Request, head: &[&[u8]], body: &[&[u8]], trailers: &[&[u8]], most: u64) -> Option<Answered> {
    SHARED.with(|shared| {
        let (outlet, id) = shared.as_ref()?;
        let mut flow = Flow::new(*id, Text::from("http://x.test/"), &request.parts, Source::None, Duration::ZERO);
        flow.connected = true;
        flow.max_body = most;
        let mut lines = 0;
        let mut goes_on = head.iter().all(|line| {
            lines += 1;
            flow.header_line(line, outlet)
        });
        goes_on = goes_on && body.iter().all(|piece| flow.receive(piece, outlet) == Some(true));
        let _ = goes_on && trailers.iter().all(|line| flow.header_line(line, outlet));
        flow.end_head();
        let passed = flow.redirect.is_some() || flow.answered;
        let failure = flow.failure.take().or_else(|| if passed { None } else { flow.incomplete() });
        let redirect = flow.redirect.take();
        let response = exchange::response_of(&mut flow, Some(&outlet.budget).filter(|_| failure.is_none()));
        outlet.notices.borrow_mut().clear();
        Some(Answered {
            status: response.status,
            body: response.body.as_ref().map(|body| body.as_bytes().to_vec()),
            headers: response.headers,
            failure: failure.map(|failure| (failure.kind, failure.message.to_string())),
            redirect,
            lines,
        })
    })
}
