//! Bandwidth limits, of one request and of all together, changed while they run.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::thread;
use std::time::Duration;

use sortie_test_server::{Server, fnv, pattern_vec};
use support::*;

/// How long a request took from its start, in milliseconds.
fn took_ms(event: &Event) -> u64 {
    event.timing.unwrap().total_us / 1000
}

#[test]
fn a_download_keeps_to_its_rate_and_others_are_not_slowed() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let limited = Req::download(server.url("/bytes/500000"), &target).receive_rate(1_000_000).stall_timeout_ms(50);
    let id = host.submit(&limited);
    for _ in 0..20 {
        host.fetch(&Req::get(server.url("/bytes/500000"))).ok(200);
    }
    let event = host.ended(id);
    event.ok(200);
    // Less what may come at once at the start, and the last piece.
    assert!(took_ms(&event) >= 400, "{event:?}");
    assert!(std::fs::read(&target).unwrap() == pattern_vec(500_000));
}

#[test]
fn an_upload_keeps_to_its_rate() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let body = pattern_vec(300_000);
    let file = folder.file("body", &body);
    for request in [
        Req::new("POST", server.url("/upload")).body(body.clone()),
        Req::upload(server.url("/upload"), file),
        Req::get(server.url("/upload")).form(&[Part::field("data", body.clone())]),
    ] {
        let event = host.fetch(&request.send_rate(1_000_000).stall_timeout_ms(50));
        event.ok(200);
        // Less what may go at once at the start, and the last piece.
        assert!(took_ms(&event) >= 180, "{event:?}");
    }
    assert_eq!(server.requests()[0].body_fnv, fnv(&body));
}

#[test]
fn a_streamed_body_and_a_streamed_response_keep_to_their_rates() {
    let (server, host) = (Server::start(), Host::new());
    let body = pattern_vec(300_000);
    let request = Req::get(server.url("/upload")).flags(SORTIE_REQUEST_STREAM_BODY).send_rate(1_000_000);
    let id = host.submit(&request);
    host.write_all(id, &body);
    host.finish(id);
    let event = host.ended(id);
    assert!(event.ok(200).text().ends_with(&format!("{:016x}", fnv(&body))));
    assert!(took_ms(&event) >= 180, "{event:?}");
    let request = Req::get(server.url("/bytes/300000")).flags(SORTIE_REQUEST_STREAM_RESPONSE).receive_rate(1_000_000);
    let events = host.events(host.submit(&request));
    assert!(took_ms(events.last().unwrap()) >= 230);
    assert_eq!(events.iter().map(|event| event.bytes().len()).sum::<usize>(), 300_000);
}

/// How far each has come when the first ends, all with progress.
fn when_one_has_ended(host: &Host, ids: &[u64]) -> Vec<u64> {
    let mut far = vec![0; ids.len()];
    let mut ended = false;
    while !ended {
        host.next_event(|_, event| {
            let at = ids.iter().position(|id| *id == event.request).unwrap();
            // The end tells of the response.
            ended = event.kind == SORTIE_EVENT_ENDED;
            if !ended {
                far[at] = event.transferred;
            }
        });
    }
    far
}

#[test]
fn all_together_keep_to_the_clients_rate_and_share_it_fairly() {
    let server = Server::start();
    let host = Setup { receive_rate: 2_000_000, ..Setup::default() }.start();
    let request = Req::get(server.url("/bytes/300000")).progress(SORTIE_PROGRESS_DOWNLOAD);
    let ids: Vec<u64> = (0..8).map(|_| host.submit(&request)).collect();
    // When the first has all, no other is far behind.
    let far = when_one_has_ended(&host, &ids);
    assert!(far.iter().all(|far| *far >= 200_000), "{far:?}");
    let mut longest = 0;
    let mut left = ids.len() - 1;
    while left > 0 {
        host.next_event(|_, event| {
            if event.kind == SORTIE_EVENT_ENDED {
                longest = longest.max(took_ms(event.ok(200)));
                left -= 1;
            }
        });
    }
    assert!(longest >= 1_000, "2.4 MB at 2 MB/s took {longest} ms");
}

#[test]
fn uploads_share_the_clients_rate() {
    let server = Server::start();
    let host = Setup { send_rate: 1_000_000, ..Setup::default() }.start();
    let body = pattern_vec(100_000);
    let ids: Vec<u64> =
        (0..4).map(|_| host.submit(&Req::new("POST", server.url("/upload")).body(body.clone()))).collect();
    let events = host.all_ended(&ids);
    let longest = events.iter().map(|event| took_ms(event.ok(200))).max().unwrap();
    assert!(longest >= 300, "400 KB at 1 MB/s took {longest} ms");
    assert!(server.requests().iter().all(|request| request.body_fnv == fnv(&body)));
}

#[test]
fn uploads_and_mocks_take_turns() {
    let server = Server::start();
    let host = Setup { send_rate: 1_000_000, receive_rate: 1_000_000, ..Setup::default() }.start();
    let body = pattern_vec(100_000);
    let upload = Req::new("POST", server.url("/upload")).body(body).progress(SORTIE_PROGRESS_UPLOAD);
    let ids: Vec<u64> = (0..4).map(|_| host.submit(&upload)).collect();
    let far = when_one_has_ended(&host, &ids);
    assert!(far.iter().all(|far| *far >= 50_000), "{far:?}");
    host.drain();
    host.mock(&Mock::new("http://mocked/*").body(pattern_vec(150_000)));
    let down = Req::get("http://mocked/").progress(SORTIE_PROGRESS_DOWNLOAD);
    let ids: Vec<u64> = (0..4).map(|_| host.submit(&down)).collect();
    let far = when_one_has_ended(&host, &ids);
    assert!(far.iter().all(|far| *far >= 80_000), "{far:?}");
}

