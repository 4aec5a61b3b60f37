//! Resume, retries, hashes, limits, pauses and suspension together, at random and against a model: whatever a server does and
//! the program asks for, a file is whole or as it was, and a request ends as the model says.

#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sortie_test_server::{BlackHole, Conn, Outcome, Request, Response, Server};
use support::*;

/// How many scenarios, unless SORTIE_TEST_SCENARIOS says; each takes some milliseconds. SORTIE_TEST_SEED picks one.
const SCENARIOS: u64 = 200;

/// Numbers that look random and repeat for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len() as u64) as usize]
    }
}

/// What the server does in place of a proper answer, once.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Breaks off after so many bytes of the body.
    Cut(u64),
    /// The same with a RST.
    Reset(u64),
    /// So many bytes, and nothing more until the client goes.
    Stall(u64),
    Status(u16, Option<u32>),
    /// A RST in place of a head.
    NoAnswer,
}

/// The file that the server has, and what it does next.
#[derive(Debug)]
struct Origin {
    version: u64,
    size: u64,
    faults: VecDeque<Fault>,
    /// The file changes when so many answers have been given.
    changes_after: Option<usize>,
    /// It takes no notice of Range.
    no_ranges: bool,
    /// It goes on with a file that has changed, whatever If-Range says.
    careless: bool,
    chunked: bool,
    answers: usize,
    /// Answers that were not whole, and whether the last was.
    failed: u32,
    last_was_whole: bool,
}

fn content(version: u64, from: u64, length: u64) -> Vec<u8> {
    (from..from + length).map(|at| (at.wrapping_mul(31).wrapping_add(version * 131) ^ (at >> 8)) as u8).collect()
}

impl Origin {
    fn tag(&self) -> String {
        format!("\"v{}\"", self.version)
    }

    fn body(&self) -> Vec<u8> {
        content(self.version, 0, self.size)
    }
}

