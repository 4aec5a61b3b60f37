//! Forms: every byte of them as announced, whatever happens to their files on the way.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![allow(clippy::undocumented_unsafe_blocks)] // each block hands over what its line shows; bad pointers are NULL

mod support;

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sortie_test_server::{Gate, Recorded, Response, Server, fnv, pattern_vec};
use support::*;

const UP: u32 = SORTIE_PROGRESS_UPLOAD;

fn boundary(request: &Recorded) -> &str {
    request.header("Content-Type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap()
}

/// A part as it has to arrive, with "B" for the boundary.
fn written(head: &str, content: &[u8]) -> Vec<u8> {
    [b"--B\r\nContent-Disposition: form-data; ", head.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat()
}

/// Asserts that a form of these parts came.
#[track_caller]
fn arrived(request: &Recorded, parts: &[Vec<u8>]) -> u64 {
    let boundary = boundary(request).as_bytes();
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(&[b"--", boundary, part.strip_prefix(b"--B").unwrap()].concat());
    }
    body.extend_from_slice(&[b"--", boundary, b"--\r\n"].concat());
    if let Some(seen) = &request.body {
        assert_eq!(String::from_utf8_lossy(seen), String::from_utf8_lossy(&body));
    }
    let seen = (request.body_complete, request.body_length, request.body_fnv);
    assert_eq!(seen, (true, body.len() as u64, fnv(&body)));
    assert_eq!(request.header("Content-Length"), Some(body.len().to_string().as_str()));
    assert_eq!(request.header("Transfer-Encoding"), None);
    body.len() as u64
}

const OCTETS: &str = "\r\nContent-Type: application/octet-stream";

#[test]
fn fields_bytes_and_files_arrive_byte_for_byte() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let (path, empty) = (folder.file("replay.bin", b"\0\x01\r\n--\xFF"), folder.file("empty", b""));
    let shot = Part {
        filename: Some("sh\"ot\".png".into()),
        content_type: Some("image/png".into()),
        ..Part::field("shot", vec![0x89, b'P', 0])
    };
    let renamed = Part { filename: Some("other name".into()), ..Part::file("c", &path) };
    let parts = [
        Part::field("name\r\n\"%22\"", "Jürgen"),
        Part { name: "none".into(), ..Part::default() },
        shot,
        Part::file("replay", &path),
        Part::file("empty", &empty),
        renamed,
    ];
    let expected = [
        written("name=\"name%0D%0A%22%22%22\"", "Jürgen".as_bytes()),
        written("name=\"none\"", b""),
        written("name=\"shot\"; filename=\"sh%22ot%22.png\"\r\nContent-Type: image/png", b"\x89P\0"),
        written(&format!("name=\"replay\"; filename=\"replay.bin\"{OCTETS}"), b"\0\x01\r\n--\xFF"),
        written(&format!("name=\"empty\"; filename=\"empty\"{OCTETS}"), b""),
        written(&format!("name=\"c\"; filename=\"other name\"{OCTETS}"), b"\0\x01\r\n--\xFF"),
    ];
    for (parts, expected) in [(&parts[..], &expected[..]), (&parts[..3], &expected[..3]), (&[], &[])] {
        host.fetch(&Req::get(server.url("/upload")).form(parts)).ok(200);
        let request = server.requests().pop().unwrap();
        assert_eq!(request.method, "POST");
        arrived(&request, expected);
    }
    let boundaries: Vec<String> = server.requests().iter().map(|request| boundary(request).to_owned()).collect();
    assert!(boundaries[0] != boundaries[1] && boundaries[1] != boundaries[2], "{boundaries:?}");
}

