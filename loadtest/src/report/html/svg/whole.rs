//! The hit rate of the whole run.

use std::fmt::Write as _;

use super::frame::{Frame, nice_step};
use super::{event_x, x_of};
use crate::measure::outcome::{Outcome, Row};
use crate::report::html::{by_requests, esc, rows};
use crate::report::number::short_count;

/// Hit rate of the whole run, 0 to 100 %.
pub(in crate::report::html) fn hit_rate(outcome: &Outcome) -> String {
    let (rows, requests) = (rows(outcome), by_requests(outcome));
    let Some(last) = rows.last() else {
        return String::new();
    };
    let end = if requests {
        (last.first_request + last.requests) as f64
    } else {
        last.t + last.seconds
    };
    let frame = Frame {
        left: 52.0,
        right: 1_028.0,
        top: 26.0,
        bottom: 300.0,
        x: (0.0, end.max(1e-9)),
        y: (0.0, 1.0),
    };
    let mut out = String::from(
        "<svg class=\"drawing\" viewBox=\"0 0 1040 336\" role=\"img\" aria-label=\"Hit rate over time: measured, predicted, affected and unaffected keys\">",
    );
    for (index, phase) in outcome.phases.iter().enumerate() {
        let (from, to) = if requests {
            (phase.start_request as f64, phase.end_request as f64)
        } else {
            (phase.start_seconds, phase.end_seconds)
        };
        let (x, width) = (frame.x(from), frame.x(to) - frame.x(from));
        if width < 0.5 {
            continue;
        }
        let shade = if index % 2 == 0 { "phase even" } else { "phase" };
        let _ = write!(
            out,
            "<rect class=\"{shade}\" x=\"{x:.1}\" y=\"26\" width=\"{width:.1}\" height=\"274\"/>"
        );
        // A label wider than its phase would run into the next.
        if width > phase.name.chars().count() as f64 * 6.6 {
            let _ = write!(
                out,
                "<text class=\"phase-name\" x=\"{:.1}\" y=\"294\">{}</text>",
                x + 6.0,
                esc(&phase.name)
            );
        }
    }
    out.push_str(&frame.y_grid(0.2, |value| format!("{:.0} %", value * 100.0)));
    let step = nice_step(end / 8.0);
    out.push_str(&frame.x_ticks(step, |value| {
        if requests {
            short_count(value)
        } else {
            format!("{value:.0} s")
        }
    }));
    out.push_str(&lines(&frame, outcome, rows, requests));
    let mut label_end = 0.0;
    for event in &outcome.events {
        let x = frame.x(event_x(event, requests));
        let _ = write!(
            out,
            "<line class=\"event\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"20\" y2=\"300\"/>"
        );
        let label: String = event.label.chars().take(32).collect();
        let width = label.chars().count() as f64 * 6.4;
        let start = (x - width / 2.0).clamp(52.0, 1_028.0 - width);
        if start > label_end {
            let _ = write!(
                out,
                "<text class=\"event-name\" x=\"{start:.1}\" y=\"14\">{}</text>",
                esc(&label)
            );
            label_end = start + width + 10.0;
        }
    }
    let axis = if requests {
        "gets since the start"
    } else {
        "seconds since the start"
    };
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"1028\" y=\"332\" text-anchor=\"end\">{axis}</text></svg>"
    );
    out
}

/// The lines of a hit-rate drawing, the important one last so that it lies on top.
fn lines(frame: &Frame, outcome: &Outcome, rows: &[Row], requests: bool) -> String {
    let at = |row: &Row| x_of(row, requests);
    let mut out = warm_lines(frame, outcome, requests);
    out.push_str(
        &frame.path(
            "line unaffected",
            rows.iter()
                .map(|row| (at(row), row.unaffected.and_then(|count| count.rate()))),
        ),
    );
    out.push_str(
        &frame.path(
            "line affected",
            rows.iter()
                .map(|row| (at(row), row.affected.and_then(|count| count.rate()))),
        ),
    );
    out.push_str(&frame.path("line measured", rows.iter().map(|row| (at(row), row.hit_rate))));
    out.push_str(&frame.path("line predicted", rows.iter().map(|row| (at(row), row.predicted))));
    out
}

/// The warm rate each event is held against, from the event to the next.
fn warm_lines(frame: &Frame, outcome: &Outcome, requests: bool) -> String {
    let mut out = String::new();
    for (index, event) in outcome.events.iter().enumerate() {
        let Some(warm) = event.warm else { continue };
        let from = frame.x(event_x(event, requests));
        let to = outcome
            .events
            .get(index + 1)
            .map_or(frame.right, |next| frame.x(event_x(next, requests)));
        if to > from {
            let y = frame.y(warm);
            let _ = write!(
                out,
                "<line class=\"warm\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
    }
    out
}
