//! When keys were last written, for routes that give one reading to several clients: a reading may be given to a request
//! only if no write of its key was begun or ended since the reading began.
//!
//! Shared by all workers. A write stamps its key before it is sent and again before it is answered, so that whoever
//! hears of it, or sends a get behind it on the same connection, is never given an older reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;

/// Stamps; keys that share one only lose a reading to each other's writes.
const STAMPS: usize = 4096;

/// The stamps of one route.
#[derive(Debug)]
pub(crate) struct WriteStamps {
    hash: RandomState,
    stamps: Box<[AtomicU64]>,
}

/// What was known of a key's writes when a reading began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    writes: u64,
    flushes: u64,
}

impl WriteStamps {
    pub(crate) fn new() -> Self {
        Self {
            hash: RandomState::new(),
            stamps: (0..STAMPS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn place(&self, key: &[u8]) -> &AtomicU64 {
        let hash = self.hash.hash_one(key) % STAMPS as u64;
        &self.stamps[usize::try_from(hash).unwrap_or(0)]
    }

    /// The key's stamp now; `flushes` counts the process's flushes.
    pub(crate) fn of(&self, key: &[u8], flushes: &Arc<AtomicU64>) -> Stamp {
        Stamp {
            writes: self.place(key).load(Ordering::Acquire),
            flushes: flushes.load(Ordering::Acquire),
        }
    }

    /// A write begins or ends.
    pub(crate) fn write(&self, key: &[u8]) {
        self.place(key).fetch_add(1, Ordering::AcqRel);
    }
}
