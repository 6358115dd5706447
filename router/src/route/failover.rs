//! FailoverRoute: the children in turn until one does not fail; else the last reply.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, RouteHandle, Routed, Servers, null};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::pool::Destination;
use crate::reply::{Kind, Reply};
use crate::request::{Group, OwnedRequest, Routing};
use crate::upstream::error::UpstreamError;

/// mcrouter's words for what went wrong, and ours.
const ERRORS: [(&str, &[Failure]); 10] = [
    ("tko", &[Failure::Upstream(UpstreamError::Tko)]),
    (
        "connect_error",
        &[
            Failure::Upstream(UpstreamError::Connect),
            Failure::Upstream(UpstreamError::Closed),
        ],
    ),
    ("connect_timeout", &[Failure::Upstream(UpstreamError::Connect)]),
    ("timeout", &[Failure::Upstream(UpstreamError::Timeout)]),
    ("busy", &[Failure::Upstream(UpstreamError::Busy)]),
    (
        "remote_error",
        &[Failure::ServerError, Failure::Upstream(UpstreamError::Protocol)],
    ),
    ("local_error", &[Failure::Upstream(UpstreamError::Removed)]),
    ("shutdown", &[]),
    ("try_again", &[]),
    ("deadline_exceeded", &[]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Upstream(UpstreamError),
    ServerError,
}

/// Which failures make it try the next child; `None` is all of them.
#[derive(Debug, Clone, Default)]
struct FailoverErrors {
    gets: Option<Vec<Failure>>,
    updates: Option<Vec<Failure>>,
    deletes: Option<Vec<Failure>>,
}

impl FailoverErrors {
    fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        if node.is_list() {
            let all = Some(errors(node)?);
            return Ok(Self {
                gets: all.clone(),
                updates: all.clone(),
                deletes: all,
            });
        }
        node.only(&["gets", "updates", "deletes"])?;
        let group = |name| node.get(name).map(|list| errors(&list)).transpose();
        Ok(Self {
            gets: group("gets")?,
            updates: group("updates")?,
            deletes: group("deletes")?,
        })
    }

    /// Whether the next child is asked after this reply.
    fn next_after(&self, reply: &Reply, group: Group) -> bool {
        let failure = match reply {
            Reply::Failed { error, .. } => Failure::Upstream(*error),
            Reply::Said {
                kind: Kind::ServerError,
                ..
            } => Failure::ServerError,
            Reply::Said { .. } => return false,
        };
        let listed = match group {
            Group::Gets => &self.gets,
            Group::Updates => &self.updates,
            Group::Deletes => &self.deletes,
            Group::Others => &None,
        };
        listed.as_ref().is_none_or(|listed| listed.contains(&failure))
    }
}

fn errors(node: &Node<'_>) -> Result<Vec<Failure>, ConfigError> {
    let mut failures = Vec::new();
    for name in node.list()? {
        let text = name.string()?;
        let known = ERRORS.iter().find(|(known, _)| *known == text);
        let Some((_, meant)) = known else {
            let names: Vec<&str> = ERRORS.iter().map(|(name, _)| *name).collect();
            return Err(name.unknown("error", text, &names));
        };
        failures.extend_from_slice(meant);
    }
    Ok(failures)
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let mut errors = FailoverErrors::default();
    if node.argument().is_none() {
        node.only_supported(
            &["type", "name", "children", "failover_errors"],
            &[
                "failover_policy",
                "failover_limit",
                "failover_tag",
                "enable_lease_pairing",
                "hash",
                "tags",
            ],
        )?;
        if let Some(listed) = node.get("failover_errors") {
            errors = FailoverErrors::read(&listed)?;
        }
    }
    let children = checker.children(node)?;
    Ok(blueprint(children, errors))
}

fn blueprint(children: Vec<Blueprint>, errors: FailoverErrors) -> Blueprint {
    match children.len() {
        0 => null::blueprint(),
        1 => Arc::clone(&children[0]),
        _ => Arc::new(move |builder| {
            Rc::new(FailoverRoute {
                children: children.iter().map(|child| builder.once(child)).collect(),
                errors: errors.clone(),
            })
        }),
    }
}

/// The children in turn, after any failure.
pub(crate) fn in_turn(children: Vec<Blueprint>) -> Blueprint {
    blueprint(children, FailoverErrors::default())
}

struct FailoverRoute {
    children: Box<[Handle]>,
    errors: FailoverErrors,
}

impl RouteHandle for FailoverRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if !request.op.is_get() {
            return Routed::Composite;
        }
        // The first child is asked the fast way as long as it is one server, and up.
        match self.children[0].route(request, servers) {
            Routed::To(id) | Routed::Try(id)
                if servers.get(id).is_some_and(crate::upstream::Upstream::is_up) =>
            {
                Routed::Try(id)
            }
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            let group = request.op.group();
            let mut last = None;
            for child in &self.children {
                if last.is_some() {
                    caller.count_failover();
                }
                let reply = Rc::clone(child).call(Rc::clone(&request), caller.clone()).await;
                if !self.errors.next_after(&reply, group) {
                    return reply;
                }
                last = Some(reply);
            }
            last.unwrap_or_else(|| Reply::nothing(&request))
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Vec<Arc<Destination>>) {
        for child in &self.children {
            child.destinations(request, into);
        }
    }
}
