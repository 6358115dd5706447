//! Works out what a change will do before it is done, lets it count, and looks afterwards at what it did.

use std::collections::HashMap;
use std::sync::Arc;

use cluster::HashKind;

use super::{Fired, Run};
use crate::conduct::RunError;
use crate::conduct::change::{self, Planned, Question};
use crate::conduct::detour::{Detour, To};
use crate::conduct::watch;
use crate::measure::theory::{ColdCurve, Mixture};
use crate::scenario::Shift;

/// How many times the scenario's sample of keys is looked for in the nodes while the load stands still.
const STANDING_SAMPLE_FACTOR: usize = 10;

impl Run<'_> {
    /// Works out what a change will do, and looks into the nodes before it.
    pub(super) async fn plan(
        &mut self,
        members: &[usize],
        hash: HashKind,
        lost: Vec<usize>,
        fired: &mut Fired,
    ) -> Result<Planned, RunError> {
        let detour = self.detour(None);
        self.work_out(members, hash, lost, detour, fired).await
    }

    /// The same where this node can no longer be asked afterwards.
    pub(super) async fn plan_without(
        &mut self,
        number: usize,
        members: &[usize],
        hash: HashKind,
        lost: Vec<usize>,
        fired: &mut Fired,
    ) -> Result<Planned, RunError> {
        let detour = self.detour(Some(number));
        self.work_out(members, hash, lost, detour, fired).await
    }

    /// Where the keys of nodes that are away go, `leaving` among them; `None` if there is nothing of the sort.
    fn detour(&self, leaving: Option<usize>) -> Option<Detour> {
        if !self.scenario.cluster.fails_over() {
            return None;
        }
        let away: Vec<usize> = {
            let core = self.shell.core();
            let unreachable = core.map().unreachable.iter().enumerate();
            let away = unreachable.filter(|(_, away)| **away).map(|(number, _)| number);
            away.chain(leaving).collect()
        };
        let spares = self.cluster.gutter().to_vec();
        (!away.is_empty()).then(|| Detour {
            away,
            to: if spares.is_empty() {
                To::Others
            } else {
                To::Spares {
                    topology: self.cluster.topology(&spares, self.cluster.hash()),
                    members: spares,
                }
            },
        })
    }

    /// Who is back gets its keys back from those who stood in for it.
    pub(super) async fn come_home(&mut self) -> Result<(), RunError> {
        if !self.scenario.cluster.fails_over() {
            return Ok(());
        }
        self.own_anew().await
    }

    async fn work_out(
        &mut self,
        members: &[usize],
        hash: HashKind,
        lost: Vec<usize>,
        detour: Option<Detour>,
        fired: &mut Fired,
    ) -> Result<Planned, RunError> {
        let old = self
            .cluster
            .topology(&self.cluster.members(), self.cluster.hash());
        let replicated = self.scenario.cluster.replicated;
        let new = if replicated {
            old.clone()
        } else {
            self.cluster.topology(members, hash)
        };
        // A key of a replicated pool is lost when every node has lost it.
        let lost = match replicated {
            true if self.cluster.members().iter().all(|member| lost.contains(member)) => vec![0],
            true => Vec::new(),
            false => lost,
        };
        let moves = old != new || detour.is_some();
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
                detour,
                lost: lost
                    .iter()
                    .map(|number| u16::try_from(*number).expect("few nodes"))
                    .collect(),
                owners: Arc::clone(&core.map().owners),
                gets,
                sample: sample.clone(),
                upcoming: core.source().upcoming(),
                warm: core.recorder.warm(),
                lone_get: self.scenario.workload.lone_get,
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
    pub(super) fn apply(&mut self, planned: Planned, fired: &mut Fired) {
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

    /// Other keys become popular, drawn at random: of what is asked for now, the share that is in memory hits, and the
    /// rest as on an empty cluster. (Where popularity only moves on, it depends on how far: nothing is predicted.)
    pub(super) async fn shifted(&self, shift: Shift) -> Option<Mixture> {
        let warm = self.shell.core().recorder.warm()?;
        let popularity = self.prepared.popularity.as_ref()?;
        if shift != Shift::Reshuffle {
            return None;
        }
        // The last look may be a second old, and much is stored in a second.
        watch::look(&self.watch, self.epoch, &mut HashMap::new()).await;
        let members = self.cluster.members();
        let watch = self.watch.borrow();
        let items = watch.latest().into_iter().filter_map(|row| {
            let number = self.cluster.number_of(&row.node).ok()?;
            members.contains(&number).then_some(row.items)
        });
        let held = if self.scenario.cluster.replicated {
            items.max().unwrap_or(0)
        } else {
            items.sum()
        };
        let resident = (held as f64 / f64::from(self.prepared.lone_from.max(1))).min(1.0);
        let cold = ColdCurve::independent(|rank| popularity.weight(rank), popularity.keys());
        Some(Mixture::of_shift(
            warm,
            resident,
            cold.but_for(self.scenario.workload.lone_get),
        ))
    }

    /// An event that moves no key and empties no node, but whose hit rate is to be told apart.
    pub(super) fn begin_epoch(&mut self, fired: &mut Fired) {
        self.begin_epoch_beside(None, fired);
    }

    pub(super) fn begin_epoch_beside(&mut self, mixture: Option<Mixture>, fired: &mut Fired) {
        let warm = self.shell.core().recorder.warm();
        if let Some(mixture) = &mixture {
            let window = self.shell.core().recorder.window_gets();
            fired.card.predicted = mixture.told(window, None);
        }
        let (at, gets) = self.shell.with(|core, now| {
            core.begin_epoch(now, mixture);
            (now, core.recorder.totals().gets)
        });
        fired.card.warm = warm;
        self.warm = warm;
        fired.card.at_seconds = at as f64 / 1e9;
        fired.card.at_request = gets;
        fired.epoch = Some(self.epochs);
        self.epochs += 1;
    }

    /// Owners of all keys as the pool is now, without an event of its own.
    pub(super) async fn own_anew(&mut self) -> Result<(), RunError> {
        if self.scenario.cluster.replicated {
            return Ok(());
        }
        let members = self.cluster.members();
        let topology = self.cluster.topology(&members, self.cluster.hash());
        let (prepared, detour) = (self.prepared.clone(), self.detour(None));
        let owners = tokio::task::spawn_blocking(move || {
            change::owners(&prepared, &topology, &members, detour.as_ref())
        })
        .await;
        let owners = owners.map_err(|_panicked| RunError::Helper)??;
        self.shell.with(|core, _| core.map_mut().owners = owners);
        Ok(())
    }

    /// Misses of a node that cannot be reached are its own, whatever it holds.
    pub(super) fn reachable(&self, number: usize, reachable: bool) {
        if self.scenario.cluster.replicated {
            return;
        }
        self.shell
            .with(|core, _| core.map_mut().unreachable[number] = !reachable);
    }

    pub(super) fn lose(&self, number: usize) {
        if self.scenario.cluster.replicated {
            return;
        }
        let node = u16::try_from(number).expect("few nodes");
        self.shell.with(|core, _| core.lose(node));
    }

    /// Without a router: no more lines to a node that left.
    pub(super) fn hang_up(&self, number: usize) {
        if !self.cluster.is_routed() {
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
