//! A request as the router sees it: what it does, to which key, what may answer it, and its plainest bytes.
//!
//! Requests are spelled anew for the server, never passed on as the client wrote them: what this router and a server
//! of another make or age read differently would otherwise put their ideas of "the next request" apart.

mod item;
mod owned;
mod rewrite;

use bytes::{BufMut, BytesMut};
use protocol::encode;
use protocol::meta::{self, KeyScratch};
use protocol::{Arith, ArithVerb, Delete, Get, Key, Request, Store, StoreVerb, Touch};

pub(crate) use item::Item;
pub(crate) use owned::OwnedRequest;

/// What a request does, by the names of mcrouter's `operation_policies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Get,
    Gets,
    Gat,
    Gats,
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Cas,
    Delete,
    Incr,
    Decr,
    Touch,
}

/// Operations that cost a server alike: what latencies are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Read,
    Store,
    Delete,
    /// incr, decr, touch
    Update,
}

impl Family {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Store, Self::Delete, Self::Update];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Store => "store",
            Self::Delete => "delete",
            Self::Update => "update",
        }
    }
}

impl Op {
    pub(crate) const ALL: [Self; 14] = [
        Self::Get,
        Self::Gets,
        Self::Gat,
        Self::Gats,
        Self::Set,
        Self::Add,
        Self::Replace,
        Self::Append,
        Self::Prepend,
        Self::Cas,
        Self::Delete,
        Self::Incr,
        Self::Decr,
        Self::Touch,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn family(self) -> Family {
        match self {
            Self::Get | Self::Gets | Self::Gat | Self::Gats => Family::Read,
            Self::Set | Self::Add | Self::Replace | Self::Append | Self::Prepend | Self::Cas => Family::Store,
            Self::Delete => Family::Delete,
            Self::Incr | Self::Decr | Self::Touch => Family::Update,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Gets => "gets",
            Self::Gat => "gat",
            Self::Gats => "gats",
            Self::Set => "set",
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Append => "append",
            Self::Prepend => "prepend",
            Self::Cas => "cas",
            Self::Delete => "delete",
            Self::Incr => "incr",
            Self::Decr => "decr",
            Self::Touch => "touch",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }

    /// Whether it only reads: a lost one may read as a miss, and it may be asked of another server.
    pub(crate) const fn is_get(self) -> bool {
        matches!(self, Self::Get | Self::Gets | Self::Gat | Self::Gats)
    }

    /// mcrouter's groups, which `failover_errors` and routing groups are told by.
    pub(crate) const fn group(self) -> Group {
        match self {
            Self::Get | Self::Gets | Self::Gat | Self::Gats => Group::Gets,
            Self::Set | Self::Add | Self::Replace | Self::Append | Self::Prepend | Self::Cas => {
                Group::Updates
            }
            Self::Delete => Group::Deletes,
            Self::Incr | Self::Decr | Self::Touch => Group::Others,
        }
    }
}

/// Operations that configuration speaks of together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Gets,
    Updates,
    Deletes,
    Others,
}

/// All that a route handle looks at to choose a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Routing<'a> {
    pub op: Op,
    /// The key itself, decoded if it came as base64.
    pub key: &'a [u8],
}

/// Which replies may answer a request, and which of them a quiet one hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// VALUE blocks and END.
    Retrieval,
    Store,
    Delete,
    Arith,
    Touch,
    MetaGet,
    MetaSet,
    MetaDelete,
    MetaArith,
    MetaDebug,
    /// `flush_all`.
    Flush,
    /// STAT lines and END.
    Stats,
    /// `version`, the probe.
    Version,
}

