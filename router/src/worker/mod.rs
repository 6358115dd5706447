//! One worker: a thread, a runtime, a listener, clients, and a connection of its own to every server. Workers share
//! nothing but counters, which each writes for itself.
//!
//! A worker is one task. Each turn it takes the sockets that became ready, reads requests and replies, lets composite
//! requests go on, and then sends: first to servers, then to clients. So what arrived together leaves together.

pub(crate) mod alarm;
pub(crate) mod arena;
mod clients;
mod core;
mod flows;
mod linger;
pub(crate) mod listener;
pub(crate) mod ready;
pub(crate) mod socket;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tracing::warn;

use crate::clock;
use crate::config::Config;
use crate::frontend::questions;
use crate::request::Op;
use crate::settings::Shared;
use crate::upstream::connection::Order;
use crate::upstream::inflight::Micros;
use alarm::Bell;
pub(crate) use core::Core;
use core::nearer;
use listener::Listeners;
use ready::{Readiness, SocketWaker, Token};
use socket::Socket;

/// Room for one read.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Connections taken up in one turn.
const ACCEPTS_PER_TURN: usize = 64;
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
/// A worker; as a future it ends when it is told to.
pub(crate) struct Worker {
    core: Core,
    started: Instant,
    listener: Option<TcpListener>,
    unix: Option<UnixListener>,
    tls: Option<TcpListener>,
    listener_waker: (Arc<SocketWaker>, Waker),
    accept_again: Option<Micros>,
    control: mpsc::Receiver<Control>,
    control_waker: Arc<SocketWaker>,
    /// Rings for the nearest of its servers' deadlines.
    bell: Bell,
    bell_waker: Arc<SocketWaker>,
    bell_at: Option<Micros>,
    /// When there was last something to do.
    worked_at: Micros,
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
        let core = Core::new(number, config, shared, ready);
        let worker = Self {
            core,
            started: clock::now(),
            listener: Some(TcpListener::from_std(listeners.tcp)?),
            tls: listeners.tls.map(TcpListener::from_std).transpose()?,
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
            worked_at: Micros(0),
            tokens: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            draining: false,
        };
        listener_waker.queue();
        Ok((worker, mailbox))
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.core.set_time(self.time());
        let mut tokens = std::mem::take(&mut self.tokens);
        self.core.ready.take(cx.waker(), &mut tokens);
        let sockets = tokens.len();
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
        let spins = self.spins(sockets);
        self.arm(spins, cx);
        if !spins {
            self.linger(sockets);
        }
        if self.draining && self.core.front.clients.len() == 0 {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn time(&self) -> Micros {
        let elapsed = self.started.elapsed();
        Micros(elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros()))
    }

    /// At the end of a turn: waits for more to do, if that saves work.
    #[expect(
        clippy::disallowed_methods,
        reason = "the thread has nothing else to do, and no runtime's timer is as fine"
    )]
    fn linger(&mut self, sockets: usize) {
        let ended = self.core.linger.looks_at_the_clock().then(|| self.time());
        let core = &mut self.core;
        if let Some(wait) = core.linger.after_turn(sockets, core.now, ended)
            && core.ready.is_empty()
        {
            core.front.counters.lingers.add(1);
            std::thread::sleep(wait);
        }
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
                    self.tls = None;
                    self.core.close_gently(&mut self.scratch);
                }
                Control::Server(name, order) => self.core.order(&name, order),
                Control::Route(op, key, tell) => {
                    let found = questions::destinations(&self.core, op, &key);
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
            tls,
            core,
            ..
        } = self
        else {
            return;
        };
        let mut cx = Context::from_waker(&self.listener_waker.1);
        for _ in 0..ACCEPTS_PER_TURN {
            let accepted = match next_client(listener, unix.as_ref(), tls.as_ref(), &mut cx) {
                Poll::Ready(Ok((Accepted::Tls(stream), peer))) => match core.settings.tls.accept(stream) {
                    Some(session) => Poll::Ready(Ok((Socket::Tls(Box::new(session)), peer))),
                    None => continue,
                },
                Poll::Ready(Ok((Accepted::Plain(socket), peer))) => Poll::Ready(Ok((socket, peer))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            };
            match accepted {
                Poll::Pending => return,
                Poll::Ready(Ok((socket, peer))) => core.welcome(socket, peer),
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

    /// Whether to look again rather than to sleep: replies are to come, and it is not long since something came.
    fn spins(&mut self, sockets: usize) -> bool {
        if sockets > 0 {
            self.worked_at = self.core.now;
        }
        let spin = self.core.settings.spin;
        !spin.is_zero() && self.core.now < self.worked_at.after(spin) && self.core.awaits_replies()
    }

    /// Sets the bell to the nearest deadline, and asks to be polled `again`, or because sockets are left over.
    fn arm(&mut self, again: bool, cx: &mut Context<'_>) {
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
        if again || !self.core.ready.is_empty() {
            // Left over on purpose: the runtime looks for other events first.
            let again = std::pin::pin!(tokio::task::yield_now());
            let _ = again.poll(cx);
        }
    }
}

/// A client that has just come.
enum Accepted {
    Plain(Socket),
    /// Hands are not shaken yet.
    Tls(TcpStream),
}

/// The next client of any listener, and where it comes from.
fn next_client(
    tcp: &TcpListener,
    unix: Option<&UnixListener>,
    tls: Option<&TcpListener>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<(Accepted, Option<IpAddr>)>> {
    if let Some(Poll::Ready(accepted)) = tls.map(|tls| tls.poll_accept(cx)) {
        return Poll::Ready(accepted.map(|(stream, peer)| {
            let _ = stream.set_nodelay(true);
            (Accepted::Tls(stream), Some(peer.ip()))
        }));
    }
    if let Some(Poll::Ready(accepted)) = unix.map(|unix| unix.poll_accept(cx)) {
        return Poll::Ready(accepted.map(|(stream, _)| (Accepted::Plain(Socket::Unix(stream)), None)));
    }
    tcp.poll_accept(cx).map_ok(|(stream, peer)| {
        let _ = stream.set_nodelay(true);
        (Accepted::Plain(Socket::Tcp(stream)), Some(peer.ip()))
    })
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
