//! `hash % slots`, in three houses: libmemcached's modula (a slot per server, weights ignored), twemproxy's modula (in
//! its own order, as many slots as the weight says) and mcrouter's Crc32.
//!
//! One server more or less moves nearly every key. It is here because people come from it.

use super::key_hash::KeyHash;

/// mcrouter's Crc32.
pub(super) fn crc32(key: &[u8], servers: u32) -> u32 {
    (crc32fast::hash(key) & 0x7fff_ffff) % servers
}

/// Slots in order and the hash that picks one.
#[derive(Debug, Clone)]
pub(super) struct Modulo {
    hash: KeyHash,
    slots: Box<[u32]>,
}

impl Modulo {
    /// `servers` as (index, number of slots), in slot order; at least one slot in all.
    pub(super) fn new(hash: KeyHash, servers: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let slots = servers
            .into_iter()
            .flat_map(|(server, slots)| (0..slots).map(move |_| server));
        Self {
            hash,
            slots: slots.collect(),
        }
    }

    pub(super) fn owner(&self, key: &[u8]) -> usize {
        self.slots[self.hash.hash(key) as usize % self.slots.len()] as usize
    }
}
