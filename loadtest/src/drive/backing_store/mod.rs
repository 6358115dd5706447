//! The store behind the cache, simulated: one queue, a capacity, a service time. Overload it and answers come late;
//! a client that gives up leaves its query in the queue, where it still costs its share (unless it can take it back).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use ahash::AHashMap;
use rand::RngExt;

use crate::scenario::{BackendSpec, Distribution, QueueOrder};
use crate::workload::arrival::Nanos;
use crate::workload::seed::Random;
use crate::workload::sizes;

/// What became of a read, the worse the later; of several queries the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// In time.
    Found,
    /// The client had given up by now; the answer is still to come, and useful if late answers fill.
    GaveUp,
    /// It answered with an error.
    Failed,
    /// Refused: the queue was full.
    Refused,
    /// The answer, after the client gave up.
    Late,
}

/// A simulated store; `T` is who asks.
#[derive(Debug)]
pub struct BackingStore<T> {
    /// Nanoseconds between two queries' turns at full load; 0 is unlimited.
    gap: f64,
    latency: Distribution,
    queue_max: usize,
    order: QueueOrder,
    timeout: Nanos,
    late_fill: bool,
    /// A client that gives up takes its queries out of the queue.
    cancel: bool,
    /// Queries for one read; it is answered when the last of them is.
    scatter: u32,
    /// Share of the queries that fail, after the time a good answer takes.
    fail: f64,
    random: Random,
    /// When the next turn comes at the earliest.
    free_at: f64,
    /// Who waits for a turn, in the order in which they came. The first `gave_up` of them no longer wait for the answer.
    waiting: VecDeque<Query>,
    gave_up: usize,
    /// Answers to come.
    answers: BinaryHeap<Reverse<Answered>>,
    answers_made: u64,
    reads: AHashMap<u64, Read<T>>,
    reads_made: u64,
}

#[derive(Debug, Clone, Copy)]
struct Query {
    read: u64,
    deadline: Nanos,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answered {
    at: Nanos,
    number: u64,
    read: u64,
    answer: Answer,
}

/// A read whose queries have not all been answered.
#[derive(Debug)]
struct Read<T> {
    asker: T,
    /// Queries not answered or given up on, and the worst answer until now.
    open: u32,
    worst: Answer,
    /// Queries whose answer comes late, or not any more.
    late: u32,
}

impl<T: Copy> BackingStore<T> {
    #[must_use]
    pub fn new(spec: &BackendSpec, random: Random) -> Self {
        Self {
            gap: gap(spec.capacity),
            latency: spec.latency.clone(),
            queue_max: spec.queue_max,
            order: spec.queue_order,
            timeout: super::shell::nanos(spec.timeout),
            late_fill: spec.late_fill,
            cancel: spec.cancel,
            scatter: spec.scatter.max(1),
            fail: spec.fail,
            random,
            free_at: 0.0,
            waiting: VecDeque::new(),
            gave_up: 0,
            answers: BinaryHeap::new(),
            answers_made: 0,
            reads: AHashMap::new(),
            reads_made: 0,
        }
    }

    /// Another capacity, service time or share of failures for whoever has its turn from `now` on.
    pub fn change(
        &mut self,
        now: Nanos,
        capacity: Option<f64>,
        latency: Option<&Distribution>,
        fail: Option<f64>,
    ) {
        self.advance(now);
        if let Some(capacity) = capacity {
            self.gap = gap(capacity);
            self.free_at = self.free_at.min(now as f64 + self.gap);
        }
        if let Some(latency) = latency {
            self.latency.clone_from(latency);
        }
        self.fail = fail.unwrap_or(self.fail);
        self.advance(now);
    }

    /// A read arrives at `now`.
    pub fn ask(&mut self, now: Nanos, asker: T) {
        self.advance(now);
        self.reads_made += 1;
        let read = self.reads_made;
        self.reads.insert(
            read,
            Read {
                asker,
                open: self.scatter,
                worst: Answer::Found,
                late: 0,
            },
        );
        let deadline = now.saturating_add(self.timeout);
        for _ in 0..self.scatter {
            let query = Query { read, deadline };
            if self.waiting.is_empty() && self.free_at <= now as f64 {
                self.serve(query, now as f64);
            } else if self.queue_max > 0 && self.waiting.len() >= self.queue_max {
                self.push(now, Answer::Refused, read);
            } else {
                self.waiting.push_back(query);
            }
        }
    }

