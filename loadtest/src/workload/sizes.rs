//! Sizes drawn from the distributions of a scenario.

use rand::RngExt;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

use super::seed::Random;
use crate::scenario::Distribution;

/// One draw; may be negative or huge, as the distribution says. Callers clamp to what they measure in.
#[must_use]
pub fn draw(distribution: &Distribution, random: &mut Random) -> f64 {
    match *distribution {
        Distribution::Fixed(x) => x,
        Distribution::Uniform { min, max } => min + (max - min) * random.random::<f64>(),
        Distribution::Normal { mean, sd } => mean + sd * normal(random),
        Distribution::Exponential { mean } => mean * exponential(random),
        Distribution::Pareto { loc, scale, shape } => {
            // U in (0, 1]: 0 would be infinite.
            let u = 1.0 - random.random::<f64>();
            if shape == 0.0 {
                loc - scale * u.ln()
            } else {
                loc + scale * (u.powf(-shape) - 1.0) / shape
            }
        }
        Distribution::Gev { loc, scale, shape } => {
            let e = exponential(random).max(f64::MIN_POSITIVE);
            if shape == 0.0 {
                loc - scale * e.ln()
            } else {
                loc + scale * (e.powf(-shape) - 1.0) / shape
            }
        }
        Distribution::FbValue => fb_value(random),
        Distribution::Lognormal { mean, sigma } => {
            // The mean asked for is the variable's own: e^(mu + sigma²/2).
            (mean.ln() - sigma * sigma / 2.0 + sigma * normal(random)).exp()
        }
    }
}

/// Shares of values of 0 to 14 bytes in Facebook's ETC pool, as mutilate's `fb_value` has them; what is left is 15 and
/// more, a generalised Pareto.
const FB_SHORT: [f64; 15] = [
    0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065, 0.00606, 0.00023, 0.00837, 0.00837,
    0.08989, 0.00092, 0.00326, 0.01980,
];
const FB_LONG: Distribution = Distribution::Pareto {
    loc: 15.0,
    scale: 214.476,
    shape: 0.348_238,
};

fn fb_value(random: &mut Random) -> f64 {
    let mut left: f64 = random.random();
    for (len, share) in (0_u32..).zip(FB_SHORT) {
        if left < share {
            return f64::from(len);
        }
        left -= share;
    }
    draw(&FB_LONG, random)
}

/// A length in bytes: the nearest whole number in `min..=max`. Uniform means every whole number of its range alike.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to min..=max"
)]
pub fn draw_len(distribution: &Distribution, random: &mut Random, min: u32, max: u32) -> u32 {
    if let Distribution::Uniform { min: low, max: high } = *distribution {
        let (low, high) = (low.max(0.0).round() as u32, high.max(0.0).round() as u32);
        return random.random_range(low..=high.max(low)).clamp(min, max);
    }
    draw(distribution, random)
        .round()
        .clamp(f64::from(min), f64::from(max)) as u32
}

fn normal(random: &mut Random) -> f64 {
    StandardNormal.sample(random)
}

fn exponential(random: &mut Random) -> f64 {
    Exp1.sample(random)
}

#[cfg(test)]
mod tests {
    use super::{draw, draw_len};
    use crate::scenario::Distribution;
    use crate::workload::seed::stream;

    /// The empirical quantile of 200,000 draws lies within 4 standard errors (in probability) of `x`.
    fn quantile_is(distribution: &Distribution, p: f64, x: f64) {
        let mut random = stream(5, "sizes", 0);
        let below = (0..200_000)
            .filter(|_| draw(distribution, &mut random) <= x)
            .count();
        let share = f64::from(u32::try_from(below).unwrap()) / 200_000.0;
        let tolerance = 4.0 * (p * (1.0 - p) / 200_000.0_f64).sqrt();
        assert!(
            (share - p).abs() < tolerance,
            "{distribution:?}: P(X <= {x}) is {share}, not {p}"
        );
    }

    #[test]
    fn quantiles_are_those_of_the_formulas() {
        for p in [0.1_f64, 0.5, 0.9, 0.99] {
            let tail = 1.0 - p;
            let (loc, scale, shape) = (0.0, 214.476, 0.348_238);
            let pareto = Distribution::Pareto { loc, scale, shape };
            quantile_is(&pareto, p, loc + scale * (tail.powf(-shape) - 1.0) / shape);
            let (loc, scale, shape) = (30.7984, 8.20449, 0.078_688);
            let gev = Distribution::Gev { loc, scale, shape };
            quantile_is(&gev, p, loc + scale * ((-p.ln()).powf(-shape) - 1.0) / shape);
            quantile_is(&Distribution::Exponential { mean: 5.0 }, p, -5.0 * tail.ln());
            quantile_is(
                &Distribution::Uniform { min: 10.0, max: 20.0 },
                p,
                10.0 + 10.0 * p,
            );
        }
        quantile_is(&Distribution::Normal { mean: 50.0, sd: 10.0 }, 0.841_345, 60.0);
        // The median of a lognormal is its mean over e^(sigma²/2).
        quantile_is(
            &Distribution::Lognormal {
                mean: 273.0,
                sigma: 1.0,
            },
            0.5,
            273.0 / 0.5_f64.exp(),
        );
    }

    #[test]
    fn facebook_values_are_short_in_44_percent_and_pareto_beyond() {
        quantile_is(&Distribution::FbValue, 0.44155, 14.9);
        quantile_is(&Distribution::FbValue, 0.00536 + 0.00047 + 0.17820, 2.0);
        // Half of the long ones: 15 + the median of the generalised Pareto.
        let median = 15.0 + 214.476 * (0.5_f64.powf(-0.348_238) - 1.0) / 0.348_238;
        quantile_is(&Distribution::FbValue, 0.44155 + 0.55845 / 2.0, median);
    }

    #[test]
    fn lengths_stay_in_their_bounds() {
        let mut random = stream(5, "sizes", 1);
        let normal = Distribution::Normal { mean: 0.0, sd: 100.0 };
        for _ in 0..10_000 {
            assert!((1..=50).contains(&draw_len(&normal, &mut random, 1, 50)));
        }
        assert_eq!(
            draw_len(&Distribution::Fixed(200.0), &mut random, 0, 1 << 20),
            200
        );
    }
}
