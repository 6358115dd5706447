//! AllAsyncRoute: all children, and none of their replies: the client hears the default reply at once.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, at_once};
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
        Rc::new(AllAsyncRoute {
            children: builder.all(&children),
        })
    }))
}

struct AllAsyncRoute {
    children: Box<[Handle]>,
}

impl RouteHandle for AllAsyncRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        if self.children.is_empty() {
            Routed::Nothing
        } else {
            Routed::Composite
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        for child in &self.children {
            caller.start_unheard(child, &request);
        }
        at_once(Reply::nothing(&request))
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("AllAsyncRoute: all, nobody waits", |into| {
            for child in &self.children {
                child.destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn everybody_is_asked_and_nobody_is_waited_for() {
        let tree = tree(r#""AllAsyncRoute|Pool|AB""#);
        assert_eq!(tree.fast("get k~"), "composite");
        assert_eq!(
            tree.play("set k 0 0 1~x~", &[("a", &["timeout"]), ("b", &["STORED~"])]),
            "=> NOT_STORED~\na: set k 0 0 1~x~\nb: set k 0 0 1~x~"
        );
        assert!(
            tree.play("delete k~", &[("a", &["DELETED~"]), ("b", &["DELETED~"])])
                .starts_with("=> NOT_FOUND~")
        );
    }
}
