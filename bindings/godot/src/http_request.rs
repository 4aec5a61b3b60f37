//! Godot's HTTPRequest, by Sortie.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use godot::classes::{Engine, Os};
use godot::global::Error;
use godot::obj::Singleton;
use godot::prelude::*;
use sortie::{
    BaseDirectory, BodyKind, Config, ErrorKind, Event, EventKind, FileName, Limit, Progress, Proxy, Request, RequestId,
};

use crate::files::system_path;
use crate::limits::{header, int};
use crate::refused::{Refused, outcome};
use crate::response::header_lines;

/// HTTPClient.Method, by its numbers.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"];

/// HTTPClient.Status, as far as it is told.
const STATUS_DISCONNECTED: i64 = 0;
const STATUS_CONNECTING: i64 = 3;
const STATUS_BODY: i64 = 7;

/// How many bytes of bodies all nodes together hand over in a frame, which is about a millisecond's work.
const BYTES_IN_A_FRAME: usize = 4 << 20;

/// The most redirects that Sortie follows, for as many as HTTPRequest is asked to.
const MAX_REDIRECTS: u32 = 100;

thread_local! {
    /// The clients that nodes share: the first is that of nodes without a proxy and TLS options, and is kept, so that
    /// connections live longer than one node.
    static SHARED: RefCell<Vec<(Settings, Keep)>> = const { RefCell::new(Vec::new()) };
}

enum Keep {
    Always(Rc<Shared>),
    WhileUsed(Weak<Shared>),
}

/// What nodes must have in common to share a client.
#[derive(Clone, Default, PartialEq, Eq)]
struct Settings {
    /// "http://host:port", or none.
    proxy: Option<String>,
    /// Roots to trust, as PEM, in place of the system's.
    roots: Option<String>,
}

/// A client of several nodes.
struct Shared {
    client: sortie::Client,
    /// What has come for each request and is not told yet.
    inboxes: RefCell<HashMap<u64, Vec<Event>>>,
    /// Removed after the client, which reads it.
    _roots: Option<RootsFile>,
    /// The frame that bodies were last handed over in, and how many bytes of them.
    handed_over: Cell<(u64, usize)>,
}

impl Shared {
    /// The client for these settings; made if need be.
    fn find(settings: &Settings) -> Result<Rc<Shared>, Refused> {
        SHARED.with_borrow_mut(|all| {
            all.retain(|(_, keep)| !matches!(keep, Keep::WhileUsed(weak) if weak.strong_count() == 0));
            let found = all.iter().find(|(other, _)| other == settings).and_then(|(_, keep)| match keep {
                Keep::Always(shared) => Some(Rc::clone(shared)),
                Keep::WhileUsed(shared) => shared.upgrade(),
            });
            if let Some(shared) = found {
                return Ok(shared);
            }
            let shared = Rc::new(Shared::new(settings)?);
            let keep = if *settings == Settings::default() {
                Keep::Always(Rc::clone(&shared))
            } else {
                Keep::WhileUsed(Rc::downgrade(&shared))
            };
            all.push((settings.clone(), keep));
            Ok(shared)
        })
    }

    /// A client that behaves as HTTPRequest does where the two differ by default.
    fn new(settings: &Settings) -> Result<Shared, Refused> {
        let roots = settings.roots.as_deref().map(RootsFile::write).transpose()?;
        let version = Engine::singleton().get_version_info();
        let part = |name: &str| version.get(name).map(|part| part.to_string()).unwrap_or_default();
        let patch = match part("patch").as_str() {
            "0" => String::new(),
            patch => format!(".{patch}"),
        };
        let (major, minor, status, build) = (part("major"), part("minor"), part("status"), part("build"));
        let system = Os::singleton().get_name();
        let config = Config {
            user_agent: Some(format!("GodotEngine/{major}.{minor}{patch}.{status}.{build} ({system})")),
            proxy: match &settings.proxy {
                Some(url) => Proxy::Url { url: url.clone(), except: String::new() },
                None => Proxy::Direct,
            },
            ca_file: roots.as_ref().map(|file| file.0.clone()),
            cookies: false,
            timeout: Limit::Never,
            stall_timeout: Limit::Never,
            connect_timeout: Limit::After(Duration::from_secs(30)),
            ..Config::default()
        };
        Ok(Shared {
            client: sortie::Client::new(config)?,
            inboxes: RefCell::default(),
            _roots: roots,
            handed_over: Cell::default(),
        })
    }

