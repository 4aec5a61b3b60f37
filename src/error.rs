//! The two kinds of failure and their numbers: a call that was refused ([`Refusal`]) and a transfer that went wrong on
//! the way ([`ErrorKind`]). Numbers are part of the C ABI: add at the end, never change or reuse one.

use std::fmt;
use std::io;

/// Defines an enum whose numbers and texts are fixed, with look-ups both ways.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident: $repr:ty { $($(#[$doc:meta])* $variant:ident = $number:literal => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant = $number,)+ }

        impl $name {
            /// Every member, in the order of its number's addition.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The number that the C ABI uses.
            pub const fn number(self) -> $repr { self as $repr }

            /// The member with this number.
            pub const fn from_number(number: $repr) -> Option<$name> {
                match number { $($number => Some($name::$variant),)+ _ => None }
            }

            /// A short English description, NUL-terminated.
            pub(crate) const fn c_text(self) -> &'static str {
                match self { $($name::$variant => concat!($text, "\0"),)+ }
            }

            /// A short English description.
            pub fn text(self) -> &'static str { self.c_text().trim_end_matches('\0') }
        }
    };
}

numbered! {
    /// Why a call was refused. Nothing was done and no event will come of it.
    Reason: i32 {
        /// A pointer that must not be NULL was NULL.
        NullArgument = -1 => "a required pointer is NULL",
        /// `struct_size` is below the first release's size, or bytes that this library does not know are set.
        StructSize = -2 => "struct_size is not one this library can read",
        /// A string is not valid UTF-8.
        Utf8 = -3 => "a string is not valid UTF-8",
        /// The URL is empty, malformed or too long.
        Url = -4 => "the URL is not valid",
        /// The URL's scheme is not http or https.
        Scheme = -5 => "only http and https URLs are supported",
        /// The method is not an HTTP token, or one that cannot be sent.
        Method = -6 => "the method is not valid",
        /// A header's name or value cannot be sent.
        Header = -7 => "a header is not valid",
        /// A file name is empty or leaves its base directory, or that directory is unknown or read-only.
        Path = -8 => "a file name is not valid",
        /// A number, flag or combination of fields is out of range.
        Argument = -9 => "an argument is out of range",
        /// The body is larger than the limit.
        BodyTooLarge = -10 => "the body is larger than memory can hold",
        /// Another thread is in the same call, which takes one thread at a time.
        Busy = -11 => "another thread is in this call",
        /// The id is not that of a request which is still to end.
        Stale = -12 => "the request has ended and was drained, or never existed",
        /// As many requests as the client takes are waiting, running or not yet drained.
        TooManyRequests = -13 => "the client holds as many requests as it takes",
        /// The operating system refused a thread or a descriptor.
        System = -14 => "the operating system refused a resource",
        /// There is no such header, body or other part.
        NotFound = -15 => "there is no such part",
        /// The client is being destroyed.
        Shutdown = -16 => "the client is shutting down",
        /// A defect in Sortie, caught at the boundary.
        Internal = -17 => "an internal error was caught",
    }
}

