//! When requests start: a server that stands still, and more arrivals than may be under way.

use super::{Fake, MS, a_thousand_a_second, begin, client, evenly, keys};
use crate::drive::hammer::{Hammer, KeyOrder, Lens, Plan, Task};
use crate::drive::shell::testing::Bench;
use crate::scenario::Arrival;
use crate::workload::arrival::Schedule;
use crate::workload::seed::stream;

/// One connection, 1,000 requests a second, a server that answers at once but stands still for the second second.
fn frozen(core: Hammer) -> Hammer {
    let mut bench = Bench::new(core, 1);
    let mut fake = Fake::default();
    let mut unanswered = Vec::new();
    for tick in 0..=40_000_u64 {
        let now = tick * MS / 10;
        unanswered.extend_from_slice(&bench.pump(now)[0]);
        if !(1000 * MS..2000 * MS).contains(&now) && !unanswered.is_empty() {
            let reply = fake.answer(&std::mem::take(&mut unanswered));
            bench.hear(0, &reply, now);
        }
    }
    bench.core
}

fn hammer() -> Hammer {
    let plan = Plan {
        key_prefix: b"k".to_vec(),
        key_len: Lens::Fixed(8),
        keys: 0..100,
        value_len: Lens::Fixed(10),
        gets: KeyOrder::Sequential,
        sets: KeyOrder::Sequential,
        set_share: 0.0,
        multiget: 1,
        pipeline: 1,
        stream: false,
        expiry: 0..0,
    };
    let versions = (0..100).map(|_| std::sync::atomic::AtomicU32::new(0)).collect();
    Hammer::new(plan, stream(1, "bench keys", 0), vec![versions])
}

#[test]
fn an_open_loop_tells_what_users_waited_while_a_closed_loop_omits_it() {
    let mut open = hammer();
    let schedule = Schedule::new(Arrival::Constant, 1000.0, 0, stream(1, "arrivals", 0));
    open.start(
        0,
        0..1,
        Task::Open {
            until: 3000 * MS,
            schedule: Box::new(schedule),
            max_in_flight: 10_000,
        },
    );
    let open = frozen(open);
    assert_eq!((open.tally.requests, open.tally.dropped), (3000, 0));
    let response = open.tally.get_latency.response.percentiles();
    let waited = |percentiles: &crate::measure::outcome::Percentiles, us| {
        percentiles
            .buckets
            .iter()
            .filter(|(at, _)| *at > us)
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    // The thousand who came while it stood still waited half a second each, in the mean.
    assert!(
        waited(&response, 5_000).abs_diff(995) <= 5,
        "{}",
        waited(&response, 5_000)
    );
    assert!(
        (response.mean_us - 1e6 / 6.0).abs() < 3_000.0,
        "{}",
        response.mean_us
    );
    assert!(response.max_us.abs_diff(1_000_000) < 2_000, "{}", response.max_us);

    let mut closed = hammer();
    closed.start(
        0,
        0..1,
        Task::Closed {
            until: 3000 * MS,
            left: u64::MAX,
        },
    );
    let closed = frozen(closed);
    let response = closed.tally.get_latency.response.percentiles();
    assert_eq!(
        waited(&response, 5_000),
        1,
        "one request stood for all who would have come"
    );
}

#[test]
fn arrivals_beyond_the_limit_are_dropped_and_counted() {
    let space = keys(10);
    let pace = || a_thousand_a_second(10);
    let core = client(evenly(10, &space), space, pace());
    let (mut bench, _) = begin(core, pace(), u64::MAX);
    // Nobody answers for 50 ms: 51 arrivals (the first at once), 10 sent.
    bench.pump(50 * MS);
    let totals = bench.core.recorder.totals();
    assert_eq!((totals.offered, totals.dropped, totals.gets), (51, 41, 10));
    assert_eq!(bench.core.in_flight(), 10);
}
