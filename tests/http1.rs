//! HTTP/1.1 as servers and proxies get it wrong: what is refused, at once and by which error, and what is put up with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use sortie_test_server::{Outcome, Server};
use support::*;

/// A server that answers `/raw` by these bytes and keeps the connection open; anything else as ever.
fn raw(bytes: impl Into<Vec<u8>>) -> Server {
    let bytes = bytes.into();
    Server::builder()
        .handler(move |request, conn| {
            if request.path() != "/raw" {
                return Ok(None);
            }
            conn.drain_body()?;
            conn.write(&bytes)?;
            Ok(Some(Outcome::Done))
        })
        .start()
}

/// The answer to a GET that gets these bytes. The client still works afterwards.
fn answer_to(bytes: impl Into<Vec<u8>>) -> Event {
    let (server, host) = (raw(bytes), Host::new());
    let event = host.fetch(&Req::get(server.url("/raw")));
    assert!(event.status != 0 || event.error != SORTIE_ERROR_NONE, "no status and no error: {event:?}");
    host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
    event
}

#[track_caller]
fn refused(bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    let event = answer_to(bytes.clone());
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(event.error, SORTIE_ERROR_PROTOCOL, "{shown:?}: {event:?}");
    event.message.unwrap()
}

#[test]
fn a_status_line_is_what_the_standard_says_or_a_protocol_error() {
    for line in [
        "HTTP/1.1 404Not Found",
        "http/1.1 200 OK",
        "Http/1.1 200 OK",
        "hTTP/1.0 200",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2 OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 0x1 OK",
        "HTTP/1.1 2OO OK",
        "HTTP/1.1 000 Nothing",
        "HTTP/1.1 099 Too little",
        "HTTP/1.1 OK",
        "HTTP/1.1 ",
        "HTTP/1.1",
        "HTTP/1.1200 OK",
        "HTTP/1 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/11 200 OK",
        "HTTP/2 200 OK",
        "HTTP/2 404Not Found",
        "HTTP/3 200 ",
        "HTTP/9.9 200 OK",
        "HTTP/x.y 200 OK",
        "HTTP/",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "",
    ] {
        for end in ["\r\n", "\n"] {
            refused(format!("{line}{end}Content-Length: 2{end}{end}ok"));
        }
    }
    // Redirects, retries and files follow the same status: none is taken from a line that is refused.
    refused("http/1.1 302 Found\r\nLocation: /bytes/3\r\nContent-Length: 0\r\n\r\n");
    let (server, host, folder) = (raw("HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok"), Host::new(), Folder::new());
    let download = Req::download(server.url("/raw"), folder.join("file"));
    host.fetch(&download).failed(SORTIE_ERROR_PROTOCOL);
    folder.holds(&[]);
    host.fetch(&download.clone().max_attempts(3).retry_delay_ms(1)).failed(SORTIE_ERROR_PROTOCOL);
    assert_eq!(server.requests().len(), 4, "tried again by the rules of PROTOCOL");
}

#[test]
fn statuses_of_three_digits_are_data() {
    for status in [200, 299, 304, 404, 417, 418, 451, 499, 599, 600, 799, 999] {
        for line in
            [format!("HTTP/1.1 {status} Some reason"), format!("HTTP/1.1 {status} "), format!("HTTP/1.1 {status}")]
        {
            let event = answer_to(format!("{line}\r\nContent-Length: 0\r\nX-A: 1\r\n\r\n"));
            assert_eq!(event.ok(status).header("X-A"), Some("1"), "{line}");
        }
    }
    assert_eq!(answer_to("HTTP/1.0 200 OK\nContent-Length: 2\n\nok").ok(200).text(), "ok");
}

#[test]
fn only_the_first_line_of_a_head_is_a_status_line() {
    for name in ["HTTP/1.1 500", "HTTP/1.1", "HTTP/2", "http/1.1 500", "HTTP/1.1 304 "] {
        let event = answer_to(format!(
            "HTTP/1.1 200 OK\r\nX-Before: 1\r\n{name}: x\r\nX-After: 2\r\nContent-Length: 2\r\n\r\nok"
        ));
        assert_eq!(event.ok(200).text(), "ok", "{name}");
        assert_eq!((event.header("X-Before"), event.header("X-After")), (Some("1"), Some("2")), "{name}");
        assert_eq!(event.header(name.trim()), Some("x"));
    }
    // The same amid trailers.
    let event = answer_to(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Before: 1\r\n\r\n2\r\nok\r\n0\r\nHTTP/1.1 500: x\r\n\r\n",
    );
    assert_eq!((event.ok(200).text(), event.header("X-Before")), ("ok", Some("1")));
}

