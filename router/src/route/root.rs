//! The top of the tree: the route of the key's routing prefix (`/region/cluster/key`), else the default route.
//!
//! Without `routes` in the configuration no key has a prefix, whatever it starts with.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, RouteHandle, Routed, Servers, at_once};
use crate::flow::Caller;
use crate::pool::Destination;
use crate::reply::{Kind, Reply};
use crate::request::{OwnedRequest, Routing};

/// The default route and the routes of prefixes, each with both its slashes: `/a/b/`.
pub(crate) fn blueprint(default: Blueprint, prefixed: Vec<(Vec<u8>, Blueprint)>) -> Blueprint {
    if prefixed.is_empty() {
        return default;
    }
    Arc::new(move |builder| {
        Rc::new(RootRoute {
            default: builder.once(&default),
            prefixed: prefixed
                .iter()
                .map(|(prefix, route)| (prefix.clone(), builder.once(route)))
                .collect(),
        })
    })
}

struct RootRoute {
    default: Handle,
    prefixed: Box<[(Vec<u8>, Handle)]>,
}

impl RootRoute {
    fn prefixed(&self, key: &[u8]) -> Option<(usize, &Handle)> {
        if key.first() != Some(&b'/') {
            return None;
        }
        self.prefixed
            .iter()
            .find(|(prefix, _)| key.len() > prefix.len() && key.starts_with(prefix))
            .map(|(prefix, route)| (prefix.len(), route))
    }
}

impl RouteHandle for RootRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.prefixed(request.key) {
            Some(_) => Routed::Composite,
            None => self.default.route(request, servers),
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Some((length, route)) = self.prefixed(&request.key) else {
            return Rc::clone(&self.default).call(request, caller);
        };
        let Some(stripped) = request.with_key(&request.key[length..]) else {
            return at_once(Reply::said(
                Kind::ClientError,
                b"CLIENT_ERROR a routing prefix cannot stand in a base64 key\r\n",
            ));
        };
        let asked = Rc::clone(route).call(Rc::new(stripped), caller);
        Box::pin(async move {
            asked
                .await
                .with_key(&request.key[length..], &request.key, request.expect)
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Vec<Arc<Destination>>) {
        match self.prefixed(request.key) {
            Some((length, route)) => route.destinations(
                Routing {
                    key: &request.key[length..],
                    ..request
                },
                into,
            ),
            None => self.default.destinations(request, into),
        }
    }
}
