//! Bad input through the C ABI: the documented result, a message that names the thing, out parameters left alone, and a
//! client that still works afterwards.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![allow(clippy::undocumented_unsafe_blocks)] // each block hands over what its line shows; bad pointers are NULL

mod support;

use std::mem::MaybeUninit;
use std::ptr::{null, null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use sortie_test_server::{Server, refused_addr};
use support::*;

/// A client that is given bad input, and a server to show that it still works.
struct Bench {
    server: Server,
    host: Host,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(Setup::default())
    }

    fn with(setup: Setup) -> Bench {
        Bench { server: Server::start(), host: setup.start() }
    }

    fn get(&self) -> Req {
        Req::get(self.server.url("/bytes/1"))
    }

    /// A request that is refused with this result and a message that holds this text; nothing of it reaches the server.
    #[track_caller]
    fn refuses(&self, request: &Req, result: i32, text: &str) {
        match self.host.try_submit(request) {
            Ok(id) => panic!("{:?} was accepted as {id}", request.url),
            Err(refused) => expect(refused, result, text),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let before = self.server.request_count();
        let event = self.host.fetch(&Req::get(self.server.url("/bytes/7")));
        assert_eq!(event.ok(200).bytes().len(), 7, "the client still works");
        assert_eq!(self.server.request_count(), before + 1);
        let (accepted, ended) = self.host.counts();
        assert_eq!(self.host.stats().submitted, accepted, "refused calls do not count");
        assert_eq!(accepted, ended);
    }
}

#[track_caller]
fn expect(refused: Refused, result: i32, text: &str) {
    assert_eq!(refused.result, result, "{refused:?}");
    assert!(refused.message.contains(text), "the message should name {text:?}: {:?}", refused.message);
}

#[track_caller]
fn refused(result: i32, expected: i32, text: &str) {
    assert!(result < 0, "it was accepted: {result}");
    expect(Refused::now(result), expected, text);
}

/// A configuration that is refused.
#[track_caller]
fn setup_refused(setup: Setup, result: i32, text: &str) {
    match setup.try_create() {
        Ok(client) => {
            drop(Host::of(client));
            panic!("a client was created; expected a refusal about {text}");
        }
        Err(refused) => expect(refused, result, text),
    }
}

#[test]
fn null_is_refused_everywhere() {
    const NULL: i32 = SORTIE_RESULT_NULL_ARGUMENT;
    let bench = Bench::new();
    let client = bench.host.raw();
    let mut strings = Strings::default();
    let url = strings.text(&bench.server.url("/bytes/1"));
    let path = strings.text("/nowhere");
    let mut id = UNTOUCHED;
    let mut events = [empty_event(); 2];
    events[0].user_data = UNTOUCHED;
    unsafe {
        refused(sortie_client_create(null(), null_mut()), NULL, "out");
        sortie_client_destroy(null_mut());

        refused(sortie_submit(null_mut(), &empty_desc(url), &mut id), NULL, "client");
        refused(sortie_submit(client, null(), &mut id), NULL, "sortie_request_desc");
        refused(sortie_submit(client, &empty_desc(null()), &mut id), NULL, "url");
        refused(sortie_get(null_mut(), url, 0, &mut id), NULL, "client");
        refused(sortie_get(client, null(), 0, &mut id), NULL, "url");
        refused(sortie_download(null_mut(), url, path, 0, &mut id), NULL, "client");
        refused(sortie_download(client, null(), path, 0, &mut id), NULL, "url");
        refused(sortie_download(client, url, null(), 0, &mut id), NULL, "path");
        refused(sortie_upload(null_mut(), url, path, null(), 0, &mut id), NULL, "client");
        refused(sortie_upload(client, null(), path, null(), 0, &mut id), NULL, "url");
        refused(sortie_upload(client, url, null(), null(), 0, &mut id), NULL, "path");
        refused(sortie_cancel(null_mut(), 1), NULL, "client");
        assert_eq!(id, UNTOUCHED, "a refused call leaves its out parameter alone");

        refused(sortie_poll(null_mut(), events.as_mut_ptr(), 2), NULL, "client");
        refused(sortie_poll(client, null_mut(), 2), NULL, "events");
        assert_eq!(events[0].user_data, UNTOUCHED);
        refused(sortie_wait(null_mut(), 0), NULL, "client");
        refused(sortie_client_suspend(null_mut()), NULL, "client");
        refused(sortie_client_resume(null_mut()), NULL, "client");
        refused(sortie_client_stats(client, null_mut()), NULL, "sortie_stats");
        let mut stats: sortie_stats = MaybeUninit::zeroed().assume_init();
        stats.struct_size = size_of::<sortie_stats>() as u32;
        stats.submitted = UNTOUCHED;
        refused(sortie_client_stats(null_mut(), &mut stats), NULL, "client");
        assert_eq!(stats.submitted, UNTOUCHED);

        let (mut name, mut body) = (null(), without_provenance_mut(UNTOUCHED as usize));
        let mut timing: sortie_timing = MaybeUninit::zeroed().assume_init();
        timing.struct_size = size_of::<sortie_timing>() as u32;
        refused(sortie_event_header_at(null(), 0, &mut name, null_mut()), NULL, "event");
        refused(sortie_event_timing(null(), &mut timing), NULL, "event");
        refused(sortie_event_take_body(null(), &mut body), NULL, "event");
        assert_eq!(body.addr() as u64, UNTOUCHED);
        assert!(name.is_null());
        let text = strings.text("Content-Type");
        assert!(sortie_event_header(null(), text, 0).is_null());
        assert_eq!(sortie_event_header_count(null()), 0);
        assert!(sortie_event_effective_url(null()).is_null());
        assert!(sortie_body_data(null()).is_null());
        assert_eq!(sortie_body_length(null()), 0);
        sortie_body_free(null_mut());

        // Where NULL is allowed: an id that nobody wants, both halves of a header.
        assert_eq!(sortie_submit(client, &empty_desc(url), null_mut()), SORTIE_OK);
    }
    bench.host.accepted(0);
    bench.host.next_event(|event, copy| unsafe {
        copy.ok(200);
        refused(sortie_event_timing(event, null_mut()), NULL, "sortie_timing");
        refused(sortie_event_take_body(event, null_mut()), NULL, "out");
        assert!(sortie_event_header(event, null(), 0).is_null());
        assert_eq!(sortie_event_header_at(event, 0, null_mut(), null_mut()), SORTIE_OK);
    });
}

#[test]
fn null_within_arrays_is_refused_and_a_null_value_is_empty() {
    let bench = Bench::new();
    let mut strings = Strings::default();
    let mut desc = empty_desc(strings.text(&bench.server.url("/inspect")));
    desc.header_count = 1;
    expect(submit_raw(bench.host.raw(), &desc).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "headers");
    let mut header = sortie_header { name: null(), value: strings.text("x") };
    desc.headers = &header;
    expect(submit_raw(bench.host.raw(), &desc).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "header name");
    (header.name, header.value) = (strings.text("X-Empty"), null());
    desc.headers = &header;
    let id = bench.host.accepted(submit_raw(bench.host.raw(), &desc).unwrap());
    assert!(bench.host.ended(id).ok(200).text().contains("X-Empty: \n"));

    let mut desc = empty_desc(strings.text(&bench.server.url("/inspect")));
    desc.body_length = 3;
    expect(submit_raw(bench.host.raw(), &desc).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "body");

    let mut config = empty_config();
    config.pin_count = 1;
    expect(create_raw(&config).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "pins");
    let mut config = empty_config();
    config.resolve_count = 1;
    expect(create_raw(&config).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "resolves");
    let mut config = empty_config();
    config.client_certificate_count = 1;
    expect(create_raw(&config).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "client_certificates");
    let mut config = empty_config();
    config.default_header_count = 1;
    expect(create_raw(&config).unwrap_err(), SORTIE_RESULT_NULL_ARGUMENT, "default_headers");
}

#[test]
fn an_absurd_count_is_refused_before_the_array_is_read() {
    let bench = Bench::new();
    let mut strings = Strings::default();
    let header = sortie_header { name: strings.text("A"), value: strings.text("b") };
    let mut desc = empty_desc(strings.text(&bench.server.url("/inspect")));
    (desc.headers, desc.header_count) = (&header, u32::MAX);
    expect(submit_raw(bench.host.raw(), &desc).unwrap_err(), SORTIE_RESULT_ARGUMENT, "headers");
    let byte = 0_u8;
    let mut desc = empty_desc(strings.text(&bench.server.url("/upload")));
    (desc.body, desc.body_length) = ((&raw const byte).cast(), u64::MAX);
    expect(submit_raw(bench.host.raw(), &desc).unwrap_err(), SORTIE_RESULT_BODY_TOO_LARGE, "body_length");
}

/// A struct with room for fields that a later release might add.
#[repr(C)]
struct Longer<T> {
    known: T,
    unknown: [u8; 64],
}

#[test]
fn a_request_desc_of_the_wrong_size_is_refused() {
    let bench = Bench::new();
    let mut strings = Strings::default();
    let url = strings.text(&bench.server.url("/bytes/1"));
    let full = size_of::<sortie_request_desc>() as u32;
    for size in [0, 1, 4, 8, full - 8, full - 1, 4097, u32::MAX] {
        let mut desc = empty_desc(url);
        desc.struct_size = size;
        let refusal = submit_raw(bench.host.raw(), &desc).unwrap_err();
        expect(refusal.clone(), SORTIE_RESULT_STRUCT_SIZE, "sortie_request_desc");
        assert!(refusal.message.contains(&size.to_string()), "{refusal:?}");
    }
    let mut longer = Longer { known: empty_desc(url), unknown: [0; 64] };
    longer.known.struct_size = size_of_val(&longer) as u32;
    let id = bench.host.accepted(submit_raw(bench.host.raw(), (&raw const longer).cast()).unwrap());
    bench.host.ended(id).ok(200);
    longer.unknown[63] = 1;
    let refusal = submit_raw(bench.host.raw(), (&raw const longer).cast()).unwrap_err();
    expect(refusal, SORTIE_RESULT_STRUCT_SIZE, "does not know");
}

#[test]
fn a_client_config_of_the_wrong_size_is_refused() {
    let full = size_of::<sortie_client_config>() as u32;
    for size in [0, 1, 4, 8, full - 8, full - 1, 4097, u32::MAX] {
        let mut config = empty_config();
        config.struct_size = size;
        expect(create_raw(&config).unwrap_err(), SORTIE_RESULT_STRUCT_SIZE, "sortie_client_config");
    }
    let mut longer = Longer { known: empty_config(), unknown: [0; 64] };
    longer.known.struct_size = size_of_val(&longer) as u32;
    drop(Host::of(create_raw((&raw const longer).cast()).unwrap()));
    longer.unknown[0] = 1;
    expect(create_raw((&raw const longer).cast()).unwrap_err(), SORTIE_RESULT_STRUCT_SIZE, "does not know");
}

#[test]
fn an_output_struct_of_the_wrong_size_is_refused_and_a_newer_ones_tail_is_zeroed() {
    let bench = Bench::new();
    let full = size_of::<sortie_stats>() as u32;
    let mut longer: Longer<sortie_stats> = unsafe { MaybeUninit::zeroed().assume_init() };
    for size in [0, 4, full - 1, 4097, u32::MAX] {
        longer.known.struct_size = size;
        longer.known.submitted = UNTOUCHED;
        let result = unsafe { sortie_client_stats(bench.host.raw(), (&raw mut longer).cast()) };
        refused(result, SORTIE_RESULT_STRUCT_SIZE, "sortie_stats");
        assert_eq!((longer.known.submitted, longer.known.struct_size), (UNTOUCHED, size));
    }
    longer.known.struct_size = full + 64;
    longer.unknown = [7; 64];
    let result = unsafe { sortie_client_stats(bench.host.raw(), (&raw mut longer).cast()) };
    assert_eq!((result, longer.known.submitted, longer.unknown), (SORTIE_OK, 0, [0; 64]));
    assert_eq!(longer.known.struct_size, full + 64, "the caller's to set");

    let id = bench.host.submit(&bench.get());
    bench.host.next_event(|event, _| {
        assert_eq!(event.request, id);
        let mut timing: Longer<sortie_timing> = unsafe { MaybeUninit::zeroed().assume_init() };
        timing.known.struct_size = size_of::<sortie_timing>() as u32 - 1;
        timing.known.total_us = UNTOUCHED;
        let result = unsafe { sortie_event_timing(event, (&raw mut timing).cast()) };
        refused(result, SORTIE_RESULT_STRUCT_SIZE, "sortie_timing");
        assert_eq!(timing.known.total_us, UNTOUCHED);
        timing.known.struct_size = size_of_val(&timing) as u32;
        timing.unknown = [7; 64];
        assert_eq!(unsafe { sortie_event_timing(event, (&raw mut timing).cast()) }, SORTIE_OK);
        assert!(timing.known.total_us != UNTOUCHED && timing.unknown == [0; 64]);
    });
}

#[test]
fn text_that_is_not_utf8_is_refused_and_named() {
    const BAD: &[u8] = b"http://x/\xff\xfe";
    let bench = Bench::new();
    let mut strings = Strings::default();
    let (url, bad) = (strings.text(&bench.server.url("/bytes/1")), strings.bytes(BAD));
    let client = bench.host.raw();
    let good = strings.text("good");
    type Change = fn(&mut sortie_request_desc, *const std::ffi::c_char);
    let fields: [(&str, Change); 8] = [
        ("url", |desc, bad| desc.url = bad),
        ("method", |desc, bad| desc.method = bad),
        ("body_path", |desc, bad| desc.body_path = bad),
        ("content_type", |desc, bad| desc.content_type = bad),
        ("response_path", |desc, bad| desc.response_path = bad),
        ("username", |desc, bad| desc.username = bad),
        ("password", |desc, bad| desc.password = bad),
        ("bearer_token", |desc, bad| desc.bearer_token = bad),
    ];
    for (name, change) in fields {
        let mut desc = empty_desc(url);
        if name == "password" {
            desc.username = good;
        }
        change(&mut desc, bad);
        expect(submit_raw(client, &desc).unwrap_err(), SORTIE_RESULT_UTF8, name);
    }
    for header in [sortie_header { name: bad, value: good }, sortie_header { name: good, value: bad }] {
        let mut desc = empty_desc(url);
        (desc.headers, desc.header_count) = (&header, 1);
        expect(submit_raw(client, &desc).unwrap_err(), SORTIE_RESULT_UTF8, "header");
    }
    let mut id = UNTOUCHED;
    unsafe {
        refused(sortie_get(client, bad, 0, &mut id), SORTIE_RESULT_UTF8, "url");
        refused(sortie_download(client, url, bad, 0, &mut id), SORTIE_RESULT_UTF8, "path");
        refused(sortie_upload(client, url, bad, null(), 0, &mut id), SORTIE_RESULT_UTF8, "path");
        refused(sortie_upload(client, url, good, bad, 0, &mut id), SORTIE_RESULT_UTF8, "content_type");
    }
    assert_eq!(id, UNTOUCHED);

    type Set = fn(&mut sortie_client_config, *const std::ffi::c_char);
    let fields: [(&str, Set); 9] = [
        ("user_agent", |config, bad| config.user_agent = bad),
        ("documents_directory", |config, bad| config.documents_directory = bad),
        ("temporary_directory", |config, bad| config.temporary_directory = bad),
        ("caches_directory", |config, bad| config.caches_directory = bad),
        ("application_support_directory", |config, bad| config.application_support_directory = bad),
        ("resource_directory", |config, bad| config.resource_directory = bad),
        ("ca_file", |config, bad| config.ca_file = bad),
        ("proxy", |config, bad| config.proxy = bad),
        ("no_proxy", |config, bad| config.no_proxy = bad),
    ];
    for (name, set) in fields {
        let mut config = empty_config();
        set(&mut config, bad);
        expect(create_raw(&config).unwrap_err(), SORTIE_RESULT_UTF8, name);
    }
}

#[test]
fn a_bad_url_is_refused() {
    let bench = Bench::new();
    bench.refuses(&Req::get(""), SORTIE_RESULT_URL, "empty");
    for url in
        ["http:/", "http://", "/only/a/path", "//x/", "www.example.com", "http:x.test", "http://[::1", "http://a b/"]
    {
        bench.refuses(&Req::get(url), SORTIE_RESULT_URL, "URL");
    }
    bench.refuses(&Req::get("http://x.test:99999/"), SORTIE_RESULT_URL, "port");
    bench.refuses(&Req::get(format!("http://x.test/{}", "a".repeat(70_000))), SORTIE_RESULT_URL, "65536");
    bench.refuses(&Req::get(format!("http://x.test/{}", "ä".repeat(20_000))), SORTIE_RESULT_URL, "65536");
    bench.refuses(&Req::get("http://us%0D%0Aer:x@x.test/"), SORTIE_RESULT_URL, "user name");
    let mut strings = Strings::default();
    let mut id = UNTOUCHED;
    unsafe {
        let empty = strings.text("");
        refused(sortie_get(bench.host.raw(), empty, 0, &mut id), SORTIE_RESULT_URL, "empty");
    }
    assert_eq!(id, UNTOUCHED);
}

#[test]
fn an_unknown_scheme_is_refused() {
    let bench = Bench::new();
    for scheme in
        ["file", "ftp", "ftps", "mqtt", "ws", "wss", "gopher", "dict", "ldap", "scp", "smb", "telnet", "tftp", "x"]
    {
        bench.refuses(&Req::get(format!("{scheme}://127.0.0.1/etc/passwd")), SORTIE_RESULT_SCHEME, scheme);
    }
    bench.refuses(&Req::get("file:///etc/passwd"), SORTIE_RESULT_SCHEME, "file");
    bench.refuses(&Req::get("data:text/plain,x"), SORTIE_RESULT_SCHEME, "data");
    bench.refuses(&Req::get("javascript:0"), SORTIE_RESULT_SCHEME, "javascript");
    // The scheme's case does not matter.
    let url = bench.server.url("/bytes/1").replace("http://", "HTTP://");
    bench.host.fetch(&Req::get(url)).ok(200);
}

#[test]
fn control_characters_in_a_url_are_refused() {
    let bench = Bench::new();
    for (control, code) in
        [('\r', "U+000D"), ('\n', "U+000A"), ('\t', "U+0009"), ('\u{1}', "U+0001"), ('\u{7f}', "U+007F")]
    {
        for url in [
            format!("http://127.0.0.1/a{control}b"),
            format!("http://127.0.0.1/?a{control}b"),
            format!("http://127.0{control}.0.1/"),
            format!("{control}http://127.0.0.1/"),
            format!("http://127.0.0.1/{control}"),
        ] {
            bench.refuses(&Req::get(url), SORTIE_RESULT_URL, code);
        }
    }
    bench.refuses(&Req::get("http://127.0.0.1/ HTTP/1.1\r\nX-Injected: 1\r\n\r\n"), SORTIE_RESULT_URL, "U+000D");
    // Encoded ones are data and stay encoded.
    bench.host.fetch(&Req::get(bench.server.url("/inspect?x=%0d%0aX-Injected:%201%00"))).ok(200);
    let request = bench.server.requests().pop().unwrap();
    assert_eq!(request.target, "/inspect?x=%0d%0aX-Injected:%201%00");
    assert_eq!(request.header("X-Injected"), None);
    // A NUL ends a C string: what follows is never seen.
    let mut id = UNTOUCHED;
    let url = format!("{}\0/../evil\r\nX: y\0", bench.server.url("/bytes/2"));
    let result = unsafe { sortie_get(bench.host.raw(), url.as_ptr().cast(), 0, &mut id) };
    assert_eq!(result, SORTIE_OK);
    assert_eq!(bench.host.ended(bench.host.accepted(id)).ok(200).bytes().len(), 2);
}

#[test]
fn a_bad_method_is_refused() {
    let bench = Bench::new();
    let url = bench.server.url("/method");
    bench.refuses(&Req::new("", &url), SORTIE_RESULT_METHOD, "empty");
    for method in
        ["GE T", "GET\r\nX: y", "GET\n", "GET\r", "GET\t", " GET", "GET ", "GÉT", "GET:", "(GET)", "GET/1", "GET\u{7f}"]
    {
        bench.refuses(&Req::new(method, &url), SORTIE_RESULT_METHOD, "method");
    }
    bench.refuses(&Req::new(&"A".repeat(65), &url), SORTIE_RESULT_METHOD, "64");
    assert_eq!(bench.host.fetch(&Req::new(&"A".repeat(64), &url)).ok(200).bytes().len(), 64);
    for method in ["CONNECT", "connect", "TRACE", "Trace"] {
        bench.refuses(&Req::new(method, &url), SORTIE_RESULT_METHOD, method);
    }
    // A NUL ends a C string: what follows is never sent.
    let mut strings = Strings::default();
    let mut desc = empty_desc(strings.text(&url));
    let method = [&b"PUT"[..], b"\r\nX-Injected: 1\0"].join(&0);
    desc.method = method.as_ptr().cast();
    let id = bench.host.accepted(submit_raw(bench.host.raw(), &desc).unwrap());
    assert_eq!(bench.host.ended(id).ok(200).text(), "PUT");
    assert_eq!(bench.server.requests().pop().unwrap().header("X-Injected"), None);
}

#[test]
fn a_bad_header_is_refused() {
    let bench = Bench::new();
    bench.refuses(&bench.get().header("", "x"), SORTIE_RESULT_HEADER, "header name is empty");
    for name in ["a b", "a:", ":a", "a\r\nb", "a\n", "ä", "a\t", "a/b", "a\u{7f}", "(a)"] {
        let shown = name.escape_default().to_string();
        bench.refuses(&bench.get().header(name, "x"), SORTIE_RESULT_HEADER, &shown);
    }
    for value in ["x\r\nX-Injected: 1", "x\r", "x\n", "\r\n", "\n folded", "a\r\n\r\nGET /evil HTTP/1.1"] {
        bench.refuses(&bench.get().header("X-Bad", value), SORTIE_RESULT_HEADER, "X-Bad");
    }
    bench.refuses(&bench.get().header("Transfer-Encoding", "chunked"), SORTIE_RESULT_HEADER, "Transfer-Encoding");
    bench.refuses(&bench.get().header("X-Big", &"x".repeat(300_000)), SORTIE_RESULT_HEADER, "256 KiB");
    let many = (0..2000).fold(bench.get(), |request, i| request.header(&format!("X-{i}"), &"x".repeat(200)));
    bench.refuses(&many, SORTIE_RESULT_HEADER, "256 KiB");
    bench.refuses(
        &bench.get().body("x").content_type("text/plain\r\nX-Injected: 1"),
        SORTIE_RESULT_HEADER,
        "Content-Type",
    );
    setup_refused(
        Setup { user_agent: Some("a\r\nX: y".into()), ..Setup::default() },
        SORTIE_RESULT_HEADER,
        "User-Agent",
    );
    let header =
        |name: &str, value: &str| Setup { default_headers: vec![(name.into(), value.into())], ..Setup::default() };
    setup_refused(header("", "x"), SORTIE_RESULT_HEADER, "header name is empty");
    setup_refused(header("X-A", "x\ny"), SORTIE_RESULT_HEADER, "X-A");
    setup_refused(header("X A", "x"), SORTIE_RESULT_HEADER, "X A");
}

#[test]
fn bad_credentials_are_refused() {
    let bench = Bench::new();
    bench.refuses(&bench.get().basic("a:b", "c"), SORTIE_RESULT_ARGUMENT, "username");
    bench.refuses(&bench.get().basic("a\r\n", "c"), SORTIE_RESULT_ARGUMENT, "username or password");
    bench.refuses(&bench.get().basic("a", "c\nd"), SORTIE_RESULT_ARGUMENT, "username or password");
    bench.refuses(&bench.get().basic("a", "b").bearer("t"), SORTIE_RESULT_ARGUMENT, "bearer_token");
    for token in ["", "a b", "a\r\nX: y", "ä"] {
        bench.refuses(&bench.get().bearer(token), SORTIE_RESULT_ARGUMENT, "bearer_token");
    }
    let mut alone = bench.get();
    alone.password = Some("x".into());
    bench.refuses(&alone, SORTIE_RESULT_ARGUMENT, "password");
}

#[test]
fn a_file_name_that_leaves_its_base_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.join("base")).unwrap();
    let base = Some(folder.join("base"));
    let bench = Bench::with(Setup { documents: base.clone(), resource: base, ..Setup::default() });
    let url = bench.server.url("/bytes/1");
    for directory in [SORTIE_DIRECTORY_DOCUMENTS, SORTIE_DIRECTORY_RESOURCE] {
        for name in ["..", "../a", "a/../../b", "/etc/passwd", "/", "a/..", "./../a", "../base/a"] {
            let upload = Req::upload(&url, name).below(directory);
            bench.refuses(&upload, SORTIE_RESULT_PATH, name);
            if directory == SORTIE_DIRECTORY_DOCUMENTS {
                bench.refuses(&Req::download(&url, name).below(directory), SORTIE_RESULT_PATH, name);
            }
        }
    }
    for directory in [SORTIE_DIRECTORY_NONE, SORTIE_DIRECTORY_DOCUMENTS] {
        bench.refuses(&Req::download(&url, "").below(directory), SORTIE_RESULT_PATH, "file name is empty");
        bench.refuses(&Req::upload(&url, "").below(directory), SORTIE_RESULT_PATH, "file name is empty");
        bench.refuses(&Req::download(&url, "folder/").below(directory), SORTIE_RESULT_PATH, "folder/");
    }
    bench.refuses(&Req::download(&url, "a").below(SORTIE_DIRECTORY_RESOURCE), SORTIE_RESULT_PATH, "read-only");
    bench.refuses(&Req::download(&url, "a").below(SORTIE_DIRECTORY_CACHES), SORTIE_RESULT_PATH, "Caches");
    bench.refuses(&Req::upload(&url, "a").below(SORTIE_DIRECTORY_TEMPORARY), SORTIE_RESULT_PATH, "Temporary");
    for unknown in [6, u32::MAX] {
        bench.refuses(&Req::download(&url, "a").below(unknown), SORTIE_RESULT_ARGUMENT, "response_directory");
        bench.refuses(&Req::upload(&url, "a").below(unknown), SORTIE_RESULT_ARGUMENT, "body_directory");
    }
    assert_eq!(bench.server.request_count(), 0);
    folder.holds(&["base"]);
}

