//! HTTP/2 servers that break off, lie and fall silent: every request on their connections ends at once and says why, and
//! nothing is sent twice that must not be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sortie_test_server::frames::{self, FrameServer, Frames};
use support::*;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;

fn get(server: &FrameServer) -> Req {
    Req::get(server.url("/x")).http_version(SORTIE_HTTP_2_PRIOR_KNOWLEDGE)
}

fn post(server: &FrameServer) -> Req {
    Req::new("POST", server.url("/x")).http_version(SORTIE_HTTP_2_PRIOR_KNOWLEDGE).body("body")
}

/// Answers whatever comes.
fn behave(frames: &mut Frames) -> io::Result<()> {
    loop {
        let (stream, _) = frames.request()?;
        frames.respond(stream, b"well")?;
    }
}

/// Long enough that whoever waits for a limit fails the test.
const LONG: u32 = 20_000;

/// What a server may send in place of a head. The connection is its last: it stays open, and is read.
type Fault = fn(&mut Frames, u32) -> io::Result<()>;

const MALFORMED: [(&str, Fault); 9] = [
    ("connection", |frames, stream| frames.head(stream, &[(":status", "200"), ("connection", "close")], false)),
    ("transfer-encoding", |frames, stream| {
        frames.head(stream, &[(":status", "200"), ("transfer-encoding", "chunked")], false)
    }),
    ("upper case", |frames, stream| frames.head(stream, &[(":status", "200"), ("X-Upper", "x")], true)),
    ("no status", |frames, stream| frames.head(stream, &[("server", "x")], true)),
    ("two statuses", |frames, stream| frames.head(stream, &[(":status", "200"), (":status", "200")], true)),
    ("an unknown pseudo field", |frames, stream| frames.head(stream, &[(":status", "200"), (":x", "y")], true)),
    ("a status of letters", |frames, stream| frames.head(stream, &[(":status", "abc")], true)),
    ("a broken block", |frames, stream| frames.send(frames::HEADERS, frames::END_HEADERS, stream, &[0xFF; 12])),
    ("a body before the head", |frames, stream| frames.data(stream, b"body", true)),
];

#[test]
fn a_malformed_head_ends_its_request_at_once() {
    for (what, fault) in MALFORMED {
        for upload in [false, true] {
            let server = FrameServer::start(move |_, frames| {
                let (stream, _) = frames.request()?;
                frames.settle()?;
                fault(frames, stream)?;
                frames.drain()
            });
            let host = Host::new();
            let request = if upload { post(&server) } else { get(&server) };
            let event = host.fetch(&request.timeout_ms(LONG));
            assert!(event.timing.as_ref().unwrap().total_us < 15_000_000, "{what} waited for a limit");
            event.failed(SORTIE_ERROR_PROTOCOL);
            assert!(server.connections_accepted() <= 2, "{what}");
        }
    }
}

#[test]
fn a_malformed_head_leaves_the_others_to_the_rules_for_repeating() {
    for (what, fault) in MALFORMED {
        let posts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&posts);
        let server = FrameServer::start(move |number, frames| {
            if number > 0 {
                loop {
                    let (stream, body) = frames.request()?;
                    counted.fetch_add(usize::from(body), Ordering::SeqCst);
                    frames.respond(stream, b"well")?;
                }
            }
            let (first, _) = frames.request()?;
            frames.respond(first, b"first")?;
            let requests = frames.requests(4)?;
            counted.fetch_add(requests.iter().filter(|(_, body)| *body).count(), Ordering::SeqCst);
            let [partly, _get, _post, last] = requests[..] else { unreachable!() };
            frames.head(partly.0, &[(":status", "200")], false)?;
            frames.data(partly.0, b"some", false)?;
            frames.settle()?;
            fault(frames, last.0)?;
            frames.drain()
        });
        let host = Host::new();
        // So that all share its connection.
        host.fetch(&get(&server)).ok(200);
        let partly = host.submit(&get(&server).timeout_ms(LONG).progress(SORTIE_PROGRESS_DOWNLOAD));
        let one = host.submit(&get(&server).timeout_ms(LONG));
        let posted = host.submit(&post(&server).timeout_ms(LONG));
        let faulty = host.submit(&Req { method: Some("PATCH".into()), ..get(&server).timeout_ms(LONG) });
        let ended = host.all_ended(&[partly, one, posted, faulty]);
        for event in &ended {
            assert!(event.timing.as_ref().unwrap().total_us < 15_000_000, "{what} waited for a limit: {event:?}");
        }
        // They went on, or were asked for again.
        for event in &ended[..2] {
            assert!(event.error == SORTIE_ERROR_NONE, "{what}: {event:?}");
        }
        assert_eq!(posts.load(Ordering::SeqCst), 2, "{what}: nothing was sent twice");
        ended[2].failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_PROTOCOL]);
        ended[3].failed(SORTIE_ERROR_PROTOCOL);
        assert_eq!(host.fetch(&get(&server)).ok(200).text(), "well");
    }
}

