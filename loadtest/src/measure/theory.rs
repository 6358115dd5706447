//! The curve drawn beside the measurement: h(t) = (1 − f)·warm + f·cold(t), where f is the share of keys that went cold
//! and cold(t) the hit rate of the same requests on an empty cluster.

use super::outcome::Prediction;
use super::recovery::BACK;

/// Gets per step of a curve.
pub const STEP: u64 = 1000;
/// Steps computed: two million gets, after which every curve here is flat.
pub const STEPS_MAX: usize = 2000;
/// Ranks taken together are this part of their rank.
const GROUP_SHARE: u64 = 200;

/// Hit rate after everything was lost, one value per [`STEP`] gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColdCurve(pub Vec<f64>);

impl ColdCurve {
    /// From the requests that will follow, in their order: a hit is a key asked for since the loss, or one
    /// that was not lost (`seen`, a place for each key). Exact where nothing is evicted.
    #[must_use]
    pub fn replayed(requests: impl Iterator<Item = u32>, mut seen: Vec<bool>) -> Self {
        let (mut curve, mut hits, mut n) = (Vec::new(), 0_u64, 0);
        for key in requests {
            hits += u64::from(std::mem::replace(&mut seen[key as usize], true));
            n += 1;
            if n == STEP {
                curve.push(hits as f64 / n as f64);
                (hits, n) = (0, 0);
                if curve.len() == STEPS_MAX {
                    return Self(curve);
                }
            }
        }
        if n > 0 {
            curve.push(hits as f64 / n as f64);
        }
        Self(curve)
    }

    /// Independent requests for keys with these relative weights, most popular first: Σ p(1 − e^(−p·k)) after k gets.
    /// Evaluated on a grid of growing gaps and drawn straight between; neighbours far down the list are taken
    /// together.
    #[must_use]
    pub fn independent(weight: impl Fn(u64) -> f64, keys: u64) -> Self {
        let mut groups: Vec<(f64, f64)> = Vec::new();
        let mut rank = 0;
        while rank < keys {
            let together = (rank / GROUP_SHARE).max(1).min(keys - rank);
            groups.push((weight(rank + together / 2), together as f64));
            rank += together;
        }
        let total: f64 = groups.iter().map(|(weight, n)| weight * n).sum();
        let at = |k: f64| {
            groups
                .iter()
                .map(|(w, n)| (w / total, n))
                .map(|(p, n)| n * p * -(-p * k).exp_m1())
                .sum::<f64>()
        };
        let mut curve = Vec::new();
        let mut grid = 0.5;
        let (mut left, mut left_at) = (at(STEP as f64 / 2.0), grid);
        curve.push(left);
        while curve.len() < STEPS_MAX {
            let right_at = (grid * 1.25_f64).max(grid + 1.0).floor() + 0.5;
            let right = at(right_at * STEP as f64);
            while (curve.len() as f64) + 0.5 <= right_at && curve.len() < STEPS_MAX {
                let share = (curve.len() as f64 + 0.5 - left_at) / (right_at - left_at);
                curve.push(left + (right - left) * share);
            }
            (left, left_at, grid) = (right, right_at, right_at);
        }
        // The first step is the steepest: its mean, not its middle.
        curve[0] = (0..20)
            .map(|i| at(STEP as f64 * (f64::from(i) + 0.5) / 20.0))
            .sum::<f64>()
            / 20.0;
        Self(curve)
    }

    /// This share of the gets asks for keys that nobody asks for again, and misses.
    #[must_use]
    pub fn but_for(mut self, lone: f64) -> Self {
        self.0.iter_mut().for_each(|rate| *rate *= 1.0 - lone);
        self
    }

    /// What is left of it after so many gets: it is drawn on.
    #[must_use]
    pub fn after(mut self, gets: u64) -> Self {
        let steps = usize::try_from(gets / STEP).unwrap_or(usize::MAX);
        let last = self.0.len().saturating_sub(1);
        self.0.drain(..steps.min(last));
        self
    }

    /// Never above `warm`: an empty cluster does not beat a warm one.
    #[must_use]
    pub fn at_most(mut self, warm: f64) -> Self {
        self.0.iter_mut().for_each(|rate| *rate = rate.min(warm));
        self
    }

    /// Mean over the first `gets`; `None` if the curve is shorter.
    fn mean(&self, gets: u64) -> Option<f64> {
        let steps = usize::try_from(gets / STEP).ok()?;
        let first = self.0.get(..steps)?;
        (steps > 0).then(|| first.iter().sum::<f64>() / steps as f64)
    }
}

/// The mixture for one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    pub warm: f64,
    /// Share of the keys asked for so far that went cold.
    pub cold_share: f64,
    /// Hit rate of what went cold at the very moment: nothing, unless part of it was there before.
    pub cold_at_once: f64,
    pub cold: ColdCurve,
}

