//! FailoverRoute: the children in turn until one does not fail; else the last reply. Which failures count, in which
//! order, how many children and how many requests: `errors`, `policy`, `limit`.
//!
//! A failover of writes leaves stale items behind when the first child comes back. `failover_errors` with
//! `"updates": [], "deletes": []`, or FailoverWithExptimeRoute, is how to live with that.

mod errors;
mod exptime;
mod limit;
mod policy;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, null};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::error::UpstreamError;
use errors::FailoverErrors;
pub(crate) use exptime::parse as parse_with_exptime;
use limit::FailoverLimit;
use policy::Policy;

/// Keys that all failovers have.
const KEYS: [&str; 6] = [
    "failover_errors",
    "failover_policy",
    "failover_limit",
    "failover_tag",
    "hash",
    "tags",
];

/// How a failover goes on.
#[derive(Debug, Clone)]
struct Settings {
    errors: FailoverErrors,
    policy: Policy,
    limit: Option<FailoverLimit>,
    /// Requests that fail over say so by `:failover=1` behind keys with a hash stop.
    tag: bool,
}

impl Settings {
    fn plain() -> Self {
        Self {
            errors: FailoverErrors::default(),
            policy: Policy::in_order(),
            limit: None,
            tag: false,
        }
    }

    fn read(node: &Node<'_>, children: usize) -> Result<Self, ConfigError> {
        let mut settings = Self::plain();
        if let Some(listed) = node.get("failover_errors") {
            settings.errors = FailoverErrors::read(&listed)?;
        }
        if let Some(policy) = node.get("failover_policy") {
            settings.policy = Policy::read(&policy, node, children)?;
        }
        if let Some(limit) = node.get("failover_limit") {
            settings.limit = Some(FailoverLimit::read(&limit)?);
        }
        if let Some(tag) = node.get("failover_tag") {
            settings.tag = tag.flag()?;
        }
        Ok(settings)
    }
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_some() {
        return Ok(in_turn(checker.children(node)?));
    }
    let known: Vec<&str> = ["type", "name", "children"].into_iter().chain(KEYS).collect();
    node.only_supported(&known, &["enable_lease_pairing"])?;
    let children = checker.children(node)?;
    let settings = Settings::read(node, children.len())?;
    Ok(blueprint(children, settings))
}

/// SaltedFailoverRoute: a pool by its hash, then its servers in the key's own order.
pub(crate) fn parse_salted(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let known: Vec<&str> = ["type", "name", "pool", "asynclog"]
        .into_iter()
        .chain(KEYS)
        .collect();
    node.only_supported(&known, &["shadows", "shadow_policy", "enable_lease_pairing"])?;
    let pool = checker.pool(&node.need("pool")?)?;
    let hash = match node.get("hash") {
        Some(hash) => Some(super::hash::HashSettings::read(&hash)?),
        None => None,
    };
    let placed = checker.place(node, &pool, hash)?;
    let children: Vec<Blueprint> = [placed].into_iter().chain(pool.blueprints()).collect();
    let settings = Settings::read(node, children.len())?;
    Ok(blueprint(children, settings))
}

fn blueprint(children: Vec<Blueprint>, settings: Settings) -> Blueprint {
    match children.len() {
        0 => null::blueprint(),
        1 => Arc::clone(&children[0]),
        _ => {
            // Its bucket is counted down in each worker by itself.
            let settings = parking_lot::Mutex::new(settings);
            Arc::new(move |builder| {
                let children = builder.all(&children);
                Rc::new(FailoverRoute {
                    failures: children.iter().map(|_| Cell::new(0)).collect(),
                    children,
                    settings: settings.lock().clone(),
                })
            })
        }
    }
}

/// The children in turn, as the settings of `node` say.
pub(crate) fn over(children: Vec<Blueprint>, node: &Node<'_>) -> Result<Blueprint, ConfigError> {
    let settings = Settings::read(node, children.len())?;
    Ok(blueprint(children, settings))
}

/// The children in turn, after any failure.
pub(crate) fn in_turn(children: Vec<Blueprint>) -> Blueprint {
    blueprint(children, Settings::plain())
}

struct FailoverRoute {
    children: Box<[Handle]>,
    /// Failures in a row, per child.
    failures: Box<[Cell<u32>]>,
    settings: Settings,
}

impl FailoverRoute {
    fn remember(&self, child: usize, reply: &Reply) {
        let failures = &self.failures[child];
        failures.set(if policy::is_error(reply) {
            failures.get().saturating_add(1)
        } else {
            0
        });
    }

    /// Whether one more request may go on after `reply`. What nobody was sent costs nothing.
    fn within_limit(&self, reply: &Reply) -> bool {
        let unsent = matches!(
            reply,
            Reply::Failed {
                error: UpstreamError::Tko | UpstreamError::Connect,
                ..
            }
        );
        unsent || self.settings.limit.as_ref().is_none_or(FailoverLimit::allows)
    }

    async fn ask(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        if let Some(limit) = &self.settings.limit {
            limit.request();
        }
        let group = request.op.group();
        let order = self.settings.policy.order(&request.hashed, &self.failures);
        let mut asked = Rc::clone(&request);
        let mut errors = 0;
        let mut last: Option<Reply> = None;
        for (turn, child) in order.into_iter().enumerate() {
            if let Some(failed) = &last {
                if errors >= self.settings.policy.max_error_tries() || !self.within_limit(failed) {
                    break;
                }
                caller.count_failover();
                if turn == 1 && self.settings.tag {
                    asked = tagged(&request).unwrap_or(asked);
                }
            }
            let handle = Rc::clone(&self.children[child]);
            let reply = handle.call(Rc::clone(&asked), caller.clone()).await;
            self.remember(child, &reply);
            if !self.settings.errors.next_after(&reply, group) {
                return if Rc::ptr_eq(&asked, &request) {
                    reply
                } else {
                    reply.naming(&request)
                };
            }
            errors += usize::from(self.settings.policy.counts(&reply));
            last = Some(reply);
        }
        last.unwrap_or_else(|| Reply::nothing(&request))
    }
}