#[test]
fn progress_tells_the_exact_numbers_of_a_large_form() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let content = pattern_vec(9_000_001);
    let path = folder.file("save", &content);
    let parts =
        [Part::field("slot", "3"), Part::file("save", &path), Part::field("after", "x"), Part::file("b", &path)];
    let expected = [
        written("name=\"slot\"", b"3"),
        written(&format!("name=\"save\"; filename=\"save\"{OCTETS}"), &content),
        written("name=\"after\"", b"x"),
        written(&format!("name=\"b\"; filename=\"save\"{OCTETS}"), &content),
    ];
    let before = host.stats().bytes_sent;
    let id = host.submit(&Req::new("PUT", server.url("/upload")).form(&parts).progress(UP));
    let events = host.events(id);
    let length = arrived(&server.requests()[0], &expected);
    let (began, ended) = (&events[0], events.last().unwrap());
    assert_eq!((began.kind, began.transferred, began.estimated), (SORTIE_EVENT_BEGAN, 0, length as i64));
    assert!(events.iter().all(|event| event.estimated == length as i64), "{events:?}");
    assert_eq!(ended.ok(200).transferred, length);
    assert_eq!(host.stats().bytes_sent - before, length);
}

#[test]
fn a_form_follows_redirects_as_its_body_may() {
    let (host, folder) = (Host::new(), Folder::new());
    let server = Server::builder()
        .handler(|request, conn| {
            let Some(status) = request.path().strip_prefix("/to/") else { return Ok(None) };
            let status = status.parse().expect("a status");
            conn.send(&Response::new(status).header("Location", "/upload")).map(Some)
        })
        .start();
    let content = pattern_vec(600_000);
    let path = folder.file("f", &content);
    let file = written(&format!("name=\"f\"; filename=\"f\"{OCTETS}"), &content);
    let forms = [([Part::file("f", &path)], [file]), ([Part::field("a", "b")], [written("name=\"a\"", b"b")])];
    for (parts, expected) in &forms {
        for status in [307, 308] {
            server.clear_requests();
            let url = server.url(&format!("/to/{status}"));
            host.fetch(&Req::get(url).form(parts).progress(UP)).ok(200);
            let requests = server.requests();
            assert_eq!((requests.len(), requests[1].method.as_str()), (2, "POST"));
            requests.iter().for_each(|request| _ = arrived(request, expected));
        }
        server.clear_requests();
        host.fetch(&Req::get(server.url("/to/303")).form(parts)).ok(200);
        let last = server.requests().pop().unwrap();
        assert_eq!((last.method.as_str(), last.body_length), ("GET", 0));
        assert_eq!((last.header("Content-Type"), last.header("Content-Length")), (None, None));
    }
}

#[test]
fn a_form_is_sent_again_from_its_start() {
    let (host, folder) = (Host::new(), Folder::new());
    let server = Server::builder()
        .handler(|request, conn| {
            if request.number == 1 {
                conn.close_on_reuse();
            }
            Ok(None)
        })
        .start();
    let content = pattern_vec(600_000);
    let path = folder.file("f", &content);
    let expected = [written(&format!("name=\"f\"; filename=\"f\"{OCTETS}"), &content)];
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    // Its connection dies under it, which a PUT may survive.
    host.fetch(&Req::new("PUT", server.url("/upload")).form(&[Part::file("f", &path)]).progress(UP)).ok(200);
    arrived(&server.requests().pop().unwrap(), &expected);
    assert_eq!(server.connections_accepted(), 2);
}

/// More than the sockets' buffers take.
const LARGE: usize = 64 << 20;

/// Sends a form of two large files; does something while it is on its way.
fn half_way(change: impl FnOnce(&Host, u64, &Path, &Path)) -> (Event, Recorded) {
    let (host, folder) = (Host::new(), Folder::new());
    let (started, gate) = (Arc::new(AtomicBool::new(false)), Gate::new());
    let server = slow_reader(&started, &gate);
    let (first, second) = (folder.file("first", &vec![7; LARGE]), folder.file("second", &vec![8; LARGE]));
    let form = [Part::file("a", &first), Part::file("b", &second)];
    let id = host.submit(&Req::get(server.url("/slow-reader")).form(&form).progress(UP));
    until("the upload's start", || started.load(Ordering::SeqCst));
    change(&host, id, &first, &second);
    gate.open();
    let ended = host.ended(id);
    (ended, server.requests().pop().unwrap())
}

