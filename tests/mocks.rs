//! Answers made up for tests: what they match, and that what they answer goes the way of every response.

#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::time::{Duration, Instant};

use sortie_test_server::{Server, pattern_vec, refused_addr};
use support::*;

/// A client that never goes to the network.
fn offline() -> Host {
    Setup { flags: SORTIE_CLIENT_MOCKS_ONLY, ..Setup::default() }.start()
}

const URL: &str = "https://game.example/scores";

#[test]
fn a_mock_answers_in_place_of_the_network() {
    let host = offline();
    host.mock(
        &Mock::new(URL).status(201).header("Content-Type", "text/plain; charset=iso-8859-1").body(b"gr\xFC\xDFe"),
    );
    let ended = host.fetch(&Req::get(URL).user_data(7));
    assert_eq!((ended.ok(201).text(), ended.user_data, ended.body_kind), ("grüße", 7, SORTIE_BODY_TEXT));
    assert_eq!(ended.header("content-length"), Some("5"));
    assert_eq!(ended.status_line.as_deref(), Some("HTTP/1.1 201"));
    assert_eq!((ended.transferred, ended.estimated), (5, 5));
    assert_eq!((host.stats().connections, host.stats().bytes_received), (0, 5));
}

#[test]
fn without_a_mock_the_network_answers_unless_it_must_not() {
    let (server, host) = (Server::start(), Host::new());
    let mock = host.mock(&Mock::new(&server.url("/bytes/*")).body("mocked"));
    assert_eq!(host.fetch(&Req::get(server.url("/bytes/3"))).ok(200).text(), "mocked");
    assert_eq!(host.fetch(&Req::get(server.url("/method"))).ok(200).text(), "GET");
    assert_eq!(host.unmock(mock), SORTIE_OK);
    assert_eq!(host.unmock(mock), SORTIE_RESULT_STALE);
    assert_eq!(host.unmock(77), SORTIE_RESULT_STALE);
    assert_eq!(host.fetch(&Req::get(server.url("/bytes/3"))).ok(200).bytes().len(), 3);
    assert_eq!(server.request_count(), 2);

    let host = offline();
    let message = host.fetch(&Req::get(server.url("/bytes/3?token=secret"))).failed(SORTIE_ERROR_CONNECT).to_owned();
    assert!(message.contains("no mock answers GET") && message.contains("/bytes/3"), "{message}");
    assert!(!message.contains("secret"), "{message}");
    let watch = host.watch(&server.url("")[7..]);
    assert_eq!(host.news(watch).network, 0, "nothing can be reached");
}

#[test]
fn the_first_that_matches_answers_as_often_as_it_may() {
    let host = offline();
    host.mock(&Mock::new("https://game.example/*").method("POST").body("posted"));
    host.mock(&Mock::new("*/scores").body("twice").times(2));
    host.mock(&Mock::new("*").status(404));
    let answer = |request: Req| {
        let ended = host.fetch(&request);
        (ended.status, ended.text().to_owned())
    };
    assert_eq!(answer(Req::get(URL).body("x")), (200, "posted".into()));
    assert_eq!(answer(Req::get(URL)), (200, "twice".into()));
    assert_eq!(answer(Req::get(format!("{URL}?a"))), (404, String::new()));
    assert_eq!(answer(Req::get(URL)), (200, "twice".into()));
    assert_eq!(answer(Req::get(URL)), (404, String::new()));
}

