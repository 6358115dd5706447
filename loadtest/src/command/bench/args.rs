//! The flags, and what they mean together.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::time::Duration;

use super::{Bench, OpenLoop, Target, order_name};
use crate::drive::hammer::{KeyOrder, Plan};
use crate::scenario::{Arrival, Distribution};
use crate::workload::popularity::Popularity;

/// Memory for versions bounds the keys: 4 bytes each.
const KEYS_MAX: u64 = 100_000_000;
const CONNECTIONS_MAX: usize = 60_000;
const PIPELINE_MAX: usize = 10_000;
const VALUE_LEN_MAX: u64 = 128 << 20;

/// Everything `bench` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// Server to drive.
    #[arg(short, long, value_name = "HOST", default_value = "127.0.0.1")]
    pub server: String,
    /// Its port.
    #[arg(short, long, value_name = "PORT", default_value_t = 11211)]
    pub port: u16,
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
    /// Driver threads.
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Connections per thread.
    #[arg(
        short,
        long,
        visible_alias = "connections",
        value_name = "N",
        default_value_t = 50
    )]
    pub clients: usize,
    /// Requests per connection; without it the test lasts --test-time.
    #[arg(short = 'n', long, value_name = "N")]
    pub requests: Option<u64>,
    /// Seconds to drive each target (in slices if there are several).
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub test_time: f64,
    /// Slices per target; default: 1 for one target, as many as --test-time holds (at least 13) for several.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Seconds of a slice when there are several.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    pub slice: f64,
    /// Sets to gets.
    #[arg(long, value_name = "SET:GET", default_value = "1:10")]
    pub ratio: String,
    /// Requests sent together on a connection; the next batch follows when all are answered.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub pipeline: usize,
    /// Refill a pipeline after every reply instead.
    #[arg(long)]
    pub stream: bool,
    /// Keys per get.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub multi_key_get: usize,
    /// Value length in bytes.
    #[arg(short = 'd', long, value_name = "BYTES", default_value_t = 32)]
    pub data_size: u64,
    /// Value lengths drawn from a range; a key keeps its length.
    #[arg(long, value_name = "MIN-MAX")]
    pub data_size_range: Option<String>,
    /// Length of a key, prefix included; zeros fill it. 0: as short as the number allows.
    #[arg(short = 'K', long, value_name = "BYTES", default_value_t = 0)]
    pub key_size: usize,
    #[arg(long, value_name = "TEXT", default_value = "memtier-")]
    pub key_prefix: String,
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub key_minimum: u64,
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub key_maximum: u64,
    /// For sets and gets: R uniform, Z Zipf, S (or P) one after the other.
    #[arg(long, value_name = "SET:GET", default_value = "R:R")]
    pub key_pattern: String,
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
    /// Requests per second over all connections, open loop.
    #[arg(short = 'q', long, visible_alias = "rate", value_name = "REQ/S")]
    pub qps: Option<f64>,
    /// Gaps between arrivals in the open loop: poisson or constant.
    #[arg(long, value_name = "NAME", default_value = "poisson")]
    pub arrival: String,
    /// Open loop: arrivals beyond so many unanswered requests per thread are dropped and counted.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub max_in_flight: usize,
    /// A reply later than this is an error, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub timeout: f64,
    /// Do not store the keys first.
    #[arg(long)]
    pub noload: bool,
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write the figures as JSON; `-` is standard output.
    #[arg(long, visible_alias = "json-out-file", value_name = "FILE")]
    pub json: Option<String>,
}

