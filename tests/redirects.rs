//! Redirects, hop by hop: what they do to the method, the body and the headers, and which are not followed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sortie_test_server::{Outcome, Recorded, Response, Server, fnv, pattern_vec, refused_addr};
use support::*;

/// A URL that redirects to another, with this status.
fn redirect(server: &Server, status: u32, to: &str) -> String {
    let encoded: String = to.bytes().map(|byte| format!("%{byte:02x}")).collect();
    server.url(&format!("/redirect-to?status={status}&url={encoded}"))
}

/// The last request that a server got.
fn last(server: &Server) -> Recorded {
    server.requests().pop().expect("a request")
}

#[test]
fn the_method_changes_as_the_fetch_standard_says() {
    let (server, host) = (Server::start(), Host::new());
    for (status, method, then) in [
        (301, "GET", "GET"),
        (301, "HEAD", "HEAD"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "DELETE", "DELETE"),
        (302, "GET", "GET"),
        (302, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "PATCH", "PATCH"),
        (302, "DELETE", "DELETE"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (307, "GET", "GET"),
        (307, "POST", "POST"),
        (307, "PUT", "PUT"),
        (307, "DELETE", "DELETE"),
        (308, "HEAD", "HEAD"),
        (308, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ] {
        let mut request = Req::new(method, redirect(&server, status, "/upload"));
        let has_body = ["POST", "PUT", "PATCH"].contains(&method);
        if has_body {
            request = request.body("the body").content_type("application/x-test").header("Content-Language", "en");
        }
        host.fetch(&request.header("X-Mine", "1")).ok(200);
        let second = last(&server);
        let what = format!("{method} and {status}");
        assert_eq!((second.method.as_str(), second.target.as_str()), (then, "/upload"), "{what}");
        assert_eq!(second.header("X-Mine"), Some("1"), "{what}: headers go along within an origin");
        if has_body && then == method {
            assert_eq!(second.body.as_deref(), Some(&b"the body"[..]), "{what}");
            assert_eq!(second.header("Content-Type"), Some("application/x-test"), "{what}");
        } else {
            assert_eq!(second.body_length, 0, "{what}");
            let about_body = ["Content-Type", "Content-Language", "Content-Length", "Transfer-Encoding"];
            let told = about_body.iter().find(|name| second.header(name).is_some_and(|value| value != "0"));
            assert_eq!(told, None, "{what}: nothing tells of the body that is gone");
        }
    }
}

#[test]
fn content_headers_go_with_the_body_they_tell_of() {
    let (server, other, host) = (Server::start(), Server::start(), Host::new());
    let of_body = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"];
    let others = ["Content-MD5", "Content-Disposition", "Content-Range", "Content-Mine"];
    for (method, status, body, becomes_get) in [
        ("GET", 301, None, false),
        ("GET", 302, None, false),
        ("GET", 303, None, false),
        ("HEAD", 303, None, false),
        ("GET", 307, None, false),
        ("DELETE", 308, None, false),
        ("OPTIONS", 302, None, false),
        ("POST", 307, None, false),
        ("POST", 308, Some("x"), false),
        ("PATCH", 301, Some("x"), false),
        ("GET", 307, Some("x"), false),
        ("POST", 301, None, true),
        ("POST", 302, Some("x"), true),
        ("DELETE", 303, None, true),
        ("PUT", 303, Some("x"), true),
    ] {
        let what = format!("{method} with {body:?} and {status}");
        let names = of_body.iter().chain(&others);
        let mut request = Req::new(method, redirect(&server, status, "/upload"));
        request = names.clone().fold(request, |request, name| request.header(name, "v/w"));
        request.body = body.map(|body| body.as_bytes().to_vec());
        host.fetch(&request).ok(200);
        let told: Vec<_> = names.clone().filter(|name| last(&server).header(name) == Some("v/w")).collect();
        let expected: Vec<_> = names.clone().filter(|name| !becomes_get || others.contains(name)).collect();
        assert_eq!(told, expected, "{what}");
        // Over several hops, and to another origin: those of the body still go along, the others do not.
        request.url = redirect(&server, status, &redirect(&server, 307, &other.url("/upload")));
        host.fetch(&request).ok(200);
        let told: Vec<_> = names.clone().filter(|name| last(&other).header(name) == Some("v/w")).collect();
        let expected: Vec<_> = names.filter(|name| !becomes_get && of_body.contains(name)).collect();
        assert_eq!(told, expected, "{what}, elsewhere");
    }
}

/// A server that answers `/raw` by this head and the same bytes again and again, with what comes after, until the client
/// has enough; then it holds the connection open. Other requests as ever.
fn endless(head: &str, piece: &'static [u8], pieces: usize) -> Server {
    let head = format!("{head}\r\n");
    Server::builder()
        .handler(move |request, conn| {
            if request.path() != "/raw" {
                return Ok(None);
            }
            conn.skip_body();
            conn.write(head.as_bytes())?;
            for _ in 0..pieces {
                conn.write(piece)?;
                conn.flush()?;
            }
            conn.wait_closed()?;
            Ok(Some(Outcome::Close))
        })
        .start()
}

#[test]
fn a_body_that_nobody_wants_is_not_waited_for() {
    let host = Host::new();
    let moved = "HTTP/1.1 301 Moved Permanently\r\nLocation: /bytes/3\r\n";
    for (more, piece, pieces) in [
        ("Connection: close\r\n", &b""[..], 0),
        ("Connection: close\r\nContent-Length: 10\r\n", b"x", 1),
        ("Connection: keep-alive, Close\r\nTransfer-Encoding: chunked\r\n", b"1\r\nx\r\n", 1),
        ("", b"", 0),
        ("", b"some of it", 1),
        ("", b"some of it", usize::MAX),
        ("Content-Length: 10\r\n", b"x", 1),
        ("Content-Length: 100000000\r\n", b"x", 1),
        ("Content-Length: 9223372036854775807\r\n", b"some of it", usize::MAX),
        ("Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n", 1),
        ("Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n", usize::MAX),
    ] {
        let server = endless(&format!("{moved}{more}"), piece, pieces);
        for method in ["GET", "POST"] {
            // The clock that this would run out on is the one that ends a test.
            let mut request = Req::new(method, server.url("/raw")).timeout_ms(SORTIE_NO_TIMEOUT).stall_timeout_ms(0);
            request.stall_timeout_ms = SORTIE_NO_TIMEOUT;
            if method == "POST" {
                request = request.body(pattern_vec(4 << 20));
            }
            let event = host.fetch(&request);
            assert_eq!(event.ok(200).bytes(), pattern_vec(3), "{method}: {more:?}");
            assert_eq!(event.timing.unwrap().redirects, 1);
        }
    }
    let server = endless("HTTP/1.0 302 Found\r\nLocation: /bytes/3\r\nContent-Length: 10\r\n", b"x", 1);
    host.fetch(&Req::get(server.url("/raw")).timeout_ms(SORTIE_NO_TIMEOUT)).ok(200);
    // What ends in time leaves its connection to the next hop.
    for (more, body) in [
        ("Content-Length: 200000\r\n", vec![b'x'; 200_000]),
        ("Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n".to_vec()),
        ("Content-Length: 0\r\n", Vec::new()),
    ] {
        let head = format!("{moved}{more}\r\n");
        let server = Server::builder()
            .handler(move |request, conn| {
                if request.path() != "/raw" {
                    return Ok(None);
                }
                conn.write(head.as_bytes())?;
                conn.write(&body)?;
                Ok(Some(Outcome::Done))
            })
            .start();
        host.fetch(&Req::get(server.url("/raw"))).ok(200);
        assert_eq!(server.connections_accepted(), 1, "{more:?}");
    }
}

#[test]
fn a_failed_attempts_body_is_not_waited_for_either() {
    let seen = Arc::new(AtomicUsize::new(0));
    for more in ["", "Connection: close\r\n", "Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"] {
        seen.store(0, Ordering::SeqCst);
        let count = Arc::clone(&seen);
        let head = format!("HTTP/1.1 503 Busy\r\n{more}\r\n");
        let server = Server::builder()
            .handler(move |_, conn| {
                if count.fetch_add(1, Ordering::SeqCst) > 0 {
                    return conn.send(&Response::new(200).text("at last")).map(Some);
                }
                conn.write(head.as_bytes())?;
                conn.flush()?;
                conn.wait_closed()?;
                Ok(Some(Outcome::Close))
            })
            .start();
        let request = Req::get(server.url("/")).max_attempts(2).retry_delay_ms(1).timeout_ms(SORTIE_NO_TIMEOUT);
        let event = Host::new().fetch(&request);
        assert_eq!((event.ok(200).text(), event.attempts), ("at last", 2), "{more:?}");
    }
}

#[test]
fn what_is_dropped_early_may_be_cancelled_paused_and_suspended() {
    let server = endless("HTTP/1.1 302 Found\r\nLocation: /bytes/3\r\nContent-Length: 10\r\n", b"x", 1);
    let host = Host::new();
    for _ in 0..3 {
        let ids: Vec<u64> = (0..4).map(|_| host.get(server.url("/raw"))).collect();
        assert!(server.wait_requests(4, DEADLINE));
        host.cancel(ids[0]);
        host.pause(ids[1]);
        host.suspend();
        host.resume();
        host.ended(ids[0]).failed(SORTIE_ERROR_CANCELLED);
        for id in &ids[2..] {
            host.ended(*id).ok(200);
        }
        host.unpause(ids[1]);
        host.ended(ids[1]).ok(200);
        server.clear_requests();
    }
}

#[test]
fn an_empty_location_is_none() {
    let host = Host::new();
    for (locations, followed) in [
        ("Location:\r\n", false),
        ("Location: \t\r\n", false),
        ("Location:\r\nLocation:\r\n", false),
        ("Location:\r\nLocation: /bytes/3\r\n", true),
        ("Location: #fragment\r\n", true),
    ] {
        let head = format!("HTTP/1.1 302 Found\r\n{locations}Content-Length: 4\r\n\r\nbody");
        let server = Server::builder()
            .handler(move |request, conn| match request.path() {
                "/raw" => conn.write(head.as_bytes()).map(|()| Some(Outcome::Done)),
                _ => Ok(None),
            })
            .start();
        let event = host.fetch(&Req::get(server.url("/raw")));
        match (followed, locations.contains('#')) {
            (false, _) => assert_eq!(event.ok(302).text(), "body", "{locations:?}"),
            (true, false) => assert_eq!(event.ok(200).bytes(), pattern_vec(3), "{locations:?}"),
            // The same page once more, as the Fetch standard has it.
            (true, true) => drop(event.failed(SORTIE_ERROR_REDIRECTS)),
        }
    }
}

#[test]
fn a_body_is_sent_again_from_memory_and_from_a_file() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let bytes = pattern_vec(3_000_000);
    let file = folder.file("file", &bytes);
    for status in [307, 308] {
        let url = redirect(&server, status, &redirect(&server, status, "/upload"));
        for request in [Req::new("POST", &url).body(bytes.clone()), Req::upload(&url, &file)] {
            server.clear_requests();
            let event = host.fetch(&request);
            assert_eq!(event.ok(200).text().trim(), format!("3000000 {:016x}", fnv(&bytes)));
            assert_eq!(event.timing.unwrap().redirects, 2);
            let hashes: Vec<u64> = server.requests().iter().map(|request| request.body_fnv).collect();
            assert_eq!(hashes, [fnv(&bytes); 3], "each hop had the whole body");
        }
    }
}

#[test]
fn the_last_hop_is_what_the_event_tells_of() {
    let (server, host) = (Server::start(), Host::new());
    let url = server.url("/redirect/5");
    let event = host.fetch(&Req::get(&url));
    assert_eq!(event.ok(200).bytes(), pattern_vec(2));
    assert_eq!(event.header("Location"), None, "headers of the last hop only");
    assert_eq!((event.url, event.effective_url), (url, Some(server.url("/bytes/2"))));
    assert_eq!(event.timing.unwrap().redirects, 5);
    assert_eq!(server.connections_accepted(), 1);
}

#[test]
fn redirects_are_followed_up_to_the_limit() {
    let (server, host) = (Server::start(), Host::new());
    host.fetch(&Req::get(server.url("/redirect/20"))).ok(200);
    let over = host.fetch(&Req::get(server.url("/redirect/21")));
    assert!(over.failed(SORTIE_ERROR_REDIRECTS).contains("20"), "names the limit: {:?}", over.message);
    host.fetch(&Req::get(server.url("/redirect/3")).max_redirects(3)).ok(200);
    let over = host.fetch(&Req::get(server.url("/redirect/4")).max_redirects(3));
    assert!(over.failed(SORTIE_ERROR_REDIRECTS).contains('3'), "{:?}", over.message);
    host.fetch(&Req::get(server.url("/redirect/100")).max_redirects(100)).ok(200);
    server.clear_requests();
    host.fetch(&Req::get(server.url("/redirect-loop"))).failed(SORTIE_ERROR_REDIRECTS);
    assert_eq!(server.requests().len(), 21, "the first request and twenty more");
}

#[test]
fn manual_redirects_hand_the_response_over() {
    let (server, host) = (Server::start(), Host::new());
    for status in [301, 302, 303, 307, 308] {
        let event = host.fetch(&Req::get(redirect(&server, status, "/bytes/1")).flags(SORTIE_REQUEST_MANUAL_REDIRECTS));
        assert_eq!(event.ok(status as i32).text(), "see /bytes/1\n");
        assert_eq!(event.header("Location"), Some("/bytes/1"));
        assert_eq!(event.timing.unwrap().redirects, 0);
    }
    assert!(server.requests().iter().all(|request| request.target.starts_with("/redirect-to")));
}

#[test]
fn a_3xx_that_leads_nowhere_is_a_response() {
    let server = Server::builder()
        .handler(|request, conn| match request.path() {
            "/302" => conn.send(&Response::new(302).text("nowhere")).map(Some),
            "/300" => conn.send(&Response::new(300).header("Location", "/bytes/1").text("choose")).map(Some),
            "/304" => conn.send(&Response::new(304).header("Location", "/bytes/1")).map(Some),
            "/200" => conn.send(&Response::new(200).header("Location", "/bytes/1").text("here")).map(Some),
            "/201" => conn.send(&Response::new(201).header("Location", "/bytes/1").text("made")).map(Some),
            _ => Ok(None),
        })
        .start();
    let host = Host::new();
    for (path, status, body) in [
        ("/302", 302, "nowhere"),
        ("/300", 300, "choose"),
        ("/304", 304, ""),
        ("/200", 200, "here"),
        ("/201", 201, "made"),
    ] {
        assert_eq!(host.fetch(&Req::get(server.url(path))).ok(status).text(), body);
    }
    assert_eq!(server.request_count(), 5);
}

#[test]
fn locations_may_be_relative() {
    let (server, host) = (Server::start(), Host::new());
    host.fetch(&Req::get(server.url("/relative-redirect"))).ok(200);
    assert_eq!(last(&server).target, "/bytes/2");
    for (location, target) in [
        ("bytes/3", "/bytes/3".to_owned()),
        ("./bytes/3", "/bytes/3".into()),
        ("/a/../bytes/3", "/bytes/3".into()),
        ("?status=307&url=/bytes/4", "/bytes/4".into()),
        ("/inspect?a=b#fragment", "/inspect?a=b".into()),
        ("/inspect?q=ä b", "/inspect?q=%C3%A4%20b".into()),
        (&format!("//{}/bytes/5", server.addr()), "/bytes/5".into()),
        (&format!("HTTP://{}/bytes/6", server.addr()), "/bytes/6".into()),
        ("  /bytes/7  ", "/bytes/7".into()),
    ] {
        host.fetch(&Req::get(redirect(&server, 302, location))).ok(200);
        assert_eq!(last(&server).target, target, "{location:?}");
    }
}

#[test]
fn a_bad_location_ends_the_request() {
    let (server, host) = (Server::start(), Host::new());
    for location in ["http://", "http://[::1", "http://x.test:99999/", "http://a b/"] {
        let event = host.fetch(&Req::get(redirect(&server, 302, location)));
        assert!(event.failed(SORTIE_ERROR_INVALID_URL).contains("edirect"), "{location}: {:?}", event.message);
    }
    for location in
        ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:0", "mailto:a@b.test", "gopher://127.0.0.1/x"]
    {
        let event = host.fetch(&Req::get(redirect(&server, 302, location)));
        let scheme = location.split(':').next().unwrap();
        assert!(event.failed(SORTIE_ERROR_REDIRECTS).contains(scheme), "{location}: {:?}", event.message);
    }
    let nowhere = format!("http://{}/x", refused_addr());
    let event = host.fetch(&Req::get(redirect(&server, 302, &nowhere)));
    event.failed(SORTIE_ERROR_CONNECT);
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn a_location_of_garbage_ends_the_request_and_not_the_process() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.write(b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe\x01/\r\nContent-Length: 0\r\n\r\n")?;
            Ok(Some(sortie_test_server::Outcome::Done))
        })
        .start();
    let event = Host::new().fetch(&Req::get(server.url("/")));
    assert_ne!(event.error, SORTIE_ERROR_NONE, "{event:?}");
}

