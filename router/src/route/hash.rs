//! HashRoute: one child by the key's hash. A pool is a HashRoute over its servers.

use std::rc::Rc;
use std::sync::Arc;

use cluster::{HashKind, Placement, Server, Topology, Weight, hashed_part};

use super::{
    Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, error, latest, load_balancer, null,
};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

/// How a hash is asked for: `"hash": "ketama"` or `"hash": {"hash_func": …, "salt": …, "weights": …, "tags": …}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HashSettings {
    pub kind: HashKind,
    pub salt: Vec<u8>,
    pub weights: Option<Vec<Weight>>,
    pub tags: Option<Vec<String>>,
}

impl HashSettings {
    pub(crate) const fn of(kind: HashKind) -> Self {
        Self {
            kind,
            salt: Vec::new(),
            weights: None,
            tags: None,
        }
    }

    /// Reads the value of a `hash` key.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        if node.is_string() {
            return Ok(Self::of(kind(node)?));
        }
        node.only(&["hash_func", "salt", "weights", "tags"])?;
        Self::fields(node)
    }

    /// Reads the same keys where they stand beside others.
    fn fields(node: &Node<'_>) -> Result<Self, ConfigError> {
        let kind = match node.get("hash_func") {
            Some(name) => kind(&name)?,
            None => default_kind(node)?,
        };
        let salt = match node.get("salt") {
            Some(salt) => salt.string()?.as_bytes().to_vec(),
            None => Vec::new(),
        };
        let weights = node
            .get("weights")
            .map(|weights| read_weights(&weights))
            .transpose()?;
        let tags = match node.get("tags") {
            Some(tags) => Some(read_tags(&tags)?),
            None => None,
        };
        Ok(Self {
            kind,
            salt,
            weights,
            tags,
        })
    }

    /// The placement of children that are called `names`.
    pub(crate) fn topology(&self, names: Vec<String>, weights: Option<&[Weight]>) -> Topology {
        let weights = self.weights.as_deref().or(weights);
        // mcrouter's short list of weights means a half for the rest.
        let rest = Weight::new(0.5).unwrap_or_default();
        let names = match &self.tags {
            Some(tags) if tags.len() == names.len() => tags.clone(),
            _ => names,
        };
        Topology::new(
            self.kind,
            names.into_iter().enumerate().map(|(index, name)| match weights {
                Some(weights) => Server::weighted(name, weights.get(index).copied().unwrap_or(rest)),
                None => Server::new(name),
            }),
        )
    }
}

/// mcrouter's default, where a file does not say.
pub(crate) fn default_kind(node: &Node<'_>) -> Result<HashKind, ConfigError> {
    "Ch3".parse().map_err(|error| node.error(&format!("{error}")))
}

fn kind(node: &Node<'_>) -> Result<HashKind, ConfigError> {
    let name = match node.string()? {
        // mcrouter's; ours are written small.
        "Rendezvous" => return Ok(HashKind::McrouterRendezvous),
        "WeightedRendezvous" => return Ok(HashKind::McrouterWeightedRendezvous),
        "WeightedCh3Rv" => {
            return Err(node.error(
                "WeightedCh3Rv is not supported: WeightedCh3 has its weights in this file, which is live",
            ));
        }
        name => name,
    };
    name.parse().map_err(|error| node.error(&format!("{error}")))
}

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

/// Reads a list of tags.
pub(crate) fn read_tags(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    node.list()?
        .iter()
        .map(|tag| tag.string().map(str::to_owned))
        .collect()
}

/// Reads a list of weights.
pub(crate) fn read_weights(node: &Node<'_>) -> Result<Vec<Weight>, ConfigError> {
    node.list()?
        .iter()
        .map(|weight| Weight::new(weight.number()?).map_err(|error| weight.error(&error.to_string())))
        .collect()
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_some() {
        let children = checker.children(node)?;
        return over(
            node,
            children,
            HashSettings::of(default_kind(node)?),
            OnEmpty::Error,
        );
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
    let placement =
        Placement::new(&settings.topology(names, None)).map_err(|error| node.error(&error.to_string()))?;
    Ok(blueprint(
        "HashRoute".to_owned(),
        Arc::new(placement),
        settings.salt,
        children,
        Vec::new(),
    ))
}

/// A route to the child that `placement` names; the children are in its order. What is `beside` it is never asked, but
/// there.
pub(crate) fn blueprint(
    what: String,
    placement: Arc<Placement>,
    salt: Vec<u8>,
    children: Vec<Blueprint>,
    beside: Vec<Blueprint>,
) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(HashRoute {
            what: what.clone(),
            placement: Arc::clone(&placement),
            salt: salt.clone(),
            children: children.iter().map(|child| builder.once(child)).collect(),
            _beside: builder.all(&beside),
        })
    })
}

struct HashRoute {
    /// What it is called when it is explained.
    what: String,
    placement: Arc<Placement>,
    salt: Vec<u8>,
    children: Box<[Handle]>,
    _beside: Box<[Handle]>,
}

impl HashRoute {
    fn index(&self, key: &[u8]) -> usize {
        if self.salt.is_empty() {
            self.placement.owner(key)
        } else {
            let salted = [hashed_part(key), &self.salt].concat();
            self.placement.owner_of_part(&salted)
        }
    }

    fn child(&self, key: &[u8]) -> &Handle {
        &self.children[self.index(key)]
    }

    fn about(&self, key: &[u8]) -> String {
        let (what, hash) = (&self.what, self.placement.hash());
        let (number, of) = (self.index(key) + 1, self.children.len());
        let part = hashed_part(key).escape_ascii();
        format!(
            "{what}: {hash} of {part:?} is {number} of {of}",
            part = part.to_string()
        )
    }
}

impl RouteHandle for HashRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        self.child(request.key).route(request, servers)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(self.child(&request.hashed)).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let hashed = into.hashed(request.key);
        into.handle(self.about(&hashed), |into| {
            self.child(&hashed).destinations(request, into);
        });
    }
}
