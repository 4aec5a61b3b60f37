//! What an event brought.

use std::cell::RefCell;
use std::time::Duration;

use godot::classes::ClassDb;
use godot::global::push_error;
use godot::prelude::*;
use sortie::{BodyKind, CharsetSource, ErrorKind, Event, Headers, Protocol, Response};

use crate::limits::int;

/// A response, or what became of a request without one.
///
/// SortieRequest.completed gives it whole, SortieRequest.began with the headers alone.
#[derive(GodotClass)]
#[class(init, base = RefCounted)]
pub(crate) struct SortieResponse {
    /// Why no whole response came: ERROR_NONE, or another ERROR_*. A status such as 404 is no error.
    #[var(get, no_set)]
    error: PhantomVar<i64>,
    /// What went wrong, for a person; empty without an error.
    #[var(get, no_set)]
    message: PhantomVar<GString>,
    /// Whether a whole response came, with a status from 200 to 299.
    #[var(get, no_set)]
    ok: PhantomVar<bool>,
    /// The HTTP status; 0 if none came.
    #[var(get, no_set)]
    status: PhantomVar<i64>,
    /// The line before the headers, such as "HTTP/1.1 404 Not Found".
    #[var(get, no_set)]
    status_line: PhantomVar<GString>,
    /// The headers in order of arrival, each as "Name: value".
    #[var(get, no_set)]
    headers: PhantomVar<PackedStringArray>,
    /// The fields that came after the body, in order of arrival, each as "Name: value". Of a SortieRequest.completed.
    #[var(get, no_set)]
    trailers: PhantomVar<PackedStringArray>,
    /// The body; empty if there is none or it went to a file. Godot's arrays are its own memory, so the first use copies.
    #[var(get, no_set)]
    body: PhantomVar<PackedByteArray>,
    /// The body as text. What was sent in another charset has been made UTF-8, unless SortieRequest.raw_text is set.
    #[var(get, no_set)]
    text: PhantomVar<GString>,
    /// What the body is: SortieRequest.BODY_TEXT, SortieRequest.BODY_BINARY, or SortieRequest.BODY_DEFAULT without one.
    #[var(get, no_set)]
    body_kind: PhantomVar<i64>,
    /// What a text was written in before it was made UTF-8, such as "windows-1252"; empty for bytes, files and raw text.
    #[var(get, no_set)]
    charset: PhantomVar<GString>,
    /// Where that was found, CHARSET_*; 0 if nothing was.
    #[var(get, no_set)]
    charset_source: PhantomVar<i64>,
    /// The full path of the file that was written; empty if none was.
    #[var(get, no_set)]
    file_path: PhantomVar<GString>,
    /// The URL as requested, without credentials.
    #[var(get, no_set)]
    url: PhantomVar<GString>,
    /// The URL that answered, after redirects.
    #[var(get, no_set)]
    effective_url: PhantomVar<GString>,
    /// Bytes of the body on the wire so far, in the direction of SortieRequest.report_progress.
    #[var(get, no_set)]
    bytes_transferred: PhantomVar<i64>,
    /// Bytes of the body on the wire in all; 0 if there is no body, -1 if unknown.
    #[var(get, no_set)]
    bytes_estimated: PhantomVar<i64>,
    /// Whether the cache gave it, not the network.
    #[var(get, no_set)]
    from_cache: PhantomVar<bool>,
    /// Whether the cache gave it after the server had said that it still holds.
    #[var(get, no_set)]
    revalidated: PhantomVar<bool>,
    /// Whether it is a 401 for which the request's credentials are of no use: the server asks for another kind, such as
    /// Digest, or a redirect led to another origin. Otherwise a 401 means that they are wrong or missing.
    #[var(get, no_set)]
    credentials_unused: PhantomVar<bool>,
    /// The address that answered: the server's, or the proxy's; empty if there was no connection.
    #[var(get, no_set)]
    remote_address: PhantomVar<GString>,
    /// The number of attempts made so far.
    #[var(get, no_set)]
    attempts: PhantomVar<i64>,

    event: Option<Event>,
    /// The URL of a request whose client was shut down.
    shut_down: Option<GString>,
    content: Content,
}

/// A body: as it came, and for Godot once that is asked for. Taken out of the event, so that it no longer counts against
/// what the client holds.
#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    array: RefCell<Option<PackedByteArray>>,
}

impl SortieResponse {
    pub(crate) fn from_event(mut event: Event) -> Gd<SortieResponse> {
        let body = event.response.as_mut().and_then(|response| response.body.take());
        let mut response = SortieResponse::new_gd();
        {
            let mut response = response.bind_mut();
            response.content.bytes = body.map(sortie::Body::into_vec).unwrap_or_default();
            response.event = Some(event);
        }
        response
    }

