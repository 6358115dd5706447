//! One worker thread: its own runtime, its own listeners, its own clients. A connection never changes thread once
//! served; a new one may be handed to a less loaded worker first.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::encode::response::TOO_MANY_CONNECTIONS;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::{Phase, TcpDoor};
use crate::clients::{Client, Peer, State};
use crate::clock::Stopwatch;
use crate::config::{ClientCerts, OverLimit, Transport};
use crate::connection::{self, End, Socket};
use crate::node::Node;
use crate::tls::Farewell;
use crate::watch::{CloseReason, Event};

/// A client on its way to a worker.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream, Peer, Transport),
    Unix(std::os::unix::net::UnixStream, Peer),
}

/// New clients that may wait for a worker; beyond that, whoever accepted serves.
pub(super) const INBOX_CLIENTS: usize = 64;

/// What a worker thread starts with.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) node: Arc<Node>,
    pub(super) tcp: Vec<TcpDoor>,
    pub(super) unix: Option<(std::os::unix::net::UnixListener, Arc<PathBuf>)>,
    pub(super) inbox: mpsc::Receiver<Accepted>,
    /// The inboxes of all workers, by index.
    pub(super) inboxes: Vec<mpsc::Sender<Accepted>>,
    pub(super) phase: watch::Receiver<Phase>,
    /// Told when a client asks the node to stop.
    pub(super) stop: Arc<Notify>,
    /// Told now and then, for workers that could not accept.
    pub(super) retry_accept: Arc<Notify>,
    /// Told, where clients over the limit wait, whenever one of any worker leaves.
    pub(super) room: Arc<Notify>,
}

/// What accepting and serving need; shared by the tasks of one worker.
struct Shared {
    index: usize,
    node: Arc<Node>,
    inboxes: Vec<mpsc::Sender<Accepted>>,
    stop: Arc<Notify>,
    retry_accept: Arc<Notify>,
    room: Arc<Notify>,
    /// Told whenever a client of this worker is gone.
    gone: Notify,
}

impl Worker {
    /// Serves until the phase says otherwise and the last client is gone.
    pub(super) async fn run(self) -> io::Result<()> {
        let Self {
            index,
            node,
            tcp,
            unix,
            mut inbox,
            inboxes,
            mut phase,
            stop,
            retry_accept,
            room,
        } = self;
        let shared = Arc::new(Shared {
            index,
            node,
            inboxes,
            stop,
            retry_accept,
            room,
            gone: Notify::new(),
        });
        let mut accepting = JoinSet::new();
        for TcpDoor { listener, transport } in tcp {
            let listener = TcpListener::from_std(listener)?;
            accepting.spawn(accept_tcp(listener, transport, Arc::clone(&shared)));
        }
        if let Some((listener, path)) = unix {
            let listener = UnixListener::from_std(listener)?;
            accepting.spawn(accept_unix(listener, path, Arc::clone(&shared)));
        }
        loop {
            tokio::select! {
                accepted = inbox.recv() => match accepted {
                    Some(accepted) => shared.take_in(accepted),
                    None => break,
                },
                changed = phase.changed() => if changed.is_err() || *phase.borrow() > Phase::Serving { break },
            }
        }
        accepting.shutdown().await;
        inbox.close();
        while let Ok(accepted) = inbox.try_recv() {
            shared.take_in(accepted);
        }
        drain(&shared, &mut phase).await;
        Ok(())
    }
}

/// Turns of the scheduler after which everything that had arrived before has been read: more than tokio's
/// `event_interval`, so that the sockets were asked in between.
const TURNS_TO_SETTLE: usize = 200;

async fn drain(shared: &Shared, phase: &mut watch::Receiver<Phase>) {
    let clients = &shared.node.workers[shared.index].clients;
    for _turn in 0..TURNS_TO_SETTLE {
        tokio::task::yield_now().await;
    }
    // Nothing is owed to an idle client. The others end by themselves once they are answered.
    clients.end(CloseReason::Shutdown, |client| {
        matches!(client.state(), State::Idle | State::Greeting | State::Watching)
    });
    loop {
        let gone = shared.gone.notified();
        if clients.len() == 0 {
            return;
        }
        if *phase.borrow_and_update() == Phase::Cutting {
            break;
        }
        tokio::select! {
            () = gone => {}
            changed = phase.changed() => if changed.is_err() { break },
        }
    }
    clients.end(CloseReason::Shutdown, |_anybody| true);
    // They end at their next turn, which is now.
    while clients.len() > 0 {
        tokio::task::yield_now().await;
    }
}

