//! The log: segments being filled, sealed and freed. A segment is a frame with a row of figures about it.
//! Knows how many bytes live where; what they are, its callers know.

use super::arena::Arena;
use super::item::{DEAD, Header};
use super::queue::{Fifo, Linked, Links, NONE, Queue};
use super::ttl_class::CLASSES;

/// What becomes of a frame.
///
/// ```text
/// Unused -> Active -> Sealed -> Leaving -> Unused
///                       '-------------------^   when its last item dies
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Free, or a page of the index.
    Unused,
    /// Being filled.
    Active,
    /// Full, waiting in its queue.
    Sealed,
    /// Out of its queue: being emptied, or waiting for that because all in it has expired.
    Leaving,
}

/// The row of one segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Which one it is among all segments ever opened: the high part of cas uniques.
    pub(super) seq: u64,
    /// Bytes written.
    pub(super) used: u32,
    /// Bytes in cells that somebody refers to.
    pub(super) live: u32,
    /// When the last of its items expires; `u32::MAX` if one never does.
    pub(super) last_expiry: u32,
    pub(super) links: Links,
    pub(super) state: State,
    pub(super) queue: Queue,
    pub(super) class: u8,
}

impl Linked for Segment {
    fn next(&self) -> u32 {
        self.links.next
    }

    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

impl Segment {
    /// The row of a frame that is no segment.
    pub(super) const UNUSED: Self = Self {
        seq: 0,
        used: 0,
        live: 0,
        last_expiry: 0,
        links: Links::ALONE,
        state: State::Unused,
        queue: Queue::Small,
        class: 0,
    };
}

/// All segments of a shard.
pub(super) struct Log {
    /// By frame.
    pub(super) rows: Vec<Segment>,
    fifos: [Fifo; 2],
    pub(super) active: [[u32; CLASSES]; 2],
    pub(super) next_seq: u64,
    /// Segments opened before this one were flushed.
    pub(super) flushed_below: u64,
    /// Added to every cas unique made here.
    pub(super) cas_base: u64,
    /// Segments in use.
    pub(super) segments: u32,
    /// Segments in use, by queue.
    pub(super) by_queue: [u32; 2],
}

impl Log {
    pub(super) fn new(limit_frames: u32, cas_base: u64) -> Self {
        Self {
            rows: Vec::with_capacity(limit_frames as usize),
            fifos: [Fifo::EMPTY; 2],
            active: [[NONE; CLASSES]; 2],
            next_seq: 1,
            flushed_below: 0,
            cas_base,
            segments: 0,
            by_queue: [0; 2],
        }
    }

    #[inline]
    pub(super) fn segment(&self, frame: u32) -> &Segment {
        &self.rows[frame as usize]
    }

    /// Rows of all frames that were ever segments.
    pub(super) fn rows(&self) -> &[Segment] {
        &self.rows
    }

    /// Segments in use.
    pub(super) fn segments(&self) -> u32 {
        self.segments
    }

    /// Segments of one queue, those being filled included.
    pub(super) fn segments_in(&self, queue: Queue) -> u32 {
        self.by_queue[queue as usize]
    }

    /// The segment that has waited longest.
    pub(super) fn oldest(&self, queue: Queue) -> Option<u32> {
        self.fifos[queue as usize].oldest()
    }

    /// The segments that wait in a queue, from the oldest.
    pub(super) fn sealed(&self, queue: Queue) -> impl Iterator<Item = u32> {
        self.fifos[queue as usize].iter(&self.rows)
    }

    /// Makes a sealed segment the youngest of a queue.
    pub(super) fn line_up(&mut self, queue: Queue, frame: u32) {
        self.fifos[queue as usize].push(&mut self.rows, frame);
    }

    /// Bytes left in the segment being filled.
    pub(super) fn room(&self, arena: &Arena, queue: Queue, class: usize) -> usize {
        match self.active[queue as usize][class] {
            NONE => 0,
            frame => arena.frame_bytes() - self.rows[frame as usize].used as usize,
        }
    }

    /// Room for a cell: its position, or `None` if that takes a frame and there is none.
    /// `expires` as in a header (zero: never).
    pub(super) fn append(
        &mut self,
        arena: &mut Arena,
        queue: Queue,
        class: usize,
        expires: u32,
        bytes: usize,
    ) -> Option<usize> {
        debug_assert!(bytes <= arena.frame_bytes());
        if self.room(arena, queue, class) < bytes {
            let frame = arena.take()?;
            self.seal(arena, queue, class);
            self.open(frame, queue, class);
        }
        let frame = self.active[queue as usize][class];
        let row = &mut self.rows[frame as usize];
        let offset = row.used as usize;
        #[expect(clippy::cast_possible_truncation, reason = "a cell is smaller than a frame")]
        let bytes = bytes as u32;
        row.used += bytes;
        row.live += bytes;
        row.last_expiry = row.last_expiry.max(if expires == 0 { u32::MAX } else { expires });
        Some(arena.start_of(frame) + offset)
    }

