//! What the handles that ask all of their children have in common; each says in its own file how the replies become
//! one answer.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::{Caller, Leg};
use crate::request::{OwnedRequest, Routing};

/// How the replies of all children become one answer.
pub(super) trait Gather: 'static {
    /// The handle's line in `--explain`.
    const EXPLAINED: &'static str;
    /// Whether an only child may answer in its place, without a future of its own.
    const YIELDS_TO_ONLY_CHILD: bool = true;

    fn gather(children: &[Handle], request: Rc<OwnedRequest>, caller: Caller) -> Answer;
}

/// Reads `Name|child`, or an object with `children` and nothing else.
pub(super) fn parse<G: Gather>(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_none() {
        node.only(&["type", "name", "children"])?;
    }
    let children = checker.children(node)?;
    Ok(Arc::new(move |builder| {
        Rc::new(AllRoute::<G> {
            children: builder.all(&children),
            gather: PhantomData,
        })
    }))
}

struct AllRoute<G> {
    children: Box<[Handle]>,
    gather: PhantomData<G>,
}

impl<G: Gather> RouteHandle for AllRoute<G> {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match &*self.children {
            [] => Routed::Nothing,
            [only] if G::YIELDS_TO_ONLY_CHILD => only.route(request, servers),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        G::gather(&self.children, request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle(G::EXPLAINED, |into| {
            for child in &self.children {
                child.destinations(request, into);
            }
        });
    }
}

/// The children's replies to come, all asked by now.
pub(super) fn asked(children: &[Handle], request: &Rc<OwnedRequest>, caller: &Caller) -> Vec<Leg> {
    children
        .iter()
        .map(|child| caller.start(child, request))
        .collect()
}
