//! Carries events out: works out beforehand what one will do, does it, and looks afterwards at what it did.

use std::sync::Arc;

use cluster::HashKind;
use rand::RngExt;

use super::{Fired, Run};
use crate::conduct::RunError;
use crate::conduct::change::{self, Planned, Question};
use crate::measure::outcome::EventCard;
use crate::scenario::{Action, Event, NodeRef, OnNodeDown};

/// How many times the scenario's sample of keys is looked for in the nodes while the load stands still.
const STANDING_SAMPLE_FACTOR: usize = 10;

impl Run<'_> {
    pub(super) async fn fire(&mut self, event: &Event) {
        let (at, gets) = (self.shell.now(), self.shell.core().recorder.totals().gets);
        let mut fired = Fired {
            card: EventCard {
                action: event.action.name().to_owned(),
                phase: self.scenario.phases[self.phase].name.clone(),
                at_seconds: at as f64 / 1e9,
                at_request: gets,
                ..EventCard::default()
            },
            epoch: None,
            planned: None,
            before: None,
        };
        self.close_last_event().await;
        let carried_out = self.carry_out(&event.action, &mut fired).await;
        fired.card.took_seconds = (self.shell.now() - at) as f64 / 1e9;
        let card = &fired.card;
        let nodes = if card.nodes.is_empty() {
            String::new()
        } else {
            format!(" {}", card.nodes.join(", "))
        };
        fired.card.label = match &event.action {
            Action::Mark { text } => text.clone(),
            Action::SetHash { hash } => format!("hash {hash}"),
            Action::Rate { to } => format!("rate {to}"),
            Action::AddNode { .. }
            | Action::RemoveNode { .. }
            | Action::KillNode { .. }
            | Action::RestartNode { .. }
            | Action::Flush
            | Action::FlushNode { .. } => format!("{}{nodes}", card.action.replace('_', " ")),
        };
        self.log(format!("event {}", fired.card.label));
        if let Err(error) = &carried_out {
            fired.card.error = Some(error.to_string());
            self.log(format!("event {} failed: {error}", fired.card.label));
            self.broken = true;
        }
        self.fired.push(fired);
    }

    async fn carry_out(&mut self, action: &Action, fired: &mut Fired) -> Result<(), RunError> {
        let hash = self.cluster.hash();
        let members = self.cluster.members();
        match action {
            Action::AddNode { count } => {
                let mut grown = members.clone();
                for _ in 0..*count {
                    let number = self.cluster.start_node().await?;
                    self.shell.with(|core, _| core.map_mut().generations.push(0));
                    if self.cluster.router_address().is_none() {
                        self.connect_node(number).await?;
                    }
                    fired.card.nodes.push(self.cluster.nodes()[number].name.clone());
                    grown.push(number);
                }
                self.watch.borrow_mut().follow(&self.cluster);
                let planned = self.plan(&grown, hash, Vec::new(), fired).await?;
                self.cluster.set_pool(&grown, hash).await?;
                self.apply(planned, fired);
            }
            Action::RemoveNode { node } => {
                let number = self.resolve(node, fired)?;
                let rest: Vec<usize> = members.into_iter().filter(|member| *member != number).collect();
                let planned = self.plan(&rest, hash, Vec::new(), fired).await?;
                self.cluster.set_pool(&rest, hash).await?;
                self.apply(planned, fired);
                self.lose(number);
                self.cluster.stop_node(number).await;
                self.hang_up(number);
            }
            Action::KillNode { node } => {
                let number = self.resolve(node, fired)?;
                let rest = self.without(number);
                let planned = self.plan(&rest, hash, vec![number], fired).await?;
                self.cluster.kill_node(number).await;
                self.cluster.set_pool(&rest, hash).await?;
                self.apply(planned, fired);
            }
            Action::RestartNode { node, down } => {
                let number = self.resolve(node, fired)?;
                let rest = self.without(number);
                let planned = self.plan(&rest, hash, vec![number], fired).await?;
                self.cluster.kill_node(number).await;
                if rest != members {
                    self.cluster.set_pool(&rest, hash).await?;
                }
                let before = Arc::clone(&planned.owners_before);
                self.apply(planned, fired);
                tokio::time::sleep(*down).await;
                self.cluster.start_again(number).await?;
                if rest != members {
                    self.cluster.set_pool(&members, hash).await?;
                    self.shell.with(|core, _| core.map_mut().owners = before);
                }
                self.watch.borrow_mut().follow(&self.cluster);
            }
            Action::Flush => {
                let planned = self.plan(&members, hash, members.clone(), fired).await?;
                self.cluster.flush(&members).await?;
                self.apply(planned, fired);
            }
            Action::FlushNode { node } => {
                let number = self.resolve(node, fired)?;
                let planned = self.plan(&members, hash, vec![number], fired).await?;
                self.cluster.flush(&[number]).await?;
                self.apply(planned, fired);
            }
            Action::SetHash { hash } => {
                let planned = self.plan(&members, *hash, Vec::new(), fired).await?;
                self.cluster.set_pool(&members, *hash).await?;
                self.apply(planned, fired);
            }
            Action::Rate { to } => self.shell.with(|core, _| core.set_rate(*to)),
            Action::Mark { .. } => {}
        }
        Ok(())
    }

    fn resolve(&mut self, node: &NodeRef, fired: &mut Fired) -> Result<usize, RunError> {
        let members = self.cluster.members();
        let number = match node {
            NodeRef::Name(name) => self.cluster.number_of(name)?,
            NodeRef::Last => *members.last().unwrap_or(&0),
            NodeRef::Random => members[self.random.random_range(0..members.len())],
            NodeRef::Hottest => {
                let watch = self.watch.borrow();
                let gets = |number: &usize| watch.gets_of(&self.cluster.nodes()[*number].name);
                members.into_iter().max_by_key(gets).unwrap_or(0)
            }
        };
        fired.card.nodes.push(self.cluster.nodes()[number].name.clone());
        Ok(number)
    }

    /// The pool's members once this node is down without warning.
    fn without(&self, number: usize) -> Vec<usize> {
        let members = self.cluster.members();
        match self.scenario.cluster.on_node_down {
            OnNodeDown::Miss => members,
            OnNodeDown::Eject => members.into_iter().filter(|member| *member != number).collect(),
        }
    }

    /// Works out what a change will do, and looks into the nodes before it.
    async fn plan(
        &mut self,
        members: &[usize],
        hash: HashKind,
        lost: Vec<usize>,
        fired: &mut Fired,
    ) -> Result<Planned, RunError> {
        let old = self
            .cluster
            .topology(&self.cluster.members(), self.cluster.hash());
        let new = self.cluster.topology(members, hash);
        let moves = old != new;
        let (question, sample) = {
            let core = self.shell.core();
            let gets = core.gets_per_key();
            // While a closed loop stands still, looking costs nobody anything.
            let patience = if core.is_open_loop() {
                1
            } else {
                STANDING_SAMPLE_FACTOR
            };
            let sample = change::sample(&core, &gets, self.scenario.check.sample_keys as usize * patience);
            let question = Question {
                old,
                new,
                new_members: members.to_vec(),
                lost: lost
                    .iter()
                    .map(|number| u16::try_from(*number).expect("few nodes"))
                    .collect(),
                owners: Arc::clone(&core.map().owners),
                gets,
                upcoming: core.source().upcoming(),
                warm: core.recorder.warm(),
            };
            (question, sample)
        };
        fired.card.warm = question.warm;
        self.warm = question.warm;
        if moves && !sample.is_empty() {
            fired.before = change::look(&self.cluster, self.prepared, sample).await;
        }
        let prepared = self.prepared.clone();
        let planned = tokio::task::spawn_blocking(move || change::plan(&prepared, question));
        planned.await.map_err(|_panicked| RunError::Helper)?
    }

    /// The change is made: from the next request on it counts.
    fn apply(&mut self, planned: Planned, fired: &mut Fired) {
        let (at, gets) = self.shell.with(|core, now| {
            core.apply(&planned.change, now);
            (now, core.recorder.totals().gets)
        });
        // What is measured counts from here; with the load going on, the decision lies a little earlier.
        fired.card.at_seconds = at as f64 / 1e9;
        fired.card.at_request = gets;
        fired.card.remap_all = planned.remap;
        fired.card.remap_predicted = planned.remap;
        if let Some(mixture) = &planned.change.mixture {
            let window = self.shell.core().recorder.window_gets();
            fired.card.predicted = mixture.told(window, planned.formula);
        } else {
            fired.card.predicted.key_fraction_formula = planned.formula;
        }
        fired.epoch = Some(self.epochs);
        self.epochs += 1;
        fired.planned = Some(planned);
    }

    fn lose(&self, number: usize) {
        let node = u16::try_from(number).expect("few nodes");
        self.shell.with(|core, _| core.lose(node));
    }

    /// Without a router: no more lines to a node that left.
    fn hang_up(&self, number: usize) {
        if self.cluster.router_address().is_none() {
            let lines = self.shell.core().map().lines[number].clone();
            self.shell.remove_target(lines);
        }
    }

    /// Looks into the nodes again before the next event, or at the end: which keys are now held elsewhere?
    pub(super) async fn close_last_event(&mut self) {
        let Some(fired) = self.fired.last_mut() else {
            return;
        };
        let (Some(before), Some(planned)) = (fired.before.take(), &fired.planned) else {
            return;
        };
        let Some(after) = change::look(&self.cluster, self.prepared, before.keys.clone()).await else {
            return;
        };
        let (predicted, measured) = change::compare(planned, &before, &after, &self.shell.core());
        fired.card.remap_predicted = Some(predicted);
        fired.card.remap_measured = Some(measured);
    }
}
