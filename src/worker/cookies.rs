//! Cookies: kept and sent as browsers do, in memory and, if asked for, in a file.

use std::cmp::Reverse;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie_store::{Cookie, CookieDomain, CookieExpiration, CookieStore};
use url::Url;

use super::public_suffix::is_public_suffix;
use crate::error::{Reason, Refusal};

/// The longest name and value together, and the longest Set-Cookie header, in bytes.
const MAX_COOKIE_BYTES: usize = 4096;
const MAX_HEADER_BYTES: usize = 8192;
/// How many cookies a domain may have, and all together: beyond, the oldest go.
const MAX_PER_DOMAIN: usize = 50;
const MAX_COOKIES: usize = 3000;
/// How many cookies one response may set.
pub(super) const MAX_PER_RESPONSE: usize = 50;
/// How much of them goes into one request.
const MAX_SENT_BYTES: usize = 64 << 10;
/// How large a file may be to be read.
const MAX_FILE_BYTES: u64 = 32 << 20;
/// How long changes gather before they are saved.
const SAVE_DELAY: Duration = Duration::from_secs(1);
/// What the file begins with, and what curl and older programs begin theirs with.
const FILE_HEADER: &str = "# Netscape HTTP Cookie File";
const OTHER_FILE_HEADER: &str = "# HTTP Cookie File";
/// Before the domain of a cookie that scripts must not see, as curl writes it.
const HTTP_ONLY: &str = "#HttpOnly_";

/// The cookies of one client.
#[derive(Default)]
pub(crate) struct Jar {
    store: CookieStore,
    file: Option<PathBuf>,
    /// When what has changed is to be saved.
    save_at: Option<Duration>,
}

