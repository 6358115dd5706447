//! What a client writes.

use bytes::BytesMut;

use crate::exptime::Exptime;
use crate::key::Key;
use crate::request::{Admin, Arith, Delete, FlushAll, Request, Store, Touch, Verbosity};

/// Appends a retrieval of `keys`: `get`, `gets` (with cas), `gat`, `gats` (with an exptime). Keys that are no bare
/// token ([`Key::is_text`]) must not come here. No key, no line.
#[inline]
pub fn get<'k>(
    out: &mut BytesMut,
    with_cas: bool,
    touch: Option<Exptime>,
    keys: impl IntoIterator<Item = Key<'k>>,
) {
    let _ = (out, with_cas, touch, keys);
}

/// Appends a storage command with its data block.
#[inline]
pub fn store(out: &mut BytesMut, store: &Store<'_>) {
    let _ = (out, store);
}

/// Appends `delete`.
#[inline]
pub fn delete(out: &mut BytesMut, delete: &Delete<'_>) {
    let _ = (out, delete);
}

/// Appends `incr` or `decr`.
pub fn arith(out: &mut BytesMut, arith: &Arith<'_>) {
    let _ = (out, arith);
}

/// Appends `touch`.
pub fn touch(out: &mut BytesMut, touch: &Touch<'_>) {
    let _ = (out, touch);
}

/// Appends `flush_all`.
pub fn flush_all(out: &mut BytesMut, flush: &FlushAll) {
    let _ = (out, flush);
}

/// Appends `verbosity`.
pub fn verbosity(out: &mut BytesMut, verbosity: &Verbosity) {
    let _ = (out, verbosity);
}

/// Appends `stats` with its arguments.
pub fn stats(out: &mut BytesMut, args: &[u8]) {
    let _ = (out, args);
}

/// Appends a command for operators.
pub fn admin(out: &mut BytesMut, admin: &Admin<'_>) {
    let _ = (out, admin);
}

/// `version`
pub const VERSION: &[u8] = b"version\r\n";
/// `quit`
pub const QUIT: &[u8] = b"quit\r\n";
/// `mn`
pub const META_NOOP: &[u8] = b"mn\r\n";

/// Appends any request, in its plainest spelling.
pub fn request(out: &mut BytesMut, request: &Request<'_>) {
    let _ = (out, request);
}
