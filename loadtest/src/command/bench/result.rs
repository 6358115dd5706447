//! What a benchmark found, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::{Bench, Pace};
use crate::drive::hammer::Tally;
use crate::exit::Exit;
use crate::measure::outcome::{Latency, ratio};

/// More arrivals lost than this, or a schedule later than this, and the generator was the bottleneck.
const DROPPED_MAX: f64 = 0.001;
const LAG_P99_MAX_US: u64 = 10_000;

/// One slice of one target.
#[derive(Debug)]
pub(super) struct Slice {
    pub tally: Tally,
    pub elapsed: Duration,
    pub server_cpu_nanos: Option<u64>,
    pub client_cpu_nanos: Option<u64>,
    pub rss_bytes: Option<u64>,
}

/// All slices of all targets, or of all rates.
pub(super) struct BenchResult {
    describe: String,
    open: bool,
    /// Targets are held against the first; rates are not.
    compared: bool,
    /// What a search found.
    found: Option<String>,
    multiget: usize,
    targets: Vec<TargetResult>,
}

struct TargetResult {
    name: String,
    total: Tally,
    elapsed: Duration,
    /// Per round.
    requests_per_second: Vec<f64>,
    server_cpu_us: Vec<f64>,
    client_cpu_us: Vec<f64>,
    rss_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    benchmark: &'a str,
    targets: Vec<JsonTarget<'a>>,
    ratios: Vec<Ratio>,
    /// What a search found, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct JsonTarget<'a> {
    name: &'a str,
    requests: u64,
    seconds: f64,
    requests_per_second: f64,
    keys_per_request: usize,
    gets: u64,
    hits: u64,
    hit_rate: Option<f64>,
    sets: u64,
    errors: u64,
    timeouts: u64,
    dropped: u64,
    mismatches: u64,
    server_cpu_us_per_request: Option<f64>,
    client_cpu_us_per_request: Option<f64>,
    server_rss_bytes: Option<u64>,
    get: Option<Latency>,
    set: Option<Latency>,
}

/// The first target against another.
#[derive(Debug, Serialize)]
struct Ratio {
    target: String,
    against: String,
    rounds: usize,
    /// Median of the per-round ratios of server CPU per request.
    cpu: Option<f64>,
    /// Ratio of the lower quartiles: what a quiet machine would show.
    cpu_q1: Option<f64>,
    /// Median of the per-round ratios of requests per second.
    throughput: Option<f64>,
}

impl TargetResult {
    fn new(name: String) -> Self {
        Self {
            name,
            total: Tally::default(),
            elapsed: Duration::ZERO,
            requests_per_second: Vec::new(),
            server_cpu_us: Vec::new(),
            client_cpu_us: Vec::new(),
            rss_bytes: None,
        }
    }
}

impl BenchResult {
    pub(super) fn new(bench: &Bench) -> Self {
        let targets = bench.targets.iter().filter(|_| bench.drive);
        Self {
            describe: bench.describe.clone(),
            open: matches!(bench.pace, Pace::Open(_)),
            compared: true,
            found: None,
            multiget: bench.plan.multiget,
            targets: targets
                .map(|target| TargetResult::new(target.name.clone()))
                .collect(),
        }
    }

    /// Of one target at several rates, none of them driven yet.
    pub(super) fn of_rates(bench: &Bench) -> Self {
        Self {
            open: true,
            compared: false,
            targets: Vec::new(),
            ..Self::new(bench)
        }
    }

    /// One rate.
    pub(super) fn add_rate(&mut self, name: String, slice: Slice) {
        self.targets.push(TargetResult::new(name));
        self.add(self.targets.len() - 1, slice);
    }

    pub(super) fn found(&mut self, text: String) {
        self.found = Some(text);
    }

    pub(super) fn add(&mut self, number: usize, slice: Slice) {
        let target = &mut self.targets[number];
        let requests = slice.tally.requests.max(1) as f64;
        target.total.add(&slice.tally);
        target.elapsed += slice.elapsed;
        target
            .requests_per_second
            .push(slice.tally.requests as f64 / slice.elapsed.as_secs_f64());
        target
            .server_cpu_us
            .extend(slice.server_cpu_nanos.map(|nanos| nanos as f64 / 1e3 / requests));
        target
            .client_cpu_us
            .extend(slice.client_cpu_nanos.map(|nanos| nanos as f64 / 1e3 / requests));
        target.rss_bytes = target.rss_bytes.max(slice.rss_bytes);
    }

    /// Wrong values, or nothing answered: an error. A generator that lagged: invalid.
    pub(super) fn exit(&self) -> Exit {
        if self
            .targets
            .iter()
            .any(|target| target.total.mismatches > 0 || target.total.requests == 0)
        {
            Exit::RunError
        } else if self.compared && self.targets.iter().any(|target| self.lagged(target).is_some()) {
            Exit::Invalid
        } else {
            Exit::Pass
        }
    }

