//! From create to destroy: one end for each request whatever happens, suspend and resume, and a process that is left as
//! it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use sortie_test_server::{
    BlackHole, Framing, Gate, Outcome, Response, Server, fnv, pattern_vec, raise_file_limit, refused_addr,
};
use support::*;

/// What destroy promises is 100 ms; a busy machine gets some more before a test fails.
const DESTROY_LIMIT: Duration = Duration::from_secs(1);

/// Another client's requests from start to end: whatever was about to happen has had its chance.
fn something_else_happens() {
    let (server, host) = (Server::start(), Host::new());
    for _ in 0..100 {
        host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
    }
}

#[test]
fn each_request_ends_once_however_it_ends() {
    let (server, hole, host, folder) = (Server::start(), BlackHole::start(), Host::new(), Folder::new());
    let url = |path: &str| Req::get(server.url(path));
    let mut requests = vec![
        Req::get(format!("http://{}/", refused_addr())),
        Req::get(hole.url("/")).connect_timeout_ms(200),
        url("/stall?sent=5").timeout_ms(200),
        url("/stall?sent=5").stall_timeout_ms(200),
        url("/bytes/1000").max_body_bytes(10),
        url("/redirect-loop"),
        Req::upload(server.url("/upload"), folder.join("missing")),
        Req::download(server.url("/bytes/1000"), folder.join("no/file")),
        Req::download(server.url("/bytes/1000"), folder.join("file")),
        Req::new("POST", server.url("/upload")).body(vec![0; 1_000_000]),
    ];
    for path in
        ["/bytes/1000", "/reset?after=10", "/truncate", "/garbage", "/empty", "/bad-gzip", "/bad-chunk", "/status/500"]
    {
        requests.push(url(path));
    }
    for progress in [SORTIE_PROGRESS_NONE, SORTIE_PROGRESS_DOWNLOAD, SORTIE_PROGRESS_UPLOAD] {
        for request in &requests {
            host.submit(&request.clone().progress(progress));
        }
    }
    host.drain();
    // That each ended once and last was checked with every event; that was all.
    something_else_happens();
    assert!(host.poll().is_empty());
    let stats = host.stats();
    assert_eq!((stats.submitted, stats.ended), (54, 54));
}

