//! What is known of a run before it: its phases, how long each is beside the others, and where in them events come.

use std::time::Duration;

use crate::scenario::{Moment, Offset, PhaseLength, Scenario};

#[derive(Debug, Clone)]
pub(in crate::live) struct Stage {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) phases: Vec<String>,
    pub(super) planned: Option<Duration>,
    /// Each phase's part of the whole, all together 1: by time if all of them are timed, else all alike.
    shares: Vec<f64>,
    /// Where events come, 0 to 1.
    ticks: Vec<f64>,
}

impl Stage {
    pub(in crate::live) fn new(scenario: &Scenario) -> Self {
        let lengths: Vec<PhaseLength> = scenario.phases.iter().map(|phase| phase.length).collect();
        let shares = shares(&lengths);
        let moments = scenario.events.iter().map(|event| &event.at);
        let ticks = moments
            .filter_map(|moment| place(moment, &lengths, &shares))
            .collect();
        Self {
            name: scenario
                .name
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect(),
            seed: scenario.seed,
            phases: scenario.phases.iter().map(|phase| phase.name.clone()).collect(),
            planned: scenario.planned_time(),
            shares,
            ticks,
        }
    }

    pub(in crate::live) fn phase(&self, index: usize) -> &str {
        self.phases.get(index).map_or("", String::as_str)
    }

    /// The whole run as a bar: what is done, where phases begin (`┃`) and events come (`◆`).
    pub(super) fn bar(&self, phase: usize, phase_done: f64, cells: usize) -> String {
        let cell = |share: f64| cell(share, cells);
        let before: f64 = self.shares.iter().take(phase).sum();
        let here = self.shares.get(phase).copied().unwrap_or(0.0);
        let done = cell(before + here * phase_done);
        let mut bar: Vec<char> = (0..cells).map(|at| if at < done { '━' } else { '─' }).collect();
        let mut start = 0.0;
        for share in self.shares.iter().take(self.shares.len().saturating_sub(1)) {
            start += share;
            set(&mut bar, cell(start), '┃');
        }
        for tick in &self.ticks {
            set(&mut bar, cell(*tick), '◆');
        }
        bar.into_iter().collect()
    }
}

fn set(bar: &mut [char], at: usize, mark: char) {
    if let Some(cell) = bar.get_mut(at) {
        *cell = mark;
    }
}

/// The cell a share of the whole ends in.
pub(super) fn cell(share: f64, cells: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `cells`"
    )]
    let at = (share.clamp(0.0, 1.0) * cells as f64).round() as usize;
    at
}

fn seconds(length: PhaseLength) -> Option<f64> {
    match length {
        PhaseLength::Time(time) | PhaseLength::UntilSteady { max: time, .. } => Some(time.as_secs_f64()),
        PhaseLength::Requests(_) | PhaseLength::TraceEnd => None,
    }
}

fn shares(lengths: &[PhaseLength]) -> Vec<f64> {
    let times: Option<Vec<f64>> = lengths.iter().map(|length| seconds(*length)).collect();
    let weights = times.unwrap_or_else(|| vec![1.0; lengths.len()]);
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum.max(1e-9)).collect()
}

/// Where an event comes; `None` if that is not known beforehand.
fn place(moment: &Moment, lengths: &[PhaseLength], shares: &[f64]) -> Option<f64> {
    let Some(phase) = moment.phase else {
        let times: Option<Vec<f64>> = lengths.iter().map(|length| seconds(*length)).collect();
        let Offset::Time(after) = moment.offset else {
            return None;
        };
        return Some(after.as_secs_f64() / times?.iter().sum::<f64>().max(1e-9));
    };
    let within = match (moment.offset, *lengths.get(phase)?) {
        (Offset::Time(after), length) => after.as_secs_f64() / seconds(length)?.max(1e-9),
        (Offset::Requests(0), _) => 0.0,
        (Offset::Requests(after), PhaseLength::Requests(all)) => after as f64 / all.max(1) as f64,
        (Offset::Requests(_), _) => return None,
    };
    Some(shares.iter().take(phase).sum::<f64>() + shares[phase] * within)
}
