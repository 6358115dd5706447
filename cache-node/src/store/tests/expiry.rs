//! Expiry and flushes: gone at their second, not before, and their memory comes back by itself.

use super::{delete, get, later, now, set, set_until, settle, store};
use crate::store::{Change, Patch, Read, Seconds};

#[test]
fn an_item_is_gone_at_its_second_and_not_before() {
    let store = store(4 << 20);
    let now = now(&store);
    set_until(&store, b"key", b"value", Some(later(now, 10)), now).unwrap();
    assert!(get(&store, b"key", later(now, 9)).is_some());
    assert_eq!(get(&store, b"key", later(now, 10)), None);
    assert_eq!((store.counters().get_expired, store.counters().items), (1, 0));
    assert!(!delete(&store, b"key", later(now, 10)));
}

#[test]
fn an_expiry_that_is_not_in_the_future_means_at_once() {
    let store = store(4 << 20);
    let now = now(&store);
    for expires in [now, Seconds(0), Seconds(1)] {
        set(&store, b"key", b"old", now).unwrap();
        set_until(&store, b"key", b"new", Some(expires), now).unwrap();
        assert_eq!(get(&store, b"key", now), None, "{expires:?}");
    }
}

#[test]
fn whole_segments_of_expired_items_are_freed_without_evicting_others() {
    let store = store(4 << 20);
    let now = now(&store);
    for n in 0..3000 {
        set(&store, format!("stays{n}").as_bytes(), &[b's'; 200], now).unwrap();
        set_until(
            &store,
            format!("goes{n}").as_bytes(),
            &[b'g'; 400],
            Some(later(now, 50)),
            now,
        )
        .unwrap();
    }
    let full = store.counters();
    let then = later(now, 50);
    settle(&store, then);
    let counters = store.counters();
    assert_eq!(
        (counters.items, counters.expired, counters.expired_unfetched),
        (3000, 3000, 3000)
    );
    assert_eq!(
        (counters.evicted, counters.moved),
        (0, 0),
        "nothing else was looked at"
    );
    assert!(counters.segment_bytes < full.segment_bytes / 2);
    assert!((0..3000).all(|n| get(&store, format!("stays{n}").as_bytes(), then).is_some()));
}

#[test]
fn a_touched_item_outlives_the_segment_it_was_stored_in() {
    let store = store(4 << 20);
    let now = now(&store);
    for n in 0..500 {
        set_until(
            &store,
            format!("{n}").as_bytes(),
            &[b'v'; 100],
            Some(later(now, 30)),
            now,
        )
        .unwrap();
    }
    let patch = Patch {
        expires: Some(Some(later(now, 1000))),
        fetched: Some(true),
        ..Patch::default()
    };
    store
        .update(store.lookup(b"7"), now, Read::Plain, b"", |_| {
            (Change::Patch(patch), ())
        })
        .unwrap();
    settle(&store, later(now, 31));
    assert_eq!(get(&store, b"6", later(now, 31)), None);
    assert!(get(&store, b"7", later(now, 999)).is_some());
    assert_eq!(get(&store, b"7", later(now, 1000)), None);
}

#[test]
fn a_flush_takes_all_stored_before_it_and_nothing_stored_after_it_in_the_same_second() {
    let store = store(4 << 20);
    let now = now(&store);
    for n in 0..2000 {
        set(&store, format!("old{n}").as_bytes(), &[b'o'; 300], now).unwrap();
    }
    store.flush(now, now);
    for n in 0..2000 {
        set(&store, format!("new{n}").as_bytes(), b"new", now).unwrap();
    }
    set(&store, b"old7", b"again", now).unwrap();
    assert_eq!(get(&store, b"old7", now).as_deref(), Some(&b"again"[..]));
    assert_eq!(get(&store, b"old8", now), None);
    settle(&store, later(now, 1));
    let counters = store.counters();
    assert_eq!(
        (counters.items, counters.flushed, counters.evicted),
        (2001, 2000, 0)
    );
    assert!((0..2000).all(|n| get(&store, format!("new{n}").as_bytes(), now).is_some()));
    assert!(
        counters.segment_bytes < 300_000,
        "the memory of the old ones is back: {counters:?}"
    );
}

#[test]
fn a_flush_to_come_is_replaced_by_a_later_one() {
    let store = store(4 << 20);
    let now = now(&store);
    set(&store, b"key", b"value", now).unwrap();
    store.flush(later(now, 10), now);
    store.flush(later(now, 20), now);
    assert!(get(&store, b"key", later(now, 19)).is_some());
    set(&store, b"late", b"value", later(now, 19)).unwrap();
    assert_eq!(
        get(&store, b"late", later(now, 20)),
        None,
        "stored before the moment came"
    );
    set(&store, b"key", b"value", later(now, 20)).unwrap();
    assert!(get(&store, b"key", later(now, 30)).is_some());
}

#[test]
fn the_last_access_is_that_before_the_visit() {
    let store = store(4 << 20);
    let now = now(&store);
    let lookup = store.lookup(b"key");
    let visit = |at: Seconds, read| {
        store.get(lookup, at, read, |item| {
            item.map(|item| (item.last_access, item.fetched))
        })
    };
    set(&store, b"key", b"value", now).unwrap();
    assert_eq!(visit(later(now, 5), Read::Peek), Some((now, false)));
    assert_eq!(visit(later(now, 6), Read::Plain), Some((now, false)));
    assert_eq!(visit(later(now, 9), Read::Peek), Some((later(now, 6), true)));
}
