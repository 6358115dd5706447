//! The loop beside the workers: it starts and stops them, answers operators, and gives the store its background time.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use super::worker::{INBOX_CLIENTS, Worker};
use super::{Bound, Phase, StartError};
use crate::admin;
use crate::clients::State;
use crate::node::Node;
use crate::watch::CloseReason;

/// How often the store gets background time, and the clock is read.
const TICK: Duration = Duration::from_millis(100);
/// Items looked at in one bite of background work, and bites per tick.
const TICK_ITEMS: usize = 256;
const TICK_BITES: usize = 64;
/// How often silent clients are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs the node on this and its own threads until `stop` is done, then drains. `started` is called once clients can
/// be served; `hurry` is asked for again while draining and cuts it short. Answers the node, which nobody uses any more.
pub(crate) fn serve<S, H>(
    bound: Bound,
    started: impl FnOnce(&Bound),
    stop: impl FnOnce() -> S,
    hurry: impl FnOnce() -> H,
) -> Result<Arc<Node>, StartError>
where
    S: Future<Output = ()>,
    H: Future<Output = ()>,
{
    let runtime = runtime().map_err(|error| StartError::system("start a runtime", error))?;
    runtime.block_on(async {
        let node = Arc::clone(&bound.node);
        let stop = stop();
        let workers = start_workers(&mut { bound }, started)?;
        tokio::select! {
            () = stop => info!("asked to stop"),
            () = workers.asked_to_stop.notified() => info!("a client asked to stop"),
            () = background(&node, &workers.retry_accept) => {}
        }
        node.draining.store(true, Ordering::Relaxed);
        drain(&node, workers, hurry()).await;
        Ok(node)
    })
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Workers have no timers: they would cost every wait a look at the clock.
fn worker_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

struct Started {
    phase: watch::Sender<Phase>,
    asked_to_stop: Arc<Notify>,
    retry_accept: Arc<Notify>,
    workers: Vec<JoinHandle<()>>,
}

fn start_workers(bound: &mut Bound, started: impl FnOnce(&Bound)) -> Result<Started, StartError> {
    let (phase, phases) = watch::channel(Phase::Serving);
    let [stop, retry_accept, room] = [(); 3].map(|()| Arc::new(Notify::new()));
    let listeners = std::mem::take(&mut bound.tcp);
    let mut unix = bound
        .unix
        .take()
        .map(|(listener, unix)| (listener, Arc::new(unix.path)));
    let (inboxes, outlets): (Vec<_>, Vec<_>) = listeners.iter().map(|_| mpsc::channel(INBOX_CLIENTS)).unzip();
    let mut workers = Vec::new();
    for ((index, tcp), inbox) in listeners.into_iter().enumerate().zip(outlets) {
        let worker = Worker {
            index,
            node: Arc::clone(&bound.node),
            tcp,
            unix: unix.take(),
            inbox,
            inboxes: inboxes.clone(),
            phase: phases.clone(),
            stop: Arc::clone(&stop),
            retry_accept: Arc::clone(&retry_accept),
            room: Arc::clone(&room),
        };
        let runtime = worker_runtime().map_err(|error| StartError::system("start a runtime", error))?;
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                if let Err(error) = runtime.block_on(worker.run()) {
                    error!(index, %error, "worker failed");
                }
            });
        workers.push(thread.map_err(|error| StartError::system("start a thread", error))?);
    }
    if let Some(listener) = bound.admin.take() {
        let node = Arc::clone(&bound.node);
        tokio::spawn(async move {
            if let Err(error) = admin::serve(listener, node).await {
                error!(%error, "admin endpoint failed");
            }
        });
    }
    started(bound);
    Ok(Started {
        phase,
        asked_to_stop: stop,
        retry_accept,
        workers,
    })
}

/// What goes on beside the clients; never ends by itself.
async fn background(node: &Node, retry_accept: &Notify) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweeps = interval(SWEEP);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                node.refresh_clock();
                tick_store(node).await;
            }
            _ = sweeps.tick() => {
                end_silent_clients(node);
                retry_accept.notify_waiters();
            }
        }
    }
}

async fn tick_store(node: &Node) {
    for _bite in 0..TICK_BITES {
        let now = node.store.seconds(node.now());
        if !node.store.tick(now, TICK_ITEMS) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

fn end_silent_clients(node: &Node) {
    let now = node.store.seconds(node.now());
    if node.tls.is_some() {
        for worker in &node.workers {
            worker.clients.end(CloseReason::Error, |client| {
                client.state() == State::Greeting && u64::from(client.silence(now)) > HANDSHAKE.as_secs()
            });
        }
    }
    let Some(timeout) = node.config.idle_timeout else {
        return;
    };
    for worker in &node.workers {
        let ended = worker.clients.end(CloseReason::Idle, |client| {
            client.state() != State::Watching && u64::from(client.silence(now)) > timeout.as_secs()
        });
        node.idle_kicks.fetch_add(ended as u64, Ordering::Relaxed);
    }
}

async fn drain(node: &Node, started: Started, hurry: impl Future<Output = ()>) {
    let Started { phase, workers, .. } = started;
    let _no_worker_left = phase.send(Phase::Draining);
    let (told, done) = tokio::sync::oneshot::channel();
    // Joining blocks, and this loop still answers operators meanwhile.
    let joiner = std::thread::Builder::new()
        .name("joiner".to_owned())
        .spawn(move || {
            for worker in workers {
                if worker.join().is_err() {
                    error!("a worker panicked");
                }
            }
            let _nobody_waits = told.send(());
        });
    if joiner.is_err() {
        return;
    }
    tokio::pin!(done);
    let patience = node.config.drain_timeout;
    let finished = tokio::select! {
        finished = timeout(patience, &mut done) => finished.is_ok(),
        () = hurry => false,
    };
    if !finished {
        warn!(
            clients = node.connections.load(Ordering::Relaxed),
            "cutting off the clients that are left"
        );
        let _no_worker_left = phase.send(Phase::Cutting);
        let _joined = done.await;
    }
    info!("stopped");
}
