//! What comes from the network.

use std::time::{Duration, SystemTime};

use sortie::{ErrorKind, Request, fuzzing};
use url::Url;

use crate::input::{Input, is_sendable, pieces};

/// The URL that set it, another one, and a Set-Cookie.
pub fn set_cookie(data: &[u8]) {
    let mut input = Input(data);
    let (Ok(from), Ok(other)) = (Url::parse(input.text()), Url::parse(input.text())) else { return };
    if [&from, &other].iter().any(|url| !matches!(url.scheme(), "http" | "https")) {
        return;
    }
    let Ok(cookie) = fuzzing::set_cookie(input.0, &from, &other) else { return };
    for sent in cookie.sent.iter().chain(&cookie.elsewhere) {
        assert!(is_sendable(sent) && !sent.contains(&b';'), "Cookie: {sent:?}");
    }
    let ends_alike = |other: &str, host: &str| {
        let label = |host: &str| host.rsplit('.').next().map(str::to_owned);
        label(other) == label(host)
    };
    if cookie.elsewhere.is_some() {
        let (from, other) = (from.host_str().unwrap_or(""), other.host_str().unwrap_or(""));
        assert!(ends_alike(from, other), "set by {from}, sent to {other}");
    }
    if !cookie.line.is_empty()
        && let Some(loaded) = fuzzing::cookie_line(&cookie.line)
    {
        assert_eq!(loaded, cookie.line, "it comes back from its file as it was");
    }
}

/// A request in one number, head lines, an empty line, then a body; as they come from libcurl.
pub fn head(data: &[u8]) {
    respond(data, false);
}

/// The same, of a well-formed response: mostly its body.
pub fn body(data: &[u8]) {
    respond(data, true);
}

fn respond(data: &[u8], well_formed: bool) {
    let mut input = Input(data);
    let seed = input.number();
    let mut head: Vec<Vec<u8>> = if well_formed { vec![b"HTTP/1.1 200 OK\r\n".to_vec()] } else { Vec::new() };
    // libcurl refuses a head with a NUL. A line that is but a dot stands for an empty one: the end of an interim response.
    let line = |line: &[u8]| {
        let line = if line == b"." { b"" } else { line };
        line.iter().copied().filter(|byte| *byte != 0).chain(*b"\r\n").collect::<Vec<u8>>()
    };
    head.extend(input.lines().into_iter().map(line));
    head.push(b"\r\n".to_vec());
    let trailers: Vec<Vec<u8>> = if seed & 1 == 1 { input.lines().into_iter().map(line).collect() } else { Vec::new() };
    let request =
        Request::get("http://x.test/").expect("a URL").follow_redirects(seed & 2 == 2).raw_text(seed & 4 == 4);
    let head_lines: Vec<&[u8]> = head.iter().map(Vec::as_slice).collect();
    let trailer_lines: Vec<&[u8]> = trailers.iter().map(Vec::as_slice).collect();
    let run = |body: &[&[u8]]| fuzzing::response(&request, &head_lines, body, &trailer_lines, 1 << 20);
    let whole: Vec<&[u8]> = if input.0.is_empty() { Vec::new() } else { vec![input.0] };
    let (Some(at_once), Some(in_pieces)) = (run(&whole), run(&pieces(input.0, seed))) else { return };
    assert_eq!(at_once.status, in_pieces.status);
    assert_eq!(at_once.failure.as_ref().map(|(kind, _)| *kind), in_pieces.failure.as_ref().map(|(kind, _)| *kind));
    assert_eq!(at_once.body, in_pieces.body, "it depends on how it comes");
    assert_eq!(at_once.redirect, in_pieces.redirect);
    assert!(at_once.headers.iter_bytes().eq(in_pieces.headers.iter_bytes()));
    assert!(at_once.status == 0 || (200..=999).contains(&at_once.status) || at_once.failure.is_some());
    match &at_once.failure {
        None => assert!(at_once.status != 0, "status 0 without an error"),
        Some((ErrorKind::Internal, message)) => panic!("a panic in a callback: {message}"),
        Some((_, message)) => assert!(!message.is_empty()),
    }
    if let Some(body) = &at_once.body {
        assert!(body.len() <= 1 << 21, "{} bytes", body.len());
    }
    for (index, (name, value)) in at_once.headers.iter_bytes().enumerate() {
        assert!(!name.is_empty() && !name.contains(':'), "{name:?}");
        assert!(!value.starts_with(b" ") && !value.ends_with(b"\t"), "{value:?}");
        let came = head.iter().chain(&trailers).any(|line| {
            let value: &[u8] = &value;
            value.is_empty() || line.windows(value.len()).any(|window| window == value)
        });
        assert!(came, "field {index} has bytes that did not come: {value:?}");
    }
    if at_once.redirect.is_some() {
        assert!(matches!(at_once.status, 301 | 302 | 303 | 307 | 308) && seed & 2 == 2);
    }
}

