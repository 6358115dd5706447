//! When requests are meant to start. Intended times are data, not a side effect of sending: a generator that falls
//! behind falls behind the schedule, and the schedule tells by how much.

mod traced;

use std::sync::Arc;

use rand_distr::{Distribution as _, Exp1};

pub use self::traced::Traced;
use super::seed::Random;
use super::sizes::draw;
use super::trace::Row;
use crate::scenario::{Arrival, Distribution};

/// Nanoseconds since the start of the run.
pub type Nanos = u64;

/// How far apart the intended starts are, beside their mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Gaps {
    Arrival(Arrival),
    /// Drawn, then scaled to the rate: only the shape counts. `mean` is the distribution's own.
    Drawn {
        shape: Distribution,
        mean: f64,
    },
    /// As a trace has them.
    Traced(Traced),
}

impl Gaps {
    /// Of a distribution that has a mean to scale by, and no negative gaps to speak of.
    #[must_use]
    pub fn drawn(shape: Distribution) -> Option<Self> {
        let mean = match shape {
            Distribution::Fixed(_) => return Some(Self::Arrival(Arrival::Constant)),
            Distribution::Exponential { .. } => return Some(Self::Arrival(Arrival::Poisson)),
            Distribution::Uniform { min, max } => f64::midpoint(min, max),
            Distribution::Normal { mean, .. } | Distribution::Lognormal { mean, .. } => mean,
            Distribution::Pareto { loc, scale, shape } if shape < 1.0 => loc + scale / (1.0 - shape),
            Distribution::Pareto { .. } | Distribution::Gev { .. } | Distribution::FbValue => return None,
        };
        (mean > 0.0 && mean.is_finite()).then_some(Self::Drawn { shape, mean })
    }
}

/// Endless intended start times, ascending.
#[derive(Debug, Clone)]
pub struct Schedule {
    gaps: Gaps,
    random: Random,
    /// Not rounded: whole nanoseconds would drift at high rates.
    next: f64,
    mean_gap: f64,
    /// Of a burst, how many are still to come at the same moment.
    together: u32,
}

impl Schedule {
    /// From `start` on, `rate` per second (above zero). The first arrival of the Poisson process is a random gap
    /// away, that of the constant one is at once.
    #[must_use]
    pub fn new(arrival: Arrival, rate: f64, start: Nanos, random: Random) -> Self {
        Self::with_gaps(Gaps::Arrival(arrival), rate, start, random)
    }

    /// The same, with gaps of any shape.
    #[must_use]
    pub fn with_gaps(gaps: Gaps, rate: f64, start: Nanos, random: Random) -> Self {
        let first_is_a_gap = gaps != Gaps::Arrival(Arrival::Constant);
        let mut schedule = Self {
            gaps,
            random,
            next: start as f64,
            mean_gap: 1e9 / rate,
            together: 0,
        };
        if first_is_a_gap {
            schedule.next += schedule.gap();
        }
        schedule
    }

    /// The times of a trace's rows, `speed` times as fast, the first at 0; `None` if they have none.
    #[must_use]
    pub fn traced(rows: Arc<[Row]>, speed: f64, random: Random) -> Option<Self> {
        let traced = Traced::new(rows)?;
        Some(Self {
            mean_gap: traced.mean_ms() * 1e6 / speed,
            gaps: Gaps::Traced(traced),
            random,
            next: 0.0,
            together: 0,
        })
    }

    /// The same, so much later.
    #[must_use]
    pub fn starting_at(mut self, start: Nanos) -> Self {
        self.next += start as f64;
        self
    }

