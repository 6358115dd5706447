//! KeySplitRoute: several copies of each key, `key`, `key::1`, `key::2`, …, and each router reads its own: for keys too
//! hot for one server. A delete reaches every copy before it is answered.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, first, host_id, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::Op;
use crate::request::{OwnedRequest, Routing};

/// mcrouter's bounds.
const REPLICAS: std::ops::RangeInclusive<usize> = 2..=1000;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "destination", "replicas", "all_sync", "first_hit"])?;
    let destination = checker.route(&node.need("destination")?)?;
    let given = node.need("replicas")?;
    let replicas = given.count()?;
    if !REPLICAS.contains(&replicas) {
        return Err(given.error(&format!("{replicas} is not from 2 to 1000")));
    }
    let flag = |name| match node.get(name) {
        Some(flag) => flag.flag(),
        None => Ok(false),
    };
    let (all_sync, first_hit) = (flag("all_sync")?, flag("first_hit")?);
    let own = host_id::pick(checker.host_id(), "", replicas);
    Ok(Arc::new(move |builder| {
        Rc::new(KeySplitRoute {
            destination: builder.once(&destination),
            replicas,
            own,
            all_sync,
            first_hit,
        })
    }))
}

struct KeySplitRoute {
    destination: Handle,
    replicas: usize,
    /// This router's copy.
    own: usize,
    /// Sets reach all copies.
    all_sync: bool,
    /// Gets ask for all copies and take the first hit.
    first_hit: bool,
}

/// How many copies a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Own,
    All,
    FirstHit,
}

impl KeySplitRoute {
    const fn reach(&self, op: Op) -> Reach {
        match op {
            Op::Delete => Reach::All,
            Op::Set if self.all_sync => Reach::All,
            Op::Get | Op::Gets if self.first_hit => Reach::FirstHit,
            _ => Reach::Own,
        }
    }

    /// The request for one of the copies; `None` if the key has no room for its number.
    fn copy(&self, request: &Rc<OwnedRequest>, number: usize) -> Option<Rc<OwnedRequest>> {
        if number == 0 {
            return Some(Rc::clone(request));
        }
        let hashed = cluster::hashed_part(&request.key);
        let rest = &request.key[hashed.len()..];
        let key = [hashed, format!("::{number}").as_bytes(), rest].concat();
        request.with_key(&key).map(Rc::new)
    }

    /// All copies, this router's own first.
    fn copies(&self, request: &Rc<OwnedRequest>) -> Option<Vec<Rc<OwnedRequest>>> {
        let others = (0..self.replicas).filter(|number| *number != self.own);
        [self.own]
            .into_iter()
            .chain(others)
            .map(|number| self.copy(request, number))
            .collect()
    }
}

impl RouteHandle for KeySplitRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if self.own == 0 && self.reach(request.op) == Reach::Own {
            self.destination.route(request, servers)
        } else {
            Routed::Composite
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let reach = self.reach(request.op);
        let copies = match reach {
            Reach::Own => self.copy(&request, self.own).map(|own| vec![own]),
            Reach::All | Reach::FirstHit => self.copies(&request),
        };
        // A key without room for a number has only one copy.
        let copies = copies.unwrap_or_else(|| vec![Rc::clone(&request)]);
        Box::pin(async move {
            let reply = if reach == Reach::FirstHit {
                let asked = copies
                    .iter()
                    .map(|copy| caller.start(&self.destination, copy))
                    .collect();
                match first(asked, Reply::is_hit).await {
                    Ok(hit) => hit,
                    Err(replies) => {
                        let best = replies.into_iter().min_by_key(Reply::severity);
                        best.unwrap_or_else(|| Reply::nothing(&request))
                    }
                }
            } else {
                let asked = copies.iter().map(|copy| {
                    let destination = Rc::clone(&self.destination);
                    destination.call(Rc::clone(copy), caller.clone())
                });
                let replies = join_all(asked.collect()).await;
                let failed = replies.iter().position(Reply::failed);
                let told = replies.into_iter().nth(failed.unwrap_or(0));
                told.unwrap_or_else(|| Reply::nothing(&request))
            };
            reply.naming(&request)
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let (own, replicas) = (self.own, self.replicas);
        into.handle(format_args!("KeySplitRoute: copy {own} of {replicas}"), |into| {
            self.destination.destinations(request, into);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn play(settings: &str, line: &str, says: &[&str]) -> (String, Vec<String>) {
        let route =
            format!(r#"{{"type": "KeySplitRoute", "destination": "PoolRoute|A", "replicas": 3{settings}}}"#);
        let story = tree(&route).play(line, &[("a", says)]);
        let mut asked: Vec<String> = story.lines().map(str::to_owned).collect();
        let answer = asked
            .iter()
            .position(|line| line.starts_with("=> "))
            .expect("an answer");
        let answer = asked.remove(answer);
        asked.sort_unstable();
        (answer, asked)
    }

    #[test]
    fn a_delete_reaches_every_copy_and_a_get_only_its_own() {
        let all = ["a: delete k::1~", "a: delete k::2~", "a: delete k~"];
        assert_eq!(
            play("", "delete k~", &["DELETED~"]),
            ("=> DELETED~".into(), all.map(str::to_owned).into())
        );
        assert_eq!(
            play("", "delete k~", &["DELETED~", "timeout", "DELETED~"]).0,
            "=> timeout"
        );
        assert_eq!(play("", "get k~", &["END~"]).1.len(), 1);
        assert_eq!(play("", "set k 0 0 1~x~", &["STORED~"]).1.len(), 1);
        assert_eq!(
            play(r#", "all_sync": true"#, "set k 0 0 1~x~", &["STORED~"])
                .1
                .len(),
            3
        );
        let (_, hash_stop) = play("", "delete k|#|rest~", &["DELETED~"]);
        assert!(
            hash_stop.contains(&"a: delete k::1|#|rest~".to_owned()),
            "{hash_stop:?}"
        );
    }

    #[test]
    fn the_first_hit_of_all_copies_is_told_by_the_keys_own_name() {
        let settings = r#", "first_hit": true"#;
        let (answer, asked) = play(settings, "get k~", &["END~", "VALUE any 0 1~x~END~", "END~"]);
        assert_eq!((answer.as_str(), asked.len()), ("=> VALUE k 0 1~x~END~", 3));
        assert_eq!(
            play(settings, "get k~", &["END~", "timeout", "END~"]).0,
            "=> END~"
        );
    }

    #[test]
    fn a_key_that_has_no_room_for_a_number_has_one_copy() {
        let long = "k".repeat(249);
        let (_, asked) = play("", &format!("delete {long}~"), &["DELETED~"]);
        assert_eq!(asked, [format!("a: delete {long}~")]);
    }
}
