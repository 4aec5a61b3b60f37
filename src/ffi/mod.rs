//! The C ABI and nothing else: each export guards against panics, reads its arguments, calls the safe facade, maps the
//! refusal, and writes its outputs on success only. Doc comments become the header's text.

// The names and the calls are C's; what each caller promises is in the doc comment that becomes the header's.
#![allow(unsafe_code, non_camel_case_types, clippy::missing_safety_doc)]
#![warn(missing_docs)]

mod args;
mod types;

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::body::form::FormPart;
use crate::budget::Body;
use crate::chain::Chain;
use crate::client::Client;
use crate::config::Config;
use crate::error::{ErrorKind, Reason, Refusal};
use crate::event::{BodyKind, CharsetSource, Event, EventKind, Protocol, Response, TraceLevel};
use crate::headers::Headers;
use crate::request::{BaseDirectory, FileName, Limit, Progress, Rates, Request};
use crate::slots::RequestId;
use crate::text::Text;
use args::{null, optional_text, read_struct, reference, text, write_struct};
pub use types::*;

/// The number of this C ABI. It grows with what is added; what is there never changes.
pub const SORTIE_ABI_VERSION: u32 = 1;

/// An HTTP client: one worker thread, threads for the disk, one queue of events.
pub struct sortie_client {
    client: Client,
    /// What the events of the last poll point to.
    held: Mutex<Chain<Event>>,
    /// Whether there is anything in `held`, or still to be given out of what the last poll has met.
    busy: AtomicBool,
}

/// A body that was taken over from an event.
pub struct sortie_body {
    bytes: Body,
}

thread_local! {
    static LAST_ERROR: RefCell<Text> = RefCell::new(Text::from(""));
}

/// Runs the body of an export: a refusal or a panic becomes its number, its message the thread's last error.
fn guard<T: From<i32>>(body: impl FnOnce() -> Result<T, Refusal>) -> T {
    let refusal = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::new(Reason::Internal, "a panic was caught at the boundary"),
    };
    // A thread that is ending may have lost its last error already.
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = Text::from(refusal.message));
    refusal.reason.number().into()
}

/// The same for a call that only succeeds or not.
fn guard_unit(body: impl FnOnce() -> Result<(), Refusal>) -> sortie_result {
    guard(|| body().map(|()| SORTIE_OK))
}

/// The same for a call that gives a pointer or NULL.
fn guard_pointer<T>(body: impl FnOnce() -> Option<*const T>) -> *const T {
    catch_unwind(AssertUnwindSafe(body)).ok().flatten().unwrap_or(ptr::null())
}

fn c_pointer(text: &str) -> *const c_char {
    debug_assert!(text.ends_with('\0'));
    text.as_ptr().cast()
}

/// Creates a client and its threads.
///
/// @param config  how to set it up, copied; NULL means the defaults
/// @param out     receives the client; left as it is on failure; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE, SORTIE_RESULT_UTF8, SORTIE_RESULT_HEADER,
///         SORTIE_RESULT_PATH, SORTIE_RESULT_ARGUMENT, or SORTIE_RESULT_SYSTEM if the system refuses a thread
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_create(
    config: *const sortie_client_config,
    out: *mut *mut sortie_client,
) -> sortie_result {
    guard_unit(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        let config = if config.is_null() {
            Config::default()
        } else {
            // SAFETY: the caller promises a config of struct_size bytes whose pointers are as its fields say.
            unsafe { args::config(&read_struct(config)?) }?
        };
        let client = Client::new(config)?;
        let handle = sortie_client { client, held: Mutex::new(Chain::new()), busy: AtomicBool::new(false) };
        // SAFETY: not NULL, and the caller promises a writable pointer.
        unsafe { out.write(Box::into_raw(Box::new(handle))) };
        Ok(())
    })
}

/// Destroys a client. Requests that have not ended are dropped without an event, their unfinished files removed. Returns
/// within about 100 ms whatever the network, the name lookup or the disk is doing.
///
/// What the client's events point to is gone afterwards; bodies taken over stay.
///
/// @param client   the client; NULL is fine
/// @threadsafety   any thread, once, and while no other call on this client is running
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_destroy(client: *mut sortie_client) {
    if client.is_null() {
        return;
    }
    guard_unit(|| {
        // SAFETY: made by sortie_client_create() and destroyed once, by the caller's promise.
        drop(unsafe { Box::from_raw(client) });
        Ok(())
    });
}

/// Submits a request. It starts as soon as the limits let it, or when the client is resumed.
///
/// An accepted request ends with exactly one SORTIE_EVENT_ENDED.
///
/// @param client  a live client; must not be NULL
/// @param desc    what to request, copied; must not be NULL
/// @param out_id  receives the request's id; left as it is on failure; may be NULL
/// @return SORTIE_OK, or why the request was refused: SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE,
///         SORTIE_RESULT_UTF8, SORTIE_RESULT_URL, SORTIE_RESULT_SCHEME, SORTIE_RESULT_METHOD, SORTIE_RESULT_HEADER,
///         SORTIE_RESULT_PATH, SORTIE_RESULT_ARGUMENT, SORTIE_RESULT_BODY_TOO_LARGE, SORTIE_RESULT_TOO_MANY_REQUESTS, or
///         SORTIE_RESULT_SYSTEM if the system gives no randomness for a form
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_submit(
    client: *mut sortie_client,
    desc: *const sortie_request_desc,
    out_id: *mut sortie_request,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client and a desc of struct_size bytes whose pointers are as its fields say.
        let (client, desc) = unsafe { (reference(client, "client")?, read_struct(desc)?) };
        // SAFETY: as above.
        unsafe { submit(client, args::request(&desc)?, out_id) }
    })
}

/// # Safety
/// `out_id` is NULL or writable.
unsafe fn submit(client: &sortie_client, request: Request, out_id: *mut sortie_request) -> Result<(), Refusal> {
    let id = client.client.submit(request)?;
    if !out_id.is_null() {
        // SAFETY: not NULL, and the caller promises a writable id.
        unsafe { out_id.write(id.number()) };
    }
    Ok(())
}

/// Submits a GET request for a body in memory.
///
/// @param client     a live client; must not be NULL
/// @param url        an absolute http or https URL; must not be NULL
/// @param user_data  comes back in the request's events
/// @param out_id     receives the request's id; left as it is on failure; may be NULL
/// @return as sortie_submit()
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_get(
    client: *mut sortie_client,
    url: *const c_char,
    user_data: u64,
    out_id: *mut sortie_request,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client, a string and a writable id.
        unsafe {
            let client = reference(client, "client")?;
            submit(client, Request::get(text(url, "url")?)?.user_data(user_data), out_id)
        }
    })
}

/// Submits a GET request whose body goes to a file, with progress events and without a limit on the total time: only a
/// stalled one ends early.
///
/// @param client     a live client; must not be NULL
/// @param url        an absolute http or https URL; must not be NULL
/// @param path       the file, a path of the operating system; must not be NULL
/// @param user_data  comes back in the request's events
/// @param out_id     receives the request's id; left as it is on failure; may be NULL
/// @return as sortie_submit()
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_download(
    client: *mut sortie_client,
    url: *const c_char,
    path: *const c_char,
    user_data: u64,
    out_id: *mut sortie_request,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client, two strings and a writable id.
        unsafe {
            let client = reference(client, "client")?;
            let request = Request::get(text(url, "url")?)?.progress(Progress::Download);
            let request = request.response_file(FileName::new(text(path, "path")?, BaseDirectory::None)?)?;
            submit(client, request.timeout(Limit::Never).user_data(user_data), out_id)
        }
    })
}

