//! The store: N shards, each a mutex around a packed index, a segmented log and its queues.
//! Knows keys, bytes and seconds; nothing of commands, sockets or clocks.

mod api;
mod arena;
mod bucket;
mod evict;
mod geometry;
mod ghost;
mod image;
mod index;
mod item;
mod large;
mod put;
mod queue;
mod segment;
mod shard;
mod staging;
mod ttl_class;
mod value;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use mapped::MappedFile;
use protocol::UnixSeconds;

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use api::Source;
pub use api::{
    Body, CasPatch, Change, End, Item, Lookup, NewItem, Patch, Read, Seconds, StoreConfig, StoreCounters,
    StoreError, Updated, Value, Visit, Witness,
};
use geometry::Geometry;
pub use image::Malformed;
pub(crate) use image::{Head, Misfit, RestoredShard, ShardReader, WordsIn, WordsOut, in_parallel};
use index::Near;
use item::Handle;
use shard::{Found, Shard, Sought};
use staging::{Joined, Pin, Staging};
use value::ItemValue;

/// Keys read together under the locks of their shards: enough for cache misses to overlap, few enough that nobody
/// waits long for the locks.
const BATCH: usize = 16;
/// Stores with more shards than this read one key at a time.
const BATCH_SHARDS_MAX: usize = 64;
/// Bits of the hash from here on pick the shard; those below pick the bucket.
const SHARD_BIT: u32 = 26;
/// Cas uniques start at a random number of so many bits, so that a token of an earlier life fits with a chance of one
/// in a billion, and grow with what is written: they stay within the 32 bits that some clients read
/// (meta-memcache 4.3) for the first 12 GiB written to a shard, and within the 53 of JavaScript for good.
const CAS_START_BITS: u32 = 30;
/// The zero of a store's seconds lies this long before its creation, so that zero is free to mean "never".
const EPOCH_LEAD: u64 = 2;
/// Times that two values are joined outside the lock before it is held until they are.
const JOIN_ATTEMPTS: usize = 3;
/// Cells looked at, and buckets scanned, before the lock is released.
const BITE: usize = 64;

/// A bounded store of items. Shared by reference between threads.
pub struct Store {
    shards: Box<[Padded]>,
    config: StoreConfig,
    /// What the hasher was made from.
    seeds: [u64; 4],
    hasher: ahash::RandomState,
    epoch: UnixSeconds,
    geometry: Geometry,
    limit_bytes: AtomicU64,
    /// The shard that the next tick begins with.
    tick_shard: AtomicUsize,
}

/// Where a key of a batch is to be looked for.
#[derive(Clone, Copy, Default)]
struct Spot {
    guard: usize,
    line: usize,
    near: Option<Near>,
}

/// Two locks never share a cache line, nor a pair of lines.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

impl Store {
    /// An empty store; `now` fixes the zero of its seconds and the first of its cas uniques.
    #[must_use]
    pub fn new(config: StoreConfig, now: UnixSeconds) -> Self {
        Self::in_files(&config, now, |_shard| None)
    }

    /// The same, with the memory of each shard in the file that `file` answers for its number: there it outlives the
    /// process.
    pub(crate) fn in_files(
        config: &StoreConfig,
        now: UnixSeconds,
        file: impl FnMut(usize) -> Option<MappedFile>,
    ) -> Self {
        Self::build(config, now, rand::random(), file)
    }

    /// An empty store whose hasher has these seeds: the same operations then take the same course in every run. For
    /// measurements and tests; a server draws its seeds, so that nobody can choose keys that collide.
    #[must_use]
    pub fn with_seeds(config: &StoreConfig, now: UnixSeconds, seeds: [u64; 4]) -> Self {
        Self::build(config, now, seeds, |_shard| None)
    }

