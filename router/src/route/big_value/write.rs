//! Changing a value that may be split.

use std::rc::Rc;

use protocol::StoreVerb;

use super::BigValueRoute;
use super::index::{BIG, CHUNKS_MAX, Index};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{Op, OwnedRequest, Single};

impl BigValueRoute {
    pub(super) async fn store(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let Some((flags, exptime, data)) = request.value() else {
            return self.ask(&request, &caller).await;
        };
        if Index::read(flags, &data).is_some() {
            return Reply::server_error("this value could not be told from the index of a split one");
        }
        let old = self.index(&request, &caller).await;
        let chunks = data.len().div_ceil(self.terms.threshold);
        let index = Index {
            chunks,
            suffix: rand::random(),
        };
        let split = if data.len() > self.terms.threshold && chunks <= CHUNKS_MAX {
            Self::chunks(&request, index, |named, chunk| {
                let start = chunk * self.terms.threshold;
                let end = (start + self.terms.threshold).min(data.len());
                named.store(StoreVerb::Set, 0, exptime, &data[start..end])
            })
        } else {
            None
        };
        let Some(split) = split else {
            let reply = self.ask(&request, &caller).await;
            self.replaced(&request, old, &reply, &caller);
            return reply;
        };
        let stored = |reply: &Reply| reply.kind() == Kind::Stored;
        if let Err(failed) = self.in_batches(split, &caller, stored).await {
            self.forget(&request, index, &caller);
            // As memcached has it: what a set could not replace is gone.
            if request.op == Op::Set
                && let Some(delete) = request.delete()
            {
                self.ask(&Rc::new(delete), &caller).await;
                if let Some(old) = old {
                    self.forget(&request, old, &caller);
                }
            }
            return failed;
        }
        let Some(marked) = request.with_value(flags | BIG, index.text().as_bytes()) else {
            return Reply::server_error("the value cannot be split");
        };
        let reply = self.ask(&Rc::new(marked), &caller).await;
        if stored(&reply) {
            self.replaced(&request, old, &reply, &caller);
        } else {
            self.forget(&request, index, &caller);
        }
        reply
    }

    /// The chunks of the old value go with it.
    fn replaced(&self, request: &OwnedRequest, old: Option<Index>, reply: &Reply, caller: &Caller) {
        if let Some(old) = old
            && matches!(reply.kind(), Kind::Stored | Kind::Deleted)
        {
            self.forget(request, old, caller);
        }
    }

    pub(super) async fn delete(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let old = self.index(&request, &caller).await;
        let reply = self.ask(&request, &caller).await;
        // `md` may only have marked it stale.
        let gone = request.read(|single| match single {
            Single::MetaDelete(delete) => !delete.invalidate,
            _ => true,
        });
        if gone.unwrap_or(true) {
            self.replaced(&request, old, &reply, &caller);
        }
        reply
    }

    pub(super) async fn touch(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let exptime = request.read(|single| match single {
            Single::Touch(touch) => Some(touch.exptime),
            _ => None,
        });
        if let Some(exptime) = exptime.flatten()
            && let Some(index) = self.index(&request, &caller).await
            && let Some(touches) = Self::chunks(&request, index, |named, _| named.touch(exptime))
        {
            // Chunks first: an index must not outlive them.
            if let Err(lost) = self
                .in_batches(touches, &caller, |reply| reply.kind() == Kind::Touched)
                .await
            {
                return lost;
            }
        }
        self.ask(&request, &caller).await
    }

    /// `append`, `incr` and their like work on values that are whole.
    pub(super) async fn change(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        if self.index(&request, &caller).await.is_some() {
            return Reply::server_error("a split value cannot be appended to or counted with");
        }
        self.ask(&request, &caller).await
    }
}
