//! CPU time and instructions per operation.

use std::hint::black_box;

use cache_node::store::{Item, Lookup, Read, Seconds, Store};

use crate::support::{START, key_of, scattered, set, store, thread_nanos};

const OPERATIONS: u64 = 2_000_000;

/// Numbers in an order that no prefetcher follows.
fn scrambled(count: u64, items: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |n| scattered(n, items))
}

pub(crate) fn get(store: &Store, key: Lookup<'_>, now: Seconds) -> usize {
    store.get(key, now, Read::Plain, |item| {
        item.map_or(0, |item| item.value.as_slice().map_or(0, <[u8]>::len))
    })
}

/// Prints nanoseconds of CPU per operation.
pub(crate) fn measure(items: usize) {
    let items = items as u64;
    let value = [b'v'; 100];
    let store = store(16 << 30);
    let now = store.seconds(START);
    let per_operation = |name: &str, operations: u64, run: &mut dyn FnMut()| {
        let before = thread_nanos();
        run();
        println!("{name:<24} {:>6} ns", (thread_nanos() - before) / operations);
    };
    println!("{items} items of 32 + 100 bytes, one thread");
    per_operation("insert", items, &mut || {
        for number in 0..items {
            set(&store, store.lookup(&key_of(number)), &value, now);
        }
    });
    per_operation("harness alone", OPERATIONS, &mut || {
        for number in scrambled(OPERATIONS, items) {
            black_box(store.lookup(&key_of(number)).hash);
        }
    });
    for round in 0..3 {
        let now = Seconds(now.0 + round);
        per_operation("get hit", OPERATIONS, &mut || {
            for number in scrambled(OPERATIONS, items) {
                assert_eq!(get(&store, store.lookup(&key_of(number)), now), 100);
            }
        });
        for batch in [4, 16, 64] {
            per_operation(&format!("get hit, {batch} at a time"), OPERATIONS, &mut || {
                many(&store, OPERATIONS, items, batch, now);
            });
        }
        per_operation("get miss", OPERATIONS, &mut || {
            for number in scrambled(OPERATIONS, items) {
                assert_eq!(get(&store, store.lookup(&key_of(number + items)), now), 0);
            }
        });
        per_operation("overwrite", OPERATIONS, &mut || {
            for number in scrambled(OPERATIONS, items) {
                set(&store, store.lookup(&key_of(number)), &value, now);
            }
        });
    }
    let limit = items * 100;
    let full = crate::support::store(limit);
    let now = full.seconds(START);
    for number in 0..items * 2 {
        set(&full, full.lookup(&key_of(number)), &value, now);
    }
    per_operation("insert, evicting", OPERATIONS, &mut || {
        for number in items * 2..items * 2 + OPERATIONS {
            set(&full, full.lookup(&key_of(number)), &value, now);
        }
    });
}

fn many(store: &Store, operations: u64, items: u64, batch: usize, now: Seconds) {
    let mut numbers = scrambled(operations, items);
    let mut hits = 0;
    loop {
        let keys: Vec<[u8; 32]> = numbers.by_ref().take(batch).map(key_of).collect();
        if keys.is_empty() {
            break;
        }
        let lookups: Vec<Lookup<'_>> = keys.iter().map(|key| store.lookup(key)).collect();
        store.get_many(
            &lookups,
            now,
            Read::Plain,
            &mut |_: usize, item: Option<Item<'_>>| {
                hits += item.map_or(0, |item| item.value.as_slice().map_or(0, <[u8]>::len));
            },
        );
    }
    assert_eq!(hits as u64, operations * 100);
}

/// Runs one operation 100,000 times over 10,000 items, after a start that `none` has, too: the difference between two
/// counts, divided, is the cost of the operation.
pub(crate) fn count(operation: &str) {
    const COUNT: u64 = 100_000;
    const ITEMS: u64 = 10_000;
    let value = [b'v'; 100];
    let store = store(64 << 20);
    let full = crate::support::store(4 << 20);
    let now = store.seconds(START);
    for number in 0..ITEMS {
        set(&store, store.lookup(&key_of(number)), &value, now);
    }
    for number in 0..4 * ITEMS {
        set(&full, full.lookup(&key_of(number)), &value, now);
    }
    let keys: Vec<[u8; 32]> = scrambled(COUNT, ITEMS).map(key_of).collect();
    let fresh: Vec<[u8; 32]> = (0..COUNT).map(|number| key_of(number + 10 * ITEMS)).collect();
    match operation {
        "none" => {}
        "lookup" => {
            for key in &keys {
                black_box(store.lookup(key).hash);
            }
        }
        "get" => {
            for key in &keys {
                assert_eq!(get(&store, store.lookup(key), now), 100);
            }
        }
        "get16" => {
            for keys in keys.chunks(16) {
                let lookups: [Lookup<'_>; 16] = std::array::from_fn(|at| store.lookup(&keys[at]));
                store.get_many(
                    &lookups,
                    now,
                    Read::Plain,
                    &mut |_: usize, item: Option<Item<'_>>| {
                        assert!(item.is_some_and(|item| item.value.len() == 100));
                    },
                );
            }
        }
        "overwrite" => {
            for key in &keys {
                set(&store, store.lookup(key), &value, now);
            }
        }
        "insert" => {
            for key in &fresh {
                set(&store, store.lookup(key), &value, now);
            }
        }
        "evict" => {
            for key in &fresh {
                set(&full, full.lookup(key), &value, now);
            }
        }
        _ => panic!("{operation} is not counted: none lookup get get16 overwrite insert evict"),
    }
    black_box((store, full));
}
