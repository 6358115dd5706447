//! Drawings made here, so that they are there without JavaScript and on paper: the hit rate of the whole run, the
//! neighbourhood of one event, and what their lines mean.

mod dip;
mod frame;
mod whole;

pub(super) use self::dip::dip;
pub(super) use self::whole::hit_rate;
use crate::measure::outcome::{EventCard, Row};
use crate::report::number::percent;

/// Position of a row on the x axis: the middle of its window.
fn x_of(row: &Row, requests: bool) -> f64 {
    if requests {
        row.first_request as f64 + row.requests as f64 / 2.0
    } else {
        row.t + row.seconds / 2.0
    }
}

fn event_x(event: &EventCard, requests: bool) -> f64 {
    if requests {
        event.at_request as f64
    } else {
        event.at_seconds
    }
}

/// What the lines mean; the same for the drawings and the live charts.
pub(super) fn legend() -> String {
    let entries = [
        ("measured", "measured"),
        ("predicted", "predicted: (1 − f)·warm + f·cold"),
        ("warm", "warm, before the event"),
        ("affected", "keys the event made cold"),
        ("unaffected", "all other keys"),
    ];
    let items = entries.map(|(class, text)| {
        format!("<li><svg viewBox=\"0 0 26 8\" aria-hidden=\"true\"><line class=\"line {class}\" x1=\"1\" x2=\"25\" y1=\"4\" y2=\"4\"/></svg>{text}</li>")
    });
    format!("<ul class=\"legend\">{}</ul>\n", items.concat())
}

/// A share on a bar, with an optional tick for what was expected.
pub(super) fn bar(share: f64, expected: Option<f64>, full: f64) -> String {
    let scale = |value: f64| (value / full.max(1e-9) * 100.0).clamp(0.0, 100.0);
    let tick = expected.map_or(String::new(), |expected| {
        format!(
            "<line class=\"expected\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"10\"/>",
            x = scale(expected)
        )
    });
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\"><rect x=\"0\" y=\"1.5\" width=\"{:.1}\" height=\"7\"/>{tick}</svg>",
        percent(Some(share)),
        scale(share)
    )
}
