//! What was found, read out of the counts: the warm rate, windows after an event, and all series.

use super::{BIN, Recorder, SECOND, Step, seconds, sum};
use crate::measure::outcome::{HitCount, Latency, MissCounts, Phase, Row, Totals, ratio};
use crate::measure::recovery::Point;
use crate::measure::theory::{Mixture, STEP};

/// Gets that the warm hit rate is taken from when there was no baseline phase.
const WARM_GETS: u64 = 100_000;

impl Recorder {
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
            if phase.end_request == 0 {
                // It goes on: so far.
                phase.end_request = self.next_get();
                phase.hit_rate = phase.totals.hit_rate();
            }
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
}

/// The most backing store reads in any one second that lies within these two times; `None` for less than a second.
pub(super) fn peak(bins: &[u32], from: f64, to: f64) -> Option<f64> {
    let per_second = usize::try_from(SECOND / BIN).unwrap_or(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times of a run"
    )]
    let bin = |seconds: f64| (seconds * per_second as f64).round() as usize;
    let (from, to) = (bin(from), bin(to));
    if to < from + per_second {
        return None;
    }
    let at = |place: usize| u64::from(bins.get(place).copied().unwrap_or(0));
    let mut sum: u64 = (from..from + per_second).map(at).sum();
    let mut peak = sum;
    for next in from + per_second..to.min(bins.len()) {
        sum = sum + at(next) - at(next - per_second);
        peak = peak.max(sum);
    }
    Some(peak as f64)
}
