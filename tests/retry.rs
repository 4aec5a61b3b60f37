//! A failed attempt is followed by another where that is safe, worth it, and asked for.

#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sortie_test_server::{Framing, Outcome, Response, Server, refused_addr};
use support::*;

/// Three quick attempts.
fn again(request: Req) -> Req {
    request.max_attempts(3).retry_delay_ms(1).flags(SORTIE_REQUEST_RETRY_EVENTS)
}

#[test]
fn passing_statuses_are_followed_by_another_attempt() {
    let (server, host) = (Server::start(), Host::new());
    for status in [408, 429, 500, 502, 503, 504] {
        let url = server.url(&format!("/flaky?fails=2&key={status}&status={status}"));
        let id = host.submit(&again(Req::get(url)));
        let events = host.events(id);
        let kinds: Vec<_> = events.iter().map(|event| (event.kind, event.status, event.attempts)).collect();
        let retry = SORTIE_EVENT_RETRY;
        assert_eq!(kinds, [(retry, status, 1), (retry, status, 2), (SORTIE_EVENT_ENDED, 200, 3)]);
        assert_eq!(events[2].text().trim(), "3", "the server saw three");
    }
}

#[test]
fn the_last_attempt_is_handed_over_as_it_is() {
    let (server, host) = (Server::start(), Host::new());
    let url = server.url("/flaky?fails=9&key=last&status=503");
    let ended = host.fetch(&again(Req::get(url)));
    assert_eq!(ended.ok(503).attempts, 3);
    assert!(!ended.bytes().is_empty(), "with its body");
    for (status, attempts) in [(404, 1), (501, 1), (403, 1), (200, 1)] {
        assert_eq!(
            host.fetch(&again(Req::get(server.url(&format!("/status/{status}"))))).ok(status).attempts,
            attempts
        );
    }
}

#[test]
fn broken_connections_are_followed_by_another_attempt() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&again(Req::get(server.url("/flaky?fails=2&key=reset&how=reset"))));
    let events = host.events(id);
    assert_eq!(events.len(), 3, "{events:?}");
    for event in &events[..2] {
        assert_eq!((event.kind, event.status), (SORTIE_EVENT_RETRY, 0));
        assert!([SORTIE_ERROR_RECEIVE, SORTIE_ERROR_SEND].contains(&event.error), "{event:?}");
    }
    assert_eq!(events[2].ok(200).attempts, 3);
    let ended = host.fetch(&again(Req::get(format!("http://{}/", refused_addr()))));
    ended.failed(SORTIE_ERROR_CONNECT);
    assert_eq!(ended.attempts, 3);
    let ended = host.fetch(&again(Req::get("http://no-such-name.invalid/")));
    ended.failed(SORTIE_ERROR_RESOLVE);
    assert_eq!(ended.attempts, 3);
}

#[test]
fn what_must_not_be_sent_twice_is_not() {
    let (server, host) = (Server::start(), Host::new());
    let post = |key: &str, more: &str| {
        again(Req::new("POST", server.url(&format!("/flaky?fails=1&key={key}{more}"))).body("x"))
    };
    assert_eq!(host.fetch(&post("a", "&status=503")).ok(503).attempts, 1);
    assert_eq!(host.fetch(&post("b", "&how=reset")).attempts, 1);
    let any = SORTIE_REQUEST_RETRY_ANY_METHOD;
    assert_eq!(host.fetch(&post("c", "&status=503").flags(any)).ok(200).attempts, 2);
    assert_eq!(host.fetch(&post("d", "&how=reset").flags(any)).ok(200).attempts, 2);
    // A connection that was refused has brought nothing anywhere.
    let refused = Req::new("POST", format!("http://{}/", refused_addr())).body("x");
    assert_eq!(host.fetch(&again(refused)).attempts, 3);
    // Without being asked for, nothing is made again.
    assert_eq!(host.fetch(&Req::get(server.url("/flaky?fails=1&key=e&status=503"))).ok(503).attempts, 1);
}

