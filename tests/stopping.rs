//! Whatever stops a request, wherever it is: a cancel, its time, suspension, a pause or the client's end is kept and obeyed
//! by all that follows. A disk that hangs where a test wants it shows each place.

#![cfg(feature = "test-hooks")]
#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use sortie_test_server::{BlackHole, Gate, Outcome, Response, Server, pattern_vec};
use support::*;

const SIZE: usize = 1_000_000;

/// A file system below a folder that hangs until this is dropped.
struct Hanging(CString);

impl Hanging {
    fn at(path: &Path) -> Hanging {
        let marker = CString::new(path_text(path)).unwrap();
        // SAFETY: a string.
        unsafe { sortie_test_hold_disk(marker.as_ptr(), 1) };
        Hanging(marker)
    }

    fn waiting(&self) -> u32 {
        // SAFETY: a string.
        unsafe { sortie_test_disk_waits(self.0.as_ptr()) }
    }

    #[track_caller]
    fn await_one(&self) {
        until("an operation that hangs", || self.waiting() > 0);
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // SAFETY: a string.
        unsafe { sortie_test_hold_disk(self.0.as_ptr(), 0) };
    }
}

/// Where a request is when it is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Queued,
    Paused,
    BetweenAttempts,
    /// The disk opens what is to be sent.
    OpeningUpload,
    /// The disk looks at what is there of its file.
    OpeningPart,
    /// The disk reads what is stored for it.
    Recalling,
    Connecting,
    WaitingForResponse,
    ReceivingToMemory,
    ReceivingToFile,
    /// The disk gives the file its name.
    Naming,
    /// The disk hashes what was there of it, which is not what it has to be: another attempt would follow.
    Hashing,
    /// Its time between attempts begins once the disk has let go of its file.
    LettingGo,
}

const PLACES: [Place; 13] = [
    Place::Queued,
    Place::Paused,
    Place::BetweenAttempts,
    Place::OpeningUpload,
    Place::OpeningPart,
    Place::Recalling,
    Place::Connecting,
    Place::WaitingForResponse,
    Place::ReceivingToMemory,
    Place::ReceivingToFile,
    Place::Naming,
    Place::Hashing,
    Place::LettingGo,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    Cancel,
    /// Its time limit.
    Time,
    /// While the client is suspended.
    CancelSuspended,
    /// Before it is suspended, while the disk hangs all along.
    CancelThenSuspend,
    /// While it is paused by the program.
    CancelPaused,
    Destroy,
}

struct World {
    server: Server,
    /// Held until opened: responses to /file, and the rest of others.
    gate: Gate,
    hole: BlackHole,
    folder: Folder,
}

