//! Bytes per item, and whether the limit holds.

use std::hint::black_box;

use crate::support::{START, key_of, resident_bytes, run_anew, set, store};

/// Prints the overhead of several sizes and the memory of full stores, each in a process of its own.
pub(crate) fn compare() {
    println!("items      value  bytes of memory per item above key and value");
    for (items, value_len) in [
        ("1000000", "100"),
        ("5000000", "100"),
        ("1000000", "1024"),
        ("200000", "10000"),
    ] {
        print!("{}", run_anew(&["memory-of", items, value_len]));
    }
    println!("\nload       limit MiB  growth MiB above the limit, at the worst moment");
    for kind in ["small", "mixed", "large", "shrinking", "growing"] {
        for megabytes in ["4", "64", "256"] {
            print!("{}", run_anew(&["memory-full", kind, megabytes]));
        }
    }
}

/// Growth of the process per item.
pub(crate) fn overhead(items: usize, value_len: usize) {
    let value = vec![b'v'; value_len];
    let store = store(16 << 30);
    let now = store.seconds(START);
    let before = resident_bytes("self");
    for number in 0..items as u64 {
        set(&store, store.lookup(&key_of(number)), &value, now);
    }
    let growth = resident_bytes("self") - before;
    assert_eq!(store.counters().items, items as u64);
    let payload = items * (32 + value_len);
    let per_item = (growth as f64 - payload as f64) / items as f64;
    println!("{items:<10} {value_len:<6} {per_item:.1}");
    black_box(store);
}

/// Fills a store several times over and looks at the process again and again.
pub(crate) fn full(kind: &str, megabytes: usize) {
    let limit = (megabytes as u64) << 20;
    let largest = vec![b'v'; 1 << 20];
    let store = store(limit);
    let now = store.seconds(START);
    let before = resident_bytes("self");
    let (mut written, mut worst, mut number) = (0, 0, 0_u64);
    let total = limit * 8;
    let mut checked = 0;
    while written < total {
        number += 1;
        let scrambled = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let large = scrambled as usize % (700 << 10) + (20 << 10);
        let len = match kind {
            "small" => 20 + scrambled as usize % 200,
            "mixed" if number % 500 == 0 => large,
            "mixed" => 20 + scrambled as usize % 2000,
            "large" => large,
            // First the many small, then the few large, and the other way round.
            "shrinking" if written < total / 2 => 4000,
            "growing" if written > total / 2 => 4000,
            _ => 10,
        };
        // Every third write is to a key used lately.
        let key = if number % 3 == 0 {
            number - scrambled % 1000
        } else {
            number
        };
        set(
            &store,
            store.lookup(&key_of(key)),
            &largest[..len.min(limit as usize / 8)],
            now,
        );
        written += len as u64 + 32;
        if written - checked > limit / 16 {
            checked = written;
            worst = worst.max(resident_bytes("self") - before);
        }
    }
    let above = (worst as f64 - limit as f64) / f64::from(1 << 20);
    println!("{kind:<10} {megabytes:<10} {above:+.2}");
    black_box(store);
}
