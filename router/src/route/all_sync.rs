//! AllSyncRoute: all children at once; when all have answered, the worst reply.

use std::rc::Rc;

use super::all::{self, Gather};
use super::{Answer, Blueprint, Handle, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::OwnedRequest;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    all::parse::<AllSyncRoute>(node, checker)
}

enum AllSyncRoute {}

impl Gather for AllSyncRoute {
    const EXPLAINED: &'static str = "AllSyncRoute: all, the worst reply";

    fn gather(children: &[Handle], request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let calls = children
            .iter()
            .map(|child| Rc::clone(child).call(Rc::clone(&request), caller.clone()))
            .collect();
        Box::pin(async move { worst(join_all(calls).await).unwrap_or_else(|| Reply::nothing(&request)) })
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
