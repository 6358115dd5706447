//! The memory of one shard: extents asked from the system, cut into frames of one size.
//! A frame serves as a segment of the log or as a page of the index, so one count bounds both.
//! The memory is fresh, or that of a file which outlives the process; positions are the same in both.

use std::io;

use mapped::{MappedFile, Region};
use prefetch_index::prefetch_index;

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
    pub(super) extents: Vec<Region>,
    /// Where the memory lies, if it is to outlive the process.
    file: Option<MappedFile>,
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
    /// Frames that there turned out to be memory for, once the system refused more.
    ceiling: u32,
}

impl Arena {
    /// An arena that owns nothing yet. Both sizes are powers of two, the extent no smaller than the frame.
    pub(super) fn new(
        frame_bytes: usize,
        extent_bytes: usize,
        limit_frames: u32,
        file: Option<MappedFile>,
    ) -> Self {
        Self {
            extents: Vec::new(),
            file,
            frame_shift: frame_bytes.trailing_zeros(),
            extent_shift: extent_bytes.trailing_zeros(),
            extent_mask: extent_bytes - 1,
            free: Vec::new(),
            made: 0,
            limit: limit_frames,
            ceiling: u32::MAX,
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
        self.limit = frames.min(self.ceiling);
    }

    /// Takes a frame; its bytes are whatever they were.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.in_use() >= self.limit {
            return None;
        }
        if let Some(frame) = self.free.pop() {
            return Some(frame);
        }
        if self.back_next().is_err() {
            // What there is has to do.
            self.ceiling = self.made;
            self.limit = self.limit.min(self.made);
            return None;
        }
        let frame = self.made;
        self.made += 1;
        Some(frame)
    }

    /// Gets memory for the next fresh frame.
    fn back_next(&mut self) -> io::Result<()> {
        if self.made == 0
            && let Some(file) = &self.file
            && file.reserve(0, 1 << self.frame_shift).is_err()
        {
            // Not even one: better a store that dies with the process than none.
            self.file = None;
        }
        let start = self.start_of(self.made);
        if start >> self.extent_shift == self.extents.len() {
            let extent = self.new_extent()?;
            self.extents.push(extent);
        }
        self.reserve(self.made)
    }

    /// Sees to it that a frame in a file has memory behind it: a file may have holes.
    pub(super) fn reserve(&self, frame: u32) -> io::Result<()> {
        match &self.file {
            Some(file) => file.reserve(self.start_of(frame) as u64, 1 << self.frame_shift),
            None => Ok(()),
        }
    }

    /// Memory for the frames after those there is memory for.
    pub(super) fn new_extent(&mut self) -> io::Result<Region> {
        let len_bytes = 1 << self.extent_shift;
        match &mut self.file {
            Some(file) => file.map_next(len_bytes),
            None => Region::anonymous(len_bytes),
        }
    }

    /// Whether the bytes lie in a file.
    pub(super) fn is_mapped(&self) -> bool {
        self.file.is_some()
    }

    /// The file, once all memory is given back.
    pub(super) fn take_file(&mut self) -> Option<MappedFile> {
        self.file.take()
    }

    pub(super) fn extent_bytes(&self) -> usize {
        1 << self.extent_shift
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
        &extent[offset..]
    }

    /// Asks the processor for so many lines from the one at `pos` on, and does not wait for them. They need not exist.
    #[inline(always)]
    pub(super) fn fetch_ahead(&self, pos: usize, lines: usize) {
        let (extent, offset) = self.split(pos);
        if let Some(extent) = self.extents.get(extent) {
            for line in 0..lines {
                prefetch_index::<u8>(&extent[..], offset + line * LINE_BYTES);
            }
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn tail_mut(&mut self, pos: usize) -> &mut [u8] {
        let (extent, offset) = self.split(pos);
        let extent = &mut self.extents[extent];
        &mut extent[offset..]
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
            extent.copy_within(from..from + len, to);
        } else {
            let [source, target] = self
                .extents
                .get_disjoint_mut([from_extent, to_extent])
                .expect("both extents exist");
            target[to..to + len].copy_from_slice(&source[from..from + len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_bounded_reused_and_aligned() {
        let mut arena = Arena::new(4096, 8192, 3, None);
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
        let mut arena = Arena::new(4096, 8192, 3, None);
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
    fn memory_in_a_file_is_there_for_every_frame_taken_and_a_full_device_is_a_lower_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        let mut arena = Arena::new(4096, 8192, 3, Some(MappedFile::create(&path).unwrap()));
        while let Some(frame) = arena.take() {
            let start = arena.start_of(frame);
            arena.bytes_mut(start, 4096).fill(1);
        }
        let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap());
        assert!(blocks * 512 >= 3 * 4096, "{blocks} blocks");

        // The next frame would lie beyond what a file may be long: the file refuses, as a full device does.
        arena.made = u32::MAX - 1;
        arena.set_limit(u32::MAX);
        arena.frame_shift = 31;
        arena.extent_shift = 62;
        assert_eq!(arena.take(), None);
        arena.set_limit(u32::MAX);
        assert_eq!(arena.limit(), u32::MAX - 1, "it does not ask again");
    }

    #[test]
    fn a_location_names_its_position_and_never_zero() {
        for pos in [0, 4, 4096, (15 << 30) + 8] {
            assert_eq!(Loc::at(pos).pos(), pos);
            assert!(!Loc::at(pos).is_none());
        }
    }
}
