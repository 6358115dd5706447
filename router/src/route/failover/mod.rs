//! FailoverRoute: the children in turn until one does not fail; else the last reply. Which failures count, in which
//! order, how many children and how many requests: `errors`, `policy`, `limit`.
//!
//! A failover of writes leaves stale items behind when the first child comes back. `failover_errors` with
//! `"updates": [], "deletes": []`, or FailoverWithExptimeRoute, is how to live with that.

mod errors;
mod exptime;
mod lease;
mod limit;
mod policy;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Domain, Handle, Plan, RouteHandle, Routed, Servers, null};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::error::UpstreamError;
use errors::FailoverErrors;
pub(crate) use exptime::parse as parse_with_exptime;
pub(crate) use lease::Leases;
use lease::Pairing;
use limit::FailoverLimit;
use policy::Policy;

/// Keys that all failovers have.
const KEYS: [&str; 7] = [
    "failover_errors",
    "failover_policy",
    "failover_limit",
    "failover_tag",
    "enable_lease_pairing",
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
    /// Who won a lease stores where it was won.
    pairing: Option<Pairing>,
}

impl Settings {
    fn plain() -> Self {
        Self {
            errors: FailoverErrors::default(),
            policy: Policy::in_order(),
            limit: None,
            tag: false,
            pairing: None,
        }
    }

    fn read(node: &Node<'_>, children: usize, checker: &Checker<'_>) -> Result<Self, ConfigError> {
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
        settings.pairing = Pairing::read(node, children, checker)?;
        Ok(settings)
    }
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_some() {
        return Ok(in_turn(checker.children(node)?));
    }
    let known: Vec<&str> = ["type", "name", "children"].into_iter().chain(KEYS).collect();
    node.only(&known)?;
    let children = checker.children(node)?;
    let settings = Settings::read(node, children.len(), checker)?;
    Ok(blueprint(children, settings))
}

