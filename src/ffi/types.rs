//! Every type and constant of the C header. The numbers are released: add, never change.

use std::ffi::{c_char, c_void};

/// What a call says of itself: SORTIE_OK, or a negative SORTIE_RESULT_* when it was refused. A refused call did nothing,
/// and sortie_last_error_message() tells what exactly was wrong.
pub type sortie_result = i32;
/// A request's id: 0 is none, every other is below 2^53 (a Lua or JavaScript number holds it). An id is not given out
/// again for billions of requests, so one that has ended is safe to pass everywhere.
pub type sortie_request = u64;

/// The call did what it says.
pub const SORTIE_OK: sortie_result = 0;
/// A pointer that must not be NULL was NULL.
pub const SORTIE_RESULT_NULL_ARGUMENT: sortie_result = -1;
/// struct_size is below the first release's size, or bytes that this library does not know are set.
pub const SORTIE_RESULT_STRUCT_SIZE: sortie_result = -2;
/// A string is not valid UTF-8.
pub const SORTIE_RESULT_UTF8: sortie_result = -3;
/// The URL is empty, malformed or too long.
pub const SORTIE_RESULT_URL: sortie_result = -4;
/// The URL's scheme is not http or https.
pub const SORTIE_RESULT_SCHEME: sortie_result = -5;
/// The method is not an HTTP token, or one that cannot be sent.
pub const SORTIE_RESULT_METHOD: sortie_result = -6;
/// A header's name or value cannot be sent.
pub const SORTIE_RESULT_HEADER: sortie_result = -7;
/// A file name is empty or leaves its base directory, or that directory is unknown or read-only.
pub const SORTIE_RESULT_PATH: sortie_result = -8;
/// A number, flag or combination of fields is out of range.
pub const SORTIE_RESULT_ARGUMENT: sortie_result = -9;
/// The body is larger than memory can hold.
pub const SORTIE_RESULT_BODY_TOO_LARGE: sortie_result = -10;
/// Another thread is in the same call, which takes one thread at a time.
pub const SORTIE_RESULT_BUSY: sortie_result = -11;
/// The id is not that of a request whose ENDED event is still to be drained.
pub const SORTIE_RESULT_STALE: sortie_result = -12;
/// As many requests as the client takes are waiting, running or not yet drained.
pub const SORTIE_RESULT_TOO_MANY_REQUESTS: sortie_result = -13;
/// The operating system refused a thread or a descriptor.
pub const SORTIE_RESULT_SYSTEM: sortie_result = -14;
/// There is no such header, body or other part.
pub const SORTIE_RESULT_NOT_FOUND: sortie_result = -15;
/// Reserved: the client is being destroyed.
pub const SORTIE_RESULT_SHUTDOWN: sortie_result = -16;
/// A defect in Sortie, caught at the boundary. Any call may return it.
pub const SORTIE_RESULT_INTERNAL: sortie_result = -17;

/// sortie_event.type: the request has started. With upload progress it comes before connecting, with the body's size;
/// with download progress after the response's headers, which it carries. With SORTIE_REQUEST_STREAM_RESPONSE the latter always
/// comes, so with upload progress there are two.
pub const SORTIE_EVENT_BEGAN: u32 = 1;
/// sortie_event.type: bytes have moved. At most one is undrained per request, and its numbers are the newest.
pub const SORTIE_EVENT_PROGRESS: u32 = 2;
/// sortie_event.type: the next piece of the response's body, in body and body_length. Only with
/// SORTIE_REQUEST_STREAM_RESPONSE.
pub const SORTIE_EVENT_DATA: u32 = 3;
/// sortie_event.type: the request has ended. Always the last event of a request, exactly one for each accepted submit.
pub const SORTIE_EVENT_ENDED: u32 = 4;
/// sortie_event.type: whether a watched host can be reached. Once at the start and at each change; at most one is undrained
/// per watch, and it tells the newest.
pub const SORTIE_EVENT_REACHABILITY: u32 = 5;
/// sortie_event.type: there is room again for a streamed body, of which the last sortie_body_write() took less than all. At
/// most one is undrained per request.
pub const SORTIE_EVENT_WRITABLE: u32 = 6;
/// sortie_event.type: an attempt has failed, and another follows in retry_delay_ms. Only with
/// SORTIE_REQUEST_RETRY_EVENTS. It has the failed response's status and headers, or the error.
pub const SORTIE_EVENT_RETRY: u32 = 7;
/// sortie_event.type: a line of the trace, in message, with its SORTIE_TRACE_* level in trace_level. request is 0 if it is about
/// the client. At most 4096 are undrained; what does not fit is left out, and the next line says how much.
pub const SORTIE_EVENT_TRACE: u32 = 8;