/// Submits a POST request whose body is a file, with progress events and without a limit on the total time: only a stalled
/// one ends early.
///
/// @param client        a live client; must not be NULL
/// @param url           an absolute http or https URL; must not be NULL
/// @param path          the file, a path of the operating system; must not be NULL
/// @param content_type  the Content-Type header; NULL means application/octet-stream
/// @param user_data     comes back in the request's events
/// @param out_id        receives the request's id; left as it is on failure; may be NULL
/// @return as sortie_submit()
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_upload(
    client: *mut sortie_client,
    url: *const c_char,
    path: *const c_char,
    content_type: *const c_char,
    user_data: u64,
    out_id: *mut sortie_request,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client, three strings and a writable id.
        unsafe {
            let client = reference(client, "client")?;
            let request = Request::get(text(url, "url")?)?.progress(Progress::Upload);
            let mut request = request.body_file(FileName::new(text(path, "path")?, BaseDirectory::None)?);
            if let Some(content_type) = optional_text(content_type, "content_type")? {
                request = request.header("Content-Type", content_type)?;
            }
            submit(client, request.timeout(Limit::Never).user_data(user_data), out_id)
        }
    })
}

/// Asks a request to stop.
///
/// Returns at once. The request still ends with exactly one SORTIE_EVENT_ENDED: SORTIE_ERROR_CANCELLED, or its real outcome
/// if it had already finished.
///
/// @param client   a live client; must not be NULL
/// @param request  an id from sortie_submit(); finished and made-up ids are safe
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when its ENDED event has been drained
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_cancel(client: *mut sortie_client, request: sortie_request) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        let client = unsafe { reference(client, "client") }?;
        client.client.cancel(live_id(request)?)
    })
}

/// Lets a request rest: one that waits does not start, one that runs moves no more bytes, though what the system and the
/// server have on their way still fills their buffers. Its total time runs on; the limit on the time in which no byte moves
/// does not. Pausing twice is fine.
///
/// @param client   a live client; must not be NULL
/// @param request  an id from sortie_submit(); finished and made-up ids are safe
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when its ENDED event has been drained
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_request_pause(client: *mut sortie_client, request: sortie_request) -> sortie_result {
    // SAFETY: the caller promises a live client.
    guard_unit(|| unsafe { reference(client, "client") }?.client.pause(live_id(request)?))
}

/// Lets a request go on after sortie_request_pause(). One that is not paused goes on as it is.
///
/// @param client   a live client; must not be NULL
/// @param request  an id from sortie_submit(); finished and made-up ids are safe
/// @return as sortie_request_pause()
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_request_unpause(client: *mut sortie_client, request: sortie_request) -> sortie_result {
    // SAFETY: the caller promises a live client.
    guard_unit(|| unsafe { reference(client, "client") }?.client.unpause(live_id(request)?))
}

/// Gives a request another priority. One that waits then stands where it would, had it been submitted so; one that runs is
/// not affected, but for its redirects and further attempts.
///
/// @param client    a live client; must not be NULL
/// @param request   an id from sortie_submit(); finished and made-up ids are safe
/// @param priority  SORTIE_PRIORITY_*
/// @return as sortie_request_pause(), or SORTIE_RESULT_ARGUMENT for a number that is no priority
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_request_set_priority(
    client: *mut sortie_client,
    request: sortie_request,
    priority: u32,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        let client = unsafe { reference(client, "client") }?;
        client.client.set_priority(live_id(request)?, args::priority(priority)?)
    })
}

/// Limits how fast a request's bodies go from now on, whether it waits or runs.
///
/// @param client                    a live client; must not be NULL
/// @param request                   an id from sortie_submit(); finished and made-up ids are safe
/// @param receive_bytes_per_second  of the response's body, as max_receive_bytes_per_second; 0 means no limit
/// @param send_bytes_per_second     of the request's body, as max_send_bytes_per_second; 0 means no limit
/// @return as sortie_request_pause()
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_request_set_rate(
    client: *mut sortie_client,
    request: sortie_request,
    receive_bytes_per_second: u64,
    send_bytes_per_second: u64,
) -> sortie_result {
    let rates = Rates { receive: receive_bytes_per_second, send: send_bytes_per_second };
    // SAFETY: the caller promises a live client.
    guard_unit(|| unsafe { reference(client, "client") }?.client.set_request_rates(live_id(request)?, rates))
}

/// Limits how fast the bodies of all requests together go from now on.
///
/// @param client                    a live client; must not be NULL
/// @param receive_bytes_per_second  of response bodies, as max_receive_bytes_per_second; 0 means no limit
/// @param send_bytes_per_second     of request bodies, as max_send_bytes_per_second; 0 means no limit
/// @return SORTIE_OK or SORTIE_RESULT_NULL_ARGUMENT
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_set_rate(
    client: *mut sortie_client,
    receive_bytes_per_second: u64,
    send_bytes_per_second: u64,
) -> sortie_result {
    guard_unit(|| {
        let rates = Rates { receive: receive_bytes_per_second, send: send_bytes_per_second };
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.set_rates(rates);
        Ok(())
    })
}

/// Sets how much the trace tells from now on: what the client does, in TRACE events. It shows no credentials, cookies, values of
/// queries or bodies, unless SORTIE_CLIENT_TRACE_SECRETS and SORTIE_CLIENT_TRACE_BODIES say so.
///
/// @param client  a live client; must not be NULL
/// @param level   SORTIE_TRACE_*
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_ARGUMENT for a number that is no level
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_set_trace_level(client: *mut sortie_client, level: u32) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.set_trace_level(args::trace_level(level)?);
        Ok(())
    })
}

/// Hands over the next piece of the body of a request with SORTIE_REQUEST_STREAM_BODY: as much as there is room for. After
/// less than all, a SORTIE_EVENT_WRITABLE tells when there is room again. What is handed over after the request has ended is
/// dropped. Never waits.
///
/// @param client     a live client; must not be NULL
/// @param request    an id from sortie_submit(); finished and made-up ids are safe
/// @param data       the bytes, copied; may be NULL if length is 0
/// @param length     their number
/// @param out_taken  receives how many of them were taken; left as it is on failure; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STALE when its ENDED event has been drained,
///         SORTIE_RESULT_ARGUMENT if its body is not streamed, is finished or would become longer than body_length, or
///         SORTIE_RESULT_BODY_TOO_LARGE
/// @threadsafety   any thread, one at a time for a request, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_body_write(
    client: *mut sortie_client,
    request: sortie_request,
    data: *const c_void,
    length: u64,
    out_taken: *mut u64,
) -> sortie_result {
    guard_unit(|| {
        if out_taken.is_null() {
            return Err(null("out_taken"));
        }
        // SAFETY: the caller promises a live client and `length` bytes.
        let (client, bytes) = unsafe { (reference(client, "client")?, args::bytes(data, length, "data")?) };
        let taken = client.client.write_body(live_id(request)?, bytes)?;
        // SAFETY: not NULL, and the caller promises a writable number.
        unsafe { out_taken.write(taken as u64) };
        Ok(())
    })
}

