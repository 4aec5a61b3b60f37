//! A real server: nginx, started by each test with a configuration of its own. HTTP/2 and its multiplexing, large bodies,
//! TLS versions and sessions, and what a test server would not do by itself.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sortie_test_server::{Outcome, Server, pattern_vec};
use support::*;

/// Makes a certificate for localhost and the names that tests use, believed as its own root: `cert.pem` and `key.pem`.
fn make_identity(folder: &Folder) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"])
        .args(["-subj", "/CN=sortie nginx test", "-addext", "subjectAltName=DNS:localhost,DNS:a.test,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .expect("openssl is installed; cargo xtask test sees to it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A running nginx, ended when dropped.
struct Nginx {
    process: Child,
    folder: Folder,
    /// Of HTTPS with HTTP/2, of plain HTTP/1.1, of plain HTTP/2.
    ports: [u16; 3],
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    /// Its `www` has `small` (100 bytes), `page.html`, `medium` (20,000) and `large` (20 MiB).
    fn start() -> Nginx {
        Nginx::with("", "")
    }

    /// With more directives for all servers and for the one with TLS.
    fn with(all: &str, tls: &str) -> Nginx {
        let folder = Folder::new();
        make_identity(&folder);
        fs::create_dir(folder.join("www")).unwrap();
        fs::create_dir(folder.join("www/put")).unwrap();
        folder.file("www/small", &pattern_vec(100));
        folder.file("www/medium", &pattern_vec(20_000));
        folder.file("www/large", &pattern_vec(20 << 20));
        folder.file("www/page.html", "<p>page</p>\n".repeat(2000).as_bytes());
        for _ in 0..20 {
            // The ports are free now, and if somebody is faster, others are.
            let free: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
            let ports = [0, 1, 2].map(|i: usize| free[i].local_addr().unwrap().port());
            drop(free);
            fs::write(folder.join("nginx.conf"), configuration(&folder, ports, all, tls)).unwrap();
            let mut process = Command::new("nginx")
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(folder.join("nginx.conf"))
                .args(["-e", "stderr"])
                .stderr(Stdio::piped())
                .spawn()
                .expect("nginx is installed; cargo xtask test sees to it");
            let mut ended = false;
            until("nginx", || {
                ended = process.try_wait().unwrap().is_some();
                ended || ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
            });
            if !ended {
                return Nginx { process, folder, ports };
            }
            let output = process.wait_with_output().unwrap();
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(why.contains("in use"), "nginx does not start: {why}");
        }
        panic!("no ports for nginx");
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports[0])
    }

    fn plain(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[1])
    }

    fn plain_http2(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[2])
    }

    /// Its log once it has this many lines about requests for this path, each in words: protocol, connection, status,
    /// path, TLS version, "r" if the session was resumed.
    fn log(&self, path: &str, count: usize) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        until("the log", || {
            let text = fs::read_to_string(self.folder.join("access.log")).unwrap_or_default();
            let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            lines =
                text.lines().map(words).filter(|words| words.get(3).is_some_and(|at| at.starts_with(path))).collect();
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    fn trusted(&self) -> Setup {
        Setup { ca_file: Some(self.folder.join("cert.pem")), ..Setup::default() }
    }
}

fn configuration(folder: &Folder, ports: [u16; 3], all: &str, tls: &str) -> String {
    let here = folder.path().display();
    let [secure, plain, plain_http2] = ports;
    let locations = "
        location /put/ { dav_methods PUT; }
        location /slow/ { alias www/; limit_rate 10k; }
        location /brisk/ { alias www/; limit_rate 400k; }
        location /posted { return 200 posted; }
        location /hang-up { return 444; }
        location /moved { return 307 /put/moved; }
        location /away { return 302 http://127.0.0.1:1/; }";
    format!(
        "daemon off;
master_process off;
pid {here}/nginx.pid;
error_log stderr error;
events {{ worker_connections 900; }}
http {{
    log_format test '$server_protocol $connection $status $request_uri $ssl_protocol $ssl_session_reused';
    access_log {here}/access.log test;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    types {{ text/html html; }}
    default_type application/octet-stream;
    client_max_body_size 0;
    gzip on;
    keepalive_requests 10000;
    # libcurl takes no tickets before TLS 1.3.
    ssl_session_cache shared:test:1m;
    root {here}/www;
    ssl_certificate {here}/cert.pem;
    ssl_certificate_key {here}/key.pem;
    {all}
    server {{
        listen 127.0.0.1:{secure} ssl http2;
        {tls}
        {locations}
    }}
    server {{ listen 127.0.0.1:{plain}; {locations} }}
    server {{ listen 127.0.0.1:{plain_http2} http2; {locations} }}
}}
"
    )
    .replace("alias www/", &format!("alias {here}/www/"))
}

fn connections(log: &[Vec<String>]) -> usize {
    log.iter().map(|words| &words[1]).collect::<HashSet<_>>().len()
}

#[test]
fn a_hundred_requests_at_once_share_at_most_two_connections() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    // Nothing is known of the host when they are submitted, and each takes two seconds.
    let ids: Vec<u64> = (0..100).map(|_| host.get(nginx.url("/slow/medium"))).collect();
    until("a hundred running at once", || host.stats().active == 100);
    for event in host.all_ended(&ids) {
        assert_eq!(event.ok(200).bytes(), pattern_vec(20_000));
    }
    let log = nginx.log("/slow/medium", 100);
    assert!(log.iter().all(|words| words[0] == "HTTP/2.0"), "{log:?}");
    assert!(connections(&log) <= 2, "{} connections", connections(&log));
    assert!(host.stats().connections <= 2, "{:?}", host.stats());
}

#[test]
fn what_the_cache_answers_tells_nothing_of_its_host() {
    let (nginx, folder) = (Nginx::start(), Folder::new());
    let setup = Setup { cache_directory: Some(folder.join("cache")), ..nginx.trusted() };
    let small = Req::get(nginx.url("/small")).cache_mode(SORTIE_CACHE_FORCE);
    let first = setup.start();
    first.fetch(&small).ok(200);
    await_entries(&folder, 1);
    drop(first);
    let host = setup.start();
    assert_eq!(host.fetch(&small).ok(200).flags, SORTIE_EVENT_FROM_CACHE);
    // The first of these still goes alone.
    let ids: Vec<u64> = (0..16).map(|_| host.get(nginx.url("/slow/medium"))).collect();
    for event in host.all_ended(&ids) {
        event.ok(200);
    }
    assert!(host.stats().connections <= 2, "{:?}", host.stats());
}

#[test]
fn a_hundred_and_fifty_requests_wait_for_places() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    let ids: Vec<u64> = (0..150).map(|_| host.get(nginx.url("/slow/medium"))).collect();
    until("a hundred running at once", || host.stats().active == 100);
    assert_eq!(host.stats().waiting, 50);
    for event in host.all_ended(&ids) {
        event.ok(200);
    }
    assert!(connections(&nginx.log("/slow/medium", 150)) <= 2);
}

