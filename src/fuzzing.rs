//! The ways by which the targets in `fuzz/` reach what reads disks and networks. Never in a release.
//!
//! Each function calls what the library calls, with as little as possible of its own: the targets say what has to hold.

use std::path::PathBuf;

use flate2::Crc;

use crate::body::charset::{self, Encoder};
use crate::body::content_type::MediaType;
use crate::body::decoding::{Coding, Decoder, Room};
use crate::body::disk::Location;
use crate::body::form::{Form, FormReader};
use crate::body::resume::{self, Answer, Left, Mark, Resumable};
use crate::cache::entry::Entry;
use crate::cache::rules::{self, Control, Times};
use crate::event::CharsetSource;
use crate::headers::{self, Head, Headers};
use crate::{FormPart, Refusal};

pub use crate::worker::fuzzing::{
    Answered, Hop, SetCookie, cookie_line, redirect, response, retry_after, set_cookie, trace_field, trace_url,
};

/// A resume mark, as it was read.
pub struct ReadMark {
    /// The same, written anew.
    pub encoded: Vec<u8>,
    /// What it lets a download go on with: the offset, and the validator that is sent to the server.
    pub left: Option<(u64, Vec<u8>)>,
}

/// Reads a resume mark beside a part of so many bytes, for a download of this URL.
pub fn mark(bytes: &[u8], url: &str, part: u64) -> Option<ReadMark> {
    let mark = Mark::parse(bytes)?;
    let wanted = Resumable { url: url.to_owned(), afresh: false, hashed: false, sync: true };
    let left = mark.left(&wanted, part).map(|left| (left.offset, left.validator));
    Some(ReadMark { encoded: mark.encode(), left })
}

/// Writes a resume mark.
pub fn encode_mark(url: &str, validator: &[u8], length: Option<u64>, synced: u64) -> Vec<u8> {
    let wanted = Resumable { url: url.to_owned(), afresh: false, hashed: false, sync: true };
    Mark::new(&wanted, validator.to_vec(), length, synced).encode()
}

/// Where a body starts in its file, the validator and the length by which it can be gone on with.
pub type Start = (u64, Option<Vec<u8>>, Option<u64>);

/// What an answer to a request for the rest of a file means: `Err(true)` to ask afresh, `Err(false)` for something else.
pub fn resumed(status: u16, headers: &Headers, left: Option<(u64, &[u8], Option<u64>)>) -> Result<Start, bool> {
    let left = left.map(|(offset, validator, length)| Left { offset, validator: validator.to_vec(), length });
    match resume::answer(status, headers, left.as_ref()) {
        Answer::Body(start) => Ok((start.offset, start.validator, start.length)),
        Answer::Afresh => Err(true),
        Answer::Other => Err(false),
    }
}

/// A list of header fields, read of lines as a response's head is; a line that is refused is left out.
pub fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Headers {
    let mut head = Head::default();
    head.begin(b"HTTP/1.1 200 OK");
    for line in lines {
        let _ = head.add(line);
    }
    head.finish()
}

/// The status in a status line.
pub fn status_of(line: &[u8]) -> Option<u16> {
    headers::status_of(line)
}

