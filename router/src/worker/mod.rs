//! One worker: a thread, a runtime, a listener, clients, and a connection of its own to every server. Workers share
//! nothing but counters, which each writes for itself.
//!
//! A worker is one task. Each turn it takes the sockets that became ready, reads requests and replies, lets composite
//! requests go on, and then sends: first to servers, then to clients. So what arrived together leaves together.

pub(crate) mod alarm;
pub(crate) mod arena;
pub(crate) mod listener;
pub(crate) mod ready;
pub(crate) mod socket;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::net::{TcpListener, UnixListener};
use tracing::{debug, warn};

use crate::clock;
use crate::config::Config;
use crate::debt::claim::{Claim, Inbox, Settled};
use crate::frontend::client::UNREAD_LIMIT_BYTES;
use crate::frontend::dispatch::Consumed;
use crate::frontend::{Client, Front, local};
use crate::reply::{Kind, Reply};
use crate::request::Op;
use crate::route::{Builder, Handle};
use crate::settings::{Settings, Shared};
use crate::stats::WorkerCounters;
use crate::upstream::connection::Order;
use crate::upstream::error::UpstreamError;
use crate::upstream::inflight::Micros;
use crate::upstream::{ReplyTo, Upstream};
use alarm::Bell;
use arena::{Arena, Id};
use listener::Listeners;
use ready::{Readiness, SocketWaker, Token};
use socket::{Read, Socket};

/// Room for one read.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Connections taken up in one turn.
const ACCEPTS_PER_TURN: usize = 64;
/// Reads of one client in one turn before others get theirs.
const READS_PER_TURN: usize = 4;
/// How long the listener rests when the system has no more file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// Timers are not finer than this.
const TICK_MIN: Duration = Duration::from_millis(2);

/// Word from the main thread.
pub(crate) enum Control {
    /// Another configuration; to be confirmed when it is in use.
    Configure(Arc<Config>, mpsc::Sender<()>),
    /// What an operator wants of the server of that name.
    Server(String, Order),
    /// The names of the servers that a request may reach, first choice first.
    Route(Op, Vec<u8>, mpsc::Sender<Vec<String>>),
    /// No new clients; end when those there are have been answered.
    Drain,
    /// End.
    Stop,
}

/// What requests and replies are handled with.
pub(crate) struct Core {
    pub front: Front,
    pub servers: Arena<Upstream>,
    pub root: Handle,
    pub config: Arc<Config>,
    pub settings: Arc<Settings>,
    pub shared: Arc<Shared>,
    /// The time, as of the beginning of the turn.
    pub now: Micros,
    /// Numbers retrievals of several keys; see [`Upstream::part`].
    pub stamp: u64,
    /// Lines to servers of the retrieval at hand; kept for its room.
    pub lines: Vec<(Id<Upstream>, u32)>,
    /// Servers with something to be sent.
    dirty_servers: Vec<Id<Upstream>>,
    /// The nearest deadline of the servers that were touched in this turn.
    nearest: Option<Micros>,
    ready: Arc<Readiness>,
    /// Where it is said that a debt is kept.
    inbox: Arc<Inbox>,
    inbox_waker: Arc<SocketWaker>,
    number: usize,
}

/// A worker; as a future it ends when it is told to.
pub(crate) struct Worker {
    core: Core,
    started: Instant,
    listener: Option<TcpListener>,
    unix: Option<UnixListener>,
    listener_waker: (Arc<SocketWaker>, Waker),
    accept_again: Option<Micros>,
    control: mpsc::Receiver<Control>,
    control_waker: Arc<SocketWaker>,
    /// Rings for the nearest of its servers' deadlines.
    bell: Bell,
    bell_waker: Arc<SocketWaker>,
    bell_at: Option<Micros>,
    tokens: Vec<Token>,
    scratch: Vec<u8>,
    draining: bool,
}

/// A worker from outside.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Control>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn send(&self, control: Control) {
        // A worker that is gone needs no telling.
        let _ = self.sender.send(control);
        self.waker.wake_by_ref();
    }
}