    /// Whether a body of this size may be handed over in this frame. One always may; copying many large ones would be felt.
    fn may_hand_over(&self, length: usize) -> bool {
        let frame = Engine::singleton().get_process_frames();
        let before = match self.handed_over.get() {
            (same, bytes) if same == frame => bytes,
            _ => 0,
        };
        let may = before == 0 || before + length <= BYTES_IN_A_FRAME;
        if may {
            self.handed_over.set((frame, before + length));
        }
        may
    }

    /// What has come for a request.
    fn take(&self, id: RequestId) -> Vec<Event> {
        let mut inboxes = self.inboxes.borrow_mut();
        while let Some(event) = self.client.poll() {
            // One whose node no longer waits is let go of.
            if let Some(inbox) = inboxes.get_mut(&event.request.number()) {
                inbox.push(event);
            }
        }
        inboxes.get_mut(&id.number()).map(std::mem::take).unwrap_or_default()
    }
}

/// Roots to trust, where the client can read them, since it takes a file. It goes with this value.
struct RootsFile(PathBuf);

impl RootsFile {
    /// Writes them to a new file in the game's own folder, which others cannot write to: what the shared temporary one has
    /// by that name, another user may have put there.
    fn write(pem: &str) -> Result<RootsFile, Refused> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = system_path(&"user://".into());
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("sortie-roots-{}-{number}.pem", std::process::id()));
            let cannot = |error: io::Error| {
                Refused::new(Error::ERR_FILE_CANT_WRITE, format!("cannot write {}: {error}", path.display()))
            };
            match create_own(&path) {
                // Left behind by a game that was killed, or another's that sees other process ids.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(error)),
                Ok(mut file) => {
                    let written = file.write_all(pem.as_bytes());
                    let made = RootsFile(path.clone());
                    return written.map(|()| made).map_err(cannot);
                }
            }
        }
    }
}

impl Drop for RootsFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a file for this user alone, where none is, nor a link.
fn create_own(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Ends the shared clients, before the library is let go of.
pub(crate) fn close_shared() {
    SHARED.with_borrow_mut(Vec::clear);
}

/// A request under way.
struct Job {
    shared: Rc<Shared>,
    id: RequestId,
    deadline: Option<Instant>,
    has_response: bool,
    /// Its end, if there was no room for its body in the frame that it came in.
    last: Option<Event>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.shared.inboxes.borrow_mut().remove(&self.id.number());
        // One that has ended is fine.
        let _ = self.shared.client.cancel(self.id);
    }
}

/// What `request_completed` tells.
struct Outcome {
    result: i64,
    status: i64,
    headers: PackedStringArray,
    /// It has the body. That becomes Godot's own only when it is told, so that one array's memory serves for the next.
    success: Option<Event>,
}

impl Outcome {
    fn bare(result: i64) -> Outcome {
        Outcome { result, status: 0, headers: PackedStringArray::new(), success: None }
    }

    fn of(event: Event) -> Outcome {
        let kind = event.failure().map(|(kind, _)| kind);
        let result = kind.map_or(SortieHTTPRequest::RESULT_SUCCESS, result_of);
        let has_response = [
            SortieHTTPRequest::RESULT_SUCCESS,
            SortieHTTPRequest::RESULT_BODY_SIZE_LIMIT_EXCEEDED,
            SortieHTTPRequest::RESULT_BODY_DECOMPRESS_FAILED,
            SortieHTTPRequest::RESULT_DOWNLOAD_FILE_CANT_OPEN,
            SortieHTTPRequest::RESULT_DOWNLOAD_FILE_WRITE_ERROR,
            SortieHTTPRequest::RESULT_REDIRECT_LIMIT_REACHED,
        ];
        if !has_response.contains(&result) {
            return Outcome::bare(result);
        }
        let headers = event.response.as_ref().map(|response| header_lines(&response.headers)).unwrap_or_default();
        let status = event.status().into();
        let success = (result == SortieHTTPRequest::RESULT_SUCCESS).then_some(event);
        Outcome { result, status, headers, success }
    }
}

