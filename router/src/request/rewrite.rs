//! The same request with another key or another expiry.

use bytes::Bytes;
use protocol::meta::{self, Base64Scratch, Flags, MetaKey};
use protocol::{Exptime, Key, Store, StoreVerb, Touch};

use super::{OwnedRequest, Single};

impl OwnedRequest {
    /// The same request for another key: `None` if `key` is none, or cannot be written where the old one stood.
    pub(crate) fn with_key(&self, key: &[u8]) -> Option<Self> {
        let key = Key::new(key).ok()?;
        let mut scratch = Base64Scratch::new();
        self.read(|single| {
            let renamed = match single {
                Single::MetaGet(_)
                | Single::MetaSet(_)
                | Single::MetaDelete(_)
                | Single::MetaArith(_)
                | Single::MetaDebug(_) => renamed_meta(single, MetaKey::sendable(key, &mut scratch).ok()?),
                classic => renamed_classic(classic, MetaKey::text(key).map(|_| key)?),
            };
            Some(Self {
                failed: self.failed,
                from: self.from,
                ..Self::new(&renamed)
            })
        })
        .flatten()
    }

    /// The same request with its expiry put through `change`: of stores, `touch`, `gat`; the meta flag `T`, which `ms`
    /// has even if it is not written. Others are as they were.
    pub(crate) fn with_exptime(&self, change: impl Fn(Exptime) -> Exptime) -> Self {
        self.read(|single| {
            let changed = match single {
                Single::Get {
                    with_cas,
                    touch: Some(exptime),
                    key,
                } => Single::Get {
                    with_cas,
                    touch: Some(change(exptime)),
                    key,
                },
                Single::Store(store) if !matches!(store.verb, StoreVerb::Append | StoreVerb::Prepend) => {
                    Single::Store(Store {
                        exptime: change(store.exptime),
                        ..store
                    })
                }
                Single::Touch(touch) => Single::Touch(Touch {
                    exptime: change(touch.exptime),
                    ..touch
                }),
                Single::MetaSet(set) => {
                    let wire = flags_with(set.flags, b'T', change(set.exptime).0);
                    let flags = Flags::parse(&wire).ok()?;
                    return Some(self.like(&Single::MetaSet(meta::Set { flags, ..set })));
                }
                Single::MetaGet(meta::Get {
                    touch: Some(exptime), ..
                }) => return self.with_flag(single, b'T', change(exptime).0),
                Single::MetaArith(meta::Arith {
                    exptime: Some(exptime),
                    ..
                }) => return self.with_flag(single, b'T', change(exptime).0),
                _ => return None,
            };
            Some(self.like(&changed))
        })
        .flatten()
        .unwrap_or_else(|| self.clone())
    }

    /// The same meta request, which compares with another cas unique.
    pub(crate) fn with_cas_compared(&self, cas: u64) -> Option<Self> {
        self.read(|single| {
            let of = |flags: Flags<'_>| flags_with(flags, b'C', cas);
            match single {
                Single::MetaSet(set) => {
                    let wire = of(set.flags);
                    let flags = Flags::parse(&wire).ok()?;
                    Some(self.like(&Single::MetaSet(meta::Set { flags, ..set })))
                }
                Single::MetaDelete(delete) => {
                    let wire = of(delete.flags);
                    let flags = Flags::parse(&wire).ok()?;
                    Some(self.like(&Single::MetaDelete(meta::Delete { flags, ..delete })))
                }
                _ => None,
            }
        })
        .flatten()
    }

    fn with_flag(&self, single: Single<'_>, letter: u8, number: i64) -> Option<Self> {
        let (Single::MetaGet(meta::Get { flags, .. }) | Single::MetaArith(meta::Arith { flags, .. })) =
            single
        else {
            return None;
        };
        let wire = flags_with(flags, letter, number);
        let flags = Flags::parse(&wire).ok()?;
        Some(self.like(&match single {
            Single::MetaGet(get) => Single::MetaGet(meta::Get { flags, ..get }),
            Single::MetaArith(arith) => Single::MetaArith(meta::Arith { flags, ..arith }),
            _ => return None,
        }))
    }

