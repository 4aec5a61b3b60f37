//! Requests.

use std::rc::{Rc, Weak};

use godot::global::Error;
use godot::prelude::*;
use sortie::{BodyKind, CacheMode, FormPart, HttpVersion, Priority, Progress, Request, RequestId, Retry};

use crate::client::Running;
use crate::files::{self, Source};
use crate::limits::{
    bytes, choice, count, duration, header, int, largest_or_default, limit, limit_or_default, min_speed_or_default,
    rates,
};
use crate::refused::{Refused, outcome};
use crate::response::SortieResponse;

const BODY_KINDS: &[BodyKind] = &[BodyKind::Default, BodyKind::Text, BodyKind::Binary];
const PROGRESS: &[Progress] = &[Progress::None, Progress::Download, Progress::Upload];
const PRIORITIES: &[Priority] = &[Priority::Normal, Priority::High, Priority::Low];
const HTTP_VERSIONS: &[HttpVersion] = &[HttpVersion::Default, HttpVersion::Http11, HttpVersion::Http2PriorKnowledge];
const CACHE_MODES: &[CacheMode] = &[
    CacheMode::Default,
    CacheMode::NoStore,
    CacheMode::Reload,
    CacheMode::Revalidate,
    CacheMode::OnlyIfCached,
    CacheMode::Force,
];

