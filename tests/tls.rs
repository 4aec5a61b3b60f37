//! TLS: whom to believe, who we are, and the ways through proxies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, thread};

use sortie_test_server::{Authority, Proxy, Server, pattern_vec, refused_addr};
use support::*;

/// A client that believes this server's authority.
fn trusting(server: &Server) -> Setup {
    Setup { ca_file: Some(server.ca_pem().to_owned()), ..Setup::default() }
}

fn secure() -> Server {
    Server::builder().tls(true).start()
}

#[test]
fn an_authority_of_ones_own_is_believed() {
    let server = secure();
    let host = trusting(&server).start();
    for name in ["127.0.0.1", "localhost"] {
        let event = host.fetch(&Req::get(server.url_of(name, "/bytes/100000")));
        assert_eq!(event.ok(200).bytes().len(), 100_000);
        let timing = event.timing.unwrap();
        assert!(timing.tls_us >= timing.connect_us && timing.tls_us > 0, "{timing:?}");
    }
}

#[test]
fn an_unknown_authority_is_not_believed() {
    let (server, plain) = (secure(), Server::start());
    for setup in [Setup::default(), Setup { ca_file: Some(Authority::new().ca_pem().to_owned()), ..Setup::default() }] {
        let Ok(client) = setup.try_create() else { continue }; // the second authority's files are gone again
        let host = Host::of(client);
        let event = host.fetch(&Req::get(server.url("/bytes/1")));
        let message = event.failed_as(&[SORTIE_ERROR_CERTIFICATE, SORTIE_ERROR_TLS, SORTIE_ERROR_FILE]);
        assert!(!message.is_empty());
        host.fetch(&Req::get(plain.url("/bytes/1"))).ok(200);
    }
    let host = Host::new();
    let event = host.fetch(&Req::new("POST", server.url("/upload")).body("secret").bearer("secret"));
    assert!(event.failed(SORTIE_ERROR_CERTIFICATE).contains("127.0.0.1"), "names the host: {:?}", event.message);
    assert_eq!((event.status, server.request_count()), (0, 0), "nothing was sent");
}

#[test]
fn a_certificate_that_is_wrong_is_refused() {
    for (what, builder) in [
        ("another name", Server::builder().wrong_name()),
        ("expired", Server::builder().expired()),
        ("self-signed", Server::builder().self_signed()),
    ] {
        let server = builder.start();
        let host = trusting(&server).start();
        for name in ["127.0.0.1", "localhost"] {
            let event = host.fetch(&Req::get(server.url_of(name, "/bytes/1")));
            assert_eq!(event.error, SORTIE_ERROR_CERTIFICATE, "{what}: {:?}", event.message);
        }
        assert_eq!(server.request_count(), 0, "{what}: nothing was sent");
    }
}

#[test]
fn one_bad_certificate_does_not_spoil_the_good_one() {
    let good = secure();
    let bad = Server::builder().authority(good.authority()).wrong_name().start();
    let host = trusting(&good).start();
    for _ in 0..3 {
        host.fetch(&Req::get(bad.url("/bytes/1"))).failed(SORTIE_ERROR_CERTIFICATE);
        host.fetch(&Req::get(good.url("/bytes/1"))).ok(200);
    }
}

#[test]
fn certificates_are_checked_against_the_urls_name_whatever_the_address() {
    let server = secure();
    let resolve = |name: &str| (name.to_owned(), 0, "127.0.0.1".to_owned(), server.port());
    let host = Setup { resolves: vec![resolve("api.test"), resolve("other.example")], ..trusting(&server) }.start();
    host.fetch(&Req::get("https://api.test/bytes/1")).ok(200);
    host.fetch(&Req::get("https://other.example/bytes/1")).failed(SORTIE_ERROR_CERTIFICATE);
    assert_eq!(server.requests()[0].header("Host"), Some("api.test"));
}

