//! Finding the ends of tokens in short lines, eight bytes at a step and without a call. It knows bytes, not commands.

use std::marker::PhantomData;

/// Some of the 256 bytes.
pub(crate) trait Class {
    /// Sets the top bit of every byte of the class, and no other bit.
    fn marks(word: u64) -> u64;

    /// The same, but only the lowest bit set can be trusted. (Borrows run upwards.)
    fn first_mark(word: u64) -> u64;

    /// Whether a byte is of the class.
    fn has(byte: u8) -> bool;
}

/// SP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blank;

/// SP and the control characters under it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoText;

impl Class for Blank {
    #[inline]
    fn marks(word: u64) -> u64 {
        let differing = word ^ repeat(b' ');
        !((differing & repeat(0x7f)).wrapping_add(repeat(0x7f)) | differing) & repeat(0x80)
    }

    #[inline]
    fn first_mark(word: u64) -> u64 {
        let differing = word ^ repeat(b' ');
        differing.wrapping_sub(repeat(1)) & !differing & repeat(0x80)
    }

    #[inline]
    fn has(byte: u8) -> bool {
        byte == b' '
    }
}

impl Class for NoText {
    #[inline]
    fn marks(word: u64) -> u64 {
        !((word & repeat(0x7f)).wrapping_add(repeat(0x7f - b' ')) | word) & repeat(0x80)
    }

    #[inline]
    fn first_mark(word: u64) -> u64 {
        word.wrapping_sub(repeat(b' ' + 1)) & !word & repeat(0x80)
    }

    #[inline]
    fn has(byte: u8) -> bool {
        byte <= b' '
    }
}

/// The byte repeated eight times.
const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Where bytes of a class stand, in order.
#[derive(Debug, Clone)]
pub(crate) struct Positions<'a, C> {
    /// What has not been loaded yet.
    rest: &'a [u8],
    /// The position of the loaded word, plus eight.
    loaded: usize,
    /// What is left to tell of the loaded word.
    marks: u64,
    class: PhantomData<C>,
}

/// Looks for bytes of a class.
#[inline]
pub(crate) const fn positions<C: Class>(bytes: &[u8]) -> Positions<'_, C> {
    Positions {
        rest: bytes,
        loaded: 0,
        marks: 0,
        class: PhantomData,
    }
}

impl<C: Class> Iterator for Positions<'_, C> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.marks == 0 {
            let word = match self.rest.split_first_chunk::<8>() {
                Some((word, after)) => {
                    self.rest = after;
                    u64::from_le_bytes(*word)
                }
                None if self.rest.is_empty() => return None,
                None => {
                    let word = self
                        .rest
                        .iter()
                        .rev()
                        .fold(!0, |word, byte| word << 8 | u64::from(*byte));
                    self.rest = &[];
                    word
                }
            };
            self.loaded += 8;
            self.marks = C::marks(word);
        }
        let position = self.loaded - 8 + self.marks.trailing_zeros() as usize / 8;
        self.marks &= self.marks - 1;
        Some(position)
    }
}

/// How many bytes stand before the first blank or control character.
#[inline]
pub(crate) fn text_len(bytes: &[u8]) -> usize {
    first::<NoText>(bytes)
}

/// The bytes up to the first blank, and the rest from that blank on.
#[inline]
pub(crate) fn token(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes
        .split_at_checked(first::<Blank>(bytes))
        .unwrap_or((bytes, &[]))
}

/// The first of [`positions`], or the length: the same in fewer instructions.
#[inline]
fn first<C: Class>(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let marks = C::first_mark(u64::from_le_bytes(*word));
        if marks != 0 {
            return bytes.len() - rest.len() + marks.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| !C::has(**byte)).count()
}

/// The bytes without the blanks they start with.
#[inline]
pub(crate) fn skip_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// The bytes without the blanks they end with.
#[inline]
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::{Blank, Class, NoText, first, positions};

    fn check<C: Class>(bytes: &[u8]) {
        let plain: Vec<usize> = (0..bytes.len()).filter(|at| C::has(bytes[*at])).collect();
        assert_eq!(
            first::<C>(bytes),
            plain.first().copied().unwrap_or(bytes.len()),
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(
            positions::<C>(bytes).collect::<Vec<_>>(),
            plain,
            "{}",
            bytes.escape_ascii()
        );
    }

    #[test]
    fn bytes_are_found_where_a_plain_search_finds_them() {
        for len in 0..20 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    for other in [b'!', b' ', 0x1f, 0, 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![other; len];
                        bytes[at] = byte;
                        check::<Blank>(&bytes);
                        check::<NoText>(&bytes);
                    }
                }
            }
        }
    }
}
