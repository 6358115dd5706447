//! A retrieval of several keys: one `get` per server, whatever the order of the keys.

use bytes::BufMut;
use protocol::{Get, encode};

use super::{Client, Gather, Retry, questions};
use crate::pool::GetErrors;
use crate::request::{Expect, Op, OwnedRequest, Routing, one_key, retrieval_op};
use crate::route::Routed;
use crate::upstream::error::UpstreamError;
use crate::upstream::{ReplyTo, Upstream};
use crate::worker::Core;
use crate::worker::arena::Id;

/// Keys on one line to a server; more go on another line.
const KEYS_PER_LINE: usize = 256;
/// Marks a server that refused the part, for the keys that follow.
const REFUSED: u32 = u32::MAX;

/// Sends each server its part. The answer is put together by [`Gather`].
pub(crate) fn multiget(core: &mut Core, client: Id<Client>, get: &Get<'_>, cost: usize) {
    let op = retrieval_op(get.with_cas, get.touch.is_some());
    core.front.counters.requests.count(op, get.keys.len() as u64);
    let Some(seq) = core.front.park(client, cost) else {
        return;
    };
    let mut gather = match core.front.spare_gathers.pop() {
        Some(mut gather) => {
            gather.renew(client, seq, op);
            gather
        }
        None => Gather::new(client, seq, op),
    };
    core.stamp += 1;
    let mut lines = std::mem::take(&mut core.lines);
    let mut composite: Vec<(u32, OwnedRequest)> = Vec::new();
    // The gather is not in its arena yet, and nothing answers before it is: its name is made first.
    let id = core.front.gathers.insert_with(|_| Gather::new(client, seq, op));
    for key in get.keys {
        let number = gather.key();
        if key.as_bytes().starts_with(questions::PREFIX) {
            let part = gather.open_part(false);
            gather.add(part, number);
            gather.answered_one(part, &questions::block(core, key.as_bytes(), get.with_cas));
            continue;
        }
        core.front.wishes.hot_keys.seen(key.as_bytes());
        let routing = Routing {
            op,
            key: key.as_bytes(),
        };
        match core.root.route(routing, &core.servers) {
            Routed::To(server) => core.add(
                &mut gather,
                &mut lines,
                get,
                (id, key.as_bytes(), number),
                (server, false),
            ),
            Routed::Try(server) if get.touch.is_none() => {
                core.add(
                    &mut gather,
                    &mut lines,
                    get,
                    (id, key.as_bytes(), number),
                    (server, true),
                );
            }
            Routed::Try(_) | Routed::Composite => {
                let part = gather.open_part(false);
                gather.add(part, number);
                composite.push((part, OwnedRequest::new(&one_key(get, key))));
            }
            Routed::Nothing => core.front.counters.dev_null.add(1),
            Routed::Hit(reply) => {
                let part = gather.open_part(false);
                gather.add(part, number);
                gather.answered_one(
                    part,
                    reply.strip_suffix(encode::response::END).unwrap_or_default(),
                );
            }
            Routed::Refused(line) => gather.fail_with_line(&line),
        }
    }
    let whole = lines.len() == 1 && gather.is_one_part() && composite.is_empty() && !gather.retries(0);
    for (server, part) in lines.drain(..) {
        let to = if whole {
            ReplyTo::Client {
                id: client,
                seq,
                retry: false,
            }
        } else {
            ReplyTo::Gather { id, part }
        };
        core.end_line(server, to, op);
    }
    core.lines = lines;
    if whole {
        core.front.gathers.remove(id);
        core.front.spare_gathers.push(gather);
        return;
    }
    if let Some(place) = core.front.gathers.get_mut(id) {
        *place = gather;
    }
    for (part, request) in composite {
        core.flow(request, ReplyTo::Gather { id, part }, false);
    }
    core.front.settle(id);
}

impl Core {
    /// Adds a key to its server's line, beginning one if there is none.
    fn add(
        &mut self,
        gather: &mut Gather,
        lines: &mut Vec<(Id<Upstream>, u32)>,
        get: &Get<'_>,
        (id, key, number): (Id<Gather>, &[u8], u32),
        (server, retry): (Id<Upstream>, bool),
    ) {
        let stamp = self.stamp;
        let Some(upstream) = self.servers.get_mut(server) else {
            gather.fail(UpstreamError::Removed);
            return;
        };
        if upstream.part.0 != stamp {
            upstream.part = match upstream.admits() {
                Ok(()) => (stamp, gather.open_part(retry)),
                Err(error) => {
                    upstream.counters.errors.count(error);
                    upstream.counters.requests.add(1);
                    upstream.refused = error;
                    (stamp, REFUSED)
                }
            };
            if upstream.part.1 != REFUSED {
                begin_line(upstream, get);
                lines.push((server, upstream.part.1));
            }
        }
        let part = upstream.part.1;
        if part == REFUSED {
            let (error, gets) = (upstream.refused, upstream.destination.get_errors);
            self.refused(gather, (id, key, number), (server, error, gets, retry));
            return;
        }
        let keys = gather.add(part, number);
        let out = upstream.out();
        out.put_u8(b' ');
        out.put_slice(key);
        let note = upstream.note();
        if keys > 1 {
            note.push(b' ');
        }
        note.extend_from_slice(key);
        if keys == KEYS_PER_LINE {
            // This line is long enough: the next key of this server begins another.
            upstream.part = (0, 0);
            lines.retain(|(open, _)| *open != server);
            self.end_line(server, ReplyTo::Gather { id, part }, gather.op);
        }
    }

    /// A key whose server takes no requests.
    fn refused(
        &mut self,
        gather: &mut Gather,
        (id, key, number): (Id<Gather>, &[u8], u32),
        (server, error, gets, retry): (Id<Upstream>, UpstreamError, GetErrors, bool),
    ) {
        if retry {
            let part = gather.open_part(false);
            gather.add(part, number);
            self.front.retries.push(Retry {
                op: gather.op,
                key: bytes::Bytes::copy_from_slice(key),
                to: ReplyTo::Gather { id, part },
                failed: Some((server, error)),
            });
        } else {
            self.front.counters.failures.count(error);
            if gets == GetErrors::Error {
                gather.fail(error);
            } else {
                self.front.counters.masked_get_errors.add(1);
            }
        }
    }

    fn end_line(&mut self, server: Id<Upstream>, to: ReplyTo, op: Op) {
        if let Some(upstream) = self.servers.get_mut(server) {
            upstream.out().put_slice(encode::CRLF);
            upstream.commit(to, (op, Expect::Retrieval), false, self.now);
        }
        self.mark_server(server);
    }
}

fn begin_line(upstream: &mut Upstream, get: &Get<'_>) {
    let verb: &[u8] = match (get.with_cas, get.touch.is_some()) {
        (false, false) => b"get",
        (true, false) => b"gets",
        (false, true) => b"gat",
        (true, true) => b"gats",
    };
    let out = upstream.out();
    out.put_slice(verb);
    if let Some(touch) = get.touch {
        out.put_u8(b' ');
        encode::signed(out, touch.0);
    }
}
