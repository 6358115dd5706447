//! The figures the live charts draw, as compact columns; long runs are thinned so that the page stays small.

use serde_json::{Value, json};

use super::escape::json_in_script;
use crate::measure::outcome::{HitCount, MissCounts, Outcome, Percentiles, Row};

/// More points than this are thinned: no screen shows them.
const POINTS_MAX: usize = 2_000;
/// Half-width of the 95 % band in standard errors.
const Z: f64 = 1.96;

pub(super) fn json(outcome: &Outcome) -> String {
    let phases: Vec<Value> = outcome
        .phases
        .iter()
        .map(|phase| {
            json!({"name": phase.name, "kind": phase.kind, "t": [phase.start_seconds, phase.end_seconds],
                   "r": [phase.start_request, phase.end_request]})
        })
        .collect();
    let events: Vec<Value> = outcome
        .events
        .iter()
        .map(|event| json!({"label": event.label, "t": event.at_seconds, "r": event.at_request, "warm": event.warm, "amplification": event.amplification}))
        .collect();
    let latency: Vec<Value> = outcome
        .latency
        .iter()
        .filter(|latency| latency.response.count > 0)
        .map(|latency| json!({"phase": latency.phase, "response": percentile_curve(&latency.response), "service": percentile_curve(&latency.service)}))
        .collect();
    let data = json!({
        "scenario": outcome.scenario,
        "byRequests": super::by_requests(outcome),
        "capacity": outcome.workload.backend_capacity,
        "phases": phases,
        "events": events,
        "time": columns(outcome.drawn_series()),
        "requests": columns(&outcome.request_series),
        "reasons": MissCounts::NAMES,
        "latency": latency,
    });
    json_in_script(&data.to_string())
}

/// Rows turned into columns; fractions to five decimals, so that the page stays small.
fn columns(rows: &[Row]) -> Value {
    let rows = thinned(rows);
    let of =
        |read: &dyn Fn(&Row) -> Option<f64>| -> Value { rows.iter().map(|row| rounded(read(row))).collect() };
    let share = |count: Option<HitCount>| {
        count
            .filter(|count| count.hits + count.misses > 0)
            .and_then(|count| count.rate())
    };
    let reasons: Vec<Value> = (0..MissCounts::NAMES.len())
        .map(|reason| of(&|row| Some(row.misses_by_reason.values()[reason] as f64 / row.seconds.max(1e-9))))
        .collect();
    json!({
        "t": of(&|row| Some(row.t + row.seconds / 2.0)),
        "r": of(&|row| Some(row.first_request as f64 + row.requests as f64 / 2.0)),
        "hit": of(&|row| row.hit_rate),
        "low": of(&|row| band(row, -Z)),
        "high": of(&|row| band(row, Z)),
        "predicted": of(&|row| row.predicted),
        "affected": of(&|row| share(row.affected)),
        "unaffected": of(&|row| share(row.unaffected)),
        "backend": of(&|row| Some(row.backend_rate)),
        "queue": of(&|row| Some(row.backend_queue as f64)),
        "rate": of(&|row| Some(row.rate_done)),
        "p50": of(&|row| millis(row.p50_us)),
        "p90": of(&|row| millis(row.p90_us)),
        "p99": of(&|row| millis(row.p99_us)),
        "p999": of(&|row| millis(row.p999_us)),
        "misses": reasons,
    })
}

fn rounded(value: Option<f64>) -> Value {
    match value.filter(|value| value.is_finite()) {
        Some(value) => json!((value * 1e5).round() / 1e5),
        None => Value::Null,
    }
}

/// A log axis has no zero.
fn millis(micros: u64) -> Option<f64> {
    (micros > 0).then(|| micros as f64 / 1e3)
}

/// Edge of the Wilson score interval of a window's hit rate.
fn band(row: &Row, z: f64) -> Option<f64> {
    let n = (row.hits + row.misses) as f64;
    let p = row.hit_rate?;
    if n < 1.0 {
        return None;
    }
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some((centre + half) / (1.0 + z * z / n))
}

/// `[1/(1−q), ms]` at every bucket's edge: a straight line for an exponential tail.
fn percentile_curve(percentiles: &Percentiles) -> Value {
    let total: u64 = percentiles.buckets.iter().map(|(_, count)| count).sum();
    let mut seen = 0;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (upper, count) in &percentiles.buckets {
        seen += count;
        let left = (total - seen).max(1) as f64 / total.max(1) as f64;
        let (x, y) = (1.0 / left, (*upper).max(1) as f64 / 1e3);
        // One point for each step of the eye: 1 % on the log axis.
        match points.last_mut() {
            Some(last) if x < last.0 * 1.01 => last.1 = y,
            _ => points.push((x, y)),
        }
    }
    let (x, y): (Vec<f64>, Vec<f64>) = points
        .into_iter()
        .map(|(x, y)| ((x * 1e4).round() / 1e4, y))
        .unzip();
    json!([x, y])
}

/// Largest-triangle-three-buckets over the hit rate (Steinarsson 2013): the points that shape the line stay.
fn thinned(rows: &[Row]) -> Vec<&Row> {
    if rows.len() <= POINTS_MAX {
        return rows.iter().collect();
    }
    let value = |index: usize| rows[index].hit_rate.unwrap_or(0.0);
    let inner = POINTS_MAX - 2;
    let edge = |bucket: usize| 1 + bucket * (rows.len() - 2) / inner;
    let mut kept = vec![0];
    for bucket in 0..inner {
        let (from, to) = (edge(bucket), edge(bucket + 1));
        let next = to..edge(bucket + 2).min(rows.len());
        let (next_x, next_y) = if next.is_empty() {
            ((rows.len() - 1) as f64, value(rows.len() - 1))
        } else {
            let n = next.len() as f64;
            (
                next.clone().sum::<usize>() as f64 / n,
                next.map(value).sum::<f64>() / n,
            )
        };
        let last = kept.last().copied().unwrap_or(0);
        let area = |index: usize| {
            let (ax, ay) = (last as f64, value(last));
            ((ax - next_x) * (value(index) - ay) - (ax - index as f64) * (next_y - ay)).abs()
        };
        kept.extend((from..to).max_by(|a, b| area(*a).total_cmp(&area(*b))));
    }
    kept.push(rows.len() - 1);
    kept.into_iter().map(|index| &rows[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_ends_and_the_dip() {
        let rows: Vec<Row> = (0..50_000)
            .map(|at| Row {
                t: f64::from(at),
                hit_rate: Some(if at == 31_337 { 0.1 } else { 0.9 }),
                ..Row::default()
            })
            .collect();
        let kept = thinned(&rows);
        assert_eq!(kept.len(), POINTS_MAX);
        assert!(kept.first().unwrap().t < 0.5 && kept.last().unwrap().t > 49_998.5);
        assert!(
            kept.iter().any(|row| row.hit_rate < Some(0.2)),
            "the one deep window must survive"
        );
        assert!(
            kept.windows(2).all(|pair| pair[0].t < pair[1].t),
            "in order, none twice"
        );
    }

    #[test]
    fn the_band_is_wilsons() {
        let row = Row {
            hits: 90,
            misses: 10,
            hit_rate: Some(0.9),
            ..Row::default()
        };
        // Wilson 95 % for 90/100: 0.8256 to 0.9448.
        assert!(
            (band(&row, -Z).unwrap() - 0.8256).abs() < 5e-4 && (band(&row, Z).unwrap() - 0.9448).abs() < 5e-4
        );
    }
}
