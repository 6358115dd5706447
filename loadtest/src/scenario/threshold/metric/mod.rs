//! Every metric name a threshold may use, its unit, its meaning, and where an `Outcome` keeps it.

pub use of_phase::PHASE_METRICS;
pub use of_run::RUN_METRICS;

mod of_phase;
mod of_run;

use crate::measure::outcome::{EventCard, Latency, Outcome, Phase, Totals, ratio};
use crate::report::number;
use crate::scenario::action::changes_cluster;

/// What a number is, so that a percentile is never compared with a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Counts, fractions, factors.
    Number,
    /// A time; a literal needs its unit.
    Time,
    /// A metric whose name says `seconds`: compares with bare numbers and with times.
    Seconds,
    /// Held against `true` or `false`: told in these words.
    Flag,
}

impl Unit {
    /// A value for a person.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() && value > 0.0 => "never".to_owned(),
            Self::Time => time_text(value),
            Self::Seconds => format!("{} s", plain(value)),
            Self::Flag if value == 0.0 => "false".to_owned(),
            Self::Flag if value == 1.0 => "true".to_owned(),
            Self::Number | Self::Flag => plain(value),
        }
    }
}

fn time_text(seconds: f64) -> String {
    match seconds.abs() {
        s if s >= 1.0 => format!("{} s", plain(seconds)),
        s if s >= 1e-3 || s == 0.0 => format!("{} ms", plain(seconds * 1e3)),
        _ => format!("{} us", plain(seconds * 1e6)),
    }
}

/// At most four decimals, none that are zero; thousands apart.
pub(super) fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    match whole.parse::<u64>() {
        Ok(whole) => format!("{}{rest}", number::count(whole)),
        Err(_) => text.to_owned(),
    }
}

/// A metric of the whole run.
#[derive(Debug)]
pub struct RunMetric {
    pub name: &'static str,
    pub unit: Unit,
    pub meaning: &'static str,
    pub(super) read: fn(&Outcome) -> Option<f64>,
}

/// A metric of one phase, written `PHASE.NAME`.
#[derive(Debug)]
pub struct PhaseMetric {
    pub name: &'static str,
    pub unit: Unit,
    pub meaning: &'static str,
    read: Read,
}

#[derive(Debug)]
enum Read {
    /// From the phase's own sums.
    Phase(fn(&Phase) -> Option<f64>),
    /// From the card of the first event in the phase that changes the cluster.
    Event(fn(&EventCard) -> Option<f64>),
}

impl PartialEq for RunMetric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl PartialEq for PhaseMetric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl PhaseMetric {
    /// Needs an event that changes the cluster inside the phase.
    pub(super) fn needs_event(&self) -> bool {
        matches!(self.read, Read::Event(_))
    }

    pub(super) fn value(&self, outcome: &Outcome, phase: &str) -> Option<f64> {
        match self.read {
            Read::Phase(read) => outcome
                .phases
                .iter()
                .find(|candidate| candidate.name == phase)
                .and_then(read),
            Read::Event(read) => outcome
                .events
                .iter()
                .find(|card| card.phase == phase && changes_cluster(&card.action))
                .and_then(read),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

const fn run(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    read: fn(&Outcome) -> Option<f64>,
) -> RunMetric {
    RunMetric {
        name,
        unit,
        meaning,
        read,
    }
}

const fn of_phase(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    read: fn(&Phase) -> Option<f64>,
) -> PhaseMetric {
    PhaseMetric {
        name,
        unit,
        meaning,
        read: Read::Phase(read),
    }
}

const fn of_event(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    read: fn(&EventCard) -> Option<f64>,
) -> PhaseMetric {
    PhaseMetric {
        name,
        unit,
        meaning,
        read: Read::Event(read),
    }
}

fn error_rate(totals: &Totals) -> Option<f64> {
    ratio(totals.errors, totals.offered)
}

/// Words that begin a metric of the run (or mean something in an expression), so no phase may be called so.
pub(in crate::scenario) fn is_reserved(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "predicted",
        "and",
        "true",
        "false",
        "never",
        "abs",
        "min",
        "max",
        "event",
    ];
    WORDS.contains(&name)
        || RUN_METRICS
            .iter()
            .any(|metric| metric.name.split('.').next() == Some(name))
}

/// Response time at a quantile, seconds; `phase` empty for the whole run.
pub(super) fn latency(outcome: &Outcome, phase: &str, quantile: f64) -> Option<f64> {
    let row: &Latency = outcome.latency.iter().find(|row| row.phase == phase)?;
    if row.response.count == 0 {
        return None;
    }
    let response = &row.response;
    let micros = match quantile {
        q if q >= 1.0 => response.max_us,
        q if q >= 0.9999 => response.p9999_us,
        q if q >= 0.999 => response.p999_us,
        q if q >= 0.99 => response.p99_us,
        q if q >= 0.95 => response.p95_us,
        q if q >= 0.9 => response.p90_us,
        _ => response.p50_us,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a run are far below 2^53"
    )]
    let seconds = micros as f64 / 1e6;
    Some(seconds)
}
