//! A download that breaks off goes on where it stopped, and its file is whole or absent all the while.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sortie_test_server::{Conn, Gate, Outcome, Request, Response, Server, pattern_vec};
use support::*;

const SIZE: u64 = 1_000_000;
const TAG: &str = "\"version-1\"";

/// How a server answers, to be changed while it runs.
#[derive(Clone)]
struct Behaviour {
    tag: Option<&'static str>,
    size: u64,
    /// Breaks off after this many bytes of a body.
    cut: Option<u64>,
    /// What to do in place of a 206.
    instead: Instead,
}

#[derive(Clone, Copy, PartialEq)]
enum Instead {
    Nothing,
    Whole,
    Unsatisfiable,
    OtherStart,
    OtherTotal,
    NoRange,
    Encoded,
    /// The rest without its length, and not all of it.
    Short,
    /// The rest, and more.
    Long,
    /// Half of the rest in chunks, as if that were all.
    ShortChunks,
    /// Nothing of the rest.
    Empty,
    Gone,
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour { tag: Some(TAG), size: SIZE, cut: None, instead: Instead::Nothing }
    }
}

struct Origin {
    server: Server,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Origin {
    fn start() -> Origin {
        let behaviour = Arc::new(Mutex::new(Behaviour::default()));
        let shared = Arc::clone(&behaviour);
        let server = Server::builder()
            .handler(move |request, conn| {
                let behaviour = shared.lock().unwrap().clone();
                answer(&behaviour, request, conn).map(Some)
            })
            .start();
        Origin { server, behaviour }
    }

    fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        let mut behaviour = Behaviour::default();
        change(&mut behaviour);
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn url(&self) -> String {
        self.server.url("/file")
    }

    /// The Range headers of the requests since the last look.
    fn ranges(&self) -> Vec<Option<String>> {
        let ranges = self.server.requests().iter().map(|seen| seen.header("Range").map(str::to_owned)).collect();
        self.server.clear_requests();
        ranges
    }
}

fn answer(behaviour: &Behaviour, request: &Request, conn: &mut Conn) -> std::io::Result<Outcome> {
    let Behaviour { tag, size, cut, instead } = *behaviour;
    if instead == Instead::Gone {
        return conn.send(&Response::new(404));
    }
    let asked = request.header("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let same = request.header("If-Range").is_none_or(|tag| Some(tag) == behaviour.tag);
    let from: u64 = asked.filter(|_| same && instead != Instead::Whole).unwrap_or(0);
    if from > 0 && instead == Instead::Unsatisfiable {
        return conn.send(&Response::new(416).header("Content-Range", format!("bytes */{size}")));
    }
    let (start, total) = match instead {
        Instead::OtherStart => (from - from.min(1), size),
        Instead::OtherTotal if from > 0 => (from, size + 1),
        _ => (from, size),
    };
    let mut head = if from > 0 {
        let range = match instead {
            Instead::NoRange => String::new(),
            _ => format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1),
        };
        format!("HTTP/1.1 206 Partial Content\r\n{range}")
    } else {
        "HTTP/1.1 200 OK\r\n".to_owned()
    };
    if let Some(tag) = tag {
        head += &format!("ETag: {tag}\r\n");
    }
    if from > 0 && instead == Instead::Encoded {
        head += "Content-Encoding: gzip\r\n";
    }
    if from > 0 && instead == Instead::ShortChunks {
        let length = (size - from) / 2;
        conn.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n").as_bytes())?;
        conn.write_pattern(from, length)?;
        conn.write(b"\r\n0\r\n\r\n")?;
        return Ok(Outcome::Close);
    }
    if from > 0 && instead == Instead::Empty {
        conn.write(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        return conn.close_lingering();
    }
    if from > 0 && matches!(instead, Instead::Short | Instead::Long) {
        conn.write(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        let length = size - from;
        conn.write_pattern(from, if instead == Instead::Short { length / 2 } else { length + 1 })?;
        return conn.close_lingering();
    }
    head += &format!("Content-Length: {}\r\n\r\n", total - start);
    conn.write(head.as_bytes())?;
    let length = cut.map_or(size - from, |cut| cut.min(size - from));
    conn.write_pattern(from, length)?;
    if length < size - from { conn.close_lingering() } else { Ok(Outcome::Close) }
}

fn resuming(url: String, target: &Path) -> Req {
    Req::download(url, target).flags(SORTIE_REQUEST_RESUME)
}

/// Breaks a download off, and gives how many bytes it has left.
#[track_caller]
fn broken(origin: &Origin, host: &Host, target: &Path) -> u64 {
    origin.set(|behaviour| behaviour.cut = Some(400_000));
    host.fetch(&resuming(origin.url(), target)).failed(SORTIE_ERROR_RECEIVE);
    assert!(!target.exists());
    origin.set(|_| ());
    origin.ranges();
    let part = format!("{}.sortie-part", path_text(target));
    fs::metadata(part).unwrap().len()
}

#[track_caller]
fn whole(target: &Path) {
    assert!(fs::read(target).unwrap() == pattern_vec(SIZE as usize), "the file is not what it has to be");
}

#[test]
fn the_rest_is_asked_for_and_the_file_is_whole() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let left = broken(&origin, &host, &target);
    assert!(left > 0 && left <= 400_000, "{left}");
    folder.holds(&["file.sortie-part", "file.sortie-resume"]);
    #[cfg(unix)]
    {
        let mode = fs::metadata(folder.join("file.sortie-resume")).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600, "its URL may be signed");
    }
    let id = host.submit(&resuming(origin.url(), &target).progress(SORTIE_PROGRESS_DOWNLOAD));
    let events = host.events(id);
    let (began, ended) = (&events[0], events.last().unwrap());
    assert_eq!((began.kind, began.status, began.estimated), (SORTIE_EVENT_BEGAN, 206, SIZE as i64));
    assert_eq!(began.transferred, left, "what was there counts");
    assert_eq!((ended.ok(206).transferred, ended.estimated), (SIZE, SIZE as i64));
    assert_eq!(origin.ranges(), [Some(format!("bytes={left}-"))]);
    whole(&target);
    folder.holds(&["file"]);
    assert!(host.stats().bytes_received < 2 * SIZE - left, "only the rest came");
}

#[test]
fn a_client_of_another_day_goes_on() {
    let (origin, folder) = (Origin::start(), Folder::new());
    let target = folder.join("file");
    broken(&origin, &Host::new(), &target);
    Host::new().fetch(&resuming(origin.url(), &target).sha256(&sha256(&pattern_vec(SIZE as usize)))).ok(206);
    whole(&target);
    folder.holds(&["file"]);
}

#[test]
fn a_cancelled_and_a_destroyed_download_go_on() {
    let folder = Folder::new();
    let target = folder.join("file");
    let stalling = Server::builder()
        .handler(|_, conn| {
            conn.write(format!("HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
            conn.write_pattern(0, 600_000)?;
            conn.wait_closed()?;
            Ok(Some(Outcome::Close))
        })
        .start();
    let host = Host::new();
    let request = resuming(stalling.url("/file"), &target).progress(SORTIE_PROGRESS_DOWNLOAD);
    let id = host.submit(&request);
    host.await_event(id, |event| event.transferred >= 600_000);
    host.cancel(id);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    folder.holds(&["file.sortie-part", "file.sortie-resume"]);
    let id = host.submit(&request);
    host.await_event(id, |event| event.kind == SORTIE_EVENT_BEGAN);
    host.destroy();
    folder.holds(&["file.sortie-part", "file.sortie-resume"]);
    assert!(fs::metadata(folder.join("file.sortie-part")).unwrap().len() <= 600_000);
}

#[test]
fn whatever_does_not_fit_is_fetched_anew() {
    for instead in [
        Instead::Whole,
        Instead::Unsatisfiable,
        Instead::OtherStart,
        Instead::OtherTotal,
        Instead::NoRange,
        Instead::Encoded,
    ] {
        let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
        let target = folder.join("file");
        broken(&origin, &host, &target);
        origin.set(|behaviour| behaviour.instead = instead);
        host.fetch(&resuming(origin.url(), &target)).ok(200);
        whole(&target);
        folder.holds(&["file"]);
        let ranges = origin.ranges();
        assert!(ranges[0].is_some() && ranges.len() <= 2, "{ranges:?}");
        assert!(ranges.len() == 1 || ranges[1].is_none(), "{ranges:?}");
    }
}

#[test]
fn a_rest_that_ends_early_is_no_whole() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let left = broken(&origin, &host, &target);
    origin.set(|behaviour| behaviour.instead = Instead::Short);
    let message = host.fetch(&resuming(origin.url(), &target)).failed(SORTIE_ERROR_RECEIVE).to_owned();
    assert!(message.contains("the server said that it has 1000000"), "{message}");
    folder.holds(&["file.sortie-part", "file.sortie-resume"]);
    origin.set(|_| ());
    origin.ranges();
    host.fetch(&resuming(origin.url(), &target)).ok(206);
    assert_eq!(origin.ranges(), [Some(format!("bytes={}-", left + (SIZE - left) / 2))], "what came of it counts");
    whole(&target);
    fs::remove_file(&target).unwrap();
    broken(&origin, &host, &target);
    origin.set(|behaviour| behaviour.instead = Instead::Long);
    let message = host.fetch(&resuming(origin.url(), &target)).failed(SORTIE_ERROR_RECEIVE).to_owned();
    assert!(message.contains("more of the file"), "{message}");
    origin.set(|_| ());
    host.fetch(&resuming(origin.url(), &target)).ok(206);
    whole(&target);
}

#[test]
fn a_retry_after_a_206_that_lied_starts_afresh() {
    for instead in [Instead::Long, Instead::ShortChunks, Instead::Empty] {
        let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
        let target = folder.join("file");
        let left = broken(&origin, &host, &target);
        origin.set(|behaviour| behaviour.instead = instead);
        let request = resuming(origin.url(), &target).retry_delay_ms(1);
        assert_eq!(host.fetch(&request.clone().max_attempts(3)).ok(200).attempts, 2);
        assert_eq!(origin.ranges(), [Some(format!("bytes={left}-")), None]);
        whole(&target);
        folder.holds(&["file"]);
        // Without another attempt, it is an error.
        fs::remove_file(&target).unwrap();
        broken(&origin, &host, &target);
        origin.set(|behaviour| behaviour.instead = instead);
        host.fetch(&request).failed(SORTIE_ERROR_RECEIVE);
    }
    // A connection that breaks off has not lied, even if it brought nothing: what is there is not thrown away.
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let left = broken(&origin, &host, &target);
    origin.set(|behaviour| behaviour.cut = Some(0));
    host.fetch(&resuming(origin.url(), &target).retry_delay_ms(1).max_attempts(3)).failed(SORTIE_ERROR_RECEIVE);
    assert_eq!(origin.ranges(), vec![Some(format!("bytes={left}-")); 3]);
}

#[test]
fn a_rest_that_is_not_as_long_as_expected_starts_afresh() {
    // The part is of another file, which its mark does not tell: the server has the expected one whole.
    for instead in [Instead::OtherTotal, Instead::Long, Instead::ShortChunks, Instead::Nothing] {
        let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
        let target = folder.join("file");
        broken(&origin, &host, &target);
        let mark = folder.join("file.sortie-resume");
        let text = fs::read_to_string(&mark).unwrap();
        fs::write(&mark, text.replace(&format!("length {SIZE}\n"), "")).unwrap();
        // The rest as it comes says that there are more, or fewer, than there are of the whole.
        origin.set(|behaviour| behaviour.instead = instead);
        let mut request = resuming(origin.url(), &target).retry_delay_ms(1).max_attempts(2);
        request.expected_length = SIZE;
        let ended = host.fetch(&request);
        ended.ok(if instead == Instead::Nothing { 206 } else { 200 });
        whole(&target);
        // A whole that is not as long either ends the request.
        broken(&origin, &host, &folder.join("other"));
        request.response_path = Some(folder.join("other"));
        request.expected_length = SIZE + 5;
        host.fetch(&request).failed(SORTIE_ERROR_INTEGRITY);
        assert_eq!(origin.ranges().last(), Some(&None), "it was asked for whole");
    }
}

#[test]
fn a_changed_file_is_fetched_anew() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    broken(&origin, &host, &target);
    origin.set(|behaviour| (behaviour.tag, behaviour.size) = (Some("\"version-2\""), 500_000));
    host.fetch(&resuming(origin.url(), &target)).ok(200);
    assert_eq!(fs::read(&target).unwrap(), pattern_vec(500_000));
    folder.holds(&["file"]);
}

#[test]
fn a_file_changed_on_a_server_that_does_not_know_if_range_is_fetched_anew() {
    // Which version it has: another date, another content.
    let version = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&version);
    let server = Server::builder()
        .handler(move |request, conn| {
            let version = now.load(Ordering::SeqCst);
            let range = request.header("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
            let from: u64 = range.map_or(0, |from| from.parse().unwrap());
            let status = if range.is_some() {
                format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{SIZE}", SIZE - 1)
            } else {
                "200 OK".to_owned()
            };
            let dates = format!(
                "Date: Fri, 31 Dec 1999 23:59:59 GMT\r\nLast-Modified: Fri, 31 Dec 1999 20:00:0{version} GMT\r\n"
            );
            let length = SIZE - from;
            conn.write(format!("HTTP/1.1 {status}\r\n{dates}Content-Length: {length}\r\n\r\n").as_bytes())?;
            let cut = version == 0 && from == 0;
            conn.write_pattern(version + from, if cut { 400_000 } else { length })?;
            if cut { conn.close_lingering().map(Some) } else { Ok(Some(Outcome::Done)) }
        })
        .start();
    let (host, folder) = (Host::new(), Folder::new());
    let target = folder.join("file");
    let request = resuming(server.url("/file"), &target);
    host.fetch(&request).failed(SORTIE_ERROR_RECEIVE);
    host.fetch(&request).ok(206);
    whole(&target);
    fs::remove_file(&target).unwrap();
    host.fetch(&request).failed(SORTIE_ERROR_RECEIVE);
    version.store(1, Ordering::SeqCst);
    host.fetch(&request).ok(200);
    assert!(fs::read(&target).unwrap() == pattern_of(1, SIZE), "two versions are in one file");
    folder.holds(&["file"]);
}

#[test]
fn a_part_that_was_changed_is_found_out_by_the_hash() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let left = broken(&origin, &host, &target);
    fs::write(folder.join("file.sortie-part"), vec![0; left as usize]).unwrap();
    let hash = sha256(&pattern_vec(SIZE as usize));
    host.fetch(&resuming(origin.url(), &target).sha256(&hash)).ok(200);
    whole(&target);
    assert_eq!(origin.ranges(), [Some(format!("bytes={left}-")), None]);
    // And a wrong hash is one all the same.
    broken(&origin, &host, &folder.join("other"));
    let wrong = resuming(origin.url(), &folder.join("other")).sha256(&"0".repeat(64));
    host.fetch(&wrong).failed(SORTIE_ERROR_INTEGRITY);
    folder.holds(&["file"]);
}

