//! How an item lies in a segment: a cell of bytes, a multiple of four long.
//!
//! ```text
//! header   u64  key length 8 | marks 8 | value length 16 | expiry 28 | last access 4 (high bits)
//! access   u16  last access, low bits: seconds modulo 2^20 (12 days)
//! key      1 to 250 bytes
//! flags    u32, only if not zero
//! cas      u64, only if it does not follow from where the cell is
//! value    bytes; of a large item: number of its row in the table of large values, u32, and length, u32
//! padding  0 to 3 bytes
//! ```
//!
//! A cell with key length zero is no item: with [`LARGE`] set it is a piece of a large value (its value begins with the
//! row, u32, and the piece's number, u32); without, it is filler over a gap, and the value length counts words.

/// Bytes before the key.
pub(super) const HEADER_BYTES: usize = 10;
/// Cells start and end at multiples of this.
pub(super) const WORD_BYTES: usize = 4;
/// What stands before the bytes in a piece of a large value, and the whole value of a large item's own cell.
pub(super) const HANDLE_BYTES: usize = 8;

/// Client flags are there.
pub(super) const FLAGS: u64 = 1 << 8;
/// A cas unique is there.
pub(super) const CAS: u64 = 1 << 9;
/// A client has been told the cas unique.
pub(super) const OBSERVED: u64 = 1 << 10;
pub(super) const STALE: u64 = 1 << 11;
pub(super) const WIN_SENT: u64 = 1 << 12;
pub(super) const FETCHED: u64 = 1 << 13;
/// The value lies in pieces.
pub(super) const LARGE: u64 = 1 << 14;
/// Nobody refers to this cell any more.
pub(super) const DEAD: u64 = 1 << 15;

/// Seconds that an expiry can name: 8.5 years. Later ones are kept as this.
const EXPIRY_MAX: u32 = (1 << 28) - 1;
const EXPIRY_SHIFT: u32 = 32;
const ACCESS_BITS: u32 = 20;
const ACCESS_MASK: u32 = (1 << ACCESS_BITS) - 1;

/// The first ten bytes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    bits: u64,
    access: u16,
}

impl Header {
    /// A header without marks, last accessed `now`.
    pub(super) fn new(key_len: usize, value_len: usize, expires: u32, now: u32) -> Self {
        debug_assert!(key_len < 256 && value_len < 65536);
        let expires = u64::from(expires.min(EXPIRY_MAX));
        let bits = key_len as u64 & 0xff | (value_len as u64 & 0xffff) << 16 | expires << EXPIRY_SHIFT;
        let mut header = Self { bits, access: 0 };
        header.touch(now);
        header
    }

    #[inline]
    pub(super) fn read(cell: &[u8]) -> Self {
        let bytes: &[u8; HEADER_BYTES] = cell.first_chunk().expect("a cell has a header");
        let (bits, access) = bytes.split_first_chunk().expect("eight of ten bytes");
        Self {
            bits: u64::from_le_bytes(*bits),
            access: u16::from_le_bytes(*access.first_chunk().expect("two of two bytes")),
        }
    }

    #[inline]
    pub(super) fn write(self, cell: &mut [u8]) {
        let bytes: &mut [u8; HEADER_BYTES] = cell.first_chunk_mut().expect("a cell has a header");
        bytes[..8].copy_from_slice(&self.bits.to_le_bytes());
        bytes[8..].copy_from_slice(&self.access.to_le_bytes());
    }

    #[inline]
    pub(super) fn key_len(self) -> usize {
        (self.bits & 0xff) as usize
    }

    #[inline]
    pub(super) fn value_len(self) -> usize {
        (self.bits >> 16 & 0xffff) as usize
    }

    pub(super) fn set_value_len(&mut self, bytes: usize) {
        self.bits = self.bits & !(0xffff << 16) | (bytes as u64 & 0xffff) << 16;
    }

    #[inline]
    pub(super) fn has(self, marks: u64) -> bool {
        self.bits & marks != 0
    }

    #[inline]
    pub(super) fn set(&mut self, marks: u64, on: bool) {
        if on {
            self.bits |= marks;
        } else {
            self.bits &= !marks;
        }
    }

    /// Zero: never.
    #[inline]
    pub(super) fn expires(self) -> u32 {
        (self.bits >> EXPIRY_SHIFT) as u32 & EXPIRY_MAX
    }

