//! Forms as multipart/form-data (RFC 7578): what a part is, how the body is written, and how it is read while it is sent.

use std::path::Path;
use std::sync::Arc;

use super::disk::{Location, Reader};
use crate::error::{ErrorKind, Failure, Reason, Refusal, bytes_text};
use crate::headers::Headers;
use crate::request::{FileName, SharedBytes, add_header};

/// The most parts that a form may have.
const MAX_PARTS: usize = 10_000;

/// One part of a form: a field, bytes or a file.
#[derive(Clone, Debug)]
pub struct FormPart<'a> {
    name: &'a str,
    content: Content<'a>,
    filename: Option<&'a str>,
    content_type: Option<&'a str>,
}

#[derive(Clone, Debug)]
enum Content<'a> {
    Bytes(&'a [u8]),
    File(FileName),
}

impl<'a> FormPart<'a> {
    /// A field: its name and its value.
    pub fn field(name: &'a str, value: &'a str) -> FormPart<'a> {
        FormPart::bytes(name, value.as_bytes())
    }

    /// Bytes; with a [`filename`](FormPart::filename) as a file.
    pub fn bytes(name: &'a str, bytes: &'a [u8]) -> FormPart<'a> {
        FormPart { name, content: Content::Bytes(bytes), filename: None, content_type: None }
    }

    /// A file, read while it is sent.
    pub fn file(name: &'a str, file: FileName) -> FormPart<'a> {
        FormPart { name, content: Content::File(file), filename: None, content_type: None }
    }

    /// The file's name as the server is told it: of a file by default the last part of its path.
    #[must_use]
    pub fn filename(mut self, filename: &'a str) -> FormPart<'a> {
        self.filename = Some(filename);
        self
    }

    /// What the part is: of a file by default `application/octet-stream`.
    #[must_use]
    pub fn content_type(mut self, content_type: &'a str) -> FormPart<'a> {
        self.content_type = Some(content_type);
        self
    }
}

/// A stretch of a form's body.
#[derive(Clone)]
pub(crate) enum Piece<F> {
    Bytes(SharedBytes),
    File(F),
}

impl<F> Piece<F> {
    pub(super) fn file(&self) -> Option<&F> {
        match self {
            Piece::Bytes(_) => None,
            Piece::File(file) => Some(file),
        }
    }
}

/// A form's body, all but the contents of its files.
pub(crate) struct Form {
    /// With the boundary.
    pub(crate) content_type: String,
    pieces: Vec<Piece<FileName>>,
}

impl Form {
    /// Writes a form. Its boundary is 128 bits from the system's source of randomness: nobody can put it into a file
    /// beforehand, and it does not occur by accident, so the contents need not be looked through for it.
    pub(crate) fn new(parts: &[FormPart<'_>]) -> Result<Form, Refusal> {
        if parts.len() > MAX_PARTS {
            let message = format!("the form has {} parts, the limit is {MAX_PARTS}", parts.len());
            return Err(Refusal::new(Reason::Argument, message));
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| Refusal::new(Reason::System, format!("the system gave no randomness: {error}")))?;
        let boundary = format!("sortie-{:032x}", u128::from_ne_bytes(random));
        let (mut pieces, mut text) = (Vec::new(), Vec::new());
        for part in parts {
            text.extend_from_slice(part.head(&boundary)?.as_bytes());
            match &part.content {
                Content::Bytes(bytes) => {
                    text.try_reserve(bytes.len()).map_err(|_| {
                        let message = format!("no memory for form parts of {}", bytes_text(bytes.len() as u64));
                        Refusal::new(Reason::BodyTooLarge, message)
                    })?;
                    text.extend_from_slice(bytes);
                }
                Content::File(file) => {
                    pieces.push(Piece::Bytes(Arc::new(std::mem::take(&mut text))));
                    pieces.push(Piece::File(file.clone()));
                }
            }
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        pieces.push(Piece::Bytes(Arc::new(text)));
        Ok(Form { content_type: format!("multipart/form-data; boundary={boundary}"), pieces })
    }

    /// The whole body, if it has no file.
    pub(crate) fn bytes(&self) -> Option<&SharedBytes> {
        match &self.pieces[..] {
            [Piece::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &FileName> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::File(file) => Some(file),
            Piece::Bytes(_) => None,
        })
    }

    /// The body for the disk's thread.
    pub(crate) fn located(&self, locate: impl Fn(&FileName) -> Location) -> Vec<Piece<Location>> {
        let located = |piece: &Piece<FileName>| match piece {
            Piece::Bytes(bytes) => Piece::Bytes(Arc::clone(bytes)),
            Piece::File(file) => Piece::File(locate(file)),
        };
        self.pieces.iter().map(located).collect()
    }
}

impl FormPart<'_> {
    /// Its name and value, unless it is a file.
    pub(crate) fn as_field(&self) -> Result<(&str, &[u8]), Refusal> {
        match self.content {
            Content::Bytes(bytes) => Ok((self.name, bytes)),
            Content::File(_) => {
                let message = format!("form part '{}' is a file, which cannot be url-encoded", self.name);
                Err(Refusal::new(Reason::Argument, message))
            }
        }
    }

    /// What comes before the part's content.
    fn head(&self, boundary: &str) -> Result<String, Refusal> {
        if self.name.is_empty() {
            return Err(Refusal::new(Reason::Argument, "form part name is empty"));
        }
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", escaped(self.name));
        let of_file = match &self.content {
            Content::File(file) => file.path.file_name().map(|name| Path::new(name).to_string_lossy()),
            Content::Bytes(_) => None,
        };
        let filename = self.filename.map(Into::into).or(of_file);
        if let Some(filename) = &filename {
            head.push_str(&format!("; filename=\"{}\"", escaped(filename)));
        }
        head.push_str("\r\n");
        let default = filename.is_some().then_some("application/octet-stream");
        if let Some(content_type) = self.content_type.filter(|given| !given.is_empty()).or(default) {
            add_header(&mut Headers::new(), "Content-Type", content_type)?;
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        head.push_str("\r\n");
        Ok(head)
    }
}

/// A name as it stands between quotes, as browsers write it.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A form's body as the disk's thread reads it: at any time at most one of its files is open.
pub(crate) struct FormReader {
    pieces: Vec<Piece<Location>>,
    /// Where each piece ends in the body. A file's length when the form was opened is what is sent of it.
    ends: Vec<u64>,
    open: Option<(usize, Reader)>,
}

impl FormReader {
    /// Looks at every file; gives the body's length.
    pub(crate) fn open(pieces: Vec<Piece<Location>>) -> Result<(FormReader, u64), Failure> {
        let mut ends = Vec::with_capacity(pieces.len());
        let mut end = 0u64;
        for piece in &pieces {
            end = end.saturating_add(match piece {
                Piece::Bytes(bytes) => (**bytes).as_ref().len() as u64,
                Piece::File(location) => Reader::open(location, None)?.length.unwrap_or_default(),
            });
            ends.push(end);
        }
        Ok((FormReader { pieces, ends, open: None }, end))
    }

    /// Bytes from an offset on, fewer only at the end.
    pub(crate) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::with_capacity(length);
        let mut index = self.ends.partition_point(|end| *end <= offset);
        while let Some(end) = self.ends.get(index).copied().filter(|_| out.len() < length) {
            let start = index.checked_sub(1).and_then(|before| self.ends.get(before).copied()).unwrap_or(0);
            let position = offset + out.len() as u64;
            let count = usize::try_from(end - position).unwrap_or(usize::MAX).min(length - out.len());
            if count > 0 {
                self.read_piece(index, position - start, count, &mut out)?;
            }
            index += 1;
        }
        Ok(out)
    }

    fn read_piece(&mut self, index: usize, from: u64, count: usize, out: &mut Vec<u8>) -> Result<(), Failure> {
        let location = match self.pieces.get(index) {
            Some(Piece::File(location)) => location,
            Some(Piece::Bytes(bytes)) => {
                let rest = usize::try_from(from).ok().and_then(|from| (**bytes).as_ref().get(from..));
                out.extend_from_slice(rest.and_then(|rest| rest.get(..count)).unwrap_or(&[]));
                return Ok(());
            }
            None => return Ok(()),
        };
        let mut reader = match self.open.take() {
            Some((open, reader)) if open == index => reader,
            _ => Reader::open(location, None)?,
        };
        let bytes = reader.read(from, count)?;
        if bytes.len() < count {
            let (name, now) = (reader.full.display(), from + bytes.len() as u64);
            let message = format!("cannot read '{name}': it shrank to {now} bytes while it was being sent");
            return Err(Failure::new(ErrorKind::File, message));
        }
        out.extend_from_slice(&bytes);
        self.open = Some((index, reader));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::BaseDirectory;
    use std::fs::File;
    use std::path::PathBuf;

    fn open(form: &Form) -> Result<(FormReader, u64), Failure> {
        FormReader::open(form.located(|file| Location { base: None, path: file.path.clone() }))
    }

    fn at(path: PathBuf) -> FileName {
        FileName::new(path, BaseDirectory::None).unwrap()
    }

    fn text(form: &Form) -> String {
        let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!(boundary.len() <= 70 && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        let (mut reader, length) = open(form).unwrap();
        let body = reader.read(0, length as usize + 1).unwrap();
        assert_eq!(body.len() as u64, length);
        String::from_utf8(body).unwrap().replace(boundary, "B")
    }

    #[test]
    fn names_are_escaped_and_parts_delimited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a \"b\".png");
        std::fs::write(&path, "png").unwrap();
        let form = Form::new(&[
            FormPart::field("a\"b\r\nc%", "1"),
            FormPart::bytes("data", b"2").filename("x\n.bin"),
            FormPart::file("file", at(path)).content_type("image/png"),
            FormPart::field("ü", "").content_type("text/plain; charset=utf-8"),
        ]);
        let expected = "--B\r\nContent-Disposition: form-data; name=\"a%22b%0D%0Ac%\"\r\n\r\n1\r\n\
            --B\r\nContent-Disposition: form-data; name=\"data\"; filename=\"x%0A.bin\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n2\r\n\
            --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a %22b%22.png\"\r\n\
            Content-Type: image/png\r\n\r\npng\r\n\
            --B\r\nContent-Disposition: form-data; name=\"ü\"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\r\n\
            --B--\r\n";
        assert_eq!(text(&form.unwrap()), expected);
        assert_eq!(text(&Form::new(&[]).unwrap()), "--B--\r\n");
    }

    #[test]
    fn boundaries_differ() {
        let boundary = || Form::new(&[]).unwrap().content_type;
        assert_ne!(boundary(), boundary());
    }

    #[test]
    fn a_form_is_read_alike_from_every_offset() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, length: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, (0..length).map(|i| (i % 251) as u8).collect::<Vec<u8>>()).unwrap();
            FormPart::file("f", at(path))
        };
        let parts = [file("a", 300), file("empty", 0), file("empty", 0), FormPart::field("x", "y"), file("b", 1000)];
        let form = Form::new(&parts).unwrap();
        let (mut reader, length) = open(&form).unwrap();
        let whole = reader.read(0, 1 << 20).unwrap();
        assert_eq!(whole.len() as u64, length);
        for step in [1, 7, 100, 299, 5000] {
            let mut read = Vec::new();
            while (read.len() as u64) < length {
                read.extend(reader.read(read.len() as u64, step).unwrap());
            }
            assert!(read == whole, "{step}");
        }
        for offset in (0..whole.len()).rev().step_by(13) {
            assert_eq!(reader.read(offset as u64, 20).unwrap(), whole[offset..whole.len().min(offset + 20)]);
        }
        assert!(reader.read(length, 10).unwrap().is_empty());
    }

    #[test]
    fn files_of_5_gib_have_their_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        // Sparse: it takes no room.
        File::create(&path).unwrap().set_len(5 << 30).unwrap();
        let form = Form::new(&[
            FormPart::file("a", at(path.clone())),
            FormPart::file("b", at(path)),
            FormPart::field("c", "end"),
        ]);
        let form = form.unwrap();
        let (mut reader, length) = open(&form).unwrap();
        assert!((10 << 30..(10 << 30) + 1000).contains(&length), "{length}");
        let tail = reader.read(length - 200, 1000).unwrap();
        assert_eq!(tail.len(), 200);
        assert!(String::from_utf8_lossy(&tail).contains("\r\n\r\nend\r\n--sortie-"));
        assert_eq!(reader.read(5 << 30, 1000).unwrap().len(), 1000);
    }

    #[test]
    fn what_happens_to_a_file_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("shrinking"), folder.path().join("other"));
        std::fs::write(&path, vec![1; 1000]).unwrap();
        std::fs::write(&other, "x").unwrap();
        let form = Form::new(&[FormPart::file("a", at(path.clone())), FormPart::file("b", at(other))]).unwrap();
        let (mut reader, length) = open(&form).unwrap();
        reader.read(0, 300).unwrap();
        std::fs::write(&path, vec![1; 500]).unwrap();
        let failure = reader.read(300, 2000).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::File);
        assert!(failure.message.contains("shrinking") && failure.message.contains("to 500 bytes"), "{failure}");
        reader.read(length - 60, 60).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(reader.read(0, 500).unwrap_err().message.contains("shrinking"));
        assert!(open(&form).err().unwrap().message.contains("shrinking"));
        std::fs::create_dir(&path).unwrap();
        assert!(open(&form).err().unwrap().message.contains("not a regular file"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let refused = |parts: &[FormPart<'_>]| Form::new(parts).err().unwrap().message;
        assert_eq!(refused(&[FormPart::field("", "x")]), "form part name is empty");
        assert!(refused(&[FormPart::field("a", "x").content_type("a\r\nb: c")]).contains("Content-Type"));
        assert_eq!(refused(&vec![FormPart::field("a", ""); 10_001]), "the form has 10001 parts, the limit is 10000");
        assert!(Form::new(&vec![FormPart::field("a", ""); 10_000]).is_ok());
    }
}
