//! The theory of each event: which keys go cold, how warm the cluster is by then, what the mixture law makes of it.

use std::collections::BTreeSet;

use cluster::predict::Overload;
use cluster::{HashKind, Placement, Server, Topology};

use crate::conduct::build::{Prepared, prepare};
use crate::measure::outcome::{Prediction, ratio};
use crate::measure::theory::{ColdCurve, Mixture, STEP};
use crate::scenario::{
    Action, ClusterSpec, MatrixCase, Memory, Moment, NodeRef, Offset, OnNodeDown, PhaseKind, PhaseLength,
    Scenario, WarmUp,
};
use crate::workload::trace::Op;

/// The warm rate is read over this many requests where no baseline phase says otherwise.
const BASELINE_REQUESTS: u64 = 100_000;
/// Expected requests are counted in parts of this, so that rarely asked-for keys keep their weight.
const WEIGHT_PARTS: f64 = 1e12;

/// Everything predicted of a scenario.
pub(super) struct Outlook {
    pub(super) keys: u64,
    pub(super) footprint_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) forecasts: Vec<Forecast>,
    pub(super) warm_at_end: Option<f64>,
}

/// What is predicted of one event.
pub(super) struct Forecast {
    pub(super) what: String,
    pub(super) at: String,
    /// Hit rate just before.
    pub(super) warm: f64,
    /// Share of the keys asked for so far whose copy is gone: moved, from old map against new, or forgotten. The law goes
    /// by keys: the few that carry much of the load are back after one miss each.
    pub(super) cold_share: f64,
    /// Share of the requests that were for those keys.
    pub(super) request_fraction: f64,
    pub(super) prediction: Prediction,
    /// Requests per second, in the open loop.
    pub(super) rate: Option<f64>,
    /// The keys of a dead node miss for as long as it is dead.
    pub(super) stays_cold: bool,
    pub(super) overload: Option<Overload>,
}

/// The cluster as events change it.
#[derive(Clone)]
struct Members {
    names: Vec<String>,
    hash: HashKind,
    /// Numbers given so far.
    started: usize,
    down: BTreeSet<String>,
    /// Requests before the warm-up that is under way.
    warming_since: Option<u64>,
}

impl Members {
    fn new(nodes: usize, hash: HashKind) -> Self {
        Self {
            names: (0..nodes).map(ClusterSpec::node_name).collect(),
            hash,
            started: nodes,
            down: BTreeSet::new(),
            warming_since: None,
        }
    }

    fn start(&mut self, count: usize) {
        for _ in 0..count {
            self.names.push(ClusterSpec::node_name(self.started));
            self.started += 1;
        }
    }

    fn topology(&self) -> Topology {
        Topology::new(self.hash, self.names.iter().map(Server::new))
    }
}

/// Predicts every event of a scenario, or every case of its matrix.
pub(super) fn outlook(scenario: &Scenario) -> Result<Outlook, String> {
    let prepared = prepare(scenario).map_err(|error| error.to_string())?;
    let theory = Theory {
        scenario,
        prepared: &prepared,
    };
    let mut forecasts = Vec::new();
    let mut warm_at_end = None;
    if let Some(matrix) = &scenario.matrix {
        for case in &matrix.cases {
            for hash in &matrix.hashes {
                forecasts.push(theory.case(case, *hash)?);
            }
        }
    } else {
        let mut members = Members::new(scenario.cluster.nodes, scenario.cluster.hash);
        for event in &scenario.events {
            if !event.action.is_foreseen() {
                continue;
            }
            let position = theory.position(&event.at)?;
            let baseline = theory.baseline(&event.at);
            let mut forecast = theory.event(&mut members, &event.action, position, baseline)?;
            forecast.at.clone_from(&event.at_text);
            forecasts.push(forecast);
        }
        warm_at_end = theory.warm(theory.length(scenario.phases.len())?, BASELINE_REQUESTS);
    }
    Ok(Outlook {
        keys: u64::from(prepared.keys.len()),
        footprint_bytes: prepared.keys.footprint_bytes(),
        memory_bytes: scenario.cluster.node.memory_bytes * scenario.cluster.nodes as u64,
        forecasts,
        warm_at_end,
    })
}

