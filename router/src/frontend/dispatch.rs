//! From a client's bytes to servers: each request is decoded in place, routed, and written straight into its server's
//! send buffer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use protocol::encode::CRLF;
use protocol::meta::KeyScratch;
use protocol::{Delete, Get, Key, ProtocolError, Request, Step};

use super::{Client, Retry, fleet, local, multiget, questions};
use crate::args::FlushPolicy;
use crate::flow::{Caller, Flow};
use crate::reply::{Kind, Reply, nothing};
use crate::request::{Expect, Op, OwnedRequest, Routing, Single};
use crate::route::{Answer, Routed};
use crate::upstream::ReplyTo;
use crate::worker::Core;
use crate::worker::arena::Id;

/// What became of a client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumed {
    /// So many are done with; at least so many more are needed for the next request.
    Waiting { used: usize, additional: usize },
    /// So many are done with; the client is ahead of its replies.
    Paused { used: usize },
    /// Nothing more is read from this client.
    Closing,
}

impl Core {
    /// Takes the requests out of `input` and sends them on their ways.
    pub(crate) fn requests(&mut self, id: Id<Client>, input: &[u8]) -> Consumed {
        let Some(client) = self.front.clients.get_mut(id) else {
            return Consumed::Closing;
        };
        self.front.wishes.from.set(client.from);
        let limits = client.decoder.limits();
        let mut decoder = std::mem::replace(&mut client.decoder, protocol::RequestDecoder::new(limits));
        let mut used = 0;
        let consumed = loop {
            if used == input.len() {
                break Consumed::Waiting { used, additional: 0 };
            }
            if self.front.clients.get(id).is_none_or(Client::is_ahead) {
                break Consumed::Paused { used };
            }
            match decoder.next(&input[used..]) {
                Step::Request { request, consumed } => {
                    used += consumed;
                    if request == Request::Quit {
                        break Consumed::Closing;
                    }
                    self.request(id, &request, &input[used - consumed..used]);
                }
                Step::NeedMore { additional } => break Consumed::Waiting { used, additional },
                Step::Skipped { consumed } => used += consumed,
                Step::Oversized { key, consumed } => {
                    used += consumed;
                    let mut scratch = KeyScratch::new();
                    self.forget(key.decode(&mut scratch));
                }
                Step::Reject {
                    error,
                    reply,
                    consumed,
                } => {
                    used += consumed;
                    self.front.counters.rejects.add(1);
                    if reply {
                        self.front
                            .answer_now(id, |out| out.extend_from_slice(error.reply()));
                    }
                }
                Step::Close { error } => {
                    // A browser gets no answer: it might send its form's text as commands next.
                    if let Some(error) = error
                        && error != ProtocolError::HttpRequest
                    {
                        self.front.counters.rejects.add(1);
                        self.front
                            .answer_now(id, |out| out.extend_from_slice(error.reply()));
                    }
                    break Consumed::Closing;
                }
            }
        };
        if let Some(client) = self.front.clients.get_mut(id) {
            client.decoder = decoder;
        }
        consumed
    }

    /// `raw` is what the client sent.
    fn request(&mut self, id: Id<Client>, request: &Request<'_>, raw: &[u8]) {
        if let Request::Get(get) = request
            && self.plain_get(id, get, raw)
        {
            return;
        }
        let cost = raw.len();
        if let Some(single) = Single::of(request) {
            if let Single::Get { key, with_cas, .. } = single
                && key.as_bytes().starts_with(questions::PREFIX)
            {
                let said = questions::block(self, key.as_bytes(), with_cas);
                self.front.answer_now(id, |out| {
                    out.extend_from_slice(&said);
                    out.extend_from_slice(protocol::encode::response::END);
                });
                return;
            }
            self.single(id, &single, cost);
            return;
        }
        match request {
            Request::Get(get) => multiget::multiget(self, id, get, cost),
            Request::FlushAll(flush) => self.flush_all(id, flush),
            Request::Stats(group) if fleet::is_asked(group) => self.fleet_stats(id, group),
            Request::MetaNoop => self.front.answer_now(id, |out| out.extend_from_slice(b"MN\r\n")),
            request => {
                let said = local::answer(self, request);
                if !request.noreply() {
                    self.front.answer_now(id, |out| out.extend_from_slice(&said));
                }
            }
        }
    }

