//! One shard: index, log, ghosts and large values under one lock, and the operations on them.

use std::sync::Arc;

use ahash::RandomState;
use mapped::MappedFile;

use super::api::{
    Change, Item, Lookup, Read, Seconds, Source, StoreConfig, StoreCounters, StoreError, Updated, Value,
    Witness,
};
use super::arena::{Arena, Loc};
use super::evict::Reclaim;
use super::geometry::Geometry;
use super::ghost::Ghosts;
use super::index::{Index, Near, Slot};
use super::item::{self, Handle, Header};
use super::large::LargeTable;
use super::put::Staged;
use super::segment::Log;
use super::value::ItemValue;

/// Longer values are not copied out in one go under the lock.
pub(super) const LOCKED_COPY_BYTES_MAX: usize = 128 << 10;

/// Everything under one lock.
pub(super) struct Shard {
    pub(super) arena: Arena,
    pub(super) index: Index,
    pub(super) ghosts: Ghosts,
    pub(super) log: Log,
    pub(super) large: LargeTable,
    pub(super) reclaim: Reclaim,
    pub(super) counters: StoreCounters,
    /// The second at which everything stored so far is to be gone.
    pub(super) flush_at: Option<u32>,
    hasher: RandomState,
    pub(super) evict: bool,
    pub(super) item_bytes_max: usize,
    /// Values put together from an old one and new bytes.
    pub(super) scratch: Vec<u8>,
    pub(super) witness: Option<Arc<dyn Witness>>,
}

/// A live item, where the index and the log have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) slot: Slot,
    pub(super) loc: Loc,
    pub(super) header: Header,
    /// Reads that the index had counted when it was found.
    pub(super) freq: u8,
}

impl Found {
    #[inline]
    pub(super) fn new(near: Near, header: Header) -> Self {
        Self {
            slot: near.slot,
            loc: near.loc,
            header,
            freq: near.freq,
        }
    }
}

/// What a search came to.
pub(super) enum Sought {
    Alive(Found),
    /// It was there, but expired or flushed, and has been taken out.
    Dropped,
    Missing,
}

/// Lines of a cell that are fetched ahead: header, key and a value of a hundred bytes. The processor sees by itself
/// where a longer one goes on.
const CELL_LINES_AHEAD: usize = 3;

impl Shard {
    /// An empty shard; its memory lies in `file`, if there is one.
    pub(super) fn new(
        config: &StoreConfig,
        geometry: &Geometry,
        hasher: RandomState,
        cas_base: u64,
        file: Option<MappedFile>,
    ) -> Self {
        let frames = geometry.frames_per_shard(config.memory_limit_bytes);
        let mut arena = Arena::new(geometry.frame_bytes, geometry.extent_bytes, frames, file);
        let mut ghosts = Ghosts::new(&arena);
        let index = Index::new(&mut arena, &mut ghosts);
        let log = Log::new(frames, cas_base);
        Self::of_parts(config, arena, index, ghosts, log, LargeTable::new(), hasher)
    }

    pub(super) fn of_parts(
        config: &StoreConfig,
        arena: Arena,
        index: Index,
        ghosts: Ghosts,
        log: Log,
        large: LargeTable,
        hasher: RandomState,
    ) -> Self {
        Self {
            index,
            ghosts,
            log,
            large,
            reclaim: Reclaim::new(arena.limit()),
            counters: StoreCounters::default(),
            flush_at: None,
            hasher,
            evict: config.evict,
            item_bytes_max: usize::try_from(config.item_size_max_bytes).unwrap_or(usize::MAX),
            scratch: Vec::new(),
            witness: None,
            arena,
        }
    }

    /// Finds an item that is alive; what is gone but was still there is taken out.
    #[inline(always)]
    pub(super) fn find_alive(&mut self, key: Lookup<'_>, now: u32, by_read: bool) -> Option<Found> {
        self.flush_if_due(now);
        let line = self.index.first_line(&self.arena, key.hash);
        match self.seek(line, None, key, now, by_read) {
            Sought::Alive(found) => Some(found),
            Sought::Dropped | Sought::Missing => None,
        }
    }

    /// The same, when no flush is due, the search begins at `line`, and `near` is the first entry there that fits.
    #[inline(always)]
    pub(super) fn seek(
        &mut self,
        line: usize,
        near: Option<Near>,
        key: Lookup<'_>,
        now: u32,
        by_read: bool,
    ) -> Sought {
        let found = match near.and_then(|near| self.found_at(near, key)) {
            Some(found) => found,
            None => match self.find_from(line, key) {
                Some(found) => found,
                None => return Sought::Missing,
            },
        };
        if self.is_gone(&found, now) {
            self.drop_gone(key.hash, &found, now, by_read);
            return Sought::Dropped;
        }
        Sought::Alive(found)
    }

