//! How memory comes back, a few cells at a time: what has expired or was flushed, then garbage, then what S3-FIFO
//! would evict. A segment is emptied from its start; whoever holds the lock does a bounded piece of that and goes.

mod batch;
mod choose;
mod relocate;
mod settle;

use super::queue::Queue;
use super::shard::Shard;
use batch::{BATCH, Batch};

/// Cells looked at for each item written while memory is short, besides those for its size.
const PAY_CELLS: usize = 16;
/// Bytes of cells looked at for each item written, besides those for its size.
const PAY_BYTES: usize = 16 << 10;
/// Free frames that we keep at hand: one in this many, within bounds.
const RESERVE_SHARE: u32 = 128;
const RESERVE: (u32, u32) = (3, 8);
/// How often emergency reclaim may go over all of the log before an item is refused.
const EMERGENCY_PASSES: usize = 4;

/// Where reclaim stands.
pub(super) struct Reclaim {
    cursor: Option<Cursor>,
    /// Segments with nothing alive in them, waiting to be emptied.
    over: Vec<u32>,
    /// The next row to be looked at for expiry, and the second of the current round.
    expiry_row: usize,
    expiry_at: u32,
    /// The next row to be looked at for garbage.
    garbage_row: usize,
    /// The queue whose oldest segment could not be emptied just now.
    stuck: Option<Queue>,
    /// Bytes looked at so far.
    passed_bytes: usize,
    /// Frames to keep free.
    reserve: u32,
    /// Frames that may be in use; the arena's own limit is higher while a lowered one is approached.
    limit: u32,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    frame: u32,
    offset: usize,
    aim: Aim,
}

/// Why a segment is being emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// All in it is expired or flushed.
    Clear,
    /// Much of it is dead: the rest moves together.
    Compact,
    /// It is the oldest of its queue.
    Evict,
}

impl Reclaim {
    pub(super) fn new(frames: u32) -> Self {
        Self {
            cursor: None,
            over: Vec::new(),
            expiry_row: usize::MAX,
            expiry_at: 0,
            garbage_row: 0,
            stuck: None,
            passed_bytes: 0,
            reserve: reserve_of(frames),
            limit: frames,
        }
    }

    /// Forgets which segments it was about to empty, and answers which those are.
    pub(super) fn put_down(&mut self) -> Vec<u32> {
        let mut frames = std::mem::take(&mut self.over);
        frames.extend(self.cursor.take().map(|cursor| cursor.frame));
        frames
    }

    /// A flush made segments over: look at all of them again.
    pub(super) fn look_again(&mut self) {
        self.expiry_row = 0;
    }
}

fn reserve_of(frames: u32) -> u32 {
    (frames / RESERVE_SHARE).clamp(RESERVE.0, RESERVE.1)
}

impl Shard {
    /// Sees to it that an item can be written; `false` if all memory is held by what cannot be evicted. There is
    /// nothing to do as long as those who write pay.
    #[inline]
    pub(super) fn ensure_reserve(&mut self, now: u32) -> bool {
        self.arena.available() > 0 || self.make_room(now)
    }

    #[cold]
    fn make_room(&mut self, now: u32) -> bool {
        let most = EMERGENCY_PASSES * self.log.segments() as usize * self.arena.frame_bytes();
        let start = self.reclaim.passed_bytes;
        while self.arena.available() == 0 && self.reclaim.passed_bytes - start < most {
            if !self.reclaim(now, 4 * BATCH, usize::MAX) {
                break;
            }
        }
        self.arena.available() > 0
    }

    /// Reclaims in proportion to what was written, if memory is short; more, the shorter it is. Should the reserve
    /// run out, because nearly all that is met was read lately, then what is met finds no frame to move to, and goes.
    #[inline]
    pub(super) fn pay(&mut self, now: u32, written_bytes: usize) {
        if self.arena.limit() > self.reclaim.limit {
            self.approach_limit();
        }
        let free = self.arena.available();
        if free < self.reclaim.reserve {
            let urgency = if free < 2 { 4 } else { 1 };
            let cells = urgency * (PAY_CELLS + written_bytes / 64);
            self.reclaim(now, cells, urgency * (PAY_BYTES + 4 * written_bytes));
        }
    }

    /// Changes the number of frames that may be in use. A lower one is approached as segments are emptied.
    pub(super) fn set_limit(&mut self, frames: u32) {
        self.reclaim.limit = frames;
        self.reclaim.reserve = reserve_of(frames);
        self.approach_limit();
    }

    /// Lowers the arena's limit as far as frames are free, or raises it.
    fn approach_limit(&mut self) {
        let Reclaim { limit, reserve, .. } = self.reclaim;
        if self.arena.limit() != limit {
            self.arena
                .set_limit(limit.max(self.arena.in_use() + reserve.min(2)));
        }
    }

    /// Background work: expired and flushed segments, and the reserve. Answers whether there is more.
    pub(super) fn tick(&mut self, now: u32, cells: usize) -> bool {
        self.flush_if_due(now);
        self.look_for_expired(now);
        self.approach_limit();
        let shrunk = self.shrink_index(cells / 8);
        if self.arena.available() < self.reclaim.reserve || self.is_clearing() {
            self.reclaim(now, cells, PAY_BYTES + cells * 256);
        }
        let above_limit = self.evict && self.arena.limit() > self.reclaim.limit;
        shrunk || above_limit || self.is_clearing() || self.reclaim.expiry_row != usize::MAX
    }

    /// Whether segments are known in which everything has expired or was flushed.
    fn is_clearing(&self) -> bool {
        !self.reclaim.over.is_empty() || matches!(self.reclaim.cursor, Some(Cursor { aim: Aim::Clear, .. }))
    }

    /// Merges buckets of an index that has become too large; `true` if there may be more to merge.
    fn shrink_index(&mut self, buckets: usize) -> bool {
        (0..buckets).all(|_| self.index.shrink(&mut self.arena, &mut self.ghosts))
    }

    /// Empties segments until so many cells or bytes have been looked at. `false` if there was nothing to empty.
    fn reclaim(&mut self, now: u32, mut cells: usize, mut bytes: usize) -> bool {
        while cells > 0 && bytes > 0 {
            let Some(cursor) = self.reclaim.cursor.or_else(|| self.choose(now)) else {
                return false;
            };
            let batch = Batch::gather(self, cursor, cells.min(BATCH));
            for &(pos, hash) in &batch.cells[..batch.len] {
                self.settle(pos, hash, cursor.aim, now);
            }
            cells -= batch.looked_at.min(cells);
            self.shrink_index(BATCH / 4);
            let passed = batch.end - cursor.offset;
            bytes = bytes.saturating_sub(passed);
            self.reclaim.passed_bytes = self.reclaim.passed_bytes.wrapping_add(passed);
            let segment = *self.log.segment(cursor.frame);
            self.reclaim.cursor = if segment.live == 0 {
                self.log.free(&mut self.arena, cursor.frame);
                self.reclaim.stuck = None;
                None
            } else if batch.end >= segment.used as usize {
                self.log.put_back(cursor.frame);
                self.reclaim.stuck = Some(segment.queue);
                None
            } else {
                Some(Cursor {
                    offset: batch.end,
                    ..cursor
                })
            };
        }
        true
    }
}
