//! L1L2CacheRoute: a small pool in front of a large one. What L1 lacks is asked of L2 and put into L1 for a while; writes
//! and deletes go to L1 only, as in mcrouter: keeping L2 true is the application's business.
//!
//! With `ncacheExptime` and `ncacheUpdatePeriod` L1 also remembers what L2 lacks, by an item with a flag of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use protocol::{Exptime, StoreVerb};

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, warm_up};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::{Expect, Item, Op};
use crate::request::{OwnedRequest, Routing};

/// mcrouter's flag of an item that stands for a miss, and its value.
const NEGATIVE: u32 = 0x1_0000;
const NEGATIVE_VALUE: &[u8] = b"ncache";

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&[
        "type",
        "name",
        "l1",
        "l2",
        "upgradingL1Exptime",
        "ncacheExptime",
        "ncacheUpdatePeriod",
    ])?;
    let l1 = checker.route(&node.need("l1")?)?;
    let l2 = checker.route(&node.need("l2")?)?;
    let exptime = Exptime(node.need("upgradingL1Exptime")?.integer()?);
    let negative_exptime = match node.get("ncacheExptime") {
        Some(given) => Exptime(given.integer()?),
        None => Exptime::NEVER,
    };
    let negative_period = match node.get("ncacheUpdatePeriod") {
        Some(given) => given.count()?,
        None => 0,
    };
    Ok(Arc::new(move |builder| {
        let l1 = builder.once(&l1);
        let l2 = builder.once(&l2);
        let settings = Settings {
            exptime,
            negative_exptime,
            negative_period,
        };
        let refresh = Rc::new(RefreshRoute {
            l1: Rc::clone(&l1),
            l2: Rc::clone(&l2),
            settings,
        });
        Rc::new(L1L2CacheRoute {
            l1,
            l2,
            settings,
            refresh,
            until_refresh: Cell::new(negative_period),
        })
    }))
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    /// Of what L1 gets from L2.
    exptime: Exptime,
    negative_exptime: Exptime,
    /// Every so many negative hits L2 is asked again; 0: negative items are not used.
    negative_period: usize,
}

struct L1L2CacheRoute {
    l1: Handle,
    l2: Handle,
    settings: Settings,
    refresh: Handle,
    until_refresh: Cell<usize>,
}

fn negative_item() -> Item {
    Item {
        flags: NEGATIVE,
        ttl: None,
        data: Bytes::from_static(NEGATIVE_VALUE),
    }
}

impl L1L2CacheRoute {
    async fn read(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let l1 = Rc::clone(&self.l1)
            .call(Rc::clone(&request), caller.clone())
            .await;
        if l1.is_hit() {
            if l1.item().is_none_or(|item| item.flags & NEGATIVE == 0) {
                return l1;
            }
            let left = self.until_refresh.get();
            if self.settings.negative_period > 0 {
                if left <= 1 {
                    self.until_refresh.set(self.settings.negative_period);
                    caller.start_unheard(&self.refresh, &request);
                } else {
                    self.until_refresh.set(left - 1);
                }
            }
            return Reply::nothing(&request);
        }
        let l2 = Rc::clone(&self.l2)
            .call(Rc::clone(&request), caller.clone())
            .await;
        let copy = if let Some(item) = l2.item() {
            request.store_item(StoreVerb::Add, &item, self.settings.exptime)
        } else if l2.is_miss() && self.settings.negative_period > 0 {
            request.store_item(StoreVerb::Add, &negative_item(), self.settings.negative_exptime)
        } else {
            None
        };
        if let Some(copy) = copy {
            caller.start_unheard(&self.l1, &Rc::new(copy));
        }
        l2
    }

    /// `mg`: the answer has to be a server's own, so L1 is filled first and asked again.
    async fn read_meta(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let ask_l1 = || Rc::clone(&self.l1).call(Rc::clone(&request), caller.clone());
        if self.settings.negative_period > 0
            && let Ok((item, _)) = warm_up::fetch(&self.l1, &request, &caller).await
            && item.flags & NEGATIVE != 0
        {
            return Reply::nothing(&request);
        }
        let l1 = ask_l1().await;
        if !l1.is_miss() && !l1.failed() {
            return l1;
        }
        let Ok((item, _)) = warm_up::fetch(&self.l2, &request, &caller).await else {
            return l1;
        };
        if let Some(copy) = request.store_item(StoreVerb::Add, &item, self.settings.exptime) {
            Rc::clone(&self.l1).call(Rc::new(copy), caller.clone()).await;
        }
        ask_l1().await
    }
}

