//! What curl-sys 0.4.91 does not declare, and typed calls for libcurl's variadic ones. Numbers are from libcurl's
//! curl.h and multi.h.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::net::{IpAddr, SocketAddr};

use curl_sys::{CURL, CURLINFO, CURLM, CURLMoption, CURLoption};

pub(super) const OPT_XOAUTH2_BEARER: CURLoption = 10_220;
pub(super) const OPT_PATH_AS_IS: CURLoption = 234;
pub(super) const OPT_SUPPRESS_CONNECT_HEADERS: CURLoption = 265;
pub(super) const OPT_REQUEST_TARGET: CURLoption = 10_266;
pub(super) const OPT_PROXY_CAINFO: CURLoption = 10_246;
#[cfg(unix)]
pub(super) const OPT_PROXY_CAPATH: CURLoption = 10_247;
pub(super) const OPT_PREREQFUNCTION: CURLoption = 20_312;
pub(super) const OPT_PREREQDATA: CURLoption = 10_313;
pub(super) const OPT_FRESH_CONNECT: CURLoption = 74;
pub(super) const OPT_CONNECT_ONLY: CURLoption = 141;
pub(super) const OPT_HTTPPROXYTUNNEL: CURLoption = 61;
pub(super) const OPT_PROTOCOLS_STR: CURLoption = 10_318;

/// Leave name-lookup threads behind in place of joining them.
pub(super) const MOPT_QUICK_EXIT: CURLMoption = 21;
/// Forget what is known of the network, as these bits say.
pub(super) const MOPT_NETWORK_CHANGED: CURLMoption = 17;
pub(super) const NETWORK_CHANGED_CLEAR_CONNECTIONS: c_long = 1 << 1;
pub(super) const NETWORK_CHANGED_CLEAR_NAMES: c_long = 1 << 2;

const INFO_OFF_T: CURLINFO = 0x60_0000;
const INFO_LONG: CURLINFO = 0x20_0000;
const INFO_STRING: CURLINFO = 0x10_0000;
pub(super) const INFO_OS_ERRNO: CURLINFO = INFO_LONG + 25;
pub(super) const INFO_HTTP_VERSION: CURLINFO = INFO_LONG + 46;
const INFO_PRIMARY_IP: CURLINFO = INFO_STRING + 32;
const INFO_PRIMARY_PORT: CURLINFO = INFO_LONG + 40;
pub(super) const INFO_LOCAL_IP: CURLINFO = INFO_STRING + 41;
pub(super) const INFO_NAMELOOKUP_TIME_T: CURLINFO = INFO_OFF_T + 51;
pub(super) const INFO_CONNECT_TIME_T: CURLINFO = INFO_OFF_T + 52;
pub(super) const INFO_STARTTRANSFER_TIME_T: CURLINFO = INFO_OFF_T + 54;
pub(super) const INFO_APPCONNECT_TIME_T: CURLINFO = INFO_OFF_T + 56;
const INFO_ACTIVESOCKET: CURLINFO = 0x50_0000 + 44;
pub(super) const INFO_CONN_ID: CURLINFO = INFO_OFF_T + 64;
pub(super) const INFO_NUM_CONNECTS: CURLINFO = INFO_LONG + 26;
pub(super) const INFO_USED_PROXY: CURLINFO = INFO_LONG + 66;
#[cfg(unix)]
const INFO_TLS_SSL_PTR: CURLINFO = 0x40_0000 + 45;
pub(super) const INFO_HTTP_CONNECTCODE: CURLINFO = INFO_LONG + 22;

/// CURLE_PROXY: a SOCKS proxy refused.
pub(super) const CURLE_PROXY: curl_sys::CURLcode = 97;
/// CURLE_TOO_LARGE: a header was too large.
pub(super) const CURLE_TOO_LARGE: curl_sys::CURLcode = 100;

/// Turns libcurl's code into what it says about an option.
fn accepted(code: curl_sys::CURLcode, option: CURLoption) -> Result<(), String> {
    if code == curl_sys::CURLE_OK {
        return Ok(());
    }
    // SAFETY: libcurl gives a constant string for every code.
    let text = unsafe { CStr::from_ptr(curl_sys::curl_easy_strerror(code)) }.to_string_lossy();
    Err(format!("libcurl refused its option {option}: {text}"))
}

/// A handle that options can be set on. Every option set is one that libcurl copies or that outlives the handle.
#[derive(Clone, Copy)]
pub(super) struct Raw(pub(super) *mut CURL);

impl Raw {
    pub(super) fn long(self, option: CURLoption, value: i64) -> Result<(), String> {
        #[allow(clippy::cast_possible_truncation)] // the options set here have small values
        let value = value as c_long;
        // SAFETY: the handle is live while its owner calls this, and the option takes a long.
        accepted(unsafe { curl_sys::curl_easy_setopt(self.0, option, value) }, option)
    }

    pub(super) fn offset(self, option: CURLoption, value: i64) -> Result<(), String> {
        // SAFETY: as above; the option takes a curl_off_t.
        accepted(unsafe { curl_sys::curl_easy_setopt(self.0, option, value) }, option)
    }

    /// Sets a string, which libcurl copies; `None` unsets it.
    pub(super) fn text(self, option: CURLoption, value: Option<&CStr>) -> Result<(), String> {
        let pointer = value.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: as above; the option takes a NUL-terminated string or NULL, and copies it.
        accepted(unsafe { curl_sys::curl_easy_setopt(self.0, option, pointer) }, option)
    }

