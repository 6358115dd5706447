//! What happened, in sentences: for the cards of the report and for somebody who has never seen one.

use super::number::{self, count, percent, seconds};
use super::verdict::{Verdict, score};
use crate::measure::outcome::{EventCard, MissCounts, Outcome, Recovery};

/// The first thing a reader sees: is all well, and why.
#[must_use]
pub(crate) fn headline(outcome: &Outcome) -> String {
    let (held, all) = score(outcome);
    let expectations = match all {
        0 => "No expectation was set for this run.".to_owned(),
        1 => "The one expectation of this run held.".to_owned(),
        2 => "Both expectations of this run held.".to_owned(),
        all => format!("All {all} expectations of this run held."),
    };
    match Verdict::of(outcome) {
        Verdict::Interrupted => format!(
            "The run as it stood after {}: it was not finished. What follows covers only that much.",
            seconds(outcome.elapsed_seconds)
        ),
        Verdict::Broken => {
            let event = outcome.events.iter().find(|event| event.error.is_some());
            let (label, error) = event.map_or(("an event", ""), |event| {
                (&event.label, event.error.as_deref().unwrap_or(""))
            });
            format!(
                "The run did not go as planned: “{label}” failed ({error}). Read the figures with that in mind."
            )
        }
        Verdict::WrongValues => {
            let wrong =
                outcome.totals.mismatches + outcome.cases.iter().map(|case| case.mismatches).sum::<u64>();
            format!(
                "{} returned a value that was never stored under its key. No threshold excuses that: the cluster mixes up or damages values.",
                plural(wrong, "hit")
            )
        }
        Verdict::Invalid => format!(
            "These figures say nothing about the cluster: the load generator could not keep its schedule ({}). Use a lower rate or more cores.",
            outcome.generator.why.as_deref().unwrap_or("no reason recorded")
        ),
        Verdict::Failed => {
            let missed = all - held;
            format!(
                "{missed} of {all} expectations did not hold{}. {}",
                first_missed(outcome, missed),
                worst(outcome)
            )
            .trim_end()
            .to_owned()
        }
        Verdict::Passed => format!("{expectations} {}", worst(outcome)).trim_end().to_owned(),
    }
}

/// `: “the heirs refill what was lost” (never < 30 s)`; what failed is the news, not how many did.
fn first_missed(outcome: &Outcome, missed: usize) -> String {
    let among = if missed > 1 { " among them" } else { "" };
    let threshold = outcome.thresholds.iter().find(|threshold| !threshold.passed);
    let case = outcome
        .cases
        .iter()
        .find(|case| case.within_tolerance == Some(false));
    match (threshold, case) {
        (Some(threshold), _) => {
            let what = if threshold.why.is_empty() {
                &threshold.expr
            } else {
                &threshold.why
            };
            format!(",{among} “{what}” ({})", expected(&threshold.detail))
        }
        (None, Some(case)) => format!(
            ",{among} {} under {}, {} nodes",
            case.event.replace('_', " "),
            case.hash,
            case.nodes
        ),
        (None, None) => String::new(),
    }
}

/// `0.5017 < 0.05` of an expectation that did not hold: `0.5017, expected < 0.05`.
#[must_use]
pub(super) fn expected(detail: &str) -> String {
    let told = detail.split(" and ").map(|comparison| {
        ["<=", ">=", "==", "!=", "<", ">"]
            .iter()
            .find_map(|operator| {
                comparison
                    .split_once(&format!(" {operator} "))
                    .map(|sides| (sides, operator))
            })
            .map_or_else(
                || comparison.to_owned(),
                |((measured, limit), operator)| format!("{measured}, expected {operator} {limit}"),
            )
    });
    told.collect::<Vec<_>>().join("; ")
}

/// What the reader must know to read the figures right: baselines that were not warm. One sentence each.
#[must_use]
pub(super) fn caveats(outcome: &Outcome) -> Vec<String> {
    outcome
        .phases
        .iter()
        .filter(|phase| phase.is_warm == Some(false))
        .map(|phase| {
            let slope = phase.hit_rate_slope_pp_per_10s.unwrap_or(0.0);
            format!(
                "Not warm: in “{}”, which the changes are measured against, the hit rate was still {} by {:.2} points in 10 s.",
                phase.name,
                if slope < 0.0 { "falling" } else { "rising" },
                slope.abs()
            )
        })
        .collect()
}

