//! A long random run agrees with a plain map: what the store answers is what was stored last, or, when memory is
//! short, nothing; never something else.

mod steps;

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::START;
use super::image::{image, restore};
use crate::store::{Item, Read, Seconds, Store, StoreConfig, StoreError};

/// What the map says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    value: Vec<u8>,
    flags: u32,
    expires: Option<Seconds>,
    stale: bool,
    win_sent: bool,
    /// Told to a client since the last change.
    cas: Option<u64>,
    /// The largest cas unique ever told for the key while it existed.
    cas_floor: u64,
}

struct Run {
    seed: u64,
    rng: SmallRng,
    store: Store,
    map: HashMap<u32, Expected>,
    now: Seconds,
    keys: u32,
    value_len_max: usize,
    flush_at: Option<Seconds>,
    misses_by_eviction: u64,
    config: StoreConfig,
    restarts: u32,
    /// Items evicted before the last restart.
    evicted_before: u64,
}

impl Run {
    fn new(seed: u64, config: StoreConfig, keys: u32, value_len_max: usize) -> Self {
        let store = Store::with_seeds(&config, START, [seed, 1, 2, 3]);
        let now = store.seconds(START);
        let rng = SmallRng::seed_from_u64(seed);
        let map = HashMap::new();
        Self {
            seed,
            rng,
            store,
            map,
            now,
            keys,
            value_len_max,
            flush_at: None,
            misses_by_eviction: 0,
            config,
            restarts: 0,
            evicted_before: 0,
        }
    }

    fn key(&self, key: u32) -> Vec<u8> {
        // Lengths from 1 to 250, the same for the same key.
        let mut bytes = format!("{key}:").into_bytes();
        bytes.resize(bytes.len().max(key as usize * 7 % 251), b'k');
        bytes
    }

    fn value(&mut self) -> Vec<u8> {
        let most = if self.rng.random_ratio(1, 50) {
            self.value_len_max
        } else {
            self.value_len_max.min(600)
        };
        let len = self.rng.random_range(0..=most);
        let first = self.rng.random::<u8>();
        (0..=250)
            .map(|at| first.wrapping_add(at))
            .cycle()
            .take(len)
            .collect()
    }

    fn expires(&mut self) -> Option<Seconds> {
        match self.rng.random_range(0..4) {
            0 => Some(Seconds(self.now.0 + self.rng.random_range(1..50))),
            1 => Some(Seconds(self.now.0 + self.rng.random_range(50..5000))),
            _ => None,
        }
    }

    /// Time passes: what has expired leaves the map.
    fn forget_gone(&mut self) {
        let now = self.now;
        self.map
            .retain(|_, expected| expected.expires.is_none_or(|at| at > now));
    }

    fn step(&mut self) {
        if self.rng.random_ratio(1, 200) {
            self.now.0 += self.rng.random_range(1..20);
            if self.flush_at.is_some_and(|at| at <= self.now) {
                self.flush_at = None;
                self.map.clear();
            }
            self.forget_gone();
        }
        if self.rng.random_ratio(1, 3000) {
            self.restart();
        }
        let key = self.rng.random_range(0..self.keys);
        match self.rng.random_range(0..1000) {
            0..400 => self.check_get(key),
            400..650 => self.set(key),
            650..750 => self.cas(key),
            750..820 => self.append(key),
            820..880 => self.delete(key),
            880..940 => self.touch(key),
            940..970 => self.mark(key),
            970..997 => {
                let store = &self.store;
                store.tick(self.now, 64);
            }
            997..999 => self.check_many(),
            _ => self.flush(),
        }
    }

    /// The store goes on from its image, in what could be another process.
    fn restart(&mut self) {
        let at = self.store.unix_seconds(self.now);
        let (before, image) = (self.store.counters(), image(&self.store));
        self.store = restore(&image, &self.config, at)
            .unwrap_or_else(|refused| panic!("seed {}: an image is refused: {refused:?}", self.seed));
        assert_eq!(self.store.seconds(at), self.now, "seed {}", self.seed);
        assert_eq!(self.store.counters().items, before.items, "seed {}", self.seed);
        self.restarts += 1;
        self.evicted_before += before.evicted;
    }

    fn evicted(&self) -> u64 {
        self.evicted_before + self.store.counters().evicted
    }

    fn flush(&mut self) {
        if self.rng.random_ratio(1, 20) {
            let at = Seconds(self.now.0 + self.rng.random_range(0..30));
            self.store.flush(at, self.now);
            self.flush_at = (at > self.now).then_some(at);
            if at <= self.now {
                self.map.clear();
            }
        }
    }

    /// Compares what a visit saw with the map. Nothing seen is an eviction.
    fn compare(&mut self, key: u32, seen: Option<Expected>) {
        let Some(seen) = seen else {
            self.misses_by_eviction += u64::from(self.map.remove(&key).is_some());
            return;
        };
        let Some(expected) = self.map.get_mut(&key) else {
            panic!("seed {}: key {key} should be gone, is {seen:?}", self.seed)
        };
        let cas = seen.cas.expect("a seen item has a cas unique");
        if let Some(told) = expected.cas {
            assert_eq!(
                cas, told,
                "seed {}: key {key}: the cas unique changed by itself",
                self.seed
            );
        }
        assert!(
            cas >= expected.cas_floor,
            "seed {}: key {key}: the cas unique went back",
            self.seed
        );
        let (cas_told, cas_floor) = (expected.cas, expected.cas_floor);
        assert_eq!(
            *expected,
            Expected {
                cas: cas_told,
                cas_floor,
                ..seen
            },
            "seed {}: key {key}",
            self.seed
        );
    }