/// A request: what to ask for, and what comes of it.
///
/// Only `url` has to be set. Give it to SortieClient.submit(), then wait for `completed`:
///
/// ```gdscript
/// var request := SortieRequest.new()
/// request.url = "https://example.com/scores"
/// if client.submit(request) == OK:
///     var response: SortieResponse = await request.completed
///     print(response.status, response.text)
/// ```
///
/// The client keeps it alive until then. What is set while it runs counts for the next time that it is submitted, but for
/// `priority` and the rates. In times and sizes, 0 means no limit and -1 means the client's.
#[derive(GodotClass)]
#[class(init, base = RefCounted)]
pub(crate) struct SortieRequest {
    /// An absolute http or https URL. International names and spaces are encoded as browsers do; "user:password@" counts as
    /// `username` and `password`.
    #[var]
    url: GString,
    /// Any HTTP method, sent as given; empty means GET, or POST with a body.
    #[var]
    method: GString,
    /// Request headers, each as "Name: value", as HTTPRequest takes them. Content-Length is ignored, Transfer-Encoding
    /// refused: both are the library's to send.
    #[var]
    headers: PackedStringArray,
    /// The body. See also set_text() and set_json(). A body of many megabytes is better sent from `body_file`: it is copied
    /// when the request is submitted.
    #[var]
    body: PackedByteArray,
    /// A file to send as the body: a path of `user://`, `res://` or the system. Empty means `body`.
    #[var]
    body_file: GString,
    /// The base directory of `body_file`, DIRECTORY_*.
    #[var]
    body_directory: i64,
    /// What the body is, BODY_*. By default bytes, unless set_text() or set_json() was used. It decides the Content-Type of
    /// a request that gives none; BODY_TEXT also sees to the charset.
    #[var]
    body_kind: i64,
    /// The Content-Type header, if not among `headers`.
    #[var]
    content_type: GString,
    /// Send the body compressed, with "Content-Encoding: gzip". Servers have to be set up to take it.
    #[var]
    gzip_body: bool,
    /// The body comes by write_body() while the request runs. What is sent is gone: such a request is neither made again once it
    /// has sent some, nor follows a redirect that asks for its body.
    #[var]
    stream_body: bool,
    /// With `stream_body`: the length of the body in bytes; -1 means that it is not known, and finish_body() ends it.
    #[var]
    #[init(val = -1)]
    body_length: i64,
    /// Whether a form is sent, as multipart/form-data. Adding a part sets it; setting it to false forgets the parts.
    #[var(set)]
    is_form: bool,
    /// A file to write the body of a 2xx response to: a path of `user://`, `res://` or the system. It appears under its
    /// name, or replaces what has that name, only when it is whole. Any other response comes in memory. Empty means memory.
    #[var]
    download_file: GString,
    /// The base directory of `download_file`, DIRECTORY_*. Missing folders below a base are made.
    #[var]
    download_directory: i64,
    /// Keep what has come of `download_file` when the download breaks off, and ask only for the rest when a later request
    /// with this set asks for the same URL and file.
    #[var]
    resume_download: bool,
    /// Whether `download_file` is forced to the disk before it takes its name. Without, many small files are faster, and
    /// one may be empty after a power cut.
    #[var]
    #[init(val = true)]
    sync: bool,
    /// The SHA-256 that the body of a 2xx response has to have, as 64 hexadecimal digits. Another one ends the request with
    /// SortieResponse.ERROR_INTEGRITY, without a body or a file. Empty means any.
    #[var]
    expected_sha256: GString,
    /// The length in bytes that it has to have; -1 means any.
    #[var]
    #[init(val = -1)]
    expected_length: i64,
    /// Of which body `began` and `progress` tell, PROGRESS_*.
    #[var]
    #[init(val = Self::PROGRESS_DOWNLOAD)]
    report_progress: i64,
    /// Hand the response's body over as it comes, by `data`. It is then not in the response.
    #[var]
    stream_response: bool,
    /// With `stream_response`: how many bytes may wait for the next frame before the transfer pauses. With `stream_body`: how
    /// many may be written and not yet sent. From 16384 to 1073741824.
    #[var]
    #[init(val = Request::DEFAULT_STREAM_WINDOW.into())]
    stream_window_bytes: i64,
    /// Whether to follow redirects, or to hand over the 3xx response.
    #[var]
    #[init(val = true)]
    follow_redirects: bool,
    /// Whether to follow redirects from https to http as well.
    #[var]
    insecure_redirects: bool,
    /// How many redirects to follow; at most 100.
    #[var]
    #[init(val = Request::DEFAULT_MAX_REDIRECTS.into())]
    max_redirects: i64,
    /// Which HTTP versions may be used, HTTP_*.
    #[var]
    http_version: i64,
    /// How many seconds the request may take from its start to its end, waiting in the queue aside.
    #[var]
    #[init(val = -1.0)]
    timeout: f64,
    /// How many seconds a connection may take to be made.
    #[var]
    #[init(val = -1.0)]
    connect_timeout: f64,
    /// For how many seconds no byte may move.
    #[var]
    #[init(val = -1.0)]
    stall_timeout: f64,
    /// How many seconds the request may wait in the queue.
    #[var]
    #[init(val = -1.0)]
    queue_timeout: f64,
    /// How many bytes of bodies have to move in a second, both ways together, on average over each `min_speed_period`. Less
    /// ends the request with SortieResponse.ERROR_STALLED.
    #[var]
    #[init(val = -1)]
    min_bytes_per_second: i64,
    /// The period in seconds, at least 0.1.
    #[var]
    #[init(val = -1.0)]
    min_speed_period: f64,
    /// The largest response body in memory, in bytes after decompression.
    #[var]
    #[init(val = -1)]
    max_body_bytes: i64,
    /// The largest response body in a file, in bytes after decompression.
    #[var]
    #[init(val = -1)]
    max_file_bytes: i64,
    /// A proxy for this request alone, as SortieClient.proxy names one. Empty means the client's.
    #[var]
    proxy: GString,
    /// Whether to go without a proxy, whatever the client has.
    #[var]
    bypass_proxy: bool,
    /// The name for basic authentication, sent with the first request.
    #[var]
    username: GString,
    /// The password for basic authentication.
    #[var]
    password: GString,
    /// The token for bearer authentication; not together with `username`.
    #[var]
    bearer_token: GString,
    /// Whether cookies are sent, and kept from the response.
    #[var]
    #[init(val = true)]
    cookies: bool,
    /// How to use the client's cache, if it has one, CACHE_*.
    #[var]
    cache_mode: i64,
    /// Whether the text of a response is handed over as it came, not made UTF-8.
    #[var]
    raw_text: bool,
    /// How many attempts there may be in all, 1 to 100. After a failed connection and the statuses 408, 429, 500, 502, 503
    /// and 504, an idempotent method (GET, HEAD, PUT, DELETE, OPTIONS) is made again; `timeout` spans all attempts.
    #[var]
    #[init(val = 1)]
    max_attempts: i64,
    /// The wait after the first attempt is a random time of up to so many seconds, doubled with each further one. A
    /// Retry-After that is longer counts instead.
    #[var]
    #[init(val = 0.5)]
    retry_delay: f64,
    /// The longest wait in seconds, Retry-After aside.
    #[var]
    #[init(val = 30.0)]
    max_retry_delay: f64,
    /// How many seconds one attempt may take.
    #[var]
    attempt_timeout: f64,
    /// Make methods again that are not idempotent, such as POST.
    #[var]
    retry_any_method: bool,
    /// How many bytes of the response's body may come in a second, on the wire. May be set while the request runs.
    #[var(set)]
    max_receive_bytes_per_second: i64,
    /// How many bytes of the request's body may be sent in a second. May be set while the request runs.
    #[var(set)]
    max_send_bytes_per_second: i64,
    /// Which waiting request starts first, PRIORITY_*. May be set while the request waits.
    #[var(set)]
    priority: i64,
    /// Anything that the game wants to find again with the request.
    #[var]
    user_data: Variant,
    /// Bytes of the body on the wire so far, in the direction of `report_progress`.
    #[var(no_set)]
    bytes_transferred: i64,
    /// Bytes of the body on the wire in all; 0 if there is no body, -1 if unknown.
    #[var(no_set)]
    #[init(val = -1)]
    bytes_estimated: i64,

