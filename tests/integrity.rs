//! A body is the one that was expected, or there is none.

#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use sortie_test_server::{Response, Server, pattern_vec};
use support::*;

const WRONG: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_body_in_memory_has_the_hash_and_length_or_there_is_none() {
    let (server, host) = (Server::start(), Host::new());
    let body = pattern_vec(300_000);
    let right = Req::get(server.url("/bytes/300000")).sha256(&sha256(&body)).expected_length(300_000);
    assert_eq!(host.fetch(&right).ok(200).bytes(), body);
    let right = Req::get(server.url("/chunked?bytes=300000")).sha256(&sha256(&body)).expected_length(300_000);
    assert_eq!(host.fetch(&right).ok(200).bytes(), body);
    let ended = host.fetch(&Req::get(server.url("/bytes/300000")).sha256(WRONG));
    let message = ended.failed(SORTIE_ERROR_INTEGRITY);
    assert!(message.contains(WRONG) && message.contains(&sha256(&body)), "{message}");
    assert!(ended.body.is_none() && ended.status == 200);
}

#[test]
fn a_file_with_another_hash_is_not_there() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let body = pattern_vec(3_000_000);
    let target = folder.file("file", b"old");
    let wrong = Req::download(server.url("/bytes/3000000"), &target).sha256(WRONG);
    assert!(host.fetch(&wrong).failed(SORTIE_ERROR_INTEGRITY).contains(WRONG));
    folder.holds(&["file"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    let right = Req::download(server.url("/bytes/3000000"), &target).sha256(&sha256(&body)).expected_length(3_000_000);
    host.fetch(&right).ok(200);
    assert_eq!(std::fs::read(&target).unwrap(), body);
    folder.holds(&["file"]);
}

#[test]
fn a_wrong_length_ends_it_as_soon_as_it_shows() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    for (path, length) in
        [("/bytes/300000", 299_999), ("/bytes/300000", 300_001), ("/chunked?bytes=300000", 1), ("/204", 1)]
    {
        let ended = host.fetch(&Req::get(server.url(path)).expected_length(length));
        let message = ended.failed(SORTIE_ERROR_INTEGRITY);
        assert!(message.contains(&format!("expected were {length}")), "{path}: {message}");
        let ended = host.fetch(&Req::download(server.url(path), folder.join("file")).expected_length(length));
        ended.failed(SORTIE_ERROR_INTEGRITY);
        folder.holds(&[]);
    }
    let short = host.fetch(&Req::get(server.url("/chunked?bytes=10")).expected_length(11));
    assert!(short.failed(SORTIE_ERROR_INTEGRITY).contains("has 10 bytes, expected were 11"));
}

#[test]
fn what_counts_is_the_body_after_decompression_and_redirects() {
    let server = Server::builder()
        .handler(|request, conn| match request.path() {
            "/go" => conn
                .send(&Response::new(302).header("Location", "/gzip?bytes=100000").body("a longer body than that"))
                .map(Some),
            _ => Ok(None),
        })
        .start();
    let host = Host::new();
    let body = host.fetch(&Req::get(server.url("/gzip?bytes=100000"))).ok(200).bytes().to_vec();
    let right = Req::get(server.url("/go")).sha256(&sha256(&body)).expected_length(body.len() as u64);
    assert_eq!(host.fetch(&right).ok(200).bytes(), body);
}

#[test]
fn only_a_success_is_held_against_it() {
    let (server, host) = (Server::start(), Host::new());
    host.fetch(&Req::get(server.url("/status/404")).sha256(WRONG).expected_length(7)).ok(404);
    host.fetch(&Req::new("HEAD", server.url("/bytes/10")).sha256(WRONG).expected_length(7)).ok(200);
}

#[test]
fn what_is_no_hash_is_refused() {
    let host = Host::new();
    for bad in ["", "abc", &WRONG[1..], &WRONG.replace('b', "x")] {
        let refused = host.try_submit(&Req::get("http://127.0.0.1:1/").sha256(bad)).unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT, "{bad}");
        assert!(refused.message.contains("expected_sha256"), "{}", refused.message);
    }
}
