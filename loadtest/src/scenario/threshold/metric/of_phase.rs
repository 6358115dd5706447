//! Metrics of one phase, and of the event in it.

use super::{PhaseMetric, Unit, count, error_rate, of_event, of_phase};
use crate::measure::outcome::{Recovery, ratio};

/// Metrics of a phase.
pub static PHASE_METRICS: &[PhaseMetric] = &[
    of_phase("hit_rate", Unit::Number, "mean hit rate of the phase", |p| {
        p.hit_rate
    }),
    of_phase("hit_rate.mean", Unit::Number, "the same", |p| p.hit_rate),
    of_phase("hit_rate.min", Unit::Number, "lowest window of the phase", |p| {
        p.hit_rate_min
    }),
    of_phase("hit_rate.max", Unit::Number, "highest window of the phase", |p| {
        p.hit_rate_max
    }),
    of_phase(
        "hit_rate.slope",
        Unit::Number,
        "change per 10 s, as a fraction (0.001 is 0.1 pp)",
        |p| p.hit_rate_slope_pp_per_10s.map(|points| points / 100.0),
    ),
    of_phase(
        "is_warm",
        Unit::Number,
        "true when the hit rate of a baseline stood still, but for chance",
        |p| p.is_warm.map(f64::from),
    ),
    of_phase(
        "predicted.hit_rate",
        Unit::Number,
        "theory of full nodes: S3-FIFO's hit rate with the items they held (another program's: an LRU's, by Che); of items that expire: rT/(1+rT)",
        |p| p.hit_rate_predicted,
    ),
    of_phase(
        "effective_hit_rate",
        Unit::Number,
        "hits / gets issued in the phase",
        |p| p.totals.effective_hit_rate(),
    ),
    of_phase(
        "requests",
        Unit::Number,
        "requests sent or dropped in the phase",
        |p| count(p.totals.offered),
    ),
    of_phase("gets", Unit::Number, "gets issued in the phase", |p| {
        count(p.totals.gets)
    }),
    of_phase("errors", Unit::Number, "errors in the phase", |p| {
        count(p.totals.errors)
    }),
    of_phase(
        "error_rate",
        Unit::Number,
        "errors / requests of the phase",
        |p| error_rate(&p.totals),
    ),
    of_phase("timeouts", Unit::Number, "timeouts in the phase", |p| {
        count(p.totals.timeouts)
    }),
    of_phase("dropped", Unit::Number, "arrivals of the phase never sent", |p| {
        count(p.totals.dropped)
    }),
    of_phase("mismatches", Unit::Number, "wrong values in the phase", |p| {
        count(p.totals.mismatches)
    }),
    of_phase("stale_reads", Unit::Number, "stale values in the phase", |p| {
        count(p.totals.stale_reads)
    }),
    of_phase(
        "lost_deletes",
        Unit::Number,
        "of these, of keys whose last acknowledged change was a delete",
        |p| count(p.totals.lost_deletes),
    ),
    of_phase(
        "backend.rate",
        Unit::Number,
        "backing store reads per second",
        |p| p.backend_rate,
    ),
    of_phase(
        "backend.reads",
        Unit::Number,
        "reads the backing store was asked for in the phase",
        |p| count(p.totals.backend_reads),
    ),
    of_phase(
        "backend.peak",
        Unit::Number,
        "most backing store reads in any one second of the phase",
        |p| p.backend_peak,
    ),
    of_phase(
        "predicted.backend.peak",
        Unit::Number,
        "theory of the same when all TTLs began together: N(1 - exp(-r)); with jitter N/W (1 - exp(-rW)), W = 2 jT",
        |p| p.backend_peak_predicted,
    ),
    of_phase(
        "misses.compulsory",
        Unit::Number,
        "misses of keys never stored in this run",
        |p| count(p.totals.misses_by_reason.compulsory),
    ),
    of_phase(
        "misses.invalidated",
        Unit::Number,
        "misses of keys deleted since they were stored",
        |p| count(p.totals.misses_by_reason.invalidated),
    ),
    of_phase(
        "misses.expired",
        Unit::Number,
        "misses of keys whose TTL had run out",
        |p| count(p.totals.misses_by_reason.expired),
    ),
    of_phase(
        "misses.node_cold",
        Unit::Number,
        "misses because the owner lost its memory",
        |p| count(p.totals.misses_by_reason.node_cold),
    ),
    of_phase(
        "misses.remapped",
        Unit::Number,
        "misses because the key has another owner",
        |p| count(p.totals.misses_by_reason.remapped),
    ),
    of_phase(
        "misses.evicted",
        Unit::Number,
        "misses of keys lost for space",
        |p| count(p.totals.misses_by_reason.evicted),
    ),
    of_event("warm", Unit::Number, "hit rate just before the event", |e| e.warm),
    of_event(
        "low",
        Unit::Number,
        "lowest window from the event to its recovery",
        |e| e.low,
    ),
    of_event("dip", Unit::Number, "warm - low", |e| Some(e.warm? - e.low?)),
    of_event(
        "hit_rate.first_1k",
        Unit::Number,
        "hit rate over the first 1,000 gets after the event",
        |e| e.first_1k,
    ),
    of_event(
        "hit_rate.first_5k",
        Unit::Number,
        "hit rate over the first 5,000 gets after the event",
        |e| e.first_5k,
    ),
    of_event(
        "hit_rate.first_10k",
        Unit::Number,
        "hit rate over the first 10,000 gets after the event",
        |e| e.first_10k,
    ),
    of_event(
        "hit_rate.first_20k",
        Unit::Number,
        "hit rate over the first 20,000 gets after the event",
        |e| e.first_20k,
    ),
    of_event(
        "recovery_95.seconds",
        Unit::Seconds,
        "from the event to 95 % of warm, held for 3 windows; never is infinite",
        |e| match e.recovery_95 {
            Recovery::After { seconds, .. } => Some(seconds),
            Recovery::Never => Some(f64::INFINITY),
            Recovery::Unknown => None,
        },
    ),
    of_event(
        "recovery_95.requests",
        Unit::Number,
        "the same in gets",
        |e| match e.recovery_95 {
            Recovery::After { requests, .. } => count(requests),
            Recovery::Never => Some(f64::INFINITY),
            Recovery::Unknown => None,
        },
    ),
    of_event(
        "amplification",
        Unit::Number,
        "highest second of backing store reads / baseline mean",
        |e| e.amplification,
    ),
    of_event(
        "miss_debt",
        Unit::Number,
        "extra backing store reads the event cost",
        |e| e.miss_debt,
    ),
    of_event(
        "miss_debt.seconds",
        Unit::Seconds,
        "the same in seconds of normal backing store load",
        |e| e.miss_debt_seconds,
    ),
    of_event(
        "remap.key_fraction",
        Unit::Number,
        "share of keys that changed owner, measured on the nodes",
        |e| e.remap_measured.map(|remap| remap.key_fraction),
    ),
    of_event(
        "remap.request_weighted",
        Unit::Number,
        "the same, keys weighted by their requests",
        |e| e.remap_measured.map(|remap| remap.request_weighted),
    ),
    of_event(
        "copies.share",
        Unit::Number,
        "at the end of a warm-up: keys copied / keys the old nodes have",
        |e| e.copies.and_then(|copies| ratio(copies.copied, copies.originals)),
    ),
    of_event(
        "copies.outliving",
        Unit::Number,
        "at the end of a warm-up: copies that live on when the original has expired",
        |e| e.copies.and_then(|copies| count(copies.outliving)),
    ),
    of_event(
        "affected.hit_rate",
        Unit::Number,
        "hit rate of the keys the event made cold",
        |e| e.affected.rate(),
    ),
    of_event(
        "unaffected.hit_rate",
        Unit::Number,
        "hit rate of all other keys",
        |e| e.unaffected.rate(),
    ),
    of_event(
        "predicted.remap.key_fraction",
        Unit::Number,
        "share of keys that changes owner, from the topology diff",
        |e| e.remap_predicted.map(|remap| remap.key_fraction),
    ),
    of_event(
        "predicted.remap.request_weighted",
        Unit::Number,
        "the same, keys weighted by their requests",
        |e| e.remap_predicted.map(|remap| remap.request_weighted),
    ),
    of_event(
        "predicted.remap.formula",
        Unit::Number,
        "the share of keys that the scheme's formula gives",
        |e| e.predicted.key_fraction_formula,
    ),
    of_event(
        "predicted.low",
        Unit::Number,
        "the mixture law over the first window",
        |e| e.predicted.low,
    ),
    of_event(
        "predicted.hit_rate.first_1k",
        Unit::Number,
        "the mixture law over the first 1,000 gets",
        |e| e.predicted.first_1k,
    ),
    of_event(
        "predicted.hit_rate.first_5k",
        Unit::Number,
        "the mixture law over the first 5,000 gets",
        |e| e.predicted.first_5k,
    ),
    of_event(
        "predicted.hit_rate.first_10k",
        Unit::Number,
        "the mixture law over the first 10,000 gets",
        |e| e.predicted.first_10k,
    ),
    of_event(
        "predicted.hit_rate.first_20k",
        Unit::Number,
        "the mixture law over the first 20,000 gets",
        |e| e.predicted.first_20k,
    ),
    of_event(
        "predicted.recovery_95.requests",
        Unit::Number,
        "gets until the predicted curve is at 95 % of warm",
        |e| e.predicted.recovery_requests.and_then(count),
    ),
    of_event(
        "predicted.amplification",
        Unit::Number,
        "1 + f h / (1 - h)",
        |e| e.predicted.amplification,
    ),
];
