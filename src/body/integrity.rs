//! Whether a body is the one that was expected: its length and its SHA-256.

use sha2::{Digest, Sha256};

use crate::error::{ErrorKind, Failure};

/// What a response's body has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) length: Option<u64>,
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Expected {
    /// Fails a body that is longer than it has to be, or that says it will have another length.
    pub(crate) fn check_length(&self, length: u64, is_whole: bool) -> Result<(), Failure> {
        match self.length {
            Some(expected) if length > expected || (is_whole && length != expected) => {
                let more = if is_whole { "" } else { " or more" };
                let message = format!("the response body has {length} bytes{more}, expected were {expected}");
                Err(Failure::new(ErrorKind::Integrity, message))
            }
            _ => Ok(()),
        }
    }

    /// Something to feed the body to, if it has to have a hash.
    pub(crate) fn hasher(&self) -> Option<Hasher> {
        self.sha256.map(|expected| Hasher { expected, sha256: Sha256::new() })
    }
}

/// A hash as it grows.
#[derive(Clone)]
pub(crate) struct Hasher {
    expected: [u8; 32],
    sha256: Sha256,
}

impl Hasher {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
    }

    /// Fails if what was fed is not what was expected.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let found: [u8; 32] = self.sha256.clone().finalize().into();
        if found == self.expected {
            return Ok(());
        }
        let (found, expected) = (hex(&found), hex(&self.expected));
        let message = format!("the response body has the SHA-256 {found}, expected was {expected}");
        Err(Failure::new(ErrorKind::Integrity, message))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 hexadecimal digits.
pub(crate) fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn hashes_are_read_and_compared() {
        let expected = Expected { length: None, sha256: parse_sha256(&ABC.to_uppercase()) };
        let mut hasher = expected.hasher().unwrap();
        hasher.feed(b"ab");
        assert!(hasher.check().unwrap_err().message.contains(ABC));
        hasher.feed(b"c");
        assert!(hasher.check().is_ok());
        for bad in ["", "ba78", &ABC[1..], &ABC.replace('b', "g"), &format!("{ABC}0"), &"\u{e4}".repeat(32)] {
            assert!(parse_sha256(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn lengths_are_compared_as_early_as_can_be() {
        let expected = Expected { length: Some(3), sha256: None };
        assert!(expected.check_length(3, true).is_ok() && expected.check_length(2, false).is_ok());
        assert!(expected.check_length(2, true).is_err() && expected.check_length(4, false).is_err());
        assert!(Expected::default().check_length(9, true).is_ok());
    }
}
