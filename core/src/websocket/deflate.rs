//! permessage-deflate (RFC 7692): compression of messages by zlib.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Violation;

/// The bytes that end each compressed message and are left out on the wire.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// How much of a message is decompressed at a time.
const PIECE: usize = 16 << 10;
/// The smallest window that zlib can compress with. A peer may ask for one of 8 bits: then nothing is compressed.
const MIN_WINDOW_BITS: u8 = 9;

/// What both sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client has to compress each message on its own.
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the client's window, 8 to 15.
    pub client_max_window_bits: u8,
}

impl Default for Deflate {
    fn default() -> Deflate {
        Deflate { server_no_context_takeover: false, client_no_context_takeover: false, client_max_window_bits: 15 }
    }
}

/// Undoes the compression of messages that come.
#[derive(Debug)]
pub(super) struct Inflater {
    stream: Decompress,
    /// Each message begins with an empty window.
    alone: bool,
    out: Box<[u8]>,
    produced: usize,
    /// How much of the tail has been given to zlib.
    tail: usize,
}

/// How far one step of decompression went.
pub(super) struct Inflated {
    /// Bytes of the input that were used.
    pub(super) used: usize,
    /// There may be more to come without any more input.
    pub(super) full: bool,
}

impl Inflater {
    pub(super) fn new(agreed: &Deflate) -> Inflater {
        Inflater {
            // The largest window reads what was compressed with any.
            stream: Decompress::new_with_window_bits(false, 15),
            alone: agreed.server_no_context_takeover,
            out: vec![0; PIECE].into_boxed_slice(),
            produced: 0,
            tail: 0,
        }
    }

    /// What the last step has produced.
    pub(super) fn produced(&self) -> &[u8] {
        self.out.get(..self.produced).unwrap_or_default()
    }

    /// Decompresses input until it is used up or the buffer is full.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Inflated, Violation> {
        let (mut used, mut produced) = (0, 0);
        loop {
            let (rest, room) =
                (input.get(used..).unwrap_or_default(), self.out.get_mut(produced..).unwrap_or_default());
            if room.is_empty() {
                break;
            }
            let (came, went) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(rest, room, FlushDecompress::Sync);
            let more_used = usize::try_from(self.stream.total_in() - came).unwrap_or(usize::MAX);
            let more_produced = usize::try_from(self.stream.total_out() - went).unwrap_or(usize::MAX);
            (used, produced) = (used + more_used, produced + more_produced);
            match status {
                Err(_) => return Err(corrupt()),
                // A final block ends zlib's stream, but not the message.
                Ok(Status::StreamEnd) => self.stream.reset(false),
                Ok(_) if more_used == 0 && more_produced == 0 => break,
                Ok(_) => {}
            }
        }
        self.produced = produced;
        Ok(Inflated { used, full: produced == self.out.len() })
    }

    /// Decompresses what is left when all of a message has come; `false` if there is more to produce.
    pub(super) fn finish(&mut self) -> Result<bool, Violation> {
        let rest = TAIL.get(self.tail..).unwrap_or_default();
        let Inflated { used, full } = self.step(rest)?;
        self.tail += used;
        if full {
            return Ok(false);
        }
        if self.tail < TAIL.len() {
            return Err(corrupt());
        }
        self.tail = 0;
        if self.alone {
            self.stream.reset(false);
        }
        Ok(true)
    }
}

fn corrupt() -> Violation {
    Violation::protocol("a message's compressed data is damaged")
}

/// Compresses messages that go.
#[derive(Debug)]
pub(super) struct Deflater {
    stream: Compress,
    /// Each message begins with an empty window.
    alone: bool,
    out: Vec<u8>,
}

impl Deflater {
    /// `None` if nothing can be compressed within what was agreed on.
    pub(super) fn new(agreed: &Deflate, level: u32) -> Option<Deflater> {
        let bits = agreed.client_max_window_bits;
        (bits >= MIN_WINDOW_BITS).then(|| Deflater {
            stream: Compress::new_with_window_bits(Compression::new(level.min(9)), false, bits.min(15)),
            alone: agreed.client_no_context_takeover,
            out: Vec::new(),
        })
    }

    /// Compresses the next piece of a message.
    pub(super) fn piece(&mut self, piece: &[u8], last: bool) -> &[u8] {
        self.out.clear();
        let mut used = 0;
        loop {
            self.out.reserve((piece.len() - used) / 2 + 64);
            let came = self.stream.total_in();
            let rest = piece.get(used..).unwrap_or_default();
            // It fails only on misuse of zlib, of which there is none.
            let status = self.stream.compress_vec(rest, &mut self.out, FlushCompress::Sync);
            used += usize::try_from(self.stream.total_in() - came).unwrap_or(0);
            let is_full = self.out.len() == self.out.capacity();
            if status.is_err() || (used >= piece.len() && !is_full) {
                break;
            }
        }
        if last {
            if self.out.ends_with(&TAIL) {
                self.out.truncate(self.out.len() - TAIL.len());
            }
            if self.out.is_empty() {
                // The rest of an empty block, since the tail that follows ends it.
                self.out.push(0);
            }
            if self.alone {
                self.stream.reset();
            }
        }
        if self.out.capacity() > 4 * PIECE && self.out.len() < PIECE {
            // One large message must not keep its room for ever.
            self.out.shrink_to(PIECE);
        }
        &self.out
    }
}
