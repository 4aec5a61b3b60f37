//! Cookies are kept and sent as browsers do, for the client's life or in a file beyond it.

#![allow(unsafe_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::fs;

use sortie_test_server::{Response, Server};
use support::*;

/// `/set?COOKIE` sets one, `/set-and-go?COOKIE&TARGET` also redirects, everything else answers with the Cookie header.
fn server() -> Server {
    handlers().start()
}

fn handlers() -> sortie_test_server::Builder {
    Server::builder().handler(|request, conn| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let query = query.replace("%20", " ").replace("%09", "\t").replace("%01", "\x01");
        let response = match path {
            "/set" => Response::new(200).header("Set-Cookie", &query),
            "/set-and-go" => {
                let (cookie, target) = query.split_once('&').unwrap();
                Response::new(302).header("Set-Cookie", cookie).header("Location", target)
            }
            "/set-and-fail" => {
                let head = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {query}\r\nContent-Length: 100\r\n\r\ncut short");
                conn.write(head.as_bytes())?;
                return conn.close_lingering().map(Some);
            }
            "/many" => {
                let (from, count) = query.split_once('&').unwrap();
                let from: u32 = from.parse().unwrap();
                (from..from + count.parse::<u32>().unwrap())
                    .fold(Response::new(200), |response, n| response.header("Set-Cookie", format!("c{n}=1")))
            }
            _ => Response::new(200).body(request.header("Cookie").unwrap_or("none").to_owned()),
        };
        conn.send(&response).map(Some)
    })
}

#[track_caller]
fn sent(host: &Host, url: String) -> String {
    host.fetch(&Req::get(url)).ok(200).text().to_owned()
}

#[test]
fn what_a_response_sets_later_requests_send() {
    let (server, host) = (server(), Host::new());
    assert_eq!(sent(&host, server.url("/")), "none");
    host.fetch(&Req::get(server.url("/set?a=1;%20Path=/"))).ok(200);
    host.fetch(&Req::get(server.url("/set?deep=2;%20Path=/deep"))).ok(200);
    assert_eq!(sent(&host, server.url("/")), "a=1");
    assert_eq!(sent(&host, server.url("/deep/er")), "deep=2; a=1");
    host.fetch(&Req::get(server.url("/set?a=;%20Max-Age=0;%20Path=/"))).ok(200);
    assert_eq!(sent(&host, server.url("/")), "none");
}

#[test]
fn odd_cookies_go_back_as_browsers_send_them() {
    let (server, host) = (server(), Host::new());
    let long = "x".repeat(1025);
    for (set, back) in [
        ("a=1%092;%20Path=/", "a=1\t2"),
        ("v;%20Path=/", "v"),
        ("=v;%20Path=/", "v"),
        ("%09a%20=%20%091%09;%09Path%20=%20/%09", "a=1"),
        (&format!("a=1;%20Path=/;%20Path=/{long}"), "a=1"),
        (&format!("a=1;%20Path=/;%20Domain={long};%20Max-Age=0{long}"), "a=1"),
        ("a=1%01;%20Path=/", "none"),
        (&format!("a={};%20Path=/", "x".repeat(4096)), "none"),
        ("=;%20Path=/", "none"),
        ("__Host-a=1;%20Secure;%20Path=/", "__Host-a=1"),
        ("__Host-a=1;%20Secure", "none"),
        ("__host-http-a=1;%20Secure;%20Path=/", "none"),
        ("__Http-a=1;%20Secure;%20HttpOnly;%20Path=/", "__Http-a=1"),
        ("__SECURE-a;%20Secure;%20Path=/", "none"),
    ] {
        host.fetch(&Req::get(server.url(&format!("/set?{set}")))).ok(200);
        assert_eq!(sent(&host, server.url("/")), back, "{set}");
        host.clear_cookies();
    }
}

#[test]
fn cookies_set_by_a_redirect_go_with_its_next_hop() {
    let (server, host) = (server(), Host::new());
    let response = host.fetch(&Req::get(server.url("/set-and-go?login=yes&/page")));
    assert_eq!(response.ok(200).text(), "login=yes");
}

#[test]
fn a_redirect_to_another_host_takes_that_hosts_cookies_and_no_others() {
    let (here, there) = (server(), server());
    let port = there.addr().port();
    let host =
        Setup { resolves: vec![("other.example".into(), 80, "127.0.0.1".into(), port)], ..Setup::default() }.start();
    host.try_set_cookie("http://other.example/", "theirs=1").unwrap();
    host.try_set_cookie(&here.url("/"), "ours=1; Path=/").unwrap();
    let response = host.fetch(&Req::get(here.url("/set-and-go?more=2&http://other.example/")).header("X-Own", "x"));
    assert_eq!(response.ok(200).text(), "theirs=1");
}