#[test]
fn a_pinned_key_must_be_shown() {
    let server = secure();
    let (right, wrong) = (server.public_key_pin(), format!("sha256//{}=", "A".repeat(43)));
    let resolve = |name: &str| (name.to_owned(), 0, "127.0.0.1".to_owned(), server.port());
    let fetch = |host: &str, keys: &str| {
        let pins = vec![(host.to_owned(), keys.to_owned())];
        let resolves = vec![resolve("a.test"), resolve("b.test")];
        Setup { pins, resolves, ..trusting(&server) }.start().fetch(&Req::get("https://a.test/bytes/1"))
    };
    fetch("a.test", &right).ok(200);
    fetch("A.Test", &right).ok(200);
    fetch("a.test", &format!("{wrong};{right}")).ok(200);
    fetch("b.test", &wrong).ok(200);
    let before = server.request_count();
    for host in ["a.test", "A.Test"] {
        let event = fetch(host, &wrong);
        assert!(event.failed(SORTIE_ERROR_CERTIFICATE).contains("a.test"), "{:?}", event.message);
    }
    assert_eq!(server.request_count(), before, "nothing was sent");
}

#[test]
fn a_pin_holds_after_a_redirect_and_on_a_shared_address() {
    let server = secure();
    let wrong = format!("sha256//{}=", "A".repeat(43));
    let resolve = |name: &str| (name.to_owned(), 0, "127.0.0.1".to_owned(), server.port());
    let host = Setup {
        pins: vec![("b.test".into(), wrong)],
        resolves: vec![resolve("a.test"), resolve("b.test")],
        ..trusting(&server)
    }
    .start();
    // A connection to the same address and port is there and must not be used for the pinned name.
    host.fetch(&Req::get("https://a.test/bytes/1")).ok(200);
    host.fetch(&Req::get("https://b.test/bytes/1")).failed(SORTIE_ERROR_CERTIFICATE);
    let to_b = Req::get("https://a.test/redirect-to?url=https%3A%2F%2Fb.test%2Fbytes%2F1");
    host.fetch(&to_b).failed(SORTIE_ERROR_CERTIFICATE);
    assert!(server.requests().iter().all(|request| request.header("Host") == Some("a.test")));
}

#[test]
fn a_client_certificate_is_shown_to_its_host_alone() {
    let server = Server::builder().tls(true).client_auth(true).start();
    let folder = Folder::new();
    let (certificate, key) = (server.client_cert_pem().to_owned(), server.client_key_pem().to_owned());
    let both = folder.join("both.pem");
    fs::write(&both, [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()].concat()).unwrap();
    let fetch = |certificates: Vec<_>| {
        Setup { client_certificates: certificates, ..trusting(&server) }
            .start()
            .fetch(&Req::get(server.url("/bytes/1")))
    };
    let mine = |host: &str, key: Option<_>| (host.to_owned(), certificate.clone(), key, None);
    fetch(vec![mine("127.0.0.1", Some(key.clone()))]).ok(200);
    fetch(vec![("127.0.0.1".into(), both, None, None)]).ok(200);
    fetch(vec![mine("other.test", None), mine("127.0.0.1", Some(key.clone()))]).ok(200);
    let before = server.request_count();
    fetch(vec![]).failed(SORTIE_ERROR_TLS);
    fetch(vec![mine("other.test", Some(key.clone()))]).failed(SORTIE_ERROR_TLS);
    // One of another authority.
    let other = Authority::new();
    let theirs =
        ("127.0.0.1".into(), other.client_cert_pem().to_owned(), Some(other.client_key_pem().to_owned()), None);
    fetch(vec![theirs]).failed(SORTIE_ERROR_TLS);
    assert_eq!(server.request_count(), before);
    // A file that is not there or no certificate is refused early or fails late, and says so.
    for bad in [folder.join("missing.pem"), folder.file("garbage.pem", b"garbage")] {
        let name = bad.file_name().unwrap().to_str().unwrap().to_owned();
        let certificates = vec![("127.0.0.1".into(), bad, Some(key.clone()), None)];
        match (Setup { client_certificates: certificates, ..trusting(&server) }).try_create() {
            Err(refused) => assert!(refused.message.contains(&name), "{refused:?}"),
            Ok(client) => {
                let event = Host::of(client).fetch(&Req::get(server.url("/bytes/1")));
                let kinds = [SORTIE_ERROR_TLS, SORTIE_ERROR_CERTIFICATE, SORTIE_ERROR_FILE];
                assert!(event.failed_as(&kinds).contains(&name), "{:?}", event.message);
            }
        }
    }
}

