//! Correctness, and the cases of a comparison beside their reference.

use std::fmt::Write as _;

use super::{esc, svg};
use crate::measure::outcome::{Case, Outcome};
use crate::report::number::{count, percent, short_count};

/// Values checked, wrong ones, stale ones, errors.
pub(super) fn correctness(outcome: &Outcome) -> String {
    let totals = &outcome.totals;
    if totals.offered == 0 {
        return String::new();
    }
    let row = |name: &str, value: u64, meaning: &str, good: bool| {
        let class = if good { "" } else { " class=\"differs\"" };
        format!(
            "<tr><th scope=\"row\">{name}</th><td{class}>{}</td><td class=\"text\">{meaning}</td></tr>\n",
            count(value)
        )
    };
    let per_phase: String = outcome
        .phases
        .iter()
        .filter(|phase| {
            phase.totals.errors + phase.totals.dropped + phase.totals.mismatches + phase.totals.stale_reads
                > 0
        })
        .map(|phase| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                esc(&phase.name),
                count(phase.totals.errors),
                count(phase.totals.timeouts),
                count(phase.totals.dropped),
                count(phase.totals.mismatches),
                count(phase.totals.stale_reads)
            )
        })
        .collect();
    let per_phase = if per_phase.is_empty() {
        String::new()
    } else {
        format!(
            "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\">phase</th><th scope=\"col\">errors</th><th scope=\"col\">of which timeouts</th>\
             <th scope=\"col\">dropped</th><th scope=\"col\">wrong values</th><th scope=\"col\">stale reads</th></tr></thead>\n<tbody>{per_phase}</tbody></table></div>\n"
        )
    };
    format!(
        "<section><h2>Correctness and errors</h2>\n<div class=\"scroll\"><table class=\"numbers\"><tbody>\n{}{}{}{}{}{}</tbody></table></div>\n{per_phase}{}{}</section>\n",
        row(
            "values checked",
            totals.verified,
            "hits whose value was held against the key and version that were stored",
            true
        ),
        row(
            "wrong values",
            totals.mismatches,
            "another key’s value, a damaged one, or one never written",
            totals.mismatches == 0
        ),
        row(
            "stale reads",
            totals.stale_reads,
            "a version older than one acknowledged before the read began",
            totals.stale_reads == 0
        ),
        row(
            "lost deletes",
            totals.lost_deletes,
            "stale reads of a key whose last acknowledged change was a delete",
            totals.lost_deletes == 0
        ),
        row(
            "errors",
            totals.errors,
            "error replies, broken connections, timeouts",
            totals.errors == 0
        ),
        row(
            "dropped",
            totals.dropped,
            "arrivals never sent because too many were unanswered",
            totals.dropped == 0
        ),
        examples("Wrong values, the first of them", &outcome.mismatch_examples),
        examples("Stale reads, the first of them", &outcome.stale_examples),
    )
}

/// The first of what should not have happened, word for word.
fn examples(title: &str, examples: &[String]) -> String {
    if examples.is_empty() {
        return String::new();
    }
    let items: String = examples
        .iter()
        .map(|example| format!("<li>{}</li>\n", esc(example)))
        .collect();
    format!("<h3>{title}</h3>\n<ol class=\"examples\">\n{items}</ol>\n")
}

/// A comparison: every hash under every event, beside the reference.
pub(super) fn cases(cases: &[Case]) -> String {
    let mut rows = String::new();
    let mut group = String::new();
    for case in cases {
        let name = format!("{} nodes, {}", case.nodes, case.event.replace('_', " "));
        if name != group {
            let _ = writeln!(
                rows,
                "<tr class=\"group\"><th colspan=\"9\" scope=\"colgroup\">{}</th></tr>",
                esc(&name)
            );
            group = name;
        }
        let reference = case.reference;
        let beside = |ours: Option<f64>, theirs: Option<f64>| {
            let theirs = theirs.map_or(String::new(), |theirs| {
                format!(" <small>{:.1}</small>", theirs * 100.0)
            });
            format!("{}{theirs}", percent(ours))
        };
        let verdict = match case.within_tolerance {
            Some(true) => "<td class=\"agrees\">agrees</td>",
            Some(false) => "<td class=\"differs\">differs</td>",
            None => "<td></td>",
        };
        let moved = case
            .remap_measured
            .or(case.remap_predicted)
            .map(|remap| remap.key_fraction);
        let recovery = case
            .recovery_requests
            .map_or("never".to_owned(), |requests| short_count(requests as f64));
        let recovery_reference = reference.map_or(String::new(), |reference| {
            format!(
                " <small>{}</small>",
                short_count(reference.recovery_requests as f64)
            )
        });
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{} <small>{}</small></td><td>{}</td><td>{}</td><td>{}<span class=\"barcell\">{}</span></td><td>{}</td><td>{recovery}{recovery_reference}</td>{verdict}</tr>",
            esc(&case.hash),
            percent(moved),
            case.key_fraction_formula
                .map_or(String::new(), |formula| format!("{:.1}", formula * 100.0)),
            beside(case.warm, reference.map(|reference| reference.warm)),
            beside(case.first_5k, reference.map(|reference| reference.first_5k)),
            beside(case.first_20k, reference.map(|reference| reference.first_20k)),
            svg::bar(
                case.first_20k.unwrap_or(0.0),
                reference.map(|reference| reference.first_20k),
                1.0
            ),
            percent(case.predicted_20k),
        );
    }
    format!(
        "<section><h2>Every hash under every event</h2>\n<p class=\"lede\">Hit rate over the first gets after the event. Small figures: the reference (offline simulation of the same trace), and for keys moved the formula. The bar’s tick is the reference.</p>\n\
         <div class=\"scroll\"><table class=\"numbers cases\"><thead><tr><th scope=\"col\">hash</th><th scope=\"col\">keys moved</th><th scope=\"col\">warm</th><th scope=\"col\">first 5 k</th>\
         <th scope=\"col\">first 20 k</th><th scope=\"col\">law, 20 k</th><th scope=\"col\">requests to 95 %</th><th scope=\"col\"></th></tr></thead>\n<tbody>{rows}</tbody></table></div></section>\n"
    )
}
