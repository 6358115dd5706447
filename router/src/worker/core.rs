//! What a worker works with: its clients, its servers, the route between them; and the end of each turn, when what was
//! said is sent.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::arena::{Arena, Id};
use super::linger::Linger;
use super::ready::{Readiness, SocketWaker, Token};
use crate::config::Config;
use crate::debt::claim::Inbox;
use crate::flow::Wishes;
use crate::frontend::Front;
use crate::route::{Builder, Handle};
use crate::settings::{Settings, Shared};
use crate::upstream::Upstream;
use crate::upstream::connection::Order;
use crate::upstream::inflight::Micros;

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
    pub(super) linger: Linger,
    /// Servers with something to be sent.
    pub(super) dirty_servers: Vec<Id<Upstream>>,
    /// The nearest deadline of the servers that were touched in this turn.
    pub(super) nearest: Option<Micros>,
    pub(super) ready: Arc<Readiness>,
    /// Where it is said that a debt is kept.
    pub(super) inbox: Arc<Inbox>,
    pub(super) inbox_waker: Arc<SocketWaker>,
    number: usize,
}
impl Core {
    pub(super) fn new(
        number: usize,
        config: Arc<Config>,
        shared: Arc<Shared>,
        ready: Arc<Readiness>,
    ) -> Self {
        let wishes = Wishes::new(Arc::clone(&shared.flushes));
        let counters = shared.registry.worker(&wishes.hot_keys);
        let inbox_waker = SocketWaker::new(Token::Debts, &ready);
        let mut core = Self {
            front: Front::new(counters, wishes),
            servers: Arena::new(),
            root: crate::route::null::handle(),
            config: Arc::clone(&config),
            settings: Arc::clone(&shared.settings),
            linger: Linger::new(shared.settings.linger),
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
        core
    }

    /// The time at the beginning of a turn.
    pub(super) fn set_time(&mut self, now: Micros) {
        self.now = now;
        self.front.wishes.now.set(now);
    }

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
        let mut connect = |destination: &Arc<crate::pool::Destination>, lane: usize| {
            let known = servers
                .iter()
                .find(|(_, upstream)| {
                    upstream.lane == lane && upstream.destination == *destination && !upstream.retired
                })
                .map(|(id, _)| id);
            let id = known.unwrap_or_else(|| {
                let counters = shared.registry.destination((*number, lane), destination);
                servers.insert_with(|id| {
                    let waker = SocketWaker::new(Token::Upstream(id.index()), ready);
                    let mut upstream =
                        Upstream::new(Arc::clone(destination), lane, counters, waker, &settings.upstream);
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
            worker: Rc::clone(&self.front.wishes),
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
    pub(super) fn order(&mut self, name: &str, order: Order) {
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
            let whose = (self.number, upstream.lane);
            self.shared.registry.forget(whose, &upstream.destination);
        }
    }
    /// After a bug: whatever may be half done is undone.
    pub(super) fn recover(&mut self, token: Token) {
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
    pub(super) fn server_ready(&mut self, index: u32, scratch: &mut [u8]) {
        let Some(id) = self.servers.id_at(index) else {
            return;
        };
        let Some(upstream) = self.servers.get_mut(id) else {
            return;
        };
        upstream.ready.taken();
        upstream.on_ready(scratch, self.now, &mut self.front);
        if let Some(round_trip_us) = upstream.round_trip_us.take() {
            self.linger.answered(round_trip_us);
        }
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
    pub(super) fn settle(&mut self) {
        // Failures while sending give composite requests more to do: so often, and the rest next turn.
        for _ in 0..4 {
            self.run_flows();
            if self.dirty_servers.is_empty() {
                break;
            }
            self.flush_servers();
        }
        self.flush_clients();
        self.nearest = nearer(self.nearest, self.front.wishes.next_timer());
        if !(self.is_idle() && self.dirty_servers.is_empty()) {
            self.ready.requeue(Token::Control);
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

    pub(super) fn on_time(&mut self) {
        self.front.wishes.on_time();
        let mut dead = Vec::new();
        let all: Vec<_> = self.servers.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(upstream) = self.servers.get_mut(id) {
                upstream.on_time(self.now, &mut self.front);
                if upstream.take_found_dead() && upstream.destination.connections > 1 {
                    dead.push(Arc::clone(&upstream.destination));
                }
                if upstream.retired {
                    self.retire(id);
                }
            }
        }
        self.share(&dead);
    }

    /// A server that does not answer over one connection is not asked over the others either.
    fn share(&mut self, dead: &[Arc<crate::pool::Destination>]) {
        for (_, upstream) in self.servers.iter_mut() {
            if dead.contains(&upstream.destination) {
                upstream.hear_it_is_dead(self.now, &mut self.front);
            }
        }
    }

    /// Whether a server owes a reply.
    pub(super) fn awaits_replies(&self) -> bool {
        self.servers.iter().any(|(_, upstream)| upstream.awaits_replies())
    }

    /// The nearest timer, of a server or of a composite request.
    pub(super) fn deadline(&self) -> Option<Micros> {
        let servers = self
            .servers
            .iter()
            .filter_map(|(_, upstream)| upstream.deadline())
            .min();
        nearer(servers, self.front.wishes.next_timer())
    }
}

pub(super) fn nearer(left: Option<Micros>, right: Option<Micros>) -> Option<Micros> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}