#[test]
fn what_was_redirected_is_not_sent_twice_either() {
    let server = Server::builder()
        .handler(|request, conn| {
            let to = match request.path() {
                "/buy" => "/receipt",
                "/sell" => "/cut",
                "/far" => &format!("http://{}/", refused_addr()),
                "/receipt" => return conn.send(&Response::new(503)).map(Some),
                _ => return Ok(Some(Outcome::Close)),
            };
            let status = if request.path() == "/far" { 307 } else { 303 };
            conn.send(&Response::new(status).header("Location", to)).map(Some)
        })
        .start();
    let host = Host::new();
    let sent = |path: &str| server.requests().iter().filter(|seen| seen.target == path).count();
    let post = |path: &str| again(Req::new("POST", server.url(path)).body("x"));
    assert_eq!(host.fetch(&post("/buy")).ok(503).attempts, 1);
    host.fetch(&post("/sell")).failed(SORTIE_ERROR_RECEIVE);
    host.fetch(&post("/far")).failed(SORTIE_ERROR_CONNECT);
    assert_eq!(["/buy", "/sell", "/far"].map(sent), [1, 1, 1], "the first hop has reached its server");
    let any = SORTIE_REQUEST_RETRY_ANY_METHOD;
    assert_eq!(host.fetch(&post("/buy").flags(any)).ok(503).attempts, 3);
}

#[test]
fn a_server_says_how_long_to_wait() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&again(Req::get(server.url("/flaky?fails=1&key=after&status=429&retry_after=1"))));
    let events = host.events(id);
    assert_eq!((events[0].kind, events[0].retry_delay_ms), (SORTIE_EVENT_RETRY, 1000));
    assert_eq!(events[0].header("Retry-After"), Some("1"));
    assert!(events[1].ok(200).timing.unwrap().total_us >= 1_000_000);
    // Longer than the request has time.
    let long = again(Req::get(server.url("/flaky?fails=1&key=long&status=429&retry_after=60"))).timeout_ms(20_000);
    assert_eq!(host.fetch(&long).ok(429).attempts, 1);
}

#[test]
fn a_date_to_wait_for_is_measured_by_the_servers_clock() {
    const NOW: &str = "Fri, 31 Dec 1999 23:59:58 GMT";
    let at = |after: &'static str, date: Option<&'static str>| {
        let server = Server::builder()
            .handler(move |_, conn| {
                let mut response = Response::new(503).header("Retry-After", after);
                if let Some(date) = date {
                    response = response.header("Date", date);
                }
                conn.send(&response).map(Some)
            })
            .start();
        let host = Host::new();
        // What the machine's clock makes of a date in the past or far ahead is either nothing or too long.
        let id = host.submit(&again(Req::get(server.url("/"))).retry_delay_ms(1).timeout_ms(SORTIE_NO_TIMEOUT));
        let retry = host.await_event(id, |event| event.kind == SORTIE_EVENT_RETRY);
        host.cancel(id);
        host.ended(id);
        retry.retry_delay_ms
    };
    assert_eq!(at("Sat, 01 Jan 2000 00:00:03 GMT", Some(NOW)), 5_000, "whatever the year is here");
    assert_eq!(at("Thu, 01 Jan 2099 00:00:03 GMT", Some("Thu, 01 Jan 2099 00:00:01 GMT")), 2_000);
    assert!(at(NOW, Some(NOW)) <= 1);
    assert!(at("Fri, 31 Dec 1999 23:59:00 GMT", Some(NOW)) <= 1, "it is over");
    assert_eq!(at("Thu, 01 Jan 2099 00:00:03 GMT", Some(NOW)), 3_600_000, "an hour at most");
    assert_eq!(at("Thu, 01 Jan 2099 00:00:03 GMT", None), 3_600_000);
    assert!(at("Sat, 01 Jan 2000 00:00:03 GMT", None) <= 1);
}

