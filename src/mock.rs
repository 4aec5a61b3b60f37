//! Answers that the host makes up for its tests, and the requests that they are for.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::error::{ErrorKind, Reason, Refusal};
use crate::headers::Headers;
use crate::request::{MAX_URL_BYTES, SharedBytes, add_header, check_method, parse_url};

/// The most mocks that a client takes.
pub(crate) const MAX_MOCKS: usize = 4096;

/// An answer made up for tests, in place of a server's. Start from [`Mock::new`].
///
/// ```
/// # fn main() -> Result<(), sortie::Refusal> {
/// let client = sortie::Client::new(sortie::Config { mocks_only: true, ..sortie::Config::default() })?;
/// client.mock(sortie::Mock::new("https://example.com/scores*")?.header("Content-Type", "application/json")?.body("[]"))?;
/// client.submit(sortie::Request::get("https://example.com/scores?of=today")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mock {
    /// `None`: any.
    method: Option<String>,
    pattern: String,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: SharedBytes,
    pub(crate) delay: Duration,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) bytes_per_second: Option<u64>,
    /// How many requests it answers; `None`: every one.
    times: Option<u32>,
}

impl Mock {
    /// The answer 200 without a body, for every method and the URLs of a pattern.
    ///
    /// In a pattern `*` stands for any characters, or none; everything else stands for itself, capitals and all. It is held
    /// against a hop's whole URL as it is sent: normalised, with its query, without credentials and fragment. One without `*`
    /// is a URL, and normalised too.
    ///
    /// # Errors
    /// [`Reason::Url`] for a pattern that is empty or too long, or has no `*` and is no URL; [`Reason::Scheme`] for one that
    /// has no `*` and is neither http nor https.
    pub fn new(pattern: &str) -> Result<Mock, Refusal> {
        let pattern = if pattern.contains('*') {
            if pattern.len() > MAX_URL_BYTES {
                let message = format!("pattern is {} bytes long, the limit is {MAX_URL_BYTES}", pattern.len());
                return Err(Refusal::new(Reason::Url, message));
            }
            pattern.to_owned()
        } else {
            let mut url = parse_url(pattern)?;
            url.set_fragment(None);
            url.into()
        };
        Ok(Mock {
            method: None,
            pattern,
            status: 200,
            headers: Headers::new(),
            body: Arc::new(""),
            delay: Duration::ZERO,
            error: None,
            bytes_per_second: None,
            times: None,
        })
    }

    /// Answers this method only.
    ///
    /// # Errors
    /// As [`crate::Request::method`].
    pub fn method(mut self, method: &str) -> Result<Mock, Refusal> {
        check_method(method)?;
        self.method = Some(method.to_owned());
        Ok(self)
    }

    /// Sets the status.
    ///
    /// # Errors
    /// [`Reason::Argument`] for one that is not 200 to 599.
    pub fn status(mut self, status: u16) -> Result<Mock, Refusal> {
        if !(200..=599).contains(&status) {
            let message = format!("status is {status}, it must be 200 to 599");
            return Err(Refusal::new(Reason::Argument, message));
        }
        self.status = status;
        Ok(self)
    }

    /// Adds a header. A Content-Length is ignored: it is the body's.
    ///
    /// # Errors
    /// As [`crate::Request::header`].
    pub fn header(mut self, name: &str, value: &str) -> Result<Mock, Refusal> {
        add_header(&mut self.headers, name, value)?;
        Ok(self)
    }

    /// Sets the body, as it would come over the wire.
    #[must_use]
    pub fn body(self, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Mock {
        self.shared_body(Arc::new(bytes))
    }

    /// Sets a body that others hold as well.
    #[must_use]
    pub fn shared_body(mut self, bytes: SharedBytes) -> Mock {
        self.body = bytes;
        self
    }

    /// Waits this long before the answer, once the request's body is taken.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Mock {
        self.delay = delay;
        self
    }

