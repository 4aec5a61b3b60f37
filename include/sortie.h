/*
 * Sortie: HTTP for game loops.
 *
 * Submit requests from any thread, drain events once a frame with sortie_poll(), never wait. Generated from src/ffi by
 * cbindgen: do not edit.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef SORTIE_H
#define SORTIE_H

#include <stdint.h>

/**
 * This header's version. sortie_version() tells the library's.
 */
#define SORTIE_VERSION "0.1.0"

/**
 * sortie_event.type: the request has started. With upload progress it comes before connecting, with the body's size;
 * with download progress after the response's headers, which it carries. With SORTIE_REQUEST_STREAM_RESPONSE the latter always
 * comes, so with upload progress there are two.
 */
#define SORTIE_EVENT_BEGAN 1

/**
 * sortie_event.type: bytes have moved. At most one is undrained per request, and its numbers are the newest.
 */
#define SORTIE_EVENT_PROGRESS 2

/**
 * sortie_event.type: the next piece of the response's body, in body and body_length. Only with
 * SORTIE_REQUEST_STREAM_RESPONSE.
 */
#define SORTIE_EVENT_DATA 3

/**
 * sortie_event.type: the request has ended. Always the last event of a request, exactly one for each accepted submit.
 */
#define SORTIE_EVENT_ENDED 4

/**
 * sortie_event.type: whether a watched host can be reached. Once at the start and at each change; at most one is undrained
 * per watch, and it tells the newest.
 */
#define SORTIE_EVENT_REACHABILITY 5

/**
 * sortie_event.type: there is room again for a streamed body, of which the last sortie_body_write() took less than all. At
 * most one is undrained per request.
 */
#define SORTIE_EVENT_WRITABLE 6

/**
 * sortie_event.type: an attempt has failed, and another follows in retry_delay_ms. Only with
 * SORTIE_REQUEST_RETRY_EVENTS. It has the failed response's status and headers, or the error.
 */
#define SORTIE_EVENT_RETRY 7

/**
 * sortie_event.type: a line of the trace, in message, with its SORTIE_TRACE_* level in trace_level. request is 0 if it is about
 * the client. At most 4096 are undrained; what does not fit is left out, and the next line says how much.
 */
#define SORTIE_EVENT_TRACE 8

/**
 * sortie_event.error: a whole response came.
 */
#define SORTIE_ERROR_NONE 0

/**
 * sortie_event.error: the host's name could not be resolved.
 */
#define SORTIE_ERROR_RESOLVE 1

/**
 * sortie_event.error: no connection could be made.
 */
#define SORTIE_ERROR_CONNECT 2

/**
 * sortie_event.error: the TLS handshake failed.
 */
#define SORTIE_ERROR_TLS 3

/**
 * sortie_event.error: the server's certificate, its name or its pinned key was not accepted.
 */
#define SORTIE_ERROR_CERTIFICATE 4

/**
 * sortie_event.error: the total time ran out.
 */
#define SORTIE_ERROR_TIMEOUT 5

/**
 * sortie_event.error: the time to connect ran out.
 */
#define SORTIE_ERROR_CONNECT_TIMEOUT 6

/**
 * sortie_event.error: no byte moved for the stall time, or the transfer was slower than min_bytes_per_second.
 */
#define SORTIE_ERROR_STALLED 7

/**
 * sortie_event.error: sending failed.
 */
#define SORTIE_ERROR_SEND 8

/**
 * sortie_event.error: receiving failed, or the response was cut short.
 */
#define SORTIE_ERROR_RECEIVE 9

/**
 * sortie_event.error: the peer did not speak HTTP as it should.
 */
#define SORTIE_ERROR_PROTOCOL 10

/**
 * sortie_event.error: too many redirects, or one that is not allowed.
 */
#define SORTIE_ERROR_REDIRECTS 11

/**
 * sortie_event.error: the response's body is larger than the limit.
 */
#define SORTIE_ERROR_BODY_TOO_LARGE 12

/**
 * sortie_event.error: the response's content encoding is broken.
 */
#define SORTIE_ERROR_DECODE 13

/**
 * sortie_event.error: a file could not be read or written.
 */
#define SORTIE_ERROR_FILE 14

/**
 * sortie_event.error: the disk is full.
 */
#define SORTIE_ERROR_DISK_FULL 15

/**
 * sortie_event.error: the body has not the length or the SHA-256 that was expected.
 */
#define SORTIE_ERROR_INTEGRITY 16

/**
 * sortie_event.error: the proxy refused or failed.
 */
#define SORTIE_ERROR_PROXY 17

/**
 * sortie_event.error: sortie_cancel() ended the request.
 */
#define SORTIE_ERROR_CANCELLED 18

/**
 * sortie_event.error: a URL met on the way, such as a redirect's, is not valid.
 */
#define SORTIE_ERROR_INVALID_URL 19

/**
 * sortie_event.error: reserved; the server asked for something that Sortie does not do.
 */
#define SORTIE_ERROR_UNSUPPORTED 20

/**
 * sortie_event.error: reserved; the client shut down.
 */
#define SORTIE_ERROR_SHUTDOWN 21

/**
 * sortie_event.error: a defect in Sortie or an exhausted resource.
 */
#define SORTIE_ERROR_INTERNAL 22

/**
 * sortie_event.error: the request waited in the queue for longer than its limit.
 */
#define SORTIE_ERROR_QUEUE_TIMEOUT 23

/**
 * sortie_event.error: the request's text cannot be written in the charset that its Content-Type names.
 */
#define SORTIE_ERROR_ENCODE 24

/**
 * sortie_event.error: SORTIE_CACHE_ONLY_IF_CACHED was asked for, and nothing is stored.
 */
#define SORTIE_ERROR_NOT_CACHED 25

/**
 * A body's kind: the default. In a request: text for a body in memory, binary for a file. In an event: there is no body.
 */
#define SORTIE_BODY_DEFAULT 0

/**
 * A body's kind: text.
 */
#define SORTIE_BODY_TEXT 1

/**
 * A body's kind: bytes.
 */
#define SORTIE_BODY_BINARY 2

/**
 * Which way BEGAN and PROGRESS events look: none are sent.
 */
#define SORTIE_PROGRESS_NONE 0

/**
 * BEGAN and PROGRESS events tell of the response's body.
 */
#define SORTIE_PROGRESS_DOWNLOAD 1

/**
 * BEGAN and PROGRESS events tell of the request's body.
 */
#define SORTIE_PROGRESS_UPLOAD 2

/**
 * The priority of most requests.
 */
#define SORTIE_PRIORITY_NORMAL 0

/**
 * Starts before every waiting NORMAL request that has not waited for ten seconds.
 */
#define SORTIE_PRIORITY_HIGH 1

/**
 * Starts after every waiting NORMAL request. So that nothing waits for ever, each ten seconds of waiting lift a request
 * by one level.
 */
#define SORTIE_PRIORITY_LOW 2

/**
 * A file name's base: none, the name is a path of the operating system, relative to the working directory at submit.
 */
#define SORTIE_DIRECTORY_NONE 0

/**
 * A file name's base: sortie_client_config.documents_directory.
 */
#define SORTIE_DIRECTORY_DOCUMENTS 1

/**
 * A file name's base: sortie_client_config.temporary_directory.
 */
#define SORTIE_DIRECTORY_TEMPORARY 2

/**
 * A file name's base: sortie_client_config.caches_directory.
 */
#define SORTIE_DIRECTORY_CACHES 3

/**
 * A file name's base: sortie_client_config.application_support_directory.
 */
#define SORTIE_DIRECTORY_APPLICATION_SUPPORT 4

/**
 * A file name's base: sortie_client_config.resource_directory, which is only read from.
 */
#define SORTIE_DIRECTORY_RESOURCE 5

/**
 * HTTP version: HTTP/2 where TLS negotiates it, else HTTP/1.1.
 */
#define SORTIE_HTTP_DEFAULT 0

/**
 * HTTP version: HTTP/1.1 only.
 */
#define SORTIE_HTTP_1_1 1

/**
 * HTTP version: HTTP/2 also without TLS, by prior knowledge.
 */
#define SORTIE_HTTP_2_PRIOR_KNOWLEDGE 2

/**
 * How much the trace tells: nothing.
 */
#define SORTIE_TRACE_OFF 0

/**
 * How much the trace tells: what failed, and what nobody would be told of otherwise.
 */
#define SORTIE_TRACE_ERRORS 1

/**
 * How much the trace tells: the steps of each request as well.
 */
#define SORTIE_TRACE_REQUESTS 2

/**
 * How much the trace tells: headers as well, and why a request rests.
 */
#define SORTIE_TRACE_DETAILS 3

/**
 * What a response came in: none came from the network.
 */
#define SORTIE_PROTOCOL_NONE 0

/**
 * What a response came in: HTTP/1.0.
 */
#define SORTIE_PROTOCOL_HTTP_1_0 1

/**
 * What a response came in: HTTP/1.1.
 */
