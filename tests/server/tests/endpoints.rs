//! Every built-in path, seen from a socket.

mod client;

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::{Answer, Client, DEADLINE};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use sortie_test_server::{Server, fnv, pattern, pattern_vec};

type Plain = Client<TcpStream>;

fn get(target: &str) -> Answer {
    let server = Server::start();
    Plain::connect(server.addr()).get(target)
}

fn get_with(target: &str, headers: &str) -> Answer {
    let server = Server::start();
    Plain::connect(server.addr()).send(format!("GET {target} HTTP/1.1\r\n{headers}\r\n")).answer(false)
}

/// Sends a GET, or what `request` says, and returns all that comes until the connection ends.
fn raw(request: &str) -> (Vec<u8>, io::Result<()>) {
    let server = Server::start();
    let request = if request.starts_with('/') { format!("GET {request} HTTP/1.1\r\n\r\n") } else { request.into() };
    Plain::connect(server.addr()).send(request).rest()
}

fn post(target: &str, body: &[u8]) -> Answer {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send(format!("POST {target} HTTP/1.1\r\nContent-Type: x/y\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(body).answer(false)
}

fn summary(body: &[u8]) -> String {
    format!("{} {:016x}", body.len(), fnv(body))
}

#[test]
fn bytes_are_the_pattern() {
    for size in [0, 1, 65_536, 3_000_000] {
        let answer = get(&format!("/bytes/{size}?type=image/png"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
        assert_eq!(answer.body, pattern_vec(size));
    }
}

#[test]
fn pictures_are_bitmaps() {
    let answer = get("/picture/3?width=5&height=7&rate=10000");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/bmp")));
    // Rows of 15 bytes, filled up to 16.
    assert_eq!((answer.body.len(), &answer.body[..6]), (54 + 7 * 16, b"BM\xa6\0\0\0".as_slice()));
    assert_ne!(answer.body, get("/picture/4?width=5&height=7").body);
    assert_eq!(get("/picture/3?width=5000").status, 400);
}

#[test]
fn bytes_go_past_four_gigabytes() {
    let server = Server::start();
    let first = (1_u64 << 32) + 7;
    let request = format!("GET /bytes/{} HTTP/1.1\r\nRange: bytes={first}-\r\n\r\n", first + 100);
    let answer = Plain::connect(server.addr()).send(request).answer(false);
    let mut expected = [0; 100];
    pattern(first, &mut expected);
    assert_eq!((answer.status, answer.body), (206, expected.to_vec()));

    let head = Plain::connect(server.addr()).send("HEAD /bytes/99999999999 HTTP/1.1\r\n\r\n").answer(true);
    assert_eq!(head.header("content-length"), Some("99999999999"));
}

#[test]
fn ranges_and_validators_are_honoured() {
    let part = get_with("/bytes/100?etag=x", "Range: bytes=10-19\r\nIf-Range: \"x\"\r\n");
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 10-19/100")));
    assert_eq!(part.body, &pattern_vec(20)[10..]);
    assert_eq!(get_with("/bytes/100?etag=y", "Range: bytes=10-19\r\nIf-Range: \"x\"\r\n").status, 200);
    assert_eq!(get_with("/bytes/100?ranges=0", "Range: bytes=10-19\r\n").status, 200);
    let beyond = get_with("/bytes/100", "Range: bytes=100-\r\n");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */100")));
    assert_eq!(get_with("/bytes/100?etag=x", "If-None-Match: \"x\"\r\n").status, 304);
}

#[test]
fn plain_answers_say_what_was_asked() {
    let answer = get("/status/503?body=so+sorry&reason=Busy");
    assert_eq!((answer.status, answer.text()), (503, "so sorry"));
    assert!(answer.head.starts_with("HTTP/1.1 503 Busy\r\n"));
    assert_eq!(get("/method").text(), "GET");
    assert_eq!(get("/head").body.len(), 1234);
    assert_eq!(get("/nowhere").status, 404);
    assert_eq!(get("/bytes/many").status, 400);
    assert_eq!(get("/chunked?bytes=many").status, 400);
    let answer = get("/headers?X-A=1&X-A=two%3B%20three");
    assert!(answer.head.contains("X-A: 1\r\nX-A: two; three\r\n"));
    let answer = get("/many-headers?count=300");
    assert_eq!(answer.header("x-header-299"), Some("value-299"));
    assert_eq!(get("/big-header?bytes=70000").header("x-big").map(str::len), Some(70_000));
}

#[test]
fn bodiless_answers_leave_the_connection_in_step() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    assert_eq!(client.get("/204").status, 204);
    assert_eq!(client.get("/304").status, 304);
    for target in ["/bytes/10", "/chunked", "/gzip", "/gzip-bomb", "/echo", "/drip", "/status/404?body=x", "/head"] {
        let answer = client.send(format!("HEAD {target} HTTP/1.1\r\n\r\n")).answer(true);
        assert!(answer.header("content-length").or(answer.header("transfer-encoding")).is_some(), "{target}");
    }
    assert_eq!(client.get("/method").text(), "GET");
    assert_eq!(server.connections_accepted(), 1);
}

#[test]
fn redirects_lead_on() {
    assert_eq!(get("/redirect/2?status=307").header("location"), Some("/redirect/1?status=307"));
    assert_eq!(get("/redirect/1").header("location"), Some("/bytes/2"));
    let answer = get("/redirect-to?url=http%3A%2F%2Fa.test%2F&status=308");
    assert_eq!((answer.status, answer.header("location")), (308, Some("http://a.test/")));
    assert_eq!(get("/relative-redirect").header("location"), Some("bytes/2"));
    assert_eq!(get("/redirect-loop").header("location"), Some("/redirect-loop"));
}

#[test]
fn credentials_and_cookies_are_checked() {
    let target = "/basic-auth?user=u&password=p";
    let answer = get(target);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"sortie\"")));
    assert_eq!(get_with(target, "Authorization: Basic dTpw\r\n").status, 200);
    assert_eq!(get("/bearer?token=t").status, 401);
    assert_eq!(get_with("/bearer?token=t", "Authorization: Bearer t\r\n").status, 200);
    let answer = get("/cookie/set?a=1&b=2%3B%20Path%3D%2F");
    assert!(answer.head.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\n"));
    assert_eq!(get_with("/cookie/show", "Cookie: a=1\r\n").text(), "a=1");
}

#[test]
fn flaky_fails_as_often_as_asked() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    let target = "/flaky?fails=2&key=k&status=429&retry_after=3";
    let answer = client.get(target);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("3")));
    assert_eq!(client.get(target).status, 429);
    assert_eq!(client.get(target).text(), "3");
    assert_eq!(client.get("/flaky?fails=0&key=other").text(), "1");
    let (bytes, ended) = client.send("GET /flaky?key=r&how=reset HTTP/1.1\r\n\r\n").rest();
    assert!(bytes.is_empty() && Plain::is_reset(&ended));
}

