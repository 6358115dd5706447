//! WarmUpRoute: a cold pool in front of a warm one. What the cold one lacks is asked of the warm one and stored in the
//! cold one as it was: with its flags and with the TTL it has left.
//!
//! A plain get is answered with what the warm pool has, and the cold pool is filled in the background. Where the answer
//! has to be the cold pool's own (a cas unique, a touch, the flags of `mg`), it is filled first and asked again. Writes
//! and deletes go to the cold pool; what the warm pool still holds is the application's business, as in mcrouter. With
//! `"deletes": "both"` it is ours: deletes go to both pools, and no copy of what was deleted meanwhile is stored.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Exptime, StoreVerb};

use super::all_sync::worst;
use super::copy_gate::{CopyGate, Copying, Reading};
use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, join_all};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::reply::{Kind, Reply};
use crate::request::{Expect, Item, Op};
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    // `enable_metaget` turned on in mcrouter what is always so here.
    node.only(&[
        "type",
        "name",
        "cold",
        "warm",
        "exptime",
        "enable_metaget",
        "deletes",
    ])?;
    let cold = checker.route(&node.need("cold")?)?;
    let warm = checker.route(&node.need("warm")?)?;
    let exptime = match node.get("exptime") {
        Some(given) => Some(Exptime(given.integer()?)),
        None => None,
    };
    let gate = match node.get("deletes") {
        None => None,
        Some(given) => match given.string()? {
            "cold" => None,
            "both" => Some(CopyGate::new()),
            other => return Err(given.unknown("choice", other, &["cold", "both"])),
        },
    };
    Ok(Arc::new(move |builder| {
        Rc::new(WarmUpRoute {
            cold: builder.once(&cold),
            warm: builder.once(&warm),
            exptime,
            gate: gate.clone(),
        })
    }))
}

struct WarmUpRoute {
    cold: Handle,
    warm: Handle,
    /// The expiry that copies get instead of the one they have.
    exptime: Option<Exptime>,
    /// If deletes go to both.
    gate: Option<Arc<CopyGate>>,
}

/// How often a delete looks whether the copies it waits for are stored.
const LOOK: Duration = Duration::from_millis(1);

/// Stores one copy, and is held to be storing until the answer has come.
struct Storing {
    cold: Handle,
    _copying: Copying,
}

impl RouteHandle for Storing {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Box::pin(async move { Rc::clone(&self.cold).call(request, caller).await })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        self.cold.destinations(request, into);
    }
}

/// The item under the request's key, with its TTL: by `mg`, or by a plain `get` of a server too old for that, which
/// does not tell the TTL.
pub(crate) async fn fetch(
    from: &Handle,
    request: &OwnedRequest,
    caller: &Caller,
) -> Result<(Item, Told), Reply> {
    if let Some(read) = request.read_item() {
        let reply = Rc::clone(from).call(Rc::new(read), caller.clone()).await;
        if let Some(item) = reply.item() {
            return Ok((item, Told::Ttl));
        }
        if reply.kind() != Kind::UnknownCommand {
            return Err(reply);
        }
    }
    let Some(get) = request.get() else {
        return Err(Reply::nothing(request));
    };
    let reply = Rc::clone(from).call(Rc::new(get), caller.clone()).await;
    reply.item().map(|item| (item, Told::Nothing)).ok_or(reply)
}

/// What a server told of the item's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Ttl,
    Nothing,
}

/// The store of a copy; `None` if it would live longer than the original, or not at all.
pub(crate) fn copy(
    request: &OwnedRequest,
    (item, told): &(Item, Told),
    exptime: Option<Exptime>,
) -> Option<OwnedRequest> {
    let exptime = match (exptime, told) {
        (Some(exptime), _) => exptime,
        (None, Told::Ttl) => item.exptime(Caller::unix())?,
        // A copy that never expires would be worse than none.
        (None, Told::Nothing) => return None,
    };
    request.store_item(StoreVerb::Add, item, exptime)
}

