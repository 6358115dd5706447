//! What a server writes. The constants are whole lines, CR LF included.

use bytes::{BufMut, BytesMut};

use super::{CRLF, space_number};
use crate::response::Response;

macro_rules! lines {
    ($($(#[$doc:meta])* $name:ident = $line:literal;)*) => {
        $($(#[$doc])* #[doc = concat!("`", $line, "`")] pub const $name: &[u8] = concat!($line, "\r\n").as_bytes();)*
    };
}

lines! {
    END = "END";
    STORED = "STORED";
    NOT_STORED = "NOT_STORED";
    EXISTS = "EXISTS";
    NOT_FOUND = "NOT_FOUND";
    DELETED = "DELETED";
    TOUCHED = "TOUCHED";
    OK = "OK";
    RESET = "RESET";
    ERROR = "ERROR";
    BAD_COMMAND_LINE = "CLIENT_ERROR bad command line format";
    DELETE_USAGE = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]";
    BAD_DATA_CHUNK = "CLIENT_ERROR bad data chunk";
    INVALID_EXPTIME = "CLIENT_ERROR invalid exptime argument";
    INVALID_DELTA = "CLIENT_ERROR invalid numeric delta argument";
    NON_NUMERIC = "CLIENT_ERROR cannot increment or decrement non-numeric value";
    INVALID_FLAG = "CLIENT_ERROR invalid flag";
    DUPLICATE_FLAG = "CLIENT_ERROR duplicate flag";
    INVALID_OR_DUPLICATE_FLAG = "CLIENT_ERROR invalid or duplicate flag";
    BAD_TOKEN = "CLIENT_ERROR bad token in command line format";
    INVALID_INITIAL = "CLIENT_ERROR invalid numeric initial value";
    INVALID_META_DELTA = "CLIENT_ERROR invalid numeric delta value";
    KEY_DECODING = "CLIENT_ERROR error decoding key";
    OPAQUE_TOO_LONG = "CLIENT_ERROR opaque token too long";
    TOO_MANY_FLAGS = "CLIENT_ERROR options flags are too long";
    INVALID_SET_MODE = "CLIENT_ERROR invalid mode for ms M token";
    INVALID_ARITH_MODE = "CLIENT_ERROR invalid mode for ma M token";
    FLUSH_NOT_ALLOWED = "CLIENT_ERROR flush_all not allowed";
    LINE_TOO_LONG = "CLIENT_ERROR line too long";
    VALUE_TOO_LARGE = "SERVER_ERROR object too large for cache";
    OUT_OF_MEMORY_STORING = "SERVER_ERROR out of memory storing object";
    OUT_OF_MEMORY_READING = "SERVER_ERROR Out of memory during read";
    OUT_OF_MEMORY = "SERVER_ERROR out of memory";
    MALFORMED_REPLY = "SERVER_ERROR malformed reply from upstream";
    REPLY_TOO_LARGE = "SERVER_ERROR reply from upstream too large";
    SHUTDOWN_NOT_ENABLED = "SERVER_ERROR: shutdown not enabled";
    TOO_MANY_CONNECTIONS = "ERROR Too many open connections";
}

/// Appends `VALUE key flags len [cas]` and the line's end. The value and [`CRLF`] follow it; room for them is made
/// here, so that one reservation serves the whole block.
#[inline(always)]
pub fn value_header(out: &mut BytesMut, key: &[u8], flags: u32, len: usize, cas: Option<u64>) {
    let mut tail = Backwards::LINE_END;
    if let Some(cas) = cas {
        tail.push_number(cas);
    }
    tail.push_number(len as u64);
    tail.push_number(u64::from(flags));
    out.reserve(key.len() + len + VALUE_OVERHEAD);
    out.put_slice(b"VALUE ");
    out.put_slice(key);
    out.put_slice(tail.as_bytes());
}

/// The end of a VALUE line, written from its last byte to its first: each piece that is appended to a `BytesMut` asks
/// for room and calls a copy, which for a few digits costs more than making them.
struct Backwards {
    bytes: [u8; Self::LEN],
    start: usize,
}

impl Backwards {
    /// Room for three numbers of 20 digits with their blanks and a line end would be 65 bytes; flags have 10 digits.
    const LEN: usize = 64;

    /// Nothing yet but the line's end.
    const LINE_END: Self = {
        let mut bytes = [0; Self::LEN];
        bytes[Self::LEN - 2] = b'\r';
        bytes[Self::LEN - 1] = b'\n';
        Self {
            bytes,
            start: Self::LEN - 2,
        }
    };

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the remainder of the length is within it")]
    const fn push(&mut self, byte: u8) {
        self.start = self.start.wrapping_sub(1) % Self::LEN;
        self.bytes[self.start] = byte;
    }

    /// A blank and a number, two digits at a step.
    #[inline]
    fn push_number(&mut self, number: u64) {
        let mut left = number;
        while left >= 100 {
            self.push_pair(left % 100);
            left /= 100;
        }
        if left >= 10 {
            self.push_pair(left);
        } else {
            self.push(pair(left)[1]);
        }
        self.push(b' ');
    }

    #[inline]
    fn push_pair(&mut self, number: u64) {
        self.start = self.start.wrapping_sub(2) % Self::LEN;
        if let Some(place) = self.bytes.get_mut(self.start..self.start + 2) {
            place.copy_from_slice(&pair(number));
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The numbers below a hundred, two digits each.
const PAIRS: [[u8; 2]; 100] = pairs();

#[inline]
fn pair(number: u64) -> [u8; 2] {
    let pair = usize::try_from(number).ok().and_then(|number| PAIRS.get(number));
    pair.copied().unwrap_or(*b"00")
}

#[expect(clippy::indexing_slicing, reason = "run by the compiler")]
const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number: u8 = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
}

/// What a VALUE block may have besides key and value: the word, three numbers of at most 20 digits, blanks, two line
/// ends.
const VALUE_OVERHEAD: usize = 6 + 3 * 21 + 2 * CRLF.len();

/// Appends a whole VALUE block.
#[inline]
pub fn value(out: &mut BytesMut, key: &[u8], flags: u32, data: &[u8], cas: Option<u64>) {
    value_header(out, key, flags, data.len(), cas);
    out.put_slice(data);
    out.put_slice(CRLF);
}

/// Appends a bare number: the answer to `incr` and `decr`.
#[inline]
pub fn number(out: &mut BytesMut, number: u64) {
    super::number(out, number);
    out.put_slice(CRLF);
}

/// Appends `VERSION version`.
pub fn version(out: &mut BytesMut, version: &[u8]) {
    line(out, b"VERSION ", version);
}

/// Appends `STAT name value`.
pub fn stat(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(b"STAT ");
    out.put_slice(name);
    line(out, b" ", value);
}

/// Appends `STAT name number`.
pub fn stat_number(out: &mut BytesMut, name: &[u8], number: u64) {
    out.put_slice(b"STAT ");
    out.put_slice(name);
    space_number(out, number);
    out.put_slice(CRLF);
}

/// Appends `CLIENT_ERROR message`. The message must not hold a LF.
pub fn client_error(out: &mut BytesMut, message: &[u8]) {
    line(out, b"CLIENT_ERROR ", message);
}

/// Appends `SERVER_ERROR message`. The message must not hold a LF.
pub fn server_error(out: &mut BytesMut, message: &[u8]) {
    line(out, b"SERVER_ERROR ", message);
}

fn line(out: &mut BytesMut, word: &[u8], rest: &[u8]) {
    out.put_slice(word);
    out.put_slice(rest);
    out.put_slice(CRLF);
}

/// Appends any reply.
pub fn response(out: &mut BytesMut, response: &Response<'_>) {
    match *response {
        Response::Value {
            key,
            flags,
            cas,
            data,
        } => value(out, key, flags, data, cas),
        Response::End => out.put_slice(END),
        Response::Stored => out.put_slice(STORED),
        Response::NotStored => out.put_slice(NOT_STORED),
        Response::Exists => out.put_slice(EXISTS),
        Response::NotFound => out.put_slice(NOT_FOUND),
        Response::Deleted => out.put_slice(DELETED),
        Response::Touched => out.put_slice(TOUCHED),
        Response::Ok => out.put_slice(OK),
        Response::Number(value) => number(out, value),
        Response::Version(text) => version(out, text),
        Response::Stat { name, value } => stat(out, name, value),
        Response::Reset => out.put_slice(RESET),
        Response::Meta(ref meta) => super::meta::response(out, meta),
        Response::Error => out.put_slice(ERROR),
        Response::ClientError(message) => client_error(out, message),
        Response::ServerError(message) => server_error(out, message),
        Response::Line(text) => line(out, b"", text),
    }
}
