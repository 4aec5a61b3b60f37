//! Proxies that remember what they were asked for.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::accept::{Listening, Registered, STACK};
use crate::basic::basic;
use crate::message::{Request, Response, read_head};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One thing a proxy was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// `CONNECT`, or the method of a request in absolute form.
    pub method: String,
    /// The host as the client named it: a name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the credentials were right, or none were needed.
    pub allowed: bool,
}

/// A proxy on 127.0.0.1. Dropping it closes every connection and waits for every thread.
pub struct Proxy {
    listening: Listening,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy)]
enum Kind {
    Http,
    Socks5,
}

struct Shared {
    kind: Kind,
    credentials: Option<(String, String)>,
    names: HashMap<String, SocketAddr>,
    asked: Mutex<Vec<Proxied>>,
    changed: Condvar,
}

/// How a proxy is to be.
pub struct ProxyBuilder {
    kind: Kind,
    credentials: Option<(String, String)>,
    names: HashMap<String, SocketAddr>,
}

impl ProxyBuilder {
    /// Demands a user and a password: Basic over HTTP, RFC 1929 over SOCKS.
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Where to connect when asked for `host`, whatever the port. Other names mean 127.0.0.1.
    pub fn resolve(mut self, host: &str, to: SocketAddr) -> Self {
        self.names.insert(host.to_ascii_lowercase(), to);
        self
    }

    /// Starts it on a free port.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start(self) -> Proxy {
        let shared = Arc::new(Shared {
            kind: self.kind,
            credentials: self.credentials,
            names: self.names,
            asked: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_connections = Arc::clone(&shared);
        // Errors are how either side leaves.
        let listening = Listening::start(0, false, move |client| {
            let _ = match of_connections.kind {
                Kind::Http => of_connections.serve_http(&client),
                Kind::Socks5 => of_connections.serve_socks5(&client),
            };
        })
        .expect("the test proxy starts");
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5h",
        };
        Proxy { listening, scheme, shared }
    }
}

impl Proxy {
    /// An HTTP proxy: CONNECT, and requests in absolute form, one a connection.
    pub fn http() -> ProxyBuilder {
        ProxyBuilder { kind: Kind::Http, credentials: None, names: HashMap::new() }
    }

    /// A SOCKS5 proxy: CONNECT to addresses and to names.
    pub fn socks5() -> ProxyBuilder {
        ProxyBuilder { kind: Kind::Socks5, ..Self::http() }
    }

    /// Its URL, without credentials: `http://...` or `socks5h://...`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr())
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.listening.addr
    }

    /// Connections accepted since the start.
    pub fn connections(&self) -> u64 {
        self.listening.sockets.counts().accepted
    }

    /// What it was asked for, refusals included, oldest first.
    pub fn requests(&self) -> Vec<Proxied> {
        self.shared.asked.lock().clone()
    }

    /// Waits until it has been asked `count` times; false if that takes longer than `timeout`.
    pub fn wait_requests(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut asked = self.shared.asked.lock();
        while asked.len() < count {
            if self.shared.changed.wait_until(&mut asked, deadline).timed_out() {
                return asked.len() >= count;
            }
        }
        true
    }
}

impl Shared {
    fn remember(&self, method: &str, host: &str, port: u16, allowed: bool) {
        let (method, host) = (method.to_owned(), host.to_owned());
        self.asked.lock().push(Proxied { method, host, port, allowed });
        self.changed.notify_all();
    }

    fn connect(&self, client: &Registered, host: &str, port: u16) -> io::Result<Registered> {
        let addr = match self.names.get(&host.to_ascii_lowercase()) {
            Some(addr) => *addr,
            None => SocketAddr::new(host.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port),
        };
        let stream = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        client.sockets.adopt(stream, false).ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }

