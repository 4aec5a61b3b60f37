//! What a Content-Type says of a body, by the WHATWG's MIME Sniffing and Fetch standards.

use crate::event::BodyKind;
use crate::headers::Headers;
use crate::request::RequestParts;

/// Bytes whatever charset their servers name, beside images, audio, video and fonts.
const BYTES: [&str; 39] = [
    "octet-stream",
    "binary",
    "zip",
    "x-zip",
    "x-zip-compressed",
    "gzip",
    "x-gzip",
    "zstd",
    "x-zstd",
    "x-tar",
    "x-gtar",
    "x-cpio",
    "x-bzip",
    "x-bzip2",
    "x-xz",
    "x-lzma",
    "x-lzip",
    "x-compress",
    "x-compressed",
    "x-7z-compressed",
    "vnd.rar",
    "x-rar",
    "x-rar-compressed",
    "x-stuffit",
    "java-archive",
    "vnd.android.package-archive",
    "vnd.ms-cab-compressed",
    "x-apple-diskimage",
    "x-iso9660-image",
    "pdf",
    "wasm",
    "vnd.ms-fontobject",
    "protobuf",
    "x-protobuf",
    "msgpack",
    "x-msgpack",
    "cbor",
    "bson",
    "x-msdownload",
];
const BYTES_ENDINGS: [&str; 6] = ["+zip", "+gzip", "+zstd", "+cbor", "+protobuf", "wbxml"];
const BYTES_STARTS: [&str; 2] = ["font-", "x-font"];
const SCRIPTS: [&str; 5] = ["javascript", "x-javascript", "ecmascript", "x-ecmascript", "x-www-form-urlencoded"];

/// What kind of body a type is, as far as its charset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Html,
    Xml,
    Json,
    Text,
    /// Nobody knows but the server, which names a charset: text if it can be read in that.
    Named,
    Bytes,
}

/// A type as a header says it, in small letters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MediaType {
    top: String,
    sub: String,
    pub(crate) charset: Option<String>,
}

impl MediaType {
    /// Reads a Content-Type; `None` if it is none.
    pub(crate) fn parse(value: &[u8]) -> Option<MediaType> {
        let value = trim_end(trim_start(value));
        let (top, rest) = value.split_at(value.iter().position(|byte| *byte == b'/')?);
        let rest = rest.get(1..)?;
        let (sub, parameters) = rest.split_at(until(rest, b";"));
        let part = |part: &[u8]| {
            let is_token = !part.is_empty() && part.iter().all(|byte| is_token(*byte));
            is_token.then(|| String::from_utf8_lossy(part).to_ascii_lowercase())
        };
        Some(MediaType { top: part(top)?, sub: part(trim_end(sub))?, charset: charset(parameters) })
    }

    /// The type of a response: the last that it names, and of several of these a charset of an earlier one.
    pub(crate) fn of(headers: &Headers) -> Option<MediaType> {
        let mut found: Option<MediaType> = None;
        for (_, value) in headers.iter_bytes().filter(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
            for part in split_list(&value) {
                let Some(mut media) = MediaType::parse(part).filter(|media| media.top != "*") else { continue };
                if let Some(before) = found.filter(|before| before.top == media.top && before.sub == media.sub) {
                    media.charset = media.charset.or(before.charset);
                }
                found = Some(media);
            }
        }
        found
    }

    pub(crate) fn family(&self) -> Family {
        let (top, sub) = (self.top.as_str(), self.sub.as_str());
        let bytes = matches!(top, "image" | "audio" | "video" | "font")
            || BYTES.contains(&sub)
            || BYTES_STARTS.iter().any(|start| sub.starts_with(start))
            || BYTES_ENDINGS.iter().any(|end| sub.ends_with(end));
        if sub == "json" || sub.ends_with("+json") {
            Family::Json
        } else if top == "text" {
            match sub {
                "html" => Family::Html,
                _ if sub.ends_with("xml") => Family::Xml,
                _ => Family::Text,
            }
        } else if sub.ends_with("xml") && !sub.ends_with("wbxml") {
            Family::Xml
        } else if SCRIPTS.contains(&sub) {
            Family::Text
        } else if self.charset.is_none() || bytes {
            Family::Bytes
        } else {
            Family::Named
        }
    }
}

