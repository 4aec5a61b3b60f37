//! What every behaviour test stands on: a host that speaks to Sortie through its C ABI alone.
//!
//! [`Host`] owns one client. Whatever it drains is copied, and checked against what the header promises of every event:
//! exactly one ENDED and that last, BEGAN before PROGRESS, numbers that never go back, a NUL behind every body. So each
//! test shows these too.

#![allow(unsafe_code, dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, ptr, slice, thread};

use sortie_test_server::{Gate, Response, Server};

pub use sortie::ffi::*;

/// How long anything may take before a test fails. Far more than any of it needs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The flags of a response that was stored and still holds.
pub const FROM_CACHE_REVALIDATED: u32 = SORTIE_EVENT_FROM_CACHE | SORTIE_EVENT_REVALIDATED;

/// What out parameters hold before a call, to see that a refused one left them alone.
pub const UNTOUCHED: u64 = 0x5047_4f52_5449_4521;

/// Strings that live as long as the struct that points to them.
#[derive(Default)]
pub struct Strings(Vec<CString>);

impl Strings {
    pub fn text(&mut self, text: &str) -> *const c_char {
        self.bytes(text.as_bytes())
    }

    /// For text that is not UTF-8.
    pub fn bytes(&mut self, text: &[u8]) -> *const c_char {
        self.0.push(CString::new(text).expect("C strings end at a NUL"));
        self.0.last().expect("just pushed").as_ptr()
    }

    pub fn optional(&mut self, text: Option<&str>) -> *const c_char {
        text.map_or(ptr::null(), |text| self.text(text))
    }

    pub fn headers(&mut self, headers: &[(String, String)]) -> Vec<sortie_header> {
        headers.iter().map(|(name, value)| sortie_header { name: self.text(name), value: self.text(value) }).collect()
    }
}

pub fn path_text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// Copies a string that a call gave; NULL is `None`.
pub fn copy_text(text: *const c_char) -> Option<String> {
    // SAFETY: NULL or a NUL-terminated string, valid at least until the next call on its client.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().expect("Sortie's strings are UTF-8").to_owned())
}

pub fn last_error() -> String {
    copy_text(sortie_last_error_message()).expect("never NULL")
}

/// All zero but for the size.
pub fn empty_config() -> sortie_client_config {
    // SAFETY: integers and raw pointers, for which zero is a value.
    let mut config: sortie_client_config = unsafe { MaybeUninit::zeroed().assume_init() };
    config.struct_size = size_of::<sortie_client_config>() as u32;
    config
}

/// All zero but for the size and the URL.
pub fn empty_desc(url: *const c_char) -> sortie_request_desc {
    // SAFETY: integers and raw pointers, for which zero is a value.
    let mut desc: sortie_request_desc = unsafe { MaybeUninit::zeroed().assume_init() };
    desc.struct_size = size_of::<sortie_request_desc>() as u32;
    desc.url = url;
    desc
}

/// All zero.
pub fn empty_event() -> sortie_event {
    // SAFETY: integers and raw pointers, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// A client's configuration with owned strings. Without a proxy, whatever the environment says.
#[derive(Clone)]
pub struct Setup {
    pub user_agent: Option<String>,
    pub documents: Option<PathBuf>,
    pub temporary: Option<PathBuf>,
    pub caches: Option<PathBuf>,
    pub application_support: Option<PathBuf>,
    pub resource: Option<PathBuf>,
    pub max_active: u32,
    pub max_active_per_host: u32,
    pub max_requests: u32,
    pub timeout_ms: u32,
    pub connect_timeout_ms: u32,
    pub stall_timeout_ms: u32,
    pub queue_timeout_ms: u32,
    pub min_tls_version: u32,
    pub max_body_bytes: u64,
    pub max_file_bytes: u64,
    pub max_decompression_ratio: u32,
    pub max_buffered_bytes: u64,
    pub default_headers: Vec<(String, String)>,
    pub pins: Vec<(String, String)>,
    pub ca_file: Option<PathBuf>,
    /// Host, certificate, key, password.
    pub client_certificates: Vec<(String, PathBuf, Option<PathBuf>, Option<String>)>,
    /// Host, port, address, port to connect to.
    pub resolves: Vec<(String, u16, String, u16)>,
    pub proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub flags: u32,
    pub cookie_file: Option<PathBuf>,
    pub reachability_interval_ms: u32,
    pub cache_directory: Option<PathBuf>,
    pub max_cache_bytes: u64,
    pub max_memory_cache_bytes: u64,
    pub receive_rate: u64,
    pub send_rate: u64,
    pub trace_level: u32,
    pub min_bytes_per_second: u64,
    pub min_speed_period_ms: u32,
    pub keep_alive_interval_ms: u32,
    pub max_connection_idle_ms: u32,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            user_agent: None,
            documents: None,
            temporary: None,
            caches: None,
            application_support: None,
            resource: None,
            max_active: 0,
            max_active_per_host: 0,
            max_requests: 0,
            timeout_ms: 0,
            connect_timeout_ms: 0,
            stall_timeout_ms: 0,
            queue_timeout_ms: 0,
            min_tls_version: 0,
            max_body_bytes: 0,
            max_file_bytes: 0,
            max_decompression_ratio: 0,
            max_buffered_bytes: 0,
            default_headers: Vec::new(),
            pins: Vec::new(),
            ca_file: None,
            client_certificates: Vec::new(),
            resolves: Vec::new(),
            proxy: Some(String::new()),
            no_proxy: None,
            flags: 0,
            cookie_file: None,
            reachability_interval_ms: 0,
            cache_directory: None,
            max_cache_bytes: 0,
            max_memory_cache_bytes: 0,
            receive_rate: 0,
            send_rate: 0,
            trace_level: 0,
            min_bytes_per_second: 0,
            min_speed_period_ms: 0,
            keep_alive_interval_ms: 0,
            max_connection_idle_ms: 0,
        }
    }
}