    fn check_get(&mut self, key: u32) {
        let bytes = self.key(key);
        let read = [Read::Plain, Read::WithCas, Read::Peek, Read::PeekWithCas][self.rng.random_range(0..4)];
        let seen = self.store.get(self.store.lookup(&bytes), self.now, read, |item| {
            item.map(expected_of)
        });
        let cas = seen.as_ref().and_then(|seen| seen.cas);
        self.compare(key, seen);
        if matches!(read, Read::WithCas | Read::PeekWithCas) {
            self.told(key, cas);
        }
    }

    fn told(&mut self, key: u32, cas: Option<u64>) {
        if let (Some(expected), Some(cas)) = (self.map.get_mut(&key), cas) {
            expected.cas = Some(cas);
            expected.cas_floor = expected.cas_floor.max(cas);
        }
    }

    fn check_many(&mut self) {
        let keys: Vec<u32> = (0..40).map(|_| self.rng.random_range(0..self.keys)).collect();
        let bytes: Vec<Vec<u8>> = keys.iter().map(|&key| self.key(key)).collect();
        let lookups: Vec<_> = bytes.iter().map(|key| self.store.lookup(key)).collect();
        let mut seen = Vec::new();
        self.store.get_many(
            &lookups,
            self.now,
            Read::Plain,
            &mut |index: usize, item: Option<Item<'_>>| {
                assert_eq!(index, seen.len(), "in the order of the keys");
                seen.push(item.map(expected_of));
            },
        );
        assert_eq!(seen.len(), keys.len());
        for (key, seen) in keys.into_iter().zip(seen) {
            self.compare(key, seen);
        }
    }

    /// Notes what a put did. `before`: what `decide` saw.
    fn stored(&mut self, key: u32, result: Result<u64, StoreError>, new: Option<Expected>) {
        match (result, new) {
            (Ok(_), Some(new)) => {
                let cas_floor = self.map.get(&key).map_or(0, |old| old.cas_floor);
                self.map.insert(
                    key,
                    Expected {
                        cas: None,
                        cas_floor,
                        ..new
                    },
                );
            }
            (Ok(_), None) => {}
            (Err(StoreError::OutOfMemory | StoreError::TooLarge), _) => {
                // The old item may have been evicted to make room; a later visit will tell.
            }
        }
    }

    fn go(mut self, steps: u32) -> Self {
        for _ in 0..steps {
            self.step();
        }
        // At the end everything that is left is right, by the way of a scan, too.
        let mut seen = HashMap::new();
        let mut cursor = Some(super::super::ScanCursor::default());
        while let Some(at) = cursor {
            cursor = self.store.scan(at, self.now, &mut |key, item| {
                seen.insert(key.to_vec(), expected_of(item));
            });
        }
        let total = seen.len();
        for key in 0..self.keys {
            let bytes = self.key(key);
            self.compare(key, seen.remove(&bytes));
        }
        assert!(
            seen.is_empty(),
            "seed {}: keys nobody stored: {seen:?}",
            self.seed
        );
        assert_eq!(total, self.map.len());
        assert!(self.restarts > 0, "seed {}", self.seed);
        self
    }
}

fn expected_of(item: Item<'_>) -> Expected {
    let mut value = Vec::new();
    item.value.for_each_chunk(|chunk| value.extend_from_slice(chunk));
    assert_eq!(value.len(), item.value.len());
    Expected {
        value,
        flags: item.flags,
        expires: item.expires,
        stale: item.stale,
        win_sent: item.win_sent,
        cas: Some(item.cas()),
        cas_floor: 0,
    }
}

fn config(memory_limit_bytes: u64, shards: usize, segment_bytes: Option<usize>) -> StoreConfig {
    StoreConfig {
        memory_limit_bytes,
        shards: Some(shards),
        segment_bytes,
        ..StoreConfig::default()
    }
}

#[test]
fn with_memory_to_spare_nothing_is_ever_lost() {
    for (seed, shards) in (0..6).zip([1, 2, 4].into_iter().cycle()) {
        let run = Run::new(seed, config(64 << 20, shards, None), 2000, 3000).go(60_000);
        assert_eq!(
            run.misses_by_eviction,
            0,
            "seed {seed}: {:?}",
            run.store.counters()
        );
        assert_eq!(run.evicted(), 0, "seed {seed}");
    }
}

#[test]
fn in_tiny_memory_items_may_be_missing_but_are_never_wrong() {
    for seed in 100..106 {
        let run = Run::new(seed, config(1 << 20, 1, Some(4096 << (seed % 3))), 6000, 3000).go(150_000);
        let counters = run.store.counters();
        assert!(
            run.misses_by_eviction > 0 && run.evicted() > 0,
            "seed {seed}: memory was short: {counters:?}"
        );
        assert!(counters.used_bytes <= 1 << 20, "seed {seed}");
    }
}

#[test]
fn large_values_in_tiny_memory_are_whole_or_missing() {
    for seed in 200..206 {
        let run = Run::new(seed, config(1 << 20, 1, None), 1000, 150_000).go(60_000);
        let counters = run.store.counters();
        assert!(
            counters.used_bytes <= 1 << 20 && run.evicted() > 0,
            "seed {seed}: {counters:?}"
        );
    }
}

#[test]
fn large_values_with_memory_to_spare_are_never_lost() {
    for seed in 300..303 {
        let run = Run::new(seed, config(128 << 20, 2, Some(64 << 10)), 200, 200_000).go(20_000);
        assert_eq!(
            run.misses_by_eviction,
            0,
            "seed {seed}: {:?}",
            run.store.counters()
        );
    }
}