#[test]
fn an_http2_host_leaves_room_for_others() {
    let nginx = Nginx::start();
    let host = Setup { max_active: 4, ..nginx.trusted() }.start();
    host.fetch(&Req::get(nginx.url("/small"))).ok(200);
    let ids: Vec<u64> = (0..80).map(|_| host.get(nginx.url("/slow/medium"))).collect();
    until("eighty running on few places", || host.stats().active == 80);
    host.fetch(&Req::get(nginx.plain("/small"))).ok(200);
    assert!(host.stats().active >= 40, "they had not ended yet: {:?}", host.stats());
    host.all_ended(&ids);
}

#[test]
fn headers_and_statuses_come_through() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    for (request, protocol) in [
        (Req::get(nginx.url("/small")), "HTTP/2.0"),
        (Req::get(nginx.url("/small")).http_version(SORTIE_HTTP_1_1), "HTTP/1.1"),
        (Req::get(nginx.plain("/small")), "HTTP/1.1"),
        (Req::get(nginx.plain_http2("/small")).http_version(SORTIE_HTTP_2_PRIOR_KNOWLEDGE), "HTTP/2.0"),
    ] {
        let before = nginx.log("/small", host.stats().ended as usize).len();
        let event = host.fetch(&request);
        assert_eq!(event.ok(200).bytes(), pattern_vec(100));
        assert_eq!(event.header("CONTENT-length"), Some("100"));
        assert!(event.header("Server").unwrap().starts_with("nginx"));
        assert_eq!((event.transferred, event.estimated), (100, 100));
        let log = nginx.log("/small", before + 1);
        assert_eq!(log.last().unwrap()[0], protocol);
        let told = if protocol == "HTTP/2.0" { SORTIE_PROTOCOL_HTTP_2 } else { SORTIE_PROTOCOL_HTTP_1_1 };
        assert_eq!(event.timing.unwrap().protocol, told);
    }
    host.fetch(&Req::get(nginx.url("/missing"))).ok(404);
    host.fetch(&Req::new("DELETE", nginx.url("/put/x"))).ok(405);
    let head = host.fetch(&Req::new("HEAD", nginx.url("/large")));
    assert_eq!((head.ok(200).header("Content-Length"), head.transferred), (Some("20971520"), 0));
    let page = host.fetch(&Req::get(nginx.url("/page.html")));
    assert_eq!(page.ok(200).text(), "<p>page</p>\n".repeat(2000));
    assert!(page.header("Content-Type") == Some("text/html") && page.transferred < 24_000, "it came compressed");
    let headers = (0..50).fold(Req::get(nginx.url("/small")), |request, i| request.header(&format!("X-{i}"), "value"));
    host.fetch(&headers).ok(200);
}

