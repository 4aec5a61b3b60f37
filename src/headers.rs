//! Header fields in one buffer: what a request sends and what a response brought.

use std::borrow::Cow;

/// Where one field lies in the buffer. Both parts are NUL-terminated there.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
    /// The value came as bytes that are not UTF-8: each character stands for one of them.
    latin_1: bool,
}

/// An ordered list of header fields, repeated names kept apart. All text lies in one buffer, each part
/// NUL-terminated, so that a response's headers cost two allocations and C reads them in place.
///
/// A value that came as bytes which are not UTF-8 is shown as Latin-1, of which each character is one byte, so that the
/// bytes are still known: whatever goes back to its server (cookies, validators, URLs) is taken from those.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    text: String,
    fields: Vec<Field>,
    /// The length of the status line with its NUL, at the buffer's start; 0 if there is none.
    status_line: usize,
}

impl Headers {
    /// The largest amount of text that is kept; libcurl ends a response long before.
    const MAX_TEXT: usize = 16 << 20;
    /// How many fields a response may have.
    pub(crate) const MAX_FIELDS: usize = 5000;
    /// How many may come after the body, and how much text of them.
    const MAX_TRAILERS: usize = 256;
    const MAX_TRAILER_TEXT: usize = 64 << 10;

    /// An empty list.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Adds a field at the end. A field that would take the text beyond 16 MiB is left out.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.push_shown(name, value, false);
    }

    /// The same with a value as it came over the wire.
    pub(crate) fn push_bytes(&mut self, name: &str, value: &[u8]) {
        self.push_shown(name, &decode(value), std::str::from_utf8(value).is_err());
    }

    /// Adds those fields of another list whose names are wanted, as they came.
    pub(crate) fn push_from(&mut self, other: &Headers, wanted: impl Fn(&str) -> bool) {
        for (index, field) in other.fields.iter().enumerate() {
            if let Some((name, value)) = other.at(index).filter(|(name, _)| wanted(name)) {
                self.push_shown(name, value, field.latin_1);
            }
        }
    }

    fn push_shown(&mut self, name: &str, value: &str, latin_1: bool) {
        let needed = name.len() + value.len() + 2;
        if self.text.len() + needed > Headers::MAX_TEXT {
            return;
        }
        self.text.reserve(needed);
        let (name, name_length) = self.append(name);
        let (value, value_length) = self.append(value);
        self.fields.push(Field { name, name_length, value, value_length, latin_1 });
    }

    #[allow(clippy::cast_possible_truncation)] // bounded by MAX_TEXT
    fn append(&mut self, part: &str) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.push_str(part);
        self.text.push('\0');
        (start, part.len() as u32)
    }

    /// Starts anew, with the line that comes before a response's headers.
    pub(crate) fn begin(&mut self, status_line: &str) {
        self.text.clear();
        self.fields.clear();
        self.append(status_line);
        self.status_line = self.text.len();
    }

    /// The line before a response's headers, such as "HTTP/1.1 200 OK".
    pub fn status_line(&self) -> Option<&str> {
        self.c_status_line()?.strip_suffix('\0')
    }

    /// The same with its NUL.
    pub(crate) fn c_status_line(&self) -> Option<&str> {
        self.text.get(..self.status_line).filter(|line| !line.is_empty())
    }

    /// How many fields there are, repeated names counted each time.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn part(&self, start: u32, length: u32) -> &str {
        self.text.get(start as usize..(start + length) as usize).unwrap_or("")
    }

    /// The field at `index` in order of arrival.
    pub fn at(&self, index: usize) -> Option<(&str, &str)> {
        let field = self.fields.get(index)?;
        Some((self.part(field.name, field.name_length), self.part(field.value, field.value_length)))
    }

    /// The same, each part with its NUL.
    pub(crate) fn c_at(&self, index: usize) -> Option<(&str, &str)> {
        let field = self.fields.get(index)?;
        Some((self.part(field.name, field.name_length + 1), self.part(field.value, field.value_length + 1)))
    }

    /// Every field in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).filter_map(|index| self.at(index))
    }

    /// The position of the `nth` field of this name, whatever the letters' case.
    pub(crate) fn position(&self, name: &str, nth: usize) -> Option<usize> {
        self.fields
            .iter()
            .enumerate()
            .filter(|(_, f)| f.name_length as usize == name.len())
            .filter(|(_, f)| self.part(f.name, f.name_length).eq_ignore_ascii_case(name))
            .map(|(index, _)| index)
            .nth(nth)
    }

    /// The length that Content-Length says, in one field or in several that agree; `None` without any. An error if that is
    /// no length, or none that libcurl could count.
    pub(crate) fn content_length(&self) -> Result<Option<u64>, ()> {
        let named = |name: &str| name.eq_ignore_ascii_case("Content-Length");
        let mut said = None;
        for (_, value) in self.iter().filter(|(name, _)| named(name)) {
            for number in value.split(',').map(|number| number.trim_matches([' ', '\t'])) {
                let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                let length: i64 = number.parse().ok().filter(|_| digits).ok_or(())?;
                let length = u64::try_from(length).map_err(|_| ())?;
                if said.replace(length).is_some_and(|before| before != length) {
                    return Err(());
                }
            }
        }
        Ok(said)
    }

    /// The first value of this name, whatever the letters' case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_nth(name, 0)
    }

    /// The `nth` value of this name, counted from 0, whatever the letters' case.
    pub fn get_nth(&self, name: &str, nth: usize) -> Option<&str> {
        self.position(name, nth).and_then(|index| self.at(index)).map(|(_, value)| value)
    }

    /// The first value of this name as the bytes that came, which need not be UTF-8.
    pub fn bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.position(name, 0).and_then(|index| self.bytes_at(index)).map(|(_, value)| value)
    }

    /// Every field in order of arrival, with its value as the bytes that came.
    pub fn iter_bytes(&self) -> impl Iterator<Item = (&str, Cow<'_, [u8]>)> {
        (0..self.len()).filter_map(|index| self.bytes_at(index))
    }

    fn bytes_at(&self, index: usize) -> Option<(&str, Cow<'_, [u8]>)> {
        let (name, value) = self.at(index)?;
        let latin_1 = self.fields.get(index).is_some_and(|field| field.latin_1);
        let byte = |character| u8::try_from(u32::from(character)).unwrap_or(b'?');
        let bytes = if latin_1 { value.chars().map(byte).collect::<Vec<u8>>().into() } else { value.as_bytes().into() };
        Some((name, bytes))
    }
}

