//! Carries a scenario out: cluster up, phases and events in their order, cluster down, outcome.

pub(crate) mod build;
mod change;
mod detour;
mod facts;
mod matrix;
mod timeline;
mod verdict;
mod watch;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch as tokio_watch;

pub use build::{Prepared, prepare};

use crate::cluster::{Cluster, ClusterError};
use crate::drive::shell::ConnectError;
use crate::live::Observer;
use crate::live::orders::Orders;
use crate::measure::outcome::Outcome;
use crate::report::ArtefactError;
use crate::scenario::Scenario;
use crate::workload::trace::TraceError;

/// What a run needs beside its scenario.
pub struct Stage {
    /// Where the logs of its processes go.
    pub logs: PathBuf,
    pub observer: Arc<dyn Observer>,
    /// Becomes true when the user wants to stop; what was measured until then is still told.
    pub interrupt: tokio_watch::Receiver<bool>,
    /// What the user asks for while the run goes on.
    pub orders: Orders,
    /// Makes reports of the run so far; `None` where nobody writes any.
    pub snapshots: Option<Snapshots>,
    /// What becomes of the cluster at the end of a run that was not interrupted.
    pub afterwards: Afterwards,
}

/// Where a report was written, or why not.
pub type Written = Result<PathBuf, ArtefactError>;
/// From the run so far to what draws and writes its report, away from the load.
pub type Snapshots = Box<dyn Fn(Outcome) -> Box<dyn FnOnce() -> Written + Send>>;

/// The cluster after the run.
#[derive(Debug, Default)]
pub enum Afterwards {
    /// Shut down.
    #[default]
    Ends,
    /// Left here as it is, for whoever asked for it.
    Stays(RefCell<Option<Box<Cluster>>>),
}

impl Stage {
    #[must_use]
    pub fn new(logs: PathBuf, observer: Arc<dyn Observer>, interrupt: tokio_watch::Receiver<bool>) -> Self {
        Self {
            logs,
            observer,
            interrupt,
            orders: Orders::none(),
            snapshots: None,
            afterwards: Afterwards::Ends,
        }
    }

    async fn end(&self, cluster: Cluster, interrupted: bool) {
        match &self.afterwards {
            Afterwards::Stays(place) if !interrupted => *place.borrow_mut() = Some(Box::new(cluster)),
            Afterwards::Stays(_) | Afterwards::Ends => cluster.shutdown().await,
        }
    }
}

/// A run that says nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario's trace: the user's to mend.
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{source}: {cause}", cause = source.source)]
    Connect {
        #[from]
        source: ConnectError,
    },
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the {0} distribution cannot be drawn from")]
    Popularity(String),
    #[error("the topology cannot be used: {0}")]
    Placement(#[from] cluster::PlacementError),
    #[error("{what}: {why}")]
    Outside { what: String, why: String },
    #[error("a helper thread ended early")]
    Helper,
}

/// Runs a scenario: one run, or every case of its matrix. Must be called inside a `LocalSet` on a thread that lives as
/// long as the cluster (the kernel ends our children with the thread that started them).
pub async fn run(scenario: &Scenario, stage: &Stage) -> Result<Outcome, RunError> {
    let prepared = prepare(scenario)?;
    match &scenario.matrix {
        None => timeline::run(scenario, &prepared, stage).await,
        Some(cases) => matrix::run(scenario, cases, &prepared, stage).await,
    }
}
