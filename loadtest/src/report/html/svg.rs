//! Drawings made here, so that they are there without JavaScript and on paper: the hit rate of the whole run, and the
//! neighbourhood of one event.

use std::fmt::Write as _;

use super::{by_requests, esc, rows};
use crate::measure::outcome::{EventCard, Outcome, Recovery, Row};
use crate::report::number::{percent, seconds, short_count};

/// A drawing area: pixels, and the values at its edges.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.y.0) / (self.y.1 - self.y.0);
        self.bottom - share.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// A polyline through the points that are known; a gap where one is not.
    fn path(&self, class: &str, points: impl Iterator<Item = (f64, Option<f64>)>) -> String {
        let mut d = String::new();
        let mut pen_down = false;
        for (x, y) in points {
            match y.filter(|y| y.is_finite()) {
                Some(y) => {
                    let _ = write!(
                        d,
                        "{}{:.1} {:.1}",
                        if pen_down { "L" } else { "M" },
                        self.x(x),
                        self.y(y)
                    );
                    pen_down = true;
                }
                None => pen_down = false,
            }
        }
        if d.is_empty() {
            String::new()
        } else {
            format!("<path class=\"{class}\" d=\"{d}\"/>")
        }
    }

    fn y_grid(&self, step: f64, label: impl Fn(f64) -> String) -> String {
        let mut out = String::new();
        let mut value = (self.y.0 / step).ceil() * step;
        while value <= self.y.1 + step * 1e-6 {
            let y = self.y(value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.left,
                self.right,
                self.left - 6.0,
                y + 3.5,
                label(value)
            );
            value += step;
        }
        out
    }

    fn x_ticks(&self, step: f64, label: impl Fn(f64) -> String) -> String {
        let mut out = String::new();
        let mut value = (self.x.0 / step).ceil() * step;
        while value <= self.x.1 + step * 1e-6 {
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.x(value),
                self.bottom + 16.0,
                label(value)
            );
            value += step;
        }
        out
    }
}

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

/// Hit rate of the whole run, 0 to 100 %.
pub(super) fn hit_rate(outcome: &Outcome) -> String {
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

/// The neighbourhood of one event, its y axis fitted to the dip (and labelled, because it does not start at zero).
pub(super) fn dip(outcome: &Outcome, index: usize) -> String {
    let event = &outcome.events[index];
    // Windows of equal numbers of gets are finer than seconds where the rate is high.
    let requests = by_requests(outcome) || outcome.request_series.len() > 2 * outcome.series.len();
    let all = if requests {
        &outcome.request_series
    } else {
        &outcome.series
    };
    let at = event_x(event, requests);
    let (from, to) = neighbourhood(outcome, index, requests, all);
    let rows: Vec<&Row> = all
        .iter()
        .filter(|row| (from..=to).contains(&x_of(row, requests)))
        .collect();
    if rows.len() < 3 {
        return String::new();
    }
    let values = rows
        .iter()
        .flat_map(|row| [row.hit_rate, row.predicted])
        .chain([event.warm, event.low])
        .flatten()
        .filter(|value| value.is_finite());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return String::new();
    }
    let step = nice_step(((high - low) / 3.0).max(0.005));
    let y = (
        ((low - step * 0.2) / step).floor() * step,
        (((high + step * 0.2) / step).ceil() * step).min(1.0_f64.max(high)),
    );
    let frame = Frame {
        left: 46.0,
        right: 350.0,
        top: 10.0,
        bottom: 130.0,
        x: (from, to),
        y: (y.0.max(0.0), y.1),
    };
    let mut out = String::from(
        "<svg class=\"drawing dip\" viewBox=\"0 0 360 154\" role=\"img\" aria-label=\"Hit rate around this event\">",
    );
    out.push_str(&frame.y_grid(step, |value| {
        format!(
            "{} %",
            crate::report::number::three_digits((value * 1e4).round() / 1e2)
        )
    }));
    if let Some(warm) = event.warm {
        let (x, y) = (frame.x(at), frame.y(warm));
        let _ = write!(
            out,
            "<line class=\"warm\" x1=\"{x:.1}\" x2=\"350\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
    }
    let x = frame.x(at);
    let _ = write!(
        out,
        "<line class=\"event\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"6\" y2=\"130\"/>"
    );
    out.push_str(&frame.path(
        "line measured",
        rows.iter().map(|row| (x_of(row, requests), row.hit_rate)),
    ));
    out.push_str(&frame.path(
        "line predicted",
        rows.iter().map(|row| (x_of(row, requests), row.predicted)),
    ));
    let label = |value: f64| {
        if requests {
            format!("+{} gets", short_count(value))
        } else {
            format!("+{}", seconds(value))
        }
    };
    let step = nice_step((to - at) / 4.0);
    let _ = write!(
        out,
        "<text class=\"tick\" x=\"{:.1}\" y=\"146\" text-anchor=\"middle\">event</text>",
        frame.x(at)
    );
    // The furthest round distance whose label still fits.
    if let Some(ahead) = [3.0, 2.0, 1.0]
        .map(|steps| steps * step)
        .into_iter()
        .find(|ahead| frame.x(at + ahead) < 312.0)
    {
        let x = frame.x(at + ahead);
        let _ = write!(
            out,
            "<line class=\"tick-mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"130\" y2=\"134\"/><text class=\"tick\" x=\"{x:.1}\" y=\"146\" text-anchor=\"middle\">{}</text>",
            label(ahead)
        );
    }
    out.push_str("</svg>");
    out
}

/// From a little before the event to well after its recovery, but not past the next event.
fn neighbourhood(outcome: &Outcome, index: usize, requests: bool, rows: &[Row]) -> (f64, f64) {
    let event = &outcome.events[index];
    let at = event_x(event, requests);
    let end = rows.last().map_or(at, |row| x_of(row, requests));
    let next = outcome.events[index + 1..]
        .iter()
        .find(|next| next.warm.is_some())
        .map_or(end, |next| event_x(next, requests));
    let recovered = match event.recovery_95 {
        Recovery::After {
            seconds,
            requests: count,
        } => at + 4.0 * if requests { count as f64 } else { seconds },
        Recovery::Never => next,
        Recovery::Unknown => at,
    };
    let least = at + (end / 12.0).max(if requests { 20_000.0 } else { 5.0 });
    let to = recovered.max(least).min(next).max(at);
    (at - (to - at) * 0.25, to)
}

/// 1, 2 or 5 times a power of ten, at least `about`.
fn nice_step(about: f64) -> f64 {
    if !(about.is_finite() && about > 0.0) {
        return 1.0;
    }
    let power = 10.0_f64.powf(about.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= about * 0.999)
        .unwrap_or(10.0 * power)
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

#[cfg(test)]
mod tests {
    use super::nice_step;

    #[test]
    fn steps_are_one_two_or_five() {
        for (about, step) in [
            (0.9, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (3.0, 5.0),
            (7.0, 10.0),
            (0.013, 0.02),
            (f64::NAN, 1.0),
            (0.0, 1.0),
        ] {
            assert!((nice_step(about) - step).abs() < 1e-9, "{about}");
        }
    }
}
