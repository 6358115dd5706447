//! The thread beside the workers: admin HTTP, the configuration file, signals. Never on a request's way.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

use crate::admin::{self, Admin};
use crate::clock;
use crate::config::reload::{Force, Keeper};
use crate::health::eject::Ejector;
use crate::running::{Signals, Stop};
use crate::settings::Shared;

/// What the thread works with.
pub(crate) struct Side {
    pub admin: Option<std::net::TcpListener>,
    /// Changes of what names stand for, since the first configuration was checked.
    pub name_changes: watch::Receiver<u64>,
    pub shared: Arc<Shared>,
    pub keeper: Arc<Keeper>,
    pub stop: Stop,
    pub signals: Signals,
    /// How often the configuration and certificates are looked at, if they are.
    pub config_poll: Option<Duration>,
}

impl Side {
    /// Works until the router has ended; lets go of `hears` once signals are heard.
    pub(crate) fn run(self, hears: mpsc::Sender<()>) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                warn!(%error, "no admin side");
                return;
            }
        };
        runtime.block_on(self.serve(hears));
        runtime.shutdown_timeout(Duration::from_secs(1));
    }

    async fn serve(self, hears: mpsc::Sender<()>) {
        let mut ended = self.stop.ended.subscribe();
        if let Some(listener) = self.admin {
            let stop = self.stop.clone();
            let admin = Admin {
                shared: Arc::clone(&self.shared),
                keeper: Arc::clone(&self.keeper),
                draining: Arc::clone(&self.stop.draining),
                leave: Arc::new(move || stop.leave()),
            };
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => {
                    tokio::spawn(async move { axum::serve(listener, admin::router(admin)).await });
                }
                Err(error) => warn!(%error, "no admin side"),
            }
        }
        tokio::spawn(watch_names(Arc::clone(&self.keeper), self.name_changes));
        tokio::spawn(watch_health(Arc::clone(&self.keeper), Arc::clone(&self.shared)));
        if let Some(every) = self.config_poll {
            tokio::spawn(watch_file(Arc::clone(&self.keeper), every));
        }
        if self.signals == Signals::Obey {
            match Heard::new() {
                Ok(heard) => {
                    tokio::spawn(obey_signals(heard, self.stop.clone(), Arc::clone(&self.keeper)));
                }
                Err(error) => warn!(%error, "signals cannot be heard"),
            }
        }
        drop(hears);
        // An error means that the other side is gone: an end as well.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

async fn watch_names(keeper: Arc<Keeper>, mut changes: watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        let keeper = Arc::clone(&keeper);
        let _ = tokio::task::spawn_blocking(move || keeper.names_changed()).await;
    }
}

/// How often servers of pools that eject are looked at.
const HEALTH_TICK: Duration = Duration::from_millis(100);

async fn watch_health(keeper: Arc<Keeper>, shared: Arc<Shared>) {
    let mut ejector = Ejector::default();
    let mut tick = tokio::time::interval(HEALTH_TICK);
    loop {
        tick.tick().await;
        let config = shared.config.load_full();
        let ejecting = config
            .pools
            .iter()
            .filter_map(|view| Some((&view.pool, view.pool.eject?)));
        let mut pools = BTreeSet::new();
        for (pool, terms) in ejecting {
            pools.insert(pool.name.as_str());
            let names = pool.servers.iter().map(|server| server.name.as_str());
            let seen: Vec<_> = names.map(|name| (name, shared.registry.seen(name))).collect();
            ejector.look(&pool.name, terms, &seen, clock::now());
        }
        ejector.keep(&pools);
        let (before, out) = (shared.ejected.load_full(), ejector.ejected());
        if *before == out {
            continue;
        }
        for (pool, server) in out
            .iter()
            .flat_map(|(pool, servers)| servers.iter().map(move |server| (pool, server)))
        {
            if !before.get(pool).is_some_and(|before| before.contains(server)) {
                shared.ejections.fetch_add(1, Ordering::Relaxed);
                warn!(
                    pool,
                    server, "server ejected: its keys are the others' until it is back"
                );
            }
        }
        let keeper = Arc::clone(&keeper);
        let _ = tokio::task::spawn_blocking(move || keeper.ejected(out)).await;
    }
}

async fn watch_file(keeper: Arc<Keeper>, every: Duration) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(10)));
    loop {
        tick.tick().await;
        let keeper = Arc::clone(&keeper);
        let _ = tokio::task::spawn_blocking(move || keeper.reread(Force::No)).await;
    }
}

/// The signals a router obeys.
struct Heard {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Heard {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

async fn obey_signals(heard: Heard, stop: Stop, keeper: Arc<Keeper>) {
    let Heard {
        mut terminate,
        mut interrupt,
        mut hang_up,
    } = heard;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                let keeper = Arc::clone(&keeper);
                let _ = tokio::task::spawn_blocking(move || keeper.reread(Force::Yes)).await;
            }
        }
    }
    stop.drain();
    tokio::select! {
        () = tokio::time::sleep(stop.drain_timeout) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.stop();
}
