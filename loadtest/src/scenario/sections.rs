//! Reads `[backend]`, `[search]` and `[check]`.

use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin};
use super::reader::{Amounts, Table, as_string};
use super::tree::{Node, Value};
use super::{BackendSpec, CheckSpec, Distribution, Load, LoadMode, QueueOrder, Search};

type Result<T> = std::result::Result<T, Diagnostic>;

pub(super) fn backend(mut table: Table<'_>) -> Result<BackendSpec> {
    let capacity = table.number("capacity", 0.0, 10_000_000.0)?.unwrap_or(0.0);
    let latency = table
        .distribution("latency", Amounts::Seconds)?
        .unwrap_or(Distribution::Exponential { mean: 0.002 });
    let mut queue = table.table("queue", "`queue`")?;
    let queue_max = queue.count("max", 0, 10_000_000)?.unwrap_or(0);
    let queue_order = queue
        .word("order", &[("fifo", QueueOrder::Fifo), ("lifo", QueueOrder::Lifo)])?
        .unwrap_or(QueueOrder::Fifo);
    queue.finish()?;
    let timeout = table.time("timeout")?.unwrap_or(Duration::from_secs(1));
    let late_fill = table.boolean("late_fill")?.unwrap_or(false);
    let cancel = table.boolean("cancel")?.unwrap_or(false);
    let scatter = table.count("scatter", 1, 1_000)?.unwrap_or(1);
    let fail = table.number("fail", 0.0, 1.0)?.unwrap_or(0.0);
    table.finish()?;
    Ok(BackendSpec {
        capacity,
        latency,
        queue_max,
        queue_order,
        timeout,
        late_fill,
        cancel,
        scatter: u32::try_from(scatter).unwrap_or(1),
        fail,
    })
}

pub(super) fn search(mut table: Table<'_>, load: &Load) -> Result<Search> {
    let place = table.place("limit");
    if matches!(load.mode, LoadMode::Closed { .. }) {
        return Err(Diagnostic::new(
            &place,
            "a closed loop has no rate to search for",
            "expected mode = \"open\" in [load]",
        ));
    }
    let Some(limit) = table.time("limit")?.filter(|limit| !limit.is_zero()) else {
        return Err(table.error("[search] has no limit", "expected limit = \"5ms\""));
    };
    let quantile = table.number("quantile", 0.0, 1.0)?.unwrap_or(0.99);
    let from = table.number("from", 1.0, 1_000_000.0)?.unwrap_or(500.0);
    let to = table.number("to", 1.0, 1_000_000.0)?.unwrap_or(5_000.0);
    if from > to {
        return Err(Diagnostic::new(
            &table.place("from"),
            "the search ends before it begins",
            "expected `from` to be at most `to`",
        ));
    }
    table.finish()?;
    Ok(Search {
        limit,
        quantile,
        from,
        to,
    })
}

pub(super) fn check(mut table: Table<'_>) -> Result<CheckSpec> {
    let sample_keys = table.integer("sample_keys", 0, 1_000_000)?.unwrap_or(2_000);
    if table.boolean("staleness")? == Some(false) {
        return Err(Diagnostic::new(
            &table.place("staleness"),
            "stale reads are always looked for",
            "expected staleness = true, or no `staleness`; who does not mind them sets no threshold",
        ));
    }
    table.finish()?;
    Ok(CheckSpec {
        sample_keys: u32::try_from(sample_keys).unwrap_or(u32::MAX),
    })
}

/// The words of an array that is not made of strings alone: hashes of a matrix.
pub(super) fn words<'a>(node: &'a Node, key: &str) -> Result<Vec<(&'a str, Origin)>> {
    match &node.value {
        Value::Array(items) => items
            .iter()
            .map(|item| as_string(item, key).map(|text| (text, item.origin.clone())))
            .collect(),
        other => Err(Diagnostic::new(
            &node.origin,
            format!("`{key}` is {}", other.kind()),
            "expected an array of strings",
        )),
    }
}
