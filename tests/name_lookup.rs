//! Name lookups that fail, and that do not come back: the system's resolver is replaced by one that does as told.

#![cfg(target_os = "linux")]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::ffi::{CStr, c_char, c_int};
use std::mem::transmute;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use sortie_test_server::{Proxy, Server};
use support::*;

/// How many look-ups of `*.stuck.test` are waiting, and whether they may come back.
static STUCK: Mutex<(usize, bool)> = Mutex::new((0, false));
static CHANGED: Condvar = Condvar::new();
/// Whether `*.later.test` exists.
static EXISTS: AtomicBool = AtomicBool::new(false);

type Lookup =
    unsafe extern "C" fn(*const c_char, *const c_char, *const libc::addrinfo, *mut *mut libc::addrinfo) -> c_int;

/// Takes the place of the C library's: `*.stuck.test` does not come back until it is let go, `*.missing.test` is not
/// found, `*.good.test` is 127.0.0.1, `*.later.test` once it exists; the rest is as ever.
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
    if name.ends_with(b".later.test") && !EXISTS.load(Ordering::Relaxed) {
        return libc::EAI_NONAME;
    }
    let node =
        if name.ends_with(b".good.test") || name.ends_with(b".later.test") { c"127.0.0.1".as_ptr() } else { node };
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
fn a_name_that_was_not_found_is_asked_for_again() {
    let (server, host) = (Server::start(), Host::new());
    let request = Req::get(server.url_of("www.later.test", "/bytes/1"));
    host.fetch(&request).failed(SORTIE_ERROR_RESOLVE);
    // A retry asks anew, too.
    let id = host.submit(&request.clone().max_attempts(3).retry_delay_ms(200).flags(SORTIE_REQUEST_RETRY_EVENTS));
    host.await_event(id, |event| event.kind == SORTIE_EVENT_RETRY);
    EXISTS.store(true, Ordering::Relaxed);
    host.ended(id).ok(200);
    host.fetch(&request).ok(200);
    // The same of a proxy's name.
    EXISTS.store(false, Ordering::Relaxed);
    let proxy = Proxy::http().start();
    let url = format!("http://proxy.later.test:{}", proxy.addr().port());
    let host = Setup { proxy: Some(url), ..Setup::default() }.start();
    host.fetch(&Req::get(server.url("/bytes/1"))).failed_as(&[SORTIE_ERROR_PROXY, SORTIE_ERROR_RESOLVE]);
    EXISTS.store(true, Ordering::Relaxed);
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
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

#[test]
fn a_dot_at_the_end_of_a_name_makes_no_other_host() {
    let server = Server::start();
    let tls = Server::builder().tls(true).names(["dotted.test"]).start();
    for configured in ["dotted.test", "dotted.test.", "DOTTED.test."] {
        let resolves = vec![
            (configured.into(), 80, "127.0.0.1".into(), server.port()),
            (configured.into(), 443, "127.0.0.1".into(), tls.port()),
        ];
        let ca_file = Some(tls.ca_pem().to_owned());
        let pins = vec![(configured.to_owned(), tls.public_key_pin())];
        let host = Setup { resolves, ca_file, pins, ..Setup::default() }.start();
        for name in ["dotted.test", "dotted.test.", "Dotted.Test."] {
            host.fetch(&Req::get(format!("http://{name}/bytes/1"))).ok(200);
            // The certificate is for the name without a dot.
            host.fetch(&Req::get(format!("https://{name}/bytes/1"))).ok(200);
        }
    }
    // An address is none the less one.
    let resolves = vec![("127.0.0.2".into(), 0, "127.0.0.1".into(), server.port())];
    let host = Setup { resolves, ..Setup::default() }.start();
    host.fetch(&Req::get("http://127.0.0.2/bytes/1")).ok(200);
    host.fetch(&Req::get("http://127.0.0.2./bytes/1")).ok(200);
}

#[test]
fn a_zone_is_no_part_of_what_is_sent() {
    let server = Server::builder().ipv6(true).start();
    let host = Host::new();
    let port = server.port();
    for zone in ["%25lo", "%lo", "%251", "%1"] {
        let url = format!("http://[::1{zone}]:{port}/redirect-to?url=/bytes/3");
        let event = host.fetch(&Req::get(&url));
        assert_eq!(event.ok(200).bytes().len(), 3);
        assert_eq!(event.url, url, "as requested");
        let escaped = zone.replace("%25", "%").replace('%', "%25");
        assert_eq!(
            event.effective_url.unwrap(),
            format!("http://[::1{escaped}]:{port}/bytes/3"),
            "the hop's, with its zone"
        );
        for request in server.requests() {
            assert_eq!(request.header("Host"), Some(&*format!("[::1]:{port}")));
        }
        server.clear_requests();
    }
    let event = host.fetch(&Req::get(format!("http://user:secret@[::1%25lo]:{port}/bytes/1")));
    assert_eq!(event.ok(200).url, format!("http://[::1%25lo]:{port}/bytes/1"));
    let message = host.fetch(&Req::get("http://[fe80::1%25no-such-if]/")).failed(SORTIE_ERROR_CONNECT).to_owned();
    assert!(message.contains("no network interface 'no-such-if'"), "{message}");
    for bad in [
        "http://[fe80::1%25]x/",
        "http://[fe80::1%]/",
        "http://[fe80::1%25a b]/",
        "http://[fe80::1%25a%2fb]/",
        "http://[fe80::1%25sixteen-letters-]/",
        "http://[%25lo]/",
        "http://[fe80::1%25lo/",
        "http://host%25lo/",
    ] {
        let refused = host.try_submit(&Req::get(bad)).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_URL, "{bad}: {}", refused.message);
    }
    // Cookies and stored responses are of a host, and not of whichever has that address on some interface.
    let host = Setup { max_memory_cache_bytes: 1 << 20, ..Setup::default() }.start();
    let url = |zone: &str, path: &str| format!("http://[::1{zone}]:{port}{path}");
    host.fetch(&Req::get(url("", "/headers?Set-Cookie=a%3D1&Cache-Control=max-age%3D1000"))).ok(200);
    server.clear_requests();
    host.fetch(&Req::get(url("%25lo", "/headers?Set-Cookie=b%3D2&Cache-Control=max-age%3D1000"))).ok(200);
    host.fetch(&Req::get(url("", "/headers?x=1"))).ok(200);
    let cookies: Vec<_> = server.requests().iter().map(|seen| seen.header("Cookie").map(str::to_owned)).collect();
    assert_eq!(cookies, [None, Some("a=1".into())]);
}

