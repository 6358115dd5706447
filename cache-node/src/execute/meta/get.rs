//! `mg`: read, touch, lease. Most are plain reads; whatever may change the item goes through `update`.

use bytes::BytesMut;
use protocol::encode::meta as encode;
use protocol::meta::{Code, Flags, Get, KeyScratch};
use protocol::{Expiry, Exptime};

use super::{Seen, made_expiry, opaque_and_key, read_mode, seconds_left, wanted_cas};
use crate::execute::Context;
use crate::store::{CasPatch, Change, Item, Lookup, NewItem, Patch, Read, Seconds};

pub(crate) fn get(cx: &mut Context<'_>, request: &Get<'_>, out: &mut BytesMut) {
    let mut scratch = KeyScratch::new();
    let key = request.key.decode(&mut scratch);
    let lookup = cx.store().lookup(key.as_bytes());
    let read = read_mode(
        request.flags.has(b'c') || request.cas_compare.is_some(),
        request.flags.has(b'u'),
    );
    let may_change = request.touch.is_some() || request.vivify.is_some() || request.recache.is_some();
    let found = if may_change {
        leasing(cx, request, lookup, read, None, out)
    } else {
        match plain(cx, request, lookup, read, out) {
            Plain::Hit => Found::Hit { touched: false },
            Plain::Miss => Found::Miss,
            // The winner of a stale item has to be marked: look again, this time to change.
            Plain::Stale(seen) => leasing(cx, request, lookup, read, Some(seen), out),
        }
    };
    match found {
        Found::Hit { touched: true } => {
            cx.counters.cmd_touch.add(1);
            cx.counters.touch_hits.add(1);
        }
        Found::Hit { touched: false } => {
            cx.counters.cmd_get.add(1);
            cx.counters.get_hits.add(1);
        }
        Found::Miss => {
            cx.counters.cmd_get.add(1);
            cx.counters.get_misses.add(1);
            if !request.flags.quiet() {
                encode::begin_reply(out, Code::En);
                opaque_and_key(out, request.key, request.flags);
                encode::end(out);
            }
        }
        Found::Error(line) => out.extend_from_slice(line),
    }
}

