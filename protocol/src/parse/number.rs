//! The numbers of a command line. memcached reads some strictly (mcmc.c, `mcmc_tokto*`) and, for old clients'
//! sake, flags and exptime of the storage commands as C does; so do we. Two accidents are left out: that C stops at any
//! white space, so that `7\tx` is 7, and that a lone `-` is a strict 0.

/// The most characters of a strict 32-bit number, leading zeros and sign included (`MCMC_TOKTO32_MAX`).
const LEN_MAX_32: usize = 11;
/// The most characters of a strict 64-bit number (`MCMC_TOKTO64_MAX`).
const LEN_MAX_64: usize = 22;

/// Digits only, at least one, no overflow.
#[inline]
pub(crate) fn digits(token: &[u8]) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    // Nineteen digits cannot overflow.
    let checked = token.len() > 19;
    for &byte in token {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = if checked {
            number.checked_mul(10)?.checked_add(u64::from(digit))?
        } else {
            number * 10 + u64::from(digit)
        };
    }
    Some(number)
}

/// A strict unsigned 64-bit number: at most 22 digits.
#[inline]
pub(crate) fn strict_u64(token: &[u8]) -> Option<u64> {
    if token.len() > LEN_MAX_64 {
        return None;
    }
    digits(token)
}

/// A strict unsigned 32-bit number: at most 11 digits.
#[inline]
pub(crate) fn strict_u32(token: &[u8]) -> Option<u32> {
    if token.len() > LEN_MAX_32 {
        return None;
    }
    u32::try_from(digits(token)?).ok()
}

/// A strict signed 32-bit number: digits, perhaps after a minus, at most 11 characters.
#[inline]
pub(crate) fn strict_i32(token: &[u8]) -> Option<i32> {
    if token.len() > LEN_MAX_32 {
        return None;
    }
    match token {
        [b'-', digits_only @ ..] => i32::try_from(-i64::try_from(digits(digits_only)?).ok()?).ok(),
        _ => i32::try_from(digits(token)?).ok(),
    }
}

/// The flags of a storage command, as `strtoul` reads them: a plus is fine, leading zeros too; what does not fit 32
/// bits loses its upper ones, what does not fit 64 is refused.
#[inline]
pub(crate) fn lenient_u32(token: &[u8]) -> Option<u32> {
    let number = digits(token.strip_prefix(b"+").unwrap_or(token))?;
    Some(low_half(number))
}

/// The exptime of a storage command, as `strtol` reads it: a sign is fine, leading zeros too; what does not fit 32
/// bits loses its upper ones, what does not fit 64 is refused.
#[inline]
pub(crate) fn lenient_i32(token: &[u8]) -> Option<i32> {
    let number = match token {
        [b'-', magnitude @ ..] => 0_i64.checked_sub_unsigned(digits(magnitude)?)?,
        [b'+', magnitude @ ..] => i64::try_from(digits(magnitude)?).ok()?,
        _ => i64::try_from(digits(token)?).ok()?,
    };
    Some(low_half(number.cast_unsigned()).cast_signed())
}

/// The lower 32 bits.
#[inline]
fn low_half(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
