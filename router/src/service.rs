//! Putting a router together: sockets, workers, embedded nodes, the admin side; and taking it apart again in order.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::args::Options;
use crate::clock;
use crate::config::check::ConfigError;
use crate::config::reload::{Force, Keeper};
use crate::config::{self, Config};
use crate::debt::spool::SpoolError;
use crate::debt::{Debts, Terms, agents, writer};
use crate::settings::{ConfigStatus, Settings, Shared};
use crate::stats::Registry;
use crate::takeover;
use crate::worker::alarm::Alarm;
use crate::worker::listener::{Listeners, Place};
use crate::worker::{Control, Mailbox, Worker, listener};

/// Why a router does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("no servers: give --sharded, --replicated, --embedded or --config")]
    NothingToDo,
    #[error("--embedded {given}: expected 1 to 64 nodes")]
    EmbeddedCount { given: usize },
    #[error("embedded node: {0}")]
    Embedded(String),
    #[error("cannot listen on {addr}: {source}")]
    Listen { addr: String, source: io::Error },
    #[error("cannot take over: {0}")]
    TakeOver(io::Error),
    #[error("{0}")]
    Spool(#[from] SpoolError),
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Whether the process's signals are this router's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    Obey,
    Ignore,
}

/// A router whose threads run.
pub(crate) struct Running {
    pub addr: SocketAddr,
    pub unix: Option<PathBuf>,
    pub admin_addr: Option<SocketAddr>,
    stop: Stop,
    workers: Vec<JoinHandle<()>>,
    side: Option<JoinHandle<()>>,
    debts: Arc<Debts>,
    /// They end when nobody can make or pay debts any more.
    debtors: Vec<JoinHandle<()>>,
    /// Embedded nodes outlive the workers that ask them.
    nodes: Vec<cache_node::embedded::Handle>,
}

/// Ends a router: from its handle, or from a signal.
#[derive(Clone)]
struct Stop {
    workers: Vec<Mailbox>,
    draining: Arc<AtomicBool>,
    drain_timeout: Duration,
    /// True once everything has ended.
    ended: watch::Sender<bool>,
}

impl Stop {
    fn drain(&self) {
        if !self.draining.swap(true, Ordering::Relaxed) {
            info!("draining: no new clients");
            for worker in &self.workers {
                worker.send(Control::Drain);
            }
        }
    }

    /// Drains, and ends when that has taken long enough.
    fn leave(&self) {
        self.drain();
        let stop = self.clone();
        let patience = self.drain_timeout;
        // It ends with the process; nobody has to wait for it.
        let _ = std::thread::Builder::new()
            .name("router-leave".to_owned())
            .spawn(move || {
                std::thread::park_timeout(patience);
                stop.stop();
            });
    }

    fn stop(&self) {
        for worker in &self.workers {
            worker.send(Control::Stop);
        }
    }
}

impl Running {
    /// Waits until a signal has ended it.
    pub(crate) fn wait(&mut self) {
        for worker in self.workers.drain(..) {
            let _panicked = worker.join();
        }
        self.finish();
    }

    /// Lets it answer what it was asked, and ends it.
    pub(crate) fn drain(&mut self) {
        self.stop.drain();
        let patience = self.stop.drain_timeout;
        let stop = self.stop.clone();
        let (done, is_done) = mpsc::channel::<()>();
        let last_resort = std::thread::spawn(move || {
            if is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                stop.stop();
            }
        });
        for worker in self.workers.drain(..) {
            let _panicked = worker.join();
        }
        drop(done);
        let _panicked = last_resort.join();
        self.finish();
    }

    fn finish(&mut self) {
        // Nobody listens any more if the side thread has ended by itself.
        let _ = self.stop.ended.send(true);
        if let Some(side) = self.side.take() {
            let _panicked = side.join();
        }
        self.debts.stop();
        for debtor in self.debtors.drain(..) {
            let _panicked = debtor.join();
        }
        for node in self.nodes.drain(..) {
            node.shutdown();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        for worker in self.workers.drain(..) {
            let _panicked = worker.join();
        }
        self.finish();
    }
}

/// What the configuration is read from, and what there is to watch.
struct Origin {
    source: serde_json::Value,
    file: Option<PathBuf>,
    files: Option<Vec<(PathBuf, String)>>,
}

