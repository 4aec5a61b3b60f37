//! Reading what C hands over: strings, structs that may be older or newer, arrays.

use std::ffi::{CStr, c_char, c_void};
use std::mem::{MaybeUninit, offset_of, size_of};
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::types::*;
use crate::body::form::FormPart;
use crate::config::{ClientCertificate, Config, Pin, Proxy, Resolve, TlsVersion};
use crate::error::{ErrorKind, Reason, Refusal};
use crate::event::{BodyKind, TraceLevel};
use crate::mock::Mock;
use crate::request::{
    BaseDirectory, CacheMode, FileName, HttpVersion, Limit, MinSpeed, Priority, Progress, Rates, Request, Retry,
    SharedBytes,
};

/// A struct_size beyond this is a mistake, not a newer struct.
const MAX_STRUCT: usize = 4096;
/// The most elements that an array in a struct may have.
const MAX_ELEMENTS: u32 = 10_000;

pub(super) fn null(what: &str) -> Refusal {
    Refusal::new(Reason::NullArgument, format!("{what} is NULL"))
}

fn out_of_range(what: &str, value: u32) -> Refusal {
    Refusal::new(Reason::Argument, format!("{what} is {value}, which has no meaning"))
}

/// Borrows what a pointer from C points to.
///
/// # Safety
/// `pointer` is NULL or points to a live `T` that nobody changes during `'a`.
pub(super) unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Refusal> {
    // SAFETY: promised by the caller.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// Reads a string; `None` for NULL.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives and stays as it is during `'a`.
pub(super) unsafe fn optional_text<'a>(text: *const c_char, what: &str) -> Result<Option<&'a str>, Refusal> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| Refusal::new(Reason::Utf8, format!("{what} is not valid UTF-8")))
}

/// Reads a string that must be there.
///
/// # Safety
/// As [`optional_text`].
pub(super) unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str, Refusal> {
    // SAFETY: promised by the caller.
    unsafe { optional_text(text, what) }?.ok_or_else(|| null(what))
}