#[test]
fn large_bodies_go_and_come_whole() {
    let nginx = Nginx::start();
    let (host, folder) = (nginx.trusted().start(), Folder::new());
    let large = pattern_vec(20 << 20);
    for (i, version) in [SORTIE_HTTP_DEFAULT, SORTIE_HTTP_1_1].into_iter().enumerate() {
        let get = Req::get(nginx.url("/large")).http_version(version);
        assert!(host.fetch(&get).ok(200).bytes() == large);
        let path = folder.join("large");
        host.fetch(&Req::download(nginx.url("/large"), &path).http_version(version)).ok(200);
        assert!(fs::read(&path).unwrap() == large);
        let put = Req::new("PUT", nginx.url(&format!("/put/memory{i}"))).http_version(version);
        host.fetch(&put.body(large.clone())).ok(201);
        let put = Req::upload(nginx.url(&format!("/put/file{i}")), &path).http_version(version);
        host.fetch(&Req { method: Some("PUT".into()), ..put }).ok(201);
        for kind in ["memory", "file"] {
            assert!(fs::read(nginx.folder.join(&format!("www/put/{kind}{i}"))).unwrap() == large, "{kind}");
        }
    }
}

#[test]
fn many_large_bodies_at_once_stay_apart() {
    let nginx = Nginx::start();
    let (host, folder) = (nginx.trusted().start(), Folder::new());
    let large = pattern_vec(20 << 20);
    let paths: Vec<_> = (0..6).map(|i| folder.join(&format!("{i}"))).collect();
    let mut ids: Vec<u64> = paths.iter().map(|path| host.submit(&Req::download(nginx.url("/large"), path))).collect();
    ids.extend((0..3).map(|_| host.get(nginx.url("/large"))));
    for event in host.all_ended(&ids) {
        assert!(event.ok(200).body.as_ref().is_none_or(|body| *body == large));
    }
    for path in paths {
        assert!(fs::read(path).unwrap() == large);
    }
    assert!(host.stats().connections <= 2);
}

