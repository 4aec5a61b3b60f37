//! Listening, one thread per connection, and an end for all of them: shared by the server and the proxies.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use socket2::{Domain, Socket, Type};

/// Enough for a TLS handshake in a debug build.
pub(crate) const STACK: usize = 128 * 1024;

const BACKLOG: i32 = 4096;

/// How long a drop waits for connection threads whose sockets are already shut down.
const DROP_DEADLINE: Duration = Duration::from_secs(10);

/// Every open socket of one listener, so that all can be shut down at once.
pub(crate) struct Sockets {
    state: Mutex<State>,
    changed: Condvar,
    stopping: Mutex<bool>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    closed_to_new: bool,
    next_id: u64,
    all: HashMap<u64, Arc<TcpStream>>,
    accepted: u64,
    open: usize,
    max_open: usize,
    threads: usize,
}

/// What a listener has seen so far.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub accepted: u64,
    pub open: usize,
    pub max_open: usize,
}

impl Sockets {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            stopping: Mutex::new(false),
            stopped: Condvar::new(),
        })
    }

    /// Registers a socket; `None` once the owner is being dropped.
    pub(crate) fn adopt(self: &Arc<Self>, stream: TcpStream, accepted: bool) -> Option<Registered> {
        let mut state = self.state.lock();
        if state.closed_to_new {
            return None;
        }
        state.next_id += 1;
        let id = state.next_id;
        let stream = Arc::new(stream);
        state.all.insert(id, Arc::clone(&stream));
        if accepted {
            state.accepted += 1;
            state.open += 1;
            state.max_open = state.max_open.max(state.open);
        }
        self.changed.notify_all();
        Some(Registered { id, accepted, stream, sockets: Arc::clone(self) })
    }

    /// Sleeps; true if the owner is being dropped, then at once.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        let mut stopping = self.stopping.lock();
        while !*stopping && !self.stopped.wait_until(&mut stopping, deadline).timed_out() {}
        *stopping
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state.lock();
        Counts { accepted: state.accepted, open: state.open, max_open: state.max_open }
    }

    /// Waits until the counts satisfy `condition`; false at the deadline.
    pub(crate) fn wait_counts(&self, timeout: Duration, condition: impl Fn(Counts) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        loop {
            let State { accepted, open, max_open, .. } = *state;
            if condition(Counts { accepted, open, max_open }) {
                return true;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
    }

    /// Shuts every open socket down, in both directions.
    pub(crate) fn shut_down_all(&self) {
        for stream in self.state.lock().all.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn spawn(self: &Arc<Self>, registered: Registered, serve: Arc<dyn Fn(Registered) + Send + Sync>) {
        self.state.lock().threads += 1;
        let counted = Counted(Arc::clone(self));
        // A failed spawn drops the closure and with it the socket and the count.
        let _ = thread::Builder::new().name("connection".into()).stack_size(STACK).spawn(move || {
            let _counted = counted;
            serve(registered);
        });
    }
}

struct Counted(Arc<Sockets>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.state.lock().threads -= 1;
        self.0.changed.notify_all();
    }
}

/// A socket that is shut down with its listener. Dropping it closes it.
pub(crate) struct Registered {
    pub id: u64,
    accepted: bool,
    pub stream: Arc<TcpStream>,
    pub sockets: Arc<Sockets>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.sockets.state.lock();
        state.all.remove(&self.id);
        if self.accepted {
            state.open -= 1;
        }
        self.sockets.changed.notify_all();
    }
}

/// A listener with its accept threads; dropping it ends them and every connection.
pub(crate) struct Listening {
    pub sockets: Arc<Sockets>,
    pub addr: SocketAddr,
    listeners: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Listening {
    /// Listens on 127.0.0.1, and with `ipv6` on the same port of ::1. Port 0 asks for a free one.
    pub(crate) fn start(port: u16, ipv6: bool, serve: impl Fn(Registered) + Send + Sync + 'static) -> io::Result<Self> {
        let listeners = bind(port, ipv6)?;
        let sockets = Sockets::new();
        let serve: Arc<dyn Fn(Registered) + Send + Sync> = Arc::new(serve);
        let addr = listeners[0].local_addr()?;
        let mut threads = Vec::new();
        for listener in listeners {
            let (sockets, serve) = (Arc::clone(&sockets), Arc::clone(&serve));
            let addr = listener.local_addr()?;
            let thread = thread::Builder::new()
                .name("accept".into())
                .stack_size(STACK)
                .spawn(move || accept(&listener, &sockets, &serve))?;
            threads.push((addr, thread));
        }
        Ok(Self { sockets, addr, listeners: threads })
    }
}

fn bind(port: u16, ipv6: bool) -> io::Result<Vec<TcpListener>> {
    let mut tries = 0;
    loop {
        let first = listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))?;
        if !ipv6 {
            return Ok(vec![first]);
        }
        let same = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), first.local_addr()?.port());
        match listen(same) {
            Ok(second) => return Ok(vec![first, second]),
            // A port that is free on 127.0.0.1 may be taken on ::1.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 && tries < 20 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // On Windows the same option would let two servers share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, sockets: &Arc<Sockets>, serve: &Arc<dyn Fn(Registered) + Send + Sync>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                match sockets.adopt(stream, true) {
                    Some(registered) => sockets.spawn(registered, Arc::clone(serve)),
                    None => return,
                }
            }
            // Out of file descriptors, or a connection that died in the queue: others may do better.
            Err(_) => {
                if sockets.sleep(Duration::from_millis(5)) {
                    return;
                }
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        *self.sockets.stopping.lock() = true;
        self.sockets.stopped.notify_all();
        self.sockets.state.lock().closed_to_new = true;
        self.sockets.shut_down_all();

        let deadline = Instant::now() + DROP_DEADLINE;
        let mut state = self.sockets.state.lock();
        while state.threads > 0 {
            if self.sockets.changed.wait_until(&mut state, deadline).timed_out() {
                eprintln!("sortie-test-server: {} connection threads outlive their server", state.threads);
                break;
            }
        }
        drop(state);

        for (addr, thread) in self.listeners.drain(..) {
            // A blocked accept() returns only for a connection.
            while !thread.is_finished() {
                let _ = TcpStream::connect_timeout(&addr, Duration::from_millis(100));
                thread::yield_now();
            }
            let _ = thread.join();
        }
    }
}
