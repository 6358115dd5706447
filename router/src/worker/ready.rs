//! Which sockets have something to say. The runtime wakes a socket's waker; the waker leaves the socket's token here
//! and wakes the worker once, however many sockets became ready meanwhile.
//!
//! That is what lets one turn of a worker read everything that arrived before it writes anything: requests of several
//! clients to one server leave in one write, and so do replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use parking_lot::Mutex;

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The listening socket.
    Listener,
    /// Word from the main thread.
    Control,
    /// The moment the worker asked to be woken at.
    Bell,
    /// Debts that requests wait for are kept.
    Debts,
    /// A client's socket.
    Client(u32),
    /// A server's connection, or its connecting.
    Upstream(u32),
}

/// The tokens of one worker, filled by wakers.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Token>,
    worker: Option<Waker>,
}

impl Readiness {
    /// Moves the tokens into `into`, which must be empty; its room is used for the next ones. From now on the first
    /// token that comes wakes `worker`.
    pub(crate) fn take(&self, worker: &Waker, into: &mut Vec<Token>) {
        let mut state = self.0.lock();
        if !state.worker.as_ref().is_some_and(|known| known.will_wake(worker)) {
            state.worker = Some(worker.clone());
        }
        std::mem::swap(&mut state.tokens, into);
    }

    /// Leaves a token without waking anybody: for a worker that will look again by itself.
    pub(crate) fn requeue(&self, token: Token) {
        self.0.lock().tokens.push(token);
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().tokens.is_empty()
    }

    fn push(&self, token: Token) {
        let mut state = self.0.lock();
        let first = state.tokens.is_empty();
        state.tokens.push(token);
        if first && let Some(worker) = &state.worker {
            worker.wake_by_ref();
        }
    }
}

/// The waker of one socket. `queued` keeps its token from standing in the list twice.
#[derive(Debug)]
pub(crate) struct SocketWaker {
    token: Token,
    queued: AtomicBool,
    ready: Arc<Readiness>,
}

impl SocketWaker {
    pub(crate) fn new(token: Token, ready: &Arc<Readiness>) -> Arc<Self> {
        Arc::new(Self {
            token,
            queued: AtomicBool::new(false),
            ready: Arc::clone(ready),
        })
    }

    /// To be called when the token is taken up: from now on it may be queued again.
    pub(crate) fn taken(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// Queues the token without waking the worker, which is awake.
    pub(crate) fn queue(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.requeue(self.token);
        }
    }
}

impl Wake for SocketWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.push(self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Readiness, SocketWaker, Token};
    use std::sync::Arc;
    use std::task::Waker;

    #[test]
    fn a_socket_woken_twice_is_looked_at_once() {
        let ready = Arc::new(Readiness::default());
        let socket = SocketWaker::new(Token::Client(7), &ready);
        let waker = Waker::from(Arc::clone(&socket));
        waker.wake_by_ref();
        waker.wake_by_ref();
        let mut tokens = Vec::new();
        ready.take(Waker::noop(), &mut tokens);
        assert_eq!(tokens, [Token::Client(7)]);

        socket.taken();
        waker.wake_by_ref();
        tokens.clear();
        ready.take(Waker::noop(), &mut tokens);
        assert_eq!(tokens, [Token::Client(7)]);
    }
}
