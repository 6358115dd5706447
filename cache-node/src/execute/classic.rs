//! The classic commands that change one item (protocol.txt, "Storage commands" to "Touch").

use bytes::BytesMut;
use protocol::encode::response as reply;
use protocol::{Arith, ArithVerb, Delete, Store, StoreVerb, Touch};

use super::gets::touched;
use super::{Context, arith};
use crate::store::{Body, Change, End, Item, NewItem, Read, Seconds, StoreError};

/// `set add replace append prepend cas`.
pub(super) fn store(cx: &mut Context<'_>, request: &Store<'_>, out: &mut BytesMut) {
    let expires = cx.expires(request.exptime);
    // `add` that finds an item has not read it.
    let read = if request.verb == StoreVerb::Add {
        Read::Peek
    } else {
        Read::Plain
    };
    let lookup = cx.store().lookup(request.key.as_bytes());
    let done = if request.verb == StoreVerb::Set {
        // Most of all writes: whatever is there need not be looked at.
        cx.store().update(lookup, cx.at, read, request.data, |_item| {
            (whole(request, expires), Verdict::Stored)
        })
    } else {
        let decide = |item: Option<Item<'_>>| decide(request, expires, item.as_ref());
        match request.verb {
            StoreVerb::Append => cx
                .store()
                .extend(lookup, cx.at, read, request.data, End::Back, decide),
            StoreVerb::Prepend => cx
                .store()
                .extend(lookup, cx.at, read, request.data, End::Front, decide),
            _whole => cx.store().update(lookup, cx.at, read, request.data, decide),
        }
    };
    let stored = match done {
        Ok(done) => done.result,
        // An append that outgrows the limit leaves the item as it is (memcached, do_store_item).
        Err(StoreError::TooLarge) if matches!(request.verb, StoreVerb::Append | StoreVerb::Prepend) => {
            cx.counters.cmd_set.add(1);
            Verdict::NotStored
        }
        Err(error) => {
            // A set that failed must not leave the older value behind to be read as the newer one.
            if request.verb == StoreVerb::Set {
                forget(cx, request.key.as_bytes());
            }
            out.extend_from_slice(cx.store_error(error));
            return;
        }
    };
    cx.counters.cmd_set.add(1);
    if let StoreVerb::Cas(_) = request.verb {
        let counter = match stored {
            Verdict::Stored | Verdict::NotStored => &cx.counters.cas_hits,
            Verdict::Exists => &cx.counters.cas_badval,
            Verdict::NotFound => &cx.counters.cas_misses,
        };
        counter.add(1);
    }
    out.extend_from_slice(match stored {
        Verdict::Stored => reply::STORED,
        Verdict::NotStored => reply::NOT_STORED,
        Verdict::Exists => reply::EXISTS,
        Verdict::NotFound => reply::NOT_FOUND,
    });
}

/// What a storage command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stored,
    NotStored,
    Exists,
    NotFound,
}

fn decide<'a>(
    request: &Store<'a>,
    expires: Option<Seconds>,
    item: Option<&Item<'_>>,
) -> (Change<'a>, Verdict) {
    match (request.verb, item) {
        (StoreVerb::Set, _) | (StoreVerb::Add, None) | (StoreVerb::Replace, Some(_)) => {
            (whole(request, expires), Verdict::Stored)
        }
        (StoreVerb::Add, Some(_)) | (StoreVerb::Replace | StoreVerb::Append | StoreVerb::Prepend, None) => {
            (Change::Keep, Verdict::NotStored)
        }
        (StoreVerb::Append, Some(item)) => (extended(item, Body::Append(request.data)), Verdict::Stored),
        (StoreVerb::Prepend, Some(item)) => (extended(item, Body::Prepend(request.data)), Verdict::Stored),
        (StoreVerb::Cas(_), None) => (Change::Keep, Verdict::NotFound),
        (StoreVerb::Cas(unique), Some(item)) if unique == item.cas() => {
            (whole(request, expires), Verdict::Stored)
        }
        (StoreVerb::Cas(_), Some(_)) => (Change::Keep, Verdict::Exists),
    }
}

/// The item that the request brings.
fn whole<'a>(request: &Store<'a>, expires: Option<Seconds>) -> Change<'a> {
    Change::Put(NewItem {
        flags: request.flags,
        expires,
        ..NewItem::new(request.data)
    })
}