/// Says that the body of a request with SORTIE_REQUEST_STREAM_BODY has come to its end. One with a body_length needs it not.
/// Finishing twice is fine.
///
/// @param client   a live client; must not be NULL
/// @param request  an id from sortie_submit(); finished and made-up ids are safe
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STALE when its ENDED event has been drained, or
///         SORTIE_RESULT_ARGUMENT if its body is not streamed or has not all that body_length says
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_body_finish(client: *mut sortie_client, request: sortie_request) -> sortie_result {
    // SAFETY: the caller promises a live client.
    guard_unit(|| unsafe { reference(client, "client") }?.client.finish_body(live_id(request)?))
}

fn live_id(request: sortie_request) -> Result<RequestId, Refusal> {
    RequestId::from_number(request).ok_or_else(|| Refusal::stale("request", request))
}

/// Drains events: call it once a frame. Never waits; costs next to nothing when there is none.
///
/// What the events of the previous call on this client point to is gone afterwards.
///
/// @param client    a live client; must not be NULL
/// @param events    room for capacity events; must not be NULL
/// @param capacity  at least 1; what does not fit stays for the next call
/// @return the number of events written, 0 while suspended; or SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_ARGUMENT for a
///         capacity of 0, SORTIE_RESULT_BUSY while another thread is in this call
/// @threadsafety   one thread at a time, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_poll(client: *mut sortie_client, events: *mut sortie_event, capacity: u32) -> i32 {
    // The frame in which nothing happened comes first and touches nothing else. A batch in the hands of another thread
    // shows here as one that is held.
    // SAFETY: the caller promises a live client or NULL.
    if let Some(client) = unsafe { client.as_ref() }
        && capacity != 0
        && !events.is_null()
        && !client.busy.load(Ordering::Acquire)
        && client.client.has_nothing_new()
    {
        return 0;
    }
    // SAFETY: the caller's promises are handed on.
    unsafe { drain(client, events, capacity) }
}

/// The rest of sortie_poll(), apart so that the frame in which nothing happened does not even save registers for it.
///
/// # Safety
/// As sortie_poll().
#[inline(never)]
unsafe fn drain(client: *mut sortie_client, events: *mut sortie_event, capacity: u32) -> i32 {
    guard(|| {
        // SAFETY: the caller promises a live client or NULL.
        let client = unsafe { reference(client, "client") }?;
        if events.is_null() {
            return Err(null("events"));
        }
        if capacity == 0 {
            return Err(Refusal::new(Reason::Argument, "capacity is 0, it must be at least 1"));
        }
        let busy = || Refusal::new(Reason::Busy, "another thread is in sortie_poll() on this client");
        let mut held = client.held.try_lock().ok_or_else(busy)?;
        if !held.is_empty() {
            client.client.give_back(std::mem::replace(&mut held, Chain::new()));
        }
        client.busy.store(true, Ordering::Release);
        let Some(mut drain) = client.client.drain() else {
            // What comes meanwhile is met when the client is resumed.
            return Ok(0);
        };
        let mut count: i32 = 0;
        while count.unsigned_abs() < capacity && count < i32::MAX {
            let Some(mut link) = drain.next() else { break };
            client.client.note_taken(&link.item);
            // SAFETY: count < capacity, and the caller promises room for capacity events.
            unsafe { events.add(count.unsigned_abs() as usize).write(hand_out(&mut link.item)) };
            held.push(link);
            count += 1;
        }
        client.busy.store(count > 0 || !drain.is_through(), Ordering::Release);
        Ok(count)
    })
}

/// What C sees of an event, as long as that stays where it is.
#[inline]
fn hand_out(event: &mut Event) -> sortie_event {
    let mut out = sortie_event {
        request: event.request.number(),
        user_data: event.user_data,
        r#type: match event.kind {
            EventKind::Began => SORTIE_EVENT_BEGAN,
            EventKind::Progress => SORTIE_EVENT_PROGRESS,
            EventKind::Data => SORTIE_EVENT_DATA,
            EventKind::Ended => SORTIE_EVENT_ENDED,
            EventKind::Reachability => SORTIE_EVENT_REACHABILITY,
            EventKind::Writable => SORTIE_EVENT_WRITABLE,
            EventKind::Retry => SORTIE_EVENT_RETRY,
            EventKind::Trace => SORTIE_EVENT_TRACE,
        },
        error: SORTIE_ERROR_NONE,
        status: 0,
        body_kind: SORTIE_BODY_DEFAULT,
        body: ptr::null(),
        body_length: 0,
        file_path: ptr::null(),
        message: ptr::null(),
        url: c_pointer(event.url.as_c_str()),
        bytes_transferred: event.transferred,
        bytes_estimated: event.estimated,
        details: ptr::null_mut(),
        network: if event.kind == EventKind::Reachability { event.network.flags() } else { 0 },
        flags: 0,
        attempts: 0,
        retry_delay_ms: 0,
        trace_level: SORTIE_TRACE_OFF,
        reserved: [0; 3],
    };
    if let Some(response) = event.response.as_deref_mut() {
        out.status = response.status.into();
        let flag = |set, flag| if set { flag } else { 0 };
        out.flags = flag(response.from_cache, SORTIE_EVENT_FROM_CACHE)
            | flag(response.revalidated, SORTIE_EVENT_REVALIDATED)
            | flag(response.credentials_unused, SORTIE_EVENT_CREDENTIALS_UNUSED);
        out.attempts = response.timing.attempts;
        if event.kind == EventKind::Retry {
            out.retry_delay_ms = u32::try_from(response.retry_delay.as_millis()).unwrap_or(u32::MAX);
        }
        if let Some(body) = &response.body {
            out.body = body.as_bytes().as_ptr().cast::<c_void>();
            out.body_length = body.len() as u64;
            out.body_kind = match response.body_kind {
                BodyKind::Default => SORTIE_BODY_DEFAULT,
                BodyKind::Text => SORTIE_BODY_TEXT,
                BodyKind::Binary => SORTIE_BODY_BINARY,
            };
        }
        if let Some(path) = &response.file {
            out.file_path = c_pointer(path.as_c_str());
        }
        if let Some((level, line)) = &response.trace {
            out.trace_level = match level {
                TraceLevel::Off => SORTIE_TRACE_OFF,
                TraceLevel::Errors => SORTIE_TRACE_ERRORS,
                TraceLevel::Requests => SORTIE_TRACE_REQUESTS,
                TraceLevel::Details => SORTIE_TRACE_DETAILS,
            };
            out.message = c_pointer(line.as_c_str());
        }
        if let Some((kind, message)) = &response.failure {
            out.error = kind.number();
            out.message = c_pointer(message.as_c_str());
        }
        out.details = (&raw mut *response).cast();
    }
    out
}

/// Sleeps until sortie_poll() has something to give. For tools and tests: a game polls once a frame instead. It may wake for
/// an event of a watch that has just ended, which sortie_poll() then passes over.
///
/// @param client      a live client; must not be NULL
/// @param timeout_ms  how long to sleep at most, in milliseconds
/// @return 1 if there is an event, 0 if none came in time, or SORTIE_RESULT_NULL_ARGUMENT
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_wait(client: *mut sortie_client, timeout_ms: u32) -> i32 {
    guard(|| {
        // SAFETY: the caller promises a live client.
        let client = unsafe { reference(client, "client") }?;
        Ok(i32::from(client.client.wait(Duration::from_millis(timeout_ms.into()))))
    })
}

