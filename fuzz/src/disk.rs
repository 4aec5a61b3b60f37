//! What is read from disks: whatever lies there, nothing but what Sortie could have written is believed.

use sortie::fuzzing;

use crate::input::{Input, is_sendable};

/// A line with a URL, one with the part's length, and a resume mark.
pub fn mark(data: &[u8]) {
    let mut input = Input(data);
    let (url, part) = (input.text(), input.number());
    let Some(read) = fuzzing::mark(input.0, url, part) else { return };
    let again = fuzzing::mark(&read.encoded, url, part).expect("what was accepted is accepted when written anew");
    assert_eq!(again.encoded, read.encoded);
    assert_eq!(again.left, read.left);
    if let Some((offset, validator)) = read.left {
        assert!(offset > 0 && offset <= part, "{offset} of {part}");
        assert!(is_sendable(&validator), "If-Range: {validator:?}");
        assert!(!validator.is_empty());
    }
}

/// A URL, a validator, a length and how much is safe, each a line: a mark that Sortie writes is one that it reads.
pub fn mark_written(data: &[u8]) {
    let mut input = Input(data);
    let (url, validator, length, synced) = (input.text(), input.line(), input.text(), input.number());
    let length = length.parse::<u64>().ok().filter(|length| *length < 1 << 63);
    let synced = synced.min(length.unwrap_or(1000));
    let Ok(url) = url::Url::parse(url) else { return };
    let quoted = [b"\"", validator, b"\""].concat();
    if validator.iter().any(u8::is_ascii_control) || validator.contains(&b'"') {
        return;
    }
    let encoded = fuzzing::encode_mark(url.as_str(), &quoted, length, synced);
    let part = length.unwrap_or(1000).min(1000);
    let read = fuzzing::mark(&encoded, url.as_str(), part).expect("a mark of Sortie's own");
    assert_eq!(read.encoded, encoded);
    if let Some((_, validator)) = read.left {
        assert_eq!(validator, quoted);
    }
    for end in 0..encoded.len() {
        assert!(fuzzing::mark(&encoded[..end], url.as_str(), part).is_none(), "torn at {end}");
    }
}

/// A file of the cache, all but its mark and checksum.
pub fn cache_entry(data: &[u8]) {
    assert!(!fuzzing::entry_as_it_is(data), "a checksum by chance");
    let Some(read) = fuzzing::entry(data) else { return };
    let tail = read.encoded.get(12..).expect("a mark and a checksum");
    let again = fuzzing::entry(tail).expect("what was accepted is accepted when written anew");
    assert_eq!(again.encoded, read.encoded);
    // Its age may be a second more by now.
    let (old, new) = (read.head.iter(), again.head.iter());
    assert!(old.zip(new).all(|(old, new)| old == new || (old.0 == "Age" && new.0 == "Age")));
    assert_eq!(read.head.len(), again.head.len());
    for (name, value) in &read.validation {
        assert!(is_sendable(value), "{name}: {value:?}");
    }
    for (name, value) in read.head.iter_bytes() {
        assert!(is_sendable(name.as_bytes()) && is_sendable(&value), "{name}: {value:?}");
    }
}

/// A status, times, a request's fields and a response's: what is fresh now was fresh before, and none is both fresh and older
/// than it may be.
pub fn cache_rules(data: &[u8]) {
    let mut input = Input(data);
    let status = input.number() as u16;
    let [requested, waited, kept, later] = [input.number(), input.number(), input.number(), input.number()];
    let asked = fuzzing::fields(input.lines().into_iter());
    let response = fuzzing::fields(input.lines().into_iter());
    let responded = requested.saturating_add(waited);
    let (now, later) = (responded.saturating_add(kept), responded.saturating_add(kept).saturating_add(later));
    let judge = |now| fuzzing::judge(status, &response, &asked, requested, responded, now);
    let (first, second) = (judge(now), judge(later));
    assert!(first.age <= second.age && first.lifetime == second.lifetime);
    assert!(first.fresh || !second.fresh, "it became fresh by waiting");
    assert!(first.good_for_errors || !second.good_for_errors);
    let no_store = |fields: &sortie::Headers| {
        fields.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("Cache-Control") && value.trim().eq_ignore_ascii_case("no-store")
        })
    };
    assert!(!(first.storable && no_store(&response)));
    if let Some(updated) = fuzzing::updated(&response, &asked) {
        assert!(updated.get("Set-Cookie").is_none());
        assert_eq!(updated.status_line(), Some("HTTP/1.1 200 OK"));
    }
}

/// A cookie file.
pub fn cookie_file(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let Some(read) = fuzzing::cookie_line(line) else { continue };
        assert!(is_sendable(&read), "{read:?}");
        if !read.is_empty() {
            assert_eq!(fuzzing::cookie_line(&read).as_ref(), Some(&read), "{line:?}");
        }
    }
}