/// A status, a method, the URL that answered, and its Location.
pub fn location(data: &[u8]) {
    let mut input = Input(data);
    let (status, method) = (input.number() as u16, input.text());
    let Ok(mut from) = Url::parse(input.text()) else { return };
    if !matches!(from.scheme(), "http" | "https") || from.set_username("").is_err() || from.set_password(None).is_err()
    {
        return;
    }
    let location = input.0;
    const QUERY: &str = "PLANTEDxQUERY";
    let tells = |text: &[u8]| text.windows(QUERY.len()).any(|window| window.eq_ignore_ascii_case(QUERY.as_bytes()));
    if tells(from.as_str().as_bytes()) {
        return;
    }
    from.set_query(Some(QUERY));
    for allow_insecure in [false, true] {
        let hop = match fuzzing::redirect(&from, location, status, method, allow_insecure) {
            Ok(hop) => hop,
            Err(message) => {
                assert!(tells(location) || !message.contains(QUERY), "the query is told: {message}");
                continue;
            }
        };
        assert!(matches!(hop.url.scheme(), "http" | "https"), "{}", hop.url);
        assert!(allow_insecure || from.scheme() == "http" || hop.url.scheme() == "https", "{}", hop.url);
        assert!(hop.url.username().is_empty() && hop.url.password().is_none() && hop.url.fragment().is_none());
        assert_eq!(Url::parse(hop.url.as_str()).as_ref(), Ok(&hop.url), "it can be written and read");
        assert_eq!(hop.leaves_origin, hop.url.origin() != from.origin());
        assert!(!hop.becomes_get || (method != "GET" && method != "HEAD" && !matches!(status, 307 | 308)));
        // The same as a browser would make of it.
        if let Ok(text) = std::str::from_utf8(location)
            && let Ok(mut joined) = from.join(text)
        {
            joined.set_fragment(None);
            assert_eq!(joined.host(), hop.url.host());
            assert_eq!((joined.path(), joined.query()), (hop.url.path(), hop.url.query()));
        }
    }
}

/// A status, the offset, length and validator of what is there, and the answer's fields.
pub fn resume(data: &[u8]) {
    let mut input = Input(data);
    let (status, offset, length) = (input.number() as u16, input.number(), input.text().parse::<u64>().ok());
    let validator = input.line();
    let answer = fuzzing::fields(input.lines().into_iter());
    let left = (offset > 0 && length.is_none_or(|length| offset < length)).then_some((offset, validator, length));
    match fuzzing::resumed(status, &answer, left) {
        Ok((start, again, whole)) => {
            assert!(start == 0 || (status == 206 && left.is_some_and(|(offset, ..)| offset == start)));
            assert!(status != 206 || start > 0, "a part is not the whole");
            if let (Some(length), Some(whole)) = (length.filter(|_| start > 0), whole) {
                assert_eq!(length, whole, "another file");
            }
            assert!(whole.is_none_or(|whole| start <= whole));
            if start == 0
                && let Some(again) = again
            {
                assert!(is_sendable(&again), "If-Range: {again:?}");
            }
        }
        Err(afresh) => assert!(!afresh || left.is_some(), "there was nothing to go on with"),
    }
}

/// The most that may come out, a Content-Encoding, and a body.
pub fn decoding(data: &[u8]) {
    let mut input = Input(data);
    let seed = input.number();
    let encoding = input.text();
    const MOST: usize = 1 << 20;
    let Some(at_once) = fuzzing::undo(encoding, &[input.0], MOST, false) else { return };
    let in_pieces = fuzzing::undo(encoding, &pieces(input.0, seed), MOST, seed & 1 == 1).expect("the same encoding");
    assert!(at_once.largest <= 64 << 10, "a piece of {}", at_once.largest);
    // The decoder of brotli tells some damage only if it comes in pieces.
    let is_good = |undone: &fuzzing::Undone| undone.broken.is_none() && undone.whole;
    if is_good(&at_once) && is_good(&in_pieces) {
        assert_eq!(at_once.out, in_pieces.out);
    } else if !encoding.to_ascii_lowercase().contains("br") {
        assert!(!is_good(&at_once) && !is_good(&in_pieces), "{at_once:?} {in_pieces:?}");
        assert!(at_once.out.starts_with(&in_pieces.out) || in_pieces.out.starts_with(&at_once.out));
    }
}

