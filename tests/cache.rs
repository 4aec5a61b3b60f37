//! The HTTP cache, by what a server is asked and what the program gets.

#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sortie_test_server::{Framing, Gate, Outcome, Response, Server, pattern_vec};
use support::*;

/// A client with a cache in memory.
fn remembering() -> Host {
    Setup { max_memory_cache_bytes: 10 << 20, ..Setup::default() }.start()
}

fn keeping(folder: &Folder) -> Setup {
    Setup { cache_directory: Some(folder.join("cache")), ..Setup::default() }
}

/// A server whose answers are `?cc=` as Cache-Control, `?etag=`, and any further query field as a header; it answers 304
/// where that is due. The body tells how often it was asked.
fn server() -> Server {
    let count = Mutex::new(0);
    Server::builder()
        .handler(move |request, conn| {
            if !request.path().starts_with("/c") {
                return Ok(None);
            }
            let number = {
                let mut count = count.lock().unwrap();
                *count += 1;
                *count
            };
            let etag = request.query("ETag");
            let known = etag.is_some() && request.header("If-None-Match").map(str::to_owned) == etag;
            let since = request.query("Last-Modified");
            let unchanged = since.is_some() && request.header("If-Modified-Since").map(str::to_owned) == since;
            let mut response =
                Response::new(if known || unchanged { 304 } else { 200 }).header("X-Number", number.to_string());
            for (name, value) in request.query_pairs() {
                response = response.header(if name == "cc" { "Cache-Control" } else { name.as_str() }, value);
            }
            if known || unchanged {
                return conn.send(&response).map(Some);
            }
            conn.drain_body()?;
            conn.send(&response.text(number.to_string())).map(Some)
        })
        .start()
}

/// Waits until nothing is waiting or running, what is asked in the background included.
fn await_idle(host: &Host) {
    until("the end of all requests", || {
        let stats = host.stats();
        stats.active + stats.waiting == 0
    });
}

const HIT: u32 = SORTIE_EVENT_FROM_CACHE;

/// Body and flags of a whole response.
fn answer(host: &Host, request: &Req) -> (String, u32) {
    let ended = host.fetch(request);
    (ended.ok(200).text().to_owned(), ended.flags)
}

fn told(body: &str, flags: u32) -> (String, u32) {
    (body.to_owned(), flags)
}

#[test]
fn a_fresh_response_answers_without_the_network() {
    let (server, host) = (server(), remembering());
    let request = Req::get(server.url("/c?cc=max-age=60"));
    assert_eq!(answer(&host, &request), told("1", 0));
    let before = host.stats();
    let again = host.fetch(&request.clone().progress(SORTIE_PROGRESS_DOWNLOAD));
    assert_eq!((again.ok(200).text(), again.flags), ("1", HIT));
    assert_eq!(again.header("Age"), Some("0"));
    assert_eq!((again.header("Content-Length"), again.transferred, again.estimated), (Some("1"), 1, 1));
    assert_eq!(again.status_line.as_deref(), Some("HTTP/1.1 200 OK"));
    let head = host.fetch(&Req::new("HEAD", &request.url));
    assert_eq!((head.ok(200).flags, head.body.as_ref(), head.header("X-Number")), (HIT, None, Some("1")));
    let after = host.stats();
    assert_eq!((after.cache_hits, after.cache_misses, after.cache_revalidated), (2, 1, 0));
    assert_eq!((after.bytes_received, after.connections), (before.bytes_received, 1));
    assert!(after.cache_bytes > 0);
    // Another URL, method or client is another matter.
    assert_eq!(answer(&host, &Req::get(server.url("/c?cc=max-age=60&x=1"))), told("2", 0));
    assert_eq!(answer(&host, &Req::new("POST", &request.url).body("x")), told("3", 0));
    assert_eq!(answer(&Host::new(), &request), told("4", 0));
}

#[test]
fn a_stale_response_is_asked_about() {
    let (server, host) = (server(), remembering());
    for query in ["cc=no-cache&ETag=%22a%22", "cc=max-age=0&Last-Modified=Mon,%2001%20Jan%202024%2000:00:00%20GMT"] {
        let request = Req::get(server.url(&format!("/c?{query}")));
        let first = host.fetch(&request);
        assert_eq!(first.flags, 0);
        let second = host.fetch(&request.clone().progress(SORTIE_PROGRESS_DOWNLOAD));
        assert_eq!((second.ok(200).text(), second.flags), (first.text(), FROM_CACHE_REVALIDATED));
        assert_ne!(second.header("X-Number"), first.header("X-Number"), "the 304's head counts");
    }
    assert_eq!(host.stats().cache_revalidated, 2);
    // A changed one is taken as it comes.
    let served = Arc::new(Mutex::new(0));
    let number = Arc::clone(&served);
    let changing = Server::builder()
        .handler(move |_, conn| {
            *number.lock().unwrap() += 1;
            let number = *number.lock().unwrap();
            let response =
                Response::new(200).header("ETag", format!("\"{number}\"")).header("Cache-Control", "no-cache");
            conn.send(&response.text(number.to_string())).map(Some)
        })
        .start();
    assert_eq!(answer(&host, &Req::get(changing.url("/"))), told("1", 0));
    assert_eq!(answer(&host, &Req::get(changing.url("/"))), told("2", 0));
    assert_eq!(changing.requests()[1].header("If-None-Match"), Some("\"1\""));
}

#[test]
fn a_304_about_something_else_is_not_believed() {
    let lying = Server::builder()
        .handler(|request, conn| {
            let response = Response::new(if request.header("If-None-Match").is_some() { 304 } else { 200 });
            let etag = if request.header("If-None-Match").is_some() { "\"other\"" } else { "\"a\"" };
            let response = response.header("ETag", etag).header("Cache-Control", "no-cache");
            conn.send(&if request.header("If-None-Match").is_some() { response } else { response.text("whole") })
                .map(Some)
        })
        .start();
    let host = remembering();
    for _ in 0..2 {
        assert_eq!(answer(&host, &Req::get(lying.url("/"))), told("whole", 0));
    }
    assert_eq!(lying.request_count(), 3);
}

