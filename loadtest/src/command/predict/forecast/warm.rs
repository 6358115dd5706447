//! How warm the cluster is at a request, and how it would be after losing everything there.

use super::Theory;
use crate::measure::eviction::{self, Eviction};
use crate::measure::outcome::ratio;
use crate::measure::theory::ColdCurve;
use crate::workload::trace::Op;

/// What an item takes beside its key and value.
const ITEM_OVERHEAD_BYTES: f64 = 32.0;
/// Expected requests are counted in parts of this, so that rarely asked-for keys keep their weight.
const WEIGHT_PARTS: f64 = 1e12;

impl Theory<'_> {
    /// Hit rate over the `baseline` requests before request `position`, nothing evicted but what Che's theory says.
    pub(super) fn warm(&self, position: u64, baseline: u64) -> Option<f64> {
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
        let lone = self.scenario.workload.lone_get;
        let middle = position.saturating_sub(baseline.min(position) / 2) as f64;
        let cold = (1.0 - lone) * popularity.hit_rate_cold(middle * (1.0 - lone), f64::INFINITY);
        let full = self.full();
        let ttl = self
            .scenario
            .workload
            .ttl
            .as_ref()
            .zip(self.rate_at(position))
            .map_or(1.0, |(ttl, rate)| {
                popularity.hit_rate_ttl(rate * ttl.base.as_secs_f64())
            });
        Some(cold.min(full).min(ttl))
    }

    /// The hit rate that eviction leaves: 1 if everything fits.
    fn full(&self) -> f64 {
        let Some(popularity) = &self.prepared.popularity else {
            return 1.0;
        };
        let cluster = &self.scenario.cluster;
        let keys = f64::from(self.prepared.keys.len());
        let footprint = self.prepared.keys.footprint_bytes() as f64 + keys * ITEM_OVERHEAD_BYTES;
        let memory = (cluster.node.memory_bytes * cluster.nodes as u64) as f64;
        let lone = self.scenario.workload.lone_get;
        if memory >= footprint {
            return 1.0 - lone;
        }
        let eviction = match cluster.node.program {
            None => Eviction::S3Fifo,
            Some(_) => Eviction::Lru,
        };
        eviction::warm(popularity, lone, keys * memory / footprint, eviction)
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
    pub(super) fn weights(&self, position: u64) -> Vec<u64> {
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

    pub(super) fn cold_curve(&self, position: u64, warm: f64) -> ColdCurve {
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
                ColdCurve::independent(|rank| popularity.weight(rank), popularity.keys())
                    .but_for(self.scenario.workload.lone_get)
                    .at_most(warm)
            }
            (None, None) => ColdCurve::default(),
        }
    }
}
