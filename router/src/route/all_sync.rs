//! AllSyncRoute: all children at once; when all have answered, the worst reply.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_none() {
        node.only(&["type", "name", "children"])?;
    }
    let children = checker.children(node)?;
    Ok(Arc::new(move |builder| {
        Rc::new(AllSyncRoute {
            children: children.iter().map(|child| builder.once(child)).collect(),
        })
    }))
}

struct AllSyncRoute {
    children: Box<[Handle]>,
}

impl RouteHandle for AllSyncRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match &*self.children {
            [] => Routed::Nothing,
            [only] => only.route(request, servers),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            let asked = self
                .children
                .iter()
                .map(|child| Rc::clone(child).call(Rc::clone(&request), caller.clone()))
                .collect();
            worst(join_all(asked).await).unwrap_or_else(|| Reply::nothing(&request))
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("AllSyncRoute: all, the worst reply", |into| {
            for child in &self.children {
                child.destinations(request, into);
            }
        });
    }
}

/// The worst of the replies; of equally bad ones the first.
pub(crate) fn worst(replies: Vec<Reply>) -> Option<Reply> {
    replies.into_iter().reduce(|worst, reply| {
        if reply.severity() > worst.severity() {
            reply
        } else {
            worst
        }
    })
}
