//! What libcurl's codes mean to the host.

use curl_sys::CURLcode;

use super::sys;
use super::{Easy, Transfer};
use crate::error::{ErrorKind, Failure};

/// Explains why a transfer that libcurl ended with `code` failed.
pub(crate) fn explain<H: Transfer>(easy: &mut Easy<H>, code: CURLcode, origin: &str, connected: bool) -> Failure {
    let proxy_status = easy.proxy_status();
    let proxy = easy.used_proxy();
    let refused_by_proxy = proxy && proxy_status != 0 && !(200..300).contains(&proxy_status);
    let text = easy.take_error_text().unwrap_or_else(|| curl::Error::new(code).description().to_owned());
    let kind = if refused_by_proxy {
        ErrorKind::Proxy
    } else if is_late_alert(code, &text) {
        ErrorKind::Tls
    } else {
        kind_of(code, proxy, connected)
    };
    let text = text.trim_end_matches(['\n', '.', ' ']);
    Failure::new(kind, format!("{}: {origin}: {text}", kind.text()))
}

/// TLS 1.3 lets a server refuse the client's certificate after the handshake, when the response is read.
fn is_late_alert(code: CURLcode, text: &str) -> bool {
    code == curl_sys::CURLE_RECV_ERROR && text.contains("SSL routines") && text.contains("alert")
}

fn kind_of(code: CURLcode, proxy: bool, connected: bool) -> ErrorKind {
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
        curl_sys::CURLE_OPERATION_TIMEDOUT if connected => ErrorKind::Timeout,
        curl_sys::CURLE_OPERATION_TIMEDOUT => ErrorKind::ConnectTimeout,
        curl_sys::CURLE_SEND_ERROR | curl_sys::CURLE_SEND_FAIL_REWIND => ErrorKind::Send,
        curl_sys::CURLE_RECV_ERROR | curl_sys::CURLE_GOT_NOTHING | curl_sys::CURLE_PARTIAL_FILE => ErrorKind::Receive,
        curl_sys::CURLE_HTTP2
        | curl_sys::CURLE_HTTP2_STREAM
        | curl_sys::CURLE_FTP_WEIRD_SERVER_REPLY
        | curl_sys::CURLE_UNSUPPORTED_PROTOCOL
        | sys::CURLE_TOO_LARGE => ErrorKind::Protocol,
        curl_sys::CURLE_BAD_CONTENT_ENCODING => ErrorKind::Decode,
        curl_sys::CURLE_URL_MALFORMAT => ErrorKind::InvalidUrl,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        assert_eq!(kind_of(6, false, false), ErrorKind::Resolve);
        assert_eq!(kind_of(7, false, false), ErrorKind::Connect);
        assert_eq!(kind_of(7, true, false), ErrorKind::Proxy);
        assert_eq!(kind_of(97, true, false), ErrorKind::Proxy);
        assert_eq!(kind_of(18, false, true), ErrorKind::Receive);
        assert_eq!(kind_of(60, false, false), ErrorKind::Certificate);
        assert_eq!(kind_of(90, false, false), ErrorKind::Certificate);
        assert_eq!(kind_of(61, false, true), ErrorKind::Decode);
        assert_eq!(kind_of(27, false, true), ErrorKind::Internal);
    }
}
