//! RandomRoute: any child, anew for each request.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, null};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_none() {
        node.only(&["type", "name", "children"])?;
    }
    let children = checker.children(node)?;
    if children.is_empty() {
        return Ok(null::blueprint());
    }
    Ok(Arc::new(move |builder| {
        Rc::new(RandomRoute {
            children: children.iter().map(|child| builder.once(child)).collect(),
        })
    }))
}

struct RandomRoute {
    children: Box<[Handle]>,
}

impl RandomRoute {
    fn child(&self) -> &Handle {
        &self.children[rand::random_range(0..self.children.len())]
    }
}

impl RouteHandle for RandomRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        self.child().route(request, servers)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(self.child()).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("RandomRoute: one of these", |into| {
            for child in &self.children {
                child.destinations(request, into);
            }
        });
    }
}
