//! A request's body handed over while it is sent: whole, in order, and never more of it waiting than its window.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sortie_test_server::{BlackHole, Framing, Outcome, Response, Server, fnv, pattern_vec};
use support::*;

fn stream(url: String) -> Req {
    Req::get(url).flags(SORTIE_REQUEST_STREAM_BODY)
}

#[test]
fn a_body_arrives_whole_and_in_order_with_and_without_a_length() {
    let (server, host) = (Server::start(), Host::new());
    let body = pattern_vec(5_000_000);
    for (length, header) in [(0, "Transfer-Encoding"), (body.len() as u64, "Content-Length")] {
        let id = host.submit(&stream(server.url("/upload")).streamed_length(length).progress(SORTIE_PROGRESS_UPLOAD));
        host.write_all(id, &body);
        assert_eq!(host.finish(id), SORTIE_OK);
        assert_eq!(host.finish(id), SORTIE_OK, "twice is fine");
        let events = host.events(id);
        let ended = events.last().unwrap();
        assert_eq!(ended.ok(200).text(), format!("5000000 {:016x}", fnv(&body)));
        let estimated = if length == 0 { -1 } else { 5_000_000 };
        assert_eq!((ended.transferred, ended.estimated), (5_000_000, estimated));
        let seen = server.requests().pop().unwrap();
        assert!(seen.header(header).is_some(), "{seen:?}");
        assert_eq!((seen.method.as_str(), seen.header("Content-Type")), ("POST", Some("application/octet-stream")));
    }
    assert!(host.poll().is_empty());
}

#[test]
fn no_more_waits_than_the_window_and_room_is_told_of() {
    let hole = BlackHole::start();
    let host = Host::new();
    let id = host.submit(&stream(hole.url("/")).stream_window_bytes(20_000));
    assert_eq!(host.try_write(id, &[1; 15_000]), Ok(15_000));
    assert_eq!(host.try_write(id, &[1; 15_000]), Ok(5_000));
    assert_eq!(host.try_write(id, &[1; 1]), Ok(0));
    assert_eq!(host.try_write(id, &[]), Ok(0));
    let_pass(50);
    assert!(host.poll().is_empty(), "nothing is sent, so there is no room");
    host.cancel(id);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    let refused = host.try_write(id, &[1]).unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_STALE);
    assert_eq!(host.finish(id), SORTIE_RESULT_STALE);
}

#[test]
fn a_slow_server_gets_a_long_body_through_a_small_window() {
    let (server, host) = (Server::start(), Host::new());
    let body = pattern_vec(2_000_000);
    let id = host.submit(&stream(server.url("/upload-slow?rate=20000000")).stream_window_bytes(16 << 10));
    for piece in body.chunks(7_001) {
        host.write_all(id, piece);
    }
    host.finish(id);
    assert_eq!(host.ended(id).ok(200).text(), format!("2000000 {:016x}", fnv(&body)));
}

#[test]
fn a_pause_of_the_host_is_no_stall_but_counts_in_the_total_time() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&stream(server.url("/upload")).stall_timeout_ms(50));
    host.write_all(id, b"one");
    let_pass(200);
    host.write_all(id, b"two");
    host.finish(id);
    assert_eq!(host.ended(id).ok(200).text(), format!("6 {:016x}", fnv(b"onetwo")));
    let id = host.submit(&stream(server.url("/upload")).timeout_ms(100));
    host.write_all(id, b"one");
    host.ended(id).failed(SORTIE_ERROR_TIMEOUT);
}

#[test]
fn what_is_written_before_the_start_and_while_suspended_is_sent() {
    let (server, hole) = (Server::start(), BlackHole::start());
    let host = Setup { max_active: 1, ..Setup::default() }.start();
    let first = host.get(hole.url("/"));
    let id = host.submit(&stream(server.url("/upload")));
    host.write_all(id, b"early ");
    until("the counts", || host.stats().waiting == 1);
    host.suspend();
    host.cancel(first);
    host.write_all(id, b"late");
    host.finish(id);
    host.resume();
    assert_eq!(host.ended(id).ok(200).text(), format!("10 {:016x}", fnv(b"early late")));
    host.ended(first);
}

