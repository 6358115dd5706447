//! One server: the leaf of every tree. If a worker has several connections to it, each key keeps to one of them, so that
//! what is asked about a key is answered in the order in which it was asked.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Domain, Plan, RouteHandle, Routed, Servers, at_once};
use crate::flow::Caller;
use crate::pool::Destination;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};
use crate::upstream::Upstream;
use crate::worker::arena::Id;

/// The only connection to a server.
struct DestinationRoute {
    id: Id<Upstream>,
    destination: Arc<Destination>,
    domain: Option<Domain>,
}

/// Several.
struct Lanes {
    ids: Box<[Id<Upstream>]>,
    destination: Arc<Destination>,
    domain: Option<Domain>,
}

/// The route to `destination`, which fails together with others of its `domain`.
pub(crate) fn blueprint(destination: Arc<Destination>, domain: Option<Domain>) -> Blueprint {
    Arc::new(move |builder| {
        let mut connect = |lane| (builder.connect)(&destination, lane);
        if destination.connections == 1 {
            return Rc::new(DestinationRoute {
                id: connect(0),
                destination: Arc::clone(&destination),
                domain: domain.clone(),
            });
        }
        Rc::new(Lanes {
            ids: (0..destination.connections).map(connect).collect(),
            destination: Arc::clone(&destination),
            domain: domain.clone(),
        })
    })
}

/// Asks over the connection `id`, unless the fast way has just been there.
fn ask(id: Id<Upstream>, destination: &Destination, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
    match request.failed {
        Some((failed, error)) if failed == id => at_once(Reply::Failed {
            error,
            gets: destination.get_errors,
        }),
        _ => Box::pin(caller.send(id, request)),
    }
}

impl RouteHandle for DestinationRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::To(self.id)
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        ask(self.id, &self.destination, request, caller)
    }

    fn destinations(&self, _request: Routing<'_>, into: &mut Plan) {
        into.server(&self.destination);
        into.in_domain(self.domain.as_ref());
    }
}

impl Lanes {
    /// Another hash than those by which keys find their servers: one server's keys are spread over all its connections.
    fn of(&self, key: &[u8]) -> Id<Upstream> {
        let lanes = self.ids.len() as u64;
        let lane = (u128::from(cluster::spooky64(key)) * u128::from(lanes)) >> 64;
        self.ids[usize::try_from(lane).expect("less than there are")]
    }
}

impl RouteHandle for Lanes {
    fn route(&self, request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::To(self.of(request.key))
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        ask(self.of(&request.hashed), &self.destination, request, caller)
    }

    fn destinations(&self, _request: Routing<'_>, into: &mut Plan) {
        into.server(&self.destination);
        into.in_domain(self.domain.as_ref());
    }
}