impl Setup {
    /// Creates the client, or says why it was refused: the result and the message.
    pub fn try_create(&self) -> Result<*mut sortie_client, Refused> {
        let mut strings = Strings::default();
        let mut config = empty_config();
        let path = |strings: &mut Strings, path: &Option<PathBuf>| strings.optional(path.as_deref().map(path_text));
        config.user_agent = strings.optional(self.user_agent.as_deref());
        config.documents_directory = path(&mut strings, &self.documents);
        config.temporary_directory = path(&mut strings, &self.temporary);
        config.caches_directory = path(&mut strings, &self.caches);
        config.application_support_directory = path(&mut strings, &self.application_support);
        config.resource_directory = path(&mut strings, &self.resource);
        config.max_active = self.max_active;
        config.max_active_per_host = self.max_active_per_host;
        config.max_requests = self.max_requests;
        config.timeout_ms = self.timeout_ms;
        config.connect_timeout_ms = self.connect_timeout_ms;
        config.stall_timeout_ms = self.stall_timeout_ms;
        config.queue_timeout_ms = self.queue_timeout_ms;
        config.min_tls_version = self.min_tls_version;
        config.max_body_bytes = self.max_body_bytes;
        config.max_file_bytes = self.max_file_bytes;
        config.max_decompression_ratio = self.max_decompression_ratio;
        config.max_buffered_bytes = self.max_buffered_bytes;
        let headers = strings.headers(&self.default_headers);
        (config.default_headers, config.default_header_count) = (headers.as_ptr(), headers.len() as u32);
        let pins: Vec<sortie_pin> = self
            .pins
            .iter()
            .map(|(host, keys)| sortie_pin {
                host: strings.text(host),
                public_keys: strings.text(keys),
                flags: 0,
                reserved: 0,
            })
            .collect();
        (config.pins, config.pin_count) = (pins.as_ptr(), pins.len() as u32);
        config.ca_file = path(&mut strings, &self.ca_file);
        let certificates: Vec<sortie_client_certificate> = self
            .client_certificates
            .iter()
            .map(|(host, certificate, key, password)| sortie_client_certificate {
                host: strings.text(host),
                certificate_file: strings.text(path_text(certificate)),
                key_file: path(&mut strings, key),
                key_password: strings.optional(password.as_deref()),
                flags: 0,
                reserved: 0,
            })
            .collect();
        config.client_certificates = certificates.as_ptr();
        config.client_certificate_count = certificates.len() as u32;
        let resolves: Vec<sortie_resolve> = self
            .resolves
            .iter()
            .map(|(host, port, address, address_port)| sortie_resolve {
                host: strings.text(host),
                port: (*port).into(),
                address_port: (*address_port).into(),
                address: strings.text(address),
                flags: 0,
                reserved: 0,
            })
            .collect();
        (config.resolves, config.resolve_count) = (resolves.as_ptr(), resolves.len() as u32);
        config.proxy = strings.optional(self.proxy.as_deref());
        config.no_proxy = strings.optional(self.no_proxy.as_deref());
        config.flags = self.flags;
        config.cookie_file = path(&mut strings, &self.cookie_file);
        config.reachability_interval_ms = self.reachability_interval_ms;
        config.cache_directory = path(&mut strings, &self.cache_directory);
        config.max_cache_bytes = self.max_cache_bytes;
        config.max_memory_cache_bytes = self.max_memory_cache_bytes;
        config.max_receive_bytes_per_second = self.receive_rate;
        config.max_send_bytes_per_second = self.send_rate;
        config.min_bytes_per_second = self.min_bytes_per_second;
        config.min_speed_period_ms = self.min_speed_period_ms;
        config.keep_alive_interval_ms = self.keep_alive_interval_ms;
        config.max_connection_idle_ms = self.max_connection_idle_ms;
        config.trace_level = self.trace_level;
        create_raw(&config)
    }

    pub fn start(&self) -> Host {
        match self.try_create() {
            Ok(client) => Host::of(client),
            Err(refused) => panic!("the client was refused: {refused:?}"),
        }
    }
}

/// Creates a client from a raw configuration. A refusal must leave the out parameter alone.
pub fn create_raw(config: *const sortie_client_config) -> Result<*mut sortie_client, Refused> {
    let sentinel = ptr::without_provenance_mut(UNTOUCHED as usize);
    let mut client: *mut sortie_client = sentinel;
    // SAFETY: the config's pointers live until the call returns; `client` is writable.
    let result = unsafe { sortie_client_create(config, &mut client) };
    if result == SORTIE_OK {
        assert!(!client.is_null() && client != sentinel, "a created client is given out");
        return Ok(client);
    }
    assert_eq!(client, sentinel, "a refused call leaves its out parameter alone");
    Err(Refused::now(result))
}

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub result: i32,
    pub message: String,
}

impl Refused {
    /// The refusal that this thread just got.
    pub fn now(result: i32) -> Refused {
        assert!(result < 0, "{result} is no refusal");
        let text = copy_text(sortie_result_string(result)).expect("never NULL");
        assert!(!text.is_empty() && text != "unknown result", "result {result} has a text");
        let message = last_error();
        assert!(!message.is_empty(), "a refusal says why");
        Refused { result, message }
    }
}

/// A request with owned parts.
#[derive(Clone, Default)]
pub struct Req {
    pub url: String,
    pub flags: u32,
    pub method: Option<String>,
    pub headers: Vec<(String, String)>,
    pub priority: u32,
    pub user_data: u64,
    pub body: Option<Vec<u8>>,
    pub body_path: Option<PathBuf>,
    pub body_directory: u32,
    pub body_kind: u32,
    pub content_type: Option<String>,
    pub response_path: Option<PathBuf>,
    pub response_directory: u32,
    pub progress: u32,
    pub max_redirects: u32,
    pub http_version: u32,
    pub timeout_ms: u32,
    pub connect_timeout_ms: u32,
    pub stall_timeout_ms: u32,
    pub queue_timeout_ms: u32,
    pub max_body_bytes: u64,
    pub max_file_bytes: u64,
    pub username: Option<String>,
    pub password: Option<String>,
    pub bearer_token: Option<String>,
    pub expected_sha256: Option<String>,
    pub expected_length: u64,
    pub max_attempts: u32,
    pub retry_delay_ms: u32,
    pub max_retry_delay_ms: u32,
    pub cache_mode: u32,
    pub attempt_timeout_ms: u32,
    pub stream_window_bytes: u32,
    /// With SORTIE_REQUEST_STREAM_BODY: its length.
    pub streamed_length: u64,
    pub receive_rate: u64,
    pub send_rate: u64,
    pub min_bytes_per_second: u64,
    pub min_speed_period_ms: u32,
    pub proxy: Option<String>,
    pub form: Option<Vec<Part>>,
}