fn origin(options: &Options, settings: &Settings, embedded: &[String]) -> Result<Origin, StartError> {
    if let Some(path) = &options.config {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.display().to_string(),
            message: format!("cannot read: {error}"),
        })?;
        let source =
            config::source::read(path, text, &settings.params).map_err(|error| error.of_file(path))?;
        return Ok(Origin {
            source: source.value,
            file: Some(path.clone()),
            files: Some(source.files),
        });
    }
    let servers = [embedded, &options.sharded, &options.replicated]
        .into_iter()
        .find(|servers| !servers.is_empty())
        .ok_or(StartError::NothingToDo)?;
    Ok(Origin {
        source: config::from_servers(options, servers),
        file: None,
        files: None,
    })
}

/// The configuration that the command line names, checked; nothing is opened but its files.
pub(crate) fn configuration(options: &Options) -> Result<Config, StartError> {
    let embedded: Vec<String> = (1..=options.embedded.unwrap_or(0))
        .map(|number| format!("node{number}=127.0.0.1:{number}"))
        .collect();
    let settings = Settings::new(options, 1);
    let origin = origin(options, &settings, &embedded)?;
    Config::check(origin.source, &settings.defaults, 1)
        .map_err(|error| place(error, origin.file.as_ref()).into())
}

/// Errors of a file name the file.
fn place(error: ConfigError, file: Option<&PathBuf>) -> ConfigError {
    match file {
        Some(file) => error.of_file(file),
        None => error,
    }
}

/// Starts everything; clients are accepted when this returns.
pub(crate) fn start(options: Options, signals: Signals) -> Result<Running, StartError> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let nodes = embedded_nodes(&options)?;
    let names: Vec<String> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| format!("node{}={}", index + 1, node.addr()))
        .collect();
    let settings = Arc::new(Settings::new(&options, threads));
    let origin = origin(&options, &settings, &names)?;
    let config = Config::check(origin.source, &settings.defaults, 1)
        .map_err(|error| place(error, origin.file.as_ref()))?;
    let config = Arc::new(config);

    let (listeners, addr) = listen(&options, threads)?;
    // From here on clients that the predecessor does not take any more wait in our queues.
    let patience = match &options.take_over {
        Some(predecessor) => {
            takeover::ask(predecessor).map_err(StartError::TakeOver)?;
            options.drain_timeout + takeover::GRACE
        }
        None => Duration::ZERO,
    };
    let (debts, mut debtors) = takeover::patiently(patience, || debts(&options))?;
    let bind = |addr: &str| takeover::patiently(patience, || bind_admin(addr));
    let admin_listener = options.admin.as_deref().map(bind).transpose()?;
    let admin_addr = admin_listener
        .as_ref()
        .and_then(|listener| listener.local_addr().ok());

    let now = clock::unix().as_secs();
    let shared = Arc::new(Shared {
        settings,
        registry: Registry::default(),
        config: ArcSwap::from(Arc::clone(&config)),
        status: Mutex::new(ConfigStatus {
            origin: origin
                .file
                .as_ref()
                .map_or_else(|| "command line".to_owned(), |file| file.display().to_string()),
            last_attempt_unix: now,
            last_success_unix: now,
            ..ConfigStatus::default()
        }),
        drained: Mutex::default(),
        debts: Arc::clone(&debts),
        clients: AtomicUsize::new(0),
        alarm: Alarm::start().map_err(StartError::Thread)?,
        flushes: Arc::default(),
    });
    let (agents, paying) = agents::start(Arc::clone(&shared)).map_err(StartError::Thread)?;
    debtors.push(paying);
    agents.configure(config.replicated.clone());
    agents::first_look(&debts, &config.replicated);
    let mut workers = Vec::new();
    let mut mailboxes = Vec::new();
    for (number, listeners) in listeners.into_iter().enumerate() {
        let (thread, mailbox) = worker_thread(number, listeners, &config, &shared)?;
        workers.push(thread);
        mailboxes.push(mailbox);
    }
    let stop = Stop {
        workers: mailboxes.clone(),
        draining: Arc::default(),
        drain_timeout: options.drain_timeout,
        ended: watch::Sender::new(false),
    };
    let keeper = Keeper::new(Arc::clone(&shared), mailboxes, agents, origin.file, origin.files);
    let side = Side {
        admin: admin_listener,
        shared,
        keeper: Arc::new(keeper),
        stop: stop.clone(),
        signals,
        config_poll: options.config_poll,
    };
    let (hears, heard) = mpsc::channel();
    let side = std::thread::Builder::new()
        .name("router-side".to_owned())
        .spawn(move || side.run(hears))
        .map_err(StartError::Thread)?;
    // Signals are heard before anybody is told that the router is ready. An error: it said why.
    let _ = heard.recv();
    info!(%addr, threads, servers = config.pools.iter().map(|view| view.pool.servers.len()).sum::<usize>(), "router started");
    Ok(Running {
        addr,
        unix: options.unix_socket.clone(),
        admin_addr,
        stop,
        workers,
        side: Some(side),
        debts,
        debtors,
        nodes,
    })
}

