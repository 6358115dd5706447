//! Tells whoever wants it each second of the run as it ends: for the live page and `/metrics`.

use super::Run;
use crate::live::Update;
use crate::live::second::{EventNow, LATENCY_BOUNDS_US, NextEvent, NodeNow, Second};
use crate::measure::outcome::{EventCard, NodeRow, Row};
use crate::scenario::Offset;

/// Phases whose figures may still move: the current one, and the one before for requests that end late.
const PHASES_TOLD: usize = 2;

impl Run<'_> {
    /// Every row of the series that was not told yet.
    pub(super) fn tell_seconds(&mut self) {
        if !self.stage.observer.wants_seconds() {
            return;
        }
        let rows: Vec<Row> = {
            let core = self.shell.core();
            core.recorder
                .series()
                .get(self.rows_told..)
                .unwrap_or_default()
                .to_vec()
        };
        self.rows_told += rows.len();
        for row in rows {
            let second = self.second(row);
            self.stage.observer.update(Update::Second(Box::new(second)));
        }
    }

    fn second(&self, row: Row) -> Second {
        let core = self.shell.core();
        let watch = self.watch.borrow();
        Second {
            row,
            warm: self.warm.or_else(|| core.recorder.baseline_hit_rate()),
            phases: core.recorder.phases_so_far(PHASES_TOLD, &LATENCY_BOUNDS_US),
            nodes: watch.latest().into_iter().map(|row| self.node(row)).collect(),
            events: self.fired.iter().map(|fired| event(&fired.card)).collect(),
            next: self.next_event(),
            totals: *core.recorder.totals(),
            backend_capacity: core.backend_capacity(),
            lag_p99_us: core.recorder.lag_p99_us(),
        }
    }

    fn node(&self, row: &NodeRow) -> NodeNow {
        let known = self.cluster.nodes().iter().find(|node| node.name == row.node);
        NodeNow {
            node: row.node.clone(),
            up: row.up,
            member: known.is_some_and(|node| node.member),
            gets: row.gets,
            hits: row.hits,
            evictions: row.evictions,
            items: row.items,
            bytes: row.bytes,
        }
    }

    /// The first event whose moment is still to come.
    fn next_event(&self) -> Option<NextEvent> {
        let now = self.shell.now() as f64 / 1e9;
        let coming = self.scenario.events.iter().filter_map(|event| {
            let origin = match event.at.phase {
                None => Some(self.put_off().0 as f64 / 1e9),
                Some(phase) if phase == self.phase => {
                    Some(self.phase_started.0.saturating_add(self.standing().0) as f64 / 1e9)
                }
                Some(phase) if phase > self.phase => None,
                Some(_) => return None,
            };
            let at_seconds = match event.at.offset {
                Offset::Time(after) => origin.map(|origin| origin + after.as_secs_f64()),
                Offset::Requests(_) => None,
            };
            let past = at_seconds.map_or(origin.is_some(), |at| at <= now);
            (!past).then(|| NextEvent {
                label: event.action.name().replace('_', " "),
                at_seconds,
            })
        });
        let place = |event: &NextEvent| event.at_seconds.unwrap_or(f64::INFINITY);
        // The first of those that have no known moment, as the file has them.
        coming.reduce(|first, other| {
            if place(&other) < place(&first) {
                other
            } else {
                first
            }
        })
    }
}

fn event(card: &EventCard) -> EventNow {
    EventNow {
        action: card.action.clone(),
        nodes: card.nodes.clone(),
        label: card.label.clone(),
        at_seconds: card.at_seconds,
        warm: card.warm,
        error: card.error.clone(),
    }
}
