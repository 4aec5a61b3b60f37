//! An open connection: messages both ways, pings and pongs, closing, and silence.

use std::borrow::Cow;
use std::time::Duration;

use super::deflate::Deflate;
use super::frame::{MAX_REASON_BYTES, is_close_code_to_send};
use super::reader::{Incoming, Reader};
use super::writer::Writer;
use super::{MessageKind, Violation, close_code};

/// How a connection behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest message that is accepted, decompressed.
    pub max_message_bytes: u64,
    /// The most that may wait to be sent.
    pub max_buffered_bytes: usize,
    /// After how long without a byte from the peer a ping asks whether it is still there.
    pub ping_after: Option<Duration>,
    /// How long the peer may then stay silent before it counts as gone.
    pub pong_within: Duration,
    /// How long the peer may take to answer a close.
    pub close_within: Duration,
    /// zlib's level, 0 to 9.
    pub compression_level: u32,
    /// Shorter messages are not compressed.
    pub compress_from_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_message_bytes: 16 << 20,
            max_buffered_bytes: 16 << 20,
            ping_after: Some(Duration::from_secs(30)),
            pong_within: Duration::from_secs(15),
            close_within: Duration::from_secs(5),
            compression_level: 6,
            compress_from_bytes: 64,
        }
    }
}

/// How a connection came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides have said that they close: a clean end. The code and the reason are the peer's.
    Closed {
        /// 1005 if the peer gave none.
        code: u16,
        /// Often empty.
        reason: String,
    },
    /// The peer broke the protocol or a limit, and was told so.
    Violated(Violation),
    /// The peer answered neither messages nor pings for this long.
    Stalled(Duration),
    /// The stream ended without a close.
    Dropped,
    /// The peer did not answer a close within the time allowed.
    Unanswered,
}

/// Something that the connection's owner has to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Happening<'a> {
    /// A piece of a message; see [`Incoming::Piece`].
    Piece {
        /// The message's kind.
        kind: MessageKind,
        /// The message begins with this piece.
        first: bool,
        /// The message ends with this piece.
        last: bool,
        /// Its bytes.
        data: &'a [u8],
    },
    /// A pong came, with its bytes.
    Pong(&'a [u8]),
}

/// Why a message or a close was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// So much waits to be sent that there is no room for it now.
    NoRoom,
    /// It is larger than there will ever be room for.
    TooLarge,
    /// A text is not valid UTF-8.
    NotUtf8,
    /// The connection is closing or closed.
    Closing,
    /// The code must not be sent, or the reason has more than 123 bytes.
    BadClose,
}

/// How much room for output a connection keeps that has nothing to send.
const KEPT_ROOM: usize = 4 << 10;
/// How much that has been sent may stand before what is still to be sent.
const MAX_SENT: usize = 256 << 10;

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A close has been sent. At `until` the end has been waited for long enough; `ending` is known once the peer has closed
    /// or broken a rule, and then nothing that comes counts.
    Closing {
        until: Duration,
        ending: Option<Ending>,
    },
    Closed(Ending),
}

/// An open connection without its socket.
///
/// Times are those of any clock that does not go back. Masks are four bytes from a source that the peer cannot foresee.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    reader: Reader,
    writer: Writer,
    state: State,
    /// When the last byte came from the peer.
    heard: Duration,
    /// When a ping was sent that nothing has come after.
    pinged: Option<Duration>,
    /// What is to be sent, of which this much has been.
    out: Vec<u8>,
    sent: usize,
}

impl Connection {
    /// A connection whose handshake is done.
    pub fn new(settings: Settings, deflate: Option<Deflate>, now: Duration) -> Connection {
        Connection {
            settings,
            reader: Reader::new(settings.max_message_bytes, deflate),
            writer: Writer::new(deflate, settings.compression_level, settings.compress_from_bytes),
            state: State::Open,
            heard: now,
            pinged: None,
            out: Vec::new(),
            sent: 0,
        }
    }

