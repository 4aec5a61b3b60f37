//! Header fields in one buffer: what a request sends and what a response brought.

use std::borrow::Cow;

/// Where one field lies in the buffer. Both parts are NUL-terminated there.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
}

/// An ordered list of header fields, repeated names kept apart. All text lies in one buffer, each part
/// NUL-terminated, so that a response's headers cost two allocations and C reads them in place.
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

    /// An empty list.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Adds a field at the end. A field that would take the text beyond 16 MiB is left out.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        let needed = name.len() + value.len() + 2;
        if self.text.len() + needed > Headers::MAX_TEXT {
            return;
        }
        self.text.reserve(needed);
        let (name, name_length) = self.append(name);
        let (value, value_length) = self.append(value);
        self.fields.push(Field { name, name_length, value, value_length });
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

    /// The first value of this name, whatever the letters' case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_nth(name, 0)
    }

    /// The `nth` value of this name, counted from 0, whatever the letters' case.
    pub fn get_nth(&self, name: &str, nth: usize) -> Option<&str> {
        self.position(name, nth).and_then(|index| self.at(index)).map(|(_, value)| value)
    }
}

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

    /// Adds a field, "Name: value". A line without a colon is none; one that is too much is left out.
    pub(crate) fn add(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
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
            self.fields.push(Field { name, name_length, value, value_length });
        }
    }

    #[allow(clippy::cast_possible_truncation)] // bounded by MAX_TEXT
    fn append(&mut self, part: &[u8]) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(part);
        self.text.push(0);
        (start, part.len() as u32)
    }

    /// The list, once the head is complete. Parts that are not UTF-8 are Latin-1, as was meant before.
    pub(crate) fn finish(&mut self) -> Headers {
        let head = std::mem::take(self);
        let (fields, status_line) = (head.fields, head.status_line);
        match String::from_utf8(head.text) {
            Ok(text) => Headers { text, fields, status_line },
            Err(error) => {
                let bytes = error.as_bytes();
                let part = |start: u32, length: u32| bytes.get(start as usize..(start + length) as usize);
                let text = |start, length| decode(part(start, length).unwrap_or(&[]));
                let mut headers = Headers::new();
                headers.begin(&decode(bytes.get(..status_line.saturating_sub(1)).unwrap_or(&[])));
                for field in fields {
                    let name = text(field.name, field.name_length);
                    headers.push(&name, &text(field.value, field.value_length));
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
fn decode(bytes: &[u8]) -> Cow<'_, str> {
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
        head.add(b"a: 1");
        head.begin(b"HTTP/1.1 200 OK");
        for line in [&b"Name: \t value\t "[..], b"no field", b"Empty:", b"Colons:a:b"] {
            head.add(line);
        }
        let headers = head.finish();
        assert_eq!(headers.status_line(), Some("HTTP/1.1 200 OK"));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("Name", "value"), ("Empty", ""), ("Colons", "a:b")]);
        assert_eq!(headers.c_at(0), Some(("Name\0", "value\0")));
        assert_eq!(head.finish().status_line(), None);
    }

    #[test]
    fn parts_of_a_head_that_are_not_utf_8_are_latin_1() {
        let mut head = Head::default();
        head.begin(b"HTTP/1.1 200 Sch\xF6n");
        head.add("utf: ö".as_bytes());
        head.add(b"latin: \xF6");
        let headers = head.finish();
        assert_eq!(headers.status_line(), Some("HTTP/1.1 200 Schön"));
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("utf", "ö"), ("latin", "ö")]);
    }

    #[test]
    fn text_beyond_the_bound_is_left_out() {
        let mut headers = Headers::new();
        headers.push("big", &"x".repeat(Headers::MAX_TEXT));
        assert!(headers.is_empty());
        let mut head = Head::default();
        head.begin(b"HTTP/2 200");
        head.add(format!("big: {}", "x".repeat(Headers::MAX_TEXT)).as_bytes());
        assert!(head.finish().is_empty());
    }
}