    /// What comes of a request when its client shuts down.
    pub(crate) fn of_shutdown(url: GString) -> Gd<SortieResponse> {
        let mut response = SortieResponse::new_gd();
        response.bind_mut().shut_down = Some(url);
        response
    }

    /// Why no whole response came.
    fn failure(&self) -> Option<(ErrorKind, &str)> {
        match self.shut_down {
            Some(_) => Some((ErrorKind::Shutdown, ErrorKind::Shutdown.text())),
            None => self.event.as_ref()?.failure(),
        }
    }

    fn response(&self) -> Option<&Response> {
        self.event.as_ref()?.response.as_deref()
    }

    fn trailers(&self) -> Option<&Headers> {
        self.response()?.trailers.as_deref()
    }
}

#[godot_api]
impl SortieResponse {
    /// A whole response came.
    #[constant]
    const ERROR_NONE: i64 = 0;
    /// The host's name could not be resolved.
    #[constant]
    const ERROR_RESOLVE: i64 = 1;
    /// No connection could be made.
    #[constant]
    const ERROR_CONNECT: i64 = 2;
    /// The TLS handshake failed.
    #[constant]
    const ERROR_TLS: i64 = 3;
    /// The server's certificate, its name or its pinned key was not accepted.
    #[constant]
    const ERROR_CERTIFICATE: i64 = 4;
    /// The total time ran out.
    #[constant]
    const ERROR_TIMEOUT: i64 = 5;
    /// The time to connect ran out.
    #[constant]
    const ERROR_CONNECT_TIMEOUT: i64 = 6;
    /// No byte moved for the stall time.
    #[constant]
    const ERROR_STALLED: i64 = 7;
    /// Sending failed.
    #[constant]
    const ERROR_SEND: i64 = 8;
    /// Receiving failed, or the response was cut short.
    #[constant]
    const ERROR_RECEIVE: i64 = 9;
    /// The peer did not speak HTTP as it should.
    #[constant]
    const ERROR_PROTOCOL: i64 = 10;
    /// Too many redirects, or one that is not allowed.
    #[constant]
    const ERROR_REDIRECTS: i64 = 11;
    /// The response's body is larger than the limit.
    #[constant]
    const ERROR_BODY_TOO_LARGE: i64 = 12;
    /// The response's content encoding is broken.
    #[constant]
    const ERROR_DECODE: i64 = 13;
    /// A file could not be read or written.
    #[constant]
    const ERROR_FILE: i64 = 14;
    /// The disk is full.
    #[constant]
    const ERROR_DISK_FULL: i64 = 15;
    /// The body has not the length or the SHA-256 that was expected.
    #[constant]
    const ERROR_INTEGRITY: i64 = 16;
    /// The proxy refused or failed.
    #[constant]
    const ERROR_PROXY: i64 = 17;
    /// SortieRequest.cancel() ended the request.
    #[constant]
    const ERROR_CANCELLED: i64 = 18;
    /// A URL met on the way, such as a redirect's, is not valid.
    #[constant]
    const ERROR_INVALID_URL: i64 = 19;
    /// Reserved; the server asked for something that Sortie does not do.
    #[constant]
    const ERROR_UNSUPPORTED: i64 = 20;
    /// The client was shut down, or left the scene tree.
    #[constant]
    const ERROR_SHUTDOWN: i64 = 21;
    /// A defect in Sortie or an exhausted resource.
    #[constant]
    const ERROR_INTERNAL: i64 = 22;
    /// The request waited in the queue for longer than its limit.
    #[constant]
    const ERROR_QUEUE_TIMEOUT: i64 = 23;
    /// The request's text cannot be written in the charset that its Content-Type names.
    #[constant]
    const ERROR_ENCODE: i64 = 24;
    /// SortieRequest.CACHE_ONLY_IF_CACHED was asked for, and nothing is stored.
    #[constant]
    const ERROR_NOT_CACHED: i64 = 25;
    /// get_timing().protocol: nothing came from the network.
    #[constant]
    const PROTOCOL_NONE: i64 = 0;
    /// get_timing().protocol: HTTP/1.0.
    #[constant]
    const PROTOCOL_HTTP_1_0: i64 = 1;
    /// get_timing().protocol: HTTP/1.1.
    #[constant]
    const PROTOCOL_HTTP_1_1: i64 = 2;
    /// get_timing().protocol: HTTP/2.
    #[constant]
    const PROTOCOL_HTTP_2: i64 = 3;
    /// SortieResponse.charset_source: the charset of the Content-Type header.
    #[constant]
    const CHARSET_HEADER: i64 = 1;
    /// SortieResponse.charset_source: its byte order mark.
    #[constant]
    const CHARSET_BYTE_ORDER_MARK: i64 = 2;
    /// SortieResponse.charset_source: its XML declaration.
    #[constant]
    const CHARSET_XML_DECLARATION: i64 = 3;
    /// SortieResponse.charset_source: `<meta charset>`.
    #[constant]
    const CHARSET_META_CHARSET: i64 = 4;
    /// SortieResponse.charset_source: `<meta http-equiv="Content-Type">`.
    #[constant]
    const CHARSET_META_HTTP_EQUIV: i64 = 5;
    /// SortieResponse.charset_source: nowhere, UTF-8 is assumed.
    #[constant]
    const CHARSET_ASSUMED: i64 = 6;

