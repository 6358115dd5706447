//! When the next request is sent: while keys are stored, as fast as replies come, or by a schedule.

use super::{Hammer, Op, Task, Ticket};
use crate::drive::shell::Wires;
use crate::workload::arrival::Nanos;

/// Batch per connection while the keys are being stored.
const FILL_BATCH: usize = 64;

impl Hammer {
    pub(super) fn fill(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
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

    pub(super) fn pump_closed(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
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

    pub(super) fn pump_open(&mut self, now: Nanos, wires: &mut Wires<Ticket>) {
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
    pub(super) fn exhausted(&self, now: Nanos) -> bool {
        match &self.task {
            Task::Idle => true,
            Task::Fill { next, .. } => *next >= self.plan.keys.end,
            Task::Closed { until, left } => now >= *until || *left == 0,
            Task::Open { until, schedule, .. } => schedule.peek() >= *until,
        }
    }
}
