//! What each command means: a request, the store and the time in; changes and reply bytes out.
//! Must not know sockets, tasks or clocks; `Context` carries all it may ask.

mod admin;
mod arith;
mod classic;
mod gets;
mod meta;
pub(crate) mod observed;

use bytes::BytesMut;
use protocol::encode::response as reply;
use protocol::{Expiry, Exptime, Request, UnixSeconds};
use rand::Rng;
use rand::rngs::SmallRng;

pub(crate) use classic::forget;
pub(crate) use gets::{Gat, GetBatch, Retrieved, gat, single};

use crate::counters::Counters;
use crate::feed::Order;
use crate::node::Node;
use crate::store::{Seconds, Store, StoreError};

/// Where and when requests are executed: one per batch of one connection.
pub(crate) struct Context<'n> {
    /// The node they are for.
    pub(crate) node: &'n Node,
    /// The counters of the worker that serves them.
    pub(crate) counters: &'n Counters,
    /// The time, read once per batch.
    pub(crate) now: UnixSeconds,
    /// The same time as the store counts it.
    pub(crate) at: Seconds,
    /// What people know the client by.
    pub(crate) client: i32,
    /// Where the draws of TTL jitter come from.
    pub(crate) rng: &'n mut SmallRng,
}

/// What becomes of the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The next request, please.
    Continue,
    /// Send what is queued, then close.
    Close,
    /// Send what is queued, close, and stop the whole node.
    Shutdown,
    /// Go on with a reply that takes its time.
    Feed(Order),
}

/// Executes any request but a plain retrieval, which goes through [`GetBatch`].
#[inline]
pub(crate) fn run(cx: &mut Context<'_>, request: &Request<'_>, out: &mut BytesMut) -> Outcome {
    let before = out.len();
    let outcome = answer(cx, request, out);
    if request.noreply() {
        out.truncate(before);
    }
    outcome
}

/// The same, answering also those who want no reply.
#[inline]
pub(crate) fn answer(cx: &mut Context<'_>, request: &Request<'_>, out: &mut BytesMut) -> Outcome {
    match request {
        // Whoever calls us batches these; one by one is just as right.
        Request::Get(get) => gets::one_by_one(cx, get, out),
        Request::Store(store) => classic::store(cx, store, out),
        Request::Delete(delete) => classic::delete(cx, delete, out),
        Request::Arith(arith) => classic::arith(cx, arith, out),
        Request::Touch(touch) => classic::touch(cx, touch, out),
        Request::MetaGet(get) => meta::get(cx, get, out),
        Request::MetaSet(set) => meta::set(cx, set, out),
        Request::MetaDelete(delete) => meta::delete(cx, delete, out),
        Request::MetaArith(arith) => meta::arith(cx, arith, out),
        Request::MetaNoop => out.extend_from_slice(b"MN\r\n"),
        Request::MetaDebug(debug) => meta::debug(cx, debug, out),
        Request::FlushAll(flush) => admin::flush_all(cx, flush, out),
        Request::Version => reply::version(out, cx.node.config.version.as_bytes()),
        Request::Verbosity(verbosity) => admin::verbosity(cx, verbosity, out),
        Request::Stats(args) => return admin::stats(cx, args, out),
        Request::Quit => return Outcome::Close,
        Request::Admin(command) => return admin::run(cx, command, out),
    }
    Outcome::Continue
}

impl Context<'_> {
    #[inline]
    fn store(&self) -> &Store {
        &self.node.store
    }

    /// Reads an exptime the way the store keeps it, jitter included; a second not after now means at once.
    #[inline]
    fn expires(&mut self, exptime: Exptime) -> Option<Seconds> {
        let jitter = self.node.config.ttl_jitter;
        // Only a relative time can move: do not spend a draw on the others.
        let draw = if exptime.0 > 0 && jitter.permille > 0 {
            self.rng.next_u32()
        } else {
            0
        };
        let moved = jitter.apply(exptime, draw);
        if moved != exptime {
            self.counters.ttls_moved.add(1);
            self.counters.ttl_moved_seconds.add(moved.0.abs_diff(exptime.0));
        }
        match moved.expiry(self.now) {
            Expiry::Never => None,
            Expiry::Immediately => Some(self.at),
            Expiry::At(at) => Some(self.node.store.seconds(at)),
        }
    }

    /// Counts why nothing was stored and gives the line that says so.
    fn store_error(&self, error: StoreError) -> &'static [u8] {
        match error {
            StoreError::TooLarge => {
                self.counters.store_too_large.add(1);
                reply::VALUE_TOO_LARGE
            }
            StoreError::OutOfMemory => {
                self.counters.store_no_memory.add(1);
                reply::OUT_OF_MEMORY_STORING
            }
        }
    }
}

#[cfg(test)]
mod tests;
