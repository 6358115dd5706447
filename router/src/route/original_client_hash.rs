//! OriginalClientHashRoute: the child by the client's address, so that a host's requests go together.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::flow::Wishes;
use crate::reply::Reply;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "children", "offset"])?;
    let mut children = checker.children(node)?;
    let offset = match node.get("offset") {
        Some(given) => {
            let offset = given.count()?;
            if offset >= children.len().max(1) {
                return Err(given.error("an offset is smaller than the number of children"));
            }
            offset as u64
        }
        None => 0,
    };
    match children.len() {
        0 => Err(node.error("OriginalClientHashRoute needs at least one child")),
        1 => Ok(children.swap_remove(0)),
        _ => Ok(Arc::new(move |builder| {
            Rc::new(OriginalClientHashRoute {
                children: builder.all(&children),
                offset,
                worker: Rc::clone(&builder.worker),
            })
        })),
    }
}

struct OriginalClientHashRoute {
    children: Box<[Handle]>,
    offset: u64,
    worker: Rc<Wishes>,
}

const NO_ADDRESS: &str = "no address of the client to choose by";

impl OriginalClientHashRoute {
    /// The child of a client; `None` for one without an address, over a unix socket.
    fn child(&self, from: u64) -> Option<&Handle> {
        let index = from.wrapping_add(self.offset) % self.children.len() as u64;
        (from != 0).then(|| &self.children[usize::try_from(index).unwrap_or(0)])
    }
}

impl RouteHandle for OriginalClientHashRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.child(self.worker.from.get()) {
            Some(child) => child.route(request, servers),
            None => Routed::Refused(format!("SERVER_ERROR {NO_ADDRESS}\r\n").into_bytes().into()),
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match self.child(request.from) {
            Some(child) => Rc::clone(child).call(request, caller),
            None => at_once(Reply::server_error(NO_ADDRESS)),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle(
            "OriginalClientHashRoute: one of these, by the client's address",
            |into| {
                for child in &self.children {
                    child.destinations(request, into);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn clients_of_one_host_share_a_child() {
        let tree = tree(
            r#"{"type": "OriginalClientHashRoute", "children": ["PoolRoute|A", {"type": "FailoverRoute",
                "children": ["PoolRoute|B", "NullRoute"]}], "offset": 1}"#,
        );
        assert!(tree.fast("get k~").contains("no address"));
        tree.from(7);
        assert_eq!(tree.fast("get k~"), "a");
        tree.from(8);
        assert_eq!(tree.fast("get k~"), "b?");
        assert!(tree.play("get k~", &[("b", &["END~"])]).starts_with("b: "));
    }
}
