//! How an item is written: in place where nobody can tell the difference, else at the end of the log.

use super::api::{Body, CasPatch, End, Lookup, NewItem, Patch, Read, StoreError};
use super::arena::Loc;
use super::index::Index;
use super::item::{self, Front, Handle, Header};
use super::queue::Queue;
use super::shard::{Found, Shard};
use super::ttl_class;

/// Room for joined values that is kept for the next one.
const SCRATCH_KEPT_BYTES: usize = 64 << 10;

/// The value of an item about to be stored.
#[derive(Debug, Clone, Copy)]
enum Payload<'a> {
    /// Goes into the item's cell.
    Whole(&'a [u8]),
    /// Lies in pieces already.
    Large(Handle),
}

/// A large value written before `decide` ran, and what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Staged<'c> {
    /// The value that came with the request.
    Value { value: &'c [u8], row: u32 },
    /// What the item holds with `more` added: so many bytes.
    Sum {
        more: &'c [u8],
        end: End,
        len: usize,
        row: u32,
    },
}

impl Staged<'_> {
    /// The value, if it is the whole of `value`.
    fn of_value(self, value: &[u8]) -> Option<u32> {
        match self {
            Self::Value { value: same, row } if std::ptr::eq(same, value) => Some(row),
            Self::Value { .. } | Self::Sum { .. } => None,
        }
    }

    /// The value, if it is the item's with these bytes added.
    fn of_sum(self, body: Body<'_>) -> Option<Handle> {
        let wanted = match body {
            Body::Replace(_) => return None,
            Body::Append(more) => (more, End::Back),
            Body::Prepend(more) => (more, End::Front),
        };
        match self {
            Self::Sum { more, end, len, row } if std::ptr::eq(more, wanted.0) && end == wanted.1 => {
                let number = u32::try_from(len).ok()?;
                Some(Handle { row, number })
            }
            Self::Value { .. } | Self::Sum { .. } => None,
        }
    }
}

impl Shard {
    /// Stores an item and answers its cas unique (0 unless `told`).
    #[inline(always)]
    pub(super) fn put(
        &mut self,
        key: Lookup<'_>,
        found: Option<Found>,
        new: &NewItem<'_>,
        staged: Option<Staged<'_>>,
        told: bool,
        now: u32,
    ) -> Result<u64, StoreError> {
        let result = match new.body {
            Body::Replace(value) => self.put_value(key, found, new, value, staged, told, now),
            Body::Append(_) | Body::Prepend(_) => match staged.and_then(|staged| staged.of_sum(new.body)) {
                Some(handle) => self.put_sum(key, found, new, handle, told, now),
                None => self.put_joined(key, found, new, told, now),
            },
        };
        match result {
            Ok(_) => self.counters.items_stored += 1,
            Err(StoreError::OutOfMemory) => self.counters.out_of_memory += 1,
            Err(StoreError::TooLarge) => self.counters.too_large += 1,
        }
        result
    }

    /// The same, when the value is put together from the old one and new bytes.
    #[inline(never)]
    fn put_joined(
        &mut self,
        key: Lookup<'_>,
        found: Option<Found>,
        new: &NewItem<'_>,
        told: bool,
        now: u32,
    ) -> Result<u64, StoreError> {
        let joined = self.join(key, found.as_ref(), new.body)?;
        let result = self.put_value(key, found, new, &joined, None, told, now);
        if joined.capacity() <= SCRATCH_KEPT_BYTES {
            self.scratch = joined;
        }
        result
    }

    /// The value put together from the old one and new bytes.
    fn join(
        &mut self,
        key: Lookup<'_>,
        found: Option<&Found>,
        body: Body<'_>,
    ) -> Result<Vec<u8>, StoreError> {
        let (Body::Replace(more) | Body::Append(more) | Body::Prepend(more)) = body;
        let old_len = found.map_or(0, |found| self.view(found, 0).value.len());
        // Before it is copied, not after.
        if key.key.len() + old_len + more.len() > self.item_bytes_max {
            return Err(StoreError::TooLarge);
        }
        let mut joined = std::mem::take(&mut self.scratch);
        joined.clear();
        if let Body::Prepend(bytes) = body {
            joined.extend_from_slice(bytes);
        }
        if let Some(found) = found {
            self.view(found, 0)
                .value
                .for_each_chunk(|chunk| joined.extend_from_slice(chunk));
        }
        if let Body::Append(bytes) = body {
            joined.extend_from_slice(bytes);
        }
        Ok(joined)
    }