#[test]
fn compressed_bodies_decompress() {
    let mut plain = Vec::new();
    let answer = get("/gzip?bytes=200000");
    GzDecoder::new(&answer.body[..]).read_to_end(&mut plain).expect("gzip");
    assert_eq!(plain, pattern_vec(200_000));
    assert!(answer.body.len() < plain.len());

    plain.clear();
    ZlibDecoder::new(&get("/deflate?bytes=5000").body[..]).read_to_end(&mut plain).expect("zlib");
    assert_eq!(plain, pattern_vec(5000));

    plain.clear();
    DeflateDecoder::new(&get("/deflate?bytes=5000&raw=1").body[..]).read_to_end(&mut plain).expect("deflate");
    assert_eq!(plain, pattern_vec(5000));

    let bomb = get("/gzip-bomb?bytes=20000000");
    assert!(bomb.body.len() < 200_000);
    let unpacked = io::copy(&mut GzDecoder::new(&bomb.body[..]), &mut io::sink()).expect("gzip");
    assert_eq!(unpacked, 20_000_000);

    for kind in ["corrupt", "truncated", "checksum"] {
        let body = get(&format!("/bad-gzip?kind={kind}")).body;
        assert!(io::copy(&mut GzDecoder::new(&body[..]), &mut io::sink()).is_err(), "{kind}");
    }
}

#[test]
fn framings_carry_the_pattern() {
    assert_eq!(get("/chunked?bytes=100000&chunk=777").body, pattern_vec(100_000));
    assert_eq!(get("/no-length?bytes=100000").body, pattern_vec(100_000));
    let answer = get("/chunked-trailers");
    assert_eq!(answer.header("x-checksum"), Some(summary(&answer.body).as_str()));
}

#[test]
fn http10_is_kept_alive_only_if_asked() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    let kept = client.get("/http10?keep_alive=1");
    assert!(kept.head.starts_with("HTTP/1.0 200 OK\r\n"));
    let closed = client.get("/http10");
    assert_eq!((closed.header("content-length"), closed.text()), (None, "1.0"));

    let mut old = Plain::connect(server.addr());
    let answer = old.send("GET /method HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer(false);
    assert_eq!(answer.header("connection"), Some("keep-alive"));
    let (_, ended) = old.send("GET /method HTTP/1.0\r\n\r\n").rest();
    assert!(ended.is_ok());
}

