//! The bytes that bodies are made of, and the hash that checks bodies on their way in.

use std::sync::OnceLock;

/// A prime just below 1 MiB: no buffer size divides it, so a body shifted by whole buffers does not verify.
const PERIOD: usize = 1_048_573;

fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut state = 0x5047_4f52_5449_4521_u64;
        let mut table = Vec::with_capacity(PERIOD + 8);
        while table.len() < PERIOD {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Half the one-bits cleared: all byte values occur, NUL most, and the bytes still compress a little.
            table.extend_from_slice(&(state & state.rotate_left(29)).to_le_bytes());
        }
        table.truncate(PERIOD);
        table
    })
}

/// Fills `out` with the bytes that every generated body has at `offset`.
pub fn pattern(offset: u64, out: &mut [u8]) {
    let table = table();
    let mut position = (offset % PERIOD as u64) as usize;
    let mut rest = out;
    while !rest.is_empty() {
        let n = rest.len().min(PERIOD - position);
        let (now, later) = rest.split_at_mut(n);
        now.copy_from_slice(&table[position..position + n]);
        rest = later;
        position = 0;
    }
}

/// The first `length` bytes of every generated body.
pub fn pattern_vec(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    pattern(0, &mut bytes);
    bytes
}

/// FNV-1a, 64 bits, fed piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(u64);

impl Fnv {
    /// The hash of nothing.
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of everything added so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl Default for Fnv {
    fn default() -> Self {
        Self::new()
    }
}

/// FNV-1a, 64 bits, of `bytes`.
pub fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::new();
    hash.update(bytes);
    hash.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_is_the_same_however_it_is_cut() {
        let whole = pattern_vec(PERIOD + 5000);
        let mut offset = 0;
        for size in [1, 7, 4096, 65_536, 1_000_000].into_iter().cycle() {
            let size = size.min(whole.len() - offset);
            let mut piece = vec![0; size];
            pattern(offset as u64, &mut piece);
            assert_eq!(piece, whole[offset..offset + size]);
            offset += size;
            if offset == whole.len() {
                break;
            }
        }
    }

    #[test]
    fn pattern_differs_four_gigabytes_on() {
        let (mut low, mut high) = ([0; 64], [0; 64]);
        pattern(10, &mut low);
        pattern((1 << 32) + 10, &mut high);
        assert_ne!(low, high);
    }

    #[test]
    fn pattern_holds_every_byte_value() {
        let bytes = pattern_vec(PERIOD);
        assert!((0..=u8::MAX).all(|value| bytes.contains(&value)));
    }

    #[test]
    fn fnv_matches_published_values() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
