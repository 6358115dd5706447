//! Moving to another pool with the old one behind it: the new nodes fill themselves by what is asked of them, and the old
//! ones leave when that is enough.

use std::time::Duration;

use super::{Fired, Run};
use crate::cluster::ClusterError;
use crate::cluster::node_client::NodeClient;
use crate::conduct::RunError;
use crate::conduct::change;
use crate::measure::outcome::Copies;
use crate::scenario::WarmUp;

/// Both lives are told in whole seconds, and are asked for one after the other.
const OUTLIVES_SECONDS: i64 = 1;
const NEVER: i64 = -1;

/// A warm-up that is under way.
#[derive(Debug, Default)]
pub(super) struct Warming {
    /// Gets sent before it.
    since: u64,
    /// Keys to look at afterwards, each with how often it had been stored.
    stored: Vec<(u32, u64)>,
}

impl Run<'_> {
    pub(super) async fn warm_up(&mut self, step: WarmUp, fired: &mut Fired) -> Result<(), RunError> {
        match step {
            WarmUp::On { nodes, exptime } => self.warm_up_on(nodes, exptime, fired).await,
            WarmUp::Off => self.warm_up_off(fired).await,
        }
    }

    async fn warm_up_on(
        &mut self,
        nodes: Option<usize>,
        exptime: Option<Duration>,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let count = nodes.unwrap_or(self.cluster.members().len());
        let fresh = self.start_nodes(count, fired).await?;
        let hash = self.cluster.hash();
        let mut planned = self.plan(&fresh, hash, Vec::new(), fired).await?;
        // Every key has another owner, and none is cold: what the new owner lacks the old one gives it.
        if let Some(mixture) = &mut planned.change.mixture {
            mixture.cold_share = 0.0;
        }
        let exptime = exptime.map(|exptime| exptime.as_secs());
        self.cluster.warm_up(&fresh, exptime).await?;
        self.apply(planned, fired);
        self.shell.with(|core, _| core.map_mut().fills_itself = true);
        let core = self.shell.core();
        let gets = core.gets_per_key();
        let sample = change::sample(&core, &gets, self.scenario.check.sample_keys as usize);
        let stored = sample.into_iter().map(|key| (key, core.stores_of(key))).collect();
        let since = core.recorder.totals().gets;
        drop(core);
        self.warming = Some(Warming { since, stored });
        Ok(())
    }

    /// What was not asked for meanwhile goes with the old nodes.
    async fn warm_up_off(&mut self, fired: &mut Fired) -> Result<(), RunError> {
        let (members, hash) = (self.cluster.members(), self.cluster.hash());
        let mut planned = self.plan(&members, hash, Vec::new(), fired).await?;
        let warming = self.warming.take().unwrap_or_default();
        {
            let core = self.shell.core();
            let since = core.recorder.totals().gets.saturating_sub(warming.since);
            planned.lose_what_stayed_behind(&core, self.prepared, since, self.scenario.workload.lone_get);
        }
        let old = self.cluster.end_warm_up().await?;
        self.apply(planned, fired);
        self.shell.with(|core, _| core.map_mut().fills_itself = false);
        let looked_at = self.copies(&warming.stored, &old, &members).await;
        fired.card.copies = looked_at
            .inspect_err(|error| tracing::warn!(%error, "no look at the copies"))
            .ok();
        for number in old {
            self.lose(number);
            self.cluster.stop_node(number).await;
            fired.card.nodes.push(self.cluster.nodes()[number].name.clone());
        }
        Ok(())
    }

    /// Looks at the same keys in the pool that was left and in its successor: which were copied, and with what life.
    /// What was stored anew by a client meanwhile is no copy, and is left out.
    async fn copies(
        &self,
        stored: &[(u32, u64)],
        old: &[usize],
        new: &[usize],
    ) -> Result<Copies, ClusterError> {
        let mut scratch = Vec::new();
        let keys: Vec<Vec<u8>> = {
            let core = self.shell.core();
            let untouched = stored
                .iter()
                .filter(|(key, stores)| core.stores_of(*key) == *stores);
            untouched
                .map(|(key, _)| self.prepared.keys.text(*key, &mut scratch).to_vec())
                .collect()
        };
        // The copies first: time only takes from the originals.
        let (copies, originals) = (self.lives(new, &keys).await?, self.lives(old, &keys).await?);
        let mut told = Copies::default();
        for pair in originals.into_iter().zip(copies) {
            let (Some(original), copy) = pair else { continue };
            told.originals += 1;
            if let Some(copy) = copy {
                told.copied += 1;
                told.outliving += u64::from(outlives(copy, original));
            }
        }
        Ok(told)
    }

    /// Seconds each key has to live on whichever of these nodes holds it.
    async fn lives(&self, numbers: &[usize], keys: &[Vec<u8>]) -> Result<Vec<Option<i64>>, ClusterError> {
        let mut lives = vec![None; keys.len()];
        for node in numbers.iter().map(|number| &self.cluster.nodes()[*number]) {
            let look = async { NodeClient::connect(node.address).await?.lives(keys).await };
            let found = look.await.map_err(|source| ClusterError::Node {
                node: node.name.clone(),
                source,
            })?;
            for (life, found) in lives.iter_mut().zip(found) {
                *life = life.or(found);
            }
        }
        Ok(lives)
    }
}

fn outlives(copy: i64, original: i64) -> bool {
    match (copy, original) {
        (_, NEVER) => false,
        (NEVER, _) => true,
        (copy, original) => copy > original + OUTLIVES_SECONDS,
    }
}

#[cfg(test)]
mod tests {
    use super::outlives;

    #[test]
    fn a_copy_may_live_as_long_as_what_it_copies() {
        for (copy, original, expected) in [
            (30, 30, false),
            (31, 30, false),
            (32, 30, true),
            (5, 30, false),
            (-1, 30, true),
            (-1, -1, false),
            (60, -1, false),
        ] {
            assert_eq!(outlives(copy, original), expected, "{copy} of {original}");
        }
    }
}
