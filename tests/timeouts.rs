//! Time limits: which one ends what, and which waits do not count. Bounds in time are generous; the error kinds are not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use sortie_test_server::{BlackHole, Gate, Response, Server};
use support::*;

/// Ends with this error, not before its limit and not long after, and the message tells the limit.
#[track_caller]
fn runs_out(host: &Host, request: &Req, limit_ms: u64, error: u32) {
    let started = Instant::now();
    let event = host.fetch(request);
    let took = started.elapsed();
    let message = event.failed(error);
    assert!(took >= Duration::from_millis(limit_ms), "{took:?} is less than {limit_ms} ms");
    assert!(took < Duration::from_secs(20), "{took:?} for a limit of {limit_ms} ms");
    let told = [format!("{limit_ms} ms"), format!("{limit_ms}ms"), format!("{} s", limit_ms as f64 / 1000.0)];
    assert!(told.iter().any(|told| message.contains(told)), "the message tells the limit of {limit_ms} ms: {message}");
}

#[test]
fn the_total_limit_holds_wherever_the_time_goes() {
    let (server, hole, host) = (Server::start(), BlackHole::start(), Host::new());
    let timeout = SORTIE_ERROR_TIMEOUT;
    runs_out(&host, &Req::get(server.url("/stall-headers")).timeout_ms(300), 300, timeout);
    runs_out(&host, &Req::get(server.url("/stall?sent=10")).timeout_ms(300), 300, timeout);
    runs_out(&host, &Req::get(server.url("/drip?bytes=1000&ms=50")).timeout_ms(400), 400, timeout);
    runs_out(&host, &Req::get(server.url("/slow?bytes=1000000&rate=10000")).timeout_ms(400), 400, timeout);
    runs_out(&host, &Req::get(hole.url("/")).timeout_ms(300), 300, timeout);
    host.fetch(&Req::get(server.url("/delay?ms=100")).timeout_ms(20_000)).ok(200);
}

#[test]
fn the_total_limit_counts_over_redirects() {
    let server = Server::builder()
        .handler(|_, conn| {
            conn.pause(Duration::from_millis(60))?;
            conn.send(&Response::new(302).header("Location", "/next")).map(Some)
        })
        .start();
    let host = Host::new();
    runs_out(&host, &Req::get(server.url("/")).max_redirects(100).timeout_ms(500), 500, SORTIE_ERROR_TIMEOUT);
    assert!(server.request_count() > 1);
}

#[test]
fn the_total_limit_holds_for_uploads() {
    let (gate, host) = (Gate::new(), Host::new());
    let at_gate = gate.clone();
    let server = Server::builder()
        .handler(move |_, conn| {
            conn.wait_at(&at_gate)?;
            Ok(None)
        })
        .start();
    let request = Req::new("POST", server.url("/upload")).body(vec![0; 64 << 20]);
    runs_out(&host, &request.timeout_ms(500), 500, SORTIE_ERROR_TIMEOUT);
    gate.open();
}

#[test]
fn a_connection_that_nobody_accepts_runs_into_the_connect_limit() {
    let (hole, host) = (BlackHole::start(), Host::new());
    runs_out(&host, &Req::get(hole.url("/")).connect_timeout_ms(300), 300, SORTIE_ERROR_CONNECT_TIMEOUT);
    let host = Setup { connect_timeout_ms: 300, ..Setup::default() }.start();
    runs_out(&host, &Req::get(hole.url("/")), 300, SORTIE_ERROR_CONNECT_TIMEOUT);
    // The request's own goes before the client's.
    let own = Req::get(hole.url("/")).connect_timeout_ms(SORTIE_NO_TIMEOUT).timeout_ms(900);
    runs_out(&host, &own, 900, SORTIE_ERROR_TIMEOUT);
}

#[test]
fn a_handshake_that_never_comes_runs_into_the_connect_limit() {
    // Accepted by the system, and then nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let host = Host::new();
    runs_out(&host, &Req::get(url).connect_timeout_ms(300), 300, SORTIE_ERROR_CONNECT_TIMEOUT);
}

#[test]
fn a_slow_answer_is_no_slow_connection() {
    let (server, host) = (Server::start(), Host::new());
    host.fetch(&Req::get(server.url("/delay?ms=900")).connect_timeout_ms(400)).ok(200);
}

