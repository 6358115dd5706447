//! The cores against servers that exist only as maps, in a time that only the test moves.

mod fake;
mod filling;
mod pacing;
mod reasons;

use std::sync::Arc;
use std::time::Duration;

use self::fake::Fake;
use super::backing_store::BackingStore;
use super::lookaside::{Lookaside, Map, Pace, Setup};
use super::shell::testing::Bench;
use super::source::Source;
use crate::measure::recorder::Recorder;
use crate::scenario::{Arrival, BackendSpec, Distribution, Fill, Mix, QueueOrder, Retries};
use crate::workload::arrival::Schedule;
use crate::workload::keyspace::KeySpace;
use crate::workload::popularity::Popularity;
use crate::workload::seed::stream;
use crate::workload::trace::{Op, Row};

const MS: u64 = 1_000_000;

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

/// One key as likely as the other, and nothing but gets.
fn evenly(popular: u32, keys: &KeySpace) -> Source {
    Source::Drawn {
        popularity: Popularity::uniform(u64::from(popular), 1),
        mix: Mix {
            get: 1.0,
            set: 0.0,
            delete: 0.0,
        },
        random: stream(1, "requests", 0),
        keys: Arc::new(keys.clone()),
        lone: None,
    }
}

fn a_thousand_a_second(max_in_flight: usize) -> Pace {
    let arrivals = stream(1, "arrivals", 0);
    Pace::Open {
        schedule: Box::new(Schedule::new(Arrival::Constant, 1000.0, 0, arrivals)),
        max_in_flight,
    }
}

/// The client and three servers, before the first request; it goes on until `mark` have been issued.
fn begin(mut core: Lookaside, pace: Pace, mark: u64) -> (Bench<Lookaside>, [Fake; 3]) {
    core.start(pace, 0);
    core.set_mark(mark);
    (
        Bench::new(core, 3),
        [Fake::default(), Fake::default(), Fake::default()],
    )
}
