//! BEGAN and PROGRESS events: their order, their numbers, and how few there are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use sortie_test_server::{BlackHole, Framing, Gate, Outcome, Response, Server, refused_addr};
use support::*;

const DOWN: u32 = SORTIE_PROGRESS_DOWNLOAD;
const UP: u32 = SORTIE_PROGRESS_UPLOAD;

fn kinds(events: &[Event]) -> Vec<u32> {
    events.iter().map(|event| event.kind).collect()
}

/// A server that sends 1000 bytes of 3000 for each of three gates.
fn stepwise(gates: &[Gate; 3], framing: Framing) -> Server {
    let gates = gates.clone();
    Server::builder()
        .handler(move |_, conn| {
            conn.start(&Response::new(200).header("X-Test", "yes"), framing)?;
            for (gate, offset) in gates.iter().zip([0, 1000, 2000]) {
                conn.wait_at(gate)?;
                conn.write_pattern(offset, 1000)?;
            }
            conn.finish_body(&[])?;
            Ok(Some(Outcome::Close))
        })
        .start()
}

#[test]
fn a_download_tells_its_steps() {
    for (framing, estimated) in [(Framing::Length(3000), 3000), (Framing::Chunked, -1), (Framing::UntilClose, -1)] {
        let gates = [Gate::new(), Gate::new(), Gate::new()];
        let (server, host) = (stepwise(&gates, framing), Host::new());
        let id = host.submit(&Req::get(server.url("/")).progress(DOWN).user_data(9));
        let began = host.await_event(id, |event| event.kind == SORTIE_EVENT_BEGAN);
        assert_eq!((began.status, began.transferred, began.estimated), (200, 0, estimated), "{framing:?}");
        assert_eq!((began.header("X-Test"), began.user_data), (Some("yes"), 9));
        for (gate, transferred) in gates.iter().zip([1000, 2000, 3000]) {
            gate.open();
            let progress = host.await_event(id, |event| event.transferred == transferred);
            assert_eq!((progress.estimated, progress.url), (estimated, server.url("/")), "{framing:?}");
        }
        let events = host.events(id);
        let (first, last) = (events.first().unwrap(), events.last().unwrap());
        assert_eq!((first.kind, last.kind), (SORTIE_EVENT_BEGAN, SORTIE_EVENT_ENDED));
        assert_eq!((last.ok(200).transferred, last.bytes().len()), (3000, 3000), "{framing:?}");
        assert!(last.estimated == estimated || last.estimated == 3000, "{framing:?}: {}", last.estimated);
        let inner = &kinds(&events)[1..events.len() - 1];
        assert!(inner.len() >= 2 && inner.iter().all(|kind| *kind == SORTIE_EVENT_PROGRESS), "{inner:?}");
    }
}

#[test]
fn progress_is_coalesced_while_the_host_looks_away() {
    let (server, host) = (Server::start(), Host::new());
    let folder = Folder::new();
    let to_memory = Req::get(server.url("/bytes/20000000"));
    let to_file = Req::download(server.url("/bytes/20000000"), folder.join("file"));
    for request in [to_memory, to_file, Req::get(server.url("/slow?bytes=30000&rate=100000"))] {
        let before = host.stats().ended;
        let id = host.submit(&request.progress(DOWN));
        until("the end", || host.stats().ended == before + 1);
        // Everything has happened and nothing was drained: at most one of each kind is there.
        let events = host.poll();
        assert!(events.iter().all(|event| event.request == id));
        let kinds = kinds(&events);
        let with_progress = [SORTIE_EVENT_BEGAN, SORTIE_EVENT_PROGRESS, SORTIE_EVENT_ENDED];
        assert!(kinds == with_progress || kinds == [SORTIE_EVENT_BEGAN, SORTIE_EVENT_ENDED], "{kinds:?}");
        if let [_, progress, ended] = &events[..] {
            assert_eq!(progress.transferred, ended.transferred, "it has the newest numbers");
        }
        assert!(host.poll().is_empty());
    }
}

