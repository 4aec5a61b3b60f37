//! What the trace tells of what goes on, and what it keeps to itself.

use std::cell::Cell;

use url::Url;

use super::shown;
use crate::config::Config;
use crate::event::TraceLevel;
use crate::headers::decode;

/// How much of a piece of a body is shown.
const MAX_SHOWN: usize = 256;
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

    /// A URL, without credentials and fragment.
    pub(super) fn url(&self, url: &Url) -> String {
        if !self.secrets {
            return shown::url(url);
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{}{query}", url.origin().ascii_serialization(), url.path())
    }

    /// The line before a response's fields.
    pub(super) fn status_line(&self, line: &str) -> String {
        if self.secrets { line.to_owned() } else { shown::status_line(line) }
    }

    fn field(&self, name: &str, value: &[u8], base: &Url) -> String {
        let shown = if self.secrets { decode(value).into_owned() } else { shown::value(name, value, base) };
        format!("{name}: {shown}")
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
            text.push_str(&self.field(name, value.as_ref(), base));
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
    fn secrets_are_shown_if_asked_for() {
        let (closed, open, url) = (trace(false), trace(true), url("https://u:p@x.test/?token=abc#f"));
        assert_eq!(
            (closed.url(&url).as_str(), open.url(&url).as_str()),
            ("https://x.test/?token=...", "https://x.test/?token=abc")
        );
        assert_eq!(closed.field("Cookie", b"top secret", &url), "Cookie: (hidden, 10 bytes)");
        assert_eq!(open.field("Cookie", b"top secret", &url), "Cookie: top secret");
        assert_eq!(closed.status_line("HTTP/1.1 200 a=b"), "HTTP/1.1 200");
        assert_eq!(open.status_line("HTTP/1.1 200 a=b"), "HTTP/1.1 200 a=b");
    }

    #[test]
    fn pieces_are_cut_and_escaped() {
        assert_eq!(Trace::piece("sent", b"a\nb"), "sent 3 bytes of body: a\\nb");
        assert_eq!(Trace::piece("received", &[0xFF, b'a']), "received 2 bytes of body: \\xffa");
        let long = Trace::piece("sent", &[b'x'; 300]);
        assert!(long.starts_with("sent 300 bytes of body: xxx") && long.ends_with("x...") && long.len() < 300);
    }
}
