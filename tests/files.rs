//! Bodies from and to files: whole or not at all, under the final name only when whole, and never a temporary file left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sortie_test_server::{Fnv, Framing, Gate, Outcome, Response, Server, fnv, pattern, pattern_vec};
use support::*;

/// A server whose `/half` sends `HALF` of twice as many bytes and waits at the gate with the rest.
fn half_server(gate: &Gate) -> Server {
    let gate = gate.clone();
    Server::builder()
        .handler(move |request, conn| {
            if request.path() != "/half" {
                return Ok(None);
            }
            conn.start(&Response::new(200), Framing::Length(2 * HALF))?;
            conn.write_pattern(0, HALF)?;
            conn.wait_at(&gate)?;
            conn.write_pattern(HALF, HALF)?;
            Ok(Some(Outcome::Done))
        })
        .start()
}

const HALF: u64 = 300_000;

/// A download of `/half` that has its first half.
fn half_way(host: &Host, server: &Server, path: &Path) -> u64 {
    let id = host.submit(&Req::download(server.url("/half"), path).progress(SORTIE_PROGRESS_DOWNLOAD));
    host.await_event(id, |event| event.transferred == HALF);
    id
}

#[test]
fn a_download_appears_whole_under_its_name() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.join("file.bin");
    let event = host.fetch(&Req::download(server.url("/bytes/3000000"), &path));
    event.ok(200);
    assert_eq!((event.body, event.file_path.as_deref()), (None, path.to_str()));
    assert_eq!((event.transferred, event.estimated), (3_000_000, 3_000_000));
    assert!(fs::read(&path).unwrap() == pattern_vec(3_000_000));
    folder.holds(&["file.bin"]);
}

#[test]
fn sortie_download_and_sortie_upload_go_to_and_from_files() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let (from, to) = (folder.file("from", &pattern_vec(5000)), folder.join("to"));
    let mut strings = Strings::default();
    let (from, to) = (strings.text(path_text(&from)), strings.text(path_text(&to)));
    let (down, up, kind) =
        (strings.text(&server.url("/bytes/5000")), strings.text(&server.url("/upload")), strings.text("image/png"));
    let (mut one, mut two, mut three) = (0, 0, 0);
    #[allow(unsafe_code)]
    // SAFETY: a live client, strings and writable ids.
    unsafe {
        assert_eq!(sortie_download(host.raw(), down, to, 1, &mut one), SORTIE_OK);
        assert_eq!(sortie_upload(host.raw(), up, from, kind, 2, &mut two), SORTIE_OK);
        assert_eq!(sortie_upload(host.raw(), up, from, std::ptr::null(), 3, &mut three), SORTIE_OK);
    }
    for (id, user_data) in [(one, 1), (two, 2), (three, 3)] {
        let events = host.events(host.accepted(id));
        assert_eq!(events[0].kind, SORTIE_EVENT_BEGAN, "they ask for progress");
        let end = events.last().unwrap().ok(200);
        assert_eq!((end.user_data, end.transferred, end.estimated), (user_data, 5000, 5000));
        if id != one {
            assert_eq!(end.text().trim(), format!("5000 {:016x}", fnv(&pattern_vec(5000))));
        }
    }
    let mut types: Vec<_> =
        server.requests().iter().filter_map(|request| request.header("Content-Type").map(str::to_owned)).collect();
    types.sort();
    assert_eq!(types, ["application/octet-stream", "image/png"]);
    assert_eq!(fs::read(folder.join("to")).unwrap(), pattern_vec(5000));
    folder.holds(&["from", "to"]);
}

#[test]
fn an_empty_body_makes_an_empty_file() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("file", b"old");
    host.fetch(&Req::download(server.url("/bytes/0"), &path)).ok(200);
    assert_eq!(fs::read(&path).unwrap(), b"");
    folder.holds(&["file"]);
}

#[test]
fn the_old_file_stays_until_the_new_one_is_whole() {
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let path = folder.file("file", b"old");
    let id = half_way(&host, &server, &path);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    gate.open();
    assert_eq!(host.ended(id).ok(200).file_path.as_deref(), path.to_str());
    assert!(fs::read(&path).unwrap() == pattern_vec(2 * HALF as usize));
    folder.holds(&["file"]);
}

#[test]
fn a_file_that_is_open_elsewhere_keeps_its_old_bytes_there() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("file", b"old bytes");
    let mut reader = File::open(&path).unwrap();
    host.fetch(&Req::download(server.url("/bytes/100"), &path)).ok(200);
    let mut old = Vec::new();
    reader.read_to_end(&mut old).unwrap();
    assert_eq!(old, b"old bytes", "replaced in one step, not overwritten");
    assert_eq!(fs::read(&path).unwrap(), pattern_vec(100));
}

#[test]
fn compressed_and_unannounced_bodies_are_whole_in_the_file() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    for path in ["/gzip?bytes=500000", "/deflate?bytes=500000", "/chunked?bytes=500000", "/no-length?bytes=500000"] {
        let file = folder.join("file");
        host.fetch(&Req::download(server.url(path), &file)).ok(200);
        assert!(fs::read(&file).unwrap() == pattern_vec(500_000), "{path}");
    }
    folder.holds(&["file"]);
}

#[test]
fn a_file_may_go_without_sync() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let ids: Vec<u64> = (0..50)
        .map(|i| {
            let path = folder.join(&format!("file{i}"));
            host.submit(&Req::download(server.url(&format!("/bytes/{i}")), path).flags(SORTIE_REQUEST_NO_SYNC))
        })
        .collect();
    for (i, event) in host.all_ended(&ids).iter().enumerate() {
        event.ok(200);
        assert_eq!(fs::read(folder.join(&format!("file{i}"))).unwrap(), pattern_vec(i));
    }
    assert_eq!(folder.names().len(), 50);
}

