//! Bodies in other clothes: compressed, chunked, without a length.

use std::io::{self, Write};
use std::thread;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::{is_set, summary};
use crate::conn::{Conn, Framing, Outcome};
use crate::message::{Request, Response, bad_request};
use crate::pattern::{fnv, pattern_vec};

/// Compressed bodies with a Content-Length are made in memory.
const IN_MEMORY: u64 = 64 << 20;

/// A compressor needs several times a connection's stack while it is made, in a debug build.
const COMPRESSOR_STACK: usize = 2 << 20;

fn with_compressor_stack<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(COMPRESSOR_STACK).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the compressor panicked")))
    })
}

fn requested(request: &Request) -> io::Result<Vec<u8>> {
    match request.query_number("bytes", 10_000)? {
        size @ 0..=IN_MEMORY => Ok(pattern_vec(size as usize)),
        size => Err(bad_request(format!("{size} bytes asked for, the limit is {IN_MEMORY}"))),
    }
}

fn send(conn: &mut Conn, coding: &str, body: Vec<u8>) -> io::Result<Outcome> {
    conn.send(&Response::new(200).header("Content-Encoding", coding).body(body))
}

fn gzipped(bytes: &[u8]) -> io::Result<Vec<u8>> {
    with_compressor_stack(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes)?;
        encoder.finish()
    })
}

fn zlibbed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    with_compressor_stack(|| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes)?;
        encoder.finish()
    })
}

fn deflated(bytes: &[u8]) -> io::Result<Vec<u8>> {
    with_compressor_stack(|| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes)?;
        encoder.finish()
    })
}

pub(super) fn gzip(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    send(conn, "gzip", gzipped(&requested(request)?)?)
}

pub(super) fn deflate(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let bytes = requested(request)?;
    send(conn, "deflate", if is_set(request, "raw") { deflated(&bytes)? } else { zlibbed(&bytes)? })
}

pub(super) fn bad_gzip(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let mut body = gzipped(&pattern_vec(10_000))?;
    let length = body.len();
    match request.query("kind").as_deref() {
        // Block type 3, which does not exist, right behind the 10 bytes of the header.
        None | Some("corrupt") => body[10] = 0xff,
        Some("truncated") => body.truncate(length / 2),
        // The last eight bytes are the checksum and the length.
        Some("checksum") => body[length - 8] ^= 0xff,
        Some(kind) => return Err(bad_request(format!("no such kind: {kind:?}"))),
    }
    send(conn, "gzip", body)
}

/// What an encoder writes becomes chunks.
struct Chunks<'a>(&'a mut Conn);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_body(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

pub(super) fn gzip_bomb(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let mut left = request.query_number("bytes", 100 << 20)?;
    if conn.start(&Response::new(200).header("Content-Encoding", "gzip"), Framing::Chunked)? {
        with_compressor_stack(|| {
            let zeros = vec![0; 64 * 1024];
            let mut encoder = GzEncoder::new(Chunks(conn), Compression::fast());
            while left > 0 {
                let n = left.min(zeros.len() as u64);
                encoder.write_all(&zeros[..n as usize])?;
                left -= n;
            }
            encoder.finish()?;
            Ok(())
        })?;
        conn.finish_body(&[])?;
    }
    Ok(Outcome::Done)
}

pub(super) fn chunked(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let bytes = request.query_number("bytes", 10_000)?;
    let chunk = request.query_number("chunk", 1000)?.clamp(1, 64 * 1024);
    if conn.start(&Response::new(200), Framing::Chunked)? {
        let mut sent = 0;
        while sent < bytes {
            let n = chunk.min(bytes - sent);
            conn.write_pattern(sent, n)?;
            sent += n;
        }
        conn.finish_body(&[])?;
    }
    Ok(Outcome::Done)
}

pub(super) fn chunked_trailers(conn: &mut Conn) -> io::Result<Outcome> {
    let body = b"a body with trailers";
    conn.start(&Response::new(200).header("Trailer", "X-Checksum"), Framing::Chunked)?;
    conn.write_body(body)?;
    conn.finish_body(&[("X-Checksum", &summary(body.len() as u64, fnv(body)))])?;
    Ok(Outcome::Done)
}

pub(super) fn no_length(request: &Request, conn: &mut Conn) -> io::Result<Outcome> {
    let bytes = request.query_number("bytes", 10_000)?;
    conn.start(&Response::new(200), Framing::UntilClose)?;
    conn.write_pattern(0, bytes)?;
    Ok(if is_set(request, "cut") { Outcome::Cut } else { Outcome::Close })
}
