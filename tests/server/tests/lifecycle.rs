//! Starting, scripting, observing and ending servers.

mod client;

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use client::{Client, DEADLINE};
use sortie_test_server::{Framing, Gate, Outcome, Response, Server, fnv, pattern_vec, raise_file_limit};

type Plain = Client<TcpStream>;

#[test]
fn requests_are_recorded() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("PUT /upload?a HTTP/1.1\r\nX-Case: Kept\r\nContent-Length: 100000\r\n\r\n").send(pattern_vec(100_000));
    client.answer(false);
    Plain::connect(server.addr()).get("/bytes/1");

    let requests = server.requests();
    let [put, get] = &requests[..] else { panic!("two requests, not {}", requests.len()) };
    assert_eq!((put.method.as_str(), put.target.as_str(), put.version.as_str()), ("PUT", "/upload?a", "HTTP/1.1"));
    assert_eq!(put.headers[0], ("X-Case".to_owned(), "Kept".to_owned()));
    assert_eq!(put.header("x-case"), Some("Kept"));
    assert_eq!((put.body_length, put.body_fnv), (100_000, fnv(&pattern_vec(100_000))));
    assert!(put.body.is_none() && put.body_complete);
    assert_eq!((get.body.as_deref(), get.body_complete), (Some(&b""[..]), true));
    assert!(put.connection != get.connection && put.time <= get.time);

    server.clear_requests();
    assert!(server.requests().is_empty());
    assert_eq!(server.request_count(), 2);
}

#[test]
fn abandoned_upload_is_recorded_as_far_as_it_came() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("PUT /upload HTTP/1.1\r\nContent-Length: 100\r\n\r\nhello");
    assert!(server.wait_requests(1, DEADLINE));
    drop(client);
    assert!(server.wait_connections_open(0, DEADLINE));
    let put = &server.requests()[0];
    assert_eq!((put.body_length, put.body_complete, put.body.as_deref()), (5, false, Some(&b"hello"[..])));
}

#[test]
fn script_answers_first_and_may_decline() {
    let server = Server::builder()
        .handler(|request, conn| match request.path() {
            "/raw" => {
                conn.write(b"HTTP/1.1 299 Odd\r\nContent-Length: 1\r\n\r\nx")?;
                Ok(Some(Outcome::Done))
            }
            "/sent" => conn.send(&Response::new(418).text("teapot")).map(Some),
            "/part" => {
                conn.start(&Response::new(206), Framing::Length(10))?;
                conn.write_pattern(90, 10)?;
                Ok(Some(Outcome::Done))
            }
            "/reset" => Ok(Some(Outcome::Reset)),
            "/fails" => Err(std::io::ErrorKind::Other.into()),
            _ => Ok(None),
        })
        .start();
    let mut client = Plain::connect(server.addr());
    assert_eq!(client.get("/raw").status, 299);
    assert_eq!(client.get("/sent").text(), "teapot");
    assert_eq!(client.get("/part").body, &pattern_vec(100)[90..]);
    assert_eq!(client.get("/method").text(), "GET");
    assert!(Plain::is_reset(&client.send("GET /reset HTTP/1.1\r\n\r\n").rest().1));
    assert!(Plain::connect(server.addr()).send("GET /fails HTTP/1.1\r\n\r\n").rest().0.is_empty());
}

#[test]
fn half_closed_connection_can_still_be_read() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.write(b"over")?;
            conn.half_close()?;
            let mut byte = [0];
            assert_eq!(conn.read(&mut byte)?, 1);
            HEARD.store(byte == *b"!", Ordering::SeqCst);
            Ok(Some(Outcome::Close))
        })
        .start();
    static HEARD: AtomicBool = AtomicBool::new(false);
    let mut client = Plain::connect(server.addr());
    assert_eq!(client.send("GET / HTTP/1.1\r\n\r\n").rest().0, b"over");
    client.send("!");
    assert!(server.wait_connections_open(0, DEADLINE));
    assert!(HEARD.load(Ordering::SeqCst));
}

