//! Events that take something from nodes that go on running: their memory, their network, a key.

use std::time::Duration;

use super::later::Step;
use super::{Fired, Run};
use crate::cluster::ClusterError;
use crate::cluster::proxy::Passage;
use crate::conduct::RunError;
use crate::scenario::{Action, Cut, Direction, NodeRef, Ttl};
use crate::workload::seed::mix;

impl Run<'_> {
    pub(super) async fn flush(&mut self, stagger: Duration, fired: &mut Fired) -> Result<(), RunError> {
        let (members, hash) = (self.cluster.members(), self.cluster.hash());
        let now = if stagger.is_zero() {
            &members[..]
        } else {
            &members[..1]
        };
        let planned = self.plan(&members, hash, now.to_vec(), fired).await?;
        self.cluster.flush(now).await?;
        self.apply(planned, fired);
        let open = self.shell.core().is_open_loop();
        for (turn, number) in (0_u32..).zip(&members).skip(now.len()) {
            let flush = Action::FlushNode {
                node: NodeRef::Name(self.cluster.nodes()[*number].name.clone()),
            };
            let pause = if open { stagger * turn } else { stagger };
            self.leave(pause, Step::Event(flush)).await?;
        }
        Ok(())
    }

    pub(super) async fn flush_node(&mut self, node: &NodeRef, fired: &mut Fired) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let (members, hash) = (self.cluster.members(), self.cluster.hash());
        let planned = self.plan(&members, hash, vec![number], fired).await?;
        self.cluster.flush(&[number]).await?;
        self.apply(planned, fired);
        Ok(())
    }

    pub(super) async fn partition(
        &mut self,
        node: &NodeRef,
        direction: Direction,
        cut: Cut,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let (members, hash) = (self.cluster.members(), self.cluster.hash());
        let mut planned = self
            .plan_without(number, &members, hash, vec![number], fired)
            .await?;
        // Its keys cannot be reached, and that is all: it still has them.
        planned.change.lost.clear();
        if !self.scenario.cluster.fails_over() {
            planned.change.mixture = None;
        }
        self.cluster
            .set_passage(number, Passage::Cut { direction, cut })?;
        self.reachable(number, false);
        self.apply(planned, fired);
        Ok(())
    }

    pub(super) async fn heal(&mut self, node: Option<&NodeRef>, fired: &mut Fired) -> Result<(), RunError> {
        let numbers = match node {
            Some(node) => vec![self.resolve(node, fired)?],
            None => self.cluster.members(),
        };
        for number in numbers {
            self.cluster.set_passage(number, Passage::Open)?;
            self.reachable(number, true);
        }
        self.come_home().await?;
        self.begin_epoch(fired);
        Ok(())
    }

    pub(super) async fn slow_node(
        &mut self,
        node: &NodeRef,
        delay: Duration,
        until: Option<Duration>,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let passage = Passage::Cut {
            direction: Direction::Out,
            cut: Cut::Delay(delay),
        };
        self.cluster.set_passage(number, passage)?;
        self.begin_epoch(fired);
        match until {
            Some(until) => self.leave(until, Step::Open(number)).await,
            None => Ok(()),
        }
    }

    pub(super) async fn expire_hot(&mut self, rank: u64, fired: &mut Fired) -> Result<(), RunError> {
        let key = self.key_of_rank(rank);
        self.begin_epoch(fired);
        self.touch(&[key], -1).await?;
        self.shell.with(|core, now| core.touched(&[key], Some(0), now));
        Ok(())
    }

    /// The key at a rank of the popularity; of a trace, by what was asked for so far.
    fn key_of_rank(&self, rank: u64) -> u32 {
        let core = self.shell.core();
        if let Some(key) = core.source().key_of_rank(rank - 1) {
            return key;
        }
        let gets = core.gets_per_key();
        let mut keys: Vec<u32> = (0..u32::try_from(gets.len()).unwrap_or(u32::MAX)).collect();
        let place = usize::try_from(rank - 1)
            .unwrap_or(0)
            .min(keys.len().saturating_sub(1));
        let (_, key, _) =
            keys.select_nth_unstable_by_key(place, |key| std::cmp::Reverse(gets[*key as usize]));
        *key
    }

    pub(super) async fn sync_expiry(&mut self, fraction: f64, fired: &mut Fired) -> Result<(), RunError> {
        let Some(ttl) = &self.scenario.workload.ttl else {
            return Err(ClusterError::Impossible {
                action: "`sync_expiry`",
                needs: "a `ttl` in [workload]",
            }
            .into());
        };
        let seconds = u32::try_from(ttl.base.as_secs()).unwrap_or(u32::MAX).max(1);
        let (salt, keys) = (mix(self.scenario.seed ^ 0x7379_6e63), self.prepared.keys.len());
        let chosen: Vec<u32> = {
            let core = self.shell.core();
            (0..keys)
                .filter(|key| core.is_stored(*key))
                .filter(|key| (mix(u64::from(*key) ^ salt) >> 11) as f64 / (1_u64 << 53) as f64 <= fraction)
                .collect()
        };
        self.touch(&chosen, i64::from(seconds)).await?;
        fired.felt_after_seconds = f64::from(seconds) * (1.0 + Ttl::early(Some(ttl)));
        self.begin_epoch(fired);
        self.shell
            .with(|core, now| core.touched(&chosen, Some(seconds), now));
        Ok(())
    }

    /// `touch` on the nodes that own these keys, all nodes at the same time.
    async fn touch(&self, keys: &[u32], exptime: i64) -> Result<(), RunError> {
        let owners = std::sync::Arc::clone(&self.shell.core().map().owners);
        let mut scratch = Vec::new();
        let replicated = self.scenario.cluster.replicated;
        let nodes = self.cluster.members().into_iter().map(|number| {
            let texts = keys
                .iter()
                .filter(|key| replicated || usize::from(owners[**key as usize]) == number)
                .map(|key| self.prepared.keys.text(*key, &mut scratch).to_vec())
                .collect();
            (number, texts)
        });
        self.cluster.touch(nodes.collect(), exptime).await?;
        Ok(())
    }
}