#[test]
fn a_failed_download_leaves_the_target_alone() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("file", b"old");
    for (url, error) in [
        ("/reset?after=100000", SORTIE_ERROR_RECEIVE),
        ("/reset?after=0", SORTIE_ERROR_RECEIVE),
        ("/truncate?declared=200000&sent=100000", SORTIE_ERROR_RECEIVE),
        ("/truncated-chunks", SORTIE_ERROR_RECEIVE),
        ("/bad-gzip", SORTIE_ERROR_DECODE),
        ("/bad-gzip?kind=truncated", SORTIE_ERROR_DECODE),
        ("/garbage", SORTIE_ERROR_PROTOCOL),
    ] {
        for target in [path.clone(), folder.join("new")] {
            let event = host.fetch(&Req::download(server.url(url), target));
            assert_eq!((event.error, event.file_path.as_deref()), (error, None), "{url}: {:?}", event.message);
            assert_eq!(fs::read(&path).unwrap(), b"old", "{url}");
            folder.holds(&["file"]);
        }
    }
    let stalled = Req::download(server.url("/stall?sent=500"), &path);
    host.fetch(&stalled.clone().stall_timeout_ms(200)).failed(SORTIE_ERROR_STALLED);
    folder.holds(&["file"]);
    host.fetch(&stalled.timeout_ms(200)).failed(SORTIE_ERROR_TIMEOUT);
    folder.holds(&["file"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn an_error_response_leaves_the_target_alone_and_arrives_as_the_body() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("file", b"old");
    for (url, status, body) in [
        ("/status/404?body=not+here", 404, "not here"),
        ("/status/500?body=sorry", 500, "sorry"),
        ("/status/300?body=choose", 300, "choose"),
        ("/status/404", 404, ""),
        ("/304", 304, ""),
    ] {
        let event = host.fetch(&Req::download(server.url(url), &path));
        assert_eq!((event.ok(status).text(), event.file_path.as_deref()), (body, None), "{url}");
        assert_eq!(fs::read(&path).unwrap(), b"old", "{url}");
        folder.holds(&["file"]);
    }
    let manual = Req::download(server.url("/redirect/1"), folder.join("new")).flags(SORTIE_REQUEST_MANUAL_REDIRECTS);
    assert_eq!(host.fetch(&manual).ok(302).text(), "see /bytes/2\n");
    folder.holds(&["file"]);
}

#[test]
fn a_large_error_response_still_has_its_cap() {
    let (host, folder) = (Setup { max_body_bytes: 1000, ..Setup::default() }.start(), Folder::new());
    let server =
        Server::builder().handler(|_, conn| conn.send(&Response::new(500).body(vec![b'x'; 1001])).map(Some)).start();
    host.fetch(&Req::download(server.url("/"), folder.join("file"))).failed(SORTIE_ERROR_BODY_TOO_LARGE);
    folder.holds(&[]);
}

#[test]
fn a_cancelled_download_leaves_nothing() {
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let (old, new) = (folder.file("old", b"old"), folder.join("new"));
    for path in [&old, &new] {
        let id = half_way(&host, &server, path);
        assert_eq!(host.cancel(id), SORTIE_OK);
        let event = host.ended(id);
        event.failed(SORTIE_ERROR_CANCELLED);
        assert_eq!(event.file_path, None);
        folder.holds(&["old"]);
    }
    assert_eq!(fs::read(&old).unwrap(), b"old");
}

#[test]
fn a_destroyed_client_leaves_no_unfinished_file() {
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let old = folder.file("old", b"old");
    half_way(&host, &server, &old);
    for i in 0..10 {
        half_way(&host, &server, &folder.join(&format!("new{i}")));
    }
    host.destroy();
    // They are gone when it returns, unless the disk itself takes longer than destroy may.
    until("their removal", || folder.names() == ["old"]);
    assert_eq!(fs::read(&old).unwrap(), b"old");
}

#[test]
fn what_a_killed_process_left_does_not_stand_in_the_way() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    folder.file("file.sortie-part", &[b'x'; 100_000]);
    let path = folder.join("file");
    host.fetch(&Req::download(server.url("/bytes/10"), &path)).ok(200);
    assert_eq!(fs::read(&path).unwrap(), pattern_vec(10));
    folder.holds(&["file"]);
}

#[test]
fn every_base_directory_is_one() {
    let (server, folder) = (Server::start(), Folder::new());
    let base = |name: &str| {
        fs::create_dir(folder.join(name)).unwrap();
        Some(folder.join(name))
    };
    let host = Setup {
        documents: base("documents"),
        temporary: base("temporary"),
        caches: base("caches"),
        application_support: base("support"),
        resource: base("resource"),
        ..Setup::default()
    }
    .start();
    for (directory, name) in [
        (SORTIE_DIRECTORY_DOCUMENTS, "documents"),
        (SORTIE_DIRECTORY_TEMPORARY, "temporary"),
        (SORTIE_DIRECTORY_CACHES, "caches"),
        (SORTIE_DIRECTORY_APPLICATION_SUPPORT, "support"),
    ] {
        let event = host.fetch(&Req::download(server.url("/bytes/5"), "file").below(directory));
        let full = folder.join(name).join("file");
        assert_eq!(event.ok(200).file_path.as_deref(), full.to_str());
        assert_eq!(fs::read(full).unwrap(), pattern_vec(5));
        let sent = host.fetch(&Req::upload(server.url("/echo"), "file").below(directory));
        assert_eq!(sent.ok(200).bytes(), pattern_vec(5));
    }
    fs::write(folder.join("resource/level"), "data").unwrap();
    let sent = host.fetch(&Req::upload(server.url("/echo"), "level").below(SORTIE_DIRECTORY_RESOURCE));
    assert_eq!(sent.ok(200).bytes(), b"data");
}

