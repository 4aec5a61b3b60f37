//! Heads: reading a request's, writing a response's.

use std::fmt::Write as _;
use std::io::{self, BufRead};

/// Longer heads end the connection.
const HEAD_LIMIT: usize = 1024 * 1024;

/// A request's head.
#[derive(Clone, Debug)]
pub struct Request {
    /// As sent.
    pub method: String,
    /// The request target as sent, undecoded.
    pub target: String,
    /// As sent: `HTTP/1.1`.
    pub version: String,
    /// In the order sent, names as spelled.
    pub headers: Vec<(String, String)>,
    /// The whole head as the bytes that came, for what is not UTF-8.
    pub head: Vec<u8>,
    /// Which connection it came on; ids start at 1.
    pub connection: u64,
    /// How many requests that connection has carried, this one included.
    pub number: u64,
}

/// How long a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Known(u64),
    Chunked,
}

impl Request {
    /// Parses a head that ends with its empty line.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let request_line = lines.next().unwrap_or_default();
        let mut words = request_line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(format!("request line is not three words: {request_line:?}"));
        };
        if method.is_empty() || target.is_empty() || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
            return Err(format!("bad request line: {request_line:?}"));
        }
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            match line.split_once(':') {
                Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                    headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
                }
                _ => return Err(format!("bad header line: {line:?}")),
            }
        }
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: version.to_owned(),
            headers,
            head: head.to_vec(),
            connection: 0,
            number: 0,
        })
    }

    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The first header of that name as the bytes that came.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.head.split(|byte| *byte == b'\n').find_map(|line| {
            let (field, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            field.eq_ignore_ascii_case(name.as_bytes()).then(|| value.get(1..).unwrap_or(&[]).trim_ascii())
        })
    }

    /// The target's path, undecoded, without the query; of a target in absolute form too.
    pub fn path(&self) -> &str {
        self.split_target().0
    }

    /// The query's parameters in order, decoded as a form.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let query = self.split_target().1;
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect()
    }

    /// The first query parameter of that name.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_pairs().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A numeric query parameter; one that is no number is an error that the server answers with 400.
    pub fn query_number(&self, name: &str, default: u64) -> io::Result<u64> {
        match self.query(name) {
            Some(value) => value.parse().map_err(|_| bad_request(format!("{name} is no number: {value:?}"))),
            None => Ok(default),
        }
    }

    fn split_target(&self) -> (&str, &str) {
        let mut target = self.target.as_str();
        if let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) {
            target = rest.find('/').map_or("/", |slash| &rest[slash..]);
        }
        target.split_once('?').unwrap_or((target, ""))
    }

    /// Whether the client may send another request on the connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        let wants = |word: &str| {
            self.headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
                .flat_map(|(_, value)| value.split(','))
                .any(|token| token.trim().eq_ignore_ascii_case(word))
        };
        if self.version == "HTTP/1.0" { wants("keep-alive") } else { !wants("close") }
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    pub(crate) fn body_length(&self) -> Result<BodyLength, String> {
        let mut lengths = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        match (self.header("transfer-encoding"), lengths.next(), lengths.next()) {
            (None, None, _) => Ok(BodyLength::Known(0)),
            (None, Some((_, value)), None) => {
                value.parse().map(BodyLength::Known).map_err(|_| format!("bad Content-Length: {value:?}"))
            }
            (Some(coding), None, _) if coding.eq_ignore_ascii_case("chunked") => Ok(BodyLength::Chunked),
            (Some(coding), None, _) => Err(format!("unknown Transfer-Encoding: {coding:?}")),
            (Some(_), Some(_), _) => Err("both Transfer-Encoding and Content-Length".into()),
            (None, Some(_), Some(_)) => Err("more than one Content-Length".into()),
        }
    }
}

