//! The core of `bench`: gets and sets over a key range, closed loop (each connection a batch at a time) or open loop
//! (a schedule), against one target at a time. No backing store: a miss is counted and that is all.

mod plan;
mod pump;
mod tally;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::RngExt;

pub use self::plan::{KeyOrder, Lens, Plan};
pub use self::tally::Tally;
use super::pipe::{Done, Failure, Item};
use super::shell::{At, Core, Wires};
use crate::workload::arrival::{Nanos, Schedule};
use crate::workload::keyspace::write_key;
use crate::workload::seed::{Random, mix};
use crate::workload::value::{Codec, Mismatch};

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
