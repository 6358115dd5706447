//! summary.md: the run for a pull request or a CI job's page (GitHub-flavoured Markdown).

use std::fmt::Write as _;

use super::number::{UNKNOWN, count, factor, millis, percent, seconds};
use super::verdict::{Verdict, score};
use super::words;
use crate::measure::outcome::{EventCard, Outcome, Recovery};

/// Wrong and stale values told here; run.json and the report have more.
const EXAMPLES_MAX: usize = 5;

/// The whole text.
#[must_use]
pub(super) fn text(outcome: &Outcome) -> String {
    let mut out = String::new();
    let verdict = Verdict::of(outcome);
    let mark = match verdict {
        Verdict::Passed => "✅",
        Verdict::Failed | Verdict::WrongValues | Verdict::Broken => "❌",
        Verdict::Invalid | Verdict::Interrupted => "⚠️",
    };
    let (held, all) = score(outcome);
    let _ = writeln!(
        out,
        "### {mark} {}: {}{}\n\n{}\n",
        cell(&outcome.scenario),
        verdict.word(),
        if verdict.is_judged() {
            format!(" {held}/{all}")
        } else {
            String::new()
        },
        cell(&words::headline(outcome))
    );
    for caveat in words::caveats(outcome) {
        let _ = writeln!(out, "> {}\n", cell(&caveat));
    }
    if !outcome.events.is_empty() {
        out.push_str("| event | warm | low | predicted | to 95 % | backend peak | miss debt |\n|---|--:|--:|--:|--:|--:|--:|\n");
        for event in &outcome.events {
            event_row(event, &mut out);
        }
        out.push('\n');
    }
    if !outcome.cases.is_empty() {
        out.push_str("| event | hash | nodes | warm | first 20 k | to 95 % | as expected |\n|---|---|--:|--:|--:|--:|---|\n");
        for case in &outcome.cases {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                cell(&case.event),
                cell(&case.hash),
                case.nodes,
                percent(case.warm),
                percent(case.first_20k),
                case.recovery_requests
                    .map_or(UNKNOWN.to_owned(), |requests| format!("{} gets", count(requests))),
                match case.within_tolerance {
                    Some(true) => "yes",
                    Some(false) => "**no**",
                    None => UNKNOWN,
                }
            );
        }
        out.push('\n');
    }
    if !outcome.thresholds.is_empty() {
        out.push_str("| | expectation | measured | why |\n|---|---|---|---|\n");
        for threshold in &outcome.thresholds {
            let _ = writeln!(
                out,
                "| {} | `{}` | {} | {} |",
                match (verdict.is_judged(), threshold.passed) {
                    (false, _) => UNKNOWN,
                    (true, true) => "✅",
                    (true, false) => "❌",
                },
                cell(&threshold.expr),
                cell(&threshold.detail),
                cell(&threshold.why)
            );
        }
        out.push('\n');
    }
    if let Some(all) = outcome.latency.first() {
        let response = &all.response;
        let _ = writeln!(
            out,
            "Response from the intended start: p50 {} ms, p99 {} ms, p99.9 {} ms (service p99 {} ms). Errors {}, stale reads {}, dropped {}. Seed {}.",
            millis(response.p50_us),
            millis(response.p99_us),
            millis(response.p999_us),
            millis(all.service.p99_us),
            count(outcome.totals.errors),
            count(outcome.totals.stale_reads),
            count(outcome.totals.dropped),
            outcome.seed
        );
    }
    for (what, examples) in [
        ("Wrong values", &outcome.mismatch_examples),
        ("Stale reads", &outcome.stale_examples),
    ] {
        if !examples.is_empty() {
            let _ = writeln!(out, "\n{what}, the first of them:\n");
            for example in examples.iter().take(EXAMPLES_MAX) {
                let _ = writeln!(out, "- {}", cell(example));
            }
        }
    }
    out
}

fn event_row(event: &EventCard, out: &mut String) {
    let back = match event.recovery_95 {
        Recovery::Unknown => UNKNOWN.to_owned(),
        Recovery::Never => "never".to_owned(),
        Recovery::After { seconds: time, .. } => seconds(time),
    };
    let debt = event
        .miss_debt
        .map_or(UNKNOWN.to_owned(), |debt| format!("{debt:.0} reads"));
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {back} | {} | {debt} |",
        cell(&event.label),
        percent(event.warm),
        percent(event.low),
        percent(event.predicted.low),
        factor(event.amplification),
    );
}

/// Text inside a table: one line, and no bar that would end the cell.
fn cell(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '|' => vec!['\\', '|'],
            '`' => vec!['\''],
            c if c.is_control() => vec![' '],
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::outcome::{Generator, ThresholdResult};

    #[test]
    fn a_summary_says_the_verdict_and_every_expectation() {
        let text = text(&Outcome {
            scenario: "a|b".into(),
            generator: Generator {
                valid: true,
                ..Generator::default()
            },
            events: vec![EventCard {
                label: "add node node5".into(),
                warm: Some(0.8),
                low: Some(0.7),
                ..EventCard::default()
            }],
            thresholds: vec![ThresholdResult {
                expr: "errors == 0".into(),
                detail: "3 == 0".into(),
                ..ThresholdResult::default()
            }],
            ..Outcome::default()
        });
        for part in [
            "### ❌ a\\|b: FAIL 0/1",
            "| add node node5 | 80.0 % | 70.0 % |",
            "| ❌ | `errors == 0` | 3 == 0 |",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
