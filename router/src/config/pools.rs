//! Pools: what they inherit, who their servers are, and the route to these by hash.

use std::sync::Arc;
use std::time::Duration;

use cluster::{Topology, Weight};

use super::announced::Announced;
use super::check::Checker;
use super::node::{ConfigError, Node};
use super::servers::Alike;
use crate::debt::agents::ReplicatedPool;
use crate::health::eject::Ejecting;
use crate::pool::{Destination, GetErrors};
use crate::route::hash::{HashSettings, read_tags, read_weights};
use crate::route::{Blueprint, Domain, destination};

/// Keys of a pool.
const KEYS: [&str; 34] = [
    "servers",
    "name",
    "inherit",
    "protocol",
    "server_timeout",
    "connect_timeout",
    "weights",
    "tags",
    "hostnames",
    "failure_domains",
    "hash",
    "get_errors",
    "error_on_empty",
    "auto_eject_hosts",
    "server_failure_limit",
    "server_retry_timeout",
    "connections_per_server",
    "additional_fanout",
    "security_mech",
    "use_ssl",
    "tls_server_name",
    "tls_insecure_skip_verify",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "keep_routing_prefix",
    "region",
    "cluster",
    "port_override",
    // mcrouter reads these and does nothing about them either, without services and switches of Facebook's.
    "qos",
    "pool_locality",
    "services",
    "disable_request_deadline_check",
    "enable_compression",
];
/// Keys of mcrouter's that would change what happens, and do nothing here.
const UNSUPPORTED: [&str; 6] = [
    "security_mech_within_dc",
    "security_mech_cross_dc",
    "port_override_within_dc",
    "port_override_cross_dc",
    "tko_tracker",
    "max_outstanding",
];

/// A pool, checked.
#[derive(Clone)]
pub(crate) struct Pool {
    pub name: String,
    pub servers: Vec<Arc<Destination>>,
    pub(super) weights: Option<Vec<Weight>>,
    /// What DNS says of weights, where the file says nothing.
    pub(super) announced: Option<Announced>,
    /// What rendezvous hashes know the servers by, instead of their names.
    pub(super) tags: Option<Vec<String>>,
    /// The hash the pool names itself, else mcrouter's default where it is used.
    pub hash: Option<HashSettings>,
    pub(super) blueprints: Vec<Blueprint>,
    pub(super) error_on_empty: bool,
    /// mcrouter's `additional_fanout` gives each server so many places in a list that is hashed by place.
    pub(super) copies: usize,
    /// Which servers fail together, as far as the file says.
    pub domains: Vec<Option<Domain>>,
    /// Whether servers that keep failing leave the ring.
    pub eject: Option<Ejecting>,
}

impl Pool {
    /// As what holds every key on every server.
    pub(crate) fn replicated(&self) -> ReplicatedPool {
        ReplicatedPool {
            name: self.name.clone(),
            servers: self.servers.clone(),
        }
    }

    /// The routes to its servers, in order.
    pub(crate) fn blueprints(&self) -> Vec<Blueprint> {
        self.blueprints.clone()
    }

    /// Puts something around the route to each server; `around` is told its place in the list.
    pub(crate) fn wrap(&mut self, around: impl Fn(usize, Blueprint) -> Blueprint) {
        for (index, blueprint) in self.blueprints.iter_mut().enumerate() {
            *blueprint = around(index, Arc::clone(blueprint));
        }
    }

    fn names(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }

    /// Where its keys are under `settings`.
    pub(crate) fn topology(&self, settings: &HashSettings) -> Topology {
        let announced = || self.announced.as_ref()?.under(settings.kind);
        let weights = self.weights.clone().or_else(announced);
        settings.topology(self.names(), weights.as_deref())
    }
}

impl<'v> Checker<'v> {
    /// The pool that `node` names (or, as mcrouter has it, defines in place).
    pub(crate) fn pool(&mut self, node: &Node<'_>) -> Result<Pool, ConfigError> {
        if let Some(name) = node.argument() {
            return self.known_pool(name, node);
        }
        if node.is_string() {
            return self.known_pool(node.string()?, node);
        }
        let name = match node.get("name") {
            Some(name) => name.string()?.to_owned(),
            None => node.path.clone(),
        };
        let pool = self.read_pool(&name, node)?;
        self.pools.insert(name, pool.clone());
        Ok(pool)
    }

