//! The hash stop: `user:1|#|photo` is placed by `user:1`, so that what belongs together lives together.

use memchr::memchr_iter;

const HASH_STOP: &[u8] = b"|#|";

/// The part of a key that decides where it lives: all of it, or what stands before the first `|#|`.
///
/// As in mcrouter, a key that begins with the hash stop is placed by the empty string.
pub fn hashed_part(key: &[u8]) -> &[u8] {
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
