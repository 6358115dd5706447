//! What leaves when memory is short, and that the limit holds.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{START, delete, get, now, set, settle, store};
use crate::store::{Store, StoreConfig, StoreError};

#[test]
fn items_that_are_read_outlive_a_flood_of_items_that_are_not() {
    let store = store(1 << 20);
    let now = now(&store);
    let hot: Vec<String> = (0..500).map(|n| format!("hot{n}")).collect();
    for key in &hot {
        set(&store, key.as_bytes(), &[b'h'; 100], now).unwrap();
        get(&store, key.as_bytes(), now);
    }
    // Ten times the memory, each read of a hot key twenty floods apart.
    for n in 0..80_000_usize {
        set(&store, format!("flood{n}").as_bytes(), &[b'f'; 100], now).unwrap();
        if n % 20 == 0 {
            get(&store, hot[n / 20 % hot.len()].as_bytes(), now);
        }
    }
    let left = hot
        .iter()
        .filter(|key| get(&store, key.as_bytes(), now).is_some())
        .count();
    assert_eq!(left, hot.len());
    assert!(store.counters().evicted_unfetched > 70_000);
}

#[test]
fn a_key_that_comes_back_soon_after_its_eviction_is_remembered() {
    let store = store(1 << 20);
    let now = now(&store);
    for n in 0..12_000 {
        set(&store, format!("key{n}").as_bytes(), &[b'v'; 100], now).unwrap();
    }
    let missing: Vec<String> = (0..12_000)
        .rev()
        .map(|n| format!("key{n}"))
        .filter(|key| get(&store, key.as_bytes(), now).is_none())
        .take(500)
        .collect();
    assert_eq!(missing.len(), 500, "memory is short");
    for key in &missing {
        set(&store, key.as_bytes(), &[b'v'; 100], now).unwrap();
    }
    assert!(store.counters().ghost_hits > 400, "{:?}", store.counters());
}

#[test]
fn a_store_that_may_not_evict_refuses_and_takes_again_what_is_deleted() {
    let config = StoreConfig {
        memory_limit_bytes: 1 << 20,
        shards: Some(1),
        evict: false,
        ..StoreConfig::default()
    };
    let store = Store::new(config, START);
    let now = now(&store);
    let fits = (0..100_000)
        .take_while(|n| set(&store, format!("{n}").as_bytes(), &[b'v'; 200], now).is_ok())
        .count();
    assert!((3500..5500).contains(&fits), "{fits}");
    assert_eq!(
        set(&store, b"more", &[b'v'; 200], now),
        Err(StoreError::OutOfMemory)
    );
    assert!(
        (0..fits).all(|n| get(&store, format!("{n}").as_bytes(), now).is_some()),
        "nothing was lost"
    );
    assert_eq!(store.counters().evicted, 0);
    assert!(store.counters().out_of_memory >= 2);
    // Every other item goes: no segment is empty, so this needs compaction.
    for n in (0..fits).step_by(2) {
        assert!(delete(&store, format!("{n}").as_bytes(), now));
    }
    let again = (0..fits / 3)
        .filter(|n| set(&store, format!("x{n}").as_bytes(), &[b'v'; 200], now).is_ok())
        .count();
    assert_eq!(again, fits / 3);
    assert!(
        (1..fits)
            .step_by(2)
            .all(|n| get(&store, format!("{n}").as_bytes(), now).is_some())
    );
}

#[test]
fn memory_never_exceeds_the_limit_whatever_is_stored() {
    for seed in 0..8 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let limit = (1 << 20) << rng.random_range(0..4);
        let shards = Some(1 << rng.random_range(0..3));
        let config = StoreConfig {
            memory_limit_bytes: limit,
            shards,
            ..StoreConfig::default()
        };
        let store = Store::new(config, START);
        let now = now(&store);
        let mut len_max = 10;
        for n in 0..60_000_u32 {
            if n % 5000 == 0 {
                // The mix of sizes changes over and over, which moves memory between index and log.
                len_max = [10, 200, 3000, 60_000][rng.random_range(0..4)];
            }
            let value = vec![b'v'; rng.random_range(0..len_max)];
            let key = rng.random_range(0..50_000_u32).to_le_bytes();
            let stored = set(&store, &key, &value, now);
            assert!(
                stored.is_ok(),
                "seed {seed}, {n}: {stored:?} {:?}",
                store.counters()
            );
            if n % 100 == 0 {
                let counters = store.counters();
                assert!(counters.used_bytes <= limit, "seed {seed}, {n}: {counters:?}");
            }
        }
    }
}

#[test]
fn items_of_one_size_after_another_get_the_memory_of_those_before() {
    let store = store(4 << 20);
    let now = now(&store);
    for n in 0..200_000 {
        set(&store, format!("{n}").as_bytes(), b"", now).unwrap();
    }
    let small = store.counters();
    assert!(
        small.index_bytes > 800_000,
        "many small items need an index: {small:?}"
    );
    for n in 0..3000 {
        set(&store, format!("large{n}").as_bytes(), &[b'v'; 4000], now).unwrap();
        store.tick(now, 256);
    }
    let large = store.counters();
    assert!(
        large.items * 4010 > 3_600_000,
        "the index gave its pages back: {large:?}"
    );
}

#[test]
fn the_limit_can_be_lowered_and_raised_while_running() {
    let store = store(8 << 20);
    let now = now(&store);
    for n in 0..40_000 {
        set(&store, format!("{n}").as_bytes(), &[b'v'; 200], now).unwrap();
    }
    let full = store.counters().items;
    store.set_memory_limit(2 << 20);
    settle(&store, now);
    let counters = store.counters();
    assert!(
        counters.used_bytes <= 2 << 20 && counters.limit_bytes == 2 << 20,
        "{counters:?}"
    );
    assert!(
        counters.items * 4 > full * 7 / 10,
        "no more was evicted than needed: {counters:?}"
    );
    store.set_memory_limit(8 << 20);
    for n in 0..40_000 {
        set(&store, format!("{n}").as_bytes(), &[b'v'; 200], now).unwrap();
    }
    assert!(store.counters().items * 100 > full * 95);
}
