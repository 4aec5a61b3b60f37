//! Who starts when: limits, priorities, the queue, and a host that does not drain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sortie_test_server::{Framing, Gate, Outcome, Response, Server};
use support::*;

const NORMAL: u32 = SORTIE_PRIORITY_NORMAL;
const HIGH: u32 = SORTIE_PRIORITY_HIGH;
const LOW: u32 = SORTIE_PRIORITY_LOW;

/// Which comes first.
fn rank(priority: u32) -> u32 {
    match priority {
        HIGH => 0,
        NORMAL => 1,
        _ => 2,
    }
}

/// Another client's requests from start to end: whatever was about to happen has had its chance.
fn something_else_happens() {
    let (server, host) = (Server::start(), Host::new());
    for _ in 0..100 {
        host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
    }
}

#[test]
fn no_more_than_max_active_run() {
    let server = Server::start();
    let host = Setup { max_active: 4, max_active_per_host: 100, ..Setup::default() }.start();
    let gate = server.gate("all");
    let ids: Vec<u64> = (0..20).map(|_| host.get(server.url("/gate/all"))).collect();
    assert!(gate.wait_for(4, DEADLINE), "four run");
    something_else_happens();
    assert_eq!((gate.waiting(), server.max_connections_open()), (4, 4), "and no more");
    until("the gauges", || (host.stats().active, host.stats().waiting) == (4, 16));
    gate.open();
    for event in host.all_ended(&ids) {
        event.ok(200);
    }
    assert_eq!(server.max_connections_open(), 4);
    until("the gauges", || (host.stats().active, host.stats().waiting, host.stats().undrained) == (0, 0, 0));
}

#[test]
fn no_more_than_max_active_per_host_run() {
    let (one, two) = (Server::start(), Server::start());
    let host = Setup {
        max_active: 100,
        max_active_per_host: 3,
        resolves: vec![
            ("one.test".into(), 0, "127.0.0.1".into(), one.port()),
            ("two.test".into(), 0, "127.0.0.1".into(), two.port()),
        ],
        ..Setup::default()
    }
    .start();
    let (gate_one, gate_two) = (one.gate("all"), two.gate("all"));
    let first: Vec<u64> = (0..10).map(|_| host.get("http://one.test/gate/all")).collect();
    assert!(gate_one.wait_for(3, DEADLINE));
    // A busy host keeps nobody else waiting.
    let second: Vec<u64> = (0..10).map(|_| host.get("http://two.test/gate/all")).collect();
    assert!(gate_two.wait_for(3, DEADLINE));
    something_else_happens();
    until("the gauges", || (host.stats().active, host.stats().waiting) == (6, 14));
    gate_two.open();
    host.all_ended(&second);
    gate_one.open();
    host.all_ended(&first);
    assert_eq!((one.max_connections_open(), two.max_connections_open()), (3, 3));
}

#[test]
fn the_defaults_are_64_in_all_and_16_a_host() {
    let servers: Vec<Server> = (0..5).map(|_| Server::start()).collect();
    let host = Host::new();
    let gates: Vec<Gate> = servers.iter().map(|server| server.gate("all")).collect();
    for server in &servers {
        for _ in 0..20 {
            host.get(server.url("/gate/all"));
        }
    }
    for gate in &gates[..4] {
        assert!(gate.wait_for(16, DEADLINE));
    }
    something_else_happens();
    let running: Vec<usize> = gates.iter().map(Gate::waiting).collect();
    assert_eq!(running, [16, 16, 16, 16, 0]);
    gates.iter().for_each(Gate::open);
    host.drain();
    assert!(servers.iter().all(|server| server.max_connections_open() <= 16));
}

