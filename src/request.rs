//! What a request is: its parts, their validation and their defaults.

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use encoding_rs::Encoding;
use url::Url;

use crate::body::form::{Form, FormPart};
use crate::body::integrity::{Expected, parse_sha256};
use crate::body::{charset, content_type};
use crate::config::check_proxy;
use crate::error::{Reason, Refusal};
use crate::event::BodyKind;
use crate::files;
use crate::headers::Headers;
use crate::text::Text;

/// The longest name of a network interface that libcurl takes.
const MAX_ZONE_BYTES: usize = 15;
/// The longest URL, in bytes after encoding.
pub const MAX_URL_BYTES: usize = 64 << 10;
/// The most text in a request's headers, in bytes.
pub const MAX_HEADER_BYTES: usize = 256 << 10;
/// The longest method, in bytes.
const MAX_METHOD_BYTES: usize = 64;
/// The most redirects that a request can ask to follow.
const MAX_REDIRECTS: u32 = 100;

/// The smallest and the largest window of a stream, in bytes.
const MIN_STREAM_WINDOW: u32 = 16 << 10;
const MAX_STREAM_WINDOW: u32 = 1 << 30;
/// The most attempts that a request can ask for.
const MAX_ATTEMPTS: u32 = 100;

/// Which way a request's BEGAN and PROGRESS events look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// None are sent.
    #[default]
    None,
    /// They tell of the response's body.
    Download,
    /// They tell of the request's body.
    Upload,
}

/// Which waiting request starts first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before every waiting normal request.
    High,
    /// Most requests.
    #[default]
    Normal,
    /// After every waiting normal request; each ten seconds of waiting lift a request by one level.
    Low,
}

/// A directory that file names can be relative to, given in the client's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BaseDirectory {
    /// None: the name is a path of the operating system.
    #[default]
    None,
    /// What the user makes and keeps.
    Documents,
    /// What may vanish at any time.
    Temporary,
    /// What can be fetched again.
    Caches,
    /// What the game keeps for itself.
    ApplicationSupport,
    /// What came with the game; only read.
    Resource,
}

/// Which HTTP versions a request may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    #[default]
    Default,
    /// HTTP/1.1 only.
    Http11,
    /// HTTP/2 also without TLS.
    Http2PriorKnowledge,
}

/// How a request uses the client's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// By the rules of HTTP: what is fresh answers, what is stale is asked about.
    #[default]
    Default,
    /// Neither answered by it nor kept.
    NoStore,
    /// Not answered by it, but kept.
    Reload,
    /// Asked about even if it is fresh.
    Revalidate,
    /// Answered by it, fresh or stale, or not at all.
    OnlyIfCached,
    /// Answered by it, fresh or stale, if there is something.
    Force,
}

/// A time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// The client's.
    #[default]
    Default,
    /// None.
    Never,
    /// This long.
    After(Duration),
}

impl Limit {
    /// This limit, or another where it says so.
    pub(crate) fn or(self, default: Limit) -> Limit {
        if self == Limit::Default { default } else { self }
    }

    pub(crate) fn duration(self) -> Option<Duration> {
        match self {
            Limit::After(duration) => Some(duration),
            Limit::Default | Limit::Never => None,
        }
    }
}

/// How many bytes of bodies may go over the wire in a second; 0 sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of responses.
    pub receive: u64,
    /// Of requests.
    pub send: u64,
}

/// Whether and when a request that failed is made again.
///
/// What is safe is: an idempotent method (GET, HEAD, PUT, DELETE, OPTIONS), or any if nothing can have reached the server.
/// It is made again after a failed connection, a connect or stall limit, an attempt's own time limit, and the statuses 408,
/// 429, 500, 502, 503 and 504; after a random time of up to `delay`, doubled with each attempt up to `max_delay`, or as the
/// response's Retry-After says if that is longer. The request's total time limit spans all attempts: when it would run out
/// in the wait, the request ends with what the last attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How many attempts there may be; 1 means that nothing is made again. At most 100.
    pub max_attempts: u32,
    /// The longest wait after the first attempt.
    pub delay: Duration,
    /// The longest wait after any, Retry-After aside.
    pub max_delay: Duration,
    /// The time limit of one attempt.
    pub attempt_timeout: Limit,
    /// Make methods again that are not idempotent, such as POST.
    pub any_method: bool,
    /// Send an event for each attempt that is followed by another.
    pub events: bool,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_attempts: 1,
            delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            attempt_timeout: Limit::Never,
            any_method: false,
            events: false,
        }
    }
}

/// Bytes that can be sent without a copy.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A file and the directory that it is relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    pub(crate) directory: BaseDirectory,
    pub(crate) path: PathBuf,
}

