//! L1L2SizeSplitRoute: small values in L1; large ones in L2, with an empty sentinel in L1 that says so.

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use protocol::{Exptime, encode};

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{Expect, Op};
use crate::request::{OwnedRequest, Routing};

/// mcrouter's flag of a sentinel, and what stands between key and number where a sentinel names one.
const SENTINEL: u32 = 0x20;
const ALIAS: &[u8] = b"|==|";

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    // `failure_ttl` and `retries` are about leases of mcrouter's own.
    node.only(&[
        "type",
        "name",
        "l1",
        "l2",
        "threshold",
        "ttl_threshold",
        "failure_ttl",
        "both_full_set",
        "retries",
    ])?;
    let l1 = checker.route(&node.need("l1")?)?;
    let l2 = checker.route(&node.need("l2")?)?;
    let threshold = node.need("threshold")?.count()?;
    let least_ttl = match node.get("ttl_threshold") {
        Some(given) => given.integer()?,
        None => 0,
    };
    let both = match node.get("both_full_set") {
        Some(flag) => flag.flag()?,
        None => false,
    };
    Ok(Arc::new(move |builder| {
        Rc::new(L1L2SizeSplitRoute {
            l1: builder.once(&l1),
            l2: builder.once(&l2),
            threshold,
            least_ttl,
            both,
        })
    }))
}

struct L1L2SizeSplitRoute {
    l1: Handle,
    l2: Handle,
    /// Bytes from which on a value is large; 0: none is.
    threshold: usize,
    /// Values that live shorter than this stay in L1; 0: no matter.
    least_ttl: i64,
    /// Large values in both.
    both: bool,
}

impl L1L2SizeSplitRoute {
    fn is_large(&self, data_len: usize, exptime: Exptime) -> bool {
        self.threshold > 0
            && data_len >= self.threshold
            && (self.least_ttl == 0 || exptime.0 >= self.least_ttl || exptime == Exptime::NEVER)
    }

    async fn set(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let ask = |route: &Handle, request: &Rc<OwnedRequest>| {
            Rc::clone(route).call(Rc::clone(request), caller.clone())
        };
        let Some((flags, exptime, data)) = request.value() else {
            return ask(&self.l1, &request).await;
        };
        if flags & SENTINEL != 0 {
            return Reply::server_error("the client flag 32 marks values that are elsewhere");
        }
        if !self.is_large(data.len(), exptime) {
            return ask(&self.l1, &request).await;
        }
        if self.both {
            let reply = ask(&self.l1, &request).await;
            if reply.kind() == Kind::Stored {
                caller.start_unheard(&self.l2, &request);
            }
            return reply;
        }
        // L2 first: a sentinel must not stand for nothing.
        let reply = ask(&self.l2, &request).await;
        match request.with_value(flags | SENTINEL, b"") {
            Some(sentinel) if reply.kind() == Kind::Stored => ask(&self.l1, &Rc::new(sentinel)).await,
            _ => reply,
        }
    }

    async fn get(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let reply = Rc::clone(&self.l1)
            .call(Rc::clone(&request), caller.clone())
            .await;
        let Some(sentinel) = reply.item().filter(|item| item.flags & SENTINEL != 0) else {
            return reply;
        };
        let elsewhere = request.get().and_then(|get| {
            if sentinel.data.is_empty() {
                Some(get)
            } else {
                get.with_key(&[&request.key[..], ALIAS, &sentinel.data].concat())
            }
        });
        let Some(elsewhere) = elsewhere else {
            return Reply::nothing(&request);
        };
        let l2 = Rc::clone(&self.l2).call(Rc::new(elsewhere), caller).await;
        let Some(item) = l2.item() else {
            return if l2.failed() { l2 } else { Reply::nothing(&request) };
        };
        // The cas unique is L1's: that is where a cas will go.
        let mut bytes = BytesMut::with_capacity(item.data.len() + request.key.len() + 64);
        encode::response::value(&mut bytes, &request.key, item.flags, &item.data, reply.cas());
        bytes.extend_from_slice(encode::response::END);
        Reply::Said {
            kind: Kind::Hit,
            bytes: bytes.freeze(),
        }
    }
}

impl RouteHandle for L1L2SizeSplitRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match request.op {
            Op::Get | Op::Gets | Op::Set => Routed::Composite,
            _ => self.l1.route(request, servers),
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match (request.op, request.expect) {
            (Op::Get | Op::Gets, Expect::Retrieval) => Box::pin(self.get(request, caller)),
            (Op::Set, _) => Box::pin(self.set(request, caller)),
            _ => Rc::clone(&self.l1).call(request, caller),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let threshold = self.threshold;
        into.handle(
            format_args!("L1L2SizeSplitRoute: L1, from {threshold} bytes on L2"),
            |into| {
                self.l1.destinations(request, into);
                self.l2.destinations(request, into);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn play(line: &str, l1: &[&str], l2: &[&str]) -> String {
        let route =
            r#"{"type": "L1L2SizeSplitRoute", "l1": "PoolRoute|A", "l2": "PoolRoute|B", "threshold": 4}"#;
        tree(route).play(line, &[("a", l1), ("b", l2)])
    }

    #[test]
    fn large_values_are_in_l2_behind_a_sentinel_in_l1() {
        assert_eq!(
            play("set k 1 9 3~abc~", &["STORED~"], &[]),
            "a: set k 1 9 3~abc~\n=> STORED~"
        );
        assert_eq!(
            play("set k 1 9 4~abcd~", &["STORED~"], &["STORED~"]),
            "b: set k 1 9 4~abcd~\na: set k 33 9 0~~\n=> STORED~"
        );
        assert_eq!(
            play("set k 1 9 4~abcd~", &[], &["SERVER_ERROR no~"]),
            "b: set k 1 9 4~abcd~\n=> SERVER_ERROR no~"
        );
        assert_eq!(
            play("gets k~", &["VALUE k 33 0 7~~END~"], &["VALUE k 1 4~abcd~END~"]),
            "a: gets k~\nb: get k~\n=> VALUE k 1 4 7~abcd~END~"
        );
        assert_eq!(
            play("get k~", &["VALUE k 33 0~~END~"], &["END~"]),
            "a: get k~\nb: get k~\n=> END~"
        );
        assert_eq!(
            play("get k~", &["VALUE k 1 1~x~END~"], &[]),
            "a: get k~\n=> VALUE k 1 1~x~END~"
        );
    }
}
