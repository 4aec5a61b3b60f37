//! Addresses where nobody answers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// More than any platform's smallest accept queue.
const FILLERS: usize = 64;

/// A listening socket that accepts nobody and whose queue is full: a connection attempt gets no answer at all.
///
/// Linux and macOS drop what does not fit in the queue, which is what makes it work. Windows refuses it instead.
pub struct BlackHole {
    addr: SocketAddr,
    _listener: Socket,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If the socket cannot be made or its queue does not fill up.
    pub fn start() -> Self {
        Self::try_start().expect("a listening socket with a full queue")
    }

    fn try_start() -> io::Result<Self> {
        let (listener, addr) = bound()?;
        listener.listen(0)?;
        let mut fillers = Vec::new();
        while fillers.len() < FILLERS {
            match TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
                Ok(stream) => fillers.push(stream),
                Err(_) => return Ok(Self { addr, _listener: listener, _fillers: fillers }),
            }
        }
        Err(io::Error::other("the accept queue never filled up"))
    }

    /// Where connecting hangs.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// An http URL there.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

/// An address of 127.0.0.1 that refuses connections. The port stays ours, so that no one starts listening on it.
///
/// # Panics
/// If no port can be had.
pub fn refused_addr() -> SocketAddr {
    static BOUND: OnceLock<(Socket, SocketAddr)> = OnceLock::new();
    BOUND.get_or_init(|| bound().expect("a free port")).1
}

fn bound() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let addr = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an IP socket"))?;
    Ok((socket, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_address_refuses() {
        let error = TcpStream::connect(refused_addr()).expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    #[cfg(not(windows))]
    fn black_hole_never_answers() {
        let hole = BlackHole::start();
        let error = TcpStream::connect_timeout(&hole.addr(), Duration::from_millis(150)).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