    fn lagged(&self, target: &TargetResult) -> Option<String> {
        let total = &target.total;
        let dropped = ratio(total.dropped, total.dropped + total.requests + total.errors).unwrap_or(0.0);
        let lag = total
            .get_latency
            .lag
            .quantile(0.99)
            .max(total.set_latency.lag.quantile(0.99));
        if !self.open || (dropped <= DROPPED_MAX && lag <= LAG_P99_MAX_US) {
            return None;
        }
        Some(format!(
            "{:.2} % of the arrivals dropped, schedule late by {lag} µs at p99",
            dropped * 100.0
        ))
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", self.describe);
        let _ = writeln!(
            out,
            "{:<16} {:>11} {:>9} {:>10} {:>10} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "target", "req/s", "hit rate", "cpu µs/req", "client", "rss MiB", "p50 µs", "p99", "p99.9", "max"
        );
        for target in &self.targets {
            let total = &target.total;
            let mut response = total.get_latency.response.clone();
            response.add(&total.set_latency.response);
            let _ = writeln!(
                out,
                "{:<16} {:>11.0} {:>9} {:>10} {:>10} {:>9} {:>8} {:>8} {:>8} {:>8}",
                target.name,
                total.requests as f64 / target.elapsed.as_secs_f64(),
                or_dash(ratio(total.hits, total.gets), 4),
                or_dash(median(&target.server_cpu_us), 2),
                or_dash(median(&target.client_cpu_us), 2),
                or_dash(target.rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)), 1),
                response.quantile(0.5),
                response.quantile(0.99),
                response.quantile(0.999),
                response.max(),
            );
        }
        for target in &self.targets {
            let total = &target.total;
            let _ = writeln!(
                out,
                "{}: {} requests, {} hits, every value checked, {} mismatches, {} errors ({} timeouts)",
                target.name, total.requests, total.hits, total.mismatches, total.errors, total.timeouts
            );
            if let Some(mismatch) = &total.first_mismatch {
                let _ = writeln!(out, "{}: first mismatch: {mismatch}", target.name);
            }
            if self.open {
                let mut lag = total.get_latency.lag.clone();
                lag.add(&total.set_latency.lag);
                let mut service = total.get_latency.service.clone();
                service.add(&total.set_latency.service);
                let _ = writeln!(
                    out,
                    "{}: latency is from the intended start; service p99 {} µs, schedule lag p99 {} µs, {} dropped",
                    target.name,
                    service.quantile(0.99),
                    lag.quantile(0.99),
                    total.dropped
                );
            }
            if let Some(why) = self.lagged(target) {
                let _ = writeln!(
                    out,
                    "{}: INVALID: the generator could not keep its schedule: {why}",
                    target.name
                );
            }
        }
        if self.targets.is_empty() {
            let _ = writeln!(out, "keys stored, nothing driven");
        }
        if let Some(found) = &self.found {
            let _ = writeln!(out, "{found}");
        }
        for ratio in self.ratios() {
            let _ = writeln!(
                out,
                "{} / {}: cpu per request {}x (quiet quartile {}x), throughput {}x, {} rounds",
                ratio.target,
                ratio.against,
                or_dash(ratio.cpu, 3),
                or_dash(ratio.cpu_q1, 3),
                or_dash(ratio.throughput, 3),
                ratio.rounds
            );
        }
        out
    }

    pub(super) fn json(&self) -> String {
        let targets = self.targets.iter().map(|target| {
            let total = &target.total;
            let told = |name, latencies: &crate::measure::histogram::Latencies| {
                (latencies.response.count() > 0).then(|| latencies.told(name))
            };
            JsonTarget {
                name: &target.name,
                requests: total.requests,
                seconds: target.elapsed.as_secs_f64(),
                requests_per_second: total.requests as f64 / target.elapsed.as_secs_f64(),
                keys_per_request: self.multiget,
                gets: total.gets,
                hits: total.hits,
                hit_rate: ratio(total.hits, total.gets),
                sets: total.sets,
                errors: total.errors,
                timeouts: total.timeouts,
                dropped: total.dropped,
                mismatches: total.mismatches,
                server_cpu_us_per_request: median(&target.server_cpu_us),
                client_cpu_us_per_request: median(&target.client_cpu_us),
                server_rss_bytes: target.rss_bytes,
                get: told("get", &total.get_latency),
                set: told("set", &total.set_latency),
            }
        });
        let json = Json {
            benchmark: &self.describe,
            targets: targets.collect(),
            ratios: self.ratios(),
            found: self.found.as_deref(),
        };
        serde_json::to_string_pretty(&json).expect("plain numbers and text always serialise")
    }

    fn ratios(&self) -> Vec<Ratio> {
        let Some((first, others)) = self.targets.split_first().filter(|_| self.compared) else {
            return Vec::new();
        };
        others
            .iter()
            .map(|other| Ratio {
                target: first.name.clone(),
                against: other.name.clone(),
                rounds: first.requests_per_second.len(),
                cpu: pairwise(&first.server_cpu_us, &other.server_cpu_us),
                cpu_q1: quantile(&first.server_cpu_us, 0.25)
                    .zip(quantile(&other.server_cpu_us, 0.25))
                    .map(|(ours, theirs)| ours / theirs),
                throughput: pairwise(&first.requests_per_second, &other.requests_per_second),
            })
            .collect()
    }
}

/// Median of the ratios round by round.
fn pairwise(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    median(&ratios)
}

fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Between the two nearest values, by distance.
fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = quantile * sorted.len().checked_sub(1)? as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "inside the list"
    )]
    let below = place.floor() as usize;
    let above = sorted.get(below + 1).unwrap_or(&sorted[below]);
    Some(sorted[below] + (above - sorted[below]) * place.fract())
}

fn or_dash(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::{median, pairwise, quantile};

    #[test]
    fn medians_and_quartiles_lie_between_neighbours() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), Some(2.0));
        // One bad round on either side moves nothing.
        assert_eq!(pairwise(&[1.0, 1.0, 90.0], &[2.0, 2.0, 2.0]), Some(0.5));
    }
}
