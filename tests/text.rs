//! Text in other charsets: responses become UTF-8, requests are written in what they name.

#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::sync::{Arc, Mutex};

use sortie::ffi::*;
use sortie_test_server::{Response, Server};
use support::*;

/// Answers each path with one body of one Content-Type.
fn speaking(answers: &'static [(&'static str, Option<&'static str>, &'static [u8])]) -> Server {
    Server::builder()
        .handler(|request, conn| {
            let Some((_, content_type, body)) = answers.iter().find(|(path, _, _)| *path == request.path()) else {
                return Ok(None);
            };
            let mut response = Response::new(200).body(body.to_vec());
            if let Some(content_type) = content_type {
                response = response.header("Content-Type", *content_type);
            }
            conn.send(&response).map(Some)
        })
        .start()
}

/// Fetches a text; gives its body, and the charset it was in with the place where that was found.
fn fetch(host: &Host, url: String, flags: u32) -> (Vec<u8>, u32, Option<String>, u32) {
    let id = host.submit(&Req::get(url).flags(flags));
    let mut found = None;
    while found.is_none() {
        assert!(host.wait(DEADLINE));
        host.next_event(|raw, event| {
            assert_eq!(event.request, id);
            event.ok(200);
            let mut source = 77;
            // SAFETY: an event of the last poll and a writable number.
            let charset = copy_text(unsafe { sortie_event_charset(raw, &mut source) });
            found = Some((event.bytes().to_vec(), event.body_kind, charset, source));
        });
    }
    found.unwrap()
}

