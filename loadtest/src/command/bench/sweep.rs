//! One target at several rates: all of a range, or those that close in on a limit.

use std::time::Duration;

use super::drive::{Crew, Work};
use super::result::{BenchResult, Slice};
use super::{Bench, BenchError, OpenLoop, Pace, timed};

/// A search ends when it knows the rate to this share of the highest.
const PRECISION: f64 = 0.02;
/// Rates a search tries after the highest: each halves what is left to look through.
const TRIES_MAX: usize = 7;

/// Carries out `--scan` or `--search`.
pub(super) fn sweep(bench: &Bench, crew: &Crew) -> Result<BenchResult, BenchError> {
    let mut result = BenchResult::of_rates(bench);
    match &bench.pace {
        Pace::Scan { open, step, max } => {
            let mut rate = open.rate;
            while rate <= *max {
                let slice = at(bench, crew, open, rate)?;
                result.add_rate(format!("{rate:.0}/s"), slice);
                rate += step;
            }
        }
        Pace::Search {
            open,
            quantile,
            below,
        } => {
            let found = search(*below, |rate| match rate {
                None => {
                    let slice = timed(bench, crew, 0, Work::Closed { lasting: bench.slice })?;
                    let (rate, reached) = (reached_rate(&slice), response(&slice, *quantile));
                    result.add_rate("peak".to_owned(), slice);
                    Ok::<_, BenchError>((rate, reached))
                }
                Some(rate) => {
                    let slice = at(bench, crew, open, rate)?;
                    let reached = response(&slice, *quantile);
                    result.add_rate(format!("{rate:.0}/s"), slice);
                    Ok((rate, reached))
                }
            })?;
            let told = format!("p{} below {} µs", quantile * 100.0, below.as_micros());
            result.found(match found {
                Some(rate) => format!("search: {told} up to {rate:.0} req/s"),
                None => format!("search: {told} at no rate that was tried"),
            });
        }
        // Not sweeps.
        Pace::Closed | Pace::Open(_) => {}
    }
    Ok(result)
}

fn at(bench: &Bench, crew: &Crew, open: &OpenLoop, rate: f64) -> Result<Slice, BenchError> {
    let open = OpenLoop { rate, ..open.clone() };
    let lasting = bench.slice;
    timed(bench, crew, 0, Work::Open { lasting, open })
}

fn reached_rate(slice: &Slice) -> f64 {
    slice.tally.requests as f64 / slice.elapsed.as_secs_f64()
}

/// A quantile of the response time; what was dropped or failed never answered.
fn response(slice: &Slice, quantile: f64) -> Duration {
    let tally = &slice.tally;
    let lost = (tally.dropped + tally.errors) as f64;
    let all = tally.requests as f64 + lost;
    if all == 0.0 || lost / all > 1.0 - quantile {
        return Duration::MAX;
    }
    let mut response = tally.get_latency.response.clone();
    response.add(&tally.set_latency.response);
    Duration::from_micros(response.quantile((quantile * all / (all - lost)).min(1.0)))
}

/// The highest rate found whose response is below the limit. `drive(None)` goes as fast as it can and tells at what rate.
fn search<E>(
    below: Duration,
    mut drive: impl FnMut(Option<f64>) -> Result<(f64, Duration), E>,
) -> Result<Option<f64>, E> {
    let (peak, reached) = drive(None)?;
    if reached < below {
        return Ok(Some(peak));
    }
    let (mut low, mut high) = (0.0, peak);
    let mut found = None;
    for _ in 0..TRIES_MAX {
        if high - low <= PRECISION * peak {
            break;
        }
        let rate = f64::midpoint(low, high);
        if drive(Some(rate))?.1 < below {
            (low, found) = (rate, Some(rate));
        } else {
            high = rate;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::search;

    /// A server that answers in 1 ms up to `knee` requests per second and in 1 s beyond; its peak is 10,000.
    fn server(knee: f64) -> impl FnMut(Option<f64>) -> Result<(f64, Duration), ()> {
        move |rate| {
            let rate = rate.unwrap_or(10_000.0);
            let slow = rate > knee;
            Ok((rate, Duration::from_millis(if slow { 1000 } else { 1 })))
        }
    }

    #[test]
    fn a_search_finds_the_knee() {
        for knee in [300.0, 4_321.0, 9_900.0] {
            let found = search(Duration::from_millis(5), server(knee)).unwrap().unwrap();
            assert!(found <= knee && knee - found <= 200.0, "{knee}: {found}");
        }
        assert_eq!(
            search(Duration::from_millis(5), server(20_000.0)),
            Ok(Some(10_000.0))
        );
        assert_eq!(search(Duration::from_millis(5), server(0.0)), Ok(None));
    }
}