#[test]
fn a_file_without_a_validator_is_not_kept() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    for tag in [None, Some("W/\"weak\"")] {
        origin.set(|behaviour| (behaviour.cut, behaviour.tag) = (Some(400_000), tag));
        host.fetch(&resuming(origin.url(), &folder.join("file"))).failed(SORTIE_ERROR_RECEIVE);
        folder.holds(&[]);
    }
}

#[test]
fn another_url_leaves_what_is_there_until_it_answers() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let left = broken(&origin, &host, &target);
    let nowhere = format!("http://{}/", sortie_test_server::refused_addr());
    host.fetch(&resuming(nowhere, &target)).failed(SORTIE_ERROR_CONNECT);
    folder.holds(&["file.sortie-part", "file.sortie-resume"]);
    host.fetch(&resuming(origin.url(), &target)).ok(206);
    assert_eq!(origin.ranges(), [Some(format!("bytes={left}-"))]);
    broken(&origin, &host, &target.with_file_name("second"));
    host.fetch(&resuming(origin.server.url("/another"), &folder.join("second"))).ok(200);
    assert_eq!(origin.ranges(), [None], "another file is not gone on with");
}

#[test]
fn an_ordinary_download_in_between_is_not_gone_on_with() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    broken(&origin, &host, &target);
    origin.set(|behaviour| behaviour.cut = Some(700_000));
    host.fetch(&Req::download(origin.url(), &target)).failed(SORTIE_ERROR_RECEIVE);
    folder.holds(&[]);
    origin.set(|_| ());
    host.fetch(&resuming(origin.url(), &target)).ok(200);
    whole(&target);
}

