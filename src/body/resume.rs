//! Going on with a download that broke off: what is kept beside its part, and what a server's answer means for it.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use super::decoding::is_encoded;
use crate::headers::Headers;

/// What every mark begins with, and what this version's says: that it was written whole, and by whom.
const PREFIX: &[u8] = b"sortie-resume ";
const FIRST_LINE: &str = "sortie-resume 1";
const LAST_LINE: &str = "end";
/// The most that a mark says.
pub(super) const MAX_MARK: u64 = 256 << 10;
/// The longest validator that is kept.
const MAX_VALIDATOR: usize = 4 << 10;
/// The longest name of a start of the machine.
const MAX_BOOT: usize = 64;
/// How much older than its response a file has to be for its date to tell it from a newer one.
const SETTLED: Duration = Duration::from_secs(60);

/// A request whose file may be gone on with.
#[derive(Clone, Debug)]
pub(crate) struct Resumable {
    pub(crate) url: String,
    /// Nothing of what is there may be used.
    pub(crate) afresh: bool,
    /// The result's hash is known, so that a part of another file cannot go unnoticed.
    pub(crate) hashed: bool,
    /// Whether to force it to the disk now and then.
    pub(crate) sync: bool,
}

/// What is there of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// From where to go on.
    pub(crate) offset: u64,
    /// What the server called the file, as the bytes that came.
    pub(crate) validator: Vec<u8>,
    /// How long it said that it is.
    pub(crate) length: Option<u64>,
}

/// Where a response's body starts, and how to go on with it should it break off; without a validator it cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) offset: u64,
    pub(crate) validator: Option<Vec<u8>>,
    pub(crate) length: Option<u64>,
}

/// What stands beside a part: what it is a part of, and how much of it is safe.
///
/// What a killed process had written is still there, since the system holds it. After the machine itself has gone down,
/// only what was forced to the disk counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    url: String,
    validator: Vec<u8>,
    length: Option<u64>,
    /// This many bytes were forced to the disk.
    pub(crate) synced: u64,
    /// The machine's start that it was written after; empty if that cannot be told.
    boot: String,
}

impl Mark {
    pub(crate) fn new(wanted: &Resumable, validator: Vec<u8>, length: Option<u64>, synced: u64) -> Mark {
        Mark { url: wanted.url.clone(), validator, length, synced, boot: boot().to_owned() }
    }

    /// As it lies in its file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Mark { url, validator, length, synced, boot } = self;
        let mut bytes = format!("{FIRST_LINE}\nurl {url}\nvalidator ").into_bytes();
        bytes.extend_from_slice(validator);
        let _ = write!(bytes, "\nboot {boot}\nsynced {synced}\n");
        if let Some(length) = length {
            let _ = writeln!(bytes, "length {length}");
        }
        bytes.extend_from_slice(LAST_LINE.as_bytes());
        bytes
    }

    /// Reads a mark, which anybody may have written: what `encode` cannot have made of a response is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Mark> {
        if bytes.len() as u64 > MAX_MARK || bytes.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n') {
            return None;
        }
        let lines = bytes.strip_prefix(FIRST_LINE.as_bytes())?.strip_prefix(b"\n")?;
        let mut lines = lines.strip_suffix(LAST_LINE.as_bytes())?.split(|byte| *byte == b'\n');
        let mut field = |name: &str| lines.next()?.strip_prefix(name.as_bytes())?.strip_prefix(b" ");
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        // As many bytes as a file can have.
        let count = |bytes: &[u8]| text(bytes)?.parse().ok().filter(|count| i64::try_from(*count).is_ok());
        let (url, validator, boot) = (text(field("url")?)?, field("validator")?.to_vec(), text(field("boot")?)?);
        let synced: u64 = count(field("synced")?)?;
        let length: Option<u64> = field("length").and_then(count);
        let good_boot = boot.len() <= MAX_BOOT && boot.bytes().all(|byte| byte.is_ascii_graphic());
        if !good_boot || !is_validator(&validator) || length.is_some_and(|length| synced > length) {
            return None;
        }
        let mark = Mark { url, validator, length, synced, boot };
        // Nothing twice, nothing more, and numbers as they are written.
        (mark.encode() == bytes).then_some(mark)
    }

    /// What of a part with this many bytes can be gone on with.
    pub(crate) fn left(&self, wanted: &Resumable, bytes: u64) -> Option<Left> {
        let same = if wanted.hashed { path(&self.url) == path(&wanted.url) } else { self.url == wanted.url };
        if wanted.afresh || !same {
            return None;
        }
        let survived = !self.boot.is_empty() && self.boot == boot();
        let bytes = if survived { bytes } else { bytes.min(self.synced) };
        if self.length.is_some_and(|length| bytes > length) {
            return None;
        }
        // A byte less than all, so that there is something to ask for. Where it is not known how much that is, this may be it.
        let offset = bytes.min(self.length.unwrap_or(bytes).saturating_sub(1));
        let left = Left { offset, validator: self.validator.clone(), length: self.length };
        (offset > 0).then_some(left)
    }
}

