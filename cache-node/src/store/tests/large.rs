//! Large values: whole or not there, bounded, and nobody waits for their copies.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{START, delete, get, now, set, store};
use crate::store::{Body, Change, End, Item, NewItem, Read, Store, StoreConfig, StoreError};

fn pattern(len: usize, first: u8) -> Vec<u8> {
    (0..=250)
        .map(|at: u8| at.wrapping_add(first))
        .cycle()
        .take(len)
        .collect()
}

#[test]
fn values_of_every_length_come_back_whole() {
    let store = store(32 << 20);
    let now = now(&store);
    let around = |len: usize| [len - 1, len, len + 1];
    let lens = [16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1_000_000]
        .into_iter()
        .flat_map(around);
    for len in lens.clone() {
        set(&store, format!("{len}").as_bytes(), &pattern(len, 3), now).unwrap();
    }
    for len in lens {
        assert!(
            get(&store, format!("{len}").as_bytes(), now) == Some(pattern(len, 3)),
            "{len}"
        );
    }
}

#[test]
fn a_large_value_can_be_replaced_appended_to_and_deleted() {
    let store = store(16 << 20);
    let now = now(&store);
    set(&store, b"key", b"small", now).unwrap();
    set(&store, b"key", &pattern(300_000, 1), now).unwrap();
    let more = pattern(1000, 9);
    let updated = store.update(store.lookup(b"key"), now, Read::Plain, b"", |_| {
        (
            Change::Put(NewItem {
                body: Body::Append(&more),
                ..NewItem::new(b"")
            }),
            (),
        )
    });
    updated.unwrap();
    assert_eq!(store.counters().large_bytes, 301_000);
    let whole = [pattern(300_000, 1), more].concat();
    assert!(get(&store, b"key", now) == Some(whole));
    set(&store, b"key", b"small", now).unwrap();
    assert_eq!(
        (get(&store, b"key", now).as_deref(), store.counters().large_bytes),
        (Some(&b"small"[..]), 0)
    );
    set(&store, b"key", &pattern(300_000, 2), now).unwrap();
    assert!(delete(&store, b"key", now));
    let counters = store.counters();
    assert_eq!(
        (counters.large_bytes, counters.item_bytes, counters.items),
        (0, 0, 0)
    );
}

#[test]
fn a_long_value_stays_whole_for_its_reader_though_it_is_replaced_meanwhile() {
    let store = store(4 << 20);
    let now = now(&store);
    let old = pattern(500_000, 1);
    set(&store, b"key", &old, now).unwrap();
    let read = store.get(store.lookup(b"key"), now, Read::Plain, |item| {
        // The lock is not held while a long value is read, so others can do this.
        let item = item.unwrap();
        let mut read = Vec::new();
        item.value.for_each_chunk(|chunk| {
            read.extend_from_slice(chunk);
        });
        delete(&store, b"key", now);
        for n in 0..20_000 {
            set(&store, format!("{n}").as_bytes(), &[b'x'; 300], now).unwrap();
        }
        let mut again = Vec::new();
        item.value.for_each_chunk(|chunk| again.extend_from_slice(chunk));
        assert!(read == again, "evicting and moving did not disturb it");
        read
    });
    assert!(read == old);
    assert_eq!(store.counters().large_bytes, 0, "let go after the last reader");
}

#[test]
fn a_large_block_that_is_not_stored_leaves_nothing() {
    let store = store(8 << 20);
    let now = now(&store);
    set(&store, b"key", b"value", now).unwrap();
    let before = store.counters();
    let block = pattern(400_000, 1);
    let refused = store.update(store.lookup(b"key"), now, Read::Plain, &block, |_| {
        (Change::Keep, "refused")
    });
    assert_eq!(refused.unwrap().result, "refused");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        store.update(
            store.lookup(b"key"),
            now,
            Read::Plain,
            &block,
            |_| -> (Change<'_>, ()) { panic!("a bug in a caller") },
        )
    }));
    assert!(panicked.is_err());
    let after = store.counters();
    assert_eq!((after.large_bytes, after.item_bytes), (0, before.item_bytes));
    assert_eq!(
        get(&store, b"key", now).as_deref(),
        Some(&b"value"[..]),
        "and the lock is free"
    );
}

