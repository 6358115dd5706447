//! `ma`: add to a number, perhaps making it.

use bytes::BytesMut;
use protocol::ArithVerb;
use protocol::encode::meta as encode;
use protocol::encode::response as reply;
use protocol::meta::{Arith, ArithMode, Code, KeyScratch};

use super::{made_expiry, plain_reply, read_mode, seconds_left, wanted_cas};
use crate::execute::Context;
use crate::execute::arith::{apply, number};
use crate::execute::classic::{count_arith, counted};
use crate::store::{Change, NewItem, Seconds};

pub(crate) fn arith(cx: &mut Context<'_>, request: &Arith<'_>, out: &mut BytesMut) {
    let verb = match request.mode {
        ArithMode::Incr => ArithVerb::Incr,
        ArithMode::Decr => ArithVerb::Decr,
    };
    let mut scratch = KeyScratch::new();
    let key = request.key.decode(&mut scratch);
    let touch = request.exptime.map(|exptime| cx.expires(exptime));
    let vivify = request.vivify.map(|exptime| cx.expires(exptime));
    let read = read_mode(request.flags.has(b'c'), false);
    let lookup = cx.store().lookup(key.as_bytes());
    let mut digits = itoa::Buffer::new();
    let text = &mut digits;
    let done = cx.store().update(lookup, cx.at, read, b"", move |item| {
        let Some(item) = item else {
            let Some(expires) = vivify else {
                return (Change::Keep, Sum::NotFound);
            };
            let made = NewItem {
                expires: made_expiry(request.flags, touch, expires),
                cas: wanted_cas(request.cas_override),
                ..NewItem::new(text.format(request.initial).as_bytes())
            };
            return (Change::Put(made), Sum::Made);
        };
        // memcached's order: no text at all, another cas unique, text that is no number.
        let Some(text_now) = item.value.as_slice().filter(|value| !value.is_empty()) else {
            return (Change::Keep, Sum::NonNumeric);
        };
        if request
            .cas_compare
            .is_some_and(|unique| unique != 0 && unique != item.cas())
        {
            return (Change::Keep, Sum::Exists);
        }
        let Some(old) = number(text_now) else {
            return (Change::Keep, Sum::NonNumeric);
        };
        let new = apply(verb, old, request.delta);
        let change = match counted(&item, text.format(new).as_bytes()) {
            Change::Put(sum) => Change::Put(NewItem {
                expires: touch.unwrap_or(item.expires),
                cas: wanted_cas(request.cas_override),
                ..sum
            }),
            other => other,
        };
        (
            change,
            Sum::Changed {
                number: new,
                old_expires: item.expires,
            },
        )
    });
    let (sum, cas) = match done {
        Ok(done) => (done.result, done.cas),
        Err(error) => {
            cx.store_error(error);
            out.extend_from_slice(reply::OUT_OF_MEMORY);
            return;
        }
    };
    let (number, expires) = match sum {
        Sum::Changed { number, old_expires } => {
            count_arith(cx, verb, true);
            (number, old_expires)
        }
        Sum::Made => (request.initial, None),
        Sum::NotFound => {
            count_arith(cx, verb, false);
            return plain_reply(out, Code::Nf, request.key, request.flags);
        }
        Sum::Exists => return plain_reply(out, Code::Ex, request.key, request.flags),
        Sum::NonNumeric => return out.extend_from_slice(reply::NON_NUMERIC),
    };
    if request.flags.quiet() {
        return;
    }
    let made_expires = vivify.filter(|_| matches!(sum, Sum::Made));
    answer(
        cx,
        request,
        Told {
            number,
            cas,
            expires,
            touch,
            made_expires,
        },
        out,
    );
}

/// What adding came to.
#[derive(Debug, Clone, Copy)]
enum Sum {
    Changed {
        number: u64,
        old_expires: Option<Seconds>,
    },
    Made,
    NotFound,
    Exists,
    NonNumeric,
}

/// What the reply may say.
struct Told {
    number: u64,
    cas: u64,
    /// Before T and N.
    expires: Option<Seconds>,
    touch: Option<Option<Seconds>>,
    made_expires: Option<Option<Seconds>>,
}

fn answer(cx: &Context<'_>, request: &Arith<'_>, told: Told, out: &mut BytesMut) {
    let mut digits = itoa::Buffer::new();
    let text = digits.format(told.number).as_bytes();
    let with_value = request.flags.has(b'v');
    if with_value {
        encode::begin_value(out, text.len());
    } else {
        encode::begin_reply(out, Code::Hd);
    }
    let mut expires = told.expires;
    for flag in request.flags.iter() {
        match flag.letter {
            b'T' => expires = told.touch.unwrap_or(expires),
            b'N' => expires = told.made_expires.unwrap_or(expires),
            b't' => encode::flag_signed(out, b't', seconds_left(expires, cx.at)),
            b'c' => encode::flag_number(out, b'c', told.cas),
            b'O' => encode::flag_bytes(out, b'O', flag.arg),
            b'k' => encode::flag_key(out, request.key),
            _ => {}
        }
    }
    if with_value {
        encode::end_with_data(out, text);
    } else {
        encode::end(out);
    }
}