struct Theory<'a> {
    scenario: &'a Scenario,
    prepared: &'a Prepared,
}

impl Theory<'_> {
    fn rate(&self) -> Option<f64> {
        self.prepared.rate(self.scenario)
    }

    /// Requests in `time`.
    fn requests(&self, time: std::time::Duration) -> Result<u64, String> {
        // A phase's own start needs no rate.
        if time.is_zero() {
            return Ok(0);
        }
        let rate = self.rate().ok_or(
            "a closed loop goes as fast as it can: give phases and events in requests to predict them",
        )?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a week at a million a second fits"
        )]
        let requests = (time.as_secs_f64() * rate).round() as u64;
        Ok(requests)
    }

    /// Requests in the first `phases` phases.
    fn length(&self, phases: usize) -> Result<u64, String> {
        let mut sum = 0;
        for phase in &self.scenario.phases[..phases] {
            sum += match phase.length {
                PhaseLength::Requests(requests) => requests,
                PhaseLength::Time(time) | PhaseLength::UntilSteady { max: time, .. } => {
                    self.requests(time)?
                }
                PhaseLength::TraceEnd => self
                    .prepared
                    .rows
                    .as_ref()
                    .map_or(0, |rows| rows.len() as u64)
                    .saturating_sub(sum),
            };
        }
        Ok(sum)
    }

    fn position(&self, moment: &Moment) -> Result<u64, String> {
        let start = self.length(moment.phase.unwrap_or(0))?;
        Ok(start
            + match moment.offset {
                Offset::Time(time) => self.requests(time)?,
                Offset::Requests(requests) => requests,
            })
    }

    /// Requests over which the warm rate before a moment is read: the latest baseline phase, if it ends there.
    fn baseline(&self, moment: &Moment) -> u64 {
        let before = moment
            .phase
            .and_then(|index| self.scenario.phases[..index].last());
        match before {
            Some(phase) if phase.kind == PhaseKind::Baseline => match phase.length {
                PhaseLength::Requests(requests) => requests,
                PhaseLength::Time(time) => self.requests(time).unwrap_or(BASELINE_REQUESTS),
                PhaseLength::UntilSteady { .. } | PhaseLength::TraceEnd => BASELINE_REQUESTS,
            },
            _ => BASELINE_REQUESTS,
        }
    }

    /// Hit rate over the `baseline` requests before request `position`, nothing evicted but what Che's theory says.
    fn warm(&self, position: u64, baseline: u64) -> Option<f64> {
        if let Some(rows) = &self.prepared.rows {
            let end = usize::try_from(position).unwrap_or(usize::MAX).min(rows.len());
            let start = end.saturating_sub(usize::try_from(baseline).unwrap_or(usize::MAX));
            let mut seen = vec![false; self.prepared.keys.len() as usize];
            let (mut hits, mut gets) = (0, 0);
            for (at, row) in rows[..end].iter().enumerate() {
                let was_seen = std::mem::replace(&mut seen[row.key as usize], row.op != Op::Delete);
                if row.op == Op::Get && at >= start {
                    gets += 1;
                    hits += u64::from(was_seen);
                }
            }
            return ratio(hits, gets);
        }
        let popularity =
            cluster::predict::Popularity::from_keys(self.expected().into_iter().map(|weight| (weight, 1)));
        let (keys, footprint) = (
            f64::from(self.prepared.keys.len()),
            self.prepared.keys.footprint_bytes() as f64,
        );
        let memory = (self.scenario.cluster.node.memory_bytes * self.scenario.cluster.nodes as u64) as f64;
        let time = popularity.characteristic_time(keys * (memory / footprint.max(1.0)).min(1.0));
        let middle = position.saturating_sub(baseline.min(position) / 2) as f64;
        let cold = popularity.hit_rate_cold(middle, time);
        let ttl = self
            .scenario
            .workload
            .ttl
            .as_ref()
            .zip(self.rate())
            .map_or(1.0, |(ttl, rate)| {
                popularity.hit_rate_ttl(rate * ttl.base.as_secs_f64())
            });
        Some(cold.min(ttl))
    }

    /// Requests expected per key, in parts.
    fn expected(&self) -> Vec<u64> {
        let Some(popularity) = &self.prepared.popularity else {
            return Vec::new();
        };
        let keys = popularity.keys();
        let total: f64 = (0..keys).map(|rank| popularity.weight(rank)).sum();
        let mut weights = vec![0; self.prepared.keys.len() as usize];
        for rank in 0..keys {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 1e12"
            )]
            let parts = (popularity.weight(rank) / total * WEIGHT_PARTS).round().max(1.0) as u64;
            if let Some(weight) = usize::try_from(popularity.key_of_rank(rank))
                .ok()
                .and_then(|key| weights.get_mut(key))
            {
                *weight = parts;
            }
        }
        weights
    }

    /// How often each key was asked for before request `position`; expected parts where requests are drawn.
    fn weights(&self, position: u64) -> Vec<u64> {
        let Some(rows) = &self.prepared.rows else {
            return self.expected();
        };
        let mut weights = vec![0; self.prepared.keys.len() as usize];
        for row in rows
            .iter()
            .take(usize::try_from(position).unwrap_or(usize::MAX))
            .filter(|row| row.op == Op::Get)
        {
            weights[row.key as usize] += 1;
        }
        weights
    }

    fn case(&self, case: &MatrixCase, hash: HashKind) -> Result<Forecast, String> {
        let mut members = Members::new(case.nodes, hash);
        let mut forecast = self.event(
            &mut members,
            &case.action,
            case.warm_requests,
            case.baseline_requests,
        )?;
        forecast.what = format!("{} {hash}", case.name);
        forecast.at = format!(
            "{} requests",
            crate::report::number::short_count(case.warm_requests as f64)
        );
        Ok(forecast)
    }

    fn event(
        &self,
        members: &mut Members,
        action: &Action,
        position: u64,
        baseline: u64,
    ) -> Result<Forecast, String> {
        let weights = self.weights(position);
        let before = members.clone();
        let victim = self.victim(members, action, &weights)?;
        let lost: Vec<String> = match action {
            Action::Flush { .. } => members.names.clone(),
            Action::FlushNode { .. } | Action::ReplaceNode { .. } => victim.iter().cloned().collect(),
            Action::RestartNode { memory, .. } if *memory == Memory::Cold => victim.iter().cloned().collect(),
            _ => Vec::new(),
        };
        let mut stays_cold = false;
        match action {
            Action::AddNode { count } => members.start(*count),
            Action::WarmupRoute {
                step: WarmUp::On { nodes, .. },
            } => {
                let old = std::mem::take(&mut members.names);
                members.start(nodes.unwrap_or(old.len()));
                members.warming_since = Some(position);
            }
            Action::RemoveNode { .. } | Action::DrainNode { .. } => {
                members.names.retain(|name| Some(name) != victim.as_ref())
            }
            Action::KillNode { .. } | Action::StopNode { .. }
                if self.scenario.cluster.on_node_down == OnNodeDown::Eject =>
            {
                members.names.retain(|name| Some(name) != victim.as_ref());
            }
            Action::KillNode { .. } | Action::StopNode { .. } => {
                // A gutter begins empty and takes over.
                stays_cold = self.scenario.cluster.gutter() == 0;
                members.down.extend(victim.clone());
            }
            Action::SetHash { hash } => members.hash = *hash,
            _ => {}
        }
        let ends = matches!(action, Action::KillNode { .. } | Action::StopNode { .. });
        let lost = if ends && members.names == before.names {
            victim.iter().cloned().collect()
        } else {
            lost
        };
        let (cold_share, request_fraction) = self.cold_share(&before, members, &lost, &weights)?;
        // Every node of a replicated pool has every key: what one loses the others have.
        let spared = self.scenario.cluster.replicated && lost.len() < before.names.len();
        let (cold_share, request_fraction) = match spared {
            true => (0.0, 0.0),
            false => (cold_share, request_fraction),
        };
        let stays_cold = stays_cold && !spared;
        let (old, new) = (before.topology(), members.topology());
        let formula = (old != new && !spared).then(|| cluster::predict::remapped(&old, &new));
        let warm = self
            .warm(position, baseline)
            .ok_or("no get comes before the event: nothing to predict from")?;
        let mut mixture = Mixture {
            warm,
            cold_share,
            cold_at_once: 0.0,
            cold: self.cold_curve(position, warm),
        };
        if let Action::WarmupRoute { step } = action {
            match (step, members.warming_since.take()) {
                (WarmUp::On { .. }, since) => {
                    // The old nodes give what the new ones lack.
                    mixture.cold_share = 0.0;
                    members.warming_since = since;
                }
                // What was not asked for meanwhile goes: the curve of a cluster that was empty then, drawn on.
                (WarmUp::Off, since) => {
                    let since = position.saturating_sub(since.unwrap_or(position));
                    mixture.cold_share = 1.0;
                    mixture.cold = self.cold_curve(position - since, warm).after(since).at_most(warm);
                    mixture.cold_at_once = mixture.cold.0.first().copied().unwrap_or(0.0);
                }
            }
        }
        if let Action::PopularityShift { .. } = action {
            let memory = self.scenario.cluster.node.memory_bytes * self.scenario.cluster.nodes as u64;
            let footprint = self.prepared.keys.footprint_bytes().max(1);
            let resident = (memory as f64 / footprint as f64).min(1.0);
            mixture = Mixture::of_shift(warm, resident, self.cold_curve(position, warm));
        }
        let stayed_behind = matches!(action, Action::WarmupRoute { step: WarmUp::Off });
        let (cold_share, request_fraction) = if stayed_behind {
            unasked(&weights, position - before.warming_since.unwrap_or(position))
        } else {
            (mixture.cold_share, mixture.cold_share.min(request_fraction))
        };
        let prediction = if stays_cold {
            // While the node is away its keys miss however popular they are.
            let low = Some((1.0 - request_fraction) * warm);
            Prediction {
                low,
                first_1k: low,
                first_5k: low,
                first_20k: low,
                amplification: mixture.told(STEP, None).amplification,
                ..Prediction::default()
            }
        } else {
            mixture.told(STEP, formula)
        };
        let capacity = self.scenario.backend.capacity;
        let overload = self
            .rate()
            .filter(|_| capacity > 0.0)
            .zip(prediction.low)
            .map(|(rate, low)| Overload::new(capacity, rate, warm, low));
        Ok(Forecast {
            what: action.describe(),
            at: String::new(),
            warm,
            cold_share,
            request_fraction,
            prediction,
            rate: self.rate(),
            stays_cold,
            overload,
        })
    }

    /// The node an action is about; `random` counts as the last, for want of a draw.
    fn victim(&self, members: &Members, action: &Action, weights: &[u64]) -> Result<Option<String>, String> {
        let Some(node) = action.node() else {
            return Ok(None);
        };
        let mut up = members.names.iter().filter(|name| !members.down.contains(*name));
        Ok(match node {
            NodeRef::Name(name) => Some(name.clone()),
            NodeRef::Last | NodeRef::Random => up.next_back().cloned(),
            NodeRef::Hottest => {
                let placement = Placement::new(&members.topology()).map_err(|error| error.to_string())?;
                let mut load = vec![0_u64; members.names.len()];
                let mut scratch = Vec::new();
                for (key, weight) in (0..).zip(weights) {
                    load[placement.owner(self.prepared.keys.text(key, &mut scratch))] += weight;
                }
                up.max_by_key(|name| {
                    members
                        .names
                        .iter()
                        .position(|other| other == *name)
                        .map(|index| load[index])
                })
                .cloned()
            }
        })
    }

    /// Shares of the keys asked for so far whose copy is gone, and of the requests they had.
    fn cold_share(
        &self,
        before: &Members,
        after: &Members,
        lost: &[String],
        weights: &[u64],
    ) -> Result<(f64, f64), String> {
        let placement =
            |members: &Members| Placement::new(&members.topology()).map_err(|error| error.to_string());
        let (old, new) = (placement(before)?, placement(after)?);
        let moves = before.topology() != after.topology();
        let (mut keys, mut cold_keys, mut requests, mut cold_requests) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut scratch = Vec::new();
        for (key, weight) in (0..).zip(weights).filter(|(_, weight)| **weight > 0) {
            let text = self.prepared.keys.text(key, &mut scratch);
            let owner = old.owner_name(text);
            let moved = moves && owner != new.owner_name(text);
            keys += 1;
            requests += weight;
            if moved || lost.iter().any(|name| name == owner) {
                cold_keys += 1;
                cold_requests += weight;
            }
        }
        Ok((
            ratio(cold_keys, keys).unwrap_or(0.0),
            ratio(cold_requests, requests).unwrap_or(0.0),
        ))
    }

    fn cold_curve(&self, position: u64, warm: f64) -> ColdCurve {
        match (&self.prepared.rows, &self.prepared.popularity) {
            (Some(rows), _) => {
                let from = usize::try_from(position).unwrap_or(usize::MAX).min(rows.len());
                ColdCurve::replayed(
                    rows[from..]
                        .iter()
                        .filter(|row| row.op == Op::Get)
                        .map(|row| row.key),
                    vec![false; self.prepared.keys.len() as usize],
                )
            }
            (None, Some(popularity)) => {
                ColdCurve::independent(|rank| popularity.weight(rank), popularity.keys()).at_most(warm)
            }
            (None, None) => ColdCurve::default(),
        }
    }
}