    pub(super) fn set_expires(&mut self, expires: u32) {
        self.bits &= !(u64::from(EXPIRY_MAX) << EXPIRY_SHIFT);
        self.bits |= u64::from(expires.min(EXPIRY_MAX)) << EXPIRY_SHIFT;
    }

    #[inline]
    pub(super) fn expired(self, now: u32) -> bool {
        let expires = self.expires();
        expires != 0 && expires <= now
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "split into its two halves")]
    pub(super) fn touch(&mut self, now: u32) {
        self.access = now as u16;
        self.bits = self.bits & !(0xf << 60) | u64::from(now >> 16 & 0xf) << 60;
    }

    /// The second of the last access, if that was less than 12 days ago.
    #[inline]
    pub(super) fn last_access(self, now: u32) -> u32 {
        let kept = (self.bits >> 60) as u32 & 0xf;
        let age = now.wrapping_sub(kept << 16 | u32::from(self.access)) & ACCESS_MASK;
        now.saturating_sub(age)
    }

    /// Where the client flags start, and everything after the key.
    #[inline]
    pub(super) fn flags_at(self) -> usize {
        HEADER_BYTES + self.key_len()
    }

    #[inline]
    pub(super) fn cas_at(self) -> usize {
        self.flags_at() + if self.has(FLAGS) { 4 } else { 0 }
    }

    #[inline]
    pub(super) fn value_at(self) -> usize {
        self.cas_at() + if self.has(CAS) { 8 } else { 0 }
    }

    /// Bytes of the whole cell of an item or piece.
    #[inline]
    pub(super) fn cell_bytes(self) -> usize {
        (self.value_at() + self.value_len()).next_multiple_of(WORD_BYTES)
    }
}

/// Bytes of the cell of an item.
pub(super) fn cell_bytes(key_len: usize, value_len: usize, has_flags: bool, has_cas: bool) -> usize {
    let optional = if has_flags { 4 } else { 0 } + if has_cas { 8 } else { 0 };
    (HEADER_BYTES + key_len + optional + value_len).next_multiple_of(WORD_BYTES)
}

/// What a walk through a segment meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// Nobody's bytes: filler, or a cell that is dead.
    Gap {
        bytes: usize,
    },
    Item(Header),
    Piece(Header),
}

impl Met {
    /// Reads what starts here.
    #[inline]
    pub(super) fn read(cell: &[u8]) -> Self {
        let low = u64::from(u32::from_le_bytes(
            *cell.first_chunk().expect("four bytes at least"),
        ));
        if low & 0xff == 0 && low & LARGE == 0 {
            return Self::Gap {
                bytes: (low >> 16) as usize * WORD_BYTES,
            };
        }
        let header = Header::read(cell);
        if header.has(DEAD) {
            Self::Gap {
                bytes: header.cell_bytes(),
            }
        } else if header.key_len() == 0 {
            Self::Piece(header)
        } else {
            Self::Item(header)
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Gap { bytes } => bytes,
            Self::Item(header) | Self::Piece(header) => header.cell_bytes(),
        }
    }
}

/// Covers a gap (a multiple of four bytes, less than 256 KiB) so that the segment can still be walked.
pub(super) fn write_filler(gap: &mut [u8]) {
    let words = u32::try_from(gap.len() / WORD_BYTES).expect("a gap is within a cell");
    debug_assert!(words < 65536);
    if let Some(header) = gap.first_chunk_mut::<WORD_BYTES>() {
        *header = (words << 16).to_le_bytes();
    }
}

#[inline]
pub(super) fn read_u32(cell: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*cell[at..].first_chunk().expect("the layout says it is there"))
}

#[inline]
pub(super) fn read_u64(cell: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*cell[at..].first_chunk().expect("the layout says it is there"))
}

/// The two numbers that stand in the cell of a large item (row, length) and in front of a piece (row, number).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) row: u32,
    pub(super) number: u32,
}

impl Handle {
    pub(super) fn read(cell: &[u8], header: Header) -> Self {
        let at = header.value_at();
        Self {
            row: read_u32(cell, at),
            number: read_u32(cell, at + 4),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HANDLE_BYTES] {
        (u64::from(self.row) | u64::from(self.number) << 32).to_le_bytes()
    }
}

/// Everything before the value of a cell about to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Front<'a> {
    /// The key length, value length, expiry and marks; those for flags and cas are set by [`write`](Self::write).
    pub(super) header: Header,
    pub(super) key: &'a [u8],
    pub(super) flags: u32,
    pub(super) cas: Option<u64>,
}