#define SORTIE_PROTOCOL_HTTP_1_1 2

/**
 * What a response came in: HTTP/2.
 */
#define SORTIE_PROTOCOL_HTTP_2 3

/**
 * The lowest TLS version: the default, 1.2.
 */
#define SORTIE_TLS_DEFAULT 0

/**
 * The lowest TLS version: 1.2.
 */
#define SORTIE_TLS_1_2 1

/**
 * The lowest TLS version: 1.3.
 */
#define SORTIE_TLS_1_3 2

/**
 * For every *_timeout_ms: no such limit.
 */
#define SORTIE_NO_TIMEOUT 4294967295

/**
 * sortie_request_desc.flags: do not follow redirects, hand over the 3xx response.
 */
#define SORTIE_REQUEST_MANUAL_REDIRECTS 1

/**
 * sortie_request_desc.flags: also follow redirects from https to http.
 */
#define SORTIE_REQUEST_INSECURE_REDIRECTS 2

/**
 * sortie_request_desc.flags: body is lent, not copied. It must stay as it is until the request's ENDED event is drained
 * or sortie_client_destroy() returns.
 */
#define SORTIE_REQUEST_BORROW_BODY 4

/**
 * sortie_request_desc.flags: a downloaded file is not forced to the disk before it takes its name. Faster for many small
 * files; after a power cut a file may then be empty or missing its end.
 */
#define SORTIE_REQUEST_NO_SYNC 8

/**
 * sortie_request_desc.flags: the text of a response is handed over as it came, not made UTF-8.
 */
#define SORTIE_REQUEST_RAW_TEXT 16

/**
 * sortie_request_desc.flags: neither send cookies nor keep what the response sets.
 */
#define SORTIE_REQUEST_NO_COOKIES 32

/**
 * sortie_request_desc.flags: send the body, in memory or a file, compressed, with "Content-Encoding: gzip". It is
 * compressed before the request starts, a file by way of another in temporary_directory or the system's, so that its
 * length is known: what events count are bytes on the wire. Not together with a form or a Content-Encoding header. Servers
 * have to be set up to take it.
 */
#define SORTIE_REQUEST_GZIP_BODY 64

/**
 * sortie_request_desc.flags: hand the response's body over as it comes, in DATA events, after a BEGAN with status and
 * headers. What is received and not yet drained stays within stream_window_bytes: beyond, the transfer pauses. Pieces are
 * bytes, decompressed, whatever the Content-Type; max_body_bytes does not apply. Not together with response_path.
 */
#define SORTIE_REQUEST_STREAM_RESPONSE 128

/**
 * sortie_request_desc.flags: the body comes by sortie_body_write() while the request runs. body_length, if not 0, is what it
 * will have in all; else it ends with sortie_body_finish(). What is written and not yet sent stays within
 * stream_window_bytes, and may be written from submit on. Time limits run while the request waits for more, but for
 * stall_timeout_ms. What is sent is gone: such a request is not made again once it has sent some, and one that is redirected
 * with its body ends with SORTIE_ERROR_REDIRECTS. Not together with body, body_path, a form, SORTIE_BODY_TEXT or
 * SORTIE_REQUEST_GZIP_BODY.
 */
#define SORTIE_REQUEST_STREAM_BODY 256

/**
 * sortie_request_desc.flags: what has come of a file when its download breaks off (a lost connection, a cancel, a killed
 * process) stays beside its target, as NAME.sortie-part and NAME.sortie-resume, and a later request with this flag for the
 * same URL and file asks only for the rest. For GET with response_path. To give up on it, remove those two files; the guide
 * tells their names for a NAME of more than 100 bytes.
 */
#define SORTIE_REQUEST_RESUME 512

/**
 * sortie_request_desc.flags: with max_attempts, make methods again that are not idempotent, such as POST.
 */
#define SORTIE_REQUEST_RETRY_ANY_METHOD 1024

/**
 * sortie_request_desc.flags: with max_attempts, send a SORTIE_EVENT_RETRY for each attempt that is followed by another.
 */
#define SORTIE_REQUEST_RETRY_EVENTS 2048

/**
 * sortie_request_desc.cache_mode: by the rules of HTTP. What is fresh answers, what is stale is asked about.
 */
#define SORTIE_CACHE_DEFAULT 0

/**
 * sortie_request_desc.cache_mode: neither answered by the cache nor kept in it.
 */
#define SORTIE_CACHE_NO_STORE 1

/**
 * sortie_request_desc.cache_mode: not answered by the cache, but kept in it.
 */
#define SORTIE_CACHE_RELOAD 2

/**
 * sortie_request_desc.cache_mode: what is stored is asked about even if it is fresh.
 */
#define SORTIE_CACHE_REVALIDATE 3

/**
 * sortie_request_desc.cache_mode: never go to the network. What is stored answers, fresh or stale; if nothing is, the
 * request ends with SORTIE_ERROR_NOT_CACHED.
 */
#define SORTIE_CACHE_ONLY_IF_CACHED 4

/**
 * sortie_request_desc.cache_mode: what is stored answers, fresh or stale; if nothing is, the network.
 */
#define SORTIE_CACHE_FORCE 5

/**
 * sortie_event.flags: the cache gave the response, not the network.
 */
#define SORTIE_EVENT_FROM_CACHE 1

/**
 * sortie_event.flags: with SORTIE_EVENT_FROM_CACHE, the server had just said that it still holds.
 */
#define SORTIE_EVENT_REVALIDATED 2

/**
 * sortie_event.flags: the response is a 401 for which the request's credentials are of no use. The server asks for another
 * kind of authentication, such as Digest, which Sortie cannot do; or a redirect led to another origin, where they are not
 * sent. Without this flag, a 401 means that they are wrong or missing.
 */
#define SORTIE_EVENT_CREDENTIALS_UNUSED 4

/**
 * sortie_client_config.flags: keep no cookies.
 */
#define SORTIE_CLIENT_NO_COOKIES 1

/**
 * sortie_client_config.flags: for tests. Never go to the network: a request that no mock answers ends with
 * SORTIE_ERROR_CONNECT, and no watched host can be reached.
 */
#define SORTIE_CLIENT_MOCKS_ONLY 2

/**
 * sortie_client_config.flags: the trace shows what may be secret: credentials, the values of header fields and of queries, and
 * whatever else is not known to be harmless.
 */
#define SORTIE_CLIENT_TRACE_SECRETS 4

/**
 * sortie_client_config.flags: at SORTIE_TRACE_DETAILS the trace shows bodies, the first 256 bytes of each piece.
 */
#define SORTIE_CLIENT_TRACE_BODIES 8

/**
 * sortie_event.network, sortie_client_network(): there is a way.
 */
#define SORTIE_NETWORK_REACHABLE 1

/**
 * sortie_event.network: a connection has to be made first, as by a modem that dials. No system tells it yet.
 */
#define SORTIE_NETWORK_CONNECTION_REQUIRED 2

/**
 * sortie_event.network: that connection is made by the first packet. No system tells it yet.
 */
#define SORTIE_NETWORK_CONNECTION_ON_DEMAND 4

/**
 * sortie_event.network: the user has to do something for that connection. No system tells it yet.
 */
#define SORTIE_NETWORK_INTERACTION_REQUIRED 8

/**
 * sortie_event.network, sortie_client_network(): the way is a cellular network. Told on Linux.
 */
#define SORTIE_NETWORK_CELLULAR 16

/**
 * sortie_event.network, sortie_client_network(): the way is a wireless local network. Told on Linux.
 */
#define SORTIE_NETWORK_WIFI 32

/**
 * Where it was found what a text is written in: the charset of the Content-Type header.
 */
#define SORTIE_CHARSET_HEADER 1

/**
 * Where it was found what a text is written in: its byte order mark.
 */
#define SORTIE_CHARSET_BYTE_ORDER_MARK 2

/**
 * Where it was found what a text is written in: its XML declaration.
 */
#define SORTIE_CHARSET_XML_DECLARATION 3

/**
 * Where it was found what a text is written in: `<meta charset>` in its first 1024 bytes.
 */
#define SORTIE_CHARSET_META_CHARSET 4

/**
 * Where it was found what a text is written in: `<meta http-equiv="Content-Type">` in its first 1024 bytes.
 */
#define SORTIE_CHARSET_META_HTTP_EQUIV 5

/**
 * Where it was found what a text is written in: nowhere, UTF-8 is assumed.
 */
#define SORTIE_CHARSET_ASSUMED 6

/**
 * The number of this C ABI. It grows with what is added; what is there never changes.
 */
#define SORTIE_ABI_VERSION 1

/**
 * A body that was taken over from an event.
 */
typedef struct sortie_body sortie_body;

/**
 * An HTTP client: one worker thread, threads for the disk, one queue of events.
 */
typedef struct sortie_client sortie_client;

/**
 * What a call says of itself: SORTIE_OK, or a negative SORTIE_RESULT_* when it was refused. A refused call did nothing,
 * and sortie_last_error_message() tells what exactly was wrong.
 */