    parts: Vec<Part>,
    /// While it runs: where, and as which request.
    place: Option<(Weak<Running>, RequestId)>,
    base: Base<RefCounted>,
}

/// A part of a form, as a script gave it.
struct Part {
    name: String,
    content: Content,
    filename: String,
    content_type: String,
}

enum Content {
    Bytes(Vec<u8>),
    File(GString, i64),
}

impl SortieRequest {
    /// A request as the library takes it.
    pub(crate) fn request(&self) -> Result<Request, Refused> {
        let mut request = Request::get(&self.url.to_string())?;
        if !self.method.is_empty() {
            request = request.method(&self.method.to_string())?;
        }
        for line in self.headers.as_slice() {
            let line = line.to_string();
            let (name, value) = header(&line)?;
            request = request.header(name, value)?;
        }
        if !self.content_type.is_empty() {
            request = request.header("Content-Type", &self.content_type.to_string())?;
        }
        request = self.with_body(request)?.gzip_body(self.gzip_body);
        request = self.with_destination(request)?;
        request = self.with_limits(request)?;
        request = self.with_retry(request)?;
        if self.bypass_proxy && !self.proxy.is_empty() {
            return Err(Refused::argument("proxy and bypass_proxy are both set"));
        }
        if self.bypass_proxy || !self.proxy.is_empty() {
            request = request.proxy(&self.proxy.to_string())?;
        }
        if !self.username.is_empty() || !self.password.is_empty() {
            if !self.bearer_token.is_empty() {
                return Err(Refused::argument("username and bearer_token are both set"));
            }
            request = request.basic_auth(&self.username.to_string(), &self.password.to_string())?;
        }
        if !self.bearer_token.is_empty() {
            request = request.bearer_token(&self.bearer_token.to_string())?;
        }
        Ok(request
            .progress(choice("report_progress", self.report_progress, PROGRESS)?)
            .priority(choice("priority", self.priority, PRIORITIES)?)
            .http_version(choice("http_version", self.http_version, HTTP_VERSIONS)?)
            .cache_mode(choice("cache_mode", self.cache_mode, CACHE_MODES)?)
            .rates(rates(self.max_receive_bytes_per_second, self.max_send_bytes_per_second)?)
            .cookies(self.cookies)
            .raw_text(self.raw_text))
    }