impl BenchArgs {
    /// Everything parsed and in range, or one line saying what is not.
    pub(super) fn check(&self) -> Result<Bench, String> {
        let targets = self.targets()?;
        let threads = within("--threads", self.threads, 1, 256)?;
        let connections = within("--clients", self.clients, 1, CONNECTIONS_MAX)?;
        if self.key_maximum < self.key_minimum || self.key_maximum - self.key_minimum >= KEYS_MAX {
            return Err(format!(
                "--key-maximum {}: expected --key-minimum ({}) to at most {} more",
                self.key_maximum,
                self.key_minimum,
                KEYS_MAX - 1
            ));
        }
        let plan = self.plan()?;
        let test_time = seconds("--test-time", self.test_time)?;
        let slice = seconds("--slice", self.slice)?;
        let (slice, rounds) = match (targets.len(), self.rounds) {
            (_, Some(rounds)) => (slice, within("--rounds", rounds, 1, 100_000)?),
            (1, None) => (test_time, 1),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "both are in range"
            )]
            (_, None) => (slice, ((self.test_time / self.slice) as usize).max(13)),
        };
        let open = self.open_loop(threads * connections)?;
        let describe = self.describe(&plan, open);
        Ok(Bench {
            targets,
            plan,
            threads,
            connections,
            slice,
            rounds,
            requests: self.requests,
            open,
            timeout: seconds("--timeout", self.timeout)?,
            load: !self.noload,
            json: self.json.clone(),
            describe,
        })
    }

    fn targets(&self) -> Result<Vec<Target>, String> {
        if self.targets.is_empty() {
            let address = resolve(&format!("{}:{}", self.server, self.port))?;
            return Ok(vec![Target {
                name: "server".into(),
                address,
                pids: self.server_pid.clone(),
            }]);
        }
        self.targets.iter().map(|text| parse_target(text)).collect()
    }

    fn plan(&self) -> Result<Plan, String> {
        let (sets, gets) = pair("--ratio", &self.ratio, "SET:GET such as 1:10")?;
        let count = |text: &str| {
            text.parse::<u32>()
                .map_err(|_unparsable| format!("--ratio {}: expected SET:GET such as 1:10", self.ratio))
        };
        let (sets, gets) = (count(sets)?, count(gets)?);
        if sets == 0 && gets == 0 {
            return Err("--ratio 0:0 asks for nothing".into());
        }
        let key_len = within("--key-size", self.key_size, 0, 250)?;
        if self.key_prefix.len() > 200 || self.key_prefix.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err("--key-prefix: expected at most 200 bytes without blanks".into());
        }
        let value_len = match &self.data_size_range {
            None => Distribution::Fixed(within("--data-size", self.data_size, 0, VALUE_LEN_MAX)? as f64),
            Some(text) => {
                let range = range("--data-size-range", text, VALUE_LEN_MAX)?;
                Distribution::Uniform {
                    min: range.start as f64,
                    max: (range.end - 1) as f64,
                }
            }
        };
        let expiry = match &self.expiry_range {
            None => 0..0,
            Some(text) => {
                let seconds = range("--expiry-range", text, 30 * 86_400)?;
                let narrow = |x| u32::try_from(x).expect("at most thirty days");
                narrow(seconds.start)..narrow(seconds.end)
            }
        };
        let (set_order, get_order) = pair("--key-pattern", &self.key_pattern, "two of R, Z, S such as R:R")?;
        let keys = self.key_minimum..self.key_maximum + 1;
        Ok(Plan {
            key_prefix: self.key_prefix.clone().into_bytes(),
            key_len,
            sets: self.order(set_order, &keys)?,
            gets: self.order(get_order, &keys)?,
            keys,
            value_len,
            seed: self.seed,
            set_share: f64::from(sets) / (f64::from(sets) + f64::from(gets)),
            multiget: within("--multi-key-get", self.multi_key_get, 1, 1000)?,
            pipeline: within("--pipeline", self.pipeline, 1, PIPELINE_MAX)?,
            stream: self.stream,
            expiry,
        })
    }

    fn order(&self, letter: &str, keys: &Range<u64>) -> Result<KeyOrder, String> {
        let span = keys.end - keys.start;
        match letter {
            "R" => Ok(KeyOrder::Drawn(Popularity::uniform(span, self.seed))),
            "Z" => Popularity::zipf(span, self.key_zipf_exp, self.seed)
                .map(KeyOrder::Drawn)
                .ok_or_else(|| format!("--key-zipf-exp {}: expected 0 or more", self.key_zipf_exp)),
            "S" | "P" => Ok(KeyOrder::Sequential),
            other => Err(format!(
                "--key-pattern {other}: expected two of R, Z, S such as R:R"
            )),
        }
    }

    fn open_loop(&self, connections: usize) -> Result<Option<OpenLoop>, String> {
        let arrival = match self.arrival.as_str() {
            "poisson" => Arrival::Poisson,
            "constant" => Arrival::Constant,
            other => return Err(format!("--arrival {other}: expected poisson or constant")),
        };
        let rate = match (self.qps, self.rate_limiting) {
            (None, None) => return Ok(None),
            (Some(total), _) => total,
            (None, Some(each)) => each * connections as f64,
        };
        if !(rate > 0.0 && rate <= 1e8) {
            return Err(format!(
                "a rate of {rate} per second: expected above 0 and at most 100000000"
            ));
        }
        let max_in_flight = within("--max-in-flight", self.max_in_flight, 1, 10_000_000)?;
        Ok(Some(OpenLoop {
            rate,
            arrival,
            max_in_flight,
        }))
    }

    fn describe(&self, plan: &Plan, open: Option<OpenLoop>) -> String {
        let load = match open {
            Some(open) => format!("open loop {} req/s", open.rate),
            None => format!(
                "closed loop, pipeline {}{}",
                plan.pipeline,
                if plan.stream { " streamed" } else { "" }
            ),
        };
        let batch = if plan.multiget > 1 {
            format!(", {} keys per get", plan.multiget)
        } else {
            String::new()
        };
        format!(
            "set:get {}, {} keys {}, values {} B, {} x {} connections, {load}{batch}, seed {}",
            self.ratio,
            plan.keys.end - plan.keys.start,
            order_name(&plan.gets),
            self.data_size_range
                .clone()
                .unwrap_or_else(|| self.data_size.to_string()),
            self.threads,
            self.clients,
            self.seed
        )
    }
}

