//! Reading a configuration's JSON: each mistake is told with its path and the nearest thing that would have been right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Placement, Topology, Weight};
use serde_json::{Map, Value};

use crate::debt::agents::ReplicatedPool;
use crate::pool::{Destination, GetErrors, NamedAddress};
use crate::route::hash::{HashSettings, default_kind, read_weights};
use crate::route::{Blueprint, HANDLES, NOT_YET, destination, hash};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub(crate) struct ConfigError {
    /// `pools.A.servers[3]`, `route.children[0].type`; for text that is no JSON, line and column.
    pub path: String,
    pub message: String,
}

impl ConfigError {
    /// The same, naming the file: `FILE:LINE:COLUMN` or `FILE: PATH`.
    pub(crate) fn of_file(self, file: &std::path::Path) -> Self {
        let blank = if self.path.starts_with(|first: char| first.is_ascii_digit()) {
            ""
        } else {
            " "
        };
        Self {
            path: format!("{}:{blank}{}", file.display(), self.path),
            ..self
        }
    }
}

/// A place in the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Node<'v> {
    value: &'v Value,
    path: String,
    /// For the shorthand `Type|argument`.
    shorthand: Option<&'v str>,
}

impl<'v> Node<'v> {
    pub(crate) fn root(value: &'v Value) -> Self {
        Self {
            value,
            path: String::new(),
            shorthand: None,
        }
    }

    pub(crate) fn error(&self, message: &str) -> ConfigError {
        let path = if self.path.is_empty() {
            "config"
        } else {
            &self.path
        };
        ConfigError {
            path: path.to_owned(),
            message: message.to_owned(),
        }
    }

    /// "unknown WHAT NAME; did you mean NEAREST?"
    pub(crate) fn unknown(&self, what: &str, name: &str, known: &[&str]) -> ConfigError {
        self.error(&unknown(what, name, known))
    }

    fn child(&self, name: &str, value: &'v Value) -> Self {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let path = match (self.path.is_empty(), plain) {
            (true, true) => name.to_owned(),
            (false, true) => format!("{}.{name}", self.path),
            (_, false) => format!("{}[{}]", self.path, Value::from(name)),
        };
        Self {
            value,
            path,
            shorthand: None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        self.value.get(name).map(|value| self.child(name, value))
    }

    pub(crate) fn need(&self, name: &str) -> Result<Self, ConfigError> {
        self.get(name)
            .ok_or_else(|| self.error(&format!("needs {name:?}")))
    }

    pub(crate) fn is_string(&self) -> bool {
        self.value.is_string()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Whether it is only a type's name, without settings.
    pub(crate) fn is_name(&self) -> bool {
        self.value.is_string()
    }

    /// What stands behind the type in the shorthand `Type|argument`.
    pub(crate) fn argument(&self) -> Option<&'v str> {
        self.shorthand
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.error(&format!("expected {what}, found {}", self.kind()))
    }

    pub(crate) fn string(&self) -> Result<&'v str, ConfigError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(crate) fn number(&self) -> Result<f64, ConfigError> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub(crate) fn count(&self) -> Result<usize, ConfigError> {
        self.value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| self.expected("a whole number"))
    }

    /// `"200ms"`, or mcrouter's bare milliseconds.
    pub(crate) fn duration(&self) -> Result<Duration, ConfigError> {
        let duration = match self.value {
            Value::String(text) => crate::args::duration(text).map_err(|why| self.error(&why))?,
            _ => Duration::from_millis(
                self.value
                    .as_u64()
                    .ok_or_else(|| self.expected("milliseconds or a time such as \"200ms\""))?,
            ),
        };
        if duration.is_zero() {
            return Err(self.error("a timeout of 0 would fail every request"));
        }
        Ok(duration)
    }

    pub(crate) fn list(&self) -> Result<Vec<Self>, ConfigError> {
        let list = self.value.as_array().ok_or_else(|| self.expected("a list"))?;
        Ok(list
            .iter()
            .enumerate()
            .map(|(index, value)| Self {
                value,
                path: format!("{}[{index}]", self.path),
                shorthand: None,
            })
            .collect())
    }

    fn object(&self) -> Result<&'v Map<String, Value>, ConfigError> {
        self.value.as_object().ok_or_else(|| self.expected("an object"))
    }

    pub(crate) fn entries(&self) -> Result<Vec<(&'v str, Self)>, ConfigError> {
        Ok(self
            .object()?
            .iter()
            .map(|(name, value)| (name.as_str(), self.child(name, value)))
            .collect())
    }

    /// Refuses keys that mean nothing here.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        self.only_supported(known, &[])
    }

    /// The same, with keys of mcrouter's that are refused by name.
    pub(crate) fn only_supported(&self, known: &[&str], unsupported: &[&str]) -> Result<(), ConfigError> {
        for (name, value) in self.object()? {
            if known.contains(&name.as_str()) {
                continue;
            }
            let place = self.child(name, value);
            if unsupported.contains(&name.as_str()) {
                return Err(place.error("this setting of mcrouter's is not supported"));
            }
            return Err(place.unknown("key", name, known));
        }
        Ok(())
    }
}

