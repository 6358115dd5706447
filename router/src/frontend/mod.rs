//! Clients in, replies out in the order of their requests.
//!
//! [`Front`] is everything that replies are for: clients, retrievals of several keys, composite requests. It is the
//! [`Sink`] of the servers' connections and never asks a server anything itself; that is `dispatch`'s business.

pub(crate) mod client;
pub(crate) mod dispatch;
mod fleet;
pub(crate) mod gather;
pub(crate) mod local;
pub(crate) mod multiget;
pub(crate) mod questions;
pub(crate) mod reply_queue;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use client::Client;
pub(crate) use gather::Gather;

use crate::flow::{Flow, Wishes};
use crate::pool::{Destination, GetErrors};
use crate::reply::{Kind, Reply, nothing};
use crate::request::{Expect, Op};
use crate::stats::WorkerCounters;
use crate::upstream::error::UpstreamError;
use crate::upstream::inflight::{Entry, Micros, ValueAt};
use crate::upstream::{ReplyTo, Sink, Upstream};
use crate::worker::arena::{Arena, Id};
use client::Buffers;

/// A get that failed at its first server and goes on by its route's composite way.
#[derive(Debug)]
pub(crate) struct Retry {
    pub op: Op,
    pub key: Bytes,
    pub to: ReplyTo,
    /// Who failed it, if that was before it was sent.
    pub failed: Option<(Id<Upstream>, UpstreamError)>,
}

/// All that waits for replies in one worker.
pub(crate) struct Front {
    pub clients: Arena<Client>,
    pub gathers: Arena<Gather>,
    /// Used ones, whose room is used again.
    pub spare_gathers: Vec<Gather>,
    pub flows: Arena<Flow>,
    /// Clients with something to be sent.
    pub dirty: Vec<Id<Client>>,
    /// Flows whose legs have been answered.
    pub woken: Vec<Id<Flow>>,
    /// Gets to be asked of another server.
    pub retries: Vec<Retry>,
    pub buffers: Buffers,
    pub counters: Arc<WorkerCounters>,
    pub wishes: Rc<Wishes>,
}

/// Used retrievals that are kept.
const SPARE_GATHERS: usize = 64;

impl Front {
    pub(crate) fn new(counters: Arc<WorkerCounters>, wishes: Wishes) -> Self {
        Self {
            clients: Arena::new(),
            gathers: Arena::new(),
            spare_gathers: Vec::new(),
            flows: Arena::new(),
            dirty: Vec::new(),
            woken: Vec::new(),
            retries: Vec::new(),
            buffers: Buffers::default(),
            counters,
            wishes: Rc::new(wishes),
        }
    }

    /// A place in a client's queue. `None` if the client is gone.
    pub(crate) fn park(&mut self, client: Id<Client>, cost: usize) -> Option<u32> {
        Some(self.clients.get_mut(client)?.queue.park(cost))
    }

    /// Fills a place in a client's queue.
    pub(crate) fn answer(&mut self, id: Id<Client>, seq: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.out.capacity() == 0 {
            client.out = self.buffers.take();
        }
        if client.queue.fill(seq, &mut client.out, write) {
            mark(&mut self.dirty, client, id);
        }
    }

    /// Answers a request that needs nobody else, in its turn.
    pub(crate) fn answer_now(&mut self, id: Id<Client>, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.out.capacity() == 0 {
            client.out = self.buffers.take();
        }
        client.queue.push(&mut client.out, write);
        mark(&mut self.dirty, client, id);
    }

    /// Has a client looked at in the next round of sending, whatever there is to send.
    pub(crate) fn mark(&mut self, id: Id<Client>) {
        if let Some(client) = self.clients.get_mut(id) {
            mark(&mut self.dirty, client, id);
        }
    }

    /// Says why a request was not carried out, or that it was a miss if the pool has it so. Hidden by quiet mode only
    /// as far as the miss would be.
    pub(crate) fn refuse(
        &mut self,
        (id, seq): (Id<Client>, u32),
        (op, expect): (Op, Expect),
        quiet: bool,
        note: &[u8],
        (error, gets): (UpstreamError, GetErrors),
    ) {
        self.counters.failures.count(error);
        if reads(expect) && gets == GetErrors::Miss {
            self.counters.masked_get_errors.add(1);
            self.counters.get_misses.add(1);
            let hidden = quiet && Kind::Miss.hidden_when_quiet(expect);
            self.answer(id, seq, |out| {
                if !hidden {
                    let note = if expect == Expect::MetaGet { note } else { &[] };
                    nothing(op, expect, note, out);
                }
            });
        } else {
            self.answer(id, seq, |out| out.extend_from_slice(error.line()));
        }
    }

