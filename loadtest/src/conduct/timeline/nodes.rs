//! Events that start and end nodes or change the pool's list.

use std::time::Duration;

use cluster::HashKind;
use rand::RngExt;

use super::later::Step;
use super::{Fired, Run};
use crate::cluster::WEIGHT;
use crate::conduct::RunError;
use crate::scenario::{Action, KillSignal, Memory, NodeRef, OnNodeDown};

impl Run<'_> {
    pub(super) fn resolve(&mut self, node: &NodeRef, fired: &mut Fired) -> Result<usize, RunError> {
        let members = self.cluster.members();
        let up: Vec<usize> = members
            .iter()
            .copied()
            .filter(|number| self.cluster.nodes()[*number].is_up())
            .collect();
        let number = match node {
            NodeRef::Name(name) => self.cluster.number_of(name)?,
            NodeRef::Last => *up.last().unwrap_or(&0),
            NodeRef::Random if up.is_empty() => 0,
            NodeRef::Random => up[self.random.random_range(0..up.len())],
            NodeRef::Hottest => {
                let watch = self.watch.borrow();
                let gets = |number: &usize| watch.gets_of(&self.cluster.nodes()[*number].name);
                up.into_iter().max_by_key(gets).unwrap_or(0)
            }
        };
        fired.card.nodes.push(self.cluster.nodes()[number].name.clone());
        Ok(number)
    }

    /// The pool's members once this node is down without warning.
    fn without(&self, number: usize) -> Vec<usize> {
        let members = self.cluster.members();
        match self.scenario.cluster.on_node_down {
            OnNodeDown::Miss | OnNodeDown::Failover | OnNodeDown::Error | OnNodeDown::Gutter(_) => members,
            OnNodeDown::Eject => members.into_iter().filter(|member| *member != number).collect(),
        }
    }

    pub(super) async fn add_nodes(&mut self, count: usize, fired: &mut Fired) -> Result<(), RunError> {
        let mut grown = self.cluster.members();
        grown.extend(self.start_nodes(count, fired).await?);
        let hash = self.cluster.hash();
        let planned = self.plan(&grown, hash, Vec::new(), fired).await?;
        self.cluster.set_pool(&grown, hash).await?;
        self.apply(planned, fired);
        Ok(())
    }

    /// So many new nodes, up and in no pool.
    pub(super) async fn start_nodes(
        &mut self,
        count: usize,
        fired: &mut Fired,
    ) -> Result<Vec<usize>, RunError> {
        let mut started = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.cluster.start_node().await?;
            self.shell.with(|core, _| core.map_mut().add_node());
            if !self.cluster.is_routed() {
                self.connect_node(number).await?;
            }
            fired.card.nodes.push(self.cluster.nodes()[number].name.clone());
            started.push(number);
        }
        self.watch.borrow_mut().follow(&self.cluster);
        Ok(started)
    }

    pub(super) async fn remove_node(
        &mut self,
        node: &NodeRef,
        drain: Duration,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let hash = self.cluster.hash();
        let mut rest = self.cluster.members();
        rest.retain(|member| *member != number);
        let planned = self.plan(&rest, hash, Vec::new(), fired).await?;
        self.cluster.set_pool(&rest, hash).await?;
        self.apply(planned, fired);
        self.lose(number);
        self.leave(drain, Step::Stop(number)).await
    }

    /// Kills a node, or stops it (`signal` is `None`).
    pub(super) async fn end_node(
        &mut self,
        node: &NodeRef,
        signal: Option<KillSignal>,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let (rest, hash) = (self.without(number), self.cluster.hash());
        let mut planned = self
            .plan_without(number, &rest, hash, vec![number], fired)
            .await?;
        if rest == self.cluster.members() && !self.scenario.cluster.fails_over() {
            // Its keys miss for as long as it is away: not a curve of cold keys that become warm.
            planned.change.mixture = None;
        }
        match signal {
            Some(KillSignal::Kill) => self.cluster.kill_node(number).await,
            Some(KillSignal::Term) | None => self.cluster.stop_node(number).await,
        }
        if rest != self.cluster.members() {
            self.cluster.set_pool(&rest, hash).await?;
        }
        self.reachable(number, false);
        self.apply(planned, fired);
        Ok(())
    }

    pub(super) async fn start_node(&mut self, node: &NodeRef, fired: &mut Fired) -> Result<(), RunError> {
        let down = |number: &usize| !self.cluster.nodes()[*number].is_up();
        let number = match node {
            NodeRef::Name(name) => self.cluster.number_of(name)?,
            NodeRef::Random | NodeRef::Hottest | NodeRef::Last => {
                (0..self.cluster.nodes().len()).rfind(down).unwrap_or(0)
            }
        };
        fired.card.nodes.push(self.cluster.nodes()[number].name.clone());
        self.bring_back(number, Memory::Cold).await?;
        self.begin_epoch(fired);
        Ok(())
    }

    pub(super) async fn restart_node(
        &mut self,
        node: &NodeRef,
        down: Duration,
        memory: Memory,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let (rest, hash) = (self.without(number), self.cluster.hash());
        let lost = match memory {
            Memory::Cold => vec![number],
            Memory::Warm => Vec::new(),
        };
        let planned = self.plan_without(number, &rest, hash, lost, fired).await?;
        match memory {
            Memory::Cold => self.cluster.kill_node(number).await,
            Memory::Warm => self.cluster.stop_node(number).await,
        }
        if rest != self.cluster.members() {
            self.cluster.set_pool(&rest, hash).await?;
        }
        self.reachable(number, false);
        self.apply(planned, fired);
        self.leave(down, Step::Return { number, memory }).await
    }

    /// A node that ended runs again; if it had been taken off the list it is put back.
    pub(super) async fn bring_back(&mut self, number: usize, memory: Memory) -> Result<(), RunError> {
        self.cluster.start_again(number, memory).await?;
        self.watch.borrow_mut().follow(&self.cluster);
        let mut members = self.cluster.members();
        if !members.contains(&number) {
            members.push(number);
            members.sort_unstable();
            self.cluster.set_pool(&members, self.cluster.hash()).await?;
            self.reachable(number, true);
            return self.own_anew().await;
        }
        self.reachable(number, true);
        self.come_home().await
    }

    pub(super) async fn replace_node(&mut self, node: &NodeRef, fired: &mut Fired) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let (members, hash) = (self.cluster.members(), self.cluster.hash());
        let planned = self.plan(&members, hash, vec![number], fired).await?;
        let front = self.cluster.nodes()[number].front();
        self.cluster.replace_node(number).await?;
        self.watch.borrow_mut().follow(&self.cluster);
        if !self.cluster.is_routed() && self.cluster.nodes()[number].front() != front {
            self.hang_up(number);
            let lines = self.open_lines(number).await?;
            self.shell.with(|core, _| core.map_mut().lines[number] = lines);
        }
        self.apply(planned, fired);
        Ok(())
    }

    /// Every batch after the first is left for later; each node's restart has a card of its own.
    pub(super) async fn rolling_restart(
        &mut self,
        down: Duration,
        gap: Duration,
        batch: usize,
        memory: Memory,
    ) -> Result<(), RunError> {
        let members = self.cluster.members();
        let open = self.shell.core().is_open_loop();
        for (turn, numbers) in (0_u32..).zip(members.chunks(batch)) {
            let pause = match turn {
                0 => Duration::ZERO,
                _ if open => (down + gap) * turn,
                _ => gap,
            };
            for (place, number) in numbers.iter().enumerate() {
                let restart = Action::RestartNode {
                    node: NodeRef::Name(self.cluster.nodes()[*number].name.clone()),
                    down,
                    memory,
                };
                let pause = if open || place == 0 { pause } else { Duration::ZERO };
                self.leave(pause, Step::Event(restart)).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn drain_node(
        &mut self,
        node: &NodeRef,
        over: Duration,
        fired: &mut Fired,
    ) -> Result<(), RunError> {
        let number = self.resolve(node, fired)?;
        let hash = self.cluster.hash();
        let mut rest = self.cluster.members();
        rest.retain(|member| *member != number);
        let mut planned = self.plan(&rest, hash, Vec::new(), fired).await?;
        // The whole change is known, but it comes bit by bit: there is no curve for that.
        planned.change.mixture = None;
        self.apply(planned, fired);
        self.own_anew().await?;
        self.ramp(Duration::ZERO, over, WEIGHT, 0.0, |weight| Step::Weigh {
            number,
            weight,
        })
        .await
    }

    pub(super) async fn weigh(&mut self, number: usize, weight: f64) -> Result<(), RunError> {
        let mut members = self.cluster.members();
        if weight > 1e-9 {
            self.cluster.set_weight(number, weight)?;
        } else {
            members.retain(|member| *member != number);
            self.cluster.set_weight(number, WEIGHT)?;
        }
        self.cluster.set_pool(&members, self.cluster.hash()).await?;
        self.own_anew().await
    }

    pub(super) async fn set_hash(&mut self, hash: HashKind, fired: &mut Fired) -> Result<(), RunError> {
        let members = self.cluster.members();
        let planned = self.plan(&members, hash, Vec::new(), fired).await?;
        self.cluster.set_pool(&members, hash).await?;
        self.apply(planned, fired);
        Ok(())
    }
}
