//! AllInitialRoute: all children, and the reply of the first; the others go on by themselves.

use std::rc::Rc;

use super::all::{self, Gather};
use super::{Answer, Blueprint, Handle, at_once};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::OwnedRequest;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    all::parse::<AllInitialRoute>(node, checker)
}

enum AllInitialRoute {}

impl Gather for AllInitialRoute {
    const EXPLAINED: &'static str = "AllInitialRoute: all, answered by the first";

    fn gather(children: &[Handle], request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Some((initial, others)) = children.split_first() else {
            return at_once(Reply::nothing(&request));
        };
        for other in others {
            caller.start_unheard(other, &request);
        }
        Rc::clone(initial).call(request, caller)
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
