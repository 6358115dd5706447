//! Counts everything as it comes: totals, phases, one row per second, and steps of 1,000 gets counted from the start
//! and again from every event. Told the time; never asks for it.

mod found;
mod so_far;

use super::histogram::{Latencies, Micros};
use super::miss_reason::Reason;
use super::outcome::{HitCount, MissCounts, Phase, Row, Totals, ratio};
use super::recovery::{is_warm, slope};
use super::theory::{Mixture, STEP};
use crate::workload::arrival::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// Seconds without any reply are still rows, but not for ever: a suspended machine wakes to one row.
const EMPTY_ROWS_MAX: u64 = 3600;
const BIN: Nanos = SECOND / 20;
/// Three hours of bins; what comes later is counted in the last.
const BINS_MAX: usize = 20 * 3600 * 3;
/// Fewer gets than this say nothing about a slope.
const SLOPE_GETS_MIN: u64 = 500;

/// How a get ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetEnd {
    Hit,
    Miss(Reason),
    Error,
}

/// When a request was meant to start, was sent, and ended.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub intended: Nanos,
    pub sent: Nanos,
    pub done: Nanos,
}

/// One thousand gets by their number.
#[derive(Debug, Clone, Default)]
struct Step {
    count: HitCount,
    errors: u64,
    reasons: MissCounts,
    affected: HitCount,
    unaffected: HitCount,
    predicted: f64,
    ended_at: Nanos,
}

/// The gets between two events.
#[derive(Debug, Clone, Default)]
struct Epoch {
    /// Number of its first get, and when it began.
    base: u64,
    at: Nanos,
    steps: Vec<Step>,
    mixture: Option<Mixture>,
    /// Per window of steps: p50, p90, p99, p99.9 and max of the response.
    percentiles: Vec<[u64; 5]>,
}

#[derive(Debug, Default)]
struct OpenPhase {
    phase: Phase,
    latencies: Latencies,
    first_row: usize,
}

/// The second being counted.
#[derive(Debug, Default)]
struct OpenRow {
    row: Row,
    offered: u64,
    done: u64,
    backend: u64,
    predicted: f64,
    predicted_n: u64,
    response: Micros,
}

#[derive(Debug)]
pub struct Recorder {
    totals: Totals,
    latencies: Latencies,
    phases: Vec<OpenPhase>,
    row: OpenRow,
    row_start: Nanos,
    series: Vec<Row>,
    epochs: Vec<Epoch>,
    /// Steps per window.
    window_steps: usize,
    window_response: Micros,
    window_at: (usize, usize),
    last_hits: HitCount,
    /// Backing store reads per [`BIN`] since the epoch: what a peak of one second is looked for in.
    backend_bins: Vec<u32>,
}

impl Recorder {
    /// `window_gets` is how many gets one window of the request series has: a multiple of 1,000.
    #[must_use]
    pub fn new(window_gets: u64) -> Self {
        Self {
            totals: Totals::default(),
            latencies: Latencies::default(),
            phases: Vec::new(),
            row: OpenRow::default(),
            row_start: 0,
            series: Vec::new(),
            epochs: vec![Epoch::default()],
            window_steps: usize::try_from((window_gets / STEP).max(1)).unwrap_or(1),
            window_response: Micros::default(),
            window_at: (0, 0),
            last_hits: HitCount::default(),
            backend_bins: Vec::new(),
        }
    }

    // ---- what happens ----

    /// Closes every second that has passed by `now`. `backend_queue` is the queue as it stands.
    pub fn tick(&mut self, now: Nanos, backend_queue: u64) {
        if now < self.row_start + SECOND {
            return;
        }
        let behind = (now - self.row_start) / SECOND;
        for _ in 0..behind.min(EMPTY_ROWS_MAX) {
            self.close_row(self.row_start + SECOND, backend_queue);
        }
        self.row_start = self.row_start.max(now - now % SECOND);
    }

    /// The run, or its clock, starts at `now`.
    pub fn start(&mut self, now: Nanos) {
        self.row_start = now;
    }

    /// Counts the last, shorter second.
    pub fn finish(&mut self, now: Nanos, backend_queue: u64) {
        self.tick(now, backend_queue);
        if now > self.row_start && (self.row.done > 0 || self.row.offered > 0) {
            self.close_row(now, backend_queue);
        }
        self.end_phase(now, self.next_get());
        self.close_window();
    }

    pub fn offered(&mut self) {
        self.row.offered += 1;
        self.count(|totals| totals.offered += 1);
    }

    pub fn dropped(&mut self) {
        self.row.row.dropped += 1;
        self.count(|totals| totals.dropped += 1);
    }

