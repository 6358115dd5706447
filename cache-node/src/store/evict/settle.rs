//! What becomes of a cell of a segment being emptied: it is gone already, moves on, or is evicted.

use super::super::api::Seconds;
use super::super::arena::Loc;
use super::super::index::Index;
use super::super::item::{self, Handle, Header, Met};
use super::super::queue::Queue;
use super::super::shard::{Found, Shard, key_of};
use super::super::ttl_class;
use super::Aim;

impl Shard {
    /// Decides about one cell of a segment being emptied.
    pub(super) fn settle(&mut self, pos: usize, hash: u64, aim: Aim, now: u32) {
        let loc = Loc::at(pos);
        match Met::read(self.arena.tail(pos)) {
            Met::Gap { .. } => {}
            Met::Item(header) => self.settle_item(loc, header, hash, aim, now),
            Met::Piece(header) => self.settle_piece(loc, header, hash, aim, now),
        }
    }

    fn settle_item(&mut self, loc: Loc, header: Header, hash: u64, aim: Aim, now: u32) {
        let Some(near) = self.index.entry_of(&self.arena, hash, loc) else {
            debug_assert!(false, "a live cell is in the index");
            return;
        };
        let found = Found::new(near, header);
        let flushed = self.log.is_flushed(&self.arena, loc.pos());
        if flushed || header.expired(now) {
            self.count_gone(header, flushed);
            self.unlink(hash, &found);
            return;
        }
        let queue = self.log.place(&self.arena, loc.pos()).0;
        let freq = found.freq;
        let keep = match (aim, queue) {
            (Aim::Clear | Aim::Compact, queue) => Some((queue, freq)),
            (Aim::Evict, _) if freq == 0 => None,
            (Aim::Evict, Queue::Small) => Some((Queue::Main, 0)),
            (Aim::Evict, Queue::Main) => Some((Queue::Main, freq - 1)),
        };
        let kept = keep.is_some_and(|(to, freq)| {
            let moved = self.relocate(&found, to, Some(freq), None, now).is_some();
            self.counters.moved += u64::from(moved);
            moved
        });
        if !kept && self.evict {
            self.evict_item(&found, hash, now);
        }
    }

    /// Drops an item for space, and remembers its key for a while.
    fn evict_item(&mut self, found: &Found, hash: u64, now: u32) {
        let header = found.header;
        if let Some(witness) = self
            .witness
            .as_deref()
            .filter(|witness| witness.wants_evictions())
        {
            witness.evicted(
                key_of(&self.arena, found.loc),
                &self.view(found, now),
                Seconds(now),
            );
        }
        self.counters.evicted += 1;
        self.counters.evicted_unfetched += u64::from(!header.has(item::FETCHED));
        self.counters.evicted_with_expiry += u64::from(header.expires() != 0);
        self.counters.last_evicted_idle_seconds = u64::from(now.saturating_sub(header.last_access(now)));
        let queue = self.log.place(&self.arena, found.loc.pos()).0;
        self.unlink(hash, found);
        if queue == Queue::Small {
            self.ghosts
                .remember(&mut self.arena, self.index.bucket_of(hash), hash);
        }
    }

    /// A piece shares the fate of its item, which lies elsewhere; if it has none yet, it is being written and stays.
    fn settle_piece(&mut self, loc: Loc, header: Header, hash: u64, aim: Aim, now: u32) {
        let handle = Handle::read(self.arena.tail(loc.pos()), header);
        let owner = self.owner_of(handle.row, hash);
        let mut to = self.log.place(&self.arena, loc.pos()).0;
        if let Some(owner) = owner {
            let flushed = self.log.is_flushed(&self.arena, owner.loc.pos());
            if flushed || owner.header.expired(now) {
                self.count_gone(owner.header, flushed);
                self.unlink(hash, &owner);
                return;
            }
            if aim == Aim::Evict {
                if Index::freq(&self.arena, owner.slot) == 0 {
                    self.evict_item(&owner, hash, now);
                    return;
                }
                to = Queue::Main;
            }
        }
        let bytes = header.cell_bytes();
        let class = ttl_class::CLASSES - 1;
        let Some(pos) = self.log.append(&mut self.arena, to, class, 0, bytes) else {
            // No frame to go to. What is still being written or read stays, and so does its segment.
            if let Some(owner) = owner
                && self.evict
            {
                self.evict_item(&owner, hash, now);
            }
            return;
        };
        self.arena.copy(loc.pos(), pos, bytes);
        self.large.row_mut(handle.row).pieces[handle.number as usize] = Loc::at(pos);
        self.log.kill(&mut self.arena, loc.pos(), header);
    }

    /// The item whose value a row of the large table is; `None` while it is being written or when it is dead.
    fn owner_of(&self, row: u32, hash: u64) -> Option<Found> {
        let loc = self.large.row(row).head;
        if loc.is_none() {
            return None;
        }
        let near = self.index.entry_of(&self.arena, hash, loc)?;
        Some(Found::new(near, Header::read(self.arena.tail(loc.pos()))))
    }
}