#[test]
fn a_paused_request_takes_what_there_is_room_for_and_sends_it_later() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&stream(server.url("/upload")));
    host.write_all(id, b"a");
    until("the start", || host.stats().bytes_sent == 1);
    host.pause(id);
    host.write_all(id, b"b");
    host.finish(id);
    let_pass(100);
    assert_eq!(host.stats().bytes_sent, 1);
    host.unpause(id);
    assert_eq!(host.ended(id).ok(200).text(), format!("2 {:016x}", fnv(b"ab")));
}

#[test]
fn a_length_is_kept_to() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&stream(server.url("/upload")).streamed_length(5));
    assert_eq!(host.try_write(id, b"abc"), Ok(3));
    let refused = host.try_write(id, b"def").unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
    assert_eq!(refused.message, "3 bytes of body, and body_length leaves 2");
    assert_eq!(host.finish(id), SORTIE_RESULT_ARGUMENT);
    assert!(last_error().contains("lacks 2 of the bytes"), "{}", last_error());
    assert_eq!(host.try_write(id, b"de"), Ok(2));
    host.ended(id).ok(200);
    assert_eq!(server.requests()[0].body_fnv, fnv(b"abcde"));
}

#[test]
fn after_the_end_nothing_more_is_taken() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&stream(server.url("/delay?ms=300")));
    host.finish(id);
    let refused = host.try_write(id, b"x").unwrap_err();
    assert!(refused.result == SORTIE_RESULT_ARGUMENT && refused.message.contains("is finished"), "{refused:?}");
    host.ended(id).ok(200);
}

#[test]
fn an_answer_that_comes_early_ends_the_request_and_what_follows_is_dropped() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&stream(server.url("/upload-refuse")));
    host.write_all(id, &[7; 1000]);
    until("its end", || host.stats().undrained == 1);
    for _ in 0..3 {
        assert!(host.try_write(id, &[7; 1000]).is_ok(), "it is not stale before its end is drained");
    }
    host.ended(id).ok(413);
}

#[test]
fn a_redirect_that_asks_for_the_body_again_fails_and_one_that_does_not_is_followed() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&stream(server.url("/redirect-to?url=/upload&status=307")));
    host.write_all(id, b"gone");
    host.finish(id);
    let ended = host.ended(id);
    assert!(ended.failed(SORTIE_ERROR_REDIRECTS).contains("asks for the body again"), "{ended:?}");
    let id = host.submit(&stream(server.url("/redirect-to?url=/method&status=303")));
    host.write_all(id, b"gone");
    host.finish(id);
    assert_eq!(host.ended(id).ok(200).text(), "GET");
}

#[test]
fn nothing_is_made_again_once_some_of_the_body_is_sent() {
    let (server, host) = (Server::start(), Host::new());
    let flaky = |key: &str| server.url(&format!("/flaky?fails=1&status=503&key={key}"));
    let put = |key: &str| Req { method: Some("PUT".into()), ..stream(flaky(key)).max_attempts(3).retry_delay_ms(1) };
    let id = host.submit(&put("some"));
    host.write_all(id, b"x");
    host.finish(id);
    assert_eq!(host.ended(id).ok(503).attempts, 1);
    let id = host.submit(&put("none"));
    host.finish(id);
    assert_eq!(host.ended(id).ok(200).attempts, 2, "nothing was sent, so nothing is lost");
    let lost = Req { method: Some("PUT".into()), ..stream(server.url("/reset-headers")).max_attempts(3) };
    let id = host.submit(&lost);
    host.write_all(id, b"x");
    host.finish(id);
    let ended = host.ended(id);
    ended.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_SEND]);
    assert_eq!(ended.attempts, 1);
}