#[test]
fn interim_responses_come_before_one_final_one() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\nX-A: early\r\n\r\n";
    let event =
        answer_to(format!("{interim}HTTP/1.1 199\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"));
    assert_eq!((event.ok(200).text(), event.header("X-A"), event.header("Link")), ("ok", Some("1"), None));
    // Their lines are looked at in the same way.
    refused("HTTP/1.1 100Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    refused("HTTP/1.1 100 Continue\r\n\r\nhttp/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    refused("HTTP/1.1 100 Continue\r\n\r\ngarbage");
    // A change of protocols that nobody has asked for, or that a program asks for by a field of its own.
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    assert!(refused(switch).contains("101"));
    refused(format!("{switch}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let (server, host) = (raw(switch), Host::new());
    host.fetch(&Req::get(server.url("/raw")).header("Upgrade", "x").header("Connection", "Upgrade"))
        .failed(SORTIE_ERROR_PROTOCOL);
    // Without end they are too much of a head.
    let event = answer_to("HTTP/1.1 103 Early\r\n\r\n".repeat(100_000));
    event.failed(SORTIE_ERROR_PROTOCOL);
}

#[test]
fn fields_that_could_be_read_in_two_ways_are_refused() {
    for field in [
        " X-A: first",
        "\tX-A: first",
        " folded",
        "No colon",
        "X-A: a\0b",
        "X\0: a",
        "X-A: a\rX-B: b",
        "X-A: a\r",
        "Content-Length : 2",
        "Content-Length\t: 2",
        "Transfer-Encoding : chunked",
    ] {
        for before in ["", "X-Before: 1\r\n"] {
            if field.starts_with([' ', '\t']) && !before.is_empty() {
                continue; // That is a folded line.
            }
            refused(format!("HTTP/1.1 200 OK\r\n{before}{field}\r\nContent-Length: 2\r\n\r\nok"));
        }
    }
}

#[test]
fn fields_that_can_be_read_in_one_way_only_are_put_up_with() {
    let event = answer_to(concat!(
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n  b\r\n\t c\r\nX-Blank : 1\r\nX-Tab\t \t: 2\r\n: none\r\nX-Empty:\r\n",
        "X-Colons::a:b\r\nX-Control: a\x01b\x7f\r\nX-Folded-Empty:\r\n d\r\nX Y: z\r\nContent-Length: 2\r\n\r\nok",
    ));
    assert_eq!(event.ok(200).text(), "ok");
    let is = |name: &str, value: &str| assert_eq!(event.header(name), Some(value), "{name}");
    is("X-Folded", "a b c");
    is("X-Blank", "1");
    is("X-Tab", "2");
    is("X-Empty", "");
    is("X-Colons", ":a:b");
    is("X-Control", "a\x01b\x7f");
    is("X-Folded-Empty", "d");
    assert_eq!(event.header(""), None, "a field without a name is none");
}

#[test]
fn a_content_length_is_one_number_or_refused() {
    let one = |value: &str| format!("Content-Length: {value}\r\n");
    for length in ["2", " 2 ", "02", "0000000000000000000002", "2, 2", "2,2 , 2"] {
        assert_eq!(answer_to(format!("HTTP/1.1 200 OK\r\n{}\r\nok", one(length))).ok(200).text(), "ok", "{length:?}");
    }
    assert_eq!(answer_to(format!("HTTP/1.1 200 OK\r\n{}{}\r\nok", one("2"), one("2"))).ok(200).text(), "ok");
    for length in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551618",
        "99999999999999999999999999999",
        "-1",
        "-2",
        "+2",
        "2 2",
        "2, 3",
        "2,",
        ",2",
        "2, x",
        "0x2",
        "2.0",
        "2e0",
        "two",
        "",
        "2; q=1",
    ] {
        for coded in ["", "Transfer-Encoding: chunked\r\n"] {
            let lengths = one(length);
            refused(format!("HTTP/1.1 200 OK\r\n{coded}{lengths}\r\n2\r\nok\r\n0\r\n\r\n"));
            refused(format!("HTTP/1.1 200 OK\r\n{lengths}{coded}\r\n2\r\nok\r\n0\r\n\r\n"));
        }
    }
    for coded in ["", "Transfer-Encoding: chunked\r\n"] {
        let (two, three) = (one("2"), one("3"));
        refused(format!("HTTP/1.1 200 OK\r\n{two}{three}{coded}\r\n2\r\nok\r\n0\r\n\r\n"));
        refused(format!("HTTP/1.1 404 Not Found\r\n{two}{coded}{three}\r\n2\r\nok\r\n0\r\n\r\n"));
    }
    // A body that is nobody's can be any length.
    let event = answer_to("HTTP/1.1 204 None\r\nContent-Length: 99999999999999999999\r\n\r\n");
    assert_eq!(event.ok(204).bytes(), b"");
    // Both: chunks say where the body ends.
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let event = answer_to(both);
    assert_eq!((event.ok(200).text(), event.transferred), ("ok", 2));
}

#[test]
fn a_body_is_chunked_as_the_standard_says_or_refused() {
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for body in [
        "2\r\nok\r\n0\r\n\r\n",
        "2\nok\n0\n\n",
        "002\r\nok\r\n000\r\n\r\n",
        "2;name=value\r\nok\r\n0;end\r\n\r\n",
        "2 \r\nok\r\n0\r\n\r\n",
        "1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n",
    ] {
        assert_eq!(answer_to(chunked(body)).ok(200).text(), "ok", "{body:?}");
    }
    for body in [
        "zz\r\nok\r\n0\r\n\r\n",
        "-2\r\nok\r\n0\r\n\r\n",
        "\r\nok\r\n0\r\n\r\n",
        " 2\r\nok\r\n0\r\n\r\n",
        "8000000000000000\r\nok\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFFF\r\nok\r\n0\r\n\r\n",
        "2\r\nok0\r\n\r\n",
        "1\r\nok\r\n0\r\n\r\n",
        "2\r\nok\r\nx\r\n\r\n",
        "2\r\nok\r\n0\r\nNo colon\r\n\r\n",
        "2\r\nok\r\n0\r\nX: \0\r\n\r\n",
    ] {
        refused(chunked(body));
    }
    for codings in ["chunked, gzip", "chunked, identity", "x-unknown, chunked", "gzip, chunked, gzip", "x-unknown"] {
        refused(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {codings}\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
    }
    for codings in ["Chunked", "CHUNKED ", "chunked, chunked", " ,chunked"] {
        let event = answer_to(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {codings}\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
        assert_eq!(event.ok(200).text(), "ok", "{codings}");
    }
}

#[test]
fn a_head_without_end_is_a_protocol_error() {
    let fields = |count: usize| (0..count).map(|n| format!("n{n}: v\r\n")).collect::<String>();
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
    assert_eq!(answer_to(head(&fields(4_999))).ok(200).headers.len(), 5_000);
    assert!(refused(head(&fields(5_000))).contains("5000"), "names the limit");
    let line = format!("X-Long: {}\r\n", "v".repeat(90_000));
    assert_eq!(answer_to(head(&line.repeat(3))).ok(200).text(), "ok");
    refused(head(&line.repeat(4)));
    refused(head(&format!("X-Long: {}\r\n", "v".repeat(2_000_000))));
    refused(format!("HTTP/1.1 200 {}\r\n", "v".repeat(2_000_000)));
    refused(format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(100_000)));
}

#[test]
fn an_expectation_that_is_refused_is_the_response() {
    for (reply, keeps, body) in [
        ("Content-Length: 0\r\n\r\n", true, ""),
        ("Content-Length: 9\r\n\r\nunwilling", true, ""),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", true, ""),
        ("Connection: close\r\n\r\nunwilling", false, "unwilling"),
    ] {
        let server = Server::builder()
            .handler(move |request, conn| {
                if request.path() != "/raw" {
                    return Ok(None);
                }
                conn.skip_body();
                conn.write(format!("HTTP/1.1 417 Expectation Failed\r\nX-Why: not today\r\n{reply}").as_bytes())?;
                Ok(Some(if keeps { Outcome::Done } else { Outcome::Close }))
            })
            .start();
        for method in ["PUT", "POST"] {
            let (host, count) = (Host::new(), server.requests().len());
            for length in [10, 2_000_000] {
                let request = Req::new(method, server.url("/raw")).body(vec![b'x'; length]);
                let event = host.fetch(&request.header("Expect", "100-continue"));
                assert_eq!(event.ok(417).header("X-Why"), Some("not today"), "{reply:?}");
                assert_eq!(event.text(), body, "{reply:?}");
                host.fetch(&Req::get(server.url("/bytes/10"))).ok(200);
            }
            let sent = server.requests().iter().filter(|request| request.target == "/raw").count();
            assert_eq!(server.requests().len() - count, 4, "{sent} to /raw: each was sent once");
        }
    }
}

/// A proxy that answers whatever comes by these bytes, and goes.
fn answering(bytes: &'static [u8], reset: bool) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            // Unread bytes make closing a reset.
            let count = stream.read(if reset { &mut request[..1] } else { &mut request }).unwrap();
            assert!(count > 0);
            stream.write_all(bytes).unwrap();
        }
    });
    url
}

