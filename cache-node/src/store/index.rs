//! From a hash to the location of a cell: linear hashing over buckets of one cache line, in pages that are frames of
//! the arena. Grows and shrinks by one bucket at a time, so there is no pause and no size to choose.
//! Knows hashes and locations; what a key is, its callers know.

use super::arena::{Arena, LINE_BYTES, Loc};
use super::bucket::{self, Entry, Line, SLOTS};
use super::ghost::Ghosts;

/// Items per bucket at which the next bucket is split. Higher saves memory, lower saves overflow buckets.
const LOAD: usize = 8;
/// Items per bucket below which the last bucket is merged back.
const LOAD_MIN: usize = 6;

/// Where a slot is. Good until the index changes shape: an insertion, removal or merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    line: usize,
    slot: usize,
}

/// An entry whose tag fits. Good as long as its slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) slot: Slot,
    pub(super) loc: Loc,
    /// Reads counted so far.
    pub(super) freq: u8,
}

pub(super) struct Index {
    /// Frames that hold the primary buckets, in order.
    pub(super) pages: Vec<u32>,
    /// Frames that hold the overflow buckets.
    pub(super) overflow_pages: Vec<u32>,
    /// Overflow buckets handed out so far; their numbers start at one.
    pub(super) overflow_made: u32,
    /// First of the overflow buckets given back; they are linked.
    pub(super) overflow_free: u32,
    /// Primary buckets.
    pub(super) buckets: usize,
    /// The next power of two above `buckets`, less one.
    mask: usize,
    /// Buckets per page, as a power of two.
    page_shift: u32,
    pub(super) items: usize,
    /// Entries of the chains being rewritten.
    scratch: Vec<Entry>,
    moved: Vec<Entry>,
}

impl Index {
    /// An index with one bucket. The arena must have two frames for it and its ghosts.
    pub(super) fn new(arena: &mut Arena, ghosts: &mut Ghosts) -> Self {
        let page = arena.take().expect("a new arena has frames");
        let index = Self::of_pages(arena, vec![page], Vec::new());
        assert!(ghosts.reach(arena, 0), "a new arena has frames");
        ghosts.clear(arena, 0);
        *arena.line_mut(index.primary(arena, 0)) = [0; LINE_BYTES];
        index
    }