impl Mixture {
    /// Of the keys that become popular the share `resident` is held, whoever they are; the others begin `cold`.
    #[must_use]
    pub fn of_shift(warm: f64, resident: f64, cold: ColdCurve) -> Self {
        let beside = |cold: f64| (resident + (1.0 - resident) * cold).min(warm);
        Self {
            warm,
            cold_share: 1.0,
            cold_at_once: beside(0.0),
            cold: ColdCurve(cold.0.into_iter().map(beside).collect()),
        }
    }

    /// The hit rate predicted for the get that is number `since` after the event.
    #[must_use]
    pub fn at(&self, since: u64) -> f64 {
        let step = usize::try_from(since / STEP).unwrap_or(usize::MAX);
        let cold = self
            .cold
            .0
            .get(step)
            .or(self.cold.0.last())
            .copied()
            .unwrap_or(self.warm);
        self.mix(cold)
    }

    fn mix(&self, cold: f64) -> f64 {
        (1.0 - self.cold_share) * self.warm + self.cold_share * cold
    }

    fn first(&self, gets: u64) -> Option<f64> {
        self.cold.mean(gets).map(|cold| self.mix(cold))
    }

    /// What the card says beforehand; `window` gets is how the measurement will be read.
    #[must_use]
    pub fn told(&self, window: u64, key_fraction_formula: Option<f64>) -> Prediction {
        let steps = usize::try_from((window / STEP).max(1)).unwrap_or(1);
        let recovered =
            self.cold.0.chunks(steps).position(|chunk| {
                self.mix(chunk.iter().sum::<f64>() / chunk.len() as f64) >= BACK * self.warm
            });
        Prediction {
            low: self.first(window.max(STEP)),
            first_1k: self.first(1_000),
            first_5k: self.first(5_000),
            first_10k: self.first(10_000),
            first_20k: self.first(20_000),
            recovery_requests: recovered.map(|at| (at as u64 + 1) * steps as u64 * STEP),
            amplification: (self.warm < 1.0).then(|| (1.0 - self.mix(self.cold_at_once)) / (1.0 - self.warm)),
            key_fraction_formula,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ColdCurve, Mixture, STEP};

    #[test]
    fn a_replayed_curve_counts_what_was_seen_before() {
        // 1,000 distinct keys, then the same again, then half a step of one key.
        let requests = (0..1000).chain(0..1000).chain(std::iter::repeat_n(7, 500));
        assert_eq!(
            ColdCurve::replayed(requests, vec![false; 1000]).0,
            [0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn an_independent_curve_agrees_with_the_published_one() {
        // N = 100,000, alpha .99, everything fits: half of the warm rate after 1,915 gets; and first-1k and first-10k
        // means after a flush of .364 and .555 (at a capacity of a tenth, which they do not reach).
        let curve = ColdCurve::independent(|rank| ((rank + 1) as f64).powf(-0.99), 100_000);
        assert!(
            (curve.mean(1_000).unwrap() - 0.364).abs() < 0.003,
            "{:?}",
            curve.mean(1_000)
        );
        assert!(
            (curve.mean(10_000).unwrap() - 0.555).abs() < 0.003,
            "{:?}",
            curve.mean(10_000)
        );
        assert!((curve.0[1] - 0.5).abs() < 0.03, "{}", curve.0[1]);
        assert!(curve.0.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9));
        assert!(
            curve.0[562] > 0.945 && curve.0[550] < 0.955,
            "{} {}",
            curve.0[550],
            curve.0[562]
        );
    }

    #[test]
    fn after_a_shift_what_is_held_hits_and_the_rest_begins_cold() {
        let shift = Mixture::of_shift(0.8, 0.25, ColdCurve(vec![0.2, 0.6, 0.9]));
        for (told, expected) in shift.cold.0.iter().zip([0.4, 0.7, 0.8]) {
            assert!((told - expected).abs() < 1e-12, "{told}");
        }
        assert!((shift.told(1000, None).amplification.unwrap() - 0.75 / 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_mixture_lies_between_cold_and_warm_by_the_share_that_went_cold() {
        let cold = ColdCurve(vec![0.2, 0.6, 0.8, 0.8]);
        let mixture = Mixture {
            warm: 0.8,
            cold_share: 0.5,
            cold_at_once: 0.0,
            cold,
        };
        assert!((mixture.at(0) - 0.5).abs() < 1e-12);
        assert!((mixture.at(STEP) - 0.7).abs() < 1e-12);
        assert!((mixture.at(99 * STEP) - 0.8).abs() < 1e-12);
        let told = mixture.told(1000, None);
        assert_eq!(told.recovery_requests, Some(3000));
        assert!((told.first_1k.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(told.first_5k, None);
        assert!((told.amplification.unwrap() - 3.0).abs() < 1e-9);
        let half = Mixture {
            cold_share: 1.0,
            cold_at_once: 0.6,
            cold: mixture.cold.after(STEP),
            ..mixture
        };
        assert_eq!(half.cold.0, [0.6, 0.8, 0.8]);
        assert!((half.told(1000, None).amplification.unwrap() - 2.0).abs() < 1e-9);
    }
}