impl FileName {
    /// A name below a base directory, or a path of the operating system.
    ///
    /// A name below a base directory has to be one on every system: what Windows cannot have or takes for a device is
    /// refused everywhere.
    ///
    /// # Errors
    /// [`Reason::Path`] for a name that is empty, has no last part, holds a NUL, or would leave its base directory; for one
    /// that Windows cannot have, below a base directory or on Windows.
    pub fn new(path: impl Into<PathBuf>, directory: BaseDirectory) -> Result<FileName, Refusal> {
        let path = path.into();
        let shown = path.display();
        let refuse = |what: &str| Err(Refusal::new(Reason::Path, format!("file name '{shown}' {what}")));
        if path.as_os_str().is_empty() {
            return Err(Refusal::new(Reason::Path, "file name is empty"));
        }
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return refuse("holds a NUL");
        }
        if path.file_name().is_none() || ends_with_separator(&path) {
            return refuse("names a directory, not a file");
        }
        if directory != BaseDirectory::None {
            let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
            if !path.components().all(inside) {
                return refuse("would leave its base directory");
            }
        }
        if (directory != BaseDirectory::None || cfg!(windows))
            && let Some(flaw) = normal_parts(&path).find_map(files::flaw)
        {
            return refuse(&flaw);
        }
        if directory != BaseDirectory::None {
            return Ok(FileName { directory, path: normal_parts(&path).collect() });
        }
        // The host may change its working directory before the file is opened.
        match std::path::absolute(&path) {
            Ok(path) => Ok(FileName { directory, path }),
            Err(error) => refuse(&format!("cannot be made a full path: {error}")),
        }
    }

    /// Refuses a file that is not the program's to write.
    pub(crate) fn check_target(&self) -> Result<(), Refusal> {
        let refuse =
            |what: &str| Err(Refusal::new(Reason::Path, format!("file name '{}' {what}", self.path.display())));
        if self.directory == BaseDirectory::Resource {
            return refuse("lies in the resource directory, which is read-only");
        }
        if self.path.file_name().is_some_and(files::is_own) {
            return refuse("has an extension that begins with .sortie-, as only Sortie's own files may");
        }
        Ok(())
    }
}

/// The parts of a path that are names.
fn normal_parts(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    })
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator(char::from(*last)))
}

/// What a request sends.
#[derive(Clone, Default)]
pub(crate) enum RequestBody {
    #[default]
    None,
    Bytes(SharedBytes),
    File(FileName),
    Form(Arc<Form>),
    /// Handed over while it is sent: its length if that is known, and how much may wait.
    Stream(Option<u64>, u32),
}

/// Who the request is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Credentials {
    #[default]
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer(String),
}

/// A request. Only the URL has to be given; every setter says what it refuses.
///
/// ```
/// # fn main() -> Result<(), sortie::Refusal> {
/// let request = sortie::Request::get("https://example.com/scores")?.header("Accept", "application/json")?.user_data(7);
/// # drop(request);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Request {
    // In a box, so that setters move a pointer.
    pub(crate) parts: Box<RequestParts>,
}

/// What a request says.
#[derive(Clone)]
pub(crate) struct RequestParts {
    pub(crate) url: Url,
    /// On which network interface its host is, if it says so: "eth0" in `http://[fe80::1%25eth0]/`.
    pub(crate) zone: Option<Box<str>>,
    /// The URL as given, but for credentials, if it reads otherwise.
    pub(crate) requested: Option<Text>,
    /// `None`: GET, or POST with a body.
    pub(crate) method: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) body: RequestBody,
    pub(crate) body_kind: BodyKind,
    pub(crate) raw_text: bool,
    pub(crate) response_file: Option<FileName>,
    pub(crate) progress: Progress,
    pub(crate) priority: Priority,
    pub(crate) user_data: u64,
    pub(crate) follow_redirects: bool,
    pub(crate) insecure_redirects: bool,
    pub(crate) max_redirects: u32,
    pub(crate) http_version: HttpVersion,
    pub(crate) timeout: Limit,
    pub(crate) connect_timeout: Limit,
    pub(crate) stall_timeout: Limit,
    pub(crate) queue_timeout: Limit,
    pub(crate) max_body_bytes: Option<u64>,
    pub(crate) max_file_bytes: Option<u64>,
    pub(crate) gzip: bool,
    pub(crate) sync: bool,
    pub(crate) credentials: Credentials,
    pub(crate) cookies: bool,
    pub(crate) cache_mode: CacheMode,
    pub(crate) expected: Expected,
    pub(crate) retry: Retry,
    pub(crate) resume: bool,
    pub(crate) stream_window: Option<u32>,
    pub(crate) rates: Rates,
    pub(crate) min_speed: MinSpeed,
    /// Its own proxy's URL, empty for none; `None` for the client's.
    pub(crate) proxy: Option<CString>,
}

/// How many bytes of bodies have to move in a second, on average over each period, once there is a connection. Time in which
/// the transfer waits for the program, its disk, or its own limits does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinSpeed {
    /// The bytes, both ways together; 0 for the client's, or any.
    pub bytes_per_second: u64,
    /// The period; by default the client's, which is 30 s by default. Without one, no speed is too low.
    pub period: Limit,
}

impl MinSpeed {
    const SHORTEST: Duration = Duration::from_millis(100);

    /// Refuses a period that is too short to measure a speed.
    pub(crate) fn check(self) -> Result<(), Refusal> {
        match self.period.duration() {
            Some(period) if period < MinSpeed::SHORTEST => {
                let message = format!("min_speed_period_ms is {}, it must be 100 or more", period.as_millis());
                Err(Refusal::new(Reason::Argument, message))
            }
            _ => Ok(()),
        }
    }

