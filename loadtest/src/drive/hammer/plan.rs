//! What a benchmark asks for: keys, their order, lengths, how many at a time.

use std::ops::Range;
use std::sync::Arc;

use crate::workload::popularity::Popularity;

/// What to ask for; the same for every target.
#[derive(Debug, Clone)]
pub struct Plan {
    pub key_prefix: Vec<u8>,
    /// Whole keys, prefix and zeros included; a key grows beyond it when its number needs it.
    pub key_len: Lens,
    /// Numbers of the keys.
    pub keys: Range<u64>,
    pub value_len: Lens,
    pub gets: KeyOrder,
    pub sets: KeyOrder,
    /// Out of `sets_in + gets_in` operations.
    pub set_share: f64,
    /// Keys per get.
    pub multiget: usize,
    pub pipeline: usize,
    /// Refill after every reply instead of waiting for the whole batch.
    pub stream: bool,
    /// Seconds drawn per set; 0..0 never expires.
    pub expiry: Range<u32>,
}

/// Lengths in bytes. A key keeps its own.
#[derive(Debug, Clone)]
pub enum Lens {
    Fixed(usize),
    /// By the key's place in the range.
    PerKey(Arc<[u32]>),
}

impl Lens {
    /// Of the key at this place of the range.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked against the memory of versions"
    )]
    pub(super) fn at(&self, place: u64) -> usize {
        match self {
            Self::Fixed(len) => *len,
            Self::PerKey(lens) => lens[place as usize] as usize,
        }
    }
}

/// How keys are chosen.
#[derive(Debug, Clone)]
pub enum KeyOrder {
    Drawn(Popularity),
    /// One after the other, each connection from its own place.
    Sequential,
}
