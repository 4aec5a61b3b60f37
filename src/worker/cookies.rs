//! Cookies: kept and sent as browsers do (RFC 6265bis), in memory and, if asked for, in a file.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use url::{Host, Url};

use super::public_suffix::{is_public_suffix, site_of};
use crate::error::{Reason, Refusal};
use crate::files::{self, Links};
use crate::headers::decode;
use crate::http_date::cookie_date;
use crate::published::Published;
use crate::request::{BaseDirectory, FileName};

/// The longest name and value together, in bytes: a longer cookie is not kept.
const MAX_COOKIE_BYTES: usize = 4096;
/// The longest value of an attribute, in bytes: a longer attribute is left out.
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// How many cookies a site may have, with all its hosts, and all sites together: beyond, the oldest go.
const MAX_PER_SITE: usize = 180;
const MAX_COOKIES: usize = 3000;
/// How many cookies one response may set.
pub(super) const MAX_PER_RESPONSE: usize = 50;
/// How much of them goes into one request.
const MAX_SENT_BYTES: usize = 64 << 10;
/// The longest that a cookie is kept, in seconds: 400 days.
const MAX_AGE: u64 = 400 * 24 * 3600;
/// How large a file may be to be read: more than as many cookies as are kept take, each with all that it may have.
const MAX_FILE_BYTES: u64 = 20 << 20;
/// The longest domain that can be looked up, in bytes.
const MAX_DOMAIN_BYTES: usize = 253;
/// How long changes gather before they are saved.
const SAVE_DELAY: Duration = Duration::from_secs(1);
/// What that grows to while the file cannot be written.
const LONGEST_SAVE_DELAY: Duration = Duration::from_secs(60);
/// What the file begins with, and what curl and older programs begin theirs with.
const FILE_HEADER: &str = "# Netscape HTTP Cookie File";
const OTHER_FILE_HEADER: &str = "# HTTP Cookie File";
/// Before the domain of a cookie that scripts must not see, as curl writes it.
const HTTP_ONLY: &str = "#HttpOnly_";

/// What a name with a prefix promises beside Secure: that nobody but this very host has set it, or none but a server.
struct Wants {
    host: bool,
    http: bool,
}

/// Prefixes of names that promise something, whatever the letters' case; longer ones first.
const PREFIXES: [(&str, Wants); 4] = [
    ("__Host-Http-", Wants { host: true, http: true }),
    ("__Host-", Wants { host: true, http: false }),
    ("__Http-", Wants { host: false, http: true }),
    ("__Secure-", Wants { host: false, http: false }),
];

/// A cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    /// As the bytes that came: they go back as they are.
    name: Vec<u8>,
    value: Vec<u8>,
    /// The host that set it, or the domain that it is for.
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    http_only: bool,
    /// When it ends, in seconds since 1970; `None` with the client.
    expires: Option<u64>,
    /// Which of all it is.
    number: u64,
}