numbered! {
    /// What went wrong while a request was on its way. An HTTP status such as 404 is not among these: it is data.
    ErrorKind: u32 {
        /// The host's name could not be resolved.
        Resolve = 1 => "the host name could not be resolved",
        /// No connection could be made.
        Connect = 2 => "the connection could not be made",
        /// The TLS handshake failed.
        Tls = 3 => "the TLS handshake failed",
        /// The server's certificate, its name or its pinned key was not accepted.
        Certificate = 4 => "the server's certificate was not accepted",
        /// The total time ran out.
        Timeout = 5 => "the request took longer than its limit",
        /// The time to connect ran out.
        ConnectTimeout = 6 => "connecting took longer than its limit",
        /// No byte moved for the stall time.
        Stalled = 7 => "no data moved for longer than the limit",
        /// Sending failed.
        Send = 8 => "sending the request failed",
        /// Receiving failed, or the response was cut short.
        Receive = 9 => "receiving the response failed",
        /// The peer did not speak HTTP as it should.
        Protocol = 10 => "the server broke the protocol",
        /// Too many redirects, or one that is not allowed.
        Redirects = 11 => "a redirect was not followed",
        /// The response's body is larger than the limit.
        BodyTooLarge = 12 => "the response body is larger than the limit",
        /// The response's content encoding is broken.
        Decode = 13 => "the response body could not be decoded",
        /// A file could not be read or written.
        File = 14 => "a file could not be read or written",
        /// The disk is full.
        DiskFull = 15 => "the disk is full",
        /// The body is not the one expected.
        Integrity = 16 => "the body is not the expected one",
        /// The proxy refused or failed.
        Proxy = 17 => "the proxy refused or failed",
        /// The host cancelled the request.
        Cancelled = 18 => "the request was cancelled",
        /// A URL met on the way, such as a redirect's, is not valid.
        InvalidUrl = 19 => "a URL is not valid",
        /// The server asked for something that Sortie does not do.
        Unsupported = 20 => "the server asked for something unsupported",
        /// The client shut down.
        Shutdown = 21 => "the client shut down",
        /// A defect in Sortie or an exhausted resource.
        Internal = 22 => "an internal error ended the request",
        /// The request waited in the queue for longer than its limit.
        QueueTimeout = 23 => "the request waited longer than its limit",
        /// The request's text cannot be written in the charset that it is to be sent in.
        Encode = 24 => "the request body could not be encoded",
        /// The request was to be answered by the cache alone, which has no answer.
        NotCached = 25 => "the cache has no answer",
    }
}

/// A refused call: why, and a message that names the thing and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why the call was refused.
    pub reason: Reason,
    /// What exactly was wrong, for a person.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Refusal {
        Refusal { reason, message: message.into() }
    }

    /// Of a file or a folder, for what the system says of it: that it is out of something is not the path's fault.
    pub(crate) fn of_file(what: &str, error: &io::Error) -> Refusal {
        let reason = if is_exhausted(error) { Reason::System } else { Reason::Path };
        Refusal::new(reason, format!("{what}: {error}"))
    }

    /// Of a request or a watch, by its number.
    pub(crate) fn stale(what: &str, number: u64) -> Refusal {
        Refusal::new(Reason::Stale, format!("{what} {number} has already ended or never existed"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Whether the system has no descriptor or no memory left for something.
fn is_exhausted(error: &io::Error) -> bool {
    // ENFILE, EMFILE and ENOMEM, which are the same on every Unix; ERROR_TOO_MANY_OPEN_FILES.
    let numbers: &[i32] = if cfg!(unix) { &[23, 24, 12] } else { &[4] };
    error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// What ended a request without a whole response: its kind, and a message that names the thing and the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub kind: ErrorKind,
    /// What exactly went wrong, for a person.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A number of bytes as a person reads it: whole numbers with the largest unit that does not hide anything.
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, name) in UNITS {
        if bytes >= size {
            return if bytes.is_multiple_of(size) {
                format!("{} {name}", bytes / size)
            } else {
                format!("{:.1} {name}", bytes as f64 / size as f64)
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_released_ones() {
        let reasons: Vec<i32> = Reason::ALL.iter().map(|r| r.number()).collect();
        assert_eq!(reasons, (1..=17).map(|n| -n).collect::<Vec<i32>>());
        let kinds: Vec<u32> = ErrorKind::ALL.iter().map(|k| k.number()).collect();
        assert_eq!(kinds, (1..=25).collect::<Vec<u32>>());
    }

    #[test]
    fn every_number_finds_its_member_and_text() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(*reason));
            assert!(reason.c_text().ends_with('\0') && !reason.text().contains('\0'));
        }
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_number(kind.number()), Some(*kind));
            assert!(kind.c_text().ends_with('\0') && !kind.text().is_empty());
        }
        assert_eq!(ErrorKind::from_number(0), None);
        assert_eq!(Reason::from_number(0), None);
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit() {
        assert_eq!(bytes_text(0), "0 bytes");
        assert_eq!(bytes_text(1023), "1023 bytes");
        assert_eq!(bytes_text(64 << 20), "64 MiB");
        assert_eq!(bytes_text(1536), "1.5 KiB");
    }
}