    /// The next intended start.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "584 years fit"
    )]
    pub fn peek(&self) -> Nanos {
        self.next as Nanos
    }

    /// Moves on to the one after.
    pub fn advance(&mut self) {
        self.next += self.gap();
    }

    /// Another rate from `now` on: what is left of the gap under way is stretched with it.
    pub fn set_rate(&mut self, rate: f64, now: Nanos) {
        let gap = 1e9 / rate;
        let left = (self.next - now as f64).max(0.0);
        self.next += left * (gap / self.mean_gap - 1.0);
        self.mean_gap = gap;
    }

    #[must_use]
    pub fn rate(&self) -> f64 {
        1e9 / self.mean_gap
    }

    fn gap(&mut self) -> f64 {
        match &mut self.gaps {
            Gaps::Arrival(Arrival::Constant) => self.mean_gap,
            Gaps::Arrival(Arrival::Poisson) => {
                let unit: f64 = Exp1.sample(&mut self.random);
                self.mean_gap * unit
            }
            Gaps::Arrival(Arrival::Burst(size)) => {
                if let Some(left) = self.together.checked_sub(1) {
                    self.together = left;
                    return 0.0;
                }
                self.together = *size - 1;
                let unit: f64 = Exp1.sample(&mut self.random);
                self.mean_gap * f64::from(*size) * unit
            }
            Gaps::Traced(traced) => self.mean_gap * traced.next_gap(),
            Gaps::Drawn { shape, mean } => (self.mean_gap * draw(shape, &mut self.random) / *mean).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gaps, Schedule};
    use crate::scenario::{Arrival, Distribution};
    use crate::workload::seed::stream;

    #[test]
    fn poisson_gaps_are_exponential() {
        for (seed, rate) in [(1, 5_000.0), (2, 250_000.0)] {
            let mut schedule = Schedule::new(Arrival::Poisson, rate, 0, stream(seed, "arrival", 0));
            let mut last = 0;
            let mut gaps: Vec<f64> = (0..20_000)
                .map(|_| {
                    let at = schedule.peek();
                    schedule.advance();
                    let gap = (at - std::mem::replace(&mut last, at)) as f64;
                    gap / 1e9 * rate
                })
                .collect();
            gaps.sort_by(f64::total_cmp);
            // Kolmogorov–Smirnov: 1.95/√n is the 0.1 % point.
            let n = gaps.len() as f64;
            let distance = gaps
                .iter()
                .enumerate()
                .map(|(i, gap)| {
                    let cdf = 1.0 - (-gap).exp();
                    (cdf - i as f64 / n).abs().max(((i + 1) as f64 / n - cdf).abs())
                })
                .fold(0.0, f64::max);
            assert!(distance < 1.95 / n.sqrt(), "seed {seed}: distance {distance}");
        }
    }

    #[test]
    fn gaps_of_any_shape_keep_the_rate() {
        let facebook = Distribution::Pareto {
            loc: 0.0,
            scale: 16.0292,
            shape: 0.154_971,
        };
        for shape in [facebook, Distribution::Uniform { min: 0.0, max: 7.0 }] {
            let gaps = Gaps::drawn(shape).unwrap();
            let mut schedule = Schedule::with_gaps(gaps.clone(), 10_000.0, 0, stream(3, "arrival", 0));
            for _ in 0..200_000 {
                schedule.advance();
            }
            let rate = 200_000.0 / (schedule.peek() as f64 / 1e9);
            assert!((rate / 10_000.0 - 1.0).abs() < 0.02, "{gaps:?}: {rate}");
        }
        assert_eq!(
            Gaps::drawn(Distribution::Exponential { mean: 5.0 }),
            Some(Gaps::Arrival(Arrival::Poisson))
        );
    }

    #[test]
    fn bursts_come_together_and_as_rarely_as_the_rate_asks() {
        let mut schedule = Schedule::new(Arrival::Burst(50), 10_000.0, 0, stream(4, "arrival", 0));
        let mut sizes = std::collections::BTreeMap::new();
        for _ in 0..200_000 {
            *sizes.entry(schedule.peek()).or_insert(0) += 1;
            schedule.advance();
        }
        assert_eq!(sizes.len(), 4_000);
        assert!(sizes.values().all(|size| *size == 50));
        // 4,000 exponential gaps: the mean is known to 1.6 %.
        let rate = 200_000.0 / (schedule.peek() as f64 / 1e9);
        assert!((rate / 10_000.0 - 1.0).abs() < 0.065, "{rate}");
        // Another rate: the bursts stay whole.
        schedule.set_rate(20_000.0, 0);
        assert!((schedule.rate() - 20_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_constant_schedule_keeps_its_rate_without_drift() {
        let mut schedule = Schedule::new(Arrival::Constant, 3_000.0, 1_000, stream(1, "arrival", 0));
        assert_eq!(schedule.peek(), 1_000);
        for _ in 0..3_000_000 {
            schedule.advance();
        }
        assert!(
            schedule.peek().abs_diff(1_000_000_001_000) <= 1_000,
            "{}",
            schedule.peek()
        );
    }
}
