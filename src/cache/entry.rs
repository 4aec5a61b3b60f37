//! A stored response, and how it lies in a file: a mark, a checksum of all that follows it, the head's length, the body as it
//! came over the wire, and the head as lines. The head is last, since a large body is written while it comes.

use std::sync::Arc;

use flate2::Crc;

use super::rules::{self, Asked, Control, Times};
use crate::headers::{Headers, status_of};
use crate::request::is_token;

/// What each file begins with.
pub(crate) const MARK: &[u8; 8] = b"SORTIEC1";
/// The mark, the checksum, the head's length.
pub(super) const PREFIX: usize = 16;

/// A response to a GET. Its head has what is kept, with the status line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) url: String,
    pub(crate) times: Times,
    /// Whether compression was asked for, and is undone.
    pub(crate) compression: bool,
    pub(crate) variant: u64,
    pub(crate) status: u16,
    pub(crate) head: Lines,
    pub(crate) body: Arc<Vec<u8>>,
}

/// Header fields that can be compared.
#[derive(Clone, Debug)]
pub(crate) struct Lines(pub(crate) Headers);

impl PartialEq for Lines {
    fn eq(&self, other: &Lines) -> bool {
        self.0.status_line() == other.0.status_line() && self.0.iter_bytes().eq(other.0.iter_bytes())
    }
}

impl Eq for Lines {}

impl Entry {
    /// The answer to a request that takes nothing but what is stored, where nothing is (RFC 9111, section 5.2.1.7).
    pub(crate) fn timeout(url: &str, now: u64) -> Entry {
        let mut head = Headers::new();
        head.begin("HTTP/1.1 504 Gateway Timeout");
        let (times, body) = (Times { requested: now, responded: now }, Arc::default());
        Entry { url: url.to_owned(), times, compression: false, variant: 0, status: 504, head: Lines(head), body }
    }

    /// Whether it never changes while it is fresh (RFC 8246).
    pub(crate) fn is_immutable(&self) -> bool {
        Control::of(self.headers().iter()).immutable
    }

    pub(crate) fn headers(&self) -> &Headers {
        &self.head.0
    }

    /// Whether it is an answer to this request at all, fresh or not.
    pub(crate) fn answers(&self, url: &str, compression: bool, asked: &Asked<'_>) -> bool {
        self.url == url && self.compression == compression && asked.variant(self.headers()) == Some(self.variant)
    }

    pub(crate) fn is_fresh_for(&self, asked: &Control, now: u64) -> bool {
        rules::is_fresh_for(asked, self.status, self.headers(), self.times, now)
    }

    pub(crate) fn is_good_meanwhile(&self, asked: &Control, now: u64) -> bool {
        rules::is_good_meanwhile(asked, self.status, self.headers(), self.times, now)
    }

    pub(crate) fn is_good_for_errors(&self, asked: &Control, now: u64) -> bool {
        rules::is_good_for_errors(asked, self.status, self.headers(), self.times, now)
    }

    /// The head as it is given out now: with its Age, and the length of what is stored.
    pub(crate) fn head_now(&self, now: u64) -> Headers {
        let mut head = Headers::new();
        head.begin(self.headers().status_line().unwrap_or_default());
        let ours = |name: &str| name.eq_ignore_ascii_case("Age") || name.eq_ignore_ascii_case("Content-Length");
        head.push_from(self.headers(), |name| !ours(name));
        let most = u64::from(u32::MAX >> 1);
        head.push("Age", &rules::age(self.headers(), self.times, now).min(most).to_string());
        if self.status != 204 {
            head.push("Content-Length", &self.body.len().to_string());
        }
        head
    }

    /// The head as it lies in a file.
    pub(super) fn lines(&self) -> Vec<u8> {
        let Times { requested, responded } = self.times;
        let (url, compression, variant) = (&self.url, u8::from(self.compression), self.variant);
        let mut lines = format!("{url}\n{requested} {responded} {compression} {variant} {}\n", self.status);
        lines.push_str(self.headers().status_line().unwrap_or_default());
        let mut lines = lines.into_bytes();
        for (name, value) in self.headers().iter_bytes() {
            lines.extend([b"\n", name.as_bytes(), b":", &value].concat());
        }
        lines
    }

    /// How many bytes it takes in a file; about as many in memory.
    pub(crate) fn size(&self) -> u64 {
        (PREFIX + self.lines().len() + self.body.len()) as u64
    }