/// Suspends a client, as when a game goes to the background: no event is given out, nothing new starts, running transfers
/// pause and their clocks stop. sortie_submit() still accepts requests and holds them. Suspending twice is fine.
///
/// @param client   a live client; must not be NULL
/// @return SORTIE_OK or SORTIE_RESULT_NULL_ARGUMENT
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_suspend(client: *mut sortie_client) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.suspend();
        Ok(())
    })
}

/// Resumes a suspended client: events are given out, held requests start, paused transfers go on. One whose connection died
/// meanwhile starts again if its method is idempotent, and ends with an error if not. Resuming twice is fine.
///
/// @param client   a live client; must not be NULL
/// @return SORTIE_OK or SORTIE_RESULT_NULL_ARGUMENT
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_resume(client: *mut sortie_client) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.resume();
        Ok(())
    })
}

/// Reads a client's counts and gauges. Cheap enough for every frame. They are not all of one moment: waiting and active may
/// not yet show what was submitted or cancelled just before, and ended counts a request a moment before its ENDED event can
/// be drained.
///
/// @param client  a live client; must not be NULL
/// @param out     receives them; its struct_size must be set; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT or SORTIE_RESULT_STRUCT_SIZE
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_stats(client: *mut sortie_client, out: *mut sortie_stats) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        let stats = unsafe { reference(client, "client") }?.client.stats();
        let value = sortie_stats {
            struct_size: 0,
            waiting: stats.waiting,
            active: stats.active,
            undrained: stats.undrained,
            submitted: stats.submitted,
            ended: stats.ended,
            failed: stats.failed,
            bytes_received: stats.bytes_received,
            bytes_sent: stats.bytes_sent,
            buffered_bytes: stats.buffered_bytes,
            connections: stats.connections,
            cache_hits: stats.cache_hits,
            cache_revalidated: stats.cache_revalidated,
            cache_misses: stats.cache_misses,
            cache_bytes: stats.cache_bytes,
            connections_open: stats.connections_open,
            resting: stats.resting,
            attempts: stats.attempts,
            receive_bytes_per_second: stats.receive_bytes_per_second,
            send_bytes_per_second: stats.send_bytes_per_second,
        };
        // SAFETY: the caller promises as many writable bytes as struct_size says.
        unsafe { write_struct(out, value) }
    })
}

/// The response that an event carries.
///
/// # Safety
/// `event` is NULL or an event of the last poll.
unsafe fn response<'a>(event: *const sortie_event) -> Option<&'a Response> {
    // SAFETY: `details` is NULL or made in `hand_out`, and lives as long as the event may be used.
    unsafe { event.as_ref()?.details.cast::<Response>().as_ref() }
}

/// # Safety
/// As [`response`].
unsafe fn headers<'a>(event: *const sortie_event) -> Option<&'a Headers> {
    // SAFETY: promised by the caller.
    unsafe { response(event) }.map(|response| &response.headers)
}

/// # Safety
/// As [`response`].
unsafe fn trailers<'a>(event: *const sortie_event) -> Option<&'a Headers> {
    // SAFETY: promised by the caller.
    unsafe { response(event) }?.trailers.as_deref()
}

/// The value of a field by its name.
///
/// # Safety
/// `name` is NULL or a string.
unsafe fn field_named(fields: Option<&Headers>, name: *const c_char, index: u32) -> Option<*const c_char> {
    // SAFETY: promised by the caller.
    let (fields, name) = (fields?, unsafe { optional_text(name, "name") }.ok()??);
    let position = fields.position(name, index as usize)?;
    fields.c_at(position).map(|(_, value)| c_pointer(value))
}

/// Writes a field's name and value where they are wanted. `what` is what it is called.
///
/// # Safety
/// `name` and `value` are NULL or writable.
unsafe fn write_field(
    fields: Option<&Headers>,
    what: &str,
    i: u32,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> Result<(), Refusal> {
    let missing = || Refusal::new(Reason::NotFound, format!("the event has no {what} {i}"));
    let (found_name, found_value) = fields.and_then(|fields| fields.c_at(i as usize)).ok_or_else(missing)?;
    for (out, text) in [(name, found_name), (value, found_value)] {
        if !out.is_null() {
            // SAFETY: not NULL, and the caller promises a writable pointer.
            unsafe { out.write(c_pointer(text)) };
        }
    }
    Ok(())
}

fn count_fields(fields: Option<&Headers>) -> u32 {
    u32::try_from(fields.map_or(0, Headers::len)).unwrap_or(u32::MAX)
}

/// Watches whether a host can be reached. A SORTIE_EVENT_REACHABILITY tells it, and then each change, until
/// sortie_reachability_unwatch().
///
/// A host can be reached if it accepts a connection, made as a request's would be and closed at once. It is tried at the
/// start, when the machine's network changes, on resume, and each reachability_interval_ms; 5 s without an answer from a port
/// count as no. Without a port it is tried at 443 and then 80, and a host that refuses both is there all the same.
///
/// @param client     a live client; must not be NULL
/// @param host       a name or an address, alone or with ":port", as "example.com" or "[::1]:8080"; must not be NULL
/// @param user_data  comes back in the watch's events
/// @param out_watch  receives the watch's id; left as it is on failure; may be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_ARGUMENT for what is no host, or
///         SORTIE_RESULT_TOO_MANY_REQUESTS if 64 are watched or max_requests is reached
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_reachability_watch(
    client: *mut sortie_client,
    host: *const c_char,
    user_data: u64,
    out_watch: *mut sortie_request,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client and a string.
        let (client, host) = unsafe { (reference(client, "client")?, args::text(host, "host")?) };
        let watch = client.client.watch(host, user_data)?;
        if !out_watch.is_null() {
            // SAFETY: not NULL, and the caller promises a writable id.
            unsafe { out_watch.write(watch.number()) };
        }
        Ok(())
    })
}

/// Ends a watch. No event of it comes after this call, not even what was found before.
///
/// @param client  a live client; must not be NULL
/// @param watch   an id from sortie_reachability_watch(); ended and made-up ids are safe
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when it has ended already
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_reachability_unwatch(
    client: *mut sortie_client,
    watch: sortie_request,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        let client = unsafe { reference(client, "client") }?;
        client.client.unwatch(RequestId::from_number(watch).ok_or_else(|| Refusal::stale("watch", watch))?)
    })
}

/// Tells what the machine's network is like: SORTIE_NETWORK_REACHABLE if there is a way out, and by what. Cheap enough for
/// every frame. Linux tells of changes at once; elsewhere they are looked for each reachability_interval_ms.
///
/// @param client  a live client; NULL gives 0
/// @return SORTIE_NETWORK_* flags
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_network(client: *const sortie_client) -> u32 {
    // SAFETY: the caller promises a live client or NULL.
    unsafe { client.as_ref() }.map_or(0, |client| client.client.network().flags())
}

