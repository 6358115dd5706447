//! Retrieval: consecutive gets of one connection looked up together, each value copied once, from the store into
//! the reply buffer. A batch stops when the buffer is full and says how far it came.

use arrayvec::ArrayVec;
use bytes::BytesMut;
use protocol::encode::{CRLF, response as reply};
use protocol::{Exptime, Get, Key, Keys};

use super::Context;
use crate::store::{CasPatch, Change, Item, Lookup, Patch, Read, Seconds, Visit};

/// Keys looked up at once: enough to overlap their cache misses, few enough for the stack.
const BATCH_KEYS: usize = 64;

/// How far a retrieval came before its replies filled the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retrieved {
    /// All of it.
    All,
    /// Everything before the request that ends at or after `consumed`, and the first `keys` keys of that request.
    Part { consumed: usize, keys: usize },
}

/// Gets gathered from one buffer, in order, not yet looked up; all of them with cas uniques or all without.
pub(crate) struct GetBatch<'a> {
    lookups: ArrayVec<Lookup<'a>, BATCH_KEYS>,
    /// The requests whose last keys are among `lookups`.
    ends: ArrayVec<RequestEnd, BATCH_KEYS>,
    /// How many keys of the first request were answered before this batch.
    skipped: usize,
    with_cas: bool,
    /// Where in the input the last whole request that was answered ends.
    answered: usize,
}

/// Where a request ends.
#[derive(Clone, Copy)]
struct RequestEnd {
    /// Behind so many keys of the batch.
    keys: usize,
    /// Behind so many bytes of the input.
    input: usize,
}

impl<'a> GetBatch<'a> {
    /// An empty batch; everything before `answered` of the input is answered.
    pub(crate) fn new(with_cas: bool, answered: usize) -> Self {
        Self {
            lookups: ArrayVec::new(),
            ends: ArrayVec::new(),
            skipped: 0,
            with_cas,
            answered,
        }
    }

    /// Takes the keys of a retrieval, of which the first `skip` are answered already and whose wire bytes end at
    /// `end` of the input. Looks up what is gathered whenever the batch is full.
    pub(crate) fn push(
        &mut self,
        cx: &Context<'_>,
        keys: Keys<'a>,
        skip: usize,
        end: usize,
        out: &mut BytesMut,
        limit: usize,
    ) -> Retrieved {
        if keys.len() == 1 && self.lookups.len() < BATCH_KEYS {
            // The parser has found its ends already.
            self.lookups.push(cx.store().lookup(keys.first().as_bytes()));
            self.ends.push(RequestEnd {
                keys: self.lookups.len(),
                input: end,
            });
            return Retrieved::All;
        }
        if skip > 0 {
            self.skipped = skip;
        }
        let mut keys = keys.iter();
        if let Some(last) = skip.checked_sub(1) {
            keys.nth(last);
        }
        for key in keys {
            if self.lookups.len() == BATCH_KEYS
                && let part @ Retrieved::Part { .. } = self.flush(cx, out, limit)
            {
                return part;
            }
            self.lookups.push(cx.store().lookup(key.as_bytes()));
        }
        self.ends.push(RequestEnd {
            keys: self.lookups.len(),
            input: end,
        });
        Retrieved::All
    }

    /// Answers everything gathered, unless `out` grows beyond `limit` bytes first.
    pub(crate) fn flush(&mut self, cx: &Context<'_>, out: &mut BytesMut, limit: usize) -> Retrieved {
        let read = if self.with_cas { Read::WithCas } else { Read::Plain };
        let mut replies = Replies {
            out,
            limit,
            lookups: &self.lookups,
            ends: &self.ends,
            with_cas: self.with_cas,
            answered: self.answered,
            request_start: 0,
            hits: 0,
            stopped: None,
        };
        cx.store().get_many(&self.lookups, cx.at, read, &mut replies);
        let Replies {
            answered,
            request_start,
            hits,
            stopped,
            ..
        } = replies;
        let done = stopped.unwrap_or(self.lookups.len());
        count_gets(cx, done, hits);
        // Keys of the request under way: those skipped belong to the first request of the batch only.
        let skipped = if request_start == 0 { self.skipped } else { 0 };
        let keys = skipped + done - request_start;
        self.answered = answered;
        self.skipped = keys;
        self.lookups.clear();
        self.ends.clear();
        stopped.map_or(Retrieved::All, |_index| Retrieved::Part {
            consumed: answered,
            keys,
        })
    }
}

/// The replies to a batch, written while it is looked up.
struct Replies<'b, 'k> {
    out: &'b mut BytesMut,
    limit: usize,
    lookups: &'b [Lookup<'k>],
    /// The requests not yet ended.
    ends: &'b [RequestEnd],
    with_cas: bool,
    /// Where in the input the last request that was ended ends.
    answered: usize,
    /// The first key of the request under way.
    request_start: usize,
    hits: u64,
    /// The first key that was not answered, for want of room.
    stopped: Option<usize>,
}