    fn build(
        config: &StoreConfig,
        now: UnixSeconds,
        seeds: [u64; 4],
        mut file: impl FnMut(usize) -> Option<MappedFile>,
    ) -> Self {
        let geometry = Geometry::new(config);
        let hasher = image::hasher(seeds);
        // The hasher's seeds are drawn anew for each store. Shards begin apart, so that what is stored first in each
        // differs.
        let cas_base = |shard: usize| hasher.hash_one((now.0, shard as u64)) >> (u64::BITS - CAS_START_BITS);
        let shards = (0..geometry.shards)
            .map(|number| {
                Padded(Mutex::new(Shard::new(
                    config,
                    &geometry,
                    hasher.clone(),
                    cas_base(number),
                    file(number),
                )))
            })
            .collect();
        let epoch = UnixSeconds(now.0.saturating_sub(EPOCH_LEAD));
        Self::assemble(config, geometry, seeds, epoch, shards)
    }

    fn assemble(
        config: &StoreConfig,
        geometry: Geometry,
        seeds: [u64; 4],
        epoch: UnixSeconds,
        shards: Box<[Padded]>,
    ) -> Self {
        Self {
            shards,
            config: config.clone(),
            seeds,
            hasher: image::hasher(seeds),
            epoch,
            geometry,
            limit_bytes: AtomicU64::new(config.memory_limit_bytes),
            tick_shard: AtomicUsize::new(0),
        }
    }

    /// From now on, `witness` is asked whether it wants to know whenever an item is evicted.
    pub fn tell_evictions_to(&mut self, witness: &Arc<dyn Witness>) {
        for shard in &mut self.shards {
            shard.0.get_mut().witness = Some(Arc::clone(witness));
        }
    }

    /// The store's count of seconds at `at` (saturating at both ends).
    #[inline]
    #[must_use]
    pub fn seconds(&self, at: UnixSeconds) -> Seconds {
        Seconds(u32::try_from(at.0.saturating_sub(self.epoch.0)).unwrap_or(u32::MAX))
    }

    /// The wall clock's second for a count of the store's.
    #[inline]
    #[must_use]
    pub fn unix_seconds(&self, at: Seconds) -> UnixSeconds {
        UnixSeconds(self.epoch.0 + u64::from(at.0))
    }