/// Keeps a cookie as if a response from a URL had set it, for requests submitted after this call.
///
/// @param client  a live client; must not be NULL
/// @param url     the URL that it comes from, http or https; must not be NULL
/// @param cookie  what a Set-Cookie header says, such as "session=abc; Path=/; Max-Age=3600"; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_URL, SORTIE_RESULT_SCHEME, or
///         SORTIE_RESULT_ARGUMENT for a cookie that a browser would not keep or a client that keeps none
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_set_cookie(
    client: *mut sortie_client,
    url: *const c_char,
    cookie: *const c_char,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client and two strings.
        let (client, url, cookie) =
            unsafe { (reference(client, "client")?, args::text(url, "url")?, args::text(cookie, "cookie")?) };
        client.client.set_cookie(url, cookie)
    })
}

/// Tells the cookies that a request for a URL would be sent now, as they stand in its Cookie header: "a=1; b=2", those with
/// the longest path first, then the oldest. HttpOnly ones are among them, since a game has no scripts to hide them from. Never
/// waits. A response's cookies are there once its last event is; those of sortie_client_set_cookie(), and what
/// sortie_client_clear_cookies() has removed, show a moment after the call, when the client's thread has seen to it.
///
/// @param client    a live client; must not be NULL
/// @param url       the URL; must not be NULL
/// @param out       receives the cookies with a NUL at their end, cut short to capacity as snprintf() does; may be NULL if
///                  capacity is 0. Their bytes are as the server has sent them, which need not be UTF-8.
/// @param capacity  the room in out, in bytes, the last NUL included; 64 KiB hold all that is ever sent
/// @return the length of all the cookies without that NUL, 0 without any: more than fits if it is at least capacity; or
///         SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_URL or SORTIE_RESULT_SCHEME for the URL, or
///         SORTIE_RESULT_ARGUMENT for a client that keeps no cookies
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_cookies(
    client: *mut sortie_client,
    url: *const c_char,
    out: *mut c_char,
    capacity: u64,
) -> i64 {
    guard(|| {
        // SAFETY: the caller promises a live client and a string.
        let (client, url) = unsafe { (reference(client, "client")?, args::text(url, "url")?) };
        let mut cookies = Printed::new(out, capacity)?;
        cookies.push(&client.client.cookies(url)?);
        Ok(cookies.end())
    })
}

/// Forgets every cookie, in memory and in the cookie file, for requests submitted after this call.
///
/// @param client  a live client; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_ARGUMENT if the client keeps none
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_clear_cookies(client: *mut sortie_client) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.clear_cookies()
    })
}

/// Forgets all that the HTTP cache has stored, in memory and on disk, for requests submitted after this call. What is on its
/// way is not kept.
///
/// @param client  a live client; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_ARGUMENT if the client has no cache
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_clear_cache(client: *mut sortie_client) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.clear_cache()
    })
}

/// Registers an answer made up for tests. From now on the first mock in order of registration that matches a hop's method
/// and URL answers it, in place of the network.
///
/// A mocked response goes through all that a real one does: the queue, events, redirects, cookies, compression, charsets,
/// files, caps, time limits, cancelling, suspending. Only connecting and TLS are left out: its timings have no such steps,
/// and no connection is counted.
///
/// @param client  a live client; must not be NULL
/// @param mock    what it answers, and to what, copied; must not be NULL
/// @param out_id  receives the mock's id, for sortie_client_unmock(); left as it is on failure; may be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE, SORTIE_RESULT_UTF8, SORTIE_RESULT_URL,
///         SORTIE_RESULT_SCHEME, SORTIE_RESULT_METHOD, SORTIE_RESULT_HEADER, SORTIE_RESULT_ARGUMENT,
///         SORTIE_RESULT_BODY_TOO_LARGE, or SORTIE_RESULT_TOO_MANY_REQUESTS if 4,096 are registered
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_mock(
    client: *mut sortie_client,
    mock: *const sortie_mock,
    out_id: *mut u64,
) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client and a mock of struct_size bytes.
        let (client, mock) = unsafe { (reference(client, "client")?, read_struct(mock)?) };
        // SAFETY: the caller promises that its pointers are as its fields say.
        let id = client.client.mock(unsafe { args::mock(&mock) }?)?;
        if !out_id.is_null() {
            // SAFETY: not NULL, and the caller promises a writable id.
            unsafe { out_id.write(id) };
        }
        Ok(())
    })
}

/// Takes a mock away: what is submitted from now on, and each later redirect, is no longer answered by it. Its answers that
/// are under way go on.
///
/// @param client  a live client; must not be NULL
/// @param id      an id from sortie_client_mock(); made-up ids are safe
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when it is gone already
/// @threadsafety   any thread, except during sortie_client_destroy()
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_client_unmock(client: *mut sortie_client, id: u64) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises a live client.
        unsafe { reference(client, "client") }?.client.unmock(id)
    })
}

/// Finds a response header by its name, whatever the letters' case.
///
/// @param event  an event of the last sortie_poll(); NULL has no headers
/// @param name   the header's name; NULL finds none
/// @param index  0 for the first of that name, 1 for the second, and so on
/// @return its value, valid as long as the event is, or NULL if there is none
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_header(
    event: *const sortie_event,
    name: *const c_char,
    index: u32,
) -> *const c_char {
    guard_pointer(|| {
        // SAFETY: the caller promises an event of the last poll and a string.
        unsafe { field_named(headers(event), name, index) }
    })
}

/// Counts an event's response headers, repeated names each time.
///
/// @param event  an event of the last sortie_poll(); NULL has no headers
/// @return the number of headers
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_header_count(event: *const sortie_event) -> u32 {
    // SAFETY: the caller promises an event of the last poll.
    catch_unwind(|| count_fields(unsafe { headers(event) })).unwrap_or(0)
}