#[test]
fn what_sends_nothing_does_not_wait_for_the_limit_on_uploads() {
    let server = Server::start();
    let host = Setup { send_rate: 1, ..Setup::default() }.start();
    let up = host.submit(&Req::new("POST", server.url("/upload")).body(pattern_vec(10_000)));
    until("the first piece", || host.stats().bytes_sent > 0);
    host.mock(&Mock::new("http://mocked/*").body("x"));
    host.fetch(&Req::get("http://mocked/")).ok(200);
    host.cancel(up);
    host.ended(up).failed(SORTIE_ERROR_CANCELLED);
}

#[test]
fn setting_the_same_rate_again_and_again_changes_nothing() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&Req::get(server.url("/bytes/100000")).receive_rate(200_000));
    while host.stats().undrained == 0 {
        host.set_rate(id, 200_000, 0);
        thread::sleep(Duration::from_millis(1));
    }
    let event = host.ended(id);
    assert!(took_ms(event.ok(200)) >= 300, "{event:?}");
}

#[test]
fn rates_change_while_requests_run() {
    let (server, host) = (Server::start(), Host::new());
    // A piece at this rate is paid for in hours.
    let slow = |request: Req| request.receive_rate(1).send_rate(1).timeout_ms(SORTIE_NO_TIMEOUT);
    let body = pattern_vec(1_000_000);
    let down = host.submit(&slow(Req::get(server.url("/bytes/1000000")).progress(SORTIE_PROGRESS_DOWNLOAD)));
    let up = host.submit(&slow(Req::new("POST", server.url("/upload")).body(body)));
    let held = host.submit(&slow(Req::get(server.url("/bytes/1000000"))));
    host.await_event(down, |event| event.transferred > 0);
    until("the upload's first piece", || host.stats().bytes_sent > 0);
    let_pass(100);
    assert_eq!(host.stats().ended, 0);
    for id in [down, up, held] {
        assert_eq!(host.set_rate(id, 0, 0), SORTIE_OK);
    }
    host.all_ended(&[down, up, held]).iter().for_each(|event| {
        event.ok(200);
    });
    assert_eq!(host.set_rate(down, 0, 0), SORTIE_RESULT_STALE);
    // The same for the client's, and the other way round.
    host.set_client_rate(1, 1);
    let ids: Vec<u64> = (0..3).map(|_| host.get(server.url("/bytes/1000000"))).collect();
    until("a first piece", || host.stats().bytes_received > 2_000_000);
    let_pass(100);
    assert!(host.stats().bytes_received < 2_100_000, "{:?}", host.stats());
    host.set_client_rate(0, 0);
    host.all_ended(&ids).iter().for_each(|event| {
        event.ok(200);
    });
}

#[test]
fn a_request_that_waits_for_its_turn_is_paused_suspended_cancelled_and_destroyed() {
    let server = Server::start();
    let host = Setup { receive_rate: 400_000, ..Setup::default() }.start();
    let ids: Vec<u64> = (0..6).map(|_| host.get(server.url("/bytes/100000"))).collect();
    until("a first piece", || host.stats().bytes_received > 0);
    host.pause(ids[0]);
    host.cancel(ids[1]);
    host.ended(ids[1]).failed(SORTIE_ERROR_CANCELLED);
    host.suspend();
    let_pass(50);
    let before = host.stats().bytes_received;
    let_pass(100);
    assert_eq!(host.stats().bytes_received, before);
    host.resume();
    for id in &ids[2..] {
        assert!(host.ended(*id).ok(200).bytes() == pattern_vec(100_000));
    }
    host.unpause(ids[0]);
    assert!(host.ended(ids[0]).ok(200).bytes() == pattern_vec(100_000));
    host.get(server.url("/bytes/100000"));
    host.get(server.url("/bytes/100000"));
    until("a piece", || host.stats().bytes_received > before + 600_000);
    assert!(host.destroy().as_millis() < 500);
}

#[test]
fn what_the_cache_gives_is_not_slowed_and_a_mock_is() {
    let host = Setup {
        flags: SORTIE_CLIENT_MOCKS_ONLY,
        receive_rate: 1_000_000,
        max_memory_cache_bytes: 16 << 20,
        ..Setup::default()
    }
    .start();
    host.mock(&Mock::new("*").header("Cache-Control", "max-age=60").body(pattern_vec(300_000)));
    let first = host.fetch(&Req::get("http://mocked/"));
    assert!(took_ms(first.ok(200)) >= 230, "{first:?}");
    let again = host.fetch(&Req::get("http://mocked/").receive_rate(1));
    assert_eq!((again.ok(200).flags, again.bytes().len()), (SORTIE_EVENT_FROM_CACHE, 300_000));
}

#[test]
fn gauges_tell_how_fast_it_goes_and_come_to_rest() {
    let server = Server::start();
    let host = Setup { receive_rate: 500_000, ..Setup::default() }.start();
    let id = host.get(server.url("/bytes/1000000"));
    until("the rate", || (300_000..=700_000).contains(&host.stats().receive_bytes_per_second));
    assert_eq!(host.stats().send_bytes_per_second, 0);
    host.ended(id).ok(200);
    until("rest", || host.stats().receive_bytes_per_second == 0);
}