/// The status in a status line: "HTTP/1.0", "HTTP/1.1", or libcurl's "HTTP/2", a space, three digits, then a space or the
/// end. Nothing else is one; libcurl itself takes more, and gives some of that a status that the line does not show.
pub(crate) fn status_of(line: &[u8]) -> Option<u16> {
    let (status, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', status @ ..] => status.split_at_checked(3)?,
        [b'H', b'T', b'T', b'P', b'/', b'2', b' ', status @ ..] => {
            status.split_at_checked(3).filter(|(_, rest)| !rest.is_empty())?
        }
        _ => return None,
    };
    if !matches!(rest.first(), None | Some(b' ')) || !status.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = status.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    (status >= 100).then_some(status)
}

/// What RFC 9110, 6.5.1, keeps out of trailers: fields of framing, routing, request control, authentication, response
/// control, content, and the connection.
const NO_TRAILERS: [&str; 30] = [
    "Age",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Expires",
    "Host",
    "Keep-Alive",
    "Location",
    "Max-Forwards",
    "Pragma",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Range",
    "Retry-After",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "Warning",
    "WWW-Authenticate",
];

/// A response's head while it comes: the list's buffer as it will be, but not yet known to be UTF-8.
#[derive(Debug, Default)]
pub(crate) struct Head {
    text: Vec<u8>,
    fields: Vec<Field>,
    status_line: usize,
}

impl Head {
    /// What the heads of most responses fit into.
    const USUAL_TEXT: usize = 768;
    const USUAL_FIELDS: usize = 16;

    /// How many bytes of text there is room for.
    pub(crate) fn room(&self) -> usize {
        self.text.capacity()
    }

    /// Starts anew, with the status line.
    pub(crate) fn begin(&mut self, status_line: &[u8]) {
        self.text.clear();
        self.fields.clear();
        self.text.reserve(Head::USUAL_TEXT);
        self.fields.reserve(Head::USUAL_FIELDS);
        self.append(status_line);
        self.status_line = self.text.len();
    }

