//! Checking a configuration from the top: pools first, then the route, handle by handle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub(crate) use super::node::{ConfigError, Node, REMARKS, unknown};
pub(crate) use super::pools::Pool;
use super::timeouts::Distances;
use crate::debt::agents::ReplicatedPool;
use crate::health::eject::Ejected;
use crate::names::table::{Question, Table};
use crate::route::big_value::BigValues;
use crate::route::failover::Leases;
use crate::route::hash::HashSettings;
use crate::route::near_cache::NearCaches;
use crate::route::{Blueprint, FOREIGN, HANDLES, shadow};
use crate::tls::{ServerTls, Tls};

/// What settings fall back to.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub server_timeout: Duration,
    pub connect_timeout: Duration,
    pub host_id: String,
    /// Connections of each worker to a server.
    pub connections: usize,
    /// Sessions with servers: where files of a pool's own are made ready.
    pub secure: Tls,
    /// What names stand for.
    pub names: Arc<Table>,
    /// Servers that are out of their pools' rings.
    pub ejected: Arc<Ejected>,
    /// How servers are spoken to over TLS, unless their pool says otherwise.
    pub tls: ServerTls,
    /// `/region/cluster/` of keys without a prefix, if somebody said so.
    pub route_prefix: Option<String>,
    pub unknown_prefix: UnknownPrefix,
    /// Timeouts of pools that say where they are.
    pub distances: Distances,
    /// Leases that were won from others than the first child of a failover.
    pub leases: Arc<Leases>,
    /// Near caches that are in use.
    pub near_caches: Arc<NearCaches>,
    /// Values that are stored in chunks, whatever the configuration says.
    pub big_values: Option<BigValues>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            server_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            host_id: "host".to_owned(),
            connections: 1,
            secure: Tls::default(),
            names: Arc::default(),
            ejected: Arc::default(),
            tls: ServerTls::default(),
            route_prefix: None,
            unknown_prefix: UnknownPrefix::PartOfTheKey,
            distances: Distances::default(),
            leases: Arc::default(),
            near_caches: Arc::default(),
            big_values: None,
        }
    }
}

/// What a key is that begins as with a routing prefix, which no route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownPrefix {
    /// A key like any other.
    PartOfTheKey,
    /// One of the default route, without the prefix.
    OfTheDefault,
}

/// Checks a configuration from the top: pools first, then the route, handle by handle.
pub(crate) struct Checker<'v> {
    pub(super) root: Node<'v>,
    pub(super) defaults: &'v Defaults,
    pub(super) pools: BTreeMap<String, Pool>,
    /// Handles with a name: checked once, when first referred to.
    named: BTreeMap<String, Blueprint>,
    definitions: BTreeMap<&'v str, Node<'v>>,
    /// Names on the way to the handle being checked, against circles.
    pub(super) open: Vec<String>,
    /// Pools whose servers hold every key.
    pub replicated: Vec<ReplicatedPool>,
    /// How each pool is hashed, as far as the route told.
    pub placed: BTreeMap<String, HashSettings>,
    /// What has to be asked of DNS.
    pub questions: BTreeSet<Question>,
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
            questions: BTreeSet::new(),
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

    pub(crate) const fn defaults(&self) -> &'v Defaults {
        self.defaults
    }

    pub(crate) fn host_id(&self) -> &str {
        &self.defaults.host_id
    }

    /// All pools, checked.
    pub(crate) fn pools(self) -> BTreeMap<String, Pool> {
        self.pools
    }

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
        if let Some((_, why)) = FOREIGN.iter().find(|(name, _)| *name == kind) {
            return Err(at.error(&format!("{kind} is not supported: {why}")));
        }
        if kind == "Pool" {
            return self.only_server(node);
        }
        let names: Vec<&str> = HANDLES
            .iter()
            .map(|(name, _)| *name)
            .chain(self.definitions.keys().copied())
            .collect();
        Err(at.unknown("route handle", kind, &names))
    }

    /// A `Pool` in the place of one handle: its server, if it has just one.
    fn only_server(&mut self, node: &Node<'_>) -> Result<Blueprint, ConfigError> {
        let pool = match node.argument() {
            Some(name) => self.known_pool(name, node)?,
            None => self.listed_pool(node)?,
        };
        let count = pool.servers.len();
        let mut servers = pool.blueprints();
        match (servers.pop(), count) {
            (Some(only), 1) => Ok(only),
            _ => Err(node.error(&format!(
                "Pool is a list, here of {count} servers: it can only stand where children are expected"
            ))),
        }
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

    pub(crate) fn collect(
        &mut self,
        node: &Node<'_>,
        children: &mut Vec<Blueprint>,
    ) -> Result<(), ConfigError> {
        if node.is_list() {
            for child in node.list()? {
                self.collect(&child, children)?;
            }
            return Ok(());
        }
        if node.is_string() {
            return self.child_in_words(node.string()?, node, children);
        }
        let is = |name: &str| node.get("type").is_some_and(|kind| kind.value == name);
        if is("Pool") {
            children.extend(self.listed_pool(node)?.blueprints());
        } else if is("ShadowRoute") && node.get(shadow::SEVERAL).is_some() {
            children.extend(shadow::parse_several(node, self)?);
        } else {
            children.push(self.route(node)?);
        }
        Ok(())
    }

    /// The pool of `{"type": "Pool", "pool": …}`, or of one with its servers in place.
    fn listed_pool(&mut self, node: &Node<'_>) -> Result<Pool, ConfigError> {
        if let Some(pool) = node.get("pool") {
            node.only(&["type", "name", "pool"])?;
            return self.pool(&pool);
        }
        let mut in_place = node.value.clone();
        if let Some(fields) = in_place.as_object_mut() {
            fields.remove("type");
        }
        self.pool(&Node {
            value: &in_place,
            path: node.path.clone(),
            shorthand: None,
        })
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
