//! The words the store speaks with its callers: lookups, items seen under the shard lock, changes asked for.
//! Knows nothing of how an item is laid out.

use bytes::BytesMut;

use super::shard::{Found, Shard};
use super::value::ItemValue;

/// Coarse time inside one store: whole seconds since shortly before its creation (so "now" is never zero).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(pub u32);

/// What the store may use, settled by the configuration before the store is made.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Bounds everything the store holds: segments, index, ghosts, large values (`-m`).
    pub memory_limit_bytes: u64,
    /// The largest key, flags and value together (`-I`).
    pub item_size_max_bytes: u64,
    /// Shards, a power of two; `None`: chosen from the memory and the threads.
    pub shards: Option<usize>,
    /// Bytes per segment, a power of two; `None`: chosen from the memory of one shard.
    pub segment_bytes: Option<usize>,
    /// `false` (`-M`): a full store answers [`StoreError::OutOfMemory`] instead of evicting.
    pub evict: bool,
    /// Threads that will call the store.
    pub threads: usize,
}

impl Default for StoreConfig {
    /// memcached's: 64 MiB, items up to 1 MiB, evicting, four threads.
    fn default() -> Self {
        Self {
            memory_limit_bytes: 64 << 20,
            item_size_max_bytes: 1 << 20,
            shards: None,
            segment_bytes: None,
            evict: true,
            threads: 4,
        }
    }
}

/// A key with its hash, made once per request by [`Store::lookup`](super::Store::lookup).
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'k> {
    /// 1 to 250 bytes.
    pub key: &'k [u8],
    /// The store's own hash of the key.
    pub hash: u64,
}

/// How a visit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// An access: raises the item's standing, marks it fetched, notes the time.
    Plain,
    /// As `Plain`, and the client is told the cas unique, which must from then on stay the same until the item
    /// changes. In [`update`](super::Store::update): the cas unique in the result will be told.
    WithCas,
    /// Leaves no trace (`me`, `mg` with `u`) ...
    Peek,
    /// ... except that the client is told the cas unique.
    PeekWithCas,
}

/// A live item, seen under the shard lock: it cannot leave the callback.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The client's opaque number.
    pub flags: u32,
    /// The value.
    pub value: Value<'a>,
    /// When it stops being visible; `None`: never.
    pub expires: Option<Seconds>,
    /// Read since it was stored (before this visit).
    pub fetched: bool,
    /// Marked stale by an invalidating delete.
    pub stale: bool,
    /// A client has already been told to refill it.
    pub win_sent: bool,
    /// Last read or write (before this visit).
    pub last_access: Seconds,
    pub(super) source: Source<'a>,
}

/// Where the rest can be looked up: what few callers ask for is not computed for all.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Under the lock.
    Shard(&'a Shard, Found),
    /// Looked up before the lock was released.
    Detached { cas: u64, size_bytes: u32 },
}

