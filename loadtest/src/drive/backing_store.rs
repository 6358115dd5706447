//! The store behind the cache, simulated: one queue, a capacity, a service time. Overload it and answers come late;
//! a client that gives up leaves its query in the queue, where it still costs its share.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt;

use crate::scenario::{BackendSpec, Distribution};
use crate::workload::arrival::Nanos;
use crate::workload::seed::Random;
use crate::workload::sizes;

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// In time.
    Found,
    /// The client had given up by now; the answer is still to come, and useful if late answers fill.
    GaveUp,
    /// The answer, after the client gave up.
    Late,
    /// Refused: the queue was full.
    Refused,
    /// It answered with an error.
    Failed,
}

/// A simulated store; `T` is who asks.
#[derive(Debug)]
pub struct BackingStore<T> {
    /// Nanoseconds between completions at full load; 0 is unlimited.
    gap: f64,
    latency: Distribution,
    queue_max: usize,
    timeout: Nanos,
    late_fill: bool,
    /// Share of the reads that fail, after the time a good answer takes.
    fail: f64,
    random: Random,
    /// When the server is free for one more.
    free_at: f64,
    pending: BinaryHeap<Reverse<Pending<T>>>,
    order: u64,
}

#[derive(Debug)]
struct Pending<T> {
    at: Nanos,
    order: u64,
    answer: Answer,
    asker: T,
}

impl<T> PartialEq for Pending<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<T> Eq for Pending<T> {}

impl<T> PartialOrd for Pending<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Pending<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<T: Copy> BackingStore<T> {
    #[must_use]
    pub fn new(spec: &BackendSpec, random: Random) -> Self {
        Self {
            gap: gap(spec.capacity),
            latency: spec.latency.clone(),
            queue_max: spec.queue_max,
            timeout: super::shell::nanos(spec.timeout),
            late_fill: spec.late_fill,
            fail: spec.fail,
            random,
            free_at: 0.0,
            pending: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Another capacity, service time or share of failures for whoever asks from `now` on; who waits already is answered
    /// when that was due, and the queue is as long as it was.
    pub fn change(
        &mut self,
        now: Nanos,
        capacity: Option<f64>,
        latency: Option<&Distribution>,
        fail: Option<f64>,
    ) {
        if let Some(capacity) = capacity {
            let waiting = self.queue(now) as f64;
            self.gap = gap(capacity);
            self.free_at = now as f64 + waiting * self.gap;
        }
        if let Some(latency) = latency {
            self.latency.clone_from(latency);
        }
        self.fail = fail.unwrap_or(self.fail);
    }

    /// A query arrives at `now`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "floats saturate; times are positive"
    )]
    pub fn ask(&mut self, now: Nanos, asker: T) {
        if self.queue_max > 0 && self.queue(now) >= self.queue_max as u64 {
            self.push(now, Answer::Refused, asker);
            return;
        }
        let start = self.free_at.max(now as f64);
        self.free_at = start + self.gap;
        let service = sizes::draw(&self.latency, &mut self.random).max(0.0) * 1e9;
        let done = (start + service) as Nanos;
        let deadline = now.saturating_add(self.timeout);
        if done <= deadline {
            let failed = self.fail > 0.0 && self.random.random_bool(self.fail);
            self.push(done, if failed { Answer::Failed } else { Answer::Found }, asker);
        } else {
            self.push(deadline, Answer::GaveUp, asker);
            if self.late_fill {
                self.push(done, Answer::Late, asker);
            }
        }
    }

    fn push(&mut self, at: Nanos, answer: Answer, asker: T) {
        self.order += 1;
        self.pending.push(Reverse(Pending {
            at,
            order: self.order,
            answer,
            asker,
        }));
    }

    /// The next answer that has come by `now`.
    pub fn answered(&mut self, now: Nanos) -> Option<(T, Answer)> {
        if self.pending.peek()?.0.at > now {
            return None;
        }
        self.pending
            .pop()
            .map(|Reverse(pending)| (pending.asker, pending.answer))
    }

    /// Queries per second; `None` is unlimited.
    #[must_use]
    pub fn capacity(&self) -> Option<f64> {
        (self.gap > 0.0).then(|| 1e9 / self.gap)
    }

