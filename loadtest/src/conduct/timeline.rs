//! One run: phases one after the other, events when their moment comes.
//!
//! In the open loop the load goes on while an event is carried out. In a closed loop it stands still: everything
//! asked before the event has its answer, nothing is asked during it, so that "the event just before request
//! 500,000" means exactly that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::HashKind;
use rand::RngExt;
use tokio::task::JoinSet;

use super::build::{Prepared, pace, window_gets};
use super::change::{self, Planned, Question, Residency};
use super::watch::{self, SharedWatch, Watch};
use super::{RunError, Stage};
use crate::clock;
use crate::cluster::{Cluster, procfs};
use crate::drive::backing_store::BackingStore;
use crate::drive::lookaside::{Lookaside, Map, Setup};
use crate::drive::shell::{Shell, nanos};
use crate::live::{Progress, Update};
use crate::measure::outcome::{ClusterFacts, Environment, EventCard, Generator, Outcome, SCHEMA_VERSION};
use crate::measure::recorder::Recorder;
use crate::measure::recovery::{dip, slope};
use crate::scenario::{
    Action, ClusterMode, Event, NodeRef, Offset, OnNodeDown, PhaseKind, PhaseLength, Scenario,
};
use crate::workload::arrival::Nanos;
use crate::workload::seed::stream;

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How often progress is told and phases that wait for a steady state are looked at.
const TICK: Duration = Duration::from_millis(200);
/// Beyond its timeout a request has this long to end when the run stops.
const DRAIN_GRACE: Duration = Duration::from_secs(2);
/// How many times the scenario's sample of keys is looked for in the nodes while the load stands still.
const STANDING_SAMPLE_FACTOR: usize = 10;
/// A generator is invalid beyond these (reference: metric `dropped, lag_p99`).
const DROPPED_MAX: f64 = 0.001;
const LAG_P99_MAX_US: u64 = 10_000;
const CPU_SHARE_MAX: f64 = 0.9;
/// Later than this it is invalid whatever its CPU share: it was starved.
const LAG_P99_ALWAYS_US: u64 = 250_000;
/// Metastable: this long after the last event …
const METASTABLE_AFTER_SECONDS: f64 = 30.0;
const METASTABLE_ROWS_MIN: usize = 5;

/// What happened at one event, until the card can be written.
struct Fired {
    card: EventCard,
    /// Its number among those that began an epoch of the recorder.
    epoch: Option<usize>,
    planned: Option<Planned>,
    before: Option<Residency>,
}

struct Run<'a> {
    scenario: &'a Scenario,
    prepared: &'a Prepared,
    stage: &'a Stage,
    shell: Shell<Lookaside>,
    cluster: Cluster,
    watch: SharedWatch,
    epoch: Instant,
    fired: Vec<Fired>,
    epochs: usize,
    phase: usize,
    phase_started: (Nanos, u64),
    last_told: (Nanos, u64),
    hit_rate: Option<f64>,
    random: crate::workload::seed::Random,
    interrupted: bool,
    /// An event could not be carried out: the rest of the timeline would mean nothing.
    broken: bool,
    warm: Option<f64>,
}

/// Carries one scenario without a matrix out.
pub(super) async fn run(
    scenario: &Scenario,
    prepared: &Prepared,
    stage: &Stage,
) -> Result<Outcome, RunError> {
    let (started, started_unix) = (clock::now(), clock::unix_now().as_secs());
    let cluster = Cluster::start(&scenario.cluster, &stage.logs).await?;
    let facts = cluster_facts(scenario, &cluster);
    let mut run = Run::begin(scenario, prepared, stage, cluster).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(watch::watch(Rc::clone(&run.watch), run.epoch));
    let (driving, own_cpu) = (clock::now(), procfs::cpu_nanos(std::process::id()));
    run.drive().await;
    let drove_seconds = driving.elapsed().as_secs_f64();
    let own_cpu = procfs::cpu_nanos(std::process::id())
        .zip(own_cpu)
        .map(|(after, before)| after - before);
    run.settle().await;
    tasks.shutdown().await;
    watch::look(&run.watch, run.epoch, &mut HashMap::new()).await;
    let mut outcome = run.tell(own_cpu.unwrap_or(0) as f64 / 1e9, drove_seconds);
    run.cluster.shutdown().await;
    outcome.cluster = facts;
    outcome.started_unix_seconds = started_unix;
    outcome.elapsed_seconds = started.elapsed().as_secs_f64();
    Ok(outcome)
}

