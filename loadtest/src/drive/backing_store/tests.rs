//! Who waits how long, and who is served.

use std::time::Duration;

use super::Answer::{self, Failed, Found, GaveUp, Late, Refused};
use super::BackingStore;
use crate::scenario::{BackendSpec, Distribution, QueueOrder};
use crate::workload::seed::stream;

const MS: u64 = 1_000_000;

/// Takes 5 ms for an answer; clients wait so long.
fn spec(capacity: f64, timeout_ms: u64) -> BackendSpec {
    BackendSpec {
        capacity,
        latency: Distribution::Fixed(0.005),
        queue_max: 0,
        queue_order: QueueOrder::Fifo,
        timeout: Duration::from_millis(timeout_ms),
        late_fill: false,
        cancel: false,
        scatter: 1,
        fail: 0.0,
    }
}

fn store(spec: &BackendSpec) -> BackingStore<u32> {
    BackingStore::new(spec, stream(1, "backend", 0))
}

/// So many ask at the same moment.
fn asked_by(askers: u32, spec: &BackendSpec) -> BackingStore<u32> {
    let mut store = store(spec);
    (0..askers).for_each(|asker| store.ask(0, asker));
    store
}

fn all(store: &mut BackingStore<u32>) -> Vec<(u32, Answer)> {
    let mut heard = Vec::new();
    while let Some(at) = store.next_at() {
        heard.extend(std::iter::from_fn(|| store.answered(at)));
    }
    heard
}

#[test]
fn idle_it_takes_its_service_time_and_overloaded_it_keeps_its_capacity() {
    let mut store = asked_by(2000, &spec(1000.0, 10_000));
    assert_eq!(store.queue(), 1999, "one has its turn");
    let mut answered = 0;
    for ms in 1..=1005 {
        while let Some((asker, answer)) = store.answered(ms * MS) {
            assert_eq!((asker, answer), (answered, Found));
            answered += 1;
        }
    }
    // 1,000 a second, each 5 ms after its turn came.
    assert!((1000..=1001).contains(&answered), "{answered}");
    assert!((993..=995).contains(&store.queue()), "{}", store.queue());
}

#[test]
fn who_gives_up_leaves_the_query_in_the_queue() {
    for late_fill in [false, true] {
        let mut store = asked_by(
            4,
            &BackendSpec {
                late_fill,
                ..spec(10.0, 150)
            },
        );
        let mut expected = vec![(0, Found), (1, Found), (2, GaveUp), (3, GaveUp)];
        store.answered(0);
        let mut heard: Vec<_> = std::iter::from_fn(|| store.answered(160 * MS)).collect();
        assert_eq!(heard, expected);
        assert_eq!(store.queue(), 2, "the queue does not shrink because nobody waits");
        heard.extend(all(&mut store));
        if late_fill {
            expected.extend([(2, Late), (3, Late)]);
        }
        assert_eq!(heard, expected);
        assert_eq!(store.queue(), 0);
        store.ask(1_000 * MS, 9);
        assert_eq!(store.answered(1_005 * MS), Some((9, Found)), "idle again");
    }
}

#[test]
fn who_gives_up_may_take_the_query_back() {
    let cancel = BackendSpec {
        cancel: true,
        ..spec(10.0, 150)
    };
    let mut store = asked_by(4, &cancel);
    let heard: Vec<_> = std::iter::from_fn(|| store.answered(160 * MS)).collect();
    assert_eq!(heard, [(0, Found), (1, Found), (2, GaveUp), (3, GaveUp)]);
    assert_eq!(store.queue(), 0, "no turn is wasted on them");
    store.ask(210 * MS, 9);
    assert_eq!(store.answered(215 * MS), Some((9, Found)));
}

#[test]
fn the_last_who_came_may_be_the_first_to_be_served() {
    let lifo = BackendSpec {
        queue_order: QueueOrder::Lifo,
        ..spec(10.0, 350)
    };
    let mut store = asked_by(5, &lifo);
    // The first found it idle; of those who wait, the newest still has somebody waiting for it.
    assert_eq!(
        all(&mut store),
        [(0, Found), (4, Found), (3, Found), (2, Found), (1, GaveUp)]
    );
    let mut store = asked_by(3, &lifo);
    assert_eq!(store.answered(5 * MS), Some((0, Found)));
    store.ask(50 * MS, 7);
    assert_eq!(
        store.answered(105 * MS),
        Some((7, Found)),
        "before who came earlier"
    );
}

#[test]
fn a_read_of_several_queries_has_its_answer_with_the_last_of_them() {
    let scattered = BackendSpec {
        scatter: 3,
        ..spec(10.0, 1_000)
    };
    let mut store = asked_by(1, &scattered);
    assert_eq!(store.answered(204 * MS), None, "two of three");
    assert_eq!(store.answered(205 * MS), Some((0, Found)));
    let narrow = BackendSpec {
        queue_max: 1,
        ..scattered.clone()
    };
    assert_eq!(all(&mut asked_by(1, &narrow)), [(0, Refused)], "one had no room");
    let short = BackendSpec {
        timeout: Duration::from_millis(150),
        late_fill: true,
        ..scattered
    };
    assert_eq!(all(&mut asked_by(1, &short)), [(0, GaveUp), (0, Late)]);
}

#[test]
fn a_change_holds_for_whoever_has_its_turn_from_then_on() {
    let mut store = asked_by(101, &spec(1000.0, 9_000));
    store.change(0, Some(10.0), Some(&Distribution::Fixed(0.0)), Some(1.0));
    assert_eq!(store.queue(), 100, "who waits goes on waiting");
    assert_eq!(store.capacity(), Some(10.0));
    assert_eq!(
        store.answered(5 * MS),
        Some((1, Failed)),
        "its turn came in the old order"
    );
    assert_eq!(store.answered(5 * MS), Some((0, Found)), "it had its turn before");
    assert_eq!(store.answered(100 * MS), None);
    assert_eq!(store.answered(101 * MS), Some((2, Failed)));
    store.change(200 * MS, Some(0.0), None, Some(0.0));
    assert_eq!(store.queue(), 0, "no limit, no queue");
    assert_eq!(all(&mut store).len(), 98);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let bounded = BackendSpec {
        queue_max: 2,
        ..spec(10.0, 1000)
    };
    let mut store = store(&bounded);
    (0..4).for_each(|asker| store.ask(7, asker));
    assert_eq!(
        store.answered(7),
        Some((3, Refused)),
        "one has its turn, two wait"
    );
    assert_eq!(store.answered(7), None);
}

#[test]
fn without_a_capacity_there_is_no_queue() {
    let mut store = asked_by(
        100,
        &BackendSpec {
            queue_max: 1,
            ..spec(0.0, 1000)
        },
    );
    assert_eq!(store.next_at(), Some(5 * MS));
    let answered = std::iter::from_fn(|| store.answered(5 * MS)).count();
    assert_eq!(answered, 100);
}
