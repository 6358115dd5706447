//! Sockets and the alarm around a core. The core is told what came and what time it is; it says what to send and when
//! to wake it. One thread, no channel: a reader task hands its batch of replies to the core, lets it send, flushes.
//!
//! ```text
//! epoll -> reader task -> Pipe::read -> Core::value/miss/… -> Core::pump -> Pipe -> one write per line
//!          alarm task  ---------------------------------------^
//! ```

mod line;
mod wires;

use std::cell::{Ref, RefCell, RefMut};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::line::keep_connected;
pub use self::wires::Wires;
use self::wires::{Line, Orders};
use super::pipe::{Done, Failure, Listener, Pipe};
use super::timer::Alarm;
use crate::clock;
use crate::workload::arrival::Nanos;

/// How often unanswered requests are looked through for those that are too old.
const TIMEOUT_TICK: Nanos = 10_000_000;
/// A connection whose oldest request is older than this many timeouts is broken, not slow.
const STUCK_TIMEOUTS: u64 = 8;
/// A request that could not be sent at all is told so at once; the core is asked for the next after this pause.
const REJECTED_PAUSE: Nanos = 1_000_000;

/// When and where something came.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub now: Nanos,
    pub line: usize,
}

/// What drives: hears replies, decides what to send. Knows no socket and no clock.
pub trait Core {
    type Ticket: Copy + 'static;

    fn is_key(&mut self, ticket: &Self::Ticket, key: &[u8]) -> bool;
    fn value(&mut self, at: At, ticket: Self::Ticket, flags: u32, data: &[u8]);
    fn miss(&mut self, at: At, ticket: Self::Ticket);
    fn done(&mut self, at: At, ticket: Self::Ticket, done: Done);
    fn failed(&mut self, at: At, ticket: Self::Ticket, why: Failure);
    /// See [`Listener::won`]; for cores that ask for leases.
    fn won(&mut self, at: At, ticket: Self::Ticket, _cas: u64) {
        self.failed(at, ticket, Failure::Nonsense);
    }
    fn lost(&mut self, at: At, ticket: Self::Ticket) {
        self.failed(at, ticket, Failure::Nonsense);
    }
    /// Sends what is due. Called after every batch of replies and when woken.
    fn pump(&mut self, now: Nanos, wires: &mut Wires<Self::Ticket>);
    /// When to be pumped again though nothing came.
    fn next_wakeup(&self) -> Option<Nanos>;
    /// True when somebody outside should look: it has finished, or stands at a gate.
    fn wants_attention(&self) -> bool;
}

/// A core with its sockets. Dropping it closes them all.
pub struct Shell<C: Core> {
    inner: Rc<Inner<C>>,
    tasks: RefCell<JoinSet<()>>,
}

struct Inner<C: Core> {
    epoch: Instant,
    timeout: Nanos,
    alarm: Alarm,
    state: RefCell<State<C>>,
    attention: Notify,
    connected: Notify,
}

struct State<C: Core> {
    core: C,
    wires: Wires<C::Ticket>,
    /// When the alarm will ring.
    alarm_at: Nanos,
    timeouts_at: Nanos,
}

/// A target that could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("connect to {address} failed")]
pub struct ConnectError {
    pub address: SocketAddr,
    pub source: io::Error,
}

