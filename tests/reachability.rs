//! Watched hosts: an event at the start and at each change.

#![allow(unsafe_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::net::TcpListener;

use sortie_test_server::{BlackHole, Proxy, Server, refused_addr};
use support::*;

fn quick() -> Host {
    Setup { reachability_interval_ms: 20, ..Setup::default() }.start()
}

#[test]
fn a_host_is_told_of_at_the_start_and_at_each_change() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = quick();
    let watch = host.try_watch(&address.to_string(), 77).unwrap();
    let first = host.news(watch);
    assert_eq!((first.kind, first.user_data, first.url), (SORTIE_EVENT_REACHABILITY, 77, address.to_string()));
    assert_eq!(first.network, SORTIE_NETWORK_REACHABLE, "and loopback is neither wifi nor cellular");
    drop(listener);
    assert_eq!(host.news(watch).network, 0);
    let _listener = TcpListener::bind(address).unwrap();
    assert_eq!(host.news(watch).network, SORTIE_NETWORK_REACHABLE);
}

#[test]
fn a_host_without_a_port_is_there_if_it_refuses() {
    let host = quick();
    assert_eq!(host.news(host.watch("localhost")).network, SORTIE_NETWORK_REACHABLE);
    assert_eq!(host.news(host.watch(&refused_addr().to_string())).network, 0, "but a port has to answer");
    assert_eq!(host.news(host.watch("no-such-name.invalid")).network, 0);
}

#[test]
fn a_host_is_reached_as_requests_reach_it() {
    let server = Server::start();
    let resolves = vec![("game.example".to_owned(), 443, "127.0.0.1".to_owned(), server.addr().port())];
    let host = Setup { resolves, ..Setup::default() }.start();
    assert_eq!(host.news(host.watch("game.example")).network, SORTIE_NETWORK_REACHABLE);

    let proxy = Proxy::http().start();
    let host = Setup { proxy: Some(proxy.url()), ..Setup::default() }.start();
    assert_eq!(host.news(host.watch(&server.addr().to_string())).network, SORTIE_NETWORK_REACHABLE);
    assert_eq!(proxy.connections(), 1, "through the proxy");

    let dead = format!("http://{}", refused_addr());
    let host = Setup { proxy: Some(dead), ..Setup::default() }.start();
    assert_eq!(host.news(host.watch("no-such-host.invalid")).network, 0, "a dead proxy says nothing of the host");
}

#[test]
fn nothing_comes_of_a_watch_that_has_ended() {
    let server = Server::start();
    let host = quick();
    let watch = host.watch(&server.addr().to_string());
    assert!(host.wait(DEADLINE), "its first event is there");
    assert_eq!(host.unwatch(watch), SORTIE_OK);
    assert!(host.poll().is_empty());
    assert_eq!(host.unwatch(watch), SORTIE_RESULT_STALE);
    let other = host.watch(&server.addr().to_string());
    host.news(other);
    assert_ne!(other, watch);
}

#[test]
fn watches_and_requests_are_not_mistaken_for_each_other() {
    let (server, host) = (Server::start(), quick());
    let watch = host.watch(&server.addr().to_string());
    assert_eq!(host.cancel(watch), SORTIE_RESULT_STALE);
    let hole = BlackHole::start();
    let request = host.get(hole.url("/"));
    assert_eq!(host.unwatch(request), SORTIE_RESULT_STALE);
    host.news(watch);
    assert_eq!(host.cancel(request), SORTIE_OK);
    host.ended(request).failed(SORTIE_ERROR_CANCELLED);
}

#[test]
fn what_is_no_host_is_refused() {
    let host = Host::new();
    for bad in ["", "http://x/", "a b", "x:0", "x:70000", ":80"] {
        let refused = host.try_watch(bad, 0).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT, "{bad:?}");
        assert!(refused.message.contains("host"), "{bad:?}: {}", refused.message);
    }
    // SAFETY: a live client; NULL is refused.
    unsafe {
        let null = std::ptr::null();
        let out = std::ptr::null_mut();
        assert_eq!(sortie_reachability_watch(host.raw(), null, 0, out), SORTIE_RESULT_NULL_ARGUMENT);
        assert_eq!(sortie_reachability_watch(out.cast(), c"x".as_ptr(), 0, out), SORTIE_RESULT_NULL_ARGUMENT);
        assert_eq!(sortie_reachability_unwatch(host.raw(), 0), SORTIE_RESULT_STALE);
        assert_eq!(sortie_client_network(null.cast()), 0);
        assert_eq!(
            sortie_reachability_watch(host.raw(), c"127.0.0.1".as_ptr(), 0, out),
            SORTIE_OK,
            "the id is optional"
        );
    }
}