/// Shares of the keys that nobody is expected to ask for in so many requests, and of the requests they have.
fn unasked(weights: &[u64], requests: u64) -> (f64, f64) {
    let total = weights.iter().sum::<u64>().max(1) as f64;
    let asked = weights.iter().filter(|weight| **weight > 0);
    let (mut keys, mut left, mut load) = (0.0_f64, 0.0, 0.0);
    for weight in asked {
        let share = *weight as f64 / total;
        let unasked = (-share * requests as f64).exp();
        keys += 1.0;
        left += unasked;
        load += share * unasked;
    }
    (left / keys.max(1.0), load)
}

#[cfg(test)]
mod tests {
    use super::{Forecast, outlook};
    use crate::scenario::{Overrides, from_text, load};

    fn forecasts(text: &str) -> Vec<Forecast> {
        let scenario = from_text("t.toml", text, &Overrides::default())
            .unwrap_or_else(|diagnostic| panic!("{diagnostic}"));
        outlook(&scenario).unwrap().forecasts
    }

    /// The law on the real trace with our own placement, against an offline simulation with another: every hash, every event.
    #[test]
    fn the_law_agrees_with_the_simulated_trace_within_a_point_and_a_half() {
        let scenario = load("builtin:hash-shootout", &Overrides::default()).unwrap();
        let matrix = scenario.matrix.as_ref().unwrap();
        let told = outlook(&scenario).unwrap().forecasts;
        let cases = matrix
            .cases
            .iter()
            .flat_map(|case| matrix.hashes.iter().map(move |hash| (case, hash)));
        let mut compared = 0;
        for ((case, hash), forecast) in cases.zip(&told) {
            let expected = case
                .expected
                .iter()
                .find(|row| row.hash.is_none_or(|named| named == *hash))
                .unwrap();
            let near = |ours: Option<f64>, theirs: f64, what: &str| {
                let ours = ours.unwrap();
                assert!(
                    (ours - theirs).abs() < 0.015,
                    "{} {hash}, {what}: {ours} against {theirs}",
                    case.name
                );
            };
            near(Some(forecast.warm), expected.warm, "warm");
            near(forecast.prediction.first_20k, expected.first_20k, "first 20 k");
            compared += 1;
        }
        assert_eq!(compared, 12);
    }