#[test]
fn a_redirected_upload_arrives() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    let body = pattern_vec(3 << 20);
    host.fetch(&Req::new("PUT", nginx.url("/moved")).body(body.clone())).ok(201);
    assert!(fs::read(nginx.folder.join("www/put/moved")).unwrap() == body);
    host.fetch(&Req::get(nginx.url("/away"))).failed(SORTIE_ERROR_REDIRECTS);
}

#[test]
fn ranges_are_the_games_to_ask_for() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    for url in [nginx.url("/medium"), nginx.plain("/medium")] {
        let event = host.fetch(&Req::get(&url).header("Range", "bytes=100-199"));
        assert_eq!(event.ok(206).bytes(), &pattern_vec(200)[100..]);
        assert_eq!(event.header("Content-Range"), Some("bytes 100-199/20000"));
        host.fetch(&Req::get(&url).header("Range", "bytes=90000-")).ok(416);
    }
}

#[test]
fn a_slow_download_shows_progress() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    for version in [SORTIE_HTTP_DEFAULT, SORTIE_HTTP_1_1] {
        let request = Req::get(nginx.url("/brisk/large")).header("Range", "bytes=0-599999").http_version(version);
        let events = host.events(host.submit(&request.progress(SORTIE_PROGRESS_DOWNLOAD)));
        assert_eq!((events[0].kind, events[0].estimated), (SORTIE_EVENT_BEGAN, 600_000));
        assert!(events.len() >= 4, "{} events", events.len());
        assert_eq!(events.last().unwrap().ok(206).transferred, 600_000);
    }
}

#[test]
fn connections_that_the_server_ends_are_replaced() {
    // Over HTTP/2 that is a GOAWAY after ten requests.
    let nginx = Nginx::with("", "keepalive_requests 10;");
    let host = nginx.trusted().start();
    for version in [SORTIE_HTTP_DEFAULT, SORTIE_HTTP_1_1] {
        let ids: Vec<u64> =
            (0..100).map(|_| host.submit(&Req::get(nginx.url("/medium")).http_version(version))).collect();
        for event in host.all_ended(&ids) {
            assert_eq!(event.ok(200).bytes().len(), 20_000);
        }
    }
}

#[test]
fn posts_go_on_when_a_server_ends_its_connections() {
    let nginx = Nginx::with("", "keepalive_requests 5;");
    let host = nginx.trusted().start();
    for _ in 0..5 {
        let post = Req::new("POST", nginx.url("/posted")).body("body");
        let ids: Vec<u64> = (0..60).map(|_| host.submit(&post)).collect();
        for event in host.all_ended(&ids) {
            assert_eq!(event.ok(200).text(), "posted");
        }
    }
    // Each was processed once.
    assert!(nginx.log("/posted", 300).iter().all(|words| words[2] == "200"));
}

#[test]
fn a_server_may_allow_few_streams() {
    let nginx = Nginx::with("", "http2_max_concurrent_streams 4;");
    let host = nginx.trusted().start();
    let ids: Vec<u64> = (0..60).map(|_| host.get(nginx.url("/medium"))).collect();
    for event in host.all_ended(&ids) {
        assert_eq!(event.ok(200).bytes().len(), 20_000);
    }
    let log = nginx.log("/medium", 60);
    assert!(log.iter().all(|words| words[0] == "HTTP/2.0"));
    // Two at a time; under load the server may refuse streams before it has said how many it takes, and libcurl then gives
    // that connection up for another.
    assert!(connections(&log) <= 4, "{} connections", connections(&log));
}

