//! UTF-8 that comes in pieces.

/// Checks text piece by piece, and finds an error as soon as a byte cannot be part of any valid text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    /// The start of a character whose rest is still to come.
    start: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Takes the next piece; `false` if the text is not valid.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((byte, rest)) = piece.split_first() else { return true };
            let Some(place) = self.start.get_mut(self.length) else { return false };
            *place = *byte;
            self.length += 1;
            piece = rest;
            match std::str::from_utf8(self.start.get(..self.length).unwrap_or_default()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let rest = piece.get(error.valid_up_to()..).unwrap_or_default();
                if let Some(start) = self.start.get_mut(..rest.len()) {
                    start.copy_from_slice(rest);
                }
                self.length = rest.len();
                true
            }
        }
    }

    /// Whether the text may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &[u8], piece: usize) -> bool {
        let mut utf8 = Utf8::default();
        text.chunks(piece).all(|piece| utf8.feed(piece)) && utf8.is_whole()
    }

    #[test]
    fn agrees_with_the_whole_however_it_is_cut() {
        let texts: [&[u8]; 12] = [
            b"",
            b"plain",
            "κόσμε \u{10348} é".as_bytes(),
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65",
            b"\xf4\x90\x80\x80",
            b"\xf4\x8f\xbf\xbf",
            b"\xc0\x80",
            b"\xe2\x82",
            b"a\xff",
            b"\xf0\x9f\x98\x80\xf0\x9f\x98",
            b"\x80",
            b"\xed\x9f\xbf\xee\x80\x80",
        ];
        for text in texts {
            for piece in 1..6 {
                assert_eq!(checked(text, piece), std::str::from_utf8(text).is_ok(), "{text:x?} by {piece}");
            }
        }
    }

    #[test]
    fn an_error_shows_at_its_first_byte() {
        let mut utf8 = Utf8::default();
        assert!(utf8.feed(b"\xf4"));
        assert!(!utf8.feed(b"\x90"), "nothing that begins so is a character");
    }
}
