//! The list of header fields beside the map that Rust's HTTP libraries have, and the list that one writes first.

use std::hint::black_box;

use criterion::Criterion;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::{Head, Headers};

/// What a server in front of a game's own sends with a page of scores.
const LINES: [&str; 12] = [
    "Date: Sun, 06 Nov 1994 08:49:37 GMT",
    "Content-Type: application/json; charset=utf-8",
    "Content-Length: 1024",
    "Connection: keep-alive",
    "Server: nginx/1.22.1",
    "Cache-Control: private, max-age=60",
    "ETag: \"5f3c6b9a-400\"",
    "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT",
    "Vary: Accept-Encoding",
    "X-Request-Id: 9f2d6c1e-8a41-4b7e-9a0d-2f6f1d0c7b55",
    "X-RateLimit-Remaining: 4987",
    "Strict-Transport-Security: max-age=31536000; includeSubDomains",
];

/// Its first field, one in the middle by another case, its last, and one that it has not.
const NAMES: [&str; 4] = ["Date", "etag", "Strict-Transport-Security", "Set-Cookie"];

pub(crate) fn benches(c: &mut Criterion) {
    measure(
        c,
        "sortie",
        sortie,
        |headers, name| headers.get(name).map(str::len),
        |headers| headers.iter().map(|(name, value)| name.len() + value.len()).sum(),
    );
    measure(
        c,
        "http::HeaderMap",
        map,
        |headers, name| headers.get(name).map(HeaderValue::len),
        |headers| headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(),
    );
    let get = |headers: &List, name: &str| {
        headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.len())
    };
    measure(c, "Vec<(String, String)>", list, get, |headers| {
        headers.iter().map(|(name, value)| name.len() + value.len()).sum()
    });
}

type List = Vec<(String, String)>;

/// As the worker fills it.
pub(crate) fn sortie() -> Headers {
    let mut head = Head::default();
    head.begin(b"HTTP/1.1 200 OK");
    LINES.iter().for_each(|line| head.add(line.as_bytes()).unwrap());
    head.finish()
}

fn parts() -> impl Iterator<Item = (&'static str, &'static str)> {
    LINES.iter().filter_map(|line| line.split_once(": "))
}

/// As hyper fills it: names and values are checked, and copied once each.
fn map() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(LINES.len());
    for (name, value) in parts() {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn list() -> List {
    parts().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn measure<H>(
    c: &mut Criterion,
    name: &str,
    fill: impl Fn() -> H,
    get: impl Fn(&H, &str) -> Option<usize>,
    sum: impl Fn(&H) -> usize,
) {
    c.benchmark_group("fill with 12 fields").bench_function(name, |b| b.iter_with_large_drop(&fill));

    let headers = fill();
    let mut group = c.benchmark_group("look a name up");
    for wanted in NAMES {
        group.bench_function(format!("{name}: {wanted}"), |b| b.iter(|| get(black_box(&headers), black_box(wanted))));
    }
    group.finish();
    c.benchmark_group("walk through all").bench_function(name, |b| b.iter(|| sum(black_box(&headers))));
}
