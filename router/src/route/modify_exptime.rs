//! ModifyExptimeRoute: the same request with another expiry. Deletes are left alone.

use std::rc::Rc;
use std::sync::Arc;

use protocol::{Expiry, Exptime, UnixSeconds};

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::Op;
use crate::request::{OwnedRequest, Routing};

/// What is done to an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Set(Exptime),
    /// The earlier of the two; 0 is never.
    Min(Exptime),
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target", "exptime", "action"])?;
    let target = checker.route(&node.need("target")?)?;
    let exptime = Exptime(node.need("exptime")?.integer()?);
    let change = match node.get("action") {
        None => Change::Set(exptime),
        Some(action) => match action.string()? {
            "set" => Change::Set(exptime),
            "min" => Change::Min(exptime),
            other => return Err(action.unknown("action", other, &["set", "min"])),
        },
    };
    Ok(match change {
        // Nothing is later than never.
        Change::Min(Exptime::NEVER) => target,
        change => blueprint(target, change),
    })
}

/// `target`, asked with changed expiries.
pub(crate) fn blueprint(target: Blueprint, change: Change) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(ModifyExptimeRoute {
            target: builder.once(&target),
            change,
        })
    })
}

impl Change {
    fn of(self, exptime: Exptime, now: UnixSeconds) -> Exptime {
        match self {
            Self::Set(exptime) => exptime,
            Self::Min(most) => match (exptime.expiry(now), most.expiry(now)) {
                (_, Expiry::Never) | (Expiry::Immediately, _) => exptime,
                (Expiry::Never, _) | (_, Expiry::Immediately) => most,
                (Expiry::At(asked), Expiry::At(latest)) if asked <= latest => exptime,
                (Expiry::At(_), Expiry::At(_)) => most,
            },
        }
    }
}

struct ModifyExptimeRoute {
    target: Handle,
    change: Change,
}

/// Whether requests of this kind may carry an expiry. A meta get that touches goes by the name of `gat`.
const fn has_exptime(op: Op) -> bool {
    !matches!(op, Op::Get | Op::Gets | Op::Delete)
}

impl RouteHandle for ModifyExptimeRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if has_exptime(request.op) {
            Routed::Composite
        } else {
            self.target.route(request, servers)
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let request = if has_exptime(request.op) {
            let now = Caller::unix();
            Rc::new(request.with_exptime(|exptime| self.change.of(exptime, now)))
        } else {
            request
        };
        Rc::clone(&self.target).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        let what = match self.change {
            Change::Set(Exptime(seconds)) => format!("ModifyExptimeRoute: {seconds} s"),
            Change::Min(Exptime(seconds)) => format!("ModifyExptimeRoute: at most {seconds} s"),
        };
        into.handle(what, |into| self.target.destinations(request, into));
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    fn asked(settings: &str, line: &str) -> String {
        let route = format!(r#"{{"type": "ModifyExptimeRoute", "target": "PoolRoute|A", {settings}}}"#);
        let said = if line.starts_with("ms") { "HD~" } else { "STORED~" };
        let told = tree(&route).play(line, &[("a", &[said])]);
        told.lines().next().expect("asked").to_owned()
    }

    #[test]
    fn expiries_are_set_or_shortened() {
        for (settings, line, sent) in [
            (r#""exptime": 60"#, "set k 0 0 1~x~", "set k 0 60 1~x~"),
            (r#""exptime": 0"#, "set k 0 9 1~x~", "set k 0 0 1~x~"),
            (r#""exptime": -1, "action": "set""#, "ms k 1~x~", "ms k 1 T-1~x~"),
            (
                r#""exptime": 60, "action": "min""#,
                "set k 0 0 1~x~",
                "set k 0 60 1~x~",
            ),
            (
                r#""exptime": 60, "action": "min""#,
                "set k 0 59 1~x~",
                "set k 0 59 1~x~",
            ),
            (
                r#""exptime": 60, "action": "min""#,
                "set k 0 61 1~x~",
                "set k 0 60 1~x~",
            ),
            (
                r#""exptime": 60, "action": "min""#,
                "set k 0 -1 1~x~",
                "set k 0 -1 1~x~",
            ),
            (
                r#""exptime": 60, "action": "min""#,
                "set k 0 2000000000 1~x~",
                "set k 0 60 1~x~",
            ),
            (
                r#""exptime": 0, "action": "min""#,
                "set k 0 9 1~x~",
                "set k 0 9 1~x~",
            ),
        ] {
            assert_eq!(asked(settings, line), format!("a: {sent}"), "{settings}");
        }
        let route = r#"{"type": "ModifyExptimeRoute", "target": "PoolRoute|A", "exptime": 5}"#;
        assert_eq!(tree(route).fast("get k~"), "a");
        assert_eq!(tree(route).fast("delete k~"), "a");
    }
}
