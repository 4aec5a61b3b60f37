//! Answers that take their time.

use std::io;
use std::time::{Duration, Instant};

use crate::conn::{Conn, Framing, Outcome};
use crate::message::{Request, Response};
use crate::server::Shared;

pub(super) fn delay(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let wait = Duration::from_millis(request.query_number("ms", 1000)?);
    conn.drain_body()?;
    conn.pause(wait)?;
    conn.send(&Response::new(200).text("delayed\n"))
}

pub(super) fn gate(shared: &Shared, conn: &mut Conn, name: &str) -> io::Result<Outcome> {
    conn.drain_body()?;
    conn.wait_at(&shared.gate(name))?;
    conn.send(&Response::new(200).text("open\n"))
}

pub(super) fn slow(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let bytes = request.query_number("bytes", 10_000)?;
    let rate = request.query_number("rate", 10_000)?;
    if conn.start(&Response::new(200), Framing::Length(bytes))? {
        at_rate(conn, bytes, rate, |conn, sent, n| conn.write_pattern(sent, n))?;
    }
    Ok(Outcome::Done)
}

/// Has a body written at so many bytes a second, in pieces of a twentieth of a second.
pub(super) fn at_rate(
    conn: &mut Conn,
    bytes: u64,
    rate: u64,
    mut write: impl FnMut(&mut Conn, u64, u64) -> io::Result<()>,
) -> io::Result<()> {
    let rate = rate.max(1);
    let piece = (rate / 20).max(1);
    let started = Instant::now();
    let mut sent = 0;
    while sent < bytes {
        let n = piece.min(bytes - sent);
        let due = Duration::from_secs_f64((sent + n) as f64 / rate as f64);
        conn.pause(due.saturating_sub(started.elapsed()))?;
        write(conn, sent, n)?;
        sent += n;
    }
    Ok(())
}

pub(super) fn drip(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let bytes = request.query_number("bytes", 10)?;
    let apart = Duration::from_millis(request.query_number("ms", 100)?);
    if conn.start(&Response::new(200), Framing::Length(bytes))? {
        for offset in 0..bytes {
            conn.pause(apart)?;
            conn.write_pattern(offset, 1)?;
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn stall(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let sent = request.query_number("sent", 0)?.min(999);
    conn.start(&Response::new(200), Framing::Length(1000))?;
    conn.write_pattern(0, sent)?;
    conn.wait_closed()?;
    Ok(Outcome::Close)
}

pub(super) fn stall_headers(conn: &mut Conn) -> io::Result<Outcome> {
    conn.drain_body()?;
    conn.wait_closed()?;
    Ok(Outcome::Close)
}