/// Reads a string that must be there, whatever its bytes.
///
/// # Safety
/// As [`optional_text`].
pub(super) unsafe fn c_bytes<'a>(text: *const c_char, what: &str) -> Result<&'a [u8], Refusal> {
    if text.is_null() {
        return Err(null(what));
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Reads an array; an absent one is empty.
///
/// # Safety
/// `items` is NULL or points to `count` live elements that stay as they are during `'a`.
unsafe fn array<'a, T>(items: *const T, count: u32, what: &str) -> Result<&'a [T], Refusal> {
    if count == 0 {
        return Ok(&[]);
    }
    if items.is_null() {
        return Err(null(what));
    }
    if count > MAX_ELEMENTS {
        let message = format!("{what} has {count} elements, the limit is {MAX_ELEMENTS}");
        return Err(Refusal::new(Reason::Argument, message));
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { slice::from_raw_parts(items, count as usize) })
}

/// A struct that C programs of other releases hand over: all zero is a valid value, and it begins with its size.
///
/// # Safety
/// Implemented only for `repr(C)` structs whose first field is a `u32` size and that may be all zero bytes.
pub(super) unsafe trait Sized0: Copy {
    /// The C name.
    const NAME: &'static str;
    /// The size in the release that introduced it: up to the end of its last field then.
    const FIRST: usize;
}

// SAFETY: repr(C), begins with struct_size, and consists of integers and raw pointers.
unsafe impl Sized0 for sortie_request_desc {
    const NAME: &'static str = "sortie_request_desc";
    const FIRST: usize = offset_of!(sortie_request_desc, proxy) + size_of::<*const c_char>();
}

// SAFETY: repr(C), begins with struct_size, and consists of integers and raw pointers.
unsafe impl Sized0 for sortie_client_config {
    const NAME: &'static str = "sortie_client_config";
    const FIRST: usize = offset_of!(sortie_client_config, max_connection_idle_ms) + size_of::<u32>();
}

// SAFETY: repr(C), begins with struct_size, and consists of integers and raw pointers.
unsafe impl Sized0 for sortie_mock {
    const NAME: &'static str = "sortie_mock";
    const FIRST: usize = offset_of!(sortie_mock, times) + size_of::<u32>();
}

// SAFETY: repr(C), begins with struct_size, and consists of integers.
unsafe impl Sized0 for sortie_timing {
    const NAME: &'static str = "sortie_timing";
    const FIRST: usize = offset_of!(sortie_timing, bytes_sent) + size_of::<u64>();
}

// SAFETY: repr(C), begins with struct_size, and consists of integers.
unsafe impl Sized0 for sortie_stats {
    const NAME: &'static str = "sortie_stats";
    const FIRST: usize = offset_of!(sortie_stats, send_bytes_per_second) + size_of::<u64>();
}

/// Checks struct_size and returns it.
///
/// # Safety
/// `input` is NULL or points to at least a `u32`.
unsafe fn struct_size<T: Sized0>(input: *const T) -> Result<usize, Refusal> {
    if input.is_null() {
        return Err(null(T::NAME));
    }
    // SAFETY: not NULL, and the first field is a u32.
    let size = unsafe { input.cast::<u32>().read() } as usize;
    if (T::FIRST..=MAX_STRUCT).contains(&size) {
        return Ok(size);
    }
    let message = format!("{}.struct_size is {size}, it must be sizeof({}), at least {}", T::NAME, T::NAME, T::FIRST);
    Err(Refusal::new(Reason::StructSize, message))
}

/// Copies a struct in: an older, smaller one is filled up with zeros, a newer one must be zero past what is known here.
///
/// # Safety
/// `input` is NULL or points to as many readable bytes as its first field says.
pub(super) unsafe fn read_struct<T: Sized0>(input: *const T) -> Result<T, Refusal> {
    // SAFETY: promised by the caller.
    let size = unsafe { struct_size(input) }?;
    let known = size.min(size_of::<T>());
    // SAFETY: `size` bytes are readable by the caller's promise, and known <= size.
    let beyond = unsafe { slice::from_raw_parts(input.cast::<u8>().add(known), size - known) };
    if beyond.iter().any(|byte| *byte != 0) {
        let message =
            format!("{} has fields set that this library, {}, does not know", T::NAME, env!("CARGO_PKG_VERSION"));
        return Err(Refusal::new(Reason::StructSize, message));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are readable in `input` and writable in `value`; all zero is a T and so is a prefix of one.
    unsafe {
        std::ptr::copy_nonoverlapping(input.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known);
        Ok(value.assume_init())
    }
}

/// Copies a struct out, as much of it as the caller's has room for, and zeros where that has more; its struct_size stays
/// as it was.
///
/// # Safety
/// `output` is NULL or points to as many writable bytes as its first field says.
pub(super) unsafe fn write_struct<T: Sized0>(output: *mut T, value: T) -> Result<(), Refusal> {
    // SAFETY: promised by the caller.
    let size = unsafe { struct_size(output.cast_const()) }?;
    let header = size_of::<u32>();
    let count = size.min(size_of::<T>()) - header;
    let from = (&raw const value).cast::<u8>();
    let to = output.cast::<u8>();
    // SAFETY: `count + header` is at most the caller's size and at most a T's, and `size` bytes are the caller's.
    unsafe {
        std::ptr::copy_nonoverlapping(from.add(header), to.add(header), count);
        to.add(header + count).write_bytes(0, size - header - count);
    }
    Ok(())
}

fn limit(milliseconds: u32) -> Limit {
    match milliseconds {
        0 => Limit::Default,
        SORTIE_NO_TIMEOUT => Limit::Never,
        _ => Limit::After(Duration::from_millis(milliseconds.into())),
    }
}

fn directory(number: u32, what: &str) -> Result<BaseDirectory, Refusal> {
    Ok(match number {
        SORTIE_DIRECTORY_NONE => BaseDirectory::None,
        SORTIE_DIRECTORY_DOCUMENTS => BaseDirectory::Documents,
        SORTIE_DIRECTORY_TEMPORARY => BaseDirectory::Temporary,
        SORTIE_DIRECTORY_CACHES => BaseDirectory::Caches,
        SORTIE_DIRECTORY_APPLICATION_SUPPORT => BaseDirectory::ApplicationSupport,
        SORTIE_DIRECTORY_RESOURCE => BaseDirectory::Resource,
        _ => return Err(out_of_range(what, number)),
    })
}

pub(super) fn priority(number: u32) -> Result<Priority, Refusal> {
    Ok(match number {
        SORTIE_PRIORITY_NORMAL => Priority::Normal,
        SORTIE_PRIORITY_HIGH => Priority::High,
        SORTIE_PRIORITY_LOW => Priority::Low,
        other => return Err(out_of_range("priority", other)),
    })
}

pub(super) fn trace_level(number: u32) -> Result<TraceLevel, Refusal> {
    Ok(match number {
        SORTIE_TRACE_OFF => TraceLevel::Off,
        SORTIE_TRACE_ERRORS => TraceLevel::Errors,
        SORTIE_TRACE_REQUESTS => TraceLevel::Requests,
        SORTIE_TRACE_DETAILS => TraceLevel::Details,
        other => return Err(out_of_range("trace_level", other)),
    })
}

/// The body that SORTIE_REQUEST_BORROW_BODY lends.
struct Lent {
    bytes: *const u8,
    length: usize,
}

// SAFETY: the host promises that the bytes stay as they are until the request has ended, whoever reads them.
unsafe impl Send for Lent {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the host promises so until the request's ENDED event is drained, and the worker lets go of the body
        // before it sends that event.
        unsafe { slice::from_raw_parts(self.bytes, self.length) }
    }
}

/// Reads a body in memory, `what` says whose; copied unless it is lent. `None` if there is none.
///
/// # Safety
/// `bytes` is NULL or points to `length` bytes, which stay until the request has ended if `lent`.
unsafe fn body(bytes: *const c_void, length: u64, lent: bool, what: &str) -> Result<Option<SharedBytes>, Refusal> {
    if bytes.is_null() {
        return if length == 0 { Ok(None) } else { Err(null(what)) };
    }
    let too_large =
        || Refusal::new(Reason::BodyTooLarge, format!("body_length is {length}, more than memory can hold"));
    let length = isize::try_from(length).map_err(|_| too_large())?.unsigned_abs();
    if lent {
        return Ok(Some(Arc::new(Lent { bytes: bytes.cast(), length })));
    }
    // SAFETY: promised by the caller; the length is at most isize::MAX.
    let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), length) };
    let mut copy = Vec::new();
    copy.try_reserve_exact(length).map_err(|_| too_large())?;
    copy.extend_from_slice(bytes);
    Ok(Some(Arc::new(copy)))
}

