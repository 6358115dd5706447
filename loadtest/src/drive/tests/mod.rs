//! The cores against servers that exist only as maps, in a time that only the test moves.

mod filling;
mod pacing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::backing_store::BackingStore;
use super::lookaside::{Change, Lookaside, Map, Pace, Setup};
use super::shell::testing::Bench;
use super::source::Source;
use crate::measure::recorder::Recorder;
use crate::scenario::{BackendSpec, Distribution, Fill, QueueOrder, Retries};
use crate::workload::keyspace::KeySpace;
use crate::workload::popularity::Popularity;
use crate::workload::seed::stream;
use crate::workload::trace::{Op, Row};

const MS: u64 = 1_000_000;

/// A memcached of a few lines.
#[derive(Default)]
struct Fake {
    items: HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
    /// Keys whose filler has been chosen.
    leases: HashMap<Vec<u8>, u64>,
    next_cas: u64,
}

impl Fake {
    /// Answers every whole request in `bytes`.
    fn answer(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
            let line = &bytes[..end];
            bytes = &bytes[end + 2..];
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            match words[0] {
                b"get" => {
                    for key in &words[1..] {
                        if let Some((flags, data)) = self.items.get(*key) {
                            let flags = String::from_utf8_lossy(flags);
                            let key = String::from_utf8_lossy(key);
                            out.extend(format!("VALUE {key} {flags} {}\r\n", data.len()).bytes());
                            out.extend_from_slice(data);
                            out.extend_from_slice(b"\r\n");
                        }
                    }
                    out.extend_from_slice(b"END\r\n");
                }
                b"set" => {
                    let len: usize = String::from_utf8_lossy(words[4]).parse().unwrap();
                    self.items
                        .insert(words[1].to_vec(), (words[2].to_vec(), bytes[..len].to_vec()));
                    bytes = &bytes[len + 2..];
                    out.extend_from_slice(b"STORED\r\n");
                }
                b"mg" => match self.items.get(words[1]) {
                    Some((flags, data)) => {
                        let flags = String::from_utf8_lossy(flags);
                        out.extend(format!("VA {} f{flags} c1\r\n", data.len()).bytes());
                        out.extend_from_slice(data);
                        out.extend_from_slice(b"\r\n");
                    }
                    None if self.leases.contains_key(words[1]) => {
                        out.extend_from_slice(b"VA 0 f0 c1 Z\r\n\r\n");
                    }
                    None => {
                        self.next_cas += 1;
                        self.leases.insert(words[1].to_vec(), self.next_cas);
                        out.extend(format!("VA 0 f0 c{} W\r\n\r\n", self.next_cas).bytes());
                    }
                },
                b"ms" => {
                    let of = |letter: u8| {
                        words
                            .iter()
                            .find(|word| word[0] == letter)
                            .map(|word| word[1..].to_vec())
                    };
                    let len: usize = String::from_utf8_lossy(words[2]).parse().unwrap();
                    let cas: u64 = String::from_utf8_lossy(&of(b'C').unwrap()).parse().unwrap();
                    let good = self.leases.get(words[1]) == Some(&cas);
                    if good {
                        self.leases.remove(words[1]);
                        self.items
                            .insert(words[1].to_vec(), (of(b'F').unwrap(), bytes[..len].to_vec()));
                    }
                    bytes = &bytes[len + 2..];
                    out.extend_from_slice(if good { b"HD\r\n" } else { b"NF\r\n" });
                }
                b"delete" => {
                    self.leases.remove(words[1]);
                    let found = self.items.remove(words[1]).is_some();
                    out.extend_from_slice(if found { b"DELETED\r\n" } else { b"NOT_FOUND\r\n" });
                }
                other => panic!("{}", other.escape_ascii()),
            }
        }
        out
    }
}

fn backend() -> BackendSpec {
    BackendSpec {
        capacity: 0.0,
        latency: Distribution::Fixed(0.0),
        queue_max: 0,
        queue_order: QueueOrder::Fifo,
        cancel: false,
        scatter: 1,
        timeout: Duration::from_secs(1),
        late_fill: false,
        fail: 0.0,
    }
}

/// A look-aside client of two nodes without a router; even keys live on node 0.
fn client(source: Source, keys: KeySpace, pace: Pace) -> Lookaside {
    client_that(Fill::Lookaside, &backend(), source, keys, pace)
}

fn client_that(fill: Fill, backend: &BackendSpec, source: Source, keys: KeySpace, pace: Pace) -> Lookaside {
    Lookaside::new(setup(fill, backend, source, keys, pace))
}