typedef int32_t sortie_result;

/**
 * A header field, both parts NUL-terminated UTF-8.
 */
typedef struct {
    /**
     * The field's name, an HTTP token.
     */
    const char *name;
    /**
     * The field's value; no control character but TAB. NULL counts as empty.
     */
    const char *value;
} sortie_header;

/**
 * Public keys that a host must show. Of several for one host the first counts.
 */
typedef struct {
    /**
     * The host's name, without scheme or port.
     */
    const char *host;
    /**
     * One or more SHA-256 hashes of a DER public key, as "sha256//BASE64", separated by ';'. One must match.
     */
    const char *public_keys;
    /**
     * None yet; must be 0.
     */
    uint32_t flags;
    /**
     * Must be 0.
     */
    uint32_t reserved;
} sortie_pin;

/**
 * A certificate by which a server may ask the client to identify itself. Of several for one host the first counts.
 */
typedef struct {
    /**
     * The host that may have it, without scheme or port; it is shown to no other.
     */
    const char *host;
    /**
     * Path of a PEM file with the certificate and its chain.
     */
    const char *certificate_file;
    /**
     * Path of a PEM file with the private key; NULL if certificate_file holds it.
     */
    const char *key_file;
    /**
     * The private key's password; NULL if it has none.
     */
    const char *key_password;
    /**
     * None yet; must be 0.
     */
    uint32_t flags;
    /**
     * Must be 0.
     */
    uint32_t reserved;
} sortie_client_certificate;

/**
 * An address to use for a host, in place of name lookup. Certificates are still checked against the host's name.
 */
typedef struct {
    /**
     * The host's name as URLs have it.
     */
    const char *host;
    /**
     * The port as URLs have it; 0 means every port.
     */
    uint32_t port;
    /**
     * The port to connect to; 0 means the same.
     */
    uint32_t address_port;
    /**
     * A numeric IPv4 or IPv6 address.
     */
    const char *address;
    /**
     * None yet; must be 0.
     */
    uint32_t flags;
    /**
     * Must be 0.
     */
    uint32_t reserved;
} sortie_resolve;

/**
 * How a client is set up. Zero in any field but struct_size means the default, so
 * `sortie_client_config config = { .struct_size = sizeof config };` is complete. Strings are NUL-terminated UTF-8.
 */
typedef struct {
    /**
     * sizeof(sortie_client_config).
     */
    uint32_t struct_size;
    /**
     * SORTIE_CLIENT_* flags.
     */
    uint32_t flags;
    /**
     * The User-Agent header of requests that give none; NULL means "sortie/VERSION", "" sends none.
     */
    const char *user_agent;
    /**
     * What SORTIE_DIRECTORY_DOCUMENTS stands for; NULL means that it cannot be used. So for the four below. Each relative path
     * in this struct is one from the working directory at creation.
     */
    const char *documents_directory;
    /**
     * What SORTIE_DIRECTORY_TEMPORARY stands for.
     */
    const char *temporary_directory;
    /**
     * What SORTIE_DIRECTORY_CACHES stands for.
     */
    const char *caches_directory;
    /**
     * What SORTIE_DIRECTORY_APPLICATION_SUPPORT stands for.
     */
    const char *application_support_directory;
    /**
     * What SORTIE_DIRECTORY_RESOURCE stands for; nothing is written there.
     */
    const char *resource_directory;
    /**
     * How many requests may be on the network at a time; default 64, at most 65535. A host that speaks HTTP/2 takes
     * up at most two of these places.
     */
    uint32_t max_active;
    /**
     * How many of them may be to one host, which is a scheme, name and port; default 16. A host that speaks HTTP/2 takes up
     * to 100.
     */
    uint32_t max_active_per_host;
    /**
     * How many requests may wait, run or be undrained in all, watches included; default 65536, at most 1048576.
     */
    uint32_t max_requests;
    /**
     * How long a request may take from its start to its end, waiting in the queue aside; default 30000 ms.
     */
    uint32_t timeout_ms;
    /**
     * How long a connection may take to be made; default 10000 ms.
     */
    uint32_t connect_timeout_ms;
    /**
     * How long no byte may move in either direction once there is a connection; default 60000 ms. Pauses that wait for the
     * host to drain, or for the disk, do not count.
     */
    uint32_t stall_timeout_ms;
    /**
     * How long a request may wait in the queue; no limit by default.
     */
    uint32_t queue_timeout_ms;
    /**
     * The lowest TLS version, SORTIE_TLS_*.
     */
    uint32_t min_tls_version;
    /**
     * The largest response body in memory, in bytes after decompression; default 64 MiB.
     */
    uint64_t max_body_bytes;
    /**
     * While drained and undrained events hold more than this many bytes of bodies, no request starts and none receives
     * into memory; default 256 MiB.
     */
    uint64_t max_buffered_bytes;
    /**
     * Headers of every request that does not give the same name itself.
     */
    const sortie_header *default_headers;
    /**
     * The number of default_headers.
     */
    uint32_t default_header_count;
    /**
     * The number of pins.
     */
    uint32_t pin_count;
    /**
     * Public keys that hosts must show.
     */
    const sortie_pin *pins;
    /**
     * Path of a PEM file with the roots to trust; NULL means the system's, or what SSL_CERT_FILE or SSL_CERT_DIR name.
     */
    const char *ca_file;
    /**
     * Certificates by which to identify the client.
     */
    const sortie_client_certificate *client_certificates;
    /**
     * The number of client_certificates.
     */
    uint32_t client_certificate_count;
    /**
     * The number of resolves.
     */
    uint32_t resolve_count;
    /**
     * Addresses in place of name lookup.
     */
    const sortie_resolve *resolves;
    /**
     * "http://host:port", "https://", "socks4://", "socks4a://", "socks5://" or "socks5h://", with "user:password@" if
     * need be. NULL means http_proxy, https_proxy, all_proxy and no_proxy of the environment, read once at creation; ""
     * means none. HTTP_PROXY in capitals is not read; a variable that is no proxy makes creation fail.
     */
    const char *proxy;
    /**
     * Hosts to reach without the proxy, separated by commas: names with all below them, addresses, networks as
     * 10.0.0.0/8, or "*". Only with proxy.
     */
    const char *no_proxy;
    /**
     * Path of a file that cookies with an end are read from at creation, and saved to a second after a change, at suspend
     * and at destruction: replaced at one stroke, readable by its owner alone, in the format of curl. It is made if it does
     * not exist; one that holds anything else makes creation fail. For one client at a time. NULL means memory only.
     */
    const char *cookie_file;
    /**
     * How often a watched host is looked at while the network does not change; default 30000 ms, SORTIE_NO_TIMEOUT means
     * not at all.
     */
    uint32_t reachability_interval_ms;
    /**
     * How many times as large as it came a compressed body may become that no byte cap bounds: in a file without
     * max_file_bytes, or as a stream. It counts beyond 256 MiB; the request then ends with SORTIE_ERROR_BODY_TOO_LARGE at
     * once. Default 1000; UINT32_MAX sets no limit.
     */
    uint32_t max_decompression_ratio;
    /**
     * The largest response body in a file, in bytes after decompression; no limit by default.
     */
    uint64_t max_file_bytes;
    /**
     * A folder of its own for what the HTTP cache keeps beyond the client's life: nothing else should lie there, though what
     * does is left alone. It is made if it does not exist. For one client at a time: while another has it, creation fails
     * with SORTIE_RESULT_PATH. NULL means that nothing is kept on disk.
     */
    const char *cache_directory;
    /**
     * How many bytes the cache keeps there, each file counted in blocks of 4 KiB; default 100 MiB. Only with cache_directory.
     */
    uint64_t max_cache_bytes;
    /**
     * How many bytes the cache keeps in memory; default 0. With neither this nor cache_directory there is no cache.
     */
    uint64_t max_memory_cache_bytes;
    /**
     * How many bytes of response bodies may come in a second in all, on the wire; no limit by default. Requests share it
     * evenly.
     */
    uint64_t max_receive_bytes_per_second;
    /**
     * How many bytes of request bodies may be sent in a second in all; no limit by default. Requests share it evenly.
     */
    uint64_t max_send_bytes_per_second;
    /**
     * SORTIE_TRACE_*: how much the trace tells.
     */
    uint32_t trace_level;
    /**
     * How long a connection may be without a packet before the system asks its other end for a sign of life, and how often it
     * asks then, so that a transfer on one whose other end is gone ends, and routers keep those that are only silent. In
     * whole seconds, rounded up; default 30000, SORTIE_NO_TIMEOUT for not at all.
     */
    uint32_t keep_alive_interval_ms;
    /**
     * How many bytes of bodies have to move in a second, both ways together, on average over each min_speed_period_ms, of
     * requests that do not say; any by default.
     */
    uint64_t min_bytes_per_second;
    /**
     * The period, at least 100; default 30000, SORTIE_NO_TIMEOUT for none.
     */
    uint32_t min_speed_period_ms;
    /**
     * How long a connection may be idle and still be used for another request: routers and servers forget idle ones without a
     * word. When nothing has been under way for as long, all are closed. In whole seconds, rounded up; default 60000,
     * SORTIE_NO_TIMEOUT for any time.
     */
    uint32_t max_connection_idle_ms;
} sortie_client_config;

