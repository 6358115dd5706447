//! Several threads at once: no update is lost, no value is ever a mixture, whatever is evicted under them.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{START, get, now, set};
use crate::store::{Change, Item, Lookup, NewItem, Read, Store, StoreConfig};

const THREADS: u64 = 4;

fn shared(memory_limit_bytes: u64, shards: usize) -> Store {
    let config = StoreConfig {
        memory_limit_bytes,
        shards: Some(shards),
        ..StoreConfig::default()
    };
    Store::new(config, START)
}

#[test]
fn no_update_is_lost_between_threads() {
    let store = shared(64 << 20, 2);
    let now = now(&store);
    for key in [b"a", b"b", b"c"] {
        set(&store, key, b"0", now).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for n in 0..20_000 {
                    let key = [b"a", b"b", b"c"][n % 3];
                    // Half of the updates are made with what `decide` sees, half with a cas unique seen before.
                    if thread % 2 == 0 {
                        let mut digits = String::new();
                        let updated = store.update(store.lookup(key), now, Read::Plain, b"", |item| {
                            digits = (number(item.unwrap().value.as_slice().unwrap()) + 1).to_string();
                            (Change::Put(NewItem::new(digits.as_bytes())), ())
                        });
                        updated.unwrap();
                    } else {
                        while !compare_and_add(store, key) {}
                    }
                }
            });
        }
    });
    let sum: u64 = [b"a", b"b", b"c"]
        .iter()
        .map(|key| number(&get(&store, *key, now).unwrap()))
        .sum();
    assert_eq!(sum, THREADS * 20_000);
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

fn compare_and_add(store: &Store, key: &[u8]) -> bool {
    let (now, lookup) = (now(store), store.lookup(key));
    let (cas, digits) = store.get(lookup, now, Read::WithCas, |item| {
        let item = item.unwrap();
        (
            item.cas(),
            (number(item.value.as_slice().unwrap()) + 1).to_string(),
        )
    });
    let updated = store.update(lookup, now, Read::Plain, b"", |item| match item {
        Some(item) if item.cas() == cas => (Change::Put(NewItem::new(digits.as_bytes())), true),
        _ => (Change::Keep, false),
    });
    updated.unwrap().result
}

/// A value that says whose it is and is the same byte from there on.
fn stamped(key: u32, rng: &mut SmallRng, len_max: usize) -> Vec<u8> {
    let mut value = key.to_le_bytes().to_vec();
    value.resize(4 + rng.random_range(0..len_max), rng.random());
    value
}

fn check(key: u32, value: &[u8]) {
    assert_eq!(value[..4], key.to_le_bytes(), "the value of another key");
    assert!(
        value[4..].windows(2).all(|pair| pair[0] == pair[1]),
        "a mixture of two values of key {key}"
    );
}

#[test]
fn values_are_whole_while_threads_write_read_and_evict() {
    for (seed, limit, len_max, keys) in [
        (1, 1 << 20, 800, 3000),
        (2, 4 << 20, 200_000, 200),
        (3, 1 << 20, 60, 20_000),
    ] {
        let store = shared(limit, 2);
        let now = now(&store);
        let hits = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (store, hits) = (&store, &hits);
                scope.spawn(move || {
                    let mut rng = SmallRng::seed_from_u64(seed * 100 + thread);
                    for n in 0..if len_max > 1000 { 1500 } else { 20_000 } {
                        let key = rng.random_range(0..keys);
                        match n % 5 {
                            0 | 1 => {
                                let value = stamped(key, &mut rng, len_max);
                                // With large values all memory may be in the hands of writers at a moment.
                                let _refused = set(store, &key.to_le_bytes(), &value, now);
                            }
                            2 => {
                                let value = get(store, &key.to_le_bytes(), now);
                                if let Some(value) = value {
                                    hits.fetch_add(1, Ordering::Relaxed);
                                    check(key, &value);
                                }
                            }
                            3 => check_many(store, &mut rng, keys),
                            _ => {
                                store.tick(now, 100);
                            }
                        }
                    }
                });
            }
        });
        let counters = store.counters();
        assert!(
            counters.used_bytes <= limit && hits.load(Ordering::Relaxed) > 100,
            "seed {seed}: {counters:?}"
        );
        assert!(counters.evicted > 0, "seed {seed}: {counters:?}");
    }
}

fn check_many(store: &Store, rng: &mut SmallRng, keys: u32) {
    let keys: Vec<[u8; 4]> = (0..30).map(|_| rng.random_range(0..keys).to_le_bytes()).collect();
    let lookups: Vec<Lookup<'_>> = keys.iter().map(|key| store.lookup(key)).collect();
    store.get_many(&lookups, now(store), Read::Plain, &mut |index: usize,
                                                            item: Option<
        Item<'_>,
    >| {
        if let Some(item) = item {
            let mut value = Vec::new();
            item.value.for_each_chunk(|chunk| value.extend_from_slice(chunk));
            check(u32::from_le_bytes(keys[index]), &value);
        }
    });
}