    /// Ends the request with an error after the delay, without an answer.
    #[must_use]
    pub fn error(mut self, error: ErrorKind) -> Mock {
        self.error = Some(error);
        self
    }

    /// Sends the body at this rate rather than at once. 0 means at once.
    #[must_use]
    pub fn bytes_per_second(mut self, rate: u64) -> Mock {
        self.bytes_per_second = Some(rate).filter(|rate| *rate > 0);
        self
    }

    /// Answers so many requests and no more. 0 means every one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Mock {
        self.times = Some(times).filter(|times| *times > 0);
        self
    }

    fn answers(&self, method: &str, url: &Url) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method) && matches(&self.pattern, url.as_str())
    }
}

/// A client's mocks, in the order of their registration, with how many requests each still answers.
#[derive(Default)]
pub(crate) struct Mocks(Vec<(u64, Arc<Mock>, Option<u32>)>);

impl Mocks {
    pub(crate) fn add(&mut self, id: u64, mock: Mock) {
        let left = mock.times;
        self.0.push((id, Arc::new(mock), left));
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.0.retain(|(other, ..)| *other != id);
    }

    /// The first that answers a hop, which counts as one of its times.
    pub(crate) fn answer(&mut self, method: &str, url: &Url) -> Option<Arc<Mock>> {
        let (_, mock, left) =
            self.0.iter_mut().find(|(_, mock, left)| *left != Some(0) && mock.answers(method, url))?;
        if let Some(left) = left {
            *left -= 1;
        }
        Some(Arc::clone(mock))
    }
}

/// Whether a pattern with `*` for any characters matches the whole text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The first place leaves the most for the parts after it.
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "http://x/"),
            ("http://x/*", "http://x/"),
            ("http://x/*", "http://x/a/b?c=*"),
            ("*/b?c*", "http://x/a/b?c=d"),
            ("http://x/*.png", "http://x/a.png.png"),
            ("**a**", "a"),
            ("a*b*c", "abbc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("http://x/*", "http://X/"),
            ("http://x/*", "https://x/"),
            ("http://x/*.png", "http://x/a.png?"),
            ("a*a", "a"),
            ("a*b*b", "ab"),
            ("a*b*c", "acb"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_in_order_answers_as_often_as_it_was_told() {
        let url = Url::parse("http://x/a").unwrap();
        let mut mocks = Mocks::default();
        let mock = |pattern: &str, status| Mock::new(pattern).unwrap().status(status).unwrap();
        mocks.add(1, mock("http://x/a", 201).method("POST").unwrap());
        mocks.add(2, mock("http://x/*", 202).times(2));
        mocks.add(3, mock("*", 203));
        let mut status = |method| mocks.answer(method, &url).map(|mock| mock.status);
        assert_eq!(status("POST"), Some(201));
        assert_eq!([status("GET"), status("GET"), status("GET")], [Some(202), Some(202), Some(203)]);
        mocks.remove(3);
        assert!(mocks.answer("GET", &url).is_none());
    }

    #[test]
    fn a_pattern_without_a_star_is_a_url() {
        let url = Url::parse("http://x/%C3%A4").unwrap();
        let mut mocks = Mocks::default();
        mocks.add(1, Mock::new("HTTP://X:80/ä#part").unwrap());
        assert!(mocks.answer("GET", &url).is_some());
        let reason = |pattern: &str| Mock::new(pattern).err().map(|refusal| refusal.reason);
        assert_eq!(
            (reason(""), reason("x"), reason("ftp://x")),
            (Some(Reason::Url), Some(Reason::Url), Some(Reason::Scheme))
        );
        assert_eq!(reason(&"*".repeat(MAX_URL_BYTES + 1)), Some(Reason::Url));
        assert!(Mock::new("*").unwrap().status(199).is_err() && Mock::new("*").unwrap().status(600).is_err());
    }
}
