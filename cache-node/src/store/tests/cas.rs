//! Cas uniques: unique per write, growing per key, the same while the item is the same, wherever it moves.

use super::{START, delete, get, now, observe, set, set_until, store};
use crate::store::{CasPatch, Change, NewItem, Patch, Read, Seconds, Store, StoreConfig};
use protocol::UnixSeconds;

#[test]
fn a_cas_unique_survives_relocation() {
    let store = store(1 << 20);
    let now = now(&store);
    let keys: Vec<String> = (0..50).map(|n| format!("kept{n}")).collect();
    for key in &keys {
        set(&store, key.as_bytes(), b"value", now).unwrap();
    }
    let told: Vec<_> = keys
        .iter()
        .map(|key| observe(&store, key.as_bytes(), now))
        .collect();
    for n in 0..40_000 {
        set(&store, format!("filler{n}").as_bytes(), &[b'f'; 100], now).unwrap();
        // Read often enough to be promoted, not evicted.
        get(&store, keys[n % keys.len()].as_bytes(), now);
    }
    let counters = store.counters();
    assert!(counters.moved >= 50 && counters.evicted > 1000, "{counters:?}");
    let seen: Vec<_> = keys
        .iter()
        .map(|key| observe(&store, key.as_bytes(), now))
        .collect();
    assert_eq!(seen, told);
}

#[test]
fn each_write_of_a_key_has_a_larger_cas_unique() {
    let store = store(4 << 20);
    let now = now(&store);
    let mut last = 0;
    for n in 0..5000_u32 {
        // Different TTL classes lie in different segments, opened at different times.
        let expires =
            [None, Some(30), Some(600), Some(7200)][n as usize * 7 % 4].map(|ttl| Seconds(now.0 + ttl));
        set_until(&store, b"key", &vec![b'v'; n as usize % 300], expires, now).unwrap();
        let cas = observe(&store, b"key", now).unwrap();
        assert!(cas > last, "write {n}: {cas} after {last}");
        last = cas;
        for filler in 0..3 {
            set_until(
                &store,
                format!("{n}.{filler}").as_bytes(),
                &[0; 500],
                expires,
                now,
            )
            .unwrap();
        }
    }
}

#[test]
fn a_value_nobody_was_told_the_cas_unique_of_is_overwritten_in_place() {
    let store = store(4 << 20);
    let now = now(&store);
    set(&store, b"counter", b"00001", now).unwrap();
    let before = store.counters().item_bytes;
    for n in 0..100_000 {
        set(&store, b"counter", format!("{n:05}").as_bytes(), now).unwrap();
    }
    let counters = store.counters();
    assert_eq!(
        (counters.item_bytes, counters.moved, counters.evicted),
        (before, 0, 0)
    );
    assert_eq!(counters.segment_bytes, 16 << 10, "one segment is enough");
}

#[test]
fn cas_uniques_do_not_come_again_after_a_restart_or_a_delete_and_fit_32_bits() {
    let uniques = |life: u64| {
        let config = StoreConfig {
            shards: Some(1),
            ..StoreConfig::default()
        };
        let start = START.0 + life;
        let store = Store::with_seeds(&config, UnixSeconds(start), [life, 2, 3, 4]);
        let now = store.seconds(UnixSeconds(start));
        (0..1000)
            .map(|_| {
                set(&store, b"key", b"value", now).unwrap();
                let cas = observe(&store, b"key", now).unwrap();
                delete(&store, b"key", now);
                cas
            })
            .collect::<Vec<_>>()
    };
    let mut all: Vec<u64> = (0..20).flat_map(uniques).collect();
    assert!(
        all.iter().all(|&cas| 0 < cas && cas < 1 << 32),
        "every client can hold them"
    );
    let total = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), total);
}

#[test]
fn a_client_may_choose_the_cas_unique_and_a_patch_may_renew_it() {
    let store = store(4 << 20);
    let now = now(&store);
    let lookup = store.lookup(b"key");
    let put = |cas| {
        store.update(lookup, now, Read::WithCas, b"v", |_| {
            (
                Change::Put(NewItem {
                    cas,
                    ..NewItem::new(b"v")
                }),
                (),
            )
        })
    };
    let patch = |cas| {
        let patch = Patch {
            cas,
            stale: Some(true),
            ..Patch::default()
        };
        store
            .update(lookup, now, Read::WithCas, b"", |_| (Change::Patch(patch), ()))
            .unwrap()
            .cas
    };
    assert_eq!(put(Some(77)).unwrap().cas, 77);
    assert_eq!(observe(&store, b"key", now), Some(77));
    assert_eq!(patch(CasPatch::Keep), 77);
    let renewed = patch(CasPatch::New);
    assert!(renewed > 77);
    assert_eq!(observe(&store, b"key", now), Some(renewed));
    assert_eq!(patch(CasPatch::Set(5)), 5);
    assert_eq!(put(Some(u64::MAX)).unwrap().cas, u64::MAX);
    let wrapped = put(None).unwrap().cas;
    assert!(wrapped != 0 && observe(&store, b"key", now) == Some(wrapped));
}

#[test]
fn what_is_stored_first_in_each_shard_has_a_cas_unique_of_its_own() {
    let config = StoreConfig {
        memory_limit_bytes: 64 << 20,
        shards: Some(8),
        ..StoreConfig::default()
    };
    let store = Store::new(config, START);
    let now = now(&store);
    let keys = (0..32_u32).map(u32::to_le_bytes);
    let told: std::collections::BTreeSet<_> = keys
        .map(|key| {
            set(&store, &key, b"value", now).unwrap();
            observe(&store, &key, now)
        })
        .collect();
    assert_eq!(told.len(), 32);
}
