//! What one placement costs: `cargo bench -p cluster`. Informs and gates nothing; `docs/hashing.md` quotes it.
//!
//! CPU time of this thread, not wall time, the best of many short rounds: neighbours on the machine matter little.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use cluster::{Placement, Server, Topology, Weight};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: u32 = 30;
/// More keys than a branch predictor remembers.
const KEYS: u32 = 1 << 16;

/// Keys of 33 bytes.
fn keys() -> Vec<String> {
    (0..u64::from(KEYS))
        .map(|key| format!("user:{:028}", key.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect()
}

/// CPU time of this thread in nanoseconds.
fn cpu_time_ns() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn placement(hash: &str, servers: u32, weight: fn(u32) -> f64) -> Placement {
    let servers = (0..servers).map(|index| {
        Server::weighted(
            format!("10.0.0.{index}:11211"),
            Weight::new(weight(index)).unwrap(),
        )
    });
    Placement::new(&Topology::new(hash.parse().unwrap(), servers)).unwrap()
}

fn measure(keys: &[String], label: &str, servers: u32, placement: &Placement) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = cpu_time_ns();
            for key in keys {
                black_box(placement.owner(black_box(key.as_bytes())));
            }
            cpu_time_ns() - start
        })
        .min()
        .unwrap();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds in nanoseconds")]
    let per_key = best as f64 / f64::from(KEYS);
    println!("{label:<32} {servers:>4} servers {per_key:>8.1} ns");
}

fn main() {
    // Cargo passes `--bench`; a word of one's own picks the schemes whose label contains it.
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let keys = keys();
    let run = |label: &str, hash: &str, servers: u32, weight: fn(u32) -> f64| {
        if label.contains(&only) {
            measure(&keys, label, servers, &placement(hash, servers, weight));
        }
    };
    for servers in [4, 16, 64, 256] {
        run("rendezvous", "rendezvous", servers, |_| 1.0);
        run("rendezvous, weighted", "rendezvous", servers, |index| {
            f64::from(index % 3 + 1)
        });
    }
    for servers in [16, 256] {
        run("ring", "ring", servers, |_| 1.0);
    }
    for hash in [
        "jump",
        "modulo",
        "modulo-twemproxy",
        "ketama",
        "ketama-libmemcached",
        "ketama-twemproxy",
        "ketama-twemproxy:murmur",
        "Ch3",
        "WeightedCh3",
        "Crc32",
        "mcrouter-rendezvous",
        "mcrouter-weighted-rendezvous",
    ] {
        run(hash, hash, 16, |_| 1.0);
    }
}
