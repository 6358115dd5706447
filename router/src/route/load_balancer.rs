//! LoadBalancerRoute: the child with less to do. Memcached does not tell its load, as mcrouter's own protocol does, so
//! we go by what we know: the requests of this worker that wait for each child.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use cluster::{HashKind, Placement};

use super::hash::{HashSettings, only_of_chooser};
use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    only_of_chooser(node, &KEYS, &[])?;
    let children = checker.children(node)?;
    over(node, children, checker)
}

/// What it knows, as a handle and as a hash.
const KEYS: [&str; 9] = [
    "type",
    "name",
    "children",
    "salt",
    "algorithm",
    "load_ttl_ms",
    "failover_count",
    // Memcached tells no load.
    "enable_thrift_server_load",
    "default_server_load_percent",
];

/// Over `children`, by the settings of `node`: a route, or what a `hash` is.
pub(crate) fn over(
    node: &Node<'_>,
    children: Vec<Blueprint>,
    _checker: &mut Checker<'_>,
) -> Result<Blueprint, ConfigError> {
    only_of_chooser(node, &KEYS, &[])?;
    let mut algorithm = Algorithm::Hashing(String::new());
    let mut tries = 1;
    if node.argument().is_none() && !node.is_name() {
        let salt = match node.get("salt") {
            Some(salt) => salt.string()?.to_owned(),
            None => String::new(),
        };
        algorithm = match node.get("algorithm") {
            None => Algorithm::Hashing(salt),
            Some(name) => match name.string()? {
                "weighted-hashing" => Algorithm::Hashing(salt),
                "two-random-choices" => Algorithm::TwoChoices,
                other => {
                    return Err(name.unknown(
                        "algorithm",
                        other,
                        &["weighted-hashing", "two-random-choices"],
                    ));
                }
            },
        };
        if let Some(given) = node.get("failover_count") {
            tries = given.count()?.max(1);
        }
    }
    if children.is_empty() {
        return Err(node.error("LoadBalancerRoute needs at least one child"));
    }
    let names = (0..children.len()).map(|index| index.to_string()).collect();
    let topology = HashSettings::of(HashKind::Ch3).topology(names, None);
    let placement = Arc::new(Placement::new(&topology).map_err(|error| node.error(&error.to_string()))?);
    Ok(Arc::new(move |builder| {
        let children = builder.all(&children);
        Rc::new(LoadBalancerRoute {
            waiting: children.iter().map(|_| Cell::new(0)).collect(),
            children,
            algorithm: algorithm.clone(),
            placement: Arc::clone(&placement),
            tries,
        })
    }))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Algorithm {
    /// By the key, with this salt: without loads all weights are equal.
    Hashing(String),
    /// Of two drawn at random the one that fewer requests wait for.
    TwoChoices,
}

struct LoadBalancerRoute {
    children: Box<[Handle]>,
    /// Requests under way, per child.
    waiting: Box<[Cell<u32>]>,
    algorithm: Algorithm,
    placement: Arc<Placement>,
    /// Children asked before an error is the answer.
    tries: usize,
}

impl LoadBalancerRoute {
    fn choose(&self, key: &[u8], attempt: usize) -> usize {
        let count = self.children.len();
        match &self.algorithm {
            Algorithm::Hashing(salt) => {
                let part = cluster::hashed_part(key);
                let salted = match attempt {
                    0 => [part, salt.as_bytes()].concat(),
                    attempt => [part, salt.as_bytes(), attempt.to_string().as_bytes()].concat(),
                };
                self.placement.owner_of_part(&salted)
            }
            Algorithm::TwoChoices => {
                let one = rand::random_range(0..count);
                let other = (one + 1 + rand::random_range(0..count.max(2) - 1)) % count;
                if self.waiting[other].get() < self.waiting[one].get() {
                    other
                } else {
                    one
                }
            }
        }
    }
}

/// Counts a request for as long as it is under way, however it ends.
struct Waiting<'r>(&'r Cell<u32>);

impl<'r> Waiting<'r> {
    fn on(count: &'r Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl RouteHandle for LoadBalancerRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match &self.algorithm {
            Algorithm::Hashing(_) if self.tries == 1 => {
                self.children[self.choose(request.key, 0)].route(request, servers)
            }
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            let mut last = None;
            for attempt in 0..self.tries {
                let index = self.choose(&request.hashed, attempt);
                let _waiting = Waiting::on(&self.waiting[index]);
                let child = Rc::clone(&self.children[index]);
                let reply = child.call(Rc::clone(&request), caller.clone()).await;
                if !reply.failed() {
                    return reply;
                }
                last = Some(reply);
            }
            last.unwrap_or_else(|| Reply::nothing(&request))
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("LoadBalancerRoute: one of these", |into| {
            for child in &self.children {
                child.destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn a_key_keeps_its_child_and_an_error_goes_on() {
        let hashing = tree(r#""LoadBalancerRoute|Pool|AB""#);
        let homes: Vec<String> = (0..50).map(|key| hashing.fast(&format!("get k{key}~"))).collect();
        assert!(homes.contains(&"a".to_owned()) && homes.contains(&"b".to_owned()));
        let random = tree(
            r#"{"type": "LoadBalancerRoute", "children": "Pool|AB", "algorithm": "two-random-choices",
                "failover_count": 20}"#,
        );
        let story = random.play("get k~", &[("a", &["timeout"]), ("b", &["END~"])]);
        assert!(story.ends_with("b: get k~\n=> END~"), "{story}");
    }
}