impl World {
    fn new() -> World {
        let gate = Gate::new();
        let at_gate = gate.clone();
        let server = Server::builder()
            .handler(move |request, conn| {
                let range = request.header("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
                let from: usize = range.map_or(0, |from| from.parse().unwrap());
                match request.path() {
                    "/file" => {
                        conn.wait_at(&at_gate)?;
                        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
                        let head = format!(
                            "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Range: bytes {from}-{}/{SIZE}\r\nContent-Length: {}\r\n\r\n",
                            SIZE - 1,
                            SIZE - from
                        );
                        conn.write(head.as_bytes())?;
                        conn.write_pattern(from as u64, (SIZE - from) as u64)?;
                        Ok(Some(Outcome::Done))
                    }
                    "/half" => {
                        conn.write(format!("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
                        conn.write_pattern(0, (SIZE / 2) as u64)?;
                        conn.wait_closed()?;
                        Ok(Some(Outcome::Close))
                    }
                    "/broken" => {
                        conn.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
                        conn.write_pattern(0, (SIZE / 2) as u64)?;
                        conn.close_lingering().map(Some)
                    }
                    "/silent" => {
                        conn.wait_at(&at_gate)?;
                        Ok(Some(Outcome::Close))
                    }
                    "/stored" => conn.send(&Response::new(200).header("Cache-Control", "max-age=600").body("stored")).map(Some),
                    _ => Ok(None),
                }
            })
            .start();
        World { server, gate, hole: BlackHole::start(), folder: Folder::new() }
    }

    fn setup(&self, place: Place) -> Setup {
        Setup {
            // One at a time, or as many as usual.
            max_active: u32::from(place == Place::Queued),
            cache_directory: (place == Place::Recalling).then(|| self.folder.join("cache")),
            ..Setup::default()
        }
    }

    fn request(&self, place: Place) -> Req {
        let target = self.folder.join("file");
        let url = |path: &str| self.server.url(path);
        match place {
            Place::Queued | Place::Paused => Req::get(url("/bytes/1")),
            Place::BetweenAttempts => {
                Req::get(url("/status/503")).max_attempts(5).retry_delay_ms(1_000_000).max_retry_delay_ms(1_000_000)
            }
            Place::OpeningUpload => Req::upload(url("/upload"), self.folder.file("body", b"text")),
            Place::OpeningPart => Req::download(url("/file"), &target).flags(SORTIE_REQUEST_RESUME),
            Place::Recalling => Req::get(url("/stored")),
            Place::Connecting => Req::get(self.hole.url("/")),
            Place::WaitingForResponse => Req::get(url("/silent")),
            Place::ReceivingToMemory => Req::get(url("/half")).progress(SORTIE_PROGRESS_DOWNLOAD),
            Place::ReceivingToFile => Req::download(url("/half"), &target).progress(SORTIE_PROGRESS_DOWNLOAD),
            Place::Naming => Req::download(url("/file"), &target).progress(SORTIE_PROGRESS_DOWNLOAD),
            Place::Hashing => {
                let hash = sha256(&pattern_vec(SIZE));
                Req::download(url("/file"), &target)
                    .flags(SORTIE_REQUEST_RESUME)
                    .sha256(&hash)
                    .progress(SORTIE_PROGRESS_DOWNLOAD)
            }
            Place::LettingGo => Req::download(url("/broken"), &target)
                .max_attempts(2)
                .retry_delay_ms(1_000_000)
                .max_retry_delay_ms(1_000_000),
        }
    }

    /// Brings a request to a place, where it stays until the disk is let go on, if it hangs.
    #[track_caller]
    fn bring(&self, host: &Host, place: Place, timeout_ms: u32) -> (u64, Option<Hanging>) {
        // One that may ask the network does so before its time is over.
        let cache_mode = if place == Place::Recalling { SORTIE_CACHE_ONLY_IF_CACHED } else { SORTIE_CACHE_DEFAULT };
        let request = self.request(place).timeout_ms(timeout_ms).queue_timeout_ms(timeout_ms).cache_mode(cache_mode);
        let submit = || host.submit(&request);
        let hanging = |name: &str| Hanging::at(&self.folder.join(name));
        let rests = || until("its rest", || host.stats().resting == 1);
        match place {
            Place::Queued => {
                let blocker = Req::get(self.server.url("/silent")).timeout_ms(SORTIE_NO_TIMEOUT);
                host.submit(&blocker);
                assert!(self.gate.wait_for(1, DEADLINE));
                let id = submit();
                until("the queue", || host.stats().waiting == 1);
                (id, None)
            }
            Place::Paused => {
                host.suspend();
                let id = submit();
                host.pause(id);
                host.resume();
                rests();
                (id, None)
            }
            Place::BetweenAttempts => {
                let id = submit();
                rests();
                (id, None)
            }
            Place::LettingGo => {
                let hanging = hanging("file");
                let id = submit();
                rests();
                hanging.await_one();
                (id, Some(hanging))
            }
            Place::OpeningUpload | Place::OpeningPart | Place::Recalling => {
                let name = match place {
                    Place::OpeningUpload => "body",
                    Place::OpeningPart => "file",
                    _ => "cache",
                };
                let hanging = hanging(name);
                let id = submit();
                hanging.await_one();
                (id, Some(hanging))
            }
            Place::Naming | Place::Hashing => {
                let id = submit();
                assert!(self.gate.wait_for(1, DEADLINE));
                let hanging = hanging("file");
                self.gate.open();
                // All of it comes, and waits for the disk.
                host.await_event(id, |event| event.transferred == SIZE as u64);
                host.fetch(&Req::get(self.server.url("/bytes/1"))).ok(200);
                hanging.await_one();
                (id, Some(hanging))
            }
            Place::Connecting => {
                let id = submit();
                until("its start", || host.stats().active == 1);
                (id, None)
            }
            Place::WaitingForResponse => {
                let id = submit();
                assert!(self.gate.wait_for(1, DEADLINE));
                (id, None)
            }
            Place::ReceivingToMemory | Place::ReceivingToFile => {
                let id = submit();
                host.await_event(id, |event| event.transferred == (SIZE / 2) as u64);
                (id, None)
            }
        }
    }

    /// Makes what has to be there before.
    fn prepare(&self, place: Place) {
        match place {
            Place::Recalling => {
                let host = self.setup(place).start();
                host.fetch(&self.request(place)).ok(200);
                until("an entry", || fs::read_dir(self.folder.join("cache")).unwrap().count() == 2);
            }
            Place::Hashing => {
                let host = Host::new();
                let half = Req { url: self.server.url("/half"), ..self.request(place) };
                let id = host.submit(&half.progress(SORTIE_PROGRESS_DOWNLOAD));
                host.await_event(id, |event| event.transferred == (SIZE / 2) as u64);
                host.cancel(id);
                host.ended(id).failed(SORTIE_ERROR_CANCELLED);
                // Of another file, as its hash will show. The mark is of one URL.
                let part = self.folder.join("file.sortie-part");
                let length = fs::metadata(&part).unwrap().len();
                fs::write(&part, vec![0; length as usize]).unwrap();
                let mark = self.folder.join("file.sortie-resume");
                let text = fs::read_to_string(&mark).unwrap();
                fs::write(&mark, text.replace("/half", "/file")).unwrap();
            }
            _ => {}
        }
    }
}

/// Stops a request at a place. The disk goes on before the end is waited for, or only after it.
fn stop_at(place: Place, stop: Stop, ends_while_it_hangs: bool) {
    let context = format!("{place:?}, {stop:?}");
    let world = World::new();
    world.prepare(place);
    let host = world.setup(place).start();
    let timeout_ms = if stop == Stop::Time { 3000 } else { SORTIE_NO_TIMEOUT };
    let (id, mut hanging) = world.bring(&host, place, timeout_ms);
    let asked = world.server.request_count();
    let mut host = Some(host);
    if let Some(host) = host.take_if(|_| stop == Stop::Destroy) {
        assert!(host.destroy() < Duration::from_secs(1), "{context}");
        drop(hanging.take());
        until("the files' removal", || world.has_no_part(place));
        return;
    }
    let host = host.unwrap();
    match stop {
        Stop::Cancel => assert_eq!(host.cancel(id), SORTIE_OK),
        Stop::CancelPaused => {
            host.pause(id);
            host.cancel(id);
        }
        Stop::CancelSuspended => {
            host.suspend();
            host.cancel(id);
            if !ends_while_it_hangs {
                drop(hanging.take());
            }
            host.resume();
        }
        Stop::CancelThenSuspend => {
            host.cancel(id);
            host.suspend();
            if !ends_while_it_hangs {
                drop(hanging.take());
            }
            host.resume();
        }
        Stop::Time => let_pass(timeout_ms + 100),
        Stop::Destroy => {}
    }
    if !ends_while_it_hangs {
        drop(hanging.take());
    }
    let event = host.ended(id);
    drop(hanging.take());
    let target = world.folder.join("file");
    // A file that has its name is the request's real outcome.
    if place == Place::Naming && event.error == SORTIE_ERROR_NONE {
        assert!(!ends_while_it_hangs, "{context}");
        assert_eq!(fs::read(&target).unwrap(), pattern_vec(SIZE), "{context}");
        return;
    }
    let expected: &[u32] = match stop {
        Stop::Time if place == Place::Queued || place == Place::Paused => &[SORTIE_ERROR_QUEUE_TIMEOUT],
        Stop::Time => &[SORTIE_ERROR_TIMEOUT],
        _ => &[SORTIE_ERROR_CANCELLED],
    };
    assert!(expected.contains(&event.error), "{context}: {event:?}");
    if !ends_while_it_hangs {
        assert!(world.has_no_part(place), "{context}: {:?}", world.folder.names());
    }
    // Nothing follows.
    world.gate.open();
    host.fetch(&Req::get(world.server.url("/bytes/1"))).ok(200);
    let_pass(20);
    until("the files' removal", || world.has_no_part(place));
    assert!(!target.exists(), "{context}");
    let more = world.server.request_count() - asked;
    // The one that shows that the client is well. The one before in the queue is asked for again after a suspension.
    let live = u32::from(place == Place::Queued);
    assert!(more <= 1 + u64::from(live), "{context}: {more} more requests");
    assert!(host.stats().active + host.stats().waiting <= live, "{context}: {:?}", host.stats());
}

impl World {
    /// Whether nothing is left that is half written, but for what can be gone on with.
    fn has_no_part(&self, place: Place) -> bool {
        let is_part = |name: &String| name.ends_with(".sortie-part");
        place == Place::Hashing || !self.folder.names().iter().any(is_part)
    }
}

/// A disk that never answers keeps no request.
#[test]
fn whatever_stops_a_request_ends_it_while_the_disk_hangs() {
    for stop in [Stop::Cancel, Stop::Time, Stop::CancelSuspended, Stop::CancelThenSuspend, Stop::CancelPaused] {
        stop_everywhere(stop, true);
    }
}

#[test]
fn a_share_that_hangs_holds_up_its_own_files_alone() {
    let server = Server::builder()
        .handler(|request, conn| {
            let stored = Response::new(200).header("Cache-Control", "max-age=600").body(pattern_vec(100_000));
            if request.path() == "/stored" { conn.send(&stored).map(Some) } else { Ok(None) }
        })
        .start();
    let folder = Folder::new();
    let of = |name: &str| {
        fs::create_dir_all(folder.join(name)).unwrap();
        folder.join(name)
    };
    let (share, here, cache) = (of("share"), of("here"), of("cache"));
    let cached = server.url("/stored");
    let setup = Setup {
        max_active: 200,
        max_active_per_host: 200,
        cache_directory: Some(cache.clone()),
        cookie_file: Some(here.join("cookies")),
        ..Setup::default()
    };
    let before = setup.start();
    before.fetch(&Req::get(&cached)).ok(200);
    until("an entry", || fs::read_dir(&cache).unwrap().count() == 2);
    before.destroy();
    let host = setup.start();
    fs::write(share.join("body"), "text").unwrap();
    fs::write(here.join("body"), "text").unwrap();
    let hanging = Hanging::at(&share);
    let limited = |request: Req| host.submit(&request.timeout_ms(3000));
    let mut stuck: Vec<u64> =
        (0..60).map(|i| limited(Req::download(server.url("/bytes/1000000"), share.join(format!("{i}"))))).collect();
    stuck.extend((60..80).map(|i| {
        let request = Req::download(server.url("/bytes/1000000"), share.join(format!("{i}")));
        limited(request.flags(SORTIE_REQUEST_RESUME))
    }));
    stuck.extend((0..20).map(|_| limited(Req::upload(server.url("/upload"), share.join("body")))));
    let form =
        Req::new("POST", server.url("/upload")).form(&[Part::field("a", "b"), Part::file("c", share.join("body"))]);
    stuck.push(limited(form));
    hanging.await_one();
    // All else goes on, as if nothing were.
    for round in 0..3 {
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        host.fetch(&Req::download(server.url("/bytes/3000000"), here.join("file"))).ok(200);
        host.fetch(&Req::upload(server.url("/upload"), here.join("body"))).ok(200);
        let gzip = Req::new("POST", server.url("/upload")).flags(SORTIE_REQUEST_GZIP_BODY);
        host.fetch(&gzip.clone().body(vec![b'x'; 3_000_000])).ok(200);
        host.fetch(&Req::upload(server.url("/upload"), here.join("body")).flags(SORTIE_REQUEST_GZIP_BODY)).ok(200);
        let text = Req::new("POST", server.url("/upload")).body("\u{e4}".repeat(100_000));
        host.fetch(&text.body_kind(SORTIE_BODY_TEXT).content_type("text/plain; charset=iso-8859-1")).ok(200);
        host.fetch(&Req::get(&cached)).ok(200);
        host.try_set_cookie(&server.url("/"), &format!("name={round}; Max-Age=1000")).unwrap();
    }
    assert_eq!(host.stats().cache_hits, 3);
    until("the cookies", || fs::read_to_string(here.join("cookies")).is_ok_and(|text| text.contains("name\t2")));
    for event in host.all_ended(&stuck) {
        event.failed(SORTIE_ERROR_TIMEOUT);
    }
    assert!(hanging.waiting() > 0);
    drop(hanging);
    until("the files' removal", || fs::read_dir(&share).unwrap().count() == 1);
    host.fetch(&Req::download(server.url("/bytes/1000"), share.join("0"))).ok(200);
}

/// However many requests wait for a share, they do not use up the places of those that do not.
#[test]
fn requests_whose_files_hang_leave_their_places_to_others() {
    let (server, folder, host) = (Server::start(), Folder::new(), Host::new());
    let share = folder.join("share");
    fs::create_dir(&share).unwrap();
    fs::write(share.join("body"), "text").unwrap();
    let hanging = Hanging::at(&share);
    let stuck: Vec<u64> = (0..60)
        .map(|i| {
            let download = |size| Req::download(server.url(&format!("/bytes/{size}")), share.join(format!("{i}")));
            let request = match i % 4 {
                0 => download(1000),
                1 => download(1000).flags(SORTIE_REQUEST_RESUME),
                // More than may wait for the disk.
                2 => download(10_000_000),
                _ => Req::upload(server.url("/upload"), share.join("body")),
            };
            host.submit(&request.timeout_ms(SORTIE_NO_TIMEOUT))
        })
        .collect();
    hanging.await_one();
    for _ in 0..20 {
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    }
    assert_eq!(host.counts(), (80, 20), "they still wait");
    // Stopped where they are, in turns; the others come to their ends.
    for id in stuck.iter().skip(30) {
        host.cancel(*id);
    }
    for id in stuck.iter().skip(30) {
        host.ended(*id).failed(SORTIE_ERROR_CANCELLED);
    }
    drop(hanging);
    for id in stuck.iter().take(30) {
        host.ended(*id).ok(200);
    }
    until("the others' removal", || fs::read_dir(&share).unwrap().count() == 1 + 23);
    let stats = host.stats();
    assert_eq!((stats.active, stats.waiting), (0, 0), "{stats:?}");
    host.fetch(&Req::download(server.url("/bytes/1000"), share.join("30"))).ok(200);
}

#[test]
fn a_cache_that_hangs_is_done_without() {
    let (world, place) = (World::new(), Place::Recalling);
    world.prepare(place);
    let host = world.setup(place).start();
    let hanging = Hanging::at(&world.folder.join("cache"));
    for _ in 0..2 {
        let event = host.fetch(&world.request(place));
        assert_eq!((event.ok(200).text(), event.flags), ("stored", 0));
    }
    // One that wants nothing but what is stored waits for that.
    let waiting = host.submit(&world.request(place).cache_mode(SORTIE_CACHE_ONLY_IF_CACHED));
    let_pass(1500);
    assert_eq!(host.counts().0 - host.counts().1, 1);
    drop(hanging);
    assert_eq!(host.ended(waiting).ok(200).flags, SORTIE_EVENT_FROM_CACHE);
    assert_eq!(host.fetch(&world.request(place)).ok(200).flags, SORTIE_EVENT_FROM_CACHE);
}

#[test]
#[cfg(target_os = "linux")]
fn large_bodies_are_freed_while_the_disk_hangs() {
    isolated("large_bodies_are_freed_while_the_disk_hangs", &[], || {
        let (server, folder, host) = (Server::start(), Folder::new(), Host::new());
        let large = Req::get(server.url("/bytes/8000000"));
        host.fetch(&large).ok(200);
        let hanging = Hanging::at(folder.path());
        let stuck = host.submit(&Req::download(server.url("/bytes/1000"), folder.join("file")));
        hanging.await_one();
        let before = resident_bytes();
        for _ in 0..40 {
            host.fetch(&large).ok(200);
        }
        until("the bodies' end", || {
            host.poll();
            resident_bytes() < before + (60 << 20)
        });
        drop(hanging);
        host.ended(stuck).ok(200);
    });
}

#[test]
fn a_client_is_destroyed_while_many_files_hang() {
    let (server, folder) = (Server::start(), Folder::new());
    let cookies = folder.join("cookies");
    fs::create_dir(folder.join("share")).unwrap();
    let host =
        Setup { cookie_file: Some(cookies.clone()), max_active: 100, max_active_per_host: 100, ..Setup::default() };
    let host = host.start();
    let hanging = Hanging::at(&folder.join("share"));
    for i in 0..50 {
        host.submit(&Req::download(server.url("/bytes/1000000"), folder.join(&format!("share/{i}"))));
    }
    hanging.await_one();
    host.try_set_cookie(&server.url("/"), "name=value; Max-Age=1000").unwrap();
    assert!(host.destroy() < Duration::from_secs(1));
    // As a rule by now; on a busy machine a little later.
    until("the cookies", || fs::read_to_string(&cookies).is_ok_and(|text| text.contains("value")));
    assert!(hanging.waiting() > 0);
    drop(hanging);
    until("the files' removal", || folder.names() == ["cookies", "share"]);
}

fn stop_everywhere(stop: Stop, ends_while_it_hangs: bool) {
    thread::scope(|scope| {
        // A wait that the limit would cut short is not begun.
        let between = [Place::BetweenAttempts, Place::LettingGo];
        for place in PLACES.into_iter().filter(|place| stop != Stop::Time || !between.contains(place)) {
            scope.spawn(move || stop_at(place, stop, ends_while_it_hangs));
        }
    });
}

#[test]
fn a_cancel_holds_wherever_it_comes() {
    stop_everywhere(Stop::Cancel, false);
}

#[test]
fn a_time_limit_holds_wherever_it_runs_out() {
    stop_everywhere(Stop::Time, false);
}

#[test]
fn a_cancel_while_suspended_holds() {
    stop_everywhere(Stop::CancelSuspended, false);
}

#[test]
fn a_cancel_before_a_suspension_holds() {
    stop_everywhere(Stop::CancelThenSuspend, false);
}

#[test]
fn a_cancel_while_paused_holds() {
    stop_everywhere(Stop::CancelPaused, false);
}

#[test]
fn a_destroyed_client_leaves_nothing_wherever_its_requests_are() {
    stop_everywhere(Stop::Destroy, false);
}
