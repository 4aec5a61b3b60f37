//! A client that speaks raw bytes, so that nothing is smoothed over.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const DEADLINE: Duration = Duration::from_secs(10);

pub struct Client<S: Read + Write> {
    pub stream: BufReader<S>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name));
        self.head.lines().skip(1).find(named).map(|line| line[name.len() + 1..].trim())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl Client<TcpStream> {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("connects");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { stream: BufReader::new(stream) }
    }
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("sends");
        self
    }

    /// A GET and its answer.
    pub fn get(&mut self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).answer(false)
    }

    pub fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head)
    }

    pub fn answer(&mut self, to_head: bool) -> Answer {
        let head = self.head().expect("a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: Vec::new() };
        if to_head || matches!(status, 100..200 | 204 | 304) {
            return answer;
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().expect("a number")];
            self.stream.read_exact(&mut answer.body).expect("a whole body");
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                self.stream.read_line(&mut line).expect("a chunk size");
                let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
                if size == 0 {
                    break;
                }
                let mut chunk = vec![0; size + 2];
                self.stream.read_exact(&mut chunk).expect("a whole chunk");
                assert!(chunk.ends_with(b"\r\n"));
                answer.body.extend_from_slice(&chunk[..size]);
            }
            loop {
                let mut line = String::new();
                self.stream.read_line(&mut line).expect("a trailer");
                if line == "\r\n" {
                    break;
                }
                answer.head.insert_str(answer.head.len() - 2, &line);
            }
        } else {
            self.stream.read_to_end(&mut answer.body).expect("a body until the close");
        }
        answer
    }

    /// Everything until the end, and how it ended.
    pub fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let ended = self.stream.read_to_end(&mut bytes).map(drop);
        (bytes, ended)
    }

    pub fn is_reset(ended: &io::Result<()>) -> bool {
        matches!(ended, Err(error) if error.kind() == io::ErrorKind::ConnectionReset)
    }
}