#[test]
fn a_cancel_holds_at_every_stage() {
    let gate = Gate::new();
    let at_gate = gate.clone();
    let server = Server::builder()
        .handler(move |request, conn| match request.path() {
            "/before-reading" => conn.wait_at(&at_gate).map(|()| None),
            "/in-the-body" => {
                conn.start(&Response::new(200), Framing::Length(2000))?;
                conn.write_pattern(0, 1000)?;
                conn.wait_at(&at_gate)?;
                Ok(Some(Outcome::Close))
            }
            _ => Ok(None),
        })
        .start();
    let (hole, folder) = (BlackHole::start(), Folder::new());
    let host = Setup { max_active: 1, ..Setup::default() }.start();
    let cancelled = |id: u64| {
        assert_eq!(host.cancel(id), SORTIE_OK);
        assert_eq!(host.cancel(id), SORTIE_OK, "twice is fine");
        let event = host.ended(id);
        assert!(event.failed(SORTIE_ERROR_CANCELLED).contains("cancel"), "{:?}", event.message);
        assert_eq!(host.cancel(id), SORTIE_RESULT_STALE);
    };
    // While it connects, and behind that while it waits in the queue.
    let connecting = host.get(hole.url("/"));
    let queued = host.get(server.url("/bytes/1"));
    until("the first request's start", || host.stats().active == 1);
    cancelled(queued);
    cancelled(connecting);
    assert_eq!(server.request_count(), 0);
    // While it waits for the answer.
    let asked = host.get(server.url("/before-reading"));
    assert!(gate.wait_for(1, DEADLINE));
    cancelled(asked);
    // While it sends.
    let sending = host.submit(&Req::new("POST", server.url("/before-reading")).body(vec![0; 64 << 20]));
    assert!(gate.wait_for(2, DEADLINE));
    cancelled(sending);
    // While it receives, to memory and to a file.
    let receiving = host.submit(&Req::get(server.url("/in-the-body")).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(receiving, |event| event.transferred == 1000);
    cancelled(receiving);
    let request = Req::download(server.url("/in-the-body"), folder.join("file")).progress(SORTIE_PROGRESS_DOWNLOAD);
    let writing = host.submit(&request);
    host.await_event(writing, |event| event.transferred == 1000);
    cancelled(writing);
    folder.holds(&[]);
    // When it has ended and nobody knows: that stays the outcome.
    let done = host.get(server.url("/bytes/1"));
    until("the end", || host.stats().undrained == 1);
    assert_eq!(host.cancel(done), SORTIE_OK);
    host.ended(done).ok(200);
    gate.open();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn cancel_after_end_is_stale() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.get(server.url("/bytes/1"));
    host.ended(id).ok(200);
    assert_eq!(host.cancel(id), SORTIE_RESULT_STALE);
    assert!(last_error().contains(&id.to_string()), "{}", last_error());
}

#[test]
fn a_cancel_at_any_moment_ends_the_request_once() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let mut random = Random::new(seed());
    let mut ids = Vec::new();
    for i in 0..400 {
        let request = match i % 8 {
            0 => Req::get(server.url("/bytes/100")),
            1 => Req::get(server.url("/bytes/300000")).progress(SORTIE_PROGRESS_DOWNLOAD),
            2 => Req::get(server.url("/redirect/3")),
            3 => Req::new("POST", server.url("/upload")).body(vec![0; 200_000]).progress(SORTIE_PROGRESS_UPLOAD),
            4 => Req::get(server.url("/gzip?bytes=100000")),
            5 => Req::download(server.url("/bytes/100000"), folder.join("file")),
            6 => Req::get(server.url("/close-after")),
            _ => Req::get(server.url("/drip?bytes=5&ms=1")),
        };
        let id = host.submit(&request);
        for _ in 0..random.below(30_000) {
            std::hint::spin_loop();
        }
        assert_eq!(host.cancel(id), SORTIE_OK);
        ids.push((i, id));
    }
    let mut cancelled = 0;
    for (i, id) in ids {
        let event = host.ended(id);
        match event.error {
            SORTIE_ERROR_CANCELLED => cancelled += 1,
            SORTIE_ERROR_NONE => assert_eq!(event.status, 200),
            // Another one is writing to it.
            _ => assert!(i % 8 == 5 && event.error == SORTIE_ERROR_FILE, "{event:?}"),
        }
    }
    println!("{cancelled} of 400 were cancelled before they ended");
    assert!(cancelled > 0);
    assert!(folder.names().iter().all(|name| name == "file"), "{:?}", folder.names());
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn ids_are_never_zero_and_not_given_out_again() {
    let (server, host) = (Server::start(), Host::new());
    let mut seen = HashSet::new();
    for _ in 0..500 {
        let id = host.get(server.url("/bytes/1"));
        assert!(seen.insert(id), "{id} was given out twice");
        host.ended(id).ok(200);
    }
}

#[test]
fn what_events_point_to_stays_until_the_next_poll() {
    let (server, host) = (Server::start(), Host::new());
    host.get(server.url("/bytes/5000?etag=abc"));
    host.next_event(|event, before| {
        let ids: Vec<u64> = (0..50).map(|_| host.get(server.url("/bytes/20000"))).collect();
        host.cancel(ids[0]);
        until("the others' ends", || host.stats().undrained == 50);
        let after = Event::copy(event);
        assert_eq!((after.body, after.headers, after.url), (before.body, before.headers, before.url));
        assert_eq!(after.effective_url, before.effective_url);
    });
    host.drain();
}

#[test]
#[allow(unsafe_code)]
fn a_body_taken_over_outlives_its_client() {
    let (server, host) = (Server::start(), Host::new());
    host.get(server.url("/bytes/5000"));
    let mut body = std::ptr::null_mut();
    host.next_event(|event, _| {
        let mut again = std::ptr::null_mut();
        // SAFETY: an event of the last poll and writable pointers; the event's own body stays valid as well.
        unsafe {
            assert_eq!(sortie_event_take_body(event, &mut body), SORTIE_OK);
            assert_eq!(sortie_event_take_body(event, &mut again), SORTIE_RESULT_NOT_FOUND);
            assert_eq!(std::slice::from_raw_parts(event.body.cast::<u8>(), 5001)[..5000], pattern_vec(5000));
        }
        assert!(again.is_null());
    });
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    host.destroy();
    // SAFETY: taken over, read and freed once.
    unsafe {
        assert_eq!(sortie_body_length(body), 5000);
        let bytes = std::slice::from_raw_parts(sortie_body_data(body).cast::<u8>(), 5001);
        assert_eq!((&bytes[..5000], bytes[5000]), (&pattern_vec(5000)[..], 0));
        sortie_body_free(body);
    }
}

#[test]
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn bodies_that_outlive_their_client_keep_nothing_of_it() {
    isolated("bodies_that_outlive_their_client_keep_nothing_of_it", &[], || {
        let server = Server::start();
        // The process's first client leaves what all share.
        Host::new().fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        until("the connection's end", || !Belongings::now().threads.contains_key("connection"));
        let before = Belongings::now();
        let mut bodies = Vec::new();
        for request in [
            Req::get(server.url("/bytes/5000")),
            Req::get(server.url("/bytes/5000000")),
            Req::get(server.url("/bytes/5000")).flags(SORTIE_REQUEST_STREAM_RESPONSE),
        ] {
            let host = Host::new();
            host.submit(&request);
            let mut body: *mut sortie_body = std::ptr::null_mut();
            while body.is_null() {
                host.next_event(|event, _| {
                    // SAFETY: an event of the last poll and a writable pointer.
                    unsafe { sortie_event_take_body(event, &mut body) };
                });
            }
            bodies.push(body);
        }
        before.await_same();
        // SAFETY: taken over, and freed once.
        bodies.into_iter().for_each(|body| unsafe { sortie_body_free(body) });
        before.await_same();
    });
}

#[test]
fn two_clients_live_side_by_side() {
    let (server, one, two) = (Server::start(), Host::new(), Host::new());
    let gate = server.gate("one");
    let held = one.get(server.url("/gate/one"));
    assert!(gate.wait_for(1, DEADLINE));
    one.suspend();
    two.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert_eq!((one.stats().submitted, two.stats().submitted), (1, 1));
    two.destroy();
    one.resume();
    gate.open();
    one.ended(held).ok(200);
}

#[test]
fn clients_come_and_go() {
    let server = Server::start();
    for round in 0..100 {
        let host = Host::new();
        if round % 3 != 0 {
            let id = host.get(server.url("/bytes/100"));
            if round % 3 == 1 {
                host.ended(id).ok(200);
            }
        }
        assert!(host.destroy() < DESTROY_LIMIT);
    }
}

#[test]
fn threads_submit_and_cancel_while_another_polls() {
    const EACH: usize = 250;
    let (server, host) = (Server::start(), Host::new());
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for t in 0..4_u64 {
            let (host, server, done) = (&host, &server, &done);
            scope.spawn(move || {
                let mut random = Random::new(t + 1);
                for i in 0..EACH {
                    let id = host.submit(&Req::get(server.url("/bytes/50")).user_data(t));
                    if i % 5 == 0 {
                        // By then it may be running, ended or drained.
                        for _ in 0..random.below(5000) {
                            std::hint::spin_loop();
                        }
                        assert!([SORTIE_OK, SORTIE_RESULT_STALE].contains(&host.cancel(id)));
                    }
                    host.stats();
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        until("the submitters", || {
            for event in host.poll() {
                assert!(event.user_data < 4);
            }
            done.load(Ordering::SeqCst) == 4
        });
    });
    host.drain();
    assert_eq!(host.counts(), (4 * EACH as u64, 4 * EACH as u64));
}

#[test]
fn a_waiting_thread_wakes_up_for_an_event_and_not_before() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("event");
    let id = host.get(server.url("/gate/event"));
    assert!(gate.wait_for(1, DEADLINE));
    assert!(!host.wait(Duration::from_millis(50)), "nothing has happened yet");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| host.wait(DEADLINE));
        gate.open();
        assert!(waiting.join().unwrap());
    });
    assert!(host.wait(Duration::ZERO), "it is still there");
    host.ended(id).ok(200);
    assert!(!host.wait(Duration::ZERO));
}