impl Worker {
    /// A worker on `listeners`; must be made inside its runtime.
    pub(crate) fn new(
        number: usize,
        listeners: Listeners,
        config: Arc<Config>,
        shared: Arc<Shared>,
    ) -> io::Result<(Self, Mailbox)> {
        let ready = Arc::new(Readiness::default());
        let (sender, control) = mpsc::channel();
        let control_waker = SocketWaker::new(Token::Control, &ready);
        let listener_waker = SocketWaker::new(Token::Listener, &ready);
        let bell_waker = SocketWaker::new(Token::Bell, &ready);
        let bell = shared.alarm.bell(Waker::from(Arc::clone(&bell_waker)));
        let mailbox = Mailbox {
            sender,
            waker: Waker::from(Arc::clone(&control_waker)),
        };
        let counters: Arc<WorkerCounters> = shared.registry.worker();
        let inbox_waker = SocketWaker::new(Token::Debts, &ready);
        let mut core = Core {
            front: Front::new(counters),
            servers: Arena::new(),
            root: crate::route::null::handle(),
            config: Arc::clone(&config),
            settings: Arc::clone(&shared.settings),
            shared,
            now: Micros(0),
            stamp: 0,
            lines: Vec::new(),
            dirty_servers: Vec::new(),
            nearest: None,
            ready,
            inbox: Inbox::new(Waker::from(Arc::clone(&inbox_waker))),
            inbox_waker,
            number,
        };
        core.configure(config);
        let worker = Self {
            core,
            started: clock::now(),
            listener: Some(TcpListener::from_std(listeners.tcp)?),
            unix: listeners.unix.map(UnixListener::from_std).transpose()?,
            listener_waker: (
                Arc::clone(&listener_waker),
                Waker::from(Arc::clone(&listener_waker)),
            ),
            accept_again: None,
            control,
            control_waker,
            bell,
            bell_waker,
            bell_at: None,
            tokens: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            draining: false,
        };
        listener_waker.queue();
        Ok((worker, mailbox))
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.core.ready.register(cx.waker());
        self.core.now = Micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX));
        let mut tokens = std::mem::take(&mut self.tokens);
        self.core.ready.take(&mut tokens);
        for token in tokens.drain(..) {
            match token {
                Token::Listener => self.accept(),
                Token::Control => {
                    self.control_waker.taken();
                    if self.obey().is_ready() {
                        return Poll::Ready(());
                    }
                }
                Token::Bell => self.bell_waker.taken(),
                Token::Debts => self.core.debts_kept(),
                Token::Client(_) | Token::Upstream(_) => self.serve(token),
            }
        }
        self.tokens = tokens;
        self.on_time();
        self.core.settle();
        self.arm(cx);
        if self.draining && self.core.front.clients.len() == 0 {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Reads a socket. A bug met by one connection costs that client its connection and the servers theirs, lest a
    /// half-written line go on as another; not the worker with everybody else.
    fn serve(&mut self, token: Token) {
        let Self { core, scratch, .. } = self;
        let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match token {
            Token::Client(index) => core.client_ready(index, scratch),
            Token::Upstream(index) => core.server_ready(index, scratch),
            Token::Listener | Token::Control | Token::Bell | Token::Debts => {}
        }));
        if served.is_err() {
            tracing::error!(
                ?token,
                "a bug: this connection and those to the servers are closed"
            );
            core.recover(token);
        }
    }

    fn obey(&mut self) -> Poll<()> {
        while let Ok(control) = self.control.try_recv() {
            match control {
                Control::Configure(config, done) => {
                    self.core.configure(config);
                    let _ = done.send(());
                }
                Control::Drain => {
                    // Whoever is in the queue already would be turned away with the socket.
                    self.accept();
                    self.draining = true;
                    self.listener = None;
                    self.unix = None;
                    self.core.close_gently(&mut self.scratch);
                }
                Control::Server(name, order) => self.core.order(&name, order),
                Control::Route(op, key, tell) => {
                    let found = local::destinations(&self.core, op, &key);
                    // Whoever asked may have given up.
                    let _ = tell.send(found.iter().map(|server| server.name.clone()).collect());
                }
                Control::Stop => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    fn accept(&mut self) {
        self.listener_waker.0.taken();
        let Self {
            listener: Some(listener),
            unix,
            core,
            ..
        } = self
        else {
            return;
        };
        let mut cx = Context::from_waker(&self.listener_waker.1);
        for _ in 0..ACCEPTS_PER_TURN {
            let local = unix.as_ref().map(|unix| unix.poll_accept(&mut cx));
            let accepted = match local {
                Some(Poll::Ready(accepted)) => Poll::Ready(accepted.map(|(stream, _)| Socket::Unix(stream))),
                Some(Poll::Pending) | None => listener.poll_accept(&mut cx).map_ok(|(stream, _)| {
                    let _ = stream.set_nodelay(true);
                    Socket::Tcp(stream)
                }),
            };
            match accepted {
                Poll::Pending => return,
                Poll::Ready(Ok(socket)) => core.welcome(socket),
                Poll::Ready(Err(error)) if is_the_clients(&error) => {}
                Poll::Ready(Err(error)) => {
                    warn!(%error, "cannot accept clients for the moment");
                    self.accept_again = Some(core.now.after(ACCEPT_REST));
                    return;
                }
            }
        }
        self.listener_waker.0.queue();
    }

    /// Timers of servers that are due.
    fn on_time(&mut self) {
        if self.bell_at.is_none_or(|at| at > self.core.now) {
            return;
        }
        self.bell_at = None;
        if self.accept_again.is_some_and(|at| at <= self.core.now) {
            self.accept_again = None;
            self.listener_waker.0.queue();
        }
        self.core.on_time();
    }

    /// Sets the bell to the nearest deadline, and asks to be polled again if sockets are left over.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let touched = self.core.nearest.take();
        let nearest = if self.bell_at.is_none() {
            self.core.deadline()
        } else {
            touched
        };
        let nearest = nearer(nearest, self.accept_again);
        if let Some(nearest) = nearest
            && self.bell_at.is_none_or(|at| nearest < at)
        {
            let nearest = nearest.max(self.core.now.after(TICK_MIN));
            self.bell_at = Some(nearest);
            self.bell.ring_at(self.started + Duration::from_micros(nearest.0));
        }
        if !self.core.ready.is_empty() {
            // Left over on purpose: the runtime looks for other events first.
            let again = std::pin::pin!(tokio::task::yield_now());
            let _ = again.poll(cx);
        }
    }
}

/// Errors of `accept` that concern one client that is gone already.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

impl Future for Worker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Everything in a worker is its own, and it bounds its turns itself.
        let worker = self.get_mut();
        let turn = std::pin::pin!(tokio::task::coop::unconstrained(std::future::poll_fn(|cx| {
            worker.turn(cx)
        })));
        turn.poll(cx)
    }
}