    /// The speed and the period in force, if there is any, where `client` is the client's.
    pub(crate) fn or(self, client: MinSpeed) -> Option<(u64, Duration)> {
        let own = (self.bytes_per_second > 0).then_some(self.bytes_per_second);
        let speed = own.unwrap_or(client.bytes_per_second);
        Some((speed, self.period.or(client.period).duration()?)).filter(|(speed, _)| *speed > 0)
    }
}

impl Request {
    /// The window of a stream that does not say, in bytes.
    pub const DEFAULT_STREAM_WINDOW: u32 = 256 << 10;

    /// How many redirects a request follows if it does not say.
    pub const DEFAULT_MAX_REDIRECTS: u32 = 20;

    /// A GET request, or POST once it has a body.
    ///
    /// # Errors
    /// [`Reason::Url`] for a URL that is empty, malformed or too long, [`Reason::Scheme`] for one that is neither http
    /// nor https.
    pub fn get(url: &str) -> Result<Request, Refusal> {
        let given = url;
        let (without_zone, zone) = take_zone(given)?;
        let mut url = parse_url(&without_zone)?;
        let credentials = take_credentials(&mut url)?;
        let shown = match credentials {
            Credentials::None => given.into(),
            _ => Cow::from(with_zone(url.as_str(), zone.as_deref()).into_owned()),
        };
        url.set_fragment(None);
        let requested = (shown != url.as_str()).then(|| Text::from(&*shown));
        let parts = RequestParts {
            url,
            zone,
            requested,
            method: None,
            headers: Headers::new(),
            body: RequestBody::None,
            body_kind: BodyKind::Default,
            raw_text: false,
            response_file: None,
            progress: Progress::None,
            priority: Priority::Normal,
            user_data: 0,
            follow_redirects: true,
            insecure_redirects: false,
            max_redirects: Request::DEFAULT_MAX_REDIRECTS,
            http_version: HttpVersion::Default,
            timeout: Limit::Default,
            connect_timeout: Limit::Default,
            stall_timeout: Limit::Default,
            queue_timeout: Limit::Default,
            max_body_bytes: None,
            max_file_bytes: None,
            gzip: false,
            sync: true,
            credentials,
            cookies: true,
            cache_mode: CacheMode::Default,
            expected: Expected::default(),
            retry: Retry::default(),
            resume: false,
            stream_window: None,
            rates: Rates::default(),
            min_speed: MinSpeed::default(),
            proxy: None,
        };
        Ok(Request { parts: Box::new(parts) })
    }

    /// A request with any method, sent as given.
    ///
    /// # Errors
    /// As [`Request::get`]; [`Reason::Method`] for a method that is not a token, or CONNECT or TRACE.
    pub fn new(method: &str, url: &str) -> Result<Request, Refusal> {
        Request::get(url)?.method(method)
    }

    /// Sets the method.
    ///
    /// # Errors
    /// [`Reason::Method`] for a method that is not a token, longer than 64 bytes, or CONNECT or TRACE.
    pub fn method(mut self, method: &str) -> Result<Request, Refusal> {
        check_method(method)?;
        self.parts.method = Some(method.to_owned());
        Ok(self)
    }

    /// Adds a header. A Content-Length is ignored: the library sends it.
    ///
    /// # Errors
    /// [`Reason::Header`] for a name that is not a token, a value with a control character, Transfer-Encoding, or more than
    /// 256 KiB of headers in all.
    pub fn header(mut self, name: &str, value: &str) -> Result<Request, Refusal> {
        add_header(&mut self.parts.headers, name, value)?;
        Ok(self)
    }