#[test]
fn a_file_that_is_gone_leaves_nothing() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    broken(&origin, &host, &target);
    origin.set(|behaviour| behaviour.instead = Instead::Gone);
    host.fetch(&resuming(origin.url(), &target)).ok(404);
    folder.holds(&[]);
}

#[test]
fn two_requests_for_one_file_do_not_mix() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let slow = Server::builder()
        .handler(|_, conn| {
            conn.write(format!("HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
            conn.wait_closed()?;
            Ok(Some(Outcome::Close))
        })
        .start();
    let first = host.submit(&resuming(slow.url("/file"), &target).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(first, |event| event.kind == SORTIE_EVENT_BEGAN);
    let message = host.fetch(&resuming(origin.url(), &target)).failed(SORTIE_ERROR_FILE).to_owned();
    assert!(message.contains("another request is writing to it"), "{message}");
    host.cancel(first);
    host.ended(first).failed(SORTIE_ERROR_CANCELLED);
    host.fetch(&resuming(origin.url(), &target)).ok(200);
    whole(&target);
}

#[test]
fn retries_go_on_where_the_last_attempt_stopped() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    origin.set(|behaviour| behaviour.cut = Some(300_000));
    let request = resuming(origin.url(), &target)
        .max_attempts(20)
        .retry_delay_ms(1)
        .progress(SORTIE_PROGRESS_DOWNLOAD)
        .sha256(&sha256(&pattern_vec(SIZE as usize)));
    let ended = host.fetch(&request);
    assert!(ended.ok(206).attempts >= 4, "{}", ended.attempts);
    whole(&target);
    let ranges = origin.ranges();
    assert!(ranges[0].is_none() && ranges[1..].iter().all(Option::is_some), "{ranges:?}");
    folder.holds(&["file"]);
}

#[test]
fn attempts_after_a_fresh_start_go_on_too() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let (target, behaviour) = (folder.join("file"), Arc::clone(&origin.behaviour));
    let careless = Server::builder()
        .handler(move |request, conn| {
            let behaviour = behaviour.lock().unwrap().clone();
            // It does not know If-Range.
            let headers = request.headers.iter().filter(|(name, _)| name != "If-Range").cloned().collect();
            answer(&behaviour, &Request { headers, ..request.clone() }, conn).map(Some)
        })
        .start();
    let request = resuming(careless.url("/file"), &target);
    origin.set(|behaviour| behaviour.cut = Some(400_000));
    host.fetch(&request).failed(SORTIE_ERROR_RECEIVE);
    careless.clear_requests();
    // What is there is of another version than there is now, and that does not come at once.
    origin.set(|behaviour| (behaviour.tag, behaviour.cut) = (Some("\"version-2\""), Some(300_000)));
    host.fetch(&request.max_attempts(10).retry_delay_ms(1)).ok(206);
    whole(&target);
    let ranges: Vec<_> = careless.requests().iter().map(|seen| seen.header("Range").map(str::to_owned)).collect();
    assert!(ranges[0].is_some() && ranges[1].is_none(), "{ranges:?}");
    assert!(ranges.len() <= 7 && ranges[2..].iter().all(Option::is_some), "{ranges:?}");
}

