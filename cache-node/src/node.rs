//! What all threads of one node share: configuration, store, counters, and who is connected.
//! Must not know tasks or sockets; the server does.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use protocol::UnixSeconds;

use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::{Counters, Totals};
use crate::persist::{self, Folder, PersistError};
use crate::store::{Store, StoreConfig};

/// One node.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) store: Store,
    /// Where the store outlives this process, if it shall.
    pub(crate) folder: Option<Folder>,
    /// Asked by [`Node::refresh_clock`]; everybody else reads what that noted.
    clock: Clock,
    now: AtomicU64,
    pub(crate) started: UnixSeconds,
    /// One per worker thread.
    pub(crate) workers: Box<[WorkerState]>,
    /// Client connections now.
    pub(crate) connections: AtomicUsize,
    /// The memory limit, which `cache_memlimit` changes, in bytes.
    pub(crate) memory_limit_bytes: AtomicU64,
    /// What `verbosity` last said.
    pub(crate) verbosity: AtomicU8,
    /// Clients closed for silence; the control loop counts these, not a worker.
    pub(crate) idle_kicks: AtomicU64,
    /// Set once the node begins to stop: health checks fail, connections end after what they were asked.
    pub(crate) draining: AtomicBool,
    /// Counters at the last `stats reset`.
    baseline: Mutex<Totals>,
}

/// Why a node cannot be made of its configuration.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The folder that the store outlives a process in.
    #[error(transparent)]
    Persist(#[from] PersistError),
}

/// What one worker lets the others see.
#[derive(Default)]
pub(crate) struct WorkerState {
    pub(crate) counters: Counters,
    pub(crate) clients: Clients,
    /// How many clients it serves: who gets the next one is decided by this.
    pub(crate) load: AtomicUsize,
}

impl Node {
    pub(crate) fn new(config: Config, clock: Clock) -> Result<Self, NodeError> {
        let now = clock.now();
        let store_config = StoreConfig {
            memory_limit_bytes: config.memory_limit_bytes,
            item_size_max_bytes: config.item_size_max_bytes,
            shards: None,
            segment_bytes: None,
            evict: config.evict,
            threads: config.threads,
        };
        // Last of all that may fail: what is taken from the folder is there no more.
        let (store, folder) = match &config.persist {
            Some(path) => {
                let (store, folder) = persist::open(path, &store_config, now)?;
                (store, Some(folder))
            }
            None => (Store::new(store_config, now), None),
        };
        let workers = (0..config.threads).map(|_| WorkerState::default()).collect();
        Ok(Self {
            store,
            folder,
            clock,
            now: AtomicU64::new(now.0),
            started: now,
            workers,
            connections: AtomicUsize::new(0),
            memory_limit_bytes: AtomicU64::new(config.memory_limit_bytes),
            verbosity: AtomicU8::new(config.verbosity),
            idle_kicks: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            baseline: Mutex::default(),
            config,
        })
    }

    /// Puts the store where the next start will find it, if there is such a place. Nobody may use it any more.
    pub(crate) fn save(&self) -> Result<(), NodeError> {
        if let Some(folder) = &self.folder {
            folder.save(&self.store, self.clock.now(), Clock::system().now())?;
        }
        Ok(())
    }

    /// The current second, as last noted. Items expire by whole seconds; asking the system for each batch of requests
    /// would cost more than parsing one.
    #[inline]
    pub(crate) fn now(&self) -> UnixSeconds {
        UnixSeconds(self.now.load(Ordering::Relaxed))
    }

    /// Notes the current second; the control loop does so several times in each.
    pub(crate) fn refresh_clock(&self) {
        self.now.store(self.clock.now().0, Ordering::Relaxed);
    }

    /// Counters of all workers since the start: for metrics, which must never fall.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.workers
            .iter()
            .for_each(|worker| totals.add(&worker.counters));
        totals.idle_kicks = self.idle_kicks.load(Ordering::Relaxed);
        totals
    }

    /// Counters of all workers since the last `stats reset`.
    pub(crate) fn totals_since_reset(&self) -> Totals {
        self.totals().since(&self.baseline.lock())
    }

    /// `stats reset`.
    pub(crate) fn reset(&self) {
        let totals = self.totals();
        *self.baseline.lock() = totals;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Moves a test's clock forward.
    #[cfg(test)]
    pub(crate) fn advance_clock(&self, seconds: u64) {
        self.clock.advance(seconds);
        self.refresh_clock();
    }

    /// Seconds since the start.
    pub(crate) fn uptime(&self) -> u64 {
        self.now().0.saturating_sub(self.started.0)
    }
}