/// Reads the parts of a form.
///
/// # Safety
/// `parts` is NULL or points to `count` parts whose pointers are as their fields say, all of which stay as they are during
/// `'a`.
#[allow(clippy::undocumented_unsafe_blocks)] // one comment says it for all
pub(super) unsafe fn form_parts<'a>(parts: *const sortie_form_part, count: u32) -> Result<Vec<FormPart<'a>>, Refusal> {
    // SAFETY, for every block below: the caller promises that each pointer is NULL or as its field says.
    let parts = unsafe { array(parts, count, "form_parts") }?;
    let read = |part: &sortie_form_part| {
        let name = unsafe { text(part.name, "form part name") }?;
        let refuse = |what: &str| Refusal::new(Reason::Argument, format!("form part '{name}': {what}"));
        if part.flags != 0 || part.reserved != 0 {
            return Err(refuse("flags and reserved must be 0"));
        }
        let mut read = match unsafe { optional_text(part.path, "form part path") }? {
            Some(_) if !part.data.is_null() => return Err(refuse("data and path are both set")),
            Some(path) => FormPart::file(name, FileName::new(path, directory(part.directory, "form part directory")?)?),
            None => FormPart::bytes(name, unsafe { bytes(part.data, part.data_length, "form part data") }?),
        };
        if let Some(filename) = unsafe { optional_text(part.filename, "form part filename") }? {
            read = read.filename(filename);
        }
        if let Some(content_type) = unsafe { optional_text(part.content_type, "form part content_type") }? {
            read = read.content_type(content_type);
        }
        Ok(read)
    };
    parts.iter().map(read).collect()
}