/**
 * One part of a form. Zero in any field but name means the default, so
 * `sortie_form_part part = { .name = "score", .data = "42", .data_length = 2 };` is complete. Strings are NUL-terminated
 * UTF-8. In a name and a filename '"' is sent as "%22", CR as "%0D" and LF as "%0A", as browsers do.
 */
typedef struct {
    /**
     * The field's name; must not be NULL or empty.
     */
    const char *name;
    /**
     * The part's content in memory; NULL means none, or path.
     */
    const void *data;
    /**
     * The content's length in bytes.
     */
    uint64_t data_length;
    /**
     * A file to send as the content, read while it is sent; NULL means none, or data. What is sent of it is its length when
     * the request starts; a file that shrinks after that or vanishes ends the request with SORTIE_ERROR_FILE.
     */
    const char *path;
    /**
     * The base of path, SORTIE_DIRECTORY_*.
     */
    uint32_t directory;
    /**
     * None yet; must be 0.
     */
    uint32_t flags;
    /**
     * The file's name as the server is told it; NULL means the last part of path, or none for data.
     */
    const char *filename;
    /**
     * What the content is; NULL means "application/octet-stream" for a part with a filename, and none for one without.
     */
    const char *content_type;
    /**
     * Must be 0.
     */
    uint64_t reserved;
} sortie_form_part;

/**
 * What a request is. Zero in any field but struct_size and url means the default, so
 * `sortie_request_desc desc = { .struct_size = sizeof desc, .url = url };` is complete. Strings are NUL-terminated UTF-8.
 * Everything is copied before the call returns, unless SORTIE_REQUEST_BORROW_BODY lends the body.
 */
typedef struct {
    /**
     * sizeof(sortie_request_desc).
     */
    uint32_t struct_size;
    /**
     * SORTIE_REQUEST_* flags.
     */
    uint32_t flags;
    /**
     * An absolute http or https URL. International names and spaces are encoded as browsers do; "user:password@" counts
     * as username and password.
     */
    const char *url;
    /**
     * Any HTTP method; NULL means GET, or POST with a body. Sent as given.
     */
    const char *method;
    /**
     * Request headers. Content-Length is ignored, Transfer-Encoding refused: both are the library's to send.
     */
    const sortie_header *headers;
    /**
     * The number of headers.
     */
    uint32_t header_count;
    /**
     * SORTIE_PRIORITY_*.
     */
    uint32_t priority;
    /**
     * Comes back in each of the request's events.
     */
    uint64_t user_data;
    /**
     * The request's body in memory; NULL means none, or body_path.
     */
    const void *body;
    /**
     * The body's length in bytes; with SORTIE_REQUEST_STREAM_BODY 0 if it is not known.
     */
    uint64_t body_length;
    /**
     * A file to send as the body; NULL means none, or body.
     */
    const char *body_path;
    /**
     * The base of body_path, SORTIE_DIRECTORY_*.
     */
    uint32_t body_directory;
    /**
     * SORTIE_BODY_*: by default a body in memory is text and a file is binary, which decides the Content-Type of a
     * request that gives none: "text/plain; charset=UTF-8" or "application/octet-stream". SORTIE_BODY_TEXT also sees to
     * the charset: a Content-Type that names none gets "; charset=UTF-8", and the body, which must be UTF-8, is sent in the
     * charset that it names.
     */
    uint32_t body_kind;
    /**
     * The Content-Type header, if not among headers.
     */
    const char *content_type;
    /**
     * A file to write the body of a 2xx response to; NULL means memory. It appears under its name, or replaces the file that
     * has that name, only when it is whole, with that file's permissions. Any other response, and one that has no body (HEAD,
     * 204), leaves it alone; its body comes in the event. An extension that begins with .sortie- is refused; a folder, device,
     * pipe or socket of that name ends the request with SORTIE_ERROR_FILE.
     */
    const char *response_path;
    /**
     * The base of response_path, SORTIE_DIRECTORY_*. Missing folders below a base are made. Names below a base that Windows
     * cannot have, or takes for a device, are refused on every system.
     */
    uint32_t response_directory;
    /**
     * SORTIE_PROGRESS_*: whether to send BEGAN and PROGRESS events, and of which body.
     */
    uint32_t progress;
    /**
     * How many redirects to follow; default 20, at most 100.
     */
    uint32_t max_redirects;
    /**
     * SORTIE_HTTP_*.
     */
    uint32_t http_version;
    /**
     * How long the request may take from its start to its end, waiting in the queue aside; default the client's.
     */
    uint32_t timeout_ms;
    /**
     * How long a connection may take to be made; default the client's.
     */
    uint32_t connect_timeout_ms;
    /**
     * How long no byte may move in either direction; default the client's.
     */
    uint32_t stall_timeout_ms;
    /**
     * How long the request may wait in the queue; default the client's.
     */
    uint32_t queue_timeout_ms;
    /**
     * The largest response body in memory, in bytes after decompression; default the client's.
     */
    uint64_t max_body_bytes;
    /**
     * The name for basic authentication, sent with the first request; no ':'.
     */
    const char *username;
    /**
     * The password for basic authentication.
     */
    const char *password;
    /**
     * The token for bearer authentication; not together with username.
     */
    const char *bearer_token;
    /**
     * The SHA-256 that the body of a 2xx response has to have, after decompression, as 64 hexadecimal digits; another one
     * ends the request with SORTIE_ERROR_INTEGRITY, without a body or a file. NULL means any.
     */
    const char *expected_sha256;
    /**
     * The length that it has to have, in bytes after decompression; another one ends the request with
     * SORTIE_ERROR_INTEGRITY, as soon as it shows. 0 means any.
     */
    uint64_t expected_length;
    /**
     * How many attempts there may be in all; default 1, at most 100. After a failed connection, a limit on an attempt, and
     * the statuses 408, 429, 500, 502, 503 and 504, an idempotent method (GET, HEAD, PUT, DELETE, OPTIONS) is made again;
     * any method if nothing can have reached the server. timeout_ms spans all attempts.
     */
    uint32_t max_attempts;
    /**
     * The wait after the first attempt is a random time of up to this, doubled with each further one; default 500 ms. A
     * Retry-After that is longer counts instead.
     */
    uint32_t retry_delay_ms;
    /**
     * The longest wait, Retry-After aside; default 30000 ms.
     */
    uint32_t max_retry_delay_ms;
    /**
     * How long one attempt may take; no limit by default.
     */
    uint32_t attempt_timeout_ms;
    /**
     * The largest response body in a file, in bytes after decompression; default the client's.
     */
    uint64_t max_file_bytes;
    /**
     * A form to send as the body, as multipart/form-data with an exact Content-Length; NULL means none. Not together with
     * body, body_path, body_kind or a Content-Type. A form without a part, not NULL and with a count of 0, is sent too.
     */
    const sortie_form_part *form_parts;
    /**
     * The number of form_parts, at most 10000.
     */
    uint32_t form_part_count;
    /**
     * With SORTIE_REQUEST_STREAM_RESPONSE: how many bytes of DATA events may be undrained, or drained and still held, before
     * the transfer pauses. What is just being received comes on top: 16 KiB, or 64 KiB if it is decompressed. With
     * SORTIE_REQUEST_STREAM_BODY: how many bytes may be written and not yet sent. Default 262144, from 16384 to 1073741824.
     */
    uint32_t stream_window_bytes;
    /**
     * SORTIE_CACHE_*: how to use the client's cache, if it has one.
     */
    uint32_t cache_mode;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * How many bytes of the response's body may come in a second, on the wire; no limit by default. They come in pieces of up
     * to 16 KiB.
     */
    uint64_t max_receive_bytes_per_second;
    /**
     * How many bytes of the request's body may be sent in a second; no limit by default.
     */
    uint64_t max_send_bytes_per_second;
    /**
     * How many bytes of bodies have to move in a second, both ways together, on average over each min_speed_period_ms from the
     * connection on; less ends the request with SORTIE_ERROR_STALLED. Time in which it waits for the program, the disk, or a
     * limit on bandwidth does not count, the wait for the server's response does. Default the client's.
     */
    uint64_t min_bytes_per_second;
    /**
     * The period, at least 100; default the client's. SORTIE_NO_TIMEOUT means that no speed is too low.
     */
    uint32_t min_speed_period_ms;
    /**
     * Must be 0.
     */
    uint32_t reserved_speed;
    /**
     * A proxy for this request alone, on every hop, as sortie_client_config.proxy names one; the client's no_proxy does not
     * count for it. "" means none, NULL the client's.
     */
    const char *proxy;
} sortie_request_desc;

