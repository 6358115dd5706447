//! MigrateRoute: from one child to another, key by key, between two moments.
//!
//! ```text
//!   start ────────── start+interval ────────── start+2·interval
//!   from             each key's own moment      to
//!   └──────────────── deletes to both ─────────┘
//! ```

use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, all_sync, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::Reply;
use crate::request::Op;
use crate::request::{OwnedRequest, Routing};

/// mcrouter's default, in seconds.
const INTERVAL: u64 = 3600;

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "from", "to", "start_time", "interval"])?;
    let from = checker.route(&node.need("from")?)?;
    let to = checker.route(&node.need("to")?)?;
    let start = node.need("start_time")?.count()? as u64;
    let interval = match node.get("interval") {
        Some(given) => match given.count()? as u64 {
            0 => return Err(given.error("an interval has at least a second")),
            seconds => seconds,
        },
        None => INTERVAL,
    };
    Ok(Arc::new(move |builder| {
        Rc::new(MigrateRoute {
            from: builder.once(&from),
            to: builder.once(&to),
            schedule: Schedule { start, interval },
        })
    }))
}

/// Unix time and seconds.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: u64,
    interval: u64,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
    Both,
}

impl Schedule {
    fn side(self, op: Op, key: &[u8], now: u64) -> Side {
        let Self { start, interval } = self;
        if op == Op::Delete {
            return match now {
                now if now < start => Side::From,
                now if now < start.saturating_add(interval.saturating_mul(2)) => Side::Both,
                _ => Side::To,
            };
        }
        let hash = cluster::spooky64(cluster::hashed_part(key));
        if now < start.saturating_add(interval).saturating_add(hash % interval) {
            Side::From
        } else {
            Side::To
        }
    }
}

struct MigrateRoute {
    from: Handle,
    to: Handle,
    schedule: Schedule,
}

impl MigrateRoute {
    fn side(&self, op: Op, key: &[u8]) -> Side {
        self.schedule.side(op, key, Caller::unix().0)
    }
}

impl RouteHandle for MigrateRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.side(request.op, request.key) {
            Side::From => self.from.route(request, servers),
            Side::To => self.to.route(request, servers),
            Side::Both => Routed::Composite,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        match self.side(request.op, &request.key) {
            Side::From => Rc::clone(&self.from).call(request, caller),
            Side::To => Rc::clone(&self.to).call(request, caller),
            Side::Both => Box::pin(async move {
                let both = [&self.from, &self.to]
                    .map(|child| Rc::clone(child).call(Rc::clone(&request), caller.clone()));
                let replies = join_all(both.into()).await;
                all_sync::worst(replies).unwrap_or_else(|| Reply::nothing(&request))
            }),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let side = self.side(request.op, request.key);
        into.handle(format_args!("MigrateRoute: {side:?}"), |into| {
            if side != Side::To {
                self.from.destinations(request, into);
            }
            if side != Side::From {
                self.to.destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, Side};
    use crate::request::Op;
    use crate::route::testing::tree;

    #[test]
    fn each_key_moves_once_and_its_deletes_reach_both_meanwhile() {
        let schedule = Schedule {
            start: 1000,
            interval: 100,
        };
        for (now, delete) in [
            (999, Side::From),
            (1000, Side::Both),
            (1199, Side::Both),
            (1200, Side::To),
        ] {
            assert_eq!(schedule.side(Op::Delete, b"k", now), delete, "{now}");
        }
        let moved = |now| {
            let keys = (0..1000).map(|key| format!("key{key}"));
            keys.filter(|key| schedule.side(Op::Get, key.as_bytes(), now) == Side::To)
                .count()
        };
        assert_eq!((moved(1099), moved(1200)), (0, 1000));
        let (quarter, half) = (moved(1124), moved(1149));
        assert!(
            (180..320).contains(&quarter) && (420..580).contains(&half),
            "{quarter} {half}"
        );
        for key in (0..100).map(|key| format!("key{key}")) {
            let mut sides = (1000..1300).map(|now| schedule.side(Op::Set, key.as_bytes(), now));
            assert!(sides.by_ref().find(|side| *side == Side::To).is_some());
            assert!(sides.all(|side| side == Side::To), "{key} does not move back");
        }
    }

    #[test]
    fn before_and_after_it_is_one_child_the_fast_way() {
        let route = |start: u64| {
            format!(
                r#"{{"type": "MigrateRoute", "from": "PoolRoute|A", "to": "PoolRoute|B", "start_time": {start}}}"#
            )
        };
        assert_eq!(tree(&route(4_000_000_000)).fast("delete k~"), "a");
        assert_eq!(tree(&route(1)).fast("get k~"), "b");
        let now = crate::flow::Caller::unix().0;
        let story = tree(&route(now - 10)).play("delete k~", &[("a", &["DELETED~"]), ("b", &["timeout"])]);
        assert!(story.ends_with("=> timeout"), "the worse of both: {story}");
    }
}