    pub fn get_sent(&mut self) {
        self.count(|totals| totals.gets += 1);
    }

    /// Get number `get` ended. `affected`: the last event took its key from it.
    pub fn get(&mut self, get: u64, end: GetEnd, affected: bool, timing: Timing) {
        self.latency(timing);
        self.row.row.requests += 1;
        let epoch_at = self
            .epochs
            .iter()
            .rposition(|epoch| epoch.base <= get)
            .unwrap_or(0);
        let epoch = &mut self.epochs[epoch_at];
        let since = get - epoch.base;
        let step_at = usize::try_from(since / STEP).unwrap_or(usize::MAX - 1);
        if epoch.steps.len() <= step_at {
            epoch.steps.resize(step_at + 1, Step::default());
        }
        let step = &mut epoch.steps[step_at];
        step.ended_at = step.ended_at.max(timing.done);
        let count = |count: &mut HitCount, hit| if hit { count.hits += 1 } else { count.misses += 1 };
        match end {
            GetEnd::Error => {
                step.errors += 1;
                step.reasons.error += 1;
                self.row.row.misses_by_reason.error += 1;
            }
            GetEnd::Hit | GetEnd::Miss(_) => {
                let hit = end == GetEnd::Hit;
                count(&mut step.count, hit);
                count(&mut self.last_hits, hit);
                if epoch_at > 0 {
                    count(
                        if affected {
                            &mut step.affected
                        } else {
                            &mut step.unaffected
                        },
                        hit,
                    );
                    let row = &mut self.row.row;
                    let side = if affected {
                        &mut row.affected
                    } else {
                        &mut row.unaffected
                    };
                    count(side.get_or_insert_default(), hit);
                }
                if let Some(mixture) = &epoch.mixture {
                    let predicted = mixture.at(since);
                    step.predicted += predicted;
                    self.row.predicted += predicted;
                    self.row.predicted_n += 1;
                }
                if let GetEnd::Miss(reason) = end {
                    step.reasons.count(reason);
                    self.row.row.misses_by_reason.count(reason);
                    self.row.row.misses += 1;
                } else {
                    self.row.row.hits += 1;
                }
            }
        }
        self.count(|totals| match end {
            GetEnd::Hit => {
                totals.hits += 1;
                totals.done += 1;
            }
            GetEnd::Miss(reason) => {
                totals.misses += 1;
                totals.done += 1;
                totals.misses_by_reason.count(reason);
            }
            GetEnd::Error => totals.misses_by_reason.error += 1,
        });
        if end != GetEnd::Error {
            self.row.done += 1;
        }
        let window = (epoch_at, step_at / self.window_steps);
        if window > self.window_at {
            self.close_window();
            self.window_at = window;
        }
        self.window_response
            .record(timing.done.saturating_sub(timing.intended));
    }

    /// A write of the workload was answered.
    pub fn written(&mut self, timing: Timing) {
        self.latency(timing);
        self.row.done += 1;
        self.count(|totals| totals.done += 1);
    }

    pub fn error(&mut self, timeout: bool) {
        self.row.row.errors += 1;
        self.count(|totals| {
            totals.errors += 1;
            totals.timeouts += u64::from(timeout);
        });
    }

    pub fn backend_read(&mut self, now: Nanos) {
        self.row.backend += 1;
        let bin = usize::try_from(now / BIN).unwrap_or(usize::MAX).min(BINS_MAX);
        if self.backend_bins.len() <= bin {
            self.backend_bins.resize(bin + 1, 0);
        }
        self.backend_bins[bin] += 1;
        self.count(|totals| totals.backend_reads += 1);
    }

    /// A get returned a version that had been impossible for so long, `deleted` or overwritten since.
    pub fn stale(&mut self, age_ms: u64, deleted: bool) {
        self.row.row.stale += 1;
        self.count(|totals| {
            totals.stale_reads += 1;
            totals.lost_deletes += u64::from(deleted);
            totals.stale_max_ms = totals.stale_max_ms.max(age_ms);
        });
    }

    /// Any counter that has no row of its own.
    pub fn count(&mut self, change: impl Fn(&mut Totals)) {
        change(&mut self.totals);
        if let Some(open) = self.phases.last_mut() {
            change(&mut open.phase.totals);
        }
    }

    pub fn begin_phase(&mut self, now: Nanos, name: &str, kind: &str) {
        let next = self.next_get();
        self.end_phase(now, next);
        let phase = Phase {
            name: name.to_owned(),
            kind: kind.to_owned(),
            start_seconds: seconds(now),
            end_seconds: seconds(now),
            start_request: next,
            end_request: next,
            ..Phase::default()
        };
        self.phases.push(OpenPhase {
            phase,
            latencies: Latencies::default(),
            first_row: self.series.len(),
        });
        if self.row.offered == 0 && self.row.row.requests == 0 {
            name.clone_into(&mut self.row.row.phase);
        }
    }