#[test]
fn as_many_hosts_as_allowed_are_watched() {
    let (server, host) = (Server::start(), Host::new());
    let address = server.addr().to_string();
    let watches: Vec<u64> = (0..64).map(|_| host.watch(&address)).collect();
    let refused = host.try_watch(&address, 0).unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_TOO_MANY_REQUESTS);
    assert!(refused.message.contains("64"), "{}", refused.message);
    for watch in &watches {
        assert_eq!(host.news(*watch).network, SORTIE_NETWORK_REACHABLE);
    }
    assert_eq!(host.unwatch(watches[0]), SORTIE_OK);
    host.news(host.watch(&address));
}

#[test]
fn a_suspended_client_hears_of_hosts_on_resume() {
    let (server, host) = (Server::start(), quick());
    host.suspend();
    let watch = host.watch(&server.addr().to_string());
    let_pass(100);
    assert_eq!(server.connections_accepted(), 0, "nothing is probed meanwhile");
    host.resume();
    assert_eq!(host.news(watch).network, SORTIE_NETWORK_REACHABLE);
}

#[test]
fn a_destroyed_client_leaves_its_probes() {
    let hole = BlackHole::start();
    for _ in 0..20 {
        let host = quick();
        host.watch(&hole.addr().to_string());
        host.watch("stuck.invalid");
        host.poll();
        // 100 ms are promised; this machine may be busy.
        assert!(host.destroy() < std::time::Duration::from_millis(500));
    }
}

#[test]
fn a_panic_of_the_worker_does_not_end_a_watch() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = quick();
    let watch = host.watch(&listener.local_addr().unwrap().to_string());
    host.news(watch);
    // SAFETY: a live client.
    unsafe { sortie_test_panic(host.raw()) };
    drop(listener);
    assert_eq!(host.news(watch).network, 0);
}

/// Run by root, the link of a network namespace is taken down and up; where that is not allowed, says so.
#[cfg(target_os = "linux")]
#[test]
fn a_link_that_goes_down_and_up_is_told_of_at_once() {
    const TEST: &str = "a_link_that_goes_down_and_up_is_told_of_at_once";
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
    let ip = |arguments: &str| {
        assert!(command("ip", &arguments.split(' ').collect::<Vec<_>>()), "ip {arguments}");
    };
    // One end of the cable stays here; the other, in a namespace of its own, is where the host would be.
    ip("link set lo up");
    ip("link add here type veth peer name there");
    ip("addr add 198.51.100.1/24 dev here");
    ip("link set here up");
    ip("link set there up");
    ip("route add default via 198.51.100.2");
    // Only a change of the network makes it look again.
    let host = Setup { reachability_interval_ms: SORTIE_NO_TIMEOUT, ..Setup::default() }.start();
    let network = || {
        // SAFETY: a live client.
        unsafe { sortie_client_network(host.raw()) }
    };
    // The kernel may take a moment to find the carrier.
    until("the network to be there", || network() == SORTIE_NETWORK_REACHABLE);
    let listener = TcpListener::bind("198.51.100.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let watch = host.watch(&address.to_string());
    assert_eq!(host.news(watch).network, SORTIE_NETWORK_REACHABLE);
    for _ in 0..3 {
        ip("addr del 198.51.100.1/24 dev here");
        assert_eq!(host.news(watch).network, 0);
        until("the network to be gone", || network() == 0);
        ip("addr add 198.51.100.1/24 dev here");
        ip("route add default via 198.51.100.2");
        assert_eq!(host.news(watch).network, SORTIE_NETWORK_REACHABLE);
        until("the network to be back", || network() == SORTIE_NETWORK_REACHABLE);
    }
    // The cable is pulled at the other end.
    ip("link set there down");
    until("the carrier to be gone", || network() == 0);
    ip("link set there up");
    until("the carrier to be back", || network() == SORTIE_NETWORK_REACHABLE);
}
