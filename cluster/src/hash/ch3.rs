//! Ch3, mcrouter's default: furc ("fast universal reducible consistent" hashing) over MurmurHash64A, and WeightedCh3,
//! which lets a server refuse a share of its keys.
//!
//! Buckets are list positions: growing or shrinking at the end moves exactly what it must; taking a server out of the
//! middle shifts all behind it.

use super::murmur64a::{murmur64a, rehash};
use super::spooky::spooky32;
use crate::topology::Server;

/// The Murmur seed mcrouter found by search for the best diffusion under rehashing.
const SEED: u32 = 4_193_360_111;
/// Distance between the bits of one draw.
const STRIDE: u32 = 23;
/// Draws before giving up on bucket 0.
const TRIES: usize = 32;

/// An endless string of pseudo-random bits made of a key: MurmurHash64A, then its rehashes, 64 bits each.
struct Bits {
    words: [u64; WORDS],
    ready: usize,
}

/// One draw from the largest pool reads bits up to 23 * 24, nine words; two draws stay within these.
const WORDS: usize = 18;

impl Bits {
    fn of(key: &[u8]) -> Self {
        let mut words = [0; WORDS];
        words[0] = murmur64a(key, SEED);
        Self { words, ready: 1 }
    }

    fn bit(&mut self, index: u32) -> bool {
        let (word, bit) = ((index / 64) as usize, index % 64);
        (self.word(word) >> bit) & 1 == 1
    }

    fn word(&mut self, wanted: usize) -> u64 {
        let keep = wanted.min(WORDS - 1);
        while self.ready <= keep {
            self.words[self.ready] = rehash(self.words[self.ready - 1], SEED);
            self.ready += 1;
        }
        // Words past the kept ones are needed once in millions of keys and made anew each time.
        (keep..wanted).fold(self.words[keep], |word, _| rehash(word, SEED))
    }
}

/// The most that [`bucket`] can tell apart.
pub const BUCKETS_MAX: u32 = 1 << STRIDE;

/// The bucket, below `servers` (at most [`BUCKETS_MAX`]), that owns `key` by mcrouter's Ch3.
pub fn bucket(key: &[u8], servers: u32) -> u32 {
    if servers <= 1 {
        return 0;
    }
    let mut bits = Bits::of(key);
    let mut depth = u32::BITS - (servers - 1).leading_zeros();
    let mut at = depth;
    for _ in 0..TRIES {
        while !bits.bit(at) {
            depth -= 1;
            if depth == 0 {
                return 0;
            }
            at = depth;
        }
        at += STRIDE;
        let mut drawn = 1;
        for _ in 1..depth {
            drawn = (drawn << 1) | u32::from(bits.bit(at));
            at += STRIDE;
        }
        if drawn < servers {
            return drawn;
        }
    }
    0
}

/// Ch3 whose servers take a key with the probability that is their weight.
#[derive(Debug, Clone)]
pub(super) struct WeightedCh3 {
    /// `weight * (2^32 - 1)`: a key whose 32-bit hash is below it is taken.
    thresholds: Box<[u32]>,
}

/// Key, then at most two digits of salt.
const SALTED_MAX: usize = 512;

impl WeightedCh3 {
    /// Every weight is from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a weight is from 0 to 1"
    )]
    pub(super) fn new(servers: &[Server]) -> Self {
        let threshold = |server: &Server| (server.weight.get() * f64::from(u32::MAX)) as u32;
        Self {
            thresholds: servers.iter().map(threshold).collect(),
        }
    }

    pub(super) fn owner(&self, key: &[u8]) -> usize {
        const SPOOKY_SEED: u32 = 0xface_2014;
        let mut buffer = [0; SALTED_MAX];
        let mut long;
        let mut salted = key;
        let mut owner = 0;
        for salt in 0..TRIES {
            owner = self.bucket(salted);
            if spooky32(salted, SPOOKY_SEED) < self.thresholds[owner] {
                break;
            }
            // The salt's decimal digits, the last one first.
            let digits = [b'0' + low_digit(salt), b'0' + low_digit(salt / 10)];
            let digits = &digits[..if salt < 10 { 1 } else { 2 }];
            salted = if let Some(room) = buffer.get_mut(..key.len() + digits.len()) {
                room[..key.len()].copy_from_slice(key);
                room[key.len()..].copy_from_slice(digits);
                room
            } else {
                long = [key, digits].concat();
                &long
            };
        }
        owner
    }

    #[expect(clippy::cast_possible_truncation, reason = "a pool has at most 2^23 servers")]
    fn bucket(&self, key: &[u8]) -> usize {
        bucket(key, self.thresholds.len() as u32) as usize
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a digit")]
fn low_digit(number: usize) -> u8 {
    (number % 10) as u8
}