fn result_of(kind: ErrorKind) -> i64 {
    use SortieHTTPRequest as R;
    match kind {
        ErrorKind::Resolve => R::RESULT_CANT_RESOLVE,
        ErrorKind::Connect | ErrorKind::ConnectTimeout | ErrorKind::Proxy => R::RESULT_CANT_CONNECT,
        ErrorKind::Tls | ErrorKind::Certificate => R::RESULT_TLS_HANDSHAKE_ERROR,
        ErrorKind::Timeout | ErrorKind::Stalled | ErrorKind::QueueTimeout => R::RESULT_TIMEOUT,
        ErrorKind::Send | ErrorKind::Receive => R::RESULT_CONNECTION_ERROR,
        ErrorKind::Protocol => R::RESULT_NO_RESPONSE,
        ErrorKind::Redirects => R::RESULT_REDIRECT_LIMIT_REACHED,
        ErrorKind::BodyTooLarge => R::RESULT_BODY_SIZE_LIMIT_EXCEEDED,
        ErrorKind::Decode => R::RESULT_BODY_DECOMPRESS_FAILED,
        ErrorKind::File => R::RESULT_DOWNLOAD_FILE_CANT_OPEN,
        ErrorKind::DiskFull => R::RESULT_DOWNLOAD_FILE_WRITE_ERROR,
        _ => R::RESULT_REQUEST_FAILED,
    }
}

/// HTTPRequest by Sortie: the same methods, properties, signal and results.
///
/// Change a node's type from HTTPRequest to SortieHTTPRequest, and the project runs on Sortie: nothing waits in the frame,
/// connections are used again by all such nodes, redirects, certificates and files are handled as SortieClient does. Where
/// the two differ is told in the addon's README. Of what Sortie does beyond HTTPRequest, see SortieClient.
#[derive(GodotClass)]
#[class(init, base = Node)]
pub(crate) struct SortieHTTPRequest {
    /// The file to download into; it is written only by a response with a status from 200 to 299, and only when that is
    /// whole. Empty means that the body comes with `request_completed`.
    #[export(file)]
    download_file: GString,
    /// As HTTPRequest has it; without effect.
    #[export(range = (256.0, 16777216.0))]
    #[init(val = 65536)]
    download_chunk_size: i64,
    /// As HTTPRequest has it; without effect, since the network always has a thread of its own.
    #[export]
    #[var(get = is_using_threads)]
    use_threads: bool,
    /// Whether compressed responses are asked for and decompressed.
    #[export]
    #[var(get = is_accepting_gzip)]
    #[init(val = true)]
    accept_gzip: bool,
    /// The largest body in bytes; -1 means any.
    #[export(range = (-1.0, 2000000000.0))]
    #[init(val = -1)]
    body_size_limit: i64,
    /// How many redirects to follow; -1 means as many as Sortie does, which is 100.
    #[export(range = (-1.0, 64.0))]
    #[init(val = 8)]
    max_redirects: i64,
    /// How many seconds a request may take; 0 means no limit.
    #[export(range = (0.0, 3600.0, 0.1, or_greater))]
    timeout: f64,

    http_proxy: Option<String>,
    https_proxy: Option<String>,
    roots: Option<String>,
    /// The clients that this node used last, for http and for https, so that they and their connections outlive a request:
    /// until its settings change or it leaves the scene tree.
    kept: [Option<Rc<Shared>>; 2],
    downloaded: i64,
    body_size: i64,
    job: Option<Job>,
    /// Of a job that is over and not told yet.
    outcome: Option<Outcome>,
    base: Base<Node>,
}

