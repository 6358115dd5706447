//! Is all well right now, and why: one word, one tone, one sentence. Pure: figures in, words out.

use serde::Serialize;

use super::second::Second;
use crate::measure::outcome::Row;
use crate::report::number::{self, count, percent, short_count};

/// Recovered is 95 % of warm, here as everywhere.
const RECOVERED: f64 = 0.95;
/// Under half of warm there is little left to call warm.
const COLD: f64 = 0.5;
/// A backing store this busy has nothing left to give.
const BUSY: f64 = 0.95;
/// The generator's own limits: beyond them the figures are not the cluster's.
const LAG_P99_MAX_US: u64 = 10_000;
const DROPPED_MAX: f64 = 0.001;
/// An overload that lasts this long after the last event sustains itself.
const METASTABLE_AFTER_SECONDS: f64 = 30.0;
/// Share of a second's requests that may fail before they are the news.
const ERRORS_MAX: f64 = 0.01;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Good,
    Warn,
    Bad,
}

/// What the first row of the live page says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub word: String,
    pub tone: Tone,
    pub sentence: String,
}

impl Status {
    fn new(tone: Tone, word: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            tone,
            sentence: sentence.into(),
        }
    }

    /// Before the first second is over.
    #[must_use]
    pub fn starting() -> Self {
        Self::new(Tone::Warn, "STARTING", "The cluster is being started.")
    }
}

/// Worst news first. `lowest` is the lowest hit rate since the last event.
#[must_use]
pub fn status(second: &Second, capacity: Option<f64>, lowest: Option<f64>) -> Status {
    let Second { row, totals, .. } = second;
    if let Some(event) = second.events.iter().find(|event| event.error.is_some()) {
        let why = event.error.as_deref().unwrap_or_default();
        return Status::new(
            Tone::Bad,
            "ERROR",
            format!("“{}” could not be done ({why}); the run ends here.", event.label),
        );
    }
    if totals.mismatches > 0 {
        let told = format!(
            "{} hits returned a value that was never stored under their key.",
            count(totals.mismatches)
        );
        return Status::new(Tone::Bad, "WRONG VALUES", told);
    }
    if let Some(invalid) = invalid(second) {
        return invalid;
    }
    if let Some(overload) = overload(second, capacity) {
        return overload;
    }
    let failing = row.errors as f64 / (row.requests as f64).max(1.0);
    if failing > ERRORS_MAX {
        let told = format!("{} of the requests fail.", percent(Some(failing)));
        return Status::new(Tone::Bad, "FAILING", told);
    }
    if totals.stale_reads > 0 {
        let told = format!(
            "{} hits returned a value older than the last one acknowledged.",
            count(totals.stale_reads)
        );
        return Status::new(Tone::Bad, "STALE", told);
    }
    warmth(second, lowest)
}

fn invalid(second: &Second) -> Option<Status> {
    let dropped = second.totals.dropped as f64 / (second.totals.offered as f64).max(1.0);
    let why = if dropped > DROPPED_MAX {
        format!("{} of the requests were never sent", percent(Some(dropped)))
    } else if second.lag_p99_us > LAG_P99_MAX_US {
        format!(
            "requests leave {} ms late (p99)",
            number::millis(second.lag_p99_us)
        )
    } else {
        return None;
    };
    Some(Status::new(
        Tone::Warn,
        "INVALID",
        format!(
            "The load generator cannot keep its schedule: {why}. The figures are its own, not the cluster’s. Lower the rate, or give it more of the machine."
        ),
    ))
}

fn overload(second: &Second, capacity: Option<f64>) -> Option<Status> {
    let row = &second.row;
    let capacity = capacity?;
    if row.backend_rate < BUSY * capacity || row.backend_queue == 0 {
        return None;
    }
    let waiting = format!(
        "the backing store is asked for {} reads/s and can answer {}; {} wait",
        short_count(row.backend_rate),
        short_count(capacity),
        count(row.backend_queue)
    );
    let since = second.events.last().map(|event| row.t - event.at_seconds);
    let good = row.rate_done - row.errors as f64 / row.seconds.max(1e-9);
    match since {
        Some(since) if since >= METASTABLE_AFTER_SECONDS && good < 0.9 * row.rate_offered => {
            Some(Status::new(
                Tone::Bad,
                "METASTABLE",
                format!("The cause is {since:.0} s gone and the overload feeds itself: {waiting}."),
            ))
        }
        _ => Some(Status::new(
            Tone::Bad,
            "OVERLOADED",
            format!("Too many misses: {waiting}."),
        )),
    }
}

