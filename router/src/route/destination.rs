//! One server: the leaf of every tree.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Plan, RouteHandle, Routed, Servers, at_once};
use crate::flow::Caller;
use crate::pool::Destination;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::Upstream;
use crate::worker::arena::Id;

struct DestinationRoute {
    id: Id<Upstream>,
    destination: Arc<Destination>,
}

/// The route to `destination`.
pub(crate) fn blueprint(destination: Arc<Destination>) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(DestinationRoute {
            id: (builder.connect)(&destination),
            destination: Arc::clone(&destination),
        })
    })
}

impl RouteHandle for DestinationRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::To(self.id)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match request.failed {
            // The fast way has just been there.
            Some((id, error)) if id == self.id => at_once(Reply::Failed {
                error,
                gets: self.destination.get_errors,
            }),
            _ => Box::pin(caller.send(self.id, request)),
        }
    }

    fn destinations(&self, _request: Routing<'_>, into: &mut Plan) {
        into.server(&self.destination);
    }
}
