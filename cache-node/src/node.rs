//! What all threads of one node share: configuration, store, counters, and who is connected.
//! Must not know tasks or sockets; the server does.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use protocol::UnixSeconds;

use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::{Counters, Totals};
use crate::store::{Store, StoreConfig};

/// One node.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) store: Store,
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

/// What one worker lets the others see.
#[derive(Default)]
pub(crate) struct WorkerState {
    pub(crate) counters: Counters,
    pub(crate) clients: Clients,
    /// How many clients it serves: who gets the next one is decided by this.
    pub(crate) load: AtomicUsize,
}

impl Node {
    pub(crate) fn new(config: Config, clock: Clock) -> Self {
        let now = clock.now();
        let store = Store::new(
            StoreConfig {
                memory_limit_bytes: config.memory_limit_bytes,
                item_size_max_bytes: config.item_size_max_bytes,
                shards: None,
                segment_bytes: None,
                evict: config.evict,
                threads: config.threads,
            },
            now,
        );
        let workers = (0..config.threads).map(|_| WorkerState::default()).collect();
        Self {
            store,
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
        }
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