/// sortie_event.error: a whole response came.
pub const SORTIE_ERROR_NONE: u32 = 0;
/// sortie_event.error: the host's name could not be resolved.
pub const SORTIE_ERROR_RESOLVE: u32 = 1;
/// sortie_event.error: no connection could be made.
pub const SORTIE_ERROR_CONNECT: u32 = 2;
/// sortie_event.error: the TLS handshake failed.
pub const SORTIE_ERROR_TLS: u32 = 3;
/// sortie_event.error: the server's certificate, its name or its pinned key was not accepted.
pub const SORTIE_ERROR_CERTIFICATE: u32 = 4;
/// sortie_event.error: the total time ran out.
pub const SORTIE_ERROR_TIMEOUT: u32 = 5;
/// sortie_event.error: the time to connect ran out.
pub const SORTIE_ERROR_CONNECT_TIMEOUT: u32 = 6;
/// sortie_event.error: no byte moved for the stall time, or the transfer was slower than min_bytes_per_second.
pub const SORTIE_ERROR_STALLED: u32 = 7;
/// sortie_event.error: sending failed.
pub const SORTIE_ERROR_SEND: u32 = 8;
/// sortie_event.error: receiving failed, or the response was cut short.
pub const SORTIE_ERROR_RECEIVE: u32 = 9;
/// sortie_event.error: the peer did not speak HTTP as it should.
pub const SORTIE_ERROR_PROTOCOL: u32 = 10;
/// sortie_event.error: too many redirects, or one that is not allowed.
pub const SORTIE_ERROR_REDIRECTS: u32 = 11;
/// sortie_event.error: the response's body is larger than the limit.
pub const SORTIE_ERROR_BODY_TOO_LARGE: u32 = 12;
/// sortie_event.error: the response's content encoding is broken.
pub const SORTIE_ERROR_DECODE: u32 = 13;
/// sortie_event.error: a file could not be read or written.
pub const SORTIE_ERROR_FILE: u32 = 14;
/// sortie_event.error: the disk is full.
pub const SORTIE_ERROR_DISK_FULL: u32 = 15;
/// sortie_event.error: the body has not the length or the SHA-256 that was expected.
pub const SORTIE_ERROR_INTEGRITY: u32 = 16;
/// sortie_event.error: the proxy refused or failed.
pub const SORTIE_ERROR_PROXY: u32 = 17;
/// sortie_event.error: sortie_cancel() ended the request.
pub const SORTIE_ERROR_CANCELLED: u32 = 18;
/// sortie_event.error: a URL met on the way, such as a redirect's, is not valid.
pub const SORTIE_ERROR_INVALID_URL: u32 = 19;
/// sortie_event.error: reserved; the server asked for something that Sortie does not do.
pub const SORTIE_ERROR_UNSUPPORTED: u32 = 20;
/// sortie_event.error: reserved; the client shut down.
pub const SORTIE_ERROR_SHUTDOWN: u32 = 21;
/// sortie_event.error: a defect in Sortie or an exhausted resource.
pub const SORTIE_ERROR_INTERNAL: u32 = 22;
/// sortie_event.error: the request waited in the queue for longer than its limit.
pub const SORTIE_ERROR_QUEUE_TIMEOUT: u32 = 23;
/// sortie_event.error: the request's text cannot be written in the charset that its Content-Type names.
pub const SORTIE_ERROR_ENCODE: u32 = 24;
/// sortie_event.error: SORTIE_CACHE_ONLY_IF_CACHED was asked for, and nothing is stored.
pub const SORTIE_ERROR_NOT_CACHED: u32 = 25;

/// A body's kind: the default. In a request: text for a body in memory, binary for a file. In an event: there is no body.
pub const SORTIE_BODY_DEFAULT: u32 = 0;
/// A body's kind: text.
pub const SORTIE_BODY_TEXT: u32 = 1;
/// A body's kind: bytes.
pub const SORTIE_BODY_BINARY: u32 = 2;

/// Which way BEGAN and PROGRESS events look: none are sent.
pub const SORTIE_PROGRESS_NONE: u32 = 0;
/// BEGAN and PROGRESS events tell of the response's body.
pub const SORTIE_PROGRESS_DOWNLOAD: u32 = 1;
/// BEGAN and PROGRESS events tell of the request's body.
pub const SORTIE_PROGRESS_UPLOAD: u32 = 2;

/// The priority of most requests.
pub const SORTIE_PRIORITY_NORMAL: u32 = 0;
/// Starts before every waiting NORMAL request that has not waited for ten seconds.
pub const SORTIE_PRIORITY_HIGH: u32 = 1;
/// Starts after every waiting NORMAL request. So that nothing waits for ever, each ten seconds of waiting lift a request
/// by one level.
pub const SORTIE_PRIORITY_LOW: u32 = 2;

/// A file name's base: none, the name is a path of the operating system, relative to the working directory at submit.
pub const SORTIE_DIRECTORY_NONE: u32 = 0;
/// A file name's base: sortie_client_config.documents_directory.
pub const SORTIE_DIRECTORY_DOCUMENTS: u32 = 1;
/// A file name's base: sortie_client_config.temporary_directory.
pub const SORTIE_DIRECTORY_TEMPORARY: u32 = 2;
/// A file name's base: sortie_client_config.caches_directory.
pub const SORTIE_DIRECTORY_CACHES: u32 = 3;
/// A file name's base: sortie_client_config.application_support_directory.
pub const SORTIE_DIRECTORY_APPLICATION_SUPPORT: u32 = 4;
/// A file name's base: sortie_client_config.resource_directory, which is only read from.
pub const SORTIE_DIRECTORY_RESOURCE: u32 = 5;

/// HTTP version: HTTP/2 where TLS negotiates it, else HTTP/1.1.
pub const SORTIE_HTTP_DEFAULT: u32 = 0;
/// HTTP version: HTTP/1.1 only.
pub const SORTIE_HTTP_1_1: u32 = 1;
/// HTTP version: HTTP/2 also without TLS, by prior knowledge.
pub const SORTIE_HTTP_2_PRIOR_KNOWLEDGE: u32 = 2;