impl Cookie {
    /// Reads a cookie as it stands in a Set-Cookie header that came from a URL. `Err` says why a browser would not keep it.
    pub(crate) fn parse(text: &[u8], url: &Url) -> Result<Cookie, String> {
        if text.iter().any(is_forbidden) {
            return Err("holds a control character".to_owned());
        }
        let (pair, attributes) = split_once(text, b';').unwrap_or((text, b""));
        // Without a "=", all of it is the value.
        let (name, value) = split_once(pair, b'=').unwrap_or((b"", pair));
        let (name, value) = (trimmed(name), trimmed(value));
        if name.is_empty() && value.is_empty() {
            return Err("has neither a name nor a value".to_owned());
        }
        let length = name.len() + value.len();
        if length > MAX_COOKIE_BYTES {
            return Err(format!("has {length} bytes of name and value, the limit is {MAX_COOKIE_BYTES}"));
        }
        let host = url.host_str().unwrap_or("");
        let mut cookie = Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: host.to_owned(),
            host_only: true,
            path: default_path(url).to_owned(),
            secure: false,
            http_only: false,
            expires: None,
            number: 0,
        };
        let (mut domain, mut path, mut max_age, mut date) = (None, None, None, None);
        for attribute in attributes.split(|byte| *byte == b';') {
            let (key, value) = split_once(attribute, b'=').unwrap_or((attribute, b""));
            let (key, value) = (trimmed(key), trimmed(value));
            if value.len() > MAX_ATTRIBUTE_BYTES {
                continue;
            }
            let value = decode(value);
            // Of several of one name, the last counts.
            match key.to_ascii_lowercase().as_slice() {
                b"domain" => domain = Some(value),
                b"path" => path = Some(value),
                b"secure" => cookie.secure = true,
                b"httponly" => cookie.http_only = true,
                b"max-age" => max_age = seconds(&value).or(max_age),
                b"expires" => date = cookie_date(&value).or(date),
                // Nobody embeds a game client in another site, so SameSite has nothing to tell apart.
                _ => {}
            }
        }
        if let Some(path) = path.as_deref().filter(|path| path.starts_with('/')) {
            path.clone_into(&mut cookie.path);
        }
        let length = cookie.path.len();
        if length > MAX_ATTRIBUTE_BYTES {
            return Err(format!("is for a path of {length} bytes, the limit is {MAX_ATTRIBUTE_BYTES}"));
        }
        let now = unix_time();
        let ends = max_age.map(|age| if age == 0 { 0 } else { now.saturating_add(age) }).or(date);
        cookie.expires = ends.map(|ends| ends.min(now + MAX_AGE));
        let domain = domain.as_deref().unwrap_or("");
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        if !domain.is_empty() {
            cookie.set_domain(domain, host)?;
        }
        if cookie.secure && !is_trustworthy(url) {
            return Err("is Secure, but does not come from an https URL".to_owned());
        }
        cookie.check_prefix(domain.is_empty() && path.as_deref() == Some("/"))?;
        Ok(cookie)
    }

    /// Widens it to a domain that its host lies in.
    fn set_domain(&mut self, domain: &str, host: &str) -> Result<(), String> {
        let parsed = Host::parse(domain).ok().filter(|_| domain.is_ascii());
        let parsed = parsed.ok_or_else(|| format!("is for '{domain}', which is no host"))?;
        let domain = parsed.to_string();
        if !domain_matches(host, &domain) {
            return Err(format!("is for the domain '{domain}', in which '{host}' does not lie"));
        }
        if host == domain && (!matches!(parsed, Host::Domain(_)) || is_public_suffix(&domain)) {
            return Ok(());
        }
        if is_public_suffix(&domain) {
            return Err(format!("is for '{domain}', under which anybody can have a name"));
        }
        (self.domain, self.host_only) = (domain, false);
        Ok(())
    }

    /// Refuses one whose name promises what it does not keep. Without a name, its value would be taken for one.
    fn check_prefix(&self, bound_to_host: bool) -> Result<(), String> {
        let sent = if self.name.is_empty() { &self.value } else { &self.name };
        let Some((prefix, wants)) = PREFIXES.iter().find(|(prefix, _)| starts_with(sent, prefix)) else {
            return Ok(());
        };
        let keeps =
            self.secure && !self.name.is_empty() && (bound_to_host || !wants.host) && (self.http_only || !wants.http);
        if keeps {
            return Ok(());
        }
        let is = if self.name.is_empty() { "no name, but a value" } else { "a name" };
        let host = if wants.host { " with Path=/ and no Domain" } else { "" };
        let http = if wants.http { " and HttpOnly" } else { "" };
        Err(format!("has {is} that begins with {prefix}, which wants a name, Secure{http}{host}"))
    }

    fn has_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether another takes its place.
    fn is_replaced_by(&self, other: &Cookie) -> bool {
        let key = |cookie: &Cookie| (cookie.host_only, cookie.name.len());
        key(self) == key(other) && self.name == other.name && self.domain == other.domain && self.path == other.path
    }

    fn goes_to(&self, url: &Url, host: &str, trustworthy: bool) -> bool {
        let in_domain = if self.host_only { host == self.domain } else { domain_matches(host, &self.domain) };
        in_domain && path_matches(url.path(), &self.path) && (!self.secure || trustworthy)
    }
}

/// The bytes before and after the first that is this one.
fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at(bytes.iter().position(|byte| *byte == at)?);
    Some((before, after.get(1..)?))
}

/// Whether a byte keeps a cookie from being kept: every control character but TAB.
fn is_forbidden(byte: &u8) -> bool {
    byte.is_ascii_control() && *byte != b'\t'
}

/// Takes spaces and TABs off both ends, and nothing else.
fn trimmed(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().take_while(|byte| blank(byte)).count();
    let text = text.get(start..).unwrap_or(&[]);
    let end = text.iter().rev().take_while(|byte| blank(byte)).count();
    text.get(..text.len() - end).unwrap_or(&[])
}

fn starts_with(text: &[u8], prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Whether a host is a domain or lies in it.
fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether a path is another or lies below it.
fn path_matches(path: &str, below: &str) -> bool {
    path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || below.ends_with('/') || rest.starts_with('/'))
}

/// A URL's path up to its last slash.
fn default_path(url: &Url) -> &str {
    match url.path().rfind('/') {
        None | Some(0) => "/",
        Some(end) => url.path().get(..end).unwrap_or("/"),
    }
}

/// Whether nobody can listen on the way to a URL, and so may set and see Secure cookies.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// Reads a Max-Age; what is negative is over.
fn seconds(value: &str) -> Option<u64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if digits.len() < value.len() { 0 } else { value.parse().unwrap_or(u64::MAX) })
}

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Cookies by the site that they belong to, which any that go to one host have in common.
#[derive(Clone, Default)]
pub(crate) struct Sites(HashMap<String, Arc<Vec<Cookie>>>);

impl Sites {
    /// The Cookie header for a URL; `None` if there is nothing to send.
    pub(crate) fn header(&self, url: &Url) -> Option<Vec<u8>> {
        let host = url.host_str()?;
        if self.0.is_empty() {
            return None;
        }
        let (now, trustworthy) = (unix_time(), is_trustworthy(url));
        let of_site = self.0.get(site_of(host))?;
        let mut cookies: Vec<_> = of_site
            .iter()
            .filter(|cookie| !cookie.has_expired(now) && cookie.goes_to(url, host, trustworthy))
            .collect();
        // The longest path comes first, and then the oldest, as they lie.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let mut header = Vec::new();
        for Cookie { name, value, .. } in cookies {
            if header.len() + name.len() + value.len() > MAX_SENT_BYTES {
                break;
            }
            let separator: &[u8] = if header.is_empty() { b"" } else { b"; " };
            let equals: &[u8] = if name.is_empty() { b"" } else { b"=" };
            header.extend([separator, name, equals, value].concat());
        }
        (!header.is_empty()).then_some(header)
    }

