//! Requests and responses: methods, headers, bodies in every clothing, and what broken servers come to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sortie_test_server::{Recorded, Response, Server, fnv, pattern_vec, refused_addr};
use support::*;

/// The one request that a server got.
#[track_caller]
fn only(server: &Server) -> Recorded {
    let mut requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

/// All values of a header, in order.
fn values<'a>(request: &'a Recorded, name: &str) -> Vec<&'a str> {
    let named = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

/// The client completes a request, whatever came before.
#[track_caller]
fn still_works(host: &Host, server: &Server) {
    host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
}

#[test]
fn a_get_brings_status_headers_and_body() {
    let (server, host) = (Server::start(), Host::new());
    let url = server.url("/bytes/1000?type=application/x-test");
    let event = host.fetch(&Req::get(&url).user_data(77));
    event.ok(200);
    assert_eq!(event.bytes(), pattern_vec(1000));
    assert_eq!((event.transferred, event.estimated), (1000, 1000));
    assert_eq!(event.user_data, 77);
    assert_eq!(event.header("content-TYPE"), Some("application/x-test"));
    assert_eq!(event.header("Content-Length"), Some("1000"));
    assert_eq!(event.header("X-Missing"), None);
    assert_eq!((event.url.as_str(), event.effective_url.as_deref()), (url.as_str(), Some(url.as_str())));
    assert_eq!((event.file_path, event.message), (None, None));
    let request = only(&server);
    assert_eq!((request.method.as_str(), request.version.as_str()), ("GET", "HTTP/1.1"));
    assert_eq!(values(&request, "Host"), [server.addr().to_string()]);
}

#[test]
fn sortie_get_is_a_get() {
    let (server, host) = (Server::start(), Host::new());
    let mut strings = support::Strings::default();
    let mut id = 0;
    let url = strings.text(&server.url("/method"));
    #[allow(unsafe_code)]
    // SAFETY: a live client, a string and a writable id.
    let result = unsafe { sortie_get(host.raw(), url, 5, &mut id) };
    assert_eq!(result, SORTIE_OK);
    let event = host.ended(host.accepted(id));
    assert_eq!((event.ok(200).text(), event.user_data), ("GET", 5));
}

#[test]
fn every_method_arrives_as_given() {
    let (server, host) = (Server::start(), Host::new());
    for method in
        ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH", "lower", "X!#$%&'*+.^_`|~"]
    {
        assert_eq!(host.fetch(&Req::new(method, server.url("/method"))).ok(200).text(), method);
    }
    host.fetch(&Req::new("HEAD", server.url("/method"))).ok(200);
    assert_eq!(server.requests().last().unwrap().method, "HEAD");
    assert!(server.requests().iter().all(|request| request.body_length == 0), "none has a body");
}

#[test]
fn every_method_can_carry_a_body() {
    let (server, host) = (Server::start(), Host::new());
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let event = host.fetch(&Req::new(method, server.url("/upload")).body("some bytes"));
        assert_eq!(event.ok(200).text().trim(), format!("10 {:016x}", fnv(b"some bytes")), "{method}");
        assert_eq!(server.requests().last().unwrap().method, method);
    }
}

#[test]
fn a_body_without_a_method_is_a_post() {
    let (server, host) = (Server::start(), Host::new());
    let folder = Folder::new();
    assert_eq!(host.fetch(&Req::get(server.url("/method")).body("x")).ok(200).text(), "POST");
    let file = folder.file("body", b"x");
    assert_eq!(host.fetch(&Req::upload(server.url("/method"), file)).ok(200).text(), "POST");
}

#[test]
fn post_and_put_without_a_body_say_that_it_is_empty() {
    let (server, host) = (Server::start(), Host::new());
    for method in ["POST", "PUT"] {
        host.fetch(&Req::new(method, server.url("/upload"))).ok(200);
        let request = server.requests().pop().unwrap();
        assert_eq!(values(&request, "Content-Length"), ["0"], "{method}: {request:?}");
    }
    host.fetch(&Req::get(server.url("/upload")).body("")).ok(200);
    let request = server.requests().pop().unwrap();
    assert_eq!((request.method.as_str(), values(&request, "Content-Length")), ("POST", vec!["0"]));
}

#[test]
fn request_headers_arrive_in_order_repeated_empty_and_in_utf8() {
    let (server, host) = (Server::start(), Host::new());
    let request = Req::get(server.url("/inspect"))
        .header("X-First", "1")
        .header("x-Repeated", "a")
        .header("X-Empty", "")
        .header("x-Repeated", "b")
        .header("X-Umlaut", "grün")
        .header("X-Spaces", "  in and out\t")
        .header("X-Colons", "a: b; c");
    host.fetch(&request).ok(200);
    let got = only(&server);
    let sent: Vec<(&str, &str)> = got
        .headers
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        sent,
        [
            ("X-First", "1"),
            ("x-Repeated", "a"),
            ("X-Empty", ""),
            ("x-Repeated", "b"),
            ("X-Umlaut", "grün"),
            ("X-Spaces", "in and out"),
            ("X-Colons", "a: b; c"),
        ]
    );
}

