//! report.html: one file, nothing fetched. Sections in the order in which people look; verdict, cards, tables and the
//! hit-rate drawing are there without JavaScript, which only makes the charts live.

mod appendix;
pub(crate) mod assets;
mod cards;
mod compare;
mod data;
mod escape;
mod nodes;
mod svg;
mod tables;
mod theory;
mod top;

pub use compare::page as comparison;

use assets::{CHARTS, SCRIPT, STYLE, UPLOT_SCRIPT, UPLOT_STYLE};
use escape::{esc, prose};

use crate::measure::outcome::{Outcome, Row};
use crate::scenario::Scenario;

/// The whole page. `scenario_toml` is shown in the appendix; empty if it is not known.
#[must_use]
pub fn page(outcome: &Outcome, scenario_toml: &str) -> String {
    let scenario: Option<Scenario> = crate::scenario::from_text(
        "scenario.toml",
        scenario_toml,
        &crate::scenario::Overrides::default(),
    )
    .ok();
    let mut body = top::section(outcome);
    if !outcome.cases.is_empty() {
        body.push_str(&tables::cases(&outcome.cases));
    }
    body.push_str(&cards::section(outcome));
    if !rows(outcome).is_empty() {
        body.push_str(&charts(outcome));
    }
    body.push_str(&nodes::section(outcome));
    body.push_str(&theory::section(outcome));
    body.push_str(&tables::correctness(outcome));
    body.push_str(&appendix::section(outcome, scenario_toml, scenario.as_ref()));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
         <title>{title}</title>\n<style>{UPLOT_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <script type=\"application/json\" id=\"run\">{data}</script>\n\
         <script>{UPLOT_SCRIPT}</script>\n<script>{CHARTS}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        title = esc(&format!(
            "{} · {}",
            outcome.scenario,
            super::Verdict::of(outcome).word()
        )),
        data = data::json(outcome),
    )
}

/// The windows that are drawn: seconds in the open loop, equal numbers of gets for a replay as fast as it goes.
fn rows(outcome: &Outcome) -> &[Row] {
    if by_requests(outcome) {
        &outcome.request_series
    } else {
        outcome.drawn_series()
    }
}

/// Whether the run is read by requests and not by the clock.
fn by_requests(outcome: &Outcome) -> bool {
    (outcome.workload.mode == "closed" || outcome.series.is_empty()) && !outcome.request_series.is_empty()
}

/// The charts. What needs JavaScript stays hidden without it.
fn charts(outcome: &Outcome) -> String {
    let events = outcome.events.iter().enumerate().map(|(index, event)| {
        format!(
            "<button type=\"button\" data-zoom=\"{index}\">{}</button>",
            esc(&event.label)
        )
    });
    let capacity =
        outcome
            .workload
            .backend_capacity
            .map_or("It had no limit in this run.".to_owned(), |capacity| {
                format!(
                    "The dashed line is what it can answer: {} reads/s.",
                    super::number::short_count(capacity)
                )
            });
    let loop_note = if outcome.workload.mode == "closed" {
        "This was a closed loop: a request waits for an earlier one, so these figures flatter the cluster. Use an open loop to judge latency."
    } else {
        "<b>Response</b> counts from the moment a request was <em>meant</em> to leave, so waiting behind a slow one counts as waiting. \
         <b>Service</b> counts from the moment it left: what tools report that omit that wait, and look better for it (“coordinated omission”)."
    };
    format!(
        "<section id=\"hit-rate\"><h2>Hit rate over time</h2>\n\
         <p class=\"lede\">Measured beside predicted. Keys the event did not touch are the control group: if their line dips too, something else went wrong.</p>\n\
         <div class=\"controls js\"><span class=\"group\"><button type=\"button\" data-zoom=\"all\">Whole run</button>{}</span>\
         <span class=\"group\"><button type=\"button\" id=\"y-toggle\">Zoom to data</button><button type=\"button\" id=\"x-toggle\"></button></span></div>\n\
         <figure class=\"chart\" id=\"chart-hit\">{}</figure>\n{}</section>\n\
         <section class=\"js\"><h2>Backing store</h2>\n<p class=\"lede\">Every miss is a read here. {capacity}</p>\n<figure class=\"chart\" id=\"chart-backend\"></figure></section>\n\
         <section class=\"js\"><h2>Why requests missed</h2>\n<p class=\"lede\">Each miss has one reason, found from the topology and each key’s history.</p>\n\
         <div class=\"controls\"><span class=\"group\"><button type=\"button\" id=\"miss-toggle\">Show shares</button></span></div>\n<figure class=\"chart\" id=\"chart-misses\"></figure></section>\n\
         <section class=\"js\"><h2>Latency</h2>\n<p class=\"lede\">{loop_note}</p>\n<figure class=\"chart\" id=\"chart-latency\"></figure>\n\
         <h3>By percentile</h3>\n<div class=\"controls\"><span class=\"group\" id=\"percentile-phases\"></span></div>\n<figure class=\"chart\" id=\"chart-percentiles\"></figure></section>\n",
        events.collect::<String>(),
        svg::hit_rate(outcome),
        svg::legend(),
    )
}

#[cfg(test)]
mod tests;