    /// As it lies in a file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let lines = self.lines();
        let mut bytes = Vec::with_capacity(PREFIX + lines.len() + self.body.len());
        bytes.extend_from_slice(&[0; PREFIX]);
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(&lines);
        let mut rest = Crc::new();
        rest.update(&self.body);
        rest.update(&lines);
        if let Some(place) = bytes.get_mut(..PREFIX) {
            place.copy_from_slice(&prefix(&lines, &rest));
        }
        bytes
    }

    /// What `encode` made; `None` if a bit of it is not as it was, or if it says what no response from the network could: the
    /// checksum tells of accidents, not of who has written the file.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Entry> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if !bytes.starts_with(MARK) || number(8)? != checksum(bytes.get(12..)?) {
            return None;
        }
        let (body, lines) = bytes
            .get(PREFIX..)?
            .split_at_checked(bytes.len().checked_sub(PREFIX)?.checked_sub(usize::try_from(number(12)?).ok()?)?)?;
        let mut lines = lines.split(|byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(lines.next()?).ok();
        let (url, numbers, status_line) = (line()?.to_owned(), line()?, line()?);
        let mut numbers = numbers.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let times = Times { requested: next()?, responded: next()? };
        let (compression, variant, status) = (next()?, next()?, u16::try_from(next()?).ok()?);
        let compression = [false, true].get(usize::try_from(compression).ok()?).copied()?;
        let is_text = |text: &[u8]| !text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
        // Kept without the space at its end, which that of HTTP/2 has for want of a reason.
        let whole_line = format!("{status_line} ");
        let says_so = status_of(whole_line.as_bytes()) == Some(status) && is_text(status_line.as_bytes());
        if numbers.next().is_some() || times.requested > times.responded || !says_so {
            return None;
        }
        let mut head = Headers::new();
        head.begin(status_line);
        for line in lines {
            let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            let (name, value) = (std::str::from_utf8(name).ok()?, value.get(1..)?);
            if !is_token(name) || !is_text(value) || head.len() == Headers::MAX_FIELDS {
                return None;
            }
            head.push_bytes(name, value);
        }
        if !rules::is_storable(status, &head, false) || rules::kept(&head).len() != head.len() {
            return None;
        }
        let body = Arc::new(body.to_vec());
        Some(Entry { url, times, compression, variant, status, head: Lines(head), body })
    }
}

/// What a file begins with whose head has these lines, and in which this follows.
pub(super) fn prefix(lines: &[u8], rest: &Crc) -> [u8; PREFIX] {
    let length = u32::try_from(lines.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut sum = Crc::new();
    sum.update(&length);
    sum.combine(rest);
    let mut prefix = [0; PREFIX];
    let parts = MARK.iter().chain(&sum.sum().to_le_bytes()).chain(&length).copied().collect::<Vec<u8>>();
    prefix.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
    prefix
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn entry(url: &str, body: &[u8]) -> Entry {
        let mut head = Headers::new();
        head.begin("HTTP/1.1 200 OK");
        head.push("ETag", "\"ä: b\"");
        head.push("Cache-Control", "max-age=9");
        head.push("Empty", "");
        head.push_bytes("Bytes", b"\xE4\xFF:");
        let times = Times { requested: 5, responded: 7 };
        let body = Arc::new(body.to_vec());
        Entry { url: url.into(), times, compression: true, variant: 9, status: 200, head: Lines(head), body }
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        for body in [&b""[..], b"a\nb\0c"] {
            let entry = entry("http://x/?a=b", body);
            let bytes = entry.encode();
            assert_eq!(bytes.len() as u64, entry.size());
            assert_eq!(Entry::decode(&bytes), Some(entry));
        }
        // Whatever status line it came with, as that is kept.
        for line in ["HTTP/2 200", "HTTP/1.1 200", "HTTP/1.0 200 Fine"] {
            let mut entry = entry("http://x/", b"body");
            let mut head = Headers::new();
            head.begin(line);
            entry.head.0.iter().for_each(|(name, value)| head.push(name, value));
            entry.head = Lines(head);
            let back =
                Entry::decode(&entry.encode()).and_then(|entry| entry.headers().status_line().map(str::to_owned));
            assert_eq!(back.as_deref(), Some(line));
        }
    }

    #[test]
    fn what_no_response_could_say_is_none() {
        let good = entry("http://x/", b"body");
        let with = |change: &dyn Fn(&mut Entry)| {
            let mut changed =
                Entry { url: good.url.clone(), head: good.head.clone(), body: Arc::clone(&good.body), ..good };
            change(&mut changed);
            Entry::decode(&changed.encode())
        };
        assert!(with(&|_| {}).is_some());
        let bad: [&dyn Fn(&mut Entry); 13] = [
            &|entry| entry.status = 404,
            &|entry| entry.head.0.begin("HTTP/1.1 200 OK\r"),
            &|entry| entry.head.0.begin("ICY 200 OK"),
            &|entry| entry.head.0.begin("HTTP/1.1 200 OK"),
            &|entry| entry.times.requested = 8,
            &|entry| entry.url.push('\n'),
            &|entry| entry.head.0.push("X", "a\rb"),
            &|entry| entry.head.0.push("X", "a\0b"),
            &|entry| entry.head.0.push("X", "a\nb"),
            &|entry| entry.head.0.push("X Y", "a"),
            &|entry| entry.head.0.push("", "a"),
            &|entry| entry.head.0.push("Set-Cookie", "a=1"),
            &|entry| (0..=Headers::MAX_FIELDS).for_each(|_| entry.head.0.push("X", "a")),
        ];
        for (index, change) in bad.into_iter().enumerate() {
            assert_eq!(with(change), None, "{index}");
        }
        let no_store = with(&|entry| entry.head.0.push("Cache-Control", "no-store"));
        assert_eq!(no_store, None);
    }

    #[test]
    fn what_is_cut_or_changed_is_none() {
        let bytes = entry("http://x/", b"body").encode();
        for length in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..length]), None, "{length}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Entry::decode(&changed), None, "{at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(Entry::decode(&longer), None);
    }
}
