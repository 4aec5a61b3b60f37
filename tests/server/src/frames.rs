//! HTTP/2 by the frame: what a test says goes over the wire, valid or not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::accept::{Listening, Registered};

/// Types of frames.
pub const DATA: u8 = 0;
/// A head or trailers.
pub const HEADERS: u8 = 1;
/// The end of one stream.
pub const RST_STREAM: u8 = 3;
/// Settings, and with [`ACK`] their confirmation.
pub const SETTINGS: u8 = 4;
/// A question whether the other end is there, and with [`ACK`] the answer.
pub const PING: u8 = 6;
/// The end of the connection.
pub const GOAWAY: u8 = 7;

/// The flag of the last frame of a stream.
pub const END_STREAM: u8 = 1;
/// The flag of an answer to SETTINGS or PING.
pub const ACK: u8 = 1;
/// The flag of a head in one frame.
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as it came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What follows its head.
    pub payload: Vec<u8>,
}

/// A server of HTTP/2 without TLS whose every connection is a script. Dropping it ends them all.
pub struct FrameServer {
    listening: Listening,
}

impl FrameServer {
    /// Starts one on a free port of 127.0.0.1. The script runs for each connection, numbered from 0, once its preface and
    /// settings have been exchanged; when it returns, the connection is closed.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start(script: impl Fn(u64, &mut Frames) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listening = Listening::start(0, false, move |registered| {
            let number = registered.id.saturating_sub(1);
            if let Ok(mut frames) = Frames::open(registered) {
                let _ = script(number, &mut frames);
            }
        });
        Self { listening: listening.expect("the frame server starts") }
    }

    /// A URL of this server; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.listening.addr
    }

    /// Connections accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.listening.sockets.counts().accepted
    }

    /// Connections open now.
    pub fn connections_open(&self) -> usize {
        self.listening.sockets.counts().open
    }

    /// Waits until exactly `count` connections are open; false if that takes longer than `timeout`.
    pub fn wait_connections_open(&self, count: usize, timeout: Duration) -> bool {
        self.listening.sockets.wait_counts(timeout, |counts| counts.open == count)
    }
}

/// One connection, by its frames.
pub struct Frames {
    registered: Registered,
}

impl Frames {
    fn open(registered: Registered) -> io::Result<Self> {
        let mut frames = Self { registered };
        let mut preface = [0; PREFACE.len()];
        frames.stream().read_exact(&mut preface)?;
        if preface != PREFACE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        frames.send(SETTINGS, 0, 0, &[])?;
        Ok(frames)
    }

    fn stream(&self) -> &TcpStream {
        &self.registered.stream
    }

    /// Reads a frame, whatever it is, and confirms settings. An error is the connection's end.
    pub fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream().read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream().read_exact(&mut payload)?;
        if kind == SETTINGS && flags & ACK == 0 {
            self.send(SETTINGS, ACK, 0, &[])?;
        }
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7FFF_FFFF, payload })
    }

    /// Reads until a frame of this type comes.
    pub fn read_until(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// Reads until the next request's head: its stream, and whether a body follows.
    pub fn request(&mut self) -> io::Result<(u32, bool)> {
        let head = self.read_until(HEADERS)?;
        Ok((head.stream, head.flags & END_STREAM == 0))
    }

    /// Reads the heads of so many requests.
    pub fn requests(&mut self, count: usize) -> io::Result<Vec<(u32, bool)>> {
        (0..count).map(|_| self.request()).collect()
    }

    /// Waits until all that was sent has been taken in: the answer to a PING comes after it.
    pub fn settle(&mut self) -> io::Result<()> {
        self.send(PING, 0, 0, b"settled?")?;
        while self.read_until(PING)?.flags & ACK == 0 {}
        Ok(())
    }

    /// Reads until the other end closes.
    pub fn drain(&mut self) -> io::Result<()> {
        loop {
            self.read()?;
        }
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.stream().write_all(&frame(kind, flags, stream, payload))
    }

    /// Sends a head with these fields, as they are.
    pub fn head(&mut self, stream: u32, fields: &[(&str, &str)], end: bool) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS | u8::from(end), stream, &block(fields))
    }

    /// Sends some of a body.
    pub fn data(&mut self, stream: u32, bytes: &[u8], end: bool) -> io::Result<()> {
        self.send(DATA, u8::from(end), stream, bytes)
    }

    /// Sends a whole response with status 200.
    pub fn respond(&mut self, stream: u32, body: &[u8]) -> io::Result<()> {
        self.head(stream, &[(":status", "200")], false)?;
        self.data(stream, body, true)
    }

    /// Ends a stream.
    pub fn reset(&mut self, stream: u32, error: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &error.to_be_bytes())
    }

    /// Says that the connection ends, and the last stream that is looked after.
    pub fn go_away(&mut self, last: u32, error: u32) -> io::Result<()> {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), error.to_be_bytes()].concat())
    }

    /// Closes the connection with a reset in place of an orderly end.
    pub fn abort(&mut self) -> io::Result<()> {
        socket2::SockRef::from(self.stream()).set_linger(Some(Duration::ZERO))
    }

    /// Closes the connection for writing.
    pub fn close(&mut self) -> io::Result<()> {
        self.stream().shutdown(Shutdown::Both)
    }

    /// Does nothing more, until the server or the other end is gone, though the connection stays open and unread.
    pub fn fall_silent(&mut self) {
        let sockets = Arc::clone(&self.registered.sockets);
        while !sockets.sleep(Duration::from_millis(200)) {}
    }
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block of fields: literals that are not indexed, without compression. Names and values are shorter than 127 bytes.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "{text} is too long");
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}