    /// The value a store carries, with its flags and expiry.
    pub(crate) fn value(&self) -> Option<(u32, Exptime, Bytes)> {
        self.read(|single| match single {
            Single::Store(store) => Some((store.flags, store.exptime, self.wire.slice_ref(store.data))),
            Single::MetaSet(set) => Some((set.client_flags, set.exptime, self.wire.slice_ref(set.data))),
            _ => None,
        })
        .flatten()
    }

    /// The same store of another value with other flags.
    pub(crate) fn with_value(&self, client_flags: u32, data: &[u8]) -> Option<Self> {
        self.read(|single| match single {
            Single::Store(store) => Some(self.like(&Single::Store(Store {
                flags: client_flags,
                data,
                ..store
            }))),
            Single::MetaSet(set) => {
                let wire = flags_with(set.flags, b'F', i64::from(client_flags));
                let flags = Flags::parse(&wire).ok()?;
                Some(self.like(&Single::MetaSet(meta::Set { flags, data, ..set })))
            }
            _ => None,
        })
        .flatten()
    }

    /// A meta get without its value.
    pub(crate) fn without_value(&self) -> Option<Self> {
        self.read(|single| {
            let Single::MetaGet(get) = single else { return None };
            let kept: Vec<Vec<u8>> = get
                .flags
                .iter()
                .filter(|flag| flag.letter != b'v')
                .map(|flag| [&[flag.letter], flag.arg].concat())
                .collect();
            let wire = kept.join(&b' ');
            let flags = Flags::parse(&wire).ok()?;
            Some(self.like(&Single::MetaGet(meta::Get { flags, ..get })))
        })
        .flatten()
    }

    /// The key as it stands on the line, and whether that is base64.
    pub(crate) fn written_key(&self) -> (Bytes, bool) {
        let meta_key = |key: MetaKey<'_>| (Bytes::copy_from_slice(key.wire()), key.is_base64());
        self.read(|single| match single {
            Single::MetaGet(get) => meta_key(get.key),
            Single::MetaSet(set) => meta_key(set.key),
            Single::MetaDelete(delete) => meta_key(delete.key),
            Single::MetaArith(arith) => meta_key(arith.key),
            Single::MetaDebug(debug) => meta_key(debug.key),
            _ => (self.key.clone(), false),
        })
        .unwrap_or_else(|| (self.key.clone(), false))
    }
}

/// The flags with one of them set to `number`, where it stands or else at the end.
pub(super) fn flags_with(flags: Flags<'_>, letter: u8, number: impl std::fmt::Display) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut put = |letter: u8, arg: &[u8]| {
        if !wire.is_empty() {
            wire.push(b' ');
        }
        wire.push(letter);
        wire.extend_from_slice(arg);
    };
    let number = number.to_string();
    for flag in flags {
        let arg = if flag.letter == letter {
            number.as_bytes()
        } else {
            flag.arg
        };
        put(flag.letter, arg);
    }
    if !flags.has(letter) {
        put(letter, number.as_bytes());
    }
    wire
}

fn renamed_classic<'a>(single: Single<'a>, key: Key<'a>) -> Single<'a> {
    match single {
        Single::Get { with_cas, touch, .. } => Single::Get { with_cas, touch, key },
        Single::Store(store) => Single::Store(Store { key, ..store }),
        Single::Delete(delete) => Single::Delete(protocol::Delete { key, ..delete }),
        Single::Arith(arith) => Single::Arith(protocol::Arith { key, ..arith }),
        Single::Touch(touch) => Single::Touch(Touch { key, ..touch }),
        meta => meta,
    }
}

fn renamed_meta<'a>(single: Single<'a>, key: MetaKey<'a>) -> Single<'a> {
    match single {
        Single::MetaGet(get) => Single::MetaGet(meta::Get { key, ..get }),
        Single::MetaSet(set) => Single::MetaSet(meta::Set { key, ..set }),
        Single::MetaDelete(delete) => Single::MetaDelete(meta::Delete { key, ..delete }),
        Single::MetaArith(arith) => Single::MetaArith(meta::Arith { key, ..arith }),
        Single::MetaDebug(debug) => Single::MetaDebug(meta::Debug { key, ..debug }),
        classic => classic,
    }
}
