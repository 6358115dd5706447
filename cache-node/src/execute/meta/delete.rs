//! `md`: delete, mark stale, or empty.

use bytes::BytesMut;
use protocol::encode::response as reply;
use protocol::meta::{Code, Delete, KeyScratch};

use super::{plain_reply, wanted_cas};
use crate::execute::Context;
use crate::store::{CasPatch, Change, NewItem, Patch, Read, Seconds};

pub(crate) fn delete(cx: &mut Context<'_>, request: &Delete<'_>, out: &mut BytesMut) {
    let mut scratch = KeyScratch::new();
    let key = request.key.decode(&mut scratch);
    let expires = request.exptime.map(|exptime| cx.expires(exptime));
    let lookup = cx.store().lookup(key.as_bytes());
    let done = cx.store().update(lookup, cx.at, Read::Peek, b"", |item| {
        let Some(item) = item else {
            return (Change::Keep, Code::Nf);
        };
        if request.cas_compare.is_some_and(|unique| unique != item.cas()) {
            return (Change::Keep, Code::Ex);
        }
        (change(request, expires, item.cas()), Code::Hd)
    });
    let code = match done {
        Ok(done) => done.result,
        Err(error) => {
            cx.store_error(error);
            out.extend_from_slice(reply::OUT_OF_MEMORY);
            return;
        }
    };
    match code {
        Code::Hd if request.invalidate => {}
        Code::Hd => cx.counters.delete_hits.add(1),
        _refused => cx.counters.delete_misses.add(1),
    }
    if code == Code::Hd && request.flags.quiet() {
        return;
    }
    plain_reply(out, code, request.key, request.flags);
}

fn change(request: &Delete<'_>, expires: Option<Option<Seconds>>, old_cas: u64) -> Change<'static> {
    if request.remove_value {
        // An emptied item keeps its cas unique, unless it is marked stale as well or given another.
        let kept = (!request.invalidate).then_some(old_cas);
        return Change::Put(NewItem {
            flags: request.client_flags.unwrap_or(0),
            expires: expires.unwrap_or(None),
            cas: wanted_cas(request.cas_override).or(kept),
            stale: request.invalidate,
            ..NewItem::new(b"")
        });
    }
    if request.invalidate {
        // The next reader may win again.
        return Change::Patch(Patch {
            expires,
            stale: Some(true),
            win_sent: Some(false),
            fetched: None,
            cas: wanted_cas(request.cas_override).map_or(CasPatch::New, CasPatch::Set),
        });
    }
    Change::Delete
}