#[test]
fn a_host_header_of_the_games_own_replaces_ours() {
    let (server, host) = (Server::start(), Host::new());
    host.fetch(&Req::get(server.url("/inspect")).header("Host", "other.test")).ok(200);
    assert_eq!(values(&only(&server), "Host"), ["other.test"]);
}

#[test]
fn a_given_content_length_is_ignored() {
    let (server, host) = (Server::start(), Host::new());
    let request = Req::new("POST", server.url("/upload")).header("content-length", "5").body("0123456789");
    assert!(host.fetch(&request).ok(200).text().starts_with("10 "));
    assert_eq!(values(&only(&server), "Content-Length"), ["10"]);
}

#[test]
fn the_user_agent_is_ours_the_clients_the_requests_or_none() {
    let server = Server::start();
    let sent = |setup: Setup, request: Req| {
        setup.start().fetch(&request).ok(200);
        values(&server.requests().pop().unwrap(), "User-Agent").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let plain = || Req::get(server.url("/inspect"));
    let version = copy_text(sortie_version()).unwrap();
    assert_eq!(sent(Setup::default(), plain()), [format!("sortie/{version}")]);
    let named = Setup { user_agent: Some("Game/2 (test)".into()), ..Setup::default() };
    assert_eq!(sent(named.clone(), plain()), ["Game/2 (test)"]);
    assert_eq!(sent(named, plain().header("user-agent", "Other")), ["Other"]);
    let none = Setup { user_agent: Some(String::new()), ..Setup::default() };
    assert_eq!(sent(none, plain()), Vec::<String>::new());
}

#[test]
fn default_headers_come_along_unless_the_request_has_its_own() {
    let server = Server::start();
    let host = Setup {
        default_headers: vec![("X-Game".into(), "chess".into()), ("X-Build".into(), "7".into())],
        ..Setup::default()
    }
    .start();
    host.fetch(&Req::get(server.url("/inspect")).header("x-build", "8")).ok(200);
    let request = only(&server);
    assert_eq!((values(&request, "X-Game"), values(&request, "X-Build")), (vec!["chess"], vec!["8"]));
}

#[test]
fn the_content_type_follows_from_the_body_unless_given() {
    let (server, host) = (Server::start(), Host::new());
    let folder = Folder::new();
    let file = folder.file("body", b"text");
    let sent = |request: Req| {
        host.fetch(&request).ok(200);
        let types: Vec<String> =
            values(&server.requests().pop().unwrap(), "Content-Type").iter().map(ToString::to_string).collect();
        types.join("|")
    };
    let memory = || Req::get(server.url("/upload")).body("text");
    let disk = || Req::upload(server.url("/upload"), &file);
    assert_eq!(sent(memory()), "text/plain; charset=UTF-8");
    assert_eq!(sent(memory().body_kind(SORTIE_BODY_BINARY)), "application/octet-stream");
    assert_eq!(sent(disk()), "application/octet-stream");
    assert_eq!(sent(disk().body_kind(SORTIE_BODY_TEXT)), "text/plain; charset=UTF-8");
    assert_eq!(sent(memory().content_type("application/json")), "application/json");
    assert_eq!(sent(memory().content_type("a/b").header("CONTENT-type", "c/d")), "c/d");
    assert_eq!(sent(Req::get(server.url("/upload"))), "", "no body, no type");
}

#[test]
fn a_body_is_copied_unless_it_is_lent() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("before");
    // Something else takes the only place, so that the bodies are read after they were changed.
    let busy = Setup { max_active: 1, ..Setup::default() }.start();
    let first = busy.get(server.url("/gate/before"));
    let mut strings = Strings::default();
    let mut bytes = vec![b'a'; 1000];
    let mut desc = empty_desc(strings.text(&server.url("/echo")));
    (desc.body, desc.body_length) = (bytes.as_ptr().cast(), 1000);
    let id = busy.accepted(submit_raw(busy.raw(), &desc).unwrap());
    bytes.fill(b'b');
    gate.open();
    busy.ended(first).ok(200);
    assert_eq!(busy.ended(id).ok(200).bytes(), vec![b'a'; 1000], "copied before the call returned");

    desc.flags = SORTIE_REQUEST_BORROW_BODY;
    let id = host.accepted(submit_raw(host.raw(), &desc).unwrap());
    assert_eq!(host.ended(id).ok(200).bytes(), bytes, "lent");
}

