//! Long values are copied in and out a piece at a time, the lock free in between: a pin keeps the pieces of one being
//! read, a staging holds those of one that no item has yet.

use super::api::{Change, End, Item, Lookup, Read, Seconds, StoreError, Updated};
use super::item::{self, Handle};
use super::large::CELL_BYTES_MAX;
use super::put::Staged;
use super::shard::{Found, LOCKED_COPY_BYTES_MAX, Shard};
use crate::sync::{Mutex, MutexGuard};

/// A long value that stays while it is read, a piece at a time.
pub(super) struct Pin<'s> {
    lock: &'s Mutex<Shard>,
    row: u32,
}

impl<'s> Pin<'s> {
    /// Pins a value of `shard`, which is what `lock` guards.
    pub(super) fn new(lock: &'s Mutex<Shard>, shard: &mut Shard, row: u32) -> Self {
        shard.pin(row);
        Self { lock, row }
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.lock.lock().unpin(self.row);
    }
}

/// A large value written ahead of its item, a piece at a time. Dropped again if no item takes it.
pub(super) struct Staging<'s> {
    lock: &'s Mutex<Shard>,
    row: u32,
    /// Nobody else knows the row yet.
    ours: bool,
}

impl<'s> Staging<'s> {
    /// A whole value.
    pub(super) fn write(
        lock: &'s Mutex<Shard>,
        key: Lookup<'_>,
        value: &[u8],
        now: Seconds,
    ) -> Result<Self, StoreError> {
        let row = lock.lock().begin_large(key, value.len())?;
        let staging = Self {
            lock,
            row,
            ours: true,
        };
        let mut written = 0;
        while written < value.len() {
            written += staging.write_piece(&value[written..], now)?;
        }
        Ok(staging)
    }

    fn write_piece(&self, rest: &[u8], now: Seconds) -> Result<usize, StoreError> {
        self.lock.lock().write_piece(self.row, rest, now.0)
    }

    /// The update that may take the value, which is `incoming`.
    pub(super) fn update<'c, R>(
        self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        incoming: &'c [u8],
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let staged = Staged::Value {
            value: incoming,
            row: self.row,
        };
        let shard = self.lock.lock();
        self.settle(shard, key, now, read, staged, decide)
    }

    fn settle<'c, R>(
        mut self,
        mut shard: MutexGuard<'_, Shard>,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        staged: Staged<'c>,
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let updated = shard.update(key, now, read, Some(staged), decide);
        // Still under the lock: from now on the row may be anybody's.
        shard.abandon_if_staged(self.row);
        self.ours = false;
        updated
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if self.ours {
            self.lock.lock().abandon_if_staged(self.row);
        }
    }
}

/// What an item held when it was copied.
enum Old<'s> {
    /// In its cell.
    Cell(Vec<u8>),
    /// In pieces. As long as they are pinned their row is nobody else's, and what is in a row never changes.
    Pieces(Pin<'s>),
}

/// An item's value and more bytes, joined ahead of the update that is to store them.
pub(super) struct Joined<'s, 'c> {
    staging: Staging<'s>,
    old: Old<'s>,
    more: &'c [u8],
    end: End,
    len: usize,
}

impl<'s, 'c> Joined<'s, 'c> {
    /// `None` if there is nothing long to join.
    pub(super) fn write(
        lock: &'s Mutex<Shard>,
        key: Lookup<'_>,
        now: Seconds,
        more: &'c [u8],
        end: End,
    ) -> Result<Option<Self>, StoreError> {
        let mut shard = lock.lock();
        let Some(found) = shard.find_alive(key, now.0, false) else {
            return Ok(None);
        };
        let old_len = shard.view(&found, now.0).value.len();
        let len = old_len + more.len();
        if len <= LOCKED_COPY_BYTES_MAX || shard.is_too_large(key, len) {
            return Ok(None);
        }
        let old = match shard.row_of(&found) {
            Some(row) => Old::Pieces(Pin::new(lock, &mut shard, row)),
            None => {
                let mut bytes = Vec::with_capacity(old_len);
                let view = shard.view(&found, now.0);
                view.value.for_each_chunk(|chunk| bytes.extend_from_slice(chunk));
                Old::Cell(bytes)
            }
        };
        let begun = shard.begin_large(key, len);
        // A pin that is dropped wants the lock.
        drop(shard);
        let staging = Staging {
            lock,
            row: begun?,
            ours: true,
        };
        let joined = Self {
            staging,
            old,
            more,
            end,
            len,
        };
        joined.fill(now)?;
        Ok(Some(joined))
    }

    fn fill(&self, now: Seconds) -> Result<(), StoreError> {
        let mut out = Filling {
            staging: &self.staging,
            now,
            waiting: Vec::with_capacity(2 * CELL_BYTES_MAX),
        };
        if self.end == End::Front {
            out.push(self.more)?;
        }
        match &self.old {
            Old::Cell(bytes) => out.push(bytes)?,
            Old::Pieces(pin) => {
                for number in 0.. {
                    let shard = pin.lock.lock();
                    let Some(piece) = shard.piece(pin.row, number) else {
                        break;
                    };
                    out.waiting.extend_from_slice(piece);
                    drop(shard);
                    out.write_full()?;
                }
            }
        }
        if self.end == End::Back {
            out.push(self.more)?;
        }
        out.finish()
    }

    /// The lock, if the item still holds what was joined.
    pub(super) fn if_current(&self, key: Lookup<'_>, now: Seconds) -> Option<MutexGuard<'s, Shard>> {
        let mut shard = self.staging.lock.lock();
        let found = shard.find_alive(key, now.0, false)?;
        let is_current = match (&self.old, shard.row_of(&found)) {
            (Old::Pieces(pin), Some(row)) => pin.row == row,
            (Old::Cell(bytes), None) => shard.view(&found, now.0).value.as_slice() == Some(bytes),
            (Old::Pieces(_), None) | (Old::Cell(_), Some(_)) => false,
        };
        is_current.then_some(shard)
    }

    /// The update that may take the value.
    pub(super) fn update<R>(
        self,
        shard: MutexGuard<'_, Shard>,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let Self {
            staging,
            // Dropped after the lock is free.
            old: _old,
            more,
            end,
            len,
        } = self;
        let staged = Staged::Sum {
            more,
            end,
            len,
            row: staging.row,
        };
        staging.settle(shard, key, now, read, staged, decide)
    }
}

/// Bytes on their way into a staging, gathered so that its pieces are full.
struct Filling<'a, 's> {
    staging: &'a Staging<'s>,
    now: Seconds,
    waiting: Vec<u8>,
}

impl Filling<'_, '_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        for part in bytes.chunks(CELL_BYTES_MAX) {
            self.waiting.extend_from_slice(part);
            self.write_full()?;
        }
        Ok(())
    }

    fn write_full(&mut self) -> Result<(), StoreError> {
        while self.waiting.len() >= CELL_BYTES_MAX {
            self.write_one()?;
        }
        Ok(())
    }

    fn write_one(&mut self) -> Result<(), StoreError> {
        let written = self.staging.write_piece(&self.waiting, self.now)?;
        self.waiting.drain(..written);
        Ok(())
    }

    fn finish(mut self) -> Result<(), StoreError> {
        while !self.waiting.is_empty() {
            self.write_one()?;
        }
        Ok(())
    }
}

impl Shard {
    /// The row of an item's value, if that lies in pieces.
    fn row_of(&self, found: &Found) -> Option<u32> {
        let is_large = found.header.has(item::LARGE);
        is_large.then(|| Handle::read(self.arena.tail(found.loc.pos()), found.header).row)
    }
}