#[test]
fn a_higher_priority_starts_first_and_equals_in_order() {
    let server = Server::start();
    let host = Setup { max_active: 1, ..Setup::default() }.start();
    let gate = server.gate("first");
    let first = host.get(server.url("/gate/first"));
    assert!(gate.wait_for(1, DEADLINE));
    let order = [LOW, NORMAL, HIGH, NORMAL, LOW, HIGH, NORMAL, HIGH, LOW];
    let submit = |(i, priority): (usize, &u32)| {
        host.submit(&Req::get(server.url(&format!("/bytes/1?i={i}"))).priority(*priority))
    };
    let ids: Vec<u64> = order.iter().enumerate().map(submit).collect();
    gate.open();
    host.ended(first).ok(200);
    host.all_ended(&ids);
    let mut wanted: Vec<usize> = (0..order.len()).collect();
    wanted.sort_by_key(|i| rank(order[*i]));
    let got: Vec<String> = server.requests()[1..].iter().map(|request| request.target.clone()).collect();
    let wanted: Vec<String> = wanted.iter().map(|i| format!("/bytes/1?i={i}")).collect();
    assert_eq!(got, wanted);
}

#[test]
fn a_busy_hosts_queue_does_not_hold_up_other_hosts() {
    let (busy, free) = (Server::start(), Server::start());
    let host = Setup { max_active_per_host: 1, ..Setup::default() }.start();
    let gate = busy.gate("busy");
    let held: Vec<u64> = (0..100).map(|_| host.submit(&Req::get(busy.url("/gate/busy")).priority(HIGH))).collect();
    assert!(gate.wait_for(1, DEADLINE));
    host.fetch(&Req::get(free.url("/bytes/1")).priority(LOW)).ok(200);
    gate.open();
    host.all_ended(&held);
}