#[test]
fn a_client_stays_where_it_was_created() {
    const TEST: &str = "a_client_stays_where_it_was_created";
    isolated(TEST, &[], || {
        let (server, folder) = (Server::builder().tls(true).start(), Folder::new());
        let (here, elsewhere) = (folder.join("here"), folder.join("elsewhere"));
        for directory in ["here", "here/documents", "here/temporary", "elsewhere"] {
            fs::create_dir(folder.join(directory)).unwrap();
        }
        fs::copy(server.ca_pem(), here.join("ca")).unwrap();
        std::env::set_current_dir(&here).unwrap();
        let host = Setup {
            documents: Some("documents".into()),
            temporary: Some("./temporary".into()),
            ca_file: Some("ca".into()),
            cookie_file: Some("cookies".into()),
            cache_directory: Some("../here/cache".into()),
            ..Setup::default()
        }
        .start();
        std::env::set_current_dir(&elsewhere).unwrap();
        let event = host.fetch(&Req::download(server.url("/bytes/5"), "a/./b").below(SORTIE_DIRECTORY_DOCUMENTS));
        let full = fs::canonicalize(&here).unwrap().join("documents/a/b");
        assert_eq!(event.ok(200).file_path.as_deref(), full.to_str());
        assert_eq!(fs::read(full).unwrap(), pattern_vec(5));
        let upload = Req::upload(server.url("/echo"), "a/b").below(SORTIE_DIRECTORY_DOCUMENTS);
        assert_eq!(host.fetch(&upload).ok(200).bytes(), pattern_vec(5));
        host.fetch(&upload.flags(SORTIE_REQUEST_GZIP_BODY)).ok(200);
        host.try_set_cookie(&server.url("/"), "a=1; Max-Age=1000").unwrap();
        host.destroy();
        assert!(here.join("cookies").is_file() && here.join("cache/lock.sortie-cache").is_file());
        // A path of the operating system is relative to where the program is when it submits.
        let host = Setup { ca_file: Some(here.join("ca")), ..Setup::default() }.start();
        host.suspend();
        let id = host.submit(&Req::download(server.url("/bytes/5"), "c"));
        std::env::set_current_dir(&here).unwrap();
        host.resume();
        let full = fs::canonicalize(&elsewhere).unwrap().join("c");
        assert_eq!(host.ended(id).ok(200).file_path.as_deref(), full.to_str());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    });
}

#[test]
fn missing_folders_below_a_base_are_made_and_nowhere_else() {
    let (server, folder) = (Server::start(), Folder::new());
    fs::create_dir(folder.join("base")).unwrap();
    let host = Setup { caches: Some(folder.join("base")), ..Setup::default() }.start();
    let deep = Req::download(server.url("/bytes/5"), "a/b/./c.bin").below(SORTIE_DIRECTORY_CACHES);
    host.fetch(&deep).ok(200);
    assert_eq!(fs::read(folder.join("base/a/b/c.bin")).unwrap(), pattern_vec(5));
    let plain = host.fetch(&Req::download(server.url("/bytes/5"), folder.join("x/y.bin")));
    assert!(plain.failed(SORTIE_ERROR_FILE).contains("y.bin"), "{:?}", plain.message);
    folder.holds(&["base", "base/a", "base/a/b", "base/a/b/c.bin"]);
}

#[test]
#[cfg(unix)]
fn a_link_out_of_its_base_is_refused() {
    use std::os::unix::fs::symlink;
    let (server, folder) = (Server::start(), Folder::new());
    fs::create_dir(folder.join("base")).unwrap();
    fs::create_dir(folder.join("outside")).unwrap();
    folder.file("outside/secret", b"secret");
    symlink(folder.join("outside"), folder.join("base/absolute")).unwrap();
    symlink("../outside", folder.join("base/relative")).unwrap();
    symlink(folder.join("outside/secret"), folder.join("base/file")).unwrap();
    let host = Setup { documents: Some(folder.join("base")), ..Setup::default() }.start();
    for name in ["absolute/new", "relative/new", "absolute/deep/new", "absolute/secret"] {
        let event = host.fetch(&Req::download(server.url("/bytes/5"), name).below(SORTIE_DIRECTORY_DOCUMENTS));
        assert!(event.failed(SORTIE_ERROR_FILE).contains("new") || name.ends_with("secret"), "{:?}", event.message);
    }
    let before = server.request_count();
    for name in ["absolute/secret", "relative/secret", "file"] {
        let event = host.fetch(&Req::upload(server.url("/upload"), name).below(SORTIE_DIRECTORY_DOCUMENTS));
        event.failed(SORTIE_ERROR_FILE);
    }
    assert_eq!(server.request_count(), before, "not a byte of it was sent");
    // Writing to the link itself may replace the link, but never what it leads to.
    host.fetch(&Req::download(server.url("/bytes/5"), "file").below(SORTIE_DIRECTORY_DOCUMENTS));
    assert_eq!(fs::read(folder.join("outside/secret")).unwrap(), b"secret");
    folder.holds(&["base", "base/absolute", "base/file", "base/relative", "outside", "outside/secret"]);
}

#[test]
#[cfg(unix)]
fn a_link_within_its_base_is_followed() {
    let (server, folder) = (Server::start(), Folder::new());
    fs::create_dir_all(folder.join("base/real")).unwrap();
    std::os::unix::fs::symlink("real", folder.join("base/link")).unwrap();
    let host = Setup { documents: Some(folder.join("base")), ..Setup::default() }.start();
    host.fetch(&Req::download(server.url("/bytes/5"), "link/file").below(SORTIE_DIRECTORY_DOCUMENTS)).ok(200);
    assert_eq!(fs::read(folder.join("base/real/file")).unwrap(), pattern_vec(5));
}

