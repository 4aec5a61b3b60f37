//! Text and its encodings: what a response says it is written in, made UTF-8; and UTF-8 made what a request says.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

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

/// A request's text in the encoding that its Content-Type names. `Err` names a charset that is unknown or that the text
/// cannot be written in.
pub(crate) fn encode(text: &[u8], label: &str) -> Result<Option<Vec<u8>>, String> {
    let encoding = for_label(label).ok_or_else(|| format!("charset '{}' is unknown", label.escape_default()))?;
    if encoding == UTF_8 {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| "a text body is not valid UTF-8".to_owned())?;
    if encoding == UTF_16LE || encoding == UTF_16BE {
        let bytes = |unit: u16| if encoding == UTF_16LE { unit.to_le_bytes() } else { unit.to_be_bytes() };
        return Ok(Some(text.encode_utf16().flat_map(bytes).collect()));
    }
    let (bytes, _, unmappable) = encoding.encode(text);
    if unmappable {
        return Err(format!("the text body has a character that {} cannot hold", encoding.name()));
    }
    Ok(Some(bytes.into_owned()))
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

    #[test]
    fn requests_are_written_in_the_charset_they_name() {
        assert_eq!(encode("ä".as_bytes(), "utf-8"), Ok(None));
        assert_eq!(encode("ä".as_bytes(), "ISO-8859-1"), Ok(Some(vec![0xE4])));
        assert_eq!(encode("aä".as_bytes(), "utf-16le"), Ok(Some(vec![0x61, 0, 0xE4, 0])));
        assert_eq!(encode("a".as_bytes(), "utf-16be"), Ok(Some(vec![0, 0x61])));
        assert!(encode("ж".as_bytes(), "iso-8859-1").unwrap_err().contains("windows-1252"));
        assert!(encode(b"x", "klingon").unwrap_err().contains("klingon"));
        assert!(encode(b"\xFF", "iso-8859-1").unwrap_err().contains("UTF-8"));
    }
}