#[test]
fn credentials_do_not_leave_the_origin() {
    let (one, two) = (Server::start(), Server::start());
    let secrets = ["Authorization", "Cookie", "X-Api-Key", "X-Default-Key", "Proxy-Authorization", "Host-Secret"];
    let host = Setup { default_headers: vec![("X-Default-Key".into(), "secret".into())], ..Setup::default() }.start();
    let request = |url: String| {
        Req::get(url)
            .header("Cookie", "session=secret")
            .header("X-Api-Key", "secret")
            .header("Host-Secret", "secret")
            .header("Proxy-Authorization", "Basic c2VjcmV0")
            .header("Accept", "text/x-test")
            .header("Accept-Language", "eo")
    };
    let there = two.url("/inspect");
    for request in [
        request(redirect(&one, 302, &there)).header("Authorization", "Bearer secret"),
        request(redirect(&one, 307, &there)).bearer("secret"),
        request(redirect(&one, 301, &there)).basic("ann", "secret"),
        // By way of a hop within the origin.
        request(redirect(&one, 302, &redirect(&one, 302, &there))).bearer("secret"),
        // Another name is another origin, whatever its address and port.
        request(redirect(&one, 302, &one.url_of("localhost", "/inspect"))).bearer("secret"),
    ] {
        one.clear_requests();
        two.clear_requests();
        let event = host.fetch(&request);
        event.ok(200);
        let first = one.requests().remove(0);
        assert!(first.header("Authorization").is_some_and(|value| !value.is_empty()), "sent to where they belong");
        assert_eq!(first.header("X-Api-Key"), Some("secret"));
        assert_eq!(first.header("X-Default-Key"), Some("secret"));
        let all = [one.requests(), two.requests()].concat();
        let away = all.iter().find(|request| request.target == "/inspect").unwrap();
        for secret in secrets {
            assert_eq!(away.header(secret), None, "{secret} went along");
        }
        assert!(!event.text().contains("secret"), "{}", event.text());
        assert_eq!((away.header("Accept"), away.header("Accept-Language")), (Some("text/x-test"), Some("eo")));
        assert!(away.header("User-Agent").is_some());
    }
    // Within the origin they do go along.
    host.fetch(&request(redirect(&one, 302, "/inspect")).bearer("secret")).ok(200);
    let stayed = last(&one);
    assert_eq!(stayed.header("Authorization"), Some("Bearer secret"));
    assert_eq!((stayed.header("X-Api-Key"), stayed.header("Cookie")), (Some("secret"), Some("session=secret")));
}