/// How much the trace tells: nothing.
pub const SORTIE_TRACE_OFF: u32 = 0;
/// How much the trace tells: what failed, and what nobody would be told of otherwise.
pub const SORTIE_TRACE_ERRORS: u32 = 1;
/// How much the trace tells: the steps of each request as well.
pub const SORTIE_TRACE_REQUESTS: u32 = 2;
/// How much the trace tells: headers as well, and why a request rests.
pub const SORTIE_TRACE_DETAILS: u32 = 3;

/// What a response came in: none came from the network.
pub const SORTIE_PROTOCOL_NONE: u32 = 0;
/// What a response came in: HTTP/1.0.
pub const SORTIE_PROTOCOL_HTTP_1_0: u32 = 1;
/// What a response came in: HTTP/1.1.
pub const SORTIE_PROTOCOL_HTTP_1_1: u32 = 2;
/// What a response came in: HTTP/2.
pub const SORTIE_PROTOCOL_HTTP_2: u32 = 3;

/// The lowest TLS version: the default, 1.2.
pub const SORTIE_TLS_DEFAULT: u32 = 0;
/// The lowest TLS version: 1.2.
pub const SORTIE_TLS_1_2: u32 = 1;
/// The lowest TLS version: 1.3.
pub const SORTIE_TLS_1_3: u32 = 2;

/// For every *_timeout_ms: no such limit.
pub const SORTIE_NO_TIMEOUT: u32 = 0xFFFF_FFFF;

/// sortie_request_desc.flags: do not follow redirects, hand over the 3xx response.
pub const SORTIE_REQUEST_MANUAL_REDIRECTS: u32 = 1;
/// sortie_request_desc.flags: also follow redirects from https to http.
pub const SORTIE_REQUEST_INSECURE_REDIRECTS: u32 = 2;
/// sortie_request_desc.flags: body is lent, not copied. It must stay as it is until the request's ENDED event is drained
/// or sortie_client_destroy() returns.
pub const SORTIE_REQUEST_BORROW_BODY: u32 = 4;
/// sortie_request_desc.flags: a downloaded file is not forced to the disk before it takes its name. Faster for many small
/// files; after a power cut a file may then be empty or missing its end.
pub const SORTIE_REQUEST_NO_SYNC: u32 = 8;

/// sortie_request_desc.flags: the text of a response is handed over as it came, not made UTF-8.
pub const SORTIE_REQUEST_RAW_TEXT: u32 = 16;

/// sortie_request_desc.flags: neither send cookies nor keep what the response sets.
pub const SORTIE_REQUEST_NO_COOKIES: u32 = 32;

/// sortie_request_desc.flags: send the body, in memory or a file, compressed, with "Content-Encoding: gzip". It is
/// compressed before the request starts, a file by way of another in temporary_directory or the system's, so that its
/// length is known: what events count are bytes on the wire. Not together with a form or a Content-Encoding header. Servers
/// have to be set up to take it.
pub const SORTIE_REQUEST_GZIP_BODY: u32 = 64;

/// sortie_request_desc.flags: hand the response's body over as it comes, in DATA events, after a BEGAN with status and
/// headers. What is received and not yet drained stays within stream_window_bytes: beyond, the transfer pauses. Pieces are
/// bytes, decompressed, whatever the Content-Type; max_body_bytes does not apply. Not together with response_path.
pub const SORTIE_REQUEST_STREAM_RESPONSE: u32 = 128;
/// sortie_request_desc.flags: the body comes by sortie_body_write() while the request runs. body_length, if not 0, is what it
/// will have in all; else it ends with sortie_body_finish(). What is written and not yet sent stays within
/// stream_window_bytes, and may be written from submit on. Time limits run while the request waits for more, but for
/// stall_timeout_ms. What is sent is gone: such a request is not made again once it has sent some, and one that is redirected
/// with its body ends with SORTIE_ERROR_REDIRECTS. Not together with body, body_path, a form, SORTIE_BODY_TEXT or
/// SORTIE_REQUEST_GZIP_BODY.
pub const SORTIE_REQUEST_STREAM_BODY: u32 = 256;
/// sortie_request_desc.flags: what has come of a file when its download breaks off (a lost connection, a cancel, a killed
/// process) stays beside its target, as NAME.sortie-part and NAME.sortie-resume, and a later request with this flag for the
/// same URL and file asks only for the rest. For GET with response_path. To give up on it, remove those two files; the guide
/// tells their names for a NAME of more than 100 bytes.
pub const SORTIE_REQUEST_RESUME: u32 = 512;
/// sortie_request_desc.flags: with max_attempts, make methods again that are not idempotent, such as POST.
pub const SORTIE_REQUEST_RETRY_ANY_METHOD: u32 = 1024;
/// sortie_request_desc.flags: with max_attempts, send a SORTIE_EVENT_RETRY for each attempt that is followed by another.
pub const SORTIE_REQUEST_RETRY_EVENTS: u32 = 2048;