    /// Whether the status line has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.status_line > 0
    }

    /// Forgets the head of an interim response: another follows.
    pub(crate) fn restart(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.status_line = 0;
    }

    /// Adds a field, "Name: value". An error says why the line is not to be put up with.
    ///
    /// White space before the colon does not count, as in browsers, except where libcurl and we would disagree about
    /// where the response ends. A field without a name is left out.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        if line.first().is_some_and(blank) {
            return Err("white space comes before a header field");
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err("a header field has no colon");
        };
        let (mut name, value) = line.split_at(colon);
        while let Some((_, rest)) = name.split_last().filter(|(last, _)| blank(last)) {
            name = rest;
        }
        let frames = |name: &[u8]| {
            name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"Transfer-Encoding")
        };
        if name.len() < colon && frames(name) {
            return Err("white space comes after the name of Content-Length or Transfer-Encoding");
        }
        if name.is_empty() {
            return Ok(());
        }
        if self.fields.len() >= Headers::MAX_FIELDS {
            return Err("the response has more than 5000 header fields, which is the limit");
        }
        let mut value = value.get(1..).unwrap_or(&[]);
        while let Some((_, rest)) = value.split_first().filter(|(first, _)| blank(first)) {
            value = rest;
        }
        while let Some((_, rest)) = value.split_last().filter(|(last, _)| blank(last)) {
            value = rest;
        }
        if self.text.len() + name.len() + value.len() + 2 <= Headers::MAX_TEXT {
            let (name, name_length) = self.append(name);
            let (value, value_length) = self.append(value);
            self.fields.push(Field { name, name_length, value, value_length, latin_1: false });
        }
        Ok(())
    }

    /// Adds a field that came after the body, unless it is one that must come before it. An error says why the line is not to
    /// be put up with.
    pub(crate) fn add_trailer(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if self.fields.len() >= Headers::MAX_TRAILERS || self.text.len() + line.len() > Headers::MAX_TRAILER_TEXT {
            return Err("the response has more than 256 trailers or 64 KiB of them, which is the limit");
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        if NO_TRAILERS.into_iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes())) {
            return Ok(());
        }
        self.add(line)
    }

    #[allow(clippy::cast_possible_truncation)] // bounded by MAX_TEXT
    fn append(&mut self, part: &[u8]) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(part);
        self.text.push(0);
        (start, part.len() as u32)
    }

    /// The list, once the head is complete. Parts that are not UTF-8 are shown as Latin-1.
    pub(crate) fn finish(&mut self) -> Headers {
        let head = std::mem::take(self);
        let (fields, status_line) = (head.fields, head.status_line);
        match String::from_utf8(head.text) {
            Ok(text) => Headers { text, fields, status_line },
            Err(error) => {
                let bytes = error.as_bytes();
                let part = |start: u32, length: u32| bytes.get(start as usize..(start + length) as usize);
                let part = |start, length| part(start, length).unwrap_or(&[]);
                let mut headers = Headers::new();
                headers.begin(&decode(bytes.get(..status_line.saturating_sub(1)).unwrap_or(&[])));
                for field in fields {
                    let name = decode(part(field.name, field.name_length));
                    headers.push_bytes(&name, part(field.value, field.value_length));
                }
                headers
            }
        }
    }
}

impl From<Headers> for Head {
    /// An empty one, with the room of a list that is of no more use.
    fn from(headers: Headers) -> Head {
        let mut head = Head { text: headers.text.into_bytes(), fields: headers.fields, status_line: 0 };
        head.text.clear();
        head.fields.clear();
        head
    }
}