    /// Sends bytes as the body: a `Vec<u8>`, a `String`, a `&'static [u8]`, anything that gives bytes.
    #[must_use]
    pub fn body(self, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Request {
        self.shared_body(Arc::new(bytes))
    }

    /// Sends bytes that others hold as well.
    #[must_use]
    pub fn shared_body(mut self, bytes: SharedBytes) -> Request {
        self.parts.body = RequestBody::Bytes(bytes);
        self
    }

    /// Sends a file as the body.
    #[must_use]
    pub fn body_file(mut self, file: FileName) -> Request {
        self.parts.body = RequestBody::File(file);
        self
    }

    /// Sends a form as multipart/form-data. The bytes of its parts are copied, its files read while it is sent.
    ///
    /// # Errors
    /// [`Reason::Argument`] for a part without a name or more than 10,000 parts, [`Reason::Header`] for a content type that
    /// cannot be sent, [`Reason::BodyTooLarge`] if memory cannot hold its bytes, [`Reason::System`] if the system gives no
    /// randomness for the boundary.
    pub fn form(mut self, parts: &[FormPart<'_>]) -> Result<Request, Refusal> {
        self.parts.body = RequestBody::Form(Arc::new(Form::new(parts)?));
        Ok(self)
    }

    /// Sends what the program hands over by [`Client::write_body`](crate::Client::write_body) while the request runs, as long
    /// as `length` says or until [`Client::finish_body`](crate::Client::finish_body). At most `window` bytes wait to be sent.
    ///
    /// What is sent is gone: such a request is neither made again nor follows a redirect that asks for its body.
    ///
    /// # Errors
    /// [`Reason::Argument`] for a window below 16 KiB or above 1 GiB.
    pub fn stream_body(mut self, length: Option<u64>, window: u32) -> Result<Request, Refusal> {
        check_window(window)?;
        self.parts.body = RequestBody::Stream(length, window);
        Ok(self)
    }

    /// Whether the body, in memory or a file, is compressed by gzip before it is sent.
    #[must_use]
    pub fn gzip_body(mut self, gzip: bool) -> Request {
        self.parts.gzip = gzip;
        self
    }

    /// Says what the body is: by default text in memory, bytes in a file. Without a Content-Type header it decides that.
    ///
    /// [`BodyKind::Text`] also sees to the charset: a Content-Type that names none gets `; charset=UTF-8`, and the body,
    /// which must be UTF-8, is sent in the charset that it names.
    #[must_use]
    pub fn body_kind(mut self, kind: BodyKind) -> Request {
        self.parts.body_kind = kind;
        self
    }

    /// Whether the text of a response is handed over as it came. By default it is made UTF-8.
    #[must_use]
    pub fn raw_text(mut self, raw: bool) -> Request {
        self.parts.raw_text = raw;
        self
    }

    /// Whether cookies are sent with the request, and kept from its response. They are by default, unless a Cookie header is
    /// given, which is then sent alone.
    #[must_use]
    pub fn cookies(mut self, cookies: bool) -> Request {
        self.parts.cookies = cookies;
        self
    }

    /// Sends this request through a proxy of its own, on every hop, or past any if that is "".
    ///
    /// # Errors
    /// [`Reason::Argument`] for what is no URL of a proxy.
    pub fn proxy(mut self, url: &str) -> Result<Request, Refusal> {
        if !url.is_empty() {
            check_proxy(url)?;
        }
        let proxy = CString::new(url);
        self.parts.proxy = Some(proxy.map_err(|_| Refusal::new(Reason::Argument, "proxy holds a NUL"))?);
        Ok(self)
    }

    /// Says how to use the client's cache, if it has one.
    #[must_use]
    pub fn cache_mode(mut self, mode: CacheMode) -> Request {
        self.parts.cache_mode = mode;
        self
    }

    /// Writes the body of a 2xx response to a file, which appears under its name only when it is whole.
    ///
    /// # Errors
    /// [`Reason::Path`] for a file below the resource directory, or one whose extension begins with `.sortie-`, as those of
    /// Sortie's own files do.
    pub fn response_file(mut self, file: FileName) -> Result<Request, Refusal> {
        file.check_target()?;
        self.parts.response_file = Some(file);
        Ok(self)
    }

    /// Sets whether and when the request is made again.
    ///
    /// # Errors
    /// [`Reason::Argument`] for `max_attempts` of 0 or over 100.
    pub fn retry(mut self, retry: Retry) -> Result<Request, Refusal> {
        if !(1..=MAX_ATTEMPTS).contains(&retry.max_attempts) {
            let message = format!("max_attempts is {}, it must be 1 to {MAX_ATTEMPTS}", retry.max_attempts);
            return Err(Refusal::new(Reason::Argument, message));
        }
        self.parts.retry = retry;
        Ok(self)
    }

    /// Says how long the body of a 2xx response has to be, in bytes after decompression. Another length ends the request with
    /// INTEGRITY, as soon as it shows.
    #[must_use]
    pub fn expected_length(mut self, length: u64) -> Request {
        self.parts.expected.length = Some(length);
        self
    }

    /// Says what SHA-256 the body of a 2xx response has to have, after decompression, as 64 hexadecimal digits. Another one
    /// ends the request with INTEGRITY, without a body or a file.
    ///
    /// # Errors
    /// [`Reason::Argument`] for anything but 64 hexadecimal digits.
    pub fn expected_sha256(mut self, digits: &str) -> Result<Request, Refusal> {
        let hash = parse_sha256(digits);
        self.parts.expected.sha256 = Some(hash.ok_or_else(|| {
            let shown = digits.escape_default();
            Refusal::new(Reason::Argument, format!("expected_sha256 '{shown}' is not 64 hexadecimal digits"))
        })?);
        Ok(self)
    }

    /// Whether a file that breaks off stays beside its target, so that a later request for the same URL and file goes on with
    /// it. For GET into a file, without a Range of one's own.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Request {
        self.parts.resume = resume;
        self
    }

    /// Hands the response's body over as it comes, in Data events. While those that are not let go of hold more than
    /// `window` bytes, nothing more is received.
    ///
    /// # Errors
    /// [`Reason::Argument`] for a window below 16 KiB or above 1 GiB.
    pub fn stream_response(mut self, window: u32) -> Result<Request, Refusal> {
        check_window(window)?;
        self.parts.stream_window = Some(window);
        Ok(self)
    }

    /// Limits how fast the bodies go. What comes is taken in pieces of up to 16 KiB, and so is the waiting for the next.
    #[must_use]
    pub fn rates(mut self, rates: Rates) -> Request {
        self.parts.rates = rates;
        self
    }

    /// Asks for BEGAN and PROGRESS events.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Request {
        self.parts.progress = progress;
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Request {
        self.parts.priority = priority;
        self
    }

    /// Sets a number that comes back in each of the request's events.
    #[must_use]
    pub fn user_data(mut self, user_data: u64) -> Request {
        self.parts.user_data = user_data;
        self
    }

    /// Whether to follow redirects, as is the default, or to hand over the 3xx response.
    #[must_use]
    pub fn follow_redirects(mut self, follow: bool) -> Request {
        self.parts.follow_redirects = follow;
        self
    }

    /// Whether to follow redirects from https to http as well.
    #[must_use]
    pub fn insecure_redirects(mut self, allow: bool) -> Request {
        self.parts.insecure_redirects = allow;
        self
    }

    /// Sets how many redirects to follow.
    ///
    /// # Errors
    /// [`Reason::Argument`] for more than 100.
    pub fn max_redirects(mut self, count: u32) -> Result<Request, Refusal> {
        if count > MAX_REDIRECTS {
            let message = format!("max_redirects is {count}, the limit is {MAX_REDIRECTS}");
            return Err(Refusal::new(Reason::Argument, message));
        }
        self.parts.max_redirects = count;
        Ok(self)
    }

    /// Sets which HTTP versions may be used.
    #[must_use]
    pub fn http_version(mut self, version: HttpVersion) -> Request {
        self.parts.http_version = version;
        self
    }

    /// Limits the time from start to end, waiting in the queue aside.
    #[must_use]
    pub fn timeout(mut self, limit: Limit) -> Request {
        self.parts.timeout = limit;
        self
    }

    /// Limits the time that a connection may take to be made.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Limit) -> Request {
        self.parts.connect_timeout = limit;
        self
    }