    fn all(&self) -> impl Iterator<Item = &Cookie> {
        self.0.values().flat_map(|of_site| of_site.iter())
    }
}

/// The cookies of one client.
#[derive(Default)]
pub(crate) struct Jar {
    /// Copied when it changes while a program's thread reads it.
    sites: Arc<Sites>,
    published: Arc<Published<Sites>>,
    /// Something has changed that is not published.
    unpublished: bool,
    count: usize,
    next_number: u64,
    file: Option<PathBuf>,
    /// When what has changed is to be saved.
    save_at: Option<Duration>,
    /// What was saved last, as a hash, and what the disk has not answered about yet, in order.
    saved: Option<u64>,
    saving: VecDeque<u64>,
    /// How often it could not be saved since it last was.
    failures: u32,
}

impl Jar {
    /// A jar with what a file holds, and which is saved there. A file that does not exist is an empty one.
    pub(crate) fn open(file: Option<&Path>) -> Result<Jar, Refusal> {
        let mut jar = Jar::default();
        let Some(file) = file else { return Ok(jar) };
        let refuse = |what: String| Refusal::new(Reason::Path, format!("cookie_file '{}' {what}", file.display()));
        let name = FileName::new(file, BaseDirectory::None)?;
        name.check_target()?;
        let mut path = name.path;
        if !path.parent().is_some_and(Path::is_dir) {
            return Err(refuse("is not in a folder that exists".to_owned()));
        }
        // A link stays one.
        path = fs::canonicalize(&path).unwrap_or(path);
        jar.file = Some(path.clone());
        let unreadable = |error| Refusal::of_file(&format!("cookie_file '{}' cannot be read", file.display()), &error);
        let mut source = match files::open_to_read(&path, Links::Follow) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(jar),
            opened => opened.map_err(unreadable)?,
        };
        let length = source.metadata().map_err(unreadable)?.len();
        if length > MAX_FILE_BYTES {
            return Err(refuse(format!("has {length} bytes, the limit is {MAX_FILE_BYTES}")));
        }
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map_err(unreadable)?;
        // Whatever else it is, it is not ours to replace.
        let known = [FILE_HEADER, OTHER_FILE_HEADER].iter().any(|header| bytes.starts_with(header.as_bytes()));
        if !bytes.trim_ascii().is_empty() && !known {
            return Err(refuse(format!("is not a cookie file: it does not begin with '{FILE_HEADER}'")));
        }
        let now = unix_time();
        let lines = bytes.rsplit(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        // The newest are at the end. No more lines are taken than there is room for: this is the host's thread.
        let mut newest: Vec<Cookie> = lines.filter_map(|line| load(line, now)).take(MAX_COOKIES).collect();
        while let Some(cookie) = newest.pop() {
            jar.put(cookie);
        }
        jar.unpublished = true;
        jar.publish();
        Ok(jar)
    }

    /// Keeps what a response from a URL has set.
    pub(super) fn keep(&mut self, set: impl Iterator<Item = Cookie>, url: &Url, now: Duration) {
        let (trustworthy, time) = (is_trustworthy(url), unix_time());
        let mut changed = false;
        self.unpublished = true;
        for cookie in set {
            if !trustworthy && self.would_shadow_secure(&cookie) {
                continue;
            }
            changed = true;
            if cookie.has_expired(time) {
                self.remove(&cookie);
            } else {
                self.put(cookie);
            }
        }
        if changed && self.file.is_some() {
            self.save_at.get_or_insert(now + SAVE_DELAY);
        }
    }

    /// Whether a cookie that somebody on the way may have set would be taken for one that only the server could set.
    fn would_shadow_secure(&self, cookie: &Cookie) -> bool {
        let of_site = self.sites.0.get(site_of(&cookie.domain)).map_or(&[][..], |of_site| of_site.as_slice());
        of_site.iter().any(|kept| {
            kept.secure
                && kept.name == cookie.name
                && (domain_matches(&kept.domain, &cookie.domain) || domain_matches(&cookie.domain, &kept.domain))
                && path_matches(&cookie.path, &kept.path)
        })
    }

    fn remove(&mut self, cookie: &Cookie) {
        let site = site_of(&cookie.domain);
        let sites = &mut Arc::make_mut(&mut self.sites).0;
        if let Some(of_site) = sites.get_mut(site) {
            let of_site = Arc::make_mut(of_site);
            let before = of_site.len();
            of_site.retain(|kept| !kept.is_replaced_by(cookie));
            self.count -= before - of_site.len();
            if of_site.is_empty() {
                sites.remove(site);
            }
        }
    }