impl Item<'_> {
    /// The cas unique. Only to be told to a client under [`Read::WithCas`] or [`Read::PeekWithCas`].
    #[inline(always)]
    #[must_use]
    pub fn cas(&self) -> u64 {
        match self.source {
            Source::Shard(shard, found) => shard.cas_of(found.loc, found.header),
            Source::Detached { cas, .. } => cas,
        }
    }

    /// Bytes it takes in the store, index apart.
    #[must_use]
    pub fn size_bytes(&self) -> u32 {
        let bytes = match self.source {
            Source::Shard(shard, found) => shard.size_of(found.loc, found.header),
            Source::Detached { size_bytes, .. } => return size_bytes,
        };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// Takes what [`get_many`](super::Store::get_many) finds. A trait, so that an implementation can ask to be inlined: an
/// item handed over in a call costs more than reading it.
pub trait Visit {
    /// The item of the key with this index, or `None`, under the lock of its shard.
    fn visit(&mut self, index: usize, item: Option<Item<'_>>);
}

impl<F: FnMut(usize, Option<Item<'_>>)> Visit for F {
    #[inline]
    fn visit(&mut self, index: usize, item: Option<Item<'_>>) {
        self(index, item);
    }
}

/// The bytes of an item's value: one slice for ordinary items, pieces for large ones.
#[derive(Clone, Copy)]
pub struct Value<'a>(pub(super) ItemValue<'a>);

impl<'a> Value<'a> {
    /// Length in bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole value when it lies in one place (every value up to the large threshold does).
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        self.0.as_slice()
    }

    /// Visits the bytes in order, one slice for ordinary items, several for large ones.
    pub fn for_each_chunk(&self, visit: impl FnMut(&[u8])) {
        self.0.for_each_chunk(visit);
    }

    /// Appends the bytes.
    #[inline(always)]
    pub fn copy_to(&self, out: &mut BytesMut) {
        match self.as_slice() {
            Some(bytes) => out.extend_from_slice(bytes),
            None => self.copy_pieces(out),
        }
    }

    #[cold]
    fn copy_pieces(self, out: &mut BytesMut) {
        out.reserve(self.len());
        self.for_each_chunk(|chunk| out.extend_from_slice(chunk));
    }
}

/// What [`update`](super::Store::update) shall do with the item.
#[derive(Debug)]
pub enum Change<'a> {
    /// Leave everything as it is.
    Keep,
    /// Delete the item, if there is one.
    Delete,
    /// Store an item: a new one, or in place of the one seen.
    Put(NewItem<'a>),
    /// Change the item's marks and expiry; nothing happens if there is none.
    Patch(Patch),
}

/// An item to store.
#[derive(Debug)]
pub struct NewItem<'a> {
    /// The client's opaque number.
    pub flags: u32,
    /// When it stops being visible; a second not after now means at once.
    pub expires: Option<Seconds>,
    /// The value.
    pub body: Body<'a>,
    /// A cas unique given by the client (meta flag `E`); else the store makes one.
    pub cas: Option<u64>,
    /// Marked stale.
    pub stale: bool,
    /// A client has been told to refill it.
    pub win_sent: bool,
    /// Carries the mark of having been read.
    pub fetched: bool,
}

impl<'a> NewItem<'a> {
    /// A plain item with this value: no flags, no expiry, no marks.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self {
            flags: 0,
            expires: None,
            body: Body::Replace(value),
            cas: None,
            stale: false,
            win_sent: false,
            fetched: false,
        }
    }
}

/// The value of an item to store.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// These bytes.
    Replace(&'a [u8]),
    /// The old value (empty if there is none), then these bytes.
    Append(&'a [u8]),
    /// These bytes, then the old value.
    Prepend(&'a [u8]),
}

/// Where bytes are added to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As `prepend` does.
    Front,
    /// As `append` does.
    Back,
}

/// Changes that leave the value alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patch {
    /// A new expiry (`Some(None)`: never).
    pub expires: Option<Option<Seconds>>,
    /// A new stale mark.
    pub stale: Option<bool>,
    /// A new win mark.
    pub win_sent: Option<bool>,
    /// A new fetched mark; `Some(true)` also counts as an access (`gat`, `touch`, `mg T`).
    pub fetched: Option<bool>,
    /// What happens to the cas unique.
    pub cas: CasPatch,
}

/// What a [`Patch`] does to the cas unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CasPatch {
    /// Nothing.
    #[default]
    Keep,
    /// The store makes a new one.
    New,
    /// The client gave one (meta flag `E`).
    Set(u64),
}

/// What came of an [`update`](super::Store::update).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Updated<R> {
    /// What `decide` said.
    pub result: R,
    /// The cas unique of the item made, changed or kept, if the update was made [`Read::WithCas`]: else nobody may be
    /// told. Zero if there is no item.
    pub cas: u64,
}