/// A part of a form with owned strings.
#[derive(Clone, Default)]
pub struct Part {
    pub name: String,
    pub data: Option<Vec<u8>>,
    pub path: Option<PathBuf>,
    pub directory: u32,
    pub filename: Option<String>,
    pub content_type: Option<String>,
}

impl Part {
    pub fn field(name: &str, data: impl Into<Vec<u8>>) -> Part {
        Part { name: name.into(), data: Some(data.into()), ..Part::default() }
    }

    pub fn file(name: &str, path: impl Into<PathBuf>) -> Part {
        Part { name: name.into(), path: Some(path.into()), ..Part::default() }
    }

    /// It points to this part.
    pub fn raw(&self, strings: &mut Strings) -> sortie_form_part {
        sortie_form_part {
            name: strings.text(&self.name),
            data: self.data.as_ref().map_or(ptr::null(), |data| data.as_ptr().cast()),
            data_length: self.data.as_ref().map_or(0, |data| data.len() as u64),
            path: strings.optional(self.path.as_deref().map(path_text)),
            directory: self.directory,
            flags: 0,
            filename: strings.optional(self.filename.as_deref()),
            content_type: strings.optional(self.content_type.as_deref()),
            reserved: 0,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $kind:ty,)+) => {
        $(pub fn $name(mut self, $name: $kind) -> Req {
            self.$name = $name;
            self
        })+
    };
}

impl Req {
    pub fn get(url: impl Into<String>) -> Req {
        Req { url: url.into(), ..Req::default() }
    }

    pub fn new(method: &str, url: impl Into<String>) -> Req {
        Req { method: Some(method.into()), ..Req::get(url) }
    }

    /// A GET whose body goes to a file.
    pub fn download(url: impl Into<String>, path: impl Into<PathBuf>) -> Req {
        Req { response_path: Some(path.into()), ..Req::get(url) }
    }

    /// A POST of a file.
    pub fn upload(url: impl Into<String>, path: impl Into<PathBuf>) -> Req {
        Req { body_path: Some(path.into()), ..Req::get(url) }
    }

    setters! {
        flags: u32,
        priority: u32,
        user_data: u64,
        body_kind: u32,
        progress: u32,
        max_redirects: u32,
        http_version: u32,
        timeout_ms: u32,
        connect_timeout_ms: u32,
        stall_timeout_ms: u32,
        queue_timeout_ms: u32,
        max_body_bytes: u64,
        max_file_bytes: u64,
        expected_length: u64,
        max_attempts: u32,
        retry_delay_ms: u32,
        max_retry_delay_ms: u32,
        cache_mode: u32,
        attempt_timeout_ms: u32,
        stream_window_bytes: u32,
        streamed_length: u64,
        receive_rate: u64,
        send_rate: u64,
        min_bytes_per_second: u64,
        min_speed_period_ms: u32,
    }

    pub fn header(mut self, name: &str, value: &str) -> Req {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Req {
        self.body = Some(body.into());
        self
    }

    /// A form as the body.
    pub fn form(mut self, parts: &[Part]) -> Req {
        self.form = Some(parts.to_vec());
        self
    }

    pub fn content_type(mut self, content_type: &str) -> Req {
        self.content_type = Some(content_type.into());
        self
    }

    /// Below this directory: the file to write to, or without one the file to send.
    pub fn below(mut self, directory: u32) -> Req {
        if self.response_path.is_some() {
            self.response_directory = directory;
        } else {
            self.body_directory = directory;
        }
        self
    }

    pub fn basic(mut self, username: &str, password: &str) -> Req {
        (self.username, self.password) = (Some(username.into()), Some(password.into()));
        self
    }

    pub fn sha256(mut self, digits: &str) -> Req {
        self.expected_sha256 = Some(digits.into());
        self
    }

    pub fn proxy(mut self, url: impl Into<String>) -> Req {
        self.proxy = Some(url.into());
        self
    }

    pub fn bearer(mut self, token: &str) -> Req {
        self.bearer_token = Some(token.into());
        self
    }

    /// Submits it. A refusal must leave the out parameter alone.
    pub fn submit_to(&self, client: *mut sortie_client) -> Result<u64, Refused> {
        let mut strings = Strings::default();
        let mut desc = empty_desc(strings.text(&self.url));
        desc.flags = self.flags;
        desc.method = strings.optional(self.method.as_deref());
        let headers = strings.headers(&self.headers);
        (desc.headers, desc.header_count) = (headers.as_ptr(), headers.len() as u32);
        desc.priority = self.priority;
        desc.user_data = self.user_data;
        if let Some(body) = &self.body {
            (desc.body, desc.body_length) = (body.as_ptr().cast(), body.len() as u64);
        } else {
            desc.body_length = self.streamed_length;
        }
        desc.body_path = strings.optional(self.body_path.as_deref().map(path_text));
        desc.body_directory = self.body_directory;
        desc.body_kind = self.body_kind;
        desc.content_type = strings.optional(self.content_type.as_deref());
        desc.response_path = strings.optional(self.response_path.as_deref().map(path_text));
        desc.response_directory = self.response_directory;
        desc.progress = self.progress;
        desc.max_redirects = self.max_redirects;
        desc.http_version = self.http_version;
        desc.timeout_ms = self.timeout_ms;
        desc.connect_timeout_ms = self.connect_timeout_ms;
        desc.stall_timeout_ms = self.stall_timeout_ms;
        desc.queue_timeout_ms = self.queue_timeout_ms;
        desc.max_body_bytes = self.max_body_bytes;
        desc.max_file_bytes = self.max_file_bytes;
        desc.username = strings.optional(self.username.as_deref());
        desc.password = strings.optional(self.password.as_deref());
        desc.bearer_token = strings.optional(self.bearer_token.as_deref());
        desc.expected_sha256 = strings.optional(self.expected_sha256.as_deref());
        desc.expected_length = self.expected_length;
        desc.max_attempts = self.max_attempts;
        desc.retry_delay_ms = self.retry_delay_ms;
        desc.max_retry_delay_ms = self.max_retry_delay_ms;
        desc.cache_mode = self.cache_mode;
        desc.attempt_timeout_ms = self.attempt_timeout_ms;
        desc.stream_window_bytes = self.stream_window_bytes;
        desc.max_receive_bytes_per_second = self.receive_rate;
        desc.max_send_bytes_per_second = self.send_rate;
        desc.min_bytes_per_second = self.min_bytes_per_second;
        desc.min_speed_period_ms = self.min_speed_period_ms;
        desc.proxy = strings.optional(self.proxy.as_deref());
        let parts: Vec<_> = self.form.iter().flatten().map(|part| part.raw(&mut strings)).collect();
        if self.form.is_some() {
            (desc.form_parts, desc.form_part_count) = (parts.as_ptr(), parts.len() as u32);
        }
        submit_raw(client, &desc)
    }
}

/// Submits a raw description. A refusal must leave the out parameter alone.
pub fn submit_raw(client: *mut sortie_client, desc: *const sortie_request_desc) -> Result<u64, Refused> {
    let mut id = UNTOUCHED;
    // SAFETY: the description's pointers live until the call returns; `id` is writable.
    let result = unsafe { sortie_submit(client, desc, &mut id) };
    if result == SORTIE_OK {
        assert!(id != 0 && id < 1 << 53, "id {id} fits a double");
        return Ok(id);
    }
    assert_eq!(id, UNTOUCHED, "a refused call leaves its out parameter alone");
    Err(Refused::now(result))
}

/// An answer made up for tests, with owned parts.
#[derive(Clone, Default)]
pub struct Mock {
    pub url: String,
    pub method: Option<String>,
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub delay_ms: u32,
    pub bytes_per_second: u64,
    pub error: u32,
    pub times: u32,
}

impl Mock {
    pub fn new(url: &str) -> Mock {
        Mock { url: url.into(), ..Mock::default() }
    }