#[test]
fn a_transfer_that_stands_still_is_stalled() {
    let (server, host) = (Server::start(), Host::new());
    let stalled = SORTIE_ERROR_STALLED;
    runs_out(&host, &Req::get(server.url("/stall?sent=10")).stall_timeout_ms(300), 300, stalled);
    runs_out(&host, &Req::get(server.url("/stall?sent=0")).stall_timeout_ms(300), 300, stalled);
    runs_out(&host, &Req::get(server.url("/stall-headers")).stall_timeout_ms(300), 300, stalled);
    let host = Setup { stall_timeout_ms: 300, ..Setup::default() }.start();
    runs_out(&host, &Req::get(server.url("/stall?sent=10")), 300, stalled);
}

#[test]
fn a_transfer_that_trickles_does_not_stand_still() {
    let (server, host) = (Server::start(), Host::new());
    // Each wait is shorter than the limit, and two of them are longer.
    let event = host.fetch(&Req::get(server.url("/drip?bytes=6&ms=400")).stall_timeout_ms(700));
    assert_eq!(event.ok(200).bytes().len(), 6);
}

#[test]
fn an_upload_that_nobody_reads_is_stalled() {
    let (gate, host) = (Gate::new(), Host::new());
    let at_gate = gate.clone();
    let server = Server::builder()
        .handler(move |_, conn| {
            conn.wait_at(&at_gate)?;
            Ok(None)
        })
        .start();
    let folder = Folder::new();
    let file = folder.file("file", &vec![0; 64 << 20]);
    for request in
        [Req::new("POST", server.url("/upload")).body(vec![0; 64 << 20]), Req::upload(server.url("/upload"), file)]
    {
        runs_out(&host, &request.stall_timeout_ms(500), 500, SORTIE_ERROR_STALLED);
    }
    gate.open();
}

#[test]
fn every_byte_starts_the_stall_clock_anew() {
    let (server, host) = (Server::start(), Host::new());
    // In all far longer than the limit, but never so long at a time.
    let drip = host.fetch(&Req::get(server.url("/drip?bytes=10&ms=300")).stall_timeout_ms(1500));
    assert!(drip.ok(200).timing.unwrap().total_us > 1_500_000, "it took longer than the stall limit");
    // More than the sockets' buffers hold: what they hold has moved as far as anyone here can tell.
    let slow = Req::new("POST", server.url("/upload-slow?rate=8000000")).body(vec![0; 32 << 20]);
    let event = host.fetch(&slow.stall_timeout_ms(2500));
    assert!(event.ok(200).timing.unwrap().total_us > 2_500_000, "it took longer than the stall limit");
}

#[test]
fn waiting_in_the_queue_has_its_own_limit() {
    let (server, host) = (Server::start(), Setup { max_active: 1, ..Setup::default() }.start());
    let gate = server.gate("busy");
    let busy = host.get(server.url("/gate/busy"));
    assert!(gate.wait_for(1, DEADLINE));
    let request = Req::get(server.url("/bytes/1")).queue_timeout_ms(300);
    runs_out(&host, &request, 300, SORTIE_ERROR_QUEUE_TIMEOUT);
    assert_eq!(server.request_count(), 1, "it never started");
    gate.open();
    host.ended(busy).ok(200);
    host.fetch(&request).ok(200);
    let host = Setup { max_active: 1, queue_timeout_ms: 300, ..Setup::default() }.start();
    gate.close();
    let busy = host.get(server.url("/gate/busy"));
    assert!(gate.wait_for(1, DEADLINE));
    runs_out(&host, &Req::get(server.url("/bytes/1")), 300, SORTIE_ERROR_QUEUE_TIMEOUT);
    gate.open();
    host.ended(busy).ok(200);
}

#[test]
fn waiting_in_the_queue_does_not_count_otherwise() {
    let (server, host) = (Server::start(), Setup { max_active: 1, ..Setup::default() }.start());
    let gate = server.gate("busy");
    let busy = host.get(server.url("/gate/busy"));
    assert!(gate.wait_for(1, DEADLINE));
    let short = Req::get(server.url("/bytes/1")).timeout_ms(700).stall_timeout_ms(700).connect_timeout_ms(700);
    let waiting = host.submit(&short);
    // Twice as long as any of its limits.
    host.fetch(&Req::get(server.url("/bytes/1")).queue_timeout_ms(1400)).failed(SORTIE_ERROR_QUEUE_TIMEOUT);
    gate.open();
    host.ended(busy).ok(200);
    let event = host.ended(waiting);
    let timing = event.ok(200).timing.unwrap();
    assert!(timing.queued_us >= 1_400_000, "the wait is told: {timing:?}");
    assert!(timing.total_us < timing.queued_us, "and not counted: {timing:?}");
}

