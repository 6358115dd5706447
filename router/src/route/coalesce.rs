//! CoalesceRoute: gets of the same key that come while one is under way share its answer: one request to the server,
//! however many clients miss a key at once.
//!
//! A get joins another only if no write of the key through this route was begun since, so nobody who has heard of a write
//! is given an older value. Meta gets are left alone: they may carry leases.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;

use ahash::AHashMap;
use bytes::Bytes;

use super::write_stamps::{Stamp, WriteStamps};
use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::flow::{FlowWaker, Wishes};
use crate::pool::GetErrors;
use crate::reply::Reply;
use crate::request::{Expect, Op};
use crate::request::{OwnedRequest, Routing};
use crate::upstream::error::UpstreamError;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target"])?;
    let target = checker.route(&node.need("target")?)?;
    let stamps = Arc::new(WriteStamps::new());
    Ok(Arc::new(move |builder| {
        Rc::new(CoalesceRoute {
            target: builder.once(&target),
            stamps: Arc::clone(&stamps),
            flushes: Arc::clone(&builder.worker.flushes),
            worker: Rc::clone(&builder.worker),
            under_way: Rc::default(),
        })
    }))
}

/// Gets under way in this worker, by their bytes.
type UnderWay = RefCell<AHashMap<Bytes, Rc<Shared>>>;

struct CoalesceRoute {
    target: Handle,
    stamps: Arc<WriteStamps>,
    flushes: Arc<AtomicU64>,
    worker: Rc<Wishes>,
    under_way: Rc<UnderWay>,
}

/// A get that others may wait for.
struct Shared {
    stamp: Stamp,
    reply: RefCell<Option<Reply>>,
    waiting: RefCell<Vec<FlowWaker>>,
}

/// The one whose get it is: answers the others, however it ends.
struct Leader {
    shared: Rc<Shared>,
    wire: Bytes,
    under_way: Rc<UnderWay>,
}

impl Leader {
    fn answered(&self, reply: &Reply) {
        *self.shared.reply.borrow_mut() = Some(reply.clone());
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let mut under_way = self.under_way.borrow_mut();
        // A later get may have taken its place after a write.
        if under_way
            .get(&self.wire)
            .is_some_and(|shared| Rc::ptr_eq(shared, &self.shared))
        {
            under_way.remove(&self.wire);
        }
        self.shared.reply.borrow_mut().get_or_insert(Reply::Failed {
            error: UpstreamError::Closed,
            gets: GetErrors::Miss,
        });
        for waker in self.shared.waiting.take() {
            waker.wake();
        }
    }
}

impl CoalesceRoute {
    async fn read(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let stamp = self.stamps.of(&request.key, &self.flushes);
        let found = self.under_way.borrow().get(&request.wire).cloned();
        if let Some(shared) = found.filter(|shared| shared.stamp == stamp) {
            self.worker.coalesced.set(self.worker.coalesced.get() + 1);
            shared.waiting.borrow_mut().push(caller.waker());
            return std::future::poll_fn(|_| match &*shared.reply.borrow() {
                Some(reply) => Poll::Ready(reply.clone()),
                None => Poll::Pending,
            })
            .await;
        }
        let shared = Rc::new(Shared {
            stamp,
            reply: RefCell::new(None),
            waiting: RefCell::default(),
        });
        let leader = Leader {
            shared: Rc::clone(&shared),
            wire: request.wire.clone(),
            under_way: Rc::clone(&self.under_way),
        };
        self.under_way.borrow_mut().insert(request.wire.clone(), shared);
        let reply = Rc::clone(&self.target).call(request, caller).await;
        leader.answered(&reply);
        reply
    }
}

impl RouteHandle for CoalesceRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match request.op {
            Op::Gat | Op::Gats => self.target.route(request, servers),
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match request.op {
            Op::Get | Op::Gets if request.expect == Expect::Retrieval => Box::pin(self.read(request, caller)),
            op if op.is_get() => Rc::clone(&self.target).call(request, caller),
            _ => {
                self.stamps.write(&request.key);
                let asked = Rc::clone(&self.target).call(Rc::clone(&request), caller);
                Box::pin(async move {
                    let reply = asked.await;
                    self.stamps.write(&request.key);
                    reply
                })
            }
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("CoalesceRoute", |into| self.target.destinations(request, into));
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    const ROUTE: &str = r#"{"type": "CoalesceRoute", "target": {"type": "LatencyInjectionRoute", "child": "PoolRoute|A",
                            "after_latency_ms": 5}}"#;
    const ONE: &str = "VALUE k 0 1~1~END~";

    #[test]
    fn gets_of_one_key_at_once_are_one_request() {
        let story = tree(ROUTE).play_both("get k~", "get k~", &[("a", &[ONE])]);
        assert_eq!(story.matches("a: get k~").count(), 1, "{story}");
        assert_eq!(story.matches(&format!("=> {ONE}")).count(), 2, "{story}");
        let story = tree(ROUTE).play_both("get k~", "get other~", &[("a", &[ONE])]);
        assert_eq!(story.matches("a: get").count(), 2, "{story}");
        let story = tree(ROUTE).play_both("get k~", "gets k~", &[("a", &[ONE])]);
        assert_eq!(story.matches("a: get").count(), 2, "{story}");
    }

    #[test]
    fn an_error_is_shared_as_well_and_then_forgotten() {
        let tree = tree(ROUTE);
        let story = tree.play_both("get k~", "get k~", &[("a", &["timeout"])]);
        assert_eq!(story.matches("=> timeout").count(), 2, "{story}");
        assert!(tree.play("get k~", &[("a", &[ONE])]).contains("a: get k~"));
    }

    #[test]
    fn a_get_behind_a_write_does_not_join_a_get_before_it() {
        let story = tree(ROUTE).play_all(
            &["get k~", "set k 0 0 1~2~", "get k~"],
            &[("a", &[ONE, "STORED~", "VALUE k 0 1~2~END~"])],
        );
        assert_eq!(story.matches("a: get k~").count(), 2, "{story}");
    }
}