impl RouteHandle for L1L2CacheRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if request.op.is_get() {
            Routed::Composite
        } else {
            self.l1.route(request, servers)
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match request.expect {
            Expect::Retrieval => Box::pin(self.read(request, caller)),
            Expect::MetaGet => Box::pin(self.read_meta(request, caller)),
            _ => Rc::clone(&self.l1).call(request, caller),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("L1L2CacheRoute: L1, then for gets L2", |into| {
            self.l1.destinations(request, into);
            if request.op.is_get() {
                self.l2.destinations(request, into);
            }
        });
    }
}

/// Brings L1's memory of a miss up to date.
struct RefreshRoute {
    l1: Handle,
    l2: Handle,
    settings: Settings,
}

impl RouteHandle for RefreshRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move {
            let Some(get) = request.get().filter(|_| matches!(request.op, Op::Get | Op::Gets)) else {
                return Reply::nothing(&request);
            };
            let l2 = Rc::clone(&self.l2).call(Rc::new(get), caller.clone()).await;
            let set = match l2.item() {
                Some(item) => request.store_item(StoreVerb::Set, &item, self.settings.exptime),
                None => request.store_item(StoreVerb::Set, &negative_item(), self.settings.negative_exptime),
            };
            match set {
                Some(set) => Rc::clone(&self.l1).call(Rc::new(set), caller).await,
                None => l2,
            }
        })
    }

    fn destinations(&self, _request: Routing<'_>, _into: &mut Plan) {}
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn route(settings: &str) -> String {
        format!(
            r#"{{"type": "L1L2CacheRoute", "l1": "PoolRoute|A", "l2": "PoolRoute|B", "upgradingL1Exptime": 60{settings}}}"#
        )
    }

    #[test]
    fn what_l1_lacks_comes_from_l2_and_stays_for_a_while() {
        let play =
            |line: &str, l1: &[&str], l2: &[&str]| tree(&route("")).play(line, &[("a", l1), ("b", l2)]);
        assert_eq!(
            play("get k~", &["END~", "STORED~"], &["VALUE k 7 1~x~END~"]),
            "a: get k~\nb: get k~\n=> VALUE k 7 1~x~END~\na: add k 7 60 1~x~"
        );
        assert_eq!(
            play("get k~", &["END~"], &["END~"]),
            "a: get k~\nb: get k~\n=> END~"
        );
        assert_eq!(
            play("mg k c v~", &["EN~", "STORED~", "VA 1 c5~x~"], &["VA 1 t9 f7~x~"]),
            "a: mg k c v~\nb: mg k t f v~\na: add k 7 60 1~x~\na: mg k c v~\n=> VA 1 c5~x~"
        );
        assert_eq!(tree(&route("")).fast("set k 0 0 1~x~"), "a");
        assert_eq!(tree(&route("")).fast("delete k~"), "a");
    }

    #[test]
    fn a_miss_is_remembered_and_looked_at_again_from_time_to_time() {
        let tree = tree(&route(r#", "ncacheExptime": 5, "ncacheUpdatePeriod": 2"#));
        let negative = "VALUE k 65536 6~ncache~END~";
        assert_eq!(
            tree.play("get k~", &[("a", &["END~", "STORED~"]), ("b", &["END~"])]),
            "a: get k~\nb: get k~\n=> END~\na: add k 65536 5 6~ncache~"
        );
        assert_eq!(tree.play("get k~", &[("a", &[negative])]), "a: get k~\n=> END~");
        assert_eq!(
            tree.play(
                "get k~",
                &[("a", &[negative, "STORED~"]), ("b", &["VALUE k 7 1~x~END~"])]
            ),
            "a: get k~\n=> END~\nb: get k~\na: set k 7 60 1~x~"
        );
    }
}
