//! BigValueRoute: values above a threshold are stored in chunks, `key:0:SUFFIX`, `key:1:SUFFIX`, …, found by an index
//! under the key itself.
//!
//! Chunks are written before their index and deleted after it, so a reader finds a whole value or none. Whoever
//! overwrites or deletes a split value reads its index first and deletes its chunks behind it: none are left behind, but by a
//! router that dies in between, and those go when their time is up. (mcrouter leaves all of them.) That costs stores and
//! deletes one short `mg` more.

mod index;
mod read;
mod write;

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, warm_up};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{Expect, Op};
use crate::request::{OwnedRequest, Routing};
use index::{BIG, Index};

/// mcrouter's default for `batch_size`.
const BATCH: usize = 10;
/// An index has to be smaller than what it stands for.
pub(crate) const THRESHOLD_MIN: usize = 64;

/// Which values are split, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BigValues {
    /// Bytes above which a value is split, and of each chunk.
    pub threshold: usize,
    /// Chunks asked for at a time.
    pub batch: usize,
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    // `hide_reply_flag`: clients here never see the index's flag.
    node.only(&[
        "type",
        "name",
        "target",
        "split_threshold",
        "batch_size",
        "hide_reply_flag",
    ])?;
    let target = checker.route(&node.need("target")?)?;
    let given = node.need("split_threshold")?;
    let threshold = given.count()?;
    if threshold < THRESHOLD_MIN {
        return Err(given.error("a threshold is at least 64 bytes: an index has to be smaller"));
    }
    let batch = match node.get("batch_size") {
        Some(given) => given.count()?.max(1),
        None => BATCH,
    };
    Ok(blueprint(target, BigValues { threshold, batch }))
}

/// `target`, with large values in chunks.
pub(crate) fn blueprint(target: Blueprint, terms: BigValues) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(BigValueRoute {
            target: builder.once(&target),
            terms,
        })
    })
}

struct BigValueRoute {
    target: Handle,
    terms: BigValues,
}

impl BigValueRoute {
    async fn ask(&self, request: &Rc<OwnedRequest>, caller: &Caller) -> Reply {
        Rc::clone(&self.target)
            .call(Rc::clone(request), caller.clone())
            .await
    }

    /// The index of a split value, if that is what the key has.
    async fn index(&self, request: &OwnedRequest, caller: &Caller) -> Option<Index> {
        let peek = request.peek()?;
        let reply = self.ask(&Rc::new(peek), caller).await;
        let marked = match reply.meta_flag(b'f') {
            Some(flags) => flags & u64::from(BIG) != 0,
            // A server too old for `mg` has to be asked for all of it.
            None => !reply.is_miss(),
        };
        if !marked {
            return None;
        }
        let (item, _) = warm_up::fetch(&self.target, request, caller).await.ok()?;
        Index::read(item.flags, &item.data)
    }

    /// The requests for all chunks of a value.
    fn chunks(
        request: &OwnedRequest,
        index: Index,
        make: impl Fn(&OwnedRequest, usize) -> Option<OwnedRequest>,
    ) -> Option<Vec<Rc<OwnedRequest>>> {
        let get = request.get()?;
        (0..index.chunks)
            .map(|chunk| {
                let named = get.with_key(&index.chunk_key(&request.key, chunk))?;
                make(&named, chunk).map(Rc::new)
            })
            .collect()
    }

    /// Asks for chunks, so many at a time, as long as `good`.
    async fn in_batches(
        &self,
        requests: Vec<Rc<OwnedRequest>>,
        caller: &Caller,
        good: impl Fn(&Reply) -> bool,
    ) -> Result<Vec<Reply>, Reply> {
        let mut replies = Vec::with_capacity(requests.len());
        for batch in requests.chunks(self.terms.batch) {
            let asked = batch
                .iter()
                .map(|chunk| Rc::clone(&self.target).call(Rc::clone(chunk), caller.clone()))
                .collect();
            for reply in super::join_all(asked).await {
                if !good(&reply) {
                    return Err(reply);
                }
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    /// Deletes the chunks of a value; nobody waits for it.
    fn forget(&self, request: &OwnedRequest, index: Index, caller: &Caller) {
        let deletes = Self::chunks(request, index, |named, _| named.delete());
        for delete in deletes.into_iter().flatten() {
            caller.start_unheard(&self.target, &delete);
        }
    }
}

impl RouteHandle for BigValueRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match (request.op, request.expect) {
            (_, Expect::MetaDebug) => Rc::clone(&self.target).call(request, caller),
            (_, Expect::MetaGet) => Box::pin(self.meta_get(request, caller)),
            (op, _) if op.is_get() => Box::pin(self.get(request, caller)),
            (Op::Set | Op::Add | Op::Replace | Op::Cas, _) => Box::pin(self.store(request, caller)),
            (Op::Delete, _) => Box::pin(self.delete(request, caller)),
            (Op::Touch, _) => Box::pin(self.touch(request, caller)),
            _ => Box::pin(self.change(request, caller)),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let over = self.terms.threshold;
        into.handle(
            format_args!("BigValueRoute: in chunks above {over} bytes"),
            |into| {
                self.target.destinations(request, into);
            },
        );
    }
}

#[cfg(test)]
mod tests;