    pub fn method(mut self, method: &str) -> Mock {
        self.method = Some(method.into());
        self
    }

    pub fn status(mut self, status: u32) -> Mock {
        self.status = status;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Mock {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Mock {
        self.body = Some(body.into());
        self
    }

    pub fn delay_ms(mut self, delay_ms: u32) -> Mock {
        self.delay_ms = delay_ms;
        self
    }

    pub fn rate(mut self, bytes_per_second: u64) -> Mock {
        self.bytes_per_second = bytes_per_second;
        self
    }

    pub fn error(mut self, error: u32) -> Mock {
        self.error = error;
        self
    }

    pub fn times(mut self, times: u32) -> Mock {
        self.times = times;
        self
    }
}

/// A copy of an event and of all it points to.
#[derive(Clone, Debug)]
pub struct Event {
    pub request: u64,
    pub user_data: u64,
    pub kind: u32,
    pub error: u32,
    pub status: i32,
    pub body_kind: u32,
    pub body: Option<Vec<u8>>,
    pub file_path: Option<String>,
    pub message: Option<String>,
    pub url: String,
    pub transferred: u64,
    pub estimated: i64,
    pub headers: Vec<(String, String)>,
    pub trailers: Vec<(String, String)>,
    pub effective_url: Option<String>,
    pub status_line: Option<String>,
    pub network: u32,
    pub flags: u32,
    pub attempts: u32,
    pub retry_delay_ms: u32,
    pub trace_level: u32,
    pub timing: Option<sortie_timing>,
    pub remote_address: Option<String>,
}

impl Event {
    /// Copies an event of the last poll and checks what every event promises.
    pub fn copy(event: &sortie_event) -> Event {
        assert_eq!(event.reserved, [0; 3], "the tail is zero");
        let types = [
            SORTIE_EVENT_BEGAN,
            SORTIE_EVENT_PROGRESS,
            SORTIE_EVENT_DATA,
            SORTIE_EVENT_ENDED,
            SORTIE_EVENT_REACHABILITY,
            SORTIE_EVENT_RETRY,
            SORTIE_EVENT_WRITABLE,
            SORTIE_EVENT_TRACE,
        ];
        assert!(types.contains(&event.r#type));
        let body = (!event.body.is_null()).then(|| {
            let length = usize::try_from(event.body_length).expect("it is in memory");
            // SAFETY: the header promises body_length bytes and a NUL.
            let bytes = unsafe { slice::from_raw_parts(event.body.cast::<u8>(), length + 1) };
            assert_eq!(bytes[length], 0, "a NUL one past the body's end");
            bytes[..length].to_vec()
        });
        let copy = Event {
            request: event.request,
            user_data: event.user_data,
            kind: event.r#type,
            error: event.error,
            status: event.status,
            body_kind: event.body_kind,
            body,
            file_path: copy_text(event.file_path),
            message: copy_text(event.message),
            url: copy_text(event.url).expect("every event has its URL"),
            transferred: event.bytes_transferred,
            estimated: event.bytes_estimated,
            headers: copy_headers(event),
            trailers: copy_fields(event, sortie_event_trailer_count, sortie_event_trailer_at, sortie_event_trailer),
            // SAFETY: an event of the last poll.
            effective_url: copy_text(unsafe { sortie_event_effective_url(event) }),
            // SAFETY: an event of the last poll.
            status_line: copy_text(unsafe { sortie_event_status_line(event) }),
            network: event.network,
            flags: event.flags,
            attempts: event.attempts,
            retry_delay_ms: event.retry_delay_ms,
            trace_level: event.trace_level,
            timing: copy_timing(event),
            // SAFETY: an event of the last poll.
            remote_address: copy_text(unsafe { sortie_event_remote_address(event) }),
        };
        copy.check();
        copy
    }

    fn check(&self) {
        let ended = self.kind == SORTIE_EVENT_ENDED;
        if self.kind == SORTIE_EVENT_TRACE {
            assert!((SORTIE_TRACE_ERRORS..=SORTIE_TRACE_DETAILS).contains(&self.trace_level), "{self:?}");
            assert!(self.message.as_deref().is_some_and(|line| !line.is_empty()), "{self:?}");
            assert_eq!((self.error, self.status, self.url.as_str()), (SORTIE_ERROR_NONE, 0, ""), "{self:?}");
            return;
        }
        assert_ne!(self.request, 0);
        assert_eq!(self.trace_level, 0, "{self:?}");
        assert!(self.estimated >= -1, "{self:?}");
        if self.estimated >= 0 {
            assert!(self.transferred <= self.estimated.unsigned_abs(), "more bytes than estimated: {self:?}");
        }
        assert_eq!(self.message.is_some(), self.error != SORTIE_ERROR_NONE, "a message with every error: {self:?}");
        assert!(self.message.as_deref() != Some(""), "an error says what went wrong: {self:?}");
        let retry = self.kind == SORTIE_EVENT_RETRY;
        assert!(ended || retry || self.error == SORTIE_ERROR_NONE, "only ENDED and RETRY have an error: {self:?}");
        assert!(!retry || self.error != SORTIE_ERROR_NONE || self.status != 0, "RETRY says why: {self:?}");
        assert!(retry || self.retry_delay_ms == 0, "{self:?}");
        assert!(ended || retry || self.attempts == 0, "{self:?}");
        let unused = self.flags & SORTIE_EVENT_CREDENTIALS_UNUSED;
        assert!([0, SORTIE_EVENT_FROM_CACHE, FROM_CACHE_REVALIDATED].contains(&(self.flags - unused)), "{self:?}");
        assert!(unused == 0 || (ended && self.status == 401), "{self:?}");
        assert!(self.error <= SORTIE_ERROR_NOT_CACHED, "{self:?}");
        assert!(
            self.file_path.is_none() || (ended && self.error == SORTIE_ERROR_NONE && self.body.is_none()),
            "{self:?}"
        );
        let data = self.kind == SORTIE_EVENT_DATA;
        assert!(ended || data || self.body.is_none(), "only ENDED and DATA have a body: {self:?}");
        assert!(!data || !self.bytes().is_empty(), "DATA has some: {self:?}");
        match self.body {
            None => assert_eq!(self.body_kind, SORTIE_BODY_DEFAULT, "{self:?}"),
            Some(_) => assert!([SORTIE_BODY_TEXT, SORTIE_BODY_BINARY].contains(&self.body_kind), "{self:?}"),
        }
        assert!(self.status == 0 || (100..=999).contains(&self.status), "{self:?}");
        assert!(
            self.error != SORTIE_ERROR_NONE || !ended || self.status != 0,
            "a whole response has a status: {self:?}"
        );
        assert_eq!(self.timing.is_some(), ended, "ENDED has a timing: {self:?}");
        assert!(
            self.network == 0 || self.kind == SORTIE_EVENT_REACHABILITY,
            "only a watch tells of the network: {self:?}"
        );
        assert_eq!(self.status_line.is_some(), self.status != 0 && !data, "a status comes with its line: {self:?}");
        assert!(!self.url.contains('@'), "no credentials in {}", self.url);
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body in memory; none is empty.
    pub fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or(&[])
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).expect("a text body")
    }

    /// Asserts a whole response with this status.
    #[track_caller]
    pub fn ok(&self, status: i32) -> &Event {
        assert_eq!((self.error, self.status), (SORTIE_ERROR_NONE, status), "{self:?}");
        self
    }

    /// Asserts that it ended with this error, and gives its message.
    #[track_caller]
    pub fn failed(&self, error: u32) -> &str {
        self.failed_as(&[error])
    }

    /// Asserts that it ended with one of these errors, and gives its message.
    #[track_caller]
    pub fn failed_as(&self, errors: &[u32]) -> &str {
        assert_eq!(self.kind, SORTIE_EVENT_ENDED, "{self:?}");
        assert!(errors.contains(&self.error), "error is {}, not one of {errors:?}: {self:?}", self.error);
        self.message.as_deref().expect("checked when copied")
    }
}

fn copy_headers(event: &sortie_event) -> Vec<(String, String)> {
    copy_fields(event, sortie_event_header_count, sortie_event_header_at, sortie_event_header)
}

/// Copies fields by the functions that count them, read them by place, and find them by name.
fn copy_fields(
    event: &sortie_event,
    count: unsafe extern "C" fn(*const sortie_event) -> u32,
    at: unsafe extern "C" fn(*const sortie_event, u32, *mut *const c_char, *mut *const c_char) -> sortie_result,
    named: unsafe extern "C" fn(*const sortie_event, *const c_char, u32) -> *const c_char,
) -> Vec<(String, String)> {
    // SAFETY: an event of the last poll; the out parameters are writable.
    unsafe {
        let count = count(event);
        let mut seen = HashMap::<String, u32>::new();
        let mut fields = Vec::new();
        for i in 0..count {
            let (mut name, mut value) = (ptr::null(), ptr::null());
            assert_eq!(at(event, i, &mut name, &mut value), SORTIE_OK);
            let field = (copy_text(name).expect("a name"), copy_text(value).expect("a value"));
            // Found by name as well, whatever the case, in the same order.
            let index = seen.entry(field.0.to_ascii_lowercase()).or_default();
            let upper = CString::new(field.0.to_ascii_uppercase()).expect("no NUL");
            assert_eq!(named(event, upper.as_ptr(), *index), value, "{field:?}");
            *index += 1;
            fields.push(field);
        }
        let mut name = ptr::null();
        assert_eq!(at(event, count, &mut name, ptr::null_mut()), SORTIE_RESULT_NOT_FOUND);
        assert!(name.is_null(), "left alone");
        fields
    }
}

fn copy_timing(event: &sortie_event) -> Option<sortie_timing> {
    // SAFETY: integers, for which zero is a value.
    let mut timing: sortie_timing = unsafe { MaybeUninit::zeroed().assume_init() };
    timing.struct_size = size_of::<sortie_timing>() as u32;
    // SAFETY: an event of the last poll, and room for a timing.
    match unsafe { sortie_event_timing(event, &mut timing) } {
        SORTIE_OK => Some(timing),
        SORTIE_RESULT_NOT_FOUND => None,
        other => panic!("sortie_event_timing gave {other}"),
    }
}

/// What has been seen of one request.
#[derive(Default)]
struct Seen {
    user_data: u64,
    began: bool,
    head_told: bool,
    ended: bool,
    any: bool,
    transferred: u64,
    /// Drained and not yet asked for.
    events: Vec<Event>,
}

#[derive(Default)]
struct Ledger {
    accepted: u64,
    ended: u64,
    seen: HashMap<u64, Seen>,
    /// Lines of the trace that were not asked for yet.
    traces: Vec<Event>,
}

impl Ledger {
    fn note(&mut self, event: &Event) {
        if event.kind == SORTIE_EVENT_TRACE {
            let ended = self.seen.get(&event.request).is_some_and(|seen| seen.ended);
            assert!(!ended, "an event after ENDED: {event:?}");
            self.traces.push(event.clone());
            return;
        }
        let seen = self.seen.entry(event.request).or_default();
        assert!(!seen.ended, "an event after ENDED: {event:?}");
        assert!(!seen.any || seen.user_data == event.user_data, "user data changed: {event:?}");
        assert!(event.transferred >= seen.transferred, "went back from {}: {event:?}", seen.transferred);
        match event.kind {
            // One of an upload, one of a stream's head: once each.
            SORTIE_EVENT_BEGAN => {
                let first = event.status == 0 && !seen.began || event.status != 0 && !seen.head_told;
                assert!(first, "a second BEGAN: {event:?}");
                (seen.began, seen.head_told) = (true, seen.head_told || event.status != 0);
            }
            SORTIE_EVENT_PROGRESS | SORTIE_EVENT_DATA => assert!(seen.began, "before BEGAN: {event:?}"),
            SORTIE_EVENT_REACHABILITY | SORTIE_EVENT_RETRY | SORTIE_EVENT_WRITABLE => {}
            _ => {
                seen.ended = true;
                self.ended += 1;
            }
        }
        (seen.any, seen.user_data, seen.transferred) = (true, event.user_data, event.transferred);
    }
}

/// A client and its game. Destroyed when dropped.
pub struct Host {
    client: *mut sortie_client,
    ledger: Mutex<Ledger>,
}

// SAFETY: every call on a client but poll may come from any thread, and poll refuses a second one by itself.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: made by sortie_client_create() and destroyed once.
        unsafe { sortie_client_destroy(self.client) };
    }
}

impl Host {
    /// With the defaults.
    pub fn new() -> Host {
        Setup::default().start()
    }

