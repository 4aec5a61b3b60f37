//! Basic authentication, the server's and the proxy's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The header value that these credentials make.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