    #[test]
    fn a_dead_node_stays_cold_until_it_is_back_or_its_keys_are_inherited() {
        let base = "name = \"t\"\nextends = \"builtin:kill-node\"\n";
        let missing = &forecasts(&format!("{base}[cluster]\non_node_down = \"miss\"\n"))[0];
        assert!(missing.stays_cold && missing.prediction.recovery_requests.is_none());
        let inherited = &forecasts(base)[0];
        assert!(!inherited.stays_cold && inherited.prediction.recovery_requests.is_some());
        assert!(
            (inherited.cold_share - 0.25).abs() < 0.02,
            "{}",
            inherited.cold_share
        );
    }

    #[test]
    fn a_pool_that_fills_itself_does_not_dip_and_later_lacks_only_what_was_not_asked_for() {
        let told = forecasts(
            "name = \"t\"\n[cluster]\nrouter = {}\n[workload]\nkeys = 10000\npopularity = { dist = \"zipf\", alpha = 0.9 }\n\
             [load]\nrate = 1000\n[[phase]]\nname = \"fill\"\nkind = \"warmup\"\nduration = \"60s\"\n\
             [[phase]]\nname = \"on\"\nkind = \"measure\"\nduration = \"20s\"\n\
             [[phase]]\nname = \"off\"\nkind = \"measure\"\nduration = \"10s\"\n\
             [[event]]\nat = \"on+0s\"\ndo = \"warmup_route\"\n\
             [[event]]\nat = \"off+0s\"\ndo = \"warmup_route\"\non = false\n",
        );
        let [on, off] = &told[..] else {
            panic!("two events")
        };
        assert_eq!(on.cold_share, 0.0);
        assert!((on.prediction.low.unwrap() - on.warm).abs() < 1e-12);
        assert!((on.prediction.amplification.unwrap() - 1.0).abs() < 1e-9);
        // Sum of e^(-20,000 p) over the keys, and of p e^(-20,000 p): half stays behind, and few ask for it.
        assert!((0.46..0.48).contains(&off.cold_share), "{}", off.cold_share);
        assert!(
            (0.05..0.2).contains(&off.request_fraction),
            "{}",
            off.request_fraction
        );
        assert!(off.prediction.first_1k.unwrap() > 0.8 * off.warm);
        assert!(off.prediction.first_1k < off.prediction.first_5k);
    }

