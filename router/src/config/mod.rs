//! Configuration: where it comes from, and what it is once checked. A [`Config`] is never wrong.

mod announced;
pub(crate) mod check;
mod jsonm;
mod node;
mod place;
mod pools;
pub(crate) mod reload;
mod runtime_vars;
mod servers;
pub(crate) mod source;
pub(crate) mod timeouts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cluster::Topology;
use serde_json::{Value, json};

use crate::args::Options;
use crate::clock;
use crate::debt::agents::ReplicatedPool;
use crate::names::Names;
use crate::names::table::Question;
use crate::route::hash::{HashSettings, Placing};
use crate::route::{Blueprint, big_value, root};
use check::{Checker, ConfigError, Defaults, Node, Pool};

/// A pool as operators see it.
#[derive(Clone)]
pub(crate) struct PoolView {
    pub pool: Pool,
    /// Where its keys are; `None` for pools that no hash is applied to (replicated ones).
    pub topology: Option<Topology>,
    /// How they are hashed there.
    pub hashed: Option<HashSettings>,
}

impl PoolView {
    /// From its keys to their servers, if it is hashed and has servers.
    pub(crate) fn placing(&self) -> Option<Placing> {
        Placing::new(self.hashed.as_ref()?, self.topology.as_ref()?).ok()
    }
}

/// A configuration, checked: ready to be made in every worker.
#[derive(Clone)]
pub(crate) struct Config {
    pub root: Blueprint,
    pub pools: Vec<PoolView>,
    /// Pools whose servers hold every key.
    pub replicated: Vec<ReplicatedPool>,
    /// What it was read from, as plain JSON.
    pub source: Value,
    /// What has to be asked of DNS for it.
    pub questions: BTreeSet<Question>,
    /// Raised at every change.
    pub epoch: u64,
}

/// How long a configuration waits for names that it has and nobody knows yet.
const NAMES_PATIENCE: Duration = Duration::from_secs(5);
/// A service's members are names in turn.
const NAMES_ROUNDS: usize = 3;

impl Config {
    /// Checks `source`.
    pub(crate) fn check(source: Value, defaults: &Defaults, epoch: u64) -> Result<Self, ConfigError> {
        let (root, pools, replicated, questions) = {
            let top = Node::root(&source);
            top.only(&["pools", "route", "routes", "named_handles"])?;
            let mut checker = Checker::new(&source, defaults)?;
            let root = read_root(&top, &mut checker)?;
            let placed = std::mem::take(&mut checker.placed);
            let replicated = std::mem::take(&mut checker.replicated);
            let questions = std::mem::take(&mut checker.questions);
            let pools = checker
                .pools()
                .into_iter()
                .map(|(name, pool)| {
                    let hashed = placed.get(&name).cloned();
                    let topology = hashed.as_ref().map(|settings| {
                        let mut topology = pool.topology(settings);
                        topology.epoch = epoch;
                        topology
                    });
                    PoolView {
                        pool,
                        topology,
                        hashed,
                    }
                })
                .collect();
            (root, pools, replicated, questions)
        };
        Ok(Self {
            root,
            pools,
            replicated,
            source,
            questions,
            epoch,
        })
    }

    /// The same, with its names asked for; one that is not answered in time counts as one that stands for nothing, until
    /// it is answered.
    pub(crate) fn check_with_names(
        source: &Value,
        defaults: &Defaults,
        names: &Names,
        epoch: u64,
    ) -> Result<Self, ConfigError> {
        let mut defaults = defaults.clone();
        let deadline = clock::now() + NAMES_PATIENCE;
        let mut rounds = 0..NAMES_ROUNDS;
        loop {
            defaults.names = names.table();
            let config = Self::check(source.clone(), &defaults, epoch)?;
            let known = |question| defaults.names.knows(question);
            if config.questions.iter().all(known) || rounds.next().is_none() {
                names.want(&config.questions);
                return Ok(config);
            }
            names.ask(
                &config.questions,
                deadline.saturating_duration_since(clock::now()),
            );
        }
    }

    /// Whether every pool has the same servers at the same addresses, and announced with the same weights.
    fn has_the_servers_of(&self, other: &Self) -> bool {
        let servers = |config: &Self| -> Vec<_> {
            let pools = config.pools.iter().map(|view| &view.pool);
            pools
                .map(|pool| (pool.servers.clone(), pool.announced.clone()))
                .collect()
        };
        servers(self) == servers(other)
    }

    /// The configuration with another list of servers in one pool.
    pub(crate) fn with_servers(
        &self,
        pool: &str,
        servers: Vec<String>,
        weights: Option<Vec<f64>>,
        hash: Option<String>,
    ) -> Result<Value, ConfigError> {
        let known: Vec<&str> = self.pools.iter().map(|view| view.pool.name.as_str()).collect();
        let mut source = self.source.clone();
        let Some(Value::Object(fields)) =
            source.pointer_mut(&format!("/pools/{}", pool.replace('~', "~0").replace('/', "~1")))
        else {
            return Err(ConfigError {
                path: "pool".to_owned(),
                message: check::unknown("pool", pool, &known),
            });
        };
        fields.insert("servers".to_owned(), json!(servers));
        match weights {
            Some(weights) => fields.insert("weights".to_owned(), json!(weights)),
            None => fields.remove("weights"),
        };
        if let Some(hash) = hash {
            fields.insert("hash".to_owned(), json!(hash));
        }
        Ok(source)
    }