impl<'a> Run<'a> {
    async fn begin(
        scenario: &'a Scenario,
        prepared: &'a Prepared,
        stage: &'a Stage,
        cluster: Cluster,
    ) -> Result<Self, RunError> {
        let epoch = clock::now();
        let members = cluster.members();
        let owners = change::owners(prepared, &cluster.topology(&members, cluster.hash()), &members)?;
        let map = Map {
            owners,
            generations: vec![0; cluster.nodes().len()],
            lines: Vec::new(),
            router: cluster.router_address().is_some(),
        };
        let core = Lookaside::new(Setup {
            source: prepared.source(scenario),
            keys: Arc::clone(&prepared.keys),
            map,
            pace: pace(scenario, 0),
            fill: scenario.workload.fill,
            ttl: scenario.workload.ttl,
            multiget: scenario.workload.multiget as usize,
            lens_fixed: prepared.lens_fixed,
            backing: BackingStore::new(&scenario.backend, stream(scenario.seed, "backing store", 0)),
            recorder: Recorder::new(window_gets(scenario)),
            random: stream(scenario.seed, "ttl", 0),
        });
        let shell = Shell::new(core, epoch, scenario.load.timeout)?;
        let run = Self {
            scenario,
            prepared,
            stage,
            shell,
            cluster,
            watch: Rc::new(RefCell::new(Watch::default())),
            epoch,
            fired: Vec::new(),
            epochs: 0,
            phase: 0,
            phase_started: (0, 0),
            last_told: (0, 0),
            hit_rate: None,
            random: stream(scenario.seed, "events", 0),
            interrupted: false,
            broken: false,
            warm: None,
        };
        run.watch.borrow_mut().follow(&run.cluster);
        match run.cluster.router_address() {
            Some(address) => {
                let lines = run.shell.add_target(address, scenario.load.connections);
                run.shell.connected(lines.clone(), CONNECT_PATIENCE).await?;
                run.shell.with(|core, _| core.map_mut().lines.push(lines));
            }
            None => {
                for number in 0..run.cluster.nodes().len() {
                    run.connect_node(number).await?;
                }
            }
        }
        Ok(run)
    }

    /// Opens lines to a node for a client that hashes for itself.
    async fn connect_node(&self, number: usize) -> Result<(), RunError> {
        let share = self
            .scenario
            .load
            .connections
            .div_ceil(self.cluster.members().len().max(1))
            .max(1);
        let lines = self.shell.add_target(self.cluster.nodes()[number].address, share);
        self.shell.connected(lines.clone(), CONNECT_PATIENCE).await?;
        self.shell.with(|core, _| core.map_mut().lines.push(lines));
        Ok(())
    }

    // ---- the timeline ----

    async fn drive(&mut self) {
        let start = self.shell.now();
        self.shell.with(|core, now| {
            core.start(pace(self.scenario, now), now);
        });
        let mut pending: Vec<&Event> = self.scenario.events.iter().collect();
        for phase in 0..self.scenario.phases.len() {
            if self.interrupted || self.broken {
                break;
            }
            self.begin_phase(phase);
            self.run_phase(&mut pending, start).await;
        }
        self.shell.with(|core, _| core.run(false));
    }