    pub fn of(client: *mut sortie_client) -> Host {
        Host { client, ledger: Mutex::default() }
    }

    pub fn raw(&self) -> *mut sortie_client {
        self.client
    }

    /// Destroys the client and tells how long that took.
    pub fn destroy(self) -> Duration {
        let started = Instant::now();
        drop(self);
        started.elapsed()
    }

    pub fn try_submit(&self, request: &Req) -> Result<u64, Refused> {
        let id = request.submit_to(self.client)?;
        self.ledger.lock().unwrap().accepted += 1;
        Ok(id)
    }

    #[track_caller]
    pub fn submit(&self, request: &Req) -> u64 {
        match self.try_submit(request) {
            Ok(id) => id,
            Err(refused) => panic!("{} was refused: {refused:?}", request.url),
        }
    }

    #[track_caller]
    pub fn get(&self, url: impl Into<String>) -> u64 {
        self.submit(&Req::get(url))
    }

    /// Counts a request that a test submitted by itself.
    pub fn accepted(&self, id: u64) -> u64 {
        self.ledger.lock().unwrap().accepted += 1;
        id
    }

    pub fn try_set_cookie(&self, url: &str, cookie: &str) -> Result<(), Refused> {
        let mut strings = Strings::default();
        let (url, cookie) = (strings.text(url), strings.text(cookie));
        // SAFETY: a live client and two strings.
        match unsafe { sortie_client_set_cookie(self.client, url, cookie) } {
            SORTIE_OK => Ok(()),
            refused => Err(Refused::now(refused)),
        }
    }

