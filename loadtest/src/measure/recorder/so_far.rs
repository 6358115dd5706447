//! How the run stands, for those who watch it.

use super::Recorder;
use crate::measure::outcome::Totals;
use crate::measure::so_far::PhaseSoFar;

impl Recorder {
    /// The last `count` phases as they stand, the current one last; latencies in buckets bounded by `bounds_us`.
    #[must_use]
    pub fn phases_so_far(&self, count: usize, bounds_us: &[u64]) -> Vec<PhaseSoFar> {
        let from = self.phases.len().saturating_sub(count);
        let told = self.phases[from..].iter().map(|open| PhaseSoFar {
            name: open.phase.name.clone(),
            kind: open.phase.kind.clone(),
            totals: open.phase.totals,
            response: open.latencies.response.cumulative(bounds_us),
            service: open.latencies.service.cumulative(bounds_us),
            lag: open.latencies.lag.cumulative(bounds_us),
        });
        told.collect()
    }

    /// Hit rate of the latest baseline phase, if there was one.
    #[must_use]
    pub fn baseline_hit_rate(&self) -> Option<f64> {
        let mut latest_first = self.phases.iter().rev();
        let baseline = latest_first.find(|open| open.phase.kind == "baseline")?;
        baseline.phase.totals.hit_rate()
    }

    /// Response time of the current phase at a quantile, µs, and its sums.
    #[must_use]
    pub fn phase_so_far(&self, quantile: f64) -> (u64, Totals) {
        self.phases.last().map_or_else(Default::default, |open| {
            (open.latencies.response.quantile(quantile), open.phase.totals)
        })
    }

    /// Schedule lag so far, µs.
    #[must_use]
    pub fn lag_p99_us(&self) -> u64 {
        self.latencies.lag.quantile(0.99)
    }
}
