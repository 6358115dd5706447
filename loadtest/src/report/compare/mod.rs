//! Several runs beside one another: the first is the baseline, the others are told by how they differ from it.

mod fail_on;
mod headline;

use super::Verdict;
use super::number::{UNKNOWN, count, percent, points, seconds, short_count};
use crate::measure::outcome::{Outcome, Recovery};

pub use fail_on::{FailOn, FailOnError};
pub use headline::{Change, Headline, headline};

/// What a figure is, and so how it and its change are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A share of one; its change is in points.
    Share,
    Seconds,
    /// Counts, rates and factors.
    Number,
}

/// A figure that two runs can be compared by.
#[derive(Debug)]
pub struct Figure {
    pub name: &'static str,
    pub meaning: &'static str,
    pub kind: Kind,
    /// Whether more of it is better; `None` where it is neither.
    more_is_better: Option<bool>,
    read: fn(&Outcome) -> Option<f64>,
}

const fn figure(
    name: &'static str,
    meaning: &'static str,
    kind: Kind,
    more_is_better: Option<bool>,
    read: fn(&Outcome) -> Option<f64>,
) -> Figure {
    Figure {
        name,
        meaning,
        kind,
        more_is_better,
        read,
    }
}

/// Every figure, in the order of the table.
pub const FIGURES: [Figure; 14] = [
    figure("hit_rate", "hit rate, whole run", Kind::Share, Some(true), |o| {
        o.totals.hit_rate()
    }),
    figure(
        "hit_rate.warm",
        "warm, before the first event",
        Kind::Share,
        Some(true),
        |o| o.events.iter().find_map(|event| event.warm),
    ),
    figure(
        "hit_rate.min",
        "lowest after an event",
        Kind::Share,
        Some(true),
        |o| o.events.iter().filter_map(|event| event.low).reduce(f64::min),
    ),
    figure(
        "recovery_95.seconds",
        "slowest way back to 95 %",
        Kind::Seconds,
        Some(false),
        recovery,
    ),
    figure(
        "amplification",
        "highest backend peak",
        Kind::Number,
        Some(false),
        |o| {
            o.events
                .iter()
                .filter_map(|event| event.amplification)
                .reduce(f64::max)
        },
    ),
    figure(
        "miss_debt",
        "extra reads, all events",
        Kind::Number,
        Some(false),
        |o| {
            o.events
                .iter()
                .filter_map(|event| event.miss_debt)
                .reduce(|a, b| a + b)
        },
    ),
    figure("remap", "keys moved, most", Kind::Share, Some(false), |o| {
        let moved = o.events.iter().filter_map(|event| event.moved());
        moved.map(|remap| remap.key_fraction).reduce(f64::max)
    }),
    figure("p50", "response p50", Kind::Seconds, Some(false), |o| {
        latency(o, |all| all.p50_us)
    }),
    figure("p99", "response p99", Kind::Seconds, Some(false), |o| {
        latency(o, |all| all.p99_us)
    }),
    figure("p999", "response p99.9", Kind::Seconds, Some(false), |o| {
        latency(o, |all| all.p999_us)
    }),
    figure("rate", "requests per second", Kind::Number, None, |o| {
        (o.elapsed_seconds > 0.0).then(|| o.totals.done as f64 / o.elapsed_seconds)
    }),
    figure(
        "backend_reads",
        "reads of the backing store",
        Kind::Number,
        Some(false),
        |o| Some(o.totals.backend_reads as f64),
    ),
    figure("errors", "errors", Kind::Number, Some(false), |o| {
        Some(o.totals.errors as f64)
    }),
    figure("stale_reads", "stale reads", Kind::Number, Some(false), |o| {
        Some(o.totals.stale_reads as f64)
    }),
];

/// `never` is infinite.
fn recovery(outcome: &Outcome) -> Option<f64> {
    let each = outcome.events.iter().filter_map(|event| match event.recovery_95 {
        Recovery::Unknown => None,
        Recovery::Never => Some(f64::INFINITY),
        Recovery::After { seconds, .. } => Some(seconds),
    });
    each.reduce(f64::max)
}

fn latency(outcome: &Outcome, read: fn(&crate::measure::outcome::Percentiles) -> u64) -> Option<f64> {
    let all = outcome.latency.iter().find(|latency| latency.phase.is_empty())?;
    (all.response.count > 0).then(|| read(&all.response) as f64 / 1e6)
}

impl Figure {
    #[must_use]
    pub fn of(&self, outcome: &Outcome) -> Option<f64> {
        (self.read)(outcome)
    }

