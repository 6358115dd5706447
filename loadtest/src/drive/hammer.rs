//! The core of `bench`: gets and sets over a key range, closed loop (each connection a batch at a time) or open loop
//! (a schedule), against one target at a time. No backing store: a miss is counted and that is all.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::RngExt;

use super::pipe::{Done, Failure, Item};
use super::shell::{At, Core, Wires};
use crate::measure::histogram::Latencies;
use crate::workload::arrival::{Nanos, Schedule};
use crate::workload::keyspace::write_key;
use crate::workload::popularity::Popularity;
use crate::workload::seed::{Random, mix};
use crate::workload::value::{Codec, Mismatch};

/// Batch per connection while the keys are being stored.
const FILL_BATCH: usize = 64;

/// What to ask for; the same for every target.
#[derive(Debug, Clone)]
pub struct Plan {
    pub key_prefix: Vec<u8>,
    /// Whole keys, prefix and zeros included; a key grows beyond it when its number needs it.
    pub key_len: Lens,
    /// Numbers of the keys.
    pub keys: Range<u64>,
    pub value_len: Lens,
    pub gets: KeyOrder,
    pub sets: KeyOrder,
    /// Out of `sets_in + gets_in` operations.
    pub set_share: f64,
    /// Keys per get.
    pub multiget: usize,
    pub pipeline: usize,
    /// Refill after every reply instead of waiting for the whole batch.
    pub stream: bool,
    /// Seconds drawn per set; 0..0 never expires.
    pub expiry: Range<u32>,
}

/// Lengths in bytes. A key keeps its own.
#[derive(Debug, Clone)]
pub enum Lens {
    Fixed(usize),
    /// By the key's place in the range.
    PerKey(Arc<[u32]>),
}

impl Lens {
    /// Of the key at this place of the range.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked against the memory of versions"
    )]
    fn at(&self, place: u64) -> usize {
        match self {
            Self::Fixed(len) => *len,
            Self::PerKey(lens) => lens[place as usize] as usize,
        }
    }
}

/// How keys are chosen.
#[derive(Debug, Clone)]
pub enum KeyOrder {
    Drawn(Popularity),
    /// One after the other, each connection from its own place.
    Sequential,
}

/// What came of one target.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests answered; a multiget is one.
    pub requests: u64,
    /// Keys asked for by gets, and found.
    pub gets: u64,
    pub hits: u64,
    pub sets: u64,
    pub errors: u64,
    pub timeouts: u64,
    pub mismatches: u64,
    pub first_mismatch: Option<String>,
    /// Arrivals that found `max_in_flight` requests unanswered.
    pub dropped: u64,
    pub get_latency: Latencies,
    pub set_latency: Latencies,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.gets += other.gets;
        self.hits += other.hits;
        self.sets += other.sets;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.mismatches += other.mismatches;
        self.dropped += other.dropped;
        if self.first_mismatch.is_none() {
            self.first_mismatch.clone_from(&other.first_mismatch);
        }
        self.get_latency.add(&other.get_latency);
        self.set_latency.add(&other.set_latency);
    }
}

