//! Sockets and the alarm around a core. The core is told what came and what time it is; it says what to send and when
//! to wake it. One thread, no channel: a reader task hands its batch of replies to the core, lets it send, flushes.
//!
//! ```text
//! epoll -> reader task -> Pipe::read -> Core::value/miss/… -> Core::pump -> Pipe -> one write per line
//!          alarm task  ---------------------------------------^
//! ```

use std::cell::{Ref, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::pipe::{Done, Failure, Item, Listener, Pipe};
use super::timer::Alarm;
use crate::clock;
use crate::workload::arrival::Nanos;

/// Room for replies that is asked for before a read: a pipelined batch fits, an idle connection stays small.
const READ_LEN: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_MIN: Duration = Duration::from_millis(5);
const RECONNECT_MAX: Duration = Duration::from_millis(250);
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
    /// Sends what is due. Called after every batch of replies and when woken.
    fn pump(&mut self, now: Nanos, wires: &mut Wires<Self::Ticket>);
    /// When to be pumped again though nothing came.
    fn next_wakeup(&self) -> Option<Nanos>;
    /// True when somebody outside should look: it has finished, or stands at a gate.
    fn wants_attention(&self) -> bool;
}

/// The connections, as a core sees them: numbered lines.
#[derive(Debug)]
pub struct Wires<T> {
    lines: Vec<Line<T>>,
    dirty: Vec<usize>,
    rejected: Vec<(usize, T)>,
}

#[derive(Debug)]
struct Line<T> {
    pipe: Pipe<T>,
    address: SocketAddr,
    up: bool,
    socket: Option<OwnedWriteHalf>,
    /// The socket took no more; the line's task waits until it does.
    blocked: bool,
    dirty: bool,
    /// Break the connection (stuck), or end the line (its target was removed).
    orders: Orders,
    waker: Option<Waker>,
    last_error: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Orders {
    Serve,
    Break,
    End,
}

impl<T: Copy> Wires<T> {
    /// Whether requests on this line can be sent now.
    #[must_use]
    pub fn is_up(&self, line: usize) -> bool {
        self.lines[line].up
    }

    /// Unanswered requests of a line.
    #[must_use]
    pub fn in_flight(&self, line: usize) -> usize {
        self.lines[line].pipe.in_flight()
    }

    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    pub fn get(&mut self, line: usize, key: &[u8], ticket: T, now: Nanos) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.get(key, ticket, now);
        }
    }

    /// See [`Pipe::multiget`]. On a line that is down every ticket is rejected.
    pub fn multiget(&mut self, line: usize, mut keys: impl FnMut(&mut BytesMut) -> Option<T>, now: Nanos) {
        if self.is_up(line) {
            self.mark(line);
            self.lines[line].pipe.multiget(keys, now);
        } else {
            let mut scratch = BytesMut::new();
            while let Some(ticket) = keys(&mut scratch) {
                self.rejected.push((line, ticket));
                scratch.clear();
            }
        }
    }

    pub fn set(
        &mut self,
        line: usize,
        item: &Item<'_>,
        value: impl FnOnce(&mut BytesMut),
        ticket: T,
        now: Nanos,
    ) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.set(item, value, ticket, now);
        }
    }

    pub fn delete(&mut self, line: usize, key: &[u8], ticket: T, now: Nanos) {
        if let Some(pipe) = self.pipe(line, ticket) {
            pipe.delete(key, ticket, now);
        }
    }

    /// The pipe to write on, or the ticket is rejected.
    fn pipe(&mut self, line: usize, ticket: T) -> Option<&mut Pipe<T>> {
        if self.is_up(line) {
            self.mark(line);
            Some(&mut self.lines[line].pipe)
        } else {
            self.rejected.push((line, ticket));
            None
        }
    }

    fn mark(&mut self, line: usize) {
        if !std::mem::replace(&mut self.lines[line].dirty, true) {
            self.dirty.push(line);
        }
    }

    /// One write per line that has something to send.
    fn flush(&mut self) {
        while let Some(line) = self.dirty.pop() {
            let line = &mut self.lines[line];
            line.dirty = false;
            if !line.blocked {
                line.flush();
            }
        }
    }
}

