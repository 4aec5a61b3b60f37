//! One exchange at a time on a connection: what endpoints and scripts answer with.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::body::Incoming;
use crate::gate::Gate;
use crate::message::{BodyLength, Request, Response, read_head};
use crate::pattern::pattern;
use crate::server::Shared;
use crate::wire::{OUTPUT, Wire};

/// A script waiting at a gate that no one opens goes on to fail after this long.
const GATE_LIMIT: Duration = Duration::from_secs(60);

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next request, if both sides said that there may be one.
    Done,
    /// Closed properly.
    Close,
    /// Closed without TLS's close_notify; on a plain connection the same as `Close`.
    Cut,
    /// Closed with a RST.
    Reset,
}

/// How a response's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By Content-Length. Sending more or less than declared is not prevented.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By closing the connection.
    UntilClose,
}

/// A connection with one request under way.
///
/// Output is buffered: it goes out when much has collected, before anything that waits, and after the answer.
/// Answering through [`Conn::start`] or [`Conn::send`] first reads the request's body to its end, as a well-behaved
/// server does; [`Conn::skip_body`] turns that off.
pub struct Conn {
    wire: Wire,
    shared: Arc<Shared>,
    incoming: Incoming,
    log_number: u64,
    requests: u64,
    head_only: bool,
    client_keeps_alive: bool,
    http10: bool,
    owes_continue: bool,
    skips_body: bool,
    framing: Option<Framing>,
    closes: bool,
    closes_on_reuse: bool,
}

impl Conn {
    pub(crate) fn new(wire: Wire, shared: Arc<Shared>) -> Self {
        Self {
            wire,
            shared,
            incoming: Incoming::new(BodyLength::Known(0)),
            log_number: u64::MAX,
            requests: 0,
            head_only: false,
            client_keeps_alive: false,
            http10: false,
            owes_continue: false,
            skips_body: false,
            framing: None,
            closes: false,
            closes_on_reuse: false,
        }
    }