    /// Limits the time in which no byte moves.
    #[must_use]
    pub fn stall_timeout(mut self, limit: Limit) -> Request {
        self.parts.stall_timeout = limit;
        self
    }

    /// Ends the request when it is slower than that, with STALLED.
    ///
    /// # Errors
    /// [`Reason::Argument`] for a period below 100 ms.
    pub fn min_speed(mut self, min_speed: MinSpeed) -> Result<Request, Refusal> {
        min_speed.check()?;
        self.parts.min_speed = min_speed;
        Ok(self)
    }

    /// Limits the time in the queue.
    #[must_use]
    pub fn queue_timeout(mut self, limit: Limit) -> Request {
        self.parts.queue_timeout = limit;
        self
    }

    /// Limits the response's body in memory, in bytes after decompression.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: u64) -> Request {
        self.parts.max_body_bytes = Some(bytes);
        self
    }

    /// Limits the response's body in a file, in bytes after decompression.
    #[must_use]
    pub fn max_file_bytes(mut self, bytes: u64) -> Request {
        self.parts.max_file_bytes = Some(bytes);
        self
    }

    /// Whether a downloaded file is forced to the disk before it takes its name, as is the default.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Request {
        self.parts.sync = sync;
        self
    }

    /// Sends a name and a password by basic authentication, with the first request.
    ///
    /// # Errors
    /// [`Reason::Argument`] for a name with ':', or control characters in either.
    pub fn basic_auth(mut self, username: &str, password: &str) -> Result<Request, Refusal> {
        if username.contains(':') {
            return Err(Refusal::new(Reason::Argument, "username has a ':', which basic authentication cannot send"));
        }
        if username.chars().chain(password.chars()).any(char::is_control) {
            return Err(Refusal::new(Reason::Argument, "username or password has a control character"));
        }
        self.parts.credentials = Credentials::Basic { username: username.to_owned(), password: password.to_owned() };
        Ok(self)
    }

    /// Sends a bearer token.
    ///
    /// # Errors
    /// [`Reason::Argument`] for a token that is empty or has a space or control character.
    pub fn bearer_token(mut self, token: &str) -> Result<Request, Refusal> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::new(
                Reason::Argument,
                "bearer_token is empty or has a character that a token cannot have",
            ));
        }
        self.parts.credentials = Credentials::Bearer(token.to_owned());
        Ok(self)
    }
}

impl RequestParts {
    /// The charset that the Content-Type of a text body names.
    fn text_charset(&self) -> Option<String> {
        let is_text = self.body_kind == BodyKind::Text && !matches!(self.body, RequestBody::None);
        self.headers.get("Content-Type").filter(|_| is_text).and_then(content_type::charset_of)
    }