#[test]
fn a_refusal_after_a_redirect_is_not_followed_by_half_a_body() {
    // 303, and what it leads to is busy: the first hop would need its body again.
    let server = Server::builder()
        .handler(|request, conn| {
            conn.drain_body()?;
            let response = match request.path() {
                "/put" => Response::new(303).header("Location", "/busy"),
                _ => Response::new(503),
            };
            conn.send(&response).map(Some)
        })
        .start();
    let host = Host::new();
    let put = Req { method: Some("PUT".into()), ..stream(server.url("/put")).max_attempts(3).retry_delay_ms(1) };
    let id = host.submit(&put);
    host.write_all(id, b"once");
    host.finish(id);
    assert_eq!(host.ended(id).ok(503).attempts, 1);
    assert_eq!(server.requests().iter().filter(|request| request.target == "/put").count(), 1);
}

#[test]
fn a_refusal_while_the_body_is_handed_over_loses_none_of_it() {
    let refused = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&refused);
    let server = Server::builder()
        .handler(move |_, conn| {
            if !seen.swap(true, Ordering::SeqCst) {
                // The head, and the rest of the answer only when the program may have handed over more.
                conn.skip_body();
                conn.write(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbu")?;
                conn.flush()?;
                conn.pause(Duration::from_millis(100))?;
                conn.write(b"sy")?;
                return conn.close_lingering().map(Some);
            }
            let body = conn.read_body_up_to(1000)?;
            conn.send(&Response::new(200).body(body)).map(Some)
        })
        .start();
    let host = Host::new();
    let put = Req { method: Some("PUT".into()), ..stream(server.url("/")).max_attempts(3).retry_delay_ms(1) };
    let id = host.submit(&put);
    until("the refusal", || refused.load(Ordering::SeqCst));
    let_pass(30);
    host.write_all(id, b"whole");
    host.finish(id);
    let ended = host.ended(id);
    // Made again with all of the body, or not made again.
    match ended.status {
        200 => assert_eq!(ended.ok(200).text(), "whole"),
        _ => assert_eq!(ended.status, 503, "{ended:?}"),
    }
}

#[test]
fn a_stream_tells_of_its_head_beside_the_uploads_size() {
    let (server, host) = (Server::start(), Host::new());
    let flags = SORTIE_REQUEST_STREAM_RESPONSE;
    let upload = Req::new("POST", server.url("/echo")).body("x").flags(flags).progress(SORTIE_PROGRESS_UPLOAD);
    let events = host.events(host.submit(&upload));
    let began: Vec<i32> =
        events.iter().filter(|event| event.kind == SORTIE_EVENT_BEGAN).map(|event| event.status).collect();
    assert_eq!(began, [0, 200]);
}

#[test]
fn a_connection_that_had_died_is_found_out_before_anything_is_sent() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.drain_body()?;
            conn.send(&Response::new(200).body("ok"))?;
            // It does not say so, and goes.
            Ok(Some(Outcome::Close))
        })
        .start();
    let host = Host::new();
    for n in 0..20_u8 {
        let method = if n % 2 == 0 { "POST" } else { "PUT" };
        let id = host.submit(&Req { method: Some(method.into()), ..stream(server.url("/")) });
        host.write_all(id, &[n; 10]);
        host.finish(id);
        let ended = host.ended(id);
        if ended.error != SORTIE_ERROR_NONE {
            // It may have died in the moment in which it was used.
            ended.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_SEND]);
        }
    }
}

#[test]
fn mocks_take_a_streamed_body_too() {
    let host = Setup { flags: SORTIE_CLIENT_MOCKS_ONLY, ..Setup::default() }.start();
    host.mock(&Mock::new("*").body("thanks"));
    let id = host.submit(&stream("http://mocked/".into()).progress(SORTIE_PROGRESS_UPLOAD));
    host.write_all(id, &pattern_vec(1_000_000));
    host.finish(id);
    let ended = host.ended(id);
    assert_eq!((ended.ok(200).text(), ended.transferred), ("thanks", 1_000_000));
}

