//! What the store costs and what it is worth: bytes per item, CPU per operation, the longest pause, hit rates beside
//! memcached's at equal memory. `cargo bench -p cache-node --bench store -- COMMAND`; figures and how to read them are
//! in docs/store.md.

#![expect(
    clippy::cast_possible_truncation,
    reason = "figures to be read, from numbers known to be small"
)]

mod hits;
mod memory;
mod pause;
mod speed;
mod support;
mod threads;
mod workload;

const USAGE: &str = "\
store memory              bytes of memory per item, above key and value; memory when full and churning
store speed [ITEMS]       CPU time per operation
store threads [ITEMS]     CPU time per operation of one thread, and of two at a time
store pause [ITEMS [SEGMENT_BYTES|all]]
                          histogram of one operation's time, filling, evicting and overwriting
store count OPERATION     runs one operation often, to be counted by callgrind
store hits WORKLOAD MB..  hit rate at a budget of resident memory, beside memcached if that is installed, or the one
                          that MEMCACHED names;
                          workloads: zipf80 zipf99 zipf120 wonders drift overwrite overwrite60 ttl trace:FILE;
                          a million keys each, or as many as is said: zipf99x4";

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["memory"] => memory::compare(),
        ["memory-of", items, value_len] => memory::overhead(number(items), number(value_len)),
        ["memory-full", kind, megabytes] => memory::full(kind, number(megabytes)),
        ["speed"] => speed::measure(1_000_000),
        ["speed", items] => speed::measure(number(items)),
        ["threads"] => threads::measure(1_000_000),
        ["threads", items] => threads::measure(number(items)),
        ["pause"] => pause::measure(10_000_000, None),
        ["pause", items] => pause::measure(number(items), None),
        ["pause", items, "all"] => pause::measure_all(items),
        ["pause", items, segment_bytes] => pause::measure(number(items), Some(number(segment_bytes))),
        ["count", operation] => speed::count(operation),
        ["hits", workload, ref budgets @ ..] => hits::compare(workload, budgets),
        ["hits-of", workload, limit_bytes] => hits::ours(workload, number(limit_bytes) as u64),
        // `cargo test --benches` runs benches too; there is nothing to test here.
        _ => println!("{USAGE}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}