/// The charset parameter of a Content-Type, of which the rest may be anything.
pub(crate) fn charset_of(content_type: &str) -> Option<String> {
    let value = content_type.as_bytes();
    charset(value.get(until(value, b";")..)?)
}

/// The first charset among parameters, each with a ';' before it.
fn charset(mut rest: &[u8]) -> Option<String> {
    while let Some(after) = rest.strip_prefix(b";") {
        let after = trim_start(after);
        let (name, after) = after.split_at(until(after, b";="));
        let Some(value) = after.strip_prefix(b"=") else {
            rest = after;
            continue;
        };
        let mut unquoted = Vec::new();
        if let Some(quoted) = value.strip_prefix(b"\"") {
            let after = unquote(quoted, &mut unquoted);
            rest = after.get(until(after, b";")..).unwrap_or(&[]);
        } else {
            let (value, after) = value.split_at(until(value, b";"));
            rest = after;
            unquoted.extend_from_slice(trim_end(value));
            if unquoted.is_empty() {
                continue;
            }
        }
        let is_valid = unquoted.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t');
        if is_valid && name.eq_ignore_ascii_case(b"charset") {
            return Some(String::from_utf8_lossy(&unquoted).into_owned());
        }
    }
    None
}

/// Takes a quoted string's inside; gives what follows on its closing quote.
fn unquote<'a>(quoted: &'a [u8], inside: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = quoted;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'"', _) => return rest,
            (b'\\', Some((escaped, after))) => {
                inside.push(*escaped);
                rest = after;
            }
            _ => inside.push(*byte),
        }
    }
    rest
}

/// The members of a list, whose commas may be quoted.
fn split_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |byte| {
        let is_escaped = escaped;
        escaped = quoted && !is_escaped && *byte == b'\\';
        if *byte == b'"' && !is_escaped {
            quoted = !quoted;
        }
        *byte == b',' && !quoted
    })
}

