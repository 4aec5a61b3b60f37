//! What a Content-Type says of a body.

use crate::body::charset;
use crate::event::BodyKind;
use crate::request::RequestParts;

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
    charset::parameter(given).is_none().then(|| format!("{given}; charset=UTF-8"))
}

/// Whether a response of this Content-Type is text: any type with a charset, `text/*`, XML, JSON, JavaScript, forms.
pub(crate) fn kind_of_response(content_type: Option<&str>) -> BodyKind {
    let Some(content_type) = content_type else { return BodyKind::Binary };
    let essence = content_type.split(';').next().unwrap_or("").trim();
    let (top, sub) = essence.split_once('/').unwrap_or((essence, ""));
    let is = |what: &str| sub.eq_ignore_ascii_case(what);
    let ends_with = |end: &str| {
        let start = sub.len().checked_sub(end.len());
        start.and_then(|start| sub.get(start..)).is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    let text = top.eq_ignore_ascii_case("text")
        || is("json")
        || ends_with("+json")
        || ends_with("xml")
        || ["javascript", "x-javascript", "ecmascript", "x-ecmascript", "x-www-form-urlencoded"].into_iter().any(is)
        || charset::parameter(content_type).is_some();
    if text { BodyKind::Text } else { BodyKind::Binary }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_types_are_told_from_binary_ones() {
        for text in [
            "text/html",
            "TEXT/plain; charset=x",
            "application/json",
            "application/ld+json",
            "image/svg+xml",
            "application/xhtml+xml",
            "application/xml",
            "application/javascript",
            "application/x-www-form-urlencoded",
            "application/octet-stream; Charset=utf-8",
            "application/octet-stream; x=y; charset = \"utf-8\"",
        ] {
            assert_eq!(kind_of_response(Some(text)), BodyKind::Text, "{text}");
        }
        for binary in ["image/png", "application/octet-stream; charset=", "application/jsonx", "", "x"] {
            assert_eq!(kind_of_response(Some(binary)), BodyKind::Binary, "{binary}");
        }
        assert_eq!(kind_of_response(None), BodyKind::Binary);
    }
}
