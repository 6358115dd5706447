//! Ghosts: fingerprints of keys evicted lately, eight per bucket, the oldest forgotten first.
//! An item that comes back while its ghost is there goes straight to the main queue.

use super::arena::Arena;

/// Bytes of ghosts per bucket: eight fingerprints of 16 bits.
const GHOST_BYTES: usize = 16;

/// Pages of ghosts, one set per primary bucket of the index, in frames of the arena.
pub(super) struct Ghosts {
    pub(super) pages: Vec<u32>,
    /// Buckets per page, as a power of two.
    page_shift: u32,
}

/// The fingerprint: bits that pick neither bucket nor tag. Zero means nobody.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "16 bits are wanted")]
fn fingerprint(hash: u64) -> u16 {
    ((hash >> 34) as u16).max(1)
}

impl Ghosts {
    pub(super) fn new(arena: &Arena) -> Self {
        Self {
            pages: Vec::new(),
            page_shift: (arena.frame_bytes() / GHOST_BYTES).trailing_zeros(),
        }
    }

    pub(super) fn frames(&self) -> usize {
        self.pages.len()
    }

    /// Sees to it that `bucket` has a page; `false` if there is no frame for it.
    pub(super) fn reach(&mut self, arena: &mut Arena, bucket: usize) -> bool {
        if bucket >> self.page_shift == self.pages.len() {
            match arena.take() {
                Some(page) => self.pages.push(page),
                None => return false,
            }
        }
        true
    }

    /// Whether there is a page for each of so many buckets.
    pub(super) fn reaches(&self, buckets: usize) -> bool {
        buckets.div_ceil(1 << self.page_shift) <= self.pages.len()
    }

    /// Gives back the pages beyond `buckets`.
    pub(super) fn shrink_to(&mut self, arena: &mut Arena, buckets: usize) {
        let needed = buckets.div_ceil(1 << self.page_shift);
        while self.pages.len() > needed {
            if let Some(page) = self.pages.pop() {
                arena.give_back(page);
            }
        }
    }

    #[inline]
    fn pos(&self, arena: &Arena, bucket: usize) -> usize {
        arena.start_of(self.pages[bucket >> self.page_shift])
            + (bucket & ((1 << self.page_shift) - 1)) * GHOST_BYTES
    }

    #[inline]
    fn read(&self, arena: &Arena, bucket: usize) -> u128 {
        let bytes = arena.tail(self.pos(arena, bucket));
        u128::from_le_bytes(*bytes.first_chunk().expect("ghosts lie within their frame"))
    }

    #[inline]
    fn write(&self, arena: &mut Arena, bucket: usize, ghosts: u128) {
        let at = self.pos(arena, bucket);
        arena
            .bytes_mut(at, GHOST_BYTES)
            .copy_from_slice(&ghosts.to_le_bytes());
    }

    pub(super) fn clear(&self, arena: &mut Arena, bucket: usize) {
        self.write(arena, bucket, 0);
    }

    /// A new bucket does not know which of the old one's ghosts are its own: it gets them all.
    pub(super) fn split(&self, arena: &mut Arena, old: usize, new: usize) {
        let ghosts = self.read(arena, old);
        self.write(arena, new, ghosts);
    }

    /// Remembers an evicted key.
    #[inline]
    pub(super) fn remember(&self, arena: &mut Arena, bucket: usize, hash: u64) {
        let ghosts = self.read(arena, bucket) << 16 | u128::from(fingerprint(hash));
        self.write(arena, bucket, ghosts);
    }

    /// Whether the key was evicted lately.
    #[inline]
    pub(super) fn knows(&self, arena: &Arena, bucket: usize, hash: u64) -> bool {
        Self::lane(self.read(arena, bucket), hash).is_some()
    }

    /// Forgets the key; `true` if it was known.
    #[inline]
    pub(super) fn forget(&self, arena: &mut Arena, bucket: usize, hash: u64) -> bool {
        let ghosts = self.read(arena, bucket);
        let Some(lane) = Self::lane(ghosts, hash) else {
            return false;
        };
        self.write(arena, bucket, ghosts & !(0xffff << (lane * 16)));
        true
    }

    /// Where among the eight a fingerprint is.
    #[inline]
    fn lane(ghosts: u128, hash: u64) -> Option<u32> {
        const LOW: u128 = 0x0001_0001_0001_0001_0001_0001_0001_0001;
        const TOP: u128 = LOW << 15;
        let differ = ghosts ^ (u128::from(fingerprint(hash)) * LOW);
        // A borrow runs on only above a lane of zero, so the lowest one found is one.
        let equal = differ.wrapping_sub(LOW) & !differ & TOP;
        (equal != 0).then(|| equal.trailing_zeros() / 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_youngest_ghosts_are_known_until_forgotten() {
        let mut arena = Arena::new(4096, 4096, 4, None);
        let mut ghosts = Ghosts::new(&arena);
        assert!(ghosts.reach(&mut arena, 0));
        ghosts.clear(&mut arena, 0);
        let hashes: Vec<u64> = (1..=9).map(|n| n << 34).collect();
        for &hash in &hashes {
            ghosts.remember(&mut arena, 0, hash);
        }
        assert!(
            !ghosts.knows(&arena, 0, hashes[0]),
            "the ninth pushed the first out"
        );
        assert!(hashes[1..].iter().all(|&hash| ghosts.knows(&arena, 0, hash)));
        assert!(ghosts.forget(&mut arena, 0, hashes[5]));
        assert!(!ghosts.knows(&arena, 0, hashes[5]));
        assert!(ghosts.knows(&arena, 0, hashes[6]), "others stay");
    }

    #[test]
    fn both_halves_of_a_split_bucket_know_its_ghosts() {
        let mut arena = Arena::new(4096, 4096, 4, None);
        let mut ghosts = Ghosts::new(&arena);
        assert!(ghosts.reach(&mut arena, 0));
        ghosts.clear(&mut arena, 0);
        ghosts.remember(&mut arena, 0, 42 << 34);
        assert!(ghosts.reach(&mut arena, 1));
        ghosts.split(&mut arena, 0, 1);
        assert!(ghosts.knows(&arena, 0, 42 << 34) && ghosts.knows(&arena, 1, 42 << 34));
    }
}