/// sortie_request_desc.cache_mode: by the rules of HTTP. What is fresh answers, what is stale is asked about.
pub const SORTIE_CACHE_DEFAULT: u32 = 0;
/// sortie_request_desc.cache_mode: neither answered by the cache nor kept in it.
pub const SORTIE_CACHE_NO_STORE: u32 = 1;
/// sortie_request_desc.cache_mode: not answered by the cache, but kept in it.
pub const SORTIE_CACHE_RELOAD: u32 = 2;
/// sortie_request_desc.cache_mode: what is stored is asked about even if it is fresh.
pub const SORTIE_CACHE_REVALIDATE: u32 = 3;
/// sortie_request_desc.cache_mode: never go to the network. What is stored answers, fresh or stale; if nothing is, the
/// request ends with SORTIE_ERROR_NOT_CACHED.
pub const SORTIE_CACHE_ONLY_IF_CACHED: u32 = 4;
/// sortie_request_desc.cache_mode: what is stored answers, fresh or stale; if nothing is, the network.
pub const SORTIE_CACHE_FORCE: u32 = 5;

/// sortie_event.flags: the cache gave the response, not the network.
pub const SORTIE_EVENT_FROM_CACHE: u32 = 1;
/// sortie_event.flags: with SORTIE_EVENT_FROM_CACHE, the server had just said that it still holds.
pub const SORTIE_EVENT_REVALIDATED: u32 = 2;
/// sortie_event.flags: the response is a 401 for which the request's credentials are of no use. The server asks for another
/// kind of authentication, such as Digest, which Sortie cannot do; or a redirect led to another origin, where they are not
/// sent. Without this flag, a 401 means that they are wrong or missing.
pub const SORTIE_EVENT_CREDENTIALS_UNUSED: u32 = 4;

/// sortie_client_config.flags: keep no cookies.
pub const SORTIE_CLIENT_NO_COOKIES: u32 = 1;
/// sortie_client_config.flags: for tests. Never go to the network: a request that no mock answers ends with
/// SORTIE_ERROR_CONNECT, and no watched host can be reached.
pub const SORTIE_CLIENT_MOCKS_ONLY: u32 = 2;

/// sortie_client_config.flags: the trace shows what may be secret: credentials, the values of header fields and of queries, and
/// whatever else is not known to be harmless.
pub const SORTIE_CLIENT_TRACE_SECRETS: u32 = 4;
/// sortie_client_config.flags: at SORTIE_TRACE_DETAILS the trace shows bodies, the first 256 bytes of each piece.
pub const SORTIE_CLIENT_TRACE_BODIES: u32 = 8;

/// sortie_event.network, sortie_client_network(): there is a way.
pub const SORTIE_NETWORK_REACHABLE: u32 = 1;
/// sortie_event.network: a connection has to be made first, as by a modem that dials. No system tells it yet.
pub const SORTIE_NETWORK_CONNECTION_REQUIRED: u32 = 2;
/// sortie_event.network: that connection is made by the first packet. No system tells it yet.
pub const SORTIE_NETWORK_CONNECTION_ON_DEMAND: u32 = 4;
/// sortie_event.network: the user has to do something for that connection. No system tells it yet.
pub const SORTIE_NETWORK_INTERACTION_REQUIRED: u32 = 8;
/// sortie_event.network, sortie_client_network(): the way is a cellular network. Told on Linux.
pub const SORTIE_NETWORK_CELLULAR: u32 = 16;
/// sortie_event.network, sortie_client_network(): the way is a wireless local network. Told on Linux.
pub const SORTIE_NETWORK_WIFI: u32 = 32;

/// Where it was found what a text is written in: the charset of the Content-Type header.
pub const SORTIE_CHARSET_HEADER: u32 = 1;
/// Where it was found what a text is written in: its byte order mark.
pub const SORTIE_CHARSET_BYTE_ORDER_MARK: u32 = 2;
/// Where it was found what a text is written in: its XML declaration.
pub const SORTIE_CHARSET_XML_DECLARATION: u32 = 3;
/// Where it was found what a text is written in: `<meta charset>` in its first 1024 bytes.
pub const SORTIE_CHARSET_META_CHARSET: u32 = 4;
/// Where it was found what a text is written in: `<meta http-equiv="Content-Type">` in its first 1024 bytes.
pub const SORTIE_CHARSET_META_HTTP_EQUIV: u32 = 5;
/// Where it was found what a text is written in: nowhere, UTF-8 is assumed.
pub const SORTIE_CHARSET_ASSUMED: u32 = 6;

/// A header field, both parts NUL-terminated UTF-8.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_header {
    /// The field's name, an HTTP token.
    pub name: *const c_char,
    /// The field's value; no control character but TAB. NULL counts as empty.
    pub value: *const c_char,
}

/// One part of a form. Zero in any field but name means the default, so
/// `sortie_form_part part = { .name = "score", .data = "42", .data_length = 2 };` is complete. Strings are NUL-terminated
/// UTF-8. In a name and a filename '"' is sent as "%22", CR as "%0D" and LF as "%0A", as browsers do.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_form_part {
    /// The field's name; must not be NULL or empty.
    pub name: *const c_char,
    /// The part's content in memory; NULL means none, or path.
    pub data: *const c_void,
    /// The content's length in bytes.
    pub data_length: u64,
    /// A file to send as the content, read while it is sent; NULL means none, or data. What is sent of it is its length when
    /// the request starts; a file that shrinks after that or vanishes ends the request with SORTIE_ERROR_FILE.
    pub path: *const c_char,
    /// The base of path, SORTIE_DIRECTORY_*.
    pub directory: u32,
    /// None yet; must be 0.
    pub flags: u32,
    /// The file's name as the server is told it; NULL means the last part of path, or none for data.
    pub filename: *const c_char,
    /// What the content is; NULL means "application/octet-stream" for a part with a filename, and none for one without.
    pub content_type: *const c_char,
    /// Must be 0.
    pub reserved: u64,
}

