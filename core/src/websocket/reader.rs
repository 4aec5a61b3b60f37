//! What comes: frames put together to messages, as pieces.

use super::deflate::{Deflate, Inflater};
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, Opcode, is_close_code_to_send};
use super::utf8::Utf8;
use super::{MessageKind, Violation};

/// The next thing that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A piece of a message, decompressed and, if it is text, checked. Only the last one of a message may be empty.
    Piece {
        /// The message's kind.
        kind: MessageKind,
        /// The message begins with this piece.
        first: bool,
        /// The message ends with this piece.
        last: bool,
        /// Its bytes. A character of a text may be spread over two pieces.
        data: &'a [u8],
    },
    /// A ping, to be answered by a pong with the same bytes.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer closes. Nothing that comes after it counts.
    Close {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its reason, often empty.
        reason: &'a str,
    },
}

/// Reads the frames of a server.
#[derive(Debug)]
pub struct Reader {
    max_message_bytes: u64,
    /// A header that has not come whole.
    head: [u8; MAX_HEADER],
    head_length: usize,
    frame: Option<Frame>,
    control: [u8; MAX_CONTROL],
    control_length: usize,
    message: Option<Message>,
    agreed: Option<Deflate>,
    /// Made when the first compressed message comes.
    inflater: Option<Box<Inflater>>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    left: u64,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    kind: MessageKind,
    compressed: bool,
    /// Bytes so far, decompressed.
    size: u64,
    utf8: Utf8,
    /// A piece of it has been given out.
    begun: bool,
    /// zlib may have more to give without input.
    full: bool,
}

/// What one step leads to. The bytes it speaks of are borrowed once it is known that there are any.
enum Step<'i> {
    Again,
    Starved,
    Plain { kind: MessageKind, first: bool, last: bool, data: &'i [u8] },
    Inflated { kind: MessageKind, first: bool, last: bool },
    Control(Opcode),
}

impl Reader {
    /// A reader of what follows the handshake. A message larger than the limit is a violation.
    pub fn new(max_message_bytes: u64, deflate: Option<Deflate>) -> Reader {
        Reader {
            max_message_bytes,
            head: [0; MAX_HEADER],
            head_length: 0,
            frame: None,
            control: [0; MAX_CONTROL],
            control_length: 0,
            message: None,
            agreed: deflate,
            inflater: None,
        }
    }

    /// The number of bytes that a frame under way is still to bring: what memory to reserve for it.
    pub fn announced(&self) -> u64 {
        match (self.frame, self.message) {
            (Some(frame), Some(message)) if !frame.opcode.is_control() && !message.compressed => frame.left,
            _ => 0,
        }
    }

    /// Takes the next thing out of the input, and what it used off the input's front; `None` once more input is needed.
    ///
    /// After a violation, or a close, the reader must not be used again.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Incoming<'a>>, Violation> {
        loop {
            match self.step(input)? {
                Step::Again => {}
                Step::Starved => return Ok(None),
                Step::Plain { kind, first, last, data } => {
                    return Ok(Some(Incoming::Piece { kind, first, last, data }));
                }
                Step::Inflated { kind, first, last } => {
                    let data = self.inflater.as_ref().map(|inflater| inflater.produced()).unwrap_or_default();
                    return Ok(Some(Incoming::Piece { kind, first, last, data }));
                }
                Step::Control(opcode) => {
                    let data = self.control.get(..self.control_length).unwrap_or_default();
                    self.control_length = 0;
                    return Ok(Some(match opcode {
                        Opcode::Ping => Incoming::Ping(data),
                        Opcode::Pong => Incoming::Pong(data),
                        _ => close(data)?,
                    }));
                }
            }
        }
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, Violation> {
        let Some(frame) = self.frame else { return self.read_header(input) };
        if frame.opcode.is_control() { self.control(frame, input) } else { self.data(frame, input) }
    }