impl Core {
    /// Takes another configuration into use. Connections to servers that stay are kept.
    pub(crate) fn configure(&mut self, config: Arc<Config>) {
        let mut kept = Vec::new();
        let Self {
            servers,
            ready,
            shared,
            settings,
            number,
            now,
            ..
        } = self;
        let mut connect = |destination: &Arc<crate::pool::Destination>| {
            let known = servers
                .iter()
                .find(|(_, upstream)| upstream.destination == *destination && !upstream.retired)
                .map(|(id, _)| id);
            let id = known.unwrap_or_else(|| {
                let counters = shared.registry.destination(*number, destination);
                servers.insert_with(|id| {
                    let waker = SocketWaker::new(Token::Upstream(id.index()), ready);
                    let mut upstream =
                        Upstream::new(Arc::clone(destination), counters, waker, &settings.upstream);
                    upstream.drained = shared.drained.lock().contains(&destination.name);
                    upstream
                })
            });
            kept.push(id);
            if let Some(upstream) = servers.get_mut(id) {
                upstream.preconnect(*now);
            }
            id
        };
        let mut builder = Builder {
            connect: &mut connect,
            debts: Arc::clone(&shared.debts),
            named: ahash::AHashMap::new(),
        };
        let root = builder.once(&config.root);
        // Servers of pools that no route mentions are not connected to, but those mentioned in a pool's list are.
        drop(builder);
        self.root = root;
        self.config = config;
        let gone: Vec<_> = self
            .servers
            .iter()
            .map(|(id, _)| id)
            .filter(|id| !kept.contains(id))
            .collect();
        for id in gone {
            self.retire(id);
        }
    }

    /// Does with a server what an operator wants.
    fn order(&mut self, name: &str, order: Order) {
        let Self { servers, front, .. } = self;
        for (_, upstream) in servers.iter_mut() {
            if upstream.destination.name == name {
                upstream.order(order, self.now, front);
            }
        }
    }