    /// Events that began an epoch so far.
    #[must_use]
    pub fn events(&self) -> usize {
        self.epochs.len() - 1
    }

    /// An event takes effect: gets from number `base` on are counted anew, beside `mixture`.
    pub fn event(&mut self, now: Nanos, base: u64, mixture: Option<Mixture>) {
        self.epochs.push(Epoch {
            base,
            at: now,
            mixture,
            ..Epoch::default()
        });
    }

    // ---- inside ----

    /// Number of the get after all that were sent.
    fn next_get(&self) -> u64 {
        self.totals.gets
    }

    fn latency(&mut self, timing: Timing) {
        let Timing { intended, sent, done } = timing;
        self.latencies.record(intended, sent, done);
        if let Some(open) = self.phases.last_mut() {
            open.latencies.record(intended, sent, done);
        }
        self.row.response.record(done.saturating_sub(intended));
    }

    fn close_row(&mut self, end: Nanos, backend_queue: u64) {
        let OpenRow {
            mut row,
            offered,
            done,
            backend,
            predicted,
            predicted_n,
            mut response,
        } = std::mem::take(&mut self.row);
        let lasted = seconds(end - self.row_start);
        row.t = seconds(self.row_start);
        row.seconds = lasted;
        row.first_request = self.next_get().saturating_sub(row.requests);
        row.rate_offered = offered as f64 / lasted;
        row.rate_done = done as f64 / lasted;
        row.hit_rate = ratio(row.hits, row.hits + row.misses);
        row.effective_hit_rate = ratio(row.hits, row.requests);
        row.predicted = (predicted_n > 0).then(|| predicted / predicted_n as f64);
        row.backend_rate = backend as f64 / lasted;
        row.backend_queue = backend_queue;
        [row.p50_us, row.p90_us, row.p99_us, row.p999_us, row.max_us] = percentiles(&response);
        response.clear();
        self.row.response = response;
        if let Some(open) = self.phases.last() {
            self.row.row.phase.clone_from(&open.phase.name);
        }
        self.series.push(row);
        self.row_start = end;
    }

    fn close_window(&mut self) {
        let (epoch, window) = self.window_at;
        let percentiles_of = &mut self.epochs[epoch].percentiles;
        if percentiles_of.len() <= window {
            percentiles_of.resize(window + 1, [0; 5]);
        }
        percentiles_of[window] = percentiles(&self.window_response);
        self.window_response.clear();
    }

    fn end_phase(&mut self, now: Nanos, next_get: u64) {
        let Some(open) = self.phases.last_mut() else {
            return;
        };
        let phase = &mut open.phase;
        phase.end_seconds = seconds(now);
        phase.end_request = next_get;
        phase.hit_rate = phase.totals.hit_rate();
        let lasted = phase.end_seconds - phase.start_seconds;
        phase.backend_peak = found::peak(&self.backend_bins, phase.start_seconds, phase.end_seconds);
        phase.backend_rate = (lasted > 0.0).then(|| phase.totals.backend_reads as f64 / lasted);
        if phase.kind == "baseline" {
            let rows = &self.series[open.first_row.min(self.series.len())..];
            let counts: Vec<HitCount> = rows
                .iter()
                .map(|row| HitCount {
                    hits: row.hits,
                    misses: row.misses,
                })
                .filter(|count| count.hits + count.misses >= SLOPE_GETS_MIN)
                .collect();
            phase.is_warm = is_warm(&counts);
            let rates: Vec<f64> = counts.iter().filter_map(HitCount::rate).collect();
            phase.hit_rate_slope_pp_per_10s = slope(&rates).map(|per_second| per_second * 10.0 * 100.0);
        }
    }
}

impl Step {
    fn gets(&self) -> u64 {
        self.count.hits + self.count.misses + self.errors
    }
}

fn sum(steps: &[Step], part: impl Fn(&Step) -> HitCount) -> HitCount {
    steps.iter().map(part).fold(HitCount::default(), |a, b| HitCount {
        hits: a.hits + b.hits,
        misses: a.misses + b.misses,
    })
}

fn percentiles(micros: &Micros) -> [u64; 5] {
    [
        micros.quantile(0.5),
        micros.quantile(0.9),
        micros.quantile(0.99),
        micros.quantile(0.999),
        micros.max(),
    ]
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests;