fn setup(fill: Fill, backend: &BackendSpec, source: Source, keys: KeySpace, pace: Pace) -> Setup {
    let owners = (0..keys.len())
        .map(|key| u16::try_from(key % 2).unwrap())
        .collect();
    Setup {
        source,
        keys: Arc::new(keys),
        map: Map {
            lines: vec![0..1, 1..2, 2..3],
            ..Map::new(owners, 3, false)
        },
        pace,
        fill,
        ttl: None,
        multiget: 1,
        lens_fixed: true,
        backing: BackingStore::new(backend, stream(1, "backing store", 0)),
        patience: 1000 * MS,
        lone_from: u32::MAX,
        recorder: Recorder::new(1000),
        random: stream(1, "ttl", 0),
        retries: Retries {
            max: 0,
            backoff: Duration::ZERO,
            budget: None,
        },
    }
}

fn keys(count: u32) -> KeySpace {
    let lens = Distribution::Uniform { min: 0.0, max: 100.0 };
    KeySpace::numbered(count, &Distribution::Fixed(6.0), &lens, 1)
}

/// Drives a closed loop to its end: each turn the servers answer everything that was sent.
fn run_dry(bench: &mut Bench<Lookaside>, fakes: &mut [Fake], mut now: u64) -> u64 {
    for _ in 0..1_000_000 {
        let sent = bench.pump(now);
        now += MS / 10;
        if sent.iter().all(Vec::is_empty) {
            return now;
        }
        for (line, bytes) in sent.iter().enumerate() {
            let reply = fakes[line].answer(bytes);
            bench.hear(line, &reply, now);
        }
    }
    panic!("never at rest");
}

fn replay(rows: &[Row]) -> Source {
    Source::Replay {
        rows: rows.into(),
        position: 0,
        repeat: false,
    }
}

fn get(key: u32, keys: &KeySpace) -> Row {
    Row {
        at_ms: 0,
        key,
        value_len: keys.value_len(key),
        op: Op::Get,
        ttl_seconds: None,
    }
}

#[test]
fn however_many_requests_overlap_each_key_misses_once() {
    let space = keys(500);
    let popularity = Popularity::zipf(500, 1.0, 3).unwrap();
    let mut random = stream(3, "test", 0);
    let rows: Vec<Row> = (0..20_000)
        .map(|_| get(u32::try_from(popularity.draw(&mut random)).unwrap(), &space))
        .collect();
    let distinct = rows
        .iter()
        .map(|row| row.key)
        .collect::<std::collections::HashSet<_>>()
        .len() as u64;
    for window in [1, 16, 256] {
        let mut core = client(replay(&rows), space.clone(), Pace::Closed { window });
        core.start(Pace::Closed { window }, 0);
        core.set_mark(u64::MAX);
        let mut bench = Bench::new(core, 3);
        let mut fakes = [Fake::default(), Fake::default(), Fake::default()];
        run_dry(&mut bench, &mut fakes, 0);
        let totals = bench.core.recorder.totals();
        assert_eq!(
            (totals.gets, totals.misses, totals.fills),
            (20_000, distinct, distinct),
            "window {window}"
        );
        assert_eq!(
            (totals.hits, totals.verified),
            (20_000 - distinct, 20_000 - distinct)
        );
        assert_eq!((totals.mismatches, totals.stale_reads, totals.errors), (0, 0, 0));
        assert_eq!(totals.misses_by_reason.compulsory, distinct);
        assert!(bench.core.idle());
    }
}

#[test]
fn every_miss_after_a_change_has_its_reason() {
    let space = keys(100);
    let rows: Vec<Row> = (0..3)
        .flat_map(|_| (0..100).map(|key| get(key, &space)))
        .collect();
    let mut core = client(replay(&rows), space, Pace::Closed { window: 8 });
    core.start(Pace::Closed { window: 8 }, 0);
    core.set_mark(100);
    let mut bench = Bench::new(core, 3);
    let mut fakes = [Fake::default(), Fake::default(), Fake::default()];
    let now = run_dry(&mut bench, &mut fakes, 0);
    assert!(bench.core.at_mark());
    // A third node takes every fourth key (all from node 0); node 1 loses its memory.
    let owners: Arc<[u16]> = (0..100)
        .map(|key| if key % 4 == 0 { 2 } else { key % 2 })
        .collect();
    let affected = (0..100).map(|key| key % 4 == 0 || key % 2 == 1).collect();
    fakes[1] = Fake::default();
    bench.core.apply(
        &Change {
            owners,
            lost: vec![1],
            affected,
            mixture: None,
        },
        now,
    );
    bench.core.set_mark(u64::MAX);
    run_dry(&mut bench, &mut fakes, now);
    let totals = bench.core.recorder.totals();
    let reasons = totals.misses_by_reason;
    assert_eq!(
        (
            reasons.compulsory,
            reasons.remapped,
            reasons.node_cold,
            reasons.evicted
        ),
        (100, 25, 50, 0)
    );
    assert_eq!(reasons.misses(), totals.misses);
    let (affected, unaffected) = bench.core.recorder.sides(0);
    assert_eq!((affected.hits, affected.misses), (75, 75));
    assert_eq!((unaffected.hits, unaffected.misses), (50, 0));
}

