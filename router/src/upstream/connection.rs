//! One worker's connection to one server: the shell around [`InFlight`] and [`Health`].
//!
//! ```text
//!   Idle ──request──▶ Connecting ──▶ Open ──closed while idle──▶ Idle
//!                        │ ▲          │
//!                  failed│ │pause over│TKO
//!                        ▼ │          ▼
//!                       Pausing ◀── Probing (version sent, nothing else)
//! ```
//! Requests queue while it connects and are refused while the server is TKO. It knows clients by name only: replies
//! and failures go to a [`Sink`].

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tracing::{debug, warn};

use super::error::UpstreamError;
use super::inflight::{Entry, InFlight, Micros, ValueAt};
use super::open::open;
use crate::flow::Flow;
use crate::frontend::{Client, Gather};
use crate::health::tko::{self, Change, Health, Outcome};
use crate::pool::Destination;
use crate::reply::Kind;
use crate::request::{Expect, Op};
use crate::stats::DestinationCounters;
use crate::tls::Tls;
use crate::worker::arena::Id;
use crate::worker::ready::SocketWaker;
use crate::worker::socket::Socket;

/// Bytes that may wait to be sent to one server; a request that finds more is refused.
const UNSENT_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Room a send buffer keeps when it is empty.
const UNSENT_KEPT_BYTES: usize = 256 * 1024;
/// How long the connection for a probe may take to open.
const PROBE_CONNECT_MAX: Duration = Duration::from_millis(400);
/// Reads per turn before other sockets get theirs.
const READS_PER_TURN: usize = 16;
/// The longest value taken from a server: memcached's largest `-I`.
pub(super) const REPLY_LEN_BYTES: usize = 1024 * 1024 * 1024;

/// Whom a reply is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyTo {
    /// A place in a client's queue. `retry`: the route has somebody else to ask if this fails.
    Client { id: Id<Client>, seq: u32, retry: bool },
    /// A part of a retrieval of several keys.
    Gather { id: Id<Gather>, part: u32 },
    /// A leg of a composite request.
    Leg { id: Id<Flow>, leg: u32 },
    /// The client asked not to hear of it.
    Nobody,
    /// The probe.
    Probe,
}

/// Where replies and failures go.
pub(crate) trait Sink {
    fn reply(
        &mut self,
        from: &Destination,
        entry: &Entry<ReplyTo>,
        kind: Kind,
        body: &[u8],
        values: &[ValueAt],
        now: Micros,
    );
    fn failed(&mut self, from: &Destination, entry: &Entry<ReplyTo>, note: &[u8], error: UpstreamError);
}

pub(super) type Connecting = Pin<Box<dyn Future<Output = io::Result<Socket>>>>;

pub(super) enum Link {
    Idle,
    Connecting(Connecting, Micros),
    /// The probe is on its way; its answer is due by then.
    Probing(Socket, Micros),
    Open(Socket),
    /// No connection until then.
    Pausing(Micros),
}

/// What the state is called in `stats servers`, /topology and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Up,
    Closed,
    SoftTko,
    HardTko,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [Self::New, Self::Up, Self::Closed, Self::SoftTko, Self::HardTko];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Up => "up",
            Self::Closed => "closed",
            Self::SoftTko => "soft_tko",
            Self::HardTko => "hard_tko",
        }
    }
}

