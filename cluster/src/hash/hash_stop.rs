//! The hash stop: `user:1|#|photo` is placed by `user:1`, so that what belongs together lives together.

use memchr::memchr_iter;

const HASH_STOP: &[u8] = b"|#|";

/// The part of a key that decides where it lives: all of it, or what stands before the first `|#|`.
///
/// As in mcrouter, a key that begins with the hash stop is placed by the empty string.
#[inline]
pub fn hashed_part(key: &[u8]) -> &[u8] {
    if has_bar(key) { before_stop(key) } else { key }
}

/// Whether there is a `|`, which hardly any key has: eight bytes at a step and without a call, for this is done for
/// every request.
#[inline]
fn has_bar(key: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    const BARS: u64 = u64::from_le_bytes([HASH_STOP[0]; 8]);
    let (words, rest) = key.as_chunks::<8>();
    let bar = |word: &[u8; 8]| {
        let differing = u64::from_le_bytes(*word) ^ BARS;
        differing.wrapping_sub(ONES) & !differing & TOPS != 0
    };
    words.iter().any(bar) || rest.contains(&HASH_STOP[0])
}

#[cold]
fn before_stop(key: &[u8]) -> &[u8] {
    memchr_iter(HASH_STOP[0], key)
        .find(|&at| key[at..].starts_with(HASH_STOP))
        .map_or(key, |at| &key[..at])
}

#[cfg(test)]
mod tests {
    use super::hashed_part;

    #[test]
    fn only_what_stands_before_the_first_hash_stop_is_hashed() {
        for (key, part) in [
            ("plain", "plain"),
            ("user:1|#|photo", "user:1"),
            ("user:1|#|a|#|b", "user:1"),
            ("a||#|b", "a|"),
            ("a|#b|#|c", "a|#b"),
            ("half|#", "half|#"),
            ("|", "|"),
            ("|#|rest", ""),
            ("whole|#|", "whole"),
            ("", ""),
        ] {
            assert_eq!(hashed_part(key.as_bytes()), part.as_bytes(), "{key:?}");
        }
    }
}
