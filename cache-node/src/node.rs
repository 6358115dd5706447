//! What all threads of one node share: configuration, store, counters, and who is connected.
//! Must not know tasks or sockets; the server does.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use protocol::UnixSeconds;

use crate::auth::Users;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::{Counters, Totals};
use crate::latency::Latency;
use crate::persist::{self, Folder, PersistError};
use crate::prefixes::Prefixes;
use crate::store::{Store, StoreConfig, Witness};
use crate::tls::{Tls, TlsError};
use crate::watch::Watchers;

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
    /// Certificates and what goes with them, when any listener speaks TLS.
    pub(crate) tls: Option<Tls>,
    /// Who may log in, when clients have to.
    pub(crate) users: Option<Users>,
    /// What it listens on.
    pub(crate) doors: Vec<Door>,
    /// One per worker thread.
    pub(crate) workers: Box<[WorkerState]>,
    /// Client connections now.
    pub(crate) connections: AtomicUsize,
    /// The memory limit, which `cache_memlimit` changes, in bytes.
    pub(crate) memory_limit_bytes: AtomicU64,
    /// Who watches what happens here.
    pub(crate) watchers: Arc<Watchers>,
    /// Requests by prefix of their key, when that is wanted.
    pub(crate) prefixes: Prefixes,
    /// What `lru_crawler enable` and `disable` last said, for those who ask in `stats settings`.
    pub(crate) crawler_enabled: AtomicBool,
    /// What `verbosity` last said.
    pub(crate) verbosity: AtomicU8,
    /// Clients closed for silence; the control loop counts these, not a worker.
    pub(crate) idle_kicks: AtomicU64,
    /// Listeners that take nobody in because the limit of connections is reached.
    pub(crate) doors_shut: AtomicUsize,
    /// Set once the node begins to stop: health checks fail, connections end after what they were asked.
    pub(crate) draining: AtomicBool,
    /// Counters at the last `stats reset`.
    baseline: Mutex<Totals>,
}

/// A listening socket, as `stats conns` tells it.
#[derive(Debug)]
pub(crate) struct Door {
    /// Its file descriptor.
    pub(crate) number: i32,
    /// `tcp:ADDRESS` or `unix:PATH`.
    pub(crate) address: String,
}

/// Why a node cannot be made of its configuration.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The files of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of users.
    #[error("auth-file (-Y) {path}: {source}")]
    Users {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The folder that the store outlives a process in.
    #[error(transparent)]
    Persist(#[from] PersistError),
}

/// What one worker lets the others see.
#[derive(Default)]
pub(crate) struct WorkerState {
    pub(crate) counters: Counters,
    pub(crate) latency: Latency,
    pub(crate) clients: Clients,
    /// How many clients it serves: who gets the next one is decided by this.
    pub(crate) load: AtomicUsize,
}

impl Node {
    pub(crate) fn new(config: Config, clock: Clock) -> Result<Self, NodeError> {
        let now = clock.now();
        let tls = config.tls.as_ref();
        let tls = tls.map(|tls| Tls::load(tls, &config.listen, now)).transpose()?;
        let users = config.auth_file.as_ref().map(|path| {
            let why = |source| NodeError::Users {
                path: path.clone(),
                source,
            };
            Users::load(path).map_err(why)
        });
        let users = users.transpose()?;
        let watchers = Arc::new(Watchers::new(config.watch_buffer_bytes, clock.clone()));
        let store_config = StoreConfig {
            memory_limit_bytes: config.memory_limit_bytes,
            item_size_max_bytes: config.item_size_max_bytes,
            shards: None,
            segment_bytes: None,
            evict: config.evict,
            threads: config.threads,
        };
        // Last of all that may fail: what is taken from the folder is there no more.
        let (mut store, folder) = match &config.persist {
            Some(path) => {
                let (store, folder) = persist::open(path, &store_config, now)?;
                (store, Some(folder))
            }
            None => (Store::new(store_config, now), None),
        };
        store.tell_evictions_to(&(Arc::clone(&watchers) as Arc<dyn Witness>));
        let workers = (0..config.threads).map(|_| WorkerState::default()).collect();
        Ok(Self {
            store,
            folder,
            clock,
            now: AtomicU64::new(now.0),
            started: now,
            tls,
            users,
            doors: Vec::new(),
            workers,
            connections: AtomicUsize::new(0),
            memory_limit_bytes: AtomicU64::new(config.memory_limit_bytes),
            watchers,
            prefixes: Prefixes::new(config.detail_enabled, config.prefix_delimiter),
            crawler_enabled: AtomicBool::new(config.crawler_enabled),
            verbosity: AtomicU8::new(config.verbosity),
            idle_kicks: AtomicU64::new(0),
            doors_shut: AtomicUsize::new(0),
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

    /// Reads certificates and users again; whatever cannot be used leaves what was there before.
    pub(crate) fn reload(&self) -> Result<(), NodeError> {
        if let Some(tls) = &self.tls {
            tls.refresh(self.now())?;
        }
        if let (Some(users), Some(path)) = (&self.users, &self.config.auth_file) {
            users.reload().map_err(|source| NodeError::Users {
                path: path.clone(),
                source,
            })?;
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
        self.prefixes.reset();
    }

    /// Whether what requests do must be seen, for watchers or `stats detail`.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.watchers.want_requests() || self.prefixes.is_on()
    }

    /// Whether a new client would be let in.
    pub(crate) fn is_accepting(&self) -> bool {
        !self.is_draining() && self.doors_shut.load(Ordering::Relaxed) == 0
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