#[test]
fn what_cannot_take_its_name_can_be_gone_on_with() {
    let (host, folder) = (Host::new(), Folder::new());
    let (target, gate) = (folder.join("file"), Gate::new());
    let shut = gate.clone();
    let slow = Server::builder()
        .handler(move |request, conn| {
            conn.wait_at(&shut)?;
            answer(&Behaviour::default(), request, conn).map(Some)
        })
        .start();
    let request = Req::download(slow.url("/file"), &target).flags(SORTIE_REQUEST_RESUME | SORTIE_REQUEST_NO_SYNC);
    let id = host.submit(&request);
    assert!(gate.wait_for(1, DEADLINE));
    fs::create_dir(&target).unwrap();
    gate.open();
    host.ended(id).failed(SORTIE_ERROR_FILE);
    folder.holds(&["file", "file.sortie-part", "file.sortie-resume"]);
    fs::remove_dir(&target).unwrap();
    host.fetch(&request).ok(206);
    whole(&target);
}

#[test]
fn a_redirect_leads_to_the_rest() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let to = origin.url();
    let gateway = Server::builder()
        .handler(move |_, conn| conn.send(&Response::new(302).header("Location", &to)).map(Some))
        .start();
    let target = folder.join("file");
    origin.set(|behaviour| behaviour.cut = Some(400_000));
    host.fetch(&resuming(gateway.url("/file"), &target)).failed(SORTIE_ERROR_RECEIVE);
    origin.set(|_| ());
    origin.ranges();
    host.fetch(&resuming(gateway.url("/file"), &target)).ok(206);
    assert!(origin.ranges()[0].is_some());
    whole(&target);
    folder.holds(&["file"]);
}