/// The test server's client key under a password; `None` without the means to lock it.
fn locked_key(server: &Server, folder: &Folder) -> Option<PathBuf> {
    let locked = folder.join("locked.pem");
    let openssl = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:open sesame", "-in"])
        .arg(server.client_key_pem())
        .arg("-out")
        .arg(&locked)
        .output();
    let Ok(output) = openssl else {
        println!("skipped: there is no openssl to lock a key with");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(locked)
}

#[test]
fn a_client_key_may_have_a_password() {
    let server = Server::builder().tls(true).client_auth(true).start();
    let folder = Folder::new();
    let Some(locked) = locked_key(&server, &folder) else { return };
    let fetch = |password: &str| {
        let certificate = server.client_cert_pem().to_owned();
        let mine = ("127.0.0.1".into(), certificate, Some(locked.clone()), Some(password.to_owned()));
        let host = Setup { client_certificates: vec![mine], ..trusting(&server) }.start();
        host.fetch(&Req::get(server.url("/bytes/1")))
    };
    fetch("open sesame").ok(200);
    for wrong in ["wrong", ""] {
        let event = fetch(wrong);
        let message = event.failed_as(&[SORTIE_ERROR_TLS, SORTIE_ERROR_CERTIFICATE, SORTIE_ERROR_FILE]);
        assert!(!message.contains("sesame"), "{message}");
    }
}

#[test]
#[cfg(unix)]
fn nobody_is_asked_for_a_password_at_the_terminal() {
    const TEST: &str = "nobody_is_asked_for_a_password_at_the_terminal";
    let asked = isolated(TEST, &[("SORTIE_TEST_OWN_PROCESS", "1")], || {
        let server = Server::builder().tls(true).client_auth(true).start();
        let folder = Folder::new();
        let Some(locked) = locked_key(&server, &folder) else { return };
        let mine = ("127.0.0.1".into(), server.client_cert_pem().to_owned(), Some(locked), None);
        let host = Setup { client_certificates: vec![mine], ..trusting(&server) }.start();
        let event = host.fetch(&Req::get(server.url("/bytes/1")));
        event.failed_as(&[SORTIE_ERROR_TLS, SORTIE_ERROR_CERTIFICATE, SORTIE_ERROR_FILE]);
    });
    assert!(!asked.contains("pass phrase"), "OpenSSL asks whoever sits at the terminal, and waits: {asked}");
}

#[test]
fn the_lowest_tls_version_can_be_raised() {
    let server = secure();
    for version in [SORTIE_TLS_DEFAULT, SORTIE_TLS_1_2, SORTIE_TLS_1_3] {
        let host = Setup { min_tls_version: version, ..trusting(&server) }.start();
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    }
}

#[test]
fn connections_are_kept_alive_over_tls() {
    let server = secure();
    let host = trusting(&server).start();
    for _ in 0..5 {
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    }
    assert_eq!((server.connections_accepted(), host.stats().connections), (1, 1));
}

#[test]
fn a_port_without_tls_is_a_tls_error_and_the_other_way_round_too() {
    let (plain, server) = (Server::start(), secure());
    let host = trusting(&server).start();
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", other.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 1000]);
    });
    host.fetch(&Req::get(url)).failed(SORTIE_ERROR_TLS);
    answering.join().unwrap();
    let event = host.fetch(&Req::get(server.url("/").replace("https:", "http:")));
    event.failed_as(&[SORTIE_ERROR_PROTOCOL, SORTIE_ERROR_RECEIVE]);
    host.fetch(&Req::get(plain.url("/bytes/1"))).ok(200);
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn a_body_cut_short_under_tls_is_noticed() {
    let server = secure();
    let host = trusting(&server).start();
    for path in ["/truncate?declared=1000&sent=500", "/reset?after=500&declared=1000", "/no-length?bytes=1000&cut=1"] {
        let event = host.fetch(&Req::get(server.url(path)));
        assert_eq!(event.error, SORTIE_ERROR_RECEIVE, "{path}: {:?}", event.message);
    }
    assert_eq!(host.fetch(&Req::get(server.url("/no-length?bytes=1000"))).ok(200).bytes(), pattern_vec(1000));
}

