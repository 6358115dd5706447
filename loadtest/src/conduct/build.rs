//! From a scenario's words to the parts that run: keys, source, pace.

use std::sync::Arc;

use super::RunError;
use crate::drive::lookaside::Pace;
use crate::drive::source::{Lone, Source};
use crate::measure::outcome::WorkloadFacts;
use crate::report::number;
use crate::scenario::{LoadMode, Popularity as Wanted, Scenario, TraceSource};
use crate::workload::arrival::{Nanos, Schedule};
use crate::workload::keyspace::KeySpace;
use crate::workload::popularity::Popularity;
use crate::workload::seed::stream;
use crate::workload::trace::{Row, Trace};

/// So many keys asked for once can be under way at the same time.
const LONE_PLACES: u32 = 16_384;

/// What is the same for every run of a scenario, and slow to make.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub keys: Arc<KeySpace>,
    pub rows: Option<Arc<[Row]>>,
    pub popularity: Option<Popularity>,
    /// The arrivals of a trace that goes by its own times.
    traced: Option<Schedule>,
    /// Keys from this number on are places for those asked for once.
    pub lone_from: u32,
    /// Every key keeps one value length.
    pub lens_fixed: bool,
    describe: String,
    footprint_bytes: u64,
}

/// Reads the trace or draws the key space.
pub fn prepare(scenario: &Scenario) -> Result<Prepared, RunError> {
    let workload = &scenario.workload;
    let (seed, n) = (scenario.seed, workload.keys);
    if let Wanted::Trace(spec) = &workload.popularity {
        let trace = match &spec.source {
            TraceSource::TwitterC52 => Trace::twitter_c52(spec.limit)?,
            TraceSource::File(path) => Trace::open(path, spec.limit)?,
        };
        let trace = trace.amplified(spec.amplify)?;
        let lens_fixed = trace
            .rows
            .iter()
            .all(|row| row.value_len == trace.keys.value_len(row.key));
        let describe = format!(
            "trace {}, {} requests, {} keys",
            trace.name,
            number::count(trace.rows.len() as u64),
            number::count(u64::from(trace.keys.len()))
        );
        let prepared = Prepared {
            footprint_bytes: trace.keys.footprint_bytes(),
            lone_from: trace.keys.len(),
            keys: Arc::new(trace.keys),
            traced: None,
            rows: Some(trace.rows.into()),
            popularity: None,
            lens_fixed,
            describe,
        };
        return prepared.at_speed(spec.speed, seed);
    }
    let (popularity, name) = match workload.popularity {
        Wanted::Uniform => (Popularity::uniform(n, seed), "uniform".to_owned()),
        Wanted::Zipf { alpha } => (
            Popularity::zipf(n, alpha, seed).ok_or_else(|| RunError::Popularity(format!("zipf {alpha}")))?,
            format!("zipf {alpha}"),
        ),
        Wanted::Latest { alpha } => (
            Popularity::latest(n, alpha, seed)
                .ok_or_else(|| RunError::Popularity(format!("latest {alpha}")))?,
            format!("latest, zipf {alpha}"),
        ),
        Wanted::Histogram(ref buckets) => (
            Popularity::histogram(buckets, seed),
            format!("a histogram of {} buckets", buckets.len()),
        ),
        Wanted::Hotspot { data, ops } => (
            Popularity::hotspot(n, data, ops, seed),
            format!("hot spot {ops} of requests to {data} of keys"),
        ),
        Wanted::Trace(_) => unreachable!("returned above"),
    };
    let count = u32::try_from(n).map_err(|_too_many| RunError::Popularity(format!("{n} keys")))?;
    let lone = if workload.lone_get > 0.0 { LONE_PLACES } else { 0 };
    let keys = KeySpace::numbered(count + lone, &workload.key_size, &workload.value_size, seed);
    let name = match lone {
        0 => name,
        _ => format!(
            "{name}, {} % of gets for keys asked for once",
            workload.lone_get * 100.0
        ),
    };
    Ok(Prepared {
        footprint_bytes: keys.footprint_bytes() * u64::from(count) / u64::from(count + lone),
        keys: Arc::new(keys),
        lone_from: count,
        traced: None,
        rows: None,
        popularity: Some(popularity),
        lens_fixed: true,
        describe: format!("{name} over {} keys", number::count(n)),
    })
}