    /// Gives turns, and lets clients give up, as far as time has come.
    fn advance(&mut self, now: Nanos) {
        loop {
            let turn = (!self.waiting.is_empty()).then(|| nanos_up(self.free_at));
            let deadline = self.waiting.get(self.gave_up).map(|query| query.deadline);
            match (turn, deadline) {
                (turn, Some(deadline)) if deadline <= now && turn.is_none_or(|turn| deadline < turn) => {
                    self.give_up(deadline);
                }
                (Some(turn), _) if turn <= now => {
                    if let Some(query) = self.take() {
                        self.serve(query, self.free_at);
                    }
                }
                _ => return,
            }
        }
    }

    /// The first that still waits for its answer does so no longer.
    fn give_up(&mut self, deadline: Nanos) {
        let Some(query) = self.waiting.get(self.gave_up).copied() else {
            return;
        };
        self.push(deadline, Answer::GaveUp, query.read);
        if self.cancel {
            self.waiting.remove(self.gave_up);
        } else {
            self.gave_up += 1;
        }
    }

    /// Whose turn it is.
    fn take(&mut self) -> Option<Query> {
        match self.order {
            QueueOrder::Fifo => {
                self.gave_up = self.gave_up.saturating_sub(1);
                self.waiting.pop_front()
            }
            QueueOrder::Lifo => {
                let last = self.waiting.pop_back();
                self.gave_up = self.gave_up.min(self.waiting.len());
                last
            }
        }
    }

    /// Its turn comes at `start`, whether anybody still waits for it or not.
    fn serve(&mut self, query: Query, start: f64) {
        self.free_at = start + self.gap;
        let service = sizes::draw(&self.latency, &mut self.random).max(0.0) * 1e9;
        let done = nanos_up(start + service);
        let given_up = query.deadline < nanos_up(start);
        if done <= query.deadline {
            let failed = self.fail > 0.0 && self.random.random_bool(self.fail);
            let answer = if failed { Answer::Failed } else { Answer::Found };
            self.push(done, answer, query.read);
            return;
        }
        if !given_up {
            self.push(query.deadline, Answer::GaveUp, query.read);
        }
        if self.late_fill {
            self.push(done, Answer::Late, query.read);
        }
    }

    fn push(&mut self, at: Nanos, answer: Answer, read: u64) {
        self.answers_made += 1;
        self.answers.push(Reverse(Answered {
            at,
            number: self.answers_made,
            read,
            answer,
        }));
    }

    /// The next answer that has come by `now`.
    pub fn answered(&mut self, now: Nanos) -> Option<(T, Answer)> {
        self.advance(now);
        while self.answers.peek().is_some_and(|answer| answer.0.at <= now) {
            let Reverse(Answered { read, answer, .. }) = self.answers.pop()?;
            if let Some(told) = self.hear(read, answer) {
                return Some(told);
            }
        }
        None
    }

    /// One query's answer; the read's, if it was the last.
    fn hear(&mut self, number: u64, answer: Answer) -> Option<(T, Answer)> {
        let read = self.reads.get_mut(&number)?;
        let asker = read.asker;
        let answer = if answer == Answer::Late {
            read.late = read.late.saturating_sub(1);
            (read.late == 0).then_some(Answer::Late)
        } else {
            read.open -= 1;
            read.late += u32::from(answer == Answer::GaveUp);
            read.worst = read.worst.max(answer);
            (read.open == 0).then_some(read.worst)
        };
        // A late answer is told only if nothing else went wrong; and nothing comes late unless it is of use.
        let late_to_come = read.late > 0 && self.late_fill && !self.cancel && read.worst == Answer::GaveUp;
        if read.open == 0 && !late_to_come {
            self.reads.remove(&number);
        }
        answer.map(|answer| (asker, answer))
    }

    /// Queries per second; `None` is unlimited.
    #[must_use]
    pub fn capacity(&self) -> Option<f64> {
        (self.gap > 0.0).then(|| 1e9 / self.gap)
    }

    /// Queries for one read.
    #[must_use]
    pub fn scatter(&self) -> u32 {
        self.scatter
    }

    /// When something happens next.
    #[must_use]
    pub fn next_at(&self) -> Option<Nanos> {
        let answer = self.answers.peek().map(|answer| answer.0.at);
        let turn = (!self.waiting.is_empty()).then(|| nanos_up(self.free_at));
        let deadline = self.waiting.get(self.gave_up).map(|query| query.deadline);
        [answer, turn, deadline].into_iter().flatten().min()
    }

    /// Queries waiting for their turn when time was last told.
    #[must_use]
    pub fn queue(&self) -> u64 {
        self.waiting.len() as u64
    }
}

/// Never before the time itself.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats saturate; times are positive"
)]
fn nanos_up(time: f64) -> Nanos {
    time.ceil() as Nanos
}

/// Nanoseconds between two turns; 0 is unlimited.
fn gap(capacity: f64) -> f64 {
    if capacity > 0.0 { 1e9 / capacity } else { 0.0 }
}

#[cfg(test)]
mod tests;
