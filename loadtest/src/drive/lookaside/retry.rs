//! Asking the backing store again: so often, so much later, and no more than the budget has.
//!
//! Retries are what makes an overload last: each failure brings more load. A budget bounds that to a share of the reads
//! that are asked for the first time, however many of them fail.

use std::collections::VecDeque;

use super::Asker;
use crate::drive::shell::nanos;
use crate::scenario::Retries;
use crate::workload::arrival::Nanos;

/// So many unused retries are kept for later.
const SAVED_MAX: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Retrying {
    max: u8,
    backoff: Nanos,
    /// Retries earned by each first read; `None` is no limit.
    budget: Option<f64>,
    saved: f64,
    /// In the order of their times: all wait equally long.
    later: VecDeque<(Nanos, Asker)>,
}

impl Retrying {
    pub(super) fn new(spec: &Retries) -> Self {
        Self {
            max: spec.max,
            backoff: nanos(spec.backoff),
            budget: spec.budget,
            saved: 0.0,
            later: VecDeque::new(),
        }
    }

    /// A read was asked for, not for the first time if `tries` says so.
    pub(super) fn asked(&mut self, tries: u8) {
        if let (Some(budget), 0) = (self.budget, tries) {
            self.saved = (self.saved + budget).min(SAVED_MAX);
        }
    }

    /// It came to nothing at `now`; whether it will be asked for again.
    pub(super) fn again(&mut self, now: Nanos, asker: Asker) -> bool {
        if asker.tries >= self.max {
            return false;
        }
        if self.budget.is_some() {
            if self.saved < 1.0 {
                return false;
            }
            self.saved -= 1.0;
        }
        let tries = asker.tries + 1;
        self.later
            .push_back((now + self.backoff, Asker { tries, ..asker }));
        true
    }

    /// The next that is due.
    pub(super) fn due(&mut self, now: Nanos) -> Option<Asker> {
        self.later
            .pop_front_if(|(at, _)| *at <= now)
            .map(|(_, asker)| asker)
    }

    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.later.front().map(|(at, _)| *at)
    }
}
