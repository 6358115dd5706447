//! `loadtest list`: the built-in scenarios, each with its purpose, its length and its theory.

use std::fmt::Write as _;
use std::time::Duration;

use crate::exit::Exit;
use crate::report::number;
use crate::scenario::{LoadMode, Overrides, Scenario, builtin, load};

/// Rows of the packaged trace.
const TRACE_ROWS: f64 = 1e6;

/// Prints the list.
#[must_use]
pub fn main() -> Exit {
    let mut scenarios = Vec::new();
    for name in builtin::names() {
        match load(&format!("builtin:{name}"), &Overrides::default()) {
            Ok(scenario) => scenarios.push(scenario),
            Err(diagnostic) => {
                eprintln!("{diagnostic}");
                return Exit::RunError;
            }
        }
    }
    super::print(&text(&scenarios))
}

fn text(scenarios: &[Scenario]) -> String {
    let mut out = String::new();
    for scenario in scenarios {
        let _ = writeln!(
            out,
            "{:<28} {:>7}  {}",
            scenario.name,
            length(scenario),
            scenario.description
        );
        let _ = writeln!(out, "{:<28} {:>7}  theory: {}", "", "", scenario.theory);
    }
    out.push_str("\nrun one:  loadtest run builtin:NAME    see one:  loadtest check builtin:NAME --toml\n");
    out
}

/// About how long it takes: planned phases, or the packaged trace's rows at the scenario's rate.
fn length(scenario: &Scenario) -> String {
    let planned = match (scenario.planned_time(), &scenario.matrix, scenario.load.mode) {
        (Some(time), None, _) => Some(time),
        (None, None, LoadMode::Open { rate, .. }) => Some(Duration::from_secs_f64(TRACE_ROWS / rate)),
        // As fast as the machine goes.
        _ => None,
    };
    planned.map_or_else(
        || "≤ 3m".to_owned(),
        |time| format!("~{}", number::whole_time(time)),
    )
}
