//! Text and its encodings: what a response says it is written in, made UTF-8; and UTF-8 made what a request says.

use std::borrow::Cow;

use encoding_rs::{EncoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::event::CharsetSource;

/// How far into a document its declarations are looked for.
const DECLARATION_BYTES: usize = 1024;

/// A response's text as UTF-8, and what it was.
pub(crate) struct Decoded {
    pub(crate) text: Vec<u8>,
    /// The encoding's name in the Encoding Standard.
    pub(crate) charset: &'static str,
    pub(crate) source: CharsetSource,
}

/// Makes a body UTF-8. One that is UTF-8 already is not copied; bytes that are not valid become U+FFFD.
pub(crate) fn decode(bytes: Vec<u8>, content_type: Option<&str>) -> Decoded {
    let (encoding, source) = find(&bytes, content_type);
    Decoded { text: to_utf8(bytes, encoding), charset: encoding.name(), source }
}

fn to_utf8(mut bytes: Vec<u8>, encoding: &'static Encoding) -> Vec<u8> {
    if encoding == UTF_8 {
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            bytes.drain(..3);
        }
        if std::str::from_utf8(&bytes).is_ok() {
            return bytes;
        }
    }
    encoding.decode_with_bom_removal(&bytes).0.into_owned().into_bytes()
}

/// What a body is written in: by its header, else its byte order mark, else what it declares, else UTF-8.
fn find(bytes: &[u8], content_type: Option<&str>) -> (&'static Encoding, CharsetSource) {
    if let Some(encoding) = content_type.and_then(parameter).and_then(for_label) {
        return (encoding, CharsetSource::Header);
    }
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return (encoding, CharsetSource::ByteOrderMark);
    }
    let head = bytes.get(..DECLARATION_BYTES).unwrap_or(bytes);
    // Most text that games get is JSON, and declares nothing.
    if !head.contains(&b'<') {
        return (UTF_8, CharsetSource::Default);
    }
    if let Some(encoding) = xml_declaration(head).and_then(declared) {
        return (encoding, CharsetSource::XmlDeclaration);
    }
    for wanted in [CharsetSource::MetaCharset, CharsetSource::MetaHttpEquiv] {
        if let Some(encoding) = meta_tags(head).find_map(|tag| meta_charset(tag, wanted)).and_then(declared) {
            return (encoding, wanted);
        }
    }
    (UTF_8, CharsetSource::Default)
}

/// Whether the Encoding Standard knows a label.
pub(crate) fn is_known(label: &str) -> bool {
    for_label(label).is_some()
}

fn for_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes())
}

/// The encoding that a document declares of itself. It could be read, so it is not UTF-16, whatever it says.
fn declared(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label)?;
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// The value of a Content-Type's charset parameter.
pub(crate) fn parameter(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1).filter_map(|part| part.split_once('='));
    let charset = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).map(|(_, value)| value);
    charset.map(|value| value.trim().trim_matches(['"', '\''])).find(|value| !value.is_empty())
}

fn xml_declaration(head: &[u8]) -> Option<&[u8]> {
    let rest = head.strip_prefix(b"<?xml")?;
    let end = position(rest, b"?>")?;
    attribute(rest.get(..end)?, b"encoding")
}

/// The inside of each `<meta ...>` tag.
fn meta_tags(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        loop {
            let start = position(rest, b"<meta")?;
            rest = rest.get(start + 5..)?;
            if !rest.first()?.is_ascii_whitespace() && rest.first() != Some(&b'/') {
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
            let (tag, after) = rest.split_at(end);
            rest = after;
            return Some(tag);
        }
    })
}

fn meta_charset(tag: &[u8], wanted: CharsetSource) -> Option<&[u8]> {
    if wanted == CharsetSource::MetaCharset {
        return attribute(tag, b"charset");
    }
    let equivalent = attribute(tag, b"http-equiv")?;
    if !equivalent.eq_ignore_ascii_case(b"content-type") {
        return None;
    }
    parameter(std::str::from_utf8(attribute(tag, b"content")?).ok()?).map(str::as_bytes)
}

