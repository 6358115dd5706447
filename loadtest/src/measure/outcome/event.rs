//! One event: what it did to the cluster, beside what theory said it would do.

use serde::{Deserialize, Serialize};

use super::{HitCount, MissCounts};

/// What one event did to the cluster, beside what theory said it would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventCard {
    /// `add_node`, `remove_node`, `kill_node`, `restart_node`, `flush`, ….
    pub action: String,
    /// The nodes concerned; empty for all.
    pub nodes: Vec<String>,
    /// For a person: `add node n5`.
    pub label: String,
    /// The phase it fired in.
    pub phase: String,
    pub at_seconds: f64,
    /// The next get to be sent was number …
    pub at_request: u64,
    /// How long it took to carry out (process start, topology swap).
    pub took_seconds: f64,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Hit rate just before: the baseline phase if there was one since the last event, else the last 100,000
    /// gets (or fewer, as far as the last event).
    pub warm: Option<f64>,
    /// Lowest window between this event and its recovery (or the next event).
    pub low: Option<f64>,
    pub low_at_seconds: Option<f64>,
    /// Hit rate over the first so many gets after the event; `None` if there were fewer.
    pub first_1k: Option<f64>,
    pub first_5k: Option<f64>,
    pub first_10k: Option<f64>,
    pub first_20k: Option<f64>,
    pub predicted: Prediction,
    /// First window at 95 % of warm that holds for 3 windows.
    pub recovery_95: Recovery,
    /// Highest second of backing store reads over the baseline's mean.
    pub amplification: Option<f64>,
    /// Extra backing store reads from the event to its recovery.
    pub miss_debt: Option<f64>,
    /// The same in seconds of the baseline's backing store load.
    pub miss_debt_seconds: Option<f64>,
    /// Remapped share by the difference of the topologies: of the very keys that were measured if there were any,
    /// else of all keys seen.
    pub remap_predicted: Option<Remap>,
    /// Found by looking into the nodes before the event and at its end: keys asked for in between that are now held
    /// by a node that did not hold them.
    pub remap_measured: Option<Remap>,
    /// By the difference of the topologies, over all keys seen when the event fired.
    pub remap_all: Option<Remap>,
    /// Gets after the event of keys whose owner changed or lost its memory, and of all others, until the next event.
    pub affected: HitCount,
    pub unaffected: HitCount,
    /// Misses between the event and its recovery (or the next event), by reason.
    pub misses: MissCounts,
    /// At the end of a warm-up: what was copied from the old nodes.
    pub copies: Option<Copies>,
}

/// Keys looked at in the pool that was left and in the one that took over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copies {
    /// Keys that the old nodes have.
    pub originals: u64,
    /// Of these, keys that the new ones have.
    pub copied: u64,
    /// Of these, copies that live on when the original has expired.
    pub outliving: u64,
}

impl EventCard {
    /// What the event moved: of all keys seen if that is known, else of those that were looked for. (The keys looked
    /// for in the nodes are the ones a single node held, which after an earlier event is no fair sample of all.)
    #[must_use]
    pub fn moved(&self) -> Option<Remap> {
        self.remap_all.or(self.remap_measured).or(self.remap_predicted)
    }
}

/// What theory says of an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// `(1 − f)·warm + f·cold` over the first window; f is the share of keys that went cold.
    pub low: Option<f64>,
    pub first_1k: Option<f64>,
    pub first_5k: Option<f64>,
    pub first_10k: Option<f64>,
    pub first_20k: Option<f64>,
    /// Gets until the predicted curve is back at 95 % of warm.
    pub recovery_requests: Option<u64>,
    /// `1 + f·h / (1 − h)`.
    pub amplification: Option<f64>,
    /// What the formula of the scheme gives for the share of keys (`1/(n+1)`, …).
    pub key_fraction_formula: Option<f64>,
}

/// When the hit rate was back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Recovery {
    /// No warm rate to compare with, or too few gets to tell.
    #[default]
    Unknown,
    /// Not before the next event or the end of the run: infinite to a threshold.
    Never,
    /// Seconds and gets from the event to the end of the first window that was back.
    After { seconds: f64, requests: u64 },
}

/// How much of the key space changed owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remap {
    /// Keys looked at.
    pub keys: u64,
    /// Those with another owner than before.
    pub moved: u64,
    pub key_fraction: f64,
    /// Keys weighted by the gets they had had when the event fired.
    pub request_weighted: f64,
}
