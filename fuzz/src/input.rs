//! Taking an input apart. What comes before the bytes themselves are lines, so that people can write and read a corpus.

/// An input, as far as it is not yet taken.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next line, without its end.
    pub fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or(&[]);
        line
    }

    /// The next line as text; another than UTF-8 is empty.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.line()).unwrap_or("")
    }

    /// The next line as a number.
    pub fn number(&mut self) -> u64 {
        self.text().parse().unwrap_or(0)
    }

    /// The lines up to an empty one.
    pub fn lines(&mut self) -> Vec<&'a [u8]> {
        let mut lines = Vec::new();
        while !self.0.is_empty() {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        lines
    }
}

/// Bytes in pieces whose lengths follow from a number.
pub fn pieces(mut bytes: &[u8], mut seed: u64) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let most = [1, 2, 7, 40, 1000][(seed >> 40) as usize % 5];
        let length = ((seed >> 50) as usize % most + 1).min(bytes.len());
        let (piece, rest) = bytes.split_at(length);
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Whether bytes can stand in a header's value.
pub fn is_sendable(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
