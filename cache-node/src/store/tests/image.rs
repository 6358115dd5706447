//! A store that goes on from its image is the store it was. The model test restarts, too; here is what it cannot see.

use std::io::{Cursor, Read as _};

use protocol::UnixSeconds;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{START, get, later, now, observe, set, set_until, settle};
use crate::store::image::{Head, Malformed, Misfit};
use crate::store::{Read, Store, StoreConfig};

/// A store as bytes: its head, and tables and frames of each shard.
pub(super) struct Image {
    head: Head,
    shards: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Misfit(Misfit),
    Malformed(Malformed),
    TooShort,
}

impl From<Misfit> for Refused {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit(misfit)
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

pub(super) fn image(store: &Store) -> Image {
    let head = store.head(0);
    let shards = (0..store.shards()).map(|number| {
        let image = store.take_shard(number);
        let (tables, mut frames) = (image.tables.clone(), Vec::new());
        let mut end = 0;
        let file_bytes = image.leave(|at, piece| {
            assert!(at >= end, "in order");
            end = at + piece.len() as u64;
            frames.extend_from_slice(piece);
            Ok(())
        });
        assert!(end <= file_bytes.unwrap());
        (tables, frames)
    });
    Image {
        head,
        shards: shards.collect(),
    }
}

pub(super) fn restore(image: &Image, config: &StoreConfig, at: UnixSeconds) -> Result<Store, Refused> {
    Store::from_image(&image.head, config, at, |number, reader| {
        let (tables, frames) = &image.shards[number];
        let mut shard = reader.read_tables::<Refused>(tables, None)?;
        let mut input = Cursor::new(frames);
        shard
            .enter(|_at, piece| input.read_exact(piece))
            .map_err(|_ended| Refused::TooShort)?;
        assert_eq!(input.position(), frames.len() as u64, "all of it is read");
        assert_eq!(shard.frames_bytes(), frames.len() as u64);
        Ok(shard)
    })
}

fn config(memory_limit_bytes: u64) -> StoreConfig {
    StoreConfig {
        memory_limit_bytes,
        threads: 1,
        ..StoreConfig::default()
    }
}

/// A full store: items of all sizes, evictions, half-emptied segments, a flush to come.
fn busy_store(config: &StoreConfig, seed: u64) -> Store {
    let store = Store::new(config.clone(), START);
    let now = now(&store);
    let mut rng = SmallRng::seed_from_u64(seed);
    for n in 0..60_000_u32 {
        let len = match rng.random_range(0..1000) {
            0..3 => rng.random_range(20_000..200_000),
            3..100 => rng.random_range(300..5000),
            _ => rng.random_range(0..300),
        };
        let expires = rng
            .random_ratio(1, 3)
            .then(|| later(now, rng.random_range(1..2000)));
        set_until(&store, &n.to_le_bytes(), &vec![b'v'; len], expires, now).unwrap();
        get(&store, &rng.random_range(0..=n).to_le_bytes(), now);
    }
    store.flush(later(now, 5000), now);
    assert!(store.counters().evicted > 1000);
    store
}

#[test]
fn every_gauge_is_what_it_was_and_every_item_has_its_value_cas_unique_and_expiry() {
    let config = config(16 << 20);
    let store = busy_store(&config, 1);
    let at = now(&store);
    let look = |store: &Store| {
        let look_at = |n: u32| {
            store.get(store.lookup(&n.to_le_bytes()), at, Read::PeekWithCas, |item| {
                item.map(|item| {
                    (
                        item.cas(),
                        item.expires,
                        item.fetched,
                        item.last_access,
                        item.value.len(),
                    )
                })
            })
        };
        (0..60_000).map(look_at).collect::<Vec<_>>()
    };
    let (before, gauges) = (look(&store), store.counters());
    let after = restore(&image(&store), &config, START).unwrap_or_else(|refused| panic!("{refused:?}"));
    let restored = after.counters();
    assert_eq!(
        [
            restored.items,
            restored.item_bytes,
            restored.index_bytes,
            restored.ghost_bytes,
            restored.large_bytes
        ],
        [
            gauges.items,
            gauges.item_bytes,
            gauges.index_bytes,
            gauges.ghost_bytes,
            gauges.large_bytes
        ],
    );
    assert_eq!(restored.used_bytes, gauges.used_bytes);
    assert_eq!(look(&after), before);
    // The flush to come still comes.
    assert!(before.iter().flatten().count() > 1000);
    assert_eq!(after.counters().flushed, 0);
    settle(&after, later(at, 5000));
    assert_eq!(after.counters().items, 0);
}

#[test]
fn ghosts_and_standing_survive() {
    let config = config(4 << 20);
    let store = Store::new(config.clone(), START);
    let at = now(&store);
    let hot: Vec<String> = (0..500).map(|n| format!("hot{n}")).collect();
    for key in &hot {
        set(&store, key.as_bytes(), &[b'h'; 100], at).unwrap();
        get(&store, key.as_bytes(), at);
    }
    for n in 0..60_000 {
        set(&store, format!("cold{n}").as_bytes(), &[b'c'; 100], at).unwrap();
    }
    let gone: Vec<String> = (0..60_000)
        .rev()
        .map(|n| format!("cold{n}"))
        .filter(|key| observe(&store, key.as_bytes(), at).is_none())
        .take(300)
        .collect();
    let after = restore(&image(&store), &config, START).unwrap_or_else(|refused| panic!("{refused:?}"));
    for key in &gone {
        set(&after, key.as_bytes(), &[b'c'; 100], at).unwrap();
    }
    assert!(after.counters().ghost_hits > 200, "{:?}", after.counters());
    for n in 0..30_000 {
        set(&after, format!("more{n}").as_bytes(), &[b'm'; 100], at).unwrap();
        get(&after, hot[n % hot.len()].as_bytes(), at);
    }
    assert!(hot.iter().all(|key| get(&after, key.as_bytes(), at).is_some()));
}

#[test]
fn what_expired_meanwhile_is_gone_and_what_did_not_is_not() {
    let config = config(4 << 20);
    let store = Store::new(config.clone(), START);
    let at = now(&store);
    for n in 0..2000_u32 {
        let expires = Some(later(at, if n % 2 == 0 { 50 } else { 5000 }));
        set_until(&store, &n.to_le_bytes(), &[b'v'; 100], expires, at).unwrap();
    }
    let next = UnixSeconds(START.0 + 60);
    let after = restore(&image(&store), &config, next).unwrap_or_else(|refused| panic!("{refused:?}"));
    let then = after.seconds(next);
    assert!((0..2000_u32).all(|n| get(&after, &n.to_le_bytes(), then).is_some() == (n % 2 == 1)));
    settle(&after, then);
    assert_eq!(after.counters().items, 1000);
}

#[test]
fn more_memory_is_used_and_too_little_is_refused() {
    let store = busy_store(&config(16 << 20), 2);
    let image = image(&store);
    let more = restore(&image, &config(64 << 20), START).unwrap_or_else(|refused| panic!("{refused:?}"));
    let now = now(&more);
    let held = more.counters().items;
    for n in 0..100_000_u32 {
        set(&more, format!("new{n}").as_bytes(), &[b'n'; 100], now).unwrap();
    }
    assert!(more.counters().items > held + 90_000, "nothing had to go");
    let refused = restore(&image, &config(4 << 20), START).err();
    assert!(
        matches!(
            refused,
            Some(Refused::Misfit(Misfit::TooLarge | Misfit::Geometry { .. }))
        ),
        "{refused:?}"
    );
}

#[test]
fn another_item_size_another_hash_and_too_old_an_epoch_are_refused() {
    let given = config(4 << 20);
    let mut image = image(&Store::new(given.clone(), START));
    let refused = |image: &Image, config: &StoreConfig, at| match restore(image, config, at) {
        Err(Refused::Misfit(misfit)) => misfit,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("taken"),
    };
    let other = StoreConfig {
        item_size_max_bytes: 2 << 20,
        ..given.clone()
    };
    assert!(matches!(refused(&image, &other, START), Misfit::ItemSize { .. }));
    let late = UnixSeconds(START.0 + 5 * 365 * 86_400);
    assert_eq!(refused(&image, &given, late), Misfit::Age);
    image.head.hash_check ^= 1;
    assert_eq!(refused(&image, &given, START), Misfit::Hashing);
}

#[test]
fn tables_that_make_no_sense_are_refused_without_a_panic() {
    let config = config(4 << 20);
    let store = Store::new(config.clone(), START);
    let at = now(&store);
    for n in 0..3000_u32 {
        set(&store, &n.to_le_bytes(), &[b'v'; 100], at).unwrap();
    }
    set(&store, b"large", &[b'v'; 100_000], at).unwrap();
    let image = image(&store);
    let mut rng = SmallRng::seed_from_u64(5);
    let mut refused = 0;
    for _ in 0..300 {
        let mut broken = Image {
            head: image.head.clone(),
            shards: image.shards.clone(),
        };
        let tables = &mut broken.shards[0].0;
        if rng.random_ratio(1, 3) {
            tables.truncate(rng.random_range(0..tables.len()));
        } else {
            let at = rng.random_range(0..tables.len());
            tables[at] ^= rng.random_range(1..=255);
        }
        let restored = std::panic::catch_unwind(|| {
            Store::from_image(&broken.head, &config, START, |number, reader| {
                reader.read_tables::<Refused>(&broken.shards[number].0, None)
            })
            .is_err()
        });
        refused += u32::from(restored.expect("no panic"));
    }
    // A changed checksum tells what nonsense does not: a cas base or a hash may be any number.
    assert!(refused > 150, "{refused}");
}