#[test]
fn a_host_header_of_the_games_own_stays_behind() {
    let (one, two) = (Server::start(), Server::start());
    let host = Host::new();
    host.fetch(&Req::get(redirect(&one, 302, &two.url("/bytes/1"))).header("Host", "fake.test")).ok(200);
    assert_eq!(one.requests()[0].header("Host"), Some("fake.test"));
    assert_eq!(two.requests()[0].header("Host"), Some(two.addr().to_string().as_str()));
}

#[test]
fn credentials_in_a_location_are_neither_sent_nor_shown() {
    let (one, two) = (Server::start(), Server::start());
    let host = Host::new();
    let there = two.url("/inspect").replace("http://", "http://eve:trap@");
    // Copying the event asserts that its URLs show no credentials.
    let event = host.fetch(&Req::get(redirect(&one, 302, &there)));
    event.ok(200);
    assert_eq!(event.effective_url.as_deref(), Some(two.url("/inspect").as_str()));
    assert_eq!(two.requests()[0].header("Authorization"), None);
}

#[test]
fn from_https_to_http_only_if_allowed() {
    let secure = Server::builder().tls(true).start();
    let plain = Server::start();
    let host = Setup { ca_file: Some(secure.ca_pem().to_owned()), ..Setup::default() }.start();
    let down = Req::get(redirect(&secure, 302, &plain.url("/bytes/1"))).bearer("secret");
    let event = host.fetch(&down);
    assert!(event.failed(SORTIE_ERROR_REDIRECTS).contains("http"), "{:?}", event.message);
    assert_eq!(plain.request_count(), 0, "it was not even asked");
    host.fetch(&down.flags(SORTIE_REQUEST_INSECURE_REDIRECTS)).ok(200);
    assert_eq!(last(&plain).header("Authorization"), None);
    // Up is always fine.
    host.fetch(&Req::get(redirect(&plain, 302, &secure.url("/bytes/1")))).ok(200);
    // Down, by way of https.
    let roundabout = redirect(&plain, 302, &redirect(&secure, 302, &plain.url("/bytes/1")));
    host.fetch(&Req::get(roundabout)).failed(SORTIE_ERROR_REDIRECTS);
}