    /// A value for a person.
    #[must_use]
    pub fn text(&self, value: Option<f64>) -> String {
        match (value, self.kind) {
            (None, _) => UNKNOWN.to_owned(),
            (Some(value), _) if value.is_infinite() => "never".to_owned(),
            (Some(value), Kind::Share) => percent(Some(value)),
            (Some(value), Kind::Seconds) if value < 1.0 => {
                format!("{} ms", super::number::three_digits(value * 1e3))
            }
            (Some(value), Kind::Seconds) => seconds(value),
            (Some(value), Kind::Number) => short_count(value),
        }
    }

    /// The change from `baseline`, for a person; empty when there is nothing to say.
    #[must_use]
    pub fn change(&self, baseline: Option<f64>, value: Option<f64>) -> String {
        let (Some(before), Some(after)) = (baseline, value) else {
            return String::new();
        };
        if before.is_infinite() || after.is_infinite() || (after - before).abs() < f64::EPSILON {
            return String::new();
        }
        match self.kind {
            Kind::Share => points(after - before),
            Kind::Seconds | Kind::Number if before.abs() > 0.0 => {
                match format!("{:+.0} %", (after / before - 1.0) * 100.0).as_str() {
                    "+0 %" | "-0 %" => "±0 %".to_owned(),
                    moved => moved.replace('-', "−"),
                }
            }
            Kind::Seconds | Kind::Number => String::new(),
        }
    }

    /// Whether the change is for the better, for the worse, or neither.
    #[must_use]
    pub fn is_better(&self, baseline: Option<f64>, value: Option<f64>) -> Option<bool> {
        let (before, after) = (baseline?, value?);
        let more_is_better = self.more_is_better?;
        // What is told as no change is none.
        let moved = before != after && !self.change(baseline, value).starts_with('±');
        moved.then_some((after > before) == more_is_better)
    }
}

/// One of the runs.
#[derive(Debug, Clone)]
pub struct Compared {
    /// What tells it from the others.
    pub name: String,
    pub outcome: Outcome,
}

/// The table, for a terminal.
#[must_use]
pub fn table(runs: &[Compared]) -> String {
    let mut rows: Vec<Vec<String>> = vec![
        std::iter::once(String::new())
            .chain(runs.iter().map(|run| run.name.clone()))
            .collect(),
    ];
    rows.push(
        std::iter::once("verdict".to_owned())
            .chain(runs.iter().map(|run| Verdict::of(&run.outcome).word().to_owned()))
            .collect(),
    );
    rows.push(
        std::iter::once("requests".to_owned())
            .chain(runs.iter().map(|run| count(run.outcome.totals.offered)))
            .collect(),
    );
    for figure in &FIGURES {
        let values: Vec<Option<f64>> = runs.iter().map(|run| figure.of(&run.outcome)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let mut row = vec![figure.name.to_owned()];
        for value in &values {
            let change = figure.change(values[0], *value);
            let change = if change.is_empty() {
                change
            } else {
                format!(" ({change})")
            };
            row.push(figure.text(*value) + &change);
        }
        rows.push(row);
    }
    let mut widths = vec![0; runs.len() + 1];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{EventCard, Totals};

    fn run(name: &str, hits: u64, low: f64) -> Compared {
        Compared {
            name: name.into(),
            outcome: Outcome {
                totals: Totals {
                    hits,
                    misses: 100 - hits,
                    ..Totals::default()
                },
                events: vec![EventCard {
                    warm: Some(0.8),
                    low: Some(low),
                    recovery_95: Recovery::Never,
                    ..EventCard::default()
                }],
                ..Outcome::default()
            },
        }
    }

    #[test]
    fn the_first_run_is_the_baseline() {
        let table = table(&[run("ketama", 80, 0.7), run("modulo", 60, 0.3)]);
        let row = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("hit_rate "), "80.0 % 60.0 % (−20.0 pp)", "{table}");
        assert_eq!(row("hit_rate.min"), "70.0 % 30.0 % (−40.0 pp)", "{table}");
        assert_eq!(row("recovery_95.seconds"), "never never", "{table}");
        assert!(
            !table.contains("p99"),
            "what nobody measured is left out: {table}"
        );
    }

    #[test]
    fn better_and_worse_follow_the_figure() {
        let [hit_rate, ..] = &FIGURES;
        assert_eq!(hit_rate.is_better(Some(0.8), Some(0.9)), Some(true));
        let p99 = FIGURES.iter().find(|figure| figure.name == "p99").unwrap();
        assert_eq!(p99.is_better(Some(0.001), Some(0.002)), Some(false));
        assert_eq!(p99.is_better(None, Some(0.002)), None);
    }
}
