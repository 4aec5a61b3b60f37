//! A string that Rust reads as `&str` and C reads in place.

use std::fmt;
use std::sync::Arc;

/// Immutable UTF-8 text, NUL-terminated one past its end and free of NULs before it. Cloning shares it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Arc<str>);

impl Text {
    /// Text without its NUL.
    pub fn as_str(&self) -> &str {
        self.0.strip_suffix('\0').unwrap_or(&self.0)
    }

    /// Text with its NUL.
    pub(crate) fn as_c_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    /// NULs inside, which neither side could read past, become U+FFFD.
    fn from(mut text: String) -> Text {
        if text.contains('\0') {
            text = text.replace('\0', "\u{FFFD}");
        }
        text.push('\0');
        Text(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        let mut with_nul = String::with_capacity(text.len() + 1);
        with_nul.push_str(text);
        Text::from(with_nul)
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_with_one_nul_and_holds_none() {
        assert_eq!(Text::from("a").as_c_str(), "a\0");
        assert_eq!(Text::from("").as_c_str(), "\0");
        assert_eq!(Text::from("a\0b").as_str(), "a\u{FFFD}b");
        assert_eq!(&*Text::from("äö"), "äö");
    }
}