/// Public keys that a host must show. Of several for one host the first counts.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_pin {
    /// The host's name, without scheme or port.
    pub host: *const c_char,
    /// One or more SHA-256 hashes of a DER public key, as "sha256//BASE64", separated by ';'. One must match.
    pub public_keys: *const c_char,
    /// None yet; must be 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// A certificate by which a server may ask the client to identify itself. Of several for one host the first counts.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_client_certificate {
    /// The host that may have it, without scheme or port; it is shown to no other.
    pub host: *const c_char,
    /// Path of a PEM file with the certificate and its chain.
    pub certificate_file: *const c_char,
    /// Path of a PEM file with the private key; NULL if certificate_file holds it.
    pub key_file: *const c_char,
    /// The private key's password; NULL if it has none.
    pub key_password: *const c_char,
    /// None yet; must be 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// An address to use for a host, in place of name lookup. Certificates are still checked against the host's name.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_resolve {
    /// The host's name as URLs have it.
    pub host: *const c_char,
    /// The port as URLs have it; 0 means every port.
    pub port: u32,
    /// The port to connect to; 0 means the same.
    pub address_port: u32,
    /// A numeric IPv4 or IPv6 address.
    pub address: *const c_char,
    /// None yet; must be 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// How a client is set up. Zero in any field but struct_size means the default, so
/// `sortie_client_config config = { .struct_size = sizeof config };` is complete. Strings are NUL-terminated UTF-8.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_client_config {
    /// sizeof(sortie_client_config).
    pub struct_size: u32,
    /// SORTIE_CLIENT_* flags.
    pub flags: u32,
    /// The User-Agent header of requests that give none; NULL means "sortie/VERSION", "" sends none.
    pub user_agent: *const c_char,
    /// What SORTIE_DIRECTORY_DOCUMENTS stands for; NULL means that it cannot be used. So for the four below. Each relative path
    /// in this struct is one from the working directory at creation.
    pub documents_directory: *const c_char,
    /// What SORTIE_DIRECTORY_TEMPORARY stands for.
    pub temporary_directory: *const c_char,
    /// What SORTIE_DIRECTORY_CACHES stands for.
    pub caches_directory: *const c_char,
    /// What SORTIE_DIRECTORY_APPLICATION_SUPPORT stands for.
    pub application_support_directory: *const c_char,
    /// What SORTIE_DIRECTORY_RESOURCE stands for; nothing is written there.
    pub resource_directory: *const c_char,
    /// How many requests may be on the network at a time; default 64, at most 65535. A host that speaks HTTP/2 takes
    /// up at most two of these places.
    pub max_active: u32,
    /// How many of them may be to one host, which is a scheme, name and port; default 16. A host that speaks HTTP/2 takes up
    /// to 100.
    pub max_active_per_host: u32,
    /// How many requests may wait, run or be undrained in all, watches included; default 65536, at most 1048576.
    pub max_requests: u32,
    /// How long a request may take from its start to its end, waiting in the queue aside; default 30000 ms.
    pub timeout_ms: u32,
    /// How long a connection may take to be made; default 10000 ms.
    pub connect_timeout_ms: u32,
    /// How long no byte may move in either direction once there is a connection; default 60000 ms. Pauses that wait for the
    /// host to drain, or for the disk, do not count.
    pub stall_timeout_ms: u32,
    /// How long a request may wait in the queue; no limit by default.
    pub queue_timeout_ms: u32,
    /// The lowest TLS version, SORTIE_TLS_*.
    pub min_tls_version: u32,
    /// The largest response body in memory, in bytes after decompression; default 64 MiB.
    pub max_body_bytes: u64,
    /// While drained and undrained events hold more than this many bytes of bodies, no request starts and none receives
    /// into memory; default 256 MiB.
    pub max_buffered_bytes: u64,
    /// Headers of every request that does not give the same name itself.
    pub default_headers: *const sortie_header,
    /// The number of default_headers.
    pub default_header_count: u32,
    /// The number of pins.
    pub pin_count: u32,
    /// Public keys that hosts must show.
    pub pins: *const sortie_pin,
    /// Path of a PEM file with the roots to trust; NULL means the system's, or what SSL_CERT_FILE or SSL_CERT_DIR name.
    pub ca_file: *const c_char,
    /// Certificates by which to identify the client.
    pub client_certificates: *const sortie_client_certificate,
    /// The number of client_certificates.
    pub client_certificate_count: u32,
    /// The number of resolves.
    pub resolve_count: u32,
    /// Addresses in place of name lookup.
    pub resolves: *const sortie_resolve,
    /// "http://host:port", "https://", "socks4://", "socks4a://", "socks5://" or "socks5h://", with "user:password@" if
    /// need be. NULL means http_proxy, https_proxy, all_proxy and no_proxy of the environment, read once at creation; ""
    /// means none. HTTP_PROXY in capitals is not read; a variable that is no proxy makes creation fail.
    pub proxy: *const c_char,
    /// Hosts to reach without the proxy, separated by commas: names with all below them, addresses, networks as
    /// 10.0.0.0/8, or "*". Only with proxy.
    pub no_proxy: *const c_char,
    /// Path of a file that cookies with an end are read from at creation, and saved to a second after a change, at suspend
    /// and at destruction: replaced at one stroke, readable by its owner alone, in the format of curl. It is made if it does
    /// not exist; one that holds anything else makes creation fail. For one client at a time. NULL means memory only.
    pub cookie_file: *const c_char,
    /// How often a watched host is looked at while the network does not change; default 30000 ms, SORTIE_NO_TIMEOUT means
    /// not at all.
    pub reachability_interval_ms: u32,
    /// How many times as large as it came a compressed body may become that no byte cap bounds: in a file without
    /// max_file_bytes, or as a stream. It counts beyond 256 MiB; the request then ends with SORTIE_ERROR_BODY_TOO_LARGE at
    /// once. Default 1000; UINT32_MAX sets no limit.
    pub max_decompression_ratio: u32,
    /// The largest response body in a file, in bytes after decompression; no limit by default.
    pub max_file_bytes: u64,
    /// A folder of its own for what the HTTP cache keeps beyond the client's life: nothing else should lie there, though what
    /// does is left alone. It is made if it does not exist. For one client at a time: while another has it, creation fails
    /// with SORTIE_RESULT_PATH. NULL means that nothing is kept on disk.
    pub cache_directory: *const c_char,
    /// How many bytes the cache keeps there, each file counted in blocks of 4 KiB; default 100 MiB. Only with cache_directory.
    pub max_cache_bytes: u64,
    /// How many bytes the cache keeps in memory; default 0. With neither this nor cache_directory there is no cache.
    pub max_memory_cache_bytes: u64,
    /// How many bytes of response bodies may come in a second in all, on the wire; no limit by default. Requests share it
    /// evenly.
    pub max_receive_bytes_per_second: u64,
    /// How many bytes of request bodies may be sent in a second in all; no limit by default. Requests share it evenly.
    pub max_send_bytes_per_second: u64,
    /// SORTIE_TRACE_*: how much the trace tells.
    pub trace_level: u32,
    /// How long a connection may be without a packet before the system asks its other end for a sign of life, and how often it
    /// asks then, so that a transfer on one whose other end is gone ends, and routers keep those that are only silent. In
    /// whole seconds, rounded up; default 30000, SORTIE_NO_TIMEOUT for not at all.
    pub keep_alive_interval_ms: u32,
    /// How many bytes of bodies have to move in a second, both ways together, on average over each min_speed_period_ms, of
    /// requests that do not say; any by default.
    pub min_bytes_per_second: u64,
    /// The period, at least 100; default 30000, SORTIE_NO_TIMEOUT for none.
    pub min_speed_period_ms: u32,
    /// How long a connection may be idle and still be used for another request: routers and servers forget idle ones without a
    /// word. When nothing has been under way for as long, all are closed. In whole seconds, rounded up; default 60000,
    /// SORTIE_NO_TIMEOUT for any time.
    pub max_connection_idle_ms: u32,
}

