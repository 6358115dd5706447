//! Putting a router together: sockets, workers, embedded nodes, the admin side.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tracing::info;

use crate::args::Options;
use crate::clock;
use crate::config::check::ConfigError;
use crate::config::reload::Keeper;
use crate::config::{self, Config};
use crate::debt::spool::SpoolError;
use crate::debt::{Debts, Terms, agents, writer};
use crate::names::Names;
use crate::running::{Running, Signals, Stop};
use crate::settings::{ConfigStatus, Settings, Shared};
use crate::side::Side;
use crate::stats::Registry;
use crate::takeover;
use crate::tls::{Tls, TlsError};
use crate::worker::alarm::Alarm;
use crate::worker::listener::{Listeners, Place};
use crate::worker::{Mailbox, Worker, listener};

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
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Spool(#[from] SpoolError),
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// What the configuration is read from, and what there is to watch.
struct Origin {
    source: serde_json::Value,
    file: Option<PathBuf>,
    files: Option<Vec<(PathBuf, String)>>,
}

fn origin(options: &Options, settings: &Settings, embedded: &[String]) -> Result<Origin, StartError> {
    if let Some(given) = &options.config {
        let said = given.to_string_lossy();
        if said.trim_start().starts_with('{') {
            // mcrouter takes a file's text in the place of its name too: there is nothing to watch then.
            let here = std::path::Path::new("--config");
            let source = config::source::read(here, said.into_owned(), &settings.outside)
                .map_err(|error| error.of_file(here))?;
            return Ok(Origin {
                source: source.value,
                file: None,
                files: None,
            });
        }
        let path = match said.strip_prefix("file:") {
            Some(path) => &PathBuf::from(path),
            None => given,
        };
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.display().to_string(),
            message: format!("cannot read: {error}"),
        })?;
        let source =
            config::source::read(path, text, &settings.outside).map_err(|error| error.of_file(path))?;
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
    let settings = Settings::new(options, 1, Tls::of(options)?);
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
    for why in &options.moot {
        info!("{why}: changes nothing");
    }
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
    let settings = Arc::new(Settings::new(&options, threads, Tls::of(&options)?));
    let origin = origin(&options, &settings, &names)?;
    let names = Names::new(options.resolver);
    let name_changes = names.changes();
    let config = Config::check_with_names(&origin.source, &settings.defaults, &names, 1)
        .map_err(|error| place(error, origin.file.as_ref()))?;
    let config = Arc::new(config);

    let (listeners, addr, tls_addr) = listen(&options, threads)?;
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
            sources: config::source::digests(origin.files.as_deref().unwrap_or_default()),
            ..ConfigStatus::default()
        }),
        drained: Mutex::default(),
        debts: Arc::clone(&debts),
        ejected: ArcSwap::default(),
        ejections: AtomicU64::new(0),
        names,
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
        name_changes,
        shared,
        keeper: Arc::new(keeper),
        stop: stop.clone(),
        signals,
        config_poll: (!options.disable_reload_configs).then_some(options.config_poll),
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
        tls_addr,
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
fn listen(
    options: &Options,
    threads: usize,
) -> Result<(Vec<Listeners>, SocketAddr, Option<SocketAddr>), StartError> {
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
    let mut tls = Vec::new();
    if let Some(port) = options.tls_port {
        let wanted = SocketAddr::new(options.listen, port);
        tls = listener::listeners(wanted, threads, place).map_err(at(wanted.to_string()))?;
    }
    let unix = match &options.unix_socket {
        None => None,
        Some(path) => {
            let what = path.display().to_string();
            let open = listener::unix(path, options.unix_mode, place);
            Some(open.map_err(at(what))?)
        }
    };
    let tls_addr = tls.first().and_then(|listener| listener.local_addr().ok());
    let mut tls = tls.into_iter();
    let listeners = tcp.into_iter().map(|tcp| {
        let unix = unix.as_ref().map(UnixListener::try_clone).transpose();
        Ok(Listeners {
            tcp,
            tls: tls.next(),
            unix: unix.map_err(at("unix socket".to_owned()))?,
        })
    });
    Ok((listeners.collect::<Result<_, StartError>>()?, addr, tls_addr))
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
            // The system rounds short waits up by 50 microseconds unless told otherwise; without it they are longer.
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
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
                worker.await;
            });
        })
        .map_err(StartError::Thread)?;
    match told.recv() {
        Ok(Ok(mailbox)) => Ok((thread, mailbox)),
        Ok(Err(error)) => Err(StartError::Thread(error)),
        Err(_) => Err(StartError::Thread(io::Error::other("the worker ended at once"))),
    }
}