    /// The item of an entry, if it has this key.
    #[inline(always)]
    fn found_at(&self, near: Near, key: Lookup<'_>) -> Option<Found> {
        let header = self.header_if(near.loc, key)?;
        Some(Found::new(near, header))
    }

    /// The header of the cell at `loc`, if it has this key.
    #[inline(always)]
    fn header_if(&self, loc: Loc, key: Lookup<'_>) -> Option<Header> {
        let cell = self.arena.tail(loc.pos());
        let header = Header::read(cell);
        let same = header.key_len() == key.key.len()
            && cell.get(item::HEADER_BYTES..item::HEADER_BYTES + key.key.len()) == Some(key.key);
        same.then_some(header)
    }

    /// Leaves the traces of a visit.
    #[inline(always)]
    pub(super) fn note(&mut self, found: &Found, now: u32, read: Read) {
        let mut header = found.header;
        if matches!(read, Read::WithCas | Read::PeekWithCas) {
            header.set(item::OBSERVED, true);
        }
        if matches!(read, Read::Plain | Read::WithCas) {
            Index::bump(&mut self.arena, found.slot, found.freq);
            header.set(item::FETCHED, true);
            header.touch(now);
        }
        if header != found.header {
            header.write(self.arena.tail_mut(found.loc.pos()));
        }
    }

    /// The item with this key, alive or not.
    pub(super) fn find(&self, key: Lookup<'_>) -> Option<Found> {
        self.find_from(self.index.first_line(&self.arena, key.hash), key)
    }

    #[inline(always)]
    fn find_from(&self, line: usize, key: Lookup<'_>) -> Option<Found> {
        let found = self
            .index
            .find_from(&self.arena, line, key.hash, |loc| self.header_if(loc, key));
        found.map(|(near, header)| Found::new(near, header))
    }

    /// Expired or flushed.
    #[inline(always)]
    pub(super) fn is_gone(&self, found: &Found, now: u32) -> bool {
        found.header.expired(now) || self.log.is_flushed(&self.arena, found.loc.pos())
    }