/// The value of an attribute, quoted or not. What stands inside another's value is none.
fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = tag;
    loop {
        let start = rest.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b'/')?;
        rest = rest.get(start..)?;
        let ends_name = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'/');
        let (found, after) = rest.split_at(rest.iter().position(ends_name).unwrap_or(rest.len()));
        rest = after.trim_ascii_start();
        let Some(value) = rest.strip_prefix(b"=") else {
            // An attribute without a value, or rubbish, which must not hold us up.
            if found.is_empty() {
                return None;
            }
            continue;
        };
        let value = value.trim_ascii_start();
        let (value, after) = match value.split_first()? {
            (quote @ (b'"' | b'\''), quoted) => {
                let end = quoted.iter().position(|byte| byte == quote)?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            _ => value.split_at(value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len())),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value.trim_ascii().strip_suffix(b"/").unwrap_or(value.trim_ascii()));
        }
        rest = after;
    }
}

/// Where a word first stands, whatever the letters' case.
fn position(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}

/// The encoding that a request's text has to be written in; `None` if it is UTF-8, which it is already.
pub(crate) fn target(label: &str) -> Option<&'static Encoding> {
    for_label(label).filter(|encoding| *encoding != UTF_8)
}

/// Text on its way from UTF-8 into another encoding, piece by piece.
pub(crate) struct Encoder {
    encoding: &'static Encoding,
    /// UTF-16 is written by us: the Encoding Standard only reads it.
    encoder: encoding_rs::Encoder,
    started: bool,
    /// The start of a character whose rest is still to come.
    cut: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(encoding: &'static Encoding) -> Encoder {
        Encoder { encoding, encoder: encoding.new_encoder(), started: false, cut: Vec::new() }
    }

    /// Takes a piece of UTF-8, and adds what it becomes to `out`. `Err` says what cannot be written.
    pub(crate) fn feed(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), String> {
        let mut whole = Cow::Borrowed(piece);
        if !self.cut.is_empty() {
            self.cut.extend_from_slice(piece);
            whole = Cow::Owned(std::mem::take(&mut self.cut));
        }
        let mut bytes: &[u8] = &whole;
        if !std::mem::replace(&mut self.started, true) {
            // In another encoding a byte order mark would be a character.
            bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() && !last => {
                let (text, cut) = bytes.split_at(error.valid_up_to());
                self.cut = cut.to_vec();
                std::str::from_utf8(text).unwrap_or("")
            }
            Err(_) => return Err("a text body is not valid UTF-8".to_owned()),
        };
        if self.encoding == UTF_16LE || self.encoding == UTF_16BE {
            let bytes = |unit: u16| if self.encoding == UTF_16LE { unit.to_le_bytes() } else { unit.to_be_bytes() };
            out.extend(text.encode_utf16().flat_map(bytes));
            return Ok(());
        }
        out.reserve(self.encoder.max_buffer_length_from_utf8_without_replacement(text.len()).unwrap_or(0));
        match self.encoder.encode_from_utf8_to_vec_without_replacement(text, out, last) {
            (EncoderResult::InputEmpty, _) => Ok(()),
            (EncoderResult::Unmappable(character), _) => {
                let (number, name) = (u32::from(character), self.encoding.name());
                Err(format!("the text body has the character U+{number:04X}, which {name} cannot hold"))
            }
            (EncoderResult::OutputFull, _) => Err("no memory for the text body in its charset".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], content_type: Option<&str>) -> (String, &'static str, CharsetSource) {
        let decoded = decode(bytes.to_vec(), content_type);
        (String::from_utf8(decoded.text).unwrap(), decoded.charset, decoded.source)
    }

    fn found(bytes: &[u8], content_type: Option<&str>) -> (&'static str, CharsetSource) {
        let (encoding, source) = find(bytes, content_type);
        (encoding.name(), source)
    }

    #[test]
    fn the_header_comes_first() {
        let header = Some("text/plain; Charset=\"iso-8859-1\"");
        assert_eq!(decoded(b"\xE4", header), ("ä".into(), "windows-1252", CharsetSource::Header));
        assert_eq!(found(b"\xEF\xBB\xBFx", header), ("windows-1252", CharsetSource::Header));
        assert_eq!(decoded("ж".as_bytes(), Some("text/html; x=y; charset=utf-8")).0, "ж");
        assert_eq!(decoded(b"\x83\x65", Some("text/plain;charset=Shift_JIS")).0, "テ");
        assert_eq!(found(b"x", Some("text/plain; charset=klingon")).1, CharsetSource::Default);
    }

    #[test]
    fn then_the_byte_order_mark() {
        assert_eq!(decoded(b"\xFF\xFEa\0", None), ("a".into(), "UTF-16LE", CharsetSource::ByteOrderMark));
        assert_eq!(decoded(b"\xFE\xFF\0a", None).0, "a");
        assert_eq!(decoded("\u{FEFF}ä".as_bytes(), None), ("ä".into(), "UTF-8", CharsetSource::ByteOrderMark));
    }

    #[test]
    fn then_what_the_document_declares() {
        let xml = b"<?xml version='1.0' encoding='ISO-8859-2'?><a/>";
        assert_eq!(found(xml, Some("text/xml")), ("ISO-8859-2", CharsetSource::XmlDeclaration));
        assert_eq!(found(b"<html><META name=x ChArSeT = koi8-r>", None), ("KOI8-R", CharsetSource::MetaCharset));
        let both = b"<meta http-equiv='Content-Type' content='text/html; charset=koi8-u'><meta charset=\"gbk\"/>";
        assert_eq!(found(both, None), ("GBK", CharsetSource::MetaCharset));
        let equiv = b"<meta content=\"text/html; charset=euc-kr\" http-equiv=\"content-type\" />";
        assert_eq!(found(equiv, None), ("EUC-KR", CharsetSource::MetaHttpEquiv));
        assert_eq!(found(b"<meta charset=utf-16le>", None), ("UTF-8", CharsetSource::MetaCharset));
        assert_eq!(found(b"<metadata charset=gbk><x data-charset=gbk>", None).1, CharsetSource::Default);
        let mut late = vec![b' '; DECLARATION_BYTES];
        late.extend_from_slice(b"<meta charset=gbk>");
        assert_eq!(found(&late, None), ("UTF-8", CharsetSource::Default));
    }

    #[test]
    fn what_is_not_valid_becomes_a_replacement_character() {
        assert_eq!(decoded(b"a\xFFb", None).0, "a\u{FFFD}b");
        assert_eq!(decoded(b"a\xE2\x82", Some("text/plain; charset=utf-8")).0, "a\u{FFFD}");
        assert_eq!(decoded(b"\xFF\xFEa", None).0, "\u{FFFD}");
    }

    #[test]
    fn declarations_that_end_early_are_no_trouble() {
        for head in [
            "<?xml",
            "<?xml encoding=",
            "<meta",
            "<meta charset",
            "<meta charset=",
            "<meta charset='",
            "<meta charset=\"",
        ] {
            assert_eq!(found(head.as_bytes(), None).0, "UTF-8", "{head}");
        }
    }

    #[test]
    fn utf_8_is_not_copied() {
        let bytes = "some text: ä".as_bytes().to_vec();
        let address = bytes.as_ptr();
        assert_eq!(decode(bytes, None).text.as_ptr(), address);
    }

    fn encoded(pieces: &[&[u8]], label: &str) -> Result<Vec<u8>, String> {
        let mut encoder = Encoder::new(target(label).expect("not UTF-8"));
        let mut out = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            encoder.feed(piece, index + 1 == pieces.len(), &mut out)?;
        }
        Ok(out)
    }