#[test]
fn uploads_are_counted_and_hashed() {
    let body = pattern_vec(300_000);
    assert_eq!(post("/upload", &body).text(), summary(&body));
    assert_eq!(post("/upload-slow?rate=10000000", &body).text(), summary(&body));
    let inspected = post("/inspect?x", b"hello");
    assert_eq!(
        inspected.text(),
        format!("POST /inspect?x HTTP/1.1\nContent-Type: x/y\nContent-Length: 5\n\n{}\n", summary(b"hello"))
    );
}

#[test]
fn chunked_uploads_are_joined() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\n");
    assert_eq!(client.answer(false).text(), "abcde");
    assert_eq!(client.get("/method").text(), "GET");
    let recorded = &server.requests()[0];
    assert_eq!((recorded.body.as_deref(), recorded.body_complete), (Some(&b"abcde"[..]), true));
}

#[test]
fn echo_returns_bodies_of_any_size() {
    let answer = post("/echo", b"hello");
    assert_eq!((answer.header("content-type"), answer.text()), (Some("x/y"), "hello"));

    let server = Server::start();
    let body = pattern_vec(5_000_000);
    let mut client = Plain::connect(server.addr());
    let mut writer = client.stream.get_ref().try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            write!(writer, "PUT /echo HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).expect("sends");
            writer.write_all(&body).expect("sends");
        });
        assert!(client.answer(false).body == body);
    });
}

#[test]
fn expectations_are_met_or_refused() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("POST /expect HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer(false).status, 100);
    assert_eq!(client.send("ok").answer(false).text(), "yes");
    assert_eq!(client.get("/expect").text(), "no");
    client.send("POST /expect?refuse=1 HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer(false).status, 417);
    assert!(client.rest().1.is_ok());
    assert_eq!(server.requests()[2].body_length, 0);
}

#[test]
fn interim_answers_come_first() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    assert_eq!(client.get("/continue").status, 100);
    let hints = client.answer(false);
    assert_eq!((hints.status, hints.header("link").is_some()), (103, true));
    assert_eq!(client.answer(false).text(), "final\n");
}

#[test]
fn refused_upload_is_answered_unread() {
    for query in ["", "?hard=1"] {
        let server = Server::start();
        let mut client = Plain::connect(server.addr());
        client.send(format!("POST /upload-refuse{query} HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n"));
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
        assert_eq!(server.requests()[0].body_length, 0);
    }
}

#[test]
fn early_response_precedes_the_body() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("POST /early-response HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.answer(false).text(), "early\n");
    assert_eq!(client.send("hello").get("/method").text(), "GET");
    assert_eq!(server.requests()[0].body_length, 5);
}

#[test]
fn slow_answers_take_their_time() {
    let timed = |target: &str, body: &[u8]| {
        let started = Instant::now();
        assert_eq!(get(target).body, body);
        started.elapsed()
    };
    assert!(timed("/delay?ms=150", b"delayed\n") >= Duration::from_millis(150));
    assert!(timed("/slow?bytes=2000&rate=10000", &pattern_vec(2000)) >= Duration::from_millis(200));
    assert!(timed("/drip?bytes=5&ms=30", &pattern_vec(5)) >= Duration::from_millis(150));
    assert!(timed("/drip?bytes=50&ms=1", &pattern_vec(50)) >= Duration::from_millis(50));
}

#[test]
fn stalls_last_until_the_client_closes() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send("GET /stall?sent=10 HTTP/1.1\r\n\r\n");
    assert!(client.head().expect("a head").contains("Content-Length: 1000\r\n"));
    let mut sent = [0; 10];
    client.stream.read_exact(&mut sent).expect("ten bytes");
    let mut mute = Plain::connect(server.addr());
    mute.send("GET /stall-headers HTTP/1.1\r\n\r\n");
    for stalled in [&client, &mute] {
        let socket = stalled.stream.get_ref();
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let error = { socket }.read(&mut sent).expect_err("nothing comes");
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
    }
    drop((client, mute));
    assert!(server.wait_connections_open(0, DEADLINE));
}

#[test]
fn resets_are_resets() {
    let (bytes, ended) = raw("/reset?after=5000");
    assert!(Plain::is_reset(&ended), "{ended:?}");
    assert!(bytes.ends_with(&pattern_vec(5000)));
    let (bytes, ended) = raw("/reset-headers");
    assert!(Plain::is_reset(&ended), "{ended:?}");
    assert!(bytes.ends_with(b"Content-Le"));
}