#[test]
fn a_file_name_that_is_none_on_windows_is_refused_below_a_base() {
    let folder = Folder::new();
    let here = Some(folder.path().to_owned());
    let bench = Bench::with(Setup { documents: here.clone(), resource: here, ..Setup::default() });
    let url = bench.server.url("/bytes/1");
    for name in [
        "NUL",
        "nul.txt",
        "a/Con/b",
        "COM1.log",
        "LPT\u{b9}",
        "aux .x",
        "conin$",
        "a:b",
        "a:",
        "x?",
        "a\\b",
        "..\\a",
        "a|b",
        "<a>",
        "a\"b",
        "*",
        "a\u{1}b",
        "a\nb",
        "a.",
        "a ",
        "b. /c",
        "...",
    ] {
        let named = name.split('\\').next().unwrap_or(name);
        bench.refuses(&Req::upload(&url, name).below(SORTIE_DIRECTORY_RESOURCE), SORTIE_RESULT_PATH, named);
        bench.refuses(&Req::download(&url, name).below(SORTIE_DIRECTORY_DOCUMENTS), SORTIE_RESULT_PATH, "Windows");
        let part = Part { directory: SORTIE_DIRECTORY_RESOURCE, ..Part::file("f", name) };
        bench.refuses(&Req::new("POST", &url).form(&[part]), SORTIE_RESULT_PATH, "Windows");
    }
    assert_eq!(bench.server.request_count(), 0);
    folder.holds(&[]);
    // A path of the operating system is the program's own business.
    if cfg!(unix) {
        bench.host.fetch(&Req::download(&url, folder.join("a:b?"))).ok(200);
        folder.holds(&["a:b?"]);
    }
}