/// Bytes as text: UTF-8 if they are, else Latin-1.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_repeats() {
        let mut headers = Headers::new();
        headers.push("Set-Cookie", "a=1");
        headers.push("Content-Type", "text/plain");
        headers.push("set-cookie", "b=2");
        assert_eq!(headers.len(), 3);
        assert_eq!(headers.get("SET-COOKIE"), Some("a=1"));
        assert_eq!(headers.get_nth("Set-Cookie", 1), Some("b=2"));
        assert_eq!(headers.get_nth("Set-Cookie", 2), None);
        assert_eq!(headers.get("Cookie"), None);
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("Set-Cookie", "a=1"), ("Content-Type", "text/plain"), ("set-cookie", "b=2")]);
    }

    #[test]
    fn parts_are_nul_terminated_in_place() {
        let mut headers = Headers::new();
        headers.push("X", "");
        headers.push("Name", "value");
        assert_eq!(headers.c_at(0), Some(("X\0", "\0")));
        assert_eq!(headers.c_at(1), Some(("Name\0", "value\0")));
        assert_eq!(headers.c_at(2), None);
    }

    #[test]
    fn a_status_line_comes_before_the_fields() {
        let mut headers = Headers::new();
        assert_eq!(headers.status_line(), None);
        headers.begin("HTTP/1.1 100 Continue");
        headers.push("a", "1");
        headers.begin("HTTP/2 200");
        headers.push("b", "2");
        assert_eq!(headers.status_line(), Some("HTTP/2 200"));
        assert_eq!(headers.c_status_line(), Some("HTTP/2 200\0"));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("b", "2")]);
    }

    #[test]
    fn a_head_becomes_a_list() {
        let mut head = Head::default();
        head.begin(b"HTTP/1.1 100 Continue");
        head.add(b"a: 1").unwrap();
        head.restart();
        assert!(!head.has_begun());
        head.begin(b"HTTP/1.1 200 OK");
        assert!(head.has_begun());
        for line in [&b"Name \t: \t value\t "[..], b": no name", b"Empty:", b"Colons:a:b"] {
            head.add(line).unwrap();
        }
        for line in [&b"no field"[..], b" Name: value", b"\tName: value", b"", b"content-length : 1"] {
            head.add(line).unwrap_err();
        }
        let headers = head.finish();
        assert_eq!(headers.status_line(), Some("HTTP/1.1 200 OK"));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("Name", "value"), ("Empty", ""), ("Colons", "a:b")]);
        assert_eq!(headers.c_at(0), Some(("Name\0", "value\0")));
        assert_eq!(head.finish().status_line(), None);
    }

    #[test]
    fn a_status_has_three_digits() {
        for (line, status) in [
            ("HTTP/1.1 200 OK", 200),
            ("HTTP/1.0 404", 404),
            ("HTTP/1.1 999 ", 999),
            ("HTTP/2 200 ", 200),
            ("HTTP/1.1 100  two spaces", 100),
        ] {
            assert_eq!(status_of(line.as_bytes()), Some(status), "{line}");
        }
        let long = "HTTP/1.1 200 OK";
        for bad in ["http/1.1 200 OK", "HTTP/1.1 404Not", "HTTP/1.1 099 ", "HTTP/2 200", "HTTP/1.2 200", "HTTP/1.1 2 0"]
        {
            assert_eq!(status_of(bad.as_bytes()), None, "{bad}");
        }
        (0..12).for_each(|end| assert_eq!(status_of(&long.as_bytes()[..end]), None, "{end}"));
    }

    #[test]
    fn a_trailer_is_what_may_come_after_a_body() {
        let mut trailers = Head::default();
        for line in ["X-Sum: 1", "content-length: 9", "Set-Cookie : a=1", "ETag: \"a\"", "TE: x", "Server-Timing: a, b"]
        {
            trailers.add_trailer(line.as_bytes()).unwrap();
        }
        for bad in ["no colon", " folded: 1"] {
            trailers.add_trailer(bad.as_bytes()).unwrap_err();
        }
        let names: Vec<_> = trailers.finish().iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["X-Sum", "ETag", "Server-Timing"]);
        (0..Headers::MAX_TRAILERS).for_each(|_| trailers.add_trailer(b"a: 1").unwrap());
        trailers.add_trailer(b"a: 1").unwrap_err();
    }

    #[test]
    fn a_content_length_is_one_number() {
        let said = |values: &[&str]| {
            let mut headers = Headers::new();
            values.iter().for_each(|value| headers.push("content-length", value));
            headers.content_length()
        };
        assert_eq!(said(&[]), Ok(None));
        for values in [&["7"][..], &["7", "7"], &["7, 07"], &["7 ,7", "7"]] {
            assert_eq!(said(values), Ok(Some(7)));
        }
        assert_eq!(said(&["9223372036854775807"]), Ok(Some(i64::MAX as u64)));
        for values in [&["9223372036854775808"][..], &["7", "8"], &["7,8"], &["-7"], &["+7"], &["7,"], &[""], &["7 7"]]
        {
            assert_eq!(said(values), Err(()), "{values:?}");
        }
    }

    #[test]
    fn parts_of_a_head_that_are_not_utf_8_are_latin_1() {
        let mut head = Head::default();
        head.begin(b"HTTP/1.1 200 Sch\xF6n");
        head.add("utf: ö".as_bytes()).unwrap();
        head.add(b"latin: \xF6").unwrap();
        let headers = head.finish();
        assert_eq!(headers.status_line(), Some("HTTP/1.1 200 Schön"));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("utf", "ö"), ("latin", "ö")]);
        let mut copy = Headers::new();
        copy.push_from(&headers, |name| name != "utf");
        copy.push_from(&headers, |name| name == "utf");
        let bytes: Vec<_> = copy.iter_bytes().map(|(name, value)| (name, value.into_owned())).collect();
        assert_eq!(bytes, [("latin", b"\xF6".to_vec()), ("utf", "ö".as_bytes().to_vec())]);
        assert_eq!(headers.bytes("LATIN").as_deref(), Some(&b"\xF6"[..]));
    }

    #[test]
    fn every_byte_of_a_value_comes_back() {
        let all: Vec<u8> = (1..=255).collect();
        let mut headers = Headers::new();
        headers.push_bytes("all", &all);
        assert_eq!(headers.bytes("all").as_deref(), Some(&all[..]));
        assert_eq!(headers.get("all").map(|shown| shown.chars().count()), Some(255));
    }

    #[test]
    fn text_beyond_the_bound_is_left_out() {
        let mut headers = Headers::new();
        headers.push("big", &"x".repeat(Headers::MAX_TEXT));
        assert!(headers.is_empty());
        let mut head = Head::default();
        head.begin(b"HTTP/2 200");
        head.add(format!("big: {}", "x".repeat(Headers::MAX_TEXT)).as_bytes()).unwrap();
        assert!(head.finish().is_empty());
    }
}
