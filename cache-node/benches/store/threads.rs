//! What a second thread costs the first: CPU time per operation on one store, alone and side by side.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use cache_node::store::{Store, StoreConfig};

use crate::speed::get;
use crate::support::{START, key_of, scattered, set, thread_nanos};

const OPERATIONS: u64 = 1_000_000;
const ROUNDS: usize = 7;

/// Prints nanoseconds of CPU per operation for one thread and for two at a time, medians of neighbouring rounds.
pub(crate) fn measure(items: usize) {
    let items = items as u64;
    let store = Store::new(
        StoreConfig {
            memory_limit_bytes: 4 << 30,
            threads: 2,
            ..StoreConfig::default()
        },
        START,
    );
    let now = store.seconds(START);
    let value = [b'v'; 100];
    for number in 0..items {
        set(&store, store.lookup(&key_of(number)), &value, now);
    }
    println!("{items} items of 32 + 100 bytes, a store made for two threads");
    let get_hit = |number| {
        assert_eq!(get(&store, store.lookup(&key_of(number)), now), 100);
    };
    let overwrite = |number| set(&store, store.lookup(&key_of(number)), &value, now);
    let harness = |number| {
        black_box(store.lookup(&key_of(number)).hash);
    };
    compare("harness alone", items, &harness);
    compare("get hit", items, &get_hit);
    compare("overwrite", items, &overwrite);
}

fn compare(name: &str, items: u64, operation: &(impl Fn(u64) + Sync)) {
    let mut rounds: Vec<(u64, u64)> = (0..ROUNDS)
        .map(|_round| {
            (
                side_by_side(1, items, operation),
                side_by_side(2, items, operation),
            )
        })
        .collect();
    rounds.sort_unstable_by(|(a, b), (c, d)| (b * c).cmp(&(d * a)));
    let (alone, together) = rounds[ROUNDS / 2];
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds, to be read")]
    let ratio = together as f64 / alone as f64;
    println!("{name:<16} {alone:>6} ns  two threads {together:>6} ns  {ratio:.2}x");
}

/// Nanoseconds of CPU per operation, so many threads working on all items at once, each in an order of its own.
fn side_by_side(threads: u64, items: u64, operation: &(impl Fn(u64) + Sync)) -> u64 {
    let start = Barrier::new(usize::try_from(threads).expect("one or two"));
    let work = &|thread: u64| {
        start.wait();
        let before = thread_nanos();
        for n in thread * OPERATIONS..(thread + 1) * OPERATIONS {
            operation(scattered(n, items));
        }
        thread_nanos() - before
    };
    let nanos: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("an operation does not panic"))
            .sum()
    });
    nanos / (threads * OPERATIONS)
}