#[test]
fn a_target_with_a_name_of_sorties_own_is_refused() {
    let folder = Folder::new();
    let bench = Bench::with(Setup { caches: Some(folder.path().to_owned()), ..Setup::default() });
    let url = bench.server.url("/bytes/1");
    for name in
        ["x.sortie-part", "x.sortie-resume", "X.Sortie-Part", "lock.sortie-cache", ".sortie-part", "x.sortie-any"]
    {
        bench.refuses(&Req::download(&url, folder.join(name)), SORTIE_RESULT_PATH, name);
        bench.refuses(&Req::download(&url, name).below(SORTIE_DIRECTORY_CACHES), SORTIE_RESULT_PATH, name);
        let cookies = Setup { cookie_file: Some(folder.join(name)), ..Setup::default() };
        let refused = cookies.try_create().unwrap_err();
        assert_eq!(refused.result, SORTIE_RESULT_PATH);
        assert!(refused.message.contains("Sortie's own"), "{}", refused.message);
    }
    folder.holds(&[]);
    // Reading one harms nobody.
    let part = folder.file("x.sortie-part", b"abc");
    assert_eq!(bench.host.fetch(&Req::upload(bench.server.url("/echo"), part)).ok(200).bytes(), b"abc");
    bench.host.fetch(&Req::download(&url, folder.join("x.sortie-part.bak"))).ok(200);
}