    /// What its text has to be written in, if not in UTF-8.
    pub(crate) fn text_encoding(&self) -> Option<&'static Encoding> {
        self.text_charset().and_then(|label| charset::target(&label))
    }

    /// The method that will be sent.
    pub(crate) fn method_or_default(&self) -> &str {
        match (&self.method, &self.body) {
            (Some(method), _) => method,
            (None, RequestBody::None) => "GET",
            (None, _) => "POST",
        }
    }

    fn check_resume(&self) -> Result<(), Refusal> {
        let refuse = |what| Err(Refusal::new(Reason::Argument, format!("a request that resumes {what}")));
        if self.response_file.is_none() {
            return refuse("needs a response file");
        }
        if self.method_or_default() != "GET" || !matches!(self.body, RequestBody::None) {
            return refuse("must be GET without a body");
        }
        if ["Range", "If-Range"].iter().any(|name| self.headers.get(name).is_some()) {
            return refuse("cannot have a Range or If-Range header of its own");
        }
        Ok(())
    }

    /// Checks what only the whole request shows.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.method_or_default() == "HEAD" && !matches!(self.body, RequestBody::None) {
            return Err(Refusal::new(Reason::Argument, "a HEAD request cannot have a body"));
        }
        if self.stream_window.is_some() && self.response_file.is_some() {
            return Err(Refusal::new(Reason::Argument, "a response is either streamed or written to a file"));
        }
        if self.resume {
            self.check_resume()?;
        }
        if let RequestBody::Form(_) = self.body
            && (self.body_kind != BodyKind::Default || self.headers.get("Content-Type").is_some())
        {
            return Err(Refusal::new(Reason::Argument, "a form has a Content-Type of its own, and no body_kind"));
        }
        if let (RequestBody::Stream(..), BodyKind::Text) = (&self.body, self.body_kind) {
            let what = "a streamed body is sent as it is handed over, which body_kind text does not go with";
            return Err(Refusal::new(Reason::Argument, what));
        }
        if self.gzip {
            let refuse = |what: &str| Err(Refusal::new(Reason::Argument, what));
            match self.body {
                RequestBody::None => return refuse("the body is to be compressed, but there is none"),
                RequestBody::Form(_) => return refuse("a form cannot be compressed"),
                RequestBody::Stream(..) => return refuse("a streamed body cannot be compressed"),
                RequestBody::Bytes(_) | RequestBody::File(_) => {}
            }
            if self.headers.get("Content-Encoding").is_some() {
                return refuse("the body is to be compressed, but a Content-Encoding header says that it is");
            }
        }
        if let Some(label) = self.text_charset().filter(|label| !charset::is_known(label)) {
            let message = format!("Content-Type: charset '{}' is none that can be written", label.escape_default());
            return Err(Refusal::new(Reason::Argument, message));
        }
        Ok(())
    }
}

fn check_window(window: u32) -> Result<(), Refusal> {
    if (MIN_STREAM_WINDOW..=MAX_STREAM_WINDOW).contains(&window) {
        return Ok(());
    }
    let message = format!("stream_window_bytes is {window}, it must be {MIN_STREAM_WINDOW} to {MAX_STREAM_WINDOW}");
    Err(Refusal::new(Reason::Argument, message))
}

impl fmt::Debug for Request {
    /// Shows neither headers nor body nor query, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, origin) = (self.parts.method_or_default(), self.parts.url.origin().ascii_serialization());
        write!(f, "Request({method} {origin}{})", self.parts.url.path())
    }
}

/// Parses an absolute http or https URL as browsers do, and refuses what they would silently drop.
pub(crate) fn parse_url(text: &str) -> Result<Url, Refusal> {
    let refuse = |reason, message: String| Err(Refusal::new(reason, message));
    if text.is_empty() {
        return refuse(Reason::Url, "URL is empty".into());
    }
    if text.len() > MAX_URL_BYTES {
        return refuse(Reason::Url, format!("URL is {} bytes long, the limit is {MAX_URL_BYTES}", text.len()));
    }
    // Those of ASCII first, which is what URLs are made of.
    let is_plain = text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    if !is_plain && let Some(control) = text.chars().find(|c| c.is_control()) {
        return refuse(Reason::Url, format!("URL has the control character U+{:04X}", u32::from(control)));
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return refuse(Reason::Url, "URL is not absolute: it must start with http:// or https://".into());
        }
        Err(error) => return refuse(Reason::Url, format!("URL is malformed: {error}")),
    };
    check_scheme(&url)?;
    let after_scheme = text.trim_start().get(url.scheme().len()..).unwrap_or("");
    if !after_scheme.starts_with("://") {
        return refuse(Reason::Url, format!("URL must have // after {}:", url.scheme()));
    }
    if url.as_str().len() > MAX_URL_BYTES {
        let length = url.as_str().len();
        return refuse(Reason::Url, format!("URL is {length} bytes long when encoded, the limit is {MAX_URL_BYTES}"));
    }
    Ok(url)
}

/// Takes the zone out of a URL's address, escaped as RFC 6874 has it or not: `[fe80::1%25eth0]`, `[fe80::1%eth0]`. The URL
/// standard knows none, since it means something on this machine alone.
fn take_zone(text: &str) -> Result<(Cow<'_, str>, Option<Box<str>>), Refusal> {
    let none = Ok((text.into(), None));
    // Few URLs have such an address, and each submit comes here.
    if !text.as_bytes().contains(&b'[') {
        return none;
    }
    let Some((scheme, rest)) = text.split_once("://") else { return none };
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let start = authority.rfind('@').map_or(0, |at| at + 1);
    let host = authority.get(start..).unwrap_or_default();
    let Some((inside, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) else { return none };
    let Some((address, escaped)) = inside.split_once('%') else { return none };
    // As libcurl reads it: "%25" alone is the interface with the number 25.
    let zone = escaped.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(escaped);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !(1..=MAX_ZONE_BYTES).contains(&zone.len()) || !zone.bytes().all(fits) {
        let message = format!(
            "URL has the zone '{}', which must be 1 to {MAX_ZONE_BYTES} letters, digits, '-', '.', '_' or '~'",
            zone.escape_default()
        );
        return Err(Refusal::new(Reason::Url, message));
    }
    let before = scheme.len() + "://[".len() + start + address.len();
    let (before, after) = (text.get(..before).unwrap_or_default(), text.get(before + 1 + escaped.len()..));
    Ok((format!("{before}{}", after.unwrap_or_default()).into(), Some(zone.into())))
}

/// A URL with its zone back in its place.
pub(crate) fn with_zone<'a>(url: &'a str, zone: Option<&str>) -> Cow<'a, str> {
    let Some(zone) = zone else { return url.into() };
    match url.split_once(']') {
        Some((before, after)) => format!("{before}%25{zone}]{after}").into(),
        None => url.into(),
    }
}

