//! What a document declares of its own encoding: the HTML standard's "prescan a byte stream to determine its encoding",
//! and the XML declaration. Functions over the document's first bytes, which keep nothing.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

use crate::event::CharsetSource;

/// How far into a document its declarations are looked for.
const MOST: usize = 1024;

/// Finds what HTML says of itself in its `<meta>` elements, step by step as the standard has it. A standard's "abort the
/// prescan", for want of bytes, is `None`.
pub(crate) fn html(document: &[u8]) -> Option<(&'static Encoding, CharsetSource)> {
    let mut rest = document.get(..MOST).unwrap_or(document);
    if let Some(encoding) = utf_16_declaration(rest) {
        return Some((encoding, CharsetSource::XmlDeclaration));
    }
    loop {
        if rest.starts_with(b"<!--") {
            // Up to the first "-->", of which "<!-->" has all.
            rest = rest.get(2..)?;
            rest = rest.get(rest.windows(3).position(|window| window == b"-->")? + 2..)?;
        } else if let Some(attributes) = after_meta(rest) {
            let (found, after) = meta(attributes)?;
            if found.is_some() {
                return found;
            }
            rest = after;
        } else if is_tag(rest) {
            rest = rest.get(rest.iter().position(|byte| is_space(*byte) || *byte == b'>')?..)?;
            while let Some(attribute) = attribute(rest)? {
                rest = attribute.after;
            }
            rest = rest.get(skipped(rest)..)?;
        } else if matches!(rest, [b'<', b'!' | b'/' | b'?', ..]) {
            rest = rest.get(rest.iter().position(|byte| *byte == b'>')?..)?;
        }
        rest = rest.get(1..)?;
    }
}

/// Finds what an XML declaration says.
pub(crate) fn xml(document: &[u8]) -> Option<&'static Encoding> {
    let head = document.get(..MOST).unwrap_or(document);
    if let Some(encoding) = utf_16_declaration(head) {
        return Some(encoding);
    }
    let declaration = head.strip_prefix(b"<?xml")?;
    let declaration = declaration.get(..declaration.iter().position(|byte| *byte == b'>')?)?;
    let name = b"encoding";
    let rest = declaration.get(declaration.windows(name.len()).position(|window| window == name)? + name.len()..)?;
    let rest = after_controls(after_controls(rest).strip_prefix(b"=")?);
    let (quote, rest) = rest.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    let label = rest.get(..rest.iter().position(|byte| byte == quote)?)?;
    let has_blanks = label.iter().any(|byte| *byte <= b' ');
    Encoding::for_label(label).filter(|_| !has_blanks).map(readable)
}

/// A document whose declaration can be read byte by byte is not in UTF-16, whatever it says.
fn readable(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding }
}

/// UTF-16 without a byte order mark, told by the start of its XML declaration.
fn utf_16_declaration(head: &[u8]) -> Option<&'static Encoding> {
    if head.starts_with(b"<\0?\0x\0") { Some(UTF_16LE) } else { head.starts_with(b"\0<\0?\0x").then_some(UTF_16BE) }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

fn after_spaces(text: &[u8]) -> &[u8] {
    text.get(text.iter().take_while(|byte| is_space(**byte)).count()..).unwrap_or(&[])
}

fn after_controls(text: &[u8]) -> &[u8] {
    text.get(text.iter().take_while(|byte| **byte <= b' ').count()..).unwrap_or(&[])
}

/// What follows on "<meta" if a tag of this name starts here.
fn after_meta(rest: &[u8]) -> Option<&[u8]> {
    let (name, after) = rest.split_at_checked(5)?;
    let ends = after.first().is_some_and(|byte| is_space(*byte) || *byte == b'/');
    (ends && name.eq_ignore_ascii_case(b"<meta")).then_some(after)
}

/// Whether a tag starts here, or ends an element.
fn is_tag(rest: &[u8]) -> bool {
    let name = rest.strip_prefix(b"</").or_else(|| rest.strip_prefix(b"<"));
    name.and_then(<[u8]>::first).is_some_and(u8::is_ascii_alphabetic)
}