#[godot_api]
impl INode for SortieHTTPRequest {
    fn process(&mut self, _delta: f64) {
        if self.outcome.is_none() {
            self.outcome = self.step();
            if self.outcome.is_some() {
                // Not from here: a listener may free this node, and the engine still has it in hand.
                self.base_mut().call_deferred("_complete", &[]);
            }
        }
    }

    fn exit_tree(&mut self) {
        self.cancel_request();
        self.kept = [None, None];
    }
}

impl SortieHTTPRequest {
    /// Looks at what has come; gives what to tell once the request is over.
    fn step(&mut self) -> Option<Outcome> {
        let job = self.job.as_mut()?;
        let mut events = job.shared.take(job.id);
        events.extend(job.last.take());
        for event in events {
            match event.kind {
                EventKind::Began | EventKind::Progress | EventKind::Ended => {
                    job.has_response = true;
                    // As HTTPRequest, which tells no size of what has no body.
                    let size = if event.estimated == 0 { -1 } else { event.estimated };
                    (self.downloaded, self.body_size) = (int(event.transferred), size);
                }
                _ => {}
            }
            if event.kind == EventKind::Ended {
                if !job.shared.may_hand_over(event.body().len()) {
                    job.last = Some(event);
                    return None;
                }
                let outcome = Outcome::of(event);
                if outcome.result == Self::RESULT_REDIRECT_LIMIT_REACHED {
                    // That of a redirect's own body is not told.
                    self.body_size = -1;
                }
                return Some(outcome);
            }
        }
        if job.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Some(Outcome::bare(Self::RESULT_TIMEOUT));
        }
        None
    }

    fn start(
        &mut self,
        url: &GString,
        headers: &PackedStringArray,
        method: i64,
        body: (Vec<u8>, BodyKind),
    ) -> Result<(), Refused> {
        if !self.base().is_inside_tree() {
            return Err(Refused::new(Error::ERR_UNCONFIGURED, "the node is not inside the scene tree"));
        }
        if self.job.is_some() {
            let what = "a request is being processed: wait for its completion or cancel it before making another";
            return Err(Refused::new(Error::ERR_BUSY, what));
        }
        let name = usize::try_from(method).ok().and_then(|method| METHODS.get(method));
        let name = name.ok_or_else(|| Refused::argument(format!("method is {method}, it must be 0 to 8")))?;
        let url = url.to_string();
        let mut request = Request::new(name, &url)?.raw_text(true).progress(Progress::Download);
        let mut has_encoding = false;
        for line in headers.as_slice() {
            let line = line.to_string();
            let (name, value) = header(&line)?;
            has_encoding |= name.eq_ignore_ascii_case("Accept-Encoding");
            request = request.header(name, value)?;
        }
        if !self.accept_gzip && !has_encoding {
            // Whatever comes nevertheless is handed over as it is.
            request = request.header("Accept-Encoding", "identity")?;
        }
        let (body, kind) = body;
        if !body.is_empty() {
            request = request.body(body).body_kind(kind);
        }
        request =
            request.max_redirects(u32::try_from(self.max_redirects).unwrap_or(MAX_REDIRECTS).min(MAX_REDIRECTS))?;
        let most = u64::try_from(self.body_size_limit).unwrap_or(isize::MAX.unsigned_abs() as u64);
        request = request.max_body_bytes(most).max_file_bytes(most);
        if !self.download_file.is_empty() {
            request = request.response_file(FileName::new(system_path(&self.download_file), BaseDirectory::None)?)?;
        }
        let deadline = Duration::try_from_secs_f64(self.timeout).ok().filter(|timeout| *timeout > Duration::ZERO);
        let is_https = url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let proxy = if is_https { &self.https_proxy } else { &self.http_proxy };
        let shared = Shared::find(&Settings { proxy: proxy.clone(), roots: self.roots.clone() })?;
        let id = shared.client.submit(request)?;
        let [http, https] = &mut self.kept;
        *(if is_https { https } else { http }) = Some(Rc::clone(&shared));
        shared.inboxes.borrow_mut().insert(id.number(), Vec::new());
        let deadline = deadline.and_then(|timeout| Instant::now().checked_add(timeout));
        self.job = Some(Job { shared, id, deadline, has_response: false, last: None });
        (self.downloaded, self.body_size) = (0, -1);
        Ok(())
    }
}

