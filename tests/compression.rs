//! Compressed bodies: what a response comes in, how far it may grow, and what a request is sent in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
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
        ("/other", "gzip, compress", gzip(&content)),
        ("/many", "br,br,br,br,br,br", vec![1, 2, 3]),
    ]);
    let (host, folder) = (Host::new(), Folder::new());
    for path in ["/cut-br", "/cut-zstd", "/cut-inside", "/no-br", "/no-zstd", "/window", "/other", "/many"] {
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
        (0..128).for_each(|_| writer.write_all(&mebibyte).unwrap());
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
        // The ratio counts, not the cap.
        let host = Setup { max_body_bytes: 8 << 30, max_decompression_ratio: 100, ..Setup::default() }.start();
        let before = resident_bytes();
        for path in ["/gzip", "/twice", "/zstd", "/br"] {
            let to_memory = Req::get(server.url(path));
            for request in [to_memory.clone(), to_memory, Req::download(server.url(path), folder.join("file"))] {
                let event = host.fetch(&request);
                let message = event.failed(SORTIE_ERROR_BODY_TOO_LARGE);
                assert!(message.contains("100 times") && message.contains("max_decompression_ratio"), "{message}");
                assert!(event.transferred <= 64 << 10, "{path}: it had all of {}", event.transferred);
            }
        }
        let grown = resident_bytes().saturating_sub(before);
        println!("grown by {} KiB", grown >> 10);
        assert!(grown < 32 << 20, "grown by {grown} bytes");
        folder.holds(&[]);
    });
}

#[test]
fn the_ratio_can_be_set_and_turned_off() {
    let server = encoding(vec![("/", "gzip", gzip(&vec![0; 3 << 20]))]);
    let fetch = |max_decompression_ratio| {
        let host = Setup { max_decompression_ratio, ..Setup::default() }.start();
        host.fetch(&Req::get(server.url("/")))
    };
    for ratio in [0, 1000, u32::MAX] {
        assert_eq!(fetch(ratio).ok(200).bytes().len(), 3 << 20);
    }
    assert!(fetch(1).failed(SORTIE_ERROR_BODY_TOO_LARGE).contains("1 times"));
}