#[test]
fn a_path_that_holds_a_nul_ends_there() {
    let folder = Folder::new();
    let bench = Bench::new();
    let mut id = UNTOUCHED;
    let mut strings = Strings::default();
    let url = strings.text(&bench.server.url("/bytes/1"));
    let path = format!("{}\0.evil\0", folder.join("good").display());
    let result = unsafe { sortie_download(bench.host.raw(), url, path.as_ptr().cast(), 0, &mut id) };
    assert_eq!(result, SORTIE_OK);
    bench.host.ended(bench.host.accepted(id)).ok(200);
    folder.holds(&["good"]);
}

#[test]
fn numbers_and_combinations_out_of_range_are_refused() {
    let bench = Bench::new();
    let get = || bench.get();
    bench.refuses(&get().flags(1 << 31), SORTIE_RESULT_ARGUMENT, "0x80000000");
    bench.refuses(&get().flags(1 << 30 | 1), SORTIE_RESULT_ARGUMENT, "flags");
    bench.refuses(&get().priority(3), SORTIE_RESULT_ARGUMENT, "priority is 3");
    bench.refuses(&get().progress(3), SORTIE_RESULT_ARGUMENT, "progress is 3");
    bench.refuses(&get().http_version(3), SORTIE_RESULT_ARGUMENT, "http_version is 3");
    bench.refuses(&get().body_kind(3), SORTIE_RESULT_ARGUMENT, "body_kind is 3");
    bench.refuses(&get().max_redirects(101), SORTIE_RESULT_ARGUMENT, "max_redirects is 101, the limit is 100");
    bench.refuses(&Req::new("HEAD", bench.server.url("/")).body("x"), SORTIE_RESULT_ARGUMENT, "HEAD");
    let both = Req { body_path: Some("/x".into()), ..get().body("x") };
    bench.refuses(&both, SORTIE_RESULT_ARGUMENT, "body_path");
}

