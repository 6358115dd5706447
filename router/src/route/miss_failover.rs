//! MissFailoverRoute: gets and deletes go from child to child until one has the key; everything else to the first.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, null};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::Op;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let mut best_on_error = false;
    if node.argument().is_none() {
        node.only(&["type", "name", "children", "return_best_on_error"])?;
        if let Some(flag) = node.get("return_best_on_error") {
            best_on_error = flag.flag()?;
        }
    }
    let mut children = checker.children(node)?;
    match children.len() {
        0 => Ok(null::blueprint()),
        1 => Ok(children.swap_remove(0)),
        _ => Ok(Arc::new(move |builder| {
            Rc::new(MissFailoverRoute {
                children: builder.all(&children),
                best_on_error,
            })
        })),
    }
}

struct MissFailoverRoute {
    children: Box<[Handle]>,
    /// Without a hit: the least bad reply instead of the last.
    best_on_error: bool,
}

const fn goes_on(op: Op) -> bool {
    op.is_get() || matches!(op, Op::Delete)
}

impl RouteHandle for MissFailoverRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if goes_on(request.op) {
            Routed::Composite
        } else {
            self.children[0].route(request, servers)
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        if !goes_on(request.op) {
            return Rc::clone(&self.children[0]).call(request, caller);
        }
        Box::pin(async move {
            let mut kept: Option<Reply> = None;
            for child in &self.children {
                if kept.is_some() {
                    caller.count_failover();
                }
                let reply = Rc::clone(child).call(Rc::clone(&request), caller.clone()).await;
                if reply.is_hit() {
                    return reply;
                }
                let worse = |kept: &Reply| reply.severity() > kept.severity();
                if !(self.best_on_error && kept.as_ref().is_some_and(worse)) {
                    kept = Some(reply);
                }
            }
            kept.unwrap_or_else(|| Reply::nothing(&request))
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("MissFailoverRoute: in turn, until one has it", |into| {
            let children = if goes_on(request.op) {
                &self.children
            } else {
                &self.children[..1]
            };
            for child in children {
                child.destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn gets_and_deletes_go_on_to_whoever_has_the_key() {
        let play = |settings: &str, line: &str, a: &str, b: &str| {
            let route = format!(r#"{{"type": "MissFailoverRoute", "children": "Pool|AB"{settings}}}"#);
            tree(&route).play(line, &[("a", &[a]), ("b", &[b])])
        };
        for (line, a, b, answer) in [
            ("get k~", "END~", "VALUE k 0 1~x~END~", "VALUE k 0 1~x~END~"),
            ("get k~", "timeout", "END~", "END~"),
            ("delete k~", "NOT_FOUND~", "DELETED~", "DELETED~"),
            ("get k~", "END~", "timeout", "timeout"),
        ] {
            assert_eq!(play("", line, a, b), format!("a: {line}\nb: {line}\n=> {answer}"));
        }
        let best = r#", "return_best_on_error": true"#;
        assert_eq!(
            play(best, "get k~", "END~", "timeout"),
            "a: get k~\nb: get k~\n=> END~"
        );
        assert_eq!(
            play("", "delete k~", "DELETED~", "DELETED~"),
            "a: delete k~\n=> DELETED~"
        );
        let route = r#"{"type": "MissFailoverRoute", "children": "Pool|AB"}"#;
        assert_eq!(tree(route).fast("set k 0 0 1~x~"), "a");
    }
}