impl Prepared {
    fn at_speed(mut self, speed: Option<f64>, seed: u64) -> Result<Self, RunError> {
        if let (Some(speed), Some(rows)) = (speed, &self.rows) {
            let traced = Schedule::traced(Arc::clone(rows), speed, stream(seed, "arrivals", 0));
            self.traced = Some(traced.ok_or_else(|| {
                RunError::Popularity("trace without times: `speed` has nothing to go by".to_owned())
            })?);
        }
        Ok(self)
    }

    /// Requests per second of the open loop.
    #[must_use]
    pub fn rate(&self, scenario: &Scenario) -> Option<f64> {
        match (scenario.load.mode, &self.traced) {
            (LoadMode::Open { .. }, Some(traced)) => Some(traced.rate()),
            (LoadMode::Open { rate, .. }, None) => Some(rate),
            (LoadMode::Closed { .. }, _) => None,
        }
    }

    /// A source at its beginning.
    #[must_use]
    pub fn source(&self, scenario: &Scenario) -> Source {
        let repeat = matches!(&scenario.workload.popularity, Wanted::Trace(spec) if spec.repeat);
        match (&self.rows, &self.popularity) {
            (Some(rows), _) => Source::Replay {
                rows: Arc::clone(rows),
                position: 0,
                repeat,
            },
            (None, Some(popularity)) => Source::Drawn {
                popularity: popularity.clone(),
                mix: scenario.workload.mix,
                random: stream(scenario.seed, "requests", 0),
                keys: Arc::clone(&self.keys),
                lone: (self.lone_from < self.keys.len()).then(|| Lone {
                    share: scenario.workload.lone_get,
                    places: self.lone_from..self.keys.len(),
                    next: 0,
                }),
            },
            (None, None) => unreachable!("prepared with one of the two"),
        }
    }

    #[must_use]
    pub fn facts(&self, scenario: &Scenario) -> WorkloadFacts {
        let rate = self.rate(scenario);
        let mode = if rate.is_some() { "open" } else { "closed" };
        WorkloadFacts {
            describe: self.describe.clone(),
            mode: mode.to_owned(),
            rate,
            rate_at_end: rate.and(scenario.load.stages.last()).map(|stage| stage.target),
            keys: u64::from(self.lone_from),
            footprint_bytes: self.footprint_bytes,
            backend_capacity: (scenario.backend.capacity > 0.0).then_some(scenario.backend.capacity),
        }
    }
}

/// How requests start, from `now` on.
pub(super) fn pace(scenario: &Scenario, prepared: &Prepared, now: Nanos) -> Pace {
    match scenario.load.mode {
        LoadMode::Open { rate, arrival } => Pace::Open {
            schedule: Box::new(match &prepared.traced {
                Some(traced) => traced.clone().starting_at(now),
                None => Schedule::new(arrival, rate, now, stream(scenario.seed, "arrivals", 0)),
            }),
            max_in_flight: scenario.load.max_in_flight,
        },
        LoadMode::Closed { pipeline } => Pace::Closed {
            window: pipeline * scenario.load.connections,
        },
    }
}

/// Gets per window in which dips and recovery are read: a second's worth in the open loop; 5,000 in a replay, as in
/// the published figures it is compared with.
pub(super) fn window_gets(scenario: &Scenario) -> u64 {
    const REPLAY_WINDOW: u64 = 5_000;
    const OPEN_WINDOW_MAX: u64 = 20_000;
    let replayed = matches!(scenario.workload.popularity, Wanted::Trace(_));
    match scenario.load.mode {
        LoadMode::Open { rate, .. } if !replayed => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let thousands = (rate / 1000.0).round().clamp(1.0, 1e6) as u64;
            (thousands * 1000).min(OPEN_WINDOW_MAX)
        }
        LoadMode::Open { .. } | LoadMode::Closed { .. } => REPLAY_WINDOW,
    }
}