/// Ways for a connection to end under four requests, one of which has had some of its response.
const ENDINGS: [(&str, Fault); 6] = [
    ("GOAWAY with an error, and no close", |frames, _| frames.go_away(9, PROTOCOL_ERROR).and_then(|()| frames.close())),
    ("GOAWAY without an error and a close", |frames, _| frames.go_away(9, 0)),
    ("a close", |_, _| Ok(())),
    ("a reset", |frames, _| frames.abort()),
    ("more than the window", |frames, stream| {
        // A WINDOW_UPDATE beyond 2^31 is a FLOW_CONTROL_ERROR of the connection.
        frames.send(8, 0, 0, &0x7FFF_FFFF_u32.to_be_bytes())?;
        let _ = stream;
        frames.drain()
    }),
    ("a frame that cannot be", |frames, _| {
        frames.send(frames::PING, 0, 1, &[0; 3])?;
        frames.drain()
    }),
];

#[test]
fn whatever_ends_a_connection_ends_all_its_requests_at_once() {
    for (what, ending) in ENDINGS {
        let posts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&posts);
        let server = FrameServer::start(move |number, frames| {
            if number > 0 {
                return behave(frames);
            }
            let (first, _) = frames.request()?;
            frames.respond(first, b"first")?;
            let requests = frames.requests(4)?;
            counted.fetch_add(requests.iter().filter(|(_, body)| *body).count(), Ordering::SeqCst);
            frames.head(requests[0].0, &[(":status", "200")], false)?;
            frames.data(requests[0].0, b"some", false)?;
            frames.settle()?;
            ending(frames, requests[3].0)
        });
        let host = Host::new();
        host.fetch(&get(&server)).ok(200);
        let requests = [get(&server), get(&server), post(&server), get(&server)];
        let ids: Vec<u64> = requests.into_iter().map(|request| host.submit(&request.timeout_ms(LONG))).collect();
        for event in host.all_ended(&ids) {
            assert!(event.timing.as_ref().unwrap().total_us < 15_000_000, "{what} waited for a limit: {event:?}");
            if event.error != SORTIE_ERROR_NONE {
                event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_PROTOCOL, SORTIE_ERROR_SEND]);
            }
        }
        assert_eq!(posts.load(Ordering::SeqCst), 1, "{what}");
        assert_eq!(host.fetch(&get(&server)).ok(200).text(), "well");
    }
}

#[test]
fn a_stream_that_is_closed_before_its_end_is_no_whole_response() {
    let server = FrameServer::start(|_, frames| {
        loop {
            let (stream, _) = frames.request()?;
            let (beside, _) = frames.request()?;
            frames.head(stream, &[(":status", "200")], false)?;
            frames.data(stream, b"half", false)?;
            frames.respond(beside, b"whole")?;
            frames.settle()?;
            frames.reset(stream, 0)?;
        }
    });
    let (host, folder) = (Host::new(), Folder::new());
    for to_file in [false, true] {
        let request = get(&server).timeout_ms(LONG);
        let path = to_file.then(|| folder.join("half"));
        let cut = host.submit(&Req { response_path: path, ..request.progress(SORTIE_PROGRESS_DOWNLOAD) });
        until("the first to be under way", || host.stats().active == 1 && host.stats().connections <= 1);
        let whole = host.submit(&get(&server));
        host.ended(cut).failed(SORTIE_ERROR_RECEIVE);
        assert_eq!(host.ended(whole).ok(200).text(), "whole");
    }
    folder.holds(&[]);
}

#[test]
fn no_reset_in_the_middle_of_a_body_makes_it_whole() {
    for error in 0..=14 {
        let server = FrameServer::start(move |_, frames| {
            loop {
                let (stream, _) = frames.request()?;
                frames.head(stream, &[(":status", "200")], false)?;
                frames.data(stream, b"half", false)?;
                frames.reset(stream, error)?;
            }
        });
        let event = Host::new().fetch(&get(&server).timeout_ms(LONG));
        event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_PROTOCOL]);
        assert_eq!(event.status, 200, "error {error}");
    }
}

