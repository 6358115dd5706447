//! Composite requests: those that need more than one server, as futures that the worker polls between its sockets.
//!
//! A flow sends legs through its [`Caller`]; the worker queues them on their servers within the same turn and polls
//! the flow again when a leg's reply has come. No channel, no task: the legs' replies lie in a list the two share.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::debt::Replica;
use crate::reply::Reply;
use crate::request::{Expect, Op, OwnedRequest};
use crate::route::Answer;
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

/// What flows ask of their worker.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub owing: RefCell<Vec<Owing>>,
    pub outgoing: RefCell<Vec<Outgoing>>,
    pub failovers: std::cell::Cell<u64>,
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

    /// Sends the request to a server, at once; the future is its reply.
    pub(crate) fn send(&self, to: Id<Upstream>, request: Rc<OwnedRequest>) -> Leg {
        let mut legs = self.legs.borrow_mut();
        let leg = u32::try_from(legs.len()).expect("a flow has few legs");
        legs.push(None);
        self.wishes.outgoing.borrow_mut().push(Outgoing {
            flow: self.flow,
            leg,
            to,
            request,
        });
        Leg {
            legs: Rc::clone(&self.legs),
            leg: leg as usize,
        }
    }

    /// Has `replica` owed a delete of `key`; the future is there when that is kept. A failure says that it is not.
    pub(crate) fn owe(&self, replica: &Arc<Replica>, key: &Bytes) -> Leg {
        let mut legs = self.legs.borrow_mut();
        let leg = u32::try_from(legs.len()).expect("a flow has few legs");
        legs.push(None);
        self.wishes.owing.borrow_mut().push(Owing {
            flow: self.flow,
            leg,
            replica: Arc::clone(replica),
            key: key.clone(),
        });
        Leg {
            legs: Rc::clone(&self.legs),
            leg: leg as usize,
        }
    }

    /// Takes note that a request went on to another server.
    pub(crate) fn count_failover(&self) {
        self.wishes.failovers.set(self.wishes.failovers.get() + 1);
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
