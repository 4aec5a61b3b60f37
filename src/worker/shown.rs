//! What of URLs and header fields may be shown in messages and in the trace. It is told by what is known to be harmless: nobody
//! can list all that is secret.

use url::Url;

use crate::headers::decode;

/// Fields whose values are about the exchange and not about who makes it.
const PLAIN: [&str; 47] = [
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Ranges",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    "Age",
    "Allow",
    "Alt-Svc",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Expect",
    "Expires",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Last-Modified",
    "Pragma",
    "Priority",
    "Proxy-Connection",
    "Range",
    "Retry-After",
    "Server",
    "Strict-Transport-Security",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "User-Agent",
    "Vary",
    "Via",
    "X-Cache",
    "X-Content-Type-Options",
];
/// Fields whose values are URLs.
const URLS: [&str; 4] = ["Location", "Content-Location", "Origin", "Referer"];
/// Words that a secret follows on.
const BEFORE_SECRETS: [&str; 16] = [
    "apikey",
    "code",
    "credential",
    "invite",
    "jwt",
    "key",
    "magic",
    "otp",
    "pass",
    "passwd",
    "password",
    "reset",
    "secret",
    "session",
    "token",
    "verify",
];
/// The longest value, path or name that is shown.
const MAX_SHOWN: usize = 200;
/// From how many letters and digits in a row on, with a digit among them, and at all, they are no word.
const MIXED_RUN: usize = 16;
const LONG_RUN: usize = 32;

/// Where a URL leads: its scheme, host and port, and of its path the parts that look like names. Not its query, which may
/// hold secrets.
pub(super) fn place(url: &Url) -> String {
    if url.cannot_be_a_base() || !url.has_host() {
        return format!("{}:...", url.scheme());
    }
    let mut shown = url.origin().ascii_serialization();
    if !url.origin().is_tuple() {
        shown = format!("{}://...", url.scheme());
    }
    let start = shown.len();
    let mut last = "";
    for segment in url.path().split('/').skip(1) {
        shown.push('/');
        // After a ';' come parameters, such as a session's.
        let (name, parameters) = segment.split_once(';').map_or((segment, ""), |(name, _)| (name, ";..."));
        let secret = !last.is_empty() && !name.is_empty() && says_secret(last);
        shown.push_str(if secret || !is_name(name) { "..." } else { name });
        shown.push_str(parameters);
        last = name;
        if shown.len() - start > MAX_SHOWN {
            shown.push_str("...");
            break;
        }
    }
    shown
}

/// The same with the names of its query's parameters.
pub(super) fn url(url: &Url) -> String {
    let mut shown = place(url);
    let start = shown.len();
    for (n, pair) in url.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if n == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, value)) if !value.trim_matches('=').is_empty() && is_name(name) => {
                shown.extend([name, "=..."]);
            }
            // It may be a token without a name, with what fills it up, or a whole URL.
            _ => shown.push_str("..."),
        }
        if shown.len() - start > MAX_SHOWN {
            shown.push_str("...");
            break;
        }
    }
    shown
}

/// A header field's value, that of a request to `base` or of its response.
pub(super) fn value(name: &str, value: &[u8], base: &Url) -> String {
    let is = |other: &&str| name.eq_ignore_ascii_case(other);
    let text = decode(value);
    let reference = |text: &str| base.join(text).map_or_else(|_| "(hidden)".to_owned(), |to| url(&to));
    if PLAIN.iter().any(&is) && is_plain(&text) {
        return text.into_owned();
    }
    if URLS.iter().any(&is) {
        return reference(&text);
    }
    if is(&"Link") {
        let links = text.split('<').skip(1).filter_map(|link| link.split_once('>'));
        let links: Vec<String> = links.take(8).map(|(link, _)| format!("<{}>", reference(link))).collect();
        if !links.is_empty() {
            return links.join(", ");
        }
    }
    format!("(hidden, {} bytes)", value.len())
}

/// A status line whose reason is none but words.
pub(super) fn status_line(line: &str) -> String {
    let mut parts = line.splitn(3, ' ');
    let (version, code, reason) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let is_word = |character: char| character.is_alphabetic() || " -'".contains(character);
    if !reason.is_empty() && reason.len() <= 40 && reason.chars().all(is_word) {
        format!("{version} {code} {reason}")
    } else {
        format!("{version} {code}")
    }
}

/// Whether a value that a field of its kind should have is one, and holds no URL.
fn is_plain(text: &str) -> bool {
    text.len() <= MAX_SHOWN
        && !text.contains("://")
        && !text.contains(['?', '@', '<'])
        && !text.contains(char::is_control)
}

/// Whether a part of a path or a parameter's name looks like a name: words, numbers and ids, and what joins them.
fn is_name(text: &str) -> bool {
    let Some(plain) = unescaped(text) else { return false };
    let joins = |character: char| " -_.~+,!()'[]".contains(character);
    let is_word = |run: &str| {
        let count = run.chars().count();
        count < LONG_RUN && (count < MIXED_RUN || !run.contains(|character: char| character.is_ascii_digit()))
    };
    text.len() <= MAX_SHOWN
        && plain.chars().all(|character| character.is_alphanumeric() || joins(character))
        && plain.split(joins).all(is_word)
}

