//! Keeps copies and deletes of a key out of each other's way: what was read before a delete is not stored after it.
//!
//! Shared by all workers. Who copies asks before it reads and again before it stores; who deletes says so before it
//! sends, waits for the copies that are being stored, and says so again when it is answered. Either the copy is seen
//! by the delete, which waits for it, or the delete by the copy, which is given up. Keys that share a place only lose
//! copies, or wait, for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use ahash::RandomState;

/// Places for keys.
const PLACES: usize = 1024;

#[derive(Debug, Default)]
struct Place {
    /// Deletes begun and ended since the start.
    begun: AtomicU64,
    ended: AtomicU64,
    /// Copies that are being stored.
    copying: AtomicU64,
}

#[derive(Debug)]
pub(super) struct CopyGate {
    hash: RandomState,
    places: Box<[Place]>,
}

/// A reading of a key: it may be copied if nothing was deleted since.
#[derive(Debug)]
pub(super) struct Reading {
    gate: Arc<CopyGate>,
    place: usize,
    begun: u64,
}

/// A copy that is being stored, until this is dropped.
#[derive(Debug)]
pub(super) struct Copying {
    gate: Arc<CopyGate>,
    place: usize,
}

/// A delete under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Deleting {
    gate: Arc<CopyGate>,
    place: usize,
}

impl CopyGate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            hash: RandomState::new(),
            places: (0..PLACES).map(|_| Place::default()).collect(),
        })
    }

    fn place_of(&self, key: &[u8]) -> usize {
        usize::try_from(self.hash.hash_one(key) % PLACES as u64).unwrap_or(0)
    }

    /// Begins to read what may be copied; `None` while the key is being deleted.
    pub(super) fn read(self: &Arc<Self>, key: &[u8]) -> Option<Reading> {
        let place = self.place_of(key);
        let ended = self.places[place].ended.load(SeqCst);
        let begun = self.places[place].begun.load(SeqCst);
        (begun == ended).then(|| Reading {
            gate: Arc::clone(self),
            place,
            begun,
        })
    }

    /// Begins a delete.
    pub(super) fn delete(self: &Arc<Self>, key: &[u8]) -> Deleting {
        let place = self.place_of(key);
        self.places[place].begun.fetch_add(1, SeqCst);
        Deleting {
            gate: Arc::clone(self),
            place,
        }
    }
}

impl Reading {
    /// Begins to store what was read; `None` if a delete was begun meanwhile.
    pub(super) fn copy(self) -> Option<Copying> {
        let Self { gate, place, begun } = self;
        gate.places[place].copying.fetch_add(1, SeqCst);
        let copying = Copying { gate, place };
        let still = copying.gate.places[place].begun.load(SeqCst) == begun;
        still.then_some(copying)
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.gate.places[self.place].copying.fetch_sub(1, SeqCst);
    }
}

impl Deleting {
    /// Whether a copy that was begun before is still being stored. None is begun while the delete is under way.
    pub(super) fn has_to_wait(&self) -> bool {
        self.gate.places[self.place].copying.load(SeqCst) > 0
    }
}

impl Drop for Deleting {
    fn drop(&mut self) {
        self.gate.places[self.place].ended.fetch_add(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::CopyGate;

    #[test]
    fn what_was_read_before_or_during_a_delete_is_not_copied() {
        let gate = CopyGate::new();
        let before = gate.read(b"k").expect("nothing is being deleted");
        let delete = gate.delete(b"k");
        assert!(!delete.has_to_wait());
        assert!(before.copy().is_none(), "a delete was begun");
        assert!(gate.read(b"k").is_none(), "a delete is under way");
        assert!(!delete.has_to_wait(), "what was given up is not waited for");
        drop(delete);
        assert!(gate.read(b"k").expect("it is over").copy().is_some());
    }

    #[test]
    fn a_delete_waits_for_the_copies_begun_before_it() {
        let gate = CopyGate::new();
        let copies = [(); 2].map(|()| gate.read(b"k").and_then(|reading| reading.copy()));
        let delete = gate.delete(b"k");
        for copy in copies {
            assert!(copy.is_some() && delete.has_to_wait());
        }
        assert!(!delete.has_to_wait());
    }

    #[test]
    fn deletes_that_overlap_are_over_when_the_last_one_is() {
        let gate = CopyGate::new();
        let (first, second) = (gate.delete(b"k"), gate.delete(b"k"));
        drop(second);
        assert!(gate.read(b"k").is_none());
        drop(first);
        assert!(gate.read(b"k").is_some());
    }
}