/// Reads a cookie as it stands in a Set-Cookie header that came from a URL. `Err` says why a browser would not keep it.
pub(crate) fn parse(text: &str, url: &Url) -> Result<Cookie<'static>, String> {
    if text.len() > MAX_HEADER_BYTES {
        return Err(format!("is {} bytes long, the limit is {MAX_HEADER_BYTES}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    let mut cookie = Cookie::parse(text, url).map_err(|error| error.to_string())?.into_owned();
    let length = cookie.name().len() + cookie.value().len();
    if length > MAX_COOKIE_BYTES {
        return Err(format!("has {length} bytes of name and value, the limit is {MAX_COOKIE_BYTES}"));
    }
    if let CookieDomain::Suffix(domain) = &cookie.domain
        && is_public_suffix(domain)
    {
        if url.host_str() != Some(domain) {
            return Err(format!("is for '{domain}', under which anybody can have a name"));
        }
        cookie.domain = CookieDomain::host_only(url).map_err(|error| error.to_string())?;
    }
    let secure = cookie.secure() == Some(true);
    if secure && !is_trustworthy(url) {
        return Err("is Secure, but does not come from an https URL".to_owned());
    }
    let has_prefix =
        |prefix: &str| cookie.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if has_prefix("__Secure-") && !secure {
        return Err("has a name that begins with __Secure-, but is not Secure".to_owned());
    }
    let for_host = matches!(cookie.domain, CookieDomain::HostOnly(_)) && cookie.path() == Some("/");
    if has_prefix("__Host-") && !(secure && for_host) {
        return Err("has a name that begins with __Host-, but is not Secure with Path=/ and no Domain".to_owned());
    }
    Ok(cookie)
}

/// Whether nobody can listen on the way to a URL, and so may set and see Secure cookies.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

impl Jar {
    /// A jar with what a file holds, and which is saved there. A file that does not exist is an empty one.
    pub(crate) fn open(file: Option<&Path>) -> Result<Jar, Refusal> {
        let mut jar = Jar { file: file.map(Path::to_owned), ..Jar::default() };
        let Some(file) = file else { return Ok(jar) };
        let refuse = |what: String| Refusal::new(Reason::Path, format!("cookie_file '{}' {what}", file.display()));
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if file.file_name().is_none() || !folder.is_dir() {
            return Err(refuse("is not a file's name in a folder that exists".to_owned()));
        }
        // The host may change its working directory before the file is saved.
        jar.file = Some(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        match fs::metadata(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(jar),
            Err(error) => return Err(refuse(format!("cannot be read: {error}"))),
            Ok(metadata) if !metadata.is_file() => return Err(refuse("is not a regular file".to_owned())),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                let length = metadata.len();
                return Err(refuse(format!("has {length} bytes, the limit is {MAX_FILE_BYTES}")));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(file).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let text = String::from_utf8_lossy(&bytes);
        // Whatever else it is, it is not ours to replace.
        if !text.trim().is_empty() && ![FILE_HEADER, OTHER_FILE_HEADER].iter().any(|header| text.starts_with(header)) {
            return Err(refuse(format!("is not a cookie file: it does not begin with '{FILE_HEADER}'")));
        }
        for line in text.lines() {
            jar.load(line);
        }
        Ok(jar)
    }

    /// Takes in one line of a file; one that is no cookie, or that has expired, is passed over.
    fn load(&mut self, line: &str) -> Option<()> {
        let (http_only, line) = match line.strip_prefix(HTTP_ONLY) {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if line.starts_with('#') {
            return None;
        }
        let mut fields = line.splitn(7, '\t');
        let (domain, with_subdomains, path) = (fields.next()?, fields.next()?, fields.next()?);
        let (secure, expires, name, value) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let left = expires.parse::<u64>().ok()?.checked_sub(unix_time()).filter(|left| *left > 0)?;
        let host = domain.trim_start_matches('.');
        let mut text = format!("{name}={value}; Path={path}; Max-Age={left}");
        if with_subdomains == "TRUE" {
            let _ = write!(text, "; Domain={host}");
        }
        text.push_str(if secure == "TRUE" { "; Secure" } else { "" });
        text.push_str(if http_only { "; HttpOnly" } else { "" });
        let url = Url::parse(&format!("https://{host}/")).ok()?;
        let cookie = parse(&text, &url).ok()?;
        self.store.insert(cookie, &url).ok()?;
        Some(())
    }

    /// Keeps what a response from a URL has set.
    pub(super) fn keep(&mut self, set: impl Iterator<Item = Cookie<'static>>, url: &Url, now: Duration) {
        let mut domains = Vec::new();
        for cookie in set {
            let domain = String::from(&cookie.domain);
            if !self.would_replace_secure(&cookie, url) && self.store.insert(cookie, url).is_ok() {
                domains.push(domain);
            }
        }
        if domains.is_empty() {
            return;
        }
        self.make_room(&domains);
        if self.file.is_some() {
            self.save_at.get_or_insert(now + SAVE_DELAY);
        }
    }

    /// Whether a cookie that somebody on the way may have set would take the place of one that only the server could set.
    fn would_replace_secure(&self, cookie: &Cookie<'static>, url: &Url) -> bool {
        !is_trustworthy(url)
            && self
                .store
                .iter_unexpired()
                .any(|kept| kept.secure() == Some(true) && kept.name() == cookie.name() && kept.domain.matches(url))
    }

    /// Lets expired cookies go, and the oldest where there are too many.
    fn make_room(&mut self, domains: &[String]) {
        let key = |cookie: &Cookie<'static>| {
            (String::from(&cookie.domain), String::from(&cookie.path), cookie.name().to_owned())
        };
        let mut gone: Vec<_> = self.store.iter_any().filter(|cookie| cookie.is_expired()).map(key).collect();
        for domain in domains {
            let of_domain = || self.store.iter_unexpired().filter(|cookie| String::from(&cookie.domain) == *domain);
            let excess = of_domain().count().saturating_sub(MAX_PER_DOMAIN);
            gone.extend(of_domain().take(excess).map(key));
        }
        let excess = self.store.iter_unexpired().count().saturating_sub(MAX_COOKIES);
        gone.extend(self.store.iter_unexpired().take(excess).map(key));
        for (domain, path, name) in gone {
            self.store.remove(&domain, &path, &name);
        }
    }

    /// Forgets every cookie.
    pub(super) fn clear(&mut self, now: Duration) {
        self.store.clear();
        if self.file.is_some() {
            self.save_at = Some(now);
        }
    }

    /// The Cookie header for a URL; `None` if there is nothing to send.
    pub(super) fn header(&self, url: &Url) -> Option<String> {
        self.store.iter_any().next()?;
        let mut cookies = self.store.matches(url);
        cookies.sort_by_key(|cookie| Reverse(cookie.path.as_ref().len()));
        let mut header = String::new();
        for cookie in cookies {
            let (name, value) = cookie.name_value();
            if header.len() + name.len() + value.len() > MAX_SENT_BYTES {
                break;
            }
            header.push_str(if header.is_empty() { "" } else { "; " });
            let _ = write!(header, "{name}={value}");
        }
        (!header.is_empty()).then_some(header)
    }

    /// When there is something to save.
    pub(super) fn save_at(&self) -> Option<Duration> {
        self.save_at
    }

    /// What is to be saved, and where; `None` if nothing has changed since the last time.
    pub(super) fn take_changes(&mut self) -> Option<(PathBuf, Vec<u8>)> {
        self.save_at.take()?;
        let mut text =
            format!("{FILE_HEADER}\n# Written by Sortie, readable by curl. Changes made by hand may be lost.\n\n");
        for cookie in self.store.iter_unexpired() {
            // Cookies without an end are gone with the program, as with a browser's session.
            let CookieExpiration::AtUtc(expires) = &cookie.expires else { continue };
            let (domain, with_subdomains) = match &cookie.domain {
                CookieDomain::Suffix(domain) => (format!(".{domain}"), "TRUE"),
                domain => (domain.as_cow().unwrap_or_default().into_owned(), "FALSE"),
            };
            let http_only = if cookie.http_only() == Some(true) { HTTP_ONLY } else { "" };
            let secure = if cookie.secure() == Some(true) { "TRUE" } else { "FALSE" };
            let (path, expires) = (String::from(&cookie.path), expires.unix_timestamp());
            let (name, value) = cookie.name_value();
            let _ =
                writeln!(text, "{http_only}{domain}\t{with_subdomains}\t{path}\t{secure}\t{expires}\t{name}\t{value}");
        }
        Some((self.file.clone()?, text.into_bytes()))
    }
}

/// Seconds since 1970.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(jar: &mut Jar, from: &str, cookies: &[&str]) {
        let from = url(from);
        jar.keep(cookies.iter().filter_map(|text| parse(text, &from).ok()), &from, Duration::ZERO);
    }

    fn sent(jar: &Jar, to: &str) -> String {
        jar.header(&url(to)).unwrap_or_default()
    }

    #[test]
    fn cookies_go_where_they_came_from() {
        let mut jar = Jar::default();
        set(&mut jar, "http://a.example.com/x/y", &["host=1", "all=2; Domain=example.com; Path=/"]);
        assert_eq!(sent(&jar, "http://a.example.com/x/z"), "host=1; all=2", "the longest path comes first");
        assert_eq!(sent(&jar, "http://a.example.com/"), "all=2");
        assert_eq!(sent(&jar, "http://b.example.com/x/"), "all=2");
        assert_eq!(sent(&jar, "http://example.com/x/"), "all=2");
        assert_eq!(sent(&jar, "http://notexample.com/x/"), "");
    }

    #[test]
    fn a_new_value_replaces_and_an_old_date_removes() {
        let mut jar = Jar::default();
        set(&mut jar, "http://x.example/", &["a=1", "b=1", "a=2"]);
        assert_eq!(sent(&jar, "http://x.example/"), "a=2; b=1");
        set(&mut jar, "http://x.example/", &["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=; Max-Age=0"]);
        assert_eq!(sent(&jar, "http://x.example/"), "");
        assert_eq!(jar.store.iter_any().count(), 0);
    }

    #[test]
    fn what_a_browser_refuses_is_refused() {
        let why = |text: &str, from: &str| parse(text, &url(from)).unwrap_err();
        assert!(why("a=1; Domain=co.uk", "http://x.co.uk/").contains("co.uk"));
        assert!(why("a=1; Domain=other.example", "http://x.example/").contains("omain"));
        assert!(why("a=1; Secure", "http://x.example/").contains("https"));
        assert!(why("__Secure-a=1", "https://x.example/").contains("__Secure-"));
        assert!(why("__host-a=1; Secure; Path=/; Domain=x.example", "https://x.example/").contains("__Host-"));
        assert!(why("__Host-a=1; Secure", "https://x.example/").contains("__Host-"));
        assert!(why("a=1\r\nX: y", "https://x.example/").contains("control"));
        assert!(why(&format!("a={}", "x".repeat(MAX_COOKIE_BYTES)), "http://x.example/").contains("4096"));
        assert!(why(&format!("a=1; x={}", "x".repeat(MAX_HEADER_BYTES)), "http://x.example/").contains("8192"));
        assert!(parse("", &url("http://x.example/")).is_err() && parse(";;", &url("http://x.example/")).is_err());
        assert!(parse("__Host-a=1; Secure; Path=/", &url("https://x.example/")).is_ok());
        assert!(parse("a=1; Secure", &url("http://127.0.0.1/")).is_ok());
    }

    #[test]
    fn a_host_that_is_a_public_suffix_keeps_its_own() {
        let mut jar = Jar::default();
        set(&mut jar, "http://github.io/", &["a=1; Domain=github.io"]);
        assert_eq!(sent(&jar, "http://github.io/"), "a=1");
        assert_eq!(sent(&jar, "http://somebody.github.io/"), "");
    }

    #[test]
    fn secure_cookies_are_neither_sent_nor_replaced_in_the_clear() {
        let mut jar = Jar::default();
        set(&mut jar, "https://x.example/", &["a=secret; Secure"]);
        assert_eq!(sent(&jar, "http://x.example/"), "");
        set(&mut jar, "http://x.example/", &["a=forged", "a=forged; Path=/deeper"]);
        assert_eq!(sent(&jar, "https://x.example/deeper/"), "a=secret");
    }

    #[test]
    fn there_is_a_limit_for_a_domain_and_for_all() {
        let mut jar = Jar::default();
        for number in 0..MAX_PER_DOMAIN + 10 {
            set(&mut jar, "http://x.example/", &[&format!("c{number}=1")]);
        }
        let header = sent(&jar, "http://x.example/");
        assert_eq!(header.split("; ").count(), MAX_PER_DOMAIN);
        assert!(!header.contains("c9=") && header.contains("c10=") && header.contains("c59="), "{header}");
        for host in 0..MAX_COOKIES / MAX_PER_DOMAIN + 2 {
            let cookies: Vec<_> = (0..MAX_PER_DOMAIN).map(|number| format!("c{number}=1")).collect();
            set(&mut jar, &format!("http://h{host}.example/"), &cookies.iter().map(String::as_str).collect::<Vec<_>>());
        }
        assert_eq!(jar.store.iter_any().count(), MAX_COOKIES);
        assert_eq!(sent(&jar, "http://x.example/"), "");
    }

    #[test]
    fn what_is_sent_is_bounded() {
        let mut jar = Jar::default();
        let cookies: Vec<_> = (0..MAX_PER_DOMAIN).map(|number| format!("c{number}={}", "x".repeat(4000))).collect();
        set(&mut jar, "http://x.example/", &cookies.iter().map(String::as_str).collect::<Vec<_>>());
        assert!((MAX_SENT_BYTES - 4100..=MAX_SENT_BYTES + 100).contains(&sent(&jar, "http://x.example/").len()));
    }

    #[test]
    fn a_file_holds_what_outlives_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cookies");
        let mut jar = Jar::open(Some(&file)).unwrap();
        assert!(jar.take_changes().is_none());
        let kept = [
            "kept=1; Max-Age=1000; HttpOnly",
            "wide=\"x y\"; Domain=example.com; Path=/; Expires=Fri, 31 Dec 2100 23:59:59 GMT",
            "safe=a=b; Secure; Max-Age=1000; Path=/p",
        ];
        set(&mut jar, "https://www.example.com/a/b", &kept);
        set(&mut jar, "https://www.example.com/a/b", &["session=1"]);
        set(&mut jar, "https://[::1]/", &["six=1; Max-Age=1000"]);
        assert_eq!(jar.save_at(), Some(SAVE_DELAY));
        let (path, bytes) = jar.take_changes().unwrap();
        assert!(jar.save_at().is_none() && jar.take_changes().is_none());
        fs::write(&path, bytes).unwrap();

        let mut again = Jar::open(Some(&file)).unwrap();
        assert_eq!(sent(&again, "https://www.example.com/a/"), "kept=1; wide=\"x y\"");
        assert_eq!(sent(&again, "https://www.example.com/p"), "safe=a=b; wide=\"x y\"");
        assert_eq!(sent(&again, "https://example.com/a/"), "wide=\"x y\"");
        assert_eq!(sent(&again, "https://[::1]/"), "six=1");
        let http_only = again.store.iter_any().filter(|cookie| cookie.http_only() == Some(true)).count();
        assert_eq!(http_only, 1);
        again.clear(Duration::ZERO);
        let (_, bytes) = again.take_changes().unwrap();
        assert!(!String::from_utf8(bytes).unwrap().contains("example"));
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
        assert!(refused(folder.path().join("missing/cookies")).contains("a folder that exists"));
        let junk = folder.path().join("junk");
        let lines = "# HTTP Cookie File\n\nx\ta\tb\n\tTRUE\t/\tFALSE\t99999999999\ta\tb\n#comment\n\
                     x.example\tFALSE\t/\tFALSE\t1\told\t1\nx.example\tFALSE\t/\tFALSE\t99999999999\tgood\t1\n\
                     co.uk\tTRUE\t/\tFALSE\t99999999999\twide\t1\nx.example\tFALSE\t/\tFALSE\tnever\tbad\t1\n\u{1}\n";
        fs::write(&junk, lines).unwrap();
        let jar = Jar::open(Some(&junk)).unwrap();
        assert_eq!(sent(&jar, "http://x.example/"), "good=1");
        assert_eq!(jar.store.iter_any().count(), 2, "co.uk keeps one for itself alone");
    }
}
