//! The longest pause: time of single operations while the store is full.

use cache_node::store::{Read, Store, StoreConfig};

use crate::support::{START, instant, key_of, run_anew, set};

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
/// Times that the same operations are done. What the store does to one of them it does each time; what the machine
/// does (interrupts, a hypervisor, neighbours in the caches) hits another one each time. So the least time of an
/// operation over the rounds is the store's.
const ROUNDS: usize = 3;
/// The seeds of the store's hasher, the same in each round.
const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Measures with segments of every size that a configuration may name, each in a process of its own.
pub(crate) fn measure_all(items: &str) {
    for shift in 12..=22 {
        let segment_bytes = 1 << shift;
        println!("segments of {} KiB", segment_bytes >> 10);
        print!("{}", run_anew(&["pause", items, &segment_bytes.to_string()]));
    }
}

/// Operations of one kind, and the nanoseconds that each took, by its place.
struct Phase {
    name: &'static str,
    nanos: Vec<u32>,
}

/// Fills a store, watching the index grow, then evicts and overwrites, all of it [`ROUNDS`] times, and prints the time
/// of one operation: in a single round, and the least of all rounds.
pub(crate) fn measure(items: usize, segment_bytes: Option<usize>) {
    println!(
        "microseconds per operation; the clock itself takes {:.2}",
        clock_cost()
    );
    println!("phase        of        count     p50     p99     p99.9   p99.99  p99.999 max");
    let mut least = one_round(items as u64, segment_bytes);
    for phase in &least {
        print(phase, "one round", false);
    }
    for _ in 1..ROUNDS {
        for (least, again) in least.iter_mut().zip(one_round(items as u64, segment_bytes)) {
            for (least, nanos) in least.nanos.iter_mut().zip(again.nanos) {
                *least = nanos.min(*least);
            }
        }
    }
    for phase in &least {
        print(phase, "the least", true);
    }
}

fn one_round(items: u64, segment_bytes: Option<usize>) -> [Phase; 3] {
    let value = [b'v'; 150];
    let config = StoreConfig {
        memory_limit_bytes: items * 160,
        segment_bytes,
        threads: 1,
        ..StoreConfig::default()
    };
    let store = Store::with_seeds(&config, START, SEEDS);
    let now = store.seconds(START);
    let mut number = 0;
    let mut phase = |name, count: u64, operation: &mut dyn FnMut(u64)| {
        let mut nanos = Vec::with_capacity(count as usize);
        for _ in 0..count {
            number += 1;
            let before = instant();
            operation(number);
            nanos.push(u32::try_from(before.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        Phase { name, nanos }
    };
    let len_of = |number: u64| 50 + (number.wrapping_mul(0x9e37_79b9) >> 7) as usize % 100;
    let mut put = |number: u64| {
        set(
            &store,
            store.lookup(&key_of(number)),
            &value[..len_of(number)],
            now,
        );
    };
    let filling = phase("filling", items, &mut put);
    let evicting = phase("evicting", items / 2, &mut put);
    let overwriting = phase("overwriting", items / 2, &mut |number| {
        let scrambled = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let key = key_of(number - scrambled % (items * 9 / 10));
        if scrambled.is_multiple_of(4) {
            set(&store, store.lookup(&key), &value[..len_of(scrambled)], now);
        } else {
            store.get(store.lookup(&key), now, Read::Plain, |item| item.is_some());
        }
    });
    [filling, evicting, overwriting]
}

/// One line; with `judged`, held to the bars and followed by the histogram.
fn print(phase: &Phase, of: &str, judged: bool) {
    let mut histogram = Histogram::new();
    phase
        .nanos
        .iter()
        .for_each(|&nanos| histogram.record(u64::from(nanos)));
    print!("{:<12} {of} {:<9}", phase.name, phase.nanos.len());
    for share in [0.5, 0.99, 0.999, 0.9999, 0.99999] {
        print!(" {:<7.2}", histogram.quantile(share));
    }
    let max = histogram.max as f64 / 1000.0;
    let kept = histogram.quantile(0.9999) <= BAR_P9999_MICROS && max <= BAR_MAX_MICROS;
    println!(" {max:.1}{}", if judged && !kept { "  MISSED" } else { "" });
    if judged {
        histogram.print();
    }
}

fn clock_cost() -> f64 {
    let before = instant();
    for _ in 0..1000 {
        std::hint::black_box(instant());
    }
    before.elapsed().as_nanos() as f64 / 1_000_000.0
}