#[test]
fn a_large_body_goes_and_comes_whole() {
    let (server, host) = (Server::start(), Host::new());
    let body = pattern_vec(12 << 20);
    let event = host.fetch(&Req::get(server.url("/echo")).body(body.clone()).body_kind(SORTIE_BODY_BINARY));
    assert!(event.ok(200).bytes() == body, "echoed as sent");
    let request = only(&server);
    assert_eq!((request.body_length, request.body_fnv), (12 << 20, fnv(&body)));
    let stats = host.stats();
    assert!(stats.bytes_sent >= 12 << 20 && stats.bytes_received >= 12 << 20, "{stats:?}");
}

#[test]
fn no_body_waits_for_a_100_continue() {
    let (server, host) = (Server::start(), Host::new());
    assert_eq!(host.fetch(&Req::get(server.url("/expect")).body(pattern_vec(3 << 20))).ok(200).text(), "no");
    assert_eq!(only(&server).header("Expect"), None);
}

#[test]
fn an_error_status_is_data() {
    let (server, host) = (Server::start(), Host::new());
    for status in [400, 401, 403, 404, 410, 418, 429, 500, 503, 599] {
        let event = host.fetch(&Req::get(server.url(&format!("/status/{status}?body=sorry"))));
        assert_eq!(event.ok(status).text(), "sorry");
    }
    assert_eq!(host.stats().failed, 0);
}

#[test]
fn responses_without_a_body_have_none() {
    let (server, host) = (Server::start(), Host::new());
    for (request, status) in [
        (Req::new("HEAD", server.url("/head")), 200),
        (Req::get(server.url("/204")), 204),
        (Req::get(server.url("/304")), 304),
        (Req::new("POST", server.url("/204")).body("x"), 204),
    ] {
        let event = host.fetch(&request);
        assert_eq!((event.ok(status).transferred, event.estimated), (0, 0), "{}", request.url);
        assert_eq!(event.body, None, "{} has no body, not an empty one", request.url);
    }
    let head = host.fetch(&Req::new("HEAD", server.url("/head")));
    assert_eq!(head.header("Content-Length"), Some("1234"));
    let empty = host.fetch(&Req::get(server.url("/bytes/0")));
    assert_eq!((empty.ok(200).bytes(), empty.transferred, empty.estimated), (&b""[..], 0, 0));
    assert_eq!(server.connections_accepted(), 1, "the connection is good for the next request each time");
}

#[test]
fn connections_are_kept_alive() {
    let (server, host) = (Server::start(), Host::new());
    for _ in 0..5 {
        still_works(&host, &server);
    }
    assert_eq!((server.connections_accepted(), host.stats().connections), (1, 1));
}

#[test]
fn http_1_0_is_understood_with_and_without_keep_alive() {
    let (server, host) = (Server::start(), Host::new());
    for round in 1..=2 {
        assert_eq!(host.fetch(&Req::get(server.url("/http10?keep_alive=1"))).ok(200).text(), "1.0");
        assert_eq!(server.connections_accepted(), 1, "round {round}");
    }
    for _ in 0..2 {
        let event = host.fetch(&Req::get(server.url("/http10")));
        assert_eq!((event.ok(200).text(), event.estimated), ("1.0", -1), "ended by the connection's end");
    }
    still_works(&host, &server);
}

#[test]
fn compressed_bodies_are_decompressed() {
    let (server, host) = (Server::start(), Host::new());
    for path in ["/gzip?bytes=200000", "/deflate?bytes=200000", "/deflate?bytes=200000&raw=1"] {
        let event = host.fetch(&Req::get(server.url(path)));
        assert!(event.ok(200).bytes() == pattern_vec(200_000), "{path}");
        let length: u64 = event.header("Content-Length").unwrap().parse().unwrap();
        assert!(length < 200_000, "{path}: it was compressed");
        assert_eq!((event.transferred, event.estimated), (length, length as i64), "{path}: counted on the wire");
    }
    let accepted = server.requests().pop().unwrap();
    let accepted = accepted.header("Accept-Encoding").unwrap();
    assert_eq!(accepted, "gzip, deflate, br, zstd");
    assert_eq!(host.fetch(&Req::get(server.url("/gzip?bytes=0"))).ok(200).bytes(), b"");
}

#[test]
fn broken_compression_is_a_decode_error() {
    let (server, host) = (Server::start(), Host::new());
    for kind in ["corrupt", "truncated", "checksum"] {
        let event = host.fetch(&Req::get(server.url(&format!("/bad-gzip?kind={kind}"))));
        assert_eq!(event.error, SORTIE_ERROR_DECODE, "{kind}: {:?}", event.message);
        still_works(&host, &server);
    }
}