/// A server as one worker knows it.
pub(crate) struct Upstream {
    pub destination: Arc<Destination>,
    /// Which of the worker's connections to it this is, counted from 0.
    pub lane: usize,
    pub counters: Arc<DestinationCounters>,
    pub(super) link: Link,
    pub(super) flight: InFlight<ReplyTo>,
    /// Requests not sent yet; the first `sent` bytes are. It begins with the first byte of a request.
    pub(super) out: BytesMut,
    pub(super) sent: usize,
    /// The beginning of a reply whose rest has not come.
    pub(super) partial: BytesMut,
    pub(super) health: Health,
    max_inflight: usize,
    unsent_max_bytes: usize,
    tls: Tls,
    pub ready: Arc<SocketWaker>,
    pub(super) waker: Waker,
    /// It was found not to answer since the worker's other connections to the server were last told.
    pub(super) found_dead: bool,
    /// Stands in the worker's list of those that have something to send.
    pub dirty: bool,
    /// No longer in the configuration: goes when its last reply has come.
    pub retired: bool,
    /// How long the newest reply took, until somebody takes note.
    pub round_trip_us: Option<u64>,
    /// An operator has taken it out of use: what is under way is answered, nothing new is sent.
    pub drained: bool,
    /// The retrieval that last opened a part here, and which part: see `Gather`.
    pub part: (u64, u32),
    /// Why it refused that part, if it did.
    pub refused: UpstreamError,
}

impl Upstream {
    pub(crate) fn new(
        destination: Arc<Destination>,
        lane: usize,
        counters: Arc<DestinationCounters>,
        ready: Arc<SocketWaker>,
        limits: &Limits,
    ) -> Self {
        // The bounds are the server's: its connections share them.
        let lanes = destination.connections.max(1);
        Self {
            destination,
            lane,
            counters,
            link: Link::Idle,
            flight: InFlight::new(REPLY_LEN_BYTES),
            out: BytesMut::new(),
            sent: 0,
            partial: BytesMut::new(),
            health: Health::new(limits.timeouts_until_tko),
            max_inflight: (limits.max_inflight / lanes).max(1),
            unsent_max_bytes: UNSENT_MAX_BYTES / lanes,
            tls: limits.tls.clone(),
            waker: Waker::from(Arc::clone(&ready)),
            ready,
            found_dead: false,
            dirty: false,
            retired: false,
            round_trip_us: None,
            drained: false,
            part: (0, 0),
            refused: UpstreamError::Tko,
        }
    }

    /// Whether a request may be queued now.
    pub(crate) fn admits(&self) -> Result<(), UpstreamError> {
        if self.health.tko().is_some() {
            return Err(UpstreamError::Tko);
        }
        if self.retired || self.drained {
            return Err(if self.retired {
                UpstreamError::Removed
            } else {
                UpstreamError::Drained
            });
        }
        if self.flight.len() >= self.max_inflight || self.out.len() - self.sent > self.unsent_max_bytes {
            return Err(UpstreamError::Busy);
        }
        Ok(())
    }

    /// Whether it is worth asking: for routes that can choose.
    pub(crate) fn is_up(&self) -> bool {
        self.health.tko().is_none() && !self.retired && !self.drained
    }

    /// Where the bytes of the next request go. [`Upstream::commit`] has to follow.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Where what has to be remembered of it goes.
    pub(crate) fn note(&mut self) -> &mut Vec<u8> {
        self.flight.note()
    }

    /// Queues the request just written.
    pub(crate) fn commit(&mut self, to: ReplyTo, what: (Op, Expect), quiet: bool, now: Micros) {
        self.flight.push(to, what, quiet, now);
        self.counters.requests.add(1);
        if matches!(self.link, Link::Idle) {
            self.connect(now);
        }
    }

    /// Whether something is queued that could be sent now.
    pub(crate) fn unsent(&self) -> bool {
        self.sent < self.out.len() && matches!(self.link, Link::Open(_))
    }

    /// Opens the connection before anybody asks for it.
    pub(crate) fn preconnect(&mut self, now: Micros) {
        if matches!(self.link, Link::Idle) {
            self.connect(now);
        }
    }

    pub(super) fn connect(&mut self, now: Micros) {
        let (destination, tls) = (Arc::clone(&self.destination), self.tls.clone());
        // A server that is gone is looked for often: a lost packet must not cost the second in which it is to be back.
        let patience = match self.health.tko() {
            Some(_) => self.destination.connect_timeout.min(PROBE_CONNECT_MAX),
            None => self.destination.connect_timeout,
        };
        let by = now.after(patience);
        self.link = Link::Connecting(Box::pin(open(destination, tls)), by);
        // The first poll starts it; it happens in this very turn.
        self.ready.queue();
    }