#[test]
fn a_transfer_between_two_polls_still_began() {
    let (server, host) = (Server::start(), Host::new());
    for (request, status) in [
        (Req::get(server.url("/bytes/10")).progress(DOWN), 200),
        (Req::get(server.url("/bytes/0")).progress(DOWN), 200),
        (Req::get(server.url("/status/404?body=x")).progress(DOWN), 404),
        (Req::get(server.url("/204")).progress(DOWN), 204),
        (Req::new("HEAD", server.url("/head")).progress(DOWN), 200),
        (Req::new("POST", server.url("/upload")).body("x").progress(UP), 200),
        (Req::new("POST", server.url("/upload")).body("").progress(UP), 200),
    ] {
        let before = host.stats().ended;
        let id = host.submit(&request);
        until("the end", || host.stats().ended == before + 1);
        let events = host.poll();
        let kinds = kinds(&events);
        assert!(events.iter().all(|event| event.request == id));
        assert_eq!((kinds[0], kinds[kinds.len() - 1]), (SORTIE_EVENT_BEGAN, SORTIE_EVENT_ENDED), "{}", request.url);
        events.last().unwrap().ok(status);
    }
}

#[test]
fn nobody_hears_of_progress_who_did_not_ask() {
    let (server, host) = (Server::start(), Host::new());
    for request in
        [Req::get(server.url("/bytes/5000000")), Req::new("POST", server.url("/upload")).body(vec![0; 5_000_000])]
    {
        let id = host.submit(&request);
        assert_eq!(kinds(&host.events(id)), [SORTIE_EVENT_ENDED]);
    }
}

#[test]
fn an_upload_begins_before_it_connects() {
    let (hole, host, folder) = (BlackHole::start(), Host::new(), Folder::new());
    let file = folder.file("file", &[1; 777]);
    for (request, size) in [
        (Req::new("POST", hole.url("/")).body(vec![0; 555]), 555),
        (Req::upload(hole.url("/"), file), 777),
        (Req::new("POST", hole.url("/")), 0),
    ] {
        let id = host.submit(&request.progress(UP));
        let began = host.await_event(id, |event| event.kind == SORTIE_EVENT_BEGAN);
        assert_eq!((began.status, began.transferred, began.estimated), (0, 0, size));
        assert_eq!((began.headers.len(), began.effective_url), (0, None));
        assert_eq!(host.cancel(id), SORTIE_OK);
        host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    }
}

#[test]
fn an_upload_tells_how_far_it_is() {
    const SIZE: usize = 64 << 20;
    let (host, folder, gate) = (Host::new(), Folder::new(), Gate::new());
    let at_gate = gate.clone();
    let server = Server::builder()
        .handler(move |_, conn| {
            conn.read_body_up_to(SIZE / 2)?;
            conn.wait_at(&at_gate)?;
            conn.drain_body()?;
            conn.send(&Response::new(200).body(vec![b'x'; 12_345])).map(Some)
        })
        .start();
    let file = folder.file("file", &vec![7; SIZE]);
    for request in [Req::new("POST", server.url("/")).body(vec![7; SIZE]), Req::upload(server.url("/"), file)] {
        gate.close();
        let id = host.submit(&request.progress(UP));
        let half = host.await_event(id, |event| event.transferred >= SIZE as u64 / 2);
        assert_eq!((half.kind, half.estimated), (SORTIE_EVENT_PROGRESS, SIZE as i64));
        gate.open();
        let end = host.ended(id);
        assert_eq!(end.ok(200).bytes().len(), 12_345);
        assert_eq!((end.transferred, end.estimated), (SIZE as u64, SIZE as i64), "of the body that was sent");
    }
}

#[test]
fn download_progress_of_an_upload_tells_of_the_response() {
    let (server, host) = (Server::start(), Host::new());
    let request = Req::new("POST", server.url("/echo")).body(vec![b'x'; 300_000]).header("Content-Type", "a/b");
    let id = host.submit(&request.progress(DOWN));
    let events = host.events(id);
    assert_eq!((events[0].kind, events[0].status, events[0].estimated), (SORTIE_EVENT_BEGAN, 200, 300_000));
    assert_eq!(events.last().unwrap().ok(200).transferred, 300_000);
}