#[test]
fn basic_and_bearer_credentials_are_sent_with_the_first_request() {
    let (server, host) = (Server::start(), Host::new());
    for (user, password) in [("ann", "secret"), ("jürgen", "pässword:with:colons"), ("empty", ""), ("", "nameless")] {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let url = server.url(&format!("/basic-auth?user={}&password={}", encode(user), encode(password)));
        let event = host.fetch(&Req::get(&url).basic(user, password));
        assert_eq!(event.ok(200).text(), "welcome\n", "{user}");
        host.fetch(&Req::get(&url).basic(user, "wrong")).ok(401);
        host.fetch(&Req::get(&url)).ok(401);
    }
    let url = server.url("/bearer?token=abc.def-123");
    host.fetch(&Req::get(&url).bearer("abc.def-123")).ok(200);
    let refused = host.fetch(&Req::get(&url).bearer("other"));
    assert_eq!(refused.ok(401).header("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(server.request_count(), 4 * 3 + 2, "each asked once");
    // The desc's credentials go before the URL's.
    let url = server.url("/basic-auth?user=ann&password=right").replace("http://", "http://eve:wrong@");
    host.fetch(&Req::get(url).basic("ann", "right")).ok(200);
}

// Proxies.

fn through(proxy: &Proxy) -> Setup {
    Setup { proxy: Some(proxy.url()), ..Setup::default() }
}

#[test]
fn an_http_proxy_is_asked_in_absolute_form() {
    let (server, proxy) = (Server::start(), Proxy::http().start());
    let host = through(&proxy).start();
    let event = host.fetch(&Req::new("POST", server.url("/echo?x=1")).body("hello").header("X-Mine", "1"));
    assert_eq!(event.ok(200).text(), "hello");
    let asked = proxy.requests();
    assert_eq!((asked[0].method.as_str(), asked[0].host.as_str(), asked[0].port), ("POST", "127.0.0.1", server.port()));
    let request = server.requests().remove(0);
    assert_eq!((request.header("Via"), request.header("X-Mine")), (Some("1.1 sortie-test-proxy"), Some("1")));
    // The proxy looks names up, not we.
    let url = format!("http://only-the-proxy-knows.test:{}/bytes/1", server.port());
    host.fetch(&Req::get(url)).ok(200);
    assert_eq!(proxy.requests()[1].host, "only-the-proxy-knows.test");
}

#[test]
fn https_goes_through_an_http_proxy_by_connect() {
    let (server, proxy) = (secure(), Proxy::http().start());
    let host = Setup { proxy: Some(proxy.url()), ..trusting(&server) }.start();
    let url = format!("https://api.test:{}/inspect", server.port());
    let event = host.fetch(&Req::get(&url).header("Authorization", "Bearer secret"));
    event.ok(200);
    let asked = proxy.requests();
    assert_eq!((asked[0].method.as_str(), asked[0].host.as_str()), ("CONNECT", "api.test"));
    assert!(server.requests()[0].header("Via").is_none(), "the proxy sees nothing of it");
    assert_eq!(event.header("Via"), None);
    // Certificates are checked as ever.
    let url = format!("https://wrong.example:{}/", server.port());
    host.fetch(&Req::get(url)).failed(SORTIE_ERROR_CERTIFICATE);
}

#[test]
fn the_headers_of_a_proxys_answer_to_connect_are_not_the_responses() {
    let (server, proxy) = (secure(), Proxy::http().start());
    let host = Setup { proxy: Some(proxy.url()), ..trusting(&server) }.start();
    let event = host.fetch(&Req::get(server.url("/headers?X-One=1")).progress(SORTIE_PROGRESS_DOWNLOAD));
    let ones = event.ok(200).headers.iter().filter(|(name, _)| name == "X-One").count();
    assert_eq!((ones, event.header("Content-Length")), (1, Some("0")));
}

#[test]
fn a_socks5_proxy_is_told_the_name() {
    let (server, proxy) = (Server::start(), Proxy::socks5().start());
    let host = through(&proxy).start();
    let url = format!("http://only-the-proxy-knows.test:{}/bytes/1", server.port());
    host.fetch(&Req::get(url)).ok(200);
    let asked = proxy.requests();
    assert_eq!((asked[0].host.as_str(), asked[0].port), ("only-the-proxy-knows.test", server.port()));
    // socks5:// without the h looks the name up here.
    let here = Setup {
        proxy: Some(proxy.url().replace("socks5h", "socks5")),
        resolves: vec![("only-we-know.test".into(), 0, "127.0.0.1".into(), 0)],
        ..Setup::default()
    };
    here.start().fetch(&Req::get(server.url_of("only-we-know.test", "/bytes/1"))).ok(200);
    assert_eq!(proxy.requests()[1].host, "127.0.0.1");
    let server = secure();
    let host = Setup { proxy: Some(proxy.url()), ..trusting(&server) }.start();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn a_proxy_may_ask_who_we_are() {
    let (server, tls) = (Server::start(), secure());
    for proxy in
        [Proxy::http().credentials("ann", "p@ss:word").start(), Proxy::socks5().credentials("ann", "p@ss:word").start()]
    {
        let with = |credentials: &str| {
            let url = proxy.url().replace("://", &format!("://{credentials}"));
            Setup { proxy: Some(url), ..trusting(&tls) }.start()
        };
        let host = with("ann:p%40ss%3Aword@");
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        host.fetch(&Req::get(tls.url("/bytes/1"))).ok(200);
        assert!(server.requests().iter().all(|request| request.header("Proxy-Authorization").is_none()));
        let before = (server.request_count(), tls.request_count());
        for credentials in ["", "ann:wrong@"] {
            let host = with(credentials);
            for url in [server.url("/bytes/1"), tls.url("/bytes/1")] {
                let event = host.fetch(&Req::get(&url));
                let message = event.failed(SORTIE_ERROR_PROXY);
                assert!(!message.contains("wrong"), "no password in {message}");
            }
        }
        assert_eq!((server.request_count(), tls.request_count()), before);
    }
}

#[test]
fn a_proxy_that_fails_is_a_proxy_error() {
    let server = Server::start();
    for scheme in ["http", "socks5h"] {
        let host = Setup { proxy: Some(format!("{scheme}://{}", refused_addr())), ..Setup::default() }.start();
        let event = host.fetch(&Req::get(server.url("/bytes/1")));
        event.failed_as(&[SORTIE_ERROR_PROXY, SORTIE_ERROR_CONNECT]);
    }
    // One that cannot reach the host.
    let proxy = Proxy::socks5().start();
    let event = through(&proxy).start().fetch(&Req::get(format!("http://{}/", refused_addr())));
    event.failed(SORTIE_ERROR_PROXY);
    let (proxy, tls) = (Proxy::http().resolve("gone.test", refused_addr()).start(), secure());
    let host = Setup { proxy: Some(proxy.url()), ..trusting(&tls) }.start();
    host.fetch(&Req::get("https://gone.test/")).failed(SORTIE_ERROR_PROXY);
    assert_eq!(server.request_count(), 0);
}

#[test]
fn some_hosts_are_reached_without_the_proxy() {
    let (server, proxy) = (Server::start(), Proxy::http().start());
    let resolve = |name: &str| (name.to_owned(), 0, "127.0.0.1".to_owned(), server.port());
    let asked = |no_proxy: &str, host: &str| {
        let before = proxy.requests().len();
        let resolves = vec![resolve("a.test"), resolve("b.a.test"), resolve("xa.test")];
        let host_url = format!("http://{host}:{}/bytes/1", server.port());
        Setup { no_proxy: Some(no_proxy.into()), resolves, ..through(&proxy) }
            .start()
            .fetch(&Req::get(host_url))
            .ok(200);
        proxy.requests().len() > before
    };
    assert!(asked("", "127.0.0.1"));
    assert!(!asked("127.0.0.1", "127.0.0.1"));
    assert!(!asked("other.test, 127.0.0.0/8", "127.0.0.1"));
    assert!(asked("10.0.0.0/8", "127.0.0.1"));
    assert!(!asked("*", "127.0.0.1"));
    assert!(!asked("a.test", "a.test"));
    assert!(!asked("a.test", "b.a.test"), "with all below it");
    assert!(asked("a.test", "xa.test"));
}

#[test]
fn the_environments_proxy_counts_unless_the_client_says_otherwise() {
    const TEST: &str = "the_environments_proxy_counts_unless_the_client_says_otherwise";
    let (server, proxy, other) = (Server::start(), Proxy::http().start(), Proxy::http().start());
    let child = env::var("SORTIE_TEST_ISOLATED").is_ok();
    let (http_proxy, url) = (proxy.url(), server.url("/bytes/1"));
    let asked_before = proxy.requests().len();
    isolated(TEST, &[("http_proxy", &http_proxy), ("no_proxy", "skipped.test"), ("SORTIE_TEST_URL", &url)], || {
        let url = env::var("SORTIE_TEST_URL").unwrap();
        let environment = Setup { proxy: None, ..Setup::default() }.start();
        environment.fetch(&Req::get(&url).header("X-Test", "environment")).ok(200);
        Setup::default().start().fetch(&Req::get(&url).header("X-Test", "none")).ok(200);
        through(&other).start().fetch(&Req::get(&url).header("X-Test", "other")).ok(200);
        assert_eq!(other.requests().len(), 1);
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
        let resolves = vec![("skipped.test".into(), 0, "127.0.0.1".into(), port)];
        let environment = Setup { proxy: None, resolves, ..Setup::default() }.start();
        environment.fetch(&Req::get("http://skipped.test/bytes/1")).ok(200);
    });
    if !child {
        assert_eq!(proxy.requests().len(), asked_before + 1, "one of the four went through it");
        let tests: Vec<_> = server
            .requests()
            .iter()
            .map(|request| (request.header("X-Test").map(str::to_owned), request.header("Via").is_some()))
            .collect();
        let with = |name: &str, via| (Some(name.to_owned()), via);
        assert_eq!(tests, [with("environment", true), with("none", false), with("other", true), (None, false)]);
    }
}

/// OpenSSL must not clean up under the worker. It took about one run in fifty to see that.
#[test]
fn a_program_may_exit_in_the_middle_of_handshakes() {
    const TEST: &str = "a_program_may_exit_in_the_middle_of_handshakes";
    const URL: &str = "SORTIE_TEST_EXIT_URL";
    const CA: &str = "SORTIE_TEST_EXIT_CA";
    if let (Ok(url), Ok(ca)) = (std::env::var(URL), std::env::var(CA)) {
        let host = Setup { ca_file: Some(ca.into()), ..Setup::default() }.start();
        for _ in 0..16 {
            host.submit(&Req::get(url.clone()).http_version(SORTIE_HTTP_1_1));
        }
        host.wait(std::time::Duration::from_millis(u64::from(std::process::id() % 8)));
        std::process::exit(77);
    }
    let server = Server::builder().tls(true).start();
    for _ in 0..60 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child
            .args([TEST, "--exact", "--include-ignored"])
            .env(URL, server.url("/bytes/100000"))
            .env(CA, server.ca_pem());
        let output = child.output().unwrap();
        assert_eq!(output.status.code(), Some(77), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_request_may_have_a_proxy_of_its_own() {
    let (server, tls) = (Server::start(), secure());
    let (ours, one, two) = (Proxy::http().start(), Proxy::http().start(), Proxy::socks5().start());
    let host = Setup { proxy: Some(ours.url()), ..trusting(&tls) }.start();
    let counts = || [ours.requests().len(), one.requests().len(), two.requests().len()];
    let mut expected = [0, 0, 0];
    // In turns, so that handles and connections are used again: each request goes its own way all the same.
    for _ in 0..3 {
        for url in [server.url("/bytes/1"), tls.url("/bytes/1")] {
            for (at, proxy) in
                [(None, Some(String::new())), (Some(0), None), (Some(1), Some(one.url())), (Some(2), Some(two.url()))]
            {
                let before = counts();
                let mut request = Req::get(&url);
                request.proxy = proxy.clone();
                host.fetch(&request).ok(200);
                let new = counts();
                for i in 0..3 {
                    // A tunnel and a SOCKS connection are asked for once.
                    assert!(new[i] == before[i] || at == Some(i), "{proxy:?} and {url}: {before:?} {new:?}");
                    expected[i] = new[i];
                }
            }
        }
    }
    assert_eq!(expected, [4, 4, 2], "plain requests one by one, or a connection for each server");
    // It is the request's on every hop, and the client's no_proxy is not.
    let host = Setup { proxy: Some(ours.url()), no_proxy: Some("*".into()), ..trusting(&tls) }.start();
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert_eq!(counts(), expected, "the client's has an exception for it");
    host.fetch(&Req::get(server.url("/redirect/2")).proxy(one.url())).ok(200);
    assert_eq!(counts(), [4, 7, 2]);
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert_eq!(counts(), [4, 7, 2], "the exception counts again");
    // Its failure is a proxy's.
    let gone = Req::get(server.url("/bytes/1")).proxy(format!("http://{}", refused_addr()));
    host.fetch(&gone).failed(SORTIE_ERROR_PROXY);
}

#[test]
fn a_proxys_credentials_are_of_one_request() {
    let (server, tls) = (Server::start(), secure());
    for proxy in
        [Proxy::http().credentials("ann", "secret").start(), Proxy::socks5().credentials("ann", "secret").start()]
    {
        let host = Setup { proxy: Some(String::new()), ..trusting(&tls) }.start();
        let with = |credentials: &str| proxy.url().replace("://", &format!("://{credentials}"));
        for url in [server.url("/bytes/1"), tls.url("/bytes/1")] {
            for _ in 0..2 {
                host.fetch(&Req::get(&url).proxy(with("ann:secret@"))).ok(200);
                // Neither the handle nor the connection gives them to who has others or none.
                host.fetch(&Req::get(&url).proxy(with("ann:wrong@"))).failed(SORTIE_ERROR_PROXY);
                host.fetch(&Req::get(&url).proxy(proxy.url())).failed(SORTIE_ERROR_PROXY);
                host.fetch(&Req::get(&url)).ok(200);
            }
        }
    }
    for (proxy, why) in [
        ("nonsense", "URL"),
        ("ftp://x", "socks5h"),
        ("http://", "URL"),
        ("http://a b", "proxy"),
        ("http://a\nb", "proxy"),
    ] {
        let refused = Host::new().try_submit(&Req::get("http://a.test/").proxy(proxy)).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT, "{proxy}: {}", refused.message);
        assert!(refused.message.contains(why) && refused.message.contains("proxy"), "{proxy}: {}", refused.message);
    }
}