/// A cache entry, as it was read.
pub struct ReadEntry {
    /// The same, written anew.
    pub encoded: Vec<u8>,
    /// The head that it answers with.
    pub head: Headers,
    /// What would be sent to ask whether it still holds.
    pub validation: Vec<(&'static str, Vec<u8>)>,
}

/// Reads a file of the cache after giving it a mark and a checksum that are right, as somebody could who means harm.
pub fn entry(tail: &[u8]) -> Option<ReadEntry> {
    let mut crc = Crc::new();
    crc.update(tail);
    let bytes = [crate::cache::entry::MARK, &crc.sum().to_le_bytes()[..], tail].concat();
    let entry = Entry::decode(&bytes)?;
    Some(ReadEntry {
        encoded: entry.encode(),
        head: entry.head_now(rules::now()),
        validation: rules::validation(entry.headers()),
    })
}

/// Reads a file of the cache as it is.
pub fn entry_as_it_is(bytes: &[u8]) -> bool {
    Entry::decode(bytes).is_some()
}

/// What the cache makes of a response at a time.
pub struct Judged {
    /// It may be kept.
    pub storable: bool,
    /// It answers without its server being asked.
    pub fresh: bool,
    /// It answers when its server cannot.
    pub good_for_errors: bool,
    /// How old it is, and for how long it is fresh, in seconds.
    pub age: u64,
    pub lifetime: u64,
}

/// Judges a response that was asked for and came at these times, in milliseconds since 1970.
pub fn judge(status: u16, response: &Headers, asked: &Headers, requested: u64, responded: u64, now: u64) -> Judged {
    let times = Times { requested, responded };
    let control = Control::of(asked.iter());
    Judged {
        storable: rules::is_storable(status, response, false),
        fresh: rules::is_fresh_for(&control, status, response, times, now),
        good_for_errors: rules::is_good_for_errors(&control, status, response, times, now),
        age: rules::age(response, times, now),
        lifetime: rules::lifetime(status, response, times),
    }
}

/// A stored head after a 304, if that is about it.
pub fn updated(stored: &Headers, not_modified: &Headers) -> Option<Headers> {
    rules::updated(&rules::kept(stored), not_modified)
}

/// Reads a date of HTTP, in seconds since 1970.
pub fn http_date(text: &str) -> Option<u64> {
    crate::http_date::http_date(text)
}

/// Reads the date of a cookie, in seconds since 1970.
pub fn cookie_date(text: &str) -> Option<u64> {
    crate::http_date::cookie_date(text)
}

/// The charset that a Content-Type names, if it is one at all.
pub fn charset_parameter(content_type: &[u8]) -> Option<Option<String>> {
    MediaType::parse(content_type).map(|media| media.charset)
}

/// A body of this type as UTF-8, the charset that it was in, and how that was found; `Err` gives back what is no text, `None`
/// says that the type is none.
pub fn decode_text(
    bytes: &[u8],
    content_type: &[u8],
) -> Option<Result<(Vec<u8>, &'static str, CharsetSource), Vec<u8>>> {
    let decoded = charset::decode(bytes.to_vec(), &MediaType::parse(content_type)?);
    Some(decoded.map(|decoded| (decoded.text, decoded.charset, decoded.source)))
}

/// UTF-8 in pieces as text in the charset of this label: `None` if that is UTF-8 or unknown.
pub fn encode_text(label: &str, pieces: &[&[u8]]) -> Option<Result<Vec<u8>, String>> {
    let mut encoder = Encoder::new(charset::target(label)?);
    let mut out = Vec::new();
    let feed = |piece: &&[u8], last| encoder.feed(piece, last, &mut out);
    let last = pieces.len().saturating_sub(1);
    let mut feed = feed;
    let fed = pieces.iter().enumerate().try_for_each(|(index, piece)| feed(piece, index == last));
    Some(fed.map(|()| out))
}

/// How a body came out of its content codings.
#[derive(Debug, PartialEq, Eq)]
pub struct Undone {
    /// What came out before anything broke, no more than asked for.
    pub out: Vec<u8>,
    /// It broke, and why.
    pub broken: Option<String>,
    /// What has come is whole.
    pub whole: bool,
    /// The largest piece.
    pub largest: usize,
}

/// Undoes content codings of a body that comes in pieces: `None` if there is nothing to undo. What comes out is taken as it
/// comes, or a piece at a time with a rest in between.
pub fn undo(encoding: &str, pieces: &[&[u8]], most: usize, rests: bool) -> Option<Undone> {
    let mut headers = Headers::new();
    headers.push("Content-Encoding", encoding);
    let Coding::Known(mut decoder) = Decoder::of(&headers, u32::MAX) else { return None };
    let mut undone = Undone { out: Vec::new(), broken: None, whole: false, largest: 0 };
    for piece in pieces {
        let mut data = *piece;
        loop {
            let result = decoder.feed(std::mem::take(&mut data), &mut |out| {
                undone.largest = undone.largest.max(out.len());
                undone.out.extend_from_slice(out);
                match undone.out.len() < most {
                    true if rests => Room::Full,
                    true => Room::More,
                    false => Room::Stop,
                }
            });
            match result {
                Ok(true) => break,
                Ok(false) => {}
                Err(broken) => {
                    undone.broken = Some(format!("{broken:?}"));
                    undone.out.truncate(most);
                    return Some(undone);
                }
            }
        }
    }
    undone.out.truncate(most);
    undone.whole = decoder.is_whole();
    Some(undone)
}

/// Writes a form: its boundary, and its body, read from each of these offsets so many bytes at a time.
pub fn form(parts: &[FormPart<'_>], chunk: usize) -> Result<(String, Vec<u8>), Refusal> {
    let form = Form::new(parts)?;
    let pieces = form.located(|file| Location { base: None, path: PathBuf::clone(&file.path) });
    let mut body = Vec::new();
    // Without files there is nothing that could fail.
    if let Ok((mut reader, length)) = FormReader::open(pieces) {
        while (body.len() as u64) < length {
            match reader.read(body.len() as u64, chunk.max(1)) {
                Ok(read) if !read.is_empty() => body.extend_from_slice(&read),
                _ => break,
            }
        }
    }
    Ok((form.content_type, body))
}
