//! The theory of each event: which keys go cold, how warm the cluster is by then, what the mixture law makes of it.

mod members;
mod position;
mod warm;

use cluster::HashKind;
use cluster::predict::Overload;

use self::members::{Members, unasked};
use crate::conduct::build::{Prepared, prepare};
use crate::measure::outcome::Prediction;
use crate::measure::theory::{Mixture, STEP};
use crate::scenario::{Action, MatrixCase, Memory, OnNodeDown, Scenario, WarmUp};

/// The warm rate is read over this many requests where no baseline phase says otherwise.
const BASELINE_REQUESTS: u64 = 100_000;

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
        let mut members = theory.members(scenario.cluster.nodes, scenario.cluster.hash);
        for event in &scenario.events {
            if let Action::Backend {
                capacity: Some(capacity),
                ..
            } = event.action
            {
                members.backend_capacity = capacity;
            }
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
    fn members(&self, nodes: usize, hash: HashKind) -> Members {
        Members::new(nodes, hash, self.scenario.backend.capacity)
    }

    fn case(&self, case: &MatrixCase, hash: HashKind) -> Result<Forecast, String> {
        let mut members = self.members(case.nodes, hash);
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
                // A gutter begins empty and takes over; so do the others, as far as these keys go.
                stays_cold = !self.scenario.cluster.fails_over();
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
        let capacity = members.backend_capacity;
        let rate = self.rate_at(position);
        let overload = rate
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
            rate,
            stays_cold,
            overload,
        })
    }
}

#[cfg(test)]
mod tests;