    /// What a caller may see of an item.
    #[inline(always)]
    pub(super) fn view(&self, found: &Found, now: u32) -> Item<'_> {
        let header = found.header;
        let cell = self.arena.tail(found.loc.pos());
        let value = if header.has(item::LARGE) {
            let Handle { row, number } = Handle::read(cell, header);
            ItemValue::Pieces {
                shard: self,
                row,
                len: number as usize,
            }
        } else {
            let value_at = header.value_at();
            ItemValue::Whole(&cell[value_at..value_at + header.value_len()])
        };
        Item {
            flags: if header.has(item::FLAGS) {
                item::read_u32(cell, header.flags_at())
            } else {
                0
            },
            value: Value(value),
            expires: (header.expires() != 0).then_some(Seconds(header.expires())),
            fetched: header.has(item::FETCHED),
            stale: header.has(item::STALE),
            win_sent: header.has(item::WIN_SENT),
            last_access: Seconds(header.last_access(now)),
            source: Source::Shard(self, *found),
        }
    }

    #[inline(always)]
    pub(super) fn cas_of(&self, loc: Loc, header: Header) -> u64 {
        if header.has(item::CAS) {
            item::read_u64(self.arena.tail(loc.pos()), header.cas_at())
        } else {
            self.log.cas_at(&self.arena, loc.pos())
        }
    }

    /// Bytes an item takes in the log, pieces included.
    pub(super) fn size_of(&self, loc: Loc, header: Header) -> usize {
        let large = if header.has(item::LARGE) {
            Handle::read(self.arena.tail(loc.pos()), header).number as usize
        } else {
            0
        };
        header.cell_bytes() + large
    }

    /// Shows the item to `decide` and does what it says. A large value may have been written before: `staged` says
    /// which slice it stands for; whoever wrote it drops it again if it is still nobody's.
    pub(super) fn update<'c, R>(
        &mut self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        staged: Option<Staged<'c>>,
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let now = now.0;
        let reserve = self.ensure_reserve(now);
        let found = self.find_alive(key, now, false);
        let told = matches!(read, Read::WithCas | Read::PeekWithCas);
        let (change, result) = decide(found.as_ref().map(|found| self.view(found, now)));
        let cas = match (change, found) {
            (Change::Put(new), found) => {
                if !reserve {
                    self.counters.out_of_memory += 1;
                    return Err(StoreError::OutOfMemory);
                }
                self.put(key, found, &new, staged, told, now)?
            }
            (Change::Keep, Some(found)) if told => {
                self.note(&found, now, Read::PeekWithCas);
                self.cas_of(found.loc, found.header)
            }
            (Change::Patch(patch), Some(found)) => self.patch(&found, patch, told, now)?,
            (Change::Delete, Some(found)) => {
                self.unlink(key.hash, &found);
                0
            }
            (Change::Keep, Some(_)) | (Change::Keep | Change::Patch(_) | Change::Delete, None) => 0,
        };
        Ok(Updated { result, cas })
    }

    /// Takes an item out: deleted, or gone.
    pub(super) fn unlink(&mut self, hash: u64, found: &Found) {
        self.index.remove(&mut self.arena, hash, found.slot);
        self.kill(found.loc, found.header);
    }

    /// Frees the cell of an item that the index no longer names, and its pieces.
    pub(super) fn kill(&mut self, loc: Loc, header: Header) {
        if header.has(item::LARGE) {
            let handle = Handle::read(self.arena.tail(loc.pos()), header);
            self.disown_large(handle.row);
        }
        self.counters.item_bytes -= header.cell_bytes() as u64;
        self.log.kill(&mut self.arena, loc.pos(), header);
    }

    /// Takes out an item that expired or was flushed, met by a request (`by_read`) or on the way.
    pub(super) fn drop_gone(&mut self, hash: u64, found: &Found, now: u32, by_read: bool) {
        let flushed = self.log.is_flushed(&self.arena, found.loc.pos());
        self.counters.get_flushed += u64::from(by_read && flushed);
        self.counters.get_expired += u64::from(by_read && !flushed && found.header.expired(now));
        self.count_gone(found.header, flushed);
        self.unlink(hash, found);
    }

    pub(super) fn count_gone(&mut self, header: Header, flushed: bool) {
        if flushed {
            self.counters.flushed += 1;
        } else {
            self.counters.expired += 1;
            self.counters.expired_unfetched += u64::from(!header.has(item::FETCHED));
        }
    }

    /// Sets or replaces the second at which everything stored so far is gone.
    pub(super) fn flush(&mut self, at: u32, now: u32) {
        self.flush_at = Some(at);
        self.flush_if_due(now);
    }

    /// Whether reading the item would hold the lock for long: its row and length.
    #[inline]
    pub(super) fn is_long(&self, found: &Found) -> Option<Handle> {
        if !found.header.has(item::LARGE) {
            return None;
        }
        let handle = Handle::read(self.arena.tail(found.loc.pos()), found.header);
        (handle.number as usize > LOCKED_COPY_BYTES_MAX).then_some(handle)
    }

    /// Where a search for `hash` begins; the line there is on its way into the processor's cache.
    #[inline(always)]
    pub(super) fn line_ahead(&self, hash: u64) -> usize {
        let line = self.index.first_line(&self.arena, hash);
        self.arena.fetch_ahead(line, 1);
        line
    }

    /// The entry that a search for `hash` from this line meets first; its cell is on its way.
    #[inline(always)]
    pub(super) fn cell_ahead(&self, line: usize, hash: u64) -> Option<Near> {
        let near = Index::first_match(&self.arena, line, hash)?;
        self.arena.fetch_ahead(near.loc.pos(), CELL_LINES_AHEAD);
        Some(near)
    }

    #[inline]
    pub(super) fn flush_if_due(&mut self, now: u32) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            self.log.flush(&mut self.arena);
            self.reclaim.look_again();
        }
    }

    #[inline]
    pub(super) fn hash_at(&self, loc: Loc) -> u64 {
        self.hasher.hash_one(key_of(&self.arena, loc))
    }

    /// Lets the index grow by a bucket if its load asks for it.
    pub(super) fn grow_index(&mut self) {
        let hasher = &self.hasher;
        self.index.grow(&mut self.arena, &mut self.ghosts, |arena, loc| {
            hasher.hash_one(key_of(arena, loc))
        });
    }

    /// Visits the live items of one bucket.
    pub(super) fn visit_bucket(&self, bucket: usize, now: u32, visit: &mut impl FnMut(&[u8], Item<'_>)) {
        self.index.for_each_in(&self.arena, bucket, |slot, loc| {
            let found = Found {
                slot,
                loc,
                header: Header::read(self.arena.tail(loc.pos())),
                freq: Index::freq(&self.arena, slot),
            };
            if !self.is_gone(&found, now) {
                visit(key_of(&self.arena, loc), self.view(&found, now));
            }
        });
    }

    /// What this shard holds and has done.
    pub(super) fn counters(&self) -> StoreCounters {
        let frame = self.arena.frame_bytes() as u64;
        let segments = u64::from(self.log.segments()) * frame;
        let index = self.index.frames() as u64 * frame;
        let ghosts = self.ghosts.frames() as u64 * frame;
        StoreCounters {
            items: self.index.items() as u64,
            used_bytes: segments + index + ghosts,
            segment_bytes: segments,
            index_bytes: index,
            ghost_bytes: ghosts,
            large_bytes: self.large.bytes as u64,
            ..self.counters
        }
    }
}

/// The key of the item at `loc`.
#[inline]
pub(super) fn key_of(arena: &Arena, loc: Loc) -> &[u8] {
    let cell = arena.tail(loc.pos());
    &cell[item::HEADER_BYTES..item::HEADER_BYTES + usize::from(cell[0])]
}