    /// Serves requests until the connection ends. Errors are how clients leave; there is nobody to tell.
    pub(crate) fn serve(mut self) {
        loop {
            match self.serve_one() {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Close) => {
                    let _ = self.wire.flush().and_then(|()| self.wire.send_close_notify());
                    return;
                }
                Ok(Outcome::Cut) => {
                    let _ = self.wire.flush();
                    return;
                }
                Ok(Outcome::Reset) => {
                    let _ = self.wire.reset_on_close();
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn serve_one(&mut self) -> io::Result<Outcome> {
        let request = match self.next_request() {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(Outcome::Close),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return self.refuse(&error.to_string()),
            Err(error) => return Err(error),
        };
        let shared = Arc::clone(&self.shared);
        let answered = shared.answer(&request, self);
        self.record_body();
        let outcome = match answered {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.framing.is_none() => {
                return self.refuse(&error.to_string());
            }
            other => other?,
        };
        if outcome != Outcome::Done || self.closes || !self.client_keeps_alive {
            return Ok(if outcome == Outcome::Done { Outcome::Close } else { outcome });
        }
        self.wire.flush()?;
        self.drain_body()?;
        self.wire.shrink();
        Ok(Outcome::Done)
    }

    fn next_request(&mut self) -> io::Result<Option<Request>> {
        self.framing = None;
        self.closes = false;
        self.skips_body = false;
        self.head_only = false;
        self.incoming = Incoming::new(BodyLength::Known(0));
        self.log_number = u64::MAX;
        let Some(head) = read_head(&mut self.wire)? else { return Ok(None) };
        if self.closes_on_reuse {
            return Ok(None);
        }
        let bad = crate::message::bad_request;
        let mut request = Request::parse(&head).map_err(bad)?;
        self.requests += 1;
        request.connection = self.wire.registered.id;
        request.number = self.requests;
        self.head_only = request.method == "HEAD";
        self.client_keeps_alive = request.keeps_alive();
        self.http10 = request.version == "HTTP/1.0";
        self.owes_continue = request.expects_continue();
        self.log_number = self.shared.log.head(&request);
        self.incoming = Incoming::new(request.body_length().map_err(bad)?);
        if self.incoming.is_complete() {
            self.record_body();
        }
        Ok(Some(request))
    }

    /// 400 for what was not understood, after which nothing else on the connection can be.
    fn refuse(&mut self, why: &str) -> io::Result<Outcome> {
        self.skips_body = true;
        self.closes = true;
        self.send(&Response::new(400).text(format!("{why}\n")))?;
        self.close_lingering()
    }

    fn record_body(&self) {
        let incoming = &self.incoming;
        let kept = incoming.kept().map(<[u8]>::to_vec);
        let log = &self.shared.log;
        log.body(self.log_number, incoming.length(), incoming.hash(), kept, incoming.is_complete());
    }

    /// The connection's id, as in [`Request::connection`].
    pub fn id(&self) -> u64 {
        self.wire.registered.id
    }

    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        self.wire.is_tls()
    }

    /// Whether the request is a HEAD, whose answer has no body.
    pub fn is_head(&self) -> bool {
        self.head_only
    }

    // Reading.

    /// Reads some of the request's body, having sent `100 Continue` if the client waits for that; 0 is its end.
    pub fn read_body(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_complete() {
            return Ok(0);
        }
        if self.owes_continue && self.framing.is_none() {
            self.wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.owes_continue = false;
        let n = self.incoming.read(&mut self.wire, out)?;
        if self.incoming.is_complete() {
            self.record_body();
        }
        Ok(n)
    }

    /// Reads the request's body to its end and forgets it.
    pub fn drain_body(&mut self) -> io::Result<()> {
        if self.incoming.is_complete() {
            return Ok(());
        }
        let mut buffer = vec![0; 16 * 1024];
        while self.read_body(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Reads the request's body until its end or until `most` bytes have been read.
    pub fn read_body_up_to(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        while body.len() < most {
            let room = buffer.len().min(most - body.len());
            match self.read_body(&mut buffer[..room])? {
                0 => break,
                n => body.extend_from_slice(&buffer[..n]),
            }
        }
        Ok(body)
    }

    /// Body bytes read so far, whether these are all, and their [`fnv`](crate::fnv) hash.
    pub fn body_so_far(&self) -> (u64, bool, u64) {
        (self.incoming.length(), self.incoming.is_complete(), self.incoming.hash())
    }

    /// Lets the answer go out before the request's body has been read.
    pub fn skip_body(&mut self) {
        self.skips_body = true;
    }

    /// Reads raw bytes, past whatever HTTP has read; 0 is the end.
    pub fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.wire.read(out)
    }

    // Answering.

    /// Writes any bytes at all.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)
    }

    /// Sends what has been written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }

    /// Sends a whole response with a Content-Length.
    pub fn send(&mut self, response: &Response) -> io::Result<Outcome> {
        self.start(response, Framing::Length(response.body.len() as u64))?;
        self.write_body(&response.body)?;
        self.finish_body(&[])?;
        Ok(Outcome::Done)
    }

    /// Sends a response's head, its own body ignored, and the headers that `framing` and the connection need; 1xx, 204
    /// and 304 have no body. The answer is false if no body may follow; writing one then does nothing.
    pub fn start(&mut self, response: &Response, framing: Framing) -> io::Result<bool> {
        if !self.skips_body {
            self.drain_body()?;
        }
        let bodiless = matches!(response.status, 100..200 | 204 | 304);
        self.closes |= framing == Framing::UntilClose && !bodiless;
        let mut head = response.head();
        match framing {
            _ if bodiless => {}
            Framing::Length(n) => head.push_str(&format!("Content-Length: {n}\r\n")),
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::UntilClose => {}
        }
        if !response.has_header("connection") {
            if self.closes || !self.client_keeps_alive {
                head.push_str("Connection: close\r\n");
            } else if self.http10 {
                head.push_str("Connection: keep-alive\r\n");
            }
        }
        head.push_str("\r\n");
        self.wire.write_all(head.as_bytes())?;
        self.framing = Some(framing);
        self.head_only |= bodiless;
        Ok(!self.head_only)
    }

    /// Sends some of the body of the response begun by [`Conn::start`].
    pub fn write_body(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.head_only || bytes.is_empty() {
            return Ok(());
        }
        if self.framing == Some(Framing::Chunked) {
            self.wire.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
            self.wire.write_all(bytes)?;
            return self.wire.write_all(b"\r\n");
        }
        self.wire.write_all(bytes)
    }

    /// Ends the body: the last chunk and trailers, if it is chunked.
    pub fn finish_body(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        if self.head_only || self.framing != Some(Framing::Chunked) {
            return Ok(());
        }
        self.wire.write_all(b"0\r\n")?;
        for (name, value) in trailers {
            self.wire.write_all(format!("{name}: {value}\r\n").as_bytes())?;
        }
        self.wire.write_all(b"\r\n")
    }

    /// Sends the bytes that [`pattern`] has from `offset` on as body.
    pub fn write_pattern(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.head_only {
            return Ok(());
        }
        let mut buffer = vec![0; usize::try_from(length).unwrap_or(OUTPUT).min(OUTPUT)];
        let mut sent = 0;
        while sent < length {
            let n = buffer.len().min(usize::try_from(length - sent).unwrap_or(usize::MAX));
            pattern(offset + sent, &mut buffer[..n]);
            self.write_body(&buffer[..n])?;
            sent += n as u64;
        }
        Ok(())
    }

    /// Makes the response announce and the server do a close after this exchange.
    pub fn close_after(&mut self) {
        self.closes = true;
    }

    /// Keeps the connection open now, and closes it unanswered when the next request comes.
    pub fn close_on_reuse(&mut self) {
        self.closes_on_reuse = true;
    }

    // Waiting.

    /// Sleeps. An error means that the client closed meanwhile (not noticed in pauses below 20 ms) or that the server
    /// is being dropped.
    pub fn pause(&mut self, duration: Duration) -> io::Result<()> {
        self.wire.pause(duration)
    }

    /// Waits until the test opens the gate. An error means that nobody did within a minute, or that the server is
    /// being dropped.
    pub fn wait_at(&mut self, gate: &Gate) -> io::Result<()> {
        self.wire.flush()?;
        let sockets = Arc::clone(&self.wire.registered.sockets);
        if gate.pass(GATE_LIMIT, || sockets.sleep(Duration::ZERO)) {
            return Ok(());
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Reads and forgets until the client closes.
    pub fn wait_closed(&mut self) -> io::Result<()> {
        self.wire.discard_until_closed(None)
    }

    /// Ends the server's half of the connection; the client's half can still be read.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.wire.half_close()
    }

    /// Ends our half and discards what still comes for at most two seconds, as real servers do: closing with unread
    /// input would send a RST, which can overtake the answer.
    pub fn close_lingering(&mut self) -> io::Result<Outcome> {
        self.wire.half_close()?;
        self.wire.discard_until_closed(Some(Duration::from_secs(2)))?;
        Ok(Outcome::Close)
    }
}
