//! The rate of an open loop that changes by itself: stage after stage, each a straight line to its target.

use std::time::Duration;

/// From the rate as it is to `target` requests per second, in this time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    pub target: f64,
    pub duration: Duration,
}

/// The rate from the start of the run on; after the last stage it stays.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// Requests per second at the start.
    pub rate: f64,
    pub stages: &'a [Stage],
}

impl Course<'_> {
    #[must_use]
    pub fn rate_at(&self, seconds: f64) -> f64 {
        let (mut from, mut left) = (self.rate, seconds);
        for stage in self.stages {
            let lasts = stage.duration.as_secs_f64();
            if left < lasts {
                return from + (stage.target - from) * left / lasts;
            }
            (from, left) = (stage.target, left - lasts);
        }
        from
    }

    /// Requests offered in the first `seconds`.
    #[must_use]
    pub fn requests_until(&self, seconds: f64) -> f64 {
        let (mut from, mut left, mut requests) = (self.rate, seconds, 0.0);
        for stage in self.stages {
            let lasts = stage.duration.as_secs_f64();
            if stage.duration.is_zero() {
                from = stage.target;
                continue;
            }
            let part = left.min(lasts);
            let reached = from + (stage.target - from) * part / lasts;
            requests += f64::midpoint(from, reached) * part;
            (from, left) = (reached, left - part);
        }
        requests + from * left.max(0.0)
    }

    /// Seconds until so many requests have been offered.
    #[must_use]
    pub fn seconds_until(&self, requests: f64) -> f64 {
        let slowest = self
            .stages
            .iter()
            .map(|stage| stage.target)
            .fold(self.rate, f64::min);
        let (mut low, mut high) = (0.0, requests / slowest);
        while high - low > 1e-6 * high {
            let middle = f64::midpoint(low, high);
            if self.requests_until(middle) < requests {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Course, Stage};

    #[test]
    fn the_rate_goes_in_straight_lines_and_then_stays() {
        let stage = |target, seconds| Stage {
            target,
            duration: Duration::from_secs(seconds),
        };
        let stages = [
            stage(3000.0, 10),
            stage(3000.0, 5),
            stage(500.0, 0),
            stage(1500.0, 10),
        ];
        let course = Course {
            rate: 1000.0,
            stages: &stages,
        };
        for (seconds, rate, requests) in [
            (0.0, 1000.0, 0.0),
            (5.0, 2000.0, 7_500.0),
            (10.0, 3000.0, 20_000.0),
            (14.0, 3000.0, 32_000.0),
            (20.0, 1000.0, 35_000.0 + 3_750.0),
            (25.0, 1500.0, 45_000.0),
            (35.0, 1500.0, 60_000.0),
        ] {
            assert!(
                (course.rate_at(seconds) - rate).abs() < 1e-9,
                "{seconds} s: {}",
                course.rate_at(seconds)
            );
            let found = course.requests_until(seconds);
            assert!((found - requests).abs() < 1e-6, "{seconds} s: {found}");
            assert!(
                (course.seconds_until(requests) - seconds).abs() < 1e-3,
                "{requests}"
            );
        }
    }
}
