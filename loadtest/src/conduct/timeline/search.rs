//! Looks for the highest rate that is still answered in time: each phase of the kind `search` tries one. Doubling finds
//! the cliff, halving the gap (of the logarithms) finds its edge. A rate that does not hold is tried once more before it
//! counts: what a neighbour on the machine does for a second says nothing about the cluster.

use super::Run;
use crate::measure::outcome::{Probe, SearchResult};
use crate::scenario::{PhaseKind, Search};

/// A gap smaller than this is found, not looked into.
const CLOSE: f64 = 1.03;
/// A rate is given up when it did not hold so often.
const TRIES: usize = 2;
/// More errors than this share, and the rate does not hold whatever the latency.
const ERRORS_MAX: f64 = 0.01;

/// How the search stands.
#[derive(Debug, Default)]
pub(super) struct Searching {
    probes: Vec<Probe>,
}

impl Searching {
    /// Highest rate that held; 0 if none did.
    fn low(&self) -> f64 {
        let held = self.probes.iter().filter(|probe| probe.held);
        held.map(|probe| probe.rate).fold(0.0, f64::max)
    }

    /// Lowest rate above it that did not, as often as it was tried.
    fn high(&self) -> f64 {
        let low = self.low();
        let failed = |rate: f64| {
            let same = self
                .probes
                .iter()
                .filter(|probe| probe.rate.total_cmp(&rate).is_eq());
            same.filter(|probe| !probe.held).count() >= TRIES
        };
        let rates = self.probes.iter().map(|probe| probe.rate);
        rates
            .filter(|rate| *rate > low && failed(*rate))
            .fold(f64::INFINITY, f64::min)
    }

    /// The rate to try next; `None` when the edge is known.
    fn next(&self, search: &Search) -> Option<f64> {
        if let Some(last) = self.probes.last().filter(|last| !last.held) {
            let tries = self
                .probes
                .iter()
                .rev()
                .take_while(|probe| probe.rate.total_cmp(&last.rate).is_eq());
            if tries.count() < TRIES {
                return Some(last.rate);
            }
        }
        let (low, high) = (self.low(), self.high());
        if low >= search.to || high <= search.from || high / low < CLOSE {
            return None;
        }
        Some(match (low > 0.0, high.is_finite()) {
            (false, _) => search.from,
            (true, false) => (2.0 * low).min(search.to),
            (true, true) => (low * high).sqrt(),
        })
    }
}

impl Run<'_> {
    /// Whether the phase has something to try, and if it has, its rate is set.
    pub(super) fn begin_probe(&mut self, number: usize) -> bool {
        let (Some(search), PhaseKind::Search) = (&self.scenario.search, self.scenario.phases[number].kind)
        else {
            return true;
        };
        let Some(rate) = self.searching.next(search) else {
            return false;
        };
        self.shell.with(|core, now| core.set_rate(rate, now));
        true
    }

    /// The phase is over: did its rate hold?
    pub(super) fn end_probe(&mut self) {
        let (Some(search), PhaseKind::Search) =
            (&self.scenario.search, self.scenario.phases[self.phase].kind)
        else {
            return;
        };
        let (core_rate, latency_us, errors) = {
            let core = self.shell.core();
            let (latency_us, totals) = core.recorder.phase_so_far(search.quantile);
            let errors = (totals.errors + totals.dropped) as f64 / totals.offered.max(1) as f64;
            (core.rate().unwrap_or(0.0), latency_us, errors)
        };
        let held = u128::from(latency_us) <= search.limit.as_micros() && errors <= ERRORS_MAX;
        self.log(format!(
            "{core_rate:.0} requests/s: {:.2} ms at {} %, {}",
            latency_us as f64 / 1e3,
            search.quantile * 100.0,
            if held { "holds" } else { "does not hold" }
        ));
        self.searching.probes.push(Probe {
            rate: core_rate,
            latency_us,
            held,
        });
    }

    pub(super) fn found(&self) -> Option<SearchResult> {
        self.scenario.search.as_ref().map(|_| SearchResult {
            capacity: self.searching.low(),
            probes: self.searching.probes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Searching;
    use crate::measure::outcome::Probe;
    use crate::scenario::Search;

    /// The rates tried of a cluster that can do `capacity`, and what was found.
    fn search(capacity: f64) -> (Vec<f64>, f64) {
        let search = Search {
            limit: Duration::from_millis(5),
            quantile: 0.99,
            from: 500.0,
            to: 5000.0,
        };
        let mut searching = Searching::default();
        while let Some(rate) = searching.next(&search) {
            assert!((search.from..=search.to).contains(&rate), "{rate}");
            searching.probes.push(Probe {
                rate,
                latency_us: 0,
                held: rate <= capacity,
            });
        }
        let rates = searching.probes.iter().map(|probe| probe.rate.round()).collect();
        (rates, searching.low())
    }

    #[test]
    fn the_edge_is_found_to_three_percent_in_a_handful_of_steps() {
        assert_eq!(search(1e9), (vec![500.0, 1000.0, 2000.0, 4000.0, 5000.0], 5000.0));
        assert_eq!(search(100.0), (vec![500.0, 500.0], 0.0), "not even the lowest");
        for capacity in [600.0, 1_000.0, 2_500.0, 4_900.0] {
            let (tried, found) = search(capacity);
            assert!(
                found <= capacity && capacity < found * 1.03,
                "{capacity}: {found}"
            );
            assert!(tried.len() <= 15, "{capacity}: {tried:?}");
        }
    }

    #[test]
    fn one_bad_moment_does_not_end_the_search() {
        let search = Search {
            limit: Duration::from_millis(5),
            quantile: 0.99,
            from: 500.0,
            to: 2000.0,
        };
        let mut searching = Searching::default();
        let mut rates = Vec::new();
        while let Some(rate) = searching.next(&search) {
            rates.push(rate);
            searching.probes.push(Probe {
                rate,
                latency_us: 0,
                // Each rate's first try meets a busy machine.
                held: rates.iter().filter(|tried| **tried == rate).count() == 2,
            });
        }
        assert_eq!(rates, [500.0, 500.0, 1000.0, 1000.0, 2000.0, 2000.0]);
        assert_eq!(searching.low(), 2000.0);
    }
}