#[test]
fn redirects_are_followed_and_cookies_kept() {
    let host = offline();
    host.mock(
        &Mock::new(URL).status(302).header("Location", "/b").header("Set-Cookie", "a=1").body(vec![b'x'; 400_000]),
    );
    host.mock(&Mock::new("https://game.example/b").header("Set-Cookie", "b=2").body("there"));
    let ended = host.fetch(&Req::get(URL));
    assert_eq!(ended.ok(200).text(), "there");
    assert_eq!(ended.effective_url.as_deref(), Some("https://game.example/b"));
    assert_eq!(ended.timing.unwrap().redirects, 1);
    host.mock(&Mock::new("https://game.example/loop").status(307).header("Location", "/loop"));
    host.fetch(&Req::get("https://game.example/loop").body("again")).failed(SORTIE_ERROR_REDIRECTS);

    // What a mock sets, a server is sent.
    let (server, host) = (Server::start(), Host::new());
    host.mock(
        &Mock::new(&server.url("/login")).status(303).header("Location", "/cookie/show").header("Set-Cookie", "s=1"),
    );
    assert_eq!(host.fetch(&Req::get(server.url("/login")).body("me")).ok(200).text(), "s=1");
}

#[test]
fn bodies_are_decompressed_capped_and_written_to_files() {
    let (host, folder) = (offline(), Folder::new());
    // gzip of "hello".
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x106\x05\0\0\0";
    host.mock(&Mock::new("*/gzip").header("Content-Encoding", "gzip").header("Content-Type", "text/plain").body(*gzip));
    host.mock(&Mock::new("*/cut").header("Content-Encoding", "gzip").body(&gzip[..15]));
    assert_eq!(host.fetch(&Req::get("http://x/gzip")).ok(200).text(), "hello");
    host.fetch(&Req::get("http://x/cut")).failed(SORTIE_ERROR_DECODE);
    let raw = host.fetch(&Req::get("http://x/gzip").header("Accept-Encoding", "gzip"));
    assert_eq!(raw.ok(200).bytes(), gzip, "asked for by the program itself");

    let large = pattern_vec(5_000_000);
    host.mock(&Mock::new("*/large").body(large.clone()));
    host.fetch(&Req::get("http://x/large").max_body_bytes(4_999_999)).failed(SORTIE_ERROR_BODY_TOO_LARGE);
    let ended = host.fetch(&Req::download("http://x/large", folder.join("file")).progress(SORTIE_PROGRESS_DOWNLOAD));
    assert!(ended.ok(200).file_path.is_some() && ended.body.is_none());
    assert!(std::fs::read(folder.join("file")).unwrap() == large);
    host.mock(&Mock::new("*/gone").status(404).body("gone"));
    assert_eq!(host.fetch(&Req::download("http://x/gone", folder.join("other"))).ok(404).bytes(), b"gone");
    let slow = Mock::new("*/slow").body(large).rate(1_000_000);
    host.mock(&slow);
    let id = host.submit(&Req::download("http://x/slow", folder.join("slow")).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_PROGRESS && event.transferred > 0);
    host.cancel(id);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    folder.holds(&["file"]);
}

#[test]
fn head_and_statuses_without_a_body_have_none() {
    let host = offline();
    host.mock(&Mock::new("*/a").body("12345"));
    host.mock(&Mock::new("*/b").status(204).body("12345"));
    let head = host.fetch(&Req::new("HEAD", "http://x/a"));
    assert_eq!((head.ok(200).body.as_ref(), head.header("Content-Length")), (None, Some("5")));
    let none = host.fetch(&Req::get("http://x/b"));
    assert_eq!((none.ok(204).body.as_ref(), none.header("Content-Length")), (None, None));
}

#[test]
fn request_bodies_are_taken_with_progress() {
    let (host, folder) = (offline(), Folder::new());
    host.mock(&Mock::new("*").method("POST").body("thanks"));
    let file = folder.file("save", &pattern_vec(3_000_000));
    let id = host.submit(&Req::upload("http://x/", &file).progress(SORTIE_PROGRESS_UPLOAD));
    let events = host.events(id);
    assert_eq!(events[0].kind, SORTIE_EVENT_BEGAN);
    let ended = events.last().unwrap();
    assert_eq!((ended.ok(200).text(), ended.transferred, ended.estimated), ("thanks", 3_000_000, 3_000_000));
    assert_eq!(host.stats().bytes_sent, 3_000_000);
    host.fetch(&Req::upload("http://x/", folder.join("none"))).failed(SORTIE_ERROR_FILE);
}

