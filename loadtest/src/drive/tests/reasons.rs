//! What every hit and miss is counted as, and that a server that lies is caught.

use std::sync::Arc;

use super::{Fake, begin, client, get, keys, replay, run_dry};
use crate::drive::lookaside::{Change, Pace};
use crate::workload::popularity::Popularity;
use crate::workload::seed::stream;
use crate::workload::trace::{Op, Row};

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
        let core = client(replay(&rows), space.clone(), Pace::Closed { window });
        let (mut bench, mut fakes) = begin(core, Pace::Closed { window }, u64::MAX);
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
    let core = client(replay(&rows), space, Pace::Closed { window: 8 });
    let (mut bench, mut fakes) = begin(core, Pace::Closed { window: 8 }, 100);
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
    let core = client(replay(&rows), space.clone(), Pace::Closed { window: 1 });
    let (mut bench, mut fakes) = begin(core, Pace::Closed { window: 1 }, u64::MAX);
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
    let core = client(
        replay(&[row(1, Op::Set), row(1, Op::Get)]),
        space.clone(),
        Pace::Closed { window: 1 },
    );
    let (mut bench, _) = begin(core, Pace::Closed { window: 1 }, 1);
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
    let core = client(replay(&rows), space, Pace::Closed { window: 1 });
    let (mut bench, mut fakes) = begin(core, Pace::Closed { window: 1 }, 10);
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
    let core = client(replay(&rows), space, Pace::Closed { window: 8 });
    let (mut bench, mut fakes) = begin(core, Pace::Closed { window: 8 }, 200);
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

#[test]
fn a_delete_that_did_not_reach_the_copy_is_told_apart_from_an_old_value() {
    let space = keys(2);
    let row = |op| Row { op, ..get(0, &space) };
    let rows = [row(Op::Set), row(Op::Delete), row(Op::Get)];
    let core = client(replay(&rows), space.clone(), Pace::Closed { window: 1 });
    let (mut bench, mut fakes) = begin(core, Pace::Closed { window: 1 }, 1);
    run_dry(&mut bench, &mut fakes, 0);
    let copy = fakes[0].items.clone();
    bench.core.set_mark(2);
    run_dry(&mut bench, &mut fakes, 0);
    fakes[0].items = copy;
    bench.core.set_mark(u64::MAX);
    run_dry(&mut bench, &mut fakes, 0);
    let totals = bench.core.recorder.totals();
    assert_eq!((totals.hits, totals.stale_reads, totals.lost_deletes), (1, 1, 1));
}
