//! The one door of this crate: a node inside another program, or the whole program.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

pub use crate::config::{Config, ConfigError, Listen, UnixSocket};
use crate::config::{Detach, Invocation, parse_args};
use crate::log;
use crate::node::Node;
pub use crate::node::NodeError;
pub use crate::persist::PersistError;
pub use crate::server::StartError;
use crate::server::{self, Bound};
pub use crate::ttl::{Jitter, JitterMode};

mod detach;
mod privileges;
mod resources;

use detach::Keep;

/// A node running in threads of this process. Dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// The first TCP address it listens on; a node with a unix socket only has none.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// The first TCP address it listens on.
    ///
    /// # Panics
    /// If the configuration had no TCP address. [`Config::embedded`] has one.
    pub fn addr(&self) -> SocketAddr {
        self.tcp_addr().expect("an embedded node listens on TCP")
    }

    /// The HTTP address of metrics and health, if asked for.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Stops accepting, answers what was already asked, closes everything, and waits for that.
    pub fn shutdown(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        // Either side may already be gone: then there is nothing left to stop.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

/// Starts a node; its sockets listen when this returns.
pub fn start(config: Config) -> Result<Handle, StartError> {
    let bound = server::bind(config)?;
    let (addresses, admin_address) = (bound.addresses.clone(), bound.admin_address);
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("cache-node".to_owned())
        .spawn(move || {
            let stop = || async { drop(stopped.await) };
            let served = server::serve(bound, |_| {}, stop, std::future::pending);
            if let Err(error) = served.and_then(|node| Ok(node.save()?)) {
                error!(%error, "embedded node failed");
            }
        });
    let thread = thread.map_err(|error| StartError::system("start a thread", error))?;
    Ok(Handle {
        addresses,
        admin_address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// Exit code of a command line, file or environment that cannot be served.
const BAD_CONFIG: u8 = 2;

/// Exit code of a node that served and stopped in order, but could not save its store for the next start.
const NOT_SAVED: u8 = 1;

/// The whole `cache-node` program; `args` begins with the program's name.
pub fn process_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (config, detach, ignored) = match parse_args(args) {
        Ok(Invocation::Run {
            detach: Detach::Asked,
            ..
        }) => return detach::start(),
        Ok(Invocation::Run {
            config,
            detach,
            ignored,
        }) => (*config, detach, ignored),
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Checked) => {
            println!("config ok");
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&error),
    };
    if detach == Detach::Done {
        detach::leave_session();
    }
    log::to_stderr(config.verbosity, config.log_format);
    if !ignored.is_empty() {
        warn!(
            flags = ignored.join(", "),
            "these memcached options change nothing here"
        );
    }
    let node = match run(config, detach) {
        Ok(node) => node,
        Err(error) => return refuse(&error),
    };
    match node.save() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(NOT_SAVED)
        }
    }
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("cache-node: {error}");
    ExitCode::from(BAD_CONFIG)
}

fn run(config: Config, detach: Detach) -> Result<Arc<Node>, StartError> {
    let (user, pid_file) = (config.user.clone(), config.pid_file.clone());
    let lock_memory = config.lock_memory;
    if config.core_dumps {
        resources::allow_core_dumps();
    }
    let bound = server::bind(config)?;
    if let Some(path) = &pid_file {
        let written = std::fs::write(path, format!("{}\n", std::process::id()));
        written.map_err(|error| StartError::system(format!("write {}", path.display()), error))?;
    }
    if lock_memory {
        resources::allow_locked_memory();
    }
    if let Some(user) = &user {
        // Before any thread starts: privileges belong to threads, and new ones inherit them.
        privileges::become_user(user, bound.node.folder.as_ref())?;
    }
    if let Some(folder) = &bound.node.folder {
        folder.probe().map_err(NodeError::from)?;
    }
    if lock_memory {
        resources::lock_memory();
    }
    let node = Arc::clone(&bound.node);
    let keep = if node.config.verbosity > 0 {
        Keep::Log
    } else {
        Keep::Nothing
    };
    let announce = |bound: &Bound| {
        announce(bound);
        if detach == Detach::Done {
            detach::let_go(keep);
        }
    };
    let stop = || stop_signal(Arc::clone(&node));
    let served = server::serve(bound, announce, stop, stop);
    if let Some(path) = &pid_file {
        let _left_behind = std::fs::remove_file(path);
    }
    served
}

/// The line that says we are ready and where; scripts and tests wait for it.
fn announce(bound: &Bound) {
    let mut line = String::from("ready");
    let list = |addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    if !bound.addresses.is_empty() {
        // Writing to memory cannot fail.
        let _infallible = write!(line, " tcp={}", list(&bound.addresses));
    }
    if let Some(unix) = &bound.node.config.unix {
        let _infallible = write!(line, " unix={}", unix.path.display());
    }
    if let Some(admin) = bound.admin_address {
        let _infallible = write!(line, " admin={admin}");
    }
    info!(threads = bound.node.config.threads, "{line}");
    let mut stdout = std::io::stdout().lock();
    // Nobody may be listening: then nobody is waiting either.
    let _nobody_reads = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Done when the process is told to stop. On the way, `SIGHUP` reads certificates and users again. Signals are heard from
/// this call on, not from the first wait: whoever reads that we are ready may send one at once.
fn stop_signal(node: Arc<Node>) -> impl Future<Output = ()> {
    let on = |kind| signal(kind).ok();
    let [mut interrupt, mut terminate, mut user1, mut hangup] = [
        on(SignalKind::interrupt()),
        on(SignalKind::terminate()),
        on(SignalKind::user_defined1()),
        on(SignalKind::hangup()),
    ];
    async move {
        loop {
            tokio::select! {
                Some(()) = recv(&mut interrupt) => return,
                Some(()) = recv(&mut terminate) => return,
                Some(()) = recv(&mut user1) => return,
                Some(()) = recv(&mut hangup) => match node.reload() {
                    Ok(()) => info!("SIGHUP: certificates and users are read again"),
                    Err(error) => error!(%error, "SIGHUP: what was read before stays"),
                },
                else => std::future::pending().await,
            }
        }
    }
}

async fn recv(signal: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    signal.as_mut()?.recv().await
}
