//! AllAsyncRoute: all children, and none of their replies: the client hears the default reply at once.

use std::rc::Rc;

use super::all::{self, Gather};
use super::{Answer, Blueprint, Handle, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::OwnedRequest;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    all::parse::<AllAsyncRoute>(node, checker)
}

enum AllAsyncRoute {}

impl Gather for AllAsyncRoute {
    const EXPLAINED: &'static str = "AllAsyncRoute: all, nobody waits";
    const YIELDS_TO_ONLY_CHILD: bool = false;

    fn gather(children: &[Handle], request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        for child in children {
            caller.start_unheard(child, &request);
        }
        at_once(Reply::nothing(&request))
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
