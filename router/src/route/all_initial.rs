//! AllInitialRoute: all children, and the reply of the first; the others go on by themselves.

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
    Ok(blueprint(children))
}

/// All of them, answered by the first.
pub(crate) fn blueprint(children: Vec<Blueprint>) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(AllInitialRoute {
            children: builder.all(&children),
        })
    })
}

struct AllInitialRoute {
    children: Box<[Handle]>,
}

impl RouteHandle for AllInitialRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match &*self.children {
            [] => Routed::Nothing,
            [only] => only.route(request, servers),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Some((initial, others)) = self.children.split_first() else {
            return at_once(Reply::nothing(&request));
        };
        for other in others {
            caller.start_unheard(other, &request);
        }
        Rc::clone(initial).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("AllInitialRoute: all, answered by the first", |into| {
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
    fn the_first_child_answers_whatever_the_others_do() {
        let tree = tree(r#""AllInitialRoute|Pool|AB""#);
        let story = tree.play("set k 0 0 1~x~", &[("a", &["NOT_STORED~"]), ("b", &["STORED~"])]);
        let mut told: Vec<&str> = story.lines().collect();
        told.sort_unstable();
        assert_eq!(told, ["=> NOT_STORED~", "a: set k 0 0 1~x~", "b: set k 0 0 1~x~"]);
    }
}