#[test]
fn a_response_that_breaks_off_has_set_its_cookies() {
    let (server, host) = (server(), Host::new());
    host.fetch(&Req::get(server.url("/set-and-fail?a=1"))).failed(SORTIE_ERROR_RECEIVE);
    assert_eq!(sent(&host, server.url("/")), "a=1");
}

#[test]
fn a_cookie_header_of_ones_own_is_sent_alone() {
    let (server, host) = (server(), Host::new());
    host.try_set_cookie(&server.url("/"), "a=1; Path=/").unwrap();
    let own = Req::get(server.url("/")).header("cookie", "mine=1");
    assert_eq!(host.fetch(&own).ok(200).text(), "mine=1");
    let response = host.fetch(&Req { url: server.url("/set-and-go?b=2&/page"), ..own });
    assert_eq!(response.ok(200).text(), "mine=1", "and so on the same host's next hop");
    assert_eq!(sent(&host, server.url("/")), "a=1; b=2", "what the response set is kept all the same");
}

#[test]
fn requests_and_clients_can_do_without() {
    let (server, host) = (server(), Host::new());
    host.try_set_cookie(&server.url("/"), "a=1; Path=/").unwrap();
    let without = |path: &str| Req::get(server.url(path)).flags(SORTIE_REQUEST_NO_COOKIES);
    assert_eq!(host.fetch(&without("/")).ok(200).text(), "none");
    host.fetch(&without("/set?b=2")).ok(200);
    assert_eq!(sent(&host, server.url("/")), "a=1");

    let none = Setup { flags: SORTIE_CLIENT_NO_COOKIES, ..Setup::default() }.start();
    none.fetch(&Req::get(server.url("/set?a=1"))).ok(200);
    assert_eq!(sent(&none, server.url("/")), "none");
    assert_eq!(none.try_set_cookie(&server.url("/"), "a=1").unwrap_err().result, SORTIE_RESULT_ARGUMENT);
    assert_eq!(none.clear_cookies(), SORTIE_RESULT_ARGUMENT);
    let both = Setup { flags: SORTIE_CLIENT_NO_COOKIES, cookie_file: Some("cookies".into()), ..Setup::default() };
    assert!(both.try_create().unwrap_err().message.contains("cookie_file"));
}

#[test]
fn cookies_can_be_set_and_cleared_in_the_order_of_submits() {
    let (server, host) = (server(), Host::new());
    host.try_set_cookie(&server.url("/x"), "a=1; Path=/").unwrap();
    // Nothing starts before all has been said, so that the order of the calls is what counts.
    host.suspend();
    let with = host.get(server.url("/"));
    assert_eq!(host.clear_cookies(), SORTIE_OK);
    let without = host.get(server.url("/"));
    host.try_set_cookie(&server.url("/x"), "b=2; Path=/").unwrap();
    let other = host.get(server.url("/"));
    host.resume();
    assert_eq!(host.ended(with).ok(200).text(), "a=1");
    assert_eq!(host.ended(without).ok(200).text(), "none");
    assert_eq!(host.ended(other).ok(200).text(), "b=2");
}

/// The cookies that a URL would be sent.
fn cookies(host: &Host, url: &str) -> String {
    let url = std::ffi::CString::new(url).unwrap();
    let mut out = vec![0_u8; 64 << 10];
    // SAFETY: a live client, a string, and as much room as it says.
    let length = unsafe { sortie_client_cookies(host.raw(), url.as_ptr(), out.as_mut_ptr().cast(), out.len() as u64) };
    out.truncate(usize::try_from(length).expect("a length"));
    String::from_utf8(out).unwrap()
}