// Suspend and resume.

#[test]
fn a_request_submitted_while_suspended_is_held() {
    let (server, host) = (Server::start(), Host::new());
    host.suspend();
    let ids: Vec<u64> = (0..20).map(|_| host.get(server.url("/bytes/1"))).collect();
    something_else_happens();
    assert_eq!((server.request_count(), server.connections_accepted()), (0, 0));
    assert!(host.poll().is_empty());
    host.resume();
    for event in host.all_ended(&ids) {
        event.ok(200);
    }
}

#[test]
fn nothing_is_given_out_while_suspended() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("later");
    let (done, running) = (host.get(server.url("/bytes/1")), host.get(server.url("/gate/later")));
    assert!(gate.wait_for(1, DEADLINE));
    until("the first end", || host.stats().undrained == 1);
    host.suspend();
    gate.open();
    let dropped = host.get(server.url("/bytes/1"));
    assert_eq!(host.cancel(dropped), SORTIE_OK);
    something_else_happens();
    assert!(!host.wait(Duration::ZERO) && host.poll().is_empty());
    host.resume();
    host.ended(done).ok(200);
    host.ended(running).ok(200);
    host.ended(dropped).failed(SORTIE_ERROR_CANCELLED);
}

#[test]
fn running_transfers_pause_while_suspended() {
    const LARGE: u64 = 96 << 20;
    let (gate, host) = (Gate::new(), Host::new());
    let at_gate = gate.clone();
    let server = Server::builder()
        .handler(move |_, conn| {
            conn.start(&Response::new(200), Framing::Length(LARGE))?;
            conn.write_pattern(0, 1000)?;
            conn.wait_at(&at_gate)?;
            conn.write_pattern(1000, LARGE - 1000)?;
            Ok(Some(Outcome::Done))
        })
        .start();
    let folder = Folder::new();
    let request = |i: u32| match i {
        0 => Req::get(server.url("/")).max_body_bytes(LARGE),
        _ => Req::download(server.url("/"), folder.join("file")),
    };
    for i in 0..2 {
        gate.close();
        let received = host.stats().bytes_received;
        let id = host.submit(&request(i).progress(SORTIE_PROGRESS_DOWNLOAD));
        host.await_event(id, |event| event.transferred == 1000);
        host.suspend();
        gate.open();
        something_else_happens();
        let stats = host.stats();
        assert!(stats.bytes_received - received < LARGE / 2, "it goes on receiving: {stats:?}");
        host.resume();
        let event = host.ended(id);
        assert_eq!(event.ok(200).transferred, LARGE);
        if let Some(body) = event.body {
            assert!(body == pattern_vec(LARGE as usize));
        }
    }
    assert!(std::fs::read(folder.join("file")).unwrap() == pattern_vec(LARGE as usize));
}