    fn open(&mut self, frame: u32, queue: Queue, class: usize) {
        if self.rows.len() <= frame as usize {
            self.rows.resize(frame as usize + 1, Segment::UNUSED);
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are four classes")]
        let class_byte = class as u8;
        self.rows[frame as usize] = Segment {
            seq: self.next_seq,
            state: State::Active,
            queue,
            class: class_byte,
            ..Segment::UNUSED
        };
        self.next_seq += 1;
        self.segments += 1;
        self.by_queue[queue as usize] += 1;
        self.active[queue as usize][class] = frame;
    }

    /// Ends the filling of a segment, if there is one.
    fn seal(&mut self, arena: &mut Arena, queue: Queue, class: usize) {
        let frame = std::mem::replace(&mut self.active[queue as usize][class], NONE);
        if frame == NONE {
            return;
        }
        self.rows[frame as usize].state = State::Sealed;
        self.fifos[queue as usize].push(&mut self.rows, frame);
        if self.rows[frame as usize].live == 0 {
            self.free(arena, frame);
        }
    }

    /// Seals the segments being filled for which `which` says so.
    pub(super) fn seal_where(&mut self, arena: &mut Arena, which: impl Fn(&Segment) -> bool) {
        for queue in [Queue::Small, Queue::Main] {
            for class in 0..CLASSES {
                let frame = self.active[queue as usize][class];
                if frame != NONE && which(&self.rows[frame as usize]) {
                    self.seal(arena, queue, class);
                }
            }
        }
    }

    /// Takes a sealed segment out of its queue, to be emptied.
    pub(super) fn take_out(&mut self, frame: u32) {
        let row = &mut self.rows[frame as usize];
        debug_assert_eq!(row.state, State::Sealed);
        row.state = State::Leaving;
        let queue = row.queue;
        self.fifos[queue as usize].remove(&mut self.rows, frame);
    }

    /// Puts a segment back that could not be emptied.
    pub(super) fn put_back(&mut self, frame: u32) {
        let row = &mut self.rows[frame as usize];
        row.state = State::Sealed;
        let queue = row.queue;
        self.fifos[queue as usize].push(&mut self.rows, frame);
    }

    /// Frees a segment in which nothing lives.
    pub(super) fn free(&mut self, arena: &mut Arena, frame: u32) {
        let row = &mut self.rows[frame as usize];
        debug_assert_eq!(row.live, 0);
        let (queue, state) = (row.queue, row.state);
        row.state = State::Unused;
        if state == State::Sealed {
            self.fifos[queue as usize].remove(&mut self.rows, frame);
        }
        self.segments -= 1;
        self.by_queue[queue as usize] -= 1;
        arena.give_back(frame);
    }

    /// Marks a cell dead; its segment is freed if it is sealed and that was the last.
    pub(super) fn kill(&mut self, arena: &mut Arena, pos: usize, mut header: Header) {
        header.set(DEAD, true);
        header.write(arena.tail_mut(pos));
        self.lose(arena, pos, header.cell_bytes());
    }

    /// Counts bytes of a cell as dead.
    pub(super) fn lose(&mut self, arena: &mut Arena, pos: usize, bytes: usize) {
        let frame = arena.frame_of(pos);
        let row = &mut self.rows[frame as usize];
        #[expect(clippy::cast_possible_truncation, reason = "a cell is smaller than a frame")]
        let bytes = bytes as u32;
        row.live -= bytes;
        if row.live == 0 && row.state == State::Sealed {
            self.free(arena, frame);
        }
    }

    /// Notes that an item in the segment of `pos` expires at `expires` (zero: never).
    pub(super) fn expects(&mut self, arena: &Arena, pos: usize, expires: u32) {
        let row = &mut self.rows[arena.frame_of(pos) as usize];
        row.last_expiry = row.last_expiry.max(if expires == 0 { u32::MAX } else { expires });
    }

    /// The queue and TTL class of the segment of `pos`.
    #[inline]
    pub(super) fn place(&self, arena: &Arena, pos: usize) -> (Queue, usize) {
        let row = &self.rows[arena.frame_of(pos) as usize];
        (row.queue, usize::from(row.class))
    }

    /// The cas unique of what is written at `pos`: where that is in the whole history of the log. Unique because no
    /// position is written twice between two openings of its segment, except in place where nobody has seen it.
    #[inline]
    pub(super) fn cas_at(&self, arena: &Arena, pos: usize) -> u64 {
        let frame = arena.frame_of(pos);
        let offset = pos - arena.start_of(frame);
        self.cas_of(arena, self.rows[frame as usize].seq, offset)
    }

    /// The cas unique that the next cell of that size would have.
    pub(super) fn next_cas(&self, arena: &Arena, queue: Queue, class: usize, bytes: usize) -> u64 {
        if self.room(arena, queue, class) < bytes {
            return self.cas_of(arena, self.next_seq, 0);
        }
        let row = &self.rows[self.active[queue as usize][class] as usize];
        self.cas_of(arena, row.seq, row.used as usize)
    }

    #[inline]
    fn cas_of(&self, arena: &Arena, seq: u64, offset: usize) -> u64 {
        let words = (arena.frame_bytes() / 4) as u64;
        self.cas_base
            .wrapping_add(seq.wrapping_mul(words))
            .wrapping_add((offset / 4) as u64 + 1)
    }

    /// All that was written so far is gone; segments opened from here on are not.
    pub(super) fn flush(&mut self, arena: &mut Arena) {
        self.seal_where(arena, |_| true);
        self.flushed_below = self.next_seq;
    }

    /// Whether what is at `pos` was flushed.
    #[inline]
    pub(super) fn is_flushed(&self, arena: &Arena, pos: usize) -> bool {
        self.flushed_below > 0 && self.rows[arena.frame_of(pos) as usize].seq < self.flushed_below
    }

    /// Whether nothing in a segment can be alive at `now`.
    pub(super) fn is_over(&self, segment: &Segment, now: u32) -> bool {
        segment.last_expiry <= now || segment.seq < self.flushed_below
    }
}