    /// `get KEY`, `gets KEY` of a server that takes it: what most requests are, by the shortest way. False, and nothing
    /// done, for everything else.
    fn plain_get(&mut self, id: Id<Client>, get: &Get<'_>, raw: &[u8]) -> bool {
        if get.keys.len() != 1 || get.touch.is_some() {
            return false;
        }
        let key = get.keys.first().as_bytes();
        if key.starts_with(questions::PREFIX) {
            return false;
        }
        let op = if get.with_cas { Op::Gets } else { Op::Get };
        self.front.wishes.hot_keys.seen(key);
        let (server, retry) = match self.root.route(Routing { op, key }, &self.servers) {
            Routed::To(server) => (server, false),
            Routed::Try(server) => (server, true),
            Routed::Hit(reply) => {
                self.front.counters.requests.count(op, 1);
                super::count(&self.front.counters, op, Kind::Hit);
                self.front.answer_now(id, |out| out.extend_from_slice(&reply));
                return true;
            }
            Routed::Nothing | Routed::Refused(_) | Routed::Composite => return false,
        };
        let Some(upstream) = self.servers.get_mut(server) else {
            return false;
        };
        if upstream.admits().is_err() {
            return false;
        }
        let Some(seq) = self.front.park(id, raw.len()) else {
            return true;
        };
        self.front.counters.requests.count(op, 1);
        let out = upstream.out();
        let verb: &[u8] = if get.with_cas { b"gets " } else { b"get " };
        if raw.len() == verb.len() + key.len() + CRLF.len() && raw.ends_with(CRLF) {
            // There is room for nothing but one blank: it is what we would write.
            out.extend_from_slice(raw);
        } else {
            out.reserve(key.len() + 7);
            out.extend_from_slice(verb);
            out.extend_from_slice(key);
            out.extend_from_slice(CRLF);
        }
        upstream.note().extend_from_slice(key);
        upstream.commit(
            ReplyTo::Client { id, seq, retry },
            (op, Expect::Retrieval),
            false,
            self.now,
        );
        self.mark_server(server);
        true
    }

    /// A request for one key.
    fn single(&mut self, id: Id<Client>, single: &Single<'_>, cost: usize) {
        let (op, expect) = (single.op(), single.expect());
        let mut scratch = KeyScratch::new();
        let routing = Routing {
            op,
            key: single.key(&mut scratch),
        };
        self.front.counters.requests.count(op, 1);
        if expect != Expect::Retrieval {
            // Plain gets have been seen where the shortest way was tried.
            self.front.wishes.hot_keys.seen(routing.key);
        }
        let (server, retry) = match self.root.route(routing, &self.servers) {
            Routed::To(server) => (server, false),
            // What goes on elsewhere after a failure is put together from the note, which only these have.
            Routed::Try(server) if matches!(single, Single::Get { touch: None, .. }) => (server, true),
            Routed::Hit(reply)
                if matches!(
                    single,
                    Single::Get {
                        with_cas: false,
                        touch: None,
                        ..
                    }
                ) =>
            {
                super::count(&self.front.counters, op, Kind::Hit);
                self.front.answer_now(id, |out| out.extend_from_slice(&reply));
                return;
            }
            // What answers a plain get answers no other.
            Routed::Try(_) | Routed::Composite | Routed::Hit(_) => {
                let to = self.reply_to(id, single, cost, false);
                let request = OwnedRequest::new(single);
                self.flow(request, to, single.quiet());
                return;
            }
            Routed::Nothing => {
                self.answer_nothing(id, single);
                return;
            }
            Routed::Refused(line) => {
                self.front.counters.replies.count(Kind::ServerError);
                if !single.noreply() {
                    self.front.answer_now(id, |out| out.extend_from_slice(&line));
                }
                return;
            }
        };
        let to = self.reply_to(id, single, cost, retry);
        let Some(upstream) = self.servers.get_mut(server) else {
            return;
        };
        match upstream.admits() {
            Ok(()) => {
                single.encode(upstream.out());
                single.note(upstream.note());
                upstream.commit(to, (op, expect), single.quiet(), self.now);
                self.mark_server(server);
            }
            Err(error) => {
                let gets = upstream.destination.get_errors;
                upstream.counters.errors.count(error);
                upstream.counters.requests.add(1);
                match to {
                    ReplyTo::Client { retry: true, .. } => {
                        let mut request = OwnedRequest::new(single);
                        request.failed = Some((server, error));
                        self.flow(request, to, false);
                    }
                    ReplyTo::Client { id, seq, .. } => {
                        let mut note = Vec::new();
                        single.note(&mut note);
                        self.front
                            .refuse((id, seq), (op, expect), single.quiet(), &note, (error, gets));
                    }
                    _ => {
                        self.front.counters.failures.count(error);
                        self.front.counters.unreported_errors.add(1);
                    }
                }
            }
        }
    }

    fn reply_to(&mut self, id: Id<Client>, single: &Single<'_>, cost: usize, retry: bool) -> ReplyTo {
        if single.noreply() {
            return ReplyTo::Nobody;
        }
        match self.front.park(id, cost) {
            Some(seq) => ReplyTo::Client { id, seq, retry },
            None => ReplyTo::Nobody,
        }
    }

    fn answer_nothing(&mut self, id: Id<Client>, single: &Single<'_>) {
        let mut said = Vec::new();
        let mut note = Vec::new();
        if single.expect() == Expect::MetaGet {
            single.note(&mut note);
        }
        let kind = nothing(single.op(), single.expect(), &note, &mut said);
        self.front.counters.dev_null.add(1);
        super::count(&self.front.counters, single.op(), kind);
        if !(single.noreply() || single.quiet() && kind.hidden_when_quiet(single.expect())) {
            self.front.answer_now(id, |out| out.extend_from_slice(&said));
        }
    }