/// What a request is. Zero in any field but struct_size and url means the default, so
/// `sortie_request_desc desc = { .struct_size = sizeof desc, .url = url };` is complete. Strings are NUL-terminated UTF-8.
/// Everything is copied before the call returns, unless SORTIE_REQUEST_BORROW_BODY lends the body.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_request_desc {
    /// sizeof(sortie_request_desc).
    pub struct_size: u32,
    /// SORTIE_REQUEST_* flags.
    pub flags: u32,
    /// An absolute http or https URL. International names and spaces are encoded as browsers do; "user:password@" counts
    /// as username and password.
    pub url: *const c_char,
    /// Any HTTP method; NULL means GET, or POST with a body. Sent as given.
    pub method: *const c_char,
    /// Request headers. Content-Length is ignored, Transfer-Encoding refused: both are the library's to send.
    pub headers: *const sortie_header,
    /// The number of headers.
    pub header_count: u32,
    /// SORTIE_PRIORITY_*.
    pub priority: u32,
    /// Comes back in each of the request's events.
    pub user_data: u64,
    /// The request's body in memory; NULL means none, or body_path.
    pub body: *const c_void,
    /// The body's length in bytes; with SORTIE_REQUEST_STREAM_BODY 0 if it is not known.
    pub body_length: u64,
    /// A file to send as the body; NULL means none, or body.
    pub body_path: *const c_char,
    /// The base of body_path, SORTIE_DIRECTORY_*.
    pub body_directory: u32,
    /// SORTIE_BODY_*: by default a body in memory is text and a file is binary, which decides the Content-Type of a
    /// request that gives none: "text/plain; charset=UTF-8" or "application/octet-stream". SORTIE_BODY_TEXT also sees to
    /// the charset: a Content-Type that names none gets "; charset=UTF-8", and the body, which must be UTF-8, is sent in the
    /// charset that it names.
    pub body_kind: u32,
    /// The Content-Type header, if not among headers.
    pub content_type: *const c_char,
    /// A file to write the body of a 2xx response to; NULL means memory. It appears under its name, or replaces the file that
    /// has that name, only when it is whole, with that file's permissions. Any other response, and one that has no body (HEAD,
    /// 204), leaves it alone; its body comes in the event. An extension that begins with .sortie- is refused; a folder, device,
    /// pipe or socket of that name ends the request with SORTIE_ERROR_FILE.
    pub response_path: *const c_char,
    /// The base of response_path, SORTIE_DIRECTORY_*. Missing folders below a base are made. Names below a base that Windows
    /// cannot have, or takes for a device, are refused on every system.
    pub response_directory: u32,
    /// SORTIE_PROGRESS_*: whether to send BEGAN and PROGRESS events, and of which body.
    pub progress: u32,
    /// How many redirects to follow; default 20, at most 100.
    pub max_redirects: u32,
    /// SORTIE_HTTP_*.
    pub http_version: u32,
    /// How long the request may take from its start to its end, waiting in the queue aside; default the client's.
    pub timeout_ms: u32,
    /// How long a connection may take to be made; default the client's.
    pub connect_timeout_ms: u32,
    /// How long no byte may move in either direction; default the client's.
    pub stall_timeout_ms: u32,
    /// How long the request may wait in the queue; default the client's.
    pub queue_timeout_ms: u32,
    /// The largest response body in memory, in bytes after decompression; default the client's.
    pub max_body_bytes: u64,
    /// The name for basic authentication, sent with the first request; no ':'.
    pub username: *const c_char,
    /// The password for basic authentication.
    pub password: *const c_char,
    /// The token for bearer authentication; not together with username.
    pub bearer_token: *const c_char,
    /// The SHA-256 that the body of a 2xx response has to have, after decompression, as 64 hexadecimal digits; another one
    /// ends the request with SORTIE_ERROR_INTEGRITY, without a body or a file. NULL means any.
    pub expected_sha256: *const c_char,
    /// The length that it has to have, in bytes after decompression; another one ends the request with
    /// SORTIE_ERROR_INTEGRITY, as soon as it shows. 0 means any.
    pub expected_length: u64,
    /// How many attempts there may be in all; default 1, at most 100. After a failed connection, a limit on an attempt, and
    /// the statuses 408, 429, 500, 502, 503 and 504, an idempotent method (GET, HEAD, PUT, DELETE, OPTIONS) is made again;
    /// any method if nothing can have reached the server. timeout_ms spans all attempts.
    pub max_attempts: u32,
    /// The wait after the first attempt is a random time of up to this, doubled with each further one; default 500 ms. A
    /// Retry-After that is longer counts instead.
    pub retry_delay_ms: u32,
    /// The longest wait, Retry-After aside; default 30000 ms.
    pub max_retry_delay_ms: u32,
    /// How long one attempt may take; no limit by default.
    pub attempt_timeout_ms: u32,
    /// The largest response body in a file, in bytes after decompression; default the client's.
    pub max_file_bytes: u64,
    /// A form to send as the body, as multipart/form-data with an exact Content-Length; NULL means none. Not together with
    /// body, body_path, body_kind or a Content-Type. A form without a part, not NULL and with a count of 0, is sent too.
    pub form_parts: *const sortie_form_part,
    /// The number of form_parts, at most 10000.
    pub form_part_count: u32,
    /// With SORTIE_REQUEST_STREAM_RESPONSE: how many bytes of DATA events may be undrained, or drained and still held, before
    /// the transfer pauses. What is just being received comes on top: 16 KiB, or 64 KiB if it is decompressed. With
    /// SORTIE_REQUEST_STREAM_BODY: how many bytes may be written and not yet sent. Default 262144, from 16384 to 1073741824.
    pub stream_window_bytes: u32,
    /// SORTIE_CACHE_*: how to use the client's cache, if it has one.
    pub cache_mode: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How many bytes of the response's body may come in a second, on the wire; no limit by default. They come in pieces of up
    /// to 16 KiB.
    pub max_receive_bytes_per_second: u64,
    /// How many bytes of the request's body may be sent in a second; no limit by default.
    pub max_send_bytes_per_second: u64,
    /// How many bytes of bodies have to move in a second, both ways together, on average over each min_speed_period_ms from the
    /// connection on; less ends the request with SORTIE_ERROR_STALLED. Time in which it waits for the program, the disk, or a
    /// limit on bandwidth does not count, the wait for the server's response does. Default the client's.
    pub min_bytes_per_second: u64,
    /// The period, at least 100; default the client's. SORTIE_NO_TIMEOUT means that no speed is too low.
    pub min_speed_period_ms: u32,
    /// Must be 0.
    pub reserved_speed: u32,
    /// A proxy for this request alone, on every hop, as sortie_client_config.proxy names one; the client's no_proxy does not
    /// count for it. "" means none, NULL the client's.
    pub proxy: *const c_char,
}