enum Found {
    Hit { touched: bool },
    Miss,
    Error(&'static [u8]),
}

enum Plain {
    Hit,
    Miss,
    /// A stale item that nobody has been told to refill, as it was before this visit left its trace.
    Stale(Seen),
}

fn plain(cx: &Context<'_>, request: &Get<'_>, lookup: Lookup<'_>, read: Read, out: &mut BytesMut) -> Plain {
    let at = cx.at;
    cx.store().get(lookup, at, read, |item| {
        let Some(item) = item else { return Plain::Miss };
        if item.stale && !item.win_sent {
            return Plain::Stale(Seen::of(&item, at));
        }
        let marks = Marks {
            won: false,
            stale: item.stale,
            win_sent: item.win_sent,
        };
        hit(out, request, &Seen::of(&item, at), Some(&item), marks, None, at);
        Plain::Hit
    })
}

/// Everything that may change the item: T, N, R, and the first reader of a stale item. `earlier` is what this very
/// request saw of the item when it looked first.
fn leasing(
    cx: &mut Context<'_>,
    request: &Get<'_>,
    lookup: Lookup<'_>,
    read: Read,
    earlier: Option<Seen>,
    out: &mut BytesMut,
) -> Found {
    let at = cx.at;
    let touch = request.touch.map(|exptime| cx.expires(exptime));
    let vivify = request.vivify.map(|exptime| cx.expires(exptime));
    let recache = request.recache.and_then(|seconds| recache_before(cx, seconds));
    let before = out.len();
    let reply = &mut *out;
    let done = cx.store().update(lookup, at, read, b"", |item| {
        let Some(item) = item else {
            let Some(expires) = vivify else {
                return (Change::Keep, Leased::Miss);
            };
            let made = NewItem {
                expires: made_expiry(request.flags, touch, expires),
                cas: wanted_cas(request.cas_override),
                win_sent: true,
                fetched: !request.flags.has(b'u'),
                ..NewItem::new(b"")
            };
            return (Change::Put(made), Leased::Made);
        };
        let nearly_over = recache.is_some_and(|before| due(request.flags, item.expires, touch, before));
        let marks = Marks {
            won: !item.win_sent && (item.stale || nearly_over),
            stale: item.stale,
            win_sent: item.win_sent,
        };
        let mut seen = Seen::of(&item, at);
        if let Some(earlier) = earlier {
            (seen.fetched, seen.idle) = (earlier.fetched, earlier.idle);
        }
        hit(reply, request, &seen, Some(&item), marks, touch, at);
        // A read leaves its trace even where nothing else changes.
        let patch = Patch {
            expires: touch,
            win_sent: marks.won.then_some(true),
            fetched: (!request.flags.has(b'u')).then_some(true),
            stale: None,
            cas: CasPatch::Keep,
        };
        (Change::Patch(patch), Leased::Hit)
    });
    match done {
        Ok(done) => match done.result {
            Leased::Hit => Found::Hit {
                touched: touch.is_some(),
            },
            Leased::Miss => Found::Miss,
            Leased::Made => {
                // The item did not exist while its flags were read: expiry is told as N and T set it, in order.
                let seen = Seen {
                    client_flags: 0,
                    len: 0,
                    expires: None,
                    cas: done.cas,
                    fetched: false,
                    idle: 0,
                };
                let marks = Marks {
                    won: true,
                    stale: false,
                    win_sent: false,
                };
                let vivified = Vivified { vivify, touch };
                made(out, request, &seen, marks, vivified, at);
                Found::Hit {
                    touched: touch.is_some(),
                }
            }
        },
        Err(error) => {
            out.truncate(before);
            // memcached answers a miss when it cannot make the item; an error says more and wins nothing.
            Found::Error(cx.store_error(error))
        }
    }
}

enum Leased {
    Hit,
    Miss,
    Made,
}

/// Whether an item expires before that second, as seen where the R stands: a T before it has moved the expiry.
fn due(
    flags: Flags<'_>,
    mut expires: Option<Seconds>,
    touch: Option<Option<Seconds>>,
    before: Seconds,
) -> bool {
    for flag in flags.iter() {
        match flag.letter {
            b'T' => expires = touch.unwrap_or(expires),
            b'R' => return expires.is_some_and(|expires| expires < before),
            _ => {}
        }
    }
    false
}

/// The second before which an item is due for `R`; `None` when nothing can be.
fn recache_before(cx: &Context<'_>, seconds: i64) -> Option<Seconds> {
    match Exptime(seconds).expiry(cx.now) {
        Expiry::At(at) => Some(cx.store().seconds(at)),
        Expiry::Never | Expiry::Immediately => None,
    }
}

/// What an item says of itself at the end of a reply.
#[derive(Debug, Clone, Copy)]
struct Marks {
    won: bool,
    stale: bool,
    win_sent: bool,
}

/// The expiries of an item made on a miss.
#[derive(Clone, Copy)]
struct Vivified {
    vivify: Option<Option<Seconds>>,
    touch: Option<Option<Seconds>>,
}

fn hit(
    out: &mut BytesMut,
    request: &Get<'_>,
    seen: &Seen,
    item: Option<&Item<'_>>,
    marks: Marks,
    touch: Option<Option<Seconds>>,
    at: Seconds,
) {
    let with_value = request.flags.has(b'v') && request.cas_compare != Some(seen.cas);
    if with_value {
        out.reserve(seen.len + LINE_ROOM);
        encode::begin_value(out, seen.len);
    } else {
        encode::begin_reply(out, Code::Hd);
    }
    answers(out, request, seen, Vivified { vivify: None, touch }, at);
    end(out, marks);
    if with_value {
        if let Some(item) = item {
            item.value.copy_to(out);
        }
        encode::end(out);
    }
}

fn made(out: &mut BytesMut, request: &Get<'_>, seen: &Seen, marks: Marks, set: Vivified, at: Seconds) {
    let with_value = request.flags.has(b'v') && request.cas_compare != Some(seen.cas);
    if with_value {
        encode::begin_value(out, 0);
    } else {
        encode::begin_reply(out, Code::Hd);
    }
    answers(out, request, seen, set, at);
    end(out, marks);
    if with_value {
        encode::end(out);
    }
}

/// Room for a reply line: the flags of one request line and numbers for each.
const LINE_ROOM: usize = 512;

fn answers(out: &mut BytesMut, request: &Get<'_>, seen: &Seen, set: Vivified, at: Seconds) {
    let mut expires = seen.expires;
    for flag in request.flags.iter() {
        match flag.letter {
            b'T' => expires = set.touch.unwrap_or(expires),
            b'N' => expires = set.vivify.unwrap_or(expires),
            b's' => encode::flag_number(out, b's', seen.len as u64),
            b't' => encode::flag_signed(out, b't', seconds_left(expires, at)),
            b'c' => encode::flag_number(out, b'c', seen.cas),
            b'f' => encode::flag_number(out, b'f', u64::from(seen.client_flags)),
            b'l' => encode::flag_number(out, b'l', u64::from(seen.idle)),
            b'h' => encode::flag_number(out, b'h', u64::from(seen.fetched)),
            b'O' => encode::flag_bytes(out, b'O', flag.arg),
            b'k' => encode::flag_key(out, request.key),
            _ => {}
        }
    }
}

fn end(out: &mut BytesMut, marks: Marks) {
    if marks.win_sent {
        encode::flag(out, b'Z');
    }
    if marks.stale {
        encode::flag(out, b'X');
    }
    if marks.won {
        encode::flag(out, b'W');
    }
    encode::end(out);
}