#[test]
fn a_response_may_come_whole_before_the_upload_is() {
    let server = FrameServer::start(|_, frames| {
        loop {
            let (stream, _) = frames.request()?;
            frames.respond(stream, b"enough")?;
            frames.reset(stream, 0)?;
        }
    });
    let host = Host::new();
    for _ in 0..3 {
        let upload = post(&server).body(vec![b'x'; 4 << 20]).timeout_ms(LONG);
        assert_eq!(host.fetch(&upload).ok(200).text(), "enough");
    }
    assert_eq!(server.connections_accepted(), 1);
}

#[test]
fn what_is_whole_by_its_length_may_be_closed() {
    let server = FrameServer::start(|_, frames| {
        loop {
            let (stream, _) = frames.request()?;
            frames.head(stream, &[(":status", "200"), ("content-length", "4")], false)?;
            frames.data(stream, b"four", false)?;
            frames.reset(stream, 0)?;
        }
    });
    let host = Host::new();
    assert_eq!(host.fetch(&get(&server)).ok(200).text(), "four");
}

#[test]
fn a_request_that_was_refused_is_sent_again_whatever_its_method() {
    for streamed in [false, true] {
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        let server = FrameServer::start(move |number, frames| {
            loop {
                let (stream, _) = frames.request()?;
                match number {
                    0..3 => frames.reset(stream, REFUSED_STREAM)?,
                    3..6 => {
                        frames.go_away(0, 0)?;
                        frames.settle()?;
                        return Ok(());
                    }
                    _ => {
                        counted.fetch_add(1, Ordering::SeqCst);
                        frames.respond(stream, b"well")?;
                    }
                }
            }
        });
        let host = Host::new();
        let mut request = post(&server).timeout_ms(LONG);
        if streamed {
            // Nothing of it is there yet when it is refused.
            request = Req { body: None, ..request.flags(SORTIE_REQUEST_STREAM_BODY) };
        }
        let id = host.submit(&request);
        if streamed {
            until("the last connection", || server.connections_accepted() >= 7);
            host.write_all(id, b"body");
            host.finish(id);
        }
        assert_eq!(host.ended(id).ok(200).text(), "well");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_server_that_always_refuses_is_given_up_with_the_reason() {
    let server = FrameServer::start(|_, frames| {
        loop {
            let (stream, _) = frames.request()?;
            frames.reset(stream, REFUSED_STREAM)?;
        }
    });
    let host = Host::new();
    for request in [get(&server), post(&server)] {
        let event = host.fetch(&request.timeout_ms(LONG));
        assert!(event.failed(SORTIE_ERROR_RECEIVE).contains("REFUSED_STREAM"), "{:?}", event.message);
    }
    assert!(server.connections_accepted() < 500, "{}", server.connections_accepted());
}

#[test]
fn a_post_whose_connection_ends_without_a_word_is_not_sent_again() {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&posts);
    let server = FrameServer::start(move |_, frames| {
        loop {
            let (stream, body) = frames.request()?;
            if body {
                counted.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            frames.respond(stream, b"well")?;
        }
    });
    let host = Host::new();
    for n in 1..=3 {
        host.fetch(&get(&server)).ok(200);
        let event = host.fetch(&post(&server).timeout_ms(LONG));
        event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_PROTOCOL, SORTIE_ERROR_SEND]);
        assert_eq!(posts.load(Ordering::SeqCst), n);
    }
}

#[test]
fn a_misdirected_request_goes_to_another_connection_once() {
    for always in [false, true] {
        let heads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&heads);
        let server = FrameServer::start(move |number, frames| {
            loop {
                let (stream, _) = frames.request()?;
                counted.fetch_add(1, Ordering::SeqCst);
                let status = if always || number == 0 { "421" } else { "200" };
                frames.head(stream, &[(":status", status)], true)?;
            }
        });
        let host = Host::new();
        for request in [get(&server), post(&server)] {
            host.fetch(&request.timeout_ms(LONG)).ok(if always { 421 } else { 200 });
        }
        assert!(heads.load(Ordering::SeqCst) <= 4, "{heads:?}");
        assert!(server.connections_accepted() >= 2);
    }
}