/// SaltedFailoverRoute: a pool by its hash, then its servers in the key's own order.
pub(crate) fn parse_salted(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let known: Vec<&str> = ["type", "name", "pool", "asynclog"]
        .into_iter()
        .chain(KEYS)
        .collect();
    node.only_supported(&known, &["shadows", "shadow_policy"])?;
    let pool = checker.pool(&node.need("pool")?)?;
    let hash = match node.get("hash") {
        Some(hash) => Some(super::hash::HashSettings::read(&hash)?),
        None => None,
    };
    let placed = checker.place(node, &pool, hash)?;
    let children: Vec<Blueprint> = [placed].into_iter().chain(pool.blueprints()).collect();
    let settings = Settings::read(node, children.len(), checker)?;
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
pub(crate) fn over(
    children: Vec<Blueprint>,
    node: &Node<'_>,
    checker: &Checker<'_>,
) -> Result<Blueprint, ConfigError> {
    let settings = Settings::read(node, children.len(), checker)?;
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
        unsent(reply) || self.settings.limit.as_ref().is_none_or(FailoverLimit::allows)
    }

    /// The failure domain of the server that a child would ask.
    fn domain_of(&self, child: usize, request: &OwnedRequest) -> Option<Domain> {
        let routing = Routing {
            op: request.op,
            key: &request.key,
        };
        let mut plan = Plan::default();
        plan.hashing(&request.hashed, |plan| {
            self.children[child].destinations(routing, plan);
        });
        plan.domain().cloned()
    }

    /// With leases paired: what was won from another child than the first goes back there.
    async fn paired(self: Rc<Self>, pairing: Pairing, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        if let Some(token) = request.lease_spent() {
            let (child, request) = match pairing.redeem(token) {
                Some((child, token)) => (child, request.with_cas_compared(token).map_or(request, Rc::new)),
                // Won from the first child, or too long ago: no other child knows this token.
                None => (0, request),
            };
            return Rc::clone(&self.children[child]).call(request, caller).await;
        }
        let asks = request.asks_for_a_lease();
        let (child, reply) = self.ask(request, caller).await;
        match reply.lease_won().filter(|_| asks) {
            Some(token) if child > 0 || Leases::looks_like_ours(token) => {
                reply.with_cas(pairing.keep(child, token))
            }
            _ => reply,
        }
    }

    /// The reply, and which child gave it.
    async fn ask(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> (usize, Reply) {
        if let Some(limit) = &self.settings.limit {
            limit.request();
        }
        let group = request.op.group();
        let policy = &self.settings.policy;
        let chosen = self.children[0].chosen(&request.hashed);
        let mut turns = policy.turns(&request.hashed, &self.failures, chosen);
        let mut asked = Rc::clone(&request);
        let mut errors = 0;
        let mut last: Option<(usize, Reply)> = None;
        let mut failed_domains: Vec<Domain> = Vec::new();
        loop {
            if let Some((_, failed)) = &last
                && (errors >= policy.max_error_tries() || !self.within_limit(failed))
            {
                break;
            }
            let shunned = |child: usize| {
                let domain = || self.domain_of(child, &request);
                !failed_domains.is_empty() && domain().is_some_and(|domain| failed_domains.contains(&domain))
            };
            let Some(child) = turns.next(shunned) else { break };
            if last.is_some() {
                caller.count_failover();
                if self.settings.tag {
                    asked = tagged(&request).unwrap_or(asked);
                }
            }
            let handle = Rc::clone(&self.children[child]);
            let reply = handle.call(Rc::clone(&asked), caller.clone()).await;
            self.remember(child, &reply);
            if !self.settings.errors.next_after(&reply, group) {
                let renamed = !Rc::ptr_eq(&asked, &request);
                return (child, if renamed { reply.naming(&request) } else { reply });
            }
            if policy.failure_domains && unsent(&reply) {
                failed_domains.extend(self.domain_of(child, &request));
            }
            errors += usize::from(policy.counts(&reply));
            last = Some((child, reply));
        }
        last.unwrap_or_else(|| (0, Reply::nothing(&request)))
    }
}

/// Whether nobody was sent anything: the server is out of use, or does not let itself be connected to.
const fn unsent(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Failed {
            error: UpstreamError::Tko | UpstreamError::Connect,
            ..
        }
    )
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
        match self.settings.pairing.clone() {
            Some(pairing) => Box::pin(self.paired(pairing, request, caller)),
            None => Box::pin(async move { self.ask(request, caller).await.1 }),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("FailoverRoute: in turn, until one does not fail", |into| {
            let hashed = into.hashed(request.key);
            let chosen = self.children[0].chosen(&hashed);
            let mut turns = self.settings.policy.turns(&hashed, &self.failures, chosen);
            while let Some(child) = turns.next(|_| false) {
                self.children[child].destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::{Recording, tree};

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
    fn what_fails_together_is_asked_last() {
        let policy = r#"{"type": "DeterministicOrderPolicy", "max_tries": 4, "max_error_tries": 4,
                         "enable_failure_domains": true}"#;
        let tree = Recording::of(&format!(
            r#"{{"pools": {{"D": {{"servers": ["x=h:1", "y=h:2", "z=h:3", "v=h:4"],
                                   "failure_domains": [1, 1, "rack", 0]}}}},
                 "route": {{"type": "FailoverRoute", "children": "Pool|D", "failover_policy": {policy}}}}}"#
        ));
        let down: [(&str, &[&str]); 4] = ["x", "y", "z", "v"].map(|name| (name, &["tko"][..]));
        let slow: [(&str, &[&str]); 4] = ["x", "y", "z", "v"].map(|name| (name, &["timeout"][..]));
        let orders = |says: &[(&str, &[&str])]| -> std::collections::HashSet<String> {
            (0..60)
                .map(|key| asked(&tree.play(&format!("get k{key}~"), says)))
                .collect()
        };
        assert_eq!(
            orders(&down),
            ["xzvy", "xvzy"].map(str::to_owned).into(),
            "y shares its domain with x"
        );
        assert_eq!(orders(&slow).len(), 6, "a timeout says nothing of others");
    }

    #[test]
    fn what_the_first_childs_hash_chose_is_not_asked_again() {
        let policy = |more: &str| {
            format!(
                r#"{{"type": "SaltedFailoverRoute", "pool": "R", "failover_policy":
                     {{"type": "DeterministicOrderPolicy", "max_tries": 4, "max_error_tries": 4{more}}}}}"#
            )
        };
        for key in 0..20 {
            let mut order = asked(&tree(&policy("")).play(&format!("get k{key}~"), &DOWN));
            assert_eq!(order.len(), 3, "{order}");
            assert!(
                ["x", "y", "z"].iter().all(|server| order.contains(server)),
                "{order}"
            );
            order = asked(
                &tree(&policy(r#", "ignore_normal_reply_index": true"#)).play(&format!("get k{key}~"), &DOWN),
            );
            assert_eq!(order.len(), 4, "{order}");
        }
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
