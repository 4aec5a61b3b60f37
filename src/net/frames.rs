//! What libcurl tells of HTTP/2 in words alone, read from its trace.
//!
//! None of libcurl's interfaces shows that a stream was reset without an error in the middle of its body, that a server
//! has refused a stream without processing it, or that nghttp2 has given a connection up. Its trace does, and it is part
//! of our build, so its wording changes only with the version in Cargo.lock: tests/http2_faults.rs would show it.

use std::sync::Once;

/// A line of the trace that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The transfer that hears it has this stream.
    Opened(u32),
    /// The stream of the transfer that hears it was refused, or its request could not be sent any more.
    Refused,
    /// Bytes have come on the connection of the transfer that hears it; the streams may be others'.
    Came,
    /// A stream of this connection has come to its end.
    Whole(u32),
    /// A stream of this connection was closed without an error.
    Closed(u32),
    /// nghttp2 has found a stream's head malformed, and gives the connection up.
    Malformed(u32),
    /// nghttp2 has given the connection up.
    Broken,
}

/// NGHTTP2_REFUSED_STREAM as a trace line ends.
const REFUSED: &str = "(err 7)";

impl Heard {
    /// Reads a line. Those that show what a server has sent begin with words of libcurl's own, so no server can forge one.
    pub(crate) fn read(line: &[u8]) -> Option<Heard> {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let Some(line) = line.strip_prefix("[HTTP/2] [") else {
            if line.starts_with("nghttp2 shuts down connection") || line.starts_with("nghttp2 recv error") {
                return Some(Heard::Broken);
            }
            let field = line.strip_prefix("Invalid HTTP header field was received: frame type: ")?;
            let (_, stream) = field.split_once(", stream: ")?;
            return Some(Heard::Malformed(stream.split(',').next()?.parse().ok()?));
        };
        let (stream, line) = line.split_once("] ")?;
        if let Some(frame) = line.strip_prefix("<- FRAME[") {
            let stream = stream.parse().ok()?;
            let whole = (frame.starts_with("DATA, ") || frame.starts_with("HEADERS, ")) && frame.contains(", eos=1");
            let closed = frame.starts_with("RST_STREAM, ") && frame.ends_with(", error=0]");
            return if whole { Some(Heard::Whole(stream)) } else { closed.then_some(Heard::Closed(stream)) };
        }
        if line.starts_with("ingress: read ") {
            return Some(Heard::Came);
        }
        if line.starts_with("OPENED stream for ") {
            return Some(Heard::Opened(stream.parse().ok()?));
        }
        (line.starts_with("RESET: ") && line.ends_with(REFUSED)).then_some(Heard::Refused)
    }
}

unsafe extern "C" {
    fn curl_global_trace(config: *const std::ffi::c_char) -> curl_sys::CURLcode;
}

/// Has libcurl tell of frames, in those transfers that listen. To be called before any thread of ours uses libcurl.
pub(super) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the text is a C string; libcurl was initialised when the library was loaded.
        let _ = unsafe { curl_global_trace(c"http/2".as_ptr()) };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_trace_are_read() {
        for (line, heard) in [
            ("[HTTP/2] [5] OPENED stream for https://a/", Some(Heard::Opened(5))),
            ("[HTTP/2] [5] [:path: /OPENED stream for]", None),
            ("[HTTP/2] [5] <- FRAME[DATA, len=4, eos=1, padlen=0]", Some(Heard::Whole(5))),
            ("[HTTP/2] [5] <- FRAME[DATA, len=4, eos=0, padlen=0]", None),
            ("[HTTP/2] [5] <- FRAME[HEADERS, len=4, hend=1, eos=1]", Some(Heard::Whole(5))),
            ("[HTTP/2] [5] <- FRAME[RST_STREAM, len=4, flags=0, error=0]", Some(Heard::Closed(5))),
            ("[HTTP/2] [5] <- FRAME[RST_STREAM, len=4, flags=0, error=10]", None),
            ("[HTTP/2] [0] <- FRAME[GOAWAY, error=0, reason=', eos=1, error=0]', last_stream=5]", None),
            ("[HTTP/2] [5] RESET: REFUSED_STREAM (err 7)", Some(Heard::Refused)),
            ("[HTTP/2] [5] RESET: CANCEL (err 8)", None),
            ("[HTTP/2] [5] header: RESET: (err 7)", None),
            ("[HTTP/2] [0] ingress: read 9 bytes", Some(Heard::Came)),
            ("nghttp2 shuts down connection with error 1: PROTOCOL_ERROR", Some(Heard::Broken)),
            (
                "Invalid HTTP header field was received: frame type: 1, stream: 7, name: [a], value: [, stream: 9]",
                Some(Heard::Malformed(7)),
            ),
            ("", None),
        ] {
            assert_eq!(Heard::read(format!("{line}\n").as_bytes()), heard, "{line}");
        }
        assert_eq!(Heard::read(b"[HTTP/2] [5] \xFF"), None);
    }
}