#[test]
fn a_program_can_read_what_would_be_sent() {
    let (server, folder) = (server(), Folder::new());
    let setup = || Setup { cookie_file: Some(folder.join("cookies")), ..Setup::default() };
    let host = setup().start();
    assert_eq!(cookies(&host, &server.url("/")), "");
    // A response's are there with its last event, and are what the next request sends.
    for number in 0..50 {
        host.fetch(&Req::get(server.url(&format!("/set?a={number};%20HttpOnly;%20Path=/;%20Max-Age=1000")))).ok(200);
        assert_eq!(cookies(&host, &server.url("/")), format!("a={number}"));
    }
    host.fetch(&Req::get(server.url("/set?deep;%20Path=/deep"))).ok(200);
    assert_eq!(cookies(&host, &server.url("/deep/er")), "deep; a=49");
    assert_eq!(cookies(&host, &server.url("/deep/er")), sent(&host, server.url("/deep/er")));
    assert_eq!(cookies(&host, "http://other.example/"), "");
    host.try_set_cookie(&server.url("/"), "b=2; Path=/").unwrap();
    until("the cookie", || cookies(&host, &server.url("/")) == "a=49; b=2");
    let url = std::ffi::CString::new(server.url("/")).unwrap();
    let mut out = [b'x'; 6];
    let read = |out: *mut u8, capacity| {
        // SAFETY: a live client, a string, and as much room as it says.
        unsafe { sortie_client_cookies(host.raw(), url.as_ptr(), out.cast(), capacity) }
    };
    assert_eq!((read(std::ptr::null_mut(), 0), read(out.as_mut_ptr(), 5)), (9, 9));
    assert_eq!(&out, b"a=49\0x", "cut short");
    assert_eq!(read(std::ptr::null_mut(), 1), i64::from(SORTIE_RESULT_NULL_ARGUMENT));
    // SAFETY: NULL is refused; else a live client and strings.
    unsafe {
        let none: *mut std::ffi::c_char = std::ptr::null_mut();
        assert_eq!(sortie_client_cookies(none.cast(), url.as_ptr(), none, 0), i64::from(SORTIE_RESULT_NULL_ARGUMENT));
        assert_eq!(sortie_client_cookies(host.raw(), none, none, 0), i64::from(SORTIE_RESULT_NULL_ARGUMENT));
        assert_eq!(sortie_client_cookies(host.raw(), c"ftp://x/".as_ptr(), none, 0), i64::from(SORTIE_RESULT_SCHEME));
    }
    host.destroy();
    let host = setup().start();
    assert_eq!(cookies(&host, &server.url("/")), "a=49", "at once, of the file");
    host.clear_cookies();
    until("none", || cookies(&host, &server.url("/")).is_empty());
    let without = Setup { flags: SORTIE_CLIENT_NO_COOKIES, ..Setup::default() }.start();
    // SAFETY: a live client and a string.
    let refused = unsafe { sortie_client_cookies(without.raw(), url.as_ptr(), std::ptr::null_mut(), 0) };
    assert_eq!(refused, i64::from(SORTIE_RESULT_ARGUMENT));
}

#[test]
fn what_is_no_cookie_is_refused_at_once() {
    let host = Host::new();
    let refused = |url: &str, cookie: &str| host.try_set_cookie(url, cookie).unwrap_err();
    assert_eq!(refused("ftp://x/", "a=1").result, SORTIE_RESULT_SCHEME);
    assert_eq!(refused("", "a=1").result, SORTIE_RESULT_URL);
    for (cookie, named) in [
        ("", "cookie"),
        ("a=1\r\nX: y", "control character"),
        ("a=1; Domain=example.org", "omain"),
        ("a=1; Domain=co.uk", "co.uk"),
        ("a=1; Secure", "https"),
    ] {
        let refused = refused("http://example.co.uk/", cookie);
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT, "{cookie:?}");
        assert!(refused.message.contains(named), "{cookie:?}: {}", refused.message);
    }
    // SAFETY: a live client; NULL is refused.
    unsafe {
        assert_eq!(
            sortie_client_set_cookie(host.raw(), std::ptr::null(), c"a=1".as_ptr()),
            SORTIE_RESULT_NULL_ARGUMENT
        );
        assert_eq!(sortie_client_set_cookie(host.raw(), c"http://x/".as_ptr(), c"\xFF".as_ptr()), SORTIE_RESULT_UTF8);
        assert_eq!(sortie_client_clear_cookies(std::ptr::null_mut()), SORTIE_RESULT_NULL_ARGUMENT);
    }
}

#[test]
fn a_server_cannot_fill_the_jar() {
    let (server, host) = (server(), Host::new());
    let count = |from: u32, of: u32| {
        host.fetch(&Req::get(server.url(&format!("/many?{from}&{of}")))).ok(200);
        sent(&host, server.url("/")).split("; ").count()
    };
    assert_eq!(count(0, 2000), 50, "the most that one response may set");
    let counts: Vec<_> = (1..10).map(|round| count(round * 1000, 50)).collect();
    assert_eq!(counts.last(), Some(&180), "the most that a site may have");
}

