//! What libcurl's codes mean to the host.

use curl_sys::CURLcode;

use super::sys;
use super::{Easy, Transfer};
use crate::error::{ErrorKind, Failure};

/// How far a transfer had come when it failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    Nothing,
    Connection,
    /// The response's head has come.
    Response,
}

/// Explains why a transfer that libcurl ended with `code` failed.
pub(crate) fn explain<H: Transfer>(easy: &mut Easy<H>, code: CURLcode, origin: &str, reached: Reached) -> Failure {
    let proxy_status = easy.proxy_status();
    let proxy = easy.used_proxy();
    let refused_by_proxy = proxy && proxy_status != 0 && !(200..300).contains(&proxy_status);
    // What libcurl says of fields shows them, and they may be another transfer's on the same connection.
    let text = easy.take_error_text().filter(|text| !text.contains("HTTP header field"));
    let text = text.unwrap_or_else(|| curl::Error::new(code).description().to_owned());
    let unanswered = proxy && reached == Reached::Nothing && is_no_answer(code);
    let kind = if refused_by_proxy || unanswered {
        ErrorKind::Proxy
    } else if is_malformed(code, &text) {
        ErrorKind::Protocol
    } else if is_late_alert(code, &text) {
        ErrorKind::Tls
    } else {
        kind_of(code, proxy, reached)
    };
    let text = text.trim_end_matches(['\n', '.', ' ']);
    Failure::new(kind, format!("{}: {origin}: {text}", kind.text()))
}

/// TLS 1.3 lets a server refuse the client's certificate after the handshake, when the response is read.
fn is_late_alert(code: CURLcode, text: &str) -> bool {
    code == curl_sys::CURLE_RECV_ERROR && text.contains("SSL routines") && text.contains("alert")
}

/// libcurl says of some malformed responses that receiving failed.
fn is_malformed(code: CURLcode, text: &str) -> bool {
    code == curl_sys::CURLE_RECV_ERROR && (text.contains("chunk") || text.starts_with("Too large response headers"))
}

/// Before a connection is ready, these codes mean that a proxy has dropped CONNECT or answered it by what is no answer:
/// whatever goes wrong in a TLS handshake has codes of its own.
fn is_no_answer(code: CURLcode) -> bool {
    matches!(
        code,
        curl_sys::CURLE_RECV_ERROR
            | curl_sys::CURLE_SEND_ERROR
            | curl_sys::CURLE_GOT_NOTHING
            | curl_sys::CURLE_FTP_WEIRD_SERVER_REPLY
            | sys::CURLE_TOO_LARGE
    )
}

fn kind_of(code: CURLcode, proxy: bool, reached: Reached) -> ErrorKind {
    match code {
        curl_sys::CURLE_COULDNT_RESOLVE_HOST => ErrorKind::Resolve,
        curl_sys::CURLE_COULDNT_RESOLVE_PROXY | sys::CURLE_PROXY => ErrorKind::Proxy,
        curl_sys::CURLE_COULDNT_CONNECT if proxy => ErrorKind::Proxy,
        curl_sys::CURLE_COULDNT_CONNECT | curl_sys::CURLE_INTERFACE_FAILED => ErrorKind::Connect,
        curl_sys::CURLE_SSL_CONNECT_ERROR
        | curl_sys::CURLE_SSL_CIPHER
        | curl_sys::CURLE_SSL_CERTPROBLEM
        // Said in a transfer only of a private key or certificate that cannot be loaded.
        | curl_sys::CURLE_BAD_FUNCTION_ARGUMENT
        | curl_sys::CURLE_SSL_ENGINE_INITFAILED => ErrorKind::Tls,
        curl_sys::CURLE_PEER_FAILED_VERIFICATION
        | curl_sys::CURLE_SSL_CACERT_BADFILE
        | curl_sys::CURLE_SSL_ISSUER_ERROR
        | curl_sys::CURLE_SSL_PINNEDPUBKEYNOTMATCH
        | curl_sys::CURLE_SSL_INVALIDCERTSTATUS => ErrorKind::Certificate,
        curl_sys::CURLE_OPERATION_TIMEDOUT if reached > Reached::Nothing => ErrorKind::Timeout,
        curl_sys::CURLE_OPERATION_TIMEDOUT => ErrorKind::ConnectTimeout,
        // An HTTP/2 connection that dies fails at whatever it was doing.
        curl_sys::CURLE_SEND_ERROR if reached == Reached::Response => ErrorKind::Receive,
        curl_sys::CURLE_SEND_ERROR | curl_sys::CURLE_SEND_FAIL_REWIND => ErrorKind::Send,
        curl_sys::CURLE_RECV_ERROR | curl_sys::CURLE_GOT_NOTHING | curl_sys::CURLE_PARTIAL_FILE => ErrorKind::Receive,
        curl_sys::CURLE_HTTP2
        | curl_sys::CURLE_HTTP2_STREAM
        | curl_sys::CURLE_FTP_WEIRD_SERVER_REPLY
        | curl_sys::CURLE_UNSUPPORTED_PROTOCOL
        // Said of a Transfer-Encoding alone: content codings are undone by us.
        | curl_sys::CURLE_BAD_CONTENT_ENCODING
        | sys::CURLE_TOO_LARGE => ErrorKind::Protocol,
        curl_sys::CURLE_URL_MALFORMAT => ErrorKind::InvalidUrl,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        assert_eq!(kind_of(6, false, Reached::Nothing), ErrorKind::Resolve);
        assert_eq!(kind_of(7, false, Reached::Nothing), ErrorKind::Connect);
        assert_eq!(kind_of(7, true, Reached::Nothing), ErrorKind::Proxy);
        assert_eq!(kind_of(97, true, Reached::Nothing), ErrorKind::Proxy);
        assert_eq!(kind_of(18, false, Reached::Connection), ErrorKind::Receive);
        assert_eq!(kind_of(60, false, Reached::Nothing), ErrorKind::Certificate);
        assert_eq!(kind_of(90, false, Reached::Nothing), ErrorKind::Certificate);
        assert_eq!(kind_of(61, false, Reached::Connection), ErrorKind::Protocol);
        assert_eq!(kind_of(55, false, Reached::Connection), ErrorKind::Send);
        assert_eq!(kind_of(55, false, Reached::Response), ErrorKind::Receive);
        assert_eq!(kind_of(27, false, Reached::Connection), ErrorKind::Internal);
        assert!(is_malformed(56, "chunk hex-length char not a hex digit: 0x7a"));
        assert!(!is_malformed(56, "Recv failure: Connection reset by peer"));
        assert!(is_no_answer(56) && !is_no_answer(35), "the handshake with the server follows the answer");
    }
}
