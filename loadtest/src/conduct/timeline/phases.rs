//! The timeline itself: phases one after the other, and in each the moments at which something is due.

use std::time::Duration;

use super::{Run, TICK};
use crate::conduct::build::pace;
use crate::drive::shell::nanos;
use crate::measure::recovery::slope;
use crate::scenario::{Event, Offset, PhaseLength};
use crate::workload::arrival::Nanos;

impl<'a> Run<'a> {
    pub(super) async fn drive(&mut self) {
        let start = self.shell.now();
        self.shell.with(|core, now| {
            core.start(pace(self.scenario, self.prepared, now), now);
        });
        self.plan_stages();
        let mut pending: Vec<&Event> = self.scenario.events.iter().collect();
        for phase in 0..self.scenario.phases.len() {
            if self.interrupted || self.broken || self.guard.aborted {
                break;
            }
            if !self.begin_probe(phase) {
                continue;
            }
            self.begin_phase(phase);
            self.run_phase(&mut pending, start).await;
            self.end_probe();
        }
        if self.broken {
            // What broke it may be the very Ctrl-C that is to end it, on its way to us.
            tokio::time::sleep(TICK).await;
            self.interrupted |= *self.stage.interrupt.borrow();
        }
        self.shell.with(|core, _| core.run(false));
    }

    fn begin_phase(&mut self, number: usize) {
        self.let_go();
        let phase = &self.scenario.phases[number];
        self.phase = number;
        let kind = phase.kind.text();
        self.phase_started = self.shell.with(|core, now| {
            // In a closed loop nothing is sent until the events of the phase's first moment have been carried out.
            core.set_mark(core.issued());
            core.recorder.begin_phase(now, &phase.name, kind);
            (now, core.issued())
        });
        self.log(format!("phase {} ({kind})", phase.name));
    }

    /// Until the phase is over, or the user interrupts.
    async fn run_phase(&mut self, pending: &mut Vec<&'a Event>, run_start: Nanos) {
        let length = self.scenario.phases[self.phase].length;
        let mut ordered = None;
        loop {
            ordered = ordered.or_else(|| self.stage.orders.next());
            let (now, issued) = (self.shell.now(), self.shell.core().issued());
            let (held, put_off) = (self.is_held(), self.put_off());
            let standing = self.shell.core().is_open_loop() || self.shell.core().in_flight() == 0;
            let mut next_time = Nanos::MAX;
            let mut next_request = u64::MAX;
            let mut due = None;
            for (place, event) in pending.iter().enumerate() {
                let (time, request) = match event.at.phase {
                    None => (run_start.saturating_add(put_off.0), put_off.1),
                    Some(phase) if phase == self.phase => self.phase_started,
                    // An earlier phase's event whose moment never came within it still comes.
                    Some(phase) if phase < self.phase => (0, 0),
                    Some(_) => continue,
                };
                let (time, request) = match event.at.offset {
                    Offset::Time(after) => (time.saturating_add(nanos(after)), u64::MAX),
                    Offset::Requests(after) => (Nanos::MAX, request.saturating_add(after)),
                };
                if (now >= time || issued >= request) && due.is_none() && !held {
                    due = Some(place);
                }
                next_time = next_time.min(time);
                next_request = next_request.min(request);
            }
            if held {
                (next_time, next_request) = (Nanos::MAX, u64::MAX);
            }
            let step_at = self.next_step_at();
            next_time = next_time.min(step_at);
            let (end_time, end_request) = match length {
                _ if held => (Nanos::MAX, u64::MAX),
                PhaseLength::Time(length) => (self.phase_started.0.saturating_add(nanos(length)), u64::MAX),
                PhaseLength::Requests(count) => (Nanos::MAX, self.phase_started.1.saturating_add(count)),
                PhaseLength::UntilSteady { max, .. } => {
                    (self.phase_started.0.saturating_add(nanos(max)), u64::MAX)
                }
                PhaseLength::TraceEnd => (Nanos::MAX, u64::MAX),
            };
            let steady = match length {
                PhaseLength::UntilSteady { slope, over, .. } => !held && self.is_steady(slope, over),
                PhaseLength::Time(_) | PhaseLength::Requests(_) | PhaseLength::TraceEnd => false,
            };
            let exhausted = self.shell.core().source_is_empty() && self.shell.core().in_flight() == 0;
            let over = now >= end_time || issued >= end_request || steady || exhausted;
            if *self.stage.interrupt.borrow() {
                self.interrupted = true;
                return;
            }
            if self.guard.aborted {
                return;
            }
            if now >= step_at && due.is_none() {
                self.do_next_step().await;
                if self.broken {
                    return;
                }
                continue;
            }
            if due.is_some() || ordered.is_some() || over {
                if !standing {
                    // Let what is under way end; nothing new is sent meanwhile.
                    self.shell.with(|core, _| core.set_mark(core.issued()));
                    self.wait(Nanos::MAX).await;
                    continue;
                }
                match (due, ordered.take()) {
                    (Some(place), waiting) => {
                        ordered = waiting;
                        let event = pending.remove(place);
                        self.fire(event).await;
                    }
                    (None, Some(order)) => self.carry_out_order(order).await,
                    (None, None) => return,
                }
                if self.broken {
                    return;
                }
                continue;
            }
            self.shell
                .with(|core, _| core.set_mark(next_request.min(end_request)));
            self.wait(next_time.min(end_time)).await;
        }
    }

    /// Until something is due: a mark, a time, an interruption, or a tick in which progress is told.
    async fn wait(&mut self, until: Nanos) {
        let now = self.shell.now();
        let patience = Duration::from_nanos(until.saturating_sub(now)).min(TICK);
        let mut interrupt = self.stage.interrupt.clone();
        tokio::select! {
            () = self.shell.attention() => {}
            () = tokio::time::sleep(patience) => {}
            _ = interrupt.wait_for(|interrupted| *interrupted) => {}
        }
        self.tell_progress();
        self.look_at_thresholds();
    }

    /// Over the last `over` of the phase the hit rate moved by less than `limit`.
    fn is_steady(&self, limit: f64, over: Duration) -> bool {
        let core = self.shell.core();
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a phase")]
        let wanted = (over.as_secs() as usize).max(3);
        let started = self.phase_started.0 as f64 / 1e9;
        let rows = core.recorder.series();
        let Some(recent) = rows.len().checked_sub(wanted).map(|from| &rows[from..]) else {
            return false;
        };
        if recent[0].t < started {
            return false;
        }
        let rates: Vec<f64> = recent.iter().filter_map(|row| row.hit_rate).collect();
        rates.len() == wanted && slope(&rates).is_some_and(|slope| (slope * wanted as f64).abs() < limit)
    }
}