/// Whether a part of a path says that a secret follows.
fn says_secret(text: &str) -> bool {
    let mut words = text.split(|character: char| !character.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    words.any(|word| BEFORE_SECRETS.contains(&word.strip_suffix('s').filter(|one| *one != "pas").unwrap_or(&word)))
}

/// A part of a URL without its escapes; `None` if that is no text.
fn unescaped(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_url_shows_names_and_no_values() {
        for (text, shown) in [
            ("https://user:pw@x.test:81/a/b?token=abc&page=2#frag", "https://x.test:81/a/b?token=...&page=..."),
            ("https://x.test/?c2VjcmV0", "https://x.test/?..."),
            ("https://x.test/?c2VjcmV0cw==", "https://x.test/?..."),
            ("https://x.test/?http://u:pw@y.test/?a=b", "https://x.test/?..."),
            ("https://x.test/?a=b&https%3A%2F%2Fu%3Apw@y.test=1", "https://x.test/?a=...&..."),
            ("https://x.test/a;jsessionid=1/b", "https://x.test/a;.../b"),
            ("https://x.test/", "https://x.test/"),
            ("https://x.test", "https://x.test/"),
            (
                "https://x.test/levels/the-longest-road-of-all-0003.pak/v1.2.3",
                "https://x.test/levels/the-longest-road-of-all-0003.pak/v1.2.3",
            ),
            ("https://x.test/my%20file.txt", "https://x.test/my%20file.txt"),
            ("https://x.test/gr\u{fc}n", "https://x.test/gr%C3%BCn"),
            (
                "https://x.test/players/8a7b6c5d-0123-4567-89ab-cdef01234567",
                "https://x.test/players/8a7b6c5d-0123-4567-89ab-cdef01234567",
            ),
            ("https://x.test/bot123456:ABC-DEF1234ghIkl/getMe", "https://x.test/.../getMe"),
            ("https://x.test/hooks/aB3dE6gH9jK2mN5pQ8/x", "https://x.test/hooks/.../x"),
            ("https://x.test/hooks/abcdefghijklmnopqrstuvwxyzabcdefgh", "https://x.test/hooks/..."),
            ("https://x.test/reset-password/hunter2", "https://x.test/reset-password/..."),
            ("https://x.test/sessions/1234/x", "https://x.test/sessions/.../x"),
            ("https://x.test/monkeys/passengers/5", "https://x.test/monkeys/passengers/5"),
            ("https://x.test/to/https%3A%2F%2Fu%3Apw@y", "https://x.test/to/..."),
            ("https://x.test/to/https%253A%252F%252Fy", "https://x.test/to/..."),
            ("mailto:somebody@x.test", "mailto:..."),
            ("data:text/plain,secret", "data:..."),
        ] {
            assert_eq!(url(&parsed(text)), shown, "{text}");
        }
        let long = format!("https://x.test{}", "/abc".repeat(10_000));
        assert!(url(&parsed(&long)).len() < 300);
        let long = format!("https://x.test/?{}", "a=b&".repeat(10_000));
        assert!(url(&parsed(&long)).len() < 300);
    }

    #[test]
    fn values_are_shown_where_nothing_private_is_expected() {
        let base = parsed("https://x.test/a");
        let shown = |name: &str, text: &str| value(name, text.as_bytes(), &base);
        for (name, text) in [
            ("accept", "text/html"),
            ("Cache-Control", "max-age=60, must-revalidate"),
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("ETag", "W/\"abc\""),
            ("Range", "bytes=5-"),
        ] {
            assert_eq!(shown(name, text), text);
        }
        for name in [
            "Authorization",
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "X-Level",
            "X-Next",
            "Refresh",
            "Www-Authenticate",
            "Sec-Thing",
        ] {
            for text in ["top secret", "/a?password=1", "0;url=/a?b"] {
                assert_eq!(shown(name, text), format!("(hidden, {} bytes)", text.len()), "{name}");
            }
        }
        for text in ["x https://y.test/?a=SECRET", "/a?password=SECRET", "u:SECRET@x", "\u{1}SECRET"] {
            assert!(!shown("Server", text).contains("SECRET"), "{text}");
        }
        assert_eq!(shown("Location", "/b?code=1"), "https://x.test/b?code=...");
        assert_eq!(shown("location", "https://u:p@y.test/"), "https://y.test/");
        assert_eq!(shown("Location", "http://["), "(hidden)");
        assert_eq!(
            shown("Link", "</next?access_token=1>; rel=next, <?p=2>; title=\"SECRET\""),
            "<https://x.test/next?access_token=...>, <https://x.test/a?p=...>"
        );
        assert_eq!(shown("Link", "nothing"), "(hidden, 7 bytes)");
        assert_eq!(value("X", b"\xFF\xFE", &base), "(hidden, 2 bytes)");
    }

    #[test]
    fn a_reason_is_words() {
        assert_eq!(status_line("HTTP/1.1 302 Found"), "HTTP/1.1 302 Found");
        assert_eq!(status_line("HTTP/2 200"), "HTTP/2 200");
        assert_eq!(status_line("HTTP/1.1 200 /a?password=1"), "HTTP/1.1 200");
    }
}
