//! A request that outlives the client's bytes: what composite handles pass to their children.

use bytes::{Bytes, BytesMut};
use protocol::meta::{Base64Scratch, KeyScratch, MetaKey};
use protocol::{
    Delete, Exptime, Get, Key, Keys, Limits, Request, RequestDecoder, Step, Store, StoreVerb, Touch,
};

use super::{Expect, Op, Single};
use crate::upstream::Upstream;
use crate::upstream::error::UpstreamError;
use crate::worker::arena::Id;

/// A request for one key, with bytes of its own. Cloning it copies no value.
#[derive(Debug, Clone)]
pub(crate) struct OwnedRequest {
    pub op: Op,
    pub key: Bytes,
    /// What hashes look at: the key, or the part of it that a route says.
    pub hashed: Bytes,
    pub expect: Expect,
    /// For the server, in its plainest spelling.
    pub wire: Bytes,
    /// See [`Single::note`].
    pub note: Bytes,
    /// A server that has failed this request already, and how: not to be asked again.
    pub failed: Option<(Id<Upstream>, UpstreamError)>,
    /// A hash of the client's address, for routes that choose by it; 0 if nobody knows.
    pub from: u64,
}

impl OwnedRequest {
    pub(crate) fn new(request: &Single<'_>) -> Self {
        let mut wire = BytesMut::new();
        request.encode(&mut wire);
        let mut note = Vec::new();
        request.note(&mut note);
        let key = Bytes::copy_from_slice(request.key(&mut KeyScratch::new()));
        Self {
            op: request.op(),
            hashed: key.clone(),
            key,
            expect: request.expect(),
            wire: wire.freeze(),
            note: note.into(),
            failed: None,
            from: 0,
        }
    }

    /// `flush_all`, for every server.
    pub(crate) fn flush_all(flush: &protocol::FlushAll) -> Self {
        let mut wire = BytesMut::new();
        protocol::encode::request::flush_all(
            &mut wire,
            &protocol::FlushAll {
                noreply: false,
                ..*flush
            },
        );
        Self::without_key(Op::Delete, Expect::Flush, wire)
    }

    /// `stats GROUP`, for every server.
    pub(crate) fn stats(group: &[u8]) -> Self {
        let mut wire = BytesMut::new();
        protocol::encode::request::stats(&mut wire, group);
        Self::without_key(Op::Get, Expect::Stats, wire)
    }

    fn without_key(op: Op, expect: Expect, wire: BytesMut) -> Self {
        Self {
            op,
            key: Bytes::new(),
            hashed: Bytes::new(),
            expect,
            wire: wire.freeze(),
            note: Bytes::new(),
            failed: None,
            from: 0,
        }
    }

    /// Shows the request to `read`, taken apart. `None` if it is none for one key.
    pub(crate) fn read<R>(&self, read: impl FnOnce(Single<'_>) -> R) -> Option<R> {
        let limits = Limits {
            value_len_bytes: self.wire.len(),
            ..Limits::default()
        };
        match RequestDecoder::new(limits).next(&self.wire) {
            Step::Request { request, .. } => Single::of(&request).map(read),
            _ => None,
        }
    }

    /// Another request of the same client about the same key.
    pub(super) fn like(&self, request: &Single<'_>) -> Self {
        Self {
            from: self.from,
            hashed: self.hashed.clone(),
            ..Self::new(request)
        }
    }

    /// The key, if it can stand on a line of a classic command.
    pub(super) fn text_key(&self) -> Option<Key<'_>> {
        Key::new(&self.key).ok().filter(|key| key.is_text())
    }

    /// The plain `set` of the value that a conditional store carries; `None` if the request carries no whole value.
    pub(crate) fn as_set(&self) -> Option<Self> {
        if !matches!(self.op, Op::Add | Op::Replace | Op::Cas | Op::Set) {
            return None;
        }
        self.read(|single| match single {
            Single::Store(store) => Some(self.like(&Single::Store(Store {
                verb: StoreVerb::Set,
                ..store
            }))),
            Single::MetaSet(set) => {
                let kept = set.flags.iter().filter(|flag| matches!(flag.letter, b'F' | b'T'));
                let mut wire = BytesMut::new();
                protocol::encode::meta::begin_set(&mut wire, set.key, set.data.len());
                for flag in kept {
                    protocol::encode::meta::flag_bytes(&mut wire, flag.letter, flag.arg);
                }
                protocol::encode::meta::end_with_data(&mut wire, set.data);
                Some(Self {
                    op: Op::Set,
                    wire: wire.freeze(),
                    ..self.clone()
                })
            }
            _ => None,
        })
        .flatten()
    }

    /// A plain command about the same key: for handles that undo or copy what one server did. `None` if no server
    /// can have such a key.
    pub(crate) fn delete(&self) -> Option<Self> {
        if let Some(key) = self.text_key() {
            return Some(self.like(&Single::Delete(Delete { key, noreply: false })));
        }
        let key = Key::new(&self.key).ok()?;
        let mut scratch = Base64Scratch::new();
        let mut wire = BytesMut::new();
        protocol::encode::meta::begin_delete(&mut wire, MetaKey::sendable(key, &mut scratch).ok()?);
        protocol::encode::meta::end(&mut wire);
        Some(Self {
            op: Op::Delete,
            expect: Expect::MetaDelete,
            wire: wire.freeze(),
            note: Bytes::new(),
            failed: None,
            ..self.clone()
        })
    }

