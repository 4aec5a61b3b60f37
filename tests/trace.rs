//! The trace tells what the client does, and keeps secrets to itself.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use sortie_test_server::{Response, Server, refused_addr};
use support::*;

fn traced(level: u32) -> Setup {
    Setup { trace_level: level, ..Setup::default() }
}

/// Every line up to a request's end, with its level.
fn lines(host: &Host, id: u64) -> Vec<(u32, String)> {
    host.ended(id);
    host.traces().into_iter().map(|event| (event.trace_level, event.message.unwrap())).collect()
}

fn texts(host: &Host, id: u64) -> String {
    lines(host, id).into_iter().map(|(_, line)| line + "\n").collect()
}

/// A request that carries every kind of secret, through a redirect.
fn secretive(server: &Server) -> Req {
    let to = server.url("/echo?token=SECRET1").replace(':', "%3A").replace('/', "%2F").replace('?', "%3F");
    Req::new("POST", server.url(&format!("/redirect-to?url={to}&status=307&key=SECRET2")))
        .header("X-Api-Key", "SECRET3")
        .header("Cookie", "session=SECRET4")
        .header("Referer", "http://x.test/?SECRET5")
        .basic("name", "SECRET6")
        .body("SECRET7")
}

#[test]
fn nothing_is_told_unless_asked_for() {
    let (server, host) = (Server::start(), Host::new());
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    host.fetch(&Req::get(format!("http://{}/", refused_addr()))).failed(SORTIE_ERROR_CONNECT);
    assert!(host.poll().is_empty() && host.traces().is_empty());
}

#[test]
fn errors_are_told_alone_and_steps_if_asked_for() {
    let server = Server::start();
    let host = traced(SORTIE_TRACE_ERRORS).start();
    let id = host.get(server.url("/bytes/1"));
    assert_eq!(lines(&host, id), []);
    let id = host.submit(&Req::get(format!("http://{}/x?token=SECRET", refused_addr())).user_data(9));
    let told = lines(&host, id);
    assert_eq!((told.len(), told[0].0), (1, SORTIE_TRACE_ERRORS));
    let start = format!("GET http://{}/x?token=... failed after ", refused_addr());
    assert!(told[0].1.starts_with(&start), "{told:?}");

    assert_eq!(host.set_trace_level(SORTIE_TRACE_REQUESTS), SORTIE_OK);
    let id = host.submit(&Req::get(server.url("/redirect/1?a=b")).user_data(9));
    host.ended(id);
    let told = host.traces();
    assert!(told.iter().all(|line| line.request == id && line.user_data == 9 && line.trace_level == 2), "{told:?}");
    let told: Vec<String> = told.into_iter().map(|line| line.message.unwrap()).collect();
    assert_eq!(told[0], format!("GET {}", server.url("/redirect/1?a=...")));
    assert!(
        told[1].starts_with(&format!("HTTP/1.1 302 Found from 127.0.0.1:{} over a used", server.port())),
        "{told:?}"
    );
    assert!(told[2].starts_with("redirected to http://"), "{told:?}");
    assert!(told[3].starts_with("GET ") && told[4].contains("over a used connection"), "{told:?}");
    assert!(told[5].starts_with("GET ") && told[5].contains("ended with 200 after"), "{told:?}");
    assert_eq!(told.len(), 6);
    host.set_trace_level(SORTIE_TRACE_OFF);
    let id = host.get(server.url("/bytes/1"));
    assert_eq!(lines(&host, id), []);
}

#[test]
fn secrets_and_bodies_are_shown_only_if_asked_for() {
    let server = Server::start();
    let host = traced(SORTIE_TRACE_DETAILS).start();
    let id = host.submit(&secretive(&server));
    let told = texts(&host, id);
    assert!(!told.contains("SECRET"), "{told}");
    for shown in
        ["X-Api-Key: (hidden, 7 bytes)", "Authorization: (hidden", "Cookie: (hidden", "Content-Type: text/plain"]
    {
        assert!(told.contains(shown), "{shown}: {told}");
    }
    let flags = SORTIE_CLIENT_TRACE_SECRETS | SORTIE_CLIENT_TRACE_BODIES;
    let host = Setup { flags, ..traced(SORTIE_TRACE_DETAILS) }.start();
    let id = host.submit(&secretive(&server));
    let told = texts(&host, id);
    for secret in 1..=7 {
        assert!(told.contains(&format!("SECRET{secret}")), "{secret}: {told}");
    }
    assert!(
        told.contains("sent 7 bytes of body: SECRET7") && told.contains("received 7 bytes of body: SECRET7"),
        "{told}"
    );
    // Bodies belong to the details.
    host.set_trace_level(SORTIE_TRACE_REQUESTS);
    let id = host.submit(&secretive(&server));
    assert!(!texts(&host, id).contains("SECRET7"));
}