    /// Sends a retrieval's answer off if it is complete.
    pub(crate) fn settle(&mut self, id: Id<Gather>) {
        if !self.gathers.get(id).is_some_and(Gather::is_complete) {
            return;
        }
        let Some(gather) = self.gathers.remove(id) else {
            return;
        };
        if gather.failed() {
            self.counters.replies.count(Kind::ServerError);
        } else {
            self.counters.get_hits.add(gather.hits);
            self.counters.get_misses.add(gather.misses());
        }
        self.answer(gather.client, gather.seq, |out| gather.write(out));
        if self.spare_gathers.len() < SPARE_GATHERS {
            self.spare_gathers.push(gather);
        }
    }

    /// The answer of a composite request.
    pub(crate) fn concluded(&mut self, flow: &Flow, reply: &Reply) {
        match (flow.to, reply) {
            (ReplyTo::Client { id, seq, .. }, Reply::Said { kind, bytes }) => {
                count(&self.counters, flow.op, *kind);
                let hidden = flow.quiet && kind.hidden_when_quiet(flow.expect);
                self.answer(id, seq, |out| {
                    if !hidden {
                        out.extend_from_slice(bytes);
                    }
                });
            }
            (ReplyTo::Client { id, seq, .. }, Reply::Failed { error, gets }) => {
                self.refuse(
                    (id, seq),
                    (flow.op, flow.expect),
                    flow.quiet,
                    &flow.note,
                    (*error, *gets),
                );
            }
            (ReplyTo::Gather { id, part }, reply) => {
                let Some(gather) = self.gathers.get_mut(id) else {
                    return;
                };
                match reply {
                    Reply::Said {
                        kind: Kind::Hit | Kind::Miss,
                        bytes,
                    } => {
                        let block = bytes.strip_suffix(protocol::encode::response::END).unwrap_or(b"");
                        gather.answered_one(part, block);
                    }
                    Reply::Said { bytes, .. } => {
                        gather.fail_with_line(bytes);
                        gather.missed();
                    }
                    Reply::Failed { error, gets } => {
                        self.counters.failures.count(*error);
                        if *gets == GetErrors::Error {
                            gather.fail(*error);
                        } else {
                            self.counters.masked_get_errors.add(1);
                        }
                        gather.missed();
                    }
                }
                self.settle(id);
            }
            (ReplyTo::Leg { id, leg }, reply) => self.leg(id, leg, reply.clone()),
            (ReplyTo::Nobody | ReplyTo::Probe, reply) => {
                if reply.failed() {
                    self.counters.unreported_errors.add(1);
                }
            }
        }
    }
}

fn mark(dirty: &mut Vec<Id<Client>>, client: &mut Client, id: Id<Client>) {
    if !client.dirty {
        client.dirty = true;
        dirty.push(id);
    }
}

/// Whether the request only reads, so that its failure may be told as a miss.
const fn reads(expect: Expect) -> bool {
    matches!(expect, Expect::Retrieval | Expect::MetaGet | Expect::MetaDebug)
}

/// Takes note of a reply to a client, in memcached's terms.
pub(crate) fn count(counters: &WorkerCounters, op: Op, kind: Kind) {
    counters.replies.count(kind);
    let counter = match (op, kind) {
        (Op::Get | Op::Gets, Kind::Hit) => &counters.get_hits,
        (Op::Get | Op::Gets, Kind::Miss) => &counters.get_misses,
        (Op::Gat | Op::Gats, Kind::Hit) => {
            counters.touch_hits.add(1);
            &counters.get_hits
        }
        (Op::Gat | Op::Gats, Kind::Miss) => {
            counters.touch_misses.add(1);
            &counters.get_misses
        }
        (Op::Touch, Kind::Touched) => &counters.touch_hits,
        (Op::Touch, Kind::NotFound) => &counters.touch_misses,
        (Op::Delete, Kind::Deleted) => &counters.delete_hits,
        (Op::Delete, Kind::NotFound) => &counters.delete_misses,
        (Op::Incr, Kind::Number) => &counters.incr_hits,
        (Op::Incr, Kind::NotFound) => &counters.incr_misses,
        (Op::Decr, Kind::Number) => &counters.decr_hits,
        (Op::Decr, Kind::NotFound) => &counters.decr_misses,
        (Op::Cas, Kind::Stored) => &counters.cas_hits,
        (Op::Cas, Kind::NotFound) => &counters.cas_misses,
        (Op::Cas, Kind::Exists) => &counters.cas_badval,
        _ => return,
    };
    counter.add(1);
}

