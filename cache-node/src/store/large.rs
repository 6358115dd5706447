//! Large values: kept as pieces in the log, so that they need no memory of their own, cannot fragment it, and are
//! written, moved and freed a piece at a time. A row in this table names the pieces; the item's cell names the row.

use super::api::{Lookup, StoreError};
use super::arena::Loc;
use super::item::{DEAD, Front, HANDLE_BYTES, HEADER_BYTES, Handle, Header, LARGE, WORD_BYTES};
use super::queue::Queue;
use super::shard::Shard;
use super::ttl_class::CLASSES;

/// Pieces are at most this long, and so is a cell that holds its value itself: what is copied in one go.
pub(super) const CELL_BYTES_MAX: usize = 16 << 10;
/// The end of a segment is left unused rather than cut a piece shorter than this.
const PIECE_BYTES_MIN: usize = 1 << 10;
/// Lengths are kept in 32 bits; far more than any item may have (`-I` ends at 1 GiB).
const LARGE_BYTES_MAX: usize = 2 << 30;
/// Bytes of a piece's cell around its part of the value.
const PIECE_FRONT_BYTES: usize = HEADER_BYTES + HANDLE_BYTES;
/// Pieces wait for their item in segments of this class: how long it will live is not known yet.
const PIECE_CLASS: usize = CLASSES - 1;

/// Values of one shard that lie in pieces.
pub(super) struct LargeTable {
    pub(super) rows: Vec<Row>,
    pub(super) unused: Vec<u32>,
    /// Bytes of values being written, or dead and still being read: they cannot be evicted.
    pub(super) pinned_bytes: usize,
    /// Bytes of all values.
    pub(super) bytes: usize,
}

/// One large value.
#[derive(Debug)]
pub(super) struct Row {
    /// Where its pieces are, in order.
    pub(super) pieces: Vec<Loc>,
    /// Bytes of all pieces together.
    pub(super) len: usize,
    /// The hash of its item's key.
    pub(super) hash: u64,
    /// The cell of its item; none while it is being written and when it is dead.
    pub(super) head: Loc,
    /// Being written: no item has it yet.
    pub(super) staged: bool,
    /// Readers that copy it outside the lock.
    pub(super) readers: u32,
}

impl Row {
    /// A row that stands for no value.
    pub(super) const UNUSED: Self = Self {
        pieces: Vec::new(),
        len: 0,
        hash: 0,
        head: Loc::NONE,
        staged: false,
        readers: 0,
    };

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a value is below 4 GiB, a piece above 1 KiB"
    )]
    fn next_number(&self) -> u32 {
        self.pieces.len() as u32
    }
}

impl LargeTable {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            unused: Vec::new(),
            pinned_bytes: 0,
            bytes: 0,
        }
    }

    pub(super) fn row(&self, row: u32) -> &Row {
        &self.rows[row as usize]
    }

    pub(super) fn row_mut(&mut self, row: u32) -> &mut Row {
        &mut self.rows[row as usize]
    }

    /// A new row, staged.
    fn add(&mut self, hash: u64, len: usize) -> Option<u32> {
        let value = Row {
            hash,
            len,
            staged: true,
            ..Row::UNUSED
        };
        self.pinned_bytes += len;
        self.bytes += len;
        if let Some(row) = self.unused.pop() {
            self.rows[row as usize] = value;
            return Some(row);
        }
        let row = u32::try_from(self.rows.len()).ok()?;
        self.rows.push(value);
        Some(row)
    }
}

impl Shard {
    /// Values in cells larger than this lie in pieces.
    pub(super) fn cell_bytes_max(&self) -> usize {
        (self.arena.frame_bytes() / 2).min(CELL_BYTES_MAX)
    }

    /// The most bytes of one value: several must fit.
    fn large_bytes_max(&self) -> usize {
        (self.arena.limit() as usize * self.arena.frame_bytes() / 4).min(LARGE_BYTES_MAX)
    }

    /// Whether a value that lies in pieces may not be so long.
    pub(super) fn is_too_large(&self, key: Lookup<'_>, len: usize) -> bool {
        len > self.large_bytes_max() || key.key.len() + len > self.item_bytes_max
    }

    /// Begins a large value: nobody sees it until it is given to an item.
    ///
    /// # Errors
    /// If it is larger than items may be or the shard can take, or too much is being written at this moment.
    pub(super) fn begin_large(&mut self, key: Lookup<'_>, len: usize) -> Result<u32, StoreError> {
        if self.is_too_large(key, len) {
            self.counters.too_large += 1;
            return Err(StoreError::TooLarge);
        }
        if self.large.pinned_bytes + len > 2 * self.large_bytes_max() {
            self.counters.out_of_memory += 1;
            return Err(StoreError::OutOfMemory);
        }
        self.large.add(key.hash, len).ok_or(StoreError::OutOfMemory)
    }