#[test]
fn ten_thousand_in_one_frame_all_end_in_order() {
    const COUNT: usize = 10_000;
    /// Within this long nothing is promoted.
    const UNPROMOTED: Duration = Duration::from_secs(9);
    let server = Server::start();
    let host = Setup { max_active_per_host: 1, timeout_ms: SORTIE_NO_TIMEOUT, ..Setup::default() }.start();
    let gate = server.gate("first");
    host.get(server.url("/gate/first"));
    assert!(gate.wait_for(1, DEADLINE));
    let mut random = Random::new(seed());
    let started = Instant::now();
    let priorities: Vec<u32> = (0..COUNT)
        .map(|i| {
            let priority = [NORMAL, HIGH, LOW][random.below(3) as usize];
            host.submit(&Req::get(server.url(&format!("/bytes/1?i={i}"))).priority(priority).user_data(i as u64));
            priority
        })
        .collect();
    println!("{COUNT} submits took {:?}", started.elapsed());
    until("the worker to know of all", || host.stats().waiting as usize == COUNT);
    gate.open();
    host.drain();
    println!("{COUNT} requests took {:?}", started.elapsed());
    let stats = host.stats();
    assert_eq!((stats.submitted, stats.ended, stats.failed), (COUNT as u64 + 1, COUNT as u64 + 1, 0));
    let index = |target: &str| target.rsplit('=').next().unwrap().parse::<usize>().unwrap();
    let requests = server.requests();
    let in_time = requests[1..].iter().filter(|request| request.time < started + UNPROMOTED);
    let got: Vec<usize> = in_time.map(|request| index(&request.target)).collect();
    let mut wanted: Vec<usize> = (0..COUNT).collect();
    wanted.sort_by_key(|i| rank(priorities[*i]));
    assert!(got.len() > 100, "{} requests in {UNPROMOTED:?}", got.len());
    assert!(got == wanted[..got.len()], "not in order");
    let mut all: Vec<usize> = requests[1..].iter().map(|request| index(&request.target)).collect();
    all.sort_unstable();
    assert!(all == (0..COUNT).collect::<Vec<_>>(), "each was sent once");
    assert_eq!(server.max_connections_open(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_waiting_requests_take_little_memory() {
    isolated("ten_thousand_waiting_requests_take_little_memory", &[], || {
        let server = Server::start();
        let host = Setup { max_active: 1, ..Setup::default() }.start();
        let gate = server.gate("first");
        host.get(server.url("/gate/first"));
        assert!(gate.wait_for(1, DEADLINE));
        let before = resident_bytes();
        for _ in 0..10_000 {
            host.get(server.url("/bytes/1000"));
        }
        let after = resident_bytes();
        let each = after.saturating_sub(before) / 10_000;
        println!("{each} bytes for a waiting request, the test's own among them");
        assert!(each < 20_000, "{each} bytes for a waiting request");
        gate.open();
        host.drain();
    });
}

#[test]
fn a_low_priority_is_promoted_while_it_waits() {
    let server = Server::start();
    let host = Setup { max_active: 1, ..Setup::default() }.start();
    let normal = Req::get(server.url("/delay?ms=20"));
    let mut waiting: VecDeque<u64> = (0..3).map(|_| host.submit(&normal)).collect();
    let low = host.submit(&Req::get(server.url("/bytes/1?low")).priority(LOW));
    let started = Instant::now();
    // There is always a normal request that waits.
    let mut before = 0;
    while !server.requests().iter().any(|request| request.target.ends_with("low")) {
        assert!(started.elapsed() < DEADLINE, "{before} normal requests went before a low one");
        waiting.push_back(host.submit(&normal));
        host.ended(waiting.pop_front().unwrap()).ok(200);
        before += 1;
    }
    println!("a low request started after {:?}, behind {before} normal ones", started.elapsed());
    assert!(before > 20, "it does come after those that do not wait long");
    host.ended(low).ok(200);
    host.drain();
}

#[test]
fn more_requests_than_the_client_takes_are_refused() {
    let server = Server::start();
    let host = Setup { max_requests: 10, max_active: 2, ..Setup::default() }.start();
    let gate = server.gate("all");
    let url = server.url("/gate/all");
    let ids: Vec<u64> = (0..10).map(|_| host.get(&url)).collect();
    let refuses = || {
        let refused = host.try_submit(&Req::get(&url)).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_TOO_MANY_REQUESTS);
        assert!(refused.message.contains("10"), "the message names the limit: {}", refused.message);
    };
    refuses();
    gate.open();
    until("every end", || host.stats().undrained == 10);
    refuses(); // ended, but not drained
    let drained = host.poll_up_to(1);
    assert_eq!(drained.len(), 1);
    let eleventh = host.get(&url);
    refuses();
    host.drain();
    assert!(!ids.contains(&eleventh), "a new id");
    host.fetch(&Req::get(&url)).ok(200);
}

#[test]
fn a_host_that_does_not_drain_stops_the_flow() {
    const BODY: u64 = 50_000;
    const LIMIT: u64 = 200_000;
    let server = Server::start();
    let host = Setup { max_active: 4, max_buffered_bytes: LIMIT, ..Setup::default() }.start();
    let ids: Vec<u64> = (0..60).map(|_| host.get(server.url(&format!("/bytes/{BODY}")))).collect();
    until("the flow's end", || host.stats().buffered_bytes > LIMIT);
    something_else_happens();
    let (stats, sent) = (host.stats(), server.request_count());
    assert!(stats.buffered_bytes <= LIMIT + 4 * BODY, "those that ran went on, no more: {stats:?}");
    assert!(sent <= LIMIT / BODY + 1 + 4, "what fills the budget, and what ran beside it: {sent}");
    something_else_happens();
    assert_eq!(server.request_count(), sent, "no further request while nothing is drained");
    for event in host.all_ended(&ids) {
        assert_eq!(event.ok(200).bytes().len() as u64, BODY);
    }
    host.poll();
    assert_eq!(host.stats().buffered_bytes, 0);
}

#[test]
fn a_body_on_its_way_pauses_while_nothing_is_drained() {
    const LARGE: u64 = 96 << 20;
    let gate = Gate::new();
    let written = Arc::new(AtomicBool::new(false));
    let (at_gate, done) = (gate.clone(), Arc::clone(&written));
    let server = Server::builder()
        .handler(move |request, conn| {
            if request.path() != "/large" {
                return Ok(None);
            }
            conn.start(&Response::new(200), Framing::Length(LARGE))?;
            conn.wait_at(&at_gate)?;
            conn.write_pattern(0, LARGE)?;
            conn.flush()?;
            done.store(true, Ordering::SeqCst);
            Ok(Some(Outcome::Done))
        })
        .start();
    let host = Setup { max_buffered_bytes: 100_000, max_body_bytes: LARGE, ..Setup::default() }.start();
    let large = host.submit(&Req::get(server.url("/large")).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(large, |event| event.kind == SORTIE_EVENT_BEGAN);
    let small = host.get(server.url("/bytes/150000"));
    until("the budget's end", || host.stats().buffered_bytes > 100_000);
    gate.open();
    something_else_happens();
    let stats = host.stats();
    assert!(stats.bytes_received < LARGE / 2, "it goes on receiving: {stats:?}");
    assert!(!written.load(Ordering::SeqCst), "the server could send everything");
    host.ended(small).ok(200);
    assert_eq!(host.ended(large).ok(200).bytes().len() as u64, LARGE);
}

#[test]
fn drained_events_hold_their_bytes_until_the_next_poll_unless_taken() {
    let (server, host) = (Server::start(), Host::new());
    host.get(server.url("/bytes/1000"));
    until("the end", || host.stats().undrained == 1);
    assert_eq!(host.stats().buffered_bytes, 1000);
    assert_eq!(host.poll().len(), 1);
    assert_eq!(host.stats().buffered_bytes, 1000, "the host may still look at it");
    assert!(host.poll().is_empty());
    assert_eq!(host.stats().buffered_bytes, 0);

    host.get(server.url("/bytes/1000"));
    let mut body = std::ptr::null_mut();
    #[allow(unsafe_code)]
    host.next_event(|event, _| {
        // SAFETY: an event of the last poll and a writable pointer.
        assert_eq!(unsafe { sortie_event_take_body(event, &mut body) }, SORTIE_OK);
    });
    assert_eq!(host.stats().buffered_bytes, 0, "taken over");
    #[allow(unsafe_code)]
    // SAFETY: taken over and freed once.
    unsafe {
        assert_eq!(sortie_body_length(body), 1000);
        sortie_body_free(body);
    }
}

#[test]
fn files_flow_on_while_nothing_is_drained() {
    let (server, folder) = (Server::start(), Folder::new());
    let host = Setup { max_buffered_bytes: 100_000, ..Setup::default() }.start();
    for i in 0..3 {
        host.submit(&Req::download(server.url("/bytes/2000000"), folder.join(&format!("{i}"))));
    }
    until("every end", || host.stats().undrained == 3);
    assert_eq!(host.stats().buffered_bytes, 0, "what is on the disk is not in memory");
    host.drain();
}

#[test]
fn a_storm_of_mixed_requests_keeps_every_limit() {
    let server = Server::start();
    let host = Setup { max_active: 8, max_active_per_host: 5, ..Setup::default() }.start();
    let mut random = Random::new(seed());
    for _ in 0..1000 {
        let path = match random.below(5) {
            0 => "/bytes/5000",
            1 => "/status/404?body=x",
            2 => "/redirect/2",
            3 => "/close-after",
            _ => "/chunked?bytes=3000",
        };
        let id = host.submit(&Req::get(server.url(path)).priority(random.below(3) as u32));
        if random.below(10) == 0 {
            assert_eq!(host.cancel(id), SORTIE_OK);
        }
    }
    host.drain();
    // The server may still count connections that were closed by a cancel when their places are taken again.
    assert!(server.max_connections_open() <= 10, "{} at once", server.max_connections_open());
    until("the gauges", || (host.stats().active, host.stats().waiting) == (0, 0));
    assert_eq!((host.stats().submitted, host.stats().ended), (1000, 1000));
}