    /// The same, when that was done beforehand.
    #[cold]
    fn put_sum(
        &mut self,
        key: Lookup<'_>,
        found: Option<Found>,
        new: &NewItem<'_>,
        handle: Handle,
        told: bool,
        now: u32,
    ) -> Result<u64, StoreError> {
        let len = handle.number as usize;
        let whole_bytes = item::cell_bytes(key.key.len(), len, new.flags != 0, new.cas.is_some());
        if whole_bytes > self.item_bytes_max {
            return Err(StoreError::TooLarge);
        }
        let front = front_of(key, new, told, now);
        self.put_cell(key.hash, found, front, Payload::Large(handle), now)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one put, for its two callers above"
    )]
    #[inline(always)]
    fn put_value(
        &mut self,
        key: Lookup<'_>,
        found: Option<Found>,
        new: &NewItem<'_>,
        value: &[u8],
        staged: Option<Staged<'_>>,
        told: bool,
        now: u32,
    ) -> Result<u64, StoreError> {
        let whole_bytes = item::cell_bytes(key.key.len(), value.len(), new.flags != 0, new.cas.is_some());
        if whole_bytes > self.item_bytes_max {
            return Err(StoreError::TooLarge);
        }
        let front = front_of(key, new, told, now);
        if whole_bytes <= self.cell_bytes_max() {
            self.put_cell(key.hash, found, front, Payload::Whole(value), now)
        } else {
            self.put_large(key, found, front, value, staged, now)
        }
    }

    /// Stores an item whose value lies in pieces.
    #[cold]
    fn put_large(
        &mut self,
        key: Lookup<'_>,
        found: Option<Found>,
        front: Front<'_>,
        value: &[u8],
        staged: Option<Staged<'_>>,
        now: u32,
    ) -> Result<u64, StoreError> {
        let Ok(number) = u32::try_from(value.len()) else {
            return Err(StoreError::TooLarge);
        };
        if let Some(row) = staged.and_then(|staged| staged.of_value(value)) {
            let handle = Handle { row, number };
            return self.put_cell(key.hash, found, front, Payload::Large(handle), now);
        }
        let row = self.write_large(key, value, now)?;
        // Making room may have moved or evicted the old item.
        let found = self.find(key);
        let handle = Handle { row, number };
        let result = self.put_cell(key.hash, found, front, Payload::Large(handle), now);
        self.abandon_if_staged(row);
        result
    }

    /// Writes a cell and makes the index point to it.
    fn put_cell(
        &mut self,
        hash: u64,
        found: Option<Found>,
        mut front: Front<'_>,
        payload: Payload<'_>,
        now: u32,
    ) -> Result<u64, StoreError> {
        front.header.set_value_len(match payload {
            Payload::Whole(value) => value.len(),
            Payload::Large(_) => item::HANDLE_BYTES,
        });
        front
            .header
            .set(item::LARGE, matches!(payload, Payload::Large(_)));
        let class = ttl_class::class_of(front.header.expires(), now);
        let loc = match found {
            Some(old) => {
                if let Payload::Whole(value) = payload
                    && self.may_overwrite(&old, &front, class)
                {
                    return Ok(self.overwrite(&old, &front, value));
                }
                self.supersede(&old, &mut front, payload, class)?
            }
            None => self.insert(hash, &front, payload, class)?,
        };
        if let Payload::Large(handle) = payload {
            self.adopt_large(handle.row, loc);
        }
        self.pay(now, front.cell_bytes());
        Ok(self.told_cas(&front, loc.pos()))
    }

    /// The cas unique of a cell just written, if a client is to be told.
    #[inline]
    fn told_cas(&self, front: &Front<'_>, pos: usize) -> u64 {
        if !front.header.has(item::OBSERVED) {
            return 0;
        }
        front.cas.unwrap_or_else(|| self.log.cas_at(&self.arena, pos))
    }

    /// In place only if no client knows the cas unique, which would stay the same, and the TTL class does, too.
    fn may_overwrite(&self, old: &Found, front: &Front<'_>, class: usize) -> bool {
        !old.header.has(item::OBSERVED | item::CAS | item::LARGE)
            && front.cas.is_none()
            && front.cell_bytes() <= old.header.cell_bytes()
            && self.log.place(&self.arena, old.loc.pos()).1 == class
    }

    /// Overwrites a cell with one that is no longer.
    fn overwrite(&mut self, old: &Found, front: &Front<'_>, value: &[u8]) -> u64 {
        let pos = old.loc.pos();
        front.write(self.arena.tail_mut(pos)).copy_from_slice(value);
        let bytes = front.cell_bytes();
        let gap = old.header.cell_bytes() - bytes;
        if gap > 0 {
            item::write_filler(self.arena.bytes_mut(pos + bytes, gap));
            self.log.lose(&mut self.arena, pos, gap);
            self.counters.item_bytes -= gap as u64;
        }
        self.log.expects(&self.arena, pos, front.header.expires());
        self.told_cas(front, pos)
    }

    /// Appends a cell that takes the place of another.
    fn supersede(
        &mut self,
        old: &Found,
        front: &mut Front<'_>,
        payload: Payload<'_>,
        class: usize,
    ) -> Result<Loc, StoreError> {
        let queue = self.log.place(&self.arena, old.loc.pos()).0;
        // A cas unique grows with each write of its key, wherever that lands.
        let old_cas = self.cas_of(old.loc, old.header);
        if front.cas.is_none() && self.log.next_cas(&self.arena, queue, class, front.cell_bytes()) <= old_cas
        {
            front.cas = old_cas.checked_add(1);
        }
        let loc = self
            .append(front, payload, queue, class)
            .ok_or(StoreError::OutOfMemory)?;
        Index::set_loc(&mut self.arena, old.slot, loc);
        self.kill(old.loc, old.header);
        Ok(loc)
    }

    /// Appends a cell under a key that was not there.
    fn insert(
        &mut self,
        hash: u64,
        front: &Front<'_>,
        payload: Payload<'_>,
        class: usize,
    ) -> Result<Loc, StoreError> {
        let known = self
            .ghosts
            .forget(&mut self.arena, self.index.bucket_of(hash), hash);
        self.counters.ghost_hits += u64::from(known);
        let queue = if known { Queue::Main } else { Queue::Small };
        let loc = self
            .append(front, payload, queue, class)
            .ok_or(StoreError::OutOfMemory)?;
        if !self.index.insert(&mut self.arena, hash, loc) {
            let header = Header::read(self.arena.tail(loc.pos()));
            self.counters.item_bytes -= header.cell_bytes() as u64;
            self.log.kill(&mut self.arena, loc.pos(), header);
            return Err(StoreError::OutOfMemory);
        }
        self.grow_index();
        Ok(loc)
    }

    fn append(&mut self, front: &Front<'_>, payload: Payload<'_>, queue: Queue, class: usize) -> Option<Loc> {
        let bytes = front.cell_bytes();
        let pos = self
            .log
            .append(&mut self.arena, queue, class, front.header.expires(), bytes)?;
        let value = front.write(self.arena.tail_mut(pos));
        match payload {
            Payload::Whole(bytes) => value.copy_from_slice(bytes),
            Payload::Large(handle) => value.copy_from_slice(&handle.to_bytes()),
        }
        self.counters.item_bytes += bytes as u64;
        Some(Loc::at(pos))
    }

    /// Whether the key was evicted lately.
    pub(super) fn knows_ghost(&self, hash: u64) -> bool {
        self.ghosts.knows(&self.arena, self.index.bucket_of(hash), hash)
    }

    /// Changes marks, expiry and cas unique of an item; the value stays. Answers its cas unique.
    pub(super) fn patch(
        &mut self,
        found: &Found,
        patch: Patch,
        told: bool,
        now: u32,
    ) -> Result<u64, StoreError> {
        let mut found = *found;
        if patch.fetched == Some(true) {
            self.note(&found, now, Read::Plain);
            found.header.touch(now);
        }
        let header = &mut found.header;
        for (mark, on) in [
            (item::STALE, patch.stale),
            (item::WIN_SENT, patch.win_sent),
            (item::FETCHED, patch.fetched),
        ] {
            if let Some(on) = on {
                header.set(mark, on);
            }
        }
        if told {
            header.set(item::OBSERVED, true);
        }
        let pos = found.loc.pos();
        if let Some(expires) = patch.expires {
            let expires = expires.map_or(0, |at| at.0.max(1));
            header.set_expires(expires);
            self.log.expects(&self.arena, pos, expires);
        }
        found.header.write(self.arena.tail_mut(pos));
        match patch.cas {
            CasPatch::Keep => Ok(self.cas_of(found.loc, found.header)),
            CasPatch::Set(cas) => self.give_cas(&found, Some(cas), now),
            CasPatch::New => self.give_cas(&found, None, now),
        }
    }

    /// Gives an item another cas unique: `None`, one that the store makes.
    fn give_cas(&mut self, found: &Found, cas: Option<u64>, now: u32) -> Result<u64, StoreError> {
        let old_cas = self.cas_of(found.loc, found.header);
        let cas = cas.or(old_cas.checked_add(1)).unwrap_or(1);
        if found.header.has(item::CAS) {
            let at = found.loc.pos() + found.header.cas_at();
            self.arena.bytes_mut(at, 8).copy_from_slice(&cas.to_le_bytes());
            return Ok(cas);
        }
        let queue = self.log.place(&self.arena, found.loc.pos()).0;
        self.relocate(found, queue, None, Some(cas), now)
            .ok_or(StoreError::OutOfMemory)?;
        Ok(cas)
    }
}

/// What comes before the value of a new item.
#[inline(always)]
fn front_of<'a>(key: Lookup<'a>, new: &NewItem<'_>, told: bool, now: u32) -> Front<'a> {
    let expires = new.expires.map_or(0, |at| at.0.max(1));
    let mut header = Header::new(key.key.len(), 0, expires, now);
    header.set(item::STALE, new.stale);
    header.set(item::WIN_SENT, new.win_sent);
    header.set(item::FETCHED, new.fetched);
    header.set(item::OBSERVED, told);
    Front {
        header,
        key: key.key,
        flags: new.flags,
        cas: new.cas,
    }
}