#[test]
fn what_must_not_be_kept_is_not() {
    let (server, host) = (server(), remembering());
    let twice = |request: &Req| {
        let (first, second) = (answer(&host, request), answer(&host, request));
        assert_eq!(second.1, 0, "{}", request.url);
        assert_ne!(first.0, second.0);
    };
    twice(&Req::get(server.url("/c1?cc=no-store,max-age=60")));
    twice(&Req::get(server.url("/c2")));
    twice(&Req::get(server.url("/c3?cc=max-age=60&Vary=*")));
    twice(&Req::get(server.url("/c4?cc=max-age=60")).header("Cache-Control", "no-store"));
    twice(&Req::get(server.url("/c5?cc=max-age=60")).bearer("token"));
    twice(&Req::get(server.url("/c5?cc=private,must-revalidate,max-age=60")).bearer("token"));
    twice(&Req::get(server.url("/c6?cc=max-age=60")).header("Range", "bytes=0-"));
    twice(&Req::get(server.url("/c7?cc=max-age=60")).cache_mode(SORTIE_CACHE_NO_STORE));
    twice(&Req::new("PUT", server.url("/c8?cc=max-age=60")).body("x"));
    assert_eq!(host.stats().cache_hits, 0);
    // With the response's leave, and to whoever may have it.
    let public = Req::get(server.url("/c9?cc=max-age=60,public")).bearer("token");
    let first = answer(&host, &public);
    assert_eq!(answer(&host, &public), (first.0, HIT));
    // A file that is gone on with is none of the cache's business.
    let folder = Folder::new();
    let large = Req::get(server.url("/c10?cc=max-age=60"));
    host.fetch(&Req { response_path: Some(folder.join("f")), ..large.clone() }).ok(200);
    let file = host.fetch(&Req { response_path: Some(folder.join("g")), ..large });
    assert_eq!(file.ok(200).flags, HIT, "a file may come from the cache");
    assert_eq!(fs::read(folder.join("f")).unwrap(), fs::read(folder.join("g")).unwrap());
    folder.holds(&["f", "g"]);
}

#[test]
fn vary_tells_variants_apart() {
    let folder = Folder::new();
    for setup in [Setup { max_memory_cache_bytes: 10 << 20, ..Setup::default() }, keeping(&folder)] {
        let (server, host) = (server(), setup.start());
        let request = Req::get(server.url("/c?cc=max-age=60&Vary=Accept-Language"));
        let of = |language: &str| request.clone().header("Accept-Language", language);
        assert_eq!(answer(&host, &of("de")), told("1", 0));
        assert_eq!(answer(&host, &request.clone().header("accept-language", "fr")), told("2", 0));
        assert_eq!(answer(&host, &of("de")), told("1", HIT));
        assert_eq!(answer(&host, &of("fr")), told("2", HIT));
        assert_eq!(answer(&host, &of("de").header("X-Other", "1")), told("1", HIT));
        assert_eq!(answer(&host, &of("de").header("Accept-Encoding", "identity")), told("3", 0));
        // Written otherwise, but the same.
        assert_eq!(answer(&host, &of("DE, en;q=0.5")), told("4", 0));
        assert_eq!(answer(&host, &of("de,en;q=0.5")), told("4", HIT));
        assert_eq!(answer(&host, &of("de").header("Accept-Language", "en;q=0.5")), told("4", HIT));
        // The one that was used longest ago makes room for a fifth.
        assert_eq!(answer(&host, &of("it")), told("5", 0));
        assert_eq!(answer(&host, &of("de")), told("1", HIT));
        assert_eq!(answer(&host, &of("fr")), told("6", 0));
        host.fetch(&Req::new("POST", server.url("/c?cc=max-age=60&Vary=Accept-Language"))).ok(200);
        assert_eq!(answer(&host, &of("de")), told("8", 0), "a change makes all of them void");
        assert_eq!(answer(&host, &of("fr")), told("9", 0));
        host.destroy();
    }
}

#[test]
fn variants_outlive_the_client() {
    let (server, folder) = (server(), Folder::new());
    let request = Req::get(server.url("/c?cc=max-age=60&Vary=X"));
    let of = |value: &str| request.clone().header("X", value);
    let host = keeping(&folder).start();
    for (number, value) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert_eq!(answer(&host, &of(value)), told(&(number + 1).to_string(), 0));
    }
    await_entries(&folder, 4);
    drop(host);
    let host = keeping(&folder).start();
    for (number, value) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert_eq!(answer(&host, &of(value)), told(&(number + 1).to_string(), HIT));
    }
}

#[test]
fn requests_and_responses_say_what_the_cache_may_do() {
    let (server, host) = (server(), remembering());
    let url = |query: &str| Req::get(server.url(&format!("/c?{query}")));
    let asking = |request: &Req, control: &str| request.clone().header("Cache-Control", control);
    let fresh = url("cc=max-age=60");
    let ended = host.fetch(&asking(&fresh, "only-if-cached"));
    assert_eq!((ended.status, ended.text().len(), server.request_count()), (504, 0, 0));
    assert_eq!(answer(&host, &asking(&fresh, "no-store")), told("1", 0));
    assert_eq!(answer(&host, &fresh), told("2", 0), "that one was not kept");
    assert_eq!(answer(&host, &asking(&fresh, "only-if-cached")), told("2", HIT));
    assert_eq!(answer(&host, &asking(&fresh, "no-store")), told("3", 0), "nor is what is stored wanted");
    assert_eq!(answer(&host, &fresh), told("2", HIT));

    let understood = url("cc=max-age=60,no-store,must-understand");
    assert_eq!(answer(&host, &understood), told("4", 0));
    assert_eq!(answer(&host, &understood), told("4", HIT));
    let some = url("cc=max-age=60,no-cache=%22X-Secret%22&X-Secret=1&X-Other=2");
    assert_eq!(host.fetch(&some).header("X-Secret"), Some("1"));
    let again = host.fetch(&some);
    assert_eq!((again.flags, again.header("X-Secret"), again.header("X-Other")), (HIT, None, Some("2")));

    let immutable = url("cc=max-age=60,immutable&ETag=%22a%22").cache_mode(SORTIE_CACHE_REVALIDATE);
    assert_eq!(answer(&host, &immutable), told("6", 0));
    assert_eq!(answer(&host, &immutable), told("6", HIT));
}

#[test]
fn a_stale_response_answers_while_its_server_is_asked() {
    let (server, host) = (server(), remembering());
    for validator in ["", "&ETag=%22a%22"] {
        host.clear_cache();
        let stale = Req::get(server.url(&format!("/c?cc=max-age=0,stale-while-revalidate=60{validator}")));
        let (first, asked) = (answer(&host, &stale), server.request_count());
        let before = host.stats();
        assert_eq!(answer(&host, &stale), told(&first.0, HIT), "at once");
        assert!(server.wait_requests((asked + 1) as usize, DEADLINE));
        // The request that nobody has made has ended once nothing is live.
        await_idle(&host);
        let after = host.stats();
        assert_eq!((after.submitted, after.ended), (before.submitted + 1, before.ended + 1), "no event, no count");
        let number = if validator.is_empty() { (asked + 1).to_string() } else { first.0.clone() };
        assert_eq!(
            answer(&host, &stale.clone().cache_mode(SORTIE_CACHE_ONLY_IF_CACHED)),
            told(&number, HIT),
            "brought up to date"
        );
        let again = host.fetch(&stale.clone().header("Cache-Control", "max-age=0"));
        assert_ne!(again.flags, HIT, "who wants it newer waits");
        await_idle(&host);
    }
    let must = Req::get(server.url("/c?cc=max-age=0,stale-while-revalidate=60,must-revalidate&ETag=%22a%22"));
    host.fetch(&must).ok(200);
    assert_eq!(host.fetch(&must).flags, FROM_CACHE_REVALIDATED);
}