    fn with_body(&self, mut request: Request) -> Result<Request, Refused> {
        let given = [!self.body.is_empty(), !self.body_file.is_empty(), self.is_form, self.stream_body];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(Refused::argument("body, body_file, a form and stream_body exclude each other"));
        }
        if self.is_form {
            return self.with_form(request);
        }
        let mut kind = choice("body_kind", self.body_kind, BODY_KINDS)?;
        if self.stream_body {
            let length = match self.body_length {
                -1 => None,
                length => Some(bytes("body_length", length)?),
            };
            let window = count("stream_window_bytes", self.stream_window_bytes)?;
            return Ok(request.stream_body(length, window)?.body_kind(kind));
        }
        if !self.body_file.is_empty() {
            request = match files::source("body_directory", &self.body_file, self.body_directory)? {
                Source::File(file) => request.body_file(file),
                Source::Packed(bytes) => {
                    // What a file is by default.
                    if kind == BodyKind::Default {
                        kind = BodyKind::Binary;
                    }
                    request.body(bytes)
                }
            };
        } else if !self.body.is_empty() {
            // A PackedByteArray is bytes until something says that it is text.
            if kind == BodyKind::Default {
                kind = BodyKind::Binary;
            }
            request = request.body(self.body.to_vec());
        }
        Ok(request.body_kind(kind))
    }

    fn with_form(&self, request: Request) -> Result<Request, Refused> {
        let mut packed = Vec::new();
        for part in &self.parts {
            packed.push(match &part.content {
                Content::Bytes(_) => None,
                Content::File(path, directory) => Some(files::source("directory", path, *directory)?),
            });
        }
        let mut parts = Vec::new();
        for (part, source) in self.parts.iter().zip(&packed) {
            let name_in_package = match &part.content {
                Content::File(path, _) => path.to_string().rsplit('/').next().unwrap_or_default().to_owned(),
                Content::Bytes(_) => String::new(),
            };
            parts.push((part, source, name_in_package));
        }
        let parts: Vec<FormPart<'_>> = parts
            .iter()
            .map(|(part, source, name_in_package)| {
                let mut built = match (&part.content, source) {
                    (Content::Bytes(bytes), _) => FormPart::bytes(&part.name, bytes),
                    (_, Some(Source::File(file))) => FormPart::file(&part.name, file.clone()),
                    (_, Some(Source::Packed(bytes))) => FormPart::bytes(&part.name, bytes).filename(name_in_package),
                    (Content::File(..), None) => FormPart::bytes(&part.name, &[]),
                };
                if !part.filename.is_empty() {
                    built = built.filename(&part.filename);
                }
                if !part.content_type.is_empty() {
                    built = built.content_type(&part.content_type);
                }
                built
            })
            .collect();
        Ok(request.form(&parts)?.body_kind(choice("body_kind", self.body_kind, BODY_KINDS)?))
    }

    fn with_destination(&self, mut request: Request) -> Result<Request, Refused> {
        if !self.download_file.is_empty() {
            let file = files::file_name("download_directory", &self.download_file, self.download_directory)?;
            request = request.response_file(file)?;
        }
        if self.stream_response {
            request = request.stream_response(count("stream_window_bytes", self.stream_window_bytes)?)?;
        }
        if !self.expected_sha256.is_empty() {
            request = request.expected_sha256(&self.expected_sha256.to_string())?;
        }
        if self.expected_length != -1 {
            request = request.expected_length(bytes("expected_length", self.expected_length)?);
        }
        Ok(request.resume(self.resume_download).sync(self.sync))
    }

    fn with_limits(&self, mut request: Request) -> Result<Request, Refused> {
        if let Some(most) = largest_or_default("max_body_bytes", self.max_body_bytes)? {
            request = request.max_body_bytes(most);
        }
        if let Some(most) = largest_or_default("max_file_bytes", self.max_file_bytes)? {
            request = request.max_file_bytes(most);
        }
        Ok(request
            .follow_redirects(self.follow_redirects)
            .insecure_redirects(self.insecure_redirects)
            .max_redirects(count("max_redirects", self.max_redirects)?)?
            .min_speed(min_speed_or_default(self.min_bytes_per_second, self.min_speed_period)?)?
            .timeout(limit_or_default("timeout", self.timeout)?)
            .connect_timeout(limit_or_default("connect_timeout", self.connect_timeout)?)
            .stall_timeout(limit_or_default("stall_timeout", self.stall_timeout)?)
            .queue_timeout(limit_or_default("queue_timeout", self.queue_timeout)?))
    }

    fn with_retry(&self, request: Request) -> Result<Request, Refused> {
        let mut retry = Retry::default();
        retry.max_attempts = count("max_attempts", self.max_attempts)?;
        retry.delay = duration("retry_delay", self.retry_delay)?;
        retry.max_delay = duration("max_retry_delay", self.max_retry_delay)?;
        retry.attempt_timeout = limit("attempt_timeout", self.attempt_timeout)?;
        retry.any_method = self.retry_any_method;
        retry.events = true;
        Ok(request.retry(retry)?)
    }

    /// Sets how fast its bodies may go, also while it runs.
    fn set_rates(&mut self, receive: i64, send: i64) {
        match rates(receive, send) {
            Ok(rates) => {
                (self.max_receive_bytes_per_second, self.max_send_bytes_per_second) = (receive, send);
                self.tell("SortieRequest", |client, id| client.set_request_rates(id, rates));
            }
            Err(refused) => {
                refused.report("SortieRequest");
            }
        }
    }

    /// Notes that it runs.
    pub(crate) fn begin(&mut self, running: &Rc<Running>, id: RequestId) {
        self.place = Some((Rc::downgrade(running), id));
        (self.bytes_transferred, self.bytes_estimated) = (0, -1);
    }

    pub(crate) fn url(&self) -> GString {
        self.url.clone()
    }

    /// Notes that it runs no longer.
    pub(crate) fn end(&mut self) {
        self.place = None;
    }

    pub(crate) fn note_progress(&mut self, transferred: i64, estimated: i64) {
        (self.bytes_transferred, self.bytes_estimated) = (transferred, estimated);
    }

    /// Does something with its client while it runs.
    fn with<T>(
        &self,
        what: impl FnOnce(&sortie::Client, RequestId) -> Result<T, sortie::Refusal>,
    ) -> Result<T, Refused> {
        let place = self.place.as_ref().and_then(|(running, id)| Some((running.upgrade()?, *id)));
        match place {
            Some((running, id)) => running.with(|client| what(client, id)),
            None => Err(Refused::new(Error::ERR_DOES_NOT_EXIST, "the request does not run")),
        }
    }

    /// Tells the client something about it. That it does not run is no mistake worth a line in the log: it may just have
    /// ended.
    fn tell(&self, call: &str, tell: impl FnOnce(&sortie::Client, RequestId) -> Result<(), sortie::Refusal>) -> Error {
        match self.with(tell) {
            Err(refused) if refused.is_stale() => Error::ERR_DOES_NOT_EXIST,
            told => outcome(call, told),
        }
    }

    fn add_part(&mut self, name: &GString, content: Content, filename: &GString, content_type: &GString) {
        self.is_form = true;
        self.parts.push(Part {
            name: name.to_string(),
            content,
            filename: filename.to_string(),
            content_type: content_type.to_string(),
        });
    }
}