#[test]
fn a_proxy_that_does_not_answer_connect_is_a_proxy_error() {
    for reset in [false, true] {
        for answer in [
            &b""[..],
            b"garbage\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nX: y\r\n",
            b"HTTP/1.1 502 Bad\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            b"220 mail.test ESMTP\r\n",
        ] {
            let host = Setup { proxy: Some(answering(answer, reset)), ..Setup::default() }.start();
            let event = host.fetch(&Req::get("https://secure.test/"));
            let shown = String::from_utf8_lossy(answer);
            assert_eq!(event.error, SORTIE_ERROR_PROXY, "{shown:?}, reset: {reset}: {event:?}");
        }
    }
    let long: &'static [u8] =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(1 << 20)).into_boxed_str()).as_bytes();
    let host = Setup { proxy: Some(answering(long, false)), ..Setup::default() }.start();
    host.fetch(&Req::get("https://secure.test/")).failed(SORTIE_ERROR_PROXY);
    // Once it has, the server is to blame.
    let host = Setup { proxy: Some(answering(b"HTTP/1.1 200 OK\r\n\r\n", false)), ..Setup::default() }.start();
    host.fetch(&Req::get("https://secure.test/")).failed_as(&[SORTIE_ERROR_TLS, SORTIE_ERROR_RECEIVE]);
}