#[test]
fn what_is_asked_in_the_background_keeps_to_limits_and_ends_with_the_client() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let count = std::sync::atomic::AtomicU32::new(0);
    let server = Server::builder()
        .handler(move |_, conn| {
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 20 {
                // The client goes meanwhile.
                let _ = held.lock().unwrap().recv();
            }
            let response = Response::new(200).header("Cache-Control", "max-age=0, stale-while-revalidate=60");
            conn.send(&response.text("x")).map(Some)
        })
        .start();
    let setup = Setup { max_memory_cache_bytes: 10 << 20, max_active: 2, ..Setup::default() };
    let host = setup.start();
    let request = |number: u32| Req::get(server.url(&format!("/{number}")));
    (0..20).for_each(|number| drop(host.fetch(&request(number))));
    host.suspend();
    let ids: Vec<_> = (0..20).map(|number| host.submit(&request(number))).collect();
    assert_eq!(server.request_count(), 20);
    host.resume();
    for id in ids {
        assert_eq!(host.ended(id).ok(200).flags, HIT);
        assert!(host.stats().active <= 2);
    }
    assert!(server.wait_requests(21, DEADLINE));
    assert!(server.request_count() <= 22, "two at a time");
    host.destroy();
    drop(release);
}

#[test]
fn caches_on_the_way_are_told_what_the_mode_is() {
    let server = Server::builder()
        .handler(|request, conn| {
            let control = request.header("Cache-Control").unwrap_or("none").to_owned();
            conn.send(&Response::new(200).header("Cache-Control", "max-age=60").text(control)).map(Some)
        })
        .start();
    let host = remembering();
    for (mode, said) in [
        (SORTIE_CACHE_DEFAULT, "none"),
        (SORTIE_CACHE_REVALIDATE, "max-age=0"),
        (SORTIE_CACHE_RELOAD, "no-cache"),
        (SORTIE_CACHE_NO_STORE, "none"),
    ] {
        let request = Req::get(server.url("/")).cache_mode(mode);
        assert_eq!(host.fetch(&request).ok(200).text(), said);
        assert_eq!(
            host.fetch(&request.header("Cache-Control", "x")).ok(200).text(),
            if mode == SORTIE_CACHE_DEFAULT { "none" } else { "x" }
        );
    }
}

#[test]
fn no_form_of_a_date_makes_a_stale_response_fresh() {
    let (server, host) = (server(), remembering());
    for date in [
        "SAT, 01 JAN 2000 00:00:00 GMT",
        "Mon, 01 Jan 2000 00:00:00 GMT",
        "Saturday, 01-Jan-00 00:00:00 gmt",
        "Sat Jan  1 00:00:00 2000",
    ] {
        let date = date.replace(' ', "%20");
        for query in [
            format!("cc=max-age=60&Date={date}"),
            format!("Expires={date}&ETag=%22a%22"),
            format!("Last-Modified={date}&Date={date}"),
        ] {
            let request = Req::get(server.url(&format!("/c?{query}")));
            assert_eq!(host.fetch(&request).flags & HIT, 0, "{query}");
            let again = host.fetch(&request);
            assert!(again.flags != HIT, "{query}");
        }
    }
}

#[test]
fn modes_say_how_the_cache_is_used() {
    let (server, host) = (server(), remembering());
    let fresh = Req::get(server.url("/c?cc=max-age=60&ETag=%22a%22"));
    let stale = Req::get(server.url("/c?cc=max-age=0&ETag=%22b%22"));
    let only = SORTIE_CACHE_ONLY_IF_CACHED;
    assert!(host.fetch(&fresh.clone().cache_mode(only)).failed(SORTIE_ERROR_NOT_CACHED).contains("/c"));
    assert_eq!(answer(&host, &fresh.clone().cache_mode(SORTIE_CACHE_FORCE)), told("1", 0));
    assert_eq!(answer(&host, &fresh.clone().cache_mode(SORTIE_CACHE_REVALIDATE)), told("1", FROM_CACHE_REVALIDATED));
    assert_eq!(server.request_count(), 2);
    assert_eq!(answer(&host, &fresh.clone().cache_mode(SORTIE_CACHE_RELOAD)), told("3", 0));
    assert_eq!(answer(&host, &fresh), told("3", HIT), "reloaded and kept");
    assert_eq!(answer(&host, &fresh.clone().header("Cache-Control", "no-cache")), told("3", FROM_CACHE_REVALIDATED));
    assert_eq!(answer(&host, &stale), told("5", 0));
    assert_eq!(answer(&host, &stale.clone().cache_mode(SORTIE_CACHE_FORCE)), told("5", HIT));
    assert_eq!(answer(&host, &stale.clone().cache_mode(only)), told("5", HIT));
    assert_eq!(answer(&host, &stale), told("5", FROM_CACHE_REVALIDATED));
    Host::new().fetch(&fresh.clone().cache_mode(only)).failed(SORTIE_ERROR_NOT_CACHED);
    assert_eq!(host.try_submit(&fresh.clone().cache_mode(6)).unwrap_err().result, SORTIE_RESULT_ARGUMENT);
    host.clear_cache();
    host.fetch(&fresh.cache_mode(only)).failed(SORTIE_ERROR_NOT_CACHED);
    assert_eq!(host.stats().cache_bytes, 0);
    assert_eq!(Host::new().clear_cache(), SORTIE_RESULT_ARGUMENT);
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_the_cache_cannot_answer_for_is_closed() {
    let (host, folder) = (remembering(), Folder::new());
    let path = folder.file("file", b"body");
    let upload = Req::upload("http://127.0.0.1:1/", &path).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED);
    let form = Req::get("http://127.0.0.1:1/").form(&[Part::file("a", &path)]).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED);
    for request in [upload, form] {
        host.fetch(&request).failed(SORTIE_ERROR_NOT_CACHED);
        until("the file is closed", || !Belongings::now().descriptors.contains_key(path_text(&path)));
    }
}

#[test]
fn successful_changes_void_what_is_stored() {
    let (server, host) = (server(), remembering());
    let [a, b] = ["/ca?cc=max-age=60", "/cb?cc=max-age=60"].map(|path| Req::get(server.url(path)));
    let both = || [answer(&host, &a).1, answer(&host, &b).1];
    assert_eq!((both(), both()), ([0, 0], [HIT, HIT]));
    host.fetch(&Req::new("DELETE", &a.url)).ok(200);
    assert_eq!((both(), both()), ([0, HIT], [HIT, HIT]));
    let naming = server.url("/cx?Content-Location=/cb%3Fcc%3Dmax-age%3D60%23part");
    host.fetch(&Req::get(naming).body("post")).ok(200);
    assert_eq!(both(), [HIT, 0]);
    host.fetch(&Req::new("PUT", server.url("/status/500")).body("x")).ok(500);
    host.fetch(&Req::new("OPTIONS", &a.url)).ok(200);
    assert_eq!(both(), [HIT, HIT]);
}