#[test]
fn cancelling_some_streams_leaves_the_others() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    let request = Req::get(nginx.url("/slow/medium")).progress(SORTIE_PROGRESS_DOWNLOAD);
    let ids: Vec<u64> = (0..40).map(|_| host.submit(&request)).collect();
    for id in &ids {
        host.await_event(*id, |event| event.kind == SORTIE_EVENT_BEGAN);
    }
    for id in ids.iter().step_by(2) {
        assert_eq!(host.cancel(*id), SORTIE_OK);
    }
    for (i, event) in host.all_ended(&ids).iter().enumerate() {
        match i % 2 {
            0 => _ = event.failed(SORTIE_ERROR_CANCELLED),
            _ => assert_eq!(event.ok(200).bytes(), pattern_vec(20_000)),
        }
    }
    host.fetch(&Req::get(nginx.url("/small"))).ok(200);
    assert!(host.stats().connections <= 2);
}

#[test]
fn a_stream_that_runs_out_of_time_leaves_the_others() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    let (whole, cut): (Vec<u64>, Vec<u64>) = (0..10)
        .map(|_| {
            let request = Req::get(nginx.url("/slow/medium"));
            (host.submit(&request), host.submit(&request.timeout_ms(700)))
        })
        .unzip();
    for event in host.all_ended(&cut) {
        event.failed(SORTIE_ERROR_TIMEOUT);
    }
    for event in host.all_ended(&whole) {
        event.ok(200);
    }
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    for url in [nginx.url("/hang-up"), nginx.plain("/hang-up")] {
        let event = host.fetch(&Req::new("POST", url).body("x"));
        event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_PROTOCOL, SORTIE_ERROR_SEND]);
        host.fetch(&Req::get(nginx.url("/small"))).ok(200);
    }
}

#[test]
fn a_server_that_is_killed_ends_every_request() {
    let mut nginx = Nginx::start();
    let (host, folder) = (nginx.trusted().start(), Folder::new());
    let mut ids = Vec::new();
    for i in 0..20 {
        let request = Req::get(nginx.url("/slow/medium")).progress(SORTIE_PROGRESS_DOWNLOAD);
        ids.push(host.submit(&request));
        let path = folder.join(&format!("{i}"));
        ids.push(host.submit(&Req { response_path: Some(path), ..request }));
    }
    for id in &ids {
        host.await_event(*id, |event| event.kind == SORTIE_EVENT_BEGAN);
    }
    nginx.process.kill().unwrap();
    for event in host.all_ended(&ids) {
        event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_CONNECT, SORTIE_ERROR_PROTOCOL]);
    }
    folder.holds(&[]);
}

#[test]
#[allow(unsafe_code)]
fn a_broken_pipe_under_tls_does_not_kill_the_process() {
    isolated("a_broken_pipe_under_tls_does_not_kill_the_process", &[], || {
        // As in a C program; Rust's own start ignores it.
        // SAFETY: the default handling.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        for version in [SORTIE_HTTP_DEFAULT, SORTIE_HTTP_1_1] {
            let mut nginx = Nginx::with("", "client_max_body_size 1k; lingering_close off;");
            let host = nginx.trusted().start();
            let put = Req::new("PUT", nginx.url("/put/refused")).http_version(version).body(vec![0; 8 << 20]);
            for _ in 0..20 {
                host.fetch(&put);
            }
            let request = Req::get(nginx.url("/slow/medium")).http_version(version).progress(SORTIE_PROGRESS_DOWNLOAD);
            let id = host.submit(&request);
            host.await_event(id, |event| event.kind == SORTIE_EVENT_BEGAN);
            nginx.process.kill().unwrap();
            assert_ne!(host.ended(id).error, SORTIE_ERROR_NONE);
            for _ in 0..3 {
                assert_ne!(host.fetch(&put).error, SORTIE_ERROR_NONE);
            }
        }
    });
}

#[test]
fn streams_pause_and_go_on() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    let ids: Vec<u64> = (0..8).map(|_| host.get(nginx.url("/brisk/medium"))).collect();
    let large = host.submit(&Req::get(nginx.url("/large")).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(large, |event| event.kind == SORTIE_EVENT_BEGAN);
    host.suspend();
    let_pass(300);
    assert!(host.poll().is_empty());
    host.resume();
    for event in host.all_ended(&ids) {
        event.ok(200);
    }
    assert!(host.ended(large).ok(200).bytes() == pattern_vec(20 << 20));
}

