//! What theory says of the phases in which nothing happened but that nodes were full, or items expired: one by one, or
//! all together.

use super::Run;
use crate::measure::eviction::{Eviction, expiring, expiring_together, warm};
use crate::measure::outcome::Phase;
use crate::scenario::{Action, Fill, JitterBy, PhaseKind, Popularity};

/// Expiry is told in whole seconds: what is stored somewhere within one lives half of one less, on average.
const HALF_A_SECOND: f64 = 0.5;

impl Run<'_> {
    /// Adds what is predicted of every phase that theory has a word for.
    pub(super) fn foretell(&self, phases: &mut [Phase]) {
        let workload = &self.scenario.workload;
        let drawn_alike = !matches!(
            workload.popularity,
            Popularity::Latest { .. } | Popularity::Trace(_)
        );
        let only_read = workload.mix.get >= 1.0 && workload.fill != Fill::None;
        if !drawn_alike || !only_read || self.scenario.cluster.replicated {
            return;
        }
        let Some(popularity) = &self.prepared.popularity else {
            return;
        };
        let eviction = match self.scenario.cluster.node.program {
            None => Eviction::S3Fifo,
            Some(_) => Eviction::Lru,
        };
        let undisturbed = |phase: &&mut Phase| {
            phase.kind != PhaseKind::Warmup.text()
                && self.fired.iter().all(|fired| fired.card.phase != phase.name)
        };
        for phase in phases.iter_mut().filter(undisturbed) {
            let lasted = phase.end_seconds - phase.start_seconds;
            phase.hit_rate_predicted = match &workload.ttl {
                None => self
                    .held_when_full(phase)
                    .map(|items| warm(popularity, workload.lone_get, items, eviction)),
                // One TTL for all, and nothing lost for space; the generation of the start is over.
                Some(ttl) if ttl.mix.is_empty() && phase.totals.misses_by_reason.evicted == 0 => {
                    let lives = ttl.base.as_secs_f64() - HALF_A_SECOND;
                    let rate = phase.totals.gets as f64 / lasted.max(1e-9);
                    (phase.start_seconds > 2.0 * ttl.base.as_secs_f64())
                        .then(|| expiring(popularity, workload.lone_get, rate * lives))
                }
                Some(_) => None,
            };
        }
        for phase in phases {
            phase.backend_peak_predicted = self.due_together(phase).map(|(ttl, jitter, share)| {
                let rate = phase.totals.gets as f64 / (phase.end_seconds - phase.start_seconds).max(1e-9);
                share * expiring_together(popularity, workload.lone_get, rate, ttl, jitter)
            });
        }
    }

    /// TTL, jitter and share of the keys, if they got their TTL anew in this phase and nothing else was done in it. How
    /// much the nodes spread TTLs is known only if it was said.
    fn due_together(&self, phase: &Phase) -> Option<(f64, f64, f64)> {
        let mut cards = self.fired.iter().map(|fired| &fired.card);
        let alone = cards.clone().filter(|card| card.phase == phase.name).count() == 1;
        let share = self.scenario.events.iter().find_map(|event| match event.action {
            Action::SyncExpiry { fraction } => Some(fraction),
            _ => None,
        })?;
        let synced = cards.any(|card| card.phase == phase.name && card.action == "sync_expiry");
        let ttl = self.scenario.workload.ttl.as_ref()?;
        let jitter = match ttl.jitter_by? {
            JitterBy::Node => ttl.jitter,
            JitterBy::Loadtest => 0.0,
        };
        (alone && synced).then_some((ttl.base.as_secs_f64(), jitter, share))
    }

    /// Items of all nodes together, on average over the phase; `None` if one of them had room left.
    fn held_when_full(&self, phase: &Phase) -> Option<f64> {
        let watch = self.watch.borrow();
        let mut items = 0.0;
        for number in self.cluster.members() {
            let name = &self.cluster.nodes()[number].name;
            let within = watch.rows_of(name, phase.start_seconds, phase.end_seconds);
            // A phase may be over before the next look.
            let after = watch.rows_of(name, phase.end_seconds, f64::INFINITY).take(1);
            let (mut looks, mut held, mut evicted) = (0_u32, 0.0, 0);
            for row in within.chain(after) {
                looks += 1;
                held += row.items as f64;
                evicted += row.evictions;
            }
            if evicted == 0 {
                return None;
            }
            items += held / f64::from(looks);
        }
        Some(items)
    }
}