fn parse_target(text: &str) -> Result<Target, String> {
    let expected = || format!("--target {text}: expected NAME=HOST:PORT[,PID]...");
    let (name, rest) = text.split_once('=').ok_or_else(expected)?;
    let mut parts = rest.split(',');
    let address = resolve(parts.next().ok_or_else(expected)?)?;
    let pids = parts
        .map(|pid| pid.parse().map_err(|_unparsable| expected()))
        .collect::<Result<_, _>>()?;
    Ok(Target {
        name: name.to_owned(),
        address,
        pids,
    })
}

fn resolve(address: &str) -> Result<SocketAddr, String> {
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| format!("{address}: expected HOST:PORT ({error})"))?;
    found
        .next()
        .ok_or_else(|| format!("{address}: the name has no address"))
}

fn pair<'a>(flag: &str, text: &'a str, expected: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(':')
        .ok_or_else(|| format!("{flag} {text}: expected {expected}"))
}

fn range(flag: &str, text: &str, max: u64) -> Result<Range<u64>, String> {
    let expected = || format!("{flag} {text}: expected MIN-MAX, at most {max}");
    let (low, high) = text.split_once('-').ok_or_else(expected)?;
    let (low, high): (u64, u64) = (
        low.parse().map_err(|_unparsable| expected())?,
        high.parse().map_err(|_unparsable| expected())?,
    );
    if low > high || high > max {
        Err(expected())
    } else {
        Ok(low..high + 1)
    }
}

fn within<T: PartialOrd + std::fmt::Display>(flag: &str, given: T, min: T, max: T) -> Result<T, String> {
    if given < min || given > max {
        Err(format!("{flag} {given}: expected {min} to {max}"))
    } else {
        Ok(given)
    }
}

fn seconds(flag: &str, given: f64) -> Result<Duration, String> {
    if given > 0.0 && given <= 86_400.0 {
        Ok(Duration::from_secs_f64(given))
    } else {
        Err(format!(
            "{flag} {given}: expected seconds above 0 and at most 86400"
        ))
    }
}
