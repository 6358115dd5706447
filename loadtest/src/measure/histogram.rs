//! Latency, told three ways: response (from the intended start), service (from the send), lag (from intended start to
//! send). A closed loop has no schedule: its response is its service.

use hdrhistogram::Histogram;

use super::outcome::{Latency, Percentiles};
use super::so_far::Cumulative;

/// Longest latency told apart, µs: a minute. Longer ones count as this.
const HIGHEST_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// One histogram, 1 µs to 60 s at three digits.
#[derive(Debug, Clone)]
pub struct Micros(Histogram<u64>);

impl Default for Micros {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, DIGITS);
        Self(histogram.expect("the bounds are constants that make sense"))
    }
}

impl Micros {
    /// Counts one latency in nanoseconds, rounded to the nearest µs but at least 1.
    pub fn record(&mut self, nanos: u64) {
        self.0
            .saturating_record((nanos.saturating_add(500) / 1000).max(1));
    }

    pub fn add(&mut self, other: &Self) {
        // Same bounds on both sides: nothing can be out of range.
        self.0.add(&other.0).expect("both have the same bounds");
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        if self.0.is_empty() {
            0
        } else {
            self.0.value_at_quantile(quantile)
        }
    }

    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// How many were at most each of `bounds_us` (ascending), with their count and sum.
    #[must_use]
    pub fn cumulative(&self, bounds_us: &[u64]) -> Cumulative {
        let mut counts = vec![0; bounds_us.len()];
        let mut sum_us = 0.0;
        for step in self.0.iter_recorded() {
            let (value, count) = (step.value_iterated_to(), step.count_at_value());
            sum_us += self.0.median_equivalent(value) as f64 * count as f64;
            if let Some(bucket) = counts.get_mut(bounds_us.partition_point(|bound| *bound < value)) {
                *bucket += count;
            }
        }
        let mut below = 0;
        for count in &mut counts {
            below += *count;
            *count = below;
        }
        Cumulative {
            counts,
            count: self.count(),
            sum_seconds: sum_us / 1e6,
        }
    }

    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.count(),
            mean_us: self.0.mean(),
            p50_us: self.quantile(0.5),
            p90_us: self.quantile(0.9),
            p95_us: self.quantile(0.95),
            p99_us: self.quantile(0.99),
            p999_us: self.quantile(0.999),
            p9999_us: self.quantile(0.9999),
            max_us: self.max(),
            buckets: self
                .0
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }
}

/// The three together.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    pub response: Micros,
    pub service: Micros,
    pub lag: Micros,
}

impl Latencies {
    /// One request: when it was meant to start, was sent, and had its answer; nanoseconds on one clock.
    pub fn record(&mut self, intended: u64, sent: u64, done: u64) {
        self.response.record(done.saturating_sub(intended));
        self.service.record(done.saturating_sub(sent));
        self.lag.record(sent.saturating_sub(intended));
    }

    pub fn add(&mut self, other: &Self) {
        self.response.add(&other.response);
        self.service.add(&other.service);
        self.lag.add(&other.lag);
    }

    #[must_use]
    pub fn told(&self, phase: &str) -> Latency {
        Latency {
            phase: phase.to_owned(),
            response: self.response.percentiles(),
            service: self.service.percentiles(),
            lag: self.lag.percentiles(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Latencies, Micros};

    #[test]
    fn response_is_lag_and_service_together() {
        let mut latencies = Latencies::default();
        for i in 1..=1000 {
            latencies.record(0, i * 1_000_000, i * 1_000_000 + 2_000_000);
        }
        let told = latencies.told("x");
        assert_eq!((told.service.p50_us, told.service.max_us / 10), (2_000, 200));
        assert!(told.lag.p50_us.abs_diff(500_000) < 1_000, "{}", told.lag.p50_us);
        assert!(
            told.response.p99_us.abs_diff(992_000) < 1_500,
            "{}",
            told.response.p99_us
        );
        assert_eq!(
            told.response.buckets.iter().map(|(_, count)| count).sum::<u64>(),
            1000
        );
        let mut twice = latencies.clone();
        twice.add(&latencies);
        assert_eq!(twice.lag.count(), 2000);
    }

    #[test]
    fn buckets_count_everything_up_to_their_bound() {
        let mut micros = Micros::default();
        for us in [90, 100, 101, 5_000, 7_000_000] {
            micros.record(us * 1000);
        }
        let told = micros.cumulative(&[100, 1_000, 10_000]);
        assert_eq!((told.counts, told.count), (vec![2, 3, 4], 5));
        assert!(
            (told.sum_seconds - 7.005_291).abs() < 0.01,
            "{}",
            told.sum_seconds
        );
    }

    #[test]
    fn what_is_out_of_range_counts_at_the_edge() {
        let mut latencies = Latencies::default();
        latencies.record(0, 0, 0);
        latencies.record(0, 0, u64::MAX);
        let told = latencies.told("");
        assert_eq!(told.lag.max_us, 1);
        assert!(told.response.max_us >= 60_000_000);
    }
}
