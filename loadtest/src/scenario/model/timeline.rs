//! `[[phase]]`, `[[event]]`, `[[threshold]]`: what happens when, and what is expected of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::{Action, threshold};

#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub kind: PhaseKind,
    pub length: PhaseLength,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// Filling the cache; not part of any verdict.
    Warmup,
    /// The warm hit rate is the mean over the latest baseline phase before an event.
    Baseline,
    Measure,
    /// Tries the rate that `[search]` wants tried next.
    Search,
    Cooldown,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PhaseLength {
    Time(Duration),
    /// Requests issued.
    Requests(u64),
    /// Until the hit rate moves less than `slope` (fraction) over `over`, at most `max`.
    UntilSteady {
        slope: f64,
        over: Duration,
        max: Duration,
    },
    /// Until a trace has no more rows.
    TraceEnd,
}

/// A moment, counted from the start of the run or of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Index into `phases`; `None` is the start of the run.
    pub phase: Option<usize>,
    pub offset: Offset,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offset {
    Time(Duration),
    /// After this many requests have been issued since the moment's origin.
    Requests(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub at: Moment,
    pub action: Action,
    /// The words of the file: `resize+0s`.
    pub at_text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written: `resize.hit_rate.min >= 0.75 * steady.hit_rate`. Checked against the metric names of this scenario.
    pub expr: String,
    pub why: Option<String>,
    pub condition: threshold::Condition,
    /// It fails once it has not held for this long without a break; zero: if it does not hold at the end.
    pub lasting: Duration,
    /// The run ends when it fails.
    pub abort: bool,
}