#[test]
fn a_vanished_folder_is_a_file_error() {
    let (gate, folder) = (Gate::new(), Folder::new());
    let server = half_server(&gate);
    for name in ["base", "before", "during"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let host = Setup { documents: Some(folder.join("base")), ..Setup::default() }.start();
    fs::remove_dir(folder.join("base")).unwrap();
    let event = host.fetch(&Req::download(server.url("/bytes/5"), "file").below(SORTIE_DIRECTORY_DOCUMENTS));
    assert!(event.failed(SORTIE_ERROR_FILE).contains("base"), "{:?}", event.message);
    fs::remove_dir(folder.join("before")).unwrap();
    let event = host.fetch(&Req::download(server.url("/bytes/5"), folder.join("before/file")));
    assert!(event.failed(SORTIE_ERROR_FILE).contains("before"), "{:?}", event.message);
    // While it is being written to.
    let id = half_way(&host, &server, &folder.join("during/file"));
    fs::remove_dir_all(folder.join("during")).unwrap();
    gate.open();
    assert!(host.ended(id).failed(SORTIE_ERROR_FILE).contains("during"));
    folder.holds(&[]);
    host.fetch(&Req::get(server.url("/bytes/5"))).ok(200);
}

#[test]
fn a_file_that_cannot_be_made_is_a_file_error() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    folder.file("file", b"old");
    fs::create_dir(folder.join("folder")).unwrap();
    folder.file("folder/inside", b"x");
    let mut targets = vec![folder.join("file/below-a-file"), folder.join("folder")];
    if cfg!(target_os = "linux") {
        // Read-only even for root, who ignores modes.
        targets.push(PathBuf::from("/proc/sortie-test"));
        targets.push(PathBuf::from("/sys/sortie-test"));
    }
    targets.push(folder.join(&"n".repeat(300)));
    for target in targets {
        let event = host.fetch(&Req::download(server.url("/bytes/5"), &target));
        let name = target.file_name().unwrap().to_str().unwrap();
        assert!(event.failed(SORTIE_ERROR_FILE).contains(name), "the message names the file: {:?}", event.message);
        host.fetch(&Req::get(server.url("/bytes/5"))).ok(200);
    }
    folder.holds(&["file", "folder", "folder/inside"]);
    assert_eq!(fs::read(folder.join("file")).unwrap(), b"old");
}

#[test]
#[cfg(unix)]
fn a_read_only_folder_is_a_file_error() {
    use std::os::unix::fs::PermissionsExt;
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let read_only = folder.join("folder");
    fs::create_dir(&read_only).unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(read_only.join("probe"), "").is_ok() {
        println!("skipped: modes do not hold this user back; a_file_that_cannot_be_made_is_a_file_error covers it");
        return;
    }
    host.fetch(&Req::download(server.url("/bytes/5"), read_only.join("file"))).failed(SORTIE_ERROR_FILE);
    folder.holds(&["folder"]);
}

/// A small file system of this thread's own, gone with the process.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn mount_small(at: &Path) -> std::io::Result<()> {
    let checked = |result: i32| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    let at = std::ffi::CString::new(path_text(at)).unwrap();
    // SAFETY: a flag and NUL-terminated strings; NULL where mount() takes it.
    unsafe {
        checked(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        checked(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()))?;
        checked(libc::mount(c"none".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=1m".as_ptr().cast()))
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_its_own_error() {
    // In a process and a thread of its own: the mount is only for what this thread starts.
    isolated("a_full_disk_is_its_own_error", &[], || {
        let (server, folder) = (Server::start(), Folder::new());
        fs::create_dir(folder.join("small")).unwrap();
        if let Err(error) = mount_small(&folder.join("small")) {
            println!("skipped: no file system can be mounted here: {error}");
            return;
        }
        let host = Host::new();
        let old = folder.file("small/old", b"old");
        for (path, url) in [(&old, "/bytes/3000000"), (&folder.join("small/new"), "/chunked?bytes=3000000&chunk=60000")]
        {
            let event = host.fetch(&Req::download(server.url(url), path));
            assert!(event.failed(SORTIE_ERROR_DISK_FULL).contains(path_text(path)), "{:?}", event.message);
            folder.holds(&["small", "small/old"]);
        }
        assert_eq!(fs::read(&old).unwrap(), b"old");
        // What fits, fits.
        host.fetch(&Req::download(server.url("/bytes/500000"), &old)).ok(200);
        assert_eq!(fs::read(&old).unwrap().len(), 500_000);
        folder.holds(&["small", "small/old"]);
    });
}

#[test]
fn a_second_download_to_the_same_file_is_refused_while_the_first_runs() {
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let path = folder.join("file");
    let first = half_way(&host, &server, &path);
    let second = host.fetch(&Req::download(server.url("/bytes/5"), &path));
    assert!(second.failed(SORTIE_ERROR_FILE).contains("another request"), "{:?}", second.message);
    // Nor from another client of this process.
    let other = Host::new();
    other.fetch(&Req::download(server.url("/bytes/5"), &path)).failed(SORTIE_ERROR_FILE);
    gate.open();
    host.ended(first).ok(200);
    assert!(fs::read(&path).unwrap() == pattern_vec(2 * HALF as usize), "the first was not disturbed");
    folder.holds(&["file"]);
    other.fetch(&Req::download(server.url("/bytes/5"), &path)).ok(200);
    assert_eq!(fs::read(&path).unwrap(), pattern_vec(5));
    folder.holds(&["file"]);
}

#[test]
fn many_downloads_to_one_file_leave_one_whole_file() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.join("file");
    let ids: Vec<u64> =
        (1..=60).map(|i| host.submit(&Req::download(server.url(&format!("/bytes/{}", i * 10_000)), &path))).collect();
    let mut whole = 0;
    for event in host.all_ended(&ids) {
        match event.error {
            SORTIE_ERROR_NONE => whole += 1,
            _ => assert!(event.failed(SORTIE_ERROR_FILE).contains("another request"), "{:?}", event.message),
        }
    }
    assert!(whole >= 1);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() % 10_000 == 0 && bytes == pattern_vec(bytes.len()), "{} bytes", bytes.len());
    folder.holds(&["file"]);
}

#[test]
fn a_file_is_uploaded_whole() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    for size in [0, 1, 16_384, 7_000_000] {
        let file = folder.file("file", &pattern_vec(size));
        let event = host.fetch(&Req::upload(server.url("/upload"), &file));
        assert_eq!(event.ok(200).text().trim(), format!("{size} {:016x}", fnv(&pattern_vec(size))));
        let request = server.requests().pop().unwrap();
        assert_eq!(request.header("Content-Length"), Some(size.to_string().as_str()));
        assert_eq!(request.header("Transfer-Encoding"), None);
    }
    let file = folder.file("file", b"abc");
    let both = Req { body_path: Some(file), ..Req::download(server.url("/echo"), folder.join("copy")) };
    host.fetch(&Req { method: Some("PUT".into()), ..both }).ok(200);
    assert_eq!(fs::read(folder.join("copy")).unwrap(), b"abc", "from a file to a file");
    folder.holds(&["copy", "file"]);
}