#[test]
fn many_bodies_are_handed_over_from_many_threads() {
    let (server, host) = (Server::start(), Host::new());
    let ids: Vec<u64> =
        (0..16).map(|_| host.submit(&stream(server.url("/upload")).stream_window_bytes(16 << 10))).collect();
    std::thread::scope(|scope| {
        for (n, id) in ids.iter().enumerate() {
            let host = &host;
            scope.spawn(move || {
                let body = pattern_vec(100_000 + n);
                let mut rest = body.as_slice();
                while !rest.is_empty() {
                    let taken = host.try_write(*id, rest).unwrap();
                    rest = &rest[taken..];
                    if taken == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                assert_eq!(host.finish(*id), SORTIE_OK);
            });
        }
    });
    for (n, id) in ids.iter().enumerate() {
        let events = host.events(*id);
        let body = pattern_vec(100_000 + n);
        assert_eq!(events.last().unwrap().ok(200).text(), format!("{} {:016x}", body.len(), fnv(&body)));
        let told = events.iter().filter(|event| event.kind == SORTIE_EVENT_WRITABLE).count();
        assert!(told <= 1, "{told} of them were undrained");
    }
}

#[test]
fn both_directions_stream_at_once() {
    let server = Server::builder()
        .handler(|_, conn| {
            // The answer does not wait for the body's end.
            conn.skip_body();
            conn.start(&Response::new(200), Framing::Chunked)?;
            let mut piece = [0; 5000];
            loop {
                match conn.read_body(&mut piece)? {
                    0 => break,
                    count => conn.write_body(&piece[..count])?,
                }
            }
            conn.finish_body(&[])?;
            Ok(Some(Outcome::Done))
        })
        .start();
    let host = Host::new();
    let both = SORTIE_REQUEST_STREAM_BODY | SORTIE_REQUEST_STREAM_RESPONSE;
    let id = host.submit(&stream(server.url("/")).flags(both).stream_window_bytes(16 << 10));
    let body = pattern_vec(300_000);
    host.write_all(id, &body);
    host.finish(id);
    let events = host.events(id);
    events.last().unwrap().ok(200);
    let came: Vec<u8> = events.iter().flat_map(|event| event.bytes().to_vec()).collect();
    let differs = came.iter().zip(&body).position(|(came, sent)| came != sent);
    assert!(came == body, "{} bytes, the first other one is {differs:?}", came.len());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let host = Host::new();
    let url = || "http://127.0.0.1:1/".to_owned();
    let (folder, gzip) = (Folder::new(), SORTIE_REQUEST_STREAM_BODY | SORTIE_REQUEST_GZIP_BODY);
    let file = folder.file("body", b"x");
    for (request, named) in [
        (stream(url()).stream_window_bytes(1), "stream_window_bytes is 1"),
        (stream(url()).body("x"), "neither body nor body_path nor form_parts"),
        (Req::upload(url(), file).flags(SORTIE_REQUEST_STREAM_BODY), "neither body nor body_path nor form_parts"),
        (stream(url()).form(&[]), "neither body nor body_path nor form_parts"),
        (stream(url()).flags(gzip), "a streamed body cannot be compressed"),
        (stream(url()).body_kind(SORTIE_BODY_TEXT), "body_kind text"),
        (Req { method: Some("HEAD".into()), ..stream(url()) }, "HEAD"),
    ] {
        let refused = host.try_submit(&request).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
        assert!(refused.message.contains(named), "{}", refused.message);
    }
    let hole = BlackHole::start();
    let id = host.get(hole.url("/"));
    let refused = host.try_write(id, b"x").unwrap_err();
    assert!(refused.result == SORTIE_RESULT_ARGUMENT && refused.message.contains("is not streamed"), "{refused:?}");
    assert_eq!(host.try_write(77, b"x").unwrap_err().result, SORTIE_RESULT_STALE);
    // SAFETY: a live client; what is NULL is refused.
    unsafe {
        assert_eq!(sortie_body_write(host.raw(), id, b"x".as_ptr().cast(), 1, std::ptr::null_mut()), -1);
        assert_eq!(sortie_body_write(std::ptr::null_mut(), id, b"x".as_ptr().cast(), 1, &mut 0), -1);
        assert_eq!(sortie_body_write(host.raw(), id, std::ptr::null(), 1, &mut 0), -1);
        assert_eq!(sortie_body_finish(std::ptr::null_mut(), id), -1);
    }
}