#[test]
fn bodies_come_whole_however_they_are_delimited() {
    let (server, host) = (Server::start(), Host::new());
    for path in ["/chunked?bytes=100000&chunk=777", "/chunked?bytes=100000&chunk=1", "/no-length?bytes=100000"] {
        let event = host.fetch(&Req::get(server.url(path)));
        assert!(event.ok(200).bytes() == pattern_vec(100_000), "{path}");
        assert_eq!(event.transferred, 100_000, "{path}: chunk framing does not count");
    }
    let trailers = host.fetch(&Req::get(server.url("/chunked-trailers")));
    assert_eq!(trailers.ok(200).text(), "a body with trailers");
    assert_eq!(trailers.header("Trailer"), Some("X-Checksum"));
    assert_eq!(trailers.header("X-Checksum"), None, "trailers are no headers");
    assert_eq!(trailers.trailers[0].0, "X-Checksum");
    assert_eq!(host.fetch(&Req::get(server.url("/chunked?bytes=0"))).ok(200).bytes(), b"");
}

#[test]
fn interim_responses_leave_no_trace() {
    let (server, host) = (Server::start(), Host::new());
    for request in [Req::get(server.url("/continue")), Req::new("POST", server.url("/continue")).body("x")] {
        let event = host.fetch(&request);
        assert_eq!(event.ok(200).text(), "final\n");
        assert_eq!(event.header("Link"), None, "the 103's header is not the response's");
    }
}

#[test]
fn repeated_and_many_headers_are_kept_apart() {
    let (server, host) = (Server::start(), Host::new());
    let event = host.fetch(&Req::get(server.url("/headers?Set-Cookie=a%3D1&X-One=1&set-cookie=b%3D2,c&X-Empty=")));
    let cookies: Vec<&(String, String)> =
        event.ok(200).headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).collect();
    assert_eq!(cookies, [&("Set-Cookie".into(), "a=1".into()), &("set-cookie".into(), "b=2,c".into())]);
    assert_eq!((event.header("X-One"), event.header("X-Empty")), (Some("1"), Some("")));

    let many = host.fetch(&Req::get(server.url("/many-headers?count=1000")));
    assert_eq!(many.ok(200).header("x-header-999"), Some("value-999"));
    assert!(many.headers.len() >= 1000);
    let big = host.fetch(&Req::get(server.url("/big-header?bytes=50000")));
    assert_eq!(big.ok(200).header("X-Big").map(str::len), Some(50_000));
}

#[test]
fn header_bytes_that_are_not_utf8_do_not_get_out() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.write(b"HTTP/1.1 200 OK\r\nX-Latin: gr\xfcn\r\nX-After: 1\r\nContent-Length: 2\r\n\r\nok")?;
            Ok(Some(sortie_test_server::Outcome::Done))
        })
        .start();
    // Copying the event asserts that every string is UTF-8.
    let event = Host::new().fetch(&Req::get(server.url("/")));
    assert_eq!((event.ok(200).text(), event.header("X-After")), ("ok", Some("1")));
    assert!(event.header("X-Latin").unwrap().starts_with("gr"));
}

#[test]
fn a_server_may_keep_silent_about_the_reason() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.write(b"HTTP/1.1 299\r\nContent-Length: 2\r\n\r\nok")?;
            Ok(Some(sortie_test_server::Outcome::Done))
        })
        .start();
    assert_eq!(Host::new().fetch(&Req::get(server.url("/"))).ok(299).text(), "ok");
}

#[test]
fn a_kept_connection_that_died_is_replaced() {
    let (server, host) = (Server::start(), Host::new());
    // It looks alive until the next request is on its way.
    host.fetch(&Req::get(server.url("/close-after?when=reuse"))).ok(200);
    still_works(&host, &server);
    assert_eq!(server.connections_accepted(), 2);
    // It is known to be dead before.
    server.close_connections();
    assert!(server.wait_connections_open(0, DEADLINE));
    let event = host.fetch(&Req::new("POST", server.url("/echo")).body("again"));
    assert_eq!(event.ok(200).text(), "again");
    host.fetch(&Req::get(server.url("/close-after"))).ok(200);
    still_works(&host, &server);
}

#[test]
fn a_post_is_not_sent_twice_behind_the_games_back() {
    for method in ["POST", "PATCH"] {
        let server = Server::builder()
            .handler(|request, conn| match request.path() {
                // Read, perhaps acted upon, and not answered.
                "/buy" => conn.drain_body().map(|()| Some(sortie_test_server::Outcome::Close)),
                _ => Ok(None),
            })
            .start();
        let host = Host::new();
        still_works(&host, &server); // and leaves a connection
        let event = host.fetch(&Req::new(method, server.url("/buy")).body("once only"));
        let sent = server.requests().iter().filter(|request| request.target == "/buy").count();
        assert_eq!(sent, 1, "{method}: sent again, and ended with error {}", event.error);
        event.failed(SORTIE_ERROR_RECEIVE);
    }
}