#[test]
fn secure_cookies_go_over_tls_alone() {
    let tls = handlers().tls(true).names(["shop.example"]).start();
    let plain = server();
    let resolves = [(443, tls.port()), (80, plain.port())];
    let resolves = resolves.map(|(from, to)| ("shop.example".to_owned(), from, "127.0.0.1".to_owned(), to)).to_vec();
    let host = Setup { ca_file: Some(tls.ca_pem().to_owned()), resolves, ..Setup::default() }.start();
    host.try_set_cookie("https://shop.example/", "safe=1; Secure; Path=/").unwrap();
    host.try_set_cookie("http://shop.example/", "open=1; Path=/").unwrap();
    assert_eq!(sent(&host, "https://shop.example/".into()), "safe=1; open=1");
    assert_eq!(sent(&host, "http://shop.example/".into()), "open=1");
    host.fetch(&Req::get("http://shop.example/set?safe=forged")).ok(200);
    assert_eq!(sent(&host, "https://shop.example/".into()), "safe=1; open=1", "not to be replaced in the clear");
}

#[test]
fn a_file_keeps_them_for_the_next_client() {
    let (server, folder) = (server(), Folder::new());
    let file = folder.join("cookies.txt");
    let setup = Setup { cookie_file: Some(file.clone()), ..Setup::default() };
    let host = setup.start();
    host.fetch(&Req::get(server.url("/set?kept=1;%20Max-Age=1000;%20Path=/"))).ok(200);
    host.fetch(&Req::get(server.url("/set?session=1;%20Path=/"))).ok(200);
    host.destroy();
    folder.holds(&["cookies.txt"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "readable by its owner alone");
    }
    let host = setup.start();
    assert_eq!(sent(&host, server.url("/")), "kept=1");
    host.clear_cookies();
    host.destroy();
    assert!(!fs::read_to_string(&file).unwrap().contains("kept"));
}

#[test]
fn a_file_is_saved_at_suspend_and_soon_after_a_change() {
    let folder = Folder::new();
    let file = folder.join("cookies.txt");
    let host = Setup { cookie_file: Some(file.clone()), ..Setup::default() }.start();
    let saved = |name: &str| fs::read_to_string(&file).is_ok_and(|text| text.contains(name));
    host.try_set_cookie("http://x.example/", "first=1; Max-Age=1000").unwrap();
    until("a save by itself", || saved("first"));
    host.try_set_cookie("http://x.example/", "second=1; Max-Age=1000").unwrap();
    host.suspend();
    until("a save at suspend", || saved("second"));
    host.try_set_cookie("http://x.example/", "third=1; Max-Age=1000").unwrap();
    until("a save while suspended", || saved("third"));
    host.resume();
    host.try_set_cookie("http://x.example/", "fourth=1; Max-Age=1000").unwrap();
    host.destroy();
    assert!(saved("first") && saved("second") && saved("third") && saved("fourth"));
}

#[test]
fn clients_that_share_a_file_do_not_tear_it() {
    let folder = Folder::new();
    let file = folder.join("cookies.txt");
    let setup = Setup { cookie_file: Some(file.clone()), ..Setup::default() };
    let hosts = [setup.start(), setup.start()];
    for round in 0..20 {
        for host in &hosts {
            let cookie = format!("c{round}={}; Max-Age=1000", "x".repeat(3000));
            host.try_set_cookie("http://x.example/", &cookie).unwrap();
            host.suspend();
            host.resume();
        }
        if let Ok(text) = fs::read_to_string(&file) {
            assert!(text.starts_with("# Netscape") && text.ends_with('\n'), "a torn file");
        }
    }
    hosts.into_iter().for_each(drop);
    // Destruction does not wait for ever for a disk that is busy.
    until("the last save", || folder.names() == ["cookies.txt"]);
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let folder = Folder::new();
    let save = folder.file("save.json", b"{}");
    let create =
        |file: std::path::PathBuf| Setup { cookie_file: Some(file), ..Setup::default() }.try_create().unwrap_err();
    let refused = create(save.clone());
    assert_eq!(refused.result, SORTIE_RESULT_PATH);
    assert!(
        refused.message.contains("save.json") && refused.message.contains("not a cookie file"),
        "{}",
        refused.message
    );
    assert_eq!(fs::read(save).unwrap(), b"{}");
    assert_eq!(create(folder.join("no/such/folder")).result, SORTIE_RESULT_PATH);
    assert_eq!(create(folder.path().to_owned()).result, SORTIE_RESULT_PATH);
}