    /// Takes bytes that came, and tells `sink` of each thing found in them, which says whether to go on.
    ///
    /// Once it has said no, what is left of the input is to be given again later, even if nothing is: a compressed message may
    /// hold more than the bytes it came in.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        now: Duration,
        masks: &mut impl FnMut() -> [u8; 4],
        sink: &mut impl FnMut(Happening<'_>) -> bool,
    ) {
        if !input.is_empty() {
            self.heard = now;
            self.pinged = None;
        }
        while self.listens() {
            match self.reader.next(input) {
                Ok(None) => return,
                Ok(Some(Incoming::Piece { kind, first, last, data })) => {
                    if !sink(Happening::Piece { kind, first, last, data }) {
                        return;
                    }
                }
                Ok(Some(Incoming::Pong(payload))) => {
                    if !sink(Happening::Pong(payload)) {
                        return;
                    }
                }
                Ok(Some(Incoming::Ping(payload))) => {
                    // A peer that sends pings and reads nothing must not fill the memory.
                    if self.state == State::Open && self.out.len() - self.sent <= self.settings.max_buffered_bytes {
                        self.writer.pong(payload, masks(), &mut self.out);
                    }
                }
                Ok(Some(Incoming::Close { code, reason })) => {
                    let ending = Ending::Closed { code: code.unwrap_or(close_code::NONE), reason: reason.to_owned() };
                    if self.state == State::Open {
                        self.writer.close(code, "", masks(), &mut self.out);
                    }
                    // The stream is the server's to close; it has as long for that as for an answer.
                    self.begin_closing(now, Some(ending));
                }
                Err(violation) => {
                    if self.state == State::Open {
                        self.writer.close(Some(violation.code), &violation.message, masks(), &mut self.out);
                    }
                    self.begin_closing(now, Some(Ending::Violated(violation)));
                }
            }
        }
        // Nothing counts any more, but it is read so that the peer can come to its end.
        *input = &[];
    }

    /// Queues a piece of a message; one that is neither preceded nor followed by others is a whole message.
    ///
    /// It is taken whole or not at all.
    pub fn send(
        &mut self,
        kind: MessageKind,
        piece: &[u8],
        last: bool,
        masks: &mut impl FnMut() -> [u8; 4],
    ) -> Result<(), Refusal> {
        if self.state != State::Open {
            return Err(Refusal::Closing);
        }
        if kind == MessageKind::Text && last && !self.writer.is_within_message() && std::str::from_utf8(piece).is_err()
        {
            return Err(Refusal::NotUtf8);
        }
        let most = self.settings.max_buffered_bytes;
        if piece.len() > most {
            return Err(Refusal::TooLarge);
        }
        if self.buffered() + piece.len() > most {
            return Err(Refusal::NoRoom);
        }
        self.writer.piece(kind, piece, last, masks(), &mut self.out);
        Ok(())
    }

    /// Queues a ping of the program's own.
    pub fn ping(&mut self, payload: &[u8], masks: &mut impl FnMut() -> [u8; 4]) -> Result<(), Refusal> {
        if self.state != State::Open {
            return Err(Refusal::Closing);
        }
        self.writer.ping(payload, masks(), &mut self.out);
        Ok(())
    }

