//! `Outcome`: everything a run has to say, and the schema of `run.json`.
//!
//! Reports are drawn from this alone, so that `loadtest report` never needs the cluster. Rates and shares are
//! fractions of one, times are seconds from the start of the run unless the name says otherwise, latencies are
//! microseconds. What was never measured is `None`, never zero; "never recovered" is a value of its own.

mod case;
mod counts;
mod event;
mod latency;
mod phase;
mod rows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use case::{Case, CaseReference};
pub use counts::{HitCount, MissCounts, Totals, ratio};
pub use event::{Copies, EventCard, Prediction, Recovery, Remap};
pub use latency::{Generator, Latency, Percentiles};
pub use phase::{Breach, Phase, Probe, SearchResult, ThresholdResult};
pub use rows::{NodeRow, NodeTotal, Row, Skew};

/// Version of this schema. A field added keeps it; a field changed or removed raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// One run, whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema: u32,
    /// `name` of the scenario.
    pub scenario: String,
    pub description: String,
    /// The one seed everything random was drawn from.
    pub seed: u64,
    /// When the run began, Unix seconds.
    pub started_unix_seconds: u64,
    /// How long it took, cluster start and stop included.
    pub elapsed_seconds: f64,
    /// True when the run was cut short (interrupt); the figures cover what was driven until then.
    pub interrupted: bool,
    pub cluster: ClusterFacts,
    pub workload: WorkloadFacts,
    /// Sums over the whole run.
    pub totals: Totals,
    /// Sums per phase, in the order they ran.
    pub phases: Vec<Phase>,
    /// One card per event, in the order they fired.
    pub events: Vec<EventCard>,
    /// One row per second (the last may be shorter).
    pub series: Vec<Row>,
    /// The same measured over equal numbers of gets ([`Row::requests`]), which is how a fast replay is read:
    /// its seconds mean nothing.
    pub request_series: Vec<Row>,
    /// One row per node and second.
    pub nodes: Vec<NodeRow>,
    /// One entry per node: its share of the load in the last warm phase, memory at the end.
    pub node_totals: Vec<NodeTotal>,
    pub skew: Skew,
    /// Response, service and lag, per phase and over all (`phase == ""`).
    pub latency: Vec<Latency>,
    pub generator: Generator,
    pub search: Option<SearchResult>,
    /// The first of the mismatches, in words.
    pub mismatch_examples: Vec<String>,
    /// The first of the stale reads, in words: key, versions, age, owner, event.
    pub stale_examples: Vec<String>,
    /// Set by `run` after the thresholds were evaluated.
    pub thresholds: Vec<ThresholdResult>,
    /// Of the thresholds with `for` or `abort`, those that did not hold for a while.
    pub breaches: Vec<Breach>,
    /// Rows of a comparison (`hash-shootout`): one per case. Empty for an ordinary run.
    pub cases: Vec<Case>,
    pub environment: Environment,
}

/// What was driven.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterFacts {
    /// `managed`, `embedded` or `attach`.
    pub mode: String,
    /// Names of the nodes at the start.
    pub nodes: Vec<String>,
    /// Name of the hash.
    pub hash: String,
    /// Whether requests went through a router.
    pub router: bool,
    /// Memory of one node, bytes.
    pub node_memory_bytes: u64,
    /// `cache-node` or the path of the other program.
    pub program: String,
}

/// What it was driven with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkloadFacts {
    /// One line for a person: `trace twitter_cluster52_1m, 1,000,000 requests` or `zipf 0.99 over 200,000 keys`.
    pub describe: String,
    /// `open` or `closed`.
    pub mode: String,
    /// Offered rate per second in the open loop.
    pub rate: Option<f64>,
    /// Where its stages take it in the end, if it has any.
    pub rate_at_end: Option<f64>,
    /// Distinct keys of the key space.
    pub keys: u64,
    /// Sum of key and value bytes over all keys.
    pub footprint_bytes: u64,
    /// Backing store capacity, reads per second; `None` when unlimited.
    pub backend_capacity: Option<f64>,
}

/// A second of a run that ended earlier than this says little, and is not drawn.
const DRAWN_FROM_SECONDS: f64 = 0.5;

impl Outcome {
    /// The seconds of the run as a chart draws them: without what is left of the last one.
    #[must_use]
    pub fn drawn_series(&self) -> &[Row] {
        match self.series.split_last() {
            Some((last, rest)) if last.seconds < DRAWN_FROM_SECONDS && !rest.is_empty() => rest,
            _ => &self.series,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub loadtest_version: String,
    pub os: String,
    pub cpu_model: String,
    pub cpus: u32,
    pub command: String,
    /// Versions the servers reported, by node name.
    pub versions: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}