#[test]
fn delays_rates_and_errors_are_as_told() {
    let host = offline();
    host.mock(&Mock::new("*/late").delay_ms(150).body("late"));
    let started = Instant::now();
    let ended = host.fetch(&Req::get("http://x/late"));
    assert!(started.elapsed() >= Duration::from_millis(150));
    assert!(ended.ok(200).timing.unwrap().first_byte_us >= 150_000);

    host.mock(&Mock::new("*/slow").body(vec![7; 30_000]).rate(100_000));
    let started = Instant::now();
    let id = host.submit(&Req::get("http://x/slow").progress(SORTIE_PROGRESS_DOWNLOAD));
    let events = host.events(id);
    assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
    assert!(events.iter().filter(|event| event.kind == SORTIE_EVENT_PROGRESS).count() > 2);
    assert_eq!(events.last().unwrap().ok(200).bytes().len(), 30_000);

    for error in [SORTIE_ERROR_RESOLVE, SORTIE_ERROR_CERTIFICATE, SORTIE_ERROR_RECEIVE] {
        let id = host.mock(&Mock::new("*/broken").error(error).delay_ms(1).body("never seen"));
        let ended = host.fetch(&Req::get("http://x/broken"));
        assert!(ended.failed(error).contains("mocked"));
        assert_eq!((ended.status, ended.body), (0, None));
        host.unmock(id);
    }
}

#[test]
fn attempts_are_made_again_and_bodies_held_against_their_hash() {
    let host = offline();
    host.mock(&Mock::new("*/flaky").error(SORTIE_ERROR_CONNECT).times(1));
    host.mock(&Mock::new("*/flaky").status(503).times(1));
    host.mock(&Mock::new("*/flaky").body("third"));
    let ended = host.fetch(&Req::get("http://x/flaky").max_attempts(3).retry_delay_ms(1));
    assert_eq!((ended.ok(200).text(), ended.attempts), ("third", 3));
    host.fetch(&Req::get("http://x/flaky").sha256(&"0".repeat(64))).failed(SORTIE_ERROR_INTEGRITY);
}

#[test]
fn time_limits_hold() {
    let host = offline();
    host.mock(&Mock::new("*/late").delay_ms(60_000));
    host.mock(&Mock::new("*/slow").body(vec![0; 1000]).rate(1));
    host.fetch(&Req::get("http://x/late").timeout_ms(50)).failed(SORTIE_ERROR_TIMEOUT);
    host.fetch(&Req::get("http://x/late").stall_timeout_ms(50)).failed(SORTIE_ERROR_STALLED);
    host.fetch(&Req::get("http://x/slow").timeout_ms(50)).failed(SORTIE_ERROR_TIMEOUT);
    let late = host.get("http://x/late");
    host.cancel(late);
    host.ended(late).failed(SORTIE_ERROR_CANCELLED);
}

#[test]
fn a_suspended_client_answers_nothing_and_its_clock_stops() {
    let host = offline();
    host.mock(&Mock::new("*/now").body("now"));
    host.mock(&Mock::new("*/later").delay_ms(80).body("later"));
    host.mock(&Mock::new("*/slow").body(vec![1; 200_000]).rate(1_000_000));
    let slow = host.submit(&Req::get("http://x/slow").progress(SORTIE_PROGRESS_DOWNLOAD).timeout_ms(2_000));
    let later = host.submit(&Req::get("http://x/later").timeout_ms(2_000));
    host.await_event(slow, |event| event.transferred > 0);
    host.suspend();
    let now = host.get("http://x/now");
    let_pass(200);
    assert_eq!((host.poll().len(), host.stats().ended), (0, 0));
    let_pass(2_000);
    host.resume();
    assert_eq!(host.ended(now).ok(200).text(), "now");
    assert_eq!(host.ended(later).ok(200).text(), "later");
    assert_eq!(host.ended(slow).ok(200).bytes().len(), 200_000);
}