    /// Closes: what is queued is still sent, and what the peer sends until it answers is still told.
    pub fn close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        now: Duration,
        masks: &mut impl FnMut() -> [u8; 4],
    ) -> Result<(), Refusal> {
        if self.state != State::Open {
            return Err(Refusal::Closing);
        }
        if reason.len() > MAX_REASON_BYTES || code.map_or(!reason.is_empty(), |code| !is_close_code_to_send(code)) {
            return Err(Refusal::BadClose);
        }
        self.writer.close(code, reason, masks(), &mut self.out);
        self.begin_closing(now, None);
        Ok(())
    }

    fn begin_closing(&mut self, now: Duration, ending: Option<Ending>) {
        self.state = State::Closing { until: now.saturating_add(self.settings.close_within), ending };
    }

    /// Whether what comes still counts: no close and no violation has come.
    fn listens(&self) -> bool {
        matches!(self.state, State::Open | State::Closing { ending: None, .. })
    }

    /// The peer has ended the stream.
    pub fn stream_ended(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Closed(Ending::Dropped));
        self.state = State::Closed(match state {
            State::Open => Ending::Dropped,
            State::Closing { ending, .. } => ending.unwrap_or(Ending::Dropped),
            State::Closed(ending) => ending,
        });
    }

    /// When [`Connection::keep_time`] has something to do next.
    pub fn deadline(&self) -> Option<Duration> {
        match (&self.state, self.pinged) {
            (State::Closing { until, .. }, _) => Some(*until),
            (State::Closed(_), _) => None,
            (State::Open, Some(pinged)) => Some(pinged.saturating_add(self.settings.pong_within)),
            (State::Open, None) => Some(self.heard.saturating_add(self.settings.ping_after?)),
        }
    }

    /// Pings a peer that has been silent, and gives up one that does not answer.
    pub fn keep_time(&mut self, now: Duration, masks: &mut impl FnMut() -> [u8; 4]) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &mut self.state {
            State::Open if self.pinged.is_some() => {
                self.state = State::Closed(Ending::Stalled(now.saturating_sub(self.heard)));
            }
            State::Open => {
                self.writer.ping(&[], masks(), &mut self.out);
                self.pinged = Some(now);
            }
            State::Closing { ending, .. } => {
                self.state = State::Closed(ending.take().unwrap_or(Ending::Unanswered));
            }
            State::Closed(_) => {}
        }
    }

    /// The clock has stood still, such as while the machine slept: silence until now is not held against the peer.
    pub fn forgive_silence(&mut self, now: Duration) {
        self.heard = now;
        self.pinged = None;
    }

    /// The bytes to send next.
    pub fn output(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// This much of [`Connection::output`] has been sent.
    pub fn sent(&mut self, count: usize) {
        self.sent = self.out.len().min(self.sent + count);
        if self.sent == self.out.len() {
            self.out.clear();
            self.out.shrink_to(KEPT_ROOM);
            self.sent = 0;
        } else if self.sent >= MAX_SENT {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// How many bytes wait to be sent.
    pub fn buffered(&self) -> usize {
        self.out.len() - self.sent
    }

    /// The number of bytes that a frame under way is still to bring.
    pub fn announced(&self) -> u64 {
        self.reader.announced()
    }

    /// How it ended, once it has: the socket is to be closed.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Closed(ending) => Some(ending),
            _ => None,
        }
    }

    /// Whether a close has been sent: nothing more is taken.
    pub fn is_closing(&self) -> bool {
        self.state != State::Open
    }
}

impl Ending {
    /// The code to tell the program.
    pub fn code(&self) -> u16 {
        match self {
            Ending::Closed { code, .. } => *code,
            Ending::Violated(violation) => violation.code,
            Ending::Stalled(_) | Ending::Dropped | Ending::Unanswered => close_code::ABNORMAL,
        }
    }

    /// The reason to tell the program.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Ending::Closed { reason, .. } => Cow::Borrowed(reason),
            Ending::Violated(violation) => Cow::Borrowed(&violation.message),
            Ending::Stalled(silence) => {
                Cow::Owned(format!("the peer has been silent for {} ms, and answers no ping", silence.as_millis()))
            }
            Ending::Dropped => Cow::Borrowed("the connection ended without a close"),
            Ending::Unanswered => Cow::Borrowed("the peer did not answer the close"),
        }
    }

    /// Whether both sides have said that they close.
    pub fn is_clean(&self) -> bool {
        matches!(self, Ending::Closed { .. })
    }
}