#[test]
fn broken_responses_end_with_an_error_and_nothing_else_suffers() {
    const PROTOCOL: &[u32] = &[SORTIE_ERROR_PROTOCOL];
    const RECEIVE: &[u32] = &[SORTIE_ERROR_RECEIVE];
    const EITHER: &[u32] = &[SORTIE_ERROR_PROTOCOL, SORTIE_ERROR_RECEIVE];
    let (server, host) = (Server::start(), Host::new());
    for (path, errors, status) in [
        ("/reset?after=500", RECEIVE, 200),
        ("/reset?after=0", RECEIVE, 200),
        ("/reset-headers", RECEIVE, 0),
        ("/truncate?declared=1000&sent=400", RECEIVE, 200),
        ("/truncate?declared=1000&sent=0", RECEIVE, 200),
        ("/truncated-chunks", RECEIVE, 200),
        ("/bad-chunk", PROTOCOL, 200),
        ("/empty", EITHER, 0),
        ("/garbage", PROTOCOL, 0),
        ("/bad-status-line", PROTOCOL, 0),
        ("/nul-header", PROTOCOL, 0),
        ("/big-header?bytes=2000000", PROTOCOL, 0),
        ("/many-headers?count=20000", PROTOCOL, 0),
    ] {
        let event = host.fetch(&Req::get(server.url(path)));
        assert!(errors.contains(&event.error), "{path}: error {} {:?}", event.error, event.message);
        if status != 0 {
            assert_eq!(event.status, status, "{path}: the headers had come");
        }
        still_works(&host, &server);
    }
    // Two lengths: either could be right, so neither is believed.
    let event = host.fetch(&Req::get(server.url("/conflicting-length")));
    assert_ne!(event.error, SORTIE_ERROR_NONE, "a smuggled response was taken for whole: {event:?}");
    still_works(&host, &server);
}

#[test]
fn a_refused_connection_is_a_connect_error() {
    let (server, host) = (Server::start(), Host::new());
    let refused = refused_addr();
    let event = host.fetch(&Req::get(format!("http://{refused}/x")));
    let message = event.failed(SORTIE_ERROR_CONNECT);
    assert!(message.contains("127.0.0.1"), "the message names the host: {message}");
    assert_eq!((event.status, event.effective_url.as_deref()), (0, None));
    still_works(&host, &server);
    assert_eq!(host.stats().failed, 1);
}

#[test]
fn a_response_may_come_before_the_body_has_gone() {
    let (server, host) = (Server::start(), Host::new());
    let early = host.fetch(&Req::new("POST", server.url("/early-response")).body(pattern_vec(4 << 20)));
    assert_eq!(early.ok(200).text(), "early\n");
    let refused = host.fetch(&Req::new("POST", server.url("/upload-refuse")).body(pattern_vec(8 << 20)));
    assert_eq!(refused.ok(413).text(), "too much\n");
    // Here the RST may overtake the answer.
    let hard = host.fetch(&Req::new("POST", server.url("/upload-refuse?hard=1")).body(pattern_vec(8 << 20)));
    if hard.error == SORTIE_ERROR_NONE {
        hard.ok(413);
    } else {
        hard.failed_as(&[SORTIE_ERROR_SEND, SORTIE_ERROR_RECEIVE]);
    }
    still_works(&host, &server);
}

#[test]
fn ipv6_is_spoken() {
    let server = Server::builder().ipv6(true).start();
    let host = Host::new();
    let event = host.fetch(&Req::get(server.url_of("[::1]", "/bytes/3")));
    assert_eq!(event.ok(200).bytes(), pattern_vec(3));
    assert_eq!(values(&only(&server), "Host"), [format!("[::1]:{}", server.port())]);
    // A name with an address of each family, of which only the IPv4 one is listened on.
    let v4 = Server::start();
    let both =
        Setup { resolves: vec![("six.test".into(), 0, "::1".into(), server.port())], ..Setup::default() }.start();
    both.fetch(&Req::get("http://six.test/bytes/1")).ok(200);
    host.fetch(&Req::get(v4.url_of("localhost", "/bytes/1"))).ok(200);
}

