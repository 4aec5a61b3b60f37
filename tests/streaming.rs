//! A response handed over as it comes: whole, in order, and never more of it in memory than its window.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use sha2::{Digest, Sha256};
use sortie_test_server::{Outcome, Response, Server, pattern_vec};
use support::*;

fn stream(url: String) -> Req {
    Req::get(url).flags(SORTIE_REQUEST_STREAM_RESPONSE)
}

/// The pieces of a request's body, one after another.
fn joined(events: &[Event]) -> Vec<u8> {
    events.iter().filter(|event| event.kind == SORTIE_EVENT_DATA).flat_map(|event| event.bytes().to_vec()).collect()
}

#[test]
fn pieces_come_in_order_after_the_head_and_are_all_there_is() {
    let (server, host) = (Server::start(), Host::new());
    for path in ["/bytes/3000000", "/chunked?bytes=3000000&chunk=5000", "/no-length?bytes=3000000"] {
        let id = host.submit(&stream(server.url(path)).user_data(9));
        let events = host.events(id);
        let (began, ended) = (&events[0], events.last().unwrap());
        assert_eq!((began.kind, began.status), (SORTIE_EVENT_BEGAN, 200), "{path}");
        assert!(!began.headers.is_empty());
        assert!(joined(&events) == pattern_vec(3_000_000), "{path}: the pieces are not the body");
        assert_eq!((ended.ok(200).body.as_deref(), ended.transferred), (None, 3_000_000), "{path}");
    }
}

#[test]
fn progress_beside_the_pieces_never_goes_back() {
    let (server, host) = (Server::start(), Host::new());
    for window in [16 << 10, 4 << 20] {
        let request = stream(server.url("/bytes/3000000")).progress(SORTIE_PROGRESS_DOWNLOAD);
        // That numbers do not go back is checked with every event.
        let events = host.events(host.submit(&request.stream_window_bytes(window)));
        assert!(joined(&events) == pattern_vec(3_000_000));
        assert!(events.iter().any(|event| event.kind == SORTIE_EVENT_PROGRESS));
    }
}

#[test]
fn a_host_that_looks_away_holds_the_transfer_up_and_memory_flat() {
    let (server, host) = (Server::start(), Host::new());
    let size: u64 = 64 << 20;
    let id = host.submit(&stream(server.url(&format!("/bytes/{size}"))).stream_window_bytes(64 << 10));
    // As much as fits has come, and then no more.
    until("the window to fill", || host.stats().buffered_bytes > 48 << 10);
    let_pass(200);
    let buffered = host.stats().buffered_bytes;
    assert!(buffered <= (64 + 32) << 10, "{buffered} bytes wait, the window is 64 KiB");
    let mut hasher = Sha256::new();
    let (mut most, mut came, mut ended) = (0, 0, false);
    while !ended {
        host.next_event(|_, event| {
            assert_eq!(event.request, id);
            hasher.update(event.bytes());
            came += event.bytes().len() as u64;
            ended = event.kind == SORTIE_EVENT_ENDED;
            if ended {
                event.ok(200);
            }
        });
        most = most.max(host.stats().buffered_bytes);
    }
    assert_eq!(came, size);
    assert!(most <= (64 + 48) << 10, "{most} bytes were held");
    let whole: Vec<u8> = pattern_vec(size as usize);
    assert_eq!(hasher.finalize()[..], Sha256::digest(&whole)[..]);
}

#[test]
fn many_streams_share_a_client() {
    let (server, host) = (Server::start(), Host::new());
    let ids: Vec<_> = (0..40)
        .map(|n| host.submit(&stream(server.url(&format!("/bytes/{}", 200_000 + n))).stream_window_bytes(16 << 10)))
        .collect();
    for (n, id) in ids.iter().enumerate() {
        let events = host.events(*id);
        assert!(joined(&events) == pattern_vec(200_000 + n));
        events.last().unwrap().ok(200);
    }
    // The next poll lets go of the last one's events.
    assert!(host.poll().is_empty());
    assert_eq!(host.stats().buffered_bytes, 0);
}

#[test]
fn compressed_bodies_errors_and_redirects_are_streamed_as_what_they_are() {
    let (server, host) = (Server::start(), Host::new());
    let whole = host.fetch(&Req::get(server.url("/gzip?bytes=500000"))).ok(200).bytes().to_vec();
    let events = host.events(host.submit(&stream(server.url("/gzip?bytes=500000"))));
    assert!(joined(&events) == whole);
    let events = host.events(host.submit(&stream(server.url("/status/404?body=none"))));
    assert_eq!((events[0].status, events.last().unwrap().ok(404).status), (404, 404));
    let events = host.events(host.submit(&stream(server.url("/redirect/3"))));
    assert_eq!(joined(&events), pattern_vec(2));
    let head = Req { method: Some("HEAD".into()), ..stream(server.url("/bytes/10")) };
    let events = host.events(host.submit(&head));
    assert_eq!((joined(&events).len(), events[0].kind), (0, SORTIE_EVENT_BEGAN));
}