impl Front<'_> {
    pub(super) fn cell_bytes(&self) -> usize {
        cell_bytes(
            self.key.len(),
            self.header.value_len(),
            self.flags != 0,
            self.cas.is_some(),
        )
    }

    /// Writes it and answers where the value goes.
    #[inline(always)]
    pub(super) fn write<'c>(&self, cell: &'c mut [u8]) -> &'c mut [u8] {
        let mut header = self.header;
        header.set(FLAGS, self.flags != 0);
        header.set(CAS, self.cas.is_some());
        header.write(cell);
        let (flags_at, cas_at, value_at) = (header.flags_at(), header.cas_at(), header.value_at());
        cell[HEADER_BYTES..flags_at].copy_from_slice(self.key);
        if self.flags != 0 {
            cell[flags_at..cas_at].copy_from_slice(&self.flags.to_le_bytes());
        }
        if let Some(cas) = self.cas {
            cell[cas_at..value_at].copy_from_slice(&cas.to_le_bytes());
        }
        &mut cell[value_at..value_at + header.value_len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_keeps_each_of_its_fields() {
        for (key_len, value_len, expires, now) in [(1, 0, 0, 2), (250, 65535, EXPIRY_MAX, 0x000f_ffff)] {
            let mut header = Header::new(key_len, value_len, expires, now);
            header.set(STALE | OBSERVED, true);
            header.set(STALE, false);
            let mut cell = [0; HEADER_BYTES];
            header.write(&mut cell);
            let read = Header::read(&cell);
            assert_eq!(read, header);
            assert_eq!(
                (
                    read.key_len(),
                    read.value_len(),
                    read.expires(),
                    read.last_access(now)
                ),
                (key_len, value_len, expires, now)
            );
            assert!(read.has(OBSERVED) && !read.has(STALE) && !read.has(DEAD));
            let mut moved = read;
            moved.set_expires(77);
            assert_eq!((moved.expires(), moved.last_access(now)), (77, now));
        }
    }

    #[test]
    fn the_last_access_is_exact_for_twelve_days() {
        let written = 3_000_000;
        let header = Header::new(1, 1, 0, written);
        for age in [0, 1, 59, 86_400, 1_048_575] {
            assert_eq!(header.last_access(written + age), written);
        }
        assert_eq!(Header::new(1, 1, 0, 5).last_access(9), 5);
    }

    #[test]
    fn an_expiry_is_gone_at_its_second_and_zero_is_never() {
        assert!(!Header::new(1, 1, 0, 5).expired(u32::MAX));
        assert!(!Header::new(1, 1, 10, 5).expired(9));
        assert!(Header::new(1, 1, 10, 5).expired(10));
    }

    #[test]
    fn a_walk_meets_items_pieces_and_gaps() {
        let mut segment = vec![0xee; 256];
        let front = Front {
            header: Header::new(3, 5, 9, 2),
            key: b"key",
            flags: 7,
            cas: Some(99),
        };
        front.write(&mut segment).copy_from_slice(b"value");
        let Met::Item(header) = Met::read(&segment) else {
            panic!("an item")
        };
        assert_eq!(header.cell_bytes(), 32);
        assert_eq!(
            (
                read_u32(&segment, header.flags_at()),
                read_u64(&segment, header.cas_at())
            ),
            (7, 99)
        );
        assert_eq!(&segment[header.value_at()..][..5], b"value");

        let mut dead = header;
        dead.set(DEAD, true);
        dead.write(&mut segment);
        assert_eq!(Met::read(&segment), Met::Gap { bytes: 32 });

        write_filler(&mut segment[32..36]);
        assert_eq!(Met::read(&segment[32..]), Met::Gap { bytes: 4 });

        let mut piece = Header::new(0, HANDLE_BYTES + 1, 0, 2);
        piece.set(LARGE, true);
        let handle = Handle { row: 3, number: 4 };
        Front {
            header: piece,
            key: b"",
            flags: 0,
            cas: None,
        }
        .write(&mut segment[36..])[..HANDLE_BYTES]
            .copy_from_slice(&handle.to_bytes());
        let Met::Piece(header) = Met::read(&segment[36..]) else {
            panic!("a piece")
        };
        assert_eq!(Handle::read(&segment[36..], header), handle);
    }
}
