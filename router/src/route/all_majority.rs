//! AllMajorityRoute: all children at once, and the reply that more than half of them give; without such a majority,
//! when all have answered, the most frequent, and of equally frequent ones the worse.

use std::rc::Rc;

use super::all::{self, Gather, asked};
use super::{Answer, Blueprint, Handle, first};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::OwnedRequest;
use crate::upstream::error::UpstreamError;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    all::parse::<AllMajorityRoute>(node, checker)
}

enum AllMajorityRoute {}

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

impl Gather for AllMajorityRoute {
    const EXPLAINED: &'static str = "AllMajorityRoute: all, what most of them say";

    fn gather(children: &[Handle], request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let asked = asked(children, &request, &caller);
        let majority = children.len() / 2 + 1;
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
