//! A process that is out of something: the request that needs it fails with its error, all others go on, and everything
//! works again once there is some.

#![cfg(target_os = "linux")]
#![allow(missing_docs, unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::fs;

use sortie_test_server::Server;
use support::*;

/// How many descriptors the process may have; the tests of this file have a process each.
const LIMIT: u64 = 200;

/// All descriptors that the process may still have.
struct Taken(Vec<i32>);

impl Taken {
    fn all() -> Taken {
        let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
        // SAFETY: a live struct.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
        let mut taken = Taken(Vec::new());
        taken.take_all();
        taken
    }

    fn take_all(&mut self) {
        // SAFETY: the standard error output is open; what is made is closed once.
        self.0.extend(std::iter::from_fn(|| Some(unsafe { libc::dup(2) }).filter(|taken| *taken >= 0)));
    }

    /// Gives some back.
    fn leave(&mut self, count: usize) {
        for taken in self.0.drain(..count) {
            // SAFETY: ours, and closed once.
            unsafe { libc::close(taken) };
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.leave(self.0.len());
    }
}

#[test]
fn without_a_descriptor_each_request_fails_for_itself() {
    isolated("without_a_descriptor_each_request_fails_for_itself", &[], each_request_fails_for_itself);
}

fn each_request_fails_for_itself() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let (gate, file) = (server.gate("held"), folder.file("file", b"text"));
    // One that runs all the while, and a connection that is there for others.
    let held = host.get(server.url("/gate/held"));
    assert!(gate.wait_for(1, DEADLINE));
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    let (one, other) = (Server::start(), Server::start());
    let stream = |server: &Server| Req::get(server.url("/bytes/1")).flags(SORTIE_REQUEST_STREAM_RESPONSE);
    let mut taken = Taken::all();
    for _ in 0..3 {
        let failed = |request: &Req, error| {
            let event = host.fetch(request);
            let message = event.failed(error);
            assert!(
                error == SORTIE_ERROR_RESOLVE || message.contains("descriptor") || message.contains("open files"),
                "{message}"
            );
        };
        failed(&stream(&server), SORTIE_ERROR_CONNECT);
        failed(&Req::get(one.url("/bytes/1")), SORTIE_ERROR_CONNECT);
        failed(&Req::get("http://nowhere.invalid/"), SORTIE_ERROR_RESOLVE);
        failed(&Req::get("https://127.0.0.1:1/"), SORTIE_ERROR_CONNECT);
        failed(&Req::upload(server.url("/upload"), &file), SORTIE_ERROR_FILE);
        let gzip = Req::upload(server.url("/upload"), &file).flags(SORTIE_REQUEST_GZIP_BODY);
        failed(&gzip, SORTIE_ERROR_FILE);
        failed(&Req::download(server.url("/bytes/1000"), folder.join("new")), SORTIE_ERROR_FILE);
        failed(
            &Req::download(server.url("/bytes/1000"), folder.join("new")).flags(SORTIE_REQUEST_RESUME),
            SORTIE_ERROR_FILE,
        );
        // What needs none goes on, over the connection that is there.
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        // With a few, some get further; nobody is harmed.
        for few in 1..8 {
            taken.leave(few);
            host.fetch(&stream(&other));
            taken.take_all();
            host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        }
    }
    drop(taken);
    gate.open();
    host.ended(held).ok(200);
    for server in [&server, &one, &other] {
        host.fetch(&stream(server)).ok(200);
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    }
    host.fetch(&Req::upload(server.url("/upload"), &file)).ok(200);
    host.fetch(&Req::download(server.url("/bytes/1000"), folder.join("new"))).ok(200);
    folder.holds(&["file", "new"]);
}

#[test]
fn a_client_without_a_descriptor_is_refused_for_that() {
    isolated("a_client_without_a_descriptor_is_refused_for_that", &[], a_client_is_refused);
}

fn a_client_is_refused() {
    let folder = Folder::new();
    let setup = Setup {
        cookie_file: Some(folder.join("cookies")),
        cache_directory: Some(folder.join("cache")),
        ..Setup::default()
    };
    setup.start().destroy();
    fs::write(folder.join("cookies"), "# Netscape HTTP Cookie File\n").unwrap();
    let mut taken = Taken::all();
    // With more and more, until it works.
    let mut refusals = 0;
    for few in 0.. {
        taken.leave(few);
        match setup.try_create() {
            Ok(client) => {
                Host::of(client).destroy();
                break;
            }
            Err(refused) => {
                assert_eq!(refused.result, SORTIE_RESULT_SYSTEM, "with {few}: {refused:?}");
            }
        }
        taken.take_all();
        refusals += 1;
    }
    assert!(refusals >= 3, "{refusals}");
    drop(taken);
    let (server, host) = (Server::start(), setup.start());
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

/// No thread can be made any more, in a process of its own.
fn without_threads() {
    // For the administrator there is no limit on threads; no one else has any yet.
    const NOBODY_ELSE: u32 = 54_321;
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a live struct.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit), 0);
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(NOBODY_ELSE), 0);
        }
    }
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "there are threads left");
}

#[test]
fn without_a_thread_each_request_fails_for_itself() {
    isolated("without_a_thread_each_request_fails_for_itself", &[], || {
        let (server, folder) = (Server::start(), Folder::new());
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let host = Setup { max_memory_cache_bytes: 1 << 20, ..Setup::default() }.start();
        host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
        without_threads();
        for _ in 0..3 {
            // libcurl waits for a thread to look a name up.
            let lookup = Req::get("http://nowhere.invalid/").connect_timeout_ms(300);
            host.fetch(&lookup).failed_as(&[SORTIE_ERROR_RESOLVE, SORTIE_ERROR_CONNECT_TIMEOUT]);
            host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
            // The disk's thread does what has none of its own, for once.
            let gzip = Req::new("POST", server.url("/upload")).flags(SORTIE_REQUEST_GZIP_BODY);
            host.fetch(&gzip.body(vec![b'x'; 1_000_000])).ok(200);
            host.fetch(&Req::get(server.url("/bytes/1000000"))).ok(200);
            host.fetch(&Req::download(server.url("/bytes/1000"), folder.join("new"))).ok(200);
            let refused = Setup::default().try_create().unwrap_err();
            assert_eq!(refused.result, SORTIE_RESULT_SYSTEM, "{refused:?}");
        }
    });
}