#[test]
fn a_file_that_changes_under_a_form_is_named() {
    let (shrunk, request) =
        half_way(|_, _, first, _| File::options().write(true).open(first).unwrap().set_len(1 << 20).unwrap());
    assert!(shrunk.failed(SORTIE_ERROR_FILE).contains("/first"), "{:?}", shrunk.message);
    assert!(!request.body_complete);
    let (gone, request) = half_way(|_, _, _, second| fs::remove_file(second).unwrap());
    assert!(gone.failed(SORTIE_ERROR_FILE).contains("/second"), "{:?}", gone.message);
    assert!(!request.body_complete);
    let (grown, request) =
        half_way(|_, _, _, second| File::options().write(true).open(second).unwrap().set_len(200 << 20).unwrap());
    assert_eq!(grown.ok(200).transferred, request.body_length);
    assert!(request.body_complete && request.body_length < 129 << 20, "what was there at the start");
}

#[test]
fn a_form_is_suspended_and_cancelled_in_mid_file() {
    let (ended, request) = half_way(|host, _, _, _| {
        host.suspend();
        let_pass(50);
        host.resume();
    });
    assert_eq!((ended.ok(200).transferred, request.body_complete), (request.body_length, true));
    let (ended, request) = half_way(|host, id, _, _| assert_eq!(host.cancel(id), SORTIE_OK));
    ended.failed(SORTIE_ERROR_CANCELLED);
    assert!(!request.body_complete);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_nothing_is_sent() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let good = folder.file("good", b"x");
    fs::create_dir(folder.join("folder")).unwrap();
    for bad in ["missing", "folder", "good/below"] {
        let form = [Part::file("a", &good), Part::file("b", folder.join(bad))];
        let event = host.fetch(&Req::get(server.url("/upload")).form(&form));
        assert!(event.failed(SORTIE_ERROR_FILE).contains(path_text(&folder.join(bad))), "{:?}", event.message);
    }
    assert_eq!(server.request_count(), 0);
}

#[test]
fn files_below_base_directories_stay_there() {
    let folder = Folder::new();
    fs::create_dir(folder.join("docs")).unwrap();
    folder.file("docs/save", b"123");
    folder.file("secret", b"x");
    let host = Setup { documents: Some(folder.join("docs")), ..Setup::default() }.start();
    let server = Server::start();
    let part = |name: &str, directory| Part { directory, ..Part::file("f", name) };
    let form = |name: &str, directory| Req::get(server.url("/upload")).form(&[part(name, directory)]);
    host.fetch(&form("save", SORTIE_DIRECTORY_DOCUMENTS)).ok(200);
    arrived(&server.requests()[0], &[written(&format!("name=\"f\"; filename=\"save\"{OCTETS}"), b"123")]);
    for (name, directory) in
        [("../secret", SORTIE_DIRECTORY_DOCUMENTS), ("save", SORTIE_DIRECTORY_CACHES), ("", SORTIE_DIRECTORY_DOCUMENTS)]
    {
        let refused = host.try_submit(&form(name, directory)).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_PATH, "{refused:?}");
    }
    assert!(host.try_submit(&form("save", 9)).unwrap_err().message.contains("directory is 9"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret", folder.join("docs/link")).unwrap();
        host.fetch(&form("link", SORTIE_DIRECTORY_DOCUMENTS)).failed(SORTIE_ERROR_FILE);
    }
}

#[test]
fn a_form_has_up_to_10_000_parts() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("f", b"0123456789");
    let (field, file) = (Part::field("n", "1"), Part::file("f", &path));
    let mut parts = vec![field; 9_500];
    parts.extend(vec![file; 500]);
    let mut expected = vec![written("name=\"n\"", b"1"); 9_500];
    expected.extend(vec![written(&format!("name=\"f\"; filename=\"f\"{OCTETS}"), b"0123456789"); 500]);
    host.fetch(&Req::get(server.url("/upload")).form(&parts)).ok(200);
    arrived(&server.requests()[0], &expected);
    parts.push(Part::field("n", "1"));
    let refused = host.try_submit(&Req::get(server.url("/upload")).form(&parts)).unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
    assert_eq!(refused.message, "form_parts has 10001 elements, the limit is 10000");
}

