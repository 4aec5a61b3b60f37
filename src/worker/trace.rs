//! What the trace tells of what goes on, and what it keeps to itself.

use std::cell::Cell;
use std::fmt::Write;

use url::Url;

use super::redirect;
use crate::config::Config;
use crate::event::TraceLevel;
use crate::headers::decode;

/// How much of a piece of a body is shown.
const MAX_SHOWN: usize = 256;
/// Parts of the names of fields, and of a URL's parameters, whose values are nobody else's business.
const SECRET: [&str; 17] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "key",
    "pass",
    "pwd",
    "session",
    "sig",
    "credential",
    "code",
    "jwt",
    "assertion",
    "otp",
    "csrf",
    "xsrf",
    "refresh",
];
/// Fields whose values are URLs.
const URLS: [&str; 3] = ["Location", "Content-Location", "Referer"];

/// What is told, and to whom.
pub(super) struct Trace {
    level: Cell<TraceLevel>,
    secrets: bool,
    bodies: bool,
}

impl Trace {
    pub(super) fn new(config: &Config) -> Trace {
        Trace { level: Cell::new(config.trace_level), secrets: config.trace_secrets, bodies: config.trace_bodies }
    }

    pub(super) fn set_level(&self, level: TraceLevel) {
        self.level.set(level);
    }

    /// Whether lines of this level are told.
    #[inline]
    pub(super) fn wants(&self, level: TraceLevel) -> bool {
        level <= self.level.get()
    }

    /// Whether pieces of bodies are told.
    #[inline]
    pub(super) fn shows_bodies(&self) -> bool {
        self.bodies && self.wants(TraceLevel::Details)
    }

    /// A URL without its credentials and fragment, and with nothing of its query but names.
    pub(super) fn url(&self, url: &Url) -> String {
        let mut shown = if self.secrets {
            format!("{}{}", url.origin().ascii_serialization(), url.path())
        } else {
            redirect::shown(url)
        };
        match url.query() {
            None => {}
            Some(query) if self.secrets => _ = write!(shown, "?{query}"),
            Some(query) => {
                for (n, pair) in query.split('&').enumerate() {
                    shown.push(if n == 0 { '?' } else { '&' });
                    match pair.split_once('=') {
                        Some((name, value)) if !value.trim_matches('=').is_empty() => _ = write!(shown, "{name}=..."),
                        // It may be a token without a name, with what fills it up.
                        _ => shown.push_str("..."),
                    }
                }
            }
        }
        shown
    }

    /// A header field, with a value that may be shown.
    pub(super) fn field(&self, name: &str, value: &str, base: &Url) -> String {
        let is_url = URLS.iter().any(|other| name.eq_ignore_ascii_case(other));
        let lower = name.to_ascii_lowercase();
        // Other fields, such as Link, may hold URLs too.
        let holds_url = !is_url && value.contains("://") && value.contains(['?', '@', ';']);
        if self.secrets {
            format!("{name}: {value}")
        } else if holds_url || SECRET.iter().any(|part| lower.contains(part)) {
            format!("{name}: (hidden, {} bytes)", value.len())
        } else if is_url {
            let shown = base.join(value).map_or_else(|_| "(hidden)".to_owned(), |url| self.url(&url));
            format!("{name}: {shown}")
        } else {
            format!("{name}: {value}")
        }
    }

    /// A request or a response with its fields, one to a line.
    pub(super) fn head<'a>(
        &self,
        first: &str,
        fields: impl Iterator<Item = (&'a str, impl AsRef<[u8]>)>,
        base: &Url,
    ) -> String {
        fields.fold(first.to_owned(), |mut text, (name, value)| {
            text.push_str("\n  ");
            text.push_str(&self.field(name, &decode(value.as_ref()), base));
            text
        })
    }

    /// A piece of a body, as far as it can be read.
    pub(super) fn piece(direction: &str, bytes: &[u8]) -> String {
        let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
        let text: String = match std::str::from_utf8(shown) {
            Ok(text) => text.escape_debug().collect(),
            Err(_) => shown.escape_ascii().to_string(),
        };
        let rest = if bytes.len() > MAX_SHOWN { "..." } else { "" };
        format!("{direction} {} bytes of body: {text}{rest}", bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(secrets: bool) -> Trace {
        Trace { level: Cell::new(TraceLevel::Details), secrets, bodies: false }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_url_shows_where_and_not_what() {
        let closed = trace(false);
        let shown = |text| closed.url(&url(text));
        assert_eq!(
            shown("https://user:pw@x.test:81/a/b?token=abc&page=2#frag"),
            "https://x.test:81/a/b?token=...&page=..."
        );
        assert_eq!(shown("https://x.test/?c2VjcmV0"), "https://x.test/?...");
        assert_eq!(shown("https://x.test/?c2VjcmV0cw=="), "https://x.test/?...");
        assert_eq!(shown("https://x.test/a;jsessionid=1/b"), "https://x.test/a;.../b");
        assert_eq!(shown("https://x.test/"), "https://x.test/");
        assert_eq!(trace(true).url(&url("https://u:p@x.test/?token=abc#f")), "https://x.test/?token=abc");
    }

    #[test]
    fn fields_that_may_hold_a_secret_show_their_length() {
        let (closed, base) = (trace(false), url("https://x.test/a"));
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "X-Auth-Token",
            "X-Session-Id",
        ] {
            assert_eq!(closed.field(name, "top secret", &base), format!("{name}: (hidden, 10 bytes)"));
            assert_eq!(trace(true).field(name, "top secret", &base), format!("{name}: top secret"));
        }
        let link = "<https://x.test/?page=2&access=1>; rel=next";
        assert_eq!(closed.field("Link", link, &base), format!("Link: (hidden, {} bytes)", link.len()));
        assert_eq!(closed.field("Accept", "text/html", &base), "Accept: text/html");
        assert_eq!(closed.field("Location", "/b?code=1", &base), "Location: https://x.test/b?code=...");
        assert_eq!(closed.field("location", "https://u:p@y.test/", &base), "location: https://y.test/");
        assert_eq!(closed.field("Location", "http://[", &base), "Location: (hidden)");
    }

    #[test]
    fn pieces_are_cut_and_escaped() {
        assert_eq!(Trace::piece("sent", b"a\nb"), "sent 3 bytes of body: a\\nb");
        assert_eq!(Trace::piece("received", &[0xFF, b'a']), "received 2 bytes of body: \\xffa");
        let long = Trace::piece("sent", &[b'x'; 300]);
        assert!(long.starts_with("sent 300 bytes of body: xxx") && long.ends_with("x...") && long.len() < 300);
    }
}
