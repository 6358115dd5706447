//! The thread of the agents: one per replica of the configuration in use. A pool that did not change keeps its agents.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::agent::Agent;
use super::lease::Watch;
use super::{Debts, Replica};
use crate::pool::Destination;
use crate::settings::Shared;

/// A replicated pool of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplicatedPool {
    pub name: String,
    pub servers: Vec<Arc<Destination>>,
}

/// How long a start waits until every replica has been looked at, at most: a server that is down takes its time.
const FIRST_LOOK_MAX: Duration = Duration::from_millis(500);

/// The agents from outside. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Agents {
    pools: mpsc::UnboundedSender<Vec<ReplicatedPool>>,
}

impl Agents {
    /// Tells them the replicated pools of a configuration that is about to be used.
    pub(crate) fn configure(&self, pools: Vec<ReplicatedPool>) {
        // They end with the process: a receiver that is gone needs no telling.
        let _ = self.pools.send(pools);
    }
}

/// Starts the agents' thread.
pub(crate) fn start(shared: Arc<Shared>) -> std::io::Result<(Agents, JoinHandle<()>)> {
    let (pools, told) = mpsc::unbounded_channel();
    let (tell, made) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("router-debts".to_owned())
        .spawn(move || {
            // Made and dropped here: whoever starts a router may be inside a runtime, where none can be dropped.
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(serve(shared, told));
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        })?;
    made.recv()
        .unwrap_or_else(|_| Err(std::io::Error::other("the thread ended at once")))?;
    Ok((Agents { pools }, thread))
}

/// Waits until every replica of `pools` has been looked at, so that the first reads find them readable.
pub(crate) fn first_look(debts: &Debts, pools: &[ReplicatedPool]) {
    let Some(_) = debts.terms.lease else { return };
    let deadline = crate::clock::now() + FIRST_LOOK_MAX;
    let replicas: Vec<Arc<Replica>> = pools
        .iter()
        .flat_map(|pool| {
            pool.servers
                .iter()
                .map(|server| debts.replica(&pool.name, &server.name))
        })
        .collect();
    while crate::clock::now() < deadline
        && !replicas
            .iter()
            .all(|replica| replica.is_readable() || replica.is_owed())
    {
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The agents of one pool.
struct Attended {
    pool: ReplicatedPool,
    agents: Vec<AbortHandle>,
}

async fn serve(shared: Arc<Shared>, mut told: mpsc::UnboundedReceiver<Vec<ReplicatedPool>>) {
    let mut attended: Vec<Attended> = Vec::new();
    while let Some(pools) = told.recv().await {
        attended.retain(|known| {
            let stays = pools.contains(&known.pool);
            if !stays {
                known.agents.iter().for_each(AbortHandle::abort);
            }
            stays
        });
        for pool in pools {
            if !attended.iter().any(|known| known.pool == pool) {
                let agents = attend(&shared, &pool);
                attended.push(Attended { pool, agents });
            }
        }
    }
}

fn attend(shared: &Arc<Shared>, pool: &ReplicatedPool) -> Vec<AbortHandle> {
    let debts = &shared.debts;
    let replicas: Rc<[Arc<Replica>]> = pool
        .servers
        .iter()
        .map(|server| debts.replica(&pool.name, &server.name))
        .collect();
    let lease = debts.terms.lease.map_or(0, super::micros);
    let watch = Rc::new(RefCell::new(Watch::new(replicas.len(), lease)));
    let forgiven: Vec<u64> = replicas
        .iter()
        .map(|replica| replica.forgiven.load(Ordering::Acquire))
        .collect();
    pool.servers
        .iter()
        .enumerate()
        .map(|(at, destination)| {
            let agent = Agent {
                shared: Arc::clone(shared),
                replicas: Rc::clone(&replicas),
                watch: Rc::clone(&watch),
                at,
                destination: Arc::clone(destination),
                forgiven: RefCell::new(forgiven.clone()),
            };
            tokio::task::spawn_local(agent.run()).abort_handle()
        })
        .collect()
}