    /// Lets go of a server, at once or when its last reply has come.
    fn retire(&mut self, id: Id<Upstream>) {
        if self.servers.get_mut(id).is_some_and(Upstream::retire)
            && let Some(upstream) = self.servers.remove(id)
        {
            self.shared.registry.forget(self.number, &upstream.destination);
        }
    }

    /// A new client.
    fn welcome(&mut self, socket: Socket) {
        let counters = &self.front.counters;
        if self.shared.clients.load(Ordering::Relaxed) >= self.settings.max_connections {
            counters.connections_rejected.add(1);
            if let Socket::Tcp(stream) = &socket {
                // A courtesy: nobody waits for it to arrive.
                let _ = stream.try_write(protocol::encode::response::TOO_MANY_CONNECTIONS);
            }
            return;
        }
        self.shared.clients.fetch_add(1, Ordering::Relaxed);
        counters.connections_accepted.add(1);
        counters.connections_open.add(1);
        let (ready, limits) = (&self.ready, self.settings.limits);
        let id = self.front.clients.insert_with(|id| {
            let waker = SocketWaker::new(Token::Client(id.index()), ready);
            Client::new(socket, waker, limits)
        });
        if let Some(client) = self.front.clients.get(id) {
            client.ready.queue();
        }
    }

    /// Reads a client, and sends its requests on their ways.
    fn client_ready(&mut self, index: u32, scratch: &mut [u8]) {
        let Some(id) = self.front.clients.id_at(index) else {
            return;
        };
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        client.ready.taken();
        if client.out.len() > client.sent || client.closing {
            self.front.mark(id);
        }
        for _ in 0..READS_PER_TURN {
            let Some(client) = self.front.clients.get_mut(id) else {
                return;
            };
            if client.closing || client.paused {
                return;
            }
            match read(client, scratch) {
                Ok((Read::Pending, _)) => return,
                Ok((Read::Eof, _)) => {
                    client.closing = true;
                    self.front.mark(id);
                    return;
                }
                Ok((Read::Full(length), Into::Scratch)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_scratch(id, &scratch[..length]);
                }
                Ok((Read::Drained(length), Into::Scratch)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_scratch(id, &scratch[..length]);
                    return;
                }
                Ok((Read::Full(length), Into::Input)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_input(id);
                }
                Ok((Read::Drained(length), Into::Input)) => {
                    self.front.counters.bytes_read.add(length as u64);
                    self.take_input(id);
                    return;
                }
                Err(error) => {
                    debug!(%error, "client gone");
                    self.part_with(id);
                    return;
                }
            }
        }
        if let Some(client) = self.front.clients.get(id) {
            client.ready.queue();
        }
    }