#[test]
fn what_was_on_its_way_when_it_changed_is_not_kept() {
    let (content, gate) = (Mutex::new("old".to_owned()), Gate::new());
    let shut = gate.clone();
    let server = Server::builder()
        .handler(move |request, conn| {
            if request.method == "PUT" {
                conn.drain_body()?;
                *content.lock().unwrap() = "new".to_owned();
                return conn.send(&Response::new(204)).map(Some);
            }
            let now = content.lock().unwrap().clone();
            if request.header("X-Wait").is_some() {
                conn.wait_at(&shut)?;
            }
            conn.send(&Response::new(200).header("Cache-Control", "max-age=60").text(now)).map(Some)
        })
        .start();
    let host = remembering();
    let [changed, other] = ["/changed", "/other"].map(|path| Req::get(server.url(path)));
    let waiting = [&changed, &other].map(|request| host.submit(&request.clone().header("X-Wait", "1")));
    assert!(gate.wait_for(2, DEADLINE));
    host.fetch(&Req::new("PUT", &changed.url).body("new")).ok(204);
    gate.open();
    waiting.iter().for_each(|id| assert_eq!(host.ended(*id).ok(200).text(), "old"));
    assert_eq!(answer(&host, &changed), told("new", 0));
    assert_eq!(answer(&host, &changed), told("new", HIT));
    assert_eq!(answer(&host, &other), told("old", HIT));
}

#[test]
fn redirects_and_errors_are_stored_where_they_may_be() {
    let (server, host) = (server(), remembering());
    let moved = Server::builder()
        .handler(move |request, conn| {
            let response = match request.path() {
                "/moved" => Response::new(301).header("Location", server.url("/c?cc=max-age=60")).text("moved"),
                _ => Response::new(404).text("none"),
            };
            conn.send(&response.header("Cache-Control", "max-age=60").header("Set-Cookie", "a=1")).map(Some)
        })
        .start();
    let first = host.fetch(&Req::get(moved.url("/moved")));
    let second = host.fetch(&Req::get(moved.url("/moved")));
    assert_eq!((first.ok(200).flags, second.ok(200).flags, moved.request_count()), (0, HIT, 1));
    assert_eq!((second.timing.unwrap().redirects, first.effective_url), (1, second.effective_url));
    let flags = [(); 2].map(|()| host.fetch(&Req::get(moved.url("/none"))).ok(404).flags);
    assert_eq!((flags, moved.request_count()), ([0, HIT], 2));
    let manual = host.fetch(&Req::get(moved.url("/moved")).flags(SORTIE_REQUEST_MANUAL_REDIRECTS));
    assert_eq!((manual.ok(301).text(), manual.header("Set-Cookie")), ("moved", None), "a cookie is set once");
}

#[test]
fn a_stale_response_answers_for_a_server_that_cannot() {
    let answering = Arc::new(Mutex::new(Some(true)));
    let well = Arc::clone(&answering);
    let server = Server::builder()
        .handler(move |request, conn| {
            let well = *well.lock().unwrap();
            match well {
                Some(true) => {}
                Some(false) => return conn.send(&Response::new(503).text("unwell")).map(Some),
                None => return conn.wait_closed().map(|()| Some(Outcome::Close)),
            }
            let control = if request.path() == "/good" { "max-age=0, stale-if-error=60" } else { "max-age=0" };
            conn.send(&Response::new(200).header("Cache-Control", control).header("ETag", "\"a\"").text("stored"))
                .map(Some)
        })
        .start();
    let host = remembering();
    let [good, bad] = ["/good", "/bad"].map(|path| Req::get(server.url(path)));
    assert_eq!((answer(&host, &good), answer(&host, &bad)), (told("stored", 0), told("stored", 0)));
    *answering.lock().unwrap() = Some(false);
    let download = good.clone().progress(SORTIE_PROGRESS_DOWNLOAD);
    assert_eq!((answer(&host, &good), answer(&host, &download)), (told("stored", HIT), told("stored", HIT)));
    assert_eq!(host.fetch(&bad).ok(503).flags, 0);
    // It takes the request and says nothing.
    *answering.lock().unwrap() = None;
    assert_eq!(answer(&host, &good.clone().timeout_ms(50)), told("stored", HIT));
    let attempts = good.clone().attempt_timeout_ms(50).max_attempts(3);
    assert_eq!(host.fetch(&attempts).ok(200).attempts, 1, "it comes before further attempts");
    assert_eq!(answer(&host, &good.clone().stall_timeout_ms(50)), told("stored", HIT));
    host.fetch(&bad.clone().timeout_ms(50)).failed(SORTIE_ERROR_TIMEOUT);
    drop(server);
    assert_eq!(answer(&host, &good), told("stored", HIT));
    host.fetch(&bad).failed_as(&[SORTIE_ERROR_CONNECT, SORTIE_ERROR_RECEIVE]);
}

#[test]
fn compressed_and_encoded_bodies_come_out_as_from_the_network() {
    let host = Setup { max_memory_cache_bytes: 10 << 20, flags: SORTIE_CLIENT_MOCKS_ONLY, ..Setup::default() }.start();
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcbH\xcd\xc9\xc9\x07\0\x86\xa6\x106\x05\0\0\0";
    let cached = |url: &str| Mock::new(url).header("Cache-Control", "max-age=60").times(1);
    host.mock(&cached("*/gzip").header("Content-Encoding", "gzip").header("Content-Type", "text/plain").body(*gzip));
    host.mock(&cached("*/latin").header("Content-Type", "text/plain; charset=iso-8859-1").body(b"gr\xFC\xDFe"));
    host.mock(&cached("*/empty"));
    for (path, text) in [("gzip", "hello"), ("latin", "grüße"), ("empty", "")] {
        for flags in [0, HIT] {
            let ended = host.fetch(&Req::get(format!("http://x/{path}")));
            assert_eq!((std::str::from_utf8(ended.ok(200).bytes()).unwrap(), ended.flags), (text, flags), "{path}");
        }
    }
    host.mock(&cached("*/unwell").status(503).body("later"));
    assert_eq!(host.fetch(&Req::get("http://x/unwell")).ok(503).flags, 0);
    let unwell = host.fetch(&Req::get("http://x/unwell").max_attempts(3));
    assert_eq!((unwell.ok(503).flags, unwell.attempts), (HIT, 1), "what is stored is not asked again");
    host.fetch(&Req::get("http://x/latin").max_body_bytes(4)).failed(SORTIE_ERROR_BODY_TOO_LARGE);
    host.fetch(&Req::get("http://x/gzip").header("Accept-Encoding", "br")).failed(SORTIE_ERROR_CONNECT);
}

#[test]
fn an_answer_that_is_urged_on_comes_once() {
    let host = Setup { max_memory_cache_bytes: 10 << 20, flags: SORTIE_CLIENT_MOCKS_ONLY, ..Setup::default() }.start();
    let mock = Mock::new("*").header("Cache-Control", "no-cache").header("ETag", "\"a\"");
    host.mock(&mock.clone().header("Content-Type", "text/plain").body("stored").times(1));
    let request = Req::get("http://x/");
    assert_eq!(answer(&host, &request), told("stored", 0));
    host.mock(&mock.status(304).delay_ms(10));
    for _ in 0..20 {
        let id = host.submit(&request);
        // Each looks after the answer once more, two at a time in the turn in which it is ready.
        while host.unpause(id) == SORTIE_OK && !host.wait(Duration::ZERO) {}
        let ended = host.ended(id);
        assert_eq!((ended.ok(200).text(), ended.flags), ("stored", FROM_CACHE_REVALIDATED));
    }
}

