//! The paths every server answers.
//!
//! Numbers are decimal. Generated bodies are [`pattern`](crate::pattern)'s bytes from 0 on unless said otherwise. HEAD
//! works wherever an answer is a proper one. A request's body is read before the answer unless said otherwise.
//! `LENGTH HASH` is the request's body: its length in decimal and its [`fnv`](crate::fnv) in 16 hex digits.
//!
//! Plain answers:
//!
//! | Path | Answer |
//! |---|---|
//! | `/bytes/N?type=&etag=&ranges=0` | N bytes; `Range` of one part, `If-Range`, `If-None-Match` |
//! | `/status/N?body=&reason=` | that status |
//! | `/204`, `/304`, `/head` | no content; not modified; 1234 bytes |
//! | `/method` | the method |
//! | `/echo` | the request's body with its Content-Type |
//! | `/inspect` | request line, header lines, an empty line, `LENGTH HASH` |
//! | `/headers?name=value&...` | these headers, as often as given |
//! | `/redirect/N?status=` | N redirects, then `/bytes/2`; `/redirect/0` is the last |
//! | `/redirect-to?url=&status=` | a redirect there |
//! | `/relative-redirect` | a redirect to `bytes/2` |
//! | `/redirect-loop` | a redirect to itself |
//! | `/basic-auth?user=&password=`, `/bearer?token=` | 200 with these credentials, 401 without |
//! | `/cookie/set?name=value&...` | a `Set-Cookie` each; attributes may follow in the value |
//! | `/cookie/show` | the `Cookie` header |
//! | `/flaky?fails=&key=&status=&retry_after=&how=reset` | fails so often per key, then 200 and the attempt's number |
//! | `/gzip?bytes=`, `/deflate?bytes=&raw=1` | a compressed body: gzip, zlib, raw deflate |
//! | `/gzip-bomb?bytes=` | zeros, compressed, chunked, of any size |
//! | `/chunked?bytes=&chunk=`, `/chunked-trailers` | a chunked body; one with the trailer `X-Checksum: LENGTH HASH` |
//! | `/no-length?bytes=&cut=1` | a body that ends with the connection; cut: without TLS's close_notify |
//! | `/http10?keep_alive=0` | HTTP/1.0, kept alive (1) or not |
//! | `/many-headers?count=`, `/big-header?bytes=` | `X-Header-I: value-I`; `X-Big: aaa...` |
//!
//! Uploads:
//!
//! | Path | Answer |
//! |---|---|
//! | `/upload` | `LENGTH HASH` |
//! | `/upload-slow?rate=` | the same, read at so many bytes a second |
//! | `/upload-refuse?hard=1` | 413 and a close without reading the body; hard: no lingering, so mostly a RST |
//! | `/early-response` | 200 at once, then the body is read |
//! | `/expect?refuse=1` | whether `Expect: 100-continue` came, `yes` or `no`; refuse: 417 without reading |
//! | `/continue` | 100 and 103 first, then 200 |
//!
//! Timing:
//!
//! | Path | Answer |
//! |---|---|
//! | `/delay?ms=` | 200 after so long |
//! | `/gate/NAME` | 200 once [`Server::gate`](crate::Server::gate) of that name is open |
//! | `/slow?bytes=&rate=` | a body at so many bytes a second |
//! | `/picture/N?width=&height=&rate=` | a BMP of the N-th landscape, at so many bytes a second |
//! | `/drip?bytes=&ms=` | a byte at a time, so far apart |
//! | `/stall?sent=` | headers, so many of 1000 bytes, and nothing more until the client closes |
//! | `/stall-headers` | nothing until the client closes |
//!
//! Broken:
//!
//! | Path | Answer |
//! |---|---|
//! | `/reset?after=&declared=` | a RST after so many body bytes |
//! | `/reset-headers` | a RST within the headers |
//! | `/truncate?declared=&sent=` | a close before the declared length |
//! | `/bad-chunk`, `/truncated-chunks` | a chunk size that is no number; a close within a chunk |
//! | `/bad-gzip?kind=` | gzip that is `corrupt` (the default), `truncated` or fails its `checksum` |
//! | `/garbage`, `/empty` | no HTTP; not a byte |
//! | `/close-after?when=reuse` | keep-alive, then a close: at once, or when the next request comes |
//! | `/conflicting-length` | two Content-Lengths |
//! | `/nul-header`, `/bad-status-line` | a NUL in a header; a status that is no number |
//!
//! Scripted, for tests in another process:
//!
//! | Path | Answer |
//! |---|---|
//! | `/reply?status=&header=Name: value&...&hex=&times=` | these headers; a body in hex, so many times |
//! | `/stub?path=&as=` | 204, and from now on that path answers as another target does |
//! | `/last?path=` | the latest request for that path as it came, body to 64 KiB; `X-Count`: how many there were |
//! | `/held/NAME?bytes=&sent=&chunked=1` | a body, of which the rest comes once the gate of that name is open |
//! | `/upload-held/NAME?read=` | `LENGTH HASH`, of which the rest is read once the gate is open |
//! | `/waiting/NAME?count=` | 204 once so many wait at the gate |
//! | `/open/NAME` | 204, and the gate is open |

