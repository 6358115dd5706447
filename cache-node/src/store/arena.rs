//! The memory of one shard: extents asked from the system, cut into frames of one size.
//! A frame serves as a segment of the log or as a page of the index, so one count bounds both.

/// Cache lines start at multiples of this.
pub(super) const LINE_BYTES: usize = 64;

/// Where a cell starts: a count of four bytes from the start of the arena, plus one; zero is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loc(pub(super) u32);

impl Loc {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the geometry keeps positions below 16 GiB"
    )]
    pub(super) fn at(pos: usize) -> Self {
        Self((pos >> 2) as u32 + 1)
    }

    #[inline]
    pub(super) fn pos(self) -> usize {
        (self.0 as usize).wrapping_sub(1) << 2
    }

    #[inline]
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Frames by number, bytes by position (frame number times frame size, plus offset).
pub(super) struct Arena {
    pub(super) extents: Vec<Extent>,
    frame_shift: u32,
    extent_shift: u32,
    /// The bits of a position within its extent.
    extent_mask: usize,
    /// Frames given back, to be used again before fresh ones: fresh ones are not resident yet.
    pub(super) free: Vec<u32>,
    /// Frames below this number have been handed out at least once.
    pub(super) made: u32,
    /// Frames that may be in use at a time.
    limit: u32,
}

/// One piece of memory from the system. Zeroed by it, so pages never written are not resident.
pub(super) struct Extent {
    bytes: Box<[u8]>,
    /// Bytes skipped so that lines are aligned.
    skew: usize,
}

impl Extent {
    fn new(len_bytes: usize) -> Self {
        let bytes = vec![0; len_bytes + LINE_BYTES].into_boxed_slice();
        let skew = bytes.as_ptr().align_offset(LINE_BYTES).min(LINE_BYTES);
        Self { bytes, skew }
    }

    pub(super) fn bytes_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        &mut self.bytes[self.skew + offset..][..len]
    }
}

impl Arena {
    /// An arena that owns nothing yet. Both sizes are powers of two, the extent no smaller than the frame.
    pub(super) fn new(frame_bytes: usize, extent_bytes: usize, limit_frames: u32) -> Self {
        Self {
            extents: Vec::new(),
            frame_shift: frame_bytes.trailing_zeros(),
            extent_shift: extent_bytes.trailing_zeros(),
            extent_mask: extent_bytes - 1,
            free: Vec::new(),
            made: 0,
            limit: limit_frames,
        }
    }

    #[inline]
    pub(super) fn frame_bytes(&self) -> usize {
        1 << self.frame_shift
    }

    /// Frames that may still be taken.
    #[inline]
    pub(super) fn available(&self) -> u32 {
        self.limit.saturating_sub(self.in_use())
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the free list holds frame numbers, which are u32"
    )]
    pub(super) fn in_use(&self) -> u32 {
        self.made - self.free.len() as u32
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn set_limit(&mut self, frames: u32) {
        self.limit = frames;
    }

    /// Takes a frame; its bytes are whatever they were.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.in_use() >= self.limit {
            return None;
        }
        if let Some(frame) = self.free.pop() {
            return Some(frame);
        }
        let frame = self.made;
        let extent = (frame as usize) << self.frame_shift >> self.extent_shift;
        if extent == self.extents.len() {
            self.extents.push(self.new_extent());
        }
        self.made += 1;
        Some(frame)
    }

    /// Memory for the frames after those there is memory for.
    pub(super) fn new_extent(&self) -> Extent {
        Extent::new(1 << self.extent_shift)
    }

    pub(super) fn frames_per_extent(&self) -> usize {
        1 << (self.extent_shift - self.frame_shift)
    }

    pub(super) fn give_back(&mut self, frame: u32) {
        debug_assert!(frame < self.made && !self.free.contains(&frame));
        self.free.push(frame);
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 2^32 frames")]
    pub(super) fn frame_of(&self, pos: usize) -> u32 {
        (pos >> self.frame_shift) as u32
    }

    #[inline]
    pub(super) fn start_of(&self, frame: u32) -> usize {
        (frame as usize) << self.frame_shift
    }

    #[inline]
    fn split(&self, pos: usize) -> (usize, usize) {
        (pos >> self.extent_shift, pos & self.extent_mask)
    }

    /// The bytes from `pos` to the end of its extent.
    #[inline]
    pub(super) fn tail(&self, pos: usize) -> &[u8] {
        let (extent, offset) = self.split(pos);
        let extent = &self.extents[extent];
        &extent.bytes[extent.skew + offset..]
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn tail_mut(&mut self, pos: usize) -> &mut [u8] {
        let (extent, offset) = self.split(pos);
        let extent = &mut self.extents[extent];
        &mut extent.bytes[extent.skew + offset..]
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self, pos: usize, len: usize) -> &mut [u8] {
        &mut self.tail_mut(pos)[..len]
    }

    /// The line of 64 bytes that starts at `pos`.
    #[inline]
    pub(super) fn line(&self, pos: usize) -> &[u8; LINE_BYTES] {
        self.tail(pos)
            .first_chunk()
            .expect("a line lies within its frame")
    }

    #[inline]
    pub(super) fn line_mut(&mut self, pos: usize) -> &mut [u8; LINE_BYTES] {
        self.tail_mut(pos)
            .first_chunk_mut()
            .expect("a line lies within its frame")
    }

    /// Copies bytes from one frame to another (or within one, not overlapping).
    pub(super) fn copy(&mut self, from: usize, to: usize, len: usize) {
        let ((from_extent, from), (to_extent, to)) = (self.split(from), self.split(to));
        if from_extent == to_extent {
            let extent = &mut self.extents[from_extent];
            let from = extent.skew + from;
            extent.bytes.copy_within(from..from + len, extent.skew + to);
        } else {
            let [source, target] = self
                .extents
                .get_disjoint_mut([from_extent, to_extent])
                .expect("both extents exist");
            let (from, to) = (source.skew + from, target.skew + to);
            target.bytes[to..to + len].copy_from_slice(&source.bytes[from..from + len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_bounded_reused_and_aligned() {
        let mut arena = Arena::new(4096, 8192, 3);
        let frames: Vec<u32> = std::iter::from_fn(|| arena.take()).collect();
        assert_eq!(frames, [0, 1, 2]);
        assert_eq!(arena.available(), 0);
        for frame in frames {
            let start = arena.start_of(frame);
            assert_eq!(
                arena.line(start).as_ptr().align_offset(LINE_BYTES),
                0,
                "frame {frame}"
            );
            assert_eq!(arena.frame_of(start + 4095), frame);
        }
        arena.give_back(1);
        assert_eq!(arena.take(), Some(1));
    }

    #[test]
    fn bytes_are_copied_within_and_between_extents() {
        let mut arena = Arena::new(4096, 8192, 3);
        while arena.take().is_some() {}
        arena.bytes_mut(100, 3).copy_from_slice(b"abc");
        arena.copy(100, 4096, 3);
        arena.copy(100, 8192, 3);
        assert_eq!(
            (&arena.tail(4096)[..3], &arena.tail(8192)[..3]),
            (&b"abc"[..], &b"abc"[..])
        );
    }

    #[test]
    fn a_location_names_its_position_and_never_zero() {
        for pos in [0, 4, 4096, (15 << 30) + 8] {
            assert_eq!(Loc::at(pos).pos(), pos);
            assert!(!Loc::at(pos).is_none());
        }
    }
}
