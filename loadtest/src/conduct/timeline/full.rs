//! What theory says of the phases in which nothing happened but that nodes were full, or items expired.

use super::Run;
use crate::measure::eviction::{Eviction, expiring, warm};
use crate::measure::outcome::Phase;
use crate::scenario::{Fill, PhaseKind, Popularity};

/// Expiry is told in whole seconds: what is stored somewhere within one lives half of one less, on average.
const HALF_A_SECOND: f64 = 0.5;

impl Run<'_> {
    /// Adds the hit rate predicted of every phase that theory has a word for.
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