#[test]
fn whatever_is_not_known_to_be_harmless_is_hidden() {
    let to = refused_addr();
    let server = Server::builder()
        .handler(move |request, conn| {
            if request.path() == "/goes" {
                let there =
                    format!("http://u:SECRET01@{to}/bot12345:SECRET02/x?https://u:SECRET03%40y.test/?a=SECRET04");
                let response = Response::new(302).header("Location", there).body("x");
                return conn.send(&response).map(Some);
            }
            let response = Response::new(200)
                .reason("a=SECRET05")
                .header("Link", "</next?access_token=SECRET06>; rel=next; title=SECRET07")
                .header("Content-Location", "/a?password=SECRET08")
                .header("Refresh", "5; url=/a?password=SECRET09")
                .header("X-Next", "/a?password=SECRET10")
                .header("X-Level", "SECRET11")
                .header("Server", "x /a?password=SECRET12")
                .header("Via", "1.1 http://u:SECRET13@y.test")
                .header("Location", "//y.test/a;s=SECRET14?SECRET15#SECRET16");
            conn.send(&response.header("Cache-Control", "no-store")).map(Some)
        })
        .start();
    let host = traced(SORTIE_TRACE_DETAILS).start();
    let url =
        server.url("/token/SECRET17/aSECRET18bSECRET18c?SECRET19&b=SECRET20&http://u:SECRET21%40y.test/?c=SECRET22");
    let request = Req::get(url).header("X-Mine", "/a?password=SECRET23").header("Origin", "http://u:SECRET24@y.test");
    let id = host.submit(&request);
    let told = texts(&host, id);
    assert!(!told.contains("SECRET"), "{told}");
    for shown in [
        "GET http://127.0.0.1:",
        "/token/.../...?...&b=...&...",
        "HTTP/1.1 200 from",
        "Link: <http://127.0.0.1:",
        "/next?access_token=...>",
        "Content-Location: http://127.0.0.1:",
        "/a?password=...",
        "X-Level: (hidden, 8 bytes)",
        "X-Mine: (hidden, 20 bytes)",
        "Location: http://y.test/a;...?...",
        "Cache-Control: no-store",
    ] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
    // The messages of failures are shown to players.
    let id = host.submit(&Req::get(server.url("/goes")));
    let ended = host.ended(id);
    let message = ended.failed(SORTIE_ERROR_CONNECT).to_owned();
    let told: String = host.traces().into_iter().map(|event| event.message.unwrap() + "\n").collect();
    assert!(told.contains("/.../x?..."), "{told}");
    assert!(!told.contains("SECRET") && !message.contains("SECRET"), "{told} {message}");
    // Asked for, all of it is there.
    let host = Setup { flags: SORTIE_CLIENT_TRACE_SECRETS, ..traced(SORTIE_TRACE_DETAILS) }.start();
    let id = host.submit(&request);
    let told = texts(&host, id);
    for secret in [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24] {
        assert!(told.contains(&format!("SECRET{secret:02}")), "{secret}: {told}");
    }
}

#[test]
fn retries_pauses_mocks_and_the_cache_are_told_of() {
    let server = Server::start();
    let host = Setup { max_memory_cache_bytes: 1 << 20, ..traced(SORTIE_TRACE_DETAILS) }.start();
    let flaky = Req::get(server.url("/flaky?fails=1&key=trace&status=503")).max_attempts(2).retry_delay_ms(1);
    let id = host.submit(&flaky);
    let told = texts(&host, id);
    assert!(told.contains("attempt 1 failed (503), another follows in "), "{told}");
    assert!(told.contains(", attempt 2"), "{told}");
    host.mock(&Mock::new("http://mocked/*").header("Cache-Control", "max-age=60").body("x"));
    let id = host.get("http://mocked/a");
    assert!(texts(&host, id).contains("answered by a mock"));
    let id = host.get("http://mocked/a");
    assert!(texts(&host, id).contains("answered by the cache"));
    let id = host.get(server.url("/delay?ms=50"));
    host.pause(id);
    host.unpause(id);
    let told = texts(&host, id);
    assert!(told.contains("paused\n") && told.contains("goes on after a pause\n"), "{told}");
}

#[test]
fn a_trace_that_nobody_drains_stays_bounded() {
    let server = Server::start();
    let host = traced(SORTIE_TRACE_DETAILS).start();
    host.suspend();
    host.resume();
    let ids: Vec<u64> = (0..2_000).map(|_| host.get(server.url("/bytes/1"))).collect();
    until("every end", || host.stats().undrained == 2_000);
    let id = *ids.last().unwrap();
    host.all_ended(&ids[..1_999]);
    host.ended(id).ok(200);
    assert_eq!(host.traces().len(), 4096);
    let id = host.get(server.url("/bytes/1"));
    let told = lines(&host, id);
    assert!(told[0].1.contains(" lines were left out: 4096 were not drained"), "{:?}", told[0]);
    assert_eq!((told[0].0, host.stats().failed), (SORTIE_TRACE_ERRORS, 0));
}

#[cfg(unix)]
#[test]
fn cookies_that_cannot_be_saved_are_told_of() {
    let folder = Folder::new();
    let file = folder.join("below/cookies");
    std::fs::create_dir(folder.join("below")).unwrap();
    let host = Setup { cookie_file: Some(file), ..traced(SORTIE_TRACE_ERRORS) }.start();
    std::fs::remove_dir_all(folder.join("below")).unwrap();
    std::fs::write(folder.join("below"), b"now a file").unwrap();
    host.try_set_cookie("http://x.test/", "a=b; Max-Age=1000").unwrap();
    host.suspend();
    host.resume();
    host.wait(DEADLINE);
    host.poll();
    let told = host.traces();
    assert_eq!((told[0].request, told[0].trace_level), (0, SORTIE_TRACE_ERRORS));
    assert!(told[0].message.as_deref().unwrap().starts_with("cookies could not be saved"), "{told:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = traced(4).try_create().unwrap_err();
    assert_eq!(
        (refused.result, refused.message.as_str()),
        (SORTIE_RESULT_ARGUMENT, "trace_level is 4, which has no meaning")
    );
    let host = Host::new();
    assert_eq!(host.set_trace_level(99), SORTIE_RESULT_ARGUMENT);
    // SAFETY: what is NULL is refused.
    assert_eq!(unsafe { sortie_client_set_trace_level(std::ptr::null_mut(), 0) }, SORTIE_RESULT_NULL_ARGUMENT);
}