/// Reads a response header by its place, in the order of arrival.
///
/// @param event  an event of the last sortie_poll()
/// @param i      its place, from 0
/// @param name   receives its name as received, valid as long as the event is; may be NULL
/// @param value  receives its value, likewise; may be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_NOT_FOUND when there are not that many
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_header_at(
    event: *const sortie_event,
    i: u32,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> sortie_result {
    guard_unit(|| {
        if event.is_null() {
            return Err(null("event"));
        }
        // SAFETY: the caller promises an event of the last poll and writable pointers.
        unsafe { write_field(headers(event), "header", i, name, value) }
    })
}

/// Finds a response trailer, a field that came after the body, by its name, whatever the letters' case.
///
/// ENDED has them, of HTTP/1.1 in chunks and of HTTP/2. Those that must come before a body, such as Content-Length or
/// Set-Cookie, are left out, and a response that comes from the cache has none.
///
/// @param event  an event of the last sortie_poll(); NULL has no trailers
/// @param name   the trailer's name; NULL finds none
/// @param index  0 for the first of that name, 1 for the second, and so on
/// @return its value, valid as long as the event is, or NULL if there is none
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_trailer(
    event: *const sortie_event,
    name: *const c_char,
    index: u32,
) -> *const c_char {
    guard_pointer(|| {
        // SAFETY: the caller promises an event of the last poll and a string.
        unsafe { field_named(trailers(event), name, index) }
    })
}

/// Counts an event's response trailers, repeated names each time.
///
/// @param event  an event of the last sortie_poll(); NULL has no trailers
/// @return the number of trailers, at most 256
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_trailer_count(event: *const sortie_event) -> u32 {
    // SAFETY: the caller promises an event of the last poll.
    catch_unwind(|| count_fields(unsafe { trailers(event) })).unwrap_or(0)
}

/// Reads a response trailer by its place, in the order of arrival.
///
/// @param event  an event of the last sortie_poll()
/// @param i      its place, from 0
/// @param name   receives its name as received, valid as long as the event is; may be NULL
/// @param value  receives its value, valid as long as the event is; may be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT for a NULL event, or SORTIE_RESULT_NOT_FOUND when there are fewer
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_trailer_at(
    event: *const sortie_event,
    i: u32,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> sortie_result {
    guard_unit(|| {
        if event.is_null() {
            return Err(null("event"));
        }
        // SAFETY: the caller promises an event of the last poll and writable pointers.
        unsafe { write_field(trailers(event), "trailer", i, name, value) }
    })
}

/// Tells the line that comes before the headers.
///
/// @param event  an event of the last sortie_poll()
/// @return the line, such as "HTTP/1.1 404 Not Found" or "HTTP/2 200", valid as long as the event is; NULL if no response
///         came
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_status_line(event: *const sortie_event) -> *const c_char {
    guard_pointer(|| {
        // SAFETY: the caller promises an event of the last poll.
        let line = unsafe { response(event) }?.headers.c_status_line()?;
        Some(c_pointer(line))
    })
}

/// Tells the URL that answered, after redirects; without any, the URL as requested.
///
/// @param event  an event of the last sortie_poll()
/// @return the URL, credentials left out, valid as long as the event is; NULL if no response came
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_effective_url(event: *const sortie_event) -> *const c_char {
    guard_pointer(|| {
        // SAFETY: the caller promises an event of the last poll.
        let response = unsafe { response(event) }.filter(|response| response.status != 0)?;
        match &response.effective_url {
            Some(url) => Some(c_pointer(url.as_c_str())),
            // SAFETY: a response was found, so the event is not NULL.
            None => Some(unsafe { (*event).url }),
        }
    })
}

/// Tells what a text body was written in before it was made UTF-8.
///
/// @param event   an event of the last sortie_poll()
/// @param source  receives where that was found, SORTIE_CHARSET_*; left as it is if nothing is; may be NULL
/// @return the charset's name in the WHATWG Encoding Standard, such as "windows-1252", valid as long as the event is; NULL
///         if the event has no text, or SORTIE_REQUEST_RAW_TEXT asked for it as it came
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_charset(event: *const sortie_event, source: *mut u32) -> *const c_char {
    guard_pointer(|| {
        // SAFETY: the caller promises an event of the last poll.
        let response = unsafe { response(event) }?;
        let (name, found) = response.charset?;
        if !source.is_null() {
            let number = match found {
                CharsetSource::Header => SORTIE_CHARSET_HEADER,
                CharsetSource::ByteOrderMark => SORTIE_CHARSET_BYTE_ORDER_MARK,
                CharsetSource::XmlDeclaration => SORTIE_CHARSET_XML_DECLARATION,
                CharsetSource::MetaCharset => SORTIE_CHARSET_META_CHARSET,
                CharsetSource::MetaHttpEquiv => SORTIE_CHARSET_META_HTTP_EQUIV,
                CharsetSource::Default => SORTIE_CHARSET_ASSUMED,
            };
            // SAFETY: not NULL, and the caller promises a writable number.
            unsafe { source.write(number) };
        }
        Some(c_pointer(response.charset_text.get_or_init(|| Text::from(name)).as_c_str()))
    })
}

/// Tells the address that the request was connected to: the server's, or the proxy's.
///
/// @param event  an ENDED or RETRY event of the last sortie_poll()
/// @return the address with its port, such as "203.0.113.7:443" or "[2001:db8::1]:443", valid as long as the event is; NULL
///         if there was no connection
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_remote_address(event: *const sortie_event) -> *const c_char {
    guard_pointer(|| {
        // SAFETY: the caller promises an event of the last poll.
        let response = unsafe { response(event) }?;
        let address = response.timing.remote_address?;
        Some(c_pointer(response.remote_text.get_or_init(|| Text::from(address.to_string())).as_c_str()))
    })
}

/// Tells where a request's time went, and over what.
///
/// @param event  an ENDED event of the last sortie_poll()
/// @param out    receives it; its struct_size must be set; must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE, or SORTIE_RESULT_NOT_FOUND for an event that
///         is not ENDED
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_timing(event: *const sortie_event, out: *mut sortie_timing) -> sortie_result {
    guard_unit(|| {
        // SAFETY: the caller promises an event of the last poll.
        let ended = unsafe { reference(event, "event") }?.r#type == SORTIE_EVENT_ENDED;
        // SAFETY: as above.
        let response = unsafe { response(event) }.filter(|_| ended);
        let missing = || Refusal::new(Reason::NotFound, "only an ENDED event has a timing");
        let timing = response.ok_or_else(missing)?.timing;
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let value = sortie_timing {
            struct_size: 0,
            redirects: timing.redirects,
            queued_us: us(timing.queued),
            name_lookup_us: us(timing.name_lookup),
            connect_us: us(timing.connect),
            tls_us: us(timing.tls),
            first_byte_us: us(timing.first_byte),
            total_us: us(timing.total),
            attempts: timing.attempts,
            protocol: match timing.protocol {
                None => SORTIE_PROTOCOL_NONE,
                Some(Protocol::Http10) => SORTIE_PROTOCOL_HTTP_1_0,
                Some(Protocol::Http11) => SORTIE_PROTOCOL_HTTP_1_1,
                Some(Protocol::Http2) => SORTIE_PROTOCOL_HTTP_2,
            },
            connection_reused: timing.connection_reused.into(),
            reserved: 0,
            bytes_received: timing.bytes_received,
            bytes_sent: timing.bytes_sent,
        };
        // SAFETY: the caller promises as many writable bytes as struct_size says.
        unsafe { write_struct(out, value) }
    })
}

/// Takes an event's body over, without a copy, so that it outlives the event. The event's own body and body_length stay
/// valid as long as the event is, or until the body is freed.
///
/// @param event  an event of the last sortie_poll()
/// @param out    receives the body, to be given to sortie_body_free(); must not be NULL
/// @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_NOT_FOUND when there is none or it was taken already
/// @threadsafety   the thread that polls
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_event_take_body(
    event: *const sortie_event,
    out: *mut *mut sortie_body,
) -> sortie_result {
    guard_unit(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: the caller promises an event of the last poll.
        let details = unsafe { reference(event, "event") }?.details.cast::<Response>();
        // SAFETY: NULL or made in `hand_out`; only the thread that polls touches it, so nobody else has a reference.
        let body = unsafe { details.as_mut() }.and_then(|response| response.body.take());
        let mut bytes = body.ok_or_else(|| Refusal::new(Reason::NotFound, "the event has no body to take"))?;
        bytes.release();
        // SAFETY: not NULL, and the caller promises a writable pointer.
        unsafe { out.write(Box::into_raw(Box::new(sortie_body { bytes }))) };
        Ok(())
    })
}

/// Points to a body's bytes, with a NUL one past their end.
///
/// @param body  a body that was taken over; NULL gives NULL
/// @return the bytes, valid until sortie_body_free()
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_body_data(body: *const sortie_body) -> *const c_void {
    // SAFETY: the caller promises a live body or NULL.
    unsafe { body.as_ref() }.map_or(ptr::null(), |body| body.bytes.as_bytes().as_ptr().cast())
}

/// Tells a body's length in bytes.
///
/// @param body  a body that was taken over; NULL has length 0
/// @return its length
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_body_length(body: *const sortie_body) -> u64 {
    // SAFETY: the caller promises a live body or NULL.
    unsafe { body.as_ref() }.map_or(0, |body| body.bytes.len() as u64)
}

/// Frees a body that was taken over. Fine before and after its client's destruction.
///
/// @param body  the body; NULL is fine
/// @threadsafety   any thread, once
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_body_free(body: *mut sortie_body) {
    if !body.is_null() {
        // SAFETY: made by sortie_event_take_body() and freed once, by the caller's promise.
        drop(unsafe { Box::from_raw(body) });
    }
}

/// Writes text into a caller's buffer as snprintf() does.
struct Printed {
    out: *mut u8,
    capacity: usize,
    length: u64,
}

impl Printed {
    fn new(out: *mut c_char, capacity: u64) -> Result<Printed, Refusal> {
        if out.is_null() && capacity != 0 {
            return Err(null("out"));
        }
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Ok(Printed { out: out.cast(), capacity, length: 0 })
    }

    fn push(&mut self, bytes: &[u8]) {
        let at = usize::try_from(self.length).unwrap_or(usize::MAX);
        let room = self.capacity.saturating_sub(1).saturating_sub(at).min(bytes.len());
        if room > 0 {
            // SAFETY: the caller promises room for capacity bytes, and at + room is less than that.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.out.add(at), room) };
        }
        self.length += bytes.len() as u64;
    }

    /// Ends it with a NUL; gives the length that the whole text has.
    fn end(self) -> i64 {
        if self.capacity > 0 {
            let at = usize::try_from(self.length).unwrap_or(usize::MAX).min(self.capacity - 1);
            // SAFETY: the caller promises room for capacity bytes.
            unsafe { self.out.add(at).write(0) };
        }
        i64::try_from(self.length).unwrap_or(i64::MAX)
    }
}

/// Writes the fields of a form as application/x-www-form-urlencoded, such as "name=J%C3%BCrgen+O.&score=42": for a body of
/// that content_type, or for the query of a URL.
///
/// @param parts     the fields: name, data and data_length; one with a path is refused; may be NULL if count is 0
/// @param count     their number, at most 10000
/// @param out       receives the text with a NUL, cut short to capacity as snprintf() does; may be NULL if capacity is 0
/// @param capacity  the room in out, in bytes, NUL included
/// @return the length of the whole text without its NUL: more than fits if it is at least capacity; or
///         SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_PATH, SORTIE_RESULT_ARGUMENT,
///         SORTIE_RESULT_BODY_TOO_LARGE
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_form_urlencode(
    parts: *const sortie_form_part,
    count: u32,
    out: *mut c_char,
    capacity: u64,
) -> i64 {
    guard(|| {
        let mut text = Printed::new(out, capacity)?;
        // SAFETY: the caller promises count parts whose pointers are as their fields say.
        let parts = unsafe { args::form_parts(parts, count) }?;
        let fields = parts.iter().map(FormPart::as_field).collect::<Result<Vec<_>, _>>()?;
        for (index, (name, value)) in fields.into_iter().enumerate() {
            if index > 0 {
                text.push(b"&");
            }
            form_urlencoded::byte_serialize(name.as_bytes()).for_each(|piece| text.push(piece.as_bytes()));
            text.push(b"=");
            form_urlencoded::byte_serialize(value).for_each(|piece| text.push(piece.as_bytes()));
        }
        Ok(text.end())
    })
}

/// All but what RFC 3986 calls unreserved.
const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes text for any place in a URL: all but letters, digits, '-', '.', '_' and '~', byte by byte.
///
/// @param text      the text; must not be NULL
/// @param out       receives it encoded with a NUL, cut short to capacity as snprintf() does; may be NULL if capacity is 0
/// @param capacity  the room in out, in bytes, NUL included
/// @return the length of the whole encoded text without its NUL: more than fits if it is at least capacity; or
///         SORTIE_RESULT_NULL_ARGUMENT
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_percent_encode(text: *const c_char, out: *mut c_char, capacity: u64) -> i64 {
    guard(|| {
        // SAFETY: the caller promises a string.
        let bytes = unsafe { args::c_bytes(text, "text") }?;
        let mut encoded = Printed::new(out, capacity)?;
        percent_encoding::percent_encode(bytes, RESERVED).for_each(|piece| encoded.push(piece.as_bytes()));
        Ok(encoded.end())
    })
}

/// Undoes percent-encoding. A '%' without two hexadecimal digits stands for itself, and so does '+'. What comes out may be
/// any bytes, NUL among them.
///
/// @param text      the text; must not be NULL
/// @param out       receives it decoded with a NUL at its end, cut short to capacity as snprintf() does; may be NULL if
///                  capacity is 0
/// @param capacity  the room in out, in bytes, the last NUL included
/// @return the length of the whole decoded text without that NUL: more than fits if it is at least capacity; or
///         SORTIE_RESULT_NULL_ARGUMENT
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_percent_decode(text: *const c_char, out: *mut c_char, capacity: u64) -> i64 {
    guard(|| {
        // SAFETY: the caller promises a string.
        let bytes = unsafe { args::c_bytes(text, "text") }?;
        let mut decoded = Printed::new(out, capacity)?;
        percent_encoding::percent_decode(bytes).for_each(|byte| decoded.push(&[byte]));
        Ok(decoded.end())
    })
}

/// Tells the number of the C ABI that the loaded library has. It is at least SORTIE_ABI_VERSION of the header, or the
/// library is older than the program.
///
/// @return the number
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn sortie_abi_version() -> u32 {
    SORTIE_ABI_VERSION
}

/// Tells the version of the loaded library.
///
/// @return the version as "MAJOR.MINOR.PATCH", valid for ever
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn sortie_version() -> *const c_char {
    c_pointer(concat!(env!("CARGO_PKG_VERSION"), "\0"))
}

/// Describes a result.
///
/// @param result  SORTIE_OK or a SORTIE_RESULT_*
/// @return a short English description, valid for ever; never NULL
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn sortie_result_string(result: sortie_result) -> *const c_char {
    if result == SORTIE_OK {
        return c_pointer("no error\0");
    }
    c_pointer(Reason::from_number(result).map_or("unknown result\0", Reason::c_text))
}

/// Describes a kind of error.
///
/// @param kind  a SORTIE_ERROR_*
/// @return a short English description, valid for ever; never NULL
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn sortie_error_string(kind: u32) -> *const c_char {
    if kind == SORTIE_ERROR_NONE {
        return c_pointer("no error\0");
    }
    c_pointer(ErrorKind::from_number(kind).map_or("unknown error\0", ErrorKind::c_text))
}

/// Tells what exactly was wrong with the last call that this thread made and that was refused, such as "header name is
/// empty".
///
/// @return an English message, valid until this thread's next refused call; "" if there was none; never NULL
/// @threadsafety   any thread
/// @since          0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn sortie_last_error_message() -> *const c_char {
    LAST_ERROR.try_with(|last| c_pointer(last.borrow().as_c_str())).unwrap_or(c_pointer("\0"))
}