/// Whether a file is a mark of ours, be it damaged: one begins so, and a power cut may leave it empty or full of zeros.
pub(super) fn is_mark(bytes: &[u8]) -> bool {
    let start = bytes.get(..PREFIX.len()).unwrap_or(bytes);
    PREFIX.starts_with(start) || bytes.iter().all(|byte| *byte == 0)
}

/// A URL without its query, which changes where links are signed.
fn path(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// What tells one start of the machine from the next.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        read.map_or_else(|_| String::new(), |id| id.trim().to_owned())
    })
}

/// What an answer to a request for the rest means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The body is the rest, or the whole, from this start on.
    Body(Start),
    /// What is there is no use: ask again, for the whole.
    Afresh,
    /// The response has nothing to do with it.
    Other,
}

/// Looks at the answer to a request that asked for what comes after `left`, or for the whole.
pub(crate) fn answer(status: u16, headers: &Headers, left: Option<&Left>) -> Answer {
    let encoded = is_encoded(headers);
    match (status, left) {
        (206, Some(left)) => {
            let Some((first, last, total)) = headers.get("Content-Range").and_then(content_range) else {
                return Answer::Afresh;
            };
            let other_length = matches!((left.length, total), (Some(was), Some(is)) if was != is);
            // A server that does not know If-Range shows so what it has now.
            let named = if left.validator.starts_with(b"\"") { "ETag" } else { "Last-Modified" };
            let other_file = headers.bytes(named).is_some_and(|is| *is != left.validator);
            let said = headers.content_length().ok().flatten();
            let lying = first != left.offset || said.is_some_and(|said| said != last - first + 1);
            let cut = total.is_some_and(|total| last + 1 != total);
            if encoded || other_length || other_file || lying || cut {
                return Answer::Afresh;
            }
            let length = total.or(left.length);
            Answer::Body(Start { offset: first, validator: Some(left.validator.clone()), length })
        }
        (416, Some(_)) => Answer::Afresh,
        (200 | 203, _) => {
            let length = headers.content_length().ok().flatten();
            let validator = if encoded { None } else { validator(headers) };
            Answer::Body(Start { offset: 0, validator, length: length.filter(|_| !encoded) })
        }
        _ => Answer::Other,
    }
}

/// What tells this file from any other that the server may have there later.
fn validator(headers: &Headers) -> Option<Vec<u8>> {
    if headers.get("Accept-Ranges").is_some_and(|units| units.eq_ignore_ascii_case("none")) {
        return None;
    }
    if let Some(tag) = headers.bytes("ETag") {
        return is_tag(&tag).then(|| tag.into_owned());
    }
    let date = |name| httpdate::parse_http_date(headers.get(name)?).ok();
    let age = date("Date")?.duration_since(date("Last-Modified")?).ok()?;
    let modified = headers.bytes("Last-Modified").filter(|date| age >= SETTLED && is_date(date))?;
    Some(modified.into_owned())
}

/// Whether this can be sent back as what tells one version of a file from another.
fn is_validator(validator: &[u8]) -> bool {
    is_tag(validator) || is_date(validator)
}

/// Whether this is a strong tag: a weak one, W/"...", does not promise the same bytes.
fn is_tag(tag: &[u8]) -> bool {
    let inner = tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\""));
    let allowed = |byte: &u8| !byte.is_ascii_control() && *byte != b'"';
    tag.len() <= MAX_VALIDATOR && inner.is_some_and(|inner| inner.iter().all(allowed))
}

fn is_date(date: &[u8]) -> bool {
    date.len() <= MAX_VALIDATOR
        && !date.iter().any(u8::is_ascii_control)
        && std::str::from_utf8(date).is_ok_and(|date| httpdate::parse_http_date(date).is_ok())
}

