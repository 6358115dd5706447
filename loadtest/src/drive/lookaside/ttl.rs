//! How long what is stored lives, and from when on it may be gone.

use std::num::NonZeroU32;

use rand::RngExt;

use crate::scenario::Ttl;
use crate::workload::arrival::Nanos;
use crate::workload::seed::Random;

/// The TTL that a request brought along, in seconds, if it did; kept in four bytes as one more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GivenTtl(Option<NonZeroU32>);

impl GivenTtl {
    pub(super) fn new(seconds: Option<u32>) -> Self {
        Self(seconds.and_then(|seconds| NonZeroU32::new(seconds.saturating_add(1))))
    }

    pub(super) fn seconds(self) -> Option<u32> {
        self.0.map(|one_more| one_more.get() - 1)
    }
}

/// Seconds to live of one store: the trace's own, or the scenario's with its jitter. 0 is for ever.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats saturate"
)]
pub(super) fn draw(given: Option<u32>, ttl: Option<&Ttl>, random: &mut Random) -> u32 {
    match (given, ttl) {
        (Some(seconds), _) => seconds,
        (None, None) => 0,
        (None, Some(ttl)) => {
            let mut base = ttl.base;
            if !ttl.mix.is_empty() {
                let mut left: f64 = random.random();
                for (one, share) in &ttl.mix {
                    base = *one;
                    left -= share;
                    if left < 0.0 {
                        break;
                    }
                }
            }
            let factor = 1.0 + ttl.drawn_jitter() * (2.0 * random.random::<f64>() - 1.0);
            ((base.as_secs_f64() * factor).round() as u32).max(1)
        }
    }
}

/// The second from which on an item stored (or touched) at `now` may have expired, the share `early` of its TTL before
/// its time; 1 or later, since 0 is never.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats saturate"
)]
pub(super) fn earliest_expiry(now: Nanos, ttl: u32, early: f64) -> u32 {
    (now as f64 / 1e9 + f64::from(ttl) * (1.0 - early) - 1.0).max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{GivenTtl, draw, earliest_expiry};
    use crate::scenario::{JitterBy, Ttl};
    use crate::workload::seed::stream;

    fn ttl(base: u64, jitter: f64) -> Ttl {
        Ttl {
            base: Duration::from_secs(base),
            jitter,
            jitter_by: None,
            mix: Vec::new(),
        }
    }

    #[test]
    fn jitter_is_uniform_over_its_width() {
        for (seed, jitter) in [(1, 0.05), (2, 0.1), (3, 0.5)] {
            let (ttl, n) = (ttl(1_000_000, jitter), 20_000_u32);
            let mut random = stream(seed, "ttl", 0);
            let mut drawn: Vec<f64> = (0..n)
                .map(|_| f64::from(draw(None, Some(&ttl), &mut random)) / 1e6)
                .collect();
            drawn.sort_by(f64::total_cmp);
            assert!(drawn[0] >= 1.0 - jitter && drawn[drawn.len() - 1] <= 1.0 + jitter);
            // Kolmogorov–Smirnov: 1.95/√n is the 0.1 % point.
            let distance = (0_u32..)
                .zip(&drawn)
                .map(|(i, value)| {
                    let cdf = (value - (1.0 - jitter)) / (2.0 * jitter);
                    let (below, above) = (f64::from(i) / f64::from(n), f64::from(i + 1) / f64::from(n));
                    (cdf - below).abs().max((above - cdf).abs())
                })
                .fold(0.0, f64::max);
            assert!(
                distance < 1.95 / f64::from(n).sqrt(),
                "jitter {jitter}: distance {distance}"
            );
        }
    }

    #[test]
    fn several_ttls_come_in_their_shares_and_a_given_one_as_it_is() {
        let mut mixed = ttl(60, 0.0);
        mixed.mix = vec![(Duration::from_secs(60), 0.7), (Duration::from_secs(600), 0.3)];
        let mut random = stream(4, "ttl", 0);
        let long = (0..10_000)
            .filter(|_| draw(None, Some(&mixed), &mut random) == 600)
            .count();
        // Four standard deviations.
        assert!(long.abs_diff(3_000) < 184, "{long}");
        assert_eq!(draw(Some(7), Some(&mixed), &mut random), 7);
        assert_eq!(draw(None, None, &mut random), 0);
        let by_nodes = Ttl {
            jitter_by: Some(JitterBy::Node),
            ..ttl(60, 0.5)
        };
        assert_eq!(draw(None, Some(&by_nodes), &mut random), 60);
        for given in [None, Some(0), Some(1), Some(86_400)] {
            assert_eq!(GivenTtl::new(given).seconds(), given);
        }
    }

    #[test]
    fn nothing_is_called_expired_before_a_node_may_have_let_it_go() {
        let at_10s = 10_000_000_000;
        assert_eq!(earliest_expiry(at_10s, 60, 0.1), 63);
        assert_eq!(earliest_expiry(at_10s, 60, 0.0), 69);
        assert_eq!(earliest_expiry(0, 1, 0.5), 1, "0 would be never");
    }
}
