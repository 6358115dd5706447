//! An index bucket: one cache line of ten slots. Bytes in, bytes out; knows nothing of pages or keys.
//!
//! ```text
//!  0..40  ten locations, u32 (0: the slot is empty)
//! 40..60  ten tags, u16: 14 bits of the hash, and 2 bits of how often the item was read
//! 60..64  the overflow bucket that goes on, u32 (0: none)
//! ```

use super::arena::{LINE_BYTES, Loc};

pub(super) const SLOTS: usize = 10;
/// Reads beyond this number are not counted.
pub(super) const FREQ_MAX: u8 = 3;

const TAGS: usize = SLOTS * 4;
const NEXT: usize = TAGS + SLOTS * 2;
const TAG_BITS: u32 = 14;
const TAG_MASK: u16 = (1 << TAG_BITS) - 1;
/// One in each 16-bit lane of a word.
const LANES: u64 = 0x0001_0001_0001_0001;

pub(super) type Line = [u8; LINE_BYTES];

/// The tag of a hash: its top bits, which pick neither shard nor bucket.
#[inline]
pub(super) fn tag(hash: u64) -> u16 {
    (hash >> (64 - TAG_BITS)) as u16
}

#[inline]
fn word<const N: usize>(line: &Line, at: usize) -> [u8; N] {
    *line[at..].first_chunk().expect("offsets lie within the line")
}

/// Slots whose tag matches, all ten compared at once. Some may be empty: their location says so.
#[inline]
pub(super) fn matches(line: &Line, tag: u16) -> Matches {
    let wanted = u64::from(tag) * LANES;
    let keep = u64::from(TAG_MASK) * LANES;
    let top = (1 << TAG_BITS) * LANES;
    // A lane of zero is the only one from which nothing is taken away, so its top bit stays.
    let equal = |word: u64| (top - ((word ^ wanted) & keep)) & top;
    let first = equal(u64::from_le_bytes(word(line, TAGS)));
    let second = equal(u64::from_le_bytes(word(line, TAGS + 8)));
    let third = equal(u64::from(u32::from_le_bytes(word(line, TAGS + 16)))) & 0xffff_ffff;
    Matches(first >> TAG_BITS | second >> (TAG_BITS - 1) | third >> (TAG_BITS - 2))
}

/// Slot numbers, lowest lane first. Bit `16 * (slot % 4) + slot / 4` stands for a slot.
pub(super) struct Matches(u64);

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some((bit & 15) * 4 + (bit >> 4))
    }
}

#[inline]
pub(super) fn loc(line: &Line, slot: usize) -> Loc {
    Loc(u32::from_le_bytes(word(line, slot * 4)))
}

#[inline]
pub(super) fn set_loc(line: &mut Line, slot: usize, loc: Loc) {
    line[slot * 4..slot * 4 + 4].copy_from_slice(&loc.0.to_le_bytes());
}

#[inline]
fn meta(line: &Line, slot: usize) -> u16 {
    u16::from_le_bytes(word(line, TAGS + slot * 2))
}

#[inline]
fn set_meta(line: &mut Line, slot: usize, meta: u16) {
    line[TAGS + slot * 2..TAGS + slot * 2 + 2].copy_from_slice(&meta.to_le_bytes());
}

/// How often the item was read lately, up to [`FREQ_MAX`].
#[inline]
pub(super) fn freq(line: &Line, slot: usize) -> u8 {
    (meta(line, slot) >> TAG_BITS) as u8
}

#[inline]
pub(super) fn set_freq(line: &mut Line, slot: usize, freq: u8) {
    let kept = meta(line, slot) & TAG_MASK;
    set_meta(line, slot, kept | u16::from(freq.min(FREQ_MAX)) << TAG_BITS);
}

#[inline]
pub(super) fn next(line: &Line) -> u32 {
    u32::from_le_bytes(word(line, NEXT))
}

#[inline]
pub(super) fn set_next(line: &mut Line, next: u32) {
    line[NEXT..].copy_from_slice(&next.to_le_bytes());
}

/// One occupied slot, as it is moved between buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) loc: Loc,
    meta: u16,
}

impl Entry {
    pub(super) fn new(hash: u64, loc: Loc, freq: u8) -> Self {
        Self {
            loc,
            meta: tag(hash) | u16::from(freq.min(FREQ_MAX)) << TAG_BITS,
        }
    }
}

pub(super) fn entry(line: &Line, slot: usize) -> Entry {
    Entry {
        loc: loc(line, slot),
        meta: meta(line, slot),
    }
}

pub(super) fn set_entry(line: &mut Line, slot: usize, entry: Entry) {
    set_loc(line, slot, entry.loc);
    set_meta(line, slot, entry.meta);
}

pub(super) fn clear(line: &mut Line, slot: usize) {
    set_entry(
        line,
        slot,
        Entry {
            loc: Loc::NONE,
            meta: 0,
        },
    );
}

pub(super) fn empty_slot(line: &Line) -> Option<usize> {
    (0..SLOTS).find(|&slot| loc(line, slot).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_slots_with_the_tag_match_whatever_their_freq() {
        let tags: [u16; SLOTS] = [0, 1, 0x3fff, 7, 7, 0x2000, 1, 0x1fff, 0x3fff, 7];
        let mut line = [0; LINE_BYTES];
        for ((slot, &tag), loc) in tags.iter().enumerate().zip(1..) {
            let (hash, freq) = (u64::from(tag) << (64 - TAG_BITS), [0, 3, 1, 2][slot % 4]);
            set_entry(&mut line, slot, Entry::new(hash, Loc(loc), freq));
        }
        set_next(&mut line, u32::MAX);
        for wanted in [0, 1, 7, 0x1fff, 0x2000, 0x3ffe, 0x3fff] {
            let mut found: Vec<usize> = matches(&line, wanted).collect();
            found.sort_unstable();
            let expected: Vec<usize> = (0..SLOTS).filter(|&slot| tags[slot] == wanted).collect();
            assert_eq!(found, expected, "tag {wanted:#x}");
        }
    }

    #[test]
    fn freq_and_location_leave_each_other_and_the_tag_alone() {
        let mut line = [0; LINE_BYTES];
        let hash = 0xabcd_ef01_2345_6789;
        set_entry(&mut line, 9, Entry::new(hash, Loc(77), 0));
        set_freq(&mut line, 9, 2);
        set_loc(&mut line, 9, Loc(78));
        set_next(&mut line, 5);
        assert_eq!((freq(&line, 9), loc(&line, 9), next(&line)), (2, Loc(78), 5));
        assert_eq!(matches(&line, tag(hash)).collect::<Vec<_>>(), [9]);
        clear(&mut line, 9);
        assert_eq!(empty_slot(&line), Some(0));
        assert!(loc(&line, 9).is_none());
    }
}
