//! NullRoute, DevNullRoute: nowhere. Gets miss, sets are not stored. (mcrouter counts only what the latter takes; we count
//! both.)

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};

struct NullRoute;

pub(crate) fn parse(node: &Node<'_>, _checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if !node.is_name() {
        node.only(&["type", "name"])?;
    }
    Ok(blueprint())
}

impl RouteHandle for NullRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Nothing
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, _caller: Caller) -> Answer {
        at_once(Reply::nothing(&request))
    }

    fn destinations(&self, _request: Routing<'_>, into: &mut Plan) {
        into.handle("NullRoute: a miss, or not stored", |_| {});
    }
}

/// A route to nowhere.
pub(crate) fn blueprint() -> Blueprint {
    Arc::new(|_| Rc::new(NullRoute))
}

/// The handle itself, for a worker without configuration.
pub(crate) fn handle() -> Handle {
    Rc::new(NullRoute)
}