#[test]
fn clocks_stop_while_suspended() {
    let (server, host) = (Server::start(), Setup { max_active: 2, ..Setup::default() }.start());
    let gate = server.gate("long");
    let url = server.url("/gate/long");
    let total = host.submit(&Req::get(&url).timeout_ms(2000));
    let stall = host.submit(&Req::get(&url).stall_timeout_ms(2000));
    let queue = host.submit(&Req::get(&url).queue_timeout_ms(2000));
    assert!(gate.wait_for(2, DEADLINE));
    host.suspend();
    let_pass(3000);
    host.resume();
    gate.open();
    for id in [total, stall, queue] {
        host.ended(id).ok(200);
    }
}

#[test]
fn clocks_go_on_after_a_resume() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("never");
    let id = host.submit(&Req::get(server.url("/gate/never")).timeout_ms(1000));
    assert!(gate.wait_for(1, DEADLINE));
    host.suspend();
    let_pass(100);
    host.resume();
    host.ended(id).failed(SORTIE_ERROR_TIMEOUT);
    gate.open();
}

/// A server whose first answer to each path stops in the middle until its connection is closed.
fn answers_wholly_only_the_second_time() -> Server {
    let attempts = AtomicU32::new(0);
    Server::builder()
        .handler(move |request, conn| match request.path() {
            "/body" => {
                conn.start(&Response::new(200), Framing::Length(200_000))?;
                if attempts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                    conn.write_pattern(0, 1000)?;
                    conn.flush()?;
                    conn.wait_closed()?;
                    return Ok(Some(Outcome::Close));
                }
                conn.write_pattern(0, 200_000)?;
                Ok(Some(Outcome::Done))
            }
            "/headers" => {
                conn.drain_body()?;
                if attempts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                    conn.wait_closed()?;
                    return Ok(Some(Outcome::Close));
                }
                conn.send(&Response::new(200).text("second")).map(Some)
            }
            _ => Ok(None),
        })
        .start()
}

/// Suspends, lets every connection die, and resumes.
fn connections_die_while_suspended(host: &Host, server: &Server) {
    host.suspend();
    something_else_happens(); // the worker knows by now
    server.close_connections();
    assert!(server.wait_connections_open(0, DEADLINE));
    something_else_happens();
    host.resume();
}

