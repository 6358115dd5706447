//! Thresholds that are looked at while the run goes on: those that count only after they have not held `for` a while, and
//! those that `abort` the run.

use super::Run;
use crate::drive::shell::nanos;
use crate::measure::outcome::Breach;
use crate::scenario::Scenario;
use crate::workload::arrival::Nanos;

/// Time between two looks.
const PERIOD: Nanos = 1_000_000_000;

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Guard {
    watched: Vec<Watched>,
    next_look: Nanos,
    /// One of them has ended the run.
    pub aborted: bool,
}

#[derive(Debug)]
struct Watched {
    /// Since when it has not held.
    since: Option<Nanos>,
    breach: Breach,
}

impl Guard {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let watched = (0..)
            .zip(&scenario.thresholds)
            .filter(|(_, threshold)| threshold.abort || !threshold.lasting.is_zero())
            .map(|(number, _)| Watched {
                since: None,
                breach: Breach {
                    threshold: number,
                    ..Breach::default()
                },
            });
        Self {
            watched: watched.collect(),
            ..Self::default()
        }
    }

    pub(super) fn breaches(&self) -> Vec<Breach> {
        self.watched.iter().map(|watched| watched.breach).collect()
    }
}

impl Run<'_> {
    /// Looks at them, once a second.
    pub(super) fn look_at_thresholds(&mut self) {
        let now = self.shell.now();
        if self.guard.watched.is_empty() || self.guard.aborted || now < self.guard.next_look {
            return;
        }
        self.guard.next_look = now + PERIOD;
        let mut outcome = self.tell(0.0, 0.0);
        outcome.elapsed_seconds = now as f64 / 1e9;
        let scenario = self.scenario;
        let mut failed = None;
        for watched in &mut self.guard.watched {
            let threshold = &scenario.thresholds[watched.breach.threshold];
            // What is not measured yet is no breach.
            if threshold.condition.holds(&outcome) != Some(false) {
                watched.since = None;
                continue;
            }
            let since = *watched.since.get_or_insert(now);
            let breach = &mut watched.breach;
            breach.longest_seconds = breach.longest_seconds.max((now - since) as f64 / 1e9);
            let counts = now - since >= nanos(threshold.lasting);
            breach.counts |= counts;
            if counts && threshold.abort {
                breach.ended_run = true;
                failed = Some(&threshold.expr);
            }
        }
        if let Some(expr) = failed {
            self.guard.aborted = true;
            self.log(format!("the run ends here: `{expr}` did not hold"));
        }
    }
}
