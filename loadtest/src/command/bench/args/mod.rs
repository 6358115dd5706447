//! The flags, and what they mean together. memtier's and mutilate's names both work; where one letter means two things,
//! `line` decides whose it is.

mod line;
mod parse;
mod plan;
mod refused;
mod toml;

use std::time::Duration;

use self::line::Line;
use self::parse::{numbers, resolve, seconds, target, within};
use self::refused::Refused;
use super::{Bench, OpenLoop, Pace, Target};
use crate::scenario::Distribution;
use crate::workload::arrival::Gaps;

/// Memory for versions bounds the keys: 4 bytes each.
const KEYS_MAX: u64 = 100_000_000;
const CONNECTIONS_MAX: usize = 60_000;
const PIPELINE_MAX: usize = 10_000;
/// Rates that one `--scan` may try.
const STEPS_MAX: f64 = 1_000.0;

/// Everything `bench` was asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
memtier_benchmark's and mutilate's command lines work as they are. -t and -d mean different things to the two: with -V -r -u
or -N on the line they are mutilate's (seconds, pipeline depth), else memtier's (threads, value length); the long names
--threads, --time, --data-size and --depth are always what they say. What one of the two has and this has not is refused by
name, with the reason.")]
pub struct BenchArgs {
    /// Server to drive.
    #[arg(short, long, value_name = "HOST[:PORT]", default_value = "127.0.0.1")]
    pub server: String,
    /// Its port.
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<u16>,
    /// A named server with the processes whose CPU to count (repeatable). Several are driven in alternating slices
    /// and compared with the first. Takes the place of -s and -p.
    #[arg(
        long = "target",
        visible_alias = "compare",
        value_name = "NAME=HOST:PORT[,PID]..."
    )]
    pub targets: Vec<String>,
    /// Processes of the server given by -s and -p, for CPU per request and memory.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub server_pid: Vec<u32>,
    /// Driver threads; default 1.
    #[arg(short = 'T', long, value_name = "N")]
    pub threads: Option<usize>,
    /// Connections per thread; default 50 (1 on mutilate's line).
    #[arg(short, long, visible_alias = "connections", value_name = "N")]
    pub clients: Option<usize>,
    /// Requests per connection; without it the test lasts --test-time. `allkeys`: as many as there are keys.
    #[arg(short = 'n', long, value_name = "N|allkeys")]
    pub requests: Option<String>,
    /// Requests of all connections together.
    #[arg(short = 'N', long, value_name = "N", conflicts_with = "requests")]
    pub queries: Option<u64>,
    /// Seconds to drive each target (in slices if there are several); default 10 (5 on mutilate's line).
    #[arg(long, visible_alias = "time", value_name = "SECONDS")]
    pub test_time: Option<f64>,
    /// memtier's --threads, or mutilate's --time.
    #[arg(short = 't', value_name = "N")]
    pub t: Option<f64>,
    /// Seconds to drive first without counting.
    #[arg(short = 'w', long, value_name = "SECONDS")]
    pub warmup: Option<f64>,
    /// Slices per target; default: 1 for one target, as many as --test-time holds (at least 13) for several.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Seconds of a slice when there are several.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    pub slice: f64,
    /// Sets to gets; default 1:10.
    #[arg(long, value_name = "SET:GET", conflicts_with = "update")]
    pub ratio: Option<String>,
    /// Share of the requests that are sets, 0 to 1; default on mutilate's line: 0.
    #[arg(short = 'u', long, value_name = "SHARE")]
    pub update: Option<f64>,
    /// Requests sent together on a connection; the next batch follows when all are answered. Default 1.
    #[arg(long, value_name = "N")]
    pub pipeline: Option<usize>,
    /// The same, refilled after every reply (see --stream).
    #[arg(long, value_name = "N", conflicts_with = "pipeline")]
    pub depth: Option<usize>,
    /// Refill a pipeline after every reply instead.
    #[arg(long)]
    pub stream: bool,
    /// Keys per get.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub multi_key_get: usize,
    /// Value length in bytes; default 32.
    #[arg(long, value_name = "BYTES")]
    pub data_size: Option<u64>,
    /// memtier's --data-size, or mutilate's --depth.
    #[arg(short = 'd', value_name = "N")]
    pub d: Option<u64>,
    /// Value lengths drawn from a range; a key keeps its length.
    #[arg(long, value_name = "MIN-MAX")]
    pub data_size_range: Option<String>,
    /// Value lengths drawn from a list, each by its weight.
    #[arg(long, value_name = "SIZE:WEIGHT,…", conflicts_with = "data_size_range")]
    pub data_size_list: Option<String>,
    /// Value lengths from a distribution: N, fixed:N, uniform:MAX, normal:MEAN,SD, exponential:MEAN, pareto:LOC,SCALE,SHAPE,
    /// gev:LOC,SCALE,SHAPE, fb_value. Default on mutilate's line: 200.
    #[arg(short = 'V', long = "valuesize", value_name = "DISTRIBUTION", conflicts_with_all = ["data_size_range", "data_size_list", "data_size"])]
    pub value_size: Option<String>,
    /// Length of a key, prefix included, as a number or a distribution (fb_key is Facebook's); zeros fill it. 0: as short
    /// as the number allows, the default (30 on mutilate's line).
    #[arg(short = 'K', long, visible_alias = "keysize", value_name = "DISTRIBUTION")]
    pub key_size: Option<String>,
    /// Default `memtier-` (none on mutilate's line).
    #[arg(long, value_name = "TEXT")]
    pub key_prefix: Option<String>,
    /// Default 0.
    #[arg(long, value_name = "N")]
    pub key_minimum: Option<u64>,
    /// Default 100000.
    #[arg(long, value_name = "N")]
    pub key_maximum: Option<u64>,
    /// Number of keys, from 0; default on mutilate's line: 10000.
    #[arg(short = 'r', long, value_name = "N", conflicts_with_all = ["key_minimum", "key_maximum"])]
    pub records: Option<u64>,
    /// For sets and gets: R uniform, Z Zipf, S (or P) one after the other. Default R:R.
    #[arg(long, value_name = "SET:GET")]
    pub key_pattern: Option<String>,
    /// Exponent of pattern Z.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.99)]
    pub key_zipf_exp: f64,
    /// Seconds to live, drawn per set.
    #[arg(long, value_name = "MIN-MAX")]
    pub expiry_range: Option<String>,
    /// Requests per second and connection (memtier's meaning). Here it is an open loop: arrivals do not wait for
    /// replies, and latency counts from the intended start.
    #[arg(long, value_name = "REQ/S", conflicts_with = "qps")]
    pub rate_limiting: Option<f64>,
    /// Requests per second over all connections, open loop; 0: as fast as replies come.
    #[arg(short = 'q', long, visible_alias = "rate", value_name = "REQ/S")]
    pub qps: Option<f64>,
    /// Gaps between arrivals in the open loop: poisson, constant, or a distribution whose shape is kept and whose mean is
    /// that of the rate (exponential, fixed:1, uniform:1, pareto:…, fb_ia).
    #[arg(
        short = 'i',
        long,
        visible_alias = "iadist",
        value_name = "NAME",
        default_value = "poisson"
    )]
    pub arrival: String,
    /// Open loop: arrivals beyond so many unanswered requests per thread are dropped and counted.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub max_in_flight: usize,
    /// Find the rate at which the Nth percentile of the response time is still below X µs, e.g. 95:1000.
    #[arg(long, value_name = "N:X", conflicts_with_all = ["scan", "requests", "queries", "targets"])]
    pub search: Option<String>,
    /// Drive at every rate from MIN to MAX, STEP apart, --test-time each.
    #[arg(long, value_name = "MIN:MAX:STEP", conflicts_with_all = ["requests", "queries", "targets"])]
    pub scan: Option<String>,
    /// A reply later than this is an error, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub timeout: f64,
    /// Do not store the keys first.
    #[arg(long, conflicts_with = "loadonly")]
    pub noload: bool,
    /// Store the keys, and that is all.
    #[arg(long)]
    pub loadonly: bool,
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write the figures as JSON; `-` is standard output.
    #[arg(long, visible_alias = "json-out-file", value_name = "FILE")]
    pub json: Option<String>,
    /// Print a scenario that does the same, for `loadtest run`, and drive nothing.
    #[arg(long)]
    pub print_scenario: bool,
    /// `memcache_text`, the only one there is.
    #[arg(short = 'P', long, value_name = "NAME")]
    pub protocol: Option<String>,
    #[command(flatten)]
    pub refused: Refused,
}

