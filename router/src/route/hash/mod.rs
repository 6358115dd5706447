//! HashRoute: one child by the key's hash. A pool is a HashRoute over its servers.

pub(crate) mod bucket;
mod placing;
mod settings;

use std::rc::Rc;
use std::sync::Arc;

use cluster::hashed_part;

use super::{
    Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, error, latest, load_balancer, null,
};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};
pub(crate) use placing::{Placing, moved};
pub(crate) use settings::{HashSettings, read_tags, read_weights};

/// Chooses among children otherwise than by the key's hash: mcrouter has these among its hashes too.
type Chooser = fn(&Node<'_>, Vec<Blueprint>, &mut Checker<'_>) -> Result<Blueprint, ConfigError>;

/// What `hash`, a hash's name or an object with a `hash_func`, asks for if it is such a one.
pub(crate) fn chooser(hash: &Node<'_>) -> Option<Chooser> {
    let name = hash.get("hash_func").unwrap_or_else(|| hash.clone());
    match name.string().ok()? {
        "Latest" => Some(latest::over),
        "LoadBalancer" => Some(load_balancer::over),
        _ => None,
    }
}

/// Refuses keys that such a chooser does not know. Written in words it has none; as a hash it has its own name beside them.
pub(crate) fn only_of_chooser(
    node: &Node<'_>,
    known: &[&str],
    unsupported: &[&str],
) -> Result<(), ConfigError> {
    if node.argument().is_some() || node.is_name() {
        return Ok(());
    }
    let mut known = known.to_vec();
    known.extend(node.get("hash_func").map(|_| "hash_func"));
    node.only_supported(&known, unsupported)
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_some() {
        let children = checker.children(node)?;
        return over(node, children, HashSettings::unsaid(node)?, OnEmpty::Error);
    }
    let hash = node.get("hash");
    if let Some(chosen) = chooser(hash.as_ref().unwrap_or(node)) {
        let children = checker.children(node)?;
        return chosen(hash.as_ref().unwrap_or(node), children, checker);
    }
    node.only(&[
        "type",
        "name",
        "children",
        "hash",
        "hash_func",
        "salt",
        "weights",
        "tags",
        "error_on_empty",
    ])?;
    let settings = match &hash {
        Some(hash) => HashSettings::read(hash)?,
        None => HashSettings::fields(node)?,
    };
    let on_empty = match node.get("error_on_empty") {
        Some(flag) if !flag.flag()? => OnEmpty::Nothing,
        _ => OnEmpty::Error,
    };
    let children = checker.children(node)?;
    over(node, children, settings, on_empty)
}

/// What a route without children answers.
enum OnEmpty {
    Error,
    Nothing,
}

fn over(
    node: &Node<'_>,
    children: Vec<Blueprint>,
    settings: HashSettings,
    on_empty: OnEmpty,
) -> Result<Blueprint, ConfigError> {
    if children.is_empty() {
        return Ok(match on_empty {
            OnEmpty::Error => error::blueprint("HashRoute without children"),
            OnEmpty::Nothing => null::blueprint(),
        });
    }
    if let Some(tags) = &settings.tags
        && tags.len() != children.len()
    {
        return Err(node.error(&format!("{} tags for {} children", tags.len(), children.len())));
    }
    let names = (0..children.len()).map(|index| index.to_string()).collect();
    let placing = Placing::new(&settings, &settings.topology(names, None))
        .map_err(|error| node.error(&error.to_string()))?;
    Ok(blueprint(
        "HashRoute".to_owned(),
        Arc::new(placing),
        children,
        Vec::new(),
    ))
}

/// A route to the child that `placing` names; the children are in its order. What is `beside` it is never asked, but
/// there.
pub(crate) fn blueprint(
    what: String,
    placing: Arc<Placing>,
    children: Vec<Blueprint>,
    beside: Vec<Blueprint>,
) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(HashRoute {
            what: what.clone(),
            placing: Arc::clone(&placing),
            children: children.iter().map(|child| builder.once(child)).collect(),
            beside: builder.all(&beside),
        })
    })
}

struct HashRoute {
    /// What it is called when it is explained.
    what: String,
    placing: Arc<Placing>,
    children: Box<[Handle]>,
    /// Connected to and never asked.
    beside: Box<[Handle]>,
}

impl HashRoute {
    fn child(&self, key: &[u8]) -> &Handle {
        &self.children[self.placing.owner(key)]
    }

    fn about(&self, key: &[u8]) -> String {
        let (what, hash) = (&self.what, self.placing.hash());
        let (number, of) = (self.placing.owner(key) + 1, self.children.len());
        let part = match self.placing.bucket(key) {
            Some(bucket) => format!("bucket {bucket}"),
            None => format!("{:?}", hashed_part(key).escape_ascii().to_string()),
        };
        format!("{what}: {hash} of {part} is {number} of {of}")
    }
}

impl RouteHandle for HashRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        self.child(request.key).route(request, servers)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(self.child(&request.hashed)).call(request, caller)
    }

    fn chosen(&self, key: &[u8]) -> Option<usize> {
        // Places count among all servers only while all are there.
        self.beside.is_empty().then(|| self.placing.owner(key))
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let hashed = into.hashed(request.key);
        if let Some((bucket, keyspace)) = self.placing.bucket(&hashed).zip(self.placing.keyspace()) {
            into.bucket(bucket, keyspace);
        }
        into.handle(self.about(&hashed), |into| {
            self.child(&hashed).destinations(request, into);
        });
    }
}
