//! StagingRoute: a staging pool beside a warm one that answers every client. Staging is filled by what passes through.
//!
//! Gets are answered by warm; staging is asked whether it has the key, and gets a copy with flags and TTL if not. Sets
//! that warm stored and deletes go to staging too, everything else is copied to it; only deletes are waited for.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, all_sync, join_all, warm_up};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{Expect, Op};
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "warm", "staging"])?;
    let warm = checker.route(&node.need("warm")?)?;
    let staging = checker.route(&node.need("staging")?)?;
    Ok(Arc::new(move |builder| {
        let warm = builder.once(&warm);
        let staging = builder.once(&staging);
        let fill = Rc::new(FillRoute {
            warm: Rc::clone(&warm),
            staging: Rc::clone(&staging),
        });
        Rc::new(StagingRoute { warm, staging, fill })
    }))
}

struct StagingRoute {
    warm: Handle,
    staging: Handle,
    fill: Handle,
}

impl RouteHandle for StagingRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let warm = Rc::clone(&self.warm).call(Rc::clone(&request), caller.clone());
        match request.op {
            Op::Get | Op::Gets | Op::Gat | Op::Gats => Box::pin(async move {
                let reply = warm.await;
                if reply.is_hit() && request.expect != Expect::MetaDebug {
                    caller.start_unheard(&self.fill, &request);
                }
                reply
            }),
            Op::Delete => Box::pin(async move {
                let staging = Rc::clone(&self.staging).call(Rc::clone(&request), caller);
                let replies = join_all(vec![warm, staging]).await;
                all_sync::worst(replies).unwrap_or_else(|| Reply::nothing(&request))
            }),
            Op::Set | Op::Add | Op::Replace | Op::Cas => Box::pin(async move {
                let reply = warm.await;
                if reply.kind() == Kind::Stored
                    && let Some(set) = request.as_set()
                {
                    caller.start_unheard(&self.staging, &Rc::new(set));
                }
                reply
            }),
            Op::Append | Op::Prepend | Op::Incr | Op::Decr | Op::Touch => {
                caller.start_unheard(&self.staging, &request);
                warm
            }
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("StagingRoute: warm answers, staging is filled", |into| {
            self.warm.destinations(request, into);
            self.staging.destinations(request, into);
        });
    }
}

/// Gives staging what it lacks.
struct FillRoute {
    warm: Handle,
    staging: Handle,
}

impl RouteHandle for FillRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            let Some(peek) = request.peek() else {
                return Reply::nothing(&request);
            };
            let staged = Rc::clone(&self.staging).call(Rc::new(peek), caller.clone()).await;
            if !staged.is_miss() {
                return staged;
            }
            let found = match warm_up::fetch(&self.warm, &request, &caller).await {
                Ok(found) => found,
                Err(reply) => return reply,
            };
            match warm_up::copy(&request, &found, None) {
                Some(copy) => Rc::clone(&self.staging).call(Rc::new(copy), caller).await,
                None => Reply::nothing(&request),
            }
        })
    }

    fn destinations(&self, _request: Routing<'_>, _into: &mut Plan) {}
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn play(line: &str, warm: &[&str], staging: &[&str]) -> String {
        let route = r#"{"type": "StagingRoute", "warm": "PoolRoute|A", "staging": "PoolRoute|B"}"#;
        tree(route).play(line, &[("a", warm), ("b", staging)])
    }

    #[test]
    fn a_hit_is_copied_to_staging_with_flags_and_ttl_if_it_lacks_it() {
        assert_eq!(
            play(
                "get k~",
                &["VALUE k 7 1~x~END~", "VA 1 t90 f7~x~"],
                &["EN~", "STORED~"]
            ),
            "a: get k~\n=> VALUE k 7 1~x~END~\nb: mg k f~\na: mg k t f v~\nb: add k 7 90 1~x~"
        );
        assert_eq!(
            play("get k~", &["VALUE k 7 1~x~END~"], &["HD f7~"]),
            "a: get k~\n=> VALUE k 7 1~x~END~\nb: mg k f~"
        );
        assert_eq!(play("get k~", &["END~"], &[]), "a: get k~\n=> END~");
    }

    #[test]
    fn writes_reach_staging_and_only_deletes_wait_for_it() {
        assert_eq!(
            play("cas k 7 0 1 5~x~", &["STORED~"], &["timeout"]),
            "a: cas k 7 0 1 5~x~\n=> STORED~\nb: set k 7 0 1~x~"
        );
        assert_eq!(
            play("add k 7 0 1~x~", &["NOT_STORED~"], &[]),
            "a: add k 7 0 1~x~\n=> NOT_STORED~"
        );
        assert_eq!(
            play("delete k~", &["DELETED~"], &["timeout"]),
            "a: delete k~\nb: delete k~\n=> timeout"
        );
        let told = play("incr k 1~", &["5~"], &["5~"]);
        assert!(told.contains("b: incr k 1~") && told.contains("=> 5~"), "{told}");
    }
}
