//! Composite requests that wait until what they owe is kept: the way back from other threads into a worker.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use crate::flow::Flow;
use crate::worker::arena::Id;

/// What became of a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It survives this process, and no router that could know reads the replica.
    Kept,
    /// It will be paid if this process lives.
    InMemory,
    /// It is not owed: no room, or it could not be written.
    Refused,
}

/// A leg of a composite request that waits for a debt to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub inbox: Arc<Inbox>,
    pub flow: Id<Flow>,
    pub leg: u32,
}

impl Claim {
    /// Tells the worker.
    pub(crate) fn settle(self, settled: Settled) {
        self.inbox.put(self.flow, self.leg, settled);
    }
}

/// Where a worker finds what became of its claims.
#[derive(Debug)]
pub(crate) struct Inbox {
    settled: Mutex<Vec<(Id<Flow>, u32, Settled)>>,
    waker: Waker,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            settled: Mutex::default(),
            waker,
        })
    }

    fn put(&self, flow: Id<Flow>, leg: u32, settled: Settled) {
        self.settled.lock().push((flow, leg, settled));
        self.waker.wake_by_ref();
    }

    /// All that has been settled since the last time.
    pub(crate) fn take(&self) -> Vec<(Id<Flow>, u32, Settled)> {
        std::mem::take(&mut self.settled.lock())
    }
}