#[test]
fn a_configuration_out_of_range_is_refused() {
    const ARGUMENT: i32 = SORTIE_RESULT_ARGUMENT;
    let bench = Bench::new();
    let mut config = empty_config();
    config.flags = 1 << 31;
    expect(create_raw(&config).unwrap_err(), ARGUMENT, "flags has the unknown bits 0x80000000");
    setup_refused(Setup { max_active: 65_536, ..Setup::default() }, ARGUMENT, "max_active is 65536");
    setup_refused(Setup { max_active_per_host: 65_536, ..Setup::default() }, ARGUMENT, "max_active_per_host is 65536");
    setup_refused(Setup { max_requests: 1_048_577, ..Setup::default() }, ARGUMENT, "1048576");
    setup_refused(Setup { min_tls_version: 3, ..Setup::default() }, ARGUMENT, "min_tls_version is 3");
    setup_refused(Setup { max_body_bytes: u64::MAX, ..Setup::default() }, ARGUMENT, "max_body_bytes");
    let pin = |host: &str, keys: &str| Setup { pins: vec![(host.into(), keys.into())], ..Setup::default() };
    let key = format!("sha256//{}=", "A".repeat(43));
    setup_refused(pin("a.test", ""), ARGUMENT, "pin for a.test");
    setup_refused(pin("a.test", "sha256//short"), ARGUMENT, "pin for a.test");
    setup_refused(pin("a.test", "md5//abc"), ARGUMENT, "sha256//BASE64");
    setup_refused(pin("a.test", &format!("{key};")), ARGUMENT, "pin for a.test");
    setup_refused(pin("https://a.test/", &key), ARGUMENT, "not a host");
    setup_refused(pin("", &key), ARGUMENT, "not a host");
    let resolve =
        |host: &str, address: &str| Setup { resolves: vec![(host.into(), 0, address.into(), 0)], ..Setup::default() };
    setup_refused(resolve("a.test", "b.test"), ARGUMENT, "'b.test' is not numeric");
    setup_refused(resolve("a.test", ""), ARGUMENT, "not numeric");
    setup_refused(resolve("a.test", "127.0.0.1:80"), ARGUMENT, "not numeric");
    setup_refused(resolve("a/b", "127.0.0.1"), ARGUMENT, "not a host");
    let mut strings = Strings::default();
    let (host, address) = (strings.text("a.test"), strings.text("127.0.0.1"));
    let good = sortie_resolve { host, port: 0, address_port: 0, address, flags: 0, reserved: 0 };
    for (resolve, told) in [
        (sortie_resolve { port: 65_536, ..good }, "65536"),
        (sortie_resolve { address_port: 65_536, ..good }, "65536"),
        (sortie_resolve { flags: 1, ..good }, "flags"),
        (sortie_resolve { reserved: 1, ..good }, "reserved"),
    ] {
        let mut config = empty_config();
        (config.resolves, config.resolve_count) = (&resolve, 1);
        expect(create_raw(&config).unwrap_err(), ARGUMENT, told);
    }
    let keys = strings.text(&key);
    for pin in [(1, 0), (0, 1)].map(|(flags, reserved)| sortie_pin { host, public_keys: keys, flags, reserved }) {
        let mut config = empty_config();
        (config.pins, config.pin_count) = (&pin, 1);
        expect(create_raw(&config).unwrap_err(), ARGUMENT, "pin");
    }
    for (flags, reserved) in [(1, 0), (0, 1)] {
        let certificate = sortie_client_certificate {
            host,
            certificate_file: address,
            key_file: null(),
            key_password: null(),
            flags,
            reserved,
        };
        let mut config = empty_config();
        (config.client_certificates, config.client_certificate_count) = (&certificate, 1);
        expect(create_raw(&config).unwrap_err(), ARGUMENT, "client certificate");
    }
    let proxy = |url: &str| Setup { proxy: Some(url.into()), ..Setup::default() };
    for url in ["x", "ftp://x:1", "http://", "http://x:99999", "http://x\r\n:1", "socks9://x:1"] {
        setup_refused(proxy(url), ARGUMENT, "proxy");
    }
    let no_proxy = Setup { no_proxy: Some("a\r\nb".into()), ..proxy("http://127.0.0.1:1") };
    setup_refused(no_proxy, ARGUMENT, "no_proxy");
    let certificate = ("a b".into(), "/nowhere".into(), None, None);
    setup_refused(Setup { client_certificates: vec![certificate], ..Setup::default() }, ARGUMENT, "client certificate");
    drop(bench);
}