#[test]
fn bad_forms_are_refused() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let path = folder.file("f", b"x");
    let request = || Req::get(server.url("/upload")).form(&[Part::field("a", "b")]);
    let both = Part { path: Some(path.clone()), ..Part::field("a", "b") };
    for (request, result, text) in [
        (request().body("x"), SORTIE_RESULT_ARGUMENT, "form_parts and body"),
        (Req { body_path: Some(path), ..request() }, SORTIE_RESULT_ARGUMENT, "body_path"),
        (request().body_kind(SORTIE_BODY_TEXT), SORTIE_RESULT_ARGUMENT, "body_kind"),
        (request().content_type("text/plain"), SORTIE_RESULT_ARGUMENT, "Content-Type"),
        (request().header("content-type", "text/plain"), SORTIE_RESULT_ARGUMENT, "Content-Type"),
        (Req { method: Some("HEAD".into()), ..request() }, SORTIE_RESULT_ARGUMENT, "HEAD"),
        (request().form(&[Part::field("", "b")]), SORTIE_RESULT_ARGUMENT, "form part name is empty"),
        (request().form(&[both]), SORTIE_RESULT_ARGUMENT, "data and path are both set"),
        (
            request().form(&[Part { content_type: Some("a\nb".into()), ..Part::field("a", "b") }]),
            SORTIE_RESULT_HEADER,
            "Content-Type",
        ),
    ] {
        let refused = host.try_submit(&request).unwrap_err();
        assert_eq!(refused.result, result, "{refused:?}");
        assert!(refused.message.contains(text), "{refused:?}");
    }
    let mut strings = Strings::default();
    let good = Part::field("a", "b").raw(&mut strings);
    let latin = strings.bytes(b"\xFF");
    for (part, result, text) in [
        (sortie_form_part { name: null(), ..good }, SORTIE_RESULT_NULL_ARGUMENT, "form part name is NULL"),
        (sortie_form_part { data: null(), ..good }, SORTIE_RESULT_NULL_ARGUMENT, "form part data is NULL"),
        (sortie_form_part { data_length: u64::MAX, ..good }, SORTIE_RESULT_BODY_TOO_LARGE, "form part data"),
        (sortie_form_part { flags: 1, ..good }, SORTIE_RESULT_ARGUMENT, "'a': flags"),
        (sortie_form_part { reserved: 1, ..good }, SORTIE_RESULT_ARGUMENT, "reserved"),
        (sortie_form_part { name: latin, ..good }, SORTIE_RESULT_UTF8, "form part name"),
        (sortie_form_part { filename: latin, ..good }, SORTIE_RESULT_UTF8, "filename"),
    ] {
        let mut desc = empty_desc(strings.text(&server.url("/upload")));
        (desc.form_parts, desc.form_part_count) = (&part, 1);
        let refused = submit_raw(host.raw(), &desc).unwrap_err();
        assert_eq!(refused.result, result, "{refused:?}");
        assert!(refused.message.contains(text), "{refused:?}");
    }
    let mut desc = empty_desc(strings.text(&server.url("/upload")));
    desc.form_part_count = 1;
    assert_eq!(submit_raw(host.raw(), &desc).unwrap_err().result, SORTIE_RESULT_NULL_ARGUMENT);
    assert_eq!(server.request_count(), 0);
}