#[test]
fn an_idempotent_request_whose_connection_died_while_suspended_starts_again() {
    let (server, host, folder) = (answers_wholly_only_the_second_time(), Host::new(), Folder::new());
    let to_memory = Req::get(server.url("/body"));
    let to_file = Req::download(server.url("/body"), folder.join("file"));
    for request in [to_memory, to_file] {
        let id = host.submit(&request.progress(SORTIE_PROGRESS_DOWNLOAD));
        host.await_event(id, |event| event.transferred == 1000);
        connections_die_while_suspended(&host, &server);
        // That BEGAN came once and the numbers never went back is checked with every event.
        let event = host.ended(id);
        assert_eq!(event.ok(200).transferred, 200_000);
        match event.body {
            Some(body) => assert!(body == pattern_vec(200_000), "not what came before the break as well"),
            None => assert!(std::fs::read(folder.join("file")).unwrap() == pattern_vec(200_000)),
        }
    }
    for (i, method) in (1..).zip(["GET", "HEAD", "PUT", "DELETE"]) {
        let before = server.requests().len();
        let id = host.submit(&Req::new(method, server.url("/headers")));
        assert!(server.wait_requests(before + 1, DEADLINE));
        connections_die_while_suspended(&host, &server);
        host.ended(id).ok(200);
        assert_eq!(server.requests().len(), before + 2, "{method}, request {i}");
    }
    folder.holds(&["file"]);
}

#[test]
fn another_request_whose_connection_died_while_suspended_fails() {
    for method in ["POST", "PATCH"] {
        let (server, host) = (answers_wholly_only_the_second_time(), Host::new());
        let id = host.submit(&Req::new(method, server.url("/headers")).body("once only"));
        assert!(server.wait_requests(1, DEADLINE));
        connections_die_while_suspended(&host, &server);
        let event = host.ended(id);
        event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_SEND]);
        assert_eq!(server.request_count(), 1, "{method}: it was not sent twice");
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    }
}

#[test]
fn a_suspended_client_is_destroyed_as_fast() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("held");
    for _ in 0..10 {
        host.get(server.url("/gate/held"));
    }
    assert!(gate.wait_for(10, DEADLINE));
    host.suspend();
    host.get(server.url("/bytes/1"));
    assert!(host.destroy() < DESTROY_LIMIT);
    gate.open();
    assert!(server.wait_connections_open(0, DEADLINE), "its connections are closed");
}

// What is left behind.

#[test]
fn destroy_is_fast_with_200_transfers_in_every_state() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (hole, folder, gate) = (BlackHole::start(), Folder::new(), Gate::new());
    let at_gate = gate.clone();
    let server = Server::builder()
        .handler(move |request, conn| match request.path() {
            "/unread" => conn.wait_at(&at_gate).map(|()| None),
            _ => Ok(None),
        })
        .start();
    let host = Setup {
        max_active: 170,
        max_active_per_host: 170,
        timeout_ms: SORTIE_NO_TIMEOUT,
        connect_timeout_ms: SORTIE_NO_TIMEOUT,
        stall_timeout_ms: SORTIE_NO_TIMEOUT,
        ..Setup::default()
    }
    .start();
    let source = folder.join("source");
    File::create(&source).unwrap().set_len(64 << 20).unwrap();
    for i in 0..30 {
        host.get(server.url("/stall-headers"));
        host.get(server.url("/stall?sent=900"));
        host.submit(&Req::download(server.url("/stall?sent=900"), folder.join(&format!("file{i}"))));
        host.submit(&Req::upload(server.url("/unread"), &source));
        host.get(hole.url("/"));
    }
    for _ in 0..20 {
        host.get(format!("https://{}/", silent.local_addr().unwrap()));
    }
    // One of the https requests goes alone until it has a connection, which leaves places for 19 of these.
    for _ in 0..30 {
        host.get(server.url("/stall-headers"));
    }
    assert!(server.wait_requests(120, DEADLINE), "{}", server.request_count());
    until("200 transfers", || (host.stats().active, host.stats().waiting) == (170, 30));
    until("some files to be removed", || folder.names().len() > 1);
    let took = host.destroy();
    println!("destroy with 200 transfers took {took:?}; the promise is 100 ms");
    assert!(took < DESTROY_LIMIT, "{took:?}");
    folder.holds(&["source"]);
    gate.open();
    assert!(server.wait_connections_open(0, DEADLINE), "its connections are closed");
}