/// Makes the worker panic at its next turn.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_test_panic(client: *mut sortie_client) {
    // SAFETY: the caller promises a live client.
    if let Some(client) = unsafe { client.as_ref() } {
        client.client.test_panic(false);
    }
}

/// Makes the worker panic when it next has a request in hand.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_test_panic_at_start(client: *mut sortie_client) {
    // SAFETY: the caller promises a live client.
    if let Some(client) = unsafe { client.as_ref() } {
        client.client.test_panic(true);
    }
}

/// Holds up what the disk does with files whose path contains a marker, as a disk would that hangs; with `held` of 0 lets it
/// go on.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_test_hold_disk(marker: *const c_char, held: u32) {
    // SAFETY: the caller promises a NUL-terminated string.
    let marker = unsafe { std::ffi::CStr::from_ptr(marker) }.to_string_lossy();
    if held == 0 {
        crate::body::hold::release(&marker);
    } else {
        crate::body::hold::hold(&marker);
    }
}

/// How many operations of the disk are held up by a marker.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sortie_test_disk_waits(marker: *const c_char) -> u32 {
    // SAFETY: the caller promises a NUL-terminated string.
    crate::body::hold::waiting(&unsafe { std::ffi::CStr::from_ptr(marker) }.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn numbers_in_the_header_are_those_of_the_facade() {
        for (result, reason) in [
            (SORTIE_RESULT_NULL_ARGUMENT, Reason::NullArgument),
            (SORTIE_RESULT_STRUCT_SIZE, Reason::StructSize),
            (SORTIE_RESULT_UTF8, Reason::Utf8),
            (SORTIE_RESULT_URL, Reason::Url),
            (SORTIE_RESULT_SCHEME, Reason::Scheme),
            (SORTIE_RESULT_METHOD, Reason::Method),
            (SORTIE_RESULT_HEADER, Reason::Header),
            (SORTIE_RESULT_PATH, Reason::Path),
            (SORTIE_RESULT_ARGUMENT, Reason::Argument),
            (SORTIE_RESULT_BODY_TOO_LARGE, Reason::BodyTooLarge),
            (SORTIE_RESULT_BUSY, Reason::Busy),
            (SORTIE_RESULT_STALE, Reason::Stale),
            (SORTIE_RESULT_TOO_MANY_REQUESTS, Reason::TooManyRequests),
            (SORTIE_RESULT_SYSTEM, Reason::System),
            (SORTIE_RESULT_NOT_FOUND, Reason::NotFound),
            (SORTIE_RESULT_SHUTDOWN, Reason::Shutdown),
            (SORTIE_RESULT_INTERNAL, Reason::Internal),
        ] {
            assert_eq!(result, reason.number());
        }
        for (error, kind) in [
            (SORTIE_ERROR_RESOLVE, ErrorKind::Resolve),
            (SORTIE_ERROR_CONNECT, ErrorKind::Connect),
            (SORTIE_ERROR_TLS, ErrorKind::Tls),
            (SORTIE_ERROR_CERTIFICATE, ErrorKind::Certificate),
            (SORTIE_ERROR_TIMEOUT, ErrorKind::Timeout),
            (SORTIE_ERROR_CONNECT_TIMEOUT, ErrorKind::ConnectTimeout),
            (SORTIE_ERROR_STALLED, ErrorKind::Stalled),
            (SORTIE_ERROR_SEND, ErrorKind::Send),
            (SORTIE_ERROR_RECEIVE, ErrorKind::Receive),
            (SORTIE_ERROR_PROTOCOL, ErrorKind::Protocol),
            (SORTIE_ERROR_REDIRECTS, ErrorKind::Redirects),
            (SORTIE_ERROR_BODY_TOO_LARGE, ErrorKind::BodyTooLarge),
            (SORTIE_ERROR_DECODE, ErrorKind::Decode),
            (SORTIE_ERROR_FILE, ErrorKind::File),
            (SORTIE_ERROR_DISK_FULL, ErrorKind::DiskFull),
            (SORTIE_ERROR_INTEGRITY, ErrorKind::Integrity),
            (SORTIE_ERROR_PROXY, ErrorKind::Proxy),
            (SORTIE_ERROR_CANCELLED, ErrorKind::Cancelled),
            (SORTIE_ERROR_INVALID_URL, ErrorKind::InvalidUrl),
            (SORTIE_ERROR_UNSUPPORTED, ErrorKind::Unsupported),
            (SORTIE_ERROR_SHUTDOWN, ErrorKind::Shutdown),
            (SORTIE_ERROR_INTERNAL, ErrorKind::Internal),
            (SORTIE_ERROR_QUEUE_TIMEOUT, ErrorKind::QueueTimeout),
            (SORTIE_ERROR_ENCODE, ErrorKind::Encode),
            (SORTIE_ERROR_NOT_CACHED, ErrorKind::NotCached),
        ] {
            assert_eq!(error, kind.number());
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn layouts_are_the_released_ones() {
        assert_eq!(size_of::<sortie_event>(), 128);
        assert_eq!(offset_of!(sortie_event, user_data), 8);
        assert_eq!(offset_of!(sortie_event, r#type), 16);
        assert_eq!(offset_of!(sortie_event, error), 20);
        assert_eq!(offset_of!(sortie_event, status), 24);
        assert_eq!(offset_of!(sortie_event, body_kind), 28);
        assert_eq!(offset_of!(sortie_event, body), 32);
        assert_eq!(offset_of!(sortie_event, body_length), 40);
        assert_eq!(offset_of!(sortie_event, file_path), 48);
        assert_eq!(offset_of!(sortie_event, message), 56);
        assert_eq!(offset_of!(sortie_event, url), 64);
        assert_eq!(offset_of!(sortie_event, bytes_transferred), 72);
        assert_eq!(offset_of!(sortie_event, bytes_estimated), 80);
        assert_eq!(offset_of!(sortie_event, details), 88);
        assert_eq!(offset_of!(sortie_event, network), 96);
        assert_eq!(offset_of!(sortie_event, attempts), 104);
        assert_eq!(offset_of!(sortie_event, trace_level), 112);
        assert_eq!(offset_of!(sortie_event, reserved), 116);
        assert_eq!(size_of::<sortie_request_desc>(), 264);
        assert_eq!(offset_of!(sortie_request_desc, cache_mode), 216);
        assert_eq!(offset_of!(sortie_request_desc, response_path), 88);
        assert_eq!(offset_of!(sortie_request_desc, max_body_bytes), 128);
        assert_eq!(size_of::<sortie_client_config>(), 264);
        assert_eq!(offset_of!(sortie_client_config, cache_directory), 200);
        assert_eq!(offset_of!(sortie_client_config, max_active), 56);
        assert_eq!(offset_of!(sortie_client_config, proxy), 160);
        assert_eq!(offset_of!(sortie_client_config, cookie_file), 176);
        assert_eq!(size_of::<sortie_header>(), 16);
        assert_eq!(size_of::<sortie_form_part>(), 64);
        assert_eq!(size_of::<sortie_pin>(), 24);
        assert_eq!(size_of::<sortie_client_certificate>(), 40);
        assert_eq!(size_of::<sortie_timing>(), 88);
        assert_eq!(size_of::<sortie_stats>(), 136);
        assert_eq!(size_of::<sortie_resolve>(), 32);
        assert_eq!(size_of::<sortie_mock>(), 72);
        assert_eq!(offset_of!(sortie_mock, body), 40);
        assert_eq!(offset_of!(sortie_mock, times), 68);
    }
}
