//! Name lookups that fail, and that do not come back: the system's resolver is replaced by one that does as told.

#![cfg(target_os = "linux")]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::ffi::{CStr, c_char, c_int};
use std::mem::transmute;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use sortie_test_server::Server;
use support::*;

/// How many look-ups of `*.stuck.test` are waiting, and whether they may come back.
static STUCK: Mutex<(usize, bool)> = Mutex::new((0, false));
static CHANGED: Condvar = Condvar::new();

type Lookup =
    unsafe extern "C" fn(*const c_char, *const c_char, *const libc::addrinfo, *mut *mut libc::addrinfo) -> c_int;

/// Takes the place of the C library's: `*.stuck.test` does not come back until it is let go, `*.missing.test` is not
/// found, `*.good.test` is 127.0.0.1; the rest is as ever.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    // SAFETY: NULL or a NUL-terminated name.
    let name = if node.is_null() { c"" } else { unsafe { CStr::from_ptr(node) } }.to_bytes();
    if name.ends_with(b".stuck.test") {
        let mut stuck = STUCK.lock().unwrap();
        stuck.0 += 1;
        CHANGED.notify_all();
        while !stuck.1 {
            stuck = CHANGED.wait(stuck).unwrap();
        }
        stuck.0 -= 1;
        return libc::EAI_AGAIN;
    }
    if name.ends_with(b".missing.test") {
        return libc::EAI_NONAME;
    }
    let node = if name.ends_with(b".good.test") { c"127.0.0.1".as_ptr() } else { node };
    // SAFETY: the next of that name is the C library's own, of this type, given what it would have been given.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr());
        assert!(!next.is_null());
        transmute::<*mut libc::c_void, Lookup>(next)(node, service, hints, result)
    }
}

/// Waits until so many look-ups are stuck.
fn await_stuck(count: usize) {
    let deadline = Instant::now() + DEADLINE;
    let mut stuck = STUCK.lock().unwrap();
    while stuck.0 < count {
        assert!(Instant::now() < deadline, "{} of {count} are stuck", stuck.0);
        stuck = CHANGED.wait_timeout(stuck, Duration::from_millis(100)).unwrap().0;
    }
}

fn let_go() {
    STUCK.lock().unwrap().1 = true;
    CHANGED.notify_all();
    until("the look-ups to come back", || STUCK.lock().unwrap().0 == 0);
}

#[test]
fn a_name_that_is_not_found_is_a_resolve_error() {
    let (server, host) = (Server::start(), Host::new());
    let event = host.fetch(&Req::get("http://www.missing.test:1234/x"));
    assert!(event.failed(SORTIE_ERROR_RESOLVE).contains("www.missing.test"), "{:?}", event.message);
    assert_eq!(event.status, 0);
    let event = host.fetch(&Req::get(server.url_of("www.good.test", "/bytes/1")));
    assert!(event.ok(200).timing.unwrap().name_lookup_us > 0);
    // A redirect there fails the same way.
    let redirect = server.url("/redirect-to?url=http%3A%2F%2Fa.missing.test%2F");
    host.fetch(&Req::get(redirect)).failed(SORTIE_ERROR_RESOLVE);
    // So does a proxy.
    let host = Setup { proxy: Some("http://proxy.missing.test:1".into()), ..Setup::default() }.start();
    host.fetch(&Req::get(server.url("/bytes/1"))).failed_as(&[SORTIE_ERROR_PROXY, SORTIE_ERROR_RESOLVE]);
}

#[test]
fn destroy_does_not_wait_for_stuck_lookups() {
    isolated("destroy_does_not_wait_for_stuck_lookups", &[], || {
        let server = Server::start();
        Host::new().fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        drop(server);
        until("the server's threads", || !Belongings::now().threads.contains_key("connection"));
        let before = Belongings::now();
        for _ in 0..3 {
            let host = Setup { max_active: 200, max_active_per_host: 200, ..Setup::default() }.start();
            for i in 0..200 {
                host.get(format!("http://{i}.stuck.test/"));
            }
            await_stuck(5);
            let took = host.destroy();
            println!("destroy with stuck lookups took {took:?}; the promise is 100 ms");
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
        // What they still hold goes when they come back.
        let_go();
        before.await_same();
    });
}

#[test]
fn cancel_and_limits_do_not_wait_for_stuck_lookups() {
    isolated("cancel_and_limits_do_not_wait_for_stuck_lookups", &[], || {
        let host = Host::new();
        let cancelled = host.get("http://a.stuck.test/");
        await_stuck(1);
        assert_eq!(host.cancel(cancelled), SORTIE_OK);
        host.ended(cancelled).failed(SORTIE_ERROR_CANCELLED);
        let connect = Req::get("http://b.stuck.test/").connect_timeout_ms(300);
        host.fetch(&connect).failed(SORTIE_ERROR_CONNECT_TIMEOUT);
        host.fetch(&Req::get("http://c.stuck.test/").timeout_ms(300)).failed(SORTIE_ERROR_TIMEOUT);
        let_go();
    });
}

#[test]
fn stuck_lookups_do_not_hold_up_other_requests() {
    isolated("stuck_lookups_do_not_hold_up_other_requests", &[], || {
        let (server, host) = (Server::start(), Host::new());
        let stuck: Vec<u64> = (0..8).map(|i| host.get(format!("http://{i}.stuck.test/"))).collect();
        await_stuck(8);
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        host.fetch(&Req::get(server.url_of("www.good.test", "/bytes/1"))).ok(200);
        let_go();
        for event in host.all_ended(&stuck) {
            event.failed(SORTIE_ERROR_RESOLVE);
        }
    });
}

#[test]
fn a_lookup_that_comes_back_while_suspended_is_used_after_that() {
    isolated("a_lookup_that_comes_back_while_suspended_is_used_after_that", &[], || {
        let host = Host::new();
        let id = host.get("http://a.stuck.test/");
        await_stuck(1);
        host.suspend();
        let_go();
        let_pass(100);
        assert!(host.poll().is_empty());
        host.resume();
        host.ended(id).failed(SORTIE_ERROR_RESOLVE);
    });
}