/**
 * A request's id: 0 is none, every other is below 2^53 (a Lua or JavaScript number holds it). An id is not given out
 * again for billions of requests, so one that has ended is safe to pass everywhere.
 */
typedef uint64_t sortie_request;

/**
 * Something that happened to a request. What it points to stays valid until the next sortie_poll() on its client or the
 * client's destruction, whichever is first. May be copied.
 */
typedef struct {
    /**
     * The request, or the watch; 0 in a TRACE event that is about neither.
     */
    sortie_request request;
    /**
     * The user_data of the request or the watch.
     */
    uint64_t user_data;
    /**
     * SORTIE_EVENT_*.
     */
    uint32_t type;
    /**
     * SORTIE_ERROR_*: of an ENDED or RETRY event, why no whole response came; else SORTIE_ERROR_NONE.
     */
    uint32_t error;
    /**
     * The response's HTTP status, 0 while none has come and in PROGRESS events.
     */
    int32_t status;
    /**
     * SORTIE_BODY_*: what the body is. Text is UTF-8 whatever it was sent in, unless SORTIE_REQUEST_RAW_TEXT is set.
     */
    uint32_t body_kind;
    /**
     * The response's body, with a NUL one past its end; NULL if there is none or it went to a file.
     */
    const void *body;
    /**
     * The body's length in bytes.
     */
    uint64_t body_length;
    /**
     * Of an ENDED event: the full path of the file that was written; NULL if none was.
     */
    const char *file_path;
    /**
     * Of an event with an error: what went wrong, for a person. Of a TRACE event: its line, or lines. Else NULL.
     */
    const char *message;
    /**
     * The URL as requested; if it held credentials, without them and normalised. Of a watch, the host as given; "" in TRACE
     * events.
     */
    const char *url;
    /**
     * Bytes of the body on the wire so far, in the direction of progress (download if none). Never goes back.
     */
    uint64_t bytes_transferred;
    /**
     * Bytes of the body on the wire in all, in that direction: 0 if there is no body, -1 if unknown.
     */
    int64_t bytes_estimated;
    /**
     * For the sortie_event_*() functions.
     */
    void *details;
    /**
     * SORTIE_NETWORK_* flags of a REACHABILITY event, else 0.
     */
    uint32_t network;
    /**
     * SORTIE_EVENT_* flags: SORTIE_EVENT_FROM_CACHE, SORTIE_EVENT_REVALIDATED, SORTIE_EVENT_CREDENTIALS_UNUSED.
     */
    uint32_t flags;
    /**
     * Of ENDED and RETRY events: the number of attempts made so far, else 0.
     */
    uint32_t attempts;
    /**
     * Of a RETRY event: how long until the next attempt.
     */
    uint32_t retry_delay_ms;
    /**
     * SORTIE_TRACE_* level of a TRACE event, else 0.
     */
    uint32_t trace_level;
    /**
     * Zero.
     */
    uint32_t reserved[3];
} sortie_event;

/**
 * Counts and gauges of a client.
 */
typedef struct {
    /**
     * sizeof(sortie_stats), set by the caller.
     */
    uint32_t struct_size;
    /**
     * Requests that wait in the queue.
     */
    uint32_t waiting;
    /**
     * Requests on the network or at the disk.
     */
    uint32_t active;
    /**
     * Requests that have ended and whose ENDED event is not drained.
     */
    uint32_t undrained;
    /**
     * Requests accepted since creation.
     */
    uint64_t submitted;
    /**
     * Requests ended since creation.
     */
    uint64_t ended;
    /**
     * Of those, ended with an error, cancelled ones included.
     */
    uint64_t failed;
    /**
     * Bytes of response bodies received since creation, on the wire.
     */
    uint64_t bytes_received;
    /**
     * Bytes of request bodies sent since creation.
     */
    uint64_t bytes_sent;
    /**
     * Bytes of bodies that events hold now.
     */
    uint64_t buffered_bytes;
    /**
     * Connections made since creation.
     */
    uint64_t connections;
    /**
     * Hops that the cache answered without asking, since creation.
     */
    uint64_t cache_hits;
    /**
     * Hops that the cache answered after the server had said that what is stored holds.
     */
    uint64_t cache_revalidated;
    /**
     * Hops that the cache could have answered, and the network did.
     */
    uint64_t cache_misses;
    /**
     * Bytes that the cache holds now, in memory and on disk.
     */
    uint64_t cache_bytes;
    /**
     * Connections that are open now, idle ones included.
     */
    uint32_t connections_open;
    /**
     * Of those that wait: requests that are paused, or between two attempts.
     */
    uint32_t resting;
    /**
     * Attempts made since creation: requests started, and started again.
     */
    uint64_t attempts;
    /**
     * Bytes of response bodies that came in the last second, measured twice a second.
     */
    uint64_t receive_bytes_per_second;
    /**
     * Bytes of request bodies that were sent in the last second, likewise.
     */
    uint64_t send_bytes_per_second;
} sortie_stats;

/**
 * An answer made up for tests, in place of a server's. Zero in any field but struct_size and url means the default, so
 * `sortie_mock mock = { .struct_size = sizeof mock, .url = "*" };` is complete: 200 without a body. Everything is copied
 * before the call returns.
 */
typedef struct {
    /**
     * sizeof(sortie_mock).
     */
    uint32_t struct_size;
    /**
     * The status, 200 to 599; default 200. A redirect is followed.
     */
    uint32_t status;
    /**
     * The method that it answers, compared as given; NULL means every method.
     */
    const char *method;
    /**
     * The URLs that it answers. '*' stands for any characters, or none; everything else stands for itself, capitals and all.
     * It is held against a hop's whole URL as it is sent: normalised, with its query, without credentials and fragment. One
     * without '*' is a URL, and normalised too. Must not be NULL.
     */
    const char *url;
    /**
     * Response headers. Content-Length is ignored, as it is the body's; Transfer-Encoding is refused.
     */
    const sortie_header *headers;
    /**
     * The number of headers.
     */
    uint32_t header_count;
    /**
     * How long to wait before the answer, once the request's body is taken, in milliseconds.
     */
    uint32_t delay_ms;
    /**
     * The body as it would come over the wire; NULL means none.
     */
    const void *body;
    /**
     * The body's length in bytes.
     */
    uint64_t body_length;
    /**
     * How many bytes of the body come in a second; 0 means all at once.
     */
    uint64_t bytes_per_second;
    /**
     * SORTIE_ERROR_*: how the request ends after the delay, without an answer; SORTIE_ERROR_NONE means with this answer.
     */
    uint32_t error;
    /**
     * How many requests it answers, each redirect counted; 0 means every one.
     */
    uint32_t times;
} sortie_mock;

/**
 * Where a request's time went, and over what. Microseconds; a step that did not happen took 0.
 */
typedef struct {
    /**
     * sizeof(sortie_timing), set by the caller.
     */
    uint32_t struct_size;
    /**
     * The number of redirects followed.
     */
    uint32_t redirects;
    /**
     * From submit to start, in the queue.
     */
    uint64_t queued_us;
    /**
     * From the last hop's start to the name resolved.
     */
    uint64_t name_lookup_us;
    /**
     * From the last hop's start to the TCP connection made.
     */
    uint64_t connect_us;
    /**
     * From the last hop's start to the TLS handshake done.
     */
    uint64_t tls_us;
    /**
     * From the last hop's start to the first byte of the response.
     */
    uint64_t first_byte_us;
    /**
     * From the first hop's start to the end.
     */
    uint64_t total_us;
    /**
     * The number of attempts made.
     */
    uint32_t attempts;
    /**
     * SORTIE_PROTOCOL_*: what the last hop's response came in.
     */
    uint32_t protocol;
    /**
     * 1 if the last hop went over a connection that had been used before, else 0.
     */
    uint32_t connection_reused;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Bytes of response bodies on the wire, of all hops and attempts.
     */
    uint64_t bytes_received;
    /**
     * Bytes of request bodies sent, of all hops and attempts.
     */
    uint64_t bytes_sent;
} sortie_timing;

/**
 * The call did what it says.
 */
#define SORTIE_OK 0

/**
 * A pointer that must not be NULL was NULL.
 */
#define SORTIE_RESULT_NULL_ARGUMENT -1

/**
 * struct_size is below the first release's size, or bytes that this library does not know are set.
 */
#define SORTIE_RESULT_STRUCT_SIZE -2

/**
 * A string is not valid UTF-8.
 */
#define SORTIE_RESULT_UTF8 -3

/**
 * The URL is empty, malformed or too long.
 */
#define SORTIE_RESULT_URL -4

/**
 * The URL's scheme is not http or https.
 */
#define SORTIE_RESULT_SCHEME -5

/**
 * The method is not an HTTP token, or one that cannot be sent.
 */
#define SORTIE_RESULT_METHOD -6

/**
 * A header's name or value cannot be sent.
 */
#define SORTIE_RESULT_HEADER -7

/**
 * A file name is empty or leaves its base directory, or that directory is unknown or read-only.
 */