/// The request with a mark behind its hash stop, where it has one and room.
fn tagged(request: &OwnedRequest) -> Option<Rc<OwnedRequest>> {
    if cluster::hashed_part(&request.key).len() == request.key.len() {
        return None;
    }
    request
        .with_key(&[&request.key[..], b":failover=1"].concat())
        .map(Rc::new)
}

impl RouteHandle for FailoverRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        // A limit counts every request, least failures every reply.
        if !request.op.is_get() || self.settings.limit.is_some() {
            return Routed::Composite;
        }
        // The first child is asked the fast way as long as it is one server, and up.
        match self.children[0].route(request, servers) {
            Routed::To(id) | Routed::Try(id)
                if servers.get(id).is_some_and(crate::upstream::Upstream::is_up) =>
            {
                Routed::Try(id)
            }
            Routed::Hit(reply) => Routed::Hit(reply),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(self.ask(request, caller))
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("FailoverRoute: in turn, until one does not fail", |into| {
            let hashed = into.hashed(request.key);
            for child in self.settings.policy.order(&hashed, &self.failures) {
                self.children[child].destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn replicas(settings: &str) -> String {
        format!(r#"{{"type": "FailoverRoute", "children": "Pool|R"{settings}}}"#)
    }

    const DOWN: [(&str, &[&str]); 3] = [("x", &["timeout"]), ("y", &["timeout"]), ("z", &["timeout"])];

    fn asked(story: &str) -> String {
        let names = story.lines().filter_map(|line| line.split_once(": "));
        names.map(|(name, _)| name).collect()
    }

    #[test]
    fn so_many_children_are_tried_as_the_policy_says() {
        for (policy, tries) in [
            (r#"{"type": "InOrderPolicy"}"#, 3),
            (r#"{"type": "InOrderPolicy", "max_tries": 2}"#, 2),
            (r#"{"type": "LeastFailuresPolicy", "max_tries": 2}"#, 2),
            (
                r#"{"type": "DeterministicOrderPolicy", "max_tries": 3, "max_error_tries": 2}"#,
                2,
            ),
            (
                r#"{"type": "DeterministicOrderPolicy", "max_tries": 3, "max_error_tries": 1, "exclude_errors": ["timeout"]}"#,
                3,
            ),
        ] {
            let story = tree(&replicas(&format!(r#", "failover_policy": {policy}"#))).play("get k~", &DOWN);
            assert_eq!(asked(&story).len(), tries, "{policy}: {story}");
        }
    }

    #[test]
    fn least_failures_asks_those_that_did_not_fail_lately() {
        let tree = tree(&replicas(
            r#", "failover_policy": {"type": "LeastFailuresPolicy", "max_tries": 2}"#,
        ));
        let down = |healthy: &'static str| {
            ["x", "y", "z"].map(|name| {
                (
                    name,
                    if name == healthy {
                        &["END~"][..]
                    } else {
                        &["timeout"]
                    },
                )
            })
        };
        assert_eq!(asked(&tree.play("get k~", &down("z"))), "xy");
        assert_eq!(asked(&tree.play("get k~", &down("z"))), "xz", "y has just failed");
    }

    #[test]
    fn the_deterministic_order_is_the_keys_own() {
        let policy = r#", "failover_policy": {"type": "DeterministicOrderPolicy", "max_tries": 3, "max_error_tries": 3}"#;
        let orders: std::collections::HashSet<String> = (0..20)
            .map(|key| asked(&tree(&replicas(policy)).play(&format!("get k{key}~"), &DOWN)))
            .collect();
        assert!(orders.iter().all(|order| order.starts_with('x')), "{orders:?}");
        assert_eq!(orders.len(), 2, "both orders of the other two: {orders:?}");
    }

    #[test]
    fn only_a_share_of_the_requests_may_fail_over() {
        let tree = tree(&replicas(r#", "failover_limit": {"rate": 0.25, "burst": 2}"#));
        let says: [(&str, &[&str]); 2] = [("x", &["timeout"]), ("y", &["END~"])];
        let went_on = (0..22)
            .filter(|_| asked(&tree.play("get k~", &says)).contains('y'))
            .count();
        assert!(
            (6..=8).contains(&went_on),
            "2 at once, then a quarter: {went_on} of 22"
        );
    }

    #[test]
    fn a_tagged_failover_says_so_behind_the_hash_stop_and_not_to_the_client() {
        let tree = tree(&replicas(r#", "failover_tag": true"#));
        let says: [(&str, &[&str]); 2] = [("x", &["timeout"]), ("y", &["VALUE a|#|b:failover=1 0 1~x~END~"])];
        assert_eq!(
            tree.play("get a|#|b~", &says),
            "x: get a|#|b~\ny: get a|#|b:failover=1~\n=> VALUE a|#|b 0 1~x~END~"
        );
    }

    #[test]
    fn a_salted_failover_goes_from_the_pools_hash_to_its_servers() {
        let route = r#"{"type": "SaltedFailoverRoute", "pool": "R", "failover_policy":
                        {"type": "DeterministicOrderPolicy", "max_tries": 2, "max_error_tries": 2}}"#;
        for key in 0..10 {
            let line = format!("get k{key}~");
            assert_eq!(asked(&tree(route).play(&line, &DOWN)).len(), 2);
        }
    }
}
