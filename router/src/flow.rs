//! Composite requests: those that need more than one server, as futures that the worker polls between its sockets.
//!
//! A flow sends legs through its [`Caller`]; the worker queues them on their servers within the same turn and polls
//! the flow again when a leg's reply has come. No channel, no task: the legs' replies lie in a list the two share.
//! A leg may also be a flow of its own ([`Caller::start`]), which goes on to its end even if nobody waits for it.

use std::cell::{Cell, RefCell};
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use protocol::UnixSeconds;

use crate::clock;
use crate::debt::Replica;
use crate::hot_keys::HotKeys;
use crate::reply::Reply;
use crate::request::{Expect, Op, OwnedRequest};
use crate::route::{Answer, Handle};
use crate::upstream::inflight::Micros;
use crate::upstream::{ReplyTo, Upstream};
use crate::worker::arena::Id;

/// A composite request under way.
pub(crate) struct Flow {
    /// Taken out while it is polled.
    pub answer: Option<Answer>,
    pub legs: Legs,
    /// Whom its reply is for.
    pub to: ReplyTo,
    pub op: Op,
    pub expect: Expect,
    pub quiet: bool,
    /// What a miss would say.
    pub note: Bytes,
}

/// The replies of a flow's legs, by the order in which they were sent; taken when read.
pub(crate) type Legs = Rc<RefCell<Vec<Option<Reply>>>>;

/// A leg to be queued on its server.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub flow: Id<Flow>,
    pub leg: u32,
    pub to: Id<Upstream>,
    pub request: Rc<OwnedRequest>,
}

/// A debt to be kept before the flow goes on.
#[derive(Debug)]
pub(crate) struct Owing {
    pub flow: Id<Flow>,
    pub leg: u32,
    pub replica: Arc<Replica>,
    pub key: Bytes,
}

/// A request to be carried out by a flow of its own.
pub(crate) struct Started {
    pub route: Handle,
    pub request: Rc<OwnedRequest>,
    pub to: ReplyTo,
}

/// What flows ask of their worker, and what it tells them.
#[derive(Default)]
pub(crate) struct Wishes {
    pub owing: RefCell<Vec<Owing>>,
    pub outgoing: RefCell<Vec<Outgoing>>,
    pub started: RefCell<Vec<Started>>,
    pub failovers: Cell<u64>,
    /// Flows that another flow has something for.
    pub woken: RefCell<Vec<Id<Flow>>>,
    timers: RefCell<BinaryHeap<Timer>>,
    /// The time, as of the beginning of the turn.
    pub now: Cell<Micros>,
    /// A hash of the address of the client being served.
    pub from: Cell<u64>,
    /// What this worker is asked for most.
    pub hot_keys: HotKeys,
    /// Times all servers were flushed through this process.
    pub flushes: Arc<AtomicU64>,
    /// Gets answered by near caches and by the answers of others, not counted yet.
    pub near_hits: Cell<u64>,
    pub coalesced: Cell<u64>,
}

/// When a flow wants to be polled.
#[derive(Debug, PartialEq, Eq)]
struct Timer {
    at: Micros,
    flow: Id<Flow>,
}

/// The nearest is the greatest: so the heap has it on top.
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Wishes {
    /// Those of a worker in a process that counts its `flushes`.
    pub(crate) fn new(flushes: Arc<AtomicU64>) -> Self {
        Self {
            flushes,
            ..Self::default()
        }
    }

    /// When the next sleeper is to be woken.
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        self.timers.borrow().peek().map(|timer| timer.at)
    }

    /// Wakes the sleepers whose time has come.
    pub(crate) fn on_time(&self) {
        let now = self.now.get();
        let mut timers = self.timers.borrow_mut();
        while timers.peek().is_some_and(|timer| timer.at <= now) {
            if let Some(timer) = timers.pop() {
                self.woken.borrow_mut().push(timer.flow);
            }
        }
    }
}

/// With which a route handle sends.
#[derive(Clone)]
pub(crate) struct Caller {
    flow: Id<Flow>,
    legs: Legs,
    wishes: Rc<Wishes>,
}