/// What replicas are owed, from before the last end if there is a spool; and the thread that writes it.
fn debts(options: &Options) -> Result<(Arc<Debts>, Vec<JoinHandle<()>>), StartError> {
    let terms = Terms {
        limit_bytes: options.spool_limit as u64,
        replay_rate: options.replay_rate,
        settle: options.settle,
        lease: Some(options.read_lease).filter(|lease| !lease.is_zero()),
    };
    let Some(folder) = &options.spool else {
        return Ok((Debts::in_memory(terms), Vec::new()));
    };
    let (debts, writer) = writer::start(folder, options.spool_sync, terms)?;
    Ok((debts, vec![writer]))
}

fn embedded_nodes(options: &Options) -> Result<Vec<cache_node::embedded::Handle>, StartError> {
    let Some(count) = options.embedded else {
        return Ok(Vec::new());
    };
    if !(1..=64).contains(&count) {
        return Err(StartError::EmbeddedCount { given: count });
    }
    (0..count)
        .map(|_| {
            let config = cache_node::embedded::Config {
                memory_limit_bytes: options.embedded_memory.saturating_mul(1024 * 1024),
                ..cache_node::embedded::Config::embedded()
            };
            cache_node::embedded::start(config).map_err(|error| StartError::Embedded(error.to_string()))
        })
        .collect()
}

/// Opens what clients connect to, for every worker.
fn listen(options: &Options, threads: usize) -> Result<(Vec<Listeners>, SocketAddr), StartError> {
    let place = match options.take_over {
        Some(_) => Place::Predecessors,
        None => Place::Free,
    };
    let wanted = SocketAddr::new(options.listen, options.port);
    let at = |addr: String| move |source| StartError::Listen { addr, source };
    let tcp = listener::listeners(wanted, threads, place).map_err(at(wanted.to_string()))?;
    let addr = tcp
        .first()
        .and_then(|listener| listener.local_addr().ok())
        .unwrap_or(wanted);
    let unix = match &options.unix_socket {
        None => None,
        Some(path) => {
            let what = path.display().to_string();
            let open = listener::unix(path, options.unix_mode, place);
            Some(open.map_err(at(what))?)
        }
    };
    let listeners = tcp.into_iter().map(|tcp| {
        let unix = unix.as_ref().map(UnixListener::try_clone).transpose();
        Ok(Listeners {
            tcp,
            unix: unix.map_err(at("unix socket".to_owned()))?,
        })
    });
    Ok((listeners.collect::<Result<_, StartError>>()?, addr))
}

fn bind_admin(addr: &str) -> Result<std::net::TcpListener, StartError> {
    let bind = || {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| StartError::Listen {
        addr: addr.to_owned(),
        source,
    })
}

fn worker_thread(
    number: usize,
    listeners: Listeners,
    config: &Arc<Config>,
    shared: &Arc<Shared>,
) -> Result<(JoinHandle<()>, Mailbox), StartError> {
    let (config, shared) = (Arc::clone(config), Arc::clone(shared));
    let (tell, told) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("router-{number}"))
        .spawn(move || {
            let runtime = match Builder::new_current_thread()
                .enable_io()
                .build_local(LocalOptions::default())
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return;
                }
            };
            runtime.block_on(async move {
                let worker = match Worker::new(number, listeners, config, shared) {
                    Ok((worker, mailbox)) => {
                        let _ = tell.send(Ok(mailbox));
                        worker
                    }
                    Err(error) => {
                        let _ = tell.send(Err(error));
                        return;
                    }
                };
                // A task, not the runtime's root future: waking the root costs a system call, waking a task does not.
                if let Err(error) = tokio::task::spawn_local(worker).await {
                    tracing::error!(%error, "worker failed");
                }
            });
        })
        .map_err(StartError::Thread)?;
    match told.recv() {
        Ok(Ok(mailbox)) => Ok((thread, mailbox)),
        Ok(Err(error)) => Err(StartError::Thread(error)),
        Err(_) => Err(StartError::Thread(io::Error::other("the worker ended at once"))),
    }
}

/// The thread beside the workers: admin HTTP, the configuration file, signals.
struct Side {
    admin: Option<std::net::TcpListener>,
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    stop: Stop,
    signals: Signals,
    config_poll: Duration,
}

impl Side {
    fn run(self, hears: mpsc::Sender<()>) {
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
        tokio::spawn(watch_file(Arc::clone(&self.keeper), self.config_poll));
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