impl Visit for Replies<'_, '_> {
    #[inline(always)]
    fn visit(&mut self, index: usize, item: Option<Item<'_>>) {
        if self.stopped.is_some() {
            return;
        }
        if self.out.len() > self.limit {
            self.stopped = Some(index);
            return;
        }
        if let Some(item) = item {
            self.hits += 1;
            value(self.out, self.lookups[index].key, &item, self.with_cas);
        }
        if let [done, ends @ ..] = self.ends
            && done.keys == index + 1
        {
            self.out.extend_from_slice(reply::END);
            self.answered = done.input;
            self.request_start = index + 1;
            self.ends = ends;
        }
    }
}

/// One key, asked for alone: the whole of a pipeline of one.
#[inline]
pub(crate) fn single(cx: &Context<'_>, key: Key<'_>, with_cas: bool, out: &mut BytesMut) {
    let lookup = cx.store().lookup(key.as_bytes());
    let read = if with_cas { Read::WithCas } else { Read::Plain };
    let hit = cx.store().get(lookup, cx.at, read, |item| {
        let Some(item) = item else { return false };
        value(out, key.as_bytes(), &item, with_cas);
        true
    });
    out.extend_from_slice(reply::END);
    count_gets(cx, 1, u64::from(hit));
}

fn count_gets(cx: &Context<'_>, keys: usize, hits: u64) {
    let keys = keys as u64;
    cx.counters.cmd_get.add(keys);
    cx.counters.get_hits.add(hits);
    cx.counters.get_misses.add(keys - hits);
}

/// `gat` and `gats`: every hit gets the expiry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gat<'a> {
    pub(crate) exptime: Exptime,
    pub(crate) keys: Keys<'a>,
    pub(crate) with_cas: bool,
}

/// Executes a [`Gat`], starting after `skip` keys; says which key is next if `out` grows beyond `limit` bytes first.
pub(crate) fn gat(
    cx: &mut Context<'_>,
    request: Gat<'_>,
    skip: usize,
    out: &mut BytesMut,
    limit: usize,
) -> Option<usize> {
    for (number, key) in request.keys.iter().enumerate().skip(skip) {
        if out.len() > limit {
            return Some(number);
        }
        touch_and_tell(cx, key, request.exptime, request.with_cas, out);
    }
    out.extend_from_slice(reply::END);
    None
}

fn touch_and_tell(cx: &mut Context<'_>, key: Key<'_>, exptime: Exptime, with_cas: bool, out: &mut BytesMut) {
    let expires = cx.expires(exptime);
    let lookup = cx.store().lookup(key.as_bytes());
    let before = out.len();
    let read = if with_cas { Read::WithCas } else { Read::Plain };
    let done = cx.store().update(lookup, cx.at, read, b"", |item| {
        let Some(item) = item else {
            return (Change::Keep, false);
        };
        value(out, key.as_bytes(), &item, with_cas);
        (touched(expires), true)
    });
    let hit = match done {
        Ok(done) => done.result,
        // The new expiry could not be written down; better a miss than an item that outlives what was asked.
        Err(_full) => {
            out.truncate(before);
            false
        }
    };
    cx.counters.cmd_touch.add(1);
    let counter = if hit {
        &cx.counters.touch_hits
    } else {
        &cx.counters.touch_misses
    };
    counter.add(1);
}

/// A new expiry and the mark of having been read; the cas unique stays.
pub(super) fn touched(expires: Option<Seconds>) -> Change<'static> {
    Change::Patch(Patch {
        expires: Some(expires),
        fetched: Some(true),
        cas: CasPatch::Keep,
        ..Patch::default()
    })
}

/// A retrieval executed key by key, whatever its size.
pub(super) fn one_by_one(cx: &mut Context<'_>, get: &Get<'_>, out: &mut BytesMut) {
    if let Some(exptime) = get.touch {
        gat(
            cx,
            Gat {
                exptime,
                keys: get.keys,
                with_cas: get.with_cas,
            },
            0,
            out,
            usize::MAX,
        );
        return;
    }
    let mut batch = GetBatch::new(get.with_cas, 0);
    batch.push(cx, get.keys, 0, 0, out, usize::MAX);
    batch.flush(cx, out, usize::MAX);
}

#[inline(always)]
fn value(out: &mut BytesMut, key: &[u8], item: &Item<'_>, with_cas: bool) {
    let cas = with_cas.then(|| item.cas());
    reply::value_header(out, key, item.flags, item.value.len(), cas);
    item.value.copy_to(out);
    out.extend_from_slice(CRLF);
}