/// The item with more value: flags and expiry stay, marks go.
pub(super) fn extended<'a>(item: &Item<'_>, body: Body<'a>) -> Change<'a> {
    Change::Put(NewItem {
        flags: item.flags,
        expires: item.expires,
        body,
        ..NewItem::new(b"")
    })
}

/// Deletes an item whose replacement could not be stored.
pub(crate) fn forget(cx: &Context<'_>, key: &[u8]) {
    let lookup = cx.store().lookup(key);
    // Deleting needs no memory, so there is no error to tell.
    let _deleted = cx
        .store()
        .update(lookup, cx.at, Read::Peek, b"", |_item| (Change::Delete, ()));
}

pub(super) fn delete(cx: &mut Context<'_>, request: &Delete<'_>, out: &mut BytesMut) {
    let lookup = cx.store().lookup(request.key.as_bytes());
    let done = cx
        .store()
        .update(lookup, cx.at, Read::Peek, b"", |item| match item {
            Some(_) => (Change::Delete, true),
            None => (Change::Keep, false),
        });
    if done.is_ok_and(|done| done.result) {
        cx.counters.delete_hits.add(1);
        out.extend_from_slice(reply::DELETED);
    } else {
        cx.counters.delete_misses.add(1);
        out.extend_from_slice(reply::NOT_FOUND);
    }
}

pub(super) fn touch(cx: &mut Context<'_>, request: &Touch<'_>, out: &mut BytesMut) {
    let expires = cx.expires(request.exptime);
    let lookup = cx.store().lookup(request.key.as_bytes());
    let done = cx
        .store()
        .update(lookup, cx.at, Read::Plain, b"", |item| match item {
            Some(_) => (touched(expires), true),
            None => (Change::Keep, false),
        });
    cx.counters.cmd_touch.add(1);
    match done {
        Ok(done) if done.result => {
            cx.counters.touch_hits.add(1);
            out.extend_from_slice(reply::TOUCHED);
        }
        Ok(_missed) => {
            cx.counters.touch_misses.add(1);
            out.extend_from_slice(reply::NOT_FOUND);
        }
        Err(error) => out.extend_from_slice(cx.store_error(error)),
    }
}

/// `incr decr`: the item keeps its flags, expiry and marks.
pub(super) fn arith(cx: &mut Context<'_>, request: &Arith<'_>, out: &mut BytesMut) {
    let lookup = cx.store().lookup(request.key.as_bytes());
    let mut digits = itoa::Buffer::new();
    let text = &mut digits;
    let done = cx.store().update(lookup, cx.at, Read::Plain, b"", move |item| {
        let Some(item) = item else {
            return (Change::Keep, Sum::NotFound);
        };
        let Some(number) = item.value.as_slice().and_then(arith::number) else {
            return (Change::Keep, Sum::NonNumeric);
        };
        let number = arith::apply(request.verb, number, request.delta);
        (
            counted(&item, text.format(number).as_bytes()),
            Sum::Number(number),
        )
    });
    match done.map(|done| done.result) {
        Ok(Sum::Number(number)) => {
            count_arith(cx, request.verb, true);
            reply::number(out, number);
        }
        Ok(Sum::NotFound) => {
            count_arith(cx, request.verb, false);
            out.extend_from_slice(reply::NOT_FOUND);
        }
        Ok(Sum::NonNumeric) => out.extend_from_slice(reply::NON_NUMERIC),
        Err(error) => {
            cx.store_error(error);
            out.extend_from_slice(reply::OUT_OF_MEMORY);
        }
    }
}

/// What adding to a value came to.
enum Sum {
    Number(u64),
    NotFound,
    NonNumeric,
}

/// The item with another number in it.
pub(super) fn counted<'a>(item: &Item<'_>, text: &'a [u8]) -> Change<'a> {
    Change::Put(NewItem {
        flags: item.flags,
        expires: item.expires,
        stale: item.stale,
        win_sent: item.win_sent,
        fetched: item.fetched,
        ..NewItem::new(text)
    })
}

pub(super) fn count_arith(cx: &Context<'_>, verb: ArithVerb, hit: bool) {
    let counters = cx.counters;
    let counter = match (verb, hit) {
        (ArithVerb::Incr, true) => &counters.incr_hits,
        (ArithVerb::Incr, false) => &counters.incr_misses,
        (ArithVerb::Decr, true) => &counters.decr_hits,
        (ArithVerb::Decr, false) => &counters.decr_misses,
    };
    counter.add(1);
}
