//! Theory beside measurement, quantity by quantity, with how far they may be apart.

use std::fmt::Write as _;

use super::esc;
use crate::measure::outcome::{EventCard, Outcome, Phase, Recovery};
use crate::report::number::{self, UNKNOWN, factor, percent, points, short_count};

/// How far a measured quantity may be from theory and still agree.
#[derive(Clone, Copy)]
enum Tolerance {
    /// Percentage points, as a fraction.
    Points(f64),
    /// A factor: 2 is from half to twice.
    Factor(f64),
    /// Theory gives a bound; up to this factor above it still agrees.
    Bound(f64),
    /// A count; this share of it more or less.
    Share(f64),
}

struct Quantity {
    name: &'static str,
    formula: &'static str,
    predicted: Option<f64>,
    measured: Option<f64>,
    tolerance: Tolerance,
}

pub(super) fn section(outcome: &Outcome) -> String {
    let mut rows = String::new();
    let of_phases = outcome.phases.iter().map(|phase| {
        let name = format!("in “{}”", phase.name);
        (name, quantities_of_phase(phase))
    });
    let of_events = outcome
        .events
        .iter()
        .map(|card| (card.label.clone(), quantities(card)));
    for (title, quantities) in of_phases.chain(of_events) {
        let known: String = quantities.iter().map(quantity_row).collect();
        if known.is_empty() {
            continue;
        }
        let _ = writeln!(
            rows,
            "<tr class=\"group\"><th colspan=\"6\" scope=\"colgroup\">{}</th></tr>",
            esc(&title)
        );
        rows.push_str(&known);
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

/// What is told of a phase as a whole.
fn quantities_of_phase(phase: &Phase) -> Vec<Quantity> {
    let full = phase.totals.misses_by_reason.evicted > 0;
    let (formula, tolerance) = if full {
        ("of the eviction, with the items that were held", 0.02)
    } else {
        ("Σ p · rT/(1 + rT): a fill, then hits until it expires", 0.005)
    };
    vec![
        Quantity {
            name: "hit rate",
            formula,
            predicted: phase.hit_rate_predicted,
            measured: phase.hit_rate,
            tolerance: Tolerance::Points(tolerance),
        },
        Quantity {
            name: "busiest second of the backing store",
            formula: "N(1 − e^(−r)); spread over W: N/W·(1 − e^(−rW))",
            predicted: phase.backend_peak_predicted,
            measured: phase.backend_peak,
            tolerance: Tolerance::Share(0.15),
        },
    ]
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
            Tolerance::Share(tolerance) => (
                short_count,
                times(measured / predicted),
                (measured - predicted).abs() <= tolerance * predicted,
                format!("±{} %", number::three_digits(tolerance * 100.0)),
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