/// Why nothing was stored. The item that was there is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Above the item size limit, or above what one shard can hold.
    #[error("item is too large")]
    TooLarge,
    /// The store is full and may not evict (`-M`), or all of it is being written to at this moment.
    #[error("out of memory")]
    OutOfMemory,
}

/// Somebody who may want to know what is evicted. Called under the lock of a shard: it must not call the store.
pub trait Witness: Send + Sync {
    /// Whether it wants to know at the moment.
    fn wants_evictions(&self) -> bool;

    /// An item is about to be lost for space.
    fn evicted(&self, key: &[u8], item: &Item<'_>, now: Seconds);
}

/// Gauges and totals of a store, summed over its shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Items in the index, those expired but not yet met included.
    pub items: u64,
    /// Bytes of those items in segments.
    pub item_bytes: u64,
    /// Items stored since the start.
    pub items_stored: u64,
    /// The limit, in bytes.
    pub limit_bytes: u64,
    /// Bytes of memory in use: segments, index, ghosts and tables.
    pub used_bytes: u64,
    /// Of those, segments with items.
    pub segment_bytes: u64,
    /// Of those, index pages.
    pub index_bytes: u64,
    /// Of those, ghost fingerprints.
    pub ghost_bytes: u64,
    /// Bytes of large values (they lie in segments, too).
    pub large_bytes: u64,
    /// Items lost for space.
    pub evicted: u64,
    /// Items lost for space that nobody had read since they were stored.
    pub evicted_unfetched: u64,
    /// Items lost for space although they had an expiry in the future.
    pub evicted_with_expiry: u64,
    /// Items whose memory was taken back after they expired.
    pub expired: u64,
    /// Of those, items that nobody had read.
    pub expired_unfetched: u64,
    /// Items whose memory was taken back after a flush.
    pub flushed: u64,
    /// Reads that met an expired item.
    pub get_expired: u64,
    /// Reads that met a flushed item.
    pub get_flushed: u64,
    /// Items moved to make room (promoted or compacted).
    pub moved: u64,
    /// Items that came back after an eviction that the ghosts remembered.
    pub ghost_hits: u64,
    /// Puts refused for want of memory.
    pub out_of_memory: u64,
    /// Puts refused for size.
    pub too_large: u64,
    /// Seconds since the last access of the item evicted last.
    pub last_evicted_idle_seconds: u64,
}

impl StoreCounters {
    /// Adds those of another shard.
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            items,
            item_bytes,
            items_stored,
            limit_bytes: _,
            used_bytes,
            segment_bytes,
            index_bytes,
            ghost_bytes,
            large_bytes,
            evicted,
            evicted_unfetched,
            evicted_with_expiry,
            expired,
            expired_unfetched,
            flushed,
            get_expired,
            get_flushed,
            moved,
            ghost_hits,
            out_of_memory,
            too_large,
            last_evicted_idle_seconds,
        } = self;
        for (sum, more) in [
            (items, other.items),
            (item_bytes, other.item_bytes),
            (items_stored, other.items_stored),
            (used_bytes, other.used_bytes),
            (segment_bytes, other.segment_bytes),
            (index_bytes, other.index_bytes),
            (ghost_bytes, other.ghost_bytes),
            (large_bytes, other.large_bytes),
            (evicted, other.evicted),
            (evicted_unfetched, other.evicted_unfetched),
            (evicted_with_expiry, other.evicted_with_expiry),
            (expired, other.expired),
            (expired_unfetched, other.expired_unfetched),
            (flushed, other.flushed),
            (get_expired, other.get_expired),
            (get_flushed, other.get_flushed),
            (moved, other.moved),
            (ghost_hits, other.ghost_hits),
            (out_of_memory, other.out_of_memory),
            (too_large, other.too_large),
        ] {
            *sum += more;
        }
        *last_evicted_idle_seconds = other.last_evicted_idle_seconds.max(*last_evicted_idle_seconds);
    }
}