#[test]
fn broken_responses_are_not_stored() {
    let (server, host) = (Server::start(), remembering());
    let cut = Server::builder()
        .handler(|request, conn| {
            if request.path() == "/slow" {
                return Ok(None);
            }
            let response = Response::new(200).header("Cache-Control", "max-age=60");
            conn.start(&response, Framing::Length(100))?;
            conn.write_body(&[1; 50])?;
            Ok(Some(Outcome::Close))
        })
        .start();
    for _ in 0..2 {
        host.fetch(&Req::get(cut.url("/")).progress(SORTIE_PROGRESS_DOWNLOAD)).failed(SORTIE_ERROR_RECEIVE);
    }
    assert_eq!((cut.request_count(), host.stats().cache_hits), (2, 0));
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn what_is_not_what_it_has_to_be_is_given_up() {
    // Every other answer is damaged on its way.
    let count = Mutex::new(0);
    let server = Server::builder()
        .handler(move |_, conn| {
            let mut count = count.lock().unwrap();
            *count += 1;
            let body = if *count % 2 == 1 { "damaged" } else { "right" };
            conn.send(&Response::new(200).header("Cache-Control", "max-age=60").text(body)).map(Some)
        })
        .start();
    let (host, folder) = (remembering(), Folder::new());
    let right = |path: &str| Req::get(server.url(path)).sha256(&sha256(b"right"));
    let file = Req { response_path: Some(folder.join("file")), ..right("/file") };
    host.fetch(&file).failed(SORTIE_ERROR_INTEGRITY);
    assert_eq!(host.fetch(&file).ok(200).flags, 0, "a file's hash shows when it is whole");
    assert_eq!((host.fetch(&file).ok(200).flags, server.request_count()), (HIT, 2));
    for (path, to_file) in [("/memory", false), ("/other", true)] {
        let request = Req { response_path: to_file.then(|| folder.join("other")), ..right(path) };
        assert_eq!(answer(&host, &Req::get(server.url(path))), told("damaged", 0));
        let only = request.clone().cache_mode(SORTIE_CACHE_ONLY_IF_CACHED);
        assert_eq!(host.fetch(&request).ok(200).flags, 0, "the network is asked for what was stored damaged");
        assert_eq!(host.fetch(&only).ok(200).flags, HIT);
        host.fetch(&only.clone().sha256(&sha256(b"else"))).failed(SORTIE_ERROR_INTEGRITY);
        host.fetch(&only).failed(SORTIE_ERROR_NOT_CACHED);
    }
    folder.holds(&["file", "other"]);
}

#[test]
fn memory_keeps_what_was_used_last() {
    let (server, host) = (Server::start(), Setup { max_memory_cache_bytes: 100_000, ..Setup::default() }.start());
    let request = |number: u32| Req::get(server.url(&format!("/bytes/20000?etag=a&number={number}")));
    let flags = |number| {
        let ended = host.fetch(&request(number));
        assert_eq!(ended.ok(200).bytes(), pattern_vec(20_000));
        ended.flags
    };
    for number in 1..=4 {
        assert_eq!(flags(number), 0);
    }
    assert_eq!((flags(1), flags(5), host.stats().cache_bytes <= 100_000), (FROM_CACHE_REVALIDATED, 0, true));
    assert_eq!((flags(1), flags(2)), (FROM_CACHE_REVALIDATED, 0), "2 was used longest ago");
    let large = Req::get(server.url("/bytes/25001?etag=b"));
    assert_eq!([host.fetch(&large).flags, host.fetch(&large).flags], [0, 0], "more than a quarter is not kept");
}

#[test]
fn a_response_that_is_not_kept_takes_the_place_of_an_older_one() {
    // How the server answers at present.
    let now = Arc::new(Mutex::new((200, "max-age=60", "first".to_owned(), true)));
    let shared = Arc::clone(&now);
    let server = Server::builder()
        .handler(move |_, conn| {
            let (status, control, body, with_length) = shared.lock().unwrap().clone();
            let response = Response::new(status).header("Cache-Control", control).header("Content-Type", "text/plain");
            let framing = if with_length { Framing::Length(body.len() as u64) } else { Framing::Chunked };
            conn.start(&response, framing)?;
            conn.write_body(body.as_bytes())?;
            conn.finish_body(&[])?;
            Ok(Some(Outcome::Done))
        })
        .start();
    let host = Setup { max_memory_cache_bytes: 100_000, ..Setup::default() }.start();
    let request = Req::get(server.url("/"));
    let reload = request.clone().cache_mode(SORTIE_CACHE_RELOAD);
    let only = |request: &Req| host.fetch(&request.clone().cache_mode(SORTIE_CACHE_ONLY_IF_CACHED)).error;
    let large = "x".repeat(30_000);
    for (status, control, body, with_length, kept) in [
        (200, "no-store", "second", true, false),
        (200, "max-age=60", &*large, true, false),
        (200, "max-age=60", &*large, false, false),
        (404, "no-store", "gone", true, false),
        (503, "no-store", "unwell", true, true),
        (403, "no-store", "not you", true, true),
    ] {
        *now.lock().unwrap() = (200, "max-age=60", "first".to_owned(), true);
        assert_eq!(answer(&host, &reload), told("first", 0));
        *now.lock().unwrap() = (status, control, body.to_owned(), with_length);
        assert_eq!(host.fetch(&reload).ok(status.into()).text(), body);
        assert_eq!(only(&request) == SORTIE_ERROR_NONE, kept, "{status} {control} {with_length}");
    }
}

#[test]
fn the_folder_outlives_the_client() {
    let (server, folder) = (server(), Folder::new());
    let fresh = Req::get(server.url("/c?cc=max-age=600"));
    let stale = Req::get(server.url("/c?cc=max-age=0&ETag=%22a%22"));
    let host = keeping(&folder).start();
    assert_eq!((answer(&host, &fresh), answer(&host, &stale)), (told("1", 0), told("2", 0)));
    assert_eq!((answer(&host, &fresh), answer(&host, &stale)), (told("1", HIT), told("2", FROM_CACHE_REVALIDATED)));
    await_entries(&folder, 2);
    let refused = keeping(&folder).try_create().unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_PATH);
    assert!(refused.message.contains("used by another client"), "{}", refused.message);
    drop(host);
    let host = Setup { max_memory_cache_bytes: 1 << 20, ..keeping(&folder) }.start();
    let bytes = host.stats().cache_bytes;
    assert_eq!((answer(&host, &fresh), answer(&host, &stale)), (told("1", HIT), told("2", FROM_CACHE_REVALIDATED)));
    assert_eq!(answer(&host, &fresh), told("1", HIT), "now from memory");
    assert!(host.stats().cache_bytes > bytes);
    assert_eq!(host.clear_cache(), SORTIE_OK);
    drop(host);
    await_entries(&folder, 0);
    let host = keeping(&folder).start();
    host.fetch(&fresh.cache_mode(SORTIE_CACHE_ONLY_IF_CACHED)).failed(SORTIE_ERROR_NOT_CACHED);
}

