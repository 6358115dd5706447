//! An item's cell, copied to the end of a queue.

use super::super::arena::Loc;
use super::super::index::Index;
use super::super::item::{self, Handle};
use super::super::queue::Queue;
use super::super::shard::{Found, Shard};
use super::super::ttl_class;

impl Shard {
    /// Copies an item's cell to the end of a queue. `freq`: what the index shall say of it from now on; `cas`: another
    /// cas unique than it has. `None` if there is no frame for it; then nothing has changed.
    pub(in crate::store) fn relocate(
        &mut self,
        found: &Found,
        queue: Queue,
        freq: Option<u8>,
        cas: Option<u64>,
        now: u32,
    ) -> Option<Loc> {
        let Found {
            slot, loc, header, ..
        } = *found;
        let class = ttl_class::class_of(header.expires(), now);
        let bytes = header.cell_bytes();
        let old_cas = self.cas_of(loc, header);
        // A cas unique that a client has seen stays; one nobody has seen must not fall behind one seen before it.
        let follows = || self.log.next_cas(&self.arena, queue, class, bytes) > old_cas;
        let add_cas = !header.has(item::CAS) && (cas.is_some() || header.has(item::OBSERVED) || !follows());
        let new_bytes = if add_cas {
            item::cell_bytes(
                header.key_len(),
                header.value_len(),
                header.has(item::FLAGS),
                true,
            )
        } else {
            bytes
        };
        let pos = self
            .log
            .append(&mut self.arena, queue, class, header.expires(), new_bytes)?;
        let from = loc.pos();
        if add_cas {
            let cas_at = header.cas_at();
            self.arena.copy(from, pos, cas_at);
            self.arena
                .copy(from + cas_at, pos + cas_at + 8, header.value_len());
            self.arena
                .bytes_mut(pos + cas_at, 8)
                .copy_from_slice(&cas.unwrap_or(old_cas).to_le_bytes());
            let mut header = header;
            header.set(item::CAS, true);
            header.write(self.arena.tail_mut(pos));
        } else {
            self.arena.copy(from, pos, bytes);
        }
        let to = Loc::at(pos);
        if header.has(item::LARGE) {
            let row = Handle::read(self.arena.tail(from), header).row;
            self.large.row_mut(row).head = to;
        }
        Index::set_loc(&mut self.arena, slot, to);
        if let Some(freq) = freq {
            Index::set_freq(&mut self.arena, slot, freq);
        }
        self.counters.item_bytes += (new_bytes - bytes) as u64;
        self.log.kill(&mut self.arena, from, header);
        Some(to)
    }
}