#[test]
fn no_timeout_means_none() {
    let server = Server::start();
    let host =
        Setup { timeout_ms: 300, stall_timeout_ms: 250, queue_timeout_ms: 300, max_active: 2, ..Setup::default() }
            .start();
    let gate = server.gate("long");
    let url = server.url("/gate/long");
    let patient = host.submit(&Req::get(&url).timeout_ms(SORTIE_NO_TIMEOUT).stall_timeout_ms(SORTIE_NO_TIMEOUT));
    assert!(gate.wait_for(1, DEADLINE));
    let total = Req::get(&url).stall_timeout_ms(SORTIE_NO_TIMEOUT);
    let stall = Req::get(&url).timeout_ms(SORTIE_NO_TIMEOUT);
    host.fetch(&total).failed(SORTIE_ERROR_TIMEOUT);
    host.fetch(&stall).failed(SORTIE_ERROR_STALLED);
    // Both places taken: the third request waits in the queue, without a limit of its own.
    let second = host.submit(&total.clone().timeout_ms(SORTIE_NO_TIMEOUT));
    assert!(gate.wait_for(2, DEADLINE));
    let queued = host.submit(&Req::get(server.url("/bytes/1")).queue_timeout_ms(SORTIE_NO_TIMEOUT));
    host.fetch(&Req::get(server.url("/bytes/1"))).failed(SORTIE_ERROR_QUEUE_TIMEOUT);
    gate.open();
    for id in [patient, second, queued] {
        host.ended(id).ok(200);
    }
}

#[test]
fn many_limits_run_out_at_once() {
    let server = Server::start();
    let host = Setup { max_active: 200, max_active_per_host: 200, ..Setup::default() }.start();
    let ids: Vec<u64> =
        (0..200).map(|i| host.submit(&Req::get(server.url("/stall?sent=5")).timeout_ms(300 + i % 7))).collect();
    for event in host.all_ended(&ids) {
        event.failed(SORTIE_ERROR_TIMEOUT);
    }
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert_eq!(host.stats().active, 0);
}