/// How many bytes come before the first of these.
fn until(text: &[u8], ends: &[u8]) -> usize {
    text.iter().position(|byte| ends.contains(byte)).unwrap_or(text.len())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn trim_start(text: &[u8]) -> &[u8] {
    text.get(text.iter().take_while(|byte| is_blank(**byte)).count()..).unwrap_or(&[])
}

fn trim_end(text: &[u8]) -> &[u8] {
    text.get(..text.len() - text.iter().rev().take_while(|byte| is_blank(**byte)).count()).unwrap_or(&[])
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The Content-Type of a request that gives none.
pub(crate) fn default_for(kind: BodyKind, is_bytes: bool) -> &'static str {
    match kind {
        BodyKind::Text => "text/plain; charset=UTF-8",
        BodyKind::Default if !is_bytes => "text/plain; charset=UTF-8",
        BodyKind::Default | BodyKind::Binary => "application/octet-stream",
    }
}

/// The Content-Type of a request that is text and names no charset, with the one it is in.
pub(crate) fn with_charset(request: &RequestParts) -> Option<String> {
    let given = request.headers.get("Content-Type").filter(|_| request.body_kind == BodyKind::Text)?;
    charset_of(given).is_none().then(|| format!("{given}; charset=UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(value: &str) -> Option<Family> {
        MediaType::parse(value.as_bytes()).map(|media| media.family())
    }

    #[test]
    fn text_types_are_told_from_binary_ones() {
        for (text, expected) in [
            ("text/html", Family::Html),
            ("TEXT/plain; charset=x", Family::Text),
            ("text/json", Family::Json),
            ("application/json", Family::Json),
            ("application/ld+json", Family::Json),
            ("model/gltf+json", Family::Json),
            ("image/svg+xml; charset=utf-8", Family::Xml),
            ("application/xhtml+xml", Family::Xml),
            ("text/xml", Family::Xml),
            ("application/javascript", Family::Text),
            ("application/x-www-form-urlencoded", Family::Text),
            ("text/css", Family::Text),
            ("application/x-save; charset=utf-8", Family::Named),
            ("application/x-save", Family::Bytes),
            ("application/octet-stream; Charset=utf-8", Family::Bytes),
            ("image/png; charset=utf-8", Family::Bytes),
            ("Audio/ogg;charset=utf-8", Family::Bytes),
            ("application/zip;charset=utf-8", Family::Bytes),
            ("application/epub+zip;charset=utf-8", Family::Bytes),
            ("application/x-font-ttf;charset=utf-8", Family::Bytes),
            ("application/vnd.wap.wbxml;charset=utf-8", Family::Bytes),
            ("application/jsonx", Family::Bytes),
        ] {
            assert_eq!(family(text), Some(expected), "{text}");
        }
        for none in ["", "x", "text", "/", "text/", "/html", "te xt/html", "text/ht ml", "text/html,x", "\u{e4}/b"] {
            assert_eq!(family(none), None, "{none}");
        }
    }

    #[test]
    fn the_first_charset_counts_and_none_inside_of_quotes() {
        for (value, charset) in [
            ("text/html", None),
            ("text/html;charset=gbk", Some("gbk")),
            ("text/html ; \tCharSet=\"gbk\" ; x", Some("gbk")),
            ("text/html;charset=gbk;charset=koi8-r", Some("gbk")),
            ("text/html;charset=;charset=koi8-r", Some("koi8-r")),
            ("text/html;charset=\"\";charset=koi8-r", Some("")),
            ("text/html;x=\"; charset=gbk\";charset=koi8-r", Some("koi8-r")),
            ("text/html;x=\"a\\\"; charset=gbk", None),
            ("text/html;x=a\"; charset=gbk", Some("gbk")),
            ("text/html;;;charset=gbk", Some("gbk")),
            ("text/html;charset;charset=gbk", Some("gbk")),
            ("text/html;charset =gbk", None),
            ("text/html;charset='gbk'", Some("'gbk'")),
            ("text/html;charset=\"g\\b\\k", Some("gbk")),
            ("text/html;charset=\"gbk\"x;charset=koi8-r", Some("gbk")),
            ("text/html;charset=g\u{1}bk;charset=koi8-r", Some("koi8-r")),
            ("text/html;xcharset=gbk", None),
            ("text/html;charset=gbk,text/html", Some("gbk,text/html")),
        ] {
            let parsed = MediaType::parse(value.as_bytes()).unwrap();
            assert_eq!(parsed.charset.as_deref(), charset, "{value}");
        }
    }

    #[test]
    fn of_several_types_the_last_counts() {
        let of = |values: &[&str]| {
            let mut headers = Headers::new();
            values.iter().for_each(|value| headers.push("content-type", value));
            MediaType::of(&headers).map(|media| (media.sub, media.charset.unwrap_or_default()))
        };
        let is = |sub: &str, charset: &str| Some((sub.to_owned(), charset.to_owned()));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["text/plain;charset=gbk", "text/plain"]), is("plain", "gbk"));
        assert_eq!(of(&["text/plain;charset=gbk", "text/html"]), is("html", ""));
        assert_eq!(of(&["text/plain;charset=gbk, text/plain;charset=koi8-r"]), is("plain", "koi8-r"));
        assert_eq!(of(&["text/plain;x=\"a,b\\\",text/html\";charset=gbk"]), is("plain", "gbk"));
        assert_eq!(of(&["text/plain", "rubbish", "*/*"]), is("plain", ""));
    }
}
