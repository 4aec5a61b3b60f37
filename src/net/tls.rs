//! Whom to trust and who we are.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use super::sys::{self, Raw};
use crate::config::{ClientCertificate, canonical_host};
use crate::error::{Reason, Refusal};
use crate::files::{self, Links};

/// A program may exit while handshakes are under way. OpenSSL would clean up after itself then, and take what the worker is
/// using. It can only be told before it is first used, which is when the curl crate's own initialiser runs; the section's
/// number puts this one before that.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[used]
#[unsafe(link_section = ".init_array.00099")]
static KEEP_OPENSSL_AT_EXIT: extern "C" fn() = keep_openssl_at_exit;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
extern "C" fn keep_openssl_at_exit() {
    unsafe extern "C" {
        // openssl-sys does not declare it.
        fn OPENSSL_init_crypto(options: u64, settings: *const openssl_sys::OPENSSL_INIT_SETTINGS) -> std::ffi::c_int;
    }
    // SAFETY: may be called at any time; no settings are passed.
    unsafe { OPENSSL_init_crypto(openssl_sys::OPENSSL_INIT_NO_ATEXIT, std::ptr::null()) };
}

/// The roots that servers' certificates are checked against.
pub(super) struct Roots {
    file: Option<CString>,
    directory: Option<CString>,
}

fn c_path(path: &Path) -> Result<CString, Refusal> {
    let text = path.to_str().ok_or_else(|| Refusal::new(Reason::Utf8, "a path is not valid UTF-8"))?;
    CString::new(text).map_err(|_| Refusal::new(Reason::Path, "a path holds a NUL"))
}

/// Refuses a file that is not there, so that a typing error shows at creation and not at the first request.
fn readable(path: &Path, what: &str) -> Result<(), Refusal> {
    let refuse = |error| Refusal::of_file(&format!("{what} '{}' cannot be read", path.display()), &error);
    files::open_to_read(path, Links::Follow).map(drop).map_err(refuse)
}

impl Roots {
    /// The given file, or else the system's roots, looked for once.
    pub(super) fn find(given: Option<&Path>) -> Result<Roots, Refusal> {
        if let Some(file) = given {
            readable(file, "ca_file")?;
            return Ok(Roots { file: Some(c_path(file)?), directory: None });
        }
        let (file, directory) = system_roots();
        // Both together turn libcurl's cache of loaded roots off, which costs 6 ms per connection.
        let file = file.map(|path| c_path(&path)).transpose()?;
        let directory = directory.filter(|_| file.is_none()).map(|path| c_path(&path)).transpose()?;
        Ok(Roots { file, directory })
    }

    pub(super) fn apply(&self, raw: Raw) -> Result<(), String> {
        #[cfg(windows)]
        if self.file.is_none() && self.directory.is_none() {
            // Schannel asks the system itself.
            return Ok(());
        }
        for option in [curl_sys::CURLOPT_CAINFO, sys::OPT_PROXY_CAINFO] {
            raw.text(option, self.file.as_deref())?;
        }
        #[cfg(unix)]
        for option in [curl_sys::CURLOPT_CAPATH, sys::OPT_PROXY_CAPATH] {
            raw.text(option, self.directory.as_deref())?;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn system_roots() -> (Option<PathBuf>, Option<PathBuf>) {
    let found = openssl_probe::probe();
    // The environment may name them, and the host may change its working directory later.
    let full = |path: Option<PathBuf>| path.and_then(|path| std::path::absolute(path).ok());
    // The worker would wait for what is no file.
    let file = full(found.cert_file).filter(|path| files::open_to_read(path, Links::Follow).is_ok());
    (file, full(found.cert_dir))
}

#[cfg(not(unix))]
fn system_roots() -> (Option<PathBuf>, Option<PathBuf>) {
    (None, None)
}

/// A client certificate as libcurl takes it.
pub(super) struct Identity {
    certificate: CString,
    key: CString,
    password: Option<CString>,
}

/// Reads the client's certificates by host.
pub(super) fn identities(given: &[ClientCertificate]) -> Result<Vec<(String, Identity)>, Refusal> {
    given
        .iter()
        .map(|given| {
            readable(&given.certificate, "certificate_file")?;
            let key = given.key.as_ref().unwrap_or(&given.certificate);
            readable(key, "key_file")?;
            let password = given.password.as_deref().map(CString::new).transpose();
            let password = password.map_err(|_| Refusal::new(Reason::Argument, "key_password holds a NUL"))?;
            let identity = Identity { certificate: c_path(&given.certificate)?, key: c_path(key)?, password };
            Ok((canonical_host("client certificate", &given.host)?, identity))
        })
        .collect()
}

pub(super) fn apply_identity(raw: Raw, identity: Option<&Identity>) -> Result<(), String> {
    raw.text(curl_sys::CURLOPT_SSLCERT, identity.map(|identity| identity.certificate.as_c_str()))?;
    raw.text(curl_sys::CURLOPT_SSLKEY, identity.map(|identity| identity.key.as_c_str()))?;
    // Without any, OpenSSL would ask for one at the terminal and wait.
    let password = identity.map(|identity| identity.password.as_deref().unwrap_or(c""));
    raw.text(curl_sys::CURLOPT_KEYPASSWD, password)
}

/// What the TLS handshake of a handle's connection agreed on to speak (ALPN), if anything.
#[cfg(unix)]
pub(super) fn negotiated_protocol<'a>(raw: Raw) -> Option<&'a [u8]> {
    let ssl = raw.openssl_session()?;
    let (mut protocol, mut length) = (std::ptr::null(), 0);
    // SAFETY: libcurl gives the session of the connection that the handle holds now.
    unsafe { openssl_sys::SSL_get0_alpn_selected(ssl.cast(), &raw mut protocol, &raw mut length) };
    if protocol.is_null() {
        return Some(b"");
    }
    // SAFETY: OpenSSL keeps the protocol's name as long as the session; it is only compared at once.
    Some(unsafe { std::slice::from_raw_parts(protocol, length as usize) })
}

#[cfg(not(unix))]
pub(super) fn negotiated_protocol<'a>(_: Raw) -> Option<&'a [u8]> {
    None
}