    /// Puts a cookie in, and takes out what is too much.
    fn put(&mut self, mut cookie: Cookie) {
        self.next_number += 1;
        cookie.number = self.next_number;
        let site = site_of(&cookie.domain).to_owned();
        let of_site = Arc::make_mut(Arc::make_mut(&mut self.sites).0.entry(site).or_default());
        if let Some(kept) = of_site.iter_mut().find(|kept| kept.is_replaced_by(&cookie)) {
            cookie.number = kept.number;
            *kept = cookie;
            return;
        }
        of_site.push(cookie);
        self.count += 1;
        let now = unix_time();
        if of_site.len() > MAX_PER_SITE {
            let before = of_site.len();
            of_site.retain(|cookie| !cookie.has_expired(now));
            if of_site.len() > MAX_PER_SITE {
                // In order of their making, since replacing one leaves it in its place.
                of_site.remove(0);
            }
            self.count -= before - of_site.len();
        }
        if self.count > MAX_COOKIES {
            let oldest = self.sites.0.iter().min_by_key(|(_, of_site)| of_site.first().map(|cookie| cookie.number));
            if let Some(oldest) = oldest.and_then(|(_, of_site)| of_site.first()).cloned() {
                self.remove(&oldest);
            }
        }
    }

    /// Forgets every cookie.
    pub(super) fn clear(&mut self, now: Duration) {
        self.sites = Arc::default();
        self.unpublished = true;
        self.count = 0;
        if self.file.is_some() {
            self.save_at = Some(now);
        }
    }

    /// The Cookie header for a URL; `None` if there is nothing to send.
    pub(super) fn header(&self, url: &Url) -> Option<Vec<u8>> {
        self.sites.header(url)
    }

    /// Where a program's threads read the cookies.
    pub(crate) fn published(&self) -> Arc<Published<Sites>> {
        Arc::clone(&self.published)
    }

    /// Lets the program's threads see what has changed; `false` if that has to be tried again.
    pub(crate) fn publish(&mut self) -> bool {
        self.unpublished = self.unpublished && !self.published.publish(Arc::clone(&self.sites));
        !self.unpublished
    }

    /// When there may be something to save.
    pub(super) fn save_at(&self) -> Option<Duration> {
        self.save_at
    }

    /// The disk has saved what it was given first of what it has not answered about.
    pub(super) fn saved(&mut self) {
        self.saved = self.saving.pop_front().or(self.saved);
        self.failures = 0;
    }

    /// It could not: that is tried again later. `true` if it is the first time since it last could.
    pub(super) fn not_saved(&mut self, now: Duration) -> bool {
        self.saving.pop_front();
        let pause = SAVE_DELAY.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_SAVE_DELAY);
        self.failures = self.failures.saturating_add(1);
        self.save_at.get_or_insert(now.saturating_add(pause));
        self.failures == 1
    }

    /// What is to be saved, and where; `None` if nothing of that has changed since the last time. At the end, what the disk
    /// has not answered about does not count as saved: nobody would be there to try it again.
    pub(super) fn take_changes(&mut self, at_the_end: bool) -> Option<(PathBuf, Vec<u8>)> {
        let unanswered = at_the_end && !self.saving.is_empty();
        if self.save_at.take().is_none() && !unanswered {
            return None;
        }
        let now = unix_time();
        // Cookies without an end are gone with the program, as with a browser's session.
        let lasting = |cookie: &&Cookie| cookie.expires.is_some_and(|expires| expires > now);
        let mut lasting: Vec<_> = self.sites.all().filter(lasting).collect();
        lasting.sort_by_key(|cookie| cookie.number);
        let mut text =
            format!("{FILE_HEADER}\n# Written by Sortie. Changes made by hand may be lost.\n\n").into_bytes();
        lasting.into_iter().for_each(|cookie| store(cookie, &mut text));
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        let last = self.saving.back().copied().filter(|_| !at_the_end).or(self.saved);
        let file = self.file.clone().filter(|_| last != Some(hash))?;
        self.saving.push_back(hash);
        Some((file, text))
    }
}

/// Writes one line of a file. Its fields are told apart by TABs, of which only the last may hold some itself: the few
/// cookies with a TAB elsewhere are kept in memory alone, and so are those of a host with a dot at its start, which would come
/// back as the host's without it.
pub(super) fn store(cookie: &Cookie, text: &mut Vec<u8>) {
    let Cookie { name, value, domain, path, .. } = cookie;
    if name.contains(&b'\t') || path.contains('\t') || domain.starts_with('.') {
        return;
    }
    let (dot, wide) = if cookie.host_only { ("", "FALSE") } else { (".", "TRUE") };
    let http_only = if cookie.http_only { HTTP_ONLY } else { "" };
    let secure = if cookie.secure { "TRUE" } else { "FALSE" };
    let expires = cookie.expires.unwrap_or(0);
    let _ = write!(text, "{http_only}{dot}{domain}\t{wide}\t{path}\t{secure}\t{expires}\t");
    text.extend([name, &b"\t"[..], value, b"\n"].concat());
}