#[test]
fn what_is_larger_than_allowed_is_refused_and_the_old_item_stays() {
    let config = StoreConfig {
        item_size_max_bytes: 1 << 20,
        shards: Some(1),
        ..StoreConfig::default()
    };
    let store = Store::new(config, START);
    let now = now(&store);
    set(&store, b"key", b"old", now).unwrap();
    assert_eq!(
        set(&store, b"key", &pattern(1 << 20, 0), now),
        Err(StoreError::TooLarge)
    );
    assert_eq!(get(&store, b"key", now).as_deref(), Some(&b"old"[..]));
    assert!(set(&store, b"key", &pattern((1 << 20) - 64, 0), now).is_ok());
    assert_eq!(store.counters().too_large, 1);
}

#[test]
fn large_values_are_evicted_like_others() {
    let store = store(4 << 20);
    let now = now(&store);
    for n in 0..100 {
        set(&store, format!("{n}").as_bytes(), &pattern(300_000, n), now).unwrap();
        let counters = store.counters();
        assert!(counters.used_bytes <= 4 << 20, "{counters:?}");
    }
    let counters = store.counters();
    assert!(counters.evicted >= 85 && counters.items >= 8, "{counters:?}");
    for n in 0..100 {
        assert!(
            get(&store, format!("{n}").as_bytes(), now).is_none_or(|value| value == pattern(300_000, n)),
            "{n}"
        );
    }
}

fn extend(store: &Store, key: &[u8], more: &[u8], end: End) -> Result<(), StoreError> {
    let body = match end {
        End::Front => Body::Prepend(more),
        End::Back => Body::Append(more),
    };
    let decide = |item: Option<Item<'_>>| {
        let new = NewItem {
            body,
            ..NewItem::new(b"")
        };
        (item.map_or(Change::Keep, |_| Change::Put(new)), ())
    };
    let done = store.extend(store.lookup(key), now(store), Read::Plain, more, end, decide);
    done.map(|_| ())
}

#[test]
fn values_of_all_lengths_are_added_to_at_both_ends() {
    let store = store(32 << 20);
    let now = now(&store);
    let lens = [0, 5, 20_000, 140_000, 700_000];
    for old in lens {
        for more in lens {
            for end in [End::Front, End::Back] {
                let (old, more) = (pattern(old, 1), pattern(more, 101));
                let key = format!("{}-{}-{end:?}", old.len(), more.len());
                set(&store, key.as_bytes(), &old, now).unwrap();
                let wanted = match end {
                    End::Front => [&more[..], &old].concat(),
                    End::Back => [&old[..], &more].concat(),
                };
                let done = extend(&store, key.as_bytes(), &more, end);
                if wanted.len() > 1 << 20 {
                    assert_eq!(done, Err(StoreError::TooLarge), "{key}");
                    assert!(get(&store, key.as_bytes(), now) == Some(old), "{key}");
                } else {
                    done.unwrap();
                    assert!(get(&store, key.as_bytes(), now) == Some(wanted), "{key}");
                }
                assert!(delete(&store, key.as_bytes(), now));
                assert_eq!(store.counters().large_bytes, 0, "{key}");
            }
        }
    }
    extend(&store, b"none", &pattern(200_000, 1), End::Back).unwrap();
    let counters = store.counters();
    assert_eq!(
        (counters.items, counters.large_bytes, counters.item_bytes),
        (0, 0, 0)
    );
}

#[test]
fn a_long_value_added_to_at_once_from_many_sides_loses_nothing() {
    const EACH: usize = 40;
    let store = store(32 << 20);
    let at = now(&store);
    set(&store, b"key", &vec![b'.'; 150_000], at).unwrap();
    std::thread::scope(|scope| {
        for thread in [b'a', b'b', b'c'] {
            let store = &store;
            scope.spawn(move || {
                for n in 0..EACH {
                    let end = if n % 2 == 0 { End::Front } else { End::Back };
                    extend(store, b"key", &[thread; 10], end).unwrap();
                    // Others write to the shard between the pieces.
                    set(store, &[thread], &[thread; 500], at).unwrap();
                }
            });
        }
    });
    let value = get(&store, b"key", at).unwrap();
    assert_eq!(value.len(), 150_000 + 3 * EACH * 10);
    for byte in [b'a', b'b', b'c'] {
        assert_eq!(value.iter().filter(|&&other| other == byte).count(), EACH * 10);
    }
    assert_eq!(store.counters().large_bytes, value.len() as u64);
}