impl<C: Core + 'static> Shell<C> {
    /// Must be made inside a `LocalSet`. Times count from `epoch`; a reply later than `timeout` is a failure.
    pub fn new(core: C, epoch: Instant, timeout: Duration) -> io::Result<Self> {
        let inner = Rc::new(Inner {
            epoch,
            timeout: nanos(timeout).max(1),
            alarm: Alarm::new()?,
            state: RefCell::new(State {
                core,
                wires: Wires {
                    lines: Vec::new(),
                    dirty: Vec::new(),
                    rejected: Vec::new(),
                },
                alarm_at: Nanos::MAX,
                timeouts_at: 0,
            }),
            attention: Notify::new(),
            connected: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn_local(ring(Rc::clone(&inner)));
        Ok(Self {
            inner,
            tasks: RefCell::new(tasks),
        })
    }

    /// Opens `connections` lines to `address` and returns their numbers. They connect in the background, and again
    /// whenever they break.
    pub fn add_target(&self, address: SocketAddr, connections: usize) -> Range<usize> {
        let mut state = self.inner.state.borrow_mut();
        let first = state.wires.lines.len();
        for line in first..first + connections {
            state.wires.lines.push(Line {
                pipe: Pipe::default(),
                address,
                up: false,
                socket: None,
                blocked: false,
                dirty: false,
                orders: Orders::Serve,
                waker: None,
                last_error: None,
            });
            self.tasks
                .borrow_mut()
                .spawn_local(keep_connected(Rc::clone(&self.inner), line));
        }
        first..first + connections
    }

    /// Closes these lines for good; what they still wait for fails.
    pub fn remove_target(&self, lines: Range<usize>) {
        let mut state = self.inner.state.borrow_mut();
        for line in &mut state.wires.lines[lines] {
            line.orders = Orders::End;
            line.wake();
        }
    }

    /// Waits until all `lines` are connected, `patience` at most.
    pub async fn connected(&self, lines: Range<usize>, patience: Duration) -> Result<(), ConnectError> {
        let deadline = clock::now() + patience;
        loop {
            let notified = self.inner.connected.notified();
            {
                let mut state = self.inner.state.borrow_mut();
                let Some(down) = lines.clone().find(|line| !state.wires.is_up(*line)) else {
                    return Ok(());
                };
                if clock::now() >= deadline {
                    let line = &mut state.wires.lines[down];
                    let source = line
                        .last_error
                        .take()
                        .unwrap_or_else(|| io::ErrorKind::TimedOut.into());
                    return Err(ConnectError {
                        address: line.address,
                        source,
                    });
                }
            }
            tokio::select! {
                () = notified => {}
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
    }

    /// Nanoseconds since the epoch.
    pub fn now(&self) -> Nanos {
        self.inner.now()
    }

    /// Tells the core something and lets it send what follows from it. `change` must not call back into the shell.
    pub fn with<R>(&self, change: impl FnOnce(&mut C, Nanos) -> R) -> R {
        let now = self.inner.now();
        let mut state = self.inner.state.borrow_mut();
        let result = change(&mut state.core, now);
        self.inner.turn(&mut state, now);
        result
    }

    /// Looks at the core.
    pub fn core(&self) -> Ref<'_, C> {
        Ref::map(self.inner.state.borrow(), |state| &state.core)
    }

    /// Waits until the core wants attention.
    pub async fn attention(&self) {
        loop {
            let notified = self.inner.attention.notified();
            if self.inner.state.borrow().core.wants_attention() {
                return;
            }
            notified.await;
        }
    }

    /// Ends all connections and gives the core back. `None` while someone else holds the shell's insides (never, once
    /// its tasks are gone).
    pub async fn finish(self) -> Option<C> {
        let Self { inner, tasks } = self;
        tasks.into_inner().shutdown().await;
        Rc::into_inner(inner).map(|inner| inner.state.into_inner().core)
    }
}

impl<C: Core> Inner<C> {
    fn now(&self) -> Nanos {
        nanos(clock::now().saturating_duration_since(self.epoch))
    }

    /// What ends every visit: let the core send, flush, set the alarm.
    fn turn(&self, state: &mut RefMut<'_, State<C>>, now: Nanos) {
        let State {
            core,
            wires,
            alarm_at,
            timeouts_at,
        } = &mut **state;
        core.pump(now, wires);
        let mut wakeup = core.next_wakeup().unwrap_or(Nanos::MAX);
        if !wires.rejected.is_empty() {
            // The core may answer a rejection with another request: that one waits for the next turn.
            for (line, ticket) in std::mem::take(&mut wires.rejected) {
                core.failed(At { now, line }, ticket, Failure::Disconnected);
            }
            wakeup = wakeup.min(now + REJECTED_PAUSE);
        }
        wires.flush();
        if now >= *timeouts_at {
            *timeouts_at = now + TIMEOUT_TICK;
            give_up(core, wires, now, self.timeout);
        }
        wakeup = wakeup.min(*timeouts_at);
        if wakeup < *alarm_at {
            *alarm_at = wakeup;
            // A timer that cannot be set would hang the run; ringing at once only costs CPU, and the error shows.
            if let Err(error) = self.alarm.set(Duration::from_nanos(wakeup.saturating_sub(now))) {
                tracing::error!(%error, "the alarm could not be set");
            }
        }
        if core.wants_attention() {
            self.attention.notify_waiters();
        }
    }
}

fn give_up<C: Core>(core: &mut C, wires: &mut Wires<C::Ticket>, now: Nanos, timeout: Nanos) {
    for (number, line) in wires.lines.iter_mut().enumerate() {
        let Some(oldest) = line.pipe.oldest() else {
            continue;
        };
        line.pipe.give_up(
            now.saturating_sub(timeout),
            &mut Ear {
                core,
                at: At { now, line: number },
            },
        );
        if now.saturating_sub(oldest) > timeout.saturating_mul(STUCK_TIMEOUTS) {
            line.orders = line.orders.or_break();
            line.wake();
        }
    }
}

/// Passes what a pipe says on to the core, with the time and the line.
struct Ear<'a, C> {
    core: &'a mut C,
    at: At,
}

impl<C: Core> Listener<C::Ticket> for Ear<'_, C> {
    fn is_key(&mut self, ticket: &C::Ticket, key: &[u8]) -> bool {
        self.core.is_key(ticket, key)
    }
    fn value(&mut self, ticket: C::Ticket, flags: u32, data: &[u8]) {
        self.core.value(self.at, ticket, flags, data);
    }
    fn miss(&mut self, ticket: C::Ticket) {
        self.core.miss(self.at, ticket);
    }
    fn done(&mut self, ticket: C::Ticket, done: Done) {
        self.core.done(self.at, ticket, done);
    }
    fn failed(&mut self, ticket: C::Ticket, why: Failure) {
        self.core.failed(self.at, ticket, why);
    }
    fn won(&mut self, ticket: C::Ticket, cas: u64) {
        self.core.won(self.at, ticket, cas);
    }
    fn lost(&mut self, ticket: C::Ticket) {
        self.core.lost(self.at, ticket);
    }
}

/// The alarm's task.
async fn ring<C: Core>(inner: Rc<Inner<C>>) {
    loop {
        if let Err(error) = inner.alarm.rung().await {
            tracing::error!(%error, "the alarm is broken");
            return;
        }
        let mut state = inner.state.borrow_mut();
        state.alarm_at = Nanos::MAX;
        let now = inner.now();
        inner.turn(&mut state, now);
    }
}

/// Saturates after 584 years.
#[must_use]
pub fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
pub(super) mod testing;
