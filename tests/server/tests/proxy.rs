//! Both kinds of proxy, spoken to by hand.

mod client;

use std::io::Read;
use std::net::TcpStream;

use client::{Client, DEADLINE};
use sortie_test_server::{Proxied, Proxy, Server, refused_addr};

type Plain = Client<TcpStream>;

fn asked(method: &str, host: &str, port: u16, allowed: bool) -> Proxied {
    Proxied { method: method.into(), host: host.into(), port, allowed }
}

#[test]
fn connect_makes_a_tunnel() {
    let server = Server::start();
    let proxy = Proxy::http().start();
    let mut client = Plain::connect(proxy.addr());
    let port = server.port();
    client.send(format!("CONNECT a.test:{port} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    assert!(client.head().expect("a head").starts_with("HTTP/1.1 200 "));
    assert_eq!(client.get("/method").text(), "GET");
    assert_eq!(client.get("/bytes/100000").body.len(), 100_000);
    assert_eq!(proxy.requests(), [asked("CONNECT", "a.test", port, true)]);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.url(), format!("http://{}", proxy.addr()));
}

#[test]
fn absolute_form_is_forwarded() {
    let server = Server::start();
    let proxy = Proxy::http().resolve("Game.test", server.addr()).start();
    let mut client = Plain::connect(proxy.addr());
    client.send("POST http://game.test/inspect?q HTTP/1.1\r\nHost: game.test\r\nContent-Length: 5\r\nProxy-Connection: x\r\n\r\nhello");
    let answer = client.answer(false);
    assert!(answer.text().starts_with("POST /inspect?q HTTP/1.1\nHost: game.test\n"), "{}", answer.text());
    assert!(answer.text().contains("\n5 ") && !answer.text().contains("Proxy-Connection"));
    assert_eq!(proxy.requests(), [asked("POST", "game.test", 80, true)]);
    assert!(client.rest().1.is_ok());
}

#[test]
fn http_proxy_wants_its_credentials() {
    let server = Server::start();
    let proxy = Proxy::http().credentials("u", "p").start();
    let request = |credentials: &str| {
        let mut client = Plain::connect(proxy.addr());
        client.send(format!("GET {} HTTP/1.1\r\n{credentials}\r\n", server.url("/method"))).answer(false)
    };
    let refused = request("");
    assert_eq!((refused.status, refused.header("proxy-authenticate")), (407, Some("Basic realm=\"proxy\"")));
    assert_eq!(request("Proxy-Authorization: Basic dTpw\r\n").text(), "GET");
    assert_eq!(proxy.requests().iter().map(|request| request.allowed).collect::<Vec<_>>(), [false, true]);
    assert_eq!(server.requests()[0].header("proxy-authorization"), None);
}

#[test]
fn unreachable_target_is_bad_gateway() {
    let proxy = Proxy::http().start();
    let mut client = Plain::connect(proxy.addr());
    assert_eq!(client.send(format!("CONNECT {} HTTP/1.1\r\n\r\n", refused_addr())).answer(false).status, 502);
}

fn expect(client: &mut Plain, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    client.stream.read_exact(&mut read).expect("a reply");
    assert_eq!(read, bytes);
}

fn socks_connect(client: &mut Plain, host: &str, port: u16) {
    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len()).expect("short")];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    client.send(request);
}

#[test]
fn socks5_connects_by_name_and_by_address() {
    let server = Server::start();
    let proxy = Proxy::socks5().resolve("game.test", server.addr()).start();
    let mut named = Plain::connect(proxy.addr());
    expect(named.send([5, 1, 0]), &[5, 0]);
    socks_connect(&mut named, "game.test", 80);
    expect(&mut named, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(named.get("/method").text(), "GET");

    let mut numbered = Plain::connect(proxy.addr());
    expect(numbered.send([5, 2, 0, 2]), &[5, 0]);
    numbered.send([&[5, 1, 0, 1, 127, 0, 0, 1], &server.port().to_be_bytes()[..]].concat());
    expect(&mut numbered, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(numbered.get("/method").text(), "GET");

    let expected = [asked("CONNECT", "game.test", 80, true), asked("CONNECT", "127.0.0.1", server.port(), true)];
    assert_eq!(proxy.requests(), expected);
    assert_eq!(proxy.url(), format!("socks5h://{}", proxy.addr()));
}

#[test]
fn socks5_wants_its_credentials() {
    let server = Server::start();
    let proxy = Proxy::socks5().credentials("u", "p").start();
    let mut silent = Plain::connect(proxy.addr());
    expect(silent.send([5, 1, 0]), &[5, 0xff]);
    let mut wrong = Plain::connect(proxy.addr());
    expect(wrong.send([5, 1, 2]), &[5, 2]);
    expect(wrong.send(b"\x01\x01u\x01x"), &[1, 1]);
    let mut right = Plain::connect(proxy.addr());
    expect(right.send([5, 1, 2]), &[5, 2]);
    expect(right.send(b"\x01\x01u\x01p"), &[1, 0]);
    socks_connect(&mut right, "anything.test", server.port());
    expect(&mut right, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(right.get("/method").text(), "GET");
    assert!(proxy.wait_requests(3, DEADLINE));
}

#[test]
fn drop_ends_tunnels() {
    let server = Server::start();
    let proxy = Proxy::http().start();
    let mut client = Plain::connect(proxy.addr());
    client.send(format!("CONNECT {} HTTP/1.1\r\n\r\n", server.addr()));
    client.head().expect("a head");
    client.send("GET /stall-headers HTTP/1.1\r\n\r\n");
    assert!(server.wait_requests(1, DEADLINE));
    drop(proxy);
    assert!(client.rest().0.is_empty());
    assert!(server.wait_connections_open(0, DEADLINE));
}