#[test]
fn a_limit_of_a_millisecond_ends_the_request_one_way_or_the_other() {
    let (server, host) = (Server::start(), Host::new());
    for _ in 0..50 {
        let event =
            host.fetch(&Req::get(server.url("/bytes/100")).timeout_ms(1).connect_timeout_ms(1).stall_timeout_ms(1));
        if event.error != SORTIE_ERROR_NONE {
            event.failed_as(&[SORTIE_ERROR_TIMEOUT, SORTIE_ERROR_CONNECT_TIMEOUT, SORTIE_ERROR_STALLED]);
        }
    }
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn a_place_that_a_timeout_frees_is_taken_at_once() {
    let server = Server::start();
    let host = Setup { max_active_per_host: 1, ..Setup::default() }.start();
    let hangs = host.submit(&Req::get(server.url("/stall-headers")).timeout_ms(300));
    // It has no limit that could wake the worker for it.
    let waits = host.submit(&Req::get(server.url("/bytes/1")).timeout_ms(SORTIE_NO_TIMEOUT));
    host.ended(hangs).failed(SORTIE_ERROR_TIMEOUT);
    host.ended(waits).ok(200);
}

#[test]
fn requests_to_a_host_that_cannot_be_reached_do_not_wait_for_each_other() {
    const COUNT: u32 = 20;
    let (hole, host) = (BlackHole::start(), Host::new());
    let url = hole.url("/").replace("http://", "https://");
    let started = Instant::now();
    let ids: Vec<u64> = (0..COUNT).map(|_| host.submit(&Req::get(&url).connect_timeout_ms(1000))).collect();
    for event in host.all_ended(&ids) {
        event.failed(SORTIE_ERROR_CONNECT_TIMEOUT);
    }
    // One goes alone, then sixteen, then three: three seconds, not twenty.
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

/// A server that sends so many bytes of an endless body each 20 ms, or reads nothing of a body that is posted.
fn trickling(bytes: usize) -> Server {
    Server::builder()
        .handler(move |request, conn| {
            if request.method == "POST" {
                conn.wait_at(&Gate::new())?;
            }
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")?;
            loop {
                conn.write(&vec![b'x'; bytes])?;
                conn.flush()?;
                conn.pause(Duration::from_millis(20))?;
            }
        })
        .start()
}

#[test]
fn a_transfer_that_is_too_slow_has_stalled() {
    let (server, host, folder) = (trickling(1), Host::new(), Folder::new());
    let slow = |request: Req| request.min_bytes_per_second(1000).min_speed_period_ms(300).timeout_ms(SORTIE_NO_TIMEOUT);
    for request in [
        slow(Req::get(server.url("/"))),
        slow(Req::get(server.url("/")).flags(SORTIE_REQUEST_STREAM_RESPONSE)),
        slow(Req::download(server.url("/"), folder.join("file"))),
        slow(Req::new("POST", server.url("/")).body(vec![b'x'; 64 << 20])),
    ] {
        let event = host.fetch(&request.clone().stall_timeout_ms(SORTIE_NO_TIMEOUT));
        let message = event.failed(SORTIE_ERROR_STALLED);
        assert!(message.contains("min_bytes_per_second is 1000"), "names the limit: {message}");
        assert!(message.contains(" bytes in "), "and what there was: {message}");
    }
    folder.holds(&[]);
    // The wait for the response counts, and another attempt may fare better.
    let waiting = Server::start();
    host.fetch(&slow(Req::get(waiting.url("/delay?ms=60000")))).failed(SORTIE_ERROR_STALLED);
    let tries = slow(Req::get(server.url("/"))).max_attempts(2).retry_delay_ms(1);
    assert_eq!(host.fetch(&tries).attempts, 2);
    // What is as fast as it has to be goes on: four periods of it.
    let (server, ended) = (trickling(400), Req::get(server.url("/")));
    let fast = slow(Req { url: server.url("/"), ..ended }).flags(SORTIE_REQUEST_STREAM_RESPONSE).timeout_ms(1300);
    host.fetch(&fast).failed(SORTIE_ERROR_TIMEOUT);
}

#[test]
fn the_lowest_speed_is_the_clients_unless_a_request_says() {
    let server = trickling(1);
    let host = Setup { min_bytes_per_second: 1000, min_speed_period_ms: 200, ..Setup::default() }.start();
    let message = host.fetch(&Req::get(server.url("/"))).failed(SORTIE_ERROR_STALLED).to_owned();
    assert!(message.contains("is 1000"), "{message}");
    let none = Req::get(server.url("/")).min_speed_period_ms(SORTIE_NO_TIMEOUT).timeout_ms(700);
    host.fetch(&none).failed(SORTIE_ERROR_TIMEOUT);
    let lower = Req::get(server.url("/")).min_bytes_per_second(5).timeout_ms(700);
    host.fetch(&lower).failed(SORTIE_ERROR_TIMEOUT);
    let higher = Req::get(server.url("/")).min_bytes_per_second(2000);
    assert!(host.fetch(&higher).failed(SORTIE_ERROR_STALLED).contains("is 2000"));
    // By default there is none.
    Host::new().fetch(&Req::get(server.url("/")).min_speed_period_ms(100).timeout_ms(500)).failed(SORTIE_ERROR_TIMEOUT);
    let refused = host.try_submit(&Req::get(server.url("/")).min_speed_period_ms(99)).unwrap_err();
    assert!(
        refused.result == SORTIE_RESULT_ARGUMENT && refused.message.contains("min_speed_period_ms is 99"),
        "{refused:?}"
    );
    let refused = Setup { min_speed_period_ms: 1, ..Setup::default() }.try_create().unwrap_err();
    assert!(refused.message.contains("min_speed_period_ms is 1"), "{refused:?}");
}

#[test]
fn time_that_a_transfer_waits_for_us_is_not_slow() {
    let server = Server::start();
    let fast = |request: Req| request.min_bytes_per_second(20_000).min_speed_period_ms(200);
    let host = Host::new();
    // Its own limit on bandwidth, in either direction.
    host.fetch(&fast(Req::get(server.url("/bytes/6000"))).receive_rate(5000)).ok(200);
    host.fetch(&fast(Req::new("POST", server.url("/upload")).body(vec![0; 6000])).send_rate(5000)).ok(200);
    // A pause of the program's, and the client's suspension.
    let pattern = server.url("/bytes/3000000");
    let id = host.submit(&fast(Req::get(&pattern).flags(SORTIE_REQUEST_STREAM_RESPONSE)).timeout_ms(SORTIE_NO_TIMEOUT));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_BEGAN);
    host.pause(id);
    let_pass(700);
    host.unpause(id);
    host.suspend();
    let_pass(700);
    host.resume();
    // Nobody drains its events, so that its window is full.
    let_pass(700);
    host.ended(id).ok(200);
    // A body that the program has not written yet.
    let streamed = fast(Req::new("POST", server.url("/upload")).flags(SORTIE_REQUEST_STREAM_BODY));
    let id = host.submit(&streamed.timeout_ms(SORTIE_NO_TIMEOUT));
    host.write_all(id, b"some");
    let_pass(700);
    host.write_all(id, b"more");
    host.finish(id);
    host.ended(id).ok(200);
}