#[test]
fn limits_and_priorities_hold() {
    let host = Setup { flags: SORTIE_CLIENT_MOCKS_ONLY, max_active: 1, ..Setup::default() }.start();
    host.mock(&Mock::new("*").delay_ms(20));
    host.suspend();
    let [low, normal, high] = [SORTIE_PRIORITY_LOW, SORTIE_PRIORITY_NORMAL, SORTIE_PRIORITY_HIGH]
        .map(|priority| host.submit(&Req::get(URL).priority(priority)));
    host.resume();
    let mut order = Vec::new();
    while order.len() < 3 {
        assert!(host.wait(DEADLINE));
        host.poll_raw(8, |_, event| order.push(event.request));
    }
    assert_eq!(order, [high, normal, low]);
}

#[test]
fn what_waits_to_be_drained_holds_answers_back() {
    let host = Setup { flags: SORTIE_CLIENT_MOCKS_ONLY, max_buffered_bytes: 1, ..Setup::default() }.start();
    host.mock(&Mock::new("*/large").body(vec![1; 3_000_000]));
    let ids = [(); 4].map(|()| host.get("http://x/large"));
    for ended in host.all_ended(&ids) {
        assert_eq!(ended.ok(200).bytes().len(), 3_000_000);
    }
}

#[test]
fn many_at_once_end_once_each() {
    let host = offline();
    host.mock(&Mock::new("*7").error(SORTIE_ERROR_RECEIVE));
    host.mock(&Mock::new("*").body("answer"));
    let ids: Vec<u64> = (0..2_000).map(|n| host.get(format!("https://{}.example/{n}", n % 30))).collect();
    let failed = host.all_ended(&ids).iter().filter(|ended| ended.error != SORTIE_ERROR_NONE).count();
    assert_eq!((failed, host.counts()), (200, (2_000, 2_000)));
    let destroyed = (0..100).map(|n| host.get(format!("http://x/{n}"))).count();
    assert!(destroyed == 100 && host.destroy() < Duration::from_secs(1));
}

#[test]
fn bad_mocks_are_refused() {
    let host = Host::new();
    let refused = |mock: Mock, result: i32, text: &str| {
        let refused = host.try_mock(&mock).unwrap_err();
        assert_eq!(refused.result, result, "{refused:?}");
        assert!(refused.message.contains(text), "{refused:?}");
    };
    refused(Mock::new(""), SORTIE_RESULT_URL, "URL is empty");
    refused(Mock::new("game.example"), SORTIE_RESULT_URL, "absolute");
    refused(Mock::new("ftp://x/"), SORTIE_RESULT_SCHEME, "ftp");
    refused(Mock::new("*").method("GE T"), SORTIE_RESULT_METHOD, "token");
    refused(Mock::new("*").status(100), SORTIE_RESULT_ARGUMENT, "status is 100, it must be 200 to 599");
    refused(Mock::new("*").status(70_000), SORTIE_RESULT_ARGUMENT, "it must be 200 to 599");
    refused(Mock::new("*").header("a b", "c"), SORTIE_RESULT_HEADER, "a b");
    refused(Mock::new("*").header("a", "b\r\nc"), SORTIE_RESULT_HEADER, "U+000D");
    refused(Mock::new("*").error(999), SORTIE_RESULT_ARGUMENT, "error is 999");
    for _ in 0..4096 {
        host.mock(&Mock::new("http://never.example/"));
    }
    refused(Mock::new("*"), SORTIE_RESULT_TOO_MANY_REQUESTS, "4096");
    // SAFETY: NULL is what is tested.
    unsafe {
        assert_eq!(sortie_client_mock(host.raw(), std::ptr::null(), std::ptr::null_mut()), SORTIE_RESULT_NULL_ARGUMENT);
        assert_eq!(sortie_client_unmock(std::ptr::null_mut(), 1), SORTIE_RESULT_NULL_ARGUMENT);
    }
    host.fetch(&Req::get(format!("http://{}/", refused_addr()))).failed(SORTIE_ERROR_CONNECT);
}

