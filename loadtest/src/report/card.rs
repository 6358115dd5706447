//! The end card: what a person at a terminal (or reading summary.txt) gets.

use std::fmt::Write as _;

use super::number::{UNKNOWN, count, factor, millis, percent, seconds, short_count, whole_time};
use super::table::columns;
use super::verdict::{Verdict, score};
use super::words;
use crate::measure::outcome::{Case, EventCard, Outcome, Remap};

/// Labels of events are cut to this on the card; the report has them whole.
const LABEL_CHARS_MAX: usize = 40;

/// The card, without the line that says where the report is.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let mut out = String::new();
    heading(outcome, &mut out);
    if !outcome.cases.is_empty() {
        cases(&outcome.cases, &mut out);
    }
    if !outcome.events.is_empty() {
        events(outcome, &mut out);
    }
    if outcome.cases.is_empty() {
        latency(outcome, &mut out);
        misses(outcome, &mut out);
    }
    for (kind, examples) in [
        ("wrong value", &outcome.mismatch_examples),
        ("stale read", &outcome.stale_examples),
    ] {
        if let Some(first) = examples.first() {
            let _ = writeln!(out, "first {kind}: {}", one_line(first));
        }
    }
    let judged = Verdict::of(outcome).is_judged();
    for threshold in outcome.thresholds.iter().filter(|threshold| !threshold.passed) {
        let why = if threshold.why.is_empty() {
            String::new()
        } else {
            format!("   ({})", one_line(&threshold.why))
        };
        let _ = writeln!(
            out,
            "{}  {}   {}{why}",
            if judged { "FAILED" } else { "not judged" },
            one_line(&threshold.expr),
            threshold.detail
        );
    }
    out
}

fn heading(outcome: &Outcome, out: &mut String) {
    let (held, all) = score(outcome);
    let verdict = Verdict::of(outcome);
    let counts = matches!(verdict, Verdict::Passed | Verdict::Failed);
    let score = if all == 0 || !counts {
        String::new()
    } else {
        format!(" {held}/{all}")
    };
    let generator = &outcome.generator;
    let requests = outcome
        .totals
        .offered
        .max(outcome.cases.iter().map(|case| case.requests).sum());
    let health = if generator.valid {
        format!(
            "generator ok: lag p99 {} ms, {} dropped",
            millis(generator.lag_p99_us),
            count(outcome.totals.dropped)
        )
    } else {
        format!(
            "generator lagged: {}",
            generator.why.as_deref().unwrap_or("no reason recorded")
        )
    };
    let _ = writeln!(
        out,
        "{}   seed {}   {}{score}   ({}, {}, {health})",
        one_line(&outcome.scenario),
        outcome.seed,
        verdict.word(),
        whole_time(std::time::Duration::try_from_secs_f64(outcome.elapsed_seconds).unwrap_or_default()),
        words::plural(requests, "request"),
    );
    if matches!(
        verdict,
        Verdict::Interrupted | Verdict::Broken | Verdict::WrongValues | Verdict::Invalid
    ) {
        let _ = writeln!(out, "{}", one_line(&words::headline(outcome)));
    }
    for caveat in words::caveats(outcome) {
        let _ = writeln!(out, "{}", one_line(&caveat));
    }
}

fn events(outcome: &Outcome, out: &mut String) {
    let mut rows = vec![
        [
            "event",
            "warm",
            "low",
            "predicted",
            "to 95 %",
            "backend peak",
            "miss debt",
            "remapped keys / requests",
        ]
        .map(str::to_owned),
    ];
    rows.extend(outcome.events.iter().map(event_row));
    out.push_str(&columns(&rows));
}

fn event_row(card: &EventCard) -> [String; 8] {
    let mut label: String = one_line(&card.label).chars().take(LABEL_CHARS_MAX).collect();
    if card.error.is_some() {
        label.push_str(" FAILED");
    }
    let predicted_factor = card
        .predicted
        .amplification
        .map_or(String::new(), |value| format!(" ({} pred)", factor(Some(value))));
    [
        format!("+{} {label}", seconds(card.at_seconds)),
        percent(card.warm),
        percent(card.low),
        percent(card.predicted.low),
        words::recovery_short(card.recovery_95),
        card.amplification.map_or(UNKNOWN.to_owned(), |value| {
            format!("{}{predicted_factor}", factor(Some(value)))
        }),
        card.miss_debt.map_or(UNKNOWN.to_owned(), |debt| {
            format!("{} reads", short_count(debt.max(0.0)))
        }),
        remap(card),
    ]
}

