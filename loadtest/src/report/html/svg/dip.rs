//! The neighbourhood of one event.

use std::fmt::Write as _;

use super::frame::{Frame, nice_step};
use super::{event_x, x_of};
use crate::measure::outcome::{Outcome, Recovery, Row};
use crate::report::html::by_requests;
use crate::report::number::{seconds, short_count, three_digits};

/// The neighbourhood of one event, its y axis fitted to the dip (and labelled, because it does not start at zero).
pub(in crate::report::html) fn dip(outcome: &Outcome, index: usize) -> String {
    let event = &outcome.events[index];
    // Windows of equal numbers of gets are finer than seconds where the rate is high.
    let requests = by_requests(outcome) || outcome.request_series.len() > 2 * outcome.series.len();
    let all = if requests {
        &outcome.request_series
    } else {
        outcome.drawn_series()
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
        format!("{} %", three_digits((value * 1e4).round() / 1e2))
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