/// An answer made up for tests, in place of a server's. Zero in any field but struct_size and url means the default, so
/// `sortie_mock mock = { .struct_size = sizeof mock, .url = "*" };` is complete: 200 without a body. Everything is copied
/// before the call returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_mock {
    /// sizeof(sortie_mock).
    pub struct_size: u32,
    /// The status, 200 to 599; default 200. A redirect is followed.
    pub status: u32,
    /// The method that it answers, compared as given; NULL means every method.
    pub method: *const c_char,
    /// The URLs that it answers. '*' stands for any characters, or none; everything else stands for itself, capitals and all.
    /// It is held against a hop's whole URL as it is sent: normalised, with its query, without credentials and fragment. One
    /// without '*' is a URL, and normalised too. Must not be NULL.
    pub url: *const c_char,
    /// Response headers. Content-Length is ignored, as it is the body's; Transfer-Encoding is refused.
    pub headers: *const sortie_header,
    /// The number of headers.
    pub header_count: u32,
    /// How long to wait before the answer, once the request's body is taken, in milliseconds.
    pub delay_ms: u32,
    /// The body as it would come over the wire; NULL means none.
    pub body: *const c_void,
    /// The body's length in bytes.
    pub body_length: u64,
    /// How many bytes of the body come in a second; 0 means all at once.
    pub bytes_per_second: u64,
    /// SORTIE_ERROR_*: how the request ends after the delay, without an answer; SORTIE_ERROR_NONE means with this answer.
    pub error: u32,
    /// How many requests it answers, each redirect counted; 0 means every one.
    pub times: u32,
}