#[test]
fn destroy_is_fast_while_everything_is_busy() {
    let server = Server::start();
    let folder = Folder::new();
    for round in 0..5 {
        let host = Host::new();
        for i in 0..200 {
            host.get(server.url("/bytes/100000"));
            host.submit(&Req::new("POST", server.url("/echo")).body(vec![0; 50_000]));
            host.submit(&Req::download(server.url("/bytes/1000000"), folder.join(&format!("{i}"))));
        }
        until("some ends", || host.stats().ended > 20);
        let took = host.destroy();
        println!("round {round}: {took:?}");
        assert!(took < DESTROY_LIMIT, "{took:?}");
        // A disk that is held up removes them a moment later.
        until("the parts to go", || folder.names().iter().all(|name| !name.contains("part")));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_left_after_destroy() {
    isolated("nothing_is_left_after_destroy", &[], || {
        let work = |graceful: bool| {
            let (server, secure) = (Server::start(), Server::builder().tls(true).start());
            let (hole, folder) = (BlackHole::start(), Folder::new());
            let host = Setup { ca_file: Some(secure.ca_pem().to_owned()), ..Setup::default() }.start();
            for i in 0..20 {
                host.get(server.url("/bytes/1000"));
                host.get(secure.url("/bytes/1000"));
                host.submit(&Req::download(server.url("/bytes/100000"), folder.join(&format!("{i}"))));
                host.submit(&Req::get(hole.url("/")).connect_timeout_ms(200));
                host.get(server.url("/reset?after=5"));
                host.get(server.url_of("localhost", "/bytes/1"));
            }
            if graceful {
                host.drain();
            } else {
                until("the first ends", || host.stats().ended > 10);
            }
        };
        // Once before, for what the process makes once and keeps.
        work(true);
        let before = Belongings::now();
        work(true);
        before.await_same();
        for _ in 0..5 {
            work(false);
        }
        before.await_same();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn its_threads_are_gone_after_destroy() {
    isolated("its_threads_are_gone_after_destroy", &[], || {
        let server = Server::start();
        Host::new().fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        assert!(server.wait_connections_open(0, DEADLINE));
        until("the server's threads", || !Belongings::now().threads.contains_key("connection"));
        let before = Belongings::now();
        let host = Host::new();
        let during = Belongings::now();
        assert!(during.threads.values().sum::<usize>() > before.threads.values().sum(), "it has threads");
        host.destroy();
        before.await_same();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn its_threads_do_not_take_the_processor_from_a_frame() {
    use std::fs;

    /// The scheduling policies of the threads of a name: the 41st field of each one's stat, the 39th after its name.
    fn policies(name: &str) -> Vec<i32> {
        let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let ours = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
        let stats = ours.filter_map(|task| fs::read_to_string(task.join("stat")).ok());
        stats.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(38).unwrap().parse().unwrap()).collect()
    }
    isolated("its_threads_do_not_take_the_processor_from_a_frame", &[], || {
        let _host = Host::new();
        for name in ["sortie-worker", "sortie-disk"] {
            until(name, || policies(name) == [libc::SCHED_BATCH]);
        }
    });
}

#[test]
#[cfg(unix)]
#[allow(unsafe_code)]
fn the_process_is_left_as_it_was() {
    fn handlers() -> Vec<usize> {
        let current = |signal| {
            let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: asks only, into a struct that may be all zero.
            unsafe {
                libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
                action.assume_init().sa_sigaction
            }
        };
        (1..32).map(current).collect()
    }
    fn locale() -> String {
        // SAFETY: asks only.
        copy_text(unsafe { libc::setlocale(libc::LC_ALL, std::ptr::null()) }).unwrap()
    }
    fn state() -> impl PartialEq + std::fmt::Debug {
        let mut environment: Vec<_> = std::env::vars_os().collect();
        environment.sort();
        (handlers(), locale(), environment, std::env::current_dir().unwrap())
    }
    isolated("the_process_is_left_as_it_was", &[], || {
        let secure = Server::builder().tls(true).start();
        let before = state();
        let host = Setup { ca_file: Some(secure.ca_pem().to_owned()), ..Setup::default() }.start();
        host.fetch(&Req::get(secure.url("/bytes/1"))).ok(200);
        host.fetch(&Req::get(secure.url_of("localhost", "/reset?after=1"))).failed(SORTIE_ERROR_RECEIVE);
        assert_eq!(state(), before, "while it is there");
        host.destroy();
        assert_eq!(state(), before, "and afterwards");
    });
}

#[test]
#[cfg(unix)]
#[allow(unsafe_code)]
fn a_broken_pipe_does_not_kill_the_process() {
    isolated("a_broken_pipe_does_not_kill_the_process", &[], || {
        // As in a C program; Rust's own start ignores it.
        // SAFETY: the default handling.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        // Without TLS: what writes to sockets there, in this same process, has no protection of its own. For Sortie's
        // side of TLS see http2.rs.
        let (server, host) = (Server::start(), Host::new());
        for _ in 0..40 {
            host.fetch(&Req::new("POST", server.url("/upload-refuse?hard=1")).body(vec![0; 4 << 20]));
        }
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn fifteen_hundred_connections_at_once() {
    const COUNT: usize = 1500;
    isolated("fifteen_hundred_connections_at_once", &[], || {
        let limit = raise_file_limit();
        assert!(limit >= 5000, "only {limit} descriptors are allowed here; both ends of {COUNT} connections need more");
        // None of the connections gets a descriptor that select() could take.
        let fillers: Vec<File> = (0..1100).map(|_| File::open("/dev/null").unwrap()).collect();
        let server = Server::start();
        let host = Setup {
            max_active: COUNT as u32,
            max_active_per_host: COUNT as u32,
            timeout_ms: SORTIE_NO_TIMEOUT,
            connect_timeout_ms: 60_000,
            ..Setup::default()
        }
        .start();
        let gate = server.gate("all");
        let ids: Vec<u64> = (0..COUNT).map(|_| host.get(server.url("/gate/all"))).collect();
        assert!(gate.wait_for(COUNT, DEADLINE), "{} of {COUNT} came", gate.waiting());
        assert_eq!(host.stats().active as usize, COUNT);
        gate.open();
        for event in host.all_ended(&ids) {
            event.ok(200);
        }
        assert!(server.max_connections_open() >= COUNT);
        drop(fillers);
    });
}

#[test]
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn running_out_of_descriptors_ends_requests_and_passes() {
    isolated("running_out_of_descriptors_ends_requests_and_passes", &[], || {
        let (server, host) = (Server::start(), Host::new());
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        let mut hog = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hog.push(file);
            if hog.len() == 200_000 {
                println!("skipped: there is no limit on descriptors");
                return;
            }
        }
        // The kept connection still works; a second one cannot be made.
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        let event = host.fetch(&Req::get(server.url_of("localhost", "/bytes/1")));
        assert_ne!(event.error, SORTIE_ERROR_NONE);
        // Nor another client.
        match Setup::default().try_create() {
            Ok(client) => drop(Host::of(client)),
            Err(refused) => assert_eq!(refused.result, SORTIE_RESULT_SYSTEM, "{refused:?}"),
        }
        drop(hog);
        host.fetch(&Req::get(server.url_of("localhost", "/bytes/1"))).ok(200);
        Host::new().fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    });
}

#[test]
fn a_failed_create_leaves_nothing() {
    for _ in 0..100 {
        let refused = Setup { max_active: 1 << 20, ..Setup::default() }.try_create().unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
    }
    let missing = Setup { ca_file: Some("/nowhere/ca.pem".into()), ..Setup::default() };
    let server = Server::builder().tls(true).start();
    // Refused at once or when it is needed, but never taken for "trust everything".
    if let Ok(client) = missing.try_create() {
        let event = Host::of(client).fetch(&Req::get(server.url("/bytes/1")));
        event.failed_as(&[SORTIE_ERROR_CERTIFICATE, SORTIE_ERROR_TLS, SORTIE_ERROR_FILE]);
    }
}

// A panic inside.

#[test]
#[cfg(feature = "test-hooks")]
#[allow(unsafe_code)]
fn a_panic_inside_ends_every_request_and_the_client_works_again() {
    let (server, hole, folder) = (Server::start(), BlackHole::start(), Folder::new());
    let host = Setup { max_active: 20, max_active_per_host: 20, ..Setup::default() }.start();
    let gate = server.gate("held");
    for round in 0..3 {
        let done = host.get(server.url("/bytes/5"));
        until("the first end", || host.stats().undrained == 1);
        let mut live = vec![host.get(hole.url("/"))];
        for i in 0..10 {
            live.push(host.submit(&Req::get(server.url("/gate/held")).progress(SORTIE_PROGRESS_DOWNLOAD)));
            live.push(host.get(server.url("/stall?sent=5")));
            live.push(host.submit(&Req::download(server.url("/stall?sent=5"), folder.join(&format!("{i}")))));
        }
        until("20 running", || host.stats().active == 20);
        // SAFETY: a live client.
        unsafe { sortie_test_panic(host.raw()) };
        // What had ended stays as it was.
        host.ended(done).ok(200);
        for event in host.all_ended(&live) {
            event.failed(SORTIE_ERROR_INTERNAL);
        }
        until("the files' removal", || folder.names().is_empty());
        host.fetch(&Req::get(server.url("/bytes/5"))).ok(200);
        host.fetch(&Req::download(server.url("/bytes/5"), folder.join("file"))).ok(200);
        std::fs::remove_file(folder.join("file")).unwrap();
        let stats = host.stats();
        assert_eq!((stats.active, stats.waiting, stats.undrained), (0, 0, 0), "round {round}: {stats:?}");
    }
    gate.open();
    // SAFETY: a live client.
    unsafe { sortie_test_panic(host.raw()) };
    assert!(host.destroy() < DESTROY_LIMIT);
}

#[test]
#[cfg(feature = "test-hooks")]
#[allow(unsafe_code)]
fn a_panic_while_suspended_is_survived() {
    let (server, host) = (Server::start(), Host::new());
    let gate = server.gate("held");
    let running = host.get(server.url("/gate/held"));
    assert!(gate.wait_for(1, DEADLINE));
    host.suspend();
    let held = host.get(server.url("/bytes/1"));
    // SAFETY: a live client.
    unsafe { sortie_test_panic(host.raw()) };
    something_else_happens();
    assert!(host.poll().is_empty(), "nothing is given out while suspended");
    host.resume();
    for id in [running, held] {
        host.ended(id).failed(SORTIE_ERROR_INTERNAL);
    }
    gate.open();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
#[cfg(feature = "test-hooks")]
#[allow(unsafe_code)]
fn a_request_that_a_panic_takes_from_the_workers_hands_still_ends() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    for round in 0..3 {
        // SAFETY: a live client.
        unsafe { sortie_test_panic_at_start(host.raw()) };
        let request = Req::download(server.url("/bytes/5"), folder.join("file")).progress(SORTIE_PROGRESS_NONE);
        host.fetch(&request).failed(SORTIE_ERROR_INTERNAL);
        host.fetch(&request).ok(200);
        let stats = host.stats();
        assert_eq!(
            (stats.submitted, stats.ended, stats.failed),
            (2 * round + 2, 2 * round + 2, round + 1),
            "{stats:?}"
        );
    }
    folder.holds(&["file"]);
}

#[test]
fn a_lent_body_is_let_go_before_the_end_is_told() {
    const SIZE: usize = 300_000;
    let (server, host) = (Server::start(), Host::new());
    let mut strings = Strings::default();
    for i in 0..100_u8 {
        let mut body = vec![i; SIZE];
        let path = if i % 2 == 0 { "/upload" } else { "/early-response" };
        let mut desc = empty_desc(strings.text(&server.url(&format!("{path}?i={i}"))));
        (desc.body, desc.body_length) = (body.as_ptr().cast(), SIZE as u64);
        desc.flags = SORTIE_REQUEST_BORROW_BODY;
        let id = host.accepted(submit_raw(host.raw(), &desc).unwrap());
        if i % 3 == 0 {
            assert_eq!(host.cancel(id), SORTIE_OK);
        }
        host.ended(id);
        // From here on it is the test's again, and gone in a moment.
        body.fill(0xee);
    }
    host.destroy();
    assert!(server.wait_connections_open(0, DEADLINE));
    let whole: Vec<_> = server.requests().into_iter().filter(|request| request.body_complete).collect();
    assert!(whole.len() >= 33, "{} arrived whole", whole.len());
    for request in whole {
        let i: u8 = request.target.rsplit('=').next().unwrap().parse().unwrap();
        assert_eq!(request.body_fnv, fnv(&vec![i; SIZE]), "{}: read after its request's end", request.target);
    }
}

#[test]
fn a_file_that_is_opened_while_suspended_is_sent_after_resume() {
    let (server, folder) = (Server::start(), Folder::new());
    let file = folder.file("file", &[b'x'; 1000]);
    for _ in 0..30 {
        let host = Host::new();
        server.clear_requests();
        let accepted = server.connections_accepted();
        let id = host.submit(&Req::upload(server.url("/upload"), &file));
        host.suspend();
        // Whatever has not gone out by now must not do so before resume.
        let_pass(5);
        let sent = (server.connections_accepted() - accepted, server.requests().len());
        let_pass(5);
        assert_eq!((server.connections_accepted() - accepted, server.requests().len()), sent);
        host.resume();
        host.ended(id).ok(200);
    }
}