/// Fields that decide something, with values at their limits and beyond, in every mixture: none may make the worker fail.
#[test]
fn no_header_is_too_much() {
    const FIELDS: [&str; 17] = [
        "Cache-Control",
        "Age",
        "Date",
        "Expires",
        "Last-Modified",
        "ETag",
        "Vary",
        "Location",
        "Content-Location",
        "Retry-After",
        "Content-Range",
        "Content-Encoding",
        "Content-Type",
        "Accept-Ranges",
        "Set-Cookie",
        "Pragma",
        "Connection",
    ];
    const VALUES: [&str; 40] = [
        "",
        "0",
        "-1",
        "18446744073709551615",
        "99999999999999999999999",
        "max-age=18446744073709551615",
        "max-age=0, stale-if-error=18446744073709551615, must-revalidate",
        "max-age=\"60\", private=\"a,b",
        "no-cache=\"Set-Cookie\", max-age=9",
        "public, max-age=60, stale-if-error=60",
        "no-cache",
        ",,=,\"",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 99 Foo 0000 99:99:99 GMT",
        "\"\"",
        "\"tag\"",
        "W/\"tag\"",
        "*",
        "Cookie, *",
        "Accept, User-Agent,,",
        "/elsewhere#part",
        "//[",
        "http://other.test/\u{e4}?a=b",
        "file:///etc/passwd",
        "bytes 0-18446744073709551615/18446744073709551615",
        "bytes 3-1/2",
        "bytes 1-18446744073709551614/*",
        "bytes */0",
        "gzip",
        "gzip, br, zstd, deflate, gzip",
        "identity",
        "text/html; charset=\"",
        "text/plain; charset=utf-16",
        "none",
        "a=b; Max-Age=99999999999999999999; Expires=Fri, 31 Dec 9999 23:59:59 GMT",
        "__Host-a=b; Secure; Path=/; Domain=.test",
        "close, Age, \u{fc}",
        "\t",
    ];
    let seed = seed();
    let mut random = Random::new(seed);
    let folder = Folder::new();
    let host = Setup {
        flags: SORTIE_CLIENT_MOCKS_ONLY,
        max_memory_cache_bytes: 1 << 20,
        cache_directory: Some(folder.join("cache")),
        ..Setup::default()
    }
    .start();
    for step in 0..1500 {
        let statuses = [200, 200, 200, 206, 204, 301, 304, 307, 404, 410, 416, 429, 503];
        let mut mock = Mock::new("*").status(statuses[random.below(statuses.len() as u64) as usize]).body("body");
        for _ in 0..random.below(6) {
            let name = FIELDS[random.below(FIELDS.len() as u64) as usize];
            mock = mock.header(name, VALUES[random.below(VALUES.len() as u64) as usize]);
        }
        let mock = host.mock(&mock);
        let mut request = Req::get(format!("http://x.test/{}", random.below(4))).max_redirects(2).max_attempts(2);
        request = request.retry_delay_ms(1).timeout_ms(5_000).cache_mode(random.below(6) as u32);
        match random.below(4) {
            0 => request.flags = SORTIE_REQUEST_STREAM_RESPONSE,
            1 => {
                request.response_path = Some(folder.join("file"));
                request.flags = SORTIE_REQUEST_RESUME;
            }
            _ => {}
        }
        let ended = host.fetch(&request);
        assert_ne!(ended.error, SORTIE_ERROR_INTERNAL, "step {step} of seed {seed}: {ended:?}");
        host.unmock(mock);
    }
}