    /// Whether it is carried out only if the item has a certain cas unique, which each server counts for itself.
    pub(crate) fn has_condition(&self) -> bool {
        let meta = matches!(
            self.expect,
            Expect::MetaDelete | Expect::MetaSet | Expect::MetaArith
        );
        let line = memchr::memchr(b'\r', &self.wire).unwrap_or(self.wire.len());
        let mut words = self.wire[..line].split(|byte| *byte == b' ').skip(2);
        self.op == Op::Cas || meta && words.any(|word| word.first() == Some(&b'C'))
    }

    /// A plain `get` of the same key. `None` if the key cannot be written in it; and so for those below.
    pub(crate) fn get(&self) -> Option<Self> {
        let keys = Keys::one(self.text_key()?)?;
        let get = Request::Get(Get {
            with_cas: false,
            touch: None,
            keys,
        });
        Some(self.like(&Single::of(&get)?))
    }

    /// A `gat` of the same key, likewise.
    pub(crate) fn get_and_touch(&self, exptime: Exptime) -> Option<Self> {
        let key = self.text_key()?;
        Some(self.like(&Single::Get {
            with_cas: false,
            touch: Some(exptime),
            key,
        }))
    }

    /// A `touch` of the same key, likewise.
    pub(crate) fn touch(&self, exptime: Exptime) -> Option<Self> {
        let key = self.text_key()?;
        Some(self.like(&Single::Touch(Touch {
            key,
            exptime,
            noreply: false,
        })))
    }

    /// A store under the same key, likewise.
    pub(crate) fn store(&self, verb: StoreVerb, flags: u32, exptime: Exptime, data: &[u8]) -> Option<Self> {
        let key = self.text_key()?;
        Some(self.like(&Single::Store(Store {
            verb,
            key,
            flags,
            exptime,
            data,
            noreply: false,
        })))
    }
}

#[cfg(test)]
impl OwnedRequest {
    /// The request that `line` is, `~` ending its lines.
    pub(crate) fn spelled(line: &str) -> Self {
        let bytes = line.replace('~', "\r\n");
        let mut decoder = RequestDecoder::new(Limits::default());
        let Step::Request { request, .. } = decoder.next(bytes.as_bytes()) else {
            panic!("no request: {line}");
        };
        Self::new(&Single::of(&request).expect("one key"))
    }
}

#[cfg(test)]
mod tests {
    use super::OwnedRequest;
    use protocol::Exptime;

    fn wire(request: &OwnedRequest) -> String {
        String::from_utf8_lossy(&request.wire).replace("\r\n", "~")
    }

    #[test]
    fn a_request_goes_on_under_another_key() {
        for (line, renamed) in [
            ("get k~", "get other~"),
            ("gat 7 7~", "gat 7 other~"),
            ("set k 5 60 1~k~", "set other 5 60 1~k~"),
            ("cas k 5 60 1 9 noreply~k~", "cas other 5 60 1 9~k~"),
            ("delete k~", "delete other~"),
            ("incr 1 1~", "incr other 1~"),
            ("touch 60 60~", "touch other 60~"),
            ("mg k v k q~", "mg other v k~"),
            ("ms k 1 T60~k~", "ms other 1 T60~k~"),
            ("md YWJj b q~", "md other~"),
            ("ma k N0 J5~", "ma other N0 J5~"),
        ] {
            let request = OwnedRequest::spelled(line).with_key(b"other").expect("a key");
            assert_eq!(wire(&request), renamed, "{line}");
            assert_eq!(&request.key[..], b"other");
        }
        assert!(OwnedRequest::spelled("get k~").with_key(&[b'x'; 251]).is_none());
        assert!(OwnedRequest::spelled("get k~").with_key(b"a b").is_none());
        let binary = OwnedRequest::spelled("mg YWJj b v~")
            .with_key(b"a b")
            .expect("base64");
        assert_eq!(wire(&binary), "mg YSBi b v~");
    }

    #[test]
    fn a_request_goes_on_with_another_expiry() {
        for (line, changed) in [
            ("set k 5 60 1~k~", "set k 5 61 1~k~"),
            ("append k 5 60 1~k~", "append k 5 60 1~k~"),
            ("touch k 60~", "touch k 61~"),
            ("gats 60 k~", "gats 61 k~"),
            ("get k~", "get k~"),
            ("ms k 1~k~", "ms k 1 T1~k~"),
            ("ms k 1 T60 F5~k~", "ms k 1 T61 F5~k~"),
            ("mg k v T60 t~", "mg k v T61 t~"),
            ("mg k v~", "mg k v~"),
            ("delete k~", "delete k~"),
        ] {
            let request = OwnedRequest::spelled(line).with_exptime(|exptime| Exptime(exptime.0 + 1));
            assert_eq!(wire(&request), changed, "{line}");
        }
    }
}