fn warmth(second: &Second, lowest: Option<f64>) -> Status {
    let Row { hit_rate, .. } = second.row;
    let (Some(now), Some(warm)) = (hit_rate, second.warm) else {
        let told = match hit_rate {
            Some(rate) => format!("The cache is filling: {} of the gets hit.", percent(Some(rate))),
            None => "No gets yet.".to_owned(),
        };
        return Status::new(Tone::Warn, "WARMING UP", told);
    };
    let event = second.events.last().filter(|event| event.warm.is_some());
    let since = event.map_or(String::new(), |event| {
        format!(
            ", {:.0} s after “{}”",
            (second.row.t + second.row.seconds - event.at_seconds).max(0.0),
            event.label
        )
    });
    let down: Vec<&str> = second
        .nodes
        .iter()
        .filter(|node| node.member && !node.up)
        .map(|node| node.node.as_str())
        .collect();
    let down = match down.as_slice() {
        [] => String::new(),
        [one] => format!(" {one} does not answer."),
        all => format!(" {} do not answer.", all.join(", ")),
    };
    let target = RECOVERED * warm;
    if now >= target {
        return Status::new(
            Tone::Good,
            "WARM",
            format!(
                "{} of the gets hit, as they do when warm ({}){since}.{down}",
                percent(Some(now)),
                percent(Some(warm))
            ),
        );
    }
    let told = format!(
        "{} of the gets hit; warm is {}{since}.{down}",
        percent(Some(now)),
        percent(Some(warm))
    );
    let lowest = lowest.unwrap_or(now).min(now);
    let back = (now - lowest) / (target - lowest);
    if now < COLD * warm {
        Status::new(Tone::Bad, "COLD", told)
    } else if event.is_none() {
        Status::new(Tone::Warn, "COOLING", told)
    } else {
        Status::new(
            Tone::Warn,
            format!("RECOVERING {:.0} %", (back * 100.0).clamp(0.0, 99.0)),
            told,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::second::{EventNow, NodeNow};
    use crate::measure::outcome::Totals;

    fn second(hit_rate: f64) -> Second {
        Second {
            row: Row {
                t: 70.0,
                seconds: 1.0,
                requests: 4000,
                hit_rate: Some(hit_rate),
                rate_offered: 4000.0,
                rate_done: 4000.0,
                ..Row::default()
            },
            warm: Some(0.8),
            events: vec![EventNow {
                action: "add_node".into(),
                label: "add node node5".into(),
                at_seconds: 60.0,
                warm: Some(0.8),
                ..EventNow::default()
            }],
            totals: Totals {
                offered: 280_000,
                ..Totals::default()
            },
            ..Second::default()
        }
    }

    #[track_caller]
    fn check(
        second: &Second,
        capacity: Option<f64>,
        lowest: Option<f64>,
        word: &str,
        tone: Tone,
        says: &str,
    ) {
        let status = status(second, capacity, lowest);
        assert_eq!((status.word.as_str(), status.tone), (word, tone), "{status:?}");
        assert!(status.sentence.contains(says), "{status:?}");
    }

    #[test]
    fn the_word_follows_the_hit_rate() {
        check(
            &second(0.79),
            None,
            Some(0.6),
            "WARM",
            Tone::Good,
            "11 s after “add node node5”",
        );
        check(
            &second(0.70),
            None,
            Some(0.64),
            "RECOVERING 50 %",
            Tone::Warn,
            "warm is 80.0 %",
        );
        check(&second(0.30), None, None, "COLD", Tone::Bad, "30.0 %");
        let cold_start = Second {
            warm: None,
            ..second(0.3)
        };
        check(&cold_start, None, None, "WARMING UP", Tone::Warn, "filling");
    }

    #[test]
    fn a_node_that_does_not_answer_is_named() {
        let mut second = second(0.7);
        second.nodes = ["node1", "node2"]
            .map(|node| NodeNow {
                node: node.into(),
                member: true,
                up: node == "node1",
                ..NodeNow::default()
            })
            .into();
        check(
            &second,
            None,
            None,
            "RECOVERING 0 %",
            Tone::Warn,
            " node2 does not answer.",
        );
    }

    #[test]
    fn an_overload_is_told_from_one_that_feeds_itself() {
        let mut busy = second(0.45);
        (busy.row.backend_rate, busy.row.backend_queue) = (400.0, 900);
        check(&busy, Some(400.0), None, "OVERLOADED", Tone::Bad, "900 wait");
        check(&busy, Some(4000.0), None, "RECOVERING 0 %", Tone::Warn, "45.0 %");
        busy.row.t = 120.0;
        busy.row.errors = 2000;
        check(&busy, Some(400.0), None, "METASTABLE", Tone::Bad, "60 s gone");
    }

    #[test]
    fn figures_that_are_not_the_clusters_are_called_that() {
        let mut lagging = second(0.8);
        lagging.lag_p99_us = 12_000;
        check(&lagging, None, None, "INVALID", Tone::Warn, "late (p99)");
        let mut dropping = second(0.8);
        dropping.totals.dropped = 10_000;
        check(&dropping, None, None, "INVALID", Tone::Warn, "never sent");
        let mut wrong = lagging.clone();
        wrong.totals.mismatches = 2;
        check(&wrong, None, None, "WRONG VALUES", Tone::Bad, "2 hits");
    }
}