    pub fn try_mock(&self, mock: &Mock) -> Result<u64, Refused> {
        let mut strings = Strings::default();
        let headers = strings.headers(&mock.headers);
        let body = mock.body.as_deref();
        let raw = sortie_mock {
            struct_size: size_of::<sortie_mock>() as u32,
            status: mock.status,
            method: strings.optional(mock.method.as_deref()),
            url: strings.text(&mock.url),
            headers: headers.as_ptr(),
            header_count: headers.len() as u32,
            delay_ms: mock.delay_ms,
            body: body.map_or(ptr::null(), |body| body.as_ptr().cast()),
            body_length: body.map_or(0, |body| body.len() as u64),
            bytes_per_second: mock.bytes_per_second,
            error: mock.error,
            times: mock.times,
        };
        let mut id = UNTOUCHED;
        // SAFETY: a live client, a mock whose pointers live until the call returns, and room for an id.
        match unsafe { sortie_client_mock(self.client, &raw, &mut id) } {
            SORTIE_OK => Ok(id),
            refused => {
                assert_eq!(id, UNTOUCHED, "a refused call leaves its out parameter alone");
                Err(Refused::now(refused))
            }
        }
    }

    #[track_caller]
    pub fn mock(&self, mock: &Mock) -> u64 {
        self.try_mock(mock).expect("a mock")
    }

    pub fn unmock(&self, id: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_client_unmock(self.client, id) }
    }

