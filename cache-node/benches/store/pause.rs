//! The longest pause: CPU time of single operations while the store is full.

use cache_node::store::{Read, Store, StoreConfig};

use crate::support::{START, key_of, run_anew, set, thread_nanos};

/// Counts by nanoseconds, in steps of an eighth of a power of two.
struct Histogram {
    counts: Vec<u64>,
    max: u64,
}

impl Histogram {
    fn new() -> Self {
        Self {
            counts: vec![0; 64 * 8],
            max: 0,
        }
    }

    fn record(&mut self, nanos: u64) {
        let nanos = nanos.max(8);
        let power = nanos.ilog2();
        self.counts[(power * 8) as usize + (nanos >> (power - 3) & 7) as usize] += 1;
        self.max = self.max.max(nanos);
    }

    /// One line per doubling that has anything in it.
    fn print(&self) {
        for (power, counts) in self.counts.chunks(8).enumerate() {
            let count: u64 = counts.iter().sum();
            if count > 0 {
                let from = (1_u64 << power) as f64 / 1000.0;
                println!("    {from:>9.3} to {:>9.3} us {count:>10}", from * 2.0);
            }
        }
    }

    fn quantile(&self, share: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let mut seen = 0;
        for (step, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen as f64 >= total as f64 * share {
                return (1_u64 << (step / 8)) as f64 * (1.0 + (step % 8 + 1) as f64 / 8.0) / 1000.0;
            }
        }
        self.max as f64 / 1000.0
    }
}

/// The longest that a pause may be: one in ten thousand operations, and ever.
const BAR_P9999_MICROS: f64 = 50.0;
const BAR_MAX_MICROS: f64 = 1000.0;

/// Measures with segments of every size that a configuration may name, each in a process of its own.
pub(crate) fn measure_all(items: &str) {
    for shift in 12..=22 {
        let segment_bytes = 1 << shift;
        println!("segments of {} KiB", segment_bytes >> 10);
        print!("{}", run_anew(&["pause", items, &segment_bytes.to_string()]));
    }
}

/// Fills a store, watching the index grow, then evicts and overwrites, and prints the time of one operation.
pub(crate) fn measure(items: usize, segment_bytes: Option<usize>) {
    let items = items as u64;
    let value = [b'v'; 150];
    let memory_limit_bytes = items * 160;
    let config = StoreConfig {
        memory_limit_bytes,
        segment_bytes,
        threads: 1,
        ..StoreConfig::default()
    };
    let store = Store::new(config, START);
    let now = store.seconds(START);
    println!(
        "microseconds of CPU per operation; the clock itself takes {:.2}",
        clock_cost()
    );
    println!("phase          count     p50     p99     p99.9   p99.99  p99.999 max");
    let mut number = 0;
    let mut phase = |name: &str, count: u64, operation: &mut dyn FnMut(&Store, u64)| {
        let mut histogram = Histogram::new();
        for _ in 0..count {
            number += 1;
            let before = thread_nanos();
            operation(&store, number);
            histogram.record(thread_nanos() - before);
        }
        print!("{name:<14} {count:<9}");
        for share in [0.5, 0.99, 0.999, 0.9999, 0.99999] {
            print!(" {:<7.2}", histogram.quantile(share));
        }
        let max = histogram.max as f64 / 1000.0;
        let kept = histogram.quantile(0.9999) <= BAR_P9999_MICROS && max <= BAR_MAX_MICROS;
        println!(" {max:.1}{}", if kept { "" } else { "  MISSED" });
        histogram.print();
    };
    let len_of = |number: u64| 50 + (number.wrapping_mul(0x9e37_79b9) >> 7) as usize % 100;
    phase("filling", items, &mut |store, number| {
        set(
            store,
            store.lookup(&key_of(number)),
            &value[..len_of(number)],
            now,
        );
    });
    phase("evicting", items / 2, &mut |store, number| {
        set(
            store,
            store.lookup(&key_of(number)),
            &value[..len_of(number)],
            now,
        );
    });
    phase("overwriting", items / 2, &mut |store, number| {
        let scrambled = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let key = key_of(number - scrambled % (items * 9 / 10));
        if scrambled % 4 == 0 {
            set(store, store.lookup(&key), &value[..len_of(scrambled)], now);
        } else {
            store.get(store.lookup(&key), now, Read::Plain, |item| item.is_some());
        }
    });
    println!("{:?}", store.counters());
}

fn clock_cost() -> f64 {
    let before = thread_nanos();
    for _ in 0..1000 {
        thread_nanos();
    }
    (thread_nanos() - before) as f64 / 1_000_000.0
}