#[godot_api]
impl SortieHTTPRequest {
    /// A request is over: with a RESULT_*, the HTTP status, the headers, and the body unless it went to `download_file`.
    #[signal]
    fn request_completed(result: i64, response_code: i64, headers: PackedStringArray, body: PackedByteArray);

    /// The request was successful.
    #[constant]
    const RESULT_SUCCESS: i64 = 0;
    /// As HTTPRequest has it; never given.
    #[constant]
    const RESULT_CHUNKED_BODY_SIZE_MISMATCH: i64 = 1;
    /// No connection could be made.
    #[constant]
    const RESULT_CANT_CONNECT: i64 = 2;
    /// The host's name could not be resolved.
    #[constant]
    const RESULT_CANT_RESOLVE: i64 = 3;
    /// The connection failed, or what came was cut short.
    #[constant]
    const RESULT_CONNECTION_ERROR: i64 = 4;
    /// The TLS handshake failed, or the certificate was not accepted.
    #[constant]
    const RESULT_TLS_HANDSHAKE_ERROR: i64 = 5;
    /// What came was no HTTP.
    #[constant]
    const RESULT_NO_RESPONSE: i64 = 6;
    /// The body is larger than `body_size_limit`.
    #[constant]
    const RESULT_BODY_SIZE_LIMIT_EXCEEDED: i64 = 7;
    /// The body could not be decompressed.
    #[constant]
    const RESULT_BODY_DECOMPRESS_FAILED: i64 = 8;
    /// The request failed for another reason.
    #[constant]
    const RESULT_REQUEST_FAILED: i64 = 9;
    /// `download_file` could not be written.
    #[constant]
    const RESULT_DOWNLOAD_FILE_CANT_OPEN: i64 = 10;
    /// The disk is full.
    #[constant]
    const RESULT_DOWNLOAD_FILE_WRITE_ERROR: i64 = 11;
    /// There were more redirects than `max_redirects`.
    #[constant]
    const RESULT_REDIRECT_LIMIT_REACHED: i64 = 12;
    /// The request took longer than `timeout`.
    #[constant]
    const RESULT_TIMEOUT: i64 = 13;

    /// Makes a request with text as its body; `method` is an HTTPClient.METHOD_*. OK, or why it was refused: then
    /// `request_completed` does not come.
    #[func]
    fn request(
        &mut self,
        url: GString,
        #[opt(default = &PackedStringArray::new())] custom_headers: PackedStringArray,
        #[opt(default = 0)] method: i64,
        #[opt(default = "")] request_data: GString,
    ) -> Error {
        let started =
            self.start(&url, &custom_headers, method, (request_data.to_string().into_bytes(), BodyKind::Default));
        outcome("SortieHTTPRequest.request()", started)
    }

    /// Makes a request with bytes as its body; else as request().
    #[func]
    fn request_raw(
        &mut self,
        url: GString,
        #[opt(default = &PackedStringArray::new())] custom_headers: PackedStringArray,
        #[opt(default = 0)] method: i64,
        #[opt(default = &PackedByteArray::new())] request_data_raw: PackedByteArray,
    ) -> Error {
        let started = self.start(&url, &custom_headers, method, (request_data_raw.to_vec(), BodyKind::Binary));
        outcome("SortieHTTPRequest.request_raw()", started)
    }

    /// Stops the request: `request_completed` does not come. Without one, nothing happens.
    #[func]
    fn cancel_request(&mut self) {
        (self.job, self.outcome) = (None, None);
        (self.downloaded, self.body_size) = (0, -1);
    }

