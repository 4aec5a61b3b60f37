//! What goes: messages and control frames, compressed and masked.

use super::MessageKind;
use super::deflate::{Deflate, Deflater};
use super::frame::{Header, MAX_CONTROL, Opcode, extend_masked};

/// Writes the frames of a client.
#[derive(Debug)]
pub struct Writer {
    agreed: Option<Deflate>,
    level: u32,
    /// Shorter messages go as they are.
    compress_from_bytes: usize,
    /// Made when the first message is compressed.
    deflater: Option<Box<Deflater>>,
    /// A message is under way, and whether it is compressed.
    under_way: Option<bool>,
}

impl Writer {
    /// A writer of what follows the handshake.
    pub fn new(deflate: Option<Deflate>, level: u32, compress_from_bytes: usize) -> Writer {
        Writer { agreed: deflate, level, compress_from_bytes, deflater: None, under_way: None }
    }

    /// Whether a message has begun that has not ended.
    pub fn is_within_message(&self) -> bool {
        self.under_way.is_some()
    }

    /// Appends a piece of a message, as a frame; one that is both its first and its last is a whole message.
    ///
    /// Its kind counts in the first piece only.
    pub fn piece(&mut self, kind: MessageKind, piece: &[u8], last: bool, mask: [u8; 4], out: &mut Vec<u8>) {
        let first = self.under_way.is_none();
        let compressed = match self.under_way {
            Some(compressed) => compressed,
            // Of a message in pieces it is not known how long it gets.
            None => (!last || piece.len() >= self.compress_from_bytes) && self.can_compress(),
        };
        self.under_way = (!last).then_some(compressed);
        let opcode = match kind {
            _ if !first => Opcode::Continuation,
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        };
        let payload = match &mut self.deflater {
            Some(deflater) if compressed => deflater.piece(piece, last),
            _ => piece,
        };
        let header = Header { opcode, last, compressed: compressed && first, length: payload.len() as u64 };
        header.write(mask, out);
        extend_masked(out, payload, mask);
    }

    fn can_compress(&mut self) -> bool {
        if let (None, Some(agreed)) = (&self.deflater, &self.agreed) {
            self.deflater = Deflater::new(agreed, self.level).map(Box::new);
            if self.deflater.is_none() {
                self.agreed = None;
            }
        }
        self.deflater.is_some()
    }

    /// Appends a ping.
    pub fn ping(&self, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
        control(Opcode::Ping, payload, mask, out);
    }

    /// Appends a pong.
    pub fn pong(&self, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
        control(Opcode::Pong, payload, mask, out);
    }

    /// Appends a close frame. A reason that is too long is cut off between two characters.
    pub fn close(&self, code: Option<u16>, reason: &str, mask: [u8; 4], out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        if let Some(code) = code {
            payload.extend_from_slice(&code.to_be_bytes());
            let (reason, _) = reason.split_at(reason.floor_char_boundary(super::MAX_REASON_BYTES));
            payload.extend_from_slice(reason.as_bytes());
        }
        control(Opcode::Close, &payload, mask, out);
    }
}

fn control(opcode: Opcode, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    let payload = payload.get(..payload.len().min(MAX_CONTROL)).unwrap_or_default();
    Header { opcode, last: true, compressed: false, length: payload.len() as u64 }.write(mask, out);
    extend_masked(out, payload, mask);
}