#[test]
fn broken_answers_are_broken_as_described() {
    let whole = |target: &str| {
        let (bytes, ended) = raw(target);
        assert!(ended.is_ok(), "{target}: {ended:?}");
        bytes
    };
    let text = |target: &str| String::from_utf8_lossy(&whole(target)).into_owned();
    let truncated = whole("/truncate?declared=100&sent=40");
    assert!(truncated.ends_with(&[b"\r\n\r\n", &pattern_vec(40)[..]].concat()));
    assert!(text("/bad-chunk").contains("\r\nzz\r\n"));
    assert!(text("/truncated-chunks").ends_with("64\r\nhalf a chunk"));
    assert!(whole("/garbage").starts_with(b"\0"));
    assert!(whole("/empty").is_empty());
    assert!(text("/conflicting-length").contains("Content-Length: 5\r\nContent-Length: 7\r\n"));
    assert!(text("/nul-header").contains("X-Nul: a\0b\r\n"));
    assert!(text("/bad-status-line").starts_with("HTTP/1.1 abc OK\r\n"));
}

#[test]
fn promised_connection_dies_at_once_or_on_reuse() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    let answer = client.get("/close-after");
    assert_eq!(answer.header("connection"), None);
    assert!(client.rest().0.is_empty());

    let mut client = Plain::connect(server.addr());
    client.get("/close-after?when=reuse");
    let (bytes, _) = client.send("GET /method HTTP/1.1\r\n\r\n").rest();
    assert!(bytes.is_empty());
}

#[test]
fn malformed_requests_get_400() {
    for request in ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "\x16\x03\x01\r\n\r\n"] {
        let (bytes, _) = raw(request);
        assert!(bytes.starts_with(b"HTTP/1.1 400 "), "{request:?}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    client.send(
        "GET /bytes/3 HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /method HTTP/1.1\r\n\r\n",
    );
    assert_eq!(client.answer(false).body, pattern_vec(3));
    assert_eq!(client.answer(false).text(), "hi");
    assert_eq!(client.answer(false).text(), "GET");
}

#[test]
fn replies_are_as_described() {
    let answer = get("/reply?status=302&header=Location:%20/x&header=X-A:%201&header=X-A:%202&hex=00ff41");
    assert_eq!((answer.status, answer.header("location")), (302, Some("/x")));
    assert_eq!(answer.head.matches("X-A: ").count(), 2);
    assert_eq!(answer.body, b"\0\xffA");
    for times in [0, 1, 2, 65_536, 100_000] {
        assert_eq!(get(&format!("/reply?hex=616263&times={times}")).body, b"abc".repeat(times));
    }
    assert_eq!(get("/reply?hex=&times=3").body, b"");
    for bad in ["/reply?hex=0", "/reply?hex=0g", "/reply?header=x", "/reply?status=1", "/stub?path=/x"] {
        assert_eq!(get(bad).status, 400, "{bad}");
    }
}

#[test]
fn stubs_answer_for_their_path_from_then_on() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    assert_eq!(client.get("/a/b.html?c").status, 404);
    assert_eq!(client.get("/stub?path=/a/b.html&as=/reply?status%3d201%26hex%3d6869").status, 204);
    let answer = client.get("/a/b.html?c");
    assert_eq!((answer.status, answer.text()), (201, "hi"));
    client.get("/stub?path=/a/b.html&as=/bytes/3");
    assert_eq!(client.get("/a/b.html").body, pattern_vec(3));
}

#[test]
fn latest_request_is_told_as_it_came() {
    let server = Server::start();
    let mut client = Plain::connect(server.addr());
    assert_eq!(client.get("/last?path=/form.php").status, 404);
    for body in ["one", "two"] {
        client
            .send(format!("POST /form.php?{body} HTTP/1.1\r\nX-A:  b\r\nContent-Length: 3\r\n\r\n{body}"))
            .answer(false);
    }
    let answer = client.get("/last?path=/form.php");
    assert_eq!(answer.header("x-count"), Some("2"));
    assert_eq!(answer.text(), "POST /form.php?two HTTP/1.1\r\nX-A: b\r\nContent-Length: 3\r\n\r\ntwo");
}

#[test]
fn held_transfers_go_on_when_their_gate_opens() {
    let server = Server::start();
    let mut down = Plain::connect(server.addr());
    down.send("GET /held/a?bytes=10&sent=4 HTTP/1.1\r\n\r\n").head().expect("a head");
    let mut part = [0; 4];
    down.stream.read_exact(&mut part).expect("the first part");
    let mut chunked = Plain::connect(server.addr());
    chunked.send("GET /held/a?bytes=10&chunked=1 HTTP/1.1\r\n\r\n");
    let mut up = Plain::connect(server.addr());
    up.send("POST /upload-held/a?read=2 HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");

    let mut other = Plain::connect(server.addr());
    assert_eq!(other.get("/waiting/a?count=3").status, 204);
    assert_eq!(other.get("/open/a").status, 204);
    let mut rest = [0; 6];
    down.stream.read_exact(&mut rest).expect("the rest");
    assert_eq!([&part[..], &rest[..]].concat(), pattern_vec(10));
    assert_eq!(chunked.answer(false).body, pattern_vec(10));
    assert_eq!(up.send("cd").answer(false).text(), summary(b"abcd"));
}