type Found = Option<(&'static Encoding, CharsetSource)>;

/// Looks at a meta element's attributes; gives what they declare, and where the tag ends. `None` for want of bytes.
fn meta(mut rest: &[u8]) -> Option<(Found, &[u8])> {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let (mut got_pragma, mut need_pragma, mut charset) = (false, None, None);
    while let Some(Attribute { name, value, after }) = attribute(rest)? {
        rest = after;
        if seen.contains(&name) {
            continue;
        }
        match name.as_slice() {
            b"http-equiv" => got_pragma = got_pragma || value == b"content-type",
            b"content" if charset.is_none() => {
                if let Some(encoding) = in_content(&value) {
                    (charset, need_pragma) = (Some(Some(encoding)), Some(true));
                }
            }
            b"charset" => (charset, need_pragma) = (Some(Encoding::for_label(&value)), Some(false)),
            _ => {}
        }
        seen.push(name);
    }
    let rest = rest.get(skipped(rest)..)?;
    let found = match (need_pragma, charset.flatten()) {
        (Some(true), Some(encoding)) if got_pragma => Some((encoding, CharsetSource::MetaHttpEquiv)),
        (Some(false), Some(encoding)) => Some((encoding, CharsetSource::MetaCharset)),
        _ => None,
    };
    let usable = |encoding| if encoding == X_USER_DEFINED { WINDOWS_1252 } else { readable(encoding) };
    Some((found.map(|(encoding, source)| (usable(encoding), source)), rest))
}

struct Attribute<'a> {
    /// Both with their letters made small.
    name: Vec<u8>,
    value: Vec<u8>,
    after: &'a [u8],
}

/// How many bytes before an attribute, or the tag's end, count for nothing.
fn skipped(rest: &[u8]) -> usize {
    rest.iter().take_while(|byte| is_space(**byte) || **byte == b'/').count()
}

/// The standard's "get an attribute". `None` for want of bytes, `Some(None)` at the tag's end.
fn attribute(rest: &[u8]) -> Option<Option<Attribute<'_>>> {
    let rest = rest.get(skipped(rest)..)?;
    if *rest.first()? == b'>' {
        return Some(None);
    }
    // A '=' that comes first is part of the name.
    let ends_name =
        |(at, byte): (usize, &u8)| is_space(*byte) || matches!(byte, b'/' | b'>') || (*byte == b'=' && at > 0);
    let (name, rest) = rest.split_at(rest.iter().enumerate().position(ends_name)?);
    let attribute = |value: &[u8], after| {
        Some(Some(Attribute { name: name.to_ascii_lowercase(), value: value.to_ascii_lowercase(), after }))
    };
    let value = after_spaces(rest);
    if *value.first()? != b'=' {
        return attribute(b"", value);
    }
    let value = after_spaces(value.get(1..)?);
    match value.split_first()? {
        (quote @ (b'"' | b'\''), quoted) => {
            let end = quoted.iter().position(|byte| byte == quote)?;
            attribute(quoted.get(..end)?, quoted.get(end + 1..)?)
        }
        _ => {
            let (value, after) = value.split_at(value.iter().position(|byte| is_space(*byte) || *byte == b'>')?);
            attribute(value, after)
        }
    }
}

