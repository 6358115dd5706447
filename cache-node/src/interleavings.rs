//! What threads share, under every schedule that shuttle draws: no deadlock, no lost update, no value that nobody wrote.
//! `cargo test -p cache-node --features shuttle --lib interleavings::`; a failure prints the schedule that leads to it.

use std::sync::Arc;

use protocol::UnixSeconds;
use shuttle::thread;

use crate::clock::Clock;
use crate::store::{Body, Change, End, Item, NewItem, Read, Seconds, Store, StoreConfig, StoreError};
use crate::watch::{Classes, Event, Watchers};

const START: UnixSeconds = UnixSeconds(1_700_000_000);
const SCHEDULES: usize = 300;
/// Longer than what is copied in one go under a lock.
const LONG: usize = 140_000;

fn store(shards: usize) -> Arc<Store> {
    let config = StoreConfig {
        memory_limit_bytes: 4 << 20,
        shards: Some(shards),
        ..StoreConfig::default()
    };
    Arc::new(Store::new(config, START))
}

fn now(store: &Store) -> Seconds {
    store.seconds(START)
}

fn set(store: &Store, key: &[u8], value: &[u8]) {
    let done = store.update(store.lookup(key), now(store), Read::Plain, value, |_| {
        (Change::Put(NewItem::new(value)), ())
    });
    done.expect("there is room");
}

fn get(store: &Store, key: &[u8]) -> Option<Vec<u8>> {
    store.get(store.lookup(key), now(store), Read::Plain, |item| {
        item.map(|item| {
            let mut value = Vec::new();
            item.value.for_each_chunk(|chunk| value.extend_from_slice(chunk));
            value
        })
    })
}

/// Whether there was something to add to.
fn append(store: &Store, key: &[u8], more: &[u8]) -> Result<bool, StoreError> {
    let decide = |item: Option<Item<'_>>| {
        let new = NewItem {
            body: Body::Append(more),
            ..NewItem::new(b"")
        };
        let is_there = item.is_some();
        (if is_there { Change::Put(new) } else { Change::Keep }, is_there)
    };
    let done = store.extend(
        store.lookup(key),
        now(store),
        Read::Plain,
        more,
        End::Back,
        decide,
    )?;
    Ok(done.result)
}

#[test]
fn a_long_value_loses_no_append_and_no_replacement() {
    shuttle::check_random(
        || {
            let store = store(1);
            set(&store, b"key", &[b'.'; LONG]);
            let appends = [b"a", b"b"].map(|more| {
                let store = Arc::clone(&store);
                thread::spawn(move || append(&store, b"key", more).expect("there is room"))
            });
            let replacing = {
                let store = Arc::clone(&store);
                thread::spawn(move || set(&store, b"key", &[b'!'; LONG]))
            };
            for append in appends {
                assert!(append.join().expect("no panic"), "it was there all the time");
            }
            replacing.join().expect("no panic");
            let value = get(&store, b"key").expect("it is there");
            // What was appended before the replacement is gone with what it was appended to.
            assert!(value[..LONG].iter().all(|&byte| byte == b'!'));
            let rest = &value[LONG..];
            assert!([&b""[..], b"a", b"b", b"ab", b"ba"].contains(&rest), "{rest:?}");
            assert_eq!(
                store.counters().large_bytes,
                value.len() as u64,
                "nothing is left over"
            );
        },
        SCHEDULES,
    );
}

#[test]
fn two_appends_are_both_there() {
    shuttle::check_random(
        || {
            let store = store(1);
            set(&store, b"key", &[b'.'; LONG]);
            let other = {
                let store = Arc::clone(&store);
                thread::spawn(move || append(&store, b"key", b"a").expect("there is room"))
            };
            assert!(append(&store, b"key", b"b").expect("there is room"));
            assert!(other.join().expect("no panic"));
            let value = get(&store, b"key").expect("it is there");
            assert!(
                [&b"ab"[..], b"ba"].contains(&&value[LONG..]),
                "{:?}",
                &value[LONG..]
            );
        },
        SCHEDULES,
    );
}

#[test]
fn a_long_value_is_read_whole_while_it_is_deleted_and_set_anew() {
    shuttle::check_random(
        || {
            let store = store(1);
            set(&store, b"key", &[b'1'; LONG]);
            let writer = {
                let store = Arc::clone(&store);
                thread::spawn(move || {
                    let deleted = store.update(store.lookup(b"key"), now(&store), Read::Peek, b"", |_| {
                        (Change::Delete, ())
                    });
                    deleted.expect("nothing to store");
                    set(&store, b"key", &[b'2'; LONG]);
                })
            };
            if let Some(value) = get(&store, b"key") {
                assert_eq!(value.len(), LONG);
                assert!(value.iter().all(|&byte| byte == value[0]), "two values in one");
            }
            writer.join().expect("no panic");
            assert_eq!(store.counters().large_bytes, LONG as u64, "nothing is left over");
        },
        SCHEDULES,
    );
}

#[test]
fn batches_and_updates_over_many_shards_never_wait_for_each_other() {
    const KEYS: u8 = 8;
    shuttle::check_random(
        || {
            let store = store(4);
            let readers = [true, false].map(|forth| {
                let store = Arc::clone(&store);
                thread::spawn(move || {
                    let mut names: Vec<[u8; 1]> = (0..KEYS).map(|key| [key]).collect();
                    if !forth {
                        names.reverse();
                    }
                    let keys: Vec<_> = names.iter().map(|name| store.lookup(name)).collect();
                    let mut seen = 0;
                    let mut visit = |index: usize, item: Option<Item<'_>>| {
                        seen += 1;
                        if let Some(item) = item {
                            assert_eq!(item.value.as_slice(), Some(&names[index][..]));
                        }
                    };
                    store.get_many(&keys, now(&store), Read::Plain, &mut visit);
                    assert_eq!(seen, KEYS);
                })
            });
            for key in 0..KEYS {
                set(&store, &[key], &[key]);
            }
            store.tick(now(&store), 1000);
            assert_eq!(store.counters().items, u64::from(KEYS));
            for reader in readers {
                reader.join().expect("no panic");
            }
        },
        SCHEDULES,
    );
}

#[test]
fn every_event_is_in_a_watchers_buffer_or_counted_as_lost() {
    shuttle::check_random(
        || {
            // Room for a few lines.
            let watchers = Arc::new(Watchers::new(200, Clock::system()));
            let keeping = watchers.subscribe(Classes::DELETIONS).expect("there is room");
            let tellers = [0, 1].map(|_| {
                let watchers = Arc::clone(&watchers);
                thread::spawn(move || {
                    let event = Event::Deleted {
                        key: b"key",
                        command: "delete",
                        len: 1,
                    };
                    for _ in 0..3 {
                        watchers.tell(&event);
                    }
                })
            });
            // One comes and goes meanwhile.
            drop(watchers.subscribe(Classes::DELETIONS));
            for teller in tellers {
                teller.join().expect("no panic");
            }
            let counts = watchers.counts();
            assert_eq!((counts.watchers, counts.events), (1, 6));
            assert!(counts.sent + counts.skipped >= 6, "{counts:?}");
            drop(keeping);
            assert!(!watchers.wants(Classes::DELETIONS), "the last has gone");
        },
        SCHEDULES,
    );
}