impl<T: Copy> Line<T> {
    /// Writes until everything is out or the socket is full. An error is left to the reader, who will see it too.
    fn flush(&mut self) {
        let Some(socket) = &self.socket else { return };
        self.blocked = false;
        while !self.pipe.unsent().is_empty() {
            match socket.try_write(self.pipe.unsent()) {
                Ok(n) => self.pipe.sent(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    break;
                }
                Err(_) => {
                    self.orders = self.orders.or_break();
                    break;
                }
            }
        }
        if self.blocked || self.orders != Orders::Serve {
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Orders {
    fn or_break(self) -> Self {
        if self == Self::Serve { Self::Break } else { self }
    }
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

/// A line's task: connect, serve until it breaks, connect again.
async fn keep_connected<C: Core>(inner: Rc<Inner<C>>, number: usize) {
    let address = inner.state.borrow().wires.lines[number].address;
    let mut pause = RECONNECT_MIN;
    loop {
        match connect(address).await {
            Ok((read, write)) => {
                pause = RECONNECT_MIN;
                {
                    let mut state = inner.state.borrow_mut();
                    state.wires.lines[number].socket = Some(write);
                    state.wires.lines[number].up = true;
                    let now = inner.now();
                    inner.turn(&mut state, now);
                }
                inner.connected.notify_waiters();
                let error = serve(&inner, number, read).await;
                inner.hang_up(number, error);
            }
            Err(error) => inner.state.borrow_mut().wires.lines[number].last_error = Some(error),
        }
        if inner.state.borrow().wires.lines[number].orders == Orders::End {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

async fn connect(address: SocketAddr) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// Reads until the connection ends, and says why it did.
async fn serve<C: Core>(inner: &Inner<C>, number: usize, mut read: OwnedReadHalf) -> io::Error {
    poll_fn(|cx| {
        loop {
            let state = &mut inner.state.borrow_mut();
            let line = &mut state.wires.lines[number];
            if line.orders != Orders::Serve {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
            if line.blocked && read.as_ref().poll_write_ready(cx).is_ready() {
                line.flush();
            }
            match poll_read(&mut read, line.pipe.input(), cx) {
                Poll::Pending => {
                    match &mut line.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(_)) => {
                    let now = inner.now();
                    let State { core, wires, .. } = &mut **state;
                    let heard = wires.lines[number].pipe.read(&mut Ear {
                        core,
                        at: At { now, line: number },
                    });
                    if let Err(broken) = heard {
                        return Poll::Ready(io::Error::new(io::ErrorKind::InvalidData, broken));
                    }
                    inner.turn(state, now);
                }
            }
        }
    })
    .await
}

fn poll_read(
    read: &mut OwnedReadHalf,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    input.reserve(READ_LEN);
    // The future keeps no state between polls, so making it anew each time loses nothing.
    pin!(read.read_buf(input)).poll(cx)
}

impl<C: Core> Inner<C> {
    /// The connection is gone: fail what waited on it and let the core go on.
    fn hang_up(&self, number: usize, error: io::Error) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let State { core, wires, .. } = &mut *state;
        let line = &mut wires.lines[number];
        line.socket = None;
        line.up = false;
        line.blocked = false;
        if line.orders == Orders::Break {
            line.orders = Orders::Serve;
        }
        let why = if error.kind() == io::ErrorKind::InvalidData {
            Failure::Nonsense
        } else {
            Failure::Disconnected
        };
        tracing::debug!(address = %line.address, %error, "connection ended");
        line.last_error = Some(error);
        line.pipe.reset(
            why,
            &mut Ear {
                core,
                at: At { now, line: number },
            },
        );
        self.turn(&mut state, now);
    }
}

/// Saturates after 584 years.
#[must_use]
pub fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A core without sockets, in a time of the test's own making.
#[cfg(test)]
pub(super) mod testing {
    use super::{At, Core, Ear, Line, Orders, Wires};
    use crate::drive::pipe::{Failure, Pipe};
    use crate::workload::arrival::Nanos;

    pub(in crate::drive) struct Bench<C: Core> {
        pub(in crate::drive) core: C,
        pub(in crate::drive) wires: Wires<C::Ticket>,
    }

    impl<C: Core> Bench<C> {
        pub(in crate::drive) fn new(core: C, lines: usize) -> Self {
            let line = |_| Line {
                pipe: Pipe::default(),
                address: ([127, 0, 0, 1], 1).into(),
                up: true,
                socket: None,
                blocked: false,
                dirty: false,
                orders: Orders::Serve,
                waker: None,
                last_error: None,
            };
            let wires = Wires {
                lines: (0..lines).map(line).collect(),
                dirty: Vec::new(),
                rejected: Vec::new(),
            };
            Self { core, wires }
        }

        /// Lets the core send; what it sent, per line.
        pub(in crate::drive) fn pump(&mut self, now: Nanos) -> Vec<Vec<u8>> {
            self.core.pump(now, &mut self.wires);
            for (line, ticket) in std::mem::take(&mut self.wires.rejected) {
                self.core.failed(At { now, line }, ticket, Failure::Disconnected);
            }
            let take = |line: &mut Line<C::Ticket>| {
                let bytes = line.pipe.unsent().to_vec();
                line.pipe.sent(bytes.len());
                line.dirty = false;
                bytes
            };
            self.wires.dirty.clear();
            self.wires.lines.iter_mut().map(take).collect()
        }

        /// The server says something.
        pub(in crate::drive) fn hear(&mut self, line: usize, bytes: &[u8], now: Nanos) {
            let pipe = &mut self.wires.lines[line].pipe;
            pipe.input().extend_from_slice(bytes);
            let heard = pipe.read(&mut Ear {
                core: &mut self.core,
                at: At { now, line },
            });
            heard.expect("the fake server speaks the protocol");
        }

        /// The connection breaks and is not back.
        pub(in crate::drive) fn cut(&mut self, line: usize, now: Nanos) {
            self.wires.lines[line].up = false;
            let mut ear = Ear {
                core: &mut self.core,
                at: At { now, line },
            };
            self.wires.lines[line].pipe.reset(Failure::Disconnected, &mut ear);
        }
    }
}