#[test]
fn gate_holds_until_opened() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Server::builder()
        .handler(move |request, conn| {
            if request.path() != "/held" {
                return Ok(None);
            }
            conn.wait_at(&held)?;
            conn.send(&Response::new(200)).map(Some)
        })
        .start();
    let mut scripted = Plain::connect(server.addr());
    scripted.send("GET /held HTTP/1.1\r\n\r\n");
    let mut named = Plain::connect(server.addr());
    named.send("GET /gate/a HTTP/1.1\r\n\r\n");
    assert!(gate.wait_for(1, DEADLINE));
    assert!(server.gate("a").wait_for(1, DEADLINE));
    gate.open();
    assert_eq!(scripted.answer(false).status, 200);
    assert_eq!(named.stream.buffer().len(), 0);
    server.gate("a").open();
    assert_eq!(named.answer(false).text(), "open\n");
    assert_eq!(gate.waiting(), 0);
}

#[test]
fn delay_notices_that_the_client_left() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("GET /delay?ms=60000 HTTP/1.1\r\n\r\n");
    assert!(server.wait_requests(1, DEADLINE));
    drop(client);
    assert!(server.wait_connections_open(0, DEADLINE));
}

#[test]
fn connections_are_counted() {
    let server = Server::start();
    let clients: Vec<Plain> = (0..5).map(|_| Plain::connect(server.addr())).collect();
    assert!(server.wait_connections_accepted(5, DEADLINE));
    assert_eq!(server.connections_open(), 5);
    server.close_connections();
    for mut client in clients {
        assert!(client.rest().0.is_empty());
    }
    assert!(server.wait_connections_open(0, DEADLINE));
    assert_eq!((server.connections_accepted(), server.max_connections_open()), (5, 5));
    assert_eq!(Plain::connect(server.addr()).get("/method").text(), "GET");
}

#[test]
fn ipv6_shares_the_port() {
    let Ok(server) = Server::builder().ipv6(true).try_start() else {
        return; // no ::1 on this machine
    };
    let addr = format!("[::1]:{}", server.port()).parse().expect("an address");
    assert_eq!(Plain::connect(addr).get("/method").text(), "GET");
    assert_eq!(Plain::connect(server.addr()).get("/method").text(), "GET");
    assert_eq!(server.url_of("[::1]", "/x"), format!("http://[::1]:{}/x", server.port()));
}

#[test]
fn drop_ends_every_kind_of_connection() {
    let server = Server::start();
    let busy =
        ["/stall", "/stall-headers", "/delay?ms=60000", "/drip?bytes=10&ms=60000", "/gate/x", "/bytes/99999999999"];
    let clients: Vec<Plain> = busy
        .iter()
        .map(|target| {
            let mut client = Plain::connect(server.addr());
            client.send(format!("GET {target} HTTP/1.1\r\n\r\n"));
            client
        })
        .collect();
    let mut idle = Plain::connect(server.addr());
    let mut uploading = Plain::connect(server.addr());
    uploading.send("POST /upload HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
    assert!(server.wait_requests(busy.len() + 1, DEADLINE));
    assert!(server.gate("x").wait_for(1, DEADLINE));

    let started = Instant::now();
    let addr = server.addr();
    drop(server);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(idle.rest().0.is_empty());
    drop(clients);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn two_thousand_connections_at_once() {
    if raise_file_limit() < 5000 {
        return; // both ends of every connection are in this process
    }
    let server = Server::start();
    let mut clients: Vec<Plain> = (0..2000).map(|_| Plain::connect(server.addr())).collect();
    for client in &mut clients {
        client.send("GET /gate/all HTTP/1.1\r\n\r\n");
    }
    assert!(server.gate("all").wait_for(2000, Duration::from_secs(60)));
    assert_eq!(server.max_connections_open(), 2000);
    server.gate("all").open();
    for client in &mut clients {
        assert_eq!(client.answer(false).status, 200);
    }
    let started = Instant::now();
    drop(server);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let mut byte = [0];
    assert!(matches!(clients[0].stream.read(&mut byte), Ok(0) | Err(_)));
}