async fn accept_tcp(listener: TcpListener, transport: Transport, shared: Arc<Shared>) {
    loop {
        shared.room().await;
        match listener.accept().await {
            Ok((stream, remote)) => {
                let local = stream
                    .local_addr()
                    .or_else(|_unknown| listener.local_addr())
                    .unwrap_or(remote);
                let peer = Peer::Tcp { remote, local };
                if !shared.admit().await {
                    if let Ok(stream) = stream.into_std() {
                        // A line in the clear would only puzzle a client that waits for a handshake.
                        if transport == Transport::Plain {
                            turn_away(stream);
                        }
                    }
                } else if let Some(inbox) = shared.less_loaded() {
                    if let Ok(stream) = stream.into_std() {
                        shared.hand_over(inbox, Accepted::Tcp(stream, peer, transport));
                    } else {
                        shared.node.connections.fetch_sub(1, Ordering::Relaxed);
                    }
                } else {
                    shared.serve_tcp(stream, peer, transport);
                }
            }
            Err(error) => shared.pause(&error).await,
        }
    }
}

async fn accept_unix(listener: UnixListener, path: Arc<PathBuf>, shared: Arc<Shared>) {
    loop {
        shared.room().await;
        match listener.accept().await {
            Ok((stream, _address)) => {
                let peer = Peer::Unix {
                    path: Arc::clone(&path),
                };
                if !shared.admit().await {
                    if let Ok(stream) = stream.into_std() {
                        turn_away(stream);
                    }
                } else if let Some(inbox) = shared.less_loaded() {
                    if let Ok(stream) = stream.into_std() {
                        shared.hand_over(inbox, Accepted::Unix(stream, peer));
                    } else {
                        shared.node.connections.fetch_sub(1, Ordering::Relaxed);
                    }
                } else {
                    shared.serve(stream, peer);
                }
            }
            Err(error) => shared.pause(&error).await,
        }
    }
}

/// Says why and hangs up. The socket does not block: a client that cannot take one line goes without it.
fn turn_away(mut stream: impl Write + AsFd) {
    let _too_bad = stream.write_all(TOO_MANY_CONNECTIONS);
}

impl Shared {
    /// Counts a new client in, if there is room for it, or once there is.
    async fn admit(&self) -> bool {
        let counters = &self.node.workers[self.index].counters;
        let limit = self.node.config.connections_max;
        loop {
            let admitted =
                self.node
                    .connections
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |connections| {
                        (connections < limit).then_some(connections + 1)
                    });
            if admitted.is_ok() {
                counters.connections_accepted.add(1);
                return true;
            }
            if self.node.config.over_limit == OverLimit::Refuse {
                counters.connections_rejected.add(1);
                return false;
            }
            self.room().await;
        }
    }

    /// Where clients over the limit have to wait: returns when there may be a place for one.
    async fn room(&self) {
        if self.node.config.over_limit == OverLimit::Refuse || self.has_room() {
            return;
        }
        self.node.workers[self.index].counters.listen_disabled.add(1);
        let _shut = ShutDoor::new(self);
        loop {
            let mut told = pin!(self.room.notified());
            // From here on nobody leaves unheard.
            told.as_mut().enable();
            if self.has_room() {
                return;
            }
            told.await;
        }
    }

    fn has_room(&self) -> bool {
        self.node.connections.load(Ordering::Relaxed) < self.node.config.connections_max
    }

    /// The worker that should serve the next client, if that is not this one. The kernel spreads connections by
    /// hash, which leaves some worker idle when there are few of them.
    fn less_loaded(&self) -> Option<&mpsc::Sender<Accepted>> {
        let load = |index: &usize| self.node.workers[*index].load.load(Ordering::Relaxed);
        let own = load(&self.index);
        let least = (0..self.inboxes.len()).min_by_key(load)?;
        (load(&least) < own).then(|| &self.inboxes[least])
    }

    fn hand_over(self: &Arc<Self>, inbox: &mpsc::Sender<Accepted>, accepted: Accepted) {
        if let Err(full_or_closed) = inbox.try_send(accepted) {
            self.take_in(full_or_closed.into_inner());
        }
    }

    fn take_in(self: &Arc<Self>, accepted: Accepted) {
        let taken = match accepted {
            Accepted::Tcp(stream, peer, transport) => {
                TcpStream::from_std(stream).map(|stream| self.serve_tcp(stream, peer, transport))
            }
            Accepted::Unix(stream, peer) => {
                UnixStream::from_std(stream).map(|stream| self.serve(stream, peer))
            }
        };
        if let Err(error) = taken {
            self.node.connections.fetch_sub(1, Ordering::Relaxed);
            warn!(%error, "client lost on its way to a worker");
        }
    }

    fn serve_tcp(self: &Arc<Self>, stream: TcpStream, peer: Peer, transport: Transport) {
        match transport {
            Transport::Plain => self.serve(stream, peer),
            Transport::Tls(kind) => self.serve_tls(stream, peer, kind),
        }
    }

    fn serve<S>(self: &Arc<Self>, stream: S, peer: Peer)
    where
        S: Socket + AsRawFd + Send + 'static,
    {
        let seat = Seat::take(self, peer, number_of(&stream));
        let client = Arc::clone(&seat.client);
        let task = tokio::spawn(async move {
            let Seat { shared, client } = &seat;
            let end = connection::serve(stream, &shared.node, shared.index, client).await;
            seat.leave(&end);
        });
        self.insert(client, task);
    }

    fn serve_tls(self: &Arc<Self>, stream: TcpStream, peer: Peer, kind: ClientCerts) {
        let seat = Seat::take(self, peer, number_of(&stream));
        let client = Arc::clone(&seat.client);
        client.set_state(State::Greeting);
        let task = tokio::spawn(async move {
            let Seat { shared, client } = &seat;
            let counters = &shared.node.workers[shared.index].counters;
            let end = match greet(&shared.node, stream, kind).await {
                Ok(stream) => connection::serve(stream, &shared.node, shared.index, client).await,
                Err(error) => {
                    counters.tls_handshake_errors.add(1);
                    End::Broken(error)
                }
            };
            if matches!(&end, End::Broken(error) if error.kind() == io::ErrorKind::InvalidData) {
                counters.tls_errors.add(1);
            }
            seat.leave(&end);
        });
        self.insert(client, task);
    }

    fn insert(&self, client: Arc<Client>, task: JoinHandle<()>) {
        let clients = &self.node.workers[self.index].clients;
        // The task has not run yet: this thread is the one that runs it.
        let slot = clients.insert(Arc::clone(&client), Box::new(move || task.abort()));
        client.sits_in(slot);
    }

    async fn pause(&self, error: &io::Error) {
        // Only a client that left before it was accepted is no reason to wait.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
        ) {
            return;
        }
        self.node.workers[self.index].counters.listen_disabled.add(1);
        warn!(%error, "cannot accept clients");
        // What is missing comes back when a client leaves; others of this process may give it back unseen.
        tokio::select! {
            () = self.gone.notified() => {}
            () = self.retry_accept.notified() => {}
        }
    }
}

