//! The meta commands (protocol.txt, "Meta Commands"). Flags are answered in the order they were asked; what an item
//! says of itself (Z, X, W) comes last. memcached 1.6.45 is the reference, its mistakes left out.

mod arith;
mod delete;
mod get;
mod set;

use bytes::BytesMut;
use protocol::encode::meta as encode;
use protocol::meta::{Code, Debug, Flags, KeyScratch, MetaKey};

pub(super) use arith::arith;
pub(super) use delete::delete;
pub(super) use get::get;
pub(super) use set::set;

use super::Context;
use crate::store::{Item, Read, Seconds};

/// `me`: what the store knows of an item, for people.
pub(super) fn debug(cx: &mut Context<'_>, request: &Debug<'_>, out: &mut BytesMut) {
    cx.counters.cmd_meta.add(1);
    let mut scratch = KeyScratch::new();
    let lookup = cx.store().lookup(request.key.decode(&mut scratch).as_bytes());
    let at = cx.at;
    cx.store().get(lookup, at, Read::PeekWithCas, |item| {
        let Some(item) = item else {
            out.extend_from_slice(b"EN\r\n");
            return;
        };
        encode::begin_reply(out, Code::Me);
        out.extend_from_slice(b" ");
        out.extend_from_slice(request.key.wire());
        tell(out, b" exp=", seconds_left(item.expires, at));
        tell(out, b" la=", i64::from(at.0.saturating_sub(item.last_access.0)));
        out.extend_from_slice(b" cas=");
        protocol::encode::number(out, item.cas());
        out.extend_from_slice(if item.fetched { b" fetch=yes" } else { b" fetch=no" });
        // There are no slab classes; tools expect the field.
        out.extend_from_slice(b" cls=1");
        tell(out, b" size=", i64::from(item.size_bytes()));
        encode::end(out);
    });
}

fn tell(out: &mut BytesMut, name: &[u8], value: i64) {
    out.extend_from_slice(name);
    protocol::encode::signed(out, value);
}

/// Remaining TTL in seconds; −1 is for ever.
fn seconds_left(expires: Option<Seconds>, at: Seconds) -> i64 {
    expires.map_or(-1, |expires| i64::from(expires.0.saturating_sub(at.0)))
}

/// The expiry an item made on a miss is left with when both T and N are given: the later flag wins, as memcached
/// executes them in order.
fn made_expiry(flags: Flags<'_>, touch: Option<Option<Seconds>>, vivify: Option<Seconds>) -> Option<Seconds> {
    let order = flags.iter().filter_map(|flag| match flag.letter {
        b'T' => touch,
        b'N' => Some(vivify),
        _ => None,
    });
    order.last().unwrap_or(vivify)
}

/// The cas unique a client wants its item to have; zero is none, since zero is what an item without one shows.
fn wanted_cas(cas_override: Option<u64>) -> Option<u64> {
    cas_override.filter(|unique| *unique != 0)
}

/// Answers the flags that need no item: `O` and `k`.
fn opaque_and_key(out: &mut BytesMut, key: MetaKey<'_>, flags: Flags<'_>) {
    for flag in flags.iter() {
        match flag.letter {
            b'O' => encode::flag_bytes(out, b'O', flag.arg),
            b'k' => encode::flag_key(out, key),
            _ => {}
        }
    }
}

/// A whole reply of one code with `O` and `k`.
fn plain_reply(out: &mut BytesMut, code: Code, key: MetaKey<'_>, flags: Flags<'_>) {
    encode::begin_reply(out, code);
    opaque_and_key(out, key, flags);
    encode::end(out);
}

/// What a reply may say of an item, taken down under the shard lock.
#[derive(Debug, Clone, Copy)]
struct Seen {
    client_flags: u32,
    len: usize,
    expires: Option<Seconds>,
    cas: u64,
    fetched: bool,
    idle: u32,
}

impl Seen {
    fn of(item: &Item<'_>, at: Seconds) -> Self {
        Self {
            client_flags: item.flags,
            len: item.value.len(),
            expires: item.expires,
            cas: item.cas(),
            fetched: item.fetched,
            idle: at.0.saturating_sub(item.last_access.0),
        }
    }
}

/// Whether the store must be told that the client learns a cas unique.
fn read_mode(tells_cas: bool, leaves_no_trace: bool) -> Read {
    match (leaves_no_trace, tells_cas) {
        (false, false) => Read::Plain,
        (false, true) => Read::WithCas,
        (true, false) => Read::Peek,
        (true, true) => Read::PeekWithCas,
    }
}
