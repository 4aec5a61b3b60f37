//! Connections: which are used again, which are left, and what keeps them alive.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use sortie_test_server::Server;
use support::*;

/// The server's side of an HTTP/2 connection, just as much of it as these tests take.
struct Http2 {
    stream: TcpStream,
}

impl Http2 {
    fn accept(mut stream: TcpStream) -> Http2 {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        Http2 { stream }
    }

    /// The next request's stream; `None` at the connection's end.
    fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).ok()?;
            if head[3] == 1 {
                return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
            }
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // The client may have gone.
        let _ = self.stream.write_all(&frame);
    }

    /// `:status: 200`, and nothing after it.
    fn answer(&mut self, stream: u32) {
        self.frame(1, 5, stream, &[0x88]);
    }

    fn begin(&mut self, stream: u32) {
        self.frame(1, 4, stream, &[0x88]);
    }

    fn data(&mut self, stream: u32, bytes: &[u8]) {
        self.frame(0, 0, stream, bytes);
    }
}

/// Serves HTTP/2 connections, each by its number from 0 on a thread of its own. Gives the URL.
fn serve(each: impl Fn(usize, Http2) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let each = each.clone();
            thread::spawn(move || each(number, Http2::accept(stream.unwrap())));
        }
    });
    format!("http://{address}/")
}

fn http2(url: &str) -> Req {
    Req::get(url).http_version(SORTIE_HTTP_2_PRIOR_KNOWLEDGE)
}

/// Answers the first request of each connection and nothing after it.
fn falls_silent(_: usize, mut connection: Http2) {
    let stream = connection.request().unwrap();
    connection.answer(stream);
    while connection.request().is_some() {}
}

#[test]
fn a_connection_that_was_silent_for_a_limit_is_left() {
    for (limited, error) in [
        (http2("").timeout_ms(300), SORTIE_ERROR_TIMEOUT),
        (http2("").stall_timeout_ms(300), SORTIE_ERROR_STALLED),
        (http2("").attempt_timeout_ms(300), SORTIE_ERROR_TIMEOUT),
    ] {
        let (url, host) = (serve(falls_silent), Host::new());
        let request = Req { url: url.clone(), ..limited };
        for _ in 0..2 {
            host.fetch(&request).ok(200);
            host.fetch(&request).failed(error);
        }
    }
}

#[test]
fn an_attempt_after_a_silent_one_has_another_connection() {
    let (url, host) = (serve(falls_silent), Host::new());
    host.fetch(&http2(&url)).ok(200);
    let event = host.fetch(&http2(&url).attempt_timeout_ms(300).max_attempts(2).retry_delay_ms(1));
    assert_eq!(event.ok(200).attempts, 2);
}

#[test]
fn who_waits_on_a_doubtful_connection_goes_on_waiting_and_others_leave_it() {
    // The first connection answers its second request when another connection has answered.
    let answered = Arc::new(Barrier::new(2));
    let url = serve(move |number, mut connection| {
        let first = connection.request().unwrap();
        connection.answer(first);
        if number == 0 {
            let second = connection.request().unwrap();
            answered.wait();
            connection.answer(second);
        } else {
            answered.wait();
        }
        while connection.request().is_some() {}
    });
    let host = Host::new();
    host.fetch(&http2(&url)).ok(200);
    let patient = host.submit(&http2(&url));
    host.fetch(&http2(&url).timeout_ms(300)).failed(SORTIE_ERROR_TIMEOUT);
    host.fetch(&http2(&url).timeout_ms(10_000)).ok(200);
    host.ended(patient).ok(200);
}

#[test]
fn a_connection_over_which_others_hear_is_kept() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let url = serve(move |_, mut connection| {
        count.fetch_add(1, Ordering::Relaxed);
        let stream = connection.request().unwrap();
        connection.begin(stream);
        connection.request().unwrap();
        // Until the third request comes, the first hears all the time and the second nothing.
        let mut reader = Http2 { stream: connection.stream.try_clone().unwrap() };
        let third = thread::spawn(move || reader.request());
        while !third.is_finished() {
            connection.data(stream, b"x");
            thread::sleep(Duration::from_millis(10));
        }
        if let Some(third) = third.join().unwrap() {
            connection.answer(third);
        }
        connection.frame(0, 1, stream, b"end");
    });
    let host = Host::new();
    let busy = host.submit(&http2(&url));
    host.fetch(&http2(&url).timeout_ms(300)).failed(SORTIE_ERROR_TIMEOUT);
    host.fetch(&http2(&url)).ok(200);
    assert!(host.ended(busy).ok(200).bytes().ends_with(b"xend"));
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[test]
fn a_resume_leaves_the_connections_of_before() {
    let (server, host) = (Server::start(), Host::new());
    for _ in 0..2 {
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    }
    assert_eq!(host.stats().connections, 1);
    let under_way = host.submit(&Req::get(server.url("/drip?bytes=20&ms=30")).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(under_way, |event| event.kind == SORTIE_EVENT_BEGAN);
    host.suspend();
    host.resume();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert_eq!(host.stats().connections, 2, "the idle one and the busy one are used no more");
    assert_eq!(host.ended(under_way).ok(200).bytes().len(), 20, "what was under way goes on");
}

#[test]
fn connections_that_are_idle_for_long_are_closed() {
    let server = Server::start();
    let host = Setup { max_connection_idle_ms: 1, ..Setup::default() }.start();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert!(server.wait_connections_open(0, DEADLINE));
    until("the gauge to tell", || host.stats().connections_open == 0);
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    // By default they are kept, and without a limit for ever.
    for max_connection_idle_ms in [0, SORTIE_NO_TIMEOUT] {
        let host = Setup { max_connection_idle_ms, ..Setup::default() }.start();
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        assert_eq!(host.stats().connections, 1);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn connections_are_kept_alive_as_the_client_says() {
    let server = Server::start();
    for (keep_alive_interval_ms, seconds) in [(0, Some(30)), (1500, Some(2)), (SORTIE_NO_TIMEOUT, None)] {
        let host = Setup { keep_alive_interval_ms, ..Setup::default() }.start();
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        assert_eq!(keep_alive_of(server.port()), [seconds]);
        host.destroy();
        assert!(server.wait_connections_open(0, DEADLINE));
    }
}

/// After how many seconds of silence each socket of this process that is connected to a port asks for a sign of life.
#[cfg(target_os = "linux")]
fn keep_alive_of(port: u16) -> Vec<Option<i32>> {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found = Vec::new();
    for number in numbers {
        // SAFETY: the descriptor is only asked; one that was closed meanwhile gives an error.
        let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        let socket = socket2::SockRef::from(&descriptor);
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket()).map(|peer| peer.port());
        if peer == Some(port) {
            let seconds = option(number, libc::TCP_KEEPIDLE);
            assert!(!socket.keepalive().unwrap() || option(number, libc::TCP_KEEPINTVL) == seconds);
            found.push(socket.keepalive().unwrap().then_some(seconds));
        }
    }
    found
}

#[cfg(target_os = "linux")]
fn option(socket: i32, option: i32) -> i32 {
    let (mut value, mut size) = (0_i32, size_of::<i32>() as u32);
    // SAFETY: the option is an int, and the size says so.
    let result = unsafe { libc::getsockopt(socket, libc::IPPROTO_TCP, option, (&raw mut value).cast(), &raw mut size) };
    assert_eq!(result, 0);
    value
}