    pub fn clear_cache(&self) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_client_clear_cache(self.client) }
    }

    pub fn clear_cookies(&self) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_client_clear_cookies(self.client) }
    }

    pub fn try_watch(&self, host: &str, user_data: u64) -> Result<u64, Refused> {
        let mut strings = Strings::default();
        let mut watch = UNTOUCHED;
        // SAFETY: a live client, a string, and room for an id.
        match unsafe { sortie_reachability_watch(self.client, strings.text(host), user_data, &mut watch) } {
            SORTIE_OK => Ok(watch),
            refused => {
                assert_eq!(watch, UNTOUCHED, "a refused call leaves its out parameter alone");
                Err(Refused::now(refused))
            }
        }
    }

    #[track_caller]
    pub fn watch(&self, host: &str) -> u64 {
        self.try_watch(host, 0).expect("a host to watch")
    }

    pub fn unwatch(&self, watch: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_reachability_unwatch(self.client, watch) }
    }

    /// Drains until a watch has something to tell.
    #[track_caller]
    pub fn news(&self, watch: u64) -> Event {
        self.pump_until("news of a host", |ledger| {
            let events = &mut ledger.seen.get_mut(&watch)?.events;
            (!events.is_empty()).then(|| events.remove(0))
        })
    }

    pub fn cancel(&self, id: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_cancel(self.client, id) }
    }

    pub fn pause(&self, id: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_request_pause(self.client, id) }
    }

    pub fn unpause(&self, id: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_request_unpause(self.client, id) }
    }

    pub fn set_priority(&self, id: u64, priority: u32) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_request_set_priority(self.client, id, priority) }
    }

    pub fn set_rate(&self, id: u64, receive: u64, send: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_request_set_rate(self.client, id, receive, send) }
    }

    pub fn set_client_rate(&self, receive: u64, send: u64) {
        // SAFETY: a live client.
        assert_eq!(unsafe { sortie_client_set_rate(self.client, receive, send) }, SORTIE_OK);
    }

    pub fn set_trace_level(&self, level: u32) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_client_set_trace_level(self.client, level) }
    }

    /// The lines of the trace that were drained and not yet asked for.
    pub fn traces(&self) -> Vec<Event> {
        std::mem::take(&mut self.ledger.lock().unwrap().traces)
    }

    /// Hands over some of a streamed body: how much was taken.
    pub fn try_write(&self, id: u64, bytes: &[u8]) -> Result<usize, Refused> {
        let mut taken = UNTOUCHED;
        // SAFETY: a live client, as many bytes as it says, and room for a number.
        match unsafe { sortie_body_write(self.client, id, bytes.as_ptr().cast(), bytes.len() as u64, &mut taken) } {
            SORTIE_OK => Ok(usize::try_from(taken).expect("at most what was given")),
            refused => {
                assert_eq!(taken, UNTOUCHED, "a refused call leaves its out parameter alone");
                Err(Refused::now(refused))
            }
        }
    }

    /// Hands over all of a body, in frames as a game would: after less than all it waits for WRITABLE.
    #[track_caller]
    pub fn write_all(&self, id: u64, mut bytes: &[u8]) {
        loop {
            let taken = self.try_write(id, bytes).expect("a piece of body");
            bytes = &bytes[taken..];
            if bytes.is_empty() {
                return;
            }
            self.pump_until("room for more of a body", |ledger| {
                let seen = ledger.seen.get_mut(&id)?;
                let at = seen.events.iter().position(|event| event.kind == SORTIE_EVENT_WRITABLE);
                assert!(at.is_some() || !seen.ended, "it ended without: {:?}", seen.events.last());
                at.map(|at| seen.events.remove(at))
            });
        }
    }

    pub fn finish(&self, id: u64) -> i32 {
        // SAFETY: a live client.
        unsafe { sortie_body_finish(self.client, id) }
    }

    pub fn wait(&self, timeout: Duration) -> bool {
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: a live client.
        match unsafe { sortie_wait(self.client, milliseconds) } {
            0 => false,
            1 => true,
            other => panic!("sortie_wait gave {other}"),
        }
    }

    /// One frame, with room for `capacity` events: each is checked and copied, and handed over while what it points to
    /// is still there. Gives the result.
    pub fn poll_raw(&self, capacity: usize, mut see: impl FnMut(&sortie_event, Event)) -> i32 {
        let mut events = vec![empty_event(); capacity];
        // SAFETY: a live client, and room for `capacity` events.
        let count = unsafe { sortie_poll(self.client, events.as_mut_ptr(), capacity as u32) };
        if let Ok(count) = usize::try_from(count) {
            assert!(count <= capacity);
            for event in &events[..count] {
                let copy = Event::copy(event);
                self.ledger.lock().unwrap().note(&copy);
                see(event, copy);
            }
        }
        count
    }

    /// One frame: what was drained.
    pub fn poll(&self) -> Vec<Event> {
        self.poll_up_to(64)
    }

    pub fn poll_up_to(&self, capacity: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let count = self.poll_raw(capacity, |_, event| events.push(event));
        assert!(count >= 0, "sortie_poll gave {count}: {}", last_error());
        events
    }

    /// Drains until one event has come, which is handed over while what it points to is still there.
    #[track_caller]
    pub fn next_event(&self, mut see: impl FnMut(&sortie_event, Event)) {
        let deadline = Instant::now() + DEADLINE;
        while self.poll_raw(1, &mut see) == 0 {
            assert!(Instant::now() < deadline, "no event came; {:?}", self.stats());
            self.wait(Duration::from_millis(100));
        }
    }

    /// Counts requests whose end a test drained by itself.
    pub fn drained_elsewhere(&self, count: u64) {
        self.ledger.lock().unwrap().ended += count;
    }

    /// One frame, its events kept for whoever asks for their request.
    fn pump(&self) {
        self.wait(Duration::from_millis(100));
        let events = self.poll();
        let mut ledger = self.ledger.lock().unwrap();
        for event in events.into_iter().filter(|event| event.kind != SORTIE_EVENT_TRACE) {
            if let Some(seen) = ledger.seen.get_mut(&event.request) {
                seen.events.push(event);
            }
        }
    }

    #[track_caller]
    fn pump_until<T>(&self, what: &str, mut found: impl FnMut(&mut Ledger) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = found(&mut self.ledger.lock().unwrap()) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} took too long; {:?}", self.stats());
            self.pump();
        }
    }

    /// Drains until this request's ENDED, and gives all its events that were not asked for before.
    #[track_caller]
    pub fn events(&self, id: u64) -> Vec<Event> {
        self.pump_until("a request's end", |ledger| {
            let seen = ledger.seen.get_mut(&id).filter(|seen| seen.ended)?;
            Some(std::mem::take(&mut seen.events))
        })
    }

    /// Drains until this request's ENDED.
    #[track_caller]
    pub fn ended(&self, id: u64) -> Event {
        self.events(id).pop().expect("asked for once")
    }

    #[track_caller]
    pub fn all_ended(&self, ids: &[u64]) -> Vec<Event> {
        ids.iter().map(|id| self.ended(*id)).collect()
    }

    /// Drains until an event of this request is as wanted; it stays for [`Host::events`].
    #[track_caller]
    pub fn await_event(&self, id: u64, wanted: impl Fn(&Event) -> bool) -> Event {
        self.pump_until("an event", |ledger| {
            let seen = ledger.seen.get(&id)?;
            let found = seen.events.iter().find(|event| wanted(event)).cloned();
            assert!(found.is_some() || !seen.ended, "it ended without: {:?}", seen.events.last());
            found
        })
    }

    /// Submits and drains until the end.
    #[track_caller]
    pub fn fetch(&self, request: &Req) -> Event {
        self.ended(self.submit(request))
    }

    /// Drains until every accepted request has ended.
    #[track_caller]
    pub fn drain(&self) {
        self.pump_until("every request's end", |ledger| (ledger.accepted == ledger.ended).then_some(()));
    }

    /// How many were accepted and how many have ended.
    pub fn counts(&self) -> (u64, u64) {
        let ledger = self.ledger.lock().unwrap();
        (ledger.accepted, ledger.ended)
    }

    /// Forgets the requests that have ended.
    pub fn forget_ended(&self) {
        self.ledger.lock().unwrap().seen.retain(|_, seen| !seen.ended);
    }

    pub fn suspend(&self) {
        // SAFETY: a live client.
        assert_eq!(unsafe { sortie_client_suspend(self.client) }, SORTIE_OK);
    }

    pub fn resume(&self) {
        // SAFETY: a live client.
        assert_eq!(unsafe { sortie_client_resume(self.client) }, SORTIE_OK);
    }

    pub fn stats(&self) -> sortie_stats {
        // SAFETY: integers, for which zero is a value.
        let mut stats: sortie_stats = unsafe { MaybeUninit::zeroed().assume_init() };
        stats.struct_size = size_of::<sortie_stats>() as u32;
        // SAFETY: a live client, and room for stats.
        assert_eq!(unsafe { sortie_client_stats(self.client, &mut stats) }, SORTIE_OK);
        stats
    }
}