#[test]
fn a_file_that_changes_while_it_is_sent_never_sends_more_or_less_than_announced() {
    // More than the socket's buffers take, so that most of it is still on the disk when it changes.
    const SIZE: usize = 64 << 20;
    let (folder, host) = (Folder::new(), Host::new());
    let begin = |change: &dyn Fn(&Path)| {
        let (started, gate) = (Arc::new(AtomicBool::new(false)), Gate::new());
        let server = slow_reader(&started, &gate);
        let path = folder.file("file", &vec![7; SIZE]);
        let id = host.submit(&Req::upload(server.url("/slow-reader"), &path));
        until("the upload's start", || started.load(Ordering::SeqCst));
        change(&path);
        gate.open();
        (host.ended(id), server.requests().pop().unwrap())
    };
    let (shrunk, request) = begin(&|path| File::options().write(true).open(path).unwrap().set_len(1 << 20).unwrap());
    assert!(shrunk.failed(SORTIE_ERROR_FILE).contains("file"), "{:?}", shrunk.message);
    assert!(!request.body_complete, "the server was not told that this is all");

    let (grown, request) = begin(&|path| {
        File::options().append(true).open(path).unwrap().write_all(&[9; 100_000]).unwrap();
    });
    grown.ok(200);
    assert_eq!((request.body_length, request.body_complete), (SIZE as u64, true), "what was there at the start");

    if cfg!(unix) {
        let (gone, request) = begin(&|path| fs::remove_file(path).unwrap());
        gone.ok(200);
        assert_eq!((request.body_length, request.body_complete), (SIZE as u64, true), "it is still open");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_file_error_and_nothing_is_sent() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let mut paths = vec![folder.join("missing"), folder.join("no-folder/file")];
    fs::create_dir(folder.join("folder")).unwrap();
    paths.push(folder.join("folder"));
    folder.file("file", b"x");
    paths.push(folder.join("file/below"));
    for path in paths {
        let event = host.fetch(&Req::upload(server.url("/upload"), &path));
        assert!(event.failed(SORTIE_ERROR_FILE).contains(path_text(&path)), "{:?}", event.message);
        assert_eq!(event.status, 0);
    }
    assert_eq!(server.request_count(), 0);
    host.fetch(&Req::get(server.url("/bytes/5"))).ok(200);
}

/// Makes a named pipe.
#[cfg(unix)]
fn make_pipe(path: PathBuf) -> PathBuf {
    let name = std::ffi::CString::new(path_text(&path)).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: a NUL-terminated string.
    let made = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    assert_eq!(made, 0);
    path
}

#[test]
#[cfg(unix)]
fn creation_never_waits_for_a_pipe() {
    let folder = Folder::new();
    let pipe = make_pipe(folder.join("pipe"));
    let link = folder.join("link");
    std::os::unix::fs::symlink("pipe", &link).unwrap();
    let certificate = folder.file("certificate", b"");
    let cache = folder.join("cache");
    fs::create_dir(&cache).unwrap();
    make_pipe(cache.join("lock.sortie-cache"));
    let of_host = |certificate: &Path, key: Option<&Path>| Setup {
        client_certificates: vec![("x".into(), certificate.to_owned(), key.map(Path::to_owned), None)],
        ..Setup::default()
    };
    let refused = |setup: Setup, what: &str, named: &Path| {
        let refused = setup.try_create().unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_PATH, "{}", refused.message);
        let message = refused.message;
        assert!(message.contains(what) && message.contains(path_text(named)), "{message}");
        assert!(message.contains("not a regular file"), "{message}");
    };
    for odd in [&pipe, &link] {
        refused(Setup { ca_file: Some(odd.clone()), ..Setup::default() }, "ca_file", odd);
        refused(of_host(odd, None), "certificate_file", odd);
        refused(of_host(&certificate, Some(odd)), "key_file", odd);
    }
    refused(Setup { cookie_file: Some(pipe.clone()), ..Setup::default() }, "cookie_file", &pipe);
    refused(Setup { cache_directory: Some(cache.clone()), ..Setup::default() }, "cache_directory", &cache);
}

#[test]
#[cfg(unix)]
fn a_pipe_that_the_environment_names_is_not_waited_for() {
    const TEST: &str = "a_pipe_that_the_environment_names_is_not_waited_for";
    let folder = Folder::new();
    let pipe = make_pipe(folder.join("pipe"));
    let environment = [("SSL_CERT_FILE", path_text(&pipe)), ("SSL_CERT_DIR", path_text(folder.path()))];
    isolated(TEST, &environment, || {
        let (secure, plain) = (Server::builder().tls(true).start(), Server::start());
        let host = Host::new();
        host.fetch(&Req::get(secure.url("/bytes/1"))).failed(SORTIE_ERROR_CERTIFICATE);
        host.fetch(&Req::get(plain.url("/bytes/1"))).ok(200);
    });
}

#[test]
#[cfg(unix)]
fn a_cache_does_not_wait_for_a_pipe_in_an_entry_s_place() {
    let server = Server::builder()
        .handler(|_, conn| conn.send(&Response::new(200).header("Cache-Control", "max-age=99").body("x")).map(Some))
        .start();
    let folder = Folder::new();
    let setup = Setup { cache_directory: Some(folder.path().to_owned()), ..Setup::default() };
    let entries = || folder.names().into_iter().filter(|name| !name.starts_with("lock.")).collect::<Vec<_>>();
    let host = setup.start();
    host.fetch(&Req::get(server.url("/"))).ok(200);
    until("the entry", || entries().len() == 1 && !entries()[0].contains("part"));
    let entry = folder.join(&entries()[0]);
    fs::remove_file(&entry).unwrap();
    make_pipe(entry);
    host.fetch(&Req::get(server.url("/"))).ok(200);
    host.destroy();
    setup.start().fetch(&Req::get(server.url("/"))).ok(200);
    assert_eq!(entries().len(), 1, "what is not ours stays");
}