#[test]
fn a_resolve_override_replaces_the_name_lookup() {
    let (one, two) = (Server::start(), Server::start());
    let host = Setup {
        resolves: vec![
            ("one.test".into(), 80, "127.0.0.1".into(), one.port()),
            ("two.test".into(), 0, "127.0.0.1".into(), two.port()),
            ("same.test".into(), one.port(), "127.0.0.1".into(), 0),
        ],
        ..Setup::default()
    }
    .start();
    host.fetch(&Req::get("http://one.test/bytes/1")).ok(200);
    assert_eq!(values(&only(&one), "Host"), ["one.test"]);
    host.fetch(&Req::get("http://two.test/bytes/1")).ok(200);
    host.fetch(&Req::get("http://two.test:1234/bytes/1")).ok(200);
    let hosts: Vec<_> = two.requests().iter().map(|request| values(request, "Host").join("|")).collect();
    assert_eq!(hosts, ["two.test", "two.test:1234"]);
    one.clear_requests();
    let url = format!("http://same.test:{}/bytes/1", one.port());
    assert_eq!(host.fetch(&Req::get(&url)).ok(200).url, url);
    assert_eq!(one.requests().len(), 1);
}

#[test]
fn international_names_and_paths_are_encoded() {
    let server = Server::start();
    let resolves = vec![("xn--bcher-kva.test".into(), 0, "127.0.0.1".into(), server.port())];
    let host = Setup { resolves, ..Setup::default() }.start();
    host.fetch(&Req::get("http://bücher.test/inspect/grüße an/alle?q=ä b#fragment")).ok(404);
    let request = only(&server);
    assert_eq!(values(&request, "Host"), ["xn--bcher-kva.test"]);
    assert_eq!(request.target, "/inspect/gr%C3%BC%C3%9Fe%20an/alle?q=%C3%A4%20b");
    // The override may be given as the URL has it, too.
    let resolves = vec![("bücher.test".into(), 0, "127.0.0.1".into(), server.port())];
    let host = Setup { resolves, ..Setup::default() }.start();
    host.fetch(&Req::get("http://bücher.test/bytes/1")).ok(200);
}

#[test]
fn credentials_of_the_url_are_sent_and_not_shown() {
    let (server, host) = (Server::start(), Host::new());
    let url = server.url("/basic-auth?user=ann&password=s%40cret").replace("http://", "http://ann:s%40cret@");
    // Copying the event asserts that its URLs show no credentials.
    let event = host.fetch(&Req::get(url));
    assert_eq!(event.ok(200).text(), "welcome\n");
    assert!(!event.effective_url.unwrap().contains("ann:"));
}

#[test]
fn a_body_over_its_cap_ends_the_request() {
    let server = Server::start();
    let host = Setup { max_body_bytes: 100_000, ..Setup::default() }.start();
    host.fetch(&Req::get(server.url("/bytes/100000"))).ok(200);
    for path in [
        "/bytes/100001",
        "/chunked?bytes=200000",
        "/no-length?bytes=200000",
        "/gzip?bytes=200000",
        "/gzip-bomb?bytes=1000000000",
    ] {
        let event = host.fetch(&Req::get(server.url(path)));
        let message = event.failed(SORTIE_ERROR_BODY_TOO_LARGE);
        assert!(message.contains("97.7 KiB") || message.contains("100000"), "{path}: names the limit: {message}");
        still_works(&host, &server);
    }
    // The request's own cap goes before the client's, either way.
    host.fetch(&Req::get(server.url("/bytes/300000")).max_body_bytes(300_000)).ok(200);
    host.fetch(&Req::get(server.url("/bytes/11")).max_body_bytes(10)).failed(SORTIE_ERROR_BODY_TOO_LARGE);
    // Files have a cap of their own, and none by default.
    let folder = Folder::new();
    host.fetch(&Req::download(server.url("/bytes/300000"), folder.join("big"))).ok(200);
    let host = Setup { max_file_bytes: 1000, ..Setup::default() }.start();
    for path in ["/bytes/1001", "/chunked?bytes=2000", "/gzip?bytes=200000"] {
        let event = host.fetch(&Req::download(server.url(path), folder.join("small")));
        let message = event.failed(SORTIE_ERROR_BODY_TOO_LARGE);
        assert!(message.contains("1000 bytes"), "{path}: {message}");
    }
    host.fetch(&Req::download(server.url("/bytes/1001"), folder.join("big")).max_file_bytes(1001)).ok(200);
    host.fetch(&Req::get(server.url("/bytes/1001"))).ok(200);
    folder.holds(&["big"]);
}

#[test]
fn the_timing_tells_where_the_time_went() {
    let (server, host) = (Server::start(), Host::new());
    let event = host.fetch(&Req::get(server.url("/delay?ms=200")));
    let timing = event.ok(200).timing.unwrap();
    assert_eq!((timing.redirects, timing.tls_us), (0, 0));
    assert!(timing.connect_us > 0 && timing.connect_us <= timing.first_byte_us, "{timing:?}");
    assert!((200_000..DEADLINE.as_micros() as u64).contains(&timing.first_byte_us), "{timing:?}");
    assert!(timing.total_us >= timing.first_byte_us, "{timing:?}");
    let again = host.fetch(&Req::get(server.url("/bytes/1")));
    assert_eq!(again.ok(200).timing.unwrap().connect_us, 0, "no connection was made");
}

