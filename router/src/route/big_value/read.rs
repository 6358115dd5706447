//! Reading a value that may be split.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use protocol::{Exptime, encode};

use super::BigValueRoute;
use super::index::{BIG, Index};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{OwnedRequest, Single};

impl BigValueRoute {
    /// The whole value behind an index; `Err` if a chunk is gone or cannot be had.
    async fn whole(
        &self,
        request: &OwnedRequest,
        index: Index,
        touch: Option<Exptime>,
        caller: &Caller,
    ) -> Result<Bytes, Reply> {
        let asked = Self::chunks(request, index, |named, _| match touch {
            Some(exptime) => named.get_and_touch(exptime),
            None => Some(named.clone()),
        });
        let Some(asked) = asked else {
            return Err(Reply::nothing(request));
        };
        let replies = self.in_batches(asked, caller, Reply::is_hit).await?;
        let mut data = BytesMut::new();
        for reply in replies {
            data.extend_from_slice(&reply.item().ok_or_else(|| Reply::nothing(request))?.data);
        }
        Ok(data.freeze())
    }

    /// A miss, if a chunk is gone; the chunk's error, if it cannot be had.
    fn lost(request: &OwnedRequest, chunk: Reply) -> Reply {
        if chunk.failed() {
            chunk
        } else {
            Reply::nothing(request)
        }
    }

    pub(super) async fn get(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let reply = self.ask(&request, &caller).await;
        let Some(item) = reply.item() else { return reply };
        let Some(index) = Index::read(item.flags, &item.data) else {
            return reply;
        };
        let touch = request.read(|single| match single {
            Single::Get { touch, .. } => touch,
            _ => None,
        });
        match self.whole(&request, index, touch.flatten(), &caller).await {
            Ok(data) => {
                let flags = item.flags & !BIG;
                let mut bytes = BytesMut::with_capacity(data.len() + request.key.len() + 64);
                encode::response::value(&mut bytes, &request.key, flags, &data, reply.cas());
                bytes.extend_from_slice(encode::response::END);
                Reply::Said {
                    kind: Kind::Hit,
                    bytes: bytes.freeze(),
                }
            }
            Err(chunk) => Self::lost(&request, chunk),
        }
    }

    /// `mg`: what is asked for besides the value is the index's own, but its size and flags.
    pub(super) async fn meta_get(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let Some(index) = self.index(&request, &caller).await else {
            return self.ask(&request, &caller).await;
        };
        let touch = request.read(|single| match single {
            Single::MetaGet(get) => (get.touch, get.flags.has(b'v'), get.flags.has(b's')),
            _ => (None, false, false),
        });
        let (touch, wants_value, wants_size) = touch.unwrap_or((None, false, false));
        let data = if wants_value || wants_size || touch.is_some() {
            match self.whole(&request, index, touch, &caller).await {
                Ok(data) => data,
                Err(chunk) => return Self::lost(&request, chunk),
            }
        } else {
            Bytes::new()
        };
        let Some(bare) = request.without_value() else {
            return self.ask(&request, &caller).await;
        };
        let reply = self.ask(&Rc::new(bare), &caller).await;
        reply.with_value(&data, if wants_value { b"VA" } else { b"HD" }, BIG)
    }
}
