//! Text and its encodings: what a response says it is written in, made UTF-8; and UTF-8 made what a request says.

use std::borrow::Cow;

use encoding_rs::{EncoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

use super::content_type::{Family, MediaType};
use super::prescan;
use crate::event::CharsetSource;

/// A response's text as UTF-8, and what it was.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) text: Vec<u8>,
    /// The encoding's name in the Encoding Standard.
    pub(crate) charset: &'static str,
    pub(crate) source: CharsetSource,
}

/// Makes a body UTF-8. One that is UTF-8 already is not copied; bytes that are not valid become U+FFFD. `Err` gives back
/// bytes that are no text.
pub(crate) fn decode(mut bytes: Vec<u8>, media: &MediaType) -> Result<Decoded, Vec<u8>> {
    let family = media.family();
    if family == Family::Bytes {
        return Err(bytes);
    }
    let (encoding, source, mark) = find(&bytes, media, family);
    let named = media.charset.as_deref().and_then(for_label).unwrap_or(UTF_8);
    // Bytes of a kind that nobody knows may look like a mark; UTF-16 is but expected where it is named.
    let unexpected = encoding != named && !(is_utf_16(named) && is_utf_16(encoding));
    if family == Family::Named && unexpected {
        return Err(bytes);
    }
    if encoding == UTF_8 && std::str::from_utf8(&bytes).is_ok() {
        bytes.drain(..mark);
        return Ok(Decoded { text: bytes, charset: encoding.name(), source });
    }
    let (text, errors) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or(&[]));
    if family == Family::Named && errors {
        return Err(bytes);
    }
    Ok(Decoded { text: text.into_owned().into_bytes(), charset: encoding.name(), source })
}

/// A body's encoding, where that is said, and how long its byte order mark is. A mark decides, as in the Encoding Standard;
/// then comes the header, and then what HTML and XML declare of themselves. JSON is UTF-8 (RFC 8259), and a header that says
/// something else is believed only if it is not.
fn find(bytes: &[u8], media: &MediaType, family: Family) -> (&'static Encoding, CharsetSource, usize) {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return (encoding, CharsetSource::ByteOrderMark, mark);
    }
    let header = media.charset.as_deref().and_then(for_label);
    let doubted = family == Family::Json && header != Some(UTF_8) && std::str::from_utf8(bytes).is_ok();
    let declared = match (header, family) {
        (Some(encoding), _) if !doubted => Some((encoding, CharsetSource::Header)),
        (None, Family::Html) => prescan::html(bytes),
        (None, Family::Xml) => prescan::xml(bytes).map(|encoding| (encoding, CharsetSource::XmlDeclaration)),
        _ => None,
    };
    let (encoding, source) = declared.unwrap_or((UTF_8, CharsetSource::Default));
    (encoding, source, 0)
}