#[godot_api]
impl SortieRequest {
    /// The request has started. With PROGRESS_DOWNLOAD the response has its headers, with PROGRESS_UPLOAD it comes before
    /// connecting.
    #[signal]
    pub(crate) fn began(response: Gd<SortieResponse>);

    /// Bytes have moved: so many so far, of so many in all, -1 if unknown. At most once a frame.
    #[signal]
    pub(crate) fn progress(transferred: i64, total: i64);

    /// The next piece of the response's body, with `stream_response`.
    #[signal]
    pub(crate) fn data(chunk: PackedByteArray);

    /// There is room again for a body of `stream_body`, of which the last write_body() took less than all.
    #[signal]
    pub(crate) fn writable();

    /// An attempt has failed, and another follows in so many seconds. The response has the failed one's status and headers,
    /// or the error.
    #[signal]
    pub(crate) fn retrying(response: Gd<SortieResponse>, delay: f64);

    /// The request has ended: exactly once for each submit, and always last. When its client is shut down or leaves the scene
    /// tree before, it comes at once, with SortieResponse.ERROR_SHUTDOWN.
    #[signal]
    pub(crate) fn completed(response: Gd<SortieResponse>);

    /// What a body is by default: bytes, unless set_text() or set_json() was used.
    #[constant]
    const BODY_DEFAULT: i64 = 0;
    /// The body is text: a Content-Type that names no charset gets "; charset=UTF-8", and the body is sent in the charset
    /// that it names.
    #[constant]
    const BODY_TEXT: i64 = 1;
    /// The body is bytes.
    #[constant]
    const BODY_BINARY: i64 = 2;
    /// No `began` and no `progress`.
    #[constant]
    const PROGRESS_NONE: i64 = 0;
    /// `began` and `progress` tell of the response's body.
    #[constant]
    const PROGRESS_DOWNLOAD: i64 = 1;
    /// `began` and `progress` tell of the request's body.
    #[constant]
    pub(crate) const PROGRESS_UPLOAD: i64 = 2;
    /// The priority of most requests.
    #[constant]
    const PRIORITY_NORMAL: i64 = 0;
    /// Starts before every waiting PRIORITY_NORMAL request that has not waited for ten seconds.
    #[constant]
    const PRIORITY_HIGH: i64 = 1;
    /// Starts after every waiting PRIORITY_NORMAL request; each ten seconds of waiting lift a request by one level.
    #[constant]
    const PRIORITY_LOW: i64 = 2;
    /// A file's name is a path of `user://`, `res://` or the system.
    #[constant]
    const DIRECTORY_NONE: i64 = 0;
    /// A file's name is one below SortieClient.documents_directory, and cannot leave it.
    #[constant]
    const DIRECTORY_DOCUMENTS: i64 = 1;
    /// A file's name is one below SortieClient.temporary_directory, and cannot leave it.
    #[constant]
    const DIRECTORY_TEMPORARY: i64 = 2;
    /// A file's name is one below SortieClient.caches_directory, and cannot leave it.
    #[constant]
    const DIRECTORY_CACHES: i64 = 3;
    /// A file's name is one below SortieClient.application_support_directory, and cannot leave it.
    #[constant]
    const DIRECTORY_APPLICATION_SUPPORT: i64 = 4;
    /// A file's name is one below SortieClient.resource_directory, which is only read from, and cannot leave it.
    #[constant]
    const DIRECTORY_RESOURCE: i64 = 5;
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    #[constant]
    const HTTP_DEFAULT: i64 = 0;
    /// HTTP/1.1 only.
    #[constant]
    const HTTP_1_1: i64 = 1;
    /// HTTP/2 also without TLS.
    #[constant]
    const HTTP_2_PRIOR_KNOWLEDGE: i64 = 2;
    /// By the rules of HTTP: what is fresh answers, what is stale is asked about.
    #[constant]
    const CACHE_DEFAULT: i64 = 0;
    /// Neither answered by the cache nor kept in it.
    #[constant]
    const CACHE_NO_STORE: i64 = 1;
    /// Not answered by the cache, but kept in it.
    #[constant]
    const CACHE_RELOAD: i64 = 2;
    /// What is stored is asked about even if it is fresh.
    #[constant]
    const CACHE_REVALIDATE: i64 = 3;
    /// Never go to the network. What is stored answers, fresh or stale; if nothing is, the request ends with
    /// SortieResponse.ERROR_NOT_CACHED.
    #[constant]
    const CACHE_ONLY_IF_CACHED: i64 = 4;
    /// What is stored answers, fresh or stale; if nothing is, the network.
    #[constant]
    const CACHE_FORCE: i64 = 5;

