//! `loadtest predict`: what theory says of a scenario. Starts nothing, sends nothing.

mod forecast;

use std::fmt::Write as _;

use crate::exit::Exit;
use crate::report::number::{bytes, count, factor, percent, seconds, short_count};
use crate::report::table;
use crate::scenario::{Overrides, Scenario, load};
use forecast::{Forecast, Outlook};

/// Everything `predict` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct PredictArgs {
    /// A scenario file, or `builtin:NAME`.
    #[arg(value_name = "FILE|builtin:NAME")]
    pub scenario: String,
    #[command(flatten)]
    pub overrides: Overrides,
}

/// Predicts and prints.
#[must_use]
pub fn main(args: &PredictArgs) -> Exit {
    let scenario = match load(&args.scenario, &args.overrides) {
        Ok(scenario) => scenario,
        Err(diagnostic) => {
            eprintln!("{diagnostic}");
            return Exit::BadInput;
        }
    };
    match forecast::outlook(&scenario) {
        Ok(outlook) => super::print(&text(&scenario, &outlook)),
        Err(problem) => {
            eprintln!("loadtest: {problem}");
            Exit::BadInput
        }
    }
}

fn text(scenario: &Scenario, outlook: &Outlook) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}   seed {}   theory only, nothing was started",
        scenario.name, scenario.seed
    );
    let room = outlook.memory_bytes;
    let fits = if outlook.footprint_bytes <= room {
        "everything fits"
    } else {
        "does not fit: evictions lower the rates below"
    };
    let _ = writeln!(
        out,
        "working set {} ({} keys) in {} of memory: {fits}",
        bytes(outlook.footprint_bytes),
        count(outlook.keys),
        bytes(room)
    );
    if outlook.forecasts.is_empty() {
        let _ = writeln!(
            out,
            "no event changes the cluster; warm hit rate at the end {}",
            percent(outlook.warm_at_end)
        );
        return out;
    }
    let mut rows = vec![
        [
            "event",
            "at",
            "keys gone cold",
            "formula",
            "requests to them",
            "warm",
            "first 1 k",
            "first 5 k",
            "first 20 k",
            "back to 95 %",
            "backend peak",
        ]
        .map(str::to_owned),
    ];
    rows.extend(outlook.forecasts.iter().map(row));
    out.push_str(&table::columns(&rows));
    for forecast in &outlook.forecasts {
        notes(forecast, &mut out);
    }
    out.push_str("h(t) = (1 - f)*warm + f*cold(t), f the share of keys gone cold; backend peak at most 1 + f*h/(1 - h), in the first instant\n");
    out
}

fn row(forecast: &Forecast) -> [String; 11] {
    let prediction = &forecast.prediction;
    let recovery = match prediction.recovery_requests {
        Some(requests) => {
            let time = forecast.rate.map_or(String::new(), |rate| {
                format!("{} / ", seconds(requests as f64 / rate))
            });
            format!("{time}{} requests", short_count(requests as f64))
        }
        None if forecast.stays_cold => "when it is back".to_owned(),
        None => "not in this run".to_owned(),
    };
    [
        forecast.what.clone(),
        forecast.at.clone(),
        percent(Some(forecast.cold_share)),
        percent(prediction.key_fraction_formula),
        percent(Some(forecast.request_fraction)),
        percent(Some(forecast.warm)),
        percent(prediction.first_1k),
        percent(prediction.first_5k),
        percent(prediction.first_20k),
        recovery,
        factor(prediction.amplification),
    ]
}

fn notes(forecast: &Forecast, out: &mut String) {
    if forecast.stays_cold {
        let _ = writeln!(
            out,
            "{}: its keys miss until it is back, so the hit rate stays at {}",
            forecast.what,
            percent(Some((1.0 - forecast.request_fraction) * forecast.warm))
        );
    }
    let Some(overload) = forecast.overload else { return };
    let margin = |margin: f64| {
        if margin.is_finite() {
            format!("{margin:.2} times")
        } else {
            "any number of times".to_owned()
        }
    };
    let verdict = if overload.is_vulnerable() {
        "VULNERABLE: cold, the misses exceed it; with an unbounded queue it may not recover by itself"
    } else {
        "it carries the cold load too"
    };
    let _ = writeln!(
        out,
        "{}: the backing store can take {} the warm misses, {} the cold ones: {verdict}",
        forecast.what,
        margin(overload.margin_warm),
        margin(overload.margin_cold)
    );
}