    /// When the next answer comes.
    #[must_use]
    pub fn next_at(&self) -> Option<Nanos> {
        self.pending.peek().map(|pending| pending.0.at)
    }

    /// Queries waiting for their turn at `now`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "floats saturate"
    )]
    pub fn queue(&self, now: Nanos) -> u64 {
        if self.gap == 0.0 {
            0
        } else {
            ((self.free_at - now as f64) / self.gap).max(0.0) as u64
        }
    }
}

/// Nanoseconds between completions; 0 is unlimited.
fn gap(capacity: f64) -> f64 {
    if capacity > 0.0 { 1e9 / capacity } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, BackingStore};
    use crate::scenario::{BackendSpec, Distribution};
    use crate::workload::seed::stream;

    fn store(capacity: f64, queue_max: usize, timeout_ms: u64, late_fill: bool) -> BackingStore<u32> {
        let spec = BackendSpec {
            capacity,
            latency: Distribution::Fixed(0.005),
            queue_max,
            timeout: Duration::from_millis(timeout_ms),
            late_fill,
            fail: 0.0,
        };
        BackingStore::new(&spec, stream(1, "backend", 0))
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn idle_it_takes_its_service_time_and_overloaded_it_keeps_its_capacity() {
        let mut store = store(1000.0, 0, 10_000, false);
        for asker in 0..2000 {
            store.ask(0, asker);
        }
        assert_eq!(store.queue(0), 2000);
        let mut answered = 0;
        for ms in 1..=1005 {
            while let Some((asker, answer)) = store.answered(ms * MS) {
                assert_eq!((asker, answer), (answered, Answer::Found));
                answered += 1;
            }
        }
        // 1,000 a second, each 5 ms after its turn came.
        assert!((1000..=1001).contains(&answered), "{answered}");
        assert_eq!(store.queue(1000 * MS), 1000);
    }

    #[test]
    fn who_gives_up_leaves_the_query_in_the_queue() {
        for late_fill in [false, true] {
            let mut store = store(10.0, 0, 150, late_fill);
            for asker in 0..4 {
                store.ask(0, asker);
            }
            let mut heard = Vec::new();
            while let Some(answer) = store.answered(u64::MAX) {
                heard.push(answer);
            }
            use Answer::{Found, GaveUp, Late};
            let mut expected = vec![(0, Found), (1, Found), (2, GaveUp), (3, GaveUp)];
            if late_fill {
                expected.extend([(2, Late), (3, Late)]);
            }
            assert_eq!(heard, expected);
            assert_eq!(
                store.queue(0),
                4,
                "the queue does not shrink because nobody waits"
            );
        }
    }

    #[test]
    fn a_change_holds_for_reads_asked_from_then_on() {
        let mut store = store(1000.0, 0, 9_000, false);
        for asker in 0..100 {
            store.ask(0, asker);
        }
        store.change(0, Some(10.0), Some(&Distribution::Fixed(0.0)), Some(1.0));
        assert_eq!(store.queue(0), 100, "who waits goes on waiting");
        assert_eq!(store.capacity(), Some(10.0));
        store.ask(0, 100);
        let last = std::iter::from_fn(|| store.answered(u64::MAX)).last();
        assert_eq!(
            last,
            Some((100, Answer::GaveUp)),
            "ten seconds of queue before it"
        );
        store.ask(20_000 * MS, 101);
        assert_eq!(store.answered(20_000 * MS), Some((101, Answer::Failed)));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let mut store = store(10.0, 2, 1000, false);
        for asker in 0..3 {
            store.ask(7, asker);
        }
        assert_eq!(store.answered(7), Some((2, Answer::Refused)));
        assert_eq!(store.answered(7), None);
    }

    #[test]
    fn without_a_capacity_there_is_no_queue() {
        let mut store = store(0.0, 1, 1000, false);
        for asker in 0..100 {
            store.ask(0, asker);
        }
        assert_eq!(store.next_at(), Some(5 * MS));
        let answered = std::iter::from_fn(|| store.answered(5 * MS)).count();
        assert_eq!(answered, 100);
    }
}
