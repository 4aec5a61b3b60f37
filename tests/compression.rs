//! Compressed bodies: what a response comes in, how far it may grow, and what a request is sent in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sortie_test_server::{Framing, Outcome, Response, Server, pattern_vec};
use support::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(bytes).unwrap();
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
    let length = zstd_safe::compress(&mut out[..], bytes, 3).unwrap();
    out.truncate(length);
    out
}

/// Answers each path with a body and its Content-Encoding headers.
fn encoding(answers: Vec<(&'static str, &'static str, Vec<u8>)>) -> Server {
    let answers: HashMap<_, _> = answers.into_iter().map(|(path, encoding, body)| (path, (encoding, body))).collect();
    Server::builder()
        .handler(move |request, conn| {
            let Some((encodings, body)) = answers.get(request.path()) else { return Ok(None) };
            let mut response = Response::new(200);
            for encoding in encodings.split('|') {
                response = response.header("Content-Encoding", encoding);
            }
            // In small writes, so that it comes in pieces.
            conn.start(&response, Framing::Length(body.len() as u64))?;
            for piece in body.chunks(10_000) {
                conn.write_body(piece)?;
            }
            Ok(Some(Outcome::Done))
        })
        .start()
}

#[test]
fn every_encoding_is_undone_to_memory_and_to_a_file() {
    let content = pattern_vec(700_000);
    let server = encoding(vec![
        ("/gzip", "gzip", gzip(&content)),
        ("/br", "br", brotli(&content)),
        ("/zstd", "zstd", zstd(&content)),
        ("/frames", "zstd", [zstd(&content[..1000]), zstd(&content[1000..])].concat()),
        ("/rubbish", "zstd", [&zstd(&content)[..], b"\0\0\0"].concat()),
        ("/both", "gzip, br", brotli(&gzip(&content))),
        ("/two-headers", "zstd|gzip", gzip(&zstd(&content))),
    ]);
    let (host, folder) = (Host::new(), Folder::new());
    for path in ["/gzip", "/br", "/zstd", "/frames", "/rubbish", "/both", "/two-headers"] {
        let event = host.fetch(&Req::get(server.url(path)).progress(SORTIE_PROGRESS_DOWNLOAD));
        assert!(event.ok(200).bytes() == content, "{path}");
        let length: u64 = event.header("Content-Length").unwrap().parse().unwrap();
        assert_eq!((event.transferred, event.estimated), (length, length as i64), "{path}: counted on the wire");
        host.fetch(&Req::download(server.url(path), folder.join("file"))).ok(200);
        assert!(std::fs::read(folder.join("file")).unwrap() == content, "{path}");
    }
    assert_eq!(server.requests()[0].header("Accept-Encoding"), Some("gzip, deflate, br, zstd"));
    folder.holds(&["file"]);
}

