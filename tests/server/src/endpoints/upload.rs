//! Answers about, or in spite of, the request's body.

use std::io;
use std::time::{Duration, Instant};

use super::{is_set, summary};
use crate::conn::{Conn, Framing, Outcome};
use crate::message::{BodyLength, Request, Response, bad_request};

/// Bodies up to this size are echoed with a Content-Length and after they have been read; longer ones as they come.
const ECHO_WHOLE: usize = 1024 * 1024;

fn send_summary(conn: &mut Conn) -> io::Result<Outcome> {
    conn.drain_body()?;
    let (length, _, hash) = conn.body_so_far();
    conn.send(&Response::new(200).text(summary(length, hash)))
}

pub(super) fn echo(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let mut response = Response::new(200);
    if let Some(kind) = request.header("content-type") {
        response = response.header("Content-Type", kind);
    }
    let beginning = conn.read_body_up_to(ECHO_WHOLE)?;
    let (_, complete, _) = conn.body_so_far();
    if complete {
        return conn.send(&response.body(beginning));
    }
    let framing = match request.body_length().map_err(bad_request)? {
        BodyLength::Known(length) => Framing::Length(length),
        BodyLength::Chunked => Framing::Chunked,
    };
    conn.skip_body();
    conn.start(&response, framing)?;
    conn.write_body(&beginning)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match conn.read_body(&mut buffer)? {
            0 => break,
            n => conn.write_body(&buffer[..n])?,
        }
    }
    conn.finish_body(&[])?;
    Ok(Outcome::Done)
}

pub(super) fn upload(conn: &mut Conn) -> io::Result<Outcome> {
    send_summary(conn)
}

pub(super) fn slow(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let rate = request.query_number("rate", 100_000)?.max(1);
    let started = Instant::now();
    // A twentieth of a second's worth at a time.
    let mut buffer = vec![0; (rate / 20).clamp(1, 64 * 1024) as usize];
    while conn.read_body(&mut buffer)? > 0 {
        let (length, _, _) = conn.body_so_far();
        let due = Duration::from_secs_f64(length as f64 / rate as f64);
        conn.pause(due.saturating_sub(started.elapsed()))?;
    }
    send_summary(conn)
}

pub(super) fn refuse(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    conn.skip_body();
    conn.close_after();
    conn.send(&Response::new(413).text("too much\n"))?;
    if is_set(request, "hard") { Ok(Outcome::Close) } else { conn.close_lingering() }
}

pub(super) fn early_response(conn: &mut Conn) -> io::Result<Outcome> {
    conn.skip_body();
    conn.send(&Response::new(200).text("early\n"))?;
    conn.flush()?;
    conn.drain_body()?;
    Ok(Outcome::Done)
}

pub(super) fn expect(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    if is_set(request, "refuse") {
        conn.skip_body();
        conn.close_after();
        conn.send(&Response::new(417).text("no\n"))?;
        return conn.close_lingering();
    }
    conn.send(&Response::new(200).text(if request.expects_continue() { "yes" } else { "no" }))
}

pub(super) fn interim(conn: &mut Conn) -> io::Result<Outcome> {
    conn.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")?;
    conn.send(&Response::new(200).text("final\n"))
}
