//! How memory comes back, a few cells at a time: what has expired or was flushed, then garbage, then what S3-FIFO
//! would evict. A segment is emptied from its start; whoever holds the lock does a bounded piece of that and goes.

use std::hint::black_box;

use super::api::Seconds;
use super::arena::Loc;
use super::index::Index;
use super::item::{self, Handle, Header, Met};
use super::queue::Queue;
use super::segment::State;
use super::shard::{Found, Shard, key_of};
use super::ttl_class;

/// Cells looked at together, so that their cache misses overlap.
const BATCH: usize = 16;
/// Cells looked at for each item written while memory is short, besides those for its size.
const PAY_CELLS: usize = 16;
/// Bytes of cells looked at for each item written, besides those for its size.
const PAY_BYTES: usize = 16 << 10;
/// Free frames that we keep at hand: one in this many, within bounds.
const RESERVE_SHARE: u32 = 128;
const RESERVE: (u32, u32) = (3, 8);
/// Live bytes in percent of those written below which a segment is worth compacting.
const GARBAGE_PERCENT: u64 = 85;
/// The share of segments that new items may take before they, rather than `Main`, give way, in percent.
const SMALL_PERCENT: u32 = 10;
/// Segment rows looked at in one go.
const ROWS: usize = 512;
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

    /// The next segment to empty.
    fn choose(&mut self, now: u32) -> Option<Cursor> {
        self.look_for_expired(now);
        if let Some(frame) = self.reclaim.over.pop() {
            return Some(Cursor {
                frame,
                offset: 0,
                aim: Aim::Clear,
            });
        }
        if self.arena.available() >= self.reclaim.reserve {
            return None;
        }
        let urgent = self.evict && self.arena.available() == 0;
        let garbage = if urgent { None } else { self.most_garbage() };
        let (frame, aim) = match garbage {
            Some(frame) => (frame, Aim::Compact),
            None if self.evict => (self.oldest()?, Aim::Evict),
            None => return None,
        };
        self.log.take_out(frame);
        Some(Cursor {
            frame,
            offset: 0,
            aim,
        })
    }

    /// The segment that S3-FIFO evicts from.
    fn oldest(&self) -> Option<u32> {
        let small = self.log.segments_in(Queue::Small);
        let small_is_large = small * 100 > self.log.segments() * SMALL_PERCENT;
        // A queue full of values that are just being written is left alone for once.
        let prefer_small = match self.reclaim.stuck {
            Some(queue) => queue == Queue::Main,
            None => small_is_large,
        };
        let (first, second) = if prefer_small {
            (Queue::Small, Queue::Main)
        } else {
            (Queue::Main, Queue::Small)
        };
        self.log.oldest(first).or_else(|| self.log.oldest(second))
    }

    /// The sealed segment with the smallest share of live bytes among the next few, if that is small enough.
    fn most_garbage(&mut self) -> Option<u32> {
        let rows = self.log.rows();
        let start = if self.reclaim.garbage_row < rows.len() {
            self.reclaim.garbage_row
        } else {
            0
        };
        let end = (start + ROWS).min(rows.len());
        self.reclaim.garbage_row = end;
        let (frame, share) = (start..)
            .zip(&rows[start..end])
            .filter(|(_, segment)| segment.state == State::Sealed)
            .map(|(frame, segment)| {
                (
                    frame,
                    u64::from(segment.live) * 100 / u64::from(segment.used.max(1)),
                )
            })
            .min_by_key(|&(_, share)| share)?;
        (share < GARBAGE_PERCENT).then(|| u32::try_from(frame).ok())?
    }

    /// Looks at some rows for segments in which everything has expired or was flushed; all of them once a second.
    fn look_for_expired(&mut self, now: u32) {
        if self.reclaim.expiry_row == usize::MAX {
            if self.reclaim.expiry_at == now {
                return;
            }
            self.reclaim.expiry_row = 0;
        }
        if self.reclaim.expiry_row == 0 {
            self.reclaim.expiry_at = now;
            let log = &mut self.log;
            log.seal_where(&mut self.arena, |segment| segment.last_expiry <= now);
        }
        let start = self.reclaim.expiry_row;
        let end = (start + ROWS).min(self.log.rows().len());
        for frame in start..end {
            let segment = self.log.rows()[frame];
            if segment.state == State::Sealed && self.log.is_over(&segment, now) {
                let frame = u32::try_from(frame).unwrap_or(u32::MAX);
                self.log.take_out(frame);
                self.reclaim.over.push(frame);
            }
        }
        self.reclaim.expiry_row = if end == self.log.rows().len() {
            usize::MAX
        } else {
            end
        };
    }

    /// Decides about one cell of a segment being emptied.
    fn settle(&mut self, pos: usize, hash: u64, aim: Aim, now: u32) {
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

    /// Copies an item's cell to the end of a queue. `freq`: what the index shall say of it from now on; `cas`: another
    /// cas unique than it has. `None` if there is no frame for it; then nothing has changed.
    pub(super) fn relocate(
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

/// Some cells of a segment being emptied, with the hashes of their items.
struct Batch {
    cells: [(usize, u64); BATCH],
    len: usize,
    /// Cells passed, dead ones included.
    looked_at: usize,
    /// The offset after the last of them.
    end: usize,
}

impl Batch {
    fn gather(shard: &Shard, cursor: Cursor, cells_max: usize) -> Self {
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
        let mut touched = 0;
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
            touched ^= shard.touch_line(hash).1;
            batch.cells[batch.len] = (pos, hash);
            batch.len += 1;
        }
        // The loads must happen, though nobody wants what they bring.
        black_box(touched);
        batch
    }
}
