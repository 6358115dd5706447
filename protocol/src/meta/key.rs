//! The key of a meta command, in the form it was sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key::{Key, KeyError};

/// A key as it stands on a meta line: a bare token, or base64 when the line has the flag `b`
/// (protocol.txt, "Meta Commands", "base64"). It has been checked: it decodes to 1 to 250 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetaKey<'a> {
    wire: &'a [u8],
    base64: bool,
}

/// Room for a decoded base64 key.
#[derive(Debug, Clone)]
pub struct KeyScratch([u8; Self::LEN]);

impl KeyScratch {
    /// 248 characters of base64, the most that fit a key of 250 bytes, make 186 bytes.
    const LEN: usize = 192;

    /// Room for one key.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self([0; Self::LEN])
    }
}

impl Default for KeyScratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for the base64 form of a key.
#[derive(Debug, Clone)]
pub struct Base64Scratch([u8; Self::LEN]);

impl Base64Scratch {
    /// As much as a key on the wire may have, rounded up to whole groups of four.
    const LEN: usize = 252;

    /// Room for one key.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self([0; Self::LEN])
    }
}

impl Default for Base64Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> MetaKey<'a> {
    /// The form in which any key can be sent: bare if it may be, else as base64, which `scratch` then holds.
    ///
    /// # Errors
    /// [`KeyError::TooLong`] when it has to be base64 and that would have more than 250 bytes: keys of more than 186
    /// bytes cannot be sent so.
    pub fn sendable(key: Key<'a>, scratch: &'a mut Base64Scratch) -> Result<Self, KeyError> {
        if key.is_text() {
            return Ok(Self {
                wire: key.as_bytes(),
                base64: false,
            });
        }
        let len = key.len().div_ceil(3) * 4;
        let too_long = KeyError::TooLong { len };
        let wire = scratch
            .0
            .get_mut(..len)
            .filter(|_| len <= Key::MAX_LEN)
            .ok_or(too_long)?;
        STANDARD
            .encode_slice(key.as_bytes(), wire)
            .map_err(|_too_small| too_long)?;
        Ok(Self { wire, base64: true })
    }

    /// A key that stands for itself. `None` when it cannot be a bare token ([`Key::is_text`]).
    #[must_use]
    pub fn text(key: Key<'a>) -> Option<Self> {
        key.is_text().then_some(Self {
            wire: key.as_bytes(),
            base64: false,
        })
    }

    /// A key written in base64; `wire` is the base64 form.
    ///
    /// # Errors
    /// [`KeyError`] when `wire` is empty, longer than 250 bytes, or does not decode to at least one byte.
    pub fn base64(wire: &'a [u8]) -> Result<Self, KeyError> {
        Key::new(wire)?;
        let mut scratch = KeyScratch::new();
        if decode(wire, &mut scratch.0) == 0 {
            return Err(KeyError::Empty);
        }
        Ok(Self { wire, base64: true })
    }

    /// A token a parser has already checked.
    #[inline]
    pub(crate) const fn checked(wire: &'a [u8], base64: bool) -> Self {
        Self { wire, base64 }
    }

    /// The key as it stood on the line, and as the flag `k` answers it.
    #[inline]
    #[must_use]
    pub const fn wire(self) -> &'a [u8] {
        self.wire
    }

    /// Whether the wire form is base64.
    #[inline]
    #[must_use]
    pub const fn is_base64(self) -> bool {
        self.base64
    }

    /// The key itself; `scratch` holds it if it had to be decoded.
    #[inline]
    pub fn decode<'b>(&self, scratch: &'b mut KeyScratch) -> Key<'b>
    where
        'a: 'b,
    {
        if !self.base64 {
            return crate::key::checked(self.wire);
        }
        let len = decode(self.wire, &mut scratch.0);
        crate::key::checked(scratch.0.get(..len).unwrap_or_default())
    }
}

impl std::fmt::Debug for MetaKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.base64 { "base64" } else { "text" };
        write!(f, "MetaKey::{kind}(\"{}\")", self.wire.escape_ascii())
    }
}

/// Decodes base64 as memcached does (base64.c): characters outside the alphabet are skipped, the rest must be whole
/// groups of four, and a group with padding is the last. Returns how many bytes came out; 0 is an error.
fn decode(wire: &[u8], out: &mut [u8; KeyScratch::LEN]) -> usize {
    if wire.iter().filter(|byte| sextet(**byte).is_some()).count() % 4 != 0 {
        return 0;
    }
    let mut symbols = wire.iter().filter_map(|byte| Some((*byte, sextet(*byte)?)));
    let mut len = 0;
    while let (Some(a), Some(b), Some(c), Some(d)) =
        (symbols.next(), symbols.next(), symbols.next(), symbols.next())
    {
        let group = [a, b, c, d]
            .iter()
            .fold(0_u32, |bits, (_, sextet)| bits << 6 | u32::from(*sextet));
        let [_, bytes @ ..] = group.to_be_bytes();
        let padding = [a, b, c, d].iter().filter(|(byte, _)| *byte == b'=').count();
        let Some(room) = out.get_mut(len..len + 3) else {
            return 0;
        };
        room.copy_from_slice(&bytes);
        match padding {
            0 => len += 3,
            1 | 2 => return len + 3 - padding,
            _ => return 0,
        }
    }
    len
}

/// The six bits a character stands for; padding stands for zeros.
const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        b'=' => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Base64Scratch, KeyScratch, MetaKey};
    use crate::key::{Key, KeyError};

    #[test]
    fn base64_is_read_as_memcached_reads_it() {
        for (wire, key) in [
            ("Zm9v", Some("foo")),
            ("Zm8=", Some("fo")),
            ("Zg==", Some("f")),
            ("Z!m-9v", Some("foo")),
            // A group with padding is the last.
            ("Zg==Zm9v", Some("f")),
            ("====", None),
            ("Z===", None),
            ("Zm9", None),
            ("Zm9vZ", None),
            ("!!!", None),
            ("", None),
        ] {
            let decoded = MetaKey::base64(wire.as_bytes()).ok();
            let mut scratch = KeyScratch::new();
            let decoded = decoded.as_ref().map(|meta| meta.decode(&mut scratch).as_bytes());
            assert_eq!(decoded, key.map(str::as_bytes), "{wire}");
        }
    }

    #[test]
    fn a_key_that_is_sent_comes_back() {
        for len in 1..=Key::MAX_LEN {
            for byte in [b'k', b' ', b'\n', b'\r', 0, 0xff] {
                let bytes = vec![byte; len];
                let key = Key::new(&bytes).unwrap();
                let (mut wire, mut decoded) = (Base64Scratch::new(), KeyScratch::new());
                match MetaKey::sendable(key, &mut wire) {
                    Ok(meta) => {
                        assert_eq!(meta.decode(&mut decoded), key);
                        assert!(meta.wire().len() <= Key::MAX_LEN);
                        assert_eq!(meta.is_base64(), !key.is_text());
                    }
                    Err(error) => {
                        assert!(len > 186 && !key.is_text(), "{len} bytes of {byte}: {error}");
                        assert!(matches!(error, KeyError::TooLong { .. }));
                    }
                }
            }
        }
    }
}