    /// Sends what is queued, as far as the socket takes it.
    pub(crate) fn flush(&mut self, now: Micros, sink: &mut impl Sink) {
        let Link::Open(socket) = &mut self.link else {
            return;
        };
        if self.sent == self.out.len() {
            return;
        }
        let mut cx = Context::from_waker(&self.waker);
        match socket.write(&mut cx, &self.out[self.sent..]) {
            Ok(written) => {
                self.sent += written;
                if self.sent == self.out.len() {
                    self.out.clear();
                    self.sent = 0;
                    if self.out.capacity() > UNSENT_KEPT_BYTES {
                        self.out = BytesMut::new();
                    }
                } else if self.sent > UNSENT_KEPT_BYTES {
                    self.drop_sent();
                }
            }
            Err(error) => {
                debug!(server = %self.destination.name, %error, "write failed");
                self.broke(UpstreamError::Closed, now, sink);
            }
        }
    }

    /// The socket, the connecting or the list of things to do has something for us.
    pub(crate) fn on_ready(&mut self, scratch: &mut [u8], now: Micros, sink: &mut impl Sink) {
        for _ in 0..READS_PER_TURN {
            match &mut self.link {
                Link::Idle | Link::Pausing(_) => return,
                Link::Connecting(connecting, _) => {
                    let mut cx = Context::from_waker(&self.waker);
                    match connecting.as_mut().poll(&mut cx) {
                        Poll::Pending => return,
                        Poll::Ready(Ok(socket)) => self.connected(socket, now, sink),
                        Poll::Ready(Err(error)) => {
                            debug!(server = %self.destination.name, %error, "connect failed");
                            self.connect_failed(now, sink);
                            return;
                        }
                    }
                }
                Link::Probing(..) | Link::Open(_) => {
                    if !self.read(scratch, now, sink) {
                        return;
                    }
                }
            }
        }
        self.ready.queue();
    }

    fn connected(&mut self, mut socket: Socket, now: Micros, sink: &mut impl Sink) {
        if self.health.tko().is_none() {
            self.link = Link::Open(socket);
            self.counters.state.set(State::Up as u64);
            self.flush(now, sink);
            return;
        }
        let mut cx = Context::from_waker(&self.waker);
        match socket.write(&mut cx, protocol::encode::request::VERSION) {
            Ok(_) => {
                self.flight
                    .push(ReplyTo::Probe, (Op::Get, Expect::Version), false, now);
                let by = now.after(self.destination.server_timeout);
                self.link = Link::Probing(socket, by);
            }
            Err(_) => self.connect_failed(now, sink),
        }
    }

    /// The other side closed.
    pub(super) fn closed(&mut self, now: Micros, sink: &mut impl Sink) {
        if matches!(self.link, Link::Probing(..)) {
            self.connect_failed(now, sink);
        } else if self.flight.is_empty() {
            // Servers restart, and close idle connections. The next request connects anew.
            debug!(server = %self.destination.name, "idle connection closed by the server");
            self.reset(Link::Idle);
            self.counters.state.set(State::Closed as u64);
        } else {
            self.broke(UpstreamError::Closed, now, sink);
        }
    }

    pub(super) fn violated(&mut self, why: &'static str, now: Micros, sink: &mut impl Sink) {
        warn!(server = %self.destination.name, why, "connection closed: the server sent something else than a reply");
        self.broke(UpstreamError::Protocol, now, sink);
    }

    /// Something went wrong on our side, perhaps in the middle of a line: nothing more is sent on this connection.
    pub(crate) fn give_up_connection(&mut self, now: Micros, sink: &mut impl Sink) {
        self.broke(UpstreamError::Protocol, now, sink);
    }

