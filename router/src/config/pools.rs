//! Pools: what they inherit, who their servers are, and the route to these by hash.

use std::sync::Arc;

use cluster::{Placement, Topology, Weight};

use super::check::Checker;
use super::node::{ConfigError, Node};
use crate::debt::agents::ReplicatedPool;
use crate::pool::{Address, CONNECTIONS_MAX, Destination, GetErrors, NamedAddress};
use crate::route::hash::{HashSettings, default_kind, read_tags, read_weights};
use crate::route::{Blueprint, destination, hash};
use crate::tls::{ServerTls, Verify};

/// A pool, checked.
#[derive(Clone)]
pub(crate) struct Pool {
    pub name: String,
    pub servers: Vec<Arc<Destination>>,
    pub weights: Option<Vec<Weight>>,
    /// What rendezvous hashes know the servers by, instead of their names.
    tags: Option<Vec<String>>,
    /// The hash the pool names itself, else mcrouter's default where it is used.
    pub hash: Option<HashSettings>,
    blueprints: Vec<Blueprint>,
    error_on_empty: bool,
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
        settings.topology(self.names(), self.weights.as_deref())
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
    fn inherited<'n>(&self, node: &Node<'n>, name: &str) -> Option<Node<'n>>
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

    fn read_pool<'n>(&self, name: &str, node: &Node<'n>) -> Result<Pool, ConfigError>
    where
        'v: 'n,
    {
        if node.is_string() {
            return Err(node.error("a pool is an object, or file:PATH in a configuration file"));
        }
        node.only_supported(
            &[
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
                "connections_per_server",
                "additional_fanout",
                "security_mech",
                "use_ssl",
                "tls_server_name",
                "tls_insecure_skip_verify",
                "keep_routing_prefix",
                "region",
                "cluster",
            ],
            &[
                "security_mech_within_dc",
                "security_mech_cross_dc",
                "port_override",
                "qos",
                "weights_rv",
                "tko_tracker",
                "max_outstanding",
                "disable_request_deadline_check",
                "enable_compression",
            ],
        )?;
        if let Some(protocol) = self.inherited(node, "protocol")
            && protocol.string()? != "ascii"
        {
            return Err(protocol.error("only the protocol \"ascii\" is supported"));
        }
        let server_timeout = self
            .inherited(node, "server_timeout")
            .map_or_else(|| Ok(self.defaults.server_timeout), |timeout| timeout.duration())?;
        let connect_timeout = self
            .inherited(node, "connect_timeout")
            .map_or_else(|| Ok(self.defaults.connect_timeout), |timeout| timeout.duration())?;
        let get_errors = match self.inherited(node, "get_errors") {
            None => GetErrors::Miss,
            Some(policy) => match policy.string()? {
                "miss" => GetErrors::Miss,
                "error" => GetErrors::Error,
                other => return Err(policy.unknown("policy", other, &["miss", "error"])),
            },
        };
        let pool_tls = self.tls_of(node)?;
        let connections = self.connections_of(node)?;
        let servers_node = self
            .inherited(node, "servers")
            .ok_or_else(|| node.error("needs \"servers\""))?;
        let mut servers: Vec<Arc<Destination>> = Vec::new();
        for server in servers_node.list()? {
            let text = server.string()?;
            let written = NamedAddress::read(text).map_err(|why| server.error(&why))?;
            if servers.iter().any(|known| known.name == written.name) {
                return Err(server.error(&format!(
                    "server name {:?} is given twice in this pool",
                    written.name
                )));
            }
            let wanted = written.tls.unwrap_or(pool_tls.is_some());
            let tls = match &pool_tls {
                _ if !wanted || matches!(written.address, Address::Unix(_)) => None,
                Some(tls) => Some(tls.clone()),
                None => Some(self.server_tls(node)?),
            };
            if tls.as_ref().is_some_and(|tls| tls.verify == Verify::Identity) && !self.defaults.tls_trust {
                return Err(server.error("TLS to servers needs --tls-ca: who vouches for them"));
            }
            servers.push(Arc::new(Destination {
                name: written.name,
                address: written.address,
                tls,
                server_timeout,
                connect_timeout,
                get_errors,
                connections,
            }));
        }
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
        let blueprints = servers.iter().cloned().map(destination::blueprint).collect();
        Ok(Pool {
            name: name.to_owned(),
            servers,
            weights,
            tags,
            hash,
            blueprints,
            error_on_empty,
        })
    }

    /// How many connections each worker has to a server of a pool: `connections_per_server`, or mcrouter's
    /// `additional_fanout`, which counts from the second.
    fn connections_of<'n>(&self, node: &Node<'n>) -> Result<usize, ConfigError>
    where
        'v: 'n,
    {
        let (count, said) = match self.inherited(node, "connections_per_server") {
            Some(count) => (count.count()?, count),
            None => match self.inherited(node, "additional_fanout") {
                Some(more) => (more.count()?.saturating_add(1), more),
                None => return Ok(self.defaults.connections),
            },
        };
        if (1..=CONNECTIONS_MAX).contains(&count) {
            Ok(count)
        } else {
            Err(said.error(&format!(
                "a worker has 1 to {CONNECTIONS_MAX} connections to a server, not {count}"
            )))
        }
    }

    /// How a pool wants its servers spoken to over TLS, if it does.
    fn tls_of<'n>(&self, node: &Node<'n>) -> Result<Option<ServerTls>, ConfigError>
    where
        'v: 'n,
    {
        let wanted = match (
            self.inherited(node, "security_mech"),
            self.inherited(node, "use_ssl"),
        ) {
            (Some(mechanism), _) => match mechanism.string()? {
                "plain" => false,
                "tls" | "ssl" | "fizz" | "ktls12" => true,
                other => return Err(mechanism.unknown("security", other, &["plain", "ssl", "tls"])),
            },
            (None, Some(flag)) => flag.flag()?,
            (None, None) => false,
        };
        // What is said of TLS is read in any case: a mistake in it is one.
        let tls = self.server_tls(node)?;
        Ok(wanted.then_some(tls))
    }

    /// What the servers of a pool have to prove.
    fn server_tls<'n>(&self, node: &Node<'n>) -> Result<ServerTls, ConfigError>
    where
        'v: 'n,
    {
        let mut tls = self.defaults.tls.clone();
        if let Some(name) = self.inherited(node, "tls_server_name") {
            tls.name = Some(name.string()?.to_owned());
        }
        if let Some(skip) = self.inherited(node, "tls_insecure_skip_verify") {
            tls.verify = if skip.flag()? {
                Verify::Nothing
            } else {
                Verify::Identity
            };
        }
        Ok(tls)
    }

    /// The route to a pool's servers by hash.
    pub(crate) fn place(
        &mut self,
        node: &Node<'_>,
        pool: &Pool,
        settings: Option<HashSettings>,
    ) -> Result<Blueprint, ConfigError> {
        let mut settings = match settings.or_else(|| pool.hash.clone()) {
            Some(settings) => settings,
            None => HashSettings::of(default_kind(node)?),
        };
        if pool.servers.is_empty() {
            return Ok(if pool.error_on_empty {
                crate::route::error::blueprint(&format!("pool {} has no servers", pool.name))
            } else {
                crate::route::null::blueprint()
            });
        }
        if settings.tags.is_none() {
            settings.tags.clone_from(&pool.tags);
        }
        if let Some(tags) = &settings.tags
            && tags.len() != pool.servers.len()
        {
            return Err(node.error(&format!("{} tags for {} servers", tags.len(), pool.servers.len())));
        }
        let placement = Placement::new(&pool.topology(&settings))
            .map_err(|error| node.error(&format!("pool {:?}: {error}", pool.name)))?;
        self.placed.insert(pool.name.clone(), settings.clone());
        Ok(hash::blueprint(
            format!("PoolRoute {}", pool.name),
            Arc::new(placement),
            settings.salt,
            pool.blueprints(),
        ))
    }
}
