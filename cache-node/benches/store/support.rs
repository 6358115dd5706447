//! Clocks and memory, as the system counts them.

use std::process::Command;
use std::time::Instant;

use cache_node::store::{Change, Lookup, NewItem, Read, Seconds, Store, StoreConfig};
use protocol::UnixSeconds;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds this thread has been on a processor: other processes do not count.
pub(crate) fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// A stopwatch's start.
#[expect(clippy::disallowed_methods, reason = "what is measured here is time itself")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Bytes of memory of a process that are resident.
pub(crate) fn resident_bytes(process: &str) -> u64 {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(&path).expect("the kernel tells the memory of a process");
    let line = text
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .expect("a line for the resident size");
    line.split_whitespace()
        .nth(1)
        .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
        .expect("a number")
        * 1024
}

/// Runs this program anew with these arguments, so that memory starts from nothing. Answers what it printed.
pub(crate) fn run_anew(arguments: &[&str]) -> String {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("it can be started again");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("it prints text")
}

/// The item that operation `n` is about: an order that no prefetcher follows.
pub(crate) fn scattered(n: u64, items: u64) -> u64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % items
}

pub(crate) const START: UnixSeconds = UnixSeconds(1_760_000_000);

/// A store with a limit, for one thread.
pub(crate) fn store(memory_limit_bytes: u64) -> Store {
    Store::new(
        StoreConfig {
            memory_limit_bytes,
            threads: 1,
            ..StoreConfig::default()
        },
        START,
    )
}

/// A key of 32 bytes.
pub(crate) fn key_of(number: u64) -> [u8; 32] {
    let mut key = *b"key:0000000000000000:benchmarks.";
    let mut rest = number;
    for digit in key[4..20].iter_mut().rev() {
        *digit = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
    key
}

pub(crate) fn set(store: &Store, key: Lookup<'_>, value: &[u8], now: Seconds) {
    set_until(store, key, value, None, now);
}

pub(crate) fn set_until(
    store: &Store,
    key: Lookup<'_>,
    value: &[u8],
    expires: Option<Seconds>,
    now: Seconds,
) {
    let stored = store.update(key, now, Read::Plain, value, |_| {
        (
            Change::Put(NewItem {
                expires,
                ..NewItem::new(value)
            }),
            (),
        )
    });
    stored.expect("there is room, or something is evicted");
}