/// Calls a function that prints like snprintf() with every capacity, and gives what it prints.
fn printed(print: impl Fn(*mut std::ffi::c_char, u64) -> i64) -> Vec<u8> {
    let length = print(std::ptr::null_mut(), 0);
    assert!(length >= 0, "{}", last_error());
    let length = length as usize;
    let mut whole = vec![0xEE_u8; length + 2];
    assert_eq!(print(whole.as_mut_ptr().cast(), length as u64 + 1), length as i64);
    assert_eq!((whole[length], whole[length + 1]), (0, 0xEE), "a NUL and nothing beyond");
    whole.truncate(length);
    for capacity in 1..=length {
        let mut out = vec![0xEE_u8; length + 2];
        assert_eq!(print(out.as_mut_ptr().cast(), capacity as u64), length as i64);
        assert_eq!(&out[..capacity], [&whole[..capacity - 1], &[0]].concat(), "cut short to {capacity}");
        assert!(out[capacity..].iter().all(|byte| *byte == 0xEE));
    }
    whole
}

#[test]
fn text_is_percent_encoded_and_decoded() {
    let encode = |text: &[u8]| {
        let text = CString::new(text).unwrap();
        printed(|out, capacity| unsafe { sortie_percent_encode(text.as_ptr(), out, capacity) })
    };
    let decode = |text: &[u8]| {
        let text = CString::new(text).unwrap();
        printed(|out, capacity| unsafe { sortie_percent_decode(text.as_ptr(), out, capacity) })
    };
    assert_eq!(encode("a b/ü~-._+%&='".as_bytes()), b"a%20b%2F%C3%BC~-._%2B%25%26%3D%27");
    assert_eq!((encode(b""), encode(b"\xFF\n")), (b"".to_vec(), b"%FF%0A".to_vec()));
    assert_eq!(decode(b"a%20b%2f%C3%BC+%zz%4%"), "a b/ü+%zz%4%".as_bytes());
    assert_eq!(decode(b"x%00%FFy"), b"x\0\xFFy");
    let every: Vec<u8> = (1..=255).collect();
    assert_eq!(decode(&encode(&every)), every);
    unsafe {
        assert_eq!(sortie_percent_encode(null(), std::ptr::null_mut(), 0), SORTIE_RESULT_NULL_ARGUMENT.into());
        assert_eq!(sortie_percent_decode(null(), std::ptr::null_mut(), 0), SORTIE_RESULT_NULL_ARGUMENT.into());
        assert_eq!(sortie_percent_encode(c"a".as_ptr(), std::ptr::null_mut(), 5), SORTIE_RESULT_NULL_ARGUMENT.into());
    }
}

#[test]
fn fields_are_url_encoded_for_a_body_or_a_query() {
    let encode = |parts: &[Part]| {
        let mut strings = Strings::default();
        let parts: Vec<_> = parts.iter().map(|part| part.raw(&mut strings)).collect();
        printed(|out, capacity| unsafe { sortie_form_urlencode(parts.as_ptr(), parts.len() as u32, out, capacity) })
    };
    assert_eq!(encode(&[]), b"");
    let fields = [Part::field("na me", "Jürgen & Co=+"), Part::field("raw", vec![0, 0xFF, b'*']), Part::field("e", "")];
    let encoded = encode(&fields);
    assert_eq!(String::from_utf8_lossy(&encoded), "na+me=J%C3%BCrgen+%26+Co%3D%2B&raw=%00%FF*&e=");

    let (server, host) = (Server::start(), Host::new());
    let body = Req::get(server.url("/upload")).body(encoded.clone()).content_type("application/x-www-form-urlencoded");
    host.fetch(&body).ok(200);
    assert_eq!(server.requests()[0].body.as_deref(), Some(&encoded[..]));

    let mut strings = Strings::default();
    let file = [Part::field("a", "b"), Part::file("f", "/x")].map(|part| part.raw(&mut strings));
    let mut out = [0x55_u8; 4];
    let refused = unsafe { sortie_form_urlencode(file.as_ptr(), 2, out.as_mut_ptr().cast(), 4) };
    let refused = Refused::now(refused as i32);
    assert_eq!(out, [0x55; 4], "nothing is written by a refused call");
    assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
    assert!(refused.message.contains("'f' is a file"), "{refused:?}");
    let refused = unsafe { sortie_form_urlencode(null(), 1, std::ptr::null_mut(), 0) };
    assert_eq!(refused, SORTIE_RESULT_NULL_ARGUMENT.into());
}