/// Reads bytes; NULL with a length of 0 is none.
///
/// # Safety
/// `bytes` is NULL or points to `length` bytes that stay as they are during `'a`.
pub(super) unsafe fn bytes<'a>(bytes: *const c_void, length: u64, what: &str) -> Result<&'a [u8], Refusal> {
    let too_large =
        |_| Refusal::new(Reason::BodyTooLarge, format!("{what} has {length} bytes, more than memory can hold"));
    match isize::try_from(length).map_err(too_large)?.unsigned_abs() {
        0 => Ok(&[]),
        _ if bytes.is_null() => Err(null(what)),
        // SAFETY: promised by the caller; the length is at most isize::MAX.
        length => Ok(unsafe { slice::from_raw_parts(bytes.cast(), length) }),
    }
}

/// Turns a description into a request.
///
/// # Safety
/// Every pointer in `desc` is NULL or points to what its field says.
#[allow(clippy::undocumented_unsafe_blocks)] // one comment says it for all
pub(super) unsafe fn request(desc: &sortie_request_desc) -> Result<Request, Refusal> {
    const FLAGS: u32 = SORTIE_REQUEST_MANUAL_REDIRECTS
        | SORTIE_REQUEST_INSECURE_REDIRECTS
        | SORTIE_REQUEST_BORROW_BODY
        | SORTIE_REQUEST_NO_SYNC
        | SORTIE_REQUEST_RAW_TEXT
        | SORTIE_REQUEST_NO_COOKIES
        | SORTIE_REQUEST_GZIP_BODY
        | SORTIE_REQUEST_STREAM_RESPONSE
        | SORTIE_REQUEST_STREAM_BODY
        | SORTIE_REQUEST_RESUME
        | SORTIE_REQUEST_RETRY_ANY_METHOD
        | SORTIE_REQUEST_RETRY_EVENTS;
    known_flags(desc.flags, FLAGS)?;
    let flag = |flag| desc.flags & flag != 0;

    // SAFETY, for every block below: the caller promises that each pointer is NULL or as its field says.
    let mut request = Request::get(unsafe { text(desc.url, "url") }?)?;
    if let Some(method) = unsafe { optional_text(desc.method, "method") }? {
        request = request.method(method)?;
    }
    for header in unsafe { array(desc.headers, desc.header_count, "headers") }? {
        let name = unsafe { text(header.name, "header name") }?;
        let value = unsafe { optional_text(header.value, "header value") }?.unwrap_or("");
        request = request.header(name, value)?;
    }
    if let Some(content_type) = unsafe { optional_text(desc.content_type, "content_type") }?
        && request.parts.headers.get("Content-Type").is_none()
    {
        request = request.header("Content-Type", content_type)?;
    }
    let lent = flag(SORTIE_REQUEST_BORROW_BODY);
    let streamed = flag(SORTIE_REQUEST_STREAM_BODY);
    let window = if desc.stream_window_bytes == 0 { Request::DEFAULT_STREAM_WINDOW } else { desc.stream_window_bytes };
    if streamed {
        let others = [desc.body, desc.body_path.cast(), desc.form_parts.cast()];
        if others.iter().any(|other| !other.is_null()) || desc.form_part_count != 0 {
            let what = "SORTIE_REQUEST_STREAM_BODY goes with neither body nor body_path nor form_parts";
            return Err(Refusal::new(Reason::Argument, what));
        }
        request = request.stream_body(Some(desc.body_length).filter(|length| *length != 0), window)?;
    } else if let Some(bytes) = unsafe { body(desc.body, desc.body_length, lent, "sortie_request_desc.body") }? {
        request = request.shared_body(bytes);
    }
    if let Some(path) = unsafe { optional_text(desc.body_path, "body_path") }? {
        if !desc.body.is_null() {
            return Err(Refusal::new(Reason::Argument, "body and body_path are both set"));
        }
        request = request.body_file(FileName::new(path, directory(desc.body_directory, "body_directory")?)?);
    }
    if !desc.form_parts.is_null() || desc.form_part_count != 0 {
        if !desc.body.is_null() || !desc.body_path.is_null() {
            return Err(Refusal::new(Reason::Argument, "form_parts and body or body_path are both set"));
        }
        request = request.form(&unsafe { form_parts(desc.form_parts, desc.form_part_count) }?)?;
    }
    request = request.body_kind(match desc.body_kind {
        SORTIE_BODY_DEFAULT => BodyKind::Default,
        SORTIE_BODY_TEXT => BodyKind::Text,
        SORTIE_BODY_BINARY => BodyKind::Binary,
        other => return Err(out_of_range("body_kind", other)),
    });
    if let Some(path) = unsafe { optional_text(desc.response_path, "response_path") }? {
        let file = FileName::new(path, directory(desc.response_directory, "response_directory")?)?;
        request = request.response_file(file)?;
    }
    request = request.progress(match desc.progress {
        SORTIE_PROGRESS_NONE => Progress::None,
        SORTIE_PROGRESS_DOWNLOAD => Progress::Download,
        SORTIE_PROGRESS_UPLOAD => Progress::Upload,
        other => return Err(out_of_range("progress", other)),
    });
    request = request.priority(priority(desc.priority)?);
    request = request.http_version(match desc.http_version {
        SORTIE_HTTP_DEFAULT => HttpVersion::Default,
        SORTIE_HTTP_1_1 => HttpVersion::Http11,
        SORTIE_HTTP_2_PRIOR_KNOWLEDGE => HttpVersion::Http2PriorKnowledge,
        other => return Err(out_of_range("http_version", other)),
    });
    request = request.cache_mode(match desc.cache_mode {
        SORTIE_CACHE_DEFAULT => CacheMode::Default,
        SORTIE_CACHE_NO_STORE => CacheMode::NoStore,
        SORTIE_CACHE_RELOAD => CacheMode::Reload,
        SORTIE_CACHE_REVALIDATE => CacheMode::Revalidate,
        SORTIE_CACHE_ONLY_IF_CACHED => CacheMode::OnlyIfCached,
        SORTIE_CACHE_FORCE => CacheMode::Force,
        other => return Err(out_of_range("cache_mode", other)),
    });
    if desc.reserved != 0 || desc.reserved_speed != 0 {
        return Err(Refusal::new(Reason::Argument, "reserved must be 0"));
    }
    let period = limit(desc.min_speed_period_ms);
    request = request.min_speed(MinSpeed { bytes_per_second: desc.min_bytes_per_second, period })?;
    if desc.max_redirects != 0 {
        request = request.max_redirects(desc.max_redirects)?;
    }
    if desc.max_body_bytes != 0 {
        request = request.max_body_bytes(desc.max_body_bytes);
    }
    if desc.max_file_bytes != 0 {
        request = request.max_file_bytes(desc.max_file_bytes);
    }
    if let Some(digits) = unsafe { optional_text(desc.expected_sha256, "expected_sha256") }? {
        request = request.expected_sha256(digits)?;
    }
    if desc.expected_length != 0 {
        request = request.expected_length(desc.expected_length);
    }
    if flag(SORTIE_REQUEST_STREAM_RESPONSE) {
        request = request.stream_response(window)?;
    } else if desc.stream_window_bytes != 0 && !streamed {
        let what = "stream_window_bytes is set without SORTIE_REQUEST_STREAM_RESPONSE or SORTIE_REQUEST_STREAM_BODY";
        return Err(Refusal::new(Reason::Argument, what));
    }
    let defaults = Retry::default();
    let time = |milliseconds: u32, default| match milliseconds {
        0 => default,
        given => Duration::from_millis(given.into()),
    };
    request = request.retry(Retry {
        max_attempts: desc.max_attempts.max(1),
        delay: time(desc.retry_delay_ms, defaults.delay),
        max_delay: time(desc.max_retry_delay_ms, defaults.max_delay),
        attempt_timeout: limit(desc.attempt_timeout_ms).or(defaults.attempt_timeout),
        any_method: flag(SORTIE_REQUEST_RETRY_ANY_METHOD),
        events: flag(SORTIE_REQUEST_RETRY_EVENTS),
    })?;
    if let Some(proxy) = unsafe { optional_text(desc.proxy, "proxy") }? {
        request = request.proxy(proxy)?;
    }
    let username = unsafe { optional_text(desc.username, "username") }?;
    let password = unsafe { optional_text(desc.password, "password") }?;
    let token = unsafe { optional_text(desc.bearer_token, "bearer_token") }?;
    request = match (username, password, token) {
        (None, None, None) => request,
        (Some(username), password, None) => request.basic_auth(username, password.unwrap_or(""))?,
        (None, None, Some(token)) => request.bearer_token(token)?,
        (None, Some(_), _) => return Err(Refusal::new(Reason::Argument, "password is set without username")),
        (Some(_), _, Some(_)) => {
            return Err(Refusal::new(Reason::Argument, "username and bearer_token are both set"));
        }
    };
    Ok(request
        .user_data(desc.user_data)
        .rates(Rates { receive: desc.max_receive_bytes_per_second, send: desc.max_send_bytes_per_second })
        .follow_redirects(!flag(SORTIE_REQUEST_MANUAL_REDIRECTS))
        .insecure_redirects(flag(SORTIE_REQUEST_INSECURE_REDIRECTS))
        .sync(!flag(SORTIE_REQUEST_NO_SYNC))
        .raw_text(flag(SORTIE_REQUEST_RAW_TEXT))
        .cookies(!flag(SORTIE_REQUEST_NO_COOKIES))
        .gzip_body(flag(SORTIE_REQUEST_GZIP_BODY))
        .resume(flag(SORTIE_REQUEST_RESUME))
        .timeout(limit(desc.timeout_ms))
        .connect_timeout(limit(desc.connect_timeout_ms))
        .stall_timeout(limit(desc.stall_timeout_ms))
        .queue_timeout(limit(desc.queue_timeout_ms)))
}