    fn serve_http(&self, client: &Registered) -> io::Result<()> {
        let mut input = BufReader::new(&*client.stream);
        let mut output = &*client.stream;
        let answer = |mut output: &TcpStream, response: Response| {
            output.write_all(format!("{}Content-Length: 0\r\nConnection: close\r\n\r\n", response.head()).as_bytes())
        };
        let Some(head) = read_head(&mut input)? else { return Ok(()) };
        let Ok(request) = Request::parse(&head) else { return answer(output, Response::new(400)) };
        let connect = request.method == "CONNECT";
        let (authority, rest) = if connect {
            (request.target.as_str(), "")
        } else {
            match request.target.strip_prefix("http://") {
                Some(target) => target.split_at(target.find(['/', '?']).unwrap_or(target.len())),
                None => return answer(output, Response::new(400)),
            }
        };
        let Some((host, port)) = host_and_port(authority) else { return answer(output, Response::new(400)) };

        let allowed = match &self.credentials {
            Some((user, password)) => request.header("proxy-authorization") == Some(&basic(user, password)),
            None => true,
        };
        self.remember(&request.method, host, port, allowed);
        if !allowed {
            return answer(output, Response::new(407).header("Proxy-Authenticate", "Basic realm=\"proxy\""));
        }
        let Ok(server) = self.connect(client, host, port) else { return answer(output, Response::new(502)) };
        let mut upstream = &*server.stream;
        if connect {
            output.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        } else {
            let slash = if rest.starts_with('/') { "" } else { "/" };
            let mut head = format!("{} {slash}{rest} {}\r\n", request.method, request.version);
            let own = ["proxy-authorization", "proxy-connection", "connection"];
            for (name, value) in &request.headers {
                if !own.contains(&name.to_ascii_lowercase().as_str()) {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
            }
            head.push_str("Via: 1.1 sortie-test-proxy\r\nConnection: close\r\n\r\n");
            upstream.write_all(head.as_bytes())?;
        }
        upstream.write_all(input.buffer())?;
        relay(output, upstream)
    }

    fn serve_socks5(&self, client: &Registered) -> io::Result<()> {
        const VERSION: u8 = 5;
        const NO_AUTHENTICATION: u8 = 0;
        const USER_AND_PASSWORD: u8 = 2;
        const NONE_ACCEPTABLE: u8 = 0xff;

        let mut socket = &*client.stream;
        let [version, count] = read_array(&mut socket)?;
        if version != VERSION {
            return Ok(());
        }
        let offered = read_vec(&mut socket, count)?;
        let wanted = if self.credentials.is_some() { USER_AND_PASSWORD } else { NO_AUTHENTICATION };
        if !offered.contains(&wanted) {
            self.remember("CONNECT", "", 0, false);
            return socket.write_all(&[VERSION, NONE_ACCEPTABLE]);
        }
        socket.write_all(&[VERSION, wanted])?;
        if let Some((user, password)) = &self.credentials {
            let [_, length] = read_array(&mut socket)?;
            let given_user = read_vec(&mut socket, length)?;
            let [length] = read_array(&mut socket)?;
            let given_password = read_vec(&mut socket, length)?;
            let allowed = given_user == user.as_bytes() && given_password == password.as_bytes();
            socket.write_all(&[1, u8::from(!allowed)])?;
            if !allowed {
                self.remember("CONNECT", "", 0, false);
                return Ok(());
            }
        }

        let [_, command, _, kind] = read_array(&mut socket)?;
        let host = match kind {
            1 => Ipv4Addr::from(read_array::<4>(&mut socket)?).to_string(),
            4 => Ipv6Addr::from(read_array::<16>(&mut socket)?).to_string(),
            3 => {
                let [length] = read_array(&mut socket)?;
                String::from_utf8_lossy(&read_vec(&mut socket, length)?).into_owned()
            }
            _ => return reply(socket, 8),
        };
        let port = u16::from_be_bytes(read_array(&mut socket)?);
        if command != 1 {
            return reply(socket, 7);
        }
        self.remember("CONNECT", &host, port, true);
        let Ok(server) = self.connect(client, &host, port) else { return reply(socket, 5) };
        reply(socket, 0)?;
        relay(socket, &server.stream)
    }
}

/// A SOCKS5 reply; the address in it is of no use to anyone.
fn reply(mut socket: &TcpStream, code: u8) -> io::Result<()> {
    socket.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_vec(from: &mut impl Read, length: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(length)];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        Some(port) => Some((host, port.parse().ok()?)),
        None => Some((host, 80)),
    }
}

/// Copies both ways until both are done.
fn relay(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        let upwards = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || copy(client, server))
            .inspect_err(|_| {
                let _ = server.shutdown(Shutdown::Both);
            })?;
        copy(server, client);
        let _ = upwards.join();
        Ok(())
    })
}

/// Copies until the end, which it passes on. A failure on either side ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut reader = BufReader::with_capacity(16 * 1024, &mut from);
    loop {
        let written = match reader.fill_buf() {
            Ok([]) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(bytes) => to.write_all(bytes).map(|()| bytes.len()),
            Err(error) => Err(error),
        };
        match written {
            Ok(n) => reader.consume(n),
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn authorities_are_understood() {
        assert_eq!(host_and_port("a.test:81"), Some(("a.test", 81)));
        assert_eq!(host_and_port("u:p@a.test"), Some(("a.test", 80)));
        assert_eq!(host_and_port("[::1]:8080"), Some(("::1", 8080)));
        assert_eq!(host_and_port("[::1]"), Some(("::1", 80)));
        assert_eq!(host_and_port("a.test:port"), None);
    }
}