#[test]
fn what_breaks_off_ends_after_what_has_come_and_is_not_made_again() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            conn.write_pattern(0, 50_000)?;
            conn.close_lingering().map(Some)
        })
        .start();
    let host = Host::new();
    let id = host.submit(&stream(server.url("/")).max_attempts(5).retry_delay_ms(1));
    let events = host.events(id);
    assert!(joined(&events) == pattern_vec(50_000));
    let ended = events.last().unwrap();
    ended.failed(SORTIE_ERROR_RECEIVE);
    assert_eq!(ended.attempts, 1);
}

#[test]
fn before_the_first_piece_an_attempt_may_follow() {
    let (server, host) = (Server::start(), Host::new());
    let url = server.url("/flaky?fails=2&key=stream&status=503");
    let id = host.submit(&stream(url).max_attempts(3).retry_delay_ms(1));
    let events = host.events(id);
    assert_eq!((joined(&events), events.last().unwrap().ok(200).attempts), (b"3".to_vec(), 3));
}

#[test]
fn a_wrong_hash_is_told_at_the_end() {
    let (server, host) = (Server::start(), Host::new());
    let right = sha256(&pattern_vec(100_000));
    let events = host.events(host.submit(&stream(server.url("/bytes/100000")).sha256(&right)));
    events.last().unwrap().ok(200);
    let events = host.events(host.submit(&stream(server.url("/bytes/100000")).sha256(&"0".repeat(64))));
    assert!(joined(&events) == pattern_vec(100_000));
    events.last().unwrap().failed(SORTIE_ERROR_INTEGRITY);
}

#[test]
fn a_stream_is_cancelled_suspended_and_destroyed_like_any_request() {
    let server = Server::builder()
        .handler(|_, conn| {
            let response = Response::new(200).header("Content-Type", "application/octet-stream");
            conn.start(&response, sortie_test_server::Framing::UntilClose)?;
            for at in 0.. {
                if conn.write_pattern(at * 10_000, 10_000).is_err() {
                    break;
                }
            }
            Ok(Some(Outcome::Close))
        })
        .start();
    let host = Host::new();
    let id = host.submit(&stream(server.url("/")));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_DATA);
    host.suspend();
    assert!(host.poll().is_empty());
    host.resume();
    host.await_event(id, |event| event.kind == SORTIE_EVENT_DATA && event.transferred > 1 << 20);
    assert_eq!(host.cancel(id), SORTIE_OK);
    let events = host.events(id);
    events.last().unwrap().failed(SORTIE_ERROR_CANCELLED);
    let body = joined(&events);
    assert!(body == pattern_vec(body.len()), "up to there nothing is missing");
    host.submit(&stream(server.url("/")));
    host.wait(DEADLINE);
    assert!(host.destroy().as_millis() < 500);
}

#[test]
fn a_trickle_of_bytes_does_not_pile_up() {
    let server = Server::builder()
        .handler(|_, conn| {
            let response = Response::new(200);
            conn.start(&response, sortie_test_server::Framing::UntilClose)?;
            // A byte at a time, as fast as they go.
            while conn.write_body(b"x").and_then(|()| conn.flush()).is_ok() {}
            Ok(Some(Outcome::Close))
        })
        .start();
    let host = Host::new();
    host.submit(&stream(server.url("/")).stream_window_bytes(16 << 10));
    until("the window to fill", || host.stats().buffered_bytes > 10 << 10);
    let_pass(300);
    assert!(host.stats().buffered_bytes < 64 << 10, "{}", host.stats().buffered_bytes);
}

#[test]
fn bodies_of_data_events_can_be_taken_over() {
    let (server, host) = (Server::start(), Host::new());
    host.submit(&stream(server.url("/bytes/40000")).stream_window_bytes(16 << 10));
    let (mut bodies, mut ended) = (Vec::new(), false);
    while !ended {
        host.next_event(|raw, event| {
            ended = event.kind == SORTIE_EVENT_ENDED;
            let mut body = std::ptr::null_mut();
            // SAFETY: an event of the last poll, and room for a pointer.
            if unsafe { sortie_event_take_body(raw, &mut body) } == SORTIE_OK {
                bodies.push(body);
            }
        });
    }
    assert_eq!(host.stats().buffered_bytes, 0, "what is taken over does not count");
    let mut all = Vec::new();
    for body in bodies {
        // SAFETY: taken over above, freed once.
        unsafe {
            let length = sortie_body_length(body) as usize;
            all.extend_from_slice(std::slice::from_raw_parts(sortie_body_data(body).cast::<u8>(), length));
            sortie_body_free(body);
        }
    }
    assert_eq!(all, pattern_vec(40_000));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new();
    let url = || "http://127.0.0.1:1/".to_owned();
    for (request, named) in [
        (stream(url()).stream_window_bytes(1), "stream_window_bytes is 1"),
        (stream(url()).stream_window_bytes(u32::MAX), "stream_window_bytes"),
        (Req::get(url()).stream_window_bytes(1 << 20), "SORTIE_REQUEST_STREAM_RESPONSE"),
        (Req::download(url(), "/tmp/x").flags(SORTIE_REQUEST_STREAM_RESPONSE), "streamed"),
    ] {
        let refused = host.try_submit(&request).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
        assert!(refused.message.contains(named), "{}", refused.message);
    }
}