#[test]
fn a_capacity_of_0_is_refused_and_loses_nothing() {
    let bench = Bench::new();
    let id = bench.host.submit(&bench.get());
    until("the end", || bench.host.stats().undrained == 1);
    let mut event = empty_event();
    event.user_data = UNTOUCHED;
    for _ in 0..3 {
        let result = unsafe { sortie_poll(bench.host.raw(), &mut event, 0) };
        refused(result, SORTIE_RESULT_ARGUMENT, "capacity is 0");
    }
    assert_eq!(event.user_data, UNTOUCHED);
    bench.host.ended(id).ok(200);
}

#[test]
fn a_poll_from_a_second_thread_is_refused_and_loses_nothing() {
    const REQUESTS: u64 = 2000;
    let bench = Bench::new();
    let url = format!("http://{}/", refused_addr());
    let deadline = Instant::now() + DEADLINE;
    let (busy, drained) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut submitted = 0;
    // Two threads that do nothing but poll meet sooner or later.
    while busy.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "two polls never met");
        for _ in 0..REQUESTS {
            let id = bench.host.get(&url);
            assert_eq!(bench.host.cancel(id), SORTIE_OK);
        }
        submitted += REQUESTS;
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let mut events = vec![empty_event(); 500];
                        let count = unsafe { sortie_poll(bench.host.raw(), events.as_mut_ptr(), 500) };
                        if count == SORTIE_RESULT_BUSY {
                            assert!(last_error().contains("another thread"), "{}", last_error());
                            busy.fetch_add(1, Ordering::SeqCst);
                        } else {
                            drained.fetch_add(u64::try_from(count).expect("a count"), Ordering::SeqCst);
                        }
                        done.fetch_or(drained.load(Ordering::SeqCst) >= submitted, Ordering::SeqCst);
                        assert!(Instant::now() < deadline, "{} of {submitted}", drained.load(Ordering::SeqCst));
                    }
                });
            }
        });
        assert_eq!(drained.load(Ordering::SeqCst), submitted, "each end came once");
    }
    bench.host.drained_elsewhere(submitted);
}