/// An error that the server answers with 400 and its text.
pub(crate) fn bad_request(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

pub(crate) fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Reads up to and including a head's empty line; `None` if the peer closes before its first byte.
pub(crate) fn read_head(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let available = from.fill_buf()?;
        if available.is_empty() {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let (before, added) = (head.len(), available.len());
        head.extend_from_slice(available);
        let searched = before.saturating_sub(3);
        if let Some(at) = head[searched..].windows(4).position(|window| window == b"\r\n\r\n") {
            let end = searched + at + 4;
            from.consume(end - before);
            head.truncate(end);
            return Ok(Some(head));
        }
        from.consume(added);
        if head.len() > HEAD_LIMIT {
            return Err(bad_request(format!("head is longer than {HEAD_LIMIT} bytes")));
        }
    }
}

/// Undoes form encoding; a bad escape stands for itself.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A response's head, and its body if that is short. Nothing is validated: a test may send what it likes.
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) status: u16,
    reason: Option<String>,
    version: &'static str,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A response with an empty body.
    pub fn new(status: u16) -> Self {
        Self { status, reason: None, version: "HTTP/1.1", headers: Vec::new(), body: Vec::new() }
    }

    /// Replaces the customary reason phrase.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Calls itself HTTP/1.0.
    pub fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// Adds a header; repeating a name repeats the header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a plain-text body and its Content-Type.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.header("Content-Type", "text/plain; charset=utf-8").body(text.into())
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        find_header(&self.headers, name).is_some()
    }

    /// Status line and headers, without the empty line.
    pub(crate) fn head(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_else(|| reason_phrase(self.status));
        let mut head = format!("{} {} {reason}\r\n", self.version, self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        425 => "Too Early",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Request {
        Request::parse(head.as_bytes()).expect("a good head")
    }

    #[test]
    fn head_is_found_across_reads() {
        let bytes: &[u8] = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        for capacity in 1..bytes.len() {
            let mut reader = io::BufReader::with_capacity(capacity, bytes);
            let head = read_head(&mut reader).expect("reads").expect("a head");
            assert!(head.ends_with(b"A: b\r\n\r\n"));
            let mut rest = String::new();
            io::Read::read_to_string(&mut reader, &mut rest).expect("reads");
            assert_eq!(rest, "rest");
        }
    }

    #[test]
    fn query_is_decoded() {
        let request = parsed("GET /a?x=1%202+3&y=%zz&z HTTP/1.1\r\n\r\n");
        assert_eq!(request.path(), "/a");
        assert_eq!(request.query("x").as_deref(), Some("1 2 3"));
        assert_eq!(request.query("y").as_deref(), Some("%zz"));
        assert_eq!(request.query("z").as_deref(), Some(""));
        assert_eq!(request.query("w"), None);
        assert!(request.query_number("z", 1).is_err());
    }

    #[test]
    fn absolute_target_has_a_path() {
        assert_eq!(parsed("GET http://h:1/a/b?c HTTP/1.1\r\n\r\n").path(), "/a/b");
        assert_eq!(parsed("GET http://h:1 HTTP/1.1\r\n\r\n").path(), "/");
        assert_eq!(parsed("GET /x?u=http://h/ HTTP/1.1\r\n\r\n").path(), "/x");
    }

    #[test]
    fn ambiguous_bodies_are_refused() {
        let length = |headers: &str| parsed(&format!("POST / HTTP/1.1\r\n{headers}\r\n")).body_length();
        assert_eq!(length(""), Ok(BodyLength::Known(0)));
        assert_eq!(length("Content-Length: 5\r\n"), Ok(BodyLength::Known(5)));
        assert_eq!(length("Transfer-Encoding: chunked\r\n"), Ok(BodyLength::Chunked));
        assert!(length("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n").is_err());
        assert!(length("Content-Length: 5\r\nContent-Length: 5\r\n").is_err());
        assert!(length("Content-Length: -1\r\n").is_err());
    }

    #[test]
    fn persistence_follows_version_and_header() {
        assert!(parsed("GET / HTTP/1.1\r\n\r\n").keeps_alive());
        assert!(!parsed("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").keeps_alive());
        assert!(!parsed("GET / HTTP/1.0\r\n\r\n").keeps_alive());
        assert!(parsed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive());
    }

    #[test]
    fn malformed_heads_are_refused() {
        for head in
            ["GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", " / HTTP/1.1\r\n\r\n"]
        {
            assert!(Request::parse(head.as_bytes()).is_err(), "{head:?}");
        }
    }
}