fn serve(origin: &Mutex<Origin>, request: &Request, conn: &mut Conn) -> std::io::Result<Outcome> {
    // That of an answer which somebody hangs up on does not count.
    let note = |whole: bool| {
        let mut origin = origin.lock().unwrap();
        origin.failed += u32::from(!whole);
        origin.last_was_whole = whole;
    };
    let (fault, version, size, tag, from, chunked) = {
        let mut origin = origin.lock().unwrap();
        if origin.changes_after.is_some_and(|after| after == origin.answers) {
            origin.version += 1;
            origin.size += 1000;
        }
        origin.answers += 1;
        let tag = origin.tag();
        let asked =
            request.header("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let same = origin.careless || request.header("If-Range").is_none_or(|given| given == tag);
        let from: u64 = asked.filter(|_| same && !origin.no_ranges).unwrap_or(0);
        (origin.faults.pop_front(), origin.version, origin.size, tag, from, origin.chunked)
    };
    let stop = match fault {
        Some(Fault::NoAnswer) => {
            note(false);
            return Ok(Outcome::Reset);
        }
        Some(Fault::Status(status, retry_after)) => {
            note(false);
            let response = Response::new(status).body("not now").header("Connection", "close");
            let response = match retry_after {
                Some(seconds) => response.header("Retry-After", seconds.to_string()),
                None => response,
            };
            return conn.send(&response);
        }
        Some(Fault::Cut(at) | Fault::Reset(at) | Fault::Stall(at)) => at,
        None => u64::MAX,
    };
    // Before anything is sent, so that it is noted when the client ends.
    note(from >= size || size - from <= stop);
    if from >= size {
        let range = format!("bytes */{size}");
        return conn.send(&Response::new(416).header("Content-Range", range).header("Connection", "close"));
    }
    let mut head = if from > 0 {
        format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{size}\r\n", size - 1)
    } else {
        "HTTP/1.1 200 OK\r\n".to_owned()
    };
    let rest = size - from;
    let length = if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {rest}") };
    head += &format!("ETag: {tag}\r\n{length}\r\nConnection: close\r\n\r\n");
    conn.write(head.as_bytes())?;
    let count = rest.min(stop);
    for piece in content(version, from, count).chunks(20_000) {
        if chunked {
            conn.write(format!("{:x}\r\n", piece.len()).as_bytes())?;
        }
        conn.write(piece)?;
        if chunked {
            conn.write(b"\r\n")?;
        }
    }
    match fault {
        Some(Fault::Reset(_)) if count < rest => Ok(Outcome::Reset),
        Some(Fault::Stall(_)) if count < rest => conn.wait_closed().map(|()| Outcome::Close),
        Some(_) if count < rest => conn.close_lingering(),
        _ => {
            if chunked {
                conn.write(b"0\r\n\r\n")?;
            }
            Ok(Outcome::Close)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Hash {
    None,
    /// That of the version which is there at the end.
    Right,
    Wrong,
}

#[derive(Debug)]
struct Plan {
    resume: bool,
    hash: Hash,
    length: bool,
    attempts: u32,
    rate: u64,
    client_rate: u64,
    suspends: usize,
    pauses: usize,
    /// What lies there before.
    old: bool,
}

fn scenario(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let size = dice.of(&[1, 20_000, 300_000, 700_000]);
    let count = dice.of(&[0, 0, 1, 2, 3, 5]);
    let faults: VecDeque<Fault> = (0..count)
        .map(|_| match dice.roll(6) {
            0 => Fault::Cut(dice.roll(size)),
            1 => Fault::Reset(dice.roll(size)),
            2 => Fault::Stall(dice.roll(size)),
            3 => Fault::NoAnswer,
            _ => Fault::Status(dice.of(&[408, 429, 500, 502, 503, 504]), dice.of(&[None, Some(0)])),
        })
        .collect();
    let changes_after = dice.chance(30).then(|| dice.roll(count + 1) as usize);
    let origin = Origin {
        version: 1,
        size,
        faults,
        changes_after,
        no_ranges: dice.chance(20),
        careless: dice.chance(20),
        chunked: dice.chance(30),
        answers: 0,
        failed: 0,
        last_was_whole: false,
    };
    let plan = Plan {
        resume: dice.chance(70),
        hash: dice.of(&[Hash::None, Hash::Right, Hash::Right, Hash::Wrong]),
        length: dice.chance(30),
        attempts: dice.of(&[1, 2, 4, 8]),
        rate: dice.of(&[0, 0, 5_000_000]),
        client_rate: dice.of(&[0, 0, 8_000_000]),
        suspends: dice.of(&[0, 0, 1, 3]),
        pauses: dice.of(&[0, 0, 2]),
        old: dice.chance(50),
    };
    let shown = format!("seed {seed}: {plan:?} {origin:?}");
    let last = origin.version + u64::from(changes_after.is_some());
    let last_size = if changes_after.is_some() { size + 1000 } else { size };
    let origin = Arc::new(Mutex::new(origin));
    let shared = Arc::clone(&origin);
    let server = Server::builder().handler(move |request, conn| serve(&shared, request, conn).map(Some)).start();
    let host = Setup { receive_rate: plan.client_rate, ..Setup::default() }.start();
    let folder = Folder::new();
    let target = folder.join("file");
    if plan.old {
        fs::write(&target, b"what was there before").unwrap();
    }
    let expected = content(last, 0, last_size);
    let mut request = Req::download(server.url("/file"), &target)
        .max_attempts(plan.attempts)
        .retry_delay_ms(1)
        .attempt_timeout_ms(2_000)
        .stall_timeout_ms(150)
        .receive_rate(plan.rate)
        .progress(SORTIE_PROGRESS_DOWNLOAD)
        .flags(SORTIE_REQUEST_RETRY_EVENTS | if plan.resume { SORTIE_REQUEST_RESUME } else { 0 });
    match plan.hash {
        Hash::None => {}
        Hash::Right => request = request.sha256(&sha256(&expected)),
        Hash::Wrong => request = request.sha256(&"5".repeat(64)),
    }
    if plan.length {
        request = request.expected_length(expected.len() as u64);
    }
    let id = host.submit(&request);
    for _ in 0..plan.suspends {
        thread::sleep(Duration::from_millis(dice.roll(8)));
        host.suspend();
        thread::sleep(Duration::from_millis(dice.roll(8)));
        host.resume();
    }
    for _ in 0..plan.pauses {
        host.pause(id);
        thread::sleep(Duration::from_millis(dice.roll(8)));
        host.unpause(id);
    }
    let events = host.events(id);
    let ended = events.last().unwrap();
    let retries = events.iter().filter(|event| event.kind == SORTIE_EVENT_RETRY).count() as u32;
    assert_eq!(retries + 1, ended.attempts, "each attempt but the last is told of; {shown}");
    assert!(ended.attempts <= plan.attempts, "{shown}");

    // What the file is: as it was, or whole and of one version.
    let whole = [content(1, 0, size), content(2, 0, size + 1000)];
    let now = fs::read(&target).ok();
    if ended.error == SORTIE_ERROR_NONE && ended.status < 300 {
        let now = now.expect("a file");
        assert!(whole.contains(&now), "a mixture of {} bytes; {shown}", now.len());
        assert_ne!(plan.hash, Hash::Wrong, "{shown}");
        if plan.hash == Hash::Right || plan.length {
            assert!(now == expected, "{shown}");
        }
        folder_is(&folder, &["file"], &shown);
    } else {
        let before = plan.old.then(|| b"what was there before".to_vec());
        assert!(now == before, "what was there before is not; {shown}");
        if !plan.resume {
            folder_is(&folder, if plan.old { &["file"] } else { &[] }, &shown);
        }
    }

    // How it ends.
    let (failed, last_was_whole, version) = {
        let origin = origin.lock().unwrap();
        (origin.failed, origin.last_was_whole, origin.version)
    };
    let checked = plan.hash != Hash::None || plan.length;
    let fits = plan.hash != Hash::Wrong && (!checked || version == last);
    match ended.error {
        SORTIE_ERROR_NONE if ended.status < 300 => assert!(last_was_whole && fits, "{ended:?}; {shown}"),
        SORTIE_ERROR_INTEGRITY => assert!(!fits, "{ended:?}; {shown}"),
        _ => {
            assert!(!last_was_whole, "{ended:?}; {shown}");
            assert_eq!(ended.attempts, plan.attempts, "it gave up early: {ended:?}; {shown}");
        }
    }
    // A length that cannot be right ends it before the answer is over. A suspended transfer whose connection dies starts once
    // more without that being an attempt.
    let early = ended.error == SORTIE_ERROR_INTEGRITY && !last_was_whole;
    if plan.suspends == 0 && !early {
        assert_eq!(ended.attempts, plan.attempts.min(failed + 1), "{ended:?}; {shown}");
    }

    // A request of another day brings the file, whatever this one has left.
    origin.lock().unwrap().faults.clear();
    let again = Req::download(server.url("/file"), &target).flags(SORTIE_REQUEST_RESUME);
    let ended = host.fetch(&again);
    assert!(ended.error == SORTIE_ERROR_NONE && matches!(ended.status, 200 | 206), "{ended:?}; {shown}");
    let body = origin.lock().unwrap().body();
    assert!(fs::read(&target).unwrap() == body, "{shown}");
    folder_is(&folder, &["file"], &shown);
}

#[track_caller]
fn folder_is(folder: &Folder, names: &[&str], shown: &str) {
    assert_eq!(folder.names(), names, "{shown}");
}

/// All scenarios whose seeds leave this rest, so that four processes share them.
fn scenarios(rest: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (only, count) = (number("SORTIE_TEST_SEED"), number("SORTIE_TEST_SCENARIOS").unwrap_or(SCENARIOS));
    for seed in (0..count).filter(|seed| seed % 4 == rest && only.is_none_or(|only| only == *seed)) {
        scenario(seed);
    }
}

#[test]
fn a_file_is_whole_or_as_it_was_1() {
    scenarios(0);
}

#[test]
fn a_file_is_whole_or_as_it_was_2() {
    scenarios(1);
}

#[test]
fn a_file_is_whole_or_as_it_was_3() {
    scenarios(2);
}

#[test]
fn a_file_is_whole_or_as_it_was_4() {
    scenarios(3);
}

#[test]
fn many_at_once_end_whole_while_the_program_changes_its_mind() {
    let mut dice = Dice(7);
    let hole = BlackHole::start();
    let server = Server::start();
    let host = Setup { receive_rate: 40_000_000, max_active_per_host: 6, ..Setup::default() }.start();
    let folder = Folder::new();
    let sizes: Vec<u64> = (0..40).map(|_| 1 + dice.roll(400_000)).collect();
    let ids: Vec<u64> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| {
            let hash = sha256(&sortie_test_server::pattern_vec(*size as usize));
            let request = Req::download(server.url(&format!("/bytes/{size}?etag=x")), folder.join(&n.to_string()));
            host.submit(&request.sha256(&hash).flags(SORTIE_REQUEST_RESUME).max_attempts(3).retry_delay_ms(1))
        })
        .collect();
    let stuck = host.get(hole.url("/"));
    for _ in 0..200 {
        let id = dice.of(&ids);
        match dice.roll(6) {
            0 => _ = host.pause(id),
            1 | 2 => _ = host.unpause(id),
            3 => _ = host.set_priority(id, dice.roll(3) as u32),
            4 => _ = host.set_rate(id, dice.roll(3) * 1_000_000, 0),
            _ => {
                host.suspend();
                host.resume();
            }
        }
        thread::sleep(Duration::from_micros(dice.roll(500)));
    }
    for id in &ids {
        host.unpause(*id);
        host.set_rate(*id, 0, 0);
    }
    for (n, (id, size)) in ids.iter().zip(&sizes).enumerate() {
        host.ended(*id).ok(200);
        assert_eq!(fs::metadata(folder.join(&n.to_string())).unwrap().len(), *size);
    }
    host.cancel(stuck);
    host.ended(stuck).failed(SORTIE_ERROR_CANCELLED);
    assert_eq!(folder.names().len(), 40);
}
