//! A key, checked once: whoever holds a [`Key`] need not look at its length again.
//! It knows nothing of hashing or routing.

use std::fmt;

/// The name of an item: 1 to 250 bytes (protocol.txt, "Keys").
///
/// Binary-safe: a base64 meta key may decode to any bytes. [`Key::is_text`] says whether the bytes can stand
/// as a bare token on a command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a>(&'a [u8]);

/// Why some bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There was no byte at all.
    #[error("a key needs at least one byte")]
    Empty,
    /// More than [`Key::MAX_LEN`] bytes.
    #[error("a key of {len} bytes is over the limit of {max}", max = Key::MAX_LEN)]
    TooLong {
        /// How many bytes were offered.
        len: usize,
    },
}

impl<'a> Key<'a> {
    /// The longest key, in bytes (protocol.txt, "Keys"; `KEY_MAX_LENGTH`).
    pub const MAX_LEN: usize = 250;

    /// Takes 1 to 250 bytes as a key.
    ///
    /// # Errors
    /// [`KeyError`] when there are none or too many.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Result<Self, KeyError> {
        match bytes.len() {
            0 => Err(KeyError::Empty),
            1..=Self::MAX_LEN => Ok(Self(bytes)),
            len => Err(KeyError::TooLong { len }),
        }
    }

    /// The bytes of the key.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// How many bytes the key has: 1 to 250.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a key is never empty")]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether the key may be written as a bare token: no space and no LF in it, and no CR at its end (which the
    /// reader would take for the line's end). Other keys travel as base64 in meta commands.
    #[must_use]
    pub fn is_text(self) -> bool {
        !self.0.iter().any(|byte| matches!(byte, b' ' | b'\n')) && self.0.last() != Some(&b'\r')
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(\"{}\")", self.0.escape_ascii())
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl<'a> TryFrom<&'a [u8]> for Key<'a> {
    type Error = KeyError;

    fn try_from(bytes: &'a [u8]) -> Result<Self, KeyError> {
        Self::new(bytes)
    }
}

/// A key whose length a parser has already seen to be 1 to 250.
#[inline]
pub(crate) const fn checked(bytes: &[u8]) -> Key<'_> {
    debug_assert!(!bytes.is_empty() && bytes.len() <= Key::MAX_LEN);
    Key(bytes)
}