impl WarmUpRoute {
    /// What stores the copy of what was read; nothing if it was deleted meanwhile.
    fn storing(&self, reading: Option<Reading>) -> Option<Handle> {
        if self.gate.is_none() {
            return Some(Rc::clone(&self.cold));
        }
        let copying = reading?.copy()?;
        Some(Rc::new(Storing {
            cold: Rc::clone(&self.cold),
            _copying: copying,
        }))
    }

    fn deletes_both(&self, op: Op) -> bool {
        op == Op::Delete && self.gate.is_some()
    }

    async fn delete(self: Rc<Self>, gate: Arc<CopyGate>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let deleting = gate.delete(&request.key);
        while deleting.has_to_wait() {
            caller.sleep(LOOK).await;
        }
        let ask = |pool: &Handle| Rc::clone(pool).call(Rc::clone(&request), caller.clone());
        let replies = join_all(vec![ask(&self.cold), ask(&self.warm)]).await;
        drop(deleting);
        worst(replies).unwrap_or_else(|| Reply::nothing(&request))
    }

    async fn read(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Reply {
        let reading = self.gate.as_ref().and_then(|gate| gate.read(&request.key));
        let ask_cold = || Rc::clone(&self.cold).call(Rc::clone(&request), caller.clone());
        let cold = ask_cold().await;
        if !cold.is_miss() && !cold.failed() {
            return cold;
        }
        let found = match fetch(&self.warm, &request, &caller).await {
            Ok(found) => found,
            // A miss everywhere; or the warm pool's error, unless the cold one has an answer.
            Err(warm) if cold.failed() && !warm.failed() => return Reply::nothing(&request),
            Err(_) => return cold,
        };
        let filled = copy(&request, &found, self.exptime).map(Rc::new);
        let filled = filled.and_then(|filled| Some((self.storing(reading)?, filled)));
        if request.op == Op::Get && request.expect == Expect::Retrieval {
            if let Some((storing, filled)) = filled {
                caller.start_unheard(&storing, &filled);
            }
            return Reply::hit(&request, &found.0);
        }
        if let Some((storing, filled)) = filled {
            storing.call(filled, caller.clone()).await;
        }
        ask_cold().await
    }
}

impl RouteHandle for WarmUpRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if request.op.is_get() || self.deletes_both(request.op) {
            Routed::Composite
        } else {
            self.cold.route(request, servers)
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        if request.op.is_get() && request.expect != Expect::MetaDebug {
            return Box::pin(self.read(request, caller));
        }
        match &self.gate {
            Some(gate) if request.op == Op::Delete => {
                let gate = Arc::clone(gate);
                Box::pin(self.delete(gate, request, caller))
            }
            _ => Rc::clone(&self.cold).call(request, caller),
        }
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let explained = if self.deletes_both(request.op) {
            "WarmUpRoute: deletes to both"
        } else {
            "WarmUpRoute: cold, then for gets warm"
        };
        into.handle(explained, |into| {
            self.cold.destinations(request, into);
            if request.op.is_get() || self.deletes_both(request.op) {
                self.warm.destinations(request, into);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn play(settings: &str, line: &str, cold: &[&str], warm: &[&str]) -> String {
        let route =
            format!(r#"{{"type": "WarmUpRoute", "cold": "PoolRoute|A", "warm": "PoolRoute|B"{settings}}}"#);
        tree(&route).play(line, &[("a", cold), ("b", warm)])
    }

    #[test]
    fn what_the_cold_pool_lacks_is_answered_and_copied_with_flags_and_ttl() {
        assert_eq!(
            play("", "get k~", &["END~", "STORED~"], &["VA 1 t90 f7~x~"]),
            "a: get k~\nb: mg k t f v~\n=> VALUE k 7 1~x~END~\na: add k 7 90 1~x~"
        );
        assert_eq!(
            play("", "get k~", &["VALUE k 0 1~x~END~"], &[]),
            "a: get k~\n=> VALUE k 0 1~x~END~"
        );
        assert_eq!(
            play("", "get k~", &["END~"], &["EN~"]),
            "a: get k~\nb: mg k t f v~\n=> END~"
        );
        assert!(
            play("", "get k~", &["END~", "STORED~"], &["VA 1 t-1 f7~x~"]).ends_with("a: add k 7 0 1~x~"),
            "what never expires never expires"
        );
        assert!(
            play("", "get k~", &["END~"], &["VA 1 t0 f7~x~"]).ends_with("=> VALUE k 7 1~x~END~"),
            "what has no second left is not made to live for ever"
        );
        assert!(
            play(
                r#", "exptime": 5"#,
                "get k~",
                &["END~", "STORED~"],
                &["VA 1 t90 f7~x~"]
            )
            .ends_with("a: add k 7 5 1~x~")
        );
    }

    #[test]
    fn an_answer_that_has_to_be_the_cold_pools_own_is_asked_of_it_again() {
        assert_eq!(
            play(
                "",
                "gets k~",
                &["END~", "STORED~", "VALUE k 7 1 12~x~END~"],
                &["VA 1 t90 f7~x~"]
            ),
            "a: gets k~\nb: mg k t f v~\na: add k 7 90 1~x~\na: gets k~\n=> VALUE k 7 1 12~x~END~"
        );
        assert_eq!(
            play(
                "",
                "mg YSBi b v c~",
                &["EN~", "HD~", "VA 1 c12~x~"],
                &["VA 1 t90 f7~x~"]
            ),
            "a: mg YSBi b v c~\nb: mg YSBi b t f v~\na: ms YSBi 1 b F7 T90 ME~x~\na: mg YSBi b v c~\n=> VA 1 c12~x~"
        );
    }

    #[test]
    fn a_dead_pool_is_no_error_as_long_as_the_other_answers() {
        assert!(play("", "get k~", &["timeout"], &["VA 1 t9 f7~x~"]).contains("=> VALUE k 7 1~x~END~"));
        assert!(play("", "get k~", &["END~"], &["timeout"]).ends_with("=> END~"));
        assert!(play("", "get k~", &["timeout"], &["EN~"]).ends_with("=> END~"));
        assert!(play("", "get k~", &["timeout"], &["timeout"]).ends_with("=> timeout"));
    }

    #[test]
    fn a_warm_pool_too_old_for_meta_commands_is_read_and_not_copied_without_an_exptime() {
        let warm: &[&str] = &["ERROR~", "VALUE k 7 1~x~END~"];
        assert_eq!(
            play("", "get k~", &["END~"], warm),
            "a: get k~\nb: mg k t f v~\nb: get k~\n=> VALUE k 7 1~x~END~"
        );
        assert!(
            play(r#", "exptime": 5"#, "get k~", &["END~", "STORED~"], warm).ends_with("a: add k 7 5 1~x~")
        );
    }

    #[test]
    fn deletes_go_to_both_if_they_are_to() {
        let both = ", \"deletes\": \"both\"";
        assert_eq!(
            play(both, "delete k~", &["NOT_FOUND~"], &["DELETED~"]),
            "a: delete k~\nb: delete k~\n=> NOT_FOUND~"
        );
        assert!(play(both, "delete k~", &["DELETED~"], &["timeout"]).ends_with("=> timeout"));
        assert_eq!(
            play(both, "get k~", &["END~", "STORED~"], &["VA 1 t90 f7~x~"]),
            "a: get k~\nb: mg k t f v~\n=> VALUE k 7 1~x~END~\na: add k 7 90 1~x~"
        );
    }

    #[test]
    fn writes_are_the_cold_pools() {
        let route = r#"{"type": "WarmUpRoute", "cold": "PoolRoute|A", "warm": "PoolRoute|B"}"#;
        assert_eq!(tree(route).fast("set k 0 0 1~x~"), "a");
        assert_eq!(tree(route).fast("delete k~"), "a");
    }
}