/// A request for one key, still borrowing from the client's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Single<'a> {
    Get {
        with_cas: bool,
        touch: Option<protocol::Exptime>,
        key: Key<'a>,
    },
    Store(Store<'a>),
    Delete(Delete<'a>),
    Arith(Arith<'a>),
    Touch(Touch<'a>),
    MetaGet(meta::Get<'a>),
    MetaSet(meta::Set<'a>),
    MetaDelete(meta::Delete<'a>),
    MetaArith(meta::Arith<'a>),
    MetaDebug(meta::Debug<'a>),
}

impl<'a> Single<'a> {
    /// The request, if it is for exactly one key.
    pub(crate) fn of(request: &Request<'a>) -> Option<Self> {
        Some(match *request {
            Request::Get(get) if get.keys.len() == 1 => Self::Get {
                with_cas: get.with_cas,
                touch: get.touch,
                key: get.keys.first(),
            },
            Request::Store(store) => Self::Store(store),
            Request::Delete(delete) => Self::Delete(delete),
            Request::Arith(arith) => Self::Arith(arith),
            Request::Touch(touch) => Self::Touch(touch),
            Request::MetaGet(get) => Self::MetaGet(get),
            Request::MetaSet(set) => Self::MetaSet(set),
            Request::MetaDelete(delete) => Self::MetaDelete(delete),
            Request::MetaArith(arith) => Self::MetaArith(arith),
            Request::MetaDebug(debug) => Self::MetaDebug(debug),
            Request::Get(_)
            | Request::FlushAll(_)
            | Request::Version
            | Request::Verbosity(_)
            | Request::Stats(_)
            | Request::Quit
            | Request::Admin(_)
            | Request::MetaNoop => return None,
        })
    }

    pub(crate) fn op(&self) -> Op {
        match self {
            Self::Get { with_cas, touch, .. } => retrieval_op(*with_cas, touch.is_some()),
            Self::Store(store) => match store.verb {
                StoreVerb::Set => Op::Set,
                StoreVerb::Add => Op::Add,
                StoreVerb::Replace => Op::Replace,
                StoreVerb::Append => Op::Append,
                StoreVerb::Prepend => Op::Prepend,
                StoreVerb::Cas(_) => Op::Cas,
            },
            Self::Delete(_) => Op::Delete,
            Self::Arith(arith) => match arith.verb {
                ArithVerb::Incr => Op::Incr,
                ArithVerb::Decr => Op::Decr,
            },
            Self::Touch(_) => Op::Touch,
            // A meta get that may write (vivify) or touches is still one server's answer about one key.
            Self::MetaGet(get) => retrieval_op(get.flags.has(b'c'), get.touch.is_some()),
            Self::MetaSet(set) => match set.mode {
                _ if set.cas_compare.is_some() => Op::Cas,
                meta::SetMode::Set => Op::Set,
                meta::SetMode::Add => Op::Add,
                meta::SetMode::Append => Op::Append,
                meta::SetMode::Prepend => Op::Prepend,
                meta::SetMode::Replace => Op::Replace,
            },
            Self::MetaDelete(_) => Op::Delete,
            Self::MetaArith(arith) => match arith.mode {
                meta::ArithMode::Incr => Op::Incr,
                meta::ArithMode::Decr => Op::Decr,
            },
            Self::MetaDebug(_) => Op::Get,
        }
    }

    /// The key itself; `scratch` holds it if it had to be decoded.
    pub(crate) fn key<'b>(&'b self, scratch: &'b mut KeyScratch) -> &'b [u8] {
        match self {
            Self::Get { key, .. } => key.as_bytes(),
            Self::Store(store) => store.key.as_bytes(),
            Self::Delete(delete) => delete.key.as_bytes(),
            Self::Arith(arith) => arith.key.as_bytes(),
            Self::Touch(touch) => touch.key.as_bytes(),
            Self::MetaGet(get) => get.key.decode(scratch).as_bytes(),
            Self::MetaSet(set) => set.key.decode(scratch).as_bytes(),
            Self::MetaDelete(delete) => delete.key.decode(scratch).as_bytes(),
            Self::MetaArith(arith) => arith.key.decode(scratch).as_bytes(),
            Self::MetaDebug(debug) => debug.key.decode(scratch).as_bytes(),
        }
    }

    pub(crate) const fn expect(&self) -> Expect {
        match self {
            Self::Get { .. } => Expect::Retrieval,
            Self::Store(_) => Expect::Store,
            Self::Delete(_) => Expect::Delete,
            Self::Arith(_) => Expect::Arith,
            Self::Touch(_) => Expect::Touch,
            Self::MetaGet(_) => Expect::MetaGet,
            Self::MetaSet(_) => Expect::MetaSet,
            Self::MetaDelete(_) => Expect::MetaDelete,
            Self::MetaArith(_) => Expect::MetaArith,
            Self::MetaDebug(_) => Expect::MetaDebug,
        }
    }

    /// Whether the client asked not to hear back (`noreply`).
    pub(crate) const fn noreply(&self) -> bool {
        match self {
            Self::Store(store) => store.noreply,
            Self::Delete(delete) => delete.noreply,
            Self::Arith(arith) => arith.noreply,
            Self::Touch(touch) => touch.noreply,
            _ => false,
        }
    }

    /// Whether the client asked not to hear the ordinary answer (the meta flag `q`).
    pub(crate) const fn quiet(&self) -> bool {
        match self {
            Self::MetaGet(get) => get.flags.quiet(),
            Self::MetaSet(set) => set.flags.quiet(),
            Self::MetaDelete(delete) => delete.flags.quiet(),
            Self::MetaArith(arith) => arith.flags.quiet(),
            _ => false,
        }
    }

    /// Appends the request for a server, in its plainest spelling, always asking for a reply: `noreply` and `q` are
    /// the client's business, and the router must see each request answered to know which reply is whose.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Get { with_cas, touch, key } => {
                encode::request::get(out, *with_cas, *touch, std::iter::once(*key))
            }
            Self::Store(store) => encode::request::store(
                out,
                &Store {
                    noreply: false,
                    ..*store
                },
            ),
            Self::Delete(delete) => encode::request::delete(
                out,
                &Delete {
                    noreply: false,
                    ..*delete
                },
            ),
            Self::Arith(arith) => encode::request::arith(
                out,
                &Arith {
                    noreply: false,
                    ..*arith
                },
            ),
            Self::Touch(touch) => encode::request::touch(
                out,
                &Touch {
                    noreply: false,
                    ..*touch
                },
            ),
            Self::MetaGet(get) => {
                encode::meta::begin_get(out, get.key);
                loud_flags(out, get.flags);
                encode::meta::end(out);
            }
            Self::MetaSet(set) => {
                encode::meta::begin_set(out, set.key, set.data.len());
                loud_flags(out, set.flags);
                encode::meta::end_with_data(out, set.data);
            }
            Self::MetaDelete(delete) => {
                encode::meta::begin_delete(out, delete.key);
                loud_flags(out, delete.flags);
                encode::meta::end(out);
            }
            Self::MetaArith(arith) => {
                encode::meta::begin_arith(out, arith.key);
                loud_flags(out, arith.flags);
                encode::meta::end(out);
            }
            Self::MetaDebug(debug) => {
                encode::meta::begin_debug(out, debug.key);
                encode::meta::end(out);
            }
        }
    }

    /// Appends what has to be remembered until the reply: for `get` the key, which the reply must name; for `mg` what
    /// a miss would say behind its `EN`.
    pub(crate) fn note(&self, note: &mut Vec<u8>) {
        match self {
            Self::Get { key, .. } => note.extend_from_slice(key.as_bytes()),
            Self::MetaGet(get) => {
                if get.flags.has(b'k') || get.flags.has(b'O') {
                    miss_flags(note, get);
                }
            }
            Self::Store(_)
            | Self::Delete(_)
            | Self::Arith(_)
            | Self::Touch(_)
            | Self::MetaSet(_)
            | Self::MetaDelete(_)
            | Self::MetaArith(_)
            | Self::MetaDebug(_) => {}
        }
    }
}

/// The operation of a retrieval.
pub(crate) const fn retrieval_op(with_cas: bool, touches: bool) -> Op {
    match (with_cas, touches) {
        (false, false) => Op::Get,
        (true, false) => Op::Gets,
        (false, true) => Op::Gat,
        (true, true) => Op::Gats,
    }
}

/// Appends all flags but `q` (answered by the router) and `b` (which goes with the key).
fn loud_flags(out: &mut BytesMut, flags: meta::Flags<'_>) {
    for flag in flags {
        if !matches!(flag.letter, b'q' | b'b') {
            out.put_slice(&[b' ', flag.letter]);
            out.put_slice(flag.arg);
        }
    }
}

/// Appends the flags a miss of `get` answers: opaque and key, in the order asked for.
fn miss_flags(note: &mut Vec<u8>, get: &meta::Get<'_>) {
    for flag in get.flags {
        match flag.letter {
            b'O' => {
                note.extend_from_slice(b" O");
                note.extend_from_slice(flag.arg);
            }
            b'k' => {
                note.extend_from_slice(b" k");
                note.extend_from_slice(get.key.wire());
                if get.key.is_base64() {
                    note.extend_from_slice(b" b");
                }
            }
            _ => {}
        }
    }
}

/// The retrieval of one of several keys.
pub(crate) fn one_key<'a>(get: &Get<'a>, key: Key<'a>) -> Single<'a> {
    Single::Get {
        with_cas: get.with_cas,
        touch: get.touch,
        key,
    }
}
