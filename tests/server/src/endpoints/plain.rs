//! Proper answers.

use std::io;

use super::{is_set, status_number, summary};
use crate::basic::basic;
use crate::conn::{Conn, Framing, Outcome};
use crate::message::{Request, Response};
use crate::server::Shared;

const OCTETS: &str = "application/octet-stream";

pub(super) fn bytes(request: &Request, conn: &mut Conn, size: u64) -> io::Result<Outcome> {
    let etag = request.query("etag").map(|etag| format!("\"{etag}\""));
    let with_etag = |status| match &etag {
        Some(etag) => Response::new(status).header("ETag", etag),
        None => Response::new(status),
    };
    if etag.is_some() && request.header("if-none-match") == etag.as_deref() {
        return conn.send(&with_etag(304));
    }
    let ranges = request.query("ranges").as_deref() != Some("0");
    let range = match request.header("if-range") {
        Some(wanted) if Some(wanted) != etag.as_deref() => None,
        _ => request.header("range").filter(|_| ranges),
    };
    let kind = request.query("type").unwrap_or_else(|| OCTETS.into());
    let (status, first, length) = match range.and_then(|range| part(range, size)) {
        Some(Some((first, length))) => (206, first, length),
        Some(None) => {
            return conn.send(&with_etag(416).header("Content-Range", format!("bytes */{size}")));
        }
        None => (200, 0, size),
    };
    let mut response = with_etag(status).header("Content-Type", kind);
    if ranges {
        response = response.header("Accept-Ranges", "bytes");
    }
    if status == 206 {
        response = response.header("Content-Range", format!("bytes {first}-{}/{size}", first + length - 1));
    }
    if conn.start(&response, Framing::Length(length))? {
        conn.write_pattern(first, length)?;
    }
    Ok(Outcome::Done)
}

/// The part that a Range header asks for, as first byte and length: `None` if it is to be ignored, `Some(None)` if
/// there is no such part.
fn part(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let suffix = last.parse::<u64>().ok()?.min(size);
        return Some((suffix > 0).then(|| (size - suffix, suffix)));
    }
    let first = first.parse::<u64>().ok()?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| (first, last.min(size - 1) - first + 1)))
}

pub(super) fn status(request: &Request, conn: &mut Conn, number: u64) -> io::Result<Outcome> {
    let mut response = Response::new(status_number(number)?);
    if let Some(reason) = request.query("reason") {
        response = response.reason(reason);
    }
    conn.send(&response.text(request.query("body").unwrap_or_default()))
}

pub(super) fn method(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    conn.send(&Response::new(200).text(&request.method))
}

pub(super) fn inspect(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    conn.drain_body()?;
    let (length, _, hash) = conn.body_so_far();
    let mut text = format!("{} {} {}\n", request.method, request.target, request.version);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str(&format!("\n{}\n", summary(length, hash)));
    conn.send(&Response::new(200).text(text))
}

pub(super) fn headers(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let with = |response: Response, (name, value)| response.header(name, value);
    conn.send(&request.query_pairs().into_iter().fold(Response::new(200), with))
}

pub(super) fn location(conn: &mut Conn, status: u16, url: &str) -> io::Result<Outcome> {
    conn.send(&Response::new(status).header("Location", url).text(format!("see {url}\n")))
}

pub(super) fn redirect(request: &Request, conn: &mut Conn, hops: u64) -> io::Result<Outcome> {
    let status = status_number(request.query_number("status", 302)?)?;
    match hops {
        0 => bytes(request, conn, 2),
        1 => location(conn, status, "/bytes/2"),
        _ => location(conn, status, &format!("/redirect/{}?status={status}", hops - 1)),
    }
}

pub(super) fn redirect_to(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let status = status_number(request.query_number("status", 302)?)?;
    location(conn, status, &request.query("url").unwrap_or_default())
}

pub(super) fn basic_auth(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let user = request.query("user").unwrap_or_default();
    let password = request.query("password").unwrap_or_default();
    protected(request, conn, &basic(&user, &password), "Basic realm=\"sortie\"")
}

pub(super) fn bearer(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let token = request.query("token").unwrap_or_default();
    protected(request, conn, &format!("Bearer {token}"), "Bearer")
}

fn protected(request: &Request, conn: &mut Conn, wanted: &str, challenge: &str) -> io::Result<Outcome> {
    if request.header("authorization") == Some(wanted) {
        return conn.send(&Response::new(200).text("welcome\n"));
    }
    conn.send(&Response::new(401).header("WWW-Authenticate", challenge).text("who are you?\n"))
}

pub(super) fn cookie_set(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let mut response = Response::new(200);
    for (name, value) in request.query_pairs() {
        response = response.header("Set-Cookie", format!("{name}={value}"));
    }
    conn.send(&response)
}

pub(super) fn cookie_show(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    conn.send(&Response::new(200).text(request.header("cookie").unwrap_or_default()))
}

pub(super) fn flaky(shared: &Shared, request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let fails = request.query_number("fails", 1)?;
    let status = status_number(request.query_number("status", 503)?)?;
    conn.drain_body()?;
    let attempt = shared.attempt(request.query("key").unwrap_or_default());
    if attempt > fails {
        return conn.send(&Response::new(200).text(attempt.to_string()));
    }
    if request.query("how").as_deref() == Some("reset") {
        return Ok(Outcome::Reset);
    }
    let mut response = Response::new(status);
    if let Some(wait) = request.query("retry_after") {
        response = response.header("Retry-After", wait);
    }
    conn.send(&response.text(attempt.to_string()))
}

pub(super) fn http10(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let response = Response::new(200).http10().header("Content-Type", "text/plain");
    if is_set(request, "keep_alive") {
        return conn.send(&response.header("Connection", "keep-alive").body("1.0"));
    }
    conn.start(&response, Framing::UntilClose)?;
    conn.write_body(b"1.0")?;
    Ok(Outcome::Close)
}

pub(super) fn many_headers(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let count = request.query_number("count", 100)?.min(1_000_000);
    let with = |response: Response, i| response.header(format!("X-Header-{i}"), format!("value-{i}"));
    conn.send(&(0..count).fold(Response::new(200), with))
}

pub(super) fn big_header(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let bytes = usize::try_from(request.query_number("bytes", 10_000)?).unwrap_or(usize::MAX);
    conn.send(&Response::new(200).header("X-Big", "a".repeat(bytes.min(64 << 20))))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn ranges_are_understood() {
        assert_eq!(part("bytes=0-0", 10), Some(Some((0, 1))));
        assert_eq!(part("bytes=3-", 10), Some(Some((3, 7))));
        assert_eq!(part("bytes=8-99", 10), Some(Some((8, 2))));
        assert_eq!(part("bytes=-4", 10), Some(Some((6, 4))));
        assert_eq!(part("bytes=-40", 10), Some(Some((0, 10))));
        assert_eq!(part("bytes=10-", 10), Some(None));
        assert_eq!(part("bytes=-0", 10), Some(None));
        assert_eq!(part("bytes=0-", 0), Some(None));
        assert_eq!(part("bytes=0-1,3-4", 10), None);
        assert_eq!(part("bytes=5-4", 10), None);
        assert_eq!(part("lines=1-2", 10), None);
    }
}