#[test]
fn stale_and_made_up_ids_are_refused() {
    const STALE: i32 = SORTIE_RESULT_STALE;
    let bench = Bench::new();
    for made_up in [0, 1, 2, 1 << 20, (1 << 53) - 1, 1 << 53, u64::MAX, u64::MAX - 1] {
        refused(bench.host.cancel(made_up), STALE, &made_up.to_string());
    }
    let gate = bench.server.gate("held");
    let live = bench.host.get(bench.server.url("/gate/held"));
    assert!(gate.wait_for(1, DEADLINE));
    for bit in 0..64 {
        refused(bench.host.cancel(live ^ (1 << bit)), STALE, "never existed");
    }
    gate.open();
    // None of them was taken for the live one.
    bench.host.ended(live).ok(200);
    refused(bench.host.cancel(live), STALE, &live.to_string());
    // Nor is an old one taken for the request that has its place now.
    let next = bench.host.submit(&bench.get());
    assert_ne!(next, live);
    refused(bench.host.cancel(live), STALE, &live.to_string());
    bench.host.ended(next).ok(200);
}

#[test]
fn a_suspended_client_takes_every_call() {
    let bench = Bench::new();
    let done = bench.host.submit(&bench.get());
    until("the end", || bench.host.stats().undrained == 1);
    bench.host.suspend();
    bench.host.suspend();
    let (held, dropped) = (bench.host.submit(&bench.get()), bench.host.submit(&bench.get()));
    bench.refuses(&Req::get("ftp://x/"), SORTIE_RESULT_SCHEME, "ftp");
    assert_eq!(bench.host.cancel(dropped), SORTIE_OK);
    refused(bench.host.cancel(12345), SORTIE_RESULT_STALE, "12345");
    assert!(!bench.host.wait(std::time::Duration::from_millis(50)), "nothing is given out");
    assert!(bench.host.poll().is_empty());
    let mut event = empty_event();
    refused(unsafe { sortie_poll(bench.host.raw(), &mut event, 0) }, SORTIE_RESULT_ARGUMENT, "capacity is 0");
    assert_eq!(bench.host.stats().submitted, 3);
    assert_eq!(bench.server.request_count(), 1);
    bench.host.resume();
    bench.host.resume();
    bench.host.ended(done).ok(200);
    bench.host.ended(held).ok(200);
    bench.host.ended(dropped).failed(SORTIE_ERROR_CANCELLED);
}

