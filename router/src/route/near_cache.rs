//! NearCacheRoute: the few keys that carry the load, kept in the router for a moment.
//!
//! One cache for all workers (moka, least recently used first out). A kept value is given to plain gets only, for
//! `ttl_ms` at most, and never after a write or delete of its key that came through this route was begun. What other
//! routers write is seen when the TTL is over. By default only keys that are hot are kept: the others go their fast way.

use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;

use super::write_stamps::{Stamp, WriteStamps};
use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::clock;
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::flow::Wishes;
use crate::reply::{Kind, Reply};
use crate::request::{Expect, Op};
use crate::request::{OwnedRequest, Routing};

/// Unless the route says otherwise.
const TTL: Duration = Duration::from_secs(1);
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// A key is hot from this share of a worker's requests on.
const HOT_SHARE: f64 = 0.005;
/// Larger replies are not kept: copying them costs more than asking for them.
const REPLY_MAX_BYTES: usize = 64 * 1024;
/// What a kept reply takes besides key and value.
const OVERHEAD_BYTES: usize = 200;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&[
        "type",
        "name",
        "target",
        "ttl_ms",
        "max_bytes",
        "admit",
        "hot_share",
    ])?;
    let target = checker.route(&node.need("target")?)?;
    let ttl = match node.get("ttl_ms") {
        Some(given) => given.duration()?,
        None => TTL,
    };
    let max_bytes = match node.get("max_bytes") {
        Some(given) => given.count()? as u64,
        None => MAX_BYTES,
    };
    let mut least_share = match node.get("hot_share") {
        Some(share) => share.within(0.0001, 1.0)?,
        None => HOT_SHARE,
    };
    if let Some(admit) = node.get("admit") {
        match admit.string()? {
            "hot" => {}
            "all" => least_share = 0.0,
            other => return Err(admit.unknown("admission", other, &["hot", "all"])),
        }
    }
    let cache = Cache::builder()
        .max_capacity(max_bytes)
        .weigher(|key: &Arc<[u8]>, kept: &Kept| {
            u32::try_from(key.len() + kept.reply.len() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        })
        // What is put here has been chosen already; moka's own admission would keep new hot keys out.
        .eviction_policy(EvictionPolicy::lru())
        .build();
    let store = Arc::new(Store {
        cache,
        stamps: WriteStamps::new(),
        ttl,
        least_share,
        max_bytes,
    });
    checker.defaults().near_caches.add(&store);
    Ok(Arc::new(move |builder| {
        Rc::new(NearCacheRoute {
            target: builder.once(&target),
            store: Arc::clone(&store),
            flushes: Arc::clone(&builder.worker.flushes),
            worker: Rc::clone(&builder.worker),
        })
    }))
}

/// A reply to a plain get.
#[derive(Debug, Clone)]
struct Kept {
    reply: Arc<[u8]>,
    stamp: Stamp,
    until: Instant,
}

/// What the workers share.
struct Store {
    cache: Cache<Arc<[u8]>, Kept>,
    stamps: WriteStamps,
    ttl: Duration,
    least_share: f64,
    max_bytes: u64,
}

/// The near caches of this process, to tell how full they are.
#[derive(Debug, Default)]
pub(crate) struct NearCaches(Mutex<Vec<Weak<Store>>>);

impl NearCaches {
    fn add(&self, store: &Arc<Store>) {
        let mut stores = self.0.lock();
        // Those of configurations that are no longer in use.
        stores.retain(|store| store.strong_count() > 0);
        stores.push(Arc::downgrade(store));
    }

    /// Bytes that are kept, and that may be.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let stores = self.0.lock();
        let sizes = stores.iter().filter_map(Weak::upgrade).map(|store| {
            store.cache.run_pending_tasks();
            (store.cache.weighted_size(), store.max_bytes)
        });
        sizes.fold((0, 0), |(kept, may), (more, limit)| {
            (kept + more, may.saturating_add(limit))
        })
    }
}

struct NearCacheRoute {
    target: Handle,
    store: Arc<Store>,
    flushes: Arc<AtomicU64>,
    worker: Rc<Wishes>,
}

impl NearCacheRoute {
    /// What is kept of the key and may still be given away.
    fn kept(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        let kept = self.store.cache.get(key)?;
        let current = kept.stamp == self.store.stamps.of(key, &self.flushes) && clock::now() < kept.until;
        current.then_some(kept.reply)
    }

    fn admits(&self, key: &[u8]) -> bool {
        self.store.least_share == 0.0 || self.worker.hot_keys.share(key) >= self.store.least_share
    }

    fn keep(&self, key: &[u8], bytes: &Bytes, stamp: Stamp) {
        if bytes.len() > REPLY_MAX_BYTES || stamp != self.store.stamps.of(key, &self.flushes) {
            return;
        }
        let kept = Kept {
            reply: bytes[..].into(),
            stamp,
            until: clock::now() + self.store.ttl,
        };
        self.store.cache.insert(key.into(), kept);
    }
}