/// The standard's "extracting a character encoding from a meta element", of a content with small letters.
fn in_content(mut content: &[u8]) -> Option<&'static Encoding> {
    let name = b"charset";
    loop {
        content = content.get(content.windows(name.len()).position(|window| window == name)? + name.len()..)?;
        let Some(value) = after_spaces(content).strip_prefix(b"=") else { continue };
        let value = after_spaces(value);
        let label = match value.split_first()? {
            (quote @ (b'"' | b'\''), quoted) => quoted.get(..quoted.iter().position(|byte| byte == quote)?)?,
            _ => value.split(|byte| is_space(*byte) || *byte == b';').next()?,
        };
        return Encoding::for_label(label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str) -> Option<&'static str> {
        html(document.as_bytes()).map(|(encoding, _)| encoding.name())
    }

    #[test]
    fn meta_elements_are_found_where_a_browser_finds_them() {
        for (document, encoding) in [
            ("<meta charset=gbk>", Some("GBK")),
            ("<html><META name=x ChArSeT = koi8-r>", Some("KOI8-R")),
            ("<meta/charset=gbk>", Some("GBK")),
            ("<meta charset=gbk/>", None),
            ("<meta charset='gbk'/>", Some("GBK")),
            ("<meta charset=\" gbk \">", Some("GBK")),
            ("<metacharset=gbk>", None),
            ("<metadata charset=gbk><x data-charset=gbk>", None),
            ("<p title='<meta charset=gbk>'>", None),
            ("<p title=<meta charset=gbk><meta charset=koi8-r>", Some("KOI8-R")),
            ("</p title='<meta charset=gbk>'><meta charset=koi8-r>", Some("KOI8-R")),
            ("<script>var a = '<meta charset=gbk>'</script>", Some("GBK")),
            ("<!-- <meta charset=gbk> --><meta charset=koi8-r>", Some("KOI8-R")),
            ("<!--><meta charset=gbk>", Some("GBK")),
            ("<!-- -><meta charset=gbk>", None),
            ("<!-->--><meta charset=gbk>", Some("GBK")),
            ("<!x <meta charset=gbk><meta charset=koi8-r>", Some("KOI8-R")),
            ("<?x <meta charset=gbk><meta charset=koi8-r>", Some("KOI8-R")),
            ("</ <meta charset=gbk><meta charset=koi8-r>", Some("KOI8-R")),
            ("<1 <meta charset=gbk>", Some("GBK")),
            ("<<meta charset=gbk>", Some("GBK")),
            ("<meta charset=klingon><meta charset=gbk>", Some("GBK")),
            ("<meta charset><meta charset=gbk>", Some("GBK")),
            ("<meta charset=klingon charset=gbk>", None),
            ("<meta charset=koi8-r charset=gbk>", Some("KOI8-R")),
            ("<meta charset=utf-16be>", Some("UTF-8")),
            ("<meta charset=x-user-defined>", Some("windows-1252")),
            ("<meta charset=iso-2022-kr>", Some("replacement")),
            ("<meta =charset=gbk>", None),
            ("<meta x charset=gbk>", Some("GBK")),
            ("<meta x=\"a>b\" charset=gbk>", Some("GBK")),
            ("<?xml version='1.0' encoding='gbk'?><p>", None),
        ] {
            assert_eq!(found(document), encoding, "{document}");
        }
    }

    #[test]
    fn a_content_counts_with_its_pragma() {
        let with = |content: &str| found(&format!("<meta http-equiv=Content-Type content=\"{content}\">"));
        for (content, encoding) in [
            ("text/html; charset=gbk", Some("GBK")),
            ("charset=gbk", Some("GBK")),
            ("text/html; xcharset  =  GBK", Some("GBK")),
            ("charset charset=gbk", Some("GBK")),
            ("charset;charset=gbk;x", Some("GBK")),
            ("charset='gbk' x", Some("GBK")),
            ("charset='gbk", None),
            ("charset=", None),
            ("charset=klingon charset=gbk", None),
            ("text/html", None),
        ] {
            assert_eq!(with(content), encoding, "{content}");
        }
        assert_eq!(found("<meta content='charset=gbk'>"), None);
        assert_eq!(found("<meta http-equiv=refresh content='charset=gbk'>"), None);
        assert_eq!(found("<meta content='charset=gbk' http-equiv=content-TYPE>"), Some("GBK"));
        assert_eq!(found("<meta http-equiv=content-type content='charset=gbk' charset=koi8-r>"), Some("KOI8-R"));
        assert_eq!(found("<meta charset=koi8-r http-equiv=content-type content='charset=gbk'>"), Some("KOI8-R"));
        assert_eq!(found("<meta charset=klingon http-equiv=content-type content='charset=gbk'>"), None);
        assert_eq!(
            html(b"<meta http-equiv=content-type content=charset=koi8-u><meta charset=gbk>"),
            Some((encoding_rs::KOI8_U, CharsetSource::MetaHttpEquiv)),
            "the first counts, whichever it is"
        );
    }

    #[test]
    fn what_ends_early_declares_nothing() {
        let whole = "<!-- x --><p a='b'><meta charset=\"klingon\"><meta http-equiv=content-type content='charset=gbk'>";
        for end in 0..whole.len() {
            assert_eq!(found(&whole[..end]), None, "{end}");
            assert_eq!(xml(&whole.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(found(whole), Some("GBK"));
        let before = |count: usize| " ".repeat(count) + "<meta charset=gbk>";
        assert_eq!((found(&before(MOST - 18)), found(&before(MOST - 17))), (Some("GBK"), None));
    }

    #[test]
    fn an_xml_declaration_is_read_by_the_same_standard() {
        let of = |document: &[u8]| xml(document).map(Encoding::name);
        for (document, encoding) in [
            ("<?xml version='1.0' encoding='ISO-8859-2'?><a/>", Some("ISO-8859-2")),
            ("<?xml encoding\r\n=\t\"koi8-r\"?>", Some("KOI8-R")),
            ("<?xml encoding=\"utf-16\"?>", Some("UTF-8")),
            ("<?xml encoding=\" gbk\"?>", None),
            ("<?xml encoding=gbk?>", None),
            ("<?xml encoding='gbk?>", None),
            ("<?xml encoding='gbk'?", None),
            ("<?xml version='1.0'?><a encoding='gbk'>", None),
            (" <?xml encoding='gbk'?>", None),
            ("<?XML encoding='gbk'?>", None),
            ("<meta charset=gbk>", None),
        ] {
            assert_eq!(of(document.as_bytes()), encoding, "{document}");
        }
        assert_eq!(of(b"<\0?\0x\0m\0l\0"), Some("UTF-16LE"));
        assert_eq!(of(b"\0<\0?\0x\0m\0l"), Some("UTF-16BE"));
        assert_eq!(html(b"<\0?\0x\0m\0l\0").map(|(encoding, _)| encoding.name()), Some("UTF-16LE"));
    }
}