fn is_utf_16(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// Whether text can be written in the encoding that a label names.
pub(crate) fn is_known(label: &str) -> bool {
    // Encodings that the standard has done away with share one name, and cannot be written.
    for_label(label).is_some_and(|encoding| encoding != REPLACEMENT)
}

fn for_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes())
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

    fn decoded(bytes: &[u8], content_type: &str) -> (String, &'static str, CharsetSource) {
        let decoded = decode(bytes.to_vec(), &MediaType::parse(content_type.as_bytes()).unwrap()).unwrap();
        (String::from_utf8(decoded.text).unwrap(), decoded.charset, decoded.source)
    }

    fn found(bytes: &[u8], content_type: &str) -> (&'static str, CharsetSource) {
        let (_, charset, source) = decoded(bytes, content_type);
        (charset, source)
    }

    #[test]
    fn the_byte_order_mark_comes_first() {
        use CharsetSource::ByteOrderMark as Mark;
        for content_type in ["text/plain", "text/plain; charset=iso-8859-1", "text/html; charset=utf-16", "a/json"] {
            assert_eq!(decoded(b"\xFF\xFEa\0", content_type), ("a".into(), "UTF-16LE", Mark), "{content_type}");
            assert_eq!(decoded(b"\xFE\xFF\0a", content_type), ("a".into(), "UTF-16BE", Mark), "{content_type}");
            assert_eq!(decoded("\u{FEFF}\u{e4}".as_bytes(), content_type), ("\u{e4}".into(), "UTF-8", Mark));
        }
        assert_eq!(decoded(b"\xEF\xBB\xBF", "text/plain").0, "");
        assert_eq!(decoded("\u{FEFF}\u{FEFF}".as_bytes(), "text/plain").0, "\u{FEFF}", "one is taken off");
    }

    #[test]
    fn then_the_header() {
        let header = "text/plain; Charset=\"iso-8859-1\"";
        assert_eq!(decoded(b"\xE4", header), ("\u{e4}".into(), "windows-1252", CharsetSource::Header));
        assert_eq!(decoded("\u{436}".as_bytes(), "text/html; x=y; charset=utf-8").0, "\u{436}");
        assert_eq!(decoded(b"\x83\x65", "text/plain;charset=Shift_JIS").0, "\u{30c6}");
        assert_eq!(found(b"x", "text/plain; charset=klingon").1, CharsetSource::Default);
        assert_eq!(found(b"<meta charset=gbk>", "text/html; charset=koi8-r").0, "KOI8-R");
        assert_eq!(found(b"<meta charset=gbk>", "text/html; charset=klingon").0, "GBK");
    }

    #[test]
    fn html_and_xml_alone_declare_their_own() {
        let meta = b"<meta charset=gbk>";
        assert_eq!(found(meta, "text/html"), ("GBK", CharsetSource::MetaCharset));
        let xml = b"<?xml version='1.0' encoding='ISO-8859-2'?><a/>";
        for content_type in ["text/xml", "image/svg+xml", "application/xhtml+xml"] {
            assert_eq!(found(xml, content_type), ("ISO-8859-2", CharsetSource::XmlDeclaration), "{content_type}");
            assert_eq!(found(meta, content_type), ("UTF-8", CharsetSource::Default), "{content_type}");
        }
        for content_type in ["application/json", "text/plain", "text/css", "text/javascript", "text/x"] {
            for body in [&meta[..], xml, b"@charset \"gbk\";"] {
                assert_eq!(found(body, content_type), ("UTF-8", CharsetSource::Default), "{content_type}");
            }
        }
        assert_eq!(found(xml, "text/html"), ("UTF-8", CharsetSource::Default));
    }

    #[test]
    fn json_is_utf_8_unless_it_is_not() {
        let latin = "application/json; charset=iso-8859-1";
        assert_eq!(decoded("\u{e4}".as_bytes(), latin), ("\u{e4}".into(), "UTF-8", CharsetSource::Default));
        assert_eq!(decoded(b"\xE4", latin), ("\u{e4}".into(), "windows-1252", CharsetSource::Header));
        assert_eq!(found(b"x", "application/json; charset=utf-8"), ("UTF-8", CharsetSource::Header));
        assert_eq!(decoded(b"\xE4", "application/json").0, "\u{FFFD}");
    }

    #[test]
    fn an_unknown_type_with_a_charset_is_text_if_it_can_be_read() {
        let is_text = |bytes: &[u8], content_type: &str| {
            let media = MediaType::parse(content_type.as_bytes()).unwrap();
            decode(bytes.to_vec(), &media).map_err(|back| assert_eq!(back, bytes)).is_ok()
        };
        assert!(is_text("\u{e4}".as_bytes(), "application/x-save; charset=utf-8"));
        assert!(!is_text(b"\xE4", "application/x-save; charset=utf-8"));
        assert!(!is_text(b"\xFF\xFEa\0", "application/x-save; charset=utf-8"));
        assert!(is_text(b"\xFE\xFF\0a", "application/x-save; charset=utf-16"));
        assert!(is_text(b"\xE4", "application/x-save; charset=iso-8859-1"));
        assert!(!is_text(b"a", "image/png; charset=utf-8"));
        assert!(!is_text(b"a", "application/x-save"));
    }

    #[test]
    fn what_is_not_valid_becomes_a_replacement_character() {
        assert_eq!(decoded(b"a\xFFb", "text/plain").0, "a\u{FFFD}b");
        assert_eq!(decoded(b"a\xE2\x82", "text/plain; charset=utf-8").0, "a\u{FFFD}");
        assert_eq!(decoded(b"\xFF\xFEa", "text/plain").0, "\u{FFFD}");
    }

    #[test]
    fn utf_8_is_not_copied() {
        let bytes = "some text: \u{e4}".as_bytes().to_vec();
        let address = bytes.as_ptr();
        assert_eq!(decode(bytes, &MediaType::parse(b"text/plain").unwrap()).unwrap().text.as_ptr(), address);
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
        assert!(is_known("latin1") && !is_known("klingon") && !is_known("iso-2022-kr"));
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