/// What it is doing now.
#[derive(Debug)]
pub enum Task {
    Idle,
    /// Stores every key of a share of the range once.
    Fill {
        next: u64,
        step: u64,
    },
    /// As fast as replies come, until a time or a number of requests.
    Closed {
        until: Nanos,
        left: u64,
    },
    /// By the schedule.
    Open {
        until: Nanos,
        schedule: Box<Schedule>,
        max_in_flight: usize,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    key: u64,
    intended: Nanos,
    sent: Nanos,
    op: Op,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// A key of a multiget that is not its last: its latency is the last one's.
    Key,
    Get,
    Set,
    Fill,
}

/// One thread's generator.
pub struct Hammer {
    plan: Plan,
    random: Random,
    codec: Codec,
    scratch: Vec<u8>,
    found: Vec<u8>,
    /// Newest version sent, per key, shared by all threads; one per target.
    versions: Vec<Arc<[AtomicU32]>>,
    lines: Range<usize>,
    target: usize,
    task: Task,
    /// Unanswered requests per line, and of all lines.
    open: Vec<usize>,
    open_total: usize,
    /// Place of each line in a sequential order.
    places: Vec<u64>,
    next_line: usize,
    /// Keys of the multiget being put together.
    batch: Vec<u64>,
    pub tally: Tally,
}

impl Hammer {
    #[must_use]
    pub fn new(plan: Plan, random: Random, versions: Vec<Arc<[AtomicU32]>>) -> Self {
        Self {
            plan,
            random,
            codec: Codec::plain(),
            scratch: Vec::new(),
            found: Vec::new(),
            versions,
            lines: 0..0,
            target: 0,
            task: Task::Idle,
            open: Vec::new(),
            open_total: 0,
            places: Vec::new(),
            next_line: 0,
            batch: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Turns to a target (its number, its lines) with a clean tally. Only when idle.
    pub fn start(&mut self, target: usize, lines: Range<usize>, task: Task) {
        if self.places.len() < lines.end {
            let (len, span) = (
                lines.len().max(1) as u64,
                self.plan.keys.end - self.plan.keys.start,
            );
            self.places = (0..lines.end as u64)
                .map(|line| (line % len) * span / len)
                .collect();
            self.open.resize(lines.end, 0);
        }
        self.next_line = lines.start;
        self.lines = lines;
        self.target = target;
        self.task = task;
        self.tally = Tally::default();
    }

    fn value_len(&self, key: u64) -> usize {
        self.plan.value_len.at(key - self.plan.keys.start)
    }

    fn pick(&mut self, line: usize, op: Op) -> u64 {
        let order = if op == Op::Set {
            &self.plan.sets
        } else {
            &self.plan.gets
        };
        let span = self.plan.keys.end - self.plan.keys.start;
        let offset = match order {
            KeyOrder::Drawn(popularity) => popularity.draw(&mut self.random),
            KeyOrder::Sequential => {
                let place = &mut self.places[line];
                let at = *place;
                *place = (at + 1) % span;
                at
            }
        };
        self.plan.keys.start + offset
    }

    fn send_next(&mut self, line: usize, intended: Nanos, now: Nanos, wires: &mut Wires<Ticket>) {
        let set = self.plan.set_share > 0.0
            && (self.plan.set_share >= 1.0 || self.random.random::<f64>() < self.plan.set_share);
        if set {
            let key = self.pick(line, Op::Set);
            self.send_set(line, key, Op::Set, intended, now, wires);
        } else if self.plan.multiget <= 1 {
            let key = self.pick(line, Op::Get);
            self.write_key(key);
            wires.get(
                line,
                &self.scratch,
                Ticket {
                    key,
                    intended,
                    sent: now,
                    op: Op::Get,
                },
                now,
            );
        } else {
            self.batch.clear();
            for _ in 0..self.plan.multiget {
                let key = self.pick(line, Op::Get);
                self.batch.push(key);
            }
            let Self {
                plan, batch, scratch, ..
            } = self;
            let mut keys = batch.iter().copied();
            wires.multiget(
                line,
                |out| {
                    let key = keys.next()?;
                    scratch.clear();
                    let len = plan.key_len.at(key - plan.keys.start);
                    write_key(scratch, &plan.key_prefix, key, len);
                    out.extend_from_slice(scratch);
                    let op = if keys.len() == 0 { Op::Get } else { Op::Key };
                    Some(Ticket {
                        key,
                        intended,
                        sent: now,
                        op,
                    })
                },
                now,
            );
        }
        self.open[line] += 1;
        self.open_total += 1;
    }

    fn send_set(
        &mut self,
        line: usize,
        key: u64,
        op: Op,
        intended: Nanos,
        now: Nanos,
        wires: &mut Wires<Ticket>,
    ) {
        let version = self.version(key).fetch_add(1, Ordering::Relaxed) + 1;
        let value_len = self.value_len(key);
        let exptime = match &self.plan.expiry {
            range if range.is_empty() => range.start,
            range => self.random.random_range(range.clone()),
        };
        self.write_key(key);
        let item = Item {
            key: &self.scratch,
            flags: self.codec.flags(key, version, value_len),
            exptime,
            value_len,
            lease: None,
        };
        let codec = &self.codec;
        let ticket = Ticket {
            key,
            intended,
            sent: now,
            op,
        };
        wires.set(
            line,
            &item,
            |out| codec.write(out, key, version, now, value_len),
            ticket,
            now,
        );
    }

    fn write_key(&mut self, key: u64) {
        self.scratch.clear();
        let len = self.plan.key_len.at(key - self.plan.keys.start);
        write_key(&mut self.scratch, &self.plan.key_prefix, key, len);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked against the memory of versions"
    )]
    fn version(&self, key: u64) -> &AtomicU32 {
        &self.versions[self.target][(key - self.plan.keys.start) as usize]
    }

    /// One request has its end, good or bad.
    fn close(&mut self, at: At, ticket: Ticket) {
        if ticket.op == Op::Key {
            return;
        }
        self.open[at.line] = self.open[at.line].saturating_sub(1);
        self.open_total = self.open_total.saturating_sub(1);
    }

    fn answered(&mut self, at: At, ticket: Ticket) {
        match ticket.op {
            Op::Key | Op::Fill => {}
            Op::Get => {
                self.tally.requests += 1;
                self.tally
                    .get_latency
                    .record(ticket.intended, ticket.sent, at.now);
            }
            Op::Set => {
                self.tally.requests += 1;
                self.tally.sets += 1;
                self.tally
                    .set_latency
                    .record(ticket.intended, ticket.sent, at.now);
            }
        }
        self.close(at, ticket);
    }

    fn mismatch(&mut self, ticket: &Ticket, what: Mismatch) {
        self.tally.mismatches += 1;
        if self.tally.first_mismatch.is_none() {
            self.write_key(ticket.key);
            let key = String::from_utf8_lossy(&self.scratch);
            self.tally.first_mismatch = Some(format!("key {key}: {what}"));
        }
    }

    fn fill(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        for line in self.lines.clone() {
            while self.open[line] < FILL_BATCH {
                let Task::Fill { next, step } = &mut self.task else {
                    return;
                };
                let key = *next;
                if key >= self.plan.keys.end {
                    return;
                }
                *next += *step;
                self.send_set(line, key, Op::Fill, now, now, wires);
                self.open[line] += 1;
                self.open_total += 1;
            }
        }
    }

    fn pump_closed(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        for line in self.lines.clone() {
            if self.open[line] > 0 && !self.plan.stream {
                continue;
            }
            while self.open[line] < self.plan.pipeline {
                let Task::Closed { until, left } = &mut self.task else {
                    return;
                };
                if now >= *until || *left == 0 {
                    return;
                }
                *left -= 1;
                self.send_next(line, now, now, wires);
            }
        }
    }

    fn pump_open(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        loop {
            let Task::Open {
                until,
                schedule,
                max_in_flight,
            } = &mut self.task
            else {
                return;
            };
            let intended = schedule.peek();
            if intended > now || intended >= *until {
                return;
            }
            schedule.advance();
            if self.open_total >= *max_in_flight {
                self.tally.dropped += 1;
                continue;
            }
            let line = self.next_line;
            self.next_line = if line + 1 < self.lines.end {
                line + 1
            } else {
                self.lines.start
            };
            self.send_next(line, intended, now, wires);
        }
    }

    /// Nothing more will be sent for this task at `now`.
    fn exhausted(&self, now: Nanos) -> bool {
        match &self.task {
            Task::Idle => true,
            Task::Fill { next, .. } => *next >= self.plan.keys.end,
            Task::Closed { until, left } => now >= *until || *left == 0,
            Task::Open { until, schedule, .. } => schedule.peek() >= *until,
        }
    }
}

impl Core for Hammer {
    type Ticket = Ticket;