/// Turns a C configuration into a client's.
///
/// # Safety
/// Every pointer in `c` is NULL or points to what its field says.
#[allow(clippy::undocumented_unsafe_blocks)] // one comment says it for all
pub(super) unsafe fn config(c: &sortie_client_config) -> Result<Config, Refusal> {
    const FLAGS: u32 =
        SORTIE_CLIENT_NO_COOKIES | SORTIE_CLIENT_MOCKS_ONLY | SORTIE_CLIENT_TRACE_SECRETS | SORTIE_CLIENT_TRACE_BODIES;
    known_flags(c.flags, FLAGS)?;
    let flag = |flag| c.flags & flag != 0;
    let (cookies, mocks_only) = (!flag(SORTIE_CLIENT_NO_COOKIES), flag(SORTIE_CLIENT_MOCKS_ONLY));
    let mut config = Config { cookies, mocks_only, ..Config::default() };
    // SAFETY, for every block below: the caller promises that each pointer is NULL or as its field says.
    if let Some(user_agent) = unsafe { optional_text(c.user_agent, "user_agent") }? {
        config.user_agent = Some(user_agent.to_owned()).filter(|text| !text.is_empty());
    }
    let path = |pointer, what| Ok::<_, Refusal>(unsafe { optional_text(pointer, what) }?.map(PathBuf::from));
    config.documents_directory = path(c.documents_directory, "documents_directory")?;
    config.temporary_directory = path(c.temporary_directory, "temporary_directory")?;
    config.caches_directory = path(c.caches_directory, "caches_directory")?;
    config.application_support_directory = path(c.application_support_directory, "application_support_directory")?;
    config.resource_directory = path(c.resource_directory, "resource_directory")?;
    config.ca_file = path(c.ca_file, "ca_file")?;
    config.cookie_file = path(c.cookie_file, "cookie_file")?;
    config.cache_directory = path(c.cache_directory, "cache_directory")?;
    config.max_memory_cache_bytes = c.max_memory_cache_bytes;
    config.trace_level = trace_level(c.trace_level)?;
    config.trace_secrets = flag(SORTIE_CLIENT_TRACE_SECRETS);
    config.trace_bodies = flag(SORTIE_CLIENT_TRACE_BODIES);
    config.rates = Rates { receive: c.max_receive_bytes_per_second, send: c.max_send_bytes_per_second };
    if c.max_cache_bytes != 0 {
        if config.cache_directory.is_none() {
            return Err(Refusal::new(Reason::Argument, "max_cache_bytes is set without cache_directory"));
        }
        config.max_cache_bytes = c.max_cache_bytes;
    }

    let number = |given: u32, default: u32| if given == 0 { default } else { given };
    config.max_active = number(c.max_active, config.max_active);
    config.max_active_per_host = number(c.max_active_per_host, config.max_active_per_host);
    config.max_requests = number(c.max_requests, config.max_requests);
    config.max_decompression_ratio = number(c.max_decompression_ratio, config.max_decompression_ratio);
    config.timeout = limit(c.timeout_ms).or(config.timeout);
    config.connect_timeout = limit(c.connect_timeout_ms).or(config.connect_timeout);
    config.stall_timeout = limit(c.stall_timeout_ms).or(config.stall_timeout);
    let period = limit(c.min_speed_period_ms).or(config.min_speed.period);
    config.min_speed = MinSpeed { bytes_per_second: c.min_bytes_per_second, period };
    config.queue_timeout = limit(c.queue_timeout_ms).or(config.queue_timeout);
    config.reachability_interval = limit(c.reachability_interval_ms).or(config.reachability_interval);
    config.keep_alive_interval = limit(c.keep_alive_interval_ms).or(config.keep_alive_interval);
    config.max_connection_idle = limit(c.max_connection_idle_ms).or(config.max_connection_idle);
    config.min_tls_version = match c.min_tls_version {
        SORTIE_TLS_DEFAULT | SORTIE_TLS_1_2 => TlsVersion::Tls12,
        SORTIE_TLS_1_3 => TlsVersion::Tls13,
        other => return Err(out_of_range("min_tls_version", other)),
    };
    if c.max_body_bytes != 0 {
        config.max_body_bytes = c.max_body_bytes;
    }
    if c.max_file_bytes != 0 {
        config.max_file_bytes = c.max_file_bytes;
    }
    if c.max_buffered_bytes != 0 {
        config.max_buffered_bytes = c.max_buffered_bytes;
    }
    for header in unsafe { array(c.default_headers, c.default_header_count, "default_headers") }? {
        let name = unsafe { text(header.name, "header name") }?;
        config.default_header(name, unsafe { optional_text(header.value, "header value") }?.unwrap_or(""))?;
    }
    for pin in unsafe { array(c.pins, c.pin_count, "pins") }? {
        no_flags("pin", pin.flags, pin.reserved)?;
        let host = unsafe { text(pin.host, "pin host") }?.to_owned();
        config.pins.push(Pin { host, public_keys: unsafe { text(pin.public_keys, "pin public_keys") }?.to_owned() });
    }
    for given in unsafe { array(c.client_certificates, c.client_certificate_count, "client_certificates") }? {
        no_flags("client certificate", given.flags, given.reserved)?;
        config.client_certificates.push(ClientCertificate {
            host: unsafe { text(given.host, "client certificate host") }?.to_owned(),
            certificate: unsafe { text(given.certificate_file, "certificate_file") }?.into(),
            key: path(given.key_file, "key_file")?,
            password: unsafe { optional_text(given.key_password, "key_password") }?.map(str::to_owned),
        });
    }
    for resolve in unsafe { array(c.resolves, c.resolve_count, "resolves") }? {
        no_flags("resolve", resolve.flags, resolve.reserved)?;
        let address = unsafe { text(resolve.address, "resolve address") }?;
        let not_numeric = |_| Refusal::new(Reason::Argument, format!("resolve address '{address}' is not numeric"));
        config.resolves.push(Resolve {
            host: unsafe { text(resolve.host, "resolve host") }?.to_owned(),
            port: port(resolve.port)?,
            address: address.parse().map_err(not_numeric)?,
            address_port: port(resolve.address_port)?,
        });
    }
    let proxy = unsafe { optional_text(c.proxy, "proxy") }?;
    let except = unsafe { optional_text(c.no_proxy, "no_proxy") }?.unwrap_or("").to_owned();
    config.proxy = match proxy {
        None => Proxy::Environment,
        Some("") => Proxy::Direct,
        Some(url) => Proxy::Url { url: url.to_owned(), except },
    };
    Ok(config)
}