/// The deepest dip of the run, in a sentence.
fn worst(outcome: &Outcome) -> String {
    if !outcome.cases.is_empty() {
        return String::new();
    }
    let dips = outcome
        .events
        .iter()
        .filter_map(|event| Some((event, event.warm?, event.low?)));
    let Some((event, warm, low)) = dips.max_by(|a, b| (a.1 - a.2).total_cmp(&(b.1 - b.2))) else {
        return match outcome.totals.hit_rate() {
            Some(rate) => format!(
                "Nothing was done to the cluster; its hit rate over the whole run was {}.",
                percent(Some(rate))
            ),
            None => String::new(),
        };
    };
    let theory = event.predicted.low.map_or(String::new(), |low| {
        format!(" (theory said {})", percent(Some(low)))
    });
    let back = match event.recovery_95 {
        Recovery::After { seconds, requests: 0 } if seconds <= 0.0 => {
            " and never left 95 % of warm".to_owned()
        }
        Recovery::After { seconds: time, .. } => format!(" and was back after {}", seconds(time)),
        Recovery::Never => " and did not come back".to_owned(),
        Recovery::Unknown => String::new(),
    };
    let subject = if changes(outcome) == 1 {
        "The one change"
    } else {
        "The costliest change"
    };
    format!(
        "{subject}, “{}”, took the hit rate from {} to {} at its lowest{theory}{back}.",
        event.label,
        percent(Some(warm)),
        percent(Some(low))
    )
}

/// Events that did something to the cluster.
fn changes(outcome: &Outcome) -> usize {
    outcome
        .events
        .iter()
        .filter(|event| event.warm.is_some() && event.low.is_some())
        .count()
}

/// One event, told: what moved, how deep, how long, at what cost.
#[must_use]
pub(super) fn event(card: &EventCard) -> String {
    if let Some(error) = &card.error {
        return format!("This could not be done: {error}.");
    }
    let mut sentences = Vec::new();
    match card.moved() {
        Some(remap) if remap.moved > 0 => sentences.push(format!(
            "{} of the keys got a new owner; they carried {} of the requests.",
            percent(Some(remap.key_fraction)),
            percent(Some(remap.request_weighted))
        )),
        _ => {}
    }
    if let (Some(warm), Some(low)) = (card.warm, card.low) {
        let theory = match card.predicted.low {
            Some(predicted) => format!(" (theory: {})", percent(Some(predicted))),
            None => String::new(),
        };
        let depth = if low < warm {
            format!(
                "The hit rate fell {:.1} points, from {} to {}{theory}",
                (warm - low) * 100.0,
                percent(Some(warm)),
                percent(Some(low))
            )
        } else {
            format!(
                "The hit rate did not fall below its warm {}{theory}",
                percent(Some(warm))
            )
        };
        sentences.push(format!("{depth}{}", recovery(card.recovery_95)));
    }
    if let Some(factor) = card.amplification {
        let debt = match card.miss_debt {
            Some(debt) if debt >= 1.0 => format!(", {} extra reads in all", number::short_count(debt)),
            _ => String::new(),
        };
        sentences.push(format!(
            "At its peak the backing store saw {} its usual load{debt}.",
            number::factor(Some(factor))
        ));
    }
    if sentences.is_empty() {
        sentences.push("It left no mark on the hit rate that could be measured.".to_owned());
    }
    sentences.join(" ")
}

fn recovery(recovery: Recovery) -> String {
    match recovery {
        Recovery::After { seconds, requests: 0 } if seconds <= 0.0 => {
            ": less than a twentieth, so there was nothing to recover from.".to_owned()
        }
        Recovery::After {
            seconds: time,
            requests,
        } => {
            format!(
                " and was back at 95 % of warm after {} ({}).",
                seconds(time),
                plural(requests, "request")
            )
        }
        Recovery::Never => {
            " and was not back at 95 % of warm when the next change came or the run ended.".to_owned()
        }
        Recovery::Unknown => ".".to_owned(),
    }
}

/// `3.2 s / 12.8 k`, `never`, or a dash.
#[must_use]
pub(super) fn recovery_short(recovery: Recovery) -> String {
    match recovery {
        Recovery::After {
            seconds: time,
            requests,
        } => format!("{} / {}", seconds(time), number::short_count(requests as f64)),
        Recovery::Never => "never (∞)".to_owned(),
        Recovery::Unknown => number::UNKNOWN.to_owned(),
    }
}

/// `remapped 61 %  compulsory 22 %`: largest first, nothing below half a percent.
#[must_use]
pub(super) fn miss_shares(misses: &MissCounts) -> Vec<(&'static str, f64)> {
    let total = misses.misses();
    let mut shares: Vec<(&'static str, f64)> = MissCounts::NAMES
        .into_iter()
        .zip(misses.values())
        .skip(1)
        .map(|(name, misses)| (name, misses as f64 / total.max(1) as f64))
        .filter(|(_, share)| *share >= 0.005)
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// `1 request`, `2,000 requests`.
#[must_use]
pub(super) fn plural(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}