#[test]
fn accessors_say_what_an_event_does_not_have() {
    let bench = Bench::new();
    let id = bench.host.submit(&Req::get(format!("http://{}/", refused_addr())));
    bench.host.next_event(|event, _| unsafe {
        assert_eq!(event.request, id);
        let mut body = without_provenance_mut(UNTOUCHED as usize);
        refused(sortie_event_take_body(event, &mut body), SORTIE_RESULT_NOT_FOUND, "no body");
        assert_eq!(body.addr() as u64, UNTOUCHED);
        let (mut name, mut value) = (null(), null());
        let result = sortie_event_header_at(event, 100, &mut name, &mut value);
        refused(result, SORTIE_RESULT_NOT_FOUND, "header 100");
        assert!(name.is_null() && value.is_null());
        assert!(sortie_event_header(event, c"X-Missing".as_ptr(), 0).is_null());
        assert!(sortie_event_header(event, c"".as_ptr(), 0).is_null());
        assert!(sortie_event_header(event, c"\xff".as_ptr(), 0).is_null());
    });
}

#[test]
fn the_last_error_is_each_threads_own() {
    let bench = Bench::new();
    bench.refuses(&Req::get(""), SORTIE_RESULT_URL, "empty");
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(last_error(), "", "this thread made no mistake");
            bench.refuses(&Req::get("ftp://x/"), SORTIE_RESULT_SCHEME, "ftp");
        });
    });
    assert!(last_error().contains("empty"), "{}", last_error());
}

#[test]
fn reserved_fields_are_zero() {
    let bench = Bench::new();
    let mut strings = Strings::default();
    let url = strings.text(&bench.server.url("/bytes/1"));
    for change in
        [|desc: &mut sortie_request_desc| desc.reserved = 1, |desc: &mut sortie_request_desc| desc.reserved_speed = 1]
    {
        let mut desc = empty_desc(url);
        change(&mut desc);
        expect(submit_raw(bench.host.raw(), &desc).unwrap_err(), SORTIE_RESULT_ARGUMENT, "reserved");
    }
}
