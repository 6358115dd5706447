//! TTL jitter: how an exptime becomes the second at which an item stops being visible.
//! Draws nothing and asks no clock: both are given.

use protocol::{Expiry, Exptime, UnixSeconds};

/// Which way jitter moves a TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JitterMode {
    /// Shorter or longer, equally likely.
    #[default]
    Symmetric,
    /// Only shorter: an item is never staler than asked.
    Early,
}

/// How much and which way TTLs are moved, so that items stored together do not expire together.
///
/// Moved are relative exptimes (1 second to 30 days). Zero (never), negative (at once) and Unix times, which name a
/// moment the client means, are left alone, and so are TTLs too short to move by a whole second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// Share of the TTL by which it may move, in thousandths (at most 1000).
    pub permille: u32,
    /// Which way.
    pub mode: JitterMode,
}

impl Jitter {
    /// TTLs are kept to the second.
    pub const NONE: Self = Self {
        permille: 0,
        mode: JitterMode::Symmetric,
    };

    /// The expiry of `exptime` at `now`, moved by `draw`, a uniformly random number made for this store or touch.
    #[inline]
    #[must_use]
    pub fn expiry(self, exptime: Exptime, now: UnixSeconds, draw: u32) -> Expiry {
        self.apply(exptime, draw).expiry(now)
    }

    /// The exptime moved by `draw`: uniform over the whole seconds within reach, both ends included.
    #[inline]
    #[must_use]
    pub fn apply(self, exptime: Exptime, draw: u32) -> Exptime {
        let ttl = exptime.0;
        if self.permille == 0 || !(1..=Exptime::RELATIVE_MAX).contains(&ttl) {
            return exptime;
        }
        let reach = ttl * i64::from(self.permille.min(1000)) / 1000;
        if reach == 0 {
            return exptime;
        }
        let choices = match self.mode {
            JitterMode::Symmetric => 2 * reach + 1,
            JitterMode::Early => reach + 1,
        };
        // Maps 32 random bits onto the choices without a division; the bias is below choices / 2^32.
        let pick = (i64::from(draw) * choices) >> 32;
        // At least one second stays, and no TTL grows into the range that means a Unix time.
        Exptime((ttl - reach + pick).clamp(1, Exptime::RELATIVE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng as _, RngExt as _, SeedableRng as _};

    use super::*;

    const DRAWS: usize = 50_000;

    /// Kolmogorov and Smirnov's statistic: how far the shares of TTLs up to each whole second are from those of a
    /// uniform distribution over `first..=last`, at most.
    fn distance_from_uniform(ttls: &[i64], first: i64, last: i64) -> f64 {
        let mut sorted = ttls.to_vec();
        sorted.sort_unstable();
        assert!(
            sorted[0] >= first && sorted[sorted.len() - 1] <= last,
            "within reach"
        );
        let count = |n: usize| f64::from(u32::try_from(n).unwrap());
        let seconds = f64::from(i32::try_from(last - first + 1).unwrap());
        (first..=last)
            .map(|ttl| {
                let seen = count(sorted.partition_point(|&other| other <= ttl)) / count(sorted.len());
                let wanted = f64::from(i32::try_from(ttl - first + 1).unwrap()) / seconds;
                (seen - wanted).abs()
            })
            .fold(0.0, f64::max)
    }

    /// Farther away than this is a uniform distribution once in a thousand times.
    fn bound(draws: usize) -> f64 {
        1.95 / f64::from(u32::try_from(draws).unwrap()).sqrt()
    }

    fn drawn(jitter: Jitter, ttl: i64, seed: u64) -> Vec<i64> {
        let mut rng = SmallRng::seed_from_u64(seed);
        (0..DRAWS)
            .map(|_| jitter.apply(Exptime(ttl), rng.next_u32()).0)
            .collect()
    }

    #[test]
    fn ttls_are_uniform_over_all_that_is_within_reach() {
        for (seed, ttl) in (0..).zip([20, 60, 300, 3600, 86_400, 1_000_000]) {
            for (permille, mode) in [
                (100, JitterMode::Symmetric),
                (100, JitterMode::Early),
                (500, JitterMode::Symmetric),
            ] {
                let reach = ttl * i64::from(permille) / 1000;
                let last = if mode == JitterMode::Early {
                    ttl
                } else {
                    ttl + reach
                };
                let ttls = drawn(Jitter { permille, mode }, ttl, seed);
                let distance = distance_from_uniform(&ttls, ttl - reach, last);
                assert!(
                    distance < bound(DRAWS),
                    "{ttl} s by {permille} permille, {mode:?}: {distance}"
                );
            }
        }
    }

    #[test]
    fn the_bound_tells_a_distribution_that_is_not_uniform() {
        let jitter = Jitter {
            permille: 100,
            mode: JitterMode::Symmetric,
        };
        // The mean of two draws: more in the middle, the same ends.
        let (one, two) = (drawn(jitter, 3600, 1), drawn(jitter, 3600, 2));
        let middling: Vec<i64> = one.iter().zip(&two).map(|(one, two)| (one + two) / 2).collect();
        assert!(distance_from_uniform(&middling, 3240, 3960) > 10.0 * bound(DRAWS));
        // One in twenty seconds of the spread is missing at its end.
        let tilted: Vec<i64> = one.iter().map(|ttl| ttl - (ttl - 3240) / 20).collect();
        assert!(distance_from_uniform(&tilted, 3240, 3960) > bound(DRAWS));
    }

    /// Misses in the worst second, if so many keys are stored in one second with this TTL, each is asked for at its own
    /// times, `rate` a second, and the first to ask after the expiry stores it again.
    fn herd(jitter: Jitter, keys: u32, ttl: i64, rate: f64) -> f64 {
        let mut rng = SmallRng::seed_from_u64(u64::from(jitter.permille));
        let mut misses = vec![0_u32; 1000];
        for _key in 0..keys {
            let expiry = u32::try_from(jitter.apply(Exptime(ttl), rng.next_u32()).0).unwrap();
            let asked = f64::from(expiry) - (1.0 - rng.random::<f64>()).ln() / rate;
            if let Some(second) = misses
                .iter_mut()
                .zip(1..)
                .find(|(_, end)| asked < f64::from(*end))
            {
                *second.0 += 1;
            }
        }
        f64::from(misses.into_iter().max().unwrap_or(0))
    }

    #[test]
    fn what_was_stored_together_comes_back_as_spread_as_theory_says() {
        let (keys, ttl, rate) = (200_000, 60, 0.5_f64);
        let n = f64::from(keys);
        for permille in [0, 50, 100, 200] {
            let jitter = Jitter {
                permille,
                mode: JitterMode::Symmetric,
            };
            // Over W seconds, N/W (1 - exp(-rW)); all in one second, N (1 - exp(-r)).
            let width = 2.0 * f64::from(permille) / 1000.0 * 60.0;
            let theory = if permille == 0 {
                n * (1.0 - (-rate).exp())
            } else {
                n / width * (1.0 - (-rate * width).exp())
            };
            let peak = herd(jitter, keys, ttl, rate);
            assert!(
                (peak - theory).abs() < 0.15 * theory,
                "{permille} permille: {peak} misses a second, not {theory}"
            );
        }
    }
}