/// What people know a connection by: the number of its file.
fn number_of(stream: &impl AsRawFd) -> i32 {
    stream.as_raw_fd()
}

/// The TLS handshake. Whoever takes too long over it is ended from outside, like a silent client.
async fn greet(node: &Node, stream: TcpStream, kind: ClientCerts) -> io::Result<Farewell> {
    let tls = node.tls.as_ref();
    let greeting = tls.and_then(|tls| tls.greeting(kind));
    let greeting = greeting.ok_or_else(|| io::Error::other("no certificates for this listener"))?;
    let buffer = tls.map(|tls| tls.config().write_buffer_bytes);
    TlsAcceptor::from(greeting)
        .accept_with(stream, |session| session.set_buffer_limit(buffer))
        .await
        .map(Farewell)
}

/// A listener that takes nobody in for now; counts how long.
struct ShutDoor<'s> {
    shared: &'s Shared,
    since: Stopwatch,
}

impl<'s> ShutDoor<'s> {
    fn new(shared: &'s Shared) -> Self {
        shared.node.doors_shut.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            since: Stopwatch::start(),
        }
    }
}

impl Drop for ShutDoor<'_> {
    fn drop(&mut self) {
        let Shared { node, index, .. } = self.shared;
        node.doors_shut.fetch_sub(1, Ordering::Relaxed);
        let waited = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        node.workers[*index].counters.listen_disabled_us.add(waited);
    }
}

/// A client's place at its worker, given up however its task ends.
struct Seat {
    shared: Arc<Shared>,
    client: Arc<Client>,
}

impl Seat {
    fn take(shared: &Arc<Shared>, peer: Peer, number: i32) -> Self {
        let now = shared.node.store.seconds(shared.node.now());
        shared.node.workers[shared.index]
            .load
            .fetch_add(1, Ordering::Relaxed);
        let client = Arc::new(Client::new(peer, number, now));
        shared.node.watchers.tell(&Event::Opened(&client));
        Self {
            shared: Arc::clone(shared),
            client,
        }
    }

    /// What is to be said and done about how the client ended.
    fn leave(&self, end: &End) {
        match end {
            End::Closed => {}
            End::HungUp => self.client.ends_for(CloseReason::Error),
            End::Shutdown => self.shared.stop.notify_one(),
            End::Broken(error) => {
                self.client.ends_for(CloseReason::Error);
                debug!(peer = ?self.client.peer(), %error, "client lost");
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { shared, client } = self;
        let worker = &shared.node.workers[shared.index];
        let reason = client.close_reason();
        shared.node.watchers.tell(&Event::Closed(client, reason));
        worker.clients.remove(client.slot());
        worker.load.fetch_sub(1, Ordering::Relaxed);
        shared.node.connections.fetch_sub(1, Ordering::Relaxed);
        shared.gone.notify_one();
        if shared.node.config.over_limit == OverLimit::Wait {
            shared.room.notify_waiters();
        }
    }
}
