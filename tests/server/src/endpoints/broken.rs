//! Answers that no server should give.

use std::io;

use crate::conn::{Conn, Framing, Outcome};
use crate::message::{Request, Response};

/// Exactly these bytes.
pub(super) fn raw(conn: &mut Conn, bytes: &[u8], outcome: Outcome) -> io::Result<Outcome> {
    conn.drain_body()?;
    conn.write(bytes)?;
    Ok(outcome)
}

pub(super) fn reset(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let after = request.query_number("after", 0)?;
    let declared = request.query_number("declared", after.saturating_add(1000))?;
    conn.start(&Response::new(200), Framing::Length(declared))?;
    conn.write_pattern(0, after)?;
    Ok(Outcome::Reset)
}

pub(super) fn reset_headers(conn: &mut Conn) -> io::Result<Outcome> {
    raw(conn, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Le", Outcome::Reset)
}

pub(super) fn truncate(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let declared = request.query_number("declared", 1000)?;
    let sent = request.query_number("sent", declared / 2)?;
    conn.start(&Response::new(200), Framing::Length(declared))?;
    conn.write_pattern(0, sent)?;
    Ok(Outcome::Close)
}

pub(super) fn bad_chunk(conn: &mut Conn) -> io::Result<Outcome> {
    raw(
        conn,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n",
        Outcome::Close,
    )
}

pub(super) fn truncated_chunks(conn: &mut Conn) -> io::Result<Outcome> {
    raw(conn, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n64\r\nhalf a chunk", Outcome::Close)
}

pub(super) fn close_after(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    conn.send(&Response::new(200).text("bye\n"))?;
    if request.query("when").as_deref() == Some("reuse") {
        conn.close_on_reuse();
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Close)
}