#[test]
fn a_connection_that_died_while_suspended_is_made_up_for() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let target = folder.join("file");
    let first = Arc::new(AtomicU64::new(0));
    let (seen, behaviour) = (Arc::clone(&first), Arc::clone(&origin.behaviour));
    let server = Server::builder()
        .handler(move |request, conn| {
            if seen.fetch_add(1, Ordering::SeqCst) > 0 {
                return answer(&behaviour.lock().unwrap().clone(), request, conn).map(Some);
            }
            conn.write(format!("HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
            conn.write_pattern(0, 500_000)?;
            conn.wait_closed()?;
            Ok(Some(Outcome::Close))
        })
        .start();
    let id = host.submit(&resuming(server.url("/file"), &target).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(id, |event| event.transferred >= 500_000);
    host.suspend();
    server.close_connections();
    host.resume();
    host.ended(id).ok(206);
    whole(&target);
    let range = server.requests()[1].header("Range").map(str::to_owned);
    assert_eq!(range.as_deref(), Some("bytes=500000-"));
}

/// One answer of a server that has several versions of a file and answers as it likes, but for one thing: what it says
/// that it sends is what it sends, or it breaks off.
fn answer_at_random(random: &mut Random, request: &Request, conn: &mut Conn) -> std::io::Result<Outcome> {
    if random.below(8) == 0 {
        return conn.send(&Response::new(503));
    }
    if !request.target.contains("moved") && random.below(4) == 0 {
        return conn.send(&Response::new(307).header("Location", "/moved"));
    }
    // Mostly the same version, so that there is something to go on with.
    let version = if random.below(4) == 0 { random.below(3) } else { 0 };
    let tag = format!("\"version-{version}\"");
    let asked = request.header("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let knows_if_range = random.below(3) > 0;
    let same = !knows_if_range || request.header("If-Range") == Some(&tag);
    let from: u64 = asked.filter(|_| same && random.below(6) > 0).unwrap_or(0);
    let status = match from {
        0 => "200 OK".to_owned(),
        _ => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{SIZE}", SIZE - 1),
    };
    let head = format!("HTTP/1.1 {status}\r\nETag: {tag}\r\n");
    let (left, cut) = (SIZE - from, random.below(3) > 0);
    let length = if cut { random.below(left) } else { left };
    match random.below(3) {
        // Only what has a range tells that it was cut off.
        0 if from > 0 => {
            conn.write(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
            conn.write_pattern(version + from, length)?;
            conn.close_lingering()
        }
        1 => {
            conn.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n").as_bytes())?;
            conn.write_pattern(version + from, length)?;
            // The rest may also end early as if it were whole.
            let ends = !cut || (from > 0 && length > 0);
            conn.write(if ends { b"\r\n0\r\n\r\n" } else { b"\r\n" })?;
            if ends { Ok(Outcome::Done) } else { conn.close_lingering() }
        }
        _ => {
            conn.write(format!("{head}Content-Length: {left}\r\n\r\n").as_bytes())?;
            conn.write_pattern(version + from, length)?;
            if cut { conn.close_lingering() } else { Ok(Outcome::Done) }
        }
    }
}

#[test]
fn whatever_a_server_does_a_file_is_one_version_of_it_and_whole() {
    let seed = seed();
    let shared = Mutex::new(Random::new(seed));
    let server = Server::builder()
        .handler(move |request, conn| {
            let mut random = Random::new(shared.lock().unwrap().next());
            answer_at_random(&mut random, request, conn).map(Some)
        })
        .start();
    let (folder, mut random) = (Folder::new(), Random::new(seed ^ 1));
    let target = folder.join("file");
    let versions: Vec<_> = (0..3).map(|version| pattern_of(version, SIZE)).collect();
    let (mut host, mut whole, mut resumed) = (Host::new(), 0, 0);
    for _ in 0..300 {
        let mut request = resuming(server.url("/file"), &target).progress(SORTIE_PROGRESS_DOWNLOAD);
        request = request.max_attempts(1 + random.below(4) as u32).retry_delay_ms(1);
        let hashed = random.below(4) == 0;
        if hashed {
            request = request.sha256(&sha256(&versions[0]));
        }
        let id = host.submit(&request);
        match random.below(8) {
            0 => {
                host.await_event(id, |event| event.transferred > SIZE / 4 || event.kind == SORTIE_EVENT_ENDED);
                host.cancel(id);
            }
            1 => {
                host.suspend();
                host.resume();
            }
            2 => {
                host.await_event(id, |event| event.transferred > SIZE / 4 || event.kind == SORTIE_EVENT_ENDED);
                host.destroy();
                host = Host::new();
                let _ = fs::remove_file(&target);
                continue;
            }
            _ => {}
        }
        let ended = host.ended(id);
        assert_eq!(target.exists(), ended.file_path.is_some(), "{ended:?}");
        if ended.error == SORTIE_ERROR_NONE && ended.status != 503 {
            let bytes = fs::read(&target).unwrap();
            let version = versions.iter().position(|version| *version == bytes);
            assert!(version.is_some_and(|version| version == 0 || !hashed), "{} bytes of no version", bytes.len());
            whole += 1;
            resumed += usize::from(ended.status == 206);
            fs::remove_file(&target).unwrap();
        }
    }
    println!("{whole} files, {resumed} of them in parts");
    assert!(whole > 50 && resumed > 20, "{whole} files and {resumed} in parts show nothing");
}

#[test]
fn what_cannot_resume_is_refused() {
    let (host, folder) = (Host::new(), Folder::new());
    let target = folder.join("file");
    let get = || resuming("http://127.0.0.1:1/".into(), &target);
    for (request, named) in [
        (Req::get("http://127.0.0.1:1/").flags(SORTIE_REQUEST_RESUME), "response file"),
        (Req { method: Some("POST".into()), ..get() }, "GET"),
        (get().body("x"), "GET"),
        (get().header("range", "bytes=0-1"), "Range"),
        (get().header("If-Range", "x"), "If-Range"),
    ] {
        let refused = host.try_submit(&request).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
        assert!(refused.message.contains(named), "{}", refused.message);
    }
}

#[test]
fn a_damaged_mark_is_no_mark() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let (target, mark) = (folder.join("file"), folder.join("file.sortie-resume"));
    broken(&origin, &host, &target);
    let good = fs::read_to_string(&mark).unwrap();
    fs::remove_file(folder.join("file.sortie-part")).unwrap();
    fs::remove_file(&mark).unwrap();
    let with = |from: &str, to: &str| {
        let damaged = good.replacen(from, to, 1);
        assert_ne!(damaged, good);
        damaged
    };
    for damaged in [
        String::new(),
        "sortie-resume 1\nurl".to_owned(),
        "\0".repeat(300),
        with("version-1", "version\0-1"),
        with("version-1", "version\r-1"),
        with("\"version-1\"", "\"version-1\"\r"),
        with("\"version-1\"", "\"version-1\r\nX-Injected: yes\""),
        with("\"version-1\"", "W/\"version-1\""),
        with("version-1", &"x".repeat(100_000)),
        with("length 1000000", "length 99999999999999999999"),
        with("length 1000000", "length 18446744073709551615"),
        with("synced", "sunk"),
        with("sortie-resume 1", "sortie-resume 9"),
        good.clone() + &"\nx".repeat(1 << 18),
        good[..good.len() - 1].to_owned(),
    ] {
        fs::write(folder.join("file.sortie-part"), vec![0; 400_000]).unwrap();
        fs::write(&mark, &damaged).unwrap();
        origin.ranges();
        host.fetch(&resuming(origin.url(), &target)).ok(200);
        assert_eq!(origin.ranges(), [None], "one request for the whole: {damaged:.100}");
        whole(&target);
        folder.holds(&["file"]);
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn what_is_not_ours_stays_as_it_is() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let (target, mark) = (folder.join("file"), folder.join("file.sortie-resume"));
    for theirs in ["a program's own", "\0\u{1}", &"x".repeat(1 << 20)] {
        fs::write(&mark, theirs).unwrap();
        host.fetch(&Req::download(origin.url(), &target)).ok(200);
        whole(&target);
        host.fetch(&resuming(origin.url(), &target)).ok(200);
        // Then a download that breaks off leaves nothing, since nothing could say what it is a part of.
        origin.set(|behaviour| behaviour.cut = Some(400_000));
        host.fetch(&resuming(origin.url(), &target)).failed(SORTIE_ERROR_RECEIVE);
        host.fetch(&Req::download(origin.url(), &target)).failed(SORTIE_ERROR_RECEIVE);
        origin.set(|_| ());
        whole(&target);
        folder.holds(&["file", "file.sortie-resume"]);
        assert!(fs::read(&mark).unwrap() == theirs.as_bytes());
    }
    fs::remove_file(&mark).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let secret = folder.file("secret", b"sortie-resume 1\n");
        let put: [fn(&Path, &Path) -> std::io::Result<()>; 3] =
            [|from, to| symlink(from, to), |from, to| fs::hard_link(from, to), |_, to| fs::create_dir(to)];
        for place in ["file.sortie-resume", "file.sortie-mark", "file.sortie-part"] {
            for put in put {
                let place = folder.join(place);
                put(&secret, &place).unwrap();
                for request in [resuming(origin.url(), &target), Req::download(origin.url(), &target)] {
                    host.fetch(&request).ok(200);
                    whole(&target);
                    assert_eq!(fs::read(&secret).unwrap(), b"sortie-resume 1\n");
                    assert!(place.symlink_metadata().is_ok(), "it is still there");
                    assert_eq!(folder.names().len(), 3, "{:?}", folder.names());
                }
                fs::remove_file(&place).or_else(|_| fs::remove_dir(&place)).unwrap();
            }
        }
    }
}

#[test]
#[cfg(unix)]
fn a_part_that_others_can_have_written_to_is_not_gone_on_with() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let (target, part) = (folder.join("file"), folder.join("file.sortie-part"));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let set = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    for which in [&part, &folder.join("file.sortie-resume")] {
        broken(&origin, &host, &target);
        assert_eq!(mode(&part), 0o600);
        set(which, 0o622);
        host.fetch(&resuming(origin.url(), &target)).ok(200);
        assert_eq!(origin.ranges(), [None]);
        whole(&target);
        folder.holds(&["file"]);
        fs::remove_file(&target).unwrap();
    }
    // To read it harms nobody: it is closed to others, and gone on with.
    broken(&origin, &host, &target);
    set(&part, 0o644);
    host.fetch(&resuming(origin.url(), &target)).ok(206);
    whole(&target);
    fs::remove_file(&target).unwrap();
    // Only root can say that a file is another's.
    // SAFETY: may be called at any time.
    if unsafe { libc::geteuid() } != 0 {
        println!("not run as root: the parts of another user are left out");
        return;
    }
    const OTHER: u32 = 54_321;
    broken(&origin, &host, &target);
    chown(&part, Some(OTHER), Some(OTHER)).unwrap();
    let (theirs, inode) = (fs::read(&part).unwrap(), fs::metadata(&part).unwrap().ino());
    host.fetch(&resuming(origin.url(), &target).sha256(&sha256(&pattern_vec(SIZE as usize)))).ok(200);
    assert_eq!(origin.ranges(), [None]);
    whole(&target);
    assert_ne!(fs::metadata(&target).unwrap().uid(), OTHER);
    assert_eq!(fs::metadata(&part).unwrap().ino(), inode);
    assert!(fs::read(&part).unwrap() == theirs, "what another user has put there is not ours to touch");
    fs::remove_file(&part).unwrap();
    // A mark of another user says nothing.
    broken(&origin, &host, &target.with_file_name("second"));
    chown(folder.join("second.sortie-resume"), Some(OTHER), Some(OTHER)).unwrap();
    host.fetch(&resuming(origin.url(), &folder.join("second"))).ok(200);
    assert_eq!(origin.ranges(), [None]);
}

/// A neighbour puts pipes, links and files of its own wherever a download may come by, all the while.
#[test]
#[cfg(unix)]
fn whatever_a_neighbour_puts_in_the_way_is_neither_waited_for_nor_written_to() {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::AtomicBool;
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let names = ["file", "file.sortie-part", "file.sortie-resume", "file.sortie-mark"];
    let precious = folder.file("precious", b"sortie-resume 1\nprecious");
    let (theirs, done) = (folder.join("theirs"), Arc::new(AtomicBool::new(false)));
    let (enough, place, to) = (Arc::clone(&done), folder.path().to_owned(), precious.clone());
    let mut random = Random::new(seed());
    let neighbour = std::thread::spawn(move || {
        let pipe = std::ffi::CString::new(path_text(&theirs)).unwrap();
        let mut puts = 0;
        while !enough.load(Ordering::SeqCst) {
            // Two names of one file stay as they are when one is renamed to the other.
            let _ = fs::remove_file(&theirs);
            let made = match random.below(6) {
                0 => symlink(&to, &theirs).is_ok(),
                1 => fs::hard_link(&to, &theirs).is_ok(),
                // SAFETY: a NUL-terminated string.
                2 => unsafe { libc::mkfifo(pipe.as_ptr(), 0o666) == 0 },
                3 => fs::write(&theirs, "theirs").is_ok(),
                4 => fs::create_dir(&theirs).is_ok(),
                _ => false,
            };
            let at = place.join(names[random.below(4) as usize]);
            if !made {
                let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir(&at));
            } else if fs::rename(&theirs, &at).is_err() {
                let _ = fs::remove_file(&theirs).or_else(|_| fs::remove_dir(&theirs));
            }
            puts += 1;
        }
        puts
    });
    let (mut ok, mut failed) = (0, 0);
    for round in 0..300 {
        origin.set(|behaviour| behaviour.cut = (round % 3 == 0).then_some(400_000));
        let mut request = Req::download(origin.url(), folder.join("file")).flags(SORTIE_REQUEST_NO_SYNC);
        if round % 2 == 0 {
            request = resuming(origin.url(), &folder.join("file"));
        }
        let ended = host.fetch(&request.sha256(&sha256(&pattern_vec(SIZE as usize))));
        match ended.error {
            SORTIE_ERROR_NONE => ok += 1,
            _ => {
                ended.failed_as(&[SORTIE_ERROR_FILE, SORTIE_ERROR_RECEIVE]);
                failed += 1;
            }
        }
        assert_eq!(fs::read(&precious).unwrap(), b"sortie-resume 1\nprecious");
    }
    done.store(true, Ordering::SeqCst);
    println!("{ok} files, {failed} failures, {} things put in the way", neighbour.join().unwrap());
    assert!(ok > 0 && failed > 0);
}

#[test]
fn a_mark_is_written_by_rename() {
    let (origin, host, folder) = (Origin::start(), Host::new(), Folder::new());
    let (target, mark) = (folder.join("file"), folder.join("file.sortie-resume"));
    broken(&origin, &host, &target);
    // Somebody holds on to the mark by another name.
    fs::hard_link(&mark, folder.join("copy")).unwrap();
    let copy = fs::read(folder.join("copy")).unwrap();
    fs::remove_file(&mark).unwrap();
    fs::copy(folder.join("copy"), &mark).unwrap();
    let mut open = fs::File::open(&mark).unwrap();
    origin.set(|behaviour| (behaviour.cut, behaviour.tag) = (Some(100_000), Some("\"version-2\"")));
    host.fetch(&resuming(origin.url(), &target)).failed(SORTIE_ERROR_RECEIVE);
    let mut old = Vec::new();
    std::io::Read::read_to_end(&mut open, &mut old).unwrap();
    assert_eq!((&old, fs::read(folder.join("copy")).unwrap()), (&copy, copy.clone()));
    assert!(fs::read_to_string(&mark).unwrap().contains("version-2"));
}

/// A child that fork() has made, which does nothing but hold on to what it has inherited, until this is let go of.
#[cfg(unix)]
struct Forked(Option<std::io::PipeWriter>, libc::pid_t);

#[cfg(unix)]
impl Forked {
    fn new() -> Forked {
        use std::os::fd::AsRawFd;
        let (reader, writer) = std::io::pipe().unwrap();
        // SAFETY: the child calls only what may be called there, and never returns.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: descriptors that are open, and a buffer of a byte.
            unsafe {
                libc::close(writer.as_raw_fd());
                libc::read(reader.as_raw_fd(), [0_u8].as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
        assert!(pid > 0);
        Forked(Some(writer), pid)
    }
}

#[cfg(unix)]
impl Drop for Forked {
    fn drop(&mut self) {
        drop(self.0.take());
        // SAFETY: a child of this process that nobody else waits for.
        unsafe { libc::waitpid(self.1, std::ptr::null_mut(), 0) };
    }
}

/// Sends 600,000 bytes of a file and then nothing, or the rest.
fn half(gate: &Gate) -> Server {
    let gate = gate.clone();
    Server::builder()
        .handler(move |request, conn| {
            if request.header("Range").is_some() {
                return answer(&Behaviour::default(), request, conn).map(Some);
            }
            conn.write(format!("HTTP/1.1 200 OK\r\nETag: {TAG}\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
            conn.write_pattern(0, 600_000)?;
            conn.wait_at(&gate)?;
            Ok(Some(Outcome::Close))
        })
        .start()
}

#[test]
#[cfg(unix)]
fn a_forked_child_keeps_no_lock_that_its_parent_lets_go_of() {
    let (gate, folder) = (Gate::new(), Folder::new());
    let server = half(&gate);
    let target = folder.join("file");
    let setup = Setup { cache_directory: Some(folder.join("cache")), ..Setup::default() };
    let host = setup.start();
    let request = resuming(server.url("/file"), &target).progress(SORTIE_PROGRESS_DOWNLOAD);
    let id = host.submit(&request);
    host.await_event(id, |event| event.transferred >= 600_000);
    let child = Forked::new();
    host.cancel(id);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    host.fetch(&request).ok(206);
    whole(&target);
    host.destroy();
    setup.start().destroy();
    gate.open();
    drop(child);
}

#[test]
#[cfg(unix)]
fn a_forked_child_keeps_no_lock_of_a_parent_that_was_killed() {
    use std::io::{BufRead, BufReader};
    const URL: &str = "SORTIE_TEST_URL";
    const TARGETS: &str = "SORTIE_TEST_FOLDER";
    let setup = |folder: &Path| Setup { cache_directory: Some(folder.join("cache")), ..Setup::default() };
    if let (Ok(url), Ok(targets)) = (std::env::var(URL), std::env::var(TARGETS)) {
        let host = setup(Path::new(&targets)).start();
        let target = Path::new(&targets).join("file");
        let id = host.submit(&resuming(url, &target).progress(SORTIE_PROGRESS_DOWNLOAD));
        host.await_event(id, |event| event.transferred >= 600_000);
        let part = target.with_file_name("file.sortie-part");
        until("bytes on the disk", || fs::metadata(&part).is_ok_and(|found| found.len() > 0));
        // The child ends when its standard input does.
        // SAFETY: the child calls only what may be called there, and never returns.
        if unsafe { libc::fork() } == 0 {
            let forked = b"forked\n";
            // SAFETY: standard input and output are open, and buffers of these sizes.
            unsafe {
                libc::write(1, forked.as_ptr().cast(), forked.len());
                libc::read(0, [0_u8].as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
        loop {
            std::thread::park();
        }
    }
    let (gate, folder) = (Gate::new(), Folder::new());
    let server = half(&gate);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["a_forked_child_keeps_no_lock_of_a_parent_that_was_killed", "--exact", "--nocapture"]);
    child.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.env(URL, server.url("/file")).env(TARGETS, folder.path()).spawn().unwrap();
    let mut grandchild = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("forked")), "the child ended early");
    child.kill().unwrap();
    child.wait().unwrap();
    let host = setup(folder.path()).start();
    host.fetch(&resuming(server.url("/file"), &folder.join("file"))).ok(206);
    whole(&folder.join("file"));
    gate.open();
    drop(grandchild.take());
}

/// Kills a process that downloads 200 files, again and again at random moments, until all are there.
#[test]
fn a_killed_process_leaves_no_file_that_is_not_whole() {
    const FILES: u64 = 200;
    const URL: &str = "SORTIE_TEST_URL";
    const TARGETS: &str = "SORTIE_TEST_FOLDER";
    const TEST: &str = "a_killed_process_leaves_no_file_that_is_not_whole";
    let size = |file: u64| 50_000 + file * 7_919 % 400_000;
    if let (Ok(url), Ok(targets)) = (std::env::var(URL), std::env::var(TARGETS)) {
        let host = Setup { max_active_per_host: 8, ..Setup::default() }.start();
        for file in 0..FILES {
            let target = Path::new(&targets).join(file.to_string());
            if !target.exists() {
                host.submit(&resuming(format!("{url}/{file}"), &target));
            }
        }
        host.drain();
        return;
    }
    // Slow enough to be hit in the middle.
    let server = Server::builder()
        .handler(move |request, conn| {
            let file: u64 = request.path().trim_start_matches('/').parse().unwrap();
            let size = size(file);
            let from = request
                .header("Range")
                .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<u64>().ok())
                .filter(|from| *from < size)
                .unwrap_or(0);
            let head = match from {
                0 => "200 OK\r\n".to_owned(),
                _ => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{size}\r\n", size - 1),
            };
            let length = size - from;
            conn.write(format!("HTTP/1.1 {head}ETag: \"{file}\"\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
            for at in (from..size).step_by(32 << 10) {
                conn.write_pattern(at + file, (size - at).min(32 << 10))?;
                conn.pause(Duration::from_millis(3))?;
            }
            Ok(Some(Outcome::Done))
        })
        .start();
    let folder = Folder::new();
    let mut random = Random::new(seed());
    let (mut kills, mut resumed) = (0, 0);
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([TEST, "--exact", "--include-ignored"]).stdout(Stdio::null()).stderr(Stdio::null());
        child.env(URL, server.url("").trim_end_matches('/')).env(TARGETS, folder.path());
        let mut child = child.spawn().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_millis(20 + random.below(120));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            // After many kills it may finish.
            if std::time::Instant::now() >= deadline && kills < 40 {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        match status {
            None => kills += 1,
            Some(status) => {
                assert!(status.success(), "{status}");
                break;
            }
        }
        for file in 0..FILES {
            if let Ok(bytes) = fs::read(folder.join(&file.to_string())) {
                assert!(bytes == pattern_of(file, size(file)), "file {file} is there but not whole");
            }
        }
        resumed += folder.names().iter().filter(|name| name.ends_with("resume")).count();
    }
    for file in 0..FILES {
        assert!(fs::read(folder.join(&file.to_string())).unwrap() == pattern_of(file, size(file)), "file {file}");
    }
    assert!(folder.names().iter().all(|name| !name.contains("sortie")), "{:?}", folder.names());
    let ranges = server.requests().iter().filter(|seen| seen.header("Range").is_some()).count();
    println!("killed {kills} times, {resumed} parts were left, {ranges} requests went on with one");
    assert!(kills >= 3 && ranges >= 3, "{kills} kills and {ranges} resumed requests show nothing");
}

/// The pattern from a file's own offset, so that no two files are alike.
fn pattern_of(file: u64, size: u64) -> Vec<u8> {
    pattern_vec((file + size) as usize).split_off(file as usize)
}
