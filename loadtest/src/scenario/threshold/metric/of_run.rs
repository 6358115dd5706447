//! Metrics of the whole run.

use super::{RunMetric, Unit, count, error_rate, run};
use crate::measure::outcome::ratio;

/// Metrics of the whole run.
pub static RUN_METRICS: &[RunMetric] = &[
    run(
        "hit_rate",
        Unit::Number,
        "hits / (hits + misses); errors are in neither",
        |o| o.totals.hit_rate(),
    ),
    run(
        "effective_hit_rate",
        Unit::Number,
        "hits / gets issued: what the backing store feels",
        |o| o.totals.effective_hit_rate(),
    ),
    run("requests", Unit::Number, "requests sent or dropped", |o| {
        count(o.totals.offered)
    }),
    run("gets", Unit::Number, "gets issued", |o| count(o.totals.gets)),
    run(
        "errors",
        Unit::Number,
        "error replies, broken connections and timeouts",
        |o| count(o.totals.errors),
    ),
    run("error_rate", Unit::Number, "errors / requests", |o| {
        error_rate(&o.totals)
    }),
    run(
        "timeouts",
        Unit::Number,
        "requests not answered in time; part of errors",
        |o| count(o.totals.timeouts),
    ),
    run(
        "dropped",
        Unit::Number,
        "arrivals never sent because max_in_flight was reached",
        |o| count(o.totals.dropped),
    ),
    run("dropped_fraction", Unit::Number, "dropped / requests", |o| {
        ratio(o.totals.dropped, o.totals.offered)
    }),
    run(
        "mismatches",
        Unit::Number,
        "hits whose value was another key's, damaged, or never written",
        |o| count(o.totals.mismatches),
    ),
    run(
        "stale_reads",
        Unit::Number,
        "hits with a version that was impossible by then",
        |o| count(o.totals.stale_reads),
    ),
    run(
        "lost_deletes",
        Unit::Number,
        "stale hits of keys whose last acknowledged change was a delete",
        |o| count(o.totals.lost_deletes),
    ),
    run(
        "stale.max",
        Unit::Time,
        "longest a version had been impossible when it was read",
        |o| Some(o.totals.stale_max_ms as f64 / 1e3),
    ),
    run(
        "verified",
        Unit::Number,
        "hits whose value was checked for key and version",
        |o| count(o.totals.verified),
    ),
    run(
        "lag_p99",
        Unit::Time,
        "99th percentile of sent - intended start",
        |o| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "microseconds of a run are far below 2^53"
            )]
            let seconds = o.generator.lag_p99_us as f64 / 1e6;
            Some(seconds)
        },
    ),
    run(
        "capacity",
        Unit::Number,
        "highest requests/s of a search that held its limit; 0 if none did",
        |o| o.search.as_ref().map(|search| search.capacity),
    ),
    run(
        "metastable",
        Unit::Number,
        "true when the overload outlived its cause",
        |o| Some(f64::from(o.generator.metastable)),
    ),
    run(
        "skew.requests",
        Unit::Number,
        "largest / mean share of requests per node",
        |o| o.skew.requests,
    ),
    run(
        "skew.items",
        Unit::Number,
        "largest / mean number of items per node",
        |o| o.skew.items,
    ),
    run(
        "backend.reads",
        Unit::Number,
        "reads the backing store was asked for",
        |o| count(o.totals.backend_reads),
    ),
    run(
        "backend.timeouts",
        Unit::Number,
        "backing store reads given up on",
        |o| count(o.totals.backend_timeouts),
    ),
    run(
        "misses.compulsory",
        Unit::Number,
        "misses of keys never stored in this run",
        |o| count(o.totals.misses_by_reason.compulsory),
    ),
    run(
        "misses.invalidated",
        Unit::Number,
        "misses of keys deleted since they were stored",
        |o| count(o.totals.misses_by_reason.invalidated),
    ),
    run(
        "misses.expired",
        Unit::Number,
        "misses of keys whose TTL had run out",
        |o| count(o.totals.misses_by_reason.expired),
    ),
    run(
        "misses.node_cold",
        Unit::Number,
        "misses because the owner lost its memory",
        |o| count(o.totals.misses_by_reason.node_cold),
    ),
    run(
        "misses.remapped",
        Unit::Number,
        "misses because the key has another owner",
        |o| count(o.totals.misses_by_reason.remapped),
    ),
    run(
        "misses.evicted",
        Unit::Number,
        "misses of keys lost for space",
        |o| count(o.totals.misses_by_reason.evicted),
    ),
    run(
        "elapsed",
        Unit::Time,
        "length of the run, cluster start and stop included",
        |o| Some(o.elapsed_seconds),
    ),
];