    /// Sets a pointer or function.
    ///
    /// # Safety
    /// It is of the type that the option takes, and stays valid while the handle may use it.
    pub(super) unsafe fn pointer(self, option: CURLoption, value: *const c_char) -> Result<(), String> {
        // SAFETY: promised by the caller.
        accepted(unsafe { curl_sys::curl_easy_setopt(self.0, option, value) }, option)
    }

    /// Reads a curl_off_t; 0 if there is none.
    pub(super) fn info_offset(self, info: CURLINFO) -> i64 {
        let mut value: i64 = 0;
        // SAFETY: the handle is live, and the info writes a curl_off_t.
        let code = unsafe { curl_sys::curl_easy_getinfo(self.0, info, &raw mut value) };
        if code == curl_sys::CURLE_OK { value } else { 0 }
    }

    /// Reads a long; 0 if there is none.
    pub(super) fn info_long(self, info: CURLINFO) -> c_long {
        let mut value: c_long = 0;
        // SAFETY: the handle is live, and the info writes a long.
        let code = unsafe { curl_sys::curl_easy_getinfo(self.0, info, &raw mut value) };
        if code == curl_sys::CURLE_OK { value } else { 0 }
    }

    /// Reads a string.
    pub(super) fn info_text(self, info: CURLINFO) -> Option<String> {
        // SAFETY: the text is copied before anything else is done with the handle.
        Some(unsafe { self.info_c_text(info) }?.to_string_lossy().into_owned())
    }

    /// The address at the other end of the last connection.
    pub(super) fn remote_address(self) -> Option<SocketAddr> {
        // SAFETY: the text is read before anything else is done with the handle.
        let address: IpAddr = unsafe { self.info_c_text(INFO_PRIMARY_IP) }?.to_str().ok()?.parse().ok()?;
        let port = u16::try_from(self.info_long(INFO_PRIMARY_PORT)).ok()?;
        Some(SocketAddr::new(address, port))
    }

    /// # Safety
    /// The text is the handle's, and valid until something is done with that.
    unsafe fn info_c_text<'a>(self, info: CURLINFO) -> Option<&'a CStr> {
        let mut value: *const c_char = std::ptr::null();
        // SAFETY: the handle is live, and the info writes a pointer to a string that the handle owns, or NULL.
        let code = unsafe { curl_sys::curl_easy_getinfo(self.0, info, &raw mut value) };
        if code != curl_sys::CURLE_OK || value.is_null() {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { CStr::from_ptr(value) })
    }

    /// OpenSSL's session of the handle's connection, if it has one.
    #[cfg(unix)]
    pub(super) fn openssl_session(self) -> Option<*mut std::ffi::c_void> {
        #[repr(C)]
        struct TlsSessionInfo {
            backend: c_int,
            internals: *mut std::ffi::c_void,
        }
        const BACKEND_OPENSSL: c_int = 1;
        let mut info: *const TlsSessionInfo = std::ptr::null();
        // SAFETY: the handle is live, and the info writes a pointer to a curl_tlssessioninfo that the handle owns.
        let code = unsafe { curl_sys::curl_easy_getinfo(self.0, INFO_TLS_SSL_PTR, &raw mut info) };
        // SAFETY: NULL, or as above.
        let info = unsafe { info.as_ref() }.filter(|_| code == curl_sys::CURLE_OK)?;
        (info.backend == BACKEND_OPENSSL && !info.internals.is_null()).then_some(info.internals)
    }

    /// Looks whether there is a byte to read on the handle's connection, without taking it; `None` if it has none.
    pub(super) fn peek(self) -> Option<std::io::Result<usize>> {
        let socket = self.socket()?;
        #[cfg(unix)]
        // SAFETY: libcurl holds the socket open during this call.
        let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket) };
        #[cfg(windows)]
        // SAFETY: as on Unix.
        let socket = unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(socket as u64) };
        let mut byte = [std::mem::MaybeUninit::uninit()];
        Some(socket2::SockRef::from(&socket).peek(&mut byte))
    }

    /// Whether the connection is closed once the transfer is over, rather than kept for another.
    pub(super) fn forbid_reuse(self, forbid: bool) {
        // libcurl refuses no value of it.
        let _ = self.long(curl_sys::CURLOPT_FORBID_REUSE, forbid.into());
    }

    /// The socket of the connection, if there is one.
    pub(super) fn socket(self) -> Option<curl_sys::curl_socket_t> {
        let mut socket: curl_sys::curl_socket_t = curl_sys::CURL_SOCKET_BAD;
        // SAFETY: the handle is live, and the info writes a socket.
        let code = unsafe { curl_sys::curl_easy_getinfo(self.0, INFO_ACTIVESOCKET, &raw mut socket) };
        (code == curl_sys::CURLE_OK && socket != curl_sys::CURL_SOCKET_BAD).then_some(socket)
    }

    /// Pauses and unpauses: the directions in `mask` are paused, others go on.
    pub(super) fn pause(self, mask: c_int) {
        // SAFETY: the handle is live. A failure means that the transfer has just ended, which is told elsewhere.
        let _ = unsafe { curl_sys::curl_easy_pause(self.0, mask) };
    }
}

/// Sets a long on a multi handle. A failure leaves libcurl's default, which all options set here have a safe one of.
///
/// # Safety
/// `multi` is live.
pub(super) unsafe fn multi_long(multi: *mut CURLM, option: CURLMoption, value: c_long) {
    // SAFETY: promised by the caller; the option takes a long.
    let _ = unsafe { curl_sys::curl_multi_setopt(multi, option, value) };
}