/// Turns a description into a mock.
///
/// # Safety
/// Every pointer in `given` is NULL or points to what its field says.
#[allow(clippy::undocumented_unsafe_blocks)] // one comment says it for all
pub(super) unsafe fn mock(given: &sortie_mock) -> Result<Mock, Refusal> {
    // SAFETY, for every block below: the caller promises that each pointer is NULL or as its field says.
    let mut mock = Mock::new(unsafe { text(given.url, "url") }?)?;
    if let Some(method) = unsafe { optional_text(given.method, "method") }? {
        mock = mock.method(method)?;
    }
    if given.status != 0 {
        mock = mock.status(u16::try_from(given.status).unwrap_or(u16::MAX))?;
    }
    for header in unsafe { array(given.headers, given.header_count, "headers") }? {
        let name = unsafe { text(header.name, "header name") }?;
        mock = mock.header(name, unsafe { optional_text(header.value, "header value") }?.unwrap_or(""))?;
    }
    if let Some(bytes) = unsafe { body(given.body, given.body_length, false, "sortie_mock.body") }? {
        mock = mock.shared_body(bytes);
    }
    if given.error != SORTIE_ERROR_NONE {
        mock = mock.error(ErrorKind::from_number(given.error).ok_or_else(|| out_of_range("error", given.error))?);
    }
    let delay = Duration::from_millis(given.delay_ms.into());
    Ok(mock.delay(delay).bytes_per_second(given.bytes_per_second).times(given.times))
}

fn known_flags(flags: u32, known: u32) -> Result<(), Refusal> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(Refusal::new(Reason::Argument, format!("flags has the unknown bits {unknown:#x}"))),
    }
}

fn no_flags(what: &str, flags: u32, reserved: u32) -> Result<(), Refusal> {
    if flags | reserved == 0 {
        return Ok(());
    }
    Err(Refusal::new(Reason::Argument, format!("{what}: flags and reserved must be 0")))
}

fn port(number: u32) -> Result<Option<u16>, Refusal> {
    let refused = |_| Refusal::new(Reason::Argument, format!("port is {number}, the highest is 65535"));
    Ok(Some(u16::try_from(number).map_err(refused)?).filter(|port| *port != 0))
}