fn remap(card: &EventCard) -> String {
    let theory = match (
        card.remap_measured,
        card.remap_predicted,
        card.predicted.key_fraction_formula,
    ) {
        (Some(_), Some(predicted), None) => {
            format!("  (predicted {})", percent(Some(predicted.key_fraction)))
        }
        (_, _, Some(formula)) => format!("  (theory {})", percent(Some(formula))),
        _ => String::new(),
    };
    match card.moved() {
        Some(Remap {
            key_fraction,
            request_weighted,
            ..
        }) => {
            format!(
                "{} / {}{theory}",
                percent(Some(key_fraction)),
                percent(Some(request_weighted))
            )
        }
        None => UNKNOWN.to_owned(),
    }
}

fn latency(outcome: &Outcome, out: &mut String) {
    let totals = &outcome.totals;
    let Some(latency) = outcome
        .latency
        .iter()
        .find(|latency| latency.phase.is_empty() && latency.response.count > 0)
    else {
        let _ = writeln!(out, "no request was answered; errors {}", count(totals.errors));
        return;
    };
    let response = &latency.response;
    let _ = writeln!(
        out,
        "latency {}  p50 {}  p90 {}  p99 {}  p99.9 {} ms   (service p99 {} ms)   wrong values {} of {} checked   stale reads {}   errors {}",
        if outcome.workload.mode == "closed" {
            "in a closed loop"
        } else {
            "from intended start"
        },
        millis(response.p50_us),
        millis(response.p90_us),
        millis(response.p99_us),
        millis(response.p999_us),
        millis(latency.service.p99_us),
        count(totals.mismatches),
        count(totals.verified),
        count(totals.stale_reads),
        count(totals.errors),
    );
}

fn misses(outcome: &Outcome, out: &mut String) {
    for card in &outcome.events {
        let shares = words::miss_shares(&card.misses);
        if !shares.is_empty() {
            let list: Vec<String> = shares
                .iter()
                .map(|(name, share)| format!("{name} {:.0} %", share * 100.0))
                .collect();
            let _ = writeln!(
                out,
                "misses while recovering from {}: {}",
                one_line(&card.label),
                list.join("  ")
            );
        }
    }
    if outcome.events.is_empty() {
        let list: Vec<String> = words::miss_shares(&outcome.totals.misses_by_reason)
            .iter()
            .map(|(name, share)| format!("{name} {:.0} %", share * 100.0))
            .collect();
        let _ = writeln!(
            out,
            "hit rate {}; misses: {}",
            percent(outcome.totals.hit_rate()),
            if list.is_empty() {
                "none".to_owned()
            } else {
                list.join("  ")
            }
        );
    }
}

/// Ours beside the reference, case by case.
fn cases(cases: &[Case], out: &mut String) {
    let mut rows = vec![
        [
            "case",
            "hash",
            "warm",
            "first 5 k",
            "first 20 k",
            "law 20 k",
            "to 95 %",
            "keys moved",
            "theory",
            "",
        ]
        .map(str::to_owned),
    ];
    for case in cases {
        let beside = |ours: Option<f64>, reference: Option<f64>| match reference {
            Some(reference) => format!("{} ({:.1})", percent(ours), reference * 100.0),
            None => percent(ours),
        };
        let reference = case.reference;
        let moved = case
            .remap_measured
            .or(case.remap_predicted)
            .map(|remap| remap.key_fraction);
        rows.push([
            format!("{} nodes, {}", case.nodes, case.event.replace('_', " ")),
            case.hash.clone(),
            beside(case.warm, reference.map(|reference| reference.warm)),
            beside(case.first_5k, reference.map(|reference| reference.first_5k)),
            beside(case.first_20k, reference.map(|reference| reference.first_20k)),
            percent(case.predicted_20k),
            recovered(case),
            percent(moved),
            percent(case.key_fraction_formula),
            case.within_tolerance
                .map_or("", |within| if within { "ok" } else { "OFF" })
                .to_owned(),
        ]);
    }
    out.push_str(&columns(&rows));
    if let Some(reference) = cases.iter().find_map(|case| case.reference) {
        let _ = writeln!(
            out,
            "in parentheses: offline simulation of the same trace; ok means within ±{:.1} percentage points",
            reference.tolerance * 100.0
        );
    }
}

fn recovered(case: &Case) -> String {
    let reference = case.reference.map_or(String::new(), |reference| {
        format!(" ({})", short_count(reference.recovery_requests as f64))
    });
    case.recovery_requests
        .map_or("never".to_owned(), |requests| short_count(requests as f64))
        + &reference
}

/// Text from a scenario on one line, control characters replaced.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
