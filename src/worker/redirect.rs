//! Where a redirect leads, and what goes along.

use std::fmt::Write;

use url::Url;

use super::shown::place;
use crate::error::{ErrorKind, Failure};
use crate::request::{check_scheme, take_credentials};

/// Headers that go along to another origin: they tell nothing of who is asking.
const SAFE_HEADERS: [&str; 6] =
    ["Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Range", "User-Agent"];

/// The next hop of a redirected request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NextHop {
    pub(super) url: Url,
    /// The method changes to GET and the body goes.
    pub(super) becomes_get: bool,
    /// Only safe headers go along, and no credentials.
    pub(super) leaves_origin: bool,
}

/// A header's URL as text. Bytes beyond ASCII are escaped one by one, as browsers do: in UTF-8 the URL is then the same, and
/// in any other charset the server finds the bytes that it has sent.
pub(super) fn reference(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii() {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Finds the next hop by the rules of the Fetch standard.
pub(super) fn next_hop(
    from: &Url,
    location: &str,
    status: u16,
    method: &str,
    allow_insecure: bool,
) -> Result<NextHop, Failure> {
    let invalid = |why: String| Failure::new(ErrorKind::InvalidUrl, format!("redirect from {}: {why}", place(from)));
    if location.chars().any(char::is_control) {
        return Err(invalid("its Location has a control character".into()));
    }
    let mut url = from.join(location).map_err(|error| invalid(format!("its Location is malformed: {error}")))?;
    if check_scheme(&url).is_err() {
        let message = format!("redirect from {} to the scheme '{}' was not followed", place(from), url.scheme());
        return Err(Failure::new(ErrorKind::Redirects, message));
    }
    if from.scheme() == "https" && url.scheme() == "http" && !allow_insecure {
        let message =
            format!("redirect from {} to {} was not followed: it leads from https to http", place(from), place(&url));
        return Err(Failure::new(ErrorKind::Redirects, message));
    }
    // Credentials in a Location are the server's to give, and not ours to send.
    take_credentials(&mut url).map_err(|refusal| invalid(refusal.message))?;
    url.set_fragment(None);
    let becomes_get = match status {
        301 | 302 => method == "POST",
        303 => !matches!(method, "GET" | "HEAD"),
        _ => false,
    };
    let leaves_origin = from.origin() != url.origin();
    Ok(NextHop { url, becomes_get, leaves_origin })
}

/// Headers that tell of a request's body: the Fetch standard's request-body-header names.
const BODY_HEADERS: [&str; 4] = ["Content-Encoding", "Content-Language", "Content-Location", "Content-Type"];

/// Whether a header goes along to the next hop. `lost_body`: a redirect has made the request a GET without a body.
pub(super) fn header_goes_along(name: &str, lost_body: bool, left_origin: bool) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if BODY_HEADERS.into_iter().any(is) {
        return !lost_body;
    }
    if left_origin { SAFE_HEADERS.into_iter().any(is) } else { !is("Host") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, location: &str, status: u16, method: &str) -> Result<NextHop, Failure> {
        next_hop(&Url::parse(from).unwrap(), location, status, method, false)
    }

    #[test]
    fn methods_change_as_the_fetch_standard_says() {
        let becomes_get = |status, method| hop("http://a/", "/b", status, method).unwrap().becomes_get;
        for status in [301, 302] {
            assert!(becomes_get(status, "POST"));
            assert!(!becomes_get(status, "PUT") && !becomes_get(status, "DELETE") && !becomes_get(status, "GET"));
        }
        assert!(becomes_get(303, "POST") && becomes_get(303, "PUT") && becomes_get(303, "DELETE"));
        assert!(!becomes_get(303, "GET") && !becomes_get(303, "HEAD"));
        for status in [307, 308] {
            assert!(!becomes_get(status, "POST") && !becomes_get(status, "DELETE"));
        }
    }

    #[test]
    fn locations_are_relative_to_the_last_hop() {
        let url = |location| hop("https://a/x/y?q", location, 302, "GET").unwrap().url.to_string();
        assert_eq!(url("z"), "https://a/x/z");
        assert_eq!(url("/z#f"), "https://a/z");
        assert_eq!(url("//b/z"), "https://b/z");
        assert_eq!(url("?r"), "https://a/x/y?r");
        assert_eq!(url("https://u:p@b/z"), "https://b/z");
    }

    #[test]
    fn what_must_not_be_followed_is_named() {
        assert_eq!(hop("https://a/", "http://a/", 302, "GET").unwrap_err().kind, ErrorKind::Redirects);
        assert_eq!(hop("http://a/", "file:///etc/passwd", 302, "GET").unwrap_err().kind, ErrorKind::Redirects);
        assert_eq!(hop("http://a/", "http://[", 302, "GET").unwrap_err().kind, ErrorKind::InvalidUrl);
        assert_eq!(hop("http://a/", "/x\u{1}", 302, "GET").unwrap_err().kind, ErrorKind::InvalidUrl);
        let allowed = next_hop(&Url::parse("https://a/").unwrap(), "http://a/", 302, "GET", true);
        assert!(allowed.unwrap().leaves_origin);
        let secret = hop("https://a/p?token=x", "http://a/q?token=y", 302, "GET").unwrap_err();
        assert!(!secret.message.contains("token"), "{secret}");
    }

    #[test]
    fn only_safe_headers_leave_the_origin() {
        for name in ["Authorization", "Cookie", "X-Api-Key", "Referer", "Host", "Proxy-Authorization", "Content-MD5"] {
            assert!(!header_goes_along(name, false, true), "{name}");
            assert!(!header_goes_along(name, true, true), "{name}");
        }
        assert!(header_goes_along("accept-language", true, true));
        assert!(header_goes_along("X-Api-Key", true, false));
        assert!(header_goes_along("Content-Disposition", true, false));
        for name in ["Content-Type", "content-encoding", "Content-Language", "Content-Location"] {
            assert!(header_goes_along(name, false, true) && header_goes_along(name, false, false), "{name}");
            assert!(!header_goes_along(name, true, false), "{name}");
        }
        assert!(!header_goes_along("Host", false, false));
    }
}