#[test]
fn the_folder_keeps_to_its_limit_and_to_what_was_used_last() {
    let (server, folder) = (Server::start(), Folder::new());
    let setup = || Setup { max_cache_bytes: 100_000, ..keeping(&folder) };
    let request = |number: u32| Req::get(server.url(&format!("/bytes/20000?etag=a&number={number}")));
    let host = setup().start();
    for number in 1..=4 {
        host.fetch(&request(number)).ok(200);
    }
    await_entries(&folder, 4);
    drop(host);
    // Their times of use, as if longer ago.
    let files: Vec<_> = fs::read_dir(folder.join("cache")).unwrap().map(|file| file.unwrap().path()).collect();
    for path in files {
        let body = fs::read(&path).unwrap();
        let Some(at) = body.windows(7).position(|part| part == b"number=") else { continue };
        let age = Duration::from_secs(1000 - u64::from(body[at + 7]));
        fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
    let host = setup().start();
    assert_eq!(host.fetch(&request(1)).flags, FROM_CACHE_REVALIDATED);
    host.fetch(&request(5)).ok(200);
    let only = |number| host.fetch(&request(number).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED)).error;
    assert_eq!([1, 2, 3, 4, 5].map(only), [0, SORTIE_ERROR_NOT_CACHED, 0, 0, 0]);
    assert!(host.stats().cache_bytes <= 100_000);
    await_entries(&folder, 4);
    drop(host);
    let host = Setup { max_cache_bytes: 50_000, ..keeping(&folder) }.start();
    assert!(host.stats().cache_bytes <= 50_000);
    await_entries(&folder, 2);
}

#[test]
fn a_small_file_counts_with_the_block_that_it_takes_up() {
    let (server, folder) = (server(), Folder::new());
    let host = Setup { max_cache_bytes: 40_960, ..keeping(&folder) }.start();
    for number in 0..20 {
        host.fetch(&Req::get(server.url(&format!("/c{number}?cc=max-age=600")))).ok(200);
    }
    await_entries(&folder, 10);
    assert_eq!(host.stats().cache_bytes, 40_960);
}

#[test]
fn damaged_and_foreign_files_are_passed_over() {
    let (server, folder) = (server(), Folder::new());
    let request = |number: u32| Req::get(server.url(&format!("/c{number}?cc=max-age=600")));
    let host = keeping(&folder).start();
    (0..4).for_each(|number| drop(host.fetch(&request(number))));
    await_entries(&folder, 4);
    drop(host);
    let entries: Vec<_> =
        folder.names().into_iter().filter(|name| name.contains('/') && !name.contains("lock")).collect();
    let change = |name: &str, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(folder.join(name)).unwrap();
        change(&mut bytes);
        fs::write(folder.join(name), bytes).unwrap();
    };
    change(&entries[0], |bytes| bytes.truncate(bytes.len() - 1));
    change(&entries[1], |bytes| *bytes.last_mut().unwrap() ^= 1);
    change(&entries[2], |bytes| bytes.clear());
    fs::remove_file(folder.join(&entries[3])).unwrap();
    let foreign = ["cache/notes.txt", "cache/0123456789abcdef.sortie-cache", "cache/x.sortie-part"];
    foreign.iter().for_each(|name| drop(folder.file(name, b"not ours")));
    let host = keeping(&folder).start();
    for number in 0..4 {
        assert_eq!(answer(&host, &request(number)).1, 0, "{number}");
    }
    fs::remove_file(folder.join("cache/lock.sortie-cache")).unwrap();
    assert_eq!(host.clear_cache(), SORTIE_OK);
    drop(host);
    for name in foreign {
        assert_eq!(fs::read(folder.join(name)).unwrap(), b"not ours");
    }
    // A folder that cannot be one.
    let file = folder.file("file", b"x");
    let refused = Setup { cache_directory: Some(file), ..Setup::default() }.try_create().unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_PATH);
    let refused = Setup { cache_directory: Some("".into()), ..Setup::default() }.try_create().unwrap_err();
    assert_eq!((refused.result, refused.message.as_str()), (SORTIE_RESULT_PATH, "cache_directory is empty"));
    let refused = Setup { max_cache_bytes: 1, ..Setup::default() }.try_create().unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
}

/// The checksum of a file in the cache's folder, put right.
fn sign(bytes: &mut [u8]) {
    let sum = bytes[12..].iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    });
    bytes[8..12].copy_from_slice(&(!sum).to_le_bytes());
}

#[test]
fn a_file_that_somebody_has_made_up_is_not_believed() {
    let (server, folder) = (server(), Folder::new());
    let request = Req::get(server.url("/c?cc=max-age=600&X-Padding=pppp"));
    let host = keeping(&folder).start();
    assert_eq!(answer(&host, &request), told("1", 0));
    await_entries(&folder, 1);
    drop(host);
    let is_entry = |name: &String| name.starts_with("cache/") && !name.contains("lock");
    let file = folder.join(&folder.names().into_iter().find(is_entry).unwrap());
    let good = fs::read(&file).unwrap();
    let replaced = |from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let at = good.windows(from.len()).position(|part| part == from).unwrap();
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        sign(&mut bytes);
        bytes
    };
    let long_head = {
        let mut bytes = good.clone();
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        sign(&mut bytes);
        bytes
    };
    fs::write(&file, replaced(b"pppp", b"qqqq")).unwrap();
    let host = keeping(&folder).start();
    assert_eq!(host.fetch(&request).flags, 0, "the first such letters are in the URL, so it is another's");
    drop(host);
    let bad = [
        replaced(b"X-Padding:pppp", b"X-Padding:p\rpp"),
        replaced(b"X-Padding:pppp", b"X-Padding:p\0pp"),
        replaced(b"X-Padding:pppp", b"X-Padding:p\x1bpp"),
        replaced(b"X-Padding:pppp", b"X Padding:pppp"),
        replaced(b"X-Padding:pppp", b"X-Paddingppppp"),
        replaced(b"HTTP/1.1 200", b"HTTP/1.1 404"),
        replaced(b"HTTP/1.1 200", b"HTTP/7.1 200"),
        replaced(b"max-age=600\n", b"no-store   \n"),
        long_head,
    ];
    for (index, bytes) in bad.into_iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        let host = keeping(&folder).start();
        assert_eq!(answer(&host, &request).1, 0, "{index}");
        drop(host);
    }
    // The right one is taken.
    fs::write(&file, replaced(b"X-Padding:pppp", b"X-Padding:qqqq")).unwrap();
    let host = keeping(&folder).start();
    let taken = host.fetch(&request);
    assert_eq!((taken.flags, taken.header("X-Padding")), (HIT, Some("qqqq")));
    drop(host);
    #[cfg(unix)]
    {
        // A link is not followed, and a pipe is not waited for.
        let elsewhere = folder.file("elsewhere", &good);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        let host = keeping(&folder).start();
        assert_eq!(answer(&host, &request).1, 0);
        drop(host);
        assert_eq!(fs::read(&elsewhere).unwrap(), good);
        fs::remove_file(&file).unwrap();
        let name = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
        // SAFETY: a string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let host = keeping(&folder).start();
        assert_eq!(answer(&host, &request).1, 0);
    }
}