    /// Gives the value of a header, whatever the letters' case: the first of that name, or with an index another. Empty if
    /// there is none.
    #[func]
    fn get_header(&self, name: GString, #[opt(default = 0)] index: i64) -> GString {
        let nth = usize::try_from(index).ok();
        let value = nth.and_then(|nth| self.response()?.headers.get_nth(&name.to_string(), nth));
        value.unwrap_or_default().into()
    }

    /// Whether there is a header of this name, whatever the letters' case.
    #[func]
    fn has_header(&self, name: GString) -> bool {
        self.response().is_some_and(|response| response.headers.get(&name.to_string()).is_some())
    }

    /// Gives the value of a trailer, as get_header() does of a header.
    #[func]
    fn get_trailer(&self, name: GString, #[opt(default = 0)] index: i64) -> GString {
        let nth = usize::try_from(index).ok();
        let value = nth.and_then(|nth| self.trailers()?.get_nth(&name.to_string(), nth));
        value.unwrap_or_default().into()
    }

    /// Reads the body as JSON. Gives null, and writes an error to the log, if it is none.
    #[func]
    fn json(&self) -> Variant {
        let parser = ClassDb::singleton().instantiate("JSON").try_to::<Gd<RefCounted>>();
        let Ok(mut parser) = parser else { return Variant::nil() };
        let parsed = parser.call("parse", &[self.get_text().to_variant()]);
        if parsed.try_to::<i64>().is_ok_and(|error| error == 0) {
            return parser.call("get_data", &[]);
        }
        let line = parser.call("get_error_line", &[]);
        let what = parser.call("get_error_message", &[]);
        let url = self.get_url();
        push_error(
            &[format!("SortieResponse.json(): the body of {url} is not JSON: line {line}: {what}").to_variant()],
        );
        Variant::nil()
    }

    /// Tells where the time went, and over what: a Dictionary of `redirects`, `attempts`, `protocol` (PROTOCOL_*),
    /// `connection_reused` (a bool), `bytes_received`, `bytes_sent` and, in microseconds, `queued_usec`, `name_lookup_usec`,
    /// `connect_usec`, `tls_usec`, `first_byte_usec` and `total_usec`. A step that did not happen took 0. Of a
    /// SortieRequest.completed.
    #[func]
    fn get_timing(&self) -> VarDictionary {
        let timing = self.response().map(|response| response.timing).unwrap_or_default();
        let usec = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        vdict! {
            "redirects" => timing.redirects,
            "attempts" => timing.attempts,
            "queued_usec" => usec(timing.queued),
            "name_lookup_usec" => usec(timing.name_lookup),
            "connect_usec" => usec(timing.connect),
            "tls_usec" => usec(timing.tls),
            "first_byte_usec" => usec(timing.first_byte),
            "total_usec" => usec(timing.total),
            "protocol" => match timing.protocol {
                None => Self::PROTOCOL_NONE,
                Some(Protocol::Http10) => Self::PROTOCOL_HTTP_1_0,
                Some(Protocol::Http11) => Self::PROTOCOL_HTTP_1_1,
                Some(Protocol::Http2) => Self::PROTOCOL_HTTP_2,
            },
            "connection_reused" => timing.connection_reused,
            "bytes_received" => int(timing.bytes_received),
            "bytes_sent" => int(timing.bytes_sent),
        }
    }

    /// Describes an ERROR_* in English.
    #[func]
    fn error_string(error: i64) -> GString {
        if error == 0 {
            return "no error".into();
        }
        let kind = u32::try_from(error).ok().and_then(ErrorKind::from_number);
        kind.map_or("unknown error", ErrorKind::text).into()
    }