/// "unknown WHAT NAME; did you mean NEAREST?", or the list when nothing is near.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    match near {
        Some((_, near)) => format!("unknown {what} {name:?}; did you mean {near:?}?"),
        None => format!("unknown {what} {name:?}; known are {}", known.join(", ")),
    }
}

/// A pool, checked.
#[derive(Clone)]
pub(crate) struct Pool {
    pub name: String,
    pub servers: Vec<Arc<Destination>>,
    pub weights: Option<Vec<Weight>>,
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

    fn names(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }

    /// Where its keys are under `settings`.
    pub(crate) fn topology(&self, settings: &HashSettings) -> Topology {
        settings.topology(self.names(), self.weights.as_deref())
    }
}

/// What settings fall back to.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub server_timeout: Duration,
    pub connect_timeout: Duration,
    pub host_id: String,
}

/// Checks a configuration from the top: pools first, then the route, handle by handle.
pub(crate) struct Checker<'v> {
    root: Node<'v>,
    defaults: &'v Defaults,
    pools: BTreeMap<String, Pool>,
    /// Handles with a name: checked once, when first referred to.
    named: BTreeMap<String, Blueprint>,
    definitions: BTreeMap<&'v str, Node<'v>>,
    /// Names on the way to the handle being checked, against circles.
    open: Vec<String>,
    /// Pools whose servers hold every key.
    pub replicated: Vec<ReplicatedPool>,
    /// How each pool is hashed, as far as the route told.
    pub placed: BTreeMap<String, HashSettings>,
}

impl<'v> Checker<'v> {
    pub(crate) fn new(value: &'v Value, defaults: &'v Defaults) -> Result<Self, ConfigError> {
        let root = Node::root(value);
        let mut checker = Self {
            definitions: BTreeMap::new(),
            root: root.clone(),
            defaults,
            pools: BTreeMap::new(),
            named: BTreeMap::new(),
            open: Vec::new(),
            replicated: Vec::new(),
            placed: BTreeMap::new(),
        };
        if let Some(handles) = root.get("named_handles") {
            checker.define(&handles)?;
        }
        if let Some(pools) = root.get("pools") {
            for (name, _) in pools.entries()? {
                checker.pool_named(name, &pools)?;
            }
        }
        Ok(checker)
    }

    fn define(&mut self, handles: &Node<'v>) -> Result<(), ConfigError> {
        if handles.is_list() {
            for handle in handles.list()? {
                let name = handle.need("name")?.string()?;
                self.definitions.insert(name, handle);
            }
        } else {
            self.definitions.extend(handles.entries()?);
        }
        Ok(())
    }

    pub(crate) fn host_id(&self) -> &str {
        &self.defaults.host_id
    }

    /// All pools, checked.
    pub(crate) fn pools(self) -> BTreeMap<String, Pool> {
        self.pools
    }

    // Pools

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

