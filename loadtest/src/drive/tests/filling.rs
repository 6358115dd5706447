//! How a miss is filled: who asks the backing store, how often, and what is read meanwhile.

use std::time::Duration;

use super::{
    MS, a_thousand_a_second, backend, begin, client_that, evenly, get, keys, replay, run_dry, setup,
};
use crate::drive::lookaside::{Lookaside, Pace};
use crate::scenario::{BackendSpec, Distribution, Fill, Retries};
use crate::workload::seed::stream;
use crate::workload::trace::{Op, Row};

/// A thousand requests a second for one key that is not there, a backing store that takes 100 ms.
fn herd(fill: Fill) -> crate::measure::outcome::Totals {
    let space = keys(2);
    let pace = || a_thousand_a_second(10_000);
    let slow = BackendSpec {
        latency: Distribution::Fixed(0.1),
        ..backend()
    };
    let core = client_that(fill, &slow, evenly(1, &space), space, pace());
    let (mut bench, mut fakes) = begin(core, pace(), u64::MAX);
    for tick in 0..10_000 {
        let now = tick * MS / 10;
        for (line, bytes) in bench.pump(now).iter().enumerate() {
            let reply = fakes[line].answer(bytes);
            bench.hear(line, &reply, now);
        }
    }
    *bench.core.recorder.totals()
}

#[test]
fn of_a_herd_one_client_asks_the_backing_store_under_a_lease_and_all_without() {
    let leased = herd(Fill::Lease);
    assert_eq!(
        (leased.backend_reads, leased.misses, leased.fills, leased.errors),
        (1, 1, 1, 0)
    );
    assert!(leased.hits > 890 && leased.coalesced > 100, "{leased:?}");
    let plain = herd(Fill::Lookaside);
    // 1 + rate x fetch time.
    assert!(plain.backend_reads.abs_diff(101) <= 2, "{}", plain.backend_reads);
}

/// Reads and errors of 1,000 misses of a backing store that fails each.
fn retried(max: u8, budget: Option<f64>) -> (u64, u64) {
    let space = keys(1_000);
    let rows: Vec<Row> = (0..1_000).map(|key| get(key, &space)).collect();
    let failing = BackendSpec {
        fail: 1.0,
        ..backend()
    };
    let mut setup = setup(
        Fill::Lookaside,
        &failing,
        replay(&rows),
        space,
        Pace::Closed { window: 4 },
    );
    setup.retries = Retries {
        max,
        backoff: Duration::from_millis(1),
        budget,
    };
    let core = Lookaside::new(setup);
    let (mut bench, mut fakes) = begin(core, Pace::Closed { window: 4 }, u64::MAX);
    let mut now = 0;
    while !bench.core.idle() {
        assert!(now < 60_000 * MS, "never at rest");
        now += MS;
        for (line, bytes) in bench.pump(now).iter().enumerate() {
            let reply = fakes[line].answer(bytes);
            bench.hear(line, &reply, now);
        }
    }
    let totals = bench.core.recorder.totals();
    (totals.backend_reads, totals.errors)
}

#[test]
fn who_asks_again_multiplies_the_load_unless_it_has_a_budget() {
    assert_eq!(retried(0, None), (1_000, 1_000));
    assert_eq!(
        retried(2, None),
        (3_000, 1_000),
        "each three times, and then an error"
    );
    let (reads, errors) = retried(2, Some(0.1));
    assert!((1_095..=1_100).contains(&reads), "a tenth on top: {reads}");
    assert_eq!(errors, 1_000);
}

#[test]
fn however_a_miss_is_filled_nothing_read_is_stale_and_nothing_is_lost() {
    let space = keys(20);
    let mut random = stream(5, "test", 0);
    let rows: Vec<Row> = (0..4_000)
        .map(|_| {
            let op = match rand::RngExt::random_range(&mut random, 0..10) {
                0 => Op::Set,
                1 => Op::Delete,
                _ => Op::Get,
            };
            Row {
                op,
                ..get(rand::RngExt::random_range(&mut random, 0..20), &space)
            }
        })
        .collect();
    for fill in [Fill::Lookaside, Fill::Lease, Fill::WriteThrough, Fill::Versioned] {
        for window in [1, 7] {
            let pace = || Pace::Closed { window };
            let core = client_that(fill, &backend(), replay(&rows), space.clone(), pace());
            let (mut bench, mut fakes) = begin(core, pace(), u64::MAX);
            let mut now = 0;
            while !bench.core.idle() {
                now = run_dry(&mut bench, &mut fakes, now) + 20 * MS;
            }
            let totals = bench.core.recorder.totals();
            let told = format!("{fill:?}, window {window}: {totals:?}");
            assert_eq!(
                (totals.stale_reads, totals.mismatches, totals.errors),
                (0, 0, 0),
                "{told}"
            );
            assert_eq!(totals.hits + totals.misses, totals.gets, "{told}");
            assert_eq!(totals.misses_by_reason.misses(), totals.misses, "{told}");
            assert_eq!(totals.sets + totals.deletes + totals.gets, 4_000, "{told}");
            let versioned = fakes[0].items.keys().any(|key| key.contains(&b':'));
            assert_eq!(versioned, fill == Fill::Versioned, "{told}");
        }
    }
}