impl Caller {
    pub(crate) fn new(flow: Id<Flow>, legs: &Legs, wishes: &Rc<Wishes>) -> Self {
        Self {
            flow,
            legs: Rc::clone(legs),
            wishes: Rc::clone(wishes),
        }
    }

    fn leg(&self) -> (u32, Leg) {
        let mut legs = self.legs.borrow_mut();
        let leg = legs.len();
        legs.push(None);
        let number = u32::try_from(leg).expect("a flow has few legs");
        let legs = Rc::clone(&self.legs);
        (number, Leg { legs, leg })
    }

    /// Sends the request to a server, at once; the future is its reply.
    pub(crate) fn send(&self, to: Id<Upstream>, request: Rc<OwnedRequest>) -> Leg {
        let (number, leg) = self.leg();
        self.wishes.outgoing.borrow_mut().push(Outgoing {
            flow: self.flow,
            leg: number,
            to,
            request,
        });
        leg
    }

    /// Has the request carried out by a route, at once; the future is its reply. It is carried out to the end whatever
    /// becomes of the future.
    pub(crate) fn start(&self, route: &Handle, request: &Rc<OwnedRequest>) -> Leg {
        let (number, leg) = self.leg();
        self.wishes.started.borrow_mut().push(Started {
            route: Rc::clone(route),
            request: Rc::clone(request),
            to: ReplyTo::Leg {
                id: self.flow,
                leg: number,
            },
        });
        leg
    }

    /// The same, with a reply that nobody waits for.
    pub(crate) fn start_unheard(&self, route: &Handle, request: &Rc<OwnedRequest>) {
        self.wishes.started.borrow_mut().push(Started {
            route: Rc::clone(route),
            request: Rc::clone(request),
            to: ReplyTo::Nobody,
        });
    }

    /// Has `replica` owed a delete of `key`; the future is there when that is kept. A failure says that it is not.
    pub(crate) fn owe(&self, replica: &Arc<Replica>, key: &Bytes) -> Leg {
        let (number, leg) = self.leg();
        self.wishes.owing.borrow_mut().push(Owing {
            flow: self.flow,
            leg: number,
            replica: Arc::clone(replica),
            key: key.clone(),
        });
        leg
    }

    /// Takes note that a request went on to another server.
    pub(crate) fn count_failover(&self) {
        self.wishes.failovers.set(self.wishes.failovers.get() + 1);
    }

    /// The worker's time.
    pub(crate) fn now(&self) -> Micros {
        self.wishes.now.get()
    }

    /// The time of day.
    pub(crate) fn unix() -> UnixSeconds {
        UnixSeconds(clock::unix().as_secs())
    }

    /// Ends when `span` has passed; the worker's timers are as fine as milliseconds.
    pub(crate) fn sleep(&self, span: Duration) -> Sleep {
        let at = self.now().after(span);
        self.wishes
            .timers
            .borrow_mut()
            .push(Timer { at, flow: self.flow });
        Sleep {
            at,
            wishes: Rc::clone(&self.wishes),
        }
    }

    /// With which another flow has this one polled.
    pub(crate) fn waker(&self) -> FlowWaker {
        FlowWaker {
            flow: self.flow,
            wishes: Rc::clone(&self.wishes),
        }
    }
}

/// A reply to come. The worker polls the flow when it has; no waker is needed.
pub(crate) struct Leg {
    legs: Legs,
    leg: usize,
}

impl Future for Leg {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Reply> {
        match self.legs.borrow_mut()[self.leg].take() {
            Some(reply) => Poll::Ready(reply),
            None => Poll::Pending,
        }
    }
}

/// See [`Caller::sleep`].
pub(crate) struct Sleep {
    at: Micros,
    wishes: Rc<Wishes>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if self.wishes.now.get() >= self.at {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Has a flow polled that waits for another one's doing.
#[derive(Clone)]
pub(crate) struct FlowWaker {
    flow: Id<Flow>,
    wishes: Rc<Wishes>,
}

impl FlowWaker {
    pub(crate) fn wake(&self) {
        self.wishes.woken.borrow_mut().push(self.flow);
    }
}
