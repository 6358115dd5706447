//! ReplicatedPoolRoute: every key on every server of the pool.
//!
//! Each key has a *leader*: the first server that is up in an order that the key's hash begins. Reads go to the
//! leader, and on to the next server if it fails, so that `gets` and the `cas` after it speak of the same item.
//! Writes that depend on what is stored (`add`, `cas`, `incr`, `append`, …) are decided by the leader alone; the others
//! are then brought to the same: by a copy of the value where the request carries it, else by the same command, and
//! where that comes out differently by a delete. Deletes and plain sets go to all at once.
//!
//! A delete that did not reach every server is an error. What a server missed while it could not be asked is owed to
//! it; paying that debt before the server is read again is the invalidation spool's business.

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, RouteHandle, Routed, Servers, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::pool::Destination;
use crate::reply::{Kind, Reply};
use crate::request::{Op, OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    let pool = if node.argument().is_some() {
        checker.pool(node)?
    } else {
        node.only(&["type", "name", "pool"])?;
        checker.pool(&node.need("pool")?)?
    };
    let replicas = pool.blueprints();
    Ok(Arc::new(move |builder| {
        Rc::new(ReplicatedPoolRoute {
            replicas: replicas.iter().map(|replica| builder.once(replica)).collect(),
        })
    }))
}

struct ReplicatedPoolRoute {
    replicas: Box<[Handle]>,
}

/// FNV-1a, 64 bits: which server leads a key must be the same in every worker and router.
fn start(key: &[u8], replicas: usize) -> usize {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    usize::try_from((hash >> 32) % replicas.max(1) as u64).unwrap_or(0)
}

impl ReplicatedPoolRoute {
    /// The servers in the key's order.
    fn order(&self, key: &[u8]) -> impl Iterator<Item = &Handle> {
        let (before, from) = self.replicas.split_at(start(key, self.replicas.len()));
        from.iter().chain(before)
    }

    async fn read(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let mut last = None;
        for replica in self.order(&request.key) {
            if last.is_some() {
                caller.count_failover();
            }
            let reply = Rc::clone(replica).call(Rc::clone(&request), caller.clone()).await;
            if !reply.failed() {
                return reply;
            }
            last = Some(reply);
        }
        last.unwrap_or_else(|| Reply::nothing(&request))
    }

    async fn to_all(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Vec<Reply> {
        let asked = self
            .order(&request.key)
            .map(|replica| Rc::clone(replica).call(Rc::clone(request), caller.clone()))
            .collect();
        join_all(asked).await
    }

    /// A delete: done when every server has done it.
    async fn delete(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let replies = self.to_all(&request, &caller).await;
        let rank = |reply: &Reply| match reply {
            Reply::Said { kind, .. } => match kind {
                Kind::NotFound => 0,
                Kind::Deleted => 1,
                // A cas that did not match, on the server that has the item.
                Kind::Exists => 2,
                _ => 3,
            },
            Reply::Failed { .. } => 4,
        };
        replies
            .into_iter()
            .reduce(|worst, reply| if rank(&reply) > rank(&worst) { reply } else { worst })
            .unwrap_or_else(|| Reply::nothing(&request))
    }

    /// A plain set: done when a server has it; one that could not be asked will be brought up to it by what it is
    /// owed.
    async fn set(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let replies = self.to_all(&request, &caller).await;
        let stored = replies.iter().any(|reply| reply.kind() == Kind::Stored);
        let refused = replies
            .iter()
            .position(|reply| matches!(reply, Reply::Said { kind, .. } if *kind != Kind::Stored));
        match refused {
            // Too large for one is gone from that one: the others must not go on with what it lacks.
            Some(at) if stored => {
                if let Some(delete) = request.delete() {
                    self.to_all(&Rc::new(delete), &caller).await;
                }
                replies[at].clone()
            }
            _ => replies
                .into_iter()
                .min_by_key(Reply::severity)
                .unwrap_or_else(|| Reply::nothing(&request)),
        }
    }

    /// Anything that depends on what is stored.
    async fn led(&self, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let mut followers = self.order(&request.key);
        let mut said = Reply::nothing(&request);
        for replica in followers.by_ref() {
            said = Rc::clone(replica).call(Rc::clone(&request), caller.clone()).await;
            if !said.failed() {
                break;
            }
        }
        if !matches!(
            said.kind(),
            Kind::Stored | Kind::Number | Kind::Touched | Kind::Hit
        ) {
            return said;
        }
        let copy = Rc::new(request.as_set().unwrap_or_else(|| (*request).clone()));
        let followers: Vec<&Handle> = followers.collect();
        let asked = followers
            .iter()
            .map(|replica| Rc::clone(replica).call(Rc::clone(&copy), caller.clone()))
            .collect();
        let replies = join_all(asked).await;
        let Some(delete) = request.delete().map(Rc::new) else {
            return said;
        };
        let differs = |reply: &Reply| match (reply, &said) {
            (Reply::Failed { .. }, _) => false,
            // A touch changes no value: whoever lacks the item still lacks it.
            _ if matches!(said.kind(), Kind::Touched | Kind::Hit) => false,
            (Reply::Said { kind, .. }, _) if *kind == Kind::Stored => false,
            // The number itself has to be the same.
            (Reply::Said { bytes, .. }, Reply::Said { bytes: led, .. }) => bytes != led,
            (Reply::Said { .. }, Reply::Failed { .. }) => true,
        };
        let repairs = followers
            .iter()
            .zip(&replies)
            .filter(|(_, reply)| differs(reply))
            .map(|(replica, _)| Rc::clone(replica).call(Rc::clone(&delete), caller.clone()))
            .collect();
        join_all(repairs).await;
        said
    }
}

impl RouteHandle for ReplicatedPoolRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if !matches!(request.op, Op::Get | Op::Gets) {
            return Routed::Composite;
        }
        for replica in self.order(request.key) {
            if let Routed::To(id) = replica.route(request, servers)
                && servers.get(id).is_some_and(crate::upstream::Upstream::is_up)
            {
                return Routed::Try(id);
            }
        }
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match request.op {
            Op::Get | Op::Gets => Box::pin(async move { self.read(request, caller).await }),
            Op::Delete => Box::pin(async move { self.delete(request, caller).await }),
            Op::Set => Box::pin(async move { self.set(request, caller).await }),
            Op::Gat
            | Op::Gats
            | Op::Add
            | Op::Replace
            | Op::Append
            | Op::Prepend
            | Op::Cas
            | Op::Incr
            | Op::Decr
            | Op::Touch => Box::pin(async move { self.led(request, caller).await }),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Vec<Arc<Destination>>) {
        for replica in self.order(request.key) {
            replica.destinations(request, into);
        }
    }
}