    fn begin_phase(&mut self, number: usize) {
        let phase = &self.scenario.phases[number];
        self.phase = number;
        let kind = match phase.kind {
            PhaseKind::Warmup => "warmup",
            PhaseKind::Baseline => "baseline",
            PhaseKind::Measure => "measure",
            PhaseKind::Cooldown => "cooldown",
        };
        self.phase_started = self.shell.with(|core, now| {
            // In a closed loop nothing is sent until the events of the phase's first moment have been carried out.
            core.set_mark(core.issued());
            core.recorder.begin_phase(now, &phase.name, kind);
            (now, core.issued())
        });
        self.log(format!("phase {} ({kind})", phase.name));
    }

    /// Until the phase is over, or the user interrupts.
    async fn run_phase(&mut self, pending: &mut Vec<&'a Event>, run_start: Nanos) {
        let length = self.scenario.phases[self.phase].length;
        loop {
            let (now, issued) = (self.shell.now(), self.shell.core().issued());
            let standing = self.shell.core().is_open_loop() || self.shell.core().in_flight() == 0;
            let mut next_time = Nanos::MAX;
            let mut next_request = u64::MAX;
            let mut due = None;
            for (place, event) in pending.iter().enumerate() {
                let (time, request) = match event.at.phase {
                    None => (run_start, 0),
                    Some(phase) if phase == self.phase => self.phase_started,
                    // An earlier phase's event whose moment never came within it still comes.
                    Some(phase) if phase < self.phase => (0, 0),
                    Some(_) => continue,
                };
                let (time, request) = match event.at.offset {
                    Offset::Time(after) => (time.saturating_add(nanos(after)), u64::MAX),
                    Offset::Requests(after) => (Nanos::MAX, request.saturating_add(after)),
                };
                if (now >= time || issued >= request) && due.is_none() {
                    due = Some(place);
                }
                next_time = next_time.min(time);
                next_request = next_request.min(request);
            }
            let (end_time, end_request) = match length {
                PhaseLength::Time(length) => (self.phase_started.0.saturating_add(nanos(length)), u64::MAX),
                PhaseLength::Requests(count) => (Nanos::MAX, self.phase_started.1.saturating_add(count)),
                PhaseLength::UntilSteady { max, .. } => {
                    (self.phase_started.0.saturating_add(nanos(max)), u64::MAX)
                }
                PhaseLength::TraceEnd => (Nanos::MAX, u64::MAX),
            };
            let steady = match length {
                PhaseLength::UntilSteady { slope, over, .. } => self.is_steady(slope, over),
                PhaseLength::Time(_) | PhaseLength::Requests(_) | PhaseLength::TraceEnd => false,
            };
            let exhausted = self.shell.core().source_is_empty() && self.shell.core().in_flight() == 0;
            let over = now >= end_time || issued >= end_request || steady || exhausted;
            if *self.stage.interrupt.borrow() {
                self.interrupted = true;
                return;
            }
            if due.is_some() || over {
                if !standing {
                    // Let what is under way end; nothing new is sent meanwhile.
                    self.shell.with(|core, _| core.set_mark(core.issued()));
                    self.wait(Nanos::MAX).await;
                    continue;
                }
                match due {
                    Some(place) => {
                        let event = pending.remove(place);
                        self.fire(event).await;
                        if self.broken {
                            return;
                        }
                    }
                    None => return,
                }
                continue;
            }
            self.shell
                .with(|core, _| core.set_mark(next_request.min(end_request)));
            self.wait(next_time.min(end_time)).await;
        }
    }

    /// Until something is due: a mark, a time, an interruption, or a tick in which progress is told.
    async fn wait(&mut self, until: Nanos) {
        let now = self.shell.now();
        let patience = Duration::from_nanos(until.saturating_sub(now)).min(TICK);
        let mut interrupt = self.stage.interrupt.clone();
        tokio::select! {
            () = self.shell.attention() => {}
            () = tokio::time::sleep(patience) => {}
            _ = interrupt.wait_for(|interrupted| *interrupted) => {}
        }
        self.tell_progress();
    }