#define SORTIE_RESULT_PATH -8

/**
 * A number, flag or combination of fields is out of range.
 */
#define SORTIE_RESULT_ARGUMENT -9

/**
 * The body is larger than memory can hold.
 */
#define SORTIE_RESULT_BODY_TOO_LARGE -10

/**
 * Another thread is in the same call, which takes one thread at a time.
 */
#define SORTIE_RESULT_BUSY -11

/**
 * The id is not that of a request whose ENDED event is still to be drained.
 */
#define SORTIE_RESULT_STALE -12

/**
 * As many requests as the client takes are waiting, running or not yet drained.
 */
#define SORTIE_RESULT_TOO_MANY_REQUESTS -13

/**
 * The operating system refused a thread or a descriptor.
 */
#define SORTIE_RESULT_SYSTEM -14

/**
 * There is no such header, body or other part.
 */
#define SORTIE_RESULT_NOT_FOUND -15

/**
 * Reserved: the client is being destroyed.
 */
#define SORTIE_RESULT_SHUTDOWN -16

/**
 * A defect in Sortie, caught at the boundary. Any call may return it.
 */
#define SORTIE_RESULT_INTERNAL -17

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Creates a client and its threads.
 *
 * @param config  how to set it up, copied; NULL means the defaults
 * @param out     receives the client; left as it is on failure; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE, SORTIE_RESULT_UTF8, SORTIE_RESULT_HEADER,
 *         SORTIE_RESULT_PATH, SORTIE_RESULT_ARGUMENT, or SORTIE_RESULT_SYSTEM if the system refuses a thread
 * @threadsafety   any thread
 * @since          0.1.0
 */
sortie_result sortie_client_create(const sortie_client_config *config, sortie_client **out);

/**
 * Destroys a client. Requests that have not ended are dropped without an event, their unfinished files removed. Returns
 * within about 100 ms whatever the network, the name lookup or the disk is doing.
 *
 * What the client's events point to is gone afterwards; bodies taken over stay.
 *
 * @param client   the client; NULL is fine
 * @threadsafety   any thread, once, and while no other call on this client is running
 * @since          0.1.0
 */
void sortie_client_destroy(sortie_client *client);

/**
 * Submits a request. It starts as soon as the limits let it, or when the client is resumed.
 *
 * An accepted request ends with exactly one SORTIE_EVENT_ENDED.
 *
 * @param client  a live client; must not be NULL
 * @param desc    what to request, copied; must not be NULL
 * @param out_id  receives the request's id; left as it is on failure; may be NULL
 * @return SORTIE_OK, or why the request was refused: SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE,
 *         SORTIE_RESULT_UTF8, SORTIE_RESULT_URL, SORTIE_RESULT_SCHEME, SORTIE_RESULT_METHOD, SORTIE_RESULT_HEADER,
 *         SORTIE_RESULT_PATH, SORTIE_RESULT_ARGUMENT, SORTIE_RESULT_BODY_TOO_LARGE, SORTIE_RESULT_TOO_MANY_REQUESTS, or
 *         SORTIE_RESULT_SYSTEM if the system gives no randomness for a form
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_submit(sortie_client *client, const sortie_request_desc *desc, sortie_request *out_id);

/**
 * Submits a GET request for a body in memory.
 *
 * @param client     a live client; must not be NULL
 * @param url        an absolute http or https URL; must not be NULL
 * @param user_data  comes back in the request's events
 * @param out_id     receives the request's id; left as it is on failure; may be NULL
 * @return as sortie_submit()
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_get(sortie_client *client, const char *url, uint64_t user_data, sortie_request *out_id);

/**
 * Submits a GET request whose body goes to a file, with progress events and without a limit on the total time: only a
 * stalled one ends early.
 *
 * @param client     a live client; must not be NULL
 * @param url        an absolute http or https URL; must not be NULL
 * @param path       the file, a path of the operating system; must not be NULL
 * @param user_data  comes back in the request's events
 * @param out_id     receives the request's id; left as it is on failure; may be NULL
 * @return as sortie_submit()
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_download(sortie_client *client,
                              const char *url,
                              const char *path,
                              uint64_t user_data,
                              sortie_request *out_id);

/**
 * Submits a POST request whose body is a file, with progress events and without a limit on the total time: only a stalled
 * one ends early.
 *
 * @param client        a live client; must not be NULL
 * @param url           an absolute http or https URL; must not be NULL
 * @param path          the file, a path of the operating system; must not be NULL
 * @param content_type  the Content-Type header; NULL means application/octet-stream
 * @param user_data     comes back in the request's events
 * @param out_id        receives the request's id; left as it is on failure; may be NULL
 * @return as sortie_submit()
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_upload(sortie_client *client,
                            const char *url,
                            const char *path,
                            const char *content_type,
                            uint64_t user_data,
                            sortie_request *out_id);

/**
 * Asks a request to stop.
 *
 * Returns at once. The request still ends with exactly one SORTIE_EVENT_ENDED: SORTIE_ERROR_CANCELLED, or its real outcome
 * if it had already finished.
 *
 * @param client   a live client; must not be NULL
 * @param request  an id from sortie_submit(); finished and made-up ids are safe
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when its ENDED event has been drained
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_cancel(sortie_client *client,
                            sortie_request request);

/**
 * Lets a request rest: one that waits does not start, one that runs moves no more bytes, though what the system and the
 * server have on their way still fills their buffers. Its total time runs on; the limit on the time in which no byte moves
 * does not. Pausing twice is fine.
 *
 * @param client   a live client; must not be NULL
 * @param request  an id from sortie_submit(); finished and made-up ids are safe
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when its ENDED event has been drained
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_request_pause(sortie_client *client,
                                   sortie_request request);

/**
 * Lets a request go on after sortie_request_pause(). One that is not paused goes on as it is.
 *
 * @param client   a live client; must not be NULL
 * @param request  an id from sortie_submit(); finished and made-up ids are safe
 * @return as sortie_request_pause()
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_request_unpause(sortie_client *client, sortie_request request);

/**
 * Gives a request another priority. One that waits then stands where it would, had it been submitted so; one that runs is
 * not affected, but for its redirects and further attempts.
 *
 * @param client    a live client; must not be NULL
 * @param request   an id from sortie_submit(); finished and made-up ids are safe
 * @param priority  SORTIE_PRIORITY_*
 * @return as sortie_request_pause(), or SORTIE_RESULT_ARGUMENT for a number that is no priority
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_request_set_priority(sortie_client *client,
                                          sortie_request request,
                                          uint32_t priority);

/**
 * Limits how fast a request's bodies go from now on, whether it waits or runs.
 *
 * @param client                    a live client; must not be NULL
 * @param request                   an id from sortie_submit(); finished and made-up ids are safe
 * @param receive_bytes_per_second  of the response's body, as max_receive_bytes_per_second; 0 means no limit
 * @param send_bytes_per_second     of the request's body, as max_send_bytes_per_second; 0 means no limit
 * @return as sortie_request_pause()
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_request_set_rate(sortie_client *client,
                                      sortie_request request,
                                      uint64_t receive_bytes_per_second,
                                      uint64_t send_bytes_per_second);

/**
 * Limits how fast the bodies of all requests together go from now on.
 *
 * @param client                    a live client; must not be NULL
 * @param receive_bytes_per_second  of response bodies, as max_receive_bytes_per_second; 0 means no limit
 * @param send_bytes_per_second     of request bodies, as max_send_bytes_per_second; 0 means no limit
 * @return SORTIE_OK or SORTIE_RESULT_NULL_ARGUMENT
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_set_rate(sortie_client *client,
                                     uint64_t receive_bytes_per_second,
                                     uint64_t send_bytes_per_second);

/**
 * Sets how much the trace tells from now on: what the client does, in TRACE events. It shows no credentials, cookies, values of
 * queries or bodies, unless SORTIE_CLIENT_TRACE_SECRETS and SORTIE_CLIENT_TRACE_BODIES say so.
 *
 * @param client  a live client; must not be NULL
 * @param level   SORTIE_TRACE_*
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_ARGUMENT for a number that is no level
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_set_trace_level(sortie_client *client,
                                            uint32_t level);

/**
 * Hands over the next piece of the body of a request with SORTIE_REQUEST_STREAM_BODY: as much as there is room for. After
 * less than all, a SORTIE_EVENT_WRITABLE tells when there is room again. What is handed over after the request has ended is
 * dropped. Never waits.
 *
 * @param client     a live client; must not be NULL
 * @param request    an id from sortie_submit(); finished and made-up ids are safe
 * @param data       the bytes, copied; may be NULL if length is 0
 * @param length     their number
 * @param out_taken  receives how many of them were taken; left as it is on failure; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STALE when its ENDED event has been drained,
 *         SORTIE_RESULT_ARGUMENT if its body is not streamed, is finished or would become longer than body_length, or
 *         SORTIE_RESULT_BODY_TOO_LARGE
 * @threadsafety   any thread, one at a time for a request, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_body_write(sortie_client *client,
                                sortie_request request,
                                const void *data,
                                uint64_t length,
                                uint64_t *out_taken);

/**
 * Says that the body of a request with SORTIE_REQUEST_STREAM_BODY has come to its end. One with a body_length needs it not.
 * Finishing twice is fine.
 *
 * @param client   a live client; must not be NULL
 * @param request  an id from sortie_submit(); finished and made-up ids are safe
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STALE when its ENDED event has been drained, or
 *         SORTIE_RESULT_ARGUMENT if its body is not streamed or has not all that body_length says
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_body_finish(sortie_client *client,
                                 sortie_request request);

/**
 * Drains events: call it once a frame. Never waits; costs next to nothing when there is none.
 *
 * What the events of the previous call on this client point to is gone afterwards.
 *
 * @param client    a live client; must not be NULL
 * @param events    room for capacity events; must not be NULL
 * @param capacity  at least 1; what does not fit stays for the next call
 * @return the number of events written, 0 while suspended; or SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_ARGUMENT for a
 *         capacity of 0, SORTIE_RESULT_BUSY while another thread is in this call
 * @threadsafety   one thread at a time, except during sortie_client_destroy()
 * @since          0.1.0
 */