#[test]
fn the_timing_tells_over_what_and_how_much_it_went() {
    let (server, host) = (Server::start(), Host::new());
    let first = host.fetch(&Req::new("POST", server.url("/echo")).body(vec![1; 300]));
    let timing = first.ok(200).timing.unwrap();
    assert_eq!((timing.protocol, timing.connection_reused, timing.attempts), (SORTIE_PROTOCOL_HTTP_1_1, 0, 1));
    assert_eq!((timing.bytes_sent, timing.bytes_received), (300, 300));
    assert_eq!(first.remote_address, Some(format!("127.0.0.1:{}", server.port())));
    let second = host.fetch(&Req::get(server.url("/http10?keep_alive=0")));
    let timing = second.ok(200).timing.unwrap();
    assert_eq!((timing.protocol, timing.connection_reused), (SORTIE_PROTOCOL_HTTP_1_0, 1));
    assert_eq!(second.remote_address, first.remote_address);
    // What came of earlier hops and attempts counts.
    let moved = Req::new("POST", server.url("/redirect-to?url=/echo&status=307")).body(vec![1; 300]);
    let timing = host.fetch(&moved).ok(200).timing.unwrap();
    assert_eq!((timing.redirects, timing.bytes_sent), (1, 600), "{timing:?}");
    let flaky = Req::get(server.url("/flaky?fails=1&key=timing&status=503")).max_attempts(2).retry_delay_ms(1);
    let timing = host.fetch(&flaky).ok(200).timing.unwrap();
    assert!(timing.attempts == 2 && timing.bytes_received > 1, "{timing:?}");
    let failed = host.fetch(&Req::get(format!("http://{}/", refused_addr())));
    let timing = failed.timing.unwrap();
    assert_eq!((timing.protocol, timing.connection_reused, timing.attempts), (SORTIE_PROTOCOL_NONE, 0, 1));
    assert_eq!(failed.remote_address, None);
    let six = Server::builder().ipv6(true).start();
    let event = host.fetch(&Req::get(six.url_of("[::1]", "/bytes/3")));
    assert_eq!(event.remote_address, Some(format!("[::1]:{}", six.port())));
}

#[test]
fn open_connections_and_resting_requests_are_gauged() {
    let (server, host) = (Server::start(), Host::new());
    host.suspend();
    let paused = host.get(server.url("/bytes/1"));
    host.pause(paused);
    host.resume();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    let flaky = server.url("/flaky?fails=9&key=gauge&status=503&retry_after=60");
    let resting = host.submit(&Req::get(flaky).max_attempts(9).timeout_ms(SORTIE_NO_TIMEOUT));
    until("the gauges", || host.stats().resting == 2 && host.stats().waiting == 2);
    let stats = host.stats();
    assert_eq!((stats.attempts, u64::from(stats.connections_open)), (2, stats.connections), "{stats:?}");
    for id in [paused, resting] {
        host.cancel(id);
        host.ended(id);
    }
    assert_eq!((host.stats().resting, host.stats().waiting), (0, 0));
}

#[test]
fn the_stats_count() {
    let (server, host) = (Server::start(), Host::new());
    let ids: Vec<u64> = (0..10).map(|_| host.get(server.url("/bytes/1000"))).collect();
    host.all_ended(&ids);
    host.fetch(&Req::get(format!("http://{}/", refused_addr()))).failed(SORTIE_ERROR_CONNECT);
    host.fetch(&Req::new("POST", server.url("/upload")).body(vec![0; 500])).ok(200);
    assert!(host.poll().is_empty(), "and with that the last events' memory is given back");
    let stats = host.stats();
    assert_eq!((stats.submitted, stats.ended, stats.failed), (12, 12, 1), "{stats:?}");
    assert_eq!((stats.waiting, stats.active, stats.undrained, stats.buffered_bytes), (0, 0, 0, 0), "{stats:?}");
    assert_eq!(stats.bytes_sent, 500, "{stats:?}");
    assert!((10_000..11_000).contains(&stats.bytes_received), "{stats:?}");
    assert_eq!(stats.connections, server.connections_accepted(), "{stats:?}");
}