#[test]
fn a_server_that_asks_for_ages_is_waited_for() {
    let server = Server::builder()
        .handler(|_, conn| {
            let response = Response::new(503).header("Retry-After", u64::MAX.to_string());
            conn.start(&response, Framing::Length(1))?;
            conn.flush()?;
            // The head comes in the first second of the client's clock, the end in the next.
            conn.pause(Duration::from_millis(1100))?;
            conn.write_body(b"x")?;
            Ok(Some(Outcome::Done))
        })
        .start();
    let host = Host::new();
    let other = host.submit(&Req::get(server.url("/other")));
    let id = host.submit(&again(Req::get(server.url("/"))).timeout_ms(SORTIE_NO_TIMEOUT));
    let retry = host.await_event(id, |event| event.kind == SORTIE_EVENT_RETRY);
    assert_eq!((retry.status, retry.retry_delay_ms), (503, u32::MAX));
    host.ended(other).ok(503);
    assert_eq!(host.cancel(id), SORTIE_OK);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
}

#[test]
fn the_total_time_spans_all_attempts_and_each_can_have_its_own() {
    let (server, host) = (Server::start(), Host::new());
    let slow = Req::get(server.url("/delay?ms=60000"));
    let ended = host.fetch(&again(slow.clone()).attempt_timeout_ms(50));
    assert!(ended.failed(SORTIE_ERROR_TIMEOUT).contains("50 ms"), "{:?}", ended.message);
    assert_eq!(ended.attempts, 3);
    let ended = host.fetch(&again(slow).timeout_ms(100));
    assert!(ended.failed(SORTIE_ERROR_TIMEOUT).contains("100 ms"), "{:?}", ended.message);
    assert_eq!(ended.attempts, 1);
    let endless = Req::get(format!("http://{}/", refused_addr())).max_attempts(100).retry_delay_ms(20).timeout_ms(300);
    let ended = host.fetch(&endless);
    ended.failed_as(&[SORTIE_ERROR_CONNECT, SORTIE_ERROR_TIMEOUT]);
    assert!((2..100).contains(&ended.attempts), "{}", ended.attempts);
}

#[test]
fn a_resting_request_can_be_cancelled_and_counts_as_waiting() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&again(Req::get(server.url("/flaky?fails=1&key=rest&status=503&retry_after=20"))));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_RETRY);
    until("the counts", || (host.stats().waiting, host.stats().active) == (1, 0));
    assert_eq!(host.cancel(id), SORTIE_OK);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    assert_eq!(host.stats().waiting, 0);
    let id = host.submit(&again(Req::get(server.url("/flaky?fails=1&key=rest2&status=503&retry_after=20"))));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_RETRY);
    assert!(host.destroy() < Duration::from_secs(1));
}

#[test]
fn a_resting_request_waits_for_resume() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&again(Req::get(server.url("/flaky?fails=1&key=suspend&status=503&retry_after=1"))));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_RETRY);
    host.suspend();
    let_pass(1500);
    assert_eq!(server.requests().len(), 1, "nothing starts while suspended");
    host.resume();
    assert_eq!(host.ended(id).ok(200).attempts, 2);
}

#[test]
fn every_attempt_starts_from_the_first_hop_with_its_method_and_body() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    let server = Server::builder()
        .handler(|request, conn| match request.path() {
            "/first" => conn.send(&Response::new(303).header("Location", "/second")).map(Some),
            "/second" if SEEN.fetch_add(1, Ordering::SeqCst) == 0 => conn.send(&Response::new(503)).map(Some),
            "/second" => conn.send(&Response::new(200).body("done")).map(Some),
            _ => Ok(None),
        })
        .start();
    let host = Host::new();
    let request = again(Req::new("PUT", server.url("/first")).body("the body"));
    let ended = host.fetch(&request);
    assert_eq!((ended.ok(200).text(), ended.attempts), ("done", 2));
    let seen: Vec<_> = server.requests().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
    assert_eq!(seen, ["PUT /first", "GET /second", "PUT /first", "GET /second"]);
    assert_eq!(server.requests()[2].body.as_deref(), Some(&b"the body"[..]));
}