    /// An index of one bucket in these pages.
    pub(super) fn of_pages(arena: &Arena, pages: Vec<u32>, overflow_pages: Vec<u32>) -> Self {
        Self {
            pages,
            overflow_pages,
            overflow_made: 0,
            overflow_free: 0,
            buckets: 1,
            mask: 0,
            page_shift: (arena.frame_bytes() / LINE_BYTES).trailing_zeros(),
            items: 0,
            scratch: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Sets the number of primary buckets, which are there already.
    pub(super) fn set_buckets(&mut self, buckets: usize) {
        self.buckets = buckets;
        self.mask = buckets.next_power_of_two() - 1;
    }

    /// Whether there are pages for all buckets, and for no more.
    pub(super) fn is_within_its_pages(&self) -> bool {
        let pages_for = |buckets: usize| buckets.div_ceil(1 << self.page_shift);
        self.buckets > 0
            && pages_for(self.buckets) == self.pages.len()
            && pages_for(self.overflow_made as usize) == self.overflow_pages.len()
            && self.overflow_free <= self.overflow_made
    }

    pub(super) fn items(&self) -> usize {
        self.items
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets
    }

    /// Frames in use for buckets.
    pub(super) fn frames(&self) -> usize {
        self.pages.len() + self.overflow_pages.len()
    }

    /// The primary bucket of a hash.
    #[inline]
    pub(super) fn bucket_of(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are kept")]
        let bucket = hash as usize & self.mask;
        if bucket < self.buckets {
            bucket
        } else {
            bucket & (self.mask >> 1)
        }
    }

    #[inline]
    fn pos_in(pages: &[u32], page_shift: u32, bucket: usize, arena: &Arena) -> usize {
        let page = pages[bucket >> page_shift];
        arena.start_of(page) + (bucket & ((1 << page_shift) - 1)) * LINE_BYTES
    }

    #[inline]
    fn primary(&self, arena: &Arena, bucket: usize) -> usize {
        Self::pos_in(&self.pages, self.page_shift, bucket, arena)
    }

    #[inline]
    fn overflow(&self, arena: &Arena, number: u32) -> usize {
        Self::pos_in(&self.overflow_pages, self.page_shift, number as usize - 1, arena)
    }

    /// The position of the first line that a search for `hash` reads.
    #[inline]
    pub(super) fn first_line(&self, arena: &Arena, hash: u64) -> usize {
        self.primary(arena, self.bucket_of(hash))
    }

    /// The entry that a search beginning at `line` looks at first, if it finds one there.
    #[inline(always)]
    pub(super) fn first_match(arena: &Arena, at: usize, hash: u64) -> Option<Near> {
        let line = arena.line(at);
        let slot = bucket::matches(line, bucket::tag(hash)).next()?;
        let loc = bucket::loc(line, slot);
        (!loc.is_none()).then(|| Near {
            slot: Slot { line: at, slot },
            loc,
            freq: bucket::freq(line, slot),
        })
    }

    /// The first slot whose tag matches and whose location satisfies `is_it`, searched from the hash's first line.
    #[inline(always)]
    pub(super) fn find_from<T>(
        &self,
        arena: &Arena,
        first_line: usize,
        hash: u64,
        mut is_it: impl FnMut(Loc) -> Option<T>,
    ) -> Option<(Near, T)> {
        let tag = bucket::tag(hash);
        let mut at = first_line;
        loop {
            let line = arena.line(at);
            for slot in bucket::matches(line, tag) {
                let loc = bucket::loc(line, slot);
                if !loc.is_none()
                    && let Some(found) = is_it(loc)
                {
                    let near = Near {
                        slot: Slot { line: at, slot },
                        loc,
                        freq: bucket::freq(line, slot),
                    };
                    return Some((near, found));
                }
            }
            match bucket::next(line) {
                0 => return None,
                next => at = self.overflow(arena, next),
            }
        }
    }

    /// The entry that names `loc`, which was stored under `hash`.
    #[inline]
    pub(super) fn entry_of(&self, arena: &Arena, hash: u64, loc: Loc) -> Option<Near> {
        let line = self.first_line(arena, hash);
        self.find_from(arena, line, hash, |candidate| (candidate == loc).then_some(()))
            .map(|(near, ())| near)
    }

    #[inline(always)]
    pub(super) fn freq(arena: &Arena, slot: Slot) -> u8 {
        bucket::freq(arena.line(slot.line), slot.slot)
    }

    #[inline(always)]
    pub(super) fn set_freq(arena: &mut Arena, slot: Slot, freq: u8) {
        bucket::set_freq(arena.line_mut(slot.line), slot.slot, freq);
    }

    /// Counts one more read than `freq`, up to the most that is counted; a hot item's line stays clean.
    #[inline(always)]
    pub(super) fn bump(arena: &mut Arena, slot: Slot, freq: u8) {
        if freq < bucket::FREQ_MAX {
            Self::set_freq(arena, slot, freq + 1);
        }
    }

    #[inline]
    pub(super) fn set_loc(arena: &mut Arena, slot: Slot, loc: Loc) {
        bucket::set_loc(arena.line_mut(slot.line), slot.slot, loc);
    }

    /// Adds an entry; `false` if that takes a frame and there is none. The key must not be there yet.
    pub(super) fn insert(&mut self, arena: &mut Arena, hash: u64, loc: Loc) -> bool {
        let mut at = self.first_line(arena, hash);
        let entry = Entry::new(hash, loc, 0);
        loop {
            let line = arena.line_mut(at);
            if let Some(slot) = bucket::empty_slot(line) {
                bucket::set_entry(line, slot, entry);
                self.items += 1;
                return true;
            }
            match bucket::next(line) {
                0 => break,
                next => at = self.overflow(arena, next),
            }
        }
        let Some(number) = self.take_overflow(arena) else {
            return false;
        };
        bucket::set_next(arena.line_mut(at), number);
        let at = self.overflow(arena, number);
        bucket::set_entry(arena.line_mut(at), 0, entry);
        self.items += 1;
        true
    }

    /// Removes an entry that was stored under `hash`. Only the last bucket of a chain is ever less than full
    /// afterwards, if it was so before.
    pub(super) fn remove(&mut self, arena: &mut Arena, hash: u64, hole: Slot) {
        self.items -= 1;
        bucket::clear(arena.line_mut(hole.line), hole.slot);
        let mut at = self.first_line(arena, hash);
        let mut before = None;
        loop {
            match bucket::next(arena.line(at)) {
                0 => break,
                next => {
                    before = Some((at, next));
                    at = self.overflow(arena, next);
                }
            }
        }
        let Some((before, last)) = before else { return };
        let line = *arena.line(at);
        let mut left = (0..SLOTS).filter(|&slot| !bucket::loc(&line, slot).is_none());
        if hole.line != at
            && let Some(slot) = left.next()
        {
            bucket::clear(arena.line_mut(at), slot);
            bucket::set_entry(arena.line_mut(hole.line), hole.slot, bucket::entry(&line, slot));
        }
        if left.next().is_none() {
            bucket::set_next(arena.line_mut(before), 0);
            self.release_overflow(arena, last);
        }
    }

    /// Splits one bucket if the load asks for it and a frame can be had. `hash_of` reads the hash of a cell again:
    /// a slot keeps only part of it.
    pub(super) fn grow(
        &mut self,
        arena: &mut Arena,
        ghosts: &mut Ghosts,
        hash_of: impl Fn(&Arena, Loc) -> u64,
    ) {
        if self.items < self.buckets * LOAD {
            return;
        }
        let new = self.buckets;
        if new >> self.page_shift == self.pages.len() {
            // One frame is left alone: whoever is writing an item may need it.
            if arena.available() < 2 {
                return;
            }
            let Some(page) = arena.take() else { return };
            self.pages.push(page);
        }
        if !ghosts.reach(arena, new) {
            return;
        }
        self.set_buckets(new + 1);
        *arena.line_mut(self.primary(arena, new)) = [0; LINE_BYTES];
        let old = new & (self.mask >> 1);
        ghosts.split(arena, old, new);
        self.collect_chain(arena, old);
        let mut entries = std::mem::take(&mut self.scratch);
        let mut moved = std::mem::take(&mut self.moved);
        entries.retain(|entry| {
            let stays = self.bucket_of(hash_of(arena, entry.loc)) == old;
            if !stays {
                moved.push(*entry);
            }
            stays
        });
        self.write_chain(arena, old, &entries);
        self.write_chain(arena, new, &moved);
        entries.clear();
        moved.clear();
        (self.scratch, self.moved) = (entries, moved);
    }

    /// Merges the last bucket back if the index has become much too large; `true` if it did.
    pub(super) fn shrink(&mut self, arena: &mut Arena, ghosts: &mut Ghosts) -> bool {
        if self.buckets <= 1 << self.page_shift || self.items >= self.buckets * LOAD_MIN {
            return false;
        }
        // Two chains made into one lose a primary bucket and may need an overflow bucket for it.
        let Some(spare) = self.take_overflow(arena) else {
            return false;
        };
        self.release_overflow(arena, spare);
        let last = self.buckets - 1;
        let into = last & (self.mask >> 1);
        self.collect_chain(arena, into);
        self.collect_chain(arena, last);
        let mut entries = std::mem::take(&mut self.scratch);
        self.set_buckets(last);
        self.write_chain(arena, into, &entries);
        entries.clear();
        self.scratch = entries;
        if last & ((1 << self.page_shift) - 1) == 0
            && let Some(page) = self.pages.pop()
        {
            arena.give_back(page);
        }
        ghosts.shrink_to(arena, last);
        true
    }

    /// Visits the locations in one bucket and its overflow.
    pub(super) fn for_each_in(&self, arena: &Arena, bucket: usize, mut visit: impl FnMut(Slot, Loc)) {
        if bucket >= self.buckets {
            return;
        }
        let mut at = self.primary(arena, bucket);
        loop {
            let line = arena.line(at);
            for slot in 0..SLOTS {
                let loc = bucket::loc(line, slot);
                if !loc.is_none() {
                    visit(Slot { line: at, slot }, loc);
                }
            }
            match bucket::next(line) {
                0 => return,
                next => at = self.overflow(arena, next),
            }
        }
    }

    /// Moves all entries of a chain to the scratch list and its overflow buckets to the free list.
    fn collect_chain(&mut self, arena: &mut Arena, bucket: usize) {
        let mut at = self.primary(arena, bucket);
        let mut overflow = 0;
        loop {
            let line: Line = *arena.line(at);
            self.scratch.extend(
                (0..SLOTS)
                    .map(|slot| bucket::entry(&line, slot))
                    .filter(|entry| !entry.loc.is_none()),
            );
            if overflow != 0 {
                self.release_overflow(arena, overflow);
            }
            overflow = bucket::next(&line);
            if overflow == 0 {
                return;
            }
            at = self.overflow(arena, overflow);
        }
    }

    /// Writes a chain anew, with overflow buckets that [`collect_chain`](Self::collect_chain) gave back: two halves of
    /// a chain never need more of them than the whole, and a merge makes sure of one to spare.
    fn write_chain(&mut self, arena: &mut Arena, bucket: usize, entries: &[Entry]) {
        let mut at = self.primary(arena, bucket);
        let mut chunks = entries.chunks(SLOTS).peekable();
        loop {
            let mut line = [0; LINE_BYTES];
            for (slot, entry) in chunks.next().unwrap_or_default().iter().enumerate() {
                bucket::set_entry(&mut line, slot, *entry);
            }
            if chunks.peek().is_none() {
                *arena.line_mut(at) = line;
                return;
            }
            let number = self
                .take_overflow(arena)
                .expect("a rewritten chain finds as many overflow buckets as it needs");
            bucket::set_next(&mut line, number);
            *arena.line_mut(at) = line;
            at = self.overflow(arena, number);
        }
    }

    fn take_overflow(&mut self, arena: &mut Arena) -> Option<u32> {
        let number = match self.overflow_free {
            0 => {
                if self.overflow_made as usize >> self.page_shift == self.overflow_pages.len() {
                    self.overflow_pages.push(arena.take()?);
                }
                self.overflow_made += 1;
                self.overflow_made
            }
            free => {
                self.overflow_free = bucket::next(arena.line(self.overflow(arena, free)));
                free
            }
        };
        *arena.line_mut(self.overflow(arena, number)) = [0; LINE_BYTES];
        Some(number)
    }

    fn release_overflow(&mut self, arena: &mut Arena, number: u32) {
        let at = self.overflow(arena, number);
        bucket::set_next(arena.line_mut(at), self.overflow_free);
        self.overflow_free = number;
    }
}