impl Sink for Front {
    fn reply(
        &mut self,
        from: &Destination,
        entry: &Entry<ReplyTo>,
        kind: Kind,
        body: &[u8],
        values: &[ValueAt],
        _now: Micros,
    ) {
        match entry.to {
            ReplyTo::Client { id, seq, .. } => {
                if values.len() > 1 {
                    // All keys of a retrieval lived on one server.
                    self.counters.get_hits.add(values.len() as u64 - 1);
                }
                count(&self.counters, entry.op, kind);
                let Some(client) = self.clients.get_mut(id) else {
                    return;
                };
                client.learn(body.len());
                let hidden = entry.quiet && kind.hidden_when_quiet(entry.expect);
                self.answer(id, seq, |out| {
                    if !hidden {
                        out.extend_from_slice(body);
                    }
                });
            }
            ReplyTo::Gather { id, part } => {
                let Some(gather) = self.gathers.get_mut(id) else {
                    return;
                };
                if matches!(kind, Kind::Hit | Kind::Miss) {
                    gather.answered(part, values, body);
                } else {
                    // The server answered with an error: its keys, as its pool has it.
                    if from.get_errors == GetErrors::Error {
                        gather.fail_with_line(body);
                    } else {
                        self.counters.masked_get_errors.add(1);
                    }
                    gather.missed();
                }
                self.settle(id);
            }
            ReplyTo::Leg { id, leg } => {
                let reply = Reply::Said {
                    kind,
                    bytes: Bytes::copy_from_slice(body),
                };
                self.leg(id, leg, reply);
            }
            ReplyTo::Nobody => {
                count(&self.counters, entry.op, kind);
                if kind.severity() > Kind::Miss.severity() {
                    self.counters.unreported_errors.add(1);
                }
            }
            ReplyTo::Probe => {}
        }
    }

    fn failed(&mut self, from: &Destination, entry: &Entry<ReplyTo>, note: &[u8], error: UpstreamError) {
        match entry.to {
            ReplyTo::Client { retry: true, .. } => self.retries.push(Retry {
                op: entry.op,
                key: Bytes::copy_from_slice(note),
                to: entry.to,
                failed: None,
            }),
            ReplyTo::Client { id, seq, .. } => self.refuse(
                (id, seq),
                (entry.op, entry.expect),
                entry.quiet,
                note,
                (error, from.get_errors),
            ),
            ReplyTo::Gather { id, part } => self.part_failed(id, part, note, (error, from.get_errors)),
            ReplyTo::Leg { id, leg } => self.leg(
                id,
                leg,
                Reply::Failed {
                    error,
                    gets: from.get_errors,
                },
            ),
            ReplyTo::Nobody => {
                self.counters.failures.count(error);
                self.counters.unreported_errors.add(1);
            }
            ReplyTo::Probe => {}
        }
    }
}

impl Front {
    /// A flow's leg has its reply.
    pub(crate) fn leg(&mut self, id: Id<Flow>, leg: u32, reply: Reply) {
        let Some(flow) = self.flows.get(id) else { return };
        if let Some(place) = flow.legs.borrow_mut().get_mut(leg as usize) {
            *place = Some(reply);
        }
        self.woken.push(id);
    }

    /// A server did not answer for its part of a retrieval: misses, an error, or each key again elsewhere.
    pub(crate) fn part_failed(
        &mut self,
        id: Id<Gather>,
        part: u32,
        keys: &[u8],
        (error, gets): (UpstreamError, GetErrors),
    ) {
        let Some(gather) = self.gathers.get_mut(id) else {
            return;
        };
        self.counters.failures.count(error);
        if gather.retries(part) {
            let op = gather.op;
            let numbers: Vec<u32> = gather.keys(part).to_vec();
            for (number, key) in numbers.into_iter().zip(keys.split(|byte| *byte == b' ')) {
                let part = gather.open_part(false);
                gather.add(part, number);
                self.retries.push(Retry {
                    op,
                    key: Bytes::copy_from_slice(key),
                    to: ReplyTo::Gather { id, part },
                    failed: None,
                });
            }
            gather.replaced();
        } else {
            if gets == GetErrors::Error {
                gather.fail(error);
            } else {
                self.counters.masked_get_errors.add(1);
            }
            gather.missed();
            self.settle(id);
        }
    }
}
