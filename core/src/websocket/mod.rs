//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), the client's side, without I/O.
//!
//! [`handshake`] makes the fields of the upgrade request and checks the response. [`Connection`] is an open connection: it is
//! fed the bytes that came and the time, and gives back messages, the bytes to send, and how it ended. [`Reader`] and
//! [`Writer`] are its two directions.
//!
//! ```text
//!          close() of ours, the peer's Close, a violation
//!   Open ────────────────────────────────────────────────► Closing
//!    │                                                        │
//!    │ the stream ends, or                                    │ the stream ends, or
//!    │ silence after a ping                                   │ the time for an answer is over
//!    └──────────────────────────► Closed ◄────────────────────┘
//! ```

mod connection;
mod deflate;
mod frame;
pub mod handshake;
mod reader;
mod utf8;
mod writer;

pub use connection::{Connection, Ending, Happening, Refusal, Settings};
pub use deflate::Deflate;
pub use frame::{MAX_REASON_BYTES, is_close_code_to_send};
pub use reader::{Incoming, Reader};
pub use writer::Writer;

use std::borrow::Cow;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8, which has been checked.
    Text,
    /// Any bytes.
    Binary,
}

/// How the peer broke the protocol or a limit, and the close code that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A close code of RFC 6455, section 7.4.1.
    pub code: u16,
    /// The rule or the limit, in words.
    pub message: Cow<'static, str>,
}

impl Violation {
    fn protocol(message: &'static str) -> Violation {
        Violation { code: close_code::PROTOCOL_ERROR, message: Cow::Borrowed(message) }
    }

    fn not_utf8() -> Violation {
        Violation { code: close_code::INVALID_DATA, message: Cow::Borrowed("a text message is not valid UTF-8") }
    }

    fn too_big(limit: u64) -> Violation {
        let message = format!("a message is larger than {limit} bytes, which is the limit (max_message_bytes)");
        Violation { code: close_code::TOO_BIG, message: Cow::Owned(message) }
    }
}

/// The close codes that this side uses itself.
pub mod close_code {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// No code was in the Close frame. Never sent.
    pub const NONE: u16 = 1005;
    /// The connection ended without a Close frame. Never sent.
    pub const ABNORMAL: u16 = 1006;
    /// A message is not what its kind says, such as text that is no UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A message is larger than is accepted.
    pub const TOO_BIG: u16 = 1009;
}