/// Run by root, in a network namespace: two links on which the same address is two hosts.
#[cfg(target_os = "linux")]
#[test]
fn link_local_addresses_are_told_apart_by_their_zone() {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Ipv6Addr, SocketAddrV6, TcpListener};

    const TEST: &str = "link_local_addresses_are_told_apart_by_their_zone";
    const INSIDE: &str = "SORTIE_TEST_NAMESPACE";
    let command = |program: &str, arguments: &[&str]| {
        std::process::Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if std::env::var_os(INSIDE).is_none() {
        if !command("unshare", &["--net", "ip", "link", "set", "lo", "up"]) {
            println!("skipped: network namespaces need root and iproute2");
            return;
        }
        let program = std::env::current_exe().unwrap();
        let mut inside = std::process::Command::new("unshare");
        inside.arg("--net").arg(program).args([TEST, "--exact", "--nocapture", "--include-ignored"]).env(INSIDE, "1");
        let output = inside.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        print!("{text}");
        assert!(output.status.success() && text.contains("1 passed"));
        return;
    }
    assert!(command("ip", &["link", "set", "lo", "up"]));
    let address: Ipv6Addr = "fe80::5".parse().unwrap();
    let mut port = 0;
    for (at, name) in ["one", "two"].into_iter().enumerate() {
        for arguments in [
            format!("link add {name} type veth peer name {name}-end"),
            format!("link set {name} up"),
            format!("link set {name}-end up"),
            format!("addr add {address}/64 dev {name} nodad"),
            format!("addr add fe80::{}/64 dev {name} nodad", 6 + at),
        ] {
            assert!(command("ip", &arguments.split(' ').collect::<Vec<_>>()), "ip {arguments}");
        }
        let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"));
        let index: u32 = match index {
            Ok(index) => index.trim().parse().unwrap(),
            // That folder shows the namespace it was mounted in.
            // SAFETY: a NUL-terminated name.
            Err(_) => unsafe { libc::if_nametoindex(std::ffi::CString::new(name).unwrap().as_ptr()) },
        };
        let listener = TcpListener::bind(SocketAddrV6::new(address, port, 0, index)).unwrap();
        port = listener.local_addr().unwrap().port();
        let other = format!("http://[fe80::{}]:{port}/", 6 + at);
        // The same address of both, and another that only this link has, which redirects lead to.
        for listener in [
            listener,
            TcpListener::bind(SocketAddrV6::new(format!("fe80::{}", 6 + at).parse().unwrap(), port, 0, index)).unwrap(),
        ] {
            let other = other.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let other = other.clone();
                    std::thread::spawn(move || {
                        let mut stream = stream.unwrap();
                        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                        while let Some(Ok(first)) = lines.next() {
                            let rest: Vec<String> =
                                lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                            assert!(rest.iter().all(|line| !line.contains('%')), "{rest:?}");
                            let head = if first.contains("/moved") {
                                format!("307 Moved\r\nLocation: {other}")
                            } else {
                                "200 OK".into()
                            };
                            let body = format!("{name} on {}", stream.local_addr().unwrap().ip());
                            write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                        }
                    });
                }
            });
        }
    }
    let host = Host::new();
    for _ in 0..2 {
        for (name, other) in [("one", "fe80::6"), ("two", "fe80::7")] {
            for zone in [format!("%25{name}"), format!("%{name}")] {
                let event = host.fetch(&Req::get(format!("http://[fe80::5{zone}]:{port}/")));
                assert_eq!(event.ok(200).text(), format!("{name} on fe80::5"));
            }
            let event = host.fetch(&Req::get(format!("http://[fe80::5%25{name}]:{port}/moved")));
            assert_eq!(event.ok(200).text(), format!("{name} on {other}"), "a neighbour is on the same link");
            assert_eq!(event.effective_url.unwrap(), format!("http://[{other}%25{name}]:{port}/"));
        }
    }
    assert_eq!(host.stats().connections, 4, "each was used again, and only for its own link");
}