#[test]
fn a_file_is_read_as_warily_as_a_response() {
    let (server, folder) = (server(), Folder::new());
    let line = |name: &str, value: &str| format!("127.0.0.1\tFALSE\t/\tFALSE\t99999999999\t{name}\t{value}\n");
    let header = "# Netscape HTTP Cookie File\n";
    let lines = [
        line("good", "1"),
        line("", "nameless"),
        line("tab", "1\t2"),
        line("control", "1\u{1}"),
        line("nul", "1\0"),
        line("return", "1\r2"),
        line("a=b", "1"),
        line("", ""),
        line("long", &"x".repeat(4096)),
        line("__Secure-a", "1"),
        "127.0.0.1\tFALSE\t/\tFALSE\n".to_owned(),
    ];
    let file = folder.file("cookies", format!("{header}{}", lines.concat()).as_bytes());
    let host = Setup { cookie_file: Some(file.clone()), ..Setup::default() }.start();
    assert_eq!(sent(&host, server.url("/")), "good=1; nameless; tab=1\t2");
    host.destroy();
    // However many lines there are, no more than fit are kept, and they are the last.
    let many: String = (0..200_000).map(|n| format!("h{n}.example\tFALSE\t/\tFALSE\t99999999999\ta\t1\n")).collect();
    fs::write(&file, format!("{header}{many}{}", line("last", "1"))).unwrap();
    let host = Setup { cookie_file: Some(file.clone()), ..Setup::default() }.start();
    assert_eq!(sent(&host, server.url("/")), "last=1");
    host.destroy();
    fs::write(&file, format!("{header}{}", "#\n".repeat(10 << 20))).unwrap();
    let refused = Setup { cookie_file: Some(file), ..Setup::default() }.try_create().unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_PATH);
    assert!(refused.message.contains("20971520"), "{}", refused.message);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_saved_disturbs_nothing() {
    let (server, folder) = (server(), Folder::new());
    let below = folder.join("gone");
    fs::create_dir(&below).unwrap();
    let host = Setup { cookie_file: Some(below.join("cookies")), ..Setup::default() }.start();
    fs::remove_dir(&below).unwrap();
    host.try_set_cookie(&server.url("/"), "a=1; Max-Age=1000; Path=/").unwrap();
    host.suspend();
    host.resume();
    assert_eq!(sent(&host, server.url("/")), "a=1");
    host.destroy();
    folder.holds(&[]);
}

/// Whatever makes a save fail, what was to be saved is saved once it can be.
#[test]
fn a_save_that_failed_is_tried_again() {
    #[derive(Debug, PartialEq)]
    enum Then {
        /// After a pause.
        Nothing,
        AnotherCookie,
        Suspend,
        Destroy,
    }
    for then in [Then::Nothing, Then::AnotherCookie, Then::Suspend, Then::Destroy] {
        let (server, folder) = (server(), Folder::new());
        let (there, gone) = (folder.join("there"), folder.join("gone"));
        fs::create_dir(&there).unwrap();
        let file = there.join("cookies");
        let setup = Setup { cookie_file: Some(file.clone()), trace_level: SORTIE_TRACE_ERRORS, ..Setup::default() };
        let host = setup.start();
        host.fetch(&Req::get(server.url("/set?first=1;%20Max-Age=1000"))).ok(200);
        let holds = |name: &str| fs::read_to_string(&file).is_ok_and(|text| text.contains(name));
        until("the first cookie", || holds("first"));
        // As a folder on a drive that is pulled out.
        fs::rename(&there, &gone).unwrap();
        host.fetch(&Req::get(server.url("/set?second=2;%20Max-Age=1000"))).ok(200);
        until("that it is told", || {
            host.poll();
            let traces = host.traces();
            traces.iter().any(|line| line.message.as_ref().unwrap().contains("cookies could not be saved"))
        });
        fs::rename(&gone, &there).unwrap();
        match then {
            Then::Nothing => until("the second cookie", || holds("second")),
            Then::AnotherCookie => {
                host.fetch(&Req::get(server.url("/set?third=3;%20Max-Age=1000"))).ok(200);
                until("both", || holds("second") && holds("third"));
            }
            Then::Suspend => {
                host.suspend();
                until("the second cookie", || holds("second"));
            }
            Then::Destroy => {
                host.destroy();
                assert!(holds("second"), "{then:?}");
                continue;
            }
        }
        assert!(host.traces().is_empty(), "it is told once");
    }
}
