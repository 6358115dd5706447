//! OperationSelectorRoute: a child per operation. Meta commands go by the classic operation they amount to.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, error};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{Op, OwnedRequest, Routing};

/// Operations of mcrouter's that no memcached client sends: read and never used.
const FOREIGN: [&str; 4] = ["lease-get", "lease-set", "metaget", "flushre"];

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "default_policy", "operation_policies"])?;
    let default = node
        .get("default_policy")
        .map(|route| checker.route(&route))
        .transpose()?;
    let mut by_op: ByOp = std::array::from_fn(|_| None);
    if let Some(policies) = node.get("operation_policies") {
        for (name, route) in policies.entries()? {
            let child = checker.route(&route)?;
            match Op::named(name) {
                Some(op) => by_op[op.index()] = Some(child),
                None if FOREIGN.contains(&name) => {}
                None => {
                    let names: Vec<&str> = Op::ALL.into_iter().map(Op::name).collect();
                    return Err(route.unknown("operation", name, &names));
                }
            }
        }
    }
    Ok(blueprint("OperationSelectorRoute", by_op, default))
}

/// The child of each operation that has its own.
pub(crate) type ByOp = [Option<Blueprint>; Op::ALL.len()];

/// A child for each operation: its own, else the default, else an error.
pub(crate) fn blueprint(what: &'static str, by_op: ByOp, default: Option<Blueprint>) -> Blueprint {
    Arc::new(move |builder| {
        let children = std::array::from_fn(|index| match (&by_op[index], &default) {
            (Some(child), _) | (None, Some(child)) => builder.once(child),
            (None, None) => {
                let op = Op::ALL[index].name();
                let why = format!("no route for {op}: no policy for it and no default_policy");
                error::blueprint(&why)(builder)
            }
        });
        Rc::new(OperationSelectorRoute { what, children })
    })
}

struct OperationSelectorRoute {
    what: &'static str,
    children: [Handle; Op::ALL.len()],
}

impl RouteHandle for OperationSelectorRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        self.children[request.op.index()].route(request, servers)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(&self.children[request.op.index()]).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle(format_args!("{}: {}", self.what, request.op.name()), |into| {
            self.children[request.op.index()].destinations(request, into);
        });
    }
}