    /// Hashes a key (1 to 250 bytes), once per request.
    #[inline]
    #[must_use]
    pub fn lookup<'k>(&self, key: &'k [u8]) -> Lookup<'k> {
        Lookup {
            key,
            hash: self.hasher.hash_one(key),
        }
    }

    #[inline]
    fn shard_number(&self, hash: u64) -> usize {
        let bits = (hash >> SHARD_BIT) as usize;
        bits & (self.shards.len() - 1)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[self.shard_number(hash)].0
    }

    /// Visits one item, or `None`, under the lock of its shard. The callback must not call the store.
    #[inline]
    pub fn get<R>(
        &self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        visit: impl FnOnce(Option<Item<'_>>) -> R,
    ) -> R {
        let lock = self.shard(key.hash);
        let mut shard = lock.lock();
        let Some(found) = shard.find_alive(key, now.0, true) else {
            drop(shard);
            return visit(None);
        };
        shard.note(&found, now.0, read);
        if shard.is_long(&found).is_some() {
            return Self::get_long(lock, shard, &found, now, visit);
        }
        visit(Some(shard.view(&found, now.0)))
    }

    /// Visits an item whose value is read a piece at a time, without holding the lock in between.
    #[cold]
    fn get_long<R>(
        lock: &Mutex<Shard>,
        mut shard: MutexGuard<'_, Shard>,
        found: &Found,
        now: Seconds,
        visit: impl FnOnce(Option<Item<'_>>) -> R,
    ) -> R {
        let Some(Handle { row, .. }) = shard.is_long(found) else {
            return visit(None);
        };
        let item = shard.view(found, now.0);
        let item = Item {
            flags: item.flags,
            value: Value(ItemValue::Pinned {
                shard: lock,
                row,
                len: item.value.len(),
            }),
            expires: item.expires,
            fetched: item.fetched,
            stale: item.stale,
            win_sent: item.win_sent,
            last_access: item.last_access,
            source: Source::Detached {
                cas: item.cas(),
                size_bytes: item.size_bytes(),
            },
        };
        let _pin = Pin::new(lock, &mut shard, row);
        drop(shard);
        visit(Some(item))
    }

    /// Visits many items in the order of `keys`. Faster than one by one: the cache misses overlap.
    /// The visitor must not call the store.
    #[inline]
    pub fn get_many(&self, keys: &[Lookup<'_>], now: Seconds, read: Read, visitor: &mut impl Visit) {
        let mut done = 0;
        while done < keys.len() {
            if keys.len() - done > 1 && self.shards.len() <= BATCH_SHARDS_MAX {
                let batch = keys.len().min(done + BATCH);
                done = self.get_batch(keys, done..batch, now, read, visitor);
                if done == batch {
                    continue;
                }
            }
            // Alone: a value so long that it must not be copied under the locks of others.
            self.get(keys[done], now, read, |item| visitor.visit(done, item));
            done += 1;
        }
    }

    /// Visits a few items, up to the first that must be read alone. Answers which comes next.
    #[inline]
    fn get_batch(
        &self,
        keys: &[Lookup<'_>],
        batch: Range<usize>,
        now: Seconds,
        read: Read,
        visitor: &mut impl Visit,
    ) -> usize {
        // Locks are taken in the order of the shards, so that two batches cannot wait for each other.
        let mut wanted = keys[batch.clone()]
            .iter()
            .fold(0_u64, |wanted, key| wanted | 1 << self.shard_number(key.hash));
        let mut guards: [Option<MutexGuard<'_, Shard>>; BATCH] = [const { None }; BATCH];
        let mut guard_of = [0_u8; BATCH_SHARDS_MAX];
        for (number, guard) in (0_u8..).zip(&mut guards) {
            if wanted == 0 {
                break;
            }
            let shard = wanted.trailing_zeros() as usize;
            wanted &= wanted - 1;
            guard_of[shard] = number;
            let mut lock = self.shards[shard].0.lock();
            lock.flush_if_due(now.0);
            *guard = Some(lock);
        }
        let mut spots = [Spot::default(); BATCH];
        for (key, spot) in keys[batch.clone()].iter().zip(&mut spots) {
            spot.guard = usize::from(guard_of[self.shard_number(key.hash)]);
            let Some(shard) = &guards[spot.guard] else {
                continue;
            };
            spot.line = shard.line_ahead(key.hash);
        }
        for (key, spot) in keys[batch.clone()].iter().zip(&mut spots) {
            let Some(shard) = &guards[spot.guard] else {
                continue;
            };
            spot.near = shard.cell_ahead(spot.line, key.hash);
        }
        // Once an entry has been taken out, those seen before may have moved.
        let mut intact = true;
        for (index, spot) in batch.clone().zip(&spots) {
            let key = keys[index];
            let Some(shard) = guards[spot.guard].as_mut() else {
                continue;
            };
            let near = spot.near.filter(|_| intact);
            match shard.seek(spot.line, near, key, now.0, true) {
                Sought::Alive(found) => {
                    if shard.is_long(&found).is_some() {
                        return index;
                    }
                    shard.note(&found, now.0, read);
                    visitor.visit(index, Some(shard.view(&found, now.0)));
                }
                Sought::Dropped => {
                    intact = false;
                    visitor.visit(index, None);
                }
                Sought::Missing => visitor.visit(index, None),
            }
        }
        batch.end
    }

    /// The one way to change anything: `decide` sees the live item (an expired or flushed one is `None`) under the
    /// shard lock and says what to do. Atomic per key. `decide` must not call the store.
    ///
    /// `incoming` is the data block that `decide` may want to store (empty if there is none). A large one is copied
    /// in before the lock is taken for good, so that nobody waits for the copy; `decide` still answers with
    /// `Body::Replace(incoming)`.
    ///
    /// # Errors
    /// If the item cannot be stored; then nothing has changed.
    #[inline]
    pub fn update<'c, R>(
        &self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        incoming: &'c [u8],
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let lock = self.shard(key.hash);
        if incoming.len() > large::CELL_BYTES_MAX {
            return Staging::write(lock, key, incoming, now)?.update(key, now, read, incoming, decide);
        }
        lock.lock().update(key, now, read, None, decide)
    }

    /// The same for `decide` that adds `more` to the value it sees, with `Body::Append(more)` or `Body::Prepend(more)`
    /// as `end` says. Two long values are joined before the lock is taken for good: nobody waits for that copy either.
    ///
    /// # Errors
    /// As for [`update`](Self::update).
    pub fn extend<'c, R>(
        &self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        more: &'c [u8],
        end: End,
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let lock = self.shard(key.hash);
        for _ in 0..JOIN_ATTEMPTS {
            let Some(joined) = Joined::write(lock, key, now, more, end)? else {
                break;
            };
            // Somebody else may have changed the item while its value was copied.
            if let Some(shard) = joined.if_current(key, now) {
                return joined.update(shard, key, now, read, decide);
            }
        }
        self.update(key, now, read, more, decide)
    }

    /// All items stored so far are gone once `at` has come (at once if it is not after `now`); items stored after that
    /// stay. A later call replaces a pending one.
    pub fn flush(&self, at: Seconds, now: Seconds) {
        for shard in &self.shards {
            shard.0.lock().flush(at.0, now.0);
        }
    }

    /// Background work in small bites: expired and flushed segments, reserve, compaction. Looks at about `budget`
    /// items; answers whether there is more to do.
    pub fn tick(&self, now: Seconds, budget: usize) -> bool {
        let mut left = budget;
        for _ in 0..self.shards.len() {
            let number = self.tick_shard.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            // The lock is released after each bite.
            while self.shards[number].0.lock().tick(now.0, BITE) {
                left = left.saturating_sub(BITE);
                if left == 0 {
                    return true;
                }
            }
        }
        false
    }

    /// Gauges and totals; takes the shard locks one after the other, briefly.
    #[must_use]
    pub fn counters(&self) -> StoreCounters {
        let mut sum = StoreCounters::default();
        for shard in &self.shards {
            let counters = shard.0.lock().counters();
            sum.add(&counters);
        }
        sum.limit_bytes = self.limit_bytes.load(Ordering::Relaxed);
        sum
    }

    /// Changes the memory limit while running. A lower one is reached by evicting, a little with each change and tick.
    pub fn set_memory_limit(&self, bytes: u64) {
        self.limit_bytes.store(bytes, Ordering::Relaxed);
        let frames = self.geometry.frames_per_shard(bytes);
        for shard in &self.shards {
            shard.0.lock().set_limit(frames);
        }
    }

    /// Walks all live items in small bites (`lru_crawler metadump`): start with `ScanCursor::default()`, go on with
    /// what comes back until it is `None`. Items changed meanwhile may be told twice or missed. The callback must not
    /// call the store.
    pub fn scan(
        &self,
        cursor: ScanCursor,
        now: Seconds,
        visit: &mut impl FnMut(&[u8], Item<'_>),
    ) -> Option<ScanCursor> {
        let mut shard = self.shards.get(cursor.shard)?.0.lock();
        shard.flush_if_due(now.0);
        let end = cursor.bucket + BITE;
        for bucket in cursor.bucket..end.min(shard.index.buckets()) {
            shard.visit_bucket(bucket, now.0, visit);
        }
        if end < shard.index.buckets() {
            Some(ScanCursor {
                bucket: end,
                ..cursor
            })
        } else {
            Some(ScanCursor {
                shard: cursor.shard + 1,
                bucket: 0,
            })
        }
    }
}

/// Where a [`Store::scan`] goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCursor {
    shard: usize,
    bucket: usize,
}