    /// Makes text the body.
    #[func]
    fn set_text(&mut self, text: GString) {
        self.body = text.to_string().into_bytes().into();
        self.body_kind = Self::BODY_TEXT;
    }

    /// Makes a value the body, as JSON, and sets `content_type` to "application/json".
    #[func]
    fn set_json(&mut self, value: Variant) {
        let writer = godot::classes::ClassDb::singleton().instantiate("JSON").try_to::<Gd<RefCounted>>();
        let Ok(mut writer) = writer else { return };
        self.set_text(writer.call("stringify", &[value]).to_string().as_str().into());
        self.body_kind = Self::BODY_DEFAULT;
        self.content_type = "application/json".into();
    }

    /// Adds a field to the form to send.
    #[func]
    fn add_form_field(&mut self, name: GString, value: GString) {
        self.add_part(&name, Content::Bytes(value.to_string().into_bytes()), &GString::new(), &GString::new());
    }

    /// Adds bytes to the form to send; with a filename as a file. An empty content_type means "application/octet-stream" for
    /// a file, and none otherwise.
    #[func]
    fn add_form_bytes(
        &mut self,
        name: GString,
        bytes: PackedByteArray,
        #[opt(default = "")] filename: GString,
        #[opt(default = "")] content_type: GString,
    ) {
        self.add_part(&name, Content::Bytes(bytes.to_vec()), &filename, &content_type);
    }