    #[test]
    fn a_replica_that_is_lost_takes_no_key_along_and_a_flush_takes_all() {
        let base = "name = \"t\"\nextends = \"builtin:replica-loss\"\n";
        let shares = |text: &str| -> Vec<(f64, bool)> {
            let told = forecasts(text);
            told.iter()
                .map(|forecast| (forecast.cold_share, forecast.stays_cold))
                .collect()
        };
        assert_eq!(shares(base), [(0.0, false)]);
        let flushed = format!("{base}[[event]]\nat = \"back+20s\"\ndo = \"flush\"\n");
        assert_eq!(shares(&flushed), [(1.0, false)]);
    }

    #[test]
    fn one_event_builds_on_the_one_before() {
        let text = "name = \"t\"\nextends = \"builtin:add-node\"\n[[event]]\nat = \"resize+1s\"\ndo = \"add_node\"\ncount = 3\n\
                    [[event]]\nat = \"resize+2s\"\ndo = \"remove_node\"\nnode = \"node7\"\n\
                    [[event]]\nat = \"resize+3s\"\ndo = \"flush_node\"\nnode = \"node6\"\n";
        let shares: Vec<f64> = forecasts(text)
            .iter()
            .map(|forecast| forecast.cold_share)
            .collect();
        for (share, expected) in shares.iter().zip([3.0 / 7.0, 1.0 / 7.0, 1.0 / 6.0]) {
            assert!((share - expected).abs() < 0.02, "{shares:?}");
        }
    }

    #[test]
    fn a_closed_loop_with_a_clock_cannot_be_predicted_and_says_why() {
        let text = "name = \"t\"\nextends = \"builtin:add-node\"\n[load]\nmode = \"closed\"\n";
        let Err(problem) = from_text(
            "t.toml",
            text,
            &Overrides {
                set: vec![],
                ..Overrides::default()
            },
        ) else {
            panic!("the base's rate belongs to an open loop");
        };
        assert!(
            problem.to_string().contains("`rate` belongs to an open loop"),
            "{problem}"
        );
        let text = "name = \"t\"\n[load]\nmode = \"closed\"\n[[phase]]\nname = \"a\"\nkind = \"measure\"\nduration = \"5s\"\n\
                    [[event]]\nat = \"a+1s\"\ndo = \"flush\"\n";
        let scenario = from_text("t.toml", text, &Overrides::default()).unwrap();
        assert!(
            outlook(&scenario)
                .err()
                .unwrap()
                .contains("give phases and events in requests")
        );
    }
}