#[test]
fn what_is_broken_or_unknown_is_a_decode_error() {
    let content = pattern_vec(300_000);
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    let mut wide = zstd_safe::CCtx::create();
    wide.set_parameter(zstd_safe::CParameter::WindowLog(24)).unwrap();
    let mut window = vec![0; 1 << 20];
    let mut to = zstd_safe::OutBuffer::around(&mut window[..]);
    wide.compress_stream(&mut to, &mut zstd_safe::InBuffer::around(&content)).unwrap();
    assert_eq!(wide.end_stream(&mut to).unwrap(), 0);
    let length = to.pos();
    window.truncate(length);
    let server = encoding(vec![
        ("/cut-br", "br", cut(brotli(&content))),
        ("/cut-zstd", "zstd", cut(zstd(&content))),
        ("/cut-inside", "zstd, gzip", gzip(&cut(zstd(&content)))),
        ("/no-br", "br", vec![0xFF; 1000]),
        ("/no-zstd", "zstd", b"(this is none".to_vec()),
        ("/window", "zstd", window),
        ("/many", "br,br,br,br,br,br", vec![1, 2, 3]),
    ]);
    let (host, folder) = (Host::new(), Folder::new());
    for path in ["/cut-br", "/cut-zstd", "/cut-inside", "/no-br", "/no-zstd", "/window", "/many"] {
        let event = host.fetch(&Req::get(server.url(path)));
        assert_eq!((event.error, event.body), (SORTIE_ERROR_DECODE, None), "{path}: {:?}", event.message);
        let event = host.fetch(&Req::download(server.url(path), folder.join("file")));
        assert_eq!(event.error, SORTIE_ERROR_DECODE, "{path}: {:?}", event.message);
    }
    folder.holds(&[]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_bomb_ends_early_and_takes_no_memory() {
    isolated("a_bomb_ends_early_and_takes_no_memory", &[], || {
        // 4 GiB in 400 KiB, and the same in a few KiB.
        let mebibyte = vec![0; 1 << 20];
        let mut one = GzEncoder::new(Vec::new(), Compression::default());
        (0..64).for_each(|_| one.write_all(&mebibyte).unwrap());
        let one = one.finish().unwrap();
        let gzips = one.repeat(64);
        let twice = gzip(&gzips);
        let zstds = zstd(&mebibyte.repeat(64)).repeat(64);
        let mut br = Vec::new();
        let mut writer = brotli::CompressorWriter::new(&mut br, 1 << 20, 5, 22);
        (0..300).for_each(|_| writer.write_all(&mebibyte).unwrap());
        drop(writer);
        let answers = vec![
            ("/gzip", "gzip", gzips),
            ("/twice", "gzip, gzip", twice),
            ("/zstd", "zstd", zstds),
            ("/br", "br", br),
        ];
        for (path, _, bytes) in &answers {
            println!("{path}: {} bytes", bytes.len());
        }
        let server = encoding(answers);
        let folder = Folder::new();
        // In memory the cap counts, in a file that has none the ratio, once it is larger than 256 MiB.
        let host = Setup { max_body_bytes: 8 << 20, max_decompression_ratio: 1, ..Setup::default() }.start();
        let before = resident_bytes();
        for path in ["/gzip", "/twice", "/zstd", "/br"] {
            let to_memory = Req::get(server.url(path));
            for request in [&to_memory, &to_memory, &Req::download(server.url(path), folder.join("file"))] {
                let event = host.fetch(request);
                let message = event.failed(SORTIE_ERROR_BODY_TOO_LARGE);
                let limit =
                    if request.response_path.is_none() { "the limit is 8 MiB" } else { "max_decompression_ratio" };
                assert!(message.contains(limit), "{path}: {message}");
                assert!(event.transferred <= 512 << 10, "{path}: it had all of {}", event.transferred);
            }
        }
        let grown = resident_bytes().saturating_sub(before);
        println!("grown by {} KiB", grown >> 10);
        assert!(grown < 32 << 20, "grown by {grown} bytes");
        folder.holds(&[]);
    });
}

#[test]
fn what_nobody_asked_for_comes_as_it_is() {
    const BODY: &[u8] = b"{\"a\": \"\xC3\xA4\"}";
    let content = pattern_vec(100_000);
    let mut answers: Vec<(&'static str, &'static str, Vec<u8>)> = Vec::new();
    for (path, coding) in [
        ("/none", "none"),
        ("/utf-8", "utf-8"),
        ("/binary", "binary"),
        ("/aws", "aws-chunked"),
        ("/compress", "compress"),
        ("/list", "gzip, aws-chunked"),
        ("/unknown-first", "pack200, gzip"),
        ("/two", "none|gzip"),
        ("/parameter", "gzip;q=1"),
    ] {
        answers.push((path, coding, BODY.to_vec()));
    }
    let unknown: Vec<(&str, &str)> = answers.iter().map(|(path, coding, _)| (*path, *coding)).collect();
    let known = [
        ("/identity", "identity"),
        ("/empty", ""),
        ("/commas", " , ,"),
        ("/mixed", "Identity|, GZip ,"),
        ("/x-gzip", "X-GZIP"),
    ];
    for (path, coding) in known {
        let is_gzip = coding.to_lowercase().contains("gzip");
        answers.push((path, coding, if is_gzip { gzip(&content) } else { content.clone() }));
    }
    let (server, host, folder) = (encoding(answers), Host::new(), Folder::new());
    let hashed = |request: Req, bytes: &[u8]| Req { expected_length: bytes.len() as u64, ..request };
    for (path, coding) in unknown {
        let event = host.fetch(&Req::get(server.url(path)));
        let seen: Vec<&str> = event
            .headers
            .iter()
            .filter(|(name, _)| name == "Content-Encoding")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!((event.ok(200).bytes(), seen.join("|").as_str()), (BODY, coding), "{path}");
        assert_eq!(event.body_kind, SORTIE_BODY_BINARY, "{path}");
        for flags in [0, SORTIE_REQUEST_RESUME] {
            let download = Req::download(server.url(path), folder.join("file")).flags(flags);
            host.fetch(&hashed(download, BODY)).ok(200);
            assert_eq!(std::fs::read(folder.join("file")).unwrap(), BODY, "{path}");
        }
    }
    for (path, _) in known {
        assert!(host.fetch(&Req::get(server.url(path))).ok(200).bytes() == content, "{path}");
        host.fetch(&hashed(Req::download(server.url(path), folder.join("file")), &content)).ok(200);
        assert!(std::fs::read(folder.join("file")).unwrap() == content, "{path}");
    }
    folder.holds(&["file"]);
}

#[test]
fn honest_bodies_may_be_small_on_the_wire() {
    let map = vec![7; 8 << 20];
    let cells = format!("[{}0]", "{\"tile\":0,\"x\":false},".repeat(40_000)).into_bytes();
    let large = vec![0; 60 << 20];
    let server = encoding(vec![
        ("/map-br", "br", brotli(&map)),
        ("/map-zstd", "zstd", zstd(&map)),
        ("/map-gzip", "gzip", gzip(&map)),
        ("/map-twice", "gzip, br", brotli(&gzip(&map))),
        ("/cells", "br", brotli(&cells)),
        ("/large", "br", brotli(&large)),
    ]);
    let (host, folder) = (Host::new(), Folder::new());
    let all = [
        ("/map-br", &map),
        ("/map-zstd", &map),
        ("/map-gzip", &map),
        ("/map-twice", &map),
        ("/cells", &cells),
        ("/large", &large),
    ];
    for (path, content) in all {
        let event = host.fetch(&Req::get(server.url(path)));
        assert!(event.ok(200).bytes() == content, "{path}");
        host.fetch(&Req::download(server.url(path), folder.join("file"))).ok(200);
        assert!(std::fs::read(folder.join("file")).unwrap() == *content, "{path}");
    }
}

#[test]
fn a_stream_keeps_to_its_window_however_small_it_comes() {
    let content = vec![7; 8 << 20];
    let server = encoding(vec![("/", "br", brotli(&content))]);
    let host = Host::new();
    let window = 256 << 10;
    let id = host.submit(&Req {
        stream_window_bytes: window,
        ..Req::get(server.url("/")).flags(SORTIE_REQUEST_STREAM_RESPONSE)
    });
    let (mut come, mut most, mut ended) = (0, 0, false);
    while !ended {
        // What waits undrained is what the library holds. A poll lets go of what the last one gave.
        most = most.max(host.stats().buffered_bytes);
        let events = host.poll();
        if events.is_empty() {
            assert!(host.wait(DEADLINE));
        }
        for event in events {
            assert_eq!(event.request, id);
            if event.kind == SORTIE_EVENT_DATA {
                assert!(event.bytes().iter().all(|byte| *byte == 7));
                come += event.bytes().len();
            }
            if event.kind == SORTIE_EVENT_ENDED {
                event.ok(200);
                ended = true;
            }
        }
    }
    assert_eq!(come, content.len());
    assert!(most <= u64::from(window) + (128 << 10), "{most} bytes were held");
}

#[test]
fn the_ratio_counts_for_files_without_a_cap_and_can_be_turned_off() {
    let size: u64 = 300 << 20;
    let server = encoding(vec![("/", "zstd", zstd(&vec![0; size as usize]))]);
    let folder = Folder::new();
    let fetch = |max_decompression_ratio, max_file_bytes| {
        let host = Setup { max_decompression_ratio, max_file_bytes, ..Setup::default() }.start();
        host.fetch(&Req::download(server.url("/"), folder.join("file")).flags(SORTIE_REQUEST_NO_SYNC))
    };
    for ratio in [0, 1] {
        assert!(fetch(ratio, 0).failed(SORTIE_ERROR_BODY_TOO_LARGE).contains("max_decompression_ratio"));
        folder.holds(&[]);
    }
    // What the program says that it has room for fits.
    fetch(u32::MAX, 0).ok(200);
    fetch(1, size).ok(200);
    assert!(fetch(u32::MAX, size - 1).failed(SORTIE_ERROR_BODY_TOO_LARGE).contains("the limit is"));
    assert_eq!(std::fs::metadata(folder.join("file")).unwrap().len(), size);
}

const GZIP: u32 = SORTIE_REQUEST_GZIP_BODY;

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

/// A server that keeps whole bodies, as the last one that came.
fn keeping() -> (Server, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let last = Arc::clone(&kept);
    let server = Server::builder()
        .handler(move |request, conn| {
            if let Some(status) = request.path().strip_prefix("/to/") {
                let status = status.parse().expect("a status");
                return conn.send(&Response::new(status).header("Location", "/")).map(Some);
            }
            *last.lock().unwrap() = conn.read_body_up_to(usize::MAX)?;
            conn.send(&Response::new(200)).map(Some)
        })
        .start();
    (server, kept)
}

#[test]
fn a_body_is_sent_by_gzip_from_memory_and_from_a_file() {
    let (server, kept) = keeping();
    let (folder, scratch) = (Folder::new(), Folder::new());
    let host = Setup { temporary: Some(scratch.path().into()), ..Setup::default() }.start();
    for length in [0, 1, 262_144, 3_000_001] {
        let content = pattern_vec(length);
        let path = folder.file("file", &content);
        let from_memory = Req::get(server.url("/")).body(content.clone()).flags(GZIP).body_kind(SORTIE_BODY_BINARY);
        let from_file = Req::upload(server.url("/"), &path).flags(GZIP);
        // The body outlives its request.
        let lent = from_memory.clone().flags(GZIP | SORTIE_REQUEST_BORROW_BODY);
        for request in [from_memory, from_file, lent] {
            let request = &request.progress(SORTIE_PROGRESS_UPLOAD);
            let id = host.submit(request);
            let events = host.events(id);
            let ended = events.last().unwrap();
            ended.ok(200);
            let sent = kept.lock().unwrap().clone();
            assert!(gunzip(&sent) == content, "{length}");
            // Counted on the wire, and known beforehand.
            let wire = sent.len() as u64;
            assert_eq!((events[0].kind, events[0].estimated), (SORTIE_EVENT_BEGAN, wire as i64));
            assert_eq!((ended.transferred, ended.estimated), (wire, wire as i64));
            let seen = server.requests().pop().unwrap();
            assert_eq!(seen.header("Content-Encoding"), Some("gzip"));
            assert_eq!(seen.header("Content-Length"), Some(wire.to_string().as_str()));
            assert_eq!(seen.header("Content-Type"), Some("application/octet-stream"));
        }
    }
    folder.holds(&["file"]);
    scratch.holds(&[]);
}

#[test]
fn text_is_encoded_first_and_compressed_then() {
    let (server, kept) = keeping();
    let (host, folder) = (Host::new(), Folder::new());
    let text = "grüße ".repeat(100_000);
    let path = folder.file("text", text.as_bytes());
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for request in [Req::get(server.url("/")).body(text), Req::upload(server.url("/"), path)] {
        let request = request.body_kind(SORTIE_BODY_TEXT).content_type("text/plain; charset=iso-8859-1");
        host.fetch(&request.flags(GZIP)).ok(200);
        assert!(gunzip(&kept.lock().unwrap()) == latin);
    }
}

#[test]
fn a_compressed_body_follows_redirects_as_any_other() {
    let (server, kept) = keeping();
    let (folder, content) = (Folder::new(), pattern_vec(500_000));
    let path = folder.file("file", &content);
    let host = Setup { default_headers: vec![("Content-Encoding".into(), "x".into())], ..Setup::default() }.start();
    for (request, status) in
        [Req::get("").body(content.clone()), Req::upload("", path)].iter().flat_map(|r| [(r, 307), (r, 303)])
    {
        server.clear_requests();
        host.fetch(&Req { url: server.url(&format!("/to/{status}")), ..request.clone().flags(GZIP) }).ok(200);
        let last = server.requests().pop().unwrap();
        if status == 307 {
            assert!(gunzip(&kept.lock().unwrap()) == content);
            assert_eq!(last.header("Content-Encoding"), Some("gzip"));
        } else {
            assert_eq!((last.method.as_str(), last.body_length), ("GET", 0));
            assert_eq!(last.header("Content-Encoding"), None);
        }
    }
}

#[test]
fn what_cannot_be_compressed_is_told() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let request = || Req::get(server.url("/upload")).body("x").flags(GZIP);
    for (request, text) in [
        (Req { body: None, ..request() }, "there is none"),
        (Req { body: None, ..request() }.form(&[Part::field("a", "b")]), "a form cannot be compressed"),
        (request().header("content-encoding", "gzip"), "Content-Encoding"),
    ] {
        let refused = host.try_submit(&request).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT, "{refused:?}");
        assert!(refused.message.contains(text), "{refused:?}");
    }
    let missing = folder.join("missing");
    let event = host.fetch(&Req::upload(server.url("/upload"), &missing).flags(GZIP));
    assert!(event.failed(SORTIE_ERROR_FILE).contains(path_text(&missing)));
    let host = Setup { temporary: Some(folder.join("nowhere")), ..Setup::default() }.start();
    let event = host.fetch(&Req::upload(server.url("/upload"), folder.file("file", b"x")).flags(GZIP));
    assert!(event.failed(SORTIE_ERROR_FILE).contains("nowhere"), "{:?}", event.message);
    assert_eq!(server.request_count(), 0);
}

#[test]
fn a_body_that_is_being_compressed_can_be_cancelled_and_holds_nobody_up() {
    let (server, _) = keeping();
    let (host, folder) = (Host::new(), Folder::new());
    // Seconds of work, if nobody stopped it.
    let large = folder.file("large", &pattern_vec(100 << 20));
    let from_file = Req::upload(server.url("/"), &large).flags(GZIP);
    let from_memory = Req::get(server.url("/")).body(pattern_vec(100 << 20)).flags(GZIP);
    let mut lent = from_memory.clone().flags(GZIP | SORTIE_REQUEST_BORROW_BODY);
    let ids = [host.submit(&from_file), host.submit(&from_memory), host.submit(&lent)];
    // A small one gets through in between.
    let small = folder.file("small", b"x");
    host.fetch(&Req::upload(server.url("/"), small).flags(GZIP)).ok(200);
    for id in ids {
        assert_eq!(host.cancel(id), SORTIE_OK);
        host.ended(id).failed(SORTIE_ERROR_CANCELLED);
    }
    // It is the program's again, and nobody reads it any more.
    lent.body = None;
    assert_eq!(server.request_count(), 1);
    host.submit(&from_file);
    assert!(host.destroy() < std::time::Duration::from_secs(1));
}