/// Dates: of HTTP, of cookies and in a Retry-After, a line each; then a date of the response.
pub fn dates(data: &[u8]) {
    let mut input = Input(data);
    let (text, later) = (input.text(), input.number() % 100_000);
    let (http, cookie) = (fuzzing::http_date(text), fuzzing::cookie_date(text));
    if let (Some(http), Some(cookie)) = (http, cookie) {
        assert_eq!(http, cookie, "one date in two ways");
    }
    const END: u64 = 253_402_300_800;
    for seconds in http.iter().chain(&cookie) {
        assert!(*seconds < END, "{seconds}");
    }
    // The other reader takes some dates that are none, and no weekday that is wrong.
    if let (Some(http), Ok(theirs)) = (http, httpdate::parse_http_date(text)) {
        let theirs = theirs.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        assert_eq!(http, theirs, "'{text}'");
    }
    if let Some(seconds) = http.filter(|seconds| seconds + later < END) {
        let write = |seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for seconds in [seconds, seconds + later] {
            assert_eq!(fuzzing::http_date(&write(seconds)), Some(seconds));
            assert_eq!(fuzzing::cookie_date(&write(seconds).to_lowercase()), Some(seconds));
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let wait = |until: u64| {
            let line = format!("Retry-After: {}", write(until));
            fuzzing::retry_after(&fuzzing::fields(std::iter::once(line.as_bytes())), now).expect("a date")
        };
        assert!(wait(seconds) == Duration::ZERO && wait(seconds + later) <= Duration::from_secs(later));
        assert!(wait(seconds + later / 2) <= wait(seconds + later), "later is later");
    }
    let headers = [format!("Retry-After: {text}"), format!("Date: {}", input.text())];
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    if let Some(wait) = fuzzing::retry_after(&fuzzing::fields(headers.iter().map(String::as_bytes)), now)
        && text.contains(':')
    {
        assert!(wait <= Duration::from_secs(3600), "{wait:?}");
    }
}

/// A header's name, what comes before a secret and what after it: no trace shows it where a URL or a credential may have it.
pub fn trace(data: &[u8]) {
    const SECRET: &str = "PLANTEDxSECRET";
    let mut input = Input(data);
    let (name, before, after) = (input.text(), input.text(), input.text());
    // An input must not tell the secret itself, nor make a link's host or path of it by brackets of its own.
    let shows = |shown: &str| shown.to_ascii_uppercase().contains("PLANTED");
    if [name, before, after]
        .iter()
        .any(|text| shows(&text.replace('#', "")) || text.chars().any(|c| c.is_control() || "<>".contains(c)))
    {
        return;
    }
    let Ok(base) = Url::parse("https://x.test/a") else { return };
    for url in [
        format!("https://u:{SECRET}@x.test/{before}"),
        format!("https://{SECRET}:p@x.test/{before}"),
        format!("https://x.test/?{before}={SECRET}{after}"),
        format!("https://x.test/{}#{SECRET}{after}", before.replace('#', "")),
    ] {
        if let Ok(url) = Url::parse(&url)
            && !url.path().contains(SECRET)
            && url.host_str() == Some("x.test")
        {
            assert!(!shows(&fuzzing::trace_url(&url)), "{url}: {}", fuzzing::trace_url(&url));
        }
    }
    for name in [name, "Location", "Link", "Refresh", "X-Next"] {
        for value in [
            format!("/a?{before}={SECRET}{after}"),
            format!("<{before}?access_token={SECRET}>{after}"),
            format!("{before}https://user:{SECRET}@x.test/{after}"),
            format!("/a?{SECRET}"),
            format!("/a?next=https://y.test/?{SECRET}"),
        ] {
            let shown = fuzzing::trace_field(name, &value, &base);
            assert!(!shows(&shown), "{name}: {value} is shown as {shown}");
        }
    }
    for name in ["Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization", "X-Api-Key"] {
        assert!(!shows(&fuzzing::trace_field(name, &format!("{before}{SECRET}{after}"), &base)));
    }
}
