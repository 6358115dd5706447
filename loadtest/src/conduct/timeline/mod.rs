//! One run: phases one after the other, events when their moment comes.
//!
//! In the open loop the load goes on while an event is carried out. In a closed loop it stands still: everything
//! asked before the event has its answer, nothing is asked during it, so that "the event just before request
//! 500,000" means exactly that.

mod faults;
mod fire;
mod full;
mod guard;
mod hold;
mod later;
mod nodes;
mod orders;
mod outside;
mod phases;
mod plan;
mod progress;
mod search;
mod seconds;
mod snapshot;
mod tell;
mod warm_up;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::guard::Guard;
use self::hold::Hold;
use self::later::Later;
use self::search::Searching;
use self::snapshot::Driving;
use self::warm_up::Warming;
use super::build::{Prepared, pace, window_gets};
use super::change::{self, Planned, Residency};
use super::facts;
use super::watch::{self, SharedWatch, Watch};
use super::{RunError, Stage, Written};
use crate::clock;
use crate::cluster::{Cluster, Needs};
use crate::drive::backing_store::BackingStore;
use crate::drive::lookaside::{Lookaside, Map, Setup};
use crate::drive::shell::{Shell, nanos};
use crate::live::Update;
use crate::measure::outcome::{EventCard, Outcome};
use crate::measure::recorder::Recorder;
use crate::scenario::{Action, Scenario};
use crate::workload::arrival::Nanos;
use crate::workload::seed::{Random, stream};

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How often progress is told and phases that wait for a steady state are looked at.
const TICK: Duration = Duration::from_millis(200);
/// What happened at one event, until the card can be written.
struct Fired {
    card: EventCard,
    /// Its number among those that began an epoch of the recorder.
    epoch: Option<usize>,
    planned: Option<Planned>,
    before: Option<Residency>,
    /// Seconds until all it does has been felt: TTLs that begin now end later.
    felt_after_seconds: f64,
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
    later: Vec<Later>,
    epochs: usize,
    phase: usize,
    phase_started: (Nanos, u64),
    last_told: (Nanos, u64),
    /// Rows of the series that an observer has been told.
    rows_told: usize,
    hit_rate: Option<f64>,
    random: Random,
    searching: Searching,
    guard: Guard,
    warming: Option<Warming>,
    interrupted: bool,
    /// The event under way was asked for by hand.
    by_hand: bool,
    /// An event could not be carried out: the rest of the timeline would mean nothing.
    broken: bool,
    warm: Option<f64>,
    hold: Hold,
    driving: Driving,
    /// Reports of the run so far, being written.
    writing: JoinSet<Written>,
}

/// Carries one scenario without a matrix out.
pub(super) async fn run(
    scenario: &Scenario,
    prepared: &Prepared,
    stage: &Stage,
) -> Result<Outcome, RunError> {
    let (started, started_unix) = (clock::now(), clock::unix_now().as_secs());
    let any = |needs: fn(&Action) -> bool| scenario.events.iter().any(|event| needs(&event.action));
    let needs = Needs {
        relay: any(Action::needs_relay),
        memory_kept: any(Action::keeps_memory),
    };
    let cluster = Cluster::start(&scenario.cluster, &stage.logs, needs).await?;
    let facts = facts::cluster(scenario, &cluster);
    let mut run = Run::begin(scenario, prepared, stage, cluster).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(watch::watch(Rc::clone(&run.watch), run.epoch));
    run.driving = Driving::begin();
    run.drive().await;
    let (own_cpu_seconds, drove_seconds) = (
        run.driving.cpu_seconds(),
        run.driving.began.elapsed().as_secs_f64(),
    );
    run.settle().await;
    tasks.shutdown().await;
    watch::look(&run.watch, run.epoch, &mut HashMap::new()).await;
    let mut outcome = run.tell(own_cpu_seconds, drove_seconds);
    stage.end(run.cluster, run.interrupted).await;
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
        let owners = if scenario.cluster.replicated {
            // Every node has every key: for the client the pool is one node.
            vec![0; prepared.keys.len() as usize].into()
        } else {
            change::owners(
                prepared,
                &cluster.topology(&members, cluster.hash()),
                &members,
                None,
            )?
        };
        let map = Map::new(owners, cluster.nodes().len(), cluster.is_routed());
        let core = Lookaside::new(Setup {
            source: prepared.source(scenario),
            keys: Arc::clone(&prepared.keys),
            map,
            pace: pace(scenario, prepared, 0),
            fill: scenario.workload.fill,
            ttl: scenario.workload.ttl.clone(),
            multiget: scenario.workload.multiget as usize,
            lens_fixed: prepared.lens_fixed,
            backing: BackingStore::new(&scenario.backend, stream(scenario.seed, "backing store", 0)),
            retries: scenario.load.retries,
            patience: nanos(scenario.backend.timeout),
            lone_from: prepared.lone_from,
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
            later: Vec::new(),
            epochs: 0,
            phase: 0,
            phase_started: (0, 0),
            last_told: (0, 0),
            rows_told: 0,
            hit_rate: None,
            random: stream(scenario.seed, "events", 0),
            searching: Searching::default(),
            guard: Guard::new(scenario),
            warming: None,
            interrupted: false,
            by_hand: false,
            broken: false,
            warm: None,
            hold: Hold::default(),
            driving: Driving::begin(),
            writing: JoinSet::new(),
        };
        run.watch.borrow_mut().follow(&run.cluster);
        let routers = run.cluster.router_addresses();
        if routers.is_empty() {
            for number in 0..run.cluster.nodes().len() {
                run.connect_node(number).await?;
            }
        } else {
            let lines = run.connect_routers(&routers).await?;
            run.shell.with(|core, _| core.map_mut().lines.push(lines));
        }
        Ok(run)
    }

    /// Opens lines to a new node for a client that hashes for itself.
    async fn connect_node(&self, number: usize) -> Result<(), RunError> {
        let lines = self.open_lines(number).await?;
        self.shell.with(|core, _| core.map_mut().lines.push(lines));
        Ok(())
    }

    /// To each router its share of the connections: lines one after the other.
    async fn connect_routers(&self, routers: &[SocketAddr]) -> Result<Range<usize>, RunError> {
        let share = self.scenario.load.connections.div_ceil(routers.len()).max(1);
        let targets = routers
            .iter()
            .map(|address| self.shell.add_target(*address, share));
        let lines = targets
            .reduce(|all, next| all.start..next.end)
            .expect("there are routers");
        self.shell.connected(lines.clone(), CONNECT_PATIENCE).await?;
        Ok(lines)
    }

    async fn open_lines(&self, number: usize) -> Result<Range<usize>, RunError> {
        let share = self
            .scenario
            .load
            .connections
            .div_ceil(self.cluster.members().len().max(1))
            .max(1);
        let lines = self.shell.add_target(self.cluster.nodes()[number].front(), share);
        self.shell.connected(lines.clone(), CONNECT_PATIENCE).await?;
        Ok(lines)
    }

    fn log(&self, text: String) {
        let elapsed = clock::now().saturating_duration_since(self.epoch);
        self.stage.observer.update(Update::Log { elapsed, text });
    }
}