    /// Adds a file to the form to send: a path of `user://`, `res://` or the system, or a name below a base directory, one
    /// of DIRECTORY_*. It is read while it is sent. An empty filename means the path's last part, an empty content_type
    /// "application/octet-stream".
    #[func]
    fn add_form_file(
        &mut self,
        name: GString,
        path: GString,
        #[opt(default = "")] filename: GString,
        #[opt(default = "")] content_type: GString,
        #[opt(default = 0)] directory: i64,
    ) {
        self.add_part(&name, Content::File(path, directory), &filename, &content_type);
    }

    /// Hands over the next piece of the body of `stream_body`, and gives how many of its bytes were taken: as many as there is
    /// room for, which may be none. After less than all, `writable` tells when there is room again. Gives -1 if the request does
    /// not run or refuses the piece, which is then written to the log.
    #[func]
    fn write_body(&self, piece: PackedByteArray) -> i64 {
        match self.with(|client, id| client.write_body(id, piece.as_slice())) {
            Ok(taken) => int(taken as u64),
            Err(refused) => {
                if !refused.is_stale() {
                    refused.report("SortieRequest.write_body()");
                }
                -1
            }
        }
    }

    /// Says that the body of `stream_body` has come to its end. One whose `body_length` was given needs it not.
    #[func]
    fn finish_body(&self) -> Error {
        self.tell("SortieRequest.finish_body()", sortie::Client::finish_body)
    }

    /// Asks the request to stop. It still ends with one `completed`: SortieResponse.ERROR_CANCELLED, or its real outcome if
    /// it had already finished. Gives ERR_DOES_NOT_EXIST if it does not run.
    #[func]
    fn cancel(&self) -> Error {
        self.tell("SortieRequest.cancel()", |client, id| client.cancel(id))
    }

    /// Lets the request rest: if it waits it does not start, if it runs it moves no more bytes. `timeout` runs on,
    /// `stall_timeout` does not. Gives ERR_DOES_NOT_EXIST if it does not run.
    #[func]
    fn pause(&self) -> Error {
        self.tell("SortieRequest.pause()", |client, id| client.pause(id))
    }

    /// Lets the request go on after pause().
    #[func]
    fn unpause(&self) -> Error {
        self.tell("SortieRequest.unpause()", |client, id| client.unpause(id))
    }

    /// Whether it has been submitted and has not ended.
    #[func]
    pub(crate) fn is_running(&self) -> bool {
        self.place.as_ref().is_some_and(|(running, _)| running.upgrade().is_some_and(|running| !running.is_closed()))
    }

    /// Gives the number by which SortieClient.trace names the request; 0 if it does not run.
    #[func]
    pub(crate) fn get_request_id(&self) -> i64 {
        self.place.as_ref().map_or(0, |(_, id)| int(id.number()))
    }

    #[func]
    fn set_is_form(&mut self, is_form: bool) {
        self.is_form = is_form;
        if !is_form {
            self.parts.clear();
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
    fn set_priority(&mut self, priority: i64) {
        match choice("priority", priority, PRIORITIES) {
            Ok(chosen) => {
                self.priority = priority;
                self.tell("SortieRequest.priority", |client, id| client.set_priority(id, chosen));
            }
            Err(refused) => {
                refused.report("SortieRequest.priority");
            }
        }
    }
}
