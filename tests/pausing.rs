//! One request rests while others go on, and those that wait change places.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use sortie_test_server::{BlackHole, Server, pattern_vec};
use support::*;

#[test]
fn a_paused_download_moves_nothing_until_it_goes_on() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let size: u64 = 30 << 20;
    let url = server.url(&format!("/slow?bytes={size}&rate=50000000"));
    let request = Req::download(url, &target).progress(SORTIE_PROGRESS_DOWNLOAD).stall_timeout_ms(100);
    let id = host.submit(&request);
    host.await_event(id, |event| event.transferred > 0);
    assert_eq!(host.pause(id), SORTIE_OK);
    assert_eq!(host.pause(id), SORTIE_OK);
    // What was under way when the worker heard of it.
    let_pass(100);
    let before = host.stats().bytes_received;
    let_pass(300);
    assert_eq!(host.stats().bytes_received, before, "nothing moves, and it does not stall either");
    host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
    assert_eq!(host.unpause(id), SORTIE_OK);
    host.ended(id).ok(200);
    assert_eq!(std::fs::metadata(&target).unwrap().len(), size);
}

#[test]
fn a_paused_upload_and_a_paused_stream_go_on_whole() {
    let (server, host) = (Server::start(), Host::new());
    let body = pattern_vec(20 << 20);
    let upload = Req::new("POST", server.url("/upload")).body(body.clone()).progress(SORTIE_PROGRESS_UPLOAD);
    let id = host.submit(&upload);
    host.await_event(id, |event| event.transferred > 0);
    for _ in 0..10 {
        host.pause(id);
        let_pass(5);
        host.unpause(id);
    }
    host.ended(id).ok(200);
    assert_eq!(server.requests()[0].body_fnv, sortie_test_server::fnv(&body));
    let id = host.submit(&Req::get(server.url("/bytes/5000000")).flags(SORTIE_REQUEST_STREAM_RESPONSE));
    for _ in 0..10 {
        host.pause(id);
        let_pass(2);
        host.unpause(id);
    }
    let events = host.events(id);
    events.last().unwrap().ok(200);
    let all: Vec<u8> = events.iter().flat_map(|event| event.bytes().to_vec()).collect();
    assert!(all == pattern_vec(5_000_000));
}

#[test]
fn a_request_that_is_paused_while_it_waits_does_not_start() {
    let (server, hole) = (Server::start(), BlackHole::start());
    let host = Setup { max_active: 1, ..Setup::default() }.start();
    let first = host.get(hole.url("/"));
    let paused = host.get(server.url("/bytes/1"));
    let other = host.get(server.url("/bytes/2"));
    assert_eq!(host.pause(paused), SORTIE_OK);
    until("the counts", || host.stats().waiting == 2);
    host.cancel(first);
    host.ended(other).ok(200);
    let_pass(50);
    assert_eq!(server.requests().len(), 1, "the paused one has not been sent");
    assert_eq!(host.stats().waiting, 1);
    host.suspend();
    host.resume();
    let_pass(50);
    assert_eq!(server.requests().len(), 1, "resuming the client is another matter");
    assert_eq!(host.unpause(paused), SORTIE_OK);
    host.ended(paused).ok(200);
    host.ended(first).failed(SORTIE_ERROR_CANCELLED);
    assert_eq!((host.stats().waiting, host.stats().active), (0, 0));
}

#[test]
fn a_paused_request_can_be_cancelled_and_has_its_time_limits() {
    let (server, host) = (Server::start(), Host::new());
    host.suspend();
    let waiting = host.get(server.url("/bytes/1"));
    host.pause(waiting);
    host.resume();
    host.cancel(waiting);
    host.ended(waiting).failed(SORTIE_ERROR_CANCELLED);
    host.suspend();
    let limited = host.submit(&Req::get(server.url("/bytes/1")).queue_timeout_ms(50));
    host.pause(limited);
    host.resume();
    host.ended(limited).failed(SORTIE_ERROR_QUEUE_TIMEOUT);
    let running =
        host.submit(&Req::get(server.url("/stall?sent=10")).timeout_ms(300).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(running, |event| event.kind == SORTIE_EVENT_BEGAN);
    host.pause(running);
    host.ended(running).failed(SORTIE_ERROR_TIMEOUT);
    for stale in [waiting, 0, u64::MAX] {
        assert_eq!(host.pause(stale), SORTIE_RESULT_STALE);
        assert_eq!(host.unpause(stale), SORTIE_RESULT_STALE);
        assert_eq!(host.set_priority(stale, SORTIE_PRIORITY_HIGH), SORTIE_RESULT_STALE);
    }
    let id = host.get(server.url("/bytes/1"));
    assert_eq!(host.set_priority(id, 7), SORTIE_RESULT_ARGUMENT);
    assert!(last_error().contains("priority is 7"));
    host.ended(id).ok(200);
    assert!(host.destroy().as_millis() < 500);
}

#[test]
fn a_priority_that_changes_changes_the_order() {
    let server = Server::start();
    let host = Setup { max_active: 1, ..Setup::default() }.start();
    host.suspend();
    let ids: Vec<u64> = (0..4).map(|n| host.get(server.url(&format!("/bytes/{n}")))).collect();
    assert_eq!(host.set_priority(ids[3], SORTIE_PRIORITY_HIGH), SORTIE_OK);
    assert_eq!(host.set_priority(ids[0], SORTIE_PRIORITY_LOW), SORTIE_OK);
    host.resume();
    host.all_ended(&ids);
    let order: Vec<_> = server.requests().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(order, ["/bytes/3", "/bytes/1", "/bytes/2", "/bytes/0"]);
}
