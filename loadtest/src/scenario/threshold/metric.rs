//! Every metric name a threshold may use, its unit, its meaning, and where an `Outcome` keeps it.

use crate::measure::outcome::{EventCard, Latency, Outcome, Phase, Recovery, Totals, ratio};

/// What a number is, so that a percentile is never compared with a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Counts, fractions, factors.
    Number,
    /// A time; a literal needs its unit.
    Time,
    /// A metric whose name says `seconds`: compares with bare numbers and with times.
    Seconds,
}

impl Unit {
    /// A value for a person.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() && value > 0.0 => "never".to_owned(),
            Self::Time => time_text(value),
            Self::Seconds => format!("{} s", plain(value)),
            Self::Number => plain(value),
        }
    }
}

fn time_text(seconds: f64) -> String {
    match seconds.abs() {
        s if s >= 1.0 => format!("{} s", plain(seconds)),
        s if s >= 1e-3 || s == 0.0 => format!("{} ms", plain(seconds * 1e3)),
        _ => format!("{} us", plain(seconds * 1e6)),
    }
}

/// At most four decimals, none that are zero.
fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A metric of the whole run.
#[derive(Debug)]
pub struct RunMetric {
    pub name: &'static str,
    pub unit: Unit,
    pub meaning: &'static str,
    pub(super) read: fn(&Outcome) -> Option<f64>,
}

/// A metric of one phase, written `PHASE.NAME`.
#[derive(Debug)]
pub struct PhaseMetric {
    pub name: &'static str,
    pub unit: Unit,
    pub meaning: &'static str,
    read: Read,
}

#[derive(Debug)]
enum Read {
    /// From the phase's own sums.
    Phase(fn(&Phase) -> Option<f64>),
    /// From the card of the first event in the phase that changes the cluster.
    Event(fn(&EventCard) -> Option<f64>),
}

impl PartialEq for RunMetric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl PartialEq for PhaseMetric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl PhaseMetric {
    /// Needs an event that changes the cluster inside the phase.
    pub(super) fn needs_event(&self) -> bool {
        matches!(self.read, Read::Event(_))
    }

    pub(super) fn value(&self, outcome: &Outcome, phase: &str) -> Option<f64> {
        match self.read {
            Read::Phase(read) => outcome
                .phases
                .iter()
                .find(|candidate| candidate.name == phase)
                .and_then(read),
            Read::Event(read) => outcome
                .events
                .iter()
                .find(|card| card.phase == phase && changes_cluster(&card.action))
                .and_then(read),
        }
    }
}

/// Whether an action's card has a warm rate, a dip and a recovery.
pub(super) fn changes_cluster(action: &str) -> bool {
    !matches!(action, "rate" | "mark")
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

const fn run(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    read: fn(&Outcome) -> Option<f64>,
) -> RunMetric {
    RunMetric {
        name,
        unit,
        meaning,
        read,
    }
}

const fn of_phase(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    read: fn(&Phase) -> Option<f64>,
) -> PhaseMetric {
    PhaseMetric {
        name,
        unit,
        meaning,
        read: Read::Phase(read),
    }
}

const fn of_event(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    read: fn(&EventCard) -> Option<f64>,
) -> PhaseMetric {
    PhaseMetric {
        name,
        unit,
        meaning,
        read: Read::Event(read),
    }
}

fn error_rate(totals: &Totals) -> Option<f64> {
    ratio(totals.errors, totals.offered)
}

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
        "hits with a version older than one acknowledged before",
        |o| count(o.totals.stale_reads),
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
        "backend.rate",
        Unit::Number,
        "backing store reads per second",
        |p| p.backend_rate,
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

/// Words that begin a metric of the run (or mean something in an expression), so no phase may be called so.
pub(in crate::scenario) fn is_reserved(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "predicted",
        "and",
        "true",
        "false",
        "never",
        "abs",
        "min",
        "max",
        "event",
    ];
    WORDS.contains(&name)
        || RUN_METRICS
            .iter()
            .any(|metric| metric.name.split('.').next() == Some(name))
}

/// Response time at a quantile, seconds; `phase` empty for the whole run.
pub(super) fn latency(outcome: &Outcome, phase: &str, quantile: f64) -> Option<f64> {
    let row: &Latency = outcome.latency.iter().find(|row| row.phase == phase)?;
    if row.response.count == 0 {
        return None;
    }
    let response = &row.response;
    let micros = match quantile {
        q if q >= 1.0 => response.max_us,
        q if q >= 0.9999 => response.p9999_us,
        q if q >= 0.999 => response.p999_us,
        q if q >= 0.99 => response.p99_us,
        q if q >= 0.95 => response.p95_us,
        q if q >= 0.9 => response.p90_us,
        _ => response.p50_us,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a run are far below 2^53"
    )]
    let seconds = micros as f64 / 1e6;
    Some(seconds)
}
