//! What a client writes.

use bytes::{BufMut, BytesMut};

use super::{CRLF, space_number};
use crate::exptime::Exptime;
use crate::key::Key;
use crate::request::{
    Admin, AdminVerb, Arith, ArithVerb, Delete, FlushAll, Request, Store, StoreVerb, Touch, Verbosity,
};

/// `version`
pub const VERSION: &[u8] = b"version\r\n";
/// `quit`
pub const QUIT: &[u8] = b"quit\r\n";
/// `mn`
pub const META_NOOP: &[u8] = b"mn\r\n";

/// Appends any request, in its plainest spelling.
pub fn request(out: &mut BytesMut, request: &Request<'_>) {
    match request {
        Request::Get(request) => get(out, request.with_cas, request.touch, request.keys),
        Request::Store(request) => store(out, request),
        Request::Delete(request) => delete(out, request),
        Request::Arith(request) => arith(out, request),
        Request::Touch(request) => touch(out, request),
        Request::FlushAll(request) => flush_all(out, request),
        Request::Version => out.put_slice(VERSION),
        Request::Verbosity(request) => verbosity(out, request),
        Request::Stats(args) => stats(out, args),
        Request::Quit => out.put_slice(QUIT),
        Request::Admin(request) => admin(out, request),
        Request::MetaGet(request) => super::meta::get(out, request),
        Request::MetaSet(request) => super::meta::set(out, request),
        Request::MetaDelete(request) => super::meta::delete(out, request),
        Request::MetaArith(request) => super::meta::arith(out, request),
        Request::MetaNoop => out.put_slice(META_NOOP),
        Request::MetaDebug(request) => super::meta::debug(out, request),
    }
}

/// Appends a retrieval of `keys`: `get`, `gets` (with cas), `gat`, `gats` (with an exptime). Keys that are no bare
/// token ([`Key::is_text`]) must not come here, and there must be one: nothing is appended for none.
#[inline]
pub fn get<'k>(
    out: &mut BytesMut,
    with_cas: bool,
    touch: Option<Exptime>,
    keys: impl IntoIterator<Item = Key<'k>>,
) {
    let mut keys = keys.into_iter();
    let Some(first) = keys.next() else { return };
    begin_get(out, with_cas, touch);
    push_key(out, first);
    keys.for_each(|key| push_key(out, key));
    out.put_slice(CRLF);
}

/// Begins a retrieval: the verb and, for `gat` and `gats`, the exptime. [`push_key`] adds keys and [`CRLF`] ends it:
/// the form for a proxy that deals the keys of one request out to several servers.
#[inline]
pub fn begin_get(out: &mut BytesMut, with_cas: bool, touch: Option<Exptime>) {
    match (with_cas, touch) {
        (false, None) => out.put_slice(b"get"),
        (true, None) => out.put_slice(b"gets"),
        (with_cas, Some(Exptime(exptime))) => {
            out.put_slice(if with_cas { b"gats ".as_slice() } else { b"gat " });
            super::signed(out, exptime);
        }
    }
}

/// Appends a blank and a key.
#[inline]
pub fn push_key(out: &mut BytesMut, key: Key<'_>) {
    out.put_u8(b' ');
    out.put_slice(key.as_bytes());
}

/// Appends a storage command with its data block.
#[inline]
pub fn store(out: &mut BytesMut, store: &Store<'_>) {
    let (verb, unique) = match store.verb {
        StoreVerb::Set => (b"set".as_slice(), None),
        StoreVerb::Add => (b"add".as_slice(), None),
        StoreVerb::Replace => (b"replace".as_slice(), None),
        StoreVerb::Append => (b"append".as_slice(), None),
        StoreVerb::Prepend => (b"prepend".as_slice(), None),
        StoreVerb::Cas(unique) => (b"cas".as_slice(), Some(unique)),
    };
    out.reserve(store.key.len() + store.data.len() + STORE_OVERHEAD);
    out.put_slice(verb);
    push_key(out, store.key);
    space_number(out, u64::from(store.flags));
    space_signed(out, store.exptime.0);
    space_number(out, store.data.len() as u64);
    if let Some(unique) = unique {
        space_number(out, unique);
    }
    end(out, store.noreply);
    out.put_slice(store.data);
    out.put_slice(CRLF);
}

/// What a storage command may have besides key and data: the longest verb, four numbers of at most 20 characters,
/// blanks, `noreply`, two line ends.
const STORE_OVERHEAD: usize = 7 + 5 * 21 + 8 + 2 * CRLF.len();

/// Appends `delete`.
#[inline]
pub fn delete(out: &mut BytesMut, delete: &Delete<'_>) {
    out.put_slice(b"delete");
    push_key(out, delete.key);
    // As the last token, such a key would ask for no reply; the 0 of old clients keeps it from that place.
    if delete.key.as_bytes() == b"noreply" && !delete.noreply {
        out.put_slice(b" 0");
    }
    end(out, delete.noreply);
}

/// Appends `incr` or `decr`.
#[inline]
pub fn arith(out: &mut BytesMut, arith: &Arith<'_>) {
    out.put_slice(match arith.verb {
        ArithVerb::Incr => b"incr",
        ArithVerb::Decr => b"decr",
    });
    push_key(out, arith.key);
    space_number(out, arith.delta);
    end(out, arith.noreply);
}

/// Appends `touch`.
#[inline]
pub fn touch(out: &mut BytesMut, touch: &Touch<'_>) {
    out.put_slice(b"touch");
    push_key(out, touch.key);
    space_signed(out, touch.exptime.0);
    end(out, touch.noreply);
}

/// Appends `flush_all`.
pub fn flush_all(out: &mut BytesMut, flush: &FlushAll) {
    out.put_slice(b"flush_all");
    if let Some(Exptime(delay)) = flush.delay {
        space_signed(out, delay);
    }
    end(out, flush.noreply);
}

/// Appends `verbosity`.
pub fn verbosity(out: &mut BytesMut, verbosity: &Verbosity) {
    out.put_slice(b"verbosity");
    space_number(out, u64::from(verbosity.level));
    end(out, verbosity.noreply);
}

/// Appends `stats` with its arguments.
pub fn stats(out: &mut BytesMut, args: &[u8]) {
    out.put_slice(b"stats");
    push_args(out, args);
    end(out, false);
}

/// Appends a command for operators.
pub fn admin(out: &mut BytesMut, admin: &Admin<'_>) {
    out.put_slice(match admin.verb {
        AdminVerb::CacheMemlimit => b"cache_memlimit".as_slice(),
        AdminVerb::Shutdown => b"shutdown",
        AdminVerb::LruCrawler => b"lru_crawler",
        AdminVerb::Lru => b"lru",
        AdminVerb::Slabs => b"slabs",
        AdminVerb::Watch => b"watch",
        AdminVerb::RefreshCerts => b"refresh_certs",
        AdminVerb::Extstore => b"extstore",
        AdminVerb::Config => b"config",
    });
    push_args(out, admin.args);
    end(out, admin.noreply);
}

fn push_args(out: &mut BytesMut, args: &[u8]) {
    if !args.is_empty() {
        out.put_u8(b' ');
        out.put_slice(args);
    }
}

#[inline]
fn end(out: &mut BytesMut, noreply: bool) {
    out.put_slice(if noreply { b" noreply\r\n".as_slice() } else { CRLF });
}

#[inline]
fn space_signed(out: &mut BytesMut, value: i64) {
    out.put_u8(b' ');
    super::signed(out, value);
}