#[test]
fn a_body_is_handed_over_on_a_stream_beside_others() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    let body = pattern_vec(3 << 20);
    let streamed = Req::new("PUT", nginx.url("/put/streamed")).flags(SORTIE_REQUEST_STREAM_BODY);
    let id = host.submit(&streamed.stream_window_bytes(64 << 10));
    for (n, piece) in body.chunks(100_000).enumerate() {
        host.write_all(id, piece);
        if n % 8 == 0 {
            host.fetch(&Req::get(nginx.url("/small"))).ok(200);
        }
    }
    host.finish(id);
    let ended = host.ended(id);
    assert_eq!(ended.ok(201).timing.unwrap().protocol, SORTIE_PROTOCOL_HTTP_2);
    assert!(fs::read(nginx.folder.join("www/put/streamed")).unwrap() == body);
}

#[test]
fn streams_share_the_bandwidth() {
    let nginx = Nginx::start();
    let host = Setup { receive_rate: 8 << 20, send_rate: 8 << 20, ..nginx.trusted() }.start();
    let large: Vec<u64> = (0..2).map(|_| host.get(nginx.url("/large"))).collect();
    let small: Vec<u64> = (0..20).map(|_| host.get(nginx.url("/medium"))).collect();
    let up = host.submit(&Req::new("PUT", nginx.url("/put/limited")).body(pattern_vec(4 << 20)));
    for event in host.all_ended(&small) {
        assert!(event.ok(200).bytes() == pattern_vec(20_000));
    }
    // 20 short ones do not wait for 40 MiB.
    assert_eq!(host.stats().ended, 20);
    host.set_client_rate(0, 0);
    for event in host.all_ended(&large) {
        assert!(event.ok(200).bytes() == pattern_vec(20 << 20));
    }
    host.ended(up).ok(201);
}

#[test]
fn a_host_that_does_not_drain_stops_the_streams() {
    let nginx = Nginx::start();
    let host = Setup { max_buffered_bytes: 1 << 20, ..nginx.trusted() }.start();
    let ids: Vec<u64> = (0..30).map(|_| host.get(nginx.url("/large"))).collect();
    until("the budget's end", || host.stats().buffered_bytes > 1 << 20);
    let_pass(300);
    let stats = host.stats();
    assert!(stats.ended < 30, "it goes on: {stats:?}");
    for id in ids {
        assert_eq!(host.ended(id).ok(200).bytes().len(), 20 << 20);
    }
}

#[test]
fn destroy_is_fast_with_a_hundred_streams() {
    let nginx = Nginx::start();
    let host = nginx.trusted().start();
    for _ in 0..120 {
        host.get(nginx.url("/slow/medium"));
    }
    until("a hundred running at once", || host.stats().active == 100);
    let took = host.destroy();
    println!("destroy with 100 streams took {took:?}; the promise is 100 ms");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn tls_versions_are_held_to() {
    let fetch = |nginx: &Nginx, min_tls_version| {
        let host = Setup { min_tls_version, ..nginx.trusted() }.start();
        host.fetch(&Req::get(nginx.url("/small")))
    };
    let old = Nginx::with("ssl_protocols TLSv1.2;", "");
    fetch(&old, SORTIE_TLS_DEFAULT).ok(200);
    fetch(&old, SORTIE_TLS_1_2).ok(200);
    fetch(&old, SORTIE_TLS_1_3).failed(SORTIE_ERROR_TLS);
    assert!(old.log("/small", 2).iter().all(|words| words[4] == "TLSv1.2"));
    let new = Nginx::with("ssl_protocols TLSv1.3;", "");
    fetch(&new, SORTIE_TLS_DEFAULT).ok(200);
    fetch(&new, SORTIE_TLS_1_3).ok(200);
    assert!(new.log("/small", 2).iter().all(|words| words[4] == "TLSv1.3"));
    // What is too old for anyone.
    let ancient = Nginx::with("ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;", "");
    fetch(&ancient, SORTIE_TLS_DEFAULT).failed(SORTIE_ERROR_TLS);
}

#[test]
fn tls_sessions_are_resumed() {
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let nginx = Nginx::with(&format!("ssl_protocols {protocol}; keepalive_timeout 0;"), "");
        let host = nginx.trusted().start();
        for _ in 0..4 {
            host.fetch(&Req::get(nginx.url("/small")).http_version(SORTIE_HTTP_1_1)).ok(200);
        }
        let log = nginx.log("/small", 4);
        assert_eq!(connections(&log), 4, "a connection each");
        let resumed: Vec<&str> = log.iter().map(|words| words[5].as_str()).collect();
        assert_eq!(resumed, [".", "r", "r", "r"], "{protocol}");
    }
}