impl RouteHandle for NearCacheRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match request.op {
            Op::Get => match self.kept(request.key) {
                Some(reply) => {
                    self.worker.near_hits.set(self.worker.near_hits.get() + 1);
                    Routed::Hit(reply)
                }
                None if self.admits(request.key) => Routed::Composite,
                None => self.target.route(request, servers),
            },
            Op::Gets | Op::Gat | Op::Gats => self.target.route(request, servers),
            // Writes have to be seen to end.
            _ => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        if request.op.is_get() {
            if request.op != Op::Get || request.expect != Expect::Retrieval {
                return Rc::clone(&self.target).call(request, caller);
            }
            return Box::pin(async move {
                if let Some(reply) = self.kept(&request.key) {
                    return Reply::Said {
                        kind: Kind::Hit,
                        bytes: Bytes::from_owner(reply),
                    };
                }
                let stamp = self.store.stamps.of(&request.key, &self.flushes);
                let reply = Rc::clone(&self.target).call(Rc::clone(&request), caller).await;
                if let (Kind::Hit, Some(bytes)) = (reply.kind(), reply.bytes())
                    && self.admits(&request.key)
                {
                    self.keep(&request.key, bytes, stamp);
                }
                reply
            });
        }
        self.store.stamps.write(&request.key);
        self.store.cache.invalidate(&request.key[..]);
        let asked = Rc::clone(&self.target).call(Rc::clone(&request), caller);
        Box::pin(async move {
            let reply = asked.await;
            self.store.stamps.write(&request.key);
            reply
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let kept = request.op == Op::Get && self.kept(request.key).is_some();
        let what = if kept {
            "NearCacheRoute: kept here"
        } else {
            "NearCacheRoute: not kept"
        };
        into.handle(what, |into| self.target.destinations(request, into));
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::{Recording, tree};

    fn near() -> Recording {
        tree(r#"{"type": "NearCacheRoute", "target": "PoolRoute|A", "admit": "all", "ttl_ms": 60000}"#)
    }

    const ONE: &str = "VALUE k 0 1~1~END~";

    #[test]
    fn what_was_read_is_answered_here_until_it_is_written() {
        for write in [
            "set k 0 0 1~2~",
            "delete k~",
            "incr k 1~",
            "ms k 1~2~",
            "touch k 5~",
        ] {
            let tree = near();
            assert_eq!(tree.fast("get k~"), "composite");
            tree.play("get k~", &[("a", &[ONE])]);
            assert_eq!(tree.fast("get k~"), ONE);
            assert_eq!(tree.fast("gets k~"), "a", "a cas unique has to be the server's");
            assert_eq!(tree.fast(write), "composite");
            let said = match write.split(' ').next() {
                Some("set") => "STORED~",
                Some("ms") => "HD~",
                Some("incr") => "2~",
                Some("touch") => "TOUCHED~",
                _ => "DELETED~",
            };
            tree.play(write, &[("a", &[said])]);
            assert_eq!(tree.fast("get k~"), "composite", "{write}");
        }
        let tree = near();
        tree.play("get k~", &[("a", &["END~"])]);
        assert_eq!(tree.fast("get k~"), "composite", "a miss is not kept");
    }

    #[test]
    fn a_reading_that_a_write_overtook_is_not_kept() {
        // The get is asked before the set and answered after it has been sent.
        let route = r#"{"type": "OperationSelectorRoute", "default_policy": {"type": "NearCacheRoute", "name": "near",
            "target": {"type": "LatencyInjectionRoute", "child": "PoolRoute|A", "after_latency_ms": 5}, "admit": "all"},
            "operation_policies": {"touch": "NullRoute"}}"#;
        let tree = tree(route);
        let story = tree.play_both("get k~", "set k 0 0 1~2~", &[("a", &[ONE, "STORED~"])]);
        assert!(story.contains("a: get k~\na: set k 0 0 1~2~"), "{story}");
        assert_eq!(tree.fast("get k~"), "composite");
    }

    #[test]
    fn only_hot_keys_are_kept_unless_told_otherwise() {
        let tree = tree(r#"{"type": "NearCacheRoute", "target": "PoolRoute|A"}"#);
        assert_eq!(tree.fast("get k~"), "a", "cold keys go the fast way");
        for request in 0..200_000 {
            tree.seen(
                if request % 10 == 0 {
                    "hot".to_owned()
                } else {
                    format!("k{request}")
                }
                .as_bytes(),
            );
        }
        assert_eq!(tree.fast("get hot~"), "composite");
        assert_eq!(tree.fast("get k~"), "a");
        tree.play("get hot~", &[("a", &["VALUE hot 0 1~1~END~"])]);
        assert_eq!(tree.fast("get hot~"), "VALUE hot 0 1~1~END~");
    }
}
