//! Meta commands and their replies. A line is begun, given flags one by one, and ended:
//!
//! ```
//! use protocol::{Exptime, Key, encode::meta as encode, meta::MetaKey};
//! let mut out = bytes::BytesMut::new();
//! let key = MetaKey::text(Key::new(b"k").unwrap()).unwrap();
//! encode::begin_get(&mut out, key);
//! encode::flag(&mut out, b'v');
//! encode::flag_signed(&mut out, b'T', 30);
//! encode::end(&mut out);
//! assert_eq!(&out[..], b"mg k v T30\r\n");
//! ```

use bytes::{BufMut, BytesMut};

use crate::meta::{Arith, Code, Debug, Delete, Flags, Get, MetaKey, Response, Set};

/// Begins `mg key`.
#[inline]
pub fn begin_get(out: &mut BytesMut, key: MetaKey<'_>) {
    begin(out, b"mg ", key);
}

/// Begins `md key`.
#[inline]
pub fn begin_delete(out: &mut BytesMut, key: MetaKey<'_>) {
    begin(out, b"md ", key);
}

/// Begins `ma key`.
#[inline]
pub fn begin_arith(out: &mut BytesMut, key: MetaKey<'_>) {
    begin(out, b"ma ", key);
}

/// Begins `me key`.
#[inline]
pub fn begin_debug(out: &mut BytesMut, key: MetaKey<'_>) {
    begin(out, b"me ", key);
}

/// Begins `ms key len`. The line is ended by [`end_with_data`], with `len` bytes.
#[inline]
pub fn begin_set(out: &mut BytesMut, key: MetaKey<'_>, len: usize) {
    out.put_slice(b"ms ");
    out.put_slice(key.wire());
    super::space_number(out, len as u64);
    flag_base64(out, key);
}

#[inline]
fn begin(out: &mut BytesMut, verb: &[u8], key: MetaKey<'_>) {
    out.put_slice(verb);
    out.put_slice(key.wire());
    flag_base64(out, key);
}

/// A key that is base64 says so on every line it stands on.
#[inline]
fn flag_base64(out: &mut BytesMut, key: MetaKey<'_>) {
    if key.is_base64() {
        flag(out, b'b');
    }
}

/// Appends `mg`. The flags are spelled as in `get.flags`, which holds all there is to say.
pub fn get(out: &mut BytesMut, get: &Get<'_>) {
    line(out, b"mg ", get.key, get.flags);
}

/// Appends `md`. The flags are spelled as in `delete.flags`, which holds all there is to say.
pub fn delete(out: &mut BytesMut, delete: &Delete<'_>) {
    line(out, b"md ", delete.key, delete.flags);
}

/// Appends `ma`. The flags are spelled as in `arith.flags`, which holds all there is to say.
pub fn arith(out: &mut BytesMut, arith: &Arith<'_>) {
    line(out, b"ma ", arith.key, arith.flags);
}

/// Appends `me`. The flags are spelled as in `debug.flags`, which holds all there is to say.
pub fn debug(out: &mut BytesMut, debug: &Debug<'_>) {
    line(out, b"me ", debug.key, debug.flags);
}

/// Appends `ms` with its data block. The flags are spelled as in `set.flags`, which holds all there is to say.
pub fn set(out: &mut BytesMut, set: &Set<'_>) {
    out.put_slice(b"ms ");
    out.put_slice(set.key.wire());
    super::space_number(out, set.data.len() as u64);
    push_flags(out, set.flags.as_wire());
    end_with_data(out, set.data);
}

fn line(out: &mut BytesMut, verb: &[u8], key: MetaKey<'_>, flags: Flags<'_>) {
    out.put_slice(verb);
    out.put_slice(key.wire());
    push_flags(out, flags.as_wire());
    end(out);
}

#[inline]
fn push_flags(out: &mut BytesMut, flags: &[u8]) {
    if !flags.is_empty() {
        out.put_u8(b' ');
        out.put_slice(flags);
    }
}

/// Begins a reply: the two letters.
#[inline]
pub fn begin_reply(out: &mut BytesMut, code: Code) {
    out.put_slice(code.as_bytes());
}

/// Begins a reply with a value of `len` bytes. The line is ended by [`end`], then come the value and CR LF.
#[inline]
pub fn begin_value(out: &mut BytesMut, len: usize) {
    out.put_slice(b"VA ");
    super::number(out, len as u64);
}

/// Appends a flag without argument.
#[inline]
pub fn flag(out: &mut BytesMut, letter: u8) {
    out.put_slice(&[b' ', letter]);
}

/// Appends a flag with a number.
#[inline]
pub fn flag_number(out: &mut BytesMut, letter: u8, number: u64) {
    flag(out, letter);
    super::number(out, number);
}

/// Appends a flag with a number that may be negative.
#[inline]
pub fn flag_signed(out: &mut BytesMut, letter: u8, number: i64) {
    flag(out, letter);
    super::signed(out, number);
}

/// Appends a flag with bytes, which must not hold a blank or LF.
#[inline]
pub fn flag_bytes(out: &mut BytesMut, letter: u8, arg: &[u8]) {
    flag(out, letter);
    out.put_slice(arg);
}

/// Appends what the flag `k` asks for: the key as it was sent, and ` b` if that was base64.
#[inline]
pub fn flag_key(out: &mut BytesMut, key: MetaKey<'_>) {
    flag_bytes(out, b'k', key.wire());
    if key.is_base64() {
        flag(out, b'b');
    }
}

/// Ends the line.
#[inline]
pub fn end(out: &mut BytesMut) {
    out.put_slice(super::CRLF);
}

/// Ends the line and appends the data block.
#[inline]
pub fn end_with_data(out: &mut BytesMut, data: &[u8]) {
    end(out);
    out.put_slice(data);
    end(out);
}

/// Appends any meta reply.
pub fn response(out: &mut BytesMut, response: &Response<'_>) {
    match response.data {
        Some(data) => {
            begin_value(out, data.len());
            push_flags(out, response.flags);
            end_with_data(out, data);
        }
        None => {
            begin_reply(out, response.code);
            push_flags(out, response.flags);
            end(out);
        }
    }
}
