//! MurmurHash64A (Austin Appleby), the 64-bit hash under mcrouter's Ch3 and Rendezvous.

const M: u64 = 0xc6a4_a793_5bd1_e995;

fn mix(k: u64) -> u64 {
    let k = k.wrapping_mul(M);
    (k ^ (k >> 47)).wrapping_mul(M)
}

fn finish(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 47)).wrapping_mul(M);
    hash ^ (hash >> 47)
}

/// The hash of `bytes` under `seed`.
pub(super) fn murmur64a(bytes: &[u8], seed: u32) -> u64 {
    let mut hash = u64::from(seed) ^ (bytes.len() as u64).wrapping_mul(M);
    let (blocks, tail) = bytes.as_chunks::<8>();
    for block in blocks {
        hash = (hash ^ mix(u64::from_le_bytes(*block))).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let word = tail
            .iter()
            .rev()
            .fold(0, |word, &byte| (word << 8) | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    finish(hash)
}

/// The hash of a hash: [`murmur64a`] of its eight little-endian bytes.
pub(super) fn rehash(hash: u64, seed: u32) -> u64 {
    finish((u64::from(seed) ^ 8_u64.wrapping_mul(M) ^ mix(hash)).wrapping_mul(M))
}