#[test]
#[cfg(unix)]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let pipe = make_pipe(folder.join("pipe"));
    let mut odd = vec![pipe.clone()];
    if cfg!(target_os = "linux") {
        odd.push("/dev/zero".into());
    }
    for path in odd {
        let event = host.fetch(&Req::upload(server.url("/upload"), &path));
        assert!(event.failed(SORTIE_ERROR_FILE).contains(path_text(&path)), "{:?}", event.message);
    }
    assert_eq!(server.request_count(), 0);
}

/// What lies at a path, by its kind, its device or inode, and what it holds.
#[cfg(unix)]
fn what_lies_at(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(path).unwrap();
    format!("{:?} {} {} {:o}", found.file_type(), found.ino(), found.rdev(), found.mode())
}

#[test]
#[cfg(unix)]
fn a_target_that_is_no_file_is_left_alone() {
    let (server, folder) = (Server::start(), Folder::new());
    let host = Setup { caches: Some(folder.path().to_owned()), ..Setup::default() }.start();
    let mut odd = vec![make_pipe(folder.join("pipe"))];
    let _listener = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    odd.push(folder.join("socket"));
    fs::create_dir(folder.join("directory")).unwrap();
    odd.push(folder.join("directory"));
    for (name, kind) in [("character", libc::S_IFCHR), ("block", libc::S_IFBLK)] {
        let path = folder.join(name);
        let text = std::ffi::CString::new(path_text(&path)).unwrap();
        // The null device's numbers, and a loop device's that is hardly there.
        let device = if name == "block" { libc::makedev(7, 250) } else { libc::makedev(1, 3) };
        #[allow(unsafe_code)]
        // SAFETY: a NUL-terminated string.
        let made = unsafe { libc::mknod(text.as_ptr(), kind | 0o600, device) } == 0;
        if made {
            odd.push(path);
        } else {
            println!("only root makes devices: {name} is left out");
        }
    }
    let names = folder.names();
    for path in &odd {
        let before = what_lies_at(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        let url = server.url("/bytes/5");
        for request in [
            Req::download(&url, path),
            Req::download(&url, path).flags(SORTIE_REQUEST_RESUME),
            Req::download(&url, path).flags(SORTIE_REQUEST_NO_SYNC),
            Req::download(&url, name).below(SORTIE_DIRECTORY_CACHES),
        ] {
            let event = host.fetch(&request);
            assert!(event.failed(SORTIE_ERROR_FILE).contains(path_text(path)), "{:?}", event.message);
            assert_eq!(what_lies_at(path), before);
            assert_eq!(folder.names(), names);
        }
    }
    host.fetch(&Req::get(server.url("/bytes/5"))).ok(200);
}

#[test]
#[cfg(unix)]
fn a_target_that_turns_into_a_pipe_meanwhile_is_left_alone() {
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let path = folder.join("file");
    let id = half_way(&host, &server, &path);
    until("the part", || folder.join("file.sortie-part").exists());
    make_pipe(path.clone());
    let before = what_lies_at(&path);
    gate.open();
    host.ended(id).failed(SORTIE_ERROR_FILE);
    assert_eq!(what_lies_at(&path), before);
    folder.holds(&["file"]);
}

#[test]
#[cfg(unix)]
fn a_link_is_replaced_and_what_it_leads_to_is_left_alone() {
    use std::os::unix::fs::symlink;
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let (real, link) = (folder.file("real", b"real"), folder.join("link"));
    make_pipe(folder.join("pipe"));
    let before = what_lies_at(&folder.join("pipe"));
    for to in ["real", "pipe", "nowhere", "link"] {
        let _ = fs::remove_file(&link);
        symlink(to, &link).unwrap();
        host.fetch(&Req::download(server.url("/bytes/5"), &link)).ok(200);
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        assert_eq!((fs::read(&link).unwrap(), fs::read(&real).unwrap()), (pattern_vec(5), b"real".to_vec()));
    }
    // Another name of the same file keeps what it had.
    fs::hard_link(&real, folder.join("other")).unwrap();
    host.fetch(&Req::download(server.url("/bytes/5"), &real)).ok(200);
    assert_eq!(fs::read(folder.join("other")).unwrap(), b"real");
    assert_eq!(what_lies_at(&folder.join("pipe")), before);
    folder.holds(&["link", "other", "pipe", "real"]);
}

#[test]
#[cfg(unix)]
fn a_file_has_the_permissions_of_the_one_that_it_replaces() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let path = folder.join("file");
    // While it is on its way, it is its owner's alone.
    let id = half_way(&host, &server, &path);
    until("the part", || folder.join("file.sortie-part").exists());
    assert_eq!(mode(&folder.join("file.sortie-part")), 0o600);
    gate.open();
    host.ended(id).ok(200);
    // A new one has what every new file of this process has.
    assert_eq!(mode(&path), mode(&folder.file("any", b"")));
    for wanted in [0o600, 0o640, 0o444, 0o755, 0o666] {
        for flags in [0, SORTIE_REQUEST_RESUME] {
            fs::set_permissions(&path, PermissionsExt::from_mode(wanted)).unwrap();
            host.fetch(&Req::download(server.url("/bytes/5"), &path).flags(flags)).ok(200);
            assert_eq!((mode(&path), fs::read(&path).unwrap()), (wanted, pattern_vec(5)));
        }
    }
    // What runs with its owner's rights does so because of what it was.
    fs::set_permissions(&path, PermissionsExt::from_mode(0o6755)).unwrap();
    host.fetch(&Req::download(server.url("/bytes/5"), &path)).ok(200);
    assert_eq!(mode(&path), 0o755);
    folder.holds(&["any", "file"]);
    #[allow(unsafe_code)]
    // SAFETY: may be called at any time.
    if unsafe { libc::geteuid() } != 0 {
        println!("not run as root: owners are left out");
        return;
    }
    let owner = |path: &Path| fs::metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
    let own = owner(&path);
    // Whose the folder is, his file stays.
    let set = |path: &Path, mode| {
        chown(path, Some(1111), Some(2222)).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    chown(folder.path(), Some(1111), None).unwrap();
    set(&path, 0o640);
    host.fetch(&Req::download(server.url("/bytes/5"), &path)).ok(200);
    assert_eq!((owner(&path), mode(&path)), ((1111, 2222), 0o640));
    // In another's folder he may have put it there so as to own what comes.
    chown(folder.path(), Some(own.0), None).unwrap();
    set(&path, 0o666);
    host.fetch(&Req::download(server.url("/bytes/5"), &path)).ok(200);
    assert_eq!((owner(&path), mode(&path)), (own, mode(&folder.join("any"))));
    // Our own file in another group keeps it.
    chown(&path, None, Some(2222)).unwrap();
    host.fetch(&Req::download(server.url("/bytes/5"), &path)).ok(200);
    assert_eq!(owner(&path), (own.0, 2222));
}

#[test]
fn every_name_that_the_file_system_takes_is_one() {
    const TAG: &str = "\"one\"";
    let (gate, folder) = (Gate::new(), Folder::new());
    let cut = Arc::new(AtomicBool::new(false));
    let (server, breaks) = (Server::start(), Arc::clone(&cut));
    let resumable = Server::builder()
        .handler(move |request, conn| {
            let from = request.header("Range").map_or(0, |range| {
                assert_eq!(request.header("If-Range"), Some(TAG));
                range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
            });
            let head = match from {
                0 => "200 OK".to_owned(),
                _ => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{HALF}", HALF - 1),
            };
            let length = HALF - from;
            conn.write(format!("HTTP/1.1 {head}\r\nETag: {TAG}\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
            let breaks = breaks.load(Ordering::SeqCst);
            conn.write_pattern(from, if breaks { length / 2 } else { length })?;
            if breaks { conn.close_lingering().map(Some) } else { Ok(Some(Outcome::Done)) }
        })
        .start();
    let host = Setup { caches: Some(folder.path().to_owned()), ..Setup::default() }.start();
    let mut names: Vec<String> = [1, 100, 101, 128, 200, 240, 241, 242, 243, 244, 250, 254, 255]
        .into_iter()
        .map(|length| "n".repeat(length))
        .collect();
    names.push("\u{e4}".repeat(127));
    names.push(format!("{}.pak", "n".repeat(251)));
    for name in &names {
        for request in [
            Req::download(server.url("/bytes/5"), folder.join(name)),
            Req::download(server.url("/bytes/5"), name).below(SORTIE_DIRECTORY_CACHES),
        ] {
            let event = host.fetch(&request);
            assert_eq!(event.ok(200).file_path.as_deref(), folder.join(name).to_str());
            folder.holds(&[name]);
            fs::remove_file(folder.join(name)).unwrap();
        }
        host.fetch(&Req::download(server.url("/reset?after=100000"), folder.join(name))).failed(SORTIE_ERROR_RECEIVE);
        folder.holds(&[]);
        // Another client finds what this one has left.
        let request = Req::download(resumable.url("/"), folder.join(name)).flags(SORTIE_REQUEST_RESUME);
        cut.store(true, Ordering::SeqCst);
        host.fetch(&request).failed(SORTIE_ERROR_RECEIVE);
        cut.store(false, Ordering::SeqCst);
        let beside =
            if name.len() <= 100 { name.clone() } else { format!("{}.sortie-name", &sha256(name.as_bytes())[..32]) };
        folder.holds(&[&format!("{beside}.sortie-part"), &format!("{beside}.sortie-resume")]);
        Host::new().fetch(&request).ok(206);
        assert!(fs::read(folder.join(name)).unwrap() == pattern_vec(HALF as usize));
        folder.holds(&[name]);
        fs::remove_file(folder.join(name)).unwrap();
    }
    // Of two requests for one long name the second is told.
    let slow = half_server(&gate);
    let long = folder.join(&"n".repeat(255));
    let id = half_way(&host, &slow, &long);
    let second = host.fetch(&Req::download(server.url("/bytes/5"), &long));
    assert!(second.failed(SORTIE_ERROR_FILE).contains("another request"), "{:?}", second.message);
    gate.open();
    host.ended(id).ok(200);
    for name in ["n".repeat(256), "\u{e4}".repeat(128)] {
        host.fetch(&Req::download(server.url("/bytes/5"), folder.join(&name))).failed(SORTIE_ERROR_FILE);
    }
    folder.holds(&[&"n".repeat(255)]);
}

#[test]
#[cfg(unix)]
fn what_is_hashed_is_what_gets_the_name() {
    let (gate, host, folder) = (Gate::new(), Host::new(), Folder::new());
    let server = half_server(&gate);
    let hash = sha256(&pattern_vec(2 * HALF as usize));
    for old in [None, Some(b"old")] {
        let path = folder.join("file");
        old.into_iter().for_each(|old| fs::write(&path, old).unwrap());
        let gate_of_this = Gate::new();
        let server = if old.is_some() { half_server(&gate_of_this) } else { half_server(&gate) };
        let request = Req::download(server.url("/half"), &path).progress(SORTIE_PROGRESS_DOWNLOAD).sha256(&hash);
        let id = host.submit(&request);
        host.await_event(id, |event| event.transferred == HALF);
        let part = folder.join("file.sortie-part");
        until("the part", || part.exists());
        fs::rename(folder.file("evil", b"evil"), &part).unwrap();
        gate.open();
        gate_of_this.open();
        let event = host.ended(id);
        assert!(event.failed(SORTIE_ERROR_FILE).contains("somebody else"), "{:?}", event.message);
        assert_eq!(fs::read(&path).ok().as_deref(), old.map(|old| &old[..]));
        assert_eq!(fs::read(&part).unwrap(), b"evil", "what is not ours is not removed either");
        fs::remove_file(&part).unwrap();
    }
    drop(server);
    folder.holds(&["file"]);
}

#[test]
#[cfg(unix)]
fn a_part_made_beforehand_by_another_user_is_not_used() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    #[allow(unsafe_code)]
    // SAFETY: may be called at any time.
    if unsafe { libc::geteuid() } != 0 {
        println!("not run as root, which alone can make another user's file");
        return;
    }
    let (server, folder) = (Server::start(), Folder::new());
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let theirs = |name: &str| {
        let path = folder.file(name, b"");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        chown(&path, Some(54_321), Some(54_321)).unwrap();
        (File::options().read(true).write(true).open(&path).unwrap(), path)
    };
    let (mut of_file, part) = theirs("file.sortie-part");
    let (mut of_cookies, _) = theirs("cookies.sortie-part");
    let host = Setup { cookie_file: Some(folder.join("cookies")), ..Setup::default() }.start();
    let hash = sha256(&pattern_vec(5));
    for flags in [0, SORTIE_REQUEST_RESUME] {
        host.fetch(&Req::download(server.url("/bytes/5"), folder.join("file")).sha256(&hash).flags(flags)).ok(200);
        of_file.write_all(b"rewritten").unwrap();
        assert_eq!(fs::read(folder.join("file")).unwrap(), pattern_vec(5));
        assert_ne!(fs::metadata(folder.join("file")).unwrap().uid(), 54_321);
    }
    assert_eq!(fs::metadata(&part).unwrap().uid(), 54_321);
    host.try_set_cookie("http://a.example/", "secret=1; Max-Age=1000").unwrap();
    host.destroy();
    let mut seen = String::new();
    of_cookies.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "");
    let cookies = fs::metadata(folder.join("cookies")).unwrap();
    assert_eq!((cookies.mode() & 0o777, cookies.uid() == 54_321), (0o600, false));
    assert!(fs::read_to_string(folder.join("cookies")).unwrap().contains("secret"));
    folder.holds(&["cookies", "cookies.sortie-part", "file", "file.sortie-part"]);
}

#[test]
fn an_upload_is_cancelled_and_destroyed_in_the_middle() {
    let (folder, host) = (Folder::new(), Host::new());
    let (started, gate) = (Arc::new(AtomicBool::new(false)), Gate::new());
    let server = slow_reader(&started, &gate);
    let path = folder.file("file", &vec![7; 64 << 20]);
    let id = host.submit(&Req::upload(server.url("/slow-reader"), &path));
    until("the upload's start", || started.swap(false, Ordering::SeqCst));
    assert_eq!(host.cancel(id), SORTIE_OK);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    host.submit(&Req::upload(server.url("/slow-reader"), &path));
    until("the upload's start", || started.load(Ordering::SeqCst));
    host.destroy();
    folder.holds(&["file"]);
}

#[test]
fn a_download_that_fails_once_succeeds_the_next_time() {
    let (host, folder) = (Host::new(), Folder::new());
    let count = AtomicU32::new(0);
    let server = Server::builder()
        .handler(move |_, conn| {
            conn.start(&Response::new(200), Framing::Length(200_000))?;
            conn.write_pattern(0, 100_000)?;
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                return Ok(Some(Outcome::Reset));
            }
            conn.write_pattern(100_000, 100_000)?;
            Ok(Some(Outcome::Done))
        })
        .start();
    let request = Req::download(server.url("/"), folder.join("file"));
    host.fetch(&request).failed(SORTIE_ERROR_RECEIVE);
    folder.holds(&[]);
    host.fetch(&request).ok(200);
    assert!(fs::read(folder.join("file")).unwrap() == pattern_vec(200_000));
    folder.holds(&["file"]);
}