#[test]
fn files_come_whole_after_broken_attempts_and_progress_never_goes_back() {
    static BROKEN: AtomicU32 = AtomicU32::new(0);
    let server = Server::builder()
        .handler(|request, conn| {
            if request.path() != "/file" || BROKEN.fetch_add(1, Ordering::SeqCst) >= 2 {
                return Ok(None);
            }
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")?;
            conn.write_pattern(0, 300_000)?;
            Ok(Some(Outcome::Close))
        })
        .start();
    let (host, folder) = (Host::new(), Folder::new());
    let target = folder.join("file");
    let request = again(Req::download(server.url("/file"), &target)).progress(SORTIE_PROGRESS_DOWNLOAD);
    let ended = host.fetch(&request);
    // The third answer is the server's own 404.
    assert_eq!((ended.ok(404).attempts, target.exists()), (3, false));
    folder.holds(&[]);

    BROKEN.store(0, Ordering::SeqCst);
    let server = Server::builder()
        .handler(|_, conn| {
            let whole = BROKEN.fetch_add(1, Ordering::SeqCst) >= 2;
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n")?;
            conn.write_pattern(0, if whole { 400_000 } else { 300_000 })?;
            Ok(Some(Outcome::Close))
        })
        .start();
    let id = host.submit(&again(Req::download(server.url("/"), &target)).progress(SORTIE_PROGRESS_DOWNLOAD));
    let events = host.events(id);
    let ended = events.last().unwrap();
    assert_eq!((ended.ok(200).attempts, ended.transferred, ended.estimated), (3, 400_000, 400_000));
    assert_eq!(std::fs::read(&target).unwrap(), sortie_test_server::pattern_vec(400_000));
    assert_eq!(events.iter().filter(|event| event.kind == SORTIE_EVENT_BEGAN).count(), 1);
    folder.holds(&["file"]);
}

#[test]
fn a_lent_body_is_the_librarys_until_the_last_attempt_has_ended() {
    let (server, host) = (Server::start(), Host::new());
    let body = vec![b'x'; 100_000];
    let flags = SORTIE_REQUEST_RETRY_ANY_METHOD | SORTIE_REQUEST_BORROW_BODY;
    let mut strings = Strings::default();
    let mut desc = empty_desc(strings.text(&server.url("/flaky?fails=2&key=lent&status=500")));
    (desc.body, desc.body_length, desc.flags) = (body.as_ptr().cast(), body.len() as u64, flags);
    (desc.max_attempts, desc.retry_delay_ms) = (3, 1);
    let id = host.accepted(submit_raw(host.raw(), &desc).unwrap());
    assert_eq!(host.ended(id).ok(200).attempts, 3);
    assert!(server.requests().iter().all(|seen| seen.body_length == 100_000));
}

#[test]
fn too_many_attempts_are_refused() {
    let host = Host::new();
    let refused = host.try_submit(&Req::get("http://127.0.0.1:1/").max_attempts(101)).unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
    assert!(refused.message.contains("max_attempts is 101"), "{}", refused.message);
}

#[test]
fn a_resting_request_gives_its_place_to_others() {
    let (server, host) = (Server::start(), Setup { max_active: 1, ..Setup::default() }.start());
    let resting = host.submit(&again(Req::get(server.url("/flaky?fails=1&key=place&status=503&retry_after=20"))));
    host.await_event(resting, |event| event.kind == SORTIE_EVENT_RETRY);
    host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
    assert_eq!(host.counts(), (2, 1), "it did not wait for the resting one");
    assert_eq!(host.cancel(resting), SORTIE_OK);
}
