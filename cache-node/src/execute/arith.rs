//! The number inside a value, and the sum that replaces it.

use protocol::ArithVerb;

/// Reads a value as memcached does before adding to it: an unsigned decimal, perhaps after blanks or a plus,
/// up to the end, a blank or a NUL.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let start = value.iter().position(|byte| !is_blank(*byte))?;
    let rest = &value[start..];
    let rest = rest.strip_prefix(b"+").unwrap_or(rest);
    let digits = rest
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    if digits == 0
        || rest
            .get(digits)
            .is_some_and(|byte| *byte != 0 && !is_blank(*byte))
    {
        return None;
    }
    rest[..digits].iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// `incr` wraps at 2^64; `decr` stops at 0.
pub(super) fn apply(verb: ArithVerb, number: u64, delta: u64) -> u64 {
    match verb {
        ArithVerb::Incr => number.wrapping_add(delta),
        ArithVerb::Decr => number.saturating_sub(delta),
    }
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::{apply, number};
    use protocol::ArithVerb::{Decr, Incr};

    #[test]
    fn a_value_is_a_number_when_memcached_says_so() {
        for (value, expected) in [
            (&b"5"[..], Some(5)),
            (b"007", Some(7)),
            (b" +5 x", Some(5)),
            (b"5\0junk", Some(5)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"   ", None),
            (b"-5", None),
            (b"5x", None),
            (b"x", None),
            (b"+", None),
        ] {
            assert_eq!(number(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn incr_wraps_and_decr_stops() {
        assert_eq!(apply(Incr, u64::MAX, 2), 1);
        assert_eq!(apply(Decr, 5, 6), 0);
        assert_eq!(apply(Incr, 5, 0), 5);
    }
}
