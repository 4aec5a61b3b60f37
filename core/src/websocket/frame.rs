//! Frames: their headers, masks and close codes.

use super::Violation;

/// The longest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;
/// The longest reason that a Close frame has room for, in bytes.
pub const MAX_REASON_BYTES: usize = MAX_CONTROL - 2;
/// The longest header that a server sends: it has no mask.
pub(super) const MAX_HEADER: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn of(number: u8) -> Option<Opcode> {
        Some(match number {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// A frame's header as a server sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) last: bool,
    /// RSV1: the message that begins here is compressed.
    pub(super) compressed: bool,
    pub(super) length: u64,
}

impl Header {
    /// How many bytes the header has that begins with these two.
    pub(super) fn size(second: u8) -> usize {
        match second & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    /// Reads a header that is there whole.
    pub(super) fn read(bytes: &[u8]) -> Result<Header, Violation> {
        let (&[first, second], extended) =
            bytes.split_first_chunk().ok_or(Violation::protocol("a frame's header is cut short"))?;
        if first & 0x30 != 0 {
            return Err(Violation::protocol("a frame has reserved bits set that no extension has given a meaning"));
        }
        if second & 0x80 != 0 {
            return Err(Violation::protocol("a server's frame is masked"));
        }
        let opcode = Opcode::of(first & 0x0f).ok_or(Violation::protocol("a frame has an opcode that is not known"))?;
        let length = match second & 0x7f {
            short @ ..126 => u64::from(short),
            _ => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let least = match second & 0x7f {
            126 => 126,
            127 => 0x1_0000,
            _ => 0,
        };
        if length < least {
            return Err(Violation::protocol("a frame's length is not in its shortest form"));
        }
        if length > i64::MAX as u64 {
            return Err(Violation::protocol("a frame's length has its highest bit set"));
        }
        let header = Header { opcode, last: first & 0x80 != 0, compressed: first & 0x40 != 0, length };
        if opcode.is_control() {
            if !header.last {
                return Err(Violation::protocol("a control frame is fragmented"));
            }
            if length > MAX_CONTROL as u64 {
                return Err(Violation::protocol("a control frame has more than 125 bytes"));
            }
        }
        Ok(header)
    }

    /// Appends the header of a client's frame: with its mask.
    pub(super) fn write(self, mask: [u8; 4], out: &mut Vec<u8>) {
        let first = (self.opcode as u8) | if self.last { 0x80 } else { 0 } | if self.compressed { 0x40 } else { 0 };
        out.push(first);
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(length @ ..126), _) => out.push(0x80 | length),
            (_, Ok(length)) => {
                out.push(0x80 | 126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                out.push(0x80 | 127);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        out.extend_from_slice(&mask);
    }
}

/// Appends bytes with a mask over them.
///
/// Piece by piece, so that each is masked while it is still in the processor's cache.
pub(super) fn extend_masked(out: &mut Vec<u8>, bytes: &[u8], mask: [u8; 4]) {
    out.reserve(bytes.len());
    for piece in bytes.chunks(8 << 10) {
        let start = out.len();
        out.extend_from_slice(piece);
        apply_mask(out.get_mut(start..).unwrap_or_default(), mask);
    }
}

/// Masks bytes, or takes the mask off, from the mask's first byte on.
pub(super) fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Whether an endpoint may send this code in a Close frame (RFC 6455, section 7.4).
pub fn is_close_code_to_send(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_shortest_length() {
        for (length, size) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (1 << 40, 10)] {
            let header = Header { opcode: Opcode::Binary, last: true, compressed: false, length };
            let mut out = Vec::new();
            header.write([0; 4], &mut out);
            assert_eq!(out.len(), size + 4);
            out.truncate(size);
            out[1] &= 0x7f;
            assert_eq!(Header::size(out[1]), size);
            assert_eq!(Header::read(&out).unwrap(), header);
        }
    }

    #[test]
    fn a_mask_repeats_every_four_bytes() {
        let mask = [1, 2, 3, 4];
        for length in 0..40 {
            let plain: Vec<u8> = (0..length).collect();
            let mut masked = vec![9];
            extend_masked(&mut masked, &plain, mask);
            let expected = plain.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
            assert!(masked.into_iter().skip(1).eq(expected), "{length} bytes");
        }
    }

    #[test]
    fn headers_that_no_server_may_send_are_violations() {
        let bad: [&[u8]; 9] = [
            &[0x93, 0],                               // opcode 3 and RSV3
            &[0x83, 0],                               // opcode 3
            &[0x8b, 0],                               // opcode 11
            &[0xa1, 0],                               // RSV2
            &[0x81, 0x80],                            // masked
            &[0x81, 126, 0, 125],                     // too long a form
            &[0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], // too long a form
            &[0x09, 0],                               // fragmented ping
            &[0x89, 126, 0, 126],                     // ping of 126 bytes
        ];
        for bytes in bad {
            assert_eq!(Header::read(bytes).unwrap_err().code, 1002, "{bytes:x?}");
        }
        assert!(Header::read(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]).is_err(), "the highest bit of a length");
    }
}