    #[func]
    pub(crate) fn get_error(&self) -> i64 {
        self.failure().map_or(0, |(kind, _)| kind.number().into())
    }

    #[func]
    pub(crate) fn get_message(&self) -> GString {
        self.failure().map_or("", |(_, message)| message).into()
    }

    #[func]
    fn get_ok(&self) -> bool {
        self.get_error() == 0 && (200..300).contains(&self.get_status())
    }

    #[func]
    fn get_status(&self) -> i64 {
        self.response().map_or(0, |response| i64::from(response.status))
    }

    #[func]
    fn get_status_line(&self) -> GString {
        self.response().and_then(|response| response.headers.status_line()).unwrap_or_default().into()
    }

    #[func]
    fn get_headers(&self) -> PackedStringArray {
        self.response().map(|response| header_lines(&response.headers)).unwrap_or_default()
    }

    #[func]
    fn get_trailers(&self) -> PackedStringArray {
        self.trailers().map(header_lines).unwrap_or_default()
    }

    #[func]
    fn get_body(&self) -> PackedByteArray {
        let mut array = self.content.array.borrow_mut();
        array.get_or_insert_with(|| self.content.bytes.as_slice().into()).clone()
    }

    #[func]
    fn get_text(&self) -> GString {
        String::from_utf8_lossy(&self.content.bytes).as_ref().into()
    }

    #[func]
    fn get_body_kind(&self) -> i64 {
        match self.response().map(|response| response.body_kind).unwrap_or_default() {
            BodyKind::Default => 0,
            BodyKind::Text => 1,
            BodyKind::Binary => 2,
        }
    }

    #[func]
    fn get_charset(&self) -> GString {
        let charset = self.response().and_then(|response| response.charset.as_ref());
        charset.map_or("", |(name, _)| name).into()
    }

    #[func]
    fn get_charset_source(&self) -> i64 {
        match self.response().and_then(|response| response.charset.as_ref()) {
            None => 0,
            Some((_, CharsetSource::Header)) => Self::CHARSET_HEADER,
            Some((_, CharsetSource::ByteOrderMark)) => Self::CHARSET_BYTE_ORDER_MARK,
            Some((_, CharsetSource::XmlDeclaration)) => Self::CHARSET_XML_DECLARATION,
            Some((_, CharsetSource::MetaCharset)) => Self::CHARSET_META_CHARSET,
            Some((_, CharsetSource::MetaHttpEquiv)) => Self::CHARSET_META_HTTP_EQUIV,
            Some((_, CharsetSource::Default)) => Self::CHARSET_ASSUMED,
        }
    }

    #[func]
    fn get_file_path(&self) -> GString {
        self.response().and_then(|response| response.file.as_ref()).map_or("", |file| file.as_str()).into()
    }

    #[func]
    fn get_url(&self) -> GString {
        match &self.shut_down {
            Some(url) => url.clone(),
            None => self.event.as_ref().map_or("", |event| event.url.as_str()).into(),
        }
    }

    #[func]
    fn get_effective_url(&self) -> GString {
        let redirected = self.response().and_then(|response| response.effective_url.as_ref());
        match redirected {
            Some(url) => url.as_str().into(),
            None if self.get_status() == 0 => GString::new(),
            None => self.get_url(),
        }
    }

    #[func]
    pub(crate) fn get_bytes_transferred(&self) -> i64 {
        self.event.as_ref().map_or(0, |event| int(event.transferred))
    }

    #[func]
    pub(crate) fn get_bytes_estimated(&self) -> i64 {
        self.event.as_ref().map_or(0, |event| event.estimated)
    }

    #[func]
    fn get_from_cache(&self) -> bool {
        self.response().is_some_and(|response| response.from_cache)
    }

    #[func]
    fn get_revalidated(&self) -> bool {
        self.response().is_some_and(|response| response.revalidated)
    }

    #[func]
    fn get_credentials_unused(&self) -> bool {
        self.response().is_some_and(|response| response.credentials_unused)
    }

    #[func]
    fn get_remote_address(&self) -> GString {
        let address = self.response().and_then(|response| response.timing.remote_address);
        address.map(|address| address.to_string()).unwrap_or_default().as_str().into()
    }

    #[func]
    fn get_attempts(&self) -> i64 {
        self.response().map_or(0, |response| response.timing.attempts.into())
    }
}

/// Headers as Godot has them, each as "Name: value".
pub(crate) fn header_lines(headers: &Headers) -> PackedStringArray {
    headers.iter().map(|(name, value)| GString::from(format!("{name}: {value}").as_str())).collect()
}
