//! `[load]`, `[backend]`, `[check]` and `[search]`: how requests arrive, the store a miss must ask, what is looked at beside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Distribution;
use crate::scenario::{Course, Stage};

#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub mode: LoadMode,
    /// Open loop only: where the rate goes from the start of the run on.
    pub stages: Vec<Stage>,
    pub connections: usize,
    /// A reply later than this is an error.
    pub timeout: Duration,
    /// Open loop only: arrivals beyond this many unanswered requests are dropped and counted.
    pub max_in_flight: usize,
    pub retries: Retries,
    pub threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadMode {
    /// Arrivals at `rate` per second whatever the replies do; latency counts from the intended start.
    Open { rate: f64, arrival: Arrival },
    /// As fast as replies come, `pipeline` requests outstanding per connection. No meaningful latency under load.
    Closed { pipeline: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    Poisson,
    Constant,
    /// So many at the same moment; the moments are as far apart as Poisson arrivals.
    Burst(u32),
}

impl Load {
    /// The rate over time; `None` in a closed loop.
    #[must_use]
    pub fn course(&self) -> Option<Course<'_>> {
        match self.mode {
            LoadMode::Open { rate, .. } => Some(Course {
                rate,
                stages: &self.stages,
            }),
            LoadMode::Closed { .. } => None,
        }
    }
}

/// The simulated backing store a miss must ask.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSpec {
    /// Queries per second it can complete; 0 is unlimited.
    pub capacity: f64,
    /// Service time when idle, seconds.
    pub latency: Distribution,
    /// Waiting queries at most; beyond it a query fails at once. 0 is unbounded.
    pub queue_max: usize,
    pub queue_order: QueueOrder,
    /// The client gives up after this long.
    pub timeout: Duration,
    /// Fill the cache from an answer that came after the client gave up.
    pub late_fill: bool,
    /// A client that gives up takes its query out of the queue.
    pub cancel: bool,
    /// Queries for each read; it is answered when the last of them is.
    pub scatter: u32,
    /// Share of the queries that fail.
    pub fail: f64,
}

/// Whose turn it is of those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueOrder {
    /// Who came first.
    Fifo,
    /// Who came last: the one most likely to be still waiting for the answer.
    Lifo,
}

/// What a client does when the backing store does not answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// Times it asks again.
    pub max: u8,
    /// After so long.
    pub backoff: Duration,
    /// Retries at most, as a share of the reads asked for the first time; `None` is no limit.
    pub budget: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CheckSpec {
    /// Keys looked for in the nodes around each event, to hold what really moved against our map. 0: none.
    pub sample_keys: u32,
}

/// Looks for the highest rate that is answered in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// At this quantile, response time is at most so much.
    pub limit: Duration,
    pub quantile: f64,
    /// Requests per second, between which it is looked for.
    pub from: f64,
    pub to: f64,
}