    #[test]
    fn requests_are_written_in_the_charset_they_name() {
        assert!(target("utf-8").is_none() && target("klingon").is_none());
        assert_eq!(encoded(&["\u{e4}".as_bytes()], "ISO-8859-1"), Ok(vec![0xE4]));
        assert_eq!(encoded(&["a\u{e4}".as_bytes()], "utf-16le"), Ok(vec![0x61, 0, 0xE4, 0]));
        assert_eq!(encoded(&[b"a"], "utf-16be"), Ok(vec![0, 0x61]));
        assert_eq!(encoded(&[b"\xEF\xBB\xBFa"], "iso-8859-1"), Ok(vec![0x61]));
        assert!(encoded(&["\u{436}".as_bytes()], "iso-8859-1").unwrap_err().contains("U+0436, which windows-1252"));
        assert!(encoded(&[b"\xFF"], "iso-8859-1").unwrap_err().contains("UTF-8"));
        assert!(encoded(&[b"a\xC3"], "iso-8859-1").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn characters_may_be_cut_between_pieces() {
        let text = "\u{e4}\u{20ac}\u{e4}";
        for cut in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            assert_eq!(encoded(&[first, second, b""], "windows-1252"), Ok(vec![0xE4, 0x80, 0xE4]), "at {cut}");
        }
        let japanese = "\u{30c6}x";
        let whole = encoded(&[japanese.as_bytes()], "iso-2022-jp").unwrap();
        assert_eq!(encoded(&[&japanese.as_bytes()[..1], &japanese.as_bytes()[1..]], "iso-2022-jp"), Ok(whole));
    }
}