/// Refuses every scheme but http and https.
pub(crate) fn check_scheme(url: &Url) -> Result<(), Refusal> {
    if matches!(url.scheme(), "http" | "https") {
        return Ok(());
    }
    let message = format!("URL scheme '{}' is not supported, only http and https", url.scheme());
    Err(Refusal::new(Reason::Scheme, message))
}

/// Moves "user:password@" out of a URL.
pub(crate) fn take_credentials(url: &mut Url) -> Result<Credentials, Refusal> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(Credentials::None);
    }
    let username = percent_decode(url.username())?;
    let password = percent_decode(url.password().unwrap_or(""))?;
    if username.contains(':') || username.chars().chain(password.chars()).any(char::is_control) {
        let message = "URL has a user name with ':' or a control character in user name or password";
        return Err(Refusal::new(Reason::Url, message));
    }
    // Neither can fail: an http or https URL has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(Credentials::Basic { username, password })
}

fn percent_decode(text: &str) -> Result<String, Refusal> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().map(Into::into);
    decoded.map_err(|_| Refusal::new(Reason::Url, "URL has a user name or password that is not UTF-8"))
}

/// Refuses a method that is not a token, and those that make no plain request.
pub(crate) fn check_method(method: &str) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::new(Reason::Method, what));
    if method.is_empty() {
        return refuse("method is empty");
    }
    if method.len() > MAX_METHOD_BYTES {
        return refuse("method is longer than 64 bytes");
    }
    if !is_token(method) {
        return refuse("method has a character that an HTTP token cannot have");
    }
    if ["CONNECT", "TRACE"].iter().any(|refused| method.eq_ignore_ascii_case(refused)) {
        return Err(Refusal::new(Reason::Method, format!("method {method} cannot be sent")));
    }
    Ok(())
}

