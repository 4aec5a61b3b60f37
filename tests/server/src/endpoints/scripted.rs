//! Answers that a test in another process writes, and what it asks about the server.

use std::io;
use std::time::Duration;

use super::status_number;
use crate::conn::{Conn, Framing, Outcome};
use crate::message::{Request, Response, bad_request};
use crate::server::Shared;

/// Repeated bodies go out in pieces of about this size.
const PIECE: usize = 64 * 1024;

/// How long to wait for others to come to a gate.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

fn unhex(digits: &str) -> io::Result<Vec<u8>> {
    let bad = || bad_request(format!("not hexadecimal: {digits:?}"));
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    pairs.map(|pair| byte(pair).filter(|_| pair.len() == 2).ok_or_else(bad)).collect()
}

pub(super) fn reply(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let mut response = Response::new(status_number(request.query_number("status", 200)?)?);
    for (key, field) in request.query_pairs() {
        if key == "header" {
            let (name, value) = field.split_once(':').ok_or_else(|| bad_request(format!("no header: {field:?}")))?;
            response = response.header(name, value.trim());
        }
    }
    let body = unhex(&request.query("hex").unwrap_or_default())?;
    let times = request.query_number("times", 1)?;
    let length = times.checked_mul(body.len() as u64).ok_or_else(|| bad_request("too long".into()))?;
    if conn.start(&response, Framing::Length(length))? {
        // Together, so that short bodies repeated often do not take for ever.
        let together = (PIECE / body.len().max(1)).max(1) as u64;
        let piece = body.repeat(together.min(times) as usize);
        for _ in 0..times / together {
            conn.write_body(&piece)?;
        }
        conn.write_body(&piece[..(times % together) as usize * body.len()])?;
    }
    Ok(Outcome::Done)
}

pub(super) fn stub(shared: &Shared, request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let given = |name: &str| request.query(name).ok_or_else(|| bad_request(format!("without {name}")));
    shared.set_stub(given("path")?, given("as")?);
    conn.send(&Response::new(204))
}

pub(super) fn last(shared: &Shared, request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let path = request.query("path").unwrap_or_default();
    let of_path = |target: &str| target.split('?').next() == Some(&path);
    let all: Vec<_> = shared.log.all().into_iter().filter(|recorded| of_path(&recorded.target)).collect();
    let Some(recorded) = all.last() else {
        return conn.send(&Response::new(404).header("X-Count", "0").text(format!("nobody asked for {path}\n")));
    };
    let mut text = format!("{} {} {}\r\n", recorded.method, recorded.target, recorded.version);
    for (name, value) in &recorded.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(recorded.body.as_deref().unwrap_or_default());
    let response = Response::new(200).header("Content-Type", "application/octet-stream");
    conn.send(&response.header("X-Count", all.len().to_string()).body(bytes))
}

pub(super) fn open(shared: &Shared, conn: &mut Conn, name: &str) -> io::Result<Outcome> {
    shared.gate(name).open();
    conn.send(&Response::new(204))
}

pub(super) fn waiting(shared: &Shared, request: &Request, conn: &mut Conn, name: &str) -> io::Result<Outcome> {
    let count = usize::try_from(request.query_number("count", 1)?).unwrap_or(usize::MAX);
    let came = shared.gate(name).wait_for(count, WAIT_LIMIT);
    conn.send(&Response::new(if came { 204 } else { 504 }))
}

pub(super) fn held(shared: &Shared, request: &Request, conn: &mut Conn, name: &str) -> io::Result<Outcome> {
    let bytes = request.query_number("bytes", 10_000)?;
    let sent = request.query_number("sent", bytes / 2)?.min(bytes);
    let framing = if super::is_set(request, "chunked") { Framing::Chunked } else { Framing::Length(bytes) };
    if conn.start(&Response::new(200), framing)? {
        conn.write_pattern(0, sent)?;
        conn.wait_at(&shared.gate(name))?;
        conn.write_pattern(sent, bytes - sent)?;
        conn.finish_body(&[])?;
    }
    Ok(Outcome::Done)
}

pub(super) fn upload_held(shared: &Shared, request: &Request, conn: &mut Conn, name: &str) -> io::Result<Outcome> {
    let read = usize::try_from(request.query_number("read", 0)?).unwrap_or(usize::MAX);
    conn.read_body_up_to(read)?;
    conn.wait_at(&shared.gate(name))?;
    super::upload::upload(conn)
}
