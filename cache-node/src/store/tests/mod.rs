//! The store's promises, tested through its one door. Every random run has a seed that a failure prints.

mod cas;
mod eviction;
mod expiry;
mod image;
mod large;
mod model;
mod threads;

use protocol::UnixSeconds;

use super::{Change, NewItem, Read, Seconds, Store, StoreConfig, StoreError};

/// When every test's store is made.
const START: UnixSeconds = UnixSeconds(1_750_000_000);

/// A store of one shard.
fn store(memory_limit_bytes: u64) -> Store {
    Store::new(
        StoreConfig {
            memory_limit_bytes,
            shards: Some(1),
            ..StoreConfig::default()
        },
        START,
    )
}

fn now(store: &Store) -> Seconds {
    store.seconds(START)
}

fn later(now: Seconds, seconds: u32) -> Seconds {
    Seconds(now.0 + seconds)
}

/// The value of a key, if it is there.
fn get(store: &Store, key: &[u8], now: Seconds) -> Option<Vec<u8>> {
    store.get(store.lookup(key), now, Read::Plain, |item| {
        item.map(|item| {
            let mut value = Vec::new();
            item.value.for_each_chunk(|chunk| value.extend_from_slice(chunk));
            value
        })
    })
}

/// Stores a plain item.
fn set(store: &Store, key: &[u8], value: &[u8], now: Seconds) -> Result<u64, StoreError> {
    set_until(store, key, value, None, now)
}

fn set_until(
    store: &Store,
    key: &[u8],
    value: &[u8],
    expires: Option<Seconds>,
    now: Seconds,
) -> Result<u64, StoreError> {
    let updated = store.update(store.lookup(key), now, Read::Plain, value, |_| {
        (
            Change::Put(NewItem {
                expires,
                ..NewItem::new(value)
            }),
            (),
        )
    })?;
    Ok(updated.cas)
}

fn delete(store: &Store, key: &[u8], now: Seconds) -> bool {
    let lookup = store.lookup(key);
    let updated = store.update(lookup, now, Read::Plain, b"", |item| {
        (Change::Delete, item.is_some())
    });
    updated.expect("a delete needs no memory").result
}

/// The cas unique as a client is told it.
fn observe(store: &Store, key: &[u8], now: Seconds) -> Option<u64> {
    store.get(store.lookup(key), now, Read::PeekWithCas, |item| {
        item.map(|item| item.cas())
    })
}

/// Ticks until there is nothing left to do.
fn settle(store: &Store, now: Seconds) {
    let ticks = (0..1_000_000).take_while(|_| store.tick(now, 256)).count();
    assert!(ticks < 1_000_000, "the background work ends");
}
