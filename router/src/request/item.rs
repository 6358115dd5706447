//! An item on its way from one server to another: what was read, and what has to be said to store the same elsewhere.

use bytes::{Bytes, BytesMut};
use protocol::meta::{Base64Scratch, MetaKey};
use protocol::{Exptime, Key, StoreVerb, UnixSeconds, encode};

use super::{Expect, Op, OwnedRequest};

/// A value with all that has to go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub flags: u32,
    /// Seconds it has left; `None` if it stays until it is evicted.
    pub ttl: Option<u64>,
    pub data: Bytes,
}

impl Item {
    /// The exptime under which another server gives it the same end. `None` if there is nothing left of it.
    pub(crate) fn exptime(&self, now: UnixSeconds) -> Option<Exptime> {
        match self.ttl {
            None => Some(Exptime::NEVER),
            // Less than a second: it would be a stranger who lives for ever.
            Some(0) => None,
            Some(ttl) => {
                let ttl = i64::try_from(ttl).unwrap_or(i64::MAX);
                Some(if ttl <= Exptime::RELATIVE_MAX {
                    Exptime(ttl)
                } else {
                    // So long a time has to be written as the moment of its end.
                    Exptime(ttl.saturating_add(i64::try_from(now.0).unwrap_or(0)))
                })
            }
        }
    }
}

impl OwnedRequest {
    /// `mg` of the same key for all that makes an [`Item`]. `None` if the key is too long to be sent so.
    pub(crate) fn read_item(&self) -> Option<Self> {
        self.meta_get(b"tfv")
    }

    /// `mg` of the same key for its flags only: whether there is an item, and of what kind.
    pub(crate) fn peek(&self) -> Option<Self> {
        self.meta_get(b"f")
    }

    fn meta_get(&self, letters: &[u8]) -> Option<Self> {
        let mut wire = BytesMut::new();
        let mut scratch = Base64Scratch::new();
        encode::meta::begin_get(&mut wire, self.sendable(&mut scratch)?);
        for letter in letters {
            encode::meta::flag(&mut wire, *letter);
        }
        encode::meta::end(&mut wire);
        Some(Self {
            op: Op::Get,
            expect: Expect::MetaGet,
            wire: wire.freeze(),
            note: Bytes::new(),
            failed: None,
            ..self.clone()
        })
    }

    /// The store of `item` under the same key.
    pub(crate) fn store_item(&self, verb: StoreVerb, item: &Item, exptime: Exptime) -> Option<Self> {
        if let Some(classic) = self.store(verb, item.flags, exptime, &item.data) {
            return Some(classic);
        }
        let mut wire = BytesMut::new();
        let mut scratch = Base64Scratch::new();
        encode::meta::begin_set(&mut wire, self.sendable(&mut scratch)?, item.data.len());
        encode::meta::flag_number(&mut wire, b'F', u64::from(item.flags));
        encode::meta::flag_signed(&mut wire, b'T', exptime.0);
        if verb == StoreVerb::Add {
            encode::meta::flag_bytes(&mut wire, b'M', b"E");
        }
        encode::meta::end_with_data(&mut wire, &item.data);
        Some(Self {
            op: if verb == StoreVerb::Add { Op::Add } else { Op::Set },
            expect: Expect::MetaSet,
            wire: wire.freeze(),
            note: Bytes::new(),
            failed: None,
            ..self.clone()
        })
    }

    fn sendable<'s>(&'s self, scratch: &'s mut Base64Scratch) -> Option<MetaKey<'s>> {
        MetaKey::sendable(Key::new(&self.key).ok()?, scratch).ok()
    }
}