#[test]
fn what_does_not_fit_stays_for_the_next_poll() {
    let (server, host) = (Server::start(), Host::new());
    for _ in 0..20 {
        host.get(server.url("/bytes/10"));
    }
    until("every end", || host.stats().undrained == 20);
    let counts: Vec<usize> = std::iter::repeat_with(|| host.poll_up_to(7).len()).take(4).collect();
    assert_eq!(counts, [7, 7, 6, 0]);
}

#[test]
fn a_server_that_sends_more_than_it_announced_does_not_spoil_the_next_request() {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let server = Server::builder()
        .handler(move |_, conn| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                conn.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                )?;
                return Ok(Some(sortie_test_server::Outcome::Done));
            }
            conn.send(&Response::new(200).text("second")).map(Some)
        })
        .start();
    let host = Host::new();
    assert_eq!(host.fetch(&Req::get(server.url("/"))).ok(200).text(), "good");
    assert_eq!(host.fetch(&Req::get(server.url("/"))).ok(200).text(), "second", "not what was left over");
}

#[test]
fn a_port_that_speaks_something_else_is_an_error() {
    // An SMTP server, say: it speaks first and never understands.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.test ESMTP\r\n").unwrap();
        stream
    });
    let host = Host::new();
    host.fetch(&Req::get(url)).failed_as(&[SORTIE_ERROR_PROTOCOL, SORTIE_ERROR_RECEIVE]);
    drop(server.join().unwrap());
}

#[test]
fn versions_and_texts_are_there() {
    assert_eq!(copy_text(sortie_version()).unwrap(), env!("CARGO_PKG_VERSION"));
    assert_eq!(sortie_abi_version(), SORTIE_ABI_VERSION);
    let mut texts: Vec<String> = (-17..=0).map(|result| copy_text(sortie_result_string(result)).unwrap()).collect();
    texts.extend((1..=24).map(|kind| copy_text(sortie_error_string(kind)).unwrap()));
    assert!(texts.iter().all(|text| !text.is_empty() && !text.contains("unknown")), "{texts:?}");
    texts.sort();
    let count = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), count, "each is its own");
    for unknown in [1, -10_000, i32::MIN, i32::MAX] {
        assert_eq!(copy_text(sortie_result_string(unknown)).unwrap(), "unknown result");
    }
    for unknown in [10_000, u32::MAX] {
        assert_eq!(copy_text(sortie_error_string(unknown)).unwrap(), "unknown error");
    }
}

#[test]
fn credentials_that_a_server_does_not_ask_for_are_said_to_be_unused() {
    let server = Server::builder()
        .handler(|request, conn| {
            let asked: &[&str] = match request.path() {
                "/digest" => &["Digest realm=\"a, Basic\", nonce=\"n\", qop=\"auth\""],
                "/basic" => &["Basic realm=\"a\""],
                "/bearer" => &["Bearer error=\"invalid_token\""],
                "/several" => &["Negotiate", "Digest nonce=\"n\", Basic realm=\"a\""],
                "/none" => &[],
                "/forbidden" => return conn.send(&Response::new(403).header("WWW-Authenticate", "Digest")).map(Some),
                _ => return Ok(None),
            };
            conn.send(&asked.iter().fold(Response::new(401), |to, value| to.header("WWW-Authenticate", *value)))
                .map(Some)
        })
        .start();
    let host = Setup { trace_level: SORTIE_TRACE_ERRORS, ..Setup::default() }.start();
    let unused = |request: Req| host.fetch(&request).flags & SORTIE_EVENT_CREDENTIALS_UNUSED != 0;
    let get = |path: &str| Req::get(server.url(path));
    for (path, basic, bearer) in [
        ("/digest", true, true),
        ("/basic", false, true),
        ("/bearer", true, false),
        ("/several", false, true),
        ("/none", false, false),
        ("/forbidden", false, false),
    ] {
        assert_eq!(unused(get(path).basic("ann", "secret")), basic, "{path}");
        assert_eq!(unused(get(path).bearer("token")), bearer, "{path}");
        assert!(!unused(get(path)), "{path}: there are none");
    }
    let in_url = server.url("/digest").replace("://", "://ann:secret@");
    assert!(unused(Req::get(in_url)));
    // They stay behind where a redirect leaves their origin.
    let other = Server::start();
    let away = other.url(&format!("/redirect-to?url={}", server.url("/basic").replace(':', "%3A").replace('/', "%2F")));
    assert!(unused(Req::get(away).basic("ann", "secret")));
    let traces: Vec<String> = host.traces().into_iter().filter_map(|trace| trace.message).collect();
    let about = |text: &str| traces.iter().filter(|line| line.contains(text)).count();
    assert!(about("does not ask for Basic authentication, but Digest, which Sortie cannot do") == 2, "{traces:?}");
    assert_eq!(about("they are another origin's"), 1, "{traces:?}");
    assert_eq!(about("secret"), 0, "{traces:?}");
}
