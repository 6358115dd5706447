//! PrefixSelectorRoute: the child of the longest prefix of the key, else the wildcard. It may stand anywhere.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, error};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "policies", "wildcard"])?;
    let mut policies = Vec::new();
    if let Some(listed) = node.get("policies") {
        for (prefix, route) in listed.entries()? {
            policies.push((prefix.as_bytes().to_vec(), checker.route(&route)?));
        }
    }
    // Longest first, so that the first that fits is the one.
    policies.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    let wildcard = match node.get("wildcard") {
        Some(route) => checker.route(&route)?,
        None if policies.is_empty() => return Err(node.error("needs \"policies\", a \"wildcard\", or both")),
        None => error::blueprint("no route for this key: no prefix fits and there is no wildcard"),
    };
    Ok(Arc::new(move |builder| {
        Rc::new(PrefixSelectorRoute {
            policies: policies
                .iter()
                .map(|(prefix, child)| (prefix.clone(), builder.once(child)))
                .collect(),
            wildcard: builder.once(&wildcard),
        })
    }))
}

struct PrefixSelectorRoute {
    policies: Box<[(Vec<u8>, Handle)]>,
    wildcard: Handle,
}

impl PrefixSelectorRoute {
    fn child(&self, key: &[u8]) -> &Handle {
        self.policy(key).map_or(&self.wildcard, |(_, child)| child)
    }

    fn policy(&self, key: &[u8]) -> Option<&(Vec<u8>, Handle)> {
        self.policies.iter().find(|(prefix, _)| key.starts_with(prefix))
    }
}

impl RouteHandle for PrefixSelectorRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        self.child(request.key).route(request, servers)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(self.child(&request.key)).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let what = match self.policy(request.key) {
            Some((prefix, _)) => format!("PrefixSelectorRoute: prefix {}", prefix.escape_ascii()),
            None => "PrefixSelectorRoute: wildcard".to_owned(),
        };
        into.handle(what, |into| self.child(request.key).destinations(request, into));
    }
}