    /// Starts a composite request by its route.
    pub(crate) fn flow(&mut self, mut request: OwnedRequest, to: ReplyTo, quiet: bool) {
        request.from = self.from(to);
        let root = Rc::clone(&self.root);
        let (op, expect, note) = (request.op, request.expect, request.note.clone());
        self.flow_with((op, expect, note), to, quiet, |caller| {
            root.call(Rc::new(request), caller)
        });
    }

    /// A hash of the address of the client that `to` is an answer for.
    fn from(&self, to: ReplyTo) -> u64 {
        let client = match to {
            ReplyTo::Client { id, .. } => Some(id),
            ReplyTo::Gather { id, .. } => self.front.gathers.get(id).map(|gather| gather.client),
            ReplyTo::Leg { .. } | ReplyTo::Nobody | ReplyTo::Probe => None,
        };
        match client.and_then(|id| self.front.clients.get(id)) {
            Some(client) => client.from,
            // Without a reply, it is the client being served.
            None => self.front.wishes.from.get(),
        }
    }

    pub(crate) fn flow_with(
        &mut self,
        (op, expect, note): (Op, Expect, Bytes),
        to: ReplyTo,
        quiet: bool,
        call: impl FnOnce(Caller) -> Answer,
    ) {
        let legs = Rc::new(RefCell::new(Vec::new()));
        let wishes = Rc::clone(&self.front.wishes);
        let id = self.front.flows.insert_with(|id| Flow {
            answer: Some(call(Caller::new(id, &legs, &wishes))),
            legs,
            to,
            op,
            expect,
            quiet,
            note,
        });
        // At once: its first legs are queued before whatever the client asks next.
        self.run_flow(id);
    }

    /// A get that failed at its first server.
    pub(crate) fn retry(&mut self, retry: &Retry) {
        let Ok(key) = Key::new(&retry.key) else { return };
        let single = Single::Get {
            with_cas: matches!(retry.op, Op::Gets | Op::Gats),
            touch: None,
            key,
        };
        let mut request = OwnedRequest::new(&single);
        request.failed = retry.failed;
        self.front.counters.failovers.add(1);
        self.flow(request, retry.to, false);
    }

    /// `set` announced a value over the limit: what is stored under its key has to go, lest it outlive the value that
    /// should have replaced it.
    fn forget(&mut self, key: Key<'_>) {
        if key.is_text() {
            let delete = Single::Delete(Delete { key, noreply: true });
            self.flow(OwnedRequest::new(&delete), ReplyTo::Nobody, false);
        }
    }

    fn flush_all(&mut self, id: Id<Client>, flush: &protocol::FlushAll) {
        self.front.counters.flushes.add(1);
        if self.settings.flush == FlushPolicy::Deny {
            if !flush.noreply {
                self.front.answer_now(id, |out| {
                    out.extend_from_slice(b"SERVER_ERROR Command disabled\r\n")
                });
            }
            return;
        }
        let place = if flush.noreply {
            None
        } else {
            self.front.park(id, 0)
        };
        let to = place.map_or(ReplyTo::Nobody, |seq| ReplyTo::Client {
            id,
            seq,
            retry: false,
        });
        // What is kept of before is not to be given away, from now on and once more when the last server has flushed.
        let flushes = Arc::clone(&self.shared.flushes);
        flushes.fetch_add(1, Ordering::AcqRel);
        self.ask_all(OwnedRequest::flush_all(flush), to, move |replies| {
            flushes.fetch_add(1, Ordering::AcqRel);
            crate::route::all_sync::worst(replies)
                .unwrap_or_else(|| Reply::said(Kind::Ok, protocol::encode::response::OK))
        });
    }

    /// `stats GROUP` of what only servers have: their numbers in one list.
    fn fleet_stats(&mut self, id: Id<Client>, group: &[u8]) {
        let Some(seq) = self.front.park(id, 0) else { return };
        let to = ReplyTo::Client {
            id,
            seq,
            retry: false,
        };
        self.ask_all(OwnedRequest::stats(group), to, fleet::merged);
    }

    /// Has every server carry out a request that is about no key, once, however many pools name it.
    fn ask_all(
        &mut self,
        request: OwnedRequest,
        to: ReplyTo,
        conclude: impl FnOnce(Vec<Reply>) -> Reply + 'static,
    ) {
        let what = (request.op, request.expect, Bytes::new());
        let request = Rc::new(request);
        let mut seen = ahash::AHashSet::new();
        let servers: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, upstream)| !upstream.retired && seen.insert(&upstream.destination.address))
            .map(|(server, _)| server)
            .collect();
        self.flow_with(what, to, false, |caller| {
            Box::pin(async move {
                let legs: Vec<Answer> = servers
                    .into_iter()
                    .map(|server| Box::pin(caller.send(server, Rc::clone(&request))) as Answer)
                    .collect();
                conclude(crate::route::join_all(legs).await)
            })
        });
    }
}
