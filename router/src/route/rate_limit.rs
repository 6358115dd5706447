//! RateLimitRoute: so many gets, sets and deletes a second, of the whole process; what is over the limit goes to a
//! fallback, else nowhere. (mcrouter counts per thread, so that its limits change with the number of threads.)

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers, null};
use crate::clock;
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{Group, Op};
use crate::request::{OwnedRequest, Routing};

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only(&["type", "name", "target", "rates", "fallback"])?;
    let target = checker.route(&node.need("target")?)?;
    let fallback = match node.get("fallback") {
        Some(fallback) => checker.route(&fallback)?,
        None => null::blueprint(),
    };
    blueprint(target, fallback, &node.need("rates")?)
}

/// `target` as often as `rates` says, else `fallback`.
pub(crate) fn blueprint(
    target: Blueprint,
    fallback: Blueprint,
    rates: &Node<'_>,
) -> Result<Blueprint, ConfigError> {
    rates.only(&[
        "gets_rate",
        "gets_burst",
        "sets_rate",
        "sets_burst",
        "deletes_rate",
        "deletes_burst",
    ])?;
    let limit = |rate: &str, burst: &str| {
        let positive = |node: &Node<'_>| node.within(1e-6, 1e9);
        let Some(rate) = rates.get(rate).map(|rate| positive(&rate)).transpose()? else {
            return Ok(None);
        };
        let burst = rates.get(burst).map(|burst| positive(&burst)).transpose()?;
        Ok(Some(Bucket::new(rate, burst.unwrap_or(rate))))
    };
    // One set for all workers: they share what the blueprint holds.
    let limits = Arc::new(Limits {
        started: clock::now(),
        gets: limit("gets_rate", "gets_burst")?,
        sets: limit("sets_rate", "sets_burst")?,
        deletes: limit("deletes_rate", "deletes_burst")?,
    });
    Ok(Arc::new(move |builder| {
        Rc::new(RateLimitRoute {
            target: builder.once(&target),
            fallback: builder.once(&fallback),
            limits: Arc::clone(&limits),
        })
    }))
}

/// A token bucket without a lock: it remembers only when it would be full again.
#[derive(Debug)]
struct Bucket {
    /// Nanoseconds a token takes to grow.
    interval: u64,
    /// Nanoseconds an empty bucket takes to fill.
    full_after: u64,
    /// When it is full, in nanoseconds since the start.
    full_at: AtomicU64,
}

impl Bucket {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are from a millionth to a thousand million"
    )]
    fn new(rate: f64, burst: f64) -> Self {
        let interval = 1e9 / rate;
        Self {
            interval: interval as u64,
            full_after: (interval * burst.max(1.0)) as u64,
            full_at: AtomicU64::new(0),
        }
    }

    /// Takes a token, if there is one `now`, in nanoseconds since the start.
    fn take(&self, now: u64) -> bool {
        let taken = |full_at: u64| {
            let after = full_at.max(now) + self.interval;
            (after - now <= self.full_after).then_some(after)
        };
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }
}

#[derive(Debug)]
struct Limits {
    started: Instant,
    gets: Option<Bucket>,
    sets: Option<Bucket>,
    deletes: Option<Bucket>,
}

impl Limits {
    /// The bucket of an operation: arithmetic and touches have none, as in mcrouter.
    const fn of(&self, op: Op) -> Option<&Bucket> {
        match op.group() {
            Group::Gets => self.gets.as_ref(),
            Group::Updates => self.sets.as_ref(),
            Group::Deletes => self.deletes.as_ref(),
            Group::Others => None,
        }
    }
}

struct RateLimitRoute {
    target: Handle,
    fallback: Handle,
    limits: Arc<Limits>,
}

impl RateLimitRoute {
    /// Whom to ask, and a token taken for it.
    fn choose(&self, op: Op) -> &Handle {
        let Some(bucket) = self.limits.of(op) else {
            return &self.target;
        };
        let now = u64::try_from(self.limits.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if bucket.take(now) {
            &self.target
        } else {
            &self.fallback
        }
    }
}

impl RouteHandle for RateLimitRoute {
    fn route(&self, request: Routing<'_>, servers: &Servers) -> Routed {
        match self.target.route(request, servers) {
            // What is sent without asking `call` is counted here, and only there if not.
            Routed::To(id) => match self.choose(request.op) {
                child if Rc::ptr_eq(child, &self.target) => Routed::To(id),
                fallback => fallback.route(request, servers),
            },
            Routed::Composite | Routed::Try(_) => Routed::Composite,
            elsewhere => elsewhere,
        }
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        Rc::clone(self.choose(request.op)).call(request, caller)
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("RateLimitRoute: within the limit", |into| {
            self.target.destinations(request, into);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use crate::route::testing::tree;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_its_rate() {
        const SECOND: u64 = 1_000_000_000;
        let bucket = Bucket::new(10.0, 5.0);
        let taken = |now: u64, tries: usize| (0..tries).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(0, 20), 5);
        assert_eq!(taken(SECOND / 10, 20), 1);
        assert_eq!(taken(3 * SECOND, 20), 5, "it does not overflow");
        let steady = (1..=100)
            .filter(|tenth| bucket.take(4 * SECOND + tenth * SECOND / 20))
            .count();
        assert!((50..=55).contains(&steady), "5 s at 10 a second: {steady}");
    }

    #[test]
    fn what_is_over_the_limit_goes_to_the_fallback_or_nowhere() {
        let route = |fallback: &str| {
            format!(
                r#"{{"type": "RateLimitRoute", "target": "PoolRoute|A", {fallback}
                    "rates": {{"gets_rate": 0.001, "gets_burst": 2, "sets_rate": 0.001, "sets_burst": 1}}}}"#
            )
        };
        let plain = tree(&route(""));
        let goes: Vec<String> = (0..4).map(|_| plain.fast("get k~")).collect();
        assert_eq!(goes, ["a", "a", "nothing", "nothing"]);
        assert_eq!(
            (plain.fast("set k 0 0 1~x~"), plain.fast("set k 0 0 1~x~")),
            ("a".into(), "nothing".into())
        );
        assert!((0..9).all(|_| plain.fast("delete k~") == "a" && plain.fast("incr k 1~") == "a"));
        let with_fallback = tree(&route(r#""fallback": "PoolRoute|B","#));
        let goes: Vec<String> = (0..3).map(|_| with_fallback.fast("get k~")).collect();
        assert_eq!(goes, ["a", "a", "b"]);
    }

    #[test]
    fn a_composite_target_is_counted_once() {
        let route = r#"{"type": "RateLimitRoute", "target": "AllSyncRoute|Pool|AB", "rates": {"gets_rate": 0.001, "gets_burst": 2}}"#;
        let tree = tree(route);
        let says: [(&str, &[&str]); 2] = [("a", &["VALUE k 0 1~x~END~"]), ("b", &["VALUE k 0 1~x~END~"])];
        let mut passed = 0;
        for _ in 0..4 {
            assert_eq!(tree.fast("get k~"), "composite");
            passed += usize::from(tree.play("get k~", &says).contains("VALUE"));
        }
        assert_eq!(passed, 2);
    }
}