/// Reads "bytes FIRST-LAST/TOTAL"; the total may be unknown.
fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse::<u64>().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse::<u64>().ok()?),
    };
    (first <= last && last < u64::MAX && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(url: &str) -> Resumable {
        Resumable { url: url.into(), afresh: false, hashed: false, sync: true }
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        fields.iter().for_each(|(name, value)| headers.push(name, value));
        headers
    }

    #[test]
    fn a_mark_says_what_it_was_told_and_a_torn_one_nothing() {
        for length in [None, Some(77)] {
            let mark = Mark::new(&wanted("http://x/a?b=c d"), b"\"\xE4\"".to_vec(), length, 5);
            let text = mark.encode();
            assert_eq!(Mark::parse(&text), Some(mark));
            for end in 0..text.len() {
                assert_eq!(Mark::parse(&text[..end]), None, "{end}");
            }
        }
        assert_eq!(Mark::parse(b""), None);
        assert_eq!(Mark::parse(b"sortie-resume 2\nend"), None);
    }

    #[test]
    fn a_mark_that_no_response_has_made_is_none() {
        let good = Mark::new(&wanted("http://x/a"), b"\"tag\"".to_vec(), Some(77), 5).encode();
        let good = String::from_utf8(good).unwrap();
        assert!(Mark::parse(good.as_bytes()).is_some());
        for (from, to) in [
            ("\"tag\"", "\"t\0ag\""),
            ("\"tag\"", "\"tag\"\rX: y"),
            ("\"tag\"\n", "\"tag\"\r\n"),
            ("\"tag\"", "W/\"tag\""),
            ("\"tag\"", "\"ta\"g\""),
            ("\"tag\"", "\""),
            ("\"tag\"", ""),
            ("\"tag\"", "yesterday"),
            ("\"tag\"", "\"tag\", \"other\"\u{7f}"),
            ("\"tag\"", &format!("\"{}\"", "x".repeat(MAX_VALIDATOR))),
            ("synced 5", "synced -5"),
            ("synced 5", "synced +5"),
            ("synced 5", "synced 05"),
            ("synced 5", "synced 78"),
            ("synced 5", "synced 5\nsynced 5"),
            ("length 77", "length 9223372036854775808"),
            ("length 77", "length 99999999999999999999"),
            ("length 77", "length "),
            ("length 77", "length 77\nlength 78"),
            ("length 77", "size 77"),
            ("sortie-resume 1", "sortie-resume 2"),
            ("boot ", "boot \u{e4}"),
            ("http://x/a", "http://x/a\t"),
            ("\nend", "\n\nend"),
            ("\nend", "\nmore\nend"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert_eq!(Mark::parse(changed.as_bytes()), None, "{to:?}");
        }
        assert_eq!(Mark::parse(b"sortie-resume 1\nurl \xff\nvalidator \"\"\nboot \nsynced 0\nend"), None);
    }

    #[test]
    fn a_mark_is_known_even_if_it_is_damaged() {
        for ours in [&b""[..], b"sortie-resume 1\nurl", b"sortie-res", b"sortie-resume 2\n\0", b"\0", &[0; 5000]] {
            assert!(is_mark(ours), "{ours:?}");
        }
        for other in [&b"x"[..], b"sortie-resumE 1", b"\0\x01", b"saved game", b" sortie-resume 1"] {
            assert!(!is_mark(other), "{other:?}");
        }
    }

    #[test]
    fn what_is_left_is_what_can_be_trusted() {
        let mark = Mark::new(&wanted("http://x/a?1"), "\"t\"".into(), Some(100), 30);
        let offset = |mark: &Mark, wanted: &Resumable, bytes| mark.left(wanted, bytes).map(|left| left.offset);
        assert_eq!(offset(&mark, &wanted("http://x/a?1"), 60), Some(60));
        assert_eq!(offset(&mark, &wanted("http://x/a?1"), 100), Some(99), "there has to be something to ask for");
        assert_eq!(offset(&mark, &wanted("http://x/a?1"), 101), None);
        assert_eq!(offset(&Mark { length: None, ..mark.clone() }, &wanted("http://x/a?1"), 100), Some(99));
        assert_eq!(offset(&mark, &wanted("http://x/a?1"), 0), None);
        assert_eq!(offset(&mark, &wanted("http://x/a?2"), 60), None);
        assert_eq!(offset(&mark, &Resumable { hashed: true, ..wanted("http://x/a?2") }, 60), Some(60));
        assert_eq!(offset(&mark, &Resumable { hashed: true, ..wanted("http://x/b") }, 60), None);
        assert_eq!(offset(&mark, &Resumable { afresh: true, ..wanted("http://x/a?1") }, 60), None);
        for boot in ["", "another"] {
            let mark = Mark { boot: boot.into(), ..mark.clone() };
            assert_eq!(offset(&mark, &wanted("http://x/a?1"), 60), Some(30), "only what was forced to the disk");
        }
    }

    #[test]
    fn only_a_strong_validator_is_one() {
        let day = ("Date", "Fri, 31 Dec 1999 23:59:59 GMT");
        let of = |fields: &[(&str, &str)]| validator(&headers(fields)).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(of(&[("ETag", "\"a\"")]).as_deref(), Some("\"a\""));
        assert_eq!(of(&[("ETag", "\"a\""), ("Accept-Ranges", "none")]), None);
        assert_eq!(of(&[("ETag", "\"a\rX: b\"")]), None);
        let old = ("Last-Modified", "Fri, 31 Dec 1999 23:58:59 GMT");
        assert_eq!(of(&[old, day]).as_deref(), Some(old.1));
        assert_eq!(of(&[old, day, ("ETag", "W/\"a\"")]), None);
        assert_eq!(of(&[("Last-Modified", "Fri, 31 Dec 1999 23:59:30 GMT"), day]), None, "it may still change");
        assert_eq!(of(&[old]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_rest_is_taken_only_if_it_fits() {
        let left = Left { offset: 10, validator: "\"t\"".into(), length: Some(100) };
        let to = |status, fields: &[(&str, &str)]| answer(status, &headers(fields), Some(&left));
        let start = |length| Answer::Body(Start { offset: 10, validator: Some("\"t\"".into()), length });
        assert_eq!(to(206, &[("Content-Range", "bytes 10-99/100")]), start(Some(100)));
        assert_eq!(to(206, &[("Content-Range", "bytes 10-99/*")]), start(Some(100)));
        assert_eq!(to(206, &[("Content-Range", "bytes 10-99/100"), ("Content-Length", "90")]), start(Some(100)));
        for lie in [
            "bytes 9-99/100",
            "bytes 11-99/100",
            "bytes 10-98/100",
            "bytes 10-109/110",
            "bytes 10-9/100",
            "bytes 10-100/100",
            "bytes */100",
            "items 10-99/100",
            "bytes 10-99",
            "",
            "bytes 10-18446744073709551615/*",
        ] {
            assert_eq!(to(206, &[("Content-Range", lie)]), Answer::Afresh, "{lie}");
        }
        assert_eq!(to(206, &[]), Answer::Afresh);
        let range = ("Content-Range", "bytes 10-99/100");
        assert_eq!(to(206, &[range, ("Content-Length", "91")]), Answer::Afresh);
        assert_eq!(to(206, &[range, ("ETag", "\"other\"")]), Answer::Afresh);
        assert_eq!(to(206, &[range, ("Content-Encoding", "gzip")]), Answer::Afresh);
        let date = "Fri, 31 Dec 1999 23:58:59 GMT";
        let dated = Left { validator: date.into(), ..left.clone() };
        let of_date =
            |date| answer(206, &headers(&[range, ("Last-Modified", date), ("ETag", "\"new\"")]), Some(&dated));
        assert!(matches!(of_date(date), Answer::Body(_)));
        assert_eq!(of_date("Fri, 31 Dec 1999 23:59:00 GMT"), Answer::Afresh);
        assert_eq!(to(416, &[]), Answer::Afresh);
        assert_eq!(to(404, &[]), Answer::Other);
        let whole = Start { offset: 0, validator: Some("\"n\"".into()), length: Some(7) };
        assert_eq!(to(200, &[("ETag", "\"n\""), ("Content-Length", "7")]), Answer::Body(whole));
        let encoded = to(200, &[("ETag", "\"n\""), ("Content-Length", "7"), ("Content-Encoding", "gzip")]);
        assert_eq!(encoded, Answer::Body(Start::default()));
        assert_eq!(answer(206, &headers(&[range]), None), Answer::Other);
        assert_eq!(answer(416, &headers(&[]), None), Answer::Other);
    }
}
