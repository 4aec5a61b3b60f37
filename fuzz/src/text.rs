//! Text, its charsets, and forms.

use sortie::{FormPart, fuzzing};

use crate::input::{Input, pieces};

/// A Content-Type, against a model of the simple ones.
pub fn content_type(data: &[u8]) {
    let mut input = Input(data);
    let value = input.line();
    let found = fuzzing::charset_parameter(value);
    if let Some(Some(charset)) = &found {
        assert!(!charset.contains(|c: char| c.is_ascii_control() && c != '\t'), "{charset:?}");
        assert!(value.to_ascii_lowercase().windows(7).any(|window| window == b"charset"));
    }
    // Without quotes, a type is what splitting gives.
    if let Ok(text) = std::str::from_utf8(value)
        && !text.contains(['"', '\\'])
        && !text.chars().any(|c| c.is_control() || !c.is_ascii())
        && let Some(found) = found
    {
        let parameters = text.split(';').skip(1).filter_map(|part| part.split_once('='));
        let mut charsets = parameters.filter(|(name, _)| name.trim_start().eq_ignore_ascii_case("charset"));
        let model = charsets.find_map(|(_, value)| Some(value.trim_end()).filter(|value| !value.is_empty()));
        assert_eq!(found.as_deref(), model, "{text}");
    }
}

/// A Content-Type and a body: text is valid UTF-8 whatever came, and what is UTF-8 stays.
pub fn charset(data: &[u8]) {
    let mut input = Input(data);
    let content_type = input.line();
    let Some(decoded) = fuzzing::decode_text(input.0, content_type) else { return };
    match decoded {
        Ok((text, charset, _)) => {
            let valid = std::str::from_utf8(&text).expect("UTF-8");
            let encoding = encoding_rs::Encoding::for_label(charset.as_bytes()).expect("an encoding");
            assert_eq!(encoding.name(), charset);
            if !valid.starts_with('\u{FEFF}') {
                let again = fuzzing::decode_text(&text, b"text/plain; charset=utf-8").expect("a type").expect("text");
                assert_eq!(again.0, text, "UTF-8 stays as it is");
            }
        }
        Err(bytes) => assert_eq!(bytes, input.0, "bytes stay as they are"),
    }
}

/// A number that says how text is cut, the label of a charset, and the text.
pub fn charset_written(data: &[u8]) {
    let mut input = Input(data);
    let (seed, label) = (input.number(), input.text());
    let Some(at_once) = fuzzing::encode_text(label, &[input.0]) else { return };
    let mut cut = pieces(input.0, seed);
    if cut.is_empty() {
        cut.push(b"");
    }
    let in_pieces = fuzzing::encode_text(label, &cut).expect("the same charset");
    assert_eq!(at_once.is_ok(), in_pieces.is_ok());
    let Ok(encoded) = at_once else { return };
    assert_eq!(Ok(&encoded), in_pieces.as_ref(), "it depends on where text is cut");
    let text = std::str::from_utf8(input.0).expect("only UTF-8 is written");
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).expect("known");
    let (back, errors) = encoding.decode_without_bom_handling(&encoded);
    // These two have characters that go one way alone.
    if !["ISO-2022-JP", "Shift_JIS", "EUC-JP", "Big5", "gb18030", "GBK"].contains(&encoding.name()) {
        assert!(!errors && back == text, "{label}: {text:?} came back as {back:?}");
    }
}

/// How much is read at a time, then parts: name, file name, type and value in turn.
pub fn form(data: &[u8]) {
    let mut input = Input(data);
    let chunk = input.number() as usize % 5000 + 1;
    let mut parts = Vec::new();
    let mut given = Vec::new();
    while !input.0.is_empty() && parts.len() < 20 {
        let (name, filename, kind, value) = (input.text(), input.text(), input.text(), input.line());
        let mut part = FormPart::bytes(name, value);
        if !filename.is_empty() {
            part = part.filename(filename);
        }
        if !kind.is_empty() {
            part = part.content_type(kind);
        }
        parts.push(part);
        given.push((name, filename, kind, value));
    }
    let Ok((content_type, body)) = fuzzing::form(&parts, chunk) else { return };
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").expect("a boundary");
    let mut rest = &body[..];
    for (name, filename, kind, value) in given {
        let start = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"");
        rest = rest.strip_prefix(start.as_bytes()).expect("a part's start");
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("an empty line");
        let head = std::str::from_utf8(&rest[..end]).expect("text");
        rest = &rest[end + 4..];
        let unescape = |text: &str| text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
        let mut lines = head.split("\r\n");
        let disposition = lines.next().expect("a line");
        let mut quoted = disposition.split('"');
        let read = quoted.next().expect("a name");
        assert!(read == name || unescape(read) == unescape(name), "{head:?}");
        if filename.is_empty() {
            assert_eq!((quoted.next(), quoted.next()), (Some(""), None), "{head:?}");
        } else {
            assert_eq!(quoted.next(), Some("; filename="));
            assert_eq!(quoted.next().map(unescape), Some(unescape(filename)));
        }
        let line = lines.next();
        assert!(lines.next().is_none(), "a line too many: {head:?}");
        if !kind.is_empty() {
            assert_eq!(line.and_then(|line| line.strip_prefix("Content-Type: ")), Some(kind));
        }
        rest = rest.strip_prefix(value).and_then(|rest| rest.strip_prefix(b"\r\n")).expect("the value");
    }
    assert_eq!(rest, format!("--{boundary}--\r\n").as_bytes());
}
