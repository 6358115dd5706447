//! Theory beside measurement; correctness; and the cases of a comparison beside their reference.

use std::fmt::Write as _;

use super::{esc, svg};
use crate::measure::outcome::{Case, EventCard, Outcome, Recovery};
use crate::report::number::{self, UNKNOWN, count, factor, percent, points, short_count};

/// How far a measured quantity may be from theory and still agree.
#[derive(Clone, Copy)]
enum Tolerance {
    /// Percentage points, as a fraction.
    Points(f64),
    /// A factor: 2 is from half to twice.
    Factor(f64),
    /// Theory gives a bound; up to this factor above it still agrees.
    Bound(f64),
}

struct Quantity {
    name: &'static str,
    formula: &'static str,
    predicted: Option<f64>,
    measured: Option<f64>,
    tolerance: Tolerance,
}

pub(super) fn theory(outcome: &Outcome) -> String {
    let mut rows = String::new();
    for card in &outcome.events {
        let quantities: Vec<Quantity> = quantities(card)
            .into_iter()
            .filter(|q| q.predicted.is_some() && q.measured.is_some())
            .collect();
        if quantities.is_empty() {
            continue;
        }
        let _ = writeln!(
            rows,
            "<tr class=\"group\"><th colspan=\"6\" scope=\"colgroup\">{}</th></tr>",
            esc(&card.label)
        );
        for quantity in quantities {
            rows.push_str(&quantity_row(&quantity));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section><h2>Theory beside measurement</h2>\n<p class=\"lede\">f is the share of the keys that lost their copy; cold(t) is the hit rate t requests after losing everything.</p>\n\
         <div class=\"scroll\"><table class=\"numbers theory\"><thead><tr><th scope=\"col\">quantity</th><th scope=\"col\" class=\"formula\">formula</th><th scope=\"col\">predicted</th>\
         <th scope=\"col\">measured</th><th scope=\"col\">difference</th><th scope=\"col\">verdict</th></tr></thead>\n<tbody>{rows}</tbody></table></div></section>\n"
    )
}

fn quantities(card: &EventCard) -> Vec<Quantity> {
    const LAW: &str = "(1 − f)·warm + f·cold(t)";
    let hit_rate = |name, predicted, measured, tolerance| Quantity {
        name,
        formula: LAW,
        predicted,
        measured,
        tolerance: Tolerance::Points(tolerance),
    };
    let (measured, diff) = (card.remap_measured, card.remap_predicted);
    let recovered = match card.recovery_95 {
        Recovery::After { requests, .. } => Some(requests as f64),
        Recovery::Never => Some(f64::INFINITY),
        Recovery::Unknown => None,
    };
    vec![
        Quantity {
            name: "keys with a new owner",
            formula: "of the scheme: 1/(n+1), n/(n+1), 1/n …",
            predicted: card.predicted.key_fraction_formula,
            // All keys seen: those looked for in the nodes are no fair sample after an earlier event.
            measured: card.moved().map(|remap| remap.key_fraction),
            tolerance: Tolerance::Points(scatter(card).max(0.02)),
        },
        Quantity {
            name: "keys with a new owner",
            formula: "old map against new map, key by key",
            predicted: diff.map(|remap| remap.key_fraction),
            measured: measured.map(|remap| remap.key_fraction),
            tolerance: Tolerance::Points(0.005),
        },
        Quantity {
            name: "requests to those keys",
            formula: "the same, weighted by requests",
            predicted: diff.map(|remap| remap.request_weighted),
            measured: measured.map(|remap| remap.request_weighted),
            tolerance: Tolerance::Points(0.01),
        },
        hit_rate(
            "hit rate, first 1,000 gets",
            card.predicted.first_1k,
            card.first_1k,
            0.03,
        ),
        hit_rate(
            "hit rate, first 5,000 gets",
            card.predicted.first_5k,
            card.first_5k,
            0.015,
        ),
        hit_rate(
            "hit rate, first 10,000 gets",
            card.predicted.first_10k,
            card.first_10k,
            0.015,
        ),
        hit_rate(
            "hit rate, first 20,000 gets",
            card.predicted.first_20k,
            card.first_20k,
            0.015,
        ),
        hit_rate("lowest window", card.predicted.low, card.low, 0.03),
        Quantity {
            name: "requests back to 95 %",
            formula: "where the law reaches 0.95·warm",
            predicted: card.predicted.recovery_requests.map(|requests| requests as f64),
            measured: recovered,
            tolerance: Tolerance::Factor(2.0),
        },
        Quantity {
            name: "backing store peak",
            formula: "at most 1 + f·h/(1 − h), in the first instant",
            predicted: card.predicted.amplification,
            measured: card.amplification,
            tolerance: Tolerance::Bound(1.1),
        },
    ]
}

/// How far the share of moved keys may be from the scheme's by chance alone, with as many keys as were seen.
fn scatter(card: &EventCard) -> f64 {
    let (Some(share), Some(remap)) = (card.predicted.key_fraction_formula, card.moved()) else {
        return 0.0;
    };
    3.0 * (share * (1.0 - share) / (remap.keys as f64).max(1.0)).sqrt()
}

fn quantity_row(quantity: &Quantity) -> String {
    let (Some(predicted), Some(measured)) = (quantity.predicted, quantity.measured) else {
        return String::new();
    };
    let (show, difference, agrees, within): (fn(f64) -> String, String, bool, String) =
        match quantity.tolerance {
            Tolerance::Points(tolerance) => (
                |value| percent(Some(value)),
                points(measured - predicted),
                (measured - predicted).abs() <= tolerance,
                format!("±{} pp", number::three_digits(tolerance * 100.0)),
            ),
            Tolerance::Factor(tolerance) => {
                let ratio = measured / predicted;
                // Nothing predicted and nothing measured is agreement.
                let agrees = (ratio.is_nan() && measured == predicted)
                    || (ratio >= 1.0 / tolerance && ratio <= tolerance);
                let show = |value: f64| {
                    if value.is_finite() {
                        short_count(value)
                    } else {
                        "never (∞)".to_owned()
                    }
                };
                (show, times(ratio), agrees, format!("×/÷ {tolerance}"))
            }
            Tolerance::Bound(tolerance) => (
                |value| factor(Some(value)),
                times(measured / predicted),
                measured <= predicted * tolerance,
                "at most".to_owned(),
            ),
        };
    let (class, word) = if agrees {
        ("agrees", "agrees")
    } else {
        ("differs", "differs")
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"formula\">{}</td><td>{}</td><td>{}</td><td>{difference}</td><td class=\"{class}\">{word} <small>{within}</small></td></tr>\n",
        quantity.name,
        quantity.formula,
        show(predicted),
        show(measured)
    )
}

fn times(ratio: f64) -> String {
    if ratio.is_finite() {
        format!("{}×", number::three_digits(ratio))
    } else {
        UNKNOWN.to_owned()
    }
}

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
        "<section><h2>Correctness and errors</h2>\n<div class=\"scroll\"><table class=\"numbers\"><tbody>\n{}{}{}{}{}</tbody></table></div>\n{per_phase}{}{}</section>\n",
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
