//! From a series of windows after an event: how low it went, when it was back, and what it cost.

use super::outcome::{HitCount, Recovery};

/// Back means this share of the warm hit rate …
pub const BACK: f64 = 0.95;
/// … held for so many windows, the first among them.
pub const HOLD: usize = 3;

/// One window; `requests` and `seconds` say where it ends, counted from the event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    pub count: HitCount,
    pub requests: u64,
    pub seconds: f64,
}

/// What became of the hit rate after an event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dip {
    /// Lowest window until it was back (or until the end).
    pub low: Option<f64>,
    /// Where that window ends.
    pub low_at_seconds: Option<f64>,
    pub recovery: Recovery,
    /// Misses beyond those a warm cache would have had, until it was back.
    pub debt: Option<f64>,
    /// Highest miss rate of a window over the warm one.
    pub amplification: Option<f64>,
    /// Windows up to and including the first that was back; all of them if none was.
    pub windows: usize,
}

/// Reads the windows that follow an event (until the next one) against the warm hit rate before it.
///
/// A window near the end of the series is back if it and all after it hold. None is before `felt_after_seconds`: a hit rate
/// that has not fallen yet is not back.
#[must_use]
pub fn dip(points: &[Point], warm: Option<f64>, felt_after_seconds: f64) -> Dip {
    let Some(warm) = warm else { return Dip::default() };
    let rates: Vec<Option<f64>> = points.iter().map(|point| point.count.rate()).collect();
    let back = |rate: &Option<f64>| rate.is_some_and(|rate| rate >= BACK * warm);
    let first = (0..rates.len())
        .filter(|at| points[*at].seconds > felt_after_seconds)
        .find(|at| rates[*at..].iter().take(HOLD).all(back));
    let until = first.map_or(points.len(), |at| at + 1);
    let lowest = rates[..until]
        .iter()
        .zip(points)
        .filter_map(|(rate, point)| rate.map(|rate| (rate, point.seconds)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let debt = points[..until]
        .iter()
        .map(|point| {
            let gets = point.count.hits + point.count.misses;
            warm * gets as f64 - point.count.hits as f64
        })
        .sum::<f64>();
    Dip {
        low: lowest.map(|(rate, _)| rate),
        low_at_seconds: lowest.map(|(_, at)| at),
        recovery: match first {
            Some(at) => Recovery::After {
                seconds: points[at].seconds,
                requests: points[at].requests,
            },
            None if points.is_empty() => Recovery::Unknown,
            None => Recovery::Never,
        },
        debt: (!points.is_empty()).then_some(debt.max(0.0)),
        amplification: lowest
            .filter(|_| warm < 1.0)
            .map(|(rate, _)| ((1.0 - rate) / (1.0 - warm)).max(1.0)),
        windows: until,
    }
}

/// Change per window of a straight line through `rates` (least squares); `None` for fewer than three.
#[must_use]
pub fn slope(rates: &[f64]) -> Option<f64> {
    if rates.len() < 3 {
        return None;
    }
    let n = rates.len() as f64;
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, rates.iter().sum::<f64>() / n);
    let (mut over, mut under) = (0.0, 0.0);
    for (x, y) in rates.iter().enumerate() {
        over += (x as f64 - mean_x) * (y - mean_y);
        under += (x as f64 - mean_x).powi(2);
    }
    Some(over / under)
}

/// Beyond this a hit rate is still moving: a tenth of a point in ten seconds.
const WARM_SLOPE_PER_SECOND: f64 = 0.001 / 10.0;
/// Chance alone moves a slope by so many standard errors in one baseline of forty.
const CHANCE: f64 = 2.0;

/// Whether seconds of hits and misses stand still: their slope is not above a tenth of a point in ten seconds by more
/// than chance. `None` for fewer than three seconds.
#[must_use]
pub fn is_warm(seconds: &[HitCount]) -> Option<bool> {
    let rates: Vec<f64> = seconds.iter().filter_map(HitCount::rate).collect();
    let slope = slope(&rates)?;
    let n = rates.len() as f64;
    let variance = seconds
        .iter()
        .zip(&rates)
        .map(|(count, rate)| rate * (1.0 - rate) / (count.hits + count.misses).max(1) as f64)
        .sum::<f64>()
        / n;
    // Var(slope) = variance / sum of squared distances from the middle = variance * 12 / (n (n^2 - 1)).
    let error = (variance * 12.0 / (n * (n * n - 1.0))).sqrt();
    Some(slope.abs() <= WARM_SLOPE_PER_SECOND + CHANCE * error)
}

#[cfg(test)]
mod tests {
    use super::{Point, dip, is_warm, slope};
    use crate::measure::outcome::{HitCount, Recovery};

    /// Windows of 1,000 gets and one second with these per-mille hits.
    fn points(hits: &[u64]) -> Vec<Point> {
        (1..)
            .zip(hits)
            .map(|(n, hits)| Point {
                count: HitCount {
                    hits: *hits,
                    misses: 1000 - hits,
                },
                requests: n * 1000,
                seconds: n as f64,
            })
            .collect()
    }

    #[test]
    fn recovery_is_the_first_window_that_holds() {
        for (hits, expected) in [
            // 95 % of .8 is .76. One good window between bad ones is no recovery.
            (
                &[600, 770, 700, 760, 761, 762, 100][..],
                Recovery::After {
                    seconds: 4.0,
                    requests: 4000,
                },
            ),
            (
                &[800, 800, 800][..],
                Recovery::After {
                    seconds: 1.0,
                    requests: 1000,
                },
            ),
            (&[600, 700, 759][..], Recovery::Never),
            (
                &[600, 700, 780][..],
                Recovery::After {
                    seconds: 3.0,
                    requests: 3000,
                },
            ),
            (&[][..], Recovery::Unknown),
        ] {
            assert_eq!(dip(&points(hits), Some(0.8), 0.0).recovery, expected, "{hits:?}");
        }
        assert_eq!(dip(&points(&[1, 2, 3]), None, 0.0).recovery, Recovery::Unknown);
    }

    #[test]
    fn low_debt_and_amplification_end_with_the_recovery() {
        let dip = dip(&points(&[600, 700, 790, 790, 790, 100]), Some(0.8), 0.0);
        assert_eq!(
            (dip.low, dip.low_at_seconds, dip.windows),
            (Some(0.6), Some(1.0), 3)
        );
        assert!((dip.debt.unwrap() - 310.0).abs() < 1e-6, "{dip:?}");
        assert!((dip.amplification.unwrap() - 2.0).abs() < 1e-9, "{dip:?}");
    }

    #[test]
    fn what_is_felt_later_is_no_recovery_before_it() {
        let later = dip(&points(&[800, 800, 800, 300, 500, 790, 800, 800]), Some(0.8), 3.0);
        assert_eq!((later.low, later.low_at_seconds), (Some(0.3), Some(4.0)));
        assert_eq!(
            later.recovery,
            Recovery::After {
                seconds: 6.0,
                requests: 6000,
            }
        );
    }

    #[test]
    fn warm_is_what_stands_still_but_for_chance() {
        let seconds = |rise_per_second: f64| -> Vec<HitCount> {
            (0..20)
                .map(|second| {
                    // Chance: 30 hits to and fro in 4,000, less than its standard deviation of 25 would have it.
                    let noise = if second % 2 == 0 { 15.0 } else { -15.0 };
                    let hits = 4000.0 * (0.8 + rise_per_second * f64::from(second)) + noise;
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "thousands"
                    )]
                    let hits = hits as u64;
                    HitCount {
                        hits,
                        misses: 4000 - hits,
                    }
                })
                .collect()
        };
        assert_eq!(is_warm(&seconds(0.0)), Some(true));
        assert_eq!(
            is_warm(&seconds(0.0001)),
            Some(true),
            "a tenth of a point in ten seconds"
        );
        assert_eq!(is_warm(&seconds(0.002)), Some(false), "two points in ten seconds");
        assert_eq!(is_warm(&seconds(-0.002)), Some(false));
        assert_eq!(is_warm(&seconds(0.0)[..2]), None);
    }

    #[test]
    fn a_straight_line_has_its_slope() {
        assert!((slope(&[0.5, 0.51, 0.52, 0.53]).unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(slope(&[0.5, 0.6]), None);
    }
}