#[test]
fn only_the_last_body_reaches_the_file() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("file", b"old");
    let event = host.fetch(&Req::download(server.url("/redirect/3"), &path));
    assert_eq!(event.ok(200).file_path.as_deref(), path.to_str());
    assert_eq!(fs::read(&path).unwrap(), pattern_vec(2));
    host.fetch(&Req::download(redirect(&server, 302, "/status/404?body=gone"), &path)).ok(404);
    assert_eq!(fs::read(&path).unwrap(), pattern_vec(2));
    host.fetch(&Req::download(server.url("/redirect-loop"), &path)).failed(SORTIE_ERROR_REDIRECTS);
    assert_eq!(fs::read(&path).unwrap(), pattern_vec(2));
    folder.holds(&["file"]);
}

#[test]
fn a_redirects_own_body_is_dropped_whatever_its_size() {
    let server = Server::builder()
        .handler(|request, conn| match request.path() {
            "/large" => {
                conn.send(&Response::new(302).header("Location", "/bytes/3").body(vec![b'x'; 3_000_000])).map(Some)
            }
            _ => Ok(None),
        })
        .start();
    let host = Setup { max_body_bytes: 1000, ..Setup::default() }.start();
    assert_eq!(host.fetch(&Req::get(server.url("/large"))).ok(200).bytes(), pattern_vec(3));
}

#[test]
fn a_cancel_between_hops_holds() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("hop");
    let id = host.get(redirect(&server, 302, "/gate/hop"));
    assert!(gate.wait_for(1, DEADLINE));
    assert_eq!(host.cancel(id), SORTIE_OK);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    gate.open();
    let endless = host.get(server.url("/redirect-loop"));
    assert_eq!(host.cancel(endless), SORTIE_OK);
    host.ended(endless).failed_as(&[SORTIE_ERROR_CANCELLED, SORTIE_ERROR_REDIRECTS]);
}