/// Names and values as they are compared.
fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn trailers_are_kept_apart_from_headers() {
    let body = "HTTP/1.1 200 OK\r\nX-Sum: early\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
    let event = answer_to(format!(
        "{body}X-Sum: late\r\nETag: \"e\"\r\nx-sum: again\r\nX-Empty:\r\nX-Latin: gr\u{fc}n\r\n\r\n"
    ));
    assert_eq!((event.ok(200).text(), event.header("X-Sum"), event.header("ETag")), ("ok", Some("early"), None));
    let expected =
        [("X-Sum", "late"), ("ETag", "\"e\""), ("x-sum", "again"), ("X-Empty", ""), ("X-Latin", "gr\u{fc}n")];
    assert_eq!(pairs(&event.trailers), expected);
    // Whatever says how the body is to be read, or who is asking, came too late.
    let event = answer_to(format!(
        "{body}Content-Length: 9\r\nSet-Cookie: a=1\r\nTransfer-Encoding: gzip\r\nContent-Encoding: gzip\r\n\
         Location: /bytes/1\r\nContent-Type: image/png\r\nRetry-After: 9\r\nX: 1\r\n\r\n"
    ));
    assert_eq!(event.ok(200).text(), "ok");
    assert_eq!(pairs(&event.trailers), [("X", "1")]);
    let (server, host) = (raw(format!("{body}Set-Cookie: late=1\r\n\r\n")), Host::new());
    host.fetch(&Req::get(server.url("/raw"))).ok(200);
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
    assert_eq!(server.requests()[1].header("Cookie"), None);
    // Their number and size have limits.
    let many = |count: usize| format!("{body}{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(answer_to(many(256)).ok(200).trailers.len(), 256);
    assert!(refused(many(257)).contains("256 trailers"));
    refused(format!("{body}X: {}\r\n\r\n", "y".repeat(100_000)));
    refused(format!("{body}{}\r\n", format!("X: {}\r\n", "y".repeat(4000)).repeat(20)));
    refused(format!("{body} X: y\r\n\r\n"));
    // Those that break off are of no whole response.
    let server = Server::builder()
        .handler(move |_, conn| conn.write(format!("{body}X: y\r\nZ").as_bytes()).map(|()| Some(Outcome::Close)))
        .start();
    host.fetch(&Req::get(server.url("/"))).failed(SORTIE_ERROR_RECEIVE);
}

#[test]
fn a_head_that_breaks_off_is_no_response() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Last: 1\r\n";
    for end in [head.len(), head.len() - 1, head.len() - 2, 40, 17, 15, 9, 3] {
        let cut = head[..end].to_owned();
        let server =
            Server::builder().handler(move |_, conn| conn.write(cut.as_bytes()).map(|()| Some(Outcome::Close))).start();
        let event = Host::new().fetch(&Req::get(server.url("/")));
        event.failed_as(&[SORTIE_ERROR_RECEIVE, SORTIE_ERROR_PROTOCOL]);
        if end >= 17 {
            event.failed(SORTIE_ERROR_RECEIVE);
        }
    }
}

#[test]
fn trailers_come_with_streams_and_files_and_at_their_end_alone() {
    let (server, folder) =
        (raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"), Folder::new());
    let host = Host::new();
    for request in [
        Req::get(server.url("/raw")).flags(SORTIE_REQUEST_STREAM_RESPONSE),
        Req::download(server.url("/raw"), folder.join("file")).progress(SORTIE_PROGRESS_DOWNLOAD),
    ] {
        let id = host.submit(&request);
        let events = host.events(id);
        let (ended, before) = events.split_last().unwrap();
        assert_eq!(pairs(&ended.ok(200).trailers), [("X-Sum", "1")]);
        assert!(!before.is_empty() && before.iter().all(|event| event.trailers.is_empty()));
    }
}