#[test]
fn compressed_bodies_are_counted_as_they_travel() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&Req::get(server.url("/gzip?bytes=2000000")).progress(DOWN));
    let events = host.events(id);
    let end = events.last().unwrap().ok(200);
    let length: i64 = end.header("Content-Length").unwrap().parse().unwrap();
    assert_eq!((end.bytes().len(), end.transferred as i64, end.estimated), (2_000_000, length, length));
    assert!(length < 2_000_000);
    // More than estimated would have been noticed when the events were copied.
    assert_eq!((events[0].kind, events[0].estimated), (SORTIE_EVENT_BEGAN, length));
}

#[test]
fn redirects_do_not_begin() {
    let (server, host) = (Server::start(), Host::new());
    let id = host.submit(&Req::get(server.url("/redirect/3")).progress(DOWN));
    let events = host.events(id);
    assert_eq!((events[0].kind, events[0].status, events[0].estimated), (SORTIE_EVENT_BEGAN, 200, 2));
    let end = events.last().unwrap().ok(200);
    assert_eq!((end.transferred, end.estimated), (2, 2), "the redirects' bodies do not count");
    // The body goes twice; that the numbers never go back is checked with every event.
    let target = format!("{}?status=307", server.url("/redirect-to"));
    let request = Req::new("POST", format!("{target}&url=/upload")).body(vec![1; 2_000_000]).progress(UP);
    let id = host.submit(&request);
    let events = host.events(id);
    assert_eq!((events[0].kind, events[0].estimated), (SORTIE_EVENT_BEGAN, 2_000_000));
    let end = events.last().unwrap().ok(200);
    assert_eq!((end.transferred, end.estimated), (2_000_000, 2_000_000));
    assert_eq!(server.requests().last().unwrap().body_length, 2_000_000);
}

#[test]
fn what_never_answered_never_began_to_download() {
    let (server, host) = (Server::start(), Host::new());
    for url in [format!("http://{}/", refused_addr()), server.url("/empty"), server.url("/reset-headers")] {
        let id = host.submit(&Req::get(url).progress(DOWN));
        let events = host.events(id);
        assert_eq!(kinds(&events), [SORTIE_EVENT_ENDED]);
        assert_ne!(events[0].error, SORTIE_ERROR_NONE);
    }
    // What broke off later did begin.
    let id = host.submit(&Req::get(server.url("/reset?after=100&declared=1000")).progress(DOWN));
    let events = host.events(id);
    let end = events.last().unwrap();
    end.failed(SORTIE_ERROR_RECEIVE);
    assert_eq!((events[0].kind, events[0].estimated, end.estimated), (SORTIE_EVENT_BEGAN, 1000, 1000));
}

#[test]
fn a_failed_upload_began_and_ends() {
    let host = Host::new();
    let request = Req::new("POST", format!("http://{}/", refused_addr())).body("1234").progress(UP);
    let id = host.submit(&request);
    let events = host.events(id);
    assert_eq!(kinds(&events), [SORTIE_EVENT_BEGAN, SORTIE_EVENT_ENDED]);
    assert_eq!((events[0].estimated, events[1].transferred), (4, 0));
    events[1].failed(SORTIE_ERROR_CONNECT);
}

#[test]
fn many_transfers_at_once_each_tell_their_own() {
    let (server, host) = (Server::start(), Host::new());
    let total = AtomicU64::new(0);
    let ids: Vec<u64> = (0..100)
        .map(|i| {
            let size = 10_000 + i * 1000;
            total.fetch_add(size, Ordering::SeqCst);
            host.submit(&Req::get(server.url(&format!("/bytes/{size}"))).progress(DOWN).user_data(size))
        })
        .collect();
    let mut received = 0;
    for id in ids {
        let events = host.events(id);
        assert_eq!(events[0].kind, SORTIE_EVENT_BEGAN);
        let end = events.last().unwrap().ok(200);
        assert_eq!((end.user_data, end.estimated), (end.transferred, end.transferred as i64));
        received += end.transferred;
    }
    assert_eq!(received, total.into_inner());
}