int32_t sortie_poll(sortie_client *client, sortie_event *events, uint32_t capacity);

/**
 * Sleeps until sortie_poll() has something to give. For tools and tests: a game polls once a frame instead. It may wake for
 * an event of a watch that has just ended, which sortie_poll() then passes over.
 *
 * @param client      a live client; must not be NULL
 * @param timeout_ms  how long to sleep at most, in milliseconds
 * @return 1 if there is an event, 0 if none came in time, or SORTIE_RESULT_NULL_ARGUMENT
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
int32_t sortie_wait(sortie_client *client,
                    uint32_t timeout_ms);

/**
 * Suspends a client, as when a game goes to the background: no event is given out, nothing new starts, running transfers
 * pause and their clocks stop. sortie_submit() still accepts requests and holds them. Suspending twice is fine.
 *
 * @param client   a live client; must not be NULL
 * @return SORTIE_OK or SORTIE_RESULT_NULL_ARGUMENT
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_suspend(sortie_client *client);

/**
 * Resumes a suspended client: events are given out, held requests start, paused transfers go on. One whose connection died
 * meanwhile starts again if its method is idempotent, and ends with an error if not. Resuming twice is fine.
 *
 * @param client   a live client; must not be NULL
 * @return SORTIE_OK or SORTIE_RESULT_NULL_ARGUMENT
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_resume(sortie_client *client);

/**
 * Reads a client's counts and gauges. Cheap enough for every frame. They are not all of one moment: waiting and active may
 * not yet show what was submitted or cancelled just before, and ended counts a request a moment before its ENDED event can
 * be drained.
 *
 * @param client  a live client; must not be NULL
 * @param out     receives them; its struct_size must be set; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT or SORTIE_RESULT_STRUCT_SIZE
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_stats(sortie_client *client,
                                  sortie_stats *out);

/**
 * Watches whether a host can be reached. A SORTIE_EVENT_REACHABILITY tells it, and then each change, until
 * sortie_reachability_unwatch().
 *
 * A host can be reached if it accepts a connection, made as a request's would be and closed at once. It is tried at the
 * start, when the machine's network changes, on resume, and each reachability_interval_ms; 5 s without an answer from a port
 * count as no. Without a port it is tried at 443 and then 80, and a host that refuses both is there all the same.
 *
 * @param client     a live client; must not be NULL
 * @param host       a name or an address, alone or with ":port", as "example.com" or "[::1]:8080"; must not be NULL
 * @param user_data  comes back in the watch's events
 * @param out_watch  receives the watch's id; left as it is on failure; may be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_ARGUMENT for what is no host, or
 *         SORTIE_RESULT_TOO_MANY_REQUESTS if 64 are watched or max_requests is reached
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_reachability_watch(sortie_client *client,
                                        const char *host,
                                        uint64_t user_data,
                                        sortie_request *out_watch);

/**
 * Ends a watch. No event of it comes after this call, not even what was found before.
 *
 * @param client  a live client; must not be NULL
 * @param watch   an id from sortie_reachability_watch(); ended and made-up ids are safe
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when it has ended already
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_reachability_unwatch(sortie_client *client, sortie_request watch);

/**
 * Tells what the machine's network is like: SORTIE_NETWORK_REACHABLE if there is a way out, and by what. Cheap enough for
 * every frame. Linux tells of changes at once; elsewhere they are looked for each reachability_interval_ms.
 *
 * @param client  a live client; NULL gives 0
 * @return SORTIE_NETWORK_* flags
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
uint32_t sortie_client_network(const sortie_client *client);

/**
 * Keeps a cookie as if a response from a URL had set it, for requests submitted after this call.
 *
 * @param client  a live client; must not be NULL
 * @param url     the URL that it comes from, http or https; must not be NULL
 * @param cookie  what a Set-Cookie header says, such as "session=abc; Path=/; Max-Age=3600"; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_URL, SORTIE_RESULT_SCHEME, or
 *         SORTIE_RESULT_ARGUMENT for a cookie that a browser would not keep or a client that keeps none
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_set_cookie(sortie_client *client, const char *url, const char *cookie);

/**
 * Tells the cookies that a request for a URL would be sent now, as they stand in its Cookie header: "a=1; b=2", those with
 * the longest path first, then the oldest. HttpOnly ones are among them, since a game has no scripts to hide them from. Never
 * waits. A response's cookies are there once its last event is; those of sortie_client_set_cookie(), and what
 * sortie_client_clear_cookies() has removed, show a moment after the call, when the client's thread has seen to it.
 *
 * @param client    a live client; must not be NULL
 * @param url       the URL; must not be NULL
 * @param out       receives the cookies with a NUL at their end, cut short to capacity as snprintf() does; may be NULL if
 *                  capacity is 0. Their bytes are as the server has sent them, which need not be UTF-8.
 * @param capacity  the room in out, in bytes, the last NUL included; 64 KiB hold all that is ever sent
 * @return the length of all the cookies without that NUL, 0 without any: more than fits if it is at least capacity; or
 *         SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_URL or SORTIE_RESULT_SCHEME for the URL, or
 *         SORTIE_RESULT_ARGUMENT for a client that keeps no cookies
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
int64_t sortie_client_cookies(sortie_client *client,
                              const char *url,
                              char *out,
                              uint64_t capacity);

/**
 * Forgets every cookie, in memory and in the cookie file, for requests submitted after this call.
 *
 * @param client  a live client; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_ARGUMENT if the client keeps none
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_clear_cookies(sortie_client *client);

/**
 * Forgets all that the HTTP cache has stored, in memory and on disk, for requests submitted after this call. What is on its
 * way is not kept.
 *
 * @param client  a live client; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_ARGUMENT if the client has no cache
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_clear_cache(sortie_client *client);

/**
 * Registers an answer made up for tests. From now on the first mock in order of registration that matches a hop's method
 * and URL answers it, in place of the network.
 *
 * A mocked response goes through all that a real one does: the queue, events, redirects, cookies, compression, charsets,
 * files, caps, time limits, cancelling, suspending. Only connecting and TLS are left out: its timings have no such steps,
 * and no connection is counted.
 *
 * @param client  a live client; must not be NULL
 * @param mock    what it answers, and to what, copied; must not be NULL
 * @param out_id  receives the mock's id, for sortie_client_unmock(); left as it is on failure; may be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE, SORTIE_RESULT_UTF8, SORTIE_RESULT_URL,
 *         SORTIE_RESULT_SCHEME, SORTIE_RESULT_METHOD, SORTIE_RESULT_HEADER, SORTIE_RESULT_ARGUMENT,
 *         SORTIE_RESULT_BODY_TOO_LARGE, or SORTIE_RESULT_TOO_MANY_REQUESTS if 4,096 are registered
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_mock(sortie_client *client,
                                 const sortie_mock *mock,
                                 uint64_t *out_id);

/**
 * Takes a mock away: what is submitted from now on, and each later redirect, is no longer answered by it. Its answers that
 * are under way go on.
 *
 * @param client  a live client; must not be NULL
 * @param id      an id from sortie_client_mock(); made-up ids are safe
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_STALE when it is gone already
 * @threadsafety   any thread, except during sortie_client_destroy()
 * @since          0.1.0
 */
sortie_result sortie_client_unmock(sortie_client *client,
                                   uint64_t id);

