//! What those who watch are told while the run goes on.

use std::time::Duration;

use super::{Run, TICK};
use crate::clock;
use crate::drive::shell::nanos;
use crate::live::{Progress, Update};
use crate::scenario::PhaseLength;
use crate::workload::arrival::Nanos;

impl Run<'_> {
    pub(super) fn tell_progress(&mut self) {
        let now = self.shell.now();
        let since = now.saturating_sub(self.last_told.0);
        if since < nanos(TICK) {
            return;
        }
        let recent = self.shell.with(|core, _| core.recorder.take_recent());
        let core = self.shell.core();
        let totals = core.recorder.totals();
        let last = core.recorder.series().last();
        let done = totals.done + totals.errors;
        self.hit_rate = recent.rate().or(self.hit_rate);
        let phase_done = self.phase_done(now, core.issued());
        let nodes = self.cluster.members();
        let progress = Progress {
            elapsed: clock::now().saturating_duration_since(self.epoch),
            phase: self.phase,
            phase_done,
            run_done: (self.phase as f64 + phase_done) / self.scenario.phases.len().max(1) as f64,
            requests: totals.offered,
            rate: done.saturating_sub(self.last_told.1) as f64 * 1e9 / since as f64,
            hit_rate: self.hit_rate,
            hit_rate_predicted: last.and_then(|row| row.predicted),
            hit_rate_warm: self.warm,
            backend_rate: last.map_or(0.0, |row| row.backend_rate),
            backend_queue: core.backend_queue(),
            backend_capacity: core.backend_capacity(),
            p99: last.map(|row| Duration::from_micros(row.p99_us)),
            errors: totals.errors,
            dropped: totals.dropped,
            mismatches: totals.mismatches,
            nodes_up: nodes
                .iter()
                .filter(|number| self.cluster.nodes()[**number].is_up())
                .count(),
            nodes: nodes.len(),
            held: self.is_held(),
        };
        drop(core);
        self.last_told = (now, done);
        self.stage.observer.update(Update::Progress(progress));
        self.tell_seconds();
        self.tell_written();
    }

    /// Share of the phase that is done, as far as it is known.
    fn phase_done(&self, now: Nanos, issued: u64) -> f64 {
        let standing = self.standing();
        let since = now.saturating_sub(self.phase_started.0 + standing.0);
        let requests = issued.saturating_sub(self.phase_started.1 + standing.1);
        let share = match self.scenario.phases[self.phase].length {
            PhaseLength::Time(length) | PhaseLength::UntilSteady { max: length, .. } => {
                since as f64 / nanos(length).max(1) as f64
            }
            PhaseLength::Requests(count) => requests as f64 / count.max(1) as f64,
            PhaseLength::TraceEnd => {
                let left = self.prepared.rows.as_ref().map_or(0, |rows| rows.len() as u64);
                requests as f64 / left.saturating_sub(self.phase_started.1).max(1) as f64
            }
        };
        share.clamp(0.0, 1.0)
    }
}
