//! Jump consistent hash (Lamping and Veach, 2014, arXiv:1406.2294): a 64-bit key hash to one of `n` buckets.
//!
//! Buckets are positions in a list. Growing or shrinking **at the end** moves exactly the share it must; taking a
//! server out of the middle shifts everyone behind it and moves about half of all keys.

/// The bucket, below `buckets`, that owns `key`. `buckets` is at least 1.
///
/// Keeps the paper's arithmetic to the letter (a 64-bit linear congruential generator, one double division per jump):
/// another rounding would be another hash.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the paper's own casts; a jump that counts is below `buckets`, which is 32 bits"
)]
pub(super) fn bucket(mut key: u64, buckets: u32) -> u32 {
    const LCG: u64 = 2_862_933_555_777_941_757;
    let buckets = f64::from(buckets);
    let (mut owner, mut next) = (0.0, 0.0);
    while next < buckets {
        owner = next;
        key = key.wrapping_mul(LCG).wrapping_add(1);
        next = ((owner + 1.0) * ((1_u64 << 31) as f64 / ((key >> 33) + 1) as f64)).floor();
    }
    owner as u32
}