/// What the model keeps of a response.
struct Kept {
    body: String,
    etag: String,
    fresh: bool,
    language: Option<u64>,
    private: bool,
}

/// The rules once more, plainly: random requests for random responses, whose times are far from their limits, against them.
#[test]
fn random_requests_are_answered_by_the_rules() {
    let (host, mut random) = (
        Setup { max_memory_cache_bytes: 50 << 20, flags: SORTIE_CLIENT_MOCKS_ONLY, ..Setup::default() }.start(),
        Random::new(seed()),
    );
    let mut model: HashMap<u64, Vec<Kept>> = HashMap::new();
    for step in 0..1_500 {
        let page = random.below(6);
        let url = format!("http://x/{page}");
        let language = random.below(2);
        let mode = [0, 0, 0, 0, 1, 2, 3, 4, 5][random.below(9) as usize];
        let (authorized, unsafe_method) = (random.below(6) == 0, random.below(8) == 0);
        // What the server would say: with a body, or that nothing has changed.
        let control =
            ["max-age=9999", "max-age=0", "no-cache", "no-store", "max-age=9999, public"][random.below(5) as usize];
        let (vary, unchanged) = (random.below(3) == 0, random.below(2) == 0);
        let (body, etag) = (step.to_string(), format!("\"{step}\""));

        let mut request = Req::get(&url).header("Accept-Language", &language.to_string()).cache_mode(mode);
        if authorized {
            request = request.bearer("token");
        }
        if unsafe_method {
            request = Req::new("PUT", &url).body("x").cache_mode(if mode == 4 { 0 } else { mode });
        }
        let plain = !unsafe_method && mode != SORTIE_CACHE_NO_STORE;
        // Of several that fit, the newest, which stands last.
        let usable = model.get(&page).into_iter().flatten().rfind(|kept| {
            let same = kept.language.is_none_or(|kept| kept == language);
            plain && mode != SORTIE_CACHE_RELOAD && same && !(authorized && kept.private)
        });
        let served = usable.is_some_and(|kept| match mode {
            SORTIE_CACHE_DEFAULT => kept.fresh,
            SORTIE_CACHE_REVALIDATE => false,
            _ => true,
        });
        let only = mode == SORTIE_CACHE_ONLY_IF_CACHED && !unsafe_method;
        let holds = !served && !only && unchanged && usable.is_some();
        let mut mock = Mock::new("*").header("Cache-Control", control);
        mock = match usable.filter(|_| holds) {
            Some(kept) => mock.status(304).header("ETag", &kept.etag),
            None => mock.header("ETag", &etag).header("Content-Type", "text/plain").body(body.clone()),
        };
        // A 304 keeps to what the first response said of Vary.
        let varies = if holds { usable.is_some_and(|kept| kept.language.is_some()) } else { vary };
        if vary && !holds {
            mock = mock.header("Vary", "Accept-Language");
        }
        let expected = match usable {
            Some(kept) if served => (0, kept.body.clone(), HIT),
            Some(kept) if holds => (0, kept.body.clone(), FROM_CACHE_REVALIDATED),
            _ if only => (SORTIE_ERROR_NOT_CACHED, String::new(), 0),
            _ => (0, body.clone(), 0),
        };
        let mock = host.mock(&mock);
        let ended = host.fetch(&request);
        host.unmock(mock);
        let got = (ended.error, ended.text().to_owned(), ended.flags);
        assert_eq!(got, expected, "step {step}: {page} mode {mode} {control} authorized {authorized} {unsafe_method}");

        let private = control == "max-age=9999" || control == "max-age=0" || control == "no-cache";
        let storable = control != "no-store" && !(authorized && private);
        if unsafe_method {
            model.remove(&page);
        } else if plain && !served && !only {
            let (old_body, old_etag) = usable.map(|kept| (kept.body.clone(), kept.etag.clone())).unwrap_or_default();
            let variants = model.entry(page).or_default();
            if storable {
                let (body, etag) = if holds { (old_body, old_etag) } else { (body, etag) };
                let fresh = control.starts_with("max-age=9999");
                let language = varies.then_some(language);
                variants.retain(|kept| kept.language != language);
                variants.push(Kept { body, etag, fresh, language, private });
            } else {
                variants.clear();
            }
        }
    }
    let stats = host.stats();
    assert!(stats.cache_hits > 100 && stats.cache_revalidated > 30, "{stats:?}");
}

/// Files of several MB, which together are far more than is ever held: they are there afterwards, all but those for which the
/// disk was too slow.
#[test]
fn large_bodies_are_written_to_the_folder_while_they_come() {
    const FILES: usize = 40;
    const SIZE: usize = 6 << 20;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::builder()
        .handler(move |_, conn| {
            count.fetch_add(1, Ordering::Relaxed);
            let response = Response::new(200).header("Cache-Control", "max-age=9999");
            conn.start(&response, Framing::Length(SIZE as u64))?;
            conn.write_pattern(0, SIZE as u64)?;
            Ok(Some(Outcome::Done))
        })
        .start();
    let (folder, files) = (Folder::new(), Folder::new());
    let setup = || Setup { max_cache_bytes: 1 << 30, ..keeping(&folder) };
    let host = setup().start();
    let path = |number: usize| files.join(&format!("file{number}"));
    let request = |number: usize| Req::download(server.url(&format!("/{number}")), path(number));
    let before = resident_bytes();
    let ids: Vec<u64> = (0..FILES).map(|number| host.submit(&request(number))).collect();
    for id in ids {
        host.ended(id).ok(200);
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 120 << 20, "{grown} bytes more for {} in all", FILES * SIZE);
    }
    assert_eq!(asked.load(Ordering::Relaxed), FILES);
    let pattern = pattern_vec(SIZE);
    let mut hit = Vec::new();
    for number in 0..FILES {
        fs::remove_file(path(number)).unwrap();
        if host.fetch(&request(number)).ok(200).flags & HIT != 0 {
            hit.push(number);
        }
        assert!(fs::read(path(number)).unwrap() == pattern, "{number}");
    }
    // What is held at a time would be five of them.
    assert!(hit.len() > 10, "{hit:?}");
    let requests = asked.load(Ordering::Relaxed);
    assert_eq!(requests, 2 * FILES - hit.len());
    drop(host);
    let host = setup().start();
    let again = host.fetch(&Req::get(server.url(&format!("/{}", hit[0]))));
    assert!(again.ok(200).bytes() == &pattern[..] && again.flags == HIT);
    assert_eq!(asked.load(Ordering::Relaxed), requests);
}

