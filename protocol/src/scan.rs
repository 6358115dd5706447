//! Finding blanks and line ends in short lines, eight bytes at a step and without a call.
//! It knows bytes, not commands.

/// The byte repeated eight times.
const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The index of the first of eight bytes (least significant first) that is zero.
#[inline]
const fn first_zero(word: u64) -> Option<usize> {
    let found = word.wrapping_sub(repeat(0x01)) & !word & repeat(0x80);
    if found == 0 {
        None
    } else {
        Some(found.trailing_zeros() as usize / 8)
    }
}

/// Where `byte` first stands in `bytes`, or their length.
#[inline]
pub(crate) fn find_or_len(bytes: &[u8], byte: u8) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        if let Some(index) = first_zero(u64::from_le_bytes(*word) ^ repeat(byte)) {
            return at + index;
        }
        at += 8;
    }
    at + tail.iter().position(|&b| b == byte).unwrap_or(tail.len())
}

/// The bytes up to the first blank, and the rest from that blank on.
#[inline]
pub(crate) fn token(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes
        .split_at_checked(find_or_len(bytes, b' '))
        .unwrap_or((bytes, &[]))
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
