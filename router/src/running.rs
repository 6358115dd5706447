//! A router whose threads run, and how it ends in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tracing::info;

use crate::debt::Debts;
use crate::worker::{Control, Mailbox};

/// Whether the process's signals are this router's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    Obey,
    Ignore,
}

/// A router whose threads run.
pub(crate) struct Running {
    pub addr: SocketAddr,
    /// Where clients are taken over TLS.
    pub tls_addr: Option<SocketAddr>,
    pub unix: Option<PathBuf>,
    pub admin_addr: Option<SocketAddr>,
    pub stop: Stop,
    pub workers: Vec<JoinHandle<()>>,
    pub side: Option<JoinHandle<()>>,
    pub debts: Arc<Debts>,
    /// They end when nobody can make or pay debts any more.
    pub debtors: Vec<JoinHandle<()>>,
    /// Embedded nodes outlive the workers that ask them.
    pub nodes: Vec<cache_node::embedded::Handle>,
}

/// Ends a router: from its handle, or from a signal.
#[derive(Clone)]
pub(crate) struct Stop {
    pub workers: Vec<Mailbox>,
    pub draining: Arc<AtomicBool>,
    pub drain_timeout: Duration,
    /// True once everything has ended.
    pub ended: watch::Sender<bool>,
}

impl Stop {
    pub(crate) fn drain(&self) {
        if !self.draining.swap(true, Ordering::Relaxed) {
            info!("draining: no new clients");
            for worker in &self.workers {
                worker.send(Control::Drain);
            }
        }
    }

    /// Drains, and ends when that has taken long enough.
    pub(crate) fn leave(&self) {
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

    pub(crate) fn stop(&self) {
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