    pub(super) fn known_pool(&self, name: &str, node: &Node<'_>) -> Result<Pool, ConfigError> {
        self.pools.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.pools.keys().map(String::as_str).collect();
            node.unknown("pool", name, &known)
        })
    }

    pub(super) fn pool_named(&mut self, name: &str, pools: &Node<'v>) -> Result<Pool, ConfigError> {
        if let Some(pool) = self.pools.get(name) {
            return Ok(pool.clone());
        }
        let node = pools.need(name)?;
        if self.open.iter().any(|open| open == name) {
            return Err(node.error(&format!(
                "pools inherit from each other in a circle: {}",
                self.open.join(" from ")
            )));
        }
        self.open.push(name.to_owned());
        if let Some(parent) = node.get("inherit") {
            let parent_name = parent.string()?;
            if pools.get(parent_name).is_none() {
                let known: Vec<&str> = pools.entries()?.into_iter().map(|(name, _)| name).collect();
                return Err(parent.unknown("pool", parent_name, &known));
            }
            self.pool_named(parent_name, pools)?;
        }
        let pool = self.read_pool(name, &node)?;
        self.open.pop();
        self.pools.insert(name.to_owned(), pool.clone());
        Ok(pool)
    }

    /// The nearest value of a pool's key: its own, else of those it inherits from.
    pub(super) fn inherited<'n>(&self, node: &Node<'n>, name: &str) -> Option<Node<'n>>
    where
        'v: 'n,
    {
        let mut node = node.clone();
        loop {
            if let Some(value) = node.get(name) {
                return Some(value);
            }
            let parent = node.get("inherit")?.string().ok()?.to_owned();
            let root: Node<'n> = self.root.clone();
            node = root.get("pools")?.get(&parent)?;
        }
    }

    fn read_pool<'n>(&mut self, name: &str, node: &Node<'n>) -> Result<Pool, ConfigError>
    where
        'v: 'n,
    {
        if node.is_string() {
            return Err(node.error("a pool is an object, or file:PATH in a configuration file"));
        }
        node.only_supported(&KEYS, &UNSUPPORTED)?;
        if let Some(protocol) = self.inherited(node, "protocol")
            && protocol.string()? != "ascii"
        {
            return Err(protocol.error("only the protocol \"ascii\" is supported"));
        }
        let timeouts = self.timeouts_of(node)?;
        let get_errors = match self.inherited(node, "get_errors") {
            None => GetErrors::Miss,
            Some(policy) => match policy.string()? {
                "miss" => GetErrors::Miss,
                "error" => GetErrors::Error,
                other => return Err(policy.unknown("policy", other, &["miss", "error"])),
            },
        };
        let servers_node = self
            .inherited(node, "servers")
            .ok_or_else(|| node.error("needs \"servers\""))?;
        let alike = Alike {
            tls: self.tls_of(node)?,
            tls_if_written: self.server_tls(node)?,
            server_timeout: timeouts.server,
            connect_timeout: timeouts.connect,
            get_errors,
            connections: self.connections_of(node)?,
            port: self.port_of(node)?,
        };
        let servers = self.read_servers(&servers_node, &alike)?;
        for name in ["weights", "tags", "failure_domains", "hostnames"] {
            if let (Some(of_each), true) = (self.inherited(node, name), servers.vary) {
                return Err(of_each.error(
                    "names that stand for several servers (dns+, srv+) cannot go with a list that has a place for each",
                ));
            }
        }
        let (servers, announced) = (servers.all, servers.announced);
        let weights = self
            .inherited(node, "weights")
            .map(|weights| read_weights(&weights))
            .transpose()?;
        let tags = match self.inherited(node, "tags") {
            Some(tags) => Some(read_tags(&tags)?),
            None => None,
        };
        let hash = self
            .inherited(node, "hash")
            .map(|hash| HashSettings::read(&hash))
            .transpose()?;
        let error_on_empty = match self.inherited(node, "error_on_empty") {
            Some(flag) => flag.flag()?,
            None => true,
        };
        let domains = self.domains_of(node, servers.len())?;
        let route = |(server, domain): (&Arc<Destination>, &Option<Domain>)| {
            destination::blueprint(Arc::clone(server), domain.clone())
        };
        let blueprints = servers.iter().zip(&domains).map(route).collect();
        Ok(Pool {
            name: name.to_owned(),
            servers,
            weights,
            announced,
            tags,
            hash,
            blueprints,
            error_on_empty,
            copies: self.copies_of(node)?,
            domains,
            eject: self.ejecting(node)?,
        })
    }

    /// `failure_domains`: a number or a name for each server; 0 is none. `hostnames` are for people.
    fn domains_of<'n>(&self, node: &Node<'n>, servers: usize) -> Result<Vec<Option<Domain>>, ConfigError>
    where
        'v: 'n,
    {
        for name in ["failure_domains", "hostnames"] {
            if let Some(given) = self.inherited(node, name) {
                let count = given.list()?.len();
                if count != servers {
                    return Err(given.error(&format!("{count} for {servers} servers")));
                }
            }
        }
        let Some(given) = self.inherited(node, "failure_domains") else {
            return Ok(vec![None; servers]);
        };
        let read = |domain: &Node<'_>| {
            if domain.is_string() {
                return Ok(Some(Domain::from(domain.string()?)));
            }
            let number = domain.count()?;
            Ok((number > 0).then(|| Domain::from(number.to_string())))
        };
        given.list()?.iter().map(read).collect()
    }

    /// twemproxy's three keys.
    fn ejecting<'n>(&self, node: &Node<'n>) -> Result<Option<Ejecting>, ConfigError>
    where
        'v: 'n,
    {
        let failure_limit = match self.inherited(node, "server_failure_limit") {
            Some(limit) => limit.count()?.max(1) as u64,
            None => 2,
        };
        let rest = match self.inherited(node, "server_retry_timeout") {
            Some(rest) => rest.duration()?,
            None => Duration::from_secs(30),
        };
        let wanted = match self.inherited(node, "auto_eject_hosts") {
            Some(wanted) => wanted.flag()?,
            None => false,
        };
        Ok(wanted.then_some(Ejecting { failure_limit, rest }))
    }
}