#[test]
fn text_becomes_utf_8_by_the_header_the_mark_or_its_own_word() {
    let server = speaking(&[
        ("/header", Some("text/plain; charset=ISO-8859-1"), b"gr\xFC\xDFe"),
        ("/mark", Some("text/plain"), b"\xFF\xFEg\0r\0\xFC\0\xDF\0e\0"),
        ("/xml", Some("application/xml"), b"<?xml version=\"1.0\" encoding=\"windows-1251\"?><a>\xE6</a>"),
        ("/meta", Some("text/html"), b"<meta charset=\"shift_jis\">\x83\x65"),
        ("/equiv", Some("text/html"), b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>\xD6"),
        ("/plain", Some("application/json"), b"{\"a\":\"\xC3\xA4\"}"),
        ("/lying", Some("text/plain; charset=utf-8"), b"a\xFFb"),
        ("/cut", Some("text/plain; charset=utf-8"), b"a\xE2\x82"),
        ("/mark-and-header", Some("text/plain; charset=utf-8"), b"\xEF\xBB\xBFx"),
        ("/unknown", Some("text/plain; charset=klingon"), b"x"),
    ]);
    let host = Host::new();
    for (path, text, charset, source) in [
        ("/header", "grüße", "windows-1252", SORTIE_CHARSET_HEADER),
        ("/mark", "grüße", "UTF-16LE", SORTIE_CHARSET_BYTE_ORDER_MARK),
        ("/plain", "{\"a\":\"ä\"}", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/lying", "a\u{FFFD}b", "UTF-8", SORTIE_CHARSET_HEADER),
        ("/cut", "a\u{FFFD}", "UTF-8", SORTIE_CHARSET_HEADER),
        ("/mark-and-header", "x", "UTF-8", SORTIE_CHARSET_BYTE_ORDER_MARK),
        ("/unknown", "x", "UTF-8", SORTIE_CHARSET_ASSUMED),
    ] {
        let expected = (text.as_bytes().to_vec(), SORTIE_BODY_TEXT, Some(charset.to_owned()), source);
        assert_eq!(fetch(&host, server.url(path), 0), expected, "{path}");
    }
    for (path, end, charset, source) in [
        ("/xml", "<a>ж</a>", "windows-1251", SORTIE_CHARSET_XML_DECLARATION),
        ("/meta", "テ", "Shift_JIS", SORTIE_CHARSET_META_CHARSET),
        ("/equiv", "ж", "KOI8-R", SORTIE_CHARSET_META_HTTP_EQUIV),
    ] {
        let (text, _, found, place) = fetch(&host, server.url(path), 0);
        assert!(String::from_utf8(text).unwrap().ends_with(end), "{path}");
        assert_eq!((found.as_deref(), place), (Some(charset), source), "{path}");
    }
}

#[test]
fn a_document_speaks_for_itself_only_if_it_is_html_or_xml() {
    const META: &[u8] = b"[\"<meta charset=iso-2022-kr>\", \"<?xml encoding='gbk'?>\"]";
    const XML: &[u8] = b"<?xml version='1.0' encoding='koi8-r'?><meta charset=gbk>";
    let server = speaking(&[
        ("/json", Some("application/json"), META),
        ("/scores", Some("application/vnd.game.scores+json"), META),
        ("/plain", Some("text/plain"), META),
        ("/script", Some("text/javascript"), META),
        ("/css", Some("text/css"), b"@charset \"gbk\"; /* <meta charset=gbk> */"),
        ("/csv", Some("text/csv"), META),
        ("/form", Some("application/x-www-form-urlencoded"), b"a=<meta charset=gbk>"),
        ("/xml", Some("text/xml"), XML),
        ("/svg", Some("image/svg+xml"), XML),
        ("/meta-in-xml", Some("application/xhtml+xml"), b"<meta charset=gbk>"),
        ("/xml-in-html", Some("text/html"), b"<?xml version='1.0' encoding='koi8-r'?><p>"),
        ("/commented", Some("text/html"), b"<!-- <meta charset=gbk> --><meta charset=koi8-r>"),
        ("/quoted", Some("text/html"), b"<a title='<meta charset=gbk>'><meta charset=koi8-r>"),
        ("/second", Some("text/html"), b"<meta charset=klingon><meta charset=koi8-r>"),
        ("/order", Some("text/html"), b"<meta http-equiv=content-type content='x;charset=koi8-r'><meta charset=gbk>"),
        ("/no-pragma", Some("text/html"), b"<meta content='text/html;charset=gbk'>"),
        ("/user", Some("text/html"), b"<meta charset=x-user-defined>"),
        ("/sixteen", Some("text/html"), b"<meta charset=utf-16le>"),
        ("/header", Some("text/html; charset=koi8-r"), b"<meta charset=gbk>"),
        ("/nested", Some("text/html; x=\"; charset=gbk\"; charset=koi8-r"), b"<p>"),
        ("/first", Some("text/html; charset=koi8-r; charset=gbk"), b"<p>"),
        ("/unknown", Some("text/html; charset=klingon"), b"<meta charset=koi8-r>"),
    ]);
    let host = Host::new();
    for (path, charset, source) in [
        ("/json", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/scores", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/plain", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/script", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/css", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/csv", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/form", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/xml", "KOI8-R", SORTIE_CHARSET_XML_DECLARATION),
        ("/svg", "KOI8-R", SORTIE_CHARSET_XML_DECLARATION),
        ("/meta-in-xml", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/xml-in-html", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/commented", "KOI8-R", SORTIE_CHARSET_META_CHARSET),
        ("/quoted", "KOI8-R", SORTIE_CHARSET_META_CHARSET),
        ("/second", "KOI8-R", SORTIE_CHARSET_META_CHARSET),
        ("/order", "KOI8-R", SORTIE_CHARSET_META_HTTP_EQUIV),
        ("/no-pragma", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/user", "windows-1252", SORTIE_CHARSET_META_CHARSET),
        ("/sixteen", "UTF-8", SORTIE_CHARSET_META_CHARSET),
        ("/header", "KOI8-R", SORTIE_CHARSET_HEADER),
        ("/nested", "KOI8-R", SORTIE_CHARSET_HEADER),
        ("/first", "KOI8-R", SORTIE_CHARSET_HEADER),
        ("/unknown", "KOI8-R", SORTIE_CHARSET_META_CHARSET),
    ] {
        let (text, kind, found, place) = fetch(&host, server.url(path), 0);
        assert_eq!((kind, found.as_deref(), place), (SORTIE_BODY_TEXT, Some(charset), source), "{path}");
        assert!(text.is_ascii() && !text.is_empty(), "{path}: nothing of it is lost");
    }
}

#[test]
fn a_byte_order_mark_decides_and_json_is_utf_8() {
    let server = speaking(&[
        ("/big", Some("text/plain; charset=utf-16"), b"\xFE\xFF\0h\0i"),
        ("/little", Some("text/plain; charset=utf-16be"), b"\xFF\xFEh\0i\0"),
        ("/latin", Some("text/plain; charset=iso-8859-1"), b"\xEF\xBB\xBFhi"),
        ("/json", Some("application/json"), b"\xFE\xFF\0h\0i"),
        ("/unmarked", Some("text/plain; charset=utf-16"), b"h\0i\0"),
        ("/said", Some("application/json; charset=iso-8859-1"), b"\xC3\xA4"),
        ("/meant", Some("application/json; charset=iso-8859-1"), b"\xE4"),
    ]);
    let host = Host::new();
    for (path, text, charset, source) in [
        ("/big", "hi", "UTF-16BE", SORTIE_CHARSET_BYTE_ORDER_MARK),
        ("/little", "hi", "UTF-16LE", SORTIE_CHARSET_BYTE_ORDER_MARK),
        ("/latin", "hi", "UTF-8", SORTIE_CHARSET_BYTE_ORDER_MARK),
        ("/json", "hi", "UTF-16BE", SORTIE_CHARSET_BYTE_ORDER_MARK),
        ("/unmarked", "hi", "UTF-16LE", SORTIE_CHARSET_HEADER),
        ("/said", "\u{e4}", "UTF-8", SORTIE_CHARSET_ASSUMED),
        ("/meant", "\u{e4}", "windows-1252", SORTIE_CHARSET_HEADER),
    ] {
        let expected = (text.as_bytes().to_vec(), SORTIE_BODY_TEXT, Some(charset.to_owned()), source);
        assert_eq!(fetch(&host, server.url(path), 0), expected, "{path}");
    }
}

#[test]
fn binary_types_are_bytes_whatever_charset_they_name() {
    const BYTES: &[u8] = b"\xEF\xBB\xBF\x89PNG\r\n\xFF\0\xC3";
    for content_type in [
        "application/octet-stream; charset=utf-8",
        "image/png; charset=utf-8",
        "IMAGE/JPEG;charset=iso-8859-1",
        "audio/ogg; charset=\"utf-8\"",
        "video/mp4; charset=utf-16",
        "font/woff2; charset=utf-8",
        "application/zip;charset=utf-8",
        "application/x-7z-compressed;charset=windows-1252",
        "application/epub+zip; charset=utf-8",
        "application/wasm; charset=utf-8",
        // Nobody knows these, but they are none of the text that they say they are.
        "application/x-save; charset=utf-8",
        "application/vnd.unity; charset=utf-16",
        "text; charset=utf-8",
    ] {
        let server = Server::builder()
            .handler(move |_, conn| {
                conn.send(&Response::new(200).header("Content-Type", content_type).body(BYTES.to_vec())).map(Some)
            })
            .start();
        let host = Host::new();
        assert_eq!(fetch(&host, server.url("/"), 0), (BYTES.to_vec(), SORTIE_BODY_BINARY, None, 77), "{content_type}");
    }
    // What is text goes on being it.
    let server = speaking(&[("/", Some("application/x-save; charset=iso-8859-1"), b"gr\xFC\xDFe")]);
    let (text, kind, ..) = fetch(&Host::new(), server.url("/"), 0);
    assert_eq!((text.as_slice(), kind), ("gr\u{fc}\u{df}e".as_bytes(), SORTIE_BODY_TEXT));
}

#[test]
fn of_several_content_types_the_last_counts() {
    let server = Server::builder()
        .handler(|_, conn| {
            let response = Response::new(200).header("Content-Type", "text/plain; charset=koi8-r");
            conn.send(&response.header("Content-Type", "text/plain").body(b"\xD6".to_vec())).map(Some)
        })
        .start();
    let expected = ("\u{436}".as_bytes().to_vec(), SORTIE_BODY_TEXT, Some("KOI8-R".to_owned()), SORTIE_CHARSET_HEADER);
    assert_eq!(fetch(&Host::new(), server.url("/"), 0), expected);
}

#[test]
fn bytes_and_raw_text_stay_as_they_came() {
    let server = speaking(&[
        ("/bytes", Some("image/png"), b"\xFF\xFE\xFC"),
        ("/untold", None, b"\xFF\xFE\xFC"),
        ("/text", Some("text/plain; charset=ISO-8859-1"), b"\xFC"),
    ]);
    let host = Host::new();
    for path in ["/bytes", "/untold"] {
        let expected = (b"\xFF\xFE\xFC".to_vec(), SORTIE_BODY_BINARY, None, 77);
        assert_eq!(fetch(&host, server.url(path), 0), expected, "{path}");
    }
    let expected = (b"\xFC".to_vec(), SORTIE_BODY_TEXT, None, 77);
    assert_eq!(fetch(&host, server.url("/text"), SORTIE_REQUEST_RAW_TEXT), expected);
    // Compressed text is bytes to whoever asked for it so.
    let compressing = Server::builder()
        .handler(|_, conn| {
            let response = Response::new(200).header("Content-Type", "text/plain").header("Content-Encoding", "gzip");
            conn.send(&response.body(b"\x1F\x8B\xFF".to_vec())).map(Some)
        })
        .start();
    let ended = host.fetch(&Req::get(compressing.url("/")).header("Accept-Encoding", "gzip"));
    assert_eq!((ended.ok(200).bytes(), ended.body_kind), (&b"\x1F\x8B\xFF"[..], SORTIE_BODY_BINARY));
    // A file is never changed.
    let folder = Folder::new();
    host.fetch(&Req::download(server.url("/text"), folder.join("file"))).ok(200);
    assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"\xFC");
}

#[test]
fn a_request_is_written_in_the_charset_it_names() {
    let (server, host) = (Server::start(), Host::new());
    let text = |content_type: &str| {
        Req::new("POST", server.url("/upload")).body("grüße").content_type(content_type).body_kind(SORTIE_BODY_TEXT)
    };
    for (content_type, sent, header) in [
        ("text/plain", "grüße".as_bytes(), "text/plain; charset=UTF-8"),
        ("application/json", "grüße".as_bytes(), "application/json; charset=UTF-8"),
        ("text/plain; charset=utf-8", "grüße".as_bytes(), "text/plain; charset=utf-8"),
        ("text/plain; charset=ISO-8859-1", b"gr\xFC\xDFe", "text/plain; charset=ISO-8859-1"),
        ("text/plain; charset=utf-16le", b"g\0r\0\xFC\0\xDF\0e\0", "text/plain; charset=utf-16le"),
    ] {
        server.clear_requests();
        host.fetch(&text(content_type)).ok(200);
        let request = server.requests().remove(0);
        assert_eq!(request.body.as_deref(), Some(sent), "{content_type}");
        assert_eq!(request.header("Content-Type"), Some(header));
        assert_eq!(request.header("Content-Length"), Some(sent.len().to_string().as_str()));
    }
    // Without being called text, a body and its Content-Type go out as they are.
    server.clear_requests();
    host.fetch(&Req::new("POST", server.url("/upload")).body("x").content_type("application/json")).ok(200);
    assert_eq!(server.requests().remove(0).header("Content-Type"), Some("application/json"));
}

#[test]
fn what_cannot_be_written_is_told() {
    let (server, host) = (Server::start(), Host::new());
    let text = |content_type: &str, body: &[u8]| {
        Req::new("POST", server.url("/upload")).body(body).content_type(content_type).body_kind(SORTIE_BODY_TEXT)
    };
    let refused = host.try_submit(&text("text/plain; charset=klingon", b"x")).unwrap_err();
    assert_eq!(refused.result, SORTIE_RESULT_ARGUMENT);
    assert!(refused.message.contains("klingon"), "{}", refused.message);
    // The Encoding Standard has done away with it.
    let refused = host.try_submit(&text("text/plain; charset=iso-2022-kr", b"x")).unwrap_err();
    assert!(refused.message.contains("iso-2022-kr"), "{}", refused.message);
    let latin = "text/plain; charset=iso-8859-1";
    assert!(host.fetch(&text(latin, "ж".as_bytes())).failed(SORTIE_ERROR_ENCODE).contains("windows-1252"));
    assert!(host.fetch(&text(latin, b"\xFF")).failed(SORTIE_ERROR_ENCODE).contains("UTF-8"));
    assert_eq!(server.request_count(), 0, "nothing was sent");
    host.fetch(&Req::get(server.url("/bytes/1"))).ok(200);
}

#[test]
fn a_text_file_is_written_in_the_charset_it_names() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let long: String = "gr\u{fc}\u{df}e ".repeat(100_000);
    let file = folder.file("long.txt", long.as_bytes());
    let latin: Vec<u8> = long.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let upload = |path: &std::path::Path, content_type: &str| {
        Req::upload(server.url("/upload"), path).content_type(content_type).body_kind(SORTIE_BODY_TEXT)
    };
    let request = upload(&file, "text/plain; charset=iso-8859-1").progress(SORTIE_PROGRESS_UPLOAD);
    let ended = host.fetch(&request);
    assert_eq!((ended.ok(200).transferred, ended.estimated), (latin.len() as u64, latin.len() as i64));
    let sent = server.requests().remove(0);
    assert_eq!(sent.header("Content-Length"), Some(latin.len().to_string().as_str()));
    assert_eq!((sent.body_length, sent.body_fnv), (latin.len() as u64, sortie_test_server::fnv(&latin)));

    server.clear_requests();
    let short = folder.file("short.txt", "gr\u{fc}\u{df}e".as_bytes());
    host.fetch(&upload(&short, "text/plain")).ok(200);
    let sent = server.requests().remove(0);
    assert_eq!(sent.header("Content-Type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(sent.body.as_deref(), Some("gr\u{fc}\u{df}e".as_bytes()), "UTF-8 is sent as it is");

    server.clear_requests();
    let other = folder.file("other.txt", "\u{436}".as_bytes());
    let told = host.fetch(&upload(&other, "text/plain; charset=iso-8859-1"));
    let message = told.failed(SORTIE_ERROR_ENCODE);
    assert!(message.contains("other.txt") && message.contains("U+0436"), "{message}");
    assert!(server.requests().is_empty(), "nothing was sent");
}

#[test]
fn a_lent_text_is_let_go_of_before_its_request_ends() {
    let hole = sortie_test_server::BlackHole::start();
    let host = Host::new();
    let mut strings = Strings::default();
    let (url, content_type) = (strings.text(&hole.url("/")), strings.text("text/plain; charset=iso-8859-1"));
    for _ in 0..20 {
        let text = vec![b'x'; 8 << 20];
        let mut desc = empty_desc(url);
        (desc.body, desc.body_length, desc.flags) =
            (text.as_ptr().cast(), text.len() as u64, SORTIE_REQUEST_BORROW_BODY);
        (desc.body_kind, desc.content_type) = (SORTIE_BODY_TEXT, content_type);
        let id = host.accepted(submit_raw(host.raw(), &desc).unwrap());
        host.cancel(id);
        host.ended(id).failed(SORTIE_ERROR_CANCELLED);
        // Whoever still read it now would be found out by the sanitizers, or crash.
        drop(text);
    }
    let text = vec![b'x'; 64 << 20];
    let mut desc = empty_desc(url);
    (desc.body, desc.body_length, desc.flags) = (text.as_ptr().cast(), text.len() as u64, SORTIE_REQUEST_BORROW_BODY);
    (desc.body_kind, desc.content_type) = (SORTIE_BODY_TEXT, content_type);
    host.accepted(submit_raw(host.raw(), &desc).unwrap());
    host.destroy();
}

#[test]
fn a_long_text_holds_up_nobody_else() {
    let (server, host, folder) = (Server::start(), Host::new(), Folder::new());
    let long = folder.join("long.txt");
    // Two gigabytes that take no room: NULs are text, too.
    std::fs::File::create(&long).unwrap().set_len(2 << 30).unwrap();
    let request = Req::upload(server.url("/upload"), &long)
        .content_type("text/plain; charset=iso-8859-1")
        .body_kind(SORTIE_BODY_TEXT)
        .timeout_ms(SORTIE_NO_TIMEOUT);
    let id = host.submit(&request);
    host.fetch(&Req::download(server.url("/bytes/1000"), folder.join("small"))).ok(200);
    assert_eq!(host.counts(), (2, 1), "it did not have to wait");
    host.cancel(id);
    host.ended(id).failed(SORTIE_ERROR_CANCELLED);
}

/// Header values as they come from servers that never heard of UTF-8, and what each is shown as.
const VALUES: [(&[u8], &str); 4] = [
    (b"gr\xFC\xDFe", "gr\u{fc}\u{df}e"),
    (b"\x83e\x83X", "\u{83}e\u{83}X"),
    (b"\xE2\x82", "\u{e2}\u{82}"),
    ("gr\u{fc}\u{df}e \u{436}".as_bytes(), "gr\u{fc}\u{df}e \u{436}"),
];

#[test]
fn header_values_go_back_as_the_bytes_that_came() {
    type Seen = Arc<Mutex<Vec<(String, Option<Vec<u8>>)>>>;
    const ASKED: [&str; 4] = ["Cookie", "If-None-Match", "If-Range", "If-Modified-Since"];
    for (bytes, shown) in VALUES {
        let seen: Seen = Arc::default();
        let noted = Arc::clone(&seen);
        let server = Server::builder()
            .handler(move |request, conn| {
                for name in ASKED {
                    noted.lock().unwrap().push((name.to_owned(), request.header_bytes(name).map(<[u8]>::to_vec)));
                }
                noted.lock().unwrap().push(("target".to_owned(), Some(request.target.clone().into_bytes())));
                let fields: Vec<&[u8]> = match request.path() {
                    "/cookie" => vec![b"Set-Cookie: a=", bytes, b"; Max-Age=1000\r\n", b"X-Shown: ", bytes],
                    "/tag" => vec![b"Cache-Control: no-cache\r\nETag: \"", bytes, b"\""],
                    "/part" => vec![b"ETag: \"", bytes, b"\"\r\nContent-Length: 1000"],
                    "/goes" => vec![b"Location: /to/", bytes, b"?q=", bytes],
                    _ => vec![b"X: y"],
                };
                let again = request.header_bytes("If-None-Match").is_some();
                let (status, end): (&[u8], &[u8]) = match request.path() {
                    "/goes" => (b"302 Found", b"\r\nContent-Length: 0\r\n\r\n"),
                    "/part" => (b"200 OK", b"\r\n\r\nhalf a file"),
                    "/tag" if again => (b"304 Not Modified", b"\r\n\r\n"),
                    _ => (b"200 OK", b"\r\nContent-Length: 4\r\n\r\nbody"),
                };
                conn.write(&[b"HTTP/1.1 ", status, b"\r\n", &fields.concat(), end].concat())?;
                if request.path() == "/part" {
                    return conn.close_lingering().map(Some);
                }
                Ok(Some(sortie_test_server::Outcome::Done))
            })
            .start();
        let folder = Folder::new();
        let setup = || Setup {
            max_memory_cache_bytes: 1 << 20,
            cache_directory: Some(folder.join("cache")),
            max_cache_bytes: 1 << 20,
            cookie_file: Some(folder.join("cookies")),
            ..Setup::default()
        };
        let last = |name: &str| {
            let all = std::mem::take(&mut *seen.lock().unwrap());
            all.into_iter().rfind(|(other, _)| other == name).and_then(|(_, value)| value)
        };
        let host = setup().start();
        let ended = host.fetch(&Req::get(server.url("/cookie")));
        assert_eq!(ended.ok(200).header("X-Shown"), Some(shown));
        let cookie = [b"a=", bytes].concat();
        host.fetch(&Req::get(server.url("/goes"))).ok(200);
        let escaped: String = bytes
            .iter()
            .map(|byte| match byte {
                b' ' => "%20".to_owned(),
                byte if byte.is_ascii() => char::from(*byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        assert_eq!(last("target"), Some(format!("/to/{escaped}?q={escaped}").into_bytes()));
        host.fetch(&Req::get(server.url("/"))).ok(200);
        assert_eq!(last("Cookie").as_deref(), Some(&cookie[..]), "kept in memory");

        let tag = [b"\"", bytes, b"\""].concat();
        let shown_tag = format!("\"{shown}\"");
        host.fetch(&Req::get(server.url("/tag"))).ok(200);
        let ended = host.fetch(&Req::get(server.url("/tag")));
        assert_eq!((ended.ok(200).text(), ended.header("ETag")), ("body", Some(shown_tag.as_str())), "from the cache");
        assert_eq!(last("If-None-Match"), Some(tag.clone()));
        let part = Req::download(server.url("/part"), folder.join("file")).flags(SORTIE_REQUEST_RESUME);
        host.fetch(&part).failed(SORTIE_ERROR_RECEIVE);
        host.destroy();

        // All of them outlive their client.
        let host = setup().start();
        host.fetch(&Req::get(server.url("/"))).ok(200);
        assert_eq!(last("Cookie"), Some(cookie), "kept in a file");
        assert_eq!(host.fetch(&Req::get(server.url("/tag"))).ok(200).text(), "body");
        assert_eq!(last("If-None-Match"), Some(tag.clone()), "kept in a file");
        host.fetch(&part).failed(SORTIE_ERROR_RECEIVE);
        assert_eq!(last("If-Range"), Some(tag));
    }
}