mod broken;
mod encoded;
mod picture;
mod plain;
mod scripted;
mod timing;
mod upload;

use std::io;

use crate::conn::{Conn, Outcome};
use crate::message::{Request, Response, bad_request};
use crate::server::Shared;

pub(crate) fn answer(shared: &Shared, request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    match shared.stub(request.path()) {
        Some(target) => built_in(shared, &Request { target, ..request.clone() }, conn),
        None => built_in(shared, request, conn),
    }
}

fn built_in(shared: &Shared, request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let path = request.path();
    let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match words[..] {
        ["bytes", n] => plain::bytes(request, conn, number(n)?),
        ["status", n] => plain::status(request, conn, number(n)?),
        ["204"] => plain::status(request, conn, 204),
        ["304"] => plain::status(request, conn, 304),
        ["head"] => plain::bytes(request, conn, 1234),
        ["method"] => plain::method(request, conn),
        ["echo"] => upload::echo(request, conn),
        ["inspect"] => plain::inspect(request, conn),
        ["headers"] => plain::headers(request, conn),
        ["redirect", n] => plain::redirect(request, conn, number(n)?),
        ["redirect-to"] => plain::redirect_to(request, conn),
        ["relative-redirect"] => plain::location(conn, 302, "bytes/2"),
        ["redirect-loop"] => plain::location(conn, 302, "/redirect-loop"),
        ["basic-auth"] => plain::basic_auth(request, conn),
        ["bearer"] => plain::bearer(request, conn),
        ["cookie", "set"] => plain::cookie_set(request, conn),
        ["cookie", "show"] => plain::cookie_show(request, conn),
        ["flaky"] => plain::flaky(shared, request, conn),
        ["http10"] => plain::http10(request, conn),
        ["many-headers"] => plain::many_headers(request, conn),
        ["big-header"] => plain::big_header(request, conn),

        ["gzip"] => encoded::gzip(request, conn),
        ["deflate"] => encoded::deflate(request, conn),
        ["gzip-bomb"] => encoded::gzip_bomb(request, conn),
        ["bad-gzip"] => encoded::bad_gzip(request, conn),
        ["chunked"] => encoded::chunked(request, conn),
        ["chunked-trailers"] => encoded::chunked_trailers(conn),
        ["no-length"] => encoded::no_length(request, conn),

        ["upload"] => upload::upload(conn),
        ["upload-slow"] => upload::slow(request, conn),
        ["upload-refuse"] => upload::refuse(request, conn),
        ["early-response"] => upload::early_response(conn),
        ["expect"] => upload::expect(request, conn),
        ["continue"] => upload::interim(conn),

        ["delay"] => timing::delay(request, conn),
        ["gate", name] => timing::gate(shared, conn, name),
        ["slow"] => timing::slow(request, conn),
        ["picture", n] => picture::picture(request, conn, number(n)?),
        ["drip"] => timing::drip(request, conn),
        ["stall"] => timing::stall(request, conn),
        ["stall-headers"] => timing::stall_headers(conn),

        ["reset"] => broken::reset(request, conn),
        ["reset-headers"] => broken::reset_headers(conn),
        ["truncate"] => broken::truncate(request, conn),
        ["bad-chunk"] => broken::bad_chunk(conn),
        ["truncated-chunks"] => broken::truncated_chunks(conn),
        ["garbage"] => broken::raw(conn, b"\x00\x01\x02\xff this is not HTTP\r\n\r\n", Outcome::Close),
        ["empty"] => broken::raw(conn, b"", Outcome::Close),
        ["close-after"] => broken::close_after(request, conn),
        ["conflicting-length"] => broken::raw(
            conn,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello!!",
            Outcome::Close,
        ),
        ["nul-header"] => {
            broken::raw(conn, b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\nok", Outcome::Close)
        }
        ["bad-status-line"] => broken::raw(conn, b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok", Outcome::Close),

        ["reply"] => scripted::reply(request, conn),
        ["stub"] => scripted::stub(shared, request, conn),
        ["last"] => scripted::last(shared, request, conn),
        ["held", name] => scripted::held(shared, request, conn, name),
        ["upload-held", name] => scripted::upload_held(shared, request, conn, name),
        ["waiting", name] => scripted::waiting(shared, request, conn, name),
        ["open", name] => scripted::open(shared, conn, name),
        _ => conn.send(&Response::new(404).text(format!("nothing at {path}\n"))),
    }
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| bad_request(format!("not a number: {text:?}")))
}

fn status_number(number: u64) -> io::Result<u16> {
    match u16::try_from(number) {
        Ok(status @ 100..=999) => Ok(status),
        _ => Err(bad_request(format!("not a status: {number}"))),
    }
}

fn is_set(request: &Request, name: &str) -> bool {
    request.query(name).is_some_and(|value| value == "1")
}

/// `LENGTH HASH`
fn summary(length: u64, hash: u64) -> String {
    format!("{length} {hash:016x}")
}