    /// Over the last `over` of the phase the hit rate moved by less than `limit`.
    fn is_steady(&self, limit: f64, over: Duration) -> bool {
        let core = self.shell.core();
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a phase")]
        let wanted = (over.as_secs() as usize).max(3);
        let started = self.phase_started.0 as f64 / 1e9;
        let rows = core.recorder.series();
        let Some(recent) = rows.len().checked_sub(wanted).map(|from| &rows[from..]) else {
            return false;
        };
        if recent[0].t < started {
            return false;
        }
        let rates: Vec<f64> = recent.iter().filter_map(|row| row.hit_rate).collect();
        rates.len() == wanted && slope(&rates).is_some_and(|slope| (slope * wanted as f64).abs() < limit)
    }

    // ---- events ----

    async fn fire(&mut self, event: &Event) {
        let (at, gets) = (self.shell.now(), self.shell.core().recorder.totals().gets);
        let mut fired = Fired {
            card: EventCard {
                action: action_name(&event.action).to_owned(),
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
    async fn close_last_event(&mut self) {
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

    // ---- the end ----

    /// Lets what is under way end, and looks into the nodes a last time.
    async fn settle(&mut self) {
        self.shell.with(|core, _| {
            core.run(false);
            core.set_mark(u64::MAX);
        });
        let patience = self.scenario.load.timeout + self.scenario.backend.timeout + DRAIN_GRACE;
        let deadline = clock::now() + patience;
        while self.shell.core().in_flight() > 0 && clock::now() < deadline {
            tokio::select! {
                () = self.shell.attention() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        let now = self.shell.now();
        self.shell.with(|core, _| {
            let queue = core.backend_queue(now);
            core.recorder.finish(now, queue);
        });
        self.close_last_event().await;
    }

    fn tell(&mut self, own_cpu_seconds: f64, drove_seconds: f64) -> Outcome {
        let cards: Vec<EventCard> = self.fired.iter().map(|fired| self.card(fired)).collect();
        let core = self.shell.core();
        let (totals, phases, series, request_series, latency) = core.recorder.told();
        let members: Vec<String> = self
            .cluster
            .members()
            .iter()
            .map(|number| self.cluster.nodes()[*number].name.clone())
            .collect();
        let watch = self.watch.borrow();
        let (nodes, node_totals, skew, versions) = watch.told(&members);
        let (nodes_cpu_seconds, router_cpu_seconds) = watch.cpu_seconds();
        let mut generator = Generator {
            valid: true,
            why: None,
            lag_p99_us: latency.first().map_or(0, |all| all.lag.p99_us),
            dropped_fraction: totals.dropped as f64 / totals.offered.max(1) as f64,
            cpu_seconds: own_cpu_seconds,
            cpu_share: own_cpu_seconds / drove_seconds.max(1e-9),
            nodes_cpu_seconds,
            router_cpu_seconds,
            metastable: false,
        };
        judge(&mut generator, core.is_open_loop());
        let mut outcome = Outcome {
            schema: SCHEMA_VERSION,
            scenario: self.scenario.name.clone(),
            description: self.scenario.description.clone(),
            seed: self.scenario.seed,
            interrupted: self.interrupted,
            workload: self.prepared.facts(self.scenario),
            totals,
            phases,
            events: cards,
            series,
            request_series,
            nodes,
            node_totals,
            skew,
            latency,
            generator,
            environment: environment(versions),
            ..Outcome::default()
        };
        outcome.generator.metastable = is_metastable(&outcome);
        outcome.mismatch_examples.clone_from(&core.mismatches);
        outcome.skew.predicted_share_sd = Some(share_sd(
            self.cluster.hash(),
            members.len(),
            core.map().owners.len(),
        ));
        outcome
    }

    /// Everything about one event.
    fn card(&self, fired: &Fired) -> EventCard {
        let mut card = fired.card.clone();
        let Some(epoch) = fired.epoch else { return card };
        let core = self.shell.core();
        let recorder = &core.recorder;
        let dip = dip(&recorder.points(epoch), card.warm);
        card.low = dip.low;
        card.low_at_seconds = dip.low_at_seconds;
        card.recovery_95 = dip.recovery;
        card.amplification = dip.amplification;
        card.miss_debt = dip.debt;
        card.miss_debt_seconds = dip
            .debt
            .zip(recorder.warm_backend_rate())
            .filter(|(_, rate)| *rate > 0.0)
            .map(|(debt, rate)| debt / rate);
        card.first_1k = recorder.first(epoch, 1_000);
        card.first_5k = recorder.first(epoch, 5_000);
        card.first_10k = recorder.first(epoch, 10_000);
        card.first_20k = recorder.first(epoch, 20_000);
        (card.affected, card.unaffected) = recorder.sides(epoch);
        card.misses = recorder.reasons(epoch, dip.windows);
        card
    }

    fn log(&self, text: String) {
        let elapsed = clock::now().saturating_duration_since(self.epoch);
        self.stage.observer.update(Update::Log { elapsed, text });
    }

    fn tell_progress(&mut self) {
        let now = self.shell.now();
        let since = now.saturating_sub(self.last_told.0);
        if since < nanos(TICK) {
            return;
        }
        let recent = self.shell.with(|core, _| core.recorder.take_recent());
        let core = self.shell.core();
        let totals = core.recorder.totals();
        let last = core.recorder.series().last();
        let done = totals.done + totals.errors;
        self.hit_rate = recent.rate().or(self.hit_rate);
        let phase_done = self.phase_done(now, core.issued());
        let nodes = self.cluster.members();
        let progress = Progress {
            elapsed: clock::now().saturating_duration_since(self.epoch),
            phase: self.phase,
            phase_done,
            run_done: (self.phase as f64 + phase_done) / self.scenario.phases.len().max(1) as f64,
            requests: totals.offered,
            rate: done.saturating_sub(self.last_told.1) as f64 * 1e9 / since as f64,
            hit_rate: self.hit_rate,
            hit_rate_predicted: last.and_then(|row| row.predicted),
            hit_rate_warm: self.warm,
            backend_rate: last.map_or(0.0, |row| row.backend_rate),
            backend_queue: core.backend_queue(now),
            p99: last.map(|row| Duration::from_micros(row.p99_us)),
            errors: totals.errors,
            dropped: totals.dropped,
            mismatches: totals.mismatches,
            nodes_up: nodes
                .iter()
                .filter(|number| self.cluster.nodes()[**number].is_up())
                .count(),
            nodes: nodes.len(),
        };
        drop(core);
        self.last_told = (now, done);
        self.stage.observer.update(Update::Progress(progress));
    }

    /// Share of the phase that is done, as far as it is known.
    fn phase_done(&self, now: Nanos, issued: u64) -> f64 {
        let (since, requests) = (now - self.phase_started.0, issued - self.phase_started.1);
        let share = match self.scenario.phases[self.phase].length {
            PhaseLength::Time(length) | PhaseLength::UntilSteady { max: length, .. } => {
                since as f64 / nanos(length).max(1) as f64
            }
            PhaseLength::Requests(count) => requests as f64 / count.max(1) as f64,
            PhaseLength::TraceEnd => {
                let left = self.prepared.rows.as_ref().map_or(0, |rows| rows.len() as u64);
                requests as f64 / left.saturating_sub(self.phase_started.1).max(1) as f64
            }
        };
        share.clamp(0.0, 1.0)
    }
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::AddNode { .. } => "add_node",
        Action::RemoveNode { .. } => "remove_node",
        Action::KillNode { .. } => "kill_node",
        Action::RestartNode { .. } => "restart_node",
        Action::Flush => "flush",
        Action::FlushNode { .. } => "flush_node",
        Action::SetHash { .. } => "set_hash",
        Action::Rate { .. } => "rate",
        Action::Mark { .. } => "mark",
    }
}

/// A schedule that was not kept makes a run invalid, not slow.
fn judge(generator: &mut Generator, open_loop: bool) {
    if !open_loop {
        return;
    }
    let (lag_ms, share) = (generator.lag_p99_us / 1000, generator.cpu_share * 100.0);
    let why = if generator.dropped_fraction > DROPPED_MAX {
        format!(
            "{:.2} % of the arrivals were dropped",
            generator.dropped_fraction * 100.0
        )
    } else if generator.lag_p99_us > LAG_P99_MAX_US && generator.cpu_share > CPU_SHARE_MAX {
        format!("requests left {lag_ms} ms late (p99) with the generator at {share:.0} % of a core")
    } else if generator.lag_p99_us > LAG_P99_ALWAYS_US {
        format!("requests left {lag_ms} ms late (p99)")
    } else {
        return;
    };
    generator.valid = false;
    generator.why = Some(why);
}

/// Standard deviation of a node's share of the keys over its mean.
fn share_sd(hash: HashKind, nodes: usize, keys: usize) -> f64 {
    let nodes = u32::try_from(nodes.max(1)).unwrap_or(u32::MAX);
    match hash {
        HashKind::Ring { points } | HashKind::Ketama { points } => {
            cluster::predict::ring_share_cv(nodes, points)
        }
        _ => cluster::predict::sampled_share_cv(nodes, u32::try_from(keys.max(1)).unwrap_or(u32::MAX)),
    }
}

/// The overload outlived its cause: long after the last event the backing store is still busy and users still fail.
fn is_metastable(outcome: &Outcome) -> bool {
    let (Some(capacity), Some(last), Some(baseline)) = (
        outcome.workload.backend_capacity,
        outcome.events.last(),
        outcome.phases.iter().find(|phase| phase.kind == "baseline"),
    ) else {
        return false;
    };
    let good = |rows: &mut dyn Iterator<Item = &crate::measure::outcome::Row>| {
        let (mut n, mut good, mut busy) = (0_usize, 0.0, 0.0);
        for row in rows {
            n += 1;
            good += row.rate_done - row.errors as f64 / row.seconds.max(1e-9);
            busy += row.backend_rate;
        }
        (n, good / n.max(1) as f64, busy / n.max(1) as f64)
    };
    let (n, after, busy) = good(
        &mut outcome
            .series
            .iter()
            .filter(|row| row.t >= last.at_seconds + METASTABLE_AFTER_SECONDS),
    );
    let (_, before, _) = good(
        &mut outcome
            .series
            .iter()
            .filter(|row| row.t >= baseline.start_seconds && row.t + row.seconds <= baseline.end_seconds),
    );
    n >= METASTABLE_ROWS_MIN && after < 0.9 * before && busy >= 0.95 * capacity
}

fn cluster_facts(scenario: &Scenario, cluster: &Cluster) -> ClusterFacts {
    let spec = &scenario.cluster;
    ClusterFacts {
        mode: match spec.mode {
            ClusterMode::Managed => "managed",
            ClusterMode::Embedded => "embedded",
            ClusterMode::Attach { .. } => "attach",
        }
        .to_owned(),
        nodes: cluster.nodes().iter().map(|node| node.name.clone()).collect(),
        hash: spec.hash.to_string(),
        router: cluster.router_address().is_some(),
        node_memory_bytes: spec.node.memory_bytes,
        program: spec
            .node
            .program
            .as_ref()
            .map_or_else(|| "cache-node".to_owned(), |path| path.display().to_string()),
    }
}

fn environment(versions: std::collections::BTreeMap<String, String>) -> Environment {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(String::new, |rest| {
            rest.trim_start_matches([' ', '\t', ':']).to_owned()
        });
    Environment {
        loadtest_version: env!("CARGO_PKG_VERSION").to_owned(),
        os: format!(
            "{} {}",
            std::env::consts::OS,
            read("/proc/sys/kernel/osrelease").trim()
        ),
        cpu_model,
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        versions,
        labels: std::collections::BTreeMap::new(),
    }
}