    /// A fingerprint of all placements: equal in two routers that send every key to the same server.
    pub(crate) fn checksum(&self) -> u64 {
        self.pools
            .iter()
            .filter_map(|view| Some((view.topology.as_ref()?, view.hashed.as_ref()?)))
            .fold(0, |sum: u64, (topology, hashed)| {
                sum.rotate_left(1) ^ topology.checksum() ^ hashed.checksum()
            })
    }
}

fn read_root(top: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let (default, prefixed) = match (top.get("route"), top.get("routes")) {
        (Some(route), None) => {
            let route = checker.route(&route)?;
            let prefix = checker.defaults().route_prefix.as_ref();
            let prefixed = prefix.map(|prefix| (prefix.clone().into_bytes(), Arc::clone(&route)));
            (route, prefixed.into_iter().collect())
        }
        (None, Some(routes)) => read_routes(&routes, checker)?,
        (Some(_), Some(routes)) => {
            return Err(routes.error("give either \"route\" or \"routes\", not both"));
        }
        (None, None) => return Err(top.error("needs \"route\" or \"routes\"")),
    };
    let defaults = checker.defaults();
    let route = root::blueprint(default, prefixed, defaults.unknown_prefix);
    Ok(match defaults.big_values {
        Some(terms) => big_value::blueprint(route, terms),
        None => route,
    })
}

/// mcrouter's default routing prefix, which a key without prefix belongs to.
const DEFAULT_PREFIX: &str = "/././";

/// A default route, and the routes of prefixes.
type Routes = (Blueprint, Vec<(Vec<u8>, Blueprint)>);

/// `[{"aliases": ["/a/b/", …], "route": …}, …]` or `{"/a/b/": …}`. The default prefix's (`--route-prefix`, else `/././`,
/// else the first) is the default route.
fn read_routes(routes: &Node<'_>, checker: &mut Checker<'_>) -> Result<Routes, ConfigError> {
    let mut prefixed = Vec::new();
    if routes.is_list() {
        for entry in routes.list()? {
            entry.only(&["aliases", "route"])?;
            let route = checker.route(&entry.need("route")?)?;
            for alias in entry.need("aliases")?.list()? {
                prefixed.push((read_prefix(&alias, alias.string()?)?, route.clone()));
            }
        }
    } else {
        for (prefix, route) in routes.entries()? {
            let checked = checker.route(&route)?;
            prefixed.push((read_prefix(&route, prefix)?, checked));
        }
    }
    let said = checker.defaults().route_prefix.as_deref();
    let wanted = said.unwrap_or(DEFAULT_PREFIX).as_bytes();
    let found = prefixed.iter().find(|(prefix, _)| prefix == wanted);
    if let (Some(said), None) = (said, found) {
        return Err(routes.error(&format!(
            "has no route for the default prefix {said} (--route-prefix)"
        )));
    }
    let default = found
        .or_else(|| prefixed.first())
        .map(|(_, route)| route.clone())
        .ok_or_else(|| routes.error("needs at least one route"))?;
    Ok((default, prefixed))
}

/// A routing prefix: `/region/cluster/`.
pub(crate) fn read_prefix(node: &Node<'_>, prefix: &str) -> Result<Vec<u8>, ConfigError> {
    let parts: Vec<&str> = prefix.trim_end_matches('/').split('/').collect();
    match parts.as_slice() {
        ["", region, cluster] if !region.is_empty() && !cluster.is_empty() => {
            Ok(format!("/{region}/{cluster}/").into_bytes())
        }
        _ => Err(node.error(&format!(
            "{prefix:?} is not a routing prefix of the form /region/cluster/"
        ))),
    }
}

/// Reads JSON with comments and trailing commas.
pub(crate) fn parse(text: &str) -> Result<Value, ConfigError> {
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        ..jsonc_parser::ParseOptions::default()
    };
    match jsonc_parser::parse_to_serde_value::<Value>(text, &options) {
        Ok(value) if value.is_null() => Err(ConfigError {
            path: "config".to_owned(),
            message: "expected an object, found nothing".to_owned(),
        }),
        Ok(value) => Ok(value),
        Err(error) => {
            let told = error.to_string();
            let placed = told
                .rsplit_once(" on line ")
                .and_then(|(message, place)| Some((message, place.split_once(" column ")?)));
            Err(match placed {
                Some((message, (line, column))) => ConfigError {
                    path: format!("{line}:{}", column.trim_end_matches('.')),
                    message: message.to_owned(),
                },
                None => ConfigError {
                    path: "config".to_owned(),
                    message: told,
                },
            })
        }
    }
}

/// The keys that are known where `source` has the one that nobody knows ([`node::PROBE`]).
pub(crate) fn known_keys(source: &Value) -> Vec<String> {
    let defaults = Defaults::default();
    match Config::check(source.clone(), &defaults, 1) {
        Err(error) => error.message.split(' ').map(str::to_owned).collect(),
        Ok(_) => Vec::new(),
    }
}

/// The configuration that the command line's lists of servers stand for.
pub(crate) fn from_servers(options: &Options, servers: &[String]) -> Value {
    if options.replicated.is_empty() {
        json!({
            "pools": {"main": {"servers": servers, "hash": options.hash}},
            "route": "PoolRoute|main",
        })
    } else {
        json!({
            "pools": {"main": {"servers": servers}},
            "route": "ReplicatedPoolRoute|main",
        })
    }
}

#[cfg(test)]
mod odd;
#[cfg(test)]
mod tests;
