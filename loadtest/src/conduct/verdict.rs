//! Whether a run may be believed, and whether what it left behind stays broken by itself.

use cluster::HashKind;

use crate::measure::outcome::{Generator, Outcome, Row};

/// A generator is invalid beyond these (reference: metric `dropped, lag_p99`).
const DROPPED_MAX: f64 = 0.001;
const LAG_P99_MAX_US: u64 = 10_000;
const CPU_SHARE_MAX: f64 = 0.9;
/// Later than this it is invalid whatever its CPU share: it was starved.
const LAG_P99_ALWAYS_US: u64 = 250_000;
/// Metastable: this long after the last event …
const METASTABLE_AFTER_SECONDS: f64 = 30.0;
const METASTABLE_ROWS_MIN: usize = 5;

/// A schedule that was not kept makes a run invalid, not slow.
pub(super) fn judge(generator: &mut Generator, open_loop: bool) {
    if !open_loop {
        return;
    }
    let (lag_ms, share) = (generator.lag_p99_us / 1000, generator.cpu_share * 100.0);
    let why = if generator.dropped_fraction > DROPPED_MAX {
        format!(
            "{:.2} % of the arrivals were dropped",
            generator.dropped_fraction * 100.0
        )
    } else if generator.lag_p99_us > LAG_P99_MAX_US && generator.cpu_share > CPU_SHARE_MAX {
        format!("requests left {lag_ms} ms late (p99) with the generator at {share:.0} % of a core")
    } else if generator.lag_p99_us > LAG_P99_ALWAYS_US {
        format!("requests left {lag_ms} ms late (p99)")
    } else {
        return;
    };
    generator.valid = false;
    generator.why = Some(why);
}

/// Standard deviation of a node's share of the keys over its mean.
pub(super) fn share_sd(hash: HashKind, nodes: usize, keys: usize) -> f64 {
    let nodes = u32::try_from(nodes.max(1)).unwrap_or(u32::MAX);
    match hash {
        HashKind::Ring { points } | HashKind::Ketama { points } => {
            cluster::predict::ring_share_cv(nodes, points)
        }
        _ => cluster::predict::sampled_share_cv(nodes, u32::try_from(keys.max(1)).unwrap_or(u32::MAX)),
    }
}

/// The overload outlived its cause: long after the last event the backing store is still busy and users still fail.
pub(super) fn is_metastable(outcome: &Outcome) -> bool {
    let (Some(capacity), Some(last), Some(baseline)) = (
        outcome.workload.backend_capacity,
        outcome.events.last(),
        outcome.phases.iter().find(|phase| phase.kind == "baseline"),
    ) else {
        return false;
    };
    let good = |rows: &mut dyn Iterator<Item = &Row>| {
        let (mut n, mut good, mut busy) = (0_usize, 0.0, 0.0);
        for row in rows {
            n += 1;
            good += row.rate_done - row.errors as f64 / row.seconds.max(1e-9);
            busy += row.backend_rate;
        }
        (n, good / n.max(1) as f64, busy / n.max(1) as f64)
    };
    let (n, after, busy) = good(
        &mut outcome
            .series
            .iter()
            .filter(|row| row.t >= last.at_seconds + METASTABLE_AFTER_SECONDS),
    );
    let (_, before, _) = good(
        &mut outcome
            .series
            .iter()
            .filter(|row| row.t >= baseline.start_seconds && row.t + row.seconds <= baseline.end_seconds),
    );
    n >= METASTABLE_ROWS_MIN && after < 0.9 * before && busy >= 0.95 * capacity
}
