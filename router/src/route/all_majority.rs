//! AllMajorityRoute: all children at once, and the reply that more than half of them give; without such a majority,
//! when all have answered, the most frequent, and of equally frequent ones the worse.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, first};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{OwnedRequest, Routing};
use crate::upstream::error::UpstreamError;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    if node.argument().is_none() {
        node.only(&["type", "name", "children"])?;
    }
    let children = checker.children(node)?;
    Ok(Arc::new(move |builder| {
        Rc::new(AllMajorityRoute {
            children: builder.all(&children),
        })
    }))
}

struct AllMajorityRoute {
    children: Box<[Handle]>,
}

/// How often each result was answered.
#[derive(Default)]
struct Votes {
    said: [usize; Kind::ALL.len()],
    failed: [usize; UpstreamError::ALL.len()],
}

impl Votes {
    fn of(&mut self, reply: &Reply) -> &mut usize {
        match reply {
            Reply::Said { kind, .. } => &mut self.said[kind.index()],
            Reply::Failed { error, .. } => &mut self.failed[error.index()],
        }
    }
}

impl RouteHandle for AllMajorityRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match &*self.children {
            [] => Routed::Nothing,
            [only] => only.route(request, servers),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let asked = self
            .children
            .iter()
            .map(|child| caller.start(child, &request))
            .collect();
        let majority = self.children.len() / 2 + 1;
        Box::pin(async move {
            let mut votes = Votes::default();
            let elected = first(asked, |reply| {
                let votes = votes.of(reply);
                *votes += 1;
                *votes == majority
            });
            match elected.await {
                Ok(reply) => reply,
                Err(replies) => replies
                    .into_iter()
                    // Of equal ones the first stays.
                    .rev()
                    .max_by_key(|reply| (*votes.of(reply), reply.severity()))
                    .unwrap_or_else(|| Reply::nothing(&request)),
            }
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("AllMajorityRoute: all, what most of them say", |into| {
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
    fn what_most_say_is_the_answer() {
        for (x, y, z, answer) in [
            ("STORED~", "STORED~", "timeout", "STORED~"),
            ("timeout", "NOT_STORED~", "timeout", "timeout"),
            ("STORED~", "NOT_STORED~", "timeout", "timeout"),
        ] {
            let tree = tree(r#""AllMajorityRoute|Pool|R""#);
            let story = tree.play("add k 0 0 1~x~", &[("x", &[x]), ("y", &[y]), ("z", &[z])]);
            assert!(story.ends_with(&format!("=> {answer}")), "{story}");
        }
    }
}
