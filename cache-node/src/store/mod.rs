//! The store: N shards, each a mutex around a packed index, a segmented log and its queues.
//! Knows keys, bytes and seconds; nothing of commands, sockets or clocks.

mod api;
mod item;

pub use api::{
    Body, CasPatch, Change, Item, Lookup, NewItem, Patch, Read, Seconds, StoreConfig, StoreCounters,
    StoreError, Updated, Value,
};
use protocol::UnixSeconds;

/// A bounded store of items. Shared by reference between threads.
pub struct Store {
    epoch: UnixSeconds,
    hasher: ahash::RandomState,
}

impl Store {
    /// An empty store; `now` is the zero of its seconds and the seed of its cas uniques.
    #[must_use]
    pub fn new(config: StoreConfig, now: UnixSeconds) -> Self {
        drop(config);
        Self {
            epoch: UnixSeconds(now.0.saturating_sub(2)),
            hasher: ahash::RandomState::new(),
        }
    }

    /// The store's count of seconds at `at` (saturating at both ends).
    #[must_use]
    pub fn seconds(&self, at: UnixSeconds) -> Seconds {
        Seconds(u32::try_from(at.0.saturating_sub(self.epoch.0)).unwrap_or(u32::MAX))
    }

    /// The wall clock's second for a count of the store's.
    #[must_use]
    pub fn unix_seconds(&self, at: Seconds) -> UnixSeconds {
        UnixSeconds(self.epoch.0 + u64::from(at.0))
    }

    /// Hashes a key (1 to 250 bytes), once per request.
    #[must_use]
    pub fn lookup<'k>(&self, key: &'k [u8]) -> Lookup<'k> {
        Lookup {
            key,
            hash: self.hasher.hash_one(key),
        }
    }

    /// Visits one item, or `None`, under the lock of its shard. The callback must not call the store.
    pub fn get<R>(
        &self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        visit: impl FnOnce(Option<Item<'_>>) -> R,
    ) -> R {
        let _ = (key, now, read);
        visit(None)
    }

    /// Visits many items in the order of `keys`. Faster than one by one: the cache misses overlap.
    /// The callback must not call the store.
    pub fn get_many(
        &self,
        keys: &[Lookup<'_>],
        now: Seconds,
        read: Read,
        visit: &mut impl FnMut(usize, Option<Item<'_>>),
    ) {
        for (index, key) in keys.iter().enumerate() {
            self.get(*key, now, read, |item| visit(index, item));
        }
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
    pub fn update<'c, R>(
        &self,
        key: Lookup<'_>,
        now: Seconds,
        read: Read,
        incoming: &'c [u8],
        decide: impl FnOnce(Option<Item<'_>>) -> (Change<'c>, R),
    ) -> Result<Updated<R>, StoreError> {
        let _ = (key, now, read, incoming);
        let (_, result) = decide(None);
        Ok(Updated { result, cas: 0 })
    }

    /// All items stored so far are gone once `at` has come (at once if it is not after `now`); items stored after that
    /// stay. A later call replaces a pending one.
    pub fn flush(&self, at: Seconds, now: Seconds) {
        let _ = (at, now);
    }

    /// Background work in small bites: expired and flushed segments, reserve, compaction. Looks at most at `budget`
    /// items; answers whether there is more to do.
    pub fn tick(&self, now: Seconds, budget: usize) -> bool {
        let _ = (now, budget);
        false
    }

    /// Gauges and totals; takes the shard locks one after the other, briefly.
    #[must_use]
    pub fn counters(&self) -> StoreCounters {
        StoreCounters::default()
    }

    /// Changes the memory limit while running. A lower one is reached by evicting, a little with each change and tick.
    pub fn set_memory_limit(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Walks all live items in small bites (`lru_crawler metadump`): start with `ScanCursor::default()`, go on with
    /// what comes back until it is `None`. Items changed meanwhile may be told twice or missed.
    pub fn scan(
        &self,
        cursor: ScanCursor,
        now: Seconds,
        visit: &mut impl FnMut(&[u8], Item<'_>),
    ) -> Option<ScanCursor> {
        let _ = (cursor, now, visit);
        None
    }
}

/// Where a [`Store::scan`] goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCursor {
    shard: u32,
    bucket: u32,
}
