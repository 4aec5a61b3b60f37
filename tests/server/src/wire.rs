//! A connection's two byte streams, with or without TLS.

use std::io::{self, BufRead, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

use crate::accept::Registered;

const INPUT: usize = 16 * 1024;

/// Output collects up to this much before it is sent.
pub(crate) const OUTPUT: usize = 64 * 1024;

/// Shorter pauses do not watch whether the client closes: a read timeout is too coarse for them.
const WATCHED_PAUSE: Duration = Duration::from_millis(20);

/// A query may ask for more than a clock can express.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Wire {
    pub registered: Registered,
    tls: Option<Box<ServerConnection>>,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Wire {
    /// The TLS handshake, if there is one, happens at the first read.
    pub(crate) fn new(registered: Registered, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = match tls {
            Some(config) => Some(Box::new(ServerConnection::new(config).map_err(io::Error::other)?)),
            None => None,
        };
        Ok(Self { registered, tls, input: vec![0; INPUT].into_boxed_slice(), start: 0, end: 0, output: Vec::new() })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn socket(&self) -> &TcpStream {
        &self.registered.stream
    }

    /// Replaces the consumed input by what arrives next; 0 is the end.
    fn refill(&mut self) -> io::Result<usize> {
        self.flush()?;
        (self.start, self.end) = (0, 0);
        let mut socket = &*self.registered.stream;
        let read = match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut socket).read(&mut self.input),
            None => socket.read(&mut self.input),
        };
        self.end = match read {
            // A client that leaves without close_notify has left all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            other => other?,
        };
        Ok(self.end)
    }

    /// Sleeps. An error means that the client closed meanwhile or the server is being dropped.
    pub(crate) fn pause(&mut self, duration: Duration) -> io::Result<()> {
        self.flush()?;
        let duration = duration.min(LONGEST_PAUSE);
        let deadline = Instant::now() + duration;
        if self.start == self.end && duration >= WATCHED_PAUSE {
            self.socket().set_read_timeout(Some(duration))?;
            let read = self.refill();
            self.socket().set_read_timeout(None)?;
            match read {
                Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        if self.registered.sockets.sleep(deadline.saturating_duration_since(Instant::now())) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Reads and forgets until the client closes, or, if a limit is given, until that has passed.
    pub(crate) fn discard_until_closed(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.flush()?;
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                self.socket().set_read_timeout(Some(left))?;
            }
            match self.refill() {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    /// Ends our half; the client's may go on.
    pub(crate) fn half_close(&mut self) -> io::Result<()> {
        self.flush()?;
        self.send_close_notify()?;
        self.socket().shutdown(Shutdown::Write)
    }

    pub(crate) fn send_close_notify(&mut self) -> io::Result<()> {
        let mut socket = &*self.registered.stream;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut socket)?;
            }
        }
        Ok(())
    }

    /// Makes the coming close a RST. What was written is given a moment to arrive, since a RST overtakes it.
    pub(crate) fn reset_on_close(&mut self) -> io::Result<()> {
        self.flush()?;
        self.registered.sockets.sleep(Duration::from_millis(20));
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO))
    }

    /// Gives back memory that only a long transfer needs.
    pub(crate) fn shrink(&mut self) {
        self.output.shrink_to(4096);
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= OUTPUT {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut socket = &*self.registered.stream;
        let written = match &mut self.tls {
            Some(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, &mut socket);
                stream.write_all(&self.output).and_then(|()| stream.flush())
            }
            None => socket.write_all(&self.output),
        };
        self.output.clear();
        written
    }
}

impl BufRead for Wire {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.refill()?;
        }
        Ok(&self.input[self.start..self.end])
    }

    fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let available = self.fill_buf()?;
        let n = available.len().min(out.len());
        out[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
