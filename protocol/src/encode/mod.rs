//! Messages to bytes, appended to a `BytesMut` and never through a `String`.

pub mod meta;
pub mod request;
pub mod response;

use bytes::{BufMut, BytesMut};

/// The end of a line and of a data block.
pub const CRLF: &[u8] = b"\r\n";

/// Appends a number in decimal.
#[inline]
pub fn number(out: &mut BytesMut, number: u64) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number in decimal.
#[inline]
pub fn signed(out: &mut BytesMut, number: i64) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a blank and a number in decimal.
#[inline]
fn space_number(out: &mut BytesMut, value: u64) {
    out.put_u8(b' ');
    number(out, value);
}