#[test]
fn a_large_body_that_the_folder_does_not_take_still_comes() {
    let gate = Gate::new();
    gate.open();
    let (server, folder) = (halfway(&gate), Folder::new());
    // Where the first of a client's large bodies would lie.
    fs::create_dir_all(folder.join("cache/0000000000000001.sortie-staged")).unwrap();
    let host = keeping(&folder).start();
    let request = Req::get(server.url("/x"));
    for flags in [0, 0, HIT] {
        let event = host.fetch(&request);
        assert_eq!((event.ok(200).bytes().len(), event.flags), (8 << 20, flags));
        let stored = || host.fetch(&Req::get(server.url("/x")).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED)).error == 0;
        if flags == 0 && server.request_count() == 2 {
            until("the second to be stored", stored);
        }
    }
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_large_body_that_ends_halfway_leaves_nothing_in_the_folder() {
    let gate = Gate::new();
    let (server, folder) = (halfway(&gate), Folder::new());
    let host = keeping(&folder).start();
    let staged = || folder.names().iter().any(|name| name.ends_with(".sortie-staged"));
    let request = Req::get(server.url("/x"));
    let id = host.submit(&request);
    until("the first half", staged);
    host.cancel(id);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    until("that it is removed", || !staged());
    // Nor does a client that is destroyed leave any.
    host.submit(&request);
    until("the first half", staged);
    drop(host);
    assert!(!staged());
    let host = keeping(&folder).start();
    host.fetch(&Req::get(server.url("/x")).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED)).failed(SORTIE_ERROR_NOT_CACHED);
    gate.open();
}

/// Sends half of a large body, and the rest once the gate is open.
fn halfway(gate: &Gate) -> Server {
    let gate = gate.clone();
    Server::builder()
        .handler(move |_, conn| {
            conn.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=9999\r\nContent-Length: 8388608\r\n\r\n")?;
            conn.write(&vec![b'x'; 4 << 20])?;
            conn.wait_at(&gate)?;
            conn.write(&vec![b'x'; 4 << 20])?;
            Ok(Some(Outcome::Close))
        })
        .start()
}

/// Fills a cache until it is killed, when started by the test below.
#[test]
fn fills_a_cache_until_killed() {
    let (Ok(folder), Ok(url)) = (std::env::var("SORTIE_TEST_CACHE"), std::env::var("SORTIE_TEST_URL")) else { return };
    let host = Setup { cache_directory: Some(folder.into()), max_cache_bytes: 20_000_000, ..Setup::default() }.start();
    let mut random = Random::new(seed());
    loop {
        let ids: Vec<u64> = (0..8)
            .map(|_| host.submit(&Req::get(format!("{url}{}", random.below(40))).cache_mode(SORTIE_CACHE_RELOAD)))
            .collect();
        ids.iter().for_each(|id| drop(host.ended(*id)));
        println!("filled");
    }
}

#[test]
fn a_killed_process_leaves_whole_entries_or_none() {
    use std::io::{BufRead, BufReader};
    // Each body is one letter, as long as its page says, and another letter each time.
    let letter = Mutex::new(b'a');
    let server = Server::builder()
        .handler(move |request, conn| {
            let page: usize = request.path()[1..].parse().unwrap_or(0);
            let mut letter = letter.lock().unwrap();
            *letter = if *letter == b'z' { b'a' } else { *letter + 1 };
            let body = vec![*letter; page * 50_000 + 1];
            drop(letter);
            let response =
                Response::new(200).header("Cache-Control", "max-age=9999").header("Content-Type", "text/plain");
            conn.send(&response.body(body)).map(Some)
        })
        .start();
    let folder = Folder::new();
    let (directory, url) = (folder.join("cache"), server.url("/"));
    let mut random = Random::new(seed());
    let (mut found, rounds) = (0, 50);
    for _ in 0..rounds {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["fills_a_cache_until_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env("SORTIE_TEST_CACHE", &directory)
            .env("SORTIE_TEST_URL", &url)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let filled = lines.map_while(Result::ok).filter(|line| line.contains("filled"));
        assert!(filled.take(1 + random.below(4) as usize).count() > 0);
        // Somewhere in the middle of what it is doing now.
        let pause = std::time::Instant::now() + Duration::from_micros(random.below(5_000));
        while std::time::Instant::now() < pause {}
        child.kill().unwrap();
        child.wait().unwrap();
        let host =
            Setup { cache_directory: Some(directory.clone()), max_cache_bytes: 20_000_000, ..Setup::default() }.start();
        for page in 0..40_usize {
            let ended = host.fetch(&Req::get(format!("{url}{page}")).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED));
            if ended.error == SORTIE_ERROR_NOT_CACHED {
                continue;
            }
            found += 1;
            let bytes = ended.ok(200).bytes();
            assert_eq!(bytes.len(), page * 50_000 + 1);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "page {page} is of one piece");
        }
        assert!(host.stats().cache_bytes <= 20_000_000);
        let half_written = |name: &String| name.ends_with(".sortie-part") || name.ends_with(".sortie-staged");
        assert!(!folder.names().iter().any(half_written), "what was half written is gone");
    }
    assert!(found > rounds, "{found} entries");
    println!("{found} whole entries in {rounds} rounds");
}

#[test]
fn what_could_not_be_written_is_not_counted_as_stored() {
    let (server, folder) = (Server::start(), Folder::new());
    let (there, gone) = (folder.join("there"), folder.join("gone"));
    let host = Setup { cache_directory: Some(there.clone()), ..Setup::default() }.start();
    let stored = Mock::new("http://mocked/*").header("Cache-Control", "max-age=600").body(vec![b'x'; 50_000]);
    host.mock(&stored);
    host.fetch(&Req::get("http://mocked/1")).ok(200);
    until("the first entry", || fs::read_dir(&there).unwrap().count() == 2);
    let one = host.stats().cache_bytes;
    assert!(one >= 50_000);
    fs::rename(&there, &gone).unwrap();
    for i in 2..10 {
        host.fetch(&Req::get(format!("http://mocked/{i}"))).ok(200);
    }
    until("that it is given up", || {
        // Counts are told once a turn.
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        host.stats().cache_bytes == one
    });
    fs::rename(&gone, &there).unwrap();
    let hits = host.stats().cache_hits;
    for i in 1..10 {
        host.fetch(&Req::get(format!("http://mocked/{i}"))).ok(200);
    }
    assert_eq!(host.stats().cache_hits, hits + 1, "only the first is there");
    until("the others", || fs::read_dir(&there).unwrap().count() == 10);
    assert_eq!(host.stats().cache_bytes, 9 * one);
}

#[test]
fn a_redirect_over_a_connection_that_closes_is_kept_too() {
    let server = Server::builder()
        .handler(|request, conn| {
            if request.path() != "/moved" {
                return Ok(None);
            }
            let head = "HTTP/1.1 301 Moved\r\nLocation: /bytes/3\r\nCache-Control: max-age=1000\r\n";
            conn.write(format!("{head}Connection: close\r\nContent-Length: 5\r\n\r\nmoved").as_bytes())?;
            Ok(Some(sortie_test_server::Outcome::Close))
        })
        .start();
    let host = Setup { max_memory_cache_bytes: 1 << 20, ..Setup::default() }.start();
    for _ in 0..3 {
        host.fetch(&Req::get(server.url("/moved"))).ok(200);
    }
    assert_eq!(server.requests().iter().filter(|request| request.target == "/moved").count(), 1);
}