    /// Writes the next piece of a value begun; answers how many of the `rest` of its bytes that were.
    ///
    /// # Errors
    /// If there is no memory, also after evicting what may be evicted.
    pub(super) fn write_piece(&mut self, row: u32, rest: &[u8], now: u32) -> Result<usize, StoreError> {
        if !self.ensure_reserve(now) {
            return Err(StoreError::OutOfMemory);
        }
        let hash = self.large.row(row).hash;
        let queue = if self.knows_ghost(hash) {
            Queue::Main
        } else {
            Queue::Small
        };
        let room = self.log.room(&self.arena, queue, PIECE_CLASS) / WORD_BYTES * WORD_BYTES;
        let most = if room >= PIECE_BYTES_MIN {
            room.min(self.cell_bytes_max())
        } else {
            self.cell_bytes_max()
        };
        let part = &rest[..rest.len().min(most - PIECE_FRONT_BYTES)];
        let mut header = Header::new(0, HANDLE_BYTES + part.len(), 0, now);
        header.set(LARGE, true);
        let front = Front {
            header,
            key: b"",
            flags: 0,
            cas: None,
        };
        let bytes = front.cell_bytes();
        let pos = self
            .log
            .append(&mut self.arena, queue, PIECE_CLASS, 0, bytes)
            .ok_or(StoreError::OutOfMemory)?;
        let number = self.large.row(row).next_number();
        let value = front.write(self.arena.tail_mut(pos));
        value[..HANDLE_BYTES].copy_from_slice(&Handle { row, number }.to_bytes());
        value[HANDLE_BYTES..].copy_from_slice(part);
        self.large.row_mut(row).pieces.push(Loc::at(pos));
        self.counters.item_bytes += bytes as u64;
        self.pay(now, bytes);
        Ok(part.len())
    }

    /// Writes a whole large value at once.
    ///
    /// # Errors
    /// As for its parts; then nothing is left of it.
    pub(super) fn write_large(&mut self, key: Lookup<'_>, value: &[u8], now: u32) -> Result<u32, StoreError> {
        let row = self.begin_large(key, value.len())?;
        let mut written = 0;
        while written < value.len() {
            match self.write_piece(row, &value[written..], now) {
                Ok(bytes) => written += bytes,
                Err(error) => {
                    self.abandon_if_staged(row);
                    return Err(error);
                }
            }
        }
        Ok(row)
    }

    /// Gives a finished value to its item.
    pub(super) fn adopt_large(&mut self, row: u32, head: Loc) {
        let value = self.large.row_mut(row);
        value.head = head;
        value.staged = false;
        let len = value.len;
        self.large.pinned_bytes -= len;
    }

    /// Drops a value that no item got.
    pub(super) fn abandon_if_staged(&mut self, row: u32) {
        if self.large.row(row).staged {
            self.free_pieces(row);
        }
    }

    /// Drops the value of an item that is gone; later, if somebody is reading it.
    pub(super) fn disown_large(&mut self, row: u32) {
        let value = self.large.row_mut(row);
        value.head = Loc::NONE;
        let (len, readers) = (value.len, value.readers);
        self.large.pinned_bytes += len;
        if readers == 0 {
            self.free_pieces(row);
        }
    }

    /// Drops a value that no item has, whoever wrote or read it.
    pub(super) fn free_if_ownerless(&mut self, row: u32) {
        let value = self.large.row(row);
        if value.head.is_none() && (value.staged || !value.pieces.is_empty()) {
            self.free_pieces(row);
        }
    }

    fn free_pieces(&mut self, row: u32) {
        let value = std::mem::replace(self.large.row_mut(row), Row::UNUSED);
        for loc in &value.pieces {
            let header = Header::read(self.arena.tail(loc.pos()));
            debug_assert!(header.has(LARGE) && !header.has(DEAD));
            self.counters.item_bytes -= header.cell_bytes() as u64;
            self.log.kill(&mut self.arena, loc.pos(), header);
        }
        self.large.pinned_bytes -= value.len;
        self.large.bytes -= value.len;
        self.large.unused.push(row);
    }

    /// Keeps the pieces where a reader will find them, even if the item goes.
    pub(super) fn pin(&mut self, row: u32) {
        self.large.row_mut(row).readers += 1;
    }

    pub(super) fn unpin(&mut self, row: u32) {
        let value = self.large.row_mut(row);
        value.readers -= 1;
        if value.readers == 0 && value.head.is_none() {
            self.free_pieces(row);
        }
    }

    /// One piece's part of the value; `None` after the last.
    pub(super) fn piece(&self, row: u32, number: usize) -> Option<&[u8]> {
        let loc = *self.large.row(row).pieces.get(number)?;
        let cell = self.arena.tail(loc.pos());
        let header = Header::read(cell);
        let value_at = header.value_at();
        Some(&cell[value_at + HANDLE_BYTES..value_at + header.value_len()])
    }
}