/// Something that happened to a request. What it points to stays valid until the next sortie_poll() on its client or the
/// client's destruction, whichever is first. May be copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sortie_event {
    /// The request, or the watch; 0 in a TRACE event that is about neither.
    pub request: sortie_request,
    /// The user_data of the request or the watch.
    pub user_data: u64,
    /// SORTIE_EVENT_*.
    pub r#type: u32,
    /// SORTIE_ERROR_*: of an ENDED or RETRY event, why no whole response came; else SORTIE_ERROR_NONE.
    pub error: u32,
    /// The response's HTTP status, 0 while none has come and in PROGRESS events.
    pub status: i32,
    /// SORTIE_BODY_*: what the body is. Text is UTF-8 whatever it was sent in, unless SORTIE_REQUEST_RAW_TEXT is set.
    pub body_kind: u32,
    /// The response's body, with a NUL one past its end; NULL if there is none or it went to a file.
    pub body: *const c_void,
    /// The body's length in bytes.
    pub body_length: u64,
    /// Of an ENDED event: the full path of the file that was written; NULL if none was.
    pub file_path: *const c_char,
    /// Of an event with an error: what went wrong, for a person. Of a TRACE event: its line, or lines. Else NULL.
    pub message: *const c_char,
    /// The URL as requested; if it held credentials, without them and normalised. Of a watch, the host as given; "" in TRACE
    /// events.
    pub url: *const c_char,
    /// Bytes of the body on the wire so far, in the direction of progress (download if none). Never goes back.
    pub bytes_transferred: u64,
    /// Bytes of the body on the wire in all, in that direction: 0 if there is no body, -1 if unknown.
    pub bytes_estimated: i64,
    /// For the sortie_event_*() functions.
    pub details: *mut c_void,
    /// SORTIE_NETWORK_* flags of a REACHABILITY event, else 0.
    pub network: u32,
    /// SORTIE_EVENT_* flags: SORTIE_EVENT_FROM_CACHE, SORTIE_EVENT_REVALIDATED, SORTIE_EVENT_CREDENTIALS_UNUSED.
    pub flags: u32,
    /// Of ENDED and RETRY events: the number of attempts made so far, else 0.
    pub attempts: u32,
    /// Of a RETRY event: how long until the next attempt.
    pub retry_delay_ms: u32,
    /// SORTIE_TRACE_* level of a TRACE event, else 0.
    pub trace_level: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// Where a request's time went, and over what. Microseconds; a step that did not happen took 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sortie_timing {
    /// sizeof(sortie_timing), set by the caller.
    pub struct_size: u32,
    /// The number of redirects followed.
    pub redirects: u32,
    /// From submit to start, in the queue.
    pub queued_us: u64,
    /// From the last hop's start to the name resolved.
    pub name_lookup_us: u64,
    /// From the last hop's start to the TCP connection made.
    pub connect_us: u64,
    /// From the last hop's start to the TLS handshake done.
    pub tls_us: u64,
    /// From the last hop's start to the first byte of the response.
    pub first_byte_us: u64,
    /// From the first hop's start to the end.
    pub total_us: u64,
    /// The number of attempts made.
    pub attempts: u32,
    /// SORTIE_PROTOCOL_*: what the last hop's response came in.
    pub protocol: u32,
    /// 1 if the last hop went over a connection that had been used before, else 0.
    pub connection_reused: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes of response bodies on the wire, of all hops and attempts.
    pub bytes_received: u64,
    /// Bytes of request bodies sent, of all hops and attempts.
    pub bytes_sent: u64,
}

/// Counts and gauges of a client.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sortie_stats {
    /// sizeof(sortie_stats), set by the caller.
    pub struct_size: u32,
    /// Requests that wait in the queue.
    pub waiting: u32,
    /// Requests on the network or at the disk.
    pub active: u32,
    /// Requests that have ended and whose ENDED event is not drained.
    pub undrained: u32,
    /// Requests accepted since creation.
    pub submitted: u64,
    /// Requests ended since creation.
    pub ended: u64,
    /// Of those, ended with an error, cancelled ones included.
    pub failed: u64,
    /// Bytes of response bodies received since creation, on the wire.
    pub bytes_received: u64,
    /// Bytes of request bodies sent since creation.
    pub bytes_sent: u64,
    /// Bytes of bodies that events hold now.
    pub buffered_bytes: u64,
    /// Connections made since creation.
    pub connections: u64,
    /// Hops that the cache answered without asking, since creation.
    pub cache_hits: u64,
    /// Hops that the cache answered after the server had said that what is stored holds.
    pub cache_revalidated: u64,
    /// Hops that the cache could have answered, and the network did.
    pub cache_misses: u64,
    /// Bytes that the cache holds now, in memory and on disk.
    pub cache_bytes: u64,
    /// Connections that are open now, idle ones included.
    pub connections_open: u32,
    /// Of those that wait: requests that are paused, or between two attempts.
    pub resting: u32,
    /// Attempts made since creation: requests started, and started again.
    pub attempts: u64,
    /// Bytes of response bodies that came in the last second, measured twice a second.
    pub receive_bytes_per_second: u64,
    /// Bytes of request bodies that were sent in the last second, likewise.
    pub send_bytes_per_second: u64,
}