#[test]
fn deletes_writes_and_evictions_are_told_apart() {
    let space = keys(4);
    let row = |key, op| Row {
        op,
        ..get(key, &space)
    };
    let rows = [
        row(0, Op::Set),
        row(0, Op::Get),
        row(0, Op::Delete),
        row(0, Op::Get),
        row(2, Op::Get),
    ];
    let mut core = client(replay(&rows), space.clone(), Pace::Closed { window: 1 });
    core.start(Pace::Closed { window: 1 }, 0);
    core.set_mark(u64::MAX);
    let mut bench = Bench::new(core, 3);
    let mut fakes = [Fake::default(), Fake::default(), Fake::default()];
    run_dry(&mut bench, &mut fakes, 0);
    let totals = *bench.core.recorder.totals();
    assert_eq!(
        (totals.sets, totals.deletes, totals.hits, totals.fills),
        (1, 1, 1, 2)
    );
    assert_eq!(
        (
            totals.misses_by_reason.invalidated,
            totals.misses_by_reason.compulsory
        ),
        (1, 1)
    );
    // Gone without anybody's order: for space.
    let mut core = client(
        replay(&[row(1, Op::Set), row(1, Op::Get)]),
        space.clone(),
        Pace::Closed { window: 1 },
    );
    core.start(Pace::Closed { window: 1 }, 0);
    core.set_mark(1);
    let mut bench = Bench::new(core, 3);
    run_dry(&mut bench, &mut fakes, 0);
    fakes[1].items.clear();
    bench.core.set_mark(u64::MAX);
    run_dry(&mut bench, &mut fakes, 0);
    assert_eq!(bench.core.recorder.totals().misses_by_reason.evicted, 1);
}

#[test]
fn a_lying_server_is_caught_at_every_hit() {
    let space = keys(10);
    let warm: Vec<Row> = (0..10)
        .map(|key| Row {
            op: Op::Set,
            ..get(key, &space)
        })
        .collect();
    let again: Vec<Row> = (0..10).map(|key| get(key, &space)).collect();
    let rows: Vec<Row> = [warm.clone(), warm, again].concat();
    let mut core = client(replay(&rows), space, Pace::Closed { window: 1 });
    core.start(Pace::Closed { window: 1 }, 0);
    core.set_mark(10);
    let mut bench = Bench::new(core, 3);
    let mut fakes = [Fake::default(), Fake::default(), Fake::default()];
    run_dry(&mut bench, &mut fakes, 0);
    let old = fakes[0].items.get(&b"k00002"[..]).cloned().unwrap();
    bench.core.set_mark(20);
    run_dry(&mut bench, &mut fakes, 0);
    // The value from before the second write: stale. Another key's value: a mismatch. One bit: a mismatch.
    fakes[0].items.insert(b"k00002".to_vec(), old);
    let other = fakes[0].items.get(&b"k00006"[..]).cloned().unwrap();
    fakes[0].items.insert(b"k00004".to_vec(), other);
    let flipped = &mut fakes[1].items.get_mut(&b"k00005"[..]).unwrap().1;
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    bench.core.set_mark(u64::MAX);
    run_dry(&mut bench, &mut fakes, 0);
    let totals = bench.core.recorder.totals();
    assert_eq!((totals.hits, totals.verified), (10, 10));
    assert_eq!((totals.mismatches, totals.stale_reads), (2, 1));
    assert_eq!(bench.core.mismatches.len(), 2);
}

#[test]
fn a_node_that_is_gone_costs_errors_and_backing_store_reads_but_no_wrong_counts() {
    let space = keys(100);
    let rows: Vec<Row> = (0..3)
        .flat_map(|_| (0..100).map(|key| get(key, &space)))
        .collect();
    let mut core = client(replay(&rows), space, Pace::Closed { window: 8 });
    core.start(Pace::Closed { window: 8 }, 0);
    core.set_mark(200);
    let mut bench = Bench::new(core, 3);
    let mut fakes = [Fake::default(), Fake::default(), Fake::default()];
    let mut now = run_dry(&mut bench, &mut fakes, 0);
    bench.cut(1, now);
    bench.core.set_mark(u64::MAX);
    while !bench.core.idle() {
        now = run_dry(&mut bench, &mut fakes, now);
    }
    let totals = bench.core.recorder.totals();
    assert_eq!(
        (totals.gets, totals.hits, totals.misses, totals.errors),
        (300, 150, 100, 50)
    );
    assert_eq!(totals.misses_by_reason.error, 50);
    assert_eq!(totals.backend_reads, 150);
}