const BEYOND: u64 = (4 << 30) + 123_457;

#[test]
#[ignore = "writes more than 4 GiB; run by the test command"]
fn a_download_beyond_4_gib_is_whole() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.join("large");
    let request = Req::download(server.url(&format!("/bytes/{BEYOND}")), &path)
        .progress(SORTIE_PROGRESS_DOWNLOAD)
        .flags(SORTIE_REQUEST_NO_SYNC)
        .timeout_ms(SORTIE_NO_TIMEOUT);
    let id = host.submit(&request);
    let end = loop {
        host.wait(DEADLINE);
        if let Some(event) = host.poll().into_iter().find(|event| event.kind == SORTIE_EVENT_ENDED) {
            break event;
        }
    };
    assert_eq!(end.request, id);
    assert_eq!((end.ok(200).transferred, end.estimated), (BEYOND, BEYOND as i64));
    let mut file = File::open(&path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), BEYOND);
    for at in [0, (2 << 30) - 1000, (4 << 30) - 1000, BEYOND - 2000] {
        let (mut found, mut wanted) = ([0; 2000], [0; 2000]);
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut found).unwrap();
        pattern(at, &mut wanted);
        assert_eq!(found, wanted, "at {at}");
    }
    folder.holds(&["large"]);
}

#[test]
#[ignore = "sends more than 4 GiB; run by the test command"]
fn an_upload_beyond_4_gib_is_whole() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.join("large");
    let mut file = File::create(&path).unwrap();
    file.set_len(BEYOND).unwrap();
    const MARK: &[u8] = b"beyond";
    file.seek(SeekFrom::Start(BEYOND - MARK.len() as u64)).unwrap();
    file.write_all(MARK).unwrap();
    drop(file);
    let request = Req::upload(server.url("/upload"), &path)
        .progress(SORTIE_PROGRESS_UPLOAD)
        .timeout_ms(SORTIE_NO_TIMEOUT)
        .stall_timeout_ms(SORTIE_NO_TIMEOUT);
    host.submit(&request);
    let end = loop {
        host.wait(DEADLINE);
        if let Some(event) = host.poll().into_iter().find(|event| event.kind == SORTIE_EVENT_ENDED) {
            break event;
        }
    };
    assert_eq!((end.ok(200).transferred, end.estimated), (BEYOND, BEYOND as i64));
    assert_eq!(end.text().trim(), format!("{BEYOND} {:016x}", hash_of_zeros_and(BEYOND - MARK.len() as u64, MARK)));
}

/// FNV-1a of so many zeros and these bytes. A zero multiplies by the prime, so many of them by a power of it.
fn hash_of_zeros_and(zeros: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let (mut power, mut square, mut left) = (1_u64, PRIME, zeros);
    while left > 0 {
        if left % 2 == 1 {
            power = power.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        left /= 2;
    }
    bytes
        .iter()
        .fold(Fnv::new().value().wrapping_mul(power), |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[test]
fn the_hash_of_many_zeros_is_right() {
    let mut plain = vec![0; 1001];
    plain.extend_from_slice(b"xy");
    assert_eq!(hash_of_zeros_and(1001, b"xy"), fnv(&plain));
}
