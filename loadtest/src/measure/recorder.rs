//! Counts everything as it comes: totals, phases, one row per second, and steps of 1,000 gets counted from the start
//! and again from every event. Told the time; never asks for it.

use super::histogram::{Latencies, Micros};
use super::miss_reason::Reason;
use super::outcome::{HitCount, Latency, MissCounts, Phase, Row, Totals, ratio};
use super::recovery::{Point, slope};
use super::theory::{Mixture, STEP};
use crate::workload::arrival::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// Seconds without any reply are still rows, but not for ever: a suspended machine wakes to one row.
const EMPTY_ROWS_MAX: u64 = 3600;
/// Gets that the warm hit rate is taken from when there was no baseline phase.
const WARM_GETS: u64 = 100_000;
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

    pub fn backend_read(&mut self) {
        self.row.backend += 1;
        self.count(|totals| totals.backend_reads += 1);
    }

    pub fn stale(&mut self) {
        self.row.row.stale += 1;
        self.count(|totals| totals.stale_reads += 1);
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

    /// An event takes effect: gets from number `base` on are counted anew, beside `mixture`.
    pub fn event(&mut self, now: Nanos, base: u64, mixture: Option<Mixture>) {
        self.epochs.push(Epoch {
            base,
            at: now,
            mixture,
            ..Epoch::default()
        });
    }

    // ---- what was found ----

    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    #[must_use]
    pub fn series(&self) -> &[Row] {
        &self.series
    }

    /// Hits and misses since this was last asked.
    pub fn take_recent(&mut self) -> HitCount {
        std::mem::take(&mut self.last_hits)
    }

    /// The warm hit rate before an event now: the latest baseline phase since the last event, else the last 100,000
    /// gets since then.
    #[must_use]
    pub fn warm(&self) -> Option<f64> {
        let epoch = self.epochs.last()?;
        let baseline = self.phases.iter().rev().find(|open| {
            open.phase.kind == "baseline"
                && open.phase.start_request >= epoch.base
                && open.phase.totals.hits > 0
        });
        if let Some(open) = baseline {
            return open.phase.totals.hit_rate();
        }
        let steps = usize::try_from(WARM_GETS / STEP).unwrap_or(usize::MAX);
        let (hits, all) = epoch
            .steps
            .iter()
            .rev()
            .take(steps)
            .fold((0, 0), |(hits, all), step| {
                (hits + step.count.hits, all + step.count.hits + step.count.misses)
            });
        ratio(hits, all)
    }

    /// Backing store reads per second in the latest baseline phase.
    #[must_use]
    pub fn warm_backend_rate(&self) -> Option<f64> {
        let open = self
            .phases
            .iter()
            .rev()
            .find(|open| open.phase.kind == "baseline")?;
        open.phase.backend_rate
    }

    /// Windows after event number `event` (0 the first), whole ones only, until the next event.
    #[must_use]
    pub fn points(&self, event: usize) -> Vec<Point> {
        let Some(epoch) = self.epochs.get(event + 1) else {
            return Vec::new();
        };
        epoch
            .steps
            .chunks_exact(self.window_steps)
            .zip(1..)
            .filter(|(steps, _)| steps.iter().all(|step| step.gets() >= STEP))
            .map(|(steps, number)| Point {
                count: sum(steps, |step| step.count),
                requests: number * self.window_steps as u64 * STEP,
                seconds: seconds(
                    steps
                        .iter()
                        .map(|step| step.ended_at)
                        .max()
                        .unwrap_or(0)
                        .saturating_sub(epoch.at),
                ),
            })
            .collect()
    }

    /// Hit rate over the first `gets` after an event; `None` if fewer came.
    #[must_use]
    pub fn first(&self, event: usize, gets: u64) -> Option<f64> {
        let steps = self
            .epochs
            .get(event + 1)?
            .steps
            .get(..usize::try_from(gets / STEP).ok()?)?;
        let whole = steps.iter().map(Step::gets).sum::<u64>() >= gets;
        whole.then(|| sum(steps, |step| step.count).rate()).flatten()
    }

    /// Gets of affected keys and of the others, after an event.
    #[must_use]
    pub fn sides(&self, event: usize) -> (HitCount, HitCount) {
        let steps = self.epochs.get(event + 1).map_or(&[][..], |epoch| &epoch.steps);
        (
            sum(steps, |step| step.affected),
            sum(steps, |step| step.unaffected),
        )
    }

    /// Misses by reason over the first `windows` windows after an event.
    #[must_use]
    pub fn reasons(&self, event: usize, windows: usize) -> MissCounts {
        let mut total = MissCounts::default();
        let steps = self.epochs.get(event + 1).map_or(&[][..], |epoch| &epoch.steps);
        for step in steps.iter().take(windows.saturating_mul(self.window_steps)) {
            total.add(&step.reasons);
        }
        total
    }

    /// The prediction that was set for an event.
    #[must_use]
    pub fn mixture(&self, event: usize) -> Option<&Mixture> {
        self.epochs.get(event + 1)?.mixture.as_ref()
    }

    #[must_use]
    pub fn window_gets(&self) -> u64 {
        self.window_steps as u64 * STEP
    }

    /// Everything that needs no event: totals, phases, both series, latencies.
    #[must_use]
    pub fn told(&self) -> (Totals, Vec<Phase>, Vec<Row>, Vec<Row>, Vec<Latency>) {
        let requests = self.request_series();
        let phases = self.phases.iter().map(|open| {
            let mut phase = open.phase.clone();
            let inside = requests.iter().filter(|row| {
                row.first_request >= phase.start_request
                    && row.first_request + row.requests <= phase.end_request
                    && row.requests >= STEP
            });
            let rates: Vec<f64> = inside.filter_map(|row| row.hit_rate).collect();
            phase.hit_rate_min = rates.iter().copied().reduce(f64::min);
            phase.hit_rate_max = rates.iter().copied().reduce(f64::max);
            phase
        });
        let mut latency = vec![self.latencies.told("")];
        latency.extend(
            self.phases
                .iter()
                .map(|open| open.latencies.told(&open.phase.name)),
        );
        (
            self.totals,
            phases.collect(),
            self.series.clone(),
            requests.clone(),
            latency,
        )
    }

    fn request_series(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for epoch in &self.epochs {
            let mut t = epoch.at;
            for (number, steps) in epoch.steps.chunks(self.window_steps).enumerate() {
                let count = sum(steps, |step| step.count);
                let errors = steps.iter().map(|step| step.errors).sum();
                let first_request = epoch.base + number as u64 * self.window_gets();
                let ended = steps.iter().map(|step| step.ended_at).max().unwrap_or(t).max(t);
                let lasted = seconds(ended - t);
                let requests = count.hits + count.misses + errors;
                let mut misses_by_reason = MissCounts::default();
                steps.iter().for_each(|step| misses_by_reason.add(&step.reasons));
                let phase = self
                    .phases
                    .iter()
                    .rfind(|open| open.phase.start_request <= first_request)
                    .map_or_else(String::new, |open| open.phase.name.clone());
                let [p50_us, p90_us, p99_us, p999_us, max_us] =
                    epoch.percentiles.get(number).copied().unwrap_or_default();
                let per_second = |n: u64| if lasted > 0.0 { n as f64 / lasted } else { 0.0 };
                let predicted = steps.iter().map(|step| step.predicted).sum::<f64>();
                rows.push(Row {
                    t: seconds(t),
                    seconds: lasted,
                    first_request,
                    requests,
                    phase,
                    rate_offered: per_second(requests),
                    rate_done: per_second(count.hits + count.misses),
                    hits: count.hits,
                    misses: count.misses,
                    hit_rate: count.rate(),
                    effective_hit_rate: ratio(count.hits, requests),
                    predicted: epoch
                        .mixture
                        .as_ref()
                        .and(count.rate())
                        .map(|_| predicted / (count.hits + count.misses) as f64),
                    affected: (epoch.base > 0).then(|| sum(steps, |step| step.affected)),
                    unaffected: (epoch.base > 0).then(|| sum(steps, |step| step.unaffected)),
                    backend_rate: per_second(count.misses),
                    p50_us,
                    p90_us,
                    p99_us,
                    p999_us,
                    max_us,
                    errors,
                    misses_by_reason,
                    ..Row::default()
                });
                t = ended;
            }
        }
        rows
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
        phase.backend_rate = (lasted > 0.0).then(|| phase.totals.backend_reads as f64 / lasted);
        if phase.kind == "baseline" {
            let rates: Vec<f64> = self.series[open.first_row.min(self.series.len())..]
                .iter()
                .filter(|row| row.hits + row.misses >= SLOPE_GETS_MIN)
                .filter_map(|row| row.hit_rate)
                .collect();
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
mod tests {
    use super::{GetEnd, Recorder, SECOND, Timing};
    use crate::measure::miss_reason::Reason;
    use crate::measure::theory::{ColdCurve, Mixture};

    fn at(done: u64) -> Timing {
        Timing {
            intended: done - 2000,
            sent: done - 1000,
            done,
        }
    }

    /// 1,000 gets a second, of which `hits` in every thousand hit.
    fn second(recorder: &mut Recorder, start: u64, hits: u64) {
        for i in 0..1000 {
            let get = recorder.totals().gets;
            recorder.offered();
            recorder.get_sent();
            let end = if i % 1000 < hits {
                GetEnd::Hit
            } else {
                GetEnd::Miss(Reason::Remapped)
            };
            let now = (start * 1000 + i + 1) * SECOND / 1000;
            recorder.get(get, end, i % 2 == 0, at(now));
            recorder.tick(now, 3);
        }
    }

    #[test]
    fn seconds_phases_and_steps_add_up_to_the_same_totals() {
        let mut recorder = Recorder::new(1000);
        recorder.start(0);
        recorder.begin_phase(0, "steady", "baseline");
        for start in 0..4 {
            second(&mut recorder, start, 800);
        }
        assert_eq!(recorder.warm(), Some(0.8));
        recorder.begin_phase(4 * SECOND, "resize", "measure");
        let mixture = Mixture {
            warm: 0.8,
            cold_share: 1.0,
            cold: ColdCurve(vec![0.5]),
        };
        recorder.event(4 * SECOND, 4000, Some(mixture));
        second(&mut recorder, 4, 500);
        second(&mut recorder, 5, 790);
        recorder.finish(6 * SECOND + SECOND / 2, 0);
        let (totals, phases, series, requests, latency) = recorder.told();
        assert_eq!((totals.gets, totals.hits, totals.misses), (6000, 4490, 1510));
        assert_eq!(totals.misses_by_reason.misses(), totals.misses);
        for rows in [&series, &requests] {
            assert_eq!(rows.iter().map(|row| row.hits).sum::<u64>(), totals.hits);
            assert_eq!(
                rows.iter().map(|row| row.misses_by_reason.misses()).sum::<u64>(),
                totals.misses
            );
        }
        assert_eq!(
            phases.iter().map(|phase| phase.totals.gets).collect::<Vec<_>>(),
            [4000, 2000]
        );
        assert_eq!(
            (phases[1].hit_rate_min, phases[1].hit_rate_max),
            (Some(0.5), Some(0.79))
        );
        assert!(phases[0].hit_rate_slope_pp_per_10s.unwrap().abs() < 1e-9);
        assert_eq!(series.len(), 6);
        assert_eq!(
            (series[4].hit_rate, series[4].phase.as_str()),
            (Some(0.5), "resize")
        );
        assert!((series[4].predicted.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!((series[3].affected, series[3].predicted), (None, None));
        assert_eq!((series[3].p50_us, latency[0].lag.p50_us), (2, 1));
        assert_eq!(recorder.first(0, 1000), Some(0.5));
        assert_eq!(recorder.first(0, 5000), None);
        let (affected, unaffected) = recorder.sides(0);
        assert_eq!(affected.hits + unaffected.hits, 1290);
        let points = recorder.points(0);
        assert_eq!((points.len(), points[1].requests), (2, 2000));
        assert!((points[1].seconds - 2.0).abs() < 1e-9);
    }

    #[test]
    fn silence_is_rows_of_nothing() {
        let mut recorder = Recorder::new(1000);
        recorder.start(0);
        recorder.tick(3 * SECOND + 1, 9);
        assert_eq!(recorder.series().len(), 3);
        assert!(
            recorder
                .series()
                .iter()
                .all(|row| row.requests == 0 && row.hit_rate.is_none())
        );
    }

    #[test]
    fn errors_are_neither_hits_nor_misses() {
        let mut recorder = Recorder::new(1000);
        recorder.start(0);
        recorder.get_sent();
        recorder.get(0, GetEnd::Error, false, at(SECOND / 2));
        recorder.error(true);
        recorder.finish(SECOND, 0);
        let totals = recorder.totals();
        assert_eq!(
            (totals.gets, totals.done, totals.errors, totals.timeouts),
            (1, 0, 1, 1)
        );
        assert_eq!(
            (totals.hit_rate(), totals.effective_hit_rate()),
            (None, Some(0.0))
        );
        assert_eq!(totals.misses_by_reason.error, 1);
    }
}
