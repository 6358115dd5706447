//! `[workload]`: keys, their popularity and sizes, what is asked of them, how a miss is filled.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Distinct keys. For a trace: those the trace has, `keys` is ignored.
    pub keys: u64,
    pub popularity: Popularity,
    /// Key length in bytes (the number is padded to it); ignored by traces.
    pub key_size: Distribution,
    /// Value length in bytes; drawn once per key from the seed, so a key keeps its size. Ignored by traces.
    pub value_size: Distribution,
    pub mix: Mix,
    /// Keys per get; 1 is a plain get.
    pub multiget: u32,
    /// Share of the gets that ask for a key nobody asks for again: one-hit wonders.
    pub lone_get: f64,
    /// `None`: items never expire.
    pub ttl: Option<Ttl>,
    pub fill: Fill,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Popularity {
    Uniform,
    /// Exact Zipf over ranks, any `alpha` ≥ 0.
    Zipf {
        alpha: f64,
    },
    /// `ops` of the requests go to `data` of the keys (both fractions).
    Hotspot {
        data: f64,
        ops: f64,
    },
    /// Zipf over how recently keys were written: the newest is the most popular, and every write makes a new one.
    Latest {
        alpha: f64,
    },
    /// Buckets of keys alike, the most popular keys first.
    Histogram(Vec<Bucket>),
    /// Rows of a trace replayed in order.
    Trace(TraceSpec),
}

/// So many keys that have this share of the requests together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub keys: u64,
    pub share: f64,
}

impl Popularity {
    /// How fast a trace's own times are gone through, if they are.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        match self {
            Self::Trace(trace) => trace.speed,
            Self::Uniform
            | Self::Zipf { .. }
            | Self::Hotspot { .. }
            | Self::Latest { .. }
            | Self::Histogram(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TraceSpec {
    pub source: TraceSource,
    /// Rows to replay at most.
    pub limit: Option<u64>,
    /// Start again from the top when the rows run out.
    pub repeat: bool,
    /// Every row so many times, each under a key of its own.
    pub amplify: u32,
    /// The open loop's arrivals are the trace's own, so many times as fast; `None` leaves them to `[load]`.
    pub speed: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TraceSource {
    /// The packaged trace: first 1,000,000 requests of Twitter's cluster 52.
    TwitterC52,
    /// `time_s,key,size[,op,ttl]` with a header row, `.csv` or `.csv.gz`.
    File(PathBuf),
}

/// Shares of requests; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    pub get: f64,
    pub set: f64,
    pub delete: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ttl {
    pub base: Duration,
    /// ± this fraction, uniform, drawn per store.
    pub jitter: f64,
    /// By whom; `None`: by the load generator, and the nodes do what they do anyway.
    pub jitter_by: Option<JitterBy>,
    /// Several TTLs and the share of the stores that get each; empty: `base` for all.
    pub mix: Vec<(Duration, f64)>,
}

/// Who spreads TTLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterBy {
    /// The load generator alone: the nodes keep to what they are told.
    Loadtest,
    /// The nodes: all are told the same.
    Node,
}

/// What a cache-node spreads TTLs by unless told otherwise.
const NODE_JITTER: f64 = 0.1;

impl Ttl {
    /// The share by which stores of one TTL differ on their way to the nodes.
    #[must_use]
    pub fn drawn_jitter(&self) -> f64 {
        match self.jitter_by {
            Some(JitterBy::Node) => 0.0,
            Some(JitterBy::Loadtest) | None => self.jitter,
        }
    }

    /// The share of its TTL by which a node may let an item expire early, whatever the TTLs are.
    #[must_use]
    pub fn early(ttl: Option<&Self>) -> f64 {
        match ttl.and_then(|ttl| Some((ttl.jitter_by?, ttl.jitter))) {
            Some((JitterBy::Node, jitter)) => jitter,
            Some((JitterBy::Loadtest, _)) => 0.0,
            None => NODE_JITTER,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// A miss asks the backing store and sets what it got.
    Lookaside,
    /// Of all who miss a key one is told to fill it; the others wait for it.
    Lease,
    /// As look-aside; and a write goes to the backing store before it goes to the cache.
    WriteThrough,
    /// As look-aside, under keys that carry the version: a write makes a new key and leaves the old one be.
    Versioned,
    /// A miss stays a miss.
    None,
}

/// A number to be drawn, in mutilate's syntax (`fixed:200`, `gev:30.8,8.2,0.08`). Units are those of the field.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    Fixed(f64),
    /// Uniform over `min..=max`.
    Uniform {
        min: f64,
        max: f64,
    },
    Normal {
        mean: f64,
        sd: f64,
    },
    Exponential {
        mean: f64,
    },
    /// Generalised Pareto: `loc + scale·(U^-shape − 1)/shape`.
    Pareto {
        loc: f64,
        scale: f64,
        shape: f64,
    },
    /// Generalised extreme value: `loc + scale·(E^-shape − 1)/shape`, E ~ Exp(1).
    Gev {
        loc: f64,
        scale: f64,
        shape: f64,
    },
    /// Value sizes of Facebook's ETC pool: a table up to 14 bytes, then 15 + generalised Pareto.
    FbValue,
    /// Mean of the variable itself (not of its logarithm), `sigma` of the logarithm.
    Lognormal {
        mean: f64,
        sigma: f64,
    },
}
