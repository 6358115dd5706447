//! AllFastestRoute: all children at once, and the first reply that is worth something.
//!
//! A hit is, and a write that was done; a miss only when nobody has better, an error only when all have failed. The
//! requests that nobody waits for any more go on to their ends.

use std::rc::Rc;

use super::all::{self, Gather, asked};
use super::{Answer, Blueprint, Handle, first};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::OwnedRequest;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    all::parse::<AllFastestRoute>(node, checker)
}

enum AllFastestRoute {}

impl Gather for AllFastestRoute {
    const EXPLAINED: &'static str = "AllFastestRoute: all, the first good reply";

    fn gather(children: &[Handle], request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let asked = asked(children, &request, &caller);
        Box::pin(async move {
            let good = |reply: &Reply| !reply.failed() && !reply.is_miss();
            match first(asked, good).await {
                Ok(reply) => reply,
                Err(replies) => {
                    let miss = replies.iter().position(Reply::is_miss);
                    let best = miss.unwrap_or(replies.len().saturating_sub(1));
                    let best = replies.into_iter().nth(best);
                    best.unwrap_or_else(|| Reply::nothing(&request))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn a_miss_does_not_beat_a_hit_and_an_error_beats_nothing() {
        for (line, a, b, answer) in [
            ("get k~", "END~", "VALUE k 0 1~x~END~", "VALUE k 0 1~x~END~"),
            ("get k~", "timeout", "END~", "END~"),
            ("get k~", "END~", "SERVER_ERROR no~", "END~"),
            ("get k~", "timeout", "SERVER_ERROR no~", "SERVER_ERROR no~"),
            ("mg k v~", "EN~", "VA 1~x~", "VA 1~x~"),
            ("set k 0 0 1~x~", "SERVER_ERROR no~", "STORED~", "STORED~"),
            ("delete k~", "NOT_FOUND~", "DELETED~", "DELETED~"),
        ] {
            let story = tree(r#""AllFastestRoute|Pool|AB""#).play(line, &[("a", &[a]), ("b", &[b])]);
            assert_eq!(story, format!("a: {line}\nb: {line}\n=> {answer}"));
        }
    }

    #[test]
    fn what_nobody_waits_for_goes_on_to_its_end() {
        let route = r#"{"type": "AllFastestRoute", "children": ["PoolRoute|A",
                        {"type": "FailoverRoute", "children": ["PoolRoute|B", "PoolRoute|R"]}]}"#;
        let story = tree(route).play(
            "set k 0 0 1~x~",
            &[
                ("a", &["STORED~"]),
                ("b", &["timeout"]),
                ("x", &["STORED~"]),
                ("y", &["STORED~"]),
                ("z", &["STORED~"]),
            ],
        );
        let told: Vec<&str> = story.lines().collect();
        assert!(told.contains(&"=> STORED~"), "{story}");
        assert_eq!(told.len(), 4, "the failover behind it goes on: {story}");
    }
}