/// Whether text is an HTTP token: a method or a header's name.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Checks a header and adds it, unless it is one that the library sends itself.
pub(crate) fn add_header(headers: &mut Headers, name: &str, value: &str) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(Reason::Header, message));
    if name.is_empty() {
        return refuse("header name is empty".into());
    }
    if !is_token(name) {
        return refuse(format!(
            "header name '{}' has a character that an HTTP token cannot have",
            name.escape_default()
        ));
    }
    if let Some(bad) = value.chars().find(|c| c.is_ascii_control() && *c != '\t') {
        return refuse(format!("header {name} has the character U+{:04X} in its value", u32::from(bad)));
    }
    if name.eq_ignore_ascii_case("Transfer-Encoding") {
        return refuse("header Transfer-Encoding is the library's to send".into());
    }
    if name.eq_ignore_ascii_case("Content-Length") {
        return Ok(());
    }
    let total: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if total + name.len() + value.len() > MAX_HEADER_BYTES {
        return refuse(format!("headers are larger than the limit of {} KiB", MAX_HEADER_BYTES >> 10));
    }
    headers.push(name, value.trim_matches([' ', '\t']));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_taken_out_of_the_address_and_nothing_else() {
        let taken = |text| {
            let (url, zone) = take_zone(text).unwrap();
            (url.into_owned(), zone.map(String::from))
        };
        for (given, without, zone) in [
            ("http://[fe80::1%25eth0]/a", "http://[fe80::1]/a", Some("eth0")),
            ("http://[fe80::1%eth0]:80", "http://[fe80::1]:80", Some("eth0")),
            ("HTTPS://u:p@[fe80::1%2]?%25", "HTTPS://u:p@[fe80::1]?%25", Some("2")),
            ("http://[fe80::1%25]/", "http://[fe80::1]/", Some("25")),
            ("http://[fe80::1%2525]/", "http://[fe80::1]/", Some("25")),
            ("http://[::1]/[a%25b]", "http://[::1]/[a%25b]", None),
            ("http://host/?[a%25b]", "http://host/?[a%25b]", None),
            ("http://[a%b@host/", "http://[a%b@host/", None),
            ("nothing", "nothing", None),
            ("http://[", "http://[", None),
        ] {
            assert_eq!(taken(given), (without.to_owned(), zone.map(str::to_owned)), "{given}");
        }
        for bad in
            ["http://[fe80::1%]/", "http://[fe80::1%25a b]/", "http://[::1%25%31]/", "http://[::1%sixteen-letters-]/"]
        {
            take_zone(bad).unwrap_err();
        }
        assert_eq!(with_zone("http://[fe80::1]:8/]", Some("a")), "http://[fe80::1%25a]:8/]");
        assert_eq!(with_zone("http://[fe80::1]/", None), "http://[fe80::1]/");
    }

    fn reason<T>(result: Result<T, Refusal>) -> Reason {
        result.err().expect("refused").reason
    }

    #[test]
    fn urls_are_read_as_browsers_do() {
        let url = |text| Request::get(text).unwrap().parts.url.to_string();
        assert_eq!(url("http://example.com"), "http://example.com/");
        assert_eq!(url("https://bücher.example/ä b?q=ö#part"), "https://xn--bcher-kva.example/%C3%A4%20b?q=%C3%B6");
        assert_eq!(url("HTTP://Example.COM:80/a/../b"), "http://example.com/b");
        assert_eq!(url("http://[::1]:8080/"), "http://[::1]:8080/");
    }

    #[test]
    fn bad_urls_are_refused_at_once() {
        for bad in ["http:/", "http://", "//x/", "x", "http://[::1", "http://a b/", "http://x:99999/", "http:x.y"] {
            assert_eq!(reason(Request::get(bad)), Reason::Url, "{bad}");
        }
        for bad in ["", "http://x/\r\nHost: y", "http://x/\t", "http://x/\0", "http://x/\u{7f}"] {
            assert_eq!(reason(Request::get(bad)), Reason::Url, "{bad:?}");
        }
        for bad in ["file:///etc/passwd", "ftp://x/", "mqtt://x/", "data:text/plain,x", "javascript:0"] {
            assert_eq!(reason(Request::get(bad)), Reason::Scheme, "{bad}");
        }
        assert_eq!(reason(Request::get(&format!("http://x/{}", "a".repeat(MAX_URL_BYTES)))), Reason::Url);
        assert_eq!(
            reason(Request::get(&format!("http://x/{}", "ä".repeat(20_000)))),
            Reason::Url,
            "too long once encoded"
        );
    }

    #[test]
    fn credentials_move_out_of_the_url() {
        let request = Request::get("http://us%65r:p%40ss@x/").unwrap();
        assert_eq!(request.parts.url.as_str(), "http://x/");
        assert_eq!(request.parts.credentials, Credentials::Basic { username: "user".into(), password: "p@ss".into() });
        assert_eq!(reason(Request::get("http://a%3Ab:c@x/")), Reason::Url);
        assert_eq!(reason(Request::get("http://a:%0D%0A@x/")), Reason::Url);
        assert_eq!(reason(Request::get("http://%FF@x/")), Reason::Url);
    }

    #[test]
    fn methods_are_tokens() {
        let get = || Request::get("http://x/").unwrap();
        assert_eq!(get().parts.method_or_default(), "GET");
        assert_eq!(get().body("x").parts.method_or_default(), "POST");
        assert_eq!(get().method("PROPFIND").unwrap().parts.method_or_default(), "PROPFIND");
        for bad in ["", "GE T", "GET\r\n", "G\0T", "GÉT", "CONNECT", "trace"] {
            assert_eq!(reason(get().method(bad)), Reason::Method, "{bad:?}");
        }
        assert_eq!(reason(get().method(&"A".repeat(65))), Reason::Method);
        assert!(get().method("HEAD").unwrap().body("x").parts.check().is_err());
    }

    #[test]
    fn headers_cannot_be_injected() {
        let get = || Request::get("http://x/").unwrap();
        for (name, value) in
            [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\ny: z"), ("a", "\n"), ("a", "\u{b}"), ("ä", "x")]
        {
            assert_eq!(reason(get().header(name, value)), Reason::Header, "{name:?} {value:?}");
        }
        assert_eq!(reason(get().header("transfer-encoding", "chunked")), Reason::Header);
        assert!(get().header("Content-Length", "5").unwrap().parts.headers.is_empty());
        assert_eq!(get().header("A", " x\t").unwrap().parts.headers.get("a"), Some("x"));
        assert_eq!(reason(get().header("A", &"x".repeat(MAX_HEADER_BYTES))), Reason::Header);
    }

    #[test]
    fn file_names_stay_in_their_base() {
        let below = |name: &str| FileName::new(name, BaseDirectory::Documents);
        assert!(below("a.txt").is_ok() && below("a/b/c.txt").is_ok() && below("./a").is_ok());
        for bad in ["", "..", "../a", "a/../../b", "/etc/passwd", "a/", ".", "a/.."] {
            assert_eq!(reason(below(bad)), Reason::Path, "{bad:?}");
        }
        assert_eq!(below("./a//b/./c").unwrap().path.as_os_str(), "a/b/c");
        for bad in ["NUL", "a/com1.txt/b", "a:b", "a./b", "a\\b"] {
            assert_eq!(reason(below(bad)), Reason::Path, "{bad:?}");
        }
        assert!(FileName::new("/tmp/x", BaseDirectory::None).is_ok());
        assert!(FileName::new("x", BaseDirectory::None).unwrap().path.is_absolute());
        for ours in ["x.sortie-part", "a/x.SORTIE-resume"] {
            assert!(below(ours).unwrap().check_target().is_err() && below(ours).is_ok(), "{ours}: only read");
        }
        assert_eq!(reason(FileName::new("/", BaseDirectory::None)), Reason::Path);
        let resource = FileName::new("a", BaseDirectory::Resource).unwrap();
        assert_eq!(reason(Request::get("http://x/").unwrap().response_file(resource)), Reason::Path);
    }
}
