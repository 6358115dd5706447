//! The next few cells of a segment being emptied, found together so that their cache misses overlap.

use super::super::arena::Loc;
use super::super::item::{Handle, Met};
use super::super::shard::Shard;
use super::Cursor;

/// Cells looked at together.
pub(super) const BATCH: usize = 16;

/// Some cells of a segment being emptied, with the hashes of their items.
pub(super) struct Batch {
    pub(super) cells: [(usize, u64); BATCH],
    pub(super) len: usize,
    /// Cells passed, dead ones included.
    pub(super) looked_at: usize,
    /// The offset after the last of them.
    pub(super) end: usize,
}

impl Batch {
    pub(super) fn gather(shard: &Shard, cursor: Cursor, cells_max: usize) -> Self {
        let mut batch = Self {
            cells: [(0, 0); BATCH],
            len: 0,
            looked_at: 0,
            end: cursor.offset,
        };
        let segment = shard.log.segment(cursor.frame);
        if segment.live == 0 {
            return batch;
        }
        let start = shard.arena.start_of(cursor.frame);
        while batch.looked_at < cells_max.max(1) && batch.end < segment.used as usize {
            let pos = start + batch.end;
            let met = Met::read(shard.arena.tail(pos));
            batch.end += met.bytes();
            batch.looked_at += 1;
            let hash = match met {
                Met::Gap { .. } => continue,
                Met::Item(_) => shard.hash_at(Loc::at(pos)),
                Met::Piece(header) => {
                    let row = Handle::read(shard.arena.tail(pos), header).row;
                    shard.large.row(row).hash
                }
            };
            shard.line_ahead(hash);
            batch.cells[batch.len] = (pos, hash);
            batch.len += 1;
        }
        batch
    }
}
