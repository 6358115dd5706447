//! comparison.html: several runs beside one another, a small table first, their overlaid charts second. One file.

use serde_json::{Value, json};

use super::assets::{CHARTS, COMPARE_SCRIPT, STYLE, UPLOT_SCRIPT, UPLOT_STYLE};
use super::escape::{esc, json_in_script, prose};
use crate::measure::outcome::{Outcome, Row};
use crate::report::Verdict;
use crate::report::compare::{Change, Compared, FIGURES, Headline, headline};

/// Points of one run that are drawn: more than a screen has.
const POINTS_MAX: usize = 1_000;

/// The whole page. The first run is the baseline.
#[must_use]
pub fn page(runs: &[Compared]) -> String {
    let data: Vec<Value> = runs.iter().map(curves).collect();
    let title = runs.first().map_or("comparison".to_owned(), |run| {
        format!("{}: {} runs", run.outcome.scenario, runs.len())
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
         <title>{title}</title>\n<style>{UPLOT_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {top}\
         <section><h2>Side by side</h2>\n<p class=\"lede\">The first run is what the others are compared with.</p>\n{table}</section>\n\
         <section class=\"js\"><h2>Hit rate</h2>\n<p class=\"lede\">Second by second, from the first event on, so that the same moment of every run is above the same mark.</p>\n<figure class=\"chart\" id=\"chart-hit\"></figure></section>\n\
         <section class=\"js\"><h2>Backing store</h2>\n<figure class=\"chart\" id=\"chart-backend\"></figure></section>\n\
         <section class=\"js\"><h2>Latency, p99</h2>\n<figure class=\"chart\" id=\"chart-latency\"></figure></section>\n\
         <footer>Made by loadtest {version}. Charts: uPlot 1.6.32 © Leon Sorokin, MIT. This file fetches nothing.</footer>\n</main>\n\
         <script type=\"application/json\" id=\"run\">{data}</script>\n<script>{UPLOT_SCRIPT}</script>\n<script>{CHARTS}</script>\n<script>{COMPARE_SCRIPT}</script>\n</body>\n</html>\n",
        title = esc(&title),
        top = top(&title, &headline(runs)),
        table = table(runs),
        version = env!("CARGO_PKG_VERSION"),
        data = json_in_script(&Value::from(data).to_string()),
    )
}

/// What changed, for somebody who reads nothing else.
fn top(title: &str, headline: &Headline) -> String {
    let (tone, mark, word) = match headline.change {
        Change::Better => ("good", "✓", "BETTER"),
        Change::Level => ("good", "✓", "LEVEL"),
        Change::Worse => ("bad", "✕", "WORSE"),
        Change::Mixed => ("warn", "!", "MIXED"),
        Change::Unknown => ("warn", "!", "NOT COMPARABLE"),
    };
    let runs: String = headline
        .runs
        .iter()
        .map(|sentence| format!("<li>{}</li>\n", prose(sentence)))
        .collect();
    let runs = match runs.as_str() {
        "" => runs,
        _ => format!("<ul class=\"changes\">\n{runs}</ul>\n"),
    };
    format!(
        "<header class=\"verdict {tone}\">\n<div class=\"title\"><span class=\"pill\"><span aria-hidden=\"true\">{mark}</span> {word}</span>\
         <h1>{}</h1><button type=\"button\" class=\"js\" id=\"theme\" aria-label=\"Switch between light and dark\">◐</button></div>\n\
         <p class=\"headline\">{}</p>\n{runs}</header>\n",
        esc(title),
        prose(&headline.sentence),
    )
}

fn table(runs: &[Compared]) -> String {
    let head: String = runs
        .iter()
        .map(|run| format!("<th scope=\"col\">{}</th>", esc(&run.name)))
        .collect();
    let verdicts: String = runs
        .iter()
        .map(|run| {
            let verdict = Verdict::of(&run.outcome);
            let tone = match verdict {
                Verdict::Passed => "better",
                Verdict::Failed | Verdict::WrongValues | Verdict::Broken => "worse",
                Verdict::Invalid | Verdict::Interrupted => "doubtful",
            };
            format!("<td><b class=\"{tone}\">{}</b></td>", verdict.word())
        })
        .collect();
    let mut body = format!("<tr><th scope=\"row\">verdict</th>{verdicts}</tr>\n");
    for figure in &FIGURES {
        let values: Vec<Option<f64>> = runs.iter().map(|run| figure.of(&run.outcome)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let cells = values.iter().map(|value| {
            let change = figure.change(values[0], *value);
            let tone = match figure.is_better(values[0], *value) {
                Some(true) => " class=\"better\"",
                Some(false) => " class=\"worse\"",
                None => "",
            };
            format!(
                "<td>{}<small{tone}> {}</small></td>",
                esc(&figure.text(*value)),
                esc(&change)
            )
        });
        body.push_str(&format!(
            "<tr><th scope=\"row\">{}</th>{}</tr>\n",
            esc(figure.meaning),
            cells.collect::<String>()
        ));
    }
    format!(
        "<div class=\"scroll\"><table class=\"numbers\"><thead><tr><th scope=\"col\"></th>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )
}

/// The columns of one run, its first event at zero.
fn curves(run: &Compared) -> Value {
    let rows = drawn(&run.outcome);
    let origin = run.outcome.events.first().map_or(0.0, |event| event.at_seconds);
    let rounded = |value: Option<f64>, digits: i32| match value.filter(|value| value.is_finite()) {
        Some(value) => json!((value * 10_f64.powi(digits)).round() / 10_f64.powi(digits)),
        None => Value::Null,
    };
    let of = |read: &dyn Fn(&Row) -> Value| -> Value { rows.iter().map(|row| read(row)).collect() };
    json!({
        "name": run.name,
        "x": of(&|row| rounded(Some((row.t + row.seconds / 2.0 - origin).round()), 0)),
        "hit": of(&|row| rounded(row.hit_rate, 4)),
        "backend": of(&|row| rounded(Some(row.backend_rate), 1)),
        "p99": of(&|row| rounded((row.p99_us > 0).then(|| row.p99_us as f64 / 1e3), 3)),
    })
}

/// Every so-manieth second, when there are very many.
fn drawn(outcome: &Outcome) -> Vec<&Row> {
    let series = outcome.drawn_series();
    let step = series.len().div_ceil(POINTS_MAX).max(1);
    series.iter().step_by(step).collect()
}