    /// After a bug: whatever may be half done is undone.
    fn recover(&mut self, token: Token) {
        let all: Vec<_> = self.servers.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(upstream) = self.servers.get_mut(id) {
                upstream.give_up_connection(self.now, &mut self.front);
            }
        }
        if let Token::Client(index) = token
            && let Some(id) = self.front.clients.id_at(index)
        {
            self.part_with(id);
        }
    }

    /// Requests that were read into the worker's own room: what is left over moves to the client's.
    fn take_scratch(&mut self, id: Id<Client>, bytes: &[u8]) {
        let consumed = self.requests(id, bytes);
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        match consumed {
            Consumed::Waiting { used, additional } => {
                if used < bytes.len() {
                    client
                        .input
                        .reserve(bytes.len() - used + additional.min(SCRATCH_BYTES));
                    client.input.extend_from_slice(&bytes[used..]);
                }
            }
            Consumed::Paused { used } => {
                client.input.extend_from_slice(&bytes[used..]);
                self.pause(id);
            }
            Consumed::Closing => {
                client.closing = true;
                self.front.mark(id);
            }
        }
    }

    /// Requests that lie in the client's own room.
    fn take_input(&mut self, id: Id<Client>) {
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        let mut input = std::mem::take(&mut client.input);
        let consumed = self.requests(id, &input);
        let Some(client) = self.front.clients.get_mut(id) else {
            return;
        };
        match consumed {
            Consumed::Waiting { used, additional } => {
                if used < input.len() {
                    input.advance(used);
                    input.reserve(additional.clamp(4096, 1024 * 1024));
                    client.input = input;
                }
            }
            Consumed::Paused { used } => {
                input.advance(used);
                client.input = input;
                self.pause(id);
            }
            Consumed::Closing => {
                client.closing = true;
                self.front.mark(id);
            }
        }
    }

    fn pause(&mut self, id: Id<Client>) {
        if let Some(client) = self.front.clients.get_mut(id)
            && !client.paused
        {
            client.paused = true;
            self.front.counters.paused.add(1);
            self.front.mark(id);
        }
    }

    fn server_ready(&mut self, index: u32, scratch: &mut [u8]) {
        let Some(id) = self.servers.id_at(index) else {
            return;
        };
        let Some(upstream) = self.servers.get_mut(id) else {
            return;
        };
        upstream.ready.taken();
        upstream.on_ready(scratch, self.now, &mut self.front);
        self.nearest = nearer(self.nearest, upstream.deadline());
        if upstream.unsent() {
            self.mark_server(id);
        }
        if self.servers.get(id).is_some_and(|upstream| upstream.retired) {
            self.retire(id);
        }
    }

    /// Has what is queued for a server sent at the end of the turn.
    pub(crate) fn mark_server(&mut self, id: Id<Upstream>) {
        if let Some(upstream) = self.servers.get_mut(id)
            && !upstream.dirty
        {
            upstream.dirty = true;
            self.dirty_servers.push(id);
        }
    }

    /// The end of a turn: composite requests go on, servers are sent to, then clients.
    fn settle(&mut self) {
        // Failures while sending give composite requests more to do: so often, and the rest next turn.
        for _ in 0..4 {
            self.run_flows();
            if self.dirty_servers.is_empty() {
                break;
            }
            self.flush_servers();
        }
        self.flush_clients();
        if !(self.front.woken.is_empty() && self.front.retries.is_empty() && self.dirty_servers.is_empty()) {
            self.ready.requeue(Token::Control);
        }
    }

    fn run_flows(&mut self) {
        // In the order in which they were answered: what one client wrote first reaches each server first.
        while !(self.front.retries.is_empty() && self.front.woken.is_empty()) {
            for retry in std::mem::take(&mut self.front.retries) {
                self.retry(&retry);
            }
            for id in std::mem::take(&mut self.front.woken) {
                self.run_flow(id);
            }
        }
        let failovers = self.front.wishes.failovers.take();
        if failovers > 0 {
            self.front.counters.failovers.add(failovers);
        }
    }

    pub(crate) fn run_flow(&mut self, id: Id<crate::flow::Flow>) {
        let Some(mut answer) = self.front.flows.get_mut(id).and_then(|flow| flow.answer.take()) else {
            return;
        };
        let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(reply) => {
                if let Some(flow) = self.front.flows.remove(id) {
                    self.front.concluded(&flow, &reply);
                }
                self.front.counters.flows.set(self.front.flows.len() as u64);
            }
            Poll::Pending => {
                if let Some(flow) = self.front.flows.get_mut(id) {
                    flow.answer = Some(answer);
                }
            }
        }
        self.send_legs();
    }

    /// Queues the legs that flows asked for.
    fn send_legs(&mut self) {
        for owing in self.front.wishes.owing.take() {
            let claim = Claim {
                inbox: Arc::clone(&self.inbox),
                flow: owing.flow,
                leg: owing.leg,
            };
            self.shared.debts.owe(&owing.replica, &owing.key, Some(claim));
        }
        let mut outgoing = self.front.wishes.outgoing.take();
        for leg in outgoing.drain(..) {
            let to = ReplyTo::Leg {
                id: leg.flow,
                leg: leg.leg,
            };
            let refused = match self.servers.get_mut(leg.to) {
                None => Some((UpstreamError::Removed, crate::pool::GetErrors::Miss)),
                Some(upstream) => match upstream.admits() {
                    Ok(()) => {
                        upstream.out().extend_from_slice(&leg.request.wire);
                        upstream.note().extend_from_slice(&leg.request.note);
                        upstream.commit(to, (leg.request.op, leg.request.expect), false, self.now);
                        None
                    }
                    Err(error) => {
                        upstream.counters.requests.add(1);
                        upstream.counters.errors.count(error);
                        Some((error, upstream.destination.get_errors))
                    }
                },
            };
            match refused {
                None => self.mark_server(leg.to),
                Some((error, gets)) => {
                    self.front.leg(leg.flow, leg.leg, Reply::Failed { error, gets });
                }
            }
        }
        *self.front.wishes.outgoing.borrow_mut() = outgoing;
    }

    /// Debts have been kept, or not: the requests that wait for that go on.
    fn debts_kept(&mut self) {
        self.inbox_waker.taken();
        for (flow, leg, settled) in self.inbox.take() {
            let reply = match settled {
                Settled::Kept => Reply::said(Kind::Ok, protocol::encode::response::OK),
                Settled::InMemory | Settled::Refused => Reply::Failed {
                    error: UpstreamError::NotSpooled,
                    gets: crate::pool::GetErrors::Error,
                },
            };
            self.front.leg(flow, leg, reply);
        }
    }

    fn flush_servers(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty_servers);
        for id in dirty.drain(..) {
            if let Some(upstream) = self.servers.get_mut(id) {
                upstream.dirty = false;
                upstream.flush(self.now, &mut self.front);
                self.nearest = nearer(self.nearest, upstream.deadline());
            }
        }
        if self.dirty_servers.is_empty() {
            self.dirty_servers = dirty;
        }
    }

    fn flush_clients(&mut self) {
        let mut dirty = std::mem::take(&mut self.front.dirty);
        for id in dirty.drain(..) {
            let Some(client) = self.front.clients.get_mut(id) else {
                continue;
            };
            client.dirty = false;
            let over = client.unread() > UNREAD_LIMIT_BYTES;
            let sent = client.flush(&mut self.front.buffers);
            match sent {
                Ok(written) if !over => self.front.counters.bytes_written.add(written as u64),
                _ => {
                    self.part_with(id);
                    continue;
                }
            }
            let Some(client) = self.front.clients.get_mut(id) else {
                continue;
            };
            // What a paused client had asked before the drain is still to be looked at.
            if client.closing && client.is_settled() && !client.paused {
                self.part_with(id);
            } else if client.paused && client.may_go_on() {
                client.paused = false;
                if !client.input.is_empty() {
                    self.take_input(id);
                }
                if let Some(client) = self.front.clients.get(id) {
                    client.ready.queue();
                }
            }
        }
        if self.front.dirty.is_empty() {
            self.front.dirty = dirty;
        }
    }

    fn part_with(&mut self, id: Id<Client>) {
        if self.front.clients.remove(id).is_some() {
            self.front.counters.connections_open.sub(1);
            self.shared.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Reads no client any more: each closes when it has its replies.
    fn close_gently(&mut self, scratch: &mut [u8]) {
        let all: Vec<_> = self.front.clients.iter().map(|(id, _)| id).collect();
        for id in all {
            // What it has asked already is still answered.
            self.client_ready(id.index(), scratch);
            if let Some(client) = self.front.clients.get_mut(id) {
                client.closing = true;
            }
            self.front.mark(id);
        }
    }

    fn on_time(&mut self) {
        let all: Vec<_> = self.servers.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(upstream) = self.servers.get_mut(id) {
                upstream.on_time(self.now, &mut self.front);
                if upstream.retired {
                    self.retire(id);
                }
            }
        }
    }

    fn deadline(&self) -> Option<Micros> {
        self.servers
            .iter()
            .filter_map(|(_, upstream)| upstream.deadline())
            .min()
    }
}

fn nearer(left: Option<Micros>, right: Option<Micros>) -> Option<Micros> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}

/// Whose room a read went to.
enum Into {
    Scratch,
    Input,
}

fn read(client: &mut Client, scratch: &mut [u8]) -> io::Result<(Read, Into)> {
    let mut cx = Context::from_waker(&client.waker);
    if client.input.is_empty() {
        return Ok((client.socket.read(&mut cx, scratch)?, Into::Scratch));
    }
    if client.input.capacity() == client.input.len() {
        client.input.reserve(SCRATCH_BYTES);
    }
    let read = client.socket.read_more(&mut cx, &mut client.input)?;
    if client.input.is_empty() {
        client.input = BytesMut::new();
    }
    Ok((read, Into::Input))
}
