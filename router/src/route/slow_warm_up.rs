//! SlowWarmUpRoute: a server that has just started cold gets only a share of the gets, which grows with its hit rate;
//! the others go to a failover target. Writes always reach it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target", "failoverTarget", "settings"])?;
    let target = checker.route(&node.need("target")?)?;
    let (failover, settings) = read(node, checker)?;
    Ok(blueprint(target, failover, settings))
}

/// Reads `failoverTarget` and `settings`.
pub(crate) fn read(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<(Blueprint, Settings), ConfigError> {
    let failover = checker.route(&node.need("failoverTarget")?)?;
    let mut settings = Settings::default();
    if let Some(given) = node.get("settings") {
        given.only(&[
            "enable_threshold",
            "disable_threshold",
            "start",
            "step",
            "min_requests",
        ])?;
        let share = |name: &str, otherwise: f64, most: f64| match given.get(name) {
            Some(share) => share.within(0.0, most),
            None => Ok(otherwise),
        };
        settings.enable = share("enable_threshold", settings.enable, 1.0)?;
        settings.disable = share("disable_threshold", settings.disable, 1.0)?;
        settings.start = share("start", settings.start, 1.0)?;
        settings.step = share("step", settings.step, 1e6)?;
        if let Some(least) = given.get("min_requests") {
            settings.least = u32::try_from(least.count()?)
                .ok()
                .filter(|least| *least > 0)
                .ok_or_else(|| least.error("expected a number of requests from 1 on"))?;
        }
        if settings.enable > settings.disable {
            return Err(given.error("\"enable_threshold\" is not above \"disable_threshold\""));
        }
    }
    Ok((failover, settings))
}

/// Hit rates and shares, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Below this hit rate it warms up…
    enable: f64,
    /// …and from this on it is warm.
    disable: f64,
    /// The share it gets without a hit.
    start: f64,
    /// What its hit rate adds to that, times this.
    step: f64,
    /// Gets before its hit rate is believed.
    least: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enable: 0.7,
            disable: 0.9,
            start: 0.1,
            step: 1.0,
            least: 100,
        }
    }
}

/// `target`, spared while it is cold.
pub(crate) fn blueprint(target: Blueprint, failover: Blueprint, settings: Settings) -> Blueprint {
    Arc::new(move |builder| {
        Rc::new(SlowWarmUpRoute {
            target: builder.once(&target),
            failover: builder.once(&failover),
            settings,
            gets: Cell::new((0, 0)),
            warming: Cell::new(false),
        })
    })
}

/// How many times `least` gets make up the hit rate: what was before is forgotten, so that a server which was warm
/// for a week is seen to be cold after a restart. (mcrouter never forgets.)
const WINDOW: u32 = 10;

struct SlowWarmUpRoute {
    target: Handle,
    failover: Handle,
    settings: Settings,
    /// Hits and gets of late.
    gets: Cell<(u32, u32)>,
    warming: Cell<bool>,
}

impl SlowWarmUpRoute {
    fn count(&self, hit: bool) {
        let (mut hits, mut gets) = self.gets.get();
        if gets >= self.settings.least.saturating_mul(WINDOW) {
            (hits, gets) = (hits / 2, gets / 2);
        }
        self.gets.set((hits + u32::from(hit), gets + 1));
    }

    fn hit_rate(&self) -> f64 {
        let (hits, gets) = self.gets.get();
        if gets < self.settings.least {
            1.0
        } else {
            f64::from(hits) / f64::from(gets)
        }
    }

    /// The share of the gets that the target gets now.
    fn share(&self) -> f64 {
        let rate = self.hit_rate();
        let threshold = if self.warming.get() {
            self.settings.disable
        } else {
            self.settings.enable
        };
        self.warming.set(rate < threshold);
        if self.warming.get() {
            (self.settings.start + self.settings.step * rate).min(1.0)
        } else {
            1.0
        }
    }
}

impl RouteHandle for SlowWarmUpRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        if request.op.is_get() {
            Routed::Composite
        } else {
            self.target.route(request, servers)
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        if !request.op.is_get() {
            return Rc::clone(&self.target).call(request, caller);
        }
        let share = self.share();
        if share < 1.0 && !rand::random_bool(share) {
            caller.count_failover();
            return Rc::clone(&self.failover).call(request, caller);
        }
        let asked = Rc::clone(&self.target).call(request, caller);
        Box::pin(async move {
            let reply = asked.await;
            if reply.is_hit() || reply.is_miss() {
                self.count(reply.is_hit());
            }
            reply
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("SlowWarmUpRoute: the first, while it is warm", |into| {
            self.target.destinations(request, into);
            self.failover.destinations(request, into);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::{Recording, tree};

    fn asked_of_target(tree: &Recording, said: &'static str, gets: usize) -> usize {
        let says: [(&str, &[&str]); 2] = [("a", &[said]), ("b", &["END~"])];
        (0..gets)
            .filter(|_| tree.play("get k~", &says).starts_with("a: "))
            .count()
    }

    #[test]
    fn a_cold_server_is_spared_until_it_is_warm_and_again_after_a_restart() {
        let tree = tree(
            r#"{"type": "SlowWarmUpRoute", "target": "PoolRoute|A", "failoverTarget": "PoolRoute|B",
                "settings": {"min_requests": 20, "start": 0.1, "step": 1}}"#,
        );
        assert_eq!(tree.fast("set k 0 0 1~x~"), "a");
        assert_eq!(
            asked_of_target(&tree, "END~", 20),
            20,
            "nothing is known of it yet"
        );
        let cold = asked_of_target(&tree, "END~", 200);
        assert!((4..60).contains(&cold), "about a tenth: {cold} of 200");
        // It hits: the more it does, the more it is asked.
        asked_of_target(&tree, "VALUE k 0 1~x~END~", 3000);
        assert_eq!(asked_of_target(&tree, "VALUE k 0 1~x~END~", 100), 100, "warm");
        // It restarts.
        asked_of_target(&tree, "END~", 400);
        let cold = asked_of_target(&tree, "END~", 200);
        assert!(cold < 100, "spared again: {cold} of 200");
    }
}