impl BenchArgs {
    /// Everything parsed and in range, or one line saying what is not.
    pub(super) fn check(&self) -> Result<Bench, String> {
        self.refused.check()?;
        if let Some(name) = self.protocol.as_deref().filter(|name| *name != "memcache_text") {
            return Err(format!(
                "-P, --protocol {name}: not supported: memcache_text is the only one"
            ));
        }
        let line = Line::of(self)?;
        let targets = self.targets()?;
        let threads = within("--threads", line.threads, 1, 256)?;
        let connections = within("--clients", line.connections, 1, CONNECTIONS_MAX)?;
        let plan = self.plan(&line)?;
        let test_time = seconds("--test-time", line.test_time)?;
        let slice = seconds("--slice", self.slice)?;
        let (slice, rounds) = match (targets.len(), self.rounds) {
            (_, Some(rounds)) => (slice, within("--rounds", rounds, 1, 100_000)?),
            (1, None) => (test_time, 1),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "both are in range"
            )]
            (_, None) => (slice, ((line.test_time / self.slice) as usize).max(13)),
        };
        let all = threads * connections;
        let pace = self.pace(all)?;
        let keys = plan.keys.end - plan.keys.start;
        let requests = match (
            self.requests.as_deref(),
            self.queries.filter(|queries| *queries > 0),
        ) {
            (None, None) => None,
            (Some("allkeys"), _) => Some(keys.div_ceil(all as u64)),
            (Some(text), _) => Some(
                text.parse()
                    .map_err(|_unparsable| format!("--requests {text}: expected a number or allkeys"))?,
            ),
            (None, Some(queries)) => Some(queries.div_ceil(all as u64)),
        };
        let describe = self.describe(&line, &plan, &pace);
        Ok(Bench {
            targets,
            plan,
            threads,
            connections,
            slice,
            rounds,
            requests,
            pace,
            seed: self.seed,
            warmup: self
                .warmup
                .filter(|warmup| *warmup > 0.0)
                .map(|warmup| seconds("--warmup", warmup))
                .transpose()?,
            timeout: seconds("--timeout", self.timeout)?,
            load: !self.noload,
            drive: !self.loadonly,
            json: self.json.clone(),
            describe,
        })
    }

    /// The same as a scenario.
    pub(super) fn scenario(&self) -> Result<String, String> {
        self.check()?;
        toml::scenario(self, &Line::of(self)?)
    }

    fn targets(&self) -> Result<Vec<Target>, String> {
        if self.targets.is_empty() {
            return Ok(vec![Target {
                name: "server".into(),
                address: resolve(&self.address())?,
                pids: self.server_pid.clone(),
            }]);
        }
        self.targets.iter().map(|text| target(text)).collect()
    }

    /// `HOST:PORT`, whichever flag said what.
    fn address(&self) -> String {
        match self.port {
            None if self.server.contains(':') => self.server.clone(),
            port => format!("{}:{}", self.server, port.unwrap_or(11211)),
        }
    }

    fn pace(&self, connections: usize) -> Result<Pace, String> {
        let at = |rate: f64| -> Result<OpenLoop, String> {
            if !(rate > 0.0 && rate <= 1e8) {
                return Err(format!(
                    "a rate of {rate} per second: expected above 0 and at most 100000000"
                ));
            }
            Ok(OpenLoop {
                rate,
                gaps: self.gaps()?,
                max_in_flight: within("--max-in-flight", self.max_in_flight, 1, 10_000_000)?,
            })
        };
        if let Some(text) = &self.scan {
            let [min, max, step] = numbers("--scan", text, "MIN:MAX:STEP")?;
            if max < min || (max - min) / step > STEPS_MAX {
                return Err(format!(
                    "--scan {text}: expected at most {STEPS_MAX} steps, upwards"
                ));
            }
            return Ok(Pace::Scan {
                step,
                max,
                open: at(min)?,
            });
        }
        if let Some(text) = &self.search {
            let [percentile, below_us] = numbers("--search", text, "N:X")?;
            if percentile >= 100.0 {
                return Err(format!("--search {text}: expected a percentile below 100"));
            }
            return Ok(Pace::Search {
                quantile: percentile / 100.0,
                below: Duration::from_secs_f64(below_us / 1e6),
                open: at(1.0)?,
            });
        }
        match (self.qps.filter(|qps| *qps != 0.0), self.rate_limiting) {
            (None, None) => self.gaps().map(|_| Pace::Closed),
            (Some(total), _) => at(total).map(Pace::Open),
            (None, Some(each)) => at(each * connections as f64).map(Pace::Open),
        }
    }

    fn gaps(&self) -> Result<Gaps, String> {
        let shape = match self.arrival.as_str() {
            "poisson" | "exponential" => Distribution::Exponential { mean: 1.0 },
            "constant" | "fixed" => Distribution::Fixed(1.0),
            // mutilate's, of Facebook's ETC pool.
            "fb_ia" => Distribution::Pareto {
                loc: 0.0,
                scale: 16.0292,
                shape: 0.154_971,
            },
            other => other
                .parse()
                .map_err(|error| format!("--arrival {other}: {error}; or poisson, constant or fb_ia"))?,
        };
        Gaps::drawn(shape).ok_or_else(|| {
            format!(
                "--arrival {}: not supported: gaps of that shape have no mean to scale",
                self.arrival
            )
        })
    }
}

#[cfg(test)]
mod tests;
