//! Servers that record what they are asked and say what they are told to: for tests of the route tree, without a
//! socket. Stories are checked in [`stories`].

mod stage;
mod stories;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use stage::Stage;

use super::{Builder, Handle, Plan, Routed};
use crate::config::Config;
use crate::config::check::Defaults;
use crate::flow::Wishes;
use crate::pool::Destination;
use crate::request::OwnedRequest;
use crate::stats::DestinationCounters;
use crate::upstream::connection::Limits;
use crate::upstream::{ReplyTo, Upstream};
use crate::worker::arena::{Arena, Id};
use crate::worker::ready::{Readiness, SocketWaker, Token};

/// A tree over servers that record.
pub(crate) struct Recording {
    root: Handle,
    wishes: Rc<Wishes>,
    servers: Arena<Upstream>,
    destinations: Vec<(Id<Upstream>, Arc<Destination>)>,
}

impl Recording {
    pub(crate) fn of(config: &str) -> Self {
        Self::with(config, &Defaults::default())
    }

    /// The same, started with other flags.
    pub(crate) fn with(config: &str, defaults: &Defaults) -> Self {
        let source = crate::config::parse(config).expect("JSON");
        let config = Config::check(source, defaults, 1).expect("a good configuration");
        let ready = Arc::new(Readiness::default());
        let mut servers = Arena::new();
        let mut destinations: Vec<(Id<Upstream>, Arc<Destination>)> = Vec::new();
        let limits = Limits {
            timeouts_until_tko: 3,
            max_inflight: 10,
            tls: crate::tls::Tls::default(),
        };
        let mut connect = |destination: &Arc<Destination>, lane: usize| {
            if let Some((id, _)) = destinations.iter().find(|(_, known)| known == destination) {
                return *id;
            }
            let id = servers.insert_with(|id: Id<Upstream>| {
                let waker = SocketWaker::new(Token::Upstream(id.index()), &ready);
                Upstream::new(
                    Arc::clone(destination),
                    lane,
                    Arc::new(DestinationCounters::default()),
                    waker,
                    &limits,
                )
            });
            destinations.push((id, Arc::clone(destination)));
            id
        };
        let wishes = Rc::new(Wishes::default());
        let mut builder = Builder {
            connect: &mut connect,
            debts: crate::debt::Debts::for_tests(),
            worker: Rc::clone(&wishes),
            named: ahash::AHashMap::new(),
        };
        let root = builder.once(&config.root);
        drop(builder);
        Self {
            root,
            wishes,
            servers,
            destinations,
        }
    }

    fn name(&self, id: Id<Upstream>) -> &str {
        let found = self.destinations.iter().find(|(known, _)| *known == id);
        found.map_or("?", |(_, destination)| &destination.name)
    }

    /// Where the fast way sends a request: a server's name, `name?` if others may be asked after a failure, or what
    /// else becomes of it.
    pub(crate) fn fast(&self, line: &str) -> String {
        let request = OwnedRequest::spelled(line);
        let routing = crate::request::Routing {
            op: request.op,
            key: &request.key,
        };
        match self.root.route(routing, &self.servers) {
            Routed::To(id) => self.name(id).to_owned(),
            Routed::Try(id) => format!("{}?", self.name(id)),
            Routed::Nothing => "nothing".to_owned(),
            Routed::Hit(reply) => String::from_utf8_lossy(&reply).replace("\r\n", "~"),
            Routed::Refused(line) => String::from_utf8_lossy(&line).trim_end().to_owned(),
            Routed::Composite => "composite".to_owned(),
        }
    }

    /// Carries a request out. `says` gives each server's replies in turn (`timeout` for none; `~` ends a line; the last
    /// goes on). Tells who was asked what, in order, the answer when it is there, and what went on afterwards.
    pub(crate) fn play(&self, line: &str, says: &[(&str, &[&str])]) -> String {
        self.play_all(&[line], says)
    }

    /// The same for two at once.
    pub(crate) fn play_both(&self, one: &str, other: &str, says: &[(&str, &[&str])]) -> String {
        self.play_all(&[one, other], says)
    }

    /// The same for several at once, begun in this order.
    pub(crate) fn play_all(&self, lines: &[&str], says: &[(&str, &[&str])]) -> String {
        let mut stage = Stage {
            tree: self,
            flows: Arena::new(),
            says,
            turns: HashMap::new(),
            told: Vec::new(),
        };
        for line in lines {
            let request = OwnedRequest::spelled(line);
            stage.begin(&self.root, &Rc::new(request), ReplyTo::Probe);
        }
        for _ in 0..200 {
            if !stage.turn() {
                break;
            }
        }
        let told = stage.told.join("\n");
        assert!(told.contains("=> "), "no answer to {lines:?}: {told}");
        told
    }

    /// How a request would go, indented.
    pub(crate) fn plan(&self, line: &str) -> String {
        let request = OwnedRequest::spelled(line);
        let mut plan = Plan::default();
        let routing = crate::request::Routing {
            op: request.op,
            key: &request.key,
        };
        self.root.destinations(routing, &mut plan);
        plan.text().to_owned()
    }

    /// Takes note of a request for `key`, as the worker does.
    pub(crate) fn seen(&self, key: &[u8]) {
        self.wishes.hot_keys.seen(key);
    }

    /// Says from where the next requests come.
    pub(crate) fn from(&self, client: u64) {
        self.wishes.from.set(client);
    }
}

/// Pools of one server each, one of the two together, and three replicas.
pub(crate) const POOLS: &str = r#""pools": {"A": {"servers": ["a=h:1"]}, "B": {"servers": ["b=h:2"]},
                                     "AB": {"servers": ["a=h:1", "b=h:2"], "hash": "rendezvous"},
                                     "R": {"servers": ["x=h:3", "y=h:4", "z=h:5"]}}"#;

/// `route` over [`POOLS`].
pub(crate) fn tree(route: &str) -> Recording {
    Recording::of(&format!("{{{POOLS}, \"route\": {route}}}"))
}
