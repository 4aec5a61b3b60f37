//! What kinds of authentication a server asks for.

use crate::headers::Headers;

/// Whether a response's WWW-Authenticate asks for this kind among others, such as "Basic".
pub(super) fn asks_for(headers: &Headers, kind: &str) -> bool {
    let fields = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("WWW-Authenticate"));
    fields.flat_map(|(_, value)| kinds(value)).any(|given| given.eq_ignore_ascii_case(kind))
}

/// The kinds that one field names: the first word of each item between commas that is not a parameter.
fn kinds(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let items = value.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    });
    items.filter_map(|item| {
        let (word, rest) = item.trim().split_once([' ', '\t']).unwrap_or((item.trim(), ""));
        let is_parameter = word.contains('=') || rest.trim_start().starts_with('=');
        (!word.is_empty() && !is_parameter).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_from_parameters() {
        let of = |value| kinds(value).collect::<Vec<_>>();
        assert_eq!(of("Basic"), ["Basic"]);
        assert_eq!(
            of("Digest realm=\"a, Basic b\", nonce=\"x\\\", Basic\", qop=\"auth\", Basic realm=x"),
            ["Digest", "Basic"]
        );
        assert_eq!(of("Negotiate, NTLM ,Bearer error = \"x\" , scope=a"), ["Negotiate", "NTLM", "Bearer"]);
        assert_eq!(of("Negotiate abc==, , Digest nonce = x, realm = y"), ["Negotiate", "Digest"]);
        assert_eq!(of(""), [""; 0]);
        let mut headers = Headers::new();
        headers.push("WWW-Authenticate", "Digest nonce=x");
        headers.push("www-authenticate", "BASIC realm=x");
        assert!(asks_for(&headers, "Basic") && asks_for(&headers, "digest") && !asks_for(&headers, "nonce"));
    }
}