#[test]
fn a_connection_is_not_shared_between_names() {
    let nginx = Nginx::start();
    let resolves = vec![("a.test".into(), 0, "127.0.0.1".into(), 0), ("b.test".into(), 0, "127.0.0.1".into(), 0)];
    let host = Setup { resolves, ..nginx.trusted() }.start();
    let at = |name: &str| Req::get(nginx.url("/small").replace("localhost", name));
    host.fetch(&at("a.test")).ok(200);
    // The certificate is not for this one, and the open connection must not make up for that.
    host.fetch(&at("b.test")).failed(SORTIE_ERROR_CERTIFICATE);
}

#[test]
fn a_port_where_nginx_is_no_more_is_refused() {
    let nginx = Nginx::start();
    let (url, host) = (nginx.url("/small"), nginx.trusted().start());
    host.fetch(&Req::get(&url)).ok(200);
    drop(nginx);
    assert_eq!(
        TcpStream::connect(url[8..].split('/').next().unwrap()).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    host.fetch(&Req::get(&url)).failed(SORTIE_ERROR_CONNECT);
}

#[test]
fn a_redirects_endless_body_costs_a_stream_and_no_connection() {
    let behind = Server::builder()
        .handler(|_, conn| {
            conn.write(b"HTTP/1.1 302 Found\r\nLocation: /small\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")?;
            conn.flush()?;
            conn.wait_closed()?;
            Ok(Some(Outcome::Close))
        })
        .start();
    let held =
        format!("location /held {{ proxy_pass {}; proxy_buffering off; proxy_http_version 1.1; }}", behind.url(""));
    let nginx = Nginx::with("", &held);
    let host = nginx.trusted().start();
    for _ in 0..5 {
        let event = host.fetch(&Req::get(nginx.url("/held")).timeout_ms(SORTIE_NO_TIMEOUT));
        assert_eq!(event.ok(200).bytes(), pattern_vec(100));
        assert_eq!(event.timing.unwrap().protocol, SORTIE_PROTOCOL_HTTP_2);
    }
    assert_eq!(host.stats().connections, 1);
}

#[test]
fn trailers_come_over_http2() {
    let nginx = Nginx::with(
        "",
        "location /late { alias www/small; add_trailer X-Late \"$server_protocol\"; add_trailer Retry-After 9; }",
    );
    let host = nginx.trusted().start();
    for _ in 0..3 {
        let event = host.fetch(&Req::get(nginx.url("/late")));
        assert_eq!(event.ok(200).bytes(), pattern_vec(100));
        assert_eq!((event.header("X-Late"), event.header("Content-Length")), (None, Some("100")));
        assert_eq!(event.trailers, [("x-late".to_owned(), "HTTP/2.0".to_owned())]);
    }
    assert_eq!(host.fetch(&Req::get(nginx.url("/small"))).ok(200).trailers, []);
    assert_eq!(host.stats().connections, 1);
}