    #[func(gd_self, rename = _complete)]
    fn complete(mut this: Gd<Self>) {
        let outcome = {
            let mut node = this.bind_mut();
            // Cancelled meanwhile, it is told no more.
            let Some(outcome) = node.outcome.take() else { return };
            // Idle again before it is told, so that what listens may make the next request.
            node.job = None;
            outcome
        };
        let Outcome { result, status, headers, success } = outcome;
        let body = success.as_ref().map_or_else(PackedByteArray::new, |event| event.body().into());
        drop(success);
        this.signals().request_completed().emit(result, status, &headers, &body);
    }

    /// Gives an HTTPClient.STATUS_*: STATUS_DISCONNECTED without a request, STATUS_BODY once headers have come, and
    /// STATUS_CONNECTING until then.
    #[func]
    fn get_http_client_status(&self) -> i64 {
        match &self.job {
            None => STATUS_DISCONNECTED,
            Some(job) if job.has_response => STATUS_BODY,
            Some(_) => STATUS_CONNECTING,
        }
    }

    /// Gives how many bytes the body has on the wire; -1 if that is unknown.
    #[func]
    fn get_body_size(&self) -> i64 {
        self.body_size
    }

    /// Gives how many bytes of it have come.
    #[func]
    fn get_downloaded_bytes(&self) -> i64 {
        self.downloaded
    }

    /// Sets the proxy for http URLs; an empty host or a port of -1 means none.
    #[func]
    fn set_http_proxy(&mut self, host: GString, port: i64) {
        let proxy = proxy_url(&host, port);
        if self.http_proxy != proxy {
            self.http_proxy = proxy;
            let [http, _] = &mut self.kept;
            *http = None;
        }
    }

    /// Sets the proxy for https URLs; an empty host or a port of -1 means none.
    #[func]
    fn set_https_proxy(&mut self, host: GString, port: i64) {
        let proxy = proxy_url(&host, port);
        if self.https_proxy != proxy {
            self.https_proxy = proxy;
            let [_, https] = &mut self.kept;
            *https = None;
        }
    }

    /// Sets TLSOptions: of TLSOptions.client() its trusted chain counts. TLSOptions.client_unsafe(), a name to expect in
    /// place of the host's, and TLSOptions.server() are refused with an error in the log. While the chain is used, it is in a
    /// file below `user://`.
    #[func]
    fn set_tls_options(&mut self, client_options: Option<Gd<RefCounted>>) {
        let Some(mut options) = client_options else { return };
        let roots = trusted_roots(&mut options);
        match roots {
            Ok(roots) if roots == self.roots => {}
            Ok(roots) => {
                self.roots = roots;
                self.kept = [None, None];
            }
            Err(refused) => {
                refused.report("SortieHTTPRequest.set_tls_options()");
            }
        }
    }

    #[func]
    fn is_using_threads(&self) -> bool {
        self.use_threads
    }

    #[func]
    fn is_accepting_gzip(&self) -> bool {
        self.accept_gzip
    }
}

fn proxy_url(host: &GString, port: i64) -> Option<String> {
    (!host.is_empty() && port != -1).then(|| format!("http://{host}:{port}"))
}

/// The PEM of what a TLSOptions object trusts; none for what the system does.
fn trusted_roots(options: &mut Gd<RefCounted>) -> Result<Option<String>, Refused> {
    if options.get_class() != "TLSOptions" {
        return Err(Refused::argument(format!("{} is no TLSOptions", options.get_class())));
    }
    let mut says = |method: &str| options.call(method, &[]);
    if says("is_server").booleanize() {
        return Err(Refused::argument("the options are a server's"));
    }
    if says("is_unsafe_client").booleanize() {
        return Err(Refused::new(Error::ERR_UNAVAILABLE, "Sortie does not leave certificates unchecked"));
    }
    if !says("get_common_name_override").to_string().is_empty() {
        return Err(Refused::new(Error::ERR_UNAVAILABLE, "Sortie expects the host's own name in its certificate"));
    }
    let Ok(mut chain) = says("get_trusted_ca_chain").try_to::<Gd<Resource>>() else { return Ok(None) };
    Ok(Some(chain.call("save_to_string", &[]).to_string()))
}
