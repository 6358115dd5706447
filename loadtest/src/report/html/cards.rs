//! One card per event: a sentence, the numbers, and a small drawing of the dip.

use super::{esc, prose, svg};
use crate::measure::outcome::{EventCard, Outcome};
use crate::report::number::{UNKNOWN, count, factor, percent, seconds, short_count};
use crate::report::words;

pub(super) fn section(outcome: &Outcome) -> String {
    if outcome.events.is_empty() {
        return String::new();
    }
    let cards: String = outcome
        .events
        .iter()
        .enumerate()
        .map(|(index, card)| one(outcome, index, card))
        .collect();
    format!(
        "<section><h2>What was done, and what it cost</h2>\n<div class=\"cards\">\n{cards}</div></section>\n"
    )
}

fn one(outcome: &Outcome, index: usize, card: &EventCard) -> String {
    let failed = if card.error.is_some() { " failed" } else { "" };
    let has_figures = card.warm.is_some() || card.low.is_some();
    let figures = if has_figures { figures(card) } else { String::new() };
    let drawing = if has_figures {
        svg::dip(outcome, index)
    } else {
        String::new()
    };
    format!(
        "<article class=\"card{failed}\">\n<h3>{}<span class=\"at\">{} in, request {}{}</span></h3>\n<div class=\"card-body\"><div class=\"tell\"><p>{}</p>\n{figures}</div>\n{drawing}</div></article>\n",
        esc(&capitalised(&card.label)),
        seconds(card.at_seconds),
        count(card.at_request),
        if card.took_seconds >= 0.001 {
            format!(", took {}", seconds(card.took_seconds))
        } else {
            String::new()
        },
        prose(&words::event(card)),
    )
}

fn figures(card: &EventCard) -> String {
    let small = |text: String| format!("<small>{}</small>", prose(&text));
    let predicted =
        |value: Option<String>| value.map_or(String::new(), |value| small(format!("theory {value}")));
    let theory_requests = card
        .predicted
        .recovery_requests
        .map(|requests| format!("{} requests", short_count(requests as f64)));
    let remap = card.moved();
    let formula = card
        .predicted
        .key_fraction_formula
        .map(|value| percent(Some(value)));
    let items = [
        ("Warm", percent(card.warm), String::new()),
        (
            "Lowest",
            percent(card.low),
            predicted(card.predicted.low.map(|low| percent(Some(low)))),
        ),
        (
            "Back to 95 %",
            words::recovery_short(card.recovery_95),
            predicted(theory_requests),
        ),
        (
            "Backend peak",
            factor(card.amplification),
            predicted(
                card.predicted
                    .amplification
                    .map(|value| format!("≤ {}", factor(Some(value)))),
            ),
        ),
        (
            "Miss debt",
            debt(card),
            card.miss_debt_seconds.map_or(String::new(), |value| {
                small(format!("{} of normal load", seconds(value.max(0.0))))
            }),
        ),
        (
            "Keys moved",
            remap.map_or(UNKNOWN.to_owned(), |remap| percent(Some(remap.key_fraction))),
            predicted(formula),
        ),
        (
            "Requests moved",
            remap.map_or(UNKNOWN.to_owned(), |remap| percent(Some(remap.request_weighted))),
            card.remap_measured
                .zip(card.remap_predicted)
                .map_or(String::new(), |(found, said)| {
                    small(format!(
                        "of {} keys looked for {} had moved, {} predicted",
                        count(found.keys),
                        count(found.moved),
                        count(said.moved)
                    ))
                }),
        ),
    ];
    let cells = items
        .iter()
        .filter(|(_, value, _)| value != UNKNOWN)
        .map(|(name, value, note)| format!("<div><dt>{name}</dt><dd>{}{note}</dd></div>", prose(value)));
    format!("<dl class=\"figures\">{}</dl>", cells.collect::<String>())
}

fn debt(card: &EventCard) -> String {
    card.miss_debt.map_or(UNKNOWN.to_owned(), |debt| {
        format!("{} reads", short_count(debt.max(0.0)))
    })
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