/// Waits for something that nobody signals.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} took too long");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until a cache has so many entries in its folder.
pub fn await_entries(folder: &Folder, count: usize) {
    let is_entry = |name: &String| name.ends_with(".sortie-cache") && !name.ends_with("lock.sortie-cache");
    until("an entry", || folder.names().iter().filter(|name| is_entry(name)).count() == count);
}

/// Lets time pass in a way that a test can see: another client's request that waits for nothing ends by its own limit.
pub fn let_pass(milliseconds: u32) {
    let hole = sortie_test_server::BlackHole::start();
    let clock = Host::new();
    let request = Req::get(hole.url("/")).timeout_ms(milliseconds).connect_timeout_ms(SORTIE_NO_TIMEOUT);
    clock.fetch(&request).failed(SORTIE_ERROR_TIMEOUT);
}

/// Runs a test in a process of its own, for what counts descriptors, threads or memory, or needs an environment.
/// nextest gives each test its own process anyway; `cargo test` does not. Gives what a further process wrote to stderr.
pub fn isolated(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) -> String {
    const NAME: &str = "SORTIE_TEST_ISOLATED";
    let own_process = env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    if env::var(NAME).is_ok_and(|name| name == test) || (environment.is_empty() && own_process) {
        body();
        return String::new();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
        .envs(environment.iter().copied())
        .env(NAME, test);
    #[cfg(unix)]
    // Without a terminal: nobody can be asked anything.
    // SAFETY: setsid() may be called between fork and exec.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, || {
            libc::setsid();
            Ok(())
        });
    }
    let output = command.output().expect("the test starts once more");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}");
    eprint!("{err}");
    assert!(output.status.success() && out.contains("1 passed"), "{test} failed in its own process");
    err.into_owned()
}

/// The open descriptors and the threads of this process, by what they are.
#[cfg(target_os = "linux")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belongings {
    pub descriptors: BTreeMap<String, usize>,
    pub threads: BTreeMap<String, usize>,
}

#[cfg(target_os = "linux")]
impl Belongings {
    pub fn now() -> Belongings {
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            // The one that lists the folder is gone by now, or leads to the folder itself.
            let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
            let text = target.to_string_lossy();
            if !text.ends_with("/fd") {
                // "socket:[12345]" is a socket, whichever it is.
                let kind = text.split_once(":[").map_or(text.as_ref(), |(kind, _)| kind);
                *descriptors.entry(kind.to_owned()).or_default() += 1;
            }
        }
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/task").unwrap() {
            if let Ok(name) = fs::read_to_string(entry.unwrap().path().join("comm")) {
                *threads.entry(name.trim().to_owned()).or_default() += 1;
            }
        }
        Belongings { descriptors, threads }
    }

    /// Waits until this process has what it had.
    #[track_caller]
    pub fn await_same(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Belongings::now();
            if now == *self {
                return;
            }
            assert!(Instant::now() < deadline, "something is left:\nbefore {self:?}\nafter  {now:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// This process's resident memory in bytes, without what the allocator keeps for later.
#[cfg(target_os = "linux")]
pub fn resident_bytes() -> u64 {
    #[cfg(target_env = "gnu")]
    // SAFETY: may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a VmRSS line");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kilobytes * 1024
}

/// A folder that is gone at the end, together with the check that nothing but what is expected lies in it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::Builder::new().prefix("sortie").tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file.
    pub fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// Every file and folder below, by its name from here, in order.
    pub fn names(&self) -> Vec<String> {
        fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), names);
                }
                names.push(name);
            }
        }
        let mut names = Vec::new();
        walk(self.path(), "", &mut names);
        names.sort();
        names
    }

    /// Asserts that exactly these files and folders are there: no temporary file, nothing missing.
    #[track_caller]
    pub fn holds(&self, names: &[&str]) {
        assert_eq!(self.names(), names);
    }
}

/// xorshift64*, so that a seed repeats a run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A seed: SORTIE_TEST_SEED, or the time. Printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = env::var("SORTIE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
    });
    println!("SORTIE_TEST_SEED={seed}");
    seed
}

/// A SHA-256 as requests expect it.
pub fn sha256(bytes: &[u8]) -> String {
    <sha2::Sha256 as sha2::Digest>::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server that reads the start of an upload, opens `started`, and reads the rest when `gate` is open.
pub fn slow_reader(started: &Arc<AtomicBool>, gate: &Gate) -> Server {
    let (started, gate) = (Arc::clone(started), gate.clone());
    Server::builder()
        .handler(move |request, conn| {
            if request.path() != "/slow-reader" {
                return Ok(None);
            }
            conn.read_body_up_to(1000)?;
            started.store(true, Ordering::SeqCst);
            conn.wait_at(&gate)?;
            conn.drain_body()?;
            let (length, _, hash) = conn.body_so_far();
            conn.send(&Response::new(200).text(format!("{length} {hash:016x}"))).map(Some)
        })
        .start()
}