/// Reads one line of a file; one that is no cookie, that has expired or that no response could have set is passed over.
pub(super) fn load(line: &[u8], now: u64) -> Option<Cookie> {
    let (http_only, line) = match line.strip_prefix(HTTP_ONLY.as_bytes()) {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    if line.starts_with(b"#") {
        return None;
    }
    let mut fields = line.splitn(7, |byte| *byte == b'\t');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (domain, wide, path, secure, expires) = (text()?, text()?, text()?, text()?, text()?);
    let (name, value) = (fields.next()?, fields.next()?);
    let expires = expires.parse::<u64>().ok().filter(|expires| *expires > now)?.min(now + MAX_AGE);
    let fits = domain.len() <= MAX_DOMAIN_BYTES + 1
        && path.len() <= MAX_ATTRIBUTE_BYTES
        && name.len() + value.len() <= MAX_COOKIE_BYTES;
    let plain = |text: &[u8]| !text.iter().any(|byte| is_forbidden(byte) || *byte == b';') && trimmed(text) == text;
    let parts_are_plain = [name, value, path.as_bytes()].into_iter().all(plain);
    let has_either = !name.is_empty() || !value.is_empty();
    if !fits || !parts_are_plain || !has_either || name.contains(&b'=') || !path.starts_with('/') {
        return None;
    }
    let domain = Host::parse(domain.strip_prefix('.').unwrap_or(domain)).ok()?.to_string();
    let host_only = wide != "TRUE" || is_public_suffix(&domain);
    let (name, value, path) = (name.to_owned(), value.to_owned(), path.to_owned());
    let (secure, expires) = (secure == "TRUE", Some(expires));
    let cookie = Cookie { name, value, domain, host_only, path, secure, http_only, expires, number: 0 };
    cookie.check_prefix(host_only && cookie.path == "/").ok().map(|()| cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(jar: &mut Jar, from: &str, cookies: &[&str]) {
        let from = url(from);
        jar.keep(cookies.iter().filter_map(|text| Cookie::parse(text.as_bytes(), &from).ok()), &from, Duration::ZERO);
    }

    fn sent(jar: &Jar, to: &str) -> String {
        String::from_utf8(jar.header(&url(to)).unwrap_or_default()).unwrap()
    }

    #[test]
    fn cookies_go_where_they_came_from() {
        let mut jar = Jar::default();
        set(&mut jar, "http://a.example.com/x/y", &["host=1", "all=2; Domain=.Example.COM; Path=/"]);
        assert_eq!(sent(&jar, "http://a.example.com/x/z"), "host=1; all=2", "the longest path comes first");
        assert_eq!(sent(&jar, "http://a.example.com/"), "all=2");
        assert_eq!(sent(&jar, "http://a.example.com/xx"), "all=2");
        assert_eq!(sent(&jar, "http://b.example.com/x/"), "all=2");
        assert_eq!(sent(&jar, "http://example.com/x/"), "all=2");
        assert_eq!(sent(&jar, "http://notexample.com/x/"), "");
        set(&mut jar, "http://127.0.0.1/", &["ip=1; Domain=127.0.0.1", "no=1; Domain=0.0.1"]);
        assert_eq!(
            (sent(&jar, "http://127.0.0.1:99/"), sent(&jar, "http://1.127.0.0.1.example/")),
            ("ip=1".into(), "".into())
        );
        let idn = ["idn=1; Domain=xn--bcher-kva.example", "raw=1; Domain=b\u{fc}cher.example"];
        set(&mut jar, "http://www.b\u{fc}cher.example/", &idn);
        assert_eq!(sent(&jar, "http://xn--bcher-kva.example/"), "idn=1");
    }

    #[test]
    fn a_new_value_replaces_in_its_place_and_an_old_date_removes() {
        let mut jar = Jar::default();
        set(&mut jar, "http://x.example/", &["a=1", "b=1", "a=2"]);
        assert_eq!(sent(&jar, "http://x.example/"), "a=2; b=1");
        set(&mut jar, "http://x.example/", &["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=; Max-Age=-1"]);
        assert_eq!((sent(&jar, "http://x.example/"), jar.count, jar.sites.0.len()), (String::new(), 0, 0));
    }

    #[test]
    fn tabs_and_cookies_without_a_name_are_kept() {
        for (text, back) in [
            ("a=1\t2", "a=1\t2"),
            ("a\tb=1", "a\tb=1"),
            ("\t a \t=\t 1 \t;\tPath\t=\t/\t", "a=1"),
            ("v", "v"),
            ("=v", "v"),
            (" = v=w ", "v=w"),
            ("v;", "v"),
            ("a=", "a="),
            ("a=\u{a0}1\u{a0}", "a=\u{a0}1\u{a0}"),
        ] {
            let mut jar = Jar::default();
            set(&mut jar, "http://x.example/", &[text]);
            assert_eq!(sent(&jar, "http://x.example/"), back, "{text:?}");
        }
        let mut jar = Jar::default();
        set(&mut jar, "http://x.example/", &["v", "=w", "n=1"]);
        assert_eq!(sent(&jar, "http://x.example/"), "w; n=1", "one without a name replaces the other");
    }

    #[test]
    fn attributes_that_are_too_long_are_left_out() {
        let (fits, too_long) = ("x".repeat(MAX_ATTRIBUTE_BYTES - 1), "x".repeat(MAX_ATTRIBUTE_BYTES + 1));
        let mut jar = Jar::default();
        let long_date = format!("{}Thu, 01 Jan 1970 00:00:00 GMT", " ,".repeat(512));
        let cookies = [
            format!("fits=1; Path=/{fits}"),
            format!("path=1; Path=/; Path=/{too_long}"),
            format!("domain=1; Path=/; Domain={too_long}"),
            format!("expires=1; Path=/; Expires={long_date}"),
            format!("age=1; Path=/; Max-Age=0{}", "0".repeat(MAX_ATTRIBUTE_BYTES)),
            format!("other=1; Path=/; Other={too_long}; X={too_long}"),
        ];
        set(&mut jar, "http://x.example/p/", &cookies.each_ref().map(String::as_str));
        assert_eq!(sent(&jar, "http://x.example/"), "path=1; domain=1; expires=1; age=1; other=1");
        assert!(sent(&jar, &format!("http://x.example/{fits}")).starts_with("fits=1; "));
    }

    #[test]
    fn a_file_gives_up_to_a_limit_the_newest_and_nothing_that_no_response_could_set() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cookies");
        let line =
            |host: &str, name: &str, value: &str| format!("{host}\tFALSE\t/\tTRUE\t99999999999\t{name}\t{value}\n");
        let mut text = format!("{FILE_HEADER}\n");
        for number in 0..MAX_COOKIES + 5 {
            text += &line(&format!("h{number}.example"), "a", "1");
        }
        fs::write(&file, &text).unwrap();
        let jar = Jar::open(Some(&file)).unwrap();
        assert_eq!((jar.count, sent(&jar, "https://h4.example/")), (MAX_COOKIES, String::new()));
        assert_eq!(sent(&jar, "https://h5.example/"), "a=1");

        let bad = [
            line("x.example", "", ""),
            line("x.example", "a", &"v".repeat(MAX_COOKIE_BYTES)),
            line(&"x.".repeat(200), "a", "1"),
            line("x.example", " a", "1"),
            line("x.example", "a", "1 "),
            line("x.example", "__Http-a", "1"),
            line("x.example", "", "__Secure-a"),
            line("x.example", "a=b", "1"),
            line("x.example", "a", "1\u{1b}"),
            line("x.example", "a", "1").replace("\t/\t", &format!("\t/{}\t", "p".repeat(MAX_ATTRIBUTE_BYTES))),
        ];
        let good = [line("x.example", "", "v=w"), line("x.example", "tab", "1\t2"), line("x.example", "__Host-a", "1")];
        fs::write(&file, format!("{FILE_HEADER}\n{}{}", bad.concat(), good.concat())).unwrap();
        let jar = Jar::open(Some(&file)).unwrap();
        assert_eq!((sent(&jar, "https://x.example/").as_str(), jar.count), ("v=w; tab=1\t2; __Host-a=1", 3));
    }

    #[test]
    fn all_that_a_jar_can_hold_fits_into_its_file() {
        let most = MAX_COOKIES * (MAX_COOKIE_BYTES + MAX_ATTRIBUTE_BYTES + MAX_DOMAIN_BYTES + 100);
        assert!(most as u64 <= MAX_FILE_BYTES, "{most}");
    }

    #[test]
    fn the_age_counts_before_the_date() {
        let expires = |text: &str| Cookie::parse(text.as_bytes(), &url("http://x.example/")).unwrap().expires;
        assert_eq!(expires("a=1"), None);
        assert_eq!(expires("a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT; Max-Age=0"), Some(0));
        assert_eq!(expires("a=1; Max-Age=-5"), Some(0));
        assert_eq!(expires("a=1; Max-Age=soon; Expires=never"), None);
        let latest = unix_time() + MAX_AGE;
        for long in ["Max-Age=99999999999999999999999", "Expires=Thu, 01 Jan 2099 00:00:00 GMT"] {
            assert!(
                expires(&format!("a=1; {long}")).is_some_and(|ends| ends >= latest && ends <= latest + 5),
                "{long}"
            );
        }
    }

    #[test]
    fn what_a_browser_refuses_is_refused() {
        let why = |text: &str, from: &str| Cookie::parse(text.as_bytes(), &url(from)).unwrap_err();
        assert!(why("a=1; Domain=co.uk", "http://x.co.uk/").contains("co.uk"));
        assert!(why("a=1; Domain=com.", "http://evil.com./").contains("com."));
        assert!(why("a=1; Domain=other.example", "http://x.example/").contains("domain"));
        assert!(why("a=1; Domain=a b", "http://x.example/").contains("no host"));
        assert!(why("a=1; Secure", "http://x.example/").contains("https"));
        assert!(why("__Secure-a=1", "https://x.example/").contains("__Secure-"));
        assert!(why("__host-a=1; Secure; Path=/; Domain=x.example", "https://x.example/").contains("__Host-"));
        assert!(why("__Host-a=1; Secure; Path=/p", "https://x.example/").contains("__Host-"));
        assert!(why("a=1\r\nX: y", "https://x.example/").contains("control"));
        assert!(why(&format!("a={}", "x".repeat(MAX_COOKIE_BYTES)), "http://x.example/").contains("4096"));
        let deep = format!("http://x.example/{}/", "p".repeat(MAX_ATTRIBUTE_BYTES));
        assert!(why("a=1", &deep).contains("path of 1025"));
        assert!(Cookie::parse(b"a=1; Path=/", &url(&deep)).is_ok());
        for bad in ["", ";;", "=", " = ; a=1", "\t", "a\0=1", "a=1; Path=/\u{7f}", "a=\u{b}1"] {
            assert!(Cookie::parse(bad.as_bytes(), &url("http://x.example/")).is_err(), "{bad}");
        }
        assert!(Cookie::parse(b"__Host-a=1; Secure; Path=/", &url("https://x.example/")).is_ok());
        assert!(Cookie::parse(b"a=1; Secure", &url("http://127.0.0.1/")).is_ok());
        assert_eq!(Cookie::parse(b" a = x y=z ", &url("http://x.example/")).unwrap().value, b"x y=z");
        for (text, promise) in [
            ("__Host-a=1; Secure", "Path=/"),
            ("__Host-a=1; Secure; Path", "Path=/"),
            ("__Host-a=1; Secure; Path=/; Path=", "Path=/"),
            ("__hOst-hTtp-a=1; Secure; Path=/", "HttpOnly"),
            ("__Host-Http-a=1; Secure; HttpOnly", "Path=/"),
            ("__HTTP-a=1; Secure", "HttpOnly"),
            ("__Http-a=1; HttpOnly", "Secure"),
            ("=__secure-a=1; Secure", "a name"),
            ("__HOST-a; Secure; Path=/", "a name"),
        ] {
            assert!(why(text, "https://x.example/").contains(promise), "{text}");
        }
        assert!(why("__Host-a=1; Secure; Path=/; Domain=127.0.0.1", "https://127.0.0.1/").contains("no Domain"));
        for good in [
            "__Http-a=1; Secure; HttpOnly",
            "__Host-Http-a=1; Secure; HttpOnly; Path=/",
            "__Hos=1",
            "a=__Secure-",
            "__Host-a=1; Secure; Path=/; Domain=",
        ] {
            assert!(Cookie::parse(good.as_bytes(), &url("https://x.example/a")).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_host_that_is_a_public_suffix_keeps_its_own() {
        let mut jar = Jar::default();
        set(&mut jar, "http://github.io/", &["a=1; Domain=github.io"]);
        assert_eq!(sent(&jar, "http://github.io/"), "a=1");
        assert_eq!(sent(&jar, "http://somebody.github.io/"), "");
    }

    #[test]
    fn secure_cookies_are_neither_sent_nor_shadowed_in_the_clear() {
        let mut jar = Jar::default();
        set(&mut jar, "https://example.com/", &["sid=good; Secure"]);
        assert_eq!(sent(&jar, "http://example.com/"), "");
        set(&mut jar, "http://example.com/", &["sid=forged", "sid=forged; Path=/deeper"]);
        set(&mut jar, "http://www.example.com/", &["sid=forged; Domain=example.com; Path=/"]);
        assert_eq!(sent(&jar, "https://example.com/deeper/"), "sid=good");
        set(&mut jar, "https://example.com/game/x", &["level=1; Secure; Path=/game"]);
        set(&mut jar, "http://example.com/shop/x", &["level=2; Path=/shop"]);
        assert_eq!(sent(&jar, "https://example.com/shop"), "level=2; sid=good", "another path is another matter");
    }

    #[test]
    fn of_too_many_the_oldest_go() {
        let mut jar = Jar::default();
        for number in 0..MAX_PER_SITE + 10 {
            // All hosts of a site share its limit.
            let host = if number % 2 == 0 { "a" } else { "b" };
            set(&mut jar, &format!("http://{host}.x.example/"), &[&format!("c{number}=1; Domain=x.example")]);
        }
        let header = sent(&jar, "http://x.example/");
        assert_eq!(header.split("; ").count(), MAX_PER_SITE);
        assert!(!header.contains("c9=") && header.contains("c10="), "{header}");
        for site in 0..MAX_COOKIES {
            set(&mut jar, &format!("http://h{site}.example/"), &["c=1"]);
        }
        assert_eq!((jar.count, sent(&jar, "http://x.example/")), (MAX_COOKIES, String::new()));
        assert_eq!(sent(&jar, "http://h0.example/"), "c=1");
        set(&mut jar, "http://one.more.example/", &["c=1"]);
        assert_eq!((sent(&jar, "http://h0.example/"), sent(&jar, "http://h1.example/")), ("".into(), "c=1".into()));
    }

    #[test]
    fn what_is_sent_is_bounded() {
        let mut jar = Jar::default();
        let cookies: Vec<_> = (0..50).map(|number| format!("c{number}={}", "x".repeat(4000))).collect();
        set(&mut jar, "http://x.example/", &cookies.iter().map(String::as_str).collect::<Vec<_>>());
        assert!((MAX_SENT_BYTES - 4100..=MAX_SENT_BYTES + 100).contains(&sent(&jar, "http://x.example/").len()));
    }

    #[test]
    fn what_is_not_saved_stays_to_be_saved() {
        let folder = tempfile::tempdir().unwrap();
        let mut jar = Jar::open(Some(&folder.path().join("cookies"))).unwrap();
        set(&mut jar, "http://x.example/", &["a=1; Max-Age=1000"]);
        assert!(jar.take_changes(false).is_some() && jar.take_changes(false).is_none());
        assert!(jar.take_changes(true).is_some(), "at the end what was not answered is saved once more");
        jar.saved();
        // Each time it takes longer, and it is told once.
        let mut pauses = Vec::new();
        assert!(jar.not_saved(Duration::ZERO));
        for _ in 0..8 {
            pauses.push(jar.save_at().unwrap().as_secs());
            jar.save_at = None;
            assert!(!jar.not_saved(Duration::ZERO));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        jar.saved();
        set(&mut jar, "http://x.example/", &["b=1; Max-Age=1000"]);
        assert!(jar.take_changes(false).is_some() && jar.not_saved(Duration::ZERO), "and again after it was saved");
        assert!(jar.take_changes(false).is_some());
        jar.saved();
        assert!(jar.take_changes(true).is_none());
    }

    #[test]
    fn a_file_holds_what_outlives_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cookies");
        let mut jar = Jar::open(Some(&file)).unwrap();
        assert!(jar.take_changes(false).is_none());
        let long = format!("long={}; Max-Age=1000; x={}", "v".repeat(4000), "x".repeat(4000));
        let kept = [
            "kept=1; Max-Age=1000; HttpOnly",
            "wide=\"x y\"; Domain=example.com; Path=/; Expires=Fri, 31 Dec 2100 23:59:59 GMT",
            "safe=a=b; Secure; Max-Age=1000; Path=/p",
            "nameless; Max-Age=1000; Path=/n",
            "tab=1\t2; Max-Age=1000; Path=/n",
            "not\tsaved=1; Max-Age=1000; Path=/n",
            &long,
        ];
        set(&mut jar, "https://www.example.com/a/b", &kept);
        set(&mut jar, "https://www.example.com/a/b", &["session=1"]);
        set(&mut jar, "https://[::1]/", &["six=1; Max-Age=1000"]);
        assert_eq!(jar.save_at(), Some(SAVE_DELAY));
        let (path, bytes) = jar.take_changes(false).unwrap();
        assert!(jar.save_at().is_none() && jar.take_changes(false).is_none());
        fs::write(&path, bytes).unwrap();
        set(&mut jar, "https://www.example.com/a/b", &["session=2"]);
        assert!(jar.take_changes(false).is_none(), "nothing that is saved has changed");

        let mut again = Jar::open(Some(&file)).unwrap();
        let long = format!("long={}", "v".repeat(4000));
        assert_eq!(sent(&again, "https://www.example.com/a/"), format!("kept=1; {long}; wide=\"x y\""));
        assert_eq!(sent(&again, "https://www.example.com/p"), "safe=a=b; wide=\"x y\"");
        assert_eq!(sent(&again, "https://example.com/a/"), "wide=\"x y\"");
        assert_eq!(sent(&again, "https://www.example.com/n"), "nameless; tab=1\t2; wide=\"x y\"");
        assert_eq!(sent(&again, "https://[::1]/"), "six=1");
        assert_eq!(again.sites.all().filter(|cookie| cookie.http_only).count(), 1);
        again.clear(Duration::ZERO);
        let (_, bytes) = again.take_changes(false).unwrap();
        assert!(!String::from_utf8(bytes).unwrap().contains("example"));
    }

    #[test]
    fn a_host_with_a_dot_at_its_start_is_not_another_in_the_file() {
        let mut lines = Vec::new();
        for host in [".x.example", "x.example"] {
            let from = url(&format!("http://{host}/"));
            store(&Cookie::parse(b"a=1; Max-Age=50", &from).unwrap(), &mut lines);
        }
        let kept = lines.split(|byte| *byte == b'\n').filter_map(|line| load(line, unix_time()));
        let hosts: Vec<String> = kept.map(|cookie| cookie.domain).collect();
        assert_eq!(hosts, ["x.example"], "one, and its own");
    }

    #[test]
    fn a_file_that_is_not_one_of_cookies_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: PathBuf| {
            let refusal = Jar::open(Some(&path)).err().expect("refused");
            assert_eq!(refusal.reason, Reason::Path);
            refusal.message
        };
        let save = folder.path().join("savegame.json");
        fs::write(&save, "{\"level\": 3}").unwrap();
        assert!(refused(save).contains("not a cookie file"));
        assert!(refused(folder.path().to_owned()).contains("not a regular file"));
        assert!(refused(folder.path().join("name/")).contains("names a directory"));
        assert!(refused(folder.path().join("missing/cookies")).contains("a folder that exists"));
        let junk = folder.path().join("junk");
        let lines = "# HTTP Cookie File\n\nx\ta\tb\n\tTRUE\t/\tFALSE\t99999999999\ta\tb\n#comment\n\
                     x.example\tFALSE\t/\tFALSE\t1\told\t1\nx.example\tFALSE\t/\tFALSE\t99999999999\tgood\t1\n\
                     co.uk\tTRUE\t/\tFALSE\t99999999999\twide\t1\nx.example\tFALSE\t/\tFALSE\tnever\tbad\t1\n\u{1}\n\
                     x.example\tFALSE\t/\tFALSE\t99999999999\ta;b\t1\nx.example\tFALSE\t/\tFALSE\t99999999999\tc\t1\u{1}\n";
        fs::write(&junk, lines).unwrap();
        let jar = Jar::open(Some(&junk)).unwrap();
        assert_eq!((sent(&jar, "http://x.example/"), sent(&jar, "http://a.co.uk/")), ("good=1".into(), "".into()));
        assert_eq!(jar.count, 2, "co.uk keeps one for itself alone");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(Jar::open(Some(&link)).unwrap().file, Some(fs::canonicalize(&file).unwrap()));
    }
}
