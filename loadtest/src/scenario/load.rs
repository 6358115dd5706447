//! Reads `[load]`: how requests arrive, and what a client puts up with.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::reader::Table;
use super::stages::Stage;
use super::{Arrival, Load, LoadMode, Retries, Workload};

type Result<T> = std::result::Result<T, Diagnostic>;

const THREADS_MAX: usize = 64;
/// Requests per second.
const RATE_MIN: f64 = 1.0;
const RATE_MAX: f64 = 1_000_000.0;
/// Requests that arrive together: more than this is a stage, not a burst.
const BURST_MAX: u32 = 10_000;
const STAGES_MAX: usize = 100;

pub(super) fn load(mut table: Table<'_>, workload: &Workload) -> Result<Load> {
    #[derive(Clone, Copy)]
    enum Loop {
        Open,
        Closed,
    }
    let mode = table
        .word("mode", &[("open", Loop::Open), ("closed", Loop::Closed)])?
        .unwrap_or(Loop::Open);
    let rate = table.number("rate", RATE_MIN, RATE_MAX)?;
    let arrival = arrival(&mut table)?;
    let stages = stages(&mut table)?;
    let pipeline = table.count("pipeline", 1, 1_024)?;
    if workload.popularity.speed().is_some() {
        let refuse = |table: &Table<'_>, key: &'static str, expected: &str| {
            let message = format!("`{key}` does not go with the `speed` of a trace");
            Err(Diagnostic::new(&table.place(key), message, expected))
        };
        for key in ["rate", "arrival", "stages"] {
            if table.is_written(key) {
                return refuse(&table, key, "expected the trace's own times, or no `speed`");
            }
        }
        if matches!(mode, Loop::Closed) {
            return refuse(&table, "mode", "expected mode = \"open\", or no `speed`");
        }
        if workload.multiget > 1 {
            return Err(table.error(
                "`multiget` does not go with the `speed` of a trace",
                "expected multiget = 1, or no `speed`",
            ));
        }
    }
    let mode = match mode {
        Loop::Open => {
            if pipeline.is_some() {
                return Err(Diagnostic::new(
                    &table.place("pipeline"),
                    "`pipeline` belongs to a closed loop",
                    "expected mode = \"closed\", or no `pipeline`",
                ));
            }
            LoadMode::Open {
                rate: rate.unwrap_or(4_000.0),
                arrival: arrival.unwrap_or(Arrival::Poisson),
            }
        }
        Loop::Closed => {
            for key in ["rate", "arrival", "stages"] {
                if table.is_written(key) {
                    let message = format!("`{key}` belongs to an open loop");
                    return Err(Diagnostic::new(
                        &table.place(key),
                        message,
                        format!("expected mode = \"open\", or no `{key}`"),
                    ));
                }
            }
            LoadMode::Closed {
                pipeline: pipeline.unwrap_or(1),
            }
        }
    };
    let connections = table.count("connections", 1, 10_000)?.unwrap_or(32);
    let timeout = table.time("timeout")?.unwrap_or(Duration::from_millis(250));
    let max_in_flight = table.count("max_in_flight", 1, 1_000_000)?.unwrap_or(4_096);
    let threads = table.count("threads", 1, THREADS_MAX)?.unwrap_or(1);
    let retries = retries(table.table("retries", "`retries`")?)?;
    if timeout.is_zero() {
        return Err(Diagnostic::new(
            &table.place("timeout"),
            "`timeout` is zero",
            "expected a time above 0",
        ));
    }
    table.finish()?;
    Ok(Load {
        mode,
        stages,
        connections,
        timeout,
        max_in_flight,
        retries,
        threads,
    })
}

/// `{ max = 2, backoff = "10ms", budget = 0.2 }`.
fn retries(mut table: Table<'_>) -> Result<Retries> {
    let max = table.count("max", 0, 100)?.unwrap_or(0);
    let backoff = table.time("backoff")?.unwrap_or(Duration::from_millis(10));
    let budget = table.number("budget", 0.0, 100.0)?;
    table.finish()?;
    Ok(Retries {
        max: u8::try_from(max).unwrap_or(u8::MAX),
        backoff,
        budget,
    })
}

/// `poisson`, `constant` or `burst(N)`.
fn arrival(table: &mut Table<'_>) -> Result<Option<Arrival>> {
    let Some(text) = table.string("arrival")? else {
        return Ok(None);
    };
    let burst = text
        .strip_prefix("burst(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|size| size.parse().ok())
        .filter(|size| (1..=BURST_MAX).contains(size));
    match (text, burst) {
        ("poisson", _) => Ok(Some(Arrival::Poisson)),
        ("constant", _) => Ok(Some(Arrival::Constant)),
        (_, Some(size)) => Ok(Some(Arrival::Burst(size))),
        (unknown, None) => Err(Diagnostic::new(
            &table.place("arrival"),
            format!("unknown arrival `{unknown}`"),
            format!("expected poisson, constant or burst(N), N requests at a time (at most {BURST_MAX})"),
        )),
    }
}

/// `[{ target = 8000, duration = "30s" }, …]`.
fn stages(table: &mut Table<'_>) -> Result<Vec<Stage>> {
    let rows = table.tables("stages", "`stages`")?;
    if rows.len() > STAGES_MAX {
        return Err(table.error("too many stages", format!("expected at most {STAGES_MAX}")));
    }
    let mut stages = Vec::with_capacity(rows.len());
    for mut row in rows {
        let (target, duration) = (row.number("target", RATE_MIN, RATE_MAX)?, row.time("duration")?);
        let (Some(target), Some(duration)) = (target, duration) else {
            return Err(row.error(
                "a stage says where the rate goes and how long it takes",
                "expected { target = 8000, duration = \"30s\" }",
            ));
        };
        row.finish()?;
        stages.push(Stage { target, duration });
    }
    Ok(stages)
}
