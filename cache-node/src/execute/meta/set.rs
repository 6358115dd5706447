//! `ms`: store, under a mode and perhaps a cas unique.

use bytes::BytesMut;
use protocol::encode::meta as encode;
use protocol::meta::{Code, KeyScratch, Set, SetMode};

use super::{read_mode, wanted_cas};
use crate::execute::Context;
use crate::execute::classic::{extended, forget};
use crate::store::{Body, Change, End, Item, NewItem, Seconds, StoreError};

pub(crate) fn set(cx: &mut Context<'_>, request: &Set<'_>, out: &mut BytesMut) {
    let mut scratch = KeyScratch::new();
    let key = request.key.decode(&mut scratch);
    let extends = matches!(request.mode, SetMode::Append | SetMode::Prepend);
    // Append and prepend make an item only with N, and then with N's expiry.
    let exptime = request.vivify.filter(|_| extends).unwrap_or(request.exptime);
    let expires = cx.expires(exptime);
    let read = match request.mode {
        SetMode::Add => read_mode(request.flags.has(b'c'), true),
        _other => read_mode(request.flags.has(b'c'), false),
    };
    let lookup = cx.store().lookup(key.as_bytes());
    let decide = |item: Option<Item<'_>>| decide(request, expires, item.as_ref());
    let done = match request.mode {
        SetMode::Append => cx
            .store()
            .extend(lookup, cx.at, read, request.data, End::Back, decide),
        SetMode::Prepend => cx
            .store()
            .extend(lookup, cx.at, read, request.data, End::Front, decide),
        _whole => cx.store().update(lookup, cx.at, read, request.data, decide),
    };
    let (stored, cas) = match done {
        Ok(done) => (done.result, done.cas),
        Err(StoreError::TooLarge) if extends => (Verdict::NotStored, 0),
        Err(error) => {
            // A value that could not replace the older one must not leave it behind to be read as the newer.
            forget(cx, key.as_bytes());
            out.extend_from_slice(cx.store_error(error));
            return;
        }
    };
    count(cx, request, stored);
    if stored.code() == Code::Hd && request.flags.quiet() {
        return;
    }
    encode::begin_reply(out, stored.code());
    for flag in request.flags.iter() {
        match flag.letter {
            b'O' => encode::flag_bytes(out, b'O', flag.arg),
            b'k' => encode::flag_key(out, request.key),
            b'c' => encode::flag_number(out, b'c', if stored.code() == Code::Hd { cas } else { 0 }),
            b's' => encode::flag_number(out, b's', stored.len(request) as u64),
            _ => {}
        }
    }
    encode::end(out);
}

/// What an `ms` came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The value as sent.
    Whole,
    /// The value added to an older one; together so many bytes.
    Extended {
        len: usize,
    },
    NotStored,
    Exists,
    NotFound,
}

impl Verdict {
    fn code(self) -> Code {
        match self {
            Self::Whole | Self::Extended { .. } => Code::Hd,
            Self::NotStored => Code::Ns,
            Self::Exists => Code::Ex,
            Self::NotFound => Code::Nf,
        }
    }

    fn len(self, request: &Set<'_>) -> usize {
        match self {
            Self::Extended { len } => len,
            Self::Whole | Self::NotStored | Self::Exists | Self::NotFound => request.data.len(),
        }
    }
}

fn decide<'a>(request: &Set<'a>, expires: Option<Seconds>, item: Option<&Item<'_>>) -> (Change<'a>, Verdict) {
    let whole = NewItem {
        flags: request.client_flags,
        expires,
        cas: wanted_cas(request.cas_override),
        ..NewItem::new(request.data)
    };
    match (request.mode, item) {
        (SetMode::Add, None) => (Change::Put(whole), Verdict::Whole),
        (SetMode::Add, Some(_)) => (Change::Keep, Verdict::NotStored),
        (SetMode::Set | SetMode::Replace, item) => match (request.cas_compare, item) {
            (Some(_), None) => (Change::Keep, Verdict::NotFound),
            (Some(unique), Some(item)) => with_cas(request, unique, item, whole),
            (None, None) if request.mode == SetMode::Replace => (Change::Keep, Verdict::NotStored),
            (None, _) => (Change::Put(whole), Verdict::Whole),
        },
        (SetMode::Append | SetMode::Prepend, None) => match request.vivify {
            Some(_) => (Change::Put(whole), Verdict::Whole),
            None => (Change::Keep, Verdict::NotStored),
        },
        (SetMode::Append | SetMode::Prepend, Some(item)) => extend(request, item),
    }
}

fn with_cas<'a>(
    request: &Set<'a>,
    unique: u64,
    item: &Item<'_>,
    whole: NewItem<'a>,
) -> (Change<'a>, Verdict) {
    if unique == 0 {
        return (Change::Keep, Verdict::Exists);
    }
    if unique == item.cas() {
        return (Change::Put(whole), Verdict::Whole);
    }
    if request.invalidate && unique < item.cas() {
        // Late, yet better than what is there: it goes in under the old expiry and stays marked stale.
        let stale = NewItem {
            expires: item.expires,
            stale: true,
            win_sent: item.win_sent,
            ..whole
        };
        return (Change::Put(stale), Verdict::Whole);
    }
    (Change::Keep, Verdict::Exists)
}

fn extend<'a>(request: &Set<'a>, item: &Item<'_>) -> (Change<'a>, Verdict) {
    let compared = request.cas_compare.filter(|unique| *unique != 0);
    if compared.is_some_and(|unique| unique != item.cas()) {
        return (Change::Keep, Verdict::Exists);
    }
    let body = match request.mode {
        SetMode::Prepend => Body::Prepend(request.data),
        SetMode::Append | SetMode::Set | SetMode::Add | SetMode::Replace => Body::Append(request.data),
    };
    let len = item.value.len() + request.data.len();
    let change = match extended(item, body) {
        Change::Put(longer) => Change::Put(NewItem {
            cas: wanted_cas(request.cas_override),
            ..longer
        }),
        other => other,
    };
    (change, Verdict::Extended { len })
}

fn count(cx: &Context<'_>, request: &Set<'_>, stored: Verdict) {
    cx.counters.cmd_set.add(1);
    if request.cas_compare.is_some() && matches!(request.mode, SetMode::Set | SetMode::Replace) {
        let counter = match stored {
            Verdict::Whole | Verdict::Extended { .. } | Verdict::NotStored => &cx.counters.cas_hits,
            Verdict::Exists => &cx.counters.cas_badval,
            Verdict::NotFound => &cx.counters.cas_misses,
        };
        counter.add(1);
    }
}