    fn is_key(&mut self, ticket: &Ticket, key: &[u8]) -> bool {
        self.found.clear();
        let len = self.plan.key_len.at(ticket.key - self.plan.keys.start);
        write_key(&mut self.found, &self.plan.key_prefix, ticket.key, len);
        self.found == key
    }

    fn value(&mut self, at: At, ticket: Ticket, flags: u32, data: &[u8]) {
        self.tally.gets += 1;
        self.tally.hits += 1;
        let latest = self.version(ticket.key).load(Ordering::Relaxed);
        let expected = self.value_len(ticket.key);
        let checked = if data.len() == expected {
            self.codec.check(ticket.key, latest, flags, data).map(drop)
        } else {
            Err(Mismatch::Length {
                found: data.len(),
                expected,
            })
        };
        if let Err(what) = checked {
            self.mismatch(&ticket, what);
        }
        self.answered(at, ticket);
    }

    fn miss(&mut self, at: At, ticket: Ticket) {
        self.tally.gets += 1;
        self.answered(at, ticket);
    }

    fn done(&mut self, at: At, ticket: Ticket, done: Done) {
        if done == Done::Stored {
            self.answered(at, ticket);
        } else {
            self.failed(at, ticket, Failure::Refused);
        }
    }

    fn failed(&mut self, at: At, ticket: Ticket, why: Failure) {
        self.tally.errors += 1;
        self.tally.timeouts += u64::from(why == Failure::Timeout);
        self.close(at, ticket);
    }

    fn pump(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
        match self.task {
            Task::Idle => return,
            Task::Fill { .. } => self.fill(now, wires),
            Task::Closed { .. } => self.pump_closed(now, wires),
            Task::Open { .. } => self.pump_open(now, wires),
        }
        if self.open_total == 0 && self.exhausted(now) {
            self.task = Task::Idle;
        }
    }

    fn next_wakeup(&self) -> Option<Nanos> {
        match &self.task {
            Task::Idle | Task::Fill { .. } => None,
            Task::Closed { until, .. } => Some(*until),
            Task::Open { until, schedule, .. } => Some(schedule.peek().min(*until)),
        }
    }

    fn wants_attention(&self) -> bool {
        matches!(self.task, Task::Idle)
    }
}

/// A seed for one of several threads.
#[must_use]
pub fn thread_seed(seed: u64, thread: u64) -> u64 {
    mix(seed ^ mix(thread))
}