    fn known_pool(&self, name: &str, node: &Node<'_>) -> Result<Pool, ConfigError> {
        self.pools.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.pools.keys().map(String::as_str).collect();
            node.unknown("pool", name, &known)
        })
    }

    fn pool_named(&mut self, name: &str, pools: &Node<'v>) -> Result<Pool, ConfigError> {
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
            return Err(node.error("pools in files of their own (\"file:…\") are not supported"));
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
                "hash",
                "get_errors",
                "error_on_empty",
                "keep_routing_prefix",
                "region",
                "cluster",
            ],
            &[
                "tags",
                "security_mech",
                "security_mech_within_dc",
                "security_mech_cross_dc",
                "use_ssl",
                "port_override",
                "qos",
                "weights_rv",
                "failure_domains",
                "hostnames",
                "additional_fanout",
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
            servers.push(Arc::new(Destination {
                name: written.name,
                address: written.address,
                server_timeout,
                connect_timeout,
                get_errors,
            }));
        }
        let weights = self
            .inherited(node, "weights")
            .map(|weights| read_weights(&weights))
            .transpose()?;
        let hash = self
            .inherited(node, "hash")
            .map(|hash| HashSettings::read(&hash))
            .transpose()?;
        let error_on_empty = match self.inherited(node, "error_on_empty") {
            Some(flag) => flag.value.as_bool().ok_or_else(|| flag.expected("a boolean"))?,
            None => true,
        };
        let blueprints = servers.iter().cloned().map(destination::blueprint).collect();
        Ok(Pool {
            name: name.to_owned(),
            servers,
            weights,
            hash,
            blueprints,
            error_on_empty,
        })
    }

    /// The route to a pool's servers by hash.
    pub(crate) fn place(
        &mut self,
        node: &Node<'_>,
        pool: &Pool,
        settings: Option<HashSettings>,
    ) -> Result<Blueprint, ConfigError> {
        let settings = match settings.or_else(|| pool.hash.clone()) {
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
        if let Some(tags) = &settings.tags
            && tags.len() != pool.servers.len()
        {
            return Err(node.error(&format!("{} tags for {} servers", tags.len(), pool.servers.len())));
        }
        let placement = Placement::new(&pool.topology(&settings))
            .map_err(|error| node.error(&format!("pool {:?}: {error}", pool.name)))?;
        self.placed.insert(pool.name.clone(), settings.clone());
        Ok(hash::blueprint(
            Arc::new(placement),
            settings.salt,
            pool.blueprints(),
        ))
    }

    // Handles

    /// One handle: an object with a type, a name, or `Type|argument`.
    pub(crate) fn route(&mut self, node: &Node<'_>) -> Result<Blueprint, ConfigError> {
        if node.is_string() {
            return self.route_in_words(node.string()?, node);
        }
        if node.is_list() {
            return Err(node.expected("one route handle"));
        }
        let kind = node.need("type")?;
        let blueprint = self.handle(kind.string()?, &kind, node)?;
        if let Some(name) = node.get("name") {
            self.named
                .insert(name.string()?.to_owned(), Arc::clone(&blueprint));
        }
        Ok(blueprint)
    }

    fn route_in_words(&mut self, text: &str, node: &Node<'_>) -> Result<Blueprint, ConfigError> {
        if let Some(found) = self.named(text)? {
            return Ok(found);
        }
        let (kind, argument) = match text.split_once('|') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        let spelled = Node {
            value: node.value,
            path: node.path.clone(),
            shorthand: argument,
        };
        self.handle(kind, node, &spelled)
    }

    /// The handle of that name, if one is defined.
    fn named(&mut self, name: &str) -> Result<Option<Blueprint>, ConfigError> {
        if let Some(found) = self.named.get(name) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(definition) = self.definitions.get(name).cloned() else {
            return Ok(None);
        };
        if self.open.iter().any(|open| open == name) {
            return Err(definition.error(&format!("named handles refer to each other in a circle: {name}")));
        }
        self.open.push(name.to_owned());
        let blueprint = self.route(&definition)?;
        self.open.pop();
        self.named.insert(name.to_owned(), Arc::clone(&blueprint));
        Ok(Some(blueprint))
    }

    fn handle(&mut self, kind: &str, at: &Node<'_>, node: &Node<'_>) -> Result<Blueprint, ConfigError> {
        if let Some((_, parse)) = HANDLES.iter().find(|(name, _)| *name == kind) {
            return parse(node, self);
        }
        if NOT_YET.contains(&kind) {
            return Err(at.error(&format!("{kind} is not supported")));
        }
        if kind == "Pool" {
            return Err(at.error("Pool is a list of servers: it can only stand where children are expected"));
        }
        let names: Vec<&str> = HANDLES
            .iter()
            .map(|(name, _)| *name)
            .chain(self.definitions.keys().copied())
            .collect();
        Err(at.unknown("route handle", kind, &names))
    }

    /// The children of a handle: its `children`, or what stands behind its type. Lists in lists are one list, a
    /// `Pool` is its servers, an empty string is nobody.
    pub(crate) fn children(&mut self, node: &Node<'_>) -> Result<Vec<Blueprint>, ConfigError> {
        let mut children = Vec::new();
        match node.argument() {
            Some(argument) => self.child_in_words(argument, node, &mut children)?,
            None if node.is_name() => {}
            None => self.collect(&node.need("children")?, &mut children)?,
        }
        Ok(children)
    }

    fn collect(&mut self, node: &Node<'_>, children: &mut Vec<Blueprint>) -> Result<(), ConfigError> {
        if node.is_list() {
            for child in node.list()? {
                self.collect(&child, children)?;
            }
            return Ok(());
        }
        if node.is_string() {
            return self.child_in_words(node.string()?, node, children);
        }
        if node.get("type").is_some_and(|kind| kind.value == "Pool") {
            let pool = self.pool(&node.need("pool")?)?;
            children.extend(pool.blueprints());
            return Ok(());
        }
        children.push(self.route(node)?);
        Ok(())
    }

    fn child_in_words(
        &mut self,
        text: &str,
        node: &Node<'_>,
        children: &mut Vec<Blueprint>,
    ) -> Result<(), ConfigError> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(name) = text.strip_prefix("Pool|") {
            children.extend(self.known_pool(name, node)?.blueprints());
            return Ok(());
        }
        children.push(self.route_in_words(text, node)?);
        Ok(())
    }
}