    fn read_header<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, Violation> {
        loop {
            let size = if self.head_length < 2 { 2 } else { Header::size(self.head[1]) };
            let missing = size - self.head_length;
            if missing == 0 {
                break;
            }
            let Some((bytes, rest)) =
                input.split_at_checked(missing.min(input.len())).filter(|(bytes, _)| !bytes.is_empty())
            else {
                return Ok(Step::Starved);
            };
            if let Some(place) = self.head.get_mut(self.head_length..self.head_length + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            self.head_length += bytes.len();
            *input = rest;
        }
        let header = Header::read(self.head.get(..self.head_length).unwrap_or_default())?;
        self.head_length = 0;
        self.begin(header)?;
        self.frame = Some(Frame { opcode: header.opcode, last: header.last, left: header.length });
        Ok(Step::Again)
    }

    /// A frame's header has come.
    fn begin(&mut self, header: Header) -> Result<(), Violation> {
        if header.compressed && !(matches!(header.opcode, Opcode::Text | Opcode::Binary) && self.agreed.is_some()) {
            return Err(Violation::protocol("a frame is marked as compressed that must not be"));
        }
        let kind = match header.opcode {
            Opcode::Text => MessageKind::Text,
            Opcode::Binary => MessageKind::Binary,
            Opcode::Continuation => {
                let message = self.message.as_ref();
                let message = message.ok_or(Violation::protocol("a message is continued that has not begun"))?;
                return self.check_size(message, header.length);
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        };
        if self.message.is_some() {
            return Err(Violation::protocol("a message begins within another"));
        }
        let message =
            Message { kind, compressed: header.compressed, size: 0, utf8: Utf8::default(), begun: false, full: false };
        self.check_size(&message, header.length)?;
        if let (true, None, Some(agreed)) = (header.compressed, &self.inflater, &self.agreed) {
            self.inflater = Some(Box::new(Inflater::new(agreed)));
        }
        self.message = Some(message);
        Ok(())
    }

    fn check_size(&self, message: &Message, more: u64) -> Result<(), Violation> {
        // What a compressed frame becomes is seen only when it is decompressed.
        let more = if message.compressed { 0 } else { more };
        if message.size.saturating_add(more) > self.max_message_bytes {
            return Err(Violation::too_big(self.max_message_bytes));
        }
        Ok(())
    }

    fn control<'i>(&mut self, mut frame: Frame, input: &mut &'i [u8]) -> Result<Step<'i>, Violation> {
        let data = take(input, &mut frame.left);
        if let Some(place) = self.control.get_mut(self.control_length..self.control_length + data.len()) {
            place.copy_from_slice(data);
        }
        self.control_length += data.len();
        let is_whole = frame.left == 0;
        self.frame = (!is_whole).then_some(frame);
        Ok(if is_whole { Step::Control(frame.opcode) } else { Step::Starved })
    }

    fn data<'i>(&mut self, mut frame: Frame, input: &mut &'i [u8]) -> Result<Step<'i>, Violation> {
        let Some(mut message) = self.message else { return Err(Violation::protocol("a frame has no message")) };
        let (plain, produced, ended) = match &mut self.inflater {
            Some(inflater) if message.compressed => {
                let most = usize::try_from(frame.left).map_or(input.len(), |left| left.min(input.len()));
                let (available, _) = input.split_at(most);
                let mut ended = false;
                if frame.left > 0 {
                    if available.is_empty() && !message.full {
                        return Ok(Step::Starved);
                    }
                    let step = inflater.step(available)?;
                    *input = input.get(step.used..).unwrap_or_default();
                    frame.left -= step.used as u64;
                    message.full = step.full;
                    if step.used == 0 && inflater.produced().is_empty() && !available.is_empty() {
                        return Err(Violation::protocol("a message's compressed data is damaged"));
                    }
                } else if message.full && !frame.last {
                    message.full = inflater.step(&[])?.full;
                } else if frame.last {
                    ended = inflater.finish()?;
                }
                (None, inflater.produced(), ended)
            }
            _ => {
                let data = take(input, &mut frame.left);
                if data.is_empty() && frame.left > 0 {
                    return Ok(Step::Starved);
                }
                (Some(data), data, frame.left == 0 && frame.last)
            }
        };
        message.size += produced.len() as u64;
        if message.size > self.max_message_bytes {
            return Err(Violation::too_big(self.max_message_bytes));
        }
        if message.kind == MessageKind::Text && !(message.utf8.feed(produced) && (!ended || message.utf8.is_whole())) {
            return Err(Violation::not_utf8());
        }
        let (kind, first, nothing) = (message.kind, !message.begun, produced.is_empty());
        message.begun |= !nothing;
        let frame_is_over = frame.left == 0 && (ended || (!frame.last && !message.full));
        self.frame = (!frame_is_over).then_some(frame);
        self.message = (!ended).then_some(message);
        Ok(match plain {
            _ if nothing && !ended => Step::Again,
            Some(data) => Step::Plain { kind, first, last: ended, data },
            None => Step::Inflated { kind, first, last: ended },
        })
    }
}

/// Takes what belongs to a frame off the input's front.
fn take<'i>(input: &mut &'i [u8], left: &mut u64) -> &'i [u8] {
    let most = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    let (data, rest) = input.split_at(most);
    *input = rest;
    *left -= data.len() as u64;
    data
}

fn close(payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    let (code, reason) = match payload {
        [] => (None, &[][..]),
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
        [_] => return Err(Violation::protocol("a close frame has half a code")),
    };
    if code.is_some_and(|code| !is_close_code_to_send(code)) {
        return Err(Violation::protocol("a close frame has a code that must not be sent"));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::not_utf8())?;
    Ok(Incoming::Close { code, reason })
}