/**
 * Finds a response header by its name, whatever the letters' case.
 *
 * @param event  an event of the last sortie_poll(); NULL has no headers
 * @param name   the header's name; NULL finds none
 * @param index  0 for the first of that name, 1 for the second, and so on
 * @return its value, valid as long as the event is, or NULL if there is none
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
const char *sortie_event_header(const sortie_event *event, const char *name, uint32_t index);

/**
 * Counts an event's response headers, repeated names each time.
 *
 * @param event  an event of the last sortie_poll(); NULL has no headers
 * @return the number of headers
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
uint32_t sortie_event_header_count(const sortie_event *event);

/**
 * Reads a response header by its place, in the order of arrival.
 *
 * @param event  an event of the last sortie_poll()
 * @param i      its place, from 0
 * @param name   receives its name as received, valid as long as the event is; may be NULL
 * @param value  receives its value, likewise; may be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_NOT_FOUND when there are not that many
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
sortie_result sortie_event_header_at(const sortie_event *event, uint32_t i, const char **name, const char **value);

/**
 * Finds a response trailer, a field that came after the body, by its name, whatever the letters' case.
 *
 * ENDED has them, of HTTP/1.1 in chunks and of HTTP/2. Those that must come before a body, such as Content-Length or
 * Set-Cookie, are left out, and a response that comes from the cache has none.
 *
 * @param event  an event of the last sortie_poll(); NULL has no trailers
 * @param name   the trailer's name; NULL finds none
 * @param index  0 for the first of that name, 1 for the second, and so on
 * @return its value, valid as long as the event is, or NULL if there is none
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
const char *sortie_event_trailer(const sortie_event *event, const char *name, uint32_t index);

/**
 * Counts an event's response trailers, repeated names each time.
 *
 * @param event  an event of the last sortie_poll(); NULL has no trailers
 * @return the number of trailers, at most 256
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
uint32_t sortie_event_trailer_count(const sortie_event *event);

/**
 * Reads a response trailer by its place, in the order of arrival.
 *
 * @param event  an event of the last sortie_poll()
 * @param i      its place, from 0
 * @param name   receives its name as received, valid as long as the event is; may be NULL
 * @param value  receives its value, valid as long as the event is; may be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT for a NULL event, or SORTIE_RESULT_NOT_FOUND when there are fewer
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
sortie_result sortie_event_trailer_at(const sortie_event *event, uint32_t i, const char **name, const char **value);

/**
 * Tells the line that comes before the headers.
 *
 * @param event  an event of the last sortie_poll()
 * @return the line, such as "HTTP/1.1 404 Not Found" or "HTTP/2 200", valid as long as the event is; NULL if no response
 *         came
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
const char *sortie_event_status_line(const sortie_event *event);

/**
 * Tells the URL that answered, after redirects; without any, the URL as requested.
 *
 * @param event  an event of the last sortie_poll()
 * @return the URL, credentials left out, valid as long as the event is; NULL if no response came
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
const char *sortie_event_effective_url(const sortie_event *event);

/**
 * Tells what a text body was written in before it was made UTF-8.
 *
 * @param event   an event of the last sortie_poll()
 * @param source  receives where that was found, SORTIE_CHARSET_*; left as it is if nothing is; may be NULL
 * @return the charset's name in the WHATWG Encoding Standard, such as "windows-1252", valid as long as the event is; NULL
 *         if the event has no text, or SORTIE_REQUEST_RAW_TEXT asked for it as it came
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
const char *sortie_event_charset(const sortie_event *event,
                                 uint32_t *source);

/**
 * Tells the address that the request was connected to: the server's, or the proxy's.
 *
 * @param event  an ENDED or RETRY event of the last sortie_poll()
 * @return the address with its port, such as "203.0.113.7:443" or "[2001:db8::1]:443", valid as long as the event is; NULL
 *         if there was no connection
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
const char *sortie_event_remote_address(const sortie_event *event);

/**
 * Tells where a request's time went, and over what.
 *
 * @param event  an ENDED event of the last sortie_poll()
 * @param out    receives it; its struct_size must be set; must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_STRUCT_SIZE, or SORTIE_RESULT_NOT_FOUND for an event that
 *         is not ENDED
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
sortie_result sortie_event_timing(const sortie_event *event,
                                  sortie_timing *out);

/**
 * Takes an event's body over, without a copy, so that it outlives the event. The event's own body and body_length stay
 * valid as long as the event is, or until the body is freed.
 *
 * @param event  an event of the last sortie_poll()
 * @param out    receives the body, to be given to sortie_body_free(); must not be NULL
 * @return SORTIE_OK, SORTIE_RESULT_NULL_ARGUMENT, or SORTIE_RESULT_NOT_FOUND when there is none or it was taken already
 * @threadsafety   the thread that polls
 * @since          0.1.0
 */
sortie_result sortie_event_take_body(const sortie_event *event, sortie_body **out);

/**
 * Points to a body's bytes, with a NUL one past their end.
 *
 * @param body  a body that was taken over; NULL gives NULL
 * @return the bytes, valid until sortie_body_free()
 * @threadsafety   any thread
 * @since          0.1.0
 */
const void *sortie_body_data(const sortie_body *body);

/**
 * Tells a body's length in bytes.
 *
 * @param body  a body that was taken over; NULL has length 0
 * @return its length
 * @threadsafety   any thread
 * @since          0.1.0
 */
uint64_t sortie_body_length(const sortie_body *body);

/**
 * Frees a body that was taken over. Fine before and after its client's destruction.
 *
 * @param body  the body; NULL is fine
 * @threadsafety   any thread, once
 * @since          0.1.0
 */
void sortie_body_free(sortie_body *body);

/**
 * Writes the fields of a form as application/x-www-form-urlencoded, such as "name=J%C3%BCrgen+O.&score=42": for a body of
 * that content_type, or for the query of a URL.
 *
 * @param parts     the fields: name, data and data_length; one with a path is refused; may be NULL if count is 0
 * @param count     their number, at most 10000
 * @param out       receives the text with a NUL, cut short to capacity as snprintf() does; may be NULL if capacity is 0
 * @param capacity  the room in out, in bytes, NUL included
 * @return the length of the whole text without its NUL: more than fits if it is at least capacity; or
 *         SORTIE_RESULT_NULL_ARGUMENT, SORTIE_RESULT_UTF8, SORTIE_RESULT_PATH, SORTIE_RESULT_ARGUMENT,
 *         SORTIE_RESULT_BODY_TOO_LARGE
 * @threadsafety   any thread
 * @since          0.1.0
 */
int64_t sortie_form_urlencode(const sortie_form_part *parts,
                              uint32_t count,
                              char *out,
                              uint64_t capacity);

/**
 * Percent-encodes text for any place in a URL: all but letters, digits, '-', '.', '_' and '~', byte by byte.
 *
 * @param text      the text; must not be NULL
 * @param out       receives it encoded with a NUL, cut short to capacity as snprintf() does; may be NULL if capacity is 0
 * @param capacity  the room in out, in bytes, NUL included
 * @return the length of the whole encoded text without its NUL: more than fits if it is at least capacity; or
 *         SORTIE_RESULT_NULL_ARGUMENT
 * @threadsafety   any thread
 * @since          0.1.0
 */
int64_t sortie_percent_encode(const char *text,
                              char *out,
                              uint64_t capacity);

/**
 * Undoes percent-encoding. A '%' without two hexadecimal digits stands for itself, and so does '+'. What comes out may be
 * any bytes, NUL among them.
 *
 * @param text      the text; must not be NULL
 * @param out       receives it decoded with a NUL at its end, cut short to capacity as snprintf() does; may be NULL if
 *                  capacity is 0
 * @param capacity  the room in out, in bytes, the last NUL included
 * @return the length of the whole decoded text without that NUL: more than fits if it is at least capacity; or
 *         SORTIE_RESULT_NULL_ARGUMENT
 * @threadsafety   any thread
 * @since          0.1.0
 */
int64_t sortie_percent_decode(const char *text,
                              char *out,
                              uint64_t capacity);

/**
 * Tells the number of the C ABI that the loaded library has. It is at least SORTIE_ABI_VERSION of the header, or the
 * library is older than the program.
 *
 * @return the number
 * @threadsafety   any thread
 * @since          0.1.0
 */
uint32_t sortie_abi_version(void);

/**
 * Tells the version of the loaded library.
 *
 * @return the version as "MAJOR.MINOR.PATCH", valid for ever
 * @threadsafety   any thread
 * @since          0.1.0
 */
const char *sortie_version(void);

/**
 * Describes a result.
 *
 * @param result  SORTIE_OK or a SORTIE_RESULT_*
 * @return a short English description, valid for ever; never NULL
 * @threadsafety   any thread
 * @since          0.1.0
 */
const char *sortie_result_string(sortie_result result);

/**
 * Describes a kind of error.
 *
 * @param kind  a SORTIE_ERROR_*
 * @return a short English description, valid for ever; never NULL
 * @threadsafety   any thread
 * @since          0.1.0
 */
const char *sortie_error_string(uint32_t kind);

/**
 * Tells what exactly was wrong with the last call that this thread made and that was refused, such as "header name is
 * empty".
 *
 * @return an English message, valid until this thread's next refused call; "" if there was none; never NULL
 * @threadsafety   any thread
 * @since          0.1.0
 */
const char *sortie_last_error_message(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SORTIE_H */