    /// The connection is of no more use; everything under way on it failed.
    fn broke(&mut self, error: UpstreamError, now: Micros, sink: &mut impl Sink) {
        self.counters.failures.add(1);
        let change = self.health.on(Outcome::Broken);
        self.reset(Link::Idle);
        self.counters.state.set(State::Closed as u64);
        self.changed(change, now);
        self.abandon(error, sink);
    }

    pub(super) fn connect_failed(&mut self, now: Micros, sink: &mut impl Sink) {
        self.counters.failures.add(1);
        let change = self.health.on(Outcome::ConnectFailed);
        self.reset(Link::Idle);
        self.changed(change, now);
        self.pause(now);
        self.abandon(UpstreamError::Connect, sink);
    }

    pub(super) fn changed(&mut self, change: Change, now: Micros) {
        let Change::Down(kind) = change else { return };
        warn!(server = %self.destination.name, address = %self.destination.address, kind = kind.name(), "server tko");
        self.counters.tkos.add(1);
        self.pause(now);
    }

    pub(super) fn pause(&mut self, now: Micros) {
        let Some(kind) = self.health.tko() else { return };
        self.counters.state.set(match kind {
            tko::Kind::Soft => State::SoftTko as u64,
            tko::Kind::Hard => State::HardTko as u64,
        });
        self.link = Link::Pausing(now.after(self.health.pause(rand::random::<f64>())));
    }

    pub(super) fn reset(&mut self, link: Link) {
        let old = std::mem::replace(&mut self.link, link);
        if let Link::Open(socket) | Link::Probing(socket, _) = old
            && !self.flight.is_empty()
        {
            // What the server has not taken yet it is not to get later: it would come behind newer writes.
            socket.abort();
        }
        self.partial = BytesMut::new();
    }

    pub(super) fn abandon(&mut self, error: UpstreamError, sink: &mut impl Sink) {
        self.out = BytesMut::new();
        self.sent = 0;
        if !self.flight.is_empty() {
            self.counters.losses.add(1);
            self.counters.given_up.set(0);
        }
        let Self {
            flight,
            destination,
            counters,
            ..
        } = self;
        flight.abandon(|entry, note| {
            if !matches!(entry.to, ReplyTo::Probe) {
                counters.errors.count(error);
                sink.failed(destination, &entry, note, error);
            }
        });
    }

    /// Whether it was found not to answer since this was last asked.
    pub(crate) fn take_found_dead(&mut self) -> bool {
        std::mem::take(&mut self.found_dead)
    }

    /// Another connection to the server found that it does not answer.
    pub(crate) fn hear_it_is_dead(&mut self, now: Micros, sink: &mut impl Sink) {
        let change = self.health.fail();
        if matches!(change, Change::Down(_)) {
            self.reset(Link::Idle);
            self.changed(change, now);
            self.abandon(UpstreamError::Timeout, sink);
        }
    }

    /// Does what an operator wants.
    pub(crate) fn order(&mut self, order: Order, now: Micros, sink: &mut impl Sink) {
        match order {
            Order::Drain => self.drained = true,
            Order::Undrain => {
                self.drained = false;
                self.preconnect(now);
            }
            Order::Up => {
                if self.health.tko().is_none() {
                    return;
                }
                // Nothing waits for a server that is TKO but its probe.
                self.reset(Link::Idle);
                self.abandon(UpstreamError::Closed, sink);
                self.health.forgive();
                self.connect(now);
            }
        }
    }

    /// Whether somebody waits for a reply of it.
    pub(crate) fn awaits_replies(&self) -> bool {
        self.flight.oldest().is_some()
    }

    /// Lets go of it because the configuration did; true once nothing waits for it any more.
    pub(crate) fn retire(&mut self) -> bool {
        self.retired = true;
        !self.awaits_replies()
    }
}

/// What an operator may want of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ask it nothing any more.
    Drain,
    Undrain,
    /// Ask it again although no probe was answered: ends a TKO, as far as the server bears it out.
    Up,
}

/// Bounds that hold for every server.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub timeouts_until_tko: u32,
    pub max_inflight: usize,
    /// How servers are spoken to that want it.
    pub tls: Tls,
}
